"""Entanglement swapping of Bell-diagonal pairs by a noisy local Bell measurement.

Theory
    A Bell measurement on one half of each of two pairs joins them: the labels XOR, so the
    correlators (a, b, c) multiply. The circuit is CNOT(1 -> 2), H(1), read 1 (phase bit, corrected
    with Z), read 2 (parity bit, corrected with X). Depolarising noise after the CNOT scales all
    three correlators; a wrong phase bit is a Z error on the result and scales (a, b), a wrong
    parity bit an X error and scales (b, c). Noise after the H is a wrong phase bit with
    probability lambda/2.
Assumptions and validity
    Pairs in the frame of Phi+; outcomes are then uniform, so that an asymmetric read-out acts like
    a symmetric one with the mean of its two error probabilities.
Not modelled
    Decay during the measurement (multiply by :func:`qnet.physics.memory.dephasing_factors`),
    optical Bell measurements.
Units
    Dimensionless.
Sources
    [1] Briegel, Dür, Cirac, Zoller, "Quantum repeaters", Phys. Rev. Lett. 81, 5932 (1998),
        doi 10.1103/PhysRevLett.81.5932.
"""

from __future__ import annotations

from qnet.physics.bell import Correlators, fidelity_from_correlators, werner_correlator

FlipProbs = tuple[float, float]
"""Read-out errors of one qubit: (P(read 1 | 0), P(read 0 | 1))."""


def readout_contrast(flip_probs: FlipProbs) -> float:
    """Factor 1 - e0 - e1 by which an expectation value shrinks when it is read."""
    return 1.0 - flip_probs[0] - flip_probs[1]


def perfect_swap(first: Correlators, second: Correlators) -> Correlators:
    """Correlators of two pairs joined by a perfect Bell measurement, after the label correction."""
    return (first[0] * second[0], first[1] * second[1], first[2] * second[2])


def bell_measurement_factors(
    gate_depolarising: float = 0.0,
    hadamard_depolarising: float = 0.0,
    phase_flips: FlipProbs = (0.0, 0.0),
    parity_flips: FlipProbs = (0.0, 0.0),
) -> Correlators:
    """Factors by which a noisy Bell measurement scales the correlators (a, b, c).

    Args:
        gate_depolarising: lambda of the two-qubit gate.
        hadamard_depolarising: lambda of the single-qubit gate.
        phase_flips: read-out errors of qubit 1, the bit that is corrected with Z.
        parity_flips: read-out errors of qubit 2, the bit that is corrected with X.
    """
    gate = 1.0 - gate_depolarising
    turned = gate * (1.0 - hadamard_depolarising)
    return read_out((turned, turned, gate), phase_flips, parity_flips)


def read_out(gates: Correlators, phase_flips: FlipProbs, parity_flips: FlipProbs) -> Correlators:
    """Factors of a Bell measurement whose gates alone leave ``gates`` of (a, b, c).

    Args:
        gates: of the phase bit, of both bits together, of the parity bit
            (:func:`qnet.physics.native.bell_factors`).
        phase_flips: read-out errors of qubit 1, the bit that is corrected with Z.
        parity_flips: read-out errors of qubit 2, the bit that is corrected with X.
    """
    phase, parity = readout_contrast(phase_flips), readout_contrast(parity_flips)
    return (gates[0] * phase, gates[1] * phase * parity, gates[2] * parity)


def swap(
    first: Correlators,
    second: Correlators,
    *,
    gate_depolarising: float = 0.0,
    hadamard_depolarising: float = 0.0,
    phase_flips: FlipProbs = (0.0, 0.0),
    parity_flips: FlipProbs = (0.0, 0.0),
) -> Correlators:
    """Correlators of two pairs joined by a noisy Bell measurement, after a perfect correction."""
    factors = bell_measurement_factors(
        gate_depolarising, hadamard_depolarising, phase_flips, parity_flips
    )
    return perfect_swap(perfect_swap(first, second), factors)


def werner_chain_fidelity(fidelity: float, links: int) -> float:
    """Fidelity of ``links`` equal Werner pairs joined by perfect swaps: 1/4 + 3/4 w^n, [1]."""
    if links < 1:
        raise ValueError(f"a chain must have >= 1 link, got {links}")
    joined = werner_correlator(fidelity) ** links
    return fidelity_from_correlators((joined, joined, joined))
