"""replay, trace, check, plugins, bench, help."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import msgspec
import pytest

from qnet.cli import plugging, showing
from qnet.cli.replaying import _stop_after, options_as_recorded
from qnet.errors import ConfigError, RunInterrupted
from qnet.plugins import GROUPS, CatalogueEntry, catalogue, find
from qnet.topology import Table
from qnet.wire.control import Progress


def test_replay_of_a_run_finds_the_same_trace(recorded, qnet):
    status, out, error = qnet("replay", recorded)
    assert (status, error) == (0, "")
    sha256 = json.loads((recorded / "summary.json").read_text())["trace_sha256"]
    assert out == f"same trace, done, sha256 {sha256}\n"


def test_replay_as_recorded_runs_in_the_recorded_mode(recorded, qnet):
    status, out, _ = qnet("replay", recorded, "--as-recorded")
    assert (status, out[:10]) == (0, "same trace")


def test_replay_shows_the_first_line_that_differs(recorded, qnet):
    file = recorded / "trace.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    lines[20] = lines[20].replace('"round":', '"round":7')
    file.write_text("".join(lines))
    status, out, _ = qnet("replay", recorded)
    assert status == 1
    first, one, two = out.splitlines()
    assert first.startswith("traces differ from line 21 on")
    assert one.startswith("recorded: ")
    assert '"round":70' in one
    assert two.startswith("again:    ")
    assert '"round":0' in two


def test_replay_of_a_killed_run_finds_its_lines_again(recorded, qnet):
    (recorded / "summary.json").unlink()
    file = recorded / "trace.jsonl"
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    status, out, _ = qnet("replay", recorded)
    assert status == 0
    assert "the recorded run is unfinished: its " in out


def test_replay_of_a_finished_run_that_was_cut_is_a_difference(recorded, qnet):
    file = recorded / "trace.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    status, out, _ = qnet("replay", recorded)
    assert status == 1
    assert "recorded: (the trace has ended)" in out


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("embedded", ("embedded", None, "unix")),
        ("processes", ("processes", None, "unix")),
        ("processes, 2 hosts", ("processes", 2, "unix")),
        ("processes, tcp", ("processes", None, "tcp")),
        ("processes, 3 hosts, tcp", ("processes", 3, "tcp")),
    ],
)
def test_replay_reads_the_mode_of_a_summary(mode, expected):
    options = options_as_recorded(mode)
    assert (options.mode, options.hosts, options.transport) == expected


def test_replay_refuses_an_unknown_mode():
    with pytest.raises(ConfigError, match="carrier pigeons"):
        options_as_recorded("carrier pigeons")


def test_trace_draws_the_pair(recorded, qnet):
    status, out, error = qnet("trace", recorded, "--pair", "alice-bob#3")
    assert (status, error) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("pair alice-bob#3: number 3 of request alice/1")
    assert lines[2].split() == ["alice", "middle", "bob"]


def test_trace_exports_one_pair_or_all(recorded, qnet):
    assert qnet("trace", recorded, "--export", "all.json")[0] == 0
    assert qnet("trace", recorded, "--pair", "alice-bob#3", "--export", "one.json")[0] == 0
    sizes = {
        name: len(json.loads(Path(name).read_text())["traceEvents"])
        for name in ("all.json", "one.json")
    }
    assert 20 < sizes["one.json"] < sizes["all.json"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--pair", "alice-bob#99"), "alice-bob#1 to alice-bob#8"),
        (("--export", "no/such/folder.json"), "--export: must be a file that can be written"),
    ],
)
def test_trace_refuses(recorded, qnet, arguments, words):
    status, out, error = qnet("trace", recorded, *arguments)
    assert (status, out) == (2, "")
    assert words in error


def test_check_shows_processes_predictions_and_warnings(topology, qnet):
    status, out, _ = qnet("check", topology, "--set", "nodes.alice.t2_s=1e-6")
    assert status == 0
    for words in ("host middle", "success_prob", "requester", "warnings"):
        assert words in out
    assert not Path("runs").exists()


FAULTS = """
[faults.dark]
kind = "cut"
link = "alice-bob"
start_s = 1e-7
end_s = 0.25
"""


def test_check_prints_one_json_object(topology, qnet, tmp_path):
    (tmp_path / "faults.toml").write_text(FAULTS)
    status, out, error = qnet("check", topology, "--json", "--faults", "faults.toml")
    assert (status, error) == (0, "")
    assert out.count("\n") == 1
    shown = json.loads(out)
    assert (shown["name"], shown["seed"]) == ("pair", 5)
    assert shown["faults"] == [
        {
            "fault": "dark",
            "kind": "cut",
            "where": "alice-bob",
            "from_s": 1e-7,
            "until_s": 0.25,
            "what": "no photon arrives",
        }
    ]
    assert shown["predictions"][0]["rate_hz"] > 0
    assert shown["routes"] == shown["warnings"] == []


def test_check_shows_the_faults_of_a_file(topology, qnet, tmp_path):
    (tmp_path / "faults.toml").write_text(FAULTS)
    status, out, _ = qnet("check", topology, "--faults", "faults.toml")
    assert status == 0
    assert "no photon arrives" in out
    status, out, error = qnet("check", topology, "--faults", "fault.toml")
    assert (status, out) == (2, "")
    assert error == "qnet: fault.toml: cannot be read: No such file or directory\n"


def test_a_long_table_is_cut_and_says_so(capsys, monkeypatch):
    tables = [Table("routes", ("to",), tuple((f"n{number}",) for number in range(200)))]
    monkeypatch.setattr(showing, "describe", lambda plan: tables)
    showing.show_plan(None)
    out = capsys.readouterr().out
    assert "n59" in out
    assert "n60" not in out
    assert "and 140 more rows; --json shows all" in out


@pytest.mark.parametrize("arguments", [("plugins",), ("plugins", "list")])
def test_plugins_are_listed(qnet, arguments):
    status, out, _ = qnet(*arguments)
    assert status == 0
    for name in ("sr88-ca43", "double-click", "egp", "teleport", "apd-422", "wfq", "bell", "tcp"):
        assert name in out
    for group in GROUPS:
        assert group in out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("egp", ["link protocol egp", "qnet.links", "link.egp/propose@2", "arXiv 1903.09778"]),
        ("ideal", ["platform ideal", "gate_2q.fidelity", "perfect by definition", "inf"]),
        ("deliver", ["role requester", "parameter from_node", "minimum_fidelity", "pairs"]),
        ("load", ["parameter nodes, every processor if empty", '["alice>bob"]', "true"]),
        ("double-click", ["heralding scheme", "Barrett", "no parameters"]),
        ("tdma", ["unit", "bin_s        0.0       s "]),
        ("apd-422", ["station sheet", "dark_rate_hz", "Hz", "probability", "assumed"]),
        ("wfq", ["scheduler wfq", "pairs in proportion to the weights", "arXiv 1903.09778"]),
        ("bell", ["quantum engine bell", "no T1", "Aaronson", "qnet-stack", "no parameters"]),
        ("tcp", ["transport tcp", "over the loopback", "no parameters"]),
    ],
)
def test_a_plugin_is_shown_with_its_parameters_or_figures(qnet, name, words):
    status, out, error = qnet("plugins", "show", name)
    assert (status, error) == (0, "")
    for word in words:
        assert word in out


def test_every_installed_plugin_has_something_to_say_about_itself():
    for entry in catalogue():
        if entry.status == "ok":
            facts = dict(plugging._about(entry, find(entry.group, entry.name)))
            assert facts["seam"] == entry.group
            assert facts["about"]


def test_a_plugin_that_is_not_there_is_refused_with_the_nearest_name(qnet):
    status, out, error = qnet("plugins", "show", "eggp")
    assert (status, out) == (2, "")
    assert "must name a plug-in, got 'eggp'. Did you mean 'egp'?" in error


def test_a_broken_plugin_is_shown_as_its_error(qnet, monkeypatch):
    broken = CatalogueEntry("qnet.links", "odd", "a-package", "1.0", "failed", "it is broken")
    monkeypatch.setattr(plugging, "catalogue", lambda: [broken])
    status, _, error = qnet("plugins", "show", "odd")
    assert (status, error) == (2, "qnet: it is broken\n")


class Base(msgspec.Struct, frozen=True):
    """Parameters.

    Attributes:
        first, second: of the base,
            on two lines.
    """

    first: int
    second: float | None = None


class Derived(Base, frozen=True):
    """More parameters.

    Attributes:
        third: of the derived record.

    Not an attribute: this.
    """

    third: tuple[str, ...] = ("a", "b")
    fourth: dict[str, int] = {}


def test_parameters_are_shown_as_a_topology_writes_them():
    assert list(plugging.parameter_rows(Derived)) == [
        ("first", "", "of the base, on two lines."),
        ("second", "", "of the base, on two lines."),
        ("third", '["a", "b"]', "of the derived record."),
        ("fourth", "{}", ""),
    ]


@pytest.fixture
def bench(monkeypatch):
    module = types.ModuleType("qnet.bench.wire")
    module.TITLE = "frames"
    module.NOTE = "counted twice"
    module.run = lambda: [{"what": "encode", "per_s": 1000.5}, {"what": "decode", "raw": 2}]
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("bench")
def test_bench_shows_its_rows_and_note(qnet):
    status, out, _ = qnet("bench", "wire")
    assert status == 0
    for words in ("frames", "encode", "1000.5", "counted twice"):
        assert words in out


@pytest.mark.usefixtures("bench")
def test_bench_prints_one_json_object(qnet):
    status, out, _ = qnet("bench", "wire", "--json")
    assert status == 0
    rows = [{"what": "encode", "per_s": 1000.5}, {"what": "decode", "raw": 2}]
    assert json.loads(out) == {"wire": {"title": "frames", "note": "counted twice", "rows": rows}}


def test_help_and_version_are_quick_to_import(qnet):
    code = (
        "import sys; from qnet.cli.main import main; status = main(['--help']);"
        "heavy = {'trio', 'numpy', 'matplotlib', 'qutip'} & set(sys.modules);"
        "sys.exit(status or ' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("run", "check", "replay", "trace", "plugins", "bench"):
        assert command in done.stdout
    assert qnet("--version")[0] == 0


def test_replay_of_a_cut_run_goes_no_further_than_it():
    heard = []
    report = _stop_after(100, heard.append)
    report(Progress(at=100, pairs=1, requested=2))
    with pytest.raises(RunInterrupted, match="run again"):
        report(Progress(at=101, pairs=1, requested=2))
    assert [progress.at for progress in heard] == [100, 101]
