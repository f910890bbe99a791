"""GHZ states of qubits of one processor, made by its own gates and measured by random stabilisers.

Theory
    H on the first slot, then for every other slot, in the order given, CNOT from the earlier slot that has the
    best gate with it (the latest of equals) make (|0..0> + |1..1>)/sqrt2. Where a slot interacts with none
    before it, its control is the first slot, and qubits go a detour (:func:`qnet.couplings.routed`).

    The fidelity is the mean of the 2^n elements of the stabiliser group (:mod:`.stabilisers`). Each round
    makes one state and reads one element, drawn uniformly among all but the identity, all qubits at the same
    time. A qubit that reads b stands for

        ((-1)^b - (e1 - e0)) / ((1 - e0 - e1) k),

    with e0, e1 the errors of the read-out and k = 1 - lambda of the pulse that turns X or Y into Z (1 for Z):
    its mean is that of the qubit. The product over the qubits of an element estimates the element; such
    an estimate exceeds 1 in size, so its standard error is that of the samples.
Assumptions and validity
    Errors of read-outs are independent. Decay during the pulse before the read-out counts as the state's.
Not modelled
    Parallel gates: the gates of a program run one after another.
Sources
    [1] Flammia, Liu, Phys. Rev. Lett. 106, 230501 (2011), doi 10.1103/PhysRevLett.106.230501.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Final

import msgspec
import trio

from qnet.errors import LocalProtocolError
from qnet.hardware import Platform
from qnet.ids import SlotId
from qnet.physics.native import pulse_factor
from qnet.program import Gate, Initialise, Instruction, Measure, Program
from qnet.runtime.session import Session
from qnet.seams import App
from qnet_protocols.apps.rounds import Estimated
from qnet_protocols.apps.stabilisers import element, ghz_generators

TURNS: Final = {"X": "H", "Y": "RX"}
"""The pulse before a read-out in another basis than Z."""


class LocalGhzParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``local-ghz``.

    Attributes:
        node: whose processor.
        slots: that take part, 2 to 10 different ones, in the order in which they join.
        spare: more slots, through which qubits may go.
        rounds: how many states shall be made and measured, >= 2.
    """

    node: str = "alice"
    slots: Annotated[tuple[int, ...], msgspec.Meta(min_length=2, max_length=10)] = (0, 1, 2)
    spare: tuple[int, ...] = ()
    rounds: Annotated[int, msgspec.Meta(ge=2)] = 1000

    def __post_init__(self) -> None:
        """Refuse slots that are named twice, and such as no processor has."""
        every = (*self.slots, *self.spare)
        if len(set(every)) != len(every) or min(every) < 0:
            raise ValueError(f"slots must be different numbers from 0, got {list(every)}")


class LocalGhzResult(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        fidelity: estimate, errors of read-out taken out.
        joined: control and target of every CNOT.
        state_s: how long a state takes to make, from fresh qubits.
    """

    fidelity: Estimated
    joined: tuple[tuple[int, int], ...]
    state_s: float


def joining(platform: Platform, slots: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Control and target of every CNOT, in order."""
    out = []
    for place, target in enumerate(slots[1:], 1):
        near = [
            (gate.fidelity, index, control)
            for index, control in enumerate(slots[:place])
            if (gate := platform.gate_between(control, target)) is not None
        ]
        out.append((max(near)[2] if near else slots[0], target))
    return tuple(out)


def preparation(platform: Platform, slots: Sequence[int]) -> Program:
    """The gates, on fresh qubits."""
    steps: list[Instruction] = [Gate("H", (SlotId(slots[0]),))]
    for control, target in joining(platform, slots):
        steps.append(Gate("CNOT", (SlotId(control), SlotId(target))))
    return Program(tuple(steps))


async def _hold(session: Session, wanted: Sequence[int], held: AsyncExitStack) -> None:
    """Take slots of the node until the wanted ones are among them."""
    platform = session.platform
    if max(wanted) >= platform.slots:
        raise LocalProtocolError(
            f"slots must be < {platform.slots}, those of {session.node}, got {max(wanted)}"
        )
    for role in ("communication", "memory"):
        missing = {slot for slot in wanted if platform.role_of(slot) == role}
        while missing:
            missing.discard(await held.enter_async_context(session.memory(role)))


async def _together(session: Session, steps: Sequence[Initialise | Measure]) -> list[int]:
    """Run one instruction on each of some slots, all at the same time; outcomes in order."""
    outcomes: dict[int, tuple[int, ...]] = {}

    async def run(index: int, step: Initialise | Measure) -> None:
        outcomes[index] = await session.run(Program((step,)))

    async with trio.open_nursery() as nursery:
        for index, step in enumerate(steps):
            nursery.start_soon(run, index, step)
    return [outcome for index in range(len(steps)) for outcome in outcomes[index]]


def _value(platform: Platform, letter: str, bit: int) -> float:
    """What a qubit that reads ``bit`` in a basis stands for."""
    errors = platform.readout.error_0_prob, platform.readout.error_1_prob
    kept = pulse_factor(platform, TURNS[letter]) if letter in TURNS else 1.0
    contrast = (1.0 - sum(errors)) * kept
    return (1.0 - 2.0 * bit - (errors[1] - errors[0])) / contrast


async def maker(session: Session) -> LocalGhzResult:
    """Make and measure."""
    wanted: LocalGhzParameters = session.parameters
    platform, slots = session.platform, [SlotId(slot) for slot in wanted.slots]
    spare = [SlotId(slot) for slot in wanted.spare]
    generators = ghz_generators(len(slots))
    gates = preparation(platform, slots)
    luck = session.random("elements")
    samples: list[float] = []
    state_s = 0.0
    async with AsyncExitStack() as held:
        await _hold(session, (*slots, *spare), held)
        for _ in range(wanted.rounds):
            await _together(session, [Initialise(slot) for slot in slots])
            began_s = session.time_s
            await session.run(gates, spare)
            state_s = session.time_s - began_s
            chosen = 1 + int(luck.uniform() * ((1 << len(slots)) - 1))
            sign, letters = element(generators, chosen)
            read = [(slot, one) for slot, one in zip(slots, letters, strict=True) if one != "I"]
            bits = await _together(session, [Measure(slot, one) for slot, one in read])
            values = (_value(platform, one, bit) for (_, one), bit in zip(read, bits, strict=True))
            samples.append(sign * math.prod(values))
    mean = math.fsum(samples) / len(samples)
    spread = math.fsum((one - mean) ** 2 for one in samples) / (len(samples) - 1)
    share = 0.5 ** len(slots)
    fidelity = Estimated(
        share + (1.0 - share) * mean,
        (1.0 - share) * math.sqrt(spread / len(samples)),
        len(samples),
    )
    return LocalGhzResult(fidelity, joining(platform, slots), state_s)


APP = App(
    name="local-ghz",
    title="GHZ states of qubits of one processor, by its own gates",
    roles={"maker": maker},
    place={"maker": "node"},
    parameters=LocalGhzParameters,
)
