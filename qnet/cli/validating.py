"""``qnet validate``: published experiments, the model beside the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from qnet.cli.progress import console
from qnet.cli.running import show_json
from qnet.errors import ConfigError
from qnet.results.table import data_table
from qnet.validate.case import Case
from qnet.validate.catalogue import chosen
from qnet.validate.report import COLUMNS, data, failures, gaps, markdown, row, totals
from qnet.validate.trial import read_case
from qnet.validate.verdict import Comparison, compare

MARKDOWN: Final = "validation.md"
PICTURE: Final = "validation.png"


def list_cases(names: Sequence[str], *, as_json: bool) -> None:
    """Show what there is, without computing anything.

    Raises:
        ConfigError: an unknown name.
    """
    columns = ("case", "row", "level", "runs", "title", "source")
    rows = [
        (case.name, case.row, case.levels, "yes" if case.read else "no", case.title, case.source.words)
        for case in chosen(names)
    ]  # fmt: skip
    if as_json:
        show_json({"cases": [dict(zip(columns, one, strict=True)) for one in rows]})
    else:
        console().print(data_table("cases", columns, rows))


def validate(names: Sequence[str], *, out: Path | None, as_json: bool, runs: bool) -> bool:
    """Compare the named cases, or all, and show them; True if all that must hold does.

    Args:
        names: of cases.
        out: folder for the tables as Markdown and the picture; None for none.
        as_json: one JSON object instead of tables.
        runs: also run the networks of the cases.

    Raises:
        ConfigError: an unknown name, or a folder that cannot be made; nothing was run.
    """
    cases = chosen(names)
    if out is not None:
        _make(out)
    comparisons = [one for case in cases for one in _compare(case, runs=runs)]
    if out is not None:
        from qnet.validate.plot import draw

        (out / MARKDOWN).write_text(markdown(comparisons))
        draw(comparisons, out / PICTURE)
    if as_json:
        show_json(data(comparisons))
    else:
        _show(comparisons)
        if out is not None:
            console().print(f"written: {out / MARKDOWN}, {out / PICTURE}", highlight=False)
    return not failures(comparisons)


def _compare(case: Case, *, runs: bool) -> list[Comparison]:
    return compare(case, read_case(case) if runs else None)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise ConfigError(
            f"must be a folder that can be made ({failure.strerror})",
            path="--out",
            value=str(folder),
        ) from failure


def _show(comparisons: Sequence[Comparison]) -> None:
    out = console()
    out.print(data_table("published experiments", COLUMNS, [row(one) for one in comparisons]))
    outside = gaps(comparisons)
    if outside:
        columns = ("case", "figure", "verdict", "missing from the error budget")
        out.print(data_table("outside their tolerance", columns, outside))
    out.print(f"{totals(comparisons)}.", highlight=False)
