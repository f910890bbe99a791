"""Test rounds: pairs that both ends measure to learn how good the others are.

Theory
    A share of the heralded pairs is measured by both ends in the same basis instead of being handed
    up. Which pairs, and in which basis, is a public function of the link's name and the sequence
    number of the herald (a hash used as a counter-based generator): both ends know it as soon as
    they hear of the pair, neither has to tell the other, and nobody can know it before the herald,
    for the station gives the number. Each end sends what it read. With the bases X, Y, Z equally
    likely and e the share of pairs whose parity is not that of the announced label,

        F = 1 - 1.5 e,  standard error 1.5 sqrt(e (1 - e) / n)

    [1]: one error in three is missed because it commutes with the basis. While e is 0 or 1 the
    error is computed with (errors + 1)/(n + 2) in place of e, so that few rounds are not certain.
Late, early, impossible
    A lost outcome costs its round. Repeated ones are ignored: a round is counted once. An outcome
    of a pair that is not tested, or with another basis, is impossible.
Assumptions and validity
    Rounds are lost independently of their outcome. Read-out errors count as errors of the pair.
Not modelled
    An adversary, who could compute the sequence: this is an estimate, not a security proof.
Sources
    [1] Dahlberg et al., arXiv 1903.09778, fidelity estimation unit; physics reference A7.3.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from typing import Final

from qnet.ids import LinkId

ENOUGH_ROUNDS: Final = 100
"""Rounds from which on the estimate decides about requests."""

PENDING_LIMIT: Final = 64
"""Rounds of which only one outcome is known and which are still remembered, per end."""

_BASES: Final = ("X", "Y", "Z")
_ODD_PHI_PLUS: Final = {"X": 0, "Y": 1, "Z": 0}
"""Parity of the outcomes of Phi+: <XX> = <ZZ> = 1, <YY> = -1."""


class Rounds:
    """What one end knows from test rounds of its link.

    Args:
        link: its name.
        share: of the pairs that is tested, 0 <= share < 1.
    """

    def __init__(self, link: LinkId, share: float) -> None:
        self._link = link
        self._threshold = int(share * 2**32)
        self._ours: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._theirs: OrderedDict[int, int] = OrderedDict()
        self._counted = 0
        self.rounds = 0
        self.errors = 0

    def basis(self, sequence: int) -> str | None:
        """In which basis both ends measure pair ``sequence``; None: it is no test."""
        if self._threshold == 0:
            return None
        text = f"{self._link}#{sequence}".encode()
        drawn = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        if drawn >> 32 >= self._threshold:
            return None
        return _BASES[drawn % 3]

    def measured(self, sequence: int, label: tuple[int, int], outcome: int) -> None:
        """This end read ``outcome`` of pair ``sequence``, heralded with ``label``."""
        theirs = self._theirs.pop(sequence, None)
        if theirs is not None:
            self._count(sequence, label, outcome ^ theirs)
            return
        self._ours[sequence] = (2 * label[0] + label[1], outcome)
        if len(self._ours) > PENDING_LIMIT:
            self._ours.popitem(last=False)

    def heard(self, sequence: int, outcome: int) -> None:
        """The peer read ``outcome`` of pair ``sequence``."""
        ours = self._ours.pop(sequence, None)
        if ours is not None:
            self._count(sequence, (ours[0] >> 1, ours[0] & 1), ours[1] ^ outcome)
        elif sequence > self._counted:
            self._theirs[sequence] = outcome
            if len(self._theirs) > PENDING_LIMIT:
                self._theirs.popitem(last=False)

    def _count(self, sequence: int, label: tuple[int, int], parity: int) -> None:
        basis = self.basis(sequence)
        assert basis is not None
        x, z = label
        odd = _ODD_PHI_PLUS[basis] ^ {"X": z, "Y": x ^ z, "Z": x}[basis]
        self.rounds += 1
        self.errors += parity != odd
        self._counted = max(self._counted, sequence)

    def estimate(self) -> tuple[float, float]:
        """Fidelity and its standard error; there must be a round."""
        share = self.errors / self.rounds
        spread = share if 0 < self.errors < self.rounds else (self.errors + 1) / (self.rounds + 2)
        return 1.0 - 1.5 * share, 1.5 * math.sqrt(spread * (1.0 - spread) / self.rounds)

    def verdict(self) -> tuple[float, float] | None:
        """The estimate if there are enough rounds to decide by it."""
        return self.estimate() if self.rounds >= ENOUGH_ROUNDS else None
