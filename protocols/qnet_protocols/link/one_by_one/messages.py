"""Messages between the two ends of a link with the protocol one-by-one.

All are reliable: they arrive in the order of sending, each once, or both ends get
:class:`qnet.machine.PeerLost`. Every message names its link and its request or turn.
"""

from __future__ import annotations

from typing import ClassVar, Final

from qnet.ids import LinkId, RequestId
from qnet.machine import Message
from qnet.units import Instant


class Propose(Message, frozen=True):
    """Origin to peer: an application wants pairs.

    Attributes:
        link: which link.
        request: id, given by the origin's user.
        number: pairs wanted, >= 1.
        purpose: which application at the peer.
        requested_at: instant of CREATE.
        final_x, final_z: Bell label in which the pairs are handed up.
    """

    kind: ClassVar[str] = "link.one-by-one/propose@1"
    link: LinkId
    request: RequestId
    number: int
    purpose: int
    requested_at: Instant
    final_x: int
    final_z: int


class Answered(Message, frozen=True):
    """Peer to origin: whether the proposal is taken.

    Attributes:
        link: which link.
        request: of the proposal.
        refusal: None, or the code of :class:`qnet.layers.link.ErrorCode` that ends the request.
    """

    kind: ClassVar[str] = "link.one-by-one/answered@1"
    link: LinkId
    request: RequestId
    refusal: int | None


class Begin(Message, frozen=True):
    """Leader to follower: attempt for the next pair. Any earlier turn without a word is void.

    Attributes:
        link: which link.
        request: whose pair.
        index: which pair of it, from 1.
        turn: number of this turn; grows.
    """

    kind: ClassVar[str] = "link.one-by-one/begin@1"
    link: LinkId
    request: RequestId
    index: int
    turn: int


class Told(Message, frozen=True):
    """An end's word about a turn: it has handed its half up, or it has none.

    Attributes:
        link: which link.
        turn: which turn.
        made: handed up.
    """

    kind: ClassVar[str] = "link.one-by-one/told@1"
    link: LinkId
    turn: int
    made: bool


class GiveUp(Message, frozen=True):
    """Follower to leader: its user wants no more pairs of ``request``.

    Attributes:
        link: which link.
        request: which one, of either end.
    """

    kind: ClassVar[str] = "link.one-by-one/give_up@1"
    link: LinkId
    request: RequestId


class Ended(Message, frozen=True):
    """Leader to follower: nothing more comes of ``request``. A turn of it without a word is void.

    Attributes:
        link: which link.
        request: that ends.
        cancelled: before all its pairs were made.
    """

    kind: ClassVar[str] = "link.one-by-one/ended@1"
    link: LinkId
    request: RequestId
    cancelled: bool


class Knock(Message, frozen=True):
    """Nothing was heard for long. The peer need not answer: whether it is still there shows by itself.

    Attributes:
        link: which link.
    """

    kind: ClassVar[str] = "link.one-by-one/knock@1"
    link: LinkId


MESSAGES: Final[tuple[type[Message], ...]] = (
    Propose,
    Answered,
    Begin,
    Told,
    GiveUp,
    Ended,
    Knock,
)
