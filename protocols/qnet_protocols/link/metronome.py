"""A link protocol that only keeps time: the workload of ``qnet bench time``, and the smallest machine.

Theory
    The machine has one deadline, a fixed interval after the last; end B beats half an interval after
    end A. It offers no service: every request is an error of its user.

Late, early, impossible
    It sends nothing, so nothing can be late or early; whatever arrives is impossible.

Not modelled
    Links. Use ``egp`` for those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from qnet.errors import LocalProtocolError
from qnet.machine import DeadlineReached, Effect, Input, Record
from qnet.seams import EndContext, LinkProtocol
from qnet.units import Instant


class MetronomeParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters: ``interval_ps``, the time between two beats of one end, >= 2."""

    interval_ps: int = 1_000_000


class Beating(Record, frozen=True):
    """``beats`` so far; the next one is at ``next_at``."""

    beats: int
    next_at: Instant


class Metronome:
    """One end.

    Args:
        context: link and node.
    """

    def __init__(self, context: EndContext) -> None:
        parameters = msgspec.convert(context.link.protocol_parameters, MetronomeParameters)
        self._interval = parameters.interval_ps
        offset = (1 + context.side) * self._interval // 2
        self._state = Beating(0, Instant(offset))

    @property
    def state(self) -> Beating:
        """Beats so far and the next instant."""
        return self._state

    def next_deadline(self) -> Instant:
        """The next beat."""
        return self._state.next_at

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        """Count a beat; anything else is impossible.

        Raises:
            LocalProtocolError: somebody asked for a service.
        """
        if not isinstance(event, DeadlineReached):
            raise LocalProtocolError(f"the metronome offers no service, got {event!r}")
        self._state = Beating(self._state.beats + 1, Instant(now + self._interval))
        return ()


PROTOCOL: Final = LinkProtocol(
    name="metronome", make_end=Metronome, messages=(), parameters=MetronomeParameters
)
