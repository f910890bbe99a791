"""The courier: reliable channels between two nodes over a classical plane that loses messages.

Theory
    Both ends of a channel share a *connection* number. Within a connection the sender numbers its messages
    from 1 and repeats what is not acknowledged, with doubled waits; the receiver acknowledges up to which
    number it has everything, holds early messages back and drops repeated ones. So machines see every
    message once, in the order of sending.

    A connection breaks when a message was repeated in vain for the patience of the run, when the peer came
    back from a crash without its memory (its incarnation, which the switch stamps on every envelope, is
    higher), or when the peer speaks under a higher connection number, that is, has broken it. Whatever was
    under way is dropped, the number goes up, and the machines of this end are told ``PeerLost``; the other
    end learns the new number from the next message and does the same. An end that breaks a connection
    says so (``Reopened``) until it is heard.
Late, early, impossible
    *Late:* a message of an older connection is dropped and answered with the number of the present one.
    *Early:* a number above the next one is held (at most :data:`HELD`, the rest comes again).
    *Impossible:* an acknowledgement of what was never sent is ignored: the world does not forge, and a
    broken peer shall not take this node with it.
Assumptions and validity
    A run without faults loses nothing and keeps order: then nothing is numbered, acknowledged or repeated,
    and the courier only passes on.
Not modelled
    Congestion; selective acknowledgements.
Units
    Picoseconds of simulated time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

import msgspec

from qnet.ids import NodeId
from qnet.machine import Message, PeerLost
from qnet.units import Duration, Instant
from qnet.wire.control import Envelope, Post
from qnet.wire.frame import encode_body

LAYER: Final = "transport"
HELD: Final = 1024
"""Early messages of a channel that are held back."""
AT_ONCE: Final = 64
"""Messages repeated at a time."""
REOPENINGS: Final = 100
"""How often a broken connection is announced before this end falls silent."""
_SHORTEST: Final = 1_000_000
"""One microsecond: the first wait for an acknowledgement is at least that."""


class Arrived(Message, frozen=True):
    """Everything up to number ``upto`` of connection ``connection`` has arrived."""

    kind: ClassVar[str] = "transport.courier/arrived@1"
    connection: int
    upto: int


class Reopened(Message, frozen=True):
    """First message of a connection that replaces a broken one."""

    kind: ClassVar[str] = "transport.courier/reopened@1"


MESSAGES: Final[tuple[type[Message], ...]] = (Arrived, Reopened)
_ARRIVED: Final = msgspec.msgpack.Decoder(Arrived)


@dataclass(slots=True)
class _Unheard:
    """A message that is not acknowledged."""

    number: int
    kind: str
    body: msgspec.Raw
    first_at: Instant
    last_at: Instant


@dataclass(slots=True)
class _Channel:
    """What one end knows of the connection with one peer."""

    connection: int
    incarnation: int = 0
    last_sent: int = 0
    unheard: deque[_Unheard] = field(default_factory=deque)
    wait: int = 0
    repeat_at: Instant | None = None
    announced: int = 0
    last_in_order: int = 0
    early: dict[int, Envelope] = field(default_factory=dict)


@dataclass(slots=True)
class Handed:
    """What an event at the courier leads to, in this order."""

    lost: list[PeerLost] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)


class Courier:
    """The reliable channels of one node.

    Args:
        incarnation: restarts of this node so far.
        light_time: one way to a peer.
        patience: how long a message is repeated.
    """

    def __init__(
        self,
        *,
        incarnation: int,
        light_time: Callable[[NodeId], Duration],
        patience: Duration,
    ) -> None:
        self._first_connection = incarnation << 32
        self._light_time = light_time
        self._patience = patience
        self._channels: dict[NodeId, _Channel] = {}

    def next_deadline(self) -> Instant | None:
        """When something is to be repeated."""
        return min(
            (one.repeat_at for one in self._channels.values() if one.repeat_at is not None),
            default=None,
        )

    def send(self, target: NodeId, kind: str, body: msgspec.Raw, now: Instant) -> Post:
        """Number a reliable message and remember it until it is acknowledged."""
        channel = self._channel(target)
        channel.last_sent += 1
        channel.unheard.append(_Unheard(channel.last_sent, kind, body, now, now))
        if channel.repeat_at is None:
            self._arm(target, channel, now)
        return _post(target, channel, channel.unheard[-1])

    def meet(self, envelope: Envelope) -> list[PeerLost]:
        """Called with every envelope before anything else: has its sender forgotten everything?"""
        channel = self._channel(envelope.source)
        if envelope.incarnation <= channel.incarnation:
            return []
        channel.incarnation = envelope.incarnation
        fresh = envelope.incarnation << 32
        _restart(channel, fresh if fresh > channel.connection else channel.connection + 1)
        return [PeerLost(envelope.source, restarted=True)]

    def take(self, envelope: Envelope, now: Instant) -> Handed:
        """A numbered message or an acknowledgement has arrived."""
        handed = Handed()
        source = envelope.source
        channel = self._channel(source)
        if envelope.epoch > channel.connection:
            _restart(channel, envelope.epoch)
            handed.lost.append(PeerLost(source))
        if envelope.kind == Arrived.kind:
            self._heard(source, channel, _ARRIVED.decode(envelope.body), now)
            return handed
        if envelope.epoch == channel.connection:
            self._in_order(channel, envelope, handed)
        arrived = Arrived(channel.connection, channel.last_in_order)
        handed.posts.append(
            Post(source, Arrived.kind, 0, encode_body(arrived), channel.connection, 0)
        )
        return handed

    def repeat(self, now: Instant) -> Handed:
        """Repeat what is due, and give up what was repeated for too long."""
        handed = Handed()
        for peer, channel in self._channels.items():
            if channel.repeat_at is None or channel.repeat_at > now:
                continue
            if self._in_vain(channel, now):
                announced = channel.announced
                _restart(channel, channel.connection + 1)
                channel.announced = announced
                handed.lost.append(PeerLost(peer))
                handed.posts.append(self.send(peer, Reopened.kind, encode_body(Reopened()), now))
                continue
            if channel.unheard[0].kind == Reopened.kind:
                channel.announced += 1
                if channel.announced > REOPENINGS:
                    channel.unheard.popleft()
            if not channel.unheard:
                channel.repeat_at = None
                continue
            for one in list(channel.unheard)[:AT_ONCE]:
                if now - one.last_at >= channel.wait // 2:
                    one.last_at = now
                    handed.posts.append(_post(peer, channel, one))
            channel.wait = min(2 * channel.wait, max(self._first_wait(peer), self._patience // 4))
            channel.repeat_at = Instant(now + channel.wait)
        return handed

    # ------------------------------------------------------------ inside

    def _in_vain(self, channel: _Channel, now: Instant) -> bool:
        """Whether a message (not the mere announcement of a break) was repeated for the patience."""
        oldest = next((one for one in channel.unheard if one.kind != Reopened.kind), None)
        return oldest is not None and now - oldest.first_at >= self._patience

    def _channel(self, peer: NodeId) -> _Channel:
        channel = self._channels.get(peer)
        if channel is None:
            channel = self._channels[peer] = _Channel(self._first_connection)
        return channel

    def _first_wait(self, peer: NodeId) -> int:
        return max(_SHORTEST, 5 * self._light_time(peer) // 2)

    def _arm(self, peer: NodeId, channel: _Channel, now: Instant) -> None:
        channel.wait = self._first_wait(peer)
        channel.repeat_at = Instant(now + channel.wait)

    def _heard(self, peer: NodeId, channel: _Channel, arrived: Arrived, now: Instant) -> None:
        if arrived.connection != channel.connection:
            return
        moved = False
        while channel.unheard and channel.unheard[0].number <= arrived.upto:
            channel.unheard.popleft()
            moved = True
        if moved:
            channel.announced = 0
        if not channel.unheard:
            channel.repeat_at = None
        elif moved:
            self._arm(peer, channel, now)

    @staticmethod
    def _in_order(channel: _Channel, envelope: Envelope, handed: Handed) -> None:
        if envelope.number > channel.last_in_order and len(channel.early) < HELD:
            channel.early[envelope.number] = envelope
        while (following := channel.early.pop(channel.last_in_order + 1, None)) is not None:
            channel.last_in_order += 1
            if following.kind != Reopened.kind:
                handed.envelopes.append(following)


def _restart(channel: _Channel, connection: int) -> None:
    """Forget what was under way, both ways, and go on under another number."""
    channel.connection = connection
    channel.last_sent = channel.last_in_order = channel.announced = 0
    channel.unheard.clear()
    channel.early.clear()
    channel.repeat_at = None


def _post(target: NodeId, channel: _Channel, one: _Unheard) -> Post:
    return Post(target, one.kind, 0, one.body, channel.connection, one.number)
