"""Keyed random numbers: a function of (seed, owner, purpose, sequence), not a stream.

There is no shared generator whose position could depend on who asked first. Adding an observer, or letting
two messages arrive in the other order, changes nobody's luck. The bits come from BLAKE2b, which is in the
standard library, fast for short keys and the same on every machine.
"""

from __future__ import annotations

import math
from hashlib import blake2b


def keyed_bits(seed: int, owner: str, purpose: str, sequence: int) -> int:
    """64 uniformly distributed bits for this key."""
    key = f"{seed}/{owner}/{purpose}/{sequence}".encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")


def keyed_uniform(seed: int, owner: str, purpose: str, sequence: int) -> float:
    """A float in [0, 1) with 53 random bits."""
    return (keyed_bits(seed, owner, purpose, sequence) >> 11) * 2.0**-53


def geometric(uniform: float, success_prob: float) -> int:
    """Index (from 1) of the first success of independent trials, by inversion of one uniform number.

    Args:
        uniform: a number in [0, 1).
        success_prob: chance of one trial, 0 < p <= 1.
    """
    if success_prob >= 1.0:
        return 1
    return 1 + int(math.log1p(-uniform) / math.log1p(-success_prob))


class KeyedRandom:
    """Numbers of one owner and purpose, in order of asking."""

    def __init__(self, seed: int, owner: str, purpose: str) -> None:
        self._seed = seed
        self._owner = owner
        self._purpose = purpose
        self._sequence = 0

    def uniform(self) -> float:
        """The next float in [0, 1)."""
        value = keyed_uniform(self._seed, self._owner, self._purpose, self._sequence)
        self._sequence += 1
        return value

    def below(self, limit: int) -> int:
        """The next integer in [0, limit)."""
        return int(self.uniform() * limit)
