"""What both ends of a circuit have in common: claims, programs of measured kinds, what was announced lately.

Units
    Instants in picoseconds.
"""

from __future__ import annotations

from typing import Final

from qnet.ids import PairId
from qnet.layers.link import BasisChoice
from qnet.program import Draw, Gate, Measure, Program
from qnet.units import Duration, Instant
from qnet_protocols.network.claims import Claim, Hardware, Noise, claim, storage
from qnet_protocols.network.desk import Half
from qnet_protocols.network.messages import Track

RECENT_LIMIT: Final = 256
"""Announced pairs of a circuit that are remembered for a break; more cannot be under way."""

TEST_BASES: Final = ("X", "Y", "Z")


def claimed(
    hardware: Hardware, half: Half, kept_until: Instant, track: Track, now: Instant
) -> Claim:
    """What this end may say at ``now`` of the pair of ``half`` (held until ``kept_until``) and ``track``."""
    measured = track.measured_at
    theirs = storage(
        track.decay_hz, track.origin_at, now if measured is None else min(now, measured)
    )
    ours = storage(hardware.rates(half.slot), half.goodness_at, kept_until)
    return claim(Noise(track.correlators, track.stray).then(theirs).then(ours), track.error)


def pair_name(head: PairId, tail: PairId) -> PairId:
    """Name of the end-to-end pair."""
    return PairId(f"{head}~{tail}")


def measurement(half: Half, choice: BasisChoice) -> Program:
    """Draw a basis, rotate, measure; outcomes (which basis, bit)."""
    turns = zip(("RX", "RY", "RX"), choice.rotation_rad, strict=True)
    gates = [Gate(name, (half.slot,), angle_rad=angle) for name, angle in turns if angle]
    read = Measure(half.slot, bases=choice.bases, choice=0)
    return Program((Draw(choice.weights), *gates, read))


def test_measurement(half: Half) -> Program:
    """Measure in a random Pauli basis; outcomes (which, bit)."""
    return measurement(half, BasisChoice(TEST_BASES, (1.0, 1.0, 1.0)))


def wrong(basis: str, label: tuple[int, int], outcomes: tuple[int, int]) -> bool:
    """Whether two outcomes in one Pauli basis differ from what the label says.

    In Phi+ they agree in X and Z and differ in Y; label bit x flips Z and Y, bit z flips X and Y.
    """
    x, z = label
    expected = {"X": z, "Y": 1 ^ x ^ z, "Z": x}[basis]
    return (outcomes[0] ^ outcomes[1]) != expected


def read_at(ended: Instant, reading: Duration) -> Instant:
    """Instant at which a program that ends with a read-out read its qubit."""
    return Instant(ended - reading)


class Recent:
    """The pairs that an end announced lately, by the pair of its own link."""

    def __init__(self) -> None:
        self._pairs: dict[PairId, tuple[PairId, str]] = {}

    def add(self, origin: PairId, pair: PairId, request: str) -> None:
        """``pair``, which the head's link calls ``origin``, was announced for ``request``."""
        self._pairs[origin] = (pair, request)
        if len(self._pairs) > RECENT_LIMIT:
            del self._pairs[next(iter(self._pairs))]

    def take(self, origin: PairId) -> tuple[PairId, str] | None:
        """Forget it: (pair, request)."""
        return self._pairs.pop(origin, None)

    @property
    def names(self) -> tuple[PairId, ...]:
        """Their ids, oldest first."""
        return tuple(pair for pair, _ in self._pairs.values())

    def missing(self, announced: tuple[PairId, ...]) -> list[tuple[PairId, str]]:
        """Pairs (and their requests) that the other end has not announced; forgotten here, too."""
        known = set(announced)
        lost = {origin: found for origin, found in self._pairs.items() if found[0] not in known}
        for origin in lost:
            del self._pairs[origin]
        return list(lost.values())
