"""Departures of photons as arithmetic progressions: how many entangling attempts a node made, and when.

Theory
    Attempts of a run lie on the grid of their link's cycle, so that the photons of one end leave at
    first, first + cycle, .. : a run is three numbers, however long it is. How many leave between two
    instants is two divisions, whether attempts were drawn one by one or skipped.
Assumptions and validity
    A run stops at both ends at the instant at which one of them stops.
Not modelled
    Pulses of an end that has not heard yet that the other one stopped.
Units
    Picoseconds.
Sources
    None: bookkeeping.
"""

from __future__ import annotations

from typing import NamedTuple


class Train(NamedTuple):
    """``number`` departures, one per ``cycle``, the first at ``first``."""

    first: int
    cycle: int
    number: int

    @property
    def last(self) -> int:
        """Instant of the last departure, if there is any."""
        return self.first + (self.number - 1) * self.cycle

    def since(self, instant: int) -> int:
        """Departures at ``instant`` or later."""
        return self.number - self.before(instant)

    def before(self, instant: int) -> int:
        """Departures before ``instant``."""
        return min(self.number, max(0, -((self.first - instant) // self.cycle)))

    def between(self, start: int, end: int) -> int:
        """Departures at ``start`` or later, before ``end``."""
        return max(0, self.before(end) - self.before(start))
