"""Run a plan, in one process or in many: the one entry for the command line, tests and notebooks."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import trio

from qnet import plugins
from qnet.errors import ConfigError
from qnet.plan import RunPlan
from qnet.runtime.determinism import self_test
from qnet.units import LAST_INSTANT, seconds
from qnet.wire.control import Progress

PLAN_FILE: Final = "plan.json"
TRANSPORT: Final = "unix"
"""The transport of a run as processes that names none."""


@dataclass(frozen=True)
class RunOptions:
    """How to run a plan; nothing here can change its trace.

    Attributes:
        mode: "embedded" (one process) or "processes".
        hosts: how many host processes; None = one per node.
        transport: how hosts reach the world, one of the group ``qnet.transports``; an embedded run needs none.
        pace: simulated seconds per wall second; None = as fast as it can.
        folder: existing, empty run folder; None = nothing is written.
        pin: keep world and hosts on one core: in lock-step one of them works at a time, and a wake-up on
            the same core is several times cheaper.
        liveness_s: wall seconds without any progress after which a run is declared hung.
        on_progress: called a few times per wall second.
        on_ready: called when every host process is ready.
        on_processes: called with the first progress of a run, with the process id of each host.
    """

    mode: Literal["embedded", "processes"] = "processes"
    hosts: int | None = None
    transport: str = TRANSPORT
    pace: float | None = None
    folder: Path | None = None
    pin: bool = True
    liveness_s: float = 60.0
    on_progress: Callable[[Progress], None] | None = None
    on_ready: Callable[[], None] | None = None
    on_processes: Callable[[dict[str, int]], None] | None = None


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
        ConfigError: the options or the bounds of the plan cannot be.
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
    if options.mode == "processes":
        _check_transport(options.transport)
    _check_plan(plan)
    try:
        with _signals_noted() as signals:
            return _run(plan, options, signals)
    except BaseExceptionGroup as group:  # a second Ctrl-C inside Trio
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        raise KeyboardInterrupt from group


def _run(plan: RunPlan, options: RunOptions, signals: list[int]) -> RunOutcome:
    self_test()
    if options.folder is not None:
        # The standard library's JSON writes an infinite coherence time as Infinity; msgspec's as null.
        text = json.dumps(msgspec.to_builtins(plan), indent=1)
        (options.folder / PLAN_FILE).write_text(text + "\n")
    if options.mode == "embedded":
        from qnet.runtime.embedded import run_embedded  # imports numpy and qutip

        return run_embedded(plan, options, signals)
    from qnet.runtime.launcher import launch

    return trio.run(launch, plan, options, signals)


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Within it, the first Ctrl-C or SIGTERM is noted in the list; the second raises.

    Raising at the first would not do: Python drops an exception that arises in a destructor, and there
    are many of them while a run starts.
    """
    seen: list[int] = []

    def note(number: int, _frame: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield seen  # somebody else owns the signals
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_plan(plan: RunPlan) -> None:
    """Refuse what every process could only refuse later, and each in its own words."""
    from qnet.runtime.plugs import Seams

    if not -(2**63) <= plan.seed < 2**63:
        raise ConfigError("must fit into 64 bits", path="run.seed", value=plan.seed)
    if plan.until is not None and plan.until > LAST_INSTANT:
        raise ConfigError(
            f"must be at most {seconds(LAST_INSTANT):.7g} s, 106 days",
            path="run.until_s",
            value=seconds(plan.until),
        )
    Seams(plan)


def _check_transport(name: str) -> None:
    """Refuse a transport by which no process can be reached, before anything is started."""
    if not plugins.exists("qnet.transports", name):
        raise ConfigError(plugins.unknown("qnet.transports", name), path="--transport")
    if plugins.find("qnet.transports", name).pair is None:
        raise ConfigError(
            "must join processes; this one is what --embedded uses", path="--transport", value=name
        )


def load_plan(path: Path) -> RunPlan:
    """The plan that a run folder keeps.

    Raises:
        ConfigError: there is none, or it is of another version.
    """
    file = path / PLAN_FILE
    try:
        return msgspec.convert(json.loads(file.read_text()), RunPlan)
    except OSError as error:
        raise ConfigError(f"plan must be readable ({error.strerror})", file=str(file)) from None
    except (ValueError, msgspec.MsgspecError) as error:
        raise ConfigError(f"plan must be one of this version: {error}", file=str(file)) from None
