"""What a link claims of a pair: correlators, goodness and its stated error.

Theory
    The link's estimate holds at the delivery of a pair in its communication slots. A transfer to
    memory adds, at each end that stores,

    * the noise of a SWAP, three two-qubit gates: all correlators times (1 - lambda)^3 [1];
    * the time of the transfer in the communication qubit and any wait in memory afterwards:
      (a, b) times exp(-t/T2) per qubit [2].

    T1 is not in the correlators but in the stated error: amplitude damping over t moves the fidelity
    by at most 1 - exp(-t/T1) per qubit. The end that finishes first waits for the other in memory,
    not in the communication qubit; the difference of the two decays counts in the error too.
Assumptions and validity
    A SWAP depolarises both of its qubits together, so one of them alone is depolarised by the same
    lambda.
Not modelled
    Noise of attempts on pairs that wait in memory. For kind R the transfer at the peer counts though
    the origin's half is measured by then: the claim is about the pair that was.
Units
    Picoseconds; correlators without dimension.
Sources
    [1] :mod:`qnet.physics.gates`. [2] :mod:`qnet.physics.memory`.
"""

from __future__ import annotations

import math

from qnet.hardware import Platform
from qnet.machine import Record
from qnet.physics.gates import depolarising_from_fidelity
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


def transferred(claim: Claim, ends: tuple[Platform, ...], took: Duration) -> Claim:
    """``claim`` after a transfer to memory at each of ``ends``, which took ``took``."""
    scale = dephasing = 1.0
    error = claim.error
    time_s = seconds(took)
    for end in ends:
        scale *= (1.0 - depolarising_from_fidelity(end.gate_2q.fidelity, 2)) ** 3
        times = (end.communication, end.memory)
        dephasing *= math.exp(-time_s / end.communication.t2_s)
        fall = [math.exp(-time_s / kind.t2_s) for kind in times]
        error += abs(fall[0] - fall[1]) / 2.0
        error += max(-math.expm1(-time_s / kind.t1_s) for kind in times)
    return _scaled(claim, scale * dephasing, scale, error)


def waited(claim: Claim, ends: tuple[Platform, ...], time: Duration) -> Claim:
    """``claim`` after the halves at ``ends`` waited in memory for ``time``."""
    if time == 0:
        return claim
    time_s = seconds(time)
    dephasing = math.exp(-sum(time_s / end.memory.t2_s for end in ends))
    error = claim.error - sum(math.expm1(-time_s / end.memory.t1_s) for end in ends)
    return _scaled(claim, dephasing, 1.0, error)


def _scaled(claim: Claim, ab: float, c: float, error: float) -> Claim:
    a, b, z = claim.correlators
    values = (a * ab, b * ab, z * c)
    return Claim(values, (1.0 + sum(values)) / 4.0, min(1.0, error))
