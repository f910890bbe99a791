"""Ends of requests and void pairs: the handshakes by which no pair stays half-delivered.

Theory
    *A pair* that one end cannot announce, because its herald was lost or late here, is void: it
    counts as one of the request's pairs and is not made again. This end says ``Void``, repeated with
    doubled waits until ``VoidHeard``; the other one makes it void too and says EXPIRE if it had
    announced it. The request goes on.

    *A request* that ends before its time (cancelled, timed out, expired, peer silent) is closed by
    ``Close`` with the index of the last pair announced here, repeated likewise until ``Closed`` or
    the peer's own ``Close`` (the two crossed) tells the peer's. Whoever announced more declares the
    excess expired; what is left out before that was told as void.
Assumptions and validity
    After :data:`CLOSE_TRIES` unanswered tries the peer is taken for dead.
Not modelled
    Pairs are expired only as far as they are remembered, the last :data:`~.queue.RECENT_LIMIT` of a
    request: a void pair that the other end hears of later than that stays announced there.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778: EXPIRE and its acknowledgement.
"""

from __future__ import annotations

from typing import Final

from qnet.ids import RequestId, pair_id
from qnet.layers import link
from qnet.machine import Effect, Indicate, Received, Record, Send
from qnet.seams import EndContext
from qnet.units import Instant
from qnet_protocols.link.admission import Timing
from qnet_protocols.link.messages import (
    Accepted,
    Close,
    Closed,
    CloseReason,
    CompareProgress,
    Void,
    VoidHeard,
)
from qnet_protocols.link.queue import (
    NO_PROGRESS,
    RECENT_LIMIT,
    Agreed,
    Ended,
    Entry,
    Progress,
    Queue,
)

CLOSE_TRIES: Final = 16


class Closing(Record, frozen=True):
    """A Close or Void that was sent ``tries`` times without an answer."""

    message: Close | Void
    tries: int
    resend_at: Instant


class Endings:
    """Ends requests at one end, and carries the handshakes about them."""

    def __init__(self, context: EndContext, timing: Timing, queue: Queue) -> None:
        self._link = context.link.name
        self._node = context.node
        self._remote = context.remote
        self._answer_wait = timing.answer_wait
        self._queue = queue
        self._closings: dict[tuple[RequestId, int], Closing] = {}
        self.boundary = Instant(0)
        """End of the last turn that this end knows of (:mod:`.schedulers`)."""

    def __len__(self) -> int:
        """How many Closes and Voids are not answered."""
        return len(self._closings)

    def forget_peer(self) -> None:
        """The peer has lost its memory: nothing that it was told needs an answer."""
        self._closings.clear()

    def next_deadline(self) -> Instant | None:
        """When the next Close or Void goes again."""
        if not self._closings:
            return None
        return min((closing.resend_at for closing in self._closings.values()), default=None)

    def resend(self, now: Instant) -> list[Effect]:
        """Closes and Voids to send again now."""
        effects: list[Effect] = []
        for key, closing in list(self._closings.items()):
            if closing.resend_at > now:
                continue
            if closing.tries == CLOSE_TRIES:
                del self._closings[key]
                continue
            effects.append(Send(self._remote, closing.message))
            again = Instant(now + (self._answer_wait << closing.tries))
            self._closings[key] = Closing(closing.message, closing.tries + 1, again)
        return effects

    def remember(
        self, entry: Entry, progress: Progress, now: Instant, *, complete: bool = False
    ) -> Ended:
        """Move an open request to the memory."""
        terms = entry.terms
        answer = None
        if isinstance(entry, Agreed) and not terms.origin:
            answer = Accepted(self._link, terms.request, entry.number, entry.start, entry.tag)
        ended = Ended(terms.origin, terms.purpose, progress, now, answer, complete)
        self._queue.end(terms.request, ended)
        return ended

    def give_up(
        self, entry: Entry, reason: CloseReason, now: Instant, *, agreed: int | None
    ) -> list[Effect]:
        """End an open request at this end and tell the layer above.

        Args:
            entry: the open request.
            reason: why it ends.
            now: this instant.
            agreed: index of the last pair that the peer announced, None if unknown; what was
                announced beyond it is declared expired.
        """
        terms = entry.terms
        ended = self.remember(entry, entry.progress, now)
        effects = [] if agreed is None else self._expire(terms.request, ended, agreed)
        left = self._queue.ended(terms.request) or ended
        delivered = left.progress.delivered
        name, remote, purpose = terms.request, self._remote, terms.purpose
        if reason == "cancelled":
            end: Record = link.RequestEnded(name, terms.origin, remote, purpose, delivered, True)
        else:
            code, detail = {
                "timeout": (link.ErrorCode.TIMEOUT, f"{delivered} of {terms.pairs} pairs in time"),
                "expired": (link.ErrorCode.EXPIRE, "the ends did not hear of the same heralds"),
                "no_answer": (link.ErrorCode.OTHER, f"{remote} does not answer"),
                "no_sign": (
                    link.ErrorCode.OTHER,
                    f"no herald comes and nothing is heard of {remote}",
                ),
                "peer_lost": (
                    link.ErrorCode.OTHER,
                    "peer lost its memory or contact with it broke",
                ),
            }[reason]
            end = link.Err(name, code, terms.origin, remote, purpose, detail)
        return [*effects, Indicate(end)]

    def close(
        self, entry: Entry, reason: CloseReason, now: Instant, *, agreed: int | None
    ) -> Effect:
        """Tell the peer that ``entry`` is over, until it answers."""
        return self._close(entry.terms.request, reason, entry.progress, agreed, now)

    def answer(self, request: RequestId, progress: Progress) -> Effect:
        """Confirm the peer's Close."""
        reached, last = progress.reached, progress.last_sequence
        return Send(self._remote, Closed(self._link, request, reached, last, self.boundary))

    def on_close(self, message: Close, now: Instant) -> list[Effect]:
        """The peer closes a request that is not open here."""
        request = message.request
        ended = self._queue.ended(request)
        if ended is None:
            # Its proposal was lost or comes later; the memory keeps it from being queued then.
            ended = Ended(False, 0, NO_PROGRESS, now)
            self._queue.end(request, ended)
        effects = self._expire(request, ended, message.reached)
        if self._closings.pop((request, 0), None) is not None:
            return effects
        return [*effects, self.answer(request, ended.progress)]

    def on_closed(self, message: Closed) -> list[Effect]:
        """The peer confirms a Close of this end."""
        ended = self._queue.ended(message.request)
        if self._closings.pop((message.request, 0), None) is None or ended is None:
            return []
        return self._expire(message.request, ended, message.reached)

    def on_void_heard(self, message: VoidHeard) -> None:
        """The peer confirms a Void of this end."""
        self._closings.pop((message.request, message.index), None)

    def void(self, request: RequestId, index: int, now: Instant) -> Effect:
        """Tell the peer that pair ``index`` is void, until it answers."""
        return self._repeat(index, Void(self._link, request, index, self.boundary), now)

    def void_ended(self, request: RequestId, index: int) -> list[Effect]:
        """A pair of a request that is over is void."""
        ended = self._queue.ended(request)
        sequence = None if ended is None else ended.progress.sequence_of(index)
        if ended is None or sequence is None:
            return []
        self._queue.end(request, ended.with_progress(ended.progress.without(index, Instant(0))))
        return [self.expired(request, ended.purpose, (sequence,))]

    def on_compare(self, event: Received, message: CompareProgress, now: Instant) -> list[Effect]:
        """The peer still attempts for a request that is not open here."""
        request = message.request
        ended = self._queue.ended(request) or Ended(False, 0, NO_PROGRESS, Instant(0))
        if event.sent_at <= ended.ended_at or (request, 0) in self._closings:
            return []
        missed = ended.progress.served - message.served
        if ended.complete and 0 < missed <= RECENT_LIMIT:
            effects: list[Effect] = []
            for index in range(message.served + 1, ended.progress.served + 1):
                effects += self.void_ended(request, index)
                effects.append(self.void(request, index, now))
            return effects
        effects = self._expire(request, ended, message.served)
        close = self._close(request, "expired", ended.progress, message.served, now)
        return [*effects, close]

    def expired(self, request: RequestId, purpose: int, sequences: tuple[int, ...]) -> Effect:
        """Declare announced pairs expired."""
        pairs = tuple(pair_id(self._link, sequence) for sequence in sequences)
        return Indicate(link.Expired(request, self._remote, purpose, pairs))

    def _close(
        self,
        request: RequestId,
        reason: CloseReason,
        progress: Progress,
        agreed: int | None,
        now: Instant,
    ) -> Effect:
        reached = progress.reached if agreed is None else min(progress.reached, agreed)
        last = progress.last_sequence
        return self._repeat(
            0, Close(self._link, request, reason, reached, last, self.boundary), now
        )

    def _repeat(self, index: int, message: Close | Void, now: Instant) -> Effect:
        again = Instant(now + self._answer_wait)
        self._closings[message.request, index] = Closing(message, 1, again)
        return Send(self._remote, message)

    def _expire(self, request: RequestId, ended: Ended, agreed: int) -> list[Effect]:
        """Declare pairs expired that were announced here after pair ``agreed``."""
        beyond = ended.progress.beyond(agreed)
        if not beyond:
            return []
        self._queue.end(request, ended.with_progress(ended.progress.only(agreed)))
        return [self.expired(request, ended.purpose, beyond)]
