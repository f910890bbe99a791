"""Stabiliser groups against matrices, and closed forms of the expected fidelity."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest

from qnet.physics.bell import correlators, werner, werner_correlator
from qnet_protocols.apps.stabilisers import (
    element,
    expected_fidelity,
    fidelity_estimate,
    ghz_generators,
    graph_generators,
    multiply,
    syndrome,
)

PAULI = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]).astype(complex),
}
RING = [(0, 1), (1, 2), (2, 3), (0, 3)]


def matrix(letters) -> np.ndarray:
    return functools.reduce(np.kron, (PAULI[letter] for letter in letters))


def ghz(qubits: int) -> np.ndarray:
    state = np.zeros(2**qubits)
    state[0] = state[-1] = math.sqrt(0.5)
    return state


def graph(qubits: int, edges) -> np.ndarray:
    state = np.full(2**qubits, 2 ** (-qubits / 2))
    for index, bits in enumerate(itertools.product((0, 1), repeat=qubits)):
        state[index] *= (-1) ** sum(bits[a] & bits[b] for a, b in edges)
    return state


STATES = [
    (ghz_generators(2), ghz(2)),
    (ghz_generators(4), ghz(4)),
    (graph_generators(4, RING), graph(4, RING)),
    (graph_generators(3, [(0, 1), (1, 2)]), graph(3, [(0, 1), (1, 2)])),
    (graph_generators(3, []), graph(3, [])),
]


@pytest.mark.parametrize(("generators", "state"), STATES)
def test_law_every_element_stabilises_the_state_and_their_mean_projects_on_it(generators, state):
    total = np.zeros((len(state), len(state)), complex)
    for chosen in range(1 << len(generators)):
        sign, letters = element(generators, chosen)
        assert sign * matrix(letters) @ state == pytest.approx(state)
        total += sign * matrix(letters)
    assert total / len(state) == pytest.approx(np.outer(state, state))


def test_law_products_are_those_of_matrices():
    for pair in itertools.product(itertools.product("IXYZ", repeat=2), repeat=2):
        power, letters = multiply(*pair)
        assert 1j**power * matrix(letters) == pytest.approx(matrix(pair[0]) @ matrix(pair[1]))


@pytest.mark.parametrize(("generators", "state"), STATES)
def test_law_syndromes_are_the_signs_that_an_error_turns(generators, state):
    for qubit, label in itertools.product(range(len(generators)), [(1, 0), (0, 1), (1, 1)]):
        letters = ["I"] * len(generators)
        letters[qubit] = {(1, 0): "X", (0, 1): "Z", (1, 1): "Y"}[label]
        wrong = matrix(letters) @ state
        for number, generator in enumerate(generators):
            mean = np.vdot(wrong, matrix(generator) @ wrong).real
            turned = syndrome(generators, qubit, label) >> number & 1
            assert mean == pytest.approx(1 - 2 * turned)


def test_ghz_fidelity_is_the_closed_form():
    pairs = [(0.9, 0.03, 0.05, 0.02), (0.8, 0.1, 0.06, 0.04), werner(0.95)]
    found = expected_fidelity(ghz_generators(4), [(k + 1, p) for k, p in enumerate(pairs)])
    straight = math.prod((1 + correlators(p)[2]) / 2 for p in pairs)
    crossed = math.prod((correlators(p)[0] + correlators(p)[1]) / 2 for p in pairs)
    assert found == pytest.approx((straight + crossed) / 2)


def test_two_pairs_fused_give_the_formula_of_the_reference():
    p, q = (0.9, 0.03, 0.05, 0.02), (0.8, 0.1, 0.06, 0.04)
    found = expected_fidelity(ghz_generators(3), [(1, p), (2, q)])
    assert found == pytest.approx(p[0] * q[0] + p[1] * q[1])


def test_one_pair_is_its_own_fidelity():
    assert expected_fidelity(ghz_generators(2), [(1, werner(0.9))]) == pytest.approx(0.9)
    assert werner_correlator(1.0) == 1.0


def test_fidelity_estimate():
    assert fidelity_estimate(10, 10, 3) == (1.0, 0.0)
    value, stderr = fidelity_estimate(0, 100, 2)
    assert (value, stderr) == (0.25, pytest.approx(0.075))
