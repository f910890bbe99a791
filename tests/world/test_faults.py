"""Faults: what becomes of messages, attempts, slots and applications when things go wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qnet.ids import NodeId, OpId, SlotId
from qnet.plan import Crash, Cut, Fault, Impair, Partition, Stall
from qnet.program import Initialise, Program
from qnet.runtime.assembly import build_world
from qnet.topology import load
from qnet.units import Duration, Instant
from qnet.wire.control import AppEnded, Crashed, Envelope, ProgramEnded, Restarted, RunProgram
from qnet.wire.frame import encode_body
from qnet.world.faults import Faults, Passage
from qnet.world.world import World

from .optics_bench import ALICE, BOB, CLICK, CYCLE, EMISSION, FLIGHT, LINK, MIDDLE, Bench, sure
from .test_authority_world import HOSTS, TOPOLOGY, complete, light, post, says

MS = 10**9


def passage(faults: Faults, *, seq: int = 0, at: int = 0, incarnation: int = 0) -> Passage:
    message = (incarnation, seq)
    return faults.passage(ALICE, BOB, "link.x/y@1", message, Instant(at), Duration(100))


# ---------------------------------------------------------------- decisions


def test_without_faults_a_message_arrives_one_light_time_later() -> None:
    assert passage(Faults(1, ()), at=7) == ((107,), "")
    assert not Faults(1, ())


@pytest.mark.parametrize(
    ("share", "fault"),
    [
        (0.3, Impair("x", loss_prob=0.3)),
        (0.2, Impair("x", duplicate_prob=0.2)),
        (0.4, Impair("x", reorder_prob=0.4, reorder_factor=2.0)),
    ],
)
def test_impairments_have_their_chances(share: float, fault: Impair) -> None:
    number, faults = 4000, Faults(5, (fault,))
    found = [passage(faults, seq=seq) for seq in range(number)]
    hit = sum(one.arrivals != (100,) for one in found)
    assert abs(hit / number - share) < 3 * math.sqrt(share * (1 - share) / number)
    assert all((one.lost_to == "x") == (one.arrivals == ()) for one in found)
    late = [arrival for one in found for arrival in one.arrivals]
    assert 100 <= min(late) <= max(late) <= 300
    if fault.reorder_prob:
        assert max(late) > 290  # 1600 uniform draws all below 0.95: never


def test_fate_of_a_message_depends_on_itself_only() -> None:
    fault = Impair("x", loss_prob=0.5)
    alone = [passage(Faults(5, (fault,)), seq=seq).arrivals for seq in range(40)]
    others = Faults(5, (Impair("y", duplicate_prob=0.0, source="carol"), fault))
    assert [passage(others, seq=seq).arrivals for seq in reversed(range(40))][::-1] == alone
    assert [passage(Faults(6, (fault,)), seq=seq).arrivals for seq in range(40)] != alone
    reborn = Faults(5, (fault,))
    assert [passage(reborn, seq=seq, incarnation=1).arrivals for seq in range(40)] != alone


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        (Impair("x", loss_prob=1.0), True),
        (Impair("x", source="al*", target="b?b", kinds="link.*", loss_prob=1.0), True),
        (Impair("x", source="bob", loss_prob=1.0), False),
        (Impair("x", target="alice", loss_prob=1.0), False),
        (Impair("x", kinds="app.*", loss_prob=1.0), False),
        (Impair("x", loss_prob=1.0, start=Instant(51)), False),
        (Impair("x", loss_prob=1.0, start=Instant(50), end=Instant(51)), True),
        (Impair("x", loss_prob=1.0, end=Instant(50)), False),
        (Partition("x", (ALICE,), Instant(50), Instant(51)), True),
        (Partition("x", (BOB, MIDDLE), Instant(0), Instant(99)), True),
        (Partition("x", (ALICE, BOB), Instant(0), Instant(99)), False),
        (Partition("x", (MIDDLE,), Instant(0), Instant(99)), False),
        (Partition("x", (ALICE,), Instant(0), Instant(50)), False),
    ],
)
def test_which_messages_a_fault_concerns(fault: Fault, lost: bool) -> None:
    assert passage(Faults(1, (fault,)), at=50) == (((), "x") if lost else ((150,), ""))


def test_message_of_a_stalled_node_leaves_at_the_end_of_the_stall() -> None:
    stalls = (
        Stall("x", ALICE, Instant(10), Instant(20)),
        Stall("y", ALICE, Instant(20), Instant(30)),
    )
    assert passage(Faults(1, stalls), at=15).arrivals == (130,)
    assert passage(Faults(1, stalls), at=30).arrivals == (130,)
    parted = Partition("z", (ALICE,), Instant(0), Instant(30))
    assert passage(Faults(1, (*stalls, parted)), at=15).arrivals == (130,)


# ---------------------------------------------------------------- dark links


@pytest.fixture(params=[False, True], ids=["skip-ahead", "exact"])
def exact(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def dark(bench: Bench, *faults: Fault) -> Bench:
    link = bench.optics._links[LINK]
    link.dark = Faults(1, faults).dark(link.plan)
    return bench


@pytest.mark.parametrize(
    ("fault", "click"),
    [
        # The first attempt emits at EMISSION (alice) and half a flight later (bob), clicks at CLICK.
        (Cut("x", LINK, Instant(EMISSION), Instant(EMISSION + 1)), CLICK + CYCLE),
        (Cut("x", LINK, Instant(EMISSION + 1), Instant(EMISSION + FLIGHT // 2)), CLICK),
        (Cut("x", LINK, Instant(EMISSION + FLIGHT // 2), Instant(CLICK)), CLICK + CYCLE),
        (Cut("x", LINK, Instant(0), Instant(EMISSION + 7 * CYCLE)), CLICK + 7 * CYCLE),
        (Cut("x", LINK, Instant(0), Instant(EMISSION + 7 * CYCLE + 1)), CLICK + 8 * CYCLE),
        (Cut("x", LINK, Instant(CLICK + 5), None), CLICK),
        (Crash("x", MIDDLE, Instant(CLICK), Instant(CLICK + 1)), CLICK + CYCLE),
        (Crash("x", MIDDLE, Instant(0), Instant(CLICK)), CLICK),
        (Crash("x", ALICE, Instant(0), None), CLICK),
    ],
)
def test_attempts_in_the_dark_are_made_and_do_not_click(
    exact: bool, fault: Fault, click: int
) -> None:
    bench = dark(Bench(exact=exact), fault)
    bench.arm(ALICE)
    bench.arm(BOB)
    bench.to_the_end()
    assert bench.clicks == [(click, (0, 2))]
    assert bench.attempts == {LINK: 1 + (click - CLICK) // CYCLE}
    assert bench.optics.heralds() == {LINK: 1}


def test_link_that_is_cut_for_ever_attempts_for_ever(exact: bool) -> None:
    bench = dark(Bench(exact=exact), Cut("x", LINK, Instant(0), None))
    bench.arm(ALICE)
    op = bench.arm(BOB)
    bench.at(EMISSION + 1000 * CYCLE + FLIGHT)
    bench.optics.abort(BOB, op)
    bench.to_the_end()
    assert bench.clicks == []
    assert bench.attempts == {LINK: 1001}


def test_cut_leaves_the_law_of_the_first_success(exact: bool) -> None:
    # p = 0.25; attempts 3..6 are dark: the index of the success is geometric over the other attempts.
    number, p = 400, 0.25
    cut = Cut("x", LINK, Instant(EMISSION + 2 * CYCLE), Instant(EMISSION + 6 * CYCLE))
    counts: dict[int, int] = {}
    for seed in range(number):
        bench = dark(Bench(scheme=sure(p), exact=exact, seed=seed), cut)
        bench.arm(ALICE)
        bench.arm(BOB)
        index = bench.next_click().attempt
        counts[index] = counts.get(index, 0) + 1
    for index, expected in (
        (1, p),
        (2, 0.75 * p),
        (3, 0),
        (6, 0),
        (7, 0.75**2 * p),
        (8, 0.75**3 * p),
    ):
        sigma = math.sqrt(expected * (1 - expected) / number)
        assert abs(counts.get(index, 0) / number - expected) <= 3 * sigma


def test_crashed_end_is_disarmed_and_its_half_is_lost() -> None:
    bench = Bench()
    bench.arm(ALICE)
    bench.arm(BOB)
    bench.at(EMISSION + FLIGHT // 2 + 1)  # both photons are on their way
    bench.optics.crash(BOB)
    bench.store.crash(BOB, Instant(bench.now))
    bench.to_the_end()
    assert [one.lost for one in bench.created] == [(BOB,)]
    assert bench.store.occupied() == [(ALICE, 0)]
    assert bench.store.reserved() == []


# ---------------------------------------------------------------- the world


def build(tmp_path: Path, *faults: Fault) -> World:
    file = tmp_path / "pair.toml"
    file.write_text(TOPOLOGY)
    folder = tmp_path / "run"
    folder.mkdir()
    plan = msgspec.structs.replace(load(file), faults=faults)
    opened = build_world(plan, HOSTS, folder)
    opened.open()
    return opened


def trace(world: World, tmp_path: Path) -> list[Any]:
    world.recorder.flush()
    lines = (tmp_path / "run" / "trace.jsonl").read_bytes().splitlines()[1:]
    return [msgspec.json.decode(line)["event"] for line in lines]


def turn(world: World, node: NodeId) -> tuple[int, list[Any]]:
    """Instant and items of the next turn, which must be for ``node`` alone."""
    grants = world.next()
    assert grants is not None
    assert list(grants) == [HOSTS[node]]
    (grant,) = grants.values()
    assert [one.node for one in grant.nodes] == [node]
    return grant.at, list(grant.nodes[0].items)


def test_lost_message_leaves_a_line_and_doubled_comes_twice(tmp_path: Path) -> None:
    world = build(
        tmp_path,
        Impair("rain", target="middle", loss_prob=1.0),
        Impair("echo", target="bob", duplicate_prob=1.0),
    )
    complete(world, says(post(MIDDLE, 0), post(BOB, 0)))
    at, items = turn(world, BOB)
    assert at == light(world, ALICE, BOB)
    assert [item.seq for item in items] == [0, 0]
    assert trace(world, tmp_path) == [
        {"type": "MessageLost", "fault": "rain", "source": "alice", "target": "middle",
         "kind": "app.x/y@1", "seq": 0, "sent_at": 0}
    ]  # fmt: skip


PREPARE = Program((Initialise(SlotId(0)),))


def test_items_for_a_stalled_node_come_at_the_end_in_their_order(tmp_path: Path) -> None:
    world = build(tmp_path, Stall("nap", BOB, Instant(1), Instant(MS)))
    asks = RunProgram(OpId("x"), PREPARE)
    complete(world, says(post(BOB, 0), post(BOB, 1)), bob=says(asks, node=BOB))
    at, items = turn(world, BOB)
    assert at == MS
    assert [item.seq for item in items[:2]] == [0, 1]
    assert items[2:] == [ProgramEnded(OpId("x"), ())]


def crashed(world: World, tmp_path: Path) -> None:
    """Alice has sent a message and run a program; she crashes at 1 ms."""
    complete(world, says(RunProgram(OpId("x"), PREPARE), post(BOB, 0)))
    assert turn(world, BOB)[0] == light(world, ALICE, BOB)
    complete(world)
    assert turn(world, ALICE)[1] == [ProgramEnded(OpId("x"), ())]
    complete(world)
    assert world.store.occupied() == [(ALICE, 0)]
    at, items = turn(world, ALICE)
    assert (at, items) == (MS, [Crashed()])
    assert world.store.occupied() == []


def test_crash_takes_the_memory_and_a_restart_begins_anew(tmp_path: Path) -> None:
    world = build(tmp_path, Crash("fuse", ALICE, Instant(MS), Instant(3 * MS)))
    crashed(world, tmp_path)
    assert world.app_results == {ALICE: ("requester", None)}
    assert world.crashed_apps == {ALICE}
    # What the node still puts out is void.
    complete(world, says(post(BOB, 1), AppEnded("requester", encode_body(1)), at=MS))
    at, items = turn(world, ALICE)
    assert (at, items) == (3 * MS, [Restarted(1)])
    # Sequence numbers and operation ids begin anew.
    complete(
        world,
        says(post(BOB, 0), RunProgram(OpId("x"), Program((Initialise(SlotId(1)),))), at=3 * MS),
    )
    at, items = turn(world, BOB)
    assert [(item.seq, item.incarnation) for item in items] == [(0, 1)]
    complete(world)
    assert turn(world, ALICE)[1] == [ProgramEnded(OpId("x"), ())]
    assert world.store.occupied() == [(ALICE, 1)]
    assert world.leftovers() == {ALICE: {"occupied": 1, "reserved": 0}}
    types = [event["type"] for event in trace(world, tmp_path)]
    assert types == ["NodeCrashed", "NodeRestarted"]


def test_what_is_due_for_a_node_that_is_down_is_lost(tmp_path: Path) -> None:
    world = build(tmp_path, Crash("fuse", ALICE, Instant(MS), Instant(3 * MS)))
    delay = light(world, BOB, ALICE)
    complete(world, bob=says(node=BOB, deadline=MS - 1))
    world.next()
    complete(world, bob=says(post(ALICE, 0), node=BOB, at=MS - 1, deadline=3 * MS - delay))
    assert turn(world, ALICE) == (MS, [Crashed()])
    complete(world)
    grants = world.next()
    assert grants is not None
    assert grants["h-bob"].at == 3 * MS - delay
    complete(world, bob=says(post(ALICE, 1), node=BOB, at=3 * MS - delay))
    at, items = turn(world, ALICE)
    assert at == 3 * MS
    assert items[0] == Restarted(1)
    assert [item.seq for item in items[1:] if isinstance(item, Envelope)] == [1]
    lost = [event for event in trace(world, tmp_path) if event["type"] == "MessageLost"]
    assert [(event["fault"], event["seq"]) for event in lost] == [("fuse", 0)]


def test_result_of_a_lost_incarnation_never_comes(tmp_path: Path) -> None:
    file = tmp_path / "pair.toml"
    file.write_text(TOPOLOGY.replace('"ideal"', '"sr88-ca43"'))
    plan = msgspec.structs.replace(
        load(file), faults=(Crash("fuse", ALICE, Instant(1000), Instant(2000)),)
    )
    world = build_world(plan, HOSTS, None)
    world.open()
    complete(world, says(RunProgram(OpId("x"), PREPARE)))
    assert turn(world, ALICE) == (1000, [Crashed()])
    complete(world)
    assert turn(world, ALICE) == (2000, [Restarted(1)])
    complete(world)
    assert world.next() is None  # the initiator is gone and nothing is due, no result either


def test_run_whose_applications_have_all_crashed_is_over(tmp_path: Path) -> None:
    world = build(
        tmp_path,
        Crash("one", ALICE, Instant(MS), None),
        Crash("two", BOB, Instant(MS), Instant(2 * MS)),
    )
    complete(world)
    grants = world.next()
    assert grants is not None
    assert sorted(grants) == ["h-alice", "h-bob"]
    complete(world)
    assert world.next() is None
    assert world.verdict is not None
    assert (world.verdict.by, world.verdict.at) == ("applications", MS)
