"""docs/generated/seams.md: every seam with its record, what its machines may know, and their contract."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Iterator
from typing import Any, Final

from trace_events import line_of, markdown, types

from qnet import machine, seams
from qnet.cli.creating import GROUPS as KINDS
from qnet.cli.plugging import attribute_texts
from qnet.layers import scheduling
from qnet.plugins import GROUPS, WORDS
from qnet.world import engine

INTRO: Final = """\
# Seams

A plug-in package names a record of the type below in an entry point of the group of its seam, under the
name that a topology mentions. The record is checked when it is loaded: type, name, and version of the
plug-in interface, which is `{version}` here. `qnet new KIND NAME` writes a package to start from; guides:
[a protocol](../guides/write-your-own-protocol.md), [a platform](../guides/write-your-own-platform.md).

| seam | entry-point group | record | `qnet new` |
| --- | --- | --- | --- |
{rows}
"""

SERVICES: Final = """\
## The contract of a machine

{machine}

{methods}
### Inputs

{inputs}
### Effects

{effects}
What the layers ask of each other and say to each other is in [trace-events.md](trace-events.md), what the
built-in machines do with every input in [states.md](states.md), every message in [messages.md](messages.md).
"""


CHOICES: Final = """\
## How a plug-in is chosen

| seam | chosen by | in the plan, so in the trace |
| --- | --- | --- |
| station sheet | `sheet` in a station's table | its figures |
| scheduler | `scheduler` in `protocol_parameters`: a name, or a table of `name` and its own parameters | yes |
| quantum engine | `engine` in the table `run` | yes, if it is not `qutip` |
| transport | `--transport NAME` | no: it cannot change a trace |

All others are chosen by the key of their name in the table of a node, a link, the network or the application.

## What a scheduler sees

{waiting}

{members}
## The contract of an engine

`make` of a `QuantumEngine` gives an object with these operations (`qnet.world.engine.Engine`). {engine}

{methods}
The store ([`qnet/world/store.py`](../../qnet/world/store.py)) does everything else: slots, time,
admission of programs, decay up to an instant, durations and errors of a processor. An engine never learns
of nodes. Hold yours against `qutip` as
[`tests/world/test_engine_bell.py`](../../tests/world/test_engine_bell.py) holds `bell`.

## What a transport replaces

How the bytes of the stream between the world and one host get from end to end, on this machine. It cannot
replace the frames, their limits and their numbering (`qnet/wire`), that world and host take turns, how
processes are started and watched, or the direct calls of an embedded run. Hosts on another machine are out
of its reach: they cannot inherit an end from the launcher.
"""


def page() -> str:
    """The whole page."""
    kinds = {group: kind for kind, group in KINDS.items()}
    rows = "\n".join(
        f"| {WORDS[group]} | `{group}` | {_anchored(record)} | {_code(kinds.get(group))} |"
        for group, record in GROUPS.items()
    )
    parts = [INTRO.format(version=seams.API_VERSION, rows=rows)]
    parts.append("## Records\n")
    parts += [_record(record) for record in GROUPS.values()]
    parts.append("## What they hold, and what machines may know at the start\n")
    parts += [_record(one) for one in _others()]
    parts.append(_choices())
    parts.append(_services())
    return "\n".join(parts)


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _anchored(record: type[Any]) -> str:
    return f"[`{record.__name__}`](#{record.__name__.lower()})"


def _others() -> Iterator[type[Any]]:
    """Records of the seams module that are no catalogue record, in order of definition."""
    for one in vars(seams).values():
        ours = inspect.isclass(one) and one.__module__ in (seams.__name__, scheduling.__name__)
        if ours and dataclasses.is_dataclass(one) and one not in GROUPS.values():
            yield one


def _record(record: type[Any]) -> str:
    texts = attribute_texts(record)
    lines = ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(record):
        cells = (
            f"`{field.name}`",
            f"`{field.type}`",
            _default(field),
            markdown(texts.get(field.name) or _usual(field.name)),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return f"### {record.__name__}\n\n{_about(record)}\n\n" + "\n".join(lines) + "\n"


def _about(record: type[Any]) -> str:
    """The docstring up to the section on attributes, paragraph by paragraph."""
    text = (inspect.getdoc(record) or "").partition("Attributes:")[0]
    paragraphs = (" ".join(one.split()) for one in text.split("\n\n"))
    return "\n\n".join(markdown(one) for one in paragraphs if one)


USUAL: Final = {
    "name": "by which a topology mentions it; that of its entry point",
    "title": "one line for people",
    "api": "version of the plug-in interface for which it is made",
    "sources": "papers, for people",
    "parameters": "typed record of its parameters, checked from the topology",
    "messages": "kinds that its machines exchange",
    "make_end": "makes the machine of one end",
    "node": "the node's own name",
    "link": "plan of the link: hardware resolved, times in picoseconds, estimate",
    "incarnation": "restarts of the node so far",
    "platform": "the numbers",
    "station": "the numbers",
    "figures": "one per number",
    "make_node": "makes the machine of one node",
}
"""Meanings of fields that a docstring need not repeat."""


def _usual(name: str) -> str:
    return USUAL.get(name, "")


def _default(field: dataclasses.Field[Any]) -> str:
    return "" if field.default is dataclasses.MISSING else f"`{_named(field.default)}`"


def _named(value: object) -> str:
    """A default as the code writes it: constants of the seams module and types by name."""
    if isinstance(value, tuple) and value:
        return f"({', '.join(map(_named, value))})"
    for name, constant in vars(seams).items():
        if constant is value and (name.isupper() or inspect.isclass(value)):
            return name
    return repr(value)


def _choices() -> str:
    return CHOICES.format(
        waiting=_about(scheduling.Waiting),
        members=_listed(scheduling.Waiting),
        engine=_about(engine.Engine),
        methods=_listed(engine.Engine),
    )


def _listed(protocol: type[Any]) -> str:
    """Members of a protocol, a line each."""
    lines = (
        f"* `{name}{_signature(value)}`: {markdown(line_of(value))}\n"
        for name, value in _members(protocol)
    )
    return "".join(lines)


def _services() -> str:
    methods = "\n".join(
        f"* `{name}{_signature(value)}`: {line_of(value)}"
        for name, value in _members(machine.Machine)
    )
    about = inspect.getdoc(machine.Machine) or ""
    head = (inspect.getdoc(machine) or "").partition("\n\n")[2].partition("\n\n")[0]
    return SERVICES.format(
        machine=f"`qnet.machine.Machine`: {markdown(about)} {markdown(' '.join(head.split()))}",
        methods=methods + "\n",
        inputs=types(_union(machine.Input)),
        effects=types(_union(machine.Effect)),
    )


def _union(union: Any) -> Iterable[Any]:
    return union.__args__


def _members(protocol: type[Any]) -> Iterator[tuple[str, Any]]:
    for name, value in vars(protocol).items():
        if isinstance(value, property) or (inspect.isfunction(value) and not name.startswith("_")):
            yield name, value


def _signature(value: Any) -> str:
    if isinstance(value, property):
        return ""
    return (
        str(inspect.signature(value)).replace("self, ", "").replace("(self)", "()").replace("'", "")
    )
