"""``qnet generate``: a topology file of a regular or random shape, or from GraphML, on the standard output."""

from __future__ import annotations

import shlex
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from qnet.topology import compile_topology
from qnet.topology.generate import (
    Hardware,
    Sketch,
    Task,
    chain,
    geometric,
    graphml,
    grid,
    ring,
    star,
    write,
)

generate_app = App(
    name="generate",
    help="Write a topology file of a regular or random shape to the standard output.",
    help_format="markdown",
    default_parameter=Parameter(negative=""),
)

HARDWARE: Final = Hardware()
TASK: Final = Task()
Flat = Annotated[Hardware, Parameter(name="*")]


def show(sketch: Sketch, hardware: Hardware, app: str, pairs: int, ends: tuple[str, str]) -> None:
    """Print the file, after it was compiled: what is printed is accepted by ``qnet check``."""
    command = shlex.join(["qnet", *sys.argv[1:]])
    parameters = {"pairs": pairs} if app == TASK.app else {}
    text = write(sketch, hardware, Task(app, ends[0] or None, ends[1] or None, parameters), command)
    compile_topology(tomllib.loads(text), "the generated network")
    sys.stdout.write(text)


@generate_app.command(name="chain")
def generate_chain(
    *,
    count: int = 5,
    length_m: float = 20_000.0,
    hardware: Flat = HARDWARE,
    app: str = "deliver",
    pairs: int = 100,
    ends: tuple[str, str] = ("", ""),
) -> int:
    """Nodes in a row.

    Args:
        count: nodes.
        length_m: fibre between two neighbours.
        hardware: of all nodes and links.
        app: application, one with from_node and to_node.
        pairs: that ``deliver`` asks for.
        ends: names of the two nodes of the application; the first and the last one if not given.
    """
    show(chain(count, length_m), hardware, app, pairs, ends)
    return 0


@generate_app.command(name="ring")
def generate_ring(
    *,
    count: int = 6,
    length_m: float = 20_000.0,
    hardware: Flat = HARDWARE,
    app: str = "deliver",
    pairs: int = 100,
    ends: tuple[str, str] = ("", ""),
) -> int:
    """A chain whose ends are joined.

    Args:
        count: nodes.
        length_m: fibre between two neighbours.
        hardware: of all nodes and links.
        app: application, one with from_node and to_node.
        pairs: that ``deliver`` asks for.
        ends: names of the two nodes of the application; the first and the last one if not given.
    """
    show(ring(count, length_m), hardware, app, pairs, ends)
    return 0


@generate_app.command(name="grid")
def generate_grid(
    *,
    rows: int = 3,
    columns: int = 3,
    length_m: float = 20_000.0,
    hardware: Flat = HARDWARE,
    app: str = "deliver",
    pairs: int = 100,
    ends: tuple[str, str] = ("", ""),
) -> int:
    """A square lattice.

    Args:
        rows: of nodes.
        columns: of nodes.
        length_m: fibre between two neighbours.
        hardware: of all nodes and links.
        app: application, one with from_node and to_node.
        pairs: that ``deliver`` asks for.
        ends: names of the two nodes of the application; the first and the last one if not given.
    """
    show(grid(rows, columns, length_m), hardware, app, pairs, ends)
    return 0


@generate_app.command(name="star")
def generate_star(
    *,
    leaves: int = 4,
    length_m: float = 20_000.0,
    hardware: Flat = HARDWARE,
    app: str = "deliver",
    pairs: int = 100,
    ends: tuple[str, str] = ("", ""),
) -> int:
    """One node in the middle, joined with each of the others.

    Args:
        leaves: nodes around the centre.
        length_m: fibre from the centre to each of them.
        hardware: of all nodes and links.
        app: application, one with from_node and to_node.
        pairs: that ``deliver`` asks for.
        ends: names of the two nodes of the application; two leaves if not given.
    """
    show(star(leaves, length_m), hardware, app, pairs, ends)
    return 0


@generate_app.command(name="geometric")
def generate_geometric(
    *,
    count: int = 12,
    side_m: float = 50_000.0,
    radius_m: float = 25_000.0,
    seed: int = 1,
    hardware: Flat = HARDWARE,
    app: str = "deliver",
    pairs: int = 100,
    ends: tuple[str, str] = ("", ""),
) -> int:
    """Nodes at random places of a square, joined where they are close.

    Args:
        count: nodes.
        side_m: of the square.
        radius_m: nodes closer than this are joined.
        seed: of the places.
        hardware: of all nodes and links.
        app: application, one with from_node and to_node.
        pairs: that ``deliver`` asks for.
        ends: names of the two nodes of the application; the first and the last one if not given.
    """
    show(geometric(count, side_m, radius_m, seed), hardware, app, pairs, ends)
    return 0


@generate_app.command(name="graphml")
def generate_graphml(
    file: Path,
    /,
    *,
    detour: float = 1.0,
    default_length_m: float | None = None,
    hardware: Flat = HARDWARE,
    app: str = "deliver",
    pairs: int = 100,
    ends: tuple[str, str] = ("", ""),
) -> int:
    """The graph of a GraphML file, such as those of the Internet Topology Zoo.

    Args:
        file: GraphML; lengths from length_m, LinkLength (km), or Latitude and Longitude.
        detour: length of fibre per length of the great circle.
        default_length_m: of edges that give neither length nor positions; an error if not given.
        hardware: of all nodes and links.
        app: application, one with from_node and to_node.
        pairs: that ``deliver`` asks for.
        ends: names of the two nodes of the application; the first and the last one if not given.
    """
    sketch = graphml(file, detour=detour, default_length_m=default_length_m)
    show(sketch, hardware, app, pairs, ends)
    return 0
