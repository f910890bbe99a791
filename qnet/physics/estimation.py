"""What a number of readings says about a fidelity, and how evenly something is shared out.

Theory
    Both ends read a pair in the same basis; with the shares e of wrong bits in X, Y and Z, in the frame of
    the pair's label, F = 1 - (e_X + e_Y + e_Z)/2 [1]. If the basis is drawn uniformly for each pair, the share
    e of all wrong bits is the mean of the three, so F = 1 - 1.5 e and sigma = 1.5 sqrt(e (1 - e)/N). By
    Hoeffding's inequality [2] an error above epsilon has chance delta at most after

        N >= (9/8) ln(2/delta) / epsilon^2

    rounds, whatever the state. Jain's index [3] of the shares x of n parties is (sum x)^2 / (n sum x^2): 1 if
    all are equal, 1/n if one has all.
Assumptions and validity
    Independent rounds. Standard errors are binomial: without a single wrong bit they are zero, which only
    means that N was small; use :func:`rounds_needed` for a bound.
Not modelled
    Read-out errors: they lower the estimate, and are part of it.
Units
    Dimensionless.
Sources
    [1] Bell-diagonal correlators, :mod:`qnet.physics.bell`; physics reference A7.2, A7.3.
    [2] Hoeffding, "Probability inequalities for sums of bounded random variables", J. Am. Stat. Assoc. 58, 13
        (1963), theorem 2, doi 10.1080/01621459.1963.10500830.
    [3] Jain, Chiu, Hawe, "A quantitative measure of fairness and discrimination for resource allocation in
        shared computer systems", DEC-TR-301 (1984), arXiv cs/9809099.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Estimate(NamedTuple):
    """A fidelity and its standard error."""

    fidelity: float
    stderr: float


def fidelity_from_test_rounds(wrong: int, rounds: int) -> Estimate:
    """Fidelity from ``rounds`` pairs, each read in a basis drawn uniformly among X, Y and Z; [1].

    Args:
        wrong: pairs whose bits did not agree as the label demands.
        rounds: pairs read, >= 1.
    """
    _check(wrong, rounds)
    share = wrong / rounds
    return Estimate(1.0 - 1.5 * share, 1.5 * math.sqrt(share * (1.0 - share) / rounds))


def fidelity_from_bases(wrong: Sequence[int], rounds: Sequence[int]) -> Estimate:
    """Fidelity from pairs counted by basis, in the order X, Y, Z; [1].

    Better than :func:`fidelity_from_test_rounds` where the bases did not come up equally often.

    Args:
        wrong: pairs whose bits did not agree, by basis.
        rounds: pairs read, by basis, each >= 1.
    """
    if len(wrong) != 3 or len(rounds) != 3:
        raise ValueError(
            f"wrong and rounds must count three bases, got {list(wrong)}, {list(rounds)}"
        )
    fidelity, variance = 1.0, 0.0
    for bad, count in zip(wrong, rounds, strict=True):
        _check(bad, count)
        share = bad / count
        fidelity -= share / 2.0
        variance += share * (1.0 - share) / (4.0 * count)
    return Estimate(fidelity, math.sqrt(variance))


def rounds_needed(error: float, failure_prob: float) -> int:
    """Rounds after which the estimate is off by more than ``error`` with chance ``failure_prob`` at most; [2]."""
    if not error > 0.0:
        raise ValueError(f"error must be > 0, got {error}")
    if not 0.0 < failure_prob < 1.0:
        raise ValueError(f"failure_prob must obey 0 < failure_prob < 1, got {failure_prob}")
    return math.ceil(9.0 / 8.0 * math.log(2.0 / failure_prob) / error**2)


def jain_index(shares: Sequence[float]) -> float:
    """Fairness of ``shares``; [3]. 1 if nobody got anything: nobody got less than another."""
    squares = math.fsum(x * x for x in shares)
    return math.fsum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


def _check(wrong: int, rounds: int) -> None:
    if rounds < 1 or not 0 <= wrong <= rounds:
        raise ValueError(f"0 <= wrong <= rounds and rounds >= 1 must hold, got {wrong} of {rounds}")
