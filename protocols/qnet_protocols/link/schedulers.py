"""Which request gets the next pair: the same answer at both ends, without asking each other.

Theory
    The answer is a function of what both ends know alike: the agreed entries (terms, number, start
    and tag, all fixed when they were agreed), the pairs made of each, and the *boundary*, the end of
    the last turn, an instant that both compute from the click of its pair. The next turn begins at

        begin = max(boundary, smallest start of the entries that want a pair),

    and among the entries with start <= begin the one with the smallest key is served. A start lies
    so late that both ends normally know the entry by then. If a message was lost or overtaken, one
    end knows an entry later than the other; until then the two attempt under different ids and the
    station refuses every click. The choice is made again whenever the entries change, *with the old
    boundary*, so an end that learns of an entry late comes to the choice that its peer has made, and
    no decision depends on when a message arrived. Nothing is preempted: an entry that starts after
    ``begin`` has no part in the choice.

    The key is a plug-in (:class:`qnet.seams.Scheduler`); here are three. *fifo*: key = number.
    *priority*: key = (priority, number), 0 first. *wfq*, weighted fair queueing per pair: the
    virtual finish of the next pair of a request is

        finish = tag + (pairs made + 1) cycles_per_pair / weight of its priority,

    that is finish = max(v, last finish) + cycles_per_pair / weight counted from v, the virtual time
    when the request came: the start of the pair then being made. [1] writes the cycle number for v;
    a queue of weight w then runs behind the clock by a factor w, and a newcomer waits for all the
    past. v is counted in served work instead [2]. Weight 0 comes before all others, in the order of
    arrival. The master gives the tag when it gives the number.
Late, early, impossible
    See :mod:`qnet_protocols.link.egp`.
Assumptions and validity
    Every pair of a link costs the same number of cycles on average.
Not modelled
    Preemption of a pair that is being attempted.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778, section 5.3, and its simulation code: strict priority, weighted fair queueing.
    [2] Goyal, Vin, Cheng, "Start-time fair queueing", IEEE/ACM Trans. Networking 5, 690 (1997),
        doi 10.1109/90.649569.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from qnet.layers.scheduling import SchedulerContext, Waiting
from qnet.machine import Record
from qnet.plugins import find
from qnet.seams import Scheduler
from qnet.units import Instant
from qnet_protocols.link.queue import Agreed


class Turn(Record, frozen=True):
    """``entry`` gets the next pair; attempts begin at ``begin``, not before, and stop at ``end``."""

    entry: Agreed
    begin: Instant
    end: Instant | None = None


class Chooser(Protocol):
    """What the turns of an end need to know of a scheduler."""

    @property
    def tag(self) -> float:
        """Start tag of a request that is agreed now."""
        ...

    def next(self, entries: Iterable[Agreed], boundary: Instant, now: Instant) -> Turn | None:
        """The turn after ``boundary``, as seen from ``now``; None if no entry wants a pair."""
        ...


class Ordered:
    """Order of requests at one end, by the keys of a scheduler.

    Args:
        scheduler: whose keys.
        context: what it may know.
    """

    def __init__(self, scheduler: Scheduler, context: SchedulerContext) -> None:
        self._scheduler = scheduler
        self._context = context
        self._virtual = 0.0

    @property
    def tag(self) -> float:
        """Virtual time, the start tag of a request that is agreed now."""
        return self._virtual

    def next(
        self,
        entries: Iterable[Agreed],
        boundary: Instant,
        now: Instant,  # noqa: ARG002
    ) -> Turn | None:
        """The turn after ``boundary``, whenever it is asked; None if no entry wants a pair."""
        ready = [entry for entry in entries if entry.progress.served < entry.terms.pairs]
        if not ready:
            return None
        begin = max(boundary, min(entry.start for entry in ready))
        chosen = ready[0]
        if len(ready) > 1:
            able = [entry for entry in ready if entry.start <= begin]
            begun = [entry for entry in able if undivided(entry)]
            chosen = min(begun or able, key=self._key)
        worked = chosen.progress.served * self._context.cost(chosen)
        self._virtual = max(self._virtual, chosen.tag + worked)
        return Turn(chosen, Instant(begin))

    def _key(self, entry: Agreed) -> tuple[tuple[float, ...], int]:
        return self._scheduler.key(entry, self._context), entry.number


def ordered(
    chosen: str | Mapping[str, Any], weights: Sequence[float], cycles_per_pair: float
) -> Ordered:
    """The order of the scheduler that a protocol's parameters name.

    Args:
        chosen: its name, or a table with its ``name`` and its own parameters.
        weights: of the priorities 0, 1, ...
        cycles_per_pair: mean attempts per pair.

    Raises:
        PluginError: there is no such scheduler.
    """
    given = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
    scheduler = find("qnet.schedulers", given.pop("name"))
    parameters = msgspec.to_builtins(msgspec.convert(given, scheduler.parameters))
    return Ordered(scheduler, SchedulerContext(tuple(weights), cycles_per_pair, parameters))


def _fifo(request: Waiting, _context: SchedulerContext) -> tuple[float, ...]:
    """First in, first out: in the order in which requests were agreed."""
    return (request.number,)


def _priority(request: Waiting, _context: SchedulerContext) -> tuple[float, ...]:
    """Strict priority, 0 first; first in, first out among equals."""
    return (request.priority,)


def _wfq(request: Waiting, context: SchedulerContext) -> tuple[float, ...]:
    """Weighted fair queueing: pairs in proportion to the weights of the priorities."""
    cost = context.cost(request)
    if cost == 0.0:
        return (0.0,)
    return (1.0, request.tag + (request.served + 1) * cost)


FIFO: Final = Scheduler(name="fifo", key=_fifo)
PRIORITY: Final = Scheduler(name="priority", key=_priority)
WFQ: Final = Scheduler(
    name="wfq",
    key=_wfq,
    sources=(
        "Dahlberg et al., SIGCOMM 2019, arXiv 1903.09778, section 5.3",
        "Goyal, Vin, Cheng, IEEE/ACM Trans. Networking 5, 690 (1997)",
    ),
)


def undivided(entry: Agreed) -> bool:
    """Whether no other pair may come before its next one."""
    terms = entry.terms
    return (terms.consecutive or terms.atomic) and entry.progress.served > 0
