"""D1, the main job: two trapped-ion processors and a station, on the parameter set of a real experiment.

Stephenson et al., PRL 124, 110501 (2020): 182 pairs/s with a fidelity of 0.94. Statistics are of 10 000
pairs with a fixed seed; a rate of 10 000 exponential waits has a standard error of 1 %.
"""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from qnet.topology import load

from .rows import TOPOLOGIES, told

TOPOLOGY = TOPOLOGIES / "ion-pair.toml"
PAIRS = 10_000


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    """Summary and folder of the run of the README, as processes, from the command line."""
    folder = tmp_path_factory.mktemp("ion-pair") / "run"
    command = [sys.executable, "-m", "qnet", "run", str(TOPOLOGY)]
    done = subprocess.run(
        [*command, "--seed", "7", "--json", "--out", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder


@pytest.mark.slow
@pytest.mark.processes
def test_rate_and_fidelity_of_the_experiment(recorded: tuple[dict, Path]) -> None:
    summary, _ = recorded
    (flow,) = summary["requests"]
    assert flow["delivered"] == flow["requested"] == PAIRS
    assert flow["failed"] == flow["expired"] == 0
    assert abs(flow["rate_hz"] / 182 - 1) < 0.03
    assert abs(flow["fidelity"]["mean"] - 0.940) < 0.005
    assert flow["fidelity"]["outside_stated_error"] == 0


@pytest.mark.slow
@pytest.mark.processes
def test_rate_agrees_with_the_prediction(recorded: tuple[dict, Path]) -> None:
    summary, _ = recorded
    estimate = load(TOPOLOGY).links[0].estimate
    (flow,) = summary["requests"]
    assert abs(flow["rate_hz"] / estimate.rate_hz - 1) < 3 / math.sqrt(PAIRS)
    expected = PAIRS / estimate.success_prob
    attempts = summary["attempts"]["alice-bob"]
    assert abs(attempts / expected - 1) < 3 / math.sqrt(PAIRS)


@pytest.mark.slow
@pytest.mark.processes
def test_every_pair_is_announced_once_at_both_ends(recorded: tuple[dict, Path]) -> None:
    """The ledger ends a run whose ends disagree; the trace shows it pair by pair."""
    _, folder = recorded
    with (folder / "pairs.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["pair"] for row in rows] == [f"alice-bob#{k + 1}" for k in range(PAIRS)]
    said = told(folder)
    assert said["alice"] == said["bob"]
    assert len(said["alice"]) == PAIRS


@pytest.mark.slow
@pytest.mark.processes
def test_embedded_run_gives_the_same_trace(recorded: tuple[dict, Path]) -> None:
    from qnet.runtime.run import RunOptions, load_plan, run

    summary, folder = recorded
    outcome = run(load_plan(folder), RunOptions("embedded"))
    assert outcome.status == "done"
    assert outcome.summary["trace_sha256"] == summary["trace_sha256"]
