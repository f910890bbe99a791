"""The truth of the virtual bench: which physical pair sits where, in which Bell state, and the optics.

Theory
    A pair is two halves that share a Bell label (x, z). Pauli gates at either half change it; a
    measurement of the first half in a basis is by luck, of the second one in the same basis what the
    label says; in different bases both are by luck. The optics lets both ends attempt as soon as both
    are armed, and clicks at the attempt that the luck of the run says. The luck is an argument.
Not modelled
    Noise: what a protocol claims of a fidelity is compared with the plan of the link, not with a state.
    Gates but Paulis and SWAP move no label; rotations before a read-out spoil no basis.
Units
    Picoseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qnet.ids import NodeId, SlotId
from qnet.machine import Observed
from qnet.plan import LinkPlan
from qnet.program import Draw, Gate, Initialise, Measure
from qnet.testing.conformance.stage import LINK
from qnet.units import Instant

if TYPE_CHECKING:
    from qnet.testing.conformance.parts import Event, Node

PAULIS = {"X": (1, 0), "Z": (0, 1), "Y": (1, 1)}
"""Which bits of a label (x, z) a Pauli gate at one half flips."""

_INITIALISE = 500_000
_SWAP = 3_000_000
_READ_OUT = 3_200_000


def odd(label: tuple[int, int], basis: str) -> int:
    """Parity of the outcomes of both halves in a Pauli basis."""
    x, z = label
    return {"X": z, "Y": 1 ^ x ^ z, "Z": x}[basis]


@dataclass
class Arm:
    """An end whose optics emits photons of ``slot``."""

    op: str
    slot: SlotId
    until: Instant | None


@dataclass
class Half:
    """One half of a physical pair in a slot.

    Attributes:
        pair: number of the physical pair.
        label: shared by both halves, changed by corrections.
        bits: shared: outcome of the half that was read first, by basis.
    """

    pair: int
    label: list[int]
    bits: dict[str, int]


@dataclass
class Click:
    """A success of the optics: number, true label, instant, and the ends that were armed."""

    run: int
    label: tuple[int, int]
    at: Instant


@dataclass
class Luck:
    """What chance decides on a bench.

    Attributes:
        success: number of the run -> index (from 1) of its first successful attempt.
        pattern: number of the run -> index of its click pattern.
        bit: number of the physical pair, basis -> what is read of the half that is read first.
        draw: weights -> index of the drawn one.
    """

    success: Callable[[int], int] = lambda run: 1 + run % 3
    pattern: Callable[[int], tuple[int, ...]] | None = None
    bit: Callable[[int, str], int] = lambda pair, _basis: pair % 2
    draw: Callable[[tuple[float, ...]], int] = lambda _weights: 0


@dataclass
class Matter:
    """Halves in slots, and the optics of the link. The bench drives it."""

    plan: LinkPlan
    nodes: dict[NodeId, Node]
    labels: dict[tuple[int, ...], tuple[int, int]]
    luck: Luck
    later: Callable[..., Event]
    clock: Callable[[], int]
    content: dict[tuple[NodeId, SlotId], Half] = field(default_factory=dict)
    clicks: list[Click] = field(default_factory=list)
    corrected: list[tuple[NodeId, int]] = field(default_factory=list)
    """(node, physical pair) of every Pauli gate on a half."""
    runs: int = 0
    click: tuple[Event, int, dict[NodeId, Arm]] | None = None
    report: Callable[[Observed], None] = lambda _observed: None

    @property
    def now(self) -> int:
        """The present instant."""
        return self.clock()

    def half(self, node: NodeId, slot: SlotId) -> Half | None:
        """The half in ``slot`` of ``node``."""
        return self.content.get((node, slot))

    def empty(self, node: NodeId, slot: SlotId) -> None:
        """Discard what is in ``slot``."""
        self.content.pop((node, slot), None)

    # ------------------------------------------------------------ programs

    def step(self, node: NodeId, instruction: Any, outcomes: list[int]) -> int:
        """Perform one instruction; its duration."""
        match instruction:
            case Gate("SWAP", (first, second)):
                one = self.content.pop((node, first), None)
                another = self.content.pop((node, second), None)
                if one is not None:
                    self.content[node, second] = one
                if another is not None:
                    self.content[node, first] = another
                return _SWAP
            case Gate(name, (slot,)):
                half = self.half(node, slot)
                if half is not None and name in PAULIS:
                    x, z = PAULIS[name]
                    half.label[0] ^= x
                    half.label[1] ^= z
                    self.corrected.append((node, half.pair))
                return self.plan.correction[self.plan.ends.index(node)]
            case Initialise(slot):
                self.empty(node, slot)
                return _INITIALISE
            case Draw(weights):
                outcomes.append(self.luck.draw(weights))
                return 0
            case Measure():
                choice, basis = instruction.choice, instruction.basis
                if choice is not None:
                    basis = instruction.bases[outcomes[choice]]
                outcomes.append(self.read(node, instruction.slot, basis))
                return _READ_OUT
        raise AssertionError(
            f"an instruction of a link must be one that the bench has, got {instruction!r}"
        )

    def read(self, node: NodeId, slot: SlotId, basis: str) -> int:
        """Read a half; it is gone."""
        half = self.content.pop((node, slot), None)
        if half is None:
            return 0
        if basis not in half.bits:
            half.bits[basis] = self.luck.bit(half.pair, basis)
            return half.bits[basis]
        if basis not in PAULIS:
            return half.bits[basis]
        return half.bits[basis] ^ odd((half.label[0], half.label[1]), basis)

    # ------------------------------------------------------------ optics

    def begin(self) -> None:
        """Start a run of attempts if both ends are armed."""
        arms = {name: self.nodes[name].arm for name in self.plan.ends}
        armed = {name: arm for name, arm in arms.items() if arm is not None}
        if len(armed) < len(arms) or self.click is not None:
            return
        self.runs += 1
        cycle = self.plan.cycle
        start = -(-self.now // cycle) * cycle
        emitted = start + self.plan.preparation + (self.luck.success(self.runs) - 1) * cycle
        if any(arm.until is not None and emitted >= arm.until for arm in armed.values()):
            return
        run = self.runs
        event = self.later(emitted + max(self.plan.flights), lambda: self._clicked(run, armed))
        self.click = (event, emitted, armed)

    def abort(self, node: Node, op: str) -> None:
        """No further photon of attempt run ``op``; one that is under way may still click."""
        if node.arm is None or node.arm.op != op:
            return
        node.arm = None
        if self.click is not None and self.click[1] >= self.now:
            self.click[0].live = False
            self.click = None

    def _clicked(self, run: int, armed: dict[NodeId, Arm]) -> None:
        self.click = None
        patterns = tuple(self.labels)
        choose = self.luck.pattern
        pattern = patterns[run % len(patterns)] if choose is None else choose(run)
        label = list(self.labels[pattern])
        bits: dict[str, int] = {}
        self.clicks.append(Click(run, self.labels[pattern], Instant(self.now)))
        for name, arm in armed.items():
            node = self.nodes[name]
            if node.arm is arm:
                node.arm = None
                self.content[name, arm.slot] = Half(run, label, bits)
        self.report(Observed(LINK, pattern, Instant(self.now)))
        self.begin()
