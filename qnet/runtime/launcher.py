"""The launcher: starts the world and the hosts, watches over them, and always comes back with an outcome.

Order
    All sockets exist before the first process starts, so nobody has to retry a connection. The world and
    the zygote are started from this thread (their parent-death signal follows it), the hosts are forked by
    the zygote.

How a run can end
    The world says ``Finished``; or a process dies, is stopped, or nothing moves for ``liveness_s``; or a
    signal asks to stop. In every case the rest is told to stop, then terminated, then killed, within two
    seconds, and the outcome says who ended it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import trio

from qnet.errors import NodeLost, QnetError
from qnet.ids import NodeId
from qnet.plan import RunPlan
from qnet.runtime.assembly import SUMMARY_FILE, unbuilt
from qnet.runtime.connection import Connection
from qnet.runtime.guard import exit_words, process_state
from qnet.runtime.plugs import mentioned
from qnet.runtime.run import TRANSPORT, RunOptions, RunOutcome
from qnet.runtime.transports import connected
from qnet.units import seconds
from qnet.wire.control import LAUNCHER, WORLD, AllReady, Finished, Open, Progress, Stop

GRACE_S: Final = 2.0
"""Wall seconds for the world to wind up before it is terminated."""
BLAME_S: Final = 0.3
"""Wall seconds to learn how a lost process ended, for a better message."""
LOOK_S: Final = 0.5


@dataclass
class _Run:
    """What the launcher knows of a run."""

    options: RunOptions
    pids: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    ready: bool = False
    progress: Progress | None = None
    heard_at: float = 0.0
    moved_at: float = 0.0
    summary: dict[str, Any] | None = None
    fault: str = ""
    interrupted: bool = False
    over: trio.Event = field(default_factory=trio.Event)

    def blame(self, fault: str) -> None:
        """The run is over because of this; the first reason counts."""
        if not self.fault:
            self.fault = fault
        self.over.set()

    def when(self) -> str:
        """Words for how far the run was."""
        if self.progress is None:
            return (
                "while running, before the first progress report"
                if self.ready
                else "while starting"
            )
        at_s, pairs = seconds(self.progress.at), self.progress.pairs
        return f"while running, at about {at_s:.6g} s simulated, {pairs} pairs delivered"


def assign_hosts(plan: RunPlan, count: int | None) -> dict[str, tuple[NodeId, ...]]:
    """Which host runs which nodes: one each, or dealt round in order of name."""
    names = sorted(node.name for node in plan.nodes)
    if count is None:
        return {str(name): (name,) for name in names}
    return {f"host{k + 1}": tuple(names[k::count]) for k in range(count)}


async def launch(plan: RunPlan, options: RunOptions, earlier: Sequence[int]) -> RunOutcome:
    """Run a plan as processes.

    Args:
        plan: what to run.
        options: how.
        earlier: numbers of the signals that came before this could receive them.
    """
    hosts = assign_hosts(plan, options.hosts)
    started = time.monotonic()
    state = _Run(options)
    network = _Processes(plan, options, hosts)
    # From before the first process until after the last one: a signal ends the run, never the launcher alone.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        if earlier:
            raise KeyboardInterrupt
        try:
            network.start()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_listen_to_world, network, state)
                nursery.start_soon(_listen_to_zygote, network, state)
                nursery.start_soon(_take_signals, signals, state)
                nursery.start_soon(_watch_over, network, state)
                await state.over.wait()
                with trio.move_on_after(GRACE_S):
                    await _wind_up(network, state)
                nursery.cancel_scope.cancel()
        except (NodeLost, BrokenPipeError) as error:
            state.blame(f"{network.first_to_end() or error} while starting; see the logs")
        finally:
            network.end()
    return _outcome(plan, options, state, time.monotonic() - started)


class _Processes:
    """The processes of a run and the sockets to them."""

    def __init__(
        self, plan: RunPlan, options: RunOptions, hosts: dict[str, tuple[NodeId, ...]]
    ) -> None:
        self._plan = plan
        self._options = options
        self._hosts = hosts
        self.world: subprocess.Popen[bytes]
        self.zygote: subprocess.Popen[bytes]
        self._started: list[subprocess.Popen[bytes]] = []
        self._sockets: list[socket.socket] = []
        self.control: Connection
        self.control_socket: socket.socket
        self.zygote_socket: socket.socket
        self._core = _core() if options.pin else None
        self._logs = None if options.folder is None else options.folder / "logs"

    def start(self) -> None:
        """Make all sockets, then start the world and the zygote, then ask for the hosts."""
        if self._logs is not None:
            self._logs.mkdir(exist_ok=True)
        ours, world_end = socket.socketpair()
        ours_zygote, zygote_end = socket.socketpair()
        self._sockets = [ours, world_end, ours_zygote, zygote_end]
        pairs = {}
        for name in self._hosts:
            pairs[name] = connected(self._options.transport)
            self._sockets.extend(pairs[name])
        mode = (
            "processes" if self._options.hosts is None else f"processes, {len(self._hosts)} hosts"
        )
        if self._options.transport != TRANSPORT:
            mode += f", {self._options.transport}"
        world_ends = {name: pair[0] for name, pair in pairs.items()}
        host_ends = {name: pair[1] for name, pair in pairs.items()}
        self.world = self._spawn("world_process", "world", world_end, world_ends)
        self.zygote = self._spawn(
            "zygote",
            "zygote",
            zygote_end,
            host_ends,
            [f"--preload={name}" for name in mentioned(self._plan)],
        )
        for sock in set(self._sockets) - {ours, ours_zygote}:
            sock.close()
        self.control_socket, self.zygote_socket = ours, ours_zygote
        self.control = Connection(ours, own=LAUNCHER, peer=WORLD)
        self.control.trust()
        folder = "" if self._options.folder is None else str(self._options.folder.absolute())
        self.control.send(Open(self._plan, self._hosts, folder, mode, self._options.pace))
        for name in self._hosts:
            log = "" if self._logs is None else str((self._logs / f"{name}.log").absolute())
            ours_zygote.sendall(json.dumps({"fork": name, "log": log}).encode() + b"\n")

    def _spawn(
        self,
        module: str,
        name: str,
        control: socket.socket,
        sockets: dict[str, socket.socket],
        extra: list[str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start one process with its sockets, from this thread, in its own session."""
        arguments = [
            sys.executable,
            "-m",
            f"qnet.runtime.{module}",
            f"--control-fd={control.fileno()}",
        ]
        arguments += [f"--host-fd={host}={sock.fileno()}" for host, sock in sockets.items()]
        if self._core is not None:
            arguments.append(f"--core={self._core}")
        log = subprocess.DEVNULL if self._logs is None else (self._logs / f"{name}.log").open("ab")
        # Children inherit the mask: Ctrl-C is the launcher's, also before they lead their own session.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = subprocess.Popen(
                [*arguments, *(extra or [])],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[control.fileno(), *(sock.fileno() for sock in sockets.values())],
                start_new_session=True,
                env={**os.environ, **_ENVIRONMENT},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if log is not subprocess.DEVNULL:
                log.close()  # type: ignore[union-attr]
        self._started.append(process)
        return process

    def first_to_end(self) -> str:
        """Words for a process that has ended, "" if none has."""
        for name, process in zip(("world", "zygote"), self._started, strict=False):
            with suppress(subprocess.TimeoutExpired):
                how = exit_words(process.wait(BLAME_S))
                return f"the {name} (process {process.pid}) {how}"
        return ""

    def end(self) -> None:
        """Make sure that nothing is left: terminate, then kill, and reap."""
        for sock in self._sockets:
            sock.close()
        for process in self._started:
            if process.poll() is None:
                process.terminate()
        limit = time.monotonic() + 0.5
        for process in self._started:
            try:
                process.wait(max(0.0, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


_ENVIRONMENT: Final = {
    "PYTHONHASHSEED": "0",
    # One thread each: the matrices are small, and threads would compete with the other processes.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def _core() -> int | None:
    """One of the cores that we may use, spread by process id so that runs beside each other differ."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return cores[os.getpid() % len(cores)]


# ---------------------------------------------------------------- tasks


async def _listen_to_world(network: _Processes, state: _Run) -> None:
    """Progress and the end, from the world."""
    network.control_socket.setblocking(True)
    while True:
        await trio.lowlevel.wait_readable(network.control_socket)
        try:
            network.control.fill()
            while (message := network.control.poll()) is not None:
                _from_world(message, state)
        except QnetError as error:
            if state.summary is None:
                await _blame_lost(network, state, str(error))
            return


def _from_world(message: Any, state: _Run) -> None:
    state.heard_at = time.monotonic()
    match message:
        case AllReady():
            state.ready = True
            state.moved_at = state.heard_at
            if state.options.on_ready is not None:
                state.options.on_ready()
        case Progress():
            if state.progress is None or message.at != state.progress.at or not message.waiting:
                state.moved_at = state.heard_at
            if state.progress is None and state.options.on_processes is not None:
                state.options.on_processes(dict(state.pids))
            state.progress = message
            if state.options.on_progress is not None:
                state.options.on_progress(message)
        case Finished(summary):
            state.summary = msgspec.json.decode(summary)
            state.over.set()


async def _blame_lost(network: _Processes, state: _Run, words: str) -> None:
    """The world is gone: find out how it ended."""
    with trio.move_on_after(BLAME_S):
        while network.world.poll() is None:
            await trio.sleep(0.01)
    status = network.world.poll()
    how = exit_words(status) if status is not None else words
    state.blame(f"the world (process {network.world.pid}) {how} {state.when()}")


async def _listen_to_zygote(network: _Processes, state: _Run) -> None:
    """Which host runs under which process id, and how each ends."""
    buffer = b""
    sock = network.zygote_socket
    while True:
        await trio.lowlevel.wait_readable(sock)
        try:
            data = sock.recv(1 << 16)
        except ConnectionError:  # killed before it had read its orders
            data = b""
        if not data:
            with trio.move_on_after(BLAME_S):
                while network.zygote.poll() is None:
                    await trio.sleep(0.01)
            status = network.zygote.poll()
            how = exit_words(status) if status is not None else "closed its connection"
            state.blame(f"the zygote (process {network.zygote.pid}) {how} {state.when()}")
            return
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            words = json.loads(line)
            if "forked" in words:
                state.pids[words["forked"]] = words["pid"]
            else:
                state.ended[words["ended"]] = words["status"]


async def _take_signals(signals: AsyncIterator[int], state: _Run) -> None:
    """Ctrl-C and SIGTERM end the run with what it has."""
    async for number in signals:
        if not state.over.is_set():
            state.interrupted = True
            state.blame(f"interrupted by {signal.Signals(number).name} {state.when()}")


async def _watch_over(network: _Processes, state: _Run) -> None:
    """Stopped processes, a silent world and a run that does not move."""
    state.heard_at = state.moved_at = time.monotonic()
    while True:
        await trio.sleep(LOOK_S)
        alive = {f"host {name}": pid for name, pid in state.pids.items() if name not in state.ended}
        alive.update({"the world": network.world.pid, "the zygote": network.zygote.pid})
        for who, pid in alive.items():
            if process_state(pid) == "T":
                state.blame(f"{who} (process {pid}) is stopped (SIGSTOP) {state.when()}")
                _send_signal(pid, signal.SIGKILL)
                return
        quiet_s = time.monotonic() - state.moved_at
        if quiet_s > state.options.liveness_s:
            waiting = ", ".join(state.progress.waiting) if state.progress else ""
            hosts = [
                name
                for name in (state.progress.waiting if state.progress else ())
                if name in state.pids
            ]
            # A machine that does not return is interrupted and named; whatever else it is, leaves its stack.
            for number in (signal.SIGUSR1, signal.SIGABRT):
                for name in hosts:
                    _send_signal(state.pids[name], number)
                with trio.move_on_after(BLAME_S):
                    await state.over.wait()
                if state.summary is not None:
                    break
            state.blame(
                f"nothing has moved for {quiet_s:.1f} s of wall time {state.when()}; waiting for "
                f"{waiting or 'the processes to start'} (--liveness {state.options.liveness_s:g})"
            )
            return


def _send_signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it may end at any moment
        os.kill(pid, number)


async def _wind_up(network: _Processes, state: _Run) -> None:
    """Ask the world to stop, if it still runs, and wait for its summary and its end."""
    if not state.ready and state.summary is None:
        return  # nothing has run yet that could be kept
    if state.summary is None and network.world.poll() is None:
        try:
            network.control.send(Stop(state.fault or "the run is over"))
        except NodeLost:
            return
    while network.world.poll() is None:
        await trio.sleep(0.01)
    limit = time.monotonic() + BLAME_S
    while set(state.pids) - set(state.ended) and time.monotonic() < limit:
        await trio.sleep(0.005)


# ---------------------------------------------------------------- outcome


def _outcome(
    plan: RunPlan,
    options: RunOptions,
    state: _Run,
    wall_s: float,
) -> RunOutcome:
    summary = state.summary
    fault = state.fault
    if summary is None:
        summary = unbuilt(plan, "processes", fault, wall_s)
        if state.progress is not None:
            summary["simulated_s"] = seconds(state.progress.at)
    elif not fault and summary["status"] != "done":
        fault = summary["fault"]
        killed = [
            f"host {name} (process {state.pids.get(name, 0)}) {exit_words(status)}"
            for name, status in sorted(state.ended.items())
            if status not in (0, 1)  # 1: it has told the world why
        ]
        if killed:
            fault = f"{'; '.join(killed)} {state.when()}\n  {fault}"
    elif fault and (words := summary.get("fault")):  # the world may only repeat what we told it
        fault = words if fault in words else f"{fault}\n  {words}"
    if fault and state.summary is not None and " simulated" not in fault:
        fault += f"\n  at {state.summary['simulated_s']:.9g} s simulated"
    status = "interrupted" if state.interrupted else "failed" if fault else "done"
    summary = {**summary, "status": status, **({"fault": fault} if fault else {})}
    if options.folder is not None and (fault or not (options.folder / SUMMARY_FILE).exists()):
        data = msgspec.json.format(msgspec.json.encode(summary), indent=2)
        (options.folder / SUMMARY_FILE).write_bytes(data + b"\n")
    return RunOutcome(status, summary, options.folder, fault)
