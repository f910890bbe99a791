"""Pairs that wait for partners through the darkness of a switched link: patience counts it, nobody drops them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qnet.hardware import Coherence
from qnet.ids import NodeId, RequestId
from qnet.layers.link import BasisChoice
from qnet.physics.attempts import AttemptNoise
from qnet.plan import RunPlan
from qnet.runtime.run import RunOptions, run
from qnet.seams import PurifierContext
from qnet.topology import compile_topology
from qnet.units import Duration, Instant, seconds
from qnet_nodes.ideal import IDEAL
from qnet_protocols.purification import workbench
from qnet_protocols.purification.dejmps import CIRCUIT
from qnet_protocols.purification.holdings import PurificationParameters
from qnet_protocols.purification.work import Terms, Work
from qnet_protocols.purification.workbench import PATIENT_TIMES, Workbench

ALICE, BOB = NodeId("alice"), NodeId("bob")
SLOW = {"dwell_s": 1e-3, "reconfigure_s": 0.3}
"""A millisecond of light, some fifty pairs, then 601 of darkness, with two links at the station."""


def network(links: dict[str, Any], app: dict[str, Any], **tables: Any) -> RunPlan:
    ends = sorted({end for name in links for end in name})
    return compile_topology(
        {
            "name": "dark",
            "nodes": {
                **{end: {"platform": "ideal", "communication_slots": 4} for end in ends},
                "fabric": {"kind": "station", "switch": SLOW},
            },
            "links": {
                name: {
                    "ends": list(name),
                    "station": "fabric",
                    "length_m": 20.0,
                    "loss_db_per_km": 0.2,
                    **link,
                }
                for name, link in links.items()
            },
            "app": {"name": "deliver", **app},
            **tables,
        }
    )


def lost(plan: RunPlan, folder: Path, kind: str) -> tuple[int, dict[str, Any]]:
    """How many messages of a kind were sent in a run, and the summary of its flow."""
    outcome = run(plan, RunOptions("embedded", folder=folder))
    assert outcome.status == "done", outcome.fault
    sent = 0
    for line in (folder / "trace.jsonl").read_text().splitlines()[1:]:
        effects = json.loads(line).get("effects", ())
        sent += sum(effect.get("kind") == kind for effect in effects)
    return sent, outcome.summary["requests"][0]


@pytest.mark.slow
def test_purified_pairs_wait_through_the_darkness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The darkness is longer than the mean times of two pairs that are waited: who is left over waits on."""
    monkeypatch.setattr(workbench, "PATIENT_TIMES", 8)
    purified = {"purification": {"protocol": "dejmps", "rounds": 1}}
    app = {"from_node": "a", "to_node": "b", "pairs": 130}
    plan = network({"ab": purified, "cd": {}}, app)
    link = plan.link("ab")
    assert 8 * 2 / link.estimate.rate_hz < seconds(link.dark) / 2
    dropped, flow = lost(plan, tmp_path, "purify.steps/dropped@1")
    assert dropped == 0
    assert flow["delivered"] == 130


@pytest.mark.slow
def test_pairs_of_rulesets_wait_for_the_turn_of_the_next_link(tmp_path: Path) -> None:
    """Links ar and cr take turns at one station; a pair of one waits for the light of the other."""
    app = {"from_node": "a", "to_node": "c", "pairs": 12, "via": "network"}
    parameters = {"wait_times": 8.0}
    layer = {
        "protocol": "rulesets",
        "parameters": parameters,
        "routing_parameters": {"cutoff": "off"},
    }
    plan = network({"ar": {}, "cr": {}}, app, network=layer, run={"until_s": 6.0})
    assert 8.0 / plan.link("ar").estimate.rate_hz < seconds(plan.link("ar").dark) / 2.2
    freed, flow = lost(plan, tmp_path, "network.rulesets/free@1")
    assert freed == 0
    assert flow["delivered"] == 12


# ---------------------------------------------------------------- patience


def patience_s(
    dark_s: float = 0.0,
    rate_hz: float = 0.0,
    t2_s: float = 1e9,
    rounds: int = 1,
    *,
    slots: int = 1,
) -> float:
    """Of a workbench whose machine below makes a pair per millisecond.

    Its communication qubits forget within 1 us; a node with one of them stores raw pairs in memory.
    """
    memory, communication = Coherence(t2_s=t2_s), Coherence(t2_s=1e-6)
    platform = msgspec.structs.replace(IDEAL.platform, memory=memory, communication=communication)
    context = PurifierContext(
        ALICE,
        "link:alice-bob",
        platform,
        {BOB: platform},
        {ALICE: slots, BOB: slots},
        {BOB: Duration(10**9)},
        {},
        attempts={BOB: AttemptNoise(rate_hz, 0.1)},
        dark={BOB: Duration(int(dark_s * 1e12))} if dark_s else {},
    )
    made = Workbench(context, CIRCUIT, PurificationParameters(rounds=rounds))
    everything = BasisChoice(("Z",), (1.0,))
    terms = Terms(RequestId("alice/1"), True, BOB, 1, 0.5, Instant(0), 7, "K", everything, None)
    found = made.patience(Work(terms, agreed=True))
    assert found is not None
    return seconds(found)


@pytest.mark.parametrize("rounds", [1, 2])
def test_patience_is_a_number_of_mean_times_and_a_darkness(rounds: int) -> None:
    means = PATIENT_TIMES * 2**rounds * 1e-3
    assert patience_s(rounds=rounds) == pytest.approx(means)
    assert patience_s(dark_s=5.0, rounds=rounds) == pytest.approx(means + 5.0)


def test_patience_ends_where_the_memory_has_forgotten() -> None:
    """T2, and T2 with the attempts of either end that may dephase its memories: 1/e of the coherence is left."""
    assert patience_s(t2_s=0.02) == pytest.approx(0.02)
    assert patience_s(t2_s=0.02, dark_s=5.0) == pytest.approx(0.02)
    assert patience_s(t2_s=0.02, rate_hz=150.0) == pytest.approx(1 / (50.0 + 150.0))
    assert patience_s(rate_hz=1e4) == pytest.approx(1e-4)


def test_patience_is_that_of_the_qubits_in_which_pairs_wait() -> None:
    """Memories where an end has too few communication qubits for a step, else these."""
    assert patience_s(t2_s=0.02) == pytest.approx(0.02)
    assert patience_s(t2_s=0.02, slots=4) == pytest.approx(1e-6)
