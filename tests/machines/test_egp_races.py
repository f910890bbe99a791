"""Both ends and the station in memory: races, losses, queues; invariants hold at rest."""

from itertools import pairwise

import pytest

from qnet.layers import link as service
from qnet.layers.link import Err, ErrorCode, Expired, Ok, RequestEnded
from qnet.units import Instant
from qnet_protocols.heralding.midpoint import HeraldRefused, HeraldReported, PhotonsAnnounced
from qnet_protocols.link.admission import QUEUE_LIMIT
from qnet_protocols.link.agreement import PROPOSE_TRIES
from qnet_protocols.link.messages import Accepted, Close, Closed, Propose

from .harness import ALICE, BOB, CYCLE, FLIGHTS, LINK, STATION, Net, dropping

DIRECT = sum(FLIGHTS)
CLICK = CYCLE + 1_000_000 + max(FLIGHTS)
"""Click of the first run if its first attempt succeeds and it starts in the second cycle."""
DELIVERED = CLICK + max(FLIGHTS) + 300_000


def net(**changes):
    network = Net(**{"success": lambda run: 1} | changes)
    network.accept()
    return network


def ends(network, node):
    """How each request ended at ``node``: delivered count, "cancelled" or error code."""
    result = {}
    for what in network.heard(node, (RequestEnded, Err)):
        if isinstance(what, Err):
            result[what.request] = what.code
        else:
            result[what.request] = "cancelled" if what.cancelled else what.delivered
    return result


def gone(network, node):
    """The pairs of each EXPIRE at ``node``."""
    return [
        tuple(int(pair.partition("#")[2]) for pair in e.pairs) for e in network.heard(node, Expired)
    ]


def test_net_pairs_are_delivered_at_both_ends_at_one_instant():
    network = net()
    request = network.create(0, ALICE, "1", 2)
    network.run().verify()
    assert ends(network, ALICE) == ends(network, BOB) == {request: 2}
    first = network.heard(BOB, Ok)[0]
    assert (first.goodness_at, first.created_at, first.requested_at) == (DELIVERED, CLICK, 0)
    assert not network.messages(Close)


@pytest.mark.parametrize("run", range(4))
def test_net_every_label_is_corrected_at_either_origin(run):
    patterns = [(0, 2), (1, 3), (0, 3), (1, 2)]
    for origin in (ALICE, BOB):
        network = net(pattern=lambda _: patterns[run])
        network.create(0, origin, "1")
        network.run().verify()
        assert len(network.announced(ALICE)) == 1


def test_net_both_ends_create_at_the_same_instant():
    network = net()
    ours = network.create(0, ALICE, "1", 2)
    theirs = network.create(0, BOB, "1", 2)
    network.run().verify()
    order = [ok.request for ok in network.heard(ALICE, Ok)]
    assert order == [ours, ours, theirs, theirs]
    assert order == [ok.request for ok in network.heard(BOB, Ok)]


def test_net_requests_are_served_in_the_masters_order():
    network = net()
    names = [network.create(10 * k, (BOB, ALICE)[k % 2], str(k)) for k in range(6)]
    network.run().verify()
    served = [ok.request for ok in network.heard(BOB, Ok)]
    assert served == [ok.request for ok in network.heard(ALICE, Ok)]
    assert sorted(served) == sorted(names)


def test_net_queue_full():
    network = net()
    for k in range(QUEUE_LIMIT + 1):
        network.create(0, ALICE, str(k))
    network.run().verify()
    codes = list(ends(network, ALICE).values())
    assert codes.count(ErrorCode.NORES) == 1
    assert codes.count(1) == QUEUE_LIMIT


def test_net_rejected_without_accept():
    network = Net()
    request = network.create(0, ALICE, "1")
    network.run().verify()
    assert ends(network, ALICE) == {request: ErrorCode.REJECTED}
    assert network.heard(BOB) == []


def test_net_stop_accepting_spares_what_is_agreed():
    network = net()
    agreed = network.create(0, ALICE, "1", 2)
    network.ask(2 * DIRECT, BOB, service.StopAccepting(ALICE, 7))
    refused = network.create(2 * DIRECT, ALICE, "2")
    network.run().verify()
    assert ends(network, ALICE) == {agreed: 2, refused: ErrorCode.REJECTED}


def test_net_timeout_at_both_ends_at_the_deadline():
    network = net(success=lambda run: 100)
    request = network.create(0, ALICE, "1", 2, 10 * CYCLE)
    after = network.create(0, BOB, "2")
    network.success = lambda run: 100 if run == 1 else 1
    network.run().verify()
    for node in (ALICE, BOB):
        assert ends(network, node) == {request: ErrorCode.TIMEOUT, after: 1}
    times = {at for at, _, what in network.said if isinstance(what, Err)}
    assert times == {10 * CYCLE}


@pytest.mark.parametrize("late", range(-4, 5))
def test_net_herald_against_timeout_is_in_time_at_both_ends_or_neither(late):
    """The deadline moves across the instant at which the second pair would be delivered."""
    second = DELIVERED + CYCLE
    network = net(hold=lambda node, ok: 0)
    request = network.create(0, ALICE, "1", 2, second + late)
    network.run().verify()
    assert len(network.announced(ALICE)) == (2 if late > 0 else 1)
    assert ends(network, ALICE) == ends(network, BOB)
    assert request in ends(network, BOB)
    assert not network.heard(ALICE, Expired)
    assert not network.heard(BOB, Expired)


@pytest.mark.parametrize("canceller", [ALICE, BOB])
@pytest.mark.parametrize("origin", [ALICE, BOB])
@pytest.mark.parametrize(
    "at",
    [
        0,
        DIRECT,
        2 * DIRECT + 1,
        CYCLE + 1_000_001,
        CLICK,
        CLICK + FLIGHTS[0],
        CLICK + FLIGHTS[0] + 100_000,
        CLICK + FLIGHTS[1],
        CLICK + FLIGHTS[1] + 100_000,
        DELIVERED - 1,
        DELIVERED,
        DELIVERED + 1,
        DELIVERED + DIRECT,
    ],
)
def test_net_cancel_races_with_the_herald(canceller, origin, at):
    network = net()
    cancelled = network.create(0, origin, "1", 2)
    after = network.create(1, ALICE, "2")
    network.ask(at, canceller, service.Cancel(cancelled))
    network.run().verify()
    assert ends(network, ALICE)[after] == 1
    known = canceller == origin or at > DIRECT
    for node in (ALICE, BOB):
        assert ends(network, node).get(cancelled, "cancelled") == ("cancelled" if known else 2)


def test_net_cancel_by_the_peer_ends_it_at_both():
    network = net()
    request = network.create(0, ALICE, "1", 50)
    network.ask(20 * CYCLE, BOB, service.Cancel(request))
    network.run().verify()
    assert ends(network, ALICE) == ends(network, BOB) == {request: "cancelled"}
    assert len(network.announced(ALICE)) >= 5


@pytest.mark.parametrize("deaf", [ALICE, BOB])
@pytest.mark.parametrize("pairs", [1, 3])
def test_net_lost_herald_costs_its_pair_only(deaf, pairs):
    network = net(fault=dropping(HeraldReported, to=deaf))
    request = network.create(0, ALICE, "1", pairs)
    network.run().verify()
    other = BOB if deaf == ALICE else ALICE
    assert gone(network, other) == [(1,)]
    assert gone(network, deaf) == []
    assert len(network.announced(ALICE)) == pairs - 1
    assert ends(network, deaf)[request] == (pairs - 1 or ErrorCode.EXPIRE)


@pytest.mark.parametrize("deaf", [ALICE, BOB])
def test_net_lost_herald_before_a_deadline_expires_the_half_pair(deaf):
    network = net(fault=dropping(HeraldReported, to=deaf))
    network.create(0, ALICE, "1", 1, 6 * CYCLE)
    after = network.create(0, ALICE, "2")
    network.run().verify()
    other = BOB if deaf == ALICE else ALICE
    assert gone(network, other) == [(1,)]
    assert ends(network, deaf)[after] == ends(network, other)[after] == 1


@pytest.mark.parametrize("kind", [PhotonsAnnounced, Propose, Accepted])
@pytest.mark.parametrize("origin", [ALICE, BOB])
def test_net_one_lost_message_only_delays(kind, origin):
    network = net(fault=dropping(kind))
    request = network.create(0, origin, "1", 2)
    network.run().verify()
    assert ends(network, ALICE) == ends(network, BOB) == {request: 2}


def test_net_lost_announcement_is_refused_to_both():
    network = net(fault=dropping(PhotonsAnnounced))
    network.create(0, ALICE, "1")
    network.run().verify()
    refused = network.messages(HeraldRefused)
    assert {message.fault for message in refused} == {"NO_CLASSICAL_OTHER"}
    assert len(refused) == 2


@pytest.mark.parametrize("first", [1, 2])
def test_net_lost_refusal_is_overcome(first):
    network = net(fault=dropping(PhotonsAnnounced, HeraldRefused, first=first))
    request = network.create(0, ALICE, "1", 2)
    network.run().verify()
    assert ends(network, ALICE) == ends(network, BOB) == {request: 2}


def test_net_silent_peer_ends_with_other():
    network = net(fault=dropping(Propose, to=BOB, first=PROPOSE_TRIES))
    request = network.create(0, ALICE, "1")
    later = network.create(3 * CYCLE, BOB, "2")
    network.run().verify()
    assert ends(network, ALICE) == {request: ErrorCode.OTHER, later: 1}
    assert ends(network, BOB) == {later: 1}


@pytest.mark.parametrize("origin", [ALICE, BOB])
def test_net_lost_acceptances_end_it_at_both(origin):
    network = net(fault=dropping(Accepted, first=PROPOSE_TRIES))
    request = network.create(0, origin, "1")
    network.run().verify()
    assert ends(network, ALICE) == ends(network, BOB) == {request: ErrorCode.OTHER}


@pytest.mark.parametrize("lost", [(Close,), (Closed,), (Close, Closed)])
def test_net_lost_close_is_repeated(lost):
    network = net(fault=dropping(*lost, first=2))
    request = network.create(0, ALICE, "1", 5)
    network.ask(DELIVERED, BOB, service.Cancel(request))
    network.run().verify()
    assert ends(network, ALICE) == ends(network, BOB) == {request: "cancelled"}


def test_net_repeated_messages_change_nothing():
    twice = net(fault=lambda source, target, message, count: (0, 0))
    late = net(fault=lambda source, target, message, count: (0, 7 * CYCLE))
    once = net()
    for network in (once, twice, late):
        network.create(0, ALICE, "1", 3)
        network.create(5, BOB, "2", 2, 100 * CYCLE)
        network.run().verify()
    assert twice.said == once.said
    assert late.said == once.said


@pytest.mark.parametrize("target", [ALICE, BOB])
def test_net_delayed_herald_is_never_half_delivered(target):
    def slow(source, to, message, count):
        late = isinstance(message, HeraldReported) and to == target and count < 2
        return (CYCLE if late else 0,)

    network = net(fault=slow)
    request = network.create(0, ALICE, "1", 3)
    network.run().verify()
    other = BOB if target == ALICE else ALICE
    # Both of the first two herald reports are messages number 0 and 1: the first pair's.
    assert gone(network, other) == [(1,)]
    assert gone(network, target) == []
    assert ends(network, target)[request] == 2


def test_net_application_that_keeps_its_slot_makes_both_wait():
    network = net(hold=lambda node, ok: 30 * CYCLE if node == BOB else 0)
    request = network.create(0, ALICE, "1", 3)
    network.run().verify()
    times = [ok.goodness_at for ok in network.heard(ALICE, Ok)]
    assert [b - a > 30 * CYCLE for a, b in pairwise(times)] == [True, True]
    assert ends(network, ALICE) == {request: 3}
    assert not network.messages(Close)


def test_net_more_slots_let_pairs_wait_in_memory():
    network = net(slots=(2, 2), hold=lambda node, ok: 2 * CYCLE)
    network.create(0, ALICE, "1", 6)
    network.run().verify()
    assert len(network.announced(BOB)) == 6


def test_net_mismatch_after_a_cancel_is_refused_and_overcome():
    """Alice has turned to her next request while Bob still attempts for the first."""
    network = net(success=lambda run: 1, cycle=2_000_000)
    first = network.create(0, ALICE, "1", 1_000)
    second = network.create(0, ALICE, "2", 3)
    network.ask(200_000_000, ALICE, service.Cancel(first))
    network.run().verify()
    assert ends(network, BOB) == {first: "cancelled", second: 3}
    assert ends(network, ALICE) == ends(network, BOB)


def test_net_same_inputs_same_messages():
    runs = []
    for _ in range(2):
        network = net()
        network.create(0, ALICE, "1", 3)
        network.create(0, BOB, "1", 3, 20 * CYCLE)
        network.run()
        runs.append((network.sent, network.said))
    assert runs[0] == runs[1]


def test_net_zero_distance_and_perfect_gates():
    network = net(flights=(0, 0), direct=0, preparation=0, correction=(0, 0), cycle=1_000)
    request = network.create(0, BOB, "1", 5)
    network.run().verify()
    assert ends(network, ALICE) == ends(network, BOB) == {request: 5}


def test_net_messages_carry_the_link():
    network = net()
    request = network.create(0, ALICE, "1")
    network.ask(Instant(DELIVERED + 1), ALICE, service.Cancel(request))
    network.run().verify()
    assert {message.link for *_, message in network.sent} == {LINK}
    assert {source for _, source, _, _ in network.sent} == {ALICE, BOB, STATION}
