"""What the world accepts from hosts: reports about the present, about their own nodes, in sequence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from qnet.errors import BackendError, QnetError, QnetInternalError, WireError
from qnet.fibres import Fibres
from qnet.ids import LinkId, NodeId, OpId, PairId, RequestId, SlotId
from qnet.program import Gate, Initialise, Program
from qnet.runtime.assembly import build_world
from qnet.topology import load
from qnet.units import Instant
from qnet.wire.codes import Refusal
from qnet.wire.control import (
    AppEnded,
    Delivered,
    Discard,
    Grant,
    NodeReport,
    Output,
    Post,
    Refused,
    Report,
    RunProgram,
    StartAttempt,
)
from qnet.wire.frame import encode_body
from qnet.world.bounds import BoundBroken
from qnet.world.ledger import AgreementBroken
from qnet.world.world import OWN_TURNS, World

from .optics_bench import PSI_PLUS

ALICE, BOB, MIDDLE = NodeId("alice"), NodeId("bob"), NodeId("middle")
HOSTS = {ALICE: "h-alice", BOB: "h-bob", MIDDLE: "h-middle"}
TOPOLOGY = """
[nodes.alice]
platform = "ideal"
[nodes.bob]
platform = "ideal"
[nodes.middle]
kind = "station"
[links.alice-bob]
ends = ["alice", "bob"]
station = "middle"
length_m = 100.0
loss_db_per_km = 0.2
[app]
name = "deliver"
"""
MakeWorld = Callable[..., World]


def light(world: World, source: NodeId, target: NodeId) -> int:
    time = Fibres(world.plan.links).light_time(source, target)
    assert time is not None
    return time


@pytest.fixture
def world(tmp_path: Path) -> World:
    file = tmp_path / "pair.toml"
    file.write_text(TOPOLOGY)
    opened = build_world(load(file), HOSTS, None)
    opened.open()
    return opened


def complete(world: World, alice: Report | None = None, **others: Report) -> None:
    """Everybody who was granted reports; ``alice`` and ``others`` say something."""
    reports = {host: Report(world.authority.now, None, []) for host in world.granted}
    if alice is not None:
        reports["h-alice"] = alice
    reports.update({f"h-{name}": report for name, report in others.items()})
    world.complete(reports)


def says(
    *outputs: Output, node: NodeId = ALICE, at: int = 0, deadline: int | None = None
) -> Report:
    bound = None if deadline is None else Instant(deadline)
    return Report(Instant(at), bound, [NodeReport(node, list(outputs), b"")])


def post(target: NodeId, seq: int) -> Post:
    return Post(target, "app.x/y@1", seq, encode_body(1))


def delivered(label: tuple[int, int] = (0, 0), *, origin: bool = True, index: int = 1) -> Delivered:
    return Delivered(
        PairId("alice-bob#1"), RequestId("alice/1"), index, origin, BOB if origin else ALICE,
        SlotId(0), label, 1.0, 0.1, Instant(0), Instant(0),
    )  # fmt: skip


def refused(world: World) -> list[int]:
    """Codes of the refusals that alice is granted next."""
    grants = world.next()
    assert grants is not None
    return [item.code for item in grants["h-alice"].nodes[0].items if isinstance(item, Refused)]


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (says(at=1), Refusal.TIME),
        (says(at=-1), Refusal.TIME),
        (says(deadline=0), Refusal.TIME),
        (says(deadline=-5), Refusal.TIME),
        (says(node=BOB), Refusal.WRONG_SOURCE),
        (says(node=NodeId("mallory")), Refusal.WRONG_SOURCE),
        (says(post(ALICE, 0)), Refusal.WRONG_TARGET),
        (says(post(NodeId("mallory"), 0)), Refusal.WRONG_TARGET),
        (says(post(BOB, 1)), Refusal.SEQUENCE),
        (says(post(BOB, 0), post(BOB, 0)), Refusal.SEQUENCE),
        (says(delivered((0, 2))), Refusal.BAD_BODY),
        (says(AppEnded("provider", encode_body(1))), Refusal.BAD_BODY),
        (says(AppEnded("requester", msgspec.Raw(b"\xa1\xff"))), Refusal.BAD_BODY),
        (says(AppEnded("requester", msgspec.Raw(b"\xd4\x05x"))), Refusal.BAD_BODY),
    ],
)
def test_report_is_refused(world: World, report: Report, code: Refusal) -> None:
    with pytest.raises(WireError) as caught:
        complete(world, report)
    assert caught.value.code == code


def test_station_cannot_end_the_run(world: World) -> None:
    with pytest.raises(WireError, match="in its role, None"):
        complete(world, middle=says(AppEnded("", encode_body(0)), node=MIDDLE))


def test_reports_must_be_those_granted(world: World) -> None:
    with pytest.raises(QnetInternalError, match="granted"):
        world.complete({"h-alice": says()})
    with pytest.raises(QnetInternalError, match="granted"):
        complete(world, mallory=says())


def test_report_of_an_earlier_turn_is_refused(world: World) -> None:
    complete(world, says(deadline=7))
    assert world.next() == {"h-alice": Grant(Instant(7), 0, [])}
    with pytest.raises(WireError, match="granted instant 7 ps, got 0 ps"):
        complete(world, says(deadline=9))


def test_trace_must_be_whole_lines(world: World) -> None:
    with pytest.raises(WireError, match="whole lines"):
        complete(world, Report(Instant(0), None, [NodeReport(ALICE, [], b'{"at":0')]))


def test_message_is_due_one_light_time_later_and_not_before(world: World) -> None:
    complete(world, says(post(BOB, 0), post(BOB, 1)))
    grants = world.next()
    assert grants is not None
    assert list(grants) == ["h-bob"]
    delay = light(world, ALICE, BOB)
    assert grants["h-bob"].at == delay > 0
    assert [item.seq for item in grants["h-bob"].nodes[0].items] == [0, 1]  # type: ignore[union-attr]


def test_simultaneous_messages_come_in_order_of_their_source(world: World) -> None:
    middle_to_bob = light(world, MIDDLE, BOB)
    alice_to_bob = light(world, ALICE, BOB)
    later = Instant(alice_to_bob - middle_to_bob)
    complete(world, says(post(BOB, 0)), middle=Report(Instant(0), later, []))
    world.next()
    complete(world, middle=says(post(BOB, 0), node=MIDDLE, at=later))
    grants = world.next()
    assert grants is not None
    assert [item.source for item in grants["h-bob"].nodes[0].items] == [ALICE, MIDDLE]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (RunProgram(OpId("x"), Program((Initialise(SlotId(9)),))), Refusal.UNKNOWN_SLOT),
        (RunProgram(OpId("x"), Program((Gate("H", (SlotId(0),)),))), Refusal.UNKNOWN_SLOT),
        (RunProgram(OpId("x"), Program((Gate("BELL", (SlotId(0),)),))), Refusal.ILLEGAL_PROGRAM),
        (StartAttempt(OpId("x"), LinkId("bob-carol"), SlotId(0), None), Refusal.UNKNOWN_LINK),
        (StartAttempt(OpId("x"), LinkId("alice-bob"), SlotId(99), None), Refusal.UNKNOWN_SLOT),
        (Discard(SlotId(-1)), Refusal.UNKNOWN_SLOT),
    ],
)
def test_refused_command_is_answered_in_the_next_round(
    world: World, command: Output, code: Refusal
) -> None:
    complete(world, says(command))
    assert refused(world) == [code]
    assert (world.authority.now, world.authority.round) == (0, 1)
    assert world.store.occupied() == world.store.reserved() == []


def test_commands_reach_only_slots_of_their_node(world: World) -> None:
    """Slot numbers mean slots of the reporting node: bob's slot 0 stays empty."""
    complete(world, says(RunProgram(OpId("x"), Program((Initialise(SlotId(0)),)))))
    assert world.store.occupied() == [(ALICE, 0)]
    with pytest.raises(WireError):
        complete(world, says(Discard(SlotId(0)), node=BOB))


def test_ends_that_disagree_stop_the_run(world: World) -> None:
    with pytest.raises(AgreementBroken, match="same label"):
        complete(
            world,
            says(delivered((0, 0))),
            bob=says(delivered((1, 0), origin=False), node=BOB),
        )


def test_pair_announced_twice_by_one_end_stops_the_run(world: World) -> None:
    with pytest.raises(AgreementBroken):
        complete(world, says(delivered(), delivered()))


def test_truth_of_a_half_in_the_middle_of_a_gate_is_unknown(world: World) -> None:
    ends = ((ALICE, SlotId(0)), (BOB, SlotId(0)))
    world.store.create_pair(*ends, PSI_PLUS, Instant(0))
    assert world._true_fidelity(*ends[0], BOB, (1, 0)) == pytest.approx(1.0)
    assert world._true_fidelity(*ends[0], MIDDLE, (1, 0)) is None
    complete(world, says(RunProgram(OpId("x"), Program((Gate("H", (SlotId(0),)),)))))
    assert world._true_fidelity(*ends[0], BOB, (1, 0)) is None


def test_run_that_delivers_what_no_link_heralded_fails_at_its_end(world: World) -> None:
    ends = (AppEnded("requester", encode_body(1)), AppEnded("provider", encode_body(1)))
    complete(
        world, says(delivered(), ends[0]), bob=says(delivered(origin=False), ends[1], node=BOB)
    )
    with pytest.raises(BoundBroken, match="between alice and bob must be at most 0"):
        world.next()
    assert world.verdict is None


def test_run_that_is_over_shows_its_bounds(world: World) -> None:
    ends = (AppEnded("requester", encode_body(1)), AppEnded("provider", encode_body(1)))
    complete(world, says(ends[0]), bob=says(ends[1], node=BOB))
    assert world.next() is None
    assert world.bounds["links"]["alice-bob"]["heralded"] == 0
    assert world.bounds["flows"] == []


def test_note_about_a_slot_that_is_none_is_refused(world: World) -> None:
    wrong = msgspec.structs.replace(delivered(), slot=SlotId(77))
    with pytest.raises(QnetError) as caught:
        complete(world, says(wrong), bob=says(delivered(origin=False), node=BOB))
    assert isinstance(caught.value, BackendError)


def test_world_looks_up_from_its_own_work(tmp_path: Path) -> None:
    """Exact attempts of a bad link need no host for a long time: the run must stay interruptible."""
    file = tmp_path / "pair.toml"
    file.write_text(TOPOLOGY)
    plan = load(file, ["run.exact_attempts=true", "nodes.alice.emission.efficiency_prob=1e-6"])
    world = build_world(plan, HOSTS, None)
    world.open()
    arm = StartAttempt(OpId("x"), LinkId("alice-bob"), SlotId(0), None)
    complete(world, says(arm), bob=says(arm, node=BOB))

    class Enough(Exception):
        pass

    def meanwhile() -> None:
        raise Enough

    with pytest.raises(Enough):
        world.next(meanwhile)
    assert world.authority.now >= (OWN_TURNS - 2) * plan.links[0].cycle
