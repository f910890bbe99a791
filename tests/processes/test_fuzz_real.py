"""Bad frames at real processes: each ends with one sentence that names the rule, none with a hang."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fleet import TOPOLOGY
from frames import SeedFrames, grant, report

from qnet import __version__
from qnet.errors import NodeLost
from qnet.ids import NodeId
from qnet.plan import RunPlan
from qnet.runtime.connection import Connection
from qnet.topology import load
from qnet.wire.control import (
    LAUNCHER,
    WORLD,
    AllReady,
    Configure,
    Fault,
    Finished,
    Grant,
    Hello,
    NodeReport,
    Open,
    Ready,
    Report,
)
from qnet.wire.frame import encode_frame

pytestmark = pytest.mark.processes

WAIT_S = 10.0
HOST = "import socket, sys; from qnet.runtime.host_process import serve; sys.exit(serve(socket.socket(fileno=int(sys.argv[1])), 'alice'))"  # noqa: E501
HELLO, READY = "control.host/hello@1", "control.host/ready@1"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    file = tmp_path_factory.mktemp("fuzz") / "pair.toml"
    file.write_text(TOPOLOGY)
    return load(file, ["pairs=5"])


@contextmanager
def started(command: list[str], *sockets: socket.socket) -> Iterator[subprocess.Popen[str]]:
    """A process with these inherited sockets; it must end by itself."""
    process = subprocess.Popen(
        [sys.executable, *command],
        pass_fds=[sock.fileno() for sock in sockets],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    for sock in sockets:
        sock.close()
    try:
        yield process
        process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
        process.communicate()


def numbered(frame: bytes, seq: int) -> bytes:
    """The same frame with another sequence number."""
    fields = msgspec.msgpack.decode(frame[4:])
    data = msgspec.msgpack.encode(fields | {"seq": seq})
    return len(data).to_bytes(4, "big") + data


def bad_grants() -> list[tuple[str, bytes, str]]:
    good = numbered(grant([]), 1)
    return [
        ("garbage", b"\x00\x00\x00\x05hello", "one msgpack map"),
        ("oversize", b"\x7f\xff\xff\xff", "at most"),
        ("empty", bytes(4), "must not be empty"),
        ("nested", b"\x00\x01\x00\x00" + b"\x91" * 65536, "one msgpack map"),
        ("replay", numbered(good, 0), "sequence number must be 1, got 0"),
        ("gap", numbered(good, 2), "sequence number must be 1, got 2"),
        ("another's node", numbered(SeedFrames.misdirected()[2], 1), "nodes of this host"),
        ("unknown operation", numbered(SeedFrames.misdirected()[0], 1), "operation 'x' must be"),
        ("unknown kind", numbered(SeedFrames.misdirected()[3], 1), "one of this run's"),
        ("backwards", good + numbered(grant([], at=3), 2), "must not be before"),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "data", "words"), bad_grants(), ids=[one[0] for one in bad_grants()]
)
def test_proc_host_names_what_was_wrong(plan: RunPlan, what: str, data: bytes, words: str) -> None:
    ours, theirs = socket.socketpair()
    with started(["-c", HOST, str(theirs.fileno())], theirs) as process, ours:
        ours.settimeout(WAIT_S)
        world = Connection(ours, own=WORLD, peer="alice")
        world.trust()
        assert isinstance(world.receive(), Hello)
        world.send(Configure(plan, (NodeId("alice"),)))
        assert isinstance(world.receive(), Ready)
        ours.sendall(data)
        message: Any = world.receive()
        while isinstance(message, Report):
            message = world.receive()
        assert isinstance(message, Fault), what
        assert words in message.text
        assert process.wait(WAIT_S) == 1


@pytest.mark.slow
def test_proc_host_ends_when_the_world_goes(plan: RunPlan) -> None:
    ours, theirs = socket.socketpair()
    with started(["-c", HOST, str(theirs.fileno())], theirs) as process:
        world = Connection(ours, own=WORLD, peer="alice")
        world.receive()
        world.send(Configure(plan, (NodeId("alice"),)))
        ours.close()
        assert process.wait(WAIT_S) == 1


def bad_reports() -> list[tuple[str, bytes, str]]:
    hello = encode_frame(HELLO, "host-alice", WORLD, 0, 0, Hello("host-alice", 1, __version__))
    ready = encode_frame(READY, "host-alice", WORLD, 1, 0, Ready("host-alice"))

    def after_ready(frame: bytes) -> bytes:
        return numbered(frame, 2)

    return [
        ("no hello", ready, "sequence number must be 0"),
        ("wrong version", encode_frame(HELLO, "host-alice", WORLD, 0, 0, Hello("a", 1, "9")), "must run qnet"),
        ("another's name", encode_frame(HELLO, "host-bob", WORLD, 0, 0, Hello("a", 1, "9")), "source must be"),
        ("oversize hello", (70_000).to_bytes(4, "big"), "at most 65536 bytes"),
        ("speaks out of turn", hello + ready, "must wait for its grant"),
        ("another's node", after_ready(SeedFrames.impostors()[0][0]), "node of this host"),
        ("another instant", after_ready(report([], at=1)), "granted instant 0 ps"),
        ("garbage", b"\x00\x00\x00\x05hello", "one msgpack map"),
        ("half a frame", b"\x00\x00\x00\x50hello", "inside a frame"),
        ("trace is not text", after_ready(report([], at=1, trace=b"\xff\xfe\n")), "granted instant"),
        ("two reports at once", after_ready(report([])) + numbered(report([]), 3), "must wait for its grant"),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "data", "words"), bad_reports(), ids=[one[0] for one in bad_reports()]
)
def test_proc_world_names_what_was_wrong(
    plan: RunPlan, tmp_path: Path, what: str, data: bytes, words: str
) -> None:
    early = what in (
        "no hello",
        "wrong version",
        "another's name",
        "oversize hello",
        "speaks out of turn",
    )
    control, world_control = socket.socketpair()
    pairs = {f"host-{node.name}": socket.socketpair() for node in plan.nodes}
    command = ["-m", "qnet.runtime.world_process", f"--control-fd={world_control.fileno()}"]
    command += [f"--host-fd={name}={pair[1].fileno()}" for name, pair in pairs.items()]
    sockets = [world_control, *(pair[1] for pair in pairs.values())]
    with started(command, *sockets) as process:
        control.settimeout(WAIT_S)
        launcher = Connection(control, own=LAUNCHER, peer=WORLD)
        launcher.trust()
        hosts = {f"host-{node.name}": (NodeId(node.name),) for node in plan.nodes}
        launcher.send(Open(plan, hosts, str(tmp_path), "test", None))
        connections = {
            name: Connection(pair[0], own=name, peer=WORLD) for name, pair in pairs.items()
        }
        mallory = pairs["host-alice"][0]
        if early:
            for name in ("host-bob", "host-middle"):
                connections[name].send(Hello(name, 1, __version__))
        else:
            _play_along(connections, launcher)
        mallory.sendall(data)
        if what == "half a frame":
            mallory.close()
        fault = _fault(launcher)
        assert words in fault, fault
        for pair in pairs.values():
            pair[0].close()
        assert process.wait(WAIT_S) == 0
    control.close()
    summary = msgspec.json.decode((tmp_path / "summary.json").read_bytes())
    assert summary["status"] == "failed"


def _play_along(connections: dict[str, Connection], launcher: Connection) -> None:
    """Everybody gets ready; bob and the station report."""
    for name, connection in connections.items():
        connection.trust()
        connection.send(Hello(name, 1, __version__))
    for name, connection in connections.items():
        assert isinstance(connection.receive(), Configure)
        connection.send(Ready(name))
    assert isinstance(launcher.receive(), AllReady)
    for name, connection in connections.items():
        first: Grant = connection.receive()
        if name != "host-alice":
            connection.send(Report(first.at, None, [NodeReport(NodeId(name[5:]), [], b"")]))


def _fault(launcher: Connection) -> str:
    try:
        while not isinstance(message := launcher.receive(), Finished):
            pass
    except NodeLost:
        pytest.fail("the world ended without a word")
    return str(msgspec.json.decode(message.summary)["fault"])
