"""E91: a secret key from entangled pairs, guarded by a Bell inequality.

Theory
    The asker measures Z, X or (Z+X)/sqrt2 at random, the other end Z, (Z+X)/sqrt2 or (Z-X)/sqrt2 [1]. Rounds
    with Z or X here and a diagonal there are shown and give the Bell sum S of :mod:`qnet_protocols.apps.chsh`;
    rounds with equal bases are the key, but for a random sample that is shown. One round in nine serves for
    each of the two bases of the key, four in nine for S, the rest for nothing.

    The label (x, z) of a pair stands in the asker's book. X^x Z^z on the other half turns Z into (-1)^x Z and
    X into (-1)^z X, so the diagonal (Z+X)/sqrt2 here goes with (-1)^x (Z + X)/sqrt2 there if x = z, and with
    (-1)^x (Z - X)/sqrt2 if not: the matching diagonal depends on the label, its sign is (-1)^x.

    For S > 2 an eavesdropper knows at most h((1 + sqrt((S/2)^2 - 1))/2) of each key bit [2]
    (:func:`qnet.physics.keys.chsh_entropy`). Pairs with correlators (a, b, c) give
    S = sqrt2 (a + c), wrong bits (1 - c)/2 in Z and (2 - a - c)/4 in the diagonal.
Early, late, impossible
    As in :mod:`qnet_protocols.apps.bbm92`, whose other end is that of this application too.
Assumptions and validity
    Fair sampling: pairs that were lost do not count. S is taken as measured: collective attacks, many rounds.
Not modelled
    Finite statistics of S; random numbers that an eavesdropper may know.
Units
    Bits, simulated seconds.
Sources
    [1] Ekert, "Quantum cryptography based on Bell's theorem", Phys. Rev. Lett. 67, 661 (1991),
        doi 10.1103/PhysRevLett.67.661.
    [2] Acin et al., "Device-independent security of quantum cryptography against collective attacks", Phys.
        Rev. Lett. 98, 230501 (2007), doi 10.1103/PhysRevLett.98.230501.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from qnet.ids import PairId
from qnet.physics.keys import e91_bits, e91_error, e91_rate
from qnet.physics.limits import CHSH_CLASSICAL, chsh_fixed
from qnet.runtime.session import Session
from qnet.seams import App
from qnet_protocols.apps.bbm92 import Chance, follow
from qnet_protocols.apps.distilling import (
    MESSAGES,
    Distilled,
    distil_as_reference,
    sift_as_reference,
)
from qnet_protocols.apps.rounds import (
    Estimated,
    Patience,
    Reading,
    RoundKind,
    Settings,
    Share,
    mean_correlators,
    mean_sign,
    read_all,
    share_wrong,
)
from qnet_protocols.apps.waiting import FAILURES, Over, say_over

MINE: Final = Settings(("Z", "X", "Z+X"), (1.0, 1.0, 1.0))
"""Bases of the asker."""
THEIRS: Final = Settings(("Z", "Z+X", "Z-X"), (1.0, 1.0, 1.0))
"""Bases of the other end."""


class E91Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``e91``; as those of ``bbm92``.

    Attributes:
        from_node: who asks for the pairs; its bits are the key.
        to_node: the other end, any node that a path of links reaches.
        pairs: how many pairs, >= 1.
        kind: "K": each end keeps its half and measures it; "M": the layer below measures.
        sample_share: share of the key rounds that are compared in public, 0..1.
        correctness: chance that unequal strings are taken for equal, at most.
        minimum_fidelity: lowest acceptable claimed fidelity, 0..1.
        patience_s: how long to wait for a message of the other end.
    """

    from_node: str = "alice"
    to_node: str = "bob"
    pairs: Annotated[int, msgspec.Meta(ge=1)] = 4000
    kind: RoundKind = "K"
    sample_share: Share = 0.2
    correctness: Chance = 1e-9
    minimum_fidelity: Share = 0.0
    patience_s: Patience = 60.0


class E91Prediction(msgspec.Struct, frozen=True):
    """What the claimed correlators promise, perfect local operations and many pairs."""

    s: float
    error: float
    bits_per_key_round: float


class E91Result(msgspec.Struct, frozen=True):
    """What the asker knows in the end.

    Attributes:
        reason: why there is no key, "" if there is one.
        pairs: rounds measured here.
        request_error: how the request failed, "" if it did not.
        s: the Bell sum with its standard error; None if a choice of settings never occurred.
        error: share of wrong bits among the key rounds that were shown.
        sifted, corrected, leak, key_bits, key_sha256, key_rate_hz: as in ``bbm92``.
        predicted: beside it, what the claims promise; None without rounds.
    """

    reason: str
    pairs: int
    request_error: str
    s: Estimated | None
    error: Estimated | None
    sifted: int
    corrected: int | None
    leak: int
    key_bits: int
    key_sha256: str
    key_rate_hz: float
    predicted: E91Prediction | None


async def alice(session: Session) -> E91Result:
    """Ask for pairs, measure them, play the Bell game, and lead the way to the key."""
    wanted: E91Parameters = session.parameters
    begun_s = session.time_s
    readings: list[Reading] = []
    request_error = ""
    try:
        async with session.request(
            to=wanted.to_node,
            pairs=wanted.pairs,
            minimum_fidelity=wanted.minimum_fidelity,
            kind=wanted.kind,
            local=MINE.choice(),
            distant=THEIRS.choice(),
        ) as stream:
            await read_all(session, stream, MINE, wanted.kind, readings)
    except FAILURES as failed:
        request_error = str(failed)
    await say_over(session, wanted.to_node, request_error)
    s: Estimated | None = None
    error: Estimated | None = None
    try:
        s, error, distilled = await _distil(session, {one.pair: one for one in readings})
    except FAILURES as failed:
        distilled = Distilled(str(failed))
    spent_s = session.time_s - begun_s
    return E91Result(
        reason=distilled.reason,
        pairs=len(readings),
        request_error=request_error,
        s=s,
        error=error,
        sifted=distilled.sifted,
        corrected=distilled.corrected,
        leak=distilled.leak,
        key_bits=distilled.key_bits,
        key_sha256=distilled.key_sha256,
        key_rate_hz=distilled.key_bits / spent_s if spent_s > 0.0 else 0.0,
        predicted=predict(readings),
    )


async def _distil(
    session: Session, mine: Mapping[PairId, Reading]
) -> tuple[Estimated | None, Estimated | None, Distilled]:
    """Sifting, Bell sum, estimate and distillation at the asker."""
    wanted: E91Parameters = session.parameters
    luck = session.random("sample")

    def sort(reading: Reading, theirs: int) -> str:
        if matches(reading, theirs):
            return "show" if luck.uniform() < wanted.sample_share else "key"
        return "show" if is_test(reading, theirs) else ""

    keys, shown = await sift_as_reference(session, wanted.to_node, mine, sort, wanted.patience_s)
    s = bell_sum([(mine[pair], theirs, bit) for pair, theirs, bit in shown])
    samples = [
        bit ^ framed(mine[pair]) for pair, theirs, bit in shown if matches(mine[pair], theirs)
    ]
    error = share_wrong(sum(samples), len(samples))
    distilled = await distil_as_reference(
        session,
        wanted.to_node,
        [framed(mine[pair]) for pair in keys],
        error_share=error.value if error is not None else 0.0,
        refused=refusal(len(keys), s, error),
        correctness=wanted.correctness,
        bits_allowed=lambda _, leak: e91_bits(len(keys), s.value if s is not None else 0.0, leak),
        within_s=wanted.patience_s,
    )
    return s, error, distilled


async def bob(session: Session) -> Distilled:
    """Measure the other halves and follow the asker to the key."""
    wanted: E91Parameters = session.parameters
    return await follow(session, wanted.from_node, THEIRS, wanted.kind, wanted.patience_s)


def matches(reading: Reading, theirs: int) -> bool:
    """Whether the two bases are equal in the frame of the pair's label: a key round."""
    if reading.setting == 2:
        return theirs == 1 + (reading.label[0] ^ reading.label[1])
    return reading.setting == theirs == 0


def is_test(reading: Reading, theirs: int) -> bool:
    """Whether the round is one of the Bell game."""
    return reading.setting < 2 and theirs > 0


def framed(reading: Reading) -> int:
    """The asker's bit in the frame of Phi+: X reversed by a phase flip, the others by a bit flip."""
    return reading.bit ^ reading.label[1 if reading.setting == 1 else 0]


def bell_sum(rounds: Sequence[tuple[Reading, int, int]]) -> Estimated | None:
    """S of the test rounds among (own round, peer's setting, peer's bit); None if a choice is missing."""
    sums, trials = [0] * 4, [0] * 4
    for reading, theirs, bit in rounds:
        if is_test(reading, theirs):
            cell = 2 * reading.setting + theirs - 1
            sums[cell] += 1 - 2 * (bit ^ framed(reading))
            trials[cell] += 1
    means = [mean_sign(total, count) for total, count in zip(sums, trials, strict=True)]
    known = [mean for mean in means if mean is not None]
    if len(known) < 4:
        return None
    s = known[0].value + known[1].value + known[2].value - known[3].value
    return Estimated(s, math.sqrt(sum(mean.stderr**2 for mean in known)), sum(trials))


def refusal(keys: int, s: Estimated | None, error: Estimated | None) -> str:
    """Why these figures can give no key, "" if they can."""
    if not keys:
        return "no round is left for the key"
    if s is None:
        return "a choice of settings of the Bell game never occurred: no Bell sum"
    if s.value <= CHSH_CLASSICAL:
        return f"the Bell sum must be > 2, got {s.value:.4f} +- {s.stderr:.4f}: no secrecy"
    if error is None:
        return "no key round was shown: nothing says how many bits are wrong"
    rate = e91_rate(s.value, error.value)
    if rate > 0.0:
        return ""
    return (
        f"a Bell sum of {s.value:.4f} and {error.value:.4f} wrong bits leave no key: "
        f"1 - chi(S) - h(e) must be > 0, got {rate:.4f}"
    )


def predict(readings: Sequence[Reading]) -> E91Prediction | None:
    """What the mean claimed correlators of the rounds promise."""
    means = mean_correlators(readings)
    if means is None:
        return None
    s, error = chsh_fixed(means), e91_error(means)
    return E91Prediction(s, error, max(0.0, e91_rate(s, error)))


APP = App(
    name="e91",
    title="secret key between two nodes, guarded by a Bell inequality",
    roles={"alice": alice, "bob": bob},
    place={"alice": "from_node", "bob": "to_node"},
    parameters=E91Parameters,
    messages=(Over, *MESSAGES),
)
