"""Dephasing by attempts: closed forms, and claims that cover whatever number of attempts was made."""

from __future__ import annotations

import math
from itertools import product

import msgspec
import pytest

from qnet.errors import ConfigError
from qnet.hardware import Coherence
from qnet.ids import SlotId
from qnet.physics.attempts import (
    NO_ATTEMPTS,
    AttemptNoise,
    exponent,
    kept_coherence,
    range_after,
    rate_hz,
    while_attempting,
    worst,
)
from qnet.physics.bell import fidelity_from_correlators
from qnet.physics.claims import DecayRates, Hardware, Noise, claim, decay_rates, storage
from qnet.physics.swapping import perfect_swap
from qnet.units import Duration, Instant, duration_from_s
from qnet_nodes.ideal import IDEAL
from qnet_protocols.link.claims import Claim, disturbed
from qnet_protocols.purification.prediction import Input, Side, predict, stored
from tests.apps.networks import pair_of_nodes

P1 = 1 / 3000
CYCLES = (Duration(10_000_000), Duration(7_000_000))
WORST = worst(P1, CYCLES)
MS = 10**9


def most(time_ps: int) -> int:
    """Largest number of points that grids of these cycles have in a half-open interval."""
    return sum(-(-time_ps // cycle) for cycle in CYCLES)


@pytest.mark.parametrize("prob", [1e-6, 1 / 3000, 0.1, 0.499])
def test_coherence_is_the_power_of_the_number_of_attempts(prob):
    for attempts in (0, 1, 7, 1000):
        assert kept_coherence(prob, attempts) == pytest.approx((1 - 2 * prob) ** attempts, rel=1e-9)
    assert kept_coherence(prob, 1) ** (1 / exponent(prob)) == pytest.approx(1 / math.e)


def test_without_dephasing_there_is_no_noise():
    assert kept_coherence(0.0, 10**9) == 1.0
    assert worst(0.0, CYCLES) == NO_ATTEMPTS
    assert rate_hz(0.0, CYCLES[0]) == 0.0
    assert range_after(NO_ATTEMPTS, 1.0) == (1.0, 0.0)
    assert decay_rates(Coherence(2.0, 1.0)) == (0.5, 1.0)
    assert while_attempting(Coherence(2.0, 1.0), 0.0) == Coherence(2.0, 1.0)


def test_range_holds_from_no_attempt_to_the_most_that_grids_allow():
    for time_ps in (1, 6_999_999, 10_000_000, 3 * MS, 100 * MS):
        middle, half = range_after(WORST, time_ps * 1e-12)
        assert middle + half == pytest.approx(1.0)
        assert middle - half <= kept_coherence(P1, most(time_ps)) + 1e-12
    assert range_after(WORST, 0.0) == range_after(WORST, -1.0) == (1.0, 0.0)


def test_mean_rate_is_that_of_a_link_that_attempts_all_the_time():
    memory = while_attempting(Coherence(math.inf, 0.5), rate_hz(P1, CYCLES[0]))
    assert math.exp(-0.01 / memory.t2_s) == pytest.approx(
        math.exp(-0.01 / 0.5) * kept_coherence(P1, 1000)
    )


@pytest.mark.parametrize("time_ms", [0.001, 0.4, 5.0, 60.0])
@pytest.mark.parametrize("pair", [(1.0, 1.0, 1.0), (0.9, 0.8, 0.95), (0.2, -0.4, 0.6)])
def test_claims_of_two_stored_halves_cover_every_number_of_attempts(time_ms, pair):
    time_ps = round(time_ms * MS)
    rates = decay_rates(Coherence(), WORST)
    once = storage(rates, Instant(0), Instant(time_ps))
    said = claim(Noise(pair).then(once).then(once), 0.0)
    numbers = [0, 1, most(time_ps) // 2, most(time_ps)]
    for mine, theirs in product(numbers, repeat=2):
        kept = kept_coherence(P1, mine + theirs)
        true = fidelity_from_correlators(perfect_swap(pair, (kept, kept, 1.0)))
        assert abs(true - said.goodness) <= said.error + 1e-12


def test_stated_error_of_one_half_of_a_perfect_pair_is_tight():
    rates = decay_rates(Coherence(), WORST)
    said = claim(storage(rates, Instant(0), Instant(5 * MS)), 0.0)
    m = math.exp(-5e-3 * WORST.rate_hz - WORST.once)
    assert said.goodness - said.error == pytest.approx((1 + m) / 2)
    assert said.goodness + said.error == pytest.approx(1.0)


def test_only_memory_slots_of_a_node_are_disturbed():
    platform = msgspec.structs.replace(IDEAL.platform, attempt_dephasing_prob=P1)
    hardware = Hardware(platform, CYCLES)
    assert hardware.rates(SlotId(0)) == (0.0, 0.0)
    assert hardware.rates(SlotId(2)) == (0.0, 0.0, *WORST)
    assert Hardware(IDEAL.platform, CYCLES).rates(SlotId(2)) == (0.0, 0.0)


@pytest.mark.parametrize(("figures", "good"), [(1, False), (2, True), (4, True), (5, False)])
def test_decay_figures_of_a_message_have_two_or_four_numbers(figures, good):
    body = msgspec.msgpack.encode([0.5] * figures)
    if good:
        assert msgspec.msgpack.decode(body, type=DecayRates) == (0.5,) * figures
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(body, type=DecayRates)


def test_a_link_claims_the_middle_at_both_ends():
    plain = Claim((1.0, 1.0, 1.0), 1.0, 0.01)
    assert disturbed(plain, (NO_ATTEMPTS, NO_ATTEMPTS), Duration(MS)) == plain
    found = disturbed(plain, (WORST, WORST), Duration(MS))
    for mine, theirs in product((0, most(MS)), repeat=2):
        true = (1 + kept_coherence(P1, mine + theirs)) / 2
        assert abs(true - found.goodness) <= found.error - 0.01 + 1e-12


def purifying(attempts: AttemptNoise, wait_ps: int):
    """One perfect pair whose claim is ``wait_ps`` old as an empty program begins; kept for 1 ms more."""
    start = Instant(wait_ps)
    side = Side(IDEAL.platform, ("memory",), start, (), attempts)
    inputs = [Input((1.0, 1.0, 1.0), 0.0, Instant(0))]
    return predict((), inputs, (side, side), (), Instant(start + MS))


def test_a_kept_pair_is_predicted_with_what_attempts_may_do_before_and_after_its_program():
    quiet, noisy = purifying(NO_ATTEMPTS, 3 * MS), purifying(WORST, 3 * MS)
    assert (quiet.correlators, quiet.error) == ((1.0, 1.0, 1.0), 0.0)
    for before, after in product((0, most(3 * MS)), (0, most(MS))):
        true = (1 + kept_coherence(P1, 2 * (before + after))) / 2
        assert abs(true - noisy.goodness) <= noisy.error
    kept = stored(
        Input((1.0, 1.0, 1.0), 0.0, Instant(0)),
        [Side(IDEAL.platform, ("memory",), Instant(0), (), WORST)] * 2,
        Instant(MS),
    )
    for number in (0, 2 * most(MS)):
        assert abs((1 + kept_coherence(P1, number)) / 2 - kept.goodness) <= kept.error


def test_an_attempt_that_always_forgets_is_refused_with_the_rule():
    with pytest.raises(ConfigError, match=r"attempt_dephasing_prob.* <= 0\.499.* 0\.5"):
        pair_of_nodes({"name": "deliver"}, {"attempt_dephasing_prob": 0.5})


def test_a_description_sets_the_dephasing_of_a_node_and_a_plan_leaves_out_none():
    plan = pair_of_nodes({"name": "deliver"}, {"attempt_dephasing_prob": P1})
    cycle = plan.links[0].cycle
    assert plan.attempt_noise("alice") == worst(P1, [cycle])
    assert plan.attempt_noise("middle") == NO_ATTEMPTS
    quiet = pair_of_nodes({"name": "deliver"})
    assert b"attempt_dephasing" not in msgspec.msgpack.encode(quiet)
    assert duration_from_s(1.0 / worst(P1, [cycle]).rate_hz) == pytest.approx(
        cycle / exponent(P1), rel=1e-9
    )
