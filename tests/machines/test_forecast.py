"""Predictions of purification on a link against published closed forms."""

from __future__ import annotations

import math

import msgspec
import pytest

from qnet.physics.bell import fidelity_from_correlators, weights_from_correlators, werner_correlator
from qnet.plan import Estimate, LinkOptics, LinkPlan, PurificationPlan
from qnet_nodes.ideal import IDEAL
from qnet_protocols.purification.circuit import Circuit, Operation
from qnet_protocols.purification.forecast import forecast

PARITY = (Operation("CNOT", (0, 1)), Operation("READ", (1,)))
BENNETT = Circuit(2, PARITY, twirl=True)
DEUTSCH = Circuit(2, (Operation("RX", (0,)), Operation("RX", (1,)), *PARITY))
EXTREME = Circuit(2, PARITY, ones=True)

PERFECT = IDEAL.platform


def link(correlators, rate_hz=100.0, direct=0, **parameters):
    """A link with nothing but what a forecast reads."""
    told = Estimate(
        success_prob=0.1,
        cycle=1,
        heralded_fidelity=1.0,
        goodness=fidelity_from_correlators(correlators),
        goodness_error=0.0,
        rate_hz=rate_hz,
        correlators=correlators,
    )
    return LinkPlan(
        name="a-b",
        ends=("a", "b"),
        station="s",
        scheme="",
        scheme_parameters={},
        protocol="",
        protocol_parameters={},
        optics=LinkOptics(1.0, 1.0),
        flights=(0, 0),
        direct=direct,
        cycle=1,
        preparation=0,
        correction=(0, 0),
        estimate=told,
        purification=PurificationPlan("any", parameters),
    )


def werner(fidelity):
    return (werner_correlator(fidelity),) * 3


def told(circuit, *arguments, platform=PERFECT, **parameters):
    return forecast(circuit)(link(*arguments, **parameters), (platform, platform))


def bennett(fidelity):
    """Kept fidelity and probability, Bennett et al., PRL 76, 722 (1996), equation 7."""
    wrong = (1 - fidelity) / 3
    prob = fidelity**2 + 2 * fidelity * wrong + 5 * wrong**2
    return (fidelity**2 + wrong**2) / prob, prob


@pytest.mark.parametrize("fidelity", [0.6, 0.8, 0.95])
def test_a_twirled_step_is_that_of_bennett(fidelity):
    found = told(BENNETT, werner(fidelity))
    kept, prob = bennett(fidelity)
    assert fidelity_from_correlators(found.correlators) == pytest.approx(kept, rel=1e-9)
    assert found.rate_hz == pytest.approx(100.0 * prob / 2, rel=1e-9)


def test_a_step_is_that_of_deutsch():
    """Deutsch et al., PRL 77, 2818 (1996), equation 6: A' = (A^2 + B^2)/N, B the weight of Psi-."""
    start = (0.7, 0.5, 0.6)
    good, psi_plus, phi_minus, psi_minus = (
        weights_from_correlators(start)[index] for index in (0, 2, 1, 3)
    )
    found = told(DEUTSCH, start)
    prob = (good + psi_minus) ** 2 + (psi_plus + phi_minus) ** 2
    kept = (good**2 + psi_minus**2) / prob
    assert fidelity_from_correlators(found.correlators) == pytest.approx(kept, rel=1e-9)
    assert found.rate_hz == pytest.approx(100.0 * prob / 2, rel=1e-9)


def test_perfect_pairs_stay_perfect_and_cost_their_number():
    for circuit, share in ((BENNETT, 1.0), (DEUTSCH, 1.0), (EXTREME, 0.5)):
        found = told(circuit, (1.0, 1.0, 1.0))
        assert found.correlators == pytest.approx((1.0, 1.0, 1.0))
        assert found.rate_hz == pytest.approx(100.0 * share / 2)


def test_no_round_hands_raw_pairs_up():
    found = told(DEUTSCH, (0.9, 0.8, 0.7), rounds=0)
    assert (found.correlators, found.rate_hz) == ((0.9, 0.8, 0.7), 100.0)


def test_two_nested_rounds_are_one_after_the_other():
    roomy = msgspec.structs.replace(PERFECT, communication_slots=3)
    one = told(DEUTSCH, werner(0.9))
    again = told(DEUTSCH, one.correlators)
    nested = told(DEUTSCH, werner(0.9), rounds=2, platform=roomy)
    assert nested.correlators == pytest.approx(again.correlators, abs=1e-12)
    assert nested.rate_hz == pytest.approx(one.rate_hz * again.rate_hz / 100.0)


def test_pumping_takes_one_more_raw_pair_per_round_and_begins_again_when_a_step_fails():
    perfect = told(DEUTSCH, (1.0, 1.0, 1.0), rounds=2, pumping=True)
    assert perfect.rate_hz == pytest.approx(100.0 / 3)
    first = told(EXTREME, (1.0, 1.0, 1.0), pumping=True)
    second = told(EXTREME, (1.0, 1.0, 1.0), rounds=2, pumping=True)
    assert (first.rate_hz, second.rate_hz) == pytest.approx((100.0 / 4, 100.0 / 10))


def test_waiting_for_the_partner_dephases_as_exponential_gaps_do():
    """The first pair waits 1/rate on average; both of its qubits dephase with T2 each."""
    forgetful = msgspec.structs.replace(
        PERFECT,
        communication=msgspec.structs.replace(PERFECT.communication, t1_s=math.inf, t2_s=0.5),
    )
    instant = msgspec.structs.replace(
        forgetful,
        gate_1q=msgspec.structs.replace(PERFECT.gate_1q, duration_s=0.0),
        gate_2q=msgspec.structs.replace(PERFECT.gate_2q, duration_s=0.0),
        readout=msgspec.structs.replace(PERFECT.readout, duration_s=0.0),
    )
    circuit = Circuit(2, PARITY)
    found = told(circuit, (1.0, 1.0, 1.0), 10.0, platform=instant)
    left = 1 / (1 + 2 / 0.5 / 10.0)
    assert found.correlators == pytest.approx((left, left, 1.0))
    far = told(circuit, (1.0, 1.0, 1.0), 10.0, 10**10, platform=instant)
    assert far.correlators[0] == pytest.approx(left * math.exp(-2 * 0.01 / 0.5))


def test_noise_of_gates_and_read_out_enters():
    noisy = msgspec.structs.replace(
        PERFECT, gate_2q=msgspec.structs.replace(PERFECT.gate_2q, fidelity=0.97)
    )
    better, worse = told(DEUTSCH, werner(0.9)), told(DEUTSCH, werner(0.9), platform=noisy)
    assert sum(worse.correlators) < sum(better.correlators)
    assert worse.rate_hz < better.rate_hz


@pytest.mark.parametrize(
    ("slots", "parameters", "text"),
    [
        ((1, 0), {}, "a must have >= 2 memory slots .* it has 0"),
        ((1, 1), {}, "a must have >= 2 memory slots .* it has 1"),
        ((2, 2), {"rounds": 2}, "a must have >= 3 memory slots .* it has 2"),
        ((1, 5), {"store": False}, "a must have >= 2 communication slots .* it has 1"),
    ],
)
def test_ends_with_too_few_slots_are_refused(slots, parameters, text):
    small = msgspec.structs.replace(PERFECT, communication_slots=slots[0], memory_slots=slots[1])
    with pytest.raises(ValueError, match=text):
        told(DEUTSCH, werner(0.9), platform=small, **parameters)


@pytest.mark.parametrize(
    ("slots", "parameters"),
    [((1, 2), {}), ((2, 0), {}), ((2, 0), {"rounds": 3, "pumping": True}), ((1, 0), {"rounds": 0})],
)
def test_ends_with_just_enough_slots_are_not(slots, parameters):
    small = msgspec.structs.replace(PERFECT, communication_slots=slots[0], memory_slots=slots[1])
    assert told(DEUTSCH, werner(0.9), platform=small, **parameters).rate_hz > 0
