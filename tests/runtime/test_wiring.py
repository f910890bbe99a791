"""Whose request an indication is about, and who gets which slot."""

from __future__ import annotations

import math

import pytest

from qnet.errors import LocalProtocolError
from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.ids import CircuitId, NodeId, RequestId, SlotId
from qnet.layers.link import Accept, Create, Err, ErrorCode, Expired, StopAccepting
from qnet.layers.network import CircuitUp, OpenCircuit
from qnet.layers.physical import AttemptsStopped
from qnet.machine import Acquire
from qnet.runtime.slots import Slots
from qnet.runtime.wiring import APP, REMEMBERED, Wiring
from qnet.units import Duration

BOB = NodeId("bob")


def create(request: str) -> Create:
    return Create(RequestId(request), BOB, 1, 0.5, Duration(0), 7)


def err(request: str, *, origin: bool = True, purpose: int = 7) -> Err:
    return Err(RequestId(request), ErrorCode.OTHER, origin, BOB, purpose)


@pytest.fixture
def wiring() -> Wiring:
    made = Wiring()
    made.join("link:ab", "physical:ab")
    made.join("network", "link:ab")
    made.join("network", "link:bc")
    return made


def test_an_answer_goes_to_whoever_asked(wiring):
    wiring.asked(APP, "link:ab", create("alice/1"))
    wiring.asked("network", "link:ab", create("alice.net/1"))
    assert wiring.above("link:ab", err("alice/1")) == APP
    assert wiring.above("link:ab", err("alice.net/1")) == "network"


def test_at_the_peer_it_goes_to_whoever_accepts_the_purpose(wiring):
    wiring.asked(APP, "link:ab", Accept(BOB, 7))
    wiring.asked("network", "link:ab", Accept(BOB, 0x8001))
    assert wiring.above("link:ab", err("bob/1", origin=False)) == APP
    assert wiring.above("link:ab", err("bob/2", origin=False, purpose=0x8001)) == "network"
    wiring.asked(APP, "link:ab", StopAccepting(BOB, 7))
    # A request that was met before its purpose was given up stays with its user.
    assert wiring.above("link:ab", err("bob/1", origin=False)) == APP


def test_an_ended_request_is_known_for_a_while(wiring):
    wiring.asked(APP, "link:ab", create("alice/1"))
    wiring.above("link:ab", err("alice/1"))
    late = Expired(RequestId("alice/1"), BOB, 7, ())
    assert wiring.above("link:ab", late) == APP
    for number in range(2, REMEMBERED + 3):
        wiring.asked(APP, "link:ab", create(f"alice/{number}"))
        wiring.above("link:ab", err(f"alice/{number}"))
    assert wiring.above("link:ab", late) == "network"


def test_circuits_belong_to_whoever_opened_them(wiring):
    circuit = CircuitId("alice>bob/1")
    wiring.asked(APP, "network", OpenCircuit(circuit, BOB, 0.5))
    assert wiring.above("network", CircuitUp(circuit, BOB, (), (), 0.9, 1.0)) == APP


def test_what_names_no_request_goes_to_the_only_user(wiring):
    assert wiring.above("physical:ab", AttemptsStopped("x", SlotId(0))) == "link:ab"


def test_a_purpose_has_one_user(wiring):
    wiring.asked(APP, "link:ab", Accept(BOB, 7))
    wiring.asked(APP, "link:ab", Accept(BOB, 7))
    with pytest.raises(
        LocalProtocolError, match="must be accepted by one user of link:ab, app does"
    ):
        wiring.asked("network", "link:ab", Accept(BOB, 7))


@pytest.mark.parametrize("to", ["", "link:zz", "physical:ab"])
def test_a_request_must_name_one_of_several_machines_below(wiring, to):
    with pytest.raises(
        LocalProtocolError, match="must name one of the machines below it, link:ab, link:bc"
    ):
        wiring.below("network", to)


def test_one_machine_below_need_not_be_named(wiring):
    assert wiring.below("link:ab", "") == "physical:ab"
    assert wiring.below("network", "link:bc") == "link:bc"


# ---------------------------------------------------------------- slots


def slots(communication: int, memory: int = 0, links: tuple[str, ...] = ()) -> Slots:
    still = Coherence(math.inf, math.inf)
    op = Operation(1e-6)
    platform = Platform(
        "none", communication, memory, still, still, op, op, op, Readout(1e-6),
        Emission(1e-6, 1.0, 1e-5),
    )  # fmt: skip
    made = Slots(NodeId("alice"), platform)
    made.share_out(links)
    return made


def test_links_have_slots_of_their_own_when_there_are_enough():
    one = slots(3, links=("link:ab", "link:ac"))
    for _ in range(3):
        one.want("link:ab", Acquire("x"))
    one.want("link:ac", Acquire("y"))
    assert one.assign() == [
        ("link:ab", "x", SlotId(0)),
        ("link:ab", "x", SlotId(2)),
        ("link:ac", "y", SlotId(1)),
    ]
    one.free(SlotId(0))
    assert one.assign() == [("link:ab", "x", SlotId(0))]


def test_with_fewer_slots_than_links_the_first_come_is_served_first():
    one = slots(1, links=("link:ab", "link:ac"))
    one.want("link:ac", Acquire("y"))
    one.want("link:ab", Acquire("x"))
    assert one.assign() == [("link:ac", "y", SlotId(0))]
    one.withdraw("link:ab", "x")
    one.free(SlotId(0))
    assert one.assign() == []


def test_memory_is_nobodys_own():
    one = slots(2, 1, links=("link:ab", "link:ac"))
    one.want("link:ac", Acquire("m", "memory"))
    one.want("link:ab", Acquire("m", "memory"))
    assert one.assign() == [("link:ac", "m", SlotId(2))]


def test_only_the_holder_uses_a_slot():
    one = slots(1)
    one.want("link:ab", Acquire("x"))
    one.assign()
    with pytest.raises(
        LocalProtocolError, match="app must hold slot 0 of alice to use it; its holder is link:ab"
    ):
        one.must_hold("app", SlotId(0))
    one.hand_over("link:ab", "app", SlotId(0))
    assert one.holders() == {SlotId(0): "app"}
