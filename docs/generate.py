"""Write docs/generated/ and docs/specification/ from the code, and the outputs that README.md shows.

``python docs/generate.py`` writes; ``python docs/generate.py --check`` says which tables are not
fresh and ends with status 1 (``tests/docs`` compares the outputs). Nobody edits these folders by hand.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import blocks
import msgspec
import seams_page
import trace_events
import walk
from trace_events import line_of, markdown

from qnet import errors
from qnet.cli import plugging
from qnet.cli.plugging import attribute_texts, figure_value
from qnet.layers import link as link_service
from qnet.machine import Message
from qnet.plugins import catalogue, find
from qnet.seams import (
    App,
    HeraldingScheme,
    LinkProtocol,
    NetworkProtocol,
    PlatformSheet,
    PurificationProtocol,
    QuantumEngine,
    Routing,
    Scheduler,
    StationSheet,
    Transport,
)
from qnet.testing.conformance.requirement import LAYERS, prose
from qnet.validate import report
from qnet.validate.catalogue import CASES
from qnet.validate.verdict import compare
from qnet.wire import codes, control
from qnet.world.optics import AttemptRunning, UnknownLink

DOCS: Final = Path(__file__).parent
README: Final = DOCS.parent / "README.md"
DISTRIBUTION: Final = "qnet-stack"
HEAD: Final = "<!-- Written by `make docs` from the code. Do not edit. -->\n\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; bars in cells are escaped."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for row in rows:
        cells = [markdown(str(cell)).replace("|", "\\|").replace("\n", " ") for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """A field's default as Markdown, empty if it is required."""
    text = plugging.default_of(field)
    return f"`{text}`" if text else ""


def type_text(record: type[Any], name: str) -> str:
    """The annotation of a field as it was written."""
    return f"`{record.__annotations__[name]}`"


def field_rows(record: type[Any]) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each field of a message."""
    texts = attribute_texts(record)
    for field in msgspec.structs.fields(record):
        yield f"`{field.name}`", type_text(record, field.name), texts.get(field.name, "")


def ours(group: str) -> list[Any]:
    """Records of this distribution's plug-ins in one group, in order of name."""
    entries = [one for one in catalogue() if one.group == group and one.package == DISTRIBUTION]
    for one in entries:
        if one.status != "ok":
            raise SystemExit(f"{one.group} {one.name}: {one.error}")
    return [find(one.group, one.name) for one in entries]  # type: ignore[call-overload]


# ---------------------------------------------------------------- messages.md


MESSAGES_INTRO: Final = """\
# Messages

A frame is a 4-byte big-endian length and one msgpack map with the fields `v`, `kind`, `source`,
`target`, `seq`, `at` (picoseconds) and `body`. Kinds read `layer.protocol/message@version`. Golden
bytes of every kind: `tests/wire/golden`.

## Between nodes

A message between nodes travels as the body of an envelope: in the sender's `Report` to the world,
and one light time later in the receiver's `Grant`.
"""


def messages() -> str:
    """Every kind of message, its fields, and who lists it."""
    parts = [MESSAGES_INTRO]
    users: dict[type[Message], list[str]] = {}
    for group in ("heralding", "links", "purification", "networks", "apps"):
        for record in ours(f"qnet.{group}"):
            for message in record.messages:
                users.setdefault(message, []).append(f"`{record.name}`")
    parts += [_message(one, f"Listed by {', '.join(names)}.") for one, names in users.items()]
    parts += ["## Between launcher, world and hosts\n"]
    parts += [_control(kind, record) for kind, record in control.CONTROL_KINDS.items()]
    parts += ["## What a report lists\n", *map(_item, control.Output.__args__)]
    parts += ["## What a grant lists\n", *map(_item, control.Item.__args__)]
    return "\n".join(parts)


def _message(message: type[Message], listed: str) -> str:
    rows = list(field_rows(message))
    return f"### `{message.kind}`\n\n{line_of(message)} {listed}\n\n" + table(
        ("field", "type", "meaning"), rows
    )


def _control(kind: str, record: type[Any]) -> str:
    return f"### `{kind}`\n\n{line_of(record)}\n\n" + table(
        ("field", "type", "meaning"), field_rows(record)
    )


def _item(record: type[Any]) -> str:
    tag = record.__struct_config__.tag
    head = f"### `{tag}` ({record.__name__})\n\n{line_of(record)}\n\n"
    return head + table(("field", "type", "meaning"), field_rows(record))


# ---------------------------------------------------------------- errors.md


def member_texts(enumeration: type[Any]) -> dict[str, str]:
    """The string below each member of an enumeration, read from its source."""
    tree = ast.parse(inspect.getsource(sys.modules[enumeration.__module__]))
    body = next(
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == enumeration.__name__
    )
    texts: dict[str, str] = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            texts[node.targets[0].id] = " ".join(str(after.value.value).split())
    return texts


ERRORS_PAGE: Final = """\
# Errors

## Refusals

Why bytes, an envelope or a command were refused. A refusal crosses processes as its number, never
as an object.

{refusals}
## Answers of the link layer (ERR)

Not exceptions: an application that iterates over pairs gets `RequestFailed` with the code.

{service}
## Exceptions (`qnet/errors.py`)

{classes}
## Exit status of `qnet`

| status | meaning |
| --- | --- |
| 0 | done |
| 1 | the run failed, or two traces differ |
| 2 | the description or the command line is wrong; nothing was started |
| 130 | interrupted; what was recorded is kept |

`qnet conformance` has its own: 0 conformant, 1 a requirement is broken, 2 some could not be decided,
3 the command line is wrong or the suite failed.
"""


def error_tables() -> str:
    """Refusal numbers, link-layer codes, exceptions and exit statuses."""
    classes = [
        error
        for error in vars(errors).values()
        if inspect.isclass(error) and error.__module__ == errors.__name__
    ]
    known = [*classes, UnknownLink, AttemptRunning]
    raised = {int(one.code): one for one in known if issubclass(one, errors.BackendError)}
    texts, service = member_texts(codes.Refusal), member_texts(link_service.ErrorCode)
    columns = ("number", "name", "meaning")
    return ERRORS_PAGE.format(
        refusals=table(
            columns,
            (
                (one.value, one.name, texts.get(one.name) or line_of(raised[one.value]))
                for one in codes.Refusal
            ),
        ),
        service=table(
            columns, ((one.value, one.name, service[one.name]) for one in link_service.ErrorCode)
        ),
        classes=table(
            ("class", "is a", "whose doing"),
            (
                (f"`{one.__name__}`", f"`{one.__bases__[0].__name__}`", line_of(one))
                for one in classes
            ),
        ),
    )


# ---------------------------------------------------------------- plugins.md


def plugins() -> str:
    """What ships: platforms with every figure, schemes, link protocols, applications."""
    parts = ["# Plug-ins\n", "`qnet plugins list` shows what is installed on your machine.\n"]
    parts.append("## Processor platforms (`qnet.platforms`)\n")
    parts.append(
        "Confidence: *found* (read in the source), *memory* (the source as remembered), *derived* "
        "(computed from a published figure), *assumed*.\n"
    )
    parts += [_platform(sheet) for sheet in ours("qnet.platforms")]
    parts.append("## Heralding stations (`qnet.stations`)\n")
    parts += [_platform(sheet) for sheet in ours("qnet.stations")]
    parts.append("## Heralding schemes (`qnet.heralding`)\n")
    parts += [_scheme(scheme) for scheme in ours("qnet.heralding")]
    parts.append("## Link protocols (`qnet.links`)\n")
    parts += [_scheme(protocol) for protocol in ours("qnet.links")]
    parts.append("## Schedulers of a link (`qnet.schedulers`)\n")
    parts += [_scheme(scheduler) for scheduler in ours("qnet.schedulers")]
    parts.append("## Purification (`qnet.purification`)\n")
    parts += [_scheme(protocol) for protocol in ours("qnet.purification")]
    parts.append("## Network protocols (`qnet.networks`)\n")
    parts += [_scheme(protocol) for protocol in ours("qnet.networks")]
    parts.append("## Path selection (`qnet.routing`)\n")
    parts += [_scheme(routing) for routing in ours("qnet.routing")]
    parts.append("## Applications (`qnet.apps`)\n")
    parts += [_app(app) for app in ours("qnet.apps")]
    parts.append("## Quantum engines (`qnet.engines`)\n")
    parts += [_titled(engine) for engine in ours("qnet.engines")]
    parts.append("## Transports (`qnet.transports`)\n")
    parts += [_titled(transport) for transport in ours("qnet.transports")]
    return "\n".join(parts)


def _titled(record: QuantumEngine | Transport) -> str:
    sources = getattr(record, "sources", ())
    text = f"### `{record.name}`\n\n{record.title[:1].upper()}{record.title[1:]}.\n"
    return text + (f"\nSources: {'; '.join(sources)}.\n" if sources else "")


def _platform(sheet: PlatformSheet | StationSheet) -> str:
    rows = [
        (f"`{one.path}`", f"{figure_value(sheet, one.path)}", one.confidence, one.source)
        for one in sorted(sheet.figures, key=lambda one: one.path)
    ]
    return f"### `{sheet.name}`\n\n{sheet.title}\n\n" + table(
        ("figure", "value", "confidence", "source"), rows
    )


def _scheme(
    record: HeraldingScheme
    | LinkProtocol
    | Scheduler
    | PurificationProtocol
    | NetworkProtocol
    | Routing,
) -> str:
    module = sys.modules[plugging.maker_of(record).__module__]
    parts = [f"### `{record.name}`\n", f"{plugging.about_of(record)} (`{module.__name__}`)\n"]
    if record.sources:
        parts.append("Sources: " + "; ".join(record.sources) + ".\n")
    if not isinstance(record, Routing | Scheduler) and record.messages:
        kinds = ", ".join(f"`{message.kind}`" for message in record.messages)
        parts.append(f"Messages: {kinds}.\n")
    parts.append(_parameters(record.parameters))
    return "\n".join(parts)


def _app(app: App) -> str:
    roles = ", ".join(
        f"{role} (at `{app.place[role]}`)" if role in app.place else f"{role} (at every node)"
        for role in app.roles
    )
    head = f"### `{app.name}`\n\n{app.title}. Roles: {roles}.\n\n"
    return head + _parameters(app.parameters)


def _parameters(record: type[msgspec.Struct]) -> str:
    fields = msgspec.structs.fields(record)
    if not fields:
        return "No parameters.\n"
    texts = attribute_texts(record)
    return table(
        ("parameter", "default", "meaning"),
        (
            (f"`{one.name}`", default_of(one), texts.get(one.name) or line_of(record))
            for one in fields
        ),
    )


# ---------------------------------------------------------------- validation.md


def validation() -> str:
    """Closed forms beside published figures; runs are left to ``qnet validate``."""
    shown = [one for case in CASES for one in compare(case)]
    return report.markdown(shown) + (
        "\nThis page holds closed forms only. `qnet validate` also runs the networks of the cases.\n"
    )


# ---------------------------------------------------------------- writing

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "generated/messages.md": messages,
    "generated/errors.md": error_tables,
    "generated/plugins.md": plugins,
    "generated/seams.md": seams_page.page,
    "generated/states.md": walk.page,
    "generated/trace-events.md": trace_events.page,
    "generated/validation.md": validation,
    **{f"specification/{layer}.md": partial(prose, layer) for layer in LAYERS},
}


def main() -> int:
    """Write the pages, or compare them; the exit status."""
    parser = argparse.ArgumentParser(description=line_of(sys.modules[__name__]))
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    stale = []
    for name, page in PAGES.items():
        text = HEAD + page().rstrip() + "\n"
        file = DOCS / name
        if file.exists() and file.read_text() == text:
            continue
        stale.append(f"docs/{name}")
        if not check:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
    if not check:
        stale += _refresh_documents()
    for name in stale:
        sys.stdout.write(f"{'not fresh' if check else 'written'}: {name}\n")
    return 1 if check and stale else 0


def _refresh_documents() -> list[str]:
    """Run the blocks of README.md and the guides, and mend the outputs that have changed."""
    changed = []
    for document in (README, *sorted((DOCS / "guides").glob("*.md"))):
        with tempfile.TemporaryDirectory() as folder:
            text = blocks.refreshed(document, Path(folder))
        if text != document.read_text():
            document.write_text(text)
            changed.append(str(document.relative_to(DOCS.parent)))
    return changed


if __name__ == "__main__":
    sys.exit(main())
