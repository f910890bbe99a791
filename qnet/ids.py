"""Identifiers: one type per thing that can be confused with another.

Identifiers are counters under a name, never random, so that a run is repeatable and a trace legible:
request ``alice/3``, attempt run ``alice/3.17``, pair ``alice-bob#42``, operation ``link:alice-bob/9``.
"""

from __future__ import annotations

from typing import NewType

NodeId = NewType("NodeId", str)
LinkId = NewType("LinkId", str)
SlotId = NewType("SlotId", int)
"""Index of a memory slot of one node, from 0. Slot ids never leave their node."""

RequestId = NewType("RequestId", str)
AttemptId = NewType("AttemptId", str)
PairId = NewType("PairId", str)
CircuitId = NewType("CircuitId", str)
"""A virtual circuit, named by its head end: ``alice>eve/3``."""
OpId = NewType("OpId", str)
"""Operation id, unique under its node; a repeat of a command with the same id returns the stored result."""


def pair_id(link: LinkId, sequence: int) -> PairId:
    """Entanglement id of the ``sequence``-th herald of ``link``; the same at both ends."""
    return PairId(f"{link}#{sequence}")


def attempt_id(request: RequestId, index: int) -> AttemptId:
    """Id of the attempt run that makes pair ``index`` (from 1) of ``request``."""
    return AttemptId(f"{request}.{index}")
