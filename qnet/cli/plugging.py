"""``qnet plugins``: what is installed, and what one plug-in takes."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from qnet.cli.progress import console
from qnet.errors import ConfigError, PluginError
from qnet.plugins import WORDS, CatalogueEntry, PluginRecord, catalogue, find
from qnet.results.table import data_table
from qnet.seams import (
    App,
    PlatformSheet,
    QuantumEngine,
    Routing,
    Scheduler,
    StationSheet,
    Transport,
)
from qnet.topology.check import nearest

ENTRY: Final = re.compile(r"    (\w[\w, ]*): (.*)")
"""First line of an entry in the section "Attributes" of a docstring."""

UNITS: Final = {
    "_db_per_km": "dB/km",
    "_per_s": "1/s",
    "_hz": "Hz",
    "_prob": "probability",
    "_photons": "photons",
    "_slots": "slots",
    "_rad": "rad",
    "_ps": "ps",
    "_s": "s",
    "_m": "m",
}
"""Units by the end of a name; the first that fits counts. Other quantities have none."""


def show_plugins() -> None:
    """Every installed plug-in, with what is wrong with it."""
    rows = [
        (entry.group, entry.name, entry.package, entry.version, entry.status, entry.error)
        for entry in catalogue()
    ]
    columns = ("seam", "name", "package", "version", "status", "error")
    console().print(data_table("plug-ins", columns, rows))


def show_plugin(name: str) -> None:
    """Every plug-in of that name: what it is, its parameters with their defaults or its figures.

    Raises:
        ConfigError: no seam has a plug-in of that name.
        PluginError: it is there but broken.
    """
    entries = catalogue()
    named = [entry for entry in entries if entry.name == name]
    if not named:
        known = {entry.name for entry in entries}
        raise ConfigError("must name a plug-in", path="NAME", value=name, hint=nearest(name, known))
    for entry in named:
        if entry.status != "ok":
            raise PluginError(entry.error)
        _show(entry, find(entry.group, name))  # type: ignore[call-overload]


def _show(entry: CatalogueEntry, record: PluginRecord) -> None:
    out = console()
    out.print(
        data_table(
            f"{WORDS[entry.group]} {entry.name}", ("what", "value"), list(_about(entry, record))
        )
    )
    if isinstance(record, PlatformSheet | StationSheet):
        rows = [
            (
                one.path,
                figure_value(record, one.path),
                unit_of(one.path),
                one.confidence,
                one.source,
            )
            for one in sorted(record.figures, key=lambda one: one.path)
        ]
        out.print(data_table("figures", ("figure", "value", "unit", "confidence", "source"), rows))
    elif isinstance(record, QuantumEngine | Transport):
        out.print("no parameters")
    elif parameters := list(parameter_rows(record.parameters)):
        columns = ("parameter", "default", "unit", "meaning")
        units = [(name, default, unit_of(name), text) for name, default, text in parameters]
        out.print(data_table("parameters", columns, units))
    else:
        out.print("no parameters")


def _about(entry: CatalogueEntry, record: PluginRecord) -> Iterator[Sequence[str]]:
    """What a person asks first of a plug-in."""
    yield "seam", entry.group
    if entry.package:
        yield "package", f"{entry.package} {entry.version}"
    if isinstance(record, PlatformSheet | StationSheet | Transport):
        yield "about", record.title
        return
    if isinstance(record, QuantumEngine):
        yield "about", record.title
        if record.sources:
            yield "sources", "; ".join(record.sources)
        return
    if isinstance(record, App):
        yield "about", record.title
        for role in record.roles:
            yield f"role {role}", _placed(record, role)
    else:
        yield "about", about_of(record)
        if record.sources:
            yield "sources", "; ".join(record.sources)
    if not isinstance(record, Routing | Scheduler) and record.messages:
        yield "messages", ", ".join(message.kind for message in record.messages)


def _placed(app: App, role: str) -> str:
    """Which nodes have a role."""
    if role not in app.place:
        return "every node"
    everywhere = ", every processor if empty" if role in app.everywhere else ""
    return f"parameter {app.place[role]}{everywhere}"


def about_of(record: Any) -> str:
    """First line of what describes a record: a scheduler's key, else the module of its maker."""
    described = (
        record.key if isinstance(record, Scheduler) else sys.modules[maker_of(record).__module__]
    )
    return (inspect.getdoc(described) or "").partition("\n")[0]


def maker_of(record: Any) -> Any:
    """The function of a scheme, protocol, scheduler or path selection that does the work; its module tells."""
    for name in ("outcomes", "make_end", "make_node", "key", "routes"):
        if hasattr(record, name):
            return getattr(record, name)
    raise AssertionError(f"{type(record).__name__} makes nothing")


def unit_of(name: str) -> str:
    """The unit that a name carries, "" for none."""
    return next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), "")


def figure_value(sheet: PlatformSheet | StationSheet, path: str) -> object:
    """The number behind a figure's key path; of a list (couplings), how many there are."""
    value: object = sheet.platform if isinstance(sheet, PlatformSheet) else sheet.station
    for name in path.split("."):
        value = getattr(value, name)
    if value is None or value == ():
        return "none"
    return f"{len(value)} listed" if isinstance(value, tuple) else value


# ---------------------------------------------------------------- records


def parameter_rows(record: type[msgspec.Struct]) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of each parameter."""
    texts = attribute_texts(record)
    for field in msgspec.structs.fields(record):
        yield field.name, default_of(field), texts.get(field.name, "")


def attribute_texts(record: type[Any]) -> dict[str, str]:
    """What the sections "Attributes" of a record and its bases say of each field."""
    found: dict[str, str] = {}
    for base in reversed(record.__mro__):
        _, _, section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        names: list[str] = []
        for line in section.splitlines():
            if entry := ENTRY.match(line):
                names = [name.strip() for name in entry[1].split(",")]
                found.update(dict.fromkeys(names, entry[2]))
            elif line.startswith("        "):
                for name in names:
                    found[name] += " " + line.strip()
            else:
                names = []
    return found


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """A field's default as a topology writes it, empty if it is required or absent by default."""
    default = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    return "" if default is msgspec.NODEFAULT else _toml(default)


def _toml(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return msgspec.json.encode(value).decode()
        case list() | tuple():
            return f"[{', '.join(_toml(item) for item in value)}]"
        case _:
            return str(value)
