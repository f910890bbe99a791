"""Entanglement generation protocol: the link layer of one end, create-and-keep.

Theory
    *Agreement.* CREATE is checked (:mod:`.admission`) and proposed to the peer. The master (end A)
    numbers all requests; the peer answers Accepted, or Rejected if its application does not accept
    the purpose (:mod:`.agreement`). Both ends serve requests in the order of the numbers
    (:mod:`.queue`). A proposal without an answer is sent three times, 3 round trips apart, then the
    request ends with ERR OTHER.

    *Generation.* For each pair both ends take a communication slot and attempt under the same
    attempt id ``request.k`` until the station reports a herald. The herald carries the next
    sequence number of the link, which with the link's name is the pair's id. The origin applies one
    Pauli gate that turns the heralded state into Phi+; the peer waits. Both hand their half up (OK)
    at the same instant, click + longer flight + longer correction, and go on to the next pair.

    *Deadline.* Attempts of a request with a deadline stop so early that a herald is in time at both
    ends or happens at neither. At the deadline each end says ERR TIMEOUT by itself.

    *Breaking off.* A request that ends early at one end (cancelled by either application, timed
    out, expired, peer silent) is closed with the handshake of :mod:`.closing`. Whoever announced a
    pair that the other did not says EXPIRE for it.

    *Missed heralds.* A sequence number ahead of the expected one means that reports were lost:
    EXPIRE for the gap, and the request is closed. An end whose peer has gone ahead learns nothing
    any more from the station, so an end that attempts far longer than usual (20 mean times, then
    doubling) sends ``CompareProgress``. Whoever sees that one end has fallen behind closes the
    request; if both have attempted for the same pair that long, a refusal was lost: start anew.
Late, early, impossible
    *Late but true:* a herald, refusal or stop for a run that was given up returns its slot, which
    is released. A slot that is granted after its request ended is released. An answer about a
    request that is over is ignored; a repeated proposal or Close is answered again from memory. A
    cancel that crosses the end of its request is ignored. A sequence number behind the expected one
    is not a success.
    *Early:* a queue number above a missing one is held back (at most the queue's length of them).
    *Impossible:* messages from anybody but the peer or about another link, a proposal with a
    malformed field, a number that contradicts the agreed one, a rejection after acceptance:
    :class:`~qnet.errors.RemoteProtocolError`.
Invariants
    Every accepted request ends exactly once at each end. Both ends announce the same id, label (0,
    0) and instant for a pair, or one of them says EXPIRE. Every slot acquired is released, handed
    up, lent to the physical layer or named in the state. No deadline lies in the past.
Assumptions and validity
    Both ends compute with the same plan of the link. Channels keep order; loss and repetition are
    survived. The correction takes no longer than the plan says.
Not modelled
    Measure-directly, remote state preparation, other schedulers, several pairs at a time; flow control (REQ_E):
    links that share one slot at each node of a ring can wait for each other for ever; a restart without memory.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778: service, EGP, distributed queue.
    [2] Pompili et al., "Experimental demonstration of entanglement delivery using a quantum network
        stack", npj Quantum Information 8, 121 (2022), arXiv 2111.11332.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qnet.errors import LocalProtocolError, QnetInternalError, RemoteProtocolError
from qnet.ids import AttemptId, OpId, RequestId, SlotId, attempt_id, pair_id
from qnet.layers import link, physical
from qnet.machine import (
    Acquire,
    Acquired,
    Applied,
    Apply,
    DeadlineReached,
    Effect,
    Indicate,
    Indicated,
    Input,
    Received,
    Release,
    Request,
    Requested,
    Send,
    Withdraw,
)
from qnet.physics.bell import correction_gate
from qnet.program import Gate, Program
from qnet.seams import EndContext, LinkProtocol
from qnet.units import Instant
from qnet_protocols.link import generation as gen
from qnet_protocols.link.admission import Timing
from qnet_protocols.link.agreement import Agreement
from qnet_protocols.link.closing import Endings
from qnet_protocols.link.messages import (
    MESSAGES,
    Accepted,
    Close,
    Closed,
    CloseReason,
    CompareProgress,
    Propose,
    Rejected,
)
from qnet_protocols.link.queue import Agreed, Entry, Proposed, Queue

ASK_LIMIT: Final = 10
"""Comparisons of progress without any answer; then the machine waits in silence."""


class EgpEnd:
    """Link machine of one end: offers :mod:`qnet.layers.link` on top of the physical layer."""

    def __init__(self, context: EndContext) -> None:
        self._node = context.node
        self._remote = context.remote
        self._link = context.link
        self._own_correction = context.link.correction[context.side]
        self._timing = Timing.of(context.link)
        self._queue = Queue()
        self._agreement = Agreement(context, self._timing, self._queue)
        self._endings = Endings(context, self._timing, self._queue)
        self._generation: gen.Generation = gen.Resting()
        self._returning: dict[OpId, SlotId] = {}
        self._expected = 1
        self._operations = 0
        self._due: Instant | None = None

    @property
    def state(self) -> gen.EgpState:
        """Snapshot of the present state."""
        return gen.EgpState(
            self._generation,
            self._queue.head(),
            tuple(entry.terms.request for entry in self._queue),
            self._endings.unanswered,
            tuple(self._returning.values()),
            self._expected,
        )

    def next_deadline(self) -> Instant | None:
        """The earliest deadline; changes in :meth:`handle` only."""
        return self._due

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        """React to one event."""
        match event:
            case Requested(request):
                effects = self._on_request(request, now)
            case Received():
                effects = self._on_message(event, now)
            case Indicated(indication):
                effects = self._on_indication(indication, now)
            case Acquired(token, slot):
                effects = self._on_acquired(token, slot, now)
            case Applied(op):
                effects = self._on_applied(op, now)
            case DeadlineReached():
                effects = self._on_deadline(now)
            case _:
                raise LocalProtocolError(self._impossible(event, now))
        effects += self._advance(now)
        self._due = self._earliest()
        self._check(event, now)
        return effects

    # ------------------------------------------------------------ from the layer above

    def _on_request(self, request: object, now: Instant) -> list[Effect]:
        match request:
            case link.Create():
                return self._agreement.create(request, now)
            case link.Cancel(request=wanted):
                entry = self._queue.get(wanted)
                return [] if entry is None else self._close(entry, "cancelled", now)
            case link.Accept(remote, purpose) if remote == self._remote:
                self._agreement.accept(purpose)
                return []
            case link.StopAccepting(remote, purpose) if remote == self._remote:
                self._agreement.stop_accepting(purpose)
                return []
            case _:
                raise LocalProtocolError(self._impossible(request, now))

    # ------------------------------------------------------------ from the peer

    def _on_message(self, event: Received, now: Instant) -> list[Effect]:
        message = event.message
        if event.source != self._remote or message.link != self._link.name:
            raise RemoteProtocolError(self._impossible(event, now))
        match message:
            case Propose():
                return self._agreement.on_propose(event, message, now)
            case Accepted():
                self._agreement.on_accepted(event, message, now)
                return []
            case Rejected():
                return self._agreement.on_rejected(event, message, now)
            case Close():
                return self._on_close(message, now)
            case Closed():
                self._expected = max(self._expected, message.last_sequence + 1)
                return self._endings.on_closed(message)
            case CompareProgress():
                return self._on_compare(event, message, now)
            case _:
                raise RemoteProtocolError(self._impossible(event, now))

    def _on_close(self, message: Close, now: Instant) -> list[Effect]:
        self._expected = max(self._expected, message.last_sequence + 1)
        entry = self._queue.get(message.request)
        if entry is None:
            return self._endings.on_close(message, now)
        self._queue.know(message.number)
        dropped = self._drop_pair(message.request)
        ended = self._endings.give_up(entry, message.reason, now, agreed=message.delivered)
        answer = self._endings.answer(message.request, entry.number, entry.progress)
        return [*dropped, *ended, answer]

    def _on_compare(self, event: Received, message: CompareProgress, now: Instant) -> list[Effect]:
        """One end is behind if the other announced a pair before the message was sent."""
        request, theirs = message.request, message.delivered
        entry = self._queue.get(request)
        if entry is not None:
            ours = entry.progress
            behind = theirs > ours.delivered
            ahead = theirs < ours.delivered and event.sent_at > ours.delivered_at
            if behind or ahead:
                return self._close(entry, "expired", now, agreed=theirs)
            return self._restart(message, now)
        return self._endings.on_compare(event, message, now)

    def _restart(self, message: CompareProgress, now: Instant) -> list[Effect]:
        """Both ends have attempted for the same pair for too long: one may be disarmed unawares."""
        state = self._generation
        if not isinstance(state, gen.Attempting) or state.request != message.request:
            return []
        joint_since = max(state.since, message.since)
        if message.delivered != state.index - 1 or now < joint_since + self._timing.ask_wait:
            return []
        return [Request(physical.StopAttempts(attempt_id(state.request, state.index)))]

    # ------------------------------------------------------------ from the physical layer

    def _on_indication(self, indication: object, now: Instant) -> list[Effect]:
        match indication:
            case physical.Heralded():
                return self._on_herald(indication, now)
            case physical.HeraldedLate(attempt, sequence):
                self._expected = max(self._expected, sequence + 1)
                return self._on_late(attempt, now)
            case physical.AttemptsStopped(attempt, slot):
                entry = self._attempting(attempt)
                return [Release(slot)] if entry is None else self._attempt_again(entry, slot, now)
            case physical.HeraldRefused(attempt, slot, last_sequence=last):
                missed = last >= self._expected
                self._expected = max(self._expected, last + 1)
                entry = self._attempting(attempt)
                if entry is not None and missed:
                    self._generation = gen.Resting()
                    return [Release(slot), *self._close(entry, "expired", now)]
                return [Release(slot)] if entry is None else self._attempt_again(entry, slot, now)
            case _:
                raise LocalProtocolError(self._impossible(indication, now))

    def _attempting(self, attempt: AttemptId) -> Agreed | None:
        """The entry whose attempts run under ``attempt``, None if they were given up."""
        state = self._generation
        if not isinstance(state, gen.Attempting):
            return None
        if attempt != attempt_id(state.request, state.index):
            return None
        return self._queue.head()

    def _on_herald(self, herald: physical.Heralded, now: Instant) -> list[Effect]:
        expected = self._expected
        self._expected = max(expected, herald.sequence + 1)
        entry = self._attempting(herald.attempt)
        if entry is None:
            return [Release(herald.slot)]
        if herald.sequence < expected:
            return self._attempt_again(entry, herald.slot, now)
        deliver_at = Instant(herald.clicked_at + self._timing.delivery)
        gate = correction_gate(herald.label) if entry.terms.origin else "I"
        ready_at = now if gate == "I" else now + self._own_correction
        if herald.sequence > expected or ready_at > deliver_at:
            # Reports before this one were lost, or this one is too late for the common instant.
            self._generation = gen.Resting()
            terms = entry.terms
            pairs = tuple(
                pair_id(self._link.name, missed) for missed in range(expected, herald.sequence + 1)
            )
            gap = link.Expired(terms.request, self._remote, terms.purpose, pairs)
            return [Indicate(gap), Release(herald.slot), *self._close(entry, "expired", now)]
        request, index = entry.terms.request, entry.progress.delivered + 1
        pair = gen.Heralded(
            request, index, herald.slot, herald.sequence, herald.clicked_at, deliver_at
        )
        if gate == "I":
            self._generation = gen.Delivering(pair)
            return []
        self._operations += 1
        op = OpId(f"link:{self._link.name}/{self._operations}")
        self._generation = gen.Correcting(pair, op)
        return [Apply(op, Program((Gate(gate, (herald.slot,)),)))]

    def _on_late(self, attempt: AttemptId, now: Instant) -> list[Effect]:
        """The peer may hold a pair whose half was given up here: close its open request."""
        for entry in self._queue:
            if attempt == attempt_id(entry.terms.request, entry.progress.delivered + 1):
                return self._close(entry, "expired", now)
        return []

    def _on_applied(self, op: OpId, now: Instant) -> list[Effect]:
        state = self._generation
        if isinstance(state, gen.Correcting) and state.op == op:
            if now > state.pair.deliver_at:
                raise QnetInternalError(
                    f"{self._node}: correction {op} must end by {state.pair.deliver_at} ps "
                    f"as planned for {self._link.name}, ended at {now} ps"
                )
            self._generation = gen.Delivering(state.pair)
            return []
        if op not in self._returning:
            raise LocalProtocolError(self._impossible(Applied(op, ()), now))
        return [Release(self._returning.pop(op))]

    # ------------------------------------------------------------ generation

    def _advance(self, now: Instant) -> list[Effect]:
        """Turn to the head of the queue when nothing is being made."""
        if not isinstance(self._generation, gen.Resting | gen.Waiting):
            return []
        self._generation = gen.Resting()
        head = self._queue.head()
        if head is None or not self._in_time(head, now):
            return []
        request = head.terms.request
        if now < head.start:
            self._generation = gen.Waiting(request, head.start)
            return []
        index = head.progress.delivered + 1
        token = f"{self._link.name}:{attempt_id(request, index)}"
        self._generation = gen.AwaitingSlot(request, index, token)
        return [Acquire(token)]

    def _in_time(self, entry: Agreed, now: Instant) -> bool:
        until = self._timing.until(entry.terms.deadline)
        return until is None or now < until

    def _on_acquired(self, token: str, slot: SlotId, now: Instant) -> list[Effect]:
        state = self._generation
        head = self._queue.head()
        if not isinstance(state, gen.AwaitingSlot) or state.token != token or head is None:
            return [Release(slot)]
        return self._attempt_again(head, slot, now)

    def _attempt_again(self, entry: Agreed, slot: SlotId, now: Instant) -> list[Effect]:
        """Attempt for the next pair of ``entry``, unless it is too late for its deadline."""
        if not self._in_time(entry, now):
            self._generation = gen.Resting()
            return [Release(slot)]
        request, index = entry.terms.request, entry.progress.delivered + 1
        self._generation = gen.Attempting(request, index, slot, now, 0, self._next_ask(0, now))
        until = self._timing.until(entry.terms.deadline)
        return [Request(physical.StartAttempts(attempt_id(request, index), slot, until))]

    def _on_deadline(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        state = self._generation
        if isinstance(state, gen.Delivering) and state.pair.deliver_at <= now:
            effects += self._deliver(state.pair, now)
        for entry in list(self._queue):
            deadline = entry.terms.deadline
            if deadline is not None and deadline <= now:
                effects += self._close(entry, "timeout", now)
        again, silent = self._agreement.resend(now)
        effects += again
        for proposed in silent:
            effects += self._close(proposed, "no_answer", now)
        effects += self._endings.resend(now)
        return effects + self._ask(now)

    def _ask(self, now: Instant) -> list[Effect]:
        state = self._generation
        if not isinstance(state, gen.Attempting) or state.ask_at is None or state.ask_at > now:
            return []
        request, index, asks = state.request, state.index, state.asks + 1
        self._generation = gen.Attempting(
            request, index, state.slot, state.since, asks, self._next_ask(asks, now)
        )
        return [
            Send(self._remote, CompareProgress(self._link.name, request, index - 1, state.since))
        ]

    def _next_ask(self, asks: int, now: Instant) -> Instant | None:
        return Instant(now + (self._timing.ask_wait << asks)) if asks < ASK_LIMIT else None

    def _deliver(self, pair: gen.Heralded, now: Instant) -> list[Effect]:
        self._generation = gen.Resting()
        entry = self._queue.head()
        assert entry is not None
        terms = entry.terms
        progress = entry.progress.plus(pair.sequence, now)
        estimate = self._link.estimate
        ok = link.Ok(
            terms.request,
            pair_id(self._link.name, pair.sequence),
            pair.index,
            terms.origin,
            self._remote,
            terms.purpose,
            pair.slot,
            (0, 0),
            estimate.goodness,
            estimate.goodness_error,
            now,
            pair.clicked_at,
            terms.requested_at,
            estimate.correlators,
        )
        effects: list[Effect] = [Indicate(ok, (pair.slot,))]
        self._queue.put(Agreed(terms, entry.number, entry.start, progress))
        if progress.delivered == terms.pairs:
            self._endings.remember(entry, progress, now)
            end = link.RequestEnded(
                terms.request, terms.origin, self._remote, terms.purpose, terms.pairs
            )
            effects.append(Indicate(end))
        return effects

    # ------------------------------------------------------------ endings

    def _close(
        self, entry: Entry, reason: CloseReason, now: Instant, *, agreed: int | None = None
    ) -> list[Effect]:
        """End an open request here and see to it that the peer does too.

        Args:
            entry: the open request.
            reason: why it ends.
            now: this instant.
            agreed: pairs that the peer announced, if known; more than that are declared expired.
        """
        dropped = self._drop_pair(entry.terms.request)
        ended = self._endings.give_up(entry, reason, now, agreed=agreed)
        return [*dropped, *ended, self._endings.close(entry, reason, now, agreed=agreed)]

    def _drop_pair(self, request: RequestId) -> list[Effect]:
        """Stop making the present pair if it is one of ``request``."""
        state = self._generation
        if gen.request_of(state) != request:
            return []
        self._generation = gen.Resting()
        match state:
            case gen.AwaitingSlot(token=token):
                return [Withdraw(token)]
            case gen.Attempting(index=index):
                return [Request(physical.StopAttempts(attempt_id(request, index)))]
            case gen.Correcting(pair, op):
                # The slot is busy until the gate has ended.
                self._returning[op] = pair.slot
                return []
            case gen.Delivering(pair):
                return [Release(pair.slot)]
            case _:
                return []

    # ------------------------------------------------------------ checks

    def _earliest(self) -> Instant | None:
        """Earliest of delivery, start, comparison, deadlines of requests, repeated messages."""
        due = [self._endings.next_deadline()]
        match self._generation:
            case gen.Waiting(start=at) | gen.Attempting(ask_at=at):
                due.append(at)
            case gen.Delivering(pair):
                due.append(pair.deliver_at)
        for entry in self._queue:
            due.append(entry.terms.deadline)
            if isinstance(entry, Proposed):
                due.append(entry.resend_at)
        return min((instant for instant in due if instant is not None), default=None)

    def _check(self, event: Input, now: Instant) -> None:
        head, serving = self._queue.head(), gen.request_of(self._generation)
        assert serving is None or (head is not None and head.terms.request == serving)
        assert all(self._queue.ended(entry.terms.request) is None for entry in self._queue)
        assert self._due is None or self._due >= now
        assert self._due != now or not isinstance(event, DeadlineReached)

    def _impossible(self, event: object, now: Instant) -> str:
        what = f"{event.kind} from {event.source}" if isinstance(event, Received) else repr(event)
        return (
            f"{self._link.name}: {what} must not arrive at {self._node} in state {self.state!r}, "
            f"at {now} ps"
        )


PROTOCOL: Final = LinkProtocol(
    name="egp",
    make_end=EgpEnd,
    messages=MESSAGES,
    sources=(
        "Dahlberg et al., SIGCOMM 2019, arXiv 1903.09778",
        "Pompili et al., npj Quantum Information 8, 121 (2022), arXiv 2111.11332",
    ),
)
"""Catalogue entry ``egp`` of the group ``qnet.links``."""
