"""CNOT or CZ between qubits of two nodes, over one pair and two classical bits; its process fidelity.

Theory
    Control c here, target t there, a pair (a, b) with label (x, z) between: CNOT c -> a, read a in Z (m1);
    there X^(m1 xor x) on b, CNOT b -> t or CZ(b, t), read b in X (m2); here Z^(m2 xor z) on c [1], physics
    reference A5.4. From a Bell-diagonal pair of fidelity F and perfect local operations the process
    fidelity of the gate is F, its average fidelity (4F + 1)/5.

    The process fidelity is the mean over all 16 pairs of Pauli operators P of tr(U P U^dagger E(P))/16 [2],
    and E(P) follows from product eigenstates of P: each round draws one of the 15 P other than the identity
    and an eigenstate with eigenvalue s, applies the gate and reads the Pauli pair U P U^dagger = +-Q, so

        F_process = 1/16 + 15/16 mean(+- s Q),    sigma = 15/16 sqrt((1 - mean^2)/N).

    One data qubit per node is enough, and no state is assumed.
Early, late, impossible
    Messages name the round and the pair, and pairs are held by their id. If the other end does not hold the
    pair, the round does not count; an answer about an earlier round is late, and ignored.
Assumptions and validity
    Both processors have a memory slot and gates between it and the communication slots. The fidelity found
    includes preparation and read-out of the test states.
Not modelled
    Chains of remote gates on the same qubits; taking errors of preparation and read-out out of the figure.
Units
    Dimensionless; simulated seconds.
Sources
    [1] Eisert, Jacobs, Papadopoulos, Plenio, "Optimal local implementation of nonlocal quantum gates", Phys.
        Rev. A 62, 052317 (2000), doi 10.1103/PhysRevA.62.052317.
    [2] Flammia, Liu, "Direct fidelity estimation from few Pauli measurements", Phys. Rev. Lett. 106, 230501
        (2011), doi 10.1103/PhysRevLett.106.230501; Nielsen, Phys. Lett. A 303, 249 (2002).
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Final, Literal

import msgspec
import trio

from qnet.ids import PairId, SlotId
from qnet.machine import Message
from qnet.physics.gates import average_from_process
from qnet.physics.remote_gates import process_fidelity
from qnet.program import Gate, Instruction, Measure, Program
from qnet.runtime.session import LONGEST_S, Pair, Session
from qnet.seams import App
from qnet_protocols.apps.rounds import Bit, Estimated, Patience, Share
from qnet_protocols.apps.stabilisers import Letters, multiply
from qnet_protocols.apps.teleport import STATES, prepare
from qnet_protocols.apps.waiting import (
    FAILURES,
    Holding,
    Over,
    PeerSilent,
    hear,
    say_over,
    serve,
)

GateName = Literal["CNOT", "CZ"]
State = Annotated[int, msgspec.Meta(ge=0, lt=len(STATES))]
_IMAGES: Final[dict[str, dict[str, Letters]]] = {
    "CNOT": {"XI": ("X", "X"), "ZI": ("Z", "I"), "IX": ("I", "X"), "IZ": ("Z", "Z")},
    "CZ": {"XI": ("X", "Z"), "ZI": ("Z", "I"), "IX": ("Z", "X"), "IZ": ("I", "Z")},
}
"""U P U^dagger of X and Z on control and target."""


class RemoteGateParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``remote-gate``.

    Attributes:
        from_node: who has the control and asks for the pairs.
        to_node: who has the target, any node that a path of links reaches.
        gate: "CNOT" or "CZ".
        rounds: how many gates shall be verified, >= 1; each uses up one pair.
        minimum_fidelity: lowest acceptable claimed fidelity of the pairs, 0..1.
        within_s: simulated seconds for all pairs of a request; 0 = no limit.
        failures: after more failures than this in a row the asker gives up.
        patience_s: how long to wait for a message, and to hold a half that nobody asks for.
    """

    from_node: str = "alice"
    to_node: str = "bob"
    gate: GateName = "CNOT"
    rounds: Annotated[int, msgspec.Meta(ge=1)] = 1000
    minimum_fidelity: Share = 0.0
    within_s: Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_S)] = 0.0
    failures: Annotated[int, msgspec.Meta(ge=0)] = 20
    patience_s: Patience = 60.0


class Fused(Message, frozen=True):
    """Control to target: bit m1 of this pair; which state to prepare, which letter to read."""

    kind: ClassVar[str] = "app.remote-gate/fused@1"
    round: Annotated[int, msgspec.Meta(ge=0)]
    pair: PairId
    parity: Bit
    state: State
    letter: str


class Applied(Message, frozen=True):
    """Target to control: bit m2 in the frame of Phi+, and the bit read; ``held`` false: no pair, no gate."""

    kind: ClassVar[str] = "app.remote-gate/applied@1"
    round: Annotated[int, msgspec.Meta(ge=0)]
    held: bool
    phase: Bit
    bit: Bit


class RemoteGateResult(msgspec.Struct, frozen=True):
    """What the asker knows in the end.

    Attributes:
        reason: why there were fewer rounds than wanted, "" if there were not.
        rounds: gates that count.
        failed: how often a pair or a request failed, and how last.
        process_fidelity: with preparation and read-out of the test states in it; None without rounds.
        average_fidelity: (4 F_process + 1)/5.
        process_fidelity_if_local_perfect: what the claims of the pairs promise (:mod:`qnet.physics.remote_gates`).
        average_fidelity_if_local_perfect: of that.
    """

    reason: str
    rounds: int
    failed: int
    last_failure: str
    process_fidelity: Estimated | None
    average_fidelity: float | None
    process_fidelity_if_local_perfect: float | None
    average_fidelity_if_local_perfect: float | None


class GateTest(msgspec.Struct, frozen=True):
    """One test of a gate.

    Attributes:
        states: of control and target, indices into ``teleport.STATES``.
        sign: s, times the sign of Q.
        letters: Q.
    """

    states: tuple[int, int]
    sign: int
    letters: Letters


def conjugate(gate: str, letters: Letters) -> tuple[int, Letters]:
    """U P U^dagger: sign and letters."""
    images = _IMAGES[gate]
    power = 0
    out: Letters = ("I", "I")
    for place, letter in enumerate(letters):
        for one in {"I": "", "X": "X", "Y": "XZ", "Z": "Z"}[letter]:
            more, out = multiply(out, images[one + "I" if place == 0 else "I" + one])
            power += more
        power += letter == "Y"  # Y = i X Z
    assert power % 2 == 0, "the image of a Pauli operator is hermitian"
    return 1 - power % 4, out


def gate_test(gate: str, chosen: int, bits: tuple[int, int]) -> GateTest:
    """Test number ``chosen`` (1 .. 15) with the eigenstates that ``bits`` choose."""
    letters = ("IXYZ"[chosen // 4], "IXYZ"[chosen % 4])
    sign, image = conjugate(gate, letters)
    states = []
    for letter, bit in zip(letters, bits, strict=True):
        states.append(2 * "ZXY".index("Z" if letter == "I" else letter) + bit)
        if bit and letter != "I":
            sign = -sign
    return GateTest((states[0], states[1]), sign, image)


async def control(session: Session) -> RemoteGateResult:
    """Ask for pairs; make and verify one gate with each."""
    wanted: RemoteGateParameters = session.parameters
    signs: list[int] = []
    claims: list[float] = []
    failed, in_a_row, number = 0, 0, 0
    last_failure = reason = ""
    async with session.memory() as data:
        while len(signs) < wanted.rounds and not reason:
            try:
                async with session.request(
                    to=wanted.to_node,
                    pairs=wanted.rounds - len(signs),
                    minimum_fidelity=wanted.minimum_fidelity,
                    within_s=wanted.within_s,
                ) as stream:
                    async for pair in stream:
                        number += 1
                        signs.append(await _gate(session, data, pair, number))
                        claims.append(process_fidelity(pair.correlators, wanted.gate))
                        in_a_row = 0
            except FAILURES as caught:
                failed, in_a_row, last_failure = failed + 1, in_a_row + 1, str(caught)
                if in_a_row > wanted.failures:
                    reason = f"{in_a_row} failures in a row, the last one: {caught}"
    await say_over(session, wanted.to_node, reason)
    return _result(reason, signs, claims, failed, last_failure)


async def _gate(session: Session, data: SlotId, pair: Pair, number: int) -> int:
    """One gate on prepared inputs; the sign that was read.

    Raises:
        PairExpired, PeerSilent: the round does not count.
    """
    wanted: RemoteGateParameters = session.parameters
    luck = session.random("tests")
    test = gate_test(wanted.gate, 1 + luck.below(15), (luck.below(2), luck.below(2)))
    try:
        pair.check()
        fuse = (Gate("CNOT", (data, pair.slot)), Measure(pair.slot))
        (parity,) = await session.run(Program((*prepare(data, test.states[0]), *fuse)))
    finally:
        pair.release()
    fused = Fused(number, pair.id, parity, test.states[1], test.letters[1])
    await session.send(pair.remote, fused)
    answer = await hear(session, Applied, pair.remote, wanted.patience_s)
    while answer.round < number:
        answer = await hear(session, Applied, pair.remote, wanted.patience_s)
    if not answer.held:
        raise PeerSilent(f"{pair.remote} did not hold its half of pair {pair.id} any more")
    program: list[Instruction] = [Gate("Z", (data,))] if answer.phase else []
    if test.letters[0] != "I":
        program.append(Measure(data, test.letters[0]))
    outcomes = await session.run(Program(tuple(program))) if program else ()
    return test.sign * (1 - 2 * ((outcomes[0] if outcomes else 0) ^ answer.bit))


class TargetResult(msgspec.Struct, frozen=True):
    """What the target's node saw: gates, pairs that were not there, why it ended early."""

    applied: int
    missing: int
    reason: str


async def target(session: Session) -> TargetResult:
    """Apply the other half of every gate, and read the target."""
    wanted: RemoteGateParameters = session.parameters
    counts = [0, 0]
    async with session.memory() as data, trio.open_nursery() as nursery:
        holding = Holding(nursery, wanted.patience_s)

        async def collect() -> None:
            async with session.accept(from_=wanted.from_node, requests=None) as stream:
                await holding.collect(stream)

        async def answer() -> None:
            while True:
                fused = await session.receive(Fused, wanted.from_node)
                pair = await holding.take(fused.pair, wanted.patience_s / 2.0)
                if pair is None or pair.expired:
                    applied = Applied(fused.round, False, 0, 0)
                else:
                    applied = await _apply(session, data, pair, fused)
                counts[not applied.held] += 1
                await session.send(wanted.from_node, applied)

        nursery.start_soon(collect)
        reason = await serve(session, wanted.from_node, answer, 0.0)
        holding.drop_all()
        nursery.cancel_scope.cancel()
    return TargetResult(counts[0], counts[1], reason)


async def _apply(session: Session, data: SlotId, pair: Pair, fused: Fused) -> Applied:
    wanted: RemoteGateParameters = session.parameters
    program = list(prepare(data, fused.state))
    if fused.parity ^ pair.label[0]:
        program.append(Gate("X", (pair.slot,)))
    program += [Gate(wanted.gate, (pair.slot, data)), Measure(pair.slot, "X")]
    if fused.letter != "I":
        program.append(Measure(data, fused.letter))
    phase, *bits = await session.run(Program(tuple(program)))
    pair.release()
    return Applied(fused.round, True, phase ^ pair.label[1], bits[0] if bits else 0)


def _result(
    reason: str, signs: list[int], claims: list[float], failed: int, last_failure: str
) -> RemoteGateResult:
    count = len(signs)
    if not count:
        return RemoteGateResult(reason, 0, failed, last_failure, None, None, None, None)
    mean = sum(signs) / count
    process = (1.0 + 15.0 * mean) / 16.0
    stderr = 15.0 / 16.0 * math.sqrt(max(0.0, 1.0 - mean * mean) / count)
    claimed = math.fsum(claims) / count
    return RemoteGateResult(
        reason,
        count,
        failed,
        last_failure,
        Estimated(process, stderr, count),
        average_from_process(process, 2),
        claimed,
        average_from_process(claimed, 2),
    )


APP = App(
    name="remote-gate",
    title="CNOT or CZ between qubits of two nodes",
    roles={"control": control, "target": target},
    place={"control": "from_node", "target": "to_node"},
    parameters=RemoteGateParameters,
    messages=(Fused, Applied, Over),
)
