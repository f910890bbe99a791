"""Attempt runs: when they begin, what an abort stops, what a late herald leaves behind."""

from __future__ import annotations

import dataclasses
import math

import pytest

from qnet.errors import PluginError, SlotBusy, UnknownSlot
from qnet.ids import LinkId, NodeId, OpId, SlotId
from qnet.plan import LinkOptics
from qnet.seams import ClickOutcome
from qnet.units import Instant
from qnet.world.optics import AttemptRunning, UnknownLink

from .optics_bench import (
    ALICE,
    BOB,
    CLICK,
    CYCLE,
    EMISSION,
    FLIGHT,
    LEAVES,
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
    assert bench.attempts == {LINK: 1}


def test_attempts_lie_on_the_grid_of_the_link(bench: Bench) -> None:
    bench.arm(ALICE)
    bench.at(CYCLE + 1)
    bench.arm(BOB)
    bench.to_the_end()
    assert bench.created[0].emitted_at == 2 * CYCLE + PREPARATION


@pytest.mark.parametrize(
    ("who", "when"),
    [
        (ALICE, 1),
        (ALICE, EMISSION - 1),
        (ALICE, EMISSION),
        (BOB, EMISSION),
        (BOB, EMISSION + 1),  # alice's photon is on its way, bob's never leaves
        (BOB, LEAVES[BOB]),
    ],
)
def test_abort_up_to_the_own_departure_stops_it(bench: Bench, who: NodeId, when: int) -> None:
    ops = {node: bench.arm(node) for node in (ALICE, BOB)}
    bench.at(when)
    bench.optics.abort(who, ops[who])
    bench.to_the_end()
    other = BOB if who == ALICE else ALICE
    assert bench.clicks == []
    assert bench.store.reserved() == [(other, 0)]
    assert bench.attempts == {LINK: 0}


@pytest.mark.parametrize(
    ("who", "when"),
    [(ALICE, EMISSION + 1), (ALICE, CLICK - 1), (BOB, LEAVES[BOB] + 1), (BOB, CLICK - 1)],
)
def test_abort_after_the_own_departure_loses_one_half(bench: Bench, who: NodeId, when: int) -> None:
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
    for node in (ALICE, BOB):
        bench.at(LEAVES[node] + 1)
        bench.optics.abort(node, ops[node])
    bench.to_the_end()
    assert bench.clicks == [(CLICK, (0, 2))]
    assert bench.created[0].lost == (ALICE, BOB)
    assert bench.store.occupied() == bench.store.reserved() == []


@pytest.mark.parametrize(("later", "clicks"), [(-1, 0), (0, 0), (1, 1)])
@pytest.mark.parametrize("who", [ALICE, BOB])
def test_no_photon_leaves_at_or_after_until(
    bench: Bench, who: NodeId, later: int, clicks: int
) -> None:
    bench.arm(who, until=LEAVES[who] + later)
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
    bench.at(LEAVES[BOB] + 1)
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
@pytest.mark.parametrize("who", [ALICE, BOB])
def test_attempts_of_an_aborted_run_are_counted(exact: bool, who: NodeId) -> None:
    """Attempts whose photons had left count, in both ways of drawing."""
    bench = Bench(scheme=sure(1e-9), exact=exact)
    ops = {node: bench.arm(node) for node in (ALICE, BOB)}
    bench.at(LEAVES[who] + 7 * CYCLE)  # photons 1 to 7 have left, the eighth would leave now
    bench.optics.abort(who, ops[who])
    assert bench.attempts == {LINK: 7}


@pytest.mark.parametrize("exact", [False, True])
def test_attempts_of_an_open_run_are_counted_up_to_now(exact: bool) -> None:
    bench = Bench(scheme=sure(1e-9), exact=exact)
    assert bench.attempts == {LINK: 0}
    bench.arm(ALICE)
    bench.arm(BOB, until=LEAVES[BOB] + 4 * CYCLE)
    seen = []
    for instant in (EMISSION + 1, LEAVES[BOB], LEAVES[BOB] + 1, LEAVES[BOB] + CYCLE + 1):
        bench.at(instant)
        seen.append(bench.attempts[LINK])
    assert seen == [0, 0, 1, 2]
    bench.at(9 * CYCLE)  # bob's last photon was the fourth
    assert bench.attempts == {LINK: 4}


@pytest.mark.parametrize("exact", [False, True])
def test_abort_after_the_other_end_has_expired_counts_up_to_that(exact: bool) -> None:
    bench = Bench(scheme=sure(1e-9), exact=exact)
    op = bench.arm(ALICE)
    bench.arm(BOB, until=LEAVES[BOB] + 4 * CYCLE)
    bench.at(9 * CYCLE)
    bench.optics.abort(ALICE, op)
    assert bench.attempts == {LINK: 4}


def test_flying_photons_are_one_attempt_before_and_after_their_click(bench: Bench) -> None:
    bench.arm(ALICE)
    bench.arm(BOB)
    bench.at(LEAVES[BOB] + 1)
    assert bench.attempts == {LINK: 1}
    bench.to_the_end()
    assert bench.attempts == {LINK: 1}


def test_short_arm_that_stops_and_arms_again_emits_afresh(bench: Bench) -> None:
    bench.arm(ALICE)
    op = bench.arm(BOB)
    bench.at(EMISSION + 1)
    bench.optics.abort(BOB, op)
    bench.arm(BOB)
    bench.to_the_end()
    assert [(one.run, one.emitted_at, one.lost) for one in bench.created] == [
        (2, CYCLE + PREPARATION, ())
    ]
    assert bench.attempts == {LINK: 1}


def test_end_waiting_for_an_earlier_click_leaves_it_alone(bench: Bench) -> None:
    op = bench.arm(ALICE)
    bench.arm(BOB)
    bench.at(LEAVES[BOB] + 1)
    bench.optics.abort(ALICE, op)
    newer = bench.arm(ALICE, until=1)  # long past: it will never emit
    bench.optics.abort(ALICE, newer)
    bench.to_the_end()
    assert bench.created[0].lost == (ALICE,)


@pytest.mark.parametrize("flights", [(FLIGHT, FLIGHT), (FLIGHT, FLIGHT // 2), (5_000, FLIGHT)])
def test_each_half_decays_from_its_own_departure(bench: Bench, flights: tuple[int, int]) -> None:
    """At the click half i is flights[i] old: F = (1 + exp(-sum flights[i]/T2[i]))/2 of a Psi+."""
    t2_s = (3 * FLIGHT / 1e12, FLIGHT / 1e12)
    one = Bench(exact=bench.exact, t2_s=t2_s[0], t2_bob_s=t2_s[1], flights=flights)
    one.arm(ALICE)
    one.arm(BOB)
    one.to_the_end()
    found = one.store.bell_fidelity((ALICE, SlotId(0)), (BOB, SlotId(0)), (1, 0), Instant(one.now))
    age = sum(flight / 1e12 / t2 for flight, t2 in zip(flights, t2_s, strict=True))
    assert found == pytest.approx((1 + math.exp(-age)) / 2, abs=1e-9)


def test_lonely_half_decays_from_its_own_departure(bench: Bench) -> None:
    """|+> of bob, alice's half given up: off-diagonal exp(-own flight/T2)/2."""
    plus = tuple(
        tuple(0.5 * (row // 2 == column // 2 == 0) for column in range(4)) for row in range(4)
    )
    outcome = ClickOutcome((0, 2), 1.0, (1, 0), plus)
    scheme = dataclasses.replace(sure(), outcomes=lambda *_: (outcome,), sample=lambda *_: outcome)
    one = Bench(scheme=scheme, exact=bench.exact, t2_s=FLIGHT / 1e12)
    op = one.arm(ALICE)
    one.arm(BOB)
    one.at(EMISSION + 1)
    one.optics.abort(ALICE, op)
    one.to_the_end()
    state = one.store.density_matrix([(BOB, SlotId(0))], Instant(one.now))
    assert abs(state[0][1]) == pytest.approx(math.exp(-0.5) / 2, abs=1e-9)


# ---------------------------------------------------------------- schemes that break a rule

GOOD = sure().outcomes(LinkOptics(1.0, 1.0), None)[0]


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ([{"prob": -0.1}], r"prob must be finite and >= 0, got -0\.1"),
        ([{"prob": math.nan}], r"prob must be finite and >= 0, got nan"),
        (
            [{"prob": 0.6}, {"prob": 0.5, "pattern": (1, 3)}],
            r"sum of all prob must be <= 1, got 1\.1",
        ),
        ([{"prob": 0.1}, {"prob": 0.2}], r"pattern \(0, 2\): pattern must be listed once"),
        ([{"label": (0, 2)}], r"label must be two bits, got \(0, 2\)"),
        (
            [{"state": GOOD.state[:3]}],
            r"state must have 4 rows of 4 numbers, got rows of \[4, 4, 4\]",
        ),
        ([{"state": ((math.inf,) * 4,) * 4}], r"state must be finite"),
        ([{"state": ((0.25 + 1e-8,) * 4,) * 4}], r"trace 1 within 1e-09, got 1\.00000004"),
    ],
)
def test_outcomes_that_break_a_rule_are_refused(
    outcomes: list[dict[str, object]], words: str
) -> None:
    listed = [dataclasses.replace(GOOD, **changes) for changes in outcomes]  # type: ignore[arg-type]
    scheme = dataclasses.replace(sure(), outcomes=lambda *_: listed)
    with pytest.raises(PluginError, match=rf"^heralding scheme sure: on link {LINK}, .*{words}"):
        Bench(scheme=scheme)


def test_drawn_pattern_that_is_not_listed_is_the_fault_of_the_scheme() -> None:
    stray = dataclasses.replace(GOOD, pattern=(1, 3))
    scheme = dataclasses.replace(sure(), sample=lambda *_: stray)
    bench = Bench(scheme=scheme, exact=True)
    bench.arm(ALICE)
    bench.arm(BOB)
    with pytest.raises(PluginError, match=rf"scheme sure: on link {LINK} .*, got \(1, 3\)"):
        bench.to_the_end()
