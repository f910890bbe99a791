"""Cascade: two bit strings that differ in few places are made equal by comparing parities in public.

Theory
    One end, the *reference*, keeps its string; the other, the *corrector*, changes its own. In pass i
    both shuffle the positions by a public seed and cut them into blocks of k_i = 2^(i-1) k_1 bits,
    k_1 = 0.73/e for an expected share e of wrong bits [1]. The corrector asks for the parity of every
    block. A block with the wrong parity holds an odd number of errors: halving it, each time asking for
    the parity of the left half, finds one. Setting it right changes the parity of the blocks of all
    earlier passes that hold it, and those that become odd are halved in turn: hence the name. Four
    passes leave a string of some thousand bits wrong with a chance of about a per cent [2]; what is left is
    found by the tag that the ends compare afterwards (:mod:`qnet_protocols.apps.hashing`), not here.

    Blocks of one pass are disjoint, so all odd blocks of a pass are halved at the same time: one round
    trip per halving, not per error. The pass with the smallest odd blocks goes first.
Leak
    Every parity that the reference says is counted, one bit each: also those that a listener could have
    worked out. A right half is never asked for, nor a parity that is known already.
Early, late, impossible
    The machines of both ends are asked and answered strictly in turn. Answers that are not as many as the
    questions, or a block outside the string, are impossible: ``ValueError``.
Assumptions and validity
    The questions of the corrector show where errors were, not what the bits are; that they tell a listener
    nothing more about the reference's string is the usual assumption [2]. An expected share of 0 is
    taken as one error in the string.
Not modelled
    Variants with optimised block sizes; forward correction by low-density parity checks.
Units
    Positions and lengths in bits.
Sources
    [1] Brassard, Salvail, "Secret-key reconciliation by public discussion", EUROCRYPT '93, LNCS 765, 410
        (1994), doi 10.1007/3-540-48285-7_35, section 7.
    [2] Martinez-Mateo, Pacher, Peev, Ciurana, Martin, "Demystifying the information reconciliation protocol
        Cascade", Quantum Inf. Comput. 15, 453 (2015), arXiv 1407.3257.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import shake_256
from typing import Final, NamedTuple

PASSES: Final = 4
FIRST_BLOCK: Final = 0.73
"""k_1 times the share of wrong bits; [1]."""


class Block(NamedTuple):
    """Positions ``start`` .. ``end`` - 1 in the order of pass ``stage`` (from 0)."""

    stage: int
    start: int
    end: int


def order(seed: bytes, stage: int, size: int) -> list[int]:
    """The positions 0 .. size - 1 in the order of one pass: the same at both ends for the same seed."""
    drawn = shake_256(seed + stage.to_bytes(2, "big")).digest(8 * size)
    keys = [drawn[8 * i : 8 * i + 8] for i in range(size)]
    return sorted(range(size), key=keys.__getitem__)


def block_bits(size: int, error_share: float, stage: int) -> int:
    """Block size of a pass: 0.73/e doubled with every pass, at most half the string."""
    first = math.ceil(FIRST_BLOCK / max(error_share, 1.0 / size))
    return max(1, min(first << stage, -(-size // 2)))


class Reference:
    """The end that keeps its string.

    Attributes:
        leaked: parities said so far.
    """

    def __init__(self, bits: Sequence[int], seed: bytes) -> None:
        self._bits = bits
        self._seed = seed
        self._sums: dict[int, list[int]] = {}
        self.leaked = 0

    def answer(self, blocks: Sequence[Block]) -> tuple[int, ...]:
        """The parities of ``blocks``.

        Raises:
            ValueError: a block lies outside the string.
        """
        parities = []
        for stage, start, end in blocks:
            if not (0 <= stage < PASSES and 0 <= start < end <= len(self._bits)):
                raise ValueError(
                    f"a block must obey 0 <= stage < {PASSES} and 0 <= start < end <= {len(self._bits)}, "
                    f"got ({stage}, {start}, {end})"
                )
            sums = self._sums.get(stage) or self._prepare(stage)
            parities.append(sums[end] ^ sums[start])
        self.leaked += len(parities)
        return tuple(parities)

    def _prepare(self, stage: int) -> list[int]:
        """Parity of the first n positions of a pass, for every n."""
        sums = [0]
        for position in order(self._seed, stage, len(self._bits)):
            sums.append(sums[-1] ^ self._bits[position])
        self._sums[stage] = sums
        return sums


class Corrector:
    """The end that sets its string right.

    Ask :meth:`wanted` for blocks, give the answers to :meth:`learn`, until nothing is wanted.

    Attributes:
        bits: its string as it is now.
        corrected: bits that were changed.
    """

    def __init__(self, bits: Sequence[int], seed: bytes, error_share: float) -> None:
        self.bits = list(bits)
        self.corrected = 0
        self._seed = seed
        self._share = error_share
        self._orders: list[list[int]] = []
        self._places: list[list[int]] = []
        self._tops: list[list[Block]] = []
        self._odd: list[set[int]] = []
        self._parities: dict[Block, int] = {}
        self._asked: tuple[Block, ...] = ()
        if self.bits:
            self._next_pass()

    def wanted(self) -> tuple[Block, ...]:
        """Blocks whose parity the reference shall say now; empty when all is done."""
        return self._asked

    def learn(self, parities: Sequence[int]) -> None:
        """The parities of the blocks that were wanted, in their order.

        Raises:
            ValueError: they are not as many.
        """
        if len(parities) != len(self._asked):
            raise ValueError(
                f"parities must be as many as the {len(self._asked)} blocks asked for, got {len(parities)}"
            )
        for block, parity in zip(self._asked, parities, strict=True):
            self._parities[block] = parity
            top = self._tops[block.stage][self._top(block.stage, block.start)]
            if block != top:  # the right half follows from the whole and the left
                self._infer(block, top)
            elif self._is_odd(block):
                self._odd[block.stage].add(self._top(block.stage, block.start))
        self._go_on()

    def _infer(self, left: Block, top: Block) -> None:
        whole = top
        while whole.start != left.start or _middle(whole) != left.end:
            middle = _middle(whole)
            whole = (
                whole._replace(end=middle) if left.start < middle else whole._replace(start=middle)
            )
        right = Block(left.stage, left.end, whole.end)
        self._parities[right] = self._parities[whole] ^ self._parities[left]

    def _go_on(self) -> None:
        """Halve until something must be asked; at the end of a pass begin the next."""
        while True:
            stage = next((s for s, odd in enumerate(self._odd) if odd), None)
            if stage is None:
                break
            asked = []
            for number in sorted(self._odd[stage]):
                block = self._descend(self._tops[stage][number])
                if block is None:
                    break  # a bit was changed: other blocks are odd now, perhaps smaller ones
                asked.append(block)
            else:
                self._asked = tuple(asked)
                return
        if len(self._orders) < PASSES:
            self._next_pass()
        else:
            self._asked = ()

    def _descend(self, block: Block) -> Block | None:
        """The half to ask for within an odd block; None if the wrong bit was found and changed."""
        while block.end - block.start > 1:
            left = block._replace(end=_middle(block))
            if left not in self._parities:
                return left
            block = left if self._is_odd(left) else block._replace(start=left.end)
        self._change(self._orders[block.stage][block.start])
        return None

    def _change(self, position: int) -> None:
        self.bits[position] ^= 1
        self.corrected += 1
        for stage, places in enumerate(self._places):
            self._odd[stage] ^= {self._top(stage, places[position])}

    def _next_pass(self) -> None:
        stage, size = len(self._orders), len(self.bits)
        shuffled = order(self._seed, stage, size)
        places = [0] * size
        for place, position in enumerate(shuffled):
            places[position] = place
        step = block_bits(size, self._share, stage)
        self._orders.append(shuffled)
        self._places.append(places)
        self._odd.append(set())
        self._tops.append([Block(stage, s, min(s + step, size)) for s in range(0, size, step)])
        self._asked = tuple(self._tops[-1])

    def _top(self, stage: int, place: int) -> int:
        """Number of the block of a pass that holds a place."""
        return place // (self._tops[stage][0].end)

    def _is_odd(self, block: Block) -> bool:
        shuffled = self._orders[block.stage]
        mine = 0
        for place in range(block.start, block.end):
            mine ^= self.bits[shuffled[place]]
        return mine != self._parities[block]


def _middle(block: Block) -> int:
    return (block.start + block.end + 1) // 2
