"""Time steps per second: grants of simulated time, embedded and over Unix sockets.

Two workloads. *Machines*: the two ends of a link beat by turns, so that every time step is one grant to
one host and one step of one machine. *Applications*: two nodes ``trio.sleep`` by turns, so that every time
step also wakes a Trio task. Every step of a machine leaves its trace line, as always.

Beside them: a bare blocking ping-pong of as many bytes as a grant and its report have, and the rate at
which Trio alone wakes a sleeping task under its own auto-jumping clock.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, Final

import trio
import trio.testing

from qnet.bench import raw
from qnet.hardware import Coherence, Emission, Operation, Platform, Readout, Station
from qnet.ids import LinkId, NodeId
from qnet.plan import AppPlan, Estimate, LinkOptics, LinkPlan, NodePlan, RunPlan
from qnet.runtime import run as runner
from qnet.runtime.run import RunOptions
from qnet.units import Duration, Instant
from qnet.wire.control import KIND_OF, Grant, NodeReport, Report
from qnet.wire.frame import encode_frame

TITLE: Final = "time steps per second"
NOTE: Final = (
    "one step = one grant to one host and its report. Bare: blocking ping-pong of the same bytes, on one core or "
    "on two like the run; for embedded runs, Trio's own auto-jumping clock waking a sleeper"
)
REPEATS: Final = 3
INTERVAL_PS: Final = 1_000_000

_PLATFORM: Final = Platform(
    species="none",
    communication_slots=1,
    memory_slots=0,
    communication=Coherence(),
    memory=Coherence(),
    gate_1q=Operation(0.0),
    gate_2q=Operation(0.0),
    initialise=Operation(0.0),
    readout=Readout(0.0),
    emission=Emission(1e-6, 1.0, 1e-6),
)


def sleeping_plan(steps: int, nodes: int = 2, *, seed: int = 1) -> RunPlan:
    """Nodes without links whose applications sleep ``steps`` times each, out of step."""
    names = [NodeId(f"node{k:03d}") for k in range(nodes)]
    return RunPlan(
        network="sleepers",
        seed=seed,
        nodes=tuple(NodePlan(name, "none", _PLATFORM) for name in names),
        links=(),
        app=AppPlan("tick", {"steps": steps}, dict.fromkeys(names, "ticker")),
    )


def beating_plan(steps: int, *, seed: int = 1) -> RunPlan:
    """Two nodes whose link machines beat ``steps`` times each, by turns."""
    ends = (NodeId("node000"), NodeId("node001"))
    station = NodeId("station")
    link = LinkPlan(
        name=LinkId("node000-node001"),
        ends=ends,
        station=station,
        scheme="double-click",
        scheme_parameters={},
        protocol="metronome",
        protocol_parameters={"interval_ps": INTERVAL_PS},
        optics=LinkOptics(1.0, 1.0),
        flights=(Duration(0), Duration(0)),
        direct=Duration(0),
        cycle=Duration(INTERVAL_PS),
        preparation=Duration(0),
        correction=(Duration(0), Duration(0)),
        estimate=Estimate(1.0, Duration(INTERVAL_PS), 1.0, 1.0, 0.0, 0.0, (1.0, 1.0, 1.0)),
    )
    return RunPlan(
        network="metronomes",
        seed=seed,
        nodes=(
            *(NodePlan(name, "none", _PLATFORM) for name in ends),
            NodePlan(station, station=Station()),
        ),
        links=(link,),
        app=AppPlan("tick", {"steps": 1, "interval_s": 1e6}, {ends[0]: "ticker"}),
        until=Duration(steps * INTERVAL_PS),
    )


def frame_bytes() -> tuple[int, int]:
    """Length of a grant and of the report that answers it in the workload of machines."""
    at = Instant(123_456_789_012)
    grant = encode_frame(KIND_OF[Grant], "world", "node000", 1000, at, Grant(at, 0, []))
    line = (
        b'{"at":123456789012,"round":0,"node":"node000","machine":"link:node000-node001","event":'
        b'{"type":"DeadlineReached"},"effects":[],"state":{"type":"Beating","beats":1000,"next_at":123456789012}}\n'
    )
    report = Report(at, at, [NodeReport(NodeId("node000"), [], line)])
    return len(grant), len(encode_frame(KIND_OF[Report], "node000", "world", 1000, at, report))


def trio_wakes_hz(steps: int = 10_000) -> float:
    """Wake-ups per second of two sleepers under Trio's auto-jumping clock: the limit of any such run."""

    async def sleeper() -> None:
        for _ in range(steps):
            await trio.sleep(1e-6)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleeper)
            await trio.sleep(5e-7)
            nursery.start_soon(sleeper)

    started = time.perf_counter()
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return 2 * steps / (time.perf_counter() - started)


def _steps_hz(plan: RunPlan, steps: int, options: RunOptions) -> float:
    outcome = runner.run(plan, options)
    if outcome.status != "done":
        raise RuntimeError(outcome.fault)
    return 2 * steps / float(outcome.summary["wall_s"])


def run(steps: int = 5_000) -> list[dict[str, Any]]:
    """The rows; medians of interleaved repeats."""
    modes = {
        "embedded": RunOptions("embedded"),
        "processes, one core": RunOptions("processes", pin=True),
        "processes, any core": RunOptions("processes", pin=False),
        "processes over tcp, one core": RunOptions("processes", transport="tcp", pin=True),
    }
    works = {"machines": beating_plan(steps), "applications": sleeping_plan(steps)}
    rates: dict[tuple[str, str], list[float]] = {(m, w): [] for m in modes for w in works}
    bare: dict[str, list[float]] = {mode: [] for mode in modes}
    sizes = frame_bytes()
    for _ in range(REPEATS):
        for mode, options in modes.items():
            if mode == "embedded":
                bare[mode].append(trio_wakes_hz(steps))
            else:
                bare[mode].append(raw.ping_pong_hz(*sizes, cores=1 if options.pin else 2))
            for work, plan in works.items():
                rates[mode, work].append(_steps_hz(plan, steps, options))
    rows = []
    for (mode, work), values in rates.items():
        rate, limit = statistics.median(values), statistics.median(bare[mode])
        rows.append(
            {
                "mode": mode,
                "workload": work,
                "steps_per_s": round(rate),
                "bare_per_s": round(limit),
                "of_bare": round(rate / limit, 3),
            }
        )
    return rows
