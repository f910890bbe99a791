"""Cases of the wire about qnet's own world: what it refuses from a host, and what that costs the run.

Theory
    The world server runs in a thread, over socket pairs, with two hosts that the case plays: alice's, which
    does everything right, and bob's, which breaks one sentence. The run then fails: alice's host is told
    Stop, and the summary names bob and the sentence.
Assumptions and validity
    The server is the code of a world's process; only its launcher is played.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

import msgpack
import msgspec

from qnet import __version__
from qnet.ids import NodeId
from qnet.runtime.assembly import build_world
from qnet.runtime.connection import Connection
from qnet.runtime.world_process import WorldServer
from qnet.testing.conformance.case import Trial, case
from qnet.testing.conformance.faults import ALICE, BOB, STATION
from qnet.testing.conformance.wire.host_cases import BAD_FRAMES, propose
from qnet.testing.conformance.wire.own import OwnHost
from qnet.testing.conformance.wire.trial import run_plan
from qnet.units import Instant
from qnet.wire.control import (
    KIND_OF,
    LAUNCHER,
    WORLD,
    Bye,
    Configure,
    Fault,
    Grant,
    Hello,
    NodeReport,
    Open,
    Post,
    Ready,
    Report,
    Stop,
)
from qnet.wire.frame import CONTROL_LIMIT_BYTES, HEADER_BYTES, Channel, encode_frame

HOSTS: Final[dict[str, tuple[NodeId, ...]]] = {"alice": (ALICE, STATION), "bob": (BOB,)}
WAIT_S: Final = 20.0
"""How long the world may take; far above what it does."""


class Played:
    """A host that a case plays."""

    def __init__(self, name: str, sock: socket.socket) -> None:
        self.name = name
        self.sock = sock
        self.connection = Connection(sock, own=name, peer=WORLD)
        self.connection.trust()
        self._out = Channel(name, WORLD)

    def hear(self, kind: type[Any]) -> Any:
        """The next message, which is of that kind."""
        got = self.connection.receive()
        assert isinstance(got, kind), f"the world must say {kind.__name__}, it said {got!r}"
        return got

    def right(self, body: msgspec.Struct, at: int = 0) -> dict[str, Any]:
        """The map of a right frame."""
        kind = KIND_OF[type(body)]  # type: ignore[index]
        data = encode_frame(kind, self.name, WORLD, self._out.stamp(), at, body)
        fields: dict[str, Any] = msgpack.unpackb(data[HEADER_BYTES:])
        return fields

    def say(self, body: msgspec.Struct, at: int = 0) -> None:
        """Say something right."""
        self.write(msgpack.packb(self.right(body, at)))

    def write(self, data: bytes) -> None:
        """Write bytes as a frame."""
        self.sock.sendall(len(data).to_bytes(HEADER_BYTES, "big") + data)


class WorldTrial(Trial):
    """One run of one case of the world."""

    subject: ClassVar[Any] = OwnHost
    watched: ClassVar[bool] = False

    @contextmanager
    def world(self) -> Iterator[tuple[Played, Played, Callable[[], str]]]:
        """Alice's host, bob's host, and a function that waits for the fault of the run."""
        plan = run_plan()
        control, launcher = socket.socketpair()
        pairs = {name: socket.socketpair() for name in HOSTS}
        for one in (launcher, *(pair[1] for pair in pairs.values())):
            one.settimeout(WAIT_S)
        hosts = {name: Connection(pair[0], own=WORLD, peer=name) for name, pair in pairs.items()}
        server = WorldServer(
            Connection(control, own=WORLD, peer=LAUNCHER),
            hosts,
            Open(plan, HOSTS, "", "conformance", None),
        )
        host_of = {node: name for name, nodes in HOSTS.items() for node in nodes}
        found: list[dict[str, Any]] = []
        thread = threading.Thread(
            target=lambda: found.append(server.serve(lambda: build_world(plan, host_of, None))[1]),
            daemon=True,
        )
        thread.start()

        def fault() -> str:
            thread.join(WAIT_S)
            return str(found[0].get("fault", "")) if found else "the world has not ended"

        alice, bob = (Played(name, pair[1]) for name, pair in pairs.items())
        try:
            yield alice, bob, fault
        finally:
            for one in (control, launcher, *(end for pair in pairs.values() for end in pair)):
                one.close()
            thread.join(WAIT_S)

    @contextmanager
    def granted(self) -> Iterator[tuple[Played, Played, Callable[[], str]]]:
        """The same, when both hosts have been granted instant 0 and alice's has reported."""
        with self.world() as (alice, bob, fault):
            for host in (alice, bob):
                host.say(Hello(host.name, 1, __version__))
            for host in (alice, bob):
                host.hear(Configure)
                host.say(Ready(host.name))
            for host in (alice, bob):
                host.hear(Grant)
            alice.say(Report(Instant(0), None, []))
            yield alice, bob, fault

    def costs(
        self,
        hosts: tuple[Played, Played],
        fault: Callable[[], str],
        identifier: str,
        what: str,
        *hints: str,
    ) -> None:
        """The run fails: alice's host is told, the summary names bob and the rule."""
        alice, bob = hosts
        told = alice.connection.receive()
        alice.say(Bye(alice.name))
        bob.sock.close()  # the world need not wait for a goodbye of his
        words = fault()
        refused = "bob" in words and (not hints or any(hint in words for hint in hints))
        self.check(identifier, refused, f"{what}: fault of the run is {words!r}")
        self.check("QN-WIRE-1.3-1", refused, f"{what}: fault of the run is {words!r}")
        right = isinstance(told, Stop) and "bob" in words
        self.check(
            "QN-WIRE-1.3-6", right, f"{what}: alice's host is told {told!r}, fault {words!r}"
        )


def world(*ids: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a case of the world."""
    ids = (*ids, "QN-WIRE-1.3-1", "QN-WIRE-1.3-6")
    return case(*ids, once=True, layer="wire", trial=WorldTrial)


def _packed(bad: dict[str, Any] | bytes) -> bytes:
    data: bytes = bad if isinstance(bad, bytes) else msgpack.packb(bad)
    return data


@world(*(f"QN-WIRE-1.4-{k}" for k in range(1, 7)))
def world_is_sent_spoilt_frames(trial: WorldTrial) -> None:
    """One thing is wrong with bob's first report; a right one stands behind it."""
    for sentence, words, _, spoil in BAD_FRAMES:
        with trial.granted() as (alice, bob, fault):
            fields = bob.right(Report(Instant(0), Instant(5), []))
            bob.write(_packed(spoil(fields)))
            bob.say(Report(Instant(0), Instant(5), []))
            trial.costs((alice, bob), fault, f"QN-WIRE-{sentence}", words)


REPORTS: Final[tuple[tuple[str, str, tuple[str, ...], Report], ...]] = (
    ("3.4-1", "a report about another instant", ("instant",), Report(Instant(1), None, [])),
    ("3.4-1", "a deadline now", ("deadline",), Report(Instant(0), Instant(0), [])),
    (
        "3.4-2",
        "a report about alice",
        ("alice",),
        Report(Instant(0), None, [NodeReport(ALICE, [], b"")]),
    ),
    (
        "3.4-6",
        "half a trace line",
        ("lines",),
        Report(Instant(0), None, [NodeReport(BOB, [], b"{}")]),
    ),
)


def _letter(seq: int, target: str = "alice") -> Post:
    return Post(NodeId(target), "link.egp/propose@2", seq, msgspec.Raw(msgpack.packb(propose())))


@world("QN-WIRE-3.4-1", "QN-WIRE-3.4-2", "QN-WIRE-3.4-3", "QN-WIRE-3.4-6")
def world_is_sent_reports_that_cannot_be(trial: WorldTrial) -> None:
    """About another instant, another's node, with half a line, with messages out of sequence."""
    posts = (
        ("a message numbered 1 first", ("sequence",), [_letter(1)]),
        ("a message numbered 0 twice", ("sequence",), [_letter(0), _letter(0)]),
        ("a message to nobody", ("carol",), [_letter(0, "carol")]),
    )
    listed = [
        ("3.4-3", words, hints, Report(Instant(0), None, [NodeReport(BOB, list(sent), b"")]))
        for words, hints, sent in posts
    ]
    for sentence, words, hints, report in (*REPORTS, *listed):
        with trial.granted() as (alice, bob, fault):
            bob.say(report, report.at)
            trial.costs((alice, bob), fault, f"QN-WIRE-{sentence}", words, *hints)


@world("QN-WIRE-1.4-7")
def world_is_sent_spoilt_bodies(trial: WorldTrial) -> None:
    """A field is missing, unknown or ill-typed; an output of an unknown sort."""
    bodies: tuple[tuple[str, str, Any], ...] = (
        ("no deadline", "deadline", {"at": 0, "nodes": []}),
        ("at as a string", "at", {"at": "0", "deadline": None, "nodes": []}),
        ("an unknown field", "haste", {"at": 0, "deadline": None, "nodes": [], "haste": 1}),
        (
            "an output of an unknown sort",
            "wish",
            {
                "at": 0,
                "deadline": None,
                "nodes": [{"node": BOB, "outputs": [{"t": "wish"}], "trace": b""}],
            },
        ),
    )
    for words, hint, body in bodies:
        with trial.granted() as (alice, bob, fault):
            bob.write(_packed({**bob.right(Report(Instant(0), None, [])), "body": body}))
            trial.costs((alice, bob), fault, "QN-WIRE-1.4-7", words, hint)


@world("QN-WIRE-1.2-1", "QN-WIRE-1.2-2", "QN-WIRE-1.3-5", "QN-WIRE-3.4-4")
def world_is_greeted_wrongly(trial: WorldTrial) -> None:
    """A Hello that is too long, of another version, empty, or cut short."""

    def version(bob: Played) -> None:
        bob.say(Hello(bob.name, 1, "0.0.0"))

    def long(bob: Played) -> None:
        bob.say(Hello(bob.name, 1, "x" * CONTROL_LIMIT_BYTES))

    def only_length(bob: Played) -> None:
        bob.sock.sendall((CONTROL_LIMIT_BYTES + 1).to_bytes(HEADER_BYTES, "big"))

    def empty(bob: Played) -> None:
        bob.sock.sendall(bytes(HEADER_BYTES))

    def cut(bob: Played) -> None:
        bob.sock.sendall(b"\x00\x00\x00\x09abc")
        bob.sock.shutdown(socket.SHUT_WR)

    ways: tuple[tuple[str, str, Callable[[Played], None]], ...] = (
        ("3.4-4", "0.0.0", version),
        ("1.2-1", "65536", long),
        ("1.2-2", "65536", only_length),
        ("1.2-2", "empty", empty),
        ("1.3-5", "inside a frame", cut),
    )
    for sentence, hint, way in ways:
        with trial.world() as (alice, bob, fault):
            alice.say(Hello(alice.name, 1, __version__))
            way(bob)
            got = alice.connection.receive()
            if isinstance(got, Configure):  # it had been heard before bob
                got = alice.connection.receive()
            alice.say(Bye(alice.name))
            bob.sock.close()
            words = fault()
            what = f"{way.__name__}: alice's host is told {got!r}, fault of the run is {words!r}"
            trial.check(f"QN-WIRE-{sentence}", "bob" in words and hint in words, what)
            trial.check("QN-WIRE-1.3-6", isinstance(got, Stop) and "bob" in words, what)


@world("QN-WIRE-3.4-5")
def world_is_told_more_than_it_asked(trial: WorldTrial) -> None:
    """Two reports for one grant; a host that says Fault; one that vanishes."""
    with trial.granted() as (alice, bob, fault):
        frames = b""
        for _ in range(2):
            data = msgpack.packb(bob.right(Report(Instant(0), Instant(5), [])))
            frames += len(data).to_bytes(HEADER_BYTES, "big") + data
        bob.sock.sendall(frames)
        trial.costs(
            (alice, bob), fault, "QN-WIRE-3.4-5", "two reports for one grant", "before it speaks"
        )
    with trial.granted() as (alice, bob, fault):
        bob.say(Fault("bob", "bob", Instant(0), "bob has had enough", "", b""))
        trial.costs((alice, bob), fault, "QN-WIRE-1.3-6", "Fault", "had enough")
    with trial.granted() as (alice, bob, fault):
        bob.sock.close()
        trial.costs((alice, bob), fault, "QN-WIRE-1.3-6", "bob vanishes")
