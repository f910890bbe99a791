"""QNP: pairs between any two nodes over virtual circuits, by swapping at once and tracking lazily.

Theory
    Signalling installs a circuit hop by hop (:mod:`.signalling`), for a line that somebody asked for
    (:mod:`.lines`). Every link of an active circuit makes pairs without end; an intermediate node swaps as
    soon as it has one on each side, or discards what waits too long (:mod:`.relay`). Both ends send TRACK
    through the circuit, which collects labels, outcomes and noise; when both have arrived, both ends know
    the pair and its state (:mod:`.head`, :mod:`.tail`). What is claimed of it: :mod:`.claims`.

    *No epochs.* The paper assigns pairs at both ends by the order of active requests. Here the head's TRACK
    names the request, also for M and E, which is the same whatever is lost: the tail end holds (M: measures)
    its half one light time later.
Late, early, impossible
    See the modules. In all of them: a circuit, request or pair that is gone is late; a pair that the link
    has not announced yet is early; a second TRACK, or one from the wrong side, is impossible.
Invariants
    Every request ends exactly once at each end. Both ends announce the same id, request, index and label for
    a pair, or one of them says EXPIRE. Memory is bounded by what is under way.
Assumptions and validity
    Neighbours' messages are reliable and in order, or PeerLost comes. Claims are exact for infinite T1 and
    exact claims of the links; otherwise within the stated error.
Not modelled
    Remote state preparation and atomic requests end to end, cuts through the pair budget by a scheduler,
    more than one circuit per request.
Sources
    [1] Kozlowski, Dahlberg, Wehner, "Designing a quantum network protocol", CoNEXT 2020, arXiv 2010.02575.
    [2] RFC 9340, "Architectural principles for a quantum internet".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import CircuitId, LinkId, NodeId
from qnet.layers import link
from qnet.layers.network import CloseCircuit, OpenCircuit
from qnet.machine import (
    Applied,
    DeadlineReached,
    Effect,
    Indicated,
    Input,
    PeerLost,
    Received,
    Record,
    Requested,
)
from qnet.seams import NetworkProtocol, NodeContext
from qnet.units import Instant, duration_from_s
from qnet_protocols.network.circuits import Entry
from qnet_protocols.network.claims import Hardware
from qnet_protocols.network.desk import Desk
from qnet_protocols.network.lines import Lines
from qnet_protocols.network.messages import (
    MESSAGES,
    Abandoned,
    Broken,
    Complete,
    Declined,
    Expire,
    Forward,
    Install,
    Installed,
    Refused,
    Remove,
    Settle,
    Tested,
    Track,
)
from qnet_protocols.network.servers import Servers
from qnet_protocols.network.signalling import Signalling
from qnet_protocols.network.tail import Tail

Positive = Annotated[float, msgspec.Meta(gt=0.0)]


class QnpParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``qnp``.

    Attributes:
        swap: "asap": as soon as there are two pairs; "scheduled": at multiples of ``period_s`` only.
        period_s: see there, > 0.
        order: which of several waiting pairs is swapped first.
        cutoff: how long a pair waits at an intermediate node: "route": as the route says; "off": as long as
            nobody else may need its slot (:mod:`.feeding`); or seconds, > 0.
        silence_s: a circuit is broken if one of its links brings no pair for so long; 0: never. It must
            exceed what the ends may hold all their qubits for.
    """

    swap: Literal["asap", "scheduled"] = "asap"
    period_s: Positive = 1e-3
    order: Literal["oldest", "youngest"] = "oldest"
    cutoff: Literal["route", "off"] | Positive = "route"
    silence_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0


class QnpState(Record, frozen=True):
    """What is under way at a node: counts, and the circuit of the last step.

    Attributes:
        circuits, asked, served, programs: how many circuits, requests of this node, requests of others,
            programs.
        circuit: of the last step, "" for none.
        pairs: of that circuit: (waiting upstream, downstream, records, early) at an intermediate node,
            (without request, records, early) at the head, (held, early) at the tail.
    """

    circuits: int
    asked: int
    served: int
    programs: int
    circuit: CircuitId
    pairs: tuple[int, ...]


class QnpNode:
    """The network machine of one node: offers :mod:`qnet.layers.network` on top of the links."""

    def __init__(self, context: NodeContext) -> None:
        parameters = msgspec.convert(dict(context.parameters), QnpParameters)
        cutoff = parameters.cutoff
        self._node = context.node
        self._desk = Desk(
            context.node, Hardware(context.platform, context.cycles), context.incarnation
        )
        self._servers = Servers(context.node, self._desk)
        self._lines = Lines(
            context,
            self._desk,
            cutoff=cutoff if isinstance(cutoff, str) else duration_from_s(cutoff),
            silence=duration_from_s(parameters.silence_s),
        )
        scheduled = parameters.swap == "scheduled"
        self._circuits = Signalling(
            context,
            self._desk,
            order=parameters.order,
            tick=duration_from_s(parameters.period_s) if scheduled else None,
            accepts=self._servers.accepts,
            tail=self._servers.tail,
            up=self._lines.on_up,
            refused=self._lines.on_refused,
            broken=self._broken,
        )
        self._lines.signalling = self._circuits
        self._touched: Entry | None = None
        self._due: Instant | None = None

    @property
    def state(self) -> QnpState:
        """Snapshot of the present state."""
        entry = self._touched
        return QnpState(
            len(self._circuits),
            self._lines.requests,
            len(self._servers),
            self._desk.programs,
            CircuitId("") if entry is None else entry.name,
            () if entry is None else entry.part.counts,
        )

    def next_deadline(self) -> Instant | None:
        """The earliest deadline; changes in :meth:`handle` only."""
        return self._due

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        """React to one event."""
        match event:
            case Received(source, _, message):
                self._on_message(source, message, now)
            case Indicated(indication, source):
                self._on_indication(source, indication, now)
            case Applied(op, outcomes):
                self._desk.ended(op, outcomes, now)
            case Requested(request):
                self._on_request(request, now)
            case DeadlineReached():
                self._lines.on_deadline(now)
                self._circuits.on_deadline(now)
            case PeerLost(peer, restarted):
                self._on_lost(peer, restarted)
            case _:
                raise LocalProtocolError(f"{self._node}: qnp asked for no {event!r}, at {now} ps")
        dues = (self._circuits.next_deadline(), self._lines.next_deadline())
        self._due = min((due for due in dues if due is not None), default=None)
        return self._desk.take()

    # ------------------------------------------------------------ from above

    def _on_request(self, request: object, now: Instant) -> None:
        match request:
            case link.Create():
                self._lines.create(request, now)
            case link.Cancel(request=wanted):
                if not self._lines.cancel(wanted):
                    self._servers.cancel(wanted)
            case link.Accept():
                self._servers.accept(request)
            case link.StopAccepting():
                self._servers.stop_accepting(request)
            case OpenCircuit():
                self._lines.open(request, now)
            case CloseCircuit():
                self._lines.close(request)
            case _:
                raise LocalProtocolError(
                    f"{self._node}: a request of the network service must be one of qnet.layers.link or "
                    f"qnet.layers.network, got {request!r}"
                )

    # ------------------------------------------------------------ from below

    def _on_indication(self, source: str, indication: object, now: Instant) -> None:
        match indication:
            case link.Ok():
                self._touched = self._circuits.feeding.on_ok(source, indication, now)
            case link.Expired():
                self._circuits.feeding.on_expired(source, indication, now)
            case link.Err() | link.RequestEnded():
                self._circuits.feeding.on_ended(indication)
            case link.FidelityEstimated():
                pass  # of pairs of a link, which the routes have their own figures for
            case _:
                raise LocalProtocolError(
                    f"{self._node}: {source} must say Ok, Expired, Err or RequestEnded of requests of kind K, "
                    f"got {indication!r}"
                )

    # ------------------------------------------------------------ from other nodes

    def _on_message(self, source: NodeId, message: object, now: Instant) -> None:
        match message:
            case Track() | Expire():
                self._touched = self._circuits.on_tracking(source, message, now)
            case Install():
                self._circuits.on_install(source, message)
            case Installed():
                self._circuits.on_installed(source, message, now)
            case Refused():
                self._circuits.on_refused(source, message)
            case Remove():
                self._circuits.on_remove(source, message)
            case Broken():
                self._circuits.on_broken(source, message)
            case Forward() | Complete():
                self._on_request_of_circuit(source, message, now)
            case Tested():
                self._lines.on_tested(source, message)
            case Declined():
                self._lines.on_declined(source, message)
            case Abandoned():
                self._servers.on_abandoned(source, message)
            case Settle():
                self._on_settle(source, message)
            case _:
                raise RemoteProtocolError(f"{self._node}: {message!r} of {source} must be of qnp")

    def _on_request_of_circuit(
        self, source: NodeId, message: Forward | Complete, now: Instant
    ) -> None:
        """FORWARD and COMPLETE: adjust the link, pass on."""
        entry = self._circuits.get(message.circuit)
        if entry is None:
            return
        self._circuits.side_of(entry, source, message)
        if isinstance(entry.part, Tail):
            if isinstance(message, Complete):
                self._servers.on_complete(entry.install, entry.part, message)
            else:
                self._servers.on_forward(entry.install, message)
            return
        if isinstance(message, Forward):
            self._circuits.feeding.begin(entry, message.request, now)
        else:
            self._circuits.feeding.end(entry, message.request)
        if entry.down is not None:
            self._desk.send(entry.down.peer, message)

    def _on_settle(self, source: NodeId, message: Settle) -> None:
        """The other end of a circuit saw it break, perhaps first."""
        entry = self._circuits.get(message.circuit)
        if entry is not None:
            self._circuits.break_(entry, message.where, message.hop, message.reason)
        if not self._lines.on_settle(message):
            self._servers.on_settle(source, message)

    def _broken(self, entry: Entry, where: NodeId, hop: LinkId, reason: str) -> None:
        if isinstance(entry.part, Tail):
            self._servers.on_broken(entry.install, entry.part, where, hop, reason)
        else:
            self._lines.on_broken(entry, where, hop, reason)

    def _on_lost(self, peer: NodeId, restarted: bool) -> None:
        reason = f"{peer} was restarted" if restarted else f"messages to or from {peer} were lost"
        self._lines.lost(peer, reason)
        self._circuits.lost(peer, reason)
        self._servers.lost(peer, reason)


PROTOCOL = NetworkProtocol(
    name="qnp",
    make_node=QnpNode,
    messages=MESSAGES,
    parameters=QnpParameters,
    sources=("Kozlowski, Dahlberg, Wehner, CoNEXT 2020, arXiv 2010.02575", "RFC 9340"),
)
