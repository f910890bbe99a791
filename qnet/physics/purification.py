"""Purification of Bell-diagonal pairs: closed forms of single steps, of rounds, and of their cost.

Theory
    Pair 0 is kept, the others are read. CNOT(i -> j) at both ends maps labels by x_j += x_i, z_i += z_j, a
    read-out in Z shows the parity x_j of two otherwise random bits. With these maps a step is a sum over labels:

    ================ ================================================== =================
    protocol         keep if                                            kept label
    ================ ================================================== =================
    BBPSSW [1]       x0 + x1 = 0                                        (x0, z0 + z1)
    DEJMPS [2]       (x0 + z0) + (x1 + z1) = 0                          (x0 + z0, z0 + z1)
    double sel. [3]  x0 + x1 + x2 = 0 and z1 + z2 = 0                   (x0, z0 + z1)
    EPL [4]          x0 + x1 = 0, and both bits are 1 (half of these)   (x0, z0 + z1)
    ================ ================================================== =================

    Depolarising noise after a CNOT at one end puts both pairs into a random label with chance lambda. Of two
    bits that are equal (unequal) in truth, read-outs with contrasts k and asymmetries d report equal ones with
    chance (1 + k k' + d d')/2 ((1 - k k' + d d')/2), where k = 1 - e0 - e1, d = e1 - e0.

    *Rounds.* Nested: both pairs of a step are results of the round before. Pumping: the kept pair meets a fresh
    one. A round that takes n pairs of cost c_i succeeds with p: its result costs (sum of c_i)/p raw pairs on
    average, since a failure loses them all.
Assumptions and validity
    Independent Bell-diagonal pairs in the frame of label (0, 0). Perfect single-qubit rotations.
Not modelled
    Storage. Single pairs, whose fidelity depends on the bits that were read where read-out is asymmetric: these
    are averages. ``qnet_protocols.purification.prediction`` has both.
Units
    Dimensionless.
Sources
    [1] Bennett et al., Phys. Rev. Lett. 76, 722 (1996), equation (7), doi 10.1103/PhysRevLett.76.722.
    [2] Deutsch et al., Phys. Rev. Lett. 77, 2818 (1996), equation (6), doi 10.1103/PhysRevLett.77.2818.
    [3] Fujii, Yamamoto, Phys. Rev. A 80, 042308 (2009), doi 10.1103/PhysRevA.80.042308.
    [4] Campbell, Benjamin, Phys. Rev. Lett. 101, 130502 (2008), doi 10.1103/PhysRevLett.101.130502.
    [5] Dür, Briegel, Cirac, Zoller, Phys. Rev. A 59, 169 (1999), doi 10.1103/PhysRevA.59.169: noisy steps,
        pumping.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

from qnet.physics.bell import LABELS, Weights, fidelity, werner
from qnet.physics.swapping import FlipProbs


class Step(NamedTuple):
    """What a step gives.

    Attributes:
        prob: chance that it succeeds.
        weights: of the kept pair then.
    """

    prob: float
    weights: Weights


class Noise(NamedTuple):
    """Noise of a step.

    Attributes:
        gate_depolarising: lambda of the CNOT at either end.
        flip_probs: read-out errors at either end.
    """

    gate_depolarising: tuple[float, float] = (0.0, 0.0)
    flip_probs: tuple[FlipProbs, FlipProbs] = ((0.0, 0.0), (0.0, 0.0))


QUIET = Noise()
"""No noise."""


def twirled(weights: Weights) -> Weights:
    """The Werner state of the same fidelity, which random bilateral rotations make of a state, [1]."""
    return werner(fidelity(weights))


def parity_check(first: Weights, second: Weights, noise: Noise = QUIET) -> Step:
    """CNOT(first -> second) at both ends, read the second pair in Z, keep if the bits are equal."""
    depolarised = 1.0 - (1.0 - noise.gate_depolarising[0]) * (1.0 - noise.gate_depolarising[1])
    total = sum(first) * sum(second)
    same = _reported_same(noise.flip_probs)
    kept = [0.0, 0.0, 0.0, 0.0]
    for (x0, z0), (x1, z1) in product(LABELS, LABELS):
        weight = first[2 * x0 + z0] * second[2 * x1 + z1] * (1.0 - depolarised)
        kept[2 * x0 + (z0 ^ z1)] += weight * same[x0 ^ x1]
    for index in range(4):
        kept[index] += total * depolarised / 4.0 * (same[0] + same[1]) / 2.0
    return _normalised(kept)


def bbpssw(first: Weights, second: Weights, noise: Noise = QUIET) -> Step:
    """One step of BBPSSW, both pairs twirled before, [1] equation (7) for equal pairs."""
    return parity_check(twirled(first), twirled(second), noise)


def dejmps(first: Weights, second: Weights, noise: Noise = QUIET) -> Step:
    """One step of DEJMPS, [2] equation (6) without noise."""
    return parity_check(_rotated(first), _rotated(second), noise)


def double_selection(first: Weights, second: Weights, third: Weights) -> Step:
    """One step of double selection with perfect gates, [3]."""
    kept = [0.0, 0.0, 0.0, 0.0]
    for (x0, z0), (x1, z1), (x2, z2) in product(LABELS, LABELS, LABELS):
        if x0 ^ x1 ^ x2 == 0 and z1 ^ z2 == 0:
            weight = first[2 * x0 + z0] * second[2 * x1 + z1] * third[2 * x2 + z2]
            kept[2 * x0 + (z0 ^ z1)] += weight
    return _normalised(kept)


def epl(first: Weights, second: Weights) -> Step:
    """One step of EPL on Bell-diagonal pairs: that of a parity check, half as often."""
    step = parity_check(first, second)
    return Step(step.prob / 2.0, step.weights)


def epl_single_click(
    bright_prob: float,
    coherences: tuple[float, float] = (1.0, 1.0),
    dark_prob: float = 0.0,
) -> tuple[float, float]:
    """(chance, fidelity to Psi+) of EPL on two single-click pairs with the same unknown phase, [4].

    Args:
        bright_prob: weight of |Psi^theta><Psi^theta| in each pair; the rest is |11> but for ``dark_prob``.
        coherences: factors of |01><10| in the two pairs, from 0 to 1.
        dark_prob: weight of |00>.
    """
    prob = bright_prob**2 / 2.0 + 2.0 * dark_prob * (1.0 - bright_prob - dark_prob)
    if prob <= 0.0:
        raise ValueError(f"EPL must have a chance > 0, got bright_prob = {bright_prob}")
    return prob, (1.0 + coherences[0] * coherences[1]) * bright_prob**2 / (4.0 * prob)


class Rounds(NamedTuple):
    """What some rounds give.

    Attributes:
        weights: of the pair after the last one.
        cost: raw pairs per such pair, on average.
        probs: chance of success of each round.
    """

    weights: Weights
    cost: float
    probs: tuple[float, ...]


def nested(step: Callable[[Weights, Weights], Step], raw: Weights, rounds: int) -> Rounds:
    """Recurrence: each round joins two pairs of the round before, [2]."""
    kept, cost, probs = raw, 1.0, []
    for _ in range(rounds):
        prob, kept = step(kept, kept)
        cost = 2.0 * cost / prob
        probs.append(prob)
    return Rounds(kept, cost, tuple(probs))


def pumped(step: Callable[[Weights, Weights], Step], raw: Weights, rounds: int) -> Rounds:
    """Pumping: each round joins the kept pair with a fresh one, [5]."""
    kept, cost, probs = raw, 1.0, []
    for _ in range(rounds):
        prob, kept = step(kept, raw)
        cost = (cost + 1.0) / prob
        probs.append(prob)
    return Rounds(kept, cost, tuple(probs))


def _rotated(weights: Weights) -> Weights:
    """RX(+pi/2) at one end and RX(-pi/2) at the other: x += z."""
    p00, p01, p10, p11 = weights
    return (p00, p11, p10, p01)


def _reported_same(flip_probs: tuple[FlipProbs, FlipProbs]) -> tuple[float, float]:
    """Chance that two random bits are reported equal: if they are, if they are not."""
    (a0, a1), (b0, b1) = flip_probs
    contrast = (1.0 - a0 - a1) * (1.0 - b0 - b1)
    asymmetry = (a1 - a0) * (b1 - b0)
    return (1.0 + contrast + asymmetry) / 2.0, (1.0 - contrast + asymmetry) / 2.0


def _normalised(kept: list[float]) -> Step:
    prob = sum(kept)
    if prob <= 0.0:
        raise ValueError("a step must have a chance > 0; no label of these pairs is kept")
    return Step(prob, (kept[0] / prob, kept[1] / prob, kept[2] / prob, kept[3] / prob))
