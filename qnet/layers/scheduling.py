"""What a scheduler of a link knows: the requests that wait for pairs, as both ends see them alike.

Theory
    The two ends of a link choose whose pair is made next without asking each other. That works if the choice
    is a function of what both know: the facts of a request that were fixed when it was agreed, and how many
    of its pairs were made. A scheduler (:class:`qnet.seams.Scheduler`) gets these facts and nothing else.
Assumptions and validity
    Both ends have the same plan of the link, hence equal contexts.
Not modelled
    Choices that depend on slots, on the wall clock or on chance: the ends would not agree about them.
Units
    Instants in picoseconds; virtual time in attempts.
Sources
    Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv 1903.09778,
    section 5.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from qnet.units import Instant


class Waiting(Protocol):
    """A request that wants pairs of a link: what both ends know of it alike."""

    @property
    def number(self) -> int:
        """Order of arrival, given by the master."""
        ...

    @property
    def priority(self) -> int:
        """Of the request, 0 first."""
        ...

    @property
    def pairs(self) -> int:
        """Pairs wanted."""
        ...

    @property
    def served(self) -> int:
        """Pairs of it that were made or are void."""
        ...

    @property
    def requested_at(self) -> Instant:
        """Instant of CREATE."""
        ...

    @property
    def deadline(self) -> Instant | None:
        """Instant by which all pairs must be delivered, None for no limit."""
        ...

    @property
    def tag(self) -> float:
        """Virtual time of the link when it was agreed, in attempts."""
        ...


@dataclass(frozen=True)
class SchedulerContext:
    """What a scheduler may know besides the request, the same at both ends.

    Attributes:
        weights: of the priorities 0, 1, ..., from the link protocol's parameter ``weights``.
        cycles_per_pair: mean attempts per pair.
        parameters: the scheduler's own, as plain data.
    """

    weights: tuple[float, ...]
    cycles_per_pair: float
    parameters: Mapping[str, Any]

    def cost(self, request: Waiting) -> float:
        """Virtual time that one pair costs its request: attempts over the weight of its priority.

        The weight is 1 where none is listed; weight 0 costs nothing.
        """
        listed = request.priority < len(self.weights)
        weight = self.weights[request.priority] if listed else 1.0
        return self.cycles_per_pair / weight if weight > 0.0 else 0.0
