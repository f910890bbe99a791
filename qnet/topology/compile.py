"""From the tables of a topology to a run plan: nodes, links, application, network layer, faults, run."""

from __future__ import annotations

from typing import Any

import msgspec

from qnet.plan import ENGINE, RunPlan
from qnet.topology.check import At, name, table, typed
from qnet.topology.couplings import check_use
from qnet.topology.faults import compile_faults
from qnet.topology.links import compile_links
from qnet.topology.network import with_network
from qnet.topology.nodes import compile_nodes
from qnet.topology.plugs import check_engine
from qnet.topology.roles import compile_app
from qnet.units import duration_from_s


class RunEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table ``run``; fields as in :class:`qnet.plan.RunPlan`, ``until_s`` and ``patience_s`` in seconds."""

    seed: int = 1
    until_s: float | None = None
    cluster_cap: int = 10
    exact_attempts: bool = False
    explore_schedule: int = 0
    patience_s: float = 0.5
    engine: str = ENGINE


class _Topology(msgspec.Struct, frozen=True):
    """Top-level keys, for the check of their spelling."""

    nodes: Any
    name: Any = ""
    links: Any = None
    network: Any = None
    app: Any = None
    faults: Any = None
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
    plan = RunPlan(
        network=network,
        seed=run.seed,
        nodes=nodes,
        links=links,
        app=compile_app(data.get("app", {}), nodes, links, at),
        exact_attempts=run.exact_attempts,
        cluster_cap=run.cluster_cap,
        explore_schedule=run.explore_schedule,
        until=None if run.until_s is None else duration_from_s(run.until_s),
        faults=compile_faults(data.get("faults", {}), nodes, links, at.key("faults")),
        patience=duration_from_s(run.patience_s),
        engine=msgspec.UNSET if run.engine == ENGINE else run.engine,
    )
    check_engine(plan, at.key("run").key("engine"))
    whole = with_network(plan, data.get("network"), at.key("network"))
    check_use(whole, at.key("nodes"))
    return whole
