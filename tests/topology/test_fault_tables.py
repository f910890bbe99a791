"""The tables of faults: what a good one becomes, and every mistake named."""

from __future__ import annotations

import pytest

from qnet.errors import ConfigError
from qnet.plan import Crash, Cut, Impair, Partition, Stall
from qnet.topology import compile_topology, load
from qnet.units import PS_PER_S

from .networks import pair


def compiled(**faults):
    return compile_topology({**pair(), "faults": faults}, "net.toml").faults


def test_no_table_no_faults():
    assert compile_topology(pair()).faults == ()


def test_each_kind_becomes_its_record_in_order_of_name():
    faults = compiled(
        e={"kind": "cut", "link": "alice-bob", "start_s": 1.0},
        d={"kind": "stall", "node": "bob", "start_s": 1, "end_s": 2},
        c={"kind": "crash", "node": "alice", "at_s": 1.0, "restart_s": 1.5},
        b={"kind": "partition", "nodes": ["middle", "alice"], "start_s": 0.0, "end_s": 0.25},
        a={
            "kind": "impair",
            "source": "al*",
            "kinds": "link.egp/*",
            "loss_prob": 0.1,
            "duplicate_prob": 0.2,
            "reorder_prob": 0.3,
            "reorder_factor": 4.0,
            "start_s": 0.5,
            "end_s": 1.0,
        },
    )
    half = PS_PER_S // 2
    assert faults == (
        Impair("a", "al*", "*", "link.egp/*", 0.1, 0.2, 0.3, 4.0, half, 2 * half),
        Partition("b", ("alice", "middle"), 0, half // 2),
        Crash("c", "alice", 2 * half, 3 * half),
        Stall("d", "bob", 2 * half, 4 * half),
        Cut("e", "alice-bob", 2 * half, None),
    )


def test_patience_enters_the_plan():
    plan = compile_topology({**pair(), "run": {"patience_s": 0.25}})
    assert plan.patience == PS_PER_S // 4
    assert compile_topology(pair()).patience == PS_PER_S // 2


def test_a_node_may_crash_again_once_it_is_back():
    crash = {"kind": "crash", "node": "bob"}
    faults = compiled(one={**crash, "at_s": 1.0, "restart_s": 2.0}, two={**crash, "at_s": 3.0})
    assert [fault.name for fault in faults] == ["one", "two"]


PARTITION = {"kind": "partition", "nodes": ["alice"], "start_s": 1.0, "end_s": 2.0}
CRASH = {"kind": "crash", "node": "bob", "at_s": 1.0}
STALL = {"kind": "stall", "node": "bob", "start_s": 1.0, "end_s": 2.0}
CUT = {"kind": "cut", "link": "alice-bob", "start_s": 1.0}
IMPAIR = {"kind": "impair", "loss_prob": 0.1}


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (7, r": must be a table, got 7"),
        ({}, r"\.kind: is required\. Known: crash, cut, impair, partition, single, stall"),
        ({"kind": "crush"}, r"\.kind: must be a kind of fault, got 'crush'\. .*'crash'"),
        ({"kind": 5}, r"\.kind: must be a kind of fault, got 5"),
        ({"kind": ["cut"]}, r"\.kind: must be a kind of fault"),
        ({**CRASH, "nod": "bob"}, r"\.nod: is not a known key, got 'bob'\. Did you mean 'node'"),
        ({**CRASH, "at_ms": 1}, r"\.at_ms: is not a known key, got 1\. Write at_s \(seconds\)"),
        ({**CRASH, "node": "bobb"}, r"\.node: must name a node, got 'bobb'\. .*'bob'"),
        ({**CRASH, "node": 3}, r"\.node: must be a text in quotes, got 3"),
        ({"kind": "crash", "node": "bob"}, r"\.at_s: is required"),
        ({**CRASH, "at_s": -1.0}, r"\.at_s: must obey 0 <= at_s <= 9e\+06, got -1"),
        ({**CRASH, "at_s": "soon"}, r"\.at_s: must be a number, got 'soon'"),
        ({**CRASH, "at_s": float("nan")}, r"\.at_s: must be a number, not nan"),
        ({**CRASH, "at_s": float("inf")}, r"\.at_s: must obey 0 <= at_s"),
        ({**CRASH, "restart_s": 1.0}, r"\.restart_s: must be later than at_s = 1, got 1"),
        ({**CRASH, "restart_s": 0.5}, r"\.restart_s: must be later than at_s = 1, got 0\.5"),
        ({**STALL, "end_s": 0.5}, r"\.end_s: must be later than start_s = 1, got 0\.5"),
        ({**STALL, "node": "carol"}, r"\.node: must name a node, got 'carol'"),
        ({"kind": "stall", "node": "bob", "start_s": 1.0}, r"\.end_s: is required"),
        ({**PARTITION, "nodes": []}, r"\.nodes: must name some nodes, but not all, got \[\]"),
        ({**PARTITION, "nodes": ["alice", "bob", "middle"]}, r"\.nodes: .* but not all, got \["),
        ({**PARTITION, "nodes": ["bob", "alcie"]}, r"\.nodes\[1\]: must name a node, .*'alice'"),
        ({**PARTITION, "nodes": "alice"}, r"\.nodes: must be a list, got 'alice'"),
        ({**PARTITION, "end_s": 1.0}, r"\.end_s: must be later than start_s = 1, got 1"),
        ({**CUT, "link": "alice-bo"}, r"\.link: must name a link, got 'alice-bo'\. .*'alice-bob'"),
        ({**CUT, "end_s": 0.0}, r"\.end_s: must be later than start_s = 1, got 0"),
        ({**IMPAIR, "source": "car*"}, r"\.source: must match a node, got 'car\*'"),
        ({**IMPAIR, "target": "bobb"}, r"\.target: must match a node, got 'bobb'\. .*'bob'"),
        ({**IMPAIR, "loss_prob": 1.1}, r"\.loss_prob: must obey 0 <= loss_prob <= 1, got 1\.1"),
        ({**IMPAIR, "loss": 0.1}, r"\.loss: is not a known key, got 0\.1\. Write loss_prob"),
        ({"kind": "impair"}, r": loss_prob, duplicate_prob or reorder_prob must be > 0"),
        ({**IMPAIR, "reorder_prob": 0.5}, r"\.reorder_factor: must be > 0 where .*0\.5, got 0"),
        ({**IMPAIR, "reorder_factor": 2.0}, r"\.reorder_factor: must be > 0 where .*is 0, got 2"),
        ({**IMPAIR, "end_s": 0.0}, r"\.end_s: must be later than start_s = 0, got 0"),
    ],
)
def test_wrong_faults_are_refused(fault, text):
    with pytest.raises(ConfigError, match=rf"^net\.toml: faults\.odd{text}"):
        compiled(odd=fault)


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ({"faults": []}, r"faults: must be a table, got \[\]"),
        ({"faults": {"two words": CRASH}}, r"faults\.'two words': a name must be 1 to 32"),
        ({"run": {"patience_s": 0}}, r"run\.patience_s: must obey 1e-09 <= patience_s"),
        ({"run": {"patience": 1}}, r"run\.patience: is not a known key, got 1\. Write patience_s"),
    ],
)
def test_wrong_tables_are_refused(tables, text):
    with pytest.raises(ConfigError, match=rf"^net\.toml: {text}"):
        compile_topology({**pair(), **tables}, "net.toml")


@pytest.mark.parametrize("restart", [{}, {"restart_s": 3.0}, {"restart_s": 2.0}])
def test_a_node_that_is_down_cannot_crash_again(restart):
    with pytest.raises(
        ConfigError,
        match=r"^net\.toml: faults\.two\.at_s: bob must be up to crash, .*fault one, got 2\.0",
    ):
        compiled(one={**CRASH, **restart}, two={**CRASH, "at_s": 2.0})


# ---------------------------------------------------------------- a file of faults

NETWORK = """
[nodes.alice]
platform = "ideal"
[nodes.bob]
platform = "ideal"
[nodes.middle]
kind = "station"
[links.alice-bob]
ends = ["alice", "bob"]
station = "middle"
length_m = 10.0
loss_db_per_km = 0.2
[app]
name = "deliver"
[faults.described]
kind = "cut"
link = "alice-bob"
start_s = 5.0
"""


@pytest.fixture
def files(tmp_path):
    """Writes the file of faults; both paths."""
    (tmp_path / "net.toml").write_text(NETWORK)

    def write(text):
        (tmp_path / "bad-day.toml").write_text(text)
        return tmp_path / "net.toml", tmp_path / "bad-day.toml"

    return write


def test_faults_of_a_file_are_added_to_the_described_ones(files):
    net, faults = files("[faults.another]\nkind = 'crash'\nnode = 'bob'\nat_s = 1.0\n")
    plan = load(net, faults=faults)
    assert [fault.name for fault in plan.faults] == ["another", "described"]
    assert [fault.name for fault in load(net).faults] == ["described"]


def test_an_override_reaches_a_fault_of_a_file(files):
    net, faults = files("[faults.another]\nkind = 'crash'\nnode = 'bob'\nat_s = 1.0\n")
    plan = load(net, ["faults.another.at_s=3"], faults=faults)
    assert plan.faults[0].at == 3 * PS_PER_S
    with pytest.raises(ConfigError, match=r"^--set faults\.another\.at_s=-3: must obey 0 <= at_s"):
        load(net, ["faults.another.at_s=-3"], faults=faults)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "[faults.a]\nkind = 'crash'\nnode = 'bobb'\nat_s = 1.0",
            r"faults\.a\.node: must name a node, got 'bobb'\. Did you mean 'bob'\?",
        ),
        ("[faults.a]\nkind = 'krash'", r"faults\.a\.kind: must be a kind of fault, got 'krash'"),
        ("[faults]\na = 3", r"faults\.a: must be a table, got 3"),
        ("faults = 3", r"faults: must be a table, got 3"),
        ("[fault.a]", r"fault: a file of faults must hold tables \[faults\.NAME\] only"),
        ("[nodes.carol]", r"nodes: a file of faults must hold tables \[faults\.NAME\] only"),
        ("[faults.described]", r"faults\.described: must have another name than a described"),
        ("[faults.a", r"must be valid TOML"),
    ],
)
def test_mistakes_in_a_file_of_faults_are_blamed_on_it(files, text, complaint):
    net, faults = files(text)
    with pytest.raises(ConfigError, match=rf"bad-day\.toml: {complaint}"):
        load(net, faults=faults)


def test_mistakes_of_described_faults_stay_with_the_description(files):
    net, faults = files("[faults.another]\nkind = 'crash'\nnode = 'bob'\nat_s = 1.0\n")
    net.write_text(NETWORK.replace("5.0", "-5.0"))
    with pytest.raises(ConfigError, match=r"net\.toml: faults\.described\.start_s: must obey"):
        load(net, faults=faults)
    net.write_text("faults = 3\n" + NETWORK.partition("[faults")[0])
    with pytest.raises(ConfigError, match=r"net\.toml: faults: must be a table, got 3"):
        load(net, faults=faults)
