"""Keeps an eye on the wall clock for a world: progress, pace and interruption."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from qnet.units import seconds
from qnet.wire.control import Progress

if TYPE_CHECKING:
    from qnet.world.world import World

INTERVAL_S: Final = 0.2
"""Wall time between two looks."""
STRIDE: Final = 64
"""Turns between two readings of the wall clock in a run without pace."""


class Watch:
    """Called once per turn.

    Args:
        world: what is watched.
        pace: simulated seconds per wall second; None for as fast as it can.
        look: called every interval with the progress; may raise to end the run.
        wait: waits so many wall seconds (less is fine); may raise to end the run.
    """

    def __init__(
        self,
        world: World,
        *,
        pace: float | None,
        look: Callable[[Progress], None],
        wait: Callable[[float], None],
    ) -> None:
        self._world = world
        self._pace = pace
        self._look = look
        self._wait = wait
        self._turns = 0
        self._started = time.monotonic()
        self._next_look = self._started + INTERVAL_S
        self.lag_s = 0.0
        self.max_lag_s = 0.0

    @property
    def wall_s(self) -> float:
        """Wall seconds since the start."""
        return time.monotonic() - self._started

    def __call__(self) -> None:
        """One turn was completed."""
        self._turns += 1
        if self._pace is not None:
            self._keep_pace(self._pace)
        elif self._turns % STRIDE:
            return
        if time.monotonic() >= self._next_look:
            self.look()

    def look(self, waiting: tuple[str, ...] = ()) -> None:
        """Report the progress now."""
        self._next_look = time.monotonic() + INTERVAL_S
        world = self._world
        self._look(
            Progress(
                world.authority.now, world.ledger.pairs, world.ledger.requested, waiting, self.lag_s
            )
        )

    def _keep_pace(self, pace: float) -> None:
        instant = self._world.authority.next_instant()
        if instant is None:
            return
        target = self._started + seconds(instant) / pace
        while (left := target - time.monotonic()) > 0:
            self._wait(min(left, INTERVAL_S))
            if time.monotonic() >= self._next_look:
                self.look()
        self.lag_s = max(0.0, -left)
        self.max_lag_s = max(self.max_lag_s, self.lag_s)
