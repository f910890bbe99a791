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
    XFAIL, XPASS   failed as its profile expects; passed although it should not: :mod:`.profile`
    ============== ===========================================================================

    A failing fault plan is shrunk (:mod:`.shrinking`) as long as the same requirement breaks in the same
    case with the same seed.

    A target that does not return from one input within a limit of time breaks 8.1-2 (an instant ends),
    and the suite stops there: what it would still say, nobody has the patience for.
"""

from __future__ import annotations

import shlex
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from qnet.testing.conformance import faults as plans
from qnet.testing.conformance.case import CASES, Case
from qnet.testing.conformance.faults import Plan
from qnet.testing.conformance.features import declare, offered, refused, served
from qnet.testing.conformance.parts import Flight, Line, NotApplicable
from qnet.testing.conformance.profile import NO_LIMITS, Profile
from qnet.testing.conformance.requirement import Layer, Requirement, register
from qnet.testing.conformance.shrinking import smallest
from qnet.testing.conformance.watchdog import LIMIT_S, Endless, limited

if TYPE_CHECKING:
    from qnet.testing.conformance.confirm import Confirmation

SUITE_VERSION: Final = "3"
"""Changes when a case or a profile changes what it does."""

Verdict = Literal[
    "FAIL",
    "XPASS",
    "XFAIL",
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
    """What is tested: its name as the user wrote it, and the record, program or host."""

    name: str
    protocol: Any
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
        profile: what the target declares of itself.
        limit_s: processor time of one run of a case, see :mod:`.watchdog`.
    """

    layer: Layer = "link"
    only: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    seed: int = 1
    seeds: int = 5
    faults: Plan | None = None
    strict: bool = False
    quick: bool = False
    profile: Profile | None = None
    limit_s: float = LIMIT_S


@dataclass
class Failure:
    """The first run of a case in which a requirement broke.

    Attributes:
        words: what was seen.
        smallest: the shrunk fault plan.
        shrunk_in: how many runs that took.
        lines: what happened in the shrunk run.
        flights: the messages of the bench on which it broke.
        bench: that bench; None for a network that ran for real.
        confirmation: what became of it as a real network, if that was tried.
        files: name -> content, for the report.
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
    bench: Any = field(default=None, repr=False)
    confirmation: Confirmation | None = None
    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    replay: str = ""

    def command(self, target: str) -> str:
        """What replays it."""
        if self.replay:
            return self.replay
        known = CASES.get(self.case)
        layer = f"--layer {known.layer} " if known is not None and known.layer != "link" else ""
        return (
            f"qnet conformance {shlex.quote(target)} {layer}--only {self.requirement} --case {self.case} "
            f'--seed {self.seed} --seeds 1 --faults "{plans.words(self.smallest)}"'
        )


@dataclass
class CaseResult:
    """What the runs of one case found.

    Attributes:
        error: traceback, if the suite itself failed.
        inapplicable: why the target does not offer what it is about.
        hung: the target did not return; nothing more was tried.
        wall_s: what it cost.
    """

    case: Case
    runs: int = 0
    wall_s: float = 0.0
    reached: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Failure] = field(default_factory=dict)
    error: str = ""
    inapplicable: str = ""
    hung: bool = False


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
        if self.count("FAIL") or self.count("XPASS"):
            return 1
        if self.count("ERROR"):
            return 3
        return 2 if self.count("INCONCLUSIVE") else 0


def load_cases() -> None:
    """Register the cases of every layer."""
    from qnet.testing.conformance import cases

    assert cases.MODULES


def chosen(target: Target, wish: Wish) -> list[Case]:
    """The cases that ``wish`` is about, as far as they are about such a target."""
    load_cases()
    found = []
    for one in CASES.values():
        named = not wish.cases or one.name in wish.cases
        wanted = not wish.only or set(one.ids) & set(wish.only)
        meant = isinstance(target.protocol, one.trial.subject)
        if one.layer == wish.layer and meant and named and wanted:
            found.append(one)
    return found


def run(
    target: Target, wish: Wish, progress: Callable[[CaseResult], None] = lambda _result: None
) -> Outcome:
    """Run the suite."""
    began = time.perf_counter()
    declared = wish.profile
    declare(
        target.protocol,
        None if declared is None else declared.features,
        NO_LIMITS if declared is None else declared.limits,
    )
    results = []
    for one in chosen(target, wish):
        result = _run_case(target, one, wish)
        results.append(result)
        progress(result)
        if result.hung or (wish.quick and _caught(result, wish)):
            break
    every = chosen(target, Wish(layer=wish.layer))
    judgements = conclude(target, wish, results, every)
    failures = []
    for judged in judgements:
        if judged.verdict in ("FAIL", "NON-STRICT", "XFAIL") and judged.cases:
            case, failure = _simplest(judged.requirement.id, results)
            if not (wish.quick or any(one.hung for one in results)):
                _shrink(target.protocol, case, failure)
            failures.append(failure)
    return Outcome(target, wish, results, judgements, failures, time.perf_counter() - began)


def conclude(
    target: Target, wish: Wish, results: Sequence[CaseResult], every: Sequence[Case]
) -> list[Judgement]:
    """The verdicts on all requirements that ``wish`` is about."""
    hung = any(one.hung for one in results)
    offers = frozenset[str]() if hung else offered(target.protocol)
    judgements = [
        _judge(one, results, wish, offers, every, target) for one in _wanted(wish, results)
    ]
    if hung:
        why = "not tried: the target did not return from an input"
        judgements = [
            replace(one, words=why) if one.verdict == "INCONCLUSIVE" else one for one in judgements
        ]
    if wish.profile is None:
        return judgements
    expected = wish.profile.expected_failures
    found = [_expected(one, expected.get(one.requirement.id, "")) for one in judgements]
    if not hung and not wish.only and not wish.cases:
        found += _features(target, wish.profile.features or ())
    return found


def _expected(one: Judgement, reason: str) -> Judgement:
    """The verdict where a profile expects a failure."""
    if not reason:
        return one
    if one.verdict in ("FAIL", "NON-STRICT"):
        return replace(one, verdict="XFAIL", words=f"{reason} (seen: {one.words})")
    if one.verdict == "PASS":
        return replace(one, verdict="XPASS", words=f"expected to fail: {reason}")
    return one


def _features(target: Target, declared: Iterable[str]) -> Iterator[Judgement]:
    """One verdict for each declared feature: a target that refuses what it declares fails."""
    there = served(target.protocol)
    for name in declared:
        text = f"The feature {name}, which the profile declares, is served."
        rule = Requirement(f"PROFILE-FEATURE-{name}", "MUST", "both", "tested", text)
        words = "" if name in there else "declared by the profile, and refused with UNSUPP"
        yield Judgement(rule, "FAIL" if words else "PASS", 1, (), words)


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
            yield profile, seed, plans.draw(profile, seed, case.trial.scale)


def _run_case(target: Target, case: Case, wish: Wish) -> CaseResult:
    result = CaseResult(case)
    began = time.perf_counter()
    for profile, seed, plan in _runs(case, wish):
        result.runs += 1
        try:
            with limited(wish.limit_s) if case.trial.watched else nullcontext():
                trial = case.run(target.protocol, seed, plan)
        except NotApplicable as reason:
            result.inapplicable = str(reason)
            break
        except Endless as late:
            # Not inside a step of a machine, so in its making, its deadline or its state.
            seen = f"{late}, in {_place(late)}"
            broken = Failure(_endless(wish.layer), case.name, profile, seed, plan, seen, plan)
            _hung(result, broken)
            break
        except Exception:
            result.error = f"{profile}, seed {seed}\n{traceback.format_exc()}"
            break
        result.reached += trial.findings.reached
        for identifier, words in trial.findings.broken.items():
            if identifier not in result.failures:
                failure = Failure(identifier, case.name, profile, seed, plan, words[0], plan)
                result.failures[identifier] = failure
        if trial.hung:
            result.hung = True
        if result.hung or (wish.quick and _caught(result, wish)):
            break
    result.wall_s = time.perf_counter() - began
    return result


def _endless(layer: Layer) -> str:
    return f"QN-{layer.upper()}-8.1-2"


def _hung(result: CaseResult, failure: Failure) -> None:
    result.hung = True
    result.reached[failure.requirement] += 1
    result.failures.setdefault(failure.requirement, failure)


def _place(error: BaseException) -> str:
    """File and line of the innermost frame that is none of qnet's core."""
    frames = traceback.extract_tb(error.__traceback__)
    foreign = [one for one in frames if "/qnet/" not in one.filename] or list(frames)
    return f"{foreign[-1].filename}:{foreign[-1].lineno}"


def _caught(result: CaseResult, wish: Wish) -> bool:
    return any(not wish.only or one in wish.only for one in result.failures)


def _judge(
    requirement: Requirement,
    results: Iterable[CaseResult],
    wish: Wish,
    offers: frozenset[str],
    every: Iterable[Case],
    target: Target,
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
    if reached:
        return verdict("PASS", "")
    if requirement.testability == "not testable":
        return verdict("UNTESTED", requirement.why)
    if requirement.needs and about and not set(requirement.needs) & offers:
        return verdict("NOT APPLICABLE", refused(requirement.needs, target.protocol))
    reasons = [one.inapplicable for one in about if one.inapplicable]
    if reasons and len(reasons) == len(about):
        return verdict("NOT APPLICABLE", reasons[0])
    if not about and not any(identifier in one.ids for one in every):
        return verdict("NOT APPLICABLE", "no case decides it on such a target")
    return verdict("INCONCLUSIVE", "no run reached it" if about else "no case was run")


# ---------------------------------------------------------------- shrinking


def _shrink(protocol: Any, case: Case, failure: Failure) -> None:
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
    again = trial.findings.broken.get(failure.requirement)
    # Only a foreign program can be so: a machine does the same again.
    failure.words = again[0] if again else f"{failure.words} (once; not when the run was repeated)"
    failure.lines = trial.lines()
    if trial.benches:
        failure.bench = trial.benches[trial.findings.where[failure.requirement]]
        failure.flights = failure.bench.flights
