"""Nodes of a topology: a processor is a platform sheet with overrides, a station its detectors."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from qnet import plugins
from qnet.errors import ConfigError
from qnet.hardware import Coherence, Platform, Station
from qnet.ids import NodeId
from qnet.plan import NodePlan
from qnet.topology.check import At, known_keys, name, nearest, refuse_odd_numbers, table, typed
from qnet.topology.couplings import check_slots
from qnet.topology.plugs import plugin

SHORTHANDS: Final = {
    "t1_s": ("communication", "t1_s"),
    "t2_s": ("communication", "t2_s"),
    "memory_t1_s": ("memory", "t1_s"),
    "memory_t2_s": ("memory", "t2_s"),
}
"""Keys of a processor that stand for a figure deeper in its platform."""

KINDS: Final = ("processor", "station")


def compile_nodes(value: object, at: At) -> tuple[NodePlan, ...]:
    """All nodes of the table ``nodes``, sorted by name."""
    tables = table(value, at)
    if not tables:
        raise at.error("a network must have at least one node")
    return tuple(_node(key, tables[key], at) for key in sorted(tables))


def _node(key: str, value: object, nodes: At) -> NodePlan:
    node = NodeId(name(key, nodes.key(key)))
    at = nodes.key(key)
    data = dict(table(value, at))
    kind = data.pop("kind", "processor")
    if kind not in KINDS:
        raise at.key("kind").error(f"must be one of {', '.join(KINDS)}", kind)
    if kind == "station":
        return NodePlan(node, station=_detectors(data, at))
    stray = sorted(set(data) & set(Station.__struct_fields__))
    if stray and "platform" not in data:
        raise at.key(stray[0]).error("belongs to a station", hint='Add kind = "station"')
    return _processor(node, data, at)


def _detectors(data: dict[str, Any], at: At) -> Station:
    """The figures of a station: those of its sheet, if it names one, with its own in their place."""
    if "sheet" not in data:
        return typed(data, Station, at)
    refuse_odd_numbers(data, at)
    known_keys(data, Station, at, also=("kind", "sheet"))
    found = plugin("qnet.stations", data.pop("sheet"), at.key("sheet"))
    return typed({**msgspec.to_builtins(found.station), **data}, Station, at)


def _processor(node: NodeId, data: dict[str, Any], at: At) -> NodePlan:
    refuse_odd_numbers(data, at)
    known_keys(data, Platform, at, also=("kind", "platform", *SHORTHANDS))
    known = plugins.names("qnet.platforms")
    if "platform" not in data:
        raise at.key("platform").error("is required", hint=nearest("", known))
    model = data.pop("platform")
    if model not in known:
        raise at.key("platform").error(plugins.unknown("qnet.platforms", str(model)))
    sheet = plugins.find("qnet.platforms", model)
    spelled = _expand(data, at)
    merged = msgspec.to_builtins(sheet.platform)
    for key, value in data.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    platform = _typed_platform(merged, at, spelled)
    for role in ("communication", "memory"):
        _check_coherence(getattr(platform, role), role, at, spelled)
    check_slots(platform, at.key("couplings"))
    if platform.slots < 1:
        raise at.error("communication_slots + memory_slots must be >= 1", platform.slots)
    return NodePlan(node, platform_name=sheet.name, platform=platform)


def _expand(data: dict[str, Any], at: At) -> dict[str, str]:
    """Move shorthands to where they belong; returns full path -> key as the author wrote it."""
    spelled = {}
    for short, (role, figure) in SHORTHANDS.items():
        if short not in data:
            continue
        value = data.pop(short)
        inner = dict(table(data.get(role, {}), at.key(role)))
        if figure in inner:
            raise at.key(short).error(f"must be given once, {role}.{figure} is given too", value)
        data[role] = {**inner, figure: value}
        spelled[f"{role}.{figure}"] = short
    return spelled


def _typed_platform(merged: dict[str, Any], at: At, spelled: dict[str, str]) -> Platform:
    """The platform; a mistake in a shorthand is reported under the key that the author wrote."""
    try:
        return typed(merged, Platform, at)
    except ConfigError as error:
        short = spelled.get(error.path.removeprefix(f"{at.path}."))
        if short is None:
            raise
        raise at.key(short).error(error.constraint, error.value, error.hint) from None


def _check_coherence(times: Coherence, role: str, at: At, spelled: dict[str, str]) -> None:
    """No qubit keeps its coherence longer than twice its population."""
    if times.t2_s > 2.0 * times.t1_s:
        short = spelled.get(f"{role}.t2_s")
        place = at.key(role).key("t2_s") if short is None else at.key(short)
        raise place.error(f"must obey 0 < t2_s <= 2*t1_s = {2.0 * times.t1_s:g}", times.t2_s)
