"""What goes wrong, and when: decisions from the faults of a plan, without state and without effects.

Theory
    Every decision is a function of the plan and of keyed random numbers with the key (seed, "fault",
    name of the fault, channel, incarnation and sequence number of the message): the fate of one
    message depends on no other. A message meets the faults of its channel in the order of the plan.
    It leaves at the end of a stall of its sender, else when it is sent; ``start`` and ``end`` of
    Impair and Partition are about that instant.
    Attempts whose photons meet dead fibre or dead detectors never click, so the index of the first
    click is drawn afresh from the end of each dark interval: attempts are independent.
Not modelled
    Corrupted messages (a checksum makes them lost ones); bursts of losses; a node whose clock is off.
    In a stall the timers of a node go on.
Units
    Picoseconds.
Sources
    [1] Gilbert, Lynch, "Brewer's conjecture ...", SIGACT News 33(2), 51 (2002): lost messages as the
        model of a partition.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from qnet.ids import NodeId
from qnet.plan import Crash, Cut, Fault, Impair, LinkPlan, Partition, Single, Stall
from qnet.randomness import keyed_uniform
from qnet.units import Duration, Instant

NEVER: Final = 1 << 64
"""End of what does not end: after every instant."""

Interval = tuple[int, int]
"""First instant and the instant after the last."""


class Passage(NamedTuple):
    """What becomes of one message: when its copies arrive, or the name of the fault that loses it."""

    arrivals: tuple[Instant, ...]
    lost_to: str = ""


class Faults:
    """The faults of a run.

    Args:
        seed: of the run.
        faults: of its plan.
    """

    def __init__(self, seed: int, faults: Iterable[Fault]) -> None:
        self._seed = seed
        self.faults = tuple(faults)
        self.crashes = tuple(fault for fault in self.faults if isinstance(fault, Crash))
        self._stalls = tuple(fault for fault in self.faults if isinstance(fault, Stall))
        self._in_the_way = tuple(
            fault for fault in self.faults if isinstance(fault, Impair | Single | Partition)
        )

    def __bool__(self) -> bool:
        return bool(self.faults)

    def passage(
        self,
        source: NodeId,
        target: NodeId,
        kind: str,
        message: tuple[int, int],
        sent_at: Instant,
        light_time: Duration,
    ) -> Passage:
        """What becomes of a message.

        Args:
            source: who sends it.
            target: who shall get it.
            kind: of the message.
            message: incarnation of the sender and sequence number on the channel.
            sent_at: now.
            light_time: of the channel.
        """
        leaves = self.awake(source, sent_at)
        held = [0]
        for fault in self._in_the_way:
            if isinstance(fault, Partition):
                if _within(fault, leaves) and (source in fault.nodes) != (target in fault.nodes):
                    return Passage((), fault.name)
            elif isinstance(fault, Single):
                if (fault.source, fault.target, 0, fault.number - 1) != (source, target, *message):
                    continue
                if fault.what == "lose":
                    return Passage((), fault.name)
                copies = [*held, held[0]] if fault.what == "double" else held
                held = [*copies[:-1], copies[-1] + fault.late]
            elif _within(fault, leaves) and _concerns(fault, source, target, kind):
                channel = f"{fault.name}/{source}>{target}/{message[0]}"
                if self._happens(fault.loss_prob, f"{channel}/lost", message[1]):
                    return Passage((), fault.name)
                if self._happens(fault.duplicate_prob, f"{channel}/doubled", message[1]):
                    held.append(held[0])
                held = [
                    extra + self._hold(fault, f"{channel}/{copy}", message[1], light_time)
                    for copy, extra in enumerate(held)
                ]
        return Passage(tuple(Instant(leaves + light_time + extra) for extra in held))

    def awake(self, node: NodeId, at: Instant) -> Instant:
        """``at``, or the end of the stall of ``node`` in which it lies."""
        for stall in self._stalls:
            if stall.node == node and _within(stall, at):
                return self.awake(node, stall.end)
        return at

    def crash_of(self, node: NodeId, at: int) -> Crash | None:
        """The crash because of which ``node`` is down at ``at``."""
        for crash in self.crashes:
            if crash.node == node and crash.at <= at and _before(at, crash.restart):
                return crash
        return None

    def dark(self, link: LinkPlan) -> tuple[Interval, ...]:
        """Intervals in which no attempt of ``link`` can click, in order.

        They are about the emission of the longer arm: attempts with an emission in one have a photon
        that leaves while the fibre is cut, or meet a station that is down.
        """
        longest = max(link.flights)
        found: list[Interval] = []
        for fault in self.faults:
            if isinstance(fault, Cut) and fault.link == link.name:
                end = NEVER if fault.end is None else fault.end
                lags = {longest - flight for flight in link.flights}
                found += [(fault.start - lag, end - lag) for lag in lags]
            elif isinstance(fault, Crash) and fault.node == link.station:
                end = NEVER if fault.restart is None else fault.restart
                found.append((fault.at - longest, end - longest))
        return tuple(sorted(found))

    def _happens(self, prob: float, purpose: str, sequence: int) -> bool:
        return prob > 0.0 and keyed_uniform(self._seed, "fault", purpose, sequence) < prob

    def _hold(self, fault: Impair, purpose: str, sequence: int, light_time: Duration) -> int:
        """How much later than light a copy arrives."""
        if not self._happens(fault.reorder_prob, f"{purpose}/held", sequence):
            return 0
        share = keyed_uniform(self._seed, "fault", f"{purpose}/for", sequence)
        return round(share * fault.reorder_factor * light_time)


def _before(at: int, end: Instant | None) -> bool:
    return end is None or at < end


def _within(fault: Impair | Partition | Stall, at: Instant) -> bool:
    return fault.start <= at and _before(at, fault.end)


def _concerns(fault: Impair, source: NodeId, target: NodeId, kind: str) -> bool:
    return (
        fnmatchcase(source, fault.source)
        and fnmatchcase(target, fault.target)
        and fnmatchcase(kind, fault.kinds)
    )
