"""A connection between a host and the world over a stream socket (:mod:`qnet.runtime.transports`).

Blocking, on purpose: in lock-step one side works while the other waits, and a blocking wait for the grant
is several times faster than a wait through an event loop. Nothing is lost by it, because a host has
nothing to do until its grant comes; a closed socket ends the wait.

Only whole frames are written, by one writer, and every frame is counted.
"""

from __future__ import annotations

import socket
import struct
from typing import Any, Final

import msgspec

from qnet.errors import NodeLost, WireError
from qnet.wire.codes import Refusal
from qnet.wire.control import CONTROL_KINDS, KIND_OF
from qnet.wire.frame import (
    BULK_LIMIT_BYTES,
    CONTROL_LIMIT_BYTES,
    Channel,
    Frame,
    FrameReader,
    decode_body,
    decode_frame,
    encode_frame,
)

RECEIVE_BYTES: Final = 1 << 16
_DECODERS: Final[dict[str, msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(record) for kind, record in CONTROL_KINDS.items()
}


class Connection:
    """One end of a stream of control messages.

    Args:
        sock: connected stream socket, blocking.
        own: our name, the only accepted target.
        peer: the other's name, the only accepted source.
        limit_bytes: largest frame accepted; raise it with :meth:`trust`.
    """

    def __init__(
        self, sock: socket.socket, *, own: str, peer: str, limit_bytes: int = CONTROL_LIMIT_BYTES
    ) -> None:
        self.own = own
        self.peer = peer
        self._sock = sock
        self._reader = FrameReader(peer=peer, limit_bytes=limit_bytes)
        self._out = Channel(own, peer)
        self._in = Channel(peer, own)

    def fileno(self) -> int:
        """Descriptor, for polling."""
        return self._sock.fileno()

    def trust(self) -> None:
        """The peer is known: accept bulk frames."""
        self._reader.limit_bytes = BULK_LIMIT_BYTES

    def wait_at_most(self, wall_s: float) -> None:
        """From now on a read that waits longer raises BlockingIOError."""
        limit = struct.pack("ll", int(wall_s), int(wall_s % 1.0 * 1e6))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)

    def send(self, body: Any, at: int = 0) -> None:
        """Write one frame.

        Raises:
            NodeLost: the peer is gone.
        """
        data = encode_frame(KIND_OF[type(body)], self.own, self.peer, self._out.stamp(), at, body)
        if len(data) > BULK_LIMIT_BYTES:
            raise WireError(
                f"frame must be at most {BULK_LIMIT_BYTES} bytes, got {len(data)}",
                code=Refusal.OVERSIZE,
                peer=self.own,
                where=KIND_OF[type(body)],
            )
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise NodeLost(f"{self.peer} closed its connection ({error.strerror})") from None

    def receive(self) -> Any:
        """Wait for the next message.

        Raises:
            NodeLost: the peer is gone.
            WireError: it sent something illegal.
        """
        while True:
            message = self.poll()
            if message is not None:
                return message
            self.fill()

    def fill(self) -> None:
        """Read what has arrived, waiting for something if nothing has.

        Raises:
            NodeLost: the peer has closed.
        """
        try:
            data = self._sock.recv(RECEIVE_BYTES)
        except ConnectionError as error:
            raise NodeLost(f"{self.peer} broke its connection ({error.strerror})") from None
        if not data:
            self._reader.end()
            raise NodeLost(f"{self.peer} closed its connection")
        self._reader.feed(data)

    def poll(self) -> Any | None:
        """The next whole message that has been read, or None.

        Raises:
            WireError: it is illegal.
        """
        data = self._reader.next()
        if data is None:
            return None
        frame = decode_frame(data, peer=self.peer)
        self._in.check(frame)
        return self._body(frame)

    def _body(self, frame: Frame) -> Any:
        decoder = _DECODERS.get(frame.kind)
        if decoder is None:
            raise WireError(
                f"control message kind must be one of {len(_DECODERS)} known ones, got {frame.kind!r}",
                code=Refusal.UNKNOWN_KIND,
                peer=self.peer,
            )
        return decode_body(frame.body, decoder, kind=frame.kind, peer=self.peer)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def expect(message: Any, *kinds: type[Any], peer: str) -> Any:
    """``message`` if it is of one of ``kinds``.

    Raises:
        WireError: it is known but not legal in this phase.
    """
    if isinstance(message, kinds):
        return message
    wanted = " or ".join(KIND_OF[kind] for kind in kinds)
    raise WireError(
        f"message must be {wanted} in this phase, got {KIND_OF[type(message)]}",
        code=Refusal.UNKNOWN_KIND,
        peer=peer,
    )
