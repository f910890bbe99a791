"""A program in any language as a host: how it is started, what it is told, how it is made to end.

Theory
    A target ``exec:COMMAND`` is a program that joins a network as a host. For each run of a case it is
    started anew, in a session of its own, with the address of a Unix socket and its role in the
    environment (:data:`VARIABLES`). It connects, says ``Hello`` and goes on as the specification of the
    wire says. What it writes to its standard output and error is kept for the report.

    A program that does not serve what it is asked for ends with status :data:`UNSUPPORTED` before it is
    ready; what the case is about is then NOT APPLICABLE.
Assumptions and validity
    It is a foreign process, so this is the one place of the suite that looks at the wall clock: a
    program that says nothing for :data:`LIVENESS_S` hangs, which is a finding and ends it. The limit is
    far above what an answer takes, and no verdict depends on how fast an answer is below it.
Not modelled
    TCP and TLS; the frames are the same.
Units
    Seconds of wall time.
Sources
    Environment variables and status 127 as in the QUIC interop runner.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from qnet import __version__
from qnet.errors import PluginError
from qnet.runtime.guard import die_with_parent, exit_words
from qnet.testing.conformance.parts import NotApplicable, Violation
from qnet.testing.conformance.wire.talk import LIVENESS_S, UNSUPPORTED, Talk
from qnet.wire.frame import WIRE_VERSION

PREFIX: Final = "exec:"
LOOK_S: Final = 0.02
"""How often a program that has not connected is looked at."""
GRACE_S: Final = 2.0
"""How long a program has to end by itself once its connection is closed, and again after SIGTERM."""
STDERR_BYTES: Final = 4_000
"""The last bytes of its output that a report keeps."""

VARIABLES: Final = {
    "QNET_SOCKET": "path of the Unix stream socket to connect to",
    "QNET_HOST": "name of this host: source of its frames, target of those that it gets",
    "QNET_NODE": "the node that it will be configured to run",
    "QNET_ROLE": "what is expected of it: `host` (layer wire) or `responder` (layer link)",
    "QNET_WIRE": "version of the wire format, field `v` of every frame",
    "QNET_VERSION": "version of the network, field `version` of `Hello`",
}
"""What a program finds in its environment."""


@dataclass(frozen=True)
class Program:
    """A target ``exec:COMMAND``.

    Attributes:
        command: as a shell reads it; it is started without one.
        limit_s: how long it may be silent when it is its turn.
    """

    command: str
    limit_s: float = LIVENESS_S

    def __post_init__(self) -> None:
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise PluginError(
                f"command must be one that a shell reads: {error}, got {self.command!r}"
            ) from None
        if not words or shutil.which(words[0]) is None:
            raise PluginError(
                f"target {PREFIX}COMMAND must name a program that can be started, got {self.command!r}"
            )

    @property
    def name(self) -> str:
        """The program, for titles."""
        return Path(shlex.split(self.command)[0]).name

    def start(self, host: str, role: str) -> Running:
        """Start it as ``host``; it has not connected yet."""
        return Running(shlex.split(self.command), host, role, self.limit_s)


class Running:
    """One process of a program, and the connection that it makes. Use as a context manager.

    Args:
        command: words of the command line.
        host: its name, and that of its node.
        role: value of QNET_ROLE.
        limit_s: how long it may be silent.
    """

    def __init__(self, command: list[str], host: str, role: str, limit_s: float) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="qnet-")  # of mode 0700
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._talk: Talk | None = None
        self.host, self._limit_s = host, limit_s
        path = str(Path(self._folder.name) / "world")
        self._server.bind(path)
        self._server.listen(1)
        values = (path, host, host, role, str(WIRE_VERSION), __version__)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
                preexec_fn=_with_us,
                env={**os.environ, **dict(zip(VARIABLES, values, strict=True))},
            )
        except OSError as error:
            self._close()
            raise PluginError(
                f"target must be a program that can be started ({error.strerror}), got {shlex.join(command)!r}"
            ) from None

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
        """The connection that the program makes.

        Raises:
            NotApplicable: it ended with status 127.
            Violation: it did not connect.
        """
        limit = time.monotonic() + self._limit_s
        self._server.settimeout(LOOK_S)
        while self._talk is None:
            with suppress(TimeoutError):
                sock, _ = self._server.accept()
                self._talk = Talk(sock, self.host, ended=self.ended, limit_s=self._limit_s)
                break
            status = self._process.poll()
            if status == UNSUPPORTED:
                raise NotApplicable(f"the program ends with status {UNSUPPORTED}, not supported")
            if status is not None:
                raise Violation(
                    "QN-WIRE-4.1-1",
                    f"the program must connect to QNET_SOCKET, it {exit_words(status)}",
                )
            if time.monotonic() > limit:
                words = (
                    f"the program must connect to QNET_SOCKET, it has not for {self._limit_s:g} s"
                )
                raise Violation("QN-WIRE-4.1-1", words)
        return self._talk

    def ended(self, wait_s: float) -> int | None:
        """Exit status, waiting for it a while; None if the program still runs."""
        try:
            return self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    def end(self, *, hurry: bool = False) -> int:
        """Make sure that nothing of it is left; its exit status, negative if a signal was needed.

        Args:
            hurry: how it ends is of no interest: it is killed at once.
        """
        if self._talk is not None:
            self._talk.close()
        if hurry:
            self._signal(signal.SIGKILL)
        signals: tuple[Callable[[], None], ...] = (
            lambda: None,
            lambda: self._signal(signal.SIGTERM),
            lambda: self._signal(signal.SIGKILL),
        )
        status: int | None = None
        for send in signals:
            send()
            if (status := self.ended(GRACE_S)) is not None:
                break
        self._signal(signal.SIGKILL)  # what it has started itself
        self._process.wait()
        self._close()
        return self._process.returncode if status is None else status

    def output(self) -> str:
        """The last that it wrote to its standard output and error."""
        if self._output.closed:
            return ""
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - STDERR_BYTES))
        return self._output.read().decode(errors="replace").strip()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _close(self) -> None:
        self._server.close()
        self._folder.cleanup()
        self._output.close()


def _with_us() -> None:
    """The program ends with the suite even if the suite is killed."""
    die_with_parent(signal.SIGKILL)
