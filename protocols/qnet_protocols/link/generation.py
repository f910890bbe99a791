"""States of pair generation at one end: from waiting for a slot to the common instant of delivery.

Theory
    One pair is made at a time::

        Resting -> Waiting -> AwaitingSlot -> Attempting -> [Correcting ->] Delivering -> Resting

    Waiting ends at the agreed start; AwaitingSlot when the node gives a communication slot;
    Attempting when the station reports a herald; Correcting (origin only, labels other than Phi+)
    when the gate has been applied; Delivering at the instant that both ends compute from the click.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778.
"""

from __future__ import annotations

from qnet.ids import OpId, RequestId, SlotId
from qnet.machine import Record
from qnet.units import Instant
from qnet_protocols.link.queue import Agreed


class Resting(Record, frozen=True):
    """Nothing to serve, or the head of the queue cannot be served any more before its deadline."""


class Waiting(Record, frozen=True):
    """The head of the queue may start at ``start``."""

    request: RequestId
    start: Instant


class AwaitingSlot(Record, frozen=True):
    """A communication slot was asked for pair ``index`` (from 1) of ``request``."""

    request: RequestId
    index: int
    token: str


class Attempting(Record, frozen=True):
    """The physical layer attempts with ``slot``.

    Attributes:
        request: the request served.
        index: which pair of it, from 1.
        slot: the emitting qubit.
        since: when these attempts began.
        asks: how often progress has been compared since.
        ask_at: when to compare it next, None after the last time.
    """

    request: RequestId
    index: int
    slot: SlotId
    since: Instant
    asks: int
    ask_at: Instant | None


class Heralded(Record, frozen=True):
    """A heralded pair: ``sequence`` of the station, instants of click and delivery."""

    request: RequestId
    index: int
    slot: SlotId
    sequence: int
    clicked_at: Instant
    deliver_at: Instant


class Correcting(Record, frozen=True):
    """Operation ``op`` turns the heralded state into Phi+."""

    pair: Heralded
    op: OpId


class Delivering(Record, frozen=True):
    """The pair is handed up at ``pair.deliver_at``."""

    pair: Heralded


Generation = Resting | Waiting | AwaitingSlot | Attempting | Correcting | Delivering


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
    """Snapshot for traces and tests.

    Attributes:
        generation: what the end is doing about the head of the queue.
        head: the request being served, None if none can be.
        open: requests that have not ended here, in order of arrival.
        closing: requests whose Close is unanswered.
        returning: slots that are released when their correction has ended.
        expected_sequence: the next sequence number of the station.
    """

    generation: Generation
    head: Agreed | None
    open: tuple[RequestId, ...]
    closing: tuple[RequestId, ...]
    returning: tuple[SlotId, ...]
    expected_sequence: int
