"""What both roles of a purification machine share: programs, predictions, handing up, dropping.

Theory
    Pairs that were handed up are remembered with their ancestors (the latest of them): if the machine below
    or the other end declares an ancestor void, the pair expires here too, and does not count any more.

    The user's wishes are met after the last step: kind M, and R at the origin, end in a measurement of this
    end's half in a basis that is drawn on the spot; a wanted Bell label in a Pauli gate at the origin, and
    the peer announces the label with ``settled`` False.
Sources
    [1] Dahlberg et al., SIGCOMM 2019, arXiv 1903.09778: kinds K, M, R.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from qnet.ids import NodeId, OpId, PairId, RequestId, SlotId
from qnet.layers import link
from qnet.layers.link import ErrorCode
from qnet.machine import Apply, Effect, Indicate, Release, Send
from qnet.physics.attempts import NO_ATTEMPTS, while_attempting
from qnet.physics.bell import Correlators, correction_gate, fidelity_from_correlators, label_xor
from qnet.physics.native import pulse_factor
from qnet.program import Draw, Gate, Measure, Program
from qnet.seams import PurifierContext
from qnet.units import PS_PER_S, Duration, Instant, seconds
from qnet_protocols.purification.circuit import Circuit, kept, labels_after, operations, program
from qnet_protocols.purification.holdings import (
    Held,
    Plan,
    PurificationParameters,
    Room,
    joined_id,
    must_store,
    too_small,
)
from qnet_protocols.purification.messages import Dropped
from qnet_protocols.purification.prediction import (
    Input,
    Prediction,
    Side,
    predict,
    program_ends,
    stored,
)
from qnet_protocols.purification.work import (
    AwaitingBits,
    AwaitingVerdict,
    Drawing,
    Joint,
    Output,
    PurifierState,
    Reading,
    Work,
)

PATIENT_TIMES: Final = 64
"""However long memories last, no pair waits for longer than so many mean times of all that it needs: somebody
else may want its slot, who has what it waits for."""

ANNOUNCED_KEPT: Final = 1024
"""Pairs handed up that are still remembered: an ancestor of one may turn out to be void."""


class Announced(NamedTuple):
    """A pair that was handed up."""

    request: RequestId
    remote: NodeId
    purpose: int
    step: int
    raws: tuple[PairId, ...]


class Read(NamedTuple):
    """What one end did in a step."""

    bits: tuple[int, ...]
    roles: tuple[str, ...]
    started_at: Instant


class Workbench:
    """Programs, predictions and announcements of one machine."""

    def __init__(
        self, context: PurifierContext, circuit: Circuit, parameters: PurificationParameters
    ) -> None:
        self.context = context
        self.node = context.node
        self.below = context.below
        self.platform = context.platform
        self.peers = context.peers
        self.circuit = circuit
        self.parameters = parameters
        self.plan = Plan(circuit, parameters)
        self.works: dict[RequestId, Work] = {}
        self.announced: dict[PairId, Announced] = {}
        self.steps = self.successes = self.dropped = 0
        life = f"{context.incarnation}." if context.incarnation else ""
        self._prefix = f"purify:{context.below.rpartition(':')[2]}/{life}"
        self._operations = 0

    def close(self, work: Work) -> None:
        """A request is over here."""
        self.works.pop(work.terms.request, None)

    def ended(
        self, work: Work, code: ErrorCode | None, detail: str, *, cancelled: bool
    ) -> link.Err | link.RequestEnded:
        """What the user here is told at the end: one without a valid pair has failed, unless it was cancelled."""
        terms = work.terms
        if code is None and not cancelled and not work.delivered:
            code = ErrorCode.EXPIRE
            detail = f"every pair that was made has expired with pairs of {self.below}"
        name, origin, remote, purpose = terms.request, terms.origin, terms.remote, terms.purpose
        if code is None:
            return link.RequestEnded(name, origin, remote, purpose, work.delivered, cancelled)
        return link.Err(name, code, origin, remote, purpose, detail)

    def count(self, work: Work, *, success: bool) -> None:
        """A step was decided upon."""
        work.steps += 1
        work.successes += success
        self.steps += 1
        self.successes += success

    def snapshot(self) -> PurifierState:
        """What traces show."""
        requests = tuple(work.snapshot() for work in self.works.values())
        return PurifierState(requests, self.steps, self.successes, self.dropped)

    # ------------------------------------------------------------ slots

    def too_small(self, remote: NodeId, *, stored: bool) -> str:
        """Why the two processors cannot hold the pairs of a request, "" if they can."""
        stored = stored or self.must_store(remote)
        return too_small(self.plan.slots, self._rooms(remote), self.below, stored=stored)

    def must_store(self, remote: NodeId) -> bool:
        """Whether raw pairs go to memory although the request does not ask for it."""
        return must_store(self.plan.slots, self._rooms(remote).values(), self.parameters.store)

    def _rooms(self, remote: NodeId) -> dict[NodeId, Room]:
        platforms = {self.node: self.platform, remote: self.peers[remote]}
        return {
            node: Room(self.context.slots[node], platform.memory_slots)
            for node, platform in platforms.items()
        }

    # ------------------------------------------------------------ programs

    def operation(self) -> OpId:
        """A new operation id."""
        self._operations += 1
        return OpId(f"{self._prefix}{self._operations}")

    def draw_turns(self) -> Apply:
        """Draw a rotation of the twirl for each pair of a step."""
        rotations = Draw((1.0,) * 12)
        return Apply(self.operation(), Program((rotations,) * self.circuit.pairs))

    def join(self, remote: NodeId, joint: Joint) -> Apply:
        """This end's part of a step."""
        slots = [one.slot for one in joint.inputs]
        ops = operations(self.circuit, joint.turns)
        return Apply(self.operation(), program(ops, slots, self._side(remote)))

    def roles(self, joint: Joint) -> tuple[str, ...]:
        """In which kinds of slot this end's halves are."""
        return tuple(self.platform.role_of(one.slot) for one in joint.inputs)

    def patience(self, work: Work) -> Duration | None:
        """How long a pair of ``work`` may wait for its partners; None for ever.

        Memories count with the attempts that may dephase them: at 1/e nothing is left to purify. Partners may
        come late by the time for which a switch keeps the machine below dark.
        """
        wanted_s, remote = self.parameters.patience_s, work.terms.remote
        if wanted_s is None:
            in_memory = self._in_memory(work)
            wanted_s = min(self._lasts_s(node, in_memory) for node in (self.node, remote))
            raws = self.plan.leaves(self.parameters.rounds)
            dark_s = seconds(self.context.dark.get(remote, Duration(0)))
            mean_s = seconds(self.context.mean[remote])
            wanted_s = min(wanted_s, PATIENT_TIMES * raws * mean_s + dark_s)
        span = wanted_s * PS_PER_S
        return Duration(max(1, int(span))) if span < 2**60 else None

    def _in_memory(self, work: Work) -> bool:
        """Whether raw pairs wait in memory slots; the peer of a request learns a wish for it by its halves."""
        if work.terms.store or self.must_store(work.terms.remote):
            return True
        held = work.held.values()
        return any(self.platform.role_of(one.slot) == "memory" for one in held)

    def _lasts_s(self, node: NodeId, in_memory: bool) -> float:
        """How long the coherence of a node's qubits lasts, down to 1/e."""
        platform = self.platform if node == self.node else self.peers[node]
        if not in_memory:
            return platform.communication.t2_s
        attempts = self.context.attempts.get(node, NO_ATTEMPTS)
        return while_attempting(platform.memory, attempts.rate_hz).t2_s

    def _side(self, remote: NodeId) -> int:
        return 0 if self.node < remote else 1

    # ------------------------------------------------------------ predictions

    def joined(
        self,
        remote: NodeId,
        joint: Joint,
        own: tuple[int, ...],
        theirs: Read,
        at: Instant,
        now: Instant,
    ) -> tuple[bool, Held]:
        """Whether a step has succeeded, and what it has made.

        Args:
            remote: the other end.
            joint: this end's part.
            own: bits read here.
            theirs: the other end's part.
            at: instant of the claim, at which both programs are over.
            now: this instant.
        """
        mine = Read(own, self.roles(joint), joint.started_at)
        ends = (self._end(self.node, mine), self._end(remote, theirs))
        first, second = ends if self._side(remote) == 0 else ends[::-1]
        ops = operations(self.circuit, joint.turns)
        label, parities = labels_after(ops, [pair.label for pair in joint.inputs])
        success = kept(self.circuit, parities, first.bits, second.bits)
        found = predict(
            ops,
            [pair.claim for pair in joint.inputs],
            (first, second),
            parities,
            at,
        )
        base = joint.inputs[0]
        made = Held(
            pair=joined_id([pair.pair for pair in joint.inputs]),
            slot=base.slot,
            level=base.level + 1,
            label=label,
            correlators=found.correlators,
            error=self._error(found),
            at=at,
            created_at=min(pair.created_at for pair in joint.inputs),
            raws=tuple(raw for pair in joint.inputs for raw in pair.raws),
            since=now,
            far_role=theirs.roles[0],
        )
        return success, made

    def _end(self, node: NodeId, read: Read) -> Side:
        """One end of a prediction."""
        platform = self.platform if node == self.node else self.peers[node]
        attempts = self.context.attempts.get(node, NO_ATTEMPTS)
        return Side(platform, read.roles, read.started_at, read.bits, attempts)

    def _error(self, found: Prediction) -> float:
        if self.circuit.ones:
            # States that are not Bell-diagonal come out better than the claim, up to perfect.
            return max(found.error, 1.0 - found.goodness)
        return found.error

    def at(self, remote: NodeId, pair: Held, until: Instant) -> Input:
        """The claim of a purified pair that waits at both ends until ``until``."""
        sides = (
            self._end(self.node, Read((), (self.platform.role_of(pair.slot),), pair.at)),
            self._end(remote, Read((), (pair.far_role,), pair.at)),
        )
        return stored(pair.claim, sides, until)

    def best(self, remote: NodeId, correlators: Correlators) -> float:
        """Highest goodness that raw pairs with these correlators can come to, without any waiting."""
        circuit, rounds = self.circuit, self.parameters.rounds
        ops = operations(circuit, (0,) * circuit.pairs if circuit.twirl else ())
        bits = (1 if circuit.ones else 0,) * len(circuit.reads)
        zero = Instant(0)
        memory = ("memory" if self.platform.memory_slots else "communication",) * circuit.pairs
        platforms = (self.platform, self.peers[remote])
        sides = (Side(platforms[0], memory, zero, bits), Side(platforms[1], memory, zero, bits))
        until = max(program_ends(ops, platform, zero) for platform in platforms)
        claim, reached = correlators, []
        for _ in range(rounds):
            others = correlators if self.parameters.pumping else claim
            inputs = [Input(claim, 0.0, zero)]
            inputs += [Input(others, 0.0, zero)] * (circuit.pairs - 1)
            claim = predict(ops, inputs, sides, (0,) * len(bits), until).correlators
            reached.append(fidelity_from_correlators(claim))
        return max(reached) if self.parameters.until_fidelity else reached[-1]

    # ------------------------------------------------------------ handing up

    def finish(self, work: Work, output: Output, now: Instant) -> list[Effect]:
        """Hand a purified pair up, after the last program if its kind or label wants one."""
        terms, held = work.terms, output.held
        if terms.kind == "M" or (terms.kind == "R" and terms.origin):
            last = Program(self._measurement(work, held.slot))
        elif terms.origin and terms.final is not None and terms.final != held.label:
            gate = correction_gate(label_xor(held.label, terms.final))
            last = Program((Gate(gate, (held.slot,)),))
        else:
            return self._announce(work, output, now)
        op = self.operation()
        work.finishing[op] = output
        return [Apply(op, last)]

    @staticmethod
    def _measurement(work: Work, slot: SlotId) -> tuple[Draw | Gate | Measure, ...]:
        basis = work.terms.basis
        turns = [
            Gate(name, (slot,), angle_rad)
            for name, angle_rad in zip(("RX", "RY", "RX"), basis.rotation_rad, strict=True)
            if angle_rad
        ]
        return (Draw(basis.weights), *turns, Measure(slot, bases=basis.bases, choice=0))

    def finished(self, work: Work, op: OpId, outcomes: Sequence[int], now: Instant) -> list[Effect]:
        """The last program of a purified pair has ended."""
        output = work.finishing.pop(op)
        terms, held = work.terms, output.held
        if not outcomes:
            return self._announce(work, output, now)
        self._remember(work, output)
        measured = link.OkMeasured(
            request=terms.request,
            pair=held.pair,
            index=output.index,
            origin=terms.origin,
            remote=terms.remote,
            purpose=terms.purpose,
            label=held.label,
            goodness=fidelity_from_correlators(held.correlators),
            goodness_error=held.error,
            created_at=held.created_at,
            requested_at=terms.requested_at,
            basis=terms.basis.bases[outcomes[0]],
            outcome=outcomes[1],
            kind=terms.kind,
        )
        return [Release(held.slot), Indicate(measured)]

    def _announce(self, work: Work, output: Output, now: Instant) -> list[Effect]:
        terms, held = work.terms, output.held
        self._remember(work, output)
        final = held.label if terms.final is None else terms.final
        turned = final != held.label
        claim = held.claim
        if turned:
            # The origin's gate, which the peer counts on: a Pauli gate lets dephasing go on as before.
            gate = correction_gate(label_xor(held.label, final))
            end = self.platform if terms.origin else self.peers[terms.remote]
            claim = self.at(terms.remote, held, now) if terms.origin else claim
            factor = pulse_factor(end, gate)
            a, b, c = claim.correlators
            claim = Input((a * factor, b * factor, c * factor), claim.error, claim.at)
        ok = link.Ok(
            request=terms.request,
            pair=held.pair,
            index=output.index,
            origin=terms.origin,
            remote=terms.remote,
            purpose=terms.purpose,
            slot=held.slot,
            label=final,
            goodness=claim.goodness,
            goodness_error=claim.error,
            goodness_at=claim.at,
            created_at=held.created_at,
            requested_at=terms.requested_at,
            correlators=claim.correlators,
            kind=terms.kind,
            settled=terms.origin or not turned,
        )
        return [Indicate(ok, (held.slot,))]

    def _remember(self, work: Work, output: Output) -> None:
        terms, held = work.terms, output.held
        work.delivered += 1
        self.announced[held.pair] = Announced(
            terms.request, terms.remote, terms.purpose, output.step, held.raws
        )
        if len(self.announced) > ANNOUNCED_KEPT:
            del self.announced[next(iter(self.announced))]

    # ------------------------------------------------------------ dropping

    def expire(self, doomed: Callable[[Announced], bool]) -> list[Effect]:
        """Say EXPIRE for the pairs handed up that are ``doomed``, once."""
        effects: list[Effect] = []
        for pair, record in list(self.announced.items()):
            if doomed(record):
                del self.announced[pair]
                work = self.works.get(record.request)
                if work is not None and work.terms.remote == record.remote:
                    work.delivered -= 1
                expired = link.Expired(record.request, record.remote, record.purpose, (pair,))
                effects.append(Indicate(expired))
        return effects

    def drop(self, work: Work, raws: Sequence[PairId]) -> list[Effect]:
        """Raw pairs are void: free what is held of them and what was made of them.

        The pairs of the present step are left to the role, which knows what the other end knows.
        """
        effects: list[Effect] = []
        for pair in raws:
            work.forget(pair)
        for held in [one for one in work.held.values() if one.stems_from(raws)]:
            del work.held[held.pair]
            effects += self.free(work, held)
        for op, output in list(work.finishing.items()):
            if output.held.stems_from(raws):
                del work.finishing[op]
                effects += self.free(work, output.held)
        return effects

    def free(self, work: Work, held: Held) -> list[Effect]:
        """Give a half up for another reason than a step that failed."""
        work.forget(held.pair)
        self.dropped += 1
        return [Release(held.slot)]

    def tell(self, work: Work, raws: Sequence[PairId]) -> Effect:
        """Tell the other end that raw pairs are void."""
        return Send(work.terms.remote, Dropped(self.below, work.terms.request, tuple(raws)))

    def too_old(self, work: Work, now: Instant, share: int) -> list[Effect]:
        """Drop the pairs that have waited for partners for ``share`` times the patience."""
        patience = self.patience(work)
        if patience is None:
            return []
        old = [one for one in work.held.values() if one.since + share * patience <= now]
        raws = [raw for one in old for raw in one.raws]
        return [*self.drop(work, raws), self.tell(work, raws)] if raws else []

    def due(self, work: Work, share: int) -> Instant | None:
        """When :meth:`too_old` has something to do."""
        patience = self.patience(work)
        if patience is None or not work.held:
            return None
        return Instant(min(one.since for one in work.held.values()) + share * patience)

    def release_all(self, work: Work) -> list[Effect]:
        """The request is over here: free every half that was not handed up."""
        slots = [one.slot for one in work.held.values()]
        match work.joining:
            case Drawing(inputs=inputs):
                slots += [one.slot for one in inputs]
            case Reading(joint=joint):
                slots += [one.slot for one in joint.inputs]
            case AwaitingVerdict(joint=joint, void=False) | AwaitingBits(joint=joint):
                slots.append(joint.inputs[0].slot)
        slots += [output.held.slot for output in work.finishing.values()]
        work.held.clear()
        work.joining = None
        work.finishing.clear()
        return [Release(slot) for slot in slots]


def sacrificed(joint: Joint) -> list[Effect]:
    """The halves that were read are of no use any more."""
    return [Release(one.slot) for one in joint.inputs[1:]]
