"""Conversion of gate figures against the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.physics import gates


@pytest.mark.parametrize("qubits", [1, 2])
def test_law_average_fidelity_of_depolarising_noise(qubits):
    amount, size = 0.13, 2**qubits
    generator = np.random.default_rng(1)
    fidelities = []
    for _ in range(5):
        state = generator.normal(size=size) + 1j * generator.normal(size=size)
        state /= np.linalg.norm(state)
        after = (1 - amount) * np.outer(state, state.conj()) + amount * np.eye(size) / size
        fidelities.append((state.conj() @ after @ state).real)
    assert gates.fidelity_from_depolarising(amount, qubits) == pytest.approx(np.mean(fidelities))


@pytest.mark.parametrize("qubits", [1, 2])
def test_law_process_fidelity_is_the_weight_of_the_identity(qubits):
    amount, size = 0.2, 2**qubits
    phi = np.eye(size).reshape(-1) / np.sqrt(size)
    choi = (1 - amount) * np.outer(phi, phi) + amount * np.eye(size**2) / size**2
    assert gates.process_from_depolarising(amount, qubits) == pytest.approx(phi @ choi @ phi)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.floats(0, 1))
def test_law_conversions_are_inverse_and_consistent(qubits, amount):
    average = gates.fidelity_from_depolarising(amount, qubits)
    process = gates.process_from_depolarising(amount, qubits)
    assert gates.depolarising_from_fidelity(average, qubits) == pytest.approx(amount, abs=1e-12)
    assert gates.average_from_process(process, qubits) == pytest.approx(average)
    assert gates.process_from_average(average, qubits) == pytest.approx(process)


def test_law_small_infidelity_is_two_g_and_four_thirds_g():
    assert gates.depolarising_from_fidelity(0.999, 1) == pytest.approx(2e-3)
    assert gates.depolarising_from_fidelity(0.99, 2) == pytest.approx(4e-2 / 3)


@pytest.mark.parametrize("fidelity", [0.4, 1.1, float("nan")])
def test_refuses_a_fidelity_that_no_depolarised_gate_has(fidelity):
    with pytest.raises(ValueError, match="average fidelity"):
        gates.depolarising_from_fidelity(fidelity, 1)


def test_refuses_a_gate_on_nothing():
    with pytest.raises(ValueError, match="number of qubits"):
        gates.process_from_depolarising(0.1, 0)
