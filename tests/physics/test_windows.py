"""Laws of attempts seen through a window: counts and places against enumeration, successes against a chain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.physics.windows import (
    COUNTED,
    floor_sum,
    lit_among,
    mean_lit,
    nth_lit,
    successes_per_window,
)


@st.composite
def grids(draw):
    """(first, cycle, period, length), a window of one cycle at least."""
    period = draw(st.integers(2, 150))
    cycle = draw(st.integers(1, period))
    length = draw(st.integers(cycle, period))
    return draw(st.integers(-400, 400)), cycle, period, length


def lit_of(grid, count):
    """Numbers (from 1) of the lit ones among so many attempts, one by one."""
    first, cycle, period, length = grid
    return [n + 1 for n in range(count) if (first + n * cycle) % period < length]


@given(grids(), st.integers(0, 300))
def test_law_lit_among_counts_what_enumeration_counts(grid, count):
    first, cycle, period, _ = grid
    floors = sum((first + n * cycle) // period for n in range(count))
    assert floor_sum(count, period, cycle, first) == floors
    assert lit_among(count, *grid) == len(lit_of(grid, count))


@given(grids(), st.integers(1, 200))
def test_law_nth_lit_is_the_nth_of_the_enumeration(grid, nth):
    last = nth_lit(nth, *grid)
    lit = lit_of(grid, last)
    assert len(lit) == nth
    assert lit[-1] == last


@given(grids())
def test_law_mean_lit_is_the_share_of_all_places_on_the_grid(grid):
    _, cycle, period, _ = grid
    # After cycle windows the grid and the period meet again: period attempts.
    assert mean_lit(*grid) == pytest.approx(len(lit_of(grid, period)) / cycle, rel=1e-12)


def test_law_a_window_that_never_closes_changes_nothing():
    assert [nth_lit(nth, 17, 10, 100, 100) for nth in (1, 2, 1000)] == [1, 2, 1000]


def test_law_far_attempts_are_found_without_a_walk():
    """10^15 lit attempts on: the inverse of the count, one window in three lit."""
    grid = (12_345, 1_200_000, 3_030_000_001, 1_000_000_000)
    index = nth_lit(10**15, *grid)
    assert lit_among(index, *grid) == 10**15
    assert lit_among(index - 1, *grid) == 10**15 - 1
    assert index == pytest.approx(3.03e15, rel=1e-6)


def chain(lit, prob, dead):
    """Successes among ``lit`` attempts: probabilities of how many attempts are still to be left out."""
    waiting = [1.0] + [0.0] * dead
    total = 0.0
    for _ in range(lit):
        total += waiting[0] * prob
        after = [*waiting[1:], 0.0]
        after[0] += waiting[0] * (1.0 - prob)
        after[dead] += waiting[0] * prob
        waiting = after
    return total


@pytest.mark.parametrize("dead", [0, 1, 2, 7])
@pytest.mark.parametrize("prob", [0.01, 0.4, 1.0])
@pytest.mark.parametrize("lit", [1, 3, 40, 1500])
def test_law_successes_are_those_of_the_chain(lit, prob, dead):
    found = successes_per_window(lit, prob, dead)
    assert found == pytest.approx(chain(lit, prob, dead), rel=1e-9)
    between = successes_per_window(lit + 0.25, prob, dead)
    assert between == pytest.approx(0.75 * found + 0.25 * chain(lit + 1, prob, dead), rel=1e-9)


def test_law_long_windows_are_stationary():
    """Periodic for ever (p = 1, one attempt in ten): after COUNTED attempts the mean rate holds."""
    lit = 3 * COUNTED
    assert successes_per_window(lit, 1.0, 9) == pytest.approx(lit / 10, rel=1e-9)
    assert successes_per_window(1e9, 0.1, 2) == pytest.approx(1e9 * 0.1 / 1.2, rel=1e-6)
