"""The station's sequence numbers as one end expects them.

Theory
    The station numbers its successes 1, 2, 3, ... and, after its n-th restart, from n 2^40 + 1 on. A
    number above the expected one means that heralds before it were lost. The first number of a new
    life of the station is its first; after a restart of this end itself nothing is expected, and the
    first number it hears of is the one from which it counts.
Sources
    [1] Dahlberg et al., arXiv 1903.09778, section 5.1.
"""

from __future__ import annotations

from typing import Final

from qnet.layers.physical import PER_INCARNATION

NAMED_LIMIT: Final = 64
"""Lost pairs that are named one by one; of more, the last ones."""


class Expectation:
    """Which number comes next.

    Args:
        known: False at an end that has lost its memory.
    """

    def __init__(self, *, known: bool) -> None:
        self.next = 1 if known else 0

    def reached(self, last: int) -> None:
        """Number ``last`` was given; 0 says nothing."""
        if last:
            self.next = max(self.next, last + 1)

    def missed(self, last: int) -> range:
        """Numbers up to ``last`` that this end has not heard of; they count as heard from now on."""
        first = self.next or last + 1
        life = last // PER_INCARNATION
        if life > max(0, self.next - 1) // PER_INCARNATION and self.next:
            first = life * PER_INCARNATION + 1
        self.next = max(self.next, last + 1)
        return range(max(first, last + 1 - NAMED_LIMIT), last + 1)
