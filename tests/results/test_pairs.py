from __future__ import annotations

import pytest

from qnet.errors import ConfigError
from qnet.results.pairs import read_pairs
from qnet.world.recorder import DeliveredPair, Recorder

PAIR = DeliveredPair(
    pair="alice-bob#1",
    link="alice-bob",
    request="alice/1",
    index=1,
    origin="alice",
    peer="bob",
    label="10",
    requested_at_ps=0,
    created_at_ps=21_048_968,
    delivered_at_ps=22_097_936,
    goodness=0.1 + 0.2,
    goodness_error=1e-6,
    true_fidelity=None,
)


def test_pairs_come_back_as_the_recorder_wrote_them(tmp_path):
    other = DeliveredPair(**{name: getattr(PAIR, name) for name in PAIR.__struct_fields__})
    recorder = Recorder(tmp_path)
    recorder.pair(PAIR)
    recorder.pair(other)
    recorder.close()
    assert read_pairs(tmp_path) == [PAIR, other]


def test_pairs_of_a_run_come_in_order_of_delivery(recorded):
    pairs = read_pairs(recorded)
    assert [pair.index for pair in pairs] == [1, 2, 3, 4, 5, 6]
    assert all(pair.true_fidelity is not None for pair in pairs)


def test_pairs_leave_out_a_torn_last_line(copy):
    file = copy / "pairs.csv"
    file.write_bytes(file.read_bytes()[:-5])
    assert len(read_pairs(copy)) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("goodness_error", "error", 1), "columns must be"),
        (lambda text: text + "a,b\n", "line 8: must have 13 values, got 2"),
        (lambda text: text.replace(",1,alice", ",one,alice", 1), r"line 2: .*index"),
        (lambda text: "", "columns must be"),
    ],
)
def test_pairs_refuse_another_table(copy, change, words):
    file = copy / "pairs.csv"
    file.write_text(change(file.read_text()))
    with pytest.raises(ConfigError, match=words):
        read_pairs(copy)


def test_pairs_refuse_a_folder_without_them(tmp_path):
    with pytest.raises(ConfigError, match="readable"):
        read_pairs(tmp_path)
