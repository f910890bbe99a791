"""Gates of a program as a processor does them: compiled to its own gates, with their times and errors.

Theory
    A processor has pulses on one qubit (``gate_1q``, any rotation) and one entangler (``gate_2q``, or the gate
    of the coupling). With R the rotations that follow, up to a global phase,

        ======== ======================= ==================== ========================
        any      whatever is asked       CNOT: -              CZ: -
        CNOT     control, then target    CNOT: -              CZ: t | t
        CZ       diag(1, 1, 1, -1)       CNOT: t | t          CZ: -
        ZZ       exp(-i pi/4 Z Z)        CNOT: t | c t, [t]   CZ: - | c t, [-]
        XX       exp(-i pi/4 X X)        CNOT: c | c t        CZ: c t | c t
        ======== ======================= ==================== ========================

    names the qubits, control c and target t, that get a pulse before | after the entangler. What stands in
    brackets holds where rotations about Z are changes of frame (``virtual_z``): ZZ is CZ but for those. Of XX,
    which turns about X, every pulse is needed [1], [2]. A one-qubit gate is one pulse, or nothing if it turns
    about Z only and such turns are virtual [3]. SWAP is three CNOTs of alternating direction; pulses of one
    that follow those of the other are made together, as one. Pulses on two qubits are made at the same time.

    *Noise.* Each pulse, each entangler, and the transport of each qubit (``transport``, once before each gate
    of two qubits) is followed by depolarise(lambda) of the qubits that it touches. Depolarising commutes
    with every gate on the same qubits, so that the noise of a compiled gate is a sequence of ideal gates and
    depolarising steps, which :class:`Compiled` lists.

    *What is left of a Pauli observable:* gates are Clifford gates, so a product of Paulis after the
    gate is one before it. Followed backwards it gets a factor 1 - lambda at each step that touches a qubit on
    which it is not the identity at that place.
Time
    The ideal gate acts at the end of the whole time, after the decay of that time: of transport, of each
    layer of pulses, of the entanglers.
Assumptions and validity
    A pulse is as long and as good whatever it turns. Each gate is compiled for itself: pulses of gates that
    follow one another are not joined.
Not modelled
    Pulses of two kinds of qubit in one node, entanglers of any angle, gates on three qubits, leakage, heat
    that transport leaves behind.
Units
    Durations in picoseconds; factors without dimension.
Sources
    [1] Nielsen and Chuang (2000), section 4.2; [2] Maslov, "Basic circuit compilation techniques for an
    ion-trap quantum machine", New J. Phys. 19, 023035 (2017), doi 10.1088/1367-2630/aa5e47: CNOT from XX.
    [3] McKay, Wood, Sheldon, Chow, Gambetta, "Efficient Z gates for quantum computing", Phys. Rev. A 96,
    022330 (2017), doi 10.1103/PhysRevA.96.022330.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Final, NamedTuple

from qnet.hardware import Operation, Platform
from qnet.physics.bell import Correlators
from qnet.physics.gates import depolarising_from_fidelity
from qnet.units import Duration, duration_from_s

ABOUT_Z: Final = frozenset({"Z", "S", "SDG", "T", "TDG", "RZ"})
"""Gates that turn about Z only."""

Pauli = tuple[int, int]
"""(x, z) of X^x Z^z on one qubit."""

_PAULIS: Final[tuple[Pauli, ...]] = ((0, 0), (1, 0), (1, 1), (0, 1))

_Pulses = tuple[frozenset[int], frozenset[int]]
"""Qubits (0 control, 1 target) that get a pulse before and after the entangler."""


def _pulses(before: Sequence[int], after: Sequence[int]) -> _Pulses:
    return frozenset(before), frozenset(after)


_NONE: Final = _pulses((), ())
_ABOUT_TARGET: Final = _pulses((1,), (1,))
_LAYERS: Final[dict[tuple[str, str], _Pulses]] = {
    ("any", "CNOT"): _NONE,
    ("any", "CZ"): _NONE,
    ("CNOT", "CNOT"): _NONE,
    ("CNOT", "CZ"): _ABOUT_TARGET,
    ("CZ", "CNOT"): _ABOUT_TARGET,
    ("CZ", "CZ"): _NONE,
    ("ZZ", "CNOT"): _pulses((1,), (0, 1)),
    ("ZZ", "CZ"): _pulses((), (0, 1)),
    ("XX", "CNOT"): _pulses((0,), (0, 1)),
    ("XX", "CZ"): _pulses((0, 1), (0, 1)),
}


class Step(NamedTuple):
    """An ideal gate ("": none) on some of the qubits, then depolarising noise that leaves the share ``kept``."""

    gate: str
    positions: tuple[int, ...]
    kept: float


class Compiled(NamedTuple):
    """One gate of a program, compiled.

    Attributes:
        duration: of all of it.
        steps: what becomes of the state; positions are those of the gate's own qubits.
    """

    duration: Duration
    steps: tuple[Step, ...]

    def factor(self, paulis: Sequence[Pauli]) -> float:
        """What noise leaves of a Pauli observable (one Pauli for each qubit, after the gate)."""
        signs = list(paulis)
        factor = 1.0
        for step in reversed(self.steps):
            if any(signs[position] != (0, 0) for position in step.positions):
                factor *= step.kept
            _pull_back(step, signs)
        return factor

    def errors(self) -> dict[tuple[Pauli, Pauli], float]:
        """Chance of each Pauli error after the ideal gate: the noise is a Pauli channel, this is its transform."""
        words = list(product(_PAULIS, repeat=2))
        factors = [self.factor(word) for word in words]
        return {
            (first, second): sum(
                -factor if (_turns(first, one) ^ _turns(second, two)) else factor
                for (one, two), factor in zip(words, factors, strict=True)
            )
            / 16.0
            for first, second in words
        }


def _turns(error: Pauli, observable: Pauli) -> int:
    """1 if two Paulis of one qubit anticommute."""
    return (error[0] & observable[1]) ^ (error[1] & observable[0])


def _pull_back(step: Step, signs: list[Pauli]) -> None:
    """Replace the Paulis after an ideal gate of two qubits by those before it."""
    if not step.gate:
        return
    first, second = step.positions
    (x, z), (u, w) = signs[first], signs[second]
    match step.gate:
        case "CNOT":
            signs[first], signs[second] = (x, z ^ w), (u ^ x, w)
        case "CZ":
            signs[first], signs[second] = (x, z ^ u), (u, w ^ x)
        case _:
            signs[first], signs[second] = (u, w), (x, z)


def is_virtual(platform: Platform, gate: str) -> bool:
    """Whether a one-qubit gate is a change of frame there."""
    return platform.virtual_z and gate in ABOUT_Z


def pulse_time(platform: Platform, gate: str) -> Duration:
    """How long a one-qubit gate takes."""
    virtual = is_virtual(platform, gate)
    return Duration(0 if virtual else duration_from_s(platform.gate_1q.duration_s))


def pulse_mixing(platform: Platform, gate: str) -> float:
    """Depolarising parameter of a one-qubit gate."""
    virtual = is_virtual(platform, gate)
    return 0.0 if virtual else depolarising_from_fidelity(platform.gate_1q.fidelity, 1)


def pulse_factor(platform: Platform, gate: str) -> float:
    """What a one-qubit gate leaves of every Pauli on its qubit."""
    return 1.0 - pulse_mixing(platform, gate)


def single(platform: Platform, gate: str) -> Compiled:
    """A gate of one qubit on this processor."""
    step = Step(gate, (0,), pulse_factor(platform, gate))
    return Compiled(pulse_time(platform, gate), (step,))


def compiled(platform: Platform, gate: str, entangler: Operation | None = None) -> Compiled:
    """A gate of two qubits (CNOT, CZ or SWAP) on this processor.

    Args:
        platform: the processor.
        gate: for CNOT, qubit 0 is the control.
        entangler: figures of the entangling gate between the two slots; None for ``gate_2q``.
    """
    return _compiled(
        platform.entangler,
        platform.virtual_z,
        gate,
        platform.gate_1q,
        platform.gate_2q if entangler is None else entangler,
        platform.transport,
    )


@lru_cache(maxsize=1024)
def _compiled(
    kind: str,
    virtual_z: bool,
    gate: str,
    single: Operation,
    joint: Operation,
    transport: Operation | None,
) -> Compiled:
    steps: list[Step] = []
    duration = 0
    if transport is not None:
        duration += duration_from_s(transport.duration_s)
        moved = 1.0 - depolarising_from_fidelity(transport.fidelity, 1)
        steps += [Step("", (position,), moved) for position in (0, 1)]
    kept = 1.0 - depolarising_from_fidelity(joint.fidelity, 2)
    layers = _layers(kind, gate, virtual_z=virtual_z)
    entanglers = 3 if gate == "SWAP" else 1
    duration += entanglers * duration_from_s(joint.duration_s)
    if not any(layers):
        steps.append(Step(gate, (0, 1), kept**entanglers))
        return Compiled(Duration(duration), tuple(steps))
    turned = 1.0 - depolarising_from_fidelity(single.fidelity, 1)
    for index, layer in enumerate(layers):
        if index:
            positions = (0, 1) if index % 2 else (1, 0)
            steps.append(Step("CNOT" if gate == "SWAP" else gate, positions, kept))
        if layer:
            duration += duration_from_s(single.duration_s)
            steps += [Step("", (position,), turned) for position in sorted(layer)]
    return Compiled(Duration(duration), tuple(steps))


def _layers(kind: str, gate: str, *, virtual_z: bool) -> list[frozenset[int]]:
    """Qubits with a pulse before, between and after the entanglers of a gate."""
    basic = "CZ" if gate == "CZ" else "CNOT"
    before, after = _LAYERS["CZ" if kind == "ZZ" and virtual_z else kind, basic]
    if gate != "SWAP":
        return [before, after]
    turned_before, turned_after = (frozenset(1 - one for one in layer) for layer in (before, after))
    return [before, after | turned_before, turned_after | before, after]


def bell_factors(platform: Platform, entangler: Operation | None = None) -> Correlators:
    """What the gates of a Bell measurement, CNOT(1 -> 2), H(1), leave of (a, b, c): phase bit, both, parity bit."""
    joint = compiled(platform, "CNOT", entangler)
    turned = pulse_factor(platform, "H")
    phase, both = joint.factor(((1, 0), (0, 0))), joint.factor(((1, 0), (0, 1)))
    return (phase * turned, both * turned, joint.factor(((0, 0), (0, 1))))
