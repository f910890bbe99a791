"""A request that is being served, and the states of its present step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from qnet.ids import CircuitId, NodeId, OpId, PairId, RequestId
from qnet.layers.link import BasisChoice, Kind
from qnet.machine import Record
from qnet.units import Duration, Instant
from qnet_protocols.purification.holdings import Held
from qnet_protocols.purification.messages import Bits, End, Step

GONE_KEPT: Final = 1024
"""Dropped pairs remembered per request: the peer may name one once more, or it may still arrive."""

NO_TIME: Final = Duration(0)


class Terms(Record, frozen=True):
    """What is wanted. Fields as in CREATE; ``basis`` is that of this end.

    Attributes:
        deadline: at the origin; None for no limit, and at the peer, which the origin tells.
    """

    request: RequestId
    origin: bool
    remote: NodeId
    number: int
    minimum_fidelity: float
    requested_at: Instant
    purpose: int
    kind: Kind
    basis: BasisChoice
    final: tuple[int, int] | None
    deadline: Instant | None = None
    priority: int = 1
    store: bool = False
    circuit: CircuitId = CircuitId("")


class Joint(Record, frozen=True):
    """A step under way at this end.

    Attributes:
        step: its number.
        index: which pair of the request the kept pair becomes if it is handed up.
        inputs: the pairs, the kept one first.
        turns: rotations of the twirl.
        started_at: start of this end's program.
    """

    step: int
    index: int
    inputs: tuple[Held, ...]
    turns: tuple[int, ...]
    started_at: Instant


class Drawing(Record, frozen=True):
    """Origin: the rotations of the twirl are being drawn."""

    op: OpId
    inputs: tuple[Held, ...]


class Reading(Record, frozen=True):
    """The program of this end runs. ``void``: one of the pairs was dropped meanwhile."""

    op: OpId
    joint: Joint
    void: bool = False


class AwaitingVerdict(Record, frozen=True):
    """Origin: all is read; the peer decides. ``void``: what it has kept is dropped and freed here."""

    joint: Joint
    bits: tuple[int, ...]
    void: bool = False


class Missing(Record, frozen=True):
    """Peer: the origin has named pairs that have not all arrived here."""

    named: Step
    since: Instant


class AwaitingBits(Record, frozen=True):
    """Peer: all is read here; the origin's bits are to come."""

    joint: Joint
    bits: tuple[int, ...]


Joining = Drawing | Reading | AwaitingVerdict | Missing | AwaitingBits
"""State of the present step."""


class Output(Record, frozen=True):
    """A purified pair that is decided upon, before it is announced here."""

    held: Held
    index: int
    step: int


class RequestState(Record, frozen=True):
    """Snapshot of one request, for traces.

    Attributes:
        phase: of the present step, or "agreeing", "collecting", "finishing", "ending".
        steps: steps decided upon so far.
        successes: those that succeeded.
        delivered: purified pairs handed up and valid.
    """

    request: RequestId
    origin: bool
    phase: str
    held: tuple[PairId, ...]
    steps: int
    successes: int
    delivered: int


class PurifierState(Record, frozen=True):
    """Snapshot of the machine.

    Attributes:
        requests: open ones, oldest first.
        steps: steps decided upon, of all requests so far.
        successes: those that succeeded.
        dropped: pairs that were freed for another reason than a step that failed.
    """

    requests: tuple[RequestState, ...]
    steps: int
    successes: int
    dropped: int


@dataclass
class Work:
    """A request that is being served.

    Attributes:
        agreed: the peer has said so (always, at the peer).
        held: pairs in hand outside of the present step, oldest first.
        gone: pairs that are not valid any more.
        joining: state of the present step.
        step: number of the present or last step.
        settled: last step whose verdict is known here.
        finishing: purified pairs on which a last program runs, by operation.
        served: (origin) steps that were to hand a pair up, the index of the latest such pair: one that is void,
            here or at the peer, is not made again, since the peer may have announced it.
        delivered: purified pairs handed up here and valid.
        outstanding: (origin) raw pairs still to come, by request below.
        asked: (origin) requests below so far.
        checked: (origin) the claim of the first raw pair was found good enough.
        early: (peer) the origin's bits, which came before they were needed.
        named: (peer) the step that the origin is in.
        transit: (peer) time of travel of the latest message of the origin.
        ending: (peer) the origin has ended the request; last programs still run here.
    """

    terms: Terms
    agreed: bool
    held: dict[PairId, Held] = field(default_factory=dict)
    gone: dict[PairId, None] = field(default_factory=dict)
    joining: Joining | None = None
    step: int = 0
    settled: int = 0
    steps: int = 0
    successes: int = 0
    finishing: dict[OpId, Output] = field(default_factory=dict)
    served: int = 0
    delivered: int = 0
    outstanding: dict[RequestId, int] = field(default_factory=dict)
    asked: int = 0
    checked: bool = False
    early: Bits | None = None
    named: Step | None = None
    transit: Duration = NO_TIME
    ending: End | None = None

    def forget(self, pair: PairId) -> None:
        """Remember that ``pair`` is not valid."""
        self.gone[pair] = None
        if len(self.gone) > GONE_KEPT:
            del self.gone[next(iter(self.gone))]

    @property
    def inputs(self) -> tuple[Held, ...]:
        """The pairs of the present step that have left ``held``."""
        match self.joining:
            case Drawing(inputs=inputs):
                return inputs
            case Reading(joint=joint) | AwaitingVerdict(joint=joint) | AwaitingBits(joint=joint):
                return joint.inputs
            case _:
                return ()

    def snapshot(self) -> RequestState:
        """For traces."""
        if self.ending is not None:
            phase = "ending"
        elif self.joining is not None:
            phase = type(self.joining).__name__
        elif self.finishing:
            phase = "finishing"
        else:
            phase = "collecting" if self.agreed else "agreeing"
        terms = self.terms
        held = tuple(one.pair for one in (*self.inputs, *self.held.values()))
        return RequestState(
            terms.request, terms.origin, phase, held, self.steps, self.successes, self.delivered
        )
