"""Requests as their two ends keep them, whichever circuit serves them.

Sources
    Physics reference A7.3: fidelity from test rounds.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from typing import Final

from qnet.ids import CircuitId, NodeId, PairId, RequestId
from qnet.layers.link import BasisChoice, Create, ErrorCode, FidelityEstimated, Kind
from qnet.units import Instant
from qnet_protocols.network.messages import Abandoned, Complete

REPORT_EVERY: Final = 100
"""Test rounds between two estimates."""

RESERVED: Final = 0x8000
"""Link labels start here; purposes of applications end before."""


@dataclass(slots=True)
class Asked:
    """A request at the end that made it.

    Attributes:
        create: as asked.
        order: number of the request at this node.
        requested_at, deadline: instants; None for no limit.
        delivered: pairs announced here and not expired.
        assigned: pairs of the first link that are meant for it and not announced.
        tests, wrong: test rounds that are over.
    """

    create: Create
    order: int
    requested_at: Instant
    deadline: Instant | None
    delivered: int = 0
    assigned: int = 0
    tests: int = 0
    wrong: int = 0
    _next: int = 1
    _free: list[int] = field(default_factory=list)

    @property
    def name(self) -> RequestId:
        """Its id."""
        return self.create.request

    @property
    def wants(self) -> bool:
        """Whether it takes another pair of the link."""
        return self.delivered + self.assigned < self.create.number

    def assign(self) -> int:
        """Take one more; which pair of the request it is to become."""
        self.assigned += 1
        if self._free:
            return heapq.heappop(self._free)
        self._next += 1
        return self._next - 1

    def unassign(self, index: int) -> None:
        """It came to nothing."""
        self.assigned -= 1
        heapq.heappush(self._free, index)

    def deliver(self) -> None:
        """It was announced."""
        self.assigned -= 1
        self.delivered += 1

    def expire(self) -> None:
        """An announced pair is not valid; another one takes its place, under a new index."""
        self.delivered -= 1

    def tested(self, bad: bool) -> bool:
        """A test round is over; whether it is time for an estimate."""
        self.tests += 1
        self.wrong += bad
        return self.tests % REPORT_EVERY == 0

    def estimate(self) -> FidelityEstimated:
        """What the test rounds say, A7.3."""
        share = self.wrong / self.tests
        error = 1.5 * math.sqrt(share * (1.0 - share) / self.tests)
        create = self.create
        return FidelityEstimated(
            self.name, True, create.remote, create.purpose, 1.0 - 1.5 * share, error, self.tests
        )


@dataclass(slots=True)
class Served:
    """A request at the other end.

    Attributes:
        request, head, purpose, number, service, distant, final, requested_at: as in FORWARD.
        circuit: which serves it; of a broken one until the head end says how it goes on.
        orphan: that circuit broke, and the head end has not said how it goes on.
        delivered: pairs announced here and not expired.
        measuring: pairs that are being measured for it.
        ending: how it shall end when they are measured, None if nothing says so yet.
        void: pairs of the head's link that shall not be announced any more.
    """

    request: RequestId
    circuit: CircuitId
    head: NodeId
    purpose: int
    number: int
    service: Kind
    distant: BasisChoice
    final: tuple[int, int] | None
    requested_at: Instant
    orphan: bool = False
    delivered: int = 0
    measuring: int = 0
    ending: Complete | Abandoned | None = None
    void: frozenset[PairId] = frozenset()


def malformed(create: Create, node: NodeId) -> tuple[ErrorCode, str] | None:
    """Why a request cannot be taken whatever the network, or None."""
    rules: tuple[tuple[bool, str], ...] = (
        (create.remote != node, f"remote must be another node, got {create.remote}"),
        (create.number >= 1, f"number must be >= 1, got {create.number}"),
        (
            0.0 <= create.minimum_fidelity <= 1.0,
            f"minimum_fidelity must obey 0 <= F <= 1, got {create.minimum_fidelity}",
        ),
        (create.max_time >= 0, f"max_time must be >= 0 ps, got {create.max_time}"),
        (
            0 <= create.purpose < RESERVED,
            f"purpose must be >= 0 and < {RESERVED}, where link labels begin, got {create.purpose}",
        ),
        (
            0.0 <= create.test_share < 1.0,
            f"test_share must obey 0 <= share < 1, got {create.test_share}",
        ),
    )
    for holds, words in rules:
        if not holds:
            return ErrorCode.CREATE, words
    offered: tuple[tuple[bool, str], ...] = (
        (create.kind in ("K", "M", "E"), f"kind must be K, M or E end to end, got {create.kind}"),
        (
            not (create.atomic or create.consecutive) or create.number == 1,
            f"atomic and consecutive must be False end to end for more than one pair, got {create.number} pairs",
        ),
        (
            create.final is None or create.kind == "K",
            f"a final label must be asked for with kind K, got kind {create.kind}",
        ),
    )
    for holds, words in offered:
        if not holds:
            return ErrorCode.UNSUPP, words
    return None
