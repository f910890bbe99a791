"""States of pair generation at one end: from the choice of a request to the instant of delivery.

Theory
    One pair is made at a time; each is a *turn*::

        Resting -> Waiting -> AwaitingSlot -> Attempting -> [Correcting ->] Delivering -> Resting
                                  |  ^            |              (or measured: -> Resting)
                                  v  |            |
                                 Yielded <--------+

    Waiting ends at the turn's begin; AwaitingSlot when the node has given the slots that the turn
    needs; Attempting when the station reports a herald; Correcting when the gate or the transfer to
    memory has ended; Delivering at the instant that both ends compute from the click. A half that is
    measured leaves the turn at its herald; its outcome is looked after by :mod:`.measuring`. Yielded
    is an end that gave its slot back because the other one has none (:mod:`.slots`).
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778.
"""

from __future__ import annotations

import msgspec

from qnet.ids import OpId, RequestId, SlotId
from qnet.machine import Record
from qnet.units import Instant


class Resting(Record, frozen=True):
    """Nothing to serve, or the next request cannot be served any more before its deadline."""


class Waiting(Record, frozen=True):
    """The next turn is that of ``request`` and begins at ``start``."""

    request: RequestId
    start: Instant


class AwaitingSlot(Record, frozen=True):
    """Slots were asked for pair ``index`` (from 1) of ``request``.

    Attributes:
        request: the request served.
        index: which pair of it.
        token: of the communication slot; memory slots have the same with a suffix.
        memory: memory slots that are missing; the communication slot is asked for after them.
        asks: how often the peer was told.
        ask_at: when to tell it (again), None after the last time.
    """

    request: RequestId
    index: int
    token: str
    memory: int
    asks: int
    ask_at: Instant | None


class Offering(Record, frozen=True):
    """This end, which had told the peer that it has no slot, has ``slot`` and asks whether to attempt.

    ``asks`` times so far, again at ``ask_at``; it gives the slot back at ``yield_at``.
    """

    request: RequestId
    index: int
    slot: SlotId
    asks: int
    ask_at: Instant | None
    yield_at: Instant


class Yielded(Record, frozen=True):
    """The slots were given back because the peer has none; asked for again at ``resume_at``."""

    request: RequestId
    index: int
    resume_at: Instant


class Attempting(Record, frozen=True):
    """The physical layer attempts with ``slot``.

    Attributes:
        request: the request served.
        index: which pair of it, from 1.
        slot: the emitting qubit.
        since: when these attempts began.
        asks: how often progress has been compared since.
        ask_at: when to compare it next, None after the last time.
        yield_at: when to give the slot back if the peer, which has none, does not get one.
    """

    request: RequestId
    index: int
    slot: SlotId
    since: Instant
    asks: int
    ask_at: Instant | None
    yield_at: Instant | None = None

    def asked(self, asks: int, ask_at: Instant | None) -> Attempting:
        """The same after one more comparison."""
        return msgspec.structs.replace(self, asks=asks, ask_at=ask_at)

    def until(self, yield_at: Instant | None) -> Attempting:
        """The same with another end of the lease."""
        return msgspec.structs.replace(self, yield_at=yield_at)


class Heralded(Record, frozen=True):
    """A heralded pair.

    Attributes:
        request: of which request.
        index: which pair of it.
        slot: where this end's half is (will be, if it is being moved).
        sequence: number of the herald.
        label: Bell label that will be announced.
        clicked_at: instant of the click.
        deliver_at: instant of delivery at both ends.
    """

    request: RequestId
    index: int
    slot: SlotId
    sequence: int
    label: tuple[int, int]
    clicked_at: Instant
    deliver_at: Instant

    def moved(self, slot: SlotId) -> Heralded:
        """The same in another slot."""
        return msgspec.structs.replace(self, slot=slot)


class Correcting(Record, frozen=True):
    """Operation ``op`` brings the pair into its final state and slot; ``left`` is then released."""

    pair: Heralded
    op: OpId
    left: SlotId | None = None


class Delivering(Record, frozen=True):
    """The pair is handed up (or kept for its batch) at ``pair.deliver_at``."""

    pair: Heralded


Generation = (
    Resting | Waiting | AwaitingSlot | Offering | Yielded | Attempting | Correcting | Delivering
)


def request_of(state: Generation) -> RequestId | None:
    """The request that is being served."""
    match state:
        case Resting():
            return None
        case Correcting(pair) | Delivering(pair):
            return pair.request
        case _:
            return state.request


class EgpState(Record, frozen=True):
    """Snapshot for traces and tests; it stays small however long the queue is.

    Attributes:
        generation: what the end is doing.
        open: how many requests have not ended here.
        unanswered: how many of them wait for the peer's answer (or to be proposed).
        closing: how many have a Close that is unanswered.
        returning: slots that are released when a program on them has ended.
        memory: memory slots that are reserved or hold a batch.
        measuring: outcomes that were not announced yet.
        expected_sequence: the next sequence number of the station, 0 for not known.
    """

    generation: Generation
    open: int
    unanswered: int
    closing: int
    returning: tuple[SlotId, ...]
    memory: tuple[SlotId, ...]
    measuring: int
    expected_sequence: int
