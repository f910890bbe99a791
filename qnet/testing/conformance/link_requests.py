"""Cases of the link layer: acceptance, refusals, cancels and deadlines (sections 1.1 to 1.5)."""

from __future__ import annotations

from typing import Any, Final

from qnet.ids import RequestId
from qnet.layers import link as service
from qnet.layers.link import ErrorCode
from qnet.testing.conformance import audit
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.case import (
    ENDS,
    PAIRS,
    Trial,
    ask_unaccepted,
    at_once,
    case,
    code,
    delivered,
    endings,
)
from qnet.testing.conformance.faults import ALICE, BOB
from qnet.testing.conformance.features import FEATURES, served
from qnet.testing.conformance.parts import NotApplicable
from qnet.testing.conformance.stage import CYCLE, FLIGHTS, PURPOSE, other

DIRECT: Final = sum(FLIGHTS)
CLICK: Final = CYCLE + 1_000_000 + max(FLIGHTS)
"""Click of the first run, if its first attempt succeeds and it starts in the second cycle."""
MANY: Final = 200
"""More requests than a link is expected to keep."""

MALFORMED: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("itself as peer", {"remote": ALICE}),
    ("a stranger as peer", {"remote": "carol"}),
    ("no pair", {"number": 0}),
    ("a negative number", {"number": -1}),
    ("fidelity above 1", {"minimum_fidelity": 1.5}),
    ("negative fidelity", {"minimum_fidelity": -0.1}),
    ("fidelity that is no number", {"minimum_fidelity": float("nan")}),
    ("negative time", {"max_time": -1}),
    ("a kind that no link has", {"kind": "E"}),
    ("a purpose of 17 bits", {"purpose": 1 << 16}),
    ("a negative purpose", {"purpose": -1}),
    ("atomic for measured pairs", {"kind": "M", "atomic": True}),
    ("a final state for measured pairs", {"kind": "M", "final": (0, 0)}),
    ("an unknown basis", {"kind": "M", "local": service.BasisChoice(("W",), (1.0,))}),
    ("bases without weights", {"kind": "M", "distant": service.BasisChoice(("X", "Z"), (1.0,))}),
    ("weights that are all 0", {"kind": "M", "local": service.BasisChoice(("X",), (0.0,))}),
)
"""Requests out of their domain, by alice."""


PLAIN: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"store": True},
    {"kind": "M"},
    {"final": (1, 1)},
    {"kind": "R"},
    {"atomic": True},
)
"""Wishes that an undisturbed link fulfils."""


def quick(trial: Trial, **options: Any) -> Bench:
    """A bench whose first attempt always succeeds."""
    bench = trial.bench(**options)
    bench.matter.luck.success = lambda _run: 1
    return bench


# ---------------------------------------------------------------- 1.1 ends


@case("QN-LINK-1.1-6", "QN-LINK-2.2-2", "QN-LINK-2.2-4", "QN-LINK-4.1-2")
def undisturbed_requests_are_served_in_full(trial: Trial) -> None:
    """Requests of both ends and of all kinds, nothing lost."""
    random = trial.random("wishes")
    bench = trial.bench(slots=(1 + random.below(2), 1 + random.below(2)), memory=(4, 4))
    numbers = {}
    for k in range(4):
        fields = trial.wish(**PLAIN[random.below(len(PLAIN))])
        number = 1 + random.below(4)
        request = bench.create(random.below(10 * CYCLE), ENDS[k % 2], str(k), number, **fields)
        numbers[request] = number
    bench.run()
    for node in ENDS:
        ended = endings(bench, node)
        indices: dict[str, list[int]] = {}
        for ok in bench.heard(node, PAIRS):
            indices.setdefault(ok.request, []).append(ok.index)
        for request, number in numbers.items():
            got = ended.get(request)
            words = f"{request} at {node}: wanted {number}, ended with {got!r}"
            trial.check("QN-LINK-1.1-6", delivered(got) == number, words)
            found = indices.get(request, [])
            words = f"{request} at {node}: indices {found} of {number}"
            trial.check("QN-LINK-2.2-2", found == list(range(1, number + 1)), words)
    ours, theirs = ([ok.pair for ok in _kept(bench, node)] for node in ENDS)
    trial.check("QN-LINK-4.1-2", ours == theirs, f"alice {ours}, bob {theirs}")
    times = {ok.pair: ok.goodness_at for ok in _kept(bench, ALICE)}
    for ok in _kept(bench, BOB):
        words = f"{ok.pair}: alice at {times.get(ok.pair)} ps, bob at {ok.goodness_at} ps"
        trial.check("QN-LINK-2.2-4", times.get(ok.pair) == ok.goodness_at, words)


def _kept(bench: Bench, node: Any) -> list[service.Ok]:
    return [ok for ok in bench.heard(node, service.Ok) if ok.kind == "K"]


# ---------------------------------------------------------------- 1.2 acceptance


@case("QN-LINK-1.2-1", "QN-LINK-1.2-2", "QN-LINK-1.2-4", once=True)
def purpose_that_nobody_accepts(trial: Trial) -> None:
    """The peer accepts another purpose, or none."""
    for origin in ENDS:
        for accept in (None, PURPOSE + 1):
            ask_unaccepted(trial, trial.bench(accept=False), origin, accept, DIRECT)


@case("QN-LINK-1.2-3", once=True)
def purpose_that_is_not_accepted_any_more(trial: Trial) -> None:
    """StopAccepting between two requests."""
    for origin in ENDS:
        bench = quick(trial)
        agreed = bench.create(0, origin, "1", 3)
        bench.ask(4 * DIRECT, other(origin), service.StopAccepting(origin, PURPOSE))
        refused = bench.create(5 * DIRECT, origin, "2")
        bench.run()
        for node in ENDS:
            ended = endings(bench, node).get(agreed)
            words = f"{agreed}, agreed before, ended at {node} with {ended!r}"
            trial.check("QN-LINK-1.2-3", delivered(ended) == 3, words)
        ended = endings(bench, origin).get(refused)
        words = f"{refused} ended with {ended!r}"
        trial.check("QN-LINK-1.2-3", code(ended) == ErrorCode.REJECTED, words)


# ---------------------------------------------------------------- 1.3 refusals


def _refused(trial: Trial, identifier: str, wanted: ErrorCode, words: str, **fields: Any) -> None:
    bench = trial.bench(memory=(4, 4))
    request = bench.create(0, ALICE, "1", **fields)
    bench.run()
    said = at_once(bench, request, ALICE)
    trial.check(identifier, code(said) == wanted, f"{words}: ended at once with {said!r}")
    heard = bench.heard(BOB)
    trial.check("QN-LINK-1.2-2", not heard, f"{words}: bob hears {heard}")
    if isinstance(said, service.Err):
        trial.check("QN-LINK-1.3-6", len(said.detail) > 3, f"{words}: detail {said.detail!r}")


@case("QN-LINK-1.3-1", "QN-LINK-1.3-6", "QN-LINK-1.2-2", once=True)
def malformed_requests(trial: Trial) -> None:
    """Each field out of its domain."""
    for words, fields in MALFORMED:
        _refused(trial, "QN-LINK-1.3-1", ErrorCode.CREATE, words, **fields)


@case("QN-LINK-1.3-2", "QN-LINK-1.3-6", "QN-LINK-1.2-2", once=True)
def fidelity_that_the_link_cannot_reach(trial: Trial) -> None:
    """The estimate says 0.94: more is refused, exactly that is not."""
    unsupported = ErrorCode.UNSUPP
    for fidelity in (0.9400001, 0.97, 1.0):
        words = f"F >= {fidelity}"
        _refused(trial, "QN-LINK-1.3-2", unsupported, words, minimum_fidelity=fidelity)
    bench = trial.bench()
    request = bench.create(0, ALICE, "1", minimum_fidelity=0.94)
    bench.run()
    ended = endings(bench, ALICE).get(request)
    trial.check("QN-LINK-1.3-2", delivered(ended) == 1, f"F >= 0.94 ended with {ended!r}")


@case("QN-LINK-1.3-3", "QN-LINK-1.3-6", "QN-LINK-1.2-2", once=True)
def time_that_no_link_can_keep(trial: Trial) -> None:
    """Three pairs in less than three cycles."""
    for limit in (1, CYCLE, 3 * CYCLE - 1):
        words = f"3 pairs in {limit} ps"
        fields = {"number": 3, "max_time": limit}
        _refused(trial, "QN-LINK-1.3-3", ErrorCode.UNSUPP, words, **fields)


@case("QN-LINK-1.3-4", "QN-LINK-1.3-6", once=True)
def time_that_the_queue_does_not_leave(trial: Trial) -> None:
    """Behind a thousand pairs a single one is not made in ten cycles."""
    trial.needs("max_time")
    bench = trial.bench()
    long = bench.create(0, ALICE, "1", 1000)
    request = bench.create(0, ALICE, "2", 1, 10 * CYCLE)
    bench.ask(1, ALICE, service.Cancel(long))
    bench.run()
    said = at_once(bench, request, ALICE)
    words = f"1 pair in 10 cycles behind 1000 ended at once with {said!r}"
    trial.check("QN-LINK-1.3-4", code(said) == ErrorCode.NOTIME, words)
    if isinstance(said, service.Err):
        trial.check("QN-LINK-1.3-6", len(said.detail) > 3, f"detail {said.detail!r}")


@case("QN-LINK-1.3-5", "QN-LINK-1.3-6", "QN-LINK-1.2-2", once=True)
def more_memory_than_there_is(trial: Trial) -> None:
    """An end has four memory slots: a batch of five never fits, one of four does."""
    trial.needs("atomic")
    words = "an atomic request for 5 pairs"
    _refused(trial, "QN-LINK-1.3-5", ErrorCode.NORES, words, number=5, atomic=True)
    bench = trial.bench(memory=(4, 4))
    request = bench.create(0, ALICE, "1", 4, atomic=True)
    bench.run()
    ended = endings(bench, ALICE).get(request)
    trial.check("QN-LINK-1.3-5", delivered(ended) == 4, f"a batch of 4 ended with {ended!r}")


@case("QN-LINK-1.3-8", "QN-LINK-1.3-6", "QN-LINK-1.2-2", once=True)
def features_that_are_not_offered(trial: Trial) -> None:
    """What was refused once is refused every time: for several pairs, at other instants, behind others."""
    missing = sorted(FEATURES.keys() - served(trial.protocol))
    if not missing:
        raise NotApplicable("all optional features are offered")
    for feature in missing:
        for number in (1, 3):
            fields = {**FEATURES[feature], "number": number}
            words = f"{number} pairs with {feature}"
            _refused(trial, "QN-LINK-1.3-8", ErrorCode.UNSUPP, words, **fields)
        for origin in ENDS:
            bench = quick(trial, memory=(4, 4))
            for node in ENDS:
                bench.create(0, node, "1", 4)
            fields = FEATURES[feature]
            again = [bench.create(k * CYCLE, origin, str(k), **fields) for k in range(2, 5)]
            bench.run()
            for request in again:
                ended = endings(bench, origin).get(request)
                words = f"{feature}, by {origin}, {request} behind others: ended with {ended!r}"
                trial.check("QN-LINK-1.3-8", code(ended) == ErrorCode.UNSUPP, words)


@case("QN-LINK-1.3-7", "QN-LINK-1.1-2", once=True)
def more_requests_than_a_queue_keeps(trial: Trial) -> None:
    """Many requests at once: each ends, some perhaps with NORES."""
    bench = quick(trial)
    names = [bench.create(0, ALICE, str(k)) for k in range(MANY)]
    bench.run()
    ended = endings(bench, ALICE)
    lost = [name for name in names if name not in ended]
    trial.check("QN-LINK-1.1-2", not lost, f"never ended: {lost}")
    full = [name for name, one in ended.items() if code(one) == ErrorCode.NORES]
    trial.check("QN-LINK-1.3-7", bool(full), f"all {MANY} requests were taken")


# ---------------------------------------------------------------- 1.4 cancelling


@case("QN-LINK-1.4-1", "QN-LINK-2.1-1", "QN-LINK-5.1-2", "QN-LINK-1.1-5", once=True)
def cancel_at_every_stage(trial: Trial) -> None:
    """Either user cancels either end's request, from before the agreement until after a delivery."""
    stages = (
        0,
        1,
        DIRECT,
        2 * DIRECT,
        2 * DIRECT + 1,
        CYCLE + 1_000_001,
        CLICK,
        CLICK + FLIGHTS[0],
        CLICK + FLIGHTS[1],
        CLICK + FLIGHTS[1] + 100_000,
        CLICK + FLIGHTS[1] + 299_999,
        CLICK + FLIGHTS[1] + 300_000,
        CLICK + 3 * DIRECT,
    )
    for origin in ENDS:
        for canceller in ENDS:
            for at in stages:
                _cancelled(trial, origin, canceller, at)


def _cancelled(trial: Trial, origin: Any, canceller: Any, at: int) -> None:
    bench = quick(trial)
    request = bench.create(0, origin, "1", 6)
    bench.ask(at, canceller, service.Cancel(request))
    bench.run()
    if canceller != origin and at < 2 * DIRECT:
        return  # the peer may not know of it yet
    where = f"{canceller} cancels {request} at {at} ps"
    for node in ENDS:
        ended = endings(bench, node).get(request)
        if ended is None and node != origin and at <= 2 * DIRECT:
            continue
        marked = isinstance(ended, service.RequestEnded) and ended.cancelled
        trial.check("QN-LINK-1.4-1", marked, f"{where}: ended at {node} with {ended!r}")
    audit.safety(bench, trial.check)
    audit.liveness(bench, trial.check)


@case("QN-LINK-1.4-2", "QN-LINK-8.1-1", once=True)
def cancel_of_what_is_not_open(trial: Trial) -> None:
    """Unknown ids, and requests that are over: nothing changes."""
    said = []
    for cancels in (False, True):
        bench = quick(trial)
        request = bench.create(0, ALICE, "1", 2)
        after = bench.create(30 * CYCLE, BOB, "2")
        if cancels:
            for node in ENDS:
                bench.ask(CYCLE, node, service.Cancel(RequestId("alice/9")))
                bench.ask(25 * CYCLE, node, service.Cancel(request))
                bench.ask(60 * CYCLE, node, service.Cancel(after))
        bench.run()
        said.append(bench.said)
    trial.check("QN-LINK-8.1-1", True, "")
    trial.check("QN-LINK-1.4-2", said[0] == said[1], f"without: {said[0]}, with: {said[1]}")


# ---------------------------------------------------------------- 1.5 deadlines


@case("QN-LINK-1.5-2", "QN-LINK-1.1-2")
def deadline_of_a_request_without_luck(trial: Trial) -> None:
    """No attempt ever succeeds; the deadline comes."""
    trial.needs("max_time")
    random = trial.random("deadline")
    for origin in ENDS:
        limit = 5 * CYCLE + random.below(20 * CYCLE)
        start = random.below(3 * CYCLE)
        bench = trial.bench(memory=(2, 2))
        bench.matter.luck.success = lambda _run: 10_000
        fields = trial.wish(store=random.uniform() < 0.5)
        request = bench.create(start, origin, "1", 2, limit, **fields)
        bench.run()
        for node in ENDS:
            ends = [(at, what) for at, who, what in bench.said if who == node]
            words = f"deadline {start + limit} ps: {node} hears {ends}"
            right = len(ends) == 1 and ends[0][0] == start + limit
            trial.check("QN-LINK-1.5-2", right and code(ends[0][1]) == ErrorCode.TIMEOUT, words)
        trial.check("QN-LINK-1.1-2", request in endings(bench, origin), f"{request} never ended")


@case("QN-LINK-1.5-2", "QN-LINK-1.5-1", "QN-LINK-1.5-3", once=True)
def deadline_that_races_with_a_herald(trial: Trial) -> None:
    """The deadline moves across the instant at which the second pair would be delivered."""
    trial.needs("max_time")
    second = CLICK + max(FLIGHTS) + 300_000 + CYCLE
    near = (*range(-3, 4), -min(FLIGHTS), -max(FLIGHTS), -DIRECT, DIRECT, max(FLIGHTS))
    for late in near:
        bench = quick(trial)
        deadline = second + late
        request = bench.create(0, ALICE, "1", 2, deadline)
        bench.run()
        words = f"deadline {late} ps after the delivery"
        ours, theirs = (bench.announced(node).keys() for node in ENDS)
        same = ours == theirs
        trial.check("QN-LINK-1.5-3", same, f"{words}: {sorted(ours ^ theirs)} at one end")
        gone = [bench.heard(node, service.Expired) for node in ENDS]
        trial.check("QN-LINK-1.5-3", not any(gone), f"{words}: expired {gone}")
        for at, node, what in bench.said:
            if isinstance(what, PAIRS):
                trial.check("QN-LINK-1.5-1", at <= deadline, f"{words}: {node} at {at} ps")
            elif isinstance(what, service.Err):
                right = what.code == ErrorCode.TIMEOUT and at == deadline
                trial.check("QN-LINK-1.5-2", right, f"{words}: {node} at {at} ps, {what!r}")
        for node in ENDS:
            ended = endings(bench, node).get(request)
            trial.check("QN-LINK-1.5-2", ended is not None, f"{words}: no end at {node}")
