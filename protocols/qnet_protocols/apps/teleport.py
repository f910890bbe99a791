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
    Pairs and messages come in the order of the pairs. A message about another pair than the one
    in hand is impossible on channels that keep order and raises
    :class:`~qnet.errors.RemoteProtocolError`.
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
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import msgspec

from qnet.errors import RemoteProtocolError
from qnet.ids import PairId, SlotId
from qnet.machine import Message
from qnet.physics.teleportation import CLASSICAL_LIMIT
from qnet.program import Gate, Initialise, Instruction, Measure, Program, bell_measurement
from qnet.runtime.session import Pair, Session
from qnet.seams import App


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
        to_node: who receives them; a neighbour.
        pairs: how many teleportations, >= 1; each uses up one pair.
        minimum_fidelity: lowest acceptable claimed fidelity, 0..1.
        one_request_each: ask for each pair by itself, not for all of them in one request.
    """

    from_node: str = "alice"
    to_node: str = "bob"
    pairs: Annotated[int, msgspec.Meta(ge=1)] = 1000
    minimum_fidelity: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.0
    one_request_each: bool = False


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
        fraction_right: share of verifications with the expected outcome.
        stderr: its standard error, binomial.
        trials, right: by name of the state.
        mean_goodness: mean claimed fidelity of the pairs.
        fraction_if_local_perfect: (2F + 1)/3 of that, perfect local operations.
        classical_limit: what could be had without entanglement.
    """

    teleported: int
    fraction_right: float
    stderr: float
    trials: dict[str, int]
    right: dict[str, int]
    mean_goodness: float
    fraction_if_local_perfect: float
    classical_limit: float


async def sender(session: Session) -> TeleportResult:
    """Teleport states over pairs as they come; then hear from the receiver how it went."""
    wanted: TeleportParameters = session.parameters
    luck = session.random("states")
    requests, pairs_each = (wanted.pairs, 1) if wanted.one_request_each else (1, wanted.pairs)
    claims: list[float] = []
    async with session.memory() as data:
        for _ in range(requests):
            async with session.request(
                to=wanted.to_node, pairs=pairs_each, minimum_fidelity=wanted.minimum_fidelity
            ) as pairs:
                async for pair in pairs:
                    claims.append(pair.goodness)
                    await teleport(session, data, pair, luck.below(len(STATES)))
    verified = await session.receive(Verified)
    return _result(verified, math.fsum(claims) / len(claims))


async def teleport(session: Session, data: SlotId, pair: Pair, state: int) -> None:
    """Prepare a state in slot ``data``, measure it away with the pair, and send the two bits."""
    pair.check()
    program = Program((*prepare(data, state), *bell_measurement(data, pair.slot).instructions))
    phase, parity = await session.run(program)
    pair.release()
    await session.send(pair.remote, Measured(pair.id, phase, parity, state))


async def receiver(session: Session) -> int:
    """Undo what the two bits say, verify, and report the counts; the number of states received."""
    wanted: TeleportParameters = session.parameters
    trials = [0] * len(STATES)
    right = [0] * len(STATES)
    requests = wanted.pairs if wanted.one_request_each else 1
    async with session.accept(from_=wanted.from_node, requests=requests) as pairs:
        async for pair in pairs:
            measured = await session.receive(Measured)
            if measured.pair != pair.id:
                raise RemoteProtocolError(
                    f"{Measured.kind} from {pair.remote} must be about pair {pair.id}, got one "
                    f"about {measured.pair}, at {session.now} ps"
                )
            trials[measured.state] += 1
            right[measured.state] += await _verify(session, pair, measured)
    await session.send(wanted.from_node, Verified(tuple(trials), tuple(right)))
    return sum(trials)


async def _verify(session: Session, pair: Pair, measured: Measured) -> bool:
    """Correct and read in one program; whether the outcome is the one that is certain."""
    pair.check()
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


def _result(verified: Verified, goodness: float) -> TeleportResult:
    count = sum(verified.trials)
    fraction = sum(verified.right) / count
    names = [state.name for state in STATES]
    return TeleportResult(
        teleported=count,
        fraction_right=fraction,
        stderr=math.sqrt(fraction * (1.0 - fraction) / count),
        trials=dict(zip(names, verified.trials, strict=True)),
        right=dict(zip(names, verified.right, strict=True)),
        mean_goodness=goodness,
        fraction_if_local_perfect=(2.0 * goodness + 1.0) / 3.0,
        classical_limit=CLASSICAL_LIMIT,
    )


APP = App(
    name="teleport",
    title="teleportation of test states to a neighbour",
    roles={"sender": sender, "receiver": receiver},
    place={"sender": "from_node", "receiver": "to_node"},
    parameters=TeleportParameters,
    messages=(Measured, Verified),
)
