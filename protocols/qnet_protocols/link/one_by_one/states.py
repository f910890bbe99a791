"""What one end of a link knows: requests, and the turn in which a pair is made.

Each turn makes one pair::

    Resting -> AwaitingSlot -> Attempting -> [Correcting ->] Delivering -> Settling -> Resting

AwaitingSlot ends when the node has given a communication slot, Attempting when the station reports a
herald (or cannot match a click: Refused), Correcting when the gate has ended, Delivering at the
instant that both ends compute from the click, Settling when the other end has said what it has.
"""

from __future__ import annotations

from qnet.ids import AttemptId, OpId, PairId, RequestId, SlotId
from qnet.machine import Record
from qnet.units import Instant


class Open(Record, frozen=True):
    """A request that has not ended.

    Attributes:
        request: its id.
        origin: this end asked.
        number: pairs wanted.
        purpose: which application at the peer.
        final: Bell label in which its pairs are handed up.
        requested_at: instant of CREATE.
        agreed: the peer has taken it.
        cancelled: a user wants no more.
        index: which pair is the next, from 1; void ones count.
        delivered: pairs announced here and not taken back.
    """

    request: RequestId
    origin: bool
    number: int
    purpose: int
    final: tuple[int, int]
    requested_at: Instant
    agreed: bool = False
    cancelled: bool = False
    index: int = 1
    delivered: int = 0


class Turn(Record, frozen=True):
    """Turn ``number`` is that of pair ``index`` of ``request``."""

    number: int
    request: RequestId
    index: int

    @property
    def attempt(self) -> AttemptId:
        """Id under which both ends attempt: no two turns of a request have the same."""
        return AttemptId(f"{self.request}.{self.number}")


class Pair(Record, frozen=True):
    """A heralded pair.

    Attributes:
        name: id, the same at both ends.
        slot: where this end's half is.
        clicked_at: instant of the click.
        deliver_at: instant of delivery at both ends.
    """

    name: PairId
    slot: SlotId
    clicked_at: Instant
    deliver_at: Instant


class Resting(Record, frozen=True):
    """No turn."""


class AwaitingSlot(Record, frozen=True):
    """A slot was asked for under ``token``."""

    turn: Turn
    token: str


class Attempting(Record, frozen=True):
    """The physical layer attempts; the leader begins anew at ``retry_at`` (None at the follower)."""

    turn: Turn
    retry_at: Instant | None


class Refused(Record, frozen=True):
    """The station could not match a click: this end has no slot, and the leader will begin anew."""

    turn: Turn


class Correcting(Record, frozen=True):
    """Operation ``op`` brings the pair into its final Bell state. ``heard``: the peer's word."""

    turn: Turn
    pair: Pair
    op: OpId
    heard: bool | None = None


class Delivering(Record, frozen=True):
    """The pair is handed up at ``pair.deliver_at``. ``heard``: the peer's word."""

    turn: Turn
    pair: Pair
    heard: bool | None = None


class Settling(Record, frozen=True):
    """This end has given its word: ``pair`` was handed up, None for none. The peer's is awaited."""

    turn: Turn
    pair: PairId | None


Stage = Resting | AwaitingSlot | Attempting | Refused | Correcting | Delivering | Settling


class State(Record, frozen=True):
    """Snapshot for traces and tests.

    Attributes:
        stage: of the present turn.
        open: requests that have not ended.
        turns: number of the last turn.
        returning: slots that are released when a gate on them has ended.
        knock_at: when to knock at the peer, None while nothing is open.
    """

    stage: Stage
    open: tuple[Open, ...]
    turns: int
    returning: tuple[SlotId, ...]
    knock_at: Instant | None
