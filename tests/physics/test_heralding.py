"""The double-click formulas against an enumeration of every photon, and their limits."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from qnet.physics import bell
from qnet.physics.heralding import double_click, mode_visibility
from qnet.plan import LinkOptics

PAULIS = [np.eye(2), np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [1.0, 0.0]])]
PAULIS.append(PAULIS[2] @ PAULIS[1])
DETECTORS = list(itertools.product((0, 1), (0, 1)))  # (port, mode)


@dataclass(frozen=True)
class Optics:
    eta_a: float = 0.5
    eta_b: float = 0.4
    visibility: float = 0.9
    dark_prob: float = 0.0
    phase_rms_rad: float = 0.0
    number_resolving: bool = False
    spin_photon_a: float = 1.0
    spin_photon_b: float = 1.0


def photon_terms(end, spin, optics, pauli, phase):
    """Creation-operator expansion of one end's photon: [(field mode, amplitude)].

    A field mode is ("port", port, mode, shape) or ("lost", end, mode, 0); shape 0 is that of A.
    """
    eta = (optics.eta_a, optics.eta_b)[end]
    shapes = (
        [(0, 1.0)]
        if end == 0
        else [
            (0, math.sqrt(optics.visibility)),
            (1, math.sqrt(1 - optics.visibility)),
        ]
    )
    terms = []
    for mode in (0, 1):
        amplitude = pauli[mode, spin]
        if end == 0 and mode == 1:
            amplitude = amplitude * np.exp(1j * phase)
        terms.append((("lost", end, mode, 0), amplitude * math.sqrt(1 - eta)))
        for port in (0, 1):
            sign = -1.0 if end == 1 and port == 1 else 1.0
            for shape, weight in shapes:
                field = ("port", port, mode, shape)
                terms.append((field, amplitude * math.sqrt(eta / 2) * sign * weight))
    return terms


def enumerate_pattern(optics, pattern):
    """Unnormalised state of the memories for one click pattern, by brute force over Fock states."""
    # cos(phase) equals the Gaussian mean of exp(i phase): two phases stand for the distribution.
    phase = math.acos(math.exp(-(optics.phase_rms_rad**2) / 2))
    total = np.zeros((4, 4), dtype=complex)
    errors = itertools.product(enumerate(PAULIS), enumerate(PAULIS), (phase, -phase))
    for (i, pauli_a), (j, pauli_b), angle in errors:
        weight = bell.werner(optics.spin_photon_a)[i] * bell.werner(optics.spin_photon_b)[j] / 2
        if weight == 0.0:
            continue
        vectors = defaultdict(lambda: np.zeros(4, dtype=complex))
        for spins in itertools.product((0, 1), repeat=2):
            first = photon_terms(0, spins[0], optics, pauli_a, angle)
            second = photon_terms(1, spins[1], optics, pauli_b, angle)
            for (f, x), (g, y) in itertools.product(first, second):
                bunched = math.sqrt(2) if f == g else 1.0
                vectors[tuple(sorted((f, g)))][2 * spins[0] + spins[1]] += x * y * bunched / 2
        for fields, vector in vectors.items():
            prob = click_prob(fields, pattern, optics)
            total += weight * prob * np.outer(vector, vector.conj())
    return total


def click_prob(fields, pattern, optics):
    prob, dark = 1.0, optics.dark_prob
    for detector in DETECTORS:
        count = sum(f[0] == "port" and f[1:3] == detector for f in fields)
        if detector in pattern:
            if optics.number_resolving:
                prob *= {0: dark, 1: 1 - dark}.get(count, 0.0)
            else:
                prob *= dark if count == 0 else 1.0
        else:
            prob *= 1 - dark if count == 0 else 0.0
    return prob


PATTERNS = {
    ((0, 0), (0, 1)): bell.PSI_PLUS,
    ((1, 0), (1, 1)): bell.PSI_PLUS,
    ((0, 0), (1, 1)): bell.PSI_MINUS,
    ((1, 0), (0, 1)): bell.PSI_MINUS,
}


@pytest.mark.parametrize("number_resolving", [False, True])
@pytest.mark.parametrize(
    "optics",
    [
        {},
        {"dark_prob": 0.03, "eta_a": 0.7},
        {"dark_prob": 0.1, "visibility": 0.3, "eta_b": 1.0},
        {"phase_rms_rad": 0.5, "dark_prob": 0.01},
        {"spin_photon_a": 0.95, "spin_photon_b": 0.9, "dark_prob": 0.02, "phase_rms_rad": 0.3},
        {"eta_a": 0.0, "dark_prob": 0.2},
    ],
)
def test_law_formulas_equal_photon_enumeration(optics, number_resolving):
    setting = Optics(**optics, number_resolving=number_resolving)
    result = double_click(setting)
    for pattern, label in PATTERNS.items():
        exact = enumerate_pattern(setting, pattern)
        model = result.pattern_prob * np.array(result.state(label))
        assert np.abs(model - exact).max() < 1e-12
    assert result.success_prob == pytest.approx(4 * result.pattern_prob)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0, 1), st.floats(0, 0.3), st.booleans())
def test_law_random_optics_equal_photon_enumeration(eta_a, eta_b, visibility, dark, resolving):
    setting = Optics(eta_a, eta_b, visibility, dark, 0.2, resolving)
    result = double_click(setting)
    exact = enumerate_pattern(setting, ((0, 0), (0, 1)))
    model = result.pattern_prob * np.array(result.state(bell.PSI_PLUS))
    assert np.abs(model - exact).max() < 1e-12


@settings(max_examples=50, deadline=None)
@given(
    st.floats(0.001, 1), st.floats(0.001, 1), st.floats(0, 1), st.floats(0, 0.5),
    st.floats(0, 2), st.booleans(), st.floats(0.25, 1), st.floats(0.25, 1),
)  # fmt: skip
def test_law_bounded_and_symmetric(eta_a, eta_b, v, dark, phase, resolving, f_a, f_b):
    result = double_click(Optics(eta_a, eta_b, v, dark, phase, resolving, f_a, f_b))
    mirrored = double_click(Optics(eta_b, eta_a, v, dark, phase, resolving, f_b, f_a))
    assert 0 < result.success_prob <= 1
    assert 0 <= result.fidelity <= (1 + v) / 2 + 1e-12
    assert sum(result.weights_plus) == pytest.approx(1)
    assert result.weights_minus == pytest.approx(bell.relabel(result.weights_plus, (0, 1)))
    assert result.success_prob == pytest.approx(mirrored.success_prob)
    assert result.fidelity == pytest.approx(mirrored.fidelity)


def test_law_without_dark_counts_p_is_half_eta_eta_and_f_is_half_one_plus_v():
    result = double_click(LinkOptics(eta_a=0.0209, eta_b=0.0209, visibility=0.88))
    assert result.success_prob == pytest.approx(0.0209**2 / 2)
    assert result.fidelity == pytest.approx(0.94)
    # Stephenson et al. 2020: 833 kHz attempts, 182 pairs/s, F = 0.940.
    assert result.success_prob * 833e3 == pytest.approx(182, rel=0.01)


def test_law_first_order_in_dark_counts():
    eta, dark, v = 0.01, 1e-6, 0.9
    result = double_click(Optics(eta, eta, v, dark))
    ideal, noise = (1 + v) / 2, 4 * dark * 2 / eta
    assert result.fidelity == pytest.approx(ideal - noise * (ideal - 0.25), abs=2 * noise**2 + 1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [("eta_a", 1.2), ("eta_b", -0.1), ("visibility", math.nan), ("dark_prob", 2.0),
     ("spin_photon_a", -1.0), ("phase_rms_rad", -0.1)],
)  # fmt: skip
def test_refuses_what_is_no_probability(field, value):
    with pytest.raises(ValueError, match=field):
        double_click(Optics(**{field: value}))


def test_refuses_an_attempt_that_can_never_succeed():
    with pytest.raises(ValueError, match="probability > 0"):
        double_click(Optics(eta_a=0.0))


def test_mode_visibility_is_the_squared_overlap_of_two_decaying_photons():
    tau_a, tau_b, detuning, delay = 1.0, 2.5, 0.7, 0.4

    def integrand(t):
        first = np.exp(-t / (2 * tau_a)) / math.sqrt(tau_a)
        second = np.exp(-(t - delay) / (2 * tau_b)) / math.sqrt(tau_b)
        return first * second * np.exp(1j * detuning * t)

    real = integrate.quad(lambda t: integrand(t).real, delay, 80)[0]
    imag = integrate.quad(lambda t: integrand(t).imag, delay, 80)[0]
    expected = real**2 + imag**2
    assert mode_visibility(tau_a, tau_b, detuning, delay) == pytest.approx(expected, abs=1e-8)
    assert mode_visibility(7.9e-9, 26.2e-9) == pytest.approx(0.712, abs=5e-4)
    with pytest.raises(ValueError, match="lifetimes"):
        mode_visibility(0.0, 1.0)
