"""A host's process: takes its part of the plan from the world and runs it."""

from __future__ import annotations

import os
import signal
import socket
import traceback

import structlog

from qnet import __version__
from qnet.errors import NodeLost, QnetError
from qnet.runtime.connection import Connection, expect
from qnet.runtime.driver import interrupt
from qnet.runtime.guard import pin_to, seldom_collecting
from qnet.runtime.host import Host
from qnet.runtime.log import configure
from qnet.units import Instant
from qnet.wire.control import (
    WORLD,
    Bye,
    Configure,
    Fault,
    Grant,
    Hello,
    Ready,
    Report,
    Stop,
)


class SocketPort:
    """The port of a host over a connection."""

    def __init__(self, connection: Connection, core: int | None) -> None:
        self._connection = connection
        self._core = core
        self.at = Instant(0)

    def first(self) -> Grant | None:
        """Say that we are ready and wait for the start."""
        self._connection.send(Ready(self._connection.own))
        pin_to(self._core)  # start-up used every core; from here on one host works at a time
        return self._next()

    def exchange(self, report: Report) -> Grant | None:
        """Send the report, wait for the grant."""
        self._connection.send(report, report.at)
        return self._next()

    def _next(self) -> Grant | None:
        message = expect(self._connection.receive(), Grant, Stop, peer=WORLD)
        if isinstance(message, Stop):
            return None
        grant: Grant = message
        self.at = grant.at
        return grant


def serve(sock: socket.socket, name: str, core: int | None = None) -> int:
    """Be host ``name`` over ``sock``, pinned to ``core``; the exit status: 0, or 1 after a fault."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher owns Ctrl-C
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, interrupt)  # from the launcher, when nothing moves
    return attend(sock, name, configure(name), core)


def attend(
    sock: socket.socket,
    name: str,
    log: structlog.typing.FilteringBoundLogger,
    core: int | None = None,
) -> int:
    """The same in a thread of any process, whose signals and log are not touched."""
    connection = Connection(sock, own=name, peer=WORLD)
    connection.trust()
    port = SocketPort(connection, core)
    host: Host | None = None
    try:
        connection.send(Hello(name, os.getpid(), __version__))
        message = expect(connection.receive(), Configure, Stop, peer=WORLD)
        if isinstance(message, Stop):
            return 0
        host = Host(message.plan, message.nodes, port)
        with seldom_collecting():
            host.run()
        connection.send(Bye(name))
    except NodeLost as lost:
        log.error("world_lost", text=str(lost))
        return 1
    except Exception as error:
        log.error("host_failed", exc_info=error)
        _tell(connection, port, name, error, host.last_lines() if host else b"")
        return 1
    log.info("host_ended", at_ps=port.at)
    return 0


def _tell(
    connection: Connection, port: SocketPort, name: str, error: Exception, trace: bytes
) -> None:
    """Tell the world what went wrong; it may be gone itself."""
    words = str(error) if isinstance(error, QnetError) else f"{type(error).__name__}: {error}"
    detail = "".join(traceback.format_exception(error))[-20_000:]
    try:
        connection.send(Fault(name, name, port.at, words[:8_000], detail, trace), port.at)
    except QnetError:
        return
