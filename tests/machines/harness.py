"""Two ends, their station and a fake optics in memory, on one heap of timed events.

The rules are those of the runtime: messages and results of an instant first, then deadlines until
no
machine has one that is due; inside a node effects are performed in order and what they cause is
queued.
The fake optics knows which physical pair sits in which slot, so that a test can compare what the
two ends
announced with the truth.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.ids import AttemptId, LinkId, NodeId, PairId, RequestId, SlotId
from qnet.layers import link as service
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
    Observed,
    PeerLost,
    Received,
    Release,
    Request,
    Requested,
    Send,
    Withdraw,
)
from qnet.plan import Estimate, LinkOptics, LinkPlan
from qnet.plugins import find
from qnet.program import Draw, Gate, Initialise, Measure
from qnet.seams import EndContext, StationContext
from qnet.units import Duration, Instant
from qnet_protocols.heralding.double_click import LABELS, SCHEME

ALICE, BOB, STATION = NodeId("alice"), NodeId("bob"), NodeId("station")
LINK = LinkId("alice-bob")
NANOSECOND = 1_000
FLIGHTS = (3_000 * NANOSECOND, 5_000 * NANOSECOND)
CYCLE = 20_000 * NANOSECOND
PATTERNS = tuple(LABELS)

PLATFORM = Platform(
    "test",
    2,
    4,
    Coherence(),
    Coherence(),
    Operation(0.2e-6),
    Operation(1e-6),
    Operation(0.5e-6),
    Readout(3e-6),
    Emission(1.55e-6, 1.0, 20e-6),
)
"""Processor of both ends."""

MEMORY = 100
"""Number of the first memory slot."""

Fault = Callable[[NodeId, NodeId, Any, int], tuple[int, ...]]
"""(source, target, message, how many before it) -> extra delays of its copies; () loses it."""


def link_plan(**changes: Any) -> LinkPlan:
    """A link whose arms, gates and rates differ from each other."""
    fields: dict[str, Any] = {
        "name": LINK,
        "ends": (ALICE, BOB),
        "station": STATION,
        "scheme": "double-click",
        "scheme_parameters": {},
        "protocol": "egp",
        "protocol_parameters": {},
        "optics": LinkOptics(0.5, 0.4),
        "flights": FLIGHTS,
        "direct": Duration(sum(FLIGHTS)),
        "cycle": Duration(CYCLE),
        "preparation": Duration(1_000 * NANOSECOND),
        "correction": (200 * NANOSECOND, 300 * NANOSECOND),
        "estimate": Estimate(0.2, Duration(CYCLE), 0.95, 0.94, 0.005, 1e4, (0.92, 0.92, 0.92)),
    }
    return LinkPlan(**{**fields, **changes})


def context(node: NodeId, **changes: Any) -> EndContext:
    """What the machines at ``node`` know."""
    return EndContext(node, link_plan(**changes))


@dataclass
class Arm:
    op: str
    slot: SlotId
    until: Instant | None


@dataclass
class Half:
    """One half of a physical pair in a slot."""

    pair: int
    label: list[int]
    """Shared by both halves: the Bell label, changed by corrections."""
    bits: dict[str, int]
    """Shared: outcome of the half that was measured first, by basis."""


@dataclass
class Node:
    name: NodeId
    machines: dict[str, Any]
    incarnation: int = 0
    slots: dict[SlotId, str] = field(default_factory=dict)
    waiting: list[Acquire] = field(default_factory=list)
    queue: deque[tuple[str, Any]] = field(default_factory=deque)
    arm: Arm | None = None
    busy: dict[str, tuple[SlotId, ...]] = field(default_factory=dict)


@dataclass(order=True)
class Event:
    at: int
    order: int
    run: Callable[[], None] = field(compare=False)
    live: bool = field(default=True, compare=False)


class Net:
    """The network.

    Args:
        slots: communication slots of alice and of bob.
        success: number of the run -> index (from 1) of its first successful attempt.
        pattern: number of the run -> click pattern.
        fault: what happens to a message.
        memory: memory slots of alice and of bob.
        hold: how long the application keeps a pair before it releases it, in picoseconds.
    """

    def __init__(
        self,
        *,
        slots: tuple[int, int] = (1, 1),
        memory: tuple[int, int] = (0, 0),
        success: Callable[[int], int] = lambda run: 1 + run % 3,
        pattern: Callable[[int], tuple[int, ...]] = lambda run: PATTERNS[run % 4],
        fault: Fault | None = None,
        hold: Callable[[NodeId, service.Ok], int] = lambda node, ok: 0,
        **changes: Any,
    ) -> None:
        self.plan = link_plan(**changes)
        self.restarted: set[NodeId] = set()
        self.now = 0
        self.success, self.pattern, self.fault, self.hold = success, pattern, fault, hold
        self.said: list[tuple[int, NodeId, Any]] = []
        self.sent: list[tuple[int, NodeId, NodeId, Any]] = []
        self._counts: Counter[type] = Counter()
        self.content: dict[tuple[NodeId, SlotId], Half] = {}
        self.truth: dict[tuple[NodeId, PairId], tuple[int, tuple[int, ...], int]] = {}
        self.created: list[tuple[NodeId, RequestId]] = []
        self.runs = 0
        self.draws = 0
        self.click: tuple[Event, int, dict[NodeId, Arm]] | None = None
        self._heap: list[Event] = []
        self._order = 0
        self.nodes: dict[NodeId, Node] = {}
        for side, name in enumerate(self.plan.ends):
            free = {SlotId(slot): "" for slot in range(slots[side])}
            free |= {SlotId(MEMORY + slot): "" for slot in range(memory[side])}
            self.nodes[name] = Node(name, self._machines(name, 0), slots=free)
        self.nodes[STATION] = Node(
            STATION, {"station": SCHEME.make_station(StationContext(self.plan))}
        )

    def _machines(self, name: NodeId, incarnation: int) -> dict[str, Any]:
        end = EndContext(name, self.plan, incarnation, (PLATFORM, PLATFORM))
        protocol = find("qnet.links", self.plan.protocol)
        return {"link": protocol.make_end(end), "physical": SCHEME.make_end(end)}

    def restart(self, at: int, name: NodeId) -> None:
        """``name`` loses its memory and comes back at once; the other end hears of it."""
        self.later(at, lambda: self._restarted(name))

    def _restarted(self, name: NodeId) -> None:
        node = self.nodes[name]
        node.incarnation += 1
        self.restarted.add(name)
        if node.arm is not None:
            self._abort(node, node.arm.op)
        node.queue.clear()
        node.waiting.clear()
        node.busy.clear()
        for slot in node.slots:
            node.slots[slot] = ""
            self._empty(node, slot)
        node.machines = self._machines(name, node.incarnation)
        other = BOB if name == ALICE else ALICE
        self._give(other, "link", PeerLost(name, True))
        self._give(name, "link", Requested(service.Accept(other, 7)))

    # ------------------------------------------------------------ driving

    def later(self, at: int, run: Callable[[], None]) -> Event:
        self._order += 1
        event = Event(at, self._order, run)
        heapq.heappush(self._heap, event)
        return event

    def ask(self, at: int, node: NodeId, request: Any) -> None:
        """The application of ``node`` makes ``request`` at ``at``."""
        self.later(at, lambda: self._give(node, "link", Requested(request)))

    def create(
        self, at: int, node: NodeId, name: str, number: int = 1, max_time: int = 0, **fields: Any
    ) -> RequestId:
        """CREATE by ``node`` towards the other end."""
        request = RequestId(f"{node}/{name}")
        self.created.append((node, request))
        remote = BOB if node == ALICE else ALICE
        values = {"minimum_fidelity": 0.5, "purpose": 7, "remote": remote} | fields
        self.ask(
            at,
            node,
            service.Create(request=request, number=number, max_time=Duration(max_time), **values),
        )
        return request

    def accept(self, at: int = 0) -> None:
        """Both applications accept purpose 7."""
        self.ask(at, ALICE, service.Accept(BOB, 7))
        self.ask(at, BOB, service.Accept(ALICE, 7))

    def run(self, until: int = 10**15, steps: int = 100_000) -> Net:
        """Run until nothing is due or ``until`` has passed."""
        for _ in range(steps):
            while self._heap and not self._heap[0].live:
                heapq.heappop(self._heap)
            times = [self._heap[0].at] if self._heap else []
            times += [due for due in map(self._due, self.nodes.values()) if due is not None]
            if not times or min(times) > until:
                return self
            at = min(times)
            assert at >= self.now, f"deadline {at} lies before {self.now}"
            self.now = at
            self._instant()
        raise AssertionError(f"network must come to rest within {steps} instants, at {self.now}")

    def _instant(self) -> None:
        for _ in range(1_000):
            while self._heap and self._heap[0].at <= self.now:
                event = heapq.heappop(self._heap)
                if event.live:
                    event.run()
            fired = False
            for node in self.nodes.values():
                for name, machine in node.machines.items():
                    due = machine.next_deadline()
                    if due is not None and due <= self.now:
                        self._give(node.name, name, DeadlineReached())
                        fired = True
            if not fired and not (self._heap and self._heap[0].at <= self.now):
                return
        raise AssertionError(f"instant {self.now} must end")

    @staticmethod
    def _due(node: Node) -> int | None:
        dues = [machine.next_deadline() for machine in node.machines.values()]
        return min((due for due in dues if due is not None), default=None)

    def _give(self, node_name: NodeId, machine: str, event: Any) -> None:
        node = self.nodes[node_name]
        node.queue.append((machine, event))
        self._drain(node)

    def _drain(self, node: Node) -> None:
        while node.queue:
            name, event = node.queue.popleft()
            if name == "app":
                self._app(node, event.indication)
                continue
            for effect in node.machines[name].handle(event, Instant(self.now)):
                self._perform(node, name, effect)

    def _app(self, node: Node, indication: Any) -> None:
        self.said.append((self.now, node.name, indication))
        if not isinstance(indication, service.Ok):
            return
        slot = indication.slot
        half = self.content.get((node.name, slot))
        if half is not None:
            self.truth[node.name, indication.pair] = (half.pair, tuple(half.label), self.now)

        born = node.incarnation

        def release() -> None:
            if node.incarnation != born:
                return
            self._perform(node, "app", Release(slot))
            self._drain(node)

        self.later(self.now + self.hold(node.name, indication), release)

    # ------------------------------------------------------------ effects

    def _perform(self, node: Node, who: str, effect: Any) -> None:
        match effect:
            case Send(target, message):
                self._send(node.name, target, message)
            case Request(request):
                slot = getattr(request, "slot", None)
                if slot is not None:
                    self._move(node, who, "physical", slot)
                node.queue.append(("physical", Requested(request)))
            case Indicate(indication, slots):
                above = "link" if who == "physical" else "app"
                for slot in slots:
                    self._move(node, who, above, slot)
                node.queue.append((above, Indicated(indication)))
            case Acquire():
                node.waiting.append(effect)
                self._assign(node)
            case Withdraw(token):
                node.waiting = [want for want in node.waiting if want.token != token]
            case Release(slot):
                taken = [one for slots in node.busy.values() for one in slots]
                assert slot not in taken, f"{node.name} releases a busy slot"
                self._move(node, who, "", slot)
                self._empty(node, slot)
                self._assign(node)
            case Apply(op, program):
                self._apply(node, who, op, program.instructions)
            case Attempt(op, _, slot, until):
                assert node.slots[slot] == who
                assert node.arm is None, f"{node.name} is armed already"
                self._empty(node, slot)
                node.arm = Arm(op, slot, until)
                self._begin()
            case Abort(op):
                self._abort(node, op)
            case _:
                raise AssertionError(effect)

    def _move(self, node: Node, giver: str, taker: str, slot: SlotId) -> None:
        assert node.slots[slot] == giver, f"{giver} does not hold {slot}: {node.slots}"
        node.slots[slot] = taker

    def _assign(self, node: Node) -> None:
        for slot, holder in node.slots.items():
            role = "memory" if slot >= MEMORY else "communication"
            wants = [want for want in node.waiting if want.role == role]
            if not holder and wants:
                node.waiting.remove(wants[0])
                node.slots[slot] = "link"
                node.queue.append(("link", Acquired(wants[0].token, slot)))

    def _send(self, source: NodeId, target: NodeId, message: Any) -> None:
        body = msgspec.msgpack.encode(message)
        decoded = msgspec.msgpack.decode(body, type=type(message))
        assert decoded == message
        count = self._counts[type(message)]
        self._counts[type(message)] += 1
        self.sent.append((self.now, source, target, message))
        ends = self.plan.ends
        if STATION in (source, target):
            end = target if source == STATION else source
            delay = self.plan.flights[ends.index(end)]
        else:
            delay = self.plan.direct
        extras = (0,) if self.fault is None else self.fault(source, target, message, count)
        machine = "station" if target == STATION else message.kind.partition(".")[0]
        event = Received(source, message.kind, decoded, Instant(self.now))
        for extra in extras:
            self.later(self.now + delay + extra, lambda: self._give(target, machine, event))

    def _apply(self, node: Node, who: str, op: str, instructions: tuple[Any, ...]) -> None:
        outcomes: list[int] = []
        slots: list[SlotId] = []
        duration = 0
        for step in instructions:
            named = step.slots if isinstance(step, Gate) else (getattr(step, "slot", None),)
            touched = tuple(slot for slot in named if slot is not None)
            assert all(node.slots[slot] == who for slot in touched)
            slots += touched
            duration += self._step(node, step, outcomes)
        node.busy[op] = tuple(slots)
        born = node.incarnation

        def ended() -> None:
            if node.incarnation == born:
                del node.busy[op]
                self._give(node.name, who, Applied(op, tuple(outcomes)))

        self.later(self.now + duration, ended)

    def _step(self, node: Node, step: Any, outcomes: list[int]) -> int:
        """Perform one instruction; its duration."""
        match step:
            case Gate("SWAP", (first, second)):
                one = self.content.pop((node.name, first), None)
                other = self.content.pop((node.name, second), None)
                if one is not None:
                    self.content[node.name, second] = one
                if other is not None:
                    self.content[node.name, first] = other
                return 3_000_000
            case Gate(name, (slot,)) if name in ("X", "Y", "Z"):
                half = self.content.get((node.name, slot))
                if half is not None:
                    x, z = {"X": (1, 0), "Z": (0, 1), "Y": (1, 1)}[name]
                    half.label[0] ^= x
                    half.label[1] ^= z
                return self.plan.correction[self.plan.ends.index(node.name)]
            case Initialise(slot):
                self._empty(node, slot)
                return 500_000
            case Draw(weights):
                self.draws += 1
                outcomes.append((self.draws + self.draws // 2) % len(weights))
                return 0
            case Measure():
                several = step.choice is not None
                basis = step.bases[outcomes[step.choice]] if several else step.basis
                outcomes.append(self._read(node, step.slot, basis))
                return 3_200_000
        raise AssertionError(step)

    def _read(self, node: Node, slot: SlotId, basis: str) -> int:
        """The first half gives 0 and 1 in turn, the second in the same basis what the label says."""
        half = self.content.pop((node.name, slot), None)
        if half is None:
            return 0
        if basis not in half.bits:
            half.bits[basis] = half.pair % 2
            return half.bits[basis]
        x, z = half.label
        return half.bits[basis] ^ {"X": z, "Y": 1 ^ x ^ z, "Z": x}[basis]

    # ------------------------------------------------------------ optics

    def _empty(self, node: Node, slot: SlotId) -> None:
        self.content.pop((node.name, slot), None)

    def _begin(self) -> None:
        arms = {name: self.nodes[name].arm for name in self.plan.ends}
        if None in arms.values() or self.click is not None:
            return
        self.runs += 1
        cycle = self.plan.cycle
        start = -(-self.now // cycle) * cycle
        emitted = start + self.plan.preparation + (self.success(self.runs) - 1) * cycle
        armed = {name: arm for name, arm in arms.items() if arm is not None}
        if any(arm.until is not None and emitted >= arm.until for arm in armed.values()):
            return
        run = self.runs
        event = self.later(emitted + max(self.plan.flights), lambda: self._clicked(run, armed))
        self.click = (event, emitted, armed)

    def _abort(self, node: Node, op: str) -> None:
        if node.arm is None or node.arm.op != op:
            return
        node.arm = None
        if self.click is not None and self.click[1] >= self.now:
            self.click[0].live = False
            self.click = None

    def _clicked(self, run: int, armed: dict[NodeId, Arm]) -> None:
        self.click = None
        pattern = self.pattern(run)
        label: list[int] = list(LABELS[pattern])
        bits: dict[str, int] = {}
        for name, arm in armed.items():
            node = self.nodes[name]
            if node.arm is arm:
                node.arm = None
                self.content[name, arm.slot] = Half(run, label, bits)
        self._give(STATION, "station", Observed(LINK, pattern, Instant(self.now)))
        self._begin()

    # ------------------------------------------------------------ looking

    def heard(self, node: NodeId, kind: type[Any] | tuple[type[Any], ...] = object) -> list[Any]:
        """What the application of ``node`` was told, in order."""
        return [what for _, who, what in self.said if who == node and isinstance(what, kind)]

    def messages(self, kind: type[Any]) -> list[Any]:
        """All messages of one kind that were sent."""
        return [message for *_, message in self.sent if isinstance(message, kind)]

    def announced(self, node: NodeId) -> dict[PairId, Any]:
        """Pairs announced at ``node`` and not declared expired."""
        said = self.heard(node, (service.Ok, service.OkMeasured))
        oks = {ok.pair: ok for ok in said}
        assert len(oks) == len(said), "a pair was announced twice"
        for gone in self.heard(node, service.Expired):
            for pair in gone.pairs:
                oks.pop(pair, None)
        return oks

    def verify(self) -> None:
        """The invariants at rest: agreement, true pairs, one end per request, no slot leaks."""
        ours, theirs = self.announced(ALICE), self.announced(BOB)
        if not self.restarted:
            assert ours.keys() == theirs.keys(), (ours.keys(), theirs.keys())
        for pair in ours.keys() & theirs.keys():
            self._verify_pair(ours[pair], theirs[pair])
        for node in (ALICE, BOB):
            self._verify_ends(node)
            state = self.nodes[node].machines["link"].state
            assert (state.open, state.closing, state.measuring) == (0, 0, 0), state
            assert (state.returning, state.memory) == ((), ()), state
            assert set(self.nodes[node].slots.values()) == {""}, self.nodes[node].slots
            assert not self.nodes[node].waiting

    def _verify_pair(self, ok: Any, other: Any) -> None:
        assert ok.label == other.label
        assert (ok.request, ok.index, ok.kind) == (other.request, other.index, other.kind)
        assert ok.origin != other.origin
        measured = [isinstance(one, service.OkMeasured) for one in (ok, other)]
        if ok.kind == "K":
            assert not any(measured)
            assert ok.goodness_at == other.goodness_at
            truth = self.truth[ALICE, ok.pair]
            assert truth == self.truth[BOB, ok.pair]
            assert truth[1:] == (ok.label, ok.goodness_at)
        elif ok.kind == "R":
            assert measured == [ok.origin, other.origin]
        else:
            assert all(measured)
            if ok.basis == other.basis:
                x, z = ok.label
                odd = {"X": z, "Y": 1 ^ x ^ z, "Z": x}[ok.basis]
                assert ok.outcome ^ other.outcome == odd

    def _verify_ends(self, node: NodeId) -> None:
        ends = [e.request for e in self.heard(node, (service.RequestEnded, service.Err))]
        assert len(ends) == len(set(ends)), f"a request ended twice at {node}: {ends}"
        if node in self.restarted:
            return
        wanted = {request for origin, request in self.created if origin == node}
        assert wanted <= set(ends), f"requests of {node} never ended: {wanted - set(ends)}"
        asked = {ok.request for ok in self.heard(node, (service.Ok, service.OkMeasured))}
        assert asked <= set(ends)


def dropping(*kinds: type[Any], to: NodeId | None = None, first: int = 1) -> Fault:
    """Loses the first ``first`` messages of each of ``kinds`` (to ``to`` only, if given)."""
    lost: dict[type[Any], int] = {}

    def fault(source: NodeId, target: NodeId, message: Any, count: int) -> tuple[int, ...]:
        kind = type(message)
        if kind in kinds and to in (None, target) and lost.get(kind, 0) < first:
            lost[kind] = lost.get(kind, 0) + 1
            return ()
        return (0,)

    return fault


def attempt(request: str, index: int = 1) -> AttemptId:
    """Attempt id as text."""
    return AttemptId(f"{request}.{index}")
