"""How messages travel on the virtual bench: light times, the faults of a plan, and the node's courier.

Theory
    A message kind that is not ``reliable`` is a datagram: it meets the faults as it is. A reliable one
    goes through the :class:`~qnet.runtime.courier.Courier` of its node, the very one of the runtime: it
    is numbered, acknowledged, repeated and put in order, and what is repeated in vain, or was meant for
    a peer without its memory, ends in ``PeerLost`` at both ends. Its copies and acknowledgements meet
    the faults of the plan like any message, and count as messages of their channel.
Not modelled
    Couriers to and from the station, whose messages are datagrams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qnet.ids import NodeId
from qnet.machine import Message, PeerLost, Received
from qnet.plan import RunPlan
from qnet.runtime.courier import Arrived, Courier, Handed
from qnet.testing.conformance.faults import STATION, MessageFault, NodeFault, NodeWhat, Plan
from qnet.testing.conformance.parts import Event, Flight, Node
from qnet.units import Duration, Instant
from qnet.wire import control
from qnet.wire.frame import encode_body

if TYPE_CHECKING:
    from qnet.testing.conformance.floor import Floor

COURIER: Final = "courier"
"""Takes what comes from the other end, where the protocol has reliable messages."""
PATIENCE: Final[Duration] = next(
    one.default for one in msgspec.structs.fields(RunPlan) if one.name == "patience"
)
"""How long a courier repeats a message: as in a run that does not say."""
OVERTAKEN: Final = 10
"""A message that is overtaken waits for the next one so many light times at the longest."""

Fate = Callable[[NodeId, NodeId, Any, int], tuple[int, ...]]
"""(source, target, message, how many of its type before it) -> extra delays of its copies; () loses it."""

Channel = tuple[NodeId, NodeId]


class Spells:
    """The faults of nodes in a plan."""

    def __init__(self, faults: Plan) -> None:
        self.all = tuple(one for one in faults if isinstance(one, NodeFault))

    def get(self, what: NodeWhat, node: NodeId, at: int) -> NodeFault | None:
        """The fault of that sort that ``node`` suffers at ``at``."""
        for one in self.all:
            if one.what == what and one.node == node and one.start <= at < one.end:
                return one
        return None


class Post:
    """Carries the messages of a bench.

    Args:
        floor: the bench: its clock, light times, nodes.
        kinds: messages that may be sent.
        faults: a fault plan.
        fate: what happens to a message besides.
    """

    def __init__(
        self,
        floor: Floor,
        kinds: tuple[type[Message], ...],
        *,
        faults: Plan,
        fate: Fate | None = None,
    ) -> None:
        self._floor, self._kinds, self._fate = floor, kinds, fate
        self._later, self._note, self._give = floor.later, floor.note, floor.give
        self._layers = tuple(dict.fromkeys((floor.layer, "physical")))
        self._spells = floor.spells
        self._faults = {
            (one.source, one.target, one.nth): one
            for one in faults
            if isinstance(one, MessageFault)
        }
        self._by_type: Counter[type] = Counter()
        self._by_channel: Counter[Channel] = Counter()
        self._overtaken: dict[Channel, Event] = {}
        self.sent: list[tuple[int, NodeId, NodeId, Any]] = []
        self.flights: list[Flight] = []

    def _clock(self) -> int:
        return self._floor.now

    def _light_time(self, source: NodeId, target: NodeId) -> int:
        return self._floor.light_time(source, target)

    @property
    def ruled(self) -> bool:
        """A rule of the case, not only its fault plan, decides about messages."""
        return self._fate is not None

    @property
    def reliable(self) -> bool:
        """Some messages of the protocol are reliable: its ends have couriers."""
        return any(kind.reliable for kind in self._kinds)

    def courier(self, node: NodeId, incarnation: int) -> Courier | None:
        """The courier of a node that was restarted so often."""
        if not self.reliable:
            return None
        return Courier(
            incarnation=incarnation,
            light_time=lambda peer: Duration(self._light_time(node, peer)),
            patience=PATIENCE,
        )

    def send(self, source: Node, target: NodeId, message: Any) -> None:
        """Send it, as the faults let it."""
        now = Instant(self._clock())
        decoded = self._wire(source.name, message)
        number = self._by_type[type(message)]
        self._by_type[type(message)] += 1
        self.sent.append((now, source.name, target, message))
        fate = self._fate
        extras = (0,) if fate is None else fate(source.name, target, message, number)
        if source.courier is None or target == STATION:
            machine = "station" if target == STATION else message.kind.partition(".")[0]
            event = Received(source.name, message.kind, decoded, now)
            self._carry(source.name, target, repr(message), message.kind, machine, event, extras)
            return
        body = encode_body(message)
        post = control.Post(target, message.kind, 0, body)
        if message.reliable:
            post = source.courier.send(target, message.kind, body, now)
        envelope = self._envelope(source, post)
        self._carry(source.name, target, repr(message), message.kind, COURIER, envelope, extras)

    # ------------------------------------------------------------ the courier of a node

    def take(self, node: Node, envelope: control.Envelope) -> list[tuple[str, Any]]:
        """What an envelope from the other end brings to which machine: as the runtime's mail does it."""
        assert node.courier is not None
        lost = node.courier.meet(envelope)
        handed = Handed(envelopes=[envelope])
        if envelope.number or envelope.kind == Arrived.kind:
            handed = node.courier.take(envelope, Instant(self._clock()))
        handed.lost[:0] = lost
        return self._handed(node, handed)

    def repeat(self, node: Node) -> list[tuple[str, Any]]:
        """Send again what is due; what the machines hear of it."""
        assert node.courier is not None
        return self._handed(node, node.courier.repeat(Instant(self._clock())))

    def hears(self, node: Node, peer: NodeId, incarnation: int) -> list[tuple[str, Any]]:
        """What the machines of ``node`` hear when anything comes from the restarted ``peer``."""
        if node.courier is None:
            return [(self._floor.layer, PeerLost(peer, True))]
        now, nothing = Instant(self._clock()), msgspec.Raw(b"")
        said = control.Envelope(peer, "", 0, now, nothing, incarnation=incarnation)
        return self._handed(node, Handed(node.courier.meet(said)))

    def _handed(self, node: Node, handed: Handed) -> list[tuple[str, Any]]:
        for post in handed.posts:
            words = f"{post.kind} of connection {post.epoch}, {post.number}, by its courier"
            envelope = self._envelope(node, post)
            self._carry(node.name, post.target, words, post.kind, COURIER, envelope, (0,))
        events: list[tuple[str, Any]] = [(self._floor.layer, lost) for lost in handed.lost]
        for lost in handed.lost:
            self._note(node.name, f"hears {lost!r}")
        for envelope in handed.envelopes:
            kind = next(one for one in self._kinds if one.kind == envelope.kind)
            message = msgspec.msgpack.decode(envelope.body, type=kind)
            event = Received(envelope.source, envelope.kind, message, envelope.sent_at)
            events.append((envelope.kind.partition(".")[0], event))
        return events

    def _envelope(self, source: Node, post: control.Post) -> control.Envelope:
        return control.Envelope(
            source.name,
            post.kind,
            0,
            Instant(self._clock()),
            post.body,
            post.epoch,
            post.number,
            source.incarnation,
        )

    def _carry(
        self,
        source: NodeId,
        target: NodeId,
        words: str,
        kind: str,
        machine: str,
        event: Any,
        extras: tuple[int, ...],
    ) -> None:
        now = self._clock()
        channel = (source, target)
        self._by_channel[channel] += 1
        nth = self._by_channel[channel]
        self._note(source, f"sends {target} number {nth}, {words}")
        flight = Flight(now, source, target, kind.partition("/")[2].partition("@")[0])
        self.flights.append(flight)
        stall = self._spells.get("stall", source, now)
        left = now if stall is None else stall.end
        arrival = left + self._light_time(source, target)
        fault = self._faults.get((source, target, nth))
        what = "" if fault is None else fault.what
        cut = any(self._spells.get("partition", name, left) is not None for name in channel)
        if cut or what == "lose":
            self._note(source, f"number {nth} to {target} is lost")
            return
        if fault is not None and what == "double":
            extras = (*extras, fault.by)
        if fault is not None and what == "delay":
            extras = tuple(extra + fault.by for extra in extras)
        self._let_pass(channel, now, arrival)
        waits = OVERTAKEN * self._light_time(source, target) if what == "overtake" else 0
        for extra in extras:
            one = self._later(
                arrival + extra + waits,
                lambda: self.arrive(target, machine, event, flight),
                ranked=True,
            )
            if waits:
                self._overtaken[channel] = one

    def _let_pass(self, channel: Channel, now: int, arrival: int) -> None:
        """A message arrives at ``arrival``: the one that waits to be overtaken comes right after it."""
        waiting = self._overtaken.pop(channel, None)
        if waiting is not None and waiting.live and now < arrival + 1 < waiting.at:
            waiting.live = False
            self._later(arrival + 1, waiting.run, ranked=True)

    def arrive(
        self, target: NodeId, machine: str, event: Any, flight: Flight | None = None
    ) -> None:
        """Hand an event over, or keep it while its node stands still."""
        stall = self._spells.get("stall", target, self._clock())
        if stall is not None:
            self._later(stall.end, lambda: self.arrive(target, machine, event, flight))
            return
        if flight is not None:
            flight.heard_at.append(self._clock())
        self._give(target, machine, event)

    def _wire(self, source: NodeId, message: Any) -> Any:
        layer = message.kind.partition(".")[0]
        if type(message) not in self._kinds or layer not in self._layers:
            words = f"{source}: {message!r} is of no listed kind"
            raise self._floor.violation("7.2-3", words)
        decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=type(message))
        if decoded != message:
            words = f"{source}: {message!r} decodes to {decoded!r}"
            raise self._floor.violation("7.2-3", words)
        return decoded
