"""A link asked for twice what it can make, for ten thousand simulated seconds: refused, bounded, fair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from qnet.ids import NodeId
from qnet.physics.estimation import jain_index
from qnet.plan import RunPlan
from qnet.runtime.assembly import build_world
from qnet.runtime.embedded import HOST, EmbeddedPort
from qnet.runtime.host import Host
from qnet.topology import load
from qnet_protocols.link.admission import QUEUE_LIMIT

RATE_HZ = 2.0
SUCCESS = 0.1
TOPOLOGY = """
[nodes.alice]
platform = "ideal"
emission.interval_s = {interval_s}
[nodes.bob]
platform = "ideal"
emission.interval_s = {interval_s}
[nodes.s]
kind = "station"
[links.l]
ends = ["alice", "bob"]
station = "s"
length_m = 1000.0
loss_db_per_km = 0.0
protocol_parameters = {parameters}
[app]
name = "load"
nodes = ["alice", "bob"]
"""
WFQ = '{ scheduler = "wfq", weights = [1.0, 1.0, 3.0] }'
"""Of the flows below the second has three times the weight of the first."""
FIFO = '{ scheduler = "fifo" }'


def plan_of(folder: Path, parameters: str, wanted: dict[str, Any]) -> RunPlan:
    """Two pairs a second between alice and bob."""
    file = folder / "pair.toml"
    interval_s = SUCCESS / RATE_HZ
    file.write_text(TOPOLOGY.format(parameters=parameters, interval_s=interval_s))
    plan = load(file, [], seed=3)
    (link,) = plan.links
    efficiency = (2 * SUCCESS) ** 0.5
    change = msgspec.structs.replace
    optics = change(link.optics, eta_a=efficiency, eta_b=efficiency)
    estimate = change(link.estimate, success_prob=SUCCESS, rate_hz=RATE_HZ)
    app = change(plan.app, parameters={**plan.app.parameters, **wanted})
    return change(plan, links=(change(link, optics=optics, estimate=estimate),), app=app)


def play(plan: RunPlan) -> tuple[dict[str, Any], int]:
    """What the source saw, and the longest queue of the link."""
    names = [node.name for node in plan.nodes]
    world = build_world(plan, dict.fromkeys(names, HOST), None)
    longest = 0

    def watch() -> None:
        nonlocal longest
        for name in ("alice", "bob"):
            machine = host.nodes[NodeId(name)].driver.machines["link:l"]
            longest = max(longest, machine.state.open)

    host = Host(plan, names, EmbeddedPort(world, watch))
    host.run()
    assert world.leftovers() == {}
    assert world.ledger.open_requests == []
    _, result = world.app_results[NodeId("alice")]
    return dict(result), longest


def fairness(found: dict[str, Any], shares: tuple[float, ...]) -> float:
    """Jain's index of pairs delivered per share, of the flows that have one."""
    got = [flow["delivered"] / share for flow, share in zip(found["flows"], shares, strict=False)]
    return jain_index(got)


FLOWS = {
    "flows": ("alice>bob", "alice>bob", "alice>bob"),
    "priorities": (1, 2, 1),
    "shares": (1.0, 3.0, 1.0),
    "pairs": (4, 4, 1),
    "within_s": (0.0, 0.0, 5.0),
}
"""Two flows of four pairs a request, and a few requests for one pair within ten mean times."""


def flood(seconds: float) -> dict[str, Any]:
    """Each flow asks for twice its share of the link: 1 and 3 of 4 pairs a second."""
    return {**FLOWS, "duration_s": seconds, "rates_hz": (0.25, 0.75, 0.02)}


def rivals(seconds: float) -> dict[str, Any]:
    """Each flow by itself asks for twice what the link makes, eight requests open at a time."""
    return {**FLOWS, "duration_s": seconds, "rates_hz": (1.0, 1.0, 0.02), "most_open": 8}


@pytest.mark.slow
def test_flood_is_refused_in_bounded_memory_and_served_by_weight(tmp_path: Path) -> None:
    found, longest = play(plan_of(tmp_path, WFQ, flood(10_000.0)))
    first, second, urgent = found["flows"]
    assert set(first["failed"]) == set(second["failed"]) == {"NORES"}
    # While the queue is full that is the reason, else that the pairs ahead take too long.
    assert set(urgent["failed"]) == {"NORES", "NOTIME"}
    assert sum(urgent["failed"].values()) > 0.9 * urgent["offered"]
    assert longest == QUEUE_LIMIT
    delivered = sum(flow["delivered"] for flow in found["flows"])
    assert delivered == pytest.approx(10_000 * RATE_HZ, rel=0.03)  # 20 000 waits: 3 x 0.7 %, drain
    assert fairness(found, (1.0, 3.0)) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("parameters", "fair"), [(WFQ, True), (FIFO, False)])
def test_weights_share_the_link_between_equal_demands(
    tmp_path: Path, parameters: str, fair: bool
) -> None:
    """First come, first served gives both flows the same, whatever is due to them: J = 0.8."""
    found, longest = play(plan_of(tmp_path, parameters, rivals(10_000.0)))
    assert longest <= 17
    assert (fairness(found, (1.0, 3.0)) >= 0.95) is fair


def test_short_overload_is_refused_by_code(tmp_path: Path) -> None:
    found, longest = play(plan_of(tmp_path, WFQ, flood(200.0)))
    assert longest <= QUEUE_LIMIT
    assert set(found["flows"][2]["failed"]) <= {"NORES", "NOTIME"}
    assert found["flows"][1]["delivered"] > found["flows"][0]["delivered"]
