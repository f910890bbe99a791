"""Quantum programs: a batch of instructions that a node asks the world to run on slots that it holds.

One round trip per program, not per gate. Instructions run one after another; an instruction with ``when``
runs only if the XOR of the named earlier outcomes *of the same program* is 1, so a swap or an error
correction is one program. Durations and errors come from the node's platform.

Outcomes are numbered from 0 in the order of the :class:`Measure` and :class:`Draw` instructions.
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
        when: indices of earlier outcomes of measurements; the gate runs if their XOR is 1 (empty:
            always). Draws cannot be named: their outcomes are no bits.
    """

    name: str
    slots: tuple[SlotId, ...]
    angle_rad: float | None = None
    when: tuple[int, ...] = ()


class Draw(msgspec.Struct, frozen=True, tag="draw", forbid_unknown_fields=True):
    """Draw a number k with chance weights[k] / sum(weights): the node's own random number generator.

    It takes no time and touches no slot. ``weights`` are finite, none negative, not all zero.
    """

    weights: tuple[float, ...]


BASES: Final = ("X", "Y", "Z", "Z+X", "Z-X")
"""Bases of a measurement: the Pauli axes and the two diagonals (Z + X)/sqrt2 and (Z - X)/sqrt2."""


class Measure(
    msgspec.Struct, frozen=True, tag="measure", forbid_unknown_fields=True, omit_defaults=True
):
    """Read one slot. The joint state becomes what one knows after the *reported* outcome.

    Outcome 0 is the +1 eigenstate. With a perfect read-out the qubit is left in |0> or |1>; otherwise
    it stays a mixture of the two, correlated with what it was entangled with.

    Attributes:
        slot: which slot.
        basis: one of :data:`BASES`. All but Z cost one single-qubit gate before the read-out.
        bases: instead of ``basis``, the bases among which ``choice`` chooses.
        choice: index of the earlier :class:`Draw` whose outcome k picks ``bases[k]``.
    """

    slot: SlotId
    basis: str = "Z"
    bases: tuple[str, ...] = ()
    choice: int | None = None


class Initialise(msgspec.Struct, frozen=True, tag="init", forbid_unknown_fields=True):
    """Bring one slot to |0>, discarding what it held."""

    slot: SlotId


Instruction = Gate | Measure | Initialise | Draw


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
