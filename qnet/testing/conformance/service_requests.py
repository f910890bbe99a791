"""Cases of purification and networks: acceptance, refusals, cancels, deadlines, kinds (sections 1 to 3)."""

from __future__ import annotations

from typing import Any, Final

from qnet.ids import NodeId, RequestId
from qnet.layers import link as service
from qnet.layers.link import ErrorCode
from qnet.testing.conformance.case import (
    ALL,
    ENDS,
    HORIZON,
    PAIRS,
    ask_at_random,
    ask_unaccepted,
    at_once,
    code,
    delivered,
    endings,
)
from qnet.testing.conformance.chain import Chain
from qnet.testing.conformance.faults import ALICE, BOB, MIDDLE
from qnet.testing.conformance.features import features_of, offered
from qnet.testing.conformance.parts import NotApplicable
from qnet.testing.conformance.services import (
    DIRECT,
    LIVENESS,
    SAFETY,
    NetworkTrial,
    ServiceTrial,
    shared,
)
from qnet.testing.conformance.stage import CYCLE, PURPOSE, other

HOLDS: Final = (0, CYCLE, 6 * CYCLE)
REVOKED: Final = (0.0, 0.2)
"""Share of the links' pairs that expire below purification although both ends were told, by the seed."""
ANY: Final = service.BasisChoice(("X", "Y", "Z"), (1.0, 1.0, 1.0))
SAME: Final = service.BasisChoice(("X",), (1.0,))
LONG: Final = 4_000 * CYCLE
"""Time in which any honest protocol has made a few pairs: a thousand mean times of a pair of a link."""

WISHES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {},
    {"kind": "M", "local": ANY, "distant": ANY},
    {"kind": "R", "local": ANY},
    {"store": True},
    {"final": (1, 0)},
    {"final": (0, 1)},
    {"priority": 0},
    {"kind": "E"},
    {"test_share": 0.3},
)
"""What requests ask for, besides pairs."""

MALFORMED: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("itself as peer", {"remote": ALICE}),
    ("no pair", {"number": 0}),
    ("a negative number", {"number": -1}),
    ("fidelity above 1", {"minimum_fidelity": 1.5}),
    ("negative fidelity", {"minimum_fidelity": -0.1}),
    ("fidelity that is no number", {"minimum_fidelity": float("nan")}),
    ("negative time", {"max_time": -1}),
)
"""Requests out of their domain, by alice."""


def middles(trial: ServiceTrial) -> int:
    """How many nodes stand between the ends, by the seed."""
    if not isinstance(trial, NetworkTrial) or not trial.far:
        return 0
    return 1 + trial.random("row").below(len(MIDDLE))


def random_chain(trial: ServiceTrial) -> Chain:
    """Two to four requests of all kinds, some cancelled, some with deadlines."""
    random = trial.random("wishes")
    hold = HOLDS[random.below(3)]
    revoked = REVOKED[trial.random("revoked").below(2)] if trial.layer == "purify" else 0.0
    bench = trial.chain(middles=middles(trial), hold=lambda _node, _ok: hold, revoke_prob=revoked)
    ask_at_random(trial, bench, random, WISHES, 3)
    return bench


@shared(*SAFETY, "1.5-1", "9.2-1", mode="safety", profiles=ALL)
def random_requests_stopped_anywhere(trial: ServiceTrial) -> None:
    """What must never happen has not happened, whenever one looks."""
    bench = random_chain(trial)
    for look in range(1, 4):
        bench.run(HORIZON * look // 3)
        trial.audit(bench, rest=False)


@shared(*LIVENESS, *SAFETY, "9.2-1", "7.1-4", profiles=ALL)
def random_requests_at_rest(trial: ServiceTrial) -> None:
    """When all that went wrong is over, everything has ended and nothing is left."""
    trial.audit(random_chain(trial).run())


# ---------------------------------------------------------------- 1.1 ends


@shared("1.1-6", "2.5-2")
def undisturbed_requests_are_served_in_full(trial: ServiceTrial) -> None:
    """Requests of both ends and of all kinds; links may lose pairs, nothing else goes wrong."""
    random = trial.random("wishes")
    for expiry in (0.0, 0.3):
        bench = trial.chain(middles=middles(trial), expiry_prob=expiry)
        numbers = {}
        for k in range(3):
            fields = trial.wish(**WISHES[random.below(len(WISHES))])
            number = 1 + random.below(4)
            request = bench.create(random.below(10 * CYCLE), ENDS[k % 2], str(k), number, **fields)
            numbers[request] = number
        bench.run()
        for node in ENDS:
            ended = endings(bench, node)
            for request, number in numbers.items():
                got = ended.get(request)
                words = f"{request} at {node}: wanted {number}, ended with {got!r}"
                trial.expect("1.1-6" if not expiry else "2.5-2", delivered(got) == number, words)
        trial.audit(bench)


# ---------------------------------------------------------------- 1.2 acceptance


@shared("1.2-1", "1.2-2", "1.2-4", "5.1-2", once=True)
def purpose_that_nobody_accepts(trial: ServiceTrial) -> None:
    """The peer accepts another purpose, or none."""
    for origin in ENDS:
        for accept in (None, PURPOSE + 1):
            bench = trial.chain(accept=False)
            ask_unaccepted(trial, bench, origin, accept, bench.light_time(ALICE, BOB))
            trial.audit(bench)


@shared("1.2-3", once=True)
def purpose_that_is_not_accepted_any_more(trial: ServiceTrial) -> None:
    """StopAccepting between two requests."""
    for origin in ENDS:
        bench = trial.chain()
        agreed = bench.create(0, origin, "1", 3)
        bench.ask(20 * DIRECT, other(origin), service.StopAccepting(origin, PURPOSE))
        refused = bench.create(24 * DIRECT, origin, "2")
        bench.run()
        for node in ENDS:
            ended = endings(bench, node).get(agreed)
            words = f"{agreed}, agreed before, ended at {node} with {ended!r}"
            trial.expect("1.2-3", delivered(ended) == 3, words)
        ended = endings(bench, origin).get(refused)
        right = code(ended) == ErrorCode.REJECTED
        trial.expect("1.2-3", right, f"{refused} ended with {ended!r}")
        trial.audit(bench)


# ---------------------------------------------------------------- 1.3 refusals


def refused(
    trial: ServiceTrial, rule: str, wanted: ErrorCode | None, words: str, **fields: Any
) -> None:
    """A request of alice ends at once with that code, any one if None."""
    bench = trial.chain()
    request = bench.create(0, ALICE, "1", **fields)
    bench.run(LONG)
    said = at_once(bench, request, ALICE)
    right = code(said) is not None if wanted is None else code(said) == wanted
    trial.expect(rule, right, f"{words}: ended at once with {said!r}")
    heard = bench.heard(BOB)
    trial.expect("1.2-2", not heard, f"{words}: bob hears {heard}")
    if isinstance(said, service.Err):
        trial.expect("1.3-6", len(said.detail) > 3, f"{words}: detail {said.detail!r}")


@shared("1.3-1", "1.3-6", "1.2-2", once=True)
def malformed_requests(trial: ServiceTrial) -> None:
    """Each field out of its domain."""
    for words, fields in MALFORMED:
        refused(trial, "1.3-1", ErrorCode.CREATE, words, **fields)


@shared("1.3-9", "1.3-6", once=True)
def node_that_no_route_leads_to(trial: ServiceTrial) -> None:
    """A node that nobody knows."""
    refused(trial, "1.3-9", None, "to carol", remote=NodeId("carol"))


@shared("1.3-2", "1.3-6", once=True)
def fidelity_that_cannot_be_reached(trial: ServiceTrial) -> None:
    """More than pairs of fidelity 0.7 can become: one is, 0.99 after one round is not, nor over two links."""
    for fidelity in (0.99, 1.0):
        bench = trial.chain(correlators=(0.6, 0.6, 0.6))
        request = bench.create(0, ALICE, "1", minimum_fidelity=fidelity)
        bench.run(LONG)
        ended = endings(bench, ALICE).get(request)
        words = f"F >= {fidelity} of links with 0.7: ended with {ended!r}"
        trial.expect("1.3-2", code(ended) == ErrorCode.UNSUPP, words)
        pairs = [bench.heard(node, PAIRS) for node in ENDS]
        trial.expect("1.3-2", not any(pairs), f"F >= {fidelity}: announced {pairs}")
        if isinstance(ended, service.Err):
            trial.expect("1.3-6", len(ended.detail) > 3, f"detail {ended.detail!r}")


@shared("1.3-8", "1.3-6", "1.2-2", once=True)
def features_that_are_not_offered(trial: ServiceTrial) -> None:
    """What was refused once is refused every time: for more pairs, at other instants, behind others."""
    possible = features_of(trial.protocol)
    missing = sorted(possible.keys() - offered(trial.protocol))
    if not missing:
        raise NotApplicable("all optional features are offered")
    for feature in missing:
        fields = possible[feature]
        words = f"{fields}"
        refused(trial, "1.3-8", ErrorCode.UNSUPP, words, **fields)
        refused(trial, "1.3-8", ErrorCode.UNSUPP, words, **{**fields, "number": 3})
        for origin in ENDS:
            bench = trial.chain()
            for node in ENDS:
                bench.create(0, node, "1", 3)
            again = [bench.create(k * CYCLE, origin, str(k), **fields) for k in range(2, 5)]
            bench.run()
            for request in again:
                ended = endings(bench, origin).get(request)
                right = code(ended) == ErrorCode.UNSUPP
                said = f"{feature}, by {origin}, {request} behind others: ended with {ended!r}"
                trial.expect("1.3-8", right, said)


# ---------------------------------------------------------------- 1.4 cancelling


STAGES: Final = 3
"""Instants of a cancel that one seed tries, for each end that cancels what each end has asked for."""


@shared("1.4-1", "2.1-1", "5.1-2", "1.1-5")
def cancel_at_every_stage(trial: ServiceTrial) -> None:
    """Either user cancels either end's request, from before the agreement until after deliveries."""
    random = trial.random("stages")
    for origin in ENDS:
        for canceller in ENDS:
            for near in range(STAGES):
                span = (2 * DIRECT, 8 * DIRECT, 12 * CYCLE)[near]
                _cancelled(trial, origin, canceller, random.below(span))


def _cancelled(trial: ServiceTrial, origin: NodeId, canceller: NodeId, at: int) -> None:
    bench = trial.chain(expiry_prob=0.0)
    request = bench.create(0, origin, "1", 8)
    bench.run(at)
    knows = any(what.request == request for what in bench.heard(canceller, PAIRS))
    over = endings(bench, canceller)
    bench.ask(at, canceller, service.Cancel(request))
    bench.run()
    where = f"{canceller} cancels {request} at {at} ps"
    if over or (canceller != origin and not knows):
        return  # too late, or the peer may not know of it yet
    for node in ENDS:
        ended = endings(bench, node).get(request)
        pairs = any(what.request == request for what in bench.heard(node, PAIRS))
        if ended is None and node != origin and not pairs:
            continue
        marked = isinstance(ended, service.RequestEnded) and ended.cancelled
        trial.expect("1.4-1", marked, f"{where}: ended at {node} with {ended!r}")
    trial.audit(bench)


@shared("1.4-2", "8.1-1", once=True)
def cancel_of_what_is_not_open(trial: ServiceTrial) -> None:
    """Unknown ids, and requests that are over: nothing changes."""
    said = []
    for cancels in (False, True):
        bench = trial.chain(explore=0)
        request = bench.create(0, ALICE, "1", 2)
        bench.run()
        over = bench.now
        if cancels:
            for node in ENDS:
                bench.ask(over + CYCLE, node, service.Cancel(RequestId("alice/9")))
                bench.ask(over + CYCLE, node, service.Cancel(request))
        bench.create(over + 2 * CYCLE, BOB, "2")
        bench.run()
        said.append(bench.said)
    trial.expect("8.1-1", True, "")
    trial.expect("1.4-2", said[0] == said[1], f"without: {said[0]}, with: {said[1]}")


# ---------------------------------------------------------------- 1.5 deadlines


@shared("1.5-1", "1.5-2", "1.1-2", "2.1-1", "5.1-2")
def deadline_that_comes_too_early(trial: ServiceTrial) -> None:
    """Links without luck, and links with it that have too little time."""
    trial.needs("max_time")
    random = trial.random("deadline")
    for origin in ENDS:
        for dead in (True, False):
            limit = 12 * CYCLE + random.below(20 * CYCLE)
            bench = trial.chain()
            for source in bench.sources.values():
                source.dead = dead
            start = random.below(3 * CYCLE)
            request = bench.create(start, origin, "1", 2 if dead else 400, limit)
            bench.run()
            ends = [
                (at, what)
                for at, who, what in bench.said
                if who == origin and isinstance(what, (service.Err, service.RequestEnded))
            ]
            words = f"deadline {start + limit} ps: {origin} hears {ends}"
            refused_at_once = bool(ends) and code(ends[0][1]) in (
                ErrorCode.UNSUPP,
                ErrorCode.NOTIME,
            )
            right = len(ends) == 1 and ends[0][0] == start + limit
            right = right and code(ends[0][1]) == ErrorCode.TIMEOUT
            trial.expect("1.5-2", right or (refused_at_once and not dead), words)
            trial.expect("1.1-2", request in endings(bench, origin), f"{request} never ended")
            trial.audit(bench)


# ---------------------------------------------------------------- 2, 3 labels and kinds


@shared("2.3-1", "2.3-2", "2.1-2", "2.1-5", "6.1-3")
def every_label_for_every_wish(trial: ServiceTrial) -> None:
    """Links with random labels, swaps and steps with random outcomes, each final label."""
    for final in (None, (0, 0), (1, 0), (0, 1), (1, 1)):
        fields: dict[str, Any] = {"final": final}
        if not trial.offers(fields):
            continue
        for origin in ENDS:
            bench = trial.chain(middles=middles(trial), hold=lambda _node, _ok: 4 * CYCLE)
            bench.create(0, origin, "1", 6, **fields)
            trial.audit(bench.run())


@shared("3.1-1", "3.1-2", "3.1-3", "2.1-2")
def measured_pairs(trial: ServiceTrial) -> None:
    """Kinds M and R, in equal and in random bases."""
    trial.needs("M", "R")
    for kind in ("M", "R"):
        for choice in (SAME, ANY):
            fields: dict[str, Any] = {"kind": kind, "local": choice, "distant": choice}
            if not trial.offers(fields):
                continue
            for origin in ENDS:
                bench = trial.chain(middles=middles(trial))
                bench.create(0, origin, "1", 8, **fields)
                trial.audit(bench.run())
