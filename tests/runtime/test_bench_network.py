"""The bench of networks: its rows and its plot."""

from __future__ import annotations

import pytest

from qnet.bench import network
from qnet.cli.main import main


@pytest.mark.slow
def test_rows_of_both_modes_and_a_plot(tmp_path):
    rows = network.run(embedded=(2, 4), processes=(10,))
    assert [(row["mode"], row["nodes"]) for row in rows] == [
        ("embedded", 2),
        ("embedded", 4),
        ("processes", 10),
    ]
    assert rows[-1]["processes"] == 19  # ten processors, nine stations
    for row in rows:
        assert row["pair_ms"] > row["state_ms"] > 0.0
        assert row["memory_mib"] > 10.0
    network.draw(rows, tmp_path / "network.png")
    assert (tmp_path / "network.png").read_bytes().startswith(b"\x89PNG")


def test_bench_of_an_unknown_name_is_refused(capsys):
    assert main(["bench", "netwrk"]) == 2
    assert "Did you mean 'network'?" in capsys.readouterr().err


def test_bench_needs_a_folder_for_its_plots(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["bench", "network", "--plots", str(tmp_path / "file")]) == 2
    assert "--plots" in capsys.readouterr().err
