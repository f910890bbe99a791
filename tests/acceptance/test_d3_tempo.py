"""D3, four machines of a hundred ions: gates between them, four links at once, a state of twelve qubits.

The row asks for pairs of 0.97 and local errors of 1e-4: the file's links are 0.938, so their spin-photon pairs
are made better here until a delivered pair has 0.97, and preparation and read-out get the error of the gates. The
file's communication ions forget in 5 ms and a gate between machines takes more than one: that, and not the local
gates, limits the machines of the file, and one of the tests says by how much. For the figure of the row the
communication ions keep their coherence as long as the memory ions. Simulated benchmarking of the gate error is in
``tests/nodes/test_randomised_benchmarking.py``, slots that do not leak in ``tests/runtime/test_slots.py``.
Error bars are standard errors of fixed seeds.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from qnet.physics.bell import correlators, werner
from qnet.physics.gates import depolarising_from_fidelity
from qnet.physics.remote_gates import PERFECT, LocalNoise, average_fidelity
from qnet.plan import RunPlan
from qnet.runtime.run import RunOptions, run
from qnet.topology import compile_topology, load
from qnet.units import seconds

from .rows import TOPOLOGIES, both_ways, described, embedded, within

MACHINES = ("north", "east", "south", "west")
ERROR = 1e-4
GATES = {"name": "remote-gate", "from_node": "north", "to_node": "east", "gate": "CNOT"}


def machine(spin_photon_fidelity: float, t2_s: float) -> dict[str, Any]:
    """Figures of a machine: everything local errs once in ten thousand."""
    return {
        "communication": {"t2_s": t2_s},
        "initialise": {"fidelity": 1.0 - ERROR},
        "readout": {"error_0_prob": ERROR, "error_1_prob": ERROR},
        "emission": {"spin_photon_fidelity": spin_photon_fidelity},
    }


def linked(rounds: int, t2_s: float, pair_fidelity: float = 0.97) -> RunPlan:
    """Gates between north and east over pairs that are delivered with this fidelity."""
    low, high = 0.97, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        figures = machine(middle, t2_s)
        plan = described(
            "tempo-quad", {"north": figures, "east": figures}, {**GATES, "rounds": rounds}
        )
        (link,) = [one for one in plan.links if one.name == "north-east"]
        low, high = (middle, high) if link.estimate.goodness < pair_fidelity else (low, middle)
    assert link.estimate.goodness == pytest.approx(pair_fidelity, abs=1e-5)
    return plan


def test_gates_of_a_tempo_are_not_what_limits_a_teleported_gate() -> None:
    """A pair of 0.97 between machines of the file: (4 F + 1)/5 = 0.976, their own gates take less than 0.001."""
    platform = load(TOPOLOGIES / "tempo-quad.toml", [], seed=1).node("north").platform
    assert platform is not None
    mixing = depolarising_from_fidelity(platform.gate_2q.fidelity, 2)
    pair = correlators(werner(0.97))
    limited = average_fidelity(pair, "CNOT", LocalNoise(mixing), LocalNoise(mixing))
    assert average_fidelity(pair, "CNOT", PERFECT, PERFECT) == pytest.approx(0.976)
    assert 0.975 < limited < 0.976
    worse = LocalNoise(depolarising_from_fidelity(0.98, 2))
    assert average_fidelity(pair, "CNOT", worse, worse) < 0.96


@pytest.mark.slow
def test_ten_thousand_teleported_cnots_are_as_good_as_their_pairs() -> None:
    """0.976 +- 0.002, standard error 0.0019; and within three of them of the closed form, 0.9756.

    What is read in a round also holds preparation and read-out of the test states: at most 0.0008 more.
    """
    found = embedded(linked(10_000, t2_s=10.0))
    (flow,) = found["requests"]
    assert flow["fidelity"]["mean"] == pytest.approx(0.97, abs=1e-5)
    result = found["app"]["results"]["north"]["result"]
    assert (result["rounds"], result["failed"]) == (10_000, 0)
    average, stderr = result["average_fidelity"], 0.8 * result["process_fidelity"]["stderr"]
    assert stderr < 0.002
    noise = LocalNoise(depolarising_from_fidelity(1.0 - ERROR, 2), (ERROR, ERROR))
    closed = average_fidelity(correlators(werner(0.97)), "CNOT", noise, noise)
    assert abs(closed - 0.0004 - 0.976) < 0.002
    assert within(average, closed - 0.0004, stderr)
    assert abs(average - 0.976) < 0.002


@pytest.mark.slow
@pytest.mark.processes
def test_teleported_cnots_of_separate_processes_are_the_same(tmp_path: Path) -> None:
    found = both_ways(linked(200, t2_s=10.0), tmp_path / "run")
    result = found.result("north")
    average, stderr = result["average_fidelity"], 0.8 * result["process_fidelity"]["stderr"]
    assert result["rounds"] == 200
    assert within(average, 0.976, stderr)


@pytest.mark.slow
def test_ions_that_forget_in_5_ms_limit_a_teleported_gate() -> None:
    """The sheet's own communication ions: 0.8 and not 0.976, standard error 0.016.

    Each half waits at least for the transport, the gate and the read-out of the control's end.
    """
    result = embedded(linked(1000, t2_s=5e-3))["app"]["results"]["north"]["result"]
    stderr = 0.8 * result["process_fidelity"]["stderr"]
    assert stderr < 0.02
    assert 0.7 < result["average_fidelity"] < 0.976 - 5 * stderr


def star_of_five() -> RunPlan:
    """A machine in the middle of four others, links as in the file, all asked for more than they can give."""
    leaves = [f"leaf{k}" for k in range(4)]
    nodes: dict[str, Any] = {"north": {"platform": "tempo"}}
    links = {}
    for leaf in leaves:
        nodes[leaf] = {"platform": "tempo"}
        nodes[f"s_{leaf}"] = {"kind": "station", "dark_rate_hz": 10.0, "window_s": 50e-9}
        links[f"north-{leaf}"] = {
            "ends": ["north", leaf],
            "station": f"s_{leaf}",
            "length_m": 10.0,
            "visibility": 0.98,
        }
    load_app = {
        "name": "load",
        "flows": [f"north>{leaf}" for leaf in leaves],
        "rates_hz": [600.0],
        "duration_s": 2.0,
        "most_open": 4,
        "drain_s": 0.0,
    }
    return compile_topology(
        {"name": "star", "nodes": nodes, "links": links, "app": load_app, "run": {"seed": 1}}
    )


@pytest.mark.slow
def test_a_machine_serves_four_links_at_once() -> None:
    """Attempts go on on all four links all the time, and each delivers as if it were alone."""
    plan = star_of_five()
    found = embedded(plan)
    (cycle_s,) = {seconds(link.estimate.cycle) for link in plan.links}
    (rate_hz,) = {link.estimate.rate_hz for link in plan.links}
    for count in found["attempts"].values():
        assert count * cycle_s > 0.9 * found["simulated_s"]
    flows = found["app"]["results"]["north"]["result"]["flows"]
    assert len(flows) == 4
    for flow in flows:
        expected = rate_hz * 2.0
        assert within(flow["delivered"], 0.98 * expected, math.sqrt(expected))
    assert all(flow["fidelity"]["outside_stated_error"] == 0 for flow in found["requests"])


def twelve(rounds: int, cap: int) -> RunPlan:
    """Three qubits at each of four machines, joined by gates over pairs and by gates of their own."""
    perfect = {
        "communication": {"t2_s": math.inf},
        "memory": {"t2_s": math.inf},
        "gate_1q": {"fidelity": 1.0},
        "gate_2q": {"fidelity": 1.0},
        "initialise": {"fidelity": 1.0},
        "readout": {"error_0_prob": 0.0, "error_1_prob": 0.0},
        "emission": {"spin_photon_fidelity": 1.0},
    }
    app = {
        "name": "ghz",
        "centre": "north",
        "leaves": MACHINES[1:],
        "sizes": [3, 3, 3, 3],
        "storage_s": 0.002,
        "rounds": rounds,
        "generator_prob": 0.0,
    }
    sharp = {"visibility": 1.0}
    tables = {f"north-{leaf}": sharp for leaf in MACHINES[1:]}
    figures = dict.fromkeys(MACHINES, perfect)
    dark = {f"s_north_{leaf}": {"dark_rate_hz": 0.0} for leaf in MACHINES[1:]}
    run = {"seed": 1, "cluster_cap": cap}
    return described("tempo-quad", {**figures, **dark}, app, run=run, links=tables)


@pytest.mark.slow
def test_twelve_qubits_of_four_machines_are_in_one_state() -> None:
    """Eight rounds, each of which reads an element drawn among 4095 right; by chance, 1 in 256 would."""
    result = embedded(twelve(8, 12))["app"]["results"]["north"]["result"]
    assert (result["rounds"], result["failed"]) == (8, 0)
    assert result["fidelity"]["value"] == pytest.approx(1.0)


@pytest.mark.slow
def test_a_state_larger_than_the_cap_of_the_run_is_refused() -> None:
    """All twelve at once, before any is read: a cap of eleven does not hold them."""
    outcome = run(twelve(1, 11), RunOptions("embedded"))
    assert outcome.status == "failed"
    assert "must have <= 11 qubits, got 12" in outcome.fault
