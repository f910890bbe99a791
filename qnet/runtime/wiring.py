"""Who stands above and below whom in a node, and whose request an indication is about.

A machine may have several users: the network layer and an application share a link. An indication goes to
the user that made the request which it names; at the peer end of a request, to the user that accepts its
(remote, purpose); where neither is known, to the only user above, or to the application.
"""

from __future__ import annotations

from typing import Any, Final

from qnet.errors import LocalProtocolError
from qnet.ids import NodeId
from qnet.layers.link import Accept, Create, Err, RequestEnded, StopAccepting
from qnet.layers.network import CircuitDown, OpenCircuit

APP: Final = "app"
REMEMBERED: Final = 1024
"""Ended requests per node whose user is still known: a pair of them may expire late."""


class Wiring:
    """The users of every machine of one node."""

    def __init__(self) -> None:
        self._below: dict[str, list[str]] = {}
        self._above: dict[str, list[str]] = {}
        self._owner: dict[tuple[str, str], str] = {}
        self._acceptor: dict[tuple[str, NodeId, int], str] = {}
        self._ended: dict[tuple[str, str], None] = {}

    def join(self, above: str, below: str) -> None:
        """``above`` uses ``below``."""
        self._below.setdefault(above, []).append(below)
        self._above.setdefault(below, []).append(above)

    def below(self, name: str, to: str) -> str:
        """The machine that a request of ``name`` is for.

        Raises:
            LocalProtocolError: no such machine is below, or none is named and there are several.
        """
        known = self._below.get(name, [])
        if to in known:
            return to
        if not to and len(known) == 1:
            return known[0]
        raise LocalProtocolError(
            f"a request of {name} must name one of the machines below it, {', '.join(known) or 'none'}, "
            f"got {to!r}"
        )

    def asked(self, user: str, machine: str, request: Any) -> None:
        """Remember whose request it is.

        Raises:
            LocalProtocolError: the purpose is accepted for another user already.
        """
        kind = type(request)
        if kind is Create:
            self._owner[machine, request.request] = user
        elif kind is OpenCircuit:
            self._owner[machine, request.circuit] = user
        elif kind is Accept:
            key = (machine, request.remote, request.purpose)
            if self._acceptor.setdefault(key, user) != user:
                raise LocalProtocolError(
                    f"purpose {request.purpose} of {request.remote} must be accepted by one user of {machine}, "
                    f"{self._acceptor[key]} does, got {user} too"
                )
        elif kind is StopAccepting:
            self._acceptor.pop((machine, request.remote, request.purpose), None)

    def above(self, name: str, indication: Any) -> str:
        """The user that an indication of ``name`` is for."""
        subject = getattr(indication, "request", None) or getattr(indication, "circuit", None)
        users = self._above.get(name, [])
        if subject is None:
            return users[0] if users else APP
        key = (name, subject)
        owner = self._owner.get(key)
        if owner is None:
            purpose = getattr(indication, "purpose", None)
            if purpose is not None:
                owner = self._acceptor.get((name, indication.remote, purpose))
            if owner is None:
                owner = users[0] if len(users) == 1 else APP
            self._owner[key] = owner
        if type(indication) in (Err, RequestEnded, CircuitDown):
            self._ended[key] = None
            if len(self._ended) > REMEMBERED:
                oldest = next(iter(self._ended))
                del self._ended[oldest]
                self._owner.pop(oldest, None)
        return owner
