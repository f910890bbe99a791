"""Estimates from test rounds, their error bars, and fairness."""

from __future__ import annotations

import math
import random

import pytest

from qnet.physics import estimation as est


def test_reference_figures():
    """A7.3: sigma = 0.007 at F = 0.95, N = 1500; 41 500 rounds for +-0.01 at 95 %."""
    found = est.fidelity_from_test_rounds(50, 1500)
    assert found.fidelity == pytest.approx(0.95)
    assert found.stderr == pytest.approx(0.007, abs=5e-4)
    assert est.rounds_needed(0.01, 0.05) == pytest.approx(41_500, abs=5)


def test_both_estimators_agree_where_bases_are_equally_often():
    uniform = est.fidelity_from_test_rounds(18, 300)
    by_basis = est.fidelity_from_bases((6, 6, 6), (100, 100, 100))
    assert by_basis.fidelity == pytest.approx(uniform.fidelity)
    assert by_basis.stderr == pytest.approx(uniform.stderr)


def test_by_basis_is_unbiased_where_they_are_not():
    assert est.fidelity_from_bases((10, 0, 0), (20, 1000, 1000)).fidelity == pytest.approx(0.75)


def test_stated_error_is_the_spread_of_the_estimates():
    """1000 experiments of 300 rounds at e = 0.1: their spread is known to 2.2 % (1 sigma)."""
    luck = random.Random(3)
    found = [
        est.fidelity_from_test_rounds(sum(luck.random() < 0.1 for _ in range(300)), 300).fidelity
        for _ in range(1000)
    ]
    mean = sum(found) / len(found)
    spread = math.sqrt(sum((f - mean) ** 2 for f in found) / (len(found) - 1))
    stated = est.fidelity_from_test_rounds(30, 300).stderr
    assert abs(mean - 0.85) < 3 * stated / math.sqrt(1000)
    assert abs(spread / stated - 1) < 3 * 0.0224


@pytest.mark.parametrize(("wrong", "rounds"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(wrong, rounds):
    with pytest.raises(ValueError, match=f"got {wrong} of {rounds}"):
        est.fidelity_from_test_rounds(wrong, rounds)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="three bases"):
        est.fidelity_from_bases((1, 2), (3, 4))
    with pytest.raises(ValueError, match="error must be > 0"):
        est.rounds_needed(0.0, 0.1)
    with pytest.raises(ValueError, match="0 < failure_prob < 1, got 1"):
        est.rounds_needed(0.1, 1.0)


def test_jain_index():
    assert est.jain_index([1.0, 1.0, 1.0]) == pytest.approx(1.0)
    assert est.jain_index([3.0, 0.0, 0.0]) == pytest.approx(1 / 3)
    assert est.jain_index([0.0, 0.0]) == 1.0
