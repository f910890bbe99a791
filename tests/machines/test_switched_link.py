"""Link protocols behind a switch: the darkness is no silence of the peer, and admission knows the windows."""

from __future__ import annotations

import pytest

from qnet.errors import ConfigError
from qnet.ids import RequestId
from qnet.layers.link import Create, ErrorCode
from qnet.plan import Estimate, Window
from qnet.units import Duration, Instant
from qnet_protocols.link.admission import Timing, fastest_run, refusal
from qnet_protocols.link.tdma import PROTOCOL as TDMA
from qnet_protocols.link.tdma import bin_of, guard_of

from .harness import ALICE, BOB, CYCLE, context, link_plan

LIGHT, DARK = 10 * CYCLE, 90 * CYCLE
PERIOD = LIGHT + DARK
START = 4 * CYCLE
WINDOW = Window(Duration(PERIOD), Duration(START), Duration(LIGHT))
ESTIMATE = Estimate(
    0.5, Duration(CYCLE), 0.95, 0.94, 0.005, 5 / (PERIOD * 1e-12), (0.92, 0.92, 0.92)
)
"""Five pairs in each window: the mean time per pair is 20 cycles, much less than the darkness."""
MEAN = PERIOD // 5


def timing(window: Window | None = WINDOW) -> Timing:
    return Timing.of(context(ALICE, estimate=ESTIMATE, window=window))


def refused(number: int = 1, *, max_time: int, ahead: int = 0, now: int = START):
    create = Create(RequestId("alice/1"), BOB, number, 0.0, Duration(max_time), 7)
    here = context(ALICE, estimate=ESTIMATE, window=WINDOW)
    return refusal(
        create, context=here, timing=timing(), queued=0, pairs_ahead=ahead, now=Instant(now)
    )


@pytest.mark.parametrize("offset", range(0, PERIOD, CYCLE // 2 + 1))
def test_wait_for_a_herald_has_the_light_of_twenty_mean_times(offset):
    """Wherever it begins: without the darkness in it, a wait could be dark to a third of its end."""
    plain, switched = timing(None), timing()
    assert switched.ask_wait == plain.ask_wait + DARK
    light = 20 * MEAN * LIGHT // PERIOD
    assert WINDOW.lasted(offset, light) - offset <= switched.ask_wait


def test_answers_of_the_peer_do_not_pass_the_switch():
    assert timing().answer_wait == timing(None).answer_wait
    assert timing().handshake == timing(None).handshake


@pytest.mark.parametrize(
    ("pairs", "now", "expected"),
    [
        (0, START, 0),
        (0, START + LIGHT - 1, 0),
        (0, START + LIGHT, DARK),
        (0, 0, START),
        (1, START, 2 * CYCLE),  # five pairs in ten cycles of light
        (5, START, LIGHT),
        (6, START, PERIOD + 2 * CYCLE),
        (1, START + LIGHT - CYCLE, CYCLE + DARK + CYCLE),
        (11, START + PERIOD // 2, PERIOD // 2 + 2 * PERIOD + 2 * CYCLE),
    ],
)
def test_forecast_follows_the_windows_that_come(pairs, now, expected):
    assert timing().forecast(pairs, Instant(now)) == expected
    assert timing(None).forecast(pairs, Instant(now)) == pairs * MEAN


def test_request_that_ends_before_the_light_has_no_time():
    code, words = refused(max_time=DARK - 1, now=START + LIGHT)
    assert code is ErrorCode.NOTIME
    assert f">= {DARK} ps for the 0 pairs ahead and the darkness of the switch" in words
    assert refused(max_time=DARK, now=START + LIGHT) is None
    assert refused(max_time=CYCLE, now=START + LIGHT - 1) is None


def test_pairs_ahead_take_the_windows_that_they_need():
    assert refused(max_time=LIGHT, ahead=5) is None
    assert refused(max_time=LIGHT - 1, ahead=5)[0] is ErrorCode.NOTIME
    # The mean time alone would refuse this one: five pairs of twenty cycles each.
    assert LIGHT < 5 * MEAN
    assert refused(max_time=LIGHT, ahead=6)[0] is ErrorCode.NOTIME


def test_no_request_is_faster_than_its_attempts_fit_into_windows():
    plan = link_plan(window=WINDOW)
    assert fastest_run(link_plan(), 25) == 25 * CYCLE
    assert fastest_run(plan, 10) == 10 * CYCLE
    assert fastest_run(plan, 11) == 11 * CYCLE + DARK - CYCLE
    assert fastest_run(plan, 25) == 25 * CYCLE + 2 * (DARK - CYCLE)
    least = fastest_run(plan, 11)
    assert refused(11, max_time=least) is None
    code, words = refused(11, max_time=least - 1)
    assert code is ErrorCode.UNSUPP
    assert f"max_time must be >= {least} ps" in words


@pytest.mark.parametrize("first", range(0, PERIOD, CYCLE // 3))
def test_fastest_run_is_a_lower_bound_on_the_grid(first):
    """From the first emission of so many lit attempts to the last and one cycle, wherever the grid lies."""
    plan = link_plan(window=WINDOW)
    lit = [e for e in range(first, first + 4 * PERIOD, CYCLE) if WINDOW.lit_from(e) == e]
    for number in (1, 9, 10, 11, 20, 21, 25):
        assert lit[number - 1] - lit[0] + CYCLE >= fastest_run(plan, number)


def test_default_bins_hold_whole_periods():
    plan = link_plan(window=WINDOW, estimate=ESTIMATE)
    length = bin_of(plan, 0.0)
    assert length % PERIOD == 0
    assert length >= guard_of(plan) + 4 * MEAN
    assert length >= guard_of(plan) + PERIOD
    slow = Estimate(0.5, Duration(CYCLE), 0.95, 0.94, 0.005, 1 / (PERIOD * 1e-12), (0.9, 0.9, 0.9))
    assert bin_of(link_plan(window=WINDOW, estimate=slow), 0.0) == 5 * PERIOD


def test_bin_that_could_be_dark_is_refused():
    guard = guard_of(link_plan())
    shortest_s = (guard + PERIOD) * 1e-12
    wanted = {"bin_s": shortest_s * (1 - 1e-9)}
    with pytest.raises(ConfigError, match="guard and one switch period of alice-bob") as caught:
        TDMA.make_end(context(ALICE, protocol_parameters=wanted, window=WINDOW))
    assert caught.value.path == "links.alice-bob.protocol_parameters.bin_s"
    wanted = {"bin_s": shortest_s}
    TDMA.make_end(context(ALICE, protocol_parameters=wanted, window=WINDOW))
    TDMA.make_end(context(ALICE, protocol_parameters={"bin_s": (guard + CYCLE) * 1e-12}))
