"""The time authority: decides which instant comes next and who has something to do then.

Theory
    Conservative. A host that has nothing runnable reports its earliest deadline and everything it sent.
    When all hosts that were granted have reported, the authority picks the earliest instant among
    deadlines and things due, and grants it to just the hosts that have something then.

    Order within an instant is by content, never by arrival: key (instant, delta round, rank, source,
    sequence). Something due at the present instant that is made in round d (a zero-delay message) belongs
    to round d + 1. Rank puts messages before results and results before clicks.

Validity
    Exact. It needs every granted host to report before it moves on; a host that never does is the
    launcher's business (liveness), not the authority's.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from qnet.errors import ClockStalled, QnetInternalError
from qnet.ids import NodeId
from qnet.units import LAST_INSTANT, Instant, seconds
from qnet.wire.control import Item

MAX_ROUNDS: Final = 100_000
"""Delta rounds of one instant after which the run is declared to loop."""

RANK_INTERNAL: Final = 0
RANK_MESSAGE: Final = 1
RANK_RESULT: Final = 2
RANK_CLICK: Final = 3


@dataclass(slots=True)
class Due:
    """Something due: an item for a node, or an action of the world itself.

    ``incarnation``: the item is an answer to that incarnation of the node and to no other.
    """

    node: NodeId | None
    item: Item | None
    action: Callable[[Instant], None] | None = None
    cancelled: bool = False
    incarnation: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One delta round: who is granted, with which items (per node, in order)."""

    at: Instant
    round: int
    hosts: tuple[str, ...]
    items: Mapping[NodeId, list[Item]]
    actions: tuple[Callable[[Instant], None], ...] = field(default=())


class Authority:
    """Keeps the agenda of a run.

    Args:
        host_of: which host runs which node.

    Attributes:
        admit: when an item that is due comes to its node: then, later, or never; None: always then.
    """

    def __init__(self, host_of: Mapping[NodeId, str]) -> None:
        self.admit: Callable[[Due, Instant], Instant | None] | None = None
        self._host_of = dict(host_of)
        self._deadlines: dict[str, Instant | None] = dict.fromkeys(sorted(set(host_of.values())))
        self._heap: list[tuple[int, int, int, str, int, int, Due]] = []
        self._pushes = 0
        self.now = Instant(0)
        self.round = -1

    @property
    def hosts(self) -> tuple[str, ...]:
        """All hosts in order of name."""
        return tuple(self._deadlines)

    def push(
        self,
        at: Instant,
        due: Due,
        *,
        rank: int,
        source: str,
        sequence: int,
    ) -> Due:
        """Put something on the agenda; at the present instant it falls into the next round."""
        if at < self.now:
            raise QnetInternalError(f"{due} due at {at} ps, which is before now, {self.now} ps")
        delta = self.round + 1 if at == self.now else 0
        self._pushes += 1
        heapq.heappush(self._heap, (at, delta, rank, source, sequence, self._pushes, due))
        return due

    def report(self, host: str, deadline: Instant | None) -> None:
        """Host ``host`` is idle until ``deadline`` (None: until something is due for it)."""
        self._deadlines[host] = deadline

    def next_instant(self) -> Instant | None:
        """The earliest instant at which anything happens, or None."""
        heap = self._heap
        while heap and heap[0][-1].cancelled:
            heapq.heappop(heap)
        earliest = Instant(heap[0][0]) if heap else None
        for deadline in self._deadlines.values():
            if deadline is not None and (earliest is None or deadline < earliest):
                earliest = deadline
        return earliest

    def next_turn(self) -> Turn | None:
        """Advance to the next round; None if nothing will ever happen again.

        Raises:
            ClockStalled: the present instant never ends, or simulated time does.
        """
        at = self.next_instant()
        if at is None:
            return None
        if at > LAST_INSTANT:
            raise ClockStalled(
                f"simulated time must stay below {seconds(LAST_INSTANT):.7g} s (2^63 ps); the next thing is due "
                f"after that, for {', '.join(self._busy_at(at))}"
            )
        if at == self.now:
            self.round += 1
            if self.round > MAX_ROUNDS:
                raise ClockStalled(
                    f"an instant must end within {MAX_ROUNDS} delta rounds; {at} ps has not. "
                    f"Still busy: {', '.join(self._busy_at(at))}"
                )
        else:
            self.now = at
            self.round = 0
        items: dict[NodeId, list[Item]] = {}
        actions: list[Callable[[Instant], None]] = []
        heap = self._heap
        while heap and heap[0][0] == at and heap[0][1] <= self.round:
            _, _, rank, source, sequence, _, due = heapq.heappop(heap)
            if due.cancelled:
                continue
            if due.action is not None:
                actions.append(due.action)
            if due.node is None or due.item is None:
                continue
            comes = at if self.admit is None else self.admit(due, at)
            if comes == at:
                items.setdefault(due.node, []).append(due.item)
            elif comes is not None:
                held = Due(due.node, due.item, incarnation=due.incarnation)
                self.push(comes, held, rank=rank, source=source, sequence=sequence)
        hosts = {self._host_of[node] for node in items}
        for host, deadline in self._deadlines.items():
            if deadline == at:
                hosts.add(host)
        return Turn(at, self.round, tuple(sorted(hosts)), items, tuple(actions))

    def first_turn(self) -> Turn:
        """Round 0 of instant 0, which every host gets."""
        self.round = 0
        return Turn(self.now, 0, self.hosts, {})

    def _busy_at(self, at: Instant) -> Iterable[str]:
        waiting = {str(due.node) for when, *_, due in self._heap if when == at and due.node}
        waiting.update(host for host, deadline in self._deadlines.items() if deadline == at)
        return sorted(waiting)
