"""Notes: what a node tells the world's ledger, out of band, when a layer speaks to the application."""

from __future__ import annotations

from typing import Any

from qnet.layers.link import Err, Expired, Ok, OkMeasured, RequestEnded
from qnet.wire.control import Delivered, ExpiryNote, MeasuredNote, Output, RequestNote


def notes(indication: Any) -> list[Output]:
    """The notes of one indication."""
    match indication:
        case Ok():
            return [_delivered(indication)]
        case OkMeasured():
            return [_measured(indication)]
        case Expired(request, _, _, pairs):
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
        settled=ok.settled,
    )


def _measured(ok: OkMeasured) -> MeasuredNote:
    return MeasuredNote(
        pair=ok.pair,
        request=ok.request,
        index=ok.index,
        origin=ok.origin,
        remote=ok.remote,
        label=ok.label,
        goodness=ok.goodness,
        goodness_error=ok.goodness_error,
        requested_at=ok.requested_at,
        created_at=ok.created_at,
        basis=ok.basis,
        outcome=ok.outcome,
    )
