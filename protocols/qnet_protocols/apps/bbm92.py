"""BBM92: a secret key from entangled pairs that both ends measure in Z or X at random.

Theory
    Rounds in which both ends chose Z make the key, rounds in which both chose X are compared in public and
    bound what an eavesdropper knows: from pairs with correlators (a, b, c) the shares of wrong bits are
    e_X = (1 - a)/2 and e_Z = (1 - c)/2 [1]. Of the Z rounds a random sample, drawn after the measurement, is
    compared too: it says what to expect of the reconciliation. The rest becomes the key by Cascade,
    verification and privacy amplification (:mod:`qnet_protocols.apps.distilling`); its length is that of
    :mod:`qnet.physics.keys`, for the number of bits there is (``finite``) or for very many.
    The label (x, z) of a pair stands in the asker's book: a bit flip reverses its Z, a phase flip its X.
Early, late, impossible
    Rounds are matched by the id of the pair; a pair that one end alone measured does not count. The
    conversation after the measurement: see :mod:`qnet_protocols.apps.distilling`.
Assumptions and validity
    No key if 1 - h(e_X) - h(e_Z) <= 0; 11.0 % when both are equal. Only exact Z and X measurements.
    A request that fails leaves the rounds measured until then: they are used.
Not modelled
    Authentication; asymmetric detection; the six-state protocol.
Units
    Bits, simulated seconds.
Sources
    [1] Bennett, Brassard, Mermin, "Quantum cryptography without Bell's theorem", Phys. Rev. Lett. 68, 557
        (1992), doi 10.1103/PhysRevLett.68.557; physics reference A7.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from qnet.ids import PairId
from qnet.physics.keys import bbm92_bits, bbm92_rate, error_shares
from qnet.runtime.session import Session
from qnet.seams import App
from qnet_protocols.apps.distilling import (
    MESSAGES,
    Distilled,
    distil_as_corrector,
    distil_as_reference,
    sift_as_corrector,
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
    read_all,
    share_wrong,
)
from qnet_protocols.apps.waiting import FAILURES, Over, say_over, serve

Z, X = 0, 1
BASES: Final = ("Z", "X")
Chance = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]


class Bbm92Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``bbm92``.

    Attributes:
        from_node: who asks for the pairs; its bits are the key.
        to_node: the other end, any node that a path of links reaches.
        pairs: how many pairs, >= 1.
        kind: "K": each end keeps its half and measures it; "M": the layer below measures.
        z_prob: chance of Z in each round and at each end; the rest is X.
        sample_share: share of the Z rounds that are compared in public, 0..1.
        finite: length for the number of bits there is, not for very many.
        secrecy: how far from secret the key may be if ``finite``, 0..1 (e_sec).
        correctness: chance that unequal strings are taken for equal, at most, 0..1 (e_cor).
        minimum_fidelity: lowest acceptable claimed fidelity, 0..1.
        patience_s: how long to wait for a message of the other end.
    """

    from_node: str = "alice"
    to_node: str = "bob"
    pairs: Annotated[int, msgspec.Meta(ge=1)] = 4000
    kind: RoundKind = "K"
    z_prob: Chance = 0.5
    sample_share: Share = 0.1
    finite: bool = False
    secrecy: Chance = 1e-6
    correctness: Chance = 1e-9
    minimum_fidelity: Share = 0.0
    patience_s: Patience = 60.0


class KeyPrediction(msgspec.Struct, frozen=True):
    """What the claimed correlators promise, perfect local operations, very many pairs, perfect Cascade.

    Attributes:
        error_z, error_x: shares of wrong bits.
        bits_per_key_round: secret bits per unshown Z round, 1 - h(e_X) - h(e_Z), at least 0.
    """

    error_z: float
    error_x: float
    bits_per_key_round: float


class KeyResult(msgspec.Struct, frozen=True):
    """What the asker knows in the end.

    Attributes:
        reason: why there is no key, "" if there is one.
        pairs: rounds measured here.
        request_error: how the request failed, "" if it did not.
        sifted: rounds in which both ends chose Z and that were not shown.
        error_z, error_x: shares of wrong bits among those shown.
        corrected: wrong bits among the sifted, as reconciliation found them.
        leak: bits said in public about the sifted ones.
        key_bits: length of the key.
        key_sha256: of the key; the other end's result has its own.
        key_rate_hz: key bits per simulated second, from the request to the end.
        predicted: beside it, what the claims promise; None without rounds.
    """

    reason: str
    pairs: int
    request_error: str
    sifted: int
    error_z: Estimated | None
    error_x: Estimated | None
    corrected: int | None
    leak: int
    key_bits: int
    key_sha256: str
    key_rate_hz: float
    predicted: KeyPrediction | None


async def alice(session: Session) -> KeyResult:
    """Ask for pairs, measure them, and lead the way to the key."""
    wanted: Bbm92Parameters = session.parameters
    begun_s = session.time_s
    readings: list[Reading] = []
    mine = _settings(wanted)
    request_error = ""
    try:
        async with session.request(
            to=wanted.to_node,
            pairs=wanted.pairs,
            minimum_fidelity=wanted.minimum_fidelity,
            kind=wanted.kind,
            local=mine.choice(),
            distant=mine.choice(),
        ) as stream:
            await read_all(session, stream, mine, wanted.kind, readings)
    except FAILURES as failed:
        request_error = str(failed)
    await say_over(session, wanted.to_node, request_error)
    errors: tuple[Estimated | None, Estimated | None] = (None, None)
    try:
        errors, distilled = await _distil(session, {one.pair: one for one in readings})
    except FAILURES as failed:
        distilled = Distilled(str(failed))
    spent_s = session.time_s - begun_s
    return KeyResult(
        reason=distilled.reason,
        pairs=len(readings),
        request_error=request_error,
        sifted=distilled.sifted,
        error_z=errors[Z],
        error_x=errors[X],
        corrected=distilled.corrected,
        leak=distilled.leak,
        key_bits=distilled.key_bits,
        key_sha256=distilled.key_sha256,
        key_rate_hz=distilled.key_bits / spent_s if spent_s > 0.0 else 0.0,
        predicted=predict(readings),
    )


async def _distil(
    session: Session, mine: dict[PairId, Reading]
) -> tuple[tuple[Estimated | None, Estimated | None], Distilled]:
    """Sifting, estimates and distillation at the asker."""
    wanted: Bbm92Parameters = session.parameters
    luck = session.random("sample")

    def sort(reading: Reading, theirs: int) -> str:
        if reading.setting != theirs:
            return ""
        return "show" if theirs == X or luck.uniform() < wanted.sample_share else "key"

    keys, shown = await sift_as_reference(session, wanted.to_node, mine, sort, wanted.patience_s)
    wrong, trials = [0, 0], [0, 0]
    for pair, setting, bit in shown:
        wrong[setting] += bit ^ framed(mine[pair])
        trials[setting] += 1
    in_z, in_x = share_wrong(wrong[Z], trials[Z]), share_wrong(wrong[X], trials[X])
    error_x = in_x.value if in_x is not None else 0.5
    expected = in_z.value if in_z is not None else error_x
    distilled = await distil_as_reference(
        session,
        wanted.to_node,
        [framed(mine[pair]) for pair in keys],
        error_share=expected,
        refused=refusal(len(keys), trials[X], expected, error_x),
        correctness=wanted.correctness,
        bits_allowed=lambda _, leak: bbm92_bits(
            len(keys),
            trials[X],
            error_x,
            leak,
            wanted.secrecy if wanted.finite else None,
            wanted.correctness,
        ),
        within_s=wanted.patience_s,
    )
    return (in_z, in_x), distilled


async def bob(session: Session) -> Distilled:
    """Measure the other halves and follow the asker to the key."""
    wanted: Bbm92Parameters = session.parameters
    return await follow(
        session, wanted.from_node, _settings(wanted), wanted.kind, wanted.patience_s
    )


async def follow(
    session: Session, peer: str, mine: Settings, kind: RoundKind, patience_s: float
) -> Distilled:
    """The other end of a key distribution: measure, show, correct, hash."""
    readings: list[Reading] = []

    async def measure() -> None:
        async with session.accept(from_=peer) as stream:
            await read_all(session, stream, mine, kind, readings)

    await serve(session, peer, measure, patience_s)
    try:
        bits = await sift_as_corrector(session, peer, readings, patience_s)
        return await distil_as_corrector(session, peer, bits, patience_s)
    except FAILURES as failed:
        return Distilled(str(failed))


def framed(reading: Reading) -> int:
    """The asker's bit in the frame of Phi+: Z reversed by a bit flip, X by a phase flip."""
    return reading.bit ^ reading.label[reading.setting]


def refusal(keys: int, tests: int, error_z: float, error_x: float) -> str:
    """Why these figures can give no key, "" if they can."""
    if not keys:
        return "no round is left for the key"
    if not tests:
        return "no round in which both ends chose X: nothing bounds what an eavesdropper knows"
    rate = bbm92_rate(error_z, error_x)
    if rate > 0.0:
        return ""
    return (
        f"wrong bits {error_z:.4f} in Z and {error_x:.4f} in X leave no key: 1 - h(e_X) - h(e_Z) must be > 0, "
        f"got {rate:.4f} (11.0 % if both are equal)"
    )


def predict(readings: Sequence[Reading]) -> KeyPrediction | None:
    """What the mean claimed correlators of the rounds promise."""
    means = mean_correlators(readings)
    if means is None:
        return None
    error_x, _, error_z = error_shares(means)
    return KeyPrediction(error_z, error_x, max(0.0, bbm92_rate(error_z, error_x)))


def _settings(wanted: Bbm92Parameters) -> Settings:
    return Settings(BASES, (wanted.z_prob, 1.0 - wanted.z_prob))


APP = App(
    name="bbm92",
    title="secret key between two nodes from pairs measured in Z and X",
    roles={"alice": alice, "bob": bob},
    place={"alice": "from_node", "bob": "to_node"},
    parameters=Bbm92Parameters,
    messages=(Over, *MESSAGES),
)
