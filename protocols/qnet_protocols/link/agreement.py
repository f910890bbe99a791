"""Agreement of two ends on requests: who proposes, who numbers, who answers, when to ask again.

Theory
    The master (end A of the link) gives the queue numbers. It proposes its own requests with number
    and start instant; a request of the other end gets both in the answer. The start is one round
    trip after the master's proposal, or one way after its acceptance: the instant at which both
    ends can know.

    At most :data:`WINDOW` proposals of an end are unanswered at a time. The master numbers a request
    of its peer when it hears of it, so no more than a window of its own ones overtake it.

    A proposal that is not answered within three round trips is sent again, unchanged; after
    :data:`PROPOSE_TRIES` tries the peer is given up. A peer that meets the same proposal again
    repeats its answer. All messages may be lost, doubled or overtaken.
Late, early, impossible
    See :mod:`qnet_protocols.link.egp`.
Not modelled
    Communication sequence numbers of [1]: the request id tells repeated proposals.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778, section 5.2: the distributed queue (DQP).
"""

from __future__ import annotations

from typing import Final

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.layers import link
from qnet.layers.physical import PER_INCARNATION
from qnet.machine import Effect, Indicate, Received, Send
from qnet.seams import EndContext
from qnet.units import Instant
from qnet_protocols.link.admission import PRIORITY_LIMIT, QUEUE_LIMIT, Timing, refusal
from qnet_protocols.link.messages import Accepted, Propose, Rejected
from qnet_protocols.link.queue import (
    NO_PROGRESS,
    Agreed,
    Ended,
    Entry,
    Held,
    Proposed,
    Queue,
    Terms,
)
from qnet_protocols.link.rounds import Rounds
from qnet_protocols.link.schedulers import Chooser

PROPOSE_TRIES: Final = 6

WINDOW: Final = 16
"""Proposals of one end that may be unanswered; further requests are held until one is answered."""


class Agreement:
    """Fills the queue of one end."""

    def __init__(
        self,
        context: EndContext,
        timing: Timing,
        queue: Queue,
        scheduler: Chooser,
        rounds: Rounds,
    ) -> None:
        self._context = context
        self._timing = timing
        self._queue = queue
        self._scheduler = scheduler
        self._rounds = rounds
        self._master = context.side == 0
        self._accepting: set[int] = set()
        self._numbers = context.incarnation * PER_INCARNATION

    def accept(self, purpose: int) -> None:
        """Accept proposals with ``purpose`` from now on."""
        self._accepting.add(purpose)

    def stop_accepting(self, purpose: int) -> None:
        """Reject proposals with ``purpose`` from now on."""
        self._accepting.discard(purpose)

    def create(self, create: link.Create, now: Instant) -> list[Effect]:
        """A request of this end's application.

        Raises:
            LocalProtocolError: the request id was used before.
        """
        name = self._context.link.name
        if self._queue.get(create.request) or self._queue.ended(create.request):
            raise LocalProtocolError(
                f"{name}: request id must be new, got {create.request} again, at {now} ps"
            )
        refused = refusal(
            create,
            context=self._context,
            timing=self._timing,
            queued=len(self._queue),
            pairs_ahead=self._queue.pairs_open(),
            now=now,
            measured=self._rounds.verdict(),
        )
        if refused:
            code, detail = refused
            error = link.Err(create.request, code, True, create.remote, create.purpose, detail)
            return [Indicate(error)]
        self._queue.put(Held(_own_terms(create, now), create))
        return self.propose(now)

    def propose(self, now: Instant) -> list[Effect]:
        """Propose what is held, oldest first, as far as the window allows."""
        held = self._queue.held()
        if not held:
            return []
        free = WINDOW - len(self._queue.proposed())
        effects: list[Effect] = []
        for entry in held[: max(0, free)]:
            message = self._proposal(entry, now)
            again = Instant(now + self._timing.answer_wait)
            self._queue.put(Proposed(entry.terms, message, 1, again))
            effects.append(Send(self._context.remote, message))
        return effects

    def _proposal(self, entry: Held, now: Instant) -> Propose:
        create, terms = entry.create, entry.terms
        return Propose(
            self._context.link.name,
            terms.request,
            terms.pairs,
            terms.purpose,
            terms.requested_at,
            create.max_time,
            self._next_number() if self._master else None,
            Instant(now + self._timing.handshake) if self._master else None,
            self._scheduler.tag if self._master else 0.0,
            terms.kind,
            terms.priority,
            terms.store,
            terms.atomic,
            terms.consecutive,
            create.distant if create.kind == "M" else None,
            terms.final,
        )

    def on_propose(self, event: Received, message: Propose, now: Instant) -> list[Effect]:
        """The peer proposes a request of its application."""
        entry = self._queue.get(message.request)
        self._check(event, message, entry, now)
        if isinstance(entry, Agreed):
            return [Send(self._context.remote, self.acceptance(entry))]
        ended = self._queue.ended(message.request)
        if ended is not None:
            return [] if ended.answer is None else [Send(self._context.remote, ended.answer)]
        terms = _peer_terms(message)
        why = self._why_not(message.purpose, terms.deadline, now)
        if why is not None:
            code, detail = why
            answer = Rejected(self._context.link.name, message.request, code, detail)
            self._queue.end(
                message.request, Ended(False, message.purpose, NO_PROGRESS, now, answer)
            )
            return [Send(self._context.remote, answer)]
        number, start, tag = message.number, message.start, message.tag
        if number is None or start is None:
            number, start = self._next_number(), Instant(now + self._timing.direct)
            tag = self._scheduler.tag
        agreed = Agreed(terms, number, start, tag)
        self._queue.put(agreed)
        return [Send(self._context.remote, self.acceptance(agreed))]

    def on_accepted(self, event: Received, message: Accepted, now: Instant) -> None:
        """The peer has taken a request of this end."""
        entry = self._queue.get(message.request)
        if entry is None:
            return
        known = entry.number in (None, message.number)
        if not entry.terms.origin or isinstance(entry, Held) or not known:
            raise RemoteProtocolError(self._contradiction(event, entry, now))
        if isinstance(entry, Proposed):
            self._queue.put(Agreed(entry.terms, message.number, message.start, message.tag))

    def on_rejected(self, event: Received, message: Rejected, now: Instant) -> list[Effect]:
        """The peer has not taken a request of this end."""
        entry = self._queue.get(message.request)
        if entry is None:
            return []
        known = {code.value for code in link.ErrorCode}
        if not isinstance(entry, Proposed) or message.code not in known:
            raise RemoteProtocolError(self._contradiction(event, entry, now))
        terms = entry.terms
        self._queue.end(terms.request, Ended(True, terms.purpose, entry.progress, now))
        code = link.ErrorCode(message.code)
        remote = self._context.remote
        return [
            Indicate(link.Err(terms.request, code, True, remote, terms.purpose, message.detail))
        ]

    def resend(self, now: Instant) -> tuple[list[Effect], list[Proposed]]:
        """Proposals to send again now, and those whose peer has stayed silent too long."""
        effects: list[Effect] = []
        silent: list[Proposed] = []
        for entry in self._queue.proposed():
            if entry.resend_at > now:
                continue
            if entry.tries == PROPOSE_TRIES:
                silent.append(entry)
                continue
            again = Instant(now + self._timing.answer_wait)
            self._queue.put(Proposed(entry.terms, entry.message, entry.tries + 1, again))
            effects.append(Send(self._context.remote, entry.message))
        return effects, silent

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _why_not(
        self, purpose: int, deadline: Instant | None, now: Instant
    ) -> tuple[link.ErrorCode, str] | None:
        node = self._context.node
        if purpose not in self._accepting:
            return link.ErrorCode.REJECTED, f"{node} does not accept purpose {purpose}"
        if deadline is not None and deadline <= now:
            return link.ErrorCode.TIMEOUT, f"the proposal came after its deadline, {deadline} ps"
        if len(self._queue) >= QUEUE_LIMIT:
            return link.ErrorCode.NORES, f"queue of {node} must hold <= {QUEUE_LIMIT} requests"
        return None

    def acceptance(self, entry: Agreed) -> Accepted:
        """What is answered to the proposal of ``entry``."""
        name = self._context.link.name
        return Accepted(name, entry.terms.request, entry.number, entry.start, entry.tag)

    def _check(self, event: Received, message: Propose, entry: Entry | None, now: Instant) -> None:
        numbered = message.number is not None and message.start is not None
        bare = message.number is None and message.start is None
        legal = bare if self._master else numbered
        sound = (
            message.pairs >= 1
            and message.max_time >= 0
            and message.requested_at <= now
            and message.service in ("K", "M", "R")
            and (message.basis is not None) == (message.service == "M")
            and set(message.final) <= {0, 1}
            and 0 <= message.priority <= PRIORITY_LIMIT
        )
        ours = entry is not None and entry.terms.origin
        if not legal or not sound or ours:
            raise RemoteProtocolError(self._contradiction(event, entry, now))

    def _contradiction(self, event: Received, entry: Entry | None, now: Instant) -> str:
        return (
            f"{self._context.link.name}: {event.message!r} from {event.source} contradicts "
            f"{entry!r} or the rules of {event.kind}, at {now} ps"
        )


def _own_terms(create: link.Create, now: Instant) -> Terms:
    """Terms of a request of this end."""
    return Terms(
        create.request,
        True,
        create.number,
        create.purpose,
        now,
        Instant(now + create.max_time) if create.max_time else None,
        create.kind,
        create.priority,
        create.store or create.atomic,
        create.atomic,
        create.consecutive,
        None if create.kind == "K" else create.local,
        create.final or (0, 0),
    )


def _peer_terms(message: Propose) -> Terms:
    """Terms of a request of the peer."""
    limit = message.max_time
    return Terms(
        message.request,
        False,
        message.pairs,
        message.purpose,
        message.requested_at,
        Instant(message.requested_at + limit) if limit else None,
        message.service,
        message.priority,
        message.store,
        message.atomic,
        message.consecutive,
        message.basis,
        message.final,
    )
