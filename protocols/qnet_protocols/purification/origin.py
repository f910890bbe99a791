"""The end of a request that got CREATE: it asks for raw pairs, chooses which are joined, and counts.

Theory
    *Beginning.* Begin goes to the peer, which agrees if its user accepts the purpose. Only then are raw pairs
    asked for below, as many as would be enough if every step succeeded, again whenever too few are on their way.
    The first raw pair's claim shows whether the minimum fidelity can be reached at all; if not, ERR UNSUPP.

    *Step.* As soon as enough pairs are in hand: (with a twirl, draw the rotations,) start the program, name
    pairs, rotations and start to the peer, send the bits that were read, wait for the verdict. One step of a
    request at a time, so that at most one verdict is unknown here.

    *Counting.* A step whose verdict is to hand its pair up uses up an index, even if the pair turns out to be void
    here or there: the peer may have announced it already. Void pairs are not made again; the request ends with
    fewer, or, if none is left, with ERR EXPIRE.

    *Ending.* With the last pair, at the deadline, when a user cancels or the machine below fails: End to the
    peer, with the last step whose verdict is known here; what the peer has made of a later one is void there.
Late, early, impossible
    *Late but true:* an answer for a request that is over. *Early:* nothing, messages keep their order.
    *Impossible:* a verdict for another step than the one that waits for it:
    :class:`~qnet.errors.RemoteProtocolError`.
"""

from __future__ import annotations

from collections.abc import Sequence

from qnet.errors import RemoteProtocolError
from qnet.ids import OpId, PairId, RequestId
from qnet.layers import link
from qnet.layers.link import ErrorCode
from qnet.machine import Effect, Indicate, Received, Release, Request, Send
from qnet.physics.bell import fidelity_from_correlators
from qnet.units import Duration, Instant
from qnet_protocols.purification.holdings import Held, raw
from qnet_protocols.purification.messages import Begin, Bits, Decided, End, Step
from qnet_protocols.purification.work import (
    AwaitingVerdict,
    Drawing,
    Joint,
    Output,
    Reading,
    Terms,
    Work,
)
from qnet_protocols.purification.workbench import Read, Workbench, sacrificed

RAW = "/raw"
"""Between the name of a request and the number of a request below."""


def request_of(below: RequestId) -> RequestId:
    """The request for which raw pairs were asked under the name ``below``."""
    return RequestId(below.rpartition(RAW)[0])


def order(bench: Workbench, work: Work, now: Instant) -> link.Create | None:
    """The raw pairs that are missing even if every step succeeds; None if enough are coming."""
    terms, batch = work.terms, bench.parameters.batch
    levels = [one.level for one in (*work.held.values(), *work.inputs)]
    coming = sum(work.outstanding.values())
    missing = bench.plan.missing(terms.number - work.served, levels) - coming
    if missing <= 0 or 2 * coming > batch:
        return None
    work.asked += 1
    request = RequestId(f"{terms.request}{RAW}{work.asked}")
    number = work.outstanding[request] = min(missing, batch)
    return link.Create(
        request,
        terms.remote,
        number,
        0.0,
        Duration(0 if terms.deadline is None else terms.deadline - now),
        terms.purpose,
        priority=terms.priority,
        store=terms.store,
        circuit=terms.circuit,
    )


class Origin:
    """What the origin does for a request; the machine keeps the requests.

    Args:
        bench: of the machine.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def begin(self, create: link.Create, now: Instant) -> tuple[Work, list[Effect]]:
        """A request that can be served."""
        terms = Terms(
            request=create.request,
            origin=True,
            remote=create.remote,
            number=create.number,
            minimum_fidelity=create.minimum_fidelity,
            requested_at=now,
            purpose=create.purpose,
            kind=create.kind,
            basis=create.local,
            final=create.final,
            deadline=Instant(now + create.max_time) if create.max_time else None,
            priority=create.priority,
            store=create.store or self._bench.must_store(create.remote),
            circuit=create.circuit,
        )
        begin = Begin(
            below=self._bench.below,
            request=create.request,
            number=create.number,
            minimum_fidelity=create.minimum_fidelity,
            requested_at=now,
            purpose=create.purpose,
            wanted=create.kind,
            distant=create.distant,
            final=create.final,
        )
        return Work(terms, agreed=False), [Send(create.remote, begin)]

    # ------------------------------------------------------------ pairs

    def arrived(self, work: Work, ok: link.Ok, now: Instant) -> list[Effect]:
        """A raw pair is here."""
        if ok.request in work.outstanding:
            work.outstanding[ok.request] -= 1
        if ok.pair in work.gone:
            return [Release(ok.slot)]
        work.held[ok.pair] = raw(ok, now)
        if work.checked:
            return []
        work.checked = True
        best = self._bench.best(work.terms.remote, ok.correlators)
        wanted = work.terms.minimum_fidelity
        if best >= wanted:
            return []
        told = fidelity_from_correlators(ok.correlators)
        detail = (
            f"minimum_fidelity must be <= {best:.6f}, the best that {self._bench.parameters.rounds} rounds make "
            f"of pairs of {self._bench.below} with goodness {told:.6f}; got {wanted:g}"
        )
        return self.end(work, ErrorCode.UNSUPP, detail)

    def dropped(self, work: Work, raws: Sequence[PairId]) -> list[Effect]:
        """Raw pairs are void, here or at the peer."""
        effects = self._bench.drop(work, raws)
        match work.joining:
            case Drawing(inputs=inputs) if _doomed(inputs, raws):
                work.joining = None
                for one in inputs:
                    if one.stems_from(raws):
                        effects += self._bench.free(work, one)
                    else:
                        work.held[one.pair] = one
            case Reading(op=op, joint=joint, void=False) if _doomed(joint.inputs, raws):
                work.joining = Reading(op, joint, void=True)
            case AwaitingVerdict(joint=joint, bits=bits, void=False) if _doomed(joint.inputs, raws):
                work.joining = AwaitingVerdict(joint, bits, void=True)
                effects += self._bench.free(work, joint.inputs[0])
        return effects

    # ------------------------------------------------------------ steps

    def advance(self, work: Work, now: Instant) -> list[Effect]:
        """Join what can be joined, ask for what is missing, or end."""
        if not work.agreed or work.finishing:
            return []
        terms = work.terms
        if work.joining is None:
            if work.served >= terms.number:
                return self.end(work)
            inputs = self._bench.plan.choose(work.held.values())
            if inputs:
                for one in inputs:
                    del work.held[one.pair]
                return [*self._join(work, inputs, now), *self._ask(work, now)]
        return self._ask(work, now)

    def _join(self, work: Work, inputs: tuple[Held, ...], now: Instant) -> list[Effect]:
        if not self._bench.circuit.twirl:
            return self._start(work, inputs, (), now)
        draw = self._bench.draw_turns()
        work.joining = Drawing(draw.op, inputs)
        return [draw]

    def _start(
        self, work: Work, inputs: tuple[Held, ...], turns: tuple[int, ...], now: Instant
    ) -> list[Effect]:
        terms = work.terms
        work.step += 1
        joint = Joint(work.step, work.served + 1, inputs, turns, now)
        apply = self._bench.join(terms.remote, joint)
        work.joining = Reading(apply.op, joint)
        step = Step(
            below=self._bench.below,
            request=terms.request,
            step=joint.step,
            pairs=tuple(one.pair for one in inputs),
            turns=turns,
            roles=self._bench.roles(joint),
            started_at=now,
            index=joint.index,
        )
        return [apply, Send(terms.remote, step)]

    def _ask(self, work: Work, now: Instant) -> list[Effect]:
        """Ask below for the raw pairs that are missing even if every step succeeds."""
        raws = order(self._bench, work, now)
        return [] if raws is None else [Request(raws, to=self._bench.below)]

    def applied(
        self, work: Work, op: OpId, outcomes: tuple[int, ...], now: Instant
    ) -> list[Effect]:
        """A program of this request has ended."""
        if op in work.finishing:
            return self._bench.finished(work, op, outcomes, now)
        match work.joining:
            case Drawing(op=drawn, inputs=inputs) if drawn == op:
                return self._start(work, inputs, outcomes, now)
            case Reading(op=read, joint=joint, void=void) if read == op:
                terms = work.terms
                work.joining = AwaitingVerdict(joint, outcomes, void)
                bits = Bits(self._bench.below, terms.request, joint.step, outcomes)
                freed = self._bench.free(work, joint.inputs[0]) if void else []
                return [*sacrificed(joint), *freed, Send(terms.remote, bits)]
        return []

    def decided(self, work: Work, event: Received, now: Instant) -> list[Effect]:
        """The peer's verdict. It may come while the program still runs: the peer had lost a pair."""
        message: Decided = event.message
        match work.joining:
            case AwaitingVerdict(joint=joint, bits=bits, void=void) if joint.step == message.step:
                effects: list[Effect] = []
            case Reading(joint=joint) if joint.step == message.step and message.verdict == "failed":
                bits, void = (), False
                effects = sacrificed(joint)
            case _:
                raise RemoteProtocolError(
                    f"verdict must be for the step that waits for it, step {work.step} of "
                    f"{work.terms.request} in state {work.joining!r}; got {message!r} at {now} ps"
                )
        work.joining = None
        work.settled = message.step
        work.served += message.verdict == "done"
        self._bench.count(work, success=message.verdict != "failed" and not void)
        if void:
            return effects
        if message.verdict == "failed":
            return [*effects, Release(joint.inputs[0].slot)]
        theirs = Read(message.bits, message.roles, message.started_at)
        # Both ends claim the same for the same instant, that of the verdict.
        decided_at = event.sent_at
        _, made = self._bench.joined(work.terms.remote, joint, bits, theirs, decided_at, now)
        if message.verdict == "kept":
            work.held[made.pair] = made
            return effects
        output = Output(made, joint.index, joint.step)
        return [*effects, *self._bench.finish(work, output, now)]

    # ------------------------------------------------------------ ending

    def end(
        self,
        work: Work,
        code: ErrorCode | None = None,
        detail: str = "",
        *,
        cancelled: bool = False,
        tell: bool = True,
    ) -> list[Effect]:
        """The request is over; the machine forgets it."""
        terms, bench = work.terms, self._bench
        unfinished = len(work.finishing)  # of the last step, if any: nobody gets it
        effects: list[Effect] = bench.release_all(work)
        effects += [Request(link.Cancel(request), to=bench.below) for request in work.outstanding]
        work.outstanding.clear()
        if tell:
            end = End(
                below=bench.below,
                request=terms.request,
                delivered=work.delivered,
                settled=work.settled - unfinished,
                code=None if code is None else int(code),
                detail=detail,
                cancelled=cancelled,
            )
            effects.append(Send(terms.remote, end))
        bench.close(work)
        return [*effects, Indicate(bench.ended(work, code, detail, cancelled=cancelled))]


def _doomed(inputs: Sequence[Held], raws: Sequence[PairId]) -> bool:
    return any(one.stems_from(raws) for one in inputs)
