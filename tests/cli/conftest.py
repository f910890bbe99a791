"""A topology file in an empty current folder, and the command line called in this process."""

from __future__ import annotations

import pytest

from qnet.cli.main import main

# Lifetimes are finite here and long against everything else.
TOPOLOGY = """
name = "pair"
[nodes.alice]
platform = "ideal"
t1_s = 1e6
t2_s = 1e6
memory_t1_s = 1e6
memory_t2_s = 1e6
[nodes.bob]
platform = "ideal"
t1_s = 1e6
t2_s = 1e6
memory_t1_s = 1e6
memory_t2_s = 1e6
[nodes.middle]
kind = "station"
[links.alice-bob]
ends = ["alice", "bob"]
station = "middle"
length_m = 10.0
loss_db_per_km = 0.2
scheme = "double-click"
protocol = "egp"
[app]
name = "deliver"
from_node = "alice"
to_node = "bob"
pairs = 8
[run]
seed = 5
"""


@pytest.fixture
def topology(tmp_path, monkeypatch):
    """Name of the file; the current folder holds nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pair.toml").write_text(TOPOLOGY)
    return "pair.toml"


@pytest.fixture
def qnet(capsys):
    """Calls ``qnet`` with arguments; (exit status, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def recorded(topology, qnet, tmp_path):
    """The folder of an embedded run."""
    status, _, error = qnet("run", topology, "--embedded", "--no-plots", "--out", "recorded")
    assert (status, error) == (0, "")
    return tmp_path / "recorded"
