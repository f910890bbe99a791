"""Colour centres in diamond: nitrogen vacancies (Delft) and silicon vacancies in cavities (Harvard).

Theory
    The electron spin of a colour centre emits or reflects the photon, nuclear spins beside it
    store. NV: 3 % of the photons are of the zero-phonon line, 637 nm; the link is a single-click
    one [1], [2], and a 13C spin keeps a state while the electron tries again. SiV: a nanophotonic
    cavity makes the centre reflect light in one spin state only; the link is a serial one, and a
    29Si spin stores for seconds [3], [4].
Validity
    :data:`NV_DELFT` converts the depolarising parameters of the public example configuration [5] to
    average fidelities (F = 1 - lambda/2 for one qubit, 1 - 3 lambda/4 for two, the noise read as
    acting on both qubits together; preparation: population 1 - lambda/2). The platform record has
    one single-qubit gate, one preparation and one read-out: those of the electron. 13C differs:
    lambda = 0.002 in 20 us and preparation lambda = 0.02 in 300 us; it is read through the electron.
    The NV's efficiency contains the detector (station: 1), that of SiV is the one of cavity and fibre
    alone. With them V = 0.9 and p_d = 1.5e-7 [5] belong to the link and the station of Delft.
    The electron of SiV idles with its T2 during a two-qubit gate, whose published fidelity holds that
    error already: a swap into the nucleus (three gates, 75 us) is pessimistic, 0.83 for the published
    nucleus-photon fidelity of 0.85(2), which comes from another gate [3]; without that decay 0.859.
    The conditional rotation of the NV [8] is taken as a CNOT in either direction; the rotation of the nucleus
    that it needs besides is in its figure. Two nuclear spins of the NV do not interact but through
    the electron; the sheet lets them.
    A reflected photon has the shape that its source gave it, not the emitter's: ``lifetime_s`` plays no part
    in a reflection link.
    A vendor of diamond memories publishes no parameters: SiV is what its acquired team has
    published, and a stand-in.
Not modelled
    That attempts dephase nuclear spins unequally, or more with a larger bright-state population; their
    effect on 29Si (not published); ionisation and spectral diffusion beyond the duty figure; the bath's
    non-exponential decay; heating of a cryostat; dependence of gates on which nuclear spin is used.
Sources
    [1] Humphreys et al., "Deterministic delivery of remote entanglement on a quantum network",
        Nature 558, 268 (2018)
    [2] Pompili et al., "Experimental demonstration of entanglement delivery using a quantum network
        stack", npj Quantum Information 8, 121 (2022)
    [3] Stas et al., "Robust multi-qubit quantum network node with integrated error detection",
        Science 378, 557 (2022)
    [4] Knaut et al., "Entanglement of nanophotonic quantum memory nodes in a telecom network",
        Nature 629, 573 (2024)
    [5] Example configurations of SquidASM, after the appendices A.5 and A.6 of arXiv:2207.10579
    [6] Bhaskar et al., "Experimental demonstration of memory-enhanced quantum communication", Nature
        580, 60 (2020)
    [7] Hermans et al., "Qubit teleportation between non-neighbouring nodes in a quantum network",
        Nature 605, 663 (2022): time-out of 1000 attempts
    [8] Taminiau et al., "Universal control and error correction in multi-qubit spin registers in
        diamond", Nature Nanotechnology 9, 171 (2014)
"""

from __future__ import annotations

import math

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.seams import PlatformSheet
from qnet_nodes.cited import (
    FRAMES,
    NO_PAUSES,
    NO_TRANSDUCER,
    ONE_CHANNEL,
    QUIET_ATTEMPTS,
    TOGETHER,
    assumed,
    derived,
    found,
    memory,
)

_HUMPHREYS = "Humphreys 2018, Nature 558, 268"
_SQUIDASM = "SquidASM example configuration"
_HERMANS = "Hermans 2022, Nature 605, 663"
_STAS = "Stas 2022, Science 378, 557"
_KNAUT = "Knaut 2024, Nature 629, 573"
_BHASKAR = "Bhaskar 2020, Nature 580, 60"
_TAMINIAU = "Taminiau 2014, Nature Nanotechnology 9, 171"

NV_DELFT = PlatformSheet(
    name="nv-delft",
    title="nitrogen vacancy: electron spin for the link, carbon-13 spins for the memory, 637 nm",
    platform=Platform(
        species="NV / 13C",
        communication_slots=1,
        memory_slots=2,
        communication=Coherence(t1_s=3600.0, t2_s=0.5),
        memory=Coherence(t1_s=36000.0, t2_s=1.0),
        gate_1q=Operation(duration_s=5e-9, fidelity=0.995),
        gate_2q=Operation(duration_s=500e-6, fidelity=0.955),
        entangler="CNOT",
        virtual_z=True,
        initialise=Operation(duration_s=2e-6, fidelity=0.995),
        readout=Readout(duration_s=3.7e-6, error_0_prob=0.07, error_1_prob=0.005),
        emission=Emission(
            wavelength_m=637e-9,
            efficiency_prob=5.1e-4,
            interval_s=5.5e-6,
            preparation_s=2e-6,
            spin_photon_fidelity=0.95,
            lifetime_s=12e-9,
            duty_prob=0.85,
        ),
        attempt_dephasing_prob=3.33e-4,
    ),
    figures=(
        *found(_SQUIDASM, "species"),
        *found(f"{_SQUIDASM}: one electron spin", "communication_slots"),
        *assumed("one to four 13C spins per centre, two taken", "memory_slots"),
        *found(f"{_SQUIDASM}: 1 h", "communication.t1_s"),
        *found(f"{_SQUIDASM}: 0.5 s with decoupling", "communication.t2_s"),
        *found(f"{_SQUIDASM}: 10 h", "memory.t1_s"),
        *found(f"{_SQUIDASM}: 1 s", "memory.t2_s"),
        *found(f"{_SQUIDASM}: electron, 5 ns", "gate_1q.duration_s"),
        *derived(f"{_SQUIDASM}: electron, lambda = 0.01, F = 1 - lambda/2", "gate_1q.fidelity"),
        *found(f"{_SQUIDASM}: electron and 13C, 500 us", "gate_2q.duration_s"),
        *derived(f"{_SQUIDASM}: lambda = 0.06, F = 1 - 3 lambda/4", "gate_2q.fidelity"),
        *found(f"{_SQUIDASM}: electron, 2 us", "initialise.duration_s"),
        *derived(f"{_SQUIDASM}: electron, lambda = 0.01, 1 - lambda/2", "initialise.fidelity"),
        *found(f"{_SQUIDASM}: 3.7 us", "readout.duration_s"),
        *found(f"{_SQUIDASM}: 0.07 that 0 is read as 1", "readout.error_0_prob"),
        *found(f"{_SQUIDASM}: 0.005 that 1 is read as 0", "readout.error_1_prob"),
        *memory("zero-phonon line of NV, 3 % of the photons", "emission.wavelength_m"),
        *found(
            f"{_SQUIDASM}: 5.1e-4; includes zero-phonon share, path and detector",
            "emission.efficiency_prob",
        ),
        *memory(f"{_HUMPHREYS}: attempts every 5.5 us", "emission.interval_s"),
        *assumed("preparation of the electron, 2 us, comes first", "emission.preparation_s"),
        *assumed("fidelity about 0.95", "emission.spin_photon_fidelity"),
        *memory("excited state of NV, 12 ns", "emission.lifetime_s"),
        *memory(f"{_HUMPHREYS}: about 0.85, the rest is charge checks", "emission.duty_prob"),
        *ONE_CHANNEL,
        *NO_TRANSDUCER,
        *derived(
            f"{_HERMANS}: 13C lives for N = 1000 to 2000 attempts (1/e), 1500 taken, p = 1/(2 N)",
            "attempt_dephasing_prob",
        ),
        *memory(f"{_TAMINIAU}: rotation of the nucleus conditional on the electron", "entangler"),
        *FRAMES,
        *TOGETHER,
    ),
)
"""One NV electron spin and two 13C spins."""

SIV_HARVARD = PlatformSheet(
    name="siv-harvard",
    title="silicon vacancy in a nanophotonic cavity, silicon-29 memory of 2.1 s, 737 nm",
    platform=Platform(
        species="SiV / 29Si",
        communication_slots=1,
        memory_slots=1,
        communication=Coherence(t1_s=1.0, t2_s=1e-3),
        memory=Coherence(t1_s=math.inf, t2_s=2.1),
        gate_1q=Operation(duration_s=30e-9, fidelity=0.99),
        gate_2q=Operation(duration_s=25e-6, fidelity=0.98),
        entangler="CNOT",
        virtual_z=True,
        initialise=Operation(duration_s=50e-6, fidelity=0.99),
        readout=Readout(duration_s=30e-6, error_0_prob=2e-4, error_1_prob=2e-4),
        emission=Emission(
            wavelength_m=737e-9,
            efficiency_prob=0.3,
            interval_s=1e-6,
            preparation_s=0.3e-6,
            spin_photon_fidelity=0.91,
            lifetime_s=1.7e-9,
        ),
    ),
    figures=(
        *found(f"{_STAS}; {_KNAUT}", "species"),
        *found(f"{_STAS}: one electron spin", "communication_slots"),
        *found(f"{_STAS}: one 29Si spin", "memory_slots"),
        *memory("seconds at 0.1 K, a round value", "communication.t1_s"),
        *memory("milliseconds with decoupling, a round value", "communication.t2_s"),
        *assumed("nuclear spin: no decay within the storage times", "memory.t1_s"),
        *found(f"{_STAS}: 2.1(1) s with a 128-XY8 sequence", "memory.t2_s"),
        *memory("microwave pulse, 30 ns", "gate_1q.duration_s"),
        *memory("0.99 or better, taken at the bound", "gate_1q.fidelity"),
        *memory("electron and nucleus, 10 to 40 us, the middle", "gate_2q.duration_s"),
        *memory("electron and nucleus, 0.98", "gate_2q.fidelity"),
        *assumed("read-out and conditional flip, about 50 us", "initialise.duration_s"),
        *assumed("conditional flip, a round value", "initialise.fidelity"),
        *memory(f"{_BHASKAR}: about 30 us", "readout.duration_s"),
        *memory(f"{_BHASKAR}: fidelity 0.9998", "readout.error_0_prob", "readout.error_1_prob"),
        *memory(f"{_KNAUT}: zero-phonon line of SiV, 737 nm", "emission.wavelength_m"),
        *memory(
            "cavity to fibre, tens of per cent, 0.3 taken; excludes converter, fibre and detector",
            "emission.efficiency_prob",
        ),
        *assumed("microseconds, a round value", "emission.interval_s"),
        *assumed("two time bins and a microwave pulse between", "emission.preparation_s"),
        *found(
            f"{_STAS}: electron-photon fidelity 0.91(2) at 0.1 K", "emission.spin_photon_fidelity"
        ),
        *memory(
            "excited state of SiV in bulk, 1.7 ns; a cavity shortens it", "emission.lifetime_s"
        ),
        *NO_PAUSES,
        *ONE_CHANNEL,
        *NO_TRANSDUCER,
        *QUIET_ATTEMPTS,
        *memory(f"{_STAS}: CNOT of nucleus on electron and of electron on nucleus", "entangler"),
        *FRAMES,
        *TOGETHER,
    ),
)
"""One SiV electron spin and one 29Si spin."""
