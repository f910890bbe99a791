"""From the herald of a pair to its announcement: correct, move to memory, measure, hand up.

Theory
    A half that is kept is brought into its final state and slot by one program: the Pauli gate that
    turns the heralded label into the one that is wanted (origin of a K request only), then, if it is
    stored, a SWAP into a memory slot taken before. Both ends announce at the same instant, the click
    plus :meth:`~.admission.Timing.lag`. Pairs of an atomic request wait in memory until the last.

    A half that is measured runs its program at once (:mod:`.measuring`).
Late, early, impossible
    A program that ends after the common instant (a node that stood still) makes the pair expire.
Not modelled
    Corrections of measured halves: the label is told with the outcome.
Sources
    [1] Dahlberg et al., arXiv 1903.09778: OK_K, OK_M, OK_R.
"""

from __future__ import annotations

from qnet.ids import OpId, RequestId, SlotId, pair_id
from qnet.layers import link, physical
from qnet.layers.link import BasisChoice
from qnet.machine import Apply, Effect, Indicate, Record, Release, Send
from qnet.physics.bell import correction_gate
from qnet.program import Gate, Initialise, Instruction, Program
from qnet.seams import EndContext
from qnet.units import Duration, Instant
from qnet_protocols.link import generation as gen
from qnet_protocols.link.admission import Timing
from qnet_protocols.link.claims import Claim, disturbed, fresh, transferred, turned, waited
from qnet_protocols.link.closing import Endings
from qnet_protocols.link.measuring import Measured, Measurements
from qnet_protocols.link.messages import RoundOutcome
from qnet_protocols.link.queue import Agreed, Queue, Terms
from qnet_protocols.link.rounds import Rounds
from qnet_protocols.link.slots import Slots

ROUNDS_PER_REPORT = 20
"""Test rounds between two reports of the estimate."""


class Delivery:
    """Halves of one end that were heralded and are not announced yet."""

    def __init__(
        self,
        context: EndContext,
        timing: Timing,
        queue: Queue,
        endings: Endings,
        slots: Slots,
        rounds: Rounds,
    ) -> None:
        self._context = context
        self._link = context.link.name
        self._remote = context.remote
        self._gate_time = context.link.correction[context.side]
        self._timing = timing
        self._queue = queue
        self._endings = endings
        self._slots = slots
        self._rounds = rounds
        self._operations = 0
        self._prefix = f"i{context.incarnation}-" if context.incarnation else ""
        self._reported = 0
        self.measuring = Measurements()
        self.returning: dict[OpId, tuple[SlotId, ...]] = {}
        self._plain = fresh(context.link.estimate)
        ends = context.platforms or ()
        flights = context.link.flights
        early = Duration(timing.correction + max(flights) - min(flights))
        self._stored = transferred(self._plain, ends, early) if ends else self._plain

    # ------------------------------------------------------------ at the herald

    def is_test(self, sequence: int) -> bool:
        """Whether herald ``sequence`` is that of a test round, no pair of a request."""
        return self._rounds.basis(sequence) is not None

    def plan(self, entry: Agreed, herald: physical.Heralded, now: Instant) -> tuple[Instant, bool]:
        """The end of the turn, and whether this end can keep the common instant."""
        terms, clicked_at = entry.terms, herald.clicked_at
        deliver_at = Instant(clicked_at + self._timing.lag(terms))
        heard_at = Instant(clicked_at + self._timing.flight)
        if self._rounds.basis(herald.sequence) is not None:
            return heard_at, True
        boundary = heard_at if terms.kind == "M" else deliver_at
        return boundary, now + self._needs(terms, herald.label) <= deliver_at

    def _needs(self, terms: Terms, label: tuple[int, int]) -> Duration:
        if terms.basis is not None:
            return Duration(0)
        gate = self._gate_time if self._gate(terms, label) != "I" else 0
        return Duration(gate + (self._timing.transfer if terms.store else 0))

    def _gate(self, terms: Terms, label: tuple[int, int]) -> str:
        if terms.kind != "K" or not terms.origin:
            return "I"
        return correction_gate((label[0] ^ terms.final[0], label[1] ^ terms.final[1]))

    def begin(
        self, entry: Agreed, herald: physical.Heralded, boundary: Instant
    ) -> tuple[gen.Generation, list[Effect]]:
        """Start what is done with a heralded half; its turn ends at ``boundary``."""
        terms, progress = entry.terms, entry.progress
        index = progress.served + 1
        deliver_at = Instant(herald.clicked_at + self._timing.lag(terms))
        tested = self._rounds.basis(herald.sequence)
        label = terms.final if terms.kind == "K" and tested is None else herald.label
        pair = gen.Heralded(
            terms.request,
            index,
            herald.slot,
            herald.sequence,
            label,
            herald.clicked_at,
            deliver_at,
        )
        if tested is not None:
            return gen.Resting(), self._measure(pair, BasisChoice((tested,), (1.0,)), test=True)
        self._queue.put(entry.with_progress(progress.made(boundary)))
        if terms.basis is not None:
            return gen.Resting(), self._measure(pair, terms.basis, test=False)
        return self._keep(terms, pair, self._gate(terms, herald.label))

    def _measure(self, pair: gen.Heralded, choice: BasisChoice, *, test: bool) -> list[Effect]:
        op = self._next_op()
        return [Apply(op, self.measuring.start(op, pair, choice, test=test))]

    def _keep(
        self, terms: Terms, pair: gen.Heralded, gate: str
    ) -> tuple[gen.Generation, list[Effect]]:
        steps: list[Instruction] = [] if gate == "I" else [Gate(gate, (pair.slot,))]
        left = None
        if terms.store:
            left, kept = pair.slot, self._slots.use(terms.request, pair.slot)
            steps += [Initialise(kept), Gate("SWAP", (left, kept))]
            pair = pair.moved(kept)
        if not steps:
            return gen.Delivering(pair), []
        op = self._next_op()
        return gen.Correcting(pair, op, left), [Apply(op, Program(tuple(steps)))]

    def _next_op(self) -> OpId:
        self._operations += 1
        return OpId(f"link:{self._link}/{self._prefix}{self._operations}")

    # ------------------------------------------------------------ when a program has ended

    def on_measured(self, op: OpId, outcomes: tuple[int, ...], now: Instant) -> list[Effect] | None:
        """A measurement has ended; None if ``op`` is none."""
        ended = self.measuring.ended(op, outcomes)
        if ended is None:
            return None
        running, measured = ended
        effects: list[Effect] = [Release(measured.pair.slot)]
        if running.test:
            pair = measured.pair
            self._rounds.measured(pair.sequence, pair.label, measured.outcome)
            told = RoundOutcome(self._link, pair.sequence, measured.basis, measured.outcome)
            return [*effects, Send(self._remote, told), *self.report(pair.request)]
        entry = self._queue.get(measured.pair.request)
        if entry is not None and measured.pair.index not in entry.progress.voided:
            self.measuring.keep(measured)
        return effects + self.announce_measured(now)

    def report(self, request: RequestId | None = None) -> list[Effect]:
        """Tell the layer above what test rounds say, if there are enough new ones."""
        rounds = self._rounds.rounds
        if rounds < self._reported + ROUNDS_PER_REPORT:
            return []
        entry = None if request is None else self._queue.get(request)
        if entry is None:
            return []
        self._reported = rounds
        fidelity, stderr = self._rounds.estimate()
        terms = entry.terms
        said = link.FidelityEstimated(
            terms.request, terms.origin, self._remote, terms.purpose, fidelity, stderr, rounds
        )
        return [Indicate(said)]

    # ------------------------------------------------------------ announcements

    def announce_measured(self, now: Instant) -> list[Effect]:
        """Outcomes whose instant has come."""
        effects: list[Effect] = []
        for measured in self.measuring.take_due(now):
            entry = self._queue.get(measured.pair.request)
            if isinstance(entry, Agreed):
                effects.append(Indicate(self._ok_measured(entry.terms, measured)))
                effects += self._announced(entry, (measured.pair,), now)
        return effects

    def deliver(self, pair: gen.Heralded, now: Instant) -> list[Effect]:
        """Hand up a pair, or keep it for its batch."""
        entry = self._queue.get(pair.request)
        assert isinstance(entry, Agreed)
        terms = entry.terms
        batch: list[gen.Heralded] = [pair]
        if terms.atomic:
            if self._slots.put(pair) < terms.pairs:
                return []
            batch = self._slots.take_batch(terms.request)
        effects: list[Effect] = [Indicate(self._ok(terms, one, now), (one.slot,)) for one in batch]
        return effects + self._announced(entry, tuple(batch), now)

    def _announced(
        self, entry: Agreed, pairs: tuple[gen.Heralded, ...], now: Instant
    ) -> list[Effect]:
        progress = entry.progress.announced(*((pair.index, pair.sequence) for pair in pairs))
        return self.settle(entry.with_progress(progress), now)

    def settle(self, entry: Agreed, now: Instant) -> list[Effect]:
        """Pairs of ``entry`` were announced or are void: it ends if none is left."""
        terms, progress = entry.terms, entry.progress
        self._queue.put(entry)
        if progress.settled < terms.pairs:
            return []
        self._endings.remember(entry, progress, now, complete=True)
        name, purpose = terms.request, terms.purpose
        end: Record
        if progress.delivered:
            end = link.RequestEnded(name, terms.origin, self._remote, purpose, progress.delivered)
        else:
            code, detail = link.ErrorCode.EXPIRE, f"none of {terms.pairs} pairs came to both ends"
            end = link.Err(name, code, terms.origin, self._remote, purpose, detail)
        return [*self._slots.unreserve(name), Indicate(end)]

    def _ok(self, terms: Terms, pair: gen.Heralded, now: Instant) -> link.Ok:
        claim = self._claim(terms, pair, now)
        return link.Ok(
            terms.request,
            pair_id(self._link, pair.sequence),
            pair.index,
            terms.origin,
            self._remote,
            terms.purpose,
            pair.slot,
            pair.label,
            claim.goodness,
            claim.error,
            now,
            pair.clicked_at,
            terms.requested_at,
            claim.correlators,
            terms.kind,
        )

    def _claim(self, terms: Terms, pair: gen.Heralded, now: Instant) -> Claim:
        context = self._context
        ends = context.platforms or ()
        plain, stored = self._plain, self._stored
        if ends and terms.final != (0, 0):
            origin = ends[context.side if terms.origin else 1 - context.side]
            plain, stored = turned(plain, origin), turned(stored, origin)
        if not terms.store:
            return plain
        kept = waited(stored, ends, Duration(now - pair.deliver_at))
        arrived = pair.clicked_at + self._timing.quickest
        return disturbed(kept, self._context.attempts, Duration(now - arrived))

    def _ok_measured(self, terms: Terms, measured: Measured) -> Record:
        pair = measured.pair
        return link.OkMeasured(
            terms.request,
            pair_id(self._link, pair.sequence),
            pair.index,
            terms.origin,
            self._remote,
            terms.purpose,
            pair.label,
            self._plain.goodness,
            self._plain.error,
            pair.clicked_at,
            terms.requested_at,
            measured.basis,
            measured.outcome,
            terms.kind,
        )

    # ------------------------------------------------------------ giving up

    def drop(self, state: gen.Correcting | gen.Delivering) -> list[Effect]:
        """Give up a kept half."""
        if isinstance(state, gen.Delivering):
            return [Release(state.pair.slot)]
        # The slots are busy until the program has ended.
        left = () if state.left is None else (state.left,)
        self.returning[state.op] = (state.pair.slot, *left)
        return []

    def forget(self, request: RequestId) -> list[Effect]:
        """Nothing more is announced for ``request``; what was kept for it is freed."""
        self.measuring.drop(request)
        batch = [Release(pair.slot) for pair in self._slots.take_batch(request)]
        return [*batch, *self._slots.unreserve(request)]
