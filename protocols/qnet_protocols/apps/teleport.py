"""Teleportation of known test states, so that the receiver can say how often it went right.

Theory
    The sender prepares one of the six cardinal states in a memory slot, drawn anew each time, and
    makes a Bell measurement of it with its half of a pair: CNOT, H, two read-outs, one program.
    Phase bit and parity bit travel to the receiver as a classical message. Together with the label
    (x, z) of the pair they tell the receiver what to undo: X if parity xor x, Z if phase xor z [1].

    For verification only, the message also says which state was prepared: the receiver measures in
    its basis, in the same program as the correction, and counts. The six states average to the
    mean over all pure states, so the fraction right is (2F + 1)/3 for a pair of fidelity F with
    perfect local operations [2]; without entanglement it cannot exceed 2/3.
Early, late, impossible
    Pairs and messages are matched by the id of the pair: over a path they come at different
    instants, and pairs may overtake one another. A message is *early* if its pair has not come yet,
    and waits for it, bounded by the patience. A pair whose message never comes is given back, as is
    one that expires; what the receiver could not verify is *lost* in the sender's count.
Assumptions and validity
    The sender's processor has a memory slot and gates between it and the communication slots.
Not modelled
    Moving the receiver's half into a memory slot while the bits are under way.
Sources
    [1] Bennett et al., "Teleporting an unknown quantum state via dual classical and
        Einstein-Podolsky-Rosen channels", Phys. Rev. Lett. 70, 1895 (1993),
        doi 10.1103/PhysRevLett.70.1895.
    [2] Horodecki, Horodecki, Horodecki, "General teleportation channel, singlet fraction, and
        quasidistillation", Phys. Rev. A 60, 1888 (1999), doi 10.1103/PhysRevA.60.1888.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import msgspec
import trio

from qnet.ids import PairId, SlotId
from qnet.machine import Message
from qnet.physics.teleportation import CLASSICAL_LIMIT
from qnet.program import Gate, Initialise, Instruction, Measure, Program, bell_measurement
from qnet.runtime.session import Pair, Session
from qnet.seams import App
from qnet_protocols.apps.rounds import Patience
from qnet_protocols.apps.waiting import FAILURES, Over, hear, say_over, serve


@dataclass(frozen=True)
class CardinalState:
    """One of the six: the gate that makes it from |0>, its basis, the bit that is then certain."""

    name: str
    gate: str
    angle_rad: float | None
    basis: str
    bit: int


STATES: Final = (
    CardinalState("0", "", None, "Z", 0),
    CardinalState("1", "X", None, "Z", 1),
    CardinalState("+", "RY", math.pi / 2, "X", 0),
    CardinalState("-", "RY", -math.pi / 2, "X", 1),
    CardinalState("+i", "RX", -math.pi / 2, "Y", 0),
    CardinalState("-i", "RX", math.pi / 2, "Y", 1),
)
"""The six cardinal states, each at most one gate away from |0>."""

Bit = Annotated[int, msgspec.Meta(ge=0, le=1)]
Counts = Annotated[
    tuple[Annotated[int, msgspec.Meta(ge=0)], ...],
    msgspec.Meta(min_length=len(STATES), max_length=len(STATES)),
]
"""One number per state."""


class TeleportParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``teleport``.

    Attributes:
        from_node: who sends states.
        to_node: who receives them, any node that a path of links reaches.
        pairs: how many teleportations, >= 1; each uses up one pair.
        minimum_fidelity: lowest acceptable claimed fidelity, 0..1.
        one_request_each: ask for each pair by itself, not for all of them in one request.
        patience_s: how long to wait for a pair, or for the message about it.
    """

    from_node: str = "alice"
    to_node: str = "bob"
    pairs: Annotated[int, msgspec.Meta(ge=1)] = 1000
    minimum_fidelity: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.0
    one_request_each: bool = False
    patience_s: Patience = 60.0


class Measured(Message, frozen=True):
    """Sender to receiver: the two bits of the Bell measurement with this pair.

    Attributes:
        pair: which pair was used up.
        phase: outcome of the input qubit (correct with Z).
        parity: outcome of the sender's half (correct with X).
        state: index in :data:`STATES` of what was sent, for verification only.
    """

    kind: ClassVar[str] = "app.teleport/measured@1"
    pair: PairId
    phase: Bit
    parity: Bit
    state: Annotated[int, msgspec.Meta(ge=0, lt=len(STATES))]


class Verified(Message, frozen=True):
    """Receiver to sender, at the end: trials and right outcomes per state of :data:`STATES`."""

    kind: ClassVar[str] = "app.teleport/verified@1"
    trials: Counts
    right: Counts


class TeleportResult(msgspec.Struct, frozen=True):
    """What the sender knows in the end.

    Attributes:
        teleported: how many states were sent and verified.
        lost: how many were sent and not verified.
        error: why fewer than wanted were sent or verified, "" if they were not.
        fraction_right: share of verifications with the expected outcome; None without any.
        stderr: its standard error, binomial.
        trials, right: by name of the state.
        mean_goodness: mean claimed fidelity of the pairs; None without any.
        fraction_if_local_perfect: (2F + 1)/3 of that, perfect local operations.
        classical_limit: what could be had without entanglement.
    """

    teleported: int
    lost: int
    error: str
    fraction_right: float | None
    stderr: float | None
    trials: dict[str, int]
    right: dict[str, int]
    mean_goodness: float | None
    fraction_if_local_perfect: float | None
    classical_limit: float


async def sender(session: Session) -> TeleportResult:
    """Teleport states over pairs as they come; then hear from the receiver how it went."""
    wanted: TeleportParameters = session.parameters
    luck = session.random("states")
    requests, pairs_each = (wanted.pairs, 1) if wanted.one_request_each else (1, wanted.pairs)
    claims: list[float] = []
    error = ""
    verified = Verified((0,) * len(STATES), (0,) * len(STATES))
    async with session.memory() as data:
        try:
            for _ in range(requests):
                async with session.request(
                    to=wanted.to_node, pairs=pairs_each, minimum_fidelity=wanted.minimum_fidelity
                ) as pairs:
                    async for pair in pairs:
                        claims.append(pair.goodness)
                        await teleport(session, data, pair, luck.below(len(STATES)))
        except FAILURES as failed:
            error = str(failed)
    await say_over(session, wanted.to_node, error)
    try:
        verified = await hear(session, Verified, wanted.to_node, 4.0 * wanted.patience_s)
    except FAILURES as failed:
        error = error or str(failed)
    return _result(verified, claims, error)


async def teleport(session: Session, data: SlotId, pair: Pair, state: int) -> None:
    """Prepare a state in slot ``data``, measure it away with the pair, and send the two bits."""
    pair.check()
    program = Program((*prepare(data, state), *bell_measurement(data, pair.slot).instructions))
    phase, parity = await session.run(program)
    pair.release()
    await session.send(pair.remote, Measured(pair.id, phase, parity, state))


class _Counts:
    """Messages that wait for their pair, and what was verified."""

    def __init__(self) -> None:
        self.trials = [0] * len(STATES)
        self.right = [0] * len(STATES)
        self._measured: dict[PairId, Measured] = {}
        self._more = trio.Condition()

    async def collect(self, session: Session, from_: str) -> None:
        """Take every message in."""
        while True:
            measured = await session.receive(Measured, from_)
            async with self._more:
                self._measured[measured.pair] = measured
                self._more.notify_all()

    async def verify(self, session: Session, pair: Pair, within_s: float) -> None:
        """Wait for the message about one pair, correct and count."""
        with trio.move_on_after(within_s):
            async with trio.open_nursery() as nursery:

                async def until_expired() -> None:
                    await pair.wait_expired()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(until_expired)
                async with self._more:
                    while pair.id not in self._measured:
                        await self._more.wait()
                nursery.cancel_scope.cancel()
        measured = self._measured.pop(pair.id, None)
        if measured is None or pair.expired:
            pair.release()
            return
        right = await _verify(session, pair, measured)
        self.trials[measured.state] += 1
        self.right[measured.state] += right


async def receiver(session: Session) -> int:
    """Undo what the two bits say, verify, and report the counts; the number of states received."""
    wanted: TeleportParameters = session.parameters
    counts = _Counts()
    requests = wanted.pairs if wanted.one_request_each else 1
    async with trio.open_nursery() as listening:
        listening.start_soon(counts.collect, session, wanted.from_node)

        async def take() -> None:
            accepted = session.accept(from_=wanted.from_node, requests=requests)
            async with trio.open_nursery() as nursery, accepted as pairs:
                async for pair in pairs:
                    nursery.start_soon(counts.verify, session, pair, wanted.patience_s)

        await serve(session, wanted.from_node, take, 2.0 * wanted.patience_s)
        listening.cancel_scope.cancel()
    trials, right = tuple(counts.trials), tuple(counts.right)
    await session.send(wanted.from_node, Verified(trials, right))
    return sum(trials)


async def _verify(session: Session, pair: Pair, measured: Measured) -> bool:
    """Correct and read in one program; whether the outcome is the one that is certain."""
    state = STATES[measured.state]
    gates = correction(pair.slot, measured.phase, measured.parity, pair.label)
    (bit,) = await session.run(Program((*gates, Measure(pair.slot, state.basis))))
    pair.release()
    return bit == state.bit


def prepare(slot: SlotId, state: int) -> tuple[Instruction, ...]:
    """Instructions that put state number ``state`` of :data:`STATES` into a slot."""
    chosen = STATES[state]
    start = Initialise(slot)
    if not chosen.gate:
        return (start,)
    return (start, Gate(chosen.gate, (slot,), angle_rad=chosen.angle_rad))


def correction(slot: SlotId, phase: int, parity: int, label: tuple[int, int]) -> tuple[Gate, ...]:
    """Gates that undo what a pair of this label and the two outcomes did to the state."""
    gates = []
    if parity ^ label[0]:
        gates.append(Gate("X", (slot,)))
    if phase ^ label[1]:
        gates.append(Gate("Z", (slot,)))
    return tuple(gates)


def _result(verified: Verified, claims: Sequence[float], error: str) -> TeleportResult:
    count = sum(verified.trials)
    fraction = sum(verified.right) / count if count else None
    names = [state.name for state in STATES]
    goodness = math.fsum(claims) / len(claims) if claims else None
    return TeleportResult(
        teleported=count,
        lost=len(claims) - count,
        error=error,
        fraction_right=fraction,
        stderr=None if fraction is None else math.sqrt(fraction * (1.0 - fraction) / count),
        trials=dict(zip(names, verified.trials, strict=True)),
        right=dict(zip(names, verified.right, strict=True)),
        mean_goodness=goodness,
        fraction_if_local_perfect=None if goodness is None else (2.0 * goodness + 1.0) / 3.0,
        classical_limit=CLASSICAL_LIMIT,
    )


APP = App(
    name="teleport",
    title="teleportation of test states to another node",
    roles={"sender": sender, "receiver": receiver},
    place={"sender": "from_node", "receiver": "to_node"},
    parameters=TeleportParameters,
    messages=(Measured, Verified, Over),
)
