"""Rings of links whose nodes have one communication slot each: every link makes progress."""

from pathlib import Path

import pytest

from qnet.runtime.run import RunOptions, run
from qnet.topology import load


def ring(nodes: int) -> str:
    """Nodes n0, n1, ... in a circle, a station between any two neighbours, a flow on every link."""
    parts = []
    flows = []
    for k in range(nodes):
        other = (k + 1) % nodes
        parts.append(
            f'[nodes.n{k}]\nplatform = "ideal"\ncommunication_slots = 1\n'
            f'[nodes.s{k}]\nkind = "station"\n'
            f'[links.l{k}]\nends = ["n{k}", "n{other}"]\nstation = "s{k}"\nlength_m = 1000.0\nloss_db_per_km = 0.0\n'
        )
        flows.append(f'"n{k}>n{other}"')
    app = f'[app]\nname = "load"\nflows = [{", ".join(flows)}]\nduration_s = 0.02\n'
    return "".join(parts) + app + "rates_hz = [2000.0]\n"


@pytest.mark.parametrize("nodes", [3, 4])
@pytest.mark.parametrize("seed", [1, 2])
def test_ring_of_nodes_with_one_slot_makes_progress(tmp_path: Path, nodes: int, seed: int) -> None:
    file = tmp_path / "ring.toml"
    file.write_text(ring(nodes))
    outcome = run(load(file, [], seed=seed), RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    flows = outcome.summary["requests"]
    assert len(flows) == nodes
    assert all(flow["delivered"] > 0 for flow in flows), flows
