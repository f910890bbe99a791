"""The network layer of a topology: protocol, purification end to end, routes.

Theory
    Routes are found before the run, by the path selection that the table ``network`` names, for every
    ordered pair of nodes that have a role in the application. Nobody looks for a way during the run; a
    circuit takes the best route and, if that fails, the next one.
Assumptions and validity
    The work grows with the square of the number of nodes with a role, which is bounded.
Not modelled
    Routing that learns what happens during the run.
Sources
    Kozlowski, Dahlberg, Wehner, "Designing a quantum network protocol", CoNEXT 2020, arXiv 2010.02575,
    section 4.1: routes with fidelity and cutoff are computed outside the protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, permutations
from typing import Any, Final

import msgspec

from qnet.errors import PluginError
from qnet.ids import LinkId, NodeId
from qnet.plan import LinkPlan, NetworkPlan, Route, RunPlan
from qnet.seams import Routing
from qnet.topology.check import At, table, typed
from qnet.topology.plugs import parameters, plugin, purification

MOST_NODES: Final = 200
"""Nodes with a role that may all be joined with each other; 39 800 ordered pairs."""


class NetworkEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table ``network``.

    Attributes:
        protocol: name of the network protocol.
        routing: name of the path selection.
        alternatives: routes for each pair of nodes, at most.
        purification: protocol and parameters of purification end to end; none if absent.
        parameters: of the network protocol.
        routing_parameters: of the path selection.
    """

    protocol: str = "qnp"
    routing: str = "fidelity"
    alternatives: int = 3
    purification: dict[str, Any] | None = None
    parameters: dict[str, Any] = {}
    routing_parameters: dict[str, Any] = {}


def with_network(plan: RunPlan, value: object, at: At) -> RunPlan:
    """``plan`` with its network layer: that of the table ``value``, or the default one where it is needed.

    Where no processor has two links every node has only neighbours; without a table there is no network
    layer then.
    """
    if value is None and not _has_ways(plan.links):
        return plan
    entry = typed(table({} if value is None else value, at), NetworkEntry, at)
    protocol = plugin("qnet.networks", entry.protocol, at.key("protocol"))
    routing: Routing = plugin("qnet.routing", entry.routing, at.key("routing"))
    layer = NetworkPlan(
        protocol=entry.protocol,
        parameters=parameters(entry.parameters, protocol.parameters, at.key("parameters")),
        routes={},
        purification=purification(entry.purification, at.key("purification")),
        routing=routing.name,
        routing_parameters=parameters(
            entry.routing_parameters, routing.parameters, at.key("routing_parameters")
        ),
    )
    bare = msgspec.structs.replace(plan, network_layer=layer)
    routes = dict(_all_routes(bare, routing, entry.alternatives, at))
    return msgspec.structs.replace(
        plan, network_layer=msgspec.structs.replace(layer, routes=routes)
    )


def _has_ways(links: Sequence[LinkPlan]) -> bool:
    """True if some processor is at the ends of two links."""
    return any(count > 1 for count in Counter(end for link in links for end in link.ends).values())


def _all_routes(
    plan: RunPlan, routing: Routing, alternatives: int, at: At
) -> Iterator[tuple[str, tuple[Route, ...]]]:
    """Routes of every ordered pair of nodes with a role, in order of name; none where there is no way."""
    players = sorted(plan.app.roles)
    if len(players) > MOST_NODES:
        raise At(at.file, "app").error(
            f"an application must have at most {MOST_NODES} nodes, routes join all of them",
            len(players),
            "Name fewer nodes in the parameters of the application",
        )
    by_name = {link.name: link for link in plan.links}
    for source, target in permutations(players, 2):
        try:
            found = tuple(routing.routes(plan, source, target, alternatives))
        except ValueError as refusal:
            raise at.key("routing").error(
                f"path selection {routing.name} refuses this network: {refusal}"
            ) from refusal
        for route in found:
            _check_route(route, by_name, source, target, routing.name)
        if found:
            yield f"{source}>{target}", found
        elif len(players) == 2:
            raise At(at.file, "app").error(
                f"path selection {routing.name} must find a way from {source} to {target}, it found none",
                hint="A node between two links must have two communication slots, or one and memory slots",
            )


def _check_route(
    route: Route, links: Mapping[LinkId, LinkPlan], source: NodeId, target: NodeId, routing: str
) -> None:
    """Hold what a plug-in returned against the network."""
    broken = ""
    if not route.nodes or (route.nodes[0], route.nodes[-1]) != (source, target):
        broken = f"must lead from {source} to {target}"
    elif len(set(route.nodes)) != len(route.nodes):
        broken = "must visit a node once"
    elif len(route.links) != len(route.nodes) - 1 or not all(
        name in links and set(links[name].ends) == set(ends)
        for name, ends in zip(route.links, pairwise(route.nodes), strict=True)
    ):
        broken = f"must name the link between each two nodes, names {list(route.links)}"
    elif not 0.0 <= route.goodness <= 1.0:
        broken = f"must have 0 <= goodness <= 1, has {route.goodness}"
    elif not route.rate_hz > 0.0:
        broken = f"must have rate_hz > 0, has {route.rate_hz}"
    elif route.cutoff is not None and route.cutoff <= 0:
        broken = f"must have cutoff > 0 ps, has {route.cutoff}"
    if broken:
        raise PluginError(f"path selection {routing}: a route {broken}, got {list(route.nodes)}")
