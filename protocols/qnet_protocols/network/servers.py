"""Requests at their tail end: what is accepted, and how each of them ends here.

Theory
    A request ends when it has all its pairs here, or when its head end says how it ends. Pairs that are
    being measured are announced first. After a break it waits for the head end's word; if the head end is
    lost, it ends with that reason.
Late, early, impossible
    *Late:* anything about a request that is over. *Impossible:* a request that begins twice on one circuit.
Sources
    Physics reference A2.3.
"""

from __future__ import annotations

from typing import Final

from qnet.ids import CircuitId, LinkId, NodeId, PairId, RequestId
from qnet.layers.link import Accept, Err, ErrorCode, Expired, RequestEnded, StopAccepting
from qnet_protocols.network.claims import Corrector
from qnet_protocols.network.desk import Desk, Hop
from qnet_protocols.network.ends import Recent
from qnet_protocols.network.messages import (
    Abandoned,
    Complete,
    Declined,
    Forward,
    Install,
    Settle,
)
from qnet_protocols.network.requests import Served
from qnet_protocols.network.tail import Tail

PAST_LIMIT: Final = 256
"""Ended requests, and circuits that are gone, that are remembered."""


class Servers:
    """All requests of other nodes at this one."""

    def __init__(self, node: NodeId, desk: Desk) -> None:
        self._node = node
        self._desk = desk
        self._accepted: set[tuple[NodeId, int]] = set()
        self._served: dict[RequestId, Served] = {}
        self._ended: dict[RequestId, None] = {}
        self._past: dict[CircuitId, tuple[NodeId, int, Recent]] = {}

    def __len__(self) -> int:
        return len(self._served)

    # ------------------------------------------------------------ from the user

    def accept(self, wanted: Accept) -> None:
        """Requests of that node with that purpose are welcome."""
        self._accepted.add((wanted.remote, wanted.purpose))

    def stop_accepting(self, wanted: StopAccepting) -> None:
        """They are not any more."""
        self._accepted.discard((wanted.remote, wanted.purpose))

    def accepts(self, head: NodeId, purpose: int) -> bool:
        """Whether they are."""
        return (head, purpose) in self._accepted

    def cancel(self, request: RequestId) -> None:
        """The user here gives up the rest of a request; the head end ends it."""
        served = self._served.get(request)
        if served is not None:
            self._desk.send(served.head, Declined(request, None, ""))

    # ------------------------------------------------------------ circuits

    def tail(self, install: Install, hop: Hop) -> Tail:
        """The part of a circuit that ends here."""
        return Tail(
            self._desk,
            install.circuit,
            hop,
            head=install.nodes[0],
            corrector=Corrector(install.mixing, install.virtual_z),
            served=self._served.get,
            delivered=self._progress,
        )

    def on_forward(self, install: Install, message: Forward) -> bool:
        """A request begins, or goes on over this circuit; False if it is not welcome."""
        head = install.nodes[0]
        served = self._served.get(message.request)
        if served is not None:
            served.circuit, served.orphan = message.circuit, False
            return True
        over = message.request in self._ended
        if over or not self.accepts(head, message.purpose):
            words = (
                f"request {message.request} must be open, it is over at {self._node}"
                if over
                else f"{self._node} does not accept purpose {message.purpose} from {head}"
            )
            code = ErrorCode.OTHER if over else ErrorCode.REJECTED
            self._desk.send(head, Declined(message.request, int(code), words))
            return False
        self._served[message.request] = Served(
            message.request,
            message.circuit,
            head,
            message.purpose,
            message.number,
            message.service,
            message.distant,
            message.final,
            message.requested_at,
        )
        return True

    def on_complete(self, install: Install, tail: Tail, message: Complete) -> None:
        """A request of a circuit is over at its head end."""
        served = self._served.get(message.request)
        lost = tail.on_cancelled(message.void)
        if lost:
            head, purpose = install.nodes[0], install.purpose
            self._desk.tell(Expired(message.request, head, purpose, lost))
        if served is None:
            return
        served.delivered -= len(lost)
        served.void = frozenset(message.void)
        served.ending = message
        self._progress(served)

    def on_abandoned(self, source: NodeId, message: Abandoned) -> None:
        """A request whose circuit broke is over at its head end."""
        served = self._served.get(message.request)
        if served is not None and served.head == source:
            served.ending = message
            self._progress(served)

    def _progress(self, served: Served) -> None:
        """End a request that has all its pairs, or that shall end and has none being measured."""
        if self._served.get(served.request) is not served:
            return
        if served.delivered >= served.number:
            self._end(served)
        elif served.ending is not None and not served.measuring:
            ending = served.ending
            self._end(served, ending.code, ending.detail, cancelled=ending.cancelled)

    def _end(
        self, served: Served, code: int | None = None, detail: str = "", *, cancelled: bool = False
    ) -> None:
        del self._served[served.request]
        self._ended[served.request] = None
        if len(self._ended) > PAST_LIMIT:
            del self._ended[next(iter(self._ended))]
        request, head, purpose = served.request, served.head, served.purpose
        if code is not None:
            self._desk.tell(Err(request, ErrorCode(code), False, head, purpose, detail))
        else:
            ended = RequestEnded(request, False, head, purpose, served.delivered, cancelled)
            self._desk.tell(ended)

    # ------------------------------------------------------------ when it breaks

    def on_broken(
        self, install: Install, tail: Tail, where: NodeId, hop: LinkId, reason: str
    ) -> None:
        """A circuit that ends here broke: tell the head end what was announced."""
        head = install.nodes[0]
        for served in self._served.values():
            if served.circuit == install.circuit:
                served.measuring, served.orphan = 0, True
        self._past[install.circuit] = (head, install.purpose, tail.recent)
        if len(self._past) > PAST_LIMIT:
            del self._past[next(iter(self._past))]
        names = tail.recent.names
        self._desk.send(head, Settle(install.circuit, where, hop, reason, names, False, ()))

    def on_settle(self, source: NodeId, message: Settle) -> None:
        """What the head end announced, and whether it goes on."""
        past = self._past.get(message.circuit)
        if past is None:
            if not message.answered:
                answer = Settle(
                    message.circuit, message.where, message.hop, message.reason, (), True, ()
                )
                self._desk.send(source, answer)
            return
        _, purpose, recent = past
        for pair, name in recent.missing(message.announced):
            self._expire(source, purpose, RequestId(name), pair)
        reason = message.reason
        for served in list(self._served.values()):
            lost = served.orphan and served.head == source
            if lost and served.request not in message.continues:
                self._end(served, int(ErrorCode.OTHER), reason)

    def _expire(self, head: NodeId, purpose: int, request: RequestId, pair: PairId) -> None:
        served = self._served.get(request)
        if served is not None:
            served.delivered -= 1
        self._desk.tell(Expired(request, head, purpose, (pair,)))

    def lost(self, peer: NodeId, reason: str) -> None:
        """A head end is lost: its requests are over."""
        for served in list(self._served.values()):
            if served.head == peer:
                self._end(served, int(ErrorCode.OTHER), reason)
