"""Kinds of requests, flow control, test rounds and restarts between two ends, with either link protocol.

The orders of service are egp's: fifo, priority, wfq, and one of another package.
"""

from itertools import count

import msgspec
import pytest

from qnet.layers import link as service
from qnet.layers.link import ErrorCode
from qnet.seams import Scheduler
from qnet_protocols.heralding.midpoint import HeraldReported
from qnet_protocols.link import schedulers

from .harness import ALICE, BOB, CYCLE, Net, dropping

CHOSEN = {"protocol": "egp"}
"""What every network of these tests is made with."""


@pytest.fixture(params=["egp", "tdma"], autouse=True)
def protocol(request, monkeypatch):
    monkeypatch.setitem(CHOSEN, "protocol", request.param)


BOTH = service.BasisChoice(("X", "Z"), (1.0, 1.0))


def net(**options):
    network = Net(**CHOSEN | options)
    network.accept()
    return network


def order(network):
    """Requests of alice's pairs in the order of their announcement."""
    said = network.heard(ALICE, (service.Ok, service.OkMeasured))
    return [ok.request.removeprefix("alice/") for ok in said]


def test_measured_pairs_come_as_bits_at_both_ends():
    network = net()
    network.create(0, ALICE, "1", 8, kind="M", local=BOTH, distant=BOTH)
    network.run().verify()
    for node in (ALICE, BOB):
        assert len(network.heard(node, service.OkMeasured)) == 8
        assert not network.heard(node, service.Ok)
    bases = {ok.basis for ok in network.heard(ALICE, service.OkMeasured)}
    assert bases == {"X", "Z"}


def test_remote_preparation_measures_at_the_origin_only():
    network = net(memory=(1, 1))
    network.create(0, BOB, "1", 3, kind="R", store=True)
    network.run().verify()
    assert len(network.heard(BOB, service.OkMeasured)) == 3
    assert [ok.slot for ok in network.heard(ALICE, service.Ok)] == [100, 100, 100]


def test_stored_halves_leave_the_communication_slot():
    """With the pairs kept by the applications the link goes on in its only communication slot."""
    network = net(memory=(3, 3), hold=lambda node, ok: 50 * CYCLE)
    network.create(0, ALICE, "1", 3, store=True)
    network.run().verify()
    oks = network.heard(ALICE, service.Ok)
    assert sorted(ok.slot for ok in oks) == [100, 101, 102]
    assert oks[-1].goodness_at - oks[0].goodness_at < 20 * CYCLE


def test_atomic_pairs_are_handed_up_together():
    network = net(memory=(3, 3))
    network.create(0, ALICE, "1", 3, atomic=True)
    network.run().verify()
    assert len({ok.goodness_at for ok in network.heard(BOB, service.Ok)}) == 1


def test_atomic_request_beyond_the_memory_has_no_resources():
    network = net(memory=(4, 4))
    network.create(0, ALICE, "1", 5, atomic=True)
    network.run()
    (error,) = network.heard(ALICE, service.Err)
    assert error.code == ErrorCode.NORES
    assert "memory of alice must have >= 5 slots for this request, has 4" in error.detail


def test_atomic_request_that_times_out_frees_its_memory():
    network = net(memory=(4, 4), success=lambda run: 1 if run == 1 else 10_000)
    network.create(0, ALICE, "1", 2, max_time=40 * CYCLE, atomic=True)
    network.run().verify()
    assert not network.heard(ALICE, service.Ok)
    assert [error.code for error in network.heard(BOB, service.Err)] == [ErrorCode.TIMEOUT]


def three(scheduler, weights=(), **first):
    """Three requests of two pairs each, created together with priorities 2, 1, 1."""
    network = net(protocol="egp", protocol_parameters={"scheduler": scheduler, "weights": weights})
    network.create(0, ALICE, "a", 2, priority=2, **first)
    network.create(0, ALICE, "b", 2, priority=1)
    network.create(0, ALICE, "c", 2, priority=1)
    network.run().verify()
    return order(network)


def test_fifo_serves_in_order_of_arrival():
    assert three("fifo") == ["a", "a", "b", "b", "c", "c"]


def test_priority_serves_small_numbers_first():
    assert three("priority") == ["b", "b", "c", "c", "a", "a"]


def test_wfq_interleaves_pair_by_pair():
    assert three("wfq") == ["a", "b", "c", "a", "b", "c"]


def test_wfq_weight_zero_comes_before_all_others():
    assert three("wfq", (1.0, 0.0, 1.0)) == ["b", "b", "c", "c", "a", "a"]


def test_scheduler_of_another_package_sees_what_both_ends_know(monkeypatch):
    """The earliest deadline first; it is told its own parameters and the weights of the link."""
    seen = set()

    def due(request, context):
        seen.add((context.weights, context.parameters["late"]))
        return (request.deadline or request.requested_at + context.parameters["late"] * CYCLE,)

    class Parameters(msgspec.Struct):
        late: int = 1000

    edf = Scheduler("edf", key=due, parameters=Parameters)
    monkeypatch.setattr(schedulers, "find", lambda group, name: {"edf": edf}[name])
    for late, expected in ((1000, "ccbbaa"), (600, "ccaabb")):
        chosen = {"scheduler": {"name": "edf", "late": late}, "weights": (1.0,)}
        network = net(protocol="egp", protocol_parameters=chosen)
        network.create(0, ALICE, "a", 2)
        network.create(0, ALICE, "b", 2, max_time=900 * CYCLE)
        network.create(0, ALICE, "c", 2, max_time=500 * CYCLE)
        network.run().verify()
        assert "".join(order(network)) == expected
        assert ((1.0,), late) in seen


def test_consecutive_pairs_are_not_divided():
    assert three("wfq", consecutive=True) == ["a", "a", "b", "c", "b", "c"]


@pytest.mark.parametrize("slow", [ALICE, BOB])
def test_end_without_slot_delays_and_loses_nothing(slow):
    network = net(hold=lambda node, ok: 7 * CYCLE if node == slow else 0)
    network.create(0, ALICE, "1", 5)
    network.run().verify()
    assert len(network.announced(ALICE)) == 5
    assert not network.heard(ALICE, (service.Err, service.Expired))


def test_test_rounds_estimate_the_fidelity_and_do_not_count():
    network = net(protocol_parameters={"test_share": 0.5})
    network.create(0, ALICE, "1", 60)
    network.run().verify()
    assert len(network.announced(BOB)) == 60
    for node in (ALICE, BOB):
        said = network.heard(node, service.FidelityEstimated)
        assert said
        # The fake optics makes perfect pairs.
        assert all(estimate.fidelity == 1.0 for estimate in said)
        assert said[-1].rounds >= 20


@pytest.mark.parametrize("lost", [ALICE, BOB])
@pytest.mark.parametrize("at", [3 * CYCLE, 7 * CYCLE + 1, 11 * CYCLE])
def test_restart_ends_what_was_shared_and_service_begins_anew(lost, at):
    network = net(memory=(4, 4))
    network.create(0, ALICE, "1", 40)
    network.create(0, BOB, "2", 40, store=True)
    network.restart(at, lost)
    again = network.create(at + 20 * CYCLE, ALICE, "3", 2)
    other = network.create(at + 20 * CYCLE, BOB, "4", 2)
    network.run().verify()
    survivor = BOB if lost == ALICE else ALICE
    codes = {error.request: error.code for error in network.heard(survivor, service.Err)}
    assert codes == {"alice/1": ErrorCode.OTHER, "bob/2": ErrorCode.OTHER}
    ended = {end.request: end.delivered for end in network.heard(survivor, service.RequestEnded)}
    assert ended == {again: 2, other: 2}


def wear(network):
    """Every third half that is read in Z gives the wrong bit, whatever its estimate promises."""
    true, reads = network.matter.read, count(1)

    def worn(node, slot, basis):
        return true(node, slot, basis) ^ (basis == "Z" and next(reads) % 3 == 0)

    network.matter.read = worn


def test_test_rounds_that_show_bad_pairs_refuse_what_the_estimate_would_take():
    network = net(protocol_parameters={"test_share": 0.5})
    wear(network)
    network.create(0, ALICE, "1", 150)
    network.run()
    later = network.create(network.now + 1, ALICE, "2", minimum_fidelity=0.93)
    modest = network.create(network.now + 1, ALICE, "3", minimum_fidelity=0.5)
    network.run().verify()
    (error,) = network.heard(ALICE, service.Err)
    assert (error.request, error.code) == (later, ErrorCode.UNSUPP)
    assert "what test rounds say of alice-bob" in error.detail
    assert [end.request for end in network.heard(BOB, service.RequestEnded)][-1] == modest


def test_single_pair_that_comes_to_one_end_only_fails_at_both():
    """With egp the ends compare heralds; with time bins that are over, silence alone tells."""
    network = net(fault=dropping(HeraldReported, to=BOB))
    network.create(0, ALICE, "1")
    network.run().verify()
    code = {"egp": ErrorCode.EXPIRE, "tdma": ErrorCode.OTHER}[CHOSEN["protocol"]]
    assert [error.code for error in network.heard(BOB, service.Err)] == [code]
    assert len(network.heard(ALICE, service.Expired)) == 1
