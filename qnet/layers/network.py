"""Network service: virtual circuits, and the pair service between any two nodes (physics reference A2).

Pairs are asked for with :class:`qnet.layers.link.Create`, whose ``remote`` may be any node. A request
without a circuit is given one that lasts as long as its requests; :class:`OpenCircuit` opens one that
lasts until it is closed or breaks, and says beforehand what it will deliver.
"""

from __future__ import annotations

from qnet.ids import CircuitId, LinkId, NodeId
from qnet.layers.link import ErrorCode
from qnet.machine import Record


class OpenCircuit(Record, frozen=True):
    """Install a virtual circuit to ``remote``.

    Attributes:
        circuit: its id, given by the user; unique under the node's name.
        remote: the tail end.
        minimum_fidelity: lowest acceptable predicted fidelity, end to end.
        rate_hz: end-to-end pairs per second to reserve; 0: whatever is left.
        purpose: which application at the tail end, as in CREATE.
        route: index of the route to use, from 0, the best; None: the best that admits the circuit, and
            another one when it breaks.
    """

    circuit: CircuitId
    remote: NodeId
    minimum_fidelity: float
    rate_hz: float = 0.0
    purpose: int = 0
    route: int | None = None


class CloseCircuit(Record, frozen=True):
    """Take a circuit down. Its open requests end with ERR; answered by :class:`CircuitDown`."""

    circuit: CircuitId


class CircuitUp(Record, frozen=True):
    """The circuit is installed at every node of its path; said to its user at the head end.

    Attributes:
        nodes: the path, both ends included.
        links: its links, one fewer.
        goodness: predicted fidelity of its pairs at delivery.
        rate_hz: predicted rate, or the reserved one.
    """

    circuit: CircuitId
    remote: NodeId
    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    goodness: float
    rate_hz: float


class CircuitDown(Record, frozen=True):
    """The circuit is not (or no longer) there: refused, closed or broken. Said once, at the head end.

    Attributes:
        code: why; OTHER for a break, UNSUPP, NOTIME and NORES for refusals, REJECTED by the tail end.
        where: the node that refused it or saw it break.
        detail: the reason in words, "closed" if its user closed it.
    """

    circuit: CircuitId
    remote: NodeId
    code: ErrorCode
    where: NodeId
    detail: str


NetworkAnswer = CircuitUp | CircuitDown
"""What the network service says beyond the pair service."""
