"""Start-up: many node processes, until all of them are ready, beside bare processes.

*Ready* means: forked, said hello, got the plan, loaded the plug-ins, built the machines and the Trio
application tasks, said so to the world. Beside it two bare figures: the same number of interpreters
executed, and one interpreter that forks the same number of children, each with the imports of a node and
nothing else. Both count from the start of the first process until every one has written a byte.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, Final

import trio

from qnet.bench import raw
from qnet.bench.time import sleeping_plan
from qnet.runtime.launcher import launch
from qnet.runtime.run import RunOptions

TITLE: Final = "start of 30 node processes"
NOTE: Final = "seconds until all are ready; 'of fork' and 'of exec' compare with the bare processes"
NODES: Final = 30
REPEATS: Final = 5


def ready_s(nodes: int) -> tuple[float, float]:
    """Wall seconds from the start until all hosts are ready, and until the run of one step is over."""
    times: list[float] = []
    started = time.perf_counter()
    outcome = trio.run(
        launch,
        sleeping_plan(1, nodes),
        RunOptions("processes", on_ready=lambda: times.append(time.perf_counter())),
        (),
    )
    over = time.perf_counter()
    if outcome.status != "done":
        raise RuntimeError(outcome.fault)
    return times[0] - started, over - started


def run() -> list[dict[str, Any]]:
    """The rows; medians of interleaved repeats."""
    ready: list[float] = []
    whole: list[float] = []
    forked: list[float] = []
    forks: list[float] = []
    executed: list[float] = []
    for _ in range(REPEATS):
        first, over = ready_s(NODES)
        ready.append(first)
        whole.append(over)
        start_and_fork, fork_alone = raw.bare_fork_s(NODES)
        forked.append(start_and_fork)
        forks.append(fork_alone)
        executed.append(raw.bare_exec_s(NODES))
    ours, fork, execed = (statistics.median(values) for values in (ready, forked, executed))
    return [
        {
            "nodes": NODES,
            "ready_s": round(ours, 3),
            "bare_fork_s": round(fork, 3),
            "of_which_forks_s": round(statistics.median(forks), 3),
            "bare_exec_s": round(execed, 3),
            "of_fork": round(ours / fork, 2),
            "of_exec": round(ours / execed, 2),
            "run_over_s": round(statistics.median(whole), 3),
        }
    ]
