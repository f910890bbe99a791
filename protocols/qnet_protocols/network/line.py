"""A line: what a user of the network service asked for, over whichever circuit serves it.

Units
    Rates in 1/s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qnet.ids import CircuitId, LinkId, NodeId, RequestId
from qnet.layers.link import Create, ErrorCode
from qnet.plan import Route
from qnet_protocols.network.circuits import Entry, Refusal
from qnet_protocols.network.ends import Recent
from qnet_protocols.network.requests import Asked

Key = tuple[NodeId, int, float, bool]


@dataclass(slots=True)
class Line:
    """One line.

    Attributes:
        remote, purpose, minimum_fidelity, rate_hz, route, store: what is asked of it.
        opened: how its user calls it, None for an implied one.
        requests: not over, by id.
        forwarded: those that the tail end knows.
        entry: the present circuit.
        promise: the route that it takes.
        tried: routes tried since the last break.
        avoid: links over which it broke.
        why: of the last refusal or break.
    """

    remote: NodeId
    purpose: int
    minimum_fidelity: float
    rate_hz: float
    route: int | None
    store: bool
    opened: CircuitId | None
    requests: dict[RequestId, Asked] = field(default_factory=dict)
    forwarded: set[RequestId] = field(default_factory=set)
    entry: Entry | None = None
    promise: Route | None = None
    tried: set[int] = field(default_factory=set)
    avoid: set[LinkId] = field(default_factory=set)
    why: Refusal | None = None
    told_up: bool = False

    def unsuited(self, node: NodeId, route: Route) -> Refusal | None:
        """Why ``route`` cannot serve the line, or None; ``node`` is its head end."""
        path = "-".join(route.nodes)
        avoided = sorted(self.avoid.intersection(route.links))
        if avoided:
            return Refusal(
                ErrorCode.OTHER, node, f"route {path} must avoid {avoided[0]}, which broke"
            )
        if route.goodness < self.minimum_fidelity:
            return Refusal(
                ErrorCode.UNSUPP,
                node,
                f"minimum_fidelity must be <= {route.goodness:.6f}, the goodness of route {path}, got "
                f"{self.minimum_fidelity}",
            )
        if self.rate_hz > route.rate_hz:
            return Refusal(
                ErrorCode.NOTIME,
                node,
                f"rate_hz must be <= {route.rate_hz:.6g}, the rate of route {path}, got {self.rate_hz}",
            )
        return None


@dataclass(slots=True)
class Past:
    """A circuit that is gone: its line's remote and purpose, and what was announced over it."""

    remote: NodeId
    purpose: int
    recent: Recent
    asked: bool


def unfit(create: Create, line: Line | None) -> tuple[ErrorCode, str] | None:
    """Why a request cannot be served over the opened circuit that it names, or None."""
    if line is None:
        return ErrorCode.OTHER, f"circuit {create.circuit} must be open, it is not"
    for name, of_circuit, wanted in (
        ("remote", line.remote, create.remote),
        ("purpose", line.purpose, create.purpose),
    ):
        if of_circuit != wanted:
            return (
                ErrorCode.CREATE,
                f"{name} must be {of_circuit}, that of circuit {create.circuit}, got {wanted}",
            )
    promised = 1.0 if line.promise is None else line.promise.goodness
    if create.minimum_fidelity > promised:
        return (
            ErrorCode.UNSUPP,
            f"minimum_fidelity must be <= {promised:.6f}, that of {create.circuit}, got "
            + str(create.minimum_fidelity),
        )
    if create.store:
        return ErrorCode.UNSUPP, "store must be False on an opened circuit, got True"
    return None
