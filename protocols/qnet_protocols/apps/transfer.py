"""Sending data qubits by teleportation, each exactly once and in order, or reported lost.

Theory
    A teleportation uses up the data qubit whether or not the other half of the pair is still there. So the
    sender first asks whether the receiver holds its half (:class:`Offered`, :class:`Answered`): a pair that
    is not there costs a try and a round trip, and the data qubit survives in its memory slot. Only then it
    makes the Bell measurement and sends the two bits (:class:`Sent`). The receiver corrects by bits and
    label, and acknowledges (:class:`Acknowledged`). If its half was lost in between, the datum is prepared
    again, which is possible for data whose preparation is known. Tries are bounded.

    Data are numbered. The receiver takes the number after the last one it has, or a later one (those between
    are lost), and acknowledges what it has without taking it again, so a lost acknowledgement makes no second
    copy. Data are test states: the receiver measures each and knows how often it was right, (2F + 1)/3 of
    the time for pairs of fidelity F.
Early, late, impossible
    Pairs are held by their id until asked for. An answer about another try is late, and ignored. An offer
    of a number that is neither taken nor next is a later one: the sender has given up on those before.
Assumptions and validity
    The sender has a memory slot for the datum. A datum whose last try ended without an answer is *unsure*:
    lost for the sender, perhaps taken by the receiver (two generals).
Not modelled
    Data of unknown origin: they could not be prepared again. Several data under way at once.
Units
    Simulated seconds.
Sources
    Bennett et al., Phys. Rev. Lett. 70, 1895 (1993); physics reference A5.4.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import msgspec
import trio

from qnet.ids import PairId, SlotId
from qnet.machine import Message
from qnet.program import Measure, Program, bell_measurement
from qnet.runtime.session import LONGEST_S, Pair, Session
from qnet.seams import App
from qnet_protocols.apps.rounds import Bit, Estimated, Patience, Share, share_wrong
from qnet_protocols.apps.teleport import STATES, correction, prepare
from qnet_protocols.apps.waiting import (
    FAILURES,
    Holding,
    Over,
    PeerSilent,
    hear,
    say_over,
    serve,
)

Number = Annotated[int, msgspec.Meta(ge=1)]


class TransferParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``transfer``.

    Attributes:
        from_node: who sends data qubits.
        to_node: who gets them, any node that a path of links reaches.
        qubits: how many data qubits, >= 1.
        tries: tries per datum, >= 1; then it is lost.
        minimum_fidelity: lowest acceptable claimed fidelity of the pairs, 0..1.
        within_s: simulated seconds for each pair; 0 = no limit.
        patience_s: how long to wait for an answer, and to hold a half that nobody asks for.
    """

    from_node: str = "alice"
    to_node: str = "bob"
    qubits: Annotated[int, msgspec.Meta(ge=1)] = 200
    tries: Annotated[int, msgspec.Meta(ge=1)] = 8
    minimum_fidelity: Share = 0.0
    within_s: Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_S)] = 0.0
    patience_s: Patience = 10.0


class Offered(Message, frozen=True):
    """Sender to receiver: datum ``number`` could be sent with ``pair``."""

    kind: ClassVar[str] = "app.transfer/offered@1"
    number: Number
    pair: PairId


class Answered(Message, frozen=True):
    """Receiver to sender: whether it holds the pair; ``taken``: it has the datum already."""

    kind: ClassVar[str] = "app.transfer/answered@1"
    number: Number
    pair: PairId
    held: bool
    taken: bool


class Sent(Message, frozen=True):
    """Sender to receiver: the two bits of the Bell measurement; ``state`` for verification only."""

    kind: ClassVar[str] = "app.transfer/sent@1"
    number: Number
    pair: PairId
    phase: Bit
    parity: Bit
    state: Annotated[int, msgspec.Meta(ge=0, lt=len(STATES))]


class Acknowledged(Message, frozen=True):
    """Receiver to sender: whether the datum was taken with this pair, and whether it was right."""

    kind: ClassVar[str] = "app.transfer/acknowledged@1"
    number: Number
    pair: PairId
    taken: bool
    right: bool


class TransferResult(msgspec.Struct, frozen=True):
    """What the sender knows in the end.

    Attributes:
        reason: why data were lost, as the last failed try says; "" if none was.
        delivered: data acknowledged.
        lost: numbers of the data that were given up, at most the first hundred.
        lost_count: how many.
        unsure: how many of these the receiver may have taken.
        tries: tries in all.
        survived: failed tries that the data qubit survived in its memory.
        prepared_again: failed tries after which it had to be prepared again.
        right: share of verified data that were right, with error.
        right_if_local_perfect: (2F + 1)/3 with the mean claimed fidelity of the pairs.
    """

    reason: str
    delivered: int
    lost: tuple[int, ...]
    lost_count: int
    unsure: int
    tries: int
    survived: int
    prepared_again: int
    right: Estimated | None
    right_if_local_perfect: float | None


class _Book:
    """What the sender counts."""

    def __init__(self) -> None:
        self.reason = ""
        self.delivered = self.right = self.verified = 0
        self.lost: list[int] = []
        self.unsure = self.tries = self.survived = self.prepared_again = 0
        self.claims: list[float] = []

    def result(self) -> TransferResult:
        wrong = share_wrong(self.verified - self.right, self.verified)
        claimed = math.fsum(self.claims) / len(self.claims) if self.claims else None
        return TransferResult(
            reason=self.reason if self.lost else "",
            delivered=self.delivered,
            lost=tuple(self.lost[:100]),
            lost_count=len(self.lost),
            unsure=self.unsure,
            tries=self.tries,
            survived=self.survived,
            prepared_again=self.prepared_again,
            right=None
            if wrong is None
            else Estimated(1.0 - wrong.value, wrong.stderr, wrong.trials),
            right_if_local_perfect=None if claimed is None else (2.0 * claimed + 1.0) / 3.0,
        )


class _Datum(msgspec.Struct):
    """One data qubit: its number, state and slot; whether it is in the slot, whether bits were sent."""

    number: int
    state: int
    slot: SlotId
    prepared: bool = False
    unanswered: bool = False


async def sender(session: Session) -> TransferResult:
    """Send the data one by one."""
    wanted: TransferParameters = session.parameters
    luck = session.random("data")
    book = _Book()
    async with session.memory() as slot:
        for number in range(1, wanted.qubits + 1):
            datum = _Datum(number, luck.below(len(STATES)), slot)
            for _ in range(wanted.tries):
                book.tries += 1
                try:
                    await _try(session, datum, book)
                    break
                except FAILURES as failed:
                    book.reason = str(failed)
                    if datum.prepared:
                        book.survived += 1
                    else:
                        book.prepared_again += 1
            else:
                book.lost.append(number)
                book.unsure += datum.unanswered
    await say_over(session, wanted.to_node, book.reason if book.lost else "")
    return book.result()


async def _try(session: Session, datum: _Datum, book: _Book) -> None:
    """Send one datum with one pair.

    Raises:
        RequestFailed, PairExpired, PeerSilent: it has not arrived, or nothing says that it has.
    """
    wanted: TransferParameters = session.parameters
    if not datum.prepared:
        await session.run(Program(prepare(datum.slot, datum.state)))
        datum.prepared = True
    pair = await _one_pair(session)
    try:
        await session.send(pair.remote, Offered(datum.number, pair.id))
        while True:
            answer = await hear(session, Answered, pair.remote, wanted.patience_s)
            if (answer.number, answer.pair) == (datum.number, pair.id):
                break
        if answer.taken:
            book.delivered += 1
            return
        if not answer.held:
            raise PeerSilent(f"{pair.remote} does not hold its half of pair {pair.id} any more")
        pair.check()
        datum.prepared = False
        phase, parity = await session.run(bell_measurement(datum.slot, pair.slot))
    finally:
        pair.release()
    datum.unanswered = True
    sent = Sent(datum.number, pair.id, phase, parity, datum.state)
    await session.send(pair.remote, sent)
    while True:
        told = await hear(session, Acknowledged, pair.remote, wanted.patience_s)
        if (told.number, told.pair) == (datum.number, pair.id):
            break
    datum.unanswered = False
    if not told.taken:
        raise PeerSilent(
            f"the half of pair {pair.id} at {pair.remote} was lost before the bits came"
        )
    book.delivered += 1
    book.verified += 1
    book.right += told.right
    book.claims.append(pair.goodness)


async def _one_pair(session: Session) -> Pair:
    """A pair with the receiver.

    Raises:
        RequestFailed: there is none.
        PeerSilent: it expired at once.
    """
    wanted: TransferParameters = session.parameters
    found: Pair | None = None
    async with session.request(
        to=wanted.to_node, minimum_fidelity=wanted.minimum_fidelity, within_s=wanted.within_s
    ) as stream:
        async for pair in stream:
            found = pair
    if found is None:
        raise PeerSilent(f"the pair with {wanted.to_node} expired before it could be used")
    return found


class ReceiverResult(msgspec.Struct, frozen=True):
    """What the receiver saw.

    Attributes:
        taken: data taken, each once, in order of their numbers.
        right: how many of them were right.
        skipped: numbers below the last one taken that never came.
        reason: why it ended early, "" if it did not.
    """

    taken: int
    right: int
    skipped: int
    reason: str


async def receiver(session: Session) -> ReceiverResult:
    """Take the data, correct and verify them."""
    wanted: TransferParameters = session.parameters
    last = taken = right = 0
    async with trio.open_nursery() as nursery:
        holding = Holding(nursery, wanted.patience_s)

        async def collect() -> None:
            async with session.accept(from_=wanted.from_node, requests=None) as stream:
                await holding.collect(stream)

        async def answer_offers() -> None:
            while True:
                offer = await session.receive(Offered, wanted.from_node)
                known = offer.number <= last
                held = not known and await holding.holds(offer.pair, wanted.patience_s / 2.0)
                if known:
                    holding.drop(offer.pair)
                answer = Answered(offer.number, offer.pair, held, known)
                await session.send(wanted.from_node, answer)

        async def take() -> None:
            nonlocal last, taken, right
            while True:
                sent = await session.receive(Sent, wanted.from_node)
                pair = await holding.take(sent.pair, 0.0)
                good = None
                if sent.number > last and pair is not None and not pair.expired:
                    last, taken = sent.number, taken + 1
                    good = await _verify(session, pair, sent)
                    right += good
                elif pair is not None:
                    pair.release()
                told = Acknowledged(sent.number, sent.pair, sent.number <= last, bool(good))
                await session.send(wanted.from_node, told)

        nursery.start_soon(collect)
        nursery.start_soon(answer_offers)
        reason = await serve(session, wanted.from_node, take, 0.0)
        holding.drop_all()
        nursery.cancel_scope.cancel()
    return ReceiverResult(taken, right, last - taken, reason)


async def _verify(session: Session, pair: Pair, sent: Sent) -> bool:
    """Correct and read in one program; whether the outcome is the one that is certain."""
    state = STATES[sent.state]
    gates = correction(pair.slot, sent.phase, sent.parity, pair.label)
    (bit,) = await session.run(Program((*gates, Measure(pair.slot, state.basis))))
    pair.release()
    return bit == state.bit


APP = App(
    name="transfer",
    title="data qubits by teleportation, acknowledged and repeated",
    roles={"sender": sender, "receiver": receiver},
    place={"sender": "from_node", "receiver": "to_node"},
    parameters=TransferParameters,
    messages=(Offered, Answered, Sent, Acknowledged, Over),
)
