"""External programs, whatever they do: a verdict, never a hang of the suite, and nothing is left of them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qnet.cli.main import main
from qnet.errors import PluginError
from qnet.testing.conformance.report import data, open_folder, write
from qnet.testing.conformance.suite import Target, Wish, run
from qnet.testing.conformance.target import resolve
from qnet.testing.conformance.wire import program as adapter
from qnet.testing.conformance.wire.program import Program

CONNECT = """
import os, socket, sys, time
sock = socket.socket(socket.AF_UNIX)
sock.connect(os.environ["QNET_SOCKET"])
"""
LIMIT_S = 0.8
LIFE = "whole-life-of-a-host"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(adapter, "GRACE_S", 0.3)


def program(folder: Path, text: str) -> Program:
    """A program in Python that knows nothing of qnet."""
    file = folder / "peer.py"
    file.write_text(text)
    return Program(shlex.join([sys.executable, "-I", "-S", str(file)]), LIMIT_S)


def judged(folder: Path, text: str, layer="wire", case=LIFE, *, quick=True):
    wish = Wish(layer=layer, cases=(case,), seeds=1, quick=quick)
    return run(Target("exec:peer", program(folder, text)), wish)


def verdict(outcome, identifier):
    return next(one.verdict for one in outcome.judgements if one.requirement.id == identifier)


def words(outcome):
    return " ".join(one.words for one in outcome.judgements)


@pytest.mark.parametrize(
    ("text", "sentence", "said"),
    [
        ("import time; time.sleep(60)", "4.1-1", "it has not for"),
        ("raise SystemExit(3)", "4.1-1", "ended with exit status 3"),
        ("import os; os.kill(os.getpid(), 9)", "4.1-1", "was killed by SIGKILL"),
        (CONNECT + "time.sleep(60)", "4.1-3", "says nothing for"),
        (CONNECT, "3.1-1", "closed its connection, exit status 0"),
        (CONNECT + "sock.sendall(b'hello, world\\n' * 9); time.sleep(60)", "1.2-1", "1751477356"),
        (CONNECT + "sock.sendall(bytes(4)); time.sleep(60)", "1.1-1", "empty"),
        (CONNECT + "sock.sendall(b'\\0\\0\\0\\x05\\xa4four')", "1.1-2", "one msgpack map"),
        (CONNECT + "sock.sendall(b'\\0\\0\\0\\x64')", "1.1-1", "inside a frame"),
    ],
)
def test_program_that_is_no_host_gets_a_verdict(text, sentence, said, tmp_path):
    began = time.monotonic()
    outcome = judged(tmp_path, text)
    identifier = f"QN-WIRE-{sentence}"
    assert verdict(outcome, identifier) == "FAIL", outcome.judgements
    assert said in words(outcome)
    assert outcome.exit_status == 1
    assert time.monotonic() - began < 15.0


@pytest.mark.parametrize("text", ["raise SystemExit(127)", CONNECT + "raise SystemExit(127)"])
@pytest.mark.parametrize(
    ("layer", "case"), [("wire", LIFE), ("link", "responder-serves-undisturbed-requests")]
)
def test_status_127_is_no_failure(text, layer, case, tmp_path):
    outcome = judged(tmp_path, text, layer, case)
    assert {one.verdict for one in outcome.judgements} <= {"NOT APPLICABLE", "FAIL"}
    found = [one for one in outcome.judgements if one.verdict == "FAIL"]
    assert found == []
    assert "status 127" in words(outcome)


def test_program_that_dies_is_a_failure_of_the_link_too(tmp_path):
    outcome = judged(
        tmp_path, "raise SystemExit(1)", "link", "responder-serves-undisturbed-requests"
    )
    assert verdict(outcome, "QN-LINK-8.1-1") == "FAIL"


STUBBORN = (
    """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
with open({pids!r}, "w") as file:
    file.write(f"{{os.getpid()}} {{child.pid}}")
"""
    + CONNECT
    + """
time.sleep(600)
"""
)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_is_left_of_a_program_that_will_not_go(tmp_path):
    pids = tmp_path / "pids"
    judged(tmp_path, STUBBORN.format(pids=str(pids)))
    left = [int(pid) for pid in pids.read_text().split()]
    assert len(left) == 2
    limit = time.monotonic() + 5.0
    while any(map(alive, left)) and time.monotonic() < limit:
        time.sleep(0.01)  # the kernel ends what was killed in its own time
    assert [pid for pid in left if alive(pid)] == []


def test_program_ends_with_a_suite_that_is_killed(tmp_path):
    pids = tmp_path / "pids"
    peer = program(tmp_path, STUBBORN.format(pids=str(pids)))
    suite = subprocess.Popen(
        [sys.executable, "-c", SUITE, peer.command], env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    limit = time.monotonic() + 60.0
    while not (pids.exists() and pids.read_text().count(" ")) and time.monotonic() < limit:
        time.sleep(0.01)  # until another process has written a file
    first = int(pids.read_text().split()[0])
    suite.kill()
    suite.wait()
    while alive(first) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not alive(first)
    os.kill(int(pids.read_text().split()[1]), 9)


SUITE = """
import sys
from qnet.testing.conformance.wire.program import Program
with Program(sys.argv[1], 600.0).start("bob", "host") as running:
    running.talk().hear()
"""


def test_report_keeps_what_the_program_wrote(tmp_path):
    text = "import sys; print('no luck today', file=sys.stderr)\n" + CONNECT + "time.sleep(60)"
    outcome = judged(tmp_path, text, quick=False)
    place = open_folder(tmp_path / "reports")
    write([outcome], place)
    trace = (place / "failures" / "QN-WIRE-4.1-3" / "trace.txt").read_text()
    assert "no luck today" in trace
    report = json.loads((place / "report.json").read_text())
    assert report["specification"]["layer"] == "wire"
    assert report["target"] == "exec:peer"
    assert "--layer wire" in report["failures"][0]["command"]
    html = (place / "report.html").read_text()
    assert "<br>host</th>" in html
    assert data(outcome)["exit_status"] == 1


@pytest.mark.parametrize("command", ["", "no-such-program-anywhere", "'unbalanced"])
def test_command_that_cannot_be_started_is_an_error_of_the_command_line(command):
    with pytest.raises(PluginError, match=r"(?i)command"):
        resolve(f"exec:{command}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("egp", "--layer", "wire"), "must be one that egp can be held against"),
        (("qnet", "--layer", "link"), "must be one that qnet can be held against"),
        (("qnet", "--case", "priorities"), "must name a case of layer wire"),
        (("exec:no-such-program-anywhere",), "that can be started"),
    ],
)
def test_layer_and_case_must_be_about_the_target(arguments, words, capsys):
    assert main(["conformance", *arguments]) == 3
    assert words in capsys.readouterr().err


def test_own_host_is_held_against_the_wire(capsys):
    assert main(["conformance", "qnet", "--case", LIFE]) == 0
    assert "Wire between world and hosts" in capsys.readouterr().out


def test_replay_quotes_the_command(tmp_path):
    target = Target("exec:node peer.js", program(tmp_path, "raise SystemExit(1)"))
    outcome = run(target, Wish(layer="wire", cases=(LIFE,)))
    command = outcome.failures[0].command(target.name)
    assert command.startswith("qnet conformance 'exec:node peer.js' --layer wire --only QN-WIRE-")
