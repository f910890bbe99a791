"""What may be claimed of a swapped pair: correlators multiplied along the swaps, with storage and its error.

Theory
    Bell-diagonal pairs multiply their correlators (a, b, c) under swaps. Every qubit that waits for t
    scales (a, b) by exp(-t/T2) and c by 1 - gamma, gamma = 1 - exp(-t/T1). A noisy Bell measurement
    scales them once more. All of it commutes, so that messages can carry one running product.

    *Within the Bell measurement* CNOT(1 -> 2), H(1), read 1, read 2 (durations d2, d1, r, gates compiled
    to the processor's own, :mod:`qnet.physics.native`): both qubits are stored until d2. Afterwards qubit 1
    waits d1 for its reading in X: a loss of coherence is a wrong phase bit and scales (a, b), its energy does
    not matter. Qubit 2 waits d1 + r for its reading in Z: its coherence does not matter, a loss of energy is
    a wrong parity bit and scales (b, c) by 1 - gamma.

    *Read-out* with unequal errors: what counts is the chance that the reported bit is wrong, which depends
    on the bit. Outcomes of Bell-diagonal pairs are uniform before.

    *Amplitude damping is not unital:* it pulls a qubit to |0> by gamma, which the product leaves out.
    Relative to the product, such a pull has trace norm gamma, before and after any number of swaps, so
    that the fidelity is off by at most (prod (1 + gamma) - 1) / 2. That goes into the stated error.

    *Entangling attempts* of a node may dephase its memories; how many it made is not known, but how many it
    made at most (:mod:`qnet.physics.attempts`). The middle of what is possible is claimed. The truth is off
    by a map of trace norm half the range, which counts in the stated error as gamma does.
Assumptions and validity
    Links claim Bell-diagonal pairs. Errors of the links' claims add: exact to first order where a
    link's correlators are all off in the same sense. Exact for infinite T1 and exact link claims.
Not modelled
    Noise of other operations of the node on qubits that wait, attempts apart.
Units
    Instants in picoseconds, rates in 1/s.
Sources
    [1] Briegel, Dür, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998): swaps of noisy pairs.
    [2] Nielsen and Chuang (2000), section 8.3: amplitude and phase damping.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, NamedTuple

import msgspec

from qnet.hardware import Coherence, Platform, Readout
from qnet.ids import SlotId
from qnet.physics.attempts import NO_ATTEMPTS, AttemptNoise, range_after, worst
from qnet.physics.bell import Correlators, fidelity_from_correlators
from qnet.physics.gates import depolarising_from_fidelity
from qnet.physics.native import bell_factors, compiled, pulse_time
from qnet.physics.swapping import perfect_swap, read_out
from qnet.units import Duration, Instant, duration_from_s, seconds

DecayRates = Annotated[tuple[float, ...], msgspec.Meta(min_length=2, max_length=4)]
"""1/T1 and 1/T2 in 1/s; then, only where attempts dephase the qubit, the two of ``AttemptNoise``."""


class Noise(NamedTuple):
    """A running product: factors of (a, b, c), and prod (1 + gamma)."""

    factors: Correlators = (1.0, 1.0, 1.0)
    stray: float = 1.0

    def then(self, other: Noise) -> Noise:
        """Both."""
        return Noise(perfect_swap(self.factors, other.factors), self.stray * other.stray)


def wrong_readout(readout: Readout, bit: int) -> float:
    """Chance that the reported ``bit`` of a qubit is wrong, both values being as likely before."""
    false, missed = readout.error_0_prob, readout.error_1_prob  # P(1 | 0), P(0 | 1)
    return missed / (1.0 - false + missed) if bit == 0 else false / (1.0 + false - missed)


def decay_rates(coherence: Coherence, attempts: AttemptNoise = NO_ATTEMPTS) -> DecayRates:
    """Decay of one kind of qubit."""
    rates = (1.0 / coherence.t1_s, 1.0 / coherence.t2_s)
    return rates if attempts == NO_ATTEMPTS else (*rates, *attempts)


def storage(rates: DecayRates, since: Instant, until: Instant) -> Noise:
    """A qubit waited from ``since`` until ``until``; nothing if that is the past."""
    time_s = seconds(until - since)
    if time_s <= 0.0:
        return Noise()
    kept = math.exp(-time_s * rates[0])
    coherence = math.exp(-time_s * rates[1])
    stray = 2.0 - kept
    if len(rates) > 2:
        middle, half = range_after(AttemptNoise(*rates[2:]), time_s)
        coherence *= middle
        stray *= 1.0 + half
    return Noise((coherence, coherence, kept), stray)


class Corrector(NamedTuple):
    """Pauli gates of a processor: the ``mixing`` of a pulse, and whether Z is a change of frame."""

    mixing: float
    virtual_z: bool

    @classmethod
    def of(cls, platform: Platform) -> Corrector:
        """Those of ``platform``."""
        mixing = depolarising_from_fidelity(platform.gate_1q.fidelity, 1)
        return cls(mixing, platform.virtual_z)

    def noise(self, gate: str) -> Noise:
        """Of ``gate``: I, X, Y or Z."""
        if gate == "I" or (gate == "Z" and self.virtual_z):
            return Noise()
        left = 1.0 - self.mixing
        return Noise((left, left, left))


class Hardware:
    """The figures of one processor that claims need.

    Args:
        platform: the processor.
        cycles: attempt intervals of its links, all of them.
    """

    def __init__(self, platform: Platform, cycles: Iterable[Duration] = ()) -> None:
        self._platform = platform
        self._attempts = worst(platform.attempt_dephasing_prob, cycles)
        self._wrong = [wrong_readout(platform.readout, bit) for bit in (0, 1)]
        self._single = pulse_time(platform, "H")
        self._reading = duration_from_s(platform.readout.duration_s)
        self.corrector = Corrector.of(platform)

    @property
    def reading_time(self) -> Duration:
        """Duration of a read-out, which reads at its start."""
        return self._reading

    def rates(self, slot: SlotId) -> DecayRates:
        """Decay of the qubit in ``slot``."""
        stored = self._platform.role_of(slot) == "memory"
        return decay_rates(
            self._platform.coherence_of(slot), self._attempts if stored else NO_ATTEMPTS
        )

    def swap(
        self,
        first: tuple[SlotId, Instant],
        second: tuple[SlotId, Instant],
        started: Instant,
        outcomes: tuple[int, int],
    ) -> Noise:
        """A Bell measurement of two stored qubits (slot, instant at which its figures hold) that read so."""
        gate = self._platform.gate_between(first[0], second[0])
        joined = Instant(started + compiled(self._platform, "CNOT", gate).duration)
        one, two = self.rates(first[0]), self.rates(second[0])
        wrong = [(self._wrong[outcome],) * 2 for outcome in outcomes]
        noise = Noise(read_out(bell_factors(self._platform, gate), wrong[0], wrong[1]))
        noise = noise.then(storage(one, first[1], joined)).then(storage(two, second[1], joined))
        phase = math.exp(-seconds(self._single) * one[1])
        parity = math.exp(-seconds(self._single + self._reading) * two[0])
        return noise.then(Noise((phase, phase * parity, parity), 2.0 - parity))


class Claim(NamedTuple):
    """What an end says of a pair."""

    correlators: Correlators
    goodness: float
    error: float


def claim(noise: Noise, error: float) -> Claim:
    """The claim of a running product and the sum of the stated errors."""
    bound = error + (noise.stray - 1.0) / 2.0
    return Claim(noise.factors, fidelity_from_correlators(noise.factors), bound)
