"""From the trace of a run to the record of each of its links, for the audit.

Theory
    A trace is complete: every input and every effect of every machine stands in it, and beside them what
    the world knows, clicks and true fidelities. So the record of a link is read off it: CREATE and the
    answers at ``link:NAME``, who holds which slot, which program runs on it, which half was corrected.
    The driver and the world check a machine's contract at every step; what they refuse ends the run, and
    the last line of its trace says at which step of which machine.
Not decided by a trace
    Which physical pair sits in which slot: the truth of a delivered pair is its fidelity to the announced
    Bell state. The parity of outcomes on noisy processors.
Units
    Picoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from qnet.ids import LinkId, NodeId, RequestId, SlotId
from qnet.layers.link import Create, PairAnswer
from qnet.plan import LinkPlan, RunPlan
from qnet.plugins import find
from qnet.program import Gate, Initialise, Instruction, Measure, Program
from qnet.results.diagram import short_kind
from qnet.results.pairs import read_pairs
from qnet.results.trace import WORLD, Line, read_trace
from qnet.seams import checked_outcomes
from qnet.testing.conformance.matter import PAULIS, Click
from qnet.testing.conformance.parts import Flight
from qnet.testing.conformance.parts import Line as Lived
from qnet.testing.conformance.record import Record, Truth
from qnet.units import Instant

CONTRACT: Final = (
    "QN-LINK-2.2-6",
    "QN-LINK-5.1-1",
    "QN-LINK-5.1-3",
    "QN-LINK-5.1-5",
    "QN-LINK-7.2-3",
    "QN-LINK-8.1-1",
    "QN-LINK-8.1-2",
)
"""What the driver, the world and the reading of a trace check at every step of a link machine."""

EXACT: Final = 1.0 - 1e-9
"""Predicted fidelity from which on outcomes count as free of noise."""


@dataclass
class Broken:
    """A rule of the contract that a run saw broken."""

    requirement: str
    link: LinkId
    words: str


@dataclass
class _End:
    """One end of a link, as the trace goes on.

    Attributes:
        holder: machine of the link that holds a slot.
        tokens: slots that it asks for.
        running: operation -> slots of the program that runs.
        gates: instants of Pauli gates on what is in a slot.
    """

    holder: dict[SlotId, str] = field(default_factory=dict)
    tokens: dict[str, None] = field(default_factory=dict)
    running: dict[str, tuple[SlotId, ...]] = field(default_factory=dict)
    gates: dict[SlotId, int] = field(default_factory=dict)


class _Reader:
    """Reads the lines about one link."""

    def __init__(
        self, link: LinkPlan, run: RunPlan, truths: Iterable[Truth], *, rest: bool
    ) -> None:
        self.link, self.name = link, f"link:{link.name}"
        self.ends = {node: _End() for node in link.ends}
        scheme = find("qnet.heralding", link.scheme)
        outcomes = checked_outcomes(link.name, scheme, link.optics, link.scheme_parameters)
        self.labels = {one.pattern: one.label for one in outcomes}
        self.said: list[tuple[int, NodeId, Any]] = []
        self.wanted: dict[RequestId, Create] = {}
        self.origin: dict[RequestId, NodeId] = {}
        self.clicks: list[Click] = []
        self.corrected: list[tuple[NodeId, int]] = []
        self.late: list[tuple[NodeId, Instant]] = []
        self.restarted: set[NodeId] = set()
        self.broken: list[Broken] = []
        platforms = {node.name: node.platform for node in run.nodes}
        self.record = Record(
            plan=link,
            said=self.said,
            wanted=self.wanted,
            origin=self.origin,
            restarted=self.restarted,
            contract=CONTRACT,
            in_memory=lambda node, slot: _role(platforms[node], slot) == "memory",
            left=self._left if rest else None,
            clicks=self.clicks,
            corrected=self.corrected,
            late=self.late,
            truths=tuple(truths),
            noisy=_noisy(link, run),
        )

    def crash(self, node: NodeId) -> None:
        """Power off: nothing is held any more."""
        if node in self.ends:
            self.ends[node] = _End()
            self.restarted.add(node)

    def take(self, line: Line) -> None:
        """One line of a machine of this link, or of the world about it."""
        node = NodeId(line.node)
        if line.machine == f"optics:{self.link.name}":
            self._click(line)
        elif node in self.ends:
            self._heard(node, line)
            for effect in line.effects:
                self._effect(node, line, effect)

    # ------------------------------------------------------------ lines

    def _click(self, line: Line) -> None:
        match line.event:
            case {"pattern": list(pattern), "run": int(run)} if tuple(pattern) in self.labels:
                label = self.labels[tuple(pattern)]
                self.clicks.append(Click(run, label, Instant(line.at)))

    def _heard(self, node: NodeId, line: Line) -> None:
        end, mine = self.ends[node], line.machine == self.name
        match line.event:
            case {"type": "Requested", "request": {"type": "Create"} as asked} if mine:
                create = msgspec.convert(asked, Create)
                self.wanted.setdefault(create.request, create)
                self.origin.setdefault(create.request, node)
            case {"type": "Acquired", "token": str(token), "slot": int(slot)}:
                end.tokens.pop(token, None)
                end.holder[SlotId(slot)] = line.machine
            case {"type": "Applied", "op": str(op)}:
                end.running.pop(op, None)
            case {
                "type": "Indicated",
                "indication": {"type": "HeraldedLate", "clicked_at": int(at)},
            }:
                if mine:
                    self.late.append((node, Instant(at)))

    def _effect(self, node: NodeId, line: Line, effect: dict[str, Any]) -> None:
        end, mine = self.ends[node], line.machine == self.name
        match effect:
            case {"type": "Acquire", "token": str(token)}:
                end.tokens[token] = None
            case {"type": "Withdraw", "token": str(token)}:
                end.tokens.pop(token, None)
            case {"type": "Release", "slot": int(slot)}:
                if any(slot in slots for slots in end.running.values()):
                    words = (
                        f"{node} releases slot {slot} at {line.at} ps while a program runs on it"
                    )
                    self.broken.append(Broken("QN-LINK-5.1-3", self.link.name, words))
                end.holder.pop(SlotId(slot), None)
            case {"type": "Request", "request": {"slot": int(slot)}} if mine:
                end.holder[SlotId(slot)] = f"physical:{self.link.name}"
            case {"type": "Attempt", "slot": int(slot)}:
                end.gates.pop(SlotId(slot), None)
            case {"type": "Apply", "op": str(op), "program": dict(program)}:
                self._program(end, op, msgspec.convert(program, Program).instructions)
            case {"type": "Indicate", "indication": dict(told), "slots": list(slots)}:
                for slot in slots:
                    if mine:
                        end.holder.pop(SlotId(slot), None)
                    else:
                        end.holder[SlotId(slot)] = self.name
                if mine:
                    self._said(node, line, told, slots)

    def _said(self, node: NodeId, line: Line, told: dict[str, Any], slots: list[int]) -> None:
        try:
            what = msgspec.convert(told, PairAnswer)
        except msgspec.ValidationError as odd:
            words = f"{node} says what no link says: {odd}"
            self.broken.append(Broken("QN-LINK-8.1-1", self.link.name, words))
            return
        self.said.append((line.at, node, what))
        slot = told.get("slot")
        if slot is None:
            return
        if slot not in slots:
            words = f"{node}: slot {slot} of {told.get('pair')} did not pass up"
            self.broken.append(Broken("QN-LINK-2.2-6", self.link.name, words))
        if self.ends[node].gates.pop(slot, None) is not None:
            run = next((one.run for one in self.clicks if one.at == told["created_at"]), None)
            if run is not None:
                self.corrected.append((node, run))

    @staticmethod
    def _program(end: _End, op: str, instructions: tuple[Instruction, ...]) -> None:
        touched: dict[SlotId, None] = {}
        for one in instructions:
            slots = one.slots if isinstance(one, Gate) else (getattr(one, "slot", None),)
            touched.update((slot, None) for slot in slots if slot is not None)
            match one:
                case Gate("SWAP", (first, second)):
                    kept = {first: end.gates.get(second), second: end.gates.get(first)}
                    end.gates = {s: k for s, k in (end.gates | kept).items() if k is not None}
                case Gate(name, (slot,), when=()) if name in PAULIS:
                    end.gates[slot] = end.gates.get(slot, 0) + 1
                case Gate():
                    pass
                case Measure(slot) | Initialise(slot):
                    end.gates.pop(slot, None)
        end.running[op] = tuple(touched)

    def _left(self, node: NodeId) -> str:
        end = self.ends[node]
        held = dict(sorted(end.holder.items()))
        if not held and not end.tokens:
            return ""
        return f"{node} still holds {held}, still asks for {list(end.tokens)}"


def _role(platform: Any, slot: int) -> str:
    return "" if platform is None else str(platform.role_of(slot))


def _noisy(link: LinkPlan, run: RunPlan) -> bool:
    """Whether a measured outcome may be wrong."""
    if link.estimate.heralded_fidelity < EXACT:
        return True
    platforms = [run.node(end).platform for end in link.ends]
    return any(
        one is None
        or max(one.readout.error_0_prob, one.readout.error_1_prob) > 0.0
        or one.gate_1q.fidelity < 1.0
        for one in platforms
    )


@dataclass
class Reading:
    """What a trace says of the links of its network."""

    records: Mapping[LinkId, Record]
    broken: tuple[Broken, ...]
    last: Line | None
    """The step at which a machine failed."""


def read(folder: Path, plan: RunPlan, *, rest: bool) -> Reading:
    """The record of every link from the run in ``folder``.

    Args:
        folder: of the run.
        plan: of the run.
        rest: the run ended because nothing was due any more.

    Raises:
        ConfigError: there is no trace.
    """
    truths: dict[str, list[Truth]] = {}
    for row in read_pairs(folder):
        if row.true_fidelity is not None:
            truth = Truth(row.pair, row.goodness, row.goodness_error, row.true_fidelity)
            truths.setdefault(row.link, []).append(truth)
    readers = {
        link.name: _Reader(link, plan, truths.get(link.name, ()), rest=rest) for link in plan.links
    }
    last = None
    for line in read_trace(folder):
        if line.error:
            last = line
        match line.event:
            case {"type": "NodeCrashed", "by": str(node)} if line.node == WORLD:
                for reader in readers.values():
                    reader.crash(NodeId(node))
        concerned = readers.get(LinkId(line.machine.partition(":")[2]))
        if concerned is not None:
            concerned.take(line)
    return Reading(
        {name: reader.record for name, reader in readers.items()},
        tuple(one for reader in readers.values() for one in reader.broken),
        last,
    )


# ---------------------------------------------------------------- messages, for diagrams


def messages(folder: Path) -> tuple[list[Flight], list[Lived]]:
    """The messages of a run with the instants at which they were heard, and what users heard."""
    flights: list[Flight] = []
    under_way: dict[tuple[str, str, str, int], Flight] = {}
    lines: list[Lived] = []
    for line in read_trace(folder):
        node = NodeId(line.node)
        match line.event:
            case {
                "type": "Received",
                "source": str(source),
                "kind": str(kind),
                "sent_at": int(sent),
            }:
                known = under_way.get((source, line.node, kind, sent))
                if known is not None:
                    known.heard_at.append(line.at)
        for effect in line.effects:
            match effect:
                case {"type": "Send", "target": str(target), "kind": str(kind)}:
                    flight = Flight(line.at, node, NodeId(target), short_kind(kind))
                    flights.append(flight)
                    under_way[line.node, target, kind, line.at] = flight
                case {"type": "Indicate", "indication": {"type": str(name)}}:
                    if line.machine.startswith("link:"):
                        lines.append(Lived(line.at, node, f"user hears {name}"))
                case {"type": "PowerLost"}:
                    lines.append(Lived(line.at, node, "crashes"))
                case {"type": "PowerBack", "incarnation": int(count)}:
                    lines.append(Lived(line.at, node, f"is back, for the {count}. time"))
    return flights, lines
