"""RuleSet nodes in memory: links that hand out pairs with known labels, whatever may happen next in any order.

The bench follows every qubit, so that it knows which Bell state two halves really share.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from qnet.hardware import Platform
from qnet.ids import LinkId, NodeId, PairId, RequestId, SlotId, pair_id
from qnet.layers.link import Accept, Cancel, Create, Err, Expired, Ok, RequestEnded, StopAccepting
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
from qnet.program import Gate
from qnet.seams import NodeContext
from qnet.units import Duration, Instant
from qnet_nodes.ideal import IDEAL
from qnet_protocols.network.rulesets import RuleSetNode

Place = tuple[NodeId, SlotId]
CAPACITY = 2
"""Pairs of one link that may be under way at a time."""
MOVES = {"I": (0, 0), "X": (1, 0), "Z": (0, 1), "Y": (1, 1)}
CLAIMED = (0.99, 0.98, 0.97)
"""Correlators of every link."""


def link_plan(name: str, one: str, two: str) -> LinkPlan:
    """A link of which only name, ends and pairs matter here."""
    return LinkPlan(
        name=LinkId(name),
        ends=(NodeId(one), NodeId(two)),
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
        estimate=Estimate(0.5, Duration(10), 1.0, 1.0, 0.0, 1e9, CLAIMED),
    )


def create(request: str, remote: str, number: int, **wishes: Any) -> Create:
    """A request with purpose 0."""
    fidelity = wishes.pop("minimum_fidelity", 0.0)
    longest = wishes.pop("max_time", Duration(0))
    return Create(RequestId(request), NodeId(remote), number, fidelity, longest, 0, **wishes)


class Bench:
    """A chain n0 .. n<links> of nodes, with routes between its ends both ways.

    Args:
        links: how many.
        seed: of interleaving, labels and outcomes.
        cutoff: of the routes.
        platform: of every node.
    """

    def __init__(
        self,
        links: int,
        *,
        seed: int = 0,
        cutoff: int | None = None,
        platform: Platform | None = None,
    ) -> None:
        self.luck = random.Random(seed)
        self.now = Instant(0)
        self.names = tuple(NodeId(f"n{number}") for number in range(links + 1))
        self.plans = {
            f"l{number}": link_plan(f"l{number}", *hop)
            for number, hop in enumerate(pairwise(self.names))
        }
        self._cutoff = None if cutoff is None else Duration(cutoff)
        self._platform = platform
        self.machines = {name: self.build(name) for name in self.names}
        self.channels: dict[tuple[NodeId, NodeId], deque[tuple[Any, Instant]]] = {}
        self.answers: dict[tuple[str, NodeId], deque[Any]] = {}
        self.programs: list[tuple[NodeId, Apply]] = []
        self.asked: dict[str, list[Create]] = {name: [] for name in self.plans}
        self.holder: dict[Place, str] = {}
        self.made: dict[Place, str] = {}
        self.other: dict[Place, tuple[Place, tuple[int, int]]] = {}
        self.leaving: set[Place] = set()
        self.accepting: set[tuple[str, NodeId, NodeId, int]] = set()
        self.ok: dict[NodeId, dict[PairId, Ok]] = {name: {} for name in self.names}
        self.expired: dict[NodeId, set[PairId]] = {name: set() for name in self.names}
        self.ends: dict[NodeId, list[Err | RequestEnded]] = {name: [] for name in self.names}
        self.alone: set[tuple[NodeId, PairId]] = set()
        self.sequence = 0

    def build(self, name: NodeId, incarnation: int = 0) -> RuleSetNode:
        """The machine of a node."""
        own = tuple(plan for plan in self.plans.values() if name in plan.ends)
        links = tuple(LinkId(link) for link in self.plans)
        ways = {
            self.names[-1]: (Route(self.names, links, 0.9, 1.0, self._cutoff),),
            self.names[0]: (Route(self.names[::-1], links[::-1], 0.9, 1.0, self._cutoff),),
        }
        below = {plan.name: f"link:{plan.name}" for plan in own}
        platform = IDEAL.platform if self._platform is None else self._platform
        routes = {end: way for end, way in ways.items() if way[0].nodes[0] == name}
        return RuleSetNode(NodeContext(name, platform, own, below, routes, {}, incarnation))

    # ------------------------------------------------------------ steps

    def give(self, name: str, event: Any) -> None:
        """One event for one machine; its effects happen at once."""
        node = NodeId(name)
        for effect in self.machines[node].handle(event, self.now):
            match effect:
                case Send(target, message):
                    assert target != node
                    self.channels.setdefault((node, target), deque()).append((message, self.now))
                case Request(request, below):
                    self._link(node, below.removeprefix("link:"), request)
                case Apply():
                    self.programs.append((node, effect))
                case Release(slot):
                    assert self.holder[node, slot] == "network"
                    self.free((node, slot))
                case Indicate(indication, slots):
                    for slot in slots:
                        assert self.holder[node, slot] == "network"
                        self.holder[node, slot] = "app"
                    self._told(node, indication)

    def ask(self, name: str, request: Any) -> None:
        """The application of a node asks."""
        self.give(name, Requested(request, "app"))

    def _touched(self, node: NodeId, apply: Apply) -> set[Place]:
        gates = (step for step in apply.program.instructions if isinstance(step, Gate))
        return {(node, slot) for gate in gates for slot in gate.slots}

    def free(self, place: Place) -> None:
        """Discard the qubit, after the program that runs on it."""
        if any(place in self._touched(*run) for run in self.programs):
            self.leaving.add(place)
            self.holder[place] = "leaving"
            return
        del self.holder[place], self.made[place]
        other = self.other.pop(place, None)
        if other is not None:
            del self.other[other[0]]

    def _link(self, node: NodeId, link: str, request: Any) -> None:
        match request:
            case Create():
                self.asked[link].append(request)
            case Cancel(request=wanted):
                for one in [one for one in self.asked[link] if one.request == wanted]:
                    self.asked[link].remove(one)
            case Accept(remote, purpose):
                self.accepting.add((link, node, remote, purpose))
            case StopAccepting(remote, purpose):
                self.accepting.remove((link, node, remote, purpose))

    def make_pair(self, link: str) -> None:
        """The link makes one pair for its first request."""
        asked = self.asked[link].pop(0)
        self.asked[link].append(asked)
        ends = self.plans[link].ends
        self.sequence += 1
        label = (self.luck.randrange(2), self.luck.randrange(2))
        places = []
        for end in ends:
            slot = next(SlotId(n) for n in range(99) if (end, SlotId(n)) not in self.holder)
            self.holder[end, slot] = "network"
            self.made[end, slot] = link
            places.append((end, slot))
        one, two = places
        self.other[one], self.other[two] = (two, label), (one, label)
        for (end, slot), remote in zip(places, ends[::-1], strict=True):
            ok = Ok(
                asked.request, pair_id(LinkId(link), self.sequence), 1, asked.remote != end, remote,
                asked.purpose, slot, label, sum(CLAIMED, 1.0) / 4, 0.0, self.now, self.now,
                Instant(0), CLAIMED,
            )  # fmt: skip
            self.answers.setdefault((link, end), deque()).append(ok)

    def end_program(self, index: int) -> None:
        """A program ends; its outcomes are drawn, and the bench knows what they do."""
        node, apply = self.programs.pop(index)
        first = apply.program.instructions[0]
        assert isinstance(first, Gate)
        places = [(node, slot) for slot in first.slots]
        outcomes: tuple[int, ...] = ()
        if len(places) == 2:
            phase, parity = outcomes = (self.luck.randrange(2), self.luck.randrange(2))
            far = [self.other.pop(place, None) for place in places]
            for one in far:
                if one is not None:
                    del self.other[one[0]]
            if far[0] is not None and far[1] is not None:
                label = label_xor(label_xor(far[0][1], far[1][1]), (parity, phase))
                left, right = far[0][0], far[1][0]
                self.other[left], self.other[right] = (right, label), (left, label)
        elif places[0] in self.other:
            far_place, label = self.other[places[0]]
            label = label_xor(label, MOVES[first.name])
            self.other[places[0]], self.other[far_place] = (far_place, label), (places[0], label)
        for place in places:
            if place in self.leaving:
                self.leaving.remove(place)
                self.free(place)
        self.give(node, Applied(apply.op, outcomes))

    def _told(self, node: NodeId, told: Any) -> None:
        match told:
            case Ok():
                assert told.pair not in self.ok[node], "announced twice"
                if (node, told.slot) not in self.other:
                    if told.pair not in self.ok[told.remote]:
                        self.alone.add((node, told.pair))
                elif told.settled:
                    place, label = self.other[node, told.slot]
                    assert place[0] == told.remote, "halves of different pairs"
                    assert label == told.label, "label law"
                self.ok[node][told.pair] = told
                self.free((node, told.slot))
            case Expired(_, _, _, pairs):
                assert set(pairs) <= set(self.ok[node])
                self.expired[node] |= set(pairs)
            case _:
                self.ends[node].append(told)

    # ------------------------------------------------------------ interleavings

    def choices(self, *, pairs: bool) -> list[tuple[str, Any]]:
        """All that may happen next."""
        found: list[tuple[str, Any]] = []
        found += [("message", key) for key, queue in sorted(self.channels.items()) if queue]
        found += [("link", key) for key, queue in sorted(self.answers.items()) if queue]
        found += [("program", index) for index in range(len(self.programs))]
        for link, asked in self.asked.items():
            held = [
                sum(name == link and node == end for (node, _), name in self.made.items())
                for end in self.plans[link].ends
            ]
            if pairs and asked and max(held) < CAPACITY:
                found.append(("pair", link))
        return found

    def do(self, what: str, which: Any) -> None:
        """One of them happens."""
        self.now = Instant(self.now + 1)
        if what == "message":
            message, sent_at = self.channels[which].popleft()
            self.give(which[1], Received(which[0], message.kind, message, sent_at))
        elif what == "link":
            self.give(which[1], Indicated(self.answers[which].popleft(), f"link:{which[0]}"))
        elif what == "program":
            self.end_program(which)
        else:
            self.make_pair(which)
        self.fire()

    def fire(self) -> None:
        """Deadlines that have come."""
        for name, machine in self.machines.items():
            due = machine.next_deadline()
            if due is not None and due <= self.now:
                self.give(name, DeadlineReached())
                again = machine.next_deadline()
                assert again is None or again > self.now, f"{name} never comes to rest"

    def go(self, steps: int) -> None:
        """At most so many steps, chosen at random."""
        for _ in range(steps):
            found = self.choices(pairs=any(m.state.asked for m in self.machines.values()))
            if not found:
                dues = [machine.next_deadline() for machine in self.machines.values()]
                known = [due for due in dues if due is not None]
                if not known:
                    return
                self.now = max(self.now, min(known))
                self.fire()
                continue
            self.do(*self.luck.choice(found))

    def rest(self) -> None:
        """Go on until nothing can happen; nothing is left then, and both ends agree."""
        self.go(20_000)
        assert not self.choices(pairs=True)
        for name, machine in self.machines.items():
            state = machine.state
            assert (state.rulesets, state.asked, state.programs) == (0, 0, 0), (name, state)
            assert machine.next_deadline() is None
        assert not self.holder
        assert not self.accepting
        assert not any(self.asked.values())
        head, tail = self.names[0], self.names[-1]
        assert all(pair in self.expired[end] for end, pair in self.alone), "half a pair"
        good = [set(self.ok[end]) - self.expired[end] for end in (head, tail)]
        assert good[0] == good[1]
        for pair in good[0]:
            one, two = self.ok[head][pair], self.ok[tail][pair]
            assert (one.request, one.index, one.label, one.created_at) == (
                two.request, two.index, two.label, two.created_at)  # fmt: skip
            assert {one.origin, two.origin} == {True, False}

    # ------------------------------------------------------------ faults

    def lose(self, one: NodeId, two: NodeId) -> None:
        """What is under way between two nodes is lost; both are told."""
        for here, there in ((one, two), (two, one)):
            self.channels.pop((here, there), None)
        for here, there in ((one, two), (two, one)):
            self.give(here, PeerLost(there))

    def take_back(self) -> bool:
        """One end of a link never hears of its pair; the other is told that it is not valid."""
        found = [
            (key, queue[0])
            for key, queue in sorted(self.answers.items())
            if queue and isinstance(queue[0], Ok)
        ]
        if not found:
            return False
        (link, node), ok = self.luck.choice(found)
        self.answers[link, node].popleft()
        self.free((node, ok.slot))
        lost = Expired(ok.request, node, ok.purpose, (ok.pair,))
        self.answers.setdefault((link, ok.remote), deque()).append(lost)
        return True


def ready(links: int, **options: Any) -> Bench:
    """A chain whose ends accept each other's requests."""
    bench = Bench(links, **options)
    ends: Sequence[NodeId] = (bench.names[0], bench.names[-1])
    for here, there in (ends, ends[::-1]):
        bench.ask(here, Accept(there, 0))
    return bench
