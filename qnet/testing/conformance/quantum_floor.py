"""A floor whose slots hold qubits: programs, noise and the links' pairs on stabilizer states.

Theory
    Dephasing is applied to a qubit when it is touched, for the time since it was touched before; a gate is
    followed by depolarising noise; both as random Pauli gates. A program acts at its start and lasts as long
    as the platform needs. Every qubit remembers the links' pairs that it has met in two-qubit gates.
Assumptions and validity
    T1 is infinite. A program that acts at its start instead of along its duration sees less dephasing by that
    duration: microseconds of milliseconds.
Not modelled
    Read-out errors, attempts that dephase memories.
Units
    Picoseconds, seconds.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from qnet.hardware import Coherence, Operation, Platform
from qnet.ids import NodeId, OpId, PairId, SlotId
from qnet.physics.bell import Correlators
from qnet.physics.gates import depolarising_from_fidelity
from qnet.plan import LinkPlan
from qnet.program import Draw, Gate, Initialise, Measure
from qnet.testing.conformance.faults import Plan
from qnet.testing.conformance.floor import Floor, Hold
from qnet.testing.conformance.parts import drawn
from qnet.testing.conformance.qubits import Qubits
from qnet.testing.conformance.source import LABELS
from qnet.units import Duration, seconds


class QuantumFloor(Floor):
    """Nodes with qubits.

    Args:
        layer, faults, hold, explore: of the floor.
        uniform: numbers by purpose.
    """

    def __init__(
        self, layer: str, *, faults: Plan, hold: Hold, explore: int, uniform: Callable[[str], float]
    ) -> None:
        super().__init__(layer, faults=faults, hold=hold, explore=explore)
        self.qubits = Qubits()
        self._uniform = uniform
        self._drawn = 0
        self._at: dict[tuple[NodeId, SlotId], int] = {}
        self._touched: dict[int, int] = {}
        self._raws: dict[int, frozenset[PairId]] = {}
        self._given: dict[tuple[NodeId, SlotId], int] = {}

    @abstractmethod
    def platform(self, name: NodeId) -> Platform:
        """Processor of a node."""

    @abstractmethod
    def watched(self, qubit: int) -> bool:
        """Whether a qubit must stay although its slot is emptied."""

    def entangle(
        self,
        plan: LinkPlan,
        slots: Mapping[NodeId, SlotId],
        label: tuple[int, int],
        correlators: Correlators,
        number: int,
    ) -> None:
        """A link puts a pair into two slots; its errors are drawn from the claimed state."""
        a, b, c = correlators
        weights = (
            (1 + a + b + c) / 4,
            (1 - a - b + c) / 4,
            (1 + a - b - c) / 4,
            (1 - a + b - c) / 4,
        )
        error = LABELS[drawn(weights, self._uniform(f"error:{plan.name}:{number}"))]
        one, two = self.qubits.pair((label[0] ^ error[0], label[1] ^ error[1]))
        for node, qubit in zip(plan.ends, (one, two), strict=True):
            self.empty(node, slots[node])
            self._at[node, slots[node]] = qubit
            self._touched[qubit] = self.now

    def named(self, node: NodeId, slot: SlotId, pair: PairId) -> None:
        """A node is told of its half of a link's pair."""
        self._raws[self._at[node, slot]] = frozenset({pair})
        self._given[node, slot] = self.now

    def _draw(self) -> float:
        self._drawn += 1
        return self._uniform(f"draw:{self._drawn}")

    def _bit(self) -> int:
        return int(2 * self._draw())

    def _qubit(self, node: NodeId, slot: SlotId) -> int:
        qubit = self._at.get((node, slot))
        if qubit is None:
            qubit = self._at[node, slot] = self.qubits.new()
            self._touched[qubit] = self.now
        self._age(qubit, self.platform(node).coherence_of(slot))
        return qubit

    def _age(self, qubit: int, coherence: Coherence) -> None:
        """Dephasing since the qubit was last touched."""
        waited_s = seconds(Duration(self.now - self._touched[qubit]))
        self._touched[qubit] = max(self.now, self._touched[qubit])
        flips = waited_s > 0 and math.isfinite(coherence.t2_s)
        if flips and self._draw() < -math.expm1(-waited_s / coherence.t2_s) / 2:
            self.qubits.gate("Z", (qubit,))

    def empty(self, node: NodeId, slot: SlotId) -> None:
        """Discard the qubit in a slot, unless it is still to be compared."""
        qubit = self._at.pop((node, slot), None)
        if qubit is not None and not self.watched(qubit):
            self._discard(qubit)

    def _discard(self, qubit: int) -> None:
        self._raws.pop(qubit, None)
        self.qubits.discard(qubit, self._bit)
        del self._touched[qubit]

    def step(self, node: NodeId, op: OpId, instruction: Any, outcomes: list[int]) -> int:  # noqa: ARG002
        """One instruction; it happens now, and the program lasts as long as the platform needs."""
        platform = self.platform(node)
        match instruction:
            case Gate(name, slots, angle_rad, when):
                if when and sum(outcomes[k] for k in when) % 2 == 0:
                    return 0
                operation = platform.gate_1q if len(slots) == 1 else platform.gate_2q
                qubits = tuple(self._qubit(node, slot) for slot in slots)
                self.qubits.gate(name, qubits, angle_rad)
                stems = frozenset[PairId]().union(*(self._raws.get(one, ()) for one in qubits))
                self._raws.update(dict.fromkeys(qubits, stems))
                self._mix(qubits, operation)
                return _ps(operation.duration_s)
            case Initialise(slot):
                self.empty(node, slot)
                return _ps(platform.initialise.duration_s)
            case Draw(weights):
                outcomes.append(drawn(weights, self._draw()))
                return 0
            case Measure():
                choice, basis = instruction.choice, instruction.basis
                if choice is not None:
                    basis = instruction.bases[outcomes[choice]]
                qubit = self._qubit(node, instruction.slot)
                outcomes.append(self.qubits.measure(qubit, basis, self._bit))
                return _ps(platform.readout.duration_s)
        raise AssertionError(f"an instruction must be one of qnet.program, got {instruction!r}")

    def _mix(self, qubits: tuple[int, ...], operation: Operation) -> None:
        """Depolarising noise of a gate."""
        if operation.fidelity >= 1.0:
            return
        if self._draw() < depolarising_from_fidelity(operation.fidelity, len(qubits)):
            for qubit in qubits:
                self.qubits.gate("IXYZ"[int(4 * self._draw())], (qubit,))


def _ps(duration_s: float) -> int:
    return round(duration_s * 1e12)
