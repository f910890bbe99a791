"""From the tables of a topology to a run plan: nodes, links, application, run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from qnet import plugins
from qnet.ids import NodeId
from qnet.plan import AppPlan, LinkPlan, NodePlan, RunPlan
from qnet.seams import App
from qnet.topology.check import At, name, nearest, table, typed
from qnet.topology.links import compile_links
from qnet.topology.nodes import compile_nodes
from qnet.units import duration_from_s


class RunEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table ``run``; fields as in :class:`qnet.plan.RunPlan`, ``until_s`` in seconds."""

    seed: int = 1
    until_s: float | None = None
    cluster_cap: int = 10
    exact_attempts: bool = False
    explore_schedule: int = 0


class _Topology(msgspec.Struct, frozen=True):
    """Top-level keys, for the check of their spelling."""

    nodes: Any
    name: Any = ""
    links: Any = None
    app: Any = None
    run: Any = None


def compile_topology(
    data: dict[str, Any], file: str = "", *, default_name: str = "network"
) -> RunPlan:
    """The plan of the network that ``data`` describes; see :mod:`qnet.topology` for the format.

    Args:
        data: tables as :mod:`tomllib` returns them.
        file: named in errors.
        default_name: name of a network that does not say its own.

    Raises:
        ConfigError: a mistake in the description, with file, key path, constraint and value.
        PluginError: a plug-in that the description names is installed but broken.
    """
    at = At(file)
    top = typed(table(data, at), _Topology, at, domains=False)
    network = name(data.get("name", default_name), at.key("name"), longest=64)
    nodes = compile_nodes(top.nodes, at.key("nodes"))
    links = compile_links(data.get("links", {}), nodes, at.key("links"))
    run = typed(table(data.get("run", {}), at.key("run")), RunEntry, at.key("run"))
    return RunPlan(
        network=network,
        seed=run.seed,
        nodes=nodes,
        links=links,
        app=_app(data.get("app", {}), nodes, links, at),
        exact_attempts=run.exact_attempts,
        cluster_cap=run.cluster_cap,
        explore_schedule=run.explore_schedule,
        until=None if run.until_s is None else duration_from_s(run.until_s),
    )


def choose_app(described: Mapping[str, Any], chosen: str, at: At) -> dict[str, Any]:
    """The table ``app`` when ``chosen`` runs instead of the described application.

    Another application takes over who takes part (parameters that place its roles), not what the
    described one did.
    """
    app = _find_app(chosen, at)
    kept = (
        dict(described)
        if described.get("name") == chosen
        else {key: item for key, item in described.items() if key in app.place.values()}
    )
    return {**kept, "name": chosen}


def _find_app(chosen: object, at: At) -> App:
    if chosen not in plugins.names("qnet.apps"):
        raise at.error(plugins.unknown("qnet.apps", str(chosen)))
    return plugins.find("qnet.apps", str(chosen))


def _app(
    value: object, nodes: tuple[NodePlan, ...], links: tuple[LinkPlan, ...], top: At
) -> AppPlan:
    at = top.key("app")
    data = dict(table(value, at))
    if "name" not in data:
        raise at.key("name").error("is required", hint=nearest("", plugins.names("qnet.apps")))
    app = _find_app(data.pop("name"), at.key("name"))
    if len(app.place) > 1 and not links:
        raise top.key("links").error(f"application {app.name} must have a link, there is none")
    _place_on_only_link(data, app, links)
    parameters = typed(data, app.parameters, at, domains=False)
    roles = _roles(app, parameters, nodes, at)
    if not roles:
        raise at.key("name").error(
            "must be an application that a topology can place on nodes", app.name
        )
    _check_links(app, roles, links, top)
    return AppPlan(app.name, msgspec.to_builtins(parameters), roles)


def _place_on_only_link(data: dict[str, Any], app: App, links: tuple[LinkPlan, ...]) -> None:
    """Two roles that nobody placed go to the ends of a network's only link, in order of name.

    Unless the application's own defaults name these two ends, in whichever order.
    """
    keys = list(app.place.values())
    if len(keys) != 2 or len(links) != 1 or any(key in data for key in keys):
        return
    defaults = {field.name: field.default for field in msgspec.structs.fields(app.parameters)}
    if {defaults.get(key) for key in keys} != set(links[0].ends):
        data.update(zip(keys, links[0].ends, strict=True))


def _roles(
    app: App, parameters: msgspec.Struct, nodes: tuple[NodePlan, ...], at: At
) -> dict[NodeId, str]:
    """Which node plays which role."""
    processors = [node.name for node in nodes if node.platform is not None]
    roles: dict[NodeId, str] = {}
    for role, key in app.place.items():
        chosen = getattr(parameters, key)
        if chosen not in processors:
            raise at.key(key).error(
                f"must name the processor that is {role}", chosen, nearest(str(chosen), processors)
            )
        if chosen in roles:
            raise at.key(key).error(
                f"must name another node than {roles[chosen]}, one node has one role", chosen
            )
        roles[NodeId(chosen)] = role
    return roles


def _check_links(
    app: App, roles: Mapping[NodeId, str], links: tuple[LinkPlan, ...], top: At
) -> None:
    """Without a network layer, roles that share pairs must sit at the ends of links."""
    if len(roles) < 2:
        return
    for node, role in roles.items():
        if not any(node in link.ends for link in links):
            place = top.key("app").key(app.place[role])
            raise place.error("must be at an end of a link", str(node))
    if len(roles) == 2 and not any(set(roles) == set(link.ends) for link in links):
        raise top.key("app").error(
            "the two nodes of an application must share a link", [str(node) for node in roles]
        )
