"""What the tests of the rows D1 to D7 share: runs as processes and embedded, and what both ends said.

The rows are those of ``docs/acceptance.md``.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qnet.plan import RunPlan
from qnet.runtime.run import PLAN_FILE, RunOptions, load_plan, run
from qnet.topology import compile_topology

TOPOLOGIES = Path(__file__).parents[2] / "deploy" / "topologies"


@dataclass(frozen=True)
class Recorded:
    """A run as processes that gave the same trace embedded."""

    summary: dict[str, Any]
    folder: Path

    def result(self, node: str) -> Any:
        """What the application returned at a node."""
        return self.summary["app"]["results"][node]["result"]


def embedded(plan: RunPlan) -> dict[str, Any]:
    """Summary of a run in this process that came to its end."""
    outcome = run(plan, RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    return outcome.summary


def both_ways(plan: RunPlan, folder: Path) -> Recorded:
    """Run as one process per node, and again embedded from what the run folder says: the same trace.

    The folder holds the seed and the description (``plan.json``) and a log per process.
    """
    folder.mkdir()
    outcome = run(plan, RunOptions("processes", folder=folder))
    assert outcome.status == "done", outcome.fault
    assert outcome.summary["mode"] == "processes"
    assert json.loads((folder / PLAN_FILE).read_text())["seed"] == plan.seed
    logs = {file.stem for file in (folder / "logs").iterdir()}
    assert logs >= {"world", *(node.name for node in plan.nodes)}
    again = embedded(load_plan(folder))
    assert again["trace_sha256"] == outcome.summary["trace_sha256"]
    return Recorded(outcome.summary, folder)


def described(
    name: str, nodes: dict[str, dict[str, Any]], app: dict[str, Any], **more: Any
) -> RunPlan:
    """The plan of a shipped file with another application, and with these figures of nodes and other tables.

    What the file does not have is added.
    """
    tables = tomllib.loads((TOPOLOGIES / f"{name}.toml").read_text())
    return compile_topology({**_merged(tables, {"nodes": nodes, **more}), "app": app})


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Tables within tables, the new ones win."""
    out = dict(old)
    for key, value in new.items():
        inner = old.get(key)
        both = isinstance(inner, dict) and isinstance(value, dict)
        out[key] = _merged(inner, value) if both else value
    return out


def told(folder: Path) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Node -> pair -> (request, index, label, instant), from every ``Ok`` of a recorded run.

    No node says anything about a pair twice.
    """
    said: dict[str, dict[str, tuple[Any, ...]]] = {}
    with (folder / "trace.jsonl").open() as trace:
        for line in trace:
            if '"type":"Ok"' not in line:
                continue
            step = json.loads(line)
            for effect in step.get("effects", ()):
                if effect["type"] == "Indicate" and effect["indication"]["type"] == "Ok":
                    ok = effect["indication"]
                    book = said.setdefault(step["node"], {})
                    assert ok["pair"] not in book
                    facts = (ok["request"], ok["index"], tuple(ok["label"]), ok["created_at"])
                    book[ok["pair"]] = facts
    return said


def within(value: float, expected: float, stderr: float, sigmas: float = 3.0) -> bool:
    """Whether a figure is within so many standard errors of what is expected."""
    return math.isclose(value, expected, rel_tol=0.0, abs_tol=sigmas * stderr)
