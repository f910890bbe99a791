"""Purification as coroutines: one request from its beginning to its end, at the origin and at the peer.

Theory
    The same protocol as :mod:`.origin` and :mod:`.peer`, with the same messages: one end may run the machine and
    the other one these. Here a request is read from top to bottom.

    *Origin.* Begin, wait for Agreed; then until all pairs are delivered: gather the raw pairs of a step, (draw the
    rotations,) name the step to the peer, run the program, send the bits, wait for the verdict. A cancel, the
    deadline, a failure below or a lost peer interrupts it wherever it is; what it has in hand is freed.

    *Peer.* Until the origin ends the request: wait for a step to be named, for its pairs to be here, run the
    program, wait for the origin's bits, decide.

    Raw pairs come, and turn out to be void, at any time: the desk (:mod:`.coroutine`) keeps the books in
    :class:`~.work.Work` and says :class:`Changed`.
Late, early, impossible
    *Early:* bits, and a step that is named while the last pair is being measured, wait in the box.
    *Late but true:* bits of a step that has failed before they were read. *Impossible:* the desk's business.
Not modelled
    A next step while the last pair is measured or turned: it waits, at each end. Pairs older than the patience
    while a step runs: they are dropped after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from qnet.coroutine import Interrupted, PeerGone, Task
from qnet.layers import link
from qnet.layers.link import ErrorCode
from qnet.machine import Apply, Indicated, Record
from qnet.units import Duration, Instant
from qnet_protocols.purification.holdings import Held
from qnet_protocols.purification.messages import (
    Agreed,
    Bits,
    Decided,
    End,
    Refused,
    Step,
    Stop,
    Verdict,
)
from qnet_protocols.purification.origin import Origin, order
from qnet_protocols.purification.peer import Peer
from qnet_protocols.purification.work import Joint, Output, Work
from qnet_protocols.purification.workbench import Read, Workbench, sacrificed


class Changed(Record, frozen=True):
    """Raw pairs have come or gone, or more may be asked for."""


@dataclass
class Serving:
    """A request and its task.

    Attributes:
        work: what is known of it.
        task: that serves it.
        joined: pairs of the present step.
        inputs: those that this end still holds.
        voided: one of the joined is not valid any more.
        read: the present step's program is over here.
        heard: (peer) the last step that was named.
        stepping: (peer) its verdict is not given.
        told: the task has a :class:`Changed` to read.
    """

    work: Work
    task: Task
    joined: tuple[Held, ...] = ()
    inputs: tuple[Held, ...] = ()
    voided: bool = False
    read: bool = False
    heard: int = 0
    stepping: bool = False
    told: bool = False

    def void(self) -> bool:
        """Whether the step is of no use any more: asked again after each wait."""
        return self.voided

    def changed(self) -> None:
        """Tell the task, once."""
        if not self.told:
            self.told = True
            self.task.give(Changed())


class Scripts:
    """What serves requests.

    Args:
        bench: of this end.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._origin = Origin(bench)
        self._peer = Peer(bench)

    # ------------------------------------------------------------ the origin

    async def serve(self, me: Task, one: Serving) -> None:
        """The request of this end's user, until it has ended."""
        work, origin = one.work, self._origin
        try:
            with me.unless(link.Cancel, link.Err, Stop, Refused, at=work.terms.deadline):
                await me.receive(Agreed)
                while work.served < work.terms.number:
                    inputs = await self._gather(me, one)
                    output = await self._step(me, one, inputs)
                    if output is not None:
                        await self._finish(me, work, output)
            effects = origin.end(work)
        except PeerGone as gone:
            self._expire_since(me, work, work.settled)
            effects = origin.end(work, ErrorCode.OTHER, lost_words(gone), tell=False)
        except Interrupted as why:
            match why.event:
                case None:
                    words = f"{work.delivered} of {work.terms.number} pairs were made in time"
                    effects = origin.end(work, ErrorCode.TIMEOUT, words)
                case Indicated(indication=link.Err(code=code, detail=detail)):
                    effects = origin.end(work, code, detail)
                case _ if isinstance(getattr(why.event, "message", None), Refused):
                    words = why.event.message.detail
                    effects = origin.end(work, ErrorCode.REJECTED, words, tell=False)
                case _:
                    effects = origin.end(work, cancelled=True)
        me.perform(*effects)

    async def _gather(self, me: Task, one: Serving) -> tuple[Held, ...]:
        """Ask for raw pairs until there are enough for a step."""
        work, bench = one.work, self._bench
        while True:
            raws = order(bench, work, me.now)
            if raws is not None:
                me.request(raws, to=bench.below)
            inputs = bench.plan.choose(work.held.values())
            if inputs:
                for pair in inputs:
                    del work.held[pair.pair]
                return inputs
            if await self._news(me, one, until=bench.due(work, share=1)) is None:
                me.perform(*bench.too_old(work, me.now, share=1))

    async def _step(self, me: Task, one: Serving, inputs: tuple[Held, ...]) -> Output | None:
        """Join pairs with the peer; what is to be handed up, if the verdict says so."""
        work, bench = one.work, self._bench
        terms = work.terms
        with _in_hand(me, one, inputs):
            turns: tuple[int, ...] = ()
            if bench.circuit.twirl:
                turns = await me.apply(bench.draw_turns().program)
            if one.void():
                self._part(me, work, inputs)
                return None
            work.step += 1
            joint = Joint(work.step, work.served + 1, inputs, turns, me.now)
            names = tuple(pair.pair for pair in inputs)
            roles = bench.roles(joint)
            me.send(
                terms.remote,
                Step(
                    bench.below, terms.request, joint.step, names, turns, roles, me.now, joint.index
                ),
            )
            bits = await me.apply(bench.join(terms.remote, joint).program)
            one.inputs, one.read = inputs[:1], True
            me.perform(*sacrificed(joint))
            me.send(terms.remote, Bits(bench.below, terms.request, joint.step, bits))
            event = await me.receive(Decided)
            decided: Decided = event.message
            work.settled = joint.step
            work.served += decided.verdict == "done"
            bench.count(work, success=decided.verdict != "failed" and not one.void())
            if one.void():
                me.perform(*bench.free(work, inputs[0]))
                return None
            if decided.verdict == "failed":
                me.release(inputs[0].slot)
                return None
        theirs = Read(decided.bits, decided.roles, decided.started_at)
        # Both ends claim the same for the same instant, that of the verdict.
        _, made = bench.joined(terms.remote, joint, bits, theirs, event.sent_at, me.now)
        if decided.verdict == "done":
            return Output(made, joint.index, joint.step)
        work.held[made.pair] = made
        return None

    def _part(self, me: Task, work: Work, inputs: tuple[Held, ...]) -> None:
        """A step that has not begun: its valid pairs wait again."""
        for pair in inputs:
            if pair.stems_from(work.gone):
                me.perform(*self._bench.free(work, pair))
            else:
                work.held[pair.pair] = pair

    # ------------------------------------------------------------ the peer

    async def follow(self, me: Task, one: Serving) -> None:
        """A request of the other end's user, until the origin has ended it."""
        work, peer = one.work, self._peer
        ended: Any = None
        try:
            while ended is None:
                with me.unless(End):
                    output = await self._follow_step(me, one)
                if output is not None:
                    ended = await self._finish(me, work, output)
        except PeerGone as gone:
            self._expire_since(me, work, work.step - 1 if one.stepping else work.settled)
            me.perform(*peer.lost(work, lost_words(gone)))
            return
        except Interrupted as over:
            ended = over.event
        me.perform(*peer.end(work, ended.message))

    async def _follow_step(self, me: Task, one: Serving) -> Output | None:
        """The next step that the origin names; what is to be handed up, if it has succeeded."""
        work, bench = one.work, self._bench
        one.stepping = False
        event = await self._news(me, one, Step, until=bench.due(work, share=2))
        if event is None:
            me.perform(*bench.too_old(work, me.now, share=2))
        if event is None or isinstance(event, Changed):
            return None
        named: Step = event.message
        one.stepping = True
        work.step, work.transit = named.step, Duration(me.now - event.sent_at)
        inputs = await self._complete(me, one, named)
        if not inputs:
            self._decide(me, work, "failed")
            return None
        with _in_hand(me, one, inputs):
            joint = Joint(named.step, named.index, inputs, named.turns, me.now)
            own = await me.apply(bench.join(work.terms.remote, joint).program)
            one.inputs, one.read = inputs[:1], True
            me.perform(*sacrificed(joint))
            theirs: Bits | None = None
            while theirs is None and not one.void():
                heard = await self._news(me, one, Bits)
                # Bits of a step that has failed for want of its pairs may be left in the box.
                if not isinstance(heard, Changed) and heard.message.step == named.step:
                    theirs = heard.message
        if theirs is None:
            me.perform(*bench.free(work, inputs[0]))
            self._decide(me, work, "failed")
            return None
        return self._judge(me, work, joint, own, Read(theirs.bits, named.roles, named.started_at))

    async def _complete(self, me: Task, one: Serving, named: Step) -> tuple[Held, ...]:
        """The pairs of a step once they are all here, () if that cannot be any more."""
        work, bench, since = one.work, self._bench, me.now
        patience = bench.patience(work)
        give_up_at = None if patience is None else Instant(since + patience)
        while not any(pair in work.gone for pair in named.pairs):
            if all(pair in work.held for pair in named.pairs):
                return tuple(work.held.pop(pair) for pair in named.pairs)
            times = [at for at in (give_up_at, bench.due(work, share=2)) if at is not None]
            if await self._news(me, one, until=min(times, default=None)) is None:
                me.perform(*bench.too_old(work, me.now, share=2))
                if give_up_at is not None and give_up_at <= me.now:
                    break
        for pair in named.pairs:
            work.forget(pair)
            if pair in work.held:
                me.perform(*bench.free(work, work.held.pop(pair)))
        return ()

    def _judge(
        self, me: Task, work: Work, joint: Joint, own: tuple[int, ...], theirs: Read
    ) -> Output | None:
        """Both ends' bits are known: decide, and say so."""
        bench, terms = self._bench, work.terms
        success, made = bench.joined(terms.remote, joint, own, theirs, me.now, me.now)
        there_at = Instant(me.now + work.transit)
        enough = bench.at(terms.remote, made, there_at).goodness >= terms.minimum_fidelity
        last = made.level >= bench.parameters.rounds
        if success and enough and (last or bench.parameters.until_fidelity):
            self._decide(me, work, "done", joint, own)
            return Output(made, joint.index, joint.step)
        if success and not last:
            work.held[made.pair] = made
            self._decide(me, work, "kept", joint, own)
            return None
        bench.dropped += success
        me.release(made.slot)
        self._decide(me, work, "failed", joint, own)
        return None

    def _decide(
        self,
        me: Task,
        work: Work,
        verdict: Verdict,
        joint: Joint | None = None,
        own: tuple[int, ...] = (),
    ) -> None:
        work.settled = work.step
        self._bench.count(work, success=verdict != "failed")
        roles = self._bench.roles(joint) if joint else ()
        started_at = joint.started_at if joint else me.now
        decided = Decided(
            self._bench.below, work.terms.request, work.step, verdict, own, roles, started_at
        )
        me.send(work.terms.remote, decided)

    # ------------------------------------------------------------ both

    async def _finish(self, me: Task, work: Work, output: Output) -> Any:
        """Hand a pair up, after a last program if its kind or label wants one; what has ended it meanwhile."""
        bench = self._bench
        effects = bench.finish(work, output, me.now)
        match effects:
            case [Apply(op=op, program=last)]:
                outcomes = await me.apply(last)
            case _:
                me.perform(*effects)
                return None
        ended = me.poll(End)
        if op in work.finishing and (ended is None or output.step <= ended.message.settled):
            me.perform(*bench.finished(work, op, outcomes, me.now))
        return ended

    async def _news(
        self, me: Task, one: Serving, *kinds: type, until: Instant | None = None
    ) -> Any:
        """The next input of ``kinds``, or that something has changed; None at ``until``."""
        event = await me.receive(Changed, *kinds, until=until)
        if isinstance(event, Changed):
            one.told = False
        return event

    def _expire_since(self, me: Task, work: Work, step: int) -> None:
        """Pairs handed up of which it is in doubt whether the other end keeps them."""
        request = work.terms.request
        doubted = self._bench.expire(lambda one: one.request == request and one.step >= step)
        me.perform(*doubted)


def lost_words(gone: PeerGone) -> str:
    """Why requests with a peer end."""
    how = "was restarted and has forgotten everything" if gone.restarted else "cannot be reached"
    return f"{gone.peer} {how}"


@contextmanager
def _in_hand(me: Task, one: Serving, inputs: tuple[Held, ...]) -> Iterator[None]:
    """While a step has ``inputs``: what is left of them is freed if it is interrupted."""
    one.joined, one.inputs, one.voided, one.read = inputs, inputs, False, False
    try:
        yield
    except (Interrupted, PeerGone):
        for pair in one.inputs:
            me.release(pair.slot)
        raise
    finally:
        one.joined, one.inputs, one.read = (), (), False
