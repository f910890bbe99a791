"""Ends of requests, and the closing handshake by which no pair stays half-delivered.

Theory
    A request that ends before its time (cancelled, timed out, expired, peer silent) is closed by
    ``Close`` with the number of pairs announced here, repeated with doubled waits until ``Closed``
    or the peer's own ``Close`` (the two crossed) tells the peer's number. Whoever announced more
    declares the excess expired: no pair stays half-delivered.
Assumptions and validity
    After :data:`CLOSE_TRIES` unanswered tries the peer is taken for dead.
Not modelled
    Excess pairs beyond the last :data:`~.queue.RECENT_LIMIT` are expired by their number only as far
    as they are remembered.
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
from qnet_protocols.link.messages import Accepted, Close, Closed, CloseReason, CompareProgress
from qnet_protocols.link.queue import NO_PROGRESS, Agreed, Ended, Entry, Progress, Queue

CLOSE_TRIES: Final = 16


class Closing(Record, frozen=True):
    """A Close that was sent ``tries`` times without an answer."""

    message: Close
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
        self._closings: dict[RequestId, Closing] = {}
        self.boundary = Instant(0)
        """End of the last turn that this end knows of (:mod:`.schedulers`)."""

    def __len__(self) -> int:
        """How many Closes are not answered."""
        return len(self._closings)

    def forget_peer(self) -> None:
        """The peer has lost its memory: nothing that it was told needs an answer."""
        self._closings.clear()

    def next_deadline(self) -> Instant | None:
        """When the next Close goes again."""
        if not self._closings:
            return None
        return min((closing.resend_at for closing in self._closings.values()), default=None)

    def resend(self, now: Instant) -> list[Effect]:
        """Closes to send again now."""
        effects: list[Effect] = []
        for request, closing in list(self._closings.items()):
            if closing.resend_at > now:
                continue
            if closing.tries == CLOSE_TRIES:
                del self._closings[request]
                continue
            effects.append(Send(self._remote, closing.message))
            again = Instant(now + (self._answer_wait << closing.tries))
            self._closings[request] = Closing(closing.message, closing.tries + 1, again)
        return effects

    def remember(self, entry: Entry, progress: Progress, now: Instant) -> Ended:
        """Move an open request to the memory."""
        terms = entry.terms
        answer = None
        if isinstance(entry, Agreed) and not terms.origin:
            answer = Accepted(self._link, terms.request, entry.number, entry.start, entry.tag)
        ended = Ended(terms.origin, terms.purpose, progress, now, answer)
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
            agreed: pairs that the peer announced, None if unknown; more are declared expired.
        """
        terms, delivered = entry.terms, entry.progress.delivered
        ended = self.remember(entry, entry.progress, now)
        effects = [] if agreed is None else self._expire(terms.request, ended, agreed)
        if reason == "cancelled":
            end: Record = link.RequestEnded(
                terms.request, terms.origin, self._remote, terms.purpose, delivered, True
            )
        else:
            code, detail = {
                "timeout": (link.ErrorCode.TIMEOUT, f"{delivered} of {terms.pairs} pairs in time"),
                "expired": (link.ErrorCode.EXPIRE, "the ends did not hear of the same heralds"),
                "no_answer": (link.ErrorCode.OTHER, "peer does not answer"),
                "peer_lost": (
                    link.ErrorCode.OTHER,
                    "peer lost its memory or contact with it broke",
                ),
            }[reason]
            end = link.Err(terms.request, code, terms.origin, self._remote, terms.purpose, detail)
        return [*effects, Indicate(end)]

    def close(
        self, entry: Entry, reason: CloseReason, now: Instant, *, agreed: int | None
    ) -> Effect:
        """Tell the peer that ``entry`` is over, until it answers."""
        return self._close(entry.terms.request, reason, entry.progress, agreed, now)

    def answer(self, request: RequestId, progress: Progress) -> Effect:
        """Confirm the peer's Close."""
        delivered, last = progress.delivered, progress.last_sequence
        return Send(self._remote, Closed(self._link, request, delivered, last, self.boundary))

    def on_close(self, message: Close, now: Instant) -> list[Effect]:
        """The peer closes a request that is not open here."""
        request = message.request
        ended = self._queue.ended(request)
        if ended is None:
            # Its proposal was lost or comes later; the memory keeps it from being queued then.
            ended = Ended(False, 0, NO_PROGRESS, now)
            self._queue.end(request, ended)
        effects = self._expire(request, ended, message.delivered)
        if self._closings.pop(request, None) is not None:
            return effects
        return [*effects, self.answer(request, ended.progress)]

    def on_closed(self, message: Closed) -> list[Effect]:
        """The peer confirms a Close of this end."""
        ended = self._queue.ended(message.request)
        if self._closings.pop(message.request, None) is None or ended is None:
            return []
        return self._expire(message.request, ended, message.delivered)

    def on_compare(self, event: Received, message: CompareProgress, now: Instant) -> list[Effect]:
        """The peer still attempts for a request that is not open here."""
        request = message.request
        ended = self._queue.ended(request) or Ended(False, 0, NO_PROGRESS, Instant(0))
        if event.sent_at <= ended.ended_at or request in self._closings:
            return []
        effects = self._expire(request, ended, message.served)
        close = self._close(request, "expired", ended.progress, message.served, now)
        return [*effects, close]

    def gap(self, entry: Agreed, missed: range) -> Effect:
        """Declare the pairs with sequence numbers ``missed`` expired, for ``entry``."""
        terms = entry.terms
        pairs = tuple(pair_id(self._link, sequence) for sequence in missed)
        return Indicate(link.Expired(terms.request, self._remote, terms.purpose, pairs))

    def _close(
        self,
        request: RequestId,
        reason: CloseReason,
        progress: Progress,
        agreed: int | None,
        now: Instant,
    ) -> Effect:
        delivered = progress.delivered if agreed is None else min(progress.delivered, agreed)
        last = progress.last_sequence
        message = Close(self._link, request, reason, delivered, last, self.boundary)
        self._closings[request] = Closing(message, 1, Instant(now + self._answer_wait))
        return Send(self._remote, message)

    def _expire(self, request: RequestId, ended: Ended, agreed: int) -> list[Effect]:
        """Declare pairs expired that were announced here beyond the ``agreed`` first ones."""
        ours = ended.progress
        if ours.delivered <= agreed:
            return []
        self._queue.end(request, ended.only(agreed))
        beyond = ours.recent[-(ours.delivered - agreed) :]
        pairs = tuple(pair_id(self._link, sequence) for sequence in beyond)
        expired = link.Expired(request, self._remote, ended.purpose, pairs)
        return [Indicate(expired)]
