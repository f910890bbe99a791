"""Dephasing of memories by the entangling attempts of their node: for a number of them, and for a time.

Theory
    Every attempt flips the phase of every memory of the node with probability p: after N attempts the
    coherence is (1 - 2p)^N [1]. It falls to 1/e after N = -1/ln(1 - 2p) of them, about 1/(2p).

    *Nobody in the network knows N*, but attempts of a link lie on a grid of its cycle. In a time t > 0 a
    node makes at most t/cycle + 1 of them on each of its links, and perhaps none. With m the coherence
    after the most, the truth lies in [m, 1]: the middle is claimed. A dephasing channel of factor k differs
    from that of factor k' by |k - k'| in diamond norm, here by (1 - m)/2 at most; half of it bounds the
    difference of fidelities, before and after any number of swaps.

    *A prediction* may take a link that attempts all the time to dephase at -ln(1 - 2p)/cycle, like a shorter T2.
Assumptions and validity
    p < 1/2. One attempt is one pulse: of all modes, with all its rounds.
Not modelled
    Weaker coupling of memories that are farther away, revival of coherence, attempts of other nodes.
Units
    Times in seconds, rates in 1/s; exponents without dimension.
Sources
    [1] Physics reference A6.2; Reiserer et al., Phys. Rev. X 6, 021040 (2016); Kalb et al., Phys. Rev. A 97,
        062330 (2018): nuclear spins dephased by the reset of an electron.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from qnet.hardware import Coherence
from qnet.units import Duration, seconds


class AttemptNoise(NamedTuple):
    """What a memory of a node suffers at worst: coherence >= exp(-``rate_hz`` t - ``once``) after t > 0.

    Attributes:
        rate_hz: -ln(1 - 2p) times the attempts of all links of the node per second.
        once: the same times the number of links: the attempt that a grid may have beyond t/cycle.
    """

    rate_hz: float = 0.0
    once: float = 0.0


NO_ATTEMPTS: Final = AttemptNoise()
"""Of communication qubits, and of memories that attempts do not disturb."""


def exponent(dephasing_prob: float) -> float:
    """-ln(1 - 2p): what one attempt adds to the exponent of the coherence; p < 1/2."""
    return -math.log1p(-2.0 * dephasing_prob)


def kept_coherence(dephasing_prob: float, attempts: int) -> float:
    """(1 - 2p)^N."""
    return math.exp(-attempts * exponent(dephasing_prob)) if dephasing_prob else 1.0


def worst(dephasing_prob: float, cycles: Iterable[Duration]) -> AttemptNoise:
    """Noise of a node with links of these cycles, all of them attempting all the time."""
    if not dephasing_prob:
        return NO_ATTEMPTS
    each, per_s = exponent(dephasing_prob), [1.0 / seconds(cycle) for cycle in cycles]
    return AttemptNoise(each * sum(per_s), each * len(per_s))


def rate_hz(dephasing_prob: float, cycle: Duration) -> float:
    """Rate at which a link that attempts all the time takes coherence from the memories of an end."""
    return exponent(dephasing_prob) / seconds(cycle) if dephasing_prob else 0.0


def while_attempting(memory: Coherence, more_hz: float) -> Coherence:
    """``memory`` with so much more dephasing."""
    if not more_hz:
        return memory
    return Coherence(memory.t1_s, 1.0 / (1.0 / memory.t2_s + more_hz))


def range_after(noise: AttemptNoise, time_s: float) -> tuple[float, float]:
    """(middle, half width) of what the factor of the coherence may be after a time."""
    if time_s <= 0.0 or noise == NO_ATTEMPTS:
        return 1.0, 0.0
    lost = -math.expm1(-time_s * noise.rate_hz - noise.once)
    return 1.0 - lost / 2.0, lost / 2.0
