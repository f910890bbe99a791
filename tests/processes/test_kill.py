"""Whoever is killed, stopped or interrupted: the run ends, says who it was, and keeps what it has."""

from __future__ import annotations

import os
import signal
import subprocess
import tomllib
from contextlib import suppress
from typing import Literal

import pytest
from _pytest.mark import ParameterSet
from fleet import LIMIT_S, TOPOLOGY, Ended, Fleet

from qnet.runtime.run import RunOptions, run
from qnet.topology import compile_topology

pytestmark = pytest.mark.processes

BREAK = ("--app", "break")


def slow(*values: object) -> ParameterSet:
    return pytest.param(*values, marks=pytest.mark.slow)


def check(
    ended: Ended,
    status: str,
    exit_status: int,
    *words: str,
    pairs: int = 3,
    limit_s: float = LIMIT_S,
    noisy: bool = False,
) -> None:
    """Nothing left, right status everywhere, words in the fault, whole lines on disk."""
    print(f"ended within {ended.wall_s:.2f} s: {ended.summary.get('fault', '')[:200]}")
    assert ended.left == []
    assert ended.wall_s < limit_s
    assert ended.exit_status == exit_status, ended.stderr
    assert ended.summary["status"] == status
    fault = ended.summary["fault"]
    for word in words:
        assert word in fault, fault
    assert "simulated" in fault or "before the first progress report" in fault
    assert len(ended.pairs) >= pairs
    announced = [
        line for line in ended.trace if (line.get("event") or {}).get("type") == "PairDelivered"
    ]
    assert len(announced) == len(ended.pairs)
    assert noisy or "Traceback" not in ended.stderr


@pytest.mark.parametrize("which", [0, slow(1), slow(2)])
def test_proc_killed_host_is_named(fleet: Fleet, which: int) -> None:
    running = fleet.start()
    running.wait_for_pairs()
    pid = running.hosts()[which]
    os.kill(pid, signal.SIGKILL)
    name = ("alice", "bob", "middle")[which]
    check(running.end(), "failed", 1, f"host {name} (process {pid}) was killed by SIGKILL")


@pytest.mark.slow
def test_proc_killed_world_is_named(fleet: Fleet) -> None:
    running = fleet.start()
    running.wait_for_pairs()
    pid = running.one("world_process")
    os.kill(pid, signal.SIGKILL)
    check(running.end(), "failed", 1, f"the world (process {pid}) was killed by SIGKILL")


@pytest.mark.slow
def test_proc_terminated_world_keeps_its_record(fleet: Fleet) -> None:
    running = fleet.start()
    running.wait_for_pairs()
    os.kill(running.one("world_process"), signal.SIGTERM)
    ended = running.end()
    assert ended.left == []
    assert ended.summary["status"] == "failed"
    assert "the world was told to terminate" in ended.summary["fault"]
    assert "trace_sha256" in ended.summary


@pytest.mark.slow
def test_proc_killed_zygote_is_named(fleet: Fleet) -> None:
    running = fleet.start()
    running.wait_for_pairs()
    pid = running.one("zygote")
    os.kill(pid, signal.SIGKILL)
    check(running.end(), "failed", 1, f"the zygote (process {pid}) was killed by SIGKILL")


@pytest.mark.slow
def test_proc_killed_launcher_leaves_a_whole_record(fleet: Fleet) -> None:
    running = fleet.start()
    running.wait_for_pairs()
    os.kill(running.launcher(), signal.SIGKILL)
    ended = running.end()
    print(f"ended within {ended.wall_s:.2f} s: {ended.summary.get('fault', '')[:200]}")
    assert ended.left == []
    assert ended.wall_s < LIMIT_S
    assert ended.exit_status == -signal.SIGKILL
    assert ended.summary["status"] in ("interrupted", "failed")
    assert len(ended.pairs) >= 3
    assert "trace_sha256" in ended.summary


@pytest.mark.slow
@pytest.mark.parametrize("who", ["host", "world_process", "zygote"])
def test_proc_stopped_process_is_named(fleet: Fleet, who: str) -> None:
    running = fleet.start()
    running.wait_for_pairs()
    pid = running.hosts()[0] if who == "host" else running.one(who)
    os.kill(pid, signal.SIGSTOP)
    words = {"host": "host alice", "world_process": "the world", "zygote": "the zygote"}[who]
    check(running.end(), "failed", 1, f"{words} (process {pid}) is stopped (SIGSTOP)")


@pytest.mark.parametrize("number", [signal.SIGINT, slow(signal.SIGTERM)])
def test_proc_interrupt_keeps_partial_results(fleet: Fleet, number: signal.Signals) -> None:
    running = fleet.start()
    running.wait_for_pairs()
    os.killpg(running.launcher(), number)  # as a terminal does
    ended = running.end()
    check(ended, "interrupted", 130, f"interrupted by {number.name}")
    assert ended.summary["requests"][0]["delivered"] == len(ended.pairs)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_proc_interrupt_of_an_embedded_run(fleet: Fleet, number: signal.Signals) -> None:
    running = fleet.start("--embedded")
    running.wait_for_pairs()
    os.kill(running.launcher(), number)
    ended = running.end()
    assert ended.exit_status == 130, ended.stderr
    assert ended.summary["status"] == "interrupted"
    assert ended.summary["requests"][0]["delivered"] == len(ended.pairs)


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.05, 0.3, 0.6, 0.9, 1.2])
def test_proc_interrupt_while_starting(fleet: Fleet, delay_s: float) -> None:
    running = fleet.start()
    with suppress(subprocess.TimeoutExpired):  # it shall still be starting
        running.process.wait(delay_s)
    os.killpg(running.launcher(), signal.SIGINT)
    stdout, stderr = running.process.communicate(timeout=LIMIT_S)
    assert running.process.returncode in (130, -signal.SIGINT), (stdout, stderr)
    assert running.members() == {}


@pytest.mark.parametrize("mode", ["embedded", "processes"])
def test_proc_interrupt_within_a_destructor(
    monkeypatch: pytest.MonkeyPatch, mode: Literal["embedded", "processes"]
) -> None:
    """Python drops what is raised there; the interrupt must count all the same."""

    class Dropped:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("qnet.runtime.run.self_test", Dropped)
    plan = compile_topology(tomllib.loads(TOPOLOGY.replace("1000000", "200")))
    try:
        status = run(plan, RunOptions(mode=mode)).status
    except KeyboardInterrupt:
        status = "interrupted"
    assert status == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize("who", ["world_process", "zygote", "host"])
def test_proc_killed_while_starting(fleet: Fleet, who: str) -> None:
    running = fleet.start()
    pid = 0
    while not pid and running.process.poll() is None:
        try:
            pid = (running.hosts() or [0])[0] if who == "host" else running.one(who)
        except ValueError:
            continue
    os.kill(pid, signal.SIGKILL)
    stdout, stderr = running.process.communicate(timeout=LIMIT_S)
    assert running.process.returncode == 1, (stdout, stderr)
    assert "Traceback" not in stderr
    assert "SIGKILL" in stdout
    assert running.members() == {}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        slow("raise", ("alice: application break (first) failed", "ValueError: broken on purpose")),
        slow("group", ("alice: application break (first)", "KeyError")),
        slow("system-exit", ("alice: application break", "SystemExit: 7")),
        slow("os-exit", ("host alice", "ended with exit status 7")),
        slow("spin", ("must let simulated time pass", "alice")),
        slow("shielded-spin", ("must let simulated time pass", "alice")),
        slow("shorter-than-time", ("must let simulated time pass", "alice")),
        slow("deadlock", ("something must be due", "alice, bob")),
        slow("too-long", ("must stay below 9223372 s",)),
        slow("unwritable", ("alice", "plain data that msgpack and JSON can keep")),
    ],
)
@pytest.mark.parametrize("mode", ["processes", slow("embedded")])
def test_proc_application_that_breaks(
    fleet: Fleet, how: str, words: tuple[str, ...], mode: str
) -> None:
    if mode == "embedded" and how == "os-exit":
        return  # it is the launcher that ends
    extra = ("--embedded",) if mode == "embedded" else ()
    running = fleet.start(*BREAK, "--set", f"how={how}", *extra)
    running.wait_for_pairs(2)  # she breaks before bob has announced the third
    # A task that cannot be cancelled is left behind; the interpreter complains about it at its end.
    check(running.end(), "failed", 1, *words, pairs=2, noisy=how == "shielded-spin")


@pytest.mark.slow
def test_proc_application_that_never_yields(fleet: Fleet) -> None:
    running = fleet.start(*BREAK, "--set", "how=loop", "--liveness", "3")
    running.wait_for_pairs(2)
    limit_s = 3 + LIMIT_S
    words = ("nothing has moved", "waiting for alice")
    check(running.end(limit_s), "failed", 1, *words, pairs=2, limit_s=limit_s)
    log = (running.folder / "logs" / "alice.log").read_text()
    assert "break_apps.py" in log  # its stack


@pytest.mark.slow
def test_proc_gate_on_a_half_before_the_other_end_has_heard(fleet: Fleet) -> None:
    running = fleet.start(*BREAK, "--set", "how=gate")
    running.wait_for_pairs()
    ended = running.end()
    assert (ended.exit_status, ended.summary["status"]) == (0, "done"), ended.summary


def test_proc_wrong_description_is_exit_status_2(fleet: Fleet) -> None:
    running = fleet.start("--set", "pears=3")
    _, stderr = running.process.communicate(timeout=LIMIT_S)
    assert running.process.returncode == 2
    assert "pears" in stderr
    assert not running.folder.exists()
