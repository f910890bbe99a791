"""Time bins with detectors that are dead late: formulas against an enumeration of every photon."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qnet.physics.bell import PSI_MINUS, PSI_PLUS, overlap
from qnet.physics.heralding import double_click
from qnet.physics.time_bin import blind_time_bin
from qnet.plan import LinkOptics
from tests.physics.photon_enumeration import time_bin_state

PORTS = [(0, 0), (1, 1), (0, 1), (1, 0)]


def random_optics(seed: int, number_resolving: bool) -> LinkOptics:
    draw = np.random.default_rng(seed).uniform
    return LinkOptics(
        draw(), draw(), draw(), draw(0, 0.4), draw(0, 2), number_resolving, draw(0.2, 1), draw(0.2, 1)
    )  # fmt: skip


@pytest.mark.parametrize("number_resolving", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_law_blind_formulas_equal_photon_enumeration(seed: int, number_resolving: bool) -> None:
    optics = random_optics(seed, number_resolving)
    result = blind_time_bin(optics)
    for ports in PORTS:
        exact = time_bin_state(optics, ports, blind=True)
        if ports[0] == ports[1]:
            assert np.abs(exact).max() == 0.0
        else:
            assert np.abs(result.pattern_prob * np.array(result.state) - exact).max() < 1e-12


@pytest.mark.parametrize("number_resolving", [False, True])
def test_law_detectors_that_recover_are_those_of_a_double_click(number_resolving: bool) -> None:
    optics = random_optics(9, number_resolving)
    result = double_click(optics)
    for ports in PORTS:
        label = PSI_PLUS if ports[0] == ports[1] else PSI_MINUS
        exact = time_bin_state(optics, ports, blind=False)
        assert np.abs(result.pattern_prob * np.array(result.state(label)) - exact).max() < 1e-12


@pytest.mark.parametrize("number_resolving", [False, True])
def test_law_dead_detectors_halve_p_and_keep_the_state_without_dark_counts(
    number_resolving: bool,
) -> None:
    optics = LinkOptics(0.5, 0.3, 0.9, 0.0, 0.2, number_resolving, 0.95, 0.98)
    blind, awake = blind_time_bin(optics), double_click(optics)
    assert blind.success_prob == pytest.approx(awake.success_prob / 2)
    assert blind.success_prob == pytest.approx(0.5 * 0.3 / 4)
    assert np.allclose(blind.state, awake.state(PSI_MINUS), atol=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_law_states_are_states(seed: int) -> None:
    result = blind_time_bin(random_optics(seed, seed % 2 == 1))
    assert 0 < result.success_prob == pytest.approx(2 * result.pattern_prob)
    assert result.success_prob <= 1
    assert np.trace(result.state) == pytest.approx(1)
    assert np.linalg.eigvalsh(result.state).min() > -1e-12
    assert overlap(result.state, PSI_MINUS) == pytest.approx(result.fidelity)


def test_law_late_photons_have_one_more_way_to_pass() -> None:
    """A photon in the dead detector goes unseen, so |11> outweighs |00>: not a Bell-diagonal state."""
    state = blind_time_bin(LinkOptics(0.3, 0.3, 0.9, dark_prob=0.05)).state
    assert state[3][3].real > state[0][0].real > 0.0


def test_refuses_no_probability_and_no_click() -> None:
    with pytest.raises(ValueError, match="dark_prob"):
        blind_time_bin(LinkOptics(0.5, 0.5, dark_prob=math.nan))
    with pytest.raises(ValueError, match="probability > 0"):
        blind_time_bin(LinkOptics(0.0, 0.5))
