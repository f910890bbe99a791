"""Link protocol ``tdma``: time bins, computed ahead, say which request gets the next pairs.

Theory
    The service, the agreement on requests, generation, delivery and closing are those of
    :mod:`qnet_protocols.link.egp`; another rule chooses whose pair is made [1]. Simulated time is cut
    into bins of equal length, the same at both ends. Bin k belongs to one of the agreed requests
    that started before its beginning and are not served out: to entry number k mod W of a frame in
    which every request has as many of the W places as the weight of its priority says, spread
    evenly. So a schedule for all bins to come follows from the queue alone; it changes when a request
    is agreed or ends, at a bin's beginning.

    Photons leave in the first part of a bin only. The rest, the guard, is the time after which all
    that these photons can bring about has been heard of at both ends, two longer flights: so no pair
    is lost to the change from one bin to the next. A request that gets a pair goes on within its bin.

    What the weights promise is *time*, not pairs: a bin that its request cannot use (no free slot)
    is not given to another.

    Behind a switch that connects the link for a part of each period, a bin lasts a period at least beside
    its guard: then none is dark, and each has the light of one window or more. A default bin is a whole
    number of periods, so that all bins have the same light.
Late, early, impossible
    As in ``egp``. An end that learns of a request late disagrees about some bins; the station refuses
    the clicks of those.
Assumptions and validity
    Clocks of both ends agree to much less than a guard (here: exactly).
    A bin must be longer than its guard by one cycle at least, or by a period of the switch. Bins that are no
    whole number of its periods have light that differs by up to one window.
Not modelled
    A network-wide schedule over several links [1]; bins that are skipped when nobody needs them.
Units
    Seconds in the parameters, picoseconds inside.
Sources
    [1] Pompili et al., "Experimental demonstration of entanglement delivery using a quantum network
        stack", npj Quantum Information 8, 121 (2022), arXiv 2111.11332: time-division schedule in place
        of the distributed queue's choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec

from qnet.errors import ConfigError
from qnet.plan import LinkPlan
from qnet.seams import EndContext, LinkProtocol
from qnet.units import Duration, Instant, duration_from_s, seconds
from qnet_protocols.link.egp import EgpEnd
from qnet_protocols.link.messages import MESSAGES
from qnet_protocols.link.queue import Agreed
from qnet_protocols.link.schedulers import Chooser, Turn, undivided

Weight = Annotated[int, msgspec.Meta(ge=1, le=16)]

_CYCLES_PER_BIN: Final = 10
_PAIRS_PER_BIN: Final = 4


class TdmaParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``tdma``.

    Attributes:
        bin_s: length of a bin in seconds; 0: guard and four mean times of a pair, ten cycles at least, and
            the next whole number of periods if the station has a switch.
        weights: of the priorities 0, 1, ..., whole numbers; 1 for those that are not listed.
        test_share: share of the pairs that both ends measure to estimate the fidelity, 0 <= s < 1.
    """

    bin_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    weights: tuple[Weight, ...] = ()
    test_share: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.0


class Bins:
    """The schedule of one link.

    Args:
        length: of a bin.
        guard: its last part, in which no photon leaves.
        weights: of the priorities.
    """

    def __init__(self, *, length: Duration, guard: Duration, weights: Sequence[int]) -> None:
        self._length = length
        self._guard = guard
        self._weights = tuple(weights)

    @property
    def tag(self) -> float:
        """Bins need no tags."""
        return 0.0

    def next(self, entries: Iterable[Agreed], boundary: Instant, now: Instant) -> Turn | None:
        """The present bin if attempts are possible in it, else the next one that has an owner."""
        ready = [entry for entry in entries if entry.progress.served < entry.terms.pairs]
        if not ready:
            return None
        first = max(boundary, now, min(entry.start for entry in ready))
        number = first // self._length
        while True:
            begin = number * self._length
            end = begin + self._length - self._guard
            owner = self.owner(number, ready)
            if owner is not None and first < end:
                return Turn(owner, Instant(max(boundary, begin)), Instant(end))
            number += 1

    def owner(self, number: int, ready: Sequence[Agreed]) -> Agreed | None:
        """Whose bin ``number`` is."""
        able = [entry for entry in ready if entry.start <= number * self._length]
        able = [entry for entry in able if undivided(entry)] or able
        if len(able) < 2:
            return able[0] if able else None
        frame: list[tuple[float, int, Agreed]] = []
        for entry in able:
            weight = self._weight(entry)
            places = ((2 * k + 1) / (2 * weight) for k in range(weight))
            frame += [(place, entry.number, entry) for place in places]
        frame.sort(key=lambda one: one[:2])
        return frame[number % len(frame)][2]

    def _weight(self, entry: Agreed) -> int:
        priority = entry.terms.priority
        return self._weights[priority] if priority < len(self._weights) else 1


def guard_of(link: LinkPlan) -> Duration:
    """From the last photon of a bin until both ends have heard of its click."""
    return Duration(2 * max(link.flights))


def bin_of(link: LinkPlan, bin_s: float) -> Duration:
    """Length of a bin.

    Raises:
        ConfigError: no attempt fits into a bin, or all its attempts could be dark.
    """
    guard, window = guard_of(link), link.window
    if bin_s == 0.0:
        rate_hz = link.estimate.rate_hz
        mean = duration_from_s(1.0 / rate_hz) if rate_hz > 0.0 else 0
        usual = guard + max(_CYCLES_PER_BIN * link.cycle, _PAIRS_PER_BIN * mean)
        if window is None:
            return Duration(usual)
        return Duration(-(-max(usual, guard + window.period) // window.period) * window.period)
    length = duration_from_s(bin_s)
    least, what = (link.cycle, "cycle") if window is None else (window.period, "switch period")
    if length < guard + least:
        shortest_s = seconds(Duration(guard + least))
        raise ConfigError(
            f"must be >= {shortest_s:g} s, guard and one {what} of {link.name}",
            path=f"links.{link.name}.protocol_parameters.bin_s",
            value=bin_s,
        )
    return length


class TdmaEnd(EgpEnd):
    """Link machine of one end."""

    @staticmethod
    def configured(context: EndContext) -> tuple[Chooser, float]:
        """The bins of the link, and the share of test rounds."""
        link = context.link
        parameters = msgspec.convert(link.protocol_parameters, TdmaParameters)
        length = bin_of(link, parameters.bin_s)
        bins = Bins(length=length, guard=guard_of(link), weights=parameters.weights)
        return bins, parameters.test_share


PROTOCOL: Final = LinkProtocol(
    name="tdma",
    make_end=TdmaEnd,
    messages=MESSAGES,
    parameters=TdmaParameters,
    sources=("Pompili et al., npj Quantum Information 8, 121 (2022), arXiv 2111.11332",),
)
"""Catalogue entry ``tdma`` of the group ``qnet.links``."""
