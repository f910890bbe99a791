"""What the parts of one node's network machine share: its figures, its names, the effects of one step.

Units
    Instants in picoseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qnet.ids import LinkId, NodeId, OpId, PairId, SlotId
from qnet.layers.link import Ok
from qnet.machine import Apply, Effect, Indicate, Message, Release, Request, Send
from qnet.program import Program
from qnet.units import Instant
from qnet_protocols.network.claims import Hardware

Then = Callable[[tuple[int, ...], Instant], None]
"""What happens when a program has ended: (outcomes, instant)."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One side of a circuit at a node: the neighbour, the link to it, and the link label of the circuit.

    Attributes:
        below: name of the machine that gives pairs of that link.
    """

    peer: NodeId
    link: LinkId
    below: str
    label: int


@dataclass(frozen=True, slots=True)
class Half:
    """This node's half of a pair of a link, as the link announced it; figures hold at ``goodness_at``."""

    pair: PairId
    slot: SlotId
    label: tuple[int, int]
    correlators: tuple[float, float, float]
    error: float
    goodness_at: Instant
    created_at: Instant

    @classmethod
    def of(cls, ok: Ok) -> Half:
        """What an announcement says."""
        return cls(
            ok.pair,
            ok.slot,
            ok.label,
            ok.correlators,
            ok.goodness_error,
            ok.goodness_at,
            ok.created_at,
        )


class Desk:
    """Collects the effects of a step, and gives names that never repeat.

    Args:
        node: this node.
        hardware: its figures.
        incarnation: restarts of the node so far.
    """

    def __init__(self, node: NodeId, hardware: Hardware, incarnation: int) -> None:
        self.node = node
        self.hardware = hardware
        self._stem = f"{node}~{incarnation}." if incarnation else f"{node}~"
        self._count = 0
        self._effects: list[Effect] = []
        self._programs: dict[OpId, Then] = {}

    @property
    def programs(self) -> int:
        """Programs under way."""
        return len(self._programs)

    def take(self) -> list[Effect]:
        """The effects of the step that ends now."""
        effects, self._effects = self._effects, []
        return effects

    def name(self, what: str) -> str:
        """A new name."""
        self._count += 1
        return f"{what}{self._stem}{self._count}"

    def send(self, target: NodeId, message: Message) -> None:
        """Send a message."""
        self._effects.append(Send(target, message))

    def ask(self, below: str, request: Any) -> None:
        """Ask a machine below."""
        self._effects.append(Request(request, below))

    def tell(self, indication: Any, *slots: SlotId) -> None:
        """Tell the user above."""
        self._effects.append(Indicate(indication, slots))

    def release(self, slot: SlotId) -> None:
        """Give a slot back."""
        self._effects.append(Release(slot))

    def run(self, program: Program, then: Then) -> None:
        """Run a program; ``then`` is called with its outcomes."""
        op = OpId(self.name("qnp:"))
        self._programs[op] = then
        self._effects.append(Apply(op, program))

    def ended(self, op: OpId, outcomes: tuple[int, ...], now: Instant) -> None:
        """A program has ended."""
        self._programs.pop(op)(outcomes, now)
