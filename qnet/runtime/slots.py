"""Who holds which memory slot of a node.

A slot has one holder: a machine, the application, or nobody. ``Acquire`` gives a free one, ``Indicate`` with
slots and requests that carry one hand it over, ``Release`` empties it, after the program that may still run
on it. Touching a slot that somebody else holds is an error of the program, found before the world is asked.

Shares
    With at least as many communication slots as links every link has its own ones, dealt out in order of
    name: a pair that waits on one link never takes the other links' turn. With fewer, all links draw on a
    common pool, and their protocol must see to it that none waits for another node with a slot in hand.

Couplings
    Where not all slots interact, a link gets memory slots beside a communication slot that it may use, and
    then (``near``) a communication slot beside one of those.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET

from qnet.couplings import graph
from qnet.errors import LocalProtocolError
from qnet.hardware import Platform
from qnet.ids import NodeId, SlotId
from qnet.machine import Acquire

LEAVING: Final = "(emptied when its program ends)"
"""Holder of a slot that was released while a program was running on it."""


class Slots:
    """The slots of one node.

    Args:
        node: its name, for errors.
        platform: its processor, None for a station.
    """

    def __init__(self, node: NodeId, platform: Platform | None) -> None:
        self._node = node
        self._platform = platform
        count = platform.slots if platform else 0
        self._holder: dict[SlotId, str] = {SlotId(slot): "" for slot in range(count)}
        self._free: dict[str, set[SlotId]] = {"communication": set(), "memory": set()}
        for slot in self._holder:
            self._free[self._role(slot)].add(slot)
        self._waiting: list[tuple[str, Acquire]] = []
        self._share: dict[str, frozenset[SlotId]] = {}
        self._beside = graph(platform) if platform else {}
        self._storable: dict[str, frozenset[SlotId]] = {}

    def share_out(self, links: Iterable[str]) -> None:
        """Give each of these link machines communication slots of its own, if there are enough."""
        names = sorted(links)
        if self._platform is None:
            return
        for index, name in enumerate(names):
            own = frozenset(map(SlotId, self._platform.communication_of(index, len(names))))
            if self._platform.communication_slots >= len(names):
                self._share[name] = own
            if self._beside:
                self._storable[name] = self._next_to(own)

    def holders(self) -> dict[SlotId, str]:
        """Holder of every slot that has one."""
        return {slot: holder for slot, holder in self._holder.items() if holder}

    def must_hold(self, name: str, slot: SlotId) -> None:
        """Refuse a use of ``slot`` by anybody but its holder.

        Raises:
            LocalProtocolError: ``name`` does not hold it.
        """
        holder = self._holder.get(slot)
        if holder != name:
            raise LocalProtocolError(
                f"{name} must hold slot {slot} of {self._node} to use it; its holder is {holder or 'nobody'}"
            )

    def hand_over(self, giver: str, taker: str, slot: SlotId) -> None:
        """Pass ``slot`` from one holder to another."""
        self.must_hold(giver, slot)
        self._holder[slot] = taker

    def leave(self, slot: SlotId) -> None:
        """Its holder has released it; it becomes free when its program has ended."""
        self._holder[slot] = LEAVING

    def free(self, slot: SlotId) -> None:
        """Nobody holds it any more."""
        self._holder[slot] = ""
        self._free[self._role(slot)].add(slot)

    def is_leaving(self, slot: SlotId) -> bool:
        """Whether it waits for the end of its program."""
        return self._holder[slot] == LEAVING

    # ------------------------------------------------------------ waiting

    def want(self, name: str, acquire: Acquire) -> None:
        """Put ``name`` into the line."""
        self._waiting.append((name, acquire))

    def withdraw(self, name: str, token: str) -> None:
        """Take ``name`` out of the line, if it is in it with this token."""
        self._waiting = [
            (who, want) for who, want in self._waiting if who != name or want.token != token
        ]

    def assign(self) -> list[tuple[str, str, SlotId]]:
        """Give free slots to those who wait, first come, first served: (machine, token, slot) of each."""
        given: list[tuple[str, str, SlotId]] = []
        if not self._waiting:
            return given
        still: list[tuple[str, Acquire]] = []
        for name, want in self._waiting:
            slot = self._free_for(name, want)
            if slot is None:
                still.append((name, want))
            else:
                self._holder[slot] = name
                self._free[want.role].discard(slot)
                given.append((name, want.token, slot))
        self._waiting = still
        return given

    def _role(self, slot: SlotId) -> str:
        assert self._platform is not None, "a station has no slots"
        return self._platform.role_of(slot)

    def _next_to(self, slots: Iterable[SlotId]) -> frozenset[SlotId]:
        """Slots that interact with one of these."""
        return frozenset(SlotId(one) for slot in slots for one in self._beside.get(slot, ()))

    def _free_for(self, name: str, want: Acquire) -> SlotId | None:
        """The first free slot that ``name`` may use for what it wants."""
        free = self._free[want.role]
        if want.role == "communication" and name in self._share:
            free = free & self._share[name]
        if want.role == "memory" and name in self._storable:
            free = free & self._storable[name]
        if want.near is not UNSET and self._beside:
            free = free & self._next_to(want.near)
        return min(free, default=None)
