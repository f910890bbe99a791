"""CHSH game: two nodes measure their halves with random settings and compute the Bell sum S.

Theory
    Both ends draw a setting per pair, alone: Alice from {Z, X}, Bob from {(Z+X)/sqrt2,
    (Z-X)/sqrt2}. With E the mean product of the outcomes +-1 for one choice of settings,

        S = E(Z, B0) + E(Z, B1) + E(X, B0) - E(X, B1).

    Local hidden variables obey |S| <= 2 [1]; a pair with correlators (a, b, c) gives
    S = sqrt2 (a + c), at most 2 sqrt2. Bob turns his half by RY and reads Z. The label (x, z) of
    a pair stands in Alice's book only: a bit flip reverses her Z, a phase flip her X.

    Bob sends settings and outcomes in batches; Alice matches them by the id of the pair.
Early, late, impossible
    Pairs may come at the two ends at different instants and in another order: nothing is matched by
    order. A pair that one end alone measured does not count. If a request fails, or the other end is
    not heard from within the patience, the result says so and counts what there is.
What the claim predicts
    Alice knows the claimed fidelity F, not the state. With perfect local operations
    2 sqrt2 (2F - 1) <= S <= 2 sqrt2 F: from a + c = 4F - 1 - b with 2F - 1 <= b <= 1. A Werner
    state gives 2 sqrt2 (4F - 1)/3, between the two. Noisy gates and read-out lower S further; the
    requester does not know them, so they are not part of the prediction.
Assumptions and validity
    Fair sampling: every delivered pair counts, pairs lost after their announcement do not. The
    standard error is binomial and assumes independent trials.
Not modelled
    Closing the locality loophole: settings are drawn after the delivery of a pair.
Sources
    [1] Clauser, Horne, Shimony, Holt, "Proposed experiment to test local hidden-variable
        theories", Phys. Rev. Lett. 23, 880 (1969), doi 10.1103/PhysRevLett.23.880.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Final

import msgspec

from qnet.ids import PairId
from qnet.machine import Message
from qnet.physics.limits import CHSH_QUANTUM, chsh_standard_error, chsh_werner
from qnet.program import Gate, Measure, Program
from qnet.runtime.session import Pair, Session
from qnet.seams import App
from qnet_protocols.apps.rounds import Patience
from qnet_protocols.apps.waiting import FAILURES, Over, PeerSilent, hear, say_over, serve

BASES: Final = ("Z", "X")
"""Alice's settings."""

TURNS_RAD: Final = (-math.pi / 4, math.pi / 4)
"""Bob's settings: RY by this angle turns (Z+X)/sqrt2 and (Z-X)/sqrt2 into Z."""

BATCH: Final = 256
"""Trials per message."""

Bit = Annotated[int, msgspec.Meta(ge=0, le=1)]


class ChshParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``chsh``.

    Attributes:
        from_node: Alice, who asks for the pairs and computes S.
        to_node: Bob; any node that a path of links reaches.
        pairs: how many pairs, >= 1.
        minimum_fidelity: lowest acceptable claimed fidelity, 0..1.
        patience_s: how long to wait for a message of the other end.
    """

    from_node: str = "alice"
    to_node: str = "bob"
    pairs: Annotated[int, msgspec.Meta(ge=1)] = 4000
    minimum_fidelity: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.0
    patience_s: Patience = 60.0


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pair at one end: which setting, and the bit that was read."""

    pair: PairId
    setting: Bit
    bit: Bit


class Outcomes(Message, frozen=True):
    """Bob to Alice: what he measured since the last message; ``last`` says that no more comes."""

    kind: ClassVar[str] = "app.chsh/outcomes@1"
    trials: tuple[Trial, ...]
    last: bool


class ChshResult(msgspec.Struct, frozen=True):
    """What Alice computes.

    Attributes:
        error: why fewer pairs than wanted count, as far as she knows; "" if all went well.
        s: the Bell sum; None if a choice of settings never occurred.
        s_stderr: its standard error, binomial.
        correlators: E for [Alice's setting][Bob's setting], None without a trial.
        trials: how many pairs for [Alice's setting][Bob's setting].
        mean_goodness: mean claimed fidelity of the pairs; None, as what follows from it, without pairs.
        s_werner_if_local_perfect: S of Werner pairs of the claimed fidelity, perfect local operations.
        s_low_if_local_perfect, s_high_if_local_perfect: smallest and largest S that any pairs of the claimed
            fidelity (with its stated error) can give, perfect local operations.
    """

    error: str
    s: float | None
    s_stderr: float | None
    correlators: tuple[tuple[float | None, ...], ...]
    trials: tuple[tuple[int, ...], ...]
    mean_goodness: float | None
    s_werner_if_local_perfect: float | None
    s_low_if_local_perfect: float | None
    s_high_if_local_perfect: float | None


async def alice(session: Session) -> ChshResult:
    """Ask for the pairs, measure each in Z or X, and put the outcomes of both ends together."""
    wanted: ChshParameters = session.parameters
    luck = session.random("settings")
    mine: dict[PairId, Trial] = {}
    claims: list[float] = []
    stated: list[float] = []
    error = ""
    try:
        async with session.request(
            to=wanted.to_node, pairs=wanted.pairs, minimum_fidelity=wanted.minimum_fidelity
        ) as pairs:
            async for pair in pairs:
                setting = luck.below(2)
                bit = await pair.measure(BASES[setting])
                mine[pair.id] = Trial(pair.id, setting, bit ^ pair.label[setting])
                claims.append(pair.goodness)
                stated.append(pair.goodness_error)
    except FAILURES as failed:
        error = str(failed)
    await say_over(session, wanted.to_node, error)
    theirs: list[Trial] = []
    last = False
    try:
        while not last:
            outcomes = await hear(session, Outcomes, wanted.to_node, wanted.patience_s)
            theirs.extend(outcomes.trials)
            last = outcomes.last
    except PeerSilent as silent:
        error = error or str(silent)
    return result(mine, theirs, claims, stated, error)


async def bob(session: Session) -> int:
    """Measure each half along one of the two diagonals; the number of pairs measured."""
    wanted: ChshParameters = session.parameters
    luck = session.random("settings")
    measured = 0
    batch: list[Trial] = []

    async def measure() -> None:
        nonlocal measured
        async with session.accept(from_=wanted.from_node) as pairs:
            async for pair in pairs:
                setting = luck.below(2)
                bit = await _measure_diagonal(session, pair, setting)
                batch.append(Trial(pair.id, setting, bit))
                measured += 1
                if len(batch) == BATCH:
                    await session.send(wanted.from_node, Outcomes(tuple(batch), last=False))
                    batch.clear()

    await serve(session, wanted.from_node, measure, wanted.patience_s / 2.0)
    await session.send(wanted.from_node, Outcomes(tuple(batch), last=True))
    return measured


async def _measure_diagonal(session: Session, pair: Pair, setting: int) -> int:
    """Read (Z+X)/sqrt2 (setting 0) or (Z-X)/sqrt2 (setting 1) and give the half back."""
    pair.check()
    turn = Gate("RY", (pair.slot,), angle_rad=TURNS_RAD[setting])
    (bit,) = await session.run(Program((turn, Measure(pair.slot))))
    pair.release()
    return bit


def result(
    mine: Mapping[PairId, Trial],
    theirs: Iterable[Trial],
    claims: Sequence[float],
    stated: Sequence[float],
    error: str = "",
) -> ChshResult:
    """S from the trials of both ends; pairs that only one end measured do not count.

    Args:
        mine: Alice's trials by pair, her bits in the frame of Phi+.
        theirs: Bob's trials.
        claims: claimed fidelities of the pairs.
        stated: their stated errors.
        error: what went wrong, "" if nothing did.
    """
    sums = [[0, 0], [0, 0]]
    trials = [[0, 0], [0, 0]]
    for their in theirs:
        my = mine.get(their.pair)
        if my is not None:
            sums[my.setting][their.setting] += 1 - 2 * (my.bit ^ their.bit)
            trials[my.setting][their.setting] += 1
    cells = [(sums[i][j], trials[i][j]) for i in (0, 1) for j in (0, 1)]
    means = [total / count if count else None for total, count in cells]
    s, s_stderr = _bell_sum(means, [count for _, count in cells])
    goodness = math.fsum(claims) / len(claims) if claims else None
    werner = low = high = None
    if goodness is not None:
        werner = chsh_werner(goodness)
        low = CHSH_QUANTUM * (2.0 * (goodness - max(stated)) - 1.0)
        high = CHSH_QUANTUM * min(1.0, goodness + max(stated))
    return ChshResult(
        error=error,
        s=s,
        s_stderr=s_stderr,
        correlators=((means[0], means[1]), (means[2], means[3])),
        trials=(tuple(trials[0]), tuple(trials[1])),
        mean_goodness=goodness,
        s_werner_if_local_perfect=werner,
        s_low_if_local_perfect=low,
        s_high_if_local_perfect=high,
    )


def _bell_sum(
    means: Sequence[float | None], trials: Sequence[int]
) -> tuple[float | None, float | None]:
    """S and its standard error; None without a trial for every choice of settings."""
    known = [mean for mean in means if mean is not None]
    if len(known) < 4:
        return None, None
    return known[0] + known[1] + known[2] - known[3], chsh_standard_error(known, trials)


APP = App(
    name="chsh",
    title="Bell test between two nodes",
    roles={"alice": alice, "bob": bob},
    place={"alice": "from_node", "bob": "to_node"},
    parameters=ChshParameters,
    messages=(Outcomes, Over),
)
