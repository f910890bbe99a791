"""What the link protocol one-by-one says to its user: a pair, an error, the end.

A pair is claimed at the estimate of the link, which holds at the common instant of delivery.
"""

from __future__ import annotations

from qnet.ids import NodeId
from qnet.layers.link import Err, ErrorCode, Ok, RequestEnded
from qnet.plan import Estimate
from qnet_protocols.link.one_by_one.states import Open, Pair, Turn


def ok(request: Open, turn: Turn, pair: Pair, remote: NodeId, estimate: Estimate) -> Ok:
    """The pair that was made in ``turn``, delivered."""
    return Ok(
        request=request.request,
        pair=pair.name,
        index=turn.index,
        origin=request.origin,
        remote=remote,
        purpose=request.purpose,
        slot=pair.slot,
        label=request.final,
        goodness=estimate.goodness,
        goodness_error=estimate.goodness_error,
        goodness_at=pair.deliver_at,
        created_at=pair.clicked_at,
        requested_at=request.requested_at,
        correlators=estimate.correlators,
    )


def error(request: Open, remote: NodeId, code: ErrorCode, text: str) -> Err:
    """``request`` ends without (all of) its pairs."""
    return Err(request.request, code, request.origin, remote, request.purpose, text)


def ended(request: Open, remote: NodeId, *, cancelled: bool) -> Err | RequestEnded:
    """Nothing more comes of ``request``."""
    name, origin, purpose = request.request, request.origin, request.purpose
    if not (request.delivered or cancelled):
        text = f"none of {request.number} pairs came to both ends"
        return error(request, remote, ErrorCode.EXPIRE, text)
    return RequestEnded(name, origin, remote, purpose, request.delivered, cancelled)
