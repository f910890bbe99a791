"""The supplied topologies with the plug-ins that are really installed, not stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnet import plugins
from qnet.topology import load

TOPOLOGIES = sorted((Path(__file__).parents[2] / "deploy" / "topologies").glob("*.toml"))


@pytest.mark.parametrize("file", TOPOLOGIES, ids=lambda file: file.stem)
def test_supplied_topologies_compile(file):
    plan = load(file)
    assert plan.links or len(plan.nodes) == 1


def test_ion_pair_is_the_published_link():
    estimate = load(TOPOLOGIES[0].with_name("ion-pair.toml")).links[0].estimate
    assert estimate.rate_hz == pytest.approx(182.0, rel=0.01)
    assert estimate.goodness == pytest.approx(0.940, abs=0.005)


def test_every_built_in_plugin_loads():
    failed = [
        entry
        for entry in plugins.catalogue()
        if entry.package == "qnet-stack" and entry.status != "ok"
    ]
    assert failed == []
