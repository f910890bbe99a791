"""Light times: how long a message needs between two nodes.

Theory
    Messages follow the fibres of the links: an edge from each end to its station, as long as the
    photon's time of flight. The light time of two nodes is that of the shortest path (Dijkstra),
    found once per source when it is first asked for: a plan of a thousand nodes carries no table,
    and a node process computes only its own row.
Assumptions and validity
    Exact for the fibre graph of the links; in integer picoseconds, the same in every process.
Not modelled
    Other cables than those of the links; switching times on the way.
Units
    Picoseconds.
Sources
    [1] Dijkstra, "A note on two problems in connexion with graphs", Numer. Math. 1, 269 (1959).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from qnet.ids import NodeId
from qnet.plan import LinkPlan
from qnet.units import Duration


class Fibres:
    """The fibres of a network's links."""

    def __init__(self, links: Iterable[LinkPlan]) -> None:
        self._fibres: dict[NodeId, dict[NodeId, Duration]] = {}
        for link in links:
            for end, flight in zip(link.ends, link.flights, strict=True):
                for here, there in ((end, link.station), (link.station, end)):
                    known = self._fibres.setdefault(here, {})
                    known[there] = min(flight, known.get(there, flight))
        self._rows: dict[NodeId, Mapping[NodeId, Duration]] = {}

    def light_time(self, source: NodeId, target: NodeId) -> Duration | None:
        """Light time along the shortest path, 0 to itself, None if no fibre joins the two."""
        row = self._rows.get(source)
        if row is None:
            row = self._rows[source] = self._shortest(source)
        return row.get(target)

    def _shortest(self, source: NodeId) -> Mapping[NodeId, Duration]:
        reached: dict[NodeId, Duration] = {}
        frontier = [(0, source)]
        while frontier:
            time, here = heapq.heappop(frontier)
            if here in reached:
                continue
            reached[here] = Duration(time)
            for there, flight in self._fibres.get(here, {}).items():
                if there not in reached:
                    heapq.heappush(frontier, (time + flight, there))
        return reached
