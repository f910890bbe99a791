"""D7, superconducting chiplets: a remote pair that would wait longer than T2 is refused, a chiplet on a backbone.

Simulated benchmarking, GHZ states over two chiplets and the idle error per gate are in ``tests/nodes``. Here a
chiplet of nine stands in the place of the transmons of D4, behind the transducer of that row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qnet.plan import RunPlan

from .rows import both_ways, described, embedded

TRANSDUCER = {
    "wavelength_m": 1.55e-6,
    "efficiency_prob": 0.1,
    "interval_s": 1e-4,
    "preparation_s": 1e-6,
    "lifetime_s": 1e-6,
    "noise_photons": 0.01,
}
T2_S = 20e-6
"""Of the chiplet's qubits."""


def attached(from_node: str, minimum_fidelity: float, length_m: float = 20.0) -> RunPlan:
    """Five pairs of the chiplet with a node of the backbone; ``length_m``: each arm of its own link."""
    app = {
        "name": "deliver",
        "from_node": from_node,
        "to_node": "chip",
        "pairs": 5,
        "minimum_fidelity": minimum_fidelity,
    }
    chip = {"platform": "chiplet-9", "communication_slots": 1, "emission": TRANSDUCER}
    link = {"chip_hub": {"length_m": length_m}}
    plan = described("shared-backbone", {"chip": chip}, app, links=link, run={"seed": 1})
    platform = plan.node("chip").platform
    assert platform is not None
    assert platform.memory.t2_s == T2_S
    return plan


@pytest.mark.slow
@pytest.mark.processes
def test_a_chiplet_on_the_backbone_shares_pairs_with_its_hub(tmp_path: Path) -> None:
    found = both_ways(attached("hub", 0.8), tmp_path / "run")
    (flow,) = found.summary["requests"]
    assert flow["delivered"] == 5
    assert flow["fidelity"]["min"] > 0.85
    assert flow["fidelity"]["outside_stated_error"] == 0


@pytest.mark.parametrize(
    ("from_node", "length_m"),
    [("ion", 20.0), ("hub", 6_000.0)],
    ids=["waits for the hub's other leg", "waits for the herald"],
)
def test_a_pair_that_waits_longer_than_t2_is_below_the_minimum_and_not_delivered(
    from_node: str, length_m: float
) -> None:
    """The hub's leg to the ion takes milliseconds; the light of 6 km, 29 us, is longer than T2, too."""
    result = embedded(attached(from_node, 0.6, length_m))["app"]["results"][from_node]["result"]
    assert result["delivered"] == 0
    assert "UNSUPP" in result["error"]
    assert "minimum_fidelity" in result["error"]


@pytest.mark.slow
@pytest.mark.processes
def test_the_refusal_is_the_same_from_separate_processes(tmp_path: Path) -> None:
    result: Any = both_ways(attached("ion", 0.6), tmp_path / "run").result("ion")
    assert result["delivered"] == 0
    assert "UNSUPP" in result["error"]


def test_without_a_minimum_such_a_pair_is_delivered_with_the_fidelity_it_has() -> None:
    """A quarter: nothing is left, and the claim says so within its stated error."""
    (flow,) = embedded(attached("ion", 0.0))["requests"]
    assert flow["delivered"] == 5
    assert flow["fidelity"]["outside_stated_error"] == 0
    assert flow["fidelity"]["mean"] == pytest.approx(0.25, abs=0.01)
