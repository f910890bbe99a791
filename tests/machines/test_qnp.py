"""QNP: label law, exactly-once, no leak, under explored interleavings, cancels, cutoffs and losses."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import pytest

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.hardware import Platform
from qnet.ids import CircuitId, LinkId, NodeId, PairId, RequestId
from qnet.layers.link import Accept, Cancel, Err, ErrorCode, OkMeasured, RequestEnded, StopAccepting
from qnet.layers.network import CircuitDown, CircuitUp, CloseCircuit, OpenCircuit
from qnet.machine import Received
from qnet.units import Duration, Instant
from qnet_nodes.ideal import IDEAL
from qnet_protocols.network.messages import Expire, Install
from tests.machines.qnp_bench import RANDOM_BASES, Bench, chain, create

BITS = tuple(product((0, 1), repeat=2))


def delivered(links: int, seed: int, *, accept: bool = True, **options: Any) -> Bench:
    """One request of three pairs from end to end, at rest."""
    wishes = options.pop("wishes", {})
    bench = chain(links, seed=seed, **options)
    if accept:
        bench.ask(f"n{links}", Accept(NodeId("n0"), 0))
    bench.ask("n0", create("n0/1", f"n{links}", **wishes))
    bench.run()
    bench.check_rest()
    bench.check_ends("n0", f"n{links}")
    return bench


@pytest.mark.parametrize(("first", "second", "outcome"), list(product(BITS, BITS, BITS)))
def test_qnp_label_law_of_two_links(
    first: tuple[int, int], second: tuple[int, int], outcome: tuple[int, int]
) -> None:
    """All 64 cases of labels and outcomes, each in several interleavings; the bench knows the truth."""
    for seed in range(6):
        bench = chain(2, seed=seed)
        bench.labels, bench.outcomes = [], [outcome] * 50
        bench.ask("n2", Accept(NodeId("n0"), 0))
        bench.ask("n0", create("n0/1", "n2", 1))
        while not (bench.asked["l0"] and bench.asked["l1"]):
            bench.do(bench.luck.choice(bench.choices(pairs=False)))
        for link, label in (("l0", first), ("l1", second)):
            bench.make_pair(link, label)
        bench.run()
        bench.check_rest()
        bench.check_ends("n0", "n2")
        assert len(bench.told[NodeId("n0")].good) == 1


@pytest.mark.parametrize("links", range(2, 9))
@pytest.mark.parametrize("seed", range(4))
def test_qnp_delivers_over_chains(links: int, seed: int) -> None:
    bench = delivered(links, seed)
    assert len(bench.told[NodeId("n0")].good) == 3


@pytest.mark.parametrize("seed", range(20))
def test_qnp_cutoff_discards_at_both_ends_or_none(seed: int) -> None:
    """A cutoff of five steps discards many pairs; whatever is announced is announced at both ends."""
    bench = delivered(4, seed, cutoff=5)
    assert len(bench.told[NodeId("n0")].good) == 3
    assert not bench.told[NodeId("n0")].expired


@pytest.mark.parametrize("order", ["oldest", "youngest"])
def test_qnp_swaps_on_schedule(order: str) -> None:
    parameters = {"swap": "scheduled", "period_s": 20e-12, "order": order, "cutoff": 200e-12}
    for seed in range(5):
        delivered(3, seed, parameters=parameters)


@pytest.mark.parametrize("final", BITS)
def test_qnp_final_label_is_the_one_asked_for(final: tuple[int, int]) -> None:
    for seed in range(5):
        bench = delivered(3, seed, wishes={"final": final})
        oks = bench.told[NodeId("n0")].announced.values()
        assert {ok.label for ok in oks} == {final}


@pytest.mark.parametrize("seed", range(10))
def test_qnp_measures_both_halves(seed: int) -> None:
    wishes = {"kind": "M", "local": RANDOM_BASES, "distant": RANDOM_BASES}
    bench = delivered(3, seed, wishes=wishes)
    for end in ("n0", "n3"):
        told = bench.told[NodeId(end)].announced.values()
        assert len(told) == 3
        assert all(isinstance(ok, OkMeasured) and ok.basis in "XYZ" for ok in told)


@pytest.mark.parametrize("seed", range(10))
def test_qnp_hands_up_early(seed: int) -> None:
    bench = delivered(3, seed, cutoff=8, wishes={"kind": "E"})
    assert len(bench.told[NodeId("n0")].early) >= 3
    assert len(bench.told[NodeId("n3")].early) == 3


def test_qnp_test_rounds_do_not_count() -> None:
    bench = delivered(2, 3, wishes={"test_share": 0.5, "number": 60})
    head = bench.told[NodeId("n0")]
    assert len(head.good) == 60
    assert head.estimates[-1].rounds > 20


@pytest.mark.parametrize("seed", range(10))
def test_qnp_aggregates_requests_in_one_circuit(seed: int) -> None:
    bench = chain(3, seed=seed)
    bench.ask("n3", Accept(NodeId("n0"), 0))
    for number in range(1, 5):
        bench.ask("n0", create(f"n0/{number}", "n3", number, priority=number % 2))
    assert bench.machines[NodeId("n0")].state.circuits == 1
    bench.run()
    bench.check_rest()
    bench.check_ends("n0", "n3")
    for number in range(1, 5):
        oks = [
            ok for ok in bench.told[NodeId("n3")].announced.values() if ok.request == f"n0/{number}"
        ]
        assert sorted(ok.index for ok in oks) == list(range(1, number + 1))


@pytest.mark.parametrize("seed", range(10))
def test_qnp_serves_both_directions_at_once(seed: int) -> None:
    bench = chain(3, seed=seed)
    bench.ask("n3", Accept(NodeId("n0"), 0))
    bench.ask("n0", Accept(NodeId("n3"), 0))
    bench.ask("n0", create("n0/1", "n3"))
    bench.ask("n3", create("n3/1", "n0"))
    bench.run()
    bench.check_rest()
    assert len(bench.told[NodeId("n0")].good) == len(bench.told[NodeId("n3")].good) == 6


def pooled(memory_slots: int) -> Platform:
    """One communication slot for all links."""
    return msgspec.structs.replace(IDEAL.platform, communication_slots=1, memory_slots=memory_slots)


@pytest.mark.parametrize("seed", range(10))
def test_qnp_pooled_nodes_keep_half_of_their_memory_for_either_side(seed: int) -> None:
    bench = chain(3, seed=seed, platform=pooled(4))
    bench.ask("n3", Accept(NodeId("n0"), 0))
    bench.ask("n0", create("n0/1", "n3", 20))
    most = 0
    while bench.machines[NodeId("n0")].state.asked:
        bench.do(bench.luck.choice(bench.choices(pairs=True)))
        for node in ("n1", "n2"):
            most = max((most, *bench.machines[NodeId(node)].state.pairs[:2]))
        assert all(request.store for asked in bench.asked.values() for request in asked)
    assert most == 2
    bench.run()
    bench.check_rest()
    bench.check_ends("n0", "n3")


def test_qnp_refuses_a_relay_with_too_little_memory() -> None:
    bench = delivered(3, 0, platform=pooled(1))
    (end,) = bench.told[NodeId("n0")].ends[RequestId("n0/1")]
    assert isinstance(end, Err)
    assert end.code is ErrorCode.NORES
    assert end.detail.startswith("n1 must have 2 memory slots to swap")


# ---------------------------------------------------------------- ends before time


@pytest.mark.parametrize("who", ["n0", "n3"])
@pytest.mark.parametrize("steps", range(0, 120, 6))
def test_qnp_cancel_at_any_time(who: str, steps: int) -> None:
    bench = chain(3, seed=steps, cutoff=20)
    bench.ask("n3", Accept(NodeId("n0"), 0))
    bench.ask("n0", create("n0/1", "n3", 1000))
    for _ in range(steps):
        bench.do(bench.luck.choice(bench.choices(pairs=True)))
    bench.ask(who, Cancel(RequestId("n0/1")))
    for _ in range(2000):
        found = bench.choices(pairs=bench.machines[NodeId("n0")].state.asked > 0)
        if not found:
            break
        bench.do(bench.luck.choice(found))
    if bench.machines[NodeId("n0")].state.asked:  # the tail end did not know the request yet
        bench.ask("n0", Cancel(RequestId("n0/1")))
    bench.run()
    bench.check_rest()
    bench.check_ends("n0", "n3")
    (end,) = bench.told[NodeId("n0")].ends[RequestId("n0/1")]
    assert isinstance(end, RequestEnded)
    assert end.cancelled


@pytest.mark.parametrize("kind", ["K", "M", "E"])
@pytest.mark.parametrize("limit", range(1, 200, 20))
def test_qnp_deadline_at_any_time(kind: str, limit: int) -> None:
    wishes = {"number": 100, "max_time": Duration(limit), "kind": kind}
    bench = delivered(3, limit, cutoff=20, wishes=wishes)
    (end,) = bench.told[NodeId("n0")].ends[RequestId("n0/1")]
    assert isinstance(end, Err)
    assert end.code is ErrorCode.TIMEOUT
    assert f"within {limit} ps" in end.detail


def test_qnp_refuses_what_nobody_accepts() -> None:
    bench = delivered(3, 1, accept=False)
    (end,) = bench.told[NodeId("n0")].ends[RequestId("n0/1")]
    assert isinstance(end, Err)
    assert end.code is ErrorCode.REJECTED
    assert end.detail == "n3 does not accept purpose 0 from n0"


@pytest.mark.parametrize(
    ("wishes", "code", "words"),
    [
        ({"number": 0}, ErrorCode.CREATE, "number must be >= 1, got 0"),
        ({"purpose": 0x8000}, ErrorCode.CREATE, "purpose must be >= 0 and < 32768"),
        ({"minimum_fidelity": 0.95}, ErrorCode.UNSUPP, "minimum_fidelity must be <= 0.900000"),
        ({"kind": "R"}, ErrorCode.UNSUPP, "kind must be K, M or E"),
        ({"atomic": True}, ErrorCode.UNSUPP, "atomic and consecutive must be False"),
        ({"kind": "M", "final": (0, 0)}, ErrorCode.UNSUPP, "a final label must be asked for with kind K"),
        ({"test_share": 1.0}, ErrorCode.CREATE, "test_share must obey 0 <= share < 1"),
        ({"circuit": CircuitId("x")}, ErrorCode.OTHER, "circuit x must be open, it is not"),
    ],
)  # fmt: skip
def test_qnp_refusals_have_words(wishes: dict[str, Any], code: ErrorCode, words: str) -> None:
    bench = delivered(2, 0, wishes=wishes)
    (end,) = bench.told[NodeId("n0")].ends[RequestId("n0/1")]
    assert isinstance(end, Err)
    assert end.code is code
    assert words in end.detail


def test_qnp_declines_a_request_when_its_user_left() -> None:
    bench = chain(2)
    bench.ask("n2", Accept(NodeId("n0"), 0))
    bench.ask("n0", OpenCircuit(CircuitId("c"), NodeId("n2"), 0.0))
    bench.run()
    bench.ask("n2", StopAccepting(NodeId("n0"), 0))
    bench.ask("n0", create("n0/1", "n2", circuit=CircuitId("c")))
    bench.run()
    (end,) = bench.told[NodeId("n0")].ends[RequestId("n0/1")]
    assert isinstance(end, Err)
    assert end.code is ErrorCode.REJECTED
    bench.ask("n0", CloseCircuit(CircuitId("c")))
    bench.run()
    bench.check_rest()


# ---------------------------------------------------------------- circuits


def test_qnp_circuit_lasts_until_it_is_closed() -> None:
    bench = chain(3, seed=2)
    bench.ask("n3", Accept(NodeId("n0"), 0))
    bench.ask("n0", OpenCircuit(CircuitId("c"), NodeId("n3"), 0.8, 40.0))
    bench.run()
    (up,) = bench.told[NodeId("n0")].circuits
    assert isinstance(up, CircuitUp)
    assert (up.nodes, up.goodness, up.rate_hz) == (("n0", "n1", "n2", "n3"), 0.9, 40.0)
    for number in (1, 2):
        bench.ask("n0", create(f"n0/{number}", "n3", circuit=CircuitId("c")))
        bench.run()
        assert all(machine.state.circuits == 1 for machine in bench.machines.values())
    bench.ask("n0", create("n0/3", "n3", 1000, circuit=CircuitId("c")))
    for _ in range(50):
        bench.do(bench.luck.choice(bench.choices(pairs=True)))
    bench.ask("n0", CloseCircuit(CircuitId("c")))
    bench.run()
    bench.check_rest()
    bench.check_ends("n0", "n3")
    down = bench.told[NodeId("n0")].circuits[-1]
    assert isinstance(down, CircuitDown)
    assert down.detail == "closed"


def test_qnp_admission_shares_out_links() -> None:
    """Two circuits of 60 pairs/s do not fit on links that carry 100; one of 40 does."""
    bench = chain(2)
    bench.ask("n2", Accept(NodeId("n0"), 0))
    for number, rate_hz in enumerate((60.0, 60.0, 40.0)):
        bench.ask("n0", OpenCircuit(CircuitId(f"c{number}"), NodeId("n2"), 0.0, rate_hz))
        bench.run()
    one, two, three = bench.told[NodeId("n0")].circuits
    assert isinstance(one, CircuitUp)
    assert isinstance(two, CircuitDown)
    assert two.code is ErrorCode.NOTIME
    assert "must sum to <= 1, 0.6 are taken, got 0.6 more" in two.detail
    assert isinstance(three, CircuitUp)


def test_qnp_circuit_names_are_used_once() -> None:
    bench = chain(2)
    bench.ask("n0", OpenCircuit(CircuitId("c"), NodeId("n2"), 0.0))
    with pytest.raises(LocalProtocolError, match="circuit id must be new, got c again"):
        bench.ask("n0", OpenCircuit(CircuitId("c"), NodeId("n2"), 0.0))


# ---------------------------------------------------------------- losses


@pytest.mark.parametrize("hop", range(3))
@pytest.mark.parametrize("steps", range(10, 150, 10))
def test_qnp_break_of_the_only_route(hop: int, steps: int) -> None:
    """Requests end once at both ends, with the reason; pairs that one end alone announced expire."""
    bench = chain(3, seed=steps, cutoff=20)
    bench.ask("n3", Accept(NodeId("n0"), 0))
    bench.ask("n0", create("n0/1", "n3", 1000))
    for _ in range(steps):
        bench.do(bench.luck.choice(bench.choices(pairs=True)))
    known = bench.machines[NodeId("n0")].state.circuits == 1
    bench.lose(f"n{hop}", f"n{hop + 1}")
    bench.run()
    bench.check_rest()
    bench.check_ends("n0", "n3")
    assert known
    (end,) = bench.told[NodeId("n0")].ends[RequestId("n0/1")]
    assert isinstance(end, Err)
    assert end.code is ErrorCode.OTHER
    assert "were lost" in end.detail


DIAMOND = {"ab": ("a", "b"), "bd": ("b", "d"), "ac": ("a", "c"), "cd": ("c", "d")}


@pytest.mark.parametrize("seed", range(20))
def test_qnp_request_moves_to_another_route(seed: int) -> None:
    bench = Bench(DIAMOND, [("a", "b", "d"), ("a", "c", "d")], seed=seed)
    bench.ask("d", Accept(NodeId("a"), 0))
    bench.ask("a", create("a/1", "d", 30))
    for _ in range(20 + 4 * seed):
        bench.do(bench.luck.choice(bench.choices(pairs=True)))
    bench.lose("b", "d")
    bench.run()
    bench.check_rest()
    bench.check_ends("a", "d")
    (end,) = bench.told[NodeId("a")].ends[RequestId("a/1")]
    assert isinstance(end, RequestEnded)
    assert len(bench.told[NodeId("a")].good) == 30


def test_qnp_silent_link_breaks_the_circuit() -> None:
    bench = Bench(DIAMOND, [("a", "b", "d"), ("a", "c", "d")], parameters={"silence_s": 1e-9})
    bench.dead_links.add("bd")
    bench.ask("d", Accept(NodeId("a"), 0))
    bench.ask("a", create("a/1", "d", 4))
    bench.run()
    bench.check_rest()
    bench.check_ends("a", "d")
    assert len(bench.told[NodeId("a")].good) == 4
    assert {ok.pair.partition("#")[0] for ok in bench.told[NodeId("a")].announced.values()} == {
        "ac"
    }


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_qnp_pairs_that_links_take_back(seed: int, ended: bool) -> None:
    """Now and then a link announces a pair at one end only and takes it back there."""
    bench = chain(4, seed=seed, cutoff=30)
    bench.ask("n4", Accept(NodeId("n0"), 0))
    bench.ask("n0", create("n0/1", "n4", 6))
    for step in range(600):
        found = bench.choices(pairs=bench.machines[NodeId("n0")].state.asked > 0)
        if not found:
            break
        bench.do(bench.luck.choice(found))
        if step % 7 == 0:
            bench.take_back(f"l{bench.luck.randrange(4)}", ended=ended)
    bench.run()
    bench.check_rest()
    bench.check_ends("n0", "n4")
    assert len(bench.told[NodeId("n0")].good) == 6


# ---------------------------------------------------------------- late, impossible


def test_qnp_forgets_nothing_and_keeps_nothing() -> None:
    """Records do not pile up on a circuit that has carried many pairs."""
    bench = chain(3, seed=5, cutoff=30)
    bench.ask("n3", Accept(NodeId("n0"), 0))
    bench.ask("n0", create("n0/1", "n3", 150))
    most = 0
    while bench.machines[NodeId("n0")].state.asked:
        bench.do(bench.luck.choice(bench.choices(pairs=True)))
        most = max(
            most, *(max(machine.state.pairs, default=0) for machine in bench.machines.values())
        )
    assert most < 40


def test_qnp_late_messages_are_ignored() -> None:
    bench = chain(2)
    late = Expire(CircuitId("gone"), PairId("l0#1"), False)
    bench.give("n1", Received(NodeId("n0"), Expire.kind, late, Instant(0)))
    assert not any(bench.channels.values())


def test_qnp_install_from_nowhere_is_impossible() -> None:
    bench = chain(2)
    nodes = (NodeId("n0"), NodeId("n1"), NodeId("n2"))
    odd = Install(
        CircuitId("c"), nodes, (LinkId("l0"),), 0x8000, 0, 0.0, 0.0, None, Duration(0), False, 0.0
    )
    with pytest.raises(RemoteProtocolError, match="must be new and lead from n0 to n1"):
        bench.give("n1", Received(NodeId("n0"), Install.kind, odd, Instant(0)))


def test_qnp_second_word_about_a_pair_is_impossible() -> None:
    bench = chain(2, seed=1)
    bench.ask("n2", Accept(NodeId("n0"), 0))
    bench.ask("n0", OpenCircuit(CircuitId("c"), NodeId("n2"), 0.0))
    bench.run()
    name = bench.machines[NodeId("n1")]._circuits.__iter__().__next__().name
    early = Expire(name, PairId("l0#99"), False)
    bench.give("n1", Received(NodeId("n0"), Expire.kind, early, Instant(0)))
    with pytest.raises(RemoteProtocolError, match="must be named once"):
        bench.give("n1", Received(NodeId("n0"), Expire.kind, early, Instant(0)))


# ---------------------------------------------------------------- longest waits

CROSSING = {"l0": ("a", "hub"), "l1": ("hub", "b"), "l2": ("c", "hub"), "l3": ("hub", "d")}
MEAN = 1000
"""Picoseconds per pair of a link of the bench."""


class Cramped(Bench):
    """The links have no room for a pair if the hub holds four qubits."""

    def _room(self, link: str) -> bool:
        held = sum(node == "hub" for node, _ in self.holder)
        return super()._room(link) and held < 4


@pytest.mark.parametrize("seed", range(10))
def test_qnp_circuits_that_share_memory_do_not_wait_for_each_other_for_ever(seed: int) -> None:
    """Each circuit may fill half of the hub with pairs of its first link."""
    bench = Cramped(CROSSING, [("a", "hub", "b"), ("c", "hub", "d")], seed=seed, platform=pooled(4))
    for source, target in (("a", "b"), ("c", "d")):
        bench.ask(target, Accept(NodeId(source), 0))
        bench.ask(source, create(f"{source}/1", target, 5))
    bench.dead_links = {"l1", "l3"}
    while bench.choices(pairs=True):
        bench.do(bench.luck.choice(bench.choices(pairs=True)))
    assert sum(node == "hub" for node, _ in bench.holder) == 4
    bench.dead_links = set()
    bench.run()
    bench.check_rest()
    bench.check_ends("a", "b")
    bench.check_ends("c", "d")
    assert len(bench.told[NodeId("a")].good) == len(bench.told[NodeId("c")].good) == 5


@pytest.mark.parametrize(
    ("circuits", "cutoff", "longest"),
    [
        (1, None, 256 * 2 * MEAN),
        (2, None, 4 * 2 * 2 * MEAN),
        (1, 10**6, 256 * 2 * MEAN),
        (1, 100, 100),
        (2, 100, 100),
    ],
)
def test_qnp_longest_wait_of_a_pair(circuits: int, cutoff: int | None, longest: int) -> None:
    routes = [("a", "hub", "b"), ("c", "hub", "d")]
    bench = Bench(CROSSING, routes, platform=pooled(4), cutoff=cutoff)
    for source, _, target in routes[:circuits]:
        bench.ask(target, Accept(NodeId(source), 0))
        bench.ask(source, create(f"{source}/1", target, 5))
    while bench.choices(pairs=False):
        bench.do(bench.choices(pairs=False)[0])
    hub = bench.machines[NodeId("hub")]
    assert hub.next_deadline() is None
    bench.make_pair("l0")
    while hub.next_deadline() is None:
        bench.do(bench.choices(pairs=False)[0])
    assert hub.next_deadline() == bench.now + longest
