"""Time steps per second: grants of simulated time, embedded and over Unix sockets.

Two nodes without links sleep for equal, interleaved simulated intervals, so that every time step is one
grant to one host: the whole path authority, clock, Trio wake-up, report. Beside it a bare blocking
ping-pong of as many bytes as a grant and its report have.
"""

from __future__ import annotations

from typing import Any, Final

from qnet.bench import raw
from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.ids import NodeId
from qnet.plan import AppPlan, NodePlan, RunPlan
from qnet.runtime import run as runner
from qnet.runtime.run import RunOptions
from qnet.units import Instant
from qnet.wire.control import KIND_OF, Grant, NodeReport, Report
from qnet.wire.frame import encode_frame

TITLE: Final = "time steps per second"
NOTE: Final = (
    "one step = one grant to one host and its report; 'of bare' compares with the blocking ping-pong of the "
    "same bytes under the same pinning"
)


def tick_plan(steps: int, nodes: int = 2, *, seed: int = 1) -> RunPlan:
    """Nodes without links that sleep ``steps`` times each, in turn."""
    platform = Platform(
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
    names = [NodeId(f"node{k:03d}") for k in range(nodes)]
    return RunPlan(
        network="tick",
        seed=seed,
        nodes=tuple(NodePlan(name, "none", platform) for name in names),
        links=(),
        delays={},
        app=AppPlan("tick", {"steps": steps}, dict.fromkeys(names, "ticker")),
    )


def frame_bytes() -> tuple[int, int]:
    """Length of a grant and of the report that answers it in this benchmark."""
    at = Instant(123_456_789_012)
    grant = encode_frame(KIND_OF[Grant], "world", "node000", 1000, at, Grant(at, 0, []))
    report = encode_frame(
        KIND_OF[Report],
        "node000",
        "world",
        1000,
        at,
        Report(at, at, [NodeReport(NodeId("node000"), [], b"")]),
    )
    return len(grant), len(report)


def run(steps: int = 10_000) -> list[dict[str, Any]]:
    """The rows."""
    sizes = frame_bytes()
    rows: list[dict[str, Any]] = []
    for label, options in (
        ("embedded", RunOptions("embedded")),
        ("processes, pinned", RunOptions("processes", pin=True)),
        ("processes, not pinned", RunOptions("processes", pin=False)),
        ("processes over tcp, pinned", RunOptions("processes", transport="tcp", pin=True)),
    ):
        bare = raw.median_ping_pong_hz(*sizes, pinned="not pinned" not in label)
        outcome = runner.run(tick_plan(steps), options)
        if outcome.status != "done":
            raise RuntimeError(outcome.fault)
        rate = 2 * steps / outcome.summary["wall_s"]
        rows.append(
            {
                "mode": label,
                "steps_per_s": round(rate),
                "bare_ping_pong_per_s": round(bare),
                "of_bare": round(rate / bare, 3),
            }
        )
    return rows

