"""Chains of links: fidelity of swapped Werner pairs, noise of every operation, cutoffs in closed form.

Plans are made here, from the link that a topology of two nodes compiles to: what is tested is the network
layer, whatever finds the routes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qnet.ids import LinkId, NodeId
from qnet.physics.cutoff import accepted_prob, mean_factor, mean_slots
from qnet.physics.swapping import werner_chain_fidelity
from qnet.plan import AppPlan, Crash, Cut, Fault, Impair, NetworkPlan, Partition, Route, RunPlan
from qnet.runtime.assembly import build_world
from qnet.runtime.embedded import HOST, EmbeddedPort
from qnet.runtime.host import Host
from qnet.runtime.run import RunOptions, run
from qnet.topology import load
from qnet.units import Duration, Instant
from qnet.world.ledger import Ledger

PAIR = """
[nodes.n0]
platform = "ideal"
[nodes.n1]
platform = "ideal"
[nodes.s]
kind = "station"
[links.l]
ends = ["n0", "n1"]
station = "s"
length_m = 1000.0
loss_db_per_km = 0.0
[app]
name = "deliver"
from_node = "n0"
to_node = "n1"
"""

NOISE = (
    "t2_s=5e-3",
    "gate_1q.fidelity=0.999",
    "gate_2q.fidelity=0.99",
    "gate_2q.duration_s=3e-6",
    "readout.error_0_prob=0.01",
    "readout.error_1_prob=0.03",
)


def network(
    folder: Path,
    paths: list[list[int]],
    *,
    pairs: int,
    nodes: tuple[str, ...] = (),
    link: tuple[str, ...] = (),
    cutoff: Duration | None = None,
    parameters: Mapping[str, Any] | None = None,
    faults: tuple[Fault, ...] = (),
    seed: int = 1,
    protocol: str = "qnp",
) -> RunPlan:
    """Equal nodes and links; ``paths``: routes from the first to the last node, by number."""
    file = folder / "pair.toml"
    file.write_text(PAIR)
    overrides = [f"nodes.{name}.{one}" for name in ("n0", "n1") for one in nodes]
    pair = load(file, [*overrides, *(f"links.l.{one}" for one in link)], seed=seed)
    (model,) = pair.links
    hops = sorted({(one, two) for path in paths for one, two in pairwise(path)})
    names = {number: NodeId(f"n{number}") for path in paths for number in path}
    change = msgspec.structs.replace
    processors = [change(pair.node("n0"), name=name) for name in names.values()]
    stations = [change(pair.node("s"), name=NodeId(f"s{one}{two}")) for one, two in hops]
    links = [
        change(
            model,
            name=LinkId(f"n{one}-n{two}"),
            ends=(names[one], names[two]),
            station=NodeId(f"s{one}{two}"),
        )
        for one, two in hops
    ]
    routes = tuple(
        Route(
            tuple(names[number] for number in path),
            tuple(LinkId(f"n{one}-n{two}") for one, two in pairwise(path)),
            0.5,
            model.estimate.rate_hz / len(path),
            cutoff,
        )
        for path in paths
    )
    head, tail = routes[0].nodes[0], routes[0].nodes[-1]
    app = AppPlan(
        "deliver",
        {**pair.app.parameters, "from_node": head, "to_node": tail, "pairs": pairs},
        {head: "requester", tail: "provider"},
    )
    return change(
        pair,
        nodes=(*processors, *stations),
        links=tuple(links),
        app=app,
        network_layer=NetworkPlan(protocol, dict(parameters or {}), {f"{head}>{tail}": routes}),
        faults=faults,
    )


def chain(folder: Path, links: int, **options: Any) -> RunPlan:
    """``links`` links in a row."""
    return network(folder, [list(range(links + 1))], **options)


def flow_of(plan: RunPlan) -> dict[str, Any]:
    """What the ledger says of the only flow of a run that went well."""
    outcome = run(plan, RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    (flow,) = outcome.summary["requests"]
    return dict(flow)


either = pytest.mark.parametrize("protocol", ["qnp", "rulesets"])


@either
@pytest.mark.parametrize("links", range(2, 9))
def test_chain_of_werner_pairs(tmp_path: Path, links: int, protocol: str) -> None:
    """No decay, perfect swaps: every pair has the product of the correlators exactly, within 1e-9.

    A link whose spin-photon pairs are Werner-like and whose photons interfere perfectly makes Werner pairs.
    """
    emission = ("emission.spin_photon_fidelity=0.97",)
    plan = chain(tmp_path, links, pairs=20, nodes=emission, protocol=protocol)
    a, b, c = plan.links[0].estimate.correlators
    assert a == pytest.approx(b) == pytest.approx(c)
    flow = flow_of(plan)
    assert flow["delivered"] == 20
    expected = werner_chain_fidelity((1 + 3 * a) / 4, links)
    assert flow["fidelity"]["mean"] == pytest.approx(expected, abs=1e-9)
    assert flow["fidelity"]["min"] == pytest.approx(expected, abs=1e-9)
    assert flow["fidelity"]["claimed"] == pytest.approx(expected, abs=1e-9)


@either
@pytest.mark.parametrize("links", [2, 4])
def test_chain_claims_are_exact_with_every_noise(tmp_path: Path, links: int, protocol: str) -> None:
    """T2, gates and uneven read-out; no pair is off by more than the links' own stated error, 1e-6 each."""
    loss = ("loss_db_per_km=6",)
    plan = chain(tmp_path, links, pairs=60, nodes=NOISE, link=loss, protocol=protocol)
    flow = flow_of(plan)
    fidelity = flow["fidelity"]
    assert fidelity["outside_stated_error"] == 0
    assert fidelity["mean"] == pytest.approx(fidelity["claimed"], abs=1e-9)
    assert fidelity["min"] < fidelity["mean"] - 0.01  # they are not all the same


@either
def test_chain_claims_with_finite_t1_stay_within_their_error(tmp_path: Path, protocol: str) -> None:
    nodes, loss = (*NOISE, "t1_s=6e-3"), ("loss_db_per_km=6",)
    plan = chain(tmp_path, 3, pairs=60, nodes=nodes, link=loss, protocol=protocol)
    assert flow_of(plan)["fidelity"]["outside_stated_error"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("tau", [5, 20, 80])
def test_chain_of_two_links_with_cutoff(tmp_path: Path, tau: int) -> None:
    """Rate and mean factor of A6.4, p = 0.02, T = 60 slots; 3 standard errors and what slots do not say.

    A slot is one attempt of 1 ms. Both links start together after each joined pair, as equal light times let
    them. After a discard one link starts later: by the part of a slot beyond ``tau`` that the cutoff adds
    (0.1), at most 0.11 slots with light times. Each discard may cost so much, and shift later waits by it.
    """
    p, coherence, slot_s, pairs = 0.02, 60.0, 1e-3, 600
    plan = chain(
        tmp_path,
        2,
        pairs=pairs,
        nodes=("emission.interval_s=1e-3", f"t2_s={2 * coherence * slot_s}"),
        link=(),
        cutoff=Duration(round((tau + 0.1) * slot_s * 1e12)),
        seed=tau,
    )
    efficiency = math.sqrt(2 * p)
    optics = msgspec.structs.replace(plan.links[0].optics, eta_a=efficiency, eta_b=efficiency)
    estimate = msgspec.structs.replace(plan.links[0].estimate, success_prob=p, rate_hz=p / slot_s)
    links = [msgspec.structs.replace(link, optics=optics, estimate=estimate) for link in plan.links]
    plan = msgspec.structs.replace(plan, links=tuple(links))
    assert plan.links[0].cycle == Duration(10**9)
    flow = flow_of(plan)
    slots = 1 / (flow["rate_hz"] * slot_s)
    accepted = accepted_prob(p, tau)
    expected = mean_slots(p, tau)
    drift = 0.11 * (1 / accepted - 1)
    assert abs(slots - expected) < 3 * expected / math.sqrt(pairs) + drift
    factor = 2 * flow["fidelity"]["mean"] - 1  # a = b = factor, c = 1
    stderr = 2 * flow["fidelity"]["stderr"]
    assert abs(factor - mean_factor(p, coherence, tau)) < 3 * stderr + 0.11 / coherence


# ---------------------------------------------------------------- faults


DIAMOND = [[0, 1, 3], [0, 2, 3]]


def ledger_of(plan: RunPlan) -> Ledger:
    """The ledger of a run that went well."""
    names = [node.name for node in plan.nodes]
    world = build_world(plan, dict.fromkeys(names, HOST), None)
    Host(plan, names, EmbeddedPort(world, lambda: None)).run()
    return world.ledger


AT = Instant(3_000_000_000)
"""3 ms: about a third of the requests below have been served."""


def diamond(folder: Path, *faults: Fault, pairs: int = 200, **parameters: Any) -> RunPlan:
    """From n0 to n3 over n1, or else over n2."""
    return network(
        folder,
        DIAMOND,
        pairs=pairs,
        link=("loss_db_per_km=6",),
        faults=faults,
        parameters=parameters,
    )


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Crash("f", NodeId("n1"), AT, None), id="crash"),
        pytest.param(Crash("f", NodeId("n1"), AT, Instant(AT + 10**9)), id="restart"),
        pytest.param(Cut("f", LinkId("n1-n3"), AT, None), id="second link cut"),
        pytest.param(Cut("f", LinkId("n0-n1"), AT, None), id="first link cut"),
        pytest.param(Partition("f", (NodeId("n1"),), AT, Instant(10**13)), id="partition"),
    ],
)
def test_request_moves_to_another_route(tmp_path: Path, fault: Fault) -> None:
    plan = diamond(tmp_path, fault, silence_s=0.02)
    ledger = ledger_of(plan)
    (flow,) = ledger.summary()
    assert flow["delivered"] >= 200 - flow["expired"]
    assert flow["failed"] == 0
    assert flow["open"] == []
    assert flow["fidelity"]["outside_stated_error"] == 0
    assert ledger.half_announced == []


def test_request_without_another_route_ends_with_the_reason(tmp_path: Path) -> None:
    crash = Crash("f", NodeId("n1"), AT, None)
    plan = network(tmp_path, [[0, 1, 2]], pairs=5000, faults=(crash,))
    outcome = run(plan, RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    result = outcome.summary["app"]["results"]["n0"]["result"]
    assert "ended with OTHER" in result["error"]
    assert "n1" in result["error"]
    assert 0 < result["delivered"] < 5000


@either
def test_chain_over_channels_that_lose_double_and_hold_up(tmp_path: Path, protocol: str) -> None:
    """One request keeps all its labels, and its one end, whatever happens to one message in seven."""
    bad = Impair("bad", loss_prob=0.05, duplicate_prob=0.05, reorder_prob=0.05, reorder_factor=10.0)
    plan = chain(tmp_path, 3, pairs=1, link=("loss_db_per_km=6",), faults=(bad,), protocol=protocol)
    ends = {"flows": ("n0>n3",), "nodes": ("n0", "n3")}
    each = {"rates_hz": (1.0,), "poisson": False, "pairs": (20,), "duration_s": 10.5}
    roles = dict.fromkeys((NodeId("n0"), NodeId("n3")), "user")
    plan = msgspec.structs.replace(plan, app=AppPlan("load", {**ends, **each}, roles))
    names = [node.name for node in plan.nodes]
    world = build_world(plan, dict.fromkeys(names, HOST), None)
    Host(plan, names, EmbeddedPort(world, lambda: None)).run()
    (flow,) = world.ledger.summary()
    assert (flow["requested"], flow["failed"], flow["open"]) == (200, 0, [])
    assert flow["delivered"] + flow["expired"] >= 200
    assert flow["delivered"] > 150
    assert flow["fidelity"]["min"] == pytest.approx(1.0, abs=1e-9)
    assert world.ledger.half_announced == []
    assert world.leftovers() == {}
