"""Every application over paths of three to five nodes: the same code as between neighbours.

Error bars are 3 standard errors of fixed seeds. Werner links of correlator w make end-to-end pairs of
correlator w^n over n links.
"""

from __future__ import annotations

import math

import msgspec
import pytest

from qnet.physics.estimation import jain_index
from qnet.physics.fusion import ghz_fidelity
from qnet.physics.remote_gates import process_fidelity

from .networks import path, result_of, run_embedded

NODES = ("ann", "bea", "cleo", "dora", "emma")
SLOTS = {"communication_slots": 4, "memory_slots": 2}
WERNER = {**SLOTS, "emission": {"spin_photon_fidelity": 0.97}}
W_LINK = ((4 * 0.97 - 1) / 3) ** 2
"""Correlator of a link of two such emitters."""


def over_path(count, app, roles, parameters, node=None):
    """Results by node of ``app`` between the ends of a path of ``count`` nodes."""
    nodes = NODES[:count]
    ends = {"from_node": nodes[0], "to_node": nodes[-1]}
    placed = {nodes[0]: roles[0], nodes[-1]: roles[1]}
    outcome = run_embedded(path(nodes, app, {**ends, **parameters}, placed, node or SLOTS))
    return result_of(outcome, nodes[0]), result_of(outcome, nodes[-1])


@pytest.mark.parametrize("count", [3, 5])
def test_app_deliver_over_a_path(count):
    found, seen = over_path(count, "deliver", ("requester", "provider"), {"pairs": 15})
    assert found == {"delivered": 15, "mean_goodness": pytest.approx(1.0), "error": ""}
    assert seen == 15


@pytest.mark.parametrize("one_each", [False, True])
def test_app_teleport_over_a_path(one_each):
    wanted = {"pairs": 20, "one_request_each": one_each}
    found, seen = over_path(4, "teleport", ("sender", "receiver"), wanted)
    assert (found["teleported"], found["lost"], found["error"]) == (20, 0, "")
    assert (found["fraction_right"], seen) == (1.0, 20)


def test_app_chsh_over_a_path():
    found, seen = over_path(3, "chsh", ("alice", "bob"), {"pairs": 120})
    assert abs(found["s"] - 2 * math.sqrt(2)) < 3 * found["s_stderr"]
    assert seen == sum(map(sum, found["trials"])) == 120


def test_app_transfer_over_a_path():
    found, told = over_path(4, "transfer", ("sender", "receiver"), {"qubits": 20})
    assert (found["delivered"], found["tries"], found["right"]["value"]) == (20, 20, 1.0)
    assert told == {"taken": 20, "right": 20, "skipped": 0, "reason": ""}


@pytest.mark.parametrize("gate", ["CNOT", "CZ"])
def test_app_remote_gate_over_a_path(gate):
    wanted = {"rounds": 20, "gate": gate}
    found, told = over_path(4, "remote-gate", ("control", "target"), wanted)
    assert (found["rounds"], found["failed"], found["reason"]) == (20, 0, "")
    assert found["process_fidelity"]["value"] == 1.0
    assert told == {"applied": 20, "missing": 0, "reason": ""}


@pytest.mark.parametrize("kind", ["K", "M"])
def test_app_bbm92_over_a_path(kind):
    found, told = over_path(3, "bbm92", ("alice", "bob"), {"pairs": 250, "kind": kind})
    assert found["error_x"]["value"] == 0.0
    assert found["key_bits"] == told["key_bits"] > 0
    assert found["key_sha256"] == told["key_sha256"]


@pytest.mark.parametrize("kind", ["K", "M"])
def test_app_e91_over_a_path(kind):
    found, told = over_path(3, "e91", ("alice", "bob"), {"pairs": 200, "kind": kind})
    assert abs(found["s"]["value"] - 2 * math.sqrt(2)) < 3 * found["s"]["stderr"]
    assert (found["error"]["value"], found["corrected"]) == (0.0, 0)
    assert found["key_sha256"] == told["key_sha256"]


def test_app_ghz_of_neighbours_and_others():
    roles = {"bea": "centre", "ann": "leaf", "dora": "leaf"}
    wanted = {"centre": "bea", "leaves": ("ann", "dora"), "rounds": 12}
    found = result_of(run_embedded(path(NODES[:4], "ghz", wanted, roles, SLOTS)), "bea")
    assert (found["rounds"], found["failed"], found["reason"]) == (12, 0, "")
    assert found["fidelity"]["value"] == pytest.approx(1.0)


def test_app_graph_state_over_paths():
    roles = {"cleo": "centre", "ann": "member", "bea": "member", "emma": "member"}
    wanted = {
        "centre": "cleo",
        "members": ("ann", "bea", "emma"),
        "edges": ("ann:bea", "bea:emma", "emma:cleo"),
        "rounds": 10,
    }
    slots = {"communication_slots": 6, "memory_slots": 1}
    found = result_of(run_embedded(path(NODES, "graph-state", wanted, roles, slots)), "cleo")
    assert (found["rounds"], found["failed"], found["reason"]) == (10, 0, "")
    assert found["fidelity"]["value"] == pytest.approx(1.0)


def test_app_fidelity_map_of_a_path_has_every_two_nodes():
    nodes = NODES[:4]
    plan = path(nodes, "fidelity-map", {"pairs": 20}, dict.fromkeys(nodes, "member"), SLOTS)
    found = result_of(run_embedded(plan), "ann")
    for row in range(4):
        for column in range(4):
            assert found["fidelity"][row][column] == (1.0 if column > row else None)


def test_app_load_of_flows_over_shared_links():
    flows = ("ann>emma", "bea>dora", "ann>bea")
    wanted = {"flows": flows, "rates_hz": (300.0,), "duration_s": 0.1}
    roles = dict.fromkeys(("ann", "bea", "dora", "emma"), "user")
    outcome = run_embedded(path(NODES, "load", wanted, roles, SLOTS))
    found = result_of(outcome, "ann")
    assert found["missing"] == []
    for flow in found["flows"]:
        assert flow["completed"] == flow["offered"] == flow["delivered"] > 10
    assert found["fairness"] == jain_index([flow["delivered"] for flow in found["flows"]])
    assert result_of(outcome, "emma")["received"] == found["flows"][0]["delivered"]


@pytest.mark.slow
def test_bbm92_over_three_werner_links_has_the_error_of_the_product():
    found, told = over_path(4, "bbm92", ("alice", "bob"), {"pairs": 6000}, WERNER)
    expected = (1 - W_LINK**3) / 2
    assert found["predicted"]["error_x"] == pytest.approx(expected, abs=1e-6)
    for basis in ("error_x", "error_z"):
        share = found[basis]
        sigma = math.sqrt(expected * (1 - expected) / share["trials"])
        assert abs(share["value"] - expected) < 3 * sigma
    assert expected > 0.1
    assert found["key_bits"] == told["key_bits"] == 0  # h(10.7 %) and Cascade leave nothing


@pytest.mark.slow
def test_remote_gate_over_two_werner_links_has_the_fidelity_of_the_closed_form():
    found, _ = over_path(3, "remote-gate", ("control", "target"), {"rounds": 3000}, WERNER)
    expected = process_fidelity((W_LINK**2,) * 3)
    assert found["process_fidelity_if_local_perfect"] == pytest.approx(expected, abs=1e-6)
    fidelity = found["process_fidelity"]
    assert abs(fidelity["value"] - expected) < 3 * fidelity["stderr"]


@pytest.mark.slow
def test_ghz_of_unequal_paths_has_the_fidelity_of_the_closed_form():
    roles = {"bea": "centre", "ann": "leaf", "dora": "leaf"}
    wanted = {"centre": "bea", "leaves": ("ann", "dora"), "rounds": 2500, "generator_prob": 0.0}
    found = result_of(run_embedded(path(NODES[:4], "ghz", wanted, roles, WERNER)), "bea")
    expected = ghz_fidelity([(W_LINK,) * 3, (W_LINK**2,) * 3])
    assert found["fidelity_if_local_perfect"] == pytest.approx(expected, abs=1e-6)
    assert abs(found["fidelity"]["value"] - expected) < 3 * found["fidelity"]["stderr"]


@pytest.mark.parametrize("layer", ["qnp", "rulesets", "dejmps"])
def test_a_link_below_may_test_its_pairs(layer):
    """What its test rounds say is of pairs that nobody above gets; nothing above heeds it."""
    link = {"protocol_parameters": {"test_share": 0.9}}
    if layer == "dejmps":
        link["purification"] = {"protocol": layer}
    roles = {"ann": "requester", "cleo": "provider"}
    ends = {"from_node": "ann", "to_node": "cleo"}
    plan = path(NODES[:3], "deliver", {**ends, "pairs": 40}, roles, SLOTS, **link)
    if layer == "rulesets":
        network = msgspec.structs.replace(plan.network_layer, protocol=layer)
        plan = msgspec.structs.replace(plan, network_layer=network)
    assert result_of(run_embedded(plan), "ann")["delivered"] == 40
