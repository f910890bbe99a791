"""The pairs of one circuit at an intermediate node: store, swap, discard, and pass TRACKs on.

Theory
    A pair waits until its circuit has one on the other side, then both are swapped. Nobody is asked:
    whoever needs the outcome comes for it with a TRACK. A pair that waits longer than the cutoff is
    discarded.

    *Each end of a link says exactly one thing about each of its pairs:* TRACK (what it has become on my
    side) or EXPIRE (nothing). What comes for a pair that waits is kept with it. What comes for a swapped
    one goes on, in the name of the pair on the other side. When both have passed, the record goes. After a
    discard EXPIRE goes out at once, on the side of the pair, and the record goes with what comes back.
Late, early, impossible
    *Early:* TRACK or EXPIRE for a pair that the link has not announced here yet: held (at most
    ``EARLY_LIMIT``). *Late:* what comes for a pair that the link layer took back: dropped, the last
    ``VOID_LIMIT`` of them are known. *Impossible:* a second message about the same pair from the same side.
Invariants
    A pair waits, is being swapped, is swapped or is discarded: a swap and a cutoff exclude each other.
    Every slot is released after its swap or with its pair.
Sources
    [1] Kozlowski, Dahlberg, Wehner, CoNEXT 2020, arXiv 2010.02575: lazy tracking, cutoff.
    [2] Physics reference A2.3, A5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

import msgspec

from qnet.errors import RemoteProtocolError
from qnet.ids import CircuitId, PairId
from qnet.physics.bell import label_xor
from qnet.physics.swapping import perfect_swap
from qnet.program import bell_measurement
from qnet.units import Duration, Instant
from qnet_protocols.network.claims import Noise
from qnet_protocols.network.desk import Desk, Half, Hop
from qnet_protocols.network.messages import Expire, Track

UP: Final = 0
"""The side of the head end."""
DOWN: Final = 1
"""The side of the tail end."""

QUIET: Final = Noise()
EARLY_LIMIT: Final = 1024
VOID_LIMIT: Final = 256

Tracking = Track | Expire
Order = Literal["oldest", "youngest"]


class Void:
    """Pairs that the link layer took back: the last ones."""

    def __init__(self) -> None:
        self._pairs: dict[PairId, None] = {}

    def __contains__(self, pair: PairId) -> bool:
        return pair in self._pairs

    def add(self, pair: PairId) -> None:
        """``pair`` is void."""
        self._pairs[pair] = None
        if len(self._pairs) > VOID_LIMIT:
            del self._pairs[next(iter(self._pairs))]


class Early:
    """Messages about pairs that the link has not announced here yet."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._held: dict[PairId, Tracking] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, message: Tracking) -> None:
        """Keep it.

        Raises:
            RemoteProtocolError: a second one for the same pair, or too many.
        """
        if message.link in self._held or len(self._held) >= EARLY_LIMIT:
            raise RemoteProtocolError(
                f"{self._desk.node}: a pair that its link has not announced must be named once, by at most "
                f"{EARLY_LIMIT} messages, got {message!r}"
            )
        self._held[message.link] = message

    def take(self, pair: PairId) -> Tracking | None:
        """What was kept for ``pair``."""
        return self._held.pop(pair, None)


class Fate(Enum):
    """What has become of a pair."""

    WAITING = "waiting"
    SWAPPING = "swapping"
    SWAPPED = "swapped"
    DISCARDED = "discarded"


@dataclass(slots=True)
class _Entry:
    """One pair. ``arrived``: what was said of it and waits; ``passed``: it went on; ``void``: taken back."""

    side: int
    half: Half
    since: Instant
    fate: Fate = Fate.WAITING
    arrived: Tracking | None = None
    passed: bool = False
    void: bool = False
    partner: _Entry | None = None
    outcome: tuple[int, int] = (0, 0)
    noise: Noise = QUIET


class Relay:
    """One circuit at an intermediate node.

    Args:
        desk: of this node.
        circuit: which.
        hops: upstream, downstream.
        cutoff: longest wait, None for ever; may change.
        room: pairs that may wait on each side; the oldest makes way for one more. None for no limit.
        order: which of several waiting pairs is swapped first.
        tick: swaps begin at multiples of it only, None at any time.
    """

    def __init__(
        self,
        desk: Desk,
        circuit: CircuitId,
        hops: tuple[Hop, Hop],
        *,
        cutoff: Duration | None,
        room: int | None = None,
        order: Order = "oldest",
        tick: Duration | None = None,
    ) -> None:
        self._desk = desk
        self._circuit = circuit
        self._hops = hops
        self.cutoff = cutoff
        self._room = room
        self._order = order
        self._tick = tick
        self._entries: dict[PairId, _Entry] = {}
        self._waiting: tuple[dict[PairId, _Entry], dict[PairId, _Entry]] = ({}, {})
        self._early = Early(desk)
        self._void = Void()
        self._closed = False

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Pairs waiting upstream and downstream, all records, messages held."""
        return (
            len(self._waiting[UP]),
            len(self._waiting[DOWN]),
            len(self._entries),
            len(self._early),
        )

    @property
    def ahead(self) -> int:
        """Swaps of which not everything has been heard."""
        return len(self._entries) // 2

    def holds(self, side: int) -> bool:
        """Whether pairs wait on that side."""
        return bool(self._waiting[side])

    def next_deadline(self) -> Instant | None:
        """The next cutoff or tick."""
        due: Instant | None = None
        if self.cutoff is not None:
            for waiting in self._waiting:
                for entry in waiting.values():
                    end = Instant(entry.since + self.cutoff)
                    due = end if due is None or end < due else due
                    break
        if self._tick is not None and self._waiting[UP] and self._waiting[DOWN]:
            newest = max(
                next(reversed(self._waiting[UP].values())).since,
                next(reversed(self._waiting[DOWN].values())).since,
            )
            tick = Instant(-(-newest // self._tick) * self._tick)
            due = tick if due is None or tick < due else due
        return due

    # ------------------------------------------------------------ events

    def on_pair(self, side: int, half: Half, now: Instant) -> None:
        """A link has announced a pair."""
        if half.pair in self._void:
            self._desk.release(half.slot)
            return
        entry = _Entry(side, half, now)
        self._entries[half.pair] = self._waiting[side][half.pair] = entry
        entry.arrived = self._early.take(half.pair)
        if isinstance(entry.arrived, Expire):
            self._discard(entry)
        elif self._tick is None or now % self._tick == 0:
            self._match(now)
        waiting = self._waiting[side]
        if self._room is not None and len(waiting) > self._room:
            self._discard(next(iter(waiting.values())))

    def on_deadline(self, now: Instant) -> None:
        """Cutoffs first, then the tick."""
        if self.cutoff is not None:
            for waiting in self._waiting:
                while waiting:
                    entry = next(iter(waiting.values()))
                    if entry.since + self.cutoff > now:
                        break
                    self._discard(entry)
        if self._tick is not None and now % self._tick == 0:
            self._match(now)

    def on_message(self, side: int, message: Tracking) -> None:
        """A neighbour speaks of a pair."""
        entry = self._entries.get(message.link)
        void = isinstance(message, Expire) and message.void
        if entry is None:
            if void:
                self._early.take(message.link)
                self._void.add(message.link)
            elif message.link not in self._void:
                self._early.hold(message)
            return
        if entry.passed or entry.arrived is not None or entry.side != side:
            if void:
                return
            raise RemoteProtocolError(
                f"{self._desk.node}: {message!r} must be the only message about that pair, from "
                f"{self._hops[entry.side].peer}, got one more from {self._hops[side].peer}"
            )
        if entry.fate is Fate.DISCARDED:
            del self._entries[message.link]
            return
        entry.arrived = message
        if entry.fate is Fate.SWAPPED:
            self._pass_on(entry)
        elif entry.fate is Fate.WAITING and isinstance(message, Expire):
            self._discard(entry)

    def on_void(self, pair: PairId) -> None:
        """The link layer says that a pair is not valid, whatever it was taken for so far."""
        entry = self._entries.get(pair)
        self._early.take(pair)
        self._void.add(pair)
        if entry is None or entry.void:
            return
        entry.void = True
        hop = self._hops[entry.side]
        if not (isinstance(entry.arrived, Expire) and entry.arrived.void):
            self._desk.send(hop.peer, Expire(self._circuit, pair, True))
        if entry.fate is Fate.WAITING:
            del self._waiting[entry.side][pair]
            self._desk.release(entry.half.slot)
            del self._entries[pair]
        elif entry.fate is Fate.DISCARDED:
            del self._entries[pair]
        elif not entry.passed:
            entry.arrived = Expire(self._circuit, pair, True)
            if entry.fate is Fate.SWAPPED:
                self._pass_on(entry)

    def flush(self) -> None:
        """Nobody wants pairs any more: discard what waits."""
        for waiting in self._waiting:
            for entry in list(waiting.values()):
                self._discard(entry)

    def close(self) -> None:
        """The circuit is gone: free what is held. Programs under way end, and nobody cares."""
        self._closed = True
        for waiting in self._waiting:
            for entry in waiting.values():
                self._desk.release(entry.half.slot)
            waiting.clear()
        for entry in self._entries.values():
            if entry.fate is Fate.SWAPPING:
                self._desk.release(entry.half.slot)
        self._entries.clear()

    # ------------------------------------------------------------ inside

    def _discard(self, entry: _Entry) -> None:
        """Give a waiting pair up, and say so on its side unless the other end knows it is void."""
        pair = entry.half.pair
        del self._waiting[entry.side][pair]
        self._desk.release(entry.half.slot)
        said = entry.arrived
        if not (isinstance(said, Expire) and said.void):
            self._desk.send(self._hops[entry.side].peer, Expire(self._circuit, pair, False))
        entry.fate = Fate.DISCARDED
        if said is not None:
            del self._entries[pair]

    def _match(self, now: Instant) -> None:
        up, down = self._waiting
        while up and down:
            self._swap(self._pick(up), self._pick(down), now)

    def _pick(self, waiting: dict[PairId, _Entry]) -> _Entry:
        pair = next(iter(waiting)) if self._order == "oldest" else next(reversed(waiting))
        return waiting.pop(pair)

    def _swap(self, one: _Entry, two: _Entry, now: Instant) -> None:
        for entry, other in ((one, two), (two, one)):
            entry.fate = Fate.SWAPPING
            entry.partner = other
        first, second = one.half, two.half

        def joined(outcomes: tuple[int, ...], _now: Instant) -> None:
            if self._closed:
                return
            phase, parity = outcomes
            noise = self._desk.hardware.swap(
                (first.slot, first.goodness_at),
                (second.slot, second.goodness_at),
                now,
                (phase, parity),
            )
            for entry in (one, two):
                entry.fate = Fate.SWAPPED
                entry.outcome = (parity, phase)
                entry.noise = noise
                self._desk.release(entry.half.slot)
            for entry in (one, two):
                if entry.arrived is not None:
                    self._pass_on(entry)

        self._desk.run(bell_measurement(first.slot, second.slot), joined)

    def _pass_on(self, entry: _Entry) -> None:
        """What was said of a swapped pair is said of the one on the other side."""
        message, other = entry.arrived, entry.partner
        assert message is not None
        assert other is not None
        entry.arrived, entry.passed = None, True
        if not other.void:
            self._desk.send(self._hops[other.side].peer, self._translated(message, entry, other))
        if other.passed:
            self._entries.pop(entry.half.pair, None)
            self._entries.pop(other.half.pair, None)

    def _translated(self, message: Tracking, entry: _Entry, other: _Entry) -> Tracking:
        half = other.half
        if isinstance(message, Expire):
            return Expire(self._circuit, half.pair, False)
        noise = entry.noise
        return msgspec.structs.replace(
            message,
            link=half.pair,
            label=label_xor(label_xor(message.label, entry.outcome), half.label),
            correlators=perfect_swap(
                perfect_swap(message.correlators, half.correlators), noise.factors
            ),
            error=message.error + half.error,
            stray=message.stray * noise.stray,
            created_at=min(message.created_at, half.created_at),
        )
