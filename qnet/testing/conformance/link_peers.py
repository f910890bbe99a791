"""Cases of the link layer: slots, silent and restarted peers, messages, the machine (sections 5, 7, 8)."""

from __future__ import annotations

from typing import Any, Final

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import NodeId
from qnet.layers import link as service
from qnet.layers.link import ErrorCode
from qnet.machine import Received, Requested
from qnet.testing.conformance import audit
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.case import ENDS, Trial, case, code, delivered, endings
from qnet.testing.conformance.faults import ALICE, BOB, STATION, NodeFault
from qnet.testing.conformance.link_random import random_bench
from qnet.testing.conformance.link_requests import DIRECT, quick
from qnet.testing.conformance.stage import CYCLE, other
from qnet.units import Instant

FOR_EVER: Final = Instant(10**15)
"""End of a partition that outlasts the run."""
BOUNDED: Final = 10**13
"""Ten simulated seconds, a hundred thousand mean times of a pair."""


# ---------------------------------------------------------------- 5 slots


@case("QN-LINK-5.1-4", "QN-LINK-5.1-2", "QN-LINK-2.1-1")
def node_without_a_free_slot(trial: Trial) -> None:
    """The slots of one end are taken by somebody else for a while, or kept by its user."""
    random = trial.random("slots")
    node = ENDS[random.below(2)]
    start, long = random.below(10 * CYCLE), CYCLE + random.below(30 * CYCLE)
    faults = (NodeFault("full", node, Instant(start), Instant(start + long)),)
    for options in ({"faults": faults}, {"hold": lambda who, _ok: long // 4 if who == node else 1}):
        bench = trial.bench(memory=(1, 1), **options)
        names = {
            bench.create(0, ALICE, "1", 3): 3,
            bench.create(0, BOB, "2", 2, **trial.wish(store=True)): 2,
            bench.create(start, BOB, "3", 1): 1,
        }
        bench.run()
        for end in ENDS:
            ended = endings(bench, end)
            for request, number in names.items():
                got = ended.get(request)
                words = f"{node} has no slot for {long} ps: {request} ended at {end} with {got!r}"
                trial.check("QN-LINK-5.1-4", delivered(got) == number, words)
        audit.safety(bench, trial.check)
        audit.liveness(bench, trial.check)


@case("QN-LINK-5.1-2", "QN-LINK-5.1-1", "QN-LINK-5.1-3")
def slot_that_comes_after_the_end(trial: Trial) -> None:
    """A request is cancelled or times out while its slots are asked for, attempted with or measured."""
    random = trial.random("slots")
    for fields in ({}, {"store": True}, {"kind": "M"}, {"atomic": True}, {"kind": "R"}):
        node = ENDS[random.below(2)]
        start = random.below(4 * CYCLE)
        faults = (NodeFault("full", node, Instant(start), Instant(start + 8 * CYCLE)),)
        limit = 6 * CYCLE + random.below(8 * CYCLE) if random.uniform() < 0.5 else 0
        limit, fields = trial.limit(limit), trial.wish(**fields)
        bench = trial.bench(memory=(3, 3), faults=faults)
        request = bench.create(0, ALICE, "1", 3, limit, **fields)
        bench.ask(start + random.below(9 * CYCLE), ENDS[random.below(2)], service.Cancel(request))
        bench.run()
        for identifier in ("QN-LINK-5.1-1", "QN-LINK-5.1-3"):
            trial.check(identifier, True, "")
        audit.safety(bench, trial.check)
        audit.liveness(bench, trial.check)


# ---------------------------------------------------------------- 7 peers


@case("QN-LINK-7.1-1", "QN-LINK-7.1-2", "QN-LINK-2.1-4", "QN-LINK-5.1-2", "QN-LINK-1.1-2")
def peer_that_restarts(trial: Trial) -> None:
    """One end loses its memory among open requests of both; afterwards both ask again."""
    random = trial.random("restart")
    lost = ENDS[random.below(2)]
    survivor = other(lost)
    bench = trial.bench(memory=(4, 4))
    shared = [
        bench.create(0, ALICE, "1", 60),
        bench.create(0, BOB, "2", 60, **trial.wish(store=True)),
    ]
    start = 5 * DIRECT + random.below(20 * CYCLE)
    end = start + random.below(3 * CYCLE)
    bench.later(start, lambda: bench.crash(lost))
    bench.later(end, lambda: bench.back(lost))
    again = [bench.create(end + 5 * DIRECT + 20 * CYCLE, node, "3", 2) for node in ENDS]
    bench.run()
    ended = endings(bench, survivor)
    for request in shared:
        words = f"{lost} restarted: {request} ended at {survivor} with {ended.get(request)!r}"
        trial.check("QN-LINK-7.1-1", code(ended.get(request)) == ErrorCode.OTHER, words)
    for request in again:
        for node in ENDS:
            got = endings(bench, node).get(request)
            words = f"{lost} restarted: {request} of later ended at {node} with {got!r}"
            trial.check("QN-LINK-7.1-2", delivered(got) == 2, words)
    audit.safety(bench, trial.check)
    audit.liveness(bench, trial.check)


@case("QN-LINK-7.1-3", "QN-LINK-1.1-2", "QN-LINK-8.1-3", "QN-LINK-5.1-2", once=True)
def peer_that_never_answers_again(trial: Trial) -> None:
    """The peer is cut off for ever: before the agreement, during it, among attempts, for some kinds."""
    allowed = (ErrorCode.OTHER, ErrorCode.TIMEOUT, ErrorCode.EXPIRE)
    for origin in ENDS:
        for start in (0, DIRECT + 1, 2 * DIRECT + 1, 6 * CYCLE):
            for limit in (0, trial.limit(30 * CYCLE)):
                gone = NodeFault("partition", other(origin), Instant(start), FOR_EVER)
                bench = trial.bench(faults=(gone,))
                request = bench.create(0, origin, "1", 500 if not limit else 2, limit)
                bench.matter.luck.success = lambda run: 1 if run < 3 else 400
                bench.run(BOUNDED)
                ended = endings(bench, origin).get(request)
                words = f"{other(origin)} cut off at {start} ps: {request} ended with {ended!r}"
                fine = code(ended) in allowed or delivered(ended) == 2
                trial.check("QN-LINK-7.1-3", fine, words)
                trial.check("QN-LINK-1.1-2", ended is not None, words)
                held = [who for who in bench.nodes[origin].slots.values() if who]
                trial.check("QN-LINK-5.1-2", not held, f"{words}; slots held by {held}")
                trial.check("QN-LINK-8.1-3", bench.at_rest, f"{words}; not at rest")


# ---------------------------------------------------------------- 7.2 messages


@case("QN-LINK-7.2-1")
def every_message_twice(trial: Trial) -> None:
    """Each message arrives twice at once: the users hear what they hear without it."""
    said: list[Any] = []
    for copies in ((0,), (0, 0)):
        bench = _plain(trial, fate=lambda *_, copies=copies: copies)
        said.append(bench.said)
    words = next((f"{a!r} / {b!r}" for a, b in zip(*said, strict=False) if a != b), "one is longer")
    trial.check("QN-LINK-7.2-1", said[0] == said[1], f"once / twice: {words}")


def _plain(trial: Trial, **options: Any) -> Bench:
    random = trial.random("plain")
    bench = trial.bench(memory=(2, 2), explore=0, **options)
    for k in range(3):
        fields = ({}, {"store": True}, {"kind": "M"}, {"max_time": 60 * CYCLE})[random.below(4)]
        wish = trial.wish(**fields)
        bench.create(random.below(4 * CYCLE), ENDS[k % 2], str(k), 2, **wish)
    return bench.run()


@case("QN-LINK-7.2-2", once=True)
def message_from_a_stranger(trial: Trial) -> None:
    """What the peer says in an undisturbed run is said by the station."""
    bench = quick(trial)
    bench.create(0, ALICE, "1", 2)
    bench.create(0, BOB, "2", 1, trial.limit(60 * CYCLE))
    cancelled = bench.create(0, BOB, "3", 50)
    bench.ask(30 * CYCLE, ALICE, service.Cancel(cancelled))
    bench.run()
    kinds: dict[tuple[str, NodeId], Any] = {}
    for _, source, target, message in bench.sent:
        if STATION not in (source, target):
            kinds.setdefault((message.kind, target), message)
    for (kind, target), message in kinds.items():
        machine = bench.nodes[target].machines["link"]
        before = machine.state
        event = Received(STATION, kind, message, Instant(bench.now))
        raised: Exception | None = None
        try:
            machine.handle(event, Instant(bench.now))
        except Exception as error:
            raised = error
        refused = isinstance(raised, RemoteProtocolError) and machine.state == before
        words = f"{kind} from {STATION} at {target}: raised {raised!r}"
        trial.check("QN-LINK-7.2-2", refused, words)


# ---------------------------------------------------------------- 8 the machine


@case("QN-LINK-8.1-4", profiles=("clean", "mixed"))
def same_inputs_same_effects(trial: Trial) -> None:
    """The same run twice: the same messages, the same answers, the same instants."""
    first, second = (random_bench(trial).run() for _ in range(2))
    same = (first.sent, first.said) == (second.sent, second.said)
    words = next(
        (f"{a!r} / {b!r}" for a, b in zip(first.sent, second.sent, strict=False) if a != b),
        "one run is longer",
    )
    trial.check("QN-LINK-8.1-4", same, words)


@case("QN-LINK-8.1-5", once=True)
def request_id_that_was_used(trial: Trial) -> None:
    """The same CREATE again while it is open, and when it is over."""
    bench = quick(trial)
    request = bench.create(0, ALICE, "1", 2)
    for until in (CYCLE // 2, FOR_EVER):
        bench.run(until)
        machine = bench.nodes[ALICE].machines["link"]
        before = machine.state
        raised: Exception | None = None
        try:
            machine.handle(Requested(bench.wanted[request], "app"), Instant(bench.now))
        except Exception as error:
            raised = error
        refused = isinstance(raised, LocalProtocolError) and machine.state == before
        trial.check(
            "QN-LINK-8.1-5", refused, f"{request} again at {bench.now} ps: raised {raised!r}"
        )
