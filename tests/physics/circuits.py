"""Density matrices of a few qubits in numpy, to hold closed forms against whole circuits.

Qubit 0 is the high bit. Noise and gates are written here once more, from their definitions.
"""

from __future__ import annotations

import numpy as np

from qnet.physics.bell import density_matrix, weights_from_correlators

PAULIS = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]).astype(complex),
}
HADAMARD = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)


def on(count: int, **factors: np.ndarray) -> np.ndarray:
    """Tensor product: q0=..., q1=...; the identity elsewhere."""
    out = np.eye(1, dtype=complex)
    for qubit in range(count):
        out = np.kron(out, factors.get(f"q{qubit}", PAULIS["I"]))
    return out


def one(count: int, qubit: int, matrix: np.ndarray) -> np.ndarray:
    return on(count, **{f"q{qubit}": matrix})


def controlled(count: int, control: int, target: int, letter: str) -> np.ndarray:
    """CNOT (letter X) or CZ (letter Z)."""
    low, high = np.diag([1.0, 0.0]).astype(complex), np.diag([0.0, 1.0]).astype(complex)
    turned = on(count, **{f"q{control}": high, f"q{target}": PAULIS[letter]})
    return one(count, control, low) + turned


def conjugate(rho: np.ndarray, operator: np.ndarray) -> np.ndarray:
    return operator @ rho @ operator.conj().T


def depolarise(rho: np.ndarray, count: int, first: int, second: int, share: float) -> np.ndarray:
    """Two qubits, replaced by the maximally mixed state with chance ``share``."""
    mixed = np.zeros_like(rho)
    for a in PAULIS.values():
        for b in PAULIS.values():
            mixed += conjugate(rho, one(count, first, a) @ one(count, second, b)) / 16
    return (1 - share) * rho + share * mixed


def read(rho: np.ndarray, count: int, qubit: int, flips: tuple[float, float]):
    """(bit as read, unnormalised state) for each of the four cases of truth and report."""
    for true in (0, 1):
        projector = np.zeros((2, 2), dtype=complex)
        projector[true, true] = 1
        after = conjugate(rho, one(count, qubit, projector))
        yield true, after * (1 - flips[true])
        yield 1 - true, after * flips[true]


def pair(correlators) -> np.ndarray:
    return np.array(density_matrix(weights_from_correlators(correlators)))


def reduced(rho: np.ndarray, count: int, kept: list[int]) -> np.ndarray:
    """Partial trace over all qubits that are not ``kept``; these stay in their order."""
    gone = [q for q in range(count) if q not in kept]
    axes = rho.reshape((2,) * (2 * count))
    for qubit in sorted(gone, reverse=True):
        axes = np.trace(axes, axis1=qubit, axis2=qubit + axes.ndim // 2)
    size = 1 << len(kept)
    return axes.reshape(size, size)
