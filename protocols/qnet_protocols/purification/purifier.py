"""The purification machine: better pairs from the pairs of the machine below, for whoever stands above.

Theory
    The same machine serves the pairs of a link and end-to-end pairs, and all purification protocols, which
    differ in their :class:`~.circuit.Circuit` only. It uses the pair service of the machine below and offers
    the same service. What the two ends of a request do: :mod:`.origin`, :mod:`.peer`; which pairs are joined:
    :mod:`.holdings`; what comes out: :mod:`.prediction`.

    *Service.* CREATE of kind K, M (purified, then measured at both ends) or R. ``minimum_fidelity`` and
    ``max_time`` are those of purified pairs. With ``rounds`` = 0 everything is passed on as it is; orders to open
    and close circuits, and news of circuits, always are.

    *Void pairs.* If the machine below says EXPIRE at either end, that end tells the other (Dropped); both free
    what they hold of the pair and of anything made of it, and say EXPIRE for what they had handed up, which
    then does not count as delivered, nor is it made again.

    *Lost peer.* All requests with it end with ERR OTHER. The last pair handed up expires where it is in doubt
    whether the other end keeps it.
Late, early, impossible
    *Late but true:* pairs, messages and results of programs for a request that is over: pairs are released, the
    rest is ignored. *Early:* see :mod:`.peer`. *Impossible:* messages of a node with which no pairs can be
    shared, or about a request of another node, and what the two roles say:
    :class:`~qnet.errors.RemoteProtocolError`.
Invariants
    Every accepted request ends exactly once at each end. Both ends announce the same id and label for a pair,
    or EXPIRE follows. A slot is in the hands of one request, or released, or handed up.
Assumptions and validity
    Messages are reliable. Pairs of the machine below have the same id and label at both ends.
Not modelled
    Kinds E, atomic and consecutive requests, test rounds: ERR UNSUPP. Several steps of a request at a time.
    Scheduling of requests against each other: the queue of the machine below does it, and pairs of a request
    that wait for partners keep their slots meanwhile. Common knowledge of the last pair when the connection breaks
    with a verdict or End under way: one end may keep it alone; both learn that the peer was lost.
Sources
    [1] Dür, Briegel, "Entanglement purification and quantum error correction", Rep. Prog. Phys. 70, 1381
        (2007), doi 10.1088/0034-4885/70/8/R03.
    [2] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv 1903.09778: service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import NodeId, PairId, RequestId
from qnet.layers import link
from qnet.layers.link import ErrorCode
from qnet.layers.network import CloseCircuit, NetworkAnswer, OpenCircuit
from qnet.machine import (
    Applied,
    DeadlineReached,
    Effect,
    Indicate,
    Indicated,
    Input,
    Machine,
    PeerLost,
    Received,
    Release,
    Request,
    Requested,
    Send,
)
from qnet.seams import PurifierContext
from qnet.units import Instant
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
from qnet_protocols.purification.work import PurifierState, Work
from qnet_protocols.purification.workbench import Announced, Workbench


class Purifier:
    """The machine of one end.

    Args:
        context: of the node.
        circuit: of the protocol.
    """

    def __init__(self, context: PurifierContext, circuit: Circuit) -> None:
        parameters = msgspec.convert(context.parameters, PurificationParameters)
        self._bench = Workbench(context, circuit, parameters)
        self._origin = Origin(self._bench)
        self._peer = Peer(self._bench)
        self._accepting: set[tuple[NodeId, int]] = set()
        self._below_accepts: set[tuple[NodeId, int]] = set()

    @property
    def state(self) -> PurifierState:
        """Snapshot for traces and tests."""
        return self._bench.snapshot()

    def next_deadline(self) -> Instant | None:
        """The earliest deadline of a request, or end of the patience with a pair."""
        times = []
        for work in self._bench.works.values():
            if work.terms.origin:
                times += [work.terms.deadline, self._bench.due(work, share=1)]
            else:
                times.append(self._peer.due(work))
        return min((due for due in times if due is not None), default=None)

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        """React to one event."""
        match event:
            case Requested(request=request):
                effects = self._on_request(request, now)
            case Indicated(indication=indication):
                effects = self._on_indication(indication, now)
            case Received():
                effects = self._on_message(event, now)
            case PeerLost():
                effects = self._on_lost(event)
            case Applied():
                effects = self._on_applied(event, now)
            case DeadlineReached():
                effects = self._on_deadline(now)
            case _:
                raise LocalProtocolError(self._impossible(event, now))
        for work in list(self._bench.works.values()):
            if work.terms.origin:
                effects += self._origin.advance(work, now)
        return [*effects, *self._stop_below()]

    def _impossible(self, event: object, now: Instant) -> str:
        bench = self._bench
        return (
            f"{bench.node}: purification above {bench.below} must not get this, in state {self.state!r} "
            f"at {now} ps: {event!r}"
        )

    # ------------------------------------------------------------ from the user above

    def _on_request(self, request: object, now: Instant) -> list[Effect]:
        bench = self._bench
        match request:
            case link.Accept(remote, purpose):
                self._accepting.add((remote, purpose))
                if (remote, purpose) in self._below_accepts:
                    return []
                self._below_accepts.add((remote, purpose))
                return [Request(request, to=bench.below)]
            case link.StopAccepting(remote, purpose):
                self._accepting.discard((remote, purpose))
                return []
            case link.Create() | link.Cancel() if not bench.parameters.rounds:
                return [Request(request, to=bench.below)]
            case link.Create():
                refusal = refusal_of(request, bench)
                if refusal is not None:
                    code, detail = refusal
                    err = link.Err(
                        request.request, code, True, request.remote, request.purpose, detail
                    )
                    return [Indicate(err)]
                work, effects = self._origin.begin(request, now)
                bench.works[request.request] = work
                return effects
            case link.Cancel(request=wanted):
                return self._cancel(wanted)
            case OpenCircuit() | CloseCircuit():
                return [Request(request, to=bench.below)]
            case _:
                raise LocalProtocolError(self._impossible(request, now))

    def _cancel(self, wanted: RequestId) -> list[Effect]:
        work = self._bench.works.get(wanted)
        if work is None or work.ending is not None:
            return []
        if work.terms.origin:
            return self._origin.end(work, cancelled=True)
        return [Send(work.terms.remote, Stop(self._bench.below, wanted))]

    def _stop_below(self) -> list[Effect]:
        """Refuse raw pairs below once nobody here takes them any more."""
        used = {
            (work.terms.remote, work.terms.purpose)
            for work in self._bench.works.values()
            if not work.terms.origin
        }
        effects: list[Effect] = []
        for key in sorted(self._below_accepts - self._accepting - used):
            self._below_accepts.discard(key)
            effects.append(Request(link.StopAccepting(*key), to=self._bench.below))
        return effects

    # ------------------------------------------------------------ from the machine below

    def _on_indication(self, indication: object, now: Instant) -> list[Effect]:
        if not self._bench.parameters.rounds:
            slots = (
                (indication.slot,)
                if isinstance(indication, link.Early)
                or (isinstance(indication, link.Ok) and indication.kind != "E")
                else ()
            )
            return [Indicate(indication, slots)]
        if isinstance(indication, NetworkAnswer):
            return [Indicate(indication)]
        match indication:
            case link.Ok():
                work = self._work(indication.request)
                if work is None or work.ending is not None:
                    return [Release(indication.slot)]
                role = self._origin if work.terms.origin else self._peer
                return role.arrived(work, indication, now)
            case link.Expired():
                return self._on_expired(indication, now)
            case link.FidelityEstimated():
                return []  # of raw pairs, which nobody above gets
            case link.Err() | link.RequestEnded():
                work = self._work(indication.request)
                if work is None or work.outstanding.pop(indication.request, None) is None:
                    return []
                if isinstance(indication, link.RequestEnded):
                    return []
                if indication.code is ErrorCode.EXPIRE:
                    return []
                return self._origin.end(work, indication.code, indication.detail)
            case _:
                raise LocalProtocolError(self._impossible(indication, now))

    def _work(self, below: RequestId) -> Work | None:
        return self._bench.works.get(request_of(below))

    def _on_expired(self, expired: link.Expired, now: Instant) -> list[Effect]:
        request = request_of(expired.request)
        dropped = Dropped(self._bench.below, request, expired.pairs)
        return [
            *self._void(expired.remote, request, expired.pairs, now),
            Send(expired.remote, dropped),
        ]

    def _void(
        self, remote: NodeId, request: RequestId, raws: tuple[PairId, ...], now: Instant
    ) -> list[Effect]:
        work = self._bench.works.get(request)
        effects = self._bench.expire(
            lambda record: (
                record.request == request
                and record.remote == remote
                and any(raw in record.raws for raw in raws)
            )
        )
        if work is None:
            return effects
        if work.terms.origin:
            return [*effects, *self._origin.dropped(work, raws)]
        return [*effects, *self._peer.dropped(work, raws, now)]

    # ------------------------------------------------------------ from the peer

    def _on_message(self, event: Received, now: Instant) -> list[Effect]:
        message, source = event.message, event.source
        bench = self._bench
        work = bench.works.get(message.request)
        if (
            source not in bench.peers
            or message.below != bench.below
            or (work is not None and work.terms.remote != source)
        ):
            raise RemoteProtocolError(self._impossible(event, now))
        if isinstance(message, Begin):
            if work is not None:
                raise RemoteProtocolError(self._impossible(event, now))
            return self._on_begin(source, message)
        if isinstance(message, Dropped):
            return self._void(source, message.request, message.pairs, now)
        if work is None:
            return []
        handle = self._to_origin if work.terms.origin else self._to_peer
        return handle(work, event, now)

    def _on_begin(self, source: NodeId, message: Begin) -> list[Effect]:
        if (source, message.purpose) not in self._accepting:
            detail = (
                f"{self._bench.node} must accept purpose {message.purpose} of {source}, it does not"
            )
            return [Send(source, Refused(self._bench.below, message.request, detail))]
        work, effects = self._peer.begin(source, message)
        self._bench.works[message.request] = work
        return effects

    def _to_origin(self, work: Work, event: Received, now: Instant) -> list[Effect]:
        match event.message:
            case Agreed() if not work.agreed:
                work.agreed = True
                return []
            case Refused(detail=detail) if not work.agreed:
                return self._origin.end(work, ErrorCode.REJECTED, detail, tell=False)
            case Decided():
                return self._origin.decided(work, event, now)
            case Stop():
                return self._origin.end(work, cancelled=True)
            case _:
                raise RemoteProtocolError(self._impossible(event, now))

    def _to_peer(self, work: Work, event: Received, now: Instant) -> list[Effect]:
        match event.message:
            case Step() if work.ending is None:
                return self._peer.step(work, event, now)
            case Bits() if work.ending is None:
                return self._peer.bits(work, event.message, now)
            case End() if work.ending is None:
                return self._peer.end(work, event.message)
            case _:
                raise RemoteProtocolError(self._impossible(event, now))

    def _on_lost(self, lost: PeerLost) -> list[Effect]:
        detail = f"{lost.peer} " + (
            "was restarted and has forgotten everything" if lost.restarted else "cannot be reached"
        )
        effects: list[Effect] = []
        for work in list(self._bench.works.values()):
            if work.terms.remote != lost.peer:
                continue
            # The origin knows that the peer has its verdict's pair; the peer, once the next step has come.
            doubt = work.settled if work.terms.origin or work.joining is None else work.step - 1
            effects += self._bench.expire(_made_since(work.terms.request, doubt))
            if work.terms.origin:
                effects += self._origin.end(work, ErrorCode.OTHER, detail, tell=False)
            else:
                effects += self._peer.lost(work, detail)
        return effects

    # ------------------------------------------------------------ programs and time

    def _on_applied(self, event: Applied, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for work in list(self._bench.works.values()):
            role = self._origin if work.terms.origin else self._peer
            effects += role.applied(work, event.op, event.outcomes, now)
        return effects

    def _on_deadline(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for work in list(self._bench.works.values()):
            deadline = work.terms.deadline
            if not work.terms.origin:
                effects += self._peer.waited(work, now)
            elif deadline is not None and deadline <= now:
                detail = f"{work.delivered} of {work.terms.number} pairs were made in time"
                effects += self._origin.end(work, ErrorCode.TIMEOUT, detail)
            else:
                effects += self._bench.too_old(work, now, share=1)
        return effects


def _made_since(request: RequestId, step: int) -> Callable[[Announced], bool]:
    return lambda record: record.request == request and record.step >= step


def maker(circuit: Circuit) -> Callable[[PurifierContext], Machine]:
    """The function ``make_end`` of the catalogue record of a protocol with this circuit."""

    def make_end(context: PurifierContext) -> Machine:
        return Purifier(context, circuit)

    return make_end
