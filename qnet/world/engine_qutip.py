"""The reference engine: any state and any channel, as QuTiP density matrices.

Theory
    A state is a ``qutip.core.data.Dense`` matrix (C order). One- and two-qubit channels are small
    superoperators: the matrix is regrouped so that the touched row and column bits come first,
    multiplied once by a cached 4 x 4 or 16 x 16 matrix, and grouped back. Gate noise is part of
    that matrix, so a noisy gate costs as much as a clean one.
Why these techniques
    Measured on 1 to 6 qubits (``qnet bench state``): ``Qobj`` arithmetic costs ten to a hundred
    times the physics. QuTiP's data layer with cached operators is best for a clean gate on one to
    three qubits. Regrouping through a cached flat index (one ``take`` each way) beats products and
    tensordot for channels of every size. On four qubits and more a clean gate that only permutes
    basis states and turns phases (all but H, RX, RY) is a single ``take``, with a product if there
    are phases. Wrapping an array as ``Dense`` and back costs half a microsecond. A flat index has
    4^n entries, so above ``INDEX_QUBITS_MAX`` qubits strided views replace it: there the
    arithmetic dominates anyway.
Assumptions and validity
    As :mod:`qnet.world.engine`. The trace drifts by rounding only (about 1e-16 per operation) and
    is restored at every measurement; a probability within ``PROB_FLOOR`` of 0 or 1 counts as
    exactly that.
Not modelled
    Nothing beyond the interface; memory grows as 16 * 4^n bytes, the store caps n.
Units
    As :mod:`qnet.world.engine`.
Sources
    [1] Lambert et al., "QuTiP 5: the quantum toolbox in Python", arXiv:2412.04705 (2024).
    [2] Nielsen and Chuang, "Quantum Computation and Quantum Information" (2000), section 8.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import qutip
from numpy.typing import NDArray
from qutip import Qobj
from qutip.core import gates
from qutip.core.data import Dense, matmul_dense
from qutip.core.data.dense import fast_from_numpy

from qnet.errors import EngineUnsupported
from qnet.physics.bell import Label, overlap
from qnet.physics.memory import Decay
from qnet.world.engine import ComplexMatrix, Measured, Reported

INDEX_QUBITS_MAX: Final = 6
"""Largest state that is regrouped through a cached flat index."""

MATMUL_SIZE_MAX: Final = 8
"""Largest matrix on which two products are the fastest way to apply any gate (three qubits)."""

PROB_FLOOR: Final = 1e-15
"""A probability this close to 0 or 1 differs from it by rounding only."""

MATRIX_TOLERANCE: Final = 1e-9
"""How far a matrix from outside may be from Hermitian, trace 1 and positive."""

IntArray = NDArray[np.intp]


def _gate_objects() -> dict[str, Qobj]:
    return {
        "I": qutip.qeye(2),
        "X": qutip.sigmax(),
        "Y": qutip.sigmay(),
        "Z": qutip.sigmaz(),
        "H": gates.snot(),
        "S": gates.s_gate(),
        "SDG": gates.s_gate().dag(),
        "T": gates.t_gate(),
        "TDG": gates.t_gate().dag(),
        "CNOT": gates.cnot(),
        "CZ": gates.cz_gate(),
        "SWAP": gates.swap(),
    }


_GATES: Final[dict[str, ComplexMatrix]] = {
    name: np.ascontiguousarray(gate.full()) for name, gate in _gate_objects().items()
}
_ROTATIONS: Final = {"RX": gates.rx, "RY": gates.ry, "RZ": gates.rz}


@lru_cache(maxsize=1024)
def _unitary(name: str, angle_rad: float | None) -> ComplexMatrix:
    """Matrix of a gate on its own qubits."""
    if angle_rad is None:
        return _GATES[name]
    return np.ascontiguousarray(_ROTATIONS[name](angle_rad).full())


def _depolariser(qubits: int, amount: float) -> ComplexMatrix:
    """Superoperator of depolarise(lambda) on row-major vectors."""
    dimension = 1 << qubits
    identity = np.eye(dimension, dtype=np.complex128).reshape(-1)
    mixing = np.outer(identity, identity) / dimension
    return (1.0 - amount) * np.eye(dimension**2, dtype=np.complex128) + amount * mixing


@lru_cache(maxsize=1024)
def _channel(name: str, angle_rad: float | None, amount: float) -> ComplexMatrix:
    """Superoperator of a gate followed by depolarise(lambda) on row-major vectors."""
    unitary = _unitary(name, angle_rad)
    superoperator = np.kron(unitary, unitary.conj())
    if amount:
        qubits = unitary.shape[0].bit_length() - 1
        superoperator = _depolariser(qubits, amount) @ superoperator
    return np.ascontiguousarray(superoperator)


@lru_cache(maxsize=256)
def _depolarising_channel(qubits: int, amount: float) -> ComplexMatrix:
    return _depolariser(qubits, amount)


@lru_cache(maxsize=1024)
def _decay_channel(amount: Decay) -> ComplexMatrix:
    """Superoperator of T1/T2 decay on the row-major vector (00, 01, 10, 11); [2]."""
    gamma, coherence = amount
    return np.array(
        [[1, 0, 0, gamma], [0, coherence, 0, 0], [0, 0, coherence, 0], [0, 0, 0, 1 - gamma]],
        dtype=np.complex128,
    )


# ------------------------------------------------------------------ regrouping of indices


@lru_cache(maxsize=4096)
def _axes(qubits: int, positions: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Axes that bring the touched row bits, then the touched column bits to the front; and back."""
    front = positions + tuple(qubits + position for position in positions)
    forward = front + tuple(axis for axis in range(2 * qubits) if axis not in front)
    backward = tuple(forward.index(axis) for axis in range(2 * qubits))
    return forward, backward


@lru_cache(maxsize=4096)
def _regrouping(qubits: int, positions: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Flat indices of :func:`_axes`: ``take(forward)`` regroups, ``take(backward)`` undoes it."""
    forward_axes, backward_axes = _axes(qubits, positions)
    flat = np.arange(4**qubits, dtype=np.intp).reshape((2,) * (2 * qubits))
    forward = flat.transpose(forward_axes).reshape(4 ** len(positions), -1)
    backward = flat.transpose(backward_axes).reshape(2**qubits, 2**qubits)
    return np.ascontiguousarray(forward), np.ascontiguousarray(backward)


def _apply_channel(
    matrix: ComplexMatrix, qubits: int, positions: tuple[int, ...], channel: ComplexMatrix
) -> ComplexMatrix:
    """A one- or two-qubit superoperator on some positions of a density matrix."""
    if qubits <= INDEX_QUBITS_MAX:
        forward, backward = _regrouping(qubits, positions)
        changed: ComplexMatrix = channel.dot(matrix.take(forward)).take(backward)
        return changed
    forward_axes, backward_axes = _axes(qubits, positions)
    shape = (2,) * (2 * qubits)
    grouped = matrix.reshape(shape).transpose(forward_axes).reshape(channel.shape[0], -1)
    spread = channel.dot(grouped).reshape(shape).transpose(backward_axes)
    return np.ascontiguousarray(spread.reshape(matrix.shape))


# ------------------------------------------------------------------ gates as permutations


def _embedded(
    name: str, angle_rad: float | None, positions: tuple[int, ...], dimension: int
) -> ComplexMatrix:
    """Full 2^n x 2^n unitary of a gate."""
    qubits = dimension.bit_length() - 1
    unitary = _unitary(name, angle_rad)
    rest = np.eye(dimension // unitary.shape[0])
    order = positions + tuple(p for p in range(qubits) if p not in positions)
    axes = tuple(order.index(p) for p in range(qubits))
    full = np.kron(unitary, rest).reshape((2,) * (2 * qubits))
    full = full.transpose(axes + tuple(qubits + axis for axis in axes))
    return np.ascontiguousarray(full.reshape(dimension, dimension))


@lru_cache(maxsize=4096)
def _embedded_pair(
    name: str, angle_rad: float | None, positions: tuple[int, ...], dimension: int
) -> tuple[Dense, Dense]:
    """A full unitary and its adjoint as QuTiP data, for two matrix products."""
    unitary = _embedded(name, angle_rad, positions, dimension)
    adjoint = np.ascontiguousarray(unitary.conj().T)
    return fast_from_numpy(unitary), fast_from_numpy(adjoint)


@lru_cache(maxsize=4096)
def _permuting(
    name: str, angle_rad: float | None, positions: tuple[int, ...], dimension: int
) -> tuple[IntArray | None, ComplexMatrix | None] | None:
    """How a gate permutes basis states and turns their phases; None if it makes superpositions.

    For a gate U|s(i)> = f(i)|i> the new matrix element (i, j) is f(i) f(j)* times the old one at
    (s(i), s(j)). Returned are s (None if s is the identity) and f (None if f is 1), the latter two
    as flat index and factor matrix up to ``INDEX_QUBITS_MAX`` qubits and as vectors above.
    """
    if np.count_nonzero(_unitary(name, angle_rad)) != _unitary(name, angle_rad).shape[0]:
        return None
    small = _unitary(name, angle_rad)
    source_small = np.abs(small).argmax(axis=1)
    factor_small = small[np.arange(small.shape[0]), source_small]
    qubits = dimension.bit_length() - 1
    basis = np.arange(dimension)
    shifts = [qubits - 1 - position for position in positions]
    local = np.zeros(dimension, dtype=np.intp)
    for shift in shifts:
        local = 2 * local + ((basis >> shift) & 1)
    moved = source_small[local]
    source = basis.copy()
    for place, shift in enumerate(reversed(shifts)):
        source = (source & ~(1 << shift)) | (((moved >> place) & 1) << shift)
    factor = factor_small[local]
    index: IntArray | None = None if np.array_equal(source, basis) else source.astype(np.intp)
    phases: ComplexMatrix | None = None if np.all(factor == 1.0) else factor
    if qubits <= INDEX_QUBITS_MAX:
        if index is not None:
            index = index[:, None] * dimension + index[None, :]
        if phases is not None:
            phases = np.outer(phases, phases.conj())
    return index, phases


def _permute(
    matrix: ComplexMatrix, index: IntArray | None, phases: ComplexMatrix | None
) -> ComplexMatrix:
    if len(matrix) <= 1 << INDEX_QUBITS_MAX:
        if index is not None:
            matrix = matrix.take(index)
        return matrix if phases is None else matrix * phases
    if index is not None:
        matrix = matrix.take(index, axis=0).take(index, axis=1)
    return matrix if phases is None else matrix * phases[:, None] * phases.conj()[None, :]


# ------------------------------------------------------------------ blocks and products


@lru_cache(maxsize=1024)
def _blocks(qubits: int, position: int) -> tuple[IntArray, IntArray]:
    """Flat indices of the two diagonal blocks in which the qubit is |0> or |1>."""
    grouped, _ = _regrouping(qubits, (position,))
    half = 2 ** (qubits - 1)
    return (grouped[0].reshape(half, half).copy(), grouped[3].reshape(half, half).copy())


def _block(matrix: ComplexMatrix, qubits: int, position: int, bit: int) -> ComplexMatrix:
    """Unnormalised matrix of the other qubits when the qubit at ``position`` is |bit>."""
    if qubits <= INDEX_QUBITS_MAX:
        return matrix.take(_blocks(qubits, position)[bit])
    high, low = 2**position, 2 ** (qubits - 1 - position)
    half = high * low
    view = matrix.reshape(high, 2, low, high, 2, low)[:, bit, :, :, bit, :]
    return view.reshape(half, half)


@lru_cache(maxsize=1024)
def _mask(qubits: int, position: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Diagonals of the projectors on |0> and |1> of one qubit."""
    ones = ((np.arange(2**qubits) >> (qubits - 1 - position)) & 1).astype(np.float64)
    return 1.0 - ones, ones


@lru_cache(maxsize=256)
def _product_indices(first: int, second: int) -> tuple[IntArray, IntArray]:
    """Flat indices that spread two matrices over their tensor product."""
    high, low = 2**first, 2**second
    row = np.arange(high * low)
    first_index = (row[:, None] // low) * high + row[None, :] // low
    second_index = (row[:, None] % low) * low + row[None, :] % low
    return first_index.astype(np.intp), second_index.astype(np.intp)


def _read(prob_zero: float, uniform: float) -> tuple[int, float]:
    """Outcome and its probability; what differs from 0 or 1 by rounding only counts as 0 or 1."""
    if prob_zero < PROB_FLOOR:
        prob_zero = 0.0
    elif prob_zero > 1.0 - PROB_FLOOR:
        prob_zero = 1.0
    return (0, prob_zero) if uniform < prob_zero else (1, 1.0 - prob_zero)


def _qubits(matrix: ComplexMatrix) -> int:
    return len(matrix).bit_length() - 1


@lru_cache(maxsize=256)
def _checked(rows: tuple[tuple[complex, ...], ...]) -> Dense:
    """A density matrix from outside, checked once: heralding hands over the same few again."""
    size = len(rows)
    if size < 2 or size & (size - 1) or any(len(row) != size for row in rows):
        raise EngineUnsupported(
            f"a density matrix must be 2^n x 2^n with n >= 1, got {size} rows of lengths "
            f"{sorted({len(row) for row in rows})}"
        )
    matrix = np.array(rows, dtype=np.complex128)
    if not np.allclose(matrix, matrix.conj().T, rtol=0.0, atol=MATRIX_TOLERANCE):
        raise EngineUnsupported("a density matrix must be Hermitian, got one that is not")
    trace = float(matrix.trace().real)
    if not abs(trace - 1.0) <= MATRIX_TOLERANCE:
        raise EngineUnsupported(f"a density matrix must have trace 1, got {trace!r}")
    lowest = float(np.linalg.eigvalsh(matrix)[0])
    if lowest < -MATRIX_TOLERANCE:
        raise EngineUnsupported(f"a density matrix must be positive, got eigenvalue {lowest!r}")
    return fast_from_numpy(matrix)


class QutipEngine:
    """Density matrices of QuTiP; implements :class:`qnet.world.engine.Engine`."""

    name = "qutip"

    def __init__(self) -> None:
        self._basis = (
            fast_from_numpy(np.diag([1.0 + 0j, 0j])),
            fast_from_numpy(np.diag([0j, 1.0 + 0j])),
        )

    def check_gate(self, name: str, angle_rad: float | None) -> None:
        """Every gate can be applied."""

    def basis(self, bit: int) -> Dense:
        """One qubit in |bit>."""
        return self._basis[bit]

    def from_matrix(self, rows: Sequence[Sequence[complex]]) -> Dense:
        """State with this density matrix; refuses anything else with EngineUnsupported."""
        return _checked(tuple(tuple(row) for row in rows))

    def qubits(self, state: Dense) -> int:
        """Number of qubits."""
        return _qubits(state.as_ndarray())

    def merge(self, first: Dense, second: Dense) -> Dense:
        """Tensor product, ``first`` at the lower positions."""
        left, right = first.as_ndarray(), second.as_ndarray()
        high, low = len(left), len(right)
        if high * low <= 1 << INDEX_QUBITS_MAX:
            left_index, right_index = _product_indices(_qubits(left), _qubits(right))
            return fast_from_numpy(left.take(left_index) * right.take(right_index))
        product = left[:, None, :, None] * right[None, :, None, :]
        return fast_from_numpy(product.reshape(high * low, high * low))

    def gate(
        self,
        state: Dense,
        name: str,
        positions: tuple[int, ...],
        angle_rad: float | None = None,
        depolarising: float = 0.0,
    ) -> Dense:
        """Unitary on ``positions``, then depolarise(lambda) on the same qubits."""
        matrix = state.as_ndarray()
        if depolarising:
            channel = _channel(name, angle_rad, depolarising)
            return fast_from_numpy(_apply_channel(matrix, _qubits(matrix), positions, channel))
        if len(matrix) <= MATMUL_SIZE_MAX:
            unitary, adjoint = _embedded_pair(name, angle_rad, positions, len(matrix))
            return matmul_dense(matmul_dense(unitary, state), adjoint)
        permuting = _permuting(name, angle_rad, positions, len(matrix))
        if permuting is not None:
            return fast_from_numpy(_permute(matrix, *permuting))
        channel = _channel(name, angle_rad, 0.0)
        return fast_from_numpy(_apply_channel(matrix, _qubits(matrix), positions, channel))

    def depolarise(self, state: Dense, positions: tuple[int, ...], amount: float) -> Dense:
        """(1 - lambda) rho + lambda (maximally mixed on ``positions``)."""
        matrix = state.as_ndarray()
        channel = _depolarising_channel(len(positions), amount)
        return fast_from_numpy(_apply_channel(matrix, _qubits(matrix), positions, channel))

    def decay(self, state: Dense, position: int, amount: Decay) -> Dense:
        """T1/T2 decay of one qubit towards |0>."""
        matrix = state.as_ndarray()
        channel = _decay_channel(amount)
        return fast_from_numpy(_apply_channel(matrix, _qubits(matrix), (position,), channel))

    def measure(self, state: Dense, position: int, uniform: float) -> Measured:
        """Read one qubit in Z; ``uniform`` below the probability of 0 means outcome 0."""
        matrix = state.as_ndarray()
        qubits = _qubits(matrix)
        if qubits == 1:
            outcome, prob = _read(matrix.item(0).real, uniform)
            return Measured(outcome, prob, None)
        diagonal = matrix.diagonal().real
        masks = _mask(qubits, position)
        outcome, prob = _read(float(diagonal.dot(masks[0])), uniform)
        weight = float(diagonal.dot(masks[outcome]))
        block = _block(matrix, qubits, position, outcome)
        return Measured(outcome, prob, fast_from_numpy(block * (1.0 / weight)))

    def report(
        self, state: Dense, position: int, flip_probs: tuple[float, float], uniform: float
    ) -> Reported:
        """Read one qubit in Z imperfectly; it stays, as sum_t P(r|t) Pi_t rho Pi_t."""
        matrix = state.as_ndarray()
        qubits = _qubits(matrix)
        diagonal = matrix.diagonal().real
        zero, one = (float(diagonal.dot(mask)) for mask in _mask(qubits, position))
        told_0, told_1 = 1.0 - flip_probs[0], flip_probs[1]  # P(0|t)
        outcome, _ = _read((zero * told_0 + one * told_1) / (zero + one), uniform)
        if outcome:
            told_0, told_1 = 1.0 - told_0, 1.0 - told_1
        scale = 1.0 / (zero * told_0 + one * told_1)
        high, low = 2**position, 2 ** (qubits - 1 - position)
        before = matrix.reshape(high, 2, low, high, 2, low)
        after = np.zeros_like(before)
        after[:, 0, :, :, 0, :] = before[:, 0, :, :, 0, :] * (told_0 * scale)
        after[:, 1, :, :, 1, :] = before[:, 1, :, :, 1, :] * (told_1 * scale)
        return Reported(outcome, fast_from_numpy(after.reshape(matrix.shape)))

    def trace_out(self, state: Dense, position: int) -> Dense | None:
        """State of the other qubits, None if there are none."""
        matrix = state.as_ndarray()
        qubits = _qubits(matrix)
        if qubits == 1:
            return None
        zero = _block(matrix, qubits, position, 0)
        return fast_from_numpy(zero + _block(matrix, qubits, position, 1))

    def reorder(self, state: Dense, order: tuple[int, ...]) -> Dense:
        """The same qubits with new position i holding what was at ``order[i]``."""
        matrix = state.as_ndarray()
        qubits = len(order)
        axes = order + tuple(qubits + position for position in order)
        moved = matrix.reshape((2,) * (2 * qubits)).transpose(axes).reshape(matrix.shape)
        return fast_from_numpy(np.ascontiguousarray(moved))

    def bell_overlap(self, state: Dense, first: int, second: int, label: Label) -> float:
        """<B(label)|rho|B(label)> of two qubits, all others traced out."""
        matrix = state.as_ndarray()
        qubits = _qubits(matrix)
        forward, _ = _axes(qubits, (first, second))
        side = 2 ** (qubits - 2)
        grouped = matrix.reshape((2,) * (2 * qubits)).transpose(forward)
        pair = grouped.reshape(4, 4, side, side).trace(axis1=2, axis2=3)
        return min(1.0, max(0.0, overlap(pair.tolist(), label)))

    def matrix(self, state: Dense) -> ComplexMatrix:
        """Density matrix as a copy."""
        copy: ComplexMatrix = state.as_ndarray().copy()
        return copy
