"""Teleportation against the closed forms; error bars are 3 standard errors of fixed seeds."""

from __future__ import annotations

import cmath
import itertools
import math

import numpy as np
import pytest

from qnet.ids import SlotId
from qnet.physics.bell import LABELS, bell_vector, werner_correlator
from qnet.physics.gates import depolarising_from_fidelity
from qnet.physics.teleportation import LocalErrors, bloch_factors, verified_fraction
from qnet.program import Gate, Initialise
from qnet_protocols.apps.teleport import STATES, correction, prepare

from .networks import delivered_fidelity, pair_of_nodes, result_of, run_embedded

WERNER = {"emission": {"spin_photon_fidelity": 0.95}}
PAULI = {
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]).astype(complex),
}
HADAMARD = (PAULI["X"] + PAULI["Z"]) / math.sqrt(2)
CNOT = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], complex)


def matrix(gate: Gate) -> np.ndarray:
    if gate.angle_rad is None:
        return PAULI[gate.name]
    half = gate.angle_rad / 2
    return math.cos(half) * np.eye(2) - 1j * math.sin(half) * PAULI[gate.name[1]]


def prepared(state: int) -> np.ndarray:
    """The vector that the instructions of ``prepare`` make."""
    first, *gates = prepare(SlotId(3), state)
    assert first == Initialise(SlotId(3))
    vector = np.array([1, 0], complex)
    for gate in gates:
        assert gate.slots == (3,)
        vector = matrix(gate) @ vector
    return vector


@pytest.mark.parametrize("state", range(6))
def test_law_prepared_state_gives_its_bit_with_certainty(state):
    vector = prepared(state)
    sign = 1 - 2 * STATES[state].bit
    assert np.vdot(vector, PAULI[STATES[state].basis] @ vector) == pytest.approx(sign)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(("phase", "parity"), list(itertools.product((0, 1), repeat=2)))
def test_law_correction_restores_every_state(label, phase, parity):
    for state in range(6):
        vector = prepared(state)
        joint = np.kron(vector, np.array(bell_vector(label)))  # input, sender's half, receiver's
        joint = np.kron(HADAMARD, np.eye(4)) @ np.kron(CNOT, np.eye(2)) @ joint
        left = joint.reshape(2, 2, 2)[phase, parity] * 2  # every outcome has probability 1/4
        for gate in correction(SlotId(0), phase, parity, label):
            left = matrix(gate) @ left
        overlap = np.vdot(vector, left)
        assert abs(overlap) == pytest.approx(1.0), (state, cmath.phase(overlap))


def test_app_teleport_over_werner_pairs_is_right_as_often_as_predicted():
    outcome = run_embedded(pair_of_nodes({"name": "teleport", "pairs": 1200}, WERNER))
    found = result_of(outcome)
    expected = (2 * delivered_fidelity(outcome) + 1) / 3
    assert abs(found["fraction_right"] - expected) < 3 * found["stderr"]
    assert found["fraction_right"] - 3 * found["stderr"] > found["classical_limit"]
    assert found["fraction_if_local_perfect"] == pytest.approx(expected, abs=1e-5)
    assert found["teleported"] == sum(found["trials"].values()) == 1200
    assert result_of(outcome, "bob") == 1200


def test_app_teleport_over_perfect_pairs_is_never_wrong():
    found = result_of(run_embedded(pair_of_nodes({"name": "teleport", "pairs": 60})))
    assert found["fraction_right"] == 1.0
    assert found["right"] == found["trials"]
    assert set(found["trials"]) == {"0", "1", "+", "-", "+i", "-i"}


def test_app_teleport_with_local_errors_follows_the_closed_form():
    flips = (0.02, 0.06)
    noise = {
        "gate_1q": {"fidelity": 0.98},
        "gate_2q": {"fidelity": 0.95},
        "initialise": {"fidelity": 0.99},
        "readout": {"error_0_prob": flips[0], "error_1_prob": flips[1]},
    }
    outcome = run_embedded(pair_of_nodes({"name": "teleport", "pairs": 1200}, WERNER | noise))
    found = result_of(outcome)
    one = depolarising_from_fidelity(0.98, 1)
    kept = 1.0 - depolarising_from_fidelity(0.99, 1)
    errors = LocalErrors(
        gate_depolarising=depolarising_from_fidelity(0.95, 2),
        hadamard_depolarising=one,
        phase_flips=flips,
        parity_flips=flips,
        x_depolarising=one,
        z_depolarising=one,
    )
    w = werner_correlator(delivered_fidelity(outcome))
    x, y, z = bloch_factors((w, w, w), errors)
    # Preparation: |0> needs no gate, |1> and the four others one each.
    factors = (x * kept * (1 - one), y * kept * (1 - one), z * kept * (1 - one / 2))
    expected = verified_fraction(factors, one, flips)
    assert abs(found["fraction_right"] - expected) < 3 * found["stderr"]
    assert found["fraction_if_local_perfect"] - found["fraction_right"] > 3 * found["stderr"]


def test_app_teleport_with_one_request_each_makes_as_many_requests():
    plan = pair_of_nodes({"name": "teleport", "pairs": 20, "one_request_each": True})
    outcome = run_embedded(plan)
    found = result_of(outcome)
    assert found["teleported"] == 20
    assert found["fraction_right"] == 1.0
    assert outcome.summary["requests"][0]["requested"] == 20
    assert outcome.summary["requests"][0]["failed"] == 0
