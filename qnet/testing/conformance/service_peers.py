"""Cases of purification and networks: slots, claims, silent and restarted nodes, messages (sections 5 to 8)."""

from __future__ import annotations

from typing import Any, Final

from qnet.errors import RemoteProtocolError
from qnet.layers import link as service
from qnet.layers.link import ErrorCode
from qnet.machine import Received
from qnet.testing.conformance.case import ENDS, code, delivered, endings
from qnet.testing.conformance.chain import FRESH, NOISY, WORN, Chain, Claim
from qnet.testing.conformance.faults import ALICE, BOB, NodeFault
from qnet.testing.conformance.service_requests import WISHES, middles, random_chain
from qnet.testing.conformance.services import DIRECT, ServiceTrial, judge_claims, shared
from qnet.testing.conformance.stage import CYCLE, other
from qnet.units import Instant

FOR_EVER: Final = Instant(10**15)
"""End of a partition that outlasts the run."""
BOUNDED: Final = 10**13
"""Ten simulated seconds, a hundred thousand mean times of a pair."""


@shared("5.1-4", "5.1-2", "2.1-1")
def node_without_a_free_slot(trial: ServiceTrial) -> None:
    """The slots of one node are taken by somebody else for a while, or kept by its user."""
    random = trial.random("slots")
    row = middles(trial)
    for keeps in (False, True):
        start, long = random.below(10 * CYCLE), CYCLE + random.below(30 * CYCLE)
        bench = trial.chain(middles=row)
        node = ENDS[random.below(2)] if keeps else bench.row[random.below(len(bench.row))]
        fault = NodeFault("full", node, Instant(start), Instant(start + long))
        options: dict[str, Any] = {"faults": (fault,)}
        if keeps:
            options = {"hold": lambda who, _ok, node=node, long=long: long // 4 * (who == node)}
        bench = trial.chain(middles=row, expiry_prob=0.0, **options)
        names = {
            bench.create(0, ALICE, "1", 3): 3,
            bench.create(start, BOB, "2", 2): 2,
        }
        bench.run()
        for end in ENDS:
            for request, number in names.items():
                got = endings(bench, end).get(request)
                words = f"{node} has no slot for {long} ps: {request} ended at {end} with {got!r}"
                trial.expect("5.1-4", delivered(got) == number, words)
        trial.audit(bench)


# ---------------------------------------------------------------- 6 claims

CLAIM_LOOKS: Final = 16
CLAIM_PAIRS: Final = 40
RESOLUTION: Final = 0.15
"""Mean error of the claims that is found."""


@shared("6.1-5", once=True)
def claims_of_many_pairs(trial: ServiceTrial) -> None:
    """Worn pairs, dephasing memories, noisy gates: how often is the announced label right?"""
    claims: list[Claim] = []
    for look in range(CLAIM_LOOKS):
        bench = _noisy(trial, look)
        claims += bench.claims
        if judge_claims(
            claims,
            lambda fine, words: trial.expect("6.1-5", fine, words),
            resolution=RESOLUTION,
            looks=CLAIM_LOOKS,
        ):
            return


def _noisy(trial: ServiceTrial, look: int) -> Chain:
    random = trial.random(f"claims:{look}")
    uniform = random.uniform  # numbers of a bench of its own
    bench = trial.chain(
        uniform=lambda _purpose: uniform(),
        correlators=WORN if trial.layer == "purify" else FRESH,
        platform=NOISY,
        hold=lambda _node, _ok: 4 * CYCLE,
    )
    bench.create(0, ENDS[look % 2], "1", CLAIM_PAIRS)
    return bench.run()


# ---------------------------------------------------------------- 7 peers


@shared("7.1-1", "7.1-2", "2.1-4", "5.1-2", "1.1-2")
def end_that_restarts(trial: ServiceTrial) -> None:
    """One end loses its memory among open requests of both; afterwards both ask again."""
    random = trial.random("restart")
    lost = ENDS[random.below(2)]
    survivor = other(lost)
    bench = trial.chain(middles=middles(trial), expiry_prob=0.0)
    shared_ones = [bench.create(0, node, str(k), 60) for k, node in enumerate(ENDS)]
    start = 40 * DIRECT + random.below(20 * CYCLE)
    end = start + random.below(3 * CYCLE)
    bench.later(start, lambda: bench.crash(lost))
    bench.later(end, lambda: bench.back(lost))
    later = [end + k * (60 * DIRECT + 40 * CYCLE) for k in (1, 2, 3)]
    asked = [[bench.create(then, node, str(then), 2) for then in later] for node in ENDS]
    again = [mine[-1] for mine in asked]  # the first ones may meet old news of the restart
    bench.run()
    ended = endings(bench, survivor)
    for request in shared_ones:
        got = ended.get(request)
        words = f"{lost} restarted: {request} ended at {survivor} with {got!r}"
        trial.expect("7.1-1", code(got) == ErrorCode.OTHER, words)
    for request in again:
        for node in ENDS:
            got = endings(bench, node).get(request)
            words = f"{lost} restarted: {request} of later ended at {node} with {got!r}"
            trial.expect("7.1-2", delivered(got) == 2, words)
    trial.audit(bench)


@shared("7.1-3", "1.1-2", "8.1-3", "5.1-2", once=True)
def end_that_never_answers_again(trial: ServiceTrial) -> None:
    """The peer is cut off for ever: before the agreement, during it, among pairs."""
    allowed = (ErrorCode.OTHER, ErrorCode.TIMEOUT, ErrorCode.EXPIRE)
    for origin in ENDS:
        for start in (0, DIRECT + 1, 3 * DIRECT + 1, 8 * DIRECT, 40 * DIRECT, 20 * CYCLE):
            for limit in {0, trial.limit(100 * CYCLE)}:
                gone = NodeFault("partition", other(origin), Instant(start), FOR_EVER)
                bench = trial.chain(faults=(gone,))
                for source in bench.sources.values():
                    bench.later(start + 20 * CYCLE, source.fall_silent)
                request = bench.create(0, origin, "1", 500, limit)
                bench.run(BOUNDED)
                ended = endings(bench, origin).get(request)
                words = f"{other(origin)} cut off at {start} ps: {request} ended with {ended!r}"
                trial.expect("7.1-3", code(ended) in allowed, words)
                trial.expect("1.1-2", ended is not None, words)
                left = bench.left(origin)
                trial.expect("5.1-2", not left, f"{words}; {left}")
                trial.expect("8.1-3", bench.machines_rest, f"{words}; not at rest")


# ---------------------------------------------------------------- 7.2 messages


@shared("7.2-1")
def every_message_twice(trial: ServiceTrial) -> None:
    """Each message arrives twice at once: the users hear what they hear without it."""
    said: list[Any] = []
    for copies in ((0,), (0, 0)):
        bench = trial.chain(explore=0, fate=lambda *_, copies=copies: copies)
        _plain(trial, bench)
        said.append(bench.run().said)
    words = next((f"{a!r} / {b!r}" for a, b in zip(*said, strict=False) if a != b), "one is longer")
    trial.expect("7.2-1", said[0] == said[1], f"once / twice: {words}")


def _plain(trial: ServiceTrial, bench: Chain) -> None:
    random = trial.random("plain")
    for k in range(3):
        wish = trial.wish(**WISHES[random.below(len(WISHES))])
        bench.create(random.below(4 * CYCLE), ENDS[k % 2], str(k), 2, **wish)


STRANGER: Final = "carol"


@shared("7.2-2", once=True)
def message_from_a_stranger(trial: ServiceTrial) -> None:
    """What the peer says in an undisturbed run is said by a node that shares nothing with this one."""
    bench = trial.chain()
    bench.create(0, ALICE, "1", 2)
    bench.create(0, BOB, "2", 1)
    cancelled = bench.create(0, BOB, "3", 50)
    bench.ask(60 * CYCLE, ALICE, service.Cancel(cancelled))
    kinds: dict[tuple[str, str], Any] = {}
    seen = 0
    for look in range(1, 80):
        bench.run(look * CYCLE)
        for _, _, target, message in bench.sent[seen:]:
            if (message.kind, target) in kinds:
                continue
            kinds[message.kind, target] = message
            _said_by_stranger(trial, bench, target, message)
        seen = len(bench.sent)


def _said_by_stranger(trial: ServiceTrial, bench: Chain, target: Any, message: Any) -> None:
    machine = bench.nodes[target].machines[bench.layer]
    before = machine.state
    event = Received(STRANGER, message.kind, message, Instant(bench.now))  # type: ignore[arg-type]
    raised: Exception | None = None
    effects: list[Any] = []
    try:
        effects = list(machine.handle(event, Instant(bench.now)))
    except Exception as error:
        raised = error
    refused = isinstance(raised, RemoteProtocolError) and machine.state == before
    right = refused or (raised is None and not effects)
    words = f"{message.kind} from {STRANGER} at {target}: raised {raised!r}, effects {effects}"
    trial.expect("7.2-2", right, words)


# ---------------------------------------------------------------- 8 the machine


@shared("8.1-4", profiles=("clean", "mixed"))
def same_inputs_same_effects(trial: ServiceTrial) -> None:
    """The same run twice: the same messages, the same answers, the same instants."""
    first, second = (random_chain(trial).run() for _ in range(2))
    same = (first.sent, first.said) == (second.sent, second.said)
    words = next(
        (f"{a!r} / {b!r}" for a, b in zip(first.sent, second.sent, strict=False) if a != b),
        "one run is longer",
    )
    trial.expect("8.1-4", same, words)
