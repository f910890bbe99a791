"""Cases of the wire about a host: what it says, in which order, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgpack
import msgspec

from qnet.ids import NodeId
from qnet.plan import AppPlan, Crash
from qnet.testing.conformance.case import case
from qnet.testing.conformance.faults import ALICE, BOB
from qnet.testing.conformance.stage import LINK, PURPOSE
from qnet.testing.conformance.wire.talk import Closed, words_of
from qnet.testing.conformance.wire.trial import PASSIVE, WireTrial, run_plan
from qnet.units import Instant
from qnet.wire.control import (
    KIND_OF,
    Configure,
    Crashed,
    Envelope,
    Grant,
    NodeGrant,
    Post,
    Report,
    Restarted,
    RunProgram,
    StartAttempt,
    Stop,
)
from qnet.wire.frame import BULK_LIMIT_BYTES, HEADER_BYTES, encode_frame

REFUSING: Final = ("QN-WIRE-1.3-1", "QN-WIRE-1.3-2", "QN-WIRE-1.3-3", "QN-WIRE-1.3-4")
LIFE: Final = (
    *PASSIVE,
    "QN-WIRE-3.1-4",
    "QN-WIRE-3.1-5",
    "QN-WIRE-3.2-1",
    "QN-WIRE-3.2-2",
    "QN-WIRE-3.2-3",
    "QN-WIRE-3.2-4",
)
MICROSECOND: Final = 1_000_000
PADDING: Final = 1 << 20
"""Bytes of a big frame; below the limit, far above what fits into one read."""


def wire(*ids: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a case of the wire; nothing in them depends on luck."""
    return case(*ids, once=True, layer="wire", trial=WireTrial)


def propose(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Body of a right ``link.egp/propose@2`` by alice."""
    fields = {
        "link": LINK,
        "request": f"alice/{number}",
        "pairs": 1,
        "purpose": PURPOSE,
        "requested_at": 0,
        "max_time": 0,
        "number": number,
        "start": 16 * MICROSECOND,
    }
    return {**fields, **changes}


def letter(body: dict[str, Any], seq: int = 0, kind: str = "link.egp/propose@2") -> Envelope:
    """A message from alice."""
    return Envelope(ALICE, kind, seq, Instant(0), msgspec.Raw(msgpack.packb(body)))


# ---------------------------------------------------------------- life


@wire(*LIFE)
def whole_life_of_a_host(trial: WireTrial) -> None:
    """Hello, Configure, Ready, some grants, Stop, Bye."""
    with trial.ready() as talk:
        for at in (0, MICROSECOND, MICROSECOND, 5 * MICROSECOND):
            trial.grant(talk, at)
        trial.stops(talk)


@wire("QN-WIRE-3.1-5", "QN-WIRE-3.1-6")
def stop_before_the_first_grant(trial: WireTrial) -> None:
    """The run is over before the host is configured, or before it is granted anything."""
    with trial.ready() as talk:
        trial.stops(talk)
    with trial.greeted() as talk:
        talk.say(Stop("the run is over"))
        got = talk.hear()
        if not isinstance(got, Closed) and KIND_OF[type(got)] == "control.host/bye@1":
            got = talk.hear()  # a goodbye does no harm
        fine = isinstance(got, Closed) and got.status == 0
        trial.check("QN-WIRE-3.1-6", fine, f"after Stop instead of Configure {words_of(got)}")


@wire("QN-WIRE-3.1-7", "QN-WIRE-1.3-4")
def world_that_vanishes(trial: WireTrial) -> None:
    """The connection is closed before Configure, before the first grant, and between two grants."""
    stages: tuple[tuple[str, Any], ...] = (
        ("before Configure", trial.greeted),
        ("before the first grant", trial.ready),
        ("between two grants", trial.ready),
    )
    for words, stage in stages:
        with stage() as talk:
            if words == "between two grants":
                trial.grant(talk, 0)
            talk.end_of_speech()
            got = talk.hear()
            if not isinstance(got, Closed):
                got = talk.hear()  # a last Fault is no wrong
            ended = isinstance(got, Closed) and got.status is not None
            trial.check("QN-WIRE-3.1-7", ended, f"{words}: {words_of(got)}")
            if isinstance(got, Closed) and ended:
                trial.check(
                    "QN-WIRE-1.3-4", got.status not in (0, 127), f"{words}: {words_of(got)}"
                )


# ---------------------------------------------------------------- form


@wire("QN-WIRE-1.1-5", "QN-WIRE-1.1-6", "QN-WIRE-1.2-3", "QN-WIRE-2.2-2")
def unusual_but_right_frames(trial: WireTrial) -> None:
    """Fields in another order, wide integers, defaults written out, pieces, two at once, a big one."""
    app = run_plan().app
    with trial.greeted() as talk:
        fields = talk.right(Configure(run_plan(), (BOB,)))
        talk.say_map({key: fields[key] for key in reversed(fields)})
        trial.becomes_ready(talk)
        trial.check("QN-WIRE-1.1-5", True, "")
        talk.say_bytes(_wide(talk.right(Grant(Instant(0), 0, []))), "grant with wide integers")
        trial.reported(talk, 0)
        data = encode_frame(
            "control.world/grant@1", "world", BOB, talk.next(), 1, Grant(Instant(1), 0, [])
        )
        talk.write(data, "grant in pieces", pieces=3)
        trial.reported(talk, 1)
        both = [
            encode_frame(
                "control.world/grant@1", "world", BOB, talk.next(), 2, Grant(Instant(2), 0, [])
            ),
            encode_frame("control.world/stop@1", "world", BOB, talk.next(), 0, Stop("over")),
        ]
        talk.write(b"".join(both), "grant and stop at once")
        trial.reported(talk, 2)
        trial.check("QN-WIRE-1.1-6", True, "")
    # A name that nobody uses makes the frame big.
    named = {**app.roles, NodeId("x" * PADDING): "nobody"}
    with trial.ready(app=AppPlan(app.name, app.parameters, named)) as talk:
        trial.check("QN-WIRE-1.2-3", True, "")
        trial.stops(talk)


def _wide(fields: dict[str, Any]) -> bytes:
    """A map with seq and at as 64-bit integers, by hand."""
    parts = [bytes([0x80 | len(fields)])]
    for key, value in fields.items():
        parts.append(msgpack.packb(key))
        wide = key in ("seq", "at")
        parts.append(b"\xcf" + value.to_bytes(8, "big") if wide else msgpack.packb(value))
    return b"".join(parts)


# ---------------------------------------------------------------- refusals

Spoil = Callable[[dict[str, Any]], dict[str, Any] | bytes]


def _packed(fields: dict[str, Any]) -> bytes:
    data: bytes = msgpack.packb(fields)
    return data


BAD_FRAMES: Final[tuple[tuple[str, str, tuple[str, ...], Spoil], ...]] = (
    ("1.4-1", "a byte that msgpack does not have", (), lambda _: b"\xc1"),
    ("1.4-1", "an array", (), lambda f: msgpack.packb(list(f.values()))),
    ("1.4-1", "a string", (), lambda _: msgpack.packb("grant")),
    ("1.4-1", "a byte behind the map", (), lambda f: _packed(f) + b"\xc0"),
    ("1.4-1", "a map that is cut short", (), lambda f: _packed(f)[:-3]),
    ("1.4-2", "no kind", ("kind",), lambda f: {k: v for k, v in f.items() if k != "kind"}),
    ("1.4-2", "no body", ("body",), lambda f: {k: v for k, v in f.items() if k != "body"}),
    ("1.4-2", "an unknown field", ("mood",), lambda f: {**f, "mood": 1}),
    ("1.4-2", "seq as a string", ("seq", "string", "str"), lambda f: {**f, "seq": str(f["seq"])}),
    ("1.4-2", "seq as a fraction", ("seq", "float"), lambda f: {**f, "seq": f["seq"] + 0.5}),
    ("1.4-2", "seq as a truth value", ("seq", "bool"), lambda f: {**f, "seq": True}),
    ("1.4-2", "a negative instant", ("at", "-5"), lambda f: {**f, "at": -5}),
    (
        "1.4-2",
        "kind as bytes",
        ("kind", "bytes", "bin"),
        lambda f: {**f, "kind": f["kind"].encode()},
    ),
    ("1.4-3", "version 2", ("2",), lambda f: {**f, "v": 2}),
    ("1.4-3", "version 0", ("0",), lambda f: {**f, "v": 0}),
    ("1.4-4", "alice as source", ("alice",), lambda f: {**f, "source": "alice"}),
    ("1.4-4", "alice as target", ("alice",), lambda f: {**f, "target": "alice"}),
    ("1.4-5", "a gap in the sequence", ("3",), lambda f: {**f, "seq": f["seq"] + 1}),
    ("1.4-5", "a sequence number again", ("1",), lambda f: {**f, "seq": f["seq"] - 1}),
    ("1.4-6", "an unknown kind", ("grunt",), lambda f: {**f, "kind": "control.world/grunt@1"}),
    (
        "1.4-6",
        "another version of a kind",
        ("@9",),
        lambda f: {**f, "kind": "control.world/grant@9"},
    ),
)
"""Sentence, words, what the refusal may name, and what becomes of a right Grant."""


@wire(*REFUSING, *(f"QN-WIRE-1.4-{k}" for k in range(1, 7)))
def grants_that_are_spoilt(trial: WireTrial) -> None:
    """One thing is wrong with the second grant; a right one stands behind it."""
    for sentence, words, hints, spoil in BAD_FRAMES:
        with trial.ready() as talk:
            trial.grant(talk, 0)
            bad = spoil(talk.right(Grant(Instant(MICROSECOND), 0, []), MICROSECOND))
            talk.say_bytes(bad if isinstance(bad, bytes) else _packed(bad), words)
            talk.say(Grant(Instant(MICROSECOND), 0, []), MICROSECOND)
            trial.refuses(talk, f"QN-WIRE-{sentence}", words, *hints)


OUT_OF_TURN: Final[tuple[tuple[str, bool, Any], ...]] = (
    ("a grant before Configure", False, Grant(Instant(0), 0, [])),
    ("Configure again", True, Configure(run_plan(), (BOB,))),
    ("a report by the world", True, Report(Instant(0), None, [])),
)


@wire(*REFUSING, "QN-WIRE-1.4-6")
def kinds_out_of_turn(trial: WireTrial) -> None:
    """Kinds that are known, in a phase that they do not belong to."""
    for words, configured, body in OUT_OF_TURN:
        with trial.ready() if configured else trial.greeted() as talk:
            talk.say(body)
            trial.refuses(talk, "QN-WIRE-1.4-6", words, KIND_OF[type(body)])


BAD_BODIES: Final[tuple[tuple[str, tuple[str, ...], Any], ...]] = (
    ("no at", ("at",), {"round": 0, "nodes": []}),
    ("at as a string", ("at",), {"at": "0", "round": 0, "nodes": []}),
    ("at as a fraction", ("at",), {"at": 0.5, "round": 0, "nodes": []}),
    ("an unknown field", ("haste",), {"at": 0, "round": 0, "nodes": [], "haste": 1}),
    ("nodes as a map", ("nodes",), {"at": 0, "round": 0, "nodes": {}}),
    ("a body that is no map", (), [0, 0, []]),
    (
        "an item of an unknown sort",
        ("surprise",),
        {"at": 0, "round": 0, "nodes": [{"node": BOB, "items": [{"t": "surprise"}]}]},
    ),
    (
        "an item without its sort",
        ("t",),
        {"at": 0, "round": 0, "nodes": [{"node": BOB, "items": [{"op": "x", "outcomes": []}]}]},
    ),
    (
        "an item with an unknown field",
        ("mood",),
        {"at": 0, "round": 0, "nodes": [{"node": BOB, "items": [{"t": "crashed", "mood": 1}]}]},
    ),
    (
        "outcomes that are no integers",
        ("outcomes",),
        {
            "at": 0,
            "round": 0,
            "nodes": [{"node": BOB, "items": [{"t": "ended", "op": "x", "outcomes": ["1"]}]}],
        },
    ),
)
"""Words, what the refusal may name, and the body of a Grant."""


@wire(*REFUSING, "QN-WIRE-1.4-7")
def bodies_that_are_spoilt(trial: WireTrial) -> None:
    """One thing is wrong with the body of a grant, at some depth."""
    for words, hints, body in BAD_BODIES:
        with trial.ready() as talk:
            fields = talk.right(Grant(Instant(0), 0, []))
            talk.say_map({**fields, "body": body})
            trial.refuses(talk, "QN-WIRE-1.4-7", words, *hints)


@wire(*REFUSING, "QN-WIRE-1.4-8", "QN-WIRE-1.4-10")
def letters_that_are_spoilt(trial: WireTrial) -> None:
    """Messages from alice of kinds that nobody lists, with bodies that are not of their kind, and a gap."""
    spoilt: tuple[tuple[str, tuple[str, ...], Envelope], ...] = (
        ("an unknown kind", ("elopement",), letter(propose(), kind="link.egp/elopement@1")),
        ("another version", ("@1",), letter(propose(), kind="link.egp/propose@1")),
        ("no pairs", ("pairs",), letter({k: v for k, v in propose().items() if k != "pairs"})),
        ("pairs as a string", ("pairs",), letter(propose(pairs="2"))),
        ("an unknown field", ("ring",), letter(propose(ring=1))),
    )
    gap = letter(propose(), seq=2)
    for words, hints, envelope in spoilt:
        with trial.ready() as talk:
            trial.grant(talk, 0)
            talk.say(Grant(Instant(MICROSECOND), 0, [NodeGrant(BOB, [envelope])]), MICROSECOND)
            trial.refuses(talk, "QN-WIRE-1.4-8", words, *hints)
    with trial.ready() as talk:
        talk.say(Grant(Instant(0), 0, [NodeGrant(BOB, [gap])]))
        trial.refuses(talk, "QN-WIRE-1.4-10", "message 2 of a channel first", "2")


@wire(*REFUSING, "QN-WIRE-1.4-9")
def grants_that_cannot_be(trial: WireTrial) -> None:
    """Time runs backwards; another host's node."""
    with trial.ready() as talk:
        trial.grant(talk, MICROSECOND)
        talk.say(Grant(Instant(0), 0, []))
        trial.refuses(talk, "QN-WIRE-1.4-9", "a grant in the past", str(MICROSECOND))
    with trial.ready() as talk:
        talk.say(Grant(Instant(0), 0, [NodeGrant(ALICE, [])]))
        trial.refuses(talk, "QN-WIRE-1.4-9", "a grant for alice", "alice")


@wire(*REFUSING, "QN-WIRE-1.2-2", "QN-WIRE-1.3-5")
def lengths_that_cannot_be(trial: WireTrial) -> None:
    """Too long, empty, and a stream that ends inside a frame."""
    for words, size in (
        ("4 GiB", 2**32 - 1),
        ("a byte too long", BULK_LIMIT_BYTES + 1),
        ("empty", 0),
    ):
        with trial.ready() as talk:
            trial.grant(talk, 0)
            talk.write(size.to_bytes(HEADER_BYTES, "big"), f"only a length: {words}")
            trial.refuses(talk, "QN-WIRE-1.2-2", words)
    for left in (1, HEADER_BYTES, HEADER_BYTES + 20):
        with trial.ready() as talk:
            data = encode_frame(
                "control.world/grant@1", "world", BOB, talk.next(), 0, Grant(Instant(0), 0, [])
            )
            talk.write(data[:left], f"{left} bytes of a grant")
            talk.end_of_speech()
            trial.refuses(
                talk, "QN-WIRE-1.3-5", f"{left} bytes of a grant, then the end", fault=False
            )


# ---------------------------------------------------------------- reports


@wire(*PASSIVE, "QN-WIRE-3.2-5", "QN-WIRE-3.2-6", "QN-WIRE-3.2-7", "QN-WIRE-3.3-1")
def messages_of_a_node(trial: WireTrial) -> None:
    """Alice proposes requests; what bob's node sends is numbered, of known kinds, and new after a restart."""
    with trial.ready(faults=(POWER,)) as talk:
        trial.grant(talk, 0)
        at = 8 * MICROSECOND
        sent: list[Post] = []
        ops: list[str] = []
        for k in range(4):
            envelope = letter(propose(k + 1, start=at + 16 * MICROSECOND), k)
            report = trial.grant(talk, at + k * MICROSECOND, [envelope])
            _collect(report, sent, ops)
        at += 20 * MICROSECOND
        _collect(trial.grant(talk, at), sent, ops)
        _numbered(trial, sent, "at first")
        trial.check("QN-WIRE-3.2-7", len(ops) == len(set(ops)), f"operations {ops}")
        assert (at + 1, at + 2) == (POWER.at, POWER.restart)
        trial.grant(talk, at + 1, [Crashed()])
        trial.grant(talk, at + 2, [Restarted(1)])
        trial.check("QN-WIRE-3.3-1", True, "")
        after: list[Post] = []
        envelope = letter(propose(9, start=at + 30 * MICROSECOND), 4)
        _collect(trial.grant(talk, at + 3, [envelope]), after, ops)
        _numbered(trial, after, "after a restart")
        trial.stops(talk)


POWER: Final = Crash("power", BOB, Instant(28 * MICROSECOND + 1), Instant(28 * MICROSECOND + 2))


def _collect(report: Report, sent: list[Post], ops: list[str]) -> None:
    for one in report.nodes:
        for output in one.outputs:
            if isinstance(output, Post):
                sent.append(output)
            elif isinstance(output, StartAttempt | RunProgram):
                ops.append(output.op)


def _numbered(trial: WireTrial, sent: list[Post], when: str) -> None:
    for target in {one.target for one in sent}:
        seqs = [one.seq for one in sent if one.target == target]
        words = f"{when}, messages to {target} are numbered {seqs}"
        trial.check("QN-WIRE-3.2-5", seqs == list(range(len(seqs))), words)
    for one in sent:
        known = trial.unreadable(one)
        trial.check(
            "QN-WIRE-3.2-6", not known and one.target != BOB, f"{one.kind} to {one.target}: {known}"
        )


@wire("QN-WIRE-3.2-8")
def same_grants_same_reports(trial: WireTrial) -> None:
    """One life twice: what was reported is the same, byte for byte."""
    lives: list[list[bytes]] = []
    for _ in range(2):
        with trial.ready() as talk:
            trial.grant(talk, 0)
            for k in range(3):
                at = (8 + k) * MICROSECOND
                trial.grant(talk, at, [letter(propose(k + 1), k)])
            refused = propose(7, purpose=PURPOSE + 1)
            trial.grant(talk, 20 * MICROSECOND, [letter(refused, 3)])
            trial.stops(talk)
            lives.append(talk.reports)
    same = lives[0] == lives[1]
    first = next((k for k, (a, b) in enumerate(zip(*lives, strict=False)) if a != b), len(lives[0]))
    trial.check("QN-WIRE-3.2-8", same, f"report number {first + 1} differs in its second life")
