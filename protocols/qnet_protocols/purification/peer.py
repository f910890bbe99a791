"""The other end of a request: it follows the origin's steps and decides upon each.

Theory
    The peer has the origin's bits when its own program ends, or soon after, and so knows the result first: it
    decides, says so, and goes on at once. It hands a pair up one light time before the origin does; if the
    origin then ends the request without having heard of it (:class:`.messages.End` names the last step whose
    verdict it knows), the pair expires here.

    Each end counts the pairs that are valid there when the request ends there. What the origin knows to be void by
    then, the peer was told before End; a pair that expires while End is under way counts at the origin only.

    A step that names pairs which have not arrived here waits for them, for the patience of the protocol at
    most; one that names pairs which are void here has failed.

    A pair whose claim would be below the minimum fidelity when it reaches the origin's user is dropped.
Late, early, impossible
    *Late but true:* messages about a request that is over; bits of a step that has failed meanwhile. *Early:*
    bits while the program still runs, or while pairs are missing: held, one message at most. *Impossible:* a
    step out of order or with another number of pairs, bits of a step to come:
    :class:`~qnet.errors.RemoteProtocolError`.
"""

from __future__ import annotations

from collections.abc import Sequence

from qnet.errors import RemoteProtocolError
from qnet.ids import NodeId, OpId, PairId
from qnet.layers import link
from qnet.layers.link import ErrorCode
from qnet.machine import Effect, Indicate, Received, Release, Send
from qnet.units import Duration, Instant
from qnet_protocols.purification.holdings import raw
from qnet_protocols.purification.messages import Agreed, Begin, Bits, Decided, End, Step, Verdict
from qnet_protocols.purification.work import (
    AwaitingBits,
    Joint,
    Missing,
    Output,
    Reading,
    Terms,
    Work,
)
from qnet_protocols.purification.workbench import Read, Workbench, sacrificed


class Peer:
    """What the peer does for a request; the machine keeps the requests.

    Args:
        bench: of the machine.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def begin(self, source: NodeId, message: Begin) -> tuple[Work, list[Effect]]:
        """A request that this end's user accepts."""
        terms = Terms(
            request=message.request,
            origin=False,
            remote=source,
            number=message.number,
            minimum_fidelity=message.minimum_fidelity,
            requested_at=message.requested_at,
            purpose=message.purpose,
            kind=message.wanted,
            basis=message.distant,
            final=message.final,
        )
        agreed = Agreed(self._bench.below, message.request)
        return Work(terms, agreed=True), [Send(source, agreed)]

    # ------------------------------------------------------------ pairs

    def arrived(self, work: Work, ok: link.Ok, now: Instant) -> list[Effect]:
        """A raw pair is here."""
        if ok.pair in work.gone:
            return [Release(ok.slot)]
        work.held[ok.pair] = raw(ok, now)
        return self._enter(work, now)

    def dropped(self, work: Work, raws: Sequence[PairId], now: Instant) -> list[Effect]:
        """Raw pairs are void, here or at the origin."""
        bench = self._bench
        effects = bench.drop(work, raws)
        match work.joining:
            case Missing():
                effects += self._enter(work, now)
            case Reading(op=op, joint=joint, void=False) if _doomed(joint, raws):
                work.joining = Reading(op, joint, void=True)
            case AwaitingBits(joint=joint) if _doomed(joint, raws):
                effects += bench.free(work, joint.inputs[0])
                effects += self._decide(work, joint.step, "failed", now)
        return [*effects, *self._end_now(work)]

    def waited(self, work: Work, now: Instant) -> list[Effect]:
        """Pairs that have waited too long are dropped; twice as long as at the origin, which does it first."""
        effects = self._bench.too_old(work, now, share=2)
        match work.joining:
            case Missing(named=named, since=since):
                patience = self._bench.patience(work)
                if patience is not None and since + patience <= now:
                    return [*effects, *self._fail(work, named, now)]
        return effects

    def due(self, work: Work) -> Instant | None:
        """When :meth:`waited` has something to do."""
        times = [self._bench.due(work, share=2)]
        patience = self._bench.patience(work)
        if isinstance(work.joining, Missing) and patience is not None:
            times.append(Instant(work.joining.since + patience))
        return min((due for due in times if due is not None), default=None)

    # ------------------------------------------------------------ steps

    def step(self, work: Work, event: Received, now: Instant) -> list[Effect]:
        """The origin names the pairs of a step."""
        named: Step = event.message
        expected = self._bench.circuit.pairs
        twirled = expected if self._bench.circuit.twirl else 0
        if (
            work.joining is not None
            or named.step != work.step + 1
            or len(set(named.pairs)) != expected
            or len(named.pairs) != expected
            or len(named.roles) != expected
            or len(named.turns) != twirled
        ):
            raise RemoteProtocolError(
                f"step must be number {work.step + 1} of {work.terms.request}, of {expected} pairs with "
                f"{twirled} rotations, after the verdict on the one before; state {work.joining!r}, "
                f"got {named!r} at {now} ps"
            )
        work.step = named.step
        work.named, work.early = named, None
        work.transit = Duration(now - event.sent_at)
        work.joining = Missing(named, now)
        return self._enter(work, now)

    def _enter(self, work: Work, now: Instant) -> list[Effect]:
        """Start the step that waits for its pairs, if they are all here or one of them is void."""
        if not isinstance(work.joining, Missing):
            return []
        named = work.joining.named
        if any(pair in work.gone for pair in named.pairs):
            return self._fail(work, named, now)
        if any(pair not in work.held for pair in named.pairs):
            return []
        inputs = tuple(work.held.pop(pair) for pair in named.pairs)
        joint = Joint(named.step, named.index, inputs, named.turns, now)
        apply = self._bench.join(work.terms.remote, joint)
        work.joining = Reading(apply.op, joint)
        return [apply]

    def _fail(self, work: Work, named: Step, now: Instant) -> list[Effect]:
        """Not all pairs of a step are here: free those that are."""
        effects: list[Effect] = []
        for pair in named.pairs:
            work.forget(pair)
            if pair in work.held:
                effects += self._bench.free(work, work.held.pop(pair))
        return [*effects, *self._decide(work, named.step, "failed", now)]

    def bits(self, work: Work, message: Bits, now: Instant) -> list[Effect]:
        """What the origin has read."""
        if message.step > work.step or len(message.bits) != len(self._bench.circuit.reads):
            raise RemoteProtocolError(
                f"bits must be {len(self._bench.circuit.reads)} of step {work.step} or an earlier one of "
                f"{work.terms.request}, got {message!r} at {now} ps"
            )
        if message.step < work.step or work.joining is None:
            return []
        work.early = message
        return self._judge(work, now)

    def applied(
        self, work: Work, op: OpId, outcomes: tuple[int, ...], now: Instant
    ) -> list[Effect]:
        """A program of this request has ended."""
        if op in work.finishing:
            effects = self._bench.finished(work, op, outcomes, now)
            return [*effects, *self._end_now(work)]
        match work.joining:
            case Reading(op=read, joint=joint, void=void) if read == op:
                effects = sacrificed(joint)
                if void:
                    effects += self._bench.free(work, joint.inputs[0])
                    return [*effects, *self._decide(work, joint.step, "failed", now)]
                work.joining = AwaitingBits(joint, outcomes)
                return [*effects, *self._judge(work, now)]
        return []

    def _judge(self, work: Work, now: Instant) -> list[Effect]:
        """Decide, if the bits of both ends are known."""
        if not isinstance(work.joining, AwaitingBits) or work.early is None or work.named is None:
            return []
        bench, terms, named = self._bench, work.terms, work.named
        joint, own = work.joining.joint, work.joining.bits
        theirs = Read(work.early.bits, named.roles, named.started_at)
        success, made = bench.joined(terms.remote, joint, own, theirs, now, now)
        there_at = Instant(now + work.transit)
        goodness = bench.at(terms.remote, made, there_at).goodness
        last = made.level >= bench.parameters.rounds
        enough = goodness >= terms.minimum_fidelity
        if success and enough and (last or bench.parameters.until_fidelity):
            decided = self._decide(work, joint.step, "done", now, joint, own)
            return [*decided, *bench.finish(work, Output(made, joint.index, joint.step), now)]
        if success and not last:
            work.held[made.pair] = made
            return self._decide(work, joint.step, "kept", now, joint, own)
        if success:
            bench.dropped += 1
        decided = self._decide(work, joint.step, "failed", now, joint, own)
        return [Release(made.slot), *decided]

    def _decide(
        self,
        work: Work,
        step: int,
        verdict: Verdict,
        now: Instant,
        joint: Joint | None = None,
        own: tuple[int, ...] = (),
    ) -> list[Effect]:
        work.joining = None
        work.early = None
        work.settled = step
        self._bench.count(work, success=verdict != "failed")
        decided = Decided(
            below=self._bench.below,
            request=work.terms.request,
            step=step,
            verdict=verdict,
            bits=own,
            roles=self._bench.roles(joint) if joint else (),
            started_at=joint.started_at if joint else now,
        )
        return [Send(work.terms.remote, decided)]

    # ------------------------------------------------------------ ending

    def end(self, work: Work, message: End) -> list[Effect]:
        """The origin has ended the request."""
        late = [output for output in work.finishing.values() if output.step > message.settled]
        effects: list[Effect] = []
        for output in late:
            effects += self._bench.drop(work, output.held.raws)
        finishing = dict(work.finishing)
        work.finishing.clear()
        effects += self._bench.release_all(work)
        work.finishing.update(finishing)
        effects += self._bench.expire(
            lambda record: (
                record.request == message.request
                and record.remote == work.terms.remote
                and record.step > message.settled
            )
        )
        work.ending = message
        return [*effects, *self._end_now(work)]

    def _end_now(self, work: Work) -> list[Effect]:
        ending, bench = work.ending, self._bench
        if ending is None or work.finishing:
            return []
        bench.close(work)
        code = None if ending.code is None else ErrorCode(ending.code)
        ended = bench.ended(work, code, ending.detail, cancelled=ending.cancelled)
        return [Indicate(ended)]

    def lost(self, work: Work, detail: str) -> list[Effect]:
        """The origin cannot be reached any more, or has forgotten everything."""
        terms, bench = work.terms, self._bench
        effects = bench.release_all(work)
        bench.close(work)
        err = link.Err(terms.request, ErrorCode.OTHER, False, terms.remote, terms.purpose, detail)
        return [*effects, Indicate(err)]


def _doomed(joint: Joint, raws: Sequence[PairId]) -> bool:
    return any(one.stems_from(raws) for one in joint.inputs)
