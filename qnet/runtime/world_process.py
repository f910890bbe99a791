"""The world's process: grants over sockets, progress to the launcher, the record on disk.

Runs plain blocking code on one poll set: in lock-step there is never more than one thing to wait for, and
an event loop would cost more than the physics. The launcher's socket is in the set, so a request to stop or
a dead launcher is seen at once; so is every host, so a dead host is seen even when it is not its turn.
"""

from __future__ import annotations

import argparse
import faulthandler
import math
import os
import select
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from qnet import __version__
from qnet.errors import NodeLost, QnetError, RunInterrupted, WireError
from qnet.ids import NodeId
from qnet.plan import RunPlan
from qnet.runtime.assembly import build_world, finish, summarise, unbuilt
from qnet.runtime.connection import Connection, expect
from qnet.runtime.guard import die_with_parent, pin_to, seldom_collecting
from qnet.runtime.log import configure
from qnet.runtime.watch import INTERVAL_S, STRIDE, Watch
from qnet.units import seconds
from qnet.wire.codes import Refusal
from qnet.wire.control import (
    KIND_OF,
    LAUNCHER,
    WORLD,
    AllReady,
    Bye,
    Configure,
    Fault,
    Finished,
    Grant,
    Hello,
    Open,
    Progress,
    Ready,
    Report,
    Stop,
)

if TYPE_CHECKING:
    from qnet.world.world import World

FAREWELL_S = 1.0
"""How long hosts have to close their applications when a run ends early."""


class HostFailed(NodeLost):
    """A host said that it cannot go on; keeps the trace lines of the grant that failed."""

    def __init__(self, fault: Fault) -> None:
        self.trace = fault.trace
        self.host = fault.host
        super().__init__(fault.text)


class WorldServer:
    """Serves one run.

    Args:
        control: connection to the launcher.
        hosts: connection to each host.
        opened: what to run.
        alarm_fd: becomes readable when the run shall end, see :func:`sigterm_alarm`; None for never.
    """

    def __init__(
        self,
        control: Connection,
        hosts: dict[str, Connection],
        opened: Open,
        alarm_fd: int | None = None,
    ) -> None:
        self._control = control
        self._hosts = hosts
        self._opened = opened
        self._by_fd = {connection.fileno(): name for name, connection in hosts.items()}
        self._poll = select.poll()
        self._alarm_fd = alarm_fd
        for fd in (control.fileno(), *self._by_fd, *(() if alarm_fd is None else (alarm_fd,))):
            self._poll.register(fd, select.POLLIN)
        self._waiting: set[str] = set()
        self._last_trace: dict[str, bytes] = {}
        for connection in hosts.values():
            connection.wait_at_most(INTERVAL_S)

    def serve(self, build: Callable[[], World]) -> tuple[World, dict[str, Any]]:
        """Run to the end; the world and the summary. Never raises for what a host or the launcher does.

        Args:
            build: makes the world. Called once the hosts are ready: they need not wait for its imports.
        """
        status, fault = "failed", ""
        try:
            self._configure(self._opened.plan)
            self._control.send(AllReady(len(self._hosts)))
            status = "ready"
        except RunInterrupted as error:
            status, fault = "interrupted", str(error)
        except QnetError as error:
            fault = f"{error}\n  while the hosts were starting"
        world = build()
        watch = Watch(world, pace=self._opened.pace, look=self._look, wait=self._pause)
        if status == "ready":
            status, fault = self._run(world, watch)
        self._farewell(fault or "the run is over")
        return world, summarise(
            world,
            mode=self._opened.mode,
            wall_s=watch.wall_s,
            status=status,
            fault=fault,
            max_lag_s=watch.max_lag_s,
        )

    def _run(self, world: World, watch: Watch) -> tuple[str, str]:
        """Status and fault of the run itself."""
        try:
            self._turns(world, watch)
        except RunInterrupted as error:
            return "interrupted", str(error)
        except QnetError as error:
            if isinstance(error, HostFailed) and error.trace.endswith(b"\n"):
                world.recorder.add(error.trace)  # the step that failed, for whoever looks for it
            if isinstance(error, HostFailed):
                return "failed", f"{error}{self._log_of(error.host)}"
            return "failed", f"{error}{self._where(world)}"
        except Exception as error:  # a plug-in of the world, or a bug of ours
            traceback.print_exc()
            return (
                "failed",
                f"the world failed: {type(error).__name__}: {error}{self._where(world)}",
            )
        except BaseException:
            world.recorder.close()  # a bug: what was recorded shall not be lost with us
            raise
        return "done", ""

    # ------------------------------------------------------------ phases

    def _configure(self, plan: RunPlan) -> None:
        """Hello, configuration, ready."""
        for name, message in self._gather(set(self._hosts), Hello).items():
            if message.version != __version__:
                raise WireError(
                    f"host must run qnet {__version__}, got {message.version}",
                    code=Refusal.VERSION,
                    peer=name,
                )
            self._hosts[name].trust()
            self._hosts[name].send(Configure(plan, self._opened.hosts[name]))
        self._gather(set(self._hosts), Ready)

    def _turns(self, world: World, watch: Watch) -> None:
        grants: dict[str, Grant] | None = world.open()
        turns = 0
        while grants is not None:
            for name, grant in grants.items():
                self._hosts[name].send(grant, grant.at)
            turns += 1
            if len(grants) > 1 or turns % STRIDE == 0:
                reports: dict[str, Report] = self._gather(set(grants), Report, watch)
            else:
                reports = self._take_one(next(iter(grants)), watch)
            for name, report in reports.items():
                if report.nodes and report.nodes[-1].trace:
                    self._last_trace[name] = report.nodes[-1].trace
            world.complete(reports)
            watch()
            grants = world.next(lambda: self._meanwhile(watch))

    def _meanwhile(self, watch: Watch) -> None:
        """The world has work of its own: listen and report nevertheless."""
        self._pause(0.0)
        watch()

    def _take_one(self, name: str, watch: Watch) -> dict[str, Report]:
        """The report of the only host granted, by a plain blocking read: half the system calls of a poll.

        The launcher and the other hosts are listened to again after at most :data:`STRIDE` turns, or when
        the host has let us wait for an interval.
        """
        self._waiting = {name}
        try:
            message = self._hosts[name].receive()
        except BlockingIOError:
            return self._gather({name}, Report, watch)
        self._waiting.clear()
        self._must_be_silent(name)
        return {name: self._checked(name, message, Report)}

    def _gather(
        self, names: set[str], kind: type[Any], watch: Watch | None = None
    ) -> dict[str, Any]:
        """One message of ``kind`` from each host.

        Raises:
            NodeLost: a host closed or reported a fault.
            RunInterrupted: the launcher asked to stop or is gone.
            WireError: a host sent something illegal.
        """
        self._waiting = set(names)
        answers: dict[str, Any] = {}
        while self._waiting:
            ready = self._poll.poll(int(INTERVAL_S * 1000))
            if not ready and watch is not None:
                watch.look(tuple(sorted(self._waiting)))
            for fd, _events in ready:
                name = self._by_fd.get(fd)
                if name is None:
                    self._interrupted(fd)
                    continue
                connection = self._hosts[name]
                connection.fill()
                if name in self._waiting and (message := connection.poll()) is not None:
                    answers[name] = self._checked(name, message, kind)
                    self._waiting.discard(name)
                if name not in self._waiting:
                    self._must_be_silent(name)
        return answers

    def _must_be_silent(self, name: str) -> None:
        """Refuse a second message: it would be taken for the answer to the next grant.

        Raises:
            WireError: there is one.
        """
        message = self._hosts[name].poll()
        if message is not None:
            raise WireError(
                f"host must wait for its grant before it speaks, got {KIND_OF[type(message)]}",
                code=Refusal.UNKNOWN_KIND,
                peer=name,
            )

    @staticmethod
    def _checked(name: str, message: Any, kind: type[Any]) -> Any:
        """The message if it is of ``kind``.

        Raises:
            HostFailed: it is a fault; its traceback goes to our log.
            WireError: it is something else.
        """
        if isinstance(message, Fault):
            print(message.detail, file=sys.stderr, flush=True)
            raise HostFailed(message)
        return expect(message, kind, peer=name)

    def _interrupted(self, fd: int) -> None:
        """The alarm rang, or the launcher spoke or went.

        Raises:
            RunInterrupted: unless only a part of the launcher's message has arrived.
        """
        if fd == self._alarm_fd:
            raise RunInterrupted("the world was told to terminate")
        try:
            self._control.fill()
            message = self._control.poll()
            if message is None:
                return
            reason = expect(message, Stop, peer=LAUNCHER).reason
        except NodeLost:
            reason = "the launcher is gone"
        raise RunInterrupted(reason)

    def _look(self, progress: Progress) -> None:
        try:
            self._control.send(progress)
        except NodeLost:
            raise RunInterrupted("the launcher is gone") from None

    def _pause(self, wall_s: float) -> None:
        """Wait for the wall clock; anything that happens meanwhile is out of turn."""
        for fd, _events in self._poll.poll(math.ceil(wall_s * 1000)):
            name = self._by_fd.get(fd)
            if name is None:
                self._interrupted(fd)
            else:
                self._hosts[name].fill()
                self._must_be_silent(name)

    # ------------------------------------------------------------ the end

    def _farewell(self, reason: str) -> None:
        """Tell every host that is still there to stop, and wait a little for its goodbye."""
        left = set()
        for name, connection in self._hosts.items():
            try:
                connection.send(Stop(reason))
                left.add(name)
            except NodeLost:
                continue
        limit = time.monotonic() + FAREWELL_S
        while left and (rest := limit - time.monotonic()) > 0:
            for fd, _events in self._poll.poll(max(1, int(rest * 1000))):
                host = self._by_fd.get(fd)
                if host is None or host not in left:
                    self._poll.unregister(fd)
                    continue
                try:
                    self._hosts[host].fill()
                    if isinstance(self._hosts[host].poll(), Bye):
                        left.discard(host)
                except QnetError:
                    left.discard(host)

    def _log_of(self, host: str) -> str:
        """Where the traceback of a host stands."""
        folder = self._opened.folder
        return f"\n  details: {Path(folder) / 'logs' / host}.log" if folder else ""

    def _where(self, world: World) -> str:
        """When it happened, and the last recorded step of the hosts that owe a report."""
        text = f"\n  at {seconds(world.authority.now):.9g} s simulated"
        for name in sorted(self._waiting):
            step = self._last_trace.get(name, b"").rstrip(b"\n").rpartition(b"\n")[2]
            if step:
                text += f"\n  last step of {name}: {step.decode(errors='replace')[:600]}"
        return text


def main() -> None:
    """Entry of the process: sockets come as inherited descriptors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--host-fd", action="append", default=[], metavar="NAME=FD")
    parser.add_argument("--core", type=int, default=None, help="run on this core once loaded")
    arguments = parser.parse_args()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGTERM)
    log = configure(WORLD)
    control = Connection(socket.socket(fileno=arguments.control_fd), own=WORLD, peer=LAUNCHER)
    control.trust()
    opened: Open = expect(control.receive(), Open, peer=LAUNCHER)
    hosts = {}
    for given in arguments.host_fd:
        name, _, fd = given.rpartition("=")
        hosts[name] = Connection(socket.socket(fileno=int(fd)), own=WORLD, peer=name)
    host_of = {NodeId(node): name for name, nodes in opened.hosts.items() for node in nodes}
    folder = Path(opened.folder) if opened.folder else None
    server = WorldServer(control, hosts, opened, sigterm_alarm())

    def build() -> World:
        # qutip imports matplotlib where there is one, for half a second; the world draws nothing.
        warnings.filterwarnings("ignore", message="matplotlib not found")
        sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]
        world = build_world(opened.plan, host_of, folder)
        pin_to(arguments.core)
        log.info("world_ready", hosts=len(hosts), nodes=len(host_of))
        return world

    try:
        with seldom_collecting():
            world, summary = server.serve(build)
    except Exception as error:  # a plan or a plug-in with which no world can be built
        log.exception("world_not_built")
        summary = unbuilt(
            opened.plan, opened.mode, f"the world cannot be built: {type(error).__name__}: {error}"
        )
        data = msgspec.json.encode(summary)
    else:
        data = finish(world, summary, folder)
    log.info("world_finished", status=summary["status"], fault=summary.get("fault", ""))
    try:
        control.send(Finished(data))
    except NodeLost:
        log.warning("launcher_gone")


def sigterm_alarm() -> int:
    """A descriptor that becomes readable on SIGTERM.

    A handler that raised could do so between two steps of the record and leave half of one on disk.
    """
    heard, rings = os.pipe()
    os.set_blocking(rings, False)
    signal.set_wakeup_fd(rings, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    return heard


if __name__ == "__main__":
    main()
