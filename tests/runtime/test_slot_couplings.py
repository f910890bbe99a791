"""Slots that do not all interact: a link gets memory beside its communication slots, and the other way round."""

from __future__ import annotations

import msgspec
import pytest

from qnet.hardware import Coupling, Operation
from qnet.ids import NodeId, SlotId
from qnet.machine import Acquire
from qnet.runtime.slots import Slots
from qnet_nodes.ideal import IDEAL

EDGES = ((0, 4), (0, 2), (1, 3))
"""Communication slots 0 and 1, memory slots 2, 3 and 4."""


@pytest.fixture
def slots():
    couplings = tuple(Coupling(edge, Operation(1e-6)) for edge in EDGES)
    return Slots(
        NodeId("alice"),
        msgspec.structs.replace(IDEAL.platform, memory_slots=3, couplings=couplings),
    )


def given(slots, name, *wants):
    for want in wants:
        slots.want(name, want)
    return [int(slot) for _, _, slot in slots.assign()]


def test_a_link_gets_memory_beside_its_own_communication_slots(slots):
    slots.share_out(["link:a", "link:b"])
    assert given(slots, "link:b", Acquire("1", "memory")) == [3]
    assert given(slots, "link:a", Acquire("1", "memory"), Acquire("2", "memory")) == [2, 4]
    assert given(slots, "link:b", Acquire("2", "memory")) == []
    slots.free(SlotId(4))
    assert given(slots, "app", Acquire("3", "memory")) == [4]


def test_a_communication_slot_is_beside_the_memory_that_waits_for_it(slots):
    slots.share_out(["link:a"])
    assert given(slots, "link:a", Acquire("1", near=(SlotId(3),))) == [1]
    assert given(slots, "link:a", Acquire("2", near=(SlotId(3),))) == []
    assert given(slots, "link:a", Acquire("3", near=(SlotId(4), SlotId(3)))) == [0]
    slots.free(SlotId(1))
    assert [int(slot) for _, _, slot in slots.assign()] == [1]


def test_where_all_slots_interact_nearness_says_nothing():
    slots = Slots(NodeId("alice"), IDEAL.platform)
    slots.share_out(["link:a", "link:b"])
    assert given(slots, "link:b", Acquire("1", "memory")) == [2]
    assert given(slots, "link:b", Acquire("2", near=(SlotId(2),))) == [1]


def test_the_field_is_left_out_of_traces_where_nothing_is_said():
    assert b"near" not in msgspec.json.encode(Acquire("1"))
