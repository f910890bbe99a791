"""Link service: CREATE in, OK / ERR / EXPIRE out, at both ends (physics reference A1.1).

Names follow the literature; the answer of a create-and-keep request is OK_K. Times are instants of
simulated time. ``goodness`` is an estimate of the fidelity from the hardware description, not a
measurement, and comes with its stated error.
"""

from __future__ import annotations

import enum

from qnet.ids import NodeId, PairId, RequestId, SlotId
from qnet.machine import Record
from qnet.units import Duration, Instant


class ErrorCode(enum.IntEnum):
    """Why a request failed (numbers of the reference)."""

    UNSUPP = 0
    """Fidelity or time not reachable even on an idle link."""
    NOTIME = 1
    """Reachable, but not in time under the present load."""
    NORES = 2
    """No communication or storage qubit, or the queue is full."""
    TIMEOUT = 3
    """The maximum time is over before all pairs were made."""
    REJECTED = 4
    """The peer does not accept this purpose."""
    OTHER = 5
    """Hardware or internal failure, or cancelled by its user."""
    EXPIRE = 6
    """Pairs already announced are not valid."""
    CREATE = 7
    """Malformed request."""


class Create(Record, frozen=True):
    """Ask for ``number`` pairs with ``remote`` (create and keep).

    Attributes:
        request: id of the request, given by the node; unique under its name.
        remote: the peer; must be the other end of a link of this node.
        number: pairs wanted, >= 1.
        minimum_fidelity: lowest acceptable goodness, 0 <= F <= 1.
        max_time: time within which all pairs must be delivered; 0 = no limit.
        purpose: like a port: which application at the peer.
    """

    request: RequestId
    remote: NodeId
    number: int
    minimum_fidelity: float
    max_time: Duration
    purpose: int


class Cancel(Record, frozen=True):
    """Give up the rest of ``request``; answered by :class:`RequestEnded` or ERR, once."""

    request: RequestId


class Accept(Record, frozen=True):
    """Accept requests from ``remote`` with ``purpose`` (RECV)."""

    remote: NodeId
    purpose: int


class StopAccepting(Record, frozen=True):
    """Refuse requests from ``remote`` with ``purpose`` from now on (STOP_RECV)."""

    remote: NodeId
    purpose: int


class Ok(Record, frozen=True):
    """One pair is ready (OK_K). Both ends say it with the same ``pair`` and ``label``.

    Attributes:
        request: the request that it belongs to.
        pair: entanglement id.
        index: which pair of the request, from 1.
        origin: True at the end that sent CREATE.
        remote: the other end.
        purpose: as in CREATE.
        slot: where this end's half is; it passes to the holder above.
        label: Bell label (x, z) of the delivered pair.
        goodness: estimated fidelity at ``goodness_at``.
        goodness_error: the true fidelity lies within goodness +- this.
        created_at: instant of the click at the station.
        requested_at: instant of CREATE.
    """

    request: RequestId
    pair: PairId
    index: int
    origin: bool
    remote: NodeId
    purpose: int
    slot: SlotId
    label: tuple[int, int]
    goodness: float
    goodness_error: float
    goodness_at: Instant
    created_at: Instant
    requested_at: Instant


class Err(Record, frozen=True):
    """The request ends here without (all of) its pairs. Said once at each end that knew of the request."""

    request: RequestId
    code: ErrorCode
    origin: bool
    remote: NodeId
    purpose: int
    detail: str = ""


class Expired(Record, frozen=True):
    """Pairs ``low <= sequence <= high`` announced for ``request`` are not valid (EXPIRE)."""

    request: RequestId
    remote: NodeId
    purpose: int
    low: int
    high: int


class RequestEnded(Record, frozen=True):
    """All pairs of ``request`` were delivered, or its user cancelled the rest. Said once at each end."""

    request: RequestId
    origin: bool
    remote: NodeId
    purpose: int
    delivered: int
    cancelled: bool = False
