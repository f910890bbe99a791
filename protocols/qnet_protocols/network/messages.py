"""Messages of the network protocol ``qnp``.

Most go hop by hop along a circuit, in the order of sending (they are reliable); the last three go from
end to end, because they must arrive when the circuit does not exist any more. A circuit is named by its
head end and never twice; a pair of a link is named by its entanglement id, as everywhere.

Units
    Instants and durations in picoseconds, rates in 1/s.
Sources
    [1] Kozlowski, Dahlberg, Wehner, "Designing a quantum network protocol", CoNEXT 2020, arXiv
        2010.02575: FORWARD, COMPLETE, TRACK, EXPIRE.
"""

from __future__ import annotations

from typing import ClassVar, Final

from qnet.ids import CircuitId, LinkId, NodeId, PairId, RequestId
from qnet.layers.link import BasisChoice, Kind
from qnet.machine import Message
from qnet.physics.claims import DecayRates
from qnet.units import Duration, Instant

# ---------------------------------------------------------------- signalling


class Install(Message, frozen=True, omit_defaults=True):
    """Head to tail: take this circuit in, then pass it on.

    Attributes:
        circuit: its name, new.
        nodes, links: the whole path.
        label: link label (purpose of the link requests) of the link between sender and receiver.
        purpose: which application at the tail end.
        minimum_fidelity: end to end.
        share: share of the rate of each link to reserve, 0 for none.
        cutoff: how long a pair may wait at an intermediate node, None for ever.
        silence: how long a link may bring no pair before it counts as broken.
        store: pairs are to be moved to memory slots.
        mixing: depolarising parameter of a gate of the head end, which applies the final Pauli gates.
        virtual_z: of these, Z makes no error there; left out if it does.
    """

    kind: ClassVar[str] = "network.qnp/install@1"
    circuit: CircuitId
    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    label: int
    purpose: int
    minimum_fidelity: float
    share: float
    cutoff: Duration | None
    silence: Duration
    store: bool
    mixing: float
    virtual_z: bool = False


class Installed(Message, frozen=True):
    """Tail to head: everybody from the sender to the tail end has taken the circuit in.

    Attributes:
        circuit: which.
        store: the sender needs the pairs of its upstream link in memory slots.
    """

    kind: ClassVar[str] = "network.qnp/installed@1"
    circuit: CircuitId
    store: bool


class Refused(Message, frozen=True):
    """Towards the head: ``where`` did not take the circuit in; ``code`` is a number of ErrorCode."""

    kind: ClassVar[str] = "network.qnp/refused@1"
    circuit: CircuitId
    code: int
    where: NodeId
    detail: str


class Remove(Message, frozen=True):
    """Head to tail: the circuit is not used any more."""

    kind: ClassVar[str] = "network.qnp/remove@1"
    circuit: CircuitId


class Broken(Message, frozen=True):
    """In both directions from a break: the circuit is void.

    Attributes:
        circuit: which.
        where: the node that saw it break.
        hop: the link over which it broke.
        reason: in words.
    """

    kind: ClassVar[str] = "network.qnp/broken@1"
    circuit: CircuitId
    where: NodeId
    hop: LinkId
    reason: str


# ---------------------------------------------------------------- requests


class Forward(Message, frozen=True):
    """Head to tail: a request begins; every node on the way asks its downstream link for pairs.

    Attributes:
        circuit: which.
        request: its id.
        number, service, purpose, distant, final: as in CREATE (``service`` is its ``kind``).
        requested_at: instant of CREATE.
    """

    kind: ClassVar[str] = "network.qnp/forward@1"
    circuit: CircuitId
    request: RequestId
    number: int
    service: Kind
    purpose: int
    distant: BasisChoice
    final: tuple[int, int] | None
    requested_at: Instant


class Complete(Message, frozen=True):
    """Head to tail: a request is over.

    Attributes:
        circuit: which.
        request: its id.
        code: number of ErrorCode, None if it was served or cancelled.
        cancelled: the rest was cancelled.
        detail: the reason in words.
        void: head's link pairs that were assigned to it and not announced: whoever announced one says
            EXPIRE for it.
    """

    kind: ClassVar[str] = "network.qnp/complete@1"
    circuit: CircuitId
    request: RequestId
    code: int | None
    cancelled: bool
    detail: str
    void: tuple[PairId, ...]


# ---------------------------------------------------------------- data plane


class Track(Message, frozen=True):
    """End to end along the swaps: what this end's pair has become, and for which request it is.

    Attributes:
        circuit: which.
        link: link correlator: the pair of the link over which the message comes.
        origin: origin correlator: the pair of the sending end.
        request: to which the sending end assigned its pair, "" for none (tail end only).
        index: which pair of the request, 0 from the tail end.
        label: XOR of the labels and swap outcomes so far.
        correlators: product of the correlators and noise factors so far, without the end's storage.
        error: sum of the stated errors of the pairs so far.
        stray: product of (1 + gamma) over the qubits that lost energy so far.
        origin_at: instant at which the origin pair's figures hold.
        decay_hz: 1/T1 and 1/T2 of the slot of the sending end; then, where attempts dephase it, at most
            how much: per second, and once.
        measured_at: when the sending end measured its half, None if it keeps it.
        created_at: instant of the earliest click so far.
        basis: of a test round, "" for a pair that is no test.
        outcome: of a test round.
    """

    kind: ClassVar[str] = "network.qnp/track@1"
    circuit: CircuitId
    link: PairId
    origin: PairId
    request: RequestId
    index: int
    label: tuple[int, int]
    correlators: tuple[float, float, float]
    error: float
    stray: float
    origin_at: Instant
    decay_hz: DecayRates
    measured_at: Instant | None
    created_at: Instant
    basis: str
    outcome: int


class Expire(Message, frozen=True):
    """Along the swaps, instead of TRACK: the chain to which ``link`` belongs has no other end.

    Attributes:
        circuit: which.
        link: the pair of the link over which the message comes.
        void: the link layer took the pair back; the sender expects no message about it.
    """

    kind: ClassVar[str] = "network.qnp/expire@1"
    circuit: CircuitId
    link: PairId
    void: bool


# ---------------------------------------------------------------- end to end


class Tested(Message, frozen=True):
    """Tail to head, directly: a test round of ``request`` is over; ``wrong`` if label and outcomes disagree."""

    kind: ClassVar[str] = "network.qnp/tested@1"
    request: RequestId
    wrong: bool


class Declined(Message, frozen=True):
    """Tail to head, directly: the request shall end; ``code`` None if the tail's user cancelled it."""

    kind: ClassVar[str] = "network.qnp/declined@1"
    request: RequestId
    code: int | None
    detail: str


class Abandoned(Message, frozen=True):
    """Head to tail, directly: a request whose circuit broke is over."""

    kind: ClassVar[str] = "network.qnp/abandoned@1"
    request: RequestId
    code: int | None
    cancelled: bool
    detail: str


class Settle(Message, frozen=True):
    """Each end to the other, directly, after a break: what it announced lately.

    Attributes:
        circuit: the broken one.
        where, hop, reason: of the break, as in :class:`Broken`.
        announced: the last end-to-end pairs that the sender announced over it, oldest first.
        answered: it is an answer: the sender knew already, or does not know the circuit.
        continues: all requests to this tail end with which the head end goes on, over whatever circuit.
    """

    kind: ClassVar[str] = "network.qnp/settle@1"
    circuit: CircuitId
    where: NodeId
    hop: LinkId
    reason: str
    announced: tuple[PairId, ...]
    answered: bool
    continues: tuple[RequestId, ...]


MESSAGES: Final[tuple[type[Message], ...]] = (
    Install,
    Installed,
    Refused,
    Remove,
    Broken,
    Forward,
    Complete,
    Track,
    Expire,
    Tested,
    Declined,
    Abandoned,
    Settle,
)
