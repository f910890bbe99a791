"""Parts of the virtual bench: nodes, events, what happened, and what must not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qnet.ids import NodeId, SlotId
from qnet.machine import Acquire
from qnet.runtime.courier import Courier

if TYPE_CHECKING:
    from qnet.testing.conformance.matter import Arm


class NotApplicable(Exception):
    """The target does not offer what the case is about, or the bench cannot follow what it does."""


class Violation(AssertionError):
    """The machine under test did what requirement ``identifier`` forbids."""

    def __init__(self, identifier: str, words: str) -> None:
        super().__init__(f"{identifier}: {words}")
        self.identifier = identifier
        self.words = words


class Hung(Violation):
    """It did not return from one input."""


@dataclass
class Node:
    """One node: its machines, its slots and who holds them ("" for free)."""

    name: NodeId
    machines: dict[str, Any]
    incarnation: int = 0
    up: bool = True
    slots: dict[SlotId, str] = field(default_factory=dict)
    waiting: list[Acquire] = field(default_factory=list)
    queue: deque[tuple[str, Any]] = field(default_factory=deque)
    arm: Arm | None = None
    busy: dict[str, tuple[SlotId, ...]] = field(default_factory=dict)
    accepted: dict[tuple[NodeId, int], None] = field(default_factory=dict)
    courier: Courier | None = None


@dataclass(order=True)
class Event:
    """Something that happens at ``at``; ``rank`` orders what happens at one instant."""

    at: int
    rank: int
    order: int
    run: Callable[[], None] = field(compare=False)
    live: bool = field(default=True, compare=False)


@dataclass(frozen=True)
class Line:
    """One line of what happened: a message, an indication, a fault."""

    at: int
    node: NodeId
    what: str


@dataclass
class Flight:
    """A message: when it was sent, and when its copies were heard; none if it was lost."""

    sent_at: int
    source: NodeId
    target: NodeId
    words: str
    heard_at: list[int] = field(default_factory=list)


def drawn(weights: tuple[float, ...], uniform: float) -> int:
    """Which of some weighted things a uniform number means."""
    rest = uniform * sum(weights)
    for index, weight in enumerate(weights):
        rest -= weight
        if rest < 0.0:
            return index
    return max(index for index, weight in enumerate(weights) if weight > 0.0)
