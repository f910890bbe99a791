"""The virtual bench of the conformance suite, with the luck that the tests of machines write down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qnet.ids import AttemptId, NodeId
from qnet.layers import link as service
from qnet.plugins import find
from qnet.testing.conformance.audit import liveness, safety
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.faults import ALICE, BOB, STATION
from qnet.testing.conformance.matter import Luck
from qnet.testing.conformance.post import Fate
from qnet.testing.conformance.stage import CYCLE, FLIGHTS, LINK, PLATFORM, context, link_plan
from qnet_protocols.heralding.double_click import LABELS

__all__ = [
    "ALICE",
    "BOB",
    "CYCLE",
    "FLIGHTS",
    "LINK",
    "PLATFORM",
    "STATION",
    "context",
    "link_plan",
]

PATTERNS = tuple(LABELS)

Fault = Fate


class Net(Bench):
    """The network.

    Args:
        success: number of the run -> index (from 1) of its first successful attempt.
        pattern: number of the run -> click pattern.
        fault: what happens to a message.
        protocol: name of the link protocol.
        options: of the bench.
    """

    def __init__(
        self,
        *,
        success: Callable[[int], int] = lambda run: 1 + run % 3,
        pattern: Callable[[int], tuple[int, ...]] = lambda run: PATTERNS[run % 4],
        fault: Fault | None = None,
        protocol: str = "egp",
        **options: Any,
    ) -> None:
        self.draws = 0
        luck = Luck(success, pattern, draw=self._draw)
        super().__init__(find("qnet.links", protocol), luck=luck, fate=fault, **options)

    def _draw(self, weights: tuple[float, ...]) -> int:
        self.draws += 1
        return (self.draws + self.draws // 2) % len(weights)

    @property
    def success(self) -> Callable[[int], int]:
        return self.matter.luck.success

    @success.setter
    def success(self, success: Callable[[int], int]) -> None:
        self.matter.luck.success = success

    def verify(self) -> None:
        """The invariants at rest, those of the service and those of the machine's own state."""
        safety(self, _check)
        liveness(self, _check)
        for ok, twin in zip(*map(self._kept, (ALICE, BOB)), strict=not self.restarted):
            assert self.restarted or (ok.pair, ok.goodness_at) == (twin.pair, twin.goodness_at)
        for node in (ALICE, BOB):
            state = self.nodes[node].machines["link"].state
            assert (state.open, state.closing, state.measuring) == (0, 0, 0), state
            assert (state.returning, state.memory) == ((), ()), state

    def _kept(self, node: NodeId) -> list[service.Ok]:
        valid = self.announced(node).values()
        return [ok for ok in valid if isinstance(ok, service.Ok) and ok.kind == "K"]


def _check(identifier: str, holds: bool, words: str) -> None:
    assert holds, f"{identifier}: {words}"


def dropping(*kinds: type[Any], to: NodeId | None = None, first: int = 1) -> Fault:
    """Loses the first ``first`` messages of each of ``kinds`` (to ``to`` only, if given)."""
    lost: dict[type[Any], int] = {}

    def fault(source: NodeId, target: NodeId, message: Any, count: int) -> tuple[int, ...]:
        kind = type(message)
        if kind in kinds and to in (None, target) and lost.get(kind, 0) < first:
            lost[kind] = lost.get(kind, 0) + 1
            return ()
        return (0,)

    return fault


def attempt(request: str, index: int = 1) -> AttemptId:
    """Attempt id as text."""
    return AttemptId(f"{request}.{index}")
