"""Plug-ins that a description names: found, with their parameters filled in."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from qnet import plugins
from qnet.errors import PluginError
from qnet.hardware import Platform
from qnet.plan import Estimate, PurificationPlan
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


def predicted(
    plan: PurificationPlan | None, raw: Estimate, ends: tuple[Platform, Platform], link: str
) -> PurificationPlan | None:
    """``plan`` with what its protocol predicts for the pairs of a link.

    Raises:
        PluginError: the prediction is impossible.
    """
    if plan is None:
        return None
    predict = plugins.find("qnet.purification", plan.protocol).predict
    if predict is None:
        return plan
    better = predict(raw.correlators, raw.rate_hz, ends, plan.parameters)
    possible = all(-1.0 <= one <= 1.0 for one in better.correlators)
    if not possible or not better.raw_pairs >= 1.0:
        raise PluginError(
            f"purification protocol {plan.protocol}: on link {link}, the prediction must have correlators in "
            f"-1..1 and raw_pairs >= 1, got {better}"
        )
    return msgspec.structs.replace(
        plan, correlators=better.correlators, rate_hz=raw.rate_hz / better.raw_pairs
    )
