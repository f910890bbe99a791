"""Unlike machines on one network: the shipped topologies keep what they claim, in one process and in many."""

from __future__ import annotations

import pytest

from qnet.runtime.run import RunOptions, run
from qnet.topology import load

from .rows import TOPOLOGIES

SHIPPED = {
    "ion-pair-telecom": ["pairs=15"],
    "atom-33km": ["pairs=10"],
    "tempo-quad": ["rounds=6"],
    "shared-backbone": ["pairs=15"],
    "nv-three-node": ["pairs=2"],
    "diamond-datacentre": ["pairs=15"],
    "switched-racks": ["duration_s=0.1"],
    "chiplet-108": ["rounds=5"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sets"), SHIPPED.items(), ids=SHIPPED)
def test_shipped_networks_deliver_what_they_claim(name: str, sets: list[str]) -> None:
    """Every pair within its stated error, every bound of physics held, nobody left with a qubit."""
    outcome = run(load(TOPOLOGIES / f"{name}.toml", sets, seed=2), RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    summary = outcome.summary
    assert summary["requests"]
    for flow in summary["requests"]:
        assert flow["delivered"] == flow["requested"] > 0
        assert flow["fidelity"]["outside_stated_error"] == 0
        assert flow["fidelity"]["min"] > 0.5
    assert "half_announced_at_end" not in summary


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shared-backbone", "chiplet-108"])
def test_unlike_machines_are_the_same_in_one_process_and_in_many(name: str) -> None:
    plan = load(TOPOLOGIES / f"{name}.toml", SHIPPED[name], seed=3)
    alone, many = (run(plan, RunOptions(mode)).summary for mode in ("embedded", "processes"))
    assert many["status"] == "done"
    assert many["trace_sha256"] == alone["trace_sha256"]
