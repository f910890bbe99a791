"""What no run may make more of: per attempt, per time, per path."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qnet.ids import LinkId, NodeId
from qnet.physics.limits import hashing_yield, heralded_rate_bound_hz, one_station_bound
from qnet.plan import Estimate, LinkOptics, LinkPlan
from qnet.units import GROUP_INDEX_FIBRE, PS_PER_S, Duration, Instant, light_time, seconds
from qnet.world.bounds import BoundBroken, check_bounds, max_flow

A, B, C, D, S = (NodeId(name) for name in ("alice", "bob", "carol", "dora", "station"))
ESTIMATE = Estimate(1.0, Duration(1), 1.0, 1.0, 0.0, 0.0, (1.0, 1.0, 1.0))


def link(
    ends: tuple[NodeId, NodeId] = (A, B), eta: float = 0.1, dark_prob: float = 0.0
) -> LinkPlan:
    flight = light_time(25_000.0)
    return LinkPlan(
        LinkId("-".join(ends)), ends, S, "x", {}, "x", {}, LinkOptics(eta, eta, dark_prob=dark_prob),
        (flight, flight), Duration(2 * flight), Duration(2 * flight), Duration(0),
        (Duration(0), Duration(0)), ESTIMATE,
    )  # fmt: skip


def check(plan: LinkPlan, heralds: int, attempts: int = 10**6, duration_s: float = 1e6) -> Any:
    found = check_bounds(
        [plan],
        heralds={plan.name: heralds},
        attempts={plan.name: attempts},
        duration=Instant(round(duration_s * PS_PER_S)),
        delivered={},
    )
    return found["links"][plan.name]


def test_bound_per_use_is_that_of_one_station() -> None:
    most = 10**6 * one_station_bound(0.01)
    assert most == pytest.approx(152_003, abs=1)
    allowed = most + 6 * most**0.5 + 12
    found = check(link(), int(allowed))
    per_time = pytest.approx(4.084e8, rel=1e-3)
    assert found == {
        "heralded": int(allowed),
        "ebits": int(allowed),
        "per_use": most,
        "per_time": per_time,
    }
    with pytest.raises(BoundBroken, match=r"alice-bob must herald at most 152003 ebits \(per_use"):
        check(link(), int(allowed) + 1)


def test_bound_per_time_is_one_attempt_per_light_time() -> None:
    plan = link()
    attempts_s = PS_PER_S / sum(plan.flights)
    assert attempts_s == pytest.approx(4084, rel=1e-3)
    # A7.5 with the success of single click, sqrt(eta), in place of eta/2.
    ceiling = heralded_rate_bound_hz(0.01, 50_000.0, group_index=GROUP_INDEX_FIBRE) / 0.005 * 0.1
    assert attempts_s * 0.1 == pytest.approx(ceiling)
    most = (1.0 / seconds(sum(plan.flights)) + 1) * 0.1
    check(plan, int(most), duration_s=1.0)
    with pytest.raises(BoundBroken, match="per_time"):
        check(plan, int(most + 6 * most**0.5 + 13), duration_s=1.0)


def test_dark_counts_may_herald_what_is_no_pair() -> None:
    with pytest.raises(BoundBroken):
        check(link(eta=1e-6), 1000, attempts=10**6)
    check(link(eta=1e-6, dark_prob=1e-3), 1000, attempts=10**6)


def test_bounds_that_say_nothing_are_none() -> None:
    plan = msgspec.structs.replace(link(eta=1.0), flights=(Duration(0), Duration(0)))
    assert check(plan, 10**6) == {
        "heralded": 10**6,
        "ebits": 10**6,
        "per_use": None,
        "per_time": None,
    }


def test_bad_pairs_count_as_the_ebits_that_they_hold() -> None:
    """A deterministic link of transmission 0.01 whose pairs of fidelity 0.52 hold no ebit."""
    values = (0.36, 0.36, 0.36)
    poor = msgspec.structs.replace(ESTIMATE, correlators=values)
    plan = msgspec.structs.replace(link(), estimate=poor)
    assert hashing_yield(values) == 0.0
    assert check(plan, 10**6)["ebits"] == 0.0
    fair = msgspec.structs.replace(ESTIMATE, correlators=(0.9, 0.9, 0.9))
    assert hashing_yield(fair.correlators) == pytest.approx(0.4968, abs=1e-4)
    check(msgspec.structs.replace(plan, estimate=fair), 300_000)
    with pytest.raises(BoundBroken, match=r"it heralded 312000 pairs of 0\.49"):
        check(msgspec.structs.replace(plan, estimate=fair), 312_000)


def test_parallel_modes_are_uses_of_their_own() -> None:
    plan = link()
    optics = msgspec.structs.replace(plan.optics, modes=4)
    check(msgspec.structs.replace(plan, optics=optics), 600_000)
    with pytest.raises(BoundBroken, match="per_use"):
        check(plan, 600_000)


def test_delivered_pairs_need_a_path_of_heralds() -> None:
    links = [link((A, B)), link((B, C)), link((A, D)), link((C, D))]
    heralds = dict(zip((one.name for one in links), (10, 4, 3, 9), strict=True))

    def flows(delivered: int) -> object:
        return check_bounds(
            links,
            heralds=heralds,
            attempts=dict.fromkeys(heralds, 10**6),
            duration=Instant(10**18),
            delivered={(A, C): delivered},
        )["flows"]

    assert flows(7) == [{"from": A, "to": C, "delivered": 7, "max_flow": 7}]
    with pytest.raises(BoundBroken, match=r"between alice and carol must be at most 7, .* got 8"):
        flows(8)


def test_max_flow_takes_back_a_bad_first_path() -> None:
    # The shortest path a-b-c-d blocks both others unless flow over b-c is taken back.
    e, f = NodeId("e"), NodeId("f")
    edges = {(A, B): 1, (B, C): 1, (C, D): 1, (A, e): 1, (e, C): 1, (B, f): 1, (f, D): 1}
    assert max_flow(edges, A, D) == 2
    assert max_flow(edges, D, A) == 2
    assert max_flow(edges, A, NodeId("nowhere")) == 0
