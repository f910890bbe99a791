"""Turns of one end: from the choice of a request to the herald of its next pair.

Theory
    *Choice.* Whenever nothing is being made, or the queue has changed, the scheduler chooses
    (:mod:`.schedulers`). If the choice is another than the present one, because an agreement was
    heard of late, attempts are given up for it; a heralded pair never is.

    *Slots.* See :mod:`.slots`: an end without a slot says NoSlot, and who holds one gives it back at
    once (end B) or after a lease (end A).

    *Herald.* It carries the next sequence number of the link, which with the link's name is the
    pair's id. A half that is measured leaves the turn here (:mod:`.measuring`), a half that is kept
    goes on to its delivery (:mod:`.delivery`). A herald that comes too late for the common instant
    makes its pair void (:mod:`.closing`), and so does one that was lost, as soon as the ends find
    out: an end whose attempts are refused because the ids differ, or that attempts for long, says
    which pair it is at (``CompareProgress``); whoever has passed over a pair says ``Void``.

    *Silence.* An end with turns to take that hears neither of a click nor of its peer for 64 times
    as long gives up what is open.
Late, early, impossible
    See :mod:`qnet_protocols.link.egp`.
Not modelled
    Several turns of one link at a time.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778.
"""

from __future__ import annotations

from typing import Final

from qnet.ids import AttemptId, RequestId, SlotId, attempt_id
from qnet.layers import physical
from qnet.machine import Effect, Release, Request, Send
from qnet.seams import EndContext
from qnet.units import Instant
from qnet_protocols.link import generation as gen
from qnet_protocols.link.admission import Timing
from qnet_protocols.link.closing import Endings
from qnet_protocols.link.delivery import Delivery
from qnet_protocols.link.messages import CloseReason, CompareProgress, HaveSlot, NoSlot
from qnet_protocols.link.queue import RECENT_LIMIT, Agreed, Entry, Held, Queue
from qnet_protocols.link.schedulers import Chooser, Turn
from qnet_protocols.link.sequence import Expectation
from qnet_protocols.link.slots import ASK_LIMIT, Slots

SILENCE: Final = 64
"""So many times ``ask_wait`` without a sign of the peer or of a click, and it is taken for dead."""


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
        self._asked_at = Instant(0)
        self._end: Instant | None = None
        self.heard_at = Instant(0)
        """Last sign of life: of the peer, of a click, or of this node if it had no slot to try with."""
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
                given_up = self._leave(now)
        self.state = gen.Resting()
        turn = self._next(now)
        if turn is None:
            return given_up
        if now < turn.begin:
            self.state = gen.Waiting(turn.entry.terms.request, turn.begin)
            return given_up
        self._end = turn.end
        return given_up + self._ask_slots(turn.entry, now)

    def _next(self, now: Instant) -> Turn | None:
        self._chosen_at = self._queue.version
        able = [entry for entry in self._queue.agreed() if self._in_time(entry, now)]
        return self._scheduler.next(able, self._endings.boundary, now) if able else None

    def _may_switch(self, state: gen.Generation, now: Instant) -> bool:
        """A run whose last photon is under way is waited for."""
        entry = self._entry(state)
        if entry is None:
            return True
        over = self._end is not None and now >= self._end
        return self._in_time(entry, now) and not (over and isinstance(state, gen.Attempting))

    def _in_time(self, entry: Agreed, now: Instant) -> bool:
        until = self._timing.until(entry.terms)
        return until is None or now < until

    def _entry(self, state: gen.Generation) -> Agreed | None:
        request = gen.request_of(state)
        entry = None if request is None else self._queue.get(request)
        return entry if isinstance(entry, Agreed) else None

    # ------------------------------------------------------------ slots

    def _ask_slots(self, entry: Agreed, now: Instant) -> list[Effect]:
        self._asked_at = now
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
            if self.state.memory:
                return []
            return [self._slots.acquire(state.request, state.token)]
        self._waited(now)
        if not state.asks:
            return self.attempt(entry, slot, now)
        lease = self._slots.lease(now)
        self.state = gen.Offering(state.request, state.index, slot, 0, now, lease)
        return self._offer(self.state, now)

    def _waited(self, now: Instant) -> None:
        """This node had no slot until now: a peer that said nothing meanwhile was not asked."""
        if now > self._asked_at:
            self.heard_at = now

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
        effects = self._leave(now)
        if self._end is not None and now >= self._end:
            return effects
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

    def _leave(self, now: Instant) -> list[Effect]:
        """Give up the present turn."""
        state = self.state
        self.state = gen.Resting()
        match state:
            case gen.AwaitingSlot(request=request):
                self._waited(now)
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
        over = self._end is not None and now >= self._end
        if over or not self._in_time(entry, now):
            self.state = gen.Resting()
            return [Release(slot), *self._slots.unreserve(request)]
        self._slots.agreed()
        self.state = gen.Attempting(request, index, slot, now, 0, self._next_ask(0, now))
        limits = (self._timing.until(entry.terms), self._end)
        until = min((one for one in limits if one is not None), default=None)
        return [Request(physical.StartAttempts(attempt_id(request, index), slot, until))]

    def on_stopped(self, attempt: AttemptId, slot: SlotId, now: Instant) -> list[Effect]:
        """A run ended without a herald: attempt again if it is the present one."""
        entry = self._attempting(attempt, slot)
        return [Release(slot)] if entry is None else self.attempt(entry, slot, now)

    def on_refused(self, refused: physical.HeraldRefused, now: Instant) -> list[Effect]:
        """A click could not be matched; if the ids differed, is one of the ends behind?"""
        self.heard_at = now
        self.expected.reached(refused.last_sequence)
        entry = self._attempting(refused.attempt, refused.slot)
        if entry is None:
            return [Release(refused.slot)]
        effects = self.attempt(entry, refused.slot, now)
        if refused.fault == "QUEUE_MISMATCH":
            effects.append(self._compare(entry.terms.request, entry.progress.served, now))
        return effects

    def on_herald(self, herald: physical.Heralded, now: Instant) -> list[Effect]:
        """The station saw a success."""
        self.heard_at = now
        entry = self._attempting(herald.attempt, herald.slot)
        if entry is None:
            self.expected.reached(herald.sequence)
            return [Release(herald.slot)]
        if herald.sequence < self.expected.next:
            return self.attempt(entry, herald.slot, now)
        self.expected.reached(herald.sequence)
        boundary, on_time = self._delivery.plan(entry, herald, now)
        self._endings.boundary = max(self._endings.boundary, boundary)
        if not on_time:
            self.state = gen.Resting()
            request = entry.terms.request
            left = [Release(herald.slot), *self._slots.unreserve(request)]
            return left + self.void(request, entry.progress.served + 1, now, tell=True)
        self.state, effects = self._delivery.begin(entry, herald, boundary)
        return effects

    def on_late(self, late: physical.HeraldedLate, now: Instant) -> list[Effect]:
        """The peer may hold a pair whose half was given up here: it is void."""
        self.heard_at = now
        self.expected.reached(late.sequence)
        if self._delivery.is_test(late.sequence):
            return []
        for entry in self._queue.agreed():
            request, index = entry.terms.request, entry.progress.served + 1
            if late.attempt == attempt_id(request, index):
                return self.void(request, index, now, tell=True)
        return []

    # ------------------------------------------------------------ void pairs

    def void(self, request: RequestId, index: int, now: Instant, *, tell: bool) -> list[Effect]:
        """Pair ``index`` cannot be announced by both ends: it is void.

        Args:
            request: its request.
            index: which pair of it.
            now: this instant.
            tell: whether the peer has to be told.
        """
        entry = self._queue.get(request)
        if not isinstance(entry, Agreed):
            told = [self._endings.void(request, index, now)] if tell else []
            return self._endings.void_ended(request, index) + told
        if entry.terms.atomic:
            return self.close(entry, "expired", now)
        effects: list[Effect] = []
        progress = entry.progress
        made = index <= progress.served and not _finishes(self.state, request, index)
        if not made and gen.request_of(self.state) == request:
            effects += self._leave(now)
        for one in (*range(progress.served + 1, index), index):
            sequence = progress.sequence_of(one)
            if sequence is not None:
                expired = self._endings.expired(request, entry.terms.purpose, (sequence,))
                effects.append(expired)
            self._delivery.measuring.drop(request, one)
            progress = progress.without(one, self._endings.boundary)
            if tell or one < index:
                effects.append(self._endings.void(request, one, now))
        return effects + self._delivery.settle(entry.with_progress(progress), now)

    def on_compare(
        self, entry: Entry, message: CompareProgress, sent_at: Instant, now: Instant
    ) -> list[Effect]:
        """One end is behind if the other had made a pair before the message was sent."""
        ours, theirs = entry.progress, message.served
        request = entry.terms.request
        if theirs > ours.served:
            return self.void(request, theirs, now, tell=True)
        if theirs < ours.served and sent_at > ours.boundary + self._timing.measurement:
            effects: list[Effect] = []
            for index in range(max(theirs, ours.served - RECENT_LIMIT) + 1, ours.served + 1):
                effects += self.void(request, index, now, tell=True)
            return effects
        return self.restart(message, now)

    def _compare(self, request: RequestId, served: int, since: Instant) -> Effect:
        boundary = self._endings.boundary
        return Send(self._remote, CompareProgress(self._link, request, served, since, boundary))

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
        dead_at, over_at = self._dead_at(), self._over_at()
        if dead_at is not None and dead_at <= now:
            return [
                effect
                for entry in self._queue.agreed()
                for effect in self.close(entry, "no_sign", now)
            ]
        if over_at is not None and over_at <= now:
            return self._leave(now)
        match state:
            case gen.Attempting(request, index, yield_at=at) | gen.Offering(
                request, index, yield_at=at
            ) if at is not None and at <= now:
                told = NoSlot(self._link, attempt_id(request, index))
                # A peer that does not answer may be at another pair.
                compare = self._compare(request, index - 1, now)
                return [*self._yield(state, now), Send(self._remote, told), compare]
            case gen.Attempting(request, index, ask_at=at) if at is not None and at <= now:
                asks = state.asks + 1
                self.state = state.asked(asks, self._next_ask(asks, now))
                return [self._compare(request, index - 1, state.since)]
            case gen.Offering(ask_at=at) if at is not None and at <= now:
                return self._offer(state, now)
            case gen.AwaitingSlot(request, index, ask_at=at) if at is not None and at <= now:
                self.state = self._slots.told(state, now)
                return [Send(self._remote, NoSlot(self._link, attempt_id(request, index)))]
            case gen.Yielded(resume_at=at) if at <= now:
                return self._resume(state, now)
        return []

    def _dead_at(self) -> Instant | None:
        """When the peer is taken for dead if nothing is heard."""
        if not isinstance(self.state, gen.Attempting | gen.Offering | gen.Yielded):
            return None
        return Instant(self.heard_at + SILENCE * self._timing.ask_wait)

    def _over_at(self) -> Instant | None:
        """When a turn without attempts is over; attempts end by themselves."""
        if isinstance(self.state, gen.AwaitingSlot | gen.Offering | gen.Yielded):
            return self._end
        return None

    def next_deadline(self) -> Instant | None:
        """The next instant of :meth:`on_deadline` or of a choice."""
        limits = (self._dead_at(), self._over_at(), self._own_deadline())
        return min((one for one in limits if one is not None), default=None)

    def _own_deadline(self) -> Instant | None:
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
            agreed: index of the last pair that the peer announced, if known; what was announced
                beyond it is declared expired.
        """
        effects = self.give_up(entry, reason, now, agreed=agreed)
        if not isinstance(entry, Held):
            effects.append(self._endings.close(entry, reason, now, agreed=agreed))
        return effects

    def give_up(
        self, entry: Entry, reason: CloseReason, now: Instant, *, agreed: int | None = None
    ) -> list[Effect]:
        """End an open request here only."""
        dropped = self.drop(entry.terms.request, now)
        return dropped + self._endings.give_up(entry, reason, now, agreed=agreed)

    def drop(self, request: RequestId, now: Instant) -> list[Effect]:
        """Stop making, measuring and keeping anything of ``request``."""
        effects = self._leave(now) if gen.request_of(self.state) == request else []
        return effects + self._delivery.forget(request)


def _finishes(state: gen.Generation, request: RequestId, index: int) -> bool:
    """Whether ``state`` is that of pair ``index`` after its herald."""
    return (
        isinstance(state, gen.Correcting | gen.Delivering)
        and state.pair.request == request
        and state.pair.index == index
    )


def _serves(state: gen.Generation, entry: Agreed) -> bool:
    return gen.request_of(state) == entry.terms.request
