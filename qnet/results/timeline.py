"""A trace as Chrome trace events, for timeline viewers: a process per node, a row per machine.

* every step of a machine is an instant;
* quantum programs and attempt runs are spans from their start to the step that ends them;
* messages are spans from sending to arrival, shown at the node that receives them.

Times are simulated microseconds.

Sources
    "Trace Event Format", the Chromium project: phases M, i, X, b, e.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from qnet.results.diagram import short_kind
from qnet.results.trace import WORLD, Line

PS_PER_US: Final = 1_000_000

Event = dict[str, Any]


def write_timeline(lines: Iterable[Line], file: Path) -> int:
    """Write the lines as one JSON object; the number of events written."""
    encoder = msgspec.json.Encoder()
    count = 0
    with file.open("wb") as stream:
        stream.write(b'{"displayTimeUnit":"ns","traceEvents":[')
        for event in timeline(lines):
            stream.write(b",\n" if count else b"\n")
            stream.write(encoder.encode(event))
            count += 1
        stream.write(b"\n]}\n")
    return count


def timeline(lines: Iterable[Line]) -> Iterator[Event]:
    """Trace events of the lines, in order."""
    rows = _Rows()
    started: dict[tuple[str, str], tuple[int, str]] = {}
    messages = 0
    for line in lines:
        place, names = rows.place(line.node, line.machine)
        yield from names
        yield {
            "ph": "i", "s": "t", "name": _name(line), "cat": "step", "ts": _us(line.at), **place,
            "args": {"event": line.event, "effects": line.effects},
        }  # fmt: skip
        match line.event:
            case {"type": "Received", "source": source, "kind": str(kind), "sent_at": int(sent)}:
                messages += 1
                common = {
                    "name": f"{short_kind(kind)} from {source}", "cat": "message", "id": messages,
                    **place,
                }  # fmt: skip
                yield {"ph": "b", "ts": _us(sent), **common}
                yield {"ph": "e", "ts": _us(line.at), **common}
            case {"type": "Applied", "op": str(op)} if (line.node, op) in started:
                yield _span(started.pop((line.node, op)), line.at, place)
        yield from _attempts(line, started, place)


def _attempts(
    line: Line, started: dict[tuple[str, str], tuple[int, str]], place: Event
) -> Iterator[Event]:
    """Starts of operations are noted; an attempt run ends when its machine speaks up again."""
    running = (line.node, f"attempts {line.machine}")
    for effect in line.effects:
        match effect:
            case {"type": "Apply", "op": str(op)}:
                started[line.node, op] = (line.at, f"program {op}")
            case {"type": "Attempt", "op": str(op)}:
                started[running] = (line.at, f"attempts {op}")
            case {"type": "Indicate"} if running in started:
                yield _span(started.pop(running), line.at, place)


def _span(start: tuple[int, str], end: int, place: Event) -> Event:
    at, name = start
    return {
        "ph": "X", "name": name, "cat": "operation", "ts": _us(at), "dur": _us(end - at), **place
    }  # fmt: skip


def _name(line: Line) -> str:
    """What a step is called: its event, or its first effect."""
    source = line.event or (line.effects[0] if line.effects else {})
    inner = source.get("request") or source.get("indication")
    if isinstance(inner, dict) and "type" in inner:
        return str(inner["type"])
    if "kind" in source:
        return short_kind(str(source["kind"]))
    if line.node == WORLD and "pattern" in source:
        return "click"
    return str(source.get("type", line.machine))


def _us(time_ps: int) -> float:
    return time_ps / PS_PER_US


class _Rows:
    """Numbers for nodes and machines, each announced by name once."""

    def __init__(self) -> None:
        self._nodes: dict[str, int] = {}
        self._machines: dict[tuple[str, str], int] = {}

    def place(self, node: str, machine: str) -> tuple[Event, list[Event]]:
        """Where a step stands, and the announcements that must come before it."""
        names: list[Event] = []
        if node not in self._nodes:
            self._nodes[node] = len(self._nodes) + 1
            names.append(self._announce("process_name", node, self._nodes[node], 0))
        pid = self._nodes[node]
        if (node, machine) not in self._machines:
            self._machines[node, machine] = len(self._machines) + 1
            tid = self._machines[node, machine]
            names.append(self._announce("thread_name", machine, pid, tid))
        return {"pid": pid, "tid": self._machines[node, machine]}, names

    @staticmethod
    def _announce(what: str, name: str, pid: int, tid: int) -> Event:
        return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}
