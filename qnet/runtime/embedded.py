"""The memory transport: world and host in one process, called directly. For tests, sweeps and notebooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from qnet.wire.control import Grant, Report
from qnet.world.world import World

HOST: Final = "host"


class EmbeddedPort:
    """The port of the one host of an embedded run.

    Args:
        world: the world, in this process.
        watch: called once per grant, for progress, pace and interruption; may raise to end the run.
    """

    def __init__(self, world: World, watch: Callable[[], None]) -> None:
        self._world = world
        self._watch = watch

    def first(self) -> Grant | None:
        """The first grant."""
        return self._world.open()[HOST]

    def exchange(self, report: Report) -> Grant | None:
        """Complete the present turn and take the next."""
        self._world.complete({HOST: report})
        self._watch()
        grants = self._world.next()
        return None if grants is None else grants[HOST]
