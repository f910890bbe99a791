"""An ideal processor: perfect qubits and gates, fast attempts, every figure meant to be overridden.

Theory
    Nothing is lost in the processor; what remains of a run is the link. Gates take a microsecond
    and attempts follow each other every ten, so that a network of ideal nodes makes pairs quickly
    and light times stay visible. Two communication slots let a node serve two links at once, two
    memory slots let it keep what it made.
Not modelled
    Everything that makes a processor real. Use it for tests, for protocol work and as the starting
    point of a platform given wholly in the topology.
Sources
    None: every figure is assumed, by definition of "ideal".
"""

from __future__ import annotations

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.seams import Figure, PlatformSheet

_PERFECT = "perfect by definition"
_ROUND = "a round value: fast, but not instantaneous"

IDEAL = PlatformSheet(
    name="ideal",
    title="perfect qubits and gates, to be overridden figure by figure",
    platform=Platform(
        species="ideal",
        communication_slots=2,
        memory_slots=2,
        communication=Coherence(),
        memory=Coherence(),
        gate_1q=Operation(duration_s=1e-6),
        gate_2q=Operation(duration_s=1e-6),
        initialise=Operation(duration_s=1e-6),
        readout=Readout(duration_s=1e-6),
        emission=Emission(
            wavelength_m=1550e-9,
            efficiency_prob=1.0,
            interval_s=10e-6,
            preparation_s=1e-6,
        ),
    ),
    figures=(
        Figure("species", "no atom has these figures", "assumed"),
        Figure("communication_slots", "serves two links at once", "assumed"),
        Figure("memory_slots", "keeps one qubit of each link", "assumed"),
        Figure("communication.t1_s", _PERFECT, "assumed"),
        Figure("communication.t2_s", _PERFECT, "assumed"),
        Figure("memory.t1_s", _PERFECT, "assumed"),
        Figure("memory.t2_s", _PERFECT, "assumed"),
        Figure("gate_1q.duration_s", _ROUND, "assumed"),
        Figure("gate_1q.fidelity", _PERFECT, "assumed"),
        Figure("gate_2q.duration_s", _ROUND, "assumed"),
        Figure("gate_2q.fidelity", _PERFECT, "assumed"),
        Figure("initialise.duration_s", _ROUND, "assumed"),
        Figure("initialise.fidelity", _PERFECT, "assumed"),
        Figure("readout.duration_s", _ROUND, "assumed"),
        Figure("readout.error_0_prob", _PERFECT, "assumed"),
        Figure("readout.error_1_prob", _PERFECT, "assumed"),
        Figure("emission.wavelength_m", "the low-loss window of standard fibre", "assumed"),
        Figure("emission.efficiency_prob", _PERFECT, "assumed"),
        Figure("emission.interval_s", _ROUND, "assumed"),
        Figure("emission.preparation_s", _ROUND, "assumed"),
        Figure("emission.spin_photon_fidelity", _PERFECT, "assumed"),
        Figure("emission.lifetime_s", "not stated: photons match those of any node", "assumed"),
        Figure("emission.duty_prob", _PERFECT, "assumed"),
        Figure(
            "emission.modes", "one attempt at a time, raise it to attempt in parallel", "assumed"
        ),
        Figure("emission.noise_photons", _PERFECT, "assumed"),
        Figure("attempt_dephasing_prob", _PERFECT, "assumed"),
        Figure("entangler", "every two-qubit gate in one go", "assumed"),
        Figure("virtual_z", "every gate takes its time, Z as well", "assumed"),
        Figure("couplings", "every two qubits interact", "assumed"),
        Figure("transport", "qubits stay where they are", "assumed"),
    ),
)
"""Two communication and two memory slots without errors."""
