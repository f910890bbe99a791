"""Notes: what a node tells the world's ledger, out of band, when the link layer speaks to its user."""

from __future__ import annotations

from typing import Any

from qnet.ids import LinkId, NodeId, pair_id
from qnet.layers.link import Err, Expired, Ok, RequestEnded
from qnet.wire.control import Delivered, ExpiryNote, Output, RequestNote


class Notes:
    """Turns indications of one node's link layer into notes.

    Args:
        links: link by neighbour.
    """

    def __init__(self, links: dict[NodeId, LinkId]) -> None:
        self._links = links

    def __call__(self, indication: Any) -> list[Output]:
        """The notes of one indication."""
        match indication:
            case Ok():
                return [_delivered(indication)]
            case Expired(request, remote, _, low, high):
                link = self._links[remote]
                pairs = tuple(pair_id(link, number) for number in range(low, high + 1))
                return [ExpiryNote(pairs, request)]
            case Err() | RequestEnded():
                if not indication.origin:
                    return []
                outcome = indication.code.name if isinstance(indication, Err) else "ended"
                return [RequestNote(indication.request, indication.remote, 0, outcome)]
            case _:
                return []


def _delivered(ok: Ok) -> Delivered:
    return Delivered(
        pair=ok.pair,
        request=ok.request,
        index=ok.index,
        origin=ok.origin,
        remote=ok.remote,
        slot=ok.slot,
        label=ok.label,
        goodness=ok.goodness,
        goodness_error=ok.goodness_error,
        requested_at=ok.requested_at,
        created_at=ok.created_at,
    )
