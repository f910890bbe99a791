"""Register, prose and cases agree; the built-ins pass under every fault plan; what fails is shrunk and replays."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from qnet.cli.main import main
from qnet.errors import ConfigError, PluginError
from qnet.layers import link
from qnet.machine import Indicate
from qnet.plugins import find
from qnet.testing.conformance import faults as plans
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.case import ALL, CASES, SCALE
from qnet.testing.conformance.faults import ALICE, BOB, MessageFault, NodeFault
from qnet.testing.conformance.report import page
from qnet.testing.conformance.requirement import LAYERS, Register, Requirement, prose, register
from qnet.testing.conformance.shrinking import smallest
from qnet.testing.conformance.suite import Target, Wish, load_cases, run
from qnet.testing.conformance.target import resolve
from qnet.units import Instant
from qnet_protocols.link.egp import PROTOCOL, EgpEnd

from .mutants import MUTANTS

ROOT = Path(__file__).parents[2]
BOOK = register("link")
load_cases()
SEEN = {
    layer: {name for case in CASES.values() if case.layer == layer for name in case.ids}
    for layer in LAYERS
}


# ---------------------------------------------------------------- register, prose, cases


@pytest.mark.parametrize("layer", LAYERS)
def test_every_testable_requirement_has_a_case(layer):
    book = register(layer)
    testable = {one.id for one in book.requirement if one.testability != "not testable"}
    assert sorted(testable - SEEN[layer]) == []


@pytest.mark.parametrize("layer", LAYERS)
def test_every_case_names_requirements_of_the_register(layer):
    book = register(layer)
    assert sorted(SEEN[layer] - {one.id for one in book.requirement}) == []
    assert not any(book.get(one).testability == "not testable" for one in SEEN[layer])


@pytest.mark.parametrize("layer", LAYERS)
def test_prose_has_every_sentence_and_no_other(layer):
    book = register(layer)
    text = (ROOT / f"docs/specification/{layer}.md").read_text()
    assert re.findall(r"\*\*(QN-[A-Z]+-[\d.]+-\d+)\*\*", text) == [
        one.id for one in book.requirement
    ]
    assert all(one.text in text for one in book.requirement)
    assert prose(layer).strip() in text


def test_every_case_says_what_it_does():
    assert all(case.drive.__doc__ for case in CASES.values())


def test_safety_and_liveness_are_looked_at_in_runs_of_their_own():
    modes = {case.mode for case in CASES.values() if case.profiles == ALL}
    assert modes == {"safety", "liveness"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"why": "because"}, "must say why"),
        ({"testability": "not testable"}, "must say why"),
    ],
)
def test_register_refuses_a_reason_out_of_place(change, words):
    fields = {"id": "QN-LINK-1.1-1", "level": "MUST", "role": "both", "testability": "tested"}
    with pytest.raises(ValueError, match=words):
        Requirement(**{**fields, "text": "A sentence.", **change})


def test_register_refuses_the_same_id_twice_and_sections_without_title():
    one = Requirement("QN-LINK-1.1-1", "MUST", "both", "tested", "A sentence.")
    with pytest.raises(ValueError, match=r"QN-LINK-1.1-1 twice"):
        Register("link", "0", "", "", {"1.1": "x"}, (one, one))
    with pytest.raises(ValueError, match=r"1\.1 have none"):
        Register("link", "0", "", "", {}, (one,))


# ---------------------------------------------------------------- the built-ins


def assert_conformant(name, **wish):
    outcome = run(resolve(name), Wish(**wish))
    said = [(one.requirement.id, one.verdict, one.words) for one in outcome.judgements]
    odd = [one for one in said if one[1] not in ("PASS", "INFO", "UNTESTED", "NOT APPLICABLE")]
    assert not odd, [one.command(name) for one in outcome.failures]
    assert outcome.exit_status == 0
    return outcome


@pytest.mark.slow
@pytest.mark.parametrize("name", ["egp", "tdma"])
def test_built_in_passes_with_few_seeds(name):
    outcome = assert_conformant(name, seeds=5)
    assert outcome.wall_s < 60.0


RANDOM = ("random-requests-stopped-anywhere", "random-requests-at-rest")


@pytest.mark.parametrize("name", ["egp", "tdma"])
@pytest.mark.parametrize("case", sorted(set(CASES) - set(RANDOM)))
def test_built_in_passes_case(name, case):
    outcome = run(resolve(name), Wish(cases=(case,), seeds=1, strict=True))
    assert not outcome.failures, [one.command(name) for one in outcome.failures]
    assert not any(one.error for one in outcome.results)


@pytest.mark.parametrize("name", ["egp", "tdma"])
@pytest.mark.parametrize("case", RANDOM)
def test_built_in_passes_under_every_fault_profile(name, case):
    outcome = run(resolve(name), Wish(cases=(case,), seeds=5, strict=True))
    assert not outcome.failures, [one.command(name) for one in outcome.failures]
    assert not any(one.error for one in outcome.results)
    assert outcome.results[0].runs == 5 * len(ALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["egp", "tdma"])
def test_built_in_raises_no_false_alarm_in_a_hundred_seeds(name):
    assert_conformant(name, seeds=100, strict=True)


# ---------------------------------------------------------------- verdicts


def verdicts(outcome):
    return {one.requirement.id: one.verdict for one in outcome.judgements}


class Idle(EgpEnd):
    """Takes nothing: refuses every request with NORES."""

    def handle(self, event, now):
        request = getattr(event, "request", None)
        if not isinstance(request, link.Create):
            return super().handle(event, now)
        code, to = link.ErrorCode.NORES, request.remote
        return [Indicate(link.Err(request.request, code, True, to, request.purpose, "nothing"))]


def test_end_that_makes_no_pairs_passes_nothing_about_pairs():
    wish = Wish(seeds=1, only=("QN-LINK-2.1-2", "QN-LINK-2.3-1", "QN-LINK-3.1-4"))
    outcome = run(Target("idle", replace(PROTOCOL, make_end=Idle)), wish)
    assert verdicts(outcome) == dict.fromkeys(wish.only, "INCONCLUSIVE")
    assert outcome.exit_status == 2


def test_scheduler_that_is_not_there_is_not_applicable():
    outcome = run(resolve("tdma"), Wish(only=("QN-LINK-4.1-1",), seeds=1))
    assert verdicts(outcome) == {"QN-LINK-4.1-1": "NOT APPLICABLE"}
    assert outcome.exit_status == 0


def test_broken_should_fails_only_if_strict():
    class Mute(EgpEnd):
        def handle(self, event, now):
            return [self.mute(effect) for effect in super().handle(event, now)]

        @staticmethod
        def mute(effect):
            told = getattr(effect, "indication", None)
            if not isinstance(told, link.Err):
                return effect
            err = link.Err(told.request, told.code, told.origin, told.remote, told.purpose)
            return Indicate(err)

    target = Target("mute", replace(PROTOCOL, make_end=Mute))
    for strict, verdict, status in ((False, "NON-STRICT", 0), (True, "FAIL", 1)):
        outcome = run(target, Wish(only=("QN-LINK-1.3-6",), strict=strict))
        assert verdicts(outcome) == {"QN-LINK-1.3-6": verdict}
        assert outcome.exit_status == status


def test_failure_of_the_suite_itself_is_an_error(monkeypatch):
    def broken(trial):
        raise ZeroDivisionError("the suite's own")

    name = "weights-of-bases"
    monkeypatch.setitem(CASES, name, replace(CASES[name], drive=broken))
    outcome = run(resolve("egp"), Wish(only=("QN-LINK-3.1-4",)))
    assert verdicts(outcome) == {"QN-LINK-3.1-4": "ERROR"}
    assert outcome.exit_status == 3
    assert "the suite's own" in outcome.results[0].error


def test_protocol_that_cannot_be_made_fails_and_does_not_stop_the_suite():
    def raises(context):
        raise KeyError("no such parameter")

    outcome = run(Target("odd", replace(PROTOCOL, make_end=raises)), Wish(only=("QN-LINK-8.1-1",)))
    assert verdicts(outcome) == {"QN-LINK-8.1-1": "FAIL"}


# ---------------------------------------------------------------- faults and shrinking


def test_plans_are_read_as_they_are_written():
    for profile in plans.PROFILES:
        for seed in range(3):
            plan = plans.draw(profile, seed, SCALE)
            assert plans.parse(plans.words(plan)) == plan
            assert plans.draw(profile, seed, SCALE) == plan
    assert plans.words(()) == "none"


@pytest.mark.parametrize("text", ["", "lose alice>carol 1", "stall dave 1..2", "lose alice>bob"])
def test_plans_that_cannot_be_read_are_refused(text):
    with pytest.raises(ConfigError, match="lose alice>bob 3"):
        plans.parse(text)


def test_every_fault_of_a_profile_ends_at_the_horizon():
    for profile in plans.PROFILES:
        for seed in range(20):
            for one in plans.draw(profile, seed, SCALE):
                assert isinstance(one, MessageFault) or one.start < one.end <= SCALE.horizon


FAULTS = {
    "lose": ("lose alice>bob 1", "number 1 to bob is lost"),
    "partition": ("partition bob 0..40000000", "number 1 to bob is lost"),
    "crash": ("crash bob 30000000..50000000", "is back, for the 1. time"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_fault_is_in_the_record_of_a_run(what):
    text, line = FAULTS[what]
    bench = Bench(find("qnet.links", "egp"), faults=plans.parse(text))
    bench.accept()
    bench.create(0, ALICE, "1", 3)
    bench.run()
    assert line in {one.what for one in bench.lines}


@pytest.mark.parametrize(
    "text",
    [
        "delay alice>bob 1 +7000000",
        "stall bob 0..15000000",
        "overtake alice>bob 1",
        "full alice 0..90000000",
        "slow bob 0..90000000 +9000000",
    ],
)
def test_fault_moves_what_is_announced(text):
    said = []
    for faults in ((), plans.parse(text)):
        bench = Bench(find("qnet.links", "egp"), faults=faults, memory=(1, 1))
        bench.accept()
        bench.create(0, ALICE, "1", 3, store=True)
        bench.create(0, ALICE, "2")
        bench.run()
        said.append((bench.said, bench.sent, bench.lines))
    assert said[0] != said[1]


def test_shrinking_keeps_what_is_needed_and_nothing_else():
    plan = (
        *(MessageFault("lose", ALICE, BOB, nth) for nth in range(1, 30)),
        NodeFault("stall", BOB, Instant(10), Instant(90)),
        NodeFault("full", BOB, Instant(10), Instant(90)),
    )

    def fails(candidate):
        spells = [one for one in candidate if isinstance(one, NodeFault) and one.what == "stall"]
        return MessageFault("lose", ALICE, BOB, 7) in candidate and any(
            one.end >= 40 for one in spells
        )

    found = smallest(plan, fails)
    assert [one.what for one in found] == ["lose", "stall"]
    assert fails(found)
    assert found[1].end - found[1].start == 40


def test_failure_is_shrunk_and_replays_with_one_command(capsys):
    """An end that never says EXPIRE fails because one herald is lost: of many faults one is left."""
    name = "tests.conformance.mutants:NEVER_EXPIRES"
    status = main(
        [
            *("conformance", name, "--only", "QN-LINK-2.1-1", "--seeds", "3"),
            *("--case", "random-requests-at-rest", "--json"),
        ]
    )
    failure = _failure(capsys, "QN-LINK-2.1-1")
    assert status == 1
    assert len(plans.parse(failure["smallest"])) == 1 < len(plans.parse(failure["faults"]))
    words = re.findall(r'"[^"]*"|\S+', failure["command"])
    again = main([one.strip('"') for one in words[1:]] + ["--json"])
    same = _failure(capsys, "QN-LINK-2.1-1")
    assert again == 1
    assert (same["words"], same["smallest"]) == (failure["words"], failure["smallest"])


def _failure(capsys, identifier):
    failures = json.loads(capsys.readouterr().out)["failures"]
    return next(one for one in failures if one["requirement"] == identifier)


# ---------------------------------------------------------------- command and reports


def test_reports_are_written_and_never_overwritten(tmp_path, capsys):
    bad = next(one for one in MUTANTS if one.name == "never-expires")
    target = Target("tests.conformance.mutants:NEVER_EXPIRES", bad.protocol)
    arguments = ["conformance", target.name, "--only", bad.breaks, "QN-LINK-1.1-1", "--seeds", "1"]
    for number in (1, 2):
        assert main([*arguments, "--report", str(tmp_path)]) == 1
        assert f"written: {tmp_path / str(number)}" in capsys.readouterr().out
    place = tmp_path / "1"
    data = json.loads((place / "report.json").read_text())
    assert data["verdicts"]["FAIL"] >= 1
    assert {one["id"] for one in data["requirements"]} >= {bad.breaks, "QN-LINK-1.1-1"}
    suite = ET.parse(place / "junit.xml").getroot()
    assert suite.get("failures") == str(data["verdicts"]["FAIL"])
    assert len(suite.findall("testcase/failure")) == data["verdicts"]["FAIL"]
    assert bad.breaks in (place / "report.html").read_text()
    replay = (place / "failures" / bad.breaks / "replay.toml").read_text()
    assert "qnet conformance" in replay
    assert "user hears" in (place / "failures" / bad.breaks / "trace.txt").read_text()
    svg = ET.parse(place / "failures" / bad.breaks / "diagram.svg").getroot()
    texts = {one.text for one in svg.iter() if one.text}
    assert {"alice", "station", "bob", "propose", "herald_reported", "×", "Ok"} <= texts
    assert any(one.get("class") == "sent" for one in svg.iter())


def test_page_shows_implementations_side_by_side():
    wish = Wish(only=("QN-LINK-1.2-1",), seeds=1)
    text = page([run(resolve(name), wish) for name in ("egp", "tdma")])
    assert text.count('class="PASS"') == 2
    assert "egp<br>origin" in text
    assert "tdma<br>peer" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eg"], "did you mean 'egp'"),
        (["egp", "--only", "QN-LINK-1.1-11"], "did you mean QN-LINK-1.1-1"),
        (["egp", "--case", "prioritys"], "did you mean priorities"),
        (["egp", "--layer", "wire"], "--layer"),
        (["egp", "--seeds", "0"], "--seeds"),
        (["egp", "--faults", "lose everything"], "--faults"),
        (["egp", "--no-such-option"], "no-such-option"),
        (["tests.conformance.mutants:Border"], "must be a qnet.seams record, one of LinkProtocol"),
        (["no_such_package:X"], "cannot be loaded"),
    ],
)
def test_wrong_command_line_ends_with_three(arguments, words, capsys):
    assert main(["conformance", *arguments]) == 3
    assert words in capsys.readouterr().err


def test_table_shows_verdicts_by_requirement(capsys):
    assert main(["conformance", "egp", "--only", "QN-LINK-1.2-1", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert "QN-LINK-1.2-1" in out
    assert "1 PASS; 1 runs of 1 cases" in out


def test_metronome_is_not_a_link_service():
    outcome = run(resolve("metronome"), Wish(seeds=1))
    assert verdicts(outcome)["QN-LINK-8.1-1"] == "FAIL"


def test_target_of_a_package_is_found_by_its_path():
    assert resolve("qnet_protocols.link.egp:PROTOCOL").protocol is PROTOCOL
    with pytest.raises(PluginError, match="nothing_here"):
        resolve("qnet_protocols.link.egp:nothing_here")


PACKAGE_TEST = """
from qnet.testing.conformance.items import conformance_tests

test_link = conformance_tests("{target}", seeds=1)
"""


@pytest.mark.slow
def test_package_runs_the_suite_with_one_line(pytester_run):
    out = pytester_run(PACKAGE_TEST.format(target="tests.conformance.mutants:NEVER_EXPIRES"))
    assert "test_link[QN-LINK-2.4-2] FAILED" in out
    assert "replay: qnet conformance tests.conformance.mutants:NEVER_EXPIRES" in out
    assert "test_link[QN-LINK-1.2-1] PASSED" in out
    assert "test_link[QN-LINK-6.1-5] SKIPPED (UNTESTED" in out


@pytest.fixture
def pytester_run(tmp_path):
    """Run pytest on a package's test in a process of its own; what it says."""

    def pytest_on(text):
        (tmp_path / "test_package.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:xdist"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        done = subprocess.run(
            [*command, "test_package.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        return done.stdout

    return pytest_on
