"""A queue between the driver, which never waits, and the tasks of an application, which do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import trio


class Mailbox:
    """A queue that counts as work of the host when something arrives for a task that waits."""

    def __init__(self, woken: Callable[[], None]) -> None:
        self._items: deque[Any] = deque()
        self._lot = trio.lowlevel.ParkingLot()
        self._woken = woken

    def put(self, item: Any) -> None:
        """Add an item; whoever waits looks whether it is the one."""
        self._items.append(item)
        if self._lot:
            self._lot.unpark_all()
            self._woken()

    async def get(self, wanted: Callable[[Any], bool] | None = None) -> Any:
        """The next item, or the next one that is ``wanted``. Waits only if there is none."""
        waited = False
        while True:
            for index, item in enumerate(self._items):
                if wanted is None or wanted(item):
                    if not waited:
                        await trio.lowlevel.checkpoint_if_cancelled()
                    del self._items[index]
                    return item
            await self._lot.park()
            waited = True

    def drain(self) -> list[Any]:
        """All items, without waiting."""
        items = list(self._items)
        self._items.clear()
        return items
