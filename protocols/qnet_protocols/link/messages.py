"""Messages of the link protocol ``egp`` between the two ends of a link.

Every message names the link and the request that it is about. Instants and durations are in
picoseconds of
simulated time.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from qnet.ids import LinkId, RequestId
from qnet.machine import Message
from qnet.units import Duration, Instant

CloseReason = Literal["cancelled", "timeout", "expired", "no_answer"]
"""Why a request ended before all its pairs were delivered."""


class Propose(Message, frozen=True):
    """Origin to peer: put this request into the common queue.

    Attributes:
        link: which link.
        request: its id.
        pairs: pairs wanted, >= 1.
        purpose: which application at the peer.
        requested_at: instant of CREATE.
        max_time: time for all pairs after ``requested_at``; 0 = no limit.
        number: place in the queue if the master proposes, else None.
        start: first instant of attempts if the master proposes, else None.
    """

    kind: ClassVar[str] = "link.egp/propose@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    pairs: int
    purpose: int
    requested_at: Instant
    max_time: Duration
    number: int | None
    start: Instant | None


class Accepted(Message, frozen=True):
    """Peer to origin: the request is in the queue at ``number`` and starts at ``start``."""

    kind: ClassVar[str] = "link.egp/accepted@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    number: int
    start: Instant


class Rejected(Message, frozen=True):
    """Peer to origin: the request is not taken; ``code`` is a number of ErrorCode."""

    kind: ClassVar[str] = "link.egp/rejected@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    code: int
    detail: str


class Close(Message, frozen=True):
    """The request is over at the sender before all its pairs were delivered; end it too.

    Sent again until :class:`Closed` or the other end's own Close arrives. It carries what the
    EXPIRE message of the reference carries: how far the two ends agree.

    Attributes:
        link: which link.
        request: its id.
        reason: why.
        number: its place in the queue, None if the sender does not know it.
        delivered: pairs that the sender announced as valid.
        last_sequence: sequence number of the last of them, 0 for none.
    """

    kind: ClassVar[str] = "link.egp/close@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    reason: CloseReason
    number: int | None
    delivered: int
    last_sequence: int


class Closed(Message, frozen=True):
    """Answer to :class:`Close`: the request is over here, ``delivered`` pairs were announced."""

    kind: ClassVar[str] = "link.egp/closed@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    number: int | None
    delivered: int
    last_sequence: int


class CompareProgress(Message, frozen=True):
    """The sender has attempted for long: was something lost?

    Attributes:
        link: which link.
        request: its id.
        delivered: pairs that the sender announced.
        since: instant at which its present attempts began.
    """

    kind: ClassVar[str] = "link.egp/compare_progress@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    delivered: int
    since: Instant


MESSAGES: Final[tuple[type[Message], ...]] = (
    Propose,
    Accepted,
    Rejected,
    Close,
    Closed,
    CompareProgress,
)
