"""Golden bytes: one frame per message kind, read by both decoders, equal to the files.

A file that differs means that the wire changed: that is a new version of the kind (``@2``), not an
edit. For a new kind, add a sample below and run this file: it writes the files that are missing.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout, Station
from qnet.ids import AttemptId, CircuitId, LinkId, NodeId, OpId, PairId, RequestId, SlotId
from qnet.layers.link import BasisChoice
from qnet.machine import Message
from qnet.plan import (
    AppPlan,
    Crash,
    Cut,
    Estimate,
    Impair,
    LinkOptics,
    LinkPlan,
    NodePlan,
    Partition,
    RunPlan,
    Stall,
)
from qnet.plugins import GROUPS, catalogue, find
from qnet.program import Draw, Gate, Initialise, Measure, Program
from qnet.units import Duration, Instant
from qnet.wire import control
from qnet.wire.frame import HEADER_BYTES, FrameReader, decode_frame, encode_body, encode_frame
from qnet_protocols.apps import (
    chsh,
    distilling,
    fidelity_map,
    load,
    remote_gate,
    sharing,
    teleport,
    transfer,
    waiting,
)
from qnet_protocols.heralding import midpoint
from qnet_protocols.link import messages as egp
from qnet_protocols.link.one_by_one import messages as one_by_one
from qnet_protocols.network import messages as qnp
from qnet_protocols.network import rulesets_messages as rulesets
from qnet_protocols.network.rulesets_rules import RuleSetId, compose
from qnet_protocols.purification import messages as purify

GOLDEN = Path(__file__).parent / "golden"

ALICE, BOB, STATION = NodeId("alice"), NodeId("bob"), NodeId("station")
LINK, REQUEST, ATTEMPT = LinkId("alice-bob"), RequestId("alice/1"), AttemptId("alice/1.17")
CIRCUIT, RULESET = CircuitId("alice~3"), RuleSetId("alice!3")
PAIR, OP = PairId("alice-bob#42"), OpId("alice.app/3")
AT = Instant(5_498_765_432_109)

PLATFORM = Platform(
    species="88Sr+",
    communication_slots=1,
    memory_slots=1,
    communication=Coherence(t1_s=math.inf, t2_s=5e-3),
    memory=Coherence(t1_s=10.0, t2_s=0.5),
    gate_1q=Operation(1e-5, 0.999),
    gate_2q=Operation(5e-5, 0.977),
    initialise=Operation(1e-4),
    readout=Readout(5e-4, 1e-3, 2e-3),
    emission=Emission(422e-9, 0.0209, 1.2e-6, 5e-7, 0.99),
)
PLAN = RunPlan(
    network="two",
    seed=7,
    nodes=(
        NodePlan(ALICE, "sr88-ca43", PLATFORM),
        NodePlan(BOB, "sr88-ca43", PLATFORM),
        NodePlan(STATION, station=Station(0.9, 20.0, 5e-8, True)),
    ),
    links=(
        LinkPlan(
            name=LINK,
            ends=(ALICE, BOB),
            station=STATION,
            scheme="double-click",
            scheme_parameters={},
            protocol="egp",
            protocol_parameters={},
            optics=LinkOptics(0.02, 0.03, visibility=0.887, dark_prob=1e-6),
            flights=(Duration(4897), Duration(9794)),
            direct=Duration(14691),
            cycle=Duration(1_200_000),
            preparation=Duration(500_000),
            correction=(Duration(10_000_000), Duration(10_000_000)),
            estimate=Estimate(
                2.18e-4, Duration(1_200_000), 0.943, 0.94, 1e-6, 181.75, (0.92, 0.92, 0.92)
            ),
        ),
    ),
    app=AppPlan("deliver", {"pairs": 20}, {ALICE: "requester", BOB: "provider"}),
    until=Duration(10**13),
    faults=(
        Impair("rain", target="b*", loss_prob=0.05),
        Partition("split", (ALICE,), Instant(5), AT),
        Crash("fuse", BOB, AT, None),
        Stall("nap", BOB, Instant(0), Instant(17)),
        Cut("digger", LINK, Instant(0), None),
    ),
)

KIND, BODY = "app.any/message@1", encode_body({"number": 3})
"""Of messages inside reports and grants: whatever they are, they travel as they come."""

OUTPUTS: list[control.Output] = [
    control.Post(BOB, KIND, 3, BODY),
    control.Post(BOB, KIND, 4, BODY, 1, 2),
    control.RunProgram(
        OP,
        Program(
            (
                Initialise(SlotId(1)),
                Gate("CNOT", (SlotId(1), SlotId(0))),
                Gate("RY", (SlotId(0),), angle_rad=-math.pi / 4),
                Draw((1.0, 3.0)),
                Measure(SlotId(0), bases=("Z+X", "X"), choice=0),
                Gate("Z", (SlotId(1),), when=(1,)),
            )
        ),
    ),
    control.StartAttempt(OP, LINK, SlotId(0), None),
    control.StartAttempt(OP, LINK, SlotId(0), AT),
    control.AbortAttempt(OP),
    control.Discard(SlotId(0)),
    control.Delivered(
        PAIR, REQUEST, 2, True, BOB, SlotId(0), (0, 0), 0.94, 1e-6, Instant(0), Instant(AT - 1)
    ),
    control.Delivered(
        PAIR,
        REQUEST,
        2,
        True,
        BOB,
        SlotId(0),
        (0, 0),
        0.94,
        1e-6,
        Instant(0),
        Instant(AT - 1),
        False,
    ),
    control.MeasuredNote(
        PAIR, REQUEST, 2, True, BOB, (0, 1), 0.94, 1e-6, Instant(0), Instant(AT - 1), "X", 1
    ),
    control.RequestNote(REQUEST, BOB, 20, "open"),
    control.ExpiryNote((PAIR,), REQUEST),
    control.AppEnded("requester", encode_body({"delivered": 20, "error": ""})),
]
ITEMS: list[control.Item] = [
    control.Envelope(BOB, KIND, 3, Instant(17), BODY),
    control.Envelope(
        BOB,
        KIND,
        0,
        Instant(17),
        BODY,
        1,
        2,
        3,
    ),
    control.ProgramEnded(OP, (0, 1)),
    control.Clicked(LINK, (0, 3), Instant(5)),
    control.Refused(OP, 202, "slot alice/0 takes part in an attempt run"),
    control.Crashed(),
    control.Restarted(1),
]

SAMPLES: list[Any] = [
    control.Hello("alice", 4711, "0.1.0"),
    control.Configure(PLAN, (ALICE,)),
    control.Ready("alice"),
    control.Grant(AT, 2, [control.NodeGrant(ALICE, ITEMS)]),
    control.Report(AT, Instant(AT + 1), [control.NodeReport(ALICE, OUTPUTS, b'{"at":1}\n')]),
    control.Fault("alice", "alice", AT, "what, where", "Traceback", b"{}\n"),
    control.Stop("the run is over"),
    control.Bye("alice"),
    control.Open(
        PLAN, {"host1": (ALICE, STATION), "host2": (BOB,)}, "runs/two-7-1", "processes", 0.5
    ),
    control.AllReady(3),
    control.Progress(AT, 17, 20, ("bob",), 0.25),
    control.Finished(b'{"status":"done"}'),
    midpoint.PhotonsAnnounced(LINK, ATTEMPT, 17),
    midpoint.HeraldReported(LINK, ATTEMPT, 42, 1, 0, AT),
    midpoint.HeraldRefused(LINK, "NO_CLASSICAL_OTHER", ATTEMPT, None, 41, AT),
    egp.Propose(
        LINK,
        REQUEST,
        20,
        0,
        Instant(0),
        Duration(10**12),
        None,
        None,
        0.0,
        "M",
        2,
        False,
        False,
        True,
        BasisChoice(("X", "Z+X"), (1.0, 3.0), (0.0, 0.5, 0.0)),
        (1, 0),
    ),
    egp.Accepted(LINK, REQUEST, 1, AT, 12.5),
    egp.Rejected(LINK, REQUEST, 4, "purpose 0 is not accepted"),
    egp.Close(LINK, REQUEST, "cancelled", 17, 42, AT),
    egp.Closed(LINK, REQUEST, 16, 41, AT),
    egp.Void(LINK, REQUEST, 17, AT),
    egp.VoidHeard(LINK, REQUEST, 17),
    egp.CompareProgress(LINK, REQUEST, 17, AT, Instant(AT + 1)),
    egp.NoSlot(LINK, ATTEMPT),
    egp.HaveSlot(LINK, ATTEMPT, True),
    egp.RoundOutcome(LINK, 42, "Y", 1),
    one_by_one.Propose(LINK, REQUEST, 20, 7, Instant(0), 1, 0),
    one_by_one.Answered(LINK, REQUEST, 4),
    one_by_one.Begin(LINK, REQUEST, 17, 42),
    one_by_one.Told(LINK, 42, True),
    one_by_one.GiveUp(LINK, REQUEST),
    one_by_one.Ended(LINK, REQUEST, True),
    one_by_one.Knock(LINK),
    qnp.Install(
        CIRCUIT,
        (ALICE, BOB),
        (LINK,),
        0x8000,
        7,
        0.8,
        0.25,
        Duration(10**9),
        Duration(0),
        False,
        1e-3,
    ),
    qnp.Installed(CIRCUIT, True),
    qnp.Refused(CIRCUIT, 2, BOB, "bob must have 2 slots to swap, has 1"),
    qnp.Remove(CIRCUIT),
    qnp.Broken(CIRCUIT, BOB, LINK, "bob was restarted"),
    qnp.Forward(
        CIRCUIT, REQUEST, 20, "M", 7, BasisChoice(("X", "Z"), (1.0, 3.0)), (1, 0), Instant(0)
    ),
    qnp.Complete(CIRCUIT, REQUEST, 3, False, "2 pairs late", (PAIR,)),
    qnp.Track(
        CIRCUIT,
        PAIR,
        PairId("bob-carol#7"),
        REQUEST,
        17,
        (0, 1),
        (0.9, 0.875, 0.95),
        1e-6,
        1.0625,
        Instant(AT - 1),
        (0.5, 200.0),
        AT,
        Instant(AT - 2),
        "Y",
        1,
    ),
    qnp.Expire(CIRCUIT, PAIR, False),
    qnp.Tested(REQUEST, True),
    qnp.Declined(REQUEST, None, ""),
    qnp.Abandoned(REQUEST, 5, False, "bob was restarted"),
    qnp.Settle(CIRCUIT, BOB, LINK, "bob was restarted", (PAIR,), False, (REQUEST,)),
    chsh.Outcomes((chsh.Trial(PAIR, 0, 1), chsh.Trial(PairId("alice-bob#43"), 1, 0)), True),
    teleport.Measured(PAIR, 1, 0, 5),
    teleport.Verified((1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 5)),
    waiting.Over(True, "bob: TIMEOUT"),
    distilling.Announced(3, (PAIR, PairId("alice-bob#43")), (0, 1), False),
    distilling.Sorted(3, (0,), (1,)),
    distilling.Shown(3, (1,)),
    distilling.Verdict("", 0.0625, bytes(range(16))),
    distilling.Asked(((0, 0, 12), (3, 300, 512))),
    distilling.Answered((0, 1)),
    distilling.Corrected(17),
    distilling.Seed(30, b"\x00\x7f\xff", True, b"\x01\x02"),
    distilling.Compared(True),
    sharing.Finish(17, PAIR, True, 1, 0, "Y"),
    sharing.Read(17, True, 1),
    remote_gate.Fused(17, PAIR, 1, 5, "Z"),
    remote_gate.Applied(17, True, 0, 1),
    transfer.Offered(17, PAIR),
    transfer.Answered(17, PAIR, True, False),
    transfer.Sent(17, PAIR, 1, 0, 3),
    transfer.Acknowledged(17, PAIR, True, False),
    fidelity_map.Turn(BOB),
    fidelity_map.Tell((PAIR, PairId("alice-bob#43"))),
    fidelity_map.Told((1,), (0,)),
    fidelity_map.Found(fidelity_map.Entry(ALICE, BOB, 20, 0.94, 0.01, 0.95, 181.5, 0.0055, "")),
    fidelity_map.Finished(),
    load.Report(
        1,
        load.FlowResult("alice>bob", 20, 1, 17, {"TIMEOUT": 2}, 0, 17, 1.7, 0.0055, 0.0625),
    ),
    load.FlowOver(1),
    purify.Begin(
        "link:alice-bob",
        REQUEST,
        3,
        0.9,
        AT,
        7,
        "M",
        BasisChoice(("X", "Z"), (0.5, 0.5)),
        None,
    ),
    purify.Agreed("link:alice-bob", REQUEST),
    purify.Refused("link:alice-bob", REQUEST, "bob must accept purpose 7 of alice, it does not"),
    purify.Step(
        "link:alice-bob",
        REQUEST,
        2,
        (PAIR, PairId("alice-bob#43")),
        (5, 11),
        ("communication", "memory"),
        AT,
        1,
    ),
    purify.Bits("link:alice-bob", REQUEST, 2, (1,)),
    purify.Decided("link:alice-bob", REQUEST, 2, "kept", (1,), ("communication", "memory"), AT),
    purify.Dropped("link:alice-bob", REQUEST, (PAIR,)),
    purify.Stop("link:alice-bob", REQUEST),
    purify.End("link:alice-bob", REQUEST, 2, 5, 3, "2 of 3 pairs were made in time", False),
    rulesets.SetUp(
        RULESET,
        (ALICE, NodeId("r1"), BOB),
        (LinkId("a"), LinkId("b")),
        REQUEST,
        10,
        0.8,
        7,
        True,
        (1, 0),
        AT,
        Duration(10**9),
        (0.5, 2.0),
        1e-3,
        32769,
        (rulesets.Surveyed((0.98, 0.97, 0.96), 40.0, (1.0, 1.0, 1.0)),),
    ),
    rulesets.Install(
        RULESET,
        compose(
            RULESET,
            (ALICE, NodeId("r1"), BOB),
            pairs=10,
            longest=Duration(10**9),
            decay=((0.5, 2.0), (0.0, 1.0)),
        ),
    ),
    rulesets.Refused(RULESET, 2, BOB, "bob must have 2 memory slots, has 1"),
    rulesets.Transfer(
        RULESET,
        3,
        12,
        (PAIR,),
        (PAIR, PairId("b#7")),
        BOB,
        (0, 1),
        (0.98, 0.97, 0.96),
        1e-3,
        1e-4,
        AT,
        AT,
    ),
    rulesets.Update(RULESET, 1, 12, (PAIR,)),
    rulesets.Free(RULESET, 4, 1, (PAIR,)),
    rulesets.Lost(RULESET, PAIR),
    rulesets.Broken(RULESET, 5, "messages of bob were lost"),
    rulesets.Ended(RULESET, 3, "max_time of 5 ps is over", False, 9, (7, 8), True),
    rulesets.Unseen(RULESET, (7, 8)),
    rulesets.Stop(RULESET),
]


def kind_of(sample: Any) -> str:
    return sample.kind if isinstance(sample, Message) else control.KIND_OF[type(sample)]


def frame_of(sample: Any) -> bytes:
    return encode_frame(kind_of(sample), "alice", "world", 258, AT, sample)


def file_of(sample: Any) -> Path:
    return GOLDEN / (kind_of(sample).replace("/", ".") + ".hex")


def golden(sample: Any) -> bytes:
    """The bytes of the file, 32 in a row."""
    return bytes.fromhex(file_of(sample).read_text())


def known_kinds() -> set[str]:
    """Control kinds, and those of every plug-in that this distribution ships."""
    kinds = set(control.CONTROL_KINDS)
    for entry in catalogue():
        if entry.package == "qnet-stack" and entry.group in GROUPS:
            record = find(entry.group, entry.name)
            kinds.update(message.kind for message in getattr(record, "messages", ()))
    return kinds


each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=kind_of)


def test_every_kind_has_one_sample_and_one_file() -> None:
    assert sorted(kind_of(sample) for sample in SAMPLES) == sorted(known_kinds())
    assert sorted(GOLDEN.iterdir()) == sorted(file_of(sample) for sample in SAMPLES)


def test_samples_show_every_output_and_item() -> None:
    assert {type(one) for one in OUTPUTS} == set(control.Output.__args__)
    assert {type(one) for one in ITEMS} == set(control.Item.__args__)


@each_sample
def test_frame_is_written_as_the_golden_bytes(sample: Any) -> None:
    assert frame_of(sample).hex() == golden(sample).hex()


@each_sample
def test_both_decoders_read_the_same(sample: Any) -> None:
    data = golden(sample)[HEADER_BYTES:]
    reference = msgpack.unpackb(data, strict_map_key=True)
    assert msgspec.msgpack.decode(data) == reference
    assert msgpack.packb(reference) == data


@each_sample
def test_golden_frame_becomes_the_record(sample: Any) -> None:
    reader = FrameReader()
    reader.feed(golden(sample))
    data = reader.next()
    assert data is not None
    frame = decode_frame(data)
    assert (frame.kind, frame.source, frame.target) == (kind_of(sample), "alice", "world")
    assert (frame.seq, frame.at) == (258, AT)
    assert msgspec.msgpack.decode(frame.body, type=type(sample)) == sample


def write_missing() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for sample in SAMPLES:
        file = file_of(sample)
        if not file.exists():
            text = frame_of(sample).hex()
            rows = [text[start : start + 64] for start in range(0, len(text), 64)]
            file.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    write_missing()
