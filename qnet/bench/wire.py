"""The wire: encode, decode and check one frame, beside the bare codecs on the same content."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import msgpack
import msgspec

from qnet.ids import NodeId
from qnet.units import Instant
from qnet.wire.control import KIND_OF, NodeReport, Post, Report
from qnet.wire.frame import HEADER_BYTES, decode_body, decode_frame, encode_body, encode_frame

TITLE: Final = "one frame with a report that carries one message"
NOTE: Final = "bare: the same content as plain maps, without envelope checks or types"
BATCH: Final = 5_000
REPEATS: Final = 7


def _us(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        for _ in range(BATCH):
            work()
        times.append((time.perf_counter() - started) / BATCH)
    return statistics.median(times) * 1e6


def run() -> list[dict[str, Any]]:
    """The rows."""
    at = Instant(1_776_509_794)
    post = Post(
        NodeId("bob"), "link.egp/accepted@1", 7, encode_body({"request": "alice/1", "number": 3})
    )
    report = Report(at, at, [NodeReport(NodeId("alice"), [post], b"")])
    kind = KIND_OF[Report]
    frame = encode_frame(kind, "alice", "world", 9, at, report)
    plain = msgpack.unpackb(frame[HEADER_BYTES:])
    decoder = msgspec.msgpack.Decoder(Report)

    def decode() -> object:
        whole = decode_frame(frame[HEADER_BYTES:])
        return decode_body(whole.body, decoder, kind=kind)

    rows = {
        "encode": (
            _us(lambda: encode_frame(kind, "alice", "world", 9, at, report)),
            _us(lambda: msgpack.packb(plain)),
            _us(lambda: msgspec.msgpack.encode(plain)),
        ),
        "decode and check": (
            _us(decode),
            _us(lambda: msgpack.unpackb(frame[HEADER_BYTES:])),
            _us(lambda: msgspec.msgpack.decode(frame[HEADER_BYTES:])),
        ),
    }
    return [
        {
            "step": step,
            "bytes": len(frame),
            "qnet_us": round(ours, 2),
            "bare_msgpack_us": round(reference, 2),
            "bare_msgspec_us": round(codec, 2),
        }
        for step, (ours, reference, codec) in rows.items()
    ]
