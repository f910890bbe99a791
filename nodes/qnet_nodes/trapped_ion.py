"""Trapped-ion nodes of the Oxford network: strontium-88 for the link, calcium-43 for the memory.

Theory
    A single 88Sr+ ion is excited by a picosecond pulse on the 422 nm line; the polarisation of the
    decay photon is entangled with the Zeeman state of the ion. A lens of numerical aperture 0.6
    sends the photon through a fibre to a beam splitter in the middle, where a coincidence heralds
    a pair of ions [1]. A 43Ca+ ion in the same trap stores one half while strontium tries again:
    photons at 422 nm do not touch it, and its clock-like transition outlives the strontium Zeeman
    qubit by orders of magnitude [3], [4].
Validity
    :data:`SR88_2020` reproduces 182 pairs/s of [1] from p = eta^2/2 at 833 kHz without pauses for
    cooling. ``efficiency_prob`` is derived from the published success probability; it already
    contains fibre and detector, so use it with a station of detector efficiency 1 and a fibre
    without loss.
Not modelled
    Cooling and ion loss (duty cycle), transport, cross talk between the species, drifts of the
    optical set-up, non-exponential (Gaussian) dephasing by slow magnetic fields.
Sources
    [1] Stephenson et al., "High-rate, high-fidelity entanglement of qubits across an elementary
        quantum network", PRL 124, 110501 (2020)
    [2] Nadlinger et al., "Experimental quantum key distribution certified by Bell's theorem",
        Nature 607, 682 (2022)
    [3] Drmota et al., "Robust quantum memory in a trapped-ion quantum network node", PRL 130,
        090803 (2023)
    [4] Main et al., "Distributed quantum computing across an optical network link", Nature 638,
        383 (2025)
    [5] Hughes et al., "Benchmarking a high-fidelity mixed-species entangling gate", PRL 125, 080504
        (2020)

A figure's confidence says how it was obtained: "found" (read in the source), "memory" (the source
as remembered), "derived" (computed from a published figure) or "assumed".
"""

from __future__ import annotations

import math

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.seams import Figure, PlatformSheet
from qnet_nodes.cited import (
    FRAMES,
    NO_TRANSDUCER,
    ONE_CHANNEL,
    QUIET_ATTEMPTS,
    TOGETHER,
    assumed,
    memory,
)

_STEPHENSON = "Stephenson 2020, PRL 124, 110501"
_DRMOTA = "Drmota 2023, PRL 130, 090803"
_MAIN = "Main 2025, Nature 638, 383"
_HUGHES = "Hughes 2020, PRL 125, 080504"

_STRONTIUM = Coherence(t1_s=math.inf, t2_s=5e-3)
_GATE_1Q = Operation(duration_s=10e-6, fidelity=0.999)
_INITIALISE = Operation(duration_s=100e-6, fidelity=0.999)
_READOUT = Readout(duration_s=500e-6, error_0_prob=1e-3, error_1_prob=1e-3)
_EMISSION = Emission(
    wavelength_m=422e-9,
    efficiency_prob=0.0209,
    interval_s=1.2e-6,
    preparation_s=0.5e-6,
    spin_photon_fidelity=0.98,
    lifetime_s=7.4e-9,
)

_LINK_FIGURES = (
    Figure("communication_slots", f"{_STEPHENSON}: one 88Sr+ ion per trap", "found"),
    Figure("communication.t1_s", "ground-state Zeeman qubit: no spontaneous decay", "derived"),
    Figure(
        "communication.t2_s",
        f"{_DRMOTA}: linear field sensitivity, milliseconds; 5 ms is a round value",
        "assumed",
    ),
    Figure("gate_1q.duration_s", f"{_MAIN}: 10 to 30 us", "memory"),
    Figure("gate_1q.fidelity", f"{_MAIN}: better than 0.999, taken at the bound", "memory"),
    Figure("initialise.duration_s", f"{_MAIN}: about 0.1 ms with re-cooling", "memory"),
    Figure("initialise.fidelity", f"{_STEPHENSON}: optical pumping, a round value", "assumed"),
    Figure("readout.duration_s", f"{_MAIN}: electron shelving, 0.5 ms", "memory"),
    Figure("readout.error_0_prob", f"{_MAIN}: read-out fidelity about 0.999", "memory"),
    Figure("readout.error_1_prob", f"{_MAIN}: read-out fidelity about 0.999", "memory"),
    Figure("emission.wavelength_m", f"{_STEPHENSON}: S1/2 - P1/2 line of 88Sr+", "memory"),
    Figure(
        "emission.efficiency_prob",
        f"{_STEPHENSON}: sqrt(2 p) with p = 2.18e-4; includes fibre and detector",
        "derived",
    ),
    Figure("emission.interval_s", f"{_STEPHENSON}: attempt rate 833 kHz", "memory"),
    Figure("emission.preparation_s", "state preparation before the excitation pulse", "assumed"),
    Figure(
        "emission.spin_photon_fidelity",
        f"{_STEPHENSON}: ion-photon entanglement, about 0.98",
        "memory",
    ),
    Figure("emission.lifetime_s", "P1/2 level of 88Sr+, 7.4 ns", "memory"),
    Figure(
        "emission.duty_prob",
        f"{_STEPHENSON}: rate while attempts are made; cooling not counted",
        "assumed",
    ),
    *ONE_CHANNEL,
    *NO_TRANSDUCER,
    *QUIET_ATTEMPTS,
)

SR88_2020 = PlatformSheet(
    name="sr88-2020",
    title="single strontium-88 ion, the two-node link of 2020",
    platform=Platform(
        species="88Sr+",
        communication_slots=1,
        memory_slots=0,
        communication=_STRONTIUM,
        memory=_STRONTIUM,
        gate_1q=_GATE_1Q,
        gate_2q=Operation(duration_s=50e-6, fidelity=0.99),
        virtual_z=True,
        initialise=_INITIALISE,
        readout=_READOUT,
        emission=_EMISSION,
    ),
    figures=(
        Figure("species", _STEPHENSON, "found"),
        Figure("memory_slots", f"{_STEPHENSON}: no second species", "found"),
        Figure("memory.t1_s", "no memory slot: equal to the communication ion, unused", "assumed"),
        Figure("memory.t2_s", "no memory slot: equal to the communication ion, unused", "assumed"),
        Figure("gate_2q.duration_s", "one slot: unused, a round value for ion chains", "assumed"),
        Figure("gate_2q.fidelity", "one slot: unused, a round value for ion chains", "assumed"),
        *_LINK_FIGURES,
        *assumed("one slot: unused", "entangler", "couplings", "transport"),
        *FRAMES,
    ),
)
"""One 88Sr+ ion: makes pairs, stores nothing."""

SR88_CA43 = PlatformSheet(
    name="sr88-ca43",
    title="strontium-88 for the link, calcium-43 for the memory",
    platform=Platform(
        species="88Sr+ / 43Ca+",
        communication_slots=1,
        memory_slots=1,
        communication=_STRONTIUM,
        memory=Coherence(t1_s=math.inf, t2_s=30.0),
        gate_1q=_GATE_1Q,
        gate_2q=Operation(duration_s=50e-6, fidelity=0.977),
        entangler="ZZ",
        virtual_z=True,
        initialise=_INITIALISE,
        readout=_READOUT,
        emission=_EMISSION,
    ),
    figures=(
        Figure("species", f"{_DRMOTA}; {_MAIN}", "found"),
        Figure("memory_slots", f"{_MAIN}: one 43Ca+ ion per node", "found"),
        Figure("memory.t1_s", "hyperfine ground states: no spontaneous decay", "derived"),
        Figure(
            "memory.t2_s",
            f"{_DRMOTA}: ion-photon fidelity 0.81(4) after 10 s, read as dephasing from 0.94: "
            "F = (1 + c + 2 a exp(-t/T2))/4 with a = c = 0.92",
            "derived",
        ),
        Figure("gate_2q.duration_s", f"{_MAIN}: Sr-Ca gate, a round value", "assumed"),
        Figure("gate_2q.fidelity", f"{_DRMOTA}: transfer Sr to Ca 0.977(7)", "found"),
        *_LINK_FIGURES,
        *memory(f"{_HUGHES}: light-shift gate between Sr and Ca", "entangler"),
        *FRAMES,
        *TOGETHER,
    ),
)
"""The node of 2023 to 2025: one 88Sr+ communication ion, one 43Ca+ memory ion."""
