"""Links, paths and purification of processors with gates, couplings and transports of their own, as runs."""

from __future__ import annotations

import pytest

from qnet.runtime.session import Session
from qnet.topology import compile_topology

from .networks import pair_of_nodes, run_embedded

GATES = {
    "gate_1q": {"duration_s": 2e-6, "fidelity": 0.998},
    "gate_2q": {"duration_s": 20e-6, "fidelity": 0.985},
    "communication": {"t2_s": 5e-3},
    "memory": {"t2_s": 50e-3},
    "readout": {"error_0_prob": 0.01, "error_1_prob": 0.03},
    "virtual_z": True,
}


def couplings(*edges):
    return [
        {"slots": [a, b], "gate": {"duration_s": time_s, "fidelity": fidelity}}
        for a, b, time_s, fidelity in edges
    ]


SPARSE = couplings((0, 2, 10e-6, 0.99), (0, 3, 30e-6, 0.97), (1, 4, 20e-6, 0.98))
"""Two communication and three memory slots; what is stored from 1 goes to 4 only."""


@pytest.fixture
def wishing(monkeypatch):
    """Let requests of applications have more wishes."""
    request = Session.request

    def wish(**wishes):
        monkeypatch.setattr(
            Session, "request", lambda self, to, **own: request(self, to, **{**own, **wishes})
        )

    return wish


def checked(plan, requested):
    """The delivered pairs of a run: all within their stated error."""
    outcome = run_embedded(plan)
    assert outcome.status == "done", outcome.fault
    (request,) = outcome.summary["requests"]
    assert request["delivered"] == requested
    fidelity = request["fidelity"]
    assert request["fidelity"]["outside_stated_error"] == 0
    return fidelity


@pytest.mark.parametrize("entangler", ["any", "CNOT", "CZ", "ZZ", "XX"])
def test_stored_pairs_are_as_good_as_claimed(wishing, entangler):
    wishing(store=True)
    node = {**GATES, "entangler": entangler, "transport": {"duration_s": 50e-6, "fidelity": 0.999}}
    plan = pair_of_nodes({"name": "deliver", "pairs": 20}, node)
    fidelity = checked(plan, 20)
    # The end without a correction moves its half a little earlier.
    assert fidelity["claimed"] == pytest.approx(fidelity["mean"], abs=5e-4)


def test_pairs_go_to_memory_by_the_couplings_that_there_are(wishing):
    wishing(store=True)
    node = {**GATES, "memory_slots": 3, "entangler": "CZ", "couplings": SPARSE}
    plan = pair_of_nodes({"name": "deliver", "pairs": 40}, node)
    fidelity = checked(plan, 40)
    # Which way a half took differs from pair to pair; the middle of what is possible is claimed.
    assert abs(fidelity["claimed"] - fidelity["mean"]) < 0.05


def test_pairs_of_an_atomic_request_take_all_ways(wishing):
    wishing(store=True, atomic=True)
    node = {**GATES, "memory_slots": 3, "couplings": SPARSE}
    plan = pair_of_nodes({"name": "deliver", "pairs": 3}, node)
    checked(plan, 3)


def test_a_link_with_one_memory_slot_for_two_communication_slots(wishing):
    wishing(store=True)
    node = {
        **GATES,
        "memory_slots": 1,
        "couplings": couplings((1, 2, 10e-6, 0.99), (0, 2, 10e-6, 0.99)),
    }
    checked(pair_of_nodes({"name": "deliver", "pairs": 5}, node), 5)


@pytest.mark.parametrize("protocol", ["qnp", "rulesets"])
@pytest.mark.parametrize("slots", [1, 2])
def test_swapped_pairs_are_as_good_as_claimed(wishing, protocol, slots):
    names = ("alice", "mid", "bob")
    kinds = ("XX", "ZZ", "CZ")
    edges = couplings(
        *((a, b, 10e-6 + 5e-6 * a, 0.99 - 0.005 * b) for a in range(4) for b in range(a + 1, 4))
    )
    nodes = {
        name: {"platform": "ideal", **GATES, "entangler": kind, "communication_slots": slots}
        for name, kind in zip(names, kinds, strict=True)
    }
    nodes["mid"]["couplings"] = [one for one in edges if max(one["slots"]) < slots + 2]
    links = {}
    for first, second in (("alice", "mid"), ("bob", "mid")):
        nodes[f"s_{first}"] = {"kind": "station"}
        links[f"{first}-mid"] = {
            "ends": [first, second],
            "station": f"s_{first}",
            "length_m": 100.0,
            "loss_db_per_km": 0.2,
            "visibility": 0.97,
        }
    app = {"name": "deliver", "from_node": "alice", "to_node": "bob", "pairs": 15}
    if protocol == "rulesets" and slots == 1:
        wishing(store=True)
    description = {
        "name": "swap",
        "nodes": nodes,
        "links": links,
        "network": {"protocol": protocol},
        "app": app,
    }
    checked(compile_topology(description), 15)


@pytest.mark.parametrize("coupled", [False, True])
def test_purified_pairs_are_as_good_as_claimed(coupled):
    node = {**GATES, "entangler": "XX", "transport": {"duration_s": 10e-6, "fidelity": 0.999}}
    if coupled:
        node["couplings"] = couplings(
            *((a, b, 20e-6, 0.985) for a in range(4) for b in range(a + 1, 4))
        )
    plan = pair_of_nodes(
        {"name": "deliver", "pairs": 10},
        node,
        visibility=0.9,
        purification={"protocol": "dejmps", "rounds": 1},
    )
    checked(plan, 10)


@pytest.mark.parametrize("virtual_z", [False, True])
@pytest.mark.parametrize("final", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_pairs_in_another_label_are_as_good_as_claimed(wishing, final, virtual_z):
    """The gate that the label takes, or that it takes none, is within the stated error."""
    wishing(final=final)
    node = {"gate_1q": {"duration_s": 1e-6, "fidelity": 0.98}, "virtual_z": virtual_z}
    checked(pair_of_nodes({"name": "deliver", "pairs": 10}, node), 10)
