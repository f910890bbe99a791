"""The truth ledger: requests and deliveries as the nodes announced them, held against what is true.

No node ever sees it. It is the out-of-band book from which the summary is made, and it stops a run whose
two ends announce different facts about one pair.

Truth
    The true fidelity of a pair is taken when an end first announces it with a label that holds already,
    from the announced slot and the one qubit at the named peer that is entangled with it; the claim of
    that end is held against it. A half that was used before the announcement leaves no truth.

Figures
    requested = delivered + failed + expired once every request has ended.
    *rate* is delivered pairs over the time from the first request to the last delivery.
    *latency* of a pair is the time waited for it: from the later of its request and the preceding delivery
    of the same request to its own delivery.
    *wrong* outcomes of measured pairs, both halves read in the same Pauli basis: those that differ from
    what an ideal pair with the announced label gives (e_X, e_Y, e_Z of physics reference A7.2).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from qnet.errors import QnetError, WireError
from qnet.ids import LinkId, NodeId, PairId, RequestId, SlotId
from qnet.units import Instant, seconds
from qnet.wire.codes import Refusal
from qnet.wire.control import Delivered, MeasuredNote, RequestNote
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


_BLOCK_BYTES: Final = 512


def _floats() -> array[float]:
    return array("d")


@dataclass(slots=True)
class _Flow:
    """Requests from one node to another."""

    requested: int = 0
    delivered: int = 0
    failed: int = 0
    expired: int = 0
    first_request: Instant | None = None
    last_delivery: int = 0
    latencies_s: array[float] = field(default_factory=_floats)
    fidelities: array[float] = field(default_factory=_floats)
    claims: array[float] = field(default_factory=_floats)
    outside_error: int = 0
    measured: dict[str, list[int]] = field(default_factory=dict)
    """Basis -> pairs that both ends read in it, and how many of the outcomes were wrong."""


@dataclass(frozen=True, slots=True)
class _Half:
    """What one end has announced; ``truth`` if ``looked``: the label held already."""

    node: NodeId
    note: Delivered | MeasuredNote
    looked: bool
    truth: float | None


class _Seen:
    """Pair ids that are settled: "name#number" as one bit each, others as they are."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[str, int], bytearray] = {}
        self._others: set[str] = set()

    def __contains__(self, pair: str) -> bool:
        key, byte, bit = self._place(pair)
        if key is None:
            return pair in self._others
        block = self._blocks.get(key)
        return block is not None and bool(block[byte] & bit)

    def add(self, pair: str) -> None:
        key, byte, bit = self._place(pair)
        if key is None:
            self._others.add(pair)
            return
        block = self._blocks.setdefault(key, bytearray(_BLOCK_BYTES))
        block[byte] |= bit

    @staticmethod
    def _place(pair: str) -> tuple[tuple[str, int] | None, int, int]:
        name, _, number = pair.rpartition("#")
        if not (number.isascii() and number.isdigit()) or str(int(number)) != number:
            return None, 0, 0
        block, rest = divmod(int(number), 8 * _BLOCK_BYTES)
        return (name, block), rest >> 3, 1 << (rest & 7)


class Ledger:
    """Collects the notes of the nodes.

    Args:
        fidelity: true fidelity of the qubit in (end, slot) and its partner at the named peer to a label, or
            None if a half has been used.
        link_of: name of the link between two nodes.
        delivered: told of every completed row.
    """

    def __init__(
        self,
        *,
        fidelity: Callable[[NodeId, SlotId, NodeId, tuple[int, int]], float | None],
        link_of: Callable[[NodeId, NodeId], LinkId],
        delivered: Callable[[DeliveredPair, PairDelivered], None],
    ) -> None:
        self._fidelity = fidelity
        self._link_of = link_of
        self._delivered = delivered
        self._half: dict[PairId, _Half] = {}
        self._seen = _Seen()
        self._flows: dict[tuple[NodeId, NodeId], _Flow] = {}
        self._last: dict[RequestId, Instant] = {}
        self._open: dict[RequestId, tuple[NodeId, RequestNote]] = {}
        self._settled: dict[RequestId, int] = {}
        self.pairs = 0
        self.requested = 0

    @property
    def open_requests(self) -> list[str]:
        """Ids of requests that have not ended."""
        return sorted(self._open)

    @property
    def delivered(self) -> dict[tuple[NodeId, NodeId], int]:
        """Pairs of each flow, (origin, peer), so far."""
        return {ends: flow.delivered for ends, flow in self._flows.items()}

    @property
    def half_announced(self) -> list[str]:
        """Ids of pairs that one end only has announced so far."""
        return sorted(self._half)

    def request(self, node: NodeId, note: RequestNote, now: Instant) -> None:
        """A request was opened or ended at its origin."""
        flow = self._flows.setdefault((node, note.remote), _Flow())
        if note.outcome == "open":
            self._open[note.request] = (node, note)
            flow.requested += note.number
            self.requested += note.number
            if flow.first_request is None:
                flow.first_request = now
            return
        self._end(note.request)

    def crashed(self, node: NodeId) -> None:
        """Requests that ``node`` had opened are over: nobody waits for them any more."""
        for request in [request for request, (origin, _) in self._open.items() if origin == node]:
            self._end(request)

    def _end(self, request: RequestId) -> None:
        opened = self._open.pop(request, None)
        self._last.pop(request, None)
        if opened is not None:
            node, note = opened
            flow = self._flows[node, note.remote]
            flow.failed += max(0, note.number - self._settled.pop(request, 0))

    def expired(self, pairs: tuple[PairId, ...]) -> None:
        """Pairs that one end announced are not valid: the other half was lost or given up."""
        for pair in pairs:
            half = self._half.pop(pair, None)
            if half is not None:
                node, note = half.node, half.note
                origin, peer = (node, note.remote) if note.origin else (note.remote, node)
                flow = self._flows.setdefault((origin, peer), _Flow())
                flow.expired += 1
                self._settle(note.request, flow)

    def announced(self, node: NodeId, note: Delivered | MeasuredNote, now: Instant) -> None:
        """One end has handed up its half, or what it read from it.

        Raises:
            AgreementBroken: the other end said something else about this pair, or this end has
                announced it before.
            WireError: the label is none.
        """
        if not set(note.label) <= {0, 1}:
            raise WireError(
                f"Bell label of pair {note.pair!r} must be two bits, got {note.label}",
                code=Refusal.BAD_BODY,
                peer=node,
            )
        other = self._half.get(note.pair)
        if note.pair in self._seen or (other is not None and other.node == node):
            raise AgreementBroken(
                f"a pair must be announced once by each end, {node} announces {note.pair} again"
            )
        if other is None or not other.looked:
            half = self._look(node, note)
        else:
            half = _Half(node, note, looked=False, truth=None)
        if other is None:
            self._half[note.pair] = half
            return
        self._compare(note.pair, other.node, other.note, node, note)
        del self._half[note.pair]
        self._seen.add(note.pair)
        self._complete(other, half, now)

    def _look(self, node: NodeId, note: Delivered | MeasuredNote) -> _Half:
        if not isinstance(note, Delivered) or not note.settled:
            return _Half(node, note, looked=False, truth=None)
        truth = self._fidelity(node, note.slot, note.remote, note.label)
        if truth is not None:
            truth = round(truth, 12)  # the last bits of linear algebra are nobody's business
        return _Half(node, note, looked=True, truth=truth)

    def _complete(self, first: _Half, second: _Half, now: Instant) -> None:
        """Both ends have announced a pair."""
        origin, peer = (first, second) if first.note.origin else (second, first)
        looked = next((half for half in (first, second) if half.looked), origin)
        note, claim = origin.note, looked.note
        row = DeliveredPair(
            pair=note.pair,
            link=self._link_of(origin.node, peer.node),
            request=note.request,
            index=note.index,
            origin=origin.node,
            peer=peer.node,
            label=f"{note.label[0]}{note.label[1]}",
            requested_at_ps=note.requested_at,
            created_at_ps=note.created_at,
            delivered_at_ps=now,
            goodness=claim.goodness,
            goodness_error=claim.goodness_error,
            true_fidelity=looked.truth,
        )
        flow = self._count(row)
        if isinstance(first.note, MeasuredNote) and isinstance(second.note, MeasuredNote):
            _count_outcomes(flow, first.note, second.note)
        self._delivered(
            row,
            PairDelivered(note.pair, note.request, note.label, claim.goodness, looked.truth),
        )

    @staticmethod
    def _compare(
        pair: PairId,
        first: NodeId,
        said: Delivered | MeasuredNote,
        second: NodeId,
        says: Delivered | MeasuredNote,
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

    def _count(self, row: DeliveredPair) -> _Flow:
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
        return flow

    def summary(self) -> list[dict[str, Any]]:
        """The ``requests`` list of ``summary.json``; ``open``: ids of requests that have not ended."""
        opened: dict[tuple[NodeId, NodeId], list[RequestId]] = {}
        for request, (node, note) in sorted(self._open.items()):
            opened.setdefault((node, note.remote), []).append(request)
        return [
            {**_flow_summary(*ends, flow), "open": opened.get(ends, [])}
            for ends, flow in sorted(self._flows.items())
        ]


def _count_outcomes(flow: _Flow, one: MeasuredNote, two: MeasuredNote) -> None:
    """Whether two halves read in the same Pauli basis gave what their label says.

    In Phi+ outcomes agree in X and Z and differ in Y; label bit x flips Z and Y, bit z flips X and Y.
    """
    x, z = one.label
    expected = {"X": z, "Y": 1 ^ x ^ z, "Z": x}.get(one.basis)
    if expected is None or one.basis != two.basis:
        return
    counts = flow.measured.setdefault(one.basis, [0, 0])
    counts[0] += 1
    counts[1] += (one.outcome ^ two.outcome) != expected


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
        "measured": {
            basis: {"pairs": pairs, "wrong": wrong, "error_rate": wrong / pairs}
            for basis, (pairs, wrong) in sorted(flow.measured.items())
        },
    }


def _quantile(ordered: list[float], share: float) -> float | None:
    """Nearest-rank quantile of an ordered list."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
