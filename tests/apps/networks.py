"""A link of two ideal processors whose figures a test overrides, and its embedded run."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import msgspec

from qnet.ids import NodeId
from qnet.plan import AppPlan, NetworkPlan, Route
from qnet.runtime.run import RunOptions, RunOutcome, run
from qnet.topology import compile_topology


def pair_of_nodes(app: dict[str, Any], node: dict[str, Any] | None = None, **link: Any):
    """The plan of alice and bob, 10 m from a station; ``node`` overrides figures of both."""
    processor = {"platform": "ideal", **(node or {})}
    return compile_topology(
        {
            "name": "pair",
            "nodes": {"alice": processor, "bob": processor, "middle": {"kind": "station"}},
            "links": {
                "alice-bob": {
                    "ends": ["alice", "bob"],
                    "station": "middle",
                    "length_m": 10.0,
                    "loss_db_per_km": 0.2,
                    "scheme": "double-click",
                    "protocol": "egp",
                    **link,
                }
            },
            "app": {"from_node": "alice", "to_node": "bob", **app},
        }
    )


def run_embedded(plan) -> RunOutcome:
    """Run it in this process, without a folder."""
    return run(plan, RunOptions(mode="embedded"))


def result_of(outcome: RunOutcome, node: str = "alice") -> Any:
    """What the application returned at ``node``; the run must be done."""
    assert outcome.status == "done", outcome.fault
    return outcome.summary["app"]["results"][node]["result"]


def delivered_fidelity(outcome: RunOutcome) -> float:
    """Mean true fidelity at delivery, from the world's ledger."""
    return outcome.summary["requests"][0]["fidelity"]["mean"]


def star(
    leaves: tuple[str, ...],
    app: str,
    parameters: dict[str, Any],
    roles: dict[str, str],
    node: dict[str, Any] | None = None,
    links: list[tuple[str, str]] | None = None,
    **link: Any,
):
    """The plan of a centre with a link of its own to every leaf, and of the application named ``app``.

    There is no network layer: pairs are between neighbours. So each link is compiled by itself.
    """
    processor = {"platform": "ideal", "communication_slots": 4, **(node or {})}
    plans = []
    for first, second in links or [("centre", leaf) for leaf in leaves]:
        name = f"{first}-{second}"
        station = {
            "ends": [first, second],
            "station": f"s-{name}",
            "length_m": 10.0,
            "loss_db_per_km": 0.2,
            "scheme": "double-click",
            "protocol": "egp",
            **link,
        }
        nodes = {first: processor, second: processor, f"s-{name}": {"kind": "station"}}
        deliver = {"name": "deliver", "from_node": first, "to_node": second}
        plans.append(
            compile_topology(
                {"name": "star", "nodes": nodes, "links": {name: station}, "app": deliver}
            )
        )
    by_name = {node.name: node for plan in plans for node in plan.nodes}
    placed = {NodeId(name): role for name, role in roles.items()}
    return msgspec.structs.replace(
        plans[0],
        nodes=tuple(by_name.values()),
        links=tuple(link for plan in plans for link in plan.links),
        app=AppPlan(app, parameters, placed),
    )


def path(
    nodes: tuple[str, ...],
    app: str,
    parameters: dict[str, Any],
    roles: dict[str, str],
    node: dict[str, Any] | None = None,
    **link: Any,
):
    """The plan of a chain of nodes with network layer ``qnp``, and one route between every two with a role."""
    joined = list(pairwise(nodes))
    plan = star((), app, parameters, roles, node, joined, **link)
    routes = {}
    for source, target in permutations(roles, 2):
        first, last = nodes.index(source), nodes.index(target)
        step = 1 if last > first else -1
        way = nodes[first : last + step : step] if last + step >= 0 else nodes[first::-1]
        links = tuple("-".join(sorted(hop, key=nodes.index)) for hop in pairwise(way))
        routes[f"{source}>{target}"] = (Route(way, links, 0.5, 1.0),)
    return msgspec.structs.replace(plan, network_layer=NetworkPlan("qnp", {}, routes))
