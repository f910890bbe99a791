"""What a purification step makes of Bell-diagonal pairs, with noisy gates, read-out and storage.

Theory
    A Bell-diagonal state of k pairs is fixed by its 4^k correlators, the mean values of signs
    (-1)^(sum p_i x_i + q_i z_i) of the label bits: on one pair (p, q) = (0, 1) is a, (1, 1) is b, (1, 0) is c.
    A bilateral Clifford gate permutes them; depolarising noise, dephasing and read-out errors multiply them.
    So each correlator of the kept pair is *one product*: followed backwards through the circuit, it picks up
    a factor at every gate and ends as a product of correlators of the inputs. A parity that was read enters
    as Sum_s L(s) [parity = s] = alpha + beta (-1)^s, where L(s) is the likelihood of the two bits that were
    reported. The result is exact for the two bits that were read, not an average over all results.

    Noise is placed where the store of the world places it: a gate, compiled to those of its processor
    (:mod:`qnet.physics.native`), acts at the end of its duration; a read-out projects at its start; all qubits
    of both ends dephase at all times. Entangling attempts of a node dephase its memories until its program
    starts, and the kept one after it, by the middle of what is possible (:mod:`qnet.physics.attempts`).
Error bound
    ``error`` of an input is taken as the trace distance of its true state from the claimed one. Finite T1
    adds 1 - exp(-t/T1) per qubit to it (dephasing with the same T2 differs from true decay in populations
    only), attempts a quarter of what they can take from its coherence. With E the sum over all inputs, F and
    p the prediction, |F_true - F| <= E max(F, 1-F)/(p - E) where p is the probability of all results that
    agree in parity and reading with the one that was found (the bilinear forms N and p move by at most E
    each); 1 if p <= E.
Assumptions and validity
    Inputs are independent. Coherences between Bell states count as part of the input's error: the Paulis of
    a twirl remove them, other circuits do not.
Not modelled
    Outcomes of one end that depend on the state (all bits of one end are uniform for Bell-diagonal pairs).
Units
    Instants in integer picoseconds, times of the platform in seconds.
Sources
    [1] Dür, Briegel, Cirac, Zoller, "Quantum repeaters based on entanglement purification", Phys. Rev. A 59,
        169 (1999), doi 10.1103/PhysRevA.59.169: noisy gates and read-out in purification.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qnet.hardware import Operation as Timed
from qnet.hardware import Platform
from qnet.physics.attempts import NO_ATTEMPTS, AttemptNoise, range_after
from qnet.physics.bell import Correlators
from qnet.physics.native import Pauli, compiled, pulse_factor, pulse_time
from qnet.units import Instant, duration_from_s, seconds
from qnet_protocols.purification.circuit import Operation


@dataclass(frozen=True)
class Input:
    """One pair that goes in.

    Attributes:
        correlators: claimed, in the frame of its label.
        error: trace distance of the true state from the claimed one, at most.
        at: instant for which both hold; the qubits may have been used since, or be used before.
    """

    correlators: Correlators
    error: float
    at: Instant

    @property
    def goodness(self) -> float:
        """Claimed fidelity."""
        return (1.0 + sum(self.correlators)) / 4.0


@dataclass(frozen=True)
class Side:
    """What one end does.

    Attributes:
        platform: its processor.
        roles: kind of slot ("communication" or "memory") of each pair's half, pair 0 first.
        start: instant at which its program starts.
        bits: what it has read, in the order of the circuit.
        attempts: bounds what entangling attempts of this end do to its memories.
    """

    platform: Platform
    roles: tuple[str, ...]
    start: Instant
    bits: tuple[int, ...]
    attempts: AttemptNoise = NO_ATTEMPTS


@dataclass(frozen=True)
class Prediction:
    """The kept pair.

    Attributes:
        correlators: in the frame of its label.
        error: the true fidelity lies within goodness +- this.
        prob: chance of exactly these bits.
    """

    correlators: Correlators
    error: float
    prob: float

    @property
    def goodness(self) -> float:
        """Predicted fidelity."""
        return (1.0 + sum(self.correlators)) / 4.0


def program_ends(ops: Sequence[Operation], platform: Platform, start: Instant) -> Instant:
    """When the program of one end ends."""
    now = start
    for op in ops:
        if op.name == "READ":
            now = Instant(now + duration_from_s(platform.readout.duration_s))
        elif op.name == "CNOT":
            now = Instant(now + compiled(platform, "CNOT", gate_of(platform)).duration)
        else:
            now = Instant(now + pulse_time(platform, op.name))
    return now


def predict(
    ops: Sequence[Operation],
    inputs: Sequence[Input],
    sides: tuple[Side, Side],
    parities: Sequence[int],
    until: Instant,
) -> Prediction:
    """The kept pair at ``until``, given what both ends have read.

    Args:
        ops: from :func:`qnet_protocols.purification.circuit.operations`.
        inputs: the pairs, the kept one first.
        sides: the two ends.
        parities: those that perfect pairs show.
        until: instant for which the prediction holds, not before the end of either program.
    """
    reads = [index for index, op in enumerate(ops) if op.name == "READ"]
    timelines = tuple(_timeline(ops, side) for side in sides)
    likelihoods = [_likelihood(sides, k, parity) for k, parity in enumerate(parities)]
    sums = [0.0, 0.0, 0.0, 0.0]
    for chosen in range(1 << len(reads)):
        weight = math.prod(likelihood[chosen >> k & 1] for k, likelihood in enumerate(likelihoods))
        entered = {reads[k] for k in range(len(reads)) if chosen >> k & 1}
        if weight == 0.0:
            continue
        for which, (p, q) in enumerate(((0, 0), (0, 1), (1, 1), (1, 0))):
            signs = [[0, 0] for _ in inputs]
            signs[0] = [p, q]
            sums[which] += weight * _pulled_back(
                ops, inputs, sides, timelines, signs, entered, until
            )
    prob = sums[0]
    if prob <= 0.0:
        return Prediction((0.0, 0.0, 0.0), 1.0, 0.0)
    correlators = (sums[1] / prob, sums[2] / prob, sums[3] / prob)
    spread = sum(one.error for one in inputs) + sum(
        _relaxed(side, pair, one.at, until) for side in sides for pair, one in enumerate(inputs)
    )
    spread += sum(
        _disturbed(side, pair, one.at, side.start)[1] / 2.0
        for side in sides
        for pair, one in enumerate(inputs)
    )
    spread += sum(_disturbed(side, 0, side.start, until)[1] / 2.0 for side in sides)
    goodness = (1.0 + sum(correlators)) / 4.0
    # Of 2^reads bits at side 0 all are alike; those of side 1 then follow from the parities.
    alike = min(1.0, prob * (1 << len(reads)))
    room = alike - spread
    error = 1.0 if room <= 0.0 else min(1.0, spread * max(goodness, 1.0 - goodness) / room)
    return Prediction(correlators, error, prob)


def _timeline(ops: Sequence[Operation], side: Side) -> list[int]:
    """Instant at which each operation acts at one end: end of a gate, start of a read-out."""
    acts: list[int] = []
    now = side.start
    for op in ops:
        ends = program_ends((op,), side.platform, now)
        acts.append(now if op.name == "READ" else ends)
        now = ends
    return acts


def _likelihood(sides: tuple[Side, Side], read: int, parity: int) -> tuple[float, float]:
    """(alpha, beta) of the reported bits of one read pair: L(s) = alpha + beta (-1)^s."""
    chances = []
    for side in sides:
        readout, bit = side.platform.readout, side.bits[read]
        zero, one = readout.error_0_prob, 1.0 - readout.error_1_prob
        chances.append((zero, one) if bit else (1.0 - zero, 1.0 - one))
    first, second = chances
    same = (first[0] * second[parity] + first[1] * second[1 - parity]) / 2
    other = (first[0] * second[1 - parity] + first[1] * second[parity]) / 2
    return (same + other) / 2, (same - other) / 2


def _pulled_back(
    ops: Sequence[Operation],
    inputs: Sequence[Input],
    sides: tuple[Side, Side],
    timelines: tuple[list[int], ...],
    signs: list[list[int]],
    entered: set[int],
    until: Instant,
) -> float:
    """Mean value of one sign of the label bits at ``until`` times the parities of ``entered`` reads."""
    value = 1.0
    if signs[0][1]:
        value = math.prod(_disturbed(side, 0, side.start, until)[0] for side in sides)
    later: list[int] = [until, until]
    for index in range(len(ops) - 1, -1, -1):
        op = ops[index]
        for end, side in enumerate(sides):
            at = timelines[end][index]
            value *= _dephasing(side, signs, later[end] - at)
            later[end] = at
        if op.name == "READ":
            if index in entered:
                signs[op.pairs[0]] = [1, 0]
            continue
        if any(signs[pair] != [0, 0] for pair in op.pairs):
            paulis = [(signs[pair][1], signs[pair][0]) for pair in op.pairs]
            for side in sides:
                value *= _kept(side.platform, op.name, paulis)
        _pull(op, signs)
    for pair, one in enumerate(inputs):
        p, q = signs[pair]
        if p or q:
            a, b, c = one.correlators
            value *= (a, b)[p] if q else c
        if q:
            for end, side in enumerate(sides):
                t2_s = _coherence(side, pair)[1]
                value *= math.exp(-seconds(later[end] - one.at) / t2_s)
                value *= _disturbed(side, pair, one.at, side.start)[0]
    return value


def _pull(op: Operation, signs: list[list[int]]) -> None:
    """Replace the sign after a gate by the one before it."""
    one = signs[op.pairs[0]]
    match op.name:
        case "CNOT":
            target = signs[op.pairs[1]]
            one[0] ^= target[0]
            target[1] ^= one[1]
        case "RX":
            one[1] ^= one[0]
        case "RZ":
            one[0] ^= one[1]
        case "H":
            one.reverse()


def _dephasing(side: Side, signs: list[list[int]], span_ps: int) -> float:
    """Factor of what the halves of one end suffer during ``span_ps``."""
    if not span_ps:
        return 1.0
    rate = sum(1.0 / _coherence(side, pair)[1] for pair, (_, q) in enumerate(signs) if q)
    return math.exp(-seconds(span_ps) * rate) if rate else 1.0


def _coherence(side: Side, pair: int) -> tuple[float, float]:
    platform = side.platform
    found = platform.memory if side.roles[pair] == "memory" else platform.communication
    return found.t1_s, found.t2_s


def _relaxed(side: Side, pair: int, since: Instant, until: Instant) -> float:
    """Chance that a qubit has fallen to |0> by T1, an upper bound of what that does to its pair."""
    t1_s = _coherence(side, pair)[0]
    return -math.expm1(-max(0.0, seconds(until - since)) / t1_s)


def _disturbed(side: Side, pair: int, since: Instant, until: Instant) -> tuple[float, float]:
    """(middle, half width) of the factor by which attempts may have dephased one half."""
    if side.roles[pair] != "memory":
        return 1.0, 0.0
    return range_after(side.attempts, seconds(until - since))


def _kept(platform: Platform, gate: str, paulis: Sequence[Pauli]) -> float:
    """What the noise of a gate of one end leaves of a Pauli observable, not all identity, after it."""
    if len(paulis) == 1:
        return pulse_factor(platform, gate)
    return compiled(platform, gate, gate_of(platform)).factor(paulis)


def gate_of(platform: Platform) -> Timed | None:
    """The entangler of a purifier, the same between all of its slots; None for ``gate_2q``."""
    return platform.couplings[0].gate if platform.couplings else None


def stored(claim: Input, sides: Sequence[Side], until: Instant) -> Input:
    """The claim of a pair whose halves wait in slots 0 of both ends until ``until``."""
    span_s = seconds(until - claim.at)
    factor = math.exp(-span_s * sum(1.0 / _coherence(side, 0)[1] for side in sides))
    spread = sum(_relaxed(side, 0, claim.at, until) for side in sides)
    for side in sides:
        middle, half = _disturbed(side, 0, claim.at, until)
        factor *= middle
        spread += half / 2.0
    a, b, c = claim.correlators
    return Input((a * factor, b * factor, c), min(1.0, claim.error + spread), until)
