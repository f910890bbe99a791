"""A repeater that crashes and comes back, a second without messages, a station that stands still, a cut fibre.

Requests go on at 50 per second over the only path; each may take 0.2 s. What must hold: what was asked for
before and well after the break is served; what fails says why; both ends agree (the ledger ends the run
otherwise); at the end nobody holds a qubit.
"""

from __future__ import annotations

import pytest

from qnet.runtime.run import RunOptions, run
from qnet.topology import compile_topology

FAULTS = {
    "crash and restart of the repeater": {
        "kind": "crash", "node": "mid", "at_s": 1.0, "restart_s": 1.4,
    },
    "partition of 1 s": {"kind": "partition", "nodes": ["mid"], "start_s": 1.0, "end_s": 2.0},
    "stalled station": {"kind": "stall", "node": "s1", "start_s": 1.0, "end_s": 2.0},
    "crash and restart of a station": {
        "kind": "crash", "node": "s2", "at_s": 1.0, "restart_s": 1.4,
    },
    "cut fibre": {"kind": "cut", "link": "b", "start_s": 1.0, "end_s": 2.0},
}  # fmt: skip
RATE_HZ = 50.0
DURATION_S = 4.0


NETWORKS = {
    "qnp": {"protocol": "qnp", "parameters": {"silence_s": 0.05}},
    "rulesets": {"protocol": "rulesets"},
}


def plan_of(fault: dict[str, object], network: str = "qnp"):
    link = {"length_m": 5000.0, "loss_db_per_km": 0.2, "scheme": "double-click", "protocol": "egp"}
    return compile_topology(
        {
            "name": "breaks",
            "run": {"seed": 3},
            "nodes": {
                **{name: {"platform": "ideal"} for name in ("alice", "bob", "mid")},
                **{name: {"kind": "station"} for name in ("s1", "s2")},
            },
            "links": {
                "a": {"ends": ["alice", "mid"], "station": "s1", **link},
                "b": {"ends": ["mid", "bob"], "station": "s2", **link},
            },
            "network": NETWORKS[network],
            "app": {
                "name": "load",
                "flows": ["alice>bob"],
                "duration_s": DURATION_S,
                "rates_hz": [RATE_HZ],
                "within_s": [0.2],
            },
            "faults": {"f": fault},
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_service_resumes_after_a_break_and_nothing_is_left(fault, network, tmp_path):
    outcome = run(plan_of(fault, network), RunOptions("embedded", folder=tmp_path))
    assert outcome.status == "done", outcome.fault
    summary = outcome.summary
    assert "held_at_end" not in summary
    assert "half_announced_at_end" not in summary
    (counts,) = summary["app"]["results"]["alice"]["result"]["flows"]
    assert counts["unfinished"] == 0
    assert counts["completed"] + sum(counts["failed"].values()) == counts["offered"]
    assert set(counts["failed"]) <= {"OTHER", "TIMEOUT"}
    assert sum(counts["failed"].values()) > 0
    delivered = [row.split(",") for row in (tmp_path / "pairs.csv").read_text().split()[1:]]
    times_s = [int(row[9]) * 1e-12 for row in delivered]
    for start_s, end_s in ((0.0, 1.0), (2.5, DURATION_S)):  # patience and silence are over by 2.5 s
        wanted = RATE_HZ * (end_s - start_s)
        served = sum(start_s <= time_s < end_s for time_s in times_s)
        assert abs(served - wanted) < 4.0 * wanted**0.5


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_a_crash_is_the_same_in_one_process_and_in_many(network):
    plan = plan_of(FAULTS["crash and restart of the repeater"], network)
    alone = run(plan, RunOptions("embedded")).summary
    many = run(plan, RunOptions("processes")).summary
    assert many["status"] == "done"
    assert many["trace_sha256"] == alone["trace_sha256"]
