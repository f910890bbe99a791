"""A registry with the real platforms and small stand-ins for protocols and applications."""

from __future__ import annotations

import sys
import types
from importlib.metadata import EntryPoint
from typing import Literal

import msgspec
import pytest

from qnet import plugins
from qnet.physics.heralding import double_click
from qnet.plan import LinkOptics, Route, RunPlan
from qnet.seams import (
    App,
    ClickOutcome,
    HeraldingScheme,
    LinkProtocol,
    NetworkProtocol,
    PurificationProtocol,
    Routing,
)

LABELS = ((1, 0), (1, 0), (1, 1), (1, 1))


def outcomes(optics: LinkOptics, _parameters: SchemeParameters) -> list[ClickOutcome]:
    click = double_click(optics)
    return [
        ClickOutcome((index,), click.pattern_prob, label, click.state(label))
        for index, label in enumerate(LABELS)
    ]


class SchemeParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gain: float = 1.0
    mode: Literal["time-bin", "polarisation"] = "polarisation"


class TwoNodes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    from_node: str = ""
    to_node: str = ""
    pairs: int = 100
    comment: str = ""


class OtherTwoNodes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    from_node: str
    to_node: str
    angle_rad: float = 0.0


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    from_node: str = "bob"
    to_node: str = "alice"


class Lonely(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    node: str = ""


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    centre: str = "alice"
    leaves: tuple[str, ...] = ()


class Crowd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    nodes: tuple[str, ...] = ()


class Cutoff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cutoff_s: float = 0.1


class Steps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rounds: int = 1


def simple_paths(plan: RunPlan, source: str, target: str, alternatives: int) -> list[Route]:
    """Every simple path, the shortest first; rate and goodness by the number of links."""
    found, fresh = [], [((source,), ())]
    while fresh:
        nodes, links = fresh.pop(0)
        if nodes[-1] == target:
            found.append(Route(nodes, links, 0.9 ** len(links), 1.0 / len(links)))
            continue
        for link in plan.links_of(nodes[-1]):
            (other,) = set(link.ends) - {nodes[-1]}
            if other not in nodes:
                fresh.append(((*nodes, other), (*links, link.name)))
    return found[:alternatives]


def _unused(*_: object) -> None:
    raise AssertionError("a plan is compiled without starting anything")


PLACE = {"sender": "from_node", "receiver": "to_node"}
MODULE = types.ModuleType("topology_stand_ins")
MODULE.SCHEME = HeraldingScheme(
    "double-click", outcomes, _unused, _unused, _unused, (), SchemeParameters
)
MODULE.PROTOCOL = LinkProtocol("egp", _unused, ())
MODULE.DELIVER = App("deliver", {"sender": _unused, "receiver": _unused}, PLACE, TwoNodes)
MODULE.CHSH = App("chsh", {"sender": _unused, "receiver": _unused}, PLACE, OtherTwoNodes)
MODULE.NAMED = App("named", {"sender": _unused, "receiver": _unused}, PLACE, Named)
MODULE.QNP = NetworkProtocol("qnp", _unused, (), Cutoff)
MODULE.ROUTING = Routing("fidelity", simple_paths, Steps)
MODULE.DEJMPS = PurificationProtocol("dejmps", _unused, (), Steps)
MODULE.GROUP = App(
    "group", {"centre": _unused, "leaf": _unused}, {"centre": "centre", "leaf": "leaves"}, Group
)
MODULE.CROWD = App(
    "crowd", {"user": _unused}, {"user": "nodes"}, Crowd, everywhere=frozenset({"user"})
)
MODULE.LONELY = App("lonely", {"only": _unused}, {"only": "node"}, Lonely)

POINTS = {
    "qnet.platforms": {
        "sr88-2020": "qnet_nodes.trapped_ion:SR88_2020",
        "sr88-ca43": "qnet_nodes.trapped_ion:SR88_CA43",
        "ideal": "qnet_nodes.ideal:IDEAL",
    },
    "qnet.heralding": {"double-click": "topology_stand_ins:SCHEME"},
    "qnet.links": {"egp": "topology_stand_ins:PROTOCOL"},
    "qnet.purification": {"dejmps": "topology_stand_ins:DEJMPS"},
    "qnet.networks": {"qnp": "topology_stand_ins:QNP"},
    "qnet.routing": {"fidelity": "topology_stand_ins:ROUTING"},
    "qnet.apps": {
        "deliver": "topology_stand_ins:DELIVER",
        "chsh": "topology_stand_ins:CHSH",
        "group": "topology_stand_ins:GROUP",
        "crowd": "topology_stand_ins:CROWD",
        "lonely": "topology_stand_ins:LONELY",
        "named": "topology_stand_ins:NAMED",
    },
    "qnet.engines": {"qutip": "qnet.world.engines:QUTIP", "bell": "qnet.world.engines:BELL"},
    "qnet.stations": {"apd-422": "qnet_nodes.stations:APD_422"},
    "qnet.schedulers": {},
}


@pytest.fixture(autouse=True, scope="module")
def stand_ins():
    """Module scope: Hypothesis refuses function scope; session scope would leak elsewhere."""
    found = {
        group: {name: [EntryPoint(name, value, group)] for name, value in named.items()}
        for group, named in POINTS.items()
    }
    patch = pytest.MonkeyPatch()
    patch.setitem(sys.modules, MODULE.__name__, MODULE)
    patch.setattr(plugins, "_scan", lambda: found)
    yield
    patch.undo()
