"""One double-click attempt, photon by photon: the mechanism itself, without its closed form.

Theory
    Every random event of one attempt is drawn in the order in which it happens. A Pauli error of
    each spin-photon pair; each photon's fate (lost, or absorbed by a detector); the modes of the
    absorbed photons; whether their wave packets coincide (chance V: the part of one wave packet
    along the other) or can be told apart; the ports behind the balanced beam splitter, where two
    coinciding photons of one mode bunch (Hong-Ou-Mandel); the optical phase of this attempt; a dark
    count or none in each detector. Then the detectors are read: a threshold detector that was hit
    twice has clicked once, a number-resolving one has seen two. The attempt succeeds when exactly
    one detector of each mode clicked.

    The state of the memories is the one that this history leaves behind: a lost photon leaves a
    fully mixed memory; a photon that nobody's partner can be confused with projects its memory; one
    photon in each mode leaves |01><01| and |10><10|, with the coherence (sign) e^{i phi} / 2 if the
    wave packets coincide, where the sign is + for the same port and - for different ports.
Assumptions and validity
    At most one photon per node and attempt, at most one dark count per detector and window,
    balanced beam splitter, equal detectors. These are the assumptions of
    :mod:`qnet.physics.heralding`, nothing of whose algebra is used here: the two must agree in
    probability and in averaged state, which the tests check.
Not modelled
    Double excitation, afterpulsing, drift from one attempt to the
    next.
Units
    The phase is in radians. Histories are not observable: what is known about a delivered pair is
    the average over all histories of its click pattern.
Sources
    [1] Barrett, Kok, "Efficient high-fidelity quantum computation using matter qubits and linear
        optics", Phys. Rev. A 71, 060310 (2005), doi 10.1103/PhysRevA.71.060310
    [2] Hong, Ou, Mandel, "Measurement of subpicosecond time intervals between two photons by
        interference", Phys. Rev. Lett. 59, 2044 (1987), doi 10.1103/PhysRevLett.59.2044
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

from qnet.plan import LinkOptics

DETECTORS = 4
"""Detector 2 * mode + port; mode 0 is H (or early), mode 1 is V (or late)."""

Matrix = tuple[tuple[complex, ...], ...]
Uniform = Callable[[], float]
Counts = list[int]
"""Counts of each detector in one window."""

_MIXED: Matrix = ((0.5 + 0j, 0j), (0j, 0.5 + 0j))


def detector(mode: int, port: int) -> int:
    """Number of the detector of ``mode`` (0 H, 1 V) in ``port`` (0 or 1)."""
    return 2 * mode + port


def draw_attempt(
    optics: LinkOptics, uniform: Uniform, *, blind_after_click: bool = False
) -> tuple[tuple[int, int], Matrix] | None:
    """One attempt.

    Args:
        optics: the link in the symbols of the physics reference.
        uniform: source of independent numbers in [0, 1).
        blind_after_click: a port has one detector for both modes (time bins), and one that fired in
            the early bin sees nothing in the late one.

    Returns:
        None for a failure; else the click pattern (one detector of mode H, one of mode V) and the 4
        x 4 state of the memories (A, B) for this history, trace 1.
    """
    errors = tuple(pauli_error(f, uniform) for f in (optics.spin_photon_a, optics.spin_photon_b))
    counts: Counts = [0] * DETECTORS
    arrives_a = uniform() < optics.eta_a
    arrives_b = uniform() < optics.eta_b
    if arrives_a and arrives_b:
        state = _two_photons(optics, counts, uniform)
    elif arrives_a:
        state = kron(project(_one_photon(counts, uniform)), _MIXED)
    elif arrives_b:
        state = kron(_MIXED, project(_one_photon(counts, uniform)))
    else:
        state = kron(_MIXED, _MIXED)
    for index in range(DETECTORS):
        counts[index] += uniform() < optics.dark_prob
    if blind_after_click:
        for port in (0, 1):
            if counts[detector(0, port)]:
                counts[detector(1, port)] = 0
    pattern = _read(counts, number_resolving=optics.number_resolving)
    if pattern is None:
        return None
    for side, error in enumerate(errors):
        state = apply_pauli(state, side, error)
    return pattern, state


def _read(counts: Counts, *, number_resolving: bool) -> tuple[int, int] | None:
    """The two detectors of a success, or None: exactly one must have fired in each mode."""
    if number_resolving and max(counts) > 1:
        return None
    fired = [[port for port in (0, 1) if counts[detector(mode, port)]] for mode in (0, 1)]
    if len(fired[0]) != 1 or len(fired[1]) != 1:
        return None
    return detector(0, fired[0][0]), detector(1, fired[1][0])


def _bit(uniform: Uniform) -> int:
    return int(uniform() < 0.5)


def _one_photon(counts: Counts, uniform: Uniform) -> int:
    """One photon reaches a detector; its mode is returned and tells the state of its memory."""
    mode = _bit(uniform)
    counts[detector(mode, _bit(uniform))] += 1
    return mode


def _two_photons(optics: LinkOptics, counts: Counts, uniform: Uniform) -> Matrix:
    mode_a, mode_b = _bit(uniform), _bit(uniform)
    alike = uniform() < optics.visibility
    port = _bit(uniform)
    if mode_a == mode_b:
        # Coinciding photons of one mode leave through one port; others choose independently.
        other = port if alike else _bit(uniform)
        counts[detector(mode_a, port)] += 1
        counts[detector(mode_a, other)] += 1
        return kron(project(mode_a), project(mode_a))
    other = _bit(uniform)
    counts[detector(0, port)] += 1
    counts[detector(1, other)] += 1
    phase = optics.phase_rms_rad * normal(uniform)
    sign = 1.0 if port == other else -1.0
    # Photons that can be told apart reveal which node sent which: no coherence is left.
    coherence = sign * cmath.exp(1j * phase) / 2 if alike else 0j
    zero, half = 0j, 0.5 + 0j
    return (
        (zero, zero, zero, zero),
        (zero, half, coherence, zero),
        (zero, coherence.conjugate(), half, zero),
        (zero, zero, zero, zero),
    )


def normal(uniform: Uniform) -> float:
    """A standard normal number (Box and Muller)."""
    radius = math.sqrt(-2.0 * math.log1p(-uniform()))
    return radius * math.cos(2.0 * math.pi * uniform())


def pauli_error(fidelity: float, uniform: Uniform) -> tuple[int, int]:
    """Pauli (x, z) that an imperfect spin-photon pair leaves on its memory (Werner-like)."""
    choice = uniform()
    if choice < fidelity:
        return (0, 0)
    rest = (choice - fidelity) / (1.0 - fidelity)
    return ((1, 0), (0, 1), (1, 1))[min(int(3.0 * rest), 2)]


def apply_pauli(state: Matrix, side: int, error: tuple[int, int]) -> Matrix:
    """X^x Z^z on one memory; side 0 is A, the high bit of the basis index."""
    x, z = error
    bit = 1 - side

    def sign(index: int) -> int:
        return -1 if z and (index >> bit) & 1 else 1

    flip = x << bit
    return tuple(
        tuple(
            state[row ^ flip][column ^ flip] * sign(row ^ flip) * sign(column ^ flip)
            for column in range(4)
        )
        for row in range(4)
    )


def project(value: int) -> Matrix:
    """|value><value| of one memory."""
    return ((1 + 0j, 0j), (0j, 0j)) if value == 0 else ((0j, 0j), (0j, 1 + 0j))


def kron(first: Matrix, second: Matrix) -> Matrix:
    """State of two memories that know nothing of each other."""
    return tuple(
        tuple(first[i >> 1][j >> 1] * second[i & 1][j & 1] for j in range(4)) for i in range(4)
    )
