"""The floor of every virtual bench: nodes with machines and users, on one heap of events.

Theory
    The rules are those of the runtime: messages and results of an instant first, then deadlines
    until no machine has one that is due; inside a node effects are performed in order and what they
    cause is queued. What a machine must never do raises :class:`Violation` with the requirement of the
    layer under test: sections 5 (slots), 7.2 (messages) and 8 (the machine) have the same numbers in
    the specification of every layer with machines.

    ``explore`` chooses the order in which messages and results of one instant are heard: any order
    is right.
Late, early, impossible
    A message that was sent before its sender's crash may arrive after the news of it.
Units
    Picoseconds.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Self

from qnet.ids import NodeId, OpId, PairId, RequestId, SlotId
from qnet.layers import link as service
from qnet.machine import (
    Acquire,
    Acquired,
    Applied,
    Apply,
    DeadlineReached,
    Indicate,
    Indicated,
    Release,
    Request,
    Requested,
    Send,
    Withdraw,
)
from qnet.program import Gate
from qnet.randomness import keyed_bits
from qnet.testing.conformance.faults import NodeFault, Plan
from qnet.testing.conformance.parts import Event, Hung, Line, Node, NotApplicable, Violation
from qnet.testing.conformance.post import COURIER, Spells
from qnet.testing.conformance.seen import Seen
from qnet.testing.conformance.stage import MEMORY, PURPOSE
from qnet.testing.conformance.watchdog import Endless
from qnet.units import Duration, Instant

STEPS: Final = 20_000
"""Instants within which a bench must come to rest; usual are some hundreds."""

Hold = Callable[[NodeId, service.Ok], int]
"""How long the user of a node keeps a pair before it releases it."""


class Floor(Seen, ABC):
    """A network in memory. A bench says which machines its nodes have, and what their effects do.

    Args:
        layer: under test: prefix of the requirements, and name of the machine that users ask.
        faults: a fault plan.
        hold: see :data:`Hold`.
        explore: order of what happens at one instant; 0 for the order of causes.
        post: carries the messages; made by the bench, which calls :meth:`open` when its nodes are there.
    """

    def __init__(self, layer: str, *, faults: Plan, hold: Hold, explore: int) -> None:
        super().__init__()
        self.layer = layer
        self.hold, self._explore = hold, explore
        self.faults, self.longest_hold = faults, 0
        self.most_pairs: int | None = None
        """Limit of one request, where the target's profile has one."""
        self.asked: list[tuple[int, NodeId, Any]] = []
        """What users ask: (instant, node, request), as the case said it."""
        self.now = 0
        self.ends: tuple[NodeId, ...] = ()
        """Nodes with users."""
        self.restarted: set[NodeId] = set()
        self.created: list[tuple[NodeId, RequestId]] = []
        self.wanted: dict[RequestId, service.Create] = {}
        self.early: dict[tuple[NodeId, PairId], service.Early] = {}
        """Halves that users got before they know their pair."""
        self._order = 0
        self.spells = Spells(faults)

    def rule(self, number: str) -> str:
        """The requirement of that number of the layer under test."""
        return f"QN-{self.layer.upper()}-{number}"

    def violation(self, number: str, words: str) -> Violation:
        """The machine under test has broken requirement ``number``."""
        return Violation(self.rule(number), words)

    # ------------------------------------------------------------ what a bench is

    @abstractmethod
    def make(self, name: NodeId, incarnation: int) -> dict[str, Any]:
        """The machines of a node."""

    @abstractmethod
    def serve(self, node: NodeId, who: str, request: Request) -> None:
        """Machine ``who`` asks the machine below it."""

    @abstractmethod
    def above(self, who: str) -> str:
        """Who hears what machine ``who`` indicates: a machine, or "app"."""

    @abstractmethod
    def step(self, node: NodeId, op: OpId, instruction: Any, outcomes: list[int]) -> int:
        """Perform one instruction of a program; its duration."""

    @abstractmethod
    def empty(self, node: NodeId, slot: SlotId) -> None:
        """Discard the qubit in a slot."""

    @abstractmethod
    def neighbours(self, name: NodeId) -> tuple[NodeId, ...]:
        """Nodes that hear of it when ``name`` is back."""

    @abstractmethod
    def light_time(self, source: NodeId, target: NodeId) -> int:
        """How long a message takes."""

    def perform_other(self, node: Node, who: str, effect: Any) -> None:
        """An effect that only some benches know."""
        raise self.violation("8.1-1", f"{node.name}: {who} must not say {effect!r}")

    def role_of(self, node: NodeId, slot: SlotId) -> str:  # noqa: ARG002
        """Of communication or memory."""
        return "memory" if slot >= MEMORY else "communication"

    def announced_at(self, node: Node, ok: service.Ok) -> None:
        """The user of ``node`` has got a half."""

    def released(self, node: Node, who: str, slot: SlotId) -> None:
        """``who`` releases a slot, which may be busy."""
        self.move(node, who, "", slot)
        self.empty(node.name, slot)
        self.assign(node)

    def crashed(self, node: Node) -> None:
        """Its machines are gone."""

    def remote(self, node: NodeId, request: RequestId) -> NodeId:
        """The other end of a request."""
        create = self.wanted[request]
        origin = NodeId(request.partition("/")[0])
        return create.remote if node == origin else origin

    # ------------------------------------------------------------ faults of nodes

    def schedule(self) -> None:
        """Put the faults of nodes on the agenda."""
        for one in self.spells.all:
            if one.node in self.nodes:
                self._schedule(one)

    def _schedule(self, fault: NodeFault) -> None:
        match fault.what:
            case "crash":
                self.later(fault.start, lambda: self.crash(fault.node))
                self.later(fault.end, lambda: self.back(fault.node))
            case "full":
                self.later(fault.end, lambda: self.refill(fault.node))
            case _:
                pass

    def refill(self, name: NodeId) -> None:
        """A node gives away slots again."""
        self.assign(self.nodes[name])
        self.drain(self.nodes[name])

    def restart(self, at: int, name: NodeId) -> None:
        """``name`` loses its memory at ``at`` and is back at once."""

        def both() -> None:
            self.crash(name)
            self.back(name)

        self.later(at, both)

    def crash(self, name: NodeId) -> None:
        """Power off: the machines and all qubits are gone, attempts stop, nothing is heard."""
        node = self.nodes[name]
        if not node.up:
            return
        self.note(name, "crashes")
        node.up = False
        self.restarted.add(name)
        self.crashed(node)
        node.machines, node.courier = {}, None
        for one in (node.queue, node.waiting, node.busy):
            one.clear()
        for slot in node.slots:
            node.slots[slot] = ""
            self.empty(name, slot)

    def back(self, name: NodeId) -> None:
        """Power on; the neighbours hear of it one light time later, its user accepts again."""
        node = self.nodes[name]
        if node.up:
            return
        node.up = True
        node.incarnation += 1
        node.machines = self.make(name, node.incarnation)
        self.note(name, f"is back, for the {node.incarnation}. time")
        peers = self.neighbours(name)
        if not peers:
            return
        node.courier = self.post.courier(name, node.incarnation)
        for peer in peers:
            self._tell(peer, name, node.incarnation)
            if self.nodes[peer].up and self.nodes[peer].incarnation:
                self._tell(name, peer, self.nodes[peer].incarnation)
        for remote, purpose in tuple(node.accepted):
            self.give(name, self.layer, Requested(service.Accept(remote, purpose), "app"))

    def _tell(self, peer: NodeId, name: NodeId, incarnation: int) -> None:
        at = self.now + self.light_time(name, peer)
        self.later(at, lambda: self.hears(peer, name, incarnation))

    def hears(self, name: NodeId, peer: NodeId, incarnation: int) -> None:
        """``name`` hears that ``peer`` was restarted."""
        node = self.nodes[name]
        if node.up:
            node.queue += self.post.hears(node, peer, incarnation)
            self.drain(node)

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
        self.asked.append((at, node, request))
        self.later(at, lambda: self._asked(node, request))

    def _asked(self, node: NodeId, request: Any) -> None:
        accepted = self.nodes[node].accepted
        if isinstance(request, service.Accept):
            accepted[request.remote, request.purpose] = None
        elif isinstance(request, service.StopAccepting):
            accepted.pop((request.remote, request.purpose), None)
        self.give(node, self.layer, Requested(request, "app"))

    def create(
        self,
        at: int,
        node: NodeId,
        name: str,
        number: int = 1,
        max_time: int | Duration = 0,
        **fields: Any,
    ) -> RequestId:
        """CREATE by ``node``, towards the other end unless ``fields`` say more; the request's id."""
        if self.most_pairs is not None and number > self.most_pairs:
            raise NotApplicable(f"asks for {number} pairs, the profile has {self.most_pairs}")
        request = RequestId(f"{node}/{name}")
        other = next(end for end in self.ends if end != node)
        values: dict[str, Any] = {
            "minimum_fidelity": 0.5,
            "purpose": PURPOSE,
            "remote": other,
        } | fields
        create = service.Create(
            request=request, number=number, max_time=Duration(max_time), **values
        )
        self.created.append((node, request))
        self.wanted[request] = create
        self.ask(at, node, create)
        return request

    def accept(self, at: int = 0) -> None:
        """All users accept the usual purpose of each other."""
        for node in self.ends:
            for remote in self.ends:
                if remote != node:
                    self.ask(at, node, service.Accept(remote, PURPOSE))

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
                raise self.violation("8.1-2", f"a deadline must not lie in the past, {at} ps")
            self.now = at
            self._instant()
        raise self.violation("8.1-3", f"no rest within {steps} instants, at {self.now} ps")

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
                    node.queue += self.post.repeat(node)
                    self.drain(node)
                    fired = True
                for name, machine in list(node.machines.items()):
                    due = machine.next_deadline()
                    if due is not None and due <= self.now:
                        self.give(node.name, name, DeadlineReached())
                        fired = True
            if not fired and not (self._heap and self._heap[0].at <= self.now):
                return
        raise self.violation("8.1-2", f"instant {self.now} ps must end")

    @staticmethod
    def _repeats(node: Node) -> int | None:
        return None if node.courier is None else node.courier.next_deadline()

    def give(self, name: NodeId, machine: str, event: Any) -> None:
        """Hand an event to a machine of a node, and perform what follows."""
        node = self.nodes[name]
        if node.up:
            node.queue += [(machine, event)] if machine != COURIER else self.post.take(node, event)
            self.drain(node)

    def drain(self, node: Node) -> None:
        """Handle what is queued at a node."""
        while node.queue:
            name, event = node.queue.popleft()
            if name == "app":
                self._app(node, event.indication)
                continue
            for effect in self.handle(node, name, event):
                self._perform(node, name, effect)

    def handle(self, node: Node, name: str, event: Any) -> Any:
        """One step of one machine."""
        try:
            return tuple(node.machines[name].handle(event, Instant(self.now)))
        except Endless as late:
            words = f"{node.name}: {name}: {late} to {event!r} at {self.now} ps"
            raise Hung(self.rule("8.1-2"), words) from late
        except Exception as error:
            if name != self.layer:
                # The layers below are right: they were used against their rules.
                raise self.violation("5.1-5", f"{type(error).__name__}: {error}") from error
            what = f"{type(error).__name__}: {error} on {event!r}"
            raise self.violation("8.1-1", what) from error

    def _app(self, node: Node, indication: Any) -> None:
        self.said.append((self.now, node.name, indication))
        self.note(node.name, f"user hears {indication!r}")
        if isinstance(indication, service.Early):
            self.early[node.name, indication.token] = indication
        if isinstance(indication, service.Expired):
            self._void(node, indication)
        if not isinstance(indication, service.Ok):
            return
        slot, pair = indication.slot, indication.pair
        if indication.kind == "E":
            self.early = {
                key: one
                for key, one in self.early.items()
                if key[0] != node.name or one.slot != slot
            }
        self.announced_at(node, indication)
        if node.slots.get(slot) != "app":
            raise self.violation("2.2-6", f"{node.name}: slot {slot} of {pair} did not pass up")
        born = node.incarnation

        def release() -> None:
            if node.up and node.incarnation == born:
                self._perform(node, "app", Release(slot))
                self.drain(node)

        kept = self.hold(node.name, indication)
        self.longest_hold = max(self.longest_hold, kept)
        self.later(self.now + kept, release)

    def _void(self, node: Node, expired: service.Expired) -> None:
        """The user gives back the halves that it got early and that are worthless."""
        for pair in expired.pairs:
            one = self.early.pop((node.name, pair), None)
            if one is not None and node.slots.get(one.slot) == "app":
                self._perform(node, "app", Release(one.slot))

    def note(self, node: NodeId, what: str) -> None:
        """Write down what happened."""
        self.lines.append(Line(self.now, node, what))

    # ------------------------------------------------------------ effects

    def _perform(self, node: Node, who: str, effect: Any) -> None:
        match effect:
            case Send(target, message):
                self.post.send(node, target, message)
            case Request():
                self.serve(node.name, who, effect)
            case Indicate(indication, slots):
                above = self.above(who)
                for slot in slots:
                    self.move(node, who, above, slot)
                node.queue.append((above, Indicated(indication, who)))
            case Acquire():
                node.waiting.append(effect)
                self.assign(node)
            case Withdraw(token):
                node.waiting = [want for want in node.waiting if want.token != token]
            case Release(slot):
                self.released(node, who, slot)
            case Apply(op, program):
                self._apply(node, who, op, program.instructions)
            case _:
                self.perform_other(node, who, effect)

    def move(self, node: Node, giver: str, taker: str, slot: SlotId) -> None:
        """A slot passes from one holder to another."""
        holder = node.slots.get(slot)
        if holder != giver:
            words = f"{node.name}: {giver} gives slot {slot} away, which {holder or 'nobody'} holds"
            raise self.violation("5.1-1", words)
        node.slots[slot] = taker

    def assign(self, node: Node) -> None:
        """Give free slots to the machine that asks for them."""
        if self.spells.get("full", node.name, self.now) is not None:
            return
        for slot, holder in node.slots.items():
            role = self.role_of(node.name, slot)
            wants = [want for want in node.waiting if want.role == role]
            if not holder and wants:
                node.waiting.remove(wants[0])
                node.slots[slot] = self.layer
                node.queue.append((self.layer, Acquired(wants[0].token, slot)))

    def _apply(self, node: Node, who: str, op: OpId, instructions: tuple[Any, ...]) -> None:
        outcomes: list[int] = []
        slots: list[SlotId] = []
        duration = 0
        slow = self.spells.get("slow", node.name, self.now)
        for step in instructions:
            named = step.slots if isinstance(step, Gate) else (getattr(step, "slot", None),)
            touched = tuple(slot for slot in named if slot is not None)
            if any(node.slots.get(slot) != who for slot in touched):
                words = f"{node.name}: {step!r} on a slot it does not hold"
                raise self.violation("5.1-1", words)
            slots += touched
            duration += self.step(node.name, op, step, outcomes)
        node.busy[op] = tuple(slots)
        born = node.incarnation

        def ended() -> None:
            if node.up and node.incarnation == born:
                self.ended(node, op)
                self.give(node.name, who, Applied(op, tuple(outcomes)))

        late = slow.by if slow is not None else 0
        self.later(self.now + duration + late, ended, ranked=True)

    def ended(self, node: Node, op: OpId) -> None:
        """A program has ended."""
        del node.busy[op]
