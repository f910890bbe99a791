"""The page trace-events.md: which types stand in a trace, and which a small run writes."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from qnet.layers import link, physical
from qnet.machine import Effect, Input, Record
from qnet.runtime.node import AppReturned
from qnet.runtime.run import RunOptions, run
from qnet.topology import load
from qnet.world.ledger import PairDelivered
from qnet.world.optics import PairCreated

TOPOLOGY: Final = Path(__file__).parents[1] / "deploy/topologies/ion-pair.toml"
FIELDS: Final = (
    ("at", "instant in picoseconds of simulated time"),
    ("round", "delta round of the instant, from 0"),
    ("node", "who; `world` for the world's own lines"),
    ("machine", "`layer:link`, `app`, `optics:link` or `truth`"),
    ("event", "the input, null for an act of the application"),
    ("effects", "what the machine returned, in order; absent in lines of the world"),
    ("state", "the machine's state afterwards; absent in lines of the world"),
)


def line_of(thing: object) -> str:
    """The first paragraph of a docstring on one line."""
    text = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())
    return markdown(text)


def markdown(text: str) -> str:
    """Literals and roles of a docstring as Markdown code."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def types(records: Iterable[Any]) -> str:
    """A table of record types and what they say."""
    rows = [f"| `{one.__name__}` | {line_of(one)} |" for one in records]
    return "\n".join(["| type | meaning |", "| --- | --- |", *rows]) + "\n"


def records_of(module: Any) -> Iterator[type[Record]]:
    """Requests and indications of a layer, in order of definition."""
    for one in vars(module).values():
        if inspect.isclass(one) and issubclass(one, Record) and one.__module__ == module.__name__:
            yield one


def seen() -> str:
    """Which steps a run of three pairs writes: machine, event, effects."""
    with tempfile.TemporaryDirectory() as folder:
        plan = load(TOPOLOGY, ("pairs=3",), seed=7)
        outcome = run(plan, RunOptions("embedded", folder=Path(folder)))
        if outcome.status != "done":
            raise SystemExit(outcome.fault)
        lines = (Path(folder) / "trace.jsonl").read_text().splitlines()[1:]
    steps = sorted({step(json.loads(line)) for line in lines})
    rows = ["| " + " | ".join(cells) + " |" for cells in steps]
    return "\n".join(["| machine | event | effects |", "| --- | --- | --- |", *rows]) + "\n"


def step(line: dict[str, Any]) -> tuple[str, str, str]:
    """One trace line without its numbers."""
    event = line["event"]
    machine = line["machine"].partition(":")[0]
    words = "" if event is None else event["type"]
    for key in ("request", "indication"):
        if event is not None and isinstance(event.get(key), dict):
            words += f" {event[key]['type']}"
    if event is not None and "kind" in event:
        words += f" `{event['kind']}`"
    effects = []
    for effect in line.get("effects", ()):
        inner = effect.get("request") or effect.get("indication")
        name = inner["type"] if isinstance(inner, dict) else ""
        effects.append(f"{effect['type']} {name}".strip())
    return machine, words, ", ".join(effects)


PAGE: Final = """\
# What stands in a trace

`trace.jsonl` has one JSON object per line. The first line says what ran: `qnet` (version),
`network`, `seed`, `app`, `plan_sha256`. Every other line is one step.

{fields}
Records carry their type in `type`, messages their `kind`.

## Inputs of machines

{inputs}
## Effects

{effects}
## Requests and indications of the physical layer

{physical}
## Requests and indications of the link layer

{link}
## Lines of the world and of applications

{world}
`PairsExpired` (machine `truth`): an end has said EXPIRE for pairs that it had announced.

## Steps of a small run

`qnet run deploy/topologies/ion-pair.toml --seed 7 --set pairs=3`, numbers left out.

{seen}"""


def page() -> str:
    """The page trace-events.md."""
    fields = [f"| `{name}` | {meaning} |" for name, meaning in FIELDS]
    return PAGE.format(
        fields="\n".join(["| field | meaning |", "| --- | --- |", *fields]) + "\n",
        inputs=types(Input.__args__),
        effects=types(Effect.__args__),
        physical=types(records_of(physical)),
        link=types(records_of(link)),
        world=types((PairCreated, PairDelivered, AppReturned)),
        seen=seen(),
    )
