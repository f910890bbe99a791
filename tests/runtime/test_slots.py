"""A machine of a hundred slots: a million allocations and releases, and nothing leaks."""

from __future__ import annotations

import random

import msgspec
import pytest

from qnet.ids import NodeId, SlotId
from qnet.machine import Acquire
from qnet.runtime.slots import Slots
from qnet_nodes.ideal import IDEAL

COMMUNICATION, MEMORY = 8, 92
LINKS = ("link:a", "link:b", "link:c", "link:d")


@pytest.mark.slow
@pytest.mark.slow
def test_a_million_allocations_leave_nothing_behind() -> None:
    """Four links and the application take, hand over, withdraw and release at random."""
    platform = msgspec.structs.replace(
        IDEAL.platform, communication_slots=COMMUNICATION, memory_slots=MEMORY
    )
    slots = Slots(NodeId("tempo"), platform)
    slots.share_out(LINKS)
    luck = random.Random(4)
    held: list[tuple[str, SlotId]] = []
    waiting: dict[str, str] = {}
    taken = released = asked = 0
    while taken < 1_000_000:
        for name, token, slot in slots.assign():
            assert waiting.pop(token) == name
            held.append((name, slot))
            taken += 1
        choice = luck.random()
        if choice < 0.45 and len(waiting) < 4:
            asked += 1
            name, token = luck.choice(LINKS), f"t{asked}"
            waiting[token] = name
            slots.want(name, Acquire(token, luck.choice(("communication", "memory"))))
        elif choice < 0.46 and waiting:
            token = luck.choice(list(waiting))
            slots.withdraw(waiting.pop(token), token)
        elif held:
            index = luck.randrange(len(held))
            name, slot = held[index]
            if choice < 0.5 and name != "app":
                slots.hand_over(name, "app", slot)
                held[index] = ("app", slot)
            else:
                slots.must_hold(name, slot)
                if choice < 0.7:
                    slots.leave(slot)
                    assert slots.is_leaving(slot)
                slots.free(slot)
                held[index] = held[-1]
                held.pop()
                released += 1
        if luck.random() < 1e-4:
            assert slots.holders() == {slot: name for name, slot in held}
    assert taken == released + len(held)
    for name, slot in held:
        slots.must_hold(name, slot)
        slots.free(slot)
    assert slots.holders() == {}
