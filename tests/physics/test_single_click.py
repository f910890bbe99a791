"""The single-click formulas against an enumeration of every photon, and their limits."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.physics.bell import PSI_MINUS, PSI_PLUS, overlap
from qnet.physics.heralding import double_click
from qnet.physics.single_click import brightest, single_click
from qnet.plan import LinkOptics
from tests.physics.photon_enumeration import single_click_state

LABELS = (PSI_PLUS, PSI_MINUS)
"""By port."""


def difference(optics: LinkOptics, bright: tuple[float, float], double: float) -> float:
    """Largest element of (formula - enumeration) over both detectors."""
    result = single_click(optics, *bright, double)
    return max(
        np.abs(
            result.click_prob * np.array(result.state(label))
            - single_click_state(optics, bright, double, port)
        ).max()
        for port, label in enumerate(LABELS)
    )


@pytest.mark.parametrize("number_resolving", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_law_formulas_equal_photon_enumeration(seed: int, number_resolving: bool) -> None:
    draw = np.random.default_rng(seed).uniform
    optics = LinkOptics(
        draw(), draw(), draw(), draw(0, 0.4), draw(0, 2), number_resolving, draw(0.2, 1), draw(0.2, 1)
    )  # fmt: skip
    assert difference(optics, (draw(), draw()), draw()) < 1e-12


@pytest.mark.parametrize("number_resolving", [False, True])
@pytest.mark.parametrize(
    ("figures", "bright", "double"),
    [
        ({}, (0.1, 0.1), 0.0),
        ({"visibility": 0.0}, (0.3, 0.6), 0.0),
        ({"eta_a": 0.0, "dark_prob": 0.2}, (0.5, 0.5), 0.3),
        ({"eta_a": 1.0, "eta_b": 1.0, "dark_prob": 1e-3}, (0.9, 0.8), 0.0),
        ({"phase_rms_rad": 0.4}, (0.2, 0.1), 1.0),
    ],
)
def test_law_edges_equal_photon_enumeration(
    figures: dict[str, float], bright: tuple[float, float], double: float, number_resolving: bool
) -> None:
    optics = LinkOptics(0.5, 0.4, number_resolving=number_resolving)
    assert difference(msgspec.structs.replace(optics, **figures), bright, double) < 1e-12


unit = st.floats(0.0, 1.0)
alpha = st.floats(0.01, 0.99)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.01, 1), st.floats(0.01, 1), unit, st.floats(0, 0.5), st.floats(0, 2), st.booleans(),
    st.floats(0.25, 1), st.floats(0.25, 1), alpha, alpha, unit,
)  # fmt: skip
def test_law_bounded_and_symmetric(
    eta_a, eta_b, v, dark, phase, resolving, f_a, f_b, bright_a, bright_b, double
) -> None:
    optics = LinkOptics(eta_a, eta_b, v, dark, phase, resolving, f_a, f_b)
    swapped = LinkOptics(eta_b, eta_a, v, dark, phase, resolving, f_b, f_a)
    result = single_click(optics, bright_a, bright_b, double)
    mirrored = single_click(swapped, bright_b, bright_a, double)
    assert 0 < result.success_prob <= 1
    assert result.success_prob == pytest.approx(2 * result.click_prob)
    for label in LABELS:
        state = np.array(result.state(label))
        assert np.trace(state) == pytest.approx(1)
        assert np.linalg.eigvalsh(state).min() > -1e-12
        assert overlap(result.state(label), label) == pytest.approx(result.fidelity)
    assert result.success_prob == pytest.approx(mirrored.success_prob)
    assert result.fidelity == pytest.approx(mirrored.fidelity)
    assert result.p01 == pytest.approx(mirrored.p10)


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.3])
@pytest.mark.parametrize(("v", "sigma"), [(1.0, 0.0), (0.81, 0.3)])
def test_law_small_efficiency_without_dark_counts(alpha: float, v: float, sigma: float) -> None:
    """p ~ 2 alpha eta and F ~ (1 - alpha)(1 + sqrt(V) exp(-sigma^2/2))/2, both to first order in eta."""
    eta = 1e-6
    result = single_click(LinkOptics(eta, eta, v, 0.0, sigma), alpha, alpha)
    assert result.success_prob == pytest.approx(2 * alpha * eta, rel=2 * eta)
    expected = (1 - alpha) * (1 + math.sqrt(v) * math.exp(-(sigma**2) / 2)) / 2
    assert result.fidelity == pytest.approx(expected, rel=2 * eta)


def test_law_single_click_has_the_root_of_v_where_double_click_has_v() -> None:
    """Reference E4: F - 1/2 of pure dephasing is sqrt(V)/2 here, V/2 there."""
    optics = LinkOptics(1e-4, 1e-4, visibility=0.81)
    one = single_click(optics, 1e-4, 1e-4).fidelity
    assert one == pytest.approx((1 + 0.9) / 2, abs=2e-4)
    assert double_click(optics).fidelity == pytest.approx((1 + 0.81) / 2)


def test_law_threshold_and_number_resolving_differ_by_the_bunched_photons() -> None:
    """Reference E5: p11 differs by alpha^2 eta_A eta_B (1 + V)/4, nothing else without dark counts."""
    optics = LinkOptics(0.5, 0.3, visibility=0.9)
    threshold = single_click(optics, 0.2, 0.4)
    resolving = single_click(msgspec.structs.replace(optics, number_resolving=True), 0.2, 0.4)
    assert threshold.p11 - resolving.p11 == pytest.approx(0.2 * 0.4 * 0.5 * 0.3 * 1.9 / 4)
    assert (threshold.p01, threshold.p10, threshold.coherence) == (
        resolving.p01,
        resolving.p10,
        resolving.coherence,
    )


def test_law_only_dark_counts_leave_the_memories_as_they_were_made() -> None:
    result = single_click(LinkOptics(0.0, 0.0, dark_prob=0.01), 0.2, 0.3)
    assert result.success_prob == pytest.approx(2 * 0.01 * 0.99)
    shares = [result.p00, result.p01, result.p10, result.p11]
    assert [one / result.click_prob for one in shares] == pytest.approx([0.56, 0.24, 0.14, 0.06])
    assert result.coherence == 0.0


@pytest.mark.parametrize(
    ("field", "value"),
    [("eta_a", 1.2), ("eta_b", -0.1), ("visibility", math.nan), ("dark_prob", 2.0),
     ("spin_photon_a", -1.0), ("phase_rms_rad", -0.1)],
)  # fmt: skip
def test_refuses_optics_that_are_none(field: str, value: float) -> None:
    optics = msgspec.structs.replace(LinkOptics(0.5, 0.5), **{field: value})
    with pytest.raises(ValueError, match=field):
        single_click(optics, 0.1, 0.1)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_refuses_memories_that_are_always_dark_or_bright(value: float) -> None:
    with pytest.raises(ValueError, match="0 < bright_a_prob < 1"):
        single_click(LinkOptics(0.5, 0.5), value, 0.1)
    with pytest.raises(ValueError, match="0 < bright_b_prob < 1"):
        single_click(LinkOptics(0.5, 0.5), 0.1, value)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_refuses_an_impossible_double_excitation(value: float) -> None:
    with pytest.raises(ValueError, match="double_excitation_prob"):
        single_click(LinkOptics(0.5, 0.5), 0.1, 0.1, value)


def test_refuses_an_attempt_that_can_never_succeed() -> None:
    with pytest.raises(ValueError, match="probability > 0"):
        single_click(LinkOptics(0.0, 0.0), 0.1, 0.1)


@pytest.mark.parametrize("optics", [
    LinkOptics(0.02, 0.02, 0.95, 1e-6, 0.2),
    LinkOptics(0.3, 0.05, 0.9, 1e-5, 0.1, number_resolving=True),
    LinkOptics(1e-4, 3e-4, 1.0, 1e-7, 0.0, spin_photon_a=0.99),
])  # fmt: skip
@pytest.mark.parametrize("wanted", [0.7, 0.8, 0.84])
def test_law_brightest_state_has_the_fidelity_and_no_brighter_one_has(
    optics: LinkOptics, wanted: float
) -> None:
    bright = brightest(optics, wanted, 0.01)
    assert bright[0] * optics.eta_a == pytest.approx(bright[1] * optics.eta_b)
    assert max(bright) < 0.5
    assert single_click(optics, *bright, 0.01).fidelity == pytest.approx(wanted, abs=1e-9)
    for factor in (1.001, 1.05, 0.5 / max(bright)):
        brighter = (bright[0] * factor, bright[1] * factor)
        assert single_click(optics, *brighter, 0.01).fidelity < wanted
        more = single_click(optics, *brighter, 0.01).success_prob
        assert more > single_click(optics, *bright, 0.01).success_prob


def test_brightest_state_is_one_half_at_most() -> None:
    optics = LinkOptics(0.01, 0.02)
    assert brightest(optics, 0.3) == pytest.approx((0.5, 0.25))


def test_refuses_a_fidelity_out_of_reach_and_names_the_best() -> None:
    optics = LinkOptics(1e-3, 1e-3, 0.9, 1e-5)
    with pytest.raises(ValueError, match=r"fidelity must be <= 0\.\d{6}, .* got 0\.99") as caught:
        brightest(optics, 0.99)
    best = float(str(caught.value).split("<= ")[1].split(",")[0])
    grid = [single_click(optics, a, a).fidelity for a in np.geomspace(1e-6, 0.5, 4001)]
    assert best == pytest.approx(max(grid), abs=1e-5)
    assert brightest(optics, best - 1e-6)[0] < 0.5
    with pytest.raises(ValueError, match="one has eta = 0"):
        brightest(LinkOptics(0.0, 0.1), 0.5)
