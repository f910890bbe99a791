"""Every application over links that are as awkward as paths: any label, late and out of order, with losses."""

from __future__ import annotations

import pytest

from .networks import pair_of_nodes, result_of, run_embedded
from .test_ghz import ghz_plan, graph_plan
from .test_load import map_plan
from .twisted import twisted

WIDE = {"communication_slots": 4, "memory_slots": 2}


def run_pair(monkeypatch, app, lose_one_in=0):
    return run_embedded(twisted(monkeypatch, pair_of_nodes(app, WIDE), lose_one_in))


def test_app_teleport_over_pairs_with_any_label_out_of_order(monkeypatch):
    outcome = run_pair(monkeypatch, {"name": "teleport", "pairs": 60})
    found = result_of(outcome)
    assert (found["teleported"], found["fraction_right"]) == (60, 1.0)


def test_app_teleport_counts_what_was_lost(monkeypatch):
    outcome = run_pair(monkeypatch, {"name": "teleport", "pairs": 60, "patience_s": 0.01}, 4)
    found = result_of(outcome)
    assert 30 <= found["teleported"] < 60
    assert found["teleported"] + found["lost"] == 60
    assert found["fraction_right"] == 1.0


def test_app_chsh_over_pairs_with_any_label(monkeypatch):
    outcome = run_pair(monkeypatch, {"name": "chsh", "pairs": 400})
    found = result_of(outcome)
    assert abs(found["s"] - 8**0.5) < 3 * found["s_stderr"]


def test_app_bbm92_over_pairs_with_any_label(monkeypatch):
    outcome = run_pair(monkeypatch, {"name": "bbm92", "pairs": 400}, 5)
    found, told = result_of(outcome), result_of(outcome, "bob")
    assert found["error_x"]["value"] == found["error_z"]["value"] == 0.0
    assert found["key_bits"] > 0
    assert found["key_sha256"] == told["key_sha256"] != ""


def test_app_e91_over_pairs_with_any_label(monkeypatch):
    outcome = run_pair(monkeypatch, {"name": "e91", "pairs": 600})
    found, told = result_of(outcome), result_of(outcome, "bob")
    assert found["error"]["value"] == 0.0
    assert found["corrected"] == 0
    assert abs(found["s"]["value"] - 8**0.5) < 3 * found["s"]["stderr"]
    assert found["key_sha256"] == told["key_sha256"] != ""


@pytest.mark.parametrize("gate", ["CNOT", "CZ"])
def test_app_remote_gate_over_pairs_with_any_label(monkeypatch, gate):
    app = {"name": "remote-gate", "rounds": 60, "gate": gate, "patience_s": 0.01}
    outcome = run_pair(monkeypatch, app, 4)
    found = result_of(outcome)
    assert found["process_fidelity"]["value"] == 1.0
    assert found["rounds"] == 60
    assert found["failed"] == result_of(outcome, "bob")["missing"] > 0


def test_app_transfer_survives_lost_pairs_and_delivers_all_once(monkeypatch):
    app = {"name": "transfer", "qubits": 60, "patience_s": 0.01}
    outcome = run_pair(monkeypatch, app, 3)
    found, told = result_of(outcome), result_of(outcome, "bob")
    assert (found["delivered"], found["lost_count"]) == (60, 0)
    assert found["survived"] == found["tries"] - 60 > 5
    assert found["right"]["value"] == 1.0
    assert told == {"taken": 60, "right": 60, "skipped": 0, "reason": ""}


def test_app_ghz_over_pairs_with_any_label(monkeypatch):
    plan = twisted(monkeypatch, ghz_plan(("alice", "bob"), 30, patience_s=0.01), 4)
    found = result_of(run_embedded(plan), "centre")
    assert (found["rounds"], found["reason"]) == (30, "")
    assert found["failed"] > 5
    assert "did not hold its half" in found["last_failure"]
    assert found["fidelity"]["value"] == pytest.approx(1.0)


def test_app_graph_state_over_pairs_with_any_label(monkeypatch):
    plan = graph_plan(("centre:bob", "bob:alice", "alice:carol"), 20, {"memory_slots": 1})
    found = result_of(run_embedded(twisted(monkeypatch, plan)), "centre")
    assert found["rounds"] == 20
    assert found["fidelity"]["value"] == pytest.approx(1.0)


def test_app_fidelity_map_over_pairs_with_any_label(monkeypatch):
    plan = twisted(monkeypatch, map_plan(40, patience_s=0.01), 5)
    found = result_of(run_embedded(plan), "alice")
    for entry in found["entries"]:
        assert 20 <= entry["pairs"] < 40
        assert entry["fidelity"] == 1.0
