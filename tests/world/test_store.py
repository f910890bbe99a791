"""The quantum store: clusters, time, noise, truth."""

from __future__ import annotations

import itertools
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.errors import (
    UnknownSlot,
)
from qnet.hardware import Coherence, Operation, Readout
from qnet.ids import OpId, SlotId
from qnet.physics import bell, memory, swapping
from qnet.program import Draw, Initialise, Measure, bell_measurement
from qnet.randomness import KeyedRandom
from qnet.units import PS_PER_S, Instant

from .stores import NOISY, PERFECT, PHI, US, A, B, C, gate, make, pair, run, snapshot

# ---------------------------------------------------------------- clusters


def test_joint_gate_merges_and_measurement_splits():
    store = make()
    pair(store, (A, 0), (B, 0))
    pair(store, (B, 1), (C, 0))
    assert store.cluster_of(A, 0) == ((A, 0), (B, 0))
    run(store, B, gate("CNOT", 0, 1))
    assert store.cluster_of(C, 0) == ((A, 0), (B, 0), (B, 1), (C, 0))
    run(store, B, Measure(0), op="op/2", at=100 * US)
    assert store.cluster_of(B, 0) == ((B, 0),)
    assert store.cluster_of(A, 0) == ((A, 0), (B, 1), (C, 0))
    store.discard(C, 0, Instant(500 * US))
    assert store.cluster_of(A, 0) == ((A, 0), (B, 1))
    assert store.cluster_of(C, 0) == ()
    assert store.occupied() == [(A, 0), (B, 0), (B, 1)]


def test_order_within_a_cluster_follows_the_gate_not_the_age():
    store = make()
    run(store, A, Initialise(1), Initialise(0), gate("CNOT", 1, 0))
    assert store.cluster_of(A, 0) == ((A, 1), (A, 0))


@pytest.mark.parametrize("u_phase", [0.1, 0.9])
@pytest.mark.parametrize("u_parity", [0.1, 0.9])
@pytest.mark.parametrize(("left", "right"), [((0, 0), (1, 1)), ((1, 0), (0, 1)), ((1, 1), (1, 1))])
def test_swap_label_is_left_xor_right_xor_outcomes(left, right, u_phase, u_parity):
    store = make()
    pair(store, (A, 0), (B, 0), bell.relabel(bell.werner(1.0), left))
    pair(store, (B, 1), (C, 0), bell.relabel(bell.werner(1.0), right))
    draws = iter([u_phase, u_parity])
    result = store.run_program(B, OpId("s"), bell_measurement(0, 1), Instant(0), draws.__next__)
    m_x, m_z = result.outcomes
    assert (m_x, m_z) == (int(u_phase > 0.5), int(u_parity > 0.5))
    label = bell.label_xor(bell.label_xor(left, right), (m_z, m_x))
    assert store.bell_fidelity((A, 0), (C, 0), label, result.ends_at) == pytest.approx(1.0)


def test_measured_qubit_is_left_in_the_true_outcome_even_if_misread():
    platform = msgspec.structs.replace(PERFECT, readout=Readout(1e-6, 1.0, 1.0))
    store = make(platform)
    assert run(store, A, Initialise(0), gate("X", 0), Measure(0)).outcomes == (0,)
    matrix = store.density_matrix([(A, 0)], Instant(10**9))
    assert matrix[1, 1].real == 1.0


@pytest.mark.parametrize(
    ("basis", "prepare", "outcome"),
    [
        ("X", [("RY", math.pi / 2)], 0), ("X", [("RY", -math.pi / 2)], 1),
        ("Y", [("RX", -math.pi / 2)], 0), ("Y", [("RX", math.pi / 2)], 1),
        ("Y", [("H", None), ("S", None)], 0), ("Y", [("H", None), ("SDG", None)], 1),
        ("Z", [("X", None)], 1),
    ],
)  # fmt: skip
def test_measurement_bases(basis, prepare, outcome):
    for uniform in (0.001, 0.999):
        store = make()
        steps = [gate(name, 0, angle=angle) for name, angle in prepare]
        done = run(store, A, Initialise(0), *steps, Measure(0, basis), uniform=lambda u=uniform: u)
        assert done.outcomes == (outcome,)


# ---------------------------------------------------------------- time


def test_durations_add_up_and_skipped_conditionals_cost_nothing():
    store = make()
    done = run(store, A, Initialise(0), Initialise(1), gate("H", 0), gate("CNOT", 0, 1))
    assert done.ends_at == (5 + 5 + 1 + 10) * US
    done = run(store, A, gate("SWAP", 0, 1), Measure(0), op="op/2", at=done.ends_at)
    assert done.ends_at == (21 + 30 + 100) * US
    steps = (Measure(0), Measure(1, "X"), gate("X", 0, when=(0,)), gate("Z", 0, when=(0, 1)))
    done = run(store, A, *steps, op="op/3", at=1000 * US, uniform=lambda: 0.0)
    assert done.outcomes == (0, 0)
    assert done.ends_at == (1000 + 100 + 101) * US


def test_conditionals_follow_the_xor_of_reported_outcomes():
    store = make()
    steps = (
        Initialise(0), gate("X", 0), Initialise(1), gate("X", 1), Initialise(2),
        Measure(0), Measure(1),
        gate("X", 2, when=(0, 1)),
        gate("X", 2, when=(1,)),
        Measure(2),
    )  # fmt: skip
    assert run(store, A, *steps).outcomes == (1, 1, 1)


def test_conditionals_use_the_reported_bit_not_the_true_one():
    platform = msgspec.structs.replace(PERFECT, readout=Readout(1e-6, 1.0, 0.0))
    store = make(platform)
    done = run(store, A, Initialise(0), Initialise(1), Measure(0), gate("X", 1, when=(0,)))
    assert done.outcomes == (1,)
    assert store.density_matrix([(A, 1)], done.ends_at)[1, 1].real == 1.0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=5))
def test_law_lazy_decay_equals_eager_decay(steps_ms):
    lazy, eager = make(NOISY), make(NOISY)
    total = sum(steps_ms) * PS_PER_S // 1000
    weights = bell.relabel(bell.werner(0.93), (1, 0))
    for store in (lazy, eager):
        pair(store, (A, 0), (B, 2), weights)
    now = 0
    for step in steps_ms:
        now += step * PS_PER_S // 1000
        for node, slot in ((A, 0), (B, 2)):
            eager._touch(eager._nodes[node].slots[slot], now)
    places = [(A, 0), (B, 2)]
    one = lazy.density_matrix(places, Instant(total))
    two = eager.density_matrix(places, Instant(total))
    assert np.abs(one - two).max() < 1e-12


def test_stored_pair_follows_the_closed_forms():
    store = make(NOISY)
    pair(store, (A, 0), (B, 0), bell.relabel(bell.werner(1.0), (1, 1)))
    pair(store, (A, 1), (B, 1))
    for time_s in (0.0, 0.1, 0.7):
        at = Instant(int(time_s * PS_PER_S))
        amount = memory.decay(time_s, 2.0, 0.5)
        psi = store.bell_fidelity((A, 0), (B, 0), (1, 1), at)
        assert psi == pytest.approx(memory.psi_fidelity(amount, amount), abs=1e-12)
        phi = store.bell_fidelity((A, 1), (B, 1), (0, 0), at)
        assert phi == pytest.approx(memory.phi_fidelity(amount, amount), abs=1e-12)


def test_halves_may_start_to_decay_at_different_instants():
    store = make(NOISY)
    store.create_pair((A, 0), (B, 0), PHI, Instant(0), Instant(PS_PER_S // 10))
    a, b = memory.decay(0.3, 2.0, 0.5), memory.decay(0.2, 2.0, 0.5)
    fidelity = store.bell_fidelity((A, 0), (B, 0), (0, 0), Instant(3 * PS_PER_S // 10))
    assert fidelity == pytest.approx(memory.phi_fidelity(a, b), abs=1e-12)


# ---------------------------------------------------------------- noise


def test_gate_noise_is_the_average_fidelity_of_the_sheet():
    platform = msgspec.structs.replace(PERFECT, gate_1q=Operation(0.0, 0.97))
    store = make(platform)
    pair(store, (A, 0), (B, 0))
    run(store, A, gate("I", 0))
    # Process fidelity 1.5 g below 1 shows as the fidelity of a Bell pair.
    fidelity = store.bell_fidelity((A, 0), (B, 0), (0, 0), Instant(0))
    assert fidelity == pytest.approx(1 - 1.5 * 0.03)


def test_swap_gate_is_as_noisy_as_three_two_qubit_gates():
    platform = msgspec.structs.replace(PERFECT, gate_2q=Operation(0.0, 0.97))
    one, three = make(platform), make(platform)
    for store in (one, three):
        pair(store, (A, 0), (B, 0), bell.werner(0.9))
        run(store, A, Initialise(1), gate("RY", 1, angle=0.3))
    run(one, A, gate("SWAP", 0, 1), op="swap", at=10 * US)
    run(three, A, *(gate("CNOT", *p) for p in ((0, 1), (1, 0), (0, 1))), op="swap", at=10 * US)
    places = [(A, 0), (A, 1), (B, 0)]
    first, second = (s.density_matrix(places, Instant(20 * US)) for s in (one, three))
    assert np.abs(first - second).max() < 1e-12


def test_initialise_reaches_its_fidelity():
    store = make(NOISY)
    done = run(store, A, Initialise(0))
    matrix = store.density_matrix([(A, 0)], done.ends_at)
    assert matrix[0, 0].real == pytest.approx(0.99)


def swapped(platform, phase, parity):
    """Reported outcomes of a noisy swap at bob, and the correlators in the frame that they name."""
    store = make(platform)
    pair(store, (A, 0), (B, 0), bell.werner(0.95))
    pair(store, (B, 1), (C, 0), bell.werner(0.9))
    draws = iter([phase, parity])
    result = store.run_program(B, OpId("s"), bell_measurement(0, 1), Instant(0), draws.__next__)
    m_x, m_z = result.outcomes
    weights = tuple(
        store.bell_fidelity((A, 0), (C, 0), bell.label_xor(label, (m_z, m_x)), result.ends_at)
        for label in bell.LABELS
    )
    assert store.partner(A, SlotId(0), C) == (C, 0)
    return (m_x, m_z), bell.correlators(weights)


def test_state_after_a_noisy_swap_has_the_correlators_of_the_closed_form():
    # Symmetric read-out errors: each reported outcome leaves exactly the state of physics A5.1.
    platform = msgspec.structs.replace(
        NOISY, communication=Coherence(), memory=Coherence(), readout=Readout(100e-6, 0.03, 0.03)
    )
    expected = swapping.swap(
        bell.correlators(bell.werner(0.95)),
        bell.correlators(bell.werner(0.9)),
        gate_depolarising=0.03 * 4 / 3,
        hadamard_depolarising=0.01,
        phase_flips=(0.03, 0.03),
        parity_flips=(0.03, 0.03),
    )
    seen = set()
    for phase, parity in itertools.product((0.1, 0.9), repeat=2):
        outcomes, found = swapped(platform, phase, parity)
        seen.add(outcomes)
        assert found == pytest.approx(expected, abs=1e-12)
    assert len(seen) == 4


def test_mean_state_after_a_swap_with_unequal_read_out_errors_is_the_closed_form():
    platform = msgspec.structs.replace(NOISY, communication=Coherence(), memory=Coherence())
    total = np.zeros(3)
    zero = (1 - 0.02 + 0.05) / 2  # chance to report 0 of a bit that is 0 or 1 alike
    for m_x, m_z in itertools.product((0, 1), repeat=2):
        outcomes, found = swapped(platform, *(zero + 0.1 * (bit - 0.5) for bit in (m_x, m_z)))
        assert outcomes == (m_x, m_z)
        prob = (zero, 1 - zero)[m_x] * (zero, 1 - zero)[m_z]
        total += prob * np.array(found)
    expected = swapping.swap(
        bell.correlators(bell.werner(0.95)),
        bell.correlators(bell.werner(0.9)),
        gate_depolarising=0.03 * 4 / 3,
        hadamard_depolarising=0.01,
        phase_flips=(0.02, 0.05),
        parity_flips=(0.02, 0.05),
    )
    assert total == pytest.approx(expected, abs=1e-12)


def test_read_qubit_stays_as_a_record_until_it_is_emptied_and_is_no_partner():
    store = make(NOISY)
    pair(store, (A, 0), (B, 0))
    run(store, B, Initialise(1), gate("CNOT", 0, 1), Measure(1))
    assert set(store.cluster_of(A, 0)) == {(A, 0), (B, 0), (B, 1)}
    assert store.partner(A, SlotId(0), B) == (B, 0)
    assert store.partner(A, SlotId(0), C) is None
    run(store, B, gate("X", 1), op="op/2", at=10**9)
    assert store.partner(A, SlotId(0), B) is None
    store.discard(B, SlotId(1), Instant(2 * 10**9))
    assert set(store.cluster_of(A, 0)) == {(A, 0), (B, 0)}
    ideal = make()
    pair(ideal, (A, 0), (B, 0))
    run(ideal, B, Measure(0))
    assert ideal.cluster_of(A, 0) == ((A, 0),)


def test_second_read_out_of_a_record_is_as_good_as_the_first():
    # P(second = 1 | first = 1) = (P(1|0)^2 + P(1|1)^2) / (P(1|0) + P(1|1)) for an even chance of 0 and 1.
    platform = msgspec.structs.replace(PERFECT, readout=Readout(100e-6, 0.02, 0.05))
    ones = (0.02**2 + 0.95**2) / (0.02 + 0.95)
    for second, outcome in ((1 - ones - 1e-6, 0), (1 - ones + 1e-6, 1)):
        draws = iter([0.9, second])
        steps = (Initialise(0), gate("H", 0), Measure(0), Measure(0))
        done = run(make(platform), A, *steps, uniform=draws.__next__)
        assert done.outcomes == (1, outcome)


@pytest.mark.parametrize(("basis", "sign"), [("Z+X", 1), ("Z-X", -1)])
def test_diagonal_bases_have_their_eigenstates(basis, sign):
    for turned, outcome in ((0.0, 0), (math.pi, 1)):
        steps = (Initialise(0), gate("RY", 0, angle=sign * math.pi / 4 + turned), Measure(0, basis))
        for uniform in (0.001, 0.999):
            done = run(make(), A, *steps, uniform=lambda u=uniform: u)
            assert done.outcomes == (outcome,)
            assert done.ends_at == (5 + 1 + 1 + 100) * US


def test_draw_picks_the_basis_and_takes_no_time():
    steps = (
        Initialise(0),
        gate("H", 0),
        Draw((1.0, 0.0, 3.0)),
        Measure(0, bases=("Z", "Y", "X"), choice=0),
    )
    for uniform, outcomes, ends in ((0.2, (0, 0), 106), (0.26, (2, 0), 107), (0.999, (2, 0), 107)):
        draws = iter([uniform, 0.3])
        done = run(make(), A, *steps, uniform=draws.__next__)
        assert (done.outcomes, done.ends_at) == (outcomes, ends * US)
    assert run(make(), A, Draw((0.0, 2.0)), uniform=lambda: 1 - 2**-53).outcomes == (1,)


@pytest.mark.parametrize(("bit", "expected"), [(0, 0.02), (1, 0.05)])
def test_read_out_errors_have_the_right_statistics(bit, expected):
    platform = msgspec.structs.replace(PERFECT, readout=Readout(1e-6, 0.02, 0.05))
    store, random, trials = make(platform), KeyedRandom(7, "test", f"read {bit}"), 4000
    prepare = (Initialise(0), gate("X", 0)) if bit else (Initialise(0),)
    wrong, at = 0, 0
    for index in range(trials):
        done = run(store, A, *prepare, Measure(0), op=f"op/{index}", at=at, uniform=random.uniform)
        wrong += done.outcomes[0] != bit
        at = done.ends_at
    sigma = math.sqrt(expected * (1 - expected) / trials)
    assert abs(wrong / trials - expected) < 3 * sigma


def test_outcomes_follow_born_statistics():
    store, random, trials = make(), KeyedRandom(11, "test", "born"), 3000
    ones, at = 0, 0
    for index in range(trials):
        steps = (Initialise(0), gate("RY", 0, angle=1.0), Measure(0))
        done = run(store, A, *steps, op=f"op/{index}", at=at, uniform=random.uniform)
        ones += done.outcomes[0]
        at = done.ends_at
    prob = math.sin(0.5) ** 2
    assert abs(ones / trials - prob) < 3 * math.sqrt(prob * (1 - prob) / trials)


def test_every_measurement_and_draw_takes_one_random_number():
    for platform in (PERFECT, NOISY):
        draws = iter([0.5] * 3)
        store = make(platform)
        steps = (Initialise(0), Measure(0), Draw((1.0, 1.0)), Measure(0, "X"))
        run(store, A, *steps, uniform=draws.__next__)
        assert list(draws) == []


# ---------------------------------------------------------------- truth


def test_truth_changes_nothing_and_needs_qubits():
    store = make(NOISY)
    pair(store, (A, 0), (B, 0), bell.werner(0.9))
    run(store, B, Initialise(1))
    before = snapshot(store)
    store.bell_fidelity((A, 0), (B, 0), (0, 0), Instant(50 * US))
    product = store.bell_fidelity((A, 0), (B, 1), (0, 0), Instant(50 * US))
    assert product == pytest.approx(0.25, abs=0.01)
    assert snapshot(store) == before
    with pytest.raises(UnknownSlot, match="alice/1 must hold a qubit"):
        store.bell_fidelity((A, 0), (A, 1), (0, 0), Instant(0))
    with pytest.raises(UnknownSlot, match="each qubit may be named once"):
        store.density_matrix([(A, 0), (A, 0)], Instant(0))


def test_density_matrix_is_in_the_order_asked_for():
    store = make()
    run(store, A, Initialise(0), Initialise(1), gate("X", 1), gate("CZ", 0, 1))
    one = store.density_matrix([(A, 0), (A, 1)], Instant(10**9))
    two = store.density_matrix([(A, 1), (A, 0)], Instant(10**9))
    assert one[1, 1].real == pytest.approx(1.0)
    assert two[2, 2].real == pytest.approx(1.0)


def test_store_refuses_a_cap_that_allows_no_pair():
    with pytest.raises(ValueError, match="cluster_cap must be >= 2, got 1"):
        make(cap=1)


def test_store_refuses_impossible_hardware():
    platform = msgspec.structs.replace(PERFECT, memory=Coherence(1.0, 3.0))
    with pytest.raises(ValueError, match="t2_s"):
        make(platform)


def test_hundred_slots_make_hundred_small_states():
    platform = msgspec.structs.replace(PERFECT, communication_slots=60, memory_slots=40)
    store = make(platform, nodes=(A,))
    run(store, A, *(Initialise(s) for s in range(100)))
    run(store, A, *(gate("H", s) for s in range(100)), op="x", at=10**9)
    assert len(store.occupied()) == 100
    assert store.cluster_of(A, 57) == ((A, 57),)
