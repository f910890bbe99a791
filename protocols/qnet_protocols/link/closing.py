"""Closing handshake: both ends learn how many pairs of a broken-off request the other one announced.

Theory
    A request that ends before its time (cancelled, timed out, expired, peer silent) is closed by
    ``Close`` with the number of pairs announced here, repeated with doubled waits until ``Closed``
    or the peer's own ``Close`` (the two crossed) tells the peer's number. Whoever announced more
    declares the excess expired: no pair stays half-delivered.
Assumptions and validity
    After :data:`CLOSE_TRIES` unanswered tries the peer is taken for dead.
Not modelled
    Restart of an end with loss of its memory.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778: EXPIRE and its acknowledgement.
"""

from __future__ import annotations

from typing import Final

from qnet.ids import RequestId
from qnet.machine import Record
from qnet.units import Duration, Instant
from qnet_protocols.link.messages import Close

CLOSE_TRIES: Final = 16


class Closing(Record, frozen=True):
    """A Close that was sent ``tries`` times without an answer."""

    message: Close
    tries: int
    resend_at: Instant


class Closings:
    """Close messages of one end that wait for their answer.

    Args:
        answer_wait: wait after the first try; doubled after each further one.
    """

    def __init__(self, answer_wait: Duration) -> None:
        self._answer_wait = answer_wait
        self._open: dict[RequestId, Closing] = {}

    @property
    def requests(self) -> tuple[RequestId, ...]:
        """Requests whose closing is not answered, oldest first."""
        return tuple(self._open)

    def start(self, message: Close, now: Instant) -> None:
        """``message`` was sent for the first time."""
        self._open[message.request] = Closing(message, 1, Instant(now + self._answer_wait))

    def settle(self, request: RequestId) -> bool:
        """The peer has answered; False if nothing was waiting."""
        return self._open.pop(request, None) is not None

    def next_deadline(self) -> Instant | None:
        """When the next message goes again."""
        return min((closing.resend_at for closing in self._open.values()), default=None)

    def due(self, now: Instant) -> list[Close]:
        """Messages to send again now."""
        again: list[Close] = []
        for request, closing in list(self._open.items()):
            if closing.resend_at > now:
                continue
            if closing.tries == CLOSE_TRIES:
                del self._open[request]
                continue
            again.append(closing.message)
            wait = self._answer_wait << closing.tries
            self._open[request] = Closing(closing.message, closing.tries + 1, Instant(now + wait))
        return again
