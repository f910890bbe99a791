"""RuleSet machines: rules as data, label law under interleavings, ends, losses, refusals, wrong RuleSets."""

from __future__ import annotations

import msgspec
import pytest

from qnet.errors import RemoteProtocolError
from qnet.ids import NodeId, RequestId
from qnet.layers.link import Cancel, Err, ErrorCode, RequestEnded
from qnet.layers.network import CircuitDown, OpenCircuit
from qnet.machine import Received
from qnet.units import Duration
from qnet_nodes.ideal import IDEAL
from qnet_protocols.network.rulesets_messages import Free, Transfer
from qnet_protocols.network.rulesets_rules import (
    Fewer,
    HavePair,
    RuleSetId,
    Swap,
    Told,
    compose,
)
from tests.machines.rulesets_bench import CLAIMED, Bench, create, ready

QUIET = (0.0, 0.0)


@pytest.mark.parametrize("links", range(1, 18))
def test_rules_of_a_path_fit_together(links: int) -> None:
    """Every inner node swaps once in the tree; every rule that is listened to is its speaker's own."""
    nodes = tuple(NodeId(f"n{number}") for number in range(links + 1))
    rulesets = compose(RuleSetId("n0!1"), nodes, pairs=3, longest=Duration(9), decay=(QUIET, QUIET))
    rules = {
        rule.number: (one.owner, rule) for one in rulesets for rows in one.stages for rule in rows
    }
    assert len(rules) == sum(len(rows) for one in rulesets for rows in one.stages)
    swaps = [owner for owner, rule in rules.values() if Swap() in rule.actions]
    assert sorted(swaps) == sorted(nodes[1:-1])
    for owner, rule in rules.values():
        for clause in rule.clauses:
            if isinstance(clause, Told):
                (have,) = (one for one in rule.clauses if isinstance(one, HavePair))
                speaker, spoken = rules[clause.rule]
                assert speaker == have.partner
                assert HavePair(owner) in spoken.clauses
    (last,) = {one.last for one in rulesets}
    assert Fewer(3) in rules[last][1].clauses
    stages = {len(one.stages) for one in rulesets}
    assert stages == {(links - 1).bit_length() + 1}  # ceil(log2(links)) rounds of swaps


@pytest.mark.parametrize("links", range(1, 9))
@pytest.mark.parametrize("seed", range(4))
def test_label_law_under_any_interleaving(links: int, seed: int) -> None:
    bench = ready(links, seed=seed, cutoff=None if seed % 2 else 60)
    head, tail = bench.names[0], bench.names[-1]
    bench.ask(head, create("n0/1", tail, 4))
    bench.rest()
    assert bench.ends[head] == [RequestEnded(RequestId("n0/1"), True, tail, 0, 4)]
    assert bench.ends[tail] == [RequestEnded(RequestId("n0/1"), False, head, 0, 4)]
    assert sorted(ok.index for ok in bench.ok[head].values()) == [1, 2, 3, 4]
    for ok in bench.ok[head].values():
        expected = tuple(factor**links for factor in CLAIMED)
        assert ok.correlators == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_requests_in_both_directions_at_once(seed: int) -> None:
    bench = ready(4, seed=seed, cutoff=80)
    head, tail = bench.names[0], bench.names[-1]
    bench.ask(head, create("n0/1", tail, 2))
    bench.ask(tail, create("n4/1", head, 2, final=(1, 1)))
    bench.ask(head, create("n0/2", tail, 2, final=(0, 0)))
    bench.rest()
    assert [len(bench.ends[end]) for end in (head, tail)] == [3, 3]
    assert all(isinstance(end, RequestEnded) for end in bench.ends[head])
    wanted = {"n4/1": (1, 1), "n0/2": (0, 0)}
    for ok in bench.ok[tail].values():
        assert ok.label == wanted.get(ok.request, ok.label)
    assert not bench.expired[head]
    assert not bench.expired[tail]


@pytest.mark.parametrize("seed", range(24))
def test_nothing_leaks_when_requests_are_cancelled_or_late(seed: int) -> None:
    bench = ready(1 + seed % 5, seed=seed, cutoff=50)
    head, tail = bench.names[0], bench.names[-1]
    longest = Duration(20 * (1 + seed)) if seed % 3 == 0 else Duration(0)
    bench.ask(head, create("n0/1", tail, 1000, max_time=longest))
    bench.go(20 * (1 + seed))
    if seed % 3:
        bench.ask(tail if seed % 3 == 1 else head, Cancel(RequestId("n0/1")))
    bench.rest()
    (end,) = bench.ends[head]
    if seed % 3:
        assert isinstance(end, RequestEnded)
        assert end.cancelled
    else:
        assert isinstance(end, Err)
        assert end.code is ErrorCode.TIMEOUT
    assert len(bench.ends[tail]) <= 1


@pytest.mark.parametrize("seed", range(24))
def test_a_pair_that_its_link_takes_back_is_replaced(seed: int) -> None:
    bench = ready(1 + seed % 5, seed=seed)
    head, tail = bench.names[0], bench.names[-1]
    bench.ask(head, create("n0/1", tail, 6))
    taken = 0
    for _ in range(120):
        bench.go(3)
        taken += taken < 4 and bench.take_back()
    bench.rest()
    assert taken
    assert isinstance(bench.ends[head][0], RequestEnded)
    assert len(bench.ends[tail]) == 1


@pytest.mark.parametrize("seed", range(24))
def test_lost_peers_void_the_ruleset_everywhere(seed: int) -> None:
    bench = ready(2 + seed % 4, seed=seed)
    head, tail = bench.names[0], bench.names[-1]
    bench.ask(head, create("n0/1", tail, 1000))
    bench.go(15 * (1 + seed))
    one, two = bench.luck.sample(bench.names, 2)
    bench.lose(one, two)
    bench.rest()
    (end,) = bench.ends[head]
    assert isinstance(end, Err)
    assert end.code is ErrorCode.OTHER
    assert len(bench.ends[tail]) <= 1
    bench.ask(head, create("n0/2", tail, 2))
    bench.rest()
    assert isinstance(bench.ends[head][1], RequestEnded)


def refused(bench: Bench, **wishes: object) -> Err:
    """How a request of the head ends."""
    head, tail = bench.names[0], bench.names[-1]
    bench.ask(head, create("n0/1", tail, 2, **wishes))
    bench.rest()
    (end,) = bench.ends[head]
    assert isinstance(end, Err)
    assert not bench.ends[tail]
    return end


def test_refusals_name_the_reason() -> None:
    assert refused(Bench(3)).code is ErrorCode.REJECTED
    best = (1 + sum(factor**9 for factor in CLAIMED)) / 4
    assert best < 0.89
    end = refused(ready(9), minimum_fidelity=0.89)  # the route promises 0.9
    assert end.code is ErrorCode.UNSUPP
    assert f"n9: minimum_fidelity must be <= {best:.6f}" in end.detail
    narrow = msgspec.structs.replace(IDEAL.platform, communication_slots=1)
    end = refused(ready(3, platform=narrow))
    assert end.code is ErrorCode.NORES
    assert "n1: n1 must have 2 communication slots" in end.detail
    end = refused(ready(3), kind="M")
    assert end.code is ErrorCode.UNSUPP
    assert "kind must be K" in end.detail


def test_there_are_no_circuits() -> None:
    bench = ready(2)
    bench.ask("n0", OpenCircuit("n0>n2", NodeId("n2"), 0.0))  # type: ignore[arg-type]
    (down,) = bench.ends[NodeId("n0")]
    assert isinstance(down, CircuitDown)
    assert down.code is ErrorCode.UNSUPP


def at_work() -> tuple[Bench, RuleSetId]:
    """A chain of two links whose RuleSet is at work, and its name."""
    bench = ready(2, seed=5)
    bench.ask("n0", create("n0/1", "n2", 100))
    bench.go(60)
    return bench, RuleSetId("n0!1")


@pytest.mark.parametrize(
    ("rule", "sequence", "source", "words"),
    [
        (99, 1, "n1", "rule must be one of n1's that concerns this node"),
        (1, 1, "n2", "rule must be one of n2's that concerns this node"),
        (1, 77, "n1", "sequence must be"),
    ],
)
def test_a_wrong_ruleset_is_found_at_its_first_message(
    rule: int, sequence: int, source: str, words: str
) -> None:
    bench, name = at_work()
    message = Free(name, rule, sequence, ())
    with pytest.raises(RemoteProtocolError, match=words):
        bench.give("n0", Received(NodeId(source), Free.kind, message, bench.now))


def test_messages_of_a_ruleset_that_is_over_are_late() -> None:
    bench, name = at_work()
    bench.ask("n0", Cancel(RequestId("n0/1")))
    bench.rest()
    late = Transfer(
        name, 1, 1, (), (), NodeId("n2"), (0, 0), (1.0, 1.0, 1.0), 1.0, 0.0, bench.now, bench.now
    )
    bench.give("n0", Received(NodeId("n1"), Transfer.kind, late, bench.now))
    bench.rest()
