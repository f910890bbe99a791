"""What one link can promise: its times, and which requests it takes.

Theory
    All times follow from the link's plan alone, so that both ends compute the same ones. A photon
    that leaves the longer arm at e clicks at e + longer flight (the other one leaves later and meets
    it); its pair is delivered at both ends at the same instant, click + longer flight + longer
    correction. A request with a deadline therefore attempts only until
    deadline - (2 longer flights + longer correction): a herald is in time at both ends or happens at
    neither. The end with the shorter arm uses the same bound, though its photons, on their way for a
    shorter time, could leave a little later.

    A request is refused when it is malformed (CREATE), when even an idle link could not serve it
    (UNSUPP), when the pairs ahead of it already take longer than it may (NOTIME), or when the queue
    is full (NORES).
Assumptions and validity
    The mean time per pair is the estimate for an idle link; NOTIME is a forecast, not a bound.
Not modelled
    Confidence intervals of the fidelity estimate; slots held by applications.
Units
    Picoseconds of simulated time.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778: error codes of the link layer service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qnet.layers.link import Create, ErrorCode
from qnet.plan import LinkPlan
from qnet.seams import EndContext
from qnet.units import Duration, Instant, duration_from_s

QUEUE_LIMIT: Final = 64
"""Requests of both ends that a link keeps at a time."""

_ROUND_TRIPS_PER_ANSWER: Final = 3
_PAIR_TIMES_PER_ASK: Final = 20
"""An honest herald takes longer than this many mean times with probability e^-20."""


@dataclass(frozen=True)
class Timing:
    """Times of a link.

    Attributes:
        direct: light time between the ends.
        handshake: shortest time of an agreement, one round trip.
        answer_wait: how long to wait for an answer before asking again.
        ask_wait: how long to attempt without a herald before comparing progress with the peer.
        delivery: from a click to the delivery of its pair at both ends.
        emission_to_delivery: from the emission of a photon to the delivery of its pair, for the longer
            arm; shorter for the other one.
        mean_pair: mean time per pair on an idle link, None if it never succeeds.
    """

    direct: Duration
    handshake: Duration
    answer_wait: Duration
    ask_wait: Duration
    delivery: Duration
    emission_to_delivery: Duration
    mean_pair: Duration | None

    @classmethod
    def of(cls, link: LinkPlan) -> Timing:
        """The times of ``link``."""
        handshake = 2 * link.direct
        answer_wait = _ROUND_TRIPS_PER_ANSWER * handshake + link.cycle
        delivery = max(link.flights) + max(link.correction)
        rate_hz = link.estimate.rate_hz
        mean_pair = duration_from_s(1.0 / rate_hz) if rate_hz > 0.0 else None
        ask_wait = answer_wait + _PAIR_TIMES_PER_ASK * (mean_pair or link.cycle)
        return cls(
            direct=link.direct,
            handshake=Duration(handshake),
            answer_wait=Duration(answer_wait),
            ask_wait=Duration(ask_wait),
            delivery=Duration(delivery),
            emission_to_delivery=Duration(max(link.flights) + delivery),
            mean_pair=mean_pair,
        )

    def until(self, deadline: Instant | None) -> Instant | None:
        """No photon may leave at or after this instant, so that a pair is delivered by ``deadline``."""
        return None if deadline is None else Instant(deadline - self.emission_to_delivery)


def refusal(
    create: Create, *, context: EndContext, timing: Timing, queued: int, pairs_ahead: int
) -> tuple[ErrorCode, str] | None:
    """Why ``create`` is not taken, or None.

    Args:
        create: the request.
        context: this end.
        timing: times of the link.
        queued: requests in the queue, of both ends.
        pairs_ahead: pairs that those requests still want.
    """
    link = context.link
    if create.remote != context.remote:
        return ErrorCode.CREATE, f"remote must be {context.remote}, got {create.remote}"
    if create.number < 1:
        return ErrorCode.CREATE, f"number must be >= 1, got {create.number}"
    if not 0.0 <= create.minimum_fidelity <= 1.0:
        return (
            ErrorCode.CREATE,
            (f"minimum_fidelity must obey 0 <= F <= 1, got {create.minimum_fidelity}"),
        )
    if create.max_time < 0:
        return ErrorCode.CREATE, f"max_time must be >= 0 ps, got {create.max_time}"
    goodness = link.estimate.goodness
    if create.minimum_fidelity > goodness:
        return (
            ErrorCode.UNSUPP,
            (
                f"minimum_fidelity must be <= {goodness:.6f}, the goodness of {link.name}, "
                f"got {create.minimum_fidelity}"
            ),
        )
    if timing.mean_pair is None:
        return ErrorCode.UNSUPP, f"link {link.name} never succeeds (rate 0)"
    if create.max_time:
        fastest = max(timing.handshake, create.number * link.cycle)
        if create.max_time < fastest:
            return (
                ErrorCode.UNSUPP,
                (
                    f"max_time must be >= {fastest} ps (agreement, {create.number} cycles), "
                    f"got {create.max_time}"
                ),
            )
        ahead = pairs_ahead * timing.mean_pair
        if create.max_time < ahead:
            return (
                ErrorCode.NOTIME,
                (
                    f"max_time must be >= {ahead} ps for the {pairs_ahead} pairs ahead, "
                    f"got {create.max_time}"
                ),
            )
    if queued >= QUEUE_LIMIT:
        return ErrorCode.NORES, f"queue of {link.name} must hold <= {QUEUE_LIMIT} requests"
    return None
