"""The wire suite: qnet's own host and world keep it, and each thing that a host can do wrong is caught."""

from __future__ import annotations

import math
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import pytest

from qnet.testing.conformance.case import CASES
from qnet.testing.conformance.requirement import register
from qnet.testing.conformance.suite import Target, Wish, load_cases, run
from qnet.testing.conformance.target import resolve
from qnet.testing.conformance.wire.own import Attending, OwnHost
from qnet.testing.conformance.wire.program import VARIABLES
from qnet.testing.conformance.wire.talk import Talk
from qnet.testing.conformance.wire.trial import WireTrial
from qnet.wire.frame import HEADER_BYTES, FrameReader

ROOT = Path(__file__).parents[2]
BOOK = register("wire")
load_cases()
Fields = dict[str, Any]


def verdicts(outcome):
    return {one.requirement.id: one.verdict for one in outcome.judgements}


HOST_CASES = tuple(one.name for one in CASES.values() if one.trial is WireTrial)


def test_own_host_keeps_every_sentence_about_hosts():
    outcome = run(resolve("qnet"), Wish(layer="wire", cases=HOST_CASES))
    assert [failure.words for failure in outcome.failures] == []
    assert set(verdicts(outcome).values()) <= {"PASS", "UNTESTED"}
    host = {one.id for one in BOOK.requirement if one.role != "world"}
    assert {one for one, verdict in verdicts(outcome).items() if verdict == "PASS"} >= {
        one for one in host if BOOK.get(one).testability == "tested"
    }


@pytest.mark.slow
def test_own_host_and_world_keep_every_sentence():
    outcome = run(resolve("qnet"), Wish(layer="wire"))
    assert [failure.words for failure in outcome.failures] == []
    assert set(verdicts(outcome).values()) == {"PASS", "UNTESTED"}
    assert outcome.exit_status == 0


# ---------------------------------------------------------------- hosts that are wrong


@dataclass(frozen=True)
class Spoilt(OwnHost):
    """Our own host behind a relay that spoils what it says."""

    name: str = "spoilt"
    rewrite: Callable[[Fields], list[bytes]] = lambda fields: [msgpack.packb(fields)]
    status: int | None = None

    def start(self, host, role):
        return Relayed(super().start(host, role), self)


class Relayed:
    """The started host and its relay."""

    def __init__(self, inner: Attending, spoilt: Spoilt) -> None:
        self.inner, self.spoilt = inner, spoilt
        ours, self.theirs = socket.socketpair()
        self.sock = inner.talk()._sock
        self._talk = Talk(ours, "bob", ended=self.ended, limit_s=1.0)
        ways = (self._outward, self._inward)
        self._threads = [threading.Thread(target=one, daemon=True) for one in ways]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._talk.close()
        self.theirs.shutdown(socket.SHUT_RDWR)
        self.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5.0)
        self.theirs.close()
        self.inner.end()

    def talk(self):
        return self._talk

    def output(self):
        return self.inner.output()

    def ended(self, wait_s):
        status = self.inner.ended(wait_s)
        return status if self.spoilt.status is None else self.spoilt.status

    def _inward(self) -> None:
        try:
            while data := self.theirs.recv(1 << 16):
                self.sock.sendall(data)
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _outward(self) -> None:
        reader = FrameReader(limit_bytes=1 << 24)
        try:
            while data := self.sock.recv(1 << 16):
                reader.feed(data)
                while (frame := reader.next()) is not None:
                    for one in self.spoilt.rewrite(msgpack.unpackb(frame)):
                        self.theirs.sendall(len(one).to_bytes(HEADER_BYTES, "big") + one)
            self.theirs.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def only(kind: str, change: Callable[[Fields], Any]) -> Callable[[Fields], list[bytes]]:
    """Rewrite frames of one kind; others pass."""

    def rewrite(fields: Fields) -> list[bytes]:
        if fields["kind"] != f"control.host/{kind}@1":
            return [msgpack.packb(fields)]
        found = change(fields)
        if found is None:
            return []
        return [one if isinstance(one, bytes) else msgpack.packb(one) for one in found]

    return rewrite


def body(**changes: Any) -> Callable[[Fields], list[Fields]]:
    return lambda fields: [{**fields, "body": {**fields["body"], **changes}}]


def header(**changes: Any) -> Callable[[Fields], list[Fields]]:
    return lambda fields: [{**fields, **changes}]


def in_outputs(change: Callable[[Fields], Fields]) -> Callable[[Fields], list[Fields]]:
    """Change the first output of a report that has one."""

    def rewrite(fields: Fields) -> list[Fields]:
        for node in fields["body"]["nodes"]:
            if node["outputs"]:
                node["outputs"][0] = change(node["outputs"][0])
        return [fields]

    return rewrite


def twice(fields: Fields) -> list[bytes]:
    """A key twice: the map is made longer by hand."""
    data = msgpack.packb(fields)
    return [bytes([data[0] + 1]) + data[1:] + msgpack.packb("v") + msgpack.packb(1)]


def nodes(name: str, trace: bytes = b"") -> Callable[[Fields], list[Fields]]:
    """A report about a node that has done nothing."""
    return body(nodes=[{"node": name, "outputs": [], "trace": trace}])


def later(fields: Fields) -> list[Fields]:
    """The report of another instant."""
    at = fields["at"] + 1
    return [{**fields, "at": at, "body": {**fields["body"], "at": at}}]


def no_number(output: Fields) -> Fields:
    """A tag that is none, in a message."""
    told = output.get("body")
    return {**output, "body": {**told, "tag": math.nan}} if told else output


def more_reports() -> Callable[[Fields], list[bytes]]:
    """Every report twice, rightly numbered."""
    seq = 0

    def rewrite(fields: Fields) -> list[bytes]:
        nonlocal seq
        if fields["kind"] == "control.host/hello@1":
            seq = 0
        found = []
        for _ in range(2 if fields["kind"] == "control.host/report@1" else 1):
            found.append(msgpack.packb({**fields, "seq": seq}))
            seq += 1
        return found

    return rewrite


COUNT = iter(range(1, 1_000_000))

MUTANTS: list[tuple[str, str, Callable[[Fields], list[bytes]], int | None]] = [
    ("frame that is no map", "1.1-2", only("report", lambda _: [b"\x93\x01\x02\x03"]), None),
    ("field too many", "1.1-2", only("ready", header(mood=1)), None),
    ("seq that is no integer", "1.1-2", only("hello", header(seq=0.5)), None),
    ("another version", "1.1-3", only("hello", header(v=2)), None),
    ("another's name", "2.1-1", only("ready", header(source="alice")), None),
    ("gap", "2.1-2", only("ready", header(seq=5)), None),
    ("at of another instant", "2.1-3", only("report", lambda f: header(at=f["at"] + 1)(f)), None),
    ("unknown kind", "2.2-1", only("ready", header(kind="control.host/rready@1")), None),
    ("world's kind", "2.2-1", only("ready", header(kind="control.world/stop@1")), None),
    ("unknown field of a body", "2.2-2", only("ready", body(mood=1)), None),
    ("key twice", "2.3-1", only("report", twice), None),
    ("no number", "2.3-3", only("report", in_outputs(no_number)), None),
    ("another host", "3.1-1", only("hello", body(host="alice")), None),
    ("another network", "3.1-2", only("hello", body(version="9")), None),
    ("silence after Configure", "4.1-3", only("ready", lambda _: None), None),
    ("two reports", "3.1-4", more_reports(), None),
    ("no goodbye", "3.1-5", only("bye", lambda _: None), None),
    ("bad end", "3.1-5", only("none", lambda f: [f]), 3),
    ("report about later", "3.2-1", only("report", later), None),
    ("deadline now", "3.2-2", only("report", lambda f: body(deadline=f["at"])(f)), None),
    ("report about alice", "3.2-3", only("report", nodes("alice")), None),
    ("half a line", "3.2-4", only("report", nodes("bob", b"{}")), None),
    ("line that is no JSON", "3.2-4", only("report", nodes("bob", b"x\n")), None),
    ("messages unnumbered", "3.2-5", only("report", in_outputs(lambda o: {**o, "seq": 7})), None),
    ("message that nobody knows", "3.2-6", only("report", in_outputs(lambda o: {**o, "kind": "link.egp/hm@1"})), None),
    ("message to itself", "3.2-6", only("report", in_outputs(lambda o: {**o, "target": "bob"})), None),
    ("reports that differ", "3.2-8", only("report", lambda f: body(deadline=f["at"] + next(COUNT))(f)), None),
    ("silent refusal", "1.3-2", only("fault", lambda _: None), None),
    ("refusal without a reason", "1.3-3", only("fault", body(text="something is wrong")), None),
    ("refusal that ends well", "1.3-4", only("none", lambda f: [f]), 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sentence", "rewrite", "status"), MUTANTS, ids=[one[0] for one in MUTANTS]
)
def test_host_that_is_wrong_is_caught(name, sentence, rewrite, status):
    target = Target(name, Spoilt(name, rewrite, status))
    identifier = f"QN-WIRE-{sentence}"
    outcome = run(target, Wish(layer="wire", only=(identifier,), quick=True, strict=True))
    assert verdicts(outcome)[identifier] == "FAIL", outcome.judgements


def test_relay_that_spoils_nothing_breaks_nothing():
    names = ("whole-life-of-a-host", "messages-of-a-node", "bodies-that-are-spoilt")
    outcome = run(Target("relay", Spoilt()), Wish(layer="wire", cases=names))
    assert "FAIL" not in verdicts(outcome).values()


# ---------------------------------------------------------------- documents


def test_guide_quotes_the_example_and_names_every_variable():
    text = (ROOT / "docs/guides/write-a-peer-in-another-language.md").read_text()
    folder = ROOT / "deploy/peers/javascript"
    source = "".join((folder / f"{name}.js").read_text() for name in ("wire", "peer", "link"))
    quoted = re.findall(r"^```js\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(quoted) >= 5
    assert [block for block in quoted if block not in source] == []
    for name, meaning in VARIABLES.items():
        assert re.search(rf"\| `{name}` \| {re.escape(meaning)}", text), name
