"""How messages travel on the virtual bench: light times, and the faults of a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from qnet.ids import NodeId
from qnet.machine import Message, Received
from qnet.plan import LinkPlan
from qnet.testing.conformance.faults import STATION, MessageFault, NodeFault, NodeWhat, Plan
from qnet.testing.conformance.parts import Event, Flight, Violation
from qnet.units import Instant

OVERTAKEN: Final = 10
"""A message that is overtaken waits for the next one so many light times at the longest."""

Fate = Callable[[NodeId, NodeId, Any, int], tuple[int, ...]]
"""(source, target, message, how many of its type before it) -> extra delays of its copies; () loses it."""

Channel = tuple[NodeId, NodeId]


class Spells:
    """The faults of nodes in a plan."""

    def __init__(self, faults: Plan) -> None:
        self.all = tuple(one for one in faults if isinstance(one, NodeFault))

    def get(self, what: NodeWhat, node: NodeId, at: int) -> NodeFault | None:
        """The fault of that sort that ``node`` suffers at ``at``."""
        for one in self.all:
            if one.what == what and one.node == node and one.start <= at < one.end:
                return one
        return None


class Post:
    """Carries the messages of a bench.

    Args:
        plan: light times.
        kinds: messages that may be sent.
        faults: a fault plan.
        fate: what happens to a message besides.
        clock: the present instant.
        later: schedules an arrival.
        note: writes down what happened.
        give: hands an event to a machine of a node.
    """

    def __init__(
        self,
        plan: LinkPlan,
        kinds: tuple[type[Message], ...],
        *,
        faults: Plan,
        fate: Fate | None,
        clock: Callable[[], int],
        later: Callable[..., Event],
        note: Callable[[NodeId, str], None],
        give: Callable[[NodeId, str, Any], None],
    ) -> None:
        self._plan, self._kinds, self._fate = plan, kinds, fate
        self._clock, self._later, self._note, self._give = clock, later, note, give
        self._spells = Spells(faults)
        self._faults = {
            (one.source, one.target, one.nth): one
            for one in faults
            if isinstance(one, MessageFault)
        }
        self._by_type: Counter[type] = Counter()
        self._by_channel: Counter[Channel] = Counter()
        self._overtaken: dict[Channel, Event] = {}
        self.sent: list[tuple[int, NodeId, NodeId, Any]] = []
        self.flights: list[Flight] = []

    def send(self, source: NodeId, target: NodeId, message: Any) -> None:
        """Send it, as the faults let it."""
        now = self._clock()
        decoded = self._wire(source, message)
        number = self._by_type[type(message)]
        self._by_type[type(message)] += 1
        channel = (source, target)
        self._by_channel[channel] += 1
        nth = self._by_channel[channel]
        self.sent.append((now, source, target, message))
        self._note(source, f"sends {target} number {nth}, {message!r}")
        flight = Flight(now, source, target, message.kind.partition("/")[2].partition("@")[0])
        self.flights.append(flight)
        stall = self._spells.get("stall", source, now)
        left = now if stall is None else stall.end
        arrival = left + self._light_time(source, target)
        extras = (0,) if self._fate is None else self._fate(source, target, message, number)
        fault = self._faults.get((source, target, nth))
        what = "" if fault is None else fault.what
        cut = any(self._spells.get("partition", name, left) is not None for name in channel)
        if cut or what == "lose":
            self._note(source, f"number {nth} to {target} is lost")
            return
        if fault is not None and what == "double":
            extras = (*extras, fault.by)
        if fault is not None and what == "delay":
            extras = tuple(extra + fault.by for extra in extras)
        self._let_pass(channel, now, arrival)
        machine = "station" if target == STATION else message.kind.partition(".")[0]
        event = Received(source, message.kind, decoded, Instant(now))
        waits = OVERTAKEN * self._light_time(source, target) if what == "overtake" else 0
        for extra in extras:
            one = self._later(
                arrival + extra + waits,
                lambda: self.arrive(target, machine, event, flight),
                ranked=True,
            )
            if waits:
                self._overtaken[channel] = one

    def _let_pass(self, channel: Channel, now: int, arrival: int) -> None:
        """A message arrives at ``arrival``: the one that waits to be overtaken comes right after it."""
        waiting = self._overtaken.pop(channel, None)
        if waiting is not None and waiting.live and now < arrival + 1 < waiting.at:
            waiting.live = False
            self._later(arrival + 1, waiting.run, ranked=True)

    def arrive(
        self, target: NodeId, machine: str, event: Any, flight: Flight | None = None
    ) -> None:
        """Hand an event over, or keep it while its node stands still."""
        stall = self._spells.get("stall", target, self._clock())
        if stall is not None:
            self._later(stall.end, lambda: self.arrive(target, machine, event, flight))
            return
        if flight is not None:
            flight.heard_at.append(self._clock())
        self._give(target, machine, event)

    def _wire(self, source: NodeId, message: Any) -> Any:
        layer = message.kind.partition(".")[0]
        if type(message) not in self._kinds or layer not in ("link", "physical"):
            raise Violation("QN-LINK-7.2-3", f"{source}: {message!r} is of no listed kind")
        decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=type(message))
        if decoded != message:
            raise Violation("QN-LINK-7.2-3", f"{source}: {message!r} decodes to {decoded!r}")
        return decoded

    def _light_time(self, source: NodeId, target: NodeId) -> int:
        if STATION in (source, target):
            end = target if source == STATION else source
            return self._plan.flights[self._plan.ends.index(end)]
        return self._plan.direct
