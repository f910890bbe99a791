"""Frames: a 4-byte big-endian length and one msgpack map.

The map has seven fields: ``v`` (version), ``kind``, ``source``, ``target``, ``seq`` (per channel, from 0),
``at`` (picoseconds) and ``body``. The body is decoded only after the kind is known. The length is checked
against the limit of the connection before a byte of the body is read; the first bad frame ends the
connection.

Codec
    msgspec's msgpack codec, strict and typed, produces and checks the bytes; ``msgpack`` is the reference:
    the golden tests decode every frame with both and compare, and :func:`describe` uses it to say what a
    refused frame contained.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgpack
import msgspec

from qnet.errors import WireError
from qnet.wire.codes import Refusal

WIRE_VERSION: Final = 1
HEADER_BYTES: Final = 4
CONTROL_LIMIT_BYTES: Final = 64 * 1024
"""Largest frame before a host is known."""
BULK_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""Largest frame of a known host (reports carry trace lines, configurations carry plans)."""


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One frame; ``body`` is still encoded."""

    v: int
    kind: str
    source: str
    target: str
    seq: int
    at: int
    body: msgspec.Raw


T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)


def encode_body(body: object) -> msgspec.Raw:
    """A record as msgpack bytes, ready to be put into a frame or an envelope."""
    return msgspec.Raw(_encoder.encode(body))


def encode_frame(kind: str, source: str, target: str, seq: int, at: int, body: object) -> bytes:
    """The bytes of a frame, length prefix included. ``body`` may be a record or a ``msgspec.Raw``."""
    data = _encoder.encode(
        {
            "v": WIRE_VERSION,
            "kind": kind,
            "source": source,
            "target": target,
            "seq": seq,
            "at": at,
            "body": body,
        }
    )
    return len(data).to_bytes(HEADER_BYTES, "big") + data


def decode_frame(data: bytes | memoryview, *, peer: str = "") -> Frame:
    """One frame from the bytes behind its length prefix.

    Raises:
        WireError: the bytes are not a frame of this version; ``where`` says at which field.
    """
    try:
        frame = _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise WireError(
            f"frame must be one msgpack map with the fields v, kind, source, target, seq, at, body: {error}",
            code=Refusal.NOT_A_FRAME,
            peer=peer,
            where=describe(data),
        ) from None
    if frame.v != WIRE_VERSION:
        raise WireError(
            f"wire version must be {WIRE_VERSION}, got {frame.v}", code=Refusal.VERSION, peer=peer
        )
    if frame.seq < 0 or frame.at < 0:
        raise WireError(
            f"seq and at must be >= 0, got seq {frame.seq}, at {frame.at}",
            code=Refusal.NOT_A_FRAME,
            peer=peer,
        )
    return frame


def decode_body(
    body: bytes | msgspec.Raw, decoder: msgspec.msgpack.Decoder[T], *, kind: str, peer: str = ""
) -> T:
    """The record of a body.

    Raises:
        WireError: a field is missing, unknown or of the wrong type; ``where`` is kind and path.
    """
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise WireError(
            f"body must be a record of its kind: {error}",
            code=Refusal.BAD_BODY,
            peer=peer,
            where=kind,
        ) from None


def describe(data: bytes | memoryview, limit: int = 60) -> str:
    """A few words on bytes that were refused, read with the reference decoder and its limits."""
    size = len(data)
    try:
        value = msgpack.unpackb(bytes(data[:CONTROL_LIMIT_BYTES]), strict_map_key=False)
    except Exception as error:  # the reference decoder may raise anything on hostile bytes
        return f"{size} bytes, not msgpack ({type(error).__name__})"
    kind = value.get("kind") if isinstance(value, dict) else None
    shown = repr(kind)[:limit] if kind is not None else type(value).__name__
    return f"{size} bytes, {shown}"


class FrameReader:
    """Cuts a byte stream into frame bodies, sans I/O.

    Attributes:
        limit_bytes: largest frame accepted from now on.
    """

    def __init__(self, *, peer: str = "", limit_bytes: int = CONTROL_LIMIT_BYTES) -> None:
        self.peer = peer
        self.limit_bytes = limit_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes as they arrived."""
        self._buffer += data

    def next(self) -> bytes | None:
        """The bytes of the next whole frame without its prefix, or None if more must arrive.

        Raises:
            WireError: the prefix breaks the limit. The stream cannot be used after that.
        """
        buffer = self._buffer
        if len(buffer) < HEADER_BYTES:
            return None
        size = int.from_bytes(buffer[:HEADER_BYTES], "big")
        if size > self.limit_bytes:
            raise WireError(
                f"frame must be at most {self.limit_bytes} bytes, the prefix announces {size}",
                code=Refusal.OVERSIZE,
                peer=self.peer,
            )
        if size == 0:
            raise WireError("frame must not be empty", code=Refusal.EMPTY, peer=self.peer)
        end = HEADER_BYTES + size
        if len(buffer) < end:
            return None
        data = bytes(buffer[HEADER_BYTES:end])
        del buffer[:end]
        return data

    def end(self) -> None:
        """The stream has ended.

        Raises:
            WireError: it ended inside a frame.
        """
        if self._buffer:
            raise WireError(
                f"connection ended inside a frame, {len(self._buffer)} bytes of it had arrived",
                code=Refusal.TRUNCATED,
                peer=self.peer,
            )


class Channel:
    """One direction of a connection: counts frames and checks who speaks to whom.

    Args:
        source: the only name accepted as source; "" until it is known.
        target: the only name accepted as target.
    """

    def __init__(self, source: str, target: str) -> None:
        self.source = source
        self.target = target
        self._next = 0

    def stamp(self) -> int:
        """Sequence number for the next frame to send."""
        self._next += 1
        return self._next - 1

    def check(self, frame: Frame) -> None:
        """Check source, target and sequence number of a received frame.

        Raises:
            WireError: another's name, another's address, a repeated or a missing frame.
        """
        if self.source and frame.source != self.source:
            raise WireError(
                f"source must be {self.source!r}, got {frame.source!r}",
                code=Refusal.WRONG_SOURCE,
                peer=self.source,
                where=frame.kind,
            )
        if frame.target != self.target:
            raise WireError(
                f"target must be {self.target!r}, got {frame.target!r}",
                code=Refusal.WRONG_TARGET,
                peer=self.source,
                where=frame.kind,
            )
        if frame.seq != self._next:
            raise WireError(
                f"sequence number must be {self._next}, got {frame.seq}",
                code=Refusal.SEQUENCE,
                peer=self.source,
                where=frame.kind,
            )
        self._next += 1
