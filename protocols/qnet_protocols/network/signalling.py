"""Circuits at a node: installed hop by hop, fed by requests to the downstream link, removed or broken.

Theory
    INSTALL goes from head to tail along a route. Every node takes the circuit in or refuses it: its slots,
    the share of its links that circuits have reserved (at most 1), the number of its circuits; the tail end
    also asks whether anybody accepts the purpose. Where links share communication slots, half of the
    memory slots is for either side, so that the pairs of one link never shut out the other.

    The node upstream of a link chooses the *link label* of the circuit, the purpose of its requests to that
    link; the node downstream accepts it. INSTALLED or REFUSED come back. What the links are asked for:
    :mod:`.feeding`.

    A break (a neighbour lost, a link that fails three times in a row or brings nothing for the silence of
    the circuit) is told in both directions; every node forgets the circuit and frees its qubits.
Late, early, impossible
    *Late:* anything about a circuit that is not (or no longer) here. *Impossible:* a message of the data or
    control plane that does not come from its neighbour on the circuit; INSTALL of a circuit that is here.
Sources
    Kozlowski, Dahlberg, Wehner, CoNEXT 2020, arXiv 2010.02575, section 4.1; physics reference A2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from qnet.errors import RemoteProtocolError
from qnet.ids import CircuitId, LinkId, NodeId
from qnet.layers.link import (
    Accept,
    ErrorCode,
    StopAccepting,
)
from qnet.machine import Message
from qnet.plan import Route
from qnet.seams import NodeContext
from qnet.units import Duration, Instant
from qnet_protocols.network.circuits import Entry, Refusal
from qnet_protocols.network.desk import Desk, Hop
from qnet_protocols.network.feeding import Feeding
from qnet_protocols.network.head import Head
from qnet_protocols.network.messages import (
    Broken,
    Install,
    Installed,
    Refused,
    Remove,
)
from qnet_protocols.network.relay import DOWN, UP, Order, Relay, Tracking
from qnet_protocols.network.requests import RESERVED
from qnet_protocols.network.tail import Tail

CIRCUIT_LIMIT: Final = 4096
"""Circuits of one node at a time."""

ROUNDING: Final = 1e-9


class Signalling:
    """All circuits of a node.

    Args:
        context: of this node.
        desk: of this node.
        order, tick: swap policy, see :class:`.relay.Relay`.
        accepts: whether this node accepts (head end, purpose).
        tail: makes the part of the tail end.
        up: told when a circuit of this head end is installed.
        refused: told when one is refused.
        broken: told when a circuit with an end here is broken: (entry, where, hop, reason).
    """

    def __init__(
        self,
        context: NodeContext,
        desk: Desk,
        *,
        order: Order,
        tick: Duration | None,
        accepts: Callable[[NodeId, int], bool],
        tail: Callable[[Install, Hop], Tail],
        up: Callable[[Entry, Instant], None],
        refused: Callable[[Entry, Refusal], None],
        broken: Callable[[Entry, NodeId, LinkId, str], None],
    ) -> None:
        self._node = context.node
        self._platform = context.platform
        self._below: Mapping[LinkId, str] = context.below
        self._links = {link.name: link for link in context.links}
        self._pooled = context.platform.communication_slots < len(context.links)
        self._desk = desk
        self._order: Order = order
        self._tick = tick
        self._accepts = accepts
        self._make_tail = tail
        self._on_up = up
        self._on_refused = refused
        self._on_broken = broken
        self._entries: dict[CircuitId, Entry] = {}
        self.feeding = Feeding(desk, context.links, self._link_failed)
        self._labels: dict[LinkId, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, circuit: CircuitId) -> Entry | None:
        """A circuit that is here."""
        return self._entries.get(circuit)

    # ------------------------------------------------------------ taking in

    def open(self, install: Install, route: Route, make: Callable[[Hop], Head]) -> Entry | Refusal:
        """Take in a circuit of this head end and send INSTALL; its label is chosen here."""
        why = self._why_not(install, None, route.links[0])
        if why is not None:
            return why
        down = self._hop(route.links[0], self._new_label(route.links[0]))
        entry = Entry(install, 0, None, down, make(down), install.store or self._pooled)
        self._add(entry)
        self._desk.send(down.peer, _relabelled(install, down.label))
        return entry

    def on_install(self, source: NodeId, install: Install) -> None:
        """The upstream neighbour wants a circuit taken in."""
        place = self._place(source, install)
        links = install.links[place - 1 : place + 1]
        last = len(links) == 1
        why = self._why_not(install, links[0], None if last else links[1])
        if why is None and last and not self._accepts(install.nodes[0], install.purpose):
            why = Refusal(
                ErrorCode.REJECTED,
                self._node,
                f"{self._node} does not accept purpose {install.purpose} from {install.nodes[0]}",
            )
        if why is not None:
            self._desk.send(source, Refused(install.circuit, why.code, why.where, why.detail))
            return
        up = self._hop(links[0], install.label)
        self._desk.ask(up.below, Accept(source, install.label))
        if last:
            tail = self._make_tail(install, up)
            entry = Entry(install, place, up, None, tail, install.store or self._pooled)
            entry.installed = True
            self._add(entry)
            self._desk.send(source, Installed(install.circuit, self._pooled))
            return
        down = self._hop(links[1], self._new_label(links[1]))
        relay = Relay(
            self._desk,
            install.circuit,
            (up, down),
            cutoff=install.cutoff,
            room=max(1, self._platform.memory_slots // 2) if self._pooled else None,
            order=self._order,
            tick=self._tick,
        )
        self._add(Entry(install, place, up, down, relay, install.store or self._pooled))
        self._desk.send(down.peer, _relabelled(install, down.label))

    def _place(self, source: NodeId, install: Install) -> int:
        nodes, links = install.nodes, install.links
        place = nodes.index(self._node) if self._node in nodes else 0
        sound = (
            place >= 1
            and len(links) == len(nodes) - 1
            and nodes[place - 1] == source
            and all(link in self._links for link in links[place - 1 : place + 1])
            and install.circuit not in self._entries
            and not self.feeding.labelled(
                self._below[links[place - 1]], origin=False, label=install.label
            )
        )
        if not sound:
            raise RemoteProtocolError(
                f"{self._node}: a circuit to install must be new and lead from {source} to {self._node} over "
                f"links of both, under a label that is free, got {install!r}"
            )
        return place

    def _why_not(self, install: Install, up: LinkId | None, down: LinkId | None) -> Refusal | None:
        if len(self._entries) >= CIRCUIT_LIMIT:
            return self._lacking(f"must have at most {CIRCUIT_LIMIT} circuits")
        if up is not None and down is not None and self._platform.slots < 2:
            return self._lacking(f"must have 2 slots to swap, has {self._platform.slots}")
        if up is not None and down is not None and self._pooled and self._platform.memory_slots < 2:
            return self._lacking(
                "must have 2 memory slots to swap, or a communication slot for each of its links, has "
                f"{self._platform.memory_slots} memory slots"
            )
        for link in (up, down):
            if link is None or not install.share:
                continue
            taken = sum(entry.install.share for entry in self if link in entry.links)
            if taken + install.share > 1.0 + ROUNDING:
                return Refusal(
                    ErrorCode.NOTIME,
                    self._node,
                    f"shares of the rate of {link} that circuits reserve must sum to <= 1, {taken:.4g} are "
                    f"taken, got {install.share:.4g} more",
                )
        return None

    def _lacking(self, words: str) -> Refusal:
        return Refusal(ErrorCode.NORES, self._node, f"{self._node} {words}")

    def _hop(self, link: LinkId, label: int) -> Hop:
        ends = self._links[link].ends
        peer = ends[1] if ends[0] == self._node else ends[0]
        return Hop(peer, link, self._below[link], label)

    def _new_label(self, link: LinkId) -> int:
        below = self._below[link]
        while True:
            count = self._labels[link] = self._labels.get(link, -1) + 1
            label = RESERVED + count % (0x10000 - RESERVED)
            if not self.feeding.labelled(below, origin=True, label=label):
                return label

    def _add(self, entry: Entry) -> None:
        self._entries[entry.name] = entry
        self.feeding.add(entry)

    def on_installed(self, source: NodeId, message: Installed, now: Instant) -> None:
        """Everybody downstream has taken it in."""
        entry = self._entries.get(message.circuit)
        if entry is None:
            return
        self._must_come_from(entry, entry.down, source, message)
        entry.installed = True
        entry.store = entry.store or message.store
        if entry.up is not None:
            self._desk.send(entry.up.peer, Installed(message.circuit, self._pooled))
        else:
            self._on_up(entry, now)

    def on_refused(self, source: NodeId, message: Refused) -> None:
        """Somebody downstream has not taken it in."""
        entry = self._entries.get(message.circuit)
        if entry is None:
            return
        self._must_come_from(entry, entry.down, source, message)
        self._forget(entry, broken=False)
        if entry.up is not None:
            self._desk.send(entry.up.peer, message)
        else:
            why = Refusal(ErrorCode(message.code), message.where, message.detail)
            self._on_refused(entry, why)

    # ------------------------------------------------------------ taking down

    def remove(self, entry: Entry) -> None:
        """The head end does not need it any more."""
        self._forget(entry, broken=False)
        assert entry.down is not None
        self._desk.send(entry.down.peer, Remove(entry.name))

    def on_remove(self, source: NodeId, message: Remove) -> None:
        """The head end has removed it."""
        entry = self._entries.get(message.circuit)
        if entry is None:
            return
        self._must_come_from(entry, entry.up, source, message)
        self._forget(entry, broken=False)
        if entry.down is not None:
            self._desk.send(entry.down.peer, message)

    def on_broken(self, source: NodeId, message: Broken) -> None:
        """A neighbour on the circuit says that it is void."""
        entry = self._entries.get(message.circuit)
        if entry is None:
            return
        self.side_of(entry, source, message)
        self.break_(entry, message.where, message.hop, message.reason, told_by=source)

    def break_(
        self,
        entry: Entry,
        where: NodeId,
        hop: LinkId,
        reason: str,
        *,
        told_by: NodeId | None = None,
    ) -> None:
        """The circuit is void from now on; ``told_by`` knows already."""
        self._forget(entry, broken=True)
        for side in (entry.up, entry.down):
            if side is not None and side.peer != told_by:
                self._desk.send(side.peer, Broken(entry.name, where, hop, reason))
        if entry.up is None or entry.down is None:
            self._on_broken(entry, where, hop, reason)

    def lost(self, peer: NodeId, reason: str) -> None:
        """A neighbour is lost: every circuit over it breaks."""
        for entry in list(self):
            for side in (entry.up, entry.down):
                if side is not None and side.peer == peer:
                    self.break_(entry, self._node, side.link, reason, told_by=peer)
                    break

    def _forget(self, entry: Entry, *, broken: bool) -> None:
        del self._entries[entry.name]
        self.feeding.remove(entry)
        if entry.up is not None:
            self._desk.ask(entry.up.below, StopAccepting(entry.up.peer, entry.up.label))
        if isinstance(entry.part, Tail):
            entry.part.close(broken=broken)
        else:
            entry.part.close()

    # ------------------------------------------------------------ who speaks

    def side_of(self, entry: Entry, source: NodeId, message: Message) -> int:
        """On which side of the circuit ``source`` is.

        Raises:
            RemoteProtocolError: on neither.
        """
        if entry.up is not None and entry.up.peer == source:
            return UP
        self._must_come_from(entry, entry.down, source, message)
        return DOWN

    def _must_come_from(
        self, entry: Entry, hop: Hop | None, source: NodeId, message: Message
    ) -> None:
        if hop is None or hop.peer != source:
            raise RemoteProtocolError(
                f"{self._node}: {message!r} must come from {hop.peer if hop else 'nobody'} on circuit "
                f"{entry.name}, {list(entry.install.nodes)}, it came from {source}"
            )

    def _link_failed(self, entry: Entry, reason: str) -> None:
        assert entry.down is not None
        self.break_(entry, self._node, entry.down.link, reason)

    def on_tracking(self, source: NodeId, message: Tracking, now: Instant) -> Entry | None:
        """TRACK or EXPIRE from a neighbour on a circuit."""
        entry = self._entries.get(message.circuit)
        if entry is None:
            return None
        side = self.side_of(entry, source, message)
        if isinstance(entry.part, Relay):
            entry.part.on_message(side, message)
            self.feeding.heard(entry, now)
        else:
            entry.part.on_message(message, now)
        return entry

    # ------------------------------------------------------------ instants

    def next_deadline(self) -> Instant | None:
        """The earliest cutoff, tick or silence of all circuits."""
        due: Instant | None = None
        for entry in self:
            for instant in (entry.part.next_deadline(), self._silent_at(entry)):
                if instant is not None and (due is None or instant < due):
                    due = instant
        return due

    def _silent_at(self, entry: Entry) -> Instant | None:
        if not entry.link_requests or not entry.install.silence:
            return None
        return Instant(entry.heard + entry.install.silence)

    def on_deadline(self, now: Instant) -> None:
        """Whatever is due."""
        for entry in list(self):
            silent_at = self._silent_at(entry)
            if silent_at is not None and silent_at <= now:
                self._silent(entry, now)
            elif isinstance(entry.part, Relay):
                entry.part.on_deadline(now)

    def _silent(self, entry: Entry, now: Instant) -> None:
        """The link brings nothing: broken, unless its last pair still waits here."""
        assert entry.down is not None
        if isinstance(entry.part, Relay) and entry.part.holds(DOWN):
            entry.heard = now
            return
        reason = (
            f"link {entry.down.link} must bring a pair within {entry.install.silence} ps, the last came at "
            f"{entry.heard} ps"
        )
        self.break_(entry, self._node, entry.down.link, reason)


def _relabelled(install: Install, label: int) -> Install:
    return Install(
        install.circuit,
        install.nodes,
        install.links,
        label,
        install.purpose,
        install.minimum_fidelity,
        install.share,
        install.cutoff,
        install.silence,
        install.store,
        install.mixing,
        install.virtual_z,
    )
