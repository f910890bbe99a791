"""The two ends of a RuleSet: what they announce, and how a request ends at both of them.

Theory
    The rule ``last`` of a RuleSet numbers the end-to-end pairs, at one node for both ends: index and order
    agree without a word between the ends. The initiator alone ends a request, with the indices that it has
    announced; the responder announces what it still lacks of them, takes back what it has beyond them, and
    ends. After a break it may lack some for ever: it says which, and the initiator takes them back. Where no
    pair is valid, a request that was not cancelled has failed (ERR EXPIRE), whatever the other end could say.
Late, early, impossible
    *Late:* anything about a RuleSet that is over; of the last ``RECENT_LIMIT`` pairs it is still heard that
    they are void.
Assumptions and validity
    The other half is in a slot of the kind that was stated at set-up; each end checks its own.
Not modelled
    Kinds M, R and E.
Units
    Instants in picoseconds.
Sources
    Matsuo, Durand, Van Meter, Phys. Rev. A 100, 052320 (2019); claims: :mod:`qnet.physics.claims`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from qnet.ids import NodeId, PairId
from qnet.layers.link import Err, ErrorCode, Expired, Ok, RequestEnded
from qnet.physics.bell import correction_gate, label_xor
from qnet.physics.claims import Corrector, DecayRates, claim, storage
from qnet.program import Gate, Program
from qnet.units import Instant
from qnet_protocols.network.rulesets_engine import Engine, Held, Outbox
from qnet_protocols.network.rulesets_messages import Ended, Parents, SetUp

RECENT_LIMIT: Final = 256
"""Announced pairs of a RuleSet that can still be taken back; more cannot be in doubt."""


def pair_name(parents: Parents) -> PairId:
    """Id of an end-to-end pair."""
    return PairId("~".join(parents))


class End:
    """What both ends do.

    Args:
        outbox: of this node.
        setup: the request.
        remote: the other end.
    """

    origin: bool

    def __init__(self, outbox: Outbox, setup: SetUp, remote: NodeId) -> None:
        self._outbox = outbox
        self.setup = setup
        self._remote = remote
        self._recent: dict[int, Parents] = {}
        self._missing: set[int] = set()
        self.delivered = 0
        self.highest = 0
        self.engine: Engine | None = None
        self.over = False

    @property
    def missing(self) -> tuple[int, ...]:
        """Indices up to the highest that are not announced, or void."""
        return tuple(sorted(self._missing))

    def expire(self, indices: Iterable[int]) -> None:
        """Announced pairs are void."""
        void = [index for index in indices if index in self._recent]
        if not void:
            return
        pairs = tuple(pair_name(self._recent.pop(index)) for index in void)
        self._missing.update(void)
        self.delivered -= len(void)
        setup = self.setup
        self._outbox.tell(Expired(setup.request, self._remote, setup.purpose, pairs))

    def expire_all(self) -> None:
        """The other end is lost: whatever is shared with it is."""
        self.expire(list(self._recent))

    def on_lost(self, pair: PairId) -> None:
        """A link took a pair back."""
        self.expire([index for index, parents in self._recent.items() if pair in parents])

    def announce(self, pair: Held, decay: DecayRates, now: Instant, *, gate: str) -> None:
        """Hand a pair up; ``gate`` is what the initiator does or has done to it."""
        setup, hardware = self.setup, self._outbox.hardware
        noise = pair.noise.then(storage(hardware.rates(pair.slot), pair.own_at, now))
        noise = noise.then(storage(decay, pair.far_at, now))
        corrector = hardware.corrector
        if not self.origin:
            corrector = Corrector(setup.mixing, setup.surveyed[0].virtual_z)
        noise = noise.then(corrector.noise(gate))
        said = claim(noise, pair.error)
        self._missing.update(range(self.highest + 1, pair.index))
        self._missing.discard(pair.index)
        self.highest = max(self.highest, pair.index)
        self.delivered += 1
        self._recent[pair.index] = pair.parents
        if len(self._recent) > RECENT_LIMIT:
            del self._recent[next(iter(self._recent))]
        ok = Ok(
            request=setup.request,
            pair=pair_name(pair.parents),
            index=pair.index,
            origin=self.origin,
            remote=self._remote,
            purpose=setup.purpose,
            slot=pair.slot,
            label=pair.label if setup.final is None else setup.final,
            goodness=said.goodness,
            goodness_error=said.error,
            goodness_at=now,
            created_at=pair.created_at,
            requested_at=setup.requested_at,
            correlators=said.correlators,
            settled=self.origin or gate == "I",
        )
        self._outbox.tell(ok, pair.slot)

    def gate(self, pair: Held) -> str:
        """What turns the pair into the one that was asked for."""
        final = self.setup.final
        return "I" if final is None else correction_gate(label_xor(pair.label, final))

    def _say_end(self, code: ErrorCode | None, detail: str, cancelled: bool) -> None:
        setup = self.setup
        if code is None and not cancelled and not self.delivered:
            code, detail = ErrorCode.EXPIRE, f"none of {setup.pairs} pairs is valid here"
        if code is None:
            self._outbox.tell(
                RequestEnded(
                    setup.request,
                    self.origin,
                    self._remote,
                    setup.purpose,
                    self.delivered,
                    cancelled,
                )
            )
        else:
            self._outbox.tell(
                Err(setup.request, code, self.origin, self._remote, setup.purpose, detail)
            )


class Initiator(End):
    """The end that asked.

    Args:
        finished: called when all pairs were announced.
    """

    origin = True

    def __init__(self, outbox: Outbox, setup: SetUp, finished: Callable[[], None]) -> None:
        super().__init__(outbox, setup, setup.nodes[-1])
        self._finished = finished
        self._correcting: dict[int, Held] = {}

    def take(self, pair: Held, decay: DecayRates, now: Instant) -> None:
        """The engine hands a pair up."""
        gate = self.gate(pair)
        if gate == "I":
            self._announce(pair, decay, now, gate)
            return
        self._correcting[pair.index] = pair

        def corrected(_outcomes: tuple[int, ...], later: Instant) -> None:
            if self._correcting.pop(pair.index, None) is None:
                return
            assert self.engine is not None
            if self.engine.is_lost(pair.parents):
                self._outbox.release(pair.slot)
            else:
                self._announce(pair, decay, later, gate)

        self._outbox.run(Program((Gate(gate, (pair.slot,)),)), corrected)

    def _announce(self, pair: Held, decay: DecayRates, now: Instant, gate: str) -> None:
        self.announce(pair, decay, now, gate=gate)
        if self.delivered >= self.setup.pairs:
            self._finished()

    def end(self, code: ErrorCode | None, detail: str, *, cancelled: bool, broken: bool) -> Ended:
        """The request is over; what the others are told."""
        self.over = True
        for pair in self._correcting.values():
            self._outbox.release(pair.slot)
        self._correcting.clear()
        self._say_end(code, detail, cancelled)
        return Ended(
            self.setup.ruleset,
            None if code is None else int(code),
            detail,
            cancelled,
            self.highest,
            self.missing,
            broken,
        )


class Responder(End):
    """The end that was asked.

    Args:
        unseen: called with the indices that can never be announced here.
        finished: called when the request has ended.
    """

    origin = False

    def __init__(
        self,
        outbox: Outbox,
        setup: SetUp,
        *,
        unseen: Callable[[tuple[int, ...]], None],
        finished: Callable[[], None],
    ) -> None:
        super().__init__(outbox, setup, setup.nodes[0])
        self._unseen = unseen
        self._finished = finished
        self._ended: Ended | None = None

    def take(self, pair: Held, decay: DecayRates, now: Instant) -> None:
        """The engine hands a pair up."""
        if self._counts(pair.index):
            self.announce(pair, decay, now, gate=self.gate(pair))
        else:
            self._outbox.release(pair.slot)

    def _counts(self, index: int) -> bool:
        ended = self._ended
        return ended is None or (index <= ended.last and index not in ended.without)

    def on_ended(self, ended: Ended) -> None:
        """The initiator has ended the request."""
        self._ended = ended
        self.expire([index for index in self._recent if not self._counts(index)])
        assert self.engine is not None
        if ended.broken:
            self.engine.close()
        self.settle()

    def settle(self) -> None:
        """End as soon as every pair that the initiator announced is settled here."""
        ended, engine = self._ended, self.engine
        if ended is None or self.over:
            return
        assert engine is not None
        if engine.closed:
            lacking = self._missing.union(range(self.highest + 1, ended.last + 1))
            unseen = tuple(sorted(index for index in lacking if self._counts(index)))
            if unseen:
                self._unseen(unseen)
        elif engine.last_heard < ended.last or any(map(self._counts, engine.waiting())):
            return
        self.over = True
        code = None if ended.code is None else ErrorCode(ended.code)
        self._say_end(code, ended.detail, ended.cancelled)
        self._finished()

    def fail(self, detail: str) -> None:
        """The initiator is lost."""
        if not self.over:
            self.over = True
            self._say_end(ErrorCode.OTHER, detail, False)
