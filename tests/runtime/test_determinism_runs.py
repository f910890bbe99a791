"""One plan, one trace: embedded, in many processes, on a busy machine, under every explored schedule."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from _pytest.mark import ParameterSet

from qnet.plan import RunPlan
from qnet.runtime.run import RunOptions, RunOutcome, run
from qnet.topology import load

HELPERS = Path(__file__).parents[1] / "processes"
EMBEDDED = RunOptions("embedded")
EVERYWHERE = {
    "processes": RunOptions(),
    "two hosts": RunOptions(hosts=2),
    "one host": RunOptions(hosts=1),
    "tcp": RunOptions(transport="tcp"),
    "unpinned": RunOptions(pin=False),
}
SCHEDULES = range(1, 6)


def slow(value: str) -> ParameterSet:
    return pytest.param(value, marks=pytest.mark.slow)


def helper(name: str) -> ModuleType:
    """A module that lives with the tests of processes."""
    spec = importlib.util.spec_from_file_location(f"qnet_tests_{name}", HELPERS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The topology of a pair, with the racing application installed."""
    folder = tmp_path_factory.mktemp("determinism")
    with helper("installed").install(folder):
        path = folder / "pair.toml"
        path.write_text(helper("fleet").TOPOLOGY)
        yield path


def plan_of(file: Path, app: str, explore: int = 0, seed: int = 1) -> RunPlan:
    settings = {"deliver": ["pairs=40"], "teleport": ["pairs=15"], "racing": []}[app]
    return load(file, [*settings, f"run.explore_schedule={explore}"], app=app, seed=seed)


def trace(plan: RunPlan, options: RunOptions = EMBEDDED) -> str:
    outcome: RunOutcome = run(plan, options)
    assert outcome.status == "done", outcome.fault
    return str(outcome.summary["trace_sha256"])


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Within it, so many processes do nothing as fast as they can."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


@pytest.mark.parametrize("app", ["deliver", "teleport", "racing"])
def test_embedded_runs_repeat(file: Path, app: str) -> None:
    assert trace(plan_of(file, app)) == trace(plan_of(file, app))


@pytest.mark.processes
@pytest.mark.parametrize("app", ["racing", slow("deliver"), slow("teleport")])
@pytest.mark.parametrize("where", ["processes", *map(slow, list(EVERYWHERE)[1:])])
def test_every_mode_gives_the_embedded_trace(file: Path, app: str, where: str) -> None:
    plan = plan_of(file, app)
    assert trace(plan, EVERYWHERE[where]) == trace(plan)


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("app", ["racing", "deliver"])
def test_busy_machine_changes_nothing(file: Path, app: str) -> None:
    plan = plan_of(file, app)
    quiet = trace(plan)
    with busy(4):
        assert [trace(plan, options) for options in EVERYWHERE.values()] == [quiet] * len(
            EVERYWHERE
        )


@pytest.mark.parametrize("app", ["deliver", "racing"])
def test_seeds_differ(file: Path, app: str) -> None:
    traces = [trace(plan_of(file, app, seed=seed)) for seed in range(1, 6)]
    assert len(set(traces)) == 5


def test_explored_schedules_repeat_and_differ(file: Path) -> None:
    results = {}
    for explore in (0, *SCHEDULES):
        outcomes = [run(plan_of(file, "racing", explore), EMBEDDED) for _ in range(2)]
        assert len({one.summary["trace_sha256"] for one in outcomes}) == 1
        results[explore] = msgspec.json.encode(outcomes[0].summary["app"]["results"])
    assert len(set(results.values())) == 6, "tasks that race must notice another schedule"


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("explore", SCHEDULES)
@pytest.mark.parametrize("app", ["racing", "deliver"])
def test_explored_schedule_is_the_same_in_processes(file: Path, app: str, explore: int) -> None:
    plan = plan_of(file, app, explore)
    expected = trace(plan)
    assert trace(plan, RunOptions()) == expected
    assert trace(plan, RunOptions(hosts=2)) == expected


def test_a_trace_is_that_of_its_folder(file: Path, tmp_path: Path) -> None:
    """Writing a record changes nothing, and the hash is that of the file."""
    import hashlib

    plan = plan_of(file, "deliver")
    written = run(plan, RunOptions("embedded", folder=tmp_path)).summary["trace_sha256"]
    assert written == trace(plan)
    assert written == hashlib.sha256((tmp_path / "trace.jsonl").read_bytes()).hexdigest()


def test_results_are_plain_numbers_of_the_seed(file: Path) -> None:
    def results(seed: int) -> Any:
        return run(plan_of(file, "teleport", seed=seed), EMBEDDED).summary["app"]["results"]

    assert results(3) == results(3) != results(4)
