"""The engine ``bell``: exact and quick for states that stay mixtures of Bell states.

Theory
    A cluster of n qubits is a *frame*, n independent commuting Paulis, and the expectation value of each of
    their 2^n products; every other Pauli has expectation 0. On a pair with the frame (XX, ZZ) these are
    the correlators of a Bell-diagonal state, the natural currency of repeaters (:mod:`qnet.physics.bell`);
    a qubit in |0> has the frame (Z) and the values (1, 1). The set is closed under everything below, so the
    engine is exact wherever it does not refuse:

    * a Clifford gate takes Paulis to Paulis: another frame, some values change their sign [1];
    * dephasing of a qubit scales the values of the products that have X or Y there, depolarising those that
      have anything there;
    * reading Z of a qubit leaves the others with (<h> + (-1)^t <hZ>) / 2p for every product h of theirs, and
      outcome t has the probability p = (1 + (-1)^t <Z>) / 2; if Z is no product of the frame, <Z> = 0.

    So a Bell measurement of two pairs, CNOT, H and two readings, multiplies their correlators [2].
Why
    2^n real numbers instead of 4^n complex ones, and what meets what is computed once per frame and kept. A
    run with it imports no QuTiP.
Assumptions and validity
    As :mod:`qnet.world.engine`. A heralded state may differ from a Bell-diagonal one (or from one diagonal
    in Z) by :data:`TOLERANCE` per entry; a rotation from quarter turns by as much.
Not modelled
    Everything else is refused by EngineUnsupported, nothing is approximated: gates that are no Cliffords (T,
    rotations by other angles, hence bases Z+X and Z-X), decay with a finite T1, which takes a mixture of
    Paulis out of the set, and heralded states that have no such frame.
Units
    As :mod:`qnet.world.engine`.
Sources
    [1] Aaronson and Gottesman, Phys. Rev. A 70, 052328 (2004), doi 10.1103/PhysRevA.70.052328.
    [2] Briegel, Dür, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998), doi 10.1103/PhysRevLett.81.5932.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from qnet.errors import EngineUnsupported
from qnet.physics.bell import Label, state_correlators
from qnet.physics.memory import Decay
from qnet.world.engine import ComplexMatrix, Measured, Reported

TOLERANCE: Final = 1e-12
"""How far a heralded state may be from one that the engine holds, and an angle from a quarter turn."""

MATRIX_TOLERANCE: Final = 1e-9
"""How far a matrix from outside may be from trace 1 and positive."""

PROB_FLOOR: Final = 1e-15
"""A probability this close to 0 or 1 differs from it by rounding only."""

ADVICE: Final = 'run it with engine = "qutip"'

CLIFFORDS: Final = ("I", "X", "Y", "Z", "H", "S", "SDG", "CNOT", "CZ", "SWAP")
"""Gates without an angle that the engine does."""

_TURNS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "RX": ((), ("H", "S", "H"), ("X",), ("H", "SDG", "H")),
    "RY": ((), ("H", "X"), ("Y",), ("H", "Z")),
    "RZ": ((), ("S",), ("Z",), ("SDG",)),
}
"""Rotations by 0 to 3 quarter turns as gates, first one first."""

Pauli = tuple[int, int]
"""Masks (x, z): at position q it is I, X, Z or Y by bit q of x, of z, or of both."""

Values = tuple[float, ...]


class Frame:
    """Independent commuting Paulis, as many as there are qubits; compared by identity.

    Attributes:
        paulis: they.
        products: for every mask, the Pauli of the product of those in the mask, its sign left out.
        index: mask of each of these Paulis.
    """

    __slots__ = ("index", "paulis", "products")

    def __init__(self, paulis: tuple[Pauli, ...]) -> None:
        products = [(0, 0)]
        for x, z in paulis:
            products += [(x ^ other_x, z ^ other_z) for other_x, other_z in products]
        self.paulis = paulis
        self.products = tuple(products)
        self.index = {pauli: mask for mask, pauli in enumerate(products)}


class BellState(NamedTuple):
    """Expectation values of the Paulis ``frame.products``; those of all others are 0."""

    frame: Frame
    values: Values


@lru_cache(maxsize=4096)
def frame_of(paulis: tuple[Pauli, ...]) -> Frame:
    """The one frame of these Paulis."""
    return Frame(paulis)


_Z: Final = frame_of(((0, 1),))
_BELL: Final = frame_of(((0b11, 0), (0, 0b11)))
"""XX and ZZ; their product is YY but for the sign."""

# ------------------------------------------------------------------ what meets what, once per frame


def _turned(pauli: Pauli, gate: str, positions: tuple[int, ...]) -> tuple[Pauli, int]:
    """U P U^dagger of one Clifford gate: the Pauli and 1 if it is minus it; [1] table I."""
    x, z = pauli
    q = positions[0]
    x_q, z_q = (x >> q) & 1, (z >> q) & 1
    if len(positions) == 1:
        match gate:
            case "X":
                return pauli, z_q
            case "Y":
                return pauli, x_q ^ z_q
            case "Z":
                return pauli, x_q
            case "H":
                swap = (x_q ^ z_q) << q
                return (x ^ swap, z ^ swap), x_q & z_q
            case "S":
                return (x, z ^ (x_q << q)), x_q & z_q
            case "SDG":
                return (x, z ^ (x_q << q)), x_q & (z_q ^ 1)
        return pauli, 0  # I
    t = positions[1]
    x_t, z_t = (x >> t) & 1, (z >> t) & 1
    match gate:
        case "CNOT":
            flip = x_q & z_t & (x_t ^ z_q ^ 1)
            return (x ^ (x_q << t), z ^ (z_t << q)), flip
        case "CZ":
            flip = x_q & x_t & (z_q ^ z_t)
            return (x, z ^ (x_t << q) ^ (x_q << t)), flip
    both = (1 << q) | (1 << t)  # SWAP
    return (x ^ (both * (x_q ^ x_t)), z ^ (both * (z_q ^ z_t))), 0


@lru_cache(maxsize=8192)
def _moved(
    frame: Frame, gates: tuple[str, ...], positions: tuple[int, ...], depolarising: float
) -> tuple[Frame, Values | None]:
    """The frame after some gates, and the factor of each value; None if all are 1."""
    factors = []
    products = []
    for product in frame.products:
        pauli, minus = product, 0
        for gate in gates:
            pauli, flip = _turned(pauli, gate, positions)
            minus ^= flip
        products.append(pauli)
        factors.append(-1.0 if minus else 1.0)
    moved = frame_of(tuple(products[1 << index] for index in range(len(frame.paulis))))
    if depolarising:
        noise = _noise(moved, positions, depolarising)
        factors = [one * other for one, other in zip(factors, noise, strict=True)]
    return moved, None if all(factor == 1.0 for factor in factors) else tuple(factors)


@lru_cache(maxsize=1024)
def _noise(frame: Frame, positions: tuple[int, ...], amount: float) -> Values:
    """Factors of depolarising: 1 - lambda for products that act on one of the positions."""
    touched = sum(1 << q for q in positions)
    return tuple(1.0 - amount if (x | z) & touched else 1.0 for x, z in frame.products)


@lru_cache(maxsize=4096)
def _turning(frame: Frame, q: int) -> tuple[int, ...]:
    """1 for each product with X or Y at position ``q``: what dephasing scales."""
    return tuple((x >> q) & 1 for x, _ in frame.products)


@lru_cache(maxsize=1024)
def _joined(first: Frame, second: Frame) -> Frame:
    size = len(first.paulis)
    return frame_of(first.paulis + tuple((x << size, z << size) for x, z in second.paulis))


class _Reading(NamedTuple):
    """What Z of a qubit says of the others. Indices into the values; -1 where the value is 0.

    Attributes:
        own: Z of the qubit itself.
        rest: frame of the others.
        plain, with_z: for each product h of that frame, h and h Z.
        read: frame with the qubit, once it was read: products h, then products h Z.
    """

    own: int
    rest: Frame
    plain: tuple[int, ...]
    with_z: tuple[int, ...]
    read: Frame


@lru_cache(maxsize=2048)
def _reading(frame: Frame, q: int) -> _Reading:
    """What is left of a frame when Z of qubit ``q`` is read."""
    own = frame.index.get((0, 1 << q), -1)
    paulis = list(frame.paulis)
    struck = [index for index, (x, _) in enumerate(paulis) if (x >> q) & 1]
    gone = struck[0] if struck else own.bit_length() - 1
    for index in struck[1:]:  # products of two that anticommute with Z commute with it
        paulis[index] = (paulis[index][0] ^ paulis[gone][0], paulis[index][1] ^ paulis[gone][1])
    del paulis[gone]
    bare = [(x, z & ~(1 << q)) for x, z in paulis]
    rest = frame_of(tuple((_without(x, q), _without(z, q)) for x, z in bare))
    read = frame_of((*bare, (0, 1 << q)))
    found = [frame.index.get(product, -1) for product in read.products]
    half = len(found) // 2
    return _Reading(own, rest, tuple(found[:half]), tuple(found[half:]), read)


def _without(bits: int, q: int) -> int:
    """The mask without its bit ``q``; those above move down."""
    low = (1 << q) - 1
    return (bits & low) | ((bits >> 1) & ~low)


@lru_cache(maxsize=1024)
def _steps(name: str, angle_rad: float | None) -> tuple[str, ...]:
    """A gate as Cliffords that :func:`_turned` knows."""
    if name in CLIFFORDS:
        return (name,)
    if name not in _TURNS or angle_rad is None:
        raise EngineUnsupported(
            f"engine bell does Clifford gates only, {', '.join((*CLIFFORDS, *_TURNS))}, got {name}; "
            f"{ADVICE}"
        )
    turns = round(angle_rad / (math.pi / 2))
    if abs(angle_rad - turns * (math.pi / 2)) > TOLERANCE * max(1, abs(turns)):
        raise EngineUnsupported(
            f"engine bell turns by multiples of pi/2 only, {name} must have such an angle_rad, got "
            f"{angle_rad!r}; {ADVICE}"
        )
    return _TURNS[name][turns % 4]


def _read(prob_zero: float, uniform: float) -> tuple[int, float]:
    """Outcome and its probability; what differs from 0 or 1 by rounding only counts as 0 or 1."""
    if prob_zero < PROB_FLOOR:
        prob_zero = 0.0
    elif prob_zero > 1.0 - PROB_FLOOR:
        prob_zero = 1.0
    return (0, prob_zero) if uniform < prob_zero else (1, 1.0 - prob_zero)


# ------------------------------------------------------------------ matrices


@lru_cache(maxsize=256)
def from_rows(rows: tuple[tuple[complex, ...], ...]) -> BellState:
    """State of a density matrix that is Bell-diagonal or diagonal in Z.

    Raises:
        EngineUnsupported: it is neither, or no density matrix.
    """
    size = len(rows)
    if size < 2 or size & (size - 1) or any(len(row) != size for row in rows):
        raise EngineUnsupported(
            f"a density matrix must be 2^n x 2^n with n >= 1, got {size} rows of lengths "
            f"{sorted({len(row) for row in rows})}"
        )
    matrix = np.array(rows, dtype=np.complex128)
    found = _diagonal_in_z(matrix)
    away = float(np.abs(matrix - _matrix(found)).max())
    if size == 4 and not away <= TOLERANCE:
        a, b, c = state_correlators(rows)
        found = BellState(_BELL, (1.0, a, c, -b))
        away = float(np.abs(matrix - _matrix(found)).max())
    if not away <= TOLERANCE:
        raise EngineUnsupported(
            f"engine bell holds states that are Bell-diagonal or diagonal in Z, an entry of this one is "
            f"{away:.3g} away from such a state; {ADVICE}"
        )
    trace, lowest = float(matrix.trace().real), float(np.linalg.eigvalsh(matrix)[0])
    if abs(trace - 1.0) > MATRIX_TOLERANCE or lowest < -MATRIX_TOLERANCE:
        raise EngineUnsupported(
            f"a density matrix must have trace 1 and be positive, got trace {trace!r} and eigenvalue "
            f"{lowest!r}"
        )
    return found


def _diagonal_in_z(matrix: ComplexMatrix) -> BellState:
    """The diagonal of a matrix alone."""
    qubits = len(matrix).bit_length() - 1
    frame = frame_of(tuple((0, 1 << q) for q in range(qubits)))
    diagonal = matrix.diagonal().real
    values = [float(diagonal @ _signs(z, qubits)) for _, z in frame.products]
    return BellState(frame, tuple(values))


def _signs(mask: int, qubits: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Diagonal of the product of Z at the positions of a mask; position 0 is the high bit."""
    high = _mirrored(mask, qubits)
    return np.array([1.0 - 2.0 * ((k & high).bit_count() & 1) for k in range(1 << qubits)])


def _mirrored(mask: int, qubits: int) -> int:
    return sum(((mask >> q) & 1) << (qubits - 1 - q) for q in range(qubits))


def _matrix(state: BellState) -> ComplexMatrix:
    """2^-n times the sum of all products, each with its value."""
    qubits = len(state.frame.paulis)
    size = 1 << qubits
    total = np.zeros((size, size), dtype=np.complex128)
    columns = np.arange(size)
    for (x, z), value in zip(state.frame.products, state.values, strict=True):
        phase = 1j ** (x & z).bit_count()  # Y = i X Z
        total[columns ^ _mirrored(x, qubits), columns] += value * phase * _signs(z, qubits)
    return total / size


# ------------------------------------------------------------------ the engine


class BellEngine:
    """Expectation values of the products of a frame; implements :class:`qnet.world.engine.Engine`."""

    name = "bell"

    def check_gate(self, name: str, angle_rad: float | None) -> None:
        """Refuse a gate that is no Clifford with EngineUnsupported."""
        _steps(name, angle_rad)

    def basis(self, bit: int) -> BellState:
        """One qubit in |bit>."""
        return BellState(_Z, (1.0, -1.0 if bit else 1.0))

    def from_matrix(self, rows: Sequence[Sequence[complex]]) -> BellState:
        """State with this density matrix if it is Bell-diagonal or diagonal in Z."""
        return from_rows(tuple(map(tuple, rows)))

    def qubits(self, state: BellState) -> int:
        """Number of qubits."""
        return len(state.frame.paulis)

    def merge(self, first: BellState, second: BellState) -> BellState:
        """Tensor product, ``first`` at the lower positions."""
        low = first.values
        values = [one * other for other in second.values for one in low]
        return BellState(_joined(first.frame, second.frame), tuple(values))

    def gate(
        self,
        state: BellState,
        name: str,
        positions: tuple[int, ...],
        angle_rad: float | None = None,
        depolarising: float = 0.0,
    ) -> BellState:
        """Clifford gate on ``positions``, then depolarise(lambda) on the same qubits."""
        frame, factors = _moved(state[0], _steps(name, angle_rad), positions, depolarising)
        if factors is None:
            return BellState(frame, state[1])
        return BellState(frame, tuple(map(float.__mul__, state[1], factors)))

    def depolarise(self, state: BellState, positions: tuple[int, ...], amount: float) -> BellState:
        """Mix one or two qubits with the maximally mixed state."""
        factors = _noise(state[0], positions, amount)
        return BellState(state[0], tuple(map(float.__mul__, state[1], factors)))

    def decay(self, state: BellState, position: int, amount: Decay) -> BellState:
        """Dephasing of one qubit; a finite T1 is refused."""
        gamma, kept = amount
        if gamma != 0.0:
            raise EngineUnsupported(
                f"engine bell knows no decay towards |0>: t1_s must be inf, got a decay of {gamma:.3g}; "
                f"{ADVICE}"
            )
        frame, values = state
        turning = _turning(frame, position)
        return BellState(
            frame, tuple([v * kept if t else v for v, t in zip(values, turning, strict=True)])
        )

    def measure(self, state: BellState, position: int, uniform: float) -> Measured:
        """Read one qubit in Z and take it out."""
        reading = _reading(state.frame, position)
        values = (*state.values, 0.0)
        outcome, prob = _read(0.5 * (1.0 + values[reading.own]), uniform)
        if len(reading.plain) == 1:
            return Measured(outcome, prob, None)
        norm = 0.5 / prob
        signed = -norm if outcome else norm
        pairs = zip(reading.plain, reading.with_z, strict=True)
        rest = tuple([norm * values[h] + signed * values[hz] for h, hz in pairs])
        return Measured(outcome, prob, BellState(reading.rest, rest))

    def report(
        self, state: BellState, position: int, flip_probs: tuple[float, float], uniform: float
    ) -> Reported:
        """Read one qubit in Z with an imperfect read-out and leave it in the state.

        sum_t P(r|t) Pi_t = (P(r|0) + P(r|1))/2 + (P(r|0) - P(r|1))/2 Z.
        """
        reading = _reading(state.frame, position)
        values = (*state.values, 0.0)
        own = values[reading.own]
        told_0, told_1 = 1.0 - flip_probs[0], flip_probs[1]  # P(0|t)
        outcome, _ = _read(0.5 * (told_0 * (1.0 + own) + told_1 * (1.0 - own)), uniform)
        if outcome:
            told_0, told_1 = 1.0 - told_0, 1.0 - told_1
        mean, half = 0.5 * (told_0 + told_1), 0.5 * (told_0 - told_1)
        norm = 1.0 / (mean + half * own)
        mean, half = mean * norm, half * norm
        pairs = list(zip(reading.plain, reading.with_z, strict=True))
        plain = [mean * values[h] + half * values[hz] for h, hz in pairs]
        with_z = [mean * values[hz] + half * values[h] for h, hz in pairs]
        return Reported(outcome, BellState(reading.read, (*plain, *with_z)))

    def trace_out(self, state: BellState, position: int) -> BellState | None:
        """State of the other qubits, None if there are none."""
        reading = _reading(state.frame, position)
        if len(reading.plain) == 1:
            return None
        values = (*state.values, 0.0)
        return BellState(reading.rest, tuple([values[h] for h in reading.plain]))

    def reorder(self, state: BellState, order: tuple[int, ...]) -> BellState:
        """The same qubits with new position i holding what was at ``order[i]``."""
        if order == tuple(range(len(order))):
            return state

        def moved(bits: int) -> int:
            return sum(((bits >> old) & 1) << new for new, old in enumerate(order))

        paulis = tuple((moved(x), moved(z)) for x, z in state.frame.paulis)
        return BellState(frame_of(paulis), state.values)

    def bell_overlap(self, state: BellState, first: int, second: int, label: Label) -> float:
        """<B(label)|rho|B(label)> of two qubits, between 0 and 1.

        (1 + (-1)^z <XX> - (-1)^(x+z) <YY> + (-1)^x <ZZ>) / 4.
        """
        both = (1 << first) | (1 << second)
        index = state.frame.index
        values = (*state.values, 0.0)
        x, z = label
        xx, yy, zz = (
            values[index.get(pauli, -1)] for pauli in ((both, 0), (both, both), (0, both))
        )
        total = 1.0 + (-xx if z else xx) - (-yy if x ^ z else yy) + (-zz if x else zz)
        return min(1.0, max(0.0, total / 4.0))

    def matrix(self, state: BellState) -> ComplexMatrix:
        """Density matrix, as a copy."""
        return _matrix(state)
