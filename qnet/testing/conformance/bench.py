"""The virtual bench: two ends of a link, their station and the optics in memory, on one heap of events.

Theory
    The rules are those of the runtime: messages and results of an instant first, then deadlines
    until no machine has one that is due; inside a node effects are performed in order and what they
    cause is queued. The ends run the protocol under test above the physical machines of a heralding
    scheme. The bench knows which physical pair sits in which slot, so that what the ends announced is
    compared with the truth. What a machine must never do raises :class:`Violation`.

    ``explore`` chooses the order in which messages and results of one instant are heard: any order
    is right.
Late, early, impossible
    A message that was sent before its sender's crash may arrive after the news of it.
Assumptions and validity
    A node that is back says something at once (of another layer), so the other end's node hears of the
    restart one light time later, unless a message of this link is faster.
Not modelled
    Other links of a node, noise.
Units
    Picoseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Final, Self

from qnet.ids import NodeId, OpId, PairId, RequestId, SlotId
from qnet.layers import link as service
from qnet.layers import physical
from qnet.machine import (
    Abort,
    Acquire,
    Acquired,
    Applied,
    Apply,
    Attempt,
    DeadlineReached,
    Indicate,
    Indicated,
    Release,
    Request,
    Requested,
    Send,
    Withdraw,
)
from qnet.plan import LinkPlan
from qnet.plugins import find
from qnet.program import Gate
from qnet.randomness import keyed_bits
from qnet.seams import EndContext, LinkProtocol, StationContext
from qnet.testing.conformance.faults import ALICE, BOB, STATION, NodeFault, Plan
from qnet.testing.conformance.matter import Arm, Luck, Matter
from qnet.testing.conformance.parts import Event, Line, Node, Violation
from qnet.testing.conformance.post import COURIER, Fate, Post, Spells
from qnet.testing.conformance.stage import MEMORY, PLATFORM, PURPOSE, SCHEME, link_plan, other
from qnet.units import Duration, Instant

STEPS: Final = 20_000
"""Instants within which a bench must come to rest; usual are some hundreds."""


class Bench:
    """The network.

    Args:
        protocol: under test.
        slots: communication slots of alice and of bob.
        memory: memory slots of alice and of bob.
        luck: what chance decides.
        fate: what happens to a message, besides ``faults``.
        faults: a fault plan.
        hold: how long the user keeps a pair before it releases it, in picoseconds.
        explore: order of what happens at one instant; 0 for the order of causes.
        changes: of the link's plan.
    """

    def __init__(
        self,
        protocol: LinkProtocol,
        *,
        slots: tuple[int, int] = (1, 1),
        memory: tuple[int, int] = (0, 0),
        luck: Luck | None = None,
        fate: Fate | None = None,
        faults: Plan = (),
        hold: Callable[[NodeId, service.Ok], int] = lambda _node, _ok: 0,
        explore: int = 0,
        **changes: Any,
    ) -> None:
        self.protocol = protocol
        self.plan: LinkPlan = link_plan(protocol=protocol.name, **changes)
        self.hold, self._explore = hold, explore
        self.scheme = find("qnet.heralding", SCHEME)
        outcomes = self.scheme.outcomes(self.plan.optics, self.scheme.parameters())
        labels = {one.pattern: one.label for one in outcomes}
        self.restarted: set[NodeId] = set()
        self.said: list[tuple[int, NodeId, Any]] = []
        self.lines: list[Line] = []
        self.truth: dict[tuple[NodeId, PairId], tuple[int, tuple[int, ...], int]] = {}
        self.created: list[tuple[NodeId, RequestId]] = []
        self.wanted: dict[RequestId, service.Create] = {}
        self.late: list[tuple[NodeId, Instant]] = []
        """Where a herald came for attempts that were given up, and when it had clicked."""
        self._heap: list[Event] = []
        self._order = 0
        self.nodes: dict[NodeId, Node] = {}
        self.matter = Matter(self.plan, self.nodes, labels, luck or Luck(), self.later)
        self._spells = Spells(faults)
        self._post = Post(
            self.plan,
            (*protocol.messages, *self.scheme.messages),
            faults=faults,
            fate=fate,
            clock=lambda: self.now,
            later=self.later,
            note=self._note,
            give=self._give,
        )
        self.sent, self.flights = self._post.sent, self._post.flights
        self.matter.report = lambda seen: self._post.arrive(STATION, "station", seen)
        for side, name in enumerate(self.plan.ends):
            free = {SlotId(slot): "" for slot in range(slots[side])}
            free |= {SlotId(MEMORY + slot): "" for slot in range(memory[side])}
            courier = self._post.courier(0)
            self.nodes[name] = Node(name, self._machines(name, 0), slots=free, courier=courier)
        self.nodes[STATION] = Node(STATION, self._machines(STATION, 0))
        for one in self._spells.all:
            self._schedule(one)

    @property
    def now(self) -> int:
        """The present instant."""
        return self.matter.now

    def _machines(self, name: NodeId, incarnation: int) -> dict[str, Any]:
        if name == STATION:
            return {"station": self.scheme.make_station(StationContext(self.plan, incarnation))}
        end = EndContext(name, self.plan, incarnation, (PLATFORM, PLATFORM))
        try:
            link = self.protocol.make_end(end)
        except Exception as error:
            words = f"{name} cannot be made: {type(error).__name__}: {error}"
            raise Violation("QN-LINK-8.1-1", words) from error
        return {"link": link, "physical": self.scheme.make_end(end)}

    # ------------------------------------------------------------ faults of nodes

    def _schedule(self, fault: NodeFault) -> None:
        match fault.what:
            case "crash":
                self.later(fault.start, lambda: self.crash(fault.node))
                self.later(fault.end, lambda: self.back(fault.node))
            case "full":
                self.later(fault.end, lambda: self._refill(fault.node))
            case _:
                pass

    def _refill(self, name: NodeId) -> None:
        self._assign(self.nodes[name])
        self._drain(self.nodes[name])

    def restart(self, at: int, name: NodeId) -> None:
        """``name`` loses its memory at ``at`` and is back at once."""

        def both() -> None:
            self.crash(name)
            self.back(name)

        self.later(at, both)

    def crash(self, name: NodeId) -> None:
        """Power off."""
        node = self.nodes[name]
        if not node.up:
            return
        self._note(name, "crashes")
        node.up = False
        self.restarted.add(name)
        if node.arm is not None:
            self.matter.abort(node, node.arm.op)
        node.machines, node.courier = {}, None
        for one in (node.queue, node.waiting, node.busy):
            one.clear()
        for slot in node.slots:
            node.slots[slot] = ""
            self.matter.empty(name, slot)

    def back(self, name: NodeId) -> None:
        """Power on; the other end hears of it one light time later, its user accepts again."""
        node = self.nodes[name]
        if node.up:
            return
        node.up = True
        node.incarnation += 1
        node.machines = self._machines(name, node.incarnation)
        self._note(name, f"is back, for the {node.incarnation}. time")
        if name == STATION:
            return
        peer = other(name)
        node.courier = self._post.courier(node.incarnation)
        self.later(self.now + self.plan.direct, lambda: self._hears(peer, name, node.incarnation))
        for purpose in tuple(node.accepted):
            self._give(name, "link", Requested(service.Accept(peer, purpose), "app"))

    def _hears(self, name: NodeId, peer: NodeId, incarnation: int) -> None:
        """``name`` hears that ``peer`` was restarted."""
        node = self.nodes[name]
        if node.up:
            node.queue += self._post.hears(node, peer, incarnation)
            self._drain(node)

    # ------------------------------------------------------------ driving

    def later(self, at: int, run: Callable[[], None], *, ranked: bool = False) -> Event:
        """Do ``run`` at ``at``; ``ranked`` if its order within the instant may be explored."""
        self._order += 1
        rank = 0
        if ranked and self._explore:
            rank = 1 + keyed_bits(self._explore, "conformance", "order", self._order)
        event = Event(at, rank, self._order, run)
        heapq.heappush(self._heap, event)
        return event

    def ask(self, at: int, node: NodeId, request: Any) -> None:
        """The user of ``node`` makes ``request`` at ``at``."""
        self.later(at, lambda: self._asked(node, request))

    def _asked(self, node: NodeId, request: Any) -> None:
        if isinstance(request, service.Accept):
            self.nodes[node].accepted[request.purpose] = None
        elif isinstance(request, service.StopAccepting):
            self.nodes[node].accepted.pop(request.purpose, None)
        self._give(node, "link", Requested(request, "app"))

    def create(
        self,
        at: int,
        node: NodeId,
        name: str,
        number: int = 1,
        max_time: int | Duration = 0,
        **fields: Any,
    ) -> RequestId:
        """CREATE by ``node`` towards the other end; the request's id."""
        request = RequestId(f"{node}/{name}")
        values: dict[str, Any] = {
            "minimum_fidelity": 0.5,
            "purpose": PURPOSE,
            "remote": other(node),
        } | fields
        create = service.Create(
            request=request, number=number, max_time=Duration(max_time), **values
        )
        self.created.append((node, request))
        self.wanted[request] = create
        self.ask(at, node, create)
        return request

    def accept(self, at: int = 0) -> None:
        """Both users accept the usual purpose."""
        for node in (ALICE, BOB):
            self.ask(at, node, service.Accept(other(node), PURPOSE))

    def run(self, until: int = 10**15, steps: int = STEPS) -> Self:
        """Run until nothing is due or ``until`` has passed.

        Raises:
            Violation: the machines do not come to rest, or go back in time.
        """
        for _ in range(steps):
            while self._heap and not self._heap[0].live:
                heapq.heappop(self._heap)
            times = [self._heap[0].at] if self._heap else []
            times += [due for due in map(self._due, self.nodes.values()) if due is not None]
            times += [due for due in map(self._repeats, self.nodes.values()) if due is not None]
            if not times or min(times) > until:
                return self
            at = min(times)
            if at < self.now:
                raise Violation("QN-LINK-8.1-2", f"a deadline must not lie in the past, {at} ps")
            self.matter.now = at
            self._instant()
        raise Violation("QN-LINK-8.1-3", f"no rest within {steps} instants, at {self.now} ps")

    def _instant(self) -> None:
        for _ in range(1_000):
            while self._heap and self._heap[0].at <= self.now:
                event = heapq.heappop(self._heap)
                if event.live:
                    event.run()
            fired = False
            for node in self.nodes.values():
                repeats = self._repeats(node)
                if repeats is not None and repeats <= self.now:
                    node.queue += self._post.repeat(node)
                    self._drain(node)
                    fired = True
                for name, machine in list(node.machines.items()):
                    due = machine.next_deadline()
                    if due is not None and due <= self.now:
                        self._give(node.name, name, DeadlineReached())
                        fired = True
            if not fired and not (self._heap and self._heap[0].at <= self.now):
                return
        raise Violation("QN-LINK-8.1-2", f"instant {self.now} ps must end")

    @staticmethod
    def _due(node: Node) -> int | None:
        dues = [machine.next_deadline() for machine in node.machines.values()]
        return min((due for due in dues if due is not None), default=None)

    @staticmethod
    def _repeats(node: Node) -> int | None:
        return None if node.courier is None else node.courier.next_deadline()

    def _give(self, name: NodeId, machine: str, event: Any) -> None:
        node = self.nodes[name]
        if node.up:
            node.queue += [(machine, event)] if machine != COURIER else self._post.take(node, event)
            self._drain(node)

    def _drain(self, node: Node) -> None:
        while node.queue:
            name, event = node.queue.popleft()
            if name == "app":
                self._app(node, event.indication)
                continue
            late = getattr(event, "indication", None)
            if isinstance(late, physical.HeraldedLate):
                self.late.append((node.name, late.clicked_at))
            for effect in self._handle(node, name, event):
                self._perform(node, name, effect)

    def _handle(self, node: Node, name: str, event: Any) -> Any:
        try:
            return node.machines[name].handle(event, Instant(self.now))
        except Exception as error:
            if name != "link":
                # The layers below are right: they were used against their rules.
                raise Violation("QN-LINK-5.1-5", f"{type(error).__name__}: {error}") from error
            what = f"{type(error).__name__}: {error} on {event!r}"
            raise Violation("QN-LINK-8.1-1", what) from error

    def _app(self, node: Node, indication: Any) -> None:
        self.said.append((self.now, node.name, indication))
        self._note(node.name, f"user hears {indication!r}")
        if not isinstance(indication, service.Ok):
            return
        slot, pair = indication.slot, indication.pair
        half = self.matter.half(node.name, slot)
        if half is not None:
            self.truth.setdefault((node.name, pair), (half.pair, tuple(half.label), self.now))
        if node.slots.get(slot) != "app":
            raise Violation("QN-LINK-2.2-6", f"{node.name}: slot {slot} of {pair} did not pass up")
        born = node.incarnation

        def release() -> None:
            if node.up and node.incarnation == born:
                self._perform(node, "app", Release(slot))
                self._drain(node)

        self.later(self.now + self.hold(node.name, indication), release)

    def _note(self, node: NodeId, what: str) -> None:
        self.lines.append(Line(self.now, node, what))

    # ------------------------------------------------------------ effects

    def _perform(self, node: Node, who: str, effect: Any) -> None:
        match effect:
            case Send(target, message):
                self._post.send(node, target, message)
            case Request(request):
                slot = getattr(request, "slot", None)
                if slot is not None:
                    self._move(node, who, "physical", slot)
                node.queue.append(("physical", Requested(request, who)))
            case Indicate(indication, slots):
                above = "link" if who == "physical" else "app"
                for slot in slots:
                    self._move(node, who, above, slot)
                node.queue.append((above, Indicated(indication, who)))
            case Acquire():
                node.waiting.append(effect)
                self._assign(node)
            case Withdraw(token):
                node.waiting = [want for want in node.waiting if want.token != token]
            case Release(slot):
                if any(slot in slots for slots in node.busy.values()):
                    raise Violation("QN-LINK-5.1-3", f"{node.name} releases busy slot {slot}")
                self._move(node, who, "", slot)
                self.matter.empty(node.name, slot)
                self._assign(node)
            case Apply(op, program):
                self._apply(node, who, op, program.instructions)
            case Attempt(op, _, slot, until):
                if node.slots[slot] != who or node.arm is not None:
                    raise Violation(
                        "QN-LINK-5.1-5", f"{node.name} is armed already, or {slot} not held"
                    )
                self.matter.empty(node.name, slot)
                node.arm = Arm(op, slot, until)
                self.matter.begin()
            case Abort(op):
                self.matter.abort(node, op)
            case _:
                raise Violation("QN-LINK-8.1-1", f"{node.name}: unknown effect {effect!r}")

    @staticmethod
    def _move(node: Node, giver: str, taker: str, slot: SlotId) -> None:
        holder = node.slots.get(slot)
        if holder != giver:
            words = f"{node.name}: {giver} gives slot {slot} away, which {holder or 'nobody'} holds"
            raise Violation("QN-LINK-5.1-1", words)
        node.slots[slot] = taker

    def _assign(self, node: Node) -> None:
        if self._spells.get("full", node.name, self.now) is not None:
            return
        for slot, holder in node.slots.items():
            role = "memory" if slot >= MEMORY else "communication"
            wants = [want for want in node.waiting if want.role == role]
            if not holder and wants:
                node.waiting.remove(wants[0])
                node.slots[slot] = "link"
                node.queue.append(("link", Acquired(wants[0].token, slot)))

    def _apply(self, node: Node, who: str, op: OpId, instructions: tuple[Any, ...]) -> None:
        outcomes: list[int] = []
        slots: list[SlotId] = []
        duration = 0
        slow = self._spells.get("slow", node.name, self.now)
        for step in instructions:
            named = step.slots if isinstance(step, Gate) else (getattr(step, "slot", None),)
            touched = tuple(slot for slot in named if slot is not None)
            if any(node.slots.get(slot) != who for slot in touched):
                raise Violation(
                    "QN-LINK-5.1-1", f"{node.name}: {step!r} on a slot it does not hold"
                )
            slots += touched
            duration += self.matter.step(node.name, step, outcomes)
        node.busy[op] = tuple(slots)
        born = node.incarnation

        def ended() -> None:
            if node.up and node.incarnation == born:
                del node.busy[op]
                self._give(node.name, who, Applied(op, tuple(outcomes)))

        late = slow.by if slow is not None else 0
        self.later(self.now + duration + late, ended, ranked=True)

    # ------------------------------------------------------------ looking

    @property
    def at_rest(self) -> bool:
        """Nothing is under way and no deadline of a machine is due."""
        waits = any(event.live for event in self._heap)
        return not waits and all(self._due(node) is None for node in self.nodes.values())

    def heard(self, node: NodeId, kind: type[Any] | tuple[type[Any], ...] = object) -> list[Any]:
        """What the user of ``node`` was told, in order."""
        return [what for _, who, what in self.said if who == node and isinstance(what, kind)]

    def messages(self, kind: type[Any] | tuple[type[Any], ...]) -> list[Any]:
        """All messages of one kind that were sent."""
        return [message for *_, message in self.sent if isinstance(message, kind)]

    def announced(self, node: NodeId) -> dict[PairId, Any]:
        """Pairs announced at ``node`` and not declared expired."""
        oks = {ok.pair: ok for ok in self.heard(node, (service.Ok, service.OkMeasured))}
        for gone in self.heard(node, service.Expired):
            for pair in gone.pairs:
                oks.pop(pair, None)
        return oks
