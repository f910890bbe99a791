"""Runs of links that share the detectors of one switched station: rates as predicted, no silence in the dark."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from pathlib import Path

import pytest

from qnet.plan import RunPlan
from qnet.runtime.run import RunOptions, run
from qnet.topology import compile_topology, load
from qnet.units import seconds

RACKS = Path(__file__).parents[2] / "deploy" / "topologies" / "switched-racks.toml"
SIGMAS = 3.0
PERIODS = 42
DWELL_PS, TURN_PS = 10**9, 6 * 10**9
"""A millisecond of light for each of two links, then five to set the switch: a period of 12 ms."""


def racks(protocol: str = "egp", flows: tuple[str, ...] = ("a>b", "c>d")) -> RunPlan:
    """Links ab (which takes the first turn) and cd at one station, with requests that do not end in time."""
    return compile_topology(
        {
            "name": "racks",
            "nodes": {
                **{node: {"platform": "ideal"} for node in "abcd"},
                "fabric": {
                    "kind": "station",
                    "switch": {"dwell_s": 1e-3, "reconfigure_s": 5e-3, "efficiency_prob": 0.9},
                },
            },
            "links": {
                ends: {
                    "ends": list(ends),
                    "station": "fabric",
                    "length_m": lengths_m,
                    "loss_db_per_km": 0.2,
                    "protocol": protocol,
                }
                for ends, lengths_m in (("ab", [60.0, 20.0]), ("cd", [700.0, 750.0]))
            },
            "app": {
                "name": "load",
                "flows": list(flows),
                "pairs": [1_000_000],
                "poisson": False,
                "rates_hz": [1e6],
                "duration_s": 1.5e-6,
            },
            "run": {"seed": 4, "until_s": PERIODS * 2 * TURN_PS * 1e-12},
        }
    )


def delivered(plan: RunPlan, folder: Path) -> list[tuple[str, str, int]]:
    """Link, request and instant of the click of every pair."""
    outcome = run(plan, RunOptions("embedded", folder=folder))
    assert outcome.status == "done", outcome.fault
    with (folder / "pairs.csv").open() as file:
        return [
            (row["link"], row["request"], int(row["created_at_ps"])) for row in csv.DictReader(file)
        ]


def compared(folder: Path) -> int:
    """How often an end took the darkness for silence and asked its peer where it is."""
    sent = 0
    for line in (folder / "trace.jsonl").read_text().splitlines()[1:]:
        effects = json.loads(line).get("effects", ())
        sent += sum("compare_progress" in str(effect.get("kind")) for effect in effects)
    return sent


def assert_rates(plan: RunPlan, pairs: list[tuple[str, str, int]]) -> None:
    """Pairs per window against the prediction, without the last window and the first two.

    (The first time bin belongs to nobody, for it began before the requests.) Windows are independent, for every
    one finds the link ready, so the error of their mean is that of the sample: about 4 or 5 of 40 pairs in each
    of 39 windows, 2 % of the rate; the bound is three times that.
    """
    for turn, link in enumerate(plan.links):
        counts = Counter(at // (2 * TURN_PS) for name, _, at in pairs if name == link.name)
        windows = [counts[k] for k in range(2, PERIODS - 1)]
        mean = sum(windows) / len(windows)
        error = math.sqrt(sum((n - mean) ** 2 for n in windows) / (len(windows) - 1) / len(windows))
        assert link.window is not None
        expected = link.estimate.rate_hz * seconds(link.window.period)
        assert expected > 30
        assert 0.0 < error < 0.03 * expected
        assert abs(mean - expected) < SIGMAS * error
        for name, _, at in pairs:
            if name == link.name:
                assert turn * TURN_PS <= at % (2 * TURN_PS) < turn * TURN_PS + DWELL_PS


@pytest.mark.slow
def test_two_links_get_the_rates_that_their_shares_predict(tmp_path: Path) -> None:
    plan = racks()
    pairs = delivered(plan, tmp_path)
    assert_rates(plan, pairs)
    # 20 mean times per pair are shorter than the darkness of 11 ms: it is not taken for silence.
    for link in plan.links:
        assert 20.0 / link.estimate.rate_hz < 11e-3
    assert compared(tmp_path) == 0


@pytest.mark.slow
def test_time_bins_behind_a_switch_share_its_light(tmp_path: Path) -> None:
    """Two requests on each link, whose bins of two periods alternate: as many windows for each of them."""
    plan = racks("tdma", ("a>b", "b>a", "c>d", "d>c"))
    pairs = delivered(plan, tmp_path)
    assert_rates(plan, pairs)
    assert compared(tmp_path) == 0
    for link in plan.links:
        served = Counter(request for name, request, _ in pairs if name == link.name)
        assert len(served) == 2
        owners: dict[int, set[str]] = {}
        for name, request, at in pairs:
            if name == link.name:
                owners.setdefault(at // (4 * TURN_PS), set()).add(request)
        assert all(len(one) == 1 for one in owners.values())
        # Ten bins of two windows each, or eleven; and counts vary less than Poisson's do.
        one, two = served.values()
        bin_pairs = link.estimate.rate_hz * seconds(4 * TURN_PS)
        assert abs(one - two) < bin_pairs + SIGMAS * math.sqrt(one + two)


@pytest.mark.slow
@pytest.mark.processes
def test_racks_give_one_trace_embedded_and_as_processes(tmp_path: Path) -> None:
    plan = load(RACKS, ["duration_s=0.05"])
    found = set()
    for mode in ("embedded", "processes"):
        folder = tmp_path / mode
        folder.mkdir()
        outcome = run(plan, RunOptions(mode, folder=folder))
        assert outcome.status == "done", outcome.fault
        found.add(outcome.summary["trace_sha256"])
        for request in outcome.summary["requests"]:
            assert request["delivered"] == request["requested"] > 10
    assert len(found) == 1
