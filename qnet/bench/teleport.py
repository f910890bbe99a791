"""Teleportations per second through the whole stack, in units of a bare blocking ping-pong.

Each teleportation is a request of its own: CREATE and its agreement, attempts and the herald through the
station, the label correction, OK at both ends, preparation of the data qubit, Bell measurement, message,
correction, verification, and every step in the trace. The network is ideal (every attempt succeeds), so
that what is timed is the stack and not the dice.
"""

from __future__ import annotations

import statistics
from typing import Any, Final

from qnet.bench import raw
from qnet.plan import RunPlan
from qnet.runtime import run as runner
from qnet.runtime.run import RunOptions
from qnet.topology import compile_topology

TITLE: Final = "teleportations per second, whole stack"
NOTE: Final = (
    "bare: blocking round trips of 120 bytes over a Unix socket between two processes, on two cores and with "
    "both on one; in_bare: what one teleportation costs in units of them"
)
MESSAGE_BYTES: Final = 120
REPEATS: Final = 5


def ideal_plan(pairs: int, *, app: str = "teleport") -> RunPlan:
    """Two perfect processors and a station, 2 m apart."""
    return compile_topology(
        {
            "name": "teleport-bench",
            "run": {"seed": 1},
            "nodes": {
                "alice": {"platform": "ideal"},
                "bob": {"platform": "ideal"},
                "station": {"kind": "station"},
            },
            "links": {
                "alice-bob": {
                    "ends": ["alice", "bob"],
                    "station": "station",
                    "length_m": 1.0,
                    "loss_db_per_km": 0.0,
                    "scheme": "double-click",
                    "protocol": "egp",
                }
            },
            "app": {
                "name": app,
                "from_node": "alice",
                "to_node": "bob",
                "pairs": pairs,
                "one_request_each": True,
            },
        }
    )


def run(pairs: int = 500) -> list[dict[str, Any]]:
    """The rows; medians of interleaved repeats."""
    modes = {
        "embedded": RunOptions("embedded"),
        "processes, one core": RunOptions("processes", pin=True),
        "processes, any core": RunOptions("processes", pin=False),
    }
    plan = ideal_plan(pairs)
    rates: dict[str, list[float]] = {mode: [] for mode in modes}
    bare: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(REPEATS):
        for cores, values in bare.items():
            values.append(raw.ping_pong_hz(MESSAGE_BYTES, MESSAGE_BYTES, cores=cores))
        for mode, options in modes.items():
            outcome = runner.run(plan, options)
            if outcome.status != "done":
                raise RuntimeError(outcome.fault)
            rates[mode].append(pairs / float(outcome.summary["wall_s"]))
    two_cores, one_core = statistics.median(bare[2]), statistics.median(bare[1])
    rows = []
    for mode, values in rates.items():
        rate = statistics.median(values)
        rows.append(
            {
                "mode": mode,
                "per_s": round(rate, 1),
                "bare_2_cores_per_s": round(two_cores),
                "bare_1_core_per_s": round(one_core),
                "in_bare_2_cores": round(two_cores / rate, 1),
                "in_bare_1_core": round(one_core / rate, 1),
            }
        )
    return rows
