from __future__ import annotations

import json
from pathlib import Path

import pytest

from qnet.cli import running
from qnet.runtime.run import RunOutcome

QUICK = ("--embedded", "--no-plots")
FILES = {"plan.json", "summary.json", "trace.jsonl", "pairs.csv"}


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_run_prints_exactly_one_json_object(topology, qnet):
    status, out, error = qnet("run", topology, *QUICK, "--json")
    assert (status, error) == (0, "")
    summary = json.loads(out)
    assert out.count("\n") == 1
    assert summary["status"] == "done"
    assert summary["requests"][0]["delivered"] == 8
    assert summary == json.loads(Path("runs/pair-5-1/summary.json").read_text())


def test_run_on_a_pipe_prints_the_summary_table_only(topology, qnet):
    status, out, error = qnet("run", topology, *QUICK)
    assert (status, error) == (0, "")
    assert out.startswith("network   pair, seed 5, embedded")
    assert "\x1b" not in out
    assert "runs/pair-5-1" in out


def test_run_folders_count_up_and_are_never_reused(topology, qnet):
    for _ in range(2):
        assert qnet("run", topology, *QUICK)[0] == 0
    Path("runs/pair-5-7").mkdir()
    assert qnet("run", topology, *QUICK)[0] == 0
    assert qnet("run", topology, *QUICK, "--seed", 6)[0] == 0
    assert names(Path("runs")) == {"pair-5-1", "pair-5-2", "pair-5-7", "pair-5-8", "pair-6-1"}
    assert names(Path("runs/pair-5-8")) == FILES
    assert names(Path("runs/pair-5-7")) == set()


def test_run_draws_plots_into_the_given_folder(topology, qnet):
    assert qnet("run", topology, "--embedded", "--out", "a/b")[0] == 0
    assert names(Path("a/b")) == FILES | {"pairs.png", "latency.png", "fidelity.png"}


def test_run_options_reach_the_plan(topology, qnet):
    options = ("--set", "pairs=3", "--set", "links.alice-bob.length_m=20", "--seed", 9)
    more = ("--exact-attempts", "--explore-schedule", 4, "--app", "chsh", "--out", "x")
    assert qnet("run", topology, *QUICK, *options, *more)[0] == 0
    plan = json.loads(Path("x/plan.json").read_text())
    assert (plan["seed"], plan["exact_attempts"], plan["explore_schedule"]) == (9, True, 4)
    assert plan["app"]["name"] == "chsh"
    assert plan["app"]["parameters"]["pairs"] == 3
    assert plan["links"][0]["flights"] == [97935, 97935]  # 20 m of fibre in ps


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run",), "TOPOLOGY"),
        (("run", "none.toml"), "none.toml: cannot be read"),
        (("run", "pair.toml", "--sede", "1"), "--sede"),
        (("run", "pair.toml", "--seed", "one"), "--seed"),
        (("run", "pair.toml", "--transport", "pigeon"), "--transport"),
        (("run", "pair.toml", "--set", "pairs"), "--set pairs: must be KEY=VALUE"),
        (("run", "pair.toml", "--set", "nodes.alcie.t2_s=1"), "Did you mean 'alice'"),
        (("run", "pair.toml", "--app", "delivr"), "deliver"),
        (("run", "pair.toml", "--embedded", "--hosts", "2"), "--hosts: must not be given"),
        (("run", "pair.toml", "--embedded", "--transport", "tcp"), "--transport: must not be"),
        (("run", "pair.toml", "--embedded", "--pace", "0"), "--pace: pace must be > 0"),
        (("run", "pair.toml", "--hosts", "9"), "--hosts: hosts must be between 1 and"),
        (("run", "pair.toml", "--liveness", "0"), "--liveness: must be > 0 s, got 0.0"),
        (("run", "pair.toml", "--explore-schedule", "-1"), "explore_schedule"),
        (("run", "pair.toml", "--out", "full"), "--out: must be a new or empty folder"),
        (("run", "pair.toml", "--out", "pair.toml"), "--out: must be a folder that can be made"),
        (("check", "pair.toml", "--set", "nodes.alice.t2_s=-1"), "t2_s"),
        (("rum",), 'Did you mean "run"'),
        (("replay", "none"), "none/plan.json"),
        (("trace", "none"), "none/pairs.csv"),
        (("bench", "wier"), "Did you mean 'wire'"),
    ],
)
def test_wrong_command_line_is_one_message_and_status_2(topology, qnet, arguments, words):
    Path("full").mkdir()
    Path("full/file").touch()
    status, out, error = qnet(*arguments)
    assert (status, out) == (2, "")
    assert error.startswith("qnet: ")
    assert error.count("\n") == 1
    assert words in error
    assert names(Path()) - {"runs"} == {"pair.toml", "full"}
    assert not Path("runs").exists() or names(Path("runs")) == set()


def test_failed_run_has_status_1_and_says_why(topology, qnet):
    wanted = ("--app", "teleport", "--set", "run.cluster_cap=2")
    status, out, error = qnet("run", topology, *QUICK, "--json", *wanted)
    assert status == 1
    assert json.loads(out)["status"] == "failed"
    assert error == f"qnet: failed: {json.loads(out)['fault']}\n"
    assert names(Path("runs/pair-5-1")) == FILES


def test_interrupted_run_has_status_130(topology, qnet, monkeypatch):
    def interrupted(plan, options) -> RunOutcome:
        summary = {
            "network": plan.network, "seed": 5, "mode": "embedded", "status": "interrupted",
            "simulated_s": 0.0, "wall_s": 0.1,
        }  # fmt: skip
        return RunOutcome("interrupted", summary, options.folder, "interrupted by SIGINT")

    monkeypatch.setattr(running, "run_plan", interrupted)
    status, out, error = qnet("run", topology, *QUICK)
    assert status == 130
    assert "interrupted" in out
    assert error == "qnet: interrupted: interrupted by SIGINT\n"


def test_second_interrupt_has_status_130_without_a_traceback(topology, qnet, monkeypatch):
    def impatient(plan, options) -> RunOutcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run_plan", impatient)
    assert qnet("run", topology, *QUICK) == (130, "", "")


def test_run_with_a_file_of_faults_runs_into_them(topology, qnet, tmp_path):
    (tmp_path / "dark.toml").write_text(
        '[faults.dark]\nkind = "cut"\nlink = "alice-bob"\nstart_s = 0.0\nend_s = 0.25\n'
    )
    assert qnet("run", topology, *QUICK, "--faults", "dark.toml", "--out", "x")[0] == 0
    plan = json.loads(Path("x/plan.json").read_text())
    assert [fault["name"] for fault in plan["faults"]] == ["dark"]
    assert json.loads(Path("x/summary.json").read_text())["simulated_s"] > 0.25


def test_run_refuses_a_wrong_file_of_faults(topology, qnet, tmp_path):
    (tmp_path / "dark.toml").write_text('[faults.dark]\nkind = "cut"\nlink = "alice-bbo"\n')
    status, out, error = qnet("run", topology, *QUICK, "--faults", "dark.toml")
    assert (status, out) == (2, "")
    assert error.startswith("qnet: dark.toml: faults.dark.start_s: is required")
    assert not Path("runs").exists()
