"""From what the user names to what is tested: a plug-in, an object of a package, a program, a host."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, Final

from qnet import __version__
from qnet.errors import PluginError
from qnet.plugins import GROUPS, Group, catalogue, find, names, unknown
from qnet.testing.conformance.requirement import Layer
from qnet.testing.conformance.suite import Target
from qnet.testing.conformance.wire.own import TARGET as OWN_HOST
from qnet.testing.conformance.wire.own import OwnHost
from qnet.testing.conformance.wire.program import PREFIX, Program
from qnet.testing.conformance.wire.talk import LIVENESS_S

LAYER_GROUPS: Final[Mapping[Layer, Group]] = {
    "link": "qnet.links",
    "purify": "qnet.purification",
    "network": "qnet.networks",
    "physical": "qnet.heralding",
    "platform": "qnet.platforms",
}
"""Layers whose targets are plug-ins."""


def resolve(name: str, layer: str = "") -> Target:
    """What ``name`` means: a plug-in, ``package:Object``, ``exec:COMMAND``, or ``qnet``, its own host.

    Args:
        name: as the user wrote it.
        layer: "" for that of the only group of plug-ins with one of that name.

    Raises:
        PluginError: there is none or several, it cannot be imported, or it is something else.
    """
    if name == OWN_HOST:
        return Target(name, OwnHost(), f"qnet {__version__}")
    if name.startswith(PREFIX):
        limit = f"a program, taken for hung after {LIVENESS_S:g} s of silence"
        return Target(name, Program(name.removeprefix(PREFIX)), limit)
    if ":" not in name:
        return _installed(name, layer)
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as failure:
        # Foreign code: whatever its import raises becomes one sentence with its cause.
        raise PluginError(
            f"target {name!r} cannot be loaded: {type(failure).__name__}: {failure}"
        ) from failure
    kinds = tuple(GROUPS[group] for group in LAYER_GROUPS.values())
    if not isinstance(found, kinds):
        names = ", ".join(kind.__name__ for kind in kinds)
        raise PluginError(
            f"target {name!r} must be a qnet.seams record, one of {names}, got {type(found).__name__}"
        )
    return Target(name, found, module)


def _installed(name: str, layer: str) -> Target:
    groups = [group for one, group in LAYER_GROUPS.items() if layer == one] or [
        *LAYER_GROUPS.values()
    ]
    found = [group for group in groups if name in names(group)]
    if len(found) > 1:
        layers = " or ".join(one for one, group in LAYER_GROUPS.items() if group in found)
        raise PluginError(f"target {name!r} is in several groups: --layer must say {layers}")
    if not found and len(groups) == 1:
        raise PluginError(unknown(groups[0], name))
    if not found:
        known = sorted({one for group in groups for one in names(group)})
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise PluginError(f"no plug-in is called {name!r}; {guess}(known: {', '.join(known)})")
    (group,) = found
    packages = {
        one.name: f"{one.package} {one.version}" for one in catalogue() if one.group == group
    }
    return Target(name, find(group, name), packages.get(name, ""))


def layer_of(target: Target) -> Layer:
    """The specification that a target is held against, unless its user names one."""
    for layer, group in LAYER_GROUPS.items():
        if isinstance(target.protocol, GROUPS[group]):
            return layer
    return "wire"  # a program, or our own host
