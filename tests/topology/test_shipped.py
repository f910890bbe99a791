"""The topologies of deploy/: they compile without warnings and predict what their heads say."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from qnet.errors import ConfigError
from qnet.runtime.run import RunOptions, run
from qnet.topology import describe, load

FOLDER = Path(__file__).parents[2] / "deploy/topologies"

FLOWS = {
    "repeater-chain": [("alice", "bob", 4)],
    "repeater-chain-17": [("n01", "n17", 16)],
    "metro-ring": [("north", "south", 3)],
    "dumbbell": [("a1", "b1", 3), ("a2", "b2", 3)],
    "grid": [("r1c1", "r5c5", 8)],
}
"""Name of the file -> source, target and links of the flows that it describes."""


@pytest.fixture(autouse=True, scope="module")
def stand_ins():
    """The real plug-ins, not the stand-ins of this folder."""


def test_every_file_is_tested():
    shipped = {path.stem for path in FOLDER.glob("*.toml")}
    assert set(FLOWS) <= shipped


@pytest.mark.parametrize("name", FLOWS)
def test_predictions_are_sane(name):
    plan = load(FOLDER / f"{name}.toml")
    assert plan.network == name
    warnings = describe(plan)[-1]
    assert warnings.title == "warnings"
    assert not warnings.rows
    for source, target, links in FLOWS[name]:
        best = plan.network_layer.routes[f"{source}>{target}"][0]
        back = plan.network_layer.routes[f"{target}>{source}"][0]
        assert len(best.links) == links
        assert back.goodness == pytest.approx(best.goodness, abs=1e-12)
        worst = min(plan.link(link).estimate.goodness for link in best.links)
        slowest_hz = min(plan.link(link).estimate.rate_hz for link in best.links)
        assert 0.9 < best.goodness < worst
        assert 0.2 * slowest_hz < best.rate_hz < slowest_hz
        # The cutoff matters, but most pairs meet within it.
        assert 1.0 / slowest_hz < best.cutoff / 1e12 < 1.0


def test_ways_round_the_ring_have_no_link_in_common():
    routes = load(FOLDER / "metro-ring.toml").network_layer.routes["north>south"]
    assert len(routes) == 2
    assert not {*routes[0].links} & {*routes[1].links}
    assert routes[0].goodness > routes[1].goodness


def test_the_grid_avoids_a_bad_link():
    plan = load(FOLDER / "grid.toml", ["links.r1c1_r1c2.visibility=0.5"])
    assert "r1c1_r1c2" not in plan.network_layer.routes["r1c1>r5c5"][0].links


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FLOWS if name != "dumbbell"])
def test_a_run_agrees_with_the_prediction(name):
    """Rate within a factor of 1.6 (the model's 1.5, and 50 to 300 pairs); fidelity within 0.005."""
    plan = load(FOLDER / f"{name}.toml")
    ((source, target, _),) = FLOWS[name]
    best = plan.network_layer.routes[f"{source}>{target}"][0]
    outcome = run(plan, RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    (request,) = outcome.summary["requests"]
    assert request["failed"] == request["expired"] == 0
    assert request["delivered"] == request["requested"]
    assert 1 / 1.6 < request["rate_hz"] / best.rate_hz < 1.6
    assert request["fidelity"]["mean"] == pytest.approx(best.goodness, abs=0.005)
    assert request["fidelity"]["outside_stated_error"] == 0


@pytest.mark.slow
def test_a_cut_fibre_moves_the_circuit_to_the_other_side():
    cut = ("kind=cut", "link=north_northeast", "start_s=0.1")
    plan = load(FOLDER / "metro-ring.toml", [f"faults.digger.{field}" for field in cut])
    outcome = run(plan, RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    (request,) = outcome.summary["requests"]
    assert request["delivered"] == request["requested"] == 300
    assert outcome.summary["attempts"]["north_northwest"] > 0


@pytest.mark.parametrize(
    ("slots", "text"),
    [
        ("communication_slots=2", "r1 must have >= 2 memory slots .* it has 0"),
        ("communication_slots=3", "r1 must have >= 2 memory slots .* it has 0"),
        ("communication_slots=4", ""),
        ("memory_slots=1", "r1 must have >= 2 memory slots .* it has 1"),
        ("memory_slots=2", ""),
    ],
)
def test_purified_link_needs_slots_of_its_own(slots, text):
    """r1 and r2 have two links each: of their communication slots, each has half."""
    file = FOLDER / "repeater-chain.toml"
    sets = ["links.r1_r2.purification.protocol=dejmps"]
    for node in ("r1", "r2"):
        sets += [f"nodes.{node}.memory_slots=0", f"nodes.{node}.{slots}"]
    with pytest.raises(ConfigError, match=text) if text else nullcontext():
        load(file, sets)
