"""The virtual bench of heralding schemes: the physical machines of a link, and users that attempt.

Theory
    Two ends and a station with the machines of a scheme, above the optics of
    :mod:`.matter`, on the :mod:`floor <qnet.testing.conformance.floor>` of every bench. The user of an
    end is the link layer: it asks for attempt runs under given ids, one after another, as soon as the one
    before is over. The bench knows which click put which halves into which slots.
Assumptions and validity
    The link is one that the scheme is made for: the station is in the middle, or at one end.
Units
    Picoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from qnet.ids import AttemptId, NodeId, OpId, SlotId
from qnet.layers import physical
from qnet.machine import Abort, Attempt, Release, Request, Requested
from qnet.plan import LinkPlan
from qnet.seams import EndContext, HeraldingScheme, StationContext
from qnet.testing.conformance.faults import ALICE, BOB, STATION, Plan
from qnet.testing.conformance.floor import Floor
from qnet.testing.conformance.matter import Arm, Luck, Matter
from qnet.testing.conformance.parts import Node, NotApplicable
from qnet.testing.conformance.post import Fate, Post
from qnet.testing.conformance.stage import CYCLE, FLIGHTS, PLATFORM, link_plan
from qnet.units import Duration, Instant

PLACES: Final = (FLIGHTS, (sum(FLIGHTS), 0), (0, sum(FLIGHTS)))
"""Flights of both ends: a station between them, at bob, at alice."""

OVER: Final = (physical.Heralded, physical.HeraldRefused, physical.AttemptsStopped)


def place(scheme: HeraldingScheme) -> LinkPlan:
    """A link that the scheme is made for.

    Raises:
        NotApplicable: the bench has none.
    """
    reasons = []
    for flights in PLACES:
        plan = link_plan(
            scheme=scheme.name,
            protocol="",
            flights=tuple(Duration(one) for one in flights),
            direct=Duration(max(sum(flights), 1)),
        )
        try:
            if scheme.check is not None:
                scheme.check(plan)
        except ValueError as reason:
            reasons.append(str(reason))
        else:
            return plan
    raise NotApplicable(f"the scheme refuses all links of the bench: {'; '.join(reasons)}")


@dataclass(frozen=True)
class Wanted:
    """An attempt run that a user wants.

    Attributes:
        until: how long after its start no photon may leave any more; None for ever.
        stop: how long after its start the user stops it; None for never.
    """

    attempt: AttemptId
    until: int | None = None
    stop: int | None = None


@dataclass(frozen=True)
class Herald:
    """What an end was told of a success, and what was in its slot then.

    Attributes:
        click: number of the click whose half is in the slot, None for none.
        label: its true label.
    """

    at: int
    node: NodeId
    said: physical.Heralded
    click: int | None
    label: tuple[int, int] | None


class Optics(Floor):
    """The network.

    Args:
        scheme: under test.
        luck: what chance decides.
        fate: what happens to a message, besides ``faults``.
        faults: a fault plan.
        explore: order of what happens at one instant; 0 for the order of causes.
    """

    def __init__(
        self,
        scheme: HeraldingScheme,
        *,
        luck: Luck | None = None,
        fate: Fate | None = None,
        faults: Plan = (),
        explore: int = 0,
    ) -> None:
        super().__init__("physical", faults=faults, hold=lambda _node, _ok: 0, explore=explore)
        self.ends, self.scheme, self.plan = (ALICE, BOB), scheme, place(scheme)
        outcomes = scheme.outcomes(self.plan.optics, scheme.parameters())
        labels = {one.pattern: one.label for one in outcomes if one.prob > 0.0}
        self.matter = Matter(
            self.plan, self.nodes, labels, luck or Luck(), self.later, lambda: self.now
        )
        self.post = Post(self, tuple(scheme.messages), faults=faults, fate=fate)
        self.matter.report = lambda seen: self.post.arrive(STATION, "station", seen)
        self.heralds: list[Herald] = []
        self.started: list[tuple[int, NodeId, Wanted]] = []
        self._series: dict[NodeId, list[Wanted]] = {}
        for name in self.ends:
            courier = self.post.courier(name, 0)
            slots = {SlotId(0): ""}
            self.nodes[name] = Node(name, self.make(name, 0), slots=slots, courier=courier)
        self.nodes[STATION] = Node(STATION, self.make(STATION, 0))
        self.schedule()

    # ------------------------------------------------------------ machines

    def make(self, name: NodeId, incarnation: int) -> dict[str, Any]:
        """The machine of an end or of the station."""
        try:
            if name == STATION:
                station = StationContext(self.plan, incarnation)
                return {"station": self.scheme.make_station(station)}
            end = EndContext(name, self.plan, incarnation, (PLATFORM, PLATFORM))
            return {"physical": self.scheme.make_end(end)}
        except Exception as error:
            words = f"{name} cannot be made: {type(error).__name__}: {error}"
            raise self.violation("8.1-1", words) from error

    def neighbours(self, name: NodeId) -> tuple[NodeId, ...]:  # noqa: ARG002
        """Nobody is told of a restart: the machines must find out."""
        return ()

    def light_time(self, source: NodeId, target: NodeId) -> int:
        """Between an end and the station, or between the ends."""
        if STATION in (source, target):
            end = target if source == STATION else source
            return self.plan.flights[self.plan.ends.index(end)]
        return self.plan.direct

    def above(self, who: str) -> str:  # noqa: ARG002
        """The user."""
        return "app"

    def serve(self, node: NodeId, who: str, request: Request) -> None:
        """Nobody is below."""
        raise self.violation(
            "8.1-1", f"{node}: nothing is below {who} that it could ask {request!r}"
        )

    def handle(self, node: Node, name: str, event: Any) -> Any:
        """One step of an end or of the station; both are under test."""
        machine = node.machines.get(name)
        try:
            assert machine is not None, f"{node.name} has no machine {name}"
            return machine.handle(event, Instant(self.now))
        except Exception as error:
            what = f"{node.name}: {type(error).__name__}: {error} on {event!r}"
            raise self.violation("8.1-1", what) from error

    def perform_other(self, node: Node, who: str, effect: Any) -> None:
        """Attempts."""
        match effect:
            case Attempt(op, _, slot, until):
                if node.slots.get(slot) != who or node.arm is not None:
                    words = f"{node.name} is armed already, or {slot} not held"
                    raise self.violation("5.1-1", words)
                self.matter.empty(node.name, slot)
                node.arm = Arm(op, slot, until)
                self.matter.begin()
            case Abort(op):
                self.matter.abort(node, op)
            case _:
                super().perform_other(node, who, effect)

    def crashed(self, node: Node) -> None:
        """Attempts stop."""
        if node.arm is not None:
            self.matter.abort(node, node.arm.op)

    def empty(self, node: NodeId, slot: SlotId) -> None:
        """Discard what is in a slot."""
        self.matter.empty(node, slot)

    def step(self, node: NodeId, op: OpId, instruction: Any, outcomes: list[int]) -> int:  # noqa: ARG002
        """Programs of a physical machine."""
        return self.matter.step(node, instruction, outcomes)

    # ------------------------------------------------------------ users

    def series(self, at: int, node: NodeId, wanted: Sequence[Wanted]) -> None:
        """From ``at`` the user of ``node`` attempts these runs, one after another."""
        self._series[node] = list(wanted)
        self.later(at, lambda: self._next(node))

    def series_later(self, at: int, node: NodeId, wanted: Sequence[Wanted]) -> None:
        """At ``at`` the user of ``node`` forgets what it wanted and begins with these runs."""
        self.later(at, lambda: self.series(self.now, node, wanted))

    def _next(self, name: NodeId) -> None:
        node = self.nodes[name]
        if not node.up or not self._series.get(name) or node.slots[SlotId(0)]:
            return
        one = self._series[name].pop(0)
        self.started.append((self.now, name, one))
        node.slots[SlotId(0)] = "physical"
        until = None if one.until is None else Instant(self.now + one.until)
        self.note(name, f"user starts {one.attempt}")
        if one.stop is not None:
            stop = physical.StopAttempts(one.attempt)
            born = node.incarnation
            self.later(self.now + one.stop, lambda: self._stop(name, stop, born))
        start = physical.StartAttempts(one.attempt, SlotId(0), until)
        self.give(name, "physical", Requested(start, "app"))

    def _stop(self, name: NodeId, stop: physical.StopAttempts, born: int) -> None:
        if self.nodes[name].incarnation == born:
            self.give(name, "physical", Requested(stop, "app"))

    def back(self, name: NodeId) -> None:
        """Power on; its user goes on with the next run."""
        super().back(name)
        if name in self.ends:
            self.later(self.now, lambda: self._next(name))

    def _app(self, node: Node, indication: Any) -> None:
        self.said.append((self.now, node.name, indication))
        self.note(node.name, f"user hears {indication!r}")
        if not isinstance(indication, OVER):
            return
        slot = indication.slot
        if node.slots.get(slot) != "app":
            raise self.violation(
                "2.1-1", f"{node.name}: slot {slot} did not pass up with {indication!r}"
            )
        if isinstance(indication, physical.Heralded):
            half = self.matter.half(node.name, slot)
            label = None if half is None else (half.label[0], half.label[1])
            click = None if half is None else half.pair
            self.heralds.append(Herald(self.now, node.name, indication, click, label))
        self.later(self.now, lambda: self._release(node.name, slot))

    def _release(self, name: NodeId, slot: SlotId) -> None:
        node = self.nodes[name]
        if node.slots.get(slot) == "app":
            self._perform(node, "app", Release(slot))
        self.later(self.now + CYCLE // 10, lambda: self._next(name))
