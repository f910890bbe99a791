"""``qnet replay``: the same plan once more; equal traces, or the first line that differs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from qnet.cli.progress import progress_on
from qnet.errors import ConfigError, RunInterrupted
from qnet.results.trace import Difference, first_difference, read_trace
from qnet.runtime.assembly import SUMMARY_FILE
from qnet.runtime.run import TRANSPORT, RunOptions, load_plan
from qnet.runtime.run import run as run_plan
from qnet.wire.control import Progress

BEFORE: Final = 80
SHOWN: Final = 240
"""Characters of a differing line that are shown: some before the first that differs, some after."""


def replay_run(folder: Path, *, as_recorded: bool) -> int:
    """Run the plan of ``folder`` again and compare; the exit status 0, 1 or 130.

    A recorded run that was cut short counts as the same if its lines are the first ones of the
    run; in this process, that is then run no further than it was recorded.

    Raises:
        ConfigError: the folder holds no run.
    """
    plan = load_plan(folder)
    recorded = read_summary(folder)
    cut_short = recorded["status"] != "done"
    options = options_as_recorded(str(recorded["mode"])) if as_recorded else EMBEDDED
    with TemporaryDirectory(prefix="qnet-replay-") as again:
        with progress_on(plan) as on_progress:
            if cut_short and options.mode == "embedded":
                on_progress = _stop_after(last_instant(folder), on_progress)
            outcome = run_plan(plan, replace(options, folder=Path(again), on_progress=on_progress))
        if outcome.status == "interrupted" and outcome.fault != ENOUGH:
            return 130
        difference = first_difference(folder, Path(again))
    if difference is None:
        sha256 = outcome.summary.get("trace_sha256", "")
        sys.stdout.write(f"same trace, {outcome.status}, sha256 {sha256}\n")
        return 0
    if not difference.recorded and cut_short:
        sys.stdout.write(
            f"the recorded run is {recorded['status']}: its {difference.number - 1} lines are the "
            "first of this trace\n"
        )
        return 0
    sys.stdout.write(difference_words(difference))
    if outcome.fault:
        sys.stderr.write(f"qnet: {outcome.status}: {outcome.fault}\n")
    return 1


def last_instant(folder: Path) -> int:
    """Instant of the last whole line of a trace, in picoseconds."""
    last = 0
    for line in read_trace(folder):
        last = line.at
    return last


def _stop_after(
    instant: int, on_progress: Callable[[Progress], None] | None
) -> Callable[[Progress], None]:
    """A progress report that ends an embedded run when all of ``instant`` is over."""

    def report(progress: Progress) -> None:
        if on_progress is not None:
            on_progress(progress)
        if progress.at > instant:
            raise RunInterrupted(ENOUGH)

    return report


ENOUGH: Final = "everything that was recorded has been run again"
EMBEDDED: Final = RunOptions(mode="embedded")


def options_as_recorded(mode: str) -> RunOptions:
    """Options that give a run of this mode, in the words of its summary.

    Raises:
        ConfigError: the words are unknown.
    """
    if mode == "embedded":
        return EMBEDDED
    found = re.fullmatch(r"processes(?:, (\d+) hosts)?(?:, (\S+))?", mode)
    if found is None:
        raise ConfigError("mode must be embedded or processes", file=SUMMARY_FILE, value=mode)
    hosts = None if found[1] is None else int(found[1])
    return RunOptions(mode="processes", hosts=hosts, transport=found[2] or TRANSPORT)


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a run; of a run that was killed before it wrote one, that it is unfinished.

    Raises:
        ConfigError: the file cannot be read or is not a summary.
    """
    file = folder / SUMMARY_FILE
    try:
        summary: dict[str, Any] = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {"status": "unfinished", "mode": "processes"}
    except (OSError, msgspec.MsgspecError) as failure:
        raise ConfigError(f"summary must be readable: {failure}", file=str(file)) from failure
    if not {"status", "mode"} <= summary.keys():
        raise ConfigError("summary must tell status and mode", file=str(file))
    return summary


def difference_words(difference: Difference) -> str:
    """The first differing line of both traces, cut to the part where they part."""
    one, two = difference.recorded, difference.again
    same = 0
    while same < min(len(one), len(two)) and one[same] == two[same]:
        same += 1
    start = max(0, same - BEFORE)
    return (
        f"traces differ from line {difference.number} on, at its character {same + 1}\n"
        f"recorded: {_excerpt(one, start)}\n"
        f"again:    {_excerpt(two, start)}\n"
    )


def _excerpt(line: str, start: int) -> str:
    if not line:
        return "(the trace has ended)"
    part = line[start : start + SHOWN]
    return f"{'...' if start else ''}{part}{'...' if start + SHOWN < len(line) else ''}"
