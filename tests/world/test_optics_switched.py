"""A link behind a switch: clicks in its windows only, geometric over lit attempts, skipped or drawn one by one."""

from __future__ import annotations

import math

import pytest

from qnet.plan import Crash, Cut, Window
from qnet.units import Duration, Instant
from qnet.world.faults import Fault, Faults

from .optics_bench import (
    ALICE,
    BOB,
    CLICK,
    CYCLE,
    EMISSION,
    FLIGHT,
    LINK,
    MIDDLE,
    Bench,
    sure,
)
from .test_optics_statistics import SIGMAS, assert_geometric, attempts_and_fidelities


def window(period: int, start: int, length: int) -> Window:
    return Window(Duration(period), Duration(start), Duration(length))


ODD = window(7_777_777, 1_234_567, 3_210_123)
"""Incommensurate with the grid: three or four attempts of seven or eight are lit."""


@pytest.fixture(params=[False, True], ids=["skip-ahead", "exact"])
def exact(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def lit(emitted: int, at: Window = ODD) -> bool:
    return (emitted - at.start) % at.period < at.length


def lit_between(first: int, last: int, at: Window = ODD) -> int:
    """Lit attempts from the one that emits at ``first`` to that at ``last``, both counted."""
    return sum(lit(emitted, at) for emitted in range(first, last + 1, CYCLE))


def lit_indices(bench: Bench, pairs: int) -> list[int]:
    """Make pairs one after another: number of the success among the lit attempts of its run."""
    attempts_and_fidelities(bench, pairs, lambda _: (1, 0))
    found = []
    for created in bench.created:
        first = created.emitted_at - (created.attempt - 1) * CYCLE
        assert (first - EMISSION) % CYCLE == 0
        found.append(lit_between(first, created.emitted_at))
    return found


@pytest.mark.parametrize(("prob", "pairs"), [(0.4, 1200), (0.05, 500)])
def test_index_is_geometric_over_lit_attempts(exact: bool, prob: float, pairs: int) -> None:
    bench = Bench(scheme=sure(prob), exact=exact, seed=17, window=ODD)
    indices = lit_indices(bench, pairs)
    assert all(lit(created.emitted_at) for created in bench.created)
    assert_geometric(indices, prob)
    # Dark attempts are made too, and counted.
    assert sum(created.attempt for created in bench.created) == bench.attempts[LINK]
    assert bench.attempts[LINK] > 1.5 * sum(indices)


def test_both_ways_give_the_same_phases_of_clicks() -> None:
    """Where in its window a click's photon left: mean and spread agree within 3 sigma of 800 clicks each."""
    figures = []
    for exact in (False, True):
        bench = Bench(scheme=sure(0.3), exact=exact, seed=23, window=ODD)
        lit_indices(bench, 800)
        phases = [(one.emitted_at - ODD.start) % ODD.period for one in bench.created]
        mean = sum(phases) / len(phases)
        squares = [(phase - mean) ** 2 for phase in phases]
        spread = sum(squares) / len(squares)
        error = math.sqrt(sum((one - spread) ** 2 for one in squares)) / len(squares)
        figures.append((mean, spread / len(phases), spread, error**2))
    (mean, error, spread, doubt), (other_mean, other_error, other_spread, other_doubt) = figures
    assert abs(mean - other_mean) < SIGMAS * math.sqrt(error + other_error)
    assert abs(spread - other_spread) < SIGMAS * math.sqrt(doubt + other_doubt)


@pytest.mark.parametrize(
    ("at", "index"),
    [
        (window(10 * CYCLE, EMISSION, CYCLE), 1),
        (window(10 * CYCLE, EMISSION + 1, CYCLE), 2),
        (window(10 * CYCLE, EMISSION - CYCLE, CYCLE), 10),
        (window(10 * CYCLE, EMISSION - CYCLE + 1, CYCLE), 1),
        (window(10 * CYCLE, EMISSION + 4 * CYCLE, 3 * CYCLE), 5),
        (window(10 * CYCLE, (EMISSION - 2 * CYCLE) % (10 * CYCLE), 5 * CYCLE), 1),
    ],
)
def test_window_is_half_open_in_emission_of_the_longer_arm(
    exact: bool, at: Window, index: int
) -> None:
    bench = Bench(exact=exact, window=window(at.period, at.start % at.period, at.length))
    bench.arm(ALICE)
    bench.arm(BOB)
    bench.to_the_end()
    assert bench.clicks == [(CLICK + (index - 1) * CYCLE, (0, 2))]
    assert bench.attempts == {LINK: index}


def test_window_of_the_whole_period_changes_no_click(exact: bool) -> None:
    found = []
    for at in (None, window(5 * CYCLE, 1, 5 * CYCLE)):
        bench = Bench(scheme=sure(0.1), exact=exact, seed=3, window=at)
        attempts_and_fidelities(bench, 50, lambda _: (1, 0))
        found.append((bench.clicks, bench.created))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "fault",
    [
        Cut("x", LINK, Instant(EMISSION + 2 * CYCLE), Instant(EMISSION + 9 * CYCLE)),
        Crash("x", MIDDLE, Instant(CLICK + 5 * CYCLE), Instant(CLICK + 11 * CYCLE)),
    ],
    ids=["cut", "crash"],
)
def test_faults_lie_on_top_of_windows(exact: bool, fault: Fault) -> None:
    """Geometric over the attempts that are lit and not in the dark of the fault; none clicks in it."""
    prob, number = 0.2, 500
    bench = Bench()
    intervals = Faults(1, (fault,)).dark(bench.optics._links[LINK].plan)
    good = [
        emitted
        for emitted in range(EMISSION, EMISSION + 2000 * CYCLE, CYCLE)
        if lit(emitted) and not any(start <= emitted < end for start, end in intervals)
    ]
    hidden = lit_between(EMISSION, EMISSION + 20 * CYCLE) - sum(
        emitted <= EMISSION + 20 * CYCLE for emitted in good
    )
    assert hidden >= 2
    indices = []
    for seed in range(number):
        bench = Bench(scheme=sure(prob), exact=exact, seed=seed, window=ODD)
        bench.optics._links[LINK].dark = intervals
        bench.arm(ALICE)
        bench.arm(BOB)
        indices.append(1 + good.index(bench.next_click().emitted_at))
    assert_geometric(indices, prob)


def test_cut_for_ever_of_a_switched_link_ends_the_drawing(exact: bool) -> None:
    bench = Bench(exact=exact, window=ODD)
    cut = Cut("x", LINK, Instant(0), None)
    bench.optics._links[LINK].dark = Faults(1, (cut,)).dark(bench.optics._links[LINK].plan)
    bench.arm(ALICE)
    op = bench.arm(BOB)
    bench.at(EMISSION + 1000 * CYCLE + FLIGHT)
    bench.optics.abort(BOB, op)
    bench.to_the_end()
    assert bench.clicks == []
    assert bench.attempts == {LINK: 1001}


def test_run_that_ends_in_the_dark_has_made_its_attempts(exact: bool) -> None:
    at = window(20 * CYCLE, EMISSION + 10 * CYCLE, 10 * CYCLE)
    bench = Bench(exact=exact, window=at)
    bench.arm(ALICE, until=EMISSION + 5 * CYCLE)
    bench.arm(BOB)
    bench.to_the_end()
    assert bench.clicks == []
    bench.at(EMISSION + 30 * CYCLE)
    bench.arm(ALICE, slot=1)  # the run that is over makes room
    assert bench.attempts == {LINK: 5}


def test_tiny_probabilities_behind_a_switch_take_no_longer_to_draw() -> None:
    """A million windows before a click: mean index 1e6 lit attempts within 3 sigma."""
    bench = Bench(scheme=sure(1e-6), seed=5, window=ODD)
    attempts_and_fidelities(bench, 400, lambda _: (1, 0))
    lit_share = ODD.length / ODD.period
    mean = sum(one.attempt for one in bench.created) * lit_share / 400
    assert abs(mean - 1e6) < SIGMAS * 1e6 / math.sqrt(400)
    assert all(lit(one.emitted_at) for one in bench.created)
