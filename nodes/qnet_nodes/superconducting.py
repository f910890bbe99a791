"""Superconducting nodes: transmons with a transducer, with a cold waveguide, on a chiplet.

Theory
    Transmons have the fastest gates of all platforms and the shortest memories, and their photons
    are microwaves, which only a cold guide carries. :data:`TRANSMON_TRANSDUCER` makes optical
    photons of them, with noise; :data:`TRANSMON_WAVEGUIDE` sends shaped microwave photons that the
    other end absorbs, so that every attempt makes a pair [3]; :data:`CHIPLET_9` is one chip of several
    on a carrier, whose neighbours are joined by couplers: what its record calls a photon is a gate
    between chips. :data:`CHIPLETS_108` is twelve such chips as one processor, with the couplings of
    its transmons.
Validity
    :data:`TRANSMON_TRANSDUCER` states the added noise that was published, N_add = 1.24 [1]: no link
    of it heralds entanglement, and compiling one is refused as UNSUPP. To study a better transducer
    override it (``[nodes.NAME.emission] noise_photons = 0.05``). No optical link between transmons
    has been published to our knowledge. Its wavelength is that of the profile; the transducer of [1]
    works near 984 nm, and one more converter would be needed.
    :data:`TRANSMON_WAVEGUIDE`: for a pair made by emission from one end and absorption at the other,
    with eta the product of both ends' ``efficiency_prob`` and w that of their spin-photon
    correlators, F = (1 + w (2 sqrt(eta) + eta))/4 (amplitude damping of the flying qubit); w is
    chosen to give the published 0.795 [3]. The decay of the waiting transmons during the transfer is
    in w, and the world charges it once more while the photon flies: a fraction of a per cent at 5 m.
    :data:`CHIPLET_9`: couplers between chips are as good as those on them [4], so a pair of
    neighbours is as good as one CZ of average infidelity g = 0.005 makes it: w = 1 - 4 g/3, of which each
    end has the square root, and F = (1 + 3 w)/4 = 0.995.
    :data:`CHIPLETS_108`: on a chip each transmon interacts with its neighbours in the square, between chips
    the transmons in the middle of two sides that face each other do, as well as was published for
    the first such device [6], which is worse than on the chip; with the figure of [4] instead,
    override ``couplings``.
Not modelled
    The coupling graph of the smaller nodes: any two of their transmons can interact. Leakage, cross talk, two-level
    systems and drifts, residual excitation; heating by optical pulses beyond ``interval_s``; parallel
    gates; that a chiplet's transmons differ (figures are medians).
Units
    Microwave photons have a wavelength as any other: c/f in vacuum. Fibre loss is not known there, so
    a link of waveguides states ``loss_db_per_km``.
Sources
    [1] Xie et al., "Scalable microwave-to-optical transducers at single photon level with spins",
        arXiv:2407.08879
    [2] Figures of chips of 36 and 108 qubits in the press, median two-qubit fidelity 0.995
    [3] Magnard et al., "Microwave quantum link between superconducting circuits housed in spatially
        separated cryogenic systems", PRL 125, 260502 (2020), arXiv:2008.01642
    [4] Field et al., "Modular superconducting qubit architecture with a multi-chip tunable
        coupler", arXiv:2308.09240
    [5] Kurpiers et al., "Deterministic quantum state transfer and remote entanglement using
        microwave photons", Nature 558, 264 (2018)
    [6] Gold et al., "Entanglement across separate silicon dies in a modular superconducting qubit
        device", npj Quantum Information 7, 142 (2021), arXiv:2102.13293
"""

from __future__ import annotations

from typing import Final

from qnet.hardware import Coherence, Coupling, Emission, Operation, Platform, Readout
from qnet.seams import Figure, PlatformSheet
from qnet_nodes.cited import (
    AT_REST,
    FRAMES,
    NO_TRANSDUCER,
    ONE_CHANNEL,
    QUIET_ATTEMPTS,
    TOGETHER,
    assumed,
    derived,
    found,
    memory,
)

_XIE = "Xie 2024, arXiv:2407.08879"
_PRESS = "press figures of chips of 36 and 108 qubits"
_MAGNARD = "Magnard 2020, PRL 125, 260502"
_FIELD = "Field 2023, arXiv:2308.09240"
_KURPIERS = "Kurpiers 2018, Nature 558, 264"
_GOLD = "Gold 2021, npj Quantum Information 7, 142"

_TRANSMON: Final = Coherence(t1_s=40e-6, t2_s=20e-6)
_GATE_1Q: Final = Operation(duration_s=40e-9, fidelity=0.999)
_GATE_2Q: Final = Operation(duration_s=70e-9, fidelity=0.995)
_INITIALISE: Final = Operation(duration_s=1e-6, fidelity=0.99)
_READOUT: Final = Readout(duration_s=1.5e-6, error_0_prob=0.03, error_1_prob=0.03)

_LOCAL_FIGURES: Final[tuple[Figure, ...]] = (
    *memory("30 to 50 us, the middle", "communication.t1_s", "memory.t1_s"),
    *memory("15 to 30 us, 20 us taken", "communication.t2_s", "memory.t2_s"),
    *memory("about 40 ns", "gate_1q.duration_s"),
    *memory("fidelity 0.999", "gate_1q.fidelity"),
    *memory("55 to 75 ns, 70 ns taken", "gate_2q.duration_s"),
    *found(f"{_PRESS}: median 0.995", "gate_2q.fidelity"),
    *assumed(f"{_PRESS}: CZ or iSWAP, CZ taken", "entangler"),
    *FRAMES,
    *assumed("active reset, about 1 us", "initialise.duration_s"),
    *assumed("active reset, a round value", "initialise.fidelity"),
    *memory("1 to 2 us, the middle", "readout.duration_s"),
    *memory("fidelity 0.95 to 0.98, 0.97 taken", "readout.error_0_prob", "readout.error_1_prob"),
)
"""Figures that the three sheets share: one class of transmons."""

_NO_PAUSES: Final = assumed("resets are in the interval", "emission.duty_prob")

TRANSMON_TRANSDUCER = PlatformSheet(
    name="transmon-transducer",
    title="transmons with a microwave-to-optical transducer, N_add as published: heralds nothing",
    platform=Platform(
        species="transmon",
        communication_slots=1,
        memory_slots=4,
        communication=_TRANSMON,
        memory=_TRANSMON,
        gate_1q=_GATE_1Q,
        gate_2q=_GATE_2Q,
        entangler="CZ",
        virtual_z=True,
        initialise=_INITIALISE,
        readout=_READOUT,
        emission=Emission(
            wavelength_m=1550e-9,
            efficiency_prob=0.01,
            interval_s=100e-6,
            preparation_s=1e-6,
            lifetime_s=1e-6,
            noise_photons=1.24,
        ),
    ),
    figures=(
        *assumed("no such node has been built", "species"),
        *assumed("one transducer", "communication_slots"),
        *assumed("a small processor", "memory_slots"),
        *_LOCAL_FIGURES,
        *assumed(
            f"telecom band; the transducer of {_XIE} works near 984 nm", "emission.wavelength_m"
        ),
        *found(
            f"{_XIE}: per cent level, 0.01 taken; excludes fibre and detector",
            "emission.efficiency_prob",
        ),
        *assumed("0.1 to 100 kHz, limited by heating; 10 kHz taken", "emission.interval_s"),
        *assumed("gate and emission of the microwave photon", "emission.preparation_s"),
        *assumed(
            "not published: the transducer's errors are its noise", "emission.spin_photon_fidelity"
        ),
        *assumed("pulses of about 1 us", "emission.lifetime_s"),
        *_NO_PAUSES,
        *ONE_CHANNEL,
        *found(f"{_XIE}: 1.24(9) added photons", "emission.noise_photons"),
        *QUIET_ATTEMPTS,
        *TOGETHER,
    ),
)
"""One communication and four memory transmons behind a noisy transducer."""

TRANSMON_WAVEGUIDE = PlatformSheet(
    name="transmon-waveguide",
    title="transmons that exchange shaped microwave photons through a cold waveguide, 6 GHz",
    platform=Platform(
        species="transmon",
        communication_slots=1,
        memory_slots=4,
        communication=_TRANSMON,
        memory=_TRANSMON,
        gate_1q=_GATE_1Q,
        gate_2q=_GATE_2Q,
        entangler="CZ",
        virtual_z=True,
        initialise=_INITIALISE,
        readout=_READOUT,
        emission=Emission(
            wavelength_m=0.05,
            efficiency_prob=0.8775,
            interval_s=100e-6,
            preparation_s=0.5e-6,
            spin_photon_fidelity=0.947,
        ),
    ),
    figures=(
        *found(_MAGNARD, "species"),
        *found(f"{_MAGNARD}: one transmon at each end of the waveguide", "communication_slots"),
        *assumed("a small processor beside it", "memory_slots"),
        *_LOCAL_FIGURES,
        *assumed("6 GHz, c/f = 0.05 m", "emission.wavelength_m"),
        *memory(
            f"{_KURPIERS}: 23 % of the photons lost from end to end, of which each end has the root; "
            "no detector",
            "emission.efficiency_prob",
        ),
        *assumed(f"{_MAGNARD}: about 10 kHz", "emission.interval_s"),
        *assumed("drive of a shaped photon, a round value", "emission.preparation_s"),
        *derived(
            f"{_MAGNARD}: pair fidelity 0.795 at 5 m, as remembered, less the loss",
            "emission.spin_photon_fidelity",
        ),
        *derived("shaped to be absorbed by the other end", "emission.lifetime_s"),
        *_NO_PAUSES,
        *ONE_CHANNEL,
        *NO_TRANSDUCER,
        *QUIET_ATTEMPTS,
        *TOGETHER,
    ),
)
"""One communication and four memory transmons at a cold waveguide."""

CHIPLET_9 = PlatformSheet(
    name="chiplet-9",
    title="chip of nine transmons, joined to its neighbours by couplers",
    platform=Platform(
        species="transmon",
        communication_slots=4,
        memory_slots=5,
        communication=_TRANSMON,
        memory=_TRANSMON,
        gate_1q=_GATE_1Q,
        gate_2q=_GATE_2Q,
        entangler="CZ",
        virtual_z=True,
        initialise=_INITIALISE,
        readout=_READOUT,
        emission=Emission(
            wavelength_m=0.06,
            efficiency_prob=1.0,
            interval_s=1e-6,
            preparation_s=70e-9,
            spin_photon_fidelity=0.9975,
        ),
    ),
    figures=(
        *memory(f"{_PRESS}: chips of nine transmons", "species"),
        *assumed(
            "a square of three by three: one transmon to each of four sides", "communication_slots"
        ),
        *derived("nine in all", "memory_slots"),
        *_LOCAL_FIGURES,
        *assumed("5 GHz, c/f = 0.06 m; no photon travels", "emission.wavelength_m"),
        *derived("a coupler loses nothing; no detector", "emission.efficiency_prob"),
        *assumed("active reset of both transmons", "emission.interval_s"),
        *derived("one gate between chips, as long as on the chip", "emission.preparation_s"),
        *derived(
            f"{_FIELD}: as good as on the chip; w = sqrt(1 - 4 g/3), g = 0.005",
            "emission.spin_photon_fidelity",
        ),
        *derived("no photon travels", "emission.lifetime_s"),
        *_NO_PAUSES,
        *ONE_CHANNEL,
        *NO_TRANSDUCER,
        *QUIET_ATTEMPTS,
        *TOGETHER,
    ),
)
"""Nine transmons, four of which face a neighbour."""

SIDE: Final = 3
"""Transmons along the side of a chip."""


def chips(rows: int, columns: int, on_chip: Operation, between: Operation) -> tuple[Coupling, ...]:
    """Couplings of a carrier of square chips, numbered row by row, and so are the transmons of each.

    Args:
        rows: of chips on the carrier.
        columns: of chips.
        on_chip: gate of two neighbours on a chip.
        between: gate of the two middle transmons of sides of two chips that face each other.
    """

    def slot(row: int, column: int, down: int, right: int) -> int:
        return ((row * columns + column) * SIDE + down) * SIDE + right

    found = []
    middle, last = SIDE // 2, SIDE - 1
    for row in range(rows):
        for column in range(columns):
            for down in range(SIDE):
                for right in range(SIDE):
                    here = slot(row, column, down, right)
                    if right < last:
                        found.append(Coupling((here, here + 1), on_chip))
                    if down < last:
                        found.append(Coupling((here, here + SIDE), on_chip))
            if column + 1 < columns:
                ends = slot(row, column, middle, last), slot(row, column + 1, middle, 0)
                found.append(Coupling(ends, between))
            if row + 1 < rows:
                ends = slot(row, column, last, middle), slot(row + 1, column, 0, middle)
                found.append(Coupling(ends, between))
    return tuple(found)


CHIPLETS_108 = PlatformSheet(
    name="chiplets-108",
    title="twelve chips of nine transmons on one carrier as one processor, with its couplings",
    platform=Platform(
        species="transmon",
        communication_slots=1,
        memory_slots=107,
        communication=_TRANSMON,
        memory=_TRANSMON,
        gate_1q=_GATE_1Q,
        gate_2q=_GATE_2Q,
        entangler="CZ",
        virtual_z=True,
        couplings=chips(3, 4, _GATE_2Q, Operation(duration_s=70e-9, fidelity=0.983)),
        initialise=_INITIALISE,
        readout=_READOUT,
        emission=CHIPLET_9.platform.emission,
    ),
    figures=(
        *memory(f"{_PRESS}: twelve chips of nine transmons", "species"),
        *assumed("a corner transmon may face another carrier", "communication_slots"),
        *derived("twelve times nine in all", "memory_slots"),
        *_LOCAL_FIGURES,
        *derived(
            f"on the chip as gate_2q, whose median stays that of all couplings; between chips {_GOLD}: CZ "
            "0.983(3), one coupler per pair of sides assumed",
            "couplings",
        ),
        *AT_REST,
        *(one for one in CHIPLET_9.figures if one.path.startswith("emission.")),
        *QUIET_ATTEMPTS,
    ),
)
"""A hundred and eight transmons with 144 couplings on chips and 17 between them."""
