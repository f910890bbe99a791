"""Neutral atoms: single rubidium atoms (free space, cavity) and an ytterbium array at 1389 nm.

Theory
    A trapped 87Rb atom emits at 780 nm, entangled in polarisation with its spin: collected by an
    objective :data:`RB87_MUNICH`, or into a cavity of one mirror :data:`RB87_CAVITY`, which is more
    likely by an order of magnitude. 171Yb emits at 1389 nm, in the telecom band already; an array
    of atoms imaged on an array of fibres attempts in all of them at once :data:`YB171_ARRAY`.
Validity
    The converter to telecom is not in these sheets: it belongs to the link (``converters``; for
    [1] one stage to 1517 nm with efficiency 0.57), and so does the fibre. The efficiency of Munich is
    without the detector (station: 0.85 [1]); those of cavity and array are totals with the detector
    (station: 1). With them the 33 km link of [1] comes out at 0.013 pairs/s, published are 0.01.
    A photon of 26.2 ns matches none of an ion: V = 0.71 with barium, which the link works out from
    ``lifetime_s``. Lifetimes of shaped photons are round values: where both ends shape their photons
    alike, override them with 0.
Not modelled
    Loss and reloading of atoms, the return of read-out light on neighbours, transport between
    zones, the dephasing of moving atoms that is not exponential in time; that a slow read-out loses
    the atom. One array link uses one slot for all its channels.
Sources
    [1] van Leent et al., "Entangling single atoms over 33 km telecom fibre", Nature 607, 69 (2022)
    [2] Zhou et al., arXiv:2308.08892: an encoding that lives 7 ms
    [3] Evered et al., "High-fidelity parallel entangling gates on a neutral-atom quantum
        computer", Nature 622, 268 (2023)
    [4] Bluvstein et al., "A quantum processor based on coherent transport of entangled atom
        arrays", Nature 604, 451 (2022)
    [5] Li et al., "Parallelized telecom quantum networking with a ytterbium-171 atom array",
        arXiv:2502.17406
    [6] Muniz et al., "High-fidelity universal gates in the 171Yb ground state nuclear spin qubit",
        arXiv:2411.11708
"""

from __future__ import annotations

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.seams import PlatformSheet
from qnet_nodes.cited import (
    FRAMES,
    NO_PAUSES,
    NO_TRANSDUCER,
    ONE_CHANNEL,
    ONE_SLOT,
    QUIET_ATTEMPTS,
    TOGETHER,
    assumed,
    found,
    memory,
)

_VAN_LEENT = "van Leent 2022, Nature 607, 69"
_EVERED = "Evered 2023, Nature 622, 268"
_BLUVSTEIN = "Bluvstein 2022, Nature 604, 451"
_LI = "Li 2025, arXiv:2502.17406"
_MUNIZ = "Muniz 2024, arXiv:2411.11708"

_SINGLE_ATOM = Coherence(t1_s=1.0, t2_s=0.33e-3)

RB87_MUNICH = PlatformSheet(
    name="rb87-munich",
    title="single rubidium-87 atom, objective and fibre, 780 nm",
    platform=Platform(
        species="87Rb",
        communication_slots=1,
        memory_slots=0,
        communication=_SINGLE_ATOM,
        memory=_SINGLE_ATOM,
        gate_1q=Operation(duration_s=10e-6, fidelity=0.99),
        gate_2q=Operation(duration_s=1e-6, fidelity=0.99),
        virtual_z=True,
        initialise=Operation(duration_s=1e-3, fidelity=0.99),
        readout=Readout(duration_s=1e-6, error_0_prob=0.04, error_1_prob=0.04),
        emission=Emission(
            wavelength_m=780e-9,
            efficiency_prob=0.010,
            interval_s=30e-6,
            preparation_s=30e-6,
            spin_photon_fidelity=0.95,
            lifetime_s=26.2e-9,
        ),
    ),
    figures=(
        *found(_VAN_LEENT, "species"),
        *found(f"{_VAN_LEENT}: one atom per node", "communication_slots", "memory_slots"),
        *assumed("lifetime of the trapped atom: seconds", "communication.t1_s"),
        *memory(
            f"{_VAN_LEENT}: 330 us; 7 ms with the encoding of arXiv:2308.08892, by an override",
            "communication.t2_s",
        ),
        *assumed("microwave or Raman rotation, a round value", "gate_1q.duration_s"),
        *assumed("0.99, a round value", "gate_1q.fidelity"),
        *ONE_SLOT,
        *assumed("cooling and pumping take milliseconds", "initialise.duration_s"),
        *assumed("optical pumping, a round value", "initialise.fidelity"),
        *assumed("state-selective ionisation, less than 1 us", "readout.duration_s"),
        *assumed("fidelity about 0.96", "readout.error_0_prob", "readout.error_1_prob"),
        *memory(f"{_VAN_LEENT}: D2 line, 780 nm", "emission.wavelength_m"),
        *memory(
            f"{_VAN_LEENT}: about 1 % before conversion; excludes converter, fibre and detector",
            "emission.efficiency_prob",
        ),
        *memory(
            f"{_VAN_LEENT}: attempts follow each other after the light time and about 30 us",
            "emission.interval_s",
            "emission.preparation_s",
        ),
        *assumed(f"{_VAN_LEENT}: about 0.95 at the node", "emission.spin_photon_fidelity"),
        *memory("5P3/2 level of 87Rb, 26.2 ns", "emission.lifetime_s"),
        *NO_PAUSES,
        *ONE_CHANNEL,
        *NO_TRANSDUCER,
        *QUIET_ATTEMPTS,
        *FRAMES,
    ),
)
"""One 87Rb atom: makes a pair, holds it for a third of a millisecond."""

_ZONED = Coherence(t1_s=4.0, t2_s=1.5)

RB87_CAVITY = PlatformSheet(
    name="rb87-cavity",
    title="rubidium-87 atoms of an array, some of them in a cavity, 780 nm",
    platform=Platform(
        species="87Rb",
        communication_slots=2,
        memory_slots=10,
        communication=_ZONED,
        memory=_ZONED,
        gate_1q=Operation(duration_s=1e-6, fidelity=0.9997),
        gate_2q=Operation(duration_s=0.3e-6, fidelity=0.995),
        entangler="CZ",
        virtual_z=True,
        initialise=Operation(duration_s=1e-3, fidelity=0.99),
        readout=Readout(duration_s=5e-3, error_0_prob=2e-3, error_1_prob=2e-3),
        emission=Emission(
            wavelength_m=780e-9,
            efficiency_prob=0.2,
            interval_s=50e-6,
            preparation_s=10e-6,
            spin_photon_fidelity=0.95,
            lifetime_s=0.3e-6,
        ),
    ),
    figures=(
        *found(f"{_EVERED}: gates on 87Rb; the cavity is of other nodes", "species"),
        *assumed("one atom per link, two links", "communication_slots"),
        *assumed("arrays hold 100 to 1000; ten suffice for a link node", "memory_slots"),
        *assumed("4 s, vacuum and Raman scattering", "communication.t1_s", "memory.t1_s"),
        *memory(f"{_BLUVSTEIN}: 1.5 s with decoupling pulses", "communication.t2_s", "memory.t2_s"),
        *memory("rotation in about 1 us", "gate_1q.duration_s"),
        *memory("fidelity 0.9997", "gate_1q.fidelity"),
        *assumed(f"{_EVERED}: about 0.3 us", "gate_2q.duration_s"),
        *found(f"{_EVERED}: CZ 0.995 on 60 atoms in parallel", "gate_2q.fidelity"),
        *assumed("cooling and pumping take milliseconds", "initialise.duration_s"),
        *assumed("0.99 to 0.999, taken at the lower end", "initialise.fidelity"),
        *memory("5 to 10 ms, 0.5 ms where it is fast", "readout.duration_s"),
        *memory("imaging, fidelity 0.998", "readout.error_0_prob", "readout.error_1_prob"),
        *assumed("D2 line of 87Rb", "emission.wavelength_m"),
        *memory("0.1 to 0.3 in all; includes path and detector", "emission.efficiency_prob"),
        *assumed("10 to 50 kHz, 20 kHz taken", "emission.interval_s"),
        *assumed("pumping before the control pulse", "emission.preparation_s"),
        *assumed("0.9 to 0.98, the middle", "emission.spin_photon_fidelity"),
        *assumed(
            "shaped by a control pulse of some hundred nanoseconds; 0 if shaped like the other's",
            "emission.lifetime_s",
        ),
        *NO_PAUSES,
        *ONE_CHANNEL,
        *NO_TRANSDUCER,
        *QUIET_ATTEMPTS,
        *found(f"{_EVERED}: CZ by a Rydberg pulse", "entangler"),
        *FRAMES,
        *TOGETHER,
    ),
)
"""Two communication and ten memory atoms; emission into a cavity. A design, not one experiment."""

_NUCLEAR = Coherence(t1_s=10.0, t2_s=1.0)

YB171_ARRAY = PlatformSheet(
    name="yb171-array",
    title="array of ytterbium-171 atoms, ten telecom channels at 1389 nm in parallel",
    platform=Platform(
        species="171Yb",
        communication_slots=10,
        memory_slots=10,
        communication=_NUCLEAR,
        memory=_NUCLEAR,
        gate_1q=Operation(duration_s=2e-6, fidelity=0.9995),
        gate_2q=Operation(duration_s=0.5e-6, fidelity=0.995),
        entangler="CZ",
        virtual_z=True,
        initialise=Operation(duration_s=1e-3, fidelity=0.99),
        readout=Readout(duration_s=5e-3, error_0_prob=1e-3, error_1_prob=1e-3),
        emission=Emission(
            wavelength_m=1389e-9,
            efficiency_prob=1e-3,
            interval_s=100e-6,
            preparation_s=20e-6,
            spin_photon_fidelity=0.95,
            lifetime_s=0.33e-6,
            modes=10,
        ),
    ),
    figures=(
        *found(_LI, "species"),
        *assumed("one atom for each of the ten channels", "communication_slots"),
        *assumed("as many memory atoms as communication atoms", "memory_slots"),
        *assumed("lifetime of the trapped atom: seconds", "communication.t1_s", "memory.t1_s"),
        *assumed("nuclear spin, about 1 s", "communication.t2_s", "memory.t2_s"),
        *assumed("Raman rotation of the nuclear spin, a round value", "gate_1q.duration_s"),
        *assumed("about 0.9995", "gate_1q.fidelity"),
        *assumed("Rydberg gate, a round value", "gate_2q.duration_s"),
        *memory(f"{_MUNIZ}: 0.994 to 0.997", "gate_2q.fidelity"),
        *assumed("cooling and pumping take milliseconds", "initialise.duration_s"),
        *assumed("0.99 or better, taken at the bound", "initialise.fidelity"),
        *assumed("imaging takes about 5 ms", "readout.duration_s"),
        *assumed("imaging, fidelity 0.999", "readout.error_0_prob", "readout.error_1_prob"),
        *found(f"{_LI}: 1389 nm, no conversion", "emission.wavelength_m"),
        *assumed(
            "about 1e-3 per channel in free space; includes path and detector",
            "emission.efficiency_prob",
        ),
        *assumed("about 10 kHz", "emission.interval_s"),
        *assumed("pumping and excitation before the decay", "emission.preparation_s"),
        *found(
            f"{_LI}: 0.950(9) corrected for read-out, 0.90(1) raw", "emission.spin_photon_fidelity"
        ),
        *memory("3D1 level of 171Yb, 0.33 us", "emission.lifetime_s"),
        *NO_PAUSES,
        *assumed(f"{_LI}: N channels, N times the rate; ten taken", "emission.modes"),
        *NO_TRANSDUCER,
        *found(
            f"{_LI}: coherence of a memory qubit is preserved during attempts, taken as wholly",
            "attempt_dephasing_prob",
        ),
        *found(f"{_MUNIZ}: CZ by a Rydberg pulse", "entangler"),
        *FRAMES,
        *TOGETHER,
    ),
)
"""Ten communication and ten memory atoms; no converter."""
