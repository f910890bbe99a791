"""Puts a world together and sums a run up; the same for every mode."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qnet import __version__
from qnet.ids import NodeId
from qnet.plan import ENGINE, RunPlan
from qnet.plugins import find
from qnet.runtime.plugs import Seams
from qnet.units import seconds

if TYPE_CHECKING:
    from qnet.world.world import World

SUMMARY_FILE: Final = "summary.json"


def build_world(plan: RunPlan, host_of: Mapping[NodeId, str], folder: Path | None) -> World:
    """The world of a plan, with the engine that it names."""
    # numpy, and qutip if the engine is that: a second or two, and nothing for the launcher or a host
    from qnet.world.recorder import Recorder
    from qnet.world.store import Store
    from qnet.world.world import World

    platforms = {node.name: node.platform for node in plan.nodes if node.platform is not None}
    seams = Seams(plan)
    return World(
        plan,
        host_of=host_of,
        schemes=seams.schemes,
        store=Store(
            find("qnet.engines", plan.engine_name).make(), platforms, cluster_cap=plan.cluster_cap
        ),
        recorder=Recorder(folder),
        initiator=next(iter(seams.app.roles)),
    )


def versions() -> dict[str, str]:
    """Versions that can change a run's numbers, for the summary."""
    from importlib.metadata import version

    names = ("trio", "msgpack", "msgspec", "numpy", "qutip")
    return {
        "qnet": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def summarise(
    world: World, *, mode: str, wall_s: float, status: str, fault: str = "", max_lag_s: float = 0.0
) -> dict[str, Any]:
    """The content of ``summary.json``.

    ``ended_by`` is "applications" or "until" (the bound of simulated time); ``bounds`` is what links and
    flows made beside what physics allows; ``held_at_end`` counts the slots that nodes had not given back.
    A run that failed or was interrupted has none of the three.
    """
    plan = world.plan
    summary: dict[str, Any] = {
        "network": plan.network,
        "seed": plan.seed,
        "mode": mode,
        "status": status,
        "versions": versions(),
        "simulated_s": seconds(world.reached),
        "wall_s": round(wall_s, 3),
        "trace_sha256": world.recorder.trace_sha256,
        "requests": world.ledger.summary(),
        "attempts": dict(sorted(world.optics.attempts(world.reached).items())),
        "app": {
            "name": plan.app.name,
            "results": {
                node: {"role": role, "result": result}
                | ({"crashed": True} if node in world.crashed_apps else {})
                for node, (role, result) in sorted(world.app_results.items())
            },
            "waiting": sorted(set(plan.app.roles) - set(world.app_results)),
        },
    }
    if world.verdict is not None:
        summary["ended_by"] = world.verdict.by
        summary["bounds"] = world.bounds
        if held := world.leftovers():
            summary["held_at_end"] = held
    if plan.engine_name != ENGINE:
        summary["engine"] = plan.engine_name
    if plan.exact_attempts:
        summary["exact_attempts"] = True
    if plan.explore_schedule:
        summary["explore_schedule"] = plan.explore_schedule
    if max_lag_s > 0.0:
        summary["max_lag_s"] = round(max_lag_s, 3)
    if fault:
        summary["fault"] = fault
    if world.ledger.half_announced:
        summary["half_announced_at_end"] = world.ledger.half_announced
    return summary


def unbuilt(plan: RunPlan, mode: str, fault: str, wall_s: float = 0.0) -> dict[str, Any]:
    """What can be said of a run that has no world to sum up."""
    return {
        "network": plan.network,
        "seed": plan.seed,
        "mode": mode,
        "status": "failed",
        "versions": versions(),
        "simulated_s": 0.0,
        "wall_s": round(wall_s, 3),
        "fault": fault,
    }


def finish(world: World, summary: dict[str, Any], folder: Path | None) -> bytes:
    """Close the record and write the summary; its JSON."""
    world.recorder.close()
    data = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
    if folder is not None:
        (folder / SUMMARY_FILE).write_bytes(data)
    return data
