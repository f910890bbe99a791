"""One run of a case of the wire, and the network that the host under test is told about.

Theory
    The host is ``bob``, at end B of the link of :mod:`qnet.testing.conformance.stage`, which runs ``egp``;
    the application is ``deliver``, with alice as requester. The cases of the wire ask for no pair: a
    host may say in every report that nothing has happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar, Final, Protocol, Self

from qnet import __version__
from qnet.errors import WireError
from qnet.ids import NodeId
from qnet.plan import AppPlan, NodePlan, RunPlan
from qnet.runtime.plugs import Seams
from qnet.testing.conformance.case import Trial
from qnet.testing.conformance.faults import ALICE, BOB, STATION, Plan
from qnet.testing.conformance.parts import Line
from qnet.testing.conformance.stage import PLATFORM, PURPOSE, link_plan
from qnet.testing.conformance.wire.own import OwnHost
from qnet.testing.conformance.wire.program import Program
from qnet.testing.conformance.wire.talk import Closed, Talk, words_of
from qnet.units import Instant
from qnet.wire.control import (
    Bye,
    Configure,
    Fault,
    Grant,
    Hello,
    NodeGrant,
    Post,
    Ready,
    Report,
    Stop,
)

HOST: Final = str(BOB)

PASSIVE: Final = (
    "QN-WIRE-1.1-1",
    "QN-WIRE-1.1-2",
    "QN-WIRE-1.1-3",
    "QN-WIRE-1.1-4",
    "QN-WIRE-1.2-1",
    "QN-WIRE-2.1-1",
    "QN-WIRE-2.1-2",
    "QN-WIRE-2.1-3",
    "QN-WIRE-2.2-1",
    "QN-WIRE-2.2-2",
    "QN-WIRE-2.3-1",
    "QN-WIRE-2.3-2",
    "QN-WIRE-2.3-3",
    "QN-WIRE-3.1-1",
    "QN-WIRE-3.1-2",
    "QN-WIRE-3.1-3",
    "QN-WIRE-4.1-1",
    "QN-WIRE-4.1-3",
)
"""What is held against every frame that a host says: reached as soon as it has said ``Ready``."""


class Subject(Protocol):
    """What the cases of the wire start: a program, or our own host."""

    @property
    def name(self) -> str:
        """For titles."""
        ...

    def start(self, host: str, role: str) -> Started:
        """Start it."""
        ...


class Started(Protocol):
    """A host that was started."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def talk(self) -> Talk:
        """The connection that it makes."""
        ...

    def output(self) -> str:
        """What it wrote to its standard error."""
        ...


def run_plan(**changes: Any) -> RunPlan:
    """The network of the cases."""
    fields: dict[str, Any] = {
        "network": "conformance",
        "seed": 1,
        "nodes": (
            NodePlan(ALICE, "ideal", PLATFORM),
            NodePlan(BOB, "ideal", PLATFORM),
            NodePlan(STATION),
        ),
        "links": (link_plan(),),
        "app": AppPlan(
            "deliver",
            {"from_node": ALICE, "to_node": BOB, "pairs": 1, "purpose": PURPOSE},
            {ALICE: "requester", BOB: "provider"},
        ),
    }
    return RunPlan(**{**fields, **changes})


class WireTrial(Trial):
    """One run of one case of the wire."""

    subject: ClassVar[Any] = Program | OwnHost
    watched: ClassVar[bool] = False

    def __init__(self, protocol: Any, seed: int, faults: Plan, ids: Iterable[str]) -> None:
        super().__init__(protocol, seed, faults, ids)
        self.host: Subject = protocol
        self.outputs: list[str] = []
        self._reported: int | None = None
        self.kinds = Seams(run_plan()).catalogue

    @contextmanager
    def started(self) -> Iterator[Talk]:
        """A host that has connected, or is about to; it has ended when the block has."""
        with self.host.start(HOST, "host") as running:
            try:
                talk = running.talk()
                self.benches.append(talk)
                yield talk
            finally:
                self.outputs.append(running.output())

    @contextmanager
    def greeted(self) -> Iterator[Talk]:
        """A host that has said Hello."""
        with self.started() as talk:
            hello = talk.expect(Hello, "QN-WIRE-3.1-1", "connecting")
            words = f"version must be {__version__}, got {hello.version}"
            self.check("QN-WIRE-3.1-2", hello.version == __version__, words)
            yield talk

    @contextmanager
    def ready(self, **changes: Any) -> Iterator[Talk]:
        """A host that is configured and ready."""
        with self.greeted() as talk:
            talk.say(Configure(run_plan(**changes), (BOB,)))
            self.becomes_ready(talk)
            yield talk

    def becomes_ready(self, talk: Talk) -> None:
        """The answer to Configure."""
        talk.expect(Ready, "QN-WIRE-3.1-3", "Configure")
        self._reported = None
        talk.ready = True
        for identifier in PASSIVE:
            self.check(identifier, True, "")

    def grant(self, talk: Talk, at: int, items: Iterable[Any] = (), node: NodeId = BOB) -> Report:
        """Grant an instant; the report, which is held against the rules of reports."""
        listed = [NodeGrant(node, list(items))] if items else []
        talk.say(Grant(Instant(at), 0, listed), at)
        return self.reported(talk, at)

    def reported(self, talk: Talk, at: int) -> Report:
        """The answer to a grant."""
        report = talk.expect(Report, "QN-WIRE-3.1-4", f"a grant of {at} ps")
        again = report.at == self._reported != at
        words = f"granted {at} ps, the host reports about {report.at} ps again"
        self.check("QN-WIRE-3.1-4", not again, words)
        self._reported = at
        words = f"report about {report.at} ps, granted was {at} ps"
        self.check("QN-WIRE-3.2-1", again or report.at == at, words)
        due = report.deadline
        self.check(
            "QN-WIRE-3.2-2", due is None or due > at, f"deadline {due} ps in a report about {at} ps"
        )
        nodes = [one.node for one in report.nodes]
        words = f"a report of the host of {BOB} lists {nodes}"
        self.check("QN-WIRE-3.2-3", set(nodes) <= {BOB} and len(nodes) == len(set(nodes)), words)
        self.check("QN-WIRE-3.2-4", True, "")
        return report

    def stops(self, talk: Talk) -> None:
        """The host says goodbye and ends well."""
        talk.say(Stop("the run is over"))
        talk.expect(Bye, "QN-WIRE-3.1-5", "Stop")
        got = talk.hear()
        fine = isinstance(got, Closed) and got.status == 0
        self.check("QN-WIRE-3.1-5", fine, f"after Bye {words_of(got)}")

    def refuses(
        self, talk: Talk, identifier: str, what: str, *hints: str, fault: bool = True
    ) -> None:
        """The host takes what it was sent for illegal: it says Fault, closes and fails."""
        got = talk.hear()
        told = isinstance(got, Fault)
        if told:
            self._explains(got, what, hints)
            after = talk.hear()
        else:
            after = got
        if fault and isinstance(got, Closed):
            self.check("QN-WIRE-1.3-2", False, f"{what}: it closes without Fault")
        refused = told or isinstance(got, Closed)
        self.check(identifier, refused, f"{what}: {words_of(got)}")
        if not refused:
            return
        self.check(
            "QN-WIRE-1.3-1", isinstance(after, Closed), f"{what}: after Fault {words_of(after)}"
        )
        if isinstance(after, Closed):
            words = f"{what}: {words_of(after)}"
            self.check("QN-WIRE-1.3-4", after.status not in (0, 127, None), words)

    def _explains(self, got: Fault, what: str, hints: tuple[str, ...]) -> None:
        self.check("QN-WIRE-1.3-2", len(got.text) > 5, f"{what}: text of Fault is {got.text!r}")
        if hints:
            named = any(hint in got.text for hint in hints)
            self.check("QN-WIRE-1.3-3", named, f"{what}: none of {hints} in {got.text!r}")

    def unreadable(self, post: Post) -> str:
        """Why the body of a message is not of its kind; "" if it is."""
        try:
            self.kinds.decode(post.kind, post.body)
        except WireError as error:
            return str(error)
        return ""

    def lines(self) -> list[Line]:
        """What was said, talk by talk, and what the programs wrote to their standard error."""
        found = super().lines()
        for text in self.outputs:
            found += [Line(len(found), NodeId("stderr"), line) for line in text.splitlines()]
        return found
