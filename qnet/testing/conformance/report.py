"""Reports of a run of the suite: plain data, JUnit XML, an HTML matrix, and a folder per failure.

Theory
    Nothing is ever overwritten: every run gets the next number under the folder that the user named.
    Each report names the versions of suite and specification, so that two reports can be compared. Several
    implementations stand side by side in one matrix.
Layout
    ``report.json`` (of several implementations: ``{"targets": [...]}``), ``junit.xml``, ``report.html``,
    ``events.jsonl``, and for each failure ``failures/[TARGET/]REQUIREMENT/``: ``replay.toml``, ``trace.txt``
    and ``diagram.svg`` of the bench, ``network/`` of the same failure as a real network.
Sources
    JUnit XML as most continuous-integration servers read it (testsuite, testcase, failure, skipped).
"""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from qnet import __version__
from qnet.testing.conformance import faults as plans
from qnet.testing.conformance.confirm import Confirmation, toml
from qnet.testing.conformance.diagram import draw
from qnet.testing.conformance.requirement import Requirement, register
from qnet.testing.conformance.suite import SUITE_VERSION, Failure, Judgement, Outcome, Verdict

VERDICTS: Final[tuple[Verdict, ...]] = (
    "FAIL",
    "XPASS",
    "ERROR",
    "NON-STRICT",
    "XFAIL",
    "INCONCLUSIVE",
    "PASS",
    "INFO",
    "NOT APPLICABLE",
    "UNTESTED",
)
"""From bad to good."""

SKIPPED: Final = ("UNTESTED", "NOT APPLICABLE", "INCONCLUSIVE", "XFAIL")

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
        "profile": None if wish.profile is None else wish.profile.name,
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
                "inapplicable": one.inapplicable,
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
        "confirmation": None if one.confirmation is None else _confirmation(one.confirmation),
    }


def _confirmation(one: Confirmation) -> dict[str, Any]:
    return {
        "verdict": one.verdict,
        "words": one.words,
        "unsaid": list(one.unsaid),
        "seed": one.seed,
        "trace_sha256": {"embedded": one.embedded, "processes": one.processes},
    }


# ---------------------------------------------------------------- files


def open_folder(folder: Path) -> Path:
    """Make the next free number under ``folder``."""
    return _next(folder)


def write(outcomes: Sequence[Outcome], place: Path) -> None:
    """Write all reports into ``place``."""
    every = [data(one) for one in outcomes]
    whole = every[0] if len(every) == 1 else {"targets": every}
    (place / "report.json").write_text(json.dumps(whole, indent=1) + "\n")
    suites = [junit(one) for one in outcomes]
    root = suites[0] if len(suites) == 1 else ET.Element("testsuites")
    root.extend(suites if len(suites) > 1 else [])
    ET.ElementTree(root).write(place / "junit.xml", encoding="utf-8", xml_declaration=True)
    (place / "report.html").write_text(page(outcomes))
    for outcome in outcomes:
        own = () if len(outcomes) == 1 else (re.sub(r"[^\w.-]+", "-", outcome.target.name),)
        for one in outcome.failures:
            _write_failure(one, outcome, place.joinpath("failures", *own, one.requirement))


def _write_failure(one: Failure, outcome: Outcome, where: Path) -> None:
    where.mkdir(parents=True)
    (where / "replay.toml").write_text(_replay(one, outcome))
    if one.lines or one.flights:
        lines = (f"{line.at:>16} ps  {line.node:<8} {line.what}" for line in one.lines)
        (where / "trace.txt").write_text("\n".join(lines) + "\n")
        (where / "diagram.svg").write_text(draw(one.flights, one.lines))
    for name, content in one.files.items():
        (where / name).write_bytes(content)
    if one.confirmation is not None and one.confirmation.topology:
        network = where / "network"
        network.mkdir()
        for name, content in one.confirmation.files().items():
            (network / name).write_bytes(content)


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
    fields: dict[str, Any] = {
        "suite": SUITE_VERSION,
        "specification": register(outcome.wish.layer).version,
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
    network = {}
    if one.confirmation is not None:
        network = {**_confirmation(one.confirmation)}
        hashes = network.pop("trace_sha256")
        network |= {"sha256_embedded": hashes["embedded"], "sha256_processes": hashes["processes"]}
        if one.confirmation.topology:
            network["command"] = "qnet conformance network/topology.toml"
    return toml({**fields, **({"network": network} if network else {})})


def junit(outcome: Outcome) -> ET.Element:
    """One test case per requirement."""
    bad = outcome.count("FAIL") + outcome.count("XPASS")
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
    kinds = {"FAIL": "failure", "XPASS": "failure", "ERROR": "error"} | dict.fromkeys(
        SKIPPED, "skipped"
    )
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
.PASS { background: #d8f0d8; } .FAIL, .XPASS, .ERROR { background: #f6cccc; font-weight: bold; }
.NON-STRICT, .INCONCLUSIVE, .XFAIL { background: #faeec4; } .INFO { background: #dce8f8; }
.UNTESTED, .NOT-APPLICABLE { color: #777; } code { font-size: 90%; }
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """A matrix of requirement × role, a column for each of the two roles of each implementation."""
    first = outcomes[0]
    book = register(first.wish.layer)
    heads = "".join(
        f"<th>{html.escape(one.target.name)}<br>{role}</th>"
        for one in outcomes
        for role in book.roles
    )
    rules = {one.requirement.id: one.requirement for each in outcomes for one in each.judgements}
    sections = {**book.sections, **{rule.section: "Profile" for rule in _profiled(rules.values())}}
    rows = []
    for section, title in sections.items():
        judged = [rule for rule in rules.values() if rule.section == section]
        if not judged:
            continue
        span = 3 + 2 * len(outcomes)
        rows.append(f"<tr><th colspan={span}>{html.escape(section)} {html.escape(title)}</th></tr>")
        rows += [_html_row(rule, outcomes) for rule in judged]
    failures = "".join(
        f"<h3>{one.requirement}, {html.escape(outcome.target.name)}</h3><p>{html.escape(one.words)}</p>"
        f"<pre><code>{html.escape(one.command(outcome.target.name))}</code></pre>"
        f"{_html_confirmed(one)}"
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
        f"{''.join(rows)}</table>{failures}{_html_times(outcomes)}</html>\n"
    )


def _profiled(rules: Iterable[Requirement]) -> Iterator[Requirement]:
    """Those that a profile has added."""
    return (one for one in rules if not one.id.startswith("QN-"))


def _html_confirmed(one: Failure) -> str:
    return "" if one.confirmation is None else f"<p>{html.escape(one.confirmation.line)}</p>"


def _html_times(outcomes: Sequence[Outcome]) -> str:
    """Wall time of every case, implementations side by side."""
    times: dict[str, dict[int, str]] = {}
    for place, outcome in enumerate(outcomes):
        for one in outcome.results:
            times.setdefault(one.case.name, {})[place] = f"{one.wall_s:.2f} s, {one.runs} runs"
    heads = "".join(f"<th>{html.escape(one.target.name)}</th>" for one in outcomes)
    rows = "".join(
        f"<tr><td>{name}</td>"
        + "".join(f"<td>{found.get(place, '')}</td>" for place in range(len(outcomes)))
        + "</tr>"
        for name, found in times.items()
    )
    return f"<h2>Cases</h2><table><tr><th>case</th>{heads}</tr>{rows}</table>"


def _html_row(rule: Requirement, outcomes: Sequence[Outcome]) -> str:
    cells = []
    for outcome in outcomes:
        found = next((j for j in outcome.judgements if j.requirement.id == rule.id), None)
        for role in register(outcome.wish.layer).roles:
            if found is None or rule.role not in (role, "both"):
                cells.append("<td></td>")
                continue
            kind = found.verdict.replace(" ", "-")
            words = html.escape(found.words, quote=True)
            cells.append(f'<td class="{kind}" title="{words}">{found.verdict}</td>')
    text = html.escape(rule.text)
    return f"<tr><td>{rule.id}</td><td>{rule.level}</td><td>{text}</td>{''.join(cells)}</tr>"
