"""Halves that are measured as they come: create-and-measure, remote preparation, test rounds.

Theory
    A half is measured as soon as its herald is heard, and the turn is over: the next attempts begin
    when both ends have heard, whatever becomes of the outcome (pipelining). The outcome is announced
    at the common instant of the pair. The basis of an M or R request is drawn by the node's random
    number generator inside the quantum program, that of a test round is public (:mod:`.rounds`).
Late, early, impossible
    An outcome that comes after its instant (a node that stood still) is announced when it comes; one
    whose request has ended is dropped.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778: measure-directly requests.
"""

from __future__ import annotations

from typing import Final

from qnet.ids import OpId, RequestId, SlotId
from qnet.layers.link import BasisChoice
from qnet.machine import Record
from qnet.program import Draw, Gate, Instruction, Measure, Program
from qnet.units import Instant
from qnet_protocols.link.generation import Heralded

_ROTATIONS: Final = ("RX", "RY", "RX")


class Running(Record, frozen=True):
    """A measurement of ``pair``'s half that has not ended; ``test`` is no pair of its request."""

    pair: Heralded
    choice: BasisChoice
    test: bool


class Measured(Record, frozen=True):
    """What was read, to be announced at ``pair.deliver_at``."""

    pair: Heralded
    basis: str
    outcome: int


class Measurements:
    """Measurements of one end that are under way or not announced yet."""

    def __init__(self) -> None:
        self._running: dict[OpId, Running] = {}
        self._due: list[Measured] = []

    def __len__(self) -> int:
        return len(self._running) + len(self._due)

    def start(self, op: OpId, pair: Heralded, choice: BasisChoice, *, test: bool) -> Program:
        """Measure the half in ``pair.slot``; the program to run."""
        self._running[op] = Running(pair, choice, test)
        return program(pair.slot, choice)

    def ended(self, op: OpId, outcomes: tuple[int, ...]) -> tuple[Running, Measured] | None:
        """Operation ``op`` has ended; None if it was no measurement."""
        running = self._running.pop(op, None)
        if running is None:
            return None
        drawn = outcomes[0] if len(running.choice.bases) > 1 else 0
        return running, Measured(running.pair, running.choice.bases[drawn], outcomes[-1])

    def keep(self, measured: Measured) -> None:
        """Announce it at its instant."""
        self._due.append(measured)

    def take_due(self, now: Instant) -> list[Measured]:
        """Those to be announced now, in the order of their pairs."""
        if not self._due:
            return []
        due = [one for one in self._due if one.pair.deliver_at <= now]
        if due:
            self._due = [one for one in self._due if one.pair.deliver_at > now]
            due.sort(key=lambda one: one.pair.sequence)
        return due

    def drop(self, request: RequestId, index: int | None = None) -> None:
        """Nothing more is announced for ``request``, or for its pair ``index``."""
        self._due = [
            one
            for one in self._due
            if one.pair.request != request or index not in (None, one.pair.index)
        ]

    def next_deadline(self) -> Instant | None:
        """When the next outcome is announced."""
        return min((one.pair.deliver_at for one in self._due), default=None)


def program(slot: SlotId, choice: BasisChoice) -> Program:
    """Draw a basis, rotate, read; outcomes (drawn basis if there are several, bit)."""
    steps: list[Instruction] = []
    several = len(choice.bases) > 1
    if several:
        steps.append(Draw(choice.weights))
    steps += [
        Gate(name, (slot,), angle)
        for name, angle in zip(_ROTATIONS, choice.rotation_rad, strict=True)
        if angle != 0.0
    ]
    if several:
        steps.append(Measure(slot, bases=choice.bases, choice=0))
    else:
        steps.append(Measure(slot, choice.bases[0]))
    return Program(tuple(steps))
