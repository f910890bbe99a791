"""What happened on one link, whoever saw it: a bench or the trace of a run. The audit judges it.

Theory
    The rules of a layer are about what was asked, what was said and what is true. Both sources tell the
    first two alike. The truth differs: a bench knows which physical pair sits where; a run has density
    matrices, and its trace keeps the true fidelity of each delivered pair. What a source cannot tell is
    None here, and what rests on it is not reached.
Units
    Picoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from qnet.ids import NodeId, PairId, RequestId, SlotId
from qnet.layers.link import Create
from qnet.plan import LinkPlan
from qnet.testing.conformance.matter import Click
from qnet.testing.conformance.stage import MEMORY
from qnet.units import Instant

if TYPE_CHECKING:
    from qnet.testing.conformance.bench import Bench


class Whereabouts(NamedTuple):
    """Which physical pair a half belonged to when it was announced, and in which Bell state that was."""

    pair: int
    label: tuple[int, ...]
    at: int


class Truth(NamedTuple):
    """What the world's ledger found of a delivered pair: the claim that it was held against, and the truth."""

    pair: PairId
    goodness: float
    goodness_error: float
    fidelity: float


@dataclass
class Record:
    """What happened on one link.

    Attributes:
        plan: of the link.
        said: what the users of both ends heard, in order: (instant, end, indication).
        wanted: every CREATE that a user made.
        origin: who made it.
        restarted: ends that crashed.
        contract: requirements that whoever made the record checks at every step.
        in_memory: whether a slot of an end is one of its memory.
        left: what an end still holds or asks for, in words; None if the record did not end at rest.
        clicks: successes of the optics.
        whereabouts: of each announced half, None if nobody knows.
        corrected: Pauli gates on halves, as (end, physical pair); None if nobody knows.
        late: where a herald came for attempts that were given up, and when it had clicked.
        truths: true fidelities of delivered pairs.
        noisy: outcomes of measurements are wrong now and then.
    """

    plan: LinkPlan
    said: Sequence[tuple[int, NodeId, Any]]
    wanted: Mapping[RequestId, Create]
    origin: Mapping[RequestId, NodeId]
    restarted: Collection[NodeId]
    contract: Collection[str]
    in_memory: Callable[[NodeId, SlotId], bool]
    left: Callable[[NodeId], str] | None
    clicks: Sequence[Click]
    whereabouts: Mapping[tuple[NodeId, PairId], Whereabouts] | None = None
    corrected: Sequence[tuple[NodeId, int]] | None = None
    late: Sequence[tuple[NodeId, Instant]] = ()
    truths: Sequence[Truth] = ()
    noisy: bool = False
    _heard: dict[NodeId, list[Any]] = field(default_factory=dict)

    @property
    def ends(self) -> tuple[NodeId, NodeId]:
        """Both ends."""
        return self.plan.ends

    def other(self, node: NodeId) -> NodeId:
        """The other end."""
        return self.ends[1 - self.ends.index(node)]

    def heard(self, node: NodeId, kind: type[Any] | tuple[type[Any], ...] = object) -> list[Any]:
        """What the user of ``node`` was told, in order."""
        if not self._heard:
            for _, who, what in self.said:
                self._heard.setdefault(who, []).append(what)
        return [what for what in self._heard.get(node, ()) if isinstance(what, kind)]


def of_bench(bench: Bench, contract: Collection[str]) -> Record:
    """What a bench has seen so far."""

    def left(node: NodeId) -> str:
        held = {slot: who for slot, who in bench.nodes[node].slots.items() if who}
        tokens = [want.token for want in bench.nodes[node].waiting]
        return f"{node} still holds {held}, still asks for {tokens}" if held or tokens else ""

    return Record(
        plan=bench.plan,
        said=bench.said,
        wanted=bench.wanted,
        origin={request: node for node, request in bench.created},
        restarted=bench.restarted,
        contract=contract,
        in_memory=lambda _node, slot: slot >= MEMORY,
        left=left,
        clicks=bench.matter.clicks,
        whereabouts={key: Whereabouts(*found) for key, found in bench.truth.items()},
        corrected=bench.matter.corrected,
        late=bench.late,
    )
