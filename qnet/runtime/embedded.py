"""The memory transport: world and host in one process, called directly. For tests, sweeps and notebooks."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import Final

from qnet.errors import QnetError, RunInterrupted
from qnet.plan import RunPlan
from qnet.runtime.assembly import build_world, finish, summarise
from qnet.runtime.guard import seldom_collecting
from qnet.runtime.host import Host
from qnet.runtime.run import RunOptions, RunOutcome
from qnet.runtime.watch import Watch
from qnet.wire.control import Grant, Progress, Report
from qnet.world.world import World

HOST: Final = "host"


class EmbeddedPort:
    """The port of the one host of an embedded run.

    Args:
        world: the world, in this process.
        watch: called once per grant and now and then between grants, for progress, pace and
            interruption; may raise to end the run.
    """

    def __init__(self, world: World, watch: Callable[[], None]) -> None:
        self._world = world
        self._watch = watch

    def first(self) -> Grant | None:
        """The first grant."""
        return self._world.open()[HOST]

    def exchange(self, report: Report) -> Grant | None:
        """Complete the present turn and take the next."""
        self._world.complete({HOST: report})
        self._watch()
        grants = self._world.next(self._watch)
        return None if grants is None else grants[HOST]


def run_embedded(plan: RunPlan, options: RunOptions, signals: Sequence[int]) -> RunOutcome:
    """Run a plan in this process; see :func:`qnet.runtime.run.run`.

    Args:
        plan: what to run.
        options: how.
        signals: whoever asks to stop adds the number of the signal to it.
    """
    names = [node.name for node in plan.nodes]
    world = build_world(plan, dict.fromkeys(names, HOST), options.folder)
    with seldom_collecting():

        def look(progress: Progress) -> None:
            if options.on_progress is not None:
                options.on_progress(progress)

        def pause(wall_s: float) -> None:
            time.sleep(wall_s)
            check()

        watch = Watch(world, pace=options.pace, look=look, wait=pause)

        def check() -> None:
            if signals:
                raise RunInterrupted(f"interrupted by {signal.Signals(signals[0]).name}")

        def each_turn() -> None:
            check()
            watch()

        status, fault = "done", ""
        host: Host | None = None
        try:
            host = Host(plan, names, EmbeddedPort(world, each_turn))
            host.run()
        except RunInterrupted as error:
            status, fault = "interrupted", str(error)
        except QnetError as error:
            status, fault = "failed", str(error)
            if host is not None:
                world.recorder.add(host.last_lines())
        except BaseException:
            world.recorder.close()  # a bug or a second Ctrl-C: keep what was recorded
            raise
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
