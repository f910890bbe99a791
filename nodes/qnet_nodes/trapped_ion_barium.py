"""Barium ions: the link of 2024, and a hundred-slot machine with such links.

Theory
    A 138Ba+ ion emits at 493 nm, a colour that passes through fibre better than that of any other
    ion in this package but the cavity's. A lens of numerical aperture 0.8 inside the vacuum sends it
    into a fibre; a 171Yb+ ion beside it is cooled all the time and keeps the barium ion cold, so
    that attempts go on without pauses [1].
Validity
    :data:`BA138_YB171` reproduces 250 pairs/s of [1] from p = eta^2/2 at 1 MHz. ``efficiency_prob``
    is derived from that rate and therefore contains path and detector: use it with a station of
    detector efficiency 1. :data:`TEMPO` is a machine of the class that a vendor announced: its
    number of qubits and its gate fidelity are published, the latter for research hardware and not
    for the product [2], [3]. Nothing of a link of that machine is published: its photons are those of
    [1]. What it says about a network is a model of the class, not of the product.
    Ions of :data:`TEMPO` are brought into one zone before each two-qubit gate (``transport``, once for a
    SWAP), which the vendor does not publish: figures are those of other machines [5], [6].
Not modelled
    Distances within a machine: every transport takes as long and heats nothing. Cooling of the
    coolant, cross talk, the recoil of the emitted photon, parallel gates. Dense states of 100 qubits:
    clusters are capped (``run.cluster_cap``).
Sources
    [1] O'Reilly et al., "Fast photon-mediated entanglement of continuously cooled trapped ions for
        quantum networking", PRL 133, 090802 (2024), arXiv:2404.16167
    [2] News of 2025 on the machine with 100 qubits and the gate of 0.9999, and commentary that the
        latter is from research and development hardware
    [3] Loeschnauer et al., "Scalable, high-fidelity all-electronic control of trapped-ion qubits",
        arXiv:2407.07694
    [4] The vendor's guide to native gates: GPI, GPI2, virtual Z; MS on the chain of 25, ZZ later
    [5] Pino et al., "Demonstration of the trapped-ion quantum CCD computer architecture", Nature 592,
        209 (2021), arXiv:2003.01293
    [6] Kaufmann et al., "High-fidelity preservation of quantum information during trapped-ion
        transport", PRL 120, 010501 (2018)
"""

from __future__ import annotations

import math

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.seams import PlatformSheet
from qnet_nodes.cited import (
    ALL_COUPLED,
    FRAMES,
    NO_TRANSDUCER,
    ONE_CHANNEL,
    ONE_SLOT,
    QUIET_ATTEMPTS,
    assumed,
    derived,
    found,
    memory,
)

_OREILLY = "O'Reilly 2024, PRL 133, 090802"
_VENDOR = "vendor's announcement of the machine with 100 qubits"
_ELECTRONIC = "Loeschnauer 2024, arXiv:2407.07694"
_NATIVE = "vendor's guide to native gates"
_PINO = "Pino 2021, Nature 592, 209"
_KAUFMANN = "Kaufmann 2018, PRL 120, 010501"

_EMISSION = Emission(
    wavelength_m=493e-9,
    efficiency_prob=0.0224,
    interval_s=1e-6,
    preparation_s=0.5e-6,
    spin_photon_fidelity=0.975,
    lifetime_s=7.9e-9,
)

_BARIUM = Coherence(t1_s=30.0, t2_s=5e-3)

BA138_YB171 = PlatformSheet(
    name="ba138-yb171",
    title="barium-138 ion, cooled all the time by ytterbium-171: the fast link of 2024",
    platform=Platform(
        species="138Ba+ / 171Yb+",
        communication_slots=1,
        memory_slots=0,
        communication=_BARIUM,
        memory=_BARIUM,
        gate_1q=Operation(duration_s=10e-6, fidelity=0.999),
        gate_2q=Operation(duration_s=100e-6, fidelity=0.99),
        virtual_z=True,
        initialise=Operation(duration_s=10e-6, fidelity=0.999),
        readout=Readout(duration_s=1e-3, error_0_prob=0.01, error_1_prob=0.01),
        emission=_EMISSION,
    ),
    figures=(
        *found(f"{_OREILLY}: the ytterbium ion is the coolant", "species"),
        *assumed(f"{_OREILLY}: one or two barium ions per trap, one taken", "communication_slots"),
        *found(f"{_OREILLY}: the ytterbium ion cools and stores nothing", "memory_slots"),
        *memory("D5/2 level of 138Ba+, about 30 s: read-out states", "communication.t1_s"),
        *assumed(
            "linear field sensitivity, milliseconds; as for strontium, a round value",
            "communication.t2_s",
        ),
        *assumed("Zeeman rotation, a round value", "gate_1q.duration_s"),
        *assumed("about 0.999, a round value", "gate_1q.fidelity"),
        *ONE_SLOT,
        *assumed("optical pumping, about 10 us", "initialise.duration_s"),
        *assumed("optical pumping, a round value", "initialise.fidelity"),
        *assumed("about 1 ms, electron shelving", "readout.duration_s"),
        *assumed("0.99, a round value", "readout.error_0_prob", "readout.error_1_prob"),
        *memory(f"{_OREILLY}: S1/2 - P1/2 line, 493 nm", "emission.wavelength_m"),
        *derived(
            f"{_OREILLY}: sqrt(2 p), p = 250/s at 1 MHz; includes fibre and detector",
            "emission.efficiency_prob",
        ),
        *memory(f"{_OREILLY}: attempt rate 1 MHz", "emission.interval_s"),
        *assumed("optical pumping before the excitation pulse", "emission.preparation_s"),
        *assumed(f"{_OREILLY}: 0.97 to 0.98, the middle", "emission.spin_photon_fidelity"),
        *memory("P1/2 level of 138Ba+, 7.9 ns", "emission.lifetime_s"),
        *found(
            f"{_OREILLY}: no interruptions, the coolant is cooled all the time",
            "emission.duty_prob",
        ),
        *ONE_CHANNEL,
        *NO_TRANSDUCER,
        *QUIET_ATTEMPTS,
        *FRAMES,
    ),
)
"""One 138Ba+ ion: makes pairs faster than any other ion, stores nothing."""

_AS_OREILLY = f"no link of this machine is published: as {_OREILLY}"

TEMPO = PlatformSheet(
    name="tempo",
    title="barium machine of 100 slots and 0.9999 gates (of research hardware), links of 2024",
    platform=Platform(
        species="138Ba+",
        communication_slots=8,
        memory_slots=92,
        communication=Coherence(t1_s=math.inf, t2_s=5e-3),
        memory=Coherence(t1_s=math.inf, t2_s=10.0),
        gate_1q=Operation(duration_s=20e-6, fidelity=0.9999916),
        gate_2q=Operation(duration_s=200e-6, fidelity=0.9999),
        entangler="ZZ",
        virtual_z=True,
        transport=Operation(duration_s=300e-6, fidelity=0.999994),
        initialise=Operation(duration_s=100e-6, fidelity=0.999),
        readout=Readout(duration_s=200e-6, error_0_prob=1e-3, error_1_prob=1e-3),
        emission=_EMISSION,
    ),
    figures=(
        *found(f"{_VENDOR}: barium line", "species"),
        *assumed("two communication ions for each of four links", "communication_slots"),
        *derived(f"{_VENDOR}: 100 qubits, less the communication ions", "memory_slots"),
        *derived("ground states: no spontaneous decay", "communication.t1_s", "memory.t1_s"),
        *assumed("Zeeman qubit, milliseconds; a round value", "communication.t2_s"),
        *assumed("clock states, at least 10 s", "memory.t2_s"),
        *assumed(f"{_ELECTRONIC}: 10 to 50 us", "gate_1q.duration_s"),
        *found(f"{_ELECTRONIC}: error 8.4e-6", "gate_1q.fidelity"),
        *memory("0.1 to 0.3 ms, the middle", "gate_2q.duration_s"),
        *found(
            f"{_VENDOR}: 0.9999 on research hardware, not on the product; 0.9997 with seven zones",
            "gate_2q.fidelity",
        ),
        *assumed("about 0.1 ms with re-cooling", "initialise.duration_s"),
        *assumed("optical pumping, a round value", "initialise.fidelity"),
        *assumed("about 0.2 ms", "readout.duration_s"),
        *assumed(
            "0.999 or better, taken at the bound", "readout.error_0_prob", "readout.error_1_prob"
        ),
        *assumed(_AS_OREILLY, "emission.wavelength_m"),
        *assumed(f"{_AS_OREILLY}; includes fibre and detector", "emission.efficiency_prob"),
        *assumed(_AS_OREILLY, "emission.interval_s", "emission.preparation_s"),
        *assumed(_AS_OREILLY, "emission.spin_photon_fidelity", "emission.duty_prob"),
        *memory("P1/2 level of 138Ba+, 7.9 ns", "emission.lifetime_s"),
        *ONE_CHANNEL,
        *NO_TRANSDUCER,
        *QUIET_ATTEMPTS,
        *assumed(f"{_NATIVE}: ZZ on its machines after the chain of 25", "entangler"),
        *FRAMES,
        *ALL_COUPLED,
        *memory(
            f"{_PINO}: split, shift and combine take 0.1 to 0.3 ms each; 0.3 ms in all, with cooling during "
            "the gate, is taken",
            "transport.duration_s",
        ),
        *memory(f"{_KAUFMANN}: 0.999994 per transport", "transport.fidelity"),
    ),
)
"""Eight communication and 92 memory slots; a model of the announced class."""
