"""A network that runs for real, judged by its trace.

Theory
    The same rules as on the bench (:mod:`.audit`), on the record of each link (:mod:`.tracing`). A run
    that ended because nothing was due any more is judged at rest; one that reached its bound of simulated
    time while a link was busy has a link that never rests. A run that failed is judged too: its last step
    says which machine broke which part of its contract.

    ================================================== ===============================================
    what ended the run                                 requirement that is broken
    ================================================== ===============================================
    a link machine raised, or could not be made        8.1-1
    it used, gave away or released another's slot      5.1-1
    it sent a message that its catalogue does not list 7.2-3
    it never came to rest in one instant, or hung      8.1-2
    the physical machine below it raised               5.1-5 (attempts against their rules)
    the world refused its program                      5.1-1
    both ends announced different facts                2.1-1 to 2.1-6, whichever the audit finds
    ================================================== ===============================================
Not modelled
    What else ends a run, an application or the machinery, is nobody's verdict: it is an error of the run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from qnet.ids import LinkId
from qnet.plan import RunPlan
from qnet.results.trace import Line, read_trace
from qnet.runtime.run import RunOptions, RunOutcome
from qnet.runtime.run import run as run_plan
from qnet.testing.conformance import audit, tracing
from qnet.testing.conformance.case import Findings
from qnet.testing.conformance.record import Record
from qnet.testing.conformance.watchdog import limited

LIVENESS_S: Final = 30.0
"""Wall seconds without progress after which a run counts as hung."""
BUSY: Final = 0.9
"""A link that still acts after this part of the bound of simulated time never rests."""

_REFUSALS: Final = (
    (re.compile(r"must hold slot \d+"), "5.1-1"),
    (re.compile(r"message type must be listed"), "7.2-3"),
    (re.compile(r"must come to rest within \d+ steps|Endless: |Stuck: "), "8.1-2"),
)


@dataclass
class Judged:
    """A run and what its trace says.

    Attributes:
        findings: of each link.
        unexplained: why the run failed, if no requirement of a link says so.
    """

    plan: RunPlan
    outcome: RunOutcome
    records: Mapping[LinkId, Record]
    findings: dict[LinkId, Findings]
    unexplained: str

    @property
    def sha256(self) -> str:
        """Fingerprint of the trace."""
        return str(self.outcome.summary.get("trace_sha256", ""))

    @property
    def at_rest(self) -> bool:
        """Nothing was due any more when it ended."""
        return self.outcome.summary.get("ended_by") == "applications"

    def broken(self) -> dict[str, str]:
        """Requirement -> what was seen, on whichever link."""
        return {
            identifier: f"link {link}: {words[0]}"
            for link, findings in self.findings.items()
            for identifier, words in findings.broken.items()
        }


def run(plan: RunPlan, folder: Path, *, embedded: bool, liveness_s: float = LIVENESS_S) -> Judged:
    """Run ``plan`` into ``folder`` and judge it; the plan's application is the suite's own.

    Raises:
        ConfigError, PluginError: the plan cannot be run.
    """
    mode: Any = "embedded" if embedded else "processes"
    folder.mkdir(parents=True, exist_ok=True)
    options = RunOptions(mode, folder=folder, liveness_s=liveness_s)
    if not embedded:
        return judge(plan, run_plan(plan, options), folder)
    with limited(liveness_s, run=True) as wind:
        moving = replace(options, on_progress=lambda _progress: wind())
        outcome = run_plan(plan, moving)
    return judge(plan, outcome, folder)


def judge(plan: RunPlan, outcome: RunOutcome, folder: Path) -> Judged:
    """What the trace of a run says of each link."""
    rest = outcome.summary.get("ended_by") == "applications"
    reading = tracing.read(folder, plan, rest=rest)
    findings = {name: Findings() for name in reading.records}
    for name, record in reading.records.items():
        found = findings[name]

        def check(identifier: str, holds: bool, words: str, found: Findings = found) -> None:
            found.reached[identifier] += 1
            if not holds:
                found.add(identifier, words, 0)

        audit.safety(record, check)
        audit.liveness(record, check)
    for one in reading.broken:
        _add(findings[one.link], one.requirement, one.words)
    if outcome.summary.get("ended_by") == "until":
        _restless(plan, folder, findings)
    unexplained = _fault(outcome, reading.last, findings)
    return Judged(plan, outcome, reading.records, findings, unexplained)


def _add(found: Findings, identifier: str, words: str) -> None:
    found.reached[identifier] += 1
    found.add(identifier, words, 0)


def _restless(plan: RunPlan, folder: Path, findings: Mapping[LinkId, Findings]) -> None:
    """Links that were still at work at the bound of simulated time."""
    assert plan.until is not None
    last: dict[str, Line] = {}
    for line in read_trace(folder):
        layer, _, link = line.machine.partition(":")
        if layer in ("link", "physical"):
            last[link] = line
    for name, line in last.items():
        if line.at > BUSY * plan.until:
            words = (
                f"{line.node}: {line.machine} is still at work at {line.at} ps, the run's bound is "
                f"{plan.until} ps"
            )
            _add(findings[LinkId(name)], "QN-LINK-8.1-3", words)


def _fault(outcome: RunOutcome, last: Line | None, findings: Mapping[LinkId, Findings]) -> str:
    """Blame a link for the end of a run that failed; "" if one is to blame, else what it was."""
    if outcome.status != "failed":
        return ""
    if last is not None and (link := _link_of(last.machine, findings)) is not None:
        layer = last.machine.partition(":")[0]
        words = f"{last.node}: {last.machine} at {last.at} ps on {last.event}: {last.error}"
        number = "5.1-5" if layer == "physical" else _number(last.error)
        _add(findings[link], f"QN-LINK-{number}", words)
        return ""
    named = re.search(r"machine (link:[\w-]+)|make a machine for link ([\w-]+)", outcome.fault)
    if named and (link := _link_of(named[1] or f"link:{named[2]}", findings)) is not None:
        refused = "gave a command that the world refuses" in outcome.fault
        number = "5.1-1" if refused else _number(outcome.fault)
        _add(findings[link], f"QN-LINK-{number}", outcome.fault)
        return ""
    if "nothing has moved for" in outcome.fault and len(findings) == 1:
        _add(next(iter(findings.values())), "QN-LINK-8.1-2", outcome.fault)
        return ""
    return "" if any(found.broken for found in findings.values()) else outcome.fault


def _link_of(machine: str, findings: Mapping[LinkId, Findings]) -> LinkId | None:
    layer, _, link = machine.partition(":")
    return LinkId(link) if layer in ("link", "physical") and link in findings else None


def _number(words: str) -> str:
    return next((number for pattern, number in _REFUSALS if pattern.search(words)), "8.1-1")
