"""Purification under whatever may come between, found by Hypothesis: both keep or both free, exactly one end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.ids import RequestId
from qnet.layers.link import Accept, Cancel, ErrorCode
from qnet_protocols.purification import bbpssw, dejmps, double_selection, epl
from tests.machines.purify_bench import (
    ALICE,
    BOB,
    MICROSECOND,
    RANDOM_BASES,
    STYLE_PARAMS,
    Bench,
    Style,
    create,
)

PROTOCOLS = [module.PROTOCOL for module in (bbpssw, dejmps, double_selection, epl)]
NODES = st.sampled_from([(ALICE,), (BOB,), (ALICE, BOB), (BOB, ALICE)])
TAKEN_BACK = st.tuples(st.just("expire"), st.integers(0, 30), NODES)
CANCELLED = st.tuples(st.just("cancel"), st.sampled_from([ALICE, BOB]), st.none())
FAILED = st.tuples(st.just("fail"), st.sampled_from([ErrorCode.EXPIRE, ErrorCode.OTHER]), st.none())
WHEN = st.integers(12, 250)
WANTED = st.fixed_dictionaries(
    {"number": st.integers(1, 6), "kind": st.sampled_from(["K", "M", "R"])}
)
PARAMETERS = st.fixed_dictionaries(
    {"rounds": st.integers(1, 2), "pumping": st.booleans(), "batch": st.sampled_from([1, 3, 64])}
)


@pytest.fixture(params=STYLE_PARAMS, autouse=True, scope="module")
def style(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs with machines, with coroutines, and with one of each."""
    Style.chosen = request.param
    yield
    Style.chosen = "machines"


def disturb(bench: Bench, what: str, which: Any, nodes: Any) -> None:
    """One thing that goes wrong, if there is something to go wrong yet."""
    names = list(bench.requests)
    if what == "cancel":
        bench.ask(which, Cancel(RequestId("alice/1")))
    elif what == "fail" and names:
        bench.fail(names[-1], which)
    elif what == "expire" and bench.pairs:
        number = 1 + which % bench.pairs
        bench.expire(bench.made_for[number], number, nodes)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=[protocol.name for protocol in PROTOCOLS])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    wanted=WANTED,
    parameters=PARAMETERS,
    events=st.lists(st.tuples(WHEN, TAKEN_BACK | CANCELLED | FAILED), max_size=6),
)
def test_both_ends_agree(
    protocol: Any, seed: int, wanted: Any, parameters: Any, events: Any
) -> None:
    bench = Bench(seed, protocol=protocol, **parameters)
    bench.ask(BOB, Accept(ALICE, 7))
    bench.ask(ALICE, create(local=RANDOM_BASES, distant=RANDOM_BASES, **wanted))
    for when, (what, which, nodes) in events:
        bench.at(
            when * MICROSECOND,
            lambda what=what, which=which, nodes=nodes: disturb(bench, what, which, nodes),
        )
    bench.run()
    bench.check_rest()
    bench.check_request("alice/1")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    parameters=PARAMETERS,
    events=st.lists(st.tuples(WHEN, TAKEN_BACK), max_size=3),
    breaks=st.lists(WHEN, min_size=1, max_size=3),
)
def test_nothing_is_left_after_breaks(
    seed: int, parameters: Any, events: Any, breaks: list[int]
) -> None:
    """A new request after each break is served; one pair at most is left at one end only."""
    bench = Bench(seed, **parameters)
    bench.ask(BOB, Accept(ALICE, 7))
    for when, (what, which, nodes) in events:
        bench.at(
            when * MICROSECOND,
            lambda what=what, which=which, nodes=nodes: disturb(bench, what, which, nodes),
        )
    names = [f"alice/{number}" for number in range(1, len(breaks) + 2)]
    bench.ask(ALICE, create(names[0], number=3))
    for name, when in zip(names[1:], sorted(breaks), strict=True):

        def break_and_ask(name: str = name) -> None:
            bench.lose()
            bench.ask(ALICE, create(name, number=3))

        bench.at(when * MICROSECOND, break_and_ask)
    bench.run()
    bench.check_rest()
    for name in names:
        ours, theirs = bench.valid(ALICE, name), bench.valid(BOB, name)
        assert len(ours.keys() ^ theirs.keys()) <= 1
    bench.check_request(names[-1])
