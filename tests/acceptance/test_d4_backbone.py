"""D4, a backbone of unlike machines: ions, neutral atoms and transmons through a diamond hub, or directly.

The first tests are embedded, the last ones run every node as a process of its own. Overlap of unlike photons:
physics reference A4.5; swaps: A5.1. Error bars are 3 standard errors of fixed seeds.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from qnet.physics.gates import depolarising_from_fidelity
from qnet.physics.heralding import mode_visibility
from qnet.runtime.run import RunOptions, run
from qnet.topology import compile_topology, load

from .rows import TOPOLOGIES, both_ways, described, within

BARIUM = {"wavelength_m": 493e-9, "efficiency_prob": 0.3, "interval_s": 1e-6, "lifetime_s": 7.9e-9}
RUBIDIUM = {**BARIUM, "wavelength_m": 780e-9, "lifetime_s": 26.2e-9}
SHAPED = {**BARIUM, "wavelength_m": 1.55e-6, "lifetime_s": 0.0}
TO_TELECOM = {"wavelength_m": 1.55e-6, "efficiency_prob": 0.5}
ENDS = {"ion": BARIUM, "atom": RUBIDIUM, "hub": SHAPED}


def triangle(links: list[tuple[str, str]], minimum_fidelity: float, **app: Any) -> Any:
    """Ion, atom and hub; every photon is converted to the colour of the hub's."""
    nodes: dict[str, Any] = {
        name: {"platform": "ideal", "communication_slots": 2, "emission": emission}
        for name, emission in ENDS.items()
        if any(name in pair for pair in links)
    }
    tables = {}
    for one, two in links:
        nodes[f"s_{one}_{two}"] = {"kind": "station", "window_s": 1e-7}
        tables[f"{one}-{two}"] = {
            "ends": [one, two],
            "station": f"s_{one}_{two}",
            "length_m": 10.0,
            "converters": {end: TO_TELECOM for end in (one, two) if end != "hub"},
        }
    deliver = {
        "name": "deliver",
        "from_node": "ion",
        "to_node": "atom",
        "pairs": 10,
        "minimum_fidelity": minimum_fidelity,
        **app,
    }
    return compile_topology({"name": "triangle", "nodes": nodes, "links": tables, "app": deliver})


def delivered(plan: Any) -> tuple[int, str, Any]:
    outcome = run(plan, RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    result = outcome.summary["app"]["results"]["ion"]["result"]
    return result["delivered"], result["error"], outcome.summary["requests"][0]["fidelity"]


def test_unlike_emitters_are_linked_with_the_overlap_of_their_photons() -> None:
    plan = triangle([("ion", "atom")], 0.0)
    overlap = mode_visibility(7.9e-9, 26.2e-9)
    assert overlap == pytest.approx(0.712, abs=5e-4)
    assert plan.links[0].optics.visibility == pytest.approx(overlap)
    count, error, fidelity = delivered(plan)
    assert (count, error) == (10, "")
    assert fidelity["mean"] == pytest.approx((1 + overlap) / 2, abs=1e-6)


def test_a_fidelity_that_the_direct_link_cannot_have_is_refused() -> None:
    count, error, _ = delivered(triangle([("ion", "atom")], 0.9))
    assert count == 0
    assert "UNSUPP" in error


def test_a_fidelity_that_the_direct_link_cannot_have_is_served_through_the_hub() -> None:
    links = [("ion", "atom"), ("ion", "hub"), ("hub", "atom")]
    count, error, fidelity = delivered(triangle(links, 0.9, via="network"))
    assert (count, error) == (10, "")
    assert fidelity["min"] > 0.9


@pytest.mark.parametrize(
    ("target", "minimum_fidelity", "served"),
    [("atom", 0.55, True), ("atom", 0.7, False), ("chip", 0.5, False)],
)
def test_a_backbone_serves_what_its_hub_can_and_refuses_the_rest(
    target: str, minimum_fidelity: float, served: bool
) -> None:
    """A transmon forgets in 20 us what the hub needs milliseconds for: UNSUPP, no useless pair."""
    sets = [f"to_node={target}", f"minimum_fidelity={minimum_fidelity}", "pairs=3"]
    plan = load(TOPOLOGIES / "shared-backbone.toml", sets, seed=2)
    count, error, _ = delivered(plan)
    assert count == (3 if served else 0)
    assert ("UNSUPP" in error) is not served


# ---------------------------------------------------------------- as processes

REMEMBERS = dict.fromkeys(("t1_s", "t2_s", "memory_t1_s", "memory_t2_s"), math.inf)
EXACT = {
    **REMEMBERS,
    "gate_1q": {"fidelity": 1.0},
    "initialise": {"fidelity": 1.0},
    "readout": {"error_0_prob": 0.0, "error_1_prob": 0.0},
}


def backbone(app: dict[str, Any], seed: int, **nodes: dict[str, Any]) -> Any:
    return described("shared-backbone", nodes, app, run={"seed": seed})


@pytest.mark.slow
@pytest.mark.processes
def test_pairs_through_the_hub_are_the_product_of_legs_and_swap(tmp_path: Path) -> None:
    """Correlators XX and ZZ, read at both ends, against A5.1: legs x Bell measurement of the hub.

    Memory factors are 1: no qubit decays here. The ends read without errors; the hub's two-qubit gate and
    read-out are those of its sheet, and it has an electron for each leg, so that nothing is moved to memory.
    """
    app = {
        "name": "bbm92",
        "from_node": "ion",
        "to_node": "atom",
        "pairs": 1200,
        "sample_share": 1.0,
    }
    electrons = {**REMEMBERS, "communication_slots": 3, "gate_1q": {"fidelity": 1.0}}
    plan = backbone(app, 3, ion=EXACT, atom=EXACT, chip=EXACT, hub=electrons)
    found = both_ways(plan, tmp_path / "run")
    hub = plan.node("hub").platform
    assert hub is not None
    kept = 1.0 - depolarising_from_fidelity(hub.gate_2q.fidelity, 2)
    read = 1.0 - hub.readout.error_0_prob - hub.readout.error_1_prob
    legs = [link.estimate.correlators for link in plan.links if link.name != "chip_hub"]
    xx, _, zz = (one * two for one, two in zip(*legs, strict=True))
    result = found.result("ion")
    for correlator, error in (
        (xx * kept * read, result["error_x"]),
        (zz * kept * read, result["error_z"]),
    ):
        assert error["trials"] > 250
        assert within(error["value"], (1.0 - abs(correlator)) / 2.0, error["stderr"])
    assert found.summary["requests"][0]["fidelity"]["outside_stated_error"] == 0


@pytest.mark.slow
@pytest.mark.processes
def test_all_three_pairs_of_machines_share_pairs_through_the_hub(tmp_path: Path) -> None:
    """With transmons that remember for a second, what nobody has built, all routes deliver what they claim."""
    chip = dict.fromkeys(("t1_s", "t2_s", "memory_t1_s", "memory_t2_s"), 1.0)
    app = {"name": "fidelity-map", "nodes": ["ion", "atom", "chip"], "pairs": 40}
    found = both_ways(backbone(app, 1, chip=chip), tmp_path / "run")
    flows = {frozenset((flow["from"], flow["to"])): flow for flow in found.summary["requests"]}
    assert len(flows) == 3
    for flow in flows.values():
        assert flow["delivered"] == 40
        assert flow["fidelity"]["outside_stated_error"] == 0
        assert flow["fidelity"]["mean"] > 0.5


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(("links", "served"), [(1, False), (3, True)], ids=["direct", "hub"])
def test_a_direct_link_is_refused_and_the_hub_serves(
    tmp_path: Path, links: int, served: bool
) -> None:
    joined = [("ion", "atom"), ("ion", "hub"), ("hub", "atom")][:links]
    via = {"via": "network"} if served else {}
    found = both_ways(triangle(joined, 0.9, **via), tmp_path / "run")
    result = found.result("ion")
    assert result["delivered"] == (10 if served else 0)
    assert ("UNSUPP" in result["error"]) is not served


@pytest.mark.slow
@pytest.mark.processes
def test_purification_of_the_worst_leg_makes_better_pairs(tmp_path: Path) -> None:
    app = {"name": "deliver", "from_node": "ion", "to_node": "atom", "pairs": 100}
    plain = both_ways(backbone(app, 2), tmp_path / "plain").summary["requests"][0]["fidelity"]
    leg = {"atom_hub": {"purification": {"protocol": "dejmps"}}}
    room = {"memory_slots": 4}
    better = described(
        "shared-backbone", {"ion": room, "atom": room}, app, links=leg, run={"seed": 2}
    )
    purified = both_ways(better, tmp_path / "purified").summary["requests"][0]["fidelity"]
    assert purified["outside_stated_error"] == 0
    assert purified["mean"] > plain["mean"] + 3 * math.hypot(purified["stderr"], plain["stderr"])
