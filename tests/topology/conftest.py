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
from qnet.plan import LinkOptics
from qnet.seams import App, ClickOutcome, HeraldingScheme, LinkProtocol

LABELS = ((1, 0), (1, 0), (1, 1), (1, 1))


def outcomes(optics: LinkOptics) -> list[ClickOutcome]:
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
MODULE.LONELY = App("lonely", {"only": _unused}, {"only": "node"}, Lonely)

POINTS = {
    "qnet.platforms": {
        "sr88-2020": "qnet_nodes.trapped_ion:SR88_2020",
        "sr88-ca43": "qnet_nodes.trapped_ion:SR88_CA43",
        "ideal": "qnet_nodes.ideal:IDEAL",
    },
    "qnet.heralding": {"double-click": "topology_stand_ins:SCHEME"},
    "qnet.links": {"egp": "topology_stand_ins:PROTOCOL"},
    "qnet.apps": {
        "deliver": "topology_stand_ins:DELIVER",
        "chsh": "topology_stand_ins:CHSH",
        "lonely": "topology_stand_ins:LONELY",
        "named": "topology_stand_ins:NAMED",
    },
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
