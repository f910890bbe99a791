"""The world's end of a connection to a host, in the hands of a case: it can say anything, also what is wrong.

Theory
    What the host says is held against the specification frame by frame, as it comes: a frame that breaks
    a sentence raises :class:`~qnet.testing.conformance.parts.Violation` with its number, whatever the case
    was about. The typed check is that of our own world; rules that a decoder does not see (keys written
    twice, numbers that are none, trace lines) are checked on the reference decoder's reading.
Assumptions and validity
    The host speaks in turn only, so a case needs no wait to see that it was silent: what it said out of
    turn stands before its answer.
Units
    Seconds of wall time.
"""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, NoReturn, TypeVar

import msgpack
import msgspec

from qnet.errors import WireError
from qnet.ids import NodeId
from qnet.testing.conformance.parts import Flight, Line, NotApplicable, Violation
from qnet.wire.codes import Refusal
from qnet.wire.control import CONTROL_KINDS, KIND_OF, WORLD, Fault, NodeReport, Report
from qnet.wire.frame import (
    BULK_LIMIT_BYTES,
    HEADER_BYTES,
    Channel,
    Frame,
    FrameReader,
    decode_body,
    decode_frame,
    encode_frame,
)

LIVENESS_S: Final = 20.0
"""How long a host may be silent when it is its turn."""
UNSUPPORTED: Final = 127
"""Exit status of a program that does not serve what its configuration asks for."""

T = TypeVar("T")
_DECODERS: Final[dict[str, msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(record) for kind, record in CONTROL_KINDS.items()
}
SENTENCES: Final[dict[int, str]] = {
    Refusal.OVERSIZE: "QN-WIRE-1.2-1",
    Refusal.EMPTY: "QN-WIRE-1.1-1",
    Refusal.TRUNCATED: "QN-WIRE-1.1-1",
    Refusal.NOT_A_FRAME: "QN-WIRE-1.1-2",
    Refusal.VERSION: "QN-WIRE-1.1-3",
    Refusal.WRONG_SOURCE: "QN-WIRE-2.1-1",
    Refusal.WRONG_TARGET: "QN-WIRE-2.1-1",
    Refusal.SEQUENCE: "QN-WIRE-2.1-2",
    Refusal.UNKNOWN_KIND: "QN-WIRE-2.2-1",
    Refusal.BAD_BODY: "QN-WIRE-2.2-2",
}
"""Refusal of our own decoder -> the sentence that the host has broken with such a frame."""


class Closed(msgspec.Struct, frozen=True):
    """The host has closed its connection; ``status`` is how it ended, None if it still runs."""

    status: int | None


class Talk:
    """The world's end of one connection.

    Args:
        sock: connected stream socket.
        host: name of the host.
        ended: waits so many seconds for the end of the host; its exit status or None.
        limit_s: how long the host may be silent when it is its turn.
    """

    def __init__(
        self,
        sock: socket.socket,
        host: str,
        *,
        ended: Callable[[float], int | None],
        limit_s: float = LIVENESS_S,
    ) -> None:
        self.host = host
        self.lines: list[Line] = []
        self.flights: list[Flight] = []
        self.ready = False
        self.reports: list[bytes] = []
        """Every report as it came."""
        self.slowest_s = 0.0
        """The longest that the host took for an answer."""
        self._sock, self._ended, self._limit_s = sock, ended, limit_s
        self._reader = FrameReader(peer=host, limit_bytes=BULK_LIMIT_BYTES)
        self._in = Channel(host, WORLD)
        self._out = Channel(WORLD, host)

    # ------------------------------------------------------------ speaking

    def say(self, body: msgspec.Struct, at: int = 0) -> None:
        """Send a right frame with this body."""
        kind = KIND_OF[type(body)]  # type: ignore[index]
        self.write(encode_frame(kind, WORLD, self.host, self.next(), at, body), kind)

    def next(self) -> int:
        """Take the next sequence number."""
        return self._out.stamp()

    def right(self, body: msgspec.Struct, at: int = 0) -> dict[str, Any]:
        """The map of a right frame that takes the next sequence number."""
        data = encode_frame(KIND_OF[type(body)], WORLD, self.host, self._out.stamp(), at, body)  # type: ignore[index]
        fields: dict[str, Any] = msgpack.unpackb(data[HEADER_BYTES:])
        return fields

    def say_map(self, fields: dict[str, Any]) -> None:
        """Send any map as a frame."""
        self.say_bytes(msgpack.packb(fields), str(fields.get("kind")))

    def say_bytes(self, data: bytes, words: str = "bytes") -> None:
        """Send bytes as a frame, behind their length."""
        self.write(len(data).to_bytes(HEADER_BYTES, "big") + data, words)

    def write(self, data: bytes, words: str = "bytes", pieces: int = 0) -> None:
        """Write bytes as they are; in pieces of a size, if it is given. A host that has gone is no error."""
        self._note(WORLD, self.host, f"{words}, {len(data)} bytes")
        step = pieces or len(data)
        with suppress(OSError):  # the next reading tells
            for start in range(0, len(data), step):
                self._sock.sendall(data[start : start + step])

    def end_of_speech(self) -> None:
        """Close our direction: the host reads the end of the stream."""
        self._note(WORLD, self.host, "end of the stream")
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    # ------------------------------------------------------------ hearing

    def hear(self) -> Any:
        """The next body, or :class:`Closed`.

        Raises:
            Violation: the frame breaks a sentence, or none comes for long.
        """
        began = time.monotonic()
        while True:
            try:
                data = self._reader.next()
            except WireError as error:
                raise self._broken(error) from None
            if data is not None:
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                return self._heard(data)
            if not self._fill(began + self._limit_s):
                return self._closed()

    def expect(self, kind: type[T], sentence: str, after: str) -> T:
        """The next body, which must be of ``kind``.

        Raises:
            Violation: it is another one, a fault, or the connection was closed.
            NotApplicable: the host ended with status 127 before it was ready.
        """
        got = self.hear()
        if isinstance(got, kind):
            return got
        if isinstance(got, Closed) and got.status == UNSUPPORTED and not self.ready:
            raise NotApplicable(
                f"the program ends with status {UNSUPPORTED}, not supported, after {after}"
            )
        wanted = KIND_OF[kind]  # type: ignore[index]
        raise Violation(sentence, f"after {after} the host must say {wanted}, {words_of(got)}")

    def _fill(self, limit: float) -> bool:
        rest = limit - time.monotonic()
        if rest <= 0.0:
            self._hangs()
        self._sock.settimeout(rest)
        try:
            data = self._sock.recv(1 << 16)
        except TimeoutError:
            self._hangs()
        except ConnectionError:
            return False
        self._reader.feed(data)
        return bool(data)

    def _hangs(self) -> NoReturn:
        raise Violation(
            "QN-WIRE-4.1-3", f"the host says nothing for {self._limit_s:g} s though it is its turn"
        )

    def _closed(self) -> Closed:
        try:
            self._reader.end()
        except WireError as error:
            raise self._broken(error) from None
        status = self._ended(self._limit_s)
        self._note(self.host, WORLD, f"closes, exit status {status}")
        return Closed(status)

    def _heard(self, data: bytes) -> Any:
        try:
            frame = decode_frame(data, peer=self.host)
            self._in.check(frame)
            decoder = _DECODERS.get(frame.kind)
            if decoder is None or not frame.kind.startswith("control.host/"):
                raise WireError(
                    f"a host says control.host/..., got {frame.kind!r}", code=Refusal.UNKNOWN_KIND
                )
            body = decode_body(frame.body, decoder, kind=frame.kind, peer=self.host)
        except WireError as error:
            raise self._broken(error) from None
        self._note(self.host, WORLD, f"{frame.kind} {body!r}"[:300])
        _canonical(data)
        self._own_names(frame, body)
        return body

    def _own_names(self, frame: Frame, body: Any) -> None:
        named = getattr(body, "host", self.host)
        if named != self.host:
            raise Violation(
                "QN-WIRE-3.1-1", f"{frame.kind} must name its host {self.host!r}, got {named!r}"
            )
        if isinstance(body, Report | Fault) and frame.at != body.at:
            raise Violation(
                "QN-WIRE-2.1-3", f"at of {frame.kind} is {frame.at}, that of its body {body.at}"
            )
        if isinstance(body, Report):
            self.reports.append(bytes(frame.body))
            for one in body.nodes:
                _trace_lines(one)

    def _broken(self, error: WireError) -> Violation:
        return Violation(SENTENCES.get(error.code, "QN-WIRE-1.1-2"), str(error))

    def _note(self, source: str, target: str, words: str) -> None:
        at = len(self.lines)
        arrow = f"> {target}" if source == WORLD else f"{target} <"
        self.lines.append(Line(at, NodeId(source), f"{arrow} {words}"))
        title = words.partition(" ")[0].partition("/")[2].partition("@")[0] or words[:20]
        self.flights.append(Flight(at, NodeId(source), NodeId(target), title, [at + 1]))


def words_of(got: Any) -> str:
    """What came instead, in words."""
    match got:
        case Closed(status):
            return f"it closed its connection, {'and runs on' if status is None else f'exit status {status}'}"
        case Fault(text=text):
            return f"it said Fault: {text[:200]}"
    return f"it said {KIND_OF[type(got)]}"


def _canonical(data: bytes) -> None:
    """Rules of bodies that a typed decoder does not see: each key once, no number that is none."""

    def read(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
        listed = list(pairs)
        keys = [key for key, _ in listed]
        if not all(isinstance(key, str) for key in keys):
            raise Violation("QN-WIRE-2.3-2", f"keys must be strings, got {keys!r}")
        if len(set(keys)) < len(keys):
            raise Violation("QN-WIRE-2.3-1", f"a map must have each key once, got {keys!r}")
        for key, value in listed:
            if isinstance(value, float) and not math.isfinite(value):
                raise Violation("QN-WIRE-2.3-3", f"{key} must be a finite number, got {value}")
        return dict(listed)

    msgpack.unpackb(data, object_pairs_hook=read, strict_map_key=False)


def _trace_lines(report: NodeReport) -> None:
    text = report.trace
    if text and not text.endswith(b"\n"):
        raise Violation("QN-WIRE-3.2-4", f"trace must be whole lines, ends in {text[-20:]!r}")
    for line in text.splitlines():
        try:
            json.loads(line)
        except ValueError as error:
            raise Violation(
                "QN-WIRE-3.2-4", f"a trace line must be JSON: {error}, got {line[:80]!r}"
            ) from None
