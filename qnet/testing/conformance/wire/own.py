"""qnet's own host as a target: the code of a host's process in a thread, over a socket pair.

Assumptions and validity
    The host is the code of a real run; only signals, pinning and the log of its process are left out.
    One host at a time: it runs Trio, whose scheduler is arranged for the whole process.
"""

from __future__ import annotations

import io
import socket
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import structlog

from qnet.runtime.host_process import attend
from qnet.testing.conformance.wire.talk import Talk

TARGET: Final = "qnet"
"""What the user writes for it."""


@dataclass(frozen=True)
class OwnHost:
    """The target ``qnet``."""

    name: str = TARGET

    def start(self, host: str, role: str) -> Attending:
        """Start it as ``host``."""
        del role
        return Attending(host)


class Attending:
    """A host in a thread. Use as a context manager."""

    def __init__(self, host: str) -> None:
        ours, theirs = socket.socketpair()
        self._status: int | None = None
        self._log = io.StringIO()
        log = structlog.wrap_logger(
            structlog.WriteLogger(self._log),
            processors=[structlog.processors.JSONRenderer()],
            wrapper_class=structlog.BoundLogger,
        )

        def run() -> None:
            with theirs:
                self._status = attend(theirs, host, log)

        self._thread = threading.Thread(target=run, name=f"host {host}", daemon=True)
        self._talk = Talk(ours, host, ended=self.ended)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.end()

    def talk(self) -> Talk:
        """The connection to it."""
        return self._talk

    def ended(self, wait_s: float) -> int | None:
        """Exit status of its process, if it had one; None if it still runs."""
        self._thread.join(wait_s)
        return None if self._thread.is_alive() else self._status

    def end(self) -> None:
        """Close the connection, which ends it."""
        self._talk.close()
        self._thread.join(1.0)

    def output(self) -> str:
        """Its log."""
        return self._log.getvalue()
