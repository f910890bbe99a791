"""The switch: carries messages between nodes, one light time each, and what the faults make of them.

Rules
    A message is due one light time after it was sent, in order of (source, sequence) within an instant. A
    node can only speak in its own name: the name is the one under which its host was configured. Sequence
    numbers count per channel and incarnation of the source, without gaps, when a message comes from its
    host; what the faults of the plan do to it happens after that check.
    What is due for a node that is down is lost; what is due in a stall comes at its end.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from qnet.errors import WireError
from qnet.fibres import Fibres
from qnet.ids import NodeId
from qnet.units import Instant
from qnet.wire.codes import Refusal
from qnet.wire.control import Crashed, Envelope, Post, Restarted
from qnet.world.authority import RANK_MESSAGE, Authority, Due
from qnet.world.faults import Faults


class MessageLost(msgspec.Struct, frozen=True, tag=True, tag_field="type"):
    """For the truth trace: the fault named ``fault`` lost a message."""

    fault: str
    source: NodeId
    target: NodeId
    kind: str
    seq: int
    sent_at: Instant


class Switch:
    """The classical plane.

    Args:
        fibres: of the network.
        faults: of the run.
        authority: keeps what is due.
        number: next number of a node, for the order of what is due.
        lost: told of every message that is lost.
    """

    def __init__(
        self,
        *,
        fibres: Fibres,
        faults: Faults,
        authority: Authority,
        number: Callable[[NodeId], int],
        lost: Callable[[MessageLost], None],
    ) -> None:
        self._fibres = fibres
        self._faults = faults
        self._authority = authority
        self._number = number
        self._lost = lost
        self._sent: dict[tuple[NodeId, NodeId], int] = {}
        self._incarnations: dict[NodeId, int] = {}

    def incarnation(self, node: NodeId) -> int:
        """How often ``node`` has lost its memory."""
        return self._incarnations.get(node, 0)

    def crash(self, node: NodeId) -> None:
        """``node`` loses its memory: it counts its messages from 0 again, what it awaits is void."""
        self._incarnations[node] = self.incarnation(node) + 1
        for channel in [channel for channel in self._sent if channel[0] == node]:
            del self._sent[channel]

    def post(self, source: NodeId, post: Post) -> None:
        """Take a message from a node.

        Raises:
            WireError: no fibre leads to its target, or its sequence number is not the next.
        """
        channel = (source, post.target)
        light_time = self._fibres.light_time(*channel)
        if light_time is None or post.target == source:
            raise WireError(
                f"target must be a node that fibre connects to {source}, got {post.target!r}",
                code=Refusal.WRONG_TARGET,
                peer=source,
                where=post.kind,
            )
        expected = self._sent.get(channel, 0)
        if post.seq != expected:
            raise WireError(
                f"sequence number on channel {source} > {post.target} must be {expected}, got {post.seq}",
                code=Refusal.SEQUENCE,
                peer=source,
                where=post.kind,
            )
        self._sent[channel] = expected + 1
        envelope = Envelope(
            source=source,
            kind=post.kind,
            seq=post.seq,
            sent_at=self._authority.now,
            body=post.body,
            epoch=post.epoch,
            number=post.number,
            incarnation=self.incarnation(source),
        )
        if not self._faults:
            self._carry(post.target, envelope, Instant(self._authority.now + light_time))
            return
        passage = self._faults.passage(
            source,
            post.target,
            post.kind,
            (envelope.incarnation, post.seq),
            envelope.sent_at,
            light_time,
        )
        for arrival in passage.arrivals:
            self._carry(post.target, envelope, arrival)
        if passage.lost_to:
            self._say_lost(passage.lost_to, post.target, envelope)

    def admit(self, due: Due, at: Instant) -> Instant | None:
        """When an item that is due at ``at`` comes to its node: then, later, or never (None)."""
        node, item = due.node, due.item
        if node is None or isinstance(item, Crashed | Restarted):
            return at
        crash = self._faults.crash_of(node, at)
        if crash is not None:
            if isinstance(item, Envelope):
                self._say_lost(crash.name, node, item)
            return None
        if due.incarnation is not None and due.incarnation != self.incarnation(node):
            return None
        return self._faults.awake(node, at)

    def _carry(self, target: NodeId, envelope: Envelope, arrival: Instant) -> None:
        self._authority.push(
            arrival,
            Due(target, envelope),
            rank=RANK_MESSAGE,
            source=envelope.source,
            sequence=self._number(envelope.source),
        )

    def _say_lost(self, fault: str, target: NodeId, envelope: Envelope) -> None:
        self._lost(
            MessageLost(
                fault, envelope.source, target, envelope.kind, envelope.seq, envelope.sent_at
            )
        )
