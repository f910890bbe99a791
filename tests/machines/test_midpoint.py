"""Physical machines of a midpoint link, scripted."""

import pytest

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import AttemptId, LinkId, NodeId, OpId, SlotId
from qnet.layers import physical
from qnet.machine import (
    Abort,
    Acquired,
    Applied,
    Attempt,
    DeadlineReached,
    Indicate,
    Observed,
    Received,
    Requested,
    Send,
)
from qnet.seams import EndContext, StationContext
from qnet.testing import script
from qnet.units import Instant
from qnet_protocols.heralding.double_click import SCHEME
from qnet_protocols.heralding.midpoint import (
    KEPT,
    HeraldRefused,
    HeraldReported,
    Idle,
    PhotonsAnnounced,
    Running,
    StationState,
)

from .harness import ALICE, BOB, FLIGHTS, LINK, STATION, context, link_plan

ONE, TWO = AttemptId("alice/1.1"), AttemptId("alice/1.2")
SLOT = SlotId(0)
OP = OpId("physical:alice-bob/1")
LONGER = max(FLIGHTS)
FIRST = link_plan().preparation + LONGER
"""From the start of a run to its first possible click."""
PSI_PLUS, PSI_MINUS = (0, 2), (1, 2)


def start(attempt=ONE, until=None):
    return Requested(physical.StartAttempts(attempt, SLOT, until))


def stop(attempt=ONE):
    return Requested(physical.StopAttempts(attempt))


def report(attempt=ONE, sequence=1, at=10_000_000, label=(1, 0), source=STATION, link=LINK):
    message = HeraldReported(link, attempt, sequence, *label, Instant(at))
    return Received(source, message.kind, message, Instant(at))


def refused(fault="QUEUE_MISMATCH", at=10_000_000, last=0, source=STATION):
    message = HeraldRefused(LINK, fault, ONE, TWO, last, Instant(at))
    return Received(source, message.kind, message, Instant(at))


def started(until=None):
    """An end that began attempts at 100."""
    return script(SCHEME.make_end(context(ALICE))).at(
        100,
        start(until=until),
        Send(STATION, PhotonsAnnounced(LINK, ONE, 1)),
        Attempt(OP, LINK, SLOT, until),
    )


def test_idle_on_start_announces_then_arms():
    started().state(Running(ONE, SLOT, OP, None, 100, 1, 0)).deadline(None)


def test_running_on_herald_tells_and_rests():
    heralded = physical.Heralded(ONE, SLOT, 1, (1, 0), Instant(10_000_000))
    started().at(13_000_000, report(), Indicate(heralded, (SLOT,))).state(Idle(1, 1))


def test_running_on_stop_aborts_and_returns_the_slot_at_once():
    stopped = physical.AttemptsStopped(ONE, SLOT)
    started().at(200, stop(), Abort(OP), Indicate(stopped, (SLOT,))).state(Idle(1, 0))


def test_running_on_stop_of_another_attempt_goes_on():
    started().at(200, stop(TWO)).state(Running(ONE, SLOT, OP, None, 100, 1, 0))


def test_idle_on_stop_ignores_it():
    script(SCHEME.make_end(context(ALICE))).at(5, stop())


def test_running_until_stops_when_no_herald_can_arrive():
    until = 50_000_000
    last = until + LONGER + FLIGHTS[0]
    stopped = physical.AttemptsStopped(ONE, SLOT)
    dialogue = started(until).at(last - 1, DeadlineReached()).deadline(last)
    dialogue.fire(Abort(OP), Indicate(stopped, (SLOT,))).deadline(None)


def test_end_on_deadline_without_one_does_nothing():
    started().at(200, DeadlineReached())
    script(SCHEME.make_end(context(ALICE))).at(200, DeadlineReached())


def test_stopped_on_herald_tells_it_late_once():
    stopped = physical.AttemptsStopped(ONE, SLOT)
    late = Indicate(physical.HeraldedLate(ONE, 1, Instant(10_000_000)))
    dialogue = started().at(200, stop(), Abort(OP), Indicate(stopped, (SLOT,)))
    dialogue.at(13_000_000, report(), late).at(13_000_001, report()).state(Idle(1, 1))


def test_next_run_on_late_herald_goes_on():
    dialogue = started()
    dialogue.give(200, stop())
    dialogue.give(9_000_000, start(TWO))
    late = Indicate(physical.HeraldedLate(ONE, 1, Instant(10_000_000)))
    dialogue.at(13_000_000, report(), late)
    dialogue.state(Running(TWO, SLOT, OpId("physical:alice-bob/2"), None, 9_000_000, 2, 1))


def test_run_used_up_under_another_id_is_refused():
    dialogue = started()
    dialogue.give(200, stop())
    dialogue.give(300, start(TWO))
    at = 300 + FIRST
    dialogue.at(
        at + FLIGHTS[0],
        report(at=at),
        Indicate(physical.HeraldedLate(ONE, 1, Instant(at))),
        Indicate(physical.HeraldRefused(TWO, SLOT, "QUEUE_MISMATCH", 1), (SLOT,)),
    ).state(Idle(2, 1))


def test_heralded_on_repeated_herald_ignores_it():
    dialogue = started()
    dialogue.give(13_000_000, report())
    dialogue.at(13_000_001, report()).state(Idle(1, 1))


def test_running_on_refusal_ends_the_run():
    told = physical.HeraldRefused(ONE, SLOT, "QUEUE_MISMATCH", 4)
    started().at(13_000_000, refused(last=4), Indicate(told, (SLOT,))).state(Idle(1, 4))


def test_running_on_refusal_of_an_earlier_click_goes_on():
    earlier = 100 + FIRST - 1
    started().at(earlier + FLIGHTS[0], refused(at=earlier))


@pytest.mark.parametrize("preparation", [1, 1_000_000])
def test_refusal_heard_in_the_instant_of_a_new_run_is_not_about_it(preparation):
    """No flight: the click, the end of its run, the next one and the refusal all happen at 5000 ps."""
    plan = link_plan(flights=(0, 0), preparation=preparation)
    dialogue = script(SCHEME.make_end(EndContext(ALICE, plan)))
    dialogue.give(0, start())
    dialogue.give(5_000, stop())
    dialogue.give(5_000, start(TWO))
    dialogue.at(5_000, refused(at=5_000))
    at = 5_000 + preparation
    told = physical.HeraldRefused(TWO, SLOT, "QUEUE_MISMATCH", 0)
    dialogue.at(at, refused(at=at), Indicate(told, (SLOT,)))


def test_herald_heard_in_the_instant_of_a_new_run_is_late():
    """The same for a herald, even under the id that the new run has too: its pair is not in that run's slot."""
    plan = link_plan(flights=(0, 0), preparation=1)
    dialogue = script(SCHEME.make_end(EndContext(ALICE, plan)))
    dialogue.give(0, start())
    dialogue.give(5_000, stop())
    dialogue.give(5_000, start(ONE))
    late = physical.HeraldedLate(ONE, 1, Instant(5_000))
    dialogue.at(5_000, report(at=5_000), Indicate(late))


def test_station_takes_no_run_for_that_of_a_click_in_the_instant_of_its_start():
    plan = link_plan(flights=(0, 0), preparation=1)
    dialogue = script(SCHEME.make_station(StationContext(plan)))
    for source in (ALICE, BOB):
        dialogue.give(0, announce(ONE, 1, 0, source))
    dialogue.give(5_000, Observed(LINK, PSI_PLUS, Instant(5_000)))
    dialogue.give(5_000, announce(TWO, 2, 5_000))
    dialogue.fire(*to_both(HeraldReported(LINK, ONE, 1, 1, 0, Instant(5_000))))


def test_idle_on_refusal_ignores_it():
    script(SCHEME.make_end(context(ALICE))).at(13_000_000, refused())


def test_end_can_start_again_after_each_ending():
    dialogue = started()
    dialogue.give(13_000_000, report())
    op = OpId("physical:alice-bob/2")
    announced = Send(STATION, PhotonsAnnounced(LINK, TWO, 2))
    dialogue.at(14_000_000, start(TWO), announced, Attempt(op, LINK, SLOT, None))


@pytest.mark.parametrize(
    ("event", "error", "words"),
    [
        (start(TWO), LocalProtocolError, "must not start before"),
        (report(source=BOB), RemoteProtocolError, "must come from station station"),
        (report(link=LinkId("x")), RemoteProtocolError, "be about this link"),
        (report(label=(2, 0)), RemoteProtocolError, "herald_reported@1 from station"),
        (refused(source=BOB), RemoteProtocolError, "must come from station station"),
        (
            Received(STATION, "odd@1", PhotonsAnnounced(LINK, ONE, 1), Instant(0)),
            RemoteProtocolError,
            "odd@1 from station",
        ),
        (Applied(OP, ()), LocalProtocolError, "must not arrive"),
    ],
)
def test_end_refuses_the_impossible(event, error, words):
    started().refuses(13_000_000, event, error, words)


def test_end_refuses_until_in_the_past():
    dialogue = script(SCHEME.make_end(context(ALICE)))
    dialogue.refuses(100, start(until=Instant(100)), LocalProtocolError, "must be after 100 ps")


# ---------------------------------------------------------------- station


def announce(attempt, run=1, sent_at=0, source=ALICE, link=LINK):
    message = PhotonsAnnounced(link, attempt, run)
    return Received(source, message.kind, message, Instant(sent_at))


def both(attempt_a=ONE, attempt_b=ONE):
    dialogue = script(SCHEME.make_station(StationContext(link_plan())))
    dialogue.at(FLIGHTS[0], announce(attempt_a))
    return dialogue.at(FLIGHTS[1], announce(attempt_b, source=BOB))


def to_both(message):
    return [Send(ALICE, message), Send(BOB, message)]


@pytest.mark.parametrize(
    ("pattern", "label"),
    [((0, 2), (1, 0)), ((1, 3), (1, 0)), ((0, 3), (1, 1)), ((1, 2), (1, 1))],
)
def test_station_on_click_numbers_and_labels(pattern, label):
    at = 20_000_000
    dialogue = both().at(at, Observed(LINK, pattern, Instant(at))).deadline(at)
    dialogue.fire(*to_both(HeraldReported(LINK, ONE, 1, *label, Instant(at)))).deadline(None)
    dialogue.state(StationState(last_runs=(1, 1), last_sequence=1))


def test_station_counts_reported_heralds_only():
    dialogue = both()
    for sequence in (1, 2):
        at = sequence * 20_000_000
        dialogue.at(at, Observed(LINK, PSI_MINUS, Instant(at)))
        dialogue.fire(*to_both(HeraldReported(LINK, ONE, sequence, 1, 1, Instant(at))))
        dialogue.at(at + 1, Observed(LINK, PSI_PLUS, Instant(at + 1)))
        fault = HeraldRefused(LINK, "NO_CLASSICAL_OTHER", None, None, sequence, Instant(at + 1))
        dialogue.fire(*to_both(fault))
        dialogue.give(at + 2, announce(ONE, sequence + 1, at + 2 - LONGER))
        dialogue.give(at + 2, announce(ONE, sequence + 1, at + 2 - LONGER, BOB))


def test_station_on_different_ids_refuses():
    at = 20_000_000
    fault = HeraldRefused(LINK, "QUEUE_MISMATCH", ONE, TWO, 0, Instant(at))
    both(ONE, TWO).at(at, Observed(LINK, PSI_PLUS, Instant(at))).fire(*to_both(fault))


def test_station_on_one_silent_end_refuses():
    at = 20_000_000
    fault = HeraldRefused(LINK, "NO_CLASSICAL_OTHER", None, ONE, 0, Instant(at))
    dialogue = script(SCHEME.make_station(StationContext(link_plan()))).at(
        FLIGHTS[1], announce(ONE, source=BOB)
    )
    dialogue.at(at, Observed(LINK, PSI_PLUS, Instant(at))).fire(*to_both(fault))


def test_station_waits_for_an_announcement_of_the_same_instant():
    dialogue = script(SCHEME.make_station(StationContext(link_plan()))).at(
        FIRST, announce(ONE, source=BOB)
    )
    dialogue.at(FIRST, Observed(LINK, PSI_PLUS, Instant(FIRST))).at(FIRST, announce(ONE))
    dialogue.fire(*to_both(HeraldReported(LINK, ONE, 1, 1, 0, Instant(FIRST))))


def test_station_matches_the_ids_in_force_at_emission():
    """The nearer end starts anew while a photon is under way; both announcements are here."""
    restarted = 10_000_000
    click = restarted + FIRST - 1
    dialogue = both().at(restarted + FLIGHTS[0], announce(TWO, 2, restarted))
    dialogue.at(click, Observed(LINK, PSI_PLUS, Instant(click)))
    dialogue.fire(*to_both(HeraldReported(LINK, ONE, 1, 1, 0, Instant(click))))
    dialogue.give(click + 1, announce(TWO, 2, restarted, BOB))
    dialogue.at(30_000_000, Observed(LINK, PSI_PLUS, Instant(30_000_000)))
    dialogue.fire(*to_both(HeraldReported(LINK, TWO, 2, 1, 0, Instant(30_000_000))))


def test_station_keeps_few_announcements():
    dialogue = both()
    for run in range(2, 50):
        dialogue.at(run * 10_000_000, announce(TWO, run, run * 10_000_000 - FLIGHTS[0]))
    assert len(dialogue.machine.state.announced[0]) == KEPT


def test_station_that_stood_still_judges_each_click_by_its_own_instant():
    """Two runs, each with its click, are heard of at one instant, messages first."""
    clicks, late = (20_000_000, 40_000_000), 10**9
    dialogue = script(SCHEME.make_station(StationContext(link_plan())))
    for run, attempt, at in ((1, ONE, clicks[0]), (2, TWO, clicks[1])):
        for source in (ALICE, BOB):
            dialogue.at(late, announce(attempt, run, at - FIRST, source))
    for at in clicks:
        dialogue.at(late, Observed(LINK, PSI_PLUS, Instant(at)))
    first, second = (
        to_both(HeraldReported(LINK, attempt, sequence, 1, 0, Instant(at)))
        for sequence, (attempt, at) in enumerate(zip((ONE, TWO), clicks, strict=True), 1)
    )
    dialogue.deadline(late).fire(*first, *second).deadline(None)
    dialogue.state(StationState(last_runs=(2, 2), last_sequence=2))


def test_station_on_repeated_announcement_ignores_it():
    dialogue = both()
    dialogue.at(20_000_000, Observed(LINK, PSI_PLUS, Instant(20_000_000)))
    dialogue.give(20_000_000, DeadlineReached())
    before = dialogue.machine.state
    dialogue.at(21_000_000, announce(ONE)).state(before)


def test_station_on_deadline_without_click_does_nothing():
    both().at(20_000_000, DeadlineReached())


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (announce(ONE, source=NodeId("eve")), RemoteProtocolError),
        (announce(ONE, link=LinkId("x")), RemoteProtocolError),
        (report(), RemoteProtocolError),
        (Observed(LINK, (0, 1), Instant(19_999_999)), LocalProtocolError),
        (Observed(LinkId("x"), PSI_PLUS, Instant(19_999_999)), LocalProtocolError),
        (Acquired("x", SLOT), LocalProtocolError),
    ],
)
def test_station_refuses_the_impossible(event, error):
    both().refuses(20_000_000, event, error, "must not arrive")


def test_station_refuses_two_clicks_at_a_time():
    dialogue = both().at(20_000_000, Observed(LINK, PSI_PLUS, Instant(20_000_000)))
    dialogue.refuses(20_000_000, Observed(LINK, PSI_PLUS, Instant(20_000_000)), LocalProtocolError)


def test_message_kinds_are_listed():
    assert [message.kind for message in SCHEME.messages] == [
        "physical.midpoint/photons_announced@1",
        "physical.midpoint/herald_reported@1",
        "physical.midpoint/herald_refused@1",
    ]
