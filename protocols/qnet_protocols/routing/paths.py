"""Path selection: the best of the shortest simple paths, by fidelity, rate or number of links.

Theory
    A link has a cost that adds up along a path: -log of its mean correlator (correlators multiply), its
    mean time 1/rate, or 1. Candidates are the cheapest simple paths [1] and, since a route is an
    alternative only if it does not fail together with the others, the cheapest paths without common
    links. Each candidate is then predicted as a whole (:mod:`qnet.topology.paths`: swaps, memories, cutoff)
    and the best ones are taken, paths without a common link first. Equal ones are in order of name.
Assumptions and validity
    Costs of single links rank candidates only; what is returned is ranked by the prediction of the whole
    path. The best path may be missed where memories or swaps matter more than links, and more than
    ``candidates`` paths have cheaper links.
Not modelled
    Load by other circuits. Disjoint paths are found greedily, which need not be the largest set.
Units
    Rates in hertz, shares dimensionless.
Sources
    [1] Yen, "Finding the K shortest loopless paths in a network", Management Science 17, 712 (1971).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from typing import Annotated, Any, Final

import msgspec

from qnet.hardware import Platform
from qnet.ids import NodeId
from qnet.physics.attempts import while_attempting
from qnet.plan import LinkPlan, Route, RunPlan
from qnet.seams import Routing
from qnet.topology.paths import (
    CutoffChoice,
    can_serve,
    choose_cutoff_s,
    predict,
    shaking_hz,
    storage,
)

Graph = Any
"""An undirected networkx graph; the library has no types and is imported only when routes are wanted."""

LOWEST_CORRELATOR: Final = 1e-6
"""Links whose pairs are worse than noise are used last, at a finite cost."""


class PathParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of path selection.

    Attributes:
        cutoff: "long" (a pair may lose ``lost_share`` of its fidelity at a node), "short" (the slowest link
            makes a pair in that time with ``success_prob``) or "off".
        lost_share: 0 < share < 1.
        success_prob: 0 < probability < 1.
        candidates: paths that are predicted as a whole, >= 1.
    """

    cutoff: CutoffChoice = "long"
    lost_share: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] = 0.015
    success_prob: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] = 0.85
    candidates: Annotated[int, msgspec.Meta(ge=1)] = 6


def _fidelity_cost(link: LinkPlan) -> float:
    return -math.log(min(max(sum(link.offered[0]) / 3.0, LOWEST_CORRELATOR), 1.0)) + 1e-9


def _time_cost(link: LinkPlan) -> float:
    return 1.0 / link.offered[1]


def _hop_cost(_: LinkPlan) -> float:
    return 1.0


Cost = Callable[[LinkPlan], float]
Rank = Callable[[Route], tuple[Any, ...]]


def _by_fidelity(route: Route) -> tuple[Any, ...]:
    return (-route.goodness, -route.rate_hz, route.nodes)


def _by_rate(route: Route) -> tuple[Any, ...]:
    return (-route.rate_hz, -route.goodness, route.nodes)


def _by_hops(route: Route) -> tuple[Any, ...]:
    return (len(route.links), -route.goodness, -route.rate_hz, route.nodes)


class _Map:
    """The network of a plan: processors and links."""

    def __init__(
        self, links: tuple[LinkPlan, ...], platforms: dict[NodeId, Platform], cost: Cost
    ) -> None:
        import networkx as nx

        self.platforms = platforms
        self.graph: Graph = nx.Graph()
        for link in links:
            self.graph.add_edge(*link.ends, link=link, cost=cost(link))

    def between(self, source: NodeId, target: NodeId) -> Graph:
        """The part in which every node but the two ends can serve a path."""
        able = [
            node
            for node in self.graph
            if node in (source, target) or can_serve(self.platforms[node])
        ]
        # A copy: paths without common links are found by removing links.
        return self.graph.subgraph(able).copy()

    def links(self, nodes: Sequence[NodeId]) -> list[LinkPlan]:
        """The links along a path."""
        return [self.graph.edges[ends]["link"] for ends in pairwise(nodes)]

    def route(self, nodes: Sequence[NodeId], wanted: PathParameters) -> Route:
        """The path with its prediction."""
        links = self.links(nodes)
        platforms = [self.platforms[node] for node in nodes]
        degrees = [self.graph.degree[node] for node in nodes]
        inner = [
            while_attempting(
                storage(platforms[k], degrees[k]),
                max(shaking_hz(platforms[k], degrees[k], link) for link in links[k - 1 : k + 1]),
            )
            for k in range(1, len(links))
        ]
        cutoff_s = choose_cutoff_s(
            links, inner, wanted.cutoff, wanted.lost_share, wanted.success_prob
        )
        return predict(nodes, links, platforms, degrees, cutoff_s=cutoff_s)


@lru_cache(maxsize=4)
def _map_of(plan_links: _ById, cost: Cost) -> _Map:
    plan = plan_links.plan
    platforms = {node.name: node.platform for node in plan.nodes if node.platform is not None}
    return _Map(plan.links, platforms, cost)


class _ById:
    """A plan, equal only to itself: a key that costs nothing to compare."""

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan

    def __hash__(self) -> int:
        return id(self.plan)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.plan is self.plan


def _paths(
    graph: Graph, source: NodeId, target: NodeId, disjoint: int, cheapest: int
) -> Iterator[list[NodeId]]:
    """Cheapest simple paths, then cheapest ones without common links; one may come twice."""
    import networkx as nx

    yield from islice(nx.shortest_simple_paths(graph, source, target, weight="cost"), cheapest)
    for _ in range(disjoint):
        try:
            path: list[NodeId] = nx.dijkstra_path(graph, source, target, weight="cost")
        except nx.NetworkXNoPath:
            return
        yield path
        graph.remove_edges_from(list(pairwise(path)))


def _chosen(ranked: list[Route], count: int) -> list[Route]:
    """The best route, then each time the one that shares the fewest links with those before."""
    chosen: list[Route] = []
    left = list(ranked)
    while left and len(chosen) < count:
        used = {link for route in chosen for link in route.links}
        best = min(left, key=lambda route: len(used.intersection(route.links)))
        left.remove(best)
        chosen.append(best)
    return chosen


def _selection(name: str, cost: Cost, rank: Rank) -> Routing:
    def routes(plan: RunPlan, source: NodeId, target: NodeId, count: int) -> list[Route]:
        import networkx as nx

        layer = plan.network_layer
        given = {} if layer is None else layer.routing_parameters
        wanted = msgspec.convert(given, PathParameters)
        area = _map_of(_ById(plan), cost)
        if source not in area.graph or target not in area.graph:
            return []
        graph = area.between(source, target)
        if not nx.has_path(graph, source, target):
            return []
        paths = {tuple(path) for path in _paths(graph, source, target, count, wanted.candidates)}
        ranked = sorted((area.route(path, wanted) for path in paths), key=rank)
        return sorted(_chosen(ranked, count), key=rank)

    return Routing(
        name=name,
        routes=routes,
        parameters=PathParameters,
        sources=("Yen, Management Science 17, 712 (1971)", "arXiv 2010.02575, section 4.1"),
    )


FIDELITY = _selection("fidelity", _fidelity_cost, _by_fidelity)
"""Highest predicted fidelity first."""

RATE = _selection("rate", _time_cost, _by_rate)
"""Highest predicted rate first."""

HOPS = _selection("hops", _hop_cost, _by_hops)
"""Fewest links first, then the highest fidelity."""
