"""D6, diamond memories: a pair is stored and read later, a second link runs while it is; as separate processes.

Racks of silicon-vacancy nodes with serial links that reflect photons, and nitrogen-vacancy nodes whose attempts
dephase the memory beside them. The published coherence e^(-t/2.1 s) within 1 %, the fidelities 0.91 and 0.85 of the
swap from electron to nucleus and the number of attempts to 1/e are in ``tests/nodes/test_platforms.py`` and
``tests/world/test_attempt_noise.py``, the closed forms of A6.4 in ``test_chains.py``. Error bars are 3 standard
errors of fixed seeds.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from qnet.topology import load
from qnet.units import seconds

from .rows import TOPOLOGIES, both_ways, described, within

pytestmark = [pytest.mark.slow, pytest.mark.processes]
T2_S = 2.1


def coherence(folder: Path, storage_s: float, rounds: int) -> tuple[float, float]:
    """<XX> of pairs of a rack that both ends keep in their nuclei for so long, and its standard error."""
    app = {
        "name": "ghz",
        "centre": "a1",
        "leaves": ["top1"],
        "rounds": rounds,
        "generator_prob": 1.0,
        "store": True,
        "storage_s": storage_s,
    }
    plan = described("diamond-datacentre", {}, app, run={"seed": 6})
    for node in ("a1", "top1"):
        platform = plan.node(node).platform
        assert platform is not None
        assert platform.memory.t2_s == T2_S
    found = both_ways(plan, folder).result("a1")["generators"]["XX"]
    return found["value"], found["stderr"]


def test_a_stored_pair_loses_its_coherence_as_published(tmp_path: Path) -> None:
    """Both halves wait: e^(-2t/2.1 s) between what is read after 10 ms and after 0.7 s."""
    early, early_error = coherence(tmp_path / "early", 0.01, 600)
    late, late_error = coherence(tmp_path / "late", 0.7, 1000)
    left = math.exp(-2 * 0.69 / T2_S)
    assert within(late, early * left, math.hypot(late_error, left * early_error))
    assert late < early - 3 * math.hypot(late_error, early_error)


def test_a_memory_that_waits_for_the_second_link_beats_two_at_once(tmp_path: Path) -> None:
    """The middle node keeps one pair while it makes the other; without memory both would have to come at once.

    Two links at once come once in 1/(p q) of the slower cycles.
    """
    plan = load(TOPOLOGIES / "diamond-datacentre.toml", ["pairs=200"], seed=6)
    found = both_ways(plan, tmp_path / "run")
    (flow,) = found.summary["requests"]
    assert flow["delivered"] == 200
    assert flow["fidelity"]["outside_stated_error"] == 0
    links = [link for link in plan.links if link.name in ("rack1", "racks")]
    both = math.prod(link.estimate.success_prob for link in links)
    cycle_s = max(seconds(link.estimate.cycle) for link in links)
    assert flow["rate_hz"] > 10 * both / cycle_s


def test_attempts_of_nv_nodes_dephase_what_their_memory_holds(tmp_path: Path) -> None:
    """The middle node attempts while its carbon holds a pair: entangled pairs, each within its stated error."""
    plan = load(TOPOLOGIES / "nv-three-node.toml", ["pairs=12"], seed=6)
    bob = plan.node("bob").platform
    assert bob is not None
    assert bob.attempt_dephasing_prob > 0.0
    (flow,) = both_ways(plan, tmp_path / "run").summary["requests"]
    assert flow["delivered"] == 12
    assert flow["fidelity"]["outside_stated_error"] == 0
    assert flow["fidelity"]["mean"] - 3 * flow["fidelity"]["stderr"] > 0.5
