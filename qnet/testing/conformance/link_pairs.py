"""Cases of the link layer: labels, corrections, lost and late heralds, claims (sections 2 and 6)."""

from __future__ import annotations

from typing import Any, Final

from qnet.layers import link as service
from qnet.testing.conformance import audit
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.case import BOTH, ENDS, PAIRS, Trial, case, code, delivered, endings
from qnet.testing.conformance.faults import ALICE, BOB, STATION, MessageFault, Plan
from qnet.testing.conformance.link_requests import CLICK, DIRECT, quick
from qnet.testing.conformance.stage import CYCLE, FLIGHTS, other
from qnet.units import Duration

SOON: Final = 2_000 * CYCLE
"""Until then a link has come over some lost heralds: a thousand mean times of a pair."""
FINALS: Final = (None, (0, 0), (1, 0), (0, 1), (1, 1))


def lose(source: Any, target: Any, *numbers: int) -> Plan:
    """The given messages of a channel are lost."""
    return tuple(MessageFault("lose", source, target, nth) for nth in numbers)


def late(source: Any, target: Any, nth: int, by: int) -> Plan:
    """One message of a channel comes ``by`` later."""
    return (MessageFault("delay", source, target, nth, Duration(by)),)


# ---------------------------------------------------------------- 2.3 labels


@case("QN-LINK-2.3-1", "QN-LINK-2.3-2", "QN-LINK-2.3-3", "QN-LINK-2.1-2", once=True)
def every_label_for_every_wish(trial: Trial) -> None:
    """Each heralded Bell label, each final one, from either end, in memory or not."""
    for origin in ENDS:
        for final in FINALS:
            for store in (False, True):
                fields: dict[str, Any] = {"final": final, "store": store}
                if not trial.offers(fields):
                    continue
                bench = quick(trial, memory=(1, 1))
                bench.create(0, origin, "1", 4, **fields)
                bench.run()
                audit.safety(bench, trial.check)


@case(
    "QN-LINK-6.1-1", "QN-LINK-6.1-2", "QN-LINK-6.1-3", "QN-LINK-6.1-4", "QN-LINK-3.2-1", once=True
)
def claims_of_fresh_and_stored_pairs(trial: Trial) -> None:
    """Pairs straight from the link, stored ones, and batches that wait for their last pair."""
    for fields in (
        {},
        {"store": True},
        {"atomic": True},
        {"minimum_fidelity": 0.94},
        {"kind": "M"},
    ):
        if not trial.offers(fields):
            continue
        bench = quick(trial, memory=(4, 4))
        bench.create(0, ALICE, "1", 3, **fields)
        bench.create(0, BOB, "2", 2, **fields)
        bench.run()
        audit.safety(bench, trial.check)


# ---------------------------------------------------------------- 2.4 lost and late heralds

_LOST: Final = (
    "QN-LINK-2.4-2",
    "QN-LINK-2.4-5",
    "QN-LINK-2.1-1",
    "QN-LINK-1.1-5",
    "QN-LINK-2.4-1",
    "QN-LINK-5.1-2",
    "QN-LINK-1.1-2",
    "QN-LINK-1.1-3",
)


@case(*_LOST, once=True)
def herald_that_one_end_misses(trial: Trial) -> None:
    """The n-th herald is lost on its way to one end; the pair is void, the others are made."""
    for deaf in ENDS:
        for nth in (1, 2, 3):
            for fields in ({}, {"store": True}, {"kind": "M", "local": BOTH, "distant": BOTH}):
                if not trial.offers(fields):
                    continue
                bench = quick(trial, faults=lose(STATION, deaf, nth), memory=(2, 2))
                bench.create(0, ALICE, "1", 3, **fields)
                bench.run()
                where = f"herald {nth} lost to {deaf}, {fields or 'K'}"
                _one_is_void(trial, bench, where)


def _one_is_void(trial: Trial, bench: Bench, where: str) -> None:
    ours, theirs = (bench.announced(node) for node in ENDS)
    differ = sorted(ours.keys() ^ theirs.keys())
    trial.check("QN-LINK-2.4-2", not differ, f"{where}: {differ} valid at one end only")
    trial.check("QN-LINK-2.4-5", len(ours) >= 2, f"{where}: {len(ours)} of 3 pairs are valid")
    audit.safety(bench, trial.check)
    audit.liveness(bench, trial.check)


@case("QN-LINK-2.4-7", "QN-LINK-1.1-2", "QN-LINK-1.1-3", "QN-LINK-2.1-1", once=True)
def only_herald_is_missed(trial: Trial) -> None:
    """A request for one pair whose herald reaches one end: Err at the other."""
    for deaf in ENDS:
        for origin in ENDS:
            bench = quick(trial, faults=lose(STATION, deaf, 1))
            request = bench.create(0, origin, "1")
            bench.run()
            ended = endings(bench, deaf).get(request)
            words = f"herald lost to {deaf}: {request} ended there with {ended!r}"
            trial.check("QN-LINK-2.4-7", code(ended) is not None, words)
            audit.safety(bench, trial.check)
            audit.liveness(bench, trial.check)


@case("QN-LINK-2.4-3", "QN-LINK-2.1-1", "QN-LINK-1.1-2", "QN-LINK-8.1-3")
def expiry_whose_messages_are_lost(trial: Trial) -> None:
    """After a herald was missed, some of the next messages between the ends are lost, both ways."""
    random = trial.random("losses")
    deaf = ENDS[random.below(2)]
    lost: Plan = lose(STATION, deaf, 1 + random.below(2))
    for source in ENDS:
        first = 2 + random.below(2)
        lost += lose(source, other(source), *range(first, first + 1 + random.below(4)))
    bench = quick(trial, faults=lost)
    bench.create(0, ENDS[random.below(2)], "1", 3)
    bench.run()
    ours, theirs = (bench.announced(node).keys() for node in ENDS)
    words = f"valid at one end only: {sorted(ours ^ theirs)}"
    if any(bench.heard(node, PAIRS) for node in ENDS):
        trial.check("QN-LINK-2.4-3", ours == theirs, words)
    audit.safety(bench, trial.check)
    audit.liveness(bench, trial.check)


@case("QN-LINK-2.4-3", "QN-LINK-2.1-1", "QN-LINK-1.4-1", "QN-LINK-1.1-3", "QN-LINK-1.1-2")
def cancel_whose_messages_are_lost(trial: Trial) -> None:
    """The peer cancels when a pair is delivered at one end only; its messages are lost at first."""
    random = trial.random("losses")
    deaf, canceller = ENDS[random.below(2)], ENDS[random.below(2)]
    lost = lose(STATION, deaf, 1)
    for source in ENDS:
        lost += lose(source, other(source), *range(2, 3 + random.below(3)))
    bench = quick(trial, faults=lost)
    request = bench.create(0, ALICE, "1", 5)
    bench.ask(CLICK + 2 * DIRECT + random.below(CYCLE), canceller, service.Cancel(request))
    bench.run()
    ours, theirs = (bench.announced(node).keys() for node in ENDS)
    if any(bench.heard(node, PAIRS) for node in ENDS):
        words = f"valid at one end only: {sorted(ours ^ theirs)}"
        trial.check("QN-LINK-2.4-3", ours == theirs, words)
    for node in ENDS:
        ended = endings(bench, node).get(request)
        words = f"{canceller} cancelled {request}: ended at {node} with {ended!r}"
        trial.check("QN-LINK-1.4-1", ended is not None, words)
    audit.safety(bench, trial.check)
    audit.liveness(bench, trial.check)


@case("QN-LINK-2.4-4", "QN-LINK-2.1-1", "QN-LINK-2.1-5", "QN-LINK-2.4-2", once=True)
def herald_that_comes_late(trial: Trial) -> None:
    """The herald to one end comes after the common instant, or after the attempts were given up."""
    for slow in ENDS:
        for by in (300_001, CYCLE, 4 * CYCLE, 10 * CYCLE):
            for cancels in (False, True):
                bench = quick(trial, faults=late(STATION, slow, 1, by))
                request = bench.create(0, ALICE, "1", 3)
                if cancels:
                    at = CLICK + max(FLIGHTS) + by // 2
                    bench.ask(at, slow, service.Cancel(request))
                bench.run()
                ours, theirs = (bench.announced(node).keys() for node in ENDS)
                where = f"herald {by} ps late at {slow}"
                differ = f"{where}: {sorted(ours ^ theirs)} valid at one end only"
                trial.check("QN-LINK-2.4-2", ours == theirs, differ)
                audit.safety(bench, trial.check)
                audit.liveness(bench, trial.check)


@case("QN-LINK-2.4-4", "QN-LINK-2.1-4", "QN-LINK-2.1-5", "QN-LINK-5.1-2", once=True)
def herald_for_attempts_that_were_given_up(trial: Trial) -> None:
    """A cancel meets the photons under way: the click belongs to nobody, and the next request goes on."""
    for canceller in ENDS:
        for before in (1, 1_000_000, 2_900_000, 4_900_000):
            bench = quick(trial)
            request = bench.create(0, ALICE, "1", 2)
            bench.create(1, BOB, "2", 2)
            bench.ask(CLICK - before, canceller, service.Cancel(request))
            bench.run()
            audit.safety(bench, trial.check)
            audit.liveness(bench, trial.check)


@case("QN-LINK-2.4-6", "QN-LINK-2.1-1", "QN-LINK-1.1-2", "QN-LINK-2.1-4")
def gap_in_the_sequence(trial: Trial) -> None:
    """Some heralds in a row are lost to both ends; service goes on, with other ids."""
    random = trial.random("gap")
    first, gap = 1 + random.below(3), 1 + random.below(3)
    numbers = range(first, first + gap)
    faults = lose(STATION, ALICE, *numbers) + lose(STATION, BOB, *numbers)
    bench = quick(trial, faults=faults)
    request = bench.create(0, ENDS[random.below(2)], "1", 3)
    after = bench.create(0, ENDS[random.below(2)], "2", 2)
    bench.run(SOON)
    for node in ENDS:
        ended = endings(bench, node)
        for one in (request, after):
            words = f"heralds {list(numbers)} lost: {one} ended at {node} with {ended.get(one)!r}"
            trial.check("QN-LINK-2.4-6", delivered(ended.get(one)) >= 1, words)
    bench.run()
    audit.safety(bench, trial.check)
    audit.liveness(bench, trial.check)
