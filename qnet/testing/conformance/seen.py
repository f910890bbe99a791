"""What a bench has seen: messages, what users were told, whether anything is still to come."""

from __future__ import annotations

from typing import Any

from qnet.ids import NodeId, PairId
from qnet.layers import link as service
from qnet.testing.conformance.parts import Event, Flight, Line, Node
from qnet.testing.conformance.post import Post


class Seen:
    """The record of a bench. ``said``: (instant, node, indication); ``lines``: all that happened, in words."""

    post: Post

    def __init__(self) -> None:
        self.nodes: dict[NodeId, Node] = {}
        self.said: list[tuple[int, NodeId, Any]] = []
        self.lines: list[Line] = []
        self._heap: list[Event] = []

    @property
    def sent(self) -> list[tuple[int, NodeId, NodeId, Any]]:
        """All messages: instant, source, target, message."""
        return self.post.sent

    @property
    def flights(self) -> list[Flight]:
        """All messages and their copies, for diagrams."""
        return self.post.flights

    @staticmethod
    def _due(node: Node) -> int | None:
        dues = [machine.next_deadline() for machine in node.machines.values()]
        return min((due for due in dues if due is not None), default=None)

    @property
    def at_rest(self) -> bool:
        """Nothing is under way and no deadline of a machine is due."""
        return not any(event.live for event in self._heap) and self.machines_rest

    @property
    def machines_rest(self) -> bool:
        """No deadline of a machine is due."""
        return all(self._due(node) is None for node in self.nodes.values())

    def heard(self, node: NodeId, kind: type[Any] | tuple[type[Any], ...] = object) -> list[Any]:
        """What the user of ``node`` was told, in order."""
        return [what for _, who, what in self.said if who == node and isinstance(what, kind)]

    def messages(self, kind: type[Any] | tuple[type[Any], ...]) -> list[Any]:
        """All messages of one kind that were sent."""
        return [message for *_, message in self.sent if isinstance(message, kind)]

    def announced(self, node: NodeId) -> dict[PairId, Any]:
        """Pairs announced at ``node`` and not declared expired."""
        oks = {ok.pair: ok for ok in self.heard(node, (service.Ok, service.OkMeasured))}
        for gone in self.heard(node, service.Expired):
            for pair in gone.pairs:
                oks.pop(pair, None)
        return oks
