"""The compiled description of a run: every number resolved, every name checked, times in picoseconds.

:mod:`qnet.topology` makes a plan from a file; the launcher sends each process its part. A plan is plain
data (msgpack-able), so a run folder can keep it and ``qnet replay`` can run it again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from qnet.hardware import Platform, Station
from qnet.ids import LinkId, NodeId
from qnet.units import Duration


class _Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of plan records."""


class LinkOptics(_Plan, frozen=True):
    """What the photons of one link meet, in the symbols of the physics reference A4.

    Attributes:
        eta_a, eta_b: probability that an emitted photon of end A (B) reaches and fires a detector.
        visibility: V = |<psi_A|psi_B>|^2, 0..1.
        dark_prob: p_d, chance of a dark count per detector and window.
        phase_rms_rad: rms differential optical phase sigma.
        number_resolving: detectors tell one photon from two.
        spin_photon_a, spin_photon_b: fidelity of each end's spin-photon pair.
    """

    eta_a: float
    eta_b: float
    visibility: float = 1.0
    dark_prob: float = 0.0
    phase_rms_rad: float = 0.0
    number_resolving: bool = False
    spin_photon_a: float = 1.0
    spin_photon_b: float = 1.0


class Estimate(_Plan, frozen=True):
    """Prediction for one link from the hardware description.

    Attributes:
        success_prob: chance that one attempt is heralded.
        cycle: time between the starts of two attempts.
        heralded_fidelity: fidelity of the state at the click, after the ideal label correction.
        goodness: fidelity at delivery (storage until delivery and correction gate included).
        goodness_error: the true fidelity of every delivered pair lies within goodness +- this.
        rate_hz: pairs per second on an idle link, one request without end, slots freed at once.
    """

    success_prob: float
    cycle: Duration
    heralded_fidelity: float
    goodness: float
    goodness_error: float
    rate_hz: float


class LinkPlan(_Plan, frozen=True):
    """One heralded link.

    Attributes:
        ends: the two processors, A and B; ``ends[0] < ends[1]`` in name order, A is the master.
        station: the node that holds the detectors.
        flights: time of flight from each end to the station.
        direct: classical light time between the two ends.
        cycle: attempt interval, at least preparation + flight + way back of the longer arm.
        preparation: from the start of an attempt to the emission, the longer of the two ends.
        correction: how long each end needs for one single-qubit gate.
    """

    name: LinkId
    ends: tuple[NodeId, NodeId]
    station: NodeId
    scheme: str
    scheme_parameters: dict[str, Any]
    protocol: str
    protocol_parameters: dict[str, Any]
    optics: LinkOptics
    flights: tuple[Duration, Duration]
    direct: Duration
    cycle: Duration
    preparation: Duration
    correction: tuple[Duration, Duration]
    estimate: Estimate


class NodePlan(_Plan, frozen=True):
    """One node: a processor with a platform or a station with detectors."""

    name: NodeId
    platform_name: str = ""
    platform: Platform | None = None
    station: Station | None = None


class AppPlan(_Plan, frozen=True):
    """The application of the run: which plug-in, with which parameters, in which role on which node."""

    name: str
    parameters: dict[str, Any]
    roles: dict[NodeId, str]


class RunPlan(_Plan, frozen=True):
    """Everything that fixes a run. Two runs of equal plans give equal traces.

    Attributes:
        delays: classical light time for each ordered pair "source>target" of nodes.
        exact_attempts: sample every attempt photon by photon instead of skipping ahead.
        cluster_cap: largest number of qubits of one entangled cluster.
        explore_schedule: 0 keeps spawn order; another number explores the task schedule it keys.
        until: bound of simulated time, None for none.
    """

    network: str
    seed: int
    nodes: tuple[NodePlan, ...]
    links: tuple[LinkPlan, ...]
    delays: dict[str, Duration]
    app: AppPlan
    exact_attempts: bool = False
    cluster_cap: int = 10
    explore_schedule: int = 0
    until: Duration | None = None

    def node(self, name: str) -> NodePlan:
        """The node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def link(self, name: str) -> LinkPlan:
        """The link of that name."""
        return next(link for link in self.links if link.name == name)

    def links_of(self, node: str) -> tuple[LinkPlan, ...]:
        """Links with ``node`` at an end, in order of name."""
        return tuple(link for link in self.links if node in link.ends)
