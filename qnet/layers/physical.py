"""Physical service: attempt runs on a link and the heralds that end them (MHP, physics reference A1.2).

The link layer above asks for attempts under an attempt id. Both ends use the same id; the station compares
them and answers both with one sequence number per success.
"""

from __future__ import annotations

from typing import Final, Literal

from qnet.ids import AttemptId, SlotId
from qnet.machine import Record
from qnet.units import Instant

PER_INCARNATION: Final = 2**40
"""Sequence numbers (of a station) and run numbers (of an end) set aside for each of its incarnations."""

HeraldFault = Literal["QUEUE_MISMATCH", "NO_CLASSICAL_OTHER"]
"""Why a click could not be matched: the two ends attempt under different ids, or only one end spoke."""


class StartAttempts(Record, frozen=True):
    """Attempt under ``attempt`` with the communication qubit in ``slot``.

    ``until`` bounds the emission: no photon leaves at or after it (None: no bound). The slot passes to the
    physical layer with this request and comes back with :class:`Heralded` or :class:`AttemptsStopped`.
    """

    attempt: AttemptId
    slot: SlotId
    until: Instant | None = None


class StopAttempts(Record, frozen=True):
    """Stop attempting under ``attempt``; answered by :class:`AttemptsStopped` unless already over."""

    attempt: AttemptId


class Heralded(Record, frozen=True):
    """The station saw a success for ``attempt``.

    Attributes:
        attempt: the id under which both ends attempted.
        slot: the qubit that is now half of a pair.
        sequence: number of the success on this link, from 1, given by the station, the same at both ends.
        label: Bell label (x, z) of the pair as heralded.
        clicked_at: instant of the detection at the station.
    """

    attempt: AttemptId
    slot: SlotId
    sequence: int
    label: tuple[int, int]
    clicked_at: Instant


class HeraldedLate(Record, frozen=True):
    """A success arrived for an attempt run that this end has stopped: the peer may hold half a pair."""

    attempt: AttemptId
    sequence: int
    clicked_at: Instant


class AttemptsStopped(Record, frozen=True):
    """No herald came: the run was stopped or ``until`` passed. The slot is the link layer's again."""

    attempt: AttemptId
    slot: SlotId


class HeraldRefused(Record, frozen=True):
    """A click happened but the station could not match it; the run of this end goes on as stopped."""

    attempt: AttemptId
    slot: SlotId
    fault: HeraldFault
    last_sequence: int
