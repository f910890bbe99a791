"""Attempt runs: when they begin, what an abort stops, what a late herald leaves behind."""

from __future__ import annotations

import pytest

from qnet.errors import SlotBusy, UnknownSlot
from qnet.ids import LinkId, NodeId, OpId, SlotId
from qnet.units import Instant
from qnet.world.optics import AttemptRunning, UnknownLink

from .optics_bench import (
    ALICE,
    BOB,
    CLICK,
    CYCLE,
    EMISSION,
    FLIGHT,
    LINK,
    MIDDLE,
    PREPARATION,
    Bench,
    sure,
)

BOTH = [(ALICE, 0), (BOB, 0)]


@pytest.fixture(params=[False, True], ids=["skip-ahead", "exact"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(exact=request.param)


def test_attempts_wait_for_the_other_end(bench: Bench) -> None:
    bench.arm(ALICE)
    bench.to_the_end()
    assert bench.clicks == []
    assert bench.store.reserved() == [(ALICE, 0)]


def test_sure_attempt_clicks_one_flight_after_its_emission(bench: Bench) -> None:
    bench.arm(ALICE)
    bench.arm(BOB)
    bench.to_the_end()
    assert bench.clicks == [(CLICK, (0, 2))]
    assert [(one.attempt, one.emitted_at, one.lost) for one in bench.created] == [(1, EMISSION, ())]
    assert bench.store.occupied() == BOTH
    assert bench.store.cluster_of(ALICE, SlotId(0)) == tuple(BOTH)
    assert bench.store.reserved() == []
    assert bench.optics.attempts_made == {LINK: 1}


def test_attempts_lie_on_the_grid_of_the_link(bench: Bench) -> None:
    bench.arm(ALICE)
    bench.at(CYCLE + 1)
    bench.arm(BOB)
    bench.to_the_end()
    assert bench.created[0].emitted_at == 2 * CYCLE + PREPARATION


@pytest.mark.parametrize("when", [1, EMISSION - 1, EMISSION])
@pytest.mark.parametrize("who", [ALICE, BOB])
def test_abort_up_to_the_emission_stops_it(bench: Bench, who: NodeId, when: int) -> None:
    ops = {node: bench.arm(node) for node in (ALICE, BOB)}
    bench.at(when)
    bench.optics.abort(who, ops[who])
    bench.to_the_end()
    other = BOB if who == ALICE else ALICE
    assert bench.clicks == []
    assert bench.store.reserved() == [(other, 0)]
    assert bench.optics.attempts_made == {LINK: 0}


@pytest.mark.parametrize("when", [EMISSION + 1, CLICK - 1])
@pytest.mark.parametrize("who", [ALICE, BOB])
def test_abort_after_the_emission_loses_one_half(bench: Bench, who: NodeId, when: int) -> None:
    ops = {node: bench.arm(node) for node in (ALICE, BOB)}
    bench.at(when)
    bench.optics.abort(who, ops[who])
    assert (who, 0) not in bench.store.reserved()
    bench.to_the_end()
    other = BOB if who == ALICE else ALICE
    assert bench.clicks == [(CLICK, (0, 2))]
    assert bench.created[0].lost == (who,)
    assert bench.store.occupied() == [(other, 0)]
    state = bench.store.density_matrix([(other, SlotId(0))], Instant(bench.now))
    assert abs(state[0][0] - 0.5) < 1e-12
    assert abs(state[0][1]) < 1e-12


def test_abort_at_the_click_comes_too_late(bench: Bench) -> None:
    ops = {node: bench.arm(node) for node in (ALICE, BOB)}
    bench.at(CLICK)
    bench.optics.abort(ALICE, ops[ALICE])
    assert bench.store.occupied() == BOTH


def test_both_ends_give_up_a_flying_photon(bench: Bench) -> None:
    ops = {node: bench.arm(node) for node in (ALICE, BOB)}
    bench.at(EMISSION + 1)
    for node in (ALICE, BOB):
        bench.optics.abort(node, ops[node])
    bench.to_the_end()
    assert bench.clicks == [(CLICK, (0, 2))]
    assert bench.created[0].lost == (ALICE, BOB)
    assert bench.store.occupied() == bench.store.reserved() == []


@pytest.mark.parametrize(("until", "clicks"), [(EMISSION - 1, 0), (EMISSION, 0), (EMISSION + 1, 1)])
@pytest.mark.parametrize("who", [ALICE, BOB])
def test_no_photon_leaves_at_or_after_until(
    bench: Bench, who: NodeId, until: int, clicks: int
) -> None:
    bench.arm(who, until=until)
    bench.arm(BOB if who == ALICE else ALICE)
    bench.to_the_end()
    assert len(bench.clicks) == clicks


def test_slot_given_back_after_until_loses_the_late_herald(bench: Bench) -> None:
    bench.arm(ALICE, until=EMISSION + 1)
    bench.arm(BOB)
    bench.at(EMISSION + 10)
    bench.discard(ALICE)
    bench.to_the_end()
    assert bench.created[0].lost == (ALICE,)
    assert bench.store.occupied() == [(BOB, 0)]


def test_slot_cannot_be_given_back_while_it_emits(bench: Bench) -> None:
    bench.arm(ALICE)
    bench.arm(BOB)
    with pytest.raises(SlotBusy):
        bench.discard(ALICE)
    bench.to_the_end()
    assert bench.store.occupied() == BOTH


def test_rearming_while_a_photon_flies_waits_for_its_click(bench: Bench) -> None:
    op = bench.arm(ALICE)
    bench.arm(BOB)
    bench.at(EMISSION + 1)
    bench.optics.abort(ALICE, op)
    bench.arm(ALICE)  # the same slot again; the flying photon must not touch it
    bench.at(CLICK)
    assert bench.created[0].lost == (ALICE,)
    assert bench.store.reserved() == [(ALICE, 0)]
    bench.discard(BOB)
    bench.arm(BOB)
    bench.to_the_end()
    assert [one.run for one in bench.created] == [1, 2]
    assert bench.created[1].emitted_at == CYCLE + PREPARATION
    assert bench.store.occupied() == BOTH


def test_both_rearmed_while_a_photon_flies_begin_after_its_click(bench: Bench) -> None:
    ops = {node: bench.arm(node) for node in (ALICE, BOB)}
    bench.at(EMISSION + 1)
    for node in (ALICE, BOB):
        bench.optics.abort(node, ops[node])
        bench.arm(node, slot=1)
    bench.to_the_end()
    assert [one.lost for one in bench.created] == [(ALICE, BOB), ()]
    assert bench.store.occupied() == [(ALICE, 1), (BOB, 1)]


def test_expired_end_makes_room_when_either_end_arms(bench: Bench) -> None:
    bench.arm(ALICE, until=EMISSION)
    bench.arm(BOB)
    bench.at(2 * CYCLE)
    bench.discard(ALICE)
    bench.arm(ALICE)
    bench.to_the_end()
    assert bench.created[0].emitted_at == 2 * CYCLE + PREPARATION


def test_arm_whose_until_has_passed_never_emits(bench: Bench) -> None:
    bench.at(5)
    bench.arm(ALICE, until=3)
    bench.arm(BOB)
    bench.to_the_end()
    assert bench.clicks == []
    bench.arm(ALICE, slot=1)
    bench.to_the_end()
    assert len(bench.clicks) == 1


def test_late_abort_of_a_finished_run_changes_nothing(bench: Bench) -> None:
    op = bench.arm(ALICE)
    bench.arm(BOB)
    bench.to_the_end()
    bench.discard(ALICE)
    newer = bench.arm(ALICE)
    bench.optics.abort(ALICE, op)
    bench.optics.abort(BOB, newer)  # another's operation
    assert bench.store.reserved() == [(ALICE, 0)]


def test_arming_is_refused_and_nothing_moves(bench: Bench) -> None:
    bench.arm(ALICE)
    with pytest.raises(AttemptRunning, match="must end attempt run alice/1"):
        bench.arm(ALICE, slot=1)
    with pytest.raises(UnknownLink):
        bench.optics.arm(ALICE, OpId("x"), LinkId("bob-carol"), SlotId(1), None)
    with pytest.raises(UnknownLink):
        bench.optics.arm(MIDDLE, OpId("x"), LINK, SlotId(0), None)
    with pytest.raises(UnknownSlot):
        bench.arm(BOB, slot=7)
    assert bench.store.reserved() == [(ALICE, 0)]
    bench.arm(BOB)
    bench.to_the_end()
    assert bench.store.occupied() == BOTH


@pytest.mark.parametrize("exact", [False, True])
def test_link_that_cannot_succeed_comes_to_rest(exact: bool) -> None:
    bench = Bench(scheme=sure(0.0), exact=exact)
    bench.arm(ALICE)
    bench.arm(BOB)
    for _ in range(100):
        if not bench.turn():
            break
    else:
        pytest.fail("attempts that can never click keep the world busy for ever")


@pytest.mark.parametrize("exact", [False, True])
def test_attempts_of_an_aborted_run_are_counted(exact: bool) -> None:
    """Emissions before the abort count, in both ways of drawing."""
    bench = Bench(scheme=sure(1e-9), exact=exact)
    op = bench.arm(ALICE)
    bench.arm(BOB)
    bench.at(EMISSION + 7 * CYCLE)  # emissions 1 to 7 have left, the eighth would leave now
    bench.optics.abort(ALICE, op)
    assert bench.optics.attempts_made == {LINK: 7}


def test_qubits_decay_from_the_emission(bench: Bench) -> None:
    assert FLIGHT == CLICK - EMISSION
    decaying = Bench(exact=bench.exact, t2_s=2 * FLIGHT / 1e12)
    decaying.arm(ALICE)
    decaying.arm(BOB)
    decaying.to_the_end()
    found = decaying.store.bell_fidelity(*BOTH, (1, 0), Instant(decaying.now))  # type: ignore[arg-type]
    assert found == pytest.approx(0.5 + 0.5 * 2.718281828459045**-1, abs=1e-9)
