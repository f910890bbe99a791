"""The quantum store: repeats, refusals that leave nothing changed, attempt runs."""

from __future__ import annotations

import math

import pytest

from qnet.errors import (
    EngineUnsupported,
    IllegalProgram,
    SlotBusy,
    StateTooLarge,
    TimeReversed,
    UnknownSlot,
)
from qnet.program import Draw, Initialise, Measure
from qnet.units import Instant
from qnet.world import store as store_module

from .stores import NOISY, PHI, US, A, B, C, gate, make, pair, run, snapshot

# ---------------------------------------------------------------- operation ids


def test_repeat_of_an_operation_returns_the_stored_result_and_touches_nothing():
    store = make()
    first = run(store, A, Initialise(0), gate("H", 0), Measure(0), uniform=lambda: 0.9)
    before = snapshot(store)
    program = (Initialise(0), gate("H", 0), Measure(0))
    again = run(store, A, *program, uniform=lambda: pytest.fail("drew a number"))
    assert again == first
    assert snapshot(store) == before


def test_an_operation_id_that_has_run_another_program_is_refused():
    store = make()
    run(store, A, Initialise(0))
    before = snapshot(store)
    with pytest.raises(IllegalProgram, match="must be new for a new program"):
        run(store, A, gate("X", 0))
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
    (IllegalProgram, r"basis must be one of X, Y, Z, Z\+X, Z-X, got 'W'", (Measure(0, "W"),)),
    (IllegalProgram, r"basis must be one of .*, got 'W'",
     (Draw((1.0,)), Measure(0, bases=("W",), choice=0))),
    (IllegalProgram, r"bases need a choice among them, got \['X'\]", (Measure(0, bases=("X",)),)),
    (IllegalProgram, r"instruction 1: choice must name an earlier draw, got 0",
     (Measure(0), Measure(1, bases=("X",), choice=0))),
    (IllegalProgram, r"choice must name an earlier draw, got 1",
     (Draw((1.0,)), Measure(0, bases=("X",), choice=1))),
    (IllegalProgram, r"a draw among 2 must choose from as many bases, got \['X'\]",
     (Draw((1.0, 1.0)), Measure(0, bases=("X",), choice=0))),
    (IllegalProgram, r"when must name outcomes of measurements, 0 was drawn",
     (Draw((1.0, 1.0)), gate("X", 0, when=(0,)))),
    (IllegalProgram, r"weights must be finite, >= 0 and not all 0, got \[\]", (Draw(()),)),
    (IllegalProgram, r"weights must be .*, got \[0.0\]", (Draw((0.0,)),)),
    (IllegalProgram, r"weights must be .*, got \[2.0, -1.0\]", (Draw((2.0, -1.0)),)),
    (IllegalProgram, r"weights must be .*, got \[1.0, nan\]", (Draw((1.0, math.nan)),)),
    (IllegalProgram, r"weights must be .*, got \[1e\+308, 1e\+308\]", (Draw((1e308, 1e308)),)),
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
