"""The QuTiP engine against plain matrices built here, on small and large clusters."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import qutip
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.errors import EngineUnsupported
from qnet.physics import bell
from qnet.physics.memory import decay
from qnet.program import GATE_SLOTS, ROTATIONS
from qnet.world.engine_qutip import INDEX_QUBITS_MAX, QutipEngine

ENGINE = QutipEngine()
SIZES = (1, 2, 3, 4, 5, INDEX_QUBITS_MAX, INDEX_QUBITS_MAX + 1)
X, Z = np.array([[0, 1], [1, 0]]), np.diag([1, -1])
Y = 1j * X @ Z


def random_matrix(qubits, seed=0):
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(2**qubits, 3)) + 1j * generator.normal(size=(2**qubits, 3))
    rho = root @ root.conj().T
    return rho / np.trace(rho)


def state_of(matrix):
    return ENGINE.from_matrix(matrix.tolist())


def embed(operator, positions, qubits):
    """Matrix of an operator on some positions, entry by entry from its definition."""
    size, count = 2**qubits, len(positions)
    full = np.zeros((size, size), dtype=complex)
    for column in range(size):
        bits = [(column >> (qubits - 1 - q)) & 1 for q in range(qubits)]
        local = int("".join(str(bits[p]) for p in positions), 2)
        for row in range(2**count):
            new = list(bits)
            for place, position in enumerate(positions):
                new[position] = (row >> (count - 1 - place)) & 1
            full[int("".join(map(str, new)), 2), column] += operator[row, local]
    return full


def gate_matrix(name, angle):
    phase = {"S": 1j, "SDG": -1j, "T": np.exp(0.25j * np.pi), "TDG": np.exp(-0.25j * np.pi)}
    if name in phase:
        return np.diag([1, phase[name]])
    if name in ROTATIONS:
        pauli = {"RX": X, "RY": Y, "RZ": Z}[name]
        return math.cos(angle / 2) * np.eye(2) - 1j * math.sin(angle / 2) * pauli
    return {
        "I": np.eye(2), "X": X, "Y": Y, "Z": Z, "H": (X + Z) / math.sqrt(2),
        "CNOT": np.eye(4)[[0, 1, 3, 2]], "CZ": np.diag([1, 1, 1, -1]),
        "SWAP": np.eye(4)[[0, 2, 1, 3]],
    }[name]  # fmt: skip


def depolarised(rho, positions, amount, qubits):
    paulis = list(itertools.product((np.eye(2), X, Y, Z), repeat=len(positions)))
    mixed = np.zeros_like(rho)
    for pauli in paulis:
        operator = pauli[0] if len(pauli) == 1 else np.kron(*pauli)
        full = embed(operator, positions, qubits)
        mixed += full @ rho @ full.conj().T / len(paulis)
    return (1 - amount) * rho + amount * mixed


def positions_for(qubits, count):
    return [p for p in ((0,), (qubits - 1,)) if count == 1] or [(0, qubits - 1), (qubits - 1, 0)]


@pytest.mark.parametrize("qubits", SIZES)
@pytest.mark.parametrize("name", GATE_SLOTS)
def test_gate_equals_the_definition(name, qubits):
    count = GATE_SLOTS[name]
    if count > qubits:
        pytest.skip("needs two qubits")
    angle = 0.7 if name in ROTATIONS else None
    rho = random_matrix(qubits)
    for positions in positions_for(qubits, count):
        full = embed(gate_matrix(name, angle), positions, qubits)
        expected = full @ rho @ full.conj().T
        clean = ENGINE.gate(state_of(rho), name, positions, angle)
        assert np.abs(ENGINE.matrix(clean) - expected).max() < 1e-12
        noisy = ENGINE.matrix(ENGINE.gate(state_of(rho), name, positions, angle, 0.1))
        assert np.abs(noisy - depolarised(expected, positions, 0.1, qubits)).max() < 1e-12


@pytest.mark.parametrize("qubits", SIZES)
def test_depolarise_equals_the_mean_over_paulis(qubits):
    rho = random_matrix(qubits)
    for count in (1, 2)[: min(qubits, 2)]:
        for positions in positions_for(qubits, count):
            after = ENGINE.matrix(ENGINE.depolarise(state_of(rho), positions, 0.3))
            assert np.abs(after - depolarised(rho, positions, 0.3, qubits)).max() < 1e-12


@pytest.mark.parametrize("qubits", SIZES)
def test_decay_equals_the_exponential_of_the_liouvillian(qubits):
    time_s, t1_s, t2_s = 0.3, 1.0, 0.6
    lower = qutip.basis(2, 0) * qutip.basis(2, 1).dag()
    pure = 1 / t2_s - 1 / (2 * t1_s)
    channel = qutip.liouvillian(
        0 * lower, [math.sqrt(1 / t1_s) * lower, math.sqrt(pure / 2) * qutip.sigmaz()]
    )
    kraus = [k.full() for k in qutip.to_kraus((channel * time_s).expm())]
    rho = random_matrix(qubits)
    for position in {0, qubits - 1}:
        full = [embed(k, (position,), qubits) for k in kraus]
        expected = sum(k @ rho @ k.conj().T for k in full)
        after = ENGINE.decay(state_of(rho), position, decay(time_s, t1_s, t2_s))
        assert np.abs(ENGINE.matrix(after) - expected).max() < 1e-9


def block(rho, position, bit, qubits):
    tensor = rho.reshape((2,) * (2 * qubits))
    kept = np.take(np.take(tensor, bit, axis=position), bit, axis=qubits + position - 1)
    return kept.reshape(2 ** (qubits - 1), -1)


@pytest.mark.parametrize("qubits", SIZES)
def test_measure_gives_born_probabilities_and_the_collapsed_rest(qubits):
    rho = random_matrix(qubits)
    for position in {0, qubits // 2, qubits - 1}:
        blocks = [block(rho, position, bit, qubits) for bit in (0, 1)]
        prob_zero = np.trace(blocks[0]).real
        for uniform, outcome in ((prob_zero - 1e-9, 0), (prob_zero + 1e-9, 1)):
            measured = ENGINE.measure(state_of(rho), position, uniform)
            assert measured.outcome == outcome
            expected = prob_zero if outcome == 0 else 1 - prob_zero
            assert measured.prob == pytest.approx(expected, abs=1e-12)
            if qubits == 1:
                assert measured.rest is None
                continue
            after = blocks[outcome] / np.trace(blocks[outcome])
            assert np.abs(ENGINE.matrix(measured.rest) - after).max() < 1e-12


@pytest.mark.parametrize("qubits", SIZES)
def test_trace_out_sums_both_outcomes(qubits):
    rho = random_matrix(qubits)
    for position in {0, qubits - 1}:
        rest = ENGINE.trace_out(state_of(rho), position)
        if qubits == 1:
            assert rest is None
            continue
        expected = block(rho, position, 0, qubits) + block(rho, position, 1, qubits)
        assert np.abs(ENGINE.matrix(rest) - expected).max() < 1e-12


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 2), (2, 3), (3, 3), (3, 4), (4, 4)])
def test_merge_is_the_tensor_product(first, second):
    left, right = random_matrix(first, 1), random_matrix(second, 2)
    joint = ENGINE.merge(state_of(left), state_of(right))
    assert np.abs(ENGINE.matrix(joint) - np.kron(left, right)).max() < 1e-15
    assert ENGINE.qubits(joint) == first + second


def test_reorder_and_bell_overlap_agree_with_the_trace():
    rho = random_matrix(4)
    state = state_of(rho)
    for first, second in itertools.permutations(range(4), 2):
        others = tuple(p for p in range(4) if p not in (first, second))
        moved = ENGINE.reorder(state, (first, second, *others))
        pair = ENGINE.matrix(ENGINE.trace_out(ENGINE.trace_out(moved, 3), 2))
        for label in bell.LABELS:
            vector = np.array(bell.bell_vector(label))
            expected = (vector @ pair @ vector).real
            assert ENGINE.bell_overlap(state, first, second, label) == pytest.approx(expected)


def test_certain_outcomes_are_certain():
    for bit in (0, 1):
        for uniform in (0.0, 0.5, 1 - 2**-53):
            measured = ENGINE.measure(ENGINE.basis(bit), 0, uniform)
            assert (measured.outcome, measured.prob) == (bit, 1.0)
    # Rounding must not let an impossible outcome through.
    almost = np.diag([1 - 1e-16, 1e-16]).astype(complex)
    assert ENGINE.measure(state_of(almost), 0, 1 - 2**-53).outcome == 0


def test_operations_leave_their_argument_as_it_was():
    rho = random_matrix(3)
    state = state_of(rho)
    before = ENGINE.matrix(state)
    ENGINE.gate(state, "I", (0,))
    ENGINE.gate(state, "X", (0,))
    ENGINE.gate(state, "CNOT", (0, 2), None, 0.1)
    ENGINE.decay(state, 1, decay(1.0, 1.0, 1.0))
    ENGINE.measure(state, 0, 0.5)
    assert np.array_equal(ENGINE.matrix(state), before)
    copy = ENGINE.matrix(state)
    copy[0, 0] = 7.0
    assert np.array_equal(ENGINE.matrix(state), before)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 5), st.integers(0, 1000), st.floats(0, 1), st.floats(0, 2))
def test_law_states_stay_physical(qubits, seed, amount, time_s):
    state = state_of(random_matrix(qubits, seed))
    state = ENGINE.gate(state, "CNOT", (0, qubits - 1), None, amount)
    state = ENGINE.gate(state, "RY", (0,), 1.1, amount / 2)
    state = ENGINE.decay(state, 0, decay(time_s, 1.0, 1.5))
    state = ENGINE.measure(state, 1, 0.5).rest
    matrix = ENGINE.matrix(state)
    assert np.trace(matrix).real == pytest.approx(1.0, abs=1e-12)
    assert np.abs(matrix - matrix.conj().T).max() < 1e-12
    assert np.linalg.eigvalsh(matrix)[0] > -1e-12


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(0, 1000), st.floats(0, 2), st.floats(0, 2))
def test_law_decay_of_two_times_equals_decay_of_the_sum(qubits, seed, first_s, second_s):
    state = state_of(random_matrix(qubits, seed))
    twice = ENGINE.decay(state, 0, decay(first_s, 1.0, 0.8))
    twice = ENGINE.decay(twice, 0, decay(second_s, 1.0, 0.8))
    once = ENGINE.decay(state, 0, decay(first_s + second_s, 1.0, 0.8))
    assert np.abs(ENGINE.matrix(twice) - ENGINE.matrix(once)).max() < 1e-12


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([[1.0]], "2\\^n x 2\\^n"),
        ([[1.0, 0.0], [0.0]], "2\\^n x 2\\^n"),
        ([[1.0, 0.0, 0.0]] * 3, "2\\^n x 2\\^n"),
        ([[0.5, 0.5], [0.0, 0.5]], "Hermitian"),
        ([[0.5, 0.0], [0.0, 0.6]], "trace 1"),
        ([[float("nan"), 0.0], [0.0, 1.0]], "Hermitian"),
        ([[1.5, 0.0], [0.0, -0.5]], "positive"),
    ],
)
def test_from_matrix_refuses_what_is_no_density_matrix(rows, text):
    with pytest.raises(EngineUnsupported, match=text):
        ENGINE.from_matrix(rows)


def test_repeated_operations_give_the_same_bits():
    rho = random_matrix(5)
    first = ENGINE.gate(state_of(rho), "H", (2,), None, 0.01)
    second = QutipEngine().gate(state_of(rho.copy()), "H", (2,), None, 0.01)
    assert ENGINE.matrix(first).tobytes() == ENGINE.matrix(second).tobytes()
