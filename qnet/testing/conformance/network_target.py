"""A topology as target: its network runs for real under fault profiles, and every link is judged by the trace.

Theory
    The described application is replaced by a small load of requests on every link (:mod:`.asking`), of all
    kinds that the link's protocol serves, from both ends, some with a deadline, some cancelled. A profile
    makes faults of a run from a seed, on the time scale of the network: all are over when half of the load is.
    Such a run ends at rest, so that what must hold at rest is judged too. A topology whose application is the
    suite's own is run as it is, under its own faults: that is how a recorded failure is run again.

    Each link protocol of the network is one implementation of the report; its links share its verdicts.
Not judged
    Profiles without a word in a run's faults: a memory that is full, a stalled backend. Purified links are
    judged below their purification. What no trace decides is INCONCLUSIVE and says so.
Units
    Picoseconds, seconds in tables.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from qnet.ids import NodeId
from qnet.layers.link import Kind
from qnet.plan import LinkPlan, RunPlan
from qnet.plugins import find
from qnet.randomness import KeyedRandom
from qnet.results.trace import TRACE_FILE
from qnet.runtime.run import PLAN_FILE
from qnet.testing.conformance import runs, tracing
from qnet.testing.conformance.asking import NAME, Accepted, Asked
from qnet.testing.conformance.case import Case
from qnet.testing.conformance.confirm import DECIDED, toml
from qnet.testing.conformance.diagram import draw
from qnet.testing.conformance.features import offered
from qnet.testing.conformance.runs import Judged
from qnet.testing.conformance.suite import (
    CaseResult,
    Failure,
    Judgement,
    Outcome,
    Target,
    Wish,
    conclude,
)
from qnet.topology import compile_topology
from qnet.topology.files import read
from qnet.units import LAST_INSTANT, seconds

PAIRS: Final = 12
"""Mean times of a pair that the load of a link lasts."""
LONGEST: Final = 200
"""Of these, within which a run must come to rest."""
REQUESTS: Final = 6
"""Requests on a link at the least; one of each kind that it serves."""
PURPOSE: Final = 7
PARITY: Final = "QN-LINK-3.1-2"
UNDECIDED: Final = "the trace of a run does not decide it; the bench does"

Table = dict[str, Any]
Draw = Callable[[KeyedRandom, RunPlan, float], Table]


# ---------------------------------------------------------------- fault profiles


def _impair(field: str, **more: float) -> Draw:
    def draw(random: KeyedRandom, _plan: RunPlan, horizon_s: float) -> Table:
        prob = 0.2 * (0.25 + random.uniform())
        return {field: {"kind": "impair", f"{field}_prob": prob, "end_s": horizon_s, **more}}

    return draw


def _spell(kind: str, processors: bool, share: float) -> Draw:
    def draw(random: KeyedRandom, plan: RunPlan, horizon_s: float) -> Table:
        names = [one.name for one in plan.nodes if one.platform is not None or not processors]
        node = str(names[random.below(len(names))])
        start_s = random.uniform() * horizon_s * (1.0 - share)
        end_s = start_s + horizon_s * share * (0.1 + 0.9 * random.uniform())
        if kind == "crash":
            return {kind: {"kind": kind, "node": node, "at_s": start_s, "restart_s": end_s}}
        who: Table = {"nodes": [node]} if kind == "partition" else {"node": node}
        return {kind: {"kind": kind, **who, "start_s": start_s, "end_s": end_s}}

    return draw


_PARTS: Final[Mapping[str, Draw]] = {
    "loss": _impair("loss"),
    "duplicate": _impair("duplicate"),
    "reorder": _impair("reorder", reorder_factor=10.0),
    "partition": _spell("partition", False, 0.4),
    "crash": _spell("crash", True, 0.2),
    "stall": _spell("stall", False, 0.3),
}


def _mixed(random: KeyedRandom, plan: RunPlan, horizon_s: float) -> Table:
    parts = [draw for name, draw in _PARTS.items() if name != "crash" and random.uniform() < 0.5]
    return {key: one for draw in parts for key, one in draw(random, plan, horizon_s).items()}


PROFILES: Final[Mapping[str, Draw]] = {
    "clean": lambda _random, _plan, _horizon_s: {},
    **_PARTS,
    "mixed": _mixed,
}
"""Names as on the bench; see :mod:`qnet.testing.conformance.faults`."""


# ---------------------------------------------------------------- load


def _load(plan: RunPlan, seed: int) -> Table:
    """The application of a run: requests on every link."""
    asked: list[Asked] = []
    accepted: dict[Accepted, None] = {}
    for link in plan.links:
        random = KeyedRandom(seed, "conformance", f"load:{link.name}")
        kinds = list(_kinds(link, plan))
        for number in range(max(REQUESTS, len(kinds))):
            node = link.ends[random.below(2)]
            asked.append(_request(link, node, random, kinds[number % len(kinds)]))
        for node in link.ends:
            accepted[Accepted(node, _other(link, node), PURPOSE)] = None
    return {
        "name": NAME,
        "asked": [msgspec.to_builtins(one) for one in asked],
        "accepted": [msgspec.to_builtins(one) for one in accepted],
    }


def _request(link: LinkPlan, node: NodeId, random: KeyedRandom, fields: Mapping[str, Any]) -> Asked:
    pair = _pair_ps(link)
    at = int(random.uniform() * PAIRS * pair / 2)
    number = 1 + random.below(3)
    values: Table = {
        "node": node,
        "remote": _other(link, node),
        "at_ps": at,
        "number": number,
        "purpose": PURPOSE,
        **fields,
    }
    if random.uniform() < 0.2:
        values["cancel_ps"] = at + 1 + int(random.uniform() * 4 * pair)
    if fields.get("kind") == "M":
        values |= {"bases": ("X", "Z"), "weights": (1.0, 1.0)}
        values |= {"far_bases": ("X", "Z"), "far_weights": (1.0, 1.0)}
    if "max_time_ps" in fields:
        values["max_time_ps"] = int((1 + 3 * random.uniform()) * number * pair)
    return msgspec.convert(values, Asked)


def _kinds(link: LinkPlan, plan: RunPlan) -> Iterator[Table]:
    """Fields of requests that the link's protocol serves, on processors with that much memory."""
    serves = offered(find("qnet.links", link.protocol))
    platforms = [plan.node(end).platform for end in link.ends]
    memory = min(one.memory_slots if one is not None else 0 for one in platforms)
    yield {}
    kinds: tuple[Kind, ...] = ("M", "R")
    for kind in kinds:
        if kind in serves:
            yield {"kind": kind}
    if "store" in serves and memory >= 1:
        yield {"store": True}
    if "atomic" in serves and memory >= 3:
        yield {"atomic": True}
    if "final" in serves:
        yield {"final": (1, 0)}
    if "max_time" in serves:
        yield {"max_time_ps": 1}


def _pair_ps(link: LinkPlan) -> float:
    return 1e12 / link.estimate.rate_hz + 4 * link.direct


def _other(link: LinkPlan, node: NodeId) -> NodeId:
    return link.ends[1 - link.ends.index(node)]


# ---------------------------------------------------------------- running


@dataclass(frozen=True)
class _Topology:
    """A topology and how it is run."""

    path: Path
    data: Table
    embedded: bool
    fixed: bool
    """Its application is the suite's own: it is run as it is."""

    def plan(self, profile: str, seed: int) -> tuple[RunPlan, Table]:
        """The plan of one run, and its tables."""
        data = {**self.data, "run": {**self.data.get("run", {})}}
        name = "".join(c if c.isalnum() else "-" for c in self.path.stem)[:64]
        if self.fixed:
            return compile_topology(data, str(self.path), default_name=name), data
        data["run"]["seed"] = seed
        data["app"] = {"name": NAME}
        bare = compile_topology(data, str(self.path), default_name=name)
        longest_s = max((seconds(round(_pair_ps(link))) for link in bare.links), default=0.0)
        bound_s = LONGEST * longest_s + 4.0 * seconds(bare.patience)
        data["run"]["until_s"] = min(bound_s, math.floor(seconds(LAST_INSTANT)))
        random = KeyedRandom(seed, "conformance", f"network:{profile}")
        drawn = PROFILES[profile](random, bare, PAIRS * longest_s)
        data["faults"] = {**self.data.get("faults", {}), **drawn}
        data["app"] = _load(bare, seed)
        return compile_topology(data, str(self.path), default_name=name), data


def run(
    path: Path,
    wish: Wish,
    *,
    embedded: bool,
    progress: Callable[[CaseResult], None] = lambda _result: None,
) -> list[Outcome]:
    """Run the network in ``path`` under every profile and seed; one outcome for each of its link protocols.

    Raises:
        ConfigError: the topology is wrong.
        PluginError: a plug-in of it is broken.
    """
    began = time.perf_counter()
    data = read(path)
    app = data.get("app")
    topology = _Topology(path, data, embedded, isinstance(app, dict) and app.get("name") == NAME)
    plan, _ = topology.plan("clean", wish.seed)
    protocols = sorted({link.protocol for link in plan.links})
    results: dict[str, list[CaseResult]] = {name: [] for name in protocols}
    profiles = ("as-described",) if topology.fixed else tuple(PROFILES)
    for profile in profiles:
        if wish.cases and f"network-{profile}" not in wish.cases:
            continue
        found = {name: CaseResult(_case(profile)) for name in protocols}
        started = time.perf_counter()
        for seed in range(wish.seed, wish.seed + (1 if topology.fixed else wish.seeds)):
            _run_once(topology, profile, seed, found)
        for name, result in found.items():
            result.wall_s = (time.perf_counter() - started) / len(found)
            results[name].append(result)
            progress(result)
    wall_s = time.perf_counter() - began
    return [_outcome(path, name, wish, results[name], wall_s, embedded) for name in protocols]


def _case(profile: str) -> Case:
    def drive(_trial: Any) -> None:
        raise AssertionError("a network is no bench")

    return Case(
        f"network-{profile}", "link", tuple(sorted(DECIDED)), "liveness", (profile,), False, drive
    )


def _run_once(
    topology: _Topology, profile: str, seed: int, found: Mapping[str, CaseResult]
) -> None:
    plan, data = topology.plan(profile, seed)
    with TemporaryDirectory(prefix="qnet-conformance-") as scratch:
        judged = runs.run(plan, Path(scratch), embedded=topology.embedded)
        for name, result in found.items():
            result.runs += 1
            result.error = result.error or (
                f"{profile}, seed {seed}: {judged.unexplained}" if judged.unexplained else ""
            )
            for link in plan.links:
                if link.protocol != name:
                    continue
                findings = judged.findings[link.name]
                result.reached += findings.reached
                for identifier in findings.broken.keys() - result.failures.keys():
                    words = f"link {link.name}: {findings.broken[identifier][0]}"
                    failure = Failure(identifier, result.case.name, profile, seed, (), words)
                    failure.replay = _command(topology, failure)
                    failure.files = _files(Path(scratch), data, judged)
                    result.failures[identifier] = failure


def _command(topology: _Topology, one: Failure) -> str:
    where = " --embedded" if topology.embedded else ""
    return (
        f"qnet conformance {shlex.quote(str(topology.path))}{where} --only {one.requirement} "
        f"--case {one.case} --seed {one.seed} --seeds 1"
    )


def _files(folder: Path, data: Table, judged: Judged) -> dict[str, bytes]:
    found = {"topology.toml": toml(data).encode()}
    for name in (PLAN_FILE, TRACE_FILE):
        if (folder / name).exists():
            found[name] = (folder / name).read_bytes()
    if TRACE_FILE in found:
        found["diagram.svg"] = draw(*tracing.messages(folder)).encode()
    if judged.outcome.fault:
        found["fault.txt"] = judged.outcome.fault.encode() + b"\n"
    return found


def _outcome(
    path: Path,
    name: str,
    wish: Wish,
    results: list[CaseResult],
    wall_s: float,
    embedded: bool,
) -> Outcome:
    mode = "embedded" if embedded else "processes"
    target = Target(f"{path}, {name}", find("qnet.links", name), mode)
    cases = [one.case for one in results]
    judgements = [_said(one) for one in conclude(target, replace(wish, cases=()), results, cases)]
    failures = [
        next(
            one.failures[judged.requirement.id]
            for one in results
            if judged.requirement.id in one.failures
        )
        for judged in judgements
        if judged.verdict in ("FAIL", "NON-STRICT", "XFAIL")
    ]
    return Outcome(target, wish, results, judgements, failures, wall_s)


def _said(one: Judgement) -> Judgement:
    """What no trace decides says so, and is nobody's fault."""
    if one.verdict not in ("INCONCLUSIVE", "NOT APPLICABLE"):
        return one
    if one.requirement.id not in DECIDED:
        return replace(one, verdict="NOT APPLICABLE", words=UNDECIDED)
    if one.requirement.id == PARITY and one.verdict == "INCONCLUSIVE":
        return replace(
            one, words="no run reached it without noise, in which one outcome says nothing"
        )
    return one


def cases() -> Sequence[str]:
    """Names for ``--case``."""
    return [f"network-{profile}" for profile in (*PROFILES, "as-described")]
