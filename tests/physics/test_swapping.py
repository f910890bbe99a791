"""Swaps against a density matrix of four qubits."""

from __future__ import annotations

import itertools
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.physics import bell, swapping

I2, X, Z = np.eye(2), np.array([[0, 1], [1, 0]]), np.diag([1, -1])
H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
correlators = st.tuples(*[st.floats(0.01, 1)] * 4).map(
    lambda p: bell.correlators(tuple(v / sum(p) for v in p))
)
flips = st.tuples(st.floats(0, 0.3), st.floats(0, 0.3))


def embed(operators):
    """Tensor product over four qubits (A, left, right, B); missing ones are the identity."""
    return reduce(np.kron, [operators.get(q, I2) for q in range(4)])


def depolarise(rho, qubits, amount):
    tensor = rho.reshape((2,) * 8)
    for q in qubits:
        mixed = np.trace(tensor, axis1=q, axis2=4 + q)
        tensor = np.moveaxis(np.multiply.outer(np.eye(2) / 2, mixed), (0, 1), (q, 4 + q))
    return (1 - amount) * rho + amount * tensor.reshape(16, 16)


def swapped(first, second, gate, hadamard, phase_flips, parity_flips):
    """Correlators after the circuit, the read-outs with flips and the correction on B."""
    rho = np.kron(
        np.array(bell.density_matrix(bell.weights_from_correlators(first))),
        np.array(bell.density_matrix(bell.weights_from_correlators(second))),
    )
    zero, one = np.diag([1, 0]), np.diag([0, 1])
    cnot = embed({1: zero}) + embed({1: one, 2: X})
    rho = depolarise(cnot @ rho @ cnot.T, (1, 2), gate)
    turn = embed({1: H})
    rho = depolarise(turn @ rho @ turn.T, (1,), hadamard)
    out = np.zeros((4, 4), dtype=complex)
    for true_x, true_z, read_x, read_z in itertools.product((0, 1), repeat=4):
        weight = flip(phase_flips, true_x, read_x) * flip(parity_flips, true_z, read_z)
        project = embed({1: (zero, one)[true_x], 2: (zero, one)[true_z]})
        fix = embed({3: np.linalg.matrix_power(Z, read_x) @ np.linalg.matrix_power(X, read_z)})
        kept = (fix @ project @ rho @ project @ fix.T).reshape((2,) * 8)
        out += weight * np.einsum("abcdebcf->adef", kept).reshape(4, 4)
    y = 1j * X @ Z
    return tuple(sign * np.trace(out @ np.kron(p, p)).real for p, sign in ((X, 1), (y, -1), (Z, 1)))


def flip(probs, true, read):
    return probs[true] if true != read else 1 - probs[true]


@settings(max_examples=10, deadline=None)
@given(correlators, correlators, st.floats(0, 1), st.floats(0, 1), flips, flips)
def test_law_swap_equals_the_circuit(first, second, gate, hadamard, phase_flips, parity_flips):
    model = swapping.swap(
        first,
        second,
        gate_depolarising=gate,
        hadamard_depolarising=hadamard,
        phase_flips=phase_flips,
        parity_flips=parity_flips,
    )
    exact = swapped(first, second, gate, hadamard, phase_flips, parity_flips)
    assert model == pytest.approx(exact, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(correlators, correlators)
def test_law_perfect_swap_convolves_the_labels(first, second):
    weights = bell.convolve(
        bell.weights_from_correlators(first), bell.weights_from_correlators(second)
    )
    assert swapping.perfect_swap(first, second) == pytest.approx(bell.correlators(weights))
    assert swapping.swap(first, second) == swapping.perfect_swap(first, second)


def test_law_werner_chain():
    assert swapping.werner_chain_fidelity(0.95, 5) == pytest.approx(0.7812, abs=5e-5)
    assert swapping.werner_chain_fidelity(0.9, 1) == pytest.approx(0.9)
    two = swapping.werner_chain_fidelity(0.9, 2)
    assert two == pytest.approx(0.9**2 + 0.1**2 / 3)
    with pytest.raises(ValueError, match=">= 1 link"):
        swapping.werner_chain_fidelity(0.9, 0)
