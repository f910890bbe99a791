"""What a person sees while a run goes on; nothing if standard output is not a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from qnet.plan import RunPlan
from qnet.results.words import time_words
from qnet.units import seconds
from qnet.wire.control import Progress

PIPE_WIDTH: Final = 140
"""Columns of tables that nobody watches: wide enough that nothing wraps."""
REPAINT_S: Final = 0.2


def console() -> Console:
    """Standard output, for tables."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH)


@contextmanager
def progress_on(
    plan: RunPlan, *, quiet: bool = False
) -> Iterator[Callable[[Progress], None] | None]:
    """Shows progress on a terminal while it is open.

    Args:
        plan: what runs.
        quiet: show nothing.

    Yields:
        What to call with each progress report; None if nothing is shown.
    """
    if quiet or not sys.stdout.isatty():
        yield None
        return
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        console=console(),
        auto_refresh=False,
        transient=True,
    )
    with bars:
        yield Painter(bars, plan.network)


class Painter:
    """Paints progress reports, at most every 0.2 s of wall time."""

    def __init__(self, bars: Bars, network: str) -> None:
        self._bars = bars
        self._task = bars.add_task(network, total=None, words="starting")
        self._started = time.monotonic()
        self._painted = 0.0
        bars.refresh()

    def __call__(self, progress: Progress) -> None:
        """Show how far the run is."""
        now = time.monotonic()
        if now - self._painted < REPAINT_S:
            return
        self._painted = now
        self._bars.update(
            self._task,
            completed=progress.pairs,
            total=progress.requested or None,
            words=progress_words(progress, now - self._started),
        )
        self._bars.refresh()


def progress_words(progress: Progress, wall_s: float) -> str:
    """Pairs, simulated time, rate, time left; whom the run waits for, how late a paced run is."""
    at_s = seconds(progress.at)
    words = [f"{progress.pairs}/{progress.requested} pairs", f"{time_words(at_s)} simulated"]
    if progress.pairs and at_s > 0.0:
        words.append(f"{progress.pairs / at_s:.4g} pairs/s")
        left = max(0, progress.requested - progress.pairs)
        words.append(f"{wall_s * left / progress.pairs:.0f} s left")
    if progress.lag_s > 0.0:
        words.append(f"{time_words(progress.lag_s, 2)} late")
    if progress.waiting:
        words.append(f"waiting for {', '.join(progress.waiting)}")
    return ", ".join(words)
