"""CHSH against the closed forms; error bars are 3 standard errors of fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qnet.errors import ConfigError
from qnet.ids import PairId
from qnet.physics.bell import LABELS, bell_vector, werner_correlator
from qnet.physics.gates import depolarising_from_fidelity
from qnet.physics.limits import chsh_fixed, chsh_read, chsh_werner
from qnet_protocols.apps.chsh import BASES, TURNS_RAD, Trial, result

from .networks import delivered_fidelity, pair_of_nodes, result_of, run_embedded

PAULI = {"X": np.array([[0, 1], [1, 0]]), "Z": np.diag([1, -1])}
WERNER = {"emission": {"spin_photon_fidelity": 0.97}}
"""Werner-like spin-photon pairs joined by a perfect optical measurement give Werner pairs."""


def turned(angle_rad: float) -> np.ndarray:
    """The observable that RY(angle) turns into Z."""
    c, s = math.cos(angle_rad / 2), math.sin(angle_rad / 2)
    turn = np.array([[c, -s], [s, c]])
    return turn.T @ PAULI["Z"] @ turn


@pytest.mark.parametrize("label", LABELS)
def test_law_settings_reach_the_quantum_maximum_for_every_label(label):
    state = np.array(bell_vector(label))
    s = 0.0
    for mine in (0, 1):
        for theirs in (0, 1):
            observable = np.kron(PAULI[BASES[mine]], turned(TURNS_RAD[theirs]))
            sign = (-1) ** label[mine] * (-1 if mine == theirs == 1 else 1)
            s += sign * float(state @ observable @ state)
    assert s == pytest.approx(2 * math.sqrt(2))


def test_app_chsh_of_werner_pairs_violates_as_predicted():
    outcome = run_embedded(pair_of_nodes({"name": "chsh", "pairs": 1500}, WERNER))
    found = result_of(outcome)
    fidelity = delivered_fidelity(outcome)
    assert fidelity == pytest.approx(0.9412, abs=1e-4)
    assert abs(found["s"] - chsh_werner(fidelity)) < 3 * found["s_stderr"]
    assert found["s"] - 3 * found["s_stderr"] > 2.0
    assert found["s_werner_if_local_perfect"] == pytest.approx(chsh_werner(fidelity), abs=1e-5)
    assert (
        found["s_low_if_local_perfect"]
        < found["s_werner_if_local_perfect"]
        < found["s_high_if_local_perfect"]
    )
    assert sum(map(sum, found["trials"])) == 1500 == result_of(outcome, "bob")


def test_app_chsh_with_noisy_gates_and_readout_follows_the_closed_form():
    flips = (0.03, 0.08)
    noise = {
        "gate_1q": {"fidelity": 0.96},
        "readout": {"error_0_prob": flips[0], "error_1_prob": flips[1]},
    }
    outcome = run_embedded(pair_of_nodes({"name": "chsh", "pairs": 1500}, WERNER | noise))
    found = result_of(outcome)
    w = werner_correlator(delivered_fidelity(outcome))
    kept = 1.0 - depolarising_from_fidelity(0.96, 1)
    # Alice turns her half for X only, Bob his always.
    expected = chsh_read(chsh_fixed((w * kept * kept, w, w * kept)), flips, flips)
    assert abs(found["s"] - expected) < 3 * found["s_stderr"]
    assert (
        found["s_werner_if_local_perfect"] - found["s"] > 3 * found["s_stderr"]
    )  # and the noise is seen


def test_app_chsh_of_classically_correlated_pairs_stays_below_two():
    outcome = run_embedded(pair_of_nodes({"name": "chsh", "pairs": 600}, visibility=0.0))
    found = result_of(outcome)
    assert delivered_fidelity(outcome) == pytest.approx(0.5, abs=1e-6)
    assert abs(found["s"] - math.sqrt(2)) < 3 * found["s_stderr"]
    assert found["s"] < 2.0


def test_app_chsh_says_the_reason_if_the_fidelity_cannot_be_had():
    wanted = {"name": "chsh", "pairs": 10, "minimum_fidelity": 0.99}
    outcome = run_embedded(pair_of_nodes(wanted, WERNER))
    found = result_of(outcome)
    assert "UNSUPP" in found["error"]
    assert found["s"] is found["mean_goodness"] is found["s_high_if_local_perfect"] is None
    assert result_of(outcome, "bob") == 0


@pytest.mark.parametrize("wrong", [{"pairs": 0}, {"pairs": "many"}, {"minimum_fidelity": 1.1}])
def test_app_chsh_refuses_wrong_parameters(wrong):
    (key,) = wrong
    with pytest.raises(ConfigError, match=key):
        pair_of_nodes({"name": "chsh"} | wrong)


def trial(number: int, setting: int, bit: int) -> Trial:
    return Trial(PairId(f"alice-bob#{number}"), setting, bit)


def test_result_counts_only_pairs_of_both_ends():
    mine = {t.pair: t for t in [trial(1, 0, 0), trial(2, 0, 1), trial(3, 1, 1)]}
    theirs = [trial(1, 0, 0), trial(3, 1, 0), trial(4, 0, 0)]
    found = result(mine, theirs, [0.9], [0.01])
    assert found.trials == ((1, 0), (0, 1))
    assert found.correlators == ((1.0, None), (None, -1.0))
    assert found.s is None
    assert found.s_stderr is None


def test_result_of_a_perfect_local_strategy_is_two():
    mine, theirs = {}, []
    for number in range(4):
        mine[PairId(f"alice-bob#{number}")] = trial(number, number // 2, 0)
        theirs.append(trial(number, number % 2, 0))
    found = result(mine, theirs, [0.5], [0.0])
    assert found.s == 2.0
    assert found.s_stderr == 0.0
    assert found.s_low_if_local_perfect == 0.0
    assert found.s_high_if_local_perfect == pytest.approx(math.sqrt(2))
