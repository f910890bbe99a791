"""The virtual bench of purification and networks: nodes in a row above honest links.

Theory
    Two nodes with a purification machine each, or three to five with a network machine each, on the
    :mod:`floor <qnet.testing.conformance.floor>` of every bench. Below are scripted links
    (:mod:`.source`), above them users at the two ends. The bench follows every qubit as a stabilizer
    state (:mod:`.qubits`), so that what the ends announce is compared with the Bell state that their
    qubits share, whatever was done to them in between.

    A *perfect* bench has perfect pairs and processors: every label must be right. A *noisy* one draws
    the errors of its pairs from the claimed state, and those of memories and gates from their platform:
    there claims are held against how often the label is right.
Assumptions and validity
    Noise is Pauli noise: T1 is infinite. A node that is back says something at once, so its neighbours
    hear of the restart one light time later, unless a message is faster.
Not modelled
    Attempts that dephase memories; several users at one end.
Units
    Picoseconds, seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import msgspec

from qnet.hardware import Coherence, Operation, Platform
from qnet.ids import LinkId, NodeId, OpId, PairId, SlotId
from qnet.layers import link as service
from qnet.machine import PeerLost, Request
from qnet.physics.bell import Correlators
from qnet.plan import LinkPlan, Route
from qnet.seams import NetworkProtocol, NodeContext, PurificationProtocol, PurifierContext
from qnet.testing.conformance.faults import ALICE, BOB, MIDDLE, Plan
from qnet.testing.conformance.floor import Hold
from qnet.testing.conformance.parts import Node
from qnet.testing.conformance.post import Fate, Post
from qnet.testing.conformance.quantum_floor import QuantumFloor
from qnet.testing.conformance.record import Record, Whereabouts
from qnet.testing.conformance.source import EXPIRY_PROB, Source
from qnet.testing.conformance.stage import CYCLE, FLIGHTS, PLATFORM, link_plan
from qnet.units import Duration

PERFECT: Final[Correlators] = (1.0, 1.0, 1.0)
WORN: Final[Correlators] = (0.76, 0.72, 0.8)
"""Pairs of a noisy bench: fidelity 0.82."""

FRESH: Final[Correlators] = (0.9, 0.88, 0.93)
"""Pairs of a noisy row: fidelity 0.9275."""

SLOTS: Final = 4
"""Communication slots of a node for each of its links."""
MEMORIES: Final = 8

NOISY: Final = msgspec.structs.replace(
    PLATFORM,
    communication=Coherence(t2_s=20e-3),
    memory=Coherence(t2_s=20e-3),
    gate_1q=Operation(0.2e-6, 0.999),
    gate_2q=Operation(1e-6, 0.995),
)
"""Processor of a noisy bench."""

Protocol = PurificationProtocol | NetworkProtocol


@dataclass
class Told:
    """A half that was announced, kept in mind for the other one.

    Attributes:
        qubit: None once it is gone.
        number: of the physical pair.
    """

    qubit: int | None
    number: int
    label: tuple[int, ...] = ()
    at: int = 0


@dataclass(frozen=True)
class Claim:
    """A pair that both ends have announced: what was claimed, and whether its label is right."""

    pair: PairId
    goodness: float
    goodness_error: float
    right: bool


class Chain(QuantumFloor):
    """The network.

    Args:
        protocol: under test.
        middles: nodes between alice and bob.
        correlators: of the links' pairs.
        platform: of all nodes.
        seed: of what chance decides.
        expiry_prob: share of the links' pairs that an end misses.
        cutoff: of the routes, in picoseconds.
        parameters: of the protocol.
        fate: what happens to a message, besides ``faults``.
        faults: a fault plan.
        hold: how long the user keeps a pair before it releases it, in picoseconds.
        explore: order of what happens at one instant; 0 for the order of causes.
        ends: nodes with users, in the order of their names.
        revoke_prob: share of the links' pairs that expire although both ends were told.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        uniform: Callable[[str], float],
        middles: int = 0,
        correlators: Correlators = PERFECT,
        platform: Platform = PLATFORM,
        expiry_prob: float = EXPIRY_PROB,
        cutoff: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        fate: Fate | None = None,
        faults: Plan = (),
        hold: Hold = lambda _node, _ok: 0,
        explore: int = 0,
        ends: tuple[NodeId, NodeId] = (ALICE, BOB),
        revoke_prob: float = 0.0,
    ) -> None:
        layer = "purify" if isinstance(protocol, PurificationProtocol) else "network"
        super().__init__(layer, faults=faults, hold=hold, explore=explore, uniform=uniform)
        self.protocol, self.ends = protocol, ends
        self.row = (ALICE, *MIDDLE[:middles], BOB)
        self._correlators = correlators
        self._parameters, self._cutoff = dict(parameters or {}), cutoff
        self._told: dict[tuple[NodeId, PairId], Told] = {}
        self._stems: dict[tuple[NodeId, PairId], frozenset[PairId]] = {}
        self.waits: list[tuple[NodeId, int]] = []
        """How long halves of links' pairs were with the machine of which node."""
        self.claims: list[Claim] = []
        self.lost: set[NodeId] = set()
        """Nodes that others were told to be lost."""
        self.plans = [self._plan(one, two) for one, two in pairwise(self.row)]
        self.sources = {
            f"link:{plan.name}": Source(self, plan, correlators, uniform, expiry_prob)
            for plan in self.plans
        }
        for source in self.sources.values():
            source.revoke_prob = revoke_prob
        self._platforms = {
            name: msgspec.structs.replace(
                platform, communication_slots=SLOTS * len(self._own(name)), memory_slots=MEMORIES
            )
            for name in self.row
        }
        self.post = Post(self, tuple(protocol.messages), faults=faults, fate=fate)
        for name in self.row:
            slots = {SlotId(slot): "" for slot in range(self.platform(name).slots)}
            courier = self.post.courier(name, 0)
            self.nodes[name] = Node(name, {}, slots=slots, courier=courier)
        for name in self.row:
            self.nodes[name].machines = self.make(name, 0)
        self.schedule()
        for one in self.spells.all:
            if one.what == "partition":
                for source in self._beside(one.node):
                    source.long_cut(one)

    def _plan(self, one: NodeId, two: NodeId) -> LinkPlan:
        ends = (min(one, two), max(one, two))
        name = LinkId(f"{ends[0]}-{ends[1]}")
        return link_plan(name=name, ends=ends, protocol="", scheme="")

    def _own(self, name: NodeId) -> list[LinkPlan]:
        return [plan for plan in self.plans if name in plan.ends]

    def _beside(self, name: NodeId) -> list[Source]:
        return [source for source in self.sources.values() if name in source.plan.ends]

    def share(self, node: NodeId, link: LinkId) -> range:
        """Communication slots of a node that are for one of its links."""
        index = [plan.name for plan in self._own(node)].index(link)
        return range(SLOTS * index, SLOTS * (index + 1))

    def platform(self, name: NodeId) -> Platform:
        """Processor of a node."""
        return self._platforms[name]

    def role_of(self, node: NodeId, slot: SlotId) -> str:
        """Communication slots come first."""
        return self.platform(node).role_of(slot)

    # ------------------------------------------------------------ machines

    def make(self, name: NodeId, incarnation: int) -> dict[str, Any]:
        """The machine under test at one node."""
        try:
            machine = self._machine(name, incarnation)
        except Exception as error:
            words = f"{name} cannot be made: {type(error).__name__}: {error}"
            raise self.violation("8.1-1", words) from error
        return {self.layer: machine}

    def _machine(self, name: NodeId, incarnation: int) -> Any:
        if isinstance(self.protocol, NetworkProtocol):
            own = tuple(self._own(name))
            below = {plan.name: f"link:{plan.name}" for plan in own}
            return self.protocol.make_node(
                NodeContext(
                    name,
                    self.platform(name),
                    own,
                    below,
                    self._routes(name),
                    self._parameters,
                    incarnation,
                )
            )
        (plan,) = self.plans
        other = BOB if name == ALICE else ALICE
        return self.protocol.make_end(
            PurifierContext(
                name,
                f"link:{plan.name}",
                self.platform(name),
                {other: self.platform(other)},
                dict.fromkeys(plan.ends, SLOTS),
                {other: Duration(2 * CYCLE)},
                self._parameters,
                incarnation,
            )
        )

    def _routes(self, name: NodeId) -> dict[NodeId, tuple[Route, ...]]:
        found: dict[NodeId, tuple[Route, ...]] = {}
        here = self.row.index(name)
        cutoff = None if self._cutoff is None else Duration(self._cutoff)
        for there, target in enumerate(self.row):
            if there == here:
                continue
            step = 1 if there > here else -1
            nodes = tuple(self.row[k] for k in range(here, there + step, step))
            links = tuple(self._plan(*hop).name for hop in pairwise(nodes))
            goodness = (1.0 + sum(self.promised(len(links)))) / 4.0
            found[target] = (Route(nodes, links, goodness, 1e12 / (4 * CYCLE), cutoff),)
        return found

    def promised(self, links: int) -> Correlators:
        """What routes over so many links promise: the product of the links, and a margin for storage."""
        a, b, c = self._correlators
        margin = 0.9 if self.noisy else 1.0
        return (margin * a**links, margin * b**links, margin * c**links)

    # ------------------------------------------------------------ the network

    def neighbours(self, name: NodeId) -> tuple[NodeId, ...]:
        """Nodes with a link to ``name``."""
        return tuple(end for plan in self._own(name) for end in plan.ends if end != name)

    def light_time(self, source: NodeId, target: NodeId) -> int:
        """Along the row."""
        if target not in self.row:
            words = f"{source} sends to {target}, which is no node of the network"
            raise self.violation("7.2-3", words)
        hops = abs(self.row.index(source) - self.row.index(target))
        return max(1, hops) * sum(FLIGHTS)

    def above(self, who: str) -> str:  # noqa: ARG002
        """The user."""
        return "app"

    def serve(self, node: NodeId, who: str, request: Request) -> None:
        """The machine under test asks a link."""
        to = request.to
        own = self._beside(node)
        if not to and len(own) == 1:
            to = own[0].name
        if to not in {source.name for source in own}:
            raise self.violation("5.1-5", f"{node}: there is no {to!r} below {who}")
        source = self.sources[to]
        self.later(self.now, lambda: source.serve(node, request.request))

    def crashed(self, node: Node) -> None:
        """Its links forget what it asked for and accepted."""
        for source in self._beside(node.name):
            source.restarted(node.name)
        for key, told in self._told.items():
            if key[0] == node.name:
                self._forget(told)

    def hears(self, name: NodeId, peer: NodeId, incarnation: int) -> None:
        """``name`` hears that a neighbour was restarted: from its link, and from its courier."""
        source = next(one for one in self._beside(name) if peer in one.plan.ends)
        for said in source.heard_of(name, incarnation):
            source.tell(name, said)
        super().hears(name, peer, incarnation)

    def handle(self, node: Node, name: str, event: Any) -> Any:
        """One step; news of lost peers are written down."""
        if isinstance(event, PeerLost):
            self.lost.add(event.peer)
        return super().handle(node, name, event)

    # ------------------------------------------------------------ qubits

    def ancestors(self, node: NodeId) -> dict[PairId, frozenset[PairId]]:
        """Pairs announced at a node, and the links' pairs that their halves met."""
        return {pair: stems for (who, pair), stems in self._stems.items() if who == node}

    @property
    def void(self) -> set[PairId]:
        """Links' pairs that have expired."""
        return {pair for source in self.sources.values() for pair in source.void}

    def watched(self, qubit: int) -> bool:
        """It is still to be compared."""
        return any(told.qubit == qubit for told in self._told.values())

    def _forget(self, told: Told) -> None:
        """A half is not compared any more; its qubit goes, if it has left its slot."""
        qubit, told.qubit = told.qubit, None
        if qubit is not None and qubit not in self._at.values():
            self._discard(qubit)

    def free(self, node: NodeId, slot: SlotId) -> None:
        """A slot is nobody's any more."""
        self.nodes[node].slots[slot] = ""
        self.empty(node, slot)
        self.assign(self.nodes[node])
        self._go_on(node)

    def released(self, node: Node, who: str, slot: SlotId) -> None:
        """A slot is emptied after the program that runs on it."""
        given = self._given.pop((node.name, slot), None)
        if given is not None and who == self.layer:
            self.waits.append((node.name, self.now - given))
        if any(slot in slots for slots in node.busy.values()):
            self.move(node, who, "(leaving)", slot)
            return
        super().released(node, who, slot)
        self._go_on(node.name)

    def ended(self, node: Node, op: OpId) -> None:
        """A program has ended: what was released meanwhile is emptied."""
        slots = node.busy[op]
        super().ended(node, op)
        for slot in slots:
            if node.slots[slot] == "(leaving)":
                self.free(node.name, slot)

    def _go_on(self, name: NodeId) -> None:
        for source in self._beside(name):
            source.go_on()

    # ------------------------------------------------------------ the truth

    def announced_at(self, node: Node, ok: service.Ok) -> None:
        """Compare the two halves once both are announced."""
        qubit = self._at.get((node.name, ok.slot))
        self._stems[node.name, ok.pair] = self._raws.get(
            -1 if qubit is None else qubit, frozenset()
        )
        mine = self._told[node.name, ok.pair] = Told(qubit, 2 * len(self._told), at=self.now)
        other = self.remote(node.name, ok.request) if ok.request in self.wanted else None
        twin = self._told.get((other, ok.pair)) if other is not None else None
        if twin is None or other is None:
            return
        if twin.qubit is None or qubit is None:
            mine.number = mine.number if other not in self.restarted else twin.number
            mine.label = ok.label
        else:
            kept = self._place(twin.qubit)
            self._age(qubit, self.platform(node.name).coherence_of(ok.slot))
            if kept is not None:
                self._age(twin.qubit, self.platform(kept[0]).coherence_of(kept[1]))
            label = self.qubits.bell(qubit, twin.qubit)
            if label is not None:
                mine.number, mine.label, twin.label = twin.number, label, label
                right = label == ok.label
                if kept is not None:
                    self.claims.append(Claim(ok.pair, ok.goodness, ok.goodness_error, right))
        self._forget(mine)
        self._forget(twin)

    def _place(self, qubit: int) -> tuple[NodeId, SlotId] | None:
        return next((place for place, held in self._at.items() if held == qubit), None)

    @property
    def noisy(self) -> bool:
        """Labels are right on average only."""
        return self._correlators != PERFECT

    def record(self) -> Record:
        """What the users of both ends have seen, for the audit of pair services."""
        first, second = self.ends
        both = {pair for node, pair in self._told if node == first and (second, pair) in self._told}
        found = {
            (node, pair): Whereabouts(told.number, told.label, told.at)
            for (node, pair), told in self._told.items()
            if pair in both
        }
        return Record(
            plan=link_plan(ends=self.ends),
            said=[one for one in self.said if hasattr(one[2], "request")],
            wanted=self.wanted,
            origin={request: node for node, request in self.created},
            restarted=self.restarted,
            contract=(),
            in_memory=lambda node, slot: self.role_of(node, slot) == "memory",
            left=self.left,
            clicks=(),
            whereabouts=None if self.noisy else found,
            noisy=self.noisy,
        )

    def left(self, name: NodeId) -> str:
        """What a node still holds or asks for, in words."""
        node = self.nodes[name]
        held = {slot: who for slot, who in node.slots.items() if who}
        tokens = [want.token for want in node.waiting]
        asked = [
            str(raw.create.request)
            for source in self._beside(name)
            for raw in source.requests.values()
            if raw.origin == name
        ]
        if not held and not tokens and not asked:
            return ""
        return (
            f"{name} still holds {held}, asks for {tokens}, and has requests {asked} to its links"
        )
