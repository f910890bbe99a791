"""The quantum store: clusters, time, noise, refusals."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.errors import (
    EngineUnsupported,
    IllegalProgram,
    SlotBusy,
    StateTooLarge,
    TimeReversed,
    UnknownSlot,
)
from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.ids import NodeId, OpId, SlotId
from qnet.physics import bell, memory, swapping
from qnet.program import Gate, Initialise, Measure, Program, bell_measurement
from qnet.randomness import KeyedRandom
from qnet.units import PS_PER_S, Instant
from qnet.world import store as store_module
from qnet.world.engine_qutip import QutipEngine
from qnet.world.store import Store

PERFECT = Platform(
    species="test",
    communication_slots=2,
    memory_slots=2,
    communication=Coherence(),
    memory=Coherence(),
    gate_1q=Operation(1e-6),
    gate_2q=Operation(10e-6),
    initialise=Operation(5e-6),
    readout=Readout(100e-6),
    emission=Emission(1e-6, 0.1, 1e-6),
)
NOISY = msgspec.structs.replace(
    PERFECT,
    communication=Coherence(2.0, 0.5),
    memory=Coherence(math.inf, 3.0),
    gate_1q=Operation(1e-6, 0.995),
    gate_2q=Operation(10e-6, 0.97),
    initialise=Operation(5e-6, 0.99),
    readout=Readout(100e-6, 0.02, 0.05),
)
A, B, C = NodeId("alice"), NodeId("bob"), NodeId("carol")
PHI = bell.density_matrix(bell.werner(1.0))
US = 1_000_000


def make(platform=PERFECT, cap=10, nodes=(A, B, C)):
    return Store(QutipEngine(), dict.fromkeys(nodes, platform), cap)


def pair(store, first, second, weights=None, at=0):
    state = bell.density_matrix(weights or bell.werner(1.0))
    store.create_pair(first, second, state, Instant(at))


def run(store, node, *steps, op="op/1", at=0, uniform=lambda: 0.5):
    return store.run_program(node, OpId(op), Program(steps), Instant(at), uniform)


def gate(name, *slots, angle=None, when=()):
    return Gate(name, tuple(SlotId(s) for s in slots), angle, when)


def snapshot(store, at=10**9):
    """Everything a command could change, for "nothing moved" checks."""
    clusters = {place: store.cluster_of(*place) for place in store.occupied()}
    states = {
        members: store.density_matrix(members, Instant(at)).tobytes()
        for members in clusters.values()
    }
    return store.occupied(), store.reserved(), clusters, states


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
    draws = iter([u_phase, 0.5, u_parity, 0.5])
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


def test_noisy_swap_program_agrees_with_the_closed_form():
    platform = msgspec.structs.replace(NOISY, communication=Coherence(), memory=Coherence())
    total = np.zeros(3)
    for index in range(4):
        store = make(platform)
        pair(store, (A, 0), (B, 0), bell.werner(0.95))
        pair(store, (B, 1), (C, 0), bell.werner(0.9))
        # Each pair of true outcomes once, read without error.
        phase, parity = (0.0, 0.999)[index // 2], (0.0, 0.999)[index % 2]
        draws = iter([phase, 1.0, parity, 1.0])
        result = store.run_program(B, OpId("s"), bell_measurement(0, 1), Instant(0), draws.__next__)
        m_x, m_z = result.outcomes
        weights = tuple(
            store.bell_fidelity((A, 0), (C, 0), bell.label_xor(label, (m_z, m_x)), result.ends_at)
            for label in bell.LABELS
        )
        total += np.array(bell.correlators(weights)) / 4
    expected = swapping.swap(
        bell.correlators(bell.werner(0.95)),
        bell.correlators(bell.werner(0.9)),
        gate_depolarising=0.03 * 4 / 3,
        hadamard_depolarising=0.01,
    )
    assert total == pytest.approx(expected, abs=1e-12)


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


def test_every_measurement_takes_two_random_numbers():
    for platform in (PERFECT, NOISY):
        draws = iter([0.5] * 4)
        store = make(platform)
        run(store, A, Initialise(0), Measure(0), Measure(0, "X"), uniform=draws.__next__)
        assert list(draws) == []


# ---------------------------------------------------------------- operation ids


def test_repeat_of_an_operation_returns_the_stored_result_and_touches_nothing():
    store = make()
    first = run(store, A, Initialise(0), gate("H", 0), Measure(0), uniform=lambda: 0.9)
    before = snapshot(store)
    again = run(store, A, gate("X", 3), uniform=lambda: pytest.fail("drew a number"))
    assert again == first
    assert snapshot(store) == before


def test_operation_ids_belong_to_a_node():
    store = make()
    run(store, A, Initialise(0))
    run(store, B, Initialise(0))
    assert store.occupied() == [(A, 0), (B, 0)]


def test_results_are_kept_within_bounds(monkeypatch):
    monkeypatch.setattr(store_module, "RESULTS_KEPT", 3)
    store = make()
    for index in range(10):
        run(store, A, Initialise(0), op=f"op/{index}", at=index * 10 * US)
    assert list(store._nodes[A].results) == ["op/7", "op/8", "op/9"]


# ---------------------------------------------------------------- refusals


REFUSED = [
    (UnknownSlot, r"0 <= slot < 4, got 9", (Initialise(0), Initialise(9))),
    (UnknownSlot, r"0 <= slot < 4, got -1", (Initialise(-1),)),
    (UnknownSlot, r"alice/2 must hold a qubit", (Initialise(1), gate("X", 2))),
    (UnknownSlot, r"alice/2 must hold a qubit", (Initialise(1), gate("CNOT", 0, 2))),
    (UnknownSlot, r"alice/3 must hold a qubit", (gate("X", 0), Measure(3))),
    (IllegalProgram, r"instruction 1: gate must be one of .*, got 'CCX'",
     (gate("X", 0), gate("CCX", 0))),
    (IllegalProgram, r"CNOT needs 2 different slots, got \[0\]", (gate("CNOT", 0),)),
    (IllegalProgram, r"CNOT needs 2 different slots, got \[0, 0\]", (gate("CNOT", 0, 0),)),
    (IllegalProgram, r"RX needs angle_rad, got None", (gate("RX", 0),)),
    (IllegalProgram, r"X takes no angle_rad, got 1.0", (gate("X", 0, angle=1.0),)),
    (IllegalProgram, r"angle_rad must be finite, got nan", (gate("RX", 0, angle=math.nan),)),
    (IllegalProgram, r"earlier outcomes 0..0, got 1", (Measure(0), gate("X", 0, when=(1,)))),
    (IllegalProgram, r"earlier outcomes", (gate("X", 0, when=(0,)), Measure(0))),
    (IllegalProgram, r"basis must be one of X, Y, Z, got 'W'", (Measure(0, "W"),)),
    (StateTooLarge, r"<= 4 qubits, got 5: alice/0, alice/1, alice/2, bob/0, bob/1",
     (Initialise(2), gate("CNOT", 0, 1), gate("CZ", 1, 2))),
]  # fmt: skip


@pytest.mark.parametrize(("error", "text", "steps"), REFUSED)
def test_refused_program_leaves_nothing_changed(error, text, steps):
    store = make(NOISY, cap=4)
    pair(store, (A, 0), (B, 0))
    pair(store, (A, 1), (B, 1))
    before = snapshot(store)
    with pytest.raises(error, match=text) as caught:
        run(store, A, *steps, uniform=lambda: pytest.fail("drew a number"))
    assert caught.value.op == "op/1"
    assert snapshot(store) == before
    # Neither the slots nor the operation id are used up.
    run(store, A, gate("X", 0))


def test_cluster_cap_counts_what_measurement_frees():
    store = make(cap=2)
    pair(store, (A, 0), (B, 0))
    run(store, A, Measure(0), Initialise(1), gate("CNOT", 0, 1))
    with pytest.raises(StateTooLarge):
        run(store, B, Initialise(1), gate("CNOT", 0, 1), Initialise(2), gate("CZ", 0, 2), op="x")
    assert store.cluster_of(B, 0) == ((B, 0),)


def test_unknown_node_and_slots_of_others_are_refused():
    store = make(nodes=(A, B))
    with pytest.raises(UnknownSlot, match="node 'carol' holds no slots"):
        run(store, C, Initialise(0))
    with pytest.raises(UnknownSlot, match="carol"):
        store.create_pair((A, 0), (C, 0), PHI, Instant(0))
    assert store.occupied() == []


def test_slot_in_a_program_is_busy_until_it_ends():
    store = make()
    done = run(store, A, Initialise(0), at=100)
    with pytest.raises(SlotBusy, match=f"until {done.ends_at} ps, got {done.ends_at - 1} ps"):
        run(store, A, gate("X", 0), op="x", at=done.ends_at - 1)
    with pytest.raises(SlotBusy):
        store.discard(A, 0, Instant(done.ends_at - 1))
    with pytest.raises(SlotBusy):
        store.reserve(A, 0, Instant(done.ends_at - 1))
    with pytest.raises(TimeReversed, match="at or after 100 ps, got 99 ps"):
        run(store, A, gate("X", 0), op="x", at=99)
    run(store, A, gate("X", 0), op="x", at=done.ends_at)


def test_time_never_runs_backwards():
    store = make()
    pair(store, (A, 0), (B, 0), at=1000)
    with pytest.raises(TimeReversed):
        run(store, A, gate("X", 0), at=999)
    with pytest.raises(TimeReversed):
        store.discard(A, 0, Instant(999))
    with pytest.raises(TimeReversed, match="evolved to 1000 ps, got 999 ps"):
        store.bell_fidelity((A, 0), (B, 0), (0, 0), Instant(999))
    store.discard(A, 0, Instant(1000))
    with pytest.raises(TimeReversed):
        store.create_single((A, 0), [[1, 0], [0, 0]], Instant(999))


# ---------------------------------------------------------------- attempts


def test_reserved_slot_is_empty_and_refuses_commands():
    store = make()
    pair(store, (A, 0), (B, 0))
    store.reserve(A, 0, Instant(10))
    assert store.reserved() == [(A, 0)]
    assert store.occupied() == [(B, 0)]
    for command in (
        lambda: run(store, A, Initialise(0), at=20),
        lambda: store.discard(A, 0, Instant(20)),
        lambda: store.reserve(A, 0, Instant(20)),
    ):
        with pytest.raises(SlotBusy, match="alice/0 takes part in an attempt run at 20 ps"):
            command()
    store.unreserve(A, 0)
    store.unreserve(A, 0)
    assert store.reserved() == []
    run(store, A, Initialise(0), at=20)


def test_pair_ends_the_reservation_and_decays_from_its_emission():
    store = make(NOISY)
    store.reserve(A, 0, Instant(0))
    store.reserve(B, 0, Instant(5))
    pair(store, (A, 0), (B, 0), at=10)
    assert store.reserved() == []
    assert store.bell_fidelity((A, 0), (B, 0), (0, 0), Instant(10)) == pytest.approx(1.0)
    with pytest.raises(SlotBusy, match="alice/0 must be empty"):
        pair(store, (A, 0), (B, 1), at=20)


def test_single_half_of_a_pair():
    store = make()
    store.reserve(B, 1, Instant(0))
    store.create_single((B, 1), [[0.25, 0], [0, 0.75]], Instant(3))
    assert store.cluster_of(B, 1) == ((B, 1),)
    assert store.density_matrix([(B, 1)], Instant(3))[1, 1].real == 0.75


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (SlotBusy, lambda s: s.create_pair((A, 0), (A, 0), PHI, Instant(0))),
        (UnknownSlot, lambda s: s.create_pair((A, 0), (B, 7), PHI, Instant(0))),
        (EngineUnsupported, lambda s: s.create_pair((A, 0), (B, 0), PHI[:2], Instant(0))),
        (EngineUnsupported, lambda s: s.create_pair((A, 0), (B, 0), [[1, 0], [0, 0]], Instant(0))),
        (EngineUnsupported, lambda s: s.create_single((A, 0), PHI, Instant(0))),
    ],
)
def test_refused_pair_leaves_the_reservation(error, call):
    store = make()
    store.reserve(A, 0, Instant(0))
    store.reserve(B, 0, Instant(0))
    with pytest.raises(error):
        call(store)
    assert store.reserved() == [(A, 0), (B, 0)]
    assert store.occupied() == []


def test_discard_of_an_empty_slot_is_no_error():
    store = make()
    store.discard(A, 0, Instant(0))
    store.discard(A, 0, Instant(0))
    assert store.occupied() == []


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
