"""A limit of time for foreign code that may never return from one call.

Theory
    A machine has no clock and cannot be asked to hurry. The interval timer of the process interrupts it:
    the signal's handler raises inside whatever runs, again after every further interval, in case
    the code under test swallows what is raised in it. What counts is the processor time of this process,
    so that a busy computer makes no verdict; code that sleeps is interrupted after :data:`ASLEEP` limits of
    wall time.
Assumptions and validity
    Signals reach the main thread only; elsewhere there is no limit. Code that never comes back from C does
    not see the signal either.
Units
    Seconds.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from qnet.runtime.driver import Stuck, interrupt

LIMIT_S: Final = 20.0
"""Longest processor time of one run of a case; usual are some hundredths of a second."""

ASLEEP: Final = 6
"""Limits of wall time after which code is interrupted that has hardly used the processor."""


class Endless(Stuck):
    """The limit is over."""


NEARLY: Final = 0.9
"""Share of a limit that counts as all of it: timers and clocks differ a little."""


@contextmanager
def limited(limit_s: float, *, run: bool = False) -> Iterator[Callable[[], None]]:
    """Within it, code that runs longer than ``limit_s`` is interrupted by :class:`Endless`.

    What it gives starts the time anew.

    Args:
        limit_s: of processor time.
        run: it is a run, in which only a machine's step is interrupted: all else has liveness of its own.
    """
    began = used = 0.0

    def ring(number: int, frame: FrameType | None) -> None:
        busy_s, wall_s = time.process_time() - used, time.monotonic() - began
        if busy_s < NEARLY * limit_s and wall_s < (ASLEEP - 1.0 + NEARLY) * limit_s:
            return  # others have the processor
        if run:
            interrupt(number, frame)
        else:
            raise Endless(f"no answer within {limit_s:g} s of processor time")

    def wind() -> None:
        nonlocal began, used
        began, used = time.monotonic(), time.process_time()
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
