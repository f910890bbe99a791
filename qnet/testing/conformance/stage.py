"""The link on which protocols are tested: two ends, a station between them, an ideal processor.

Assumptions and validity
    Arms and gates of the two ends differ, so that an end that uses the other one's figures is found.
Units
    Picoseconds.
"""

from __future__ import annotations

from typing import Any, Final

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.ids import LinkId, NodeId
from qnet.plan import Estimate, LinkOptics, LinkPlan
from qnet.seams import EndContext
from qnet.testing.conformance.faults import ALICE, BOB, STATION
from qnet.units import Duration

LINK: Final = LinkId("alice-bob")
NANOSECOND: Final = 1_000
FLIGHTS: Final = (3_000 * NANOSECOND, 5_000 * NANOSECOND)
CYCLE: Final = 20_000 * NANOSECOND
SCHEME: Final = "double-click"
"""Heralding scheme below the protocol under test, by name."""

MEMORY: Final = 100
"""Number of the first memory slot of an end."""
PURPOSE: Final = 7
"""What the users of both ends accept."""

PLATFORM: Final = Platform(
    species="ideal",
    communication_slots=2,
    memory_slots=4,
    communication=Coherence(),
    memory=Coherence(),
    gate_1q=Operation(0.2e-6),
    gate_2q=Operation(1e-6),
    initialise=Operation(0.5e-6),
    readout=Readout(3e-6),
    emission=Emission(1.55e-6, 1.0, 20e-6),
)
"""Processor of both ends: perfect qubits, gates that take their time."""


def link_plan(**changes: Any) -> LinkPlan:
    """A link whose arms, gates and rates differ from each other."""
    fields: dict[str, Any] = {
        "name": LINK,
        "ends": (ALICE, BOB),
        "station": STATION,
        "scheme": SCHEME,
        "scheme_parameters": {},
        "protocol": "egp",
        "protocol_parameters": {},
        "optics": LinkOptics(0.5, 0.4),
        "flights": FLIGHTS,
        "direct": Duration(sum(FLIGHTS)),
        "cycle": Duration(CYCLE),
        "preparation": Duration(1_000 * NANOSECOND),
        "correction": (200 * NANOSECOND, 300 * NANOSECOND),
        "estimate": Estimate(0.2, Duration(CYCLE), 0.95, 0.94, 0.005, 1e4, (0.92, 0.92, 0.92)),
    }
    return LinkPlan(**{**fields, **changes})


def context(node: NodeId, **changes: Any) -> EndContext:
    """What the machines at ``node`` know."""
    return EndContext(node, link_plan(**changes))


SHAPES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"flights": (10_000, 10_000), "direct": 20_000, "preparation": 1_000_000},
    {"flights": (60_000_000, 5_000_000), "direct": 65_000_000, "cycle": 80_000_000},
    {"flights": (1, 1), "direct": 2, "preparation": 0, "correction": (0, 0)},
)
"""Geometries that random cases run on: kilometres, metres, unlike long arms, next to no distance."""


def other(node: NodeId) -> NodeId:
    """The other end."""
    return BOB if node == ALICE else ALICE
