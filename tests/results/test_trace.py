from __future__ import annotations

import pytest

from qnet.cli.showing import show_pair
from qnet.errors import ConfigError
from qnet.results.diagram import sequence_diagram
from qnet.results.timeline import timeline, write_timeline
from qnet.results.trace import Difference, first_difference, follow, read_trace
from qnet.runtime.run import RunOptions, run
from qnet.topology import load

NODES = ("alice", "middle", "bob")


def spoil(folder, number: int, change) -> None:
    """Change one line of a trace."""
    file = folder / "trace.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[number - 1] = change(lines[number - 1])
    file.write_bytes(b"".join(lines))


def test_equal_traces_have_no_difference(recorded, copy):
    assert first_difference(recorded, copy) is None


def test_difference_names_the_first_line(recorded, copy):
    spoil(copy, 7, lambda line: line.replace(b'"at":', b'"at":9'))
    spoil(copy, 9, lambda line: b"{}\n")
    difference = first_difference(recorded, copy)
    assert difference is not None
    assert difference.number == 7
    assert difference.again == difference.recorded.replace('"at":', '"at":9')


def test_difference_of_a_shorter_trace_is_its_end(recorded, copy):
    file = copy / "trace.jsonl"
    *lines, last = file.read_text().splitlines()
    file.write_text("".join(f"{line}\n" for line in lines))
    assert first_difference(copy, recorded) == Difference(len(lines) + 1, "", last)
    assert first_difference(recorded, copy) == Difference(len(lines) + 1, last, "")


def test_trace_refuses_a_line_that_is_none(copy):
    spoil(copy, 5, lambda line: b'{"at":"noon"}\n')
    with pytest.raises(ConfigError, match="line 5"):
        list(read_trace(copy))


def test_trace_refuses_a_folder_without_one(tmp_path):
    with pytest.raises(ConfigError, match="readable"):
        list(read_trace(tmp_path))


def test_follow_takes_the_first_pair_if_none_is_named(recorded):
    assert follow(recorded).pair.pair == "alice-bob#1"


def test_follow_refuses_an_unknown_pair(recorded):
    with pytest.raises(ConfigError, match=r"alice-bob#7.*alice-bob#1 to alice-bob#6"):
        follow(recorded, "alice-bob#7")


def test_follow_sees_the_whole_life_of_a_pair_and_of_no_other(recorded):
    story = follow(recorded, "alice-bob#2")
    kinds = [
        (line.node, line.event.get("kind") or line.event["type"])
        if line.event
        else (line.node, line.effects[0]["type"])
        for line in story.lines
    ]
    for expected in [
        ("middle", "physical.midpoint/photons_announced@1"),
        ("world", "PairCreated"),
        ("alice", "physical.midpoint/herald_reported@1"),
        ("bob", "physical.midpoint/herald_reported@1"),
        ("world", "PairDelivered"),
        ("alice", "Apply"),
        ("alice", "Send"),
        ("bob", "Apply"),
        ("bob", "Release"),
    ]:
        assert expected in kinds
    text = " ".join(str(line.event) for line in story.lines)
    assert "alice/1.2" in text
    assert "alice/1.1'" not in text
    assert "alice/1.3'" not in text
    assert [line.at for line in story.lines] == sorted(line.at for line in story.lines)


def test_diagram_of_a_teleported_pair(recorded):
    text = sequence_diagram(follow(recorded, "alice-bob#2"), NODES)
    head, empty, names, *rows = text.splitlines()
    assert head.startswith("pair alice-bob#2: number 2 of request alice/1, alice with bob")
    assert empty == ""
    assert names.split() == list(NODES)
    times = [row[:14].strip() for row in rows]
    assert times[0] == "+0 s"
    arrows = [row for row in rows if "->" in row or "<-" in row]
    assert len([row for row in arrows if "photons_announced, 48.97 ns" in row]) == 2
    assert len([row for row in arrows if "herald_reported, 48.97 ns" in row]) == 2
    assert len([row for row in arrows if "sends pair, phase, parity, state" in row]) == 1
    assert any("* delivered at both ends: claimed fidelity 0.9412, true 0.9412" in r for r in rows)
    assert sum("OK slot" in row for row in rows) == 2
    assert max(map(len, rows)) <= 14 + 1 + 3 * 36


def test_diagram_arrow_points_from_source_to_target(recorded):
    rows = sequence_diagram(follow(recorded, "alice-bob#1"), NODES).splitlines()
    to_station = [row for row in rows if "photons_announced" in row]
    assert sum("->|" in row for row in to_station) == 1  # from alice, on the left
    assert sum("|<-" in row for row in to_station) == 1  # from bob, on the right


def test_timeline_has_balanced_spans_on_named_rows(recorded):
    events = list(timeline(read_trace(recorded)))
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert all((e["pid"], e["tid"]) in named for e in events if e["ph"] != "M")
    opened = {e["id"]: e["ts"] for e in events if e["ph"] == "b"}
    closed = {e["id"]: e["ts"] for e in events if e["ph"] == "e"}
    assert opened.keys() == closed.keys()
    assert all(opened[key] < closed[key] for key in opened)
    spans = [e for e in events if e["ph"] == "X"]
    assert sum(e["name"].startswith("attempts") for e in spans) == 12  # both ends of six pairs
    assert all(e["dur"] > 0 for e in spans)
    processes = [e["args"]["name"] for e in events if e["name"] == "process_name"]
    assert sorted(processes) == ["alice", "bob", "middle", "world"]


def test_timeline_is_written_as_one_json_object(recorded, tmp_path):
    import json

    file = tmp_path / "timeline.json"
    count = write_timeline(follow(recorded).lines, file)
    data = json.loads(file.read_text())
    assert len(data["traceEvents"]) == count > 10


def test_a_pair_of_distant_nodes_is_followed_through_its_repeaters(tmp_path, capsys):
    plan = load("deploy/topologies/repeater-chain.toml", ["pairs=3"])
    assert run(plan, RunOptions("embedded", folder=tmp_path)).status == "done"
    story = follow(tmp_path)
    first, last = story.pair.pair.split("~")
    made = {f"{end}#" for end in ("alice_r1", "r1_r2", "r2_r3", "r3_bob")}
    text = sequence_diagram(story, ("alice", "r1", "r2", "r3", "bob"))
    assert all(name in text for name in (first, last, *made))
    clicks = [line.machine for line in story.lines if line.machine.startswith("optics:")]
    assert sorted(clicks) == sorted(f"optics:{name[:-1]}" for name in made)
    assert not [line for line in story.lines if line.machine.startswith(("link:", "station:"))]
    swapped = [line.node for line in story.lines if (line.event or {}).get("type") == "Applied"]
    assert sorted(swapped) == ["r1", "r2", "r3"]
    assert [line.node for line in story.lines][-1] == "world"
    show_pair(tmp_path, None)
    head = capsys.readouterr().out.splitlines()[2]
    assert head.split() == ["alice", "r1", "r2", "r3", "bob"]
