"""Good frames of every control message, and a way to spoil them."""

from __future__ import annotations

import random
from typing import Any

import msgpack

from qnet.ids import LinkId, NodeId, OpId, PairId, RequestId, SlotId
from qnet.machine import Message
from qnet.plan import RunPlan
from qnet.program import Gate, Initialise, Measure, Program
from qnet.runtime.node import Seams
from qnet.units import Instant
from qnet.wire.control import (
    CONTROL_KINDS,
    WORLD,
    AbortAttempt,
    AppEnded,
    Bye,
    Clicked,
    Delivered,
    Discard,
    Envelope,
    ExpiryNote,
    Fault,
    Grant,
    Hello,
    NodeGrant,
    NodeReport,
    Output,
    Post,
    ProgramEnded,
    Ready,
    Refused,
    Report,
    RequestNote,
    RunProgram,
    StartAttempt,
    Stop,
)
from qnet.wire.frame import encode_body, encode_frame

ALICE, BOB, MIDDLE = NodeId("alice"), NodeId("bob"), NodeId("middle")
LINK = LinkId("alice-bob")
REPORT, GRANT = "control.host/report@1", "control.world/grant@1"
NOW = Instant(0)


def report(outputs: list[Output], *, node: NodeId = ALICE, at: int = 0, trace: bytes = b"{}\n") -> bytes:
    body = Report(Instant(at), Instant(5), [NodeReport(node, outputs, trace)])
    return encode_frame(REPORT, "host-alice", WORLD, 0, at, body)


def grant(items: list[Any], *, node: NodeId = ALICE, at: int = 7) -> bytes:
    return encode_frame(GRANT, WORLD, "alice", 0, at, Grant(Instant(at), 0, [NodeGrant(node, items)]))


class SeedFrames:
    """Where mutations start from."""

    @staticmethod
    def outputs() -> list[Output]:
        slot, other = SlotId(0), SlotId(2)
        program = Program(
            (
                Initialise(slot),
                Gate("RY", (slot,), 0.3),
                Measure(slot, "X"),
                Initialise(other),
                Gate("X", (other,), when=(0,)),
                Gate("CNOT", (slot, other)),
                Measure(other),
            )
        )
        delivered = Delivered(
            PairId("alice-bob#1"), RequestId("alice/1"), 1, True, BOB, SlotId(1), (0, 1), 0.9, 0.01, NOW, NOW
        )  # fmt: skip
        return [
            Post(BOB, "link.egp/propose@1", 0, encode_body({"link": "alice-bob"})),
            Post(MIDDLE, "physical.midpoint/announce@1", 0, encode_body([1, 2, {"x": b"y"}])),
            RunProgram(OpId("alice.app/1"), program),
            StartAttempt(OpId("op/2"), LINK, SlotId(1), Instant(10**9)),
            AbortAttempt(OpId("op/3")),
            Discard(SlotId(3)),
            delivered,
            RequestNote(RequestId("alice/1"), BOB, 5, "open"),
            RequestNote(RequestId("alice/1"), BOB, 0, "ended", 5, "x"),
            ExpiryNote((PairId("alice-bob#1"),), RequestId("alice/1")),
            AppEnded("requester", encode_body({"delivered": 5, "mean": 0.5, "error": ""})),
        ]

    @classmethod
    def reports(cls) -> list[bytes]:
        outputs = cls.outputs()
        good = [report([output]) for output in outputs] + [report([]), report(outputs[:8])]
        for number, body in enumerate((Hello("host-alice", 5, "0.1.0"), Ready("a"), Bye("a"))):
            kind = next(name for name, record in CONTROL_KINDS.items() if record is type(body))
            frame = encode_frame(kind, "host-alice", WORLD, 0, 0, body)
            if number > 5:
                good.append(frame)
        return good

    @staticmethod
    def spoken(plan: RunPlan) -> list[type[Message]]:
        catalogue = Seams(plan).catalogue
        return [catalogue.type_of(kind) for kind in catalogue.kinds()]

    @classmethod
    def grants(cls, plan: RunPlan) -> list[bytes]:
        items: list[list[Any]] = [[]]
        for message in cls.spoken(plan):
            for source in (BOB, MIDDLE):
                body = encode_body(example(message))
                items.append([Envelope(source, message.kind, 0, NOW, body)])
        items.append([ProgramEnded(OpId("x"), (0, 1))])
        items.append([Clicked(LINK, (0, 2))])
        items.append([Refused("x", 202, "slot is busy")])
        good = [grant(one) for one in items if not one or isinstance(one[0], Envelope)]
        good.append(encode_frame("control.world/stop@1", WORLD, "alice", 0, 0, Stop("over")))
        cls.misdirected = [grant(one) for one in items if one and not isinstance(one[0], Envelope)]
        return good

    misdirected: list[bytes] = []

    @classmethod
    def impostors(cls) -> list[tuple[bytes, str]]:
        app = AppEnded("requester", encode_body(1))
        deep = msgpack.packb("role")
        return [
            (report([], node=BOB), "WRONG_SOURCE"),
            (report([], node=NodeId("nobody")), "WRONG_SOURCE"),
            (report([], at=1), "TIME"),
            (report([Post(ALICE, "x", 0, encode_body(1))]), "WRONG_TARGET"),
            (report([Post(BOB, "x", 3, encode_body(1))]), "SEQUENCE"),
            (report([Post(BOB, "x", 0, encode_body(1))] * 2), "SEQUENCE"),
            (report([], trace=b"{}"), "BAD_BODY"),
            (report([app, app]), "BAD_BODY"),
            (report([AppEnded("provider", encode_body(1))]), "BAD_BODY"),
            (report([AppEnded("requester", encode_body(msgpack.ExtType(1, b"")))])
             if False else report([AppEnded("requester", encode_body({1: float("nan")}))] * 2), "BAD_BODY"),
            (report([AppEnded("nobody" + deep.decode("latin1"), encode_body(1))]), "BAD_BODY"),
        ]  # fmt: skip


def example(message: type[Message]) -> Message:
    """A message with some value in every field, by its type."""
    import msgspec

    values: dict[type, Any] = {int: 1, str: "alice-bob", float: 0.5, bool: True, bytes: b""}
    fields = {}
    for field in msgspec.structs.fields(message):
        text = str(field.type)
        for kind, value in values.items():
            if field.type is kind or getattr(field.type, "__supertype__", None) is kind:
                fields[field.encode_name] = value
                break
        else:
            fields[field.encode_name] = [0, 0] if "tuple" in text else None
    if "request" in fields:
        fields["request"] = "bob/1"
    try:
        return msgspec.convert(fields, message)
    except msgspec.ValidationError:
        fields = {name: ([] if value == [0, 0] else value) for name, value in fields.items()}
        return msgspec.convert(fields, message, strict=False)


# ---------------------------------------------------------------- spoiling

VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 7, 2**31, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0.5, -1e308, float("nan"),
    float("inf"), "", "alice", "bob", "middle", "nobody", "alice-bob", "x\n,\"y", "x" * 500, "\ud7ff\x00",
    b"", b"\xff\xfe", [], [[]], [1, 2, 3], {}, {"t": "post"}, {1: 2}, msgpack.ExtType(5, b"abc"),
    msgpack.Timestamp(1), [None] * 50, "control.host/report@1", "control.world/grant@1", "X", "CNOT", "requester",
)  # fmt: skip


def mutate(rng: random.Random, good: list[bytes]) -> bytes:
    """A good frame, spoiled; now and then several frames, or hardly a frame at all."""
    frame = rng.choice(good)
    match rng.randrange(12):
        case 0:
            return _flip(rng, frame, 4)
        case 1:
            return _flip(rng, frame, 0)
        case 2:
            return frame[: rng.randrange(len(frame))]
        case 3:
            return rng.choice((0, 2**24 + 1, 2**31, 2**32 - 1)).to_bytes(4, "big") + frame[4:]
        case 4:
            return frame + frame  # a replay
        case 5:
            return rng.choice(good)[:4] + frame[4:] + rng.choice(good)
        case 6:
            return _framed(rng.randbytes(rng.randrange(1, 200)))
        case 7:
            deep = rng.choice((10, 500, 2000, 50_000))
            return _framed(frame[4:-1] + b"\x91" * deep + b"\xc0")
        case _:
            value = msgpack.unpackb(frame[4:], strict_map_key=False)
            for _ in range(rng.choice((1, 1, 1, 2, 5))):
                value = _change(rng, value)
            return _framed(_pack(value))


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _pack(value: Any) -> bytes:
    try:
        return msgpack.packb(value, unicode_errors="surrogatepass")
    except (TypeError, ValueError, OverflowError):
        return b"\xc1"


def _flip(rng: random.Random, frame: bytes, start: int) -> bytes:
    data = bytearray(frame)
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(start, len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _change(rng: random.Random, value: Any) -> Any:
    """Replace, remove, add or repeat something at a random place."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        changed = dict(value)
        match rng.randrange(10):
            case 0:
                del changed[key]
            case 1:
                changed[rng.choice(("extra", "t", key))] = rng.choice(VALUES)
            case _:
                changed[key] = _change(rng, value[key])
        return changed
    if isinstance(value, list) and value and rng.random() < 0.9:
        index = rng.randrange(len(value))
        match rng.randrange(8):
            case 0:
                return value[:index] + value[index + 1 :]
            case 1:
                return [*value, value[index]]
            case 2:
                return value[::-1]
            case _:
                return [*value[:index], _change(rng, value[index]), *value[index + 1 :]]
    return rng.choice(VALUES)


def fault_of(name: str) -> bytes:
    """A host's own report of a fault."""
    body = Fault(name, name, NOW, "broken", "traceback")
    return encode_frame("control.host/fault@1", name, WORLD, 0, 0, body)
