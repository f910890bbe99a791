"""Calcium ions in an optical cavity: the Innsbruck nodes, photons at 854 nm.

Theory
    A 40Ca+ ion sits in the waist of a cavity of 20 mm. A Raman pulse of tens of microseconds drives
    it from S1/2 over the cavity's mode to D5/2, so that one photon leaves through one mirror, its
    polarisation entangled with the Zeeman state of D5/2 [1], [2]. The cavity collects a photon
    far better than a lens does, and 854 nm converts well to telecom wavelengths (a ``converters``
    entry of the link); the price is a slow attempt and a long photon.
Validity
    Gates and times are those of the public example configuration [4], whose depolarising
    parameters are converted here to average fidelities (1 - lambda/2 for one qubit, 1 - 3 lambda/4
    for two, the noise read as acting on both qubits together). ``efficiency_prob`` is the mean
    *detection* probability of ten ions of [3]: it contains path and detector, so use it with a
    station of detector efficiency 1. The two-node link of 230 m of [2] has p = 4e-5, hundred times
    less than this figure gives: its paths, filters and single-mode fibres are not in it.
Not modelled
    Scattering during the Raman pulse as a cause of infidelity of its own (it is in the
    spin-photon figure); addressing of one ion of a string; the ten-photon train as one attempt;
    the non-exponential shape of the photon.
Sources
    [1] Krutyanskiy et al., "Telecom-wavelength quantum repeater node based on a trapped-ion
        processor", PRL 130, 213601 (2023)
    [2] Krutyanskiy et al., "Entanglement of trapped-ion qubits separated by 230 meters", PRL 130,
        050803 (2023)
    [3] Canteri et al., "A photon-interfaced ten-qubit quantum network node", arXiv:2406.09480
    [4] Example configurations of SquidASM, after the appendices A.5 and A.6 of arXiv:2207.10579
    [5] Pogorelov et al., "Compact ion-trap quantum computing demonstrator", PRX Quantum 2, 020343
        (2021): gates of the same group
"""

from __future__ import annotations

import math

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

_REPEATER = "Krutyanskiy 2023, PRL 130, 213601"
_CANTERI = "Canteri 2024, arXiv:2406.09480"
_SQUIDASM = "SquidASM example configuration"
_POGORELOV = "Pogorelov 2021, PRX Quantum 2, 020343"

CA40_CAVITY = PlatformSheet(
    name="ca40-cavity",
    title="two calcium-40 ions in an optical cavity, photons at 854 nm",
    platform=Platform(
        species="40Ca+",
        communication_slots=2,
        memory_slots=0,
        communication=Coherence(t1_s=math.inf, t2_s=85e-3),
        memory=Coherence(t1_s=math.inf, t2_s=62e-3),
        gate_1q=Operation(duration_s=26.6e-6, fidelity=0.99),
        gate_2q=Operation(duration_s=107e-6, fidelity=0.925),
        entangler="XX",
        initialise=Operation(duration_s=36e-6, fidelity=0.999),
        readout=Readout(duration_s=1.5e-3, error_0_prob=1e-3, error_1_prob=1e-3),
        emission=Emission(
            wavelength_m=854e-9,
            efficiency_prob=0.091,
            interval_s=400e-6,
            preparation_s=200e-6,
            spin_photon_fidelity=0.92,
            lifetime_s=10e-6,
        ),
    ),
    figures=(
        *found(f"{_CANTERI}; {_REPEATER}", "species"),
        *found(
            f"{_REPEATER}: two ions at the repeater node; up to ten in {_CANTERI}, by an override",
            "communication_slots",
        ),
        *assumed("all ions emit through the cavity: none is a memory only", "memory_slots"),
        *derived("no decay on the scale of a run", "communication.t1_s", "memory.t1_s"),
        *found(f"{_SQUIDASM}: 85 ms", "communication.t2_s"),
        *memory(
            f"{_REPEATER}: about 62 ms with spin echoes, range 62 to 85 ms; unused", "memory.t2_s"
        ),
        *found(f"{_SQUIDASM}: 26.6 us", "gate_1q.duration_s"),
        *derived(f"{_SQUIDASM}: lambda = 0.02, F = 1 - lambda/2", "gate_1q.fidelity"),
        *found(f"{_SQUIDASM}: 107 us", "gate_2q.duration_s"),
        *derived(f"{_SQUIDASM}: lambda = 0.1, F = 1 - 3 lambda/4", "gate_2q.fidelity"),
        *found(f"{_SQUIDASM}: 36 us", "initialise.duration_s"),
        *assumed("optical pumping, a round value", "initialise.fidelity"),
        *found(f"{_SQUIDASM}: 1.5 ms", "readout.duration_s"),
        *assumed("electron shelving, a round value", "readout.error_0_prob"),
        *assumed("electron shelving, a round value", "readout.error_1_prob"),
        *memory(f"{_CANTERI}: P3/2 - D5/2 line", "emission.wavelength_m"),
        *found(
            f"{_CANTERI}: mean detection probability 0.091(8) of ten ions; includes the detector",
            "emission.efficiency_prob",
        ),
        *memory(f"{_REPEATER}: 1 to 4 kHz, 2.5 kHz taken", "emission.interval_s"),
        *assumed("cooling and pumping before the Raman pulse", "emission.preparation_s"),
        *found(f"{_CANTERI}: mean ion-photon fidelity 0.92(1)", "emission.spin_photon_fidelity"),
        *assumed(
            "photons of tens of microseconds in all; a round 1/e time of the same overlap",
            "emission.lifetime_s",
        ),
        *NO_PAUSES,
        *ONE_CHANNEL,
        *NO_TRANSDUCER,
        *QUIET_ATTEMPTS,
        *memory(f"{_POGORELOV}: Moelmer-Soerensen gate", "entangler"),
        *memory(f"{_POGORELOV}: rotations about Z are light shifts of one ion", "virtual_z"),
        *TOGETHER,
    ),
)
"""Two 40Ca+ ions, a cavity and a slow, long photon."""
