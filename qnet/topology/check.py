"""Checks of what a person wrote: keys, types, units, domains; a failure names place and value.

Theory
    Names carry their units, so a name also tells its domain: ``..._prob`` lies in 0..1, ``..._s``
    is a time >= 0. One table of names and suffixes therefore checks every record. A key that is
    not known is compared with the known ones, by unit first (``t2_ms``: write ``t2_s``), then by
    spelling.
Not modelled
    Parameters of plug-ins are checked by the plug-in's own record, not by the table.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from qnet.errors import ConfigError

Record = TypeVar("Record", bound=msgspec.Struct)

NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
"""Characters of the name of a node, a link or a network."""

_SI: Final = {
    "_db_per_km": "decibel per kilometre",
    "_hz": "hertz",
    "_prob": "probability, 0 to 1",
    "_rad": "radian",
    "_s": "seconds",
    "_m": "metres",
}
"""Units in which a topology is written."""

_FOREIGN: Final = re.compile(
    r"_(?:min|ms|us|ns|ps|h|km|cm|mm|um|nm|pm|khz|mhz|ghz|per_s|db_per_m|db|deg|percent|pct|ratio)$",
    re.IGNORECASE,
)
"""Units in which it is not, as suffixes of a key."""


@dataclass(frozen=True)
class At:
    """A place in a description: the file and the path of keys."""

    file: str
    path: str = ""

    def key(self, name: str) -> At:
        """The place of ``name`` in the table at this place."""
        shown = name if NAME.fullmatch(name) else repr(name)
        return At(self.file, f"{self.path}.{shown}" if self.path else shown)

    def error(self, constraint: str, value: object = None, hint: str = "") -> ConfigError:
        """The exception that says that ``constraint`` is broken here."""
        return ConfigError(constraint, file=self.file, path=self.path, value=value, hint=hint)


class Domain(NamedTuple):
    """Interval of legal values, ends included; ``above`` excludes the lower end."""

    low: float
    high: float
    above: bool = False

    def contains(self, value: float) -> bool:
        """True if ``value`` is legal."""
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def constraint(self, name: str) -> str:
        """The rule in words."""
        sign = "<" if self.above else "<="
        return f"must obey {self.low:g} {sign} {name} <= {self.high:g}"


_LIFETIME: Final = Domain(0.0, math.inf, above=True)
_DOMAINS: Final[tuple[tuple[str, Domain], ...]] = (
    # Names and ends of names; the first that fits decides. Times are bounded because instants are
    # 64-bit picoseconds (106 days), lengths because nothing on Earth is farther.
    ("t1_s", _LIFETIME),
    ("t2_s", _LIFETIME),
    ("interval_s", Domain(1e-12, 1e5)),
    ("window_s", Domain(1e-12, 1.0)),
    ("until_s", Domain(0.0, 9e6, above=True)),
    ("patience_s", Domain(1e-9, 1e5)),
    ("start_s", Domain(0.0, 9e6)),
    ("end_s", Domain(0.0, 9e6)),
    (".at_s", Domain(0.0, 9e6)),
    ("restart_s", Domain(0.0, 9e6)),
    ("reorder_factor", Domain(0.0, 1e6)),
    ("alternatives", Domain(1, 100)),
    ("wavelength_m", Domain(0.0, 10.0, above=True)),
    ("gate_2q.fidelity", Domain(0.25, 1.0)),
    ("couplings.gate.fidelity", Domain(0.25, 1.0)),
    ("spin_photon_fidelity", Domain(0.0, 1.0)),
    ("fidelity", Domain(0.5, 1.0)),
    ("visibility", Domain(0.0, 1.0)),
    ("group_index", Domain(1.0, 10.0)),
    ("_slots", Domain(0, 10_000)),
    ("cluster_cap", Domain(2, 14)),
    ("seed", Domain(0, 2**63 - 1)),
    ("explore_schedule", Domain(0, 2**63 - 1)),
    ("attempt_dephasing_prob", Domain(0.0, 0.499)),
    ("duty_prob", Domain(0.0, 1.0, above=True)),
    ("_prob", Domain(0.0, 1.0)),
    ("_photons", Domain(0.0, 1e6)),
    ("emission.modes", Domain(1, 1_000_000)),
    ("switch.ports", Domain(1, 10_000)),
    ("dwell_s", Domain(0.0, 1e5, above=True)),
    ("_s", Domain(0.0, 1e5)),
    ("_db_per_km", Domain(0.0, 1e5)),
    ("_m", Domain(0.0, 1e8)),
    ("_hz", Domain(0.0, 1e12)),
    ("_rad", Domain(0.0, 1e3)),
)

_DEEPEST: Final = 32
"""Tables and lists within one another; far from Python's limit of recursion."""

_WORDS: Final = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "absent",
}


def table(value: object, at: At) -> dict[str, Any]:
    """``value`` if it is a table."""
    if not isinstance(value, dict):
        raise at.error("must be a table", value)
    return value


def name(value: object, at: At, longest: int = 32) -> str:
    """``value`` if it can name a node, a link (``longest`` 65) or a network."""
    if not isinstance(value, str) or not NAME.fullmatch(value) or len(value) > longest:
        raise at.error(f"a name must be 1 to {longest} of the characters A-Z a-z 0-9 _ -", value)
    return value


def typed(data: Mapping[str, Any], record: type[Record], at: At, *, domains: bool = True) -> Record:
    """``data`` as a ``record``: keys, types and, with ``domains``, values checked.

    Raises:
        ConfigError: naming the place of the first mistake.
    """
    refuse_odd_numbers(data, at)
    known_keys(data, record, at)
    try:
        result = msgspec.convert(data, record)
    except msgspec.ValidationError as failure:
        raise _translated(str(failure), data, at) from None
    if domains:
        _check_domains(result, at)
    return result


def refuse_odd_numbers(value: object, at: At, depth: int = 0) -> None:
    """Refuse what no plan can carry: NaN, integers beyond 64 bits, deep nests."""
    if depth > _DEEPEST:
        raise At(at.file, at.path[:40] + "...").error(f"must not nest more than {_DEEPEST} deep")
    if isinstance(value, Mapping):
        for key, item in value.items():
            refuse_odd_numbers(item, at.key(str(key)), depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            refuse_odd_numbers(item, At(at.file, f"{at.path}[{index}]"), depth + 1)
    elif isinstance(value, float) and math.isnan(value):
        raise at.error("must be a number, not nan", value)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise at.error("must fit into 64 bits", value)


def known_keys(
    data: Mapping[str, Any], record: type[msgspec.Struct], at: At, also: Iterable[str] = ()
) -> None:
    """Refuse a key of ``data`` that ``record`` does not have, nested records included."""
    fields = {field.name: field.type for field in msgspec.structs.fields(record)}
    known = [*fields, *also]
    for key, value in data.items():
        if key not in known:
            raise at.key(str(key)).error(
                "is not a known key", value, _suggestion(str(key), record, known)
            )
        inner = _record(fields.get(key))
        if inner is not None and isinstance(value, dict):
            known_keys(value, inner, at.key(key))


def nearest(wrong: str, known: Iterable[str]) -> str:
    """A hint with the nearest spelling and the known names."""
    every = sorted(known)
    near = difflib.get_close_matches(wrong, every, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return f"{guess}Known: {', '.join(every) if every else 'none'}"


def _record(kind: object) -> type[msgspec.Struct] | None:
    """``kind`` if it is a record type, or the record type in a choice of a record or None."""
    if isinstance(kind, UnionType):
        kinds = [_record(one) for one in kind.__args__]
        return next((one for one in kinds if one is not None), None)
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _suggestion(key: str, record: type[msgspec.Struct], known: list[str]) -> str:
    """What the author of an unknown ``key`` may have meant."""
    paths = {path: path for path in known}
    for field in msgspec.structs.fields(record):
        record_inside = _record(field.type)
        if record_inside is not None:
            for inner in msgspec.structs.fields(record_inside):
                paths.setdefault(f"{field.name}.{inner.name}", inner.name)
    stem = _FOREIGN.sub("", key).lower()
    for path, last in paths.items():
        suffix = next((unit for unit in _SI if last.endswith(unit)), "")
        if suffix and last != key and last.removesuffix(suffix) == stem:
            return f"Write {path} ({_SI[suffix]})"
    for path, last in paths.items():
        if last == key:
            return f"Write {path}"
    return nearest(key, known)


def _check_domains(value: object, at: At) -> None:
    """Hold every number of a record against the domain of its name."""
    if isinstance(value, msgspec.Struct):
        for key, item in msgspec.structs.asdict(value).items():
            _check_domains(item, at.key(key))
    elif isinstance(value, tuple):
        for item in value:
            _check_domains(item, at)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, msgspec.Struct | tuple):  # plain data are some plug-in's own
                _check_domains(item, at.key(key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        for ending, domain in _DOMAINS:
            if at.path.endswith(ending):
                if not domain.contains(value):
                    raise at.error(domain.constraint(at.path.rpartition(".")[2]), value)
                return


def _translated(message: str, data: object, at: At) -> ConfigError:
    """An error of msgspec in our words: place, constraint and value."""
    text, _, where = message.partition(" - at `")
    path = where.removesuffix("`").removeprefix("key` in `").removeprefix("$").lstrip(".")
    value: Any = data
    for token in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, Mapping) and token in value:
            value = value[token]
        elif isinstance(value, list) and token.isdigit():
            value = value[int(token)]
    dot = "." if at.path and path and not path.startswith("[") else ""
    place = At(at.file, f"{at.path}{dot}{path}")
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return place.key(missing[1]).error("is required")
    if wrong := re.fullmatch(r"Expected `([^`]+)`(.*?)(?:, got .*)?", text):
        kinds = [_WORDS.get(kind, kind) for kind in wrong[1].split(" | ")]
        kinds = [kind for kind in kinds if kind != "absent"]
        return place.error(f"must be {' or '.join(kinds)}{wrong[2]}", value)
    return place.error(text[:1].lower() + text[1:], value)
