"""The link protocol one-by-one: one pair at a time, and a word about each.

Theory
    *Agreement.* CREATE is checked and proposed to the peer, who answers. End A of the link leads: it serves
    the agreed requests of both ends in the order of agreement, each until its last pair.

    *Turns.* For each pair the leader takes a communication slot and says ``Begin``; the follower takes one too.
    Both attempt under the id of the turn until the station reports a herald. The origin of the request
    brings the pair into the wanted Bell state by one gate, and both hand it up at the same instant, the longer
    time of flight and the longer gate after the click. Then each end gives the other its word (``Told``):
    handed up, or nothing. The next turn begins when both words are known.

    *Lost heralds.* An end that hears the other's word before its own herald has missed it: it gives up its
    half and says so, and whoever announced the pair takes it back (EXPIRE). If the herald was lost at both
    ends nobody would ever speak: the leader gives a turn up after 20 mean times of a pair and begins another.

    *Breaks.* ``PeerLost`` ends all requests at both ends with ERR OTHER; a pair about which the other end has
    not given its word is taken back. An end with open requests that has heard nothing for long knocks, a few
    times and ever more rarely: if the peer has come back without its memory, its node is found out by that.
Late, early, impossible
    *Late but true:* a slot, a herald or a refusal for a turn that was given up gives back its slot, which
    is released; a word about an earlier turn and news of a request that is over are ignored.
    *Early:* a word that comes while this end has its half in hand is kept in the state.
    *Impossible:* messages from anybody but the peer or about another link, from the follower what the
    leader says, about requests or turns that nobody knows: RemoteProtocolError.
Invariants
    Every request ends once at each end. Both ends announce the same id, label and instant for a pair, or
    one of them says EXPIRE. Every slot acquired is released, handed up or named in the state.
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
from collections.abc import Sequence
from typing import Final

import msgspec

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import OpId, PairId, RequestId, SlotId, pair_id
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
    PeerLost,
    Received,
    Release,
    Request,
    Requested,
    Send,
    Withdraw,
)
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
from qnet_protocols.link.one_by_one.states import (
    Attempting,
    AwaitingSlot,
    Correcting,
    Delivering,
    Open,
    Pair,
    Refused,
    Resting,
    Settling,
    Stage,
    State,
    Turn,
)


class LinkEnd:
    """Link machine of one end: offers :mod:`qnet.layers.link` on top of :mod:`qnet.layers.physical`."""

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
        self._prefix = f"link:{plan.name}/i{context.incarnation}-"
        self._operations = self._tokens = 0
        self._purposes: set[int] = set()
        self._heard_at, self._knocks = Instant(0), 0
        self._open: dict[RequestId, Open] = {}
        self._used: deque[RequestId] = deque(maxlen=REMEMBERED)
        self._returning: dict[OpId, SlotId] = {}
        self._stage: Stage = Resting()

    @property
    def state(self) -> State:
        """Snapshot of the present state."""
        returning = tuple(self._returning.values())
        return State(
            self._stage, tuple(self._open.values()), self._turns, returning, self._knock_at()
        )

    def next_deadline(self) -> Instant | None:
        """The instant of delivery, when the leader begins anew, or when to knock."""
        due = (self._stage_due(), self._knock_at())
        return min((at for at in due if at is not None), default=None)

    def _stage_due(self) -> Instant | None:
        match self._stage:
            case Delivering(pair=pair):
                return pair.deliver_at
            case Attempting(retry_at=at):
                return at
            case _:
                return None

    def _knock_at(self) -> Instant | None:
        if not self._open or self._knocks == KNOCKS:
            return None
        return Instant(self._heard_at + (2 * self._patience << self._knocks))

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        """React to one event."""
        match event:
            case Requested(request):
                effects = self._on_request(request, now)
            case Received():
                effects = self._on_message(event, now)
                self._heard_at, self._knocks = now, 0
            case Indicated(indication):
                effects = self._on_indication(indication, now)
            case Acquired(token, slot):
                effects = self._on_acquired(token, slot, now)
            case Applied(op):
                effects = self._on_applied(op, now)
            case DeadlineReached():
                effects = self._on_deadline(now)
            case PeerLost(peer) if peer == self._remote:
                effects = self._on_peer_lost()
            case _:
                raise LocalProtocolError(self._impossible(event, now))
        return effects + self._choose()

    # ------------------------------------------------------------ from the layer above

    def _on_request(self, request: object, now: Instant) -> list[Effect]:
        match request:
            case link.Create():
                return self._create(request, now)
            case link.Cancel(request=name):
                return self._cancel(name)
            case link.Accept(remote, purpose) if remote == self._remote:
                self._purposes.add(purpose)
                return []
            case link.StopAccepting(remote, purpose) if remote == self._remote:
                self._purposes.discard(purpose)
                return []
            case _:
                raise LocalProtocolError(self._impossible(request, now))

    def _create(self, create: link.Create, now: Instant) -> list[Effect]:
        name, purpose = create.request, create.purpose
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
            return [Indicate(link.Err(name, refusal[0], True, self._remote, purpose, refusal[1]))]
        final = create.final or (0, 0)
        if not self._open:
            self._heard_at, self._knocks = now, 0
        self._open[name] = Open(name, True, create.number, purpose, final, now)
        proposal = Propose(self._plan.name, name, create.number, purpose, now, *final)
        return [Send(self._remote, proposal)]

    def _cancel(self, name: RequestId) -> list[Effect]:
        request = self._open.get(name)
        if request is None or request.cancelled:
            return []
        self._open[name] = msgspec.structs.replace(request, cancelled=True)
        if self._leads:
            return self._hurry(name)
        return [Send(self._remote, GiveUp(self._plan.name, name))] if request.agreed else []

    def _hurry(self, name: RequestId) -> list[Effect]:
        """Leader: a cancelled request waits for the pair in hand, not for a herald."""
        match self._stage:
            case AwaitingSlot(turn) | Attempting(turn) if turn.request == name:
                return self._drop()
            case _:
                return []

    # ------------------------------------------------------------ from the peer

    def _on_message(self, event: Received, now: Instant) -> list[Effect]:
        message = event.message
        if event.source != self._remote or message.link != self._plan.name:
            raise RemoteProtocolError(self._impossible(event, now))
        match message:
            case Knock():
                return []
            case Propose(request=name) if name not in self._open and message.number >= 1:
                return self._on_propose(message)
            case Answered(request=name, refusal=refusal) if name in self._open:
                return self._on_answered(self._open[name], refusal)
            case Begin(request=name, index=index, turn=number) if (
                not self._leads and name in self._open and number > self._turns
            ):
                effects = self._drop()
                self._turns = number
                return [*effects, self._acquire(Turn(number, name, index))]
            case Told(turn=number, made=made) if number <= self._turns:
                return self._on_told(number, made)
            case GiveUp(request=name) if self._leads:
                request = self._open.get(name)
                if request is None:
                    return []
                self._open[name] = msgspec.structs.replace(request, cancelled=True)
                return self._hurry(name)
            case Ended(request=name, cancelled=cancelled) if name in self._open and not self._leads:
                dropped = self._drop() if self._serves(name) else []
                return [*dropped, self._end(name, cancelled=cancelled)]
            case _:
                raise RemoteProtocolError(self._impossible(event, now))

    def _on_propose(self, message: Propose) -> list[Effect]:
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
        return [Send(self._remote, Answered(self._plan.name, name, refusal))]

    def _on_answered(self, request: Open, refusal: int | None) -> list[Effect]:
        name = request.request
        if refusal is not None:
            del self._open[name]
            self._used.append(name)
            return [self._error(request, link.ErrorCode(refusal), f"{self._remote} refuses")]
        # At the end of the dictionary: the leader serves in order of agreement.
        del self._open[name]
        self._open[name] = msgspec.structs.replace(request, agreed=True)
        if request.cancelled and not self._leads:
            return [Send(self._remote, GiveUp(self._plan.name, name))]
        return []

    def _on_told(self, number: int, made: bool) -> list[Effect]:
        match self._stage:
            case Settling(turn, pair) if turn.number == number:
                return self._settle(turn, pair, made)
            case Correcting(turn) | Delivering(turn) if turn.number == number:
                self._stage = msgspec.structs.replace(self._stage, heard=made)
                return []
            case AwaitingSlot(turn) | Attempting(turn) | Refused(turn) if turn.number == number:
                # The peer has heard of a click that this end has missed.
                effects = self._drop()
                told = Send(self._remote, Told(self._plan.name, number, False))
                return [*effects, told, *self._settle(turn, None, made)]
            case _:
                return []

    def _on_peer_lost(self) -> list[Effect]:
        effects = self._drop()
        text = f"contact with {self._remote} broke"
        for request in self._open.values():
            effects.append(self._error(request, link.ErrorCode.OTHER, text))
        self._used.extend(self._open)
        self._open.clear()
        return effects

    # ------------------------------------------------------------ turns

    def _choose(self) -> list[Effect]:
        """Leader: end what is over, and begin the next turn if there is none."""
        if not self._leads:
            return []
        effects: list[Effect] = []
        agreed = [one for one in self._open.values() if one.agreed]
        for one in agreed:
            complete = one.index > one.number
            if (complete or one.cancelled) and not self._serves(one.request):
                ended = Ended(self._plan.name, one.request, not complete)
                effects.append(Send(self._remote, ended))
                effects.append(self._end(one.request, cancelled=not complete))
        first = next((one for one in agreed if one.request in self._open), None)
        if first is not None and isinstance(self._stage, Resting):
            self._turns += 1
            effects.append(self._acquire(Turn(self._turns, first.request, first.index)))
        return effects

    def _serves(self, name: RequestId) -> bool:
        return not isinstance(self._stage, Resting) and self._stage.turn.request == name

    def _acquire(self, turn: Turn) -> Effect:
        self._tokens += 1
        token = f"{self._prefix}{self._tokens}"
        self._stage = AwaitingSlot(turn, token)
        return Acquire(token)

    def _on_acquired(self, token: str, slot: SlotId, now: Instant) -> list[Effect]:
        match self._stage:
            case AwaitingSlot(turn, awaited) if awaited == token:
                start = Request(physical.StartAttempts(turn.attempt, slot))
                if not self._leads:
                    self._stage = Attempting(turn, None)
                    return [start]
                self._stage = Attempting(turn, Instant(now + self._patience))
                begin = Begin(self._plan.name, turn.request, turn.index, turn.number)
                return [Send(self._remote, begin), start]
            case _:
                return [Release(slot)]

    def _on_indication(self, indication: object, now: Instant) -> list[Effect]:
        match indication:
            case physical.Heralded(slot=slot):
                match self._stage:
                    case Attempting(turn) if turn.attempt == indication.attempt:
                        return self._on_herald(turn, indication, now)
                return [Release(slot)]
            case physical.HeraldRefused(attempt, slot) | physical.AttemptsStopped(attempt, slot):
                match self._stage:
                    case Attempting(turn) if turn.attempt == attempt:
                        # The leader begins anew at once, the follower waits for it.
                        self._stage = Resting() if self._leads else Refused(turn)
                return [Release(slot)]
            case physical.HeraldedLate():
                return []
            case _:
                raise LocalProtocolError(self._impossible(indication, now))

    def _on_herald(self, turn: Turn, herald: physical.Heralded, now: Instant) -> list[Effect]:
        request = self._open[turn.request]
        name = pair_id(self._plan.name, herald.sequence)
        deliver_at = Instant(herald.clicked_at + self._lag)
        pair = Pair(name, herald.slot, herald.clicked_at, deliver_at)
        gate = correction_gate(label_xor(herald.label, request.final)) if request.origin else "I"
        if now + (0 if gate == "I" else self._gate) > deliver_at:
            return [Release(herald.slot), *self._say(turn, None, None)]
        if gate == "I":
            self._stage = Delivering(turn, pair)
            return []
        self._operations += 1
        op = OpId(f"{self._prefix}{self._operations}")
        self._stage = Correcting(turn, pair, op)
        return [Apply(op, Program((Gate(gate, (herald.slot,)),)))]

    def _on_applied(self, op: OpId, now: Instant) -> list[Effect]:
        match self._stage:
            case Correcting(turn, pair, running, heard) if running == op:
                self._stage = Delivering(turn, pair, heard)
                return self._on_stage_due(now) if now > pair.deliver_at else []
            case _:
                slot = self._returning.pop(op, None)
                if slot is None:
                    raise LocalProtocolError(self._impossible(f"end of {op}", now))
                return [Release(slot)]

    def _on_deadline(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        knock_at, due = self._knock_at(), self._stage_due()
        if knock_at is not None and knock_at <= now:
            self._knocks += 1
            self._heard_at = now
            effects.append(Send(self._remote, Knock(self._plan.name)))
        return effects + (self._on_stage_due(now) if due is not None and due <= now else [])

    def _on_stage_due(self, now: Instant) -> list[Effect]:
        match self._stage:
            case Attempting():
                return self._drop()
            case Delivering(turn, pair, heard):
                if now > pair.deliver_at:  # this node stood still meanwhile
                    return [Release(pair.slot), *self._say(turn, None, heard)]
                request, estimate = self._open[turn.request], self._plan.estimate
                ok = answers.ok(request, turn, pair, self._remote, estimate)
                return [Indicate(ok, (pair.slot,)), *self._say(turn, pair.name, heard)]
            case _:
                return []

    def _say(self, turn: Turn, pair: PairId | None, heard: bool | None) -> list[Effect]:
        """Give this end's word about a turn."""
        if pair is not None:
            self._count(turn.request, delivered=1)
        self._stage = Settling(turn, pair)
        effects: list[Effect] = [
            Send(self._remote, Told(self._plan.name, turn.number, pair is not None))
        ]
        return effects if heard is None else effects + self._settle(turn, pair, heard)

    def _settle(self, turn: Turn, pair: PairId | None, theirs: bool) -> list[Effect]:
        """Both words are known: a pair that an end announced counts, and is void if the other did not."""
        self._stage = Resting()
        if pair is not None or theirs:
            self._count(turn.request, index=1)
        return [] if pair is None or theirs else [self._take_back(turn.request, pair)]

    def _drop(self) -> list[Effect]:
        """Give up the present turn, whatever its stage; what the peer has not confirmed is void."""
        stage, self._stage = self._stage, Resting()
        match stage:
            case AwaitingSlot(token=token):
                return [Withdraw(token)]
            case Attempting(turn):
                return [Request(physical.StopAttempts(turn.attempt))]
            case Correcting(pair=pair, op=op):
                self._returning[op] = pair.slot
                return []
            case Delivering(pair=pair):
                return [Release(pair.slot)]
            case Settling(turn, str(name)):
                return [self._take_back(turn.request, name)]
            case _:
                return []

    # ------------------------------------------------------------ what is said above

    def _count(self, name: RequestId, *, delivered: int = 0, index: int = 0) -> None:
        request = self._open[name]
        self._open[name] = msgspec.structs.replace(
            request, delivered=request.delivered + delivered, index=request.index + index
        )

    def _take_back(self, name: RequestId, pair: PairId) -> Effect:
        self._count(name, delivered=-1)
        purpose = self._open[name].purpose
        return Indicate(link.Expired(name, self._remote, purpose, (pair,)))

    def _end(self, name: RequestId, *, cancelled: bool) -> Effect:
        self._used.append(name)
        return Indicate(answers.ended(self._open.pop(name), self._remote, cancelled=cancelled))

    def _error(self, request: Open, code: link.ErrorCode, text: str) -> Effect:
        return Indicate(answers.error(request, self._remote, code, text))

    def _impossible(self, event: object, now: Instant) -> str:
        what = f"{event.kind} from {event.source}" if isinstance(event, Received) else repr(event)
        return (
            f"{self._plan.name}: {what} must not arrive at {self._node} in state {self.state!r}, "
            f"at {now} ps"
        )


PROTOCOL: Final = LinkProtocol(
    name="one-by-one",
    make_end=LinkEnd,
    messages=MESSAGES,
    parameters=Parameters,
    sources=("Dahlberg et al., SIGCOMM 2019, arXiv 1903.09778",),
)
"""Catalogue record of the group ``qnet.links``."""
