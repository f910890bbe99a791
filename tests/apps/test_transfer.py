"""Transfer of data qubits; error bars are 3 standard errors of fixed seeds."""

from __future__ import annotations

from .networks import delivered_fidelity, pair_of_nodes, result_of, run_embedded

WERNER = {"emission": {"spin_photon_fidelity": 0.95}}


def test_app_transfer_over_perfect_pairs_loses_nothing():
    outcome = run_embedded(pair_of_nodes({"name": "transfer", "qubits": 40}))
    found = result_of(outcome)
    assert (found["delivered"], found["tries"], found["lost_count"]) == (40, 40, 0)
    assert found["right"]["value"] == 1.0
    assert result_of(outcome, "bob") == {"taken": 40, "right": 40, "skipped": 0, "reason": ""}


def test_app_transfer_over_werner_pairs_is_right_as_often_as_predicted():
    outcome = run_embedded(pair_of_nodes({"name": "transfer", "qubits": 500}, WERNER))
    found = result_of(outcome)
    expected = (2 * delivered_fidelity(outcome) + 1) / 3
    assert abs(found["right"]["value"] - expected) < 3 * found["right"]["stderr"]
    assert found["delivered"] == result_of(outcome, "bob")["taken"] == 500


def test_app_transfer_reports_what_is_lost_and_why():
    wanted = {"name": "transfer", "qubits": 3, "tries": 2, "minimum_fidelity": 0.99}
    outcome = run_embedded(pair_of_nodes(wanted, WERNER))
    found = result_of(outcome)
    assert (found["delivered"], found["lost"], found["lost_count"]) == (0, [1, 2, 3], 3)
    assert (found["tries"], found["survived"], found["prepared_again"]) == (6, 6, 0)
    assert found["unsure"] == 0
    assert "UNSUPP" in found["reason"]
    told = result_of(outcome, "bob")
    assert (told["taken"], told["skipped"]) == (0, 0)
    assert "UNSUPP" in told["reason"]
