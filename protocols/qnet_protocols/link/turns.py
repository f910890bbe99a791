"""Turns of one end: from the choice of a request to the herald of its next pair.

Theory
    *Choice.* Whenever nothing is being made, or the queue has changed, the scheduler chooses
    (:mod:`.schedulers`). If the choice is another than the present one, because an agreement was
    heard of late, attempts are given up for it; a heralded pair never is.

    *Slots.* See :mod:`.slots`: an end without a slot says NoSlot, and who holds one gives it back at
    once (end B) or after a lease (end A).

    *Herald.* It carries the next sequence number of the link, which with the link's name is the
    pair's id. A half that is measured leaves the turn here (:mod:`.measuring`), a half that is kept
    goes on to its delivery (:mod:`.delivery`).
Late, early, impossible
    See :mod:`qnet_protocols.link.egp`.
Not modelled
    Several turns of one link at a time.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778.
"""

from __future__ import annotations

from qnet.ids import AttemptId, RequestId, SlotId, attempt_id
from qnet.layers import physical
from qnet.machine import Acquire, Effect, Release, Request, Send
from qnet.seams import EndContext
from qnet.units import Instant
from qnet_protocols.link import generation as gen
from qnet_protocols.link.admission import Timing
from qnet_protocols.link.closing import Endings
from qnet_protocols.link.delivery import Delivery
from qnet_protocols.link.messages import CloseReason, CompareProgress, HaveSlot, NoSlot
from qnet_protocols.link.queue import Agreed, Entry, Held, Queue
from qnet_protocols.link.schedulers import Chooser, Turn
from qnet_protocols.link.sequence import Expectation
from qnet_protocols.link.slots import ASK_LIMIT, Slots


class Turns:
    """What this end is making; it also closes requests, for that ends what is made of them."""

    def __init__(
        self,
        context: EndContext,
        timing: Timing,
        queue: Queue,
        scheduler: Chooser,
        endings: Endings,
        delivery: Delivery,
        slots: Slots,
    ) -> None:
        self._link = context.link.name
        self._remote = context.remote
        self._master = context.side == 0
        self._timing = timing
        self._queue = queue
        self._scheduler = scheduler
        self._endings = endings
        self._delivery = delivery
        self._slots = slots
        self._chosen_at = -1
        self.state: gen.Generation = gen.Resting()
        self.expected = Expectation(known=context.incarnation == 0)

    # ------------------------------------------------------------ choice

    def advance(self, now: Instant) -> list[Effect]:
        """Take the turn that is due, and give up attempts that are not."""
        state = self.state
        match state:
            case gen.Correcting() | gen.Delivering():
                return []
            case gen.Resting() | gen.Waiting():
                given_up: list[Effect] = []
            case _:
                if self._chosen_at == self._queue.version or not self._may_switch(state, now):
                    return []
                turn = self._next(now)
                if turn is not None and turn.begin <= now and _serves(state, turn.entry):
                    return []
                given_up = self._leave()
        self.state = gen.Resting()
        turn = self._next(now)
        if turn is None:
            return given_up
        if now < turn.begin:
            self.state = gen.Waiting(turn.entry.terms.request, turn.begin)
            return given_up
        return given_up + self._ask_slots(turn.entry, now)

    def _next(self, now: Instant) -> Turn | None:
        self._chosen_at = self._queue.version
        able = [entry for entry in self._queue.agreed() if self._in_time(entry, now)]
        return self._scheduler.next(able, self._endings.boundary) if able else None

    def _may_switch(self, state: gen.Generation, now: Instant) -> bool:
        """A run whose last photon is under way is waited for."""
        entry = self._entry(state)
        return entry is None or self._in_time(entry, now)

    def _in_time(self, entry: Agreed, now: Instant) -> bool:
        until = self._timing.until(entry.terms)
        return until is None or now < until

    def _entry(self, state: gen.Generation) -> Agreed | None:
        request = gen.request_of(state)
        entry = None if request is None else self._queue.get(request)
        return entry if isinstance(entry, Agreed) else None

    # ------------------------------------------------------------ slots

    def _ask_slots(self, entry: Agreed, now: Instant) -> list[Effect]:
        self.state, effects = self._slots.ask(entry, now)
        return effects

    def on_acquired(self, token: str, slot: SlotId, now: Instant) -> list[Effect]:
        """The node gives a slot."""
        state = self.state
        entry = self._entry(state)
        if not isinstance(state, gen.AwaitingSlot) or entry is None:
            return [Release(slot)]
        if not self._slots.wants(state, token):
            return [Release(slot)]
        if state.memory:
            self.state = self._slots.got_memory(state, slot)
            return [] if self.state.memory else [Acquire(state.token)]
        if not state.asks:
            return self.attempt(entry, slot, now)
        lease = self._slots.lease(now)
        self.state = gen.Offering(state.request, state.index, slot, 0, now, lease)
        return self._offer(self.state, now)

    def _offer(self, state: gen.Offering, now: Instant) -> list[Effect]:
        asks = state.asks + 1
        again = self._slots.again(asks, now)
        self.state = gen.Offering(
            state.request, state.index, state.slot, asks, again, state.yield_at
        )
        return [self._have_slot(state, asks=True)]

    def _have_slot(self, state: gen.Offering | gen.Attempting, *, asks: bool) -> Effect:
        attempt = attempt_id(state.request, state.index)
        return Send(self._remote, HaveSlot(self._link, attempt, asks))

    def on_no_slot(self, attempt: AttemptId, now: Instant) -> list[Effect]:
        """The peer has no slot for ``attempt``."""
        state = self.state
        if not isinstance(state, gen.Attempting | gen.Offering):
            return []
        if attempt != attempt_id(state.request, state.index):
            return []
        if not self._master:
            return self._yield(state, now)
        if isinstance(state, gen.Attempting) and state.yield_at is None:
            self.state = state.until(self._slots.lease(now))
        return []

    def on_have_slot(self, message: HaveSlot, now: Instant) -> list[Effect]:
        """The peer, which may have had none, has a slot."""
        state = self.state
        if isinstance(state, gen.Resting | gen.Waiting | gen.Correcting | gen.Delivering):
            return []
        if message.attempt != attempt_id(state.request, state.index):
            return []
        match state:
            case gen.Attempting():
                self.state = state.until(None)
                return [self._have_slot(state, asks=False)] if message.asks else []
            case gen.Offering(slot=slot):
                entry = self._entry(state)
                assert entry is not None
                answer = [self._have_slot(state, asks=False)] if message.asks else []
                return [*self.attempt(entry, slot, now), *answer]
            case gen.Yielded():
                return self._resume(state, now)
            case gen.AwaitingSlot():
                # The peer does not know that there is none here: it would hold its slot in vain.
                self.state = self._slots.resumed(state)
                return [Send(self._remote, NoSlot(self._link, message.attempt))]

    def _yield(self, state: gen.Attempting | gen.Offering, now: Instant) -> list[Effect]:
        effects = self._leave()
        resume_at = self._slots.back_off(now, master=self._master)
        self.state = gen.Yielded(state.request, state.index, resume_at)
        return effects

    def _resume(self, state: gen.Yielded, now: Instant) -> list[Effect]:
        entry = self._entry(state)
        assert entry is not None
        effects = self._ask_slots(entry, now)
        assert isinstance(self.state, gen.AwaitingSlot)
        self.state = self._slots.resumed(self.state)
        return effects

    def _leave(self) -> list[Effect]:
        """Give up the present turn."""
        state = self.state
        self.state = gen.Resting()
        match state:
            case gen.AwaitingSlot(request=request):
                return [*self._slots.withdraw(state), *self._slots.unreserve(request)]
            case gen.Attempting(request, index):
                stop = Request(physical.StopAttempts(attempt_id(request, index)))
                return [stop, *self._slots.unreserve(request)]
            case gen.Offering(request=request, slot=slot):
                return [Release(slot), *self._slots.unreserve(request)]
            case gen.Correcting() | gen.Delivering():
                return self._delivery.drop(state)
            case _:
                return []

    # ------------------------------------------------------------ attempts

    def attempt(self, entry: Agreed, slot: SlotId, now: Instant) -> list[Effect]:
        """Attempt for the next pair of ``entry``, unless it is too late for its deadline."""
        request, index = entry.terms.request, entry.progress.served + 1
        if not self._in_time(entry, now):
            self.state = gen.Resting()
            return [Release(slot), *self._slots.unreserve(request)]
        self.state = gen.Attempting(request, index, slot, now, 0, self._next_ask(0, now))
        until = self._timing.until(entry.terms)
        return [Request(physical.StartAttempts(attempt_id(request, index), slot, until))]

    def on_stopped(self, attempt: AttemptId, slot: SlotId, now: Instant) -> list[Effect]:
        """A run ended without a herald: attempt again if it is the present one."""
        entry = self._attempting(attempt, slot)
        return [Release(slot)] if entry is None else self.attempt(entry, slot, now)

    def on_refused(self, refused: physical.HeraldRefused, now: Instant) -> list[Effect]:
        """A click could not be matched; it also tells how many successes there were."""
        missed = self.expected.next and refused.last_sequence >= self.expected.next
        self.expected.reached(refused.last_sequence)
        entry = self._attempting(refused.attempt, refused.slot)
        if entry is None:
            return [Release(refused.slot)]
        if not missed:
            return self.attempt(entry, refused.slot, now)
        self.state = gen.Resting()
        return [Release(refused.slot), *self.close(entry, "expired", now)]

    def on_herald(self, herald: physical.Heralded, now: Instant) -> list[Effect]:
        """The station saw a success."""
        entry = self._attempting(herald.attempt, herald.slot)
        if entry is None:
            self.expected.reached(herald.sequence)
            return [Release(herald.slot)]
        if herald.sequence < self.expected.next:
            return self.attempt(entry, herald.slot, now)
        missed = self.expected.missed(herald.sequence)
        boundary, on_time = self._delivery.plan(entry, herald, now)
        self._endings.boundary = max(self._endings.boundary, boundary)
        if len(missed) > 1 or not on_time:
            # Reports before this one were lost, or this one is too late for the common instant.
            self.state = gen.Resting()
            gap = self._endings.gap(entry, missed)
            return [gap, Release(herald.slot), *self.close(entry, "expired", now)]
        self.state, effects = self._delivery.begin(entry, herald, boundary)
        return effects

    def on_late(self, late: physical.HeraldedLate, now: Instant) -> list[Effect]:
        """The peer may hold a pair whose half was given up here: close its open request."""
        self.expected.reached(late.sequence)
        for entry in self._queue.agreed():
            if late.attempt == attempt_id(entry.terms.request, entry.progress.served + 1):
                return self.close(entry, "expired", now)
        return []

    def _attempting(self, attempt: AttemptId, slot: SlotId) -> Agreed | None:
        """The entry whose attempts run under ``attempt``, None if they were given up."""
        state = self.state
        if not isinstance(state, gen.Attempting) or state.slot != slot:
            return None
        if attempt != attempt_id(state.request, state.index):
            return None
        return self._entry(state)

    # ------------------------------------------------------------ time

    def on_deadline(self, now: Instant) -> list[Effect]:
        """Ask the peer, tell it, give up or begin again, as the time has come."""
        state = self.state
        match state:
            case gen.Attempting(request, index, yield_at=at) | gen.Offering(
                request, index, yield_at=at
            ) if at is not None and at <= now:
                told = NoSlot(self._link, attempt_id(request, index))
                # A peer that does not answer may be at another pair.
                compare = CompareProgress(
                    self._link, request, index - 1, now, self._endings.boundary
                )
                return [
                    *self._yield(state, now),
                    Send(self._remote, told),
                    Send(self._remote, compare),
                ]
            case gen.Attempting(request, index, ask_at=at) if at is not None and at <= now:
                asks = state.asks + 1
                self.state = state.asked(asks, self._next_ask(asks, now))
                boundary = self._endings.boundary
                asked = CompareProgress(self._link, request, index - 1, state.since, boundary)
                return [Send(self._remote, asked)]
            case gen.Offering(ask_at=at) if at is not None and at <= now:
                return self._offer(state, now)
            case gen.AwaitingSlot(request, index, ask_at=at) if at is not None and at <= now:
                self.state = self._slots.told(state, now)
                return [Send(self._remote, NoSlot(self._link, attempt_id(request, index)))]
            case gen.Yielded(resume_at=at) if at <= now:
                return self._resume(state, now)
        return []

    def next_deadline(self) -> Instant | None:
        """The next instant of :meth:`on_deadline` or of a choice."""
        match self.state:
            case gen.Waiting(start=at) | gen.Yielded(resume_at=at):
                return at
            case (
                gen.Attempting(ask_at=at, yield_at=lease) | gen.Offering(ask_at=at, yield_at=lease)
            ):
                return min((due for due in (at, lease) if due is not None), default=None)
            case gen.AwaitingSlot(ask_at=at):
                return at
            case gen.Delivering(pair):
                return pair.deliver_at
        return None

    def _next_ask(self, asks: int, now: Instant) -> Instant | None:
        return Instant(now + (self._timing.ask_wait << asks)) if asks < ASK_LIMIT else None

    def restart(self, message: CompareProgress, now: Instant) -> list[Effect]:
        """Both ends have attempted for the same pair for too long: one may be disarmed unawares."""
        state = self.state
        if not isinstance(state, gen.Attempting) or state.request != message.request:
            return []
        joint_since = max(state.since, message.since)
        if message.served != state.index - 1 or now < joint_since + self._timing.ask_wait:
            return []
        return [Request(physical.StopAttempts(attempt_id(state.request, state.index)))]

    # ------------------------------------------------------------ endings

    def close(
        self, entry: Entry, reason: CloseReason, now: Instant, *, agreed: int | None = None
    ) -> list[Effect]:
        """End an open request here and see to it that the peer does too.

        Args:
            entry: the open request.
            reason: why it ends.
            now: this instant.
            agreed: pairs that the peer announced, if known; more than that are declared expired.
        """
        effects = self.give_up(entry, reason, now, agreed=agreed)
        if not isinstance(entry, Held):
            effects.append(self._endings.close(entry, reason, now, agreed=agreed))
        return effects

    def give_up(
        self, entry: Entry, reason: CloseReason, now: Instant, *, agreed: int | None = None
    ) -> list[Effect]:
        """End an open request here only."""
        dropped = self.drop(entry.terms.request)
        return dropped + self._endings.give_up(entry, reason, now, agreed=agreed)

    def drop(self, request: RequestId) -> list[Effect]:
        """Stop making, measuring and keeping anything of ``request``."""
        effects = self._leave() if gen.request_of(self.state) == request else []
        return effects + self._delivery.forget(request)


def _serves(state: gen.Generation, entry: Agreed) -> bool:
    return gen.request_of(state) == entry.terms.request
