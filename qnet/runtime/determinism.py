"""Makes Trio's scheduler repeatable, through one guarded shim.

Stock Trio runs each batch of runnable tasks in an order drawn by a coin. The module-level names
``_ALLOW_DETERMINISTIC_SCHEDULING`` and ``_r`` of ``trio._core._run`` (present unchanged from Trio 0.12 to
0.35; Trio's own determinism test patches the same two) let us give the order instead:

* *spawn order* (the default), or
* *explored*: sorted by a keyed hash of the task's spawn number under its node. The key does not depend on
  who else is in the batch, so an explored schedule is as repeatable as spawn order.

:func:`self_test` runs a small racing program twice and fails loudly if a Trio release breaks this.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio
import trio._core._run as trio_run

from qnet.errors import RuntimeFault
from qnet.randomness import keyed_bits

CURRENT_NODE: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("qnet_node", default="")
"""The node on whose behalf a task runs; inherited by the tasks that it spawns."""

_FLAG: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
_RANDOM: Final = "_r"


class _SpawnOrder:
    """Stands in for Trio's private generator; ``shuffle`` arranges a batch in spawn order."""

    def shuffle(self, batch: list[Any]) -> None:
        # Trio has just sorted the batch by spawn number, and takes tasks from its end.
        batch.reverse()

    def random(self) -> float:
        return 0.0

    def uniform(self, low: float, _high: float) -> float:
        return low


class _Explored(_SpawnOrder, trio.abc.Instrument):
    """Arranges a batch by a keyed hash of (node, spawn number under that node)."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._spawned: dict[str, int] = {}
        self._keys: dict[int, int] = {}

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        node = task.context.get(CURRENT_NODE, "")
        number = self._spawned.get(node, 0)
        self._spawned[node] = number + 1
        self._keys[task._counter] = keyed_bits(self._seed, node, "schedule", number)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self._keys.pop(task._counter, None)

    def shuffle(self, batch: list[Any]) -> None:
        batch.sort(key=lambda task: (self._keys.get(task._counter, 0), task._counter), reverse=True)


@contextmanager
def deterministic(explore: int = 0) -> Iterator[list[trio.abc.Instrument]]:
    """Within it, ``trio.run`` schedules repeatably. Gives the instruments to pass to ``trio.run``.

    Args:
        explore: 0 for spawn order, another number for the explored schedule that it keys.

    Raises:
        RuntimeFault: this release of Trio lacks the two names.
    """
    missing = [name for name in (_FLAG, _RANDOM) if not hasattr(trio_run, name)]
    if missing:
        raise RuntimeFault(
            f"Trio {trio.__version__} must offer {', '.join(missing)} in trio._core._run for repeatable "
            "scheduling; install a release that qnet names in its dependencies"
        )
    arrange = _Explored(explore) if explore else _SpawnOrder()
    flag, generator = getattr(trio_run, _FLAG), getattr(trio_run, _RANDOM)
    setattr(trio_run, _FLAG, True)
    setattr(trio_run, _RANDOM, arrange)
    try:
        yield [arrange] if isinstance(arrange, _Explored) else []
    finally:
        setattr(trio_run, _FLAG, flag)
        setattr(trio_run, _RANDOM, generator)


def self_test(tasks: int = 5, steps: int = 20) -> None:
    """Run a racing program in spawn order and explored, twice each, and compare.

    Raises:
        RuntimeFault: two equal runs differed, or tasks did not run in the order asked for.
    """

    async def race() -> list[int]:
        order: list[int] = []
        gate = trio.Event()

        async def runner(number: int) -> None:
            await gate.wait()
            for _ in range(steps):
                order.append(number)
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for number in range(tasks):
                nursery.start_soon(runner, number)
            await trio.lowlevel.checkpoint()
            gate.set()
        return order

    def run(explore: int) -> list[int]:
        with deterministic(explore) as instruments:
            return trio.run(race, instruments=instruments)

    plain = run(0)
    if plain != list(range(tasks)) * steps or run(0) != plain:
        raise RuntimeFault(
            f"Trio {trio.__version__} must run tasks in spawn order under the scheduler shim; it ran {plain[:tasks]}"
        )
    explored = run(1)
    if run(1) != explored or sorted(explored) != sorted(plain):
        raise RuntimeFault(
            f"Trio {trio.__version__} must repeat an explored schedule; two runs differed"
        )
