"""Mutated frames: whatever a peer sends is refused with a named reason, and memory stays flat.

The bulk goes through the same code as in a real run, over socket pairs in this process: at the world, a
connection and :meth:`World.complete`; at a host, a connection, its port and its drivers. A first bad frame
ends a connection, so each case has a new one. Some go to real processes.
"""

from __future__ import annotations

import copy
import gc
import random
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgpack
import msgspec
import pytest
from fleet import TOPOLOGY
from frames import SeedFrames, mutate

from qnet.errors import QnetError, WireError
from qnet.ids import NodeId
from qnet.plan import RunPlan
from qnet.runtime.assembly import build_world, summarise
from qnet.runtime.connection import Connection, expect
from qnet.runtime.host import Host
from qnet.runtime.host_process import SocketPort
from qnet.topology import load
from qnet.wire.codes import Refusal
from qnet.wire.control import WORLD, Report
from qnet.wire.frame import encode_frame
from qnet.world.world import World

SEED = 20240229
FAST, FULL = 2_500, 50_000  # per side
GROWTH_BYTES = 6 * 1024 * 1024

Outcome = str


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    file = tmp_path_factory.mktemp("fuzz") / "pair.toml"
    file.write_text(TOPOLOGY)
    return load(file, ["pairs=5"])


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def over_a_socket(
    data: bytes, *, own: str, peer: str, take: Callable[[Connection], Outcome]
) -> Outcome:
    """Send ``data`` to a new, trusted connection and close; how ``take`` ended."""
    ours, theirs = socket.socketpair()
    try:
        connection = Connection(ours, own=own, peer=peer)
        connection.trust()
        theirs.setblocking(False)
        try:
            theirs.sendall(data)
        except BlockingIOError:
            data = b""  # more than a socket buffer: the rest is cut off, which is one more mutation
        theirs.close()
        return take(connection)
    except WireError as error:
        return f"WireError {Refusal(error.code).name}" if error.reason else "no reason given"
    except QnetError as error:
        return type(error).__name__ if str(error) else "no words"
    finally:
        ours.close()
        theirs.close()


# ---------------------------------------------------------------- the world's side


class WorldSide:
    """A world in its first turn, with one host per node; takes one report of alice's host."""

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self.hosts = {NodeId(node.name): f"host-{node.name}" for node in plan.nodes}
        self.taken = 0

    def fresh(self) -> World:
        world = build_world(self.plan, self.hosts, None)
        world.open()
        return world

    def take(self, connection: Connection) -> Outcome:
        report: Report = expect(connection.receive(), Report, peer="host-alice")
        world = self.fresh()
        reports = {name: Report(world.authority.now, None, []) for name in world.granted}
        reports["host-alice"] = report
        self.taken += 1
        world.complete(reports)
        for _ in range(20):
            grants = world.next()
            if grants is None:
                break
            for name, grant in grants.items():  # whatever was accepted can be passed on
                encode_frame("control.world/grant@1", WORLD, name, 0, grant.at, grant)
            world.complete({name: Report(grant.at, None, []) for name, grant in grants.items()})
        summary = summarise(world, mode="fuzz", wall_s=0.0, status="done")
        msgspec.json.encode(summary)
        return "accepted"


@pytest.mark.parametrize("cases", [FAST, pytest.param(FULL, marks=pytest.mark.slow)])
def test_world_refuses_mutated_frames(plan: RunPlan, cases: int) -> None:
    side = WorldSide(plan)
    good = SeedFrames.reports()
    for frame in good:
        found = over_a_socket(frame, own=WORLD, peer="host-alice", take=side.take)
        assert found in ("accepted", "ClockStalled"), found
    check_flat(
        cases, lambda data: over_a_socket(data, own=WORLD, peer="host-alice", take=side.take), good
    )
    assert side.taken > cases // 20


# ---------------------------------------------------------------- a host's side


class HostSide:
    """A host with alice; takes grants as its idle hook does."""

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self.taken = 0

    def take(self, connection: Connection) -> Outcome:
        port = SocketPort(connection, None)
        while True:
            grant = port._next()
            if grant is None:
                return "stopped"
            self.taken += 1
            host = Host(self.plan, (NodeId("alice"),), port)
            host._begin(grant)
            host._settle()
            report = host._report(None)
            encode_frame("control.host/report@1", "alice", WORLD, 0, report.at, report)


@pytest.mark.parametrize("cases", [FAST, pytest.param(FULL, marks=pytest.mark.slow)])
def test_host_refuses_mutated_frames(plan: RunPlan, cases: int) -> None:
    side = HostSide(plan)
    good = SeedFrames.grants(plan)
    for frame in good:
        found = over_a_socket(frame, own="alice", peer=WORLD, take=side.take)
        assert found in ("NodeLost", "MachineFault", "stopped"), found
    check_flat(
        cases, lambda data: over_a_socket(data, own="alice", peer=WORLD, take=side.take), good
    )
    assert side.taken > cases // 20


# ---------------------------------------------------------------- both


def check_flat(cases: int, offer: Callable[[bytes], Outcome], good: list[bytes]) -> None:
    """Offer mutated frames; count what happened; memory after the first tenth must not grow."""
    rng = random.Random(SEED)
    seen: Counter[Outcome] = Counter()
    before = 0
    for case in range(cases):
        if case == cases // 5:
            before = resident_bytes()
        data = mutate(rng, good)
        try:
            seen[offer(data)] += 1
        except BaseException:
            print(f"case {case}: {data[:4000]!r}")
            raise
    grown = resident_bytes() - before
    print(f"{cases} cases, grown by {grown / 1024:.0f} KiB: {seen.most_common()}")
    assert grown < GROWTH_BYTES
    assert not {"no reason given", "no words"} & set(seen)
    refused = {name for name in seen if name.startswith("WireError")}
    reasons = "OVERSIZE EMPTY TRUNCATED NOT_A_FRAME VERSION UNKNOWN_KIND BAD_BODY"
    for reason in (*reasons.split(), "WRONG_SOURCE", "WRONG_TARGET", "SEQUENCE", "TIME"):
        assert f"WireError {reason}" in refused, reason


def test_host_refuses_what_it_does_not_have(plan: RunPlan) -> None:
    side = HostSide(plan)
    for frame in SeedFrames.misdirected():
        found = over_a_socket(frame, own="alice", peer=WORLD, take=side.take)
        assert found in ("WireError WRONG_TARGET", "WireError UNKNOWN_KIND", "WireError SEQUENCE")


def test_a_frame_in_anothers_name_is_refused() -> None:
    frame = SeedFrames.reports()[0]
    body = msgpack.unpackb(frame[4:])
    for field, value, reason in (
        ("source", "host-bob", "WRONG_SOURCE"),
        ("target", "host-bob", "WRONG_TARGET"),
        ("seq", 1, "SEQUENCE"),
        ("kind", "control.host/hallo@1", "UNKNOWN_KIND"),
        ("v", 2, "VERSION"),
    ):
        changed = copy.deepcopy(body) | {field: value}
        data = msgpack.packb(changed)
        found = over_a_socket(
            len(data).to_bytes(4, "big") + data,
            own=WORLD,
            peer="host-alice",
            take=lambda connection: str(connection.receive()),
        )
        assert found == f"WireError {reason}"


def test_huge_nested_arrays_cost_nothing() -> None:
    before = resident_bytes()
    for depth in (600, 100_000, 4_000_000):
        for body in (b"\x91" * depth + b"\xc0", b"\xdd\x00\xff\xff\xff" * (depth // 5) + b"\xc0"):
            data = b"\x87" + msgpack.packb("v") + b"\x01" + msgpack.packb("body") + body
            found = over_a_socket(
                len(data).to_bytes(4, "big") + data,
                own=WORLD,
                peer="x",
                take=lambda connection: str(connection.receive()),
            )
            assert found in ("WireError NOT_A_FRAME", "WireError TRUNCATED")
    assert resident_bytes() - before < 32 * 1024 * 1024


def test_report_about_anothers_node_is_refused(plan: RunPlan) -> None:
    side = WorldSide(plan)
    for changes, reason in SeedFrames.impostors():
        found = over_a_socket(changes, own=WORLD, peer="host-alice", take=side.take)
        assert found == f"WireError {reason}", (found, reason)
