"""One small recorded run that the tests of this folder read, and a copy to spoil."""

from __future__ import annotations

import shutil

import pytest

from qnet.runtime.run import RunOptions, run
from qnet.topology import compile_topology

DESCRIPTION = {
    "name": "pair",
    "nodes": {
        "alice": {"platform": "ideal", "emission": {"spin_photon_fidelity": 0.97}},
        "bob": {"platform": "ideal", "emission": {"spin_photon_fidelity": 0.97}},
        "middle": {"kind": "station"},
    },
    "links": {
        "alice-bob": {
            "ends": ["alice", "bob"],
            "station": "middle",
            "length_m": 10.0,
            "loss_db_per_km": 0.2,
            "scheme": "double-click",
            "protocol": "egp",
        }
    },
    "app": {"name": "teleport", "from_node": "alice", "to_node": "bob", "pairs": 6},
}


@pytest.fixture(scope="session")
def plan():
    return compile_topology(DESCRIPTION)


@pytest.fixture(scope="session")
def recorded(plan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    outcome = run(plan, RunOptions(mode="embedded", folder=folder))
    assert outcome.status == "done", outcome.fault
    return folder


@pytest.fixture
def copy(recorded, tmp_path):
    """The recorded run, to be changed."""
    return shutil.copytree(recorded, tmp_path / "copy")
