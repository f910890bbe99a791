"""The bench of a link whose end B is a program: alice, the station and the optics are ours, bob speaks the wire.

Theory
    The bench is the world of bob's host. What is due at bob within an instant goes to the program in one
    grant, before what is due at the deadline that it has named; what its report lists is performed in order,
    as the world would: messages leave, attempts begin and end, programs run, slots are emptied. What bob's
    user hears is known from the notes of the report (``delivered``, ``measured``, ``expiry``). The other
    end is a machine of ours; everything else, faults included, is the bench of machines.

    Who holds a slot of bob follows from what bob does: it is in use from its first attempt or program until
    it is discarded.
Assumptions and validity
    The plan says that messages may be lost, so bob does not count them. The news of a restart of alice
    comes with the first message of her new life (``incarnation``), as in a run.
Not modelled
    The end of a request at bob: no note tells it, so what rests on it is not decided. A node of bob without
    free slots ("full"): the slots are the program's own.
Units
    Picoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Self

import msgspec

from qnet.ids import NodeId, SlotId
from qnet.layers import link as service
from qnet.machine import (
    Abort,
    Applied,
    Apply,
    Attempt,
    DeadlineReached,
    Message,
    PeerLost,
    Received,
    Requested,
)
from qnet.plan import AppPlan, Impair, NodePlan, RunPlan
from qnet.program import Draw, Gate, Program
from qnet.seams import LinkProtocol
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.faults import ALICE, BOB, STATION, Plan
from qnet.testing.conformance.parts import Node, Violation
from qnet.testing.conformance.post import Fate, Post
from qnet.testing.conformance.stage import PLATFORM, PURPOSE
from qnet.testing.conformance.wire.talk import Talk
from qnet.units import Instant
from qnet.wire import control
from qnet.wire.frame import encode_body

STEPS: Final = 5_000
"""Instants within which a bench must come to rest; usual are some hundreds."""

APPLICATION: Final = "conformance"
"""Name of bob's application in the plan: accept ``purposes``, and give every pair back at once."""


class FarPost(Post):
    """Numbers what alice and the station send, as the world does."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sequences: dict[tuple[NodeId, NodeId, int], int] = {}
        self._stamps: dict[int, tuple[Any, int, int]] = {}

    def _carry(self, source: NodeId, target: NodeId, *rest: Any) -> None:
        *_, event, _extras = rest
        incarnation = self._floor.nodes[source].incarnation
        seq = self._sequences.get((source, target, incarnation), 0)
        self._sequences[source, target, incarnation] = seq + 1
        self._stamps[id(event)] = (event, seq, incarnation)  # kept, so that its id stays its own
        super()._carry(source, target, *rest)

    def stamp(self, event: Any) -> tuple[int, int]:
        """Number of a message on its channel, and the life of its sender; its copies have the same."""
        _, seq, incarnation = self._stamps[id(event)]
        return seq, incarnation


class FarBench(Bench):
    """The network; the program behind ``talk`` is bob.

    Args:
        talk: to a host that has said Hello.
        protocol: of alice, and of the plan.
        options: of :class:`~qnet.testing.conformance.bench.Bench`.
    """

    def __init__(
        self,
        talk: Talk,
        protocol: LinkProtocol,
        *,
        slots: tuple[int, int] = (1, 1),
        memory: tuple[int, int] = (0, 0),
        faults: Plan = (),
        fate: Fate | None = None,
        **options: Any,
    ) -> None:
        self.far = Far(self, talk)
        super().__init__(protocol, slots=slots, memory=memory, faults=faults, fate=fate, **options)
        kinds = (*protocol.messages, *self.scheme.messages)
        self.post: FarPost = FarPost(self, kinds, faults=faults, fate=fate)
        self.far.kinds = {one.kind: one for one in kinds}
        self.far.configure(self._plan_of(slots[1], memory[1]))

    def _plan_of(self, slots: int, memory: int) -> RunPlan:
        bobs = msgspec.structs.replace(PLATFORM, communication_slots=slots, memory_slots=memory)
        return RunPlan(
            network="conformance",
            seed=1,
            nodes=(
                NodePlan(ALICE, "ideal", PLATFORM),
                NodePlan(BOB, "ideal", bobs),
                NodePlan(STATION),
            ),
            links=(self.plan,),
            app=AppPlan(APPLICATION, {"purposes": [PURPOSE]}, {BOB: "responder"}),
            faults=(Impair("conformance"),),
        )

    def run(self, until: int = 10**15, steps: int = STEPS) -> Self:
        """As other benches do, with fewer instants until it must be at rest: each costs some grants."""
        return super().run(until, steps)

    def make(self, name: NodeId, incarnation: int) -> dict[str, Any]:
        """Bob is one machine for both layers."""
        if name != BOB:
            return super().make(name, incarnation)
        if incarnation:
            self.far.power(control.Restarted(incarnation))
        return {"link": self.far, "physical": self.far}

    def handle(self, node: Node, name: str, event: Any) -> Any:
        """What bob breaks is told by its own number, not as a machine that raises."""
        if node.name == BOB:
            return self.far.handle(event, Instant(self.now))
        return super().handle(node, name, event)

    def crashed(self, node: Node) -> None:
        """Bob is told."""
        super().crashed(node)
        if node.name == BOB:
            self.far.power(control.Crashed())


class Far:
    """Bob, as a machine of the bench: what is due becomes a grant, what is reported becomes what happens."""

    def __init__(self, bench: FarBench, talk: Talk) -> None:
        self.talk = talk
        self.kinds: dict[str, type[Message]] = {}
        self._bench = bench
        self._items: list[control.Item] = []
        self._deadline: Instant | None = None
        self._last: tuple[int, int] = (-1, 0)
        self._incarnation = 0
        self._sent: dict[NodeId, int] = {}
        self._opened = False

    @property
    def state(self) -> str:
        """What is known of it."""
        return f"a program with deadline {self._deadline}"

    def configure(self, plan: RunPlan) -> None:
        """Configure it and grant instant 0."""
        self.talk.say(control.Configure(plan, (BOB,)))
        self.talk.expect(control.Ready, "QN-LINK-8.1-1", "Configure")
        self.talk.ready = True
        self._opened = True
        self._grant()

    # ------------------------------------------------------------ as a machine

    def next_deadline(self) -> Instant | None:
        """At once if something is due now, else what the program has said."""
        if self._items:
            return Instant(self._bench.now)
        return self._deadline

    def handle(self, event: Any, _now: Instant) -> tuple[()]:
        """Keep what is due until the end of the instant, then grant it."""
        match event:
            case Received(source, kind, message, sent_at):
                seq, life = self._bench.post.stamp(event)
                body = encode_body(message)
                envelope = control.Envelope(source, kind, seq, sent_at, body, incarnation=life)
                self._items.append(envelope)
            case Applied(op, outcomes):
                self._items.append(control.ProgramEnded(op, outcomes))
            case DeadlineReached():
                self._grant()
            case PeerLost() | Requested(service.Accept()):
                pass  # the first message of the new life says it; the plan says it
            case _:
                raise AssertionError(f"a program is asked for nothing by the bench, got {event!r}")
        return ()

    def power(self, item: control.Crashed | control.Restarted) -> None:
        """The node has crashed, or is back."""
        self._items = [item]
        self._grant(void=isinstance(item, control.Crashed))
        self._sent.clear()
        if isinstance(item, control.Crashed):
            self._deadline = None

    # ------------------------------------------------------------ grants and reports

    def _grant(self, *, void: bool = False) -> None:
        now = Instant(self._bench.now)
        last, delta = self._last
        self._last = (now, delta + 1 if now == last else 0)
        listed = [control.NodeGrant(BOB, self._items)] if self._items else []
        self._items = []
        self.talk.say(control.Grant(now, self._last[1], listed), now)
        report = self.talk.expect(control.Report, "QN-LINK-8.1-1", f"a grant of {now} ps")
        if report.at != now:
            raise Violation("QN-LINK-8.1-1", f"report about {report.at} ps, granted was {now} ps")
        if report.deadline is not None and report.deadline <= now:
            words = f"{BOB}: deadline {report.deadline} ps in a report about {now} ps"
            raise Violation("QN-LINK-8.1-2", words)
        self._deadline = report.deadline
        for one in report.nodes:
            if one.node != BOB:
                raise Violation("QN-LINK-8.1-1", f"the host of {BOB} reports about {one.node}")
            for output in () if void else one.outputs:
                self._perform(output)

    def _perform(self, output: control.Output) -> None:
        bench, node = self._bench, self._bench.nodes[BOB]
        match output:
            case control.Post(target, kind, seq, body):
                self._send(node, target, kind, seq, body)
            case control.StartAttempt(op, link, slot, until):
                self._take(node, slot)
                bench.perform_other(node, "link", Attempt(op, link, slot, until))
            case control.AbortAttempt(op):
                bench.perform_other(node, "link", Abort(op))
            case control.RunProgram(op, program):
                for slot in _slots(program):
                    self._take(node, slot)
                bench._perform(node, "link", Apply(op, program))
            case control.Discard(slot):
                self._discard(node, slot)
            case control.Delivered() | control.MeasuredNote():
                self._announced(node, output)
            case control.ExpiryNote(pairs, request):
                self._heard(service.Expired(request, ALICE, self._purpose(request), pairs))
            case _:
                pass  # notes for the report of a run

    def _send(self, node: Node, target: NodeId, kind: str, seq: int, body: msgspec.Raw) -> None:
        expected = self._sent.get(target, 0)
        self._sent[target] = expected + 1
        if seq != expected or target not in (ALICE, STATION):
            words = f"{BOB}: {kind} to {target} must be number {expected} of a channel, got {seq}"
            raise Violation("QN-LINK-7.2-3", words)
        known = self.kinds.get(kind)
        if known is None:
            raise Violation("QN-LINK-7.2-3", f"{BOB} says {kind}, a kind that nobody lists")
        try:
            message = msgspec.msgpack.decode(body, type=known)
        except msgspec.MsgspecError as error:
            raise Violation(
                "QN-LINK-7.2-3", f"{BOB} says {kind} with a wrong body: {error}"
            ) from None
        self._bench.post.send(node, target, message)

    def _take(self, node: Node, slot: SlotId) -> None:
        holder = node.slots.get(slot)
        if holder is None or holder == "app":
            whose = "there is none" if holder is None else "its user has it"
            raise Violation("QN-LINK-5.1-1", f"{BOB} uses slot {slot}: {whose}")
        node.slots[slot] = "link"

    def _discard(self, node: Node, slot: SlotId) -> None:
        if slot not in node.slots:
            raise Violation("QN-LINK-5.1-1", f"{BOB} discards slot {slot}, which it does not have")
        if any(slot in slots for slots in node.busy.values()):
            raise Violation("QN-LINK-5.1-3", f"{BOB} discards busy slot {slot}")
        node.slots[slot] = ""
        self._bench.empty(BOB, slot)

    # ------------------------------------------------------------ what its user hears

    def _announced(self, node: Node, note: control.Delivered | control.MeasuredNote) -> None:
        shared: dict[str, Any] = {
            name: getattr(note, name)
            for name in ("request", "pair", "index", "origin", "remote", "label", "goodness")
        }
        shared |= {
            "goodness_error": note.goodness_error,
            "created_at": note.created_at,
            "requested_at": note.requested_at,
            "purpose": self._purpose(note.request),
        }
        if isinstance(note, control.MeasuredNote):
            kind = self._kind(note.request)
            self._heard(
                service.OkMeasured(**shared, basis=note.basis, outcome=note.outcome, kind=kind)
            )
            return
        nothing = (0.0, 0.0, 0.0)  # no note tells the correlators
        now = Instant(self._bench.now)
        kind = self._kind(note.request)
        ok = service.Ok(**shared, slot=note.slot, goodness_at=now, correlators=nothing, kind=kind)
        if node.slots.get(note.slot) != "link":
            words = f"{BOB} announces {note.pair} in slot {note.slot}, which it does not hold"
            raise Violation("QN-LINK-5.1-1", words)
        node.slots[note.slot] = "app"
        self._heard(ok)
        self._bench.announced_at(node, ok)

    def _heard(self, what: Any) -> None:
        self._bench.said.append((self._bench.now, BOB, what))
        self._bench.note(BOB, f"user hears {what!r}")

    def _purpose(self, request: Any) -> int:
        create = self._bench.wanted.get(request)
        return PURPOSE if create is None else create.purpose

    def _kind(self, request: Any) -> service.Kind:
        create = self._bench.wanted.get(request)
        return "K" if create is None else create.kind


def _slots(program: Program) -> Iterator[SlotId]:
    """The slots that a program touches."""
    for step in program.instructions:
        if isinstance(step, Gate):
            yield from step.slots
        elif not isinstance(step, Draw):
            yield step.slot
