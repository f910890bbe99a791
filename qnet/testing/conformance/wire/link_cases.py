"""Cases of the link layer about a program that is the responder: alice asks, the program is bob.

Theory
    The other end is the built-in ``egp``, the requests are of kind K without optional features but ``final``.
    What is decided is what can be seen: messages, attempts, what the notes of bob's reports announce and
    take back, and what alice's user hears. How a request ends at bob is not told by any note.
Sources
    The same stimuli as in the cases of machines, :mod:`qnet.testing.conformance.link_pairs` and its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

from qnet.layers import link as service
from qnet.layers.link import ErrorCode
from qnet.plugins import find
from qnet.testing.conformance import audit
from qnet.testing.conformance.case import (
    ALL,
    ENDS,
    HORIZON,
    PAIRS,
    Trial,
    case,
    code,
    delivered,
    endings,
)
from qnet.testing.conformance.faults import ALICE, BOB, STATION, NodeFault, Plan
from qnet.testing.conformance.link_pairs import FINALS, late, lose
from qnet.testing.conformance.link_requests import CLICK, DIRECT
from qnet.testing.conformance.matter import Luck
from qnet.testing.conformance.parts import Line, Violation, drawn
from qnet.testing.conformance.stage import CYCLE, PURPOSE, SHAPES, other
from qnet.testing.conformance.wire.far import FarBench
from qnet.testing.conformance.wire.program import Program, Running
from qnet.units import Instant
from qnet.wire.control import Hello

AGAINST: Final = "egp"
"""The link protocol of the other end."""

SAFETY: Final = (
    "QN-LINK-1.1-7",
    "QN-LINK-2.1-2",
    "QN-LINK-2.1-3",
    "QN-LINK-2.1-4",
    "QN-LINK-2.1-5",
    "QN-LINK-2.1-6",
    "QN-LINK-2.2-1",
    "QN-LINK-2.2-5",
    "QN-LINK-2.3-1",
    "QN-LINK-2.3-3",
    "QN-LINK-2.4-1",
    "QN-LINK-3.1-1",
    "QN-LINK-5.1-1",
    "QN-LINK-5.1-5",
    "QN-LINK-6.1-1",
    "QN-LINK-6.1-2",
    "QN-LINK-6.1-4",
    "QN-LINK-7.2-3",
    "QN-LINK-8.1-1",
    "QN-LINK-8.1-2",
)
"""Of the audit, what can be seen of a program and says something about it."""

LIVENESS: Final = ("QN-LINK-1.1-2", "QN-LINK-2.1-1", "QN-LINK-5.1-2", "QN-LINK-8.1-3")


class LinkTrial(Trial):
    """One run of one case: each bench has a process of its own, which ends with the next bench."""

    subject: ClassVar[Any] = Program
    watched: ClassVar[bool] = False

    def __init__(self, protocol: Any, seed: int, faults: Plan, ids: Iterable[str]) -> None:
        super().__init__(protocol, seed, faults, ids)
        self.program: Program = protocol
        self._running: Running | None = None
        self.outputs: list[str] = []

    def bench(self, **options: Any) -> FarBench:
        """A bench on which the program is bob, with the luck of the seed."""
        self.end()
        uniform = self.random("luck").uniform
        luck = Luck(
            success=lambda _run: 1 + int(3 * uniform()),
            draw=lambda weights: drawn(weights, uniform()),
        )
        defaults: dict[str, Any] = {"luck": luck, "faults": self.faults, "explore": self.seed}
        self._running = self.program.start(str(BOB), "responder")
        talk = self._running.talk()
        talk.expect(Hello, "QN-LINK-8.1-1", "connecting")
        bench = FarBench(talk, find("qnet.links", AGAINST), **{**defaults, **options})
        self.benches.append(bench)
        bench.ask(0, ALICE, service.Accept(BOB, PURPOSE))
        return bench

    def quick(self, **options: Any) -> FarBench:
        """A bench whose first attempt always succeeds."""
        bench = self.bench(**options)
        bench.matter.luck.success = lambda _run: 1
        return bench

    def audit(self, bench: FarBench, *, at_rest: bool = True) -> None:
        """Invariants of the link."""
        audit.safety(bench, self.check)
        if at_rest:
            audit.liveness(bench, self.check)

    def end(self) -> None:
        """End the process of the last bench."""
        if self._running is not None:
            self._running.end(hurry=True)
            self.outputs.append(self._running.output())
            self._running = None

    def lines(self) -> list[Line]:
        """What happened, and what the programs wrote to their standard error."""
        found = super().lines()
        at = found[-1].at if found else 0
        said = [line for text in self.outputs for line in text.splitlines()]
        return [*found, *(Line(at, BOB, f"standard error: {line}") for line in said)]


def responder(*ids: str, **options: Any) -> Callable[[Callable[[LinkTrial], None]], Any]:
    """Register a case whose programs are ended with it."""

    def register(drive: Callable[[LinkTrial], None]) -> Any:
        def driven(trial: LinkTrial) -> None:
            try:
                drive(trial)
            except Violation as violation:
                raise _of_link(violation) from None
            finally:
                trial.end()

        driven.__name__ = f"responder_{drive.__name__}"
        driven.__doc__ = drive.__doc__
        return case(*ids, trial=LinkTrial, **options)(driven)

    return register


def _of_link(violation: Violation) -> Violation:
    """A program that does not keep the wire fails as a machine does that raises."""
    if violation.identifier.startswith("QN-LINK-"):
        return violation
    return Violation("QN-LINK-8.1-1", f"{violation.identifier}: {violation.words}")


# ---------------------------------------------------------------- nothing goes wrong


@responder(*SAFETY, *LIVENESS, "QN-LINK-1.1-6", "QN-LINK-2.2-2", "QN-LINK-2.2-4", "QN-LINK-4.1-2")
def serves_undisturbed_requests(trial: LinkTrial) -> None:
    """Some requests of alice, nothing lost."""
    random = trial.random("wishes")
    bench = trial.bench(slots=(1 + random.below(2), 1 + random.below(2)))
    numbers = {}
    for k in range(3):
        number = 1 + random.below(4)
        request = bench.create(random.below(10 * CYCLE), ALICE, str(k), number)
        numbers[request] = number
    bench.run()
    indices: dict[str, list[int]] = {}
    for ok in bench.heard(BOB, PAIRS):
        indices.setdefault(ok.request, []).append(ok.index)
    for request, number in numbers.items():
        found = indices.get(request, [])
        words = f"{request} at bob: indices {found} of {number}"
        trial.check("QN-LINK-1.1-6", len(found) == number, words)
        trial.check("QN-LINK-2.2-2", found == list(range(1, number + 1)), words)
        got = endings(bench, ALICE).get(request)
        words = f"{request}: alice wanted {number}, ended with {got!r}"
        trial.check("QN-LINK-1.1-6", delivered(got) == number, words)
    ours, theirs = ([ok.pair for ok in bench.heard(node, PAIRS)] for node in ENDS)
    trial.check("QN-LINK-4.1-2", ours == theirs, f"alice {ours}, bob {theirs}")
    times = [
        {what.pair: at for at, who, what in bench.said if who == node and isinstance(what, PAIRS)}
        for node in ENDS
    ]
    for pair, at in times[1].items():
        words = f"{pair}: alice at {times[0].get(pair)} ps, bob at {at} ps"
        trial.check("QN-LINK-2.2-4", times[0].get(pair) == at, words)
    trial.audit(bench)


@responder("QN-LINK-1.2-1", "QN-LINK-1.2-2", once=True)
def rejects_other_purposes(trial: LinkTrial) -> None:
    """A purpose that bob's application has not accepted, beside one that it has."""
    bench = trial.quick()
    refused = bench.create(CYCLE, ALICE, "1", purpose=PURPOSE + 1)
    served = bench.create(CYCLE, ALICE, "2")
    bench.run()
    ended = endings(bench, ALICE)
    words = f"ended with {ended.get(refused)!r}"
    trial.check("QN-LINK-1.2-1", code(ended.get(refused)) == ErrorCode.REJECTED, words)
    trial.check("QN-LINK-1.2-1", delivered(ended.get(served)) == 1, f"{ended.get(served)!r}")
    heard = [what for what in bench.heard(BOB) if what.request == refused]
    trial.check("QN-LINK-1.2-2", not heard, f"bob's user hears {heard}")


@responder("QN-LINK-2.3-1", "QN-LINK-2.3-2", "QN-LINK-2.3-3", "QN-LINK-2.1-2", once=True)
def leaves_corrections_to_the_origin(trial: LinkTrial) -> None:
    """Each heralded Bell label, each final one."""
    for final in FINALS:
        bench = trial.quick()
        bench.create(0, ALICE, "1", 4, final=final)
        bench.run()
        trial.audit(bench, at_rest=False)


@responder("QN-LINK-2.1-1", "QN-LINK-5.1-2", "QN-LINK-1.1-2", "QN-LINK-8.1-3", once=True)
def ends_what_alice_cancels(trial: LinkTrial) -> None:
    """Alice cancels at every stage, with another request behind it."""
    for at in (
        0,
        DIRECT,
        2 * DIRECT + 1,
        CLICK - 1,
        CLICK + 5_000_000,
        CLICK + 5_300_000,
        CLICK + 3 * DIRECT,
    ):
        bench = trial.quick()
        request = bench.create(0, ALICE, "1", 6)
        bench.create(0, ALICE, "2", 2)
        bench.ask(at, ALICE, service.Cancel(request))
        bench.run()
        trial.audit(bench)


@responder("QN-LINK-5.1-4", *LIVENESS, once=True)
def waits_for_slots_of_the_other_end(trial: LinkTrial) -> None:
    """Alice has no free slot for a while; then service goes on."""
    for end in (3 * CYCLE, 10 * CYCLE, 60 * CYCLE):
        full = NodeFault("full", ALICE, Instant(0), Instant(end))
        bench = trial.quick(faults=(full,))
        request = bench.create(0, ALICE, "1", 2)
        bench.run()
        ended = endings(bench, ALICE).get(request)
        words = f"alice without slots until {end} ps: ended with {ended!r}"
        trial.check("QN-LINK-5.1-4", delivered(ended) == 2, words)
        trial.audit(bench)


# ---------------------------------------------------------------- lost, late, doubled


@responder("QN-LINK-2.4-2", "QN-LINK-2.4-5", *LIVENESS, "QN-LINK-2.4-1", once=True)
def makes_void_what_one_end_missed(trial: LinkTrial) -> None:
    """The n-th herald is lost on its way to one end, or comes late."""
    for deaf in ENDS:
        for nth in (1, 2, 3):
            _one_is_void(trial, lose(STATION, deaf, nth), f"herald {nth} lost to {deaf}", 2)
        for by in (300_001, CYCLE, 10 * CYCLE):
            _one_is_void(trial, late(STATION, deaf, 1, by), f"herald {by} ps late at {deaf}", 0)


def _one_is_void(trial: LinkTrial, faults: Plan, where: str, least: int) -> None:
    bench = trial.quick(faults=faults)
    bench.create(0, ALICE, "1", 3)
    bench.run()
    ours, theirs = (bench.announced(node) for node in ENDS)
    differ = sorted(ours.keys() ^ theirs.keys())
    trial.check("QN-LINK-2.4-2", not differ, f"{where}: {differ} valid at one end only")
    if least:
        trial.check("QN-LINK-2.4-5", len(ours) >= least, f"{where}: {len(ours)} of 3 are valid")
    trial.audit(bench)


@responder("QN-LINK-2.4-3", *LIVENESS)
def repeats_what_expires_a_pair(trial: LinkTrial) -> None:
    """After a herald was missed, some of the next messages between the ends are lost, both ways."""
    random = trial.random("losses")
    for deaf in ENDS:
        lost: Plan = lose(STATION, deaf, 1 + random.below(2))
        for source in ENDS:
            first = 2 + random.below(2)
            lost += lose(source, other(source), *range(first, first + 1 + random.below(4)))
        bench = trial.quick(faults=lost)
        bench.create(0, ALICE, "1", 3)
        bench.run()
        ours, theirs = (bench.announced(node).keys() for node in ENDS)
        words = f"deaf {deaf}; valid at one end only: {sorted(ours ^ theirs)}"
        trial.check("QN-LINK-2.4-3", ours == theirs, words)
        trial.audit(bench)


@responder("QN-LINK-2.4-6", *LIVENESS, once=True)
def goes_on_after_a_gap(trial: LinkTrial) -> None:
    """Heralds in a row are lost to both ends."""
    for first, gap in ((1, 1), (1, 3), (2, 2)):
        numbers = range(first, first + gap)
        faults = lose(STATION, ALICE, *numbers) + lose(STATION, BOB, *numbers)
        bench = trial.quick(faults=faults)
        request = bench.create(0, ALICE, "1", 3)
        bench.run()
        ended = endings(bench, ALICE).get(request)
        words = f"heralds {list(numbers)} lost: ended with {ended!r}"
        trial.check("QN-LINK-2.4-6", delivered(ended) >= 1, words)
        trial.audit(bench)


@responder("QN-LINK-7.2-1")
def hears_every_message_twice(trial: LinkTrial) -> None:
    """Each message arrives twice at once: both users hear what they hear without it."""
    said: list[Any] = []
    for copies in ((0,), (0, 0)):
        bench = trial.bench(explore=0, fate=lambda *_, copies=copies: copies)
        for k in range(2):
            bench.create(k * CYCLE, ALICE, str(k), 2)
        said.append(bench.run().said)
    words = next((f"{a!r} / {b!r}" for a, b in zip(*said, strict=False) if a != b), "one is longer")
    trial.check("QN-LINK-7.2-1", said[0] == said[1], f"once / twice: {words}")


# ---------------------------------------------------------------- restarts


@responder("QN-LINK-7.1-2", "QN-LINK-2.1-4", "QN-LINK-8.1-1", "QN-LINK-8.1-3", "QN-LINK-5.1-2")
def serves_after_a_restart(trial: LinkTrial) -> None:
    """Either end loses its memory; a request of later is served, under ids of its own."""
    random = trial.random("restart")
    for node in ENDS:
        bench = trial.quick()
        bench.create(0, ALICE, "1", 20)
        bench.restart(CLICK + random.below(6 * CYCLE), node)
        request = bench.create(400 * CYCLE, ALICE, "2", 2)
        bench.run()
        ended = endings(bench, ALICE).get(request)
        words = f"{node} was restarted; {request} ended with {ended!r}"
        trial.check("QN-LINK-7.1-2", delivered(ended) == 2, words)
        pairs = [ok.pair for ok in bench.heard(BOB, PAIRS)]
        trial.check("QN-LINK-2.1-4", len(pairs) == len(set(pairs)), f"bob announces {pairs}")
        trial.audit(bench)


# ---------------------------------------------------------------- random


def _random(trial: LinkTrial) -> FarBench:
    random = trial.random("wishes")
    bench = trial.bench(
        slots=(1 + random.below(2), 1 + random.below(2)), **SHAPES[random.below(len(SHAPES))]
    )
    half = HORIZON // 2
    for number in range(2 + random.below(3)):
        fields: dict[str, Any] = ({}, {"final": (1, 0)}, {"minimum_fidelity": 0.9})[random.below(3)]
        at = random.below(half)
        request = bench.create(at, ALICE, str(number), 1 + random.below(3), **fields)
        if random.uniform() < 0.2:
            bench.ask(at + random.below(half), ALICE, service.Cancel(request))
    return bench


@responder(*SAFETY, mode="safety", profiles=ALL)
def random_requests_stopped_anywhere(trial: LinkTrial) -> None:
    """What must never happen has not happened, whenever one looks."""
    bench = _random(trial)
    for look in range(1, 4):
        bench.run(HORIZON * look // 3)
        trial.audit(bench, at_rest=False)


@responder(*SAFETY, *LIVENESS, profiles=ALL)
def random_requests_at_rest(trial: LinkTrial) -> None:
    """When all that went wrong is over, everything has ended and nothing is left."""
    trial.audit(_random(trial).run())


@responder("QN-LINK-8.1-4", profiles=("clean", "mixed"))
def same_grants_same_reports(trial: LinkTrial) -> None:
    """The same run twice: the same messages, the same answers, the same instants."""
    first, second = (_random(trial).run() for _ in range(2))
    same = (first.sent, first.said) == (second.sent, second.said)
    words = next(
        (f"{a!r} / {b!r}" for a, b in zip(first.sent, second.sent, strict=False) if a != b),
        "one run is longer",
    )
    trial.check("QN-LINK-8.1-4", same, words)
