"""Ytterbium ions: a commercial chain for the gates, the modular link of 2015 for the photons.

Theory
    A 171Yb+ ion emits at 370 nm; the colour of the photon is entangled with the hyperfine state of
    the ion. A lens collects it, a beam splitter and two detectors herald a pair [1]. The qubit's
    clock states keep their phase for seconds, and any ion of the chain can serve.
Validity
    One sheet of two machines, neither of which has both: local figures are those that a vendor
    states for a chain of 25 [2], the link is that of two traps with one or two ions [1].
    ``efficiency_prob`` is derived from the published rate at the attempt rate and therefore
    contains path and detector: use it with a station of detector efficiency 1. State preparation
    and read-out are published as one figure, which is counted in the read-out.
Not modelled
    Cross talk of the resonant photon light with other ions of the same species (why later machines
    use a second one), re-cooling, transport, gates that are slower for distant ions.
Sources
    [1] Hucul et al., "Modular entanglement of atomic qubits using photons and phonons", Nature
        Physics 11, 37 (2015)
    [2] Provider page of a cloud service for the vendor's Aria machine
    [3] The vendor's guide to native gates: GPI, GPI2, virtual Z, MS
    [4] Wang et al., "Single ion qubit with estimated coherence time exceeding one hour", Nat.
        Commun. 12, 233 (2021)
"""

from __future__ import annotations

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.seams import PlatformSheet
from qnet_nodes.cited import (
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

_HUCUL = "Hucul 2015, Nature Physics 11, 37"
_VENDOR = "provider page of the vendor's chain of 25 ions"
_NATIVE = "vendor's guide to native gates"

_CLOCK = Coherence(t1_s=10.0, t2_s=1.0)

YB171 = PlatformSheet(
    name="yb171",
    title="chain of 25 ytterbium-171 ions with the photon link of 2015, 370 nm",
    platform=Platform(
        species="171Yb+",
        communication_slots=1,
        memory_slots=24,
        communication=_CLOCK,
        memory=_CLOCK,
        gate_1q=Operation(duration_s=135e-6, fidelity=0.9995),
        gate_2q=Operation(duration_s=600e-6, fidelity=0.996),
        entangler="XX",
        virtual_z=True,
        initialise=Operation(duration_s=20e-6, fidelity=1.0),
        readout=Readout(duration_s=200e-6, error_0_prob=0.0039, error_1_prob=0.0039),
        emission=Emission(
            wavelength_m=370e-9,
            efficiency_prob=0.0044,
            interval_s=2.13e-6,
            preparation_s=1e-6,
            spin_photon_fidelity=0.9,
            lifetime_s=8.1e-9,
        ),
    ),
    figures=(
        *found(f"{_HUCUL}; {_VENDOR}", "species"),
        *found(f"{_HUCUL}: one ion of each trap emits", "communication_slots"),
        *found(f"{_VENDOR}: 25 ions in all", "memory_slots"),
        *found(
            f"{_VENDOR}: 10 to 100 s, taken at the lower end", "communication.t1_s", "memory.t1_s"
        ),
        *found(f"{_VENDOR}: 1 s", "communication.t2_s"),
        *found(f"{_VENDOR}: 1 s; laboratories hold more than an hour", "memory.t2_s"),
        *found(f"{_VENDOR}: 135 us", "gate_1q.duration_s"),
        *found(f"{_VENDOR}: 0.9995", "gate_1q.fidelity"),
        *found(f"{_VENDOR}: 600 us", "gate_2q.duration_s"),
        *found(f"{_VENDOR}: 0.996", "gate_2q.fidelity"),
        *assumed("optical pumping, about 20 us", "initialise.duration_s"),
        *derived("counted in the read-out: one published figure for both", "initialise.fidelity"),
        *memory(f"{_VENDOR}: about 0.2 ms", "readout.duration_s"),
        *found(
            f"{_VENDOR}: preparation and read-out 0.9961 together",
            "readout.error_0_prob",
            "readout.error_1_prob",
        ),
        *memory(f"{_HUCUL}: S1/2 - P1/2 line", "emission.wavelength_m"),
        *derived(
            f"{_HUCUL}: sqrt(2 p), p = 4.5/s at 470 kHz; includes fibre and detector",
            "emission.efficiency_prob",
        ),
        *memory(f"{_HUCUL}: attempt rate 470 kHz", "emission.interval_s"),
        *assumed("optical pumping before the excitation pulse", "emission.preparation_s"),
        *assumed(f"{_HUCUL}: about 0.9", "emission.spin_photon_fidelity"),
        *memory("P1/2 level of 171Yb+, 8.1 ns", "emission.lifetime_s"),
        *NO_PAUSES,
        *ONE_CHANNEL,
        *NO_TRANSDUCER,
        *QUIET_ATTEMPTS,
        *found(f"{_NATIVE}: MS on the chain of 25, virtual Z", "entangler", "virtual_z"),
        *TOGETHER,
    ),
)
"""25 171Yb+ ions, one of which emits."""
