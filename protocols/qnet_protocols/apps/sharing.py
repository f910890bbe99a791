"""States of many nodes from pairs with a centre: the conversation that GHZ and graph states share.

Theory
    In each round the centre asks for one pair with every other party, all at the same time, and waits until
    it holds them. One local program joins its halves and reads out what it does not keep; each other party
    then corrects its half by the outcomes and by the label of its own pair, with real gates, and reads the
    letter of the stabiliser element that the centre has drawn for this round, after the state was made.
    The product of the bits of all parties, with the sign of the element, is one sign +-1.
    A party may have several qubits of the state: fresh ones in |0>, prepared beforehand, that CNOTs from its
    half (at the centre: from the qubit that it keeps) add to the state, which is how GHZ states grow. All
    qubits may be kept for a time before they are read.
Early, late, impossible
    Pairs and messages are matched by the id of the pair, for they come over different paths. A message about
    a pair that is not there (yet) waits for it; if it does not come, or has expired, the party says so and
    the round does not count. A pair whose round failed is given back on both sides (``Finish`` with
    ``use`` false). A reading of another round than the one under way is late, and ignored.
Assumptions and validity
    The centre has as many communication slots as there are other parties, or memory slots to store the halves
    in (then the pairs are asked for with ``store``).
Not modelled
    Keeping the state for a use: it is verified and gone. Decoupling pulses while it is kept.
Units
    Simulated seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Annotated, ClassVar, Final

import msgspec
import trio

from qnet.ids import PairId, SlotId
from qnet.machine import Message
from qnet.physics.bell import weights_from_correlators
from qnet.program import Gate, Initialise, Instruction, Measure, Program
from qnet.runtime.session import Pair, RequestFailed, Session
from qnet_protocols.apps.rounds import Bit, Estimated, mean_sign
from qnet_protocols.apps.stabilisers import Letters, element, expected_fidelity, fidelity_estimate
from qnet_protocols.apps.waiting import (
    FAILURES,
    Holding,
    Over,
    PeerSilent,
    hear,
    say_over,
    serve,
)

PURPOSE: Final = 0


class Finish(Message, frozen=True):
    """Centre to party: correct the half of ``pair`` by these bits and read ``letter`` ("I": do not read).

    A party with several qubits of the state gets a letter for each, its half's first. ``use`` false: the
    round failed, give the half back.
    """

    kind: ClassVar[str] = "app.shared/finish@1"
    round: Annotated[int, msgspec.Meta(ge=0)]
    pair: PairId
    use: bool
    flip_x: Bit
    flip_z: Bit
    letter: str


class Read(Message, frozen=True):
    """Party to centre: the bit read, XOR of several; ``held`` false if the pair was not there."""

    kind: ClassVar[str] = "app.shared/read@1"
    round: Annotated[int, msgspec.Meta(ge=0)]
    held: bool
    bit: Bit


MESSAGES: Final[tuple[type[Message], ...]] = (Finish, Read, Over)


class Recipe(msgspec.Struct, frozen=True):
    """How the centre makes a state.

    Attributes:
        parties: nodes that have a qubit of the state, in the order of the letters.
        generators: of the stabiliser group.
        others: the parties that the centre shares pairs with.
        extra: whether the centre needs a slot beside the halves.
        program: (halves of ``others`` in order, the extra slot) -> the instructions that join. What the
            centre keeps is in the extra slot, without one in the first half.
        flips: outcomes -> (x, z) by which each of ``others`` corrects.
        sizes: how many qubits of the state each of ``parties`` has; empty: one each.
    """

    parties: tuple[str, ...]
    generators: tuple[Letters, ...]
    others: tuple[str, ...]
    extra: bool
    program: Callable[[Sequence[SlotId], SlotId | None], Sequence[Instruction]]
    flips: Callable[[Sequence[int]], Sequence[tuple[int, int]]]
    sizes: tuple[int, ...] = ()

    def qubits_of(self, party: str) -> range:
        """Places of a party's qubits among the letters; none if it has no part in the state."""
        if party not in self.parties:
            return range(0)
        place = self.parties.index(party)
        if not self.sizes:
            return range(place, place + 1)
        first = sum(self.sizes[:place])
        return range(first, first + self.sizes[place])


class Wishes(msgspec.Struct, frozen=True):
    """How often, and how long to wait."""

    rounds: int
    generator_prob: float
    minimum_fidelity: float
    failures: int
    pair_within_s: float
    patience_s: float
    store: bool = False
    storage_s: float = 0.0


class SharedResult(msgspec.Struct, frozen=True):
    """What the centre knows in the end.

    Attributes:
        reason: why there were fewer rounds than wanted, "" if there were not.
        rounds: rounds that count.
        failed: rounds that failed, and how the last one did.
        fidelity: estimate from uniformly drawn elements of the stabiliser group.
        fidelity_if_local_perfect: mean of what the claims of the pairs promise, perfect local operations.
        generators: mean of each generator by its letters in the order of ``parties``.
        fidelity_at_least: bound from the generators; None if one of them was never read.
        parties: the nodes of the state.
        rate_hz: rounds that count per simulated second.
    """

    reason: str
    rounds: int
    failed: int
    last_failure: str
    fidelity: Estimated | None
    fidelity_if_local_perfect: float | None
    generators: dict[str, Estimated]
    fidelity_at_least: float | None
    parties: tuple[str, ...]
    rate_hz: float


class _Tally:
    """Signs read so far."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.of_group = [0, 0]
        self.of_generator = [[0, 0] for _ in recipe.generators]
        self.predicted: list[float] = []
        self.failed = 0
        self.last_failure = ""

    @property
    def rounds(self) -> int:
        return len(self.predicted)

    def add(self, generator: int | None, sign: int, pairs: Sequence[Pair]) -> None:
        sums = self.of_group if generator is None else self.of_generator[generator]
        sums[0] += sign
        sums[1] += 1
        recipe = self.recipe
        errors = [
            (recipe.qubits_of(pair.remote), weights_from_correlators(pair.correlators))
            for pair in pairs
        ]
        self.predicted.append(expected_fidelity(recipe.generators, errors))

    def result(self, reason: str, spent_s: float) -> SharedResult:
        total, trials = self.of_group
        fidelity = None
        if trials:
            fidelity = Estimated(
                *fidelity_estimate(total, trials, len(self.recipe.generators)), trials
            )
        means = {
            "".join(letters): mean
            for letters, sums in zip(self.recipe.generators, self.of_generator, strict=True)
            if (mean := mean_sign(*sums)) is not None
        }
        bound = None
        if len(means) == len(self.recipe.generators):
            bound = 1.0 - math.fsum((1.0 - mean.value) / 2.0 for mean in means.values())
        return SharedResult(
            reason=reason,
            rounds=self.rounds,
            failed=self.failed,
            last_failure=self.last_failure,
            fidelity=fidelity,
            fidelity_if_local_perfect=(
                math.fsum(self.predicted) / self.rounds if self.rounds else None
            ),
            generators=means,
            fidelity_at_least=bound,
            parties=self.recipe.parties,
            rate_hz=self.rounds / spent_s if spent_s > 0.0 else 0.0,
        )


async def lead(session: Session, recipe: Recipe, wishes: Wishes) -> SharedResult:
    """The centre: make and verify the state, round by round."""
    begun_s = session.time_s
    tally = _Tally(recipe)
    async with AsyncExitStack() as stack:
        fresh = await _fresh_slots(session, stack, len(recipe.qubits_of(session.node)))
        reason = await _rounds(session, recipe, wishes, tally, fresh)
    for party in recipe.others:
        await say_over(session, party, reason)
    return tally.result(reason, session.time_s - begun_s)


async def _rounds(
    session: Session, recipe: Recipe, wishes: Wishes, tally: _Tally, fresh: Sequence[SlotId]
) -> str:
    """All rounds; why there were fewer than wanted, or ""."""
    luck = session.random("elements")
    in_a_row, number, reason = 0, 0, ""
    while tally.rounds < wishes.rounds and not reason:
        generator = None
        chosen = 1 + luck.below((1 << len(recipe.generators)) - 1)
        if luck.uniform() < wishes.generator_prob:
            generator = luck.below(len(recipe.generators))
            chosen = 1 << generator
        try:
            sign, pairs = await _round(session, recipe, wishes, fresh, number, chosen)
            tally.add(generator, sign, pairs)
            in_a_row = 0
        except FAILURES as failed:
            tally.failed += 1
            tally.last_failure = str(failed)
            in_a_row += 1
            if in_a_row > wishes.failures:
                reason = f"{in_a_row} rounds failed in a row, the last one because {failed}"
        number += 1
    return reason


async def _round(
    session: Session,
    recipe: Recipe,
    wishes: Wishes,
    fresh: Sequence[SlotId],
    number: int,
    chosen: int,
) -> tuple[int, Sequence[Pair]]:
    """One round: the sign that was read, and the pairs that the state was made of.

    Raises:
        FAILURES: it does not count; all pairs are given back on both sides.
    """
    sign, letters = element(recipe.generators, chosen)

    def letters_of(party: str) -> str:
        return "".join(letters[qubit] for qubit in recipe.qubits_of(party)) or "I"

    pairs: dict[str, Pair] = {}
    finished = False
    try:
        await _prepare(session, fresh)
        await _gather(session, recipe, wishes, pairs)
        async with AsyncExitStack() as stack:
            extra = await stack.enter_async_context(_slot(session)) if recipe.extra else None
            held = [pairs[party] for party in recipe.others]
            for pair in held:
                pair.check()
            halves = [pair.slot for pair in held]
            kept = halves[0] if extra is None else extra
            join = [*recipe.program(halves, extra), *_grow(kept, fresh)]
            read_out = _read_out((kept, *fresh), letters_of(session.node))
            if not wishes.storage_s:
                join += read_out
            outcomes = await _run(session, join)
            finished = True
            for party, (flip_x, flip_z) in zip(recipe.others, recipe.flips(outcomes), strict=True):
                finish = Finish(number, pairs[party].id, True, flip_x, flip_z, letters_of(party))
                await session.send(party, finish)
            if wishes.storage_s:
                for pair in held:
                    if pair.slot != kept:
                        pair.release()
                await trio.sleep(wishes.storage_s)
                outcomes = await _run(session, read_out)
    finally:
        for party, pair in pairs.items():
            pair.release()
            if not finished:
                await session.send(party, Finish(number, pair.id, False, 0, 0, "I"))
    if sum(outcomes[len(outcomes) - len(read_out) :]) % 2:
        sign = -sign
    for party in recipe.others:
        read = await hear(session, Read, party, wishes.patience_s + wishes.storage_s)
        while read.round < number:
            read = await hear(session, Read, party, wishes.patience_s + wishes.storage_s)
        if not read.held:
            raise PeerSilent(f"{party} did not hold its half of pair {pairs[party].id} any more")
        if read.bit:
            sign = -sign
    return sign, held


async def _gather(session: Session, recipe: Recipe, wishes: Wishes, pairs: dict[str, Pair]) -> None:
    """One pair with each of the others, all asked for at once."""
    store = wishes.store or session.platform.communication_slots < len(recipe.others)
    failures: list[RequestFailed] = []

    async with trio.open_nursery() as nursery:

        async def obtain(party: str) -> None:
            try:
                async with session.request(
                    to=party,
                    minimum_fidelity=wishes.minimum_fidelity,
                    within_s=wishes.pair_within_s,
                    purpose=PURPOSE,
                    store=store,
                ) as stream:
                    async for pair in stream:
                        pairs[party] = pair
            except RequestFailed as failed:
                failures.append(failed)
                nursery.cancel_scope.cancel()

        for party in recipe.others:
            nursery.start_soon(obtain, party)
    if failures:
        raise failures[0]
    for party in recipe.others:
        if party not in pairs:
            raise PeerSilent(f"the pair with {party} expired before it could be used")


def _slot(session: Session) -> AbstractAsyncContextManager[SlotId]:
    """A slot for a qubit of the state that is no half of a pair."""
    return session.memory("memory" if session.platform.memory_slots else "communication")


async def _fresh_slots(session: Session, stack: AsyncExitStack, size: int) -> list[SlotId]:
    """Slots for all qubits of a party but the first, for as long as the stack is open."""
    return [await stack.enter_async_context(_slot(session)) for _ in range(size - 1)]


async def _prepare(session: Session, fresh: Sequence[SlotId]) -> None:
    """Bring the slots into |0>, before there is a pair that would wait for it."""
    await _run(session, [Initialise(slot) for slot in fresh])


def _grow(first: SlotId, fresh: Sequence[SlotId]) -> list[Instruction]:
    """Add fresh qubits to a GHZ state."""
    return [Gate("CNOT", (first, slot)) for slot in fresh]


def _read_out(slots: Sequence[SlotId], letters: str) -> list[Instruction]:
    """Read each slot in its letter; "I" is not read."""
    return [
        Measure(slot, letter) for slot, letter in zip(slots, letters, strict=True) if letter != "I"
    ]


async def _run(session: Session, steps: Sequence[Instruction]) -> tuple[int, ...]:
    """Outcomes of these instructions; nothing is done for none."""
    return await session.run(Program(tuple(steps))) if steps else ()


class FollowResult(msgspec.Struct, frozen=True):
    """What another party saw: halves read or corrected, halves that were not there, why it ended early."""

    finished: int
    missing: int
    reason: str


async def follow(
    session: Session, centre: str, patience_s: float, size: int = 1, storage_s: float = 0.0
) -> FollowResult:
    """Another party: hold halves, correct and read them as the centre says.

    Args:
        session: of this node.
        centre: who leads.
        patience_s: as in :class:`Wishes`.
        size: how many qubits of the state this party has.
        storage_s: how long it keeps them before it reads.
    """
    counts = {True: 0, False: 0}
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        fresh = await _fresh_slots(session, stack, size)
        holding = Holding(nursery, patience_s)

        async def collect() -> None:
            async with session.accept(from_=centre, purpose=PURPOSE, requests=None) as stream:
                await holding.collect(stream)

        async def answer() -> None:
            await _prepare(session, fresh)
            while True:
                finish = await session.receive(Finish, centre)
                if not finish.use:
                    holding.drop(finish.pair)
                    continue
                pair = await holding.take(finish.pair, patience_s / 2.0)
                held, bit = False, 0
                if pair is not None and not pair.expired:
                    held, bit = True, await _finish(session, pair, fresh, finish, storage_s)
                counts[held] += 1
                await session.send(centre, Read(finish.round, held, bit))
                await _prepare(session, fresh)

        nursery.start_soon(collect)
        reason = await serve(session, centre, answer, 0.0)
        holding.drop_all()
        nursery.cancel_scope.cancel()
    return FollowResult(counts[True], counts[False], reason)


async def _finish(
    session: Session, pair: Pair, fresh: Sequence[SlotId], finish: Finish, storage_s: float
) -> int:
    """Correct one half, add the fresh qubits, keep and read them: the XOR of the bits."""
    steps: list[Instruction] = []
    if finish.flip_x ^ pair.label[0]:
        steps.append(Gate("X", (pair.slot,)))
    if finish.flip_z ^ pair.label[1]:
        steps.append(Gate("Z", (pair.slot,)))
    steps += _grow(pair.slot, fresh)
    read_out = _read_out((pair.slot, *fresh), finish.letter)
    if storage_s:
        await _run(session, steps)
        await trio.sleep(storage_s)
        steps = []
    outcomes = await _run(session, [*steps, *read_out])
    pair.release()
    return sum(outcomes) % 2
