"""One circuit as a node knows it.

Units
    Instants in picoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from qnet.ids import CircuitId, LinkId, NodeId, RequestId
from qnet.layers.link import ErrorCode
from qnet.units import Instant
from qnet_protocols.network.desk import Hop
from qnet_protocols.network.head import Head
from qnet_protocols.network.messages import Install
from qnet_protocols.network.relay import Relay
from qnet_protocols.network.tail import Tail

START: Final = Instant(0)


@dataclass(slots=True)
class Entry:
    """One circuit at this node.

    Attributes:
        install: as it was sent or came; ``label`` is that of the upstream link.
        place: of this node on the path.
        up, down: its two sides; None beyond an end.
        part: what is done with pairs here.
        installed: the tail end has taken it in.
        store: pairs of the downstream link go to memory slots.
        active: its requests.
        link_requests: those of this node to its downstream link: the present one and the next.
        failures: of such requests since the last pair.
        heard: when that link brought the last pair, or was asked.
    """

    install: Install
    place: int
    up: Hop | None
    down: Hop | None
    part: Head | Relay | Tail
    store: bool
    installed: bool = False
    active: set[RequestId] = field(default_factory=set)
    link_requests: list[RequestId] = field(default_factory=list)
    failures: int = 0
    heard: Instant = START

    @property
    def links(self) -> tuple[LinkId, ...]:
        """Its links at this node."""
        return tuple(hop.link for hop in (self.up, self.down) if hop is not None)

    @property
    def name(self) -> CircuitId:
        """Its name."""
        return self.install.circuit


@dataclass(frozen=True)
class Refusal:
    """Why a circuit was not taken in."""

    code: ErrorCode
    where: NodeId
    detail: str
