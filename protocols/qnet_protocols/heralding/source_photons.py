"""One pulse of a pair source, photon by photon: the mechanism of ``midpoint-source``.

Theory
    The source sends a pair or nothing; a Pauli error of its Werner state is drawn. *Absorbing
    memories*: each photon is absorbed or not, a memory that absorbed latches or not, a detector has a dark
    count or none. *Linear optics*: at each end the photon of the source (value s) meets one that
    the memory (value m) has emitted. The joint amplitudes over (s_A, m_A, s_B, m_B) are
    followed. Unless both photons arrive and coincide (chance V), each of them shows its value, to a
    detector or to what it was lost in. If they coincide, equal values bunch; unlike ones keep the amplitude
    of s = 0, m = 1 and, with the sign of the ports (+ same, - different) and the phase of this
    attempt, that of s = 1, m = 0. Then dark counts; success is one click in each mode at each end.
Assumptions and validity
    Those of :mod:`qnet.physics.midpoint_source`, nothing of whose algebra is used here.
Not modelled
    See there.
Units
    Phases in radians.
Sources
    [1] Jones et al., New J. Phys. 18, 083015 (2016), doi 10.1088/1367-2630/18/8/083015
    [2] Hong, Ou, Mandel, PRL 59, 2044 (1987), doi 10.1103/PhysRevLett.59.2044
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

from qnet.plan import LinkOptics
from qnet_protocols.heralding.histories import MIXED, phi, pure, with_memory_errors
from qnet_protocols.heralding.photons import (
    DETECTORS,
    Counts,
    Matrix,
    Uniform,
    apply_pauli,
    detector,
    normal,
    pauli_error,
)

Values = tuple[int, int, int, int]
"""Source photon A, memory A, source photon B, memory B."""

Amplitudes = dict[Values, complex]


def draw_absorbed(
    optics: LinkOptics,
    source_prob: float,
    source_fidelity: float,
    latch_prob: float,
    uniform: Uniform,
) -> Matrix | None:
    """One pulse into absorbing memories: the state for this history if both sides latch, else None."""
    sent = uniform() < source_prob
    absorbed = []
    for eta in (optics.eta_a, optics.eta_b):
        took = uniform() < eta and sent
        counts = int(uniform() < latch_prob and took) + int(uniform() < optics.dark_prob)
        absorbed.append(took)
        if counts == 0 or (counts > 1 and optics.number_resolving):
            return None
    state = phi(optics.phase_rms_rad * normal(uniform)) if all(absorbed) else MIXED
    state = apply_pauli(state, 0, pauli_error(source_fidelity, uniform))
    return with_memory_errors(state, optics, uniform)


def draw_measured(
    optics: LinkOptics,
    source_prob: float,
    source_fidelity: float,
    latch_prob: float,
    uniform: Uniform,
) -> tuple[tuple[int, int], Matrix] | None:
    """One pulse with a Bell measurement at each end.

    Returns:
        None for a failure; else (0 for Psi+, 1 for Psi- at end A, the same for B) and the state.
    """
    sent = uniform() < source_prob
    state: Amplitudes = {
        (s, m, s, n): complex(math.sqrt(0.125)) for s in (0, 1) for m in (0, 1) for n in (0, 1)
    }
    said = []
    for side, eta in enumerate((optics.eta_a, optics.eta_b)):
        counts: Counts = [0] * DETECTORS
        arrives = uniform() < eta and sent
        local = uniform() < latch_prob
        state = _meet(optics, state, side, (arrives, local), counts, uniform)
        for index in range(DETECTORS):
            counts[index] += uniform() < optics.dark_prob
        if optics.number_resolving and max(counts) > 1:
            return None
        fired = [[port for port in (0, 1) if counts[detector(mode, port)]] for mode in (0, 1)]
        if len(fired[0]) != 1 or len(fired[1]) != 1:
            return None
        said.append(int(fired[0] != fired[1]))
    memories = [0j] * 4
    for (_, m, _, n), amplitude in state.items():
        memories[2 * m + n] += amplitude
    matrix = apply_pauli(pure(memories), 0, pauli_error(source_fidelity, uniform))
    return (said[0], said[1]), with_memory_errors(matrix, optics, uniform)


def _meet(
    optics: LinkOptics,
    state: Amplitudes,
    side: int,
    arrive: tuple[bool, bool],
    counts: Counts,
    uniform: Uniform,
) -> Amplitudes:
    """What the two photons of one end show, and the amplitudes that are left."""
    source, memory = 2 * side, 2 * side + 1
    port, other = int(uniform() < 0.5), int(uniform() < 0.5)
    if all(arrive) and uniform() < optics.visibility:
        state = _found(state, lambda v: v[source] == v[memory], uniform)
        if all(v[source] == v[memory] for v in state):
            state = _found(state, lambda v: v[source] == 0, uniform)
            mode = next(iter(state))[source]
            counts[detector(mode, port)] += 2
            return state
        counts[detector(0, port)] += 1
        counts[detector(1, other)] += 1
        turn = cmath.exp(1j * optics.phase_rms_rad * normal(uniform))
        turn = turn if port == other else -turn
        return {v: a * turn if v[source] else a for v, a in state.items()}
    state = _found(state, lambda v: v[source] == 0, uniform)
    state = _found(state, lambda v: v[memory] == 0, uniform)
    shown = next(iter(state))
    if arrive[0]:
        counts[detector(shown[source], port)] += 1
    if arrive[1]:
        counts[detector(shown[memory], other)] += 1
    return state


def _found(state: Amplitudes, test: Callable[[Values], bool], uniform: Uniform) -> Amplitudes:
    """Measure whether the values pass a test: what is left, normalised."""
    passed = {v: a for v, a in state.items() if test(v)}
    chance = sum(abs(a) ** 2 for a in passed.values())
    left = passed if uniform() < chance else {v: a for v, a in state.items() if not test(v)}
    whole = math.sqrt(sum(abs(a) ** 2 for a in left.values()))
    return {v: a / whole for v, a in left.items()}
