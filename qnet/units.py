"""Units and constants, and the two borders where float seconds become integer picoseconds and back.

Inside machines, messages and traces time is an integer number of picoseconds. Physics and configuration
speak in seconds. Nothing else converts.

Sources
    [1] CODATA: speed of light in vacuum, exact.
    [2] Group index of standard single-mode fibre at 1550 nm, data sheets of G.652 fibre: 1.468.
"""

from __future__ import annotations

from typing import Final, NewType

Instant = NewType("Instant", int)
"""A point of simulated time, in picoseconds since the start of the run."""

Duration = NewType("Duration", int)
"""A length of simulated time in picoseconds."""

PS_PER_S: Final = 1_000_000_000_000
LAST_INSTANT: Final = Instant(2**63 - 1)
"""Simulated time ends here, after 106 days: instants travel as 64-bit integers."""
SPEED_OF_LIGHT_M_PER_S: Final = 299_792_458.0
GROUP_INDEX_FIBRE: Final = 1.468


def duration_from_s(time_s: float) -> Duration:
    """Seconds to the nearest picosecond."""
    return Duration(round(time_s * PS_PER_S))


def seconds(time_ps: int) -> float:
    """Picoseconds (instant or duration) to float seconds, for physics and reports."""
    return time_ps / PS_PER_S


def light_time(length_m: float, group_index: float = GROUP_INDEX_FIBRE) -> Duration:
    """Time that light needs for ``length_m`` of a medium, rounded up: nothing ever arrives early."""
    exact_ps = length_m * group_index / SPEED_OF_LIGHT_M_PER_S * PS_PER_S
    whole = int(exact_ps)
    return Duration(whole if whole == exact_ps else whole + 1)
