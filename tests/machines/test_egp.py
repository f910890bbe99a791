"""Link machine of one end, scripted: agreement, generation, endings, and what it refuses."""

import pytest

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import AttemptId, LinkId, OpId, RequestId, SlotId
from qnet.layers import link, physical
from qnet.layers.link import ErrorCode
from qnet.machine import (
    Acquire,
    Acquired,
    Applied,
    Apply,
    DeadlineReached,
    Indicate,
    Indicated,
    Observed,
    Received,
    Release,
    Request,
    Requested,
    Send,
    Withdraw,
)
from qnet.plan import Estimate
from qnet.program import Gate, Program
from qnet.testing import script
from qnet.units import Duration, Instant
from qnet_protocols.link.admission import QUEUE_LIMIT, Timing
from qnet_protocols.link.agreement import PROPOSE_TRIES
from qnet_protocols.link.closing import CLOSE_TRIES
from qnet_protocols.link.egp import PROTOCOL
from qnet_protocols.link.generation import Attempting, Delivering, Resting, Waiting
from qnet_protocols.link.messages import (
    Accepted,
    Close,
    Closed,
    CompareProgress,
    Propose,
    Rejected,
    Void,
    VoidHeard,
)
from qnet_protocols.link.queue import MEMORY_LIMIT, Ended, Progress, Queue
from qnet_protocols.link.turns import SILENCE

from .harness import ALICE, BOB, CYCLE, FLIGHTS, LINK, STATION, context

DIRECT = sum(FLIGHTS)
HANDSHAKE = 2 * DIRECT
TIMING = Timing.of(context(ALICE))
WAIT = TIMING.answer_wait
DELIVERY = max(FLIGHTS) + 300_000
SLOT = SlotId(0)
MADE = 50_000_000 + DELIVERY
"""End of the turn of a pair that clicked at 50 us."""
OURS, THEIRS = RequestId("alice/1"), RequestId("bob/1")


def end(node=ALICE, **changes):
    return script(PROTOCOL.make_end(context(node, **changes)))


def create(request=OURS, remote=BOB, number=1, fidelity=0.5, max_time=0, purpose=7):
    return Requested(link.Create(request, remote, number, fidelity, Duration(max_time), purpose))


def propose(request=OURS, pairs=1, at=0, max_time=0, number=1, start=HANDSHAKE, purpose=7):
    return Propose(LINK, request, pairs, purpose, at, max_time, number, start)


def got(message, source=BOB, sent_at=0):
    return Received(source, message.kind, message, Instant(sent_at))


def told(indication, *slots):
    return Indicate(indication, slots)


def err(request, code, origin=True, detail="", remote=BOB, purpose=7):
    return told(link.Err(request, code, origin, remote, purpose, detail))


def pairs(first, last):
    return tuple(f"{LINK}#{k}" for k in range(first, last + 1))


def ended(request, delivered, cancelled=False, origin=True, remote=BOB):
    return told(link.RequestEnded(request, origin, remote, 7, delivered, cancelled))


def token(request=OURS, index=1):
    return f"{LINK}:{request}.{index}"


def attempts(request=OURS, index=1, until=None):
    return Request(physical.StartAttempts(AttemptId(f"{request}.{index}"), SLOT, until))


def stop(request=OURS, index=1):
    return Request(physical.StopAttempts(AttemptId(f"{request}.{index}")))


def stopped(request=OURS, index=1):
    return Indicated(physical.AttemptsStopped(AttemptId(f"{request}.{index}"), SLOT))


def herald(sequence=1, at=50_000_000, label=(0, 0), request=OURS, index=1):
    attempt = AttemptId(f"{request}.{index}")
    return Indicated(physical.Heralded(attempt, SLOT, sequence, label, Instant(at)))


def refusal(last=0, request=OURS, index=1):
    attempt = AttemptId(f"{request}.{index}")
    return Indicated(physical.HeraldRefused(attempt, SLOT, "QUEUE_MISMATCH", last))


def close(reason, delivered=0, last=0, request=OURS, boundary=0):
    return Close(LINK, request, reason, delivered, last, Instant(boundary))


def closed(delivered=0, last=0, request=OURS, boundary=0):
    return Closed(LINK, request, delivered, last, Instant(boundary))


def void(index, boundary=0, request=OURS):
    return Void(LINK, request, index, Instant(boundary))


def ok(at, clicked_at, pair=1, index=1, request=OURS, origin=True, remote=BOB, since=0):
    return told(
        link.Ok(
            request,
            f"{LINK}#{pair}",
            index,
            origin,
            remote,
            7,
            SLOT,
            (0, 0),
            0.94,
            0.005,
            Instant(at),
            Instant(clicked_at),
            Instant(since),
            (0.92, 0.92, 0.92),
        ),
        SLOT,
    )


def agreed(number=1, max_time=0):
    """Alice's request is agreed; she asks for a slot at its start."""
    first = propose(pairs=number, max_time=max_time)
    dialogue = end().at(0, create(number=number, max_time=max_time), Send(BOB, first))
    answer = got(Accepted(LINK, OURS, 1, Instant(HANDSHAKE)))
    return dialogue.at(HANDSHAKE, answer, Acquire(token()))


def attempting(number=1, max_time=0):
    until = max_time - max(FLIGHTS) - DELIVERY if max_time else None
    return agreed(number, max_time).at(HANDSHAKE, Acquired(token(), SLOT), attempts(until=until))


def delivering(number=1):
    return attempting(number).at(53_000_000, herald())


# ---------------------------------------------------------------- CREATE


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"remote": ALICE}, ErrorCode.CREATE, "remote must be bob, got alice"),
        ({"remote": "carol"}, ErrorCode.CREATE, "remote must be bob, got carol"),
        ({"number": 0}, ErrorCode.CREATE, "number must be >= 1, got 0"),
        ({"fidelity": 1.5}, ErrorCode.CREATE, "0 <= F <= 1, got 1.5"),
        ({"fidelity": float("nan")}, ErrorCode.CREATE, "got nan"),
        ({"max_time": -1}, ErrorCode.CREATE, "max_time must be >= 0 ps, got -1"),
        ({"fidelity": 0.95}, ErrorCode.UNSUPP, "<= 0.940000, the goodness"),
        ({"max_time": HANDSHAKE - 1}, ErrorCode.UNSUPP, "agreement, 1 cycles"),
        ({"max_time": 2 * CYCLE, "number": 3}, ErrorCode.UNSUPP, "agreement, 3 cycles"),
    ],
)
def test_create_refused(changes, code, words):
    dialogue = end()
    (effect,) = dialogue.give(0, create(**changes))
    assert effect.indication.code == code
    assert words in effect.indication.detail
    dialogue.deadline(None)


def test_create_on_dead_link_is_unsupported():
    dead = Estimate(0.0, Duration(CYCLE), 0.95, 0.94, 0.005, 0.0, (0.92, 0.92, 0.92))
    detail = "link alice-bob never succeeds (rate 0)"
    end(estimate=dead).at(0, create(), err(OURS, ErrorCode.UNSUPP, detail=detail))


def test_create_behind_long_queue_is_in_no_time():
    dialogue = end()
    dialogue.give(0, create(number=10))
    mean = TIMING.mean_pair
    detail = f"max_time must be >= {10 * mean} ps for the 10 pairs ahead, got {10 * mean - 1}"
    late = create(RequestId("alice/2"), max_time=10 * mean - 1)
    dialogue.at(0, late, err(RequestId("alice/2"), ErrorCode.NOTIME, detail=detail))
    assert len(dialogue.give(0, create(RequestId("alice/3"), max_time=10 * mean))) == 1


def test_create_on_full_queue_has_no_resources():
    dialogue = end()
    for k in range(QUEUE_LIMIT):
        dialogue.give(0, create(RequestId(f"alice/{k}")))
    detail = "queue of alice-bob must hold <= 64 requests"
    dialogue.at(0, create(RequestId("x")), err(RequestId("x"), ErrorCode.NORES, detail=detail))


def test_create_with_used_id_is_refused():
    dialogue = end()
    dialogue.give(0, create())
    dialogue.refuses(1, create(), LocalProtocolError, "request id must be new")


# ---------------------------------------------------------------- agreement


def test_slave_proposes_without_a_number_and_learns_it():
    bare = propose(THEIRS, number=None, start=None)
    start = Instant(20_000_000)
    dialogue = end(BOB).at(0, create(THEIRS, ALICE), Send(ALICE, bare)).deadline(WAIT)
    dialogue.at(HANDSHAKE, got(Accepted(LINK, THEIRS, 1, start), ALICE)).deadline(start)
    dialogue.fire(Acquire(token(THEIRS)))


def test_master_numbers_the_slaves_proposal():
    bare = propose(THEIRS, number=None, start=None)
    start = Instant(2 * DIRECT)
    dialogue = end().at(0, Requested(link.Accept(BOB, 7)))
    dialogue.at(DIRECT, got(bare), Send(BOB, Accepted(LINK, THEIRS, 1, start))).deadline(start)


def test_repeated_proposal_is_answered_again_and_queued_once():
    answer = Send(ALICE, Accepted(LINK, OURS, 1, Instant(HANDSHAKE)))
    dialogue = end(BOB).at(0, Requested(link.Accept(ALICE, 7)))
    dialogue.at(DIRECT, got(propose(), ALICE), answer)
    dialogue.at(DIRECT + 1, got(propose(), ALICE), answer)
    assert dialogue.machine.state.open == 1
    finish = got(close("cancelled"), ALICE)
    dialogue.give(DIRECT + 2, finish)
    dialogue.at(DIRECT + 3, got(propose(), ALICE), answer)
    assert dialogue.machine.state.open == 0


@pytest.mark.parametrize("prepare", [[], [link.Accept(ALICE, 7), link.StopAccepting(ALICE, 7)]])
def test_peer_rejects_without_accept_and_remembers(prepare):
    dialogue = end(BOB)
    for request in prepare:
        dialogue.at(0, Requested(request))
    answer = Rejected(LINK, OURS, ErrorCode.REJECTED, "bob does not accept purpose 7")
    for at in (DIRECT, DIRECT + 1):
        dialogue.at(at, got(propose(), ALICE), Send(ALICE, answer)).deadline(None)


def test_rejection_does_not_block_later_numbers():
    dialogue = end(BOB)
    dialogue.give(DIRECT, got(propose(), ALICE))
    dialogue.at(DIRECT, Requested(link.Accept(ALICE, 7)))
    second = propose(RequestId("alice/2"), number=2)
    dialogue.give(DIRECT, got(second, ALICE))
    dialogue.deadline(HANDSHAKE)


def test_peer_rejects_a_proposal_after_its_deadline():
    late = propose(max_time=DIRECT)
    detail = f"the proposal came after its deadline, {DIRECT} ps"
    answer = Rejected(LINK, OURS, ErrorCode.TIMEOUT, detail)
    dialogue = end(BOB).at(0, Requested(link.Accept(ALICE, 7)))
    dialogue.at(DIRECT, got(late, ALICE), Send(ALICE, answer))


def test_peer_with_full_queue_has_no_resources():
    dialogue = end(BOB).at(0, Requested(link.Accept(ALICE, 7)))
    for k in range(QUEUE_LIMIT):
        dialogue.give(DIRECT, got(propose(RequestId(f"alice/{k}"), number=k + 1), ALICE))
    (effect,) = dialogue.give(DIRECT, got(propose(RequestId("x"), number=65), ALICE))
    assert effect.message.code == ErrorCode.NORES


def test_origin_on_rejection_says_err():
    dialogue = end()
    dialogue.give(0, create())
    message = Rejected(LINK, OURS, ErrorCode.REJECTED, "no")
    dialogue.at(HANDSHAKE, got(message), err(OURS, ErrorCode.REJECTED, detail="no"))
    dialogue.at(HANDSHAKE + 1, got(message)).deadline(None)


def test_proposal_is_repeated_then_given_up():
    dialogue = end().at(0, create(), Send(BOB, propose())).deadline(WAIT)
    for _ in range(PROPOSE_TRIES - 1):
        dialogue.fire(Send(BOB, propose()))
    dialogue.deadline(PROPOSE_TRIES * WAIT)
    silent = err(OURS, ErrorCode.OTHER, detail="bob does not answer")
    dialogue.fire(silent, Send(BOB, close("no_answer")))
    late = got(Accepted(LINK, OURS, 1, Instant(HANDSHAKE)))
    dialogue.at(PROPOSE_TRIES * WAIT + 1, late)
    assert dialogue.machine.state.generation == Resting()


def test_close_is_repeated_with_growing_waits_then_given_up():
    dialogue = end()
    dialogue.give(0, create())
    dialogue.at(
        0,
        Requested(link.Cancel(OURS)),
        ended(OURS, 0, cancelled=True),
        Send(BOB, close("cancelled")),
    )
    due = 0
    for tries in range(1, CLOSE_TRIES):
        due += WAIT << (tries - 1)
        dialogue.deadline(due).fire(Send(BOB, close("cancelled")))
    dialogue.fire().deadline(None)


def test_two_proposals_are_resent_each_at_its_time():
    dialogue = end()
    dialogue.give(0, create())
    second = propose(RequestId("alice/2"), at=10, number=2, start=10 + HANDSHAKE)
    dialogue.at(10, create(RequestId("alice/2")), Send(BOB, second))
    dialogue.deadline(WAIT).fire(Send(BOB, propose())).deadline(WAIT + 10).fire(Send(BOB, second))


def test_two_closes_are_resent_each_at_its_time():
    dialogue = end()
    for k in (1, 2):
        request = RequestId(f"alice/{k}")
        dialogue.give(k, create(request))
        dialogue.give(k, Requested(link.Cancel(request)))
    dialogue.deadline(WAIT + 1).fire(Send(BOB, close("cancelled")))
    dialogue.fire(Send(BOB, close("cancelled", request=RequestId("alice/2"))))


def test_agreement_heard_of_late_changes_the_turn():
    """Bob attempts for the second request until he hears that the first was agreed before it."""
    first, second = RequestId("bob/1"), RequestId("bob/2")
    dialogue = end(BOB)
    dialogue.give(0, create(first, ALICE))
    dialogue.give(0, create(second, ALICE))
    heard = got(Accepted(LINK, second, 2, Instant(HANDSHAKE)), ALICE)
    dialogue.at(HANDSHAKE, heard, Acquire(token(second)))
    dialogue.at(HANDSHAKE, Acquired(token(second), SLOT), attempts(second))
    late = got(Accepted(LINK, first, 1, Instant(HANDSHAKE)), ALICE)
    dialogue.at(2 * HANDSHAKE, late, stop(second), Acquire(token(first)))
    dialogue.at(2 * HANDSHAKE, stopped(second), Release(SLOT))
    dialogue.at(2 * HANDSHAKE, Acquired(token(first), SLOT), attempts(first))


def test_repeated_acceptance_is_ignored():
    attempting().at(HANDSHAKE, got(Accepted(LINK, OURS, 1, Instant(HANDSHAKE))))


# ---------------------------------------------------------------- generation


def test_origin_delivers_phi_plus_at_the_common_instant():
    due = MADE
    dialogue = attempting().at(53_000_000, herald()).deadline(due)
    dialogue.fire(ok(due, 50_000_000), ended(OURS, 1)).deadline(None)


@pytest.mark.parametrize(("label", "gate"), [((1, 0), "X"), ((0, 1), "Z"), ((1, 1), "Y")])
def test_origin_corrects_with_one_gate(label, gate):
    op, due = OpId("link:alice-bob/1"), MADE
    apply = Apply(op, Program((Gate(gate, (SLOT,)),)))
    dialogue = attempting().at(53_000_000, herald(label=label), apply).deadline(None)
    dialogue.at(53_200_000, Applied(op, ())).deadline(due)
    dialogue.fire(ok(due, 50_000_000), ended(OURS, 1))


def test_peer_never_corrects():
    dialogue = end(BOB).at(0, Requested(link.Accept(ALICE, 7)))
    dialogue.give(DIRECT, got(propose(), ALICE))
    dialogue.fire(Acquire(token()))
    dialogue.at(HANDSHAKE, Acquired(token(), SLOT), attempts())
    dialogue.at(55_000_000, herald(label=(1, 1))).deadline(MADE)
    delivered = ok(MADE, 50_000_000, origin=False, remote=ALICE)
    dialogue.fire(delivered, ended(OURS, 1, origin=False, remote=ALICE))


def test_next_pair_begins_at_delivery():
    due = MADE
    dialogue = delivering(2).fire(ok(due, 50_000_000), Acquire(token(index=2)))
    dialogue.at(due, Acquired(token(index=2), SLOT), attempts(index=2))


def test_deadline_bounds_emission_and_ends_the_request():
    limit = 10 * CYCLE
    until = limit - max(FLIGHTS) - DELIVERY
    dialogue = attempting(max_time=limit).at(until + 8_000_000, stopped(), Release(SLOT))
    dialogue.deadline(limit).fire(
        err(OURS, ErrorCode.TIMEOUT, detail="0 of 1 pairs in time"), Send(BOB, close("timeout"))
    )


def test_slot_that_comes_too_late_for_the_deadline_is_released():
    limit = 10 * CYCLE
    dialogue = agreed(max_time=limit)
    dialogue.at(limit - max(FLIGHTS) - DELIVERY, Acquired(token(), SLOT), Release(SLOT))
    assert dialogue.machine.state.generation == Resting()


def test_waiting_ends_with_its_request():
    dialogue = end(BOB).at(0, Requested(link.Accept(ALICE, 7)))
    dialogue.give(DIRECT, got(propose(), ALICE))
    dialogue.state(dialogue.machine.state)
    assert dialogue.machine.state.generation == Waiting(OURS, HANDSHAKE)
    cancelled = ended(OURS, 0, cancelled=True, origin=False, remote=ALICE)
    dialogue.at(DIRECT, Requested(link.Cancel(OURS)), cancelled, Send(ALICE, close("cancelled")))


def test_refusal_attempts_again_with_the_same_slot():
    """Different ids: is one of the ends behind?"""
    at = 60_000_000
    attempting().at(at, refusal(), attempts(), Send(BOB, compare(0, at)))


def test_refusal_for_a_lost_announcement_only_attempts_again():
    fault = Indicated(physical.HeraldRefused(AttemptId("alice/1.1"), SLOT, "NO_CLASSICAL_OTHER", 0))
    attempting().at(60_000_000, fault, attempts())


def test_sequence_ahead_is_a_pair_like_others():
    """What was lost before it was lost to both ends, or is void by now."""
    dialogue = attempting()
    dialogue.at(53_000_000, herald(sequence=3))
    assert dialogue.machine.state.expected_sequence == 4
    assert isinstance(dialogue.machine.state.generation, Delivering)


def test_sequence_behind_is_no_success():
    dialogue = attempting()
    dialogue.give(40_000_000, Indicated(physical.HeraldedLate(AttemptId("x.1"), 4, Instant(1))))
    dialogue.at(53_000_000, herald(sequence=4), attempts())
    assert dialogue.machine.state.expected_sequence == 5


NONE_VALID = err(OURS, ErrorCode.EXPIRE, detail="none of 1 pairs came to both ends")


def test_herald_too_late_for_the_common_instant_makes_its_pair_void():
    told_peer = Send(BOB, void(1, MADE))
    attempting().at(MADE + 1, herald(), Release(SLOT), told_peer, NONE_VALID)


def test_late_herald_of_an_open_request_makes_its_pair_void():
    dialogue = agreed()
    late = Indicated(physical.HeraldedLate(AttemptId("alice/1.1"), 1, Instant(1)))
    dialogue.at(60_000_000, late, Withdraw(token()), Send(BOB, void(1)), NONE_VALID)


def test_void_is_repeated_with_growing_waits_until_it_is_heard():
    dialogue, due = agreed(), 60_000_000
    late = Indicated(physical.HeraldedLate(AttemptId("alice/1.1"), 1, Instant(1)))
    dialogue.give(due, late)
    for tries in range(3):
        due += WAIT << tries
        dialogue.deadline(due).fire(Send(BOB, void(1)))
    dialogue.at(due + 1, got(VoidHeard(LINK, OURS, 1))).deadline(None)


def test_void_pair_of_the_peer_is_taken_back_and_the_request_goes_on():
    dialogue = one_of_two()
    gone = told(link.Expired(OURS, BOB, 7, pairs(1, 1)))
    heard = Send(BOB, VoidHeard(LINK, OURS, 1))
    dialogue.at(65_000_000, got(void(1)), gone, heard)
    dialogue.at(65_000_001, got(void(1)), heard)
    assert dialogue.machine.state.open == 1


def test_void_pair_that_was_never_heard_of_is_passed_over():
    """The third is void: this end, at the first, never announces the first two either."""
    dialogue = attempting(3)
    effects = dialogue.give(60_000_000, got(void(3)))
    assert effects[0] == stop()
    assert [e.message.index for e in effects if isinstance(e, Send)] == [1, 2, 3]
    assert dialogue.machine.state.open == 0


# ---------------------------------------------------------------- breaking off


def test_cancel_while_awaiting_a_slot_withdraws():
    dialogue = agreed().at(
        HANDSHAKE,
        Requested(link.Cancel(OURS)),
        Withdraw(token()),
        ended(OURS, 0, cancelled=True),
        Send(BOB, close("cancelled")),
    )
    dialogue.at(HANDSHAKE, Acquired(token(), SLOT), Release(SLOT))
    dialogue.at(HANDSHAKE + 1, Requested(link.Cancel(OURS)))
    dialogue.at(HANDSHAKE + 2, got(closed())).deadline(None)


@pytest.mark.parametrize(
    "answer",
    [stopped(), herald(), refusal()],
    ids=["stopped", "herald on its way", "refusal on its way"],
)
def test_cancel_while_attempting_stops_and_releases_what_returns(answer):
    dialogue = attempting().at(
        40_000_000,
        Requested(link.Cancel(OURS)),
        stop(),
        ended(OURS, 0, cancelled=True),
        Send(BOB, close("cancelled")),
    )
    dialogue.at(40_000_000, answer, Release(SLOT))


def test_slot_of_a_given_up_run_is_released_while_the_next_request_attempts():
    second, other = RequestId("alice/2"), SlotId(1)
    dialogue = attempting()
    dialogue.give(HANDSHAKE, create(second))
    dialogue.give(2 * HANDSHAKE, got(Accepted(LINK, second, 2, Instant(2 * HANDSHAKE))))
    dialogue.give(2 * HANDSHAKE, Requested(link.Cancel(OURS)))
    dialogue.give(2 * HANDSHAKE, Acquired(token(second), other))
    dialogue.at(2 * HANDSHAKE, stopped(), Release(SLOT))
    assert dialogue.machine.state.generation.request == second


def test_cancel_while_correcting_waits_for_the_gate():
    op = OpId("link:alice-bob/1")
    dialogue = attempting()
    dialogue.give(53_000_000, herald(label=(1, 0)))
    dialogue.at(
        53_100_000,
        Requested(link.Cancel(OURS)),
        ended(OURS, 0, cancelled=True),
        Send(BOB, close("cancelled", boundary=MADE)),
    )
    assert dialogue.machine.state.returning == (SLOT,)
    dialogue.at(53_200_000, Applied(op, ()), Release(SLOT))


def test_cancel_while_delivering_gives_the_pair_up():
    delivering().at(
        54_000_000,
        Requested(link.Cancel(OURS)),
        Release(SLOT),
        ended(OURS, 0, cancelled=True),
        Send(BOB, close("cancelled", boundary=MADE)),
    )


def one_of_two():
    """One of two pairs was delivered, the next is attempted."""
    dialogue = delivering(2)
    dialogue.give(MADE, DeadlineReached())
    dialogue.give(60_000_000, Acquired(token(index=2), SLOT))
    return dialogue


def test_peers_close_expires_a_pair_that_only_this_end_announced():
    one_of_two().at(
        70_000_000,
        got(close("cancelled")),
        stop(index=2),
        told(link.Expired(OURS, BOB, 7, pairs(1, 1))),
        ended(OURS, 0, cancelled=True),
        Send(BOB, closed(1, 1, boundary=MADE)),
    )


def test_peers_close_with_equal_counts_expires_nothing():
    dialogue = one_of_two().at(
        70_000_000,
        got(close("timeout", 1, 1)),
        stop(index=2),
        err(OURS, ErrorCode.TIMEOUT, detail="1 of 2 pairs in time"),
        Send(BOB, closed(1, 1, boundary=MADE)),
    )
    dialogue.at(70_000_001, got(close("timeout", 1, 1)), Send(BOB, closed(1, 1, boundary=MADE)))


def test_close_after_the_request_was_complete_expires_the_last_pair_once():
    dialogue = delivering()
    dialogue.give(MADE, DeadlineReached())
    expired = told(link.Expired(OURS, BOB, 7, pairs(1, 1)))
    dialogue.at(
        60_000_000, got(close("cancelled")), expired, Send(BOB, closed(1, 1, boundary=MADE))
    )
    dialogue.at(60_000_001, got(close("cancelled")), Send(BOB, closed(boundary=MADE)))


def test_closes_that_cross_need_no_answer():
    dialogue = one_of_two()
    dialogue.give(70_000_000, Requested(link.Cancel(OURS)))
    dialogue.at(71_000_000, got(close("cancelled")), told(link.Expired(OURS, BOB, 7, pairs(1, 1))))
    assert dialogue.machine.state.closing == 0
    dialogue.at(72_000_000, got(closed()))


def test_closed_tells_what_the_peer_announced():
    dialogue = delivering(3)
    dialogue.give(MADE, DeadlineReached())
    dialogue.give(60_000_000, Acquired(token(index=2), SLOT))
    dialogue.give(73_000_000, herald(4 - 2, 70_000_000, index=2))
    dialogue.give(70_000_000 + DELIVERY, DeadlineReached())
    dialogue.give(80_000_000, Requested(link.Cancel(OURS)))
    dialogue.at(90_000_000, got(closed(0, 0)), told(link.Expired(OURS, BOB, 7, pairs(1, 2))))


def test_close_of_an_unknown_request_keeps_it_from_being_queued():
    dialogue = end(BOB).at(0, Requested(link.Accept(ALICE, 7)))
    dialogue.at(DIRECT, got(close("cancelled"), ALICE), Send(ALICE, closed()))
    dialogue.at(DIRECT + 1, got(propose(), ALICE))
    assert dialogue.machine.state.open == 0


# ---------------------------------------------------------------- comparing progress


def compare(served, since=0, request=OURS, boundary=0):
    return CompareProgress(LINK, request, served, Instant(since), Instant(boundary))


def test_long_attempts_compare_progress_with_growing_waits():
    dialogue, due = attempting(), HANDSHAKE
    for asks in range(6):
        due += TIMING.ask_wait << asks
        dialogue.deadline(due).fire(Send(BOB, compare(0, HANDSHAKE)))
    dialogue.deadline(HANDSHAKE + SILENCE * TIMING.ask_wait)
    silent = err(OURS, ErrorCode.OTHER, detail="no herald comes and nothing is heard of bob")
    dialogue.fire(stop(), silent, Send(BOB, close("no_sign")))


def test_compare_shows_that_this_end_missed_a_herald():
    attempting().at(
        60_000_000,
        got(compare(1)),
        stop(),
        Send(BOB, void(1)),
        NONE_VALID,
    )


def test_compare_shows_that_the_peer_missed_a_herald():
    delivered_at = MADE
    dialogue = one_of_two().at(65_000_000, got(compare(0), sent_at=delivered_at))
    dialogue.at(
        70_000_000,
        got(compare(0), sent_at=delivered_at + 1),
        told(link.Expired(OURS, BOB, 7, pairs(1, 1))),
        Send(BOB, void(1, MADE)),
    )
    assert isinstance(dialogue.machine.state.generation, Attempting)


def test_compare_after_both_waited_long_starts_anew():
    dialogue = attempting()
    late = HANDSHAKE + TIMING.ask_wait
    dialogue.at(late - 1, got(compare(0, HANDSHAKE)))
    dialogue.give(late, DeadlineReached())
    dialogue.at(late, got(compare(0, HANDSHAKE + 1)))
    dialogue.at(late + 1, got(compare(0, HANDSHAKE + 1)), stop())
    dialogue.at(late + 1, stopped(), attempts())
    assert dialogue.machine.state.generation.since == late + 1


def test_compare_that_crossed_a_delivery_does_not_start_anew():
    """The peer asked before it delivered pair 1; this end already attempts for pair 2."""
    late = 60_000_000 + TIMING.ask_wait
    dialogue = one_of_two()
    dialogue.give(late, DeadlineReached())
    dialogue.at(late + 1, got(compare(0), sent_at=MADE))


def test_compare_while_not_attempting_does_nothing():
    agreed().at(HANDSHAKE, got(compare(0)))


def test_compare_of_a_complete_request_expires_what_the_peer_missed():
    dialogue = delivering()
    done = MADE
    dialogue.give(done, DeadlineReached())
    dialogue.at(done + 1, got(compare(0), sent_at=done))
    expired = told(link.Expired(OURS, BOB, 7, pairs(1, 1)))
    dialogue.at(
        done + 9,
        got(compare(0), sent_at=done + 1),
        expired,
        Send(BOB, void(1, MADE)),
    )
    dialogue.at(done + 20, got(VoidHeard(LINK, OURS, 1))).deadline(None)


def test_compare_of_an_unknown_request_closes_it():
    dialogue = end()
    close_it = close("expired", request=THEIRS)
    dialogue.at(9, got(compare(0, request=THEIRS), sent_at=1), Send(BOB, close_it))
    dialogue.at(10, got(closed(request=THEIRS)))


# ---------------------------------------------------------------- the impossible


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (got(propose(), STATION), RemoteProtocolError),
        (got(Accepted(LinkId("x"), OURS, 1, Instant(0))), RemoteProtocolError),
        (got(Close), RemoteProtocolError),
        (got(propose()), RemoteProtocolError),
        (got(propose(THEIRS, number=1, start=None)), RemoteProtocolError),
        (got(propose(THEIRS, pairs=0, number=None, start=None)), RemoteProtocolError),
        (got(propose(THEIRS, max_time=-1, number=None, start=None)), RemoteProtocolError),
        (got(propose(THEIRS, at=10**12, number=None, start=None)), RemoteProtocolError),
        (got(propose(OURS, number=None, start=None)), RemoteProtocolError),
        (got(Accepted(LINK, OURS, 2, Instant(0))), RemoteProtocolError),
        (got(Rejected(LINK, OURS, 4, "")), RemoteProtocolError),
        (Observed(LINK, (0, 2), Instant(0)), LocalProtocolError),
        (Applied(OpId("x"), ()), LocalProtocolError),
        (Indicated("nonsense"), LocalProtocolError),
        (Requested("nonsense"), LocalProtocolError),
        (Requested(link.Accept(ALICE, 7)), LocalProtocolError),
        (Requested(link.StopAccepting(ALICE, 7)), LocalProtocolError),
    ],
)
def test_end_refuses_the_impossible(event, error):
    if isinstance(event, Received) and event.message is Close:
        odd = physical.HeraldedLate
        event = Received(BOB, "odd@1", type("Odd", (), {"link": LINK, "o": odd})(), Instant(0))
    attempting().refuses(60_000_000, event, error, "alice-bob")


def test_unknown_rejection_code_is_refused():
    dialogue = end()
    dialogue.give(0, create())
    event = got(Rejected(LINK, OURS, 99, ""))
    dialogue.refuses(HANDSHAKE, event, RemoteProtocolError, "Rejected")


def test_acceptance_of_the_peers_own_request_is_refused():
    dialogue = end().at(0, Requested(link.Accept(BOB, 7)))
    dialogue.give(DIRECT, got(propose(THEIRS, number=None, start=None)))
    event = got(Accepted(LINK, THEIRS, 1, Instant(0)))
    dialogue.refuses(DIRECT, event, RemoteProtocolError, "Accepted")


def test_correction_slower_than_planned_makes_the_pair_expire():
    """A node that stood still cannot hand its half up at the common instant."""
    dialogue = attempting()
    dialogue.give(53_000_000, herald(label=(1, 0)))
    dialogue.at(
        MADE + 1,
        Applied(OpId("link:alice-bob/1"), ()),
        Release(SLOT),
        Send(BOB, void(1, MADE)),
        NONE_VALID,
    )


# ---------------------------------------------------------------- small parts


def test_memory_is_bounded():
    queue = Queue()
    for k in range(MEMORY_LIMIT + 5):
        queue.end(RequestId(str(k)), Ended(True, 7, Progress(), Instant(k)))
    assert queue.ended(RequestId("4")) is None
    assert queue.ended(RequestId("5")) is not None


def test_deadline_that_nothing_needs_does_nothing():
    end().at(5, DeadlineReached())
    dialogue = delivering()
    dialogue.at(54_000_000, DeadlineReached())
    assert isinstance(dialogue.machine.state.generation, Delivering)


def test_message_kinds_are_listed():
    kinds = [message.kind for message in PROTOCOL.messages]
    names = [
        *("propose@2", "accepted@2", "rejected@1", "close@3", "closed@3", "void@1"),
        *("void_heard@1", "compare_progress@2"),
        *("no_slot@1", "have_slot@1", "round_outcome@1"),
    ]
    assert kinds == [f"link.egp/{name}" for name in names]
    assert not any(message.reliable for message in PROTOCOL.messages)
