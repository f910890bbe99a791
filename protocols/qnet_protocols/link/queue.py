"""The common queue of the two ends as one end knows it, and its memory of ended requests.

Theory
    Both ends keep a copy of one queue. A request of this end is *held* while too many proposals are
    unanswered, *proposed* until the peer has answered and *agreed* from then on. What both know of
    an agreed request is fixed: its terms, its number, its start, its tag; and what they count alike:
    how many of its pairs were made. Which one is served next follows from these alone
    (:mod:`.schedulers`).

    Of a request that is over its end is remembered: which pairs were announced last, with which
    sequence numbers, and what was answered to its proposal. A repeated message is then answered
    again, and a request is never queued twice.
Assumptions and validity
    The memory holds the last :data:`MEMORY_LIMIT` requests, several times what can be open at a
    time. A proposal that comes again after that opens its request anew, and its origin closes it.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778, section 5.2: the distributed queue (DQP).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from qnet.ids import RequestId
from qnet.layers.link import BasisChoice, Create, Kind
from qnet.machine import Record
from qnet.units import Instant
from qnet_protocols.link.messages import Accepted, Propose, Rejected

MEMORY_LIMIT: Final = 256
"""Requests that are over and still remembered."""

RECENT_LIMIT: Final = 64
"""Announced (and void) pairs per request that are remembered, beyond those of one batch."""


class Terms(Record, frozen=True):
    """What both ends know of a request.

    Attributes:
        request: its id.
        origin: True at the end that sent CREATE.
        pairs: pairs wanted.
        purpose: which application at the peer.
        requested_at: instant of CREATE.
        deadline: instant by which all pairs must be delivered, None for no limit.
        kind: K, M or R.
        priority: queue number, 0 is served first.
        store: each half that is kept goes to a memory slot.
        atomic: all pairs are handed up together.
        consecutive: no other pair between the first and the last.
        basis: in which this end measures its halves; None: it keeps them.
        final: Bell label of the pairs that are handed up (K).
    """

    request: RequestId
    origin: bool
    pairs: int
    purpose: int
    requested_at: Instant
    deadline: Instant | None
    kind: Kind = "K"
    priority: int = 1
    store: bool = False
    atomic: bool = False
    consecutive: bool = False
    basis: BasisChoice | None = None
    final: tuple[int, int] = (0, 0)

    @property
    def memory(self) -> int:
        """Memory slots that this end needs before the first pair; one per pair if not atomic."""
        if self.basis is not None or not self.store:
            return 0
        return self.pairs if self.atomic else 1


class Progress(Record, frozen=True):
    """How far a request has come.

    Attributes:
        served: pairs made (heralded and due or announced) or void; the next one has index
            ``served`` + 1.
        boundary: end of the turn of the last of them, an instant common to both ends.
        delivered: pairs announced and valid.
        reached: index of the last announced one.
        recent: (index, sequence number) of the last valid ones.
        voids: how many pairs are void.
        voided: indices of the last void ones.
    """

    served: int = 0
    boundary: Instant = Instant(0)
    delivered: int = 0
    reached: int = 0
    recent: tuple[tuple[int, int], ...] = ()
    voids: int = 0
    voided: tuple[int, ...] = ()

    @property
    def last_sequence(self) -> int:
        """Sequence number of the last valid pair, 0 for none."""
        return self.recent[-1][1] if self.recent else 0

    @property
    def settled(self) -> int:
        """Pairs of which nothing more is to come: announced or void."""
        return self.delivered + self.voids

    def made(self, boundary: Instant) -> Progress:
        """One more pair whose turn ends at ``boundary``."""
        return Progress(
            self.served + 1,
            boundary,
            self.delivered,
            self.reached,
            self.recent,
            self.voids,
            self.voided,
        )

    def announced(self, *pairs: tuple[int, int]) -> Progress:
        """Pairs (index, sequence number) were announced together, in order."""
        keep = max(RECENT_LIMIT, len(pairs))
        return Progress(
            self.served,
            self.boundary,
            self.delivered + len(pairs),
            pairs[-1][0],
            (*self.recent, *pairs)[-keep:],
            self.voids,
            self.voided,
        )

    def without(self, index: int, boundary: Instant) -> Progress:
        """Pair ``index`` is void; nothing changes if it is already."""
        if index in self.voided:
            return self
        kept = tuple(pair for pair in self.recent if pair[0] != index)
        return Progress(
            max(self.served, index),
            max(self.boundary, boundary),
            self.delivered - (len(self.recent) - len(kept)),
            self.reached,
            kept,
            self.voids + 1,
            (*self.voided, index)[-RECENT_LIMIT:],
        )

    def sequence_of(self, index: int) -> int | None:
        """Sequence number of pair ``index`` if it was announced, is valid and remembered."""
        return next((sequence for one, sequence in self.recent if one == index), None)

    def beyond(self, reached: int) -> tuple[int, ...]:
        """Sequence numbers of the announced pairs after pair ``reached``."""
        return tuple(sequence for index, sequence in self.recent if index > reached)

    def only(self, reached: int) -> Progress:
        """The same without the pairs after pair ``reached``."""
        kept = tuple(pair for pair in self.recent if pair[0] <= reached)
        return msgspec.structs.replace(
            self,
            delivered=self.delivered - (len(self.recent) - len(kept)),
            reached=min(self.reached, reached),
            recent=kept,
        )


NO_PROGRESS: Final = Progress()


class Held(Record, frozen=True):
    """Not proposed yet: too many proposals of this end are unanswered."""

    terms: Terms
    create: Create

    number: None = None
    progress: Progress = NO_PROGRESS


class Proposed(Record, frozen=True):
    """Waits for an answer to ``message``, sent ``tries`` times and again at ``resend_at``."""

    terms: Terms
    message: Propose
    tries: int
    resend_at: Instant
    progress: Progress = NO_PROGRESS

    @property
    def number(self) -> int | None:
        """Place in the queue, None while the master has not given one."""
        return self.message.number


class Agreed(Record, frozen=True):
    """In the queue at both ends (as far as this end knows).

    Attributes:
        terms: what is wanted.
        number: order of arrival, given by the master.
        start: attempts may begin then.
        tag: the weighted scheduler's start tag, given by the master.
        progress: what was made of it.
    """

    terms: Terms
    number: int
    start: Instant
    tag: float = 0.0
    progress: Progress = NO_PROGRESS

    @property
    def priority(self) -> int:
        """As in CREATE; this and the next four for schedulers (:class:`qnet.layers.scheduling.Waiting`)."""
        return self.terms.priority

    @property
    def pairs(self) -> int:
        """Pairs wanted."""
        return self.terms.pairs

    @property
    def served(self) -> int:
        """Pairs made or void."""
        return self.progress.served

    @property
    def requested_at(self) -> Instant:
        """Instant of CREATE."""
        return self.terms.requested_at

    @property
    def deadline(self) -> Instant | None:
        """For all pairs, None for no limit."""
        return self.terms.deadline

    def with_progress(self, progress: Progress) -> Agreed:
        """The same, further on."""
        return Agreed(self.terms, self.number, self.start, self.tag, progress)


Entry = Held | Proposed | Agreed


class Ended(Record, frozen=True):
    """A request that is over at this end.

    Attributes:
        origin: True at the end that sent CREATE.
        purpose: as in CREATE.
        progress: pairs announced here and not declared expired since.
        ended_at: when it ended here.
        complete: all its pairs were made (or void), so the peer is not told that it is over.
        answer: what this end answered to its proposal, None if it never did.
    """

    origin: bool
    purpose: int
    progress: Progress
    ended_at: Instant
    answer: Accepted | Rejected | None = None
    complete: bool = False

    def with_progress(self, progress: Progress) -> Ended:
        """The same with fewer valid pairs."""
        return msgspec.structs.replace(self, progress=progress)


class Queue:
    """Entries that are open, and the memory of those that are over."""

    def __init__(self) -> None:
        self._entries: dict[RequestId, Entry] = {}
        self._ended: dict[RequestId, Ended] = {}
        self.version = 0
        """Changes whenever something could be served first that was not before."""

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
        self.version += 1

    def end(self, request: RequestId, ended: Ended) -> None:
        """Move a request to the memory; the oldest memory goes when there are too many."""
        self._entries.pop(request, None)
        self.version += 1
        self._ended[request] = ended
        if len(self._ended) > MEMORY_LIMIT:
            del self._ended[next(iter(self._ended))]

    def ended(self, request: RequestId) -> Ended | None:
        """What is remembered of a request that is over."""
        return self._ended.get(request)

    def agreed(self) -> list[Agreed]:
        """Entries whose pairs may be made."""
        return [entry for entry in self._entries.values() if type(entry) is Agreed]

    def held(self) -> list[Held]:
        """Entries that wait to be proposed, oldest first."""
        return [entry for entry in self._entries.values() if type(entry) is Held]

    def proposed(self) -> list[Proposed]:
        """Entries that wait for an answer."""
        return [entry for entry in self._entries.values() if type(entry) is Proposed]

    def pairs_open(self) -> int:
        """Pairs that the open requests still want."""
        return sum(entry.terms.pairs - entry.progress.served for entry in self)
