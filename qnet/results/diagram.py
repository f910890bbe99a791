"""The story of one pair as a text sequence diagram: a column per node, time downwards.

Messages are arrows in the row in which they arrive, with their time of flight. A message between
applications has no line of arrival in the trace: its arrow stands where it was sent. Notes of the
world, which no node can see, are marked with ``*``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Final

from qnet.results.trace import APP, WORLD, Line, Story
from qnet.results.words import time_words
from qnet.units import seconds

TIME_WIDTH: Final = 14
LANE_WIDTH_MIN: Final = 24
LANE_WIDTH_MAX: Final = 36


@dataclass(frozen=True)
class Act:
    """Something that one node does."""

    at: int
    node: str
    text: str


@dataclass(frozen=True)
class Arrow:
    """A message from one node to another."""

    at: int
    source: str
    target: str
    text: str


@dataclass(frozen=True)
class Remark:
    """A note of the world."""

    at: int
    text: str


Row = Act | Arrow | Remark


def sequence_diagram(story: Story, nodes: Sequence[str] = ()) -> str:
    """The diagram as text, lines ended by newlines.

    Args:
        story: what to draw.
        nodes: columns from left to right; nodes of the story that are not named come after them.
    """
    rows = [row for line in story.lines for row in _rows(line)]
    named = [node for row in rows for node in _nodes_of(row)]
    lanes = [node for node in nodes if node in named]
    lanes += sorted(set(named) - set(lanes))
    start = rows[0].at if rows else 0
    longest = max((len(row.text) for row in rows if not isinstance(row, Remark)), default=0)
    canvas = _Canvas(lanes, min(LANE_WIDTH_MAX, max(LANE_WIDTH_MIN, longest + 8)))
    pair = story.pair
    head = (
        f"pair {pair.pair}: number {pair.index} of request {pair.request}, "
        f"{pair.origin} with {pair.peer}; times from {time_words(seconds(start), 9)}"
    )
    lines = [head, "", f"{'':{TIME_WIDTH}} {canvas.names()}"]
    for row in rows:
        for nth, drawn in enumerate(canvas.draw(row)):
            since = "" if nth else _since(row.at - start)
            lines.append(f"{since:>{TIME_WIDTH}} {drawn}")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _since(time_ps: int) -> str:
    return f"+{time_words(seconds(time_ps), 7)}"


def _nodes_of(row: Row) -> tuple[str, ...]:
    match row:
        case Act(node=node):
            return (node,)
        case Arrow(source=source, target=target):
            return (source, target)
        case Remark():
            return ()


class _Canvas:
    """Lanes of equal width."""

    def __init__(self, lanes: Sequence[str], width: int) -> None:
        self._lanes = list(lanes)
        self._width = width

    def names(self) -> str:
        """The head of the columns."""
        return "".join(f"{name:^{self._width}}" for name in self._lanes)

    def draw(self, row: Row) -> list[str]:
        """The lines of one row."""
        match row:
            case Act(node=node, text=text):
                return [self._act(node, part) for part in wrap(text, self._width - 2)]
            case Arrow(source=source, target=target, text=text):
                return [self._arrow(source, target, text)]
            case Remark(text=text):
                return [f"* {text}"]

    def _middle(self, lane: str) -> int:
        return self._lanes.index(lane) * self._width + self._width // 2

    def _lines(self) -> list[str]:
        cells = [" "] * (len(self._lanes) * self._width)
        for lane in self._lanes:
            cells[self._middle(lane)] = "|"
        return cells

    def _act(self, node: str, text: str) -> str:
        cells = self._lines()
        start = self._middle(node) - len(text) // 2
        cells[start : start + len(text)] = text
        return "".join(cells)

    def _arrow(self, source: str, target: str, text: str) -> str:
        cells = self._lines()
        low, high = sorted((self._middle(source), self._middle(target)))
        length = high - low - 1
        text = _cut(f" {text} ", length - 4)
        shaft = f"{text:-^{length}}"
        shaft = f"{shaft[:-1]}>" if self._middle(source) == low else f"<{shaft[1:]}"
        cells[low + 1 : high] = shaft
        return "".join(cells)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: max(0, length - 3)]}..."


# ---------------------------------------------------------------- from lines to rows


def _rows(line: Line) -> Iterator[Row]:
    if line.node == WORLD:
        yield Remark(line.at, _remark(line))
        return
    match line.event:
        case {"type": "Received", "source": str(source), "kind": str(kind), "sent_at": int(sent)}:
            flight = time_words(seconds(line.at - sent))
            yield Arrow(line.at, source, line.node, f"{short_kind(kind)}, {flight}")
        case {"type": "Applied", "outcomes": list(outcomes)}:
            read = f", read {' '.join(map(str, outcomes))}" if outcomes else ""
            yield Act(line.at, line.node, f"program ended{read}")
        case {"type": "Indicated", "indication": {"type": "Ok"} as ok}:
            yield Act(line.at, line.node, f"pair {ok['pair']}, F {ok['goodness']:.4f}")
        case {"type": "Observed", "pattern": list(pattern)}:
            yield Act(line.at, line.node, f"detectors {_numbers(pattern)} clicked")
    for effect in line.effects:
        yield from _effect(line, effect)


def _effect(line: Line, effect: dict[str, Any]) -> Iterator[Row]:
    match effect:
        case {"type": "Attempt", "slot": int(slot)}:
            yield Act(line.at, line.node, f"attempts with slot {slot}")
        case {"type": "Abort"}:
            yield Act(line.at, line.node, "attempts stopped")
        case {"type": "Apply", "program": {"instructions": list(instructions)}}:
            words = ", ".join(_instruction(one) for one in instructions)
            yield Act(line.at, line.node, f"program {words}")
        case {"type": "Indicate", "indication": {"type": "Ok"} as ok}:
            text = f"OK slot {ok['slot']}, label {_numbers(ok['label'])}, F {ok['goodness']:.4f}"
            yield Act(line.at, line.node, text)
        case {"type": "Indicate", "indication": {"type": "Heralded"} as heralded}:
            yield Act(line.at, line.node, f"heralded, label {_numbers(heralded['label'])}")
        case {"type": "Indicate", "indication": {"type": str(kind)}}:
            yield Act(line.at, line.node, kind)
        case {"type": "Release", "slot": int(slot)}:
            yield Act(line.at, line.node, f"slot {slot} released")
        case {"type": "Send", "target": str(target), "message": dict(message)}:
            if line.machine == APP:
                yield Arrow(line.at, line.node, target, f"sends {', '.join(message)}")


def _remark(line: Line) -> str:
    match line.event:
        case {"type": "PairDelivered", "goodness": float(claimed), "true_fidelity": true}:
            truth = "unknown" if true is None else f"{true:.4f}"
            return f"delivered at both ends: claimed fidelity {claimed:.4f}, true {truth}"
        case {"pattern": list(pattern), "attempt": int(attempt), "emitted_at": int(emitted)}:
            flight = time_words(seconds(line.at - emitted))
            click = f"click {_numbers(pattern)}, {flight} after emission"
            return f"attempt {attempt} of the run: {click}"
        case _:
            return f"{line.machine}: {(line.event or {}).get('type', '')}"


def _instruction(one: dict[str, Any]) -> str:
    match one:
        case {"type": "gate", "name": str(name), "slots": list(slots)}:
            when = " if" if one.get("when") else ""
            return f"{name} {' '.join(map(str, slots))}{when}"
        case {"type": "measure", "slot": int(slot)}:
            return f"read {one.get('basis', 'Z')} {slot}"
        case _:
            return f"init {one.get('slot')}"


def _numbers(values: list[int]) -> str:
    return "".join(map(str, values))


def short_kind(kind: str) -> str:
    """``layer.protocol/message@1`` -> ``message``."""
    return kind.partition("/")[2].partition("@")[0] or kind
