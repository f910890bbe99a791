"""The tail end of a circuit: sends its TRACKs at once, and does with each pair what the head's TRACK says.

Theory
    The tail end cannot know for which request a pair of its link is; it says what it has and holds its half
    until the head's TRACK names the request. K and E: announced at that instant (E has nothing early to say
    here: the label is known by then). M: measured then. Test rounds: measured in the head's basis; the
    verdict goes back directly.
Late, early, impossible
    As in :mod:`.relay`. A TRACK for a request that is over frees the half.
Sources
    Kozlowski, Dahlberg, Wehner, CoNEXT 2020, arXiv 2010.02575; physics reference A2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qnet.errors import RemoteProtocolError
from qnet.ids import CircuitId, NodeId, PairId, RequestId, SlotId
from qnet.layers.link import Early as HandedEarly
from qnet.layers.link import Ok, OkMeasured
from qnet.physics.bell import correction_gate, label_xor
from qnet.program import Measure, Program
from qnet.units import Instant
from qnet_protocols.network.claims import Corrector, Noise, claim
from qnet_protocols.network.desk import Desk, Half, Hop
from qnet_protocols.network.ends import Recent, claimed, measurement, pair_name, read_at, wrong
from qnet_protocols.network.messages import Expire, Tested, Track
from qnet_protocols.network.relay import Early, Tracking, Void
from qnet_protocols.network.requests import Served


@dataclass(slots=True)
class _Entry:
    half: Half
    busy: bool = False


class Tail:
    """One circuit at its tail end.

    Args:
        desk: of this node.
        circuit: which.
        hop: upstream.
        head: the other end.
        corrector: Pauli gates of the head end.
        served: request id -> request, None if it is over or unknown.
        delivered: called after a pair of a request was announced, or measured in vain.
    """

    def __init__(
        self,
        desk: Desk,
        circuit: CircuitId,
        hop: Hop,
        *,
        head: NodeId,
        corrector: Corrector,
        served: Callable[[RequestId], Served | None],
        delivered: Callable[[Served], None],
    ) -> None:
        self._desk = desk
        self._circuit = circuit
        self._hop = hop
        self._head = head
        self._corrector = corrector
        self._served = served
        self._delivered = delivered
        self._entries: dict[PairId, _Entry] = {}
        self._early = Early(desk)
        self._void = Void()
        self._closed = False
        self.recent = Recent()

    @property
    def counts(self) -> tuple[int, int]:
        """Pairs held, messages held."""
        return (len(self._entries), len(self._early))

    def next_deadline(self) -> Instant | None:
        """None: no end waits for an instant."""
        return None

    # ------------------------------------------------------------ events

    def on_pair(self, half: Half, now: Instant) -> None:
        """The last link has announced a pair."""
        if half.pair in self._void:
            self._desk.release(half.slot)
            return
        said = self._early.take(half.pair)
        if isinstance(said, Expire):
            self._desk.release(half.slot)
            self._desk.send(self._hop.peer, Expire(self._circuit, half.pair, False))
            return
        entry = self._entries[half.pair] = _Entry(half)
        self._desk.send(
            self._hop.peer,
            Track(
                self._circuit,
                half.pair,
                half.pair,
                RequestId(""),
                0,
                half.label,
                half.correlators,
                half.error,
                1.0,
                half.goodness_at,
                self._desk.hardware.rates(half.slot),
                None,
                half.created_at,
                "",
                0,
            ),
        )
        if said is not None:
            self._act(entry, said, now)

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
        if isinstance(message, Expire):
            if not entry.busy:
                self._drop(entry)
            return
        if entry.busy:
            raise RemoteProtocolError(
                f"{self._desk.node}: {message!r} must be the only message from {self._hop.peer} about that pair"
            )
        self._act(entry, message, now)

    def on_void(self, pair: PairId) -> None:
        """The link layer says that a pair is not valid."""
        entry = self._entries.get(pair)
        self._early.take(pair)
        self._void.add(pair)
        if entry is not None and not entry.busy:
            self._drop(entry)
            self._desk.send(self._hop.peer, Expire(self._circuit, pair, True))

    def on_cancelled(self, origins: tuple[PairId, ...]) -> tuple[PairId, ...]:
        """The head end did not announce these pairs of its link; those that were announced here."""
        found = [self.recent.take(origin) for origin in origins]
        return tuple(one[0] for one in found if one is not None)

    def close(self, *, broken: bool) -> None:
        """The circuit is gone. Unless it broke, what is being measured has been announced by the head."""
        self._closed = broken
        for entry in list(self._entries.values()):
            if broken or not entry.busy:
                self._drop(entry)

    # ------------------------------------------------------------ inside

    def _drop(self, entry: _Entry) -> None:
        del self._entries[entry.half.pair]
        self._desk.release(entry.half.slot)

    def _act(self, entry: _Entry, track: Track, now: Instant) -> None:
        """The chain is complete; the head's TRACK says what for."""
        served = self._served(track.request)
        if served is None:
            self._drop(entry)
        elif track.basis:
            self._test(entry, track)
        elif served.service == "M":
            self._measure(entry, track, served)
        else:
            self._announce(entry, track, served, now)

    def _test(self, entry: _Entry, track: Track) -> None:
        entry.busy = True

        def read(outcomes: tuple[int, ...], _now: Instant) -> None:
            if self._closed:
                return
            self._drop(entry)
            bad = wrong(track.basis, track.label, (track.outcome, outcomes[0]))
            self._desk.send(self._head, Tested(track.request, bad))

        self._desk.run(Program((Measure(entry.half.slot, track.basis),)), read)

    def _measure(self, entry: _Entry, track: Track, served: Served) -> None:
        entry.busy = True
        served.measuring += 1
        bases = served.distant.bases

        def read(outcomes: tuple[int, ...], now: Instant) -> None:
            if self._closed:
                return
            self._drop(entry)
            served.measuring -= 1
            if track.origin in served.void:
                self._delivered(served)
                return
            half = entry.half
            kept_until = read_at(now, self._desk.hardware.reading_time)
            said = claimed(self._desk.hardware, half, kept_until, track, kept_until)
            ok = OkMeasured(
                request=served.request,
                pair=pair_name(track.origin, half.pair),
                index=track.index,
                origin=False,
                remote=self._head,
                purpose=served.purpose,
                label=track.label,
                goodness=said.goodness,
                goodness_error=said.error,
                created_at=track.created_at,
                requested_at=served.requested_at,
                basis=bases[outcomes[0]],
                outcome=outcomes[1],
            )
            self._done(track, ok, served)

        self._desk.run(measurement(entry.half, served.distant), read)

    def _announce(self, entry: _Entry, track: Track, served: Served, now: Instant) -> None:
        half = entry.half
        del self._entries[half.pair]
        said = claimed(self._desk.hardware, half, now, track, now)
        label = track.label if served.final is None else served.final
        gate = correction_gate(label_xor(track.label, label))
        settled = gate == "I"
        if not settled:
            said = claim(Noise(said.correlators).then(self._corrector.noise(gate)), said.error)
        if served.service == "E":
            early = HandedEarly(
                served.request,
                half.pair,
                track.index,
                False,
                self._head,
                served.purpose,
                half.slot,
            )
            self._desk.tell(early, half.slot)
        ok = Ok(
            request=served.request,
            pair=pair_name(track.origin, half.pair),
            index=track.index,
            origin=False,
            remote=self._head,
            purpose=served.purpose,
            slot=half.slot,
            label=label,
            goodness=said.goodness,
            goodness_error=said.error,
            goodness_at=now,
            created_at=track.created_at,
            requested_at=served.requested_at,
            correlators=said.correlators,
            kind=served.service,
            settled=settled,
        )
        self._done(track, ok, served, *((half.slot,) if served.service == "K" else ()))

    def _done(self, track: Track, ok: Ok | OkMeasured, served: Served, *slots: SlotId) -> None:
        self._desk.tell(ok, *slots)
        self.recent.add(track.origin, ok.pair, served.request)
        served.delivered += 1
        self._delivered(served)
