"""``qnet check`` and ``qnet trace``: things to look at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from qnet.cli.progress import console
from qnet.cli.running import show_json
from qnet.errors import ConfigError
from qnet.ids import NodeId
from qnet.plan import RunPlan
from qnet.results.diagram import sequence_diagram
from qnet.results.table import data_table
from qnet.results.timeline import write_timeline
from qnet.results.trace import Story, follow, read_trace
from qnet.runtime.run import load_plan
from qnet.topology import describe

WIDE: Final = 6
"""Columns above which a short table is turned on its side."""

TURNED: Final = ("links", "predictions", "purification")
"""Tables that may be turned."""

LONG: Final = 60
"""Rows that a person still reads."""


def show_plan(plan: RunPlan, *, as_json: bool = False) -> None:
    """What the plan would launch and what it predicts.

    Args:
        plan: to show.
        as_json: one object, each table a list of objects under its title, with all rows.
    """
    tables = describe(plan)
    if as_json:
        show_json(
            {
                "name": plan.network,
                "seed": plan.seed,
                **{
                    table.title: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
                    for table in tables
                },
            }
        )
        return
    out = console()
    for table in tables:
        if not table.rows:
            continue
        columns, rows = list(table.columns), list(table.rows)
        if (
            len(columns) > WIDE and len(rows) <= 4 and table.title in TURNED
        ):  # a column for each row reads well on any terminal
            turned = list(zip(columns, *rows, strict=True))
            columns, rows = [str(cell) for cell in turned[0]], turned[1:]
        out.print(data_table(table.title, columns, rows[:LONG]))
        if len(rows) > LONG:
            out.print(f"  and {len(rows) - LONG} more rows; --json shows all\n")


def show_pair(folder: Path, pair: str | None) -> None:
    """The sequence diagram of one pair."""
    story = follow(folder, pair)
    sys.stdout.write(sequence_diagram(story, _lanes(load_plan(folder), story)))


def _lanes(plan: RunPlan, story: Story) -> tuple[NodeId, ...]:
    """Who stands where in the diagram: along the link, or along the path."""
    pair = story.pair
    if pair.link:
        link = plan.link(pair.link)
        return (link.ends[0], link.station, link.ends[1])
    layer = plan.network_layer
    routes = () if layer is None else layer.routes.get(f"{pair.origin}>{pair.peer}", ())
    acting = {line.node for line in story.lines}
    taken = [route.nodes for route in routes if acting.issuperset(route.nodes)]
    return taken[0] if taken else (pair.origin, pair.peer)


def export_timeline(folder: Path, pair: str | None, file: Path) -> None:
    """Write Chrome trace events of one pair, or of the whole run if none is named."""
    lines = read_trace(folder) if pair is None else iter(follow(folder, pair).lines)
    try:
        count = write_timeline(lines, file)
    except OSError as failure:
        raise ConfigError(
            f"must be a file that can be written ({failure.strerror})",
            path="--export",
            value=str(file),
        ) from failure
    sys.stdout.write(f"{count} events written to {file}\n")
