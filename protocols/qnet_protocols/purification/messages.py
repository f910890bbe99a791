"""Messages between the two purification machines of a pair of nodes; the same for all protocols.

Every message names the machine below (``below``: on whose pairs both work) and the request. The *origin* is
the end that got CREATE; the *peer* is the other one. All are reliable. Instants are in picoseconds.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from qnet.ids import PairId, RequestId
from qnet.layers.link import BasisChoice, Kind
from qnet.machine import Message
from qnet.units import Instant

Verdict = Literal["failed", "kept", "done"]
"""What became of a step: both halves are freed, kept for another step, or handed up."""


class Begin(Message, frozen=True):
    """Origin to peer: pairs of this request will be purified.

    Attributes:
        number: purified pairs wanted.
        minimum_fidelity: of each of them.
        requested_at: instant of CREATE.
        local, distant: bases of the origin and of the peer (kinds M and R).
        final: Bell label wanted by the origin, None for any.
    """

    kind: ClassVar[str] = "purify.steps/begin@1"
    below: str
    request: RequestId
    number: int
    minimum_fidelity: float
    requested_at: Instant
    purpose: int
    wanted: Kind
    distant: BasisChoice
    final: tuple[int, int] | None


class Agreed(Message, frozen=True):
    """Peer to origin: go on."""

    kind: ClassVar[str] = "purify.steps/agreed@1"
    below: str
    request: RequestId


class Refused(Message, frozen=True):
    """Peer to origin: nobody here accepts requests of this node with this purpose."""

    kind: ClassVar[str] = "purify.steps/refused@1"
    below: str
    request: RequestId
    detail: str


class Step(Message, frozen=True):
    """Origin to peer: join these pairs. The origin's program has started.

    Attributes:
        step: number of the step within the request, from 1.
        pairs: ids, the kept one first.
        turns: rotations of the twirl, one per pair; empty without a twirl.
        roles: kinds of slot that hold the origin's halves.
        started_at: start of the origin's program.
        index: which pair of the request, from 1, the kept pair becomes if it is handed up after this step.
    """

    kind: ClassVar[str] = "purify.steps/step@1"
    below: str
    request: RequestId
    step: int
    pairs: tuple[PairId, ...]
    turns: tuple[int, ...]
    roles: tuple[str, ...]
    started_at: Instant
    index: int


class Bits(Message, frozen=True):
    """Origin to peer: what the origin has read in this step."""

    kind: ClassVar[str] = "purify.steps/bits@1"
    below: str
    request: RequestId
    step: int
    bits: tuple[int, ...]


class Decided(Message, frozen=True):
    """Peer to origin: what became of the step, which the peer knows first.

    Attributes:
        bits: what the peer has read, empty if it has not read.
        roles: kinds of slot that hold the peer's halves, empty if it has not read.
        started_at: start of the peer's program.
    """

    kind: ClassVar[str] = "purify.steps/decided@1"
    below: str
    request: RequestId
    step: int
    verdict: Verdict
    bits: tuple[int, ...]
    roles: tuple[str, ...]
    started_at: Instant


class Dropped(Message, frozen=True):
    """These raw pairs, and whatever was made of them, are not valid at the sender any more."""

    kind: ClassVar[str] = "purify.steps/dropped@1"
    below: str
    request: RequestId
    pairs: tuple[PairId, ...]


class Stop(Message, frozen=True):
    """Peer to origin: the peer's user cancels the request. :class:`End` follows."""

    kind: ClassVar[str] = "purify.steps/stop@1"
    below: str
    request: RequestId


class End(Message, frozen=True):
    """Origin to peer: the request is over.

    Attributes:
        delivered: purified pairs that the origin has handed up and that are valid there; the peer counts its own.
        settled: last step whose verdict the origin knows; what a later one has made is not valid.
        code: number of ErrorCode, None if all pairs were made or it was cancelled.
        detail: the reason in words.
        cancelled: one of the two users cancelled it.
    """

    kind: ClassVar[str] = "purify.steps/end@1"
    below: str
    request: RequestId
    delivered: int
    settled: int
    code: int | None
    detail: str
    cancelled: bool


MESSAGES: Final[tuple[type[Message], ...]] = (
    Begin,
    Agreed,
    Refused,
    Step,
    Bits,
    Decided,
    Dropped,
    Stop,
    End,
)
