"""The station's sequence numbers as one end expects them.

Theory
    The station numbers its successes 1, 2, 3, ... and, after its n-th restart, from n 2^40 + 1 on. A
    number below the expected one is not a success. One above it means that heralds before it were
    lost: to both ends, or their pairs are void (:mod:`.closing`). After a restart of this end nothing
    is expected; the first number that it hears of is the one from which it counts.
Sources
    [1] Dahlberg et al., arXiv 1903.09778, section 5.1.
"""

from __future__ import annotations


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
