"""The messages of a run as a space-time diagram: nodes across, time downwards, one arrow per copy.

Theory
    Instants that matter are drawn at equal distances, not to scale: what is read off a diagram of a
    failure is the order of things. What the users heard stands at the margin, lost messages end in a
    cross. Only the last part of a long run is drawn.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Final

from qnet.ids import NodeId
from qnet.testing.conformance.faults import ALICE, BOB
from qnet.testing.conformance.parts import Flight, Line

LAST: Final = 80
"""Instants that are drawn, counted from the end."""

_STEP: Final = 22
_TOP: Final = 50
_FIRST: Final = 240
_BETWEEN: Final = 240
_HEARD: Final = "user hears "


def draw(flights: Sequence[Flight], lines: Sequence[Line]) -> str:
    """An SVG picture of the last part of a run."""
    marks = [line for line in lines if line.what.startswith((_HEARD, "crashes", "is back"))]
    instants = {one.sent_at for one in flights} | {line.at for line in marks}
    instants |= {at for one in flights for at in one.heard_at}
    shown = sorted(instants)[-LAST:]
    rows = {at: _TOP + _STEP * (place + 1) for place, at in enumerate(shown)}
    height = _TOP + _STEP * (len(shown) + 2)
    lanes = _lanes(flights, marks)
    width = _FIRST + _BETWEEN * len(lanes)
    parts = [
        f'<text x="{x}" y="24" class="node">{html.escape(name)}</text>'
        f'<line x1="{x}" y1="34" x2="{x}" y2="{height}"/>'
        for name, x in lanes.items()
    ]
    parts += [f'<text x="4" y="{y + 4}">{at} ps</text>' for at, y in rows.items()]
    for one in flights:
        parts += _arrows(one, rows, lanes)
    for line in marks:
        if line.at in rows:
            parts.append(_mark(line, rows[line.at], lanes))
    style = (
        "text{font:11px sans-serif}.node{font:bold 14px sans-serif;text-anchor:middle}"
        "line{stroke:#999}.sent{stroke:#246;marker-end:url(#a)}.lost{stroke:#b22;stroke-dasharray:4}"
        ".said{fill:#060}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><style>{style}</style><defs><marker id="a" '
        'markerWidth="8" markerHeight="8" refX="7" refY="3" orient="auto">'
        '<path d="M0,0 L7,3 L0,6 z" fill="#246"/></marker></defs>'
        f"{''.join(parts)}</svg>\n"
    )


def _lanes(flights: Sequence[Flight], marks: Sequence[Line]) -> dict[NodeId, int]:
    """Where each node stands: alice on the left, bob on the right, who is between them in between."""
    names = {one.source for one in flights} | {one.target for one in flights}
    names |= {line.node for line in marks} | {ALICE, BOB}
    ordered = [ALICE, *sorted(names - {ALICE, BOB}), BOB]
    return {name: _FIRST + _BETWEEN * place for place, name in enumerate(ordered)}


def _arrows(one: Flight, rows: dict[int, int], lanes: dict[NodeId, int]) -> list[str]:
    if one.sent_at not in rows:
        return []
    y = rows[one.sent_at]
    start, end = lanes[one.source], lanes[one.target]
    middle = (start + end) // 2
    name = f'<text x="{middle - 40}" y="{y - 2}">{html.escape(one.words)}</text>'
    if not one.heard_at:
        cross = f'<text x="{middle}" y="{y + _STEP}" fill="#b22">×</text>'
        lost = f'<line class="lost" x1="{start}" y1="{y}" x2="{middle}" y2="{y + _STEP}"/>'
        return [lost, cross, name]
    return [
        f'<line class="sent" x1="{start}" y1="{y}" x2="{end}" y2="{rows[at]}"/>'
        for at in one.heard_at
        if at in rows
    ] + [name]


def _mark(line: Line, y: int, lanes: dict[NodeId, int]) -> str:
    left = line.node == ALICE
    x = lanes[line.node] + (-8 if left else 8)
    anchor = "end" if left else "start"
    words = html.escape(line.what.removeprefix(_HEARD).partition("(")[0])
    return f'<text class="said" x="{x}" y="{y + 4}" text-anchor="{anchor}">{words}</text>'
