"""BBPSSW as coroutines, and the desk that every purification protocol in this style has.

Theory
    The protocol of :mod:`.purifier` in the other style: the same service, the same messages, the same circuits, the
    same predictions. The desk takes every input: it starts a task per request (:mod:`.serving`), keeps the books of
    raw pairs, passes on what is not to be purified, and checks what the peer says.
Late, early, impossible
    As in :mod:`.purifier`: pairs and messages for a request that is over are released and ignored; messages of a
    node with which no pairs can be shared, about a request of another node, or out of order are impossible,
    :class:`~qnet.errors.RemoteProtocolError`.
Invariants
    Those of :mod:`.purifier`.
Not modelled
    See :mod:`.purifier` and :mod:`.serving`.
Sources
    Bennett et al., PRL 76, 722 (1996), doi 10.1103/PhysRevLett.76.722.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

import msgspec

from qnet.coroutine import CoroutineMachine, Finished, PeerGone, Task
from qnet.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from qnet.ids import NodeId, PairId, RequestId
from qnet.layers import link
from qnet.layers.link import ErrorCode
from qnet.layers.network import CloseCircuit, NetworkAnswer, OpenCircuit
from qnet.machine import Indicated, Machine, PeerLost, Received, Requested
from qnet.seams import PurificationProtocol, PurifierContext
from qnet_protocols.purification import bbpssw
from qnet_protocols.purification.admission import refusal_of
from qnet_protocols.purification.circuit import Circuit
from qnet_protocols.purification.holdings import PurificationParameters
from qnet_protocols.purification.messages import (
    Agreed,
    Begin,
    Bits,
    Decided,
    Dropped,
    End,
    Refused,
    Step,
    Stop,
)
from qnet_protocols.purification.origin import Origin, request_of
from qnet_protocols.purification.peer import Peer
from qnet_protocols.purification.serving import Changed, Scripts, Serving
from qnet_protocols.purification.work import PurifierState, Work
from qnet_protocols.purification.workbench import Workbench


class Desk:
    """One end.

    Args:
        context: of the node.
        circuit: of the protocol.
    """

    def __init__(self, context: PurifierContext, circuit: Circuit) -> None:
        parameters = msgspec.convert(context.parameters, PurificationParameters)
        self._bench = Workbench(context, circuit, parameters)
        self._origin, self._peer = Origin(self._bench), Peer(self._bench)
        self._scripts = Scripts(self._bench)
        self._serving: dict[RequestId, Serving] = {}
        self._accepting: set[tuple[NodeId, int]] = set()
        self._below_accepts: set[tuple[NodeId, int]] = set()

    def facts(self) -> PurifierState:
        """What the trace shows, as the machine does."""
        return self._bench.snapshot()

    async def main(self, me: Task) -> NoReturn:
        """Take every input, for ever."""
        while True:
            try:
                self._handle(me, await me.receive())
            except PeerGone as gone:
                for one in self._serving.values():
                    if one.work.terms.remote == gone.peer:
                        one.task.give(PeerLost(gone.peer, gone.restarted))
            except ProtocolError as error:
                me.refuse(error)
            else:
                self._stop_below(me)

    def _handle(self, me: Task, event: object) -> None:
        match event:
            case Requested(request=request):
                self._on_request(me, event, request)
            case Indicated(indication=indication):
                self._on_indication(me, event, indication)
            case Received():
                self._on_message(me, event)
            case Finished(task=name):
                del self._serving[RequestId(name)]
            case Changed():
                pass  # of a task that is over
            case _:
                raise LocalProtocolError(self._impossible(me, event))

    def _impossible(self, me: Task, event: object) -> str:
        bench = self._bench
        return (
            f"{bench.node}: purification above {bench.below} must not get this, in state {self.facts()!r} "
            f"at {me.now} ps: {event!r}"
        )

    def _start(self, me: Task, work: Work) -> None:
        name = work.terms.request
        one = Serving(work, me)
        script = self._scripts.serve if work.terms.origin else self._scripts.follow
        one.task = me.start(name, script, one)
        self._bench.works[name] = work
        self._serving[name] = one

    def _open(self, name: RequestId) -> Serving | None:
        """The request of that name, if it has not ended."""
        return self._serving.get(name) if name in self._bench.works else None

    # ------------------------------------------------------------ from the user above

    def _on_request(self, me: Task, event: Requested, request: object) -> None:
        bench = self._bench
        match request:
            case link.Accept(remote, purpose):
                self._accepting.add((remote, purpose))
                if (remote, purpose) not in self._below_accepts:
                    self._below_accepts.add((remote, purpose))
                    me.request(request, to=bench.below)
            case link.StopAccepting(remote, purpose):
                self._accepting.discard((remote, purpose))
            case OpenCircuit() | CloseCircuit():
                me.request(request, to=bench.below)
            case link.Create() | link.Cancel() if not bench.parameters.rounds:
                me.request(request, to=bench.below)
            case link.Create():
                refusal = refusal_of(request, bench)
                if refusal is not None:
                    name, code, detail = request.request, *refusal
                    me.indicate(link.Err(name, code, True, request.remote, request.purpose, detail))
                    return
                work, effects = self._origin.begin(request, me.now)
                me.perform(*effects)
                self._start(me, work)
            case link.Cancel(request=wanted):
                one = self._open(wanted)
                if one is not None and one.work.terms.origin:
                    one.task.give(event)
                elif one is not None:
                    me.send(one.work.terms.remote, Stop(bench.below, wanted))
            case _:
                raise LocalProtocolError(self._impossible(me, event))

    def _stop_below(self, me: Task) -> None:
        """Refuse raw pairs below once nobody here takes them any more."""
        used = {
            (work.terms.remote, work.terms.purpose)
            for work in self._bench.works.values()
            if not work.terms.origin
        }
        for key in sorted(self._below_accepts - self._accepting - used):
            self._below_accepts.discard(key)
            me.request(link.StopAccepting(*key), to=self._bench.below)

    # ------------------------------------------------------------ from the machine below

    def _on_indication(self, me: Task, event: Indicated, indication: object) -> None:
        if not self._bench.parameters.rounds:
            match indication:
                case link.Ok(slot=slot, kind="K" | "M" | "R") | link.Early(slot=slot):
                    me.indicate(indication, slot)
                case _:
                    me.indicate(indication)
            return
        match indication:
            case link.Ok():
                self._on_pair(me, indication)
            case link.Expired(request=name, remote=remote, pairs=pairs):
                request = request_of(name)
                self._void(me, remote, request, pairs)
                me.send(remote, Dropped(self._bench.below, request, pairs))
            case link.FidelityEstimated():
                pass  # of raw pairs, which nobody above gets
            case link.Err() | link.RequestEnded():
                one = self._open(request_of(indication.request))
                if one is None or one.work.outstanding.pop(indication.request, None) is None:
                    return
                if isinstance(indication, link.Err) and indication.code is not ErrorCode.EXPIRE:
                    one.task.give(event)
                else:
                    one.changed()
            case _ if isinstance(indication, NetworkAnswer):
                me.indicate(indication)
            case _:
                raise LocalProtocolError(self._impossible(me, event))

    def _on_pair(self, me: Task, ok: link.Ok) -> None:
        request = request_of(ok.request)
        one = self._open(request)
        if one is None:
            me.release(ok.slot)
            return
        role = self._origin if one.work.terms.origin else self._peer
        me.perform(*role.arrived(one.work, ok, me.now))
        if request in self._bench.works:
            one.changed()
        else:
            # The first raw pair has shown that the request cannot be served.
            one.task.cancel()
            del self._serving[request]

    def _void(self, me: Task, remote: NodeId, request: RequestId, raws: tuple[PairId, ...]) -> None:
        """Raw pairs are not valid, nor is anything that was made of them."""
        expired = self._bench.expire(
            lambda record: (
                record.request == request
                and record.remote == remote
                and any(raw in record.raws for raw in raws)
            )
        )
        me.perform(*expired)
        one = self._open(request)
        if one is not None:
            me.perform(*self._bench.drop(one.work, raws))
            one.voided |= any(pair.stems_from(raws) for pair in one.joined)
            one.changed()

    # ------------------------------------------------------------ from the peer

    def _on_message(self, me: Task, event: Received) -> None:
        message, source, bench = event.message, event.source, self._bench
        one = self._open(message.request)
        if (
            source not in bench.peers
            or message.below != bench.below
            or (one is not None and one.work.terms.remote != source)
            or (one is not None and isinstance(message, Begin))
        ):
            raise RemoteProtocolError(self._impossible(me, event))
        if isinstance(message, Begin):
            self._on_begin(me, source, message)
        elif isinstance(message, Dropped):
            self._void(me, source, message.request, message.pairs)
        elif one is not None:
            allowed = self._to_origin if one.work.terms.origin else self._to_peer
            if not allowed(one, message):
                raise RemoteProtocolError(self._impossible(me, event))
            late = isinstance(message, Bits) and message.step <= one.work.settled
            if not late:
                one.task.give(event)

    def _on_begin(self, me: Task, source: NodeId, message: Begin) -> None:
        if (source, message.purpose) not in self._accepting:
            detail = (
                f"{self._bench.node} must accept purpose {message.purpose} of {source}, it does not"
            )
            me.send(source, Refused(self._bench.below, message.request, detail))
            return
        work, effects = self._peer.begin(source, message)
        me.perform(*effects)
        self._start(me, work)

    @staticmethod
    def _to_origin(one: Serving, message: object) -> bool:
        """Whether the peer may say this now."""
        work = one.work
        match message:
            case Agreed() if not work.agreed:
                work.agreed = True
                return True
            case Refused():
                return not work.agreed
            case Decided(step=step, verdict=verdict):
                due = bool(one.inputs) and step == work.step > work.settled
                return due and (one.read or verdict == "failed")
            case Stop():
                return True
            case _:
                return False

    def _to_peer(self, one: Serving, message: object) -> bool:
        """Whether the origin may say this now."""
        circuit = self._bench.circuit
        match message:
            case Step(step=step, pairs=pairs, roles=roles, turns=turns):
                sizes = [len(pairs), len(set(pairs)), len(roles)]
                twirled = circuit.pairs if circuit.twirl else 0
                good = sizes == [circuit.pairs] * 3 and len(turns) == twirled
                if not good or one.heard != one.work.settled or step != one.heard + 1:
                    return False
                one.heard = step
                return True
            case Bits(step=step, bits=bits):
                return step <= one.heard and len(bits) == len(circuit.reads)
            case End():
                return True
            case _:
                return False


def maker(circuit: Circuit) -> Callable[[PurifierContext], Machine]:
    """The function ``make_end`` of the catalogue record of a protocol with this circuit."""

    def make_end(context: PurifierContext) -> Machine:
        desk = Desk(context, circuit)
        name = f"purify:{context.below.rpartition(':')[2]}"
        return CoroutineMachine(name, desk.main, facts=desk.facts, incarnation=context.incarnation)

    return make_end


BBPSSW: Final = PurificationProtocol(
    name="bbpssw-async",
    make_end=maker(bbpssw.CIRCUIT),
    messages=bbpssw.PROTOCOL.messages,
    parameters=PurificationParameters,
    sources=bbpssw.PROTOCOL.sources,
    predict=bbpssw.PROTOCOL.predict,
)
"""Catalogue record of the group ``qnet.purification``."""
