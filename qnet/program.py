"""Quantum programs: a batch of instructions that a node asks the world to run on slots that it holds.

One round trip per program, not per gate. Instructions run one after another; an instruction with ``when``
runs only if the XOR of the named earlier outcomes *of the same program* is 1, so a swap or an error
correction is one program. Durations and errors come from the node's platform.

Outcomes are numbered from 0 in the order of the :class:`Measure` instructions.
"""

from __future__ import annotations

from typing import Final

import msgspec

from qnet.ids import SlotId

GATE_SLOTS: Final[dict[str, int]] = {
    "I": 1, "X": 1, "Y": 1, "Z": 1, "H": 1, "S": 1, "SDG": 1, "T": 1, "TDG": 1,
    "RX": 1, "RY": 1, "RZ": 1,
    "CNOT": 2, "CZ": 2, "SWAP": 2,
}  # fmt: skip
"""Number of slots of every gate."""

ROTATIONS: Final = frozenset({"RX", "RY", "RZ"})
"""Gates that take ``angle_rad``."""


class Gate(msgspec.Struct, frozen=True, tag="gate", forbid_unknown_fields=True, omit_defaults=True):
    """One gate.

    Attributes:
        name: a key of :data:`GATE_SLOTS`.
        slots: the slots it acts on; for CNOT control first, then target.
        angle_rad: rotation angle, for RX, RY and RZ only.
        when: indices of earlier outcomes; the gate runs if their XOR is 1 (empty: always).
    """

    name: str
    slots: tuple[SlotId, ...]
    angle_rad: float | None = None
    when: tuple[int, ...] = ()


class Measure(
    msgspec.Struct, frozen=True, tag="measure", forbid_unknown_fields=True, omit_defaults=True
):
    """Read one slot in a Pauli basis. The qubit is left in the basis state of the true outcome.

    Attributes:
        slot: which slot.
        basis: "X", "Y" or "Z". X and Y cost one single-qubit gate before the read-out.
    """

    slot: SlotId
    basis: str = "Z"


class Initialise(msgspec.Struct, frozen=True, tag="init", forbid_unknown_fields=True):
    """Bring one slot to |0>, discarding what it held."""

    slot: SlotId


Instruction = Gate | Measure | Initialise


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Instructions in order of execution."""

    instructions: tuple[Instruction, ...]


def bell_measurement(first: SlotId, second: SlotId) -> Program:
    """Bell measurement by CNOT(first -> second), H(first); outcomes (phase bit m_x, parity bit m_z).

    The label of the measured pair is (x, z) = (m_z, m_x): outcome 1 is the parity bit (correct with X),
    outcome 0 the phase bit (correct with Z). Source: physics reference A5.1.
    """
    return Program(
        (
            Gate("CNOT", (first, second)),
            Gate("H", (first,)),
            Measure(first),
            Measure(second),
        )
    )
