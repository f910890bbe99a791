"""D1 under faults: a link whose classical plane loses, doubles and holds up messages of every kind.

Loss 5 %, repetition 5 %, 5 % of the messages held up by up to ten light times: of three messages per pair
that must be in time, about one pair in six comes to one end only and is taken back. The world's ledger
ends a run with AgreementBroken if a pair has two ids, labels or instants.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from qnet.ids import NodeId
from qnet.plan import Impair, RunPlan
from qnet.runtime.assembly import build_world
from qnet.runtime.embedded import HOST, EmbeddedPort
from qnet.runtime.host import Host
from qnet.runtime.run import RunOptions, run
from qnet.topology import load
from qnet.world.world import World

TOPOLOGY = """
[nodes.alice]
platform = "ideal"
[nodes.bob]
platform = "ideal"
[nodes.s]
kind = "station"
[links.l]
ends = ["alice", "bob"]
station = "s"
length_m = 1000.0
loss_db_per_km = 0.0
protocol = "{protocol}"
[app]
name = "deliver"
pairs = {pairs}
"""

BAD = Impair("bad", loss_prob=0.05, duplicate_prob=0.05, reorder_prob=0.05, reorder_factor=10.0)


def plan_of(folder: Path, protocol: str, pairs: int) -> RunPlan:
    file = folder / "pair.toml"
    file.write_text(TOPOLOGY.format(protocol=protocol, pairs=pairs))
    return msgspec.structs.replace(load(file, [], seed=5), faults=(BAD,))


def run_here(plan: RunPlan) -> tuple[World, Host]:
    names = [node.name for node in plan.nodes]
    world = build_world(plan, dict.fromkeys(names, HOST), None)
    host = Host(plan, names, EmbeddedPort(world, lambda: None))
    host.run()
    return world, host


def check(world: World, host: Host, pairs: int) -> dict[str, Any]:
    """One request brings nearly all its pairs to both ends, the others are taken back, nothing is left."""
    (flow,) = world.ledger.summary()
    assert flow["requested"] == pairs
    assert flow["open"] == []
    # What is neither delivered nor expired was void before anybody announced it.
    assert flow["delivered"] + flow["expired"] + flow["failed"] == pairs
    assert flow["delivered"] > 0.75 * pairs
    assert flow["fidelity"]["min"] == 1.0
    assert flow["fidelity"]["outside_stated_error"] == 0
    # The run ends with the applications, at most while the last pair is being taken back.
    assert len(world.ledger.half_announced) <= 1
    assert world.leftovers() == {}
    for name in ("alice", "bob"):
        driver = host.nodes[NodeId(name)].driver
        assert driver.slots.holders() == {}
        assert driver.machines["link:l"].state.open == 0
    return dict(flow)


@pytest.mark.parametrize("protocol", ["egp", "tdma"])
def test_one_request_goes_on_over_lossy_channels(tmp_path: Path, protocol: str) -> None:
    world, host = run_here(plan_of(tmp_path, protocol, 150))
    flow = check(world, host, 150)
    assert flow["expired"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "pairs"), [("egp", 100_000), ("tdma", 20_000)])
def test_hundred_thousand_pairs_over_lossy_channels(
    tmp_path: Path, protocol: str, pairs: int
) -> None:
    """The time of the run is printed: 57 s for egp on a slow machine."""
    world, host = run_here(plan_of(tmp_path, protocol, pairs))
    flow = check(world, host, pairs)
    print({key: flow[key] for key in ("delivered", "expired", "failed")})


def test_same_seed_gives_the_same_trace(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "egp", 40)
    traces = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        outcome = run(plan, RunOptions("embedded", folder=tmp_path / name))
        assert outcome.status == "done", outcome.fault
        traces.append((tmp_path / name / "trace.jsonl").read_bytes())
    assert len(traces[0]) > 10_000
    assert traces[0] == traces[1]
