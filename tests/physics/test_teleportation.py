"""Teleportation fidelities against a direct simulation over the six cardinal states."""

from __future__ import annotations

import itertools
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.physics import bell, teleportation
from qnet.physics.swapping import readout_contrast

I2, X, Z = np.eye(2), np.array([[0, 1], [1, 0]]), np.diag([1, -1])
Y = 1j * X @ Z
H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
CARDINAL = [
    (np.array([1, 0]), Z, 0), (np.array([0, 1]), Z, 1),
    (np.array([1, 1]) / np.sqrt(2), X, 0), (np.array([1, -1]) / np.sqrt(2), X, 1),
    (np.array([1, 1j]) / np.sqrt(2), Y, 0), (np.array([1, -1j]) / np.sqrt(2), Y, 1),
]  # fmt: skip
weights_strategy = st.tuples(*[st.floats(0.01, 1)] * 4).map(lambda p: tuple(v / sum(p) for v in p))
prob = st.floats(0, 0.3)
flips = st.tuples(prob, prob)


def embed(operators):
    return reduce(np.kron, [operators.get(q, I2) for q in range(3)])


def depolarise(rho, qubits, amount):
    count = rho.shape[0].bit_length() - 1
    tensor = rho.reshape((2,) * (2 * count))
    for q in qubits:
        mixed = np.trace(tensor, axis1=q, axis2=count + q)
        tensor = np.moveaxis(np.multiply.outer(np.eye(2) / 2, mixed), (0, 1), (q, count + q))
    return (1 - amount) * rho + amount * tensor.reshape(rho.shape)


def teleported(state, pair, errors):
    """Received density matrix, averaged over outcomes. Qubits: input, sender's half, receiver's."""
    rho = np.kron(np.outer(state, state.conj()), pair)
    zero, one = np.diag([1, 0]), np.diag([0, 1])
    cnot = embed({0: zero}) + embed({0: one, 1: X})
    rho = depolarise(cnot @ rho @ cnot.T, (0, 1), errors.gate_depolarising)
    rho = depolarise(embed({0: H}) @ rho @ embed({0: H}), (0,), errors.hadamard_depolarising)
    out = np.zeros((2, 2), dtype=complex)
    for m_x, m_z, r_x, r_z in itertools.product((0, 1), repeat=4):
        weight = flip(errors.phase_flips, m_x, r_x) * flip(errors.parity_flips, m_z, r_z)
        project = embed({0: (zero, one)[m_x], 1: (zero, one)[m_z]})
        kept = (project @ rho @ project).reshape((2,) * 6)
        part = weight * np.einsum("abcabf->cf", kept)
        if r_z:
            part = X @ part @ X
            part = (1 - errors.x_depolarising) * part + errors.x_depolarising * np.trace(
                part
            ) * I2 / 2
        if r_x:
            part = Z @ part @ Z
            part = (1 - errors.z_depolarising) * part + errors.z_depolarising * np.trace(
                part
            ) * I2 / 2
        out += part
    return out


def flip(probs, true, read):
    return probs[true] if true != read else 1 - probs[true]


@settings(max_examples=10, deadline=None)
@given(weights_strategy, flips, flips, prob, prob, prob, prob, prob, flips)
def test_law_closed_form_equals_simulation(
    weights, phase_flips, parity_flips, gate, hadamard, x_noise, z_noise, basis_noise, read_flips
):
    errors = teleportation.LocalErrors(gate, hadamard, phase_flips, parity_flips, x_noise, z_noise)
    pair = np.array(bell.density_matrix(weights))
    fidelities, verified = [], []
    for state, axis, expected in CARDINAL:
        out = teleported(state, pair, errors)
        fidelities.append((state.conj() @ out @ state).real)
        measured = out if axis is Z else (1 - basis_noise) * out + basis_noise * I2 / 2
        up = np.trace(measured @ (I2 + axis) / 2).real
        reads_one = up * read_flips[0] + (1 - up) * (1 - read_flips[1])
        verified.append(reads_one if expected else 1 - reads_one)
    factors = teleportation.bloch_factors(bell.correlators(weights), errors)
    assert teleportation.average_fidelity(factors) == pytest.approx(np.mean(fidelities), abs=1e-9)
    model = teleportation.verified_fraction(factors, basis_noise, read_flips)
    assert model == pytest.approx(np.mean(verified), abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_law_perfect_operations_give_two_thirds_f_plus_one_third_for_any_pair(seed):
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(4, 4)) + 1j * generator.normal(size=(4, 4))
    pair = root @ root.conj().T
    pair /= np.trace(pair)
    fidelity = bell.overlap(pair.tolist())
    direct = np.mean(
        [
            (s.conj() @ teleported(s, pair, teleportation.LocalErrors()) @ s).real
            for s, _, _ in CARDINAL
        ]
    )
    assert direct == pytest.approx((2 * fidelity + 1) / 3, abs=1e-9)


def test_law_limits():
    perfect = bell.correlators(bell.werner(1.0))
    assert teleportation.teleportation_fidelity(perfect) == pytest.approx(1.0)
    separable = bell.correlators(bell.werner(0.5))
    limit = teleportation.teleportation_fidelity(separable)
    assert limit == pytest.approx(teleportation.CLASSICAL_LIMIT)
    assert teleportation.teleported_gate_fidelity(0.9689) == pytest.approx(0.9751, abs=5e-5)


@settings(max_examples=20, deadline=None)
@given(flips)
def test_law_a_free_correction_only_pays_for_its_bit(probs):
    kept, sign = teleportation.correction_factors(probs, 0.0)
    assert kept == pytest.approx(1.0)
    assert sign == pytest.approx(readout_contrast(probs))
