"""What a link claims of a pair: correlators, goodness and its stated error.

Theory
    The link's estimate holds at the delivery of a pair in its communication slots. A transfer to
    memory adds, at each end that stores,

    * the noise of a SWAP, as its processor makes it: a factor of each correlator [1];
    * the time of its transfer in the communication qubit, and in memory the wait for the slower end and
      any wait afterwards: (a, b) times exp(-t/T2) per qubit [2].

    The estimate counts the gates that bring heralded pairs to Phi+. For another label it takes other gates,
    or none: with lambda of one of them, the fidelity differs by 3 lambda/4 at most, which counts in the error.

    T1 is not in the correlators but in the stated error: amplitude damping over t moves the fidelity
    by at most 1 - exp(-t/T1) per qubit. An end that hears of the herald before the other, or has no
    correction to make, begins its transfer earlier than that and waits in memory instead of in the
    communication qubit; the difference of the two decays over that time counts in the error too.

    In memory, a half may be dephased by entangling attempts of its node, from none of them to the most
    that there can be: the middle is claimed, half the range of the fidelity counts in the error [3].

    Where the couplings of an end are unlike, its peer does not know which of them is used: both ends claim the
    middle of what is possible. Channels that scale (a, b, c) differ by half a range r in fidelity by at most
    (r_a + r_b + r_c)/4, before and after any number of swaps, which counts in the error.
Not modelled
    For kind R the transfer at the peer counts though the origin's half is measured by then: the claim is
    about the pair that was.
Units
    Picoseconds; correlators without dimension.
Sources
    [1] :mod:`qnet.physics.moves`. [2] :mod:`qnet.physics.memory`. [3] :mod:`qnet.physics.attempts`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from qnet.hardware import Platform
from qnet.machine import Record
from qnet.physics.attempts import NO_ATTEMPTS, AttemptNoise, range_after
from qnet.physics.bell import Correlators
from qnet.physics.moves import Move, longest_move, moves
from qnet.physics.native import pulse_mixing
from qnet.plan import Estimate
from qnet.units import Duration, seconds


class Claim(Record, frozen=True):
    """Correlators in the frame of the label, goodness, and the error of the goodness."""

    correlators: tuple[float, float, float]
    goodness: float
    error: float


def fresh(estimate: Estimate) -> Claim:
    """The claim at delivery from the communication slots."""
    return Claim(estimate.correlators, estimate.goodness, estimate.goodness_error)


def turned(claim: Claim, end: Platform) -> Claim:
    """``claim`` of a pair in another label than Phi+: other gates at ``end`` than the estimate counts, or none."""
    error = claim.error + 0.75 * pulse_mixing(end, "X")
    return Claim(claim.correlators, claim.goodness, min(1.0, error))


def transferred(claim: Claim, ends: tuple[Platform, ...], early: Duration) -> Claim:
    """``claim`` after a transfer to memory at each of ``ends``, begun up to ``early`` before."""
    values = claim.correlators
    error = claim.error
    longest = max(map(longest_move, ends))
    for end in ends:
        found = [_moved(end, move, longest) for move in moves(end)]
        ranges = [(min(axis), max(axis)) for axis in zip(*found, strict=True)]
        a, b, c = (value * sum(span) / 2.0 for value, span in zip(values, ranges, strict=True))
        values = (a, b, c)
        error += sum(high - low for low, high in ranges) / 8.0
        kinds = (end.communication, end.memory)
        fall = [math.exp(-seconds(early) / kind.t2_s) for kind in kinds]
        error += abs(fall[0] - fall[1]) / 2.0
        error += max(-math.expm1(-seconds(longest + early) / kind.t1_s) for kind in kinds)
    return Claim(values, (1.0 + sum(values)) / 4.0, min(1.0, error))


def _moved(end: Platform, move: Move, longest: Duration) -> Correlators:
    """Factors of (a, b, c) by a move at ``end`` and the wait in memory until the slowest one is done."""
    dephasing = math.exp(-seconds(move.duration) / end.communication.t2_s)
    dephasing *= math.exp(-seconds(Duration(longest - move.duration)) / end.memory.t2_s)
    a, b, c = move.factors
    return (a * dephasing, b * dephasing, c)


def waited(claim: Claim, ends: tuple[Platform, ...], time: Duration) -> Claim:
    """``claim`` after the halves at ``ends`` waited in memory for ``time``."""
    if time == 0:
        return claim
    time_s = seconds(time)
    dephasing = math.exp(-sum(time_s / end.memory.t2_s for end in ends))
    error = claim.error - sum(math.expm1(-time_s / end.memory.t1_s) for end in ends)
    return _scaled(claim, dephasing, 1.0, error)


def disturbed(claim: Claim, attempts: Iterable[AttemptNoise], time: Duration) -> Claim:
    """``claim`` after the halves were in memories with such noise for ``time`` at most."""
    noisy = [noise for noise in attempts if noise != NO_ATTEMPTS]
    if not noisy:
        return claim
    ranges = [range_after(noise, seconds(time)) for noise in noisy]
    middle = math.prod(one[0] for one in ranges)
    return _scaled(claim, middle, 1.0, claim.error + sum(one[1] for one in ranges) / 2.0)


def _scaled(claim: Claim, ab: float, c: float, error: float) -> Claim:
    a, b, z = claim.correlators
    values = (a * ab, b * ab, z * c)
    return Claim(values, (1.0 + sum(values)) / 4.0, min(1.0, error))
