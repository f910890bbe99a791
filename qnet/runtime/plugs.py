"""The plug-ins of a run, loaded by the names that its plan mentions."""

from __future__ import annotations

from qnet.plan import RunPlan
from qnet.plugins import find
from qnet.runtime import courier
from qnet.runtime.wiring import APP
from qnet.seams import App, HeraldingScheme, LinkProtocol, NetworkProtocol, PurificationProtocol
from qnet.wire.catalogue import Catalogue


class Seams:
    """The plug-ins of one run and the kinds of message that they exchange."""

    def __init__(self, plan: RunPlan) -> None:
        self.schemes: dict[str, HeraldingScheme] = {}
        self.protocols: dict[str, LinkProtocol] = {}
        self.purifications: dict[str, PurificationProtocol] = {}
        self.network: NetworkProtocol | None = None
        self.catalogue = Catalogue()
        self.catalogue.add(courier.LAYER, courier.MESSAGES)
        for name in sorted({link.scheme for link in plan.links}):
            self.schemes[name] = scheme = find("qnet.heralding", name)
            self.catalogue.add("physical", scheme.messages)
        for name in _schedulers(plan):
            find("qnet.schedulers", name)  # by the machines later; a broken one is said now
        for name in sorted({link.protocol for link in plan.links}):
            self.protocols[name] = protocol = find("qnet.links", name)
            self.catalogue.add("link", protocol.messages)
        layer = plan.network_layer
        used = [link.purification for link in plan.links]
        if layer is not None:
            used.append(layer.purification)
            self.network = find("qnet.networks", layer.protocol)
            self.catalogue.add("network", self.network.messages)
        for name in sorted({one.protocol for one in used if one is not None}):
            self.purifications[name] = purification = find("qnet.purification", name)
            self.catalogue.add("purify", purification.messages)
        self.app: App = find("qnet.apps", plan.app.name)
        self.catalogue.add(APP, self.app.messages)


def mentioned(plan: RunPlan) -> list[str]:
    """Plug-ins that a host of this plan needs, as GROUP=NAME, for whoever imports them ahead."""
    names = {f"qnet.heralding={link.scheme}" for link in plan.links}
    names |= {f"qnet.links={link.protocol}" for link in plan.links}
    names |= {f"qnet.schedulers={name}" for name in _schedulers(plan)}
    used = [link.purification for link in plan.links]
    if plan.network_layer is not None:
        names.add(f"qnet.networks={plan.network_layer.protocol}")
        used.append(plan.network_layer.purification)
    names |= {f"qnet.purification={one.protocol}" for one in used if one is not None}
    return [*sorted(names), f"qnet.apps={plan.app.name}"]


def _schedulers(plan: RunPlan) -> list[str]:
    """Schedulers that link protocols name in their parameter ``scheduler``."""
    chosen = [link.protocol_parameters.get("scheduler") for link in plan.links]
    named = {one["name"] if isinstance(one, dict) else one for one in chosen if one is not None}
    return sorted(named)
