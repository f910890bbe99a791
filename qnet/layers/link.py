"""The pair service: CREATE in, OK / ERR / EXPIRE out, at both ends (physics reference A1.1).

The link layer offers it between neighbours, purification offers it with better pairs, the network layer
between any two nodes: whoever uses pairs need not know which of them made the pairs. Names follow the
link layer of Dahlberg et al., SIGCOMM 2019 (arXiv 1903.09778), which calls the answers OK_K
(:class:`Ok`) and OK_M (:class:`OkMeasured`); its create id is our request id, its entanglement id our
pair id. Times are instants of simulated time. ``goodness`` is an estimate of the fidelity, not a
measurement of this pair, and comes with its stated error.

Kinds of requests
    *K*, create and keep: both ends get a qubit. *M*, measure directly: both ends get a basis and a bit,
    and no qubit. *R*, remote state preparation: the origin measures, the peer gets the qubit. *E*, early
    (network layer only): the qubit is handed up at once (:class:`Early`), what is known of it later.
"""

from __future__ import annotations

import enum
from typing import Literal

from qnet.ids import CircuitId, NodeId, PairId, RequestId, SlotId
from qnet.machine import Record
from qnet.units import Duration, Instant


class ErrorCode(enum.IntEnum):
    """Why a request failed (numbers of the reference)."""

    UNSUPP = 0
    """Fidelity or time not reachable even on an idle link, or a field of CREATE that this layer does not serve."""
    NOTIME = 1
    """Reachable, but not in time under the present load."""
    NORES = 2
    """No communication or storage qubit, or the queue is full."""
    TIMEOUT = 3
    """The maximum time is over before all pairs were made."""
    REJECTED = 4
    """The peer does not accept this purpose."""
    OTHER = 5
    """Hardware or internal failure, or cancelled by its user."""
    EXPIRE = 6
    """Pairs already announced are not valid."""
    CREATE = 7
    """Malformed request."""


Kind = Literal["K", "M", "R", "E"]
"""Kind of a request: keep, measure, remote state preparation, early."""


class BasisChoice(Record, frozen=True):
    """In which basis an end measures its half of each pair of an M or R request.

    Attributes:
        bases: "X", "Y", "Z", "Z+X" or "Z-X" (the two diagonals of the CHSH game); one is drawn per pair.
        weights: relative chance of each, same length, none negative, not all zero.
        rotation_rad: angles of RX, RY, RX before the measurement, (0, 0, 0) for none.
    """

    bases: tuple[str, ...] = ("Z",)
    weights: tuple[float, ...] = (1.0,)
    rotation_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Create(Record, frozen=True):
    """Ask for ``number`` pairs with ``remote``.

    Attributes:
        request: id of the request, given by its user; unique under the node's name.
        remote: the peer.
        number: pairs wanted, >= 1.
        minimum_fidelity: lowest acceptable goodness, 0 <= F <= 1.
        max_time: time within which all pairs must be delivered; 0 = no limit.
        purpose: like a port: which application at the peer, 0 .. 65535.
        kind: see the module head.
        priority: queue number, 0 is served first (0 network, 1 keep, 2 measure by custom).
        store: move each half to a memory slot before it is handed up (K, R at the peer).
        atomic: all pairs in memory at the same time: handed up together, or none.
        consecutive: no pair of another request between the first and the last.
        local, distant: bases of the origin and of the peer (M; R has ``local`` only).
        final: Bell label (x, z) in which pairs shall be handed up; None: whichever it is, as announced.
        circuit: the virtual circuit to use, "" for whichever serves (network layer only).
        test_share: share of the pairs that is measured to estimate the fidelity instead of being
            handed up, 0 <= share < 1 (network layer only); such pairs do not count in ``number``.
    """

    request: RequestId
    remote: NodeId
    number: int
    minimum_fidelity: float
    max_time: Duration
    purpose: int
    kind: Kind = "K"
    priority: int = 1
    store: bool = False
    atomic: bool = False
    consecutive: bool = False
    local: BasisChoice = BasisChoice()
    distant: BasisChoice = BasisChoice()
    final: tuple[int, int] | None = None
    circuit: CircuitId = CircuitId("")
    test_share: float = 0.0


class Cancel(Record, frozen=True):
    """Give up the rest of ``request``; answered by :class:`RequestEnded` or ERR, once."""

    request: RequestId


class Accept(Record, frozen=True):
    """Accept requests from ``remote`` with ``purpose`` (RECV)."""

    remote: NodeId
    purpose: int


class StopAccepting(Record, frozen=True):
    """Refuse requests from ``remote`` with ``purpose`` from now on (STOP_RECV)."""

    remote: NodeId
    purpose: int


class Ok(Record, frozen=True):
    """One pair is ready (OK_K). Both ends say it with the same ``pair`` and ``label``.

    Attributes:
        request: the request that it belongs to.
        pair: entanglement id.
        index: which pair of the request, from 1.
        origin: True at the end that sent CREATE.
        remote: the other end.
        purpose: as in CREATE.
        slot: where this end's half is; it passes to the holder above.
        label: Bell label (x, z) of the delivered pair.
        goodness: estimated fidelity to the Bell state ``label`` at ``goodness_at``.
        goodness_error: the true fidelity lies within goodness +- this.
        created_at: instant of the click at the station; of several pairs joined, the earliest.
        requested_at: instant of CREATE.
        correlators: estimated correlators (a, b, c) = (<XX>, -<YY>, <ZZ>) at ``goodness_at`` in the frame
            of ``label``, with (1 + a + b + c)/4 = goodness.
        kind: of the request; K, R (at the peer) or E.
        settled: False where the label holds only after something that the other end still does (a gate
            that brings the pair into the state that was asked for).
    """

    request: RequestId
    pair: PairId
    index: int
    origin: bool
    remote: NodeId
    purpose: int
    slot: SlotId
    label: tuple[int, int]
    goodness: float
    goodness_error: float
    goodness_at: Instant
    created_at: Instant
    requested_at: Instant
    correlators: tuple[float, float, float]
    kind: Kind = "K"
    settled: bool = True


class OkMeasured(Record, frozen=True):
    """One pair was made and this end's half measured (OK_M; OK_R at the origin).

    Fields as in :class:`Ok`; the pair is gone, ``goodness`` is that before the measurement.

    Attributes:
        basis: the basis that was drawn.
        outcome: the bit that was read, not corrected by ``label``.
    """

    request: RequestId
    pair: PairId
    index: int
    origin: bool
    remote: NodeId
    purpose: int
    label: tuple[int, int]
    goodness: float
    goodness_error: float
    created_at: Instant
    requested_at: Instant
    basis: str
    outcome: int
    kind: Kind = "M"


class Early(Record, frozen=True):
    """The half of a pair to come, handed up before anything is known of it (kind E).

    :class:`Ok` follows with the same ``index``, the pair's id and label, and no slot passing again; or
    :class:`Expired` for the pair named ``token``: the qubit is worthless then, and its user releases it.
    """

    request: RequestId
    token: PairId
    index: int
    origin: bool
    remote: NodeId
    purpose: int
    slot: SlotId


class Err(Record, frozen=True):
    """The request ends here without (all of) its pairs. Said once at each end that knew of the request."""

    request: RequestId
    code: ErrorCode
    origin: bool
    remote: NodeId
    purpose: int
    detail: str = ""


class Expired(Record, frozen=True):
    """Pairs announced for ``request`` are not valid (EXPIRE)."""

    request: RequestId
    remote: NodeId
    purpose: int
    pairs: tuple[PairId, ...]


class RequestEnded(Record, frozen=True):
    """Nothing more comes of ``request``: all was made, or its user cancelled the rest. Said once at each end.

    ``delivered`` of its pairs were announced here and not taken back since. It is less than what was asked
    for if pairs came to one end only, and were lost; a request that has none in the end is an :class:`Err`.
    """

    request: RequestId
    origin: bool
    remote: NodeId
    purpose: int
    delivered: int
    cancelled: bool = False


class FidelityEstimated(Record, frozen=True):
    """What test rounds say about the pairs of ``request`` (physics reference A7.3).

    Attributes:
        fidelity: 1 - 1.5 times the share of wrong outcomes.
        stderr: its standard error.
        rounds: how many pairs were measured.
    """

    request: RequestId
    origin: bool
    remote: NodeId
    purpose: int
    fidelity: float
    stderr: float
    rounds: int


PairAnswer = Ok | OkMeasured | Early | Err | Expired | RequestEnded | FidelityEstimated
"""Everything that the pair service says."""
