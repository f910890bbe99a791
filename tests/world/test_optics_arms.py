"""Whole runs over arms of unlike length: decay, deadlines; and what the record says about clicks and ends."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from qnet.plan import RunPlan
from qnet.results.table import summary_table
from qnet.runtime.run import RunOptions, RunOutcome, run
from qnet.topology import compile_topology

LENGTHS_M = [(20_000.0, 1.0), (1.0, 20_000.0)]


def plan_of(
    length_m: tuple[float, float],
    app: dict[str, Any],
    run_table: dict[str, Any] | None = None,
    **link: float,
) -> RunPlan:
    """Two ideal nodes; only bob forgets."""
    return compile_topology(
        {
            "name": "unlike-arms",
            "nodes": {
                "alice": {"platform": "ideal"},
                "bob": {"platform": "ideal", "t2_s": 1e-3},
                "middle": {"kind": "station"},
            },
            "links": {
                "alice-bob": {
                    "ends": ["alice", "bob"],
                    "station": "middle",
                    "length_m": length_m,
                    "loss_db_per_km": 0.0,
                    "group_index": 1.5,
                    **link,
                }
            },
            "app": {"name": "deliver", "from_node": "alice", "to_node": "bob", **app},
            "run": run_table or {},
        }
    )


def recorded(plan: RunPlan, folder: Path) -> tuple[RunOutcome, list[dict[str, str]]]:
    outcome = run(plan, RunOptions("embedded", folder=folder))
    assert outcome.status == "done", outcome.fault
    with (folder / "pairs.csv").open() as file:
        return outcome, list(csv.DictReader(file))


@pytest.mark.parametrize("length_m", LENGTHS_M)
def test_true_fidelity_is_the_goodness_and_the_closed_form(
    length_m: tuple[float, float], tmp_path: Path
) -> None:
    """Bob's qubit waits for its own photon, for the herald's longer way, and for one gate of 1 us."""
    plan = plan_of(length_m, {"pairs": 40})
    _, rows = recorded(plan, tmp_path)
    gate_s = plan.node("bob").platform.gate_1q.duration_s  # type: ignore[union-attr]
    own_s, longer_s = (length * 1.5 / 299_792_458.0 for length in (length_m[1], max(length_m)))
    expected = (1.0 + math.exp(-(own_s + longer_s + gate_s) / 1e-3)) / 2.0
    assert len(rows) == 40
    for row in rows:
        assert float(row["true_fidelity"]) == pytest.approx(expected, abs=1e-8)
        assert float(row["goodness"]) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("length_m", LENGTHS_M)
@pytest.mark.parametrize("cycles", [20.0, 20.5, 21.3])
def test_pairs_of_a_request_with_a_deadline_are_in_time(
    length_m: tuple[float, float], cycles: float, tmp_path: Path
) -> None:
    """Every pair that is made is announced at both ends, at the deadline at the latest."""
    within_s = cycles * plan_of(length_m, {}).links[0].cycle * 1e-12
    outcome, rows = recorded(plan_of(length_m, {"pairs": 20, "within_s": within_s}), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()[1:]]
    created = [line for line in lines if str(line["machine"]).startswith("optics:")]
    assert len(rows) == len(created) >= 1
    assert all(line["event"]["lost"] == [] for line in created)
    assert "half_announced_at_end" not in outcome.summary
    for row in rows:
        assert int(row["delivered_at_ps"]) <= int(row["requested_at_ps"]) + within_s * 1e12 + 1


def test_run_that_ends_at_its_bound_says_so(tmp_path: Path) -> None:
    """Nearly every attempt fails: run 1 is open at the end, and its attempts count."""
    bound_s = 0.0123456
    plan = plan_of(LENGTHS_M[0], {"pairs": 3}, {"until_s": bound_s}, loss_db_per_km=4.0)
    outcome, rows = recorded(plan, tmp_path)
    link = plan.links[0]
    assert rows == []
    assert outcome.summary["ended_by"] == "until"
    assert outcome.summary["simulated_s"] == bound_s
    made = outcome.summary["attempts"]["alice-bob"]
    possible = bound_s * 1e12 / link.cycle
    assert possible - 5 <= made <= possible
    printed = " ".join(_printed(outcome.summary).split())
    assert "ended at the bound of simulated time" in printed


def test_run_that_ends_by_its_applications_says_so(tmp_path: Path) -> None:
    outcome, _ = recorded(plan_of(LENGTHS_M[0], {"pairs": 3}, {"until_s": 1.0}), tmp_path)
    assert outcome.summary["ended_by"] == "applications"
    assert outcome.summary["simulated_s"] < 1.0
    assert "at the bound" not in _printed(outcome.summary)


def test_trace_has_clicks_then_nodes_then_truth_within_a_round(tmp_path: Path) -> None:
    recorded(plan_of((1.0, 1.0), {"pairs": 20}), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()[1:]]

    def place(line: dict[str, Any]) -> tuple[int, int, int, str]:
        if line["node"] != "world":
            return line["at"], line["round"], 1, line["node"]
        return line["at"], line["round"], 0 if line["machine"].startswith("optics:") else 2, ""

    places = [place(line) for line in lines]
    assert places == sorted(places)
    assert {kind for _, _, kind, _ in places} == {0, 1, 2}


def _printed(summary: dict[str, Any]) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(summary_table(summary))
    return captured.get()
