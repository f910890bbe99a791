"""A node's mail: numbers what it sends, checks what it gets, and has lost messages repeated.

In a run without faults the classical plane loses nothing and keeps order, so a gap is a fault, never
silence. In a run with faults every message goes through the :mod:`~qnet.runtime.courier`.
"""

from __future__ import annotations

from qnet.errors import LocalProtocolError, WireError
from qnet.ids import NodeId
from qnet.machine import Message
from qnet.runtime.courier import LAYER, Courier, Handed
from qnet.units import Instant
from qnet.wire.catalogue import Catalogue
from qnet.wire.codes import Refusal
from qnet.wire.control import Envelope, Post
from qnet.wire.frame import encode_body


class Mail:
    """The channels of one node to all others.

    Args:
        catalogue: message kinds of the run.
        courier: None where nothing is ever lost.
    """

    def __init__(self, catalogue: Catalogue, courier: Courier | None) -> None:
        self._catalogue = catalogue
        self._courier = courier
        self._sent: dict[NodeId, int] = {}
        self._received: dict[NodeId, int] = {}

    def next_deadline(self) -> Instant | None:
        """When something is to be repeated."""
        return None if self._courier is None else self._courier.next_deadline()

    def send(self, target: NodeId, message: Message, now: Instant) -> Post:
        """The message, ready to leave.

        Raises:
            LocalProtocolError: no plug-in of the run lists its kind.
        """
        if not self._catalogue.knows(message):
            raise LocalProtocolError(
                f"message type must be listed by a plug-in of this run, got {type(message).__name__} "
                f"(kind {message.kind!r})"
            )
        body = encode_body(message)
        if self._courier is not None and message.reliable:
            return self._numbered(self._courier.send(target, message.kind, body, now))
        return self._numbered(Post(target, message.kind, 0, body))

    def take(self, envelope: Envelope, now: Instant) -> Handed:
        """What an envelope brings: lost peers, messages in order, answers to send.

        Raises:
            WireError: a message is missing in a run that loses none.
        """
        courier = self._courier
        if courier is None:
            self._check_order(envelope)
            return Handed(envelopes=[envelope])
        lost = courier.meet(envelope)
        if envelope.number or envelope.kind.startswith(LAYER):
            handed = self._ready(courier.take(envelope, now))
        else:
            handed = Handed(envelopes=[envelope])
        handed.lost[:0] = lost
        return handed

    def repeat(self, now: Instant) -> Handed:
        """What is to be sent again now, and the peers that are given up."""
        return Handed() if self._courier is None else self._ready(self._courier.repeat(now))

    def _ready(self, handed: Handed) -> Handed:
        handed.posts = [self._numbered(post) for post in handed.posts]
        return handed

    def _numbered(self, post: Post) -> Post:
        seq = self._sent.get(post.target, 0)
        self._sent[post.target] = seq + 1
        return Post(post.target, post.kind, seq, post.body, post.epoch, post.number)

    def _check_order(self, envelope: Envelope) -> None:
        source = envelope.source
        expected = self._received.get(source, 0)
        if envelope.seq != expected:
            raise WireError(
                f"message {envelope.seq} must be number {expected} of its channel",
                code=Refusal.SEQUENCE,
                peer=source,
                where=envelope.kind,
            )
        self._received[source] = expected + 1
