"""Cases of heralding schemes: the machines of ends and station (sections 2, 5, 7, 8)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import AttemptId, NodeId, SlotId
from qnet.layers import physical
from qnet.machine import Received, Requested
from qnet.testing.conformance.case import ALL, ENDS, HORIZON, case
from qnet.testing.conformance.faults import ALICE, BOB, STATION, MessageFault
from qnet.testing.conformance.optics import OVER, Herald, Optics, Wanted
from qnet.testing.conformance.physical_outcomes import LAYER, SchemeTrial
from qnet.testing.conformance.stage import CYCLE
from qnet.units import Instant

RUNS: Final = 8

SAFETY: Final = (
    "2.1-1",
    "2.1-3",
    "2.2-1",
    "2.2-2",
    "2.2-3",
    "2.2-4",
    "2.2-5",
    "5.1-1",
    "7.2-3",
    "8.1-1",
    "8.1-2",
)
LIVENESS: Final = ("2.1-2", "8.1-3")


def named(*numbers: str) -> tuple[str, ...]:
    """The identifiers of these numbers."""
    return tuple(f"QN-PHYSICAL-{number}" for number in numbers)


def attempt(number: int) -> AttemptId:
    """The id that both ends use for their run of that number."""
    return AttemptId(f"alice/1.{number}")


def random_runs(trial: SchemeTrial) -> Optics:
    """Both ends attempt under the same ids, some bounded, some stopped, not quite at the same time."""
    random = trial.random("runs")
    bench = trial.optics()
    for node in ENDS:
        wanted = []
        for number in range(RUNS):
            until = CYCLE + random.below(6 * CYCLE) if random.uniform() < 0.3 else None
            stop = random.below(6 * CYCLE) if random.uniform() < 0.4 or until is None else None
            wanted.append(Wanted(attempt(number), until, stop))
        bench.series(random.below(2 * CYCLE), node, wanted)
    return bench


def safety(trial: SchemeTrial, bench: Optics) -> None:
    """What must hold whenever a run is looked at."""
    _answers(trial, bench)
    by_sequence: dict[int, list[Herald]] = defaultdict(list)
    for one in bench.heralds:
        by_sequence[one.said.sequence].append(one)
        flight = bench.plan.flights[bench.plan.ends.index(one.node)]
        words = f"{one.said} at {one.node} at {one.at} ps"
        trial.expect("2.2-4", one.at >= one.said.clicked_at + flight, words)
        clicked = {click.run: click for click in bench.matter.clicks}
        click = None if one.click is None else clicked.get(one.click)
        right = click is not None and click.at == one.said.clicked_at
        right = right and one.label == one.said.label
        words = f"{one.said} at {one.node}: in the slot is {one.label} of {click}"
        trial.expect("2.2-3", right, words)
    for sequence, heard in by_sequence.items():
        facts = {(one.said.label, one.said.clicked_at, one.said.attempt) for one in heard}
        trial.expect("2.2-1", len(facts) == 1, f"success {sequence}: {facts}")
        nodes = [one.node for one in heard]
        trial.expect("2.2-2", len(set(nodes)) == len(nodes), f"success {sequence} at {nodes}")
    for node in ENDS:
        numbers = [one.said.sequence for one in bench.heralds if one.node == node]
        words = f"{node} hears successes {numbers}"
        trial.expect("2.2-2", numbers == sorted(set(numbers)), words)
    if bench.heralds:
        for number in ("5.1-1", "7.2-3", "8.1-1", "8.1-2"):
            trial.expect(number, True, "")


def _answers(trial: SchemeTrial, bench: Optics) -> None:
    """Each run is answered at most once, in time, about itself."""
    waiting: dict[NodeId, tuple[int, Wanted]] = {}
    over: dict[NodeId, set[AttemptId]] = defaultdict(set)
    events: list[tuple[int, int, NodeId, Any]] = []
    events += [(at, 1, node, one) for at, node, one in bench.started]
    events += [(at, 0, node, what) for at, node, what in bench.said]
    longest = max(bench.plan.flights)
    for at, _, node, what in sorted(events, key=lambda one: one[:2]):
        if isinstance(what, Wanted):
            waiting[node] = (at, what)
        elif isinstance(what, OVER):
            started, one = waiting.pop(node, (0, None))
            right = one is not None and what.attempt == one.attempt and what.slot == SlotId(0)
            trial.expect("2.1-1", right, f"{node} hears {what!r} of {one}")
            if one is None:
                continue
            over[node].add(one.attempt)
            stopped = isinstance(what, physical.AttemptsStopped)
            if one.until is not None and stopped and one.stop is None:
                own = bench.plan.flights[bench.plan.ends.index(node)]
                last = started + one.until + longest + own
                words = (
                    f"{one} of {node}, started at {started} ps, stopped at {at} ps, not by {last}"
                )
                trial.expect("2.1-3", at <= last, words)
        elif isinstance(what, physical.HeraldedLate):
            running = waiting.get(node)
            right = running is None or running[1].attempt != what.attempt
            trial.expect("2.2-5", right, f"{node} hears {what!r} while it attempts under that id")


def liveness(trial: SchemeTrial, bench: Optics) -> None:
    """What must hold at rest."""
    for node in ENDS:
        if node in bench.restarted:
            continue
        started = [one.attempt for _, who, one in bench.started if who == node]
        ended = [what.attempt for what in bench.heard(node, OVER)]
        words = f"{node} started {started}, ended {ended}"
        trial.expect("2.1-2", started == ended, words)
    trial.expect("8.1-3", bench.machines_rest, "not at rest")


@case(*named(*SAFETY), layer=LAYER, trial=SchemeTrial, mode="safety", profiles=ALL)
def random_attempts_stopped_anywhere(trial: SchemeTrial) -> None:
    """What must never happen has not happened, whenever one looks."""
    bench = random_runs(trial)
    for look in range(1, 4):
        bench.run(HORIZON * look // 3)
        safety(trial, bench)


@case(*named(*SAFETY, *LIVENESS), layer=LAYER, trial=SchemeTrial, profiles=ALL)
def random_attempts_at_rest(trial: SchemeTrial) -> None:
    """Every run that was stopped or bounded has ended."""
    bench = random_runs(trial).run()
    safety(trial, bench)
    liveness(trial, bench)


# ---------------------------------------------------------------- 2.1 runs


@case(*named("2.1-4"), layer=LAYER, trial=SchemeTrial, once=True)
def run_that_cannot_start(trial: SchemeTrial) -> None:
    """Another one is on, or its bound is over."""
    for until, before in ((Instant(5), []), (None, [Wanted(attempt(1))])):
        bench = trial.optics()
        bench.series(1, ALICE, before)
        bench.run(CYCLE)
        machine = bench.nodes[ALICE].machines["physical"]
        state, now = machine.state, Instant(bench.now + 10)
        raised: Exception | None = None
        try:
            start = physical.StartAttempts(attempt(2), SlotId(0), until)
            machine.handle(Requested(start, "app"), now)
        except Exception as error:
            raised = error
        right = isinstance(raised, LocalProtocolError) and machine.state == state
        trial.expect("2.1-4", right, f"until {until} at {now}, before {before}: raised {raised!r}")


@case(*named("2.1-2", "2.2-5", "2.2-1", "5.1-1"), layer=LAYER, trial=SchemeTrial)
def stop_that_races_with_a_herald(trial: SchemeTrial) -> None:
    """One end stops around the click and around the herald; the other one goes on."""
    random = trial.random("stop")
    probe = _one_click(trial, None)
    click = probe.matter.clicks[0].at
    far = max(probe.plan.flights)
    for late in (-far - 1, -1, 0, 1, far // 2, far - 1, far, far + 1, random.below(3 * far)):
        bench = _one_click(trial, max(1, click + late))
        safety(trial, bench)
        for what in bench.heard(ALICE):
            fine = not isinstance(what, physical.Heralded) or bench.heralds
            trial.expect("2.2-5", bool(fine), f"stopped {late} ps after the click: {what!r}")
        over = bench.heard(ALICE, OVER)
        words = f"stopped {late} ps after the click, alice hears {bench.heard(ALICE)}"
        trial.expect("2.1-2", len(over) == 1, words)
        _late_is_told(trial, bench, words)


def _late_is_told(trial: SchemeTrial, bench: Optics, words: str) -> None:
    """A click after the run was given up: the end is told that it was late, once."""
    told = bench.heard(ALICE, physical.HeraldedLate)
    stopped = bool(bench.heard(ALICE, physical.AttemptsStopped))
    heralded = [one for one in bench.heralds if one.node == BOB]
    if stopped and heralded:
        trial.expect("2.2-5", len(told) == 1, words)


def _one_click(trial: SchemeTrial, stop: int | None) -> Optics:
    bench = trial.optics(explore=0)
    bench.matter.luck.success = lambda _run: 1
    bench.series(0, ALICE, [Wanted(attempt(1), None, stop)])
    bench.series(0, BOB, [Wanted(attempt(1), 20 * CYCLE)])
    return bench.run()


# ---------------------------------------------------------------- 2.2 heralds


@case(*named("2.2-6"), layer=LAYER, trial=SchemeTrial)
def ends_that_attempt_under_different_ids(trial: SchemeTrial) -> None:
    """Nobody is told of a pair; both may attempt again, and then are."""
    bench = trial.optics(explore=0)
    bench.matter.luck.success = lambda _run: 1
    for number, node in enumerate(ENDS):
        other = AttemptId(f"{node}/9.1")
        wanted = [Wanted(other, 40 * CYCLE), Wanted(attempt(1), 80 * CYCLE)]
        bench.series(number, node, wanted)
    bench.run()
    for node in ENDS:
        heard = bench.heard(node, OVER)
        first = heard[0] if heard else None
        right = isinstance(first, physical.HeraldRefused) and first.fault == "QUEUE_MISMATCH"
        trial.expect("2.2-6", right, f"{node} attempts under another id and hears {first!r}")
        made = any(isinstance(what, physical.Heralded) for what in heard)
        trial.expect("2.2-6", made, f"{node} attempts again and hears {heard}")


@case(*named("2.2-7", "2.2-3"), layer=LAYER, trial=SchemeTrial, once=True)
def announcement_that_is_lost(trial: SchemeTrial) -> None:
    """The first message of an end to the station never comes."""
    for node in ENDS:
        lost = MessageFault("lose", node, STATION, 1)
        bench = trial.optics(faults=(lost,), explore=0)
        bench.matter.luck.success = lambda _run: 1
        for end in ENDS:
            bench.series(0, end, [Wanted(attempt(k), 40 * CYCLE) for k in (1, 2)])
        bench.run()
        safety(trial, bench)
        first = [bench.heard(end, OVER)[0] for end in ENDS if bench.heard(end, OVER)]
        words = f"the announcement of {node} is lost: {first}"
        silent = not any(isinstance(what, physical.Heralded) for what in first)
        trial.expect("2.2-7", silent, words)


# ---------------------------------------------------------------- 2.3 restarts


@case(*named("2.3-1", "2.2-2", "2.2-3"), layer=LAYER, trial=SchemeTrial)
def node_that_restarts(trial: SchemeTrial) -> None:
    """An end or the station loses its memory among attempts; later ones succeed, with new numbers."""
    random = trial.random("restart")
    for lost in (*ENDS, STATION):
        bench = trial.optics()
        bench.matter.luck.success = lambda _run: 1
        for node in ENDS:
            runs = [Wanted(attempt(k), 30 * CYCLE) for k in range(12)]
            bench.series(0, node, runs)
        at = 3 * CYCLE + random.below(6 * CYCLE)
        bench.restart(at, lost)
        again = 600 * CYCLE
        for node in ENDS:
            runs = [Wanted(AttemptId(f"bob/2.{k}"), 30 * CYCLE) for k in range(6)]
            bench.series_later(again, node, runs)
        bench.run()
        safety(trial, bench)
        for node in ENDS:
            later = [one for one in bench.heralds if one.node == node and one.at > again]
            trial.expect(
                "2.3-1", bool(later), f"{lost} restarted: {node} hears of no success later"
            )


# ---------------------------------------------------------------- 7, 8


@case(*named("7.2-1"), layer=LAYER, trial=SchemeTrial)
def every_physical_message_twice(trial: SchemeTrial) -> None:
    """Each message arrives twice at once: the users hear what they hear without it."""
    said: list[Any] = []
    for copies in ((0,), (0, 0)):
        bench = trial.optics(explore=0, fate=lambda *_, copies=copies: copies)
        bench.matter.luck.success = lambda run: 1 + run % 3
        for node in ENDS:
            bench.series(0, node, [Wanted(attempt(k), 30 * CYCLE) for k in range(6)])
        said.append(bench.run().said)
    words = next((f"{a!r} / {b!r}" for a, b in zip(*said, strict=False) if a != b), "one is longer")
    trial.expect("7.2-1", said[0] == said[1], f"once / twice: {words}")


@case(*named("7.2-2"), layer=LAYER, trial=SchemeTrial, once=True)
def physical_message_from_a_stranger(trial: SchemeTrial) -> None:
    """What ends and station say in an undisturbed run is said by a node that has no part in the link."""
    bench = trial.optics(explore=0)
    bench.matter.luck.success = lambda run: 1 + run % 3
    for node in ENDS:
        bench.series(0, node, [Wanted(attempt(k), 30 * CYCLE) for k in range(3)])
    bench.run()
    kinds = {(message.kind, target): message for _, _, target, message in bench.sent}
    for (kind, target), message in kinds.items():
        (machine,) = bench.nodes[target].machines.values()
        before = machine.state
        event = Received(NodeId("carol"), kind, message, Instant(bench.now))
        raised: Exception | None = None
        try:
            machine.handle(event, Instant(bench.now))
        except Exception as error:
            raised = error
        right = isinstance(raised, RemoteProtocolError) and machine.state == before
        trial.expect("7.2-2", right, f"{kind} from carol at {target}: raised {raised!r}")


@case(*named("8.1-4"), layer=LAYER, trial=SchemeTrial, profiles=("clean", "mixed"))
def same_attempts_same_effects(trial: SchemeTrial) -> None:
    """The same run twice: the same messages, the same answers, the same instants."""
    first, second = (random_runs(trial).run() for _ in range(2))
    same = (first.sent, first.said) == (second.sent, second.said)
    trial.expect("8.1-4", same, "the same run differs from itself")
