"""A Trio clock that shows simulated time, and its idle hook.

Trio calls :meth:`SimulatedClock.deadline_to_sleep_time` just when no task is runnable, with the earliest
deadline of the program. That is the idle hook: the host reports, waits for its grant and performs what is
due, and the clock shows the granted instant.

Exactness
    Instants are integers of picoseconds, Trio's deadlines are float seconds. Tasks always read
    ``instant / 1e12``. A deadline is rounded to the nearest picosecond; when its instant is granted, the
    reading that Trio itself compares with deadlines (the first one after the hook) is half a picosecond
    later, so that a deadline that rounding put an ulp too late still expires in its instant. What a task
    sees never depends on who else shares its host. Above 4 500 s of simulated time, float seconds resolve
    1 ps and more: application deadlines are then exact to that, and due at the first instant whose reading
    reaches them, so that no other grant of their host can make them expire. Simulated time ends at
    ``LAST_INSTANT``; a later deadline is due right behind it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from typing import Final

import trio

from qnet.errors import ClockStalled
from qnet.units import LAST_INSTANT, PS_PER_S, Instant

SPIN_LIMIT: Final = 1_000_000
"""Scheduler passes between two grants after which an application is declared to loop in one instant."""

_EXACT: Final = 1 << 51
"""Below it (2 250 s), readings of neighbouring instants differ by more than two roundings."""


def deadline_instant(deadline_s: float) -> Instant | None:
    """The instant at which a Trio deadline is due; None for never."""
    if math.isinf(deadline_s):
        return None
    if deadline_s > LAST_INSTANT / PS_PER_S:
        return Instant(LAST_INSTANT + 1)
    instant = max(0, math.ceil(deadline_s * PS_PER_S - 0.5))
    while (instant + 0.5) / PS_PER_S < deadline_s:
        instant += max(1, instant >> 52)
    if instant > _EXACT:
        early = max(0, instant - (instant >> 51) - 1)
        instant = early + bisect.bisect_left(
            range(early, instant), deadline_s, key=lambda at: (at + 0.5) / PS_PER_S
        )
    return Instant(instant)


class SimulatedClock(trio.abc.Clock):
    """Shows simulated time to one Trio run.

    Args:
        idle: called when nothing is runnable, with the next deadline; returns when something may be.
        spinning: called once if the program never becomes idle.
    """

    def __init__(
        self, idle: Callable[[Instant | None], None], spinning: Callable[[], None]
    ) -> None:
        self._idle = idle
        self._spinning = spinning
        self._now = Instant(0)
        self._expiring = False
        self._passes = 0

    def set(self, now: Instant) -> None:
        """Simulated time is ``now``."""
        self._now = now
        self._passes = 0

    def start_clock(self) -> None:
        """Called by Trio once; simulated time starts when the world says so."""

    def current_time(self) -> float:
        """Simulated seconds since the start of the run."""
        self._passes += 1
        if self._passes == SPIN_LIMIT:
            self._spinning()
        elif self._passes > 2 * SPIN_LIMIT:
            raise ClockStalled("applications must end when cancelled; one shields itself and spins")
        if self._expiring:
            self._expiring = False
            return (self._now + 0.5) / PS_PER_S
        return self._now / PS_PER_S

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """The idle hook; Trio never sleeps, the host does."""
        self._idle(deadline_instant(deadline))
        self._expiring = True
        return 0.0
