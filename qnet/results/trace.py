"""Reading ``trace.jsonl``: compare two traces, or follow one pair through all nodes.

Following a pair
    A line belongs to a pair if its event or an effect names the pair's id or the id of its
    attempts; if it starts or ends an operation that such a line has started; if it is the click
    that made the pair, or the ledger's note of its delivery; and if an application acts on a slot
    while that slot holds a half of the pair.

    A pair of distant nodes names the pairs that it was made of ("~" joined, "*" purified); those between
    are found by the messages that track it from there. Of such a pair the layers above the links are
    followed, and the clicks.
Not followed
    What happened to the request as a whole (agreement, queue) before the pair's attempts began; how each link
    made its pair, if there is more than one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import msgspec

from qnet.errors import ConfigError
from qnet.ids import attempt_id
from qnet.results.pairs import read_pairs
from qnet.world.recorder import DeliveredPair

TRACE_FILE: Final = "trace.jsonl"
APP: Final = "app"
WORLD: Final = "world"
LINK_LAYERS: Final = ("link:", "physical:", "station:")


class Line(msgspec.Struct, frozen=True):
    """One line of a trace: a step of a machine, an act of an application, or a note of the world.

    ``event``, ``effects`` and ``state`` are plain data; records carry their type under "type". ``error`` is what
    the machine failed with, if this was the last step of a run that failed.
    """

    at: int
    round: int
    node: str
    machine: str
    event: dict[str, Any] | None = None
    effects: tuple[dict[str, Any], ...] = ()
    state: Any = None
    error: str = ""


@dataclass(frozen=True)
class Difference:
    """The first line in which two traces differ; "" stands for a trace that has ended before it."""

    number: int
    recorded: str
    again: str


@dataclass(frozen=True)
class Story:
    """What happened to one pair, in order."""

    pair: DeliveredPair
    lines: tuple[Line, ...]


def read_trace(folder: Path) -> Iterator[Line]:
    """The lines of the trace in ``folder`` after its header; a torn last line is left out.

    Raises:
        ConfigError: no such file, or a line that is not one of a trace.
    """
    decoder = msgspec.json.Decoder(Line)
    for number, raw in raw_lines(folder):
        if number == 1:
            continue
        yield _decode(decoder, raw, folder, number)


def raw_lines(folder: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered whole lines, from 1; number 1 is the header."""
    file = folder / TRACE_FILE
    try:
        with file.open("rb") as stream:
            for number, raw in enumerate(stream, start=1):
                if raw.endswith(b"\n"):
                    yield number, raw
    except OSError as failure:
        raise ConfigError(
            f"trace of a run must be readable ({failure.strerror})", file=str(file)
        ) from failure


def _decode(decoder: msgspec.json.Decoder[Line], raw: bytes, folder: Path, number: int) -> Line:
    try:
        return decoder.decode(raw)
    except msgspec.MsgspecError as failure:
        where = f"{folder / TRACE_FILE}, line {number}"
        raise ConfigError(f"must be a step of a trace: {failure}", file=where) from failure


def first_difference(recorded: Path, again: Path) -> Difference | None:
    """Where the traces of two run folders part; None if they are equal byte for byte."""
    ended = (0, b"")
    for one, two in zip_longest(raw_lines(recorded), raw_lines(again), fillvalue=ended):
        if one[1] != two[1]:
            number = max(one[0], two[0])
            return Difference(number, one[1].decode().rstrip("\n"), two[1].decode().rstrip("\n"))
    return None


# ---------------------------------------------------------------- one pair


def follow(folder: Path, pair: str | None = None) -> Story:
    """The story of a pair of the run in ``folder``; of the first one that was delivered if None.

    Raises:
        ConfigError: the run has no such pair.
    """
    row = _find(read_pairs(folder), pair, folder)
    follower = _Follower(row) if row.link else _PathFollower(row, *_family(folder, row.pair))
    decoder = msgspec.json.Decoder(Line)
    lines = []
    for number, raw in raw_lines(folder):
        if number > 1 and follower.may_matter(raw):
            line = _decode(decoder, raw, folder, number)
            if follower.takes(line):
                lines.append(line)
    return Story(row, tuple(lines))


def _find(rows: list[DeliveredPair], pair: str | None, folder: Path) -> DeliveredPair:
    if not rows:
        raise ConfigError("run must have delivered a pair to follow one", file=str(folder))
    if pair is None:
        return rows[0]
    for row in rows:
        if row.pair == pair:
            return row
    known = f"{rows[0].pair} to {rows[-1].pair}" if len(rows) > 1 else rows[0].pair
    raise ConfigError(
        "must name a delivered pair", path="--pair", value=pair, hint=f"This run has {known}"
    )


def _family(folder: Path, pair: str) -> tuple[set[str], set[tuple[str, int]]]:
    """Pairs of links that became ``pair``, and their clicks as (link, instant)."""
    members = set(re.split(r"[~*]", pair))
    decoder = msgspec.json.Decoder(Line)
    ends = [f'"origin":"{name}"'.encode() for name in members]
    for _, raw in raw_lines(folder):
        if any(needle in raw for needle in ends):
            line = decoder.decode(raw)
            for message in _messages(line):
                if message.get("origin") in members and "link" in message:
                    members.add(str(message["link"]))
    clicks = set()
    needles = [f'"pair":"{name}"'.encode() for name in members]
    for _, raw in raw_lines(folder):
        if any(needle in raw for needle in needles):
            match decoder.decode(raw).event:
                case {"indication": {"pair": str(name), "created_at": int(at)}} if name in members:
                    clicks.add((name.partition("#")[0], at))
    return members, clicks


def _messages(line: Line) -> Iterator[dict[str, Any]]:
    """What the line received and sent."""
    for record in (line.event or {}, *line.effects):
        match record:
            case {"message": dict(message)}:
                yield message


class _Follower:
    """Decides line by line, in the order of the trace, what belongs to a pair."""

    def __init__(self, pair: DeliveredPair) -> None:
        self._pair = pair
        self._ids = {str(pair.pair), str(attempt_id(pair.request, pair.index))}
        self._clicks = {(str(pair.link), int(pair.created_at_ps))}
        self._needles = [f'"{name}"'.encode() for name in self._ids]
        self._ops: set[tuple[str, str]] = set()
        self._slots: dict[str, int] = {}

    def may_matter(self, raw: bytes) -> bool:
        """A quick look that spares decoding most lines."""
        if any(needle in raw for needle in self._needles):
            return True
        if b'"machine":"optics:' in raw or (self._ops and b'"Applied"' in raw):
            return True
        return bool(self._slots) and b'"machine":"app"' in raw

    def takes(self, line: Line) -> bool:
        """Whether the line belongs to the pair; remembers what follows from it."""
        if not self._belongs(line):
            return False
        for effect in line.effects:
            match effect:
                case {"type": "Apply" | "Attempt", "op": str(op)}:
                    self._ops.add((line.node, op))
                case {"type": "Indicate", "indication": {"type": "Ok", "slot": int(slot)} as ok}:
                    if ok["pair"] == self._pair.pair:
                        self._slots[line.node] = slot
                case {"type": "Release", "slot": slot} if self._slots.get(line.node) == slot:
                    del self._slots[line.node]
        return True

    def _belongs(self, line: Line) -> bool:
        if line.machine.startswith("optics:"):
            return (line.machine.removeprefix("optics:"), line.at) in self._clicks
        if _names(line.event, self._ids) or _names(line.effects, self._ids):
            return True
        match line.event:
            case {"type": "Applied", "op": str(op)}:
                return (line.node, op) in self._ops
        slot = self._slots.get(line.node)
        return line.machine == APP and slot is not None and _touches(line.effects, slot)


class _PathFollower(_Follower):
    """The same for a pair of distant nodes: the layers above the links."""

    def __init__(
        self, pair: DeliveredPair, members: set[str], clicks: set[tuple[str, int]]
    ) -> None:
        super().__init__(pair)
        self._ids |= members
        self._needles = [f'"{name}"'.encode() for name in self._ids]
        self._clicks = clicks

    def _belongs(self, line: Line) -> bool:
        return not line.machine.startswith(LINK_LAYERS) and super()._belongs(line)


def _names(value: Any, ids: set[str]) -> bool:
    """Whether one of the ids stands anywhere in plain data."""
    match value:
        case str():
            return value in ids
        case dict():
            return any(_names(item, ids) for item in value.values())
        case list() | tuple():
            return any(_names(item, ids) for item in value)
        case _:
            return False


def _touches(effects: tuple[dict[str, Any], ...], slot: int) -> bool:
    """Whether an application's effects use or give back a slot."""
    for effect in effects:
        match effect:
            case {"type": "Release", "slot": given}:
                if given == slot:
                    return True
            case {"type": "Apply", "program": {"instructions": list(instructions)}}:
                for one in instructions:
                    if slot in one.get("slots", (one.get("slot"),)):
                        return True
    return False
