"""Flows at given rates, and the map of a network; error bars are 3 standard errors of fixed seeds."""

from __future__ import annotations

import math

import msgspec
import pytest

from qnet.ids import PairId
from qnet.physics.estimation import jain_index
from qnet_protocols.apps import fidelity_map, load

from .networks import result_of, run_embedded, star

WERNER = {"emission": {"spin_photon_fidelity": 0.97}}
F_PAIR = 0.9412


def load_plan(flows, **more):
    nodes = sorted({end for flow in flows for end in flow.split(">")})
    wanted = {"flows": flows, "nodes": nodes, **more}
    return star(("alice", "bob"), "load", wanted, dict.fromkeys(nodes, "user"))


def test_app_load_at_equal_intervals_offers_what_it_says():
    wanted = {"duration_s": 0.5, "rates_hz": (100.0, 50.0), "pairs": (1, 2), "poisson": False}
    outcome = run_embedded(load_plan(("alice>centre", "bob>centre"), **wanted))
    found = result_of(outcome, "alice")
    first, second = found["flows"]
    assert (first["offered"], second["offered"]) == (50, 25)
    assert first["completed"] + first["unfinished"] == 50
    assert first["delivered"] == second["delivered"] == 50
    assert found["fairness"] == pytest.approx(1.0)
    assert found["missing"] == []
    assert result_of(outcome, "centre")["received"] == 100
    assert result_of(outcome, "bob")["flows"] == [second]


def test_app_load_of_poisson_flows_both_ways_over_one_link():
    flows = ("alice>centre", "alice>centre", "centre>alice")
    outcome = run_embedded(load_plan(flows, duration_s=0.5, rates_hz=(100.0,)))
    found = result_of(outcome, "alice")
    for flow in found["flows"]:
        assert abs(flow["offered"] - 50) < 3 * math.sqrt(50)
        assert flow["offered"] == flow["delivered"] == flow["completed"]
        assert 0 < flow["mean_latency_s"] <= flow["longest_latency_s"]
    delivered = [flow["delivered"] for flow in found["flows"]]
    assert found["fairness"] == pytest.approx(jain_index(delivered))
    assert len({flow["offered"] for flow in found["flows"]}) > 1  # each has its own luck


def flow_beyond_capacity(most_open):
    """Two hundred thousand requests a second, where about fifty thousand pairs are made."""
    wanted = {"duration_s": 2e-3, "rates_hz": (2e5,), "within_s": (2e-4,), "most_open": most_open}
    found = result_of(run_embedded(load_plan(("alice>centre",), **wanted)), "alice")
    (flow,) = found["flows"]
    ended = flow["completed"] + sum(flow["failed"].values()) + flow["unfinished"]
    assert ended + flow["withheld"] == flow["offered"]
    return flow


def test_app_load_beyond_the_capacity_fails_by_code():
    flow = flow_beyond_capacity(most_open=200)
    assert flow["withheld"] == 0
    assert sum(flow["failed"].values()) > flow["completed"] > 0
    assert set(flow["failed"]) <= {"NOTIME", "NORES", "TIMEOUT"}
    assert flow["longest_latency_s"] <= 2e-4


def test_app_load_withholds_requests_beyond_those_that_may_be_open():
    flow = flow_beyond_capacity(most_open=2)
    assert flow["withheld"] > flow["completed"] > 0
    assert flow["failed"] == {}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"flows": ["alice-bob"]}, "source>sink"),
        ({"flows": ["alice>alice"]}, "two different nodes"),
        ({"nodes": ["alice"]}, "both ends"),
        ({"rates_hz": [1.0, 2.0]}, "rates_hz must hold 1 value"),
        ({"rates_hz": [0.0]}, "rates_hz"),
        ({"duration_s": 0.0}, "duration_s"),
    ],
)
def test_load_refuses_wrong_parameters(wrong, words):
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(wrong, load.LoadParameters)


def map_plan(pairs, node=None, **more):
    leaves = ("alice", "bob")
    links = [("alice", "centre"), ("bob", "centre"), ("alice", "bob")]
    roles = dict.fromkeys(("centre", *leaves), "member")
    return star(leaves, "fidelity-map", {"pairs": pairs, **more}, roles, node, links)


def test_app_fidelity_map_of_perfect_links():
    outcome = run_embedded(map_plan(30))
    found = result_of(outcome, "alice")
    assert found["nodes"] == ["alice", "bob", "centre"]
    assert [(e["asker"], e["peer"], e["pairs"]) for e in found["entries"]] == [
        ("alice", "bob", 30),
        ("alice", "centre", 30),
        ("bob", "centre", 30),
    ]
    assert found["fidelity"] == [[None, 1.0, 1.0], [None, None, 1.0], [None, None, None]]
    assert found["rate_hz"][0][1] > 100
    assert result_of(outcome, "centre") == 60


def test_app_fidelity_map_in_both_directions_has_every_entry():
    found = result_of(run_embedded(map_plan(9, ordered=True)), "alice")
    assert len(found["entries"]) == 6
    assert all(entry["error"] == "" for entry in found["entries"])


def test_app_fidelity_map_of_werner_links_is_right():
    found = result_of(run_embedded(map_plan(400, WERNER)), "alice")
    for entry in found["entries"]:
        assert abs(entry["fidelity"] - F_PAIR) < 3 * entry["stderr"]
        assert entry["claimed"] == pytest.approx(F_PAIR, abs=1e-4)


def test_app_fidelity_map_says_why_an_entry_is_missing():
    found = result_of(run_embedded(map_plan(5, WERNER, minimum_fidelity=0.99)), "alice")
    for entry in found["entries"]:
        assert entry["fidelity"] is None
        assert "UNSUPP" in entry["error"]


def test_estimate_from_counts():
    wrong, trials = {"X": 1, "Y": 2, "Z": 3}, {"X": 10, "Y": 10, "Z": 10}
    value, stderr = fidelity_map.estimate(wrong, trials)
    assert value == pytest.approx(0.7)
    assert stderr == pytest.approx(math.sqrt((0.09 + 0.16 + 0.21) / 10) / 2)
    assert fidelity_map.estimate(wrong, trials | {"Y": 0}) == (None, None)


def test_bases_come_up_equally_often():
    counts = [fidelity_map.basis_of(PairId(f"alice-bob#{k}")) for k in range(3000)]
    for basis in "XYZ":
        assert abs(counts.count(basis) - 1000) < 3 * math.sqrt(3000 * 2 / 9)
