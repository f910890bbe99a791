"""Reliable channels over a plane that loses, doubles and overtakes: once, in order, or both ends know."""

from __future__ import annotations

import heapq
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.ids import NodeId
from qnet.machine import PeerLost
from qnet.runtime.courier import REOPENINGS, Arrived, Courier
from qnet.units import Duration, Instant
from qnet.wire.control import Envelope, Post
from qnet.wire.frame import encode_body

ALICE, BOB = NodeId("alice"), NodeId("bob")
WAY = Duration(5_000_000)
PATIENCE = Duration(500_000_000_000)


def body(number: int) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(number))


class Net:
    """Two couriers and a plane between them; ``fate`` gives the extra delays of a message's copies."""

    def __init__(self, fate=lambda _post, _now: (0,)):
        self.fate = fate
        self.now = 0
        self.incarnation = {ALICE: 0, BOB: 0}
        self.couriers = {name: self.courier(name) for name in (ALICE, BOB)}
        self.got: dict[NodeId, list[int]] = {ALICE: [], BOB: []}
        self.lost: dict[NodeId, list[PeerLost]] = {ALICE: [], BOB: []}
        self.sent = 0
        self._heap: list[tuple[int, int, NodeId, Envelope]] = []

    def courier(self, name):
        return Courier(
            incarnation=self.incarnation[name], light_time=lambda _: WAY, patience=PATIENCE
        )

    def restart(self, name):
        self.incarnation[name] += 1
        self.couriers[name] = self.courier(name)

    def send(self, source, number):
        target = BOB if source == ALICE else ALICE
        self._post(
            source, self.couriers[source].send(target, "app.x/y@1", body(number), Instant(self.now))
        )

    def _post(self, source, post: Post):
        self.sent += 1
        envelope = Envelope(
            source, post.kind, 0, Instant(self.now), post.body, post.epoch, post.number,
            self.incarnation[source],
        )  # fmt: skip
        for extra in self.fate(post, self.now):
            heapq.heappush(self._heap, (self.now + WAY + extra, self.sent, post.target, envelope))

    def _handle(self, name, handed):
        self.lost[name] += handed.lost
        self.got[name] += [msgspec.msgpack.decode(one.body) for one in handed.envelopes]
        for post in handed.posts:
            self._post(name, post)

    def run(self, until=10**15):
        """Until nothing is due, at most until ``until``."""
        while True:
            dues = [
                due for one in self.couriers.values() if (due := one.next_deadline()) is not None
            ]
            if self._heap:
                dues.append(self._heap[0][0])
            if not dues or min(dues) > until:
                self.now = min(until, max(self.now, *dues)) if dues else self.now
                return self
            assert min(dues) >= self.now
            self.now = min(dues)
            while self._heap and self._heap[0][0] <= self.now:
                *_, target, envelope = heapq.heappop(self._heap)
                courier = self.couriers[target]
                self.lost[target] += courier.meet(envelope)
                self._handle(target, courier.take(envelope, Instant(self.now)))
            for name, courier in self.couriers.items():
                due = courier.next_deadline()
                if due is not None and due <= self.now:
                    self._handle(name, courier.repeat(Instant(self.now)))


def test_nothing_lost_costs_one_acknowledgement_each():
    net = Net()
    for number in range(3):
        net.send(ALICE, number)
    net.run()
    assert net.got[BOB] == [0, 1, 2]
    assert net.sent == 6
    assert net.lost == {ALICE: [], BOB: []}
    assert net.now == 2 * WAY


@given(seed=st.integers(0, 10**6), count=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_loss_doubling_and_overtaking_leave_every_message_once_and_in_order(seed, count):
    luck = random.Random(seed)

    def fate(_post, _now):
        if luck.random() < 0.2:
            return ()
        copies = 2 if luck.random() < 0.2 else 1
        return tuple(int(luck.random() * 10 * WAY) for _ in range(copies))

    net = Net(fate)
    for number in range(count):
        net.send(ALICE, number)
        net.send(BOB, number)
        net.run(net.now + int(luck.random() * WAY))
    net.run()
    assert net.got == {ALICE: list(range(count)), BOB: list(range(count))}
    assert net.lost == {ALICE: [], BOB: []}


def test_a_partition_shorter_than_the_patience_only_delays():
    net = Net(lambda _post, now: () if now < 100_000_000_000 else (0,))
    net.send(ALICE, 1)
    net.run()
    assert net.got[BOB] == [1]
    assert net.lost == {ALICE: [], BOB: []}
    assert net.now < PATIENCE


def test_a_partition_longer_than_the_patience_is_known_at_both_ends_once():
    heals = 1_000_000_000_000
    net = Net(lambda _post, now: () if now < heals else (0,))
    net.send(ALICE, 1)
    net.run(2 * heals)
    assert net.got == {ALICE: [], BOB: []}
    assert net.lost == {ALICE: [PeerLost(BOB)], BOB: [PeerLost(ALICE)]}
    net.send(ALICE, 2)
    net.send(BOB, 3)
    net.run()
    assert net.got == {ALICE: [3], BOB: [2]}
    assert len(net.lost[ALICE]) == len(net.lost[BOB]) == 1


def test_both_ends_may_break_at_once():
    heals = 700_000_000_000
    net = Net(lambda _post, now: () if now < heals else (0,))
    net.send(ALICE, 1)
    net.send(BOB, 2)
    net.run(2 * heals)
    assert net.lost == {ALICE: [PeerLost(BOB)], BOB: [PeerLost(ALICE)]}
    net.send(BOB, 4)
    net.run()
    assert net.got == {ALICE: [4], BOB: []}


def test_one_way_loss_is_known_at_both_ends():
    """Bob hears Alice, Alice does not hear Bob: after the break both know, whoever noticed."""
    net = Net(lambda post, now: () if post.target == ALICE and now < PATIENCE else (0,))
    net.send(ALICE, 1)
    net.run()
    assert net.got[BOB] == [1]
    assert net.lost == {ALICE: [PeerLost(BOB)], BOB: [PeerLost(ALICE)]}


@pytest.mark.parametrize("talker", [ALICE, BOB])
def test_a_restarted_peer_is_recognised_whoever_speaks_first(talker):
    net = Net()
    net.send(ALICE, 1)
    net.send(BOB, 2)
    net.run()
    net.restart(BOB)
    net.send(talker, 3)
    net.run()
    assert net.lost[ALICE] == [PeerLost(BOB, restarted=True)]
    if talker == BOB:
        assert net.got[ALICE] == [2, 3]
    net.send(ALICE, 4)
    net.send(BOB, 5)
    net.run()
    assert net.got[ALICE][-1] == 5
    assert net.got[BOB][-1] == 4


def test_both_restarted_find_each_other():
    net = Net()
    net.send(ALICE, 1)
    net.run()
    for name in (ALICE, BOB, BOB):
        net.restart(name)
    net.send(ALICE, 2)
    net.run()
    net.send(ALICE, 3)
    net.send(BOB, 4)
    net.run()
    assert net.got[BOB][-1] == 3
    assert net.got[ALICE] == [4]


def test_a_dead_peer_is_announced_to_so_often_and_then_no_more():
    net = Net(lambda _post, _now: ())
    net.send(ALICE, 1)
    net.run()
    assert net.lost[ALICE] == [PeerLost(BOB)]
    assert net.couriers[ALICE].next_deadline() is None
    assert net.sent < 3 * REOPENINGS


def test_every_message_to_a_dead_peer_is_given_up():
    net = Net(lambda _post, _now: ())
    net.send(ALICE, 1)
    net.run(2 * PATIENCE)
    net.send(ALICE, 2)
    net.run()
    assert net.lost[ALICE] == [PeerLost(BOB), PeerLost(BOB)]
    assert net.couriers[ALICE].next_deadline() is None


def test_an_acknowledgement_of_what_was_never_sent_is_ignored():
    courier = Net().couriers[ALICE]
    forged = Envelope(
        BOB, "transport.courier/arrived@1", 0, Instant(0),
        encode_body(Arrived(0, 99)),
    )  # fmt: skip
    handed = courier.take(forged, Instant(0))
    assert (handed.lost, handed.envelopes, handed.posts) == ([], [], [])
