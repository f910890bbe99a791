"""Prediction for a whole path of links: end-to-end fidelity and rate, and the choice of the cutoff.

Theory
    Link i makes pairs with correlators (a, b, c) at rate r_i, one at a time; a node joins the pairs of
    its two sides as soon as it has both. Correlators multiply along the path [1], and so do

    * at each node between two links, the factors of its noisy Bell measurement (gates, read-out, and the
      storage of both qubits during the two-qubit gate);
    * there, the mean decay of the half that came first, over the waits w that the cutoff t allows. For
      exponential times of both links (the continuous limit of [2])

          P = sum_i u_i (1 - exp(-r_j t)),    u_i = r_i / (r_i + r_j),
          P <exp(-w/T)> = sum_i u_i r_j / (r_j + 1/T) (1 - exp(-(r_j + 1/T) t)),

      where link i is the first one, j the other, and P the chance that a pair meets its partner in time;
    * at both ends, the decay during the mean time from the first pair's arrival until the last swap is
      done and its message has come.

        rate = prod Q / (E[max of the links' times] + duration of a swap)

    where Q of a node is the exact rate of its two links alone, P / (1/(r_1 + r_2) + <min(w, t)>), as a
    share of that without a cutoff: of two pairs that miss each other only the older is lost.

    Where a half waits in memory, the attempts of the link that it waits for (at an end, of its own) may
    dephase it: at a rate, as with a shorter T2 (:mod:`qnet.physics.attempts`).

    A node with fewer communication slots than links keeps pairs in memory; the other end of such a link does,
    too. The move costs both ends its gates (:mod:`qnet.physics.moves`), and the link the time that it takes.

    A finished pair waits at the ends for its message, for the light time of the path; where an end has
    fewer than two communication slots per link, its link begins that much later.

    "Long" cutoff: a pair loses the share 1.5 % of its fidelity; "short": a link makes a pair in that time
    with probability 0.85 [3], plus the longest darkness of a link behind a switch.
Assumptions and validity
    Exact for one link, and for factor and rate of two links whose ends are free at once. The rate lets all
    links begin anew together, which they do sooner (up to 1.4 times the rate, for 16 equal links without
    cutoff), and takes what nodes lose as independent, which is too good (2.3 times the rate, for 16 equal
    links and a cutoff of one mean time). Against an event simulation of 2 to 8 equal links and cutoffs of
    one mean time and more it is right within a factor of 1.5. A finite T1 counts as a
    factor exp(-t/T1) of c, which is exact to first order in t/T1.
Not modelled
    Windows of switched stations: pairs of such links come at their mean rate, though those of two turns of
    one switch never come at once and wait for each other longer than this says. Competing circuits,
    refreshed circuits, agreement of requests, purification end to end, noise of attempts on other links
    than one, the wait of an attempt that finds the communication slot of a common pool taken.
Units
    Rates in hertz, times in seconds; cutoffs of routes in picoseconds.
Sources
    [1] Briegel, Dür, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998).
    [2] Collins, Jenkins, Kuzmich, Kennedy, "Multiplexed memory-insensitive quantum repeaters",
        Phys. Rev. Lett. 98, 060502 (2007): cutoffs of two links.
    [3] Kozlowski, Dahlberg, Wehner, CoNEXT 2020, arXiv 2010.02575, section 4.1.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from qnet.hardware import Coherence, Operation, Platform
from qnet.ids import NodeId
from qnet.physics.attempts import rate_hz, while_attempting
from qnet.physics.bell import Correlators, fidelity_from_correlators
from qnet.physics.moves import moves
from qnet.physics.native import bell_factors, compiled, pulse_time
from qnet.physics.swapping import perfect_swap, read_out
from qnet.plan import LinkPlan, Route
from qnet.units import Duration, duration_from_s, seconds

CutoffChoice = Literal["long", "short", "off"]

STEPS_PER_TIME: Final = 20
"""Steps of the integral of E[max] per mean time of the slowest link: within 0.1 % of the exact value."""


class Meeting(NamedTuple):
    """Two links at one node.

    Attributes:
        accept_prob: P, chance that a pair meets its partner within the cutoff.
        rate_share: Q, rate of joined pairs, as a share of that without a cutoff.
        coherence, energy: mean factors exp(-w/T2), exp(-w/T1) of the half that waited, for those that do.
    """

    accept_prob: float
    rate_share: float
    coherence: float
    energy: float


def meeting(
    rates_hz: tuple[float, float],
    coherence: Coherence,
    cutoff_s: float = math.inf,
    attempts_hz: tuple[float, float] = (0.0, 0.0),
) -> Meeting:
    """What waiting does where two links meet; formulas of the module head.

    Args:
        rates_hz: of the two links.
        coherence: of the memory there.
        cutoff_s: longest wait.
        attempts_hz: how much attempts of each link dephase the half that waits for it.
    """

    def mean(decay_hz: float, more_hz: tuple[float, float] = (0.0, 0.0)) -> float:
        total = 0.0
        for first, other, more in (
            (*rates_hz, more_hz[1]),
            (*rates_hz[::-1], more_hz[0]),
        ):
            leaving = other + decay_hz + more
            total += first / sum(rates_hz) * other / leaving * -math.expm1(-leaving * cutoff_s)
        return total

    accepted = mean(0.0)
    either_hz = sum(rates_hz)
    waits_s = sum(
        first / either_hz * -math.expm1(-other * cutoff_s) / other
        for first, other in (rates_hz, rates_hz[::-1])
    )
    return Meeting(
        accept_prob=accepted,
        rate_share=accepted * slowest_time_s(rates_hz) / (1.0 / either_hz + waits_s),
        coherence=mean(1.0 / coherence.t2_s, attempts_hz) / accepted,
        energy=mean(1.0 / coherence.t1_s) / accepted,
    )


def slowest_time_s(rates_hz: Sequence[float], idle_s: Sequence[float] = ()) -> float:
    """Mean time until every link has made a pair: E[max], the integral of 1 - prod(1 - exp(-r t)).

    Args:
        rates_hz: of the links.
        idle_s: how much later than the others each of them begins; at once if not given.
    """
    counts = Counter(zip(rates_hz, idle_s or [0.0] * len(rates_hz), strict=True))
    if len(counts) == 1:
        ((rate, idle),) = counts
        return idle + sum(1.0 / count for count in range(1, len(rates_hz) + 1)) / rate
    if len(rates_hz) == 2 and not any(idle_s):
        return 1.0 / rates_hz[0] + 1.0 / rates_hz[1] - 1.0 / sum(rates_hz)
    lowest = min(rates_hz)
    step = 1.0 / lowest / STEPS_PER_TIME
    total, time_s, missing = 0.0, step / 2.0, 1.0
    while missing > 1e-9:
        done = math.prod(
            (-math.expm1(-rate * max(time_s - idle, 0.0))) ** count
            for (rate, idle), count in counts.items()
        )
        missing = 1.0 - done
        total += missing * step
        time_s += step
    return max(total, 1.0 / lowest)


def storage(platform: Platform, links: int) -> Coherence:
    """Memory in which a node with that many links keeps pairs."""
    return platform.communication if platform.communication_slots >= links else platform.memory


def shaking_hz(platform: Platform, links: int, link: LinkPlan) -> float:
    """Dephasing of pairs that a node with so many links keeps, while it attempts on one of them."""
    if platform.communication_slots >= links:
        return 0.0
    return rate_hz(platform.attempt_dephasing_prob, link.cycle)


def can_serve(platform: Platform) -> bool:
    """True if a node can hold pairs of two links at a time."""
    slots = platform.communication_slots
    return slots >= 2 or (slots == 1 and platform.memory_slots >= 1)


LONGEST_CUTOFF_S: Final = 1e6
"""A longer cutoff is none: no run lasts so long, and times are counted in 63 bits of picoseconds."""


def choose_cutoff_s(
    links: Sequence[LinkPlan],
    inner: Sequence[Coherence],
    choice: CutoffChoice,
    lost_share: float = 0.015,
    success_prob: float = 0.85,
) -> float:
    """Cutoff of a path, inf for none.

    Args:
        links: of the path.
        inner: memories of the nodes between them.
        choice: "long", "short" or "off".
        lost_share: share of its fidelity that a pair may lose ("long").
        success_prob: chance that the slowest link makes a pair in that time ("short").
    """
    if choice == "off" or not inner:
        return math.inf
    if choice == "short":
        darkness_s = max(seconds(link.dark) for link in links)
        return darkness_s - math.log1p(-success_prob) / min(link.offered[1] for link in links)
    ends = zip(pairwise(links), inner, strict=True)
    return min(_losing_time_s(link, memory, lost_share) for both, memory in ends for link in both)


def _losing_time_s(link: LinkPlan, memory: Coherence, lost_share: float) -> float:
    """Time after which a pair of ``link`` with one stored half has lost that share of its fidelity."""
    start = link.offered[0]
    allowed = (1.0 - lost_share) * fidelity_from_correlators(start)
    low, high = 0.0, 10.0 * min(memory.t1_s, memory.t2_s)
    if math.isinf(high) or fidelity_from_correlators(_stored(start, high, memory)) >= allowed:
        return math.inf
    for _ in range(60):
        middle = (low + high) / 2.0
        if fidelity_from_correlators(_stored(start, middle, memory)) >= allowed:
            low = middle
        else:
            high = middle
    return high


def _stored(values: Correlators, time_s: float, memory: Coherence) -> Correlators:
    coherence, energy = math.exp(-time_s / memory.t2_s), math.exp(-time_s / memory.t1_s)
    return perfect_swap(values, (coherence, coherence, energy))


def swap_factors(platform: Platform, memory: Coherence) -> Correlators:
    """Factors of the Bell measurement of a node, both qubits kept in ``memory`` until it has begun."""
    readout = platform.readout
    flips = (readout.error_0_prob, readout.error_1_prob)
    gate = _usual_gate(platform)
    noise = read_out(bell_factors(platform, gate), flips, flips)
    single_s, reading_s = seconds(pulse_time(platform, "H")), readout.duration_s
    phase = math.exp(-single_s / memory.t2_s)
    parity = math.exp(-(single_s + reading_s) / memory.t1_s)
    both = _stored(noise, 2.0 * seconds(compiled(platform, "CNOT", gate).duration), memory)
    return perfect_swap(both, (phase, phase * parity, parity))


def _usual_gate(platform: Platform) -> Operation:
    """The entangler of a node's swaps; where couplings differ, one of the middle, in fidelity."""
    if not platform.couplings:
        return platform.gate_2q
    ranked = sorted((one.gate for one in platform.couplings), key=lambda gate: gate.fidelity)
    return ranked[len(ranked) // 2]


def predict(
    nodes: Sequence[NodeId],
    links: Sequence[LinkPlan],
    platforms: Sequence[Platform],
    degrees: Sequence[int],
    *,
    cutoff_s: float = math.inf,
) -> Route:
    """The route along these nodes, with what it offers.

    Args:
        nodes: of the path, ends included.
        links: between them.
        platforms: of the nodes.
        degrees: number of links of each node, on the path or not.
        cutoff_s: longest wait at a node between two links.
    """
    pooled = [
        platform.communication_slots < degree
        for platform, degree in zip(platforms, degrees, strict=True)
    ]
    stored = [pooled[index] or pooled[index + 1] for index in range(len(links))]
    memories = _memories(platforms, pooled, stored)
    offers = [
        _moved(link, platforms[index : index + 2]) if stored[index] else link.offered
        for index, link in enumerate(links)
    ]
    rates_hz = [rate for _, rate in offers]
    values = offers[0][0]
    kept = 1.0
    for index in range(1, len(links)):
        before_hz, after_hz = (
            shaking_hz(platforms[index], degrees[index], link)
            for link in links[index - 1 : index + 1]
        )
        met = meeting(
            (rates_hz[index - 1], rates_hz[index]),
            memories[index],
            cutoff_s,
            (before_hz, after_hz),
        )
        kept *= met.rate_share
        values = perfect_swap(values, offers[index][0])
        values = perfect_swap(values, (met.coherence, met.coherence, met.energy))
        values = perfect_swap(values, swap_factors(platforms[index], memories[index]))
    round_s = slowest_time_s(rates_hz)
    if len(links) > 1:
        light_s = sum(seconds(link.direct) for link in links)
        swap_s = max(_swap_time_s(platform) for platform in platforms[1:-1])
        for end in (0, -1):
            waited_s = min(round_s - 1.0 / rates_hz[end], (len(links) - 1) * cutoff_s)
            more_hz = shaking_hz(platforms[end], degrees[end], links[end])
            memory = while_attempting(memories[end], more_hz)
            values = _stored(values, waited_s + swap_s + light_s, memory)
        idle_s = [0.0] * len(links)
        for end in (0, -1):
            if platforms[end].communication_slots < 2 * degrees[end]:
                idle_s[end] = light_s
        round_s = slowest_time_s(rates_hz, idle_s) + swap_s
    return Route(
        nodes=tuple(nodes),
        links=tuple(link.name for link in links),
        goodness=min(max(fidelity_from_correlators(values), 0.0), 1.0),
        rate_hz=max(kept / round_s, sys.float_info.min),
        cutoff=None
        if cutoff_s > LONGEST_CUTOFF_S
        else max(duration_from_s(cutoff_s), duration_from_s(1e-12)),
    )


def _memories(
    platforms: Sequence[Platform], pooled: Sequence[bool], stored: Sequence[bool]
) -> list[Coherence]:
    """Where each node of a path keeps its pairs: in memory if all of its links store them."""
    found = []
    for index, platform in enumerate(platforms):
        beside = stored[max(index - 1, 0) : index + 1]
        in_memory = pooled[index] or all(beside)
        found.append(platform.memory if in_memory else platform.communication)
    return found


def _moved(link: LinkPlan, ends: Sequence[Platform]) -> tuple[Correlators, float]:
    """What a link offers if both ends move their halves to memory, the slowest way that each has.

    A purified link's prediction already has its pairs where they wait.
    """
    values, rate_hz = link.offered
    if link.purification is not None:
        return values, rate_hz
    ways = [moves(end)[-1] for end in ends]
    took_s = max(seconds(way.duration) for way in ways)
    for end, way in zip(ends, ways, strict=True):
        move_s = seconds(way.duration)
        values = perfect_swap(values, way.factors)
        values = _stored(values, move_s, end.communication)
        values = _stored(values, took_s - move_s, end.memory)
    return values, 1.0 / (1.0 / rate_hz + took_s)


def _swap_time_s(platform: Platform) -> float:
    joint = compiled(platform, "CNOT", _usual_gate(platform)).duration
    return seconds(Duration(joint + pulse_time(platform, "H"))) + 2.0 * platform.readout.duration_s
