"""Purification circuits as data: what both ends do to a few pairs, and what becomes of their labels.

Theory
    Pair 0 is kept, the others are sacrificed. Every operation is done at both ends alike, except that the
    angles of rotations are opposite at the two ends: such a bilateral operation maps Bell states to Bell
    states, and labels (x, z) linearly over bits [1], [2]:

    ============ =========================== ======================================
    CNOT i -> j  x_j += x_i, z_i += z_j       both ends CNOT(i -> j)
    RX i         x_i += z_i                   RX(+pi/2) at side 0, RX(-pi/2) at side 1
    RZ i         z_i += x_i                   RZ(+pi/2) at side 0, RZ(-pi/2) at side 1
    H i          x_i and z_i change places
    FLIP i       nothing                      the same Pauli gate at both ends
    READ i       the two bits read differ in the parity x_i
    ============ =========================== ======================================

    Pairs with any known labels may be joined: the labels go through the same map, which says what parity a
    perfect pair of that kind shows and which label is kept. No gate is spent on bringing them to Phi+.

    *Twirl.* Twelve bilateral rotations, the tetrahedral group: the Paulis I, X, Y, Z and both cyclic
    exchanges of the three wrong labels with four sign choices each (RX(-pi/2) is RX(+pi/2) times X). Drawn at
    random with equal chance they make any state Werner [1].
Not modelled
    Conditional circuits: each end does the same whatever it has read.
Units
    Angles in radians.
Sources
    [1] Bennett, Brassard, Popescu, Schumacher, Smolin, Wootters, Phys. Rev. Lett. 76, 722 (1996), doi
        10.1103/PhysRevLett.76.722.
    [2] Deutsch, Ekert, Jozsa, Macchiavello, Popescu, Sanpera, Phys. Rev. Lett. 77, 2818 (1996), doi
        10.1103/PhysRevLett.77.2818.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qnet.ids import SlotId
from qnet.physics.bell import Label
from qnet.program import Gate, Instruction, Measure, Program


@dataclass(frozen=True)
class Operation:
    """One bilateral operation of the table in the module head.

    Attributes:
        name: CNOT, RX, RZ, H, READ, or a Pauli gate X, Y, Z (FLIP).
        pairs: which pairs; for CNOT control first.
        sign: of the angle at side 0; the other side has the opposite one.
    """

    name: str
    pairs: tuple[int, ...]
    sign: int = 1


@dataclass(frozen=True)
class Circuit:
    """One step of a purification protocol.

    Attributes:
        pairs: how many it takes; all but pair 0 are read.
        operations: in order; every pair but 0 is read once and not touched afterwards.
        ones: keep only if, besides the parities, every bit read at side 0 is 1.
        twirl: each pair is first turned by a random one of the twelve rotations.
    """

    pairs: int
    operations: tuple[Operation, ...]
    ones: bool = False
    twirl: bool = False

    @property
    def reads(self) -> tuple[int, ...]:
        """The pairs that are read, in order."""
        return tuple(op.pairs[0] for op in self.operations if op.name == "READ")


ROTATIONS: Final = 12
"""Number of rotations of the twirl; each is named by a number below this."""


def rotation(number: int, pair: int) -> tuple[Operation, ...]:
    """The operations of one rotation of the twirl."""
    if number < 4:
        return () if number == 0 else (Operation("XYZ"[number - 1], (pair,)),)
    first, second = ("RX", "RZ") if number < 8 else ("RZ", "RX")
    return (
        Operation(first, (pair,), -1 if number & 1 else 1),
        Operation(second, (pair,), -1 if number & 2 else 1),
    )


def operations(circuit: Circuit, turns: Sequence[int]) -> tuple[Operation, ...]:
    """All operations of one step.

    Args:
        circuit: of the protocol.
        turns: numbers of the rotations of the twirl, one per pair; empty without a twirl.
    """
    turned = [op for pair, number in enumerate(turns) for op in rotation(number, pair)]
    return (*turned, *circuit.operations)


def program(ops: Sequence[Operation], slots: Sequence[SlotId], side: int) -> Program:
    """What one end does.

    Args:
        ops: from :func:`operations`.
        slots: where its halves are, pair 0 first.
        side: 0 or 1.
    """
    steps: list[Instruction] = []
    for op in ops:
        where = tuple(slots[pair] for pair in op.pairs)
        if op.name == "READ":
            steps.append(Measure(where[0]))
        elif op.name in ("RX", "RZ"):
            angle_rad = math.pi / 2 * (-op.sign if side else op.sign)
            steps.append(Gate(op.name, where, angle_rad))
        else:
            steps.append(Gate(op.name, where))
    return Program(tuple(steps))


def labels_after(
    ops: Sequence[Operation], labels: Sequence[Label]
) -> tuple[Label, tuple[int, ...]]:
    """What perfect pairs with these labels become: label of pair 0, parities of the bits read."""
    x = [label[0] for label in labels]
    z = [label[1] for label in labels]
    parities = []
    for op in ops:
        i = op.pairs[0]
        match op.name:
            case "CNOT":
                j = op.pairs[1]
                x[j] ^= x[i]
                z[i] ^= z[j]
            case "RX":
                x[i] ^= z[i]
            case "RZ":
                z[i] ^= x[i]
            case "H":
                x[i], z[i] = z[i], x[i]
            case "READ":
                parities.append(x[i])
    return (x[0], z[0]), tuple(parities)


def kept(
    circuit: Circuit,
    expected: Sequence[int],
    first: Sequence[int],
    second: Sequence[int],
) -> bool:
    """Whether the step has succeeded.

    Args:
        circuit: of the protocol.
        expected: parities of perfect pairs, from :func:`labels_after`.
        first: bits read at side 0.
        second: bits read at side 1.
    """
    even = all(a ^ b == parity for a, b, parity in zip(first, second, expected, strict=True))
    return even and (not circuit.ones or all(first))
