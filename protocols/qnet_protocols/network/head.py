"""The head end of a circuit: gives pairs of its link to requests, and announces what becomes of them.

Theory
    The head alone decides for which request a pair is: the oldest of the highest priority that wants one.
    Its TRACK names the request, so that both ends agree whatever is aggregated. A request gets at most as
    many pairs as it still lacks. A pair that nobody wants yet is kept while there are requests.

    K: TRACK, wait. E: hand up, TRACK. M: measure, then TRACK. *Test rounds* are drawn per pair: measured
    in a random basis, which TRACK carries; the tail end answers with its verdict.

    When the TRACK of the tail end comes, the pair is announced; if it asks for another Bell label, after
    one Pauli gate.
Late, early, impossible
    As in :mod:`.relay`. A pair whose request ended meanwhile waits, without its qubit, for what comes back.
Sources
    Kozlowski, Dahlberg, Wehner, CoNEXT 2020, arXiv 2010.02575; physics reference A2.3, A7.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from qnet.errors import RemoteProtocolError
from qnet.ids import CircuitId, PairId, RequestId
from qnet.layers.link import Early as HandedEarly
from qnet.layers.link import Expired, Ok, OkMeasured
from qnet.physics.bell import correction_gate, label_xor
from qnet.program import Draw, Gate, Program
from qnet.units import Instant
from qnet_protocols.network.claims import Noise, claim
from qnet_protocols.network.desk import Desk, Half, Hop
from qnet_protocols.network.ends import (
    TEST_BASES,
    Recent,
    claimed,
    measurement,
    pair_name,
    read_at,
    test_measurement,
)
from qnet_protocols.network.messages import Expire, Track
from qnet_protocols.network.relay import Early, Tracking, Void
from qnet_protocols.network.requests import Asked


class Stage(Enum):
    """What happens with a pair of the first link."""

    FREE = "free"
    BUSY = "busy"  # a program decides or measures
    TRACKED = "tracked"
    CORRECTING = "correcting"  # both TRACKs have passed
    DROPPED = "dropped"  # nothing but the other side's message is awaited


@dataclass(slots=True)
class _Entry:
    half: Half
    stage: Stage = Stage.FREE
    held: bool = True
    asked: Asked | None = None
    index: int = 0
    tested: bool = False
    basis: str = ""
    outcome: int = 0
    measured_at: Instant | None = None
    arrived: Tracking | None = None


class Head:
    """One circuit at its head end.

    Args:
        desk: of this node.
        circuit: which.
        finished: called when a request has all its pairs.
        hop: downstream.
    """

    def __init__(
        self,
        desk: Desk,
        circuit: CircuitId,
        finished: Callable[[Asked], None],
        hop: Hop,
    ) -> None:
        self._desk = desk
        self._circuit = circuit
        self._hop = hop
        self._finished = finished
        self._entries: dict[PairId, _Entry] = {}
        self._free: dict[PairId, _Entry] = {}
        self._requests: list[Asked] = []
        self._early = Early(desk)
        self._void = Void()
        self._closed = False
        self.recent = Recent()

    @property
    def counts(self) -> tuple[int, int, int]:
        """Pairs without a request, all records, messages held."""
        return (len(self._free), len(self._entries), len(self._early))

    def next_deadline(self) -> Instant | None:
        """None: no end waits for an instant."""
        return None

    # ------------------------------------------------------------ requests

    def begin(self, asked: Asked, now: Instant) -> None:
        """Serve a request from now on."""
        self._requests.append(asked)
        self._requests.sort(key=lambda one: (one.create.priority, one.order))
        self._assign(now)

    def end(self, asked: Asked) -> tuple[PairId, ...]:
        """Serve it no longer; the pairs that were meant for it and are not announced."""
        self._requests.remove(asked)
        void: list[PairId] = []
        for pair, entry in list(self._entries.items()):
            if entry.asked is not asked:
                continue
            void.append(pair)
            self._lose(entry)
            if entry.stage is Stage.CORRECTING:
                del self._entries[pair]
            elif entry.stage is Stage.TRACKED:
                entry.stage = Stage.DROPPED
        if not self._requests:
            for entry in list(self._free.values()):
                self._give_up(entry)
        return tuple(void)

    # ------------------------------------------------------------ events

    def on_pair(self, half: Half, now: Instant) -> None:
        """The first link has announced a pair."""
        if half.pair in self._void:
            self._desk.release(half.slot)
            return
        entry = self._entries[half.pair] = self._free[half.pair] = _Entry(half)
        entry.arrived = self._early.take(half.pair)
        if isinstance(entry.arrived, Expire) or not self._requests:
            self._give_up(entry)
            return
        self._assign(now)

    def on_message(self, message: Tracking, now: Instant) -> None:
        """What the other side says of a pair."""
        entry = self._entries.get(message.link)
        void = isinstance(message, Expire) and message.void
        if entry is None:
            if void:
                self._early.take(message.link)
                self._void.add(message.link)
            elif message.link not in self._void:
                self._early.hold(message)
            return
        if entry.arrived is not None:
            if void:
                return
            raise RemoteProtocolError(
                f"{self._desk.node}: {message!r} must be the only message from {self._hop.peer} about that pair"
            )
        entry.arrived = message
        match entry.stage:
            case Stage.FREE:
                if isinstance(message, Expire):
                    self._give_up(entry)
                    self._assign(now)
            case Stage.TRACKED:
                self._settle(entry, now)
            case Stage.DROPPED:
                del self._entries[message.link]
            case Stage.BUSY | Stage.CORRECTING:
                pass

    def on_void(self, pair: PairId, now: Instant) -> None:
        """The link layer says that a pair is not valid."""
        entry = self._entries.get(pair)
        self._early.take(pair)
        self._void.add(pair)
        if entry is None or entry.stage is Stage.CORRECTING:
            return
        void = Expire(self._circuit, pair, True)
        if entry.stage is Stage.BUSY:
            entry.arrived = void
            return
        self._desk.send(self._hop.peer, void)
        self._free.pop(pair, None)
        self._lose(entry)
        del self._entries[pair]
        self._assign(now)

    def close(self) -> None:
        """The circuit is gone: what is under way is lost."""
        self._closed = True
        for entry in list(self._entries.values()):
            self._lose(entry)
        self._entries.clear()
        self._free.clear()
        self._requests.clear()

    # ------------------------------------------------------------ inside

    def _lose(self, entry: _Entry) -> None:
        """The pair comes to nothing: its request may have another one, its qubit is freed."""
        asked, entry.asked = entry.asked, None
        if asked is not None:
            asked.unassign(entry.index)
            if asked.create.kind == "E" and not entry.tested and entry.stage is not Stage.BUSY:
                create = asked.create
                pairs = (entry.half.pair,)
                self._desk.tell(Expired(create.request, create.remote, create.purpose, pairs))
                entry.held = False  # its user has it
        if entry.held:
            entry.held = False
            self._desk.release(entry.half.slot)

    def _give_up(self, entry: _Entry) -> None:
        """Nobody wants the pair, or it has no other end: EXPIRE instead of TRACK."""
        pair, said = entry.half.pair, entry.arrived
        self._free.pop(pair, None)
        self._lose(entry)
        if not (isinstance(said, Expire) and said.void):
            self._desk.send(self._hop.peer, Expire(self._circuit, pair, False))
        if said is None:
            entry.stage = Stage.DROPPED
        else:
            del self._entries[pair]

    def _assign(self, now: Instant) -> None:
        while self._free:
            asked = next((one for one in self._requests if one.wants), None)
            if asked is None:
                return
            entry = self._free.pop(next(iter(self._free)))
            entry.asked, entry.index = asked, asked.assign()
            share = asked.create.test_share
            if share:
                entry.stage = Stage.BUSY
                coin = Program((Draw((1.0 - share, share)),))
                self._desk.run(coin, lambda drawn, at, one=entry: self._drawn(one, drawn, at))  # type: ignore[misc]
            else:
                self._proceed(entry, now)

    def _drawn(self, entry: _Entry, drawn: tuple[int, ...], now: Instant) -> None:
        """It is drawn whether the pair is a test."""
        if self._abandoned(entry):
            return
        if drawn[0] == 0:
            self._proceed(entry, now)
            return
        entry.tested = True
        self._measure(entry, test_measurement(entry.half), TEST_BASES)

    def _proceed(self, entry: _Entry, now: Instant) -> None:
        assert entry.asked is not None
        create = entry.asked.create
        if create.kind == "M":
            self._measure(entry, measurement(entry.half, create.local), create.local.bases)
            return
        if create.kind == "E":
            half = entry.half
            early = HandedEarly(
                create.request,
                half.pair,
                entry.index,
                True,
                create.remote,
                create.purpose,
                half.slot,
            )
            self._desk.tell(early, half.slot)
            entry.held = False
        self._track(entry, now)

    def _measure(self, entry: _Entry, program: Program, bases: tuple[str, ...]) -> None:
        entry.stage = Stage.BUSY

        def read(outcomes: tuple[int, ...], now: Instant) -> None:
            if self._abandoned(entry):
                return
            entry.basis, entry.outcome = bases[outcomes[0]], outcomes[1]
            entry.measured_at = read_at(now, self._desk.hardware.reading_time)
            entry.held = False
            self._desk.release(entry.half.slot)
            self._track(entry, now)

        self._desk.run(program, read)

    def _abandoned(self, entry: _Entry) -> bool:
        """After a program: whether the pair has no use any more, with what follows from that."""
        if self._closed:
            return True
        said = entry.arrived
        if isinstance(said, Expire) or entry.asked is None:
            if said is not None and entry.half.pair in self._void:
                self._desk.send(self._hop.peer, Expire(self._circuit, entry.half.pair, True))
            self._give_up(entry)
            return True
        return False

    def _track(self, entry: _Entry, now: Instant) -> None:
        half, asked = entry.half, entry.asked
        assert asked is not None
        entry.stage = Stage.TRACKED
        self._desk.send(
            self._hop.peer,
            Track(
                self._circuit,
                half.pair,
                half.pair,
                asked.name,
                entry.index,
                half.label,
                half.correlators,
                half.error,
                1.0,
                half.goodness_at,
                self._desk.hardware.rates(half.slot),
                entry.measured_at,
                half.created_at,
                entry.basis if entry.tested else "",
                entry.outcome if entry.tested else 0,
            ),
        )
        if entry.arrived is not None:
            self._settle(entry, now)

    def _settle(self, entry: _Entry, now: Instant) -> None:
        """Both sides have spoken: the pair is made or lost."""
        track, asked = entry.arrived, entry.asked
        assert track is not None
        assert asked is not None
        pair = entry.half.pair
        if isinstance(track, Expire) or entry.tested:
            if isinstance(track, Track):
                asked.unassign(entry.index)
                entry.asked = None
            self._lose(entry)
            del self._entries[pair]
            self._assign(now)
            return
        wanted = asked.create.final
        gate = "I" if wanted is None else correction_gate(label_xor(track.label, wanted))
        if gate == "I":
            self._announce(entry, track, asked, now, gate)
            return
        entry.stage = Stage.CORRECTING

        def corrected(_outcomes: tuple[int, ...], later: Instant) -> None:
            if not self._closed and entry.asked is not None:
                self._announce(entry, track, asked, later, gate)

        self._desk.run(Program((Gate(gate, (entry.half.slot,)),)), corrected)

    def _announce(self, entry: _Entry, track: Track, asked: Asked, now: Instant, gate: str) -> None:
        half, create = entry.half, asked.create
        kept_until = now if entry.measured_at is None else entry.measured_at
        said = claimed(self._desk.hardware, half, kept_until, track, now)
        if gate != "I":
            noise = self._desk.hardware.corrector.noise(gate)
            said = claim(Noise(said.correlators).then(noise), said.error)
        pair = pair_name(half.pair, track.origin)
        label = track.label if create.final is None else create.final
        del self._entries[half.pair]
        asked.deliver()
        self.recent.add(half.pair, pair, asked.name)
        if create.kind == "M":
            self._desk.tell(
                OkMeasured(
                    request=create.request,
                    pair=pair,
                    index=entry.index,
                    origin=True,
                    remote=create.remote,
                    purpose=create.purpose,
                    label=label,
                    goodness=said.goodness,
                    goodness_error=said.error,
                    created_at=track.created_at,
                    requested_at=asked.requested_at,
                    basis=entry.basis,
                    outcome=entry.outcome,
                )
            )
        else:
            ok = Ok(
                request=create.request,
                pair=pair,
                index=entry.index,
                origin=True,
                remote=create.remote,
                purpose=create.purpose,
                slot=half.slot,
                label=label,
                goodness=said.goodness,
                goodness_error=said.error,
                goodness_at=now,
                created_at=track.created_at,
                requested_at=asked.requested_at,
                correlators=said.correlators,
                kind=create.kind,
            )
            self._desk.tell(ok, *((half.slot,) if create.kind == "K" else ()))
        if asked.delivered >= create.number:
            self._finished(asked)

    def served(self) -> tuple[RequestId, ...]:
        """Requests that this end serves."""
        return tuple(asked.name for asked in self._requests)
