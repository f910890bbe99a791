"""Settings of a process: what ends it with its parent, where it runs, and what a dead one died of."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(number: signal.Signals) -> None:
    """Ask the kernel for ``number`` when the parent's thread that started us ends (Linux; else nothing).

    The signal follows the *thread* that forked, so processes are started from main threads only. Elsewhere
    the closed socket alone ends the process.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died while we asked
        os.kill(os.getpid(), number)


def process_state(pid: int) -> str:
    """State letter of a process ("R", "S", "T" stopped, "Z" dead, "" gone or unknown)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def exit_words(status: int) -> str:
    """Words for a wait status as ``os.waitstatus_to_exitcode`` gives it."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"


def pin_to(core: int | None) -> None:
    """Keep this process on one core (None, or a system that cannot: no change)."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Within it the garbage collector runs a thirtieth as often, and leaves alone what exists at the start.

    A run makes many small records and next to no cycles: at its default threshold the collector takes 10
    to 20 % of an embedded run.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
