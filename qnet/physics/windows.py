"""Attempts on a grid of which only those in a window that opens periodically can succeed.

Theory
    Attempt n (from 0) emits at first + n cycle. It is lit if the remainder of that instant modulo the period
    of the window is less than the window's length; then it succeeds with probability p. The number of lit
    ones among N attempts is a difference of two sums of floor((a + n cycle) / period), which Euclid's
    algorithm gives exactly [1]; the k-th lit attempt follows by bisection, whatever the number of windows
    before it. Hence the index of the first success is geometric over lit attempts and exact on the grid.

    After a success the next ``dead`` attempts are not made (the pair is on its way to those who want it). Let
    u(n) be the chance that the n-th attempt of a window is made. If each window finds the link ready,

        u(1) = 1,   u(n) = (1 - p) u(n-1) + p u(n-1-dead),   successes per window = p sum u(n)
Assumptions and validity
    A window is at least one cycle long. Successes per window are exact if the dead time is not longer than
    the darkness between two windows; ``u`` is taken for stationary, 1 / (1 + p dead), after 100 000 attempts
    or if it does not change any more by 1e-12 (it is a mean of earlier values, so it cannot change again).
Units
    Picoseconds; ``first`` counts from the beginning of a window.
Sources
    [1] Graham, Knuth, Patashnik, "Concrete Mathematics" (2nd ed. 1994), section 3.5: floor sums.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from qnet.units import Duration

COUNTED: Final = 100_000
"""Attempts of a window after which the chance that one is made is taken for stationary."""

SETTLED: Final = 1e-12


def floor_sum(count: int, modulus: int, step: int, first: int) -> int:
    """Sum of floor((first + n step) / modulus) over 0 <= n < ``count``; ``modulus`` > 0, ``step`` >= 0."""
    total = 0
    while True:
        total += (count - 1) * count // 2 * (step // modulus) + count * (first // modulus)
        step, first = step % modulus, first % modulus
        top = step * count + first
        if top < modulus:
            return total
        count, first = divmod(top, modulus)
        modulus, step = step, modulus


def lit_among(count: int, first: int, cycle: Duration, period: Duration, length: Duration) -> int:
    """Lit attempts among the first ``count``."""
    begun = floor_sum(count, period, cycle, first)
    return begun - floor_sum(count, period, cycle, first - length)


def nth_lit(nth: int, first: int, cycle: Duration, period: Duration, length: Duration) -> int:
    """Which attempt (from 1) is the ``nth`` lit one; ``length`` >= ``cycle``."""
    fewest = length // cycle  # in one window; no window has two more
    low = max(nth, (nth // (fewest + 1) - 2) * period // cycle) - 1
    high = (nth // fewest + 2) * period // cycle + 2
    while high - low > 1:
        middle = (low + high) // 2
        if lit_among(middle, first, cycle, period, length) < nth:
            low = middle
        else:
            high = middle
    return high


def mean_lit(first: int, cycle: Duration, period: Duration, length: Duration) -> float:
    """Lit attempts per window in the long run: the pattern repeats after ``cycle`` / gcd windows."""
    common = math.gcd(cycle, period)
    return lit_among(period // common, first, cycle, period, length) / (cycle // common)


def successes_per_window(lit: float, prob: float, dead: int) -> float:
    """Successes per window of ``lit`` attempts on average, each followed by ``dead`` that are not made.

    Args:
        lit: mean number of attempts; single windows have the whole number below or above.
        prob: of success of an attempt.
        dead: attempts that a success costs besides its own.
    """
    if dead == 0:
        return lit * prob
    whole = math.floor(lit)
    made, chance = 0.0, 1.0
    recent = deque([0.0] * dead)  # chances of the ``dead`` attempts before the last one
    counted = 0
    while counted < min(whole, COUNTED):
        made += chance
        counted += 1
        recent.append(chance)
        chance = (1.0 - prob) * chance + prob * recent.popleft()
        spread = max(*recent, chance) - min(*recent, chance) if counted % (dead + 1) == 0 else 1.0
        if spread < SETTLED:
            break
    if counted < whole:
        chance = 1.0 / (1.0 + prob * dead)
        made += (whole - counted) * chance
    return prob * (made + (lit - whole) * chance)
