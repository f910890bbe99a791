"""``qnet run``: from a topology to a finished run folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qnet.cli.progress import console, progress_on
from qnet.errors import ConfigError
from qnet.plan import RunPlan
from qnet.runtime.run import TRANSPORT, RunOptions, RunOutcome
from qnet.runtime.run import run as run_plan
from qnet.topology import load

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS: Final = "runs"
"""Folder of run folders, under the current one."""


@dataclass(frozen=True)
class Request:
    """The options of ``qnet run``, as given."""

    topology: Path
    app: str | None = None
    settings: tuple[str, ...] = ()
    faults: Path | None = None
    seed: int | None = None
    embedded: bool = False
    hosts: int | None = None
    transport: str = TRANSPORT
    pace: float | None = None
    explore_schedule: int | None = None
    exact_attempts: bool = False
    out: Path | None = None
    json: bool = False
    pin: bool = True
    plots: bool = True
    liveness_s: float = 60.0


def run_topology(request: Request) -> str:
    """Run, record, show; the status "done", "failed" or "interrupted".

    Raises:
        ConfigError: the description or an option is wrong; nothing was started.
        PluginError: a plug-in of the description is broken.
    """
    _check(request)
    plan = load(
        request.topology,
        _overrides(request),
        app=request.app,
        seed=request.seed,
        faults=request.faults,
    )
    with _folder(request.out, plan) as folder, progress_on(plan, quiet=request.json) as on_progress:
        options = RunOptions(
            mode="embedded" if request.embedded else "processes",
            hosts=request.hosts,
            transport=request.transport,
            pace=request.pace,
            folder=folder,
            pin=request.pin,
            liveness_s=request.liveness_s,
            on_progress=on_progress,
        )
        # What applications of an embedded run print must not mix with the one JSON object.
        with redirect_stdout(sys.stderr if request.json else sys.stdout):
            outcome = run_plan(plan, options)
    if request.plots:
        _plots(folder, plan)
    _show(outcome, plan, folder, as_json=request.json)
    return outcome.status


def _check(request: Request) -> None:
    if request.embedded and request.hosts is not None:
        raise ConfigError("must not be given with --embedded", path="--hosts", value=request.hosts)
    if request.embedded and request.transport not in (TRANSPORT, "memory"):
        raise ConfigError(
            "must not be given with --embedded", path="--transport", value=request.transport
        )
    if not request.liveness_s > 0.0:
        raise ConfigError("must be > 0 s", path="--liveness", value=request.liveness_s)


def _overrides(request: Request) -> list[str]:
    overrides = list(request.settings)
    if request.explore_schedule is not None:
        overrides.append(f"run.explore_schedule={request.explore_schedule}")
    if request.exact_attempts:
        overrides.append("run.exact_attempts=true")
    return overrides


@contextmanager
def _folder(out: Path | None, plan: RunPlan) -> Iterator[Path]:
    """The run folder, made; unmade if the run never began to fill it."""
    folder = _new_folder(plan) if out is None else _given_folder(out)
    try:
        yield folder
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()


def _given_folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise ConfigError("must be a new or empty folder", path="--out", value=str(out))
    except OSError as failure:
        raise ConfigError(
            f"must be a folder that can be made ({failure.strerror})", path="--out", value=str(out)
        ) from failure
    return out


def _new_folder(plan: RunPlan) -> Path:
    """``runs/NETWORK-SEED-N`` with the next N; never one that exists."""
    runs = Path(RUNS)
    stem = f"{plan.network}-{plan.seed}-"
    try:
        runs.mkdir(exist_ok=True)
        taken = [entry.name.removeprefix(stem) for entry in runs.glob(f"{stem}*")]
        number = 1 + max((int(text) for text in taken if text.isdecimal()), default=0)
        while True:
            try:
                folder = runs / f"{stem}{number}"
                folder.mkdir()
            except FileExistsError:
                number += 1  # another run took it just now
            else:
                return folder
    except OSError as failure:
        raise ConfigError(
            f"run folder must be possible to make ({failure.strerror})",
            path="--out",
            value=str(runs),
        ) from failure


def _plots(folder: Path, plan: RunPlan) -> None:
    from qnet.results.pairs import PAIRS_FILE
    from qnet.results.plots import draw

    if (folder / PAIRS_FILE).exists():
        draw(folder, plan)


def show_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def _show(outcome: RunOutcome, plan: RunPlan, folder: Path, *, as_json: bool) -> None:
    if as_json:
        show_json(outcome.summary)
    else:
        from qnet.results.table import summary_table

        console().print(summary_table({**outcome.summary, "folder": str(folder)}, plan))
    if outcome.fault:
        sys.stdout.flush()
        sys.stderr.write(f"qnet: {outcome.status}: {outcome.fault}\n")
