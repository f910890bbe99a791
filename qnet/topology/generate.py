"""Generated topologies: graphs of regular and random shape, or from GraphML, written as topology files.

Theory
    A :class:`Sketch` is nodes and fibres with lengths; :func:`write` makes the text of a topology file of
    it: one processor per node with a communication slot for each of its links (two at least), and a
    station in the middle of each fibre. A random geometric graph [1] joins what is closer than a radius.
    Lengths of GraphML edges are taken from the edge (``length_m``, or ``LinkLength`` in kilometres), else
    from the great circle (haversine) between ``Latitude`` and ``Longitude`` of its ends, as the Internet
    Topology Zoo [2] gives them, times a detour factor.
Assumptions and validity
    Every link is the same but for its length. Equal arguments give equal text.
Not modelled
    Fibre routes, directed or parallel links (the shortest one is kept), links of a node with itself.
Units
    Metres; positions in degrees.
Sources
    [1] Penrose, "Random Geometric Graphs", Oxford University Press (2003).
    [2] Knight, Nguyen, Falkner, Bowden, Roughan, "The Internet Topology Zoo", IEEE JSAC 29, 1765 (2011).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from qnet.errors import ConfigError

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius of the Earth (IUGG)."""

SHORTEST_M: Final = 1.0
"""Nodes at the same place are joined by a fibre of a metre."""

Fibre = tuple[str, str, float]
"""Two nodes and the length between them in metres."""


@dataclass(frozen=True)
class Sketch:
    """A network without hardware.

    Attributes:
        title: what it is, for the head of the file.
        nodes: names.
        fibres: each pair of nodes once.
    """

    title: str
    nodes: tuple[str, ...]
    fibres: tuple[Fibre, ...]


@dataclass(frozen=True)
class Hardware:
    """What every node and link of a generated network has.

    Attributes:
        platform: name of the processors' sheet.
        loss_db_per_km: of every fibre.
        visibility: of the two photons of every link.
        t2_s: coherence time of every qubit; None for the platform's.
        gate_2q_fidelity: average fidelity of two-qubit gates; None for the platform's.
    """

    platform: str = "ideal"
    loss_db_per_km: float = 0.2
    visibility: float = 0.98
    t2_s: float | None = 1.0
    gate_2q_fidelity: float | None = None


@dataclass(frozen=True)
class Task:
    """The application of a generated network: between which nodes (None: the first and the last one)."""

    app: str = "deliver"
    source: str | None = None
    target: str | None = None
    parameters: Mapping[str, Any] | None = None


def chain(count: int, length_m: float) -> Sketch:
    """Nodes in a row."""
    names = _numbered("n", _at_least("count", count, 2))
    return Sketch(
        f"chain of {count} nodes",
        names,
        tuple((one, two, length_m) for one, two in pairwise(names)),
    )


def ring(count: int, length_m: float) -> Sketch:
    """A chain whose ends are joined."""
    names = _numbered("n", _at_least("count", count, 3))
    closed = (*pairwise(names), (names[0], names[-1]))
    return Sketch(f"ring of {count} nodes", names, tuple((*ends, length_m) for ends in closed))


def grid(rows: int, columns: int, length_m: float) -> Sketch:
    """A square lattice, each node joined with those beside, above and below it."""
    _at_least("rows x columns", _at_least("rows", rows, 1) * _at_least("columns", columns, 1), 2)
    down, across = len(str(rows)), len(str(columns))

    def name(row: int, column: int) -> str:
        return f"r{row:0{down}}c{column:0{across}}"

    cells = [(row, column) for row in range(1, rows + 1) for column in range(1, columns + 1)]
    fibres: list[Fibre] = []
    for row, column in cells:
        if column < columns:
            fibres.append((name(row, column), name(row, column + 1), length_m))
        if row < rows:
            fibres.append((name(row, column), name(row + 1, column), length_m))
    return Sketch(
        f"grid of {rows} x {columns} nodes", tuple(name(*cell) for cell in cells), tuple(fibres)
    )


def star(leaves: int, length_m: float) -> Sketch:
    """One node in the middle, joined with each of the others."""
    names = _numbered("leaf", _at_least("leaves", leaves, 2))
    fibres = tuple(("centre", leaf, length_m) for leaf in names)
    return Sketch(f"star of {leaves} leaves", (names[0], "centre", *names[1:]), fibres)


def geometric(count: int, side_m: float, radius_m: float, seed: int) -> Sketch:
    """Nodes at random places of a square, joined if they are closer than ``radius_m``.

    Raises:
        ConfigError: the graph is not connected.
    """
    import networkx as nx

    names = _numbered("n", _at_least("count", count, 2))
    graph = nx.random_geometric_graph(count, radius_m / side_m, seed=seed)
    if not nx.is_connected(graph):
        parts = nx.number_connected_components(graph)
        raise ConfigError(
            f"must join all {count} nodes in a square of {side_m:g} m, leaves {parts} parts",
            path="radius_m",
            value=radius_m,
            hint="Take a larger radius or another seed",
        )
    places = [graph.nodes[node]["pos"] for node in range(count)]
    fibres = tuple(
        (names[one], names[two], max(math.dist(places[one], places[two]) * side_m, SHORTEST_M))
        for one, two in sorted(tuple(sorted(edge)) for edge in graph.edges)
    )
    title = f"random geometric graph of {count} nodes, {radius_m:g} m of {side_m:g} m, seed {seed}"
    return Sketch(title, names, fibres)


def graphml(file: Path, *, detour: float = 1.0, default_length_m: float | None = None) -> Sketch:
    """The graph of a GraphML file.

    Args:
        file: to read.
        detour: length of fibre per length of the great circle.
        default_length_m: for edges that give neither length nor positions; None: they are an error.

    Raises:
        ConfigError: the file is not GraphML, has no edge, or an edge has no length.
    """
    import networkx as nx

    try:
        graph = nx.read_graphml(file)
    except OSError as failure:
        raise ConfigError(f"cannot be read: {failure.strerror}", file=str(file)) from failure
    except (SyntaxError, ValueError, KeyError, nx.NetworkXError) as failure:
        raise ConfigError(f"must be GraphML: {failure}", file=str(file)) from failure
    names = _names(graph.nodes(data=True))
    shortest: dict[tuple[str, str], float] = {}
    for one, two, told in graph.edges(data=True):
        first, second = sorted((names[one], names[two]))
        if first == second:
            continue
        length_m = _length_m(told, graph.nodes[one], graph.nodes[two], detour, default_length_m)
        if length_m is None:
            raise ConfigError(
                "must have length_m or LinkLength, or Latitude and Longitude at both ends",
                file=str(file),
                path=f"edge {first} - {second}",
                hint="Give a default length to use one where none is known",
            )
        shortest[first, second] = min(length_m, shortest.get((first, second), math.inf))
    if not shortest:
        raise ConfigError("must have an edge between two nodes", file=str(file))
    fibres = tuple((*ends, length_m) for ends, length_m in sorted(shortest.items()))
    return Sketch(f"network of {file.name}", tuple(sorted(names.values())), fibres)


def _names(nodes: Iterable[tuple[Any, Mapping[str, Any]]]) -> dict[Any, str]:
    """A name for every node: its label made legal, with a number where two are the same."""
    names: dict[Any, str] = {}
    taken: set[str] = set()
    for node, told in nodes:
        label = re.sub(r"[^A-Za-z0-9]+", "-", str(told.get("label", node))).strip("-")[:26]
        label = label or "node"
        name, number = label, 2
        while name in taken:
            name, number = f"{label}-{number}", number + 1
        taken.add(name)
        names[node] = name
    return names


def _length_m(
    edge: Mapping[str, Any],
    one: Mapping[str, Any],
    two: Mapping[str, Any],
    detour: float,
    default_m: float | None,
) -> float | None:
    for key, factor in (("length_m", 1.0), ("LinkLength", 1000.0)):
        if key in edge:
            return max(_number(edge, key) * factor, SHORTEST_M)
    if all(key in end for end in (one, two) for key in ("Latitude", "Longitude")):
        places = [(_number(end, "Latitude"), _number(end, "Longitude")) for end in (one, two)]
        return max(haversine_m(*places) * detour, SHORTEST_M)
    return default_m


def _number(told: Mapping[str, Any], key: str) -> float:
    try:
        value = float(told[key])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or (value < 0.0 and key in ("length_m", "LinkLength")):
        raise ConfigError(f"{key} in GraphML must be a number, lengths >= 0", value=told[key])
    return value


def haversine_m(one: tuple[float, float], two: tuple[float, float]) -> float:
    """Great-circle length between two places (latitude, longitude) in degrees."""
    (north_1, east_1), (north_2, east_2) = (
        (math.radians(place[0]), math.radians(place[1])) for place in (one, two)
    )
    half = (
        math.sin((north_2 - north_1) / 2.0) ** 2
        + math.cos(north_1) * math.cos(north_2) * math.sin((east_2 - east_1) / 2.0) ** 2
    )
    return 2.0 * EARTH_RADIUS_M * math.asin(math.sqrt(min(half, 1.0)))


def write(sketch: Sketch, hardware: Hardware, task: Task, command: str = "") -> str:
    """The text of a topology file.

    Args:
        sketch: nodes and fibres.
        hardware: of all of them.
        task: application.
        command: how the file was made, for its head.
    """
    return "\n".join(_lines(sketch, hardware, task, command)) + "\n"


def _lines(sketch: Sketch, hardware: Hardware, task: Task, command: str) -> Iterator[str]:
    degrees = Counter(end for fibre in sketch.fibres for end in fibre[:2])
    stations = _numbered("station", len(sketch.fibres))
    yield f"# {' '.join(sketch.title.split())}: {len(sketch.nodes)} nodes, {len(sketch.fibres)} links."
    if command:
        yield f"# Made by: {' '.join(command.split())}"
    yield from ("#", "# What to look at", "#   qnet check FILE   predicted links and routes")
    yield from ("#   qnet run FILE     what the network delivers", "")
    yield f"name = {_text(re.sub(r'[^A-Za-z0-9]+', '-', sketch.title).strip('-')[:64])}"
    for node in sketch.nodes:
        yield from ("", f"[nodes.{node}]", f"platform = {_text(hardware.platform)}")
        yield f"communication_slots = {max(2, degrees[node])}"
        if hardware.t2_s is not None:
            yield f"t2_s = {hardware.t2_s!r}"
        if hardware.gate_2q_fidelity is not None:
            yield f"gate_2q = {{ fidelity = {hardware.gate_2q_fidelity!r} }}"
    for station, (one, two, length_m) in zip(stations, sketch.fibres, strict=True):
        yield from ("", f"[nodes.{station}]", 'kind = "station"', "")
        yield from (f"[links.{one}_{two}]", f"ends = [{_text(one)}, {_text(two)}]")
        yield from (f"station = {_text(station)}", f"length_m = {round(length_m / 2.0, 3)!r}")
        yield f"loss_db_per_km = {hardware.loss_db_per_km!r}"
        yield f"visibility = {hardware.visibility!r}"
    yield from ("", "[app]", f"name = {_text(task.app)}")
    yield f"from_node = {_text(task.source or sketch.nodes[0])}"
    yield f"to_node = {_text(task.target or sketch.nodes[-1])}"
    for key, value in (task.parameters or {}).items():
        yield f"{key} = {json.dumps(value)}"


def _text(value: str) -> str:
    return json.dumps(value)


def _numbered(prefix: str, count: int) -> tuple[str, ...]:
    digits = len(str(count))
    return tuple(f"{prefix}{number:0{digits}}" for number in range(1, count + 1))


def _at_least(what: str, value: int, least: int) -> int:
    if value < least:
        raise ConfigError(f"must be >= {least}", path=what, value=value)
    return value
