"""Bounds that a run has to obey, whatever its protocols: checked after every run.

Theory
    A link of total transmission eta (both arms, detectors included); h heralded pairs are at least h y
    ebits, y the hashing yield of their Bell-diagonal part [3], 1 for good pairs, 0 for bad ones:
    *per use*: at most -log2(1 - sqrt(eta)) ebits per attempt, the one-station bound (physics reference
    A7.4; [1] eq. (1) for chains of stations, [2]); at eta = 1 it says nothing.
    *per time*: at most sqrt(eta) heralds per attempt and one attempt per light time of the span plus
    preparation (A7.5). Of the schemes that interfere photons at a midpoint, single-click ones come
    closest, with 2 alpha sqrt(eta), alpha <= 1/2; two photons give eta/2.
    A herald in which a dark count took part may be no ebit; at most the chance of a dark count in one
    of four detectors is allowed for per attempt.
    *flows*: every pair between two nodes has used up a heralded pair of each link of some path, so the
    number delivered is at most the maximum flow with the links' heralds as capacities. That is exact.
Allowance for luck
    The number of heralds may exceed its bound m by 6 sqrt(m) + 12, six standard deviations of a
    Poisson number and the constant of its tail (chance below 1e-8 for a link that meets its bound).
    Each of several parallel modes is a use of its own.
Not modelled
    Several flows at a time against the capacity of their common links.
Units
    Counts; picoseconds.
Sources
    [1] Pirandola, "End-to-end capacities of a quantum communication network", Commun. Phys. 2, 51 (2019).
    [2] Pirandola et al., Nat. Commun. 8, 15043 (2017).
    [3] Bennett, DiVincenzo, Smolin, Wootters, Phys. Rev. A 54, 3824 (1996): one-way hashing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from qnet.errors import QnetError
from qnet.ids import LinkId, NodeId
from qnet.physics.limits import hashing_yield, one_station_bound
from qnet.plan import LinkPlan
from qnet.units import Instant

SIGMAS: Final = 6.0
FEW: Final = 12.0
_DETECTORS: Final = 4


class BoundBroken(QnetError):
    """A run made more entanglement than physics allows. Something in the simulation is wrong."""


def check_bounds(
    links: Iterable[LinkPlan],
    *,
    heralds: Mapping[LinkId, int],
    attempts: Mapping[LinkId, int],
    duration: Instant,
    delivered: Mapping[tuple[NodeId, NodeId], int],
) -> dict[str, Any]:
    """The ``bounds`` of the summary: per link and per flow what was made and what is allowed.

    Raises:
        BoundBroken: more was made than is allowed.
    """
    links = tuple(links)
    by_link = {link.name: _of_link(link, attempts[link.name], duration) for link in links}
    worth = {link.name: hashing_yield(link.estimate.correlators) for link in links}
    found: dict[str, Any] = {"links": {}, "flows": []}
    for name, allowed in by_link.items():
        made = heralds[name] * worth[name]
        for word, most in allowed.items():
            if most is not None and made > most + SIGMAS * math.sqrt(most) + FEW:
                raise BoundBroken(
                    f"link {name} must herald at most {most:.6g} ebits ({word}, see qnet.world.bounds) and "
                    f"{SIGMAS * math.sqrt(most) + FEW:.6g} by luck, it heralded {heralds[name]} pairs of "
                    f"{worth[name]:.6g} each"
                )
        found["links"][name] = {"heralded": heralds[name], "ebits": made, **allowed}
    for (source, target), count in sorted(delivered.items()):
        most = max_flow({link.ends: heralds[link.name] for link in links}, source, target)
        if count > most:
            raise BoundBroken(
                f"pairs delivered between {source} and {target} must be at most {most}, the maximum "
                f"flow of the pairs that links heralded, got {count}"
            )
        found["flows"].append({"from": source, "to": target, "delivered": count, "max_flow": most})
    return found


def _of_link(link: LinkPlan, attempts: int, duration: Instant) -> dict[str, float | None]:
    eta = link.optics.eta_a * link.optics.eta_b
    dark = 1.0 - (1.0 - link.optics.dark_prob) ** _DETECTORS
    interval = sum(link.flights) + link.preparation
    uses, times = (
        link.optics.modes * count for count in (attempts, duration / max(interval, 1) + 1.0)
    )
    per_use = None if eta >= 1.0 else uses * (one_station_bound(eta) + dark)
    per_time = None if interval <= 0 else times * (math.sqrt(eta) + dark)
    return {"per_use": per_use, "per_time": per_time}


def max_flow(
    capacities: Mapping[tuple[NodeId, NodeId], int], source: NodeId, target: NodeId
) -> int:
    """Maximum flow in an undirected graph, by shortest augmenting paths (Edmonds and Karp 1972)."""
    left: dict[NodeId, dict[NodeId, int]] = {}
    for (one, two), capacity in capacities.items():
        left.setdefault(one, {})[two] = left.get(one, {}).get(two, 0) + capacity
        left.setdefault(two, {})[one] = left.get(two, {}).get(one, 0) + capacity
    total = 0
    while path := _augmenting(left, source, target):
        flow = min(left[one][two] for one, two in path)
        for one, two in path:
            left[one][two] -= flow
            left[two][one] += flow
        total += flow
    return total


def _augmenting(
    left: Mapping[NodeId, Mapping[NodeId, int]], source: NodeId, target: NodeId
) -> list[tuple[NodeId, NodeId]]:
    """Edges of a shortest path with capacity left, [] if there is none."""
    came_from: dict[NodeId, NodeId] = {source: source}
    frontier = deque([source])
    while frontier and target not in came_from:
        here = frontier.popleft()
        for there, capacity in left.get(here, {}).items():
            if capacity > 0 and there not in came_from:
                came_from[there] = here
                frontier.append(there)
    if target not in came_from or target == source:
        return []
    path = []
    while target != source:
        path.append((came_from[target], target))
        target = came_from[target]
    return path[::-1]
