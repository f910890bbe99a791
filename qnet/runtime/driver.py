"""The driver: performs the effects of a node's machines and writes down every step.

The only loop that calls machines. An event goes to one machine; its effects are performed in order; what
they cause inside the node (requests down, indications up, slots granted) is queued and handled before the
next outside event, until nothing is left. Each step leaves one trace line.

Who uses whom is in :mod:`.wiring`, who holds which slot in :mod:`.slots`, how messages get through in
:mod:`.mail`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import msgspec

from qnet.errors import LocalProtocolError, QnetError, WireError
from qnet.hardware import Platform
from qnet.ids import LinkId, NodeId, OpId, SlotId
from qnet.layers.link import PairAnswer
from qnet.layers.network import NetworkAnswer
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
    Machine,
    Message,
    Observed,
    PeerLost,
    Received,
    Release,
    Request,
    Requested,
    Send,
    Withdraw,
)
from qnet.program import Gate
from qnet.runtime.courier import Courier, Handed
from qnet.runtime.mail import Mail
from qnet.runtime.slots import Slots
from qnet.runtime.steps import TraceLine, shown
from qnet.runtime.wiring import APP, Wiring
from qnet.units import Instant
from qnet.wire.catalogue import Catalogue
from qnet.wire.codes import Refusal
from qnet.wire.control import (
    AbortAttempt,
    Clicked,
    Discard,
    Envelope,
    Item,
    NodeReport,
    Output,
    ProgramEnded,
    Refused,
    RunProgram,
    StartAttempt,
)

STEP_LIMIT: Final = 100_000
"""Machine steps of one node within one grant after which it is declared to loop."""


class MachineFault(QnetError):
    """A machine of ``node`` raised or broke its contract: names machine, input, state and instant."""

    def __init__(self, node: NodeId, text: str) -> None:
        self.node = node
        super().__init__(f"{node}: {text}")


class Stuck(BaseException):
    """A step has no end in sight. Not an Exception: no plug-in shall take it for one of its own."""


def interrupt(_number: int, frame: FrameType | None) -> None:
    """A signal's handler: end the step of a machine that runs now, if one does.

    Raises:
        Stuck: inside the machine.
    """
    while frame is not None:
        if frame.f_code is Driver._drain.__code__:
            raise Stuck("no answer within the liveness limit of the run")
        frame = frame.f_back


@dataclass(frozen=True, slots=True)
class _Operation:
    """A program that the world has not answered yet: whose it is and on which slots."""

    owner: str
    slots: tuple[SlotId, ...]


class Driver:
    """One node's machines.

    Args:
        node: name of the node.
        platform: its processor, None for a station.
        catalogue: message kinds of the run.
        to_app: called with each indication that reaches the top, and each message for the application.
        note: called with each indication that goes to the application, for the world's ledger.
        courier: repeats reliable messages where the classical plane loses some; None where it does not.
    """

    def __init__(
        self,
        node: NodeId,
        *,
        platform: Platform | None,
        catalogue: Catalogue,
        to_app: Callable[[Indicated | Received | PeerLost | Applied | Acquired], None],
        note: Callable[[Any], list[Output]],
        courier: Courier | None = None,
    ) -> None:
        self.node = node
        self.now = Instant(0)
        self.round = 0
        self.outputs: list[Output] = []
        self.slots = Slots(node, platform)
        self.wiring = Wiring()
        self._catalogue = catalogue
        self._to_app = to_app
        self._note = note
        self._mail = Mail(catalogue, courier)
        self._machines: dict[str, Machine] = {}
        self._link_with: dict[NodeId, LinkId] = {}
        self._queue: deque[tuple[str, Any]] = deque()
        self._ops: dict[OpId, _Operation] = {}
        self._attempts: dict[LinkId, tuple[OpId, str]] = {}
        self._deadlines: dict[str, Instant | None] = {}
        self._trace: list[TraceLine] = []
        self._json = msgspec.json.Encoder(
            order="deterministic"
        )  # sets and maps of plug-ins included
        self._performers: Final[dict[type, Callable[[str, Any], None]]] = {
            Send: self._on_send,
            Apply: self._on_apply,
            Attempt: self._on_attempt,
            Abort: self._on_abort,
            Acquire: self._on_acquire,
            Withdraw: self._on_withdraw,
            Release: self._on_release,
            Request: self._on_request,
            Indicate: self._on_indicate,
        }
        self._steps = 0

    # ------------------------------------------------------------ set-up

    def add(
        self,
        name: str,
        machine: Machine,
        *,
        below: tuple[str, ...] = (),
        remote: NodeId | None = None,
    ) -> None:
        """Add a machine.

        Args:
            name: "layer:link", or the layer alone.
            machine: the machine.
            below: names of the machines that it uses.
            remote: the other end of the link that the name says.
        """
        self._machines[name] = machine
        self._deadlines[name] = self._due(name, machine)
        for used in below:
            self.wiring.join(name, used)
        if remote is not None:
            self._link_with[remote] = LinkId(name.partition(":")[2])

    @property
    def machines(self) -> Mapping[str, Machine]:
        """Machines by name."""
        return self._machines

    def next_deadline(self) -> Instant | None:
        """The earliest deadline of this node's machines and of its courier."""
        due = min((due for due in self._deadlines.values() if due is not None), default=None)
        repeat_at = self._mail.next_deadline()
        if repeat_at is not None and (due is None or repeat_at < due):
            return repeat_at
        return due

    # ------------------------------------------------------------ events from outside

    def begin(self, now: Instant, delta: int) -> None:
        """A new grant."""
        self.now = now
        self.round = delta
        self._steps = 0

    def items(self, items: list[Item]) -> None:
        """Handle what is due, in the order given."""
        for item in items:
            match item:
                case Envelope():
                    self._handle(self._mail.take(item, self.now))
                case ProgramEnded(op, outcomes):
                    done = self._ops.pop(op, None)
                    if done is None:
                        raise self._misdirected(f"operation {op!r}", "asked for and not answered")
                    self._let_leave(done)
                    self._enqueue(done.owner, Applied(op, outcomes))
                case Clicked(link, pattern, clicked_at):
                    if f"station:{link}" not in self._machines:
                        raise self._misdirected(f"click on link {link!r}", "of one of its stations")
                    self._enqueue(f"station:{link}", Observed(link, pattern, clicked_at))
                case Refused(op, _code, text):
                    raise self._refused(op, text)
                case _:
                    raise self._misdirected(type(item).__name__, "up, and running")
            self._drain()

    def fire_deadlines(self) -> None:
        """Give DeadlineReached to every machine that is due, until none is."""
        repeat_at = self._mail.next_deadline()
        if repeat_at is not None and repeat_at <= self.now:
            self._handle(self._mail.repeat(self.now))
            self._drain()
        again = True
        while again:
            again = False
            for name, deadline in self._deadlines.items():
                if deadline is not None and deadline <= self.now:
                    self._enqueue(name, DeadlineReached())
                    self._drain()
                    again = True
                    break

    def _refused(self, op: str, text: str) -> MachineFault:
        """The world refused a command of this node, which is an error of whoever gave it."""
        owner = self._ops[OpId(op)].owner if op in self._ops else ""
        owner = owner or next((name for run, name in self._attempts.values() if run == op), "")
        who = (
            "its application"
            if owner == APP
            else f"machine {owner}"
            if owner
            else "one of its machines"
        )
        state = f" in state {self._machines[owner].state!r}" if owner in self._machines else ""
        return MachineFault(
            self.node,
            f"{who} gave a command that the world refuses{state} at {self.now} ps: {text}",
        )

    def _misdirected(self, what: str, constraint: str) -> WireError:
        return WireError(
            f"{what} must be one that {self.node} has, {constraint}",
            code=Refusal.WRONG_TARGET,
            peer="world",
        )

    def _handle(self, handed: Handed) -> None:
        for lost in handed.lost:
            self._peer_lost(lost)
        for envelope in handed.envelopes:
            self._receive(envelope)
        self.outputs.extend(handed.posts)

    def _peer_lost(self, lost: PeerLost) -> None:
        """Told to every machine above the physical layer that can know the peer, and to the application."""
        for name in self._machines:
            layer, _, link = name.partition(":")
            if layer in ("physical", "station"):
                continue
            if link in ("", "network") or self._link_with.get(lost.peer) == link:
                self._enqueue(name, lost)
        self._enqueue(APP, lost)

    def _receive(self, envelope: Envelope) -> None:
        source = envelope.source
        message = self._catalogue.decode(envelope.kind, envelope.body, peer=source)
        event = Received(source, envelope.kind, message, envelope.sent_at)
        self._enqueue(self._addressee(envelope, message), event)

    def _addressee(self, envelope: Envelope, message: Message) -> str:
        layer = self._catalogue.layer_of(envelope.kind)
        if layer == APP:
            return APP
        if layer == "purify":
            # Its messages say on whose pairs they work, "link:NAME" or "network".
            name = f"purify:{getattr(message, 'below', '').rpartition(':')[2]}"
        elif layer == "network":
            name = layer
        else:
            link = getattr(message, "link", None) or self._link_with.get(envelope.source)
            name = f"{layer}:{link}"
            if name not in self._machines:
                name = f"station:{link}"
        if name in self._machines:
            return name
        raise WireError(
            f"message must be for a machine of {self.node}, got one for {name}",
            code=Refusal.WRONG_TARGET,
            peer=envelope.source,
            where=envelope.kind,
        )

    # ------------------------------------------------------------ events from the application

    def request(self, machine: str, request: Any) -> None:
        """The application asks a machine."""
        self.wiring.asked(APP, machine, request)
        self._enqueue(machine, Requested(request, APP))
        self._drain()

    def app_effects(self, *effects: Any) -> None:
        """The application acts on slots that it holds, asks for one, or sends a message."""
        self._step(APP, None, effects, None)
        for effect in effects:
            self._perform(APP, effect)
        self._drain()

    def write_down(self, machine: str, effect: Any) -> None:
        """A line of the trace about something that no machine did."""
        self._step(machine, None, (effect,), None)

    # ------------------------------------------------------------ the loop

    def _enqueue(self, machine: str, event: Any) -> None:
        self._queue.append((machine, event))

    def _drain(self) -> None:
        queue = self._queue
        while queue:
            name, event = queue.popleft()
            if name == APP:
                if type(event) in (Received, PeerLost):
                    self._step(APP, event, (), None)
                self._to_app(event)
                continue
            self._steps += 1
            machine = self._machines[name]
            if self._steps > STEP_LIMIT:
                words = (
                    f"machine {name} must come to rest within {STEP_LIMIT} steps of one instant; "
                    f"at {self.now} ps it is in state {machine.state!r} and was given {event!r}"
                )
                del self._trace[1_000:]  # they are all alike
                self._step(name, event, (), machine.state, words)
                raise MachineFault(self.node, words)
            try:
                effects = tuple(machine.handle(event, self.now))
                self._deadlines[name] = self._due(name, machine)
                self._step(name, event, effects, machine.state)
                for effect in effects:
                    self._perform(name, effect)
            except (Exception, Stuck) as error:
                words = f"{type(error).__name__}: {error}"
                self._step(name, event, (), machine.state, words)
                raise MachineFault(
                    self.node,
                    f"machine {name} failed on {event!r} in state {machine.state!r} at "
                    f"{self.now} ps: {words}",
                ) from error

    def _due(self, name: str, machine: Machine) -> Instant | None:
        due = machine.next_deadline()
        if due is not None and type(due) is not int:
            raise LocalProtocolError(
                f"next_deadline() of machine {name} must be an integer of picoseconds or None, got {due!r}"
            )
        return due

    def _step(self, machine: str, event: Any, effects: Any, state: Any, error: str = "") -> None:
        seen = [shown(effect) for effect in effects]
        self._trace.append(
            TraceLine(self.now, self.round, self.node, machine, event, seen, state, error)
        )

    def _perform(self, name: str, effect: Any) -> None:
        perform = self._performers.get(type(effect))
        if perform is None:
            raise LocalProtocolError(
                f"effect must be one of {', '.join(kind.__name__ for kind in self._performers)}, got {effect!r}"
            )
        perform(name, effect)

    def _on_send(self, _name: str, effect: Send) -> None:
        self.outputs.append(self._mail.send(effect.target, effect.message, self.now))

    def _on_apply(self, name: str, effect: Apply) -> None:
        slots: dict[SlotId, None] = {}
        for instruction in effect.program.instructions:
            if isinstance(instruction, Gate):
                slots.update(dict.fromkeys(instruction.slots))
            elif (slot := getattr(instruction, "slot", None)) is not None:
                slots[slot] = None
        for slot in slots:
            self.slots.must_hold(name, slot)
        if effect.op in self._ops:
            raise LocalProtocolError(
                f"operation id must be new, got {effect.op!r}, which {self._ops[effect.op].owner} has "
                "under way"
            )
        self._ops[effect.op] = _Operation(name, tuple(slots))
        self.outputs.append(RunProgram(effect.op, effect.program))

    def _on_attempt(self, name: str, effect: Attempt) -> None:
        self.slots.must_hold(name, effect.slot)
        if effect.until is not None and type(effect.until) is not int:
            raise LocalProtocolError(
                f"until must be an integer of picoseconds or None, got {effect.until!r}"
            )
        self._attempts[effect.link] = (effect.op, name)
        self.outputs.append(StartAttempt(effect.op, effect.link, effect.slot, effect.until))

    def _on_abort(self, _name: str, effect: Abort) -> None:
        self.outputs.append(AbortAttempt(effect.op))

    def _on_acquire(self, name: str, effect: Acquire) -> None:
        self.slots.want(name, effect)
        self._assign()

    def _on_withdraw(self, name: str, effect: Withdraw) -> None:
        self.slots.withdraw(name, effect.token)

    def _on_release(self, name: str, effect: Release) -> None:
        slot = effect.slot
        self.slots.must_hold(name, slot)
        if self._in_use(slot):
            self.slots.leave(
                slot
            )  # a cancelled task gave it up in mid-program: empty it after that
            return
        self._empty(slot)

    def _in_use(self, slot: SlotId) -> bool:
        return any(slot in operation.slots for operation in self._ops.values())

    def _let_leave(self, done: _Operation) -> None:
        for slot in done.slots:
            if self.slots.is_leaving(slot) and not self._in_use(slot):
                self._empty(slot)

    def _empty(self, slot: SlotId) -> None:
        self.slots.free(slot)
        self.outputs.append(Discard(slot))
        self._assign()

    def _assign(self) -> None:
        for name, token, slot in self.slots.assign():
            self._enqueue(name, Acquired(token, slot))

    def _on_request(self, name: str, effect: Request) -> None:
        below = self.wiring.below(name, effect.to)
        slot = getattr(effect.request, "slot", None)
        if slot is not None:
            self.slots.hand_over(name, below, slot)
        self.wiring.asked(name, below, effect.request)
        self._enqueue(below, Requested(effect.request, name))

    def _on_indicate(self, name: str, effect: Indicate) -> None:
        above = self.wiring.above(name, effect.indication)
        for slot in effect.slots:
            self.slots.hand_over(name, above, slot)
        if above == APP:
            if not isinstance(effect.indication, PairAnswer | NetworkAnswer):
                raise LocalProtocolError(
                    "indication to the application must be an answer of qnet.layers.link or "
                    f"qnet.layers.network, got {effect.indication!r}"
                )
            self.outputs.extend(self._note(effect.indication))
        self._enqueue(above, Indicated(effect.indication, name))

    # ------------------------------------------------------------ report

    def collect(self) -> NodeReport:
        """Outputs and trace lines since the last report."""
        try:
            trace = self._json.encode_lines(self._trace) if self._trace else b""
        except (TypeError, ValueError) as error:
            machines = ", ".join(sorted({line.machine for line in self._trace}))
            raise MachineFault(
                self.node,
                f"events, effects and states must be plain data that a trace can keep, those of "
                f"{machines} at {self.now} ps are not: {error}",
            ) from error
        report = NodeReport(self.node, self.outputs, trace)
        self.outputs = []
        self._trace = []
        return report
