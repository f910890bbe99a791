"""Deliver pairs and give them back at once: what a network offers, without what anybody does with it.

The world's ledger measures rate, latency and true fidelity of every pair, so this application only
asks, waits and releases. Its own result is what the requester saw: how many pairs, and the claimed
fidelity.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from qnet.runtime.session import LONGEST_S, RequestFailed, Session, Via
from qnet.seams import App


class DeliverParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``deliver``.

    Attributes:
        from_node: who asks.
        to_node: who is asked; any node that a path of links reaches.
        pairs: how many pairs, >= 1.
        minimum_fidelity: lowest acceptable claimed fidelity, 0..1.
        within_s: simulated seconds for all pairs, at most a thousand hours; 0 = no limit.
        purpose: port number that both sides use, below 65536.
        via: "network": over a path through other nodes even if a link joins the two, e.g. because the
            link cannot reach ``minimum_fidelity``; None: neighbours use their link.
    """

    from_node: str = "alice"
    to_node: str = "bob"
    pairs: Annotated[int, msgspec.Meta(ge=1)] = 1000
    minimum_fidelity: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.0
    within_s: Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_S)] = 0.0
    purpose: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)] = 0
    via: Via | None = None


class DeliverResult(msgspec.Struct, frozen=True):
    """What the requester saw. ``error``: why it got less than it asked for, "" if it did not."""

    delivered: int
    mean_goodness: float | None
    error: str


async def requester(session: Session) -> DeliverResult:
    """Ask for the pairs and release each as it comes."""
    wanted: DeliverParameters = session.parameters
    claims: list[float] = []
    error = ""
    stream = session.request(
        to=wanted.to_node,
        pairs=wanted.pairs,
        minimum_fidelity=wanted.minimum_fidelity,
        within_s=wanted.within_s,
        purpose=wanted.purpose,
        via=wanted.via,
    )
    try:
        async with stream as pairs:
            async for pair in pairs:
                claims.append(pair.goodness)
                pair.release()
    except RequestFailed as failed:
        error = str(failed)
    mean = math.fsum(claims) / len(claims) if claims else None
    return DeliverResult(len(claims), mean, error)


async def provider(session: Session) -> int:
    """Accept one request and release each pair as it comes; the number of pairs seen.

    A request that the requester's own link layer refuses never reaches this side; the run then ends
    without this function.
    """
    wanted: DeliverParameters = session.parameters
    seen = 0
    stream = session.accept(from_=wanted.from_node, purpose=wanted.purpose, via=wanted.via)
    async with stream as pairs:
        async for pair in pairs:
            seen += 1
            pair.release()
    return seen


APP = App(
    name="deliver",
    title="deliver pairs between two nodes and give them back",
    roles={"requester": requester, "provider": provider},
    place={"requester": "from_node", "provider": "to_node"},
    parameters=DeliverParameters,
)
