"""A purification step by brute force: both ends' programs on density matrices of 2k qubits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qnet.ids import SlotId
from qnet.physics.bell import Label, correction_gate
from qnet.program import Gate, Measure
from qnet_protocols.purification.circuit import Operation, program
from tests.physics.circuits import (
    HADAMARD,
    PAULIS,
    conjugate,
    controlled,
    depolarise,
    one,
    read,
    reduced,
)

Flips = tuple[float, float]


def rotation(axis: str, angle_rad: float) -> np.ndarray:
    return np.cos(angle_rad / 2) * PAULIS["I"] - 1j * np.sin(angle_rad / 2) * PAULIS[axis]


def depolarise_one(rho: np.ndarray, count: int, qubit: int, share: float) -> np.ndarray:
    mixed = sum(conjugate(rho, one(count, qubit, pauli)) for pauli in PAULIS.values()) / 4
    return (1 - share) * rho + share * mixed


def relabelled(state: np.ndarray, label: Label) -> np.ndarray:
    """The state of a pair in the frame of Phi+, moved into the frame of ``label``."""
    return conjugate(state, one(2, 1, PAULIS[correction_gate(label)]))


def step(
    ops: Sequence[Operation],
    pairs: Sequence[np.ndarray],
    noise: tuple[float, float] = (0.0, 0.0),
    flips: tuple[Flips, Flips] = ((0.0, 0.0), (0.0, 0.0)),
) -> dict[tuple[tuple[int, ...], tuple[int, ...]], np.ndarray]:
    """(bits read at side 0, at side 1) -> unnormalised state of pair 0.

    Args:
        ops: of the circuit.
        pairs: 4 x 4 states.
        noise: lambda of gates on one and on two qubits, at both ends.
        flips: read-out errors of each end.
    """
    count = 2 * len(pairs)
    rho = np.eye(1, dtype=complex)
    for state in pairs:
        rho = np.kron(rho, state)
    branches = {((), ()): rho}
    for side in (0, 1):
        slots = [SlotId(2 * pair + side) for pair in range(len(pairs))]
        for instruction in program(ops, slots, side).instructions:
            following: dict = {}
            for bits, before in branches.items():
                if isinstance(instruction, Measure):
                    for bit, after in read(before, count, instruction.slot, flips[side]):
                        key = [*bits]
                        key[side] = (*bits[side], bit)
                        following[tuple(key)] = following.get(tuple(key), 0) + after
                else:
                    following[bits] = apply(before, instruction, count, noise)
            branches = following
    return {bits: reduced(after, count, [0, 1]) for bits, after in branches.items()}


def apply(rho: np.ndarray, gate: Gate, count: int, noise: tuple[float, float]) -> np.ndarray:
    """One gate, then its noise."""
    first = gate.slots[0]
    if gate.name == "CNOT":
        target = gate.slots[1]
        turned = conjugate(rho, controlled(count, first, target, "X"))
        return depolarise(turned, count, first, target, noise[1])
    if gate.angle_rad is not None:
        matrix = rotation(gate.name[1], gate.angle_rad)
    else:
        matrix = HADAMARD if gate.name == "H" else PAULIS[gate.name]
    return depolarise_one(conjugate(rho, one(count, first, matrix)), count, first, noise[0])
