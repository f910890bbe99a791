"""The built-in transports of the group ``qnet.transports``: how the frames of a host reach the world.

Theory
    A transport makes the two ends of a stream; what is said over it (:mod:`qnet.runtime.connection`), that
    world and hosts take turns, and how processes start and end are the same for all of them. So a trace
    does not depend on the transport, and a plan does not name it: ``--transport`` does.

    The launcher makes every pair before the first process starts, and the processes inherit the ends as
    file descriptors: nobody has to find, await or authenticate anybody.
Assumptions and validity
    Both ends are on this machine. The world polls its ends, so they have file descriptors.
Not modelled
    Hosts on other machines: their ends cannot be inherited.
Units
    None.
Sources
    POSIX.1-2017, socketpair(); RFC 9293 (TCP).
"""

from __future__ import annotations

import socket
from typing import Any, Final

from qnet.errors import PluginError, RuntimeFault
from qnet.plugins import find
from qnet.seams import Transport


def connected(name: str) -> tuple[socket.socket, socket.socket]:
    """A fresh pair of sockets of the transport ``name``: (world's end, host's end).

    Raises:
        PluginError: there is no such transport, it has no sockets, or it does not give what it must.
        OSError: the system refuses.
    """
    make = find("qnet.transports", name).pair
    if make is None:
        raise PluginError(
            f"transport {name!r} joins a host to the world within one process only (--embedded)"
        )
    ends: Any = make()
    if not (isinstance(ends, tuple) and len(ends) == 2 and all(map(_is_stream, ends))):
        for end in ends if isinstance(ends, tuple) else ():
            if isinstance(end, socket.socket):
                end.close()
        raise PluginError(
            f"transport {name!r} must make two blocking stream sockets, connected, with file descriptors; "
            f"got {ends!r}"
        )
    world_end, host_end = ends
    return world_end, host_end


def _is_stream(end: object) -> bool:
    if not isinstance(end, socket.socket) or end.fileno() < 0 or not end.getblocking():
        return False
    return end.type == socket.SOCK_STREAM


def _loopback() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection over 127.0.0.1, accepted from this process only."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        host_end = socket.create_connection(server.getsockname())
        world_end, address = server.accept()
    if address != host_end.getsockname():
        raise RuntimeFault(
            f"loopback connection must come from this process, {host_end.getsockname()}, got {address}"
        )
    for sock in (world_end, host_end):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return world_end, host_end


MEMORY: Final = Transport(
    name="memory",
    title="world and host in one process, called directly (--embedded)",
    pair=None,
)
UNIX: Final = Transport(
    name="unix",
    title="Unix socket pairs",
    pair=socket.socketpair,
)
TCP: Final = Transport(
    name="tcp",
    title="TCP over the loopback",
    pair=_loopback,
)
