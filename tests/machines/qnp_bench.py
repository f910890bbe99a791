"""Network machines in memory: links that hand out pairs with known Bell labels, explored interleavings.

Every step is one of the things that may happen next: a message arrives, a link makes a pair or announces one,
a program ends, time passes. ``Bench.run`` picks among them with a seeded generator. The bench follows every
qubit, so that it knows which Bell state two halves really share.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from qnet.hardware import Platform
from qnet.ids import LinkId, NodeId, OpId, PairId, RequestId, SlotId, pair_id
from qnet.layers.link import (
    Accept,
    BasisChoice,
    Cancel,
    Create,
    Early,
    Err,
    Expired,
    Ok,
    OkMeasured,
    RequestEnded,
    StopAccepting,
)
from qnet.layers.network import CircuitDown, CircuitUp
from qnet.machine import (
    Applied,
    Apply,
    DeadlineReached,
    Indicate,
    Indicated,
    PeerLost,
    Received,
    Release,
    Request,
    Requested,
    Send,
)
from qnet.physics.bell import label_xor
from qnet.plan import Estimate, LinkOptics, LinkPlan, Route
from qnet.program import Draw, Gate, Measure, Program
from qnet.seams import NodeContext
from qnet.units import Duration, Instant
from qnet_nodes.ideal import IDEAL
from qnet_protocols.network.qnp import QnpNode

Label = tuple[int, int]
Place = tuple[NodeId, SlotId]

CAPACITY = 3
"""Pairs of one link that may be under way at a time."""

MOVES: dict[str, Label] = {"I": (0, 0), "X": (1, 0), "Z": (0, 1), "Y": (1, 1)}
WERNER = 0.9


def link_plan(name: str, ends: tuple[str, str]) -> LinkPlan:
    """A link of which only name, ends and pairs matter here."""
    return LinkPlan(
        name=LinkId(name),
        ends=(NodeId(ends[0]), NodeId(ends[1])),
        station=NodeId("station"),
        scheme="",
        scheme_parameters={},
        protocol="",
        protocol_parameters={},
        optics=LinkOptics(1.0, 1.0),
        flights=(Duration(1), Duration(1)),
        direct=Duration(2),
        cycle=Duration(10),
        preparation=Duration(0),
        correction=(Duration(0), Duration(0)),
        estimate=Estimate(0.5, Duration(10), 1.0, 1.0, 0.0, 1e9, (1.0, 1.0, 1.0)),
    )


@dataclass
class Told:
    """What one node's application was told."""

    announced: dict[PairId, Ok | OkMeasured] = field(default_factory=dict)
    expired: set[PairId] = field(default_factory=set)
    early: set[PairId] = field(default_factory=set)
    ends: dict[RequestId, list[Err | RequestEnded]] = field(default_factory=dict)
    circuits: list[CircuitUp | CircuitDown] = field(default_factory=list)
    estimates: list[Any] = field(default_factory=list)

    @property
    def good(self) -> set[PairId]:
        """Pairs announced and not expired."""
        return set(self.announced) - self.expired


class Bench:
    """A network of machines.

    Args:
        links: name -> its two nodes.
        routes: paths of nodes, the best first, from their first to their last node.
        seed: of the interleaving, the labels and the outcomes.
        parameters: of qnp.
        cutoff: of every route.
        platform: of every node.
    """

    def __init__(
        self,
        links: Mapping[str, tuple[str, str]],
        routes: list[tuple[str, ...]],
        *,
        seed: int = 0,
        parameters: Mapping[str, Any] | None = None,
        cutoff: int | None = None,
        platform: Platform = IDEAL.platform,
    ) -> None:
        self.platform = platform
        self.luck = random.Random(seed)
        self.now = Instant(0)
        self.plans = {name: link_plan(name, ends) for name, ends in links.items()}
        self._between = {frozenset(plan.ends): name for name, plan in self.plans.items()}
        names = sorted({end for plan in self.plans.values() for end in plan.ends})
        self.told = {name: Told() for name in names}
        self.machines = {
            name: QnpNode(self._context(name, routes, parameters or {}, cutoff)) for name in names
        }
        self.channels: dict[tuple[NodeId, NodeId], deque[Any]] = {}
        self.announcements: dict[tuple[str, NodeId], deque[Any]] = {}
        self.programs: list[tuple[NodeId, Apply]] = []
        self.asked: dict[str, list[Create]] = {name: [] for name in self.plans}
        self.accepting: set[tuple[str, NodeId, int]] = set()
        self.holder: dict[Place, str] = {}
        self.partner: dict[Place, tuple[Place, Label]] = {}
        self.of_link: dict[Place, str] = {}
        self.cut: set[str] = set()
        self.sequence = 0
        self.labels: list[Label] = []
        self.outcomes: list[Label] = []
        self.dead_links: set[str] = set()
        self.early: dict[tuple[NodeId, PairId], Place] = {}
        self.lonely: set[tuple[NodeId, PairId]] = set()

    def _context(
        self,
        name: NodeId,
        routes: list[tuple[str, ...]],
        parameters: Mapping[str, Any],
        cutoff: int | None,
    ) -> NodeContext:
        own = tuple(plan for plan in self.plans.values() if name in plan.ends)
        ways: dict[NodeId, tuple[Route, ...]] = {}
        for path in routes:
            if path[0] != name:
                continue
            nodes = tuple(NodeId(node) for node in path)
            hops = pairwise(nodes)
            links = tuple(LinkId(self._between[frozenset(hop)]) for hop in hops)
            longest = None if cutoff is None else Duration(cutoff)
            route = Route(nodes, links, WERNER, 100.0, longest)
            ways[nodes[-1]] = (*ways.get(nodes[-1], ()), route)
        below = {plan.name: f"link:{plan.name}" for plan in own}
        return NodeContext(name, self.platform, own, below, ways, parameters)

    # ------------------------------------------------------------ one step

    def give(self, node: str, event: Any) -> None:
        """One event for one machine; its effects happen at once."""
        name = NodeId(node)
        for effect in self.machines[name].handle(event, self.now):
            self._perform(name, effect)

    def ask(self, node: str, request: Any) -> None:
        """The application of ``node`` asks."""
        self.give(node, Requested(request, "app"))

    def _perform(self, node: NodeId, effect: Any) -> None:
        match effect:
            case Send(target, message):
                self.channels.setdefault((node, target), deque()).append((message, self.now))
            case Request(request, below):
                self._on_link_request(node, below.removeprefix("link:"), request)
            case Apply():
                for place in self._places(node, effect.program):
                    assert self.holder[place] == "network"
                self.programs.append((node, effect))
            case Release(slot):
                assert self.holder[node, slot] == "network"
                self.free((node, slot))
            case Indicate(indication, slots):
                for slot in slots:
                    assert self.holder[node, slot] == "network"
                    self.holder[node, slot] = "app"
                self._on_told(node, indication)

    @staticmethod
    def _places(node: NodeId, program: Program) -> set[Place]:
        found: set[Place] = set()
        for step in program.instructions:
            if isinstance(step, Gate):
                found |= {(node, slot) for slot in step.slots}
            elif isinstance(step, Measure):
                found.add((node, step.slot))
        return found

    def free(self, place: Place) -> None:
        """Discard the qubit."""
        if any(place in self._places(node, run.program) for node, run in self.programs):
            self.holder[place] = "leaving"
            return
        del self.holder[place]
        self.of_link.pop(place, None)
        other = self.partner.pop(place, None)
        if other is not None:
            self.partner.pop(other[0], None)

    # ------------------------------------------------------------ links

    def _on_link_request(self, node: NodeId, link: str, request: Any) -> None:
        match request:
            case Create():
                self.asked[link].append(request)
            case Cancel(request=wanted):
                for create in self.asked[link]:
                    if create.request == wanted:
                        self.asked[link].remove(create)
                        ended = RequestEnded(wanted, True, create.remote, create.purpose, 0, True)
                        self._announce(link, node, ended)
                        break
            case Accept(remote, purpose):
                self.accepting.add((link, remote, purpose))
            case StopAccepting(remote, purpose):
                self.accepting.discard((link, remote, purpose))

    def _announce(self, link: str, node: NodeId, indication: Any) -> None:
        self.announcements.setdefault((link, node), deque()).append(indication)

    def _new_slot(self, node: NodeId, link: str) -> SlotId:
        slot = next(SlotId(n) for n in range(1000) if (node, SlotId(n)) not in self.holder)
        self.holder[node, slot] = "network"
        self.of_link[node, slot] = link
        return slot

    def _room(self, link: str) -> bool:
        held = [sum(1 for (node, _), name in self.of_link.items() if name == link and node == end)
                for end in self.plans[link].ends]  # fmt: skip
        return max(held) < CAPACITY

    def make_pair(self, link: str, label: Label | None = None) -> None:
        """The link makes one pair for its first request; both ends will be told."""
        create = self.asked[link].pop(0)
        self.asked[link].append(create)  # requests take turns
        ends = self.plans[link].ends
        origin = ends[0] if create.remote == ends[1] else ends[1]
        self.sequence += 1
        if label is None:
            label = (self.luck.randrange(2), self.luck.randrange(2))
        slots = {end: self._new_slot(end, link) for end in ends}
        one, two = ((end, slots[end]) for end in ends)
        self.partner[one], self.partner[two] = (two, label), (one, label)
        for end in ends:
            self._announce(link, end, Ok(
                create.request, pair_id(LinkId(link), self.sequence), self.sequence, end == origin,
                ends[1] if end == ends[0] else ends[0], create.purpose, slots[end], label,
                1.0, 0.0, self.now, self.now, Instant(0), (1.0, 1.0, 1.0),
            ))  # fmt: skip

    # ------------------------------------------------------------ programs

    def end_program(self, index: int) -> None:
        """A program under way ends."""
        node, run = self.programs.pop(index)
        outcomes = self._outcomes(node, run.program)
        for place in self._places(node, run.program):
            if self.holder.get(place) == "leaving":
                self.free(place)
        self.give(node, Applied(OpId(run.op), outcomes))

    def _outcomes(self, node: NodeId, program: Program) -> tuple[int, ...]:
        steps = program.instructions
        places = [(node, slot) for slot in steps[0].slots] if isinstance(steps[0], Gate) else []
        if len(places) == 2:  # a Bell measurement
            bits = self.outcomes.pop(0) if self.outcomes else (
                self.luck.randrange(2), self.luck.randrange(2))  # fmt: skip
            phase, parity = bits
            one, two = (self.partner.pop(place, None) for place in places)
            for gone in (one, two):
                if gone is not None:
                    self.partner.pop(gone[0], None)
            if one is not None and two is not None:
                label = label_xor(label_xor(one[1], two[1]), (parity, phase))
                self.partner[one[0]], self.partner[two[0]] = (two[0], label), (one[0], label)
            return phase, parity
        found: list[int] = []
        for step in steps:
            if isinstance(step, Draw):
                found.append(self.luck.randrange(len(step.weights)))
            elif isinstance(step, Measure):
                found.append(self.luck.randrange(2))
            elif (
                isinstance(step, Gate)
                and step.name in MOVES
                and (node, step.slots[0]) in self.partner
            ):
                place = (node, step.slots[0])
                other, label = self.partner[place]
                moved = label_xor(label, MOVES[step.name])
                self.partner[place], self.partner[other] = (other, moved), (place, moved)
        return tuple(found)

    # ------------------------------------------------------------ the application

    def _on_told(self, node: NodeId, indication: Any) -> None:
        told = self.told[node]
        match indication:
            case Ok() | OkMeasured():
                assert indication.pair not in told.announced
                assert indication.request not in told.ends
                told.announced[indication.pair] = indication
                if isinstance(indication, Ok):
                    self._check_truth(node, indication)
                    self.free((node, indication.slot))
            case Early():
                told.early.add(indication.token)
                self.early[node, indication.token] = (node, indication.slot)
            case Expired(_, _, _, pairs):
                for pair in pairs:
                    if pair in told.announced:
                        told.expired.add(pair)
                    else:
                        place = self.early[node, pair]
                        self.free(place)
            case Err() | RequestEnded():
                told.ends.setdefault(indication.request, []).append(indication)
            case CircuitUp() | CircuitDown():
                told.circuits.append(indication)
            case _:
                told.estimates.append(indication)

    def _check_truth(self, node: NodeId, ok: Ok) -> None:
        """The label law: the state that the halves really share."""
        if not ok.settled or ok.pair in self.told[ok.remote].announced:
            return
        found = self.partner.get((node, ok.slot))
        if found is None:  # the other end has given its half up: this one must expire
            self.lonely.add((node, ok.pair))
            return
        other, label = found
        assert other[0] == ok.remote, "halves of different pairs"
        assert label == ok.label, "label law broken"

    # ------------------------------------------------------------ interleavings

    def choices(self, *, pairs: bool) -> list[Any]:
        """All that may happen next."""
        found: list[Any] = []
        found += [("message", key) for key, queue in sorted(self.channels.items()) if queue]
        found += [("told", key) for key, queue in sorted(self.announcements.items()) if queue]
        found += [("program", index) for index in range(len(self.programs))]
        if pairs:
            found += [
                ("pair", link)
                for link, creates in sorted(self.asked.items())
                if creates and link not in self.dead_links and self._room(link)
            ]
        return found

    def do(self, choice: Any) -> None:
        """One of them happens."""
        what, which = choice
        self.now = Instant(self.now + 1)
        if what == "message":
            message, sent_at = self.channels[which].popleft()
            source, target = which
            self.give(target, Received(source, type(message).kind, message, sent_at))
        elif what == "told":
            link, node = which
            indication = self.announcements[which].popleft()
            self.give(node, Indicated(indication, f"link:{link}"))
        elif what == "program":
            self.end_program(which)
        else:
            self.make_pair(which, self.labels.pop(0) if self.labels else None)
        self.fire()

    def fire(self) -> None:
        """Deadlines that have come."""
        for name, machine in self.machines.items():
            due = machine.next_deadline()
            while due is not None and due <= self.now:
                self.give(name, DeadlineReached())
                again = machine.next_deadline()
                assert again is None or again > self.now, f"{name} never comes to rest"
                due = again

    def run(self, steps: int = 20_000) -> None:
        """Random interleaving until every request has ended at its origin and nothing is under way."""
        for _ in range(steps):
            busy = any(machine.state.asked for machine in self.machines.values())
            found = self.choices(pairs=busy)
            if found:
                self.do(self.luck.choice(found))
            elif not self._pass_time():
                return
        raise AssertionError("the network never comes to rest")

    def _pass_time(self) -> bool:
        dues = [machine.next_deadline() for machine in self.machines.values()]
        due = min((one for one in dues if one is not None), default=None)
        if due is None:
            return False
        self.now = max(self.now, due)
        self.fire()
        return True

    # ------------------------------------------------------------ faults

    def lose(self, one: str, two: str) -> None:
        """What is under way between two neighbours is lost; both are told. Their link's pairs stay."""
        ends = (NodeId(one), NodeId(two))
        for source, target in (ends, ends[::-1]):
            self.channels.pop((source, target), None)
        for here, there in (ends, ends[::-1]):
            self.give(here, PeerLost(there))

    def take_back(self, link: str, *, ended: bool = False) -> bool:
        """The link announces its next pair at one end only, which is then told that it is not valid.

        With ``ended`` the request that made it has all its pairs before.
        """
        for (name, node), queue in sorted(self.announcements.items()):
            if name != link or not queue or not isinstance(queue[0], Ok):
                continue
            ok = queue.popleft()
            self.free((node, ok.slot))
            for (other_name, other), theirs in self.announcements.items():
                if other_name == link and other != node:
                    for create in [
                        one for one in self.asked[link] if ended and one.request == ok.request
                    ]:
                        self.asked[link].remove(create)
                        over = RequestEnded(ok.request, True, create.remote, ok.purpose, 1)
                        origin = next(end for end in self.plans[link].ends if end != create.remote)
                        self._announce(link, origin, over)
                    lost = Expired(ok.request, node, ok.purpose, (ok.pair,))
                    theirs.append(lost)
            return True
        return False

    # ------------------------------------------------------------ at rest

    def check_rest(self) -> None:
        """Nothing leaks, nothing contradicts."""
        for name, machine in self.machines.items():
            state = machine.state
            assert (state.circuits, state.asked, state.served, state.programs) == (0, 0, 0, 0), (
                name,
                state,
            )
            assert machine.next_deadline() is None
        assert not self.holder, self.holder
        assert not self.accepting
        assert not any(self.asked.values())
        for told in self.told.values():
            assert all(len(ends) == 1 for ends in told.ends.values())

    def check_ends(self, head: str, tail: str) -> None:
        """Both ends announced the same of every pair that neither of them expired."""
        one, two = self.told[NodeId(head)], self.told[NodeId(tail)]
        assert all(pair in self.told[node].expired for node, pair in self.lonely)
        assert one.good == two.good
        for pair in one.good:
            a, b = one.announced[pair], two.announced[pair]
            assert (a.request, a.index, a.label, a.created_at, a.remote, b.remote) == (
                b.request, b.index, b.label, b.created_at, tail, head)  # fmt: skip
            assert (a.origin, b.origin) in ((True, False), (False, True))


def chain(links: int, *, seed: int = 0, **options: Any) -> Bench:
    """Nodes n0 .. n<links> in a row, with routes between the ends both ways."""
    names = [f"n{index}" for index in range(links + 1)]
    edges = {f"l{index}": (names[index], names[index + 1]) for index in range(links)}
    return Bench(edges, [tuple(names), tuple(names[::-1])], seed=seed, **options)


def create(request: str, remote: str, number: int = 3, **wishes: Any) -> Create:
    """A request."""
    return Create(
        RequestId(request),
        NodeId(remote),
        number,
        wishes.pop("minimum_fidelity", 0.0),
        wishes.pop("max_time", Duration(0)),
        wishes.pop("purpose", 0),
        **wishes,
    )


RANDOM_BASES = BasisChoice(("X", "Y", "Z"), (1.0, 1.0, 1.0))
