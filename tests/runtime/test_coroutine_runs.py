"""Coroutines in runs: the same steps as the machine of the same protocol, replayed, in processes, under faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from qnet.ids import NodeId
from qnet.plan import Crash, Impair
from qnet.results.trace import read_trace
from qnet.runtime.run import RunOptions, run
from qnet.topology import load
from qnet.units import Instant

TOPOLOGY = """
[nodes.alice]
platform = "ideal"
[nodes.bob]
platform = "ideal"
[nodes.s]
kind = "station"
[links.l]
ends = ["alice", "bob"]
station = "s"
length_m = [400.0, 600.0]
visibility = 0.95
protocol = "{protocol}"
{extra}
[app]
name = "deliver"
pairs = 60
"""

RAIN = Impair("rain", loss_prob=0.1, duplicate_prob=0.1, reorder_prob=0.1, reorder_factor=3.0)


def crash(node: str) -> Crash:
    return Crash("power", NodeId(node), Instant(400_000_000), Instant(700_000_000))


FAULTS: dict[str, tuple[Any, ...]] = {
    "clean": (),
    "rain": (RAIN,),
    "crash": (crash("alice"),),
    "rain and crash": (RAIN, crash("bob")),
}


def steps(folder: Path, protocol: str, faults: Any = (), extra: str = "", mode: Any = "embedded"):
    """The outcome of a run, and what every machine was given and did, when: all of the trace but states."""
    folder.mkdir()
    file = folder / "pair.toml"
    file.write_text(TOPOLOGY.format(protocol=protocol, extra=extra))
    plan = msgspec.structs.replace(load(file, [], seed=3), faults=faults)
    outcome = run(plan, RunOptions(mode, folder=folder))
    lines = [
        (line.at, line.round, line.node, line.machine, line.event, line.effects)
        for line in read_trace(folder)
    ]
    return outcome, lines


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_coroutine_takes_the_steps_of_the_machine(faults, tmp_path):
    machine, expected = steps(tmp_path / "machine", "one-by-one", faults)
    outcome, got = steps(tmp_path / "coroutine", "one-by-one-async", faults)
    assert machine.status == outcome.status == "done", (machine.fault, outcome.fault)
    assert len(expected) > 200
    assert got == expected
    assert outcome.summary["requests"] == machine.summary["requests"]


def test_states_in_the_trace_say_where_the_protocol_waits(tmp_path):
    steps(tmp_path / "run", "one-by-one-async")
    states = [line.state for line in read_trace(tmp_path / "run") if line.machine == "link:l"]
    points = {task["point"] for state in states for task in state["tasks"]}
    assert points == {
        "main",
        "_run_turn",
        "_run_turn._attempt",
        "_run_turn._hand_up",
    }
    assert states[-1]["facts"]["open"] == []


@pytest.mark.processes
def test_same_trace_embedded_and_as_processes(tmp_path):
    extra = '[links.l.purification]\nprotocol = "bbpssw-async"\n'
    hashes = {
        mode: steps(tmp_path / mode, "one-by-one-async", extra=extra, mode=mode)[0].summary[
            "trace_sha256"
        ]
        for mode in ("embedded", "processes")
    }
    assert len(set(hashes.values())) == 1
