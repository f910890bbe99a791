"""Laws of Bell labels, weights and correlators."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.physics import bell

PAULI = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}
weights_strategy = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4).map(
    lambda values: tuple(v / sum(values) for v in values)
)
labels = st.sampled_from(bell.LABELS)


@pytest.mark.parametrize("label", bell.LABELS)
def test_law_vector_is_a_pauli_on_the_second_half_of_phi_plus(label):
    x, z = label
    phi = np.array([1, 0, 0, 1]) / np.sqrt(2)
    pauli = np.linalg.matrix_power(PAULI["X"], x) @ np.linalg.matrix_power(PAULI["Z"], z)
    assert np.allclose(bell.bell_vector(label), np.kron(np.eye(2), pauli) @ phi, atol=1e-15)


@pytest.mark.parametrize("label", bell.LABELS)
def test_law_correction_gate_brings_back_phi_plus(label):
    gate = np.kron(np.eye(2), PAULI[bell.correction_gate(label)])
    state = gate @ np.array(bell.bell_vector(label))
    assert abs(np.vdot(bell.bell_vector((0, 0)), state)) == pytest.approx(1.0, abs=1e-12)


def test_law_labels_compose_by_xor():
    for first, second in itertools.product(bell.LABELS, repeat=2):
        weights = bell.relabel(bell.werner(1.0), first)
        composed = bell.relabel(weights, second)
        assert bell.fidelity(composed, bell.label_xor(first, second)) == 1.0


@settings(max_examples=25, deadline=None)
@given(weights_strategy)
def test_law_correlators_are_expectation_values(weights):
    rho = np.array(bell.density_matrix(weights))
    signs = {"X": 1, "Y": -1, "Z": 1}
    expected = [np.trace(rho @ np.kron(PAULI[p], PAULI[p])).real * s for p, s in signs.items()]
    assert bell.correlators(weights) == pytest.approx(expected, abs=1e-12)
    assert bell.weights_from_correlators(bell.correlators(weights)) == pytest.approx(weights)
    assert bell.fidelity_from_correlators(bell.correlators(weights)) == pytest.approx(weights[0])


@settings(max_examples=25, deadline=None)
@given(weights_strategy, labels)
def test_law_overlap_of_the_matrix_is_the_weight(weights, label):
    rho = np.array(bell.density_matrix(weights))
    vector = np.array(bell.bell_vector(label))
    direct = (vector @ rho @ vector).real
    assert bell.overlap(bell.density_matrix(weights), label) == pytest.approx(direct, abs=1e-12)
    assert bell.fidelity(weights, label) == pytest.approx(direct, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(weights_strategy, weights_strategy)
def test_law_convolution_multiplies_correlators(first, second):
    product = [
        a * b for a, b in zip(bell.correlators(first), bell.correlators(second), strict=True)
    ]
    assert bell.correlators(bell.convolve(first, second)) == pytest.approx(product, abs=1e-12)
    assert bell.convolve(first, second) == pytest.approx(bell.convolve(second, first))


def test_werner_refuses_a_fidelity_above_one():
    with pytest.raises(ValueError, match=r"0 <= F <= 1, got 1\.5"):
        bell.werner(1.5)


def test_overlap_takes_any_matrix():
    generator = np.random.default_rng(3)
    root = generator.normal(size=(4, 4)) + 1j * generator.normal(size=(4, 4))
    rho = root @ root.conj().T
    rho /= np.trace(rho)
    for label in bell.LABELS:
        vector = np.array(bell.bell_vector(label))
        assert bell.overlap(rho.tolist(), label) == pytest.approx((vector @ rho @ vector).real)
