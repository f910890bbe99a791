"""Bell labels, Bell-diagonal states and their correlators.

Theory
    A label is two bits (x, z): B(x,z) = (I ⊗ X^x Z^z)|Phi+>, so (0,0) is Phi+, (1,0) is Psi+,
    (0,1) is Phi-, (1,1) is Psi- (global phase dropped). The correction back to Phi+ is X if x, then
    Z if z, on one side only. Labels compose by bitwise XOR. A Bell-diagonal state is fixed by four
    weights p[x,z], or equally by three correlators a = <XX>, b = -<YY>, c = <ZZ>. Correlators are
    the natural currency: swaps multiply them, dephasing scales (a, b), depolarising scales all.
Assumptions and validity
    Two qubits; weights are non-negative and sum to 1 (unnormalised weights are allowed where said).
Not modelled
    States with coherence between Bell states, except through :func:`overlap`, which takes any
    matrix.
Units
    Dimensionless. Fidelity is <B|rho|B>, the squared convention. Matrices are rows of complex
    numbers in the basis 00, 01, 10, 11 (first qubit is the high bit).
Sources
    [1] Bennett, DiVincenzo, Smolin, Wootters, "Mixed-state entanglement and quantum error
        correction", Phys. Rev. A 54, 3824 (1996), doi 10.1103/PhysRevA.54.3824: Bell-diagonal and
        Werner states.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

Label = tuple[int, int]
"""Bell label (x, z), each 0 or 1."""

Weights = tuple[float, float, float, float]
"""Weights (p00, p01, p10, p11) of a Bell-diagonal state, p[x,z] at index 2x + z."""

Correlators = tuple[float, float, float]
"""Correlators (a, b, c) = (<XX>, -<YY>, <ZZ>), each 1 for Phi+."""

Matrix4 = tuple[tuple[complex, ...], ...]
"""Density matrix of two qubits: four rows of four complex numbers."""

PHI_PLUS: Final[Label] = (0, 0)
PHI_MINUS: Final[Label] = (0, 1)
PSI_PLUS: Final[Label] = (1, 0)
PSI_MINUS: Final[Label] = (1, 1)
LABELS: Final[tuple[Label, ...]] = (PHI_PLUS, PHI_MINUS, PSI_PLUS, PSI_MINUS)
"""The four labels in the order of :data:`Weights`."""

LABEL_NAMES: Final[dict[Label, str]] = {
    PHI_PLUS: "Phi+",
    PHI_MINUS: "Phi-",
    PSI_PLUS: "Psi+",
    PSI_MINUS: "Psi-",
}


def label_xor(first: Label, second: Label) -> Label:
    """Composition of two labels: what a swap of two pairs, or a Pauli on a pair, makes of them."""
    return (first[0] ^ second[0], first[1] ^ second[1])


def correction_gate(label: Label) -> str:
    """The single Pauli gate on one side that maps B(label) to Phi+ up to a phase: I, X, Y or Z."""
    return {PHI_PLUS: "I", PSI_PLUS: "X", PHI_MINUS: "Z", PSI_MINUS: "Y"}[label]


def correlators(weights: Weights) -> Correlators:
    """Correlators (a, b, c) of Bell-diagonal weights."""
    p00, p01, p10, p11 = weights
    return (p00 + p10 - p01 - p11, p00 + p11 - p01 - p10, p00 + p01 - p10 - p11)


def weights_from_correlators(values: Correlators) -> Weights:
    """Weights of the Bell-diagonal state with correlators (a, b, c)."""
    a, b, c = values
    return (
        (1 + a + b + c) / 4,
        (1 - a - b + c) / 4,
        (1 + a - b - c) / 4,
        (1 - a + b - c) / 4,
    )


def werner(fidelity: float) -> Weights:
    """Weights of the Werner state with the given fidelity to Phi+; [1] section III."""
    if not 0.0 <= fidelity <= 1.0:
        raise ValueError(f"fidelity of a Werner state must obey 0 <= F <= 1, got {fidelity}")
    rest = (1.0 - fidelity) / 3.0
    return (fidelity, rest, rest, rest)


def werner_correlator(fidelity: float) -> float:
    """The common correlator w = (4F - 1)/3 of a Werner state."""
    return (4.0 * fidelity - 1.0) / 3.0


def fidelity_from_correlators(values: Correlators) -> float:
    """Fidelity to Phi+: F = (1 + a + b + c)/4, true for any two-qubit state."""
    return (1.0 + sum(values)) / 4.0


def state_correlators(state: Sequence[Sequence[complex]]) -> Correlators:
    """Correlators (a, b, c) = (<XX>, -<YY>, <ZZ>) of any 4 x 4 matrix."""
    outer, inner = (state[0][3] + state[3][0]).real, (state[1][2] + state[2][1]).real
    parity = (state[0][0] + state[3][3] - state[1][1] - state[2][2]).real
    return (outer + inner, outer - inner, parity)


def fidelity(weights: Weights, label: Label = PHI_PLUS) -> float:
    """<B(label)|rho|B(label)> of a Bell-diagonal state."""
    return weights[2 * label[0] + label[1]]


def relabel(weights: Weights, label: Label) -> Weights:
    """Weights after a Pauli that shifts every label by ``label`` (X^x Z^z on one side)."""
    shift = 2 * label[0] + label[1]
    return (weights[shift], weights[1 ^ shift], weights[2 ^ shift], weights[3 ^ shift])


def convolve(first: Weights, second: Weights) -> Weights:
    """XOR convolution: distribution of the XOR of two independent labels. Correlators multiply."""
    out = [0.0, 0.0, 0.0, 0.0]
    for i, p in enumerate(first):
        for j, q in enumerate(second):
            out[i ^ j] += p * q
    return (out[0], out[1], out[2], out[3])


def bell_vector(label: Label) -> tuple[float, float, float, float]:
    """Amplitudes of B(label) in the basis 00, 01, 10, 11; all four are real."""
    x, z = label
    amplitudes = [0.0, 0.0, 0.0, 0.0]
    for bit in (0, 1):
        amplitudes[2 * bit + (bit ^ x)] = math.sqrt(0.5) * (-1.0 if z and bit else 1.0)
    return (amplitudes[0], amplitudes[1], amplitudes[2], amplitudes[3])


def density_matrix(weights: Weights) -> Matrix4:
    """4 x 4 density matrix of Bell-diagonal weights; its trace is the sum of the weights."""
    p00, p01, p10, p11 = weights
    even, odd = complex((p00 + p01) / 2), complex((p10 + p11) / 2)
    even_coherence, odd_coherence = complex((p00 - p01) / 2), complex((p10 - p11) / 2)
    zero = 0j
    return (
        (even, zero, zero, even_coherence),
        (zero, odd, odd_coherence, zero),
        (zero, odd_coherence, odd, zero),
        (even_coherence, zero, zero, even),
    )


def overlap(state: Sequence[Sequence[complex]], label: Label = PHI_PLUS) -> float:
    """<B(label)|rho|B(label)> of any 4 x 4 matrix."""
    x, z = label
    low, high = x, 3 - x
    coherence = (state[low][high] + state[high][low]).real / 2
    population = (state[low][low] + state[high][high]).real / 2
    return population - coherence if z else population + coherence
