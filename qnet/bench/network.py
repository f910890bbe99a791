"""Cost of an end-to-end pair against the length of a chain, beside that of its quantum states alone.

Theory
    A pair over n links needs n heralded pairs and n - 1 Bell measurements. *State* is the time for just
    these in the quantum store, by direct calls; the rest is protocols, messages, time and the record. The
    first pair of a path also pays for filling it: links in the middle run ahead of the ends, by a bounded
    number of pairs (``qnet_protocols.network.feeding``), so that the cost per pair falls with more pairs.
Assumptions and validity
    Equal links of 2 km, perfect gates, no decay; one circuit; ten pairs, set-up of the circuit included,
    start of the processes and compilation not.
Units
    Milliseconds of wall time per delivered pair, MiB. Memory is the peak of the one process (embedded), or
    the sum of the proportional shares of all host processes.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import trio

from qnet.ids import NodeId, OpId, SlotId
from qnet.plan import RunPlan
from qnet.plugins import find
from qnet.program import bell_measurement
from qnet.units import Instant

TITLE: Final = "end-to-end pairs of chains"
NOTE: Final = (
    "pair_ms: wall time per delivered pair of ten, filling the path included; state_ms: its link pairs and "
    "Bell measurements in the quantum store alone; memory_mib: peak of the process, or sum over all hosts"
)
EMBEDDED: Final = (2, 4, 10, 30, 100, 300, 1000)
PROCESSES: Final = (10, 30, 100)
PAIRS: Final = 10
LENGTH_M: Final = 2000.0
PHI_PLUS: Final = tuple(
    tuple(0.5 if row in (0, 3) and column in (0, 3) else 0.0 for column in range(4))
    for row in range(4)
)
MIB: Final = 1024.0


def run(
    embedded: Sequence[int] = EMBEDDED, processes: Sequence[int] = PROCESSES
) -> list[dict[str, Any]]:
    """The rows, one per mode and number of nodes."""
    rows = []
    for mode, sizes in (("embedded", embedded), ("processes", processes)):
        for nodes in sizes:
            figures = _alone(nodes) if mode == "embedded" else _together(nodes)
            state_ms = bare_state_ms(nodes - 1)
            pair_ms = figures["wall_s"] / PAIRS * 1e3
            rows.append(
                {
                    "mode": mode,
                    "nodes": nodes,
                    "processes": figures["processes"],
                    "pair_ms": pair_ms,
                    "per_link_ms": pair_ms / (nodes - 1),
                    "state_ms": state_ms,
                    "in_states": pair_ms / state_ms,
                    "memory_mib": figures["memory_kib"] / MIB,
                }
            )
    return rows


def chain_plan(nodes: int, pairs: int = PAIRS) -> RunPlan:
    """A chain whose two ends ask for pairs."""
    import tomllib

    from qnet.topology import compile_topology
    from qnet.topology.generate import Hardware, Task, chain, write

    hardware = Hardware(t2_s=None)
    text = write(chain(nodes, LENGTH_M), hardware, Task(parameters={"pairs": pairs}))
    return compile_topology(tomllib.loads(text))


def bare_state_ms(links: int, repeats: int = 5) -> float:
    """Time for the quantum states of one end-to-end pair: pairs of links, joined one after another."""
    from qnet.world.engine_qutip import QutipEngine
    from qnet.world.store import Store

    names = [NodeId(f"n{number}") for number in range(links + 1)]
    ideal = find("qnet.platforms", "ideal").platform
    start, times = Instant(0), []
    for _ in range(repeats):
        store = Store(QutipEngine(), dict.fromkeys(names, ideal))
        began = time.perf_counter()
        for left, right in pairwise(names):
            store.create_pair((left, SlotId(1)), (right, SlotId(0)), PHI_PLUS, start)
        for name in names[1:-1]:
            program = bell_measurement(SlotId(0), SlotId(1))
            store.run_program(name, OpId("swap"), program, start, lambda: 0.5)
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def _alone(nodes: int) -> dict[str, Any]:
    """An embedded run in a process of its own, whose peak memory is then that of the run."""
    done = subprocess.run(
        [sys.executable, "-m", "qnet.bench.network", str(nodes)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"embedded run of {nodes} nodes failed: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _embedded(nodes: int) -> dict[str, Any]:
    from qnet.runtime.run import RunOptions, run

    outcome = run(chain_plan(nodes), RunOptions("embedded"))
    if outcome.status != "done":
        raise RuntimeError(outcome.fault)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"wall_s": outcome.summary["wall_s"], "processes": 1, "memory_kib": peak}


def _together(nodes: int) -> dict[str, Any]:
    """A run with a process per node."""
    from qnet.runtime.launcher import launch
    from qnet.runtime.run import RunOptions

    shares: list[int] = []

    def look(pids: dict[str, int]) -> None:
        for pid in pids.values():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
            shares.append(int(line.split()[1]))

    outcome = trio.run(launch, chain_plan(nodes), RunOptions("processes", on_processes=look), ())
    if outcome.status != "done":
        raise RuntimeError(outcome.fault)
    return {
        "wall_s": outcome.summary["wall_s"],
        "processes": len(shares),
        "memory_kib": sum(shares),
    }


def draw(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Plot cost and memory against the number of nodes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    cost, memory = figure.subplots(1, 2)
    for mode in dict.fromkeys(row["mode"] for row in rows):
        own = [row for row in rows if row["mode"] == mode]
        nodes = [row["nodes"] for row in own]
        cost.loglog(nodes, [row["pair_ms"] for row in own], "o-", label=mode)
        memory.loglog(nodes, [row["memory_mib"] for row in own], "o-", label=mode)
    alone = [row for row in rows if row["mode"] == "embedded"]
    states = [row["state_ms"] for row in alone]
    cost.loglog([row["nodes"] for row in alone], states, "--", label="quantum states alone")
    for axes, words in ((cost, "wall time per delivered pair (ms)"), (memory, "memory (MiB)")):
        axes.set_xlabel("nodes of the chain")
        axes.set_ylabel(words)
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_embedded(int(sys.argv[1]))))
