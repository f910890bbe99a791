"""Small honest links are not blamed: reliable messages are carried as in a run, refused features do not count."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import pytest

from qnet.layers import link
from qnet.machine import Indicate, Message, PeerLost, Received, Requested, Send
from qnet.testing.conformance import faults as plans
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.case import SCALE
from qnet.testing.conformance.faults import ALICE, BOB, MessageFault, NodeFault
from qnet.testing.conformance.features import FEATURES, asked, offered
from qnet.testing.conformance.post import PATIENCE
from qnet.testing.conformance.requirement import register
from qnet.testing.conformance.stage import CYCLE, FLIGHTS, other
from qnet.testing.conformance.suite import Target, Wish, run
from qnet.units import Instant
from qnet_protocols.link.egp import PROTOCOL, EgpEnd

DIRECT = sum(FLIGHTS)

# ---------------------------------------------------------------- reliable messages


class Word(Message, frozen=True):
    """A reliable message."""

    kind: ClassVar[str] = "link.talker/word@1"
    number: int


class Whisper(Message, frozen=True):
    """A datagram."""

    kind: ClassVar[str] = "link.talker/whisper@1"
    reliable: ClassVar[bool] = False
    number: int


class Talker:
    """Says as many words and whispers as CREATE wants pairs, and keeps what it hears."""

    def __init__(self, context):
        self.remote = context.remote
        self.words, self.whispers, self.lost = [], [], []

    @property
    def state(self):
        return None

    def next_deadline(self):
        return None

    def handle(self, event, now):
        match event:
            case Requested(link.Create(number=number)):
                said = [kind(k) for k in range(number) for kind in (Word, Whisper)]
                return [Send(self.remote, one) for one in said]
            case Received(message=Word(number)):
                self.words.append(number)
            case Received(message=Whisper(number)):
                self.whispers.append(number)
            case PeerLost():
                self.lost.append((now, event))
        return []


TALKER = replace(PROTOCOL, name="talker", make_end=Talker, messages=(Word, Whisper))
MANY = 30


def talkers(faults=(), explore=0, number=MANY):
    """A bench on which alice speaks at 0."""
    bench = Bench(TALKER, faults=faults, explore=explore)
    bench.create(0, ALICE, "1", number)
    return bench


def at(bench, node):
    return bench.nodes[node].machines["link"]


@pytest.mark.parametrize("profile", ["loss", "duplicate", "reorder", "delay", "stall", "partition"])
def test_reliable_messages_arrive_once_and_in_order_whatever_happens(profile):
    disturbed = 0
    for seed in range(1, 11):
        bench = talkers(plans.draw(profile, seed, SCALE), explore=seed).run()
        assert at(bench, BOB).words == list(range(MANY))
        assert at(bench, ALICE).lost == at(bench, BOB).lost == []
        disturbed += at(bench, BOB).whispers != list(range(MANY))
    assert disturbed >= 3  # the datagrams beside them did suffer


def test_lost_reliable_message_is_repeated_after_two_and_a_half_light_times():
    bench = talkers((MessageFault("lose", ALICE, BOB, 1),), number=1)
    bench.run(3 * DIRECT)
    assert at(bench, BOB).words == []
    bench.run(4 * DIRECT)
    assert at(bench, BOB).words == [0]


def test_news_of_a_restart_comes_once_and_what_was_meant_for_the_old_life_does_not_arrive():
    bench = talkers()
    bench.restart(DIRECT // 2, BOB)
    bench.run()
    (lost,) = at(bench, ALICE).lost
    assert lost == (DIRECT // 2 + DIRECT, PeerLost(BOB, restarted=True))
    assert at(bench, BOB).words == []


def test_channel_works_again_after_a_restart():
    bench = talkers()
    for node in (ALICE, BOB):
        bench.restart(3 * DIRECT, node)
        bench.create(20 * DIRECT, node, f"after-{node}", 4)
    bench.run()
    for node in (ALICE, BOB):
        assert at(bench, node).words == list(range(4))


def test_peer_that_is_cut_off_for_good_is_given_up_after_the_patience_of_a_run():
    gone = NodeFault("partition", BOB, Instant(0), Instant(10**15))
    bench = talkers((gone,)).run()
    (lost,) = at(bench, ALICE).lost
    assert lost[1] == PeerLost(BOB)
    assert PATIENCE <= lost[0] <= 2 * PATIENCE
    assert bench.at_rest


def test_broken_channel_is_told_at_both_ends_once_it_can_be():
    gone = NodeFault("partition", BOB, Instant(0), Instant(2 * PATIENCE))
    bench = talkers((gone,)).run()
    assert [event for _, event in at(bench, ALICE).lost] == [PeerLost(BOB)]
    assert [event for _, event in at(bench, BOB).lost] == [PeerLost(ALICE)]
    assert at(bench, BOB).words == []


def test_datagrams_alone_need_no_courier():
    bench = Bench(PROTOCOL)
    assert [bench.nodes[node].courier for node in (ALICE, BOB)] == [None, None]
    bench.accept()
    bench.create(0, ALICE, "1", 3)
    bench.run()
    assert not any(flight.words == "arrived" for flight in bench.flights)


# ---------------------------------------------------------------- optional features


class Without(EgpEnd):
    """The built-in protocol without some features: their requests are refused with UNSUPP."""

    missing: ClassVar[frozenset[str]] = frozenset()

    def handle(self, event, now):
        match event:
            case Requested(link.Create() as create) if self.refused(create, now):
                code, remote = link.ErrorCode.UNSUPP, create.remote
                words = f"one of {sorted(self.missing)} is wanted"
                return [
                    Indicate(link.Err(create.request, code, True, remote, create.purpose, words))
                ]
        return super().handle(event, now)

    def refused(self, create, now):
        fields = {name: getattr(create, name) for name in create.__struct_fields__}
        return bool(asked(fields) & self.missing)


def without(*features, end=Without):
    """A target that lacks ``features``."""
    name = f"without-{'-'.join(features)}"
    ends = type(name, (end,), {"missing": frozenset(features)})
    return Target(name, replace(PROTOCOL, name=name, make_end=ends))


def verdicts(outcome):
    return {one.requirement.id: one.verdict for one in outcome.judgements}


def test_needs_of_the_register_are_optional_features():
    needed = {name for one in register("link").requirement for name in one.needs}
    assert needed == set(FEATURES)


def test_each_feature_is_found_offered_or_not():
    assert offered(PROTOCOL) == set(FEATURES)
    for name in FEATURES:
        assert offered(without(name).protocol) == set(FEATURES) - {name}


@pytest.mark.parametrize("features", [("M", "R"), ("atomic",), ("max_time", "final", "store")])
def test_link_that_refuses_features_breaks_nothing(features):
    found = run(without(*features), Wish(seeds=1))
    lacking = {
        one.id
        for one in register("link").requirement
        if one.needs and set(one.needs) <= set(features)
    }
    said = verdicts(found)
    assert {said[one] for one in lacking} == {"NOT APPLICABLE"}
    # Its malformed requests that need a refused feature are the only thing that such a wrapper gets wrong.
    assert {one for one, verdict in said.items() if verdict == "FAIL"} <= {"QN-LINK-1.3-1"}
    assert said["QN-LINK-1.3-8"] == "PASS"
    others = {one for one in said if register("link").get(one).needs} - lacking
    assert {said[one] for one in others} == {"PASS"}


class Fickle(Without):
    """Refuses only its first request."""

    asks = 0

    def refused(self, create, now):
        self.asks += 1
        return self.asks == 1 and super().refused(create, now)


def test_link_that_refuses_a_feature_now_and_then_is_broken():
    found = run(without("store", end=Fickle), Wish(only=("QN-LINK-1.3-8",), seeds=1))
    assert verdicts(found)["QN-LINK-1.3-8"] == "FAIL"


class Shy(Without):
    """Refuses with another code."""

    def handle(self, event, now):
        effects = super().handle(event, now)
        return [self.recoded(effect) for effect in effects]

    @staticmethod
    def recoded(effect):
        told = getattr(effect, "indication", None)
        if not isinstance(told, link.Err) or "is wanted" not in told.detail:
            return effect
        code = link.ErrorCode.NORES
        return Indicate(
            link.Err(told.request, code, told.origin, told.remote, told.purpose, told.detail)
        )


def test_another_code_is_no_way_out():
    found = run(without("atomic", end=Shy), Wish(only=("QN-LINK-3.2-2",), seeds=1))
    assert verdicts(found)["QN-LINK-3.2-2"] == "FAIL"


class Busy(Without):
    """Refuses only later: at the beginning of a run it serves."""

    def refused(self, create, now):
        return now > 5 * CYCLE and super().refused(create, now)


def test_feature_that_was_offered_must_be_served_later_too():
    wish = Wish(only=("QN-LINK-1.1-6",), seeds=5)
    assert verdicts(run(without("store", end=Busy), wish))["QN-LINK-1.1-6"] == "FAIL"


def test_order_of_words_is_that_of_sending_on_both_ways():
    bench = Bench(TALKER, explore=3)
    for node in (ALICE, BOB):
        bench.create(0, node, "1", 5)
    bench.run()
    for node in (ALICE, BOB):
        heard = at(bench, other(node)).words
        assert all(one < two for one, two in pairwise(heard))
        assert len(heard) == 5
