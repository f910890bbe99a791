"""Networks that run for real are judged by their trace; what breaks on the bench breaks as a network."""

from __future__ import annotations

import json
import tomllib
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from qnet.cli.main import main
from qnet.errors import ConfigError, PluginError
from qnet.ids import LinkId
from qnet.plugins import find
from qnet.results.trace import read_trace
from qnet.testing.conformance import audit, network_target, runs
from qnet.testing.conformance import faults as plans
from qnet.testing.conformance.asking import NAME
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.confirm import DECIDED, confirm, toml, topology
from qnet.testing.conformance.faults import ALICE, BOB
from qnet.testing.conformance.stage import CYCLE, link_plan
from qnet.testing.conformance.suite import Wish
from qnet.topology import compile_topology

ROOT = Path(__file__).parents[2]
MUTANTS = "tests.conformance.mutants"
ROGUES = "tests.conformance.rogues"


def tables(protocol, asked, **more):
    """Two ideal processors a kilometre from their station."""
    accepted = [{"node": "alice", "remote": "bob"}, {"node": "bob", "remote": "alice"}]
    return {
        "nodes": {
            "alice": {"platform": "ideal"},
            "bob": {"platform": "ideal"},
            "s": {"kind": "station"},
        },
        "links": {
            "l": {
                "ends": ["alice", "bob"],
                "station": "s",
                "length_m": 1000.0,
                "loss_db_per_km": 0.0,
                "protocol": protocol,
            }
        },
        "run": {"until_s": 1.0, "seed": 3},
        "app": {"name": NAME, "asked": asked, "accepted": accepted},
        **more,
    }


PLENTY = [
    {"node": "alice", "remote": "bob", "number": 3},
    {
        "node": "bob",
        "remote": "alice",
        "number": 3,
        "kind": "M",
        "bases": ["X"],
        "far_bases": ["X"],
    },
    {"node": "bob", "remote": "alice", "number": 2, "store": True},
    {"node": "alice", "remote": "bob", "number": 2, "kind": "R"},
    {"node": "alice", "remote": "bob", "number": 20, "cancel_ps": 300_000_000},
]
LOSSY = {"bad": {"kind": "impair", "loss_prob": 0.1, "duplicate_prob": 0.1}}


# ---------------------------------------------------------------- plug-ins that nobody has installed


def test_record_of_a_package_is_found_by_its_path():
    assert find("qnet.links", f"{MUTANTS}:NEVER_EXPIRES").name == "never-expires"
    with pytest.raises(PluginError, match="must be a LinkProtocol, got App"):
        find("qnet.links", NAME)
    with pytest.raises(PluginError, match=r"link protocol 'no_such:X' cannot be loaded"):
        find("qnet.links", "no_such:X")


def test_plan_keeps_the_path_by_which_hosts_find_it():
    plan = compile_topology(tables(f"{MUTANTS}:NEVER_EXPIRES", []))
    assert plan.links[0].protocol == f"{MUTANTS}:NEVER_EXPIRES"
    assert plan.app.name == NAME


# ---------------------------------------------------------------- the audit of a trace


def test_trace_of_an_honest_run_is_judged_at_rest_and_nothing_is_broken(tmp_path):
    judged = runs.run(compile_topology(tables("egp", PLENTY)), tmp_path, embedded=True)
    assert judged.at_rest
    assert judged.broken() == {}
    reached = judged.findings[LinkId("l")].reached
    # Without deadlines, losses and late heralds all that a trace decides was reached.
    assert DECIDED - set(reached) <= {
        *("QN-LINK-1.5-1", "QN-LINK-2.3-2", "QN-LINK-2.4-1", "QN-LINK-2.4-4", "QN-LINK-3.2-2"),
    }
    assert reached["QN-LINK-3.1-2"] == 3


def test_trace_shows_what_one_end_never_took_back(tmp_path):
    data = tables(f"{MUTANTS}:NEVER_EXPIRES", PLENTY, faults=LOSSY)
    judged = runs.run(compile_topology(data), tmp_path, embedded=True)
    assert "QN-LINK-2.1-1" in judged.broken()
    assert "valid at one end only: l#" in judged.broken()["QN-LINK-2.1-1"]


def test_run_that_was_cut_off_says_nothing_about_rest(tmp_path):
    data = tables("egp", [{"node": "alice", "remote": "bob", "number": 1000}])
    data["run"]["until_s"] = 2e-3
    judged = runs.run(compile_topology(data), tmp_path, embedded=True)
    reached = judged.findings[LinkId("l")].reached
    assert reached["QN-LINK-2.1-2"] > 0
    assert not {"QN-LINK-1.1-2", "QN-LINK-2.1-1", "QN-LINK-5.1-2"} & set(reached)
    assert set(judged.broken()) == {"QN-LINK-8.1-3"}


# ---------------------------------------------------------------- rogues: the run ends, and says who and where

ONE = [{"node": "alice", "remote": "bob"}]
ENDS = {
    "RAISES": ("QN-LINK-8.1-1", "KeyError: 'a bug of the plug-in'"),
    "GRABS": ("QN-LINK-5.1-1", "must hold slot 0"),
    "OPERATES": ("QN-LINK-5.1-1", "must hold slot 0"),
    "INVENTS": ("QN-LINK-8.1-1", "effect must be one of"),
    "LOOPS": ("QN-LINK-8.1-2", "must come to rest within 100000 steps of one instant"),
    "HANGS": ("QN-LINK-8.1-2", "no answer within the liveness limit"),
    "HANGS_LATE": ("QN-LINK-8.1-2", "no answer within the liveness limit"),
}
SLOW = {"LOOPS"}


def check_end(judged, name):
    identifier, words = ENDS[name]
    fault = judged.outcome.fault
    assert judged.outcome.status == "failed"
    assert "alice: machine link:l" in fault
    assert words in fault
    given = "DeadlineReached" if name == "LOOPS" else "Requested(request=Create(request='alice/1'"
    assert given in fault
    assert "in state EgpState(" in fault
    assert "0 ps" in fault
    assert list(judged.broken()) == [identifier]
    assert not judged.unexplained


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow if one in SLOW else ()) for one in ENDS]
)
def test_rogue_ends_the_run_and_is_named(name, tmp_path):
    plan = compile_topology(tables(f"{ROGUES}:{name}", ONE))
    hangs = name.startswith("HANGS")
    judged = runs.run(plan, tmp_path, embedded=True, liveness_s=1.0 if hangs else 60.0)
    check_end(judged, name)
    last = [line for line in read_trace(tmp_path) if line.error]
    assert {(line.node, line.machine) for line in last} == {("alice", "link:l")}


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("name", ["RAISES", "GRABS", "INVENTS", "HANGS"])
def test_rogue_ends_its_processes_too_with_the_same_trace(name, tmp_path):
    plan = compile_topology(tables(f"{ROGUES}:{name}", ONE))
    many = runs.run(plan, tmp_path / "many", embedded=False, liveness_s=15.0)
    check_end(many, name)
    if name != "HANGS":  # a wall clock ended that one
        assert many.sha256 == runs.run(plan, tmp_path / "one", embedded=True).sha256


# ---------------------------------------------------------------- from the bench to a network


def test_bench_is_said_as_a_topology_of_the_same_geometry():
    text = "lose alice>bob 2; double bob>alice 1 +500; stall bob 100000..900000; full bob 1..2"
    bench = Bench(find("qnet.links", "egp"), faults=plans.parse(text), memory=(0, 1))
    bench.accept()
    bench.create(CYCLE, ALICE, "1", 3, kind="M")
    bench.create(0, BOB, "2", store=True, max_time=50 * CYCLE)
    bench.run()
    said = topology(bench, "egp")
    assert tomllib.loads(toml(said.table)) == json.loads(json.dumps(without_none(said.table)))
    assert said.unsaid == ["full bob 1..2"]
    plan = compile_topology(said.table)
    (link,) = plan.links
    wanted = link_plan()
    for name in ("ends", "flights", "direct", "cycle", "preparation", "correction"):
        assert getattr(link, name) == getattr(wanted, name)
    assert [one.platform.memory_slots for one in plan.nodes if one.platform] == [0, 1]
    lost, doubled, stall = plan.faults
    assert (lost.what, lost.source, lost.target, lost.number) == ("lose", ALICE, BOB, 2)
    assert (doubled.what, doubled.number, doubled.late) == ("double", 1, 500)
    assert (stall.node, stall.start, stall.end) == (BOB, 100_000, 900_000)
    asked = plan.app.parameters["asked"]
    assert [(one["node"], one.get("at_ps", 0)) for one in asked] == [("alice", CYCLE), ("bob", 0)]


def without_none(value):
    if isinstance(value, dict):
        return {key: without_none(one) for key, one in value.items() if one is not None}
    return [without_none(one) for one in value] if isinstance(value, list | tuple) else value


def test_lost_message_is_the_one_that_the_fault_numbers(tmp_path):
    """The peer's second message to the origin is its herald-free answer: without it alice asks again."""
    fault = {
        "f": {"kind": "single", "source": "bob", "target": "alice", "number": 1, "what": "lose"}
    }
    judged = runs.run(compile_topology(tables("egp", ONE, faults=fault)), tmp_path, embedded=True)
    assert judged.broken() == {}
    lost = [
        one.event for one in read_trace(tmp_path) if (one.event or {}).get("type") == "MessageLost"
    ]
    assert [(one["source"], one["target"], one["seq"]) for one in lost] == [("bob", "alice", 0)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"what": "lose", "late_s": 1.0}, "must be 0 for a message that is lost"),
        ({"what": "delay"}, "must be > 0 for a message that is late"),
        ({"target": "carol"}, "must name a node"),
        ({"number": 0}, "number"),
        ({"what": "eat"}, "what"),
    ],
)
def test_fault_of_one_message_that_cannot_be_is_refused(change, words):
    fault = {"kind": "single", "source": "bob", "target": "alice", "number": 1, "what": "lose"}
    with pytest.raises(ConfigError, match=words):
        compile_topology(tables("egp", ONE, faults={"f": {**fault, **change}}))


def failing_bench(name, requirement, **options):
    bench = Bench(find("qnet.links", f"{MUTANTS}:{name}"), explore=1, **options)
    bench.accept()
    return bench


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(
    ("name", "requirement", "faults"),
    [
        ("NEVER_EXPIRES", "QN-LINK-2.1-1", f"lose station>bob 2; full bob {10**12}..{10**12 + 1}"),
        ("INDEX_FROM_ZERO", "QN-LINK-2.2-1", "none"),
        ("RELEASES_TWICE", "QN-LINK-5.1-1", "none"),
    ],
)
def test_failure_of_the_bench_is_the_same_failure_of_a_network(name, requirement, faults):
    bench = failing_bench(name, requirement, faults=plans.parse(faults))
    kind = "M" if name == "RELEASES_TWICE" else "K"
    bench.create(0, ALICE, "1", 3, kind=kind)
    found = confirm(requirement, bench, f"{MUTANTS}:{name}")
    assert found.verdict == "confirmed", found
    assert found.embedded == found.processes != ""
    assert found.unsaid == (() if faults == "none" else (faults.partition("; ")[2],))
    svg = ET.fromstring(found.diagram)
    assert {"alice", "bob", "propose"} <= {one.text for one in svg.iter()}
    assert compile_topology(tomllib.loads(found.topology)).seed == found.seed


def test_failure_that_no_network_shows_is_not_confirmed():
    bench = Bench(find("qnet.links", "egp"))
    assert confirm("QN-LINK-2.1-1", bench, "egp").verdict == "cannot be said"


# ---------------------------------------------------------------- a topology as target


def write(folder, protocol, **more):
    file = folder / "pair.toml"
    file.write_text(toml(tables(protocol, [], **more)))
    data = tomllib.loads(file.read_text())
    data["app"] = {"name": "deliver"}
    file.write_text(toml(data))
    return file


def test_topology_is_run_under_every_profile_and_judged(tmp_path):
    seen = []
    (outcome,) = network_target.run(
        write(tmp_path, "egp"),
        Wish(seeds=1),
        embedded=True,
        progress=lambda result: seen.append((result.case.name, result.runs, result.error)),
    )
    assert seen == [(f"network-{name}", 1, "") for name in network_target.PROFILES]
    verdicts = {one.requirement.id: one.verdict for one in outcome.judgements}
    assert not outcome.failures, [one.words for one in outcome.failures]
    assert {verdicts[one] for one in audit.LIVENESS} == {"PASS"}
    assert verdicts["QN-LINK-6.1-5"] == "PASS"  # which no bench decides
    assert verdicts["QN-LINK-1.3-1"] == "NOT APPLICABLE"
    assert outcome.exit_status in (0, 2)


def test_mutant_in_a_topology_fails_with_its_trace(tmp_path, capsys):
    file = write(tmp_path, f"{MUTANTS}:NEVER_EXPIRES")
    arguments = [str(file), "--embedded", "--case", "network-loss", "--seeds", "3", "--json"]
    assert main(["conformance", *arguments, "--report", str(tmp_path / "r")]) == 1
    told = json.loads(capsys.readouterr().out)
    failure = next(one for one in told["failures"] if one["requirement"] == "QN-LINK-2.1-1")
    assert "--case network-loss" in failure["command"]
    kept = tmp_path / "r/1/failures/QN-LINK-2.1-1"
    assert {one.name for one in kept.iterdir()} == {
        *("replay.toml", "topology.toml", "plan.json", "trace.jsonl", "diagram.svg"),
    }
    # The kept topology is the suite's own: it is run as it is, and breaks again.
    (again,) = network_target.run(kept / "topology.toml", Wish(), embedded=True)
    assert "QN-LINK-2.1-1" in {one.requirement for one in again.failures}
    assert [one.case.name for one in again.results] == ["network-as-described"]


@pytest.mark.slow
@pytest.mark.processes
def test_topology_runs_as_processes_by_default(tmp_path, capsys):
    file = write(tmp_path, "egp")
    status = main(["conformance", str(file), "--case", "network-clean", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["package"] == "processes"
    assert told["verdicts"]["FAIL"] == 0
    assert status in (0, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layer", "wire"], "of a network the links are judged"),
        (["--faults", "none"], "is about the bench"),
        (["--confirm"], "is about the bench"),
        (["--case", "network-lost"], "did you mean network-loss"),
    ],
)
def test_options_that_are_not_about_networks_are_refused(arguments, words, tmp_path, capsys):
    assert main(["conformance", str(write(tmp_path, "egp")), *arguments]) == 3
    assert words in capsys.readouterr().err


# ---------------------------------------------------------------- reports


class Cells(HTMLParser):
    """Rows of the tables of a page."""

    def __init__(self):
        super().__init__()
        self.rows, self.open = [], False

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        self.open = tag in ("td", "th")

    def handle_endtag(self, tag):
        self.open = False

    def handle_data(self, text):
        if self.open and self.rows:
            self.rows[-1].append(text)


def test_several_implementations_stand_side_by_side(tmp_path):
    targets = ["egp", "tdma"]
    arguments = ["--only", "QN-LINK-1.2-1", "--seeds", "1", "--report", str(tmp_path)]
    assert main(["conformance", *targets, *arguments]) == 0
    place = tmp_path / "1"
    told = json.loads((place / "report.json").read_text())["targets"]
    assert [one["target"] for one in told] == targets
    assert len(ET.parse(place / "junit.xml").getroot().findall("testsuite")) == 2
    page = Cells()
    page.feed((place / "report.html").read_text())
    (row,) = [row for row in page.rows if row[:1] == ["QN-LINK-1.2-1"]]
    assert row.count("PASS") == 2
    assert any(row[:1] == ["case"] and row[1:] == targets for row in page.rows)
    assert any(row[:1] == ["purpose-that-nobody-accepts"] and len(row) == 3 for row in page.rows)


def test_events_come_one_by_one_in_lines(tmp_path, capsys):
    arguments = ["--only", "QN-LINK-1.2-1", "--seeds", "1", "--report", str(tmp_path)]
    assert main(["conformance", "egp", *arguments, "--json-lines"]) == 0
    out = capsys.readouterr().out
    assert out == (tmp_path / "1/events.jsonl").read_text()
    told = [json.loads(line) for line in out.splitlines()]
    assert [one["event"] for one in told] == ["begin", "case", "judged", "end"]
    assert told[1]["wall_s"] >= 0.0
    assert told[2]["verdict"] == "PASS"
