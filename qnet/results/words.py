"""Numbers as people read them: times with a unit prefix, other numbers with few digits."""

from __future__ import annotations

from typing import Final

_STEPS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"), (1e-12, "ps"))


def time_unit(time_s: float) -> tuple[float, str]:
    """The unit that suits a time, in seconds and by name: ``0.00123`` -> ``(1e-3, "ms")``."""
    for step_s, unit in _STEPS:
        if abs(time_s) >= step_s:
            return step_s, unit
    return _STEPS[0] if time_s == 0.0 else _STEPS[-1]


def time_words(time_s: float, digits: int = 4) -> str:
    """A time in seconds with the unit that suits its size: ``0.00123`` -> ``1.23 ms``."""
    unit_s, unit = time_unit(time_s)
    value = time_s / unit_s
    return f"{value:.0f} {unit}" if abs(value) >= 10**digits else f"{value:.{digits}g} {unit}"


def number_words(value: object, digits: int = 5) -> str:
    """Any value of a summary on one line; None is a dash, tables are ``key=value`` lists."""
    match value:
        case None:
            return "-"
        case float():
            return f"{value:.{digits}g}"
        case dict():
            return ", ".join(f"{key}={number_words(item, digits)}" for key, item in value.items())
        case list() | tuple():
            return "[" + ", ".join(number_words(item, digits) for item in value) + "]"
        case _:
            return str(value)
