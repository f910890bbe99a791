"""The common queue of the two ends as one end knows it, and its memory of ended requests.

Theory
    Both ends keep a copy of one queue. The master (end A) numbers the requests of both ends from 1
    without gaps; both ends serve them in the order of the numbers, one at a time. A request is
    *proposed* until the peer has answered and *agreed* from then on.

    An end serves a number only when it knows the fate of every smaller one, so that a lost or
    overtaken message can delay the queue but never turn its order around. The order is decided in
    one place, :meth:`Queue.head`: another scheduler replaces that function.

    Of a request that is over its end is remembered: how many pairs were announced, with which
    sequence numbers, and what was answered to its proposal. A repeated message is then answered
    again, and a request is never queued twice.
Assumptions and validity
    The memory holds the last :data:`MEMORY_LIMIT` requests, several times what can be open at a
    time.
Not modelled
    Priorities and weighted fair queueing of the reference.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778, section 5.2: the distributed queue (DQP).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from qnet.ids import RequestId
from qnet.machine import Record
from qnet.units import Instant
from qnet_protocols.link.messages import Accepted, Propose, Rejected

MEMORY_LIMIT: Final = 256
"""Requests that are over and still remembered."""


class Terms(Record, frozen=True):
    """What both ends know of a request.

    Attributes:
        request: its id.
        origin: True at the end that sent CREATE.
        pairs: pairs wanted.
        purpose: which application at the peer.
        requested_at: instant of CREATE.
        deadline: instant by which all pairs must be delivered, None for no limit.
    """

    request: RequestId
    origin: bool
    pairs: int
    purpose: int
    requested_at: Instant
    deadline: Instant | None


class Progress(Record, frozen=True):
    """Pairs announced for a request; the sequence numbers are 0 while there are none."""

    delivered: int = 0
    delivered_at: Instant = Instant(0)
    first_sequence: int = 0
    last_sequence: int = 0

    def plus(self, sequence: int, at: Instant) -> Progress:
        """One more pair, announced at ``at``."""
        return Progress(self.delivered + 1, at, self.first_sequence or sequence, sequence)


NO_PROGRESS: Final = Progress()


class Proposed(Record, frozen=True):
    """Waits for an answer to ``message``, sent ``tries`` times and again at ``resend_at``."""

    terms: Terms
    message: Propose
    tries: int
    resend_at: Instant

    @property
    def number(self) -> int | None:
        """Place in the queue, None while the master has not given one."""
        return self.message.number

    @property
    def progress(self) -> Progress:
        """Nothing has been announced."""
        return NO_PROGRESS


class Agreed(Record, frozen=True):
    """In the queue at both ends (as far as this end knows); attempts may begin at ``start``."""

    terms: Terms
    number: int
    start: Instant
    progress: Progress = NO_PROGRESS


Entry = Proposed | Agreed


class Ended(Record, frozen=True):
    """A request that is over at this end.

    Attributes:
        origin: True at the end that sent CREATE.
        purpose: as in CREATE.
        number: place in the queue, None if never known.
        progress: pairs announced here and not declared expired since.
        ended_at: when it ended here.
        answer: what this end answered to its proposal, None if it never did.
    """

    origin: bool
    purpose: int
    number: int | None
    progress: Progress
    ended_at: Instant
    answer: Accepted | Rejected | None = None

    def with_delivered(self, delivered: int) -> Ended:
        """The same with only ``delivered`` of its pairs still valid."""
        ours = self.progress
        progress = Progress(delivered, ours.delivered_at, ours.first_sequence, ours.last_sequence)
        return Ended(self.origin, self.purpose, self.number, progress, self.ended_at, self.answer)


class Queue:
    """Entries that are open, and the memory of those that are over."""

    def __init__(self) -> None:
        self._entries: dict[RequestId, Entry] = {}
        self._ended: dict[RequestId, Ended] = {}
        self._known_upto = 0
        self._known_ahead: set[int] = set()
        self._head: Agreed | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, request: RequestId) -> Entry | None:
        """The open entry of that request."""
        return self._entries.get(request)

    def put(self, entry: Entry) -> None:
        """Add an entry or replace the one of the same request."""
        self._entries[entry.terms.request] = entry
        self.know(entry.number)
        self._head = self._find_head()

    def end(self, request: RequestId, ended: Ended) -> None:
        """Move a request to the memory; the oldest memory goes when there are too many."""
        self._entries.pop(request, None)
        self._head = self._find_head()
        self._ended[request] = ended
        if len(self._ended) > MEMORY_LIMIT:
            del self._ended[next(iter(self._ended))]

    def ended(self, request: RequestId) -> Ended | None:
        """What is remembered of a request that is over."""
        return self._ended.get(request)

    def know(self, number: int | None) -> None:
        """The fate of ``number`` is known: it is in the queue, was rejected or is over."""
        if number is None or number <= self._known_upto:
            return
        self._known_ahead.add(number)
        while self._known_upto + 1 in self._known_ahead:
            self._known_upto += 1
            self._known_ahead.remove(self._known_upto)
        self._head = self._find_head()

    def head(self) -> Agreed | None:
        """What to serve now: the smallest number, if agreed and nothing before it is unknown."""
        return self._head

    def _find_head(self) -> Agreed | None:
        first: Entry | None = None
        for entry in self._entries.values():
            if entry.number is None:
                continue
            if first is None or first.number is None or entry.number < first.number:
                first = entry
        if not isinstance(first, Agreed) or first.number > self._known_upto:
            return None
        return first

    def pairs_open(self) -> int:
        """Pairs that the open requests still want."""
        return sum(entry.terms.pairs - entry.progress.delivered for entry in self)
