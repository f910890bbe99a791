"""The contract of a protocol machine: events in, effects out, no I/O.

A machine never waits, never reads a clock, never draws a random number and never logs. The driver
(:mod:`qnet.runtime.driver`) calls :meth:`Machine.handle` with what happened and the instant, and performs
the returned effects in order. A timer is not an effect: :meth:`Machine.next_deadline` is derived from the
state, so it can neither leak nor be stale.

Late, early, impossible
    A machine decides per message: *late but true* is ignored by identity, *early* is held (bounded),
    *impossible* raises :class:`qnet.errors.RemoteProtocolError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from qnet.ids import LinkId, NodeId, OpId, SlotId
from qnet.program import Program
from qnet.units import Instant


class Record(msgspec.Struct, frozen=True, tag=True, tag_field="type"):
    """Base of states, requests, indications and effects: immutable, comparable, printable as JSON."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every message body that travels between nodes.

    ``kind`` is ``layer.protocol/message@version``. A protocol lists its message types in its catalogue
    entry; a body is decoded only after its kind is known.

    ``reliable`` messages reach the peer in the order of sending, each once, or the machines of both ends
    get :class:`PeerLost`: where the classical plane can lose messages, the node repeats them
    (:mod:`qnet.runtime.courier`). Others are datagrams: they may be lost, doubled or overtaken, and their
    protocol looks after itself.
    """

    kind: ClassVar[str] = ""
    reliable: ClassVar[bool] = True


# ---------------------------------------------------------------- inputs


class Requested(Record, frozen=True):
    """The machine above asks for something; ``source`` is its name, "app" for the application."""

    request: Any
    source: str = ""


class Indicated(Record, frozen=True):
    """The machine below reports something; ``source`` is its name, e.g. "link:alice-bob"."""

    indication: Any
    source: str = ""


class PeerLost(Record, frozen=True):
    """Reliable messages to or from ``peer`` were lost for good: what both shared is void.

    Every machine above the physical layer gets it. Both ends do, once per break: when repeating a message
    was of no use for the patience of the run, or when the peer came back without its memory
    (``restarted``). What is sent from now on arrives again, if anything does.
    """

    peer: NodeId
    restarted: bool = False


class Received(Record, frozen=True):
    """A message arrived from another node. ``sent_at`` is the sender's instant of sending."""

    source: NodeId
    kind: str
    message: Any
    sent_at: Instant


class Applied(Record, frozen=True):
    """A quantum program has ended; outcomes in the order of its measurements."""

    op: OpId
    outcomes: tuple[int, ...]


class Observed(Record, frozen=True):
    """The node's own detectors fired (stations only).

    Attributes:
        link: whose photons were expected.
        pattern: which detectors clicked, in the numbering of the heralding scheme.
        clicked_at: when they did; earlier than now if the station stood still meanwhile.
    """

    link: LinkId
    pattern: tuple[int, ...]
    clicked_at: Instant


class Acquired(Record, frozen=True):
    """A slot asked for with :class:`Acquire` is now held by this machine."""

    token: str
    slot: SlotId


class DeadlineReached(Record, frozen=True):
    """The instant of :meth:`Machine.next_deadline` has come."""


Input = (
    Requested | Indicated | Received | PeerLost | Applied | Observed | Acquired | DeadlineReached
)

# ---------------------------------------------------------------- effects


class Send(Record, frozen=True):
    """Send a message to another node. It arrives no earlier than its light time."""

    target: NodeId
    message: Any


class Apply(Record, frozen=True):
    """Run a quantum program on slots that this machine holds; :class:`Applied` follows."""

    op: OpId
    program: Program


class Attempt(Record, frozen=True):
    """Start attempts on a link with the qubit in ``slot``, until a herald, ``until`` or :class:`Abort`.

    The attempts begin when both ends have asked. No photon leaves this node at or after ``until``.
    """

    op: OpId
    link: LinkId
    slot: SlotId
    until: Instant | None = None


class Abort(Record, frozen=True):
    """Emit no further photon for attempt run ``op``. A photon already on its way may still herald."""

    op: OpId


class Acquire(Record, frozen=True):
    """Ask for a free slot of a role ("communication" or "memory"); :class:`Acquired` follows when free.

    ``near``: one that interacts with one of these slots, where not all do. A memory slot for a link
    always interacts with a communication slot that the link may get.
    """

    token: str
    role: str = "communication"
    near: tuple[SlotId, ...] | msgspec.UnsetType = msgspec.UNSET


class Release(Record, frozen=True):
    """Give a slot back. Its qubit is discarded."""

    slot: SlotId


class Withdraw(Record, frozen=True):
    """Take back an :class:`Acquire` that has not been answered; nothing happens if it has been."""

    token: str


class Request(Record, frozen=True):
    """Ask a machine below. ``to`` is its name; it may be left out if there is only one.

    The slot named by the request's field ``slot``, if it has one, passes to that machine.
    """

    request: Any
    to: str = ""


class Indicate(Record, frozen=True):
    """Tell the machine above. ``slots`` pass to it with the indication.

    Of several users above, the one gets it whose request it is about; at the peer of a request, the one
    that accepts its purpose (:mod:`qnet.runtime.wiring`).
    """

    indication: Any
    slots: tuple[SlotId, ...] = ()


Effect = Send | Apply | Attempt | Abort | Acquire | Withdraw | Release | Request | Indicate


class Machine(Protocol):
    """What a protocol implements."""

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        """React to one event; the effects are performed in order."""
        ...

    def next_deadline(self) -> Instant | None:
        """The next instant at which this machine wants :class:`DeadlineReached`, from its state."""
        ...

    @property
    def state(self) -> object:
        """The present state, for traces and tests. Never branch on another machine's state."""
        ...
