"""Purification in whole runs against closed forms: chance of a step, true fidelity, claims, cost.

Without noise every kept pair of a protocol has the same fidelity, so that it is compared exactly; chances and
mean fidelities of noisy steps within three standard errors.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from qnet.physics.bell import fidelity, werner
from qnet.physics.gates import depolarising_from_fidelity
from qnet.physics.purification import (
    Noise,
    Step,
    bbpssw,
    dejmps,
    double_selection,
    epl,
    nested,
    pumped,
)
from qnet.results.trace import read_trace
from qnet.runtime.run import RunOptions, run
from tests.apps.networks import pair_of_nodes


class Seen:
    """A run of ``deliver`` over a purified link of Werner pairs.

    Attributes:
        flow: record of the only request in the summary.
        result: what the requester returned.
        raw: pairs that the link has made.
        steps: of the origin's machine.
        successes: of the origin's machine.
    """

    def __init__(
        self,
        folder: Path,
        pairs: int,
        raw_fidelity: float,
        purification: dict[str, Any],
        processor: dict[str, Any] | None = None,
        **app: Any,
    ) -> None:
        # Both photons of a double click have the fidelity of one spin-photon pair: w = ((4f - 1)/3)^2.
        emitted = (1 + 3 * math.sqrt((4 * raw_fidelity - 1) / 3)) / 4
        node = {
            "communication_slots": 6,
            "emission": {"spin_photon_fidelity": emitted},
            **(processor or {}),
        }
        plan = pair_of_nodes(
            {"name": "deliver", "pairs": pairs, **app}, node, purification=purification
        )
        outcome = run(plan, RunOptions(mode="embedded", folder=folder))
        assert outcome.status == "done", outcome.fault
        self.flow = outcome.summary["requests"][0]
        self.result = outcome.summary["app"]["results"]["alice"]["result"]
        self.raw = outcome.summary["bounds"]["links"]["alice-bob"]["heralded"]
        machine = [
            line.state
            for line in read_trace(folder)
            if line.node == "alice" and line.machine.startswith("purify:")
        ]
        last = machine[-1].get("facts", machine[-1])  # a coroutine shows it beside where it waits
        self.steps, self.successes = last["steps"], last["successes"]
        assert self.flow["delivered"] == pairs or app, self.result
        assert self.flow["fidelity"]["outside_stated_error"] == 0


def chance(successes: int, steps: int, prob: float) -> None:
    """Within three standard errors of a binomial share."""
    assert successes / steps == pytest.approx(prob, abs=3 * math.sqrt(prob * (1 - prob) / steps))


def double(first: tuple[float, ...], second: tuple[float, ...]) -> Step:
    return double_selection(first, second, second)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "raw", "step"),
    [
        ("bbpssw", 0.8, bbpssw),
        ("bbpssw-async", 0.8, bbpssw),
        ("dejmps", 0.94, dejmps),
        ("double-selection", 0.9, double),
        ("epl", 0.9, epl),
    ],
)
def test_a_step_on_werner_pairs(tmp_path: Path, protocol: str, raw: float, step: Any) -> None:
    """0.8 -> 0.83815 with p = 0.76889 (BBPSSW), 0.94 -> 0.9575 with p = 0.9232 (DEJMPS), and so on."""
    expected = step(werner(raw), werner(raw))
    seen = Seen(tmp_path, 1000, raw, {"protocol": protocol})
    assert seen.successes == 1000
    chance(seen.successes, seen.steps, expected.prob)
    assert seen.flow["fidelity"]["mean"] == pytest.approx(fidelity(expected.weights), abs=1e-9)
    assert seen.flow["fidelity"]["min"] == pytest.approx(fidelity(expected.weights), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pumping", "rounds_of"), [(False, nested), (True, pumped)], ids=["nested", "pumping"]
)
def test_rounds(tmp_path: Path, pumping: bool, rounds_of: Any) -> None:
    """Fidelity after two rounds exactly; raw pairs per pair within three standard errors.

    A pair costs a geometric number of trials of each round, so that the deviation of its cost is below
    the cost itself.
    """
    expected = rounds_of(dejmps, werner(0.85), 2)
    wanted = {"protocol": "dejmps", "rounds": 2, "pumping": pumping}
    seen = Seen(tmp_path, 500, 0.85, wanted)
    assert seen.flow["fidelity"]["mean"] == pytest.approx(fidelity(expected.weights), abs=1e-9)
    assert seen.raw / 500 == pytest.approx(expected.cost, abs=3 * expected.cost / math.sqrt(500))
    # Left over at the end are at most the pairs of one batch that were still in hand.
    assert seen.raw >= 500 * (4 if not pumping else 3)


@pytest.mark.slow
def test_noisy_gates_and_readout(tmp_path: Path) -> None:
    flips = (0.01, 0.05)
    processor = {
        "gate_2q": {"fidelity": 0.98, "duration_s": 1e-6},
        "readout": {"error_0_prob": flips[0], "error_1_prob": flips[1], "duration_s": 1e-6},
    }
    gate = depolarising_from_fidelity(0.98, 2)
    expected = dejmps(werner(0.9), werner(0.9), Noise((gate, gate), (flips, flips)))
    seen = Seen(tmp_path, 1500, 0.9, {"protocol": "dejmps"}, processor)
    chance(seen.successes, seen.steps, expected.prob)
    true = seen.flow["fidelity"]
    assert true["stderr"] > 0.0  # it depends on the bits that were read
    assert true["mean"] == pytest.approx(fidelity(expected.weights), abs=3 * true["stderr"])


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["bbpssw", "bbpssw-async", "dejmps", "double-selection"])
def test_claims_of_single_pairs_are_exact_with_storage(tmp_path: Path, protocol: str) -> None:
    """Every pair waits for another time and was read with other bits; each claim must be its true fidelity."""
    processor = {
        "gate_1q": {"fidelity": 0.999, "duration_s": 2e-6},
        "gate_2q": {"fidelity": 0.99, "duration_s": 3e-6},
        "readout": {"error_0_prob": 0.01, "error_1_prob": 0.03, "duration_s": 5e-6},
        "communication": {"t2_s": 2e-3},
    }
    wanted = {"protocol": protocol, "rounds": 2}
    seen = Seen(tmp_path, 150, 0.92, wanted, processor)
    true = seen.flow["fidelity"]
    assert true["stderr"] > 1e-4
    assert true["mean"] == pytest.approx(true["claimed"], abs=1e-5)


def test_fidelity_out_of_reach_is_refused_with_the_numbers(tmp_path: Path) -> None:
    seen = Seen(tmp_path, 5, 0.8, {"protocol": "dejmps"}, minimum_fidelity=0.9)
    assert seen.result["delivered"] == 0
    reached = fidelity(dejmps(werner(0.8), werner(0.8)).weights)
    assert f"minimum_fidelity must be <= {reached:.6f}" in seen.result["error"]
    assert "got 0.9" in seen.result["error"]


def test_rounds_until_the_fidelity_that_was_asked_for(tmp_path: Path) -> None:
    wanted = {"protocol": "dejmps", "rounds": 4, "until_fidelity": True}
    two = fidelity(nested(dejmps, werner(0.85), 2).weights)
    seen = Seen(tmp_path, 10, 0.85, wanted, minimum_fidelity=0.95)
    assert fidelity(nested(dejmps, werner(0.85), 1).weights) < 0.95 < two
    assert seen.flow["fidelity"]["mean"] == pytest.approx(two, abs=1e-9)


def test_no_rounds_pass_everything_on(tmp_path: Path) -> None:
    seen = Seen(tmp_path, 10, 0.8, {"protocol": "bbpssw", "rounds": 0})
    assert (seen.steps, seen.raw) == (0, 10)
    assert seen.flow["fidelity"]["mean"] == pytest.approx(0.8, abs=1e-9)
