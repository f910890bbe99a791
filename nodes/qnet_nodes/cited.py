"""Short forms for the figures of a platform sheet: one source for several numbers.

Theory
    A sheet has one :class:`qnet.seams.Figure` per number. Numbers of one table of one paper share
    their source; what is said here once is written once in the sheet as well.
Not modelled
    Error bars: where a source states them, the text of the figure repeats them.
Sources
    None: the sheets name theirs.

A figure's confidence says how it was obtained: "found" (read in the source), "memory" (the source
as remembered), "derived" (computed from a published figure) or "assumed" (ours: a round value, or
one of a range).
"""

from __future__ import annotations

from collections.abc import Iterable

from qnet.seams import Figure


def found(source: str, *paths: str) -> tuple[Figure, ...]:
    """Read in the source."""
    return _figures("found", source, paths)


def memory(source: str, *paths: str) -> tuple[Figure, ...]:
    """The source as remembered."""
    return _figures("memory", source, paths)


def derived(source: str, *paths: str) -> tuple[Figure, ...]:
    """Computed from a published figure, or a consequence of the physics."""
    return _figures("derived", source, paths)


def assumed(source: str, *paths: str) -> tuple[Figure, ...]:
    """Ours: no source states the number."""
    return _figures("assumed", source, paths)


def _figures(confidence: str, source: str, paths: Iterable[str]) -> tuple[Figure, ...]:
    return tuple(Figure(path, source, confidence) for path in paths)


ONE_CHANNEL = derived("one emitter in one fibre", "emission.modes")
"""Attempts are made one at a time."""

NO_TRANSDUCER = derived(
    "the qubit itself emits, no transducer adds photons", "emission.noise_photons"
)
"""Emitters of optical photons add no noise of their own."""

NO_PAUSES = assumed("pauses for cooling and loading are not counted", "emission.duty_prob")
"""The share of the time in which attempts are made is not known."""

QUIET_ATTEMPTS = assumed(
    "memory qubits do not notice attempts: another species, another place, or not published",
    "attempt_dephasing_prob",
)
"""No dephasing of stored qubits per attempt."""

FRAMES = derived(
    "rotations about Z are changes of the phase of later pulses, McKay 2017, PRA 96, 022330",
    "virtual_z",
)
"""Pulses have a phase reference that can be shifted."""

ALL_COUPLED = assumed(
    "every two qubits interact: no map is published, or none is needed", "couplings"
)
"""All to all."""

AT_REST = assumed("qubits stay where they are, or their transport is in the gate", "transport")
"""No transport before a gate."""

TOGETHER = ALL_COUPLED + AT_REST
"""Every two qubits interact where they are."""

ONE_SLOT = (
    assumed("one slot: unused, a round value", "gate_2q.duration_s", "gate_2q.fidelity")
    + assumed(
        "no memory slot: equal to the communication qubit, unused", "memory.t1_s", "memory.t2_s"
    )
    + assumed("one slot: unused", "entangler", "couplings", "transport")
)
"""Figures that a node of a single qubit must have and never uses."""
