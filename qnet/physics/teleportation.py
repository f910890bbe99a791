"""Teleportation over a noisy pair with noisy local operations: average fidelity in closed form.

Theory
    Over a pair with correlators (a, b, c) teleportation is a Pauli channel: it scales the Bloch
    vector of the input by a along x, b along y and c along z. Every local error scales further.
    Noise of the Bell measurement at the sender acts as in :mod:`qnet.physics.swapping`. The
    receiver applies X if the reported parity bit is 1 and Z if the reported phase bit is 1; a
    noisy correction depolarises only when it is applied, and a wrongly reported bit goes with a
    wrongly applied gate, so flip and gate noise of one bit are averaged together:

        kept = 1 - lambda P(reported 1)                                     axis the flip spares
        sign = [(1 - e0) - e0 (1 - lambda) + (1 - e1)(1 - lambda) - e1]/2   axes it reverses

    The average over all pure inputs equals the average over the six cardinal states:
    F = 1/2 + (sum of the three factors)/6.
Assumptions and validity
    Pair in the frame of Phi+ and Bell-diagonal (then both bits are uniform); errors independent.
    With perfect local operations any pair may be used: F = (2 F_pair + 1)/3.
Not modelled
    Decay while the classical bits travel (scale the correlators first), imperfect preparation of
    the input (scale the contraction by 1 - lambda of each preparation step).
Units
    Dimensionless.
Sources
    [1] Bennett et al., "Teleporting an unknown quantum state via dual classical and
        Einstein-Podolsky-Rosen channels", Phys. Rev. Lett. 70, 1895 (1993),
        doi 10.1103/PhysRevLett.70.1895.
    [2] Horodecki, Horodecki, Horodecki, "General teleportation channel, singlet fraction, and
        quasidistillation", Phys. Rev. A 60, 1888 (1999), doi 10.1103/PhysRevA.60.1888:
        F = (2f + 1)/3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qnet.physics.bell import Correlators
from qnet.physics.swapping import FlipProbs, readout_contrast

CLASSICAL_LIMIT: Final = 2.0 / 3.0
"""Best average fidelity without entanglement; [2]."""


@dataclass(frozen=True)
class LocalErrors:
    """Local errors of a teleportation.

    Attributes:
        gate_depolarising: lambda of the sender's CNOT.
        hadamard_depolarising: lambda of the sender's H.
        phase_flips: read-out errors of the input qubit (bit corrected with Z).
        parity_flips: read-out errors of the sender's half of the pair (bit corrected with X).
        x_depolarising, z_depolarising: lambda of the receiver's correction gates, when applied.
        gates: factors of the sender's gates as its processor compiles them, instead of the first two
            (:func:`qnet.physics.native.bell_factors`).
    """

    gate_depolarising: float = 0.0
    hadamard_depolarising: float = 0.0
    phase_flips: FlipProbs = (0.0, 0.0)
    parity_flips: FlipProbs = (0.0, 0.0)
    x_depolarising: float = 0.0
    z_depolarising: float = 0.0
    gates: Correlators = (1.0, 1.0, 1.0)


def correction_factors(flips: FlipProbs, depolarising: float) -> tuple[float, float]:
    """Mean effect of one reported bit and the gate that it triggers, for a uniform true bit.

    Args:
        flips: read-out errors of the bit.
        depolarising: lambda of the gate that is applied when the reported bit is 1.

    Returns:
        Factor along the axis that a wrong gate leaves alone, factor along the two that it reverses.
    """
    error_0, error_1 = flips
    applied = 1.0 - depolarising
    kept = 1.0 - depolarising * (error_0 + 1.0 - error_1) / 2.0
    sign = ((1.0 - error_0) - error_0 * applied + (1.0 - error_1) * applied - error_1) / 2.0
    return kept, sign


def bloch_factors(pair: Correlators, errors: LocalErrors) -> Correlators:
    """Factors along x, y, z by which the teleported Bloch vector is shorter than the input."""
    gate = 1.0 - errors.gate_depolarising
    hadamard = 1.0 - errors.hadamard_depolarising
    # A wrong Z reverses x and y, a wrong X reverses y and z.
    z_kept, z_sign = correction_factors(errors.phase_flips, errors.z_depolarising)
    x_kept, x_sign = correction_factors(errors.parity_flips, errors.x_depolarising)
    a, b, c = pair
    return (
        a * errors.gates[0] * gate * hadamard * z_sign * x_kept,
        b * errors.gates[1] * gate * hadamard * z_sign * x_sign,
        c * errors.gates[2] * gate * z_kept * x_sign,
    )


def average_fidelity(factors: Correlators) -> float:
    """Average over all pure inputs of a channel that scales the Bloch vector: 1/2 + sum/6."""
    return 0.5 + sum(factors) / 6.0


def teleportation_fidelity(pair: Correlators, errors: LocalErrors | None = None) -> float:
    """Average fidelity of the teleported state, before any verification."""
    return average_fidelity(bloch_factors(pair, errors or LocalErrors()))


def verified_fraction(factors: Correlators, basis_depolarising: float, flips: FlipProbs) -> float:
    """Chance that the receiver, measuring in the basis of the input, reads the expected bit.

    Mean over the six cardinal states.

    Args:
        factors: Bloch factors of the teleported state.
        basis_depolarising: lambda of the gate that turns X or Y into Z.
        flips: read-out errors of the receiver.
    """
    along_x, along_y, along_z = factors
    read = (along_x + along_y) * (1.0 - basis_depolarising) + along_z
    return 0.5 + readout_contrast(flips) * read / 6.0


def teleported_gate_fidelity(pair_fidelity: float) -> float:
    """Average fidelity (4F + 1)/5 of a CNOT or CZ teleported over one pair, perfect local gates."""
    return (4.0 * pair_fidelity + 1.0) / 5.0
