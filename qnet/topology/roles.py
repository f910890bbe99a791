"""The application of a topology: which one, and who plays which role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from qnet import plugins
from qnet.ids import NodeId
from qnet.plan import AppPlan, LinkPlan, NodePlan
from qnet.seams import App
from qnet.topology.check import At, nearest, table, typed


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


def compile_app(
    value: object, nodes: tuple[NodePlan, ...], links: tuple[LinkPlan, ...], top: At
) -> AppPlan:
    """The application of the table ``app``, its roles placed on nodes that links join."""
    at = top.key("app")
    data = dict(table(value, at))
    if "name" not in data:
        raise at.key("name").error("is required", hint=nearest("", plugins.names("qnet.apps")))
    name = data.pop("name")
    app = _find_app(name, at.key("name"))
    if len(app.place) > 1 and not links:
        raise top.key("links").error(f"application {app.name} must have a link, there is none")
    _place_on_only_link(data, app, links)
    parameters = typed(data, app.parameters, at, domains=False)
    roles = _roles(app, parameters, nodes, at)
    if not roles:
        raise at.key("name").error(
            "must be an application that a topology can place on nodes", app.name
        )
    _check_joined(app, parameters, roles, links, at)
    return AppPlan(name, msgspec.to_builtins(parameters), roles)


def _find_app(chosen: object, at: At) -> App:
    if not plugins.exists("qnet.apps", chosen):
        raise at.error(plugins.unknown("qnet.apps", str(chosen)))
    return plugins.find("qnet.apps", str(chosen))


def _place_on_only_link(data: dict[str, Any], app: App, links: tuple[LinkPlan, ...]) -> None:
    """Two roles that nobody placed go to the ends of a network's only link, in order of name.

    Unless the application's own defaults name these two ends, in whichever order. A role on a list of
    nodes is placed by a list of one, but for a role that is everywhere by default.
    """
    keys = list(app.place.values())
    if len(keys) != 2 or len(links) != 1 or any(key in data for key in keys):
        return
    fields = {field.name: field for field in msgspec.structs.fields(app.parameters)}
    defaults = {_only(fields[key].default) for key in keys}
    if defaults != set(links[0].ends):
        for (role, key), end in zip(app.place.items(), links[0].ends, strict=True):
            if role not in app.everywhere:
                data[key] = [str(end)] if isinstance(fields[key].default, tuple) else str(end)


def _only(value: object) -> object:
    """The one item of a list of one, else the value itself."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _roles(
    app: App, parameters: msgspec.Struct, nodes: tuple[NodePlan, ...], at: At
) -> dict[NodeId, str]:
    """Which node plays which role."""
    processors = [node.name for node in nodes if node.platform is not None]
    roles: dict[NodeId, str] = {}
    for role, key in app.place.items():
        chosen = getattr(parameters, key)
        if isinstance(chosen, str):
            _check_processor(chosen, role, processors, at.key(key))
            if chosen in roles:
                raise at.key(key).error(
                    f"must name another node than {roles[NodeId(chosen)]}, one node has one role",
                    chosen,
                )
            roles[NodeId(chosen)] = role
        else:
            for node in _listed(app, role, chosen, processors, at.key(key)):
                roles.setdefault(NodeId(node), role)
            if role not in roles.values():
                raise at.key(key).error(
                    f"must name a node for {role} that no earlier role has taken", list(chosen)
                )
    return roles


def _listed(
    app: App, role: str, chosen: Sequence[str], processors: Sequence[str], at: At
) -> Sequence[str]:
    """The nodes of a role on a list of nodes."""
    if not chosen and role in app.everywhere:
        return processors
    if not chosen:
        raise at.error(f"must name at least one processor that is {role}", [])
    for index, node in enumerate(chosen):
        place = At(at.file, f"{at.path}[{index}]")
        _check_processor(node, role, processors, place)
        if node in chosen[:index]:
            raise place.error("must name each node once", node)
    return chosen


def _check_processor(chosen: str, role: str, processors: Sequence[str], at: At) -> None:
    if chosen not in processors:
        raise at.error(
            f"must name the processor that is {role}", chosen, nearest(chosen, processors)
        )


def _check_joined(
    app: App,
    parameters: msgspec.Struct,
    roles: Mapping[NodeId, str],
    links: tuple[LinkPlan, ...],
    at: At,
) -> None:
    """Roles that may share pairs must be joined by paths of links.

    Nodes that nobody named but that have a role because it is everywhere may be islands.
    """
    if len(roles) < 2:
        return
    first = next(iter(roles))
    within = reached(first, links)
    for node, role in roles.items():
        key = app.place[role]
        if not getattr(parameters, key):
            continue
        if not any(node in link.ends for link in links):
            raise at.key(key).error("must be at an end of a link", str(node))
        if node not in within:
            raise at.key(key).error(f"must be joined to {first} by a path of links", str(node))


def reached(start: NodeId, links: tuple[LinkPlan, ...]) -> frozenset[NodeId]:
    """The processors that paths of links join to ``start``, itself included."""
    found = {start}
    fresh = [start]
    while fresh:
        node = fresh.pop()
        for link in links:
            if node in link.ends:
                other = link.ends[1 - link.ends.index(node)]
                if other not in found:
                    found.add(other)
                    fresh.append(other)
    return frozenset(found)
