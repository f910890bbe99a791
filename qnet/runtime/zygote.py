"""The zygote: a plain process that has imported everything a host needs and forks hosts on request.

It never runs Trio (a fork inside a Trio run cannot be used) and has one thread, so its children start in a
few milliseconds with their memory shared. Being the parent, it is also the one that learns how they end.

Talk with the launcher is one JSON object per line: ``{"fork": NAME, "log": PATH}`` in,
``{"forked": NAME, "pid": N}`` and ``{"ended": NAME, "status": N}`` out. The sockets of the hosts are
inherited, see ``--host-fd``. When the launcher is gone, the hosts are killed.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib.metadata import entry_points

from qnet.runtime.guard import die_with_parent
from qnet.runtime.host_process import serve


class Zygote:
    """Forks hosts and reports their ends.

    Args:
        control: socket to the launcher.
        host_fds: socket descriptor of each host.
        core: where the hosts run, None for anywhere.
    """

    def __init__(self, control: socket.socket, host_fds: dict[str, int], core: int | None) -> None:
        self._control = control
        self._host_fds = host_fds
        self._core = core
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._children: dict[int, tuple[str, int]] = {}
        self._buffer = b""

    def run(self) -> None:
        """Serve until the launcher closes its socket."""
        while True:
            for fd, _events in self._poll.poll():
                if fd == self._control.fileno():
                    if not self._hear():
                        self._kill_all()
                        return
                elif fd in self._children:
                    self._ended(fd)

    def _hear(self) -> bool:
        data = self._control.recv(1 << 16)
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            order = json.loads(line)
            self._fork(order["fork"], order["log"])
        return bool(data)

    def _fork(self, name: str, log: str) -> None:
        fd = self._host_fds.pop(name)
        pid = os.fork()
        if pid == 0:
            self._become(name, fd, log)
        os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (name, pid)
        self._poll.register(pidfd, select.POLLIN)
        self._say({"forked": name, "pid": pid})

    def _become(self, name: str, fd: int, log: str) -> None:
        """In the child: shed what is the zygote's and run the host. Never returns."""
        status = 1
        try:
            os.setsid()
            die_with_parent(signal.SIGKILL)
            self._control.close()
            for other in (*self._host_fds.values(), *self._children):
                os.close(other)
            if log:
                target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                os.dup2(target, 1)
                os.dup2(target, 2)
                os.close(target)
            status = serve(socket.socket(fileno=fd), name, self._core)
            sys.stderr.flush()
        finally:
            os._exit(status)

    def _ended(self, pidfd: int) -> None:
        name, pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._say({"ended": name, "status": os.waitstatus_to_exitcode(status)})

    def _kill_all(self) -> None:
        for _, pid in self._children.values():
            os.kill(pid, signal.SIGKILL)

    def _say(self, words: dict[str, object]) -> None:
        try:
            self._control.sendall(json.dumps(words).encode() + b"\n")
        except OSError:
            self._kill_all()
            raise SystemExit(1) from None


def preload(plugins: list[str]) -> None:
    """Import plug-ins before the first fork. ``GROUP=NAME`` each; unknown ones are the hosts' to report."""
    for given in plugins:
        group, _, name = given.partition("=")
        if ":" in name:
            with suppress(ImportError):
                importlib.import_module(name.partition(":")[0])
            continue
        for entry in entry_points(group=group, name=name):
            entry.load()


def main() -> None:
    """Entry of the process: sockets come as inherited descriptors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--host-fd", action="append", default=[], metavar="NAME=FD")
    parser.add_argument("--preload", action="append", default=[], metavar="GROUP=NAME")
    parser.add_argument("--core", type=int, default=None, help="run the hosts on this core")
    arguments = parser.parse_args()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)
    preload(arguments.preload)
    gc.collect()
    gc.freeze()
    fds = {}
    for given in arguments.host_fd:
        name, _, fd = given.rpartition("=")
        fds[name] = int(fd)
    Zygote(socket.socket(fileno=arguments.control_fd), fds, arguments.core).run()


if __name__ == "__main__":
    main()
