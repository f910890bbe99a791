"""What a processor platform and a heralding station are made of: numbers with units, no behaviour.

The same records describe a platform sheet (in :mod:`qnet_nodes` or a plug-in), the world's noise and the
link layer's fidelity estimate. Fidelities of gates are *average gate* fidelities; convert with
:mod:`qnet.physics.gates`, never plug in. Infinite times are allowed and mean "no decay".
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec


class _Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of hardware records."""


class Coherence(_Sheet, frozen=True):
    """Memory of one kind of qubit: ``t1_s`` > 0, 0 < ``t2_s`` <= 2 ``t1_s``, both may be inf."""

    t1_s: float = math.inf
    t2_s: float = math.inf


class Operation(_Sheet, frozen=True):
    """A gate or an initialisation: duration and average fidelity (1 = perfect)."""

    duration_s: float
    fidelity: float = 1.0


Entangler = Literal["any", "CNOT", "CZ", "ZZ", "XX"]
"""The two-qubit gate that a processor does in one go, named in :mod:`qnet.physics.native`; "any": what is asked."""


class Coupling(_Sheet, frozen=True):
    """Two slots of a processor that interact, and the gate between them, an entangler of its own figures."""

    slots: tuple[int, int]
    gate: Operation


class Readout(_Sheet, frozen=True):
    """Read-out in Z: ``error_0_prob`` = P(read 1 | 0), ``error_1_prob`` = P(read 0 | 1)."""

    duration_s: float
    error_0_prob: float = 0.0
    error_1_prob: float = 0.0


class Emission(_Sheet, frozen=True):
    """Photonic interface of a communication qubit.

    Attributes:
        wavelength_m: of the emitted photon.
        efficiency_prob: chance that an attempt puts a photon into the fibre that leads to the station.
            If the published figure already counts the detector, give the station efficiency 1.
        interval_s: shortest time between the starts of two attempts.
        preparation_s: from the start of an attempt to the emission of the photon.
        spin_photon_fidelity: fidelity of the emitted spin-photon pair (Werner-like), 1 = perfect.
        lifetime_s: 1/e decay time of the photon's intensity, an exponential wave packet; 0 where the
            emitter shapes its photons like those of the other end, or nothing is known.
        duty_prob: share of the time in which attempts are made; the rest is cooling, charge checks, loading.
        modes: attempts made at once, each with an emitter and a channel of its own.
        noise_photons: noise photons that a transducer adds per pulse, referred to its input (N_add).
    """

    wavelength_m: float
    efficiency_prob: float
    interval_s: float
    preparation_s: float = 0.0
    spin_photon_fidelity: float = 1.0
    lifetime_s: float = 0.0
    duty_prob: float = 1.0
    modes: int = 1
    noise_photons: float = 0.0


class Platform(_Sheet, frozen=True, omit_defaults=True):
    """One processor.

    Slots are numbered from 0: first the communication qubits, then the memory qubits. The fields with a
    default are left out of plans where they have it.

    Attributes:
        gate_1q: a pulse on one qubit, any rotation.
        gate_2q: the entangler, between any two slots (of no use where ``couplings`` are given).
        attempt_dephasing_prob: chance p < 1/2 that an entangling attempt of this node, on whichever of its
            links, flips the phase of a qubit in a memory slot (of each of them); coherence (1 - 2p)^N after
            N attempts, 1/e after -1/ln(1 - 2p) of them.
        entangler: what ``gate_2q`` does; other gates are compiled to it (:mod:`qnet.physics.native`).
        virtual_z: rotations about Z are changes of frame, which take no time and make no error.
        couplings: the slots that interact, each two with a gate of their own; none: all, by ``gate_2q``.
        transport: what brings two qubits together before each two-qubit gate (its fidelity is that of one
            qubit, and both suffer); None where they need not move.
    """

    species: str
    communication_slots: int
    memory_slots: int
    communication: Coherence
    memory: Coherence
    gate_1q: Operation
    gate_2q: Operation
    initialise: Operation
    readout: Readout
    emission: Emission
    attempt_dephasing_prob: float = 0.0
    entangler: Entangler = "any"
    virtual_z: bool = False
    couplings: tuple[Coupling, ...] = ()
    transport: Operation | None = None

    @property
    def slots(self) -> int:
        """Number of slots of both roles."""
        return self.communication_slots + self.memory_slots

    def role_of(self, slot: int) -> str:
        """Role of a slot by its index: communication slots come first."""
        return "communication" if slot < self.communication_slots else "memory"

    def communication_share(self, links: int) -> int:
        """Communication slots that each of so many links may use: of its own, or all of a common pool."""
        slots = self.communication_slots
        return slots // links if slots >= links else slots

    def communication_of(self, index: int, links: int) -> range:
        """Communication slots of one of so many links, counted in order of name: own ones, or a common pool."""
        slots = self.communication_slots
        return range(index, slots, links) if slots >= links else range(slots)

    def coherence_of(self, slot: int) -> Coherence:
        """Memory times of one slot."""
        return self.communication if slot < self.communication_slots else self.memory

    def gate_between(self, first: int, second: int) -> Operation | None:
        """The entangler of two slots, None if they do not interact."""
        if not self.couplings:
            return self.gate_2q
        both = {first, second}
        return next((one.gate for one in self.couplings if set(one.slots) == both), None)


class Switch(_Sheet, frozen=True):
    """Optical switch between the fibres of a station and its detectors, which serves links in a fixed round.

    The links of the station, in order of name, take turns, ``ports`` of them at a time: they are connected
    for ``dwell_s``, then nobody is for ``reconfigure_s``, then come the next. The last turn of a round may
    have fewer. If all of them fit at a time, they stay connected. Everybody knows the schedule, which
    begins at instant 0 with the first turn.

    Attributes:
        dwell_s: how long a turn lasts, at the station.
        reconfigure_s: darkness while the switch is set.
        efficiency_prob: chance that a photon passes the switch.
        ports: pairs of arms that are connected at a time, each with detectors of its own.
    """

    dwell_s: float
    reconfigure_s: float = 0.0
    efficiency_prob: float = 1.0
    ports: int = 1


class Station(_Sheet, frozen=True):
    """Detectors of a heralding station.

    Attributes:
        detector_efficiency_prob: chance that an arriving photon fires its detector.
        dark_rate_hz: dark counts and other noise counts per detector.
        window_s: detection window of one attempt.
        number_resolving: True if a detector tells one photon from two.
        switch: None if every link has detectors of its own, always connected.
    """

    detector_efficiency_prob: float = 1.0
    dark_rate_hz: float = 0.0
    window_s: float = 1e-7
    number_resolving: bool = False
    switch: Switch | None = None
