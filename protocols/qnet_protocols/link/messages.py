"""Messages between the two ends of a link, of the link protocols ``egp`` and ``tdma``.

Their kinds are named after ``egp``: with ``tdma`` the ends say the same and mean the same, they only
choose otherwise what to attempt.

Every message names the link and what it is about: a request, an attempt run or a pair. All are
datagrams: any of them may be lost, doubled or overtaken. Instants and durations are in picoseconds
of simulated time.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from qnet.ids import AttemptId, LinkId, RequestId
from qnet.layers.link import BasisChoice, Kind
from qnet.machine import Message
from qnet.units import Duration, Instant

CloseReason = Literal["cancelled", "timeout", "expired", "no_answer", "no_sign", "peer_lost"]
"""Why a request ended before all its pairs were made."""


class Propose(Message, frozen=True):
    """Origin to peer: put this request into the common queue.

    Attributes:
        link: which link.
        request: its id.
        pairs: pairs wanted, >= 1.
        purpose: which application at the peer.
        requested_at: instant of CREATE.
        max_time: time for all pairs after ``requested_at``; 0 = no limit.
        number: order of arrival if the master proposes, else None.
        start: first instant of attempts if the master proposes, else None.
        tag: start tag of the weighted scheduler if the master proposes, else 0.
        service: kind of the request, K, M or R.
        priority, store, atomic, consecutive: as in CREATE.
        basis: in which the peer measures its halves; None: it keeps them.
        final: Bell label of the pairs that are handed up (K).
    """

    kind: ClassVar[str] = "link.egp/propose@2"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    pairs: int
    purpose: int
    requested_at: Instant
    max_time: Duration
    number: int | None
    start: Instant | None
    tag: float = 0.0
    service: Kind = "K"
    priority: int = 1
    store: bool = False
    atomic: bool = False
    consecutive: bool = False
    basis: BasisChoice | None = None
    final: tuple[int, int] = (0, 0)


class Accepted(Message, frozen=True):
    """Peer to origin: the request is in the queue at ``number`` and starts at ``start``."""

    kind: ClassVar[str] = "link.egp/accepted@2"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    number: int
    start: Instant
    tag: float = 0.0


class Rejected(Message, frozen=True):
    """Peer to origin: the request is not taken; ``code`` is a number of ErrorCode."""

    kind: ClassVar[str] = "link.egp/rejected@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    code: int
    detail: str


class Close(Message, frozen=True):
    """The request is over at the sender before all its pairs were made; end it too.

    Sent again until :class:`Closed` or the other end's own Close arrives. It carries what the
    EXPIRE message of the reference carries: how far the two ends agree.

    Attributes:
        link: which link.
        request: its id.
        reason: why.
        reached: index of the last pair that the sender announced, 0 for none; what it left out
            before that it says with :class:`Void`.
        last_sequence: sequence number of the last one that is valid, 0 for none.
        boundary: end of the last turn that the sender knows of.
    """

    kind: ClassVar[str] = "link.egp/close@3"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    reason: CloseReason
    reached: int
    last_sequence: int
    boundary: Instant


class Closed(Message, frozen=True):
    """Answer to :class:`Close`: the request is over here; fields as there."""

    kind: ClassVar[str] = "link.egp/closed@3"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    reached: int
    last_sequence: int
    boundary: Instant


class Void(Message, frozen=True):
    """Pair ``index`` of the request is not valid at the sender; it is not at the receiver either.

    Sent again until :class:`VoidHeard` arrives.

    Attributes:
        link: which link.
        request: its id.
        index: which pair of it, from 1.
        boundary: end of the last turn that the sender knows of.
    """

    kind: ClassVar[str] = "link.egp/void@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    index: int
    boundary: Instant


class VoidHeard(Message, frozen=True):
    """Answer to :class:`Void`: pair ``index`` is not valid here."""

    kind: ClassVar[str] = "link.egp/void_heard@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    index: int


class CompareProgress(Message, frozen=True):
    """The sender has attempted for long: was something lost?

    Attributes:
        link: which link.
        request: its id.
        served: pairs of it that the sender knows to be made, or void.
        since: instant at which its present attempts began.
        boundary: end of the last turn that the sender knows of.
    """

    kind: ClassVar[str] = "link.egp/compare_progress@2"
    reliable: ClassVar[bool] = False
    link: LinkId
    request: RequestId
    served: int
    since: Instant
    boundary: Instant


class NoSlot(Message, frozen=True):
    """The sender would attempt under ``attempt`` but has no free slot for it (flow control)."""

    kind: ClassVar[str] = "link.egp/no_slot@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    attempt: AttemptId


class HaveSlot(Message, frozen=True):
    """The sender has a slot for ``attempt``.

    ``asks``: it had none before and attempts when the peer says the same; else it attempts already.
    """

    kind: ClassVar[str] = "link.egp/have_slot@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    attempt: AttemptId
    asks: bool


class RoundOutcome(Message, frozen=True):
    """What the sender read of its half of test pair ``sequence`` in ``basis`` (X, Y or Z)."""

    kind: ClassVar[str] = "link.egp/round_outcome@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    sequence: int
    basis: str
    outcome: int


MESSAGES: Final[tuple[type[Message], ...]] = (
    Propose,
    Accepted,
    Rejected,
    Close,
    Closed,
    Void,
    VoidHeard,
    CompareProgress,
    NoSlot,
    HaveSlot,
    RoundOutcome,
)
