"""Requests and circuits as their users see them, at the head end: over whichever route serves them.

Theory
    A *line* is what a user asked for: a circuit to a remote node, opened explicitly, or implied by requests
    of one remote, purpose, fidelity and storage, for as long as there are such requests. It runs over one
    circuit at a time: the best route that promises the fidelity and that every node admits. When that
    breaks, its open requests move to the next route that avoids the broken links; if there is none, they
    end with the reason. A later line may try every route again.

    After a break both ends tell each other directly what they announced lately. A pair that one end alone
    announced is expired there, and made once more.
Late, early, impossible
    *Late:* a request or circuit that is over is cancelled, declined or tested. *Early:* a request is made
    while its circuit is being installed: it waits. *Impossible:* a request or circuit id used twice at a
    time, a circuit that was never opened.
Not modelled
    A pair whose own claim is below ``minimum_fidelity``: routes promise on average. Rates of best-effort
    circuits that share links are not promised.
Sources
    Kozlowski, Dahlberg, Wehner, CoNEXT 2020, arXiv 2010.02575; physics reference A2.3.
"""

from __future__ import annotations

import heapq
from functools import partial
from typing import Final

from qnet.errors import LocalProtocolError
from qnet.ids import CircuitId, LinkId, NodeId, RequestId
from qnet.layers.link import Create, Err, ErrorCode, Expired, RequestEnded
from qnet.layers.network import CircuitDown, CircuitUp, CloseCircuit, OpenCircuit
from qnet.plan import Route
from qnet.seams import NodeContext
from qnet.units import Duration, Instant
from qnet_protocols.network.circuits import Entry, Refusal
from qnet_protocols.network.desk import Desk
from qnet_protocols.network.ends import Recent
from qnet_protocols.network.head import Head
from qnet_protocols.network.line import Key, Line, Past, unfit
from qnet_protocols.network.messages import (
    Abandoned,
    Complete,
    Declined,
    Forward,
    Install,
    Settle,
    Tested,
)
from qnet_protocols.network.requests import Asked, malformed
from qnet_protocols.network.signalling import Signalling

CHANGE_LIMIT: Final = 256
"""Broken or removed circuits whose last announcements are remembered."""


class Lines:
    """All lines of a node.

    Args:
        context: of this node.
        desk: of this node.
        signalling: of this node.
        cutoff: "route", "off", or a time for all routes.
        silence: how long a link may bring nothing, 0 for ever.
    """

    def __init__(
        self,
        context: NodeContext,
        desk: Desk,
        *,
        cutoff: Duration | str,
        silence: Duration,
    ) -> None:
        self._node = context.node
        self._routes = context.routes
        self._desk = desk
        self._cutoff = cutoff
        self._silence = silence
        self.signalling: Signalling
        self._open: dict[CircuitId, Line] = {}
        self._implied: dict[Key, Line] = {}
        self._of_entry: dict[CircuitId, Line] = {}
        self._of_request: dict[RequestId, Line] = {}
        self._due: list[tuple[Instant, int, RequestId]] = []
        self._past: dict[CircuitId, Past] = {}
        self._count = 0

    @property
    def requests(self) -> int:
        """Requests that are not over."""
        return len(self._of_request)

    # ------------------------------------------------------------ from the user

    def create(self, create: Create, now: Instant) -> None:
        """A request."""
        if create.request in self._of_request:
            raise LocalProtocolError(
                f"{self._node}: request id must be new, got {create.request} again, at {now} ps"
            )
        refused = malformed(create, self._node)
        line: Line | None = None
        if refused is None and create.circuit:
            line = self._open.get(create.circuit)
            refused = unfit(create, line)
        if refused is not None:
            self._err(create, *refused)
            return
        if line is None:
            line = self._implied_line(create)
        self._count += 1
        deadline = Instant(now + create.max_time) if create.max_time else None
        asked = Asked(create, self._count, now, deadline)
        line.requests[asked.name] = asked
        self._of_request[asked.name] = line
        if deadline is not None:
            heapq.heappush(self._due, (deadline, self._count, asked.name))
        if line.entry is None:
            self._install(line)
        elif line.entry.installed:
            self._forward(line, asked, now)

    def _implied_line(self, create: Create) -> Line:
        key = (create.remote, create.purpose, create.minimum_fidelity, create.store)
        line = self._implied.get(key)
        if line is None:
            line = self._implied[key] = Line(*key[:3], 0.0, None, create.store, None)
        return line

    def open(self, wanted: OpenCircuit, now: Instant) -> None:
        """A circuit."""
        if wanted.circuit in self._open:
            raise LocalProtocolError(
                f"{self._node}: circuit id must be new, got {wanted.circuit} again, at {now} ps"
            )
        line = Line(
            wanted.remote,
            wanted.purpose,
            wanted.minimum_fidelity,
            wanted.rate_hz,
            wanted.route,
            False,
            wanted.circuit,
        )
        self._open[wanted.circuit] = line
        self._install(line)

    def close(self, wanted: CloseCircuit) -> None:
        """Its user closes a circuit; nothing happens if it is down already."""
        line = self._open.get(wanted.circuit)
        if line is not None:
            self._fail(line, Refusal(ErrorCode.OTHER, self._node, "closed"))

    def cancel(self, request: RequestId) -> bool:
        """Its user gives up the rest of a request of this node; whether it is one."""
        line = self._of_request.get(request)
        if line is None:
            return False
        self._over(line, line.requests[request], cancelled=True)
        return True

    # ------------------------------------------------------------ circuits

    def _install(self, line: Line) -> None:
        """Try the next route; with none left the line has failed."""
        routes = self._routes.get(line.remote, ())
        for index, route in enumerate(routes):
            if index in line.tried or line.route not in (None, index):
                continue
            line.tried.add(index)
            why = line.unsuited(self._node, route)
            if why is not None:
                line.why = line.why or why
                continue
            offer = self._offer(line, route)
            entry = self.signalling.open(
                offer, route, partial(Head, self._desk, offer.circuit, self._served)
            )
            if isinstance(entry, Refusal):
                line.why = entry
                continue
            line.entry, line.promise = entry, route
            self._of_entry[entry.name] = line
            return
        known = f"route {line.route}" if line.route is not None else "a route"
        none = Refusal(
            ErrorCode.UNSUPP,
            self._node,
            f"{self._node} must have {known} to {line.remote}, it has {len(routes)}",
        )
        self._fail(line, line.why or none)

    def _offer(self, line: Line, route: Route) -> Install:
        cutoff = self._cutoff
        return Install(
            CircuitId(self._desk.name("")),
            route.nodes,
            route.links,
            0,
            line.purpose,
            line.minimum_fidelity,
            line.rate_hz / route.rate_hz,
            route.cutoff if cutoff == "route" else None if isinstance(cutoff, str) else cutoff,
            self._silence,
            line.store,
            *self._desk.hardware.corrector,
        )

    def on_up(self, entry: Entry, now: Instant) -> None:
        """A circuit is installed."""
        line = self._of_entry[entry.name]
        line.why = None
        if line.opened is not None and not line.told_up:
            line.told_up = True
            route = line.promise
            assert route is not None
            rate_hz = line.rate_hz or route.rate_hz
            up = CircuitUp(
                line.opened, line.remote, route.nodes, route.links, route.goodness, rate_hz
            )
            self._desk.tell(up)
        for asked in list(line.requests.values()):
            self._forward(line, asked, now)

    def on_refused(self, entry: Entry, why: Refusal) -> None:
        """A circuit was refused: the next route."""
        line = self._of_entry.pop(entry.name)
        line.entry, line.why = None, why
        self._install(line)

    def on_broken(self, entry: Entry, where: NodeId, hop: LinkId, reason: str) -> None:
        """A circuit broke: another route, or the end of its requests."""
        line = self._of_entry.pop(entry.name)
        line.entry = None
        line.avoid.add(hop)
        line.tried.clear()
        line.why = Refusal(ErrorCode.OTHER, where, reason)
        part = entry.part
        assert isinstance(part, Head)
        self._remember(entry, line.remote, part.recent, asked=True)
        another = any(
            line.route in (None, index) and line.unsuited(self._node, route) is None
            for index, route in enumerate(self._routes[line.remote])
        )
        ended = () if another else tuple(line.requests)
        continues = self._open_requests(line.remote, ended)
        self._desk.send(
            line.remote,
            Settle(entry.name, where, hop, reason, part.recent.names, False, continues),
        )
        self._install(line)

    def _open_requests(
        self, remote: NodeId, ended: tuple[RequestId, ...] = ()
    ) -> tuple[RequestId, ...]:
        """Requests to ``remote`` that go on, without those that are about to end."""
        return tuple(
            request
            for request, line in self._of_request.items()
            if line.remote == remote and request not in ended
        )

    def _remember(self, entry: Entry, remote: NodeId, recent: Recent, *, asked: bool) -> None:
        self._past[entry.name] = Past(remote, entry.install.purpose, recent, asked)
        if len(self._past) > CHANGE_LIMIT:
            del self._past[next(iter(self._past))]

    def _fail(self, line: Line, why: Refusal) -> None:
        """The line is over, and its requests with it."""
        opened, line.opened = line.opened, None
        if opened is not None:
            del self._open[opened]
        for asked in list(line.requests.values()):
            self._over(line, asked, code=why.code, detail=why.detail)
        self._drop(line)
        if opened is not None:
            self._desk.tell(CircuitDown(opened, line.remote, why.code, why.where, why.detail))

    def _drop(self, line: Line) -> None:
        """Nobody needs the line any more."""
        if line.requests or line.opened is not None:
            return
        key = (line.remote, line.purpose, line.minimum_fidelity, line.store)
        if self._implied.get(key) is line:
            del self._implied[key]
        entry, line.entry = line.entry, None
        if entry is not None:
            del self._of_entry[entry.name]
            part = entry.part
            assert isinstance(part, Head)
            self._remember(entry, line.remote, part.recent, asked=False)
            self.signalling.remove(entry)

    # ------------------------------------------------------------ requests

    def _forward(self, line: Line, asked: Asked, now: Instant) -> None:
        entry, create = line.entry, asked.create
        assert entry is not None
        assert entry.down is not None
        assert isinstance(entry.part, Head)
        self._desk.send(
            entry.down.peer,
            Forward(
                entry.name,
                asked.name,
                create.number,
                create.kind,
                create.purpose,
                create.distant,
                create.final,
                asked.requested_at,
            ),
        )
        line.forwarded.add(asked.name)
        entry.part.begin(asked, now)
        self.signalling.feeding.begin(entry, asked.name, now)

    def _served(self, asked: Asked) -> None:
        """A request has all its pairs."""
        self._over(self._of_request[asked.name], asked)

    def _over(
        self,
        line: Line,
        asked: Asked,
        *,
        code: ErrorCode | None = None,
        cancelled: bool = False,
        detail: str = "",
    ) -> None:
        """A request ends: at this end now, at the other when it hears of it."""
        create, entry = asked.create, line.entry
        del line.requests[asked.name]
        del self._of_request[asked.name]
        number = None if code is None else int(code)
        known = asked.name in line.forwarded
        line.forwarded.discard(asked.name)
        if known and entry is not None and asked.name in entry.active:
            assert entry.down is not None
            assert isinstance(entry.part, Head)
            void = entry.part.end(asked)
            done = Complete(entry.name, asked.name, number, cancelled, detail, void)
            self._desk.send(entry.down.peer, done)
            self.signalling.feeding.end(entry, asked.name)
        elif known:
            self._desk.send(create.remote, Abandoned(asked.name, number, cancelled, detail))
        if asked.tests:
            self._desk.tell(asked.estimate())
        if code is not None:
            self._err(create, code, detail)
        else:
            ended = RequestEnded(
                asked.name, True, create.remote, create.purpose, asked.delivered, cancelled
            )
            self._desk.tell(ended)
        self._drop(line)

    def _err(self, create: Create, code: ErrorCode, detail: str) -> None:
        self._desk.tell(Err(create.request, code, True, create.remote, create.purpose, detail))

    def on_declined(self, source: NodeId, message: Declined) -> None:
        """The tail end wants a request ended."""
        line = self._of_request.get(message.request)
        if line is None or line.remote != source:
            return
        code = None if message.code is None else ErrorCode(message.code)
        asked = line.requests[message.request]
        self._over(line, asked, code=code, cancelled=code is None, detail=message.detail)

    def on_tested(self, source: NodeId, message: Tested) -> None:
        """The verdict of a test round."""
        line = self._of_request.get(message.request)
        if line is not None and line.remote == source:
            asked = line.requests[message.request]
            if asked.tested(message.wrong):
                self._desk.tell(asked.estimate())

    def on_settle(self, message: Settle) -> bool:
        """What the tail end announced over a circuit that is gone; False if it is not one of this head."""
        past = self._past.get(message.circuit)
        if past is None:
            return False
        if not message.answered and not past.asked:
            past.asked = True
            answer = Settle(
                message.circuit,
                message.where,
                message.hop,
                message.reason,
                past.recent.names,
                True,
                self._open_requests(past.remote),
            )
            self._desk.send(past.remote, answer)
        for pair, request in past.recent.missing(message.announced):
            line = self._of_request.get(RequestId(request))
            if line is not None:
                line.requests[RequestId(request)].expire()
            gone = Expired(RequestId(request), past.remote, past.purpose, (pair,))
            self._desk.tell(gone)
        return True

    def lost(self, peer: NodeId, reason: str) -> None:
        """A node is lost: lines to it are over."""
        for line in [*self._open.values(), *self._implied.values()]:
            if line.remote != peer:
                continue
            entry = line.entry
            line.forwarded.clear()
            if entry is not None:
                del self._of_entry[entry.name]
                line.entry = None
                assert isinstance(entry.part, Head)
                self._remember(entry, peer, entry.part.recent, asked=False)
                self.signalling.remove(entry)
            self._fail(line, Refusal(ErrorCode.OTHER, peer, reason))

    # ------------------------------------------------------------ instants

    def next_deadline(self) -> Instant | None:
        """The earliest deadline of a request."""
        while self._due and self._due[0][2] not in self._of_request:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def on_deadline(self, now: Instant) -> None:
        """Requests whose time is over end."""
        while (due := self.next_deadline()) is not None and due <= now:
            _, _, request = heapq.heappop(self._due)
            line = self._of_request[request]
            asked = line.requests[request]
            detail = (
                f"{asked.create.number} pairs must be delivered within {asked.create.max_time} ps, "
                f"{asked.delivered} were"
            )
            self._over(line, asked, code=ErrorCode.TIMEOUT, detail=detail)
