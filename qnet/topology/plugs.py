"""Plug-ins that a description names: found, with their parameters filled in."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from qnet import plugins
from qnet.errors import PluginError
from qnet.hardware import Platform
from qnet.plan import LinkPlan, PurificationPlan
from qnet.topology.check import At, nearest, table, typed


def plugin(
    group: Literal[
        "qnet.heralding", "qnet.links", "qnet.purification", "qnet.networks", "qnet.routing"
    ],
    wanted: object,
    at: At,
) -> Any:
    """The plug-in ``wanted`` of ``group``, named at ``at``.

    Raises:
        ConfigError: nobody gives that name.
        PluginError: the plug-in is broken.
    """
    if wanted not in plugins.names(group):
        raise at.error(plugins.unknown(group, str(wanted)))
    return plugins.find(group, str(wanted))


def parameters(data: dict[str, Any], record: type[msgspec.Struct], at: At) -> dict[str, Any]:
    """Parameters of a plug-in with its defaults filled in, as plain data."""
    filled: dict[str, Any] = msgspec.to_builtins(typed(data, record, at, domains=False))
    return filled


def purification(value: object, at: At) -> PurificationPlan | None:
    """The plan of a table ``purification``: ``protocol`` and its parameters; None if there is no table."""
    if value is None:
        return None
    data = dict(table(value, at))
    if "protocol" not in data:
        known = plugins.names("qnet.purification")
        raise at.key("protocol").error("is required", hint=nearest("", known))
    found = plugin("qnet.purification", data.pop("protocol"), at.key("protocol"))
    return PurificationPlan(found.name, parameters(data, found.parameters, at))


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
