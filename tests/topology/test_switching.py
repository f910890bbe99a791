"""Stations with a switch: windows of the plan, loss, refusals, and the rate that the windows leave."""

from __future__ import annotations

from typing import Any

import pytest

from qnet.errors import ConfigError
from qnet.hardware import Switch
from qnet.physics.windows import mean_lit
from qnet.plan import Estimate, LinkPlan, RunPlan, Window
from qnet.topology import compile_topology, describe
from qnet.topology.check import At
from qnet.topology.estimate import Timing, estimate
from qnet.topology.paths import choose_cutoff_s
from qnet.topology.switching import window
from qnet.units import Duration

from .networks import pair
from .test_estimate import outcomes, platform

MS, US = 1_000_000_000, 1_000_000
SWITCH: dict[str, Any] = {"dwell_s": 1e-3, "reconfigure_s": 1e-5}
NAMES = "abcdef"


def fabric(links: int, switch: dict[str, Any] | None = None, **link: Any) -> dict[str, Any]:
    """So many links, each with two nodes of its own, at one station; link 0 joins a0 and b0."""
    data = pair(**link)
    only = data["links"].pop("alice-bob")
    data["nodes"] = {"middle": {"kind": "station"}}
    if switch is not None:
        data["nodes"]["middle"]["switch"] = switch
    for number in range(links):
        ends = [f"a{number}", f"b{number}"]
        data["nodes"] |= {end: {"platform": "ideal"} for end in ends}
        data["links"][f"link{number}"] = {**only, "ends": ends}
    data["app"] = {"name": "deliver", "from_node": "a0", "to_node": "b0"}
    return data


def compiled(links: int, switch: dict[str, Any] | None = None, **link: Any) -> RunPlan:
    return compile_topology(fabric(links, switch, **link), "net.toml")


def turns(plan: RunPlan) -> list[int | None]:
    """When each link is connected at the station, in units of a turn; None for always."""
    found: list[int | None] = []
    for link in plan.links:
        if link.window is None:
            found.append(None)
            continue
        begin = (link.window.start + max(link.flights)) % link.window.period
        found.append(begin // (MS + 10 * US))
        assert begin % (MS + 10 * US) == 0
        assert link.window.length == MS
    return found


@pytest.mark.parametrize(
    ("links", "ports", "expected", "in_a_round"),
    [
        (1, 1, [None], 0),
        (2, 1, [0, 1], 2),
        (3, 1, [0, 1, 2], 3),
        (3, 2, [0, 0, 1], 2),
        (4, 2, [0, 0, 1, 1], 2),
        (5, 2, [0, 0, 1, 1, 2], 3),
        (3, 3, [None] * 3, 0),
        (3, 7, [None] * 3, 0),
    ],
)
def test_links_take_turns_in_order_of_name(links, ports, expected, in_a_round):
    plan = compiled(links, {**SWITCH, "ports": ports})
    assert turns(plan) == expected
    periods = {link.window.period for link in plan.links if link.window}
    assert periods == ({in_a_round * (MS + 10 * US)} if in_a_round else set())


def test_windows_are_seen_from_the_longer_arm():
    """Photons that arrive together at the station left the longer arm its flight before."""
    data = fabric(2, SWITCH)
    data["links"]["link1"]["length_m"] = [10.0, 100_000.0]
    plan = compile_topology(data, "net.toml")
    assert turns(plan) == [0, 1]
    first, second = (link.window for link in plan.links)
    assert (second.start - first.start) % first.period < MS + 10 * US


def test_turns_of_other_stations_do_not_count():
    data = fabric(3, SWITCH)
    data["nodes"]["other"] = {"kind": "station"}
    data["links"]["link1"]["station"] = "other"
    plan = compile_topology(data, "net.toml")
    assert turns(plan) == [0, None, 1]


def test_switch_weakens_both_arms_at_its_station_only():
    plain, lossy = compiled(1).links[0], compiled(1, {**SWITCH, "efficiency_prob": 0.8}).links[0]
    assert lossy.window is None
    for name in ("eta_a", "eta_b"):
        expected = 0.8 * getattr(plain.optics, name)
        assert getattr(lossy.optics, name) == pytest.approx(expected, rel=1e-12)
    both = compiled(1, {**SWITCH, "efficiency_prob": 0.8}, transmission_prob=0.5).links[0]
    assert both.optics.eta_a == pytest.approx(0.4 * plain.optics.eta_a, rel=1e-12)


def test_rounds_of_an_attempt_pass_in_one_turn():
    """With several rounds the first photons come ``held`` before the last: the window loses that."""
    held = 30 * US
    timing = Timing(
        (Duration(4 * US), Duration(6 * US)), Duration(50 * US), Duration(31 * US),
        (Duration(0), Duration(0)), Duration(held),
    )  # fmt: skip
    found = window(Switch(1e-3, 1e-5), ["x", "y"], "y", timing, At("net.toml"))
    period = 2 * (MS + 10 * US)
    assert found == Window(
        Duration(period), Duration(MS + 10 * US - 6 * US + held), Duration(MS - held)
    )
    with pytest.raises(ConfigError, match=r"dwell_s: must be >= 8e-05 s, .* of y, got 7.9e-05"):
        window(Switch(7.9e-5), ["x", "y"], "y", timing, At("net.toml"))


@pytest.mark.parametrize(
    ("switch", "text"),
    [
        ({"dwell_s": 9e-6}, "switch.dwell_s: must be >= 1e-05 s, one attempt cycle of link0, got 9e-06"),
        ({"dwell_s": 0.0}, "switch.dwell_s: must obey 0 < dwell_s <= 100000, got 0.0"),
        ({"dwell_s": 6e4}, "switch.dwell_s: 2 turns of dwell_s + reconfigure_s must take <= 100000 s"),
        ({"reconfigure_s": -1e-6}, "switch.reconfigure_s: must obey 0 <= reconfigure_s"),
        ({"efficiency_prob": 1.1}, "switch.efficiency_prob: must obey 0 <= efficiency_prob <= 1"),
        ({"efficiency_prob": 0.0}, "links.link0: scheme double-click refuses this link"),
        ({"ports": 0}, "switch.ports: must obey 1 <= ports <= 10000, got 0"),
        ({"ports": 1.5}, "switch.ports: must be a whole number, got 1.5"),
        ({"port": 1}, "switch.port: is not a known key, got 1. Did you mean 'ports'?"),
        ({"dwell_ms": 1}, "switch.dwell_ms: is not a known key, got 1. Write dwell_s (seconds)"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_place_constraint_and_value(switch, text):
    with pytest.raises(ConfigError) as caught:
        compiled(2, {**SWITCH, **switch})
    assert text in str(caught.value)
    assert str(caught.value).startswith("net.toml: ")


def test_switch_needs_a_dwell_and_is_a_table():
    with pytest.raises(ConfigError, match=r"nodes\.middle\.switch\.dwell_s: is required"):
        compiled(2, {"ports": 1})
    with pytest.raises(ConfigError, match=r"nodes\.middle\.switch: must be a table, got 3"):
        compiled(2, 3)  # type: ignore[arg-type]


def test_short_dwell_is_no_matter_if_nobody_takes_turns():
    assert compiled(2, {"dwell_s": 1e-9, "ports": 2}).links[0].window is None


def test_share_of_the_time_is_shown_if_it_is_less_than_all():
    def shares(plan: RunPlan) -> list[object] | None:
        links = next(one for one in describe(plan) if one.title == "links")
        if "time_share" not in links.columns:
            return None
        return [row[links.columns.index("time_share")] for row in links.rows]

    assert shares(compiled(3)) is None
    assert shares(compiled(3, {**SWITCH, "ports": 3})) is None
    assert shares(compiled(2, SWITCH)) == [pytest.approx(1.0 / 2.02)] * 2
    data = fabric(3, SWITCH)
    data["nodes"]["other"] = {"kind": "station"}
    data["links"]["link2"]["station"] = "other"
    assert shares(compile_topology(data)) == [pytest.approx(1.0 / 2.02)] * 2 + [1.0]


# ---------------------------------------------------------------- prediction


def predicted(at: Window | None, timing: Timing) -> Estimate:
    ends = (platform(1.0, 1.0, 1.0), platform(1.0, 1.0, 1.0))
    return estimate(outcomes(), timing, ends, at)


def timing(cycle: int, correction: int = 0) -> Timing:
    return Timing(
        (Duration(2 * US), Duration(3 * US)), Duration(cycle), Duration(1 * US),
        (Duration(correction), Duration(0)),
    )  # fmt: skip


def test_rate_is_the_share_of_the_time_if_a_pair_costs_no_attempt():
    """Preparation and two flights are less than a cycle: every lit attempt is made."""
    at = Window(Duration(300 * US), Duration(17 * US), Duration(100 * US))
    for cycle in (7 * US, 9_999_991, 10 * US):
        full, part = predicted(None, timing(cycle)), predicted(at, timing(cycle))
        share = mean_lit(US - at.start, cycle, at.period, at.length) * cycle / at.period
        assert part.rate_hz == pytest.approx(share * full.rate_hz, rel=1e-12)
        assert share == pytest.approx(at.share, rel=1.5e-6 if cycle == 9_999_991 else 0.03)
        assert (part.goodness, part.success_prob) == (full.goodness, full.success_prob)


def test_window_of_the_whole_period_leaves_the_rate_nearly():
    """Only the windows' beginnings, where nobody recovers, and the missing darkness make a difference."""
    at = Window(Duration(10**9), Duration(0), Duration(10**9))
    full, part = (predicted(one, timing(10 * US, 25 * US)) for one in (None, at))
    assert part.rate_hz == pytest.approx(full.rate_hz, rel=1e-12)


def simulated_hz(at: Window, cycle: int, preparation: int, taken: int, prob: float) -> float:
    """Rate by the chain of attempts left out after a success, over many periods, on the grid itself."""
    waiting = [1.0] + [0.0] * (taken - 1)
    clicks, count = 0.0, 40 * at.period // cycle
    for number in range(count):
        chance = prob if (preparation + number * cycle - at.start) % at.period < at.length else 0.0
        clicks += waiting[0] * chance
        after = [*waiting[1:], 0.0]
        after[0] += waiting[0] * (1.0 - chance)
        after[taken - 1] += waiting[0] * chance
        waiting = after
    return clicks / (count * cycle * 1e-12)


@pytest.mark.parametrize("correction", [0, 12 * US, 25 * US, 60 * US])
@pytest.mark.parametrize("length", [20 * US, 130 * US])
def test_rate_with_dead_time_is_that_of_the_chain_on_the_grid(correction, length):
    at = Window(Duration(300 * US), Duration(40 * US), Duration(length))
    cycle, found = 10 * US, predicted(at, timing(10 * US, correction))
    taken = -(-(US + 6 * US + correction) // cycle)
    expected = simulated_hz(at, cycle, US, taken, found.success_prob)
    assert found.rate_hz == pytest.approx(expected, rel=1e-9)


def test_dead_time_longer_than_the_darkness_counts_with_the_share():
    """Not exact, and the head says so: within 5 % here."""
    at = Window(Duration(100 * US), Duration(0), Duration(45 * US))
    found = predicted(at, timing(10 * US, 75 * US))
    expected = simulated_hz(at, 10 * US, US, 9, found.success_prob)
    assert found.rate_hz == pytest.approx(expected, rel=0.05)


def test_lowest_rate_counts_the_darkness():
    """2e-5 pairs/s without a switch; with a quarter of the time it is refused."""
    weak = {"loss_db_per_km": 4.7e3}
    alone = compiled(1, **weak).links[0].estimate.rate_hz
    assert 1.5e-5 < alone < 2.5e-5
    with pytest.raises(ConfigError, match="predicted rate must be >= 1e-05 pairs/s"):
        compiled(2, {"dwell_s": 1e-3, "reconfigure_s": 1e-3}, **weak)


def test_short_cutoff_waits_for_the_darkness():
    plan = compiled(2, SWITCH)
    link: LinkPlan = plan.links[0]
    inner = [platform(1.0, 1.0, 1.0).communication]
    dark_s = 1.02e-3
    mean_s = 1.0 / link.estimate.rate_hz
    assert choose_cutoff_s([link, link], inner, "short", success_prob=0.5) == pytest.approx(
        dark_s + mean_s * 0.6931471805599453, rel=1e-9
    )
