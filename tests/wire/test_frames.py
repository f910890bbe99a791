"""Frames: what is accepted, what is refused and with which number."""

from __future__ import annotations

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.errors import WireError
from qnet.wire.codes import Refusal
from qnet.wire.control import CONTROL_KINDS, Bye, Hello
from qnet.wire.frame import (
    CONTROL_LIMIT_BYTES,
    HEADER_BYTES,
    Channel,
    FrameReader,
    decode_body,
    decode_frame,
    encode_frame,
)

HELLO = "control.host/hello@1"


def body_of(**changes: object) -> bytes:
    """A valid frame without its prefix, with some fields changed or (None) left out."""
    fields: dict[str, object] = {
        "v": 1,
        "kind": HELLO,
        "source": "alice",
        "target": "world",
        "seq": 0,
        "at": 0,
        "body": {"host": "alice", "pid": 1, "version": "0"},
    }
    fields.update(changes)
    return msgpack.packb({key: value for key, value in fields.items() if value is not None})


def test_frame_round_trip() -> None:
    data = encode_frame(HELLO, "alice", "world", 3, 17, Hello("alice", 5, "0.1.0"))
    reader = FrameReader()
    reader.feed(data)
    body = reader.next()
    assert body is not None
    frame = decode_frame(body)
    assert (frame.kind, frame.source, frame.target, frame.seq, frame.at) == (
        HELLO,
        "alice",
        "world",
        3,
        17,
    )
    decoder = msgspec.msgpack.Decoder(Hello)
    assert decode_body(frame.body, decoder, kind=HELLO) == Hello("alice", 5, "0.1.0")
    assert reader.next() is None


def test_reference_decoder_reads_the_same() -> None:
    """msgpack, the reference, and msgspec, the codec in use, agree on every byte of a frame."""
    data = encode_frame(HELLO, "alice", "world", 3, 17, Hello("alice", 5, "0.1.0"))[HEADER_BYTES:]
    reference = msgpack.unpackb(data)
    assert reference == {
        "v": 1,
        "kind": HELLO,
        "source": "alice",
        "target": "world",
        "seq": 3,
        "at": 17,
        "body": {"host": "alice", "pid": 5, "version": "0.1.0"},
    }
    assert msgpack.packb(reference) == data


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_reader_waits_for_whole_frames(cut: int) -> None:
    data = encode_frame(HELLO, "alice", "world", 0, 0, Bye("alice")) * 2
    reader = FrameReader()
    reader.feed(data[:cut])
    found = [reader.next()]
    reader.feed(data[cut:])
    found += [reader.next(), reader.next(), reader.next()]
    assert [body for body in found if body] == [data[HEADER_BYTES : len(data) // 2]] * 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"v": 2}, Refusal.VERSION),
        ({"v": "1"}, Refusal.NOT_A_FRAME),
        ({"kind": None}, Refusal.NOT_A_FRAME),
        ({"kind": 7}, Refusal.NOT_A_FRAME),
        ({"source": b"alice"}, Refusal.NOT_A_FRAME),
        ({"seq": -1}, Refusal.NOT_A_FRAME),
        ({"seq": 1.5}, Refusal.NOT_A_FRAME),
        ({"seq": True}, Refusal.NOT_A_FRAME),
        ({"at": -5}, Refusal.NOT_A_FRAME),
        ({"extra": 1}, Refusal.NOT_A_FRAME),
    ],
)
def test_frame_refuses_wrong_fields(changes: dict[str, object], code: Refusal) -> None:
    with pytest.raises(WireError) as caught:
        decode_frame(body_of(**changes), peer="alice")
    assert caught.value.code == code
    assert "alice" in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\xa5hello", b"\x91" * 2000])
def test_frame_refuses_bytes_that_are_no_frame(data: bytes) -> None:
    with pytest.raises(WireError) as caught:
        decode_frame(data)
    assert caught.value.code == Refusal.NOT_A_FRAME


@pytest.mark.parametrize(
    "body",
    [
        {"host": "a", "pid": "1", "version": ""},
        {"host": "a", "pid": 1},
        {"host": "a", "pid": 1, "version": "", "x": 1},
        [],
    ],
)
def test_body_refuses_wrong_types(body: object) -> None:
    frame = decode_frame(body_of(body=body))
    with pytest.raises(WireError) as caught:
        decode_body(frame.body, msgspec.msgpack.Decoder(Hello), kind=frame.kind)
    assert caught.value.code == Refusal.BAD_BODY
    assert HELLO in str(caught.value)


def test_reader_refuses_oversize_before_the_body_arrives() -> None:
    reader = FrameReader(peer="mallory")
    reader.feed((CONTROL_LIMIT_BYTES + 1).to_bytes(HEADER_BYTES, "big"))
    with pytest.raises(WireError, match="mallory: frame must be at most 65536 bytes") as caught:
        reader.next()
    assert caught.value.code == Refusal.OVERSIZE


def test_reader_refuses_empty_frames() -> None:
    reader = FrameReader()
    reader.feed(bytes(4))
    with pytest.raises(WireError) as caught:
        reader.next()
    assert caught.value.code == Refusal.EMPTY


def test_reader_names_a_truncated_end() -> None:
    reader = FrameReader()
    reader.end()
    reader.feed(b"\x00\x00\x00\x09abc")
    with pytest.raises(WireError, match="7 bytes of it had arrived") as caught:
        reader.end()
    assert caught.value.code == Refusal.TRUNCATED


@pytest.mark.parametrize(
    ("source", "target", "seq", "code"),
    [
        ("bob", "world", 0, Refusal.WRONG_SOURCE),
        ("alice", "bob", 0, Refusal.WRONG_TARGET),
        ("alice", "world", 1, Refusal.SEQUENCE),
    ],
)
def test_channel_refuses(source: str, target: str, seq: int, code: Refusal) -> None:
    channel = Channel("alice", "world")
    with pytest.raises(WireError) as caught:
        channel.check(decode_frame(body_of(source=source, target=target, seq=seq)))
    assert caught.value.code == code
    channel.check(decode_frame(body_of()))  # nothing has moved


def test_channel_refuses_replay() -> None:
    channel = Channel("alice", "world")
    channel.check(decode_frame(body_of()))
    with pytest.raises(WireError, match="must be 1, got 0") as caught:
        channel.check(decode_frame(body_of()))
    assert caught.value.code == Refusal.SEQUENCE


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_give_a_frame_or_a_wire_error(data: bytes) -> None:
    try:
        decode_frame(data)
    except WireError as error:
        assert error.code in Refusal.__members__.values()  # noqa: PT017 - both ends are right


def test_every_control_kind_is_versioned() -> None:
    for kind, record in CONTROL_KINDS.items():
        assert kind.endswith("@1"), kind
        assert record.__doc__
