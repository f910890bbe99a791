"""Measured rounds: each end reads its half of every pair in a basis of its own choice.

Theory
    By *keep* requests each end gets its half and measures it as it comes; by *measure* requests the layer
    below draws the bases and measures. Either way an end knows pair, setting and bit, and the two ends put
    their rounds together by the id of the pair. The label of a pair stands in the asker's book only.
Not modelled
    *Measure* requests tell a goodness and no correlators: those of the Werner state of that goodness stand in
    for them.
Units
    Times in simulated seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from qnet.ids import PairId
from qnet.layers.link import BasisChoice
from qnet.physics.bell import Correlators, werner_correlator
from qnet.runtime.session import LONGEST_S, PairStream, Session

RoundKind = Literal["K", "M"]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Patience = Annotated[float, msgspec.Meta(gt=0.0, le=LONGEST_S)]
Bit = Annotated[int, msgspec.Meta(ge=0, le=1)]


class Reading(msgspec.Struct, frozen=True):
    """One round at one end.

    Attributes:
        pair: entanglement id.
        setting: index of the basis.
        bit: as it was read.
        label: Bell label of the pair.
        correlators: claimed, in the frame of the label.
    """

    pair: PairId
    setting: int
    bit: int
    label: tuple[int, int]
    correlators: Correlators


class Settings(msgspec.Struct, frozen=True):
    """Bases of one end and how often each is to be drawn."""

    bases: tuple[str, ...]
    weights: tuple[float, ...]

    def choice(self) -> BasisChoice:
        """For a *measure* request."""
        return BasisChoice(self.bases, self.weights)

    def draw(self, uniform: float) -> int:
        """The setting for a number in [0, 1)."""
        reached = uniform * sum(self.weights)
        for setting, weight in enumerate(self.weights):
            reached -= weight
            if reached < 0.0:
                return setting
        return max(k for k, weight in enumerate(self.weights) if weight > 0.0)


async def read_all(
    session: Session, stream: PairStream, mine: Settings, kind: RoundKind, into: list[Reading]
) -> None:
    """Read every pair of ``stream``; what has been read is in ``into`` even if the request fails."""
    if kind == "M":
        async for told in stream.measured():
            w = werner_correlator(told.goodness)
            into.append(
                Reading(
                    told.pair, mine.bases.index(told.basis), told.outcome, told.label, (w, w, w)
                )
            )
        return
    luck = session.random("settings")
    async for pair in stream:
        setting = mine.draw(luck.uniform())
        bit = await pair.measure(mine.bases[setting])
        into.append(Reading(pair.id, setting, bit, pair.label, pair.correlators))


def mean_correlators(readings: Sequence[Reading]) -> Correlators | None:
    """Mean claimed correlators of the rounds; None without any."""
    if not readings:
        return None
    a, b, c = zip(*(one.correlators for one in readings), strict=True)
    count = len(readings)
    return (math.fsum(a) / count, math.fsum(b) / count, math.fsum(c) / count)


class Estimated(msgspec.Struct, frozen=True):
    """A share of wrong bits, or a mean, with its binomial standard error and the number of trials."""

    value: float
    stderr: float
    trials: int


def share_wrong(wrong: int, trials: int) -> Estimated | None:
    """The share of ``wrong`` among ``trials``; None without trials."""
    if not trials:
        return None
    share = wrong / trials
    return Estimated(share, math.sqrt(share * (1.0 - share) / trials), trials)


def mean_sign(total: int, trials: int) -> Estimated | None:
    """The mean of ``trials`` signs +-1 with sum ``total``; None without trials."""
    if not trials:
        return None
    mean = total / trials
    return Estimated(mean, math.sqrt(max(0.0, 1.0 - mean * mean) / trials), trials)
