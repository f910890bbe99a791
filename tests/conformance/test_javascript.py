"""The example peer in JavaScript: conformant on the wire and as a responder, and its mutants are not.

Needs Node.js and npm (which fetches one package); skipped with the reason where either is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qnet.runtime.assembly import build_world, summarise
from qnet.runtime.host import Host
from qnet.runtime.run import RunOptions
from qnet.runtime.run import run as run_plan
from qnet.testing.conformance.case import CASES
from qnet.testing.conformance.faults import BOB
from qnet.testing.conformance.requirement import register
from qnet.testing.conformance.suite import Target, Wish, load_cases, run
from qnet.testing.conformance.wire.link_cases import LinkTrial
from qnet.testing.conformance.wire.program import Program
from qnet.testing.conformance.wire.talk import Talk
from qnet.topology import load
from qnet.wire.control import Bye, Configure, Grant, Hello, Ready, Report, Stop
from qnet.world.world import World

ROOT = Path(__file__).parents[2]
PEER = ROOT / "deploy/peers/javascript"
NPM_S = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.processes]
load_cases()


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> Iterator[Path]:
    """A folder with the packages that the peer needs, installed or found."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} must be installed to run the peer in JavaScript")
    folder = tmp_path_factory.mktemp("javascript")
    shutil.copy(PEER / "package.json", folder)
    try:
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=NPM_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm install did not end within {NPM_S:g} s")
    if done.returncode != 0:
        pytest.skip(f"npm install must work to run the peer in JavaScript: {done.stderr[-300:]}")
    previous = os.environ.get("NODE_PATH")
    os.environ["NODE_PATH"] = str(folder / "node_modules")
    yield folder
    if previous is None:
        del os.environ["NODE_PATH"]
    else:
        os.environ["NODE_PATH"] = previous


def peer(folder: Path = PEER) -> Target:
    return Target("exec:node peer.js", Program(f"node {folder / 'peer.js'}"))


def verdicts(outcome):
    return {one.requirement.id: one.verdict for one in outcome.judgements}


def test_peer_keeps_the_wire(modules):
    outcome = run(peer(), Wish(layer="wire"))
    assert [failure.words for failure in outcome.failures] == []
    found = verdicts(outcome)
    wanted = {
        one.id
        for one in register("wire").requirement
        if one.role != "world" and one.testability == "tested"
    }
    assert {one for one, verdict in found.items() if verdict == "PASS"} == wanted
    assert outcome.exit_status == 0


def test_peer_is_a_right_responder(modules):
    outcome = run(peer(), Wish(layer="link", seeds=2))
    assert [failure.words for failure in outcome.failures] == []
    decided = {name for one in CASES.values() if one.trial is LinkTrial for name in one.ids}
    found = verdicts(outcome)
    assert {one for one, verdict in found.items() if verdict == "PASS"} == decided
    assert len(decided) >= 39
    assert {found[one] for one in found.keys() - decided} == {"NOT APPLICABLE", "UNTESTED"}
    assert outcome.exit_status == 0


MUTANTS = (
    ("accepts any purpose", "1.2-1", "!this.purposes.includes(purpose)", "false"),
    ("leaves out the last pair", "8.1-3", "entry.served < entry.pairs)", "entry.served < entry.pairs - 1)"),
    ("announces another label", "2.1-2", "label: entry.final,", "label: [1, 1],"),
    ("announces another id", "2.1-1", "pair: this.pair(sequence),", "pair: this.pair(sequence + 1),"),
    ("says that it asked", "2.1-3", "origin: false,", "origin: true,"),
    ("dates the click wrongly", "2.1-6", "created_at: turn.clickedAt,", "created_at: turn.deliverAt,"),
    ("counts pairs from 0", "2.2-1", "request, index, origin", "request, index: index - 1, origin"),
    ("announces late", "2.2-4", "Math.max(...link.correction);", "2 * Math.max(...link.correction);"),
    ("claims too much", "6.1-1", "goodness: this.link.estimate.goodness,", "goodness: 1,"),
    ("keeps its slots", "5.1-1", "this.put({ t: 'discard', slot: SLOT }); // the user", "// the user"),
    ("does not take back", "2.4-2", "if (gone.length) this.put({ t: 'expiry'", "if (false) this.put({ t: 'expiry'"),
    ("ignores Void", "2.4-3", "this.makeVoid(request, index, now, false);", ""),
    ("serves the last first", "8.1-3", "sort((a, b) => a.number - b.number)", "sort((a, b) => b.number - a.number)"),
    ("says what nobody knows", "7.2-3", "this.say('void_heard@1'", "this.say('void_herd@1'"),
    ("draws lots", "8.1-4", "this.runs += 1;", "this.runs += 1 + Math.floor(Math.random() * 99);"),
    ("dies of a second proposal", "8.1-1", "if (known.answer) this.say(...known.answer);", "throw new Error('again');"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sentence", "right", "wrong"), MUTANTS, ids=[one[0] for one in MUTANTS]
)
def test_peer_that_is_wrong_is_caught(modules, tmp_path, name, sentence, right, wrong):
    for file in PEER.glob("*.js"):
        shutil.copy(file, tmp_path)
    text = (tmp_path / "link.js").read_text()
    assert text.count(right) == 1, f"the peer has changed: mend the mutant {name}"
    (tmp_path / "link.js").write_text(text.replace(right, wrong))
    identifier = f"QN-LINK-{sentence}"
    outcome = run(
        peer(tmp_path), Wish(layer="link", only=(identifier,), seeds=3, quick=True, strict=True)
    )
    assert verdicts(outcome)[identifier] == "FAIL", outcome.judgements


# ---------------------------------------------------------------- in a world of density matrices


class Bridge:
    """The way of our host to the world, which is also the world of the program."""

    def __init__(self, world: World, talk: Talk) -> None:
        self.world, self.talk = world, talk
        self._reports: dict[str, Report] = {}

    def _program(self, grants: dict[str, Grant]) -> None:
        if "bob" in grants:
            grant = grants["bob"]
            self.talk.say(grant, grant.at)
            self._reports["bob"] = self.talk.expect(Report, "QN-WIRE-3.1-4", "a grant")

    def first(self) -> Grant:
        grants = self.world.open()
        self._program(grants)
        return grants["ours"]

    def exchange(self, report: Report) -> Grant | None:
        self._reports["ours"] = report
        while True:
            self.world.complete(self._reports)
            self._reports = {}
            grants = self.world.next()
            if grants is None:
                return None
            self._program(grants)
            if "ours" in grants:
                return grants["ours"]


def test_peer_shares_pairs_with_our_host_in_a_run_with_quantum_states(modules):
    plan = load(ROOT / "deploy/topologies/ion-pair.toml", ["pairs=30"])
    hosts = {node.name: "bob" if node.name == BOB else "ours" for node in plan.nodes}
    world = build_world(plan, hosts, None)
    with Program(f"node {PEER / 'peer.js'}").start("bob", "responder") as running:
        talk = running.talk()
        talk.expect(Hello, "QN-WIRE-3.1-1", "connecting")
        talk.say(Configure(plan, (BOB,)))
        talk.expect(Ready, "QN-WIRE-3.1-3", "Configure")
        ours = [name for name, host in hosts.items() if host == "ours"]
        Host(plan, ours, Bridge(world, talk)).run()
        talk.say(Stop("over"))
        talk.expect(Bye, "QN-WIRE-3.1-5", "Stop")
    summary = summarise(world, mode="mixed", wall_s=0.0, status="done")
    world.recorder.close()
    (row,) = summary["requests"]
    assert (row["delivered"], row["expired"]) == (30, 0)
    assert row["fidelity"]["outside_stated_error"] == 0
    assert "half_announced_at_end" not in summary
    # The same run with a host of ours for bob: the program does what it does, pair for pair.
    reference = run_plan(plan, RunOptions("embedded")).summary
    assert summary["simulated_s"] == pytest.approx(reference["simulated_s"], rel=1e-6)
    assert row["fidelity"] == reference["requests"][0]["fidelity"]
    assert summary["attempts"] == reference["attempts"]
