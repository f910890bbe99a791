"""The truth ledger: requests and deliveries as the nodes announced them, held against what is true.

No node ever sees it. It is the out-of-band book from which the summary is made, and it stops a run whose
two ends announce different facts about one pair.

Figures
    requested = delivered + failed + expired once every request has ended.
    *rate* is delivered pairs over the time from the first request to the last delivery.
    *latency* of a pair is the time waited for it: from the later of its request and the preceding delivery
    of the same request to its own delivery.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from qnet.errors import QnetError, WireError
from qnet.ids import LinkId, NodeId, PairId, RequestId, SlotId
from qnet.units import Instant, seconds
from qnet.wire.codes import Refusal
from qnet.wire.control import Delivered, RequestNote
from qnet.world.recorder import DeliveredPair


class AgreementBroken(QnetError):
    """The two ends of a pair announced different facts about it. The run ends: nothing after it counts."""


class PairDelivered(msgspec.Struct, frozen=True, tag=True, tag_field="type"):
    """For the truth trace: both ends have announced the pair."""

    pair: PairId
    request: RequestId
    label: tuple[int, int]
    goodness: float
    true_fidelity: float | None


@dataclass(slots=True)
class _Flow:
    """Requests from one node to another."""

    requested: int = 0
    delivered: int = 0
    failed: int = 0
    expired: int = 0
    first_request: Instant | None = None
    last_delivery: int = 0
    latencies_s: list[float] = field(default_factory=list)
    fidelities: list[float] = field(default_factory=list)
    claims: list[float] = field(default_factory=list)
    outside_error: int = 0


class Ledger:
    """Collects the notes of the nodes.

    Args:
        fidelity: true fidelity of a pair: (end, slot), (end, slot), label -> value, or None if a half has
            been used.
        link_of: name of the link between two nodes.
        delivered: told of every completed row.
    """

    def __init__(
        self,
        *,
        fidelity: Callable[
            [tuple[NodeId, SlotId], tuple[NodeId, SlotId], tuple[int, int]], float | None
        ],
        link_of: Callable[[NodeId, NodeId], LinkId],
        delivered: Callable[[DeliveredPair, PairDelivered], None],
    ) -> None:
        self._fidelity = fidelity
        self._link_of = link_of
        self._delivered = delivered
        self._half: dict[PairId, tuple[NodeId, Delivered]] = {}
        self._flows: dict[tuple[NodeId, NodeId], _Flow] = {}
        self._last: dict[RequestId, Instant] = {}
        self._open: dict[RequestId, RequestNote] = {}
        self._settled: dict[RequestId, int] = {}
        self.pairs = 0
        self.requested = 0

    @property
    def open_requests(self) -> list[str]:
        """Ids of requests that have not ended."""
        return sorted(self._open)

    @property
    def half_announced(self) -> list[str]:
        """Ids of pairs that one end only has announced so far."""
        return sorted(self._half)

    def request(self, node: NodeId, note: RequestNote, now: Instant) -> None:
        """A request was opened or ended at its origin."""
        flow = self._flows.setdefault((node, note.remote), _Flow())
        if note.outcome == "open":
            self._open[note.request] = note
            flow.requested += note.number
            self.requested += note.number
            if flow.first_request is None:
                flow.first_request = now
            return
        opened = self._open.pop(note.request, None)
        self._last.pop(note.request, None)
        if opened is not None:
            flow.failed += max(0, opened.number - self._settled.pop(note.request, 0))

    def expired(self, pairs: tuple[PairId, ...]) -> None:
        """Pairs that one end announced are not valid: the other half was lost or given up."""
        for pair in pairs:
            half = self._half.pop(pair, None)
            if half is not None:
                node, note = half
                origin, peer = (node, note.remote) if note.origin else (note.remote, node)
                flow = self._flows.setdefault((origin, peer), _Flow())
                flow.expired += 1
                self._settle(note.request, flow)

    def announced(self, node: NodeId, note: Delivered, now: Instant) -> None:
        """One end has handed up its half.

        Raises:
            AgreementBroken: the other end said something else about this pair.
            WireError: the label is none.
        """
        if not set(note.label) <= {0, 1}:
            raise WireError(
                f"Bell label of pair {note.pair!r} must be two bits, got {note.label}",
                code=Refusal.BAD_BODY,
                peer=node,
            )
        other = self._half.pop(note.pair, None)
        if other is None:
            self._half[note.pair] = (node, note)
            return
        first, said = other
        self._compare(note.pair, first, said, node, note)
        origin, peer, mine = (node, first, note) if note.origin else (first, node, said)
        truth = self._fidelity((first, said.slot), (node, note.slot), note.label)
        if truth is not None:
            truth = round(truth, 12)  # the last bits of linear algebra are nobody's business
        row = DeliveredPair(
            pair=note.pair,
            link=self._link_of(origin, peer),
            request=note.request,
            index=note.index,
            origin=origin,
            peer=peer,
            label=f"{note.label[0]}{note.label[1]}",
            requested_at_ps=note.requested_at,
            created_at_ps=note.created_at,
            delivered_at_ps=now,
            goodness=mine.goodness,
            goodness_error=mine.goodness_error,
            true_fidelity=truth,
        )
        self._count(row)
        self._delivered(
            row, PairDelivered(note.pair, note.request, note.label, mine.goodness, truth)
        )

    @staticmethod
    def _compare(
        pair: PairId, first: NodeId, said: Delivered, second: NodeId, says: Delivered
    ) -> None:
        for name in ("request", "index", "label", "created_at"):
            one, two = getattr(said, name), getattr(says, name)
            if one != two:
                raise AgreementBroken(
                    f"both ends must announce the same {name} for pair {pair}: {first} said {one}, "
                    f"{second} says {two}"
                )
        if said.origin == says.origin or said.remote != second or says.remote != first:
            raise AgreementBroken(
                f"pair {pair} must have one origin and two ends that name each other: {first} said origin "
                f"{said.origin}, remote {said.remote}; {second} says origin {says.origin}, remote {says.remote}"
            )

    def _settle(self, request: RequestId, flow: _Flow) -> None:
        """One pair of a request was delivered or expired; if the request is over, it is no longer failed."""
        if request in self._open:
            self._settled[request] = self._settled.get(request, 0) + 1
        else:
            flow.failed = max(0, flow.failed - 1)

    def _count(self, row: DeliveredPair) -> None:
        flow = self._flows.setdefault((row.origin, row.peer), _Flow())
        self.pairs += 1
        flow.delivered += 1
        self._settle(row.request, flow)
        flow.last_delivery = row.delivered_at_ps
        waited_from = max(row.requested_at_ps, self._last.get(row.request, Instant(0)))
        if row.request in self._open:
            self._last[row.request] = row.delivered_at_ps
        flow.latencies_s.append(seconds(row.delivered_at_ps - waited_from))
        flow.claims.append(row.goodness)
        if row.true_fidelity is not None:
            flow.fidelities.append(row.true_fidelity)
            if abs(row.true_fidelity - row.goodness) > row.goodness_error:
                flow.outside_error += 1

    def summary(self) -> list[dict[str, Any]]:
        """The ``requests`` list of ``summary.json``."""
        return [
            _flow_summary(source, target, flow)
            for (source, target), flow in sorted(self._flows.items())
        ]


def _flow_summary(source: NodeId, target: NodeId, flow: _Flow) -> dict[str, Any]:
    span_s = seconds(flow.last_delivery - (flow.first_request or 0))
    waits = sorted(flow.latencies_s)
    count = len(flow.fidelities)
    mean = math.fsum(flow.fidelities) / count if count else None
    spread = None
    if mean is not None and count > 1:
        spread = math.sqrt(
            math.fsum((f - mean) ** 2 for f in flow.fidelities) / (count - 1) / count
        )
    return {
        "from": source,
        "to": target,
        "requested": flow.requested,
        "delivered": flow.delivered,
        "failed": flow.failed,
        "expired": flow.expired,
        "rate_hz": flow.delivered / span_s if flow.delivered and span_s > 0 else 0.0,
        "latency_s": {
            "mean": math.fsum(waits) / len(waits) if waits else None,
            "p50": _quantile(waits, 0.50),
            "p95": _quantile(waits, 0.95),
        },
        "fidelity": {
            "mean": mean,
            "stderr": spread,
            "min": min(flow.fidelities) if count else None,
            "claimed": math.fsum(flow.claims) / len(flow.claims) if flow.claims else None,
            "outside_stated_error": flow.outside_error,
        },
    }


def _quantile(ordered: list[float], share: float) -> float | None:
    """Nearest-rank quantile of an ordered list."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
