"""Single click, time bins and Barrett-Kok: closed form against attempts drawn photon by photon."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import msgspec
import pytest

from qnet.physics.bell import PSI_MINUS, overlap
from qnet.plan import LinkOptics
from qnet.randomness import KeyedRandom
from qnet.seams import ClickOutcome, HeraldingScheme, NoParameters, checked_outcomes
from qnet_protocols.heralding import barrett_kok, double_click, single_click, time_bin
from qnet_protocols.heralding.midpoint import MESSAGES
from qnet_protocols.heralding.single_click import SingleClickParameters
from qnet_protocols.heralding.time_bin import TimeBinParameters

ATTEMPTS = 10_000
SCHEMES = (single_click.SCHEME, time_bin.SCHEME, barrett_kok.SCHEME)
BLIND = TimeBinParameters(bin_separation_s=1e-7, dead_time_s=2e-7)
AWAKE = TimeBinParameters(bin_separation_s=1e-7, dead_time_s=1e-7)


def random_optics(draw: Callable[[], float], number_resolving: bool) -> LinkOptics:
    return LinkOptics(
        eta_a=0.3 + 0.7 * draw(),
        eta_b=0.3 + 0.7 * draw(),
        visibility=draw(),
        dark_prob=0.02 + 0.2 * draw(),
        phase_rms_rad=1.5 * draw(),
        number_resolving=number_resolving,
        spin_photon_a=0.7 + 0.3 * draw(),
        spin_photon_b=0.7 + 0.3 * draw(),
    )


def settings(name: str, number: int) -> tuple[HeraldingScheme, LinkOptics, Any]:
    """A scheme with random optics and parameters; odd numbers have number-resolving detectors."""
    draw = KeyedRandom(2026, name, str(number)).uniform
    optics = random_optics(draw, number % 2 == 1)
    if name == "single-click":
        bright = (0.1 + 0.8 * draw(), 0.1 + 0.8 * draw())
        return single_click.SCHEME, optics, SingleClickParameters(*bright, draw())
    if name == "barrett-kok":
        return barrett_kok.SCHEME, optics, NoParameters()
    return time_bin.SCHEME, optics, BLIND if name == "blind" else AWAKE


def draw_many(
    scheme: HeraldingScheme, optics: LinkOptics, parameters: Any, seed: int, attempts: int
) -> list[ClickOutcome]:
    uniform = KeyedRandom(seed, "station", "sample").uniform
    drawn = (scheme.sample(optics, parameters, uniform) for _ in range(attempts))
    return [one for one in drawn if one is not None]


def compare_states(outcome: ClickOutcome, histories: list[Any]) -> None:
    """Each element of the mean state within 4.5 standard errors.

    A set makes 64 or 128 comparisons, so the chance of a false alarm is below 1e-3.
    """
    for row in range(4):
        for column in range(4):
            values = [state[row][column] for state in histories]
            average = sum(values) / len(values)
            for part in ("real", "imag"):
                spread = sum((getattr(v, part) - getattr(average, part)) ** 2 for v in values)
                sigma = math.sqrt(spread) / len(values)
                error = getattr(average, part) - getattr(outcome.state[row][column], part)
                assert abs(error) <= 4.5 * sigma + 1e-12, (outcome.pattern, row, column, part)


CHI_SQUARED_AT_1E_3 = {2: 13.8, 4: 18.5}
"""By degrees of freedom: the value that is exceeded with probability 1e-3."""


@pytest.mark.parametrize(
    ("name", "number"),
    [*product(("single-click", "blind"), range(4)), ("awake", 0), ("barrett-kok", 1)],
)
def test_law_samples_agree_with_closed_form(name: str, number: int) -> None:
    scheme, optics, parameters = settings(name, number)
    exact = {one.pattern: one for one in scheme.outcomes(optics, parameters)}
    drawn = draw_many(scheme, optics, parameters, number, ATTEMPTS)
    assert {one.pattern for one in drawn} == set(exact)
    fail_prob = 1.0 - sum(one.prob for one in exact.values())
    failures = ATTEMPTS - len(drawn)
    chi_squared = (failures - ATTEMPTS * fail_prob) ** 2 / (ATTEMPTS * fail_prob)
    for pattern, outcome in exact.items():
        histories = [one.state for one in drawn if one.pattern == pattern]
        mean = ATTEMPTS * outcome.prob
        chi_squared += (len(histories) - mean) ** 2 / mean
        assert {one.label for one in drawn if one.pattern == pattern} == {outcome.label}
        compare_states(outcome, histories)
    assert chi_squared < CHI_SQUARED_AT_1E_3[len(exact)]


@pytest.mark.parametrize("name", ["single-click", "blind"])
def test_law_histories_are_states(name: str) -> None:
    for number in range(4):
        for one in draw_many(*settings(name, number), number, 1_000):
            assert one.prob == 1.0
            assert sum(one.state[k][k] for k in range(4)) == pytest.approx(1.0, abs=1e-12)
            for row in range(4):
                assert one.state[row][row].real >= -1e-12
                for column in range(4):
                    conjugate = one.state[column][row].conjugate()
                    assert one.state[row][column] == pytest.approx(conjugate, abs=1e-12)


def test_law_one_photon_through_perfect_optics_leaves_the_announced_state() -> None:
    """Every history of small alpha and no loss is the pure Psi that its port announces."""
    parameters = SingleClickParameters(1e-3, 1e-3)
    optics = LinkOptics(1.0, 1.0, number_resolving=True)
    drawn = draw_many(single_click.SCHEME, optics, parameters, 1, ATTEMPTS)
    assert {one.pattern for one in drawn} == {(0,), (1,)}
    for one in drawn:
        assert overlap(one.state, one.label) == pytest.approx(1.0)


def test_law_a_second_photon_betrays_the_emitter() -> None:
    optics, parameters = LinkOptics(0.5, 0.5), SingleClickParameters(0.3, 0.3, 1.0)
    drawn = draw_many(single_click.SCHEME, optics, parameters, 2, 2_000)
    assert {one.state[1][2] for one in drawn} == {0j}
    assert [one.state[1][2] for one in single_click.outcomes(optics, parameters)] == [0j, 0j]


def test_law_no_light_and_no_dark_counts_never_click() -> None:
    dark = LinkOptics(0.0, 0.0)
    for scheme, parameters in (
        (single_click.SCHEME, SingleClickParameters()),
        (time_bin.SCHEME, BLIND),
    ):
        assert draw_many(scheme, dark, parameters, 1, 200) == []
        with pytest.raises(ValueError, match="probability > 0"):
            scheme.outcomes(dark, parameters)


@pytest.mark.parametrize(
    ("dead_time_s", "patterns"), [(0.0, 4), (1e-7, 4), (1.01e-7, 2), (math.inf, 2)]
)
def test_dead_time_beyond_the_distance_of_the_bins_loses_psi_plus(
    dead_time_s: float, patterns: int
) -> None:
    optics = LinkOptics(0.4, 0.3, 0.9)
    found = time_bin.outcomes(optics, TimeBinParameters(1e-7, dead_time_s))
    whole = sum(one.prob for one in double_click.outcomes(optics, NoParameters()))
    assert len(found) == patterns
    assert sum(one.prob for one in found) == pytest.approx(whole * patterns / 4)
    if patterns == 2:
        assert {one.label for one in found} == {PSI_MINUS}


def test_barrett_kok_is_a_double_click_of_two_rounds() -> None:
    optics = random_optics(KeyedRandom(1, "optics", "0").uniform, False)
    awaited = barrett_kok.SCHEME.outcomes(optics, NoParameters())
    assert awaited == double_click.outcomes(optics, NoParameters())
    assert (barrett_kok.SCHEME.rounds, double_click.SCHEME.rounds) == (2, 1)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_catalogue_entries_keep_the_rules_with_their_defaults(scheme: HeraldingScheme) -> None:
    found = checked_outcomes("a-b", scheme, LinkOptics(0.4, 0.3, dark_prob=1e-3), {})
    assert len(found) >= 2
    assert scheme.messages == MESSAGES
    assert scheme.sources


@pytest.mark.parametrize(
    ("record", "data"),
    [
        (SingleClickParameters, {"bright_a_prob": 0.0}),
        (SingleClickParameters, {"bright_b_prob": 1.0}),
        (SingleClickParameters, {"double_excitation_prob": 1.5}),
        (SingleClickParameters, {"alpha": 0.1}),
        (TimeBinParameters, {"bin_separation_s": 0.0}),
        (TimeBinParameters, {"dead_time_s": -1e-9}),
    ],
)
def test_parameters_outside_their_domain_are_refused(
    record: type[msgspec.Struct], data: dict[str, float]
) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(data, record)
