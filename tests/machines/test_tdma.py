"""Time bins: whose they are, when photons leave in them, and that the model of egp holds with them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.errors import ConfigError
from qnet.ids import RequestId
from qnet.layers import link as service
from qnet.units import Duration, Instant
from qnet_protocols.link.admission import Timing
from qnet_protocols.link.messages import Close, Void
from qnet_protocols.link.queue import Agreed, Progress, Terms
from qnet_protocols.link.tdma import PROTOCOL, Bins

from . import test_egp_model as model
from .harness import ALICE, BOB, CYCLE, FLIGHTS, Net, context, link_plan

LENGTH, GUARD = 1_000, 200


def entry(number, *, start=0, priority=1, pairs=4, served=0, consecutive=False):
    terms = Terms(
        RequestId(f"alice/{number}"),
        True,
        pairs,
        7,
        Instant(0),
        None,
        priority=priority,
        consecutive=consecutive,
    )
    return Agreed(terms, number, Instant(start), progress=Progress(served))


def bins(weights=()):
    return Bins(length=Duration(LENGTH), guard=Duration(GUARD), weights=weights)


def owners(schedule, entries, count=12):
    return [schedule.owner(k, entries).number for k in range(1, count + 1)]


def test_requests_take_turns_bin_by_bin():
    assert owners(bins(), [entry(1), entry(2), entry(3)], 6) == [2, 3, 1, 2, 3, 1]


def test_weights_give_so_many_bins_of_a_frame_spread_evenly():
    found = owners(bins((3, 1)), [entry(1, priority=0), entry(2)], 8)
    assert found == [1, 2, 1, 1, 1, 2, 1, 1]


def test_request_has_no_bin_that_began_before_it_started():
    late = entry(2, start=3 * LENGTH + 1)
    assert owners(bins(), [entry(1), late], 5) == [1, 1, 1, 1, 2]


def test_request_that_is_served_out_has_no_bin():
    turn = bins().next([entry(1, pairs=2, served=2)], Instant(0), Instant(0))
    assert turn is None


def test_request_that_must_not_be_divided_keeps_its_bins():
    begun = entry(1, served=1, consecutive=True)
    assert owners(bins(), [begun, entry(2)], 4) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("boundary", "now", "begin"),
    [
        (0, 0, 0),
        (0, 799, 0),
        (0, 800, 1_000),
        (300, 300, 300),
        (850, 820, 1_000),
        (1_100, 900, 1_100),
    ],
)
def test_turn_lies_in_the_part_of_a_bin_before_its_guard(boundary, now, begin):
    turn = bins().next([entry(1)], Instant(boundary), Instant(now))
    assert turn.begin == begin
    assert turn.end == begin // LENGTH * LENGTH + LENGTH - GUARD


def test_bin_without_room_for_an_attempt_is_refused():
    with pytest.raises(ConfigError, match="bin_s"):
        PROTOCOL.make_end(context(ALICE, protocol_parameters={"bin_s": 25e-6}))


def interleaved(bin_cycles, **weights):
    length_s = bin_cycles * CYCLE * 1e-12
    net = Net(protocol="tdma", protocol_parameters={"bin_s": length_s, **weights})
    net.accept()
    for k in range(3):
        net.create(0, ALICE, str(k), 12, priority=k)
    net.run().verify()
    return net, int(bin_cycles * CYCLE)


def test_pairs_of_a_request_are_made_in_its_bins():
    net, length = interleaved(4)
    clicks = {}
    for ok in net.heard(ALICE, service.Ok):
        emitted = ok.created_at - max(FLIGHTS)
        assert emitted % length < length - 2 * max(FLIGHTS)
        assert clicks.setdefault(emitted // length, ok.request) == ok.request
    first = [clicks[k].removeprefix("alice/") for k in sorted(clicks)][:6]
    assert first[:3] == first[3:]
    assert set(first[:3]) == {"0", "1", "2"}
    assert not net.messages((Close, Void))


def test_change_of_bins_loses_no_pair():
    """The luck of the optics puts clicks right before the end of the bins."""
    for cycles in (3, 4, 5, 7):
        net, _ = interleaved(cycles, weights=(2, 1, 1))
        assert len(net.announced(ALICE)) == 36
        assert not net.messages((Close, Void))


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    st.lists(model.creates, min_size=1, max_size=5),
    st.lists(model.cancels, max_size=3),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.integers(0, 2**32),
    st.sampled_from((0, CYCLE)),
    st.tuples(*(st.sampled_from((0.0, 0.05, 0.2)) for _ in range(3))),
    st.sampled_from((0.0, 4.0, 10.0)),
)
def test_model_of_bins_over_faulty_channels(creates, cancels, slots, seed, hold, rates, cycles):
    wanted = {"bin_s": cycles * CYCLE * 1e-12, "weights": (2,)}
    model.play(creates, cancels, [], slots, seed, hold, rates, wanted, protocol="tdma")


def test_protocols_share_their_messages():
    plan = link_plan(protocol="tdma")
    assert plan.protocol == PROTOCOL.name
    assert {message.kind.partition("/")[0] for message in PROTOCOL.messages} == {"link.egp"}


@pytest.mark.parametrize("slow", [0, 3, 7])
def test_end_without_slot_at_the_end_of_a_bin(slow):
    """The news that the peer has no slot comes while the last photons of a bin are under way."""
    for bob in (0, 5):
        holds = {ALICE: slow * CYCLE, BOB: bob * CYCLE + 1}
        net = Net(protocol="tdma", hold=lambda node, ok, holds=holds: holds[node])
        net.accept()
        net.create(0, ALICE, "1", 15)
        net.create(0, BOB, "2", 15)
        net.run().verify()
        assert len(net.announced(ALICE)) == 30


@pytest.mark.parametrize(("held", "cycles"), [(65, 4), (65, 50), (100, 50)])
def test_time_without_a_slot_is_not_silence_of_the_peer(held, cycles):
    """Bins pass by while the user of one end keeps what it has; nothing was asked of the peer meanwhile."""
    wanted = {"bin_s": cycles * CYCLE * 1e-12}
    wait = Timing.of(context(ALICE)).ask_wait
    net = Net(
        protocol="tdma",
        protocol_parameters=wanted,
        hold=lambda node, ok: held * wait if node == ALICE else 1,
    )
    net.accept()
    net.create(0, ALICE, "1", 3)
    net.create(0, BOB, "2", 3)
    net.run(steps=200_000).verify()
    assert len(net.announced(ALICE)) == 6
    assert not net.messages((Close,))
