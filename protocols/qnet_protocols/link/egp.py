"""Entanglement generation protocol: the link layer of one end.

Theory
    *Agreement.* CREATE is checked (:mod:`.admission`) and proposed to the peer. The master (end A)
    numbers all requests; the peer answers Accepted, or Rejected if its application does not accept
    the purpose (:mod:`.agreement`). Both ends keep one queue (:mod:`.queue`) and choose from it by
    what both know alike (:mod:`.schedulers`).

    *Generation.* For each pair both ends take a communication slot (:mod:`.slots`) and attempt under
    the same attempt id ``request.k`` until the station reports a herald (:mod:`.turns`). The herald
    carries the next sequence number of the link, which with the link's name is the pair's id. What is
    kept is corrected, stored and handed up at the same instant at both ends; what is measured is
    measured at once, and the next attempts begin meanwhile (:mod:`.delivery`). A share of the pairs
    can be set aside for test rounds (:mod:`.rounds`).

    *Deadline.* Attempts of a request with a deadline stop so early that a herald is in time at both
    ends or happens at neither. At the deadline each end says ERR TIMEOUT by itself.

    *Missed heralds.* A pair whose herald is lost or late at one end is void at both: each pair of a
    request has its index, one that is void counts and is not made again, and whoever announced it
    says EXPIRE for it (:mod:`.closing`). The request goes on. An end that is behind finds out when
    the station refuses a click because the ids differ; but as long as it is not armed nothing
    clicks, so an end that attempts far longer than usual (20 mean times, then doubling) sends
    ``CompareProgress``. If both have attempted for the same pair that long, a report was lost to
    both: they start anew.

    *Breaking off.* A request that ends early at one end (cancelled by either application, timed
    out, expired, peer silent) is closed with the handshake of :mod:`.closing`. Whoever announced a
    pair that the other did not says EXPIRE for it. With a void pair an atomic request is expired;
    so is a request that has no valid pair in the end.

    *Restart.* PeerLost ends all open requests with ERR OTHER. The ids, numbers and operations of an
    end that came back begin anew in a range of their own.
Late, early, impossible
    *Late but true:* a herald, refusal or stop for a run that was given up returns its slot, which
    is released. A slot that is granted after its request ended is released. An answer about a
    request that is over is ignored; a repeated proposal or Close is answered again from memory. A
    cancel that crosses the end of its request is ignored. A sequence number behind the expected one
    is not a success.
    *Early:* an outcome of a test round before the own one is kept (:mod:`.rounds`).
    *Impossible:* messages from anybody but the peer or about another link, a proposal with a
    malformed field, a number that contradicts the agreed one, a rejection after acceptance:
    :class:`~qnet.errors.RemoteProtocolError`.
Invariants
    Every accepted request ends exactly once at each end. Both ends announce the same id, label and
    instant for a pair, or one of them says EXPIRE. Every slot acquired is released, handed up, lent
    to the physical layer or named in the state. No deadline lies in the past.
Assumptions and validity
    Both ends compute with the same plan of the link. Messages are datagrams: loss, repetition and
    reordering are survived; a lost or late herald report costs its pair. Programs take no longer
    than :class:`.admission.Timing` says, else the pair is void.
Not modelled
    Several pairs of one link at a time. A choice of the bright-state population by the minimum
    fidelity: no built-in scheme has one.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778: service, EGP, distributed queue.
    [2] Pompili et al., "Experimental demonstration of entanglement delivery using a quantum network
        stack", npj Quantum Information 8, 121 (2022), arXiv 2111.11332.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import OpId
from qnet.layers import link, physical
from qnet.machine import (
    Acquired,
    Applied,
    DeadlineReached,
    Effect,
    Indicated,
    Input,
    PeerLost,
    Received,
    Release,
    Requested,
    Send,
)
from qnet.seams import EndContext, LinkProtocol
from qnet.units import Instant
from qnet_protocols.link import generation as gen
from qnet_protocols.link.admission import Timing
from qnet_protocols.link.agreement import Agreement
from qnet_protocols.link.closing import Endings
from qnet_protocols.link.delivery import Delivery
from qnet_protocols.link.messages import (
    MESSAGES,
    Accepted,
    Close,
    Closed,
    CompareProgress,
    HaveSlot,
    NoSlot,
    Propose,
    Rejected,
    RoundOutcome,
    Void,
    VoidHeard,
)
from qnet_protocols.link.queue import Agreed, Proposed, Queue
from qnet_protocols.link.rounds import Rounds
from qnet_protocols.link.schedulers import Chooser, ordered
from qnet_protocols.link.slots import Slots
from qnet_protocols.link.turns import Turns


class EgpParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``egp``.

    Attributes:
        scheduler: which request gets the next pair, one of ``qnet.schedulers``: its name (fifo, priority, wfq
            ...), or a table with its ``name`` and its own parameters.
        weights: of the priorities 0, 1, ..., for schedulers that use them (wfq), each >= 0; 0 comes before
            all others, and priorities that are not listed have 1.
        test_share: share of the pairs that both ends measure to estimate the fidelity, 0 <= s < 1.
    """

    scheduler: str | dict[str, Any] = "fifo"
    weights: tuple[float, ...] = ()
    test_share: float = 0.0

    def __post_init__(self) -> None:
        if not all(0.0 <= weight < float("inf") for weight in self.weights):
            raise ValueError(f"weights must be finite and >= 0, got {self.weights}")
        if not 0.0 <= self.test_share < 1.0:
            raise ValueError(f"test_share must obey 0 <= share < 1, got {self.test_share}")


class EgpEnd:
    """Link machine of one end: offers :mod:`qnet.layers.link` on top of the physical layer."""

    def __init__(self, context: EndContext) -> None:
        scheduler, test_share = self.configured(context)
        self._node = context.node
        self._remote = context.remote
        self._link = context.link.name
        self._timing = Timing.of(context)
        self._queue = Queue()
        self._rounds = Rounds(self._link, test_share)
        self._agreement = Agreement(context, self._timing, self._queue, scheduler, self._rounds)
        self._endings = Endings(context, self._timing, self._queue)
        ends = context.platforms
        self._slots = Slots(self._link, self._timing, ends[context.side] if ends else None)
        self._delivery = Delivery(
            context, self._timing, self._queue, self._endings, self._slots, self._rounds
        )
        self._turns = Turns(
            context,
            self._timing,
            self._queue,
            scheduler,
            self._endings,
            self._delivery,
            self._slots,
        )
        self._due: Instant | None = None

    @staticmethod
    def configured(context: EndContext) -> tuple[Chooser, float]:
        """What chooses the next turn, and the share of test rounds."""
        parameters = msgspec.convert(context.link.protocol_parameters, EgpParameters)
        success = context.link.estimate.success_prob
        cycles_per_pair = 1.0 / success if success > 0.0 else 1.0
        order = ordered(parameters.scheduler, parameters.weights, cycles_per_pair)
        return order, parameters.test_share

    @property
    def state(self) -> gen.EgpState:
        """Snapshot of the present state."""
        returning = self._delivery.returning
        return gen.EgpState(
            self._turns.state,
            len(self._queue),
            sum(type(entry) is not Agreed for entry in self._queue),
            len(self._endings),
            tuple(slot for slots in returning.values() for slot in slots) if returning else (),
            self._slots.memory,
            len(self._delivery.measuring),
            self._turns.expected.next,
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
                effects = self._turns.on_acquired(token, slot, now)
            case Applied(op, outcomes):
                effects = self._on_applied(op, outcomes, now)
            case DeadlineReached():
                effects = self._on_deadline(now)
            case PeerLost(peer, restarted) if peer == self._remote:
                effects = self._on_peer_lost(now, restarted=restarted)
            case _:
                raise LocalProtocolError(self._impossible(event, now))
        effects += self._agreement.propose(now)
        effects += self._turns.advance(now)
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
                return [] if entry is None else self._turns.close(entry, "cancelled", now)
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
        if event.source != self._remote or message.link != self._link:
            raise RemoteProtocolError(self._impossible(event, now))
        self._turns.heard_at = now
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
                self._heard_of(message.boundary, message.last_sequence)
                return self._endings.on_closed(message)
            case Void(request=request, index=index, boundary=boundary):
                self._heard_of(boundary, 0)
                effects = self._turns.void(request, index, now, tell=False)
                heard = VoidHeard(self._link, request, index)
                return [*effects, Send(self._remote, heard)]
            case VoidHeard():
                self._endings.on_void_heard(message)
                return []
            case CompareProgress():
                return self._on_compare(event, message, now)
            case NoSlot(attempt=attempt):
                return self._turns.on_no_slot(attempt, now)
            case HaveSlot():
                return self._turns.on_have_slot(message, now)
            case RoundOutcome(sequence=sequence, basis=basis, outcome=outcome):
                if basis != self._rounds.basis(sequence) or outcome not in (0, 1):
                    raise RemoteProtocolError(self._impossible(event, now))
                self._rounds.heard(sequence, outcome)
                return self._delivery.report(gen.request_of(self._turns.state))
            case _:
                raise RemoteProtocolError(self._impossible(event, now))

    def _heard_of(self, boundary: Instant, last_sequence: int) -> None:
        if boundary > self._endings.boundary:
            self._endings.boundary = boundary
            self._queue.version += 1
        self._turns.expected.reached(last_sequence)

    def _on_close(self, message: Close, now: Instant) -> list[Effect]:
        self._heard_of(message.boundary, message.last_sequence)
        entry = self._queue.get(message.request)
        if entry is None:
            return self._endings.on_close(message, now)
        effects = self._turns.give_up(entry, message.reason, now, agreed=message.reached)
        return [*effects, self._endings.answer(message.request, entry.progress)]

    def _on_compare(self, event: Received, message: CompareProgress, now: Instant) -> list[Effect]:
        self._heard_of(message.boundary, 0)
        entry = self._queue.get(message.request)
        if entry is None:
            return self._endings.on_compare(event, message, now)
        return self._turns.on_compare(entry, message, event.sent_at, now)

    def _on_peer_lost(self, now: Instant, *, restarted: bool) -> list[Effect]:
        """What both ends shared is void; a peer that is still there is told so."""
        effects: list[Effect] = []
        for entry in list(self._queue):
            if restarted:
                effects += self._turns.give_up(entry, "peer_lost", now)
            else:
                effects += self._turns.close(entry, "peer_lost", now)
        if restarted:
            self._endings.forget_peer()
        return effects

    # ------------------------------------------------------------ from below

    def _on_indication(self, indication: object, now: Instant) -> list[Effect]:
        match indication:
            case physical.Heralded():
                return self._turns.on_herald(indication, now)
            case physical.HeraldedLate():
                return self._turns.on_late(indication, now)
            case physical.AttemptsStopped(attempt, slot):
                return self._turns.on_stopped(attempt, slot, now)
            case physical.HeraldRefused():
                return self._turns.on_refused(indication, now)
            case _:
                raise LocalProtocolError(self._impossible(indication, now))

    def _on_applied(self, op: OpId, outcomes: tuple[int, ...], now: Instant) -> list[Effect]:
        measured = self._delivery.on_measured(op, outcomes, now)
        if measured is not None:
            return measured
        state = self._turns.state
        if isinstance(state, gen.Correcting) and state.op == op:
            self._turns.state = gen.Delivering(state.pair)
            left: list[Effect] = [] if state.left is None else [Release(state.left)]
            return left + (self._deliver(now) if now > state.pair.deliver_at else [])
        slots = self._delivery.returning.pop(op, None)
        if slots is None:
            raise LocalProtocolError(self._impossible(Applied(op, outcomes), now))
        return [Release(slot) for slot in slots]

    # ------------------------------------------------------------ time

    def _on_deadline(self, now: Instant) -> list[Effect]:
        effects = self._deliver(now)
        effects += self._delivery.announce_measured(now)
        for entry in list(self._queue):
            deadline = entry.terms.deadline
            if deadline is not None and deadline <= now:
                effects += self._turns.close(entry, "timeout", now)
        again, silent = self._agreement.resend(now)
        effects += again
        for proposed in silent:
            effects += self._turns.close(proposed, "no_answer", now)
        effects += self._endings.resend(now)
        return effects + self._turns.on_deadline(now)

    def _deliver(self, now: Instant) -> list[Effect]:
        state = self._turns.state
        if not isinstance(state, gen.Delivering) or state.pair.deliver_at > now:
            return []
        if state.pair.deliver_at < now:
            # This node stood still or its program took longer than planned.
            return self._turns.void(state.pair.request, state.pair.index, now, tell=True)
        self._turns.state = gen.Resting()
        return self._delivery.deliver(state.pair, now)

    def _earliest(self) -> Instant | None:
        """Earliest of turn, outcomes, deadlines of requests, repeated messages."""
        due = [
            self._endings.next_deadline(),
            self._turns.next_deadline(),
            self._delivery.measuring.next_deadline(),
        ]
        for entry in self._queue:
            due.append(entry.terms.deadline)
            if type(entry) is Proposed:
                due.append(entry.resend_at)
        return min((instant for instant in due if instant is not None), default=None)

    def _check(self, event: Input, now: Instant) -> None:
        serving = gen.request_of(self._turns.state)
        assert serving is None or self._queue.get(serving) is not None
        assert self._due is None or self._due >= now
        assert self._due != now or not isinstance(event, DeadlineReached)

    def _impossible(self, event: object, now: Instant) -> str:
        what = f"{event.kind} from {event.source}" if isinstance(event, Received) else repr(event)
        return (
            f"{self._link}: {what} must not arrive at {self._node} in state {self.state!r}, "
            f"at {now} ps"
        )


PROTOCOL: Final = LinkProtocol(
    name="egp",
    make_end=EgpEnd,
    messages=MESSAGES,
    parameters=EgpParameters,
    sources=(
        "Dahlberg et al., SIGCOMM 2019, arXiv 1903.09778",
        "Pompili et al., npj Quantum Information 8, 121 (2022), arXiv 2111.11332",
    ),
)
"""Catalogue entry ``egp`` of the group ``qnet.links``."""
