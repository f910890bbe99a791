"""The compiled description of a run: every number resolved, every name checked, times in picoseconds.

:mod:`qnet.topology` makes a plan from a file; the launcher sends each process its part. A plan is plain
data (msgpack-able), so a run folder can keep it and ``qnet replay`` can run it again.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from qnet.hardware import Platform, Station
from qnet.ids import LinkId, NodeId
from qnet.physics.attempts import AttemptNoise, worst
from qnet.physics.windows import nth_lit
from qnet.units import Duration, Instant

ENGINE: Final = "qutip"
"""The quantum engine of a run that names none."""


class _Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of plan records."""


class LinkOptics(_Plan, frozen=True):
    """What the photons of one link meet, in the symbols of the physics reference A4.

    Attributes:
        eta_a, eta_b: probability that an emitted photon of end A (B) reaches and fires a detector.
        visibility: V = |<psi_A|psi_B>|^2, 0..1.
        dark_prob: p_d, chance of a dark count per detector and window.
        phase_rms_rad: rms optical phase sigma: between the modes (two clicks) or the arms (one click).
        number_resolving: detectors tell one photon from two.
        spin_photon_a, spin_photon_b: fidelity of each end's spin-photon pair.
        modes: attempts made at once, of which the first that succeeds counts.
    """

    eta_a: float
    eta_b: float
    visibility: float = 1.0
    dark_prob: float = 0.0
    phase_rms_rad: float = 0.0
    number_resolving: bool = False
    spin_photon_a: float = 1.0
    spin_photon_b: float = 1.0
    modes: int = 1


class Window(_Plan, frozen=True):
    """The part of a period in which the switch of a station connects a link, the same for ever.

    Attempts of one link are lit if their longer arm emits between ``start`` and ``start + length`` of a
    period; the others are made and never click.

    Attributes:
        period: of the switch, > 0.
        start: of the window in a period, which begins at a multiple of ``period``; 0 <= start < period.
        length: 0 < length <= period.
    """

    period: Duration
    start: Duration
    length: Duration

    @property
    def dark(self) -> Duration:
        """Rest of the period."""
        return Duration(self.period - self.length)

    @property
    def share(self) -> float:
        """Part of the time in which the link is connected."""
        return self.length / self.period

    def lit_from(self, emitted: int) -> int:
        """``emitted`` if it lies in a window, else the beginning of the next one."""
        since = (emitted - self.start) % self.period
        return emitted if since < self.length else emitted + self.period - since

    def nth_lit(self, nth: int, first: int, cycle: Duration) -> int:
        """Which attempt (from 1) is the ``nth`` lit one, if they emit at ``first`` and every ``cycle``."""
        return nth_lit(nth, first - self.start, cycle, self.period, self.length)

    def lasted(self, emitted: int, lit: int) -> int:
        """Instant at which windows have lasted ``lit`` altogether since ``emitted``."""
        begun = self.lit_from(emitted)
        since = (begun - self.start) % self.period
        whole, rest = divmod(since + lit, self.length)
        if whole and not rest:  # at the end of a window, not at the beginning of the next
            whole, rest = whole - 1, int(self.length)
        return begun - since + whole * self.period + rest


class PurificationPlan(_Plan, frozen=True):
    """Purification on a link or end to end: which protocol, with which parameters.

    Attributes:
        correlators: (a, b, c) predicted for the pairs of a link that it hands up; None where the protocol
            makes no prediction, and end to end.
        rate_hz: their predicted rate.
    """

    protocol: str
    parameters: dict[str, Any]
    correlators: tuple[float, float, float] | None = None
    rate_hz: float | None = None


class Estimate(_Plan, frozen=True):
    """Prediction for one link from the hardware description.

    Attributes:
        success_prob: chance that one attempt is heralded.
        cycle: time between the starts of two attempts.
        heralded_fidelity: fidelity of the state at the click, after the ideal label correction.
        goodness: fidelity at delivery (storage until delivery and correction gate included).
        goodness_error: the true fidelity of every delivered pair lies within goodness +- this.
        rate_hz: pairs per second on an idle link, one request without end, slots freed at once; over a
            long time, the darkness of a switched station included.
        correlators: (a, b, c) = (<XX>, -<YY>, <ZZ>) at delivery, (1 + a + b + c)/4 = goodness.
    """

    success_prob: float
    cycle: Duration
    heralded_fidelity: float
    goodness: float
    goodness_error: float
    rate_hz: float
    correlators: tuple[float, float, float]


class LinkPlan(_Plan, frozen=True):
    """One heralded link.

    Attributes:
        ends: the two processors, A and B; ``ends[0] < ends[1]`` in name order, A is the master.
        station: the node that holds the detectors.
        flights: time of flight from each end to the station.
        direct: classical light time between the two ends.
        cycle: attempt interval, at least preparation + flight + way back of the longer arm.
        preparation: from the start of an attempt to its last emission, the longer of the two ends.
        held: how long before its last photon leaves a memory already holds its half; 0 unless an attempt
            has several rounds.
        window: when the switch of the station connects the link, None for always.
        lifetimes_s: of the photons behind the modulators that shape them; left out where there is none.
        correction: how long each end needs for one single-qubit gate.
        purification: applied to the link's pairs before anybody gets them, None for none.
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
    purification: PurificationPlan | None = None
    held: Duration = Duration(0)
    window: Window | None = None
    lifetimes_s: tuple[float, float] | msgspec.UnsetType = msgspec.UNSET

    @property
    def dark(self) -> Duration:
        """Longest time for which the switch of the station does not connect the link."""
        return Duration(0) if self.window is None else self.window.dark

    @property
    def offered(self) -> tuple[tuple[float, float, float], float]:
        """Predicted correlators and rate of the pairs that users of the link get: purified, if they are."""
        better = self.purification
        if better is not None and better.correlators is not None and better.rate_hz is not None:
            return better.correlators, better.rate_hz
        return self.estimate.correlators, self.estimate.rate_hz


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


class Route(_Plan, frozen=True):
    """A path from a head end to a tail end, found before the run.

    Attributes:
        nodes: both ends included.
        links: one fewer.
        goodness: predicted fidelity of pairs that wait nowhere longer than the cutoff.
        rate_hz: predicted end-to-end rate.
        cutoff: how long a pair may wait for its partner at an intermediate node, None for ever.
    """

    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    goodness: float
    rate_hz: float
    cutoff: Duration | None = None


class NetworkPlan(_Plan, frozen=True):
    """The network layer of a run.

    Attributes:
        routes: for each ordered pair "source>target" of nodes that an application may join, best first.
        purification: applied to end-to-end pairs before the application gets them, None for none.
        routing, routing_parameters: how the routes were found.
    """

    protocol: str
    parameters: dict[str, Any]
    routes: dict[str, tuple[Route, ...]]
    purification: PurificationPlan | None = None
    routing: str = ""
    routing_parameters: dict[str, Any] = {}


class Impair(_Plan, frozen=True, tag="impair", tag_field="fault"):
    """Messages are lost, doubled or overtaken, each by itself.

    Attributes:
        source, target: names of nodes, shell patterns.
        kinds: message kinds, shell pattern.
        loss_prob, duplicate_prob: chance per message.
        reorder_prob: chance that a message is held up, by up to ``reorder_factor`` light times of its way.
        start, end: instants between which messages are sent; ``end`` None for never.
    """

    name: str
    source: str = "*"
    target: str = "*"
    kinds: str = "*"
    loss_prob: float = 0.0
    duplicate_prob: float = 0.0
    reorder_prob: float = 0.0
    reorder_factor: float = 0.0
    start: Instant = Instant(0)
    end: Instant | None = None


class Single(_Plan, frozen=True, tag="single", tag_field="fault"):
    """What happens to one message: it is lost, comes twice, or comes late.

    Attributes:
        number: of the message on the channel from ``source`` to ``target``, from 1, in the first life of the
            sender; what its courier sends counts too.
        late: how much later than light it comes; of a doubled one, its second copy.
    """

    name: str
    source: NodeId
    target: NodeId
    number: int
    what: Literal["lose", "double", "delay"]
    late: Duration = Duration(0)


class Partition(_Plan, frozen=True, tag="partition", tag_field="fault"):
    """No message passes between ``nodes`` and the others from ``start`` until ``end``."""

    name: str
    nodes: tuple[NodeId, ...]
    start: Instant
    end: Instant


class Crash(_Plan, frozen=True, tag="crash", tag_field="fault"):
    """``node`` loses power at ``at``: machines, application and qubits are gone.

    It comes back, without its memory and without its application, at ``restart`` (None: never).
    """

    name: str
    node: NodeId
    at: Instant
    restart: Instant | None


class Stall(_Plan, frozen=True, tag="stall", tag_field="fault"):
    """``node`` neither hears nor speaks from ``start`` until ``end``; what came meanwhile comes then."""

    name: str
    node: NodeId
    start: Instant
    end: Instant


class Cut(_Plan, frozen=True, tag="cut", tag_field="fault"):
    """No photon of ``link`` that is emitted from ``start`` until ``end`` arrives (``end`` None: ever)."""

    name: str
    link: LinkId
    start: Instant
    end: Instant | None


Fault = Impair | Single | Partition | Crash | Stall | Cut


class RunPlan(_Plan, frozen=True):
    """Everything that fixes a run. Two runs of equal plans give equal traces.

    Attributes:
        exact_attempts: sample every attempt photon by photon instead of skipping ahead.
        cluster_cap: largest number of qubits of one entangled cluster.
        explore_schedule: 0 keeps spawn order; another number explores the task schedule it keys.
        until: bound of simulated time, None for none.
        network_layer: its protocol and routes, None for a network of neighbours only.
        faults: what goes wrong and when; with any, reliable messages are repeated until they arrive.
        patience: how long a reliable message is repeated before the peer counts as lost.
        engine: what holds the quantum state; left out for :data:`ENGINE`.
    """

    network: str
    seed: int
    nodes: tuple[NodePlan, ...]
    links: tuple[LinkPlan, ...]
    app: AppPlan
    exact_attempts: bool = False
    cluster_cap: int = 10
    explore_schedule: int = 0
    until: Duration | None = None
    network_layer: NetworkPlan | None = None
    faults: tuple[Fault, ...] = ()
    patience: Duration = Duration(500_000_000_000)
    engine: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def engine_name(self) -> str:
        """Which engine holds the quantum state."""
        return ENGINE if self.engine is msgspec.UNSET else self.engine

    def node(self, name: str) -> NodePlan:
        """The node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def link(self, name: str) -> LinkPlan:
        """The link of that name."""
        return next(link for link in self.links if link.name == name)

    def attempt_noise(self, node: str) -> AttemptNoise:
        """The most that entangling attempts of a processor may do to its memories."""
        platform = self.node(node).platform
        dephasing_prob = 0.0 if platform is None else platform.attempt_dephasing_prob
        return worst(dephasing_prob, (link.cycle for link in self.links_of(node)))

    def links_of(self, node: str) -> tuple[LinkPlan, ...]:
        """Links with ``node`` at an end, in order of name."""
        return tuple(link for link in self.links if node in link.ends)
