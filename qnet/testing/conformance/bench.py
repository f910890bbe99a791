"""The virtual bench of links: two ends of a link, their station and the optics in memory.

Theory
    The ends run the protocol under test above the physical machines of a heralding scheme, on the
    :mod:`floor <qnet.testing.conformance.floor>` of every bench. The bench knows which physical pair
    sits in which slot, so that what the ends announced is compared with the truth.
Assumptions and validity
    A node that is back says something at once (of another layer), so the other end's node hears of the
    restart one light time later, unless a message of this link is faster.
Not modelled
    Other links of a node, noise.
Units
    Picoseconds.
"""

from __future__ import annotations

from typing import Any

from qnet.ids import NodeId, OpId, PairId, SlotId
from qnet.layers import link as service
from qnet.layers import physical
from qnet.machine import Abort, Attempt, Request, Requested
from qnet.plan import LinkPlan
from qnet.plugins import find
from qnet.seams import EndContext, LinkProtocol, StationContext
from qnet.testing.conformance.faults import ALICE, BOB, STATION, Plan
from qnet.testing.conformance.floor import Floor, Hold
from qnet.testing.conformance.matter import Arm, Luck, Matter
from qnet.testing.conformance.parts import Node
from qnet.testing.conformance.post import Fate, Post
from qnet.testing.conformance.stage import MEMORY, PLATFORM, SCHEME, link_plan, other
from qnet.units import Instant


class Bench(Floor):
    """The network.

    Args:
        protocol: under test.
        slots: communication slots of alice and of bob.
        memory: memory slots of alice and of bob.
        luck: what chance decides.
        fate: what happens to a message, besides ``faults``.
        faults: a fault plan.
        hold: how long the user keeps a pair before it releases it, in picoseconds.
        explore: order of what happens at one instant; 0 for the order of causes.
        changes: of the link's plan.
    """

    def __init__(
        self,
        protocol: LinkProtocol,
        *,
        slots: tuple[int, int] = (1, 1),
        memory: tuple[int, int] = (0, 0),
        luck: Luck | None = None,
        fate: Fate | None = None,
        faults: Plan = (),
        hold: Hold = lambda _node, _ok: 0,
        explore: int = 0,
        **changes: Any,
    ) -> None:
        super().__init__("link", faults=faults, hold=hold, explore=explore)
        self.ends = (ALICE, BOB)
        self.protocol = protocol
        self.plan: LinkPlan = link_plan(protocol=protocol.name, **changes)
        self.scheme = find("qnet.heralding", SCHEME)
        outcomes = self.scheme.outcomes(self.plan.optics, self.scheme.parameters())
        labels = {one.pattern: one.label for one in outcomes}
        self.truth: dict[tuple[NodeId, PairId], tuple[int, tuple[int, ...], int]] = {}
        self.late: list[tuple[NodeId, Instant]] = []
        """Where a herald came for attempts that were given up, and when it had clicked."""
        self.matter = Matter(
            self.plan, self.nodes, labels, luck or Luck(), self.later, lambda: self.now
        )
        self.post = Post(
            self, (*protocol.messages, *self.scheme.messages), faults=faults, fate=fate
        )
        self.matter.report = lambda seen: self.post.arrive(STATION, "station", seen)
        for side, name in enumerate(self.plan.ends):
            free = {SlotId(slot): "" for slot in range(slots[side])}
            free |= {SlotId(MEMORY + slot): "" for slot in range(memory[side])}
            courier = self.post.courier(name, 0)
            self.nodes[name] = Node(name, self.make(name, 0), slots=free, courier=courier)
        self.nodes[STATION] = Node(STATION, self.make(STATION, 0))
        self.schedule()

    def make(self, name: NodeId, incarnation: int) -> dict[str, Any]:
        """Link and physical machine of an end, or the machine of the station."""
        if name == STATION:
            return {"station": self.scheme.make_station(StationContext(self.plan, incarnation))}
        end = EndContext(name, self.plan, incarnation, (PLATFORM, PLATFORM))
        try:
            link = self.protocol.make_end(end)
        except Exception as error:
            words = f"{name} cannot be made: {type(error).__name__}: {error}"
            raise self.violation("8.1-1", words) from error
        return {"link": link, "physical": self.scheme.make_end(end)}

    def neighbours(self, name: NodeId) -> tuple[NodeId, ...]:
        """The other end, of an end."""
        return () if name == STATION else (other(name),)

    def light_time(self, source: NodeId, target: NodeId) -> int:
        """Between the ends, or between an end and the station."""
        if STATION in (source, target):
            end = target if source == STATION else source
            return self.plan.flights[self.plan.ends.index(end)]
        return self.plan.direct

    # ------------------------------------------------------------ effects

    def above(self, who: str) -> str:
        """The link is above the physical machine, the user above the link."""
        return "link" if who == "physical" else "app"

    def serve(self, node: NodeId, who: str, request: Request) -> None:
        """The link asks the physical machine."""
        slot = getattr(request.request, "slot", None)
        if slot is not None:
            self.move(self.nodes[node], who, "physical", slot)
        self.nodes[node].queue.append(("physical", Requested(request.request, who)))

    def handle(self, node: Node, name: str, event: Any) -> Any:
        """One step; late heralds are written down."""
        late = getattr(event, "indication", None)
        if isinstance(late, physical.HeraldedLate):
            self.late.append((node.name, late.clicked_at))
        return super().handle(node, name, event)

    def perform_other(self, node: Node, who: str, effect: Any) -> None:
        """Attempts."""
        match effect:
            case Attempt(op, _, slot, until):
                if node.slots[slot] != who or node.arm is not None:
                    words = f"{node.name} is armed already, or {slot} not held"
                    raise self.violation("5.1-5", words)
                self.matter.empty(node.name, slot)
                node.arm = Arm(op, slot, until)
                self.matter.begin()
            case Abort(op):
                self.matter.abort(node, op)
            case _:
                super().perform_other(node, who, effect)

    def released(self, node: Node, who: str, slot: SlotId) -> None:
        """A link waits for its programs first."""
        if any(slot in slots for slots in node.busy.values()):
            raise self.violation("5.1-3", f"{node.name} releases busy slot {slot}")
        super().released(node, who, slot)

    def crashed(self, node: Node) -> None:
        """Attempts stop."""
        if node.arm is not None:
            self.matter.abort(node, node.arm.op)

    def empty(self, node: NodeId, slot: SlotId) -> None:
        """Discard what is in a slot."""
        self.matter.empty(node, slot)

    def step(self, node: NodeId, op: OpId, instruction: Any, outcomes: list[int]) -> int:  # noqa: ARG002
        """One instruction on halves of pairs."""
        return self.matter.step(node, instruction, outcomes)

    def announced_at(self, node: Node, ok: service.Ok) -> None:
        """Write down which physical pair it is, in which state."""
        half = self.matter.half(node.name, ok.slot)
        if half is not None:
            self.truth.setdefault((node.name, ok.pair), (half.pair, tuple(half.label), self.now))
