"""Run cases against a target, judge the requirements, and shrink what failed.

Theory
    Every case runs under each of its fault profiles with several seeds. A requirement is judged by
    all runs of all cases that check it:

    ============== ===========================================================================
    FAIL           a MUST was broken (a SHOULD too, if strict)
    NON-STRICT     a SHOULD was broken; the target is still conformant
    INFO           a MAY: whether the target does it
    PASS           checked at least once, never broken
    INCONCLUSIVE   no run reached what it is about, or there were too few samples
    NOT APPLICABLE the target does not offer what it is about: see :mod:`.features`
    UNTESTED       no case can decide it (the register says why)
    ERROR          the suite itself failed
    ============== ===========================================================================

    A failing fault plan is shrunk by delta debugging [1]: parts are left out, then single faults,
    then times are halved, as long as the same requirement breaks in the same case with the same seed.
Not modelled
    A target that never returns from one input.
Sources
    [1] Zeller, Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE Trans. Software
        Eng. 28, 183 (2002).
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from qnet.seams import LinkProtocol
from qnet.testing.conformance import faults as plans
from qnet.testing.conformance.case import CASES, SCALE, Case, NotApplicable
from qnet.testing.conformance.faults import NodeFault, Plan
from qnet.testing.conformance.features import offered, refused
from qnet.testing.conformance.parts import Flight, Line
from qnet.testing.conformance.requirement import Layer, Requirement, register
from qnet.units import Duration, Instant

SUITE_VERSION: Final = "2"
"""Changes when a case or a profile changes what it does."""

Verdict = Literal[
    "FAIL",
    "ERROR",
    "NON-STRICT",
    "INCONCLUSIVE",
    "INFO",
    "PASS",
    "NOT APPLICABLE",
    "UNTESTED",
]
SHRINK_RUNS: Final = 150
"""Runs of a case that shrinking one failure may cost."""

GIVEN: Final = "given"
"""Name of the profile when the plan was given by the user."""


@dataclass(frozen=True)
class Target:
    """What is tested: its name as the user wrote it, and the record."""

    name: str
    protocol: LinkProtocol
    package: str = ""


@dataclass(frozen=True)
class Wish:
    """What to run.

    Attributes:
        only: requirements to judge; all if empty.
        cases: names of cases to run; all if empty.
        seed: the first seed.
        seeds: how many.
        faults: run under this plan only.
        strict: a broken SHOULD fails.
        quick: stop at the first failure, and do not shrink.
    """

    layer: Layer = "link"
    only: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    seed: int = 1
    seeds: int = 5
    faults: Plan | None = None
    strict: bool = False
    quick: bool = False


@dataclass
class Failure:
    """The first run of a case in which a requirement broke.

    Attributes:
        words: what was seen.
        smallest: the shrunk fault plan.
        shrunk_in: how many runs that took.
        lines: what happened in the shrunk run.
        flights: the messages of its last bench.
    """

    requirement: str
    case: str
    profile: str
    seed: int
    faults: Plan
    words: str
    smallest: Plan = ()
    shrunk_in: int = 0
    lines: list[Line] = field(default_factory=list)
    flights: list[Flight] = field(default_factory=list)

    def command(self, target: str) -> str:
        """What replays it."""
        return (
            f"qnet conformance {target} --only {self.requirement} --case {self.case} "
            f'--seed {self.seed} --seeds 1 --faults "{plans.words(self.smallest)}"'
        )


@dataclass
class CaseResult:
    """What the runs of one case found.

    Attributes:
        error: traceback, if the suite itself failed.
        inapplicable: why the target does not offer what it is about.
        wall_s: what it cost.
    """

    case: Case
    runs: int = 0
    wall_s: float = 0.0
    reached: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Failure] = field(default_factory=dict)
    error: str = ""
    inapplicable: str = ""


@dataclass(frozen=True)
class Judgement:
    """The verdict on one requirement, and how it came about."""

    requirement: Requirement
    verdict: Verdict
    reached: int
    cases: tuple[str, ...]
    words: str


@dataclass
class Outcome:
    """A run of the suite.

    Attributes:
        failures: behind the verdicts FAIL and NON-STRICT, one for each requirement.
    """

    target: Target
    wish: Wish
    results: list[CaseResult]
    judgements: list[Judgement]
    failures: list[Failure]
    wall_s: float

    def count(self, verdict: Verdict) -> int:
        """How many requirements have that verdict."""
        return sum(one.verdict == verdict for one in self.judgements)

    @property
    def exit_status(self) -> int:
        """0 clean, 1 something failed, 2 something is inconclusive, 3 the suite failed."""
        if self.count("FAIL"):
            return 1
        if self.count("ERROR"):
            return 3
        return 2 if self.count("INCONCLUSIVE") else 0


def load_cases() -> None:
    """Register the cases of every layer."""
    from qnet.testing.conformance import cases

    assert cases.MODULES


def chosen(wish: Wish) -> list[Case]:
    """The cases that ``wish`` is about."""
    load_cases()
    found = []
    for one in CASES.values():
        named = not wish.cases or one.name in wish.cases
        wanted = not wish.only or set(one.ids) & set(wish.only)
        if one.layer == wish.layer and named and wanted:
            found.append(one)
    return found


def run(
    target: Target, wish: Wish, progress: Callable[[CaseResult], None] = lambda _result: None
) -> Outcome:
    """Run the suite."""
    began = time.perf_counter()
    results = []
    for one in chosen(wish):
        result = _run_case(target, one, wish)
        results.append(result)
        progress(result)
        if wish.quick and _caught(result, wish):
            break
    offers = offered(target.protocol)
    judgements = [_judge(one, results, wish, offers) for one in _wanted(wish, results)]
    failures = []
    for judged in judgements:
        if judged.verdict in ("FAIL", "NON-STRICT"):
            case, failure = _simplest(judged.requirement.id, results)
            if not wish.quick:
                _shrink(target.protocol, case, failure)
            failures.append(failure)
    return Outcome(target, wish, results, judgements, failures, time.perf_counter() - began)


def _simplest(identifier: str, results: Sequence[CaseResult]) -> tuple[Case, Failure]:
    """The failure of that requirement with the shortest plan, and its case."""
    found = [(one.case, one.failures[identifier]) for one in results if identifier in one.failures]
    return min(found, key=lambda pair: len(pair[1].faults))


def _wanted(wish: Wish, results: Sequence[CaseResult]) -> Iterator[Requirement]:
    broken = {identifier for result in results for identifier in result.failures}
    for one in register(wish.layer).requirement:
        if wish.only and one.id not in wish.only and one.id not in broken:
            continue
        if wish.cases and not any(one.id in result.case.ids for result in results):
            continue
        yield one


def _runs(case: Case, wish: Wish) -> Iterator[tuple[str, int, Plan]]:
    seeds = range(wish.seed, wish.seed + wish.seeds)
    if wish.faults is not None:
        for seed in seeds:
            yield GIVEN, seed, wish.faults
        return
    for profile in case.profiles:
        for seed in seeds[:1] if case.once else seeds:
            yield profile, seed, plans.draw(profile, seed, SCALE)


def _run_case(target: Target, case: Case, wish: Wish) -> CaseResult:
    result = CaseResult(case)
    began = time.perf_counter()
    for profile, seed, plan in _runs(case, wish):
        result.runs += 1
        try:
            trial = case.run(target.protocol, seed, plan)
        except NotApplicable as reason:
            result.inapplicable = str(reason)
            break
        except Exception:
            result.error = f"{profile}, seed {seed}\n{traceback.format_exc()}"
            break
        result.reached += trial.findings.reached
        for identifier, words in trial.findings.broken.items():
            if identifier not in result.failures:
                result.failures[identifier] = Failure(
                    identifier, case.name, profile, seed, plan, words[0], plan
                )
        if wish.quick and _caught(result, wish):
            break
    result.wall_s = time.perf_counter() - began
    return result


def _caught(result: CaseResult, wish: Wish) -> bool:
    return any(not wish.only or one in wish.only for one in result.failures)


def _judge(
    requirement: Requirement, results: Iterable[CaseResult], wish: Wish, offers: frozenset[str]
) -> Judgement:
    identifier = requirement.id
    about = [one for one in results if identifier in one.case.ids or identifier in one.failures]
    reached = sum(one.reached[identifier] for one in about)
    names = tuple(one.case.name for one in about)
    failure = next((one.failures[identifier] for one in about if identifier in one.failures), None)

    def verdict(what: Verdict, words: str) -> Judgement:
        return Judgement(requirement, what, reached, names, words)

    if requirement.level == "MAY" and about:
        return verdict("INFO", "not offered" if failure or not reached else "offered")
    if failure is not None:
        strict = requirement.level == "MUST" or wish.strict
        return verdict("FAIL" if strict else "NON-STRICT", failure.words)
    errors = [one.error for one in about if one.error]
    if errors:
        return verdict("ERROR", errors[0].strip().splitlines()[-1])
    if requirement.testability == "not testable":
        return verdict("UNTESTED", requirement.why)
    if reached:
        return verdict("PASS", "")
    if requirement.needs and about and not set(requirement.needs) & offers:
        return verdict("NOT APPLICABLE", refused(requirement.needs))
    reasons = [one.inapplicable for one in about if one.inapplicable]
    if reasons and len(reasons) == len(about):
        return verdict("NOT APPLICABLE", reasons[0])
    return verdict("INCONCLUSIVE", "no run reached it" if about else "no case was run")


# ---------------------------------------------------------------- shrinking


def _shrink(protocol: LinkProtocol, case: Case, failure: Failure) -> None:
    """Find a small plan with which the same requirement breaks in the same case and seed."""
    tries = 0

    def fails(plan: Plan) -> bool:
        nonlocal tries
        tries += 1
        if tries > SHRINK_RUNS:
            return False
        try:
            trial = case.run(protocol, failure.seed, plan)
        except Exception:
            return False
        return failure.requirement in trial.findings.broken

    failure.smallest = smallest(failure.faults, fails)
    failure.shrunk_in = tries
    trial = case.run(protocol, failure.seed, failure.smallest)
    failure.words = trial.findings.broken[failure.requirement][0]
    failure.lines = trial.lines()
    failure.flights = trial.benches[-1].flights if trial.benches else []


def smallest(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """A plan that still fails and of which no single fault can be left out, by delta debugging."""
    if not plan or fails(()):
        return ()
    pieces = 2
    while len(plan) >= 2:
        size = -(-len(plan) // pieces)
        cuts = [plan[:at] + plan[at + size :] for at in range(0, len(plan), size)]
        shorter = next((one for one in cuts if fails(one)), None)
        if shorter is not None:
            plan, pieces = shorter, max(2, pieces - 1)
        elif size == 1:
            break
        else:
            pieces = min(len(plan), 2 * pieces)
    return _halved(plan, fails)


def _halved(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """The same with shorter times."""
    for place, _ in enumerate(plan):
        while True:
            one = plan[place]
            changes: list[dict[str, int]] = []
            if one.by > 1:
                changes.append({"by": Duration(one.by // 2)})
            if isinstance(one, NodeFault) and one.end - one.start > 1:
                changes.append({"end": Instant(one.start + (one.end - one.start) // 2)})
            candidates = [
                (*plan[:place], msgspec.structs.replace(one, **change), *plan[place + 1 :])
                for change in changes
            ]
            shorter = next((one for one in candidates if fails(one)), None)
            if shorter is None:
                break
            plan = shorter
    return plan
