"""What a quantum engine does: operations on the joint state of one entangled cluster.

Theory
    A state belongs to n >= 1 qubits at positions 0..n-1 (position 0 is the high bit of a basis
    index). Every operation returns a new state and leaves its argument as it was, so a caller may
    try something on a copy by simply not keeping the result. The engine knows nothing of nodes,
    slots or time: that is the business of :mod:`qnet.world.store`.
Assumptions and validity
    Positions are distinct and within range, states come from the same engine, gate names are keys
    of :data:`qnet.program.GATE_SLOTS`: the store has checked this before it calls.
Not modelled
    Leakage out of the qubit, noise correlated between qubits except depolarising on two of them.
Selection
    The table ``run`` of a topology names an engine of the group ``qnet.engines`` (:mod:`qnet.world.engines`).
Units
    Angles in radians; probabilities; no times (decay comes as :class:`qnet.physics.memory.Decay`).
Sources
    [1] Nielsen and Chuang, "Quantum Computation and Quantum Information" (2000), chapter 8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from qnet.errors import EngineUnsupported
from qnet.physics.bell import Label
from qnet.physics.memory import Decay
from qnet.program import Gate, Measure, Program

State = Any
"""A state of the engine that made it: opaque, immutable, never inspected by others."""

ComplexMatrix = NDArray[np.complex128]


TO_Z: Final[Mapping[str, tuple[str, float | None]]] = {
    "X": ("H", None),
    "Y": ("RX", math.pi / 2),
    "Z+X": ("RY", -math.pi / 4),
    "Z-X": ("RY", math.pi / 4),
}
"""The gate that turns a basis into Z, so that outcome 0 is its +1 eigenstate."""


class Measured(NamedTuple):
    """Result of reading one qubit in Z.

    Attributes:
        outcome: 0 or 1, the true one.
        prob: its probability before the measurement.
        rest: normalised state of the other qubits in unchanged order, None if there are none.
    """

    outcome: int
    prob: float
    rest: State | None


class Reported(NamedTuple):
    """Result of reading one qubit in Z with an imperfect read-out.

    Attributes:
        outcome: 0 or 1, the reported one.
        state: normalised state of all qubits given that report, the read one included.
    """

    outcome: int
    state: State


class Engine(Protocol):
    """Operations on cluster states.

    An engine that cannot represent a state or an operation raises
    :class:`qnet.errors.EngineUnsupported` and changes nothing.
    """

    @property
    def name(self) -> str:
        """Name in the run's summary, e.g. "qutip"."""
        ...

    def check_gate(self, name: str, angle_rad: float | None) -> None:
        """Refuse a gate that the engine cannot apply, whatever the state; nothing is changed.

        The store asks for every gate of a program before it runs any.

        Raises:
            EngineUnsupported: with what it can apply instead.
        """
        ...

    def basis(self, bit: int) -> State:
        """One qubit in the basis state |bit>; ``basis(0)`` is the ground state."""
        ...

    def from_matrix(self, rows: Sequence[Sequence[complex]]) -> State:
        """State with the density matrix ``rows`` (2^n x 2^n, Hermitian, positive, trace 1).

        Raises:
            EngineUnsupported: it is no density matrix, or the engine cannot hold it.
        """
        ...

    def qubits(self, state: State) -> int:
        """Number of qubits."""
        ...

    def merge(self, first: State, second: State) -> State:
        """Tensor product; the positions of ``second`` follow those of ``first``."""
        ...

    def gate(
        self,
        state: State,
        name: str,
        positions: tuple[int, ...],
        angle_rad: float | None = None,
        depolarising: float = 0.0,
    ) -> State:
        """Unitary ``name`` on ``positions``, then depolarise(lambda) on the same qubits.

        Args:
            state: before the gate.
            name: key of :data:`qnet.program.GATE_SLOTS`.
            positions: for CNOT control first.
            angle_rad: for rotations only; R_P(angle) = exp(-i angle P / 2).
            depolarising: lambda, 0..1, of the noise that follows the gate.
        """
        ...

    def depolarise(self, state: State, positions: tuple[int, ...], amount: float) -> State:
        """Mix one or two qubits with the maximally mixed state: (1 - lambda) rho + lambda I/d."""
        ...

    def decay(self, state: State, position: int, amount: Decay) -> State:
        """T1/T2 decay of one qubit towards |0>."""
        ...

    def measure(self, state: State, position: int, uniform: float) -> Measured:
        """Read one qubit in Z and take it out of the state.

        Args:
            state: before the measurement.
            position: which qubit.
            uniform: a number in [0, 1); below the probability of 0 means outcome 0.
        """
        ...

    def report(
        self, state: State, position: int, flip_probs: tuple[float, float], uniform: float
    ) -> Reported:
        """Read one qubit in Z with an imperfect read-out and leave it in the state.

        With P(r|t) the chance to report r if t is true, report r comes with probability
        sum_t P(r|t) tr(Pi_t rho), and the state becomes sum_t P(r|t) Pi_t rho Pi_t, normalised: what
        anybody can know who has the report, [1] section 2.2.6.

        Args:
            state: before the measurement.
            position: which qubit.
            flip_probs: (P(1|0), P(0|1)).
            uniform: a number in [0, 1); below the probability of report 0 means report 0.
        """
        ...

    def trace_out(self, state: State, position: int) -> State | None:
        """State of the other qubits in unchanged order, None if there are none."""
        ...

    def reorder(self, state: State, order: tuple[int, ...]) -> State:
        """The same qubits with new position i holding what was at ``order[i]``."""
        ...

    def bell_overlap(self, state: State, first: int, second: int, label: Label) -> float:
        """<B(label)|rho|B(label)> of the two qubits, all others traced out, between 0 and 1."""
        ...

    def matrix(self, state: State) -> ComplexMatrix:
        """Density matrix, 2^n x 2^n, as a copy."""
        ...


def check_program(engine: Engine, program: Program, op: str) -> None:
    """Refuse a program with a gate or a basis that the engine cannot do, before any of it has run.

    Raises:
        EngineUnsupported: which instruction, and what the engine can do instead.
    """
    for index, step in enumerate(program.instructions):
        if type(step) is Gate:
            needed = [(step.name, step.angle_rad)]
        elif type(step) is Measure:
            needed = [TO_Z[basis] for basis in (step.basis, *step.bases) if basis != "Z"]
        else:
            continue
        for name, angle_rad in needed:
            try:
                engine.check_gate(name, angle_rad)
            except EngineUnsupported as refusal:
                raise EngineUnsupported(f"instruction {index}: {refusal}", op=op) from None
