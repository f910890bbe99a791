"""Couplings in a description: what `qnet check` refuses, and what it lets pass."""

from __future__ import annotations

import itertools
import re

import msgspec
import pytest

from qnet.errors import ConfigError
from qnet.topology import compile_topology

from .networks import chain, pair

GATE = {"duration_s": 1e-6, "fidelity": 0.99}
OTHER = {"duration_s": 1e-6, "fidelity": 0.98}


def couplings(*edges, gate=GATE):
    return [{"slots": list(edge), "gate": gate} for edge in edges]


def complete(slots):
    return couplings(*itertools.combinations(range(slots), 2))


def refused(data, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        compile_topology(data, "net.toml")


@pytest.mark.parametrize(
    ("edges", "text"),
    [
        (((0, 4),), "couplings[0].slots: must name slots of this node, 0 <= slot < 4, got [0, 4]"),
        (((0, 1), (2, 2)), "couplings[1].slots: must name two different slots, got [2, 2]"),
        (((0, 1), (1, 0)), "couplings[1].slots: must be given once for each two slots, got [1, 0]"),
    ],
)
def test_couplings_that_cannot_be(edges, text):
    data = pair()
    data["nodes"]["alice"]["couplings"] = couplings(*edges)
    refused(data, f"net.toml: nodes.alice.{text}")


def test_figures_of_couplings_are_checked():
    data = pair()
    data["nodes"]["alice"]["couplings"] = couplings(
        (0, 2), gate={"duration_s": 1e-6, "fidelity": 0.1}
    )
    refused(data, "fidelity: must obey 0.25 <= fidelity <= 1, got 0.1")
    data["nodes"]["alice"] = {"platform": "ideal", "entangler": "iSWAP"}
    refused(data, "nodes.alice.entangler: ")
    data["nodes"]["alice"] = {
        "platform": "ideal",
        "transport": {"duration_s": 1e-5, "fidelity": 0.4},
    }
    refused(data, "nodes.alice.transport.fidelity: must obey 0.5 <= fidelity <= 1, got 0.4")


def test_a_communication_slot_of_a_link_must_be_beside_a_memory_slot():
    data = pair()
    data["nodes"]["bob"]["couplings"] = couplings((0, 1), (0, 2), (2, 3))
    refused(
        data,
        "nodes.bob.couplings: must couple communication slot 1 of bob with a memory slot, as its links "
        "store halves there, got [0]. Couple them",
    )
    data["nodes"]["bob"]["couplings"] += couplings((3, 1))
    plan = compile_topology(data, "net.toml")
    (bob,) = (node for node in plan.nodes if node.name == "bob")
    assert [one.slots for one in bob.platform.couplings] == [(0, 1), (0, 2), (2, 3), (3, 1)]
    data["nodes"]["bob"] = {"platform": "ideal", "memory_slots": 0, "couplings": couplings((0, 1))}
    compile_topology(data, "net.toml")


def test_a_repeater_must_couple_slots_whose_pairs_it_swaps():
    data = chain(3)
    data["nodes"]["b"]["couplings"] = couplings((0, 2), (1, 2), (1, 3))
    refused(
        data,
        "nodes.b.couplings: must couple slots 0 and 1 of b, where pairs of a-b and b-c are swapped. Couple",
    )
    data["nodes"]["b"]["couplings"] += couplings((0, 1))
    compile_topology(data, "net.toml")


def test_a_repeater_with_a_common_pool_must_couple_its_memory_slots():
    data = chain(3)
    data["nodes"]["b"] |= {"communication_slots": 1, "couplings": couplings((0, 1), (0, 2))}
    refused(data, "must couple slots 1 and 2 of b, where pairs of a-b and b-c are swapped")
    data["nodes"]["b"]["couplings"] += couplings((1, 2), gate=OTHER)
    assert compile_topology(data, "net.toml").network_layer.routes["a>c"]


def test_a_purifier_must_couple_its_slots_by_equal_gates():
    data = pair(purification={"protocol": "dejmps"})
    data["nodes"]["alice"]["couplings"] = couplings((0, 2), (1, 3))
    refused(data, "must couple slots 0 and 1 of alice, where pairs of alice-bob are purified")
    data["nodes"]["alice"]["couplings"] = couplings((0, 2), (1, 3), (0, 1))
    compile_topology(data, "net.toml")
    data["nodes"]["alice"]["couplings"] += couplings((2, 3), gate=OTHER)
    refused(
        data,
        "must all have the same gate at alice, which purifies, got ['1e-06 s 0.98', '1e-06 s 0.99']",
    )


def test_defaults_are_left_out_of_the_plan():
    plain = compile_topology(pair(), "net.toml")
    text = msgspec.json.encode(plain)
    for field in (b"entangler", b"virtual_z", b"couplings", b"transport"):
        assert field not in text
    data = pair()
    data["nodes"]["alice"] |= {
        "entangler": "ZZ",
        "virtual_z": True,
        "transport": {"duration_s": 1e-4},
    }
    data["nodes"]["alice"]["couplings"] = complete(4)
    plan = compile_topology(data, "net.toml")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=type(plan)) == plan
