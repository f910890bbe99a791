"""Bounds and CHSH figures against published numbers and direct calculation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.physics import bell, limits

X, Z = np.array([[0, 1], [1, 0]]), np.diag([1, -1])


@pytest.mark.parametrize(
    ("length_km", "direct", "one_station"),
    [(50, 0.152, 0.548), (100, 0.0145, 0.152), (200, 1.4e-4, 0.0145)],
)
def test_bounds_at_0_2_db_per_km(length_km, direct, one_station):
    eta = 10 ** (-0.2 * length_km / 10)
    assert limits.plob_bound(eta) == pytest.approx(direct, rel=0.04)
    assert limits.one_station_bound(eta) == pytest.approx(one_station, rel=0.01)


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-6, 0.999))
def test_law_a_station_never_hurts_and_loss_never_helps(eta):
    assert limits.plob_bound(eta) <= limits.one_station_bound(eta)
    assert limits.one_station_bound(eta) <= limits.capacity_bound(eta, 3)
    assert limits.plob_bound(eta / 2) < limits.plob_bound(eta)
    # A double-click herald per use stays below the bound with one station.
    assert eta / 2 < limits.one_station_bound(eta)


def test_heralded_ceiling_at_50_km_is_4000_attempts():
    rate = limits.heralded_rate_bound_hz(1.0, 50e3)
    assert rate == pytest.approx(0.5 * 4083, rel=1e-3)
    assert limits.heralded_rate_bound_hz(0.1, 50e3) == pytest.approx(rate / 10)
    assert limits.heralded_rate_bound_hz(1.0, 0.0, 1e-6) == pytest.approx(5e5)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: limits.plob_bound(1.0), "0 <= eta < 1, got 1.0"),
        (lambda: limits.capacity_bound(0.5, -1), "stations must be >= 0"),
        (lambda: limits.heralded_rate_bound_hz(1.0, 0.0), "must be > 0 s"),
        (lambda: limits.chsh_standard_error([0.7], []), "1 correlations and trials"),
        (lambda: limits.chsh_standard_error([0.7], [0]), "trial"),
    ],
)
def test_refuses_what_has_no_bound(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def correlation(rho, first, second):
    return np.trace(rho @ np.kron(first, second)).real


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(0.01, 1)] * 4))
def test_law_chsh_of_bell_diagonal_states(raw):
    weights = tuple(v / sum(raw) for v in raw)
    pair = bell.correlators(weights)
    rho = np.array(bell.density_matrix(weights))
    plus, minus = (Z + X) / np.sqrt(2), (Z - X) / np.sqrt(2)
    direct = (
        correlation(rho, Z, plus) + correlation(rho, Z, minus)
        + correlation(rho, X, plus) - correlation(rho, X, minus)
    )  # fmt: skip
    assert limits.chsh_fixed(pair) == pytest.approx(direct, abs=1e-12)
    assert limits.chsh_max(pair) >= abs(direct) - 1e-12


def test_law_werner_chsh_crosses_two_at_0_7803():
    assert limits.chsh_werner(1.0) == pytest.approx(2 * math.sqrt(2))
    assert limits.chsh_werner(0.7803) == pytest.approx(2.0, abs=3e-4)
    pair = bell.correlators(bell.werner(0.9))
    assert limits.chsh_fixed(pair) == pytest.approx(limits.chsh_werner(0.9))
    assert limits.chsh_max(pair) == pytest.approx(limits.chsh_werner(0.9))


@settings(max_examples=20, deadline=None)
@given(*[st.tuples(st.floats(0, 0.4), st.floats(0, 0.4))] * 2, st.floats(-0.9, 0.9))
def test_law_chsh_with_read_out_errors(flips_a, flips_b, scale):
    pair = (0.9 * scale, 0.8 * scale, 0.95 * scale)

    def read(correlations):
        total = 0.0
        for bits in itertools.product((0, 1), repeat=2):
            true = (1 + (1 - 2 * bits[0]) * (1 - 2 * bits[1]) * correlations) / 4
            mean = [
                (1 - 2 * bit) * (1 - 2 * probs[bit])
                for bit, probs in zip(bits, (flips_a, flips_b), strict=True)
            ]
            total += true * mean[0] * mean[1]
        return total

    along_x, along_z = pair[0] / math.sqrt(2), pair[2] / math.sqrt(2)
    direct = read(along_z) + read(along_z) + read(along_x) - read(-along_x)
    model = limits.chsh_read(limits.chsh_fixed(pair), flips_a, flips_b)
    assert model == pytest.approx(direct, abs=1e-12)


def test_chsh_standard_error_is_binomial():
    value = limits.chsh_standard_error([0.7, 0.7, 0.7, -0.7], [100, 100, 100, 400])
    assert value == pytest.approx(math.sqrt(0.51 * (3 / 100 + 1 / 400)))
