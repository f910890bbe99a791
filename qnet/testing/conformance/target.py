"""From what the user names to what is tested: an installed plug-in, or an object of a package."""

from __future__ import annotations

import importlib
from typing import Any

from qnet.errors import PluginError
from qnet.plugins import catalogue, find
from qnet.seams import LinkProtocol
from qnet.testing.conformance.suite import Target


def resolve(name: str) -> Target:
    """The link protocol that ``name`` means: an installed one, or ``package:Object``.

    Raises:
        PluginError: there is none, it cannot be imported, or it is something else.
    """
    if ":" not in name:
        protocol = find("qnet.links", name)
        packages = {
            one.name: f"{one.package} {one.version}"
            for one in catalogue()
            if one.group == "qnet.links"
        }
        return Target(name, protocol, packages.get(name, ""))
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
    if not isinstance(found, LinkProtocol):
        raise PluginError(
            f"target {name!r} must be a qnet.seams.LinkProtocol, got {type(found).__name__}"
        )
    return Target(name, found, module)
