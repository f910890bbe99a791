"""Runs in real processes: start them with the command line, find every process of theirs, look at what is left."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = "QNET_TEST_FLEET"
LIMIT_S = 5.0
"""Within it, a run that lost a process has ended, and everything of it."""
TOPOLOGY = """
name = "pair"
[nodes.alice]
platform = "ideal"
[nodes.bob]
platform = "ideal"
[nodes.middle]
kind = "station"
detector_efficiency_prob = 0.5
[links.alice-bob]
ends = ["alice", "bob"]
station = "middle"
length_m = 100.0
loss_db_per_km = 0.2
[app]
name = "deliver"
pairs = 1000000
"""


@dataclass
class Ended:
    """What a run left behind."""

    exit_status: int
    wall_s: float
    stdout: str
    stderr: str
    summary: dict[str, Any]
    pairs: list[str]
    trace: list[dict[str, Any]]
    left: list[int]


class Running:
    """One run in progress."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, mark: str) -> None:
        self.process = process
        self.folder = folder
        self._mark = f"{MARK}={mark}".encode()

    def members(self) -> dict[int, list[str]]:
        """Every living process of the run: id and command line."""
        found: dict[int, list[str]] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                if self._mark in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().decode().split("\0")
                    found[int(entry.name)] = command
            except OSError:
                continue  # it has just ended
        return found

    def launcher(self) -> int:
        return self.process.pid

    def one(self, module: str) -> int:
        """Process id of the world or the zygote."""
        pids = [pid for pid, words in self.members().items() if f"qnet.runtime.{module}" in words]
        return min(pids)  # hosts are forks of the zygote and look like it; it is the oldest

    def hosts(self) -> list[int]:
        zygote = self.one("zygote")
        # Trio asks ldconfig something while the zygote imports it; hosts lead sessions, that child does not.
        return sorted(pid for pid in self.members() if _family(pid) == (zygote, pid))

    def wait_for_pairs(self, count: int = 3, limit_s: float = 20.0) -> None:
        """Wait until so many pairs are on disk."""
        end = time.monotonic() + limit_s
        over = False
        while not over and time.monotonic() < end:
            over = self.process.poll() is not None
            if len(self.pairs()) >= count:
                return
            time.sleep(0.01)
        raise AssertionError(f"no pairs: {self.process.poll()} {self.process.communicate()}")

    def pairs(self) -> list[str]:
        """Whole rows of the table so far."""
        try:
            return (self.folder / "pairs.csv").read_text().splitlines()[1:]
        except OSError:
            return []

    def end(self, limit_s: float = LIMIT_S) -> Ended:
        """Wait for the end of the launcher and of everything else."""
        started = time.monotonic()
        stdout, stderr = self.process.communicate(timeout=limit_s)
        while (left := self.members()) and time.monotonic() - started < limit_s:
            time.sleep(0.01)
        wall_s = time.monotonic() - started
        trace = (self.folder / "trace.jsonl").read_bytes()
        table = (self.folder / "pairs.csv").read_bytes()
        assert trace.endswith(b"\n") or not trace
        assert table.endswith(b"\n")
        summary = json.loads((self.folder / "summary.json").read_text())
        if "trace_sha256" in summary:
            assert summary["trace_sha256"] == hashlib.sha256(trace).hexdigest()
        rows = table.decode().splitlines()
        assert all(row.count(",") == rows[0].count(",") for row in rows)
        return Ended(
            self.process.returncode,
            wall_s,
            stdout,
            stderr,
            summary,
            rows[1:],
            [json.loads(line) for line in trace.splitlines()],
            sorted(left),
        )


class Fleet:
    """Starts runs under one folder and ends whatever is left of them."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._runs: list[Running] = []

    def start(self, *arguments: str, topology: str = TOPOLOGY) -> Running:
        """``qnet run`` with these arguments, in its own session."""
        number = len(self._runs)
        file = self._folder / f"net{number}.toml"
        file.write_text(topology)
        folder = self._folder / f"run{number}"
        mark = f"{os.getpid()}-{id(self)}-{number}"
        command = [
            sys.executable,
            "-c",
            "import sys; from qnet.cli.main import main; sys.exit(main())",
        ]
        command += ["run", str(file), "--out", str(folder), "--json", "--no-plots", *arguments]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**self._environment, MARK: mark},
        )
        running = Running(process, folder, mark)
        self._runs.append(running)
        return running

    def close(self) -> list[int]:
        """Kill what is left; its process ids."""
        left = [pid for running in self._runs for pid in running.members()]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        for running in self._runs:
            running.process.communicate()
        return left


def _family(pid: int) -> tuple[int, int]:
    """Parent and session."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return (0, 0)
    parent, _group, session = text.rpartition(")")[2].split()[1:4]
    return int(parent), int(session)
