"""Cutoff of two links: the table of the reference, limits, and an independent Monte Carlo."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qnet.physics.cutoff import accepted_prob, mean_factor, mean_slots


@pytest.mark.parametrize(
    ("cutoff", "slots", "factor"), [(5, 285, 0.957), (20, 123, 0.857), (80, 81, 0.647), (math.inf, 75, 0.548)]
)  # fmt: skip
def test_cutoff_table_of_the_reference(cutoff: float, slots: float, factor: float) -> None:
    assert mean_slots(0.02, cutoff) == pytest.approx(slots, abs=0.5)
    assert mean_factor(0.02, 60.0, cutoff) == pytest.approx(factor, abs=5e-4)


def test_cutoff_limits() -> None:
    p = 0.3
    assert accepted_prob(p) == 1.0
    # no waiting: both in one slot
    assert accepted_prob(p, 0) == pytest.approx(p / (2 - p))
    assert mean_slots(p, 0) == pytest.approx(1 / p**2)
    assert mean_factor(p, 5.0, 0) == pytest.approx(1.0)
    # for ever: the later of two geometric times
    assert mean_slots(p) == pytest.approx(2 / p - 1 / (p * (2 - p)))
    assert mean_factor(p, 1e12) == pytest.approx(1.0)
    assert mean_slots(1.0, 3) == 1.0


@pytest.mark.parametrize("cutoff", [2, 7, math.inf])
def test_cutoff_against_monte_carlo(cutoff: float) -> None:
    """40 000 rounds, two geometric times each; within 3 standard errors."""
    p, coherence, rounds = 0.15, 8.0, 40_000
    luck = np.random.default_rng(5)
    one, two = luck.geometric(p, (2, rounds))
    apart = np.abs(one - two)
    won = apart <= cutoff
    length = np.minimum(one, two) + np.minimum(apart, cutoff)
    share = won.mean()
    assert abs(share - accepted_prob(p, cutoff)) <= 3 * math.sqrt(share * (1 - share) / rounds)
    residual = length - won * mean_slots(p, cutoff)  # ratio estimator
    slots = length.sum() / won.sum()
    stderr = residual.std() / math.sqrt(rounds) / share
    assert abs(slots - mean_slots(p, cutoff)) < 3 * stderr
    factors = np.exp(-apart[won] / coherence)
    assert abs(factors.mean() - mean_factor(p, coherence, cutoff)) < 3 * factors.std() / math.sqrt(
        won.sum()
    )


@pytest.mark.parametrize("bad", [(0.0, 3), (1.1, 3), (0.5, -1), (0.5, 2.5)])
def test_cutoff_refuses(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        mean_slots(*bad)
    with pytest.raises(ValueError, match="coherence_slots must be > 0"):
        mean_factor(0.5, 0.0, 3)
