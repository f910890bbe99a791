"""The simulated clock: picoseconds in, float seconds out, nothing lost between."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from qnet.runtime.clock import SimulatedClock, deadline_instant
from qnet.runtime.determinism import deterministic, self_test
from qnet.units import PS_PER_S, Instant


@given(st.integers(0, 4_000 * PS_PER_S))
def test_deadline_of_a_reading_is_its_instant(instant: int) -> None:
    assert deadline_instant(instant / PS_PER_S) == instant


@given(st.floats(0, 1e5))
def test_deadline_is_due_when_its_instant_is_granted(deadline_s: float) -> None:
    instant = deadline_instant(deadline_s)
    assert instant is not None
    assert (instant + 0.5) / PS_PER_S >= deadline_s


def test_no_deadline() -> None:
    assert deadline_instant(math.inf) is None


class Jumping:
    """A world of one host: grants every deadline at once."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(self.idle, lambda: None)
        self.now = 0

    def idle(self, deadline: Instant | None) -> None:
        if deadline is None:  # Trio's own tasks wind up
            return
        self.now = max(self.now, deadline)
        self.clock.set(Instant(self.now))


@pytest.mark.parametrize("step_s", [1e-12, 1e-9, 1e-3, 0.1, 1 / 3])
def test_sleeping_lands_on_the_nearest_picosecond(step_s: float) -> None:
    jumping = Jumping()
    seen: list[int] = []

    async def main() -> None:
        for _ in range(50):
            await trio.sleep(step_s)
            seen.append(jumping.now)

    with deterministic():
        trio.run(main, clock=jumping.clock)
    step = round(step_s * PS_PER_S)
    assert all(abs(b - a - step) <= 1 for a, b in pairwise(seen))
    assert abs(seen[-1] - 50 * step) <= 25


def test_timeouts_are_simulated_seconds() -> None:
    jumping = Jumping()

    async def main() -> tuple[bool, int]:
        with trio.move_on_after(2.5) as scope:
            await trio.sleep(1000)
        return scope.cancelled_caught, jumping.now

    with deterministic():
        assert trio.run(main, clock=jumping.clock) == (True, 2_500_000_000_000)


def test_scheduler_shim_passes_its_self_test_and_leaves_no_trace() -> None:
    import trio._core._run as trio_run

    before = trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r
    self_test()
    assert (trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r) == before


def test_explored_schedules_differ_from_spawn_order_and_from_each_other() -> None:
    def order(explore: int) -> list[int]:
        seen: list[int] = []

        async def main() -> None:
            async def task(number: int) -> None:
                await trio.lowlevel.checkpoint()
                seen.append(number)

            async with trio.open_nursery() as nursery:
                for number in range(8):
                    nursery.start_soon(task, number)

        with deterministic(explore) as instruments:
            trio.run(main, instruments=instruments)
        return seen

    assert order(0) == list(range(8))
    assert order(3) == order(3) != order(4) == order(4)
    assert order(3) != order(0)
