"""The link protocol one-by-one as coroutines: a desk that takes requests, and one turn per pair.

Theory
    *The desk* (``main``) takes every input: it agrees on requests with the peer, gives the turn what is for it,
    and starts the next turn. CREATE is checked and proposed to the peer, who answers. End A of the link leads: it
    serves the agreed requests of both ends in the order of agreement, each until its last pair.

    *A turn* (``_turn``) makes one pair, from top to bottom: take a communication slot; the leader says
    ``Begin``, the follower begins at that; attempt under the id of the turn until the station reports a herald. The
    origin of the request brings the pair into the wanted Bell state by one gate, and both hand it up at the same
    instant, the longer time of flight and the longer gate after the click. Then each end gives the other its word
    (``Told``): handed up, or nothing. The turn is over when both words are known.

    *Lost heralds.* An end that hears the other's word before its own herald has missed it: it gives up its
    half and says so, and whoever announced the pair takes it back (EXPIRE). If the herald was lost at both
    ends nobody would ever speak: the leader gives a turn up after 20 mean times of a pair and begins another.

    *Breaks.* ``PeerLost`` ends all requests at both ends with ERR OTHER; a pair about which the other end has
    not given its word is taken back. An end with open requests that has heard nothing for long knocks, a few
    times and ever more rarely: if the peer has come back without its memory, its node is found out by that.
Late, early, impossible
    *Late but true:* a slot, a herald or a refusal for a turn that was cancelled gives back its slot, which
    is released; a word about an earlier turn and news of a request that is over are ignored.
    *Early:* a word that comes while this end has its half in hand waits in the box of the turn.
    *Impossible:* messages from anybody but the peer or about another link, from the follower what the
    leader says, about requests or turns that nobody knows: RemoteProtocolError.
Invariants
    Every request ends once at each end. Both ends announce the same id, label and instant for a pair, or
    one of them says EXPIRE. Every slot acquired is released or handed up.
Assumptions and validity
    Both ends compute with the same plan of the link.
Not modelled
    Requests of kind M or R, storage in memory, atomic batches, deadlines, several requests at a time: they are
    refused with UNSUPP. Pairs of the next turn while words are under way: a pair costs two more light times.
Units
    Picoseconds of simulated time.
Sources
    Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv 1903.09778: the service.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, NoReturn

import msgspec

from qnet.coroutine import (
    Cancelled,
    CoroutineMachine,
    Finished,
    Interrupted,
    PeerGone,
    Task,
)
from qnet.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from qnet.ids import AttemptId, PairId, RequestId, SlotId, pair_id
from qnet.layers import link, physical
from qnet.machine import Indicated, Received, Record, Requested
from qnet.physics.bell import correction_gate, label_xor
from qnet.program import Gate, Program
from qnet.seams import EndContext, LinkProtocol
from qnet.units import Duration, Instant, duration_from_s
from qnet_protocols.link.one_by_one import answers
from qnet_protocols.link.one_by_one.admission import malformed, unsupported
from qnet_protocols.link.one_by_one.messages import (
    MESSAGES,
    Answered,
    Begin,
    Ended,
    GiveUp,
    Knock,
    Propose,
    Told,
)
from qnet_protocols.link.one_by_one.parameters import (
    KNOCKS,
    MEAN_TIMES,
    REMEMBERED,
    Parameters,
)
from qnet_protocols.link.one_by_one.states import Open, Pair, Turn

Stage = Literal["resting", "slot", "attempting", "refused", "in hand", "settling"]
"""How far the present turn is."""


class Facts(Record, frozen=True):
    """What this end shows in traces.

    Attributes:
        stage: of the present turn.
        turn: the present or last one.
        open: requests that have not ended.
    """

    stage: Stage
    turn: Turn | None
    open: tuple[Open, ...]


class LinkEnd:
    """One end: offers :mod:`qnet.layers.link` on top of :mod:`qnet.layers.physical`."""

    def __init__(self, context: EndContext) -> None:
        plan = context.link
        self._node, self._remote, self._plan = context.node, context.remote, plan
        self._leads = context.side == 0
        self._limit = msgspec.convert(plan.protocol_parameters, Parameters).queue
        self._gate = plan.correction[context.side]
        self._lag = Duration(max(plan.flights) + max(plan.correction))
        rate_hz = plan.estimate.rate_hz
        mean = duration_from_s(1.0 / rate_hz) if rate_hz > 0.0 else 0
        self._patience = MEAN_TIMES * mean + 6 * plan.direct + plan.cycle
        # The follower learns the numbers from the leader, who never gives one of a former life again.
        self._turns = context.incarnation << 32 if self._leads else 0
        self._purposes: set[int] = set()
        self._heard_at, self._knocks = Instant(0), 0
        self._open: dict[RequestId, Open] = {}
        self._used: deque[RequestId] = deque(maxlen=REMEMBERED)
        self._stage: Stage = "resting"
        self._turn: Turn | None = None
        self._task: Task | None = None

    def facts(self) -> Facts:
        """What the trace shows."""
        return Facts(self._stage, self._turn, tuple(self._open.values()))

    # ------------------------------------------------------------ a turn

    async def _run_turn(self, me: Task, turn: Turn) -> None:
        """Make one pair, and settle with the peer whether both have it."""
        try:
            with me.unless(Told):
                herald = await self._attempt(me, turn)
        except Interrupted as missed:
            # The peer has heard of a click that this end has missed.
            me.send(self._remote, Told(self._plan.name, turn.number, False))
            self._settle(me, turn, None, theirs=missed.event.message.made)
            return
        if herald is None:
            return
        pair = await self._hand_up(me, turn, herald)
        me.send(self._remote, Told(self._plan.name, turn.number, pair is not None))
        self._stage = "settling"
        try:
            told = await me.receive(Told)
        except Cancelled:
            if pair is not None:
                self._take_back(me, turn.request, pair)
            raise
        self._settle(me, turn, pair, theirs=told.message.made)

    async def _attempt(self, me: Task, turn: Turn) -> physical.Heralded | None:
        """Attempt with the peer until a herald; None where the leader begins anew."""
        self._stage = "slot"
        slot = await me.acquire()
        if self._leads:
            me.send(self._remote, Begin(self._plan.name, turn.request, turn.index, turn.number))
        me.request(physical.StartAttempts(turn.attempt, slot))
        self._stage = "attempting"
        try:
            event = await me.receive(
                physical.Heralded,
                physical.HeraldRefused,
                physical.AttemptsStopped,
                until=Instant(me.now + self._patience) if self._leads else None,
            )
        except (Cancelled, Interrupted):
            me.request(physical.StopAttempts(turn.attempt))
            raise
        match event:
            case Indicated(indication=physical.Heralded() as herald):
                return herald
            case Indicated(indication=physical.HeraldRefused() | physical.AttemptsStopped() as end):
                self._stage = "refused"
                me.release(end.slot)
                if not self._leads:
                    await me.receive(Told)  # unless the leader begins anew, which ends this turn
            case _:
                me.request(physical.StopAttempts(turn.attempt))
        return None

    async def _hand_up(self, me: Task, turn: Turn, herald: physical.Heralded) -> PairId | None:
        """Correct the pair and hand it up at the common instant; None if that is not possible any more."""
        self._stage = "in hand"
        request, slot = self._open[turn.request], herald.slot
        deliver_at = Instant(herald.clicked_at + self._lag)
        gate = correction_gate(label_xor(herald.label, request.final)) if request.origin else "I"
        in_time = me.now + (0 if gate == "I" else self._gate) <= deliver_at
        try:
            if in_time and gate != "I":
                await me.apply(Program((Gate(gate, (slot,)),)))
            if in_time and me.now <= deliver_at:
                await me.sleep_until(deliver_at)
        except Cancelled:
            me.release(slot)
            raise
        if not in_time or me.now > deliver_at:  # this node stood still, or its gate took long
            me.release(slot)
            return None
        name = pair_id(self._plan.name, herald.sequence)
        pair = Pair(name, slot, herald.clicked_at, deliver_at)
        request = self._open[turn.request]
        me.indicate(answers.ok(request, turn, pair, self._remote, self._plan.estimate), slot)
        self._count(turn.request, delivered=1)
        return name

    def _settle(self, me: Task, turn: Turn, pair: PairId | None, *, theirs: bool) -> None:
        """Both words are known: a pair that an end announced counts, and is void if the other did not."""
        if pair is not None or theirs:
            self._count(turn.request, index=1)
        if pair is not None and not theirs:
            self._take_back(me, turn.request, pair)

    # ------------------------------------------------------------ the desk

    async def main(self, me: Task) -> NoReturn:
        """Take every input, for ever."""
        while True:
            try:
                event = await me.receive(until=self._knock_at())
                self._handle(me, event)
            except PeerGone as gone:
                self._on_peer_lost(me, gone)
            except ProtocolError as error:
                me.refuse(error)
            else:
                self._choose(me)

    def _handle(self, me: Task, event: object) -> None:
        match event:
            case None:
                self._knocks += 1
                self._heard_at = me.now
                me.send(self._remote, Knock(self._plan.name))
            case Requested(request=request):
                self._on_request(me, request)
            case Received():
                self._on_message(me, event)
                self._heard_at, self._knocks = me.now, 0
            case Indicated(indication=physical.HeraldedLate()):
                pass
            case Indicated(
                indication=physical.Heralded(attempt=attempt, slot=slot)
                | physical.HeraldRefused(attempt=attempt, slot=slot)
                | physical.AttemptsStopped(attempt=attempt, slot=slot)
            ):
                self._on_attempts(me, event, attempt, slot)
            case Finished():
                self._stage = "resting"
            case _:
                raise LocalProtocolError(self._impossible(event, me.now))

    def _knock_at(self) -> Instant | None:
        if not self._open or self._knocks == KNOCKS:
            return None
        return Instant(self._heard_at + (2 * self._patience << self._knocks))

    def _choose(self, me: Task) -> None:
        """Leader: end what is over, and begin the next turn if there is none."""
        if not self._leads:
            return
        agreed = [one for one in self._open.values() if one.agreed]
        for one in agreed:
            complete = one.index > one.number
            if (complete or one.cancelled) and not self._serves(one.request):
                me.send(self._remote, Ended(self._plan.name, one.request, not complete))
                self._end(me, one.request, cancelled=not complete)
        first = next((one for one in agreed if one.request in self._open), None)
        if first is not None and self._stage == "resting":
            self._begin(me, Turn(self._turns + 1, first.request, first.index))

    def _begin(self, me: Task, turn: Turn) -> None:
        self._turns, self._turn, self._stage = turn.number, turn, "slot"
        self._task = me.start("turn", self._run_turn, turn)

    def _drop(self) -> None:
        """Give up the present turn, whatever its stage; what the peer has not confirmed is void."""
        if self._task is not None:
            self._task.cancel()
        self._stage = "resting"

    def _serves(self, name: RequestId) -> bool:
        return self._stage != "resting" and self._turn is not None and self._turn.request == name

    # ------------------------------------------------------------ from the layers above and below

    def _on_request(self, me: Task, request: object) -> None:
        match request:
            case link.Create():
                self._create(me, request)
            case link.Cancel(request=name):
                self._cancel(me, name)
            case link.Accept(remote, purpose) if remote == self._remote:
                self._purposes.add(purpose)
            case link.StopAccepting(remote, purpose) if remote == self._remote:
                self._purposes.discard(purpose)
            case _:
                raise LocalProtocolError(self._impossible(request, me.now))

    def _create(self, me: Task, create: link.Create) -> None:
        name, purpose, now = create.request, create.purpose, me.now
        if name in self._open or name in self._used:
            raise LocalProtocolError(
                f"{self._plan.name}: a request must have an id of its own, got {name} again, at {now} ps"
            )
        refusal = malformed(create, self._remote) or unsupported(create, self._plan)
        if refusal is None and len(self._open) >= self._limit:
            rule = f"queue of {self._plan.name} must hold <= {self._limit} requests"
            refusal = (link.ErrorCode.NORES, rule)
        if refusal is not None:
            self._used.append(name)
            me.indicate(link.Err(name, refusal[0], True, self._remote, purpose, refusal[1]))
            return
        final = create.final or (0, 0)
        if not self._open:
            self._heard_at, self._knocks = now, 0
        self._open[name] = Open(name, True, create.number, purpose, final, now)
        me.send(self._remote, Propose(self._plan.name, name, create.number, purpose, now, *final))

    def _cancel(self, me: Task, name: RequestId) -> None:
        request = self._open.get(name)
        if request is None or request.cancelled:
            return
        self._open[name] = msgspec.structs.replace(request, cancelled=True)
        if self._leads:
            self._hurry(name)
        elif request.agreed:
            me.send(self._remote, GiveUp(self._plan.name, name))

    def _hurry(self, name: RequestId) -> None:
        """Leader: a cancelled request waits for the pair in hand, not for a herald."""
        if self._serves(name) and self._stage in ("slot", "attempting"):
            self._drop()

    def _on_attempts(self, me: Task, event: Indicated, attempt: AttemptId, slot: SlotId) -> None:
        turn, task = self._turn, self._task
        if self._stage == "attempting" and turn and task and turn.attempt == attempt:
            task.give(event)
        else:
            me.release(slot)

    # ------------------------------------------------------------ from the peer

    def _on_message(self, me: Task, event: Received) -> None:
        message, link_name = event.message, self._plan.name
        if event.source != self._remote or message.link != link_name:
            raise RemoteProtocolError(self._impossible(event, me.now))
        match message:
            case Knock():
                pass
            case Propose(request=name) if name not in self._open and message.number >= 1:
                self._on_propose(me, message)
            case Answered(request=name, refusal=refusal) if name in self._open:
                self._on_answered(me, self._open[name], refusal)
            case Begin(request=name, index=index, turn=number) if (
                not self._leads and name in self._open and number > self._turns
            ):
                self._drop()
                self._begin(me, Turn(number, name, index))
            case Told(turn=number) if number <= self._turns:
                if self._stage != "resting" and number == self._turns and self._task:
                    self._task.give(event)
            case GiveUp(request=name) if self._leads:
                request = self._open.get(name)
                if request is not None:
                    self._open[name] = msgspec.structs.replace(request, cancelled=True)
                    self._hurry(name)
            case Ended(request=name, cancelled=cancelled) if name in self._open and not self._leads:
                if self._serves(name):
                    self._drop()
                self._end(me, name, cancelled=cancelled)
            case _:
                raise RemoteProtocolError(self._impossible(event, me.now))

    def _on_propose(self, me: Task, message: Propose) -> None:
        name, purpose = message.request, message.purpose
        refusal = None
        if purpose not in self._purposes:
            refusal = link.ErrorCode.REJECTED
        elif len(self._open) >= self._limit:
            refusal = link.ErrorCode.NORES
        if refusal is None:
            final = (message.final_x, message.final_z)
            asked_at = message.requested_at
            self._open[name] = Open(
                name, False, message.number, purpose, final, asked_at, agreed=True
            )
        me.send(self._remote, Answered(self._plan.name, name, refusal))

    def _on_answered(self, me: Task, request: Open, refusal: int | None) -> None:
        name = request.request
        del self._open[name]
        if refusal is not None:
            self._used.append(name)
            text = f"{self._remote} refuses"
            me.indicate(answers.error(request, self._remote, link.ErrorCode(refusal), text))
            return
        # At the end of the dictionary: the leader serves in order of agreement.
        self._open[name] = msgspec.structs.replace(request, agreed=True)
        if request.cancelled and not self._leads:
            me.send(self._remote, GiveUp(self._plan.name, name))

    def _on_peer_lost(self, me: Task, gone: PeerGone) -> None:
        if gone.peer != self._remote:
            me.refuse(LocalProtocolError(self._impossible(gone, me.now)))
            return
        self._drop()
        text = f"contact with {self._remote} broke"
        for request in self._open.values():
            me.indicate(answers.error(request, self._remote, link.ErrorCode.OTHER, text))
        self._used.extend(self._open)
        self._open.clear()

    # ------------------------------------------------------------ what is said above

    def _count(self, name: RequestId, *, delivered: int = 0, index: int = 0) -> None:
        request = self._open[name]
        self._open[name] = msgspec.structs.replace(
            request, delivered=request.delivered + delivered, index=request.index + index
        )

    def _take_back(self, me: Task, name: RequestId, pair: PairId) -> None:
        self._count(name, delivered=-1)
        purpose = self._open[name].purpose
        me.indicate(link.Expired(name, self._remote, purpose, (pair,)))

    def _end(self, me: Task, name: RequestId, *, cancelled: bool) -> None:
        self._used.append(name)
        me.indicate(answers.ended(self._open.pop(name), self._remote, cancelled=cancelled))

    def _impossible(self, event: object, now: Instant) -> str:
        what = f"{event.kind} from {event.source}" if isinstance(event, Received) else repr(event)
        return (
            f"{self._plan.name}: {what} must not arrive at {self._node} in state {self.facts()!r}, "
            f"at {now} ps"
        )


def make_end(context: EndContext) -> CoroutineMachine:
    """The machine of one end."""
    end = LinkEnd(context)
    name = f"link:{context.link.name}"
    return CoroutineMachine(name, end.main, facts=end.facts, incarnation=context.incarnation)


PROTOCOL: Final = LinkProtocol(
    name="one-by-one-async",
    make_end=make_end,
    messages=MESSAGES,
    parameters=Parameters,
    sources=("Dahlberg et al., SIGCOMM 2019, arXiv 1903.09778",),
)
"""Catalogue record of the group ``qnet.links``."""
