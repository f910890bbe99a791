"""What a run leaves behind, what it refuses to start, and that its memory stays flat."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qnet.errors import ConfigError, PluginError
from qnet.plan import RunPlan
from qnet.runtime.assembly import build_world
from qnet.runtime.clock import deadline_instant
from qnet.runtime.embedded import HOST, EmbeddedPort
from qnet.runtime.host import Host
from qnet.runtime.run import RunOptions, run
from qnet.topology import load
from qnet.units import LAST_INSTANT, PS_PER_S
from qnet.world.world import World

TOPOLOGY = """
[nodes.alice]
platform = "ideal"
[nodes.bob]
platform = "ideal"
[nodes.middle]
kind = "station"
detector_efficiency_prob = 0.9
[links.alice-bob]
ends = ["alice", "bob"]
station = "middle"
length_m = 100.0
loss_db_per_km = 0.2
[app]
name = "deliver"
pairs = 30
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pair.toml"
    path.write_text(TOPOLOGY)
    return path


def run_here(plan: RunPlan) -> tuple[World, Host]:
    """An embedded run whose parts can be looked at afterwards."""
    names = [node.name for node in plan.nodes]
    world = build_world(plan, dict.fromkeys(names, HOST), None)
    host = Host(plan, names, EmbeddedPort(world, lambda: None))
    host.run()
    return world, host


@pytest.mark.parametrize("app", ["deliver", "teleport", "chsh"])
def test_nothing_is_held_after_a_run(file: Path, app: str) -> None:
    world, host = run_here(load(file, ["pairs=30"], app=app))
    held = {
        (str(node.name), slot)
        for node in host.nodes.values()
        for slot in node.driver.slots.holders()
    }
    assert set(world.store.occupied()) | set(world.store.reserved()) <= held
    assert held == set()
    assert world.ledger.open_requests == []
    assert world.ledger.half_announced == []


def test_nothing_is_held_after_a_request_that_ran_out_of_time(file: Path) -> None:
    rate_hz = load(file).links[0].estimate.rate_hz
    for seed in range(1, 20):
        plan = load(file, ["pairs=100", f"within_s={102 / rate_hz}"], seed=seed)
        world, host = run_here(plan)
        if 0 < world.ledger.pairs < 100:
            break
    else:
        pytest.fail("one of these requests should have run out of time")
    for node in host.nodes.values():
        assert node.driver.slots.holders() == {}
    assert world.store.occupied() == world.store.reserved() == []


def growth_per_pair(file: Path, pairs: int) -> tuple[float, World]:
    """Bytes of Python objects that one more pair costs, between a quarter of the run and its end."""
    plan = load(file, [f"pairs={pairs}"])
    marks: list[tuple[int, int]] = []
    names = [node.name for node in plan.nodes]
    world = build_world(plan, dict.fromkeys(names, HOST), None)

    def watch() -> None:
        if world.ledger.pairs >= pairs // 4 and not marks:
            gc.collect()
            tracemalloc.start()
            marks.append((world.ledger.pairs, 0))

    host = Host(plan, names, EmbeddedPort(world, watch))
    host.run()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return grown / (world.ledger.pairs - marks[0][0]), world


@pytest.mark.slow
def test_memory_of_ten_thousand_pairs_is_that_of_the_ledger(file: Path) -> None:
    """Of each pair the ledger keeps latency, fidelity and claim, the application the claim."""
    per_pair, world = growth_per_pair(file, 10_000)
    print(f"{per_pair:.0f} bytes per pair")
    assert world.ledger.pairs == 10_000
    assert per_pair < 400
    assert len(world.authority._heap) < 100


def test_deadlines_beyond_the_end_of_time_are_due_behind_it() -> None:
    assert deadline_instant(1e9) == LAST_INSTANT + 1
    assert deadline_instant(1e300) == LAST_INSTANT + 1


@pytest.mark.parametrize("base_s", [0.0, 1.0, 4_600.0, 12_345.678, 1e5, 3.3e6, 9.2e6])
def test_deadline_is_due_at_the_first_reading_that_reaches_it(base_s: float) -> None:
    """Else a grant one picosecond earlier, for another node of the host, would make it expire."""
    for step in range(50):
        deadline_s = base_s + step * 1.37e-12
        instant = deadline_instant(deadline_s)
        assert instant is not None
        assert (instant + 0.5) / PS_PER_S >= deadline_s
        assert instant == 0 or (instant - 1 + 0.5) / PS_PER_S < deadline_s


@pytest.mark.parametrize(
    ("changes", "where"),
    [({"seed": 2**70}, "run.seed"), ({"until": LAST_INSTANT + 1}, "run.until_s")],
)
@pytest.mark.parametrize("mode", ["embedded", "processes"])
def test_plan_out_of_bounds_is_refused_before_anything_starts(
    file: Path, changes: dict[str, Any], where: str, mode: Any
) -> None:
    plan = msgspec.structs.replace(load(file), **changes)
    with pytest.raises(ConfigError, match=where):
        run(plan, RunOptions(mode))


@pytest.mark.parametrize("mode", ["embedded", "processes"])
def test_unknown_plug_in_is_refused_before_anything_starts(file: Path, mode: Any) -> None:
    plan = load(file)
    app = msgspec.structs.replace(plan.app, name="deliverr")
    with pytest.raises(PluginError, match="did you mean 'deliver'"):
        run(msgspec.structs.replace(plan, app=app), RunOptions(mode))
