"""A limit of wall time for foreign code that may never return from one call.

Theory
    A machine has no clock and cannot be asked to hurry. The interval timer of the process interrupts it:
    the signal's handler raises inside whatever runs, again after every further interval, in case
    the code under test swallows what is raised in it.
Assumptions and validity
    Signals reach the main thread only; elsewhere there is no limit. Code that never comes back from C does
    not see the signal either.
Units
    Seconds of wall time.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from qnet.runtime.driver import Stuck, interrupt

LIMIT_S: Final = 20.0
"""Longest wall time of one run of a case; usual are some hundredths of a second."""


class Endless(Stuck):
    """The limit is over."""


@contextmanager
def limited(limit_s: float, *, run: bool = False) -> Iterator[Callable[[], None]]:
    """Within it, code that runs longer than ``limit_s`` is interrupted by :class:`Endless`.

    What it gives starts the time anew.

    Args:
        limit_s: of wall time.
        run: it is a run, in which only a machine's step is interrupted: all else has liveness of its own.
    """

    def ring(number: int, frame: FrameType | None) -> None:
        if run:
            interrupt(number, frame)
        else:
            raise Endless(f"no answer within {limit_s:g} s of wall time")

    def wind() -> None:
        signal.setitimer(signal.ITIMER_REAL, limit_s, limit_s)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = signal.signal(signal.SIGALRM, ring)
    wind()
    try:
        yield wind
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
