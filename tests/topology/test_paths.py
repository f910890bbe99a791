"""Prediction of whole paths against exact cases and an event simulation; path selection on small networks."""

from __future__ import annotations

import heapq
import math
import random
import time
from itertools import count

import msgspec
import pytest

from qnet.hardware import Coherence
from qnet.ids import NodeId
from qnet.plan import LinkPlan, RunPlan
from qnet.topology import compile_topology
from qnet.topology.generate import Hardware, Task, write
from qnet.topology.generate import chain as sketch_chain
from qnet.topology.paths import choose_cutoff_s, meeting, predict, slowest_time_s
from qnet_protocols.routing.paths import FIDELITY, HOPS, RATE

from .networks import chain, ring


@pytest.fixture(autouse=True, scope="module")
def stand_ins():
    """The real plug-ins, not the stand-ins of this folder."""


def simulated_hz(rates_hz: list[float], cutoff_s: float, pairs: int) -> float:
    """Rate of complete chains: each node swaps at once, drops halves after the cutoff, links go on when free."""
    draw = random.Random(7)
    links = len(rates_hz)
    order = count()
    agenda: list[tuple[float, int, str, int, int]] = []
    # For each link: what its newest pair's two ends do ("wait", "free"), and its number.
    free = [[True, True] for _ in rates_hz]
    waiting: dict[tuple[int, int], int] = {}
    group: dict[int, list[tuple[int, int]]] = {}
    owner: dict[tuple[int, int], int] = {}
    dead: set[int] = set()
    made = [0] * links
    delivered, now = 0, 0.0

    def start(link: int) -> None:
        if all(free[link]):
            free[link] = [False, False]
            at = now + draw.expovariate(rates_hz[link])
            heapq.heappush(agenda, (at, next(order), "made", link, 0))

    def release(link: int, side: int) -> None:
        free[link][side] = True
        start(link)

    def settle(chain_id: int) -> None:
        """Free the ends of the path whose pair is complete or lost."""
        nonlocal delivered
        members = group[chain_id]
        whole = len(members) == links
        if whole or chain_id in dead:
            delivered += whole and chain_id not in dead
            for link, number in members:
                for side, border in ((0, 0), (1, links - 1)):
                    if link == border and owner.pop((link, number * 2 + side), None) is not None:
                        release(link, side)

    def pair_made(link: int) -> None:
        made[link] += 1
        number = made[link]
        chain_id = next(order)
        group[chain_id] = [(link, number)]
        for side in (0, 1):
            owner[link, number * 2 + side] = chain_id
        for side, other in ((0, link - 1), (1, link + 1)):
            if not 0 <= other < links:
                continue
            partner = waiting.pop((other, 1 - side), None)
            if partner is None:
                waiting[link, side] = number
                if math.isfinite(cutoff_s):
                    heapq.heappush(
                        agenda, (now + cutoff_s, next(order), "cut", link * 2 + side, number)
                    )
                continue
            mine = next(key for key, members in group.items() if (link, number) in members)
            theirs = next(key for key, members in group.items() if (other, partner) in members)
            group[mine] += group.pop(theirs)
            if theirs in dead:
                dead.add(mine)
            release(link, side)
            release(other, 1 - side)
        settle(next(key for key, members in group.items() if (link, number) in members))

    for link in range(links):
        start(link)
    while delivered < pairs:
        now, _, what, place, number = heapq.heappop(agenda)
        if what == "made":
            pair_made(place)
        elif waiting.get((place // 2, place % 2)) == number:
            del waiting[place // 2, place % 2]
            lost = next(key for key, members in group.items() if (place // 2, number) in members)
            dead.add(lost)
            release(place // 2, place % 2)
            settle(lost)
        for key in [key for key, members in group.items() if len(members) == links]:
            del group[key]
        if len(group) > 50 * links:  # chains that were cut: forget what nobody waits for
            held = {(link, number) for (link, _), number in waiting.items()}
            for key in [
                key for key, members in group.items() if key in dead and not held & {*members}
            ]:
                del group[key]
    return delivered / now


def compiled(data: dict) -> RunPlan:
    return compile_topology(data, "test.toml")


def between(plan: RunPlan) -> tuple[list[NodeId], list[LinkPlan]]:
    (key,) = [key for key in plan.network_layer.routes if key.startswith("a>")]
    route = plan.network_layer.routes[key][0]
    return list(route.nodes), [plan.link(name) for name in route.links]


def with_offer(link: LinkPlan, correlators: tuple[float, float, float], rate_hz: float) -> LinkPlan:
    offer = msgspec.structs.replace(link.estimate, correlators=correlators, rate_hz=rate_hz)
    return msgspec.structs.replace(link, estimate=offer)


def test_ideal_swaps_of_werner_pairs_multiply_their_correlators():
    plan = compiled(chain(5))
    nodes, links = between(plan)
    links = [with_offer(link, (0.9, 0.9, 0.9), 100.0) for link in links]
    platforms = [plan.node(node).platform for node in nodes]
    route = predict(nodes, links, platforms, [1, 2, 2, 2, 1])
    assert route.goodness == pytest.approx((1 + 3 * 0.9**4) / 4, abs=1e-12)
    assert route.cutoff is None


def test_one_link_is_offered_as_it_is():
    plan = compiled(chain(3, app={"name": "deliver", "from_node": "a", "to_node": "b"}))
    (route,) = plan.network_layer.routes["a>b"]
    told = plan.link("a-b").estimate
    assert route.rate_hz == pytest.approx(told.rate_hz, rel=1e-12)
    assert route.goodness == pytest.approx(told.goodness, abs=1e-12)


def test_the_meeting_of_two_links_agrees_with_its_integral():
    rates, cutoff_s, t2_s = (3.0, 7.0), 0.2, 0.5
    met = meeting(rates, Coherence(t2_s=t2_s), cutoff_s)
    steps = 20_000
    accepted = kept = 0.0
    for first, other in (rates, rates[::-1]):
        for step in range(steps):
            wait_s = (step + 0.5) * cutoff_s / steps
            weight = first / 10.0 * other * math.exp(-other * wait_s) * cutoff_s / steps
            accepted += weight
            kept += weight * math.exp(-wait_s / t2_s)
    assert met.accept_prob == pytest.approx(accepted, rel=1e-6)
    assert met.coherence == pytest.approx(kept / accepted, rel=1e-6)
    assert met.energy == 1.0


@pytest.mark.parametrize("rates", [(2.0, 2.0 + 1e-9), (1.0, 3.0)])
def test_the_slower_of_two_links(rates):
    exact = 1 / rates[0] + 1 / rates[1] - 1 / sum(rates)
    assert slowest_time_s(rates) == pytest.approx(exact, rel=1e-12)
    assert slowest_time_s(rates, (0.25, 0.25)) == pytest.approx(exact + 0.25, rel=5e-3)


def test_the_slowest_of_three_links():
    a, b, c = 1.0, 2.0, 5.0
    pairs = 1 / (a + b) + 1 / (a + c) + 1 / (b + c)
    exact = 1 / a + 1 / b + 1 / c - pairs + 1 / (a + b + c)
    assert slowest_time_s([a, b, c]) == pytest.approx(exact, rel=2e-3)
    assert slowest_time_s([b, b, b]) == pytest.approx((1 + 1 / 2 + 1 / 3) / b, rel=1e-12)


@pytest.mark.parametrize("rates", [(1.0, 1.0), (1.0, 10.0)])
def test_two_links_with_a_cutoff_have_their_exact_rate(rates):
    """1000 pairs: 3 sigma are less than 10 %."""
    met = meeting(rates, Coherence(), 0.5)
    predicted_hz = met.rate_share / slowest_time_s(rates)
    assert simulated_hz([*rates], 0.5, 1000) == pytest.approx(predicted_hz, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("links", [2, 4, 8])
@pytest.mark.parametrize("cutoff_s", [1.0, 1.9, math.inf])
def test_the_rate_agrees_with_an_event_simulation_within_its_stated_factor(links, cutoff_s):
    """300 pairs: 3 sigma are less than 18 %, counted on top of the factor of 1.5."""
    share = meeting((1.0, 1.0), Coherence(), cutoff_s).rate_share
    predicted_hz = share ** (links - 1) / slowest_time_s([1.0] * links)
    ratio = simulated_hz([1.0] * links, cutoff_s, 300) / predicted_hz
    assert 1 / 1.5 / 1.18 < ratio < 1.5 * 1.18


def test_cutoffs():
    plan = compiled(chain(3))
    links = [with_offer(link, (1.0, 1.0, 1.0), 10.0) for link in plan.links]
    memory = Coherence(t2_s=0.5)
    # 1 - (1 - x)/2 = 0.985 at x = exp(-t/T2) = 0.97
    assert choose_cutoff_s(links, [memory], "long") == pytest.approx(-0.5 * math.log(0.97))
    assert choose_cutoff_s(links, [memory], "short") == pytest.approx(-math.log(0.15) / 10.0)
    assert choose_cutoff_s(links, [memory], "off") == math.inf
    assert choose_cutoff_s(links, [Coherence()], "long") == math.inf
    assert choose_cutoff_s(links[:1], [], "long") == math.inf


def test_waiting_costs_fidelity_and_cutoffs_cost_rate():
    data = chain(4)
    for node in "abcd":
        data["nodes"][node]["t2_s"] = 0.01
    offers = {}
    for cutoff in ("off", "long", "short"):
        data["network"] = {"routing_parameters": {"cutoff": cutoff}}
        offers[cutoff] = compiled(data).network_layer.routes["a>d"][0]
    assert offers["off"].rate_hz > offers["long"].rate_hz > offers["short"].rate_hz
    assert offers["off"].goodness < offers["long"].goodness < offers["short"].goodness


def test_selections_rank_by_what_their_names_say():
    data = ring(5)
    data["links"]["closing"] |= {"visibility": 0.5, "length_m": 10_000.0}
    data["app"]["to_node"] = "e"
    plan = compiled(data)
    around, across = ("a", "b", "c", "d", "e"), ("a", "e")
    assert [r.nodes for r in FIDELITY.routes(plan, "a", "e", 2)] == [around, across]
    assert [r.nodes for r in HOPS.routes(plan, "a", "e", 2)] == [across, around]
    data["links"]["closing"]["length_m"] = 30_000.0
    plan = compiled(data)
    assert [r.nodes for r in RATE.routes(plan, "a", "e", 2)] == [around, across]
    assert [r.nodes for r in RATE.routes(plan, "a", "e", 1)] == [around]


def test_a_node_that_holds_one_pair_only_serves_no_path():
    data = ring(4)
    data["app"]["to_node"] = "c"
    data["nodes"]["b"] |= {"communication_slots": 1, "memory_slots": 0}
    routes = compiled(data).network_layer.routes["a>c"]
    assert [route.nodes for route in routes] == [("a", "d", "c")]
    data["nodes"]["b"]["memory_slots"] = 1
    assert len(compiled(data).network_layer.routes["a>c"]) == 2


def test_no_way_is_no_route():
    data = chain(4)
    plan = compiled(data)
    apart = msgspec.structs.replace(plan, links=(plan.link("a-b"), plan.link("c-d")))
    assert FIDELITY.routes(apart, "a", "d", 3) == []
    alone = msgspec.structs.replace(plan, links=(plan.link("a-b"),))
    assert FIDELITY.routes(alone, "a", "d", 3) == []


@pytest.mark.slow
def test_a_chain_of_a_thousand_nodes_is_compiled_in_seconds():
    import tomllib

    text = write(sketch_chain(1000, 1000.0), Hardware(), Task())
    began = time.monotonic()
    plan = compile_topology(tomllib.loads(text), "long.toml")
    assert time.monotonic() - began < 20.0
    assert set(plan.network_layer.routes) == {"n0001>n1000", "n1000>n0001"}


def test_a_cutoff_that_no_run_can_reach_is_none():
    """That of a T2 of 10^9 s, in picoseconds, would not fit into a plan."""
    plan = compiled(chain(3))
    nodes, links = between(plan)
    platforms = [plan.node(node).platform for node in nodes]
    assert predict(nodes, links, platforms, [1, 2, 1], cutoff_s=1e8).cutoff is None
    assert predict(nodes, links, platforms, [1, 2, 1], cutoff_s=1e5).cutoff == 10**17
