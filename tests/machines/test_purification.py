"""Purification machines: exactly one end, both keep or both free, no slot left, whatever comes between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import CircuitId, PairId, RequestId, SlotId
from qnet.layers.link import (
    Accept,
    Cancel,
    Err,
    ErrorCode,
    Expired,
    Ok,
    OkMeasured,
    RequestEnded,
    StopAccepting,
)
from qnet.layers.network import CircuitUp, OpenCircuit
from qnet.machine import Acquired, Indicate, Indicated, Received, Request, Requested
from qnet.units import Duration, Instant
from qnet_protocols.purification import bbpssw, dejmps, double_selection, epl
from qnet_protocols.purification.holdings import joined_id
from qnet_protocols.purification.messages import Begin, Bits, Decided, Step
from tests.machines.purify_bench import (
    ALICE,
    BELOW,
    BOB,
    LIGHT,
    MEAN,
    MICROSECOND,
    PLATFORM,
    RANDOM_BASES,
    STYLE_PARAMS,
    Bench,
    Style,
    create,
)

PROTOCOLS = [module.PROTOCOL for module in (bbpssw, dejmps, double_selection, epl)]
NAMES = [protocol.name for protocol in PROTOCOLS]


@pytest.fixture(params=STYLE_PARAMS, autouse=True, scope="module")
def style(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test runs with machines, with coroutines, and with one of each."""
    Style.chosen = request.param
    yield
    Style.chosen = "machines"


def bench(seed: int = 1, **options: Any) -> Bench:
    made = Bench(seed, **options)
    made.ask(BOB, Accept(ALICE, 7))
    return made


def done(made: Bench, request: str = "alice/1") -> Bench:
    made.run()
    made.check_rest()
    made.check_request(request)
    return made


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=NAMES)
@pytest.mark.parametrize("pumping", [False, True])
@pytest.mark.parametrize("rounds", [1, 2])
def test_request_is_served(protocol: Any, pumping: bool, rounds: int) -> None:
    made = bench(protocol=protocol, pumping=pumping, rounds=rounds)
    made.ask(ALICE, create(number=3))
    done(made)
    for node in (ALICE, BOB):
        assert [ok.index for ok in made.of(node, "alice/1", Ok)] == [1, 2, 3]
        (ended,) = made.of(node, "alice/1", RequestEnded)
        assert (ended.delivered, ended.cancelled, ended.origin) == (3, False, node == ALICE)
    one, two = (made.ends[node].state for node in (ALICE, BOB))
    assert one.steps == two.steps >= 3 * rounds
    assert one.successes == two.successes


def test_both_ends_claim_the_same_for_the_same_instant() -> None:
    made = bench(rounds=2)
    made.ask(ALICE, create())
    done(made)
    for one, two in zip(made.of(ALICE, "alice/1", Ok), made.of(BOB, "alice/1", Ok), strict=True):
        assert (one.correlators, one.goodness_at) == (two.correlators, two.goodness_at)
        assert one.created_at == two.created_at
        assert one.requested_at == two.requested_at == 0


def test_bob_may_ask_too() -> None:
    made = bench()
    made.ask(ALICE, Accept(BOB, 7))
    made.ask(ALICE, create())
    made.ask(BOB, create("bob/1", remote=ALICE))
    made.run()
    made.check_rest()
    assert len(made.valid(ALICE, "alice/1")) == len(made.valid(BOB, "bob/1")) == 2


def test_measured_pairs() -> None:
    made = bench()
    made.ask(ALICE, create(kind="M", local=RANDOM_BASES, distant=RANDOM_BASES))
    done(made)
    for node in (ALICE, BOB):
        assert [one.index for one in made.of(node, "alice/1", OkMeasured)] == [1, 2]
        assert not made.of(node, "alice/1", Ok)


def test_remote_state_preparation() -> None:
    made = bench()
    made.ask(ALICE, create(kind="R", local=RANDOM_BASES))
    done(made)
    assert len(made.of(ALICE, "alice/1", OkMeasured)) == len(made.of(BOB, "alice/1", Ok)) == 2


def test_final_label_is_made_by_the_origin() -> None:
    made = bench(seed=3)
    made.ask(ALICE, create(number=8, final=(1, 0)))
    done(made)
    ours, theirs = (made.of(node, "alice/1", Ok) for node in (ALICE, BOB))
    assert {ok.label for ok in (*ours, *theirs)} == {(1, 0)}
    assert all(ok.settled for ok in ours)
    assert {ok.settled for ok in theirs} == {True, False}


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        ({"number": 0}, ErrorCode.CREATE, "number must be >= 1, got 0"),
        ({"minimum_fidelity": 1.5}, ErrorCode.CREATE, "0 <= F <= 1, got 1.5"),
        ({"max_time": Duration(-1)}, ErrorCode.CREATE, "max_time must be >= 0 ps, got -1"),
        ({"remote": "eve"}, ErrorCode.CREATE, "a node that link:alice-bob reaches (bob), got eve"),
        ({"kind": "E"}, ErrorCode.UNSUPP, "kind must be K, M or R"),
        ({"atomic": True}, ErrorCode.UNSUPP, "atomic must be false"),
        ({"consecutive": True}, ErrorCode.UNSUPP, "consecutive must be false"),
        ({"test_share": 0.1}, ErrorCode.UNSUPP, "test_share must be 0"),
        ({"kind": "M", "final": (0, 0)}, ErrorCode.UNSUPP, "final must be left out"),
        ({"minimum_fidelity": 0.99}, ErrorCode.UNSUPP, "minimum_fidelity must be <= 0.94"),
        ({"purpose": 8}, ErrorCode.REJECTED, "bob must accept purpose 8 of alice, it does not"),
        ({"store": True}, ErrorCode.NORES, "alice must have >= 3 memory slots"),
    ],
)
def test_refusals_name_the_rule(wanted: dict[str, Any], code: ErrorCode, words: str) -> None:
    made = bench(rounds=1 if "minimum_fidelity" in wanted else 2)
    made.ask(ALICE, create(**wanted))
    made.run()
    made.check_rest()
    (err,) = made.of(ALICE, "alice/1", Err)
    assert err.code is code
    assert words in err.detail


def test_two_requests_of_one_name_are_refused() -> None:
    made = bench()
    made.ask(ALICE, create())
    made.ask(ALICE, create())
    (err,) = made.of(ALICE, "alice/1", Err)
    assert "request must be new, got alice/1" in err.detail


def test_too_few_communication_slots_use_memory() -> None:
    small = msgspec.structs.replace(PLATFORM, communication_slots=1, memory_slots=2)
    made = Bench(platform=small)
    made.ask(BOB, Accept(ALICE, 7))
    asked: list[Any] = []
    made.serve = lambda node, request: asked.append(request)  # type: ignore[method-assign]
    made.ask(ALICE, create())
    made.run()
    assert asked[0].store


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize("after", range(6, 80, 3))
@pytest.mark.parametrize("who", [ALICE, BOB])
def test_cancel_at_any_instant(after: int, who: str) -> None:
    made = bench(rounds=2)
    made.ask(ALICE, create(number=50))
    made.at(after * MICROSECOND, lambda: made.ask(who, Cancel(RequestId("alice/1"))))
    done(made)
    (ended,) = made.of(ALICE, "alice/1", RequestEnded)
    assert ended.cancelled
    assert ended.delivered == len(made.valid(BOB, "alice/1"))
    assert made.of(BOB, "alice/1", RequestEnded)[0].cancelled


def test_cancel_before_the_peer_knows_of_the_request() -> None:
    made = bench()
    made.ask(BOB, Cancel(RequestId("alice/1")))
    made.ask(ALICE, create())
    made.at(1, lambda: made.ask(ALICE, Cancel(RequestId("alice/1"))))
    done(made)
    assert made.of(BOB, "alice/1", RequestEnded)[0].cancelled
    assert not made.requests


@pytest.mark.parametrize("span", range(1, 80, 3))
def test_deadline_at_any_instant(span: int) -> None:
    made = bench(rounds=2)
    made.ask(ALICE, create(number=50, max_time=Duration(span * MICROSECOND)))
    done(made)
    (err,) = made.of(ALICE, "alice/1", Err)
    assert err.code is ErrorCode.TIMEOUT
    assert err.detail == f"{len(made.valid(ALICE, 'alice/1'))} of 50 pairs were made in time"
    for err in made.of(BOB, "alice/1", Err):
        assert err.code is ErrorCode.TIMEOUT


@pytest.mark.parametrize("after", range(12, 60, 4))
@pytest.mark.parametrize("code", [ErrorCode.OTHER, ErrorCode.EXPIRE])
def test_service_below_fails(after: int, code: ErrorCode) -> None:
    """ERR ends the request, but EXPIRE: then the rest is asked for anew."""
    made = bench(rounds=2)
    made.ask(ALICE, create(number=5))
    made.at(
        after * MICROSECOND,
        lambda: [made.fail(name, code) for name in list(made.requests)],
    )
    done(made)
    if code is ErrorCode.EXPIRE:
        assert len(made.valid(BOB, "alice/1")) == 5
    else:
        for node in (ALICE, BOB):
            (end,) = made.of(node, "alice/1", Err)
            assert (end.code, end.detail) == (code, "broken")


@pytest.mark.parametrize("after", range(0, 80, 2))
@pytest.mark.parametrize("restarted", [False, True])
def test_lost_peer_at_any_instant(after: int, restarted: bool) -> None:
    made = bench(rounds=2)
    made.ask(ALICE, create(number=50))
    made.at(after * MICROSECOND, lambda: made.lose(restarted=restarted))
    made.run()
    made.check_rest()
    (err,) = made.of(ALICE, "alice/1", Err)
    assert err.code is ErrorCode.OTHER
    assert ("forgotten" in err.detail) == restarted
    # Nobody can know whether the last message has arrived: one pair may be left at one end.
    assert len(made.valid(ALICE, "alice/1").keys() ^ made.valid(BOB, "alice/1").keys()) <= 1
    made.ask(ALICE, create("alice/2"))
    done(made, "alice/2")
    assert len(made.valid(ALICE, "alice/2")) == 2


@pytest.mark.parametrize("after", range(8, 60, 2))
@pytest.mark.parametrize("nodes", [(ALICE,), (BOB,), (ALICE, BOB)])
def test_raw_pair_is_taken_back_at_any_instant(after: int, nodes: tuple[Any, ...]) -> None:
    """One end learns of it, or both: the ends agree afterwards, and what was not yet announced is made anew."""
    for number in (1, 2, 3):
        made = bench(rounds=2)
        made.ask(ALICE, create(number=2))

        def take_back(made: Bench = made, number: int = number) -> None:
            if made.pairs >= number:
                made.expire(RequestId("alice/1/raw1"), number, nodes)

        made.at(after * MICROSECOND, take_back)
        done(made)
        assert len(made.of(ALICE, "alice/1", RequestEnded)) == 1
        lost = sum(len(one.pairs) for one in made.of(BOB, "alice/1", Expired))
        assert len(made.valid(ALICE, "alice/1")) + lost == 2


@pytest.mark.parametrize("after", range(12, 60, 6))
@pytest.mark.parametrize("nodes", [(ALICE,), (BOB,), (ALICE, BOB)])
def test_all_raw_pairs_are_taken_back_at_any_instant(after: int, nodes: tuple[Any, ...]) -> None:
    """What was made of them does not count, is not made again, and no index is used twice."""
    for wanted in ({}, {"kind": "M", "local": RANDOM_BASES, "distant": RANDOM_BASES}):
        made = bench(rounds=1)
        made.ask(ALICE, create(number=3, **wanted))

        def take_back(made: Bench = made) -> None:
            for number, name in list(made.made_for.items()):
                made.expire(name, number, nodes)

        made.at(after * MICROSECOND, take_back)
        done(made)
        for node in (ALICE, BOB):
            announced = made.of(node, "alice/1", Ok | OkMeasured)
            assert all(one.index <= 3 for one in announced)


@pytest.mark.parametrize("node", [ALICE, BOB])
def test_request_without_a_valid_pair_has_failed(node: Any) -> None:
    """The only pair is void before the origin hears of it, or while the end is on its way to the peer."""
    made = bench(rounds=1)
    made.ask(ALICE, create(number=1))
    while not made.of(BOB, "alice/1", Ok):
        made.run(until=made.heap[0][0])
    (ok,) = made.of(BOB, "alice/1", Ok)
    number = int(ok.pair.rpartition("*")[2])
    made.expire(made.made_for[number], number, (node,))
    done(made)
    (err,) = made.of(BOB, "alice/1", Err)
    assert err.code is ErrorCode.EXPIRE
    assert "every pair that was made has expired with pairs of link:alice-bob" in err.detail
    if node == ALICE:
        assert made.of(ALICE, "alice/1", Ok) == []
        assert made.of(ALICE, "alice/1", Err)[0].code is ErrorCode.EXPIRE
    else:
        (ended,) = made.of(ALICE, "alice/1", RequestEnded)
        assert ended.delivered == 1
        assert made.of(ALICE, "alice/1", Expired)[0].pairs == (ok.pair,)


def test_pair_that_never_arrives_at_the_peer_is_given_up() -> None:
    made = bench(patience_s=100e-6)
    hand_up = made.hand_up

    def one_sided(name: Any, node: Any, pair: Any, *rest: Any) -> None:
        if (node, pair) != (BOB, "alice-bob#1"):
            hand_up(name, node, pair, *rest)

    made.hand_up = one_sided  # type: ignore[method-assign]
    made.ask(ALICE, create())
    done(made)
    assert len(made.valid(BOB, "alice/1")) == 2
    assert made.ends[BOB].state.dropped >= 1


def test_pair_that_waits_too_long_is_dropped_at_both_ends() -> None:
    made = bench(patience_s=50e-6)
    made.rate = 200 * MICROSECOND
    made.ask(ALICE, create(number=1))
    done(made)
    assert len(made.valid(BOB, "alice/1")) == 1
    one, two = (made.ends[node].state.dropped for node in (ALICE, BOB))
    assert one == two >= 1


@pytest.mark.parametrize("rounds", [1, 2])
def test_pairs_in_perfect_memories_wait_for_a_number_of_mean_times(rounds: int) -> None:
    """T2 is infinite: 64 mean times of the raw pairs that a pair handed up stands for."""
    made = bench(rounds=rounds)
    patience = 64 * 2**rounds * MEAN
    made.rate = 2 * patience
    made.ask(ALICE, create(number=1))
    ends = [made.ends[node] for node in (ALICE, BOB)]
    made.run(until=6 * patience)
    assert all(end.state.dropped >= 1 for end in ends)
    made.rate = MEAN
    made.run(until=100 * patience)
    assert len(made.valid(BOB, "alice/1")) == 1


def test_acceptance_below_lasts_as_long_as_a_request() -> None:
    made = bench()
    made.ask(ALICE, create(number=3))
    made.run(until=20 * MICROSECOND)
    made.ask(BOB, StopAccepting(ALICE, 7))
    assert made.ends[BOB].accepts
    done(made)
    assert not made.ends[BOB].accepts
    assert len(made.valid(BOB, "alice/1")) == 3
    made.ask(ALICE, create("alice/2"))
    made.run()
    assert made.of(ALICE, "alice/2", Err)[0].code is ErrorCode.REJECTED


# ---------------------------------------------------------------- impossible


def received(message: Any, source: Any = ALICE) -> Received:
    return Received(source, message.kind, message, Instant(0))


def begin(request: str = "alice/1", below: str = BELOW) -> Begin:
    return Begin(below, RequestId(request), 1, 0.0, Instant(0), 7, "K", RANDOM_BASES, None)


def stepping(step: int = 1, pairs: tuple[str, ...] = ("a-b#1", "a-b#2"), **changes: Any) -> Step:
    roles = ("communication",) * len(pairs)
    named = tuple(PairId(pair) for pair in pairs)
    made = Step(BELOW, RequestId("alice/1"), step, named, (), roles, Instant(0), 1)
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize(
    "message",
    [
        begin(),
        stepping(2),
        stepping(pairs=("a-b#1",)),
        stepping(pairs=("a-b#1", "a-b#1")),
        stepping(turns=(1, 2)),
        Bits(BELOW, RequestId("alice/1"), 1, (0,)),
        Decided(BELOW, RequestId("alice/1"), 1, "kept", (0,), ("memory",) * 2, Instant(0)),
    ],
)
def test_impossible_messages_at_the_peer(message: Any) -> None:
    made = bench()
    made.give(BOB, received(begin()))
    with pytest.raises(RemoteProtocolError, match="alice/1"):
        made.give(BOB, received(message))


@pytest.mark.parametrize(("message", "source"), [(begin(below="network"), ALICE), (begin(), "eve")])
def test_strangers_are_refused(message: Any, source: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="purification above link:alice-bob"):
        bench().give(BOB, received(message, source))


@pytest.mark.parametrize("message", [stepping(5), Bits(BELOW, RequestId("alice/9"), 3, (1,))])
def test_messages_about_requests_that_are_over_are_ignored(message: Any) -> None:
    made = bench()
    made.give(BOB, received(message))
    made.check_rest()


def test_a_pair_of_a_request_that_is_over_is_released() -> None:
    made = bench()
    made.ask(ALICE, create())
    done(made)
    made.hand_up(RequestId("alice/1/raw1"), BOB, PairId("alice-bob#99"), 9, (0, 0), Instant(0))
    made.check_rest()


@pytest.mark.parametrize("event", [Acquired("token", SlotId(0)), Requested("nonsense", "app")])
def test_impossible_inputs(event: Any) -> None:
    with pytest.raises(LocalProtocolError, match="must not get this"):
        bench().give(ALICE, event)


# ---------------------------------------------------------------- the rest


def test_circuits_are_passed_on() -> None:
    machine = bench().ends[ALICE].machine
    order = OpenCircuit(CircuitId("alice>bob/1"), BOB, 0.0)
    assert machine.handle(Requested(order, "app"), Instant(0)) == [Request(order, to=BELOW)]
    news = CircuitUp(CircuitId("alice>bob/1"), BOB, (ALICE, BOB), (), 0.9, 1.0)
    assert machine.handle(Indicated(news, BELOW), Instant(0)) == [Indicate(news)]


def test_names_of_parents() -> None:
    first = joined_id([PairId("alice-bob#3"), PairId("alice-bob#4")])
    other = joined_id([PairId("alice-bob#5"), PairId("alice-bob#6")])
    assert first == "alice-bob#3*4"
    assert joined_id([first, other]) == "alice-bob#3*4*(5*6)"
    assert joined_id([PairId("a-b#1~c-d#2"), PairId("a-b#3~c-d#4")]) == "a-b#1~c-d#2*a-b#3~c-d#4"


def test_verdict_is_known_one_light_time_after_the_bits() -> None:
    made = bench()
    made.ask(ALICE, create(number=1))
    done(made)
    (one,), (two,) = (made.of(node, "alice/1", Ok) for node in (ALICE, BOB))
    assert one.goodness_at == two.goodness_at
    assert LIGHT < one.goodness_at < made.now
