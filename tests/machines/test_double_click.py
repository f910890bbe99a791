"""The double-click scheme: closed form against attempts drawn photon by photon."""

import math

import pytest

from qnet.plan import LinkOptics
from qnet.randomness import KeyedRandom
from qnet.seams import NoParameters
from qnet_protocols.heralding.double_click import LABELS, SCHEME, outcomes, sample
from qnet_protocols.heralding.photons import DETECTORS, detector

ATTEMPTS = 20_000


def random_optics(number):
    draw = KeyedRandom(2026, "optics", str(number)).uniform
    return LinkOptics(
        eta_a=0.3 + 0.7 * draw(),
        eta_b=0.3 + 0.7 * draw(),
        visibility=draw(),
        dark_prob=0.02 + 0.2 * draw(),
        phase_rms_rad=1.5 * draw(),
        number_resolving=number % 2 == 1,
        spin_photon_a=0.7 + 0.3 * draw(),
        spin_photon_b=0.7 + 0.3 * draw(),
    )


def draw_many(optics, seed, attempts=ATTEMPTS):
    uniform = KeyedRandom(seed, "station", "sample").uniform
    drawn = [sample(optics, NoParameters(), uniform) for _ in range(attempts)]
    return [one for one in drawn if one is not None]


@pytest.mark.parametrize("number", range(6))
def test_law_samples_agree_with_closed_form(number):
    """Chi^2 over all outcomes; mean states and success probability within their error bars."""
    optics = random_optics(number)
    exact = {outcome.pattern: outcome for outcome in outcomes(optics, NoParameters())}
    drawn = draw_many(optics, number)
    failures = ATTEMPTS - len(drawn)
    fail_prob = 1.0 - sum(outcome.prob for outcome in exact.values())
    chi_squared = (failures - ATTEMPTS * fail_prob) ** 2 / (ATTEMPTS * fail_prob)
    for pattern, outcome in exact.items():
        histories = [one.state for one in drawn if one.pattern == pattern]
        mean = ATTEMPTS * outcome.prob
        chi_squared += (len(histories) - mean) ** 2 / mean
        for row in range(4):
            for column in range(4):
                values = [state[row][column] for state in histories]
                average = sum(values) / len(values)
                for part in ("real", "imag"):
                    spread = sum((getattr(v, part) - getattr(average, part)) ** 2 for v in values)
                    sigma = math.sqrt(spread) / len(values)
                    error = getattr(average, part) - getattr(outcome.state[row][column], part)
                    # 128 comparisons per set: 4.5 sigma keeps the chance of a false alarm at 1e-3.
                    assert abs(error) <= 4.5 * sigma + 1e-12, (pattern, row, column, part)
    sigma = math.sqrt(ATTEMPTS * fail_prob * (1.0 - fail_prob))
    assert abs(failures - ATTEMPTS * fail_prob) < 3.0 * sigma
    # 4 degrees of freedom: 18.5 is exceeded with probability 1e-3.
    assert chi_squared < 18.5


def test_law_perfect_optics_give_pure_bell_states():
    optics = LinkOptics(1.0, 1.0)
    total = sum(outcome.prob for outcome in outcomes(optics, NoParameters()))
    assert total == pytest.approx(0.5, abs=1e-12)
    for one in draw_many(optics, 1, 500):
        x, z = one.label
        sign = -1.0 if z else 1.0
        assert x == 1
        assert one.state[1][2] == pytest.approx(0.5 * sign)
        assert one.state[1][1] == pytest.approx(0.5)


def test_law_no_light_and_no_dark_counts_never_click():
    assert draw_many(LinkOptics(0.0, 0.0), 1, 200) == []
    with pytest.raises(ValueError, match="double click must have probability > 0"):
        outcomes(LinkOptics(0.0, 0.0), NoParameters())


@pytest.mark.parametrize("number", range(4))
def test_law_histories_are_states(number):
    for one in draw_many(random_optics(number), number, 1_000):
        assert sum(one.state[k][k] for k in range(4)) == pytest.approx(1.0, abs=1e-12)
        for row in range(4):
            assert one.state[row][row].real >= -1e-12
            for column in range(4):
                conjugate = one.state[column][row].conjugate()
                assert one.state[row][column] == pytest.approx(conjugate, abs=1e-12)
        assert one.label == LABELS[one.pattern]


def test_patterns_are_one_detector_per_mode():
    assert {detector(mode, port) for mode in (0, 1) for port in (0, 1)} == set(range(DETECTORS))
    for (first, second), label in LABELS.items():
        same_port = first % 2 == second % 2
        assert (first // 2, second // 2) == (0, 1)
        assert label == ((1, 0) if same_port else (1, 1))


def test_catalogue_entry():
    assert SCHEME.name == "double-click"
    assert SCHEME.outcomes is outcomes
    assert SCHEME.sample is sample
