"""GHZ states by fusion of Bell-diagonal pairs at a centre: their fidelity.

Theory
    The centre keeps one half B_1 and joins every other half B_k by CNOT B_1 -> B_k and a read-out of B_k in
    Z; leaf k applies X if the bit m_k is 1. From pairs with weights p[x,z] (:mod:`qnet.physics.bell`) the state
    is (|0..0> + |1..1>)/sqrt2 if no pair has a bit error x and the phase errors z cancel. With
    s_k = p00 + p01 = (1 + c_k)/2 and d_k = p00 - p01 = (a_k + b_k)/2,

        F = (prod s_k + prod d_k)/2,

    p00 q00 + p01 q01 for two pairs [1]. Noise at the centre: each CNOT depolarises B_1 and B_k with lambda, each
    bit m_k is read wrong with some chance. A wrong bit is a bit error of leaf k alone; a bit error of B_1 sets it
    apart from all leaves joined so far, for those that are joined later agree with what it is then. The Pauli
    errors are summed, from the last fusion to the first.
    F > 1/2 shows entanglement of all parties [2].
Assumptions and validity
    Bell-diagonal pairs in the frame of Phi+ (or labels undone), one per leaf, independent; corrections without
    error. Outcomes are uniform, so an asymmetric read-out acts with the mean of its two error probabilities.
Not modelled
    Decay while the halves wait; noise of the corrections.
Units
    Dimensionless.
Sources
    [1] Physics reference A5.3.
    [2] Guehne, Toth, "Entanglement detection", Phys. Rep. 474, 1 (2009), section 6,
        doi 10.1016/j.physrep.2009.02.004.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

from qnet.physics.bell import Correlators, weights_from_correlators
from qnet.physics.swapping import FlipProbs


def ghz_fidelity(pairs: Sequence[Correlators]) -> float:
    """Fidelity of the GHZ state of a centre and one leaf per pair, perfect local operations; [1]."""
    _check(pairs)
    same = math.prod((1.0 + c) / 2.0 for _, _, c in pairs)
    coherent = math.prod((a + b) / 2.0 for a, b, _ in pairs)
    return (same + coherent) / 2.0


def ghz_fidelity_noisy(
    pairs: Sequence[Correlators], gate_depolarising: float = 0.0, flips: FlipProbs = (0.0, 0.0)
) -> float:
    """The same with noise at the centre; the first pair is the one whose half is kept.

    Args:
        pairs: correlators, in the order of fusion.
        gate_depolarising: lambda of each CNOT, 0..1.
        flips: read-out errors of each joined half.
    """
    _check(pairs)
    if not 0.0 <= gate_depolarising <= 1.0:
        raise ValueError(f"depolarising must obey 0 <= lambda <= 1, got {gate_depolarising}")
    wrong = (flips[0] + flips[1]) / 2.0
    first, *joined = (weights_from_correlators(pair) for pair in pairs)
    # Chance by (bit error of the kept half in the fusions from here on, phase) that all leaves so far agree.
    agree = {(0, 0): 1.0, (0, 1): 0.0, (1, 0): 0.0, (1, 1): 0.0}
    for weights in reversed(joined):
        before = dict.fromkeys(agree, 0.0)
        for (apart, phase), chance in agree.items():
            for kept_x, kept_z, read_x, noise in _after_cnot(gate_depolarising):
                turned = apart ^ kept_x
                for z in (0, 1):
                    right = weights[2 * (turned ^ read_x) + z] * (1.0 - wrong)
                    right += weights[2 * (turned ^ read_x ^ 1) + z] * wrong
                    before[turned, phase ^ kept_z ^ z] += chance * noise * right
        agree = before
    return sum(chance * first[2 * apart + phase] for (apart, phase), chance in agree.items())


def _after_cnot(depolarising: float) -> list[tuple[int, int, int, float]]:
    """Pauli errors after a CNOT: (x and z of the kept half, x of the one that is read, chance)."""
    found = []
    for kept_x, kept_z, read_x in product((0, 1), repeat=3):
        none = 0.0 if kept_x or kept_z or read_x else 1.0 - depolarising
        found.append((kept_x, kept_z, read_x, none + depolarising / 8.0))
    return found


def _check(pairs: Sequence[Correlators]) -> None:
    if not pairs:
        raise ValueError("a GHZ state must have >= 1 pair, got none")
