"""Plug-ins that a description names: found, with their parameters filled in."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from qnet import plugins
from qnet.errors import PluginError
from qnet.hardware import Platform
from qnet.plan import LinkPlan, PurificationPlan, RunPlan
from qnet.topology.check import At, nearest, table, typed


def plugin(
    group: Literal[
        "qnet.stations",
        "qnet.heralding",
        "qnet.links",
        "qnet.schedulers",
        "qnet.purification",
        "qnet.networks",
        "qnet.routing",
        "qnet.engines",
    ],
    wanted: object,
    at: At,
) -> Any:
    """The plug-in ``wanted`` of ``group``, named at ``at``.

    Raises:
        ConfigError: nobody gives that name.
        PluginError: the plug-in is broken.
    """
    if not plugins.exists(group, wanted):
        raise at.error(plugins.unknown(group, str(wanted)))
    return plugins.find(group, str(wanted))


def parameters(data: dict[str, Any], record: type[msgspec.Struct], at: At) -> dict[str, Any]:
    """Parameters of a plug-in with its defaults filled in, as plain data."""
    filled: dict[str, Any] = msgspec.to_builtins(typed(data, record, at, domains=False))
    return filled


def protocol_parameters(
    data: dict[str, Any], record: type[msgspec.Struct], at: At
) -> dict[str, Any]:
    """Parameters of a link protocol; the scheduler among them, if it has one, is found and filled in too."""
    filled = parameters(data, record, at)
    if "scheduler" in filled:
        filled["scheduler"] = _scheduler(filled["scheduler"], at.key("scheduler"))
    return filled


def _scheduler(chosen: object, at: At) -> str | dict[str, Any]:
    """A scheduler as the author named it: by its name alone, or by a table with its own parameters."""
    if not isinstance(chosen, dict):
        found = plugin("qnet.schedulers", chosen, at)
        parameters({}, found.parameters, at)  # refuses one that cannot do without
        return str(chosen)
    given = dict(chosen)
    if "name" not in given:
        raise at.key("name").error(
            "is required", hint=nearest("", plugins.names("qnet.schedulers"))
        )
    name = given.pop("name")
    found = plugin("qnet.schedulers", name, at.key("name"))
    return {"name": name, **parameters(given, found.parameters, at)}


def purification(value: object, at: At) -> PurificationPlan | None:
    """The plan of a table ``purification``: ``protocol`` and its parameters; None if there is no table."""
    if value is None:
        return None
    data = dict(table(value, at))
    if "protocol" not in data:
        known = plugins.names("qnet.purification")
        raise at.key("protocol").error("is required", hint=nearest("", known))
    name = data.pop("protocol")
    found = plugin("qnet.purification", name, at.key("protocol"))
    return PurificationPlan(name, parameters(data, found.parameters, at))


def with_prediction(link: LinkPlan, ends: tuple[Platform, Platform], at: At) -> LinkPlan:
    """``link`` with what its purification protocol, if it has one, predicts for its pairs.

    Raises:
        ConfigError: the protocol refuses the link.
        PluginError: the prediction is impossible.
    """
    plan = link.purification
    if plan is None:
        return link
    predict = plugins.find("qnet.purification", plan.protocol).predict
    if predict is None:
        return link
    try:
        better = predict(link, ends)
    except ValueError as refusal:
        raise at.error(f"protocol {plan.protocol} refuses this link: {refusal}") from refusal
    if not all(-1.0 <= one <= 1.0 for one in better.correlators) or not better.rate_hz > 0.0:
        raise PluginError(
            f"purification protocol {plan.protocol}: on link {link.name}, the prediction must have "
            f"correlators in -1..1 and rate_hz > 0, got {better}"
        )
    purified = msgspec.structs.replace(plan, correlators=better.correlators, rate_hz=better.rate_hz)
    return msgspec.structs.replace(link, purification=purified)


def check_engine(plan: RunPlan, at: At) -> None:
    """Hold a plan against its quantum engine; nothing that the engine needs is imported.

    Raises:
        ConfigError: nobody gives that name, or the engine cannot run the plan.
        PluginError: the plug-in is broken.
    """
    engine = plugin("qnet.engines", plan.engine_name, at)
    if engine.check is None:
        return
    try:
        engine.check(plan)
    except ValueError as refusal:
        raise at.error(
            f"must be an engine that can run this network: {refusal}", plan.engine_name
        ) from refusal
