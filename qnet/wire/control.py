"""Messages between a host and the world: the control plane and the quantum plane.

Life of a connection: host ``Hello`` -> world ``Configure`` -> host ``Ready`` -> world ``Grant`` (the first
one starts the run) -> host ``Report`` -> ... -> world ``Stop`` -> host ``Bye``. A host that cannot go on
sends ``Fault`` instead of its report.

A host's output since the last grant travels *in* its report: one write and one read per grant. Outputs are
listed per node in order of their making; the world executes those of a round in order of
(node, position).
"""

from __future__ import annotations

from typing import Final

import msgspec

from qnet.ids import LinkId, NodeId, OpId, PairId, RequestId, SlotId
from qnet.plan import RunPlan
from qnet.program import Program
from qnet.units import Instant

WORLD: Final = "world"
LAUNCHER: Final = "launcher"


class _Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of control bodies."""


class _Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True, tag_field="t"):
    """Base of what a report or a grant lists."""


# ------------------------------------------------------------ host -> world, inside Report


class Post(_Item, frozen=True, tag="post", omit_defaults=True):
    """A message to another node.

    Attributes:
        seq: counts per (source, target) from 0, in each incarnation of the source.
        epoch, number: of the sender's courier, for messages that it repeats; the world copies them.
    """

    target: NodeId
    kind: str
    seq: int
    body: msgspec.Raw
    epoch: int = 0
    number: int = 0


class RunProgram(_Item, frozen=True, tag="program"):
    """Run a quantum program on slots of this node."""

    op: OpId
    program: Program


class StartAttempt(_Item, frozen=True, tag="attempt"):
    """Arm one end of a link."""

    op: OpId
    link: LinkId
    slot: SlotId
    until: Instant | None


class AbortAttempt(_Item, frozen=True, tag="abort"):
    """Disarm attempt run ``op``."""

    op: OpId


class Discard(_Item, frozen=True, tag="discard"):
    """Empty a slot."""

    slot: SlotId


class Delivered(_Item, frozen=True, tag="delivered", omit_defaults=True):
    """Note for the truth log: this end has handed up its half of a pair. No node ever sees an answer.

    ``settled`` is False if the label holds only after something that the other end still does.
    """

    pair: PairId
    request: RequestId
    index: int
    origin: bool
    remote: NodeId
    slot: SlotId
    label: tuple[int, int]
    goodness: float
    goodness_error: float
    requested_at: Instant
    created_at: Instant
    settled: bool = True


class MeasuredNote(_Item, frozen=True, tag="measured"):
    """Note for the truth log: this end has measured its half of a pair and handed up the outcome."""

    pair: PairId
    request: RequestId
    index: int
    origin: bool
    remote: NodeId
    label: tuple[int, int]
    goodness: float
    goodness_error: float
    requested_at: Instant
    created_at: Instant
    basis: str
    outcome: int


class RequestNote(_Item, frozen=True, tag="request"):
    """Note for the report: a request was opened (``outcome`` "open") or ended at its origin."""

    request: RequestId
    remote: NodeId
    number: int
    outcome: str


class ExpiryNote(_Item, frozen=True, tag="expiry"):
    """Note for the truth log: pairs of this link that were announced here are not valid."""

    pairs: tuple[PairId, ...]
    request: RequestId


class AppEnded(_Item, frozen=True, tag="app"):
    """The node's application has returned."""

    role: str
    result: msgspec.Raw


Output = (
    Post
    | RunProgram
    | StartAttempt
    | AbortAttempt
    | Discard
    | Delivered
    | MeasuredNote
    | RequestNote
    | ExpiryNote
    | AppEnded
)

# ------------------------------------------------------------ world -> host, inside Grant


class Envelope(_Item, frozen=True, tag="message", omit_defaults=True):
    """A message from another node, due now.

    ``incarnation`` is the sender's: how often it had been restarted when it sent this.
    """

    source: NodeId
    kind: str
    seq: int
    sent_at: Instant
    body: msgspec.Raw
    epoch: int = 0
    number: int = 0
    incarnation: int = 0


class ProgramEnded(_Item, frozen=True, tag="ended"):
    """Outcomes of a program that ends now."""

    op: OpId
    outcomes: tuple[int, ...]


class Clicked(_Item, frozen=True, tag="clicked"):
    """This station's detectors fired, at ``at``."""

    link: LinkId
    pattern: tuple[int, ...]
    at: Instant


class Refused(_Item, frozen=True, tag="refused"):
    """The world refused a command; it had no effect."""

    op: str
    code: int
    text: str


class Crashed(_Item, frozen=True, tag="crashed"):
    """The node has lost power: machines, application and slots are gone.

    Nothing else comes for it until :class:`Restarted`, and whatever it puts out until then, in the same
    turn too, is void.
    """


class Restarted(_Item, frozen=True, tag="restarted"):
    """The node has power again, with new machines and no application. ``incarnation`` counts from 1."""

    incarnation: int


Item = Envelope | ProgramEnded | Clicked | Refused | Crashed | Restarted

# ------------------------------------------------------------ bodies


class Hello(_Control, frozen=True):
    """First words of a host."""

    host: str
    pid: int
    version: str


class Configure(_Control, frozen=True):
    """What the host shall run."""

    plan: RunPlan
    nodes: tuple[NodeId, ...]


class Ready(_Control, frozen=True):
    """Plug-ins loaded, machines built, waiting for the first grant."""

    host: str


class NodeGrant(_Control, frozen=True):
    """What is due at one node."""

    node: NodeId
    items: list[Item]


class Grant(_Control, frozen=True):
    """Simulated time is now ``at``, delta round ``round``."""

    at: Instant
    round: int
    nodes: list[NodeGrant]


class NodeReport(_Control, frozen=True):
    """What one node did in this grant: outputs and trace lines (JSON, each ended by a newline)."""

    node: NodeId
    outputs: list[Output]
    trace: bytes


class Report(_Control, frozen=True):
    """Nothing is runnable any more. ``deadline``: next instant at which this host wants to run."""

    at: Instant
    deadline: Instant | None
    nodes: list[NodeReport]


class Fault(_Control, frozen=True):
    """The host cannot go on.

    Attributes:
        text: what went wrong, one screen.
        detail: the traceback, for the log.
        trace: the lines of the grant that failed, which no report will bring any more.
    """

    host: str
    node: str
    at: Instant
    text: str
    detail: str
    trace: bytes


class Stop(_Control, frozen=True):
    """The run is over for this host."""

    reason: str


class Bye(_Control, frozen=True):
    """The host has closed its applications and goes."""

    host: str


# ------------------------------------------------------------ launcher <-> world


class Open(_Control, frozen=True):
    """First words of the launcher to the world: what to run, with which hosts, where to write.

    Attributes:
        hosts: nodes of each host.
        folder: run folder, "" for none.
        mode: words for the summary: "processes", "processes, 2 hosts", "tcp" ...
        pace: simulated seconds per wall second, None for as fast as it can.
    """

    plan: RunPlan
    hosts: dict[str, tuple[NodeId, ...]]
    folder: str
    mode: str
    pace: float | None


class AllReady(_Control, frozen=True):
    """Every host has said that it is ready."""

    hosts: int


class Progress(_Control, frozen=True):
    """How far the run is; sent a few times per second of wall time.

    Attributes:
        at: simulated time.
        pairs: delivered so far.
        requested: asked for so far.
        waiting: hosts whose report is awaited since more than one interval.
        lag_s: how far a paced run is behind the wall clock.
    """

    at: Instant
    pairs: int
    requested: int
    waiting: tuple[str, ...] = ()
    lag_s: float = 0.0


class Finished(_Control, frozen=True):
    """The run is over and recorded; ``summary`` is the content of ``summary.json``, as JSON."""

    summary: bytes


CONTROL_KINDS: Final[dict[str, type[_Control]]] = {
    "control.host/hello@1": Hello,
    "control.world/configure@1": Configure,
    "control.host/ready@1": Ready,
    "control.world/grant@1": Grant,
    "control.host/report@1": Report,
    "control.host/fault@1": Fault,
    "control.world/stop@1": Stop,
    "control.host/bye@1": Bye,
    "control.launcher/open@1": Open,
    "control.world/all_ready@1": AllReady,
    "control.world/progress@1": Progress,
    "control.world/finished@1": Finished,
}
KIND_OF: Final[dict[type[_Control], str]] = {record: kind for kind, record in CONTROL_KINDS.items()}
