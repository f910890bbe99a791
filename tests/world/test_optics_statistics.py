"""Skipping ahead and drawing every attempt give one law: rate, click patterns, averaged state."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from qnet.ids import SlotId
from qnet.plan import LinkOptics, RunPlan
from qnet.plugins import find
from qnet.runtime.run import RunOptions, run
from qnet.seams import HeraldingScheme
from qnet.topology import load
from qnet.units import Instant

from .optics_bench import ALICE, BOB, Bench, sure

SIGMAS = 3.0
TOPOLOGIES = Path(__file__).parents[2] / "deploy" / "topologies"
OPTICS = LinkOptics(0.6, 0.5, visibility=0.9, dark_prob=0.02, phase_rms_rad=0.2, spin_photon_a=0.97)


Pattern = tuple[int, ...]


def attempts_and_fidelities(
    bench: Bench, pairs: int, label: Callable[[Pattern], tuple[int, int]]
) -> tuple[list[int], list[float], Counter[Pattern]]:
    """Make pairs one after another; index of the success, fidelity and pattern of each."""
    indices, fidelities, patterns = [], [], Counter[Pattern]()
    for _ in range(pairs):
        bench.arm(ALICE)
        bench.arm(BOB)
        created = bench.next_click()
        indices.append(created.attempt)
        patterns[created.pattern] += 1
        fidelities.append(
            bench.store.bell_fidelity(
                (ALICE, SlotId(0)), (BOB, SlotId(0)), label(created.pattern), Instant(bench.now)
            )
        )
        bench.discard(ALICE)
        bench.discard(BOB)
    return indices, fidelities, patterns


def chi_squared(observed: list[int], expected: list[float]) -> float:
    return sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True))


def bins_of_geometric(prob: float, total: int, least: float = 20.0) -> list[tuple[int, float]]:
    """(last index, expected count) of bins of at least ``least``; the last one is open."""
    bins, left, start, index = [], 1.0, 1.0, 0
    while True:
        index += 1
        left *= 1.0 - prob
        if (start - left) * total >= least:
            if left * total < least:
                bins.append((10**9, start * total))
                return bins
            bins.append((index, (start - left) * total))
            start = left


def assert_geometric(indices: list[int], prob: float) -> None:
    bins = bins_of_geometric(prob, len(indices))
    counts = [0] * len(bins)
    for index in indices:
        counts[next(k for k, (last, _) in enumerate(bins) if index <= last)] += 1
    freedom = len(bins) - 1
    found = chi_squared(counts, [expected for _, expected in bins])
    assert freedom >= 3
    assert found < freedom + SIGMAS * math.sqrt(2 * freedom), (counts, bins)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("prob", "pairs"), [(0.2, 1500), (0.03, 400)])
def test_number_of_attempts_is_geometric(exact: bool, prob: float, pairs: int) -> None:
    bench = Bench(scheme=sure(prob), exact=exact, seed=11)
    indices, _, _ = attempts_and_fidelities(bench, pairs, lambda _: (1, 0))
    assert_geometric(indices, prob)
    assert sum(indices) == next(iter(bench.attempts.values()))


def test_number_of_attempts_is_geometric_for_tiny_probabilities() -> None:
    bench = Bench(scheme=sure(1e-6), seed=5)
    indices, _, _ = attempts_and_fidelities(bench, 600, lambda _: (1, 0))
    mean = sum(indices) / len(indices)
    assert abs(mean - 1e6) < SIGMAS * 1e6 / math.sqrt(len(indices))
    ordered = sorted(indices)
    distance = max(
        abs((rank + 0.5) / len(ordered) + math.expm1(-index * 1e-6))
        for rank, index in enumerate(ordered)
    )
    assert distance < 1.63 / math.sqrt(len(ordered))  # Kolmogorov-Smirnov, 1 %


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("number_resolving", [False, True])
def test_double_click_rate_patterns_and_fidelity(exact: bool, number_resolving: bool) -> None:
    scheme: HeraldingScheme = find("qnet.heralding", "double-click")
    optics = LinkOptics(
        OPTICS.eta_a, OPTICS.eta_b, OPTICS.visibility, OPTICS.dark_prob, OPTICS.phase_rms_rad,
        number_resolving, OPTICS.spin_photon_a,
    )  # fmt: skip
    outcomes = {outcome.pattern: outcome for outcome in scheme.outcomes(optics, None)}
    prob = sum(outcome.prob for outcome in outcomes.values())
    bench = Bench(scheme=scheme, optics_plan=optics, exact=exact, seed=3)
    pairs = 700
    indices, fidelities, patterns = attempts_and_fidelities(
        bench, pairs, lambda pattern: outcomes[pattern].label
    )
    assert_geometric(indices, prob)
    expected = [pairs * outcome.prob / prob for outcome in outcomes.values()]
    freedom = len(outcomes) - 1
    found = chi_squared([patterns[pattern] for pattern in outcomes], expected)
    assert found < freedom + SIGMAS * math.sqrt(2 * freedom)
    mean = sum(fidelities) / pairs
    closed = sum(one.prob * _bell_overlap(one) for one in outcomes.values()) / prob
    spread = math.sqrt(sum((f - mean) ** 2 for f in fidelities) / (pairs - 1))
    assert abs(mean - closed) < max(SIGMAS * spread / math.sqrt(pairs), 1e-9)


def _bell_overlap(outcome: object) -> float:
    """Overlap of a click's state with the Bell state of its label; Psi labels only."""
    _, z = outcome.label  # type: ignore[attr-defined]
    state = outcome.state  # type: ignore[attr-defined]
    sign = -1 if z else 1
    return float(((state[1][1] + state[2][2]) / 2 + sign * (state[1][2] + state[2][1]) / 2).real)


def exact_and_skipped(tmp_path: Path, pairs: int) -> list[tuple[RunPlan, list[list[str]]]]:
    found = []
    for exact in ("true", "false"):
        plan = load(
            TOPOLOGIES / "ion-pair.toml",
            [
                f"pairs={pairs}",
                f"run.exact_attempts={exact}",
                "nodes.alice.emission.efficiency_prob=0.5",
                "nodes.bob.emission.efficiency_prob=0.4",
                "nodes.station.dark_rate_hz=1e5",
            ],
        )
        folder = tmp_path / exact
        folder.mkdir()
        outcome = run(plan, RunOptions("embedded", folder=folder))
        assert outcome.status == "done", outcome.fault
        rows = [line.split(",") for line in (folder / "pairs.csv").read_text().splitlines()[1:]]
        assert len(rows) == pairs
        found.append((plan, rows))
    return found


def test_whole_runs_agree_in_rate_and_fidelity(tmp_path: Path) -> None:
    figures = []
    for _, rows in exact_and_skipped(tmp_path, 500):
        times = [int(row[9]) * 1e-12 for row in rows]
        waits = [b - a for a, b in pairwise(times)]
        figures.append((waits, [float(row[12]) for row in rows]))
    for one, two in zip(*figures, strict=True):
        means, errors = [], []
        for values in (one, two):
            mean = sum(values) / len(values)
            means.append(mean)
            errors.append(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
        assert abs(means[0] - means[1]) < SIGMAS * math.sqrt(sum(errors))
