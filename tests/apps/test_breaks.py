"""Every application over two links while a node crashes for good, comes back, or is cut off: it ends, and says why."""

from __future__ import annotations

import msgspec
import pytest

from qnet.ids import NodeId
from qnet.plan import Crash, Partition
from qnet.units import Instant
from tests.apps.networks import path, run_embedded

NODES = ("a", "b", "c")
PROCESSOR = {"communication_slots": 4, "memory_slots": 2}
PATIENT = {"patience_s": 0.5}
AT = Instant(5 * 10**9)
ENDS = {"from_node": "a", "to_node": "c"}
CASES = {
    "deliver": ({**ENDS, "pairs": 2000}, ("requester", "provider")),
    "chsh": ({**ENDS, "pairs": 2000, **PATIENT}, ("alice", "bob")),
    "teleport": ({**ENDS, "pairs": 1000, **PATIENT}, ("sender", "receiver")),
    "transfer": (
        {**ENDS, "qubits": 500, "within_s": 0.5, "tries": 2, **PATIENT},
        ("sender", "receiver"),
    ),
    "bbm92": ({**ENDS, "pairs": 2000, **PATIENT}, ("alice", "bob")),
    "e91": ({**ENDS, "pairs": 2000, **PATIENT}, ("alice", "bob")),
    "remote-gate": (
        {**ENDS, "rounds": 1000, "failures": 3, "within_s": 0.5, **PATIENT},
        ("control", "target"),
    ),
    "ghz": (
        {
            "centre": "a",
            "leaves": ["b", "c"],
            "rounds": 1000,
            "failures": 3,
            "pair_within_s": 0.5,
            **PATIENT,
        },
        ("centre", "leaf", "leaf"),
    ),
    "graph-state": (
        {
            "centre": "a",
            "members": ["b", "c"],
            "edges": ["a:b", "b:c"],
            "rounds": 1000,
            "failures": 3,
            "pair_within_s": 0.5,
            **PATIENT,
        },
        ("centre", "member", "member"),
    ),
    "fidelity-map": ({"pairs": 1000, "within_s": 0.5, **PATIENT}, ("member",) * 3),
    "load": (
        {
            "flows": ["a>c", "b>c"],
            "rates_hz": [2000.0],
            "duration_s": 0.05,
            "drain_s": 0.1,
            **PATIENT,
        },
        ("user",) * 3,
    ),
}
FAULTS = {
    "the far end is gone": Crash("fuse", NodeId("c"), AT, None),
    "the far end comes back": Crash("fuse", NodeId("c"), AT, Instant(6 * 10**9)),
    "the repeater comes back": Crash("fuse", NodeId("b"), AT, Instant(6 * 10**9)),
    "the far end is cut off": Partition("split", (NodeId("c"),), AT, Instant(10**15)),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("name", CASES)
def test_app_ends_and_says_why(name, fault):
    parameters, roles = CASES[name]
    places = NODES if len(roles) == 3 else ("a", "c")
    plan = path(NODES, name, parameters, dict(zip(places, roles, strict=True)), PROCESSOR)
    outcome = run_embedded(msgspec.structs.replace(plan, faults=(fault,)))
    assert outcome.status == "done", outcome.fault
    results = outcome.summary["app"]["results"]
    crashed = {fault.node} if isinstance(fault, Crash) else set()
    assert {node for node, entry in results.items() if entry.get("crashed")} == crashed & set(
        places
    )
    cut_off = {"c"} if isinstance(fault, Partition) else set()  # a server may wait on
    assert set(outcome.summary["app"]["waiting"]) <= cut_off
    for entry in outcome.summary["requests"]:
        counted = entry["delivered"] + entry["failed"] + entry["expired"]
        assert counted == entry["requested"], entry
