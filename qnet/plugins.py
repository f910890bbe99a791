"""Registry of plug-ins: found through entry points, loaded by name, checked before use.

Theory
    An installed package names its catalogue records (:mod:`qnet.seams`) in the entry-point group
    of their seam. A topology mentions a name; only then is that plug-in imported. A name that no
    topology mentions costs nothing and cannot run code. Discovery reads the metadata of the
    installed packages once per process (a few milliseconds).

    A name with a colon is ``package.module:Object``: a record that nobody has installed, of a package
    that Python finds. It may have any name of its own.
Not modelled
    Priorities: two packages that give the same name in one group are an error that names both.
Sources
    Python packaging user guide, "Entry points specification".
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal, overload

from qnet.errors import PluginError
from qnet.seams import (
    API_VERSION,
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

Group = Literal[
    "qnet.platforms",
    "qnet.stations",
    "qnet.heralding",
    "qnet.links",
    "qnet.schedulers",
    "qnet.purification",
    "qnet.networks",
    "qnet.routing",
    "qnet.apps",
    "qnet.engines",
    "qnet.transports",
]
PluginRecord = (
    PlatformSheet
    | StationSheet
    | HeraldingScheme
    | LinkProtocol
    | Scheduler
    | PurificationProtocol
    | NetworkProtocol
    | Routing
    | App
    | QuantumEngine
    | Transport
)

GROUPS: Final[Mapping[str, type[PluginRecord]]] = {
    "qnet.platforms": PlatformSheet,
    "qnet.stations": StationSheet,
    "qnet.heralding": HeraldingScheme,
    "qnet.links": LinkProtocol,
    "qnet.schedulers": Scheduler,
    "qnet.purification": PurificationProtocol,
    "qnet.networks": NetworkProtocol,
    "qnet.routing": Routing,
    "qnet.apps": App,
    "qnet.engines": QuantumEngine,
    "qnet.transports": Transport,
}
"""Entry-point group of each seam and the record that it holds."""

WORDS: Final[Mapping[str, str]] = {
    "qnet.platforms": "platform",
    "qnet.stations": "station sheet",
    "qnet.heralding": "heralding scheme",
    "qnet.links": "link protocol",
    "qnet.schedulers": "scheduler",
    "qnet.purification": "purification protocol",
    "qnet.networks": "network protocol",
    "qnet.routing": "path selection",
    "qnet.apps": "application",
    "qnet.engines": "quantum engine",
    "qnet.transports": "transport",
}
"""What each seam is called in a sentence."""


@dataclass(frozen=True)
class CatalogueEntry:
    """One line of ``qnet plugins list``.

    Attributes:
        group, name: the seam and the name in it.
        package, version: the distribution that provides it; empty if unknown.
        status: "ok" or "failed".
        error: why it failed; empty if it did not.
    """

    group: str
    name: str
    package: str
    version: str
    status: str
    error: str


@overload
def find(group: Literal["qnet.platforms"], name: str) -> PlatformSheet: ...
@overload
def find(group: Literal["qnet.stations"], name: str) -> StationSheet: ...
@overload
def find(group: Literal["qnet.heralding"], name: str) -> HeraldingScheme: ...
@overload
def find(group: Literal["qnet.links"], name: str) -> LinkProtocol: ...
@overload
def find(group: Literal["qnet.schedulers"], name: str) -> Scheduler: ...
@overload
def find(group: Literal["qnet.purification"], name: str) -> PurificationProtocol: ...
@overload
def find(group: Literal["qnet.networks"], name: str) -> NetworkProtocol: ...
@overload
def find(group: Literal["qnet.routing"], name: str) -> Routing: ...
@overload
def find(group: Literal["qnet.apps"], name: str) -> App: ...
@overload
def find(group: Literal["qnet.engines"], name: str) -> QuantumEngine: ...
@overload
def find(group: Literal["qnet.transports"], name: str) -> Transport: ...
def find(group: Group, name: str) -> PluginRecord:
    """Load the plug-in ``name`` of ``group``, and nothing else.

    Raises:
        PluginError: no such name (the message lists the known ones and the nearest spelling), two
            packages give the same name, the import fails, or the record has another type, name or
            interface version than its seam asks for.
    """
    if ":" in name:
        return _by_path(group, name)
    points = _points(group).get(name)
    if points is None:
        raise PluginError(unknown(group, name))
    return _load(group, name, points)


def names(group: Group) -> tuple[str, ...]:
    """Names in ``group``, sorted. Nothing is imported."""
    return tuple(sorted(_points(group)))


def exists(group: Group, name: object) -> bool:
    """Whether :func:`find` has somewhere to look: an installed name, or ``package:Object``."""
    return isinstance(name, str) and (":" in name or name in _points(group))


def unknown(group: Group, name: str) -> str:
    """The sentence that says that ``name`` is not in ``group`` and what is."""
    known = names(group)
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    listing = ", ".join(known) if known else "none is installed"
    return f"no {WORDS[group]} is named {name!r}{guess} (known: {listing})"


def catalogue() -> list[CatalogueEntry]:
    """Every plug-in of every seam, loaded and checked. A failure is an entry, not an exception."""
    entries = []
    for group in GROUPS:
        for name, points in sorted(_points(group).items()):
            package, version = _origin(points[0])
            error = ""
            try:
                _load(group, name, points)
            except PluginError as failure:
                error = str(failure)
            status = "failed" if error else "ok"
            entries.append(CatalogueEntry(group, name, package, version, status, error))
    return entries


def forget() -> None:
    """Drop the cached scan, for tests and for programs that install packages while they run."""
    _scan.cache_clear()


@cache
def _scan() -> Mapping[str, Mapping[str, Sequence[EntryPoint]]]:
    """Entry points by group and name; a list longer than one is a clash."""
    found: dict[str, dict[str, list[EntryPoint]]] = {group: {} for group in GROUPS}
    every = entry_points()
    for group, by_name in found.items():
        for point in every.select(group=group):
            by_name.setdefault(point.name, []).append(point)
    return found


def _points(group: str) -> Mapping[str, Sequence[EntryPoint]]:
    if group not in GROUPS:
        raise PluginError(f"a plug-in group must be one of {', '.join(GROUPS)}, got {group!r}")
    return _scan()[group]


def _load(group: str, name: str, points: Sequence[EntryPoint]) -> PluginRecord:
    what = f"{WORDS[group]} {name!r}"
    if (
        len({point.value for point in points}) > 1
    ):  # the same object under two names of a package is none
        givers = " and ".join(_giver(point) for point in points)
        raise PluginError(f"{what} must be given by one package, got {givers}; uninstall one")
    point = points[0]
    try:
        record = point.load()
    except Exception as failure:
        # A plug-in's import runs foreign code: whatever it raises becomes one sentence with its
        # cause.
        raise PluginError(
            f"{what} of {_giver(point)} cannot be loaded: {type(failure).__name__}: {failure}"
        ) from failure
    wrong = _fault(group, record)
    if not wrong and record.name != name:
        wrong = f"must call itself by its entry point's name, got {record.name!r}"
    if wrong:
        raise PluginError(f"{what} of {_giver(point)} {wrong}")
    found: PluginRecord = record
    return found


def _by_path(group: str, path: str) -> PluginRecord:
    """The record that ``package.module:Object`` names."""
    if group not in GROUPS:
        raise PluginError(f"a plug-in group must be one of {', '.join(GROUPS)}, got {group!r}")
    what = f"{WORDS[group]} {path!r}"
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as failure:
        # Foreign code, as in _load.
        raise PluginError(
            f"{what} cannot be loaded: {type(failure).__name__}: {failure}"
        ) from failure
    wrong = _fault(group, found)
    if wrong:
        raise PluginError(f"{what} {wrong}")
    record: PluginRecord = found
    return record


def _fault(group: str, record: Any) -> str:
    """Why ``record`` is not one of its seam and of this interface, "" if it is."""
    expected = GROUPS[group]
    if not isinstance(record, expected):
        return f"must be a {expected.__name__}, got {type(record).__name__}"
    if record.api != API_VERSION:
        return f"is made for plug-in interface {record.api!r}, this qnet offers {API_VERSION!r}"
    return ""


def _origin(point: EntryPoint) -> tuple[str, str]:
    """Package and version that provide an entry point."""
    if point.dist is None:
        return "", ""
    return point.dist.name, point.dist.version


def _giver(point: EntryPoint) -> str:
    package, version = _origin(point)
    return f"{point.value} ({package} {version})" if package else point.value
