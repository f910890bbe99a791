"""Good frames of every control message, and a way to spoil them."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import msgspec

from qnet.ids import LinkId, NodeId, OpId, PairId, RequestId, SlotId
from qnet.plan import RunPlan
from qnet.program import Draw, Gate, Initialise, Measure, Program
from qnet.runtime.assembly import build_world
from qnet.runtime.embedded import HOST, EmbeddedPort
from qnet.runtime.host import Host
from qnet.units import Instant
from qnet.wire.control import (
    WORLD,
    AbortAttempt,
    AppEnded,
    Clicked,
    Crashed,
    Delivered,
    Discard,
    Envelope,
    ExpiryNote,
    Grant,
    MeasuredNote,
    NodeGrant,
    NodeReport,
    Output,
    Post,
    ProgramEnded,
    Report,
    RequestNote,
    Restarted,
    RunProgram,
    StartAttempt,
    Stop,
)
from qnet.wire.frame import encode_body, encode_frame

ALICE, BOB, MIDDLE = NodeId("alice"), NodeId("bob"), NodeId("middle")
LINK = LinkId("alice-bob")
REPORT, GRANT = "control.host/report@1", "control.world/grant@1"
NOW = Instant(0)


def report(
    outputs: list[Output], *, node: NodeId = ALICE, at: int = 0, trace: bytes = b"{}\n"
) -> bytes:
    body = Report(Instant(at), Instant(5), [NodeReport(node, outputs, trace)])
    return encode_frame(REPORT, "host-alice", WORLD, 0, at, body)


def grant(items: list[Any], *, node: NodeId = ALICE, at: int = 7) -> bytes:
    return encode_frame(
        GRANT, WORLD, "alice", 0, at, Grant(Instant(at), 0, [NodeGrant(node, items)])
    )


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
                Draw((1.0, 3.0)),
                Initialise(other),
                Measure(other, bases=("X", "Z+X"), choice=2),
            )
        )
        measured = MeasuredNote(
            PairId("alice-bob#2"), RequestId("alice/1"), 2, True, BOB, (0, 1), 0.9, 0.01, NOW, NOW, "X", 1
        )  # fmt: skip
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
            measured,
            Post(BOB, "app.x/y@1", 0, encode_body(["again"]), epoch=1, number=7),
            RequestNote(RequestId("alice/1"), BOB, 5, "open"),
            RequestNote(RequestId("alice/1"), BOB, 0, "ended"),
            ExpiryNote((PairId("alice-bob#1"),), RequestId("alice/1")),
            AppEnded("requester", encode_body({"delivered": 5, "mean": 0.5, "error": ""})),
        ]

    @classmethod
    def reports(cls) -> list[bytes]:
        outputs = cls.outputs()
        return [report([output]) for output in outputs] + [report([]), report(outputs[:8])]

    @classmethod
    def grants(cls, plan: RunPlan) -> list[bytes]:
        """Grants to alice: every kind of message that a real run brought her, each as the first."""
        found: dict[tuple[str, str], Envelope] = {}
        for envelope in envelopes(plan, ALICE):
            found.setdefault(
                (envelope.kind, envelope.source), msgspec.structs.replace(envelope, seq=0)
            )
        good = [grant([]), *(grant([envelope]) for envelope in found.values())]
        good += [grant([Crashed()]), grant([Restarted(1)])]
        return [*good, encode_frame("control.world/stop@1", WORLD, "alice", 0, 0, Stop("over"))]

    @staticmethod
    def misdirected() -> list[bytes]:
        """Grants about things that alice does not have."""
        return [
            grant([ProgramEnded(OpId("x"), (0, 1))]),
            grant([Clicked(LINK, (0, 2), NOW)]),
            grant([], node=BOB),
            grant([Envelope(BOB, "x.y/z@1", 0, NOW, encode_body(1))]),
            grant([Envelope(BOB, "link.egp/propose@1", 1, NOW, encode_body(1))]),
        ]

    @classmethod
    def impostors(cls) -> list[tuple[bytes, str]]:
        app = AppEnded("requester", encode_body(1))
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
            (report([AppEnded("requester", msgspec.Raw(msgpack.packb(msgpack.ExtType(1, b""))))]), "BAD_BODY"),
            (report([AppEnded("requester", msgspec.Raw(b"\x91" * 5000 + b"\xc0"))]), "NOT_A_FRAME"),
            (report([AppEnded("requester", msgspec.Raw(b"\xa1\xff"))]), "BAD_BODY"),
        ]  # fmt: skip


def envelopes(plan: RunPlan, node: NodeId) -> list[Envelope]:
    """Messages that ``node`` gets in an embedded run."""
    names = [one.name for one in plan.nodes]
    world = build_world(plan, dict.fromkeys(names, HOST), None)
    seen: list[Envelope] = []

    class Listening(EmbeddedPort):
        def exchange(self, report: Report) -> Grant | None:
            grant = super().exchange(report)
            for one in grant.nodes if grant is not None else ():
                if one.node == node:
                    seen.extend(item for item in one.items if isinstance(item, Envelope))
            return grant

    Host(plan, names, Listening(world, lambda: None)).run()
    return seen


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
    match rng.randrange(20):
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
                if rng.random() < 0.8 and isinstance(value, dict) and "body" in value:
                    value = value | {"body": _change(rng, value["body"])}
                else:
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
