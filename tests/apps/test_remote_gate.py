"""Remote gates against matrices and the closed form; error bars are 3 standard errors of fixed seeds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qnet_protocols.apps.remote_gate import conjugate, gate_test
from qnet_protocols.apps.teleport import STATES

from .networks import delivered_fidelity, pair_of_nodes, result_of, run_embedded

WERNER = {"emission": {"spin_photon_fidelity": 0.95}}
PAULI = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}
UNITARY = {"CNOT": np.eye(4)[[0, 1, 3, 2]], "CZ": np.diag([1, 1, 1, -1])}


def pair(letters) -> np.ndarray:
    return np.kron(PAULI[letters[0]], PAULI[letters[1]])


@pytest.mark.parametrize("gate", UNITARY)
def test_law_images_are_those_of_matrices(gate):
    u = UNITARY[gate]
    for letters in itertools.product("IXYZ", repeat=2):
        sign, image = conjugate(gate, letters)
        assert u @ pair(letters) @ u.conj().T == pytest.approx(sign * pair(image))


@pytest.mark.parametrize("gate", UNITARY)
def test_law_a_perfect_gate_passes_every_test_with_certainty(gate):
    for chosen, first, second in itertools.product(range(1, 16), (0, 1), (0, 1)):
        test = gate_test(gate, chosen, (first, second))
        projector = np.eye(1)
        for state in test.states:
            sign = 1 - 2 * STATES[state].bit
            projector = np.kron(projector, (np.eye(2) + sign * PAULI[STATES[state].basis]) / 2)
        after = UNITARY[gate] @ projector @ UNITARY[gate].conj().T
        assert test.sign * np.trace(pair(test.letters) @ after) == pytest.approx(1.0)


@pytest.mark.parametrize("gate", UNITARY)
def test_app_remote_gate_over_perfect_pairs_is_perfect(gate):
    plan = pair_of_nodes({"name": "remote-gate", "gate": gate, "rounds": 60})
    outcome = run_embedded(plan)
    found = result_of(outcome)
    assert (found["rounds"], found["failed"], found["reason"]) == (60, 0, "")
    assert found["process_fidelity"] == {"value": 1.0, "stderr": 0.0, "trials": 60}
    assert found["average_fidelity"] == 1.0
    assert result_of(outcome, "bob") == {"applied": 60, "missing": 0, "reason": ""}


@pytest.mark.slow
@pytest.mark.parametrize("gate", UNITARY)
def test_app_remote_gate_has_the_fidelity_of_its_pairs(gate):
    plan = pair_of_nodes({"name": "remote-gate", "gate": gate, "rounds": 2500}, WERNER)
    outcome = run_embedded(plan)
    found = result_of(outcome)
    fidelity = delivered_fidelity(outcome)
    process = found["process_fidelity"]
    assert abs(process["value"] - fidelity) < 3 * process["stderr"]
    assert found["average_fidelity"] == pytest.approx((4 * process["value"] + 1) / 5)
    assert found["process_fidelity_if_local_perfect"] == pytest.approx(fidelity, abs=1e-5)


def test_app_remote_gate_gives_up_with_the_reason():
    wanted = {"name": "remote-gate", "rounds": 5, "minimum_fidelity": 0.99, "failures": 1}
    outcome = run_embedded(pair_of_nodes(wanted, WERNER))
    found = result_of(outcome)
    assert (found["rounds"], found["failed"]) == (0, 2)
    assert "UNSUPP" in found["reason"]
    assert found["process_fidelity"] is None
    assert "UNSUPP" in result_of(outcome, "bob")["reason"]
