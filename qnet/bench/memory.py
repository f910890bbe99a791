"""Memory of a node process beside that of a bare process with the same imports.

The node takes part in a real run of the ion-pair kind: plug-ins loaded, machines built, application
running. *Resident* counts shared pages in every process; *proportional* divides them among the processes
that share them, which is what one more node really costs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import trio

from qnet.bench import raw
from qnet.bench.teleport import ideal_plan
from qnet.runtime.launcher import launch
from qnet.runtime.run import RunOptions

TITLE: Final = "memory of a node process"
NOTE: Final = "bare: an interpreter with trio, msgpack, msgspec and structlog imported"


def run() -> list[dict[str, Any]]:
    """The rows: each host of a three-node network, in mid-run."""
    bare = raw.bare_resident_kib()
    found: dict[str, dict[str, int]] = {}

    def look(pids: dict[str, int]) -> None:
        for name, pid in pids.items():
            status = Path(f"/proc/{pid}/status").read_text()
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            share = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
            found[name] = {"rss": raw.resident_kib(status), "pss": int(share.split()[1])}

    outcome = trio.run(launch, ideal_plan(2000), RunOptions("processes", on_processes=look), ())
    if outcome.status != "done":
        raise RuntimeError(outcome.fault)
    return [
        {
            "process": name,
            "resident_kib": values["rss"],
            "bare_resident_kib": bare,
            "of_bare": round(values["rss"] / bare, 3),
            "proportional_kib": values["pss"],
        }
        for name, values in sorted(found.items())
    ]
