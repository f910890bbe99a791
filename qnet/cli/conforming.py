"""``qnet conformance``: is an implementation right? Verdicts by numbered requirement."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rich.text import Text

from qnet.cli.progress import console
from qnet.cli.running import show_json
from qnet.errors import ConfigError
from qnet.results.table import data_table
from qnet.testing.conformance import faults as plans
from qnet.testing.conformance.case import CASES
from qnet.testing.conformance.report import COLUMNS, data, row, totals, write
from qnet.testing.conformance.requirement import LAYERS, Layer, register
from qnet.testing.conformance.suite import Failure, Outcome, Wish, load_cases, run
from qnet.testing.conformance.target import resolve

LAST_LINES: Final = 60
"""Lines of the trace that a replay shows."""


def conformance(
    name: str,
    *,
    layer: str,
    only: Iterable[str],
    cases: Iterable[str],
    seed: int,
    seeds: int,
    faults: str | None,
    strict: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    """Run the suite and show what it found; the exit status.

    Raises:
        ConfigError: an unknown layer, requirement or case, or faults that cannot be read.
        PluginError: there is no such target.
    """
    wish = Wish(
        layer=_layer(layer),
        only=tuple(only),
        cases=tuple(cases),
        seed=seed,
        seeds=seeds,
        faults=None if faults is None else plans.parse(faults),
        strict=strict,
    )
    _check(wish)
    if ":" in name:
        # As python -m does: what lies in the present folder can be named.
        sys.path.insert(0, str(Path.cwd()))
    outcome = run(resolve(name), wish)
    place = None if report is None else _written(outcome, report)
    if as_json:
        show_json(data(outcome))
    else:
        _show(outcome, place)
    return outcome.exit_status


def _layer(name: str) -> Layer:
    for layer in LAYERS:
        if layer == name:
            return layer
    raise ConfigError(f"must be one of {', '.join(LAYERS)}", path="--layer", value=name)


def _check(wish: Wish) -> None:
    load_cases()
    if wish.seeds < 1:
        raise ConfigError("must be >= 1", path="--seeds", value=wish.seeds)
    ids = [one.id for one in register(wish.layer).requirement]
    for path, given, known in (("--only", wish.only, ids), ("--case", wish.cases, list(CASES))):
        for one in given:
            if one not in known:
                near = difflib.get_close_matches(one, known, n=1)
                guess = f"; did you mean {near[0]}?" if near else ""
                raise ConfigError(f"must be a known one{guess}", path=path, value=one)


def _written(outcome: Outcome, folder: Path) -> Path:
    try:
        return write(outcome, folder)
    except OSError as failure:
        raise ConfigError(
            f"must be a folder that can be made ({failure.strerror})",
            path="--report",
            value=str(folder),
        ) from failure


def _show(outcome: Outcome, place: Path | None) -> None:
    out = console()
    wish, book = outcome.wish, register(outcome.wish.layer)
    title = f"{book.title} {book.version}: {outcome.target.name}"
    out.print(data_table(title, COLUMNS, [row(one) for one in outcome.judgements]))
    noted = [
        (one.requirement.id, one.verdict, one.words)
        for one in outcome.judgements
        if one.words and one.verdict not in ("FAIL", "NON-STRICT", "UNTESTED")
    ]
    if noted:
        out.print(data_table("notes", ("requirement", "verdict", "why"), noted))
    for failure in outcome.failures:
        out.print(_failure(failure, outcome.target.name), soft_wrap=True)
    if wish.faults is not None:
        _show_trace(outcome.failures)
    last = wish.seed + wish.seeds - 1
    runs = sum(one.runs for one in outcome.results)
    out.print(
        f"{totals(outcome)}; {runs} runs of {len(outcome.results)} cases, seeds {wish.seed} to {last}, "
        f"{outcome.wall_s:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
    slowest = sorted(outcome.results, key=lambda one: -one.wall_s)[:3]
    costs = ", ".join(f"{one.case.name} {one.wall_s:.1f} s" for one in slowest)
    out.print(f"slowest cases: {costs}", highlight=False, soft_wrap=True)
    if place is not None:
        out.print(f"written: {place}", highlight=False, soft_wrap=True)


def _failure(one: Failure, target: str) -> Text:
    where = (
        "none but those that the case itself makes"
        if not one.smallest
        else plans.words(one.smallest)
    )
    return Text(
        f"{one.requirement} broken in {one.case}, profile {one.profile}, seed {one.seed}\n"
        f"  seen     {one.words}\n"
        f"  faults   {where} (smallest of {len(one.faults)}, found in {one.shrunk_in} runs)\n"
        f"  replay   {one.command(target)}\n"
    )


def _show_trace(failures: Iterable[Failure]) -> None:
    for one in failures:
        lines = one.lines[-LAST_LINES:]
        rows = [(line.at, line.node, line.what) for line in lines]
        console().print(data_table(f"what happened, {one.requirement}", ("ps", "node", ""), rows))
