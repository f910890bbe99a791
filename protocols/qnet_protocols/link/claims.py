"""What a link claims of a pair: correlators, goodness and its stated error.

Theory
    The link's estimate holds at the delivery of a pair in its communication slots. A transfer to
    memory adds, at each end that stores,

    * the noise of a SWAP, three two-qubit gates: all correlators times (1 - lambda)^3 [1];
    * the time of its transfer in the communication qubit, and in memory the wait for the slower end and
      any wait afterwards: (a, b) times exp(-t/T2) per qubit [2].

    T1 is not in the correlators but in the stated error: amplitude damping over t moves the fidelity
    by at most 1 - exp(-t/T1) per qubit. An end that hears of the herald before the other, or has no
    correction to make, begins its transfer earlier than that and waits in memory instead of in the
    communication qubit; the difference of the two decays over that time counts in the error too.

    In memory, a half may be dephased by entangling attempts of its node, from none of them to the most
    that there can be: the middle is claimed, half the range of the fidelity counts in the error [3].
Assumptions and validity
    A SWAP depolarises both of its qubits together, so one of them alone is depolarised by the same
    lambda.
Not modelled
    For kind R the transfer at the peer counts though the origin's half is measured by then: the claim is
    about the pair that was.
Units
    Picoseconds; correlators without dimension.
Sources
    [1] :mod:`qnet.physics.gates`. [2] :mod:`qnet.physics.memory`. [3] :mod:`qnet.physics.attempts`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from qnet.hardware import Platform
from qnet.machine import Record
from qnet.physics.attempts import NO_ATTEMPTS, AttemptNoise, range_after
from qnet.physics.gates import depolarising_from_fidelity
from qnet.plan import Estimate
from qnet.units import Duration, duration_from_s, seconds


class Claim(Record, frozen=True):
    """Correlators in the frame of the label, goodness, and the error of the goodness."""

    correlators: tuple[float, float, float]
    goodness: float
    error: float


def transfer_time(end: Platform) -> Duration:
    """How long a move to memory takes there: the slot is initialised, then a SWAP, three two-qubit gates."""
    return Duration(
        duration_from_s(end.initialise.duration_s) + 3 * duration_from_s(end.gate_2q.duration_s)
    )


def fresh(estimate: Estimate) -> Claim:
    """The claim at delivery from the communication slots."""
    return Claim(estimate.correlators, estimate.goodness, estimate.goodness_error)


def transferred(claim: Claim, ends: tuple[Platform, ...], early: Duration) -> Claim:
    """``claim`` after a transfer to memory at each of ``ends``, begun up to ``early`` before."""
    scale = dephasing = 1.0
    error = claim.error
    longest = max(map(transfer_time, ends))
    for end in ends:
        scale *= (1.0 - depolarising_from_fidelity(end.gate_2q.fidelity, 2)) ** 3
        kinds = (end.communication, end.memory)
        own = transfer_time(end)
        for time, kind in zip((own, longest - own), kinds, strict=True):
            dephasing *= math.exp(-seconds(time) / kind.t2_s)
        fall = [math.exp(-seconds(early) / kind.t2_s) for kind in kinds]
        error += abs(fall[0] - fall[1]) / 2.0
        error += max(-math.expm1(-seconds(longest + early) / kind.t1_s) for kind in kinds)
    return _scaled(claim, scale * dephasing, scale, error)


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
