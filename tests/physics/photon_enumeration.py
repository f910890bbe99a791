"""Every photon of an attempt with its amplitude, every dark count: heralded states without closed forms.

A history is a Fock configuration of all that leaves the memories (detector modes, lost photons, second
photons) and a dark count or none per detector and window. Amplitudes add within a configuration, and
probabilities over configurations. The Gaussian mean of exp(i phase) is cos(x) for one x, so that two phases
stand for the distribution.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from qnet.physics.bell import werner
from qnet.plan import LinkOptics

Field = tuple[object, ...]
Term = tuple[Field, complex]
Counts = dict[tuple[int, int], int]
"""Counts by (window, port)."""

PAULIS = [np.eye(2), np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [1.0, 0.0]])]
PAULIS.append(PAULIS[2] @ PAULIS[1])
"""In the order of :data:`qnet.physics.bell.LABELS`."""


def phases(optics: LinkOptics) -> tuple[float, float]:
    """Two phases whose mean of exp(i phase) is that of the Gaussian."""
    angle = math.acos(math.exp(-(optics.phase_rms_rad**2) / 2))
    return angle, -angle


def photon(end: int, window: int, optics: LinkOptics, amplitude: complex) -> list[Term]:
    """Where a photon of one end that leaves in ``window`` may be found; shape 0 is that of A."""
    eta = (optics.eta_a, optics.eta_b)[end]
    shapes = [1.0, 0.0]
    if end == 1:
        shapes = [math.sqrt(optics.visibility), math.sqrt(1 - optics.visibility)]
    terms: list[Term] = [(("lost", end, window), amplitude * math.sqrt(1 - eta))]
    for port, (shape, weight) in itertools.product((0, 1), enumerate(shapes)):
        sign = -1.0 if end == 1 and port == 1 else 1.0
        field = ("port", window, port, shape)
        terms.append((field, amplitude * math.sqrt(eta / 2) * sign * weight))
    return terms


def joined(first: Field, second: Field) -> tuple[tuple[Field, ...], float]:
    """The configuration of two creation operators on the vacuum, and its norm."""
    return tuple(sorted((first, second), key=repr)), math.sqrt(2) if first == second else 1.0


def clicks(
    hits: Sequence[Field], windows: int, dark: float, passes: Callable[[Counts], bool]
) -> float:
    """Chance that the dark counts make of photons at these detectors a pattern that ``passes``."""
    places = list(itertools.product(range(windows), (0, 1)))
    total = 0.0
    for darks in itertools.product((0, 1), repeat=len(places)):
        chance = math.prod(dark if one else 1 - dark for one in darks)
        counts = {
            place: one + sum(hit == ("port", *place) for hit in hits)
            for place, one in zip(places, darks, strict=True)
        }
        total += chance * passes(counts)
    return total


def heralded(
    vectors: dict[tuple[Field, ...], np.ndarray],
    windows: int,
    dark: float,
    passes: Callable[[Counts], bool],
) -> np.ndarray:
    """Unnormalised state of the memories, given their vector beside each configuration."""
    total = np.zeros((4, 4), dtype=complex)
    known: dict[tuple[Field, ...], float] = {}
    for fields, vector in vectors.items():
        hits = tuple(field[:3] for field in fields if field[0] == "port")
        if hits not in known:
            known[hits] = clicks(hits, windows, dark, passes)
        total += known[hits] * np.outer(vector, vector.conj())
    return total


def _empty() -> np.ndarray:
    return np.zeros(4, dtype=complex)


def errors(optics: LinkOptics) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Chance and Paulis of the imperfect spin-photon pairs of both ends."""
    weights = (werner(optics.spin_photon_a), werner(optics.spin_photon_b))
    for (i, one), (j, two) in itertools.product(enumerate(PAULIS), repeat=2):
        if weights[0][i] * weights[1][j] > 0.0:
            yield weights[0][i] * weights[1][j], one, two


def single_click_state(
    optics: LinkOptics, bright: tuple[float, float], double: float, port: int
) -> np.ndarray:
    """Unnormalised state after a click of ``port`` alone; a second photon leaves a mark of its own."""

    def passes(counts: Counts) -> bool:
        mine, other = counts[0, port], counts[0, 1 - port]
        return other == 0 and (mine == 1 if optics.number_resolving else mine >= 1)

    def sent(end: int, value: int, angle: float) -> list[tuple[tuple[Field, ...], complex]]:
        if value == 0:
            return [((), math.sqrt(1 - bright[end]))]
        amplitude = math.sqrt(bright[end]) * (np.exp(1j * angle) if end == 1 else 1.0)
        return [
            ((field, *mark), part * weight)
            for field, part in photon(end, 0, optics, amplitude)
            for mark, weight in (
                ((), math.sqrt(1 - double)),
                ((("second", end),), math.sqrt(double)),
            )
        ]

    state = np.zeros((4, 4), dtype=complex)
    for angle in phases(optics):
        vectors: dict[tuple[Field, ...], np.ndarray] = defaultdict(_empty)
        for values in itertools.product((0, 1), repeat=2):
            pairs = itertools.product(sent(0, values[0], angle), sent(1, values[1], angle))
            for (first, x), (second, y) in pairs:
                fields = tuple(sorted((*first, *second), key=repr))
                norm = math.sqrt(2) if first and second and first[0] == second[0] else 1.0
                vectors[fields][2 * values[0] + values[1]] += x * y * norm
        state += heralded(vectors, 1, optics.dark_prob, passes) / 2
    paulis = ((weight, np.kron(one, two)) for weight, one, two in errors(optics))
    return sum(weight * pauli @ state @ pauli.conj().T for weight, pauli in paulis)


def time_bin_state(optics: LinkOptics, ports: tuple[int, int], *, blind: bool) -> np.ndarray:
    """Unnormalised state after one click early and one late in these ports.

    With ``blind`` a detector that fired early sees nothing late. Pauli errors act on the photon.
    """

    def passes(counts: Counts) -> bool:
        for window, port in enumerate(ports):
            seen = [counts[window, one] for one in (0, 1)]
            if blind and window == 1:
                seen = [0 if counts[0, one] else seen[one] for one in (0, 1)]
            wanted = seen[port] == 1 if optics.number_resolving else seen[port] >= 1
            if not wanted or seen[1 - port] > 0:
                return False
        return True

    def sent(end: int, value: int, pauli: np.ndarray, angle: float) -> list[Term]:
        terms = []
        for window in (0, 1):
            late = np.exp(1j * angle) if end == 0 and window == 1 else 1.0
            terms += photon(end, window, optics, pauli[window, value] * late * math.sqrt(0.5))
        return terms

    state = np.zeros((4, 4), dtype=complex)
    for (weight, one, two), angle in itertools.product(errors(optics), phases(optics)):
        vectors: dict[tuple[Field, ...], np.ndarray] = defaultdict(_empty)
        for values in itertools.product((0, 1), repeat=2):
            first, second = sent(0, values[0], one, angle), sent(1, values[1], two, angle)
            for (f, x), (g, y) in itertools.product(first, second):
                fields, norm = joined(f, g)
                vectors[fields][2 * values[0] + values[1]] += x * y * norm
        state += weight / 2 * heralded(vectors, 2, optics.dark_prob, passes)
    return state
