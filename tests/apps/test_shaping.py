"""A link of unlike emitters whose longer photons a modulator cuts short: fidelity and rate of a run."""

from __future__ import annotations

import math
from typing import Any

import pytest

from qnet.plan import RunPlan
from qnet.topology import compile_topology

from .networks import run_embedded

PAIRS = 100
BARIUM_S, RUBIDIUM_S = 7.9e-9, 26.2e-9


def unlike(**link: Any) -> RunPlan:
    """Alice emits like barium, bob like rubidium, at one wavelength; nothing else is wrong."""
    emission = {"efficiency_prob": 0.3}
    nodes: dict[str, Any] = {
        "alice": {"platform": "ideal", "emission": {**emission, "lifetime_s": BARIUM_S}},
        "bob": {"platform": "ideal", "emission": {**emission, "lifetime_s": RUBIDIUM_S}},
        "middle": {"kind": "station"},
    }
    table = {"ends": ["alice", "bob"], "station": "middle", "length_m": 10.0, **link}
    app = {"name": "deliver", "pairs": PAIRS, "minimum_fidelity": 0.9}
    return compile_topology(
        {"name": "unlike", "nodes": nodes, "links": {"alice-bob": table}, "app": app}
    )


@pytest.mark.slow
def test_a_fidelity_out_of_reach_is_served_with_a_modulator_for_its_loss() -> None:
    """V = 0.712, F = 0.856 without: UNSUPP. With it V = 1, for 30 % of bob's photons; 3 standard errors."""
    plain = run_embedded(unlike())
    told = plain.summary["app"]["results"]["alice"]["result"]
    assert told["delivered"] == 0
    assert "UNSUPP" in told["error"]
    plan = unlike(shaping={"bob": {"lifetime_s": BARIUM_S}})
    outcome = run_embedded(plan)
    assert outcome.status == "done", outcome.fault
    (flow,) = outcome.summary["requests"]
    assert flow["delivered"] == PAIRS
    assert flow["fidelity"]["mean"] == pytest.approx(1.0, abs=1e-6)
    before, after = unlike().links[0].estimate, plan.links[0].estimate
    assert after.success_prob == pytest.approx(before.success_prob * BARIUM_S / RUBIDIUM_S)
    assert abs(flow["rate_hz"] / after.rate_hz - 1.0) < 3.0 / math.sqrt(PAIRS)
