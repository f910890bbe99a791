"""Invariants of the link service, checked on the record of a link: of a bench, or of a run's trace.

Theory
    *Safety* holds at every instant, whatever goes wrong: it is checked on a run that was stopped
    anywhere. *Liveness* holds at rest, when all that went wrong is over. A run checks one of both.
    Every check names its requirement and says whether the branch was reached at all. The rules are
    written once, for a :class:`~.record.Record`; who made it makes no difference to them.
Not modelled
    After a restart of an end its user has forgotten what it asked for; what it was told before stays
    in the record, and ids must not repeat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from qnet.ids import NodeId, PairId, RequestId
from qnet.layers import link as service
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.matter import PAULIS, odd
from qnet.testing.conformance.record import Record, of_bench

Check = Callable[[str, bool, str], None]
"""(requirement, whether it holds here, words if not)."""

ROUNDING: Final = 1e-9

CONTRACT: Final = (
    "QN-LINK-2.2-6",
    "QN-LINK-5.1-1",
    "QN-LINK-5.1-3",
    "QN-LINK-5.1-5",
    "QN-LINK-7.2-3",
    "QN-LINK-8.1-1",
    "QN-LINK-8.1-2",
)
"""What the bench itself checks at every step: reached as soon as a pair was announced."""

SAFETY: Final = (
    *CONTRACT,
    "QN-LINK-1.1-1",
    "QN-LINK-1.1-4",
    "QN-LINK-1.1-5",
    "QN-LINK-1.1-7",
    "QN-LINK-1.5-1",
    "QN-LINK-2.1-2",
    "QN-LINK-2.1-3",
    "QN-LINK-2.1-4",
    "QN-LINK-2.1-5",
    "QN-LINK-2.1-6",
    "QN-LINK-2.2-1",
    "QN-LINK-2.2-3",
    "QN-LINK-2.2-5",
    "QN-LINK-2.3-1",
    "QN-LINK-2.3-2",
    "QN-LINK-2.3-3",
    "QN-LINK-2.4-1",
    "QN-LINK-2.4-4",
    "QN-LINK-2.4-7",
    "QN-LINK-3.1-1",
    "QN-LINK-3.1-2",
    "QN-LINK-3.1-3",
    "QN-LINK-3.2-1",
    "QN-LINK-3.2-2",
    "QN-LINK-6.1-1",
    "QN-LINK-6.1-2",
    "QN-LINK-6.1-3",
    "QN-LINK-6.1-4",
)

LIVENESS: Final = (
    "QN-LINK-1.1-2",
    "QN-LINK-1.1-3",
    "QN-LINK-2.1-1",
    "QN-LINK-5.1-2",
    "QN-LINK-8.1-3",
)

_ENDINGS = (service.RequestEnded, service.Err)
_PAIRS = (service.Ok, service.OkMeasured)


TRUE: Final = 0.5
"""A state whose overlap with a Bell state is above this is closer to it than to any other."""


def safety(seen: Bench | Record, check: Check) -> None:
    """What must hold whenever a run is looked at."""
    record = seen if isinstance(seen, Record) else of_bench(seen, CONTRACT)
    pair_service(record, check)
    _corrections(record, check)
    _clicked(record, check)
    _truths(record, check)
    if any(record.heard(node, _PAIRS) for node in record.ends):
        for identifier in record.contract:
            check(identifier, True, "")


def pair_service(record: Record, check: Check) -> None:
    """What every pair service promises, whoever makes the pairs (decision 0010)."""
    for node in record.ends:
        _endings(record, node, check)
        _pairs(record, node, check)
        _expiries(record, node, check)
    _agreement(record, check)
    _whereabouts(record, check)


def liveness(seen: Bench | Record, check: Check) -> None:
    """What must hold at rest after everything that went wrong is over."""
    record = seen if isinstance(seen, Record) else of_bench(seen, CONTRACT)
    if record.left is None:
        return  # the record ends before everything was over
    ours, theirs = (_announced(record, node) for node in record.ends)
    if not record.restarted and (ours or theirs):
        odd_ones = sorted(ours ^ theirs)
        check("QN-LINK-2.1-1", not odd_ones, f"valid at one end only: {', '.join(odd_ones)}")
    for node in record.ends:
        if node in record.restarted:
            continue
        ended = {one.request for one in record.heard(node, _ENDINGS)}
        for request, origin in record.origin.items():
            if origin == node:
                check("QN-LINK-1.1-2", request in ended, f"{request} never ended at {node}")
        asked = {ok.request for ok in record.heard(node, _PAIRS) if not ok.origin}
        for request in sorted(asked):
            check("QN-LINK-1.1-3", request in ended, f"{request} never ended at {node}")
    for node in record.ends:
        words = record.left(node)
        check("QN-LINK-5.1-2", not words, words)
    check("QN-LINK-8.1-3", True, "")


def _announced(record: Record, node: NodeId) -> set[PairId]:
    """Pairs announced at ``node`` and not declared expired."""
    gone = {pair for one in record.heard(node, service.Expired) for pair in one.pairs}
    return {ok.pair for ok in record.heard(node, _PAIRS)} - gone


# ---------------------------------------------------------------- one end


def _endings(record: Record, node: NodeId, check: Check) -> None:
    counts = Counter(one.request for one in record.heard(node, _ENDINGS))
    for request, count in counts.items():
        check("QN-LINK-1.1-1", count == 1, f"{request} ended {count} times at {node}")
    over: set[RequestId] = set()
    valid: dict[RequestId, set[PairId]] = {}
    for at, who, what in record.said:
        if who != node:
            continue
        _naming(record, node, what, check)
        match what:
            case service.Ok() | service.OkMeasured():
                words = f"{what.pair} at {node} after its request had ended, at {at} ps"
                check("QN-LINK-1.1-4", what.request not in over, words)
                valid.setdefault(what.request, set()).add(what.pair)
            case service.Expired():
                valid.get(what.request, set()).difference_update(what.pairs)
            case service.RequestEnded():
                over.add(what.request)
                count = len(valid.get(what.request, ()))
                words = f"{what.request} at {node}: says {what.delivered}, announced {count}"
                check("QN-LINK-1.1-5", what.delivered == count, words)
                none = f"{what.request} at {node}: RequestEnded without a pair"
                check("QN-LINK-2.4-7", what.cancelled or what.delivered > 0, none)
            case service.Err():
                over.add(what.request)


def _naming(record: Record, node: NodeId, what: Any, check: Check) -> None:
    create = record.wanted.get(what.request)
    if create is None:
        check("QN-LINK-1.1-7", False, f"{node} hears of {what.request}, which nobody asked for")
        return
    if isinstance(what, service.Err) and what.code == service.ErrorCode.CREATE:
        return
    origin = record.origin[what.request] == node
    said = getattr(what, "origin", origin)
    right = said == origin and what.remote == record.other(node) and what.purpose == create.purpose
    check("QN-LINK-1.1-7", right, f"{node} hears {what!r} of {create!r}")


def _pairs(record: Record, node: NodeId, check: Check) -> None:
    seen: dict[PairId, Any] = {}
    last: dict[RequestId, int] = {}
    batches: dict[RequestId, list[int]] = {}
    for at, who, ok in record.said:
        if who != node or not isinstance(ok, _PAIRS):
            continue
        create = record.wanted.get(ok.request)
        if create is None:
            continue
        check("QN-LINK-2.1-4", ok.pair not in seen, f"{ok.pair} was announced twice at {node}")
        seen[ok.pair] = ok
        before = last.get(ok.request, 0)
        words = f"{ok.request} at {node}: index {ok.index} after {before}, of {create.number}"
        check("QN-LINK-2.2-1", before < ok.index <= create.number, words)
        last[ok.request] = ok.index
        if create.max_time:
            deadline = ok.requested_at + create.max_time
            check("QN-LINK-1.5-1", at <= deadline, f"{ok.pair} at {node} at {at}, after {deadline}")
        flight = record.plan.flights[record.plan.ends.index(node)]
        words = f"{ok.pair} at {node} at {at} ps, clicked at {ok.created_at} ps"
        check("QN-LINK-2.2-5", at >= ok.created_at + flight, words)
        measured = isinstance(ok, service.OkMeasured)
        wanted = create.kind == "M" or (create.kind == "R" and ok.origin)
        words = f"{ok.pair} of kind {create.kind} at {node} came as {type(ok).__name__} {ok.kind}"
        check("QN-LINK-3.1-1", measured == wanted and ok.kind == create.kind, words)
        if isinstance(ok, service.Ok):
            _kept(record, node, at, ok, create, check)
            if create.atomic:
                batches.setdefault(ok.request, []).append(at)
        else:
            choice = create.local if ok.origin else create.distant
            words = f"{ok.pair} at {node} was read in {ok.basis}, wanted {choice.bases}"
            check("QN-LINK-3.1-3", ok.basis in choice.bases, words)
        _claim(record, node, ok, create, check)
    for request, times in batches.items():
        whole = len(set(times)) == 1 and len(times) == record.wanted[request].number
        check("QN-LINK-3.2-2", whole, f"{request} at {node}: handed up at {times}")


def _kept(
    record: Record, node: NodeId, at: int, ok: service.Ok, create: service.Create, check: Check
) -> None:
    words = f"{ok.pair} at {node} at {at} ps, goodness of {ok.goodness_at} ps"
    check("QN-LINK-2.2-3", ok.goodness_at == at, words)
    if create.final is not None:
        words = f"{ok.pair} at {node}: {ok.label}, wanted {create.final}"
        check("QN-LINK-2.3-2", ok.label == create.final, words)
    if create.store or create.atomic:
        words = f"{ok.pair} at {node} is in slot {ok.slot}"
        check("QN-LINK-3.2-1", record.in_memory(node, ok.slot), words)


def _claim(record: Record, node: NodeId, ok: Any, create: service.Create, check: Check) -> None:
    estimate = record.plan.estimate
    most = estimate.goodness + estimate.goodness_error + ROUNDING
    words = f"{ok.pair} at {node} claims {ok.goodness} + {ok.goodness_error}, the link {most}"
    check(
        "QN-LINK-6.1-1",
        ok.goodness + ok.goodness_error <= most or ok.goodness <= estimate.goodness + ROUNDING,
        words,
    )
    if isinstance(ok, service.Ok):
        total = (1.0 + sum(ok.correlators)) / 4.0
        words = f"{ok.pair} at {node}: goodness {ok.goodness}, correlators give {total}"
        check("QN-LINK-6.1-3", abs(total - ok.goodness) <= ROUNDING, words)
        if not (create.store or create.atomic):
            words = f"{ok.pair} at {node} claims {ok.goodness} for >= {create.minimum_fidelity}"
            check("QN-LINK-6.1-2", ok.goodness >= create.minimum_fidelity - ROUNDING, words)


def _expiries(record: Record, node: NodeId, check: Check) -> None:
    announced: dict[PairId, RequestId] = {}
    gone: set[PairId] = set()
    for _, who, what in record.said:
        if who != node:
            continue
        if isinstance(what, service.Early):
            announced[what.token] = what.request
        elif isinstance(what, _PAIRS):
            announced[what.pair] = what.request
        elif isinstance(what, service.Expired):
            right = all(announced.get(pair) == what.request for pair in what.pairs)
            once = not gone & set(what.pairs) and len(set(what.pairs)) == len(what.pairs) > 0
            check("QN-LINK-2.4-1", right and once, f"{node} hears {what!r}")
            gone |= set(what.pairs)


# ---------------------------------------------------------------- both ends


def both(record: Record) -> Iterator[tuple[Any, Any]]:
    """What both ends heard of each pair that both announced, valid or not."""
    first, second = (
        {ok.pair: ok for ok in reversed(record.heard(node, _PAIRS))} for node in record.ends
    )
    for pair in first:
        if pair in second:
            yield first[pair], second[pair]


def _agreement(record: Record, check: Check) -> None:
    for ok, twin in both(record):
        pair = ok.pair
        check("QN-LINK-2.1-2", ok.label == twin.label, f"{pair}: {ok.label} and {twin.label}")
        ours, theirs = (ok.request, ok.index, ok.kind), (twin.request, twin.index, twin.kind)
        same = ours == theirs and ok.origin != twin.origin
        check("QN-LINK-2.1-3", same, f"{pair}: {ours}, {ok.origin} and {theirs}, {twin.origin}")
        times = (ok.created_at, ok.requested_at), (twin.created_at, twin.requested_at)
        check("QN-LINK-2.1-6", times[0] == times[1], f"{pair}: {times[0]} and {times[1]}")
        claims = (ok.goodness, ok.goodness_error), (twin.goodness, twin.goodness_error)
        at = getattr(ok, "goodness_at", 0), getattr(twin, "goodness_at", 0)
        if at[0] == at[1]:
            alike = all(abs(a - b) <= ROUNDING for a, b in zip(*claims, strict=True))
            check("QN-LINK-6.1-4", alike, f"{pair}: {claims[0]} and {claims[1]}")
        measured = isinstance(ok, service.OkMeasured) and isinstance(twin, service.OkMeasured)
        if measured and ok.basis == twin.basis in PAULIS and not record.noisy:
            right = ok.outcome ^ twin.outcome == odd(ok.label, ok.basis)
            words = f"{pair} {ok.label} in {ok.basis}: {ok.outcome} and {twin.outcome}"
            check("QN-LINK-3.1-2", right, words)


def _whereabouts(record: Record, check: Check) -> None:
    """What is known of physical pairs: which one was announced, in which state, and who corrected it."""
    if record.whereabouts is None:
        return
    physical: dict[int, PairId] = {}
    first, second = record.ends
    for ok, twin in both(record):
        if not (isinstance(ok, service.Ok) and isinstance(twin, service.Ok)):
            continue
        ours = record.whereabouts.get((first, ok.pair))
        theirs = record.whereabouts.get((second, ok.pair))
        same = ours is not None and theirs is not None and ours.pair == theirs.pair
        check("QN-LINK-2.1-5", same, f"{ok.pair}: physical pairs {ours} and {theirs}")
        if not same or ours is None or theirs is None:
            continue
        last = max(ours, theirs, key=lambda one: one.at)
        words = f"{ok.pair}: announced as {ok.label}, is {last.label}"
        check("QN-LINK-2.3-1", last.label == ok.label, words)
        twice = physical.setdefault(ours.pair, ok.pair) != ok.pair
        check("QN-LINK-2.1-4", not twice, f"one pair is {ok.pair} and {physical[ours.pair]}")


def _corrections(record: Record, check: Check) -> None:
    if record.corrected is None:
        return
    owner = _owners(record)
    for node, run in record.corrected:
        origin = owner.get(run)
        if origin is not None:
            words = f"{node}, the peer, applies a Pauli gate to its half of pair {run}"
            check("QN-LINK-2.3-3", node == origin, words)
    for click in record.clicks:
        if click.label != (0, 0) and click.run in owner:
            check("QN-LINK-2.3-3", True, "")


def _clicked(record: Record, check: Check) -> None:
    """Pairs are those of the clicks; measured ones are announced with the label of theirs."""
    clicked = {one.at: one.label for one in record.clicks}
    for node in record.ends:
        for ok in record.heard(node, _PAIRS):
            label = clicked.get(ok.created_at)
            check("QN-LINK-2.1-6", label is not None, f"{ok.pair}: no click at {ok.created_at} ps")
            if label is not None and isinstance(ok, service.OkMeasured):
                words = f"{ok.pair} at {node}: announced as {ok.label}, was {label}"
                check("QN-LINK-2.3-1", ok.label == label, words)
    for node, clicked_at in record.late:
        announced = [ok.pair for ok in record.heard(node, _PAIRS) if ok.created_at == clicked_at]
        words = f"{announced} at {node}, whose attempts were given up before {clicked_at} ps"
        check("QN-LINK-2.4-4", not announced, words)


def _truths(record: Record, check: Check) -> None:
    """Delivered pairs are in the announced state, as good as was claimed."""
    for one in record.truths:
        words = f"{one.pair}: claimed {one.goodness} +- {one.goodness_error}, is {one.fidelity} in truth"
        right = abs(one.fidelity - one.goodness) <= one.goodness_error + ROUNDING
        check("QN-LINK-6.1-5", right, words)
        if one.goodness - one.goodness_error > TRUE:
            check("QN-LINK-2.3-1", one.fidelity > TRUE, words)


def _owners(record: Record) -> dict[int, NodeId]:
    """Click -> origin of the request under which its pair was announced."""
    clicked = {one.at: one.run for one in record.clicks}
    found: dict[int, NodeId] = {}
    for node in record.ends:
        for ok in record.heard(node, service.Ok):
            run = clicked.get(ok.created_at)
            if run is not None and ok.kind == "K":
                found.setdefault(run, node if ok.origin else record.other(node))
    return found
