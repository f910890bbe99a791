"""All cases, in order of the rows of the physics reference, and how they are found by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from qnet.errors import ConfigError
from qnet.validate.case import Case
from qnet.validate.cases import atoms, gates, ions, protocols, solid

CASES: Final[tuple[Case, ...]] = tuple(
    sorted(
        (*ions.CASES, *gates.CASES, *atoms.CASES, *solid.CASES, *protocols.CASES),
        key=lambda case: case.row,
    )
)


def chosen(names: Sequence[str]) -> list[Case]:
    """The cases of these names, in the order given, each once; all of them if none is named.

    Raises:
        ConfigError: a name is unknown; the nearest one and all known ones are told.
    """
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f"Did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                "must name a case",
                path="validate",
                value=name,
                hint=f"{guess}Known: {', '.join(known)}",
            )
    return [known[name] for name in dict.fromkeys(names)] if names else list(CASES)
