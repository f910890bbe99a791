"""Run a plan, in one process or in many: the one entry for the command line, tests and notebooks."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import trio

from qnet.errors import ConfigError, QnetError, RunInterrupted
from qnet.plan import RunPlan
from qnet.runtime.assembly import build_world, finish, summarise
from qnet.runtime.determinism import self_test
from qnet.runtime.embedded import HOST, EmbeddedPort
from qnet.runtime.host import Host
from qnet.runtime.watch import Watch
from qnet.wire.control import Progress

PLAN_FILE: Final = "plan.json"


@dataclass(frozen=True)
class RunOptions:
    """How to run a plan; nothing here can change its trace.

    Attributes:
        mode: "embedded" (one process) or "processes".
        hosts: how many host processes; None = one per node.
        transport: "unix" (socket pairs) or "tcp" (loopback).
        pace: simulated seconds per wall second; None = as fast as it can.
        folder: existing, empty run folder; None = nothing is written.
        pin: keep world and hosts on one core: in lock-step one of them works at a time, and a wake-up on
            the same core is several times cheaper.
        liveness_s: wall seconds without any progress after which a run is declared hung.
        on_progress: called a few times per wall second.
    """

    mode: Literal["embedded", "processes"] = "processes"
    hosts: int | None = None
    transport: Literal["unix", "tcp"] = "unix"
    pace: float | None = None
    folder: Path | None = None
    pin: bool = True
    liveness_s: float = 60.0
    on_progress: Callable[[Progress], None] | None = None


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        status: "done", "failed" or "interrupted".
        summary: content of ``summary.json``.
        folder: the run folder.
        fault: who stopped it, in which state, at which instant; "" if done.
    """

    status: str
    summary: dict[str, Any]
    folder: Path | None
    fault: str


def run(plan: RunPlan, options: RunOptions | None = None) -> RunOutcome:
    """Run ``plan`` to its end.

    Raises:
        ConfigError: the options cannot be.
        PluginError: a plug-in of the plan cannot be loaded.
    """
    options = options or RunOptions()
    if options.pace is not None and not options.pace > 0:
        raise ConfigError("pace must be > 0", path="--pace", value=options.pace)
    if options.hosts is not None and not 1 <= options.hosts <= len(plan.nodes):
        raise ConfigError(
            f"hosts must be between 1 and the number of nodes, {len(plan.nodes)}",
            path="--hosts",
            value=options.hosts,
        )
    self_test()
    if options.folder is not None:
        (options.folder / PLAN_FILE).write_bytes(
            msgspec.json.format(msgspec.json.encode(plan), indent=1)
        )
    if options.mode == "embedded":
        return _run_embedded(plan, options)
    from qnet.runtime.launcher import launch

    return trio.run(launch, plan, options)


def load_plan(path: Path) -> RunPlan:
    """The plan that a run folder keeps.

    Raises:
        ConfigError: there is none, or it is of another version.
    """
    file = path / PLAN_FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=RunPlan)
    except OSError as error:
        raise ConfigError(f"plan must be readable ({error.strerror})", file=str(file)) from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"plan must be one of this version: {error}", file=str(file)) from None


def _run_embedded(plan: RunPlan, options: RunOptions) -> RunOutcome:
    names = [node.name for node in plan.nodes]
    world = build_world(plan, dict.fromkeys(names, HOST), options.folder)
    with _interruptible() as interrupted:

        def look(progress: Progress) -> None:
            if options.on_progress is not None:
                options.on_progress(progress)

        def pause(wall_s: float) -> None:
            time.sleep(wall_s)
            check()

        watch = Watch(world, pace=options.pace, look=look, wait=pause)

        def check() -> None:
            if interrupted:
                raise RunInterrupted("interrupted from the terminal")

        def each_turn() -> None:
            check()
            watch()

        status, fault = "done", ""
        try:
            Host(plan, names, EmbeddedPort(world, each_turn)).run()
        except RunInterrupted as error:
            status, fault = "interrupted", str(error)
        except QnetError as error:
            status, fault = "failed", str(error)
    summary = summarise(
        world,
        mode="embedded",
        wall_s=watch.wall_s,
        status=status,
        fault=fault,
        max_lag_s=watch.max_lag_s,
    )
    finish(world, summary, options.folder)
    return RunOutcome(status, summary, options.folder, fault)


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Within it, the first Ctrl-C is noted in the list instead of raised; the second one raises."""
    seen: list[int] = []
    try:
        before = signal.getsignal(signal.SIGINT)

        def note(number: int, _frame: object) -> None:
            if seen:
                raise KeyboardInterrupt
            seen.append(number)

        signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: somebody else owns the signals
        yield seen
        return
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
