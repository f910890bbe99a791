"""Tables, plots and words."""

from __future__ import annotations

import io
import json
import struct

import pytest
from rich.console import Console

from qnet.results.plots import draw
from qnet.results.table import data_table, summary_table
from qnet.results.words import number_words, time_words


def printed(renderable) -> str:
    text = io.StringIO()
    Console(width=120, file=text).print(renderable)
    return text.getvalue()


@pytest.mark.parametrize(
    ("time_s", "words"),
    [
        (0.0, "0 s"),
        (55.2, "55.2 s"),
        (123_456.7, "123457 s"),
        (0.00123, "1.23 ms"),
        (4.8968e-08, "48.97 ns"),
        (-2e-6, "-2 us"),
        (1e-12, "1 ps"),
        (3e-13, "0.3 ps"),
    ],
)
def test_time_words_choose_the_unit(time_s, words):
    assert time_words(time_s) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "-"),
        (True, "True"),
        (0.123456, "0.12346"),
        (10_000, "10000"),
        ({"a": 1.0, "b": None}, "a=1, b=-"),
        ([[0.5, 1], []], "[[0.5, 1], []]"),
    ],
)
def test_number_words_are_short(value, words):
    assert number_words(value) == words


def test_summary_table_shows_measured_beside_predicted(recorded, plan):
    summary = json.loads((recorded / "summary.json").read_text())
    text = printed(summary_table(summary, plan))
    rows = {line[:24].strip(): line[24:].split() for line in text.splitlines()}
    (flow,) = summary["requests"]
    rate_hz = plan.links[0].estimate.rate_hz
    assert rows["pairs/s"] == [number_words(flow["rate_hz"]), number_words(rate_hz)]
    assert rows["delivered"] == ["6"]
    assert rows["claimed"] == ["0.94120", "0.94120"]
    assert summary["trace_sha256"] in text
    assert "application teleport" in text
    assert "fraction_right" in text


def test_summary_table_of_a_run_that_never_began():
    summary = {
        "network": "n", "seed": 1, "mode": "processes", "status": "failed", "wall_s": 0.1,
        "simulated_s": 0.0,
    }  # fmt: skip
    assert "failed" in printed(summary_table(summary))


def test_summary_table_lists_many_flows_one_below_another(recorded, plan):
    summary = json.loads((recorded / "summary.json").read_text())
    (flow,) = summary["requests"]
    summary["requests"] = [flow | {"to": f"node-{number}"} for number in range(7)]
    summary["attempts"] = {f"link-{number}": 10 for number in range(7)}
    text = printed(summary_table(summary, plan))
    rows = [line.split() for line in text.splitlines()]
    assert [flow["from"], "node-6", str(flow["requested"])] in [row[:3] for row in rows]
    assert "70 over 7 links" in text


def test_summary_table_says_what_crashed_and_what_was_held(recorded):
    summary = json.loads((recorded / "summary.json").read_text())
    (node, entry), *_ = summary["app"]["results"].items()
    summary["app"]["results"][node] = {"role": entry["role"], "result": None, "crashed": True}
    summary["held_at_end"] = {"bob": {"occupied": 1, "reserved": 0}}
    text = printed(summary_table(summary))
    assert "its application was lost" in text
    assert "bob=occupied=1, reserved=0" in text


def test_data_table_without_rows_has_its_head():
    assert "name" in printed(data_table("plug-ins", ("name", "error"), []))


def test_plots_are_png_files_of_the_stated_size(copy, plan):
    files = draw(copy, plan)
    assert [file.name for file in files] == ["pairs.png", "latency.png", "fidelity.png"]
    for file in files:
        head = file.read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", head[16:24]) == (840, 504)


def test_plots_of_a_run_without_pairs_are_none(copy):
    file = copy / "pairs.csv"
    file.write_text(file.read_text().splitlines(keepends=True)[0])
    assert draw(copy) == []
