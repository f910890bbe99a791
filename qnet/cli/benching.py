"""``qnet bench``: runs modules of :mod:`qnet.bench` by name and shows their rows.

A bench is a module with ``run() -> list[dict]`` (rows of one table), ``TITLE`` and ``NOTE``, and perhaps
``draw(rows, file)``, a plot of them.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from qnet.cli.progress import console
from qnet.cli.running import show_json
from qnet.errors import ConfigError
from qnet.results.table import data_table

BENCHES: Final = ("state", "engines", "time", "teleport", "start", "memory", "wire", "network")
"""Modules of :mod:`qnet.bench` that measure something; each is imported when it is run."""


def run_benches(names: Sequence[str], *, as_json: bool, plots: Path | None = None) -> None:
    """Run the named benches, or all, and show title, rows and note of each.

    Args:
        names: of benches.
        as_json: one JSON object instead of tables.
        plots: folder for the plots of those that have one; None for none.

    Raises:
        ConfigError: an unknown name, or a folder that cannot be made.
    """
    for name in names:
        if name not in BENCHES:
            near = difflib.get_close_matches(name, BENCHES, n=1)
            guess = f"Did you mean {near[0]!r}? " if near else ""
            hint = f"{guess}Known: {', '.join(BENCHES)}"
            raise ConfigError("must name a bench", path="bench", value=name, hint=hint)
    if plots is not None:
        try:
            plots.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise ConfigError(
                f"must be a folder that can be made ({failure.strerror})",
                path="--plots",
                value=str(plots),
            ) from failure
    shown: dict[str, Any] = {}
    for name in names or BENCHES:
        module = importlib.import_module(f"qnet.bench.{name}")
        rows: list[dict[str, Any]] = module.run()
        shown[name] = {"title": module.TITLE, "note": module.NOTE, "rows": rows}
        if plots is not None and hasattr(module, "draw"):
            module.draw(rows, plots / f"{name}.png")
        if not as_json:
            _show(module.TITLE, module.NOTE, rows)
    if as_json:
        show_json(shown)


def _show(title: str, note: str, rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = console()
    out.print(data_table(title, columns, [[row.get(key) for key in columns] for row in rows]))
    out.print(note, highlight=False)
