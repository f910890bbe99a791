"""Key lengths against published numbers."""

from __future__ import annotations

import math

import pytest

from qnet.physics import keys as kl


def test_threshold_is_where_the_rate_of_equal_errors_is_zero():
    assert kl.bbm92_rate(kl.THRESHOLD, kl.THRESHOLD) == pytest.approx(0.0, abs=1e-6)
    assert kl.bbm92_rate(0.05, 0.05) == pytest.approx(1 - 2 * 0.286397, abs=1e-6)


@pytest.mark.parametrize(
    ("share", "bits"), [(-0.1, 0.0), (0.0, 0.0), (0.5, 1.0), (0.7, 1.0), (0.25, 0.811278)]
)
def test_entropy(share, bits):
    assert kl.entropy(share) == pytest.approx(bits, abs=1e-6)


def test_finite_length_goes_to_the_asymptotic_one():
    n = k = 10**8
    leak = math.ceil(1.1 * n * kl.entropy(0.02))
    many = kl.bbm92_bits(n, k, 0.02, leak, None, 1e-15)
    finite = kl.bbm92_bits(n, k, 0.02, leak, 1e-10, 1e-15)
    assert 0.99 < finite / many < 1.0


def test_finite_length_by_hand():
    """n = k = 10^4, e_X = 2 %, e_sec = 1e-10: mu = sqrt(2e4/1e8 * 1.0001 * ln 2e10) = 0.068879."""
    assert kl.sampling_margin(10**4, 10**4, 1e-10) == pytest.approx(0.068879, abs=1e-6)
    by_hand = 1e4 * (1 - kl.entropy(0.0888787)) - 1500 - math.log2(2e35)
    assert kl.bbm92_bits(10**4, 10**4, 0.02, 1500, 1e-10, 1e-15) == math.floor(by_hand)


def test_werner_pairs_of_fidelity_0_835_are_at_the_threshold():
    """A7.2: zero at e = 11.00 %, F = 0.835."""
    w = 1 - 2 * kl.THRESHOLD
    assert (1 + 3 * w) / 4 == pytest.approx(0.835, abs=5e-4)
    assert kl.error_shares((w, w, w)) == pytest.approx((kl.THRESHOLD,) * 3)
    assert kl.bbm92_rate_hz(1e3, 0.5, (w, w, w)) == pytest.approx(0.0, abs=1e-3)
    assert kl.bbm92_rate_hz(1e3, 0.5, (0.5, 0.5, 0.5)) == 0.0


def test_key_rate_is_pair_rate_times_sifting_times_secret_share():
    assert kl.bbm92_rate_hz(1e3, 0.9, (1.0, 1.0, 1.0)) == pytest.approx(810.0)
    got = kl.bbm92_rate_hz(1e3, 0.5, (0.94, 0.9, 0.96), 1.16)
    assert got == pytest.approx(250 * (1 - kl.entropy(0.03) - 1.16 * kl.entropy(0.02)))
    with pytest.raises(ValueError, match=r"0 <= z_prob <= 1, got 1\.5"):
        kl.bbm92_rate_hz(1e3, 1.5, (1.0, 1.0, 1.0))


def test_e91_error_of_the_two_key_bases():
    assert kl.e91_error((0.8, 0.1, 0.9)) == pytest.approx((0.05 + 0.075) / 2)
    assert kl.e91_rate(2 * math.sqrt(2), 0.0) == pytest.approx(1.0, abs=1e-6)
    assert kl.e91_rate(2.0, 0.0) == 0.0


@pytest.mark.parametrize("counts", [(0, 100), (100, 0), (50, 50)])
def test_no_key_without_enough_bits(counts):
    assert kl.bbm92_bits(*counts, 0.0, 0, 1e-10, 1e-15) == 0


def test_bell_sum_bounds_the_eavesdropper():
    assert kl.chsh_entropy(2.0) == kl.chsh_entropy(1.0) == 1.0
    assert kl.chsh_entropy(2 * math.sqrt(2)) == pytest.approx(0.0, abs=1e-6)
    # Critical error rate of [3]: 7.1 % for S = 2 sqrt2 (1 - 2 Q).
    s = 2 * math.sqrt(2) * (1 - 2 * 0.0715)
    assert 1 - kl.chsh_entropy(s) - kl.entropy(0.0715) == pytest.approx(0.0, abs=2e-3)
    assert kl.e91_bits(1000, 2.0, 0) == 0
    assert kl.e91_bits(1000, 2 * math.sqrt(2), 100) in (899, 900)
