"""Reports of a run of the suite: plain data, JUnit XML, an HTML matrix, and a folder per failure.

Theory
    Nothing is ever overwritten: every run gets the next number under the folder that the user named.
    Each report names the versions of suite and specification, so that two reports can be compared.
Sources
    JUnit XML as most continuous-integration servers read it (testsuite, testcase, failure, skipped).
"""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from qnet import __version__
from qnet.testing.conformance import faults as plans
from qnet.testing.conformance.diagram import draw
from qnet.testing.conformance.requirement import register
from qnet.testing.conformance.suite import SUITE_VERSION, Failure, Judgement, Outcome, Verdict

VERDICTS: Final[tuple[Verdict, ...]] = (
    "FAIL",
    "ERROR",
    "NON-STRICT",
    "INCONCLUSIVE",
    "PASS",
    "INFO",
    "NOT APPLICABLE",
    "UNTESTED",
)
"""From bad to good."""

SKIPPED: Final = ("UNTESTED", "NOT APPLICABLE", "INCONCLUSIVE")

COLUMNS: Final = ("requirement", "level", "role", "verdict", "checks", "sentence")


def totals(outcome: Outcome) -> str:
    """One line: how many of each verdict."""
    counts = ((verdict, outcome.count(verdict)) for verdict in VERDICTS)
    return ", ".join(f"{count} {verdict}" for verdict, count in counts if count)


def row(one: Judgement) -> tuple[str | int, ...]:
    """The cells of one requirement, under :data:`COLUMNS`."""
    rule = one.requirement
    return rule.id, rule.level, rule.role, one.verdict, one.reached, rule.text


def data(outcome: Outcome) -> dict[str, Any]:
    """Everything as plain data."""
    wish, target = outcome.wish, outcome.target
    return {
        "suite": SUITE_VERSION,
        "specification": {"layer": wish.layer, "version": register(wish.layer).version},
        "qnet": __version__,
        "target": target.name,
        "protocol": target.protocol.name,
        "package": target.package,
        "seed": wish.seed,
        "seeds": wish.seeds,
        "only": list(wish.only),
        "strict": wish.strict,
        "wall_s": round(outcome.wall_s, 3),
        "exit_status": outcome.exit_status,
        "verdicts": {one: outcome.count(one) for one in VERDICTS},
        "requirements": [
            {
                "id": one.requirement.id,
                "level": one.requirement.level,
                "role": one.requirement.role,
                "text": one.requirement.text,
                "verdict": one.verdict,
                "checks": one.reached,
                "cases": list(one.cases),
                "words": one.words,
            }
            for one in outcome.judgements
        ],
        "cases": [
            {
                "name": one.case.name,
                "mode": one.case.mode,
                "profiles": list(one.case.profiles),
                "runs": one.runs,
                "wall_s": round(one.wall_s, 3),
                "error": one.error,
            }
            for one in outcome.results
        ],
        "failures": [_failure(one, target.name) for one in outcome.failures],
    }


def _failure(one: Failure, target: str) -> dict[str, Any]:
    return {
        "requirement": one.requirement,
        "case": one.case,
        "profile": one.profile,
        "seed": one.seed,
        "words": one.words,
        "faults": plans.words(one.faults),
        "smallest": plans.words(one.smallest),
        "shrunk_in": one.shrunk_in,
        "command": one.command(target),
    }


# ---------------------------------------------------------------- files


def write(outcome: Outcome, folder: Path) -> Path:
    """Write all reports into the next free number under ``folder``; that folder."""
    place = _next(folder)
    (place / "report.json").write_text(json.dumps(data(outcome), indent=1) + "\n")
    ET.ElementTree(junit(outcome)).write(
        place / "junit.xml", encoding="utf-8", xml_declaration=True
    )
    (place / "report.html").write_text(page([outcome]))
    for one in outcome.failures:
        where = place / "failures" / one.requirement
        where.mkdir(parents=True)
        (where / "replay.toml").write_text(_replay(one, outcome))
        lines = (f"{line.at:>16} ps  {line.node:<8} {line.what}" for line in one.lines)
        (where / "trace.txt").write_text("\n".join(lines) + "\n")
        (where / "diagram.svg").write_text(draw(one.flights, one.lines))
    return place


def _next(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    taken = [int(one.name) for one in folder.iterdir() if re.fullmatch(r"\d+", one.name)]
    number = max(taken, default=0) + 1
    while True:
        try:
            (place := folder / str(number)).mkdir()
        except FileExistsError:  # another run was quicker
            number += 1
        else:
            return place


def _replay(one: Failure, outcome: Outcome) -> str:
    fields = {
        "suite": SUITE_VERSION,
        "qnet": __version__,
        "target": outcome.target.name,
        "requirement": one.requirement,
        "case": one.case,
        "seed": one.seed,
        "faults": plans.words(one.smallest),
        "faults_before_shrinking": plans.words(one.faults),
        "seen": one.words,
        "command": one.command(outcome.target.name),
    }
    # A JSON string is a TOML basic string.
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())


def junit(outcome: Outcome) -> ET.Element:
    """One test case per requirement."""
    bad = outcome.count("FAIL")
    name = f"qnet conformance {outcome.target.name} {outcome.wish.layer}"
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(outcome.judgements)),
        failures=str(bad),
        errors=str(outcome.count("ERROR")),
        skipped=str(sum(one.verdict in SKIPPED for one in outcome.judgements)),
        time=f"{outcome.wall_s:.3f}",
    )
    kinds = {"FAIL": "failure", "ERROR": "error"} | dict.fromkeys(SKIPPED, "skipped")
    for one in outcome.judgements:
        rule = one.requirement
        item = ET.SubElement(
            suite, "testcase", classname=f"{outcome.target.name}.{rule.section}", name=rule.id
        )
        if one.verdict in kinds:
            words = f"{one.verdict}: {_printable(one.words)}"
            ET.SubElement(item, kinds[one.verdict], message=words).text = rule.text
    return suite


def _printable(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD]", "?", text)


# ---------------------------------------------------------------- HTML

_STYLE: Final = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #ccc; padding: .3em .6em; text-align: left; vertical-align: top; }
.PASS { background: #d8f0d8; } .FAIL, .ERROR { background: #f6cccc; font-weight: bold; }
.NON-STRICT, .INCONCLUSIVE { background: #faeec4; } .INFO { background: #dce8f8; }
.UNTESTED, .NOT-APPLICABLE { color: #777; } code { font-size: 90%; }
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """A matrix of requirement × role, one pair of columns for each implementation."""
    first = outcomes[0]
    book = register(first.wish.layer)
    heads = "".join(
        f"<th>{html.escape(one.target.name)}<br>origin</th><th>{html.escape(one.target.name)}<br>peer</th>"
        for one in outcomes
    )
    rows = []
    for section, title in book.sections.items():
        judged = [one for one in first.judgements if one.requirement.section == section]
        if not judged:
            continue
        span = 3 + 2 * len(outcomes)
        rows.append(f"<tr><th colspan={span}>{section} {html.escape(title)}</th></tr>")
        rows += [_html_row(one, outcomes) for one in judged]
    failures = "".join(
        f"<h3>{one.requirement}, {html.escape(outcome.target.name)}</h3><p>{html.escape(one.words)}</p>"
        f"<pre><code>{html.escape(one.command(outcome.target.name))}</code></pre>"
        for outcome in outcomes
        for one in outcome.failures
    )
    summary = "".join(
        f"<p><b>{html.escape(one.target.name)}</b> ({html.escape(one.target.package)}): "
        f"{totals(one)}; seeds {one.wish.seed} to {one.wish.seed + one.wish.seeds - 1}, "
        f"{one.wall_s:.1f} s.</p>"
        for one in outcomes
    )
    versions = f"suite {SUITE_VERSION}, specification {book.version}, qnet {__version__}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(book.title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(book.title)}: conformance</h1><p>{versions}</p>"
        f"{summary}<table><tr><th>requirement</th><th>level</th><th>sentence</th>{heads}</tr>"
        f"{''.join(rows)}</table>{failures}</html>\n"
    )


def _html_row(one: Judgement, outcomes: Sequence[Outcome]) -> str:
    rule = one.requirement
    cells = []
    for outcome in outcomes:
        found = next((j for j in outcome.judgements if j.requirement.id == rule.id), None)
        for role in ("origin", "peer"):
            if found is None or rule.role not in (role, "both"):
                cells.append("<td></td>")
                continue
            kind = found.verdict.replace(" ", "-")
            words = html.escape(found.words, quote=True)
            cells.append(f'<td class="{kind}" title="{words}">{found.verdict}</td>')
    text = html.escape(rule.text)
    return f"<tr><td>{rule.id}</td><td>{rule.level}</td><td>{text}</td>{''.join(cells)}</tr>"
