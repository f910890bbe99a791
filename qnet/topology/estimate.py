"""Prediction for one link from its hardware: rate and fidelity of delivered pairs.

Theory
    A heralding scheme lists its successful click patterns with probability and state. Emission
    from the longer arm happens ``preparation`` after the start of an attempt; the photons need
    ``flights`` to the station and meet there, so that the shorter arm emits later by the difference;
    the herald needs the longer flight to come back. Each memory decays from the departure of its
    own photon on, ``flights[i]`` before the click. The end that asked for the pair (its origin, A or B) brings
    it to Phi+ by one single-qubit gate; both ends deliver at the same instant, when the slower of
    the two ends would have done so:

        delivery - emission = 2 max(flights) + max(correction)
        1/rate = (1/p - 1 + ceil((preparation + delivery - emission) / cycle)) cycle

    since attempts lie on a grid of the cycle, failed ones cost one cycle each, and the next run
    begins at the first grid point after the delivery. Behind a switch that connects the link in a window
    of each period, pairs per period are counted in :mod:`qnet.physics.windows`.

    ``goodness`` is the fidelity at delivery, averaged over patterns and origins; ``goodness_error`` is
    the largest deviation of one of them from it, plus a margin for rounding, so the true fidelity of
    *every* delivered pair lies within. A state that is not Bell-diagonal (single click) is claimed by its
    Bell-diagonal part; what is left out, of trace norm d, changes no fidelity of the pair itself, but up to
    d/2 of what swaps and purification make of it, and d/2 is added for them.
Assumptions and validity
    Cold-bath T1/T2 decay; a gate is a perfect Pauli followed by depolarisation (Z is nothing where it is a
    change of frame). The gate may act
    at any instant between click and delivery (messages may come by a shorter fibre): both extremes
    are evaluated and count in the error. With infinite T1 they are equal. The rate is that of an
    idle link and one request without end, slots freed at once. Behind a switch it is the mean over a
    long time, exact (before it is rounded) if the dead time after a click, ceil(...) - 1 cycles, is not
    longer than the darkness; else the dead time counts with the window's share of it, which is not exact.
    Its reciprocal is then the mean time per pair, but times between pairs are no more nearly geometric:
    who waits from a bad moment on waits a whole darkness, and forecasts that need more than the mean
    (purification, cutoffs, routes) take pairs for evenly spread.
Not modelled
    Noise of attempts on qubits in memory slots (those of fresh pairs are in communication slots),
    queueing, storage after the delivery.
Units
    Times in picoseconds where integer, seconds where float; matrices are 4 x 4 rows in the basis
    00, 01, 10, 11 with end A first.
Sources
    [1] Nielsen and Chuang, "Quantum Computation and Quantum Information" (2000), section 8.3:
        amplitude damping, phase damping, depolarising channel.
    [2] Stephenson et al., PRL 124, 110501 (2020): pairs from p and the attempt rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from qnet.hardware import Coherence, Platform
from qnet.physics.bell import (
    LABELS,
    Matrix4,
    bell_vector,
    correction_gate,
    overlap,
    state_correlators,
)
from qnet.physics.memory import decay
from qnet.physics.native import pulse_mixing
from qnet.physics.windows import mean_lit, successes_per_window
from qnet.plan import Estimate, Window
from qnet.seams import ClickOutcome
from qnet.units import Duration, seconds

ROUNDING: Final = 1e-12
"""States so close to Bell-diagonal are, but for rounding."""

ONE_ROUND: Final = Duration(0)
"""No memory holds anything before its (only) photon leaves."""

NUMERICAL_MARGIN: Final = 1e-6
"""Added to the goodness error for rounding: of times to picoseconds, of states to doubles."""


@dataclass(frozen=True)
class Timing:
    """Times of one link, in the words of :class:`qnet.plan.LinkPlan`.

    "Emission" is the earlier of the two last departures, that of the longer arm.
    """

    flights: tuple[Duration, Duration]
    cycle: Duration
    preparation: Duration
    correction: tuple[Duration, Duration]
    held: Duration = ONE_ROUND

    @property
    def click(self) -> int:
        """From emission to the click."""
        return max(self.flights)

    @property
    def delivery(self) -> int:
        """From emission to the delivery at both ends."""
        return 2 * max(self.flights) + max(self.correction)

    def lag(self, side: int) -> int:
        """From emission to the departure of the photon of ``side``."""
        return max(self.flights) - self.flights[side]

    def stored(self, side: int, until: int) -> int:
        """How long the memory of ``side`` holds its half ``until`` so long after emission."""
        return until - self.lag(side) + self.held


def estimate(
    outcomes: Sequence[ClickOutcome],
    timing: Timing,
    ends: tuple[Platform, Platform],
    window: Window | None = None,
) -> Estimate:
    """Prediction of the module head for one link.

    Args:
        outcomes: successful patterns of the scheme; the sum of their probabilities must be > 0.
        timing: of the link.
        ends: processors A and B.
        window: when the switch of the station connects the link, None for always.
    """
    success_prob = sum(outcome.prob for outcome in outcomes)
    heralded = goodness = 0.0
    mean = [0.0, 0.0, 0.0]
    delivered = []
    for outcome in outcomes:
        share = outcome.prob / success_prob
        heralded += share * overlap(outcome.state, outcome.label)
        cases = [
            _delivered(outcome, origin, acts_at, timing, ends)
            for origin in (0, 1)
            for acts_at in (timing.click, timing.delivery)
        ]
        goodness += share * sum(overlap(state) for state in cases) / len(cases)
        for axis, found in enumerate(zip(*map(state_correlators, cases), strict=True)):
            mean[axis] += share * sum(found) / len(cases)
        if outcome.prob > 0.0:
            delivered += [overlap(state) for state in cases]
    return Estimate(
        success_prob=success_prob,
        cycle=timing.cycle,
        heralded_fidelity=heralded,
        goodness=goodness,
        goodness_error=max(abs(case - goodness) for case in delivered)
        + max(stray(one.state) for one in outcomes if one.prob > 0.0) / 2.0
        + NUMERICAL_MARGIN,
        rate_hz=_rate_hz(success_prob, timing, window),
        correlators=(mean[0], mean[1], mean[2]),
    )


def _rate_hz(success_prob: float, timing: Timing, window: Window | None) -> float:
    """Pairs per second, one after the other."""
    taken = -(-(timing.preparation + timing.delivery) // timing.cycle)
    if window is None:
        return 1.0 / ((1.0 / success_prob - 1.0 + taken) * seconds(timing.cycle))
    dead = taken - 1
    first = timing.preparation - window.start
    lit = mean_lit(first, timing.cycle, window.period, window.length)
    if dead * timing.cycle > window.dark:
        pairs = lit * success_prob / (1.0 + success_prob * dead * window.share)
    else:
        pairs = successes_per_window(lit, success_prob, dead)
    return pairs / seconds(window.period)


def stray(state: Matrix4) -> float:
    """Bound on the trace norm of all that is not Bell-diagonal in ``state``."""
    total = 0.0
    for first, second in combinations(LABELS, 2):
        (one, two) = (bell_vector(first), bell_vector(second))
        element = sum(
            one[row] * state[row][column] * two[column] for row in range(4) for column in range(4)
        )
        total += 2.0 * abs(element)
    return total if total > ROUNDING else 0.0


def _delivered(
    outcome: ClickOutcome,
    origin: int,
    acts_at: int,
    timing: Timing,
    ends: tuple[Platform, Platform],
) -> Matrix4:
    """The state at delivery, brought to Phi+, if ``origin`` corrects ``acts_at`` ps after emission."""
    state: Matrix4 = outcome.state
    for side in (0, 1):
        kept = timing.stored(side, acts_at)
        state = stored(state, side, kept, ends[side].coherence_of(0))
    if outcome.label != (0, 0):
        state = corrected(state, origin, outcome.label)
        mixing = pulse_mixing(ends[origin], correction_gate(outcome.label))
        state = depolarised(state, origin, mixing)
    for side in (0, 1):
        state = stored(state, side, timing.delivery - acts_at, ends[side].coherence_of(0))
    return state


def stored(state: Matrix4, side: int, time_ps: int, coherence: Coherence) -> Matrix4:
    """``state`` after the qubit of ``side`` (0 for A) was stored for a time; [1] section 8.3."""
    gamma, factor = decay(seconds(time_ps), coherence.t1_s, coherence.t2_s)
    bit = 2 >> side

    def element(row: int, column: int) -> complex:
        value = state[row][column]
        if bool(row & bit) != bool(column & bit):
            return value * factor
        if row & bit:
            return value * (1.0 - gamma)
        return value + gamma * state[row | bit][column | bit]

    return _matrix(element)


def corrected(state: Matrix4, side: int, label: tuple[int, int]) -> Matrix4:
    """``state`` after the Pauli X^x Z^z on the qubit of ``side``, which maps B(x,z) to Phi+."""
    bit = 2 >> side
    x, z = label

    def element(row: int, column: int) -> complex:
        source = (row ^ bit, column ^ bit) if x else (row, column)
        sign = -1.0 if z and bool(row & bit) != bool(column & bit) else 1.0
        return sign * state[source[0]][source[1]]

    return _matrix(element)


def depolarised(state: Matrix4, side: int, mixing: float) -> Matrix4:
    """``state`` with the qubit of ``side`` replaced by a mixed one with probability ``mixing``."""
    bit = 2 >> side

    def element(row: int, column: int) -> complex:
        kept = (1.0 - mixing) * state[row][column]
        if bool(row & bit) != bool(column & bit):
            return kept
        return kept + mixing / 2.0 * (state[row][column] + state[row ^ bit][column ^ bit])

    return _matrix(element)


def _matrix(element: Callable[[int, int], complex]) -> Matrix4:
    return tuple(tuple(element(row, column) for column in range(4)) for row in range(4))
