"""Comparisons as rows of a table, as Markdown and as plain data.

A row shows the published figure, the closed form, the run and the verdict; what is missing from the error
budget stands beside every figure that is not within its tolerance, and is listed for all in the Markdown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from qnet.results.words import number_words
from qnet.validate.case import Case, Given, Published, Reading
from qnet.validate.verdict import DIGITS, Comparison

COLUMNS: Final = (
    "case", "figure", "level", "published", "tolerance", "closed form", "run", "verdict",
)  # fmt: skip
INTRO: Final = """\
# Published experiments beside the model

Level R is a rate, S a state, P a protocol. A tolerance is ours, stated before the comparison. No input is
tuned to close a gap: a figure outside its tolerance names what its error budget leaves out. "By construction":
an input was derived from the very figure that is compared. Confidence of an input: *found* (read in the
source), *memory* (the source as remembered), *derived* (computed from a published figure), *assumed*.
"""


def published_words(published: Published, unit: str) -> str:
    """The published figure with its error bar, unit and remark."""
    figure = number_words(published.value, DIGITS)
    if published.error:
        figure += f" ± {number_words(published.error, 2)}"
    parts = [f">= {figure}" if published.at_least else figure, unit]
    said = " ".join(part for part in parts if part)
    return f"{said} ({published.words})" if published.words else said


def reading_words(reading: Reading | None) -> str:
    """What a run found, with its standard error where it is not zero."""
    if reading is None:
        return "-"
    figure = number_words(reading.value, DIGITS)
    if reading.stderr > 1e-9:
        figure += f" ± {number_words(reading.stderr, 2)}"
    return figure


def row(comparison: Comparison) -> tuple[str, ...]:
    """The cells of one comparison, under :data:`COLUMNS`."""
    check = comparison.check
    model = "-" if comparison.model is None else number_words(comparison.model, DIGITS)
    return (
        comparison.case.name,
        check.quantity,
        check.level,
        published_words(check.published, check.unit),
        number_words(check.tolerance, 2),
        model,
        reading_words(comparison.run),
        comparison.verdict,
    )


def gaps(comparisons: Iterable[Comparison]) -> list[tuple[str, str, str, str]]:
    """Case, figure, verdict and missing error budget of all that is not within its tolerance."""
    return [
        (one.case.name, one.check.quantity, one.verdict, "; ".join(one.check.missing))
        for one in comparisons
        if one.within is False
    ]


def failures(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Those that must hold and do not."""
    return [one for one in comparisons if one.held is False]


def totals(comparisons: Sequence[Comparison]) -> str:
    """One line: how many figures are within, above, below, and how many must hold and do."""
    within = sum(one.within is True for one in comparisons)
    above = sum(one.within is False and (one.gap or 0.0) > 0.0 for one in comparisons)
    below = sum(one.within is False and (one.gap or 0.0) < 0.0 for one in comparisons)
    waiting = sum(one.figure is None for one in comparisons)
    judged = [one for one in comparisons if one.held is not None]
    held = sum(one.held is True for one in judged)
    return (
        f"{len(comparisons)} figures: {within} within their tolerance, {above} above, {below} below"
        + (f", {waiting} need a run" if waiting else "")
        + f"; {held} of {len(judged)} that must hold do"
    )


def data(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Everything as plain data, for JSON."""
    cases: dict[str, dict[str, Any]] = {}
    for one in comparisons:
        entry = cases.setdefault(one.case.name, _case_data(one.case))
        entry["figures"].append(_figure_data(one))
    return {"cases": list(cases.values()), "held": not failures(comparisons)}


def _case_data(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "title": case.title,
        "row": case.row,
        "source": case.source.words,
        "inputs": [
            {
                "name": one.name,
                "value": one.value,
                "unit": one.unit,
                "confidence": one.confidence,
                "note": one.note,
            }
            for one in case.given
        ],
        "figures": [],
    }


def _figure_data(one: Comparison) -> dict[str, Any]:
    check = one.check
    run = None if one.run is None else {"value": one.run.value, "stderr": one.run.stderr}
    return {
        "quantity": check.quantity,
        "unit": check.unit,
        "level": check.level,
        "published": {
            "value": check.published.value,
            "error": check.published.error,
            "at_least": check.published.at_least,
            "confidence": check.published.confidence,
            "words": check.published.words,
        },
        "tolerance": check.tolerance,
        "formula": check.formula,
        "closed_form": one.model,
        "run": run,
        "gap": one.gap,
        "within": one.within,
        "held": one.held,
        "run_agrees": one.agrees,
        "verdict": one.verdict,
        "missing": list(check.missing),
        "circular": check.circular,
    }


# ---------------------------------------------------------------- Markdown


def markdown(comparisons: Sequence[Comparison]) -> str:
    """The page: the table, then each case with source, inputs, closed forms and missing error budgets."""
    cases = list(dict.fromkeys(one.case.name for one in comparisons))
    parts = [INTRO, _table(COLUMNS, map(row, comparisons)), f"{totals(comparisons)}.\n"]
    parts += [_section([one for one in comparisons if one.case.name == name]) for name in cases]
    return "\n".join(parts)


def _section(own: Sequence[Comparison]) -> str:
    case = own[0].case
    inputs = _table(
        ("input", "value", "confidence", "from"),
        ((one.name, _given_words(one), one.confidence, one.note) for one in case.given),
    )
    forms = _table(
        ("figure", "published figure known from", "closed form", "missing from the error budget"),
        (
            (
                one.check.quantity,
                one.check.published.confidence,
                _form_words(one),
                "; ".join(one.check.missing),
            )
            for one in own
        ),
    )
    head = f"## `{case.name}`\n\n{case.title} (row {case.row}). {case.source.words}.\n"
    return f"{head}\n{inputs}\n{forms}"


def _given_words(given: Given) -> str:
    return f"{number_words(given.value, DIGITS)} {given.unit}".strip()


def _form_words(one: Comparison) -> str:
    check = one.check
    parts = [check.formula or "none: a run only"]
    if check.circular:
        parts.append(f"by construction: {check.circular} was derived from this figure")
    if check.run_adds:
        parts.append(f"the run also contains {check.run_adds}")
    return "; ".join(parts)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for cells in rows:
        escaped = (cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells)
        lines.append("| " + " | ".join(escaped) + " |")
    return "\n".join(lines) + "\n"
