"""CNOT and CZ between qubits of two nodes over one pair: process fidelity with noisy local operations.

Theory
    Control c and half a here, half b and target t there: CNOT c -> a, read a in Z (m1); X^m1 on b, then
    CNOT b -> t or CZ(b, t), read b in X (m2); Z^m2 on c [1]. An error X^x Z^z of the pair leaves the ideal gate
    followed by Z^z on the control and X^x on the target (Z^x after CZ), so for Bell-diagonal pairs and perfect
    local operations the process fidelity is the fidelity of the pair [2]. Noise: the gate here depolarises
    (c, a) with lambda_A, the gate there (b, t) with lambda_B, each bit is read wrong with some chance. An error
    X or Y of a turns m1 and so acts like x, an error Z or Y of b turns m2 and so acts like z; what hits c and t
    stays there. The process fidelity is the chance that all these Pauli errors cancel.
Assumptions and validity
    Bell-diagonal pairs in the frame of Phi+ (or labels undone). Outcomes are uniform, so an asymmetric read-out
    acts with the mean of its two error probabilities. Corrections and the turn before the read-out of b
    without error.
Not modelled
    Decay while the bits are under way.
Units
    Dimensionless; fidelities of processes, unless named average.
Sources
    [1] Eisert, Jacobs, Papadopoulos, Plenio, "Optimal local implementation of nonlocal quantum gates", Phys.
        Rev. A 62, 052317 (2000), doi 10.1103/PhysRevA.62.052317.
    [2] Physics reference A5.4.
"""

from __future__ import annotations

from itertools import product
from typing import Literal, NamedTuple

from qnet.physics.bell import Correlators, weights_from_correlators
from qnet.physics.gates import average_from_process
from qnet.physics.native import Compiled
from qnet.physics.swapping import FlipProbs

RemoteGate = Literal["CNOT", "CZ"]


class LocalNoise(NamedTuple):
    """Noise of one of the two nodes.

    Attributes:
        depolarising: lambda of its two-qubit gate, 0..1.
        flips: read-out errors of its half of the pair.
        gate: that gate as its processor compiles it, instead of ``depolarising``: CNOT at the control, the
            remote gate's name at the target.
    """

    depolarising: float = 0.0
    flips: FlipProbs = (0.0, 0.0)
    gate: Compiled | None = None


PERFECT = LocalNoise()


def process_fidelity(
    pair: Correlators,
    gate: RemoteGate = "CNOT",
    control: LocalNoise = PERFECT,
    target: LocalNoise = PERFECT,
) -> float:
    """Process fidelity of the remote gate; the fidelity of the pair if both nodes are perfect; [2]."""
    for noise in (control, target):
        if not 0.0 <= noise.depolarising <= 1.0:
            raise ValueError(f"depolarising must obey 0 <= lambda <= 1, got {noise.depolarising}")
    wrong_x, wrong_z = (sum(noise.flips) / 2.0 for noise in (control, target))
    # Chance that each bit of the pair comes out as (x, z), read-out errors included.
    read = [0.0] * 4
    for label, weight in enumerate(weights_from_correlators(pair)):
        for x, z in product((0, 1), repeat=2):
            chance = (wrong_x if x else 1.0 - wrong_x) * (wrong_z if z else 1.0 - wrong_z)
            read[label ^ (2 * x + z)] += weight * chance
    total = 0.0
    for (c_x, c_z, a_x), here in _at_control(control):
        for (t_x, t_z, b_z), there in _at_target(target):
            # The control must have no bit error; its phase error must be undone by that of the read bit m2.
            if c_x:
                continue
            # Of the target's errors, the gate turns m1 into one kind; it must have none of the other.
            turned, other = (t_x, t_z) if gate == "CNOT" else (t_z, t_x)
            if not other:
                total += here * there * read[2 * (a_x ^ turned) + (b_z ^ c_z)]
    return total


def average_fidelity(
    pair: Correlators,
    gate: RemoteGate = "CNOT",
    control: LocalNoise = PERFECT,
    target: LocalNoise = PERFECT,
) -> float:
    """Average gate fidelity, (4 F_process + 1)/5; [2]."""
    return average_from_process(process_fidelity(pair, gate, control, target), 2)


def _at_control(noise: LocalNoise) -> list[tuple[tuple[int, int, int], float]]:
    """Pauli errors after CNOT c -> a; a bit error of a turns the reading."""
    if noise.gate is None:
        return _after_gate(noise.depolarising)
    return [((*data, half[0]), chance) for (data, half), chance in noise.gate.errors().items()]


def _at_target(noise: LocalNoise) -> list[tuple[tuple[int, int, int], float]]:
    """Pauli errors after CNOT b -> t or CZ(b, t); a phase error of b turns the reading."""
    if noise.gate is None:
        return _after_gate(noise.depolarising)
    return [((*data, half[1]), chance) for (half, data), chance in noise.gate.errors().items()]


def _after_gate(depolarising: float) -> list[tuple[tuple[int, int, int], float]]:
    """Pauli errors after a gate: (x, z of the data qubit, the bit that turns the reading), with chances.

    The other bit of the half that is read does nothing.
    """
    found = []
    for bits in product((0, 1), repeat=3):
        none = 0.0 if any(bits) else 1.0 - depolarising
        found.append(((bits[0], bits[1], bits[2]), none + depolarising / 8.0))
    return found
