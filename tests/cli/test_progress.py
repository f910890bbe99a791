from __future__ import annotations

import io

from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import TextColumn

from qnet.cli import progress as module
from qnet.cli.progress import Painter, progress_on, progress_words
from qnet.wire.control import Progress

SECOND = 10**12


def test_progress_words_tell_pairs_time_rate_and_time_left():
    words = progress_words(Progress(at=2 * SECOND, pairs=100, requested=400), wall_s=5.0)
    assert words == "100/400 pairs, 2 s simulated, 50 pairs/s, 15 s left"


def test_progress_words_before_the_first_pair_promise_nothing():
    assert progress_words(Progress(at=0, pairs=0, requested=10), 1.0) == "0/10 pairs, 0 s simulated"


def test_progress_words_tell_lag_and_whom_the_run_waits_for():
    report = Progress(at=SECOND, pairs=0, requested=1, waiting=("bob",), lag_s=0.25)
    assert progress_words(report, 1.0).endswith("250 ms late, waiting for bob")


def test_painter_repaints_at_most_five_times_a_second(monkeypatch):
    clock = {"now": 100.0}
    monkeypatch.setattr(module.time, "monotonic", lambda: clock["now"])
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    painted = []
    bars = Bars(TextColumn("{task.fields[words]}"), console=console, auto_refresh=False)
    monkeypatch.setattr(bars, "refresh", lambda: painted.append(clock["now"]))
    painter = Painter(bars, "pair")
    painted.clear()
    for step in range(100):
        clock["now"] = 100.0 + step * 0.01
        painter(Progress(at=step, pairs=step, requested=100))
    assert len(painted) == 5


def test_progress_is_silent_on_a_pipe(capsys):
    plan = None  # not looked at
    with progress_on(plan) as report:
        assert report is None
    assert capsys.readouterr().out == ""
