"""What one end holds for a request: pairs with their ancestors, and which of them are joined next.

Theory
    A pair of level 0 is one of the machine below, a *raw* pair; a step that succeeds makes a pair of the next
    level. *Nested* (recurrence): a step joins pairs of one level, the highest level of which there are enough
    first. *Pumping*: a step joins the pair that is being built with fresh raw ones. The origin chooses and
    names the pairs by id, so that the order in which pairs arrive at the two ends does not matter.

    A pair made by a step is named after its parents: ``alice-bob#3*4``, and one round later
    ``alice-bob#3*4*(5*6)``. A raw pair takes part in one chain of steps only, so no name is used twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, NamedTuple

import msgspec

from qnet.ids import NodeId, PairId, SlotId
from qnet.layers.link import Ok
from qnet.machine import Record
from qnet.physics.bell import Label
from qnet.units import Instant
from qnet_protocols.purification.circuit import Circuit
from qnet_protocols.purification.prediction import Input


class PurificationParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of every purification protocol.

    Attributes:
        rounds: successful steps behind every pair that is handed up; 0 hands raw pairs up as they are.
        pumping: join the pair with fresh raw pairs, instead of pairs of equal level with each other.
        until_fidelity: hand a pair up as soon as its claim reaches the minimum fidelity of the request;
            ``rounds`` is the most that is tried.
        batch: most raw pairs asked for at a time, per request.
        patience_s: how long a pair may wait for its partners before it is dropped at both ends; None: as
            long as the shorter T2 of the two processors (that of memories as attempts dephase them), at most
            64 mean times of all raw pairs behind one that is handed up, and a darkness of switched links.
        store: have raw pairs moved to memory slots; None: if there are too few communication slots.
    """

    rounds: Annotated[int, msgspec.Meta(ge=0, le=8)] = 1
    pumping: bool = False
    until_fidelity: bool = False
    batch: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64
    patience_s: Annotated[float, msgspec.Meta(gt=0.0)] | None = None
    store: bool | None = None


class Held(Record, frozen=True):
    """One half in hand.

    Attributes:
        pair: id, the same at both ends.
        slot: where this half is.
        level: successful steps behind it.
        label: Bell label.
        correlators, error, at: what is claimed for which instant.
        created_at: earliest click behind it.
        raws: raw pairs that it was made of.
        since: when this end got it.
        far_role: kind of slot of the other end's half; "" where it is not known, for raw pairs.
    """

    pair: PairId
    slot: SlotId
    level: int
    label: Label
    correlators: tuple[float, float, float]
    error: float
    at: Instant
    created_at: Instant
    raws: tuple[PairId, ...]
    since: Instant
    far_role: str = ""

    @property
    def claim(self) -> Input:
        """What is claimed for it."""
        return Input(self.correlators, self.error, self.at)

    def stems_from(self, pairs: Iterable[PairId]) -> bool:
        """Whether it is one of ``pairs`` or was made of one."""
        return any(pair == self.pair or pair in self.raws for pair in pairs)


def raw(ok: Ok, now: Instant) -> Held:
    """A pair of the machine below."""
    return Held(
        pair=ok.pair,
        slot=ok.slot,
        level=0,
        label=ok.label,
        correlators=ok.correlators,
        error=ok.goodness_error,
        at=ok.goodness_at,
        created_at=ok.created_at,
        raws=(ok.pair,),
        since=now,
    )


def joined_id(pairs: Sequence[PairId]) -> PairId:
    """Id of what a step makes of ``pairs``, the kept one first."""
    stem = pairs[0].partition("#")[0] + "#"
    parts: list[str] = [pairs[0]]
    for pair in pairs[1:]:
        # Of one link the numbers are enough; an end-to-end pair is named by both of its ends.
        short = pair.removeprefix(stem) if "~" not in pair else pair
        parts.append(f"({short})" if "*" in short else short)
    return PairId("*".join(parts))


class Room(NamedTuple):
    """Slots of one node in which pairs of one machine may wait."""

    communication: int
    memory: int


def must_store(needed: int, rooms: Iterable[Room], wish: bool | None) -> bool:
    """Whether raw pairs go to memory: as the user wishes, else if an end has too few communication slots."""
    return any(room.communication < needed for room in rooms) if wish is None else wish


def too_small(needed: int, rooms: Mapping[NodeId, Room], below: str, *, stored: bool) -> str:
    """Why one of the ends cannot hold ``needed`` pairs of ``below`` at a time, "" if both can."""
    kind = "memory slots" if stored else "communication slots"
    instead = " (or communication slots of their own, at both ends)" if stored else ""
    for node, room in rooms.items():
        slots = room.memory if stored else room.communication
        if slots < needed:
            return (
                f"{node} must have >= {needed} {kind}{instead} for pairs of {below} that wait for one "
                f"another, it has {slots}; pumping or fewer rounds need fewer"
            )
    return ""


class Plan:
    """How many raw pairs are needed, and what is joined next.

    Args:
        circuit: of the protocol.
        parameters: of the machine.
    """

    def __init__(self, circuit: Circuit, parameters: PurificationParameters) -> None:
        self._pairs = circuit.pairs
        self._rounds = parameters.rounds
        self._pumping = parameters.pumping

    @property
    def slots(self) -> int:
        """Pairs that an end must be able to hold at a time."""
        rounds = min(self._rounds, 1) if self._pumping else self._rounds
        return rounds * (self._pairs - 1) + 1

    def leaves(self, level: int) -> int:
        """Raw pairs behind a pair of ``level`` if every step succeeds."""
        return 1 + level * (self._pairs - 1) if self._pumping else int(self._pairs**level)

    def missing(self, wanted: int, levels: Iterable[int]) -> int:
        """Raw pairs still needed at least for ``wanted`` more pairs, with pairs of ``levels`` in hand."""
        have = sum(self.leaves(level) for level in levels)
        return max(0, wanted * self.leaves(self._rounds) - have)

    def choose(self, held: Iterable[Held]) -> tuple[Held, ...]:
        """The pairs to join now, the kept one first; () if there are too few."""
        by_level: dict[int, list[Held]] = {}
        for one in held:
            by_level.setdefault(one.level, []).append(one)
        if self._pumping:
            built = [
                one for level in sorted(by_level, reverse=True) if level for one in by_level[level]
            ]
            line = [*built[:1], *by_level.get(0, [])]
            return tuple(line[: self._pairs]) if len(line) >= self._pairs else ()
        for level in sorted(by_level, reverse=True):
            if len(by_level[level]) >= self._pairs:
                return tuple(by_level[level][: self._pairs])
        return ()
