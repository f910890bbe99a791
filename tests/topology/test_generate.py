"""Generated topologies: shape, determinism, what is refused, and that every file compiles."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from qnet.cli.main import WRONG, main
from qnet.errors import ConfigError
from qnet.topology import compile_topology
from qnet.topology.generate import (
    Hardware,
    Sketch,
    Task,
    chain,
    geometric,
    graphml,
    grid,
    haversine_m,
    ring,
    star,
    write,
)

TOWNS = Path(__file__).parents[2] / "deploy/topologies/five-towns.graphml"

GRAPH = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key attr.name="label" attr.type="string" for="node" id="label"/>
<key attr.name="length_m" attr.type="string" for="edge" id="m"/>
<graph edgedefault="undirected">
<node id="1"><data key="label">A/B</data></node><node id="2"><data key="label">A B</data></node>
{edges}
</graph></graphml>"""


@pytest.fixture(autouse=True, scope="module")
def stand_ins():
    """The real plug-ins, not the stand-ins of this folder."""


def degrees(sketch: Sketch) -> Counter[int]:
    ends = Counter(end for fibre in sketch.fibres for end in fibre[:2])
    return Counter(ends[node] for node in sketch.nodes)


@pytest.mark.parametrize(
    ("sketch", "expected"),
    [
        (chain(5, 10.0), {1: 2, 2: 3}),
        (ring(6, 10.0), {2: 6}),
        (grid(3, 4, 10.0), {2: 4, 3: 6, 4: 2}),
        (star(5, 10.0), {1: 5, 5: 1}),
    ],
)
def test_shapes(sketch, expected):
    assert degrees(sketch) == expected
    assert {length_m for *_, length_m in sketch.fibres} == {10.0}
    assert len({frozenset(fibre[:2]) for fibre in sketch.fibres}) == len(sketch.fibres)


@pytest.mark.parametrize(
    "sketch",
    [
        chain(3, 1000.0),
        ring(3, 1000.0),
        grid(2, 2, 1000.0),
        star(2, 1000.0),
        geometric(6, 1000.0, 800.0, 1),
        graphml(TOWNS),
    ],
    ids=lambda sketch: sketch.title,
)
def test_what_is_written_compiles_with_a_route(sketch):
    plan = compile_topology(tomllib.loads(write(sketch, Hardware(), Task())), "generated.toml")
    assert len(plan.links) == len(sketch.fibres)
    first = f"{sketch.nodes[0]}>{sketch.nodes[-1]}"
    assert plan.network_layer.routes[first]
    for link in plan.links:
        for node in link.ends:
            assert plan.node(node).platform.communication_slots >= len(plan.links_of(node))


def test_hardware_and_task_reach_the_file():
    hardware = Hardware("sr88-ca43", 0.5, 0.9, None, 0.97)
    task = Task("deliver", "n2", "n3", {"pairs": 7})
    data = tomllib.loads(write(chain(3, 500.0), hardware, task, "qnet generate\nchain"))
    assert data["nodes"]["n1"] == {
        "platform": "sr88-ca43",
        "communication_slots": 2,
        "gate_2q": {"fidelity": 0.97},
    }
    link = data["links"]["n1_n2"]
    assert (link["length_m"], link["loss_db_per_km"], link["visibility"]) == (250.0, 0.5, 0.9)
    assert data["app"] == {"name": "deliver", "from_node": "n2", "to_node": "n3", "pairs": 7}


def test_the_same_seed_gives_the_same_places():
    first = geometric(10, 100.0, 60.0, 4)
    assert first == geometric(10, 100.0, 60.0, 4)
    assert first.fibres != geometric(10, 100.0, 60.0, 5).fibres
    assert all(1.0 <= length_m <= 60.0 for *_, length_m in first.fibres)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: chain(1, 1.0), "count: must be >= 2, got 1"),
        (lambda: ring(2, 1.0), "count: must be >= 3, got 2"),
        (lambda: grid(1, 1, 1.0), "rows x columns: must be >= 2, got 1"),
        (lambda: star(1, 1.0), "leaves: must be >= 2, got 1"),
        (lambda: geometric(5, 100.0, 1.0, 1), "radius_m: must join all 5 nodes"),
    ],
)
def test_shapes_that_cannot_be(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_great_circles():
    assert haversine_m((0.0, 0.0), (0.0, 180.0)) == pytest.approx(20_015_115, rel=1e-6)
    # One degree along a meridian.
    assert haversine_m((50.0, 10.0), (51.0, 10.0)) == pytest.approx(111_195, rel=1e-4)


def test_graphml_has_lengths_from_edges_and_places():
    towns = graphml(TOWNS)
    assert towns.nodes == ("Alt-Markt", "Br-ck", "Cella", "Dorn", "Esch")
    lengths = {fibre[:2]: fibre[2] for fibre in towns.fibres}
    assert lengths["Cella", "Dorn"] == 20_000.0
    straight = haversine_m((50.0, 10.0), (50.1, 10.1))
    assert lengths["Alt-Markt", "Br-ck"] == pytest.approx(straight)
    longer = {fibre[:2]: fibre[2] for fibre in graphml(TOWNS, detour=1.5).fibres}
    assert longer["Alt-Markt", "Br-ck"] == pytest.approx(1.5 * straight)
    assert longer["Cella", "Dorn"] == 20_000.0


def written(folder: Path, edges: str) -> Path:
    file = folder / "graph.graphml"
    file.write_text(GRAPH.format(edges=edges))
    return file


def test_equal_labels_are_numbered_and_the_shortest_parallel_edge_counts(tmp_path):
    edges = "".join(
        f'<edge source="1" target="2"><data key="m">{m}</data></edge>' for m in (90, 70, 80)
    )
    found = graphml(written(tmp_path, edges + '<edge source="1" target="1"/>'))
    assert found.fibres == (("A-B", "A-B-2", 70.0),)


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ('<edge source="1" target="2"/>', "edge A-B - A-B-2: must have length_m or LinkLength"),
        ("", "must have an edge between two nodes"),
        ('<edge source="1" target="2"><data key="m">far</data></edge>', "length_m in GraphML"),
        ('<edge source="1" target="2"><data key="m">-1</data></edge>', "lengths >= 0, got"),
        ("<edge", "must be GraphML"),
    ],
)
def test_graphml_that_cannot_be_used(tmp_path, edges, words):
    with pytest.raises(ConfigError, match=words):
        graphml(written(tmp_path, edges))


def test_a_default_length_stands_in(tmp_path):
    file = written(tmp_path, '<edge source="1" target="2"/>')
    assert graphml(file, default_length_m=5.0).fibres == (("A-B", "A-B-2", 5.0),)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        graphml(tmp_path / "nothing.graphml")


def test_the_command_prints_a_file_and_refuses_a_wrong_one(capsys):
    assert main(["generate", "grid", "--rows", "2", "--columns", "2", "--t2-s", "0.3"]) == 0
    data = tomllib.loads(capsys.readouterr().out)
    assert len(data["links"]) == 4
    assert data["nodes"]["r1c1"]["t2_s"] == 0.3
    assert main(["generate", "chain", "--ends", "n1", "n9"]) == WRONG
    assert "n9" in capsys.readouterr().err
    assert main(["generate", "ring", "--platform", "idle"]) == WRONG
    assert "idle" in capsys.readouterr().err


def test_the_command_writes_a_new_file_and_no_old_one(tmp_path, capsys):
    file = tmp_path / "chain.toml"
    assert main(["generate", "chain", "--count", "3", "--out", str(file)]) == 0
    written_text = file.read_text()
    assert len(tomllib.loads(written_text)["links"]) == 2
    assert main(["generate", "ring", "--out", str(file)]) == WRONG
    assert "--out: must be a new file" in capsys.readouterr().err
    assert file.read_text() == written_text
