"""From measured rounds to a secret key: the conversation of two ends over a public channel.

Theory
    The asker is the *reference*: its bits, in the frame of Phi+, are the key. The other end, the
    *corrector*, after all pairs are measured:

    1. says its settings, batch by batch (:class:`Announced`); the reference answers which rounds are for the
       key and which are to be shown (:class:`Sorted`), the corrector shows those bits (:class:`Shown`).
       What is shown is decided here, after the measurement, by chance or by the settings;
    2. hears whether to go on (:class:`Verdict`), with the share of wrong bits to expect;
    3. asks for parities until nothing is wanted (:mod:`qnet_protocols.apps.cascade`);
    4. compares a tag of its string with that of the reference: unequal strings give no key;
    5. gets length and seed of the hash that makes the key (:mod:`qnet_protocols.apps.hashing`).
Early, late, impossible
    Both ends speak strictly in turn on channels that keep order, so nothing is early or late. A batch with
    another number than the one in turn, an answer to something else than what was asked, or a position
    outside its batch is impossible and raises :class:`~qnet.errors.RemoteProtocolError`.
Assumptions and validity
    The public channel is authentic. Random numbers are those of the run: a simulated key is no key.
Not modelled
    Authentication of the messages and what it costs in key; finite-size effects of two-way reconciliation.
Units
    Bits; batches of at most :data:`BATCH` rounds keep every message far below 64 KiB.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, Final, NoReturn

import msgspec

from qnet.errors import RemoteProtocolError
from qnet.ids import PairId
from qnet.machine import Message
from qnet.runtime.session import Session
from qnet_protocols.apps.cascade import Block, Corrector, Reference
from qnet_protocols.apps.hashing import pack, seed_bytes, toeplitz
from qnet_protocols.apps.rounds import Bit, Reading
from qnet_protocols.apps.waiting import hear

BATCH: Final = 256
"""Rounds per message."""
QUESTIONS: Final = 1024
"""Blocks per message."""
SEED_BYTES: Final = 8192
"""Bytes of a seed per message."""

Count = Annotated[int, msgspec.Meta(ge=0)]


class Announced(Message, frozen=True):
    """Corrector to reference: pairs and settings of batch ``number``, from 0."""

    kind: ClassVar[str] = "app.keys/announced@1"
    number: Count
    pairs: tuple[PairId, ...]
    settings: tuple[Count, ...]
    last: bool


class Sorted(Message, frozen=True):
    """Reference to corrector: which positions of the batch are for the key, which are to be shown."""

    kind: ClassVar[str] = "app.keys/sorted@1"
    number: Count
    key: tuple[Count, ...]
    shown: tuple[Count, ...]


class Shown(Message, frozen=True):
    """Corrector to reference: the bits that were to be shown, in their order."""

    kind: ClassVar[str] = "app.keys/shown@1"
    number: Count
    bits: tuple[Bit, ...]


class Verdict(Message, frozen=True):
    """Reference to corrector: go on with ``error_share`` wrong bits to expect, or why not (``reason``)."""

    kind: ClassVar[str] = "app.keys/verdict@1"
    reason: str
    error_share: float
    seed: bytes


class Asked(Message, frozen=True):
    """Corrector to reference: blocks (pass, start, end) whose parity is wanted."""

    kind: ClassVar[str] = "app.keys/asked@1"
    blocks: tuple[tuple[Count, Count, Count], ...]


class Answered(Message, frozen=True):
    """Reference to corrector: their parities."""

    kind: ClassVar[str] = "app.keys/answered@1"
    parities: tuple[Bit, ...]


class Corrected(Message, frozen=True):
    """Corrector to reference: no more parities are wanted; ``bits`` were changed."""

    kind: ClassVar[str] = "app.keys/corrected@1"
    bits: Count


class Seed(Message, frozen=True):
    """Reference to corrector: a part of the seed of a hash of ``rows`` bits, and for a tag its value."""

    kind: ClassVar[str] = "app.keys/seed@1"
    rows: Count
    part: bytes
    last: bool
    tag: bytes


class Compared(Message, frozen=True):
    """Corrector to reference: whether the tags are equal."""

    kind: ClassVar[str] = "app.keys/compared@1"
    equal: bool


MESSAGES: Final[tuple[type[Message], ...]] = (
    Announced,
    Sorted,
    Shown,
    Verdict,
    Asked,
    Answered,
    Corrected,
    Seed,
    Compared,
)


class Distilled(msgspec.Struct, frozen=True):
    """What an end has after the distillation.

    Attributes:
        reason: why there is no key, "" if there is one.
        key_bits: its length.
        key_sha256: SHA-256 of the key, as hexadecimal text; "" without a key.
        sifted: bits of which it was made.
        corrected: bits that were changed at the corrector, None if it did not come to that.
        leak: parity and tag bits said in public.
    """

    reason: str
    key_bits: int = 0
    key_sha256: str = ""
    sifted: int = 0
    corrected: int | None = None
    leak: int = 0


def fingerprint(key: int, size: int) -> str:
    """SHA-256 of a key of ``size`` bits."""
    return hashlib.sha256(key.to_bytes((size + 7) // 8, "little")).hexdigest() if size else ""


# ---------------------------------------------------------------- sifting


async def sift_as_reference(
    session: Session,
    peer: str,
    mine: Mapping[PairId, Reading],
    sort: Callable[[Reading, int], str],
    within_s: float,
) -> tuple[list[PairId], list[tuple[PairId, int, int]]]:
    """Sort the rounds of both ends.

    Args:
        session: of the reference.
        peer: the corrector.
        mine: rounds of the reference by pair.
        sort: (own round, peer's setting) -> "key", "show" or "" for neither.
        within_s: how long to wait for a message.

    Returns:
        Pairs of the key in order; (pair, peer's setting, peer's bit) of what was shown.
    """
    keys: list[PairId] = []
    shown: list[tuple[PairId, int, int]] = []
    number, last = 0, False
    while not last:
        batch = await hear(session, Announced, peer, within_s)
        _in_turn(session, peer, batch, batch.number, number)
        if len(batch.pairs) != len(batch.settings):
            _impossible(session, peer, batch, "as many settings as pairs", str(len(batch.settings)))
        chosen: dict[str, list[int]] = {"key": [], "show": [], "": []}
        for place, (pair, setting) in enumerate(zip(batch.pairs, batch.settings, strict=True)):
            chosen[sort(mine[pair], setting) if pair in mine else ""].append(place)
        await session.send(peer, Sorted(number, tuple(chosen["key"]), tuple(chosen["show"])))
        answer = await hear(session, Shown, peer, within_s)
        _in_turn(session, peer, answer, answer.number, number)
        if len(answer.bits) != len(chosen["show"]):
            _impossible(session, peer, answer, f"{len(chosen['show'])} bits", str(answer.bits))
        keys += [batch.pairs[place] for place in chosen["key"]]
        for place, bit in zip(chosen["show"], answer.bits, strict=True):
            shown.append((batch.pairs[place], batch.settings[place], bit))
        number, last = number + 1, batch.last
    return keys, shown


async def sift_as_corrector(
    session: Session, peer: str, mine: Sequence[Reading], within_s: float
) -> list[int]:
    """Say all settings and show what is to be shown; the bits that are for the key, in order."""
    key: list[int] = []
    batches = [mine[start : start + BATCH] for start in range(0, len(mine), BATCH)] or [mine]
    for number, batch in enumerate(batches):
        pairs, settings = tuple(one.pair for one in batch), tuple(one.setting for one in batch)
        await session.send(peer, Announced(number, pairs, settings, number == len(batches) - 1))
        chosen = await hear(session, Sorted, peer, within_s)
        _in_turn(session, peer, chosen, chosen.number, number)
        places = [*chosen.key, *chosen.shown]
        if len(set(places)) < len(places) or any(place >= len(batch) for place in places):
            _impossible(session, peer, chosen, f"different positions below {len(batch)}", "others")
        await session.send(peer, Shown(number, tuple(batch[place].bit for place in chosen.shown)))
        key += [batch[place].bit for place in chosen.key]
    return key


# ---------------------------------------------------------------- distillation


async def distil_as_reference(
    session: Session,
    peer: str,
    bits: Sequence[int],
    *,
    error_share: float,
    refused: str,
    correctness: float,
    bits_allowed: Callable[[int, int], int],
    within_s: float,
) -> Distilled:
    """Make the key, or tell the corrector why there is none.

    Args:
        session: of the reference.
        peer: the corrector.
        bits: the sifted bits in the frame of Phi+.
        error_share: share of wrong bits to expect.
        refused: why no key shall be made, "" if one shall.
        correctness: chance that unequal strings are taken for equal, at most.
        bits_allowed: (corrected bits, leak) -> length of the key.
        within_s: how long to wait for a message.
    """
    luck = session.random("seeds")

    def draw(count: int) -> bytes:
        return bytes(luck.below(256) for _ in range(count))

    size = len(bits)
    seed = draw(16)
    await session.send(peer, Verdict(refused, error_share, seed))
    if refused:
        return Distilled(refused, sifted=size)
    reference = Reference(bits, seed)
    corrected = await _answer(session, peer, reference, size, within_s)
    string = pack(bits)
    rows = math.ceil(-math.log2(correctness))
    tag_seed = draw(seed_bytes(size, rows))
    tag = toeplitz(string, size, rows, tag_seed)
    await _send_seed(session, peer, rows, tag_seed, tag.to_bytes((rows + 7) // 8, "little"))
    leak = reference.leaked + rows
    if not (await hear(session, Compared, peer, within_s)).equal:
        reason = "the strings of the two ends still differed after reconciliation"
        return Distilled(reason, sifted=size, corrected=corrected, leak=leak)
    key_bits = bits_allowed(corrected, leak)
    key_seed = draw(seed_bytes(size, key_bits))
    await _send_seed(session, peer, key_bits, key_seed, b"")
    key = toeplitz(string, size, key_bits, key_seed)
    reason = "" if key_bits else TOO_FEW.format(size=size, leak=leak)
    return Distilled(reason, key_bits, fingerprint(key, key_bits), size, corrected, leak)


TOO_FEW: Final = "{size} sifted bits leave nothing after {leak} bits of leak and what may be known"


async def _answer(
    session: Session, peer: str, reference: Reference, size: int, within_s: float
) -> int:
    """Say parities until the corrector wants no more; how many bits it changed."""
    while True:
        asked = await hear(session, Asked, peer, within_s)
        if not asked.blocks:
            return (await hear(session, Corrected, peer, within_s)).bits
        try:
            parities = reference.answer([Block(*block) for block in asked.blocks])
        except ValueError as error:
            _impossible(session, peer, asked, f"blocks of {size} bits", str(error))
        await session.send(peer, Answered(parities))


async def distil_as_corrector(
    session: Session, peer: str, bits: Sequence[int], within_s: float
) -> Distilled:
    """Follow the reference to the key, or to the reason why there is none."""
    size = len(bits)
    verdict = await hear(session, Verdict, peer, within_s)
    if verdict.reason:
        return Distilled(verdict.reason, sifted=size)
    corrector = Corrector(bits, verdict.seed, verdict.error_share)
    leak = 0
    while blocks := corrector.wanted():
        parities: list[int] = []
        for start in range(0, len(blocks), QUESTIONS):
            part = blocks[start : start + QUESTIONS]
            await session.send(peer, Asked(tuple((b.stage, b.start, b.end) for b in part)))
            answer = await hear(session, Answered, peer, within_s)
            if len(answer.parities) != len(part):
                _impossible(session, peer, answer, f"{len(part)} parities", str(answer.parities))
            parities += answer.parities
        leak += len(parities)
        corrector.learn(parities)
    await session.send(peer, Asked(()))
    await session.send(peer, Corrected(corrector.corrected))
    string = pack(corrector.bits)
    rows, seed, tag = await _hear_seed(session, peer, size, within_s)
    equal = toeplitz(string, size, rows, seed).to_bytes((rows + 7) // 8, "little") == tag
    await session.send(peer, Compared(equal))
    leak += rows
    if not equal:
        reason = "the strings of the two ends still differed after reconciliation"
        return Distilled(reason, sifted=size, corrected=corrector.corrected, leak=leak)
    key_bits, seed, _ = await _hear_seed(session, peer, size, within_s)
    key = toeplitz(string, size, key_bits, seed)
    reason = "" if key_bits else TOO_FEW.format(size=size, leak=leak)
    return Distilled(reason, key_bits, fingerprint(key, key_bits), size, corrector.corrected, leak)


async def _send_seed(session: Session, peer: str, rows: int, seed: bytes, tag: bytes) -> None:
    parts = [seed[at : at + SEED_BYTES] for at in range(0, len(seed), SEED_BYTES)] or [b""]
    for number, part in enumerate(parts):
        await session.send(peer, Seed(rows, part, number == len(parts) - 1, tag))


async def _hear_seed(
    session: Session, peer: str, size: int, within_s: float
) -> tuple[int, bytes, bytes]:
    seed = b""
    while True:
        told = await hear(session, Seed, peer, within_s)
        seed += told.part
        if len(seed) > seed_bytes(size, told.rows) or told.rows > size + QUESTIONS:
            _impossible(session, peer, told, f"a seed for {size} bits", f"{len(seed)} bytes")
        if told.last:
            if len(seed) != seed_bytes(size, told.rows):
                _impossible(session, peer, told, f"a seed for {size} bits", f"{len(seed)} bytes")
            return told.rows, seed, told.tag


def _in_turn(session: Session, peer: str, message: Message, got: int, wanted: int) -> None:
    if got != wanted:
        _impossible(session, peer, message, f"batch {wanted}", f"batch {got}")


def _impossible(session: Session, peer: str, message: Message, wanted: str, got: str) -> NoReturn:
    raise RemoteProtocolError(
        f"{message.kind} from {peer} to {session.node} must bring {wanted}, got {got}, at {session.now} ps"
    )
