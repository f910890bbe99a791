"""Circuits as an application opens them, and one request over several of them at once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.topology import load
from qnet_protocols.apps.multipath import shares

from .networks import result_of, run_embedded

RING = Path(__file__).parents[2] / "deploy/topologies/metro-ring.toml"
"""Two ways from north to south without a common link."""
ASK = ("app.from_node=north", "app.to_node=south", "app.pairs=120")
UPPER = ["north", "northeast", "southeast", "south"]
LOWER = ["north", "northwest", "southwest", "south"]


def over_ring(*settings: str):
    """What the requester and the provider saw."""
    settings = ("app.name=multipath", *ASK, *settings)
    outcome = run_embedded(load(RING, list(settings), seed=3))
    found = result_of(outcome, "north"), result_of(outcome, "south")
    assert "held_at_end" not in outcome.summary
    return found


def test_app_multipath_rates_of_disjoint_paths_add_up():
    (two, seen), (one, _) = over_ring(), over_ring("app.paths=1")
    assert (two["delivered"], two["error"], seen) == (120, "", {"delivered": 120, "error": ""})
    assert [path["nodes"] for path in two["paths"]] == [UPPER, LOWER]
    assert [path["delivered"] for path in two["paths"]] == [60, 60]
    # Times of 60 and 120 pairs spread by about 1/sqrt(60) each; twice the rate within 3 sigma.
    assert two["rate_hz"] / one["rate_hz"] == pytest.approx(2.0, rel=3 * (2 / 60) ** 0.5)


def test_app_multipath_goes_on_without_a_route_that_does_not_exist():
    found, seen = over_ring("app.paths=3")
    assert (found["delivered"], found["error"], seen["delivered"]) == (120, "", 120)
    absent = found["paths"][2]
    assert (absent["nodes"], absent["delivered"]) == ([], 0)
    assert "UNSUPP at north: north must have route 2 to south, it has 2" in absent["error"]


CUT = ("kind=cut", "link=north_northeast", "start_s=0.02")


def test_app_multipath_moves_the_rest_of_a_broken_path():
    found, seen = over_ring(*(f"faults.digger.{words}" for words in CUT))
    upper, lower = found["paths"]
    assert (found["delivered"], found["error"]) == (120, "")
    assert "link north_northeast must bring a pair within" in upper["error"]
    assert upper["delivered"] < 60 < lower["delivered"]
    assert seen["delivered"] >= 120  # pairs that the break made void at north were seen at south


def test_app_multipath_says_why_nothing_is_left():
    found, seen = over_ring("app.minimum_fidelity=0.99")
    assert found["delivered"] == 0
    assert [path["nodes"] for path in found["paths"]] == [[], []]
    assert found["error"].count("UNSUPP") == 2
    assert seen == {"delivered": 0, "error": found["error"]}


def test_app_multipath_ends_in_time():
    found, seen = over_ring("app.within_s=0.02")
    assert 0 < found["delivered"] < 120
    assert found["error"].count("TIMEOUT") == 2
    assert seen["error"] == found["error"]


@given(st.integers(1, 1000), st.lists(st.floats(0, 1e6), min_size=1, max_size=9))
def test_app_multipath_shares(pairs: int, rates_hz: list[float]):
    divided = shares(pairs, rates_hz)
    assert sum(divided) == pairs
    total = sum(rates_hz)
    for share, rate_hz in Counter(zip(divided, rates_hz, strict=True)):
        exact = pairs * (rate_hz / total if total else 1 / len(rates_hz))
        assert abs(share - exact) <= 1 + 1e-6
