"""How one step of a machine or an application stands in the trace."""

from __future__ import annotations

from typing import Any

import msgspec

from qnet.ids import NodeId
from qnet.machine import Send
from qnet.units import Instant


class TraceLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step as the trace keeps it; ``error`` if it was the last one of a run that failed."""

    at: Instant
    round: int
    node: NodeId
    machine: str
    event: Any
    effects: list[Any]
    state: Any
    error: str = ""


class _Sent(msgspec.Struct, frozen=True, tag="Send", tag_field="type"):
    """A ``Send`` as the trace shows it: with the kind of its message."""

    target: NodeId
    kind: str
    message: Any


def shown(effect: Any) -> Any:
    """An effect as the trace shows it: a message with its kind."""
    if type(effect) is Send:
        return _Sent(effect.target, effect.message.kind, effect.message)
    return effect
