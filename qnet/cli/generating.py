"""``qnet generate``: a topology file of a regular or random shape, or from GraphML."""

from __future__ import annotations

import shlex
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

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
    ring,
    star,
    write,
)

generate_app = App(
    name="generate",
    help="Write a topology file of a regular or random shape.",
    help_format="markdown",
    default_parameter=Parameter(negative=""),
)


@dataclass(frozen=True)
class Purpose:
    """What a generated network is for.

    Attributes:
        app: application, one with from_node and to_node.
        pairs: that ``deliver`` asks for.
        ends: names of the two nodes of the application; the first and the last one if not given.
        out: file to write, which must not exist; the standard output if not given.
    """

    app: str = "deliver"
    pairs: int = 100
    ends: tuple[str, str] | None = None
    out: Path | None = None


HARDWARE: Final = Hardware()
PURPOSE: Final = Purpose()
Flat = Parameter(name="*")


def give(sketch: Sketch, hardware: Hardware, purpose: Purpose) -> int:
    """Write the file, after it was compiled: what is written is accepted by ``qnet check``."""
    source, target = purpose.ends or (None, None)
    parameters = {"pairs": purpose.pairs} if purpose.app == PURPOSE.app else {}
    task = Task(purpose.app, source, target, parameters)
    text = write(sketch, hardware, task, shlex.join(["qnet", *sys.argv[1:]]))
    compile_topology(tomllib.loads(text), "the generated network")
    if purpose.out is None:
        sys.stdout.write(text)
        return 0
    try:
        with purpose.out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as failure:
        raise ConfigError(
            f"must be a new file that can be written ({failure.strerror})",
            path="--out",
            value=str(purpose.out),
        ) from failure
    return 0


@generate_app.command(name="chain")
def generate_chain(
    *,
    count: int = 5,
    length_m: float = 20_000.0,
    hardware: Annotated[Hardware, Flat] = HARDWARE,
    purpose: Annotated[Purpose, Flat] = PURPOSE,
) -> int:
    """Nodes in a row.

    Args:
        count: nodes.
        length_m: fibre between two neighbours.
        hardware: of all nodes and links.
        purpose: application and output.
    """
    return give(chain(count, length_m), hardware, purpose)


@generate_app.command(name="ring")
def generate_ring(
    *,
    count: int = 6,
    length_m: float = 20_000.0,
    hardware: Annotated[Hardware, Flat] = HARDWARE,
    purpose: Annotated[Purpose, Flat] = PURPOSE,
) -> int:
    """A chain whose ends are joined.

    Args:
        count: nodes.
        length_m: fibre between two neighbours.
        hardware: of all nodes and links.
        purpose: application and output.
    """
    return give(ring(count, length_m), hardware, purpose)


@generate_app.command(name="grid")
def generate_grid(
    *,
    rows: int = 3,
    columns: int = 3,
    length_m: float = 20_000.0,
    hardware: Annotated[Hardware, Flat] = HARDWARE,
    purpose: Annotated[Purpose, Flat] = PURPOSE,
) -> int:
    """A square lattice.

    Args:
        rows: of nodes.
        columns: of nodes.
        length_m: fibre between two neighbours.
        hardware: of all nodes and links.
        purpose: application and output.
    """
    return give(grid(rows, columns, length_m), hardware, purpose)


@generate_app.command(name="star")
def generate_star(
    *,
    leaves: int = 4,
    length_m: float = 20_000.0,
    hardware: Annotated[Hardware, Flat] = HARDWARE,
    purpose: Annotated[Purpose, Flat] = PURPOSE,
) -> int:
    """One node in the middle, joined with each of the others.

    Args:
        leaves: nodes around the centre.
        length_m: fibre from the centre to each of them.
        hardware: of all nodes and links.
        purpose: application and output.
    """
    return give(star(leaves, length_m), hardware, purpose)


@generate_app.command(name="geometric")
def generate_geometric(
    *,
    count: int = 12,
    side_m: float = 50_000.0,
    radius_m: float = 25_000.0,
    seed: int = 1,
    hardware: Annotated[Hardware, Flat] = HARDWARE,
    purpose: Annotated[Purpose, Flat] = PURPOSE,
) -> int:
    """Nodes at random places of a square, joined where they are close.

    Args:
        count: nodes.
        side_m: of the square.
        radius_m: nodes closer than this are joined.
        seed: of the places.
        hardware: of all nodes and links.
        purpose: application and output.
    """
    return give(geometric(count, side_m, radius_m, seed), hardware, purpose)


@generate_app.command(name="graphml")
def generate_graphml(
    file: Path,
    /,
    *,
    detour: float = 1.0,
    default_length_m: float | None = None,
    hardware: Annotated[Hardware, Flat] = HARDWARE,
    purpose: Annotated[Purpose, Flat] = PURPOSE,
) -> int:
    """The graph of a GraphML file, such as those of the Internet Topology Zoo.

    Args:
        file: GraphML; lengths from length_m, LinkLength (km), or Latitude and Longitude.
        detour: length of fibre per length of the great circle.
        default_length_m: of edges that give neither length nor positions; an error if not given.
        hardware: of all nodes and links.
        purpose: application and output.
    """
    sketch = graphml(file, detour=detour, default_length_m=default_length_m)
    return give(sketch, hardware, purpose)
