"""A failure found on the bench, run as a real network: the same requests, faults and geometry, in a run's terms.

Theory
    The bench on which a requirement broke becomes a topology of two processors and a station: flights,
    gates, attempts and slots as there, the requests as those of an application (:mod:`.asking`), the
    faults as faults of a run. The luck of the optics is the world's own, so some seeds are tried. The
    first one with which the same requirement breaks, judged by the audit of the trace, is run once more
    as processes of the operating system: trace and verdict must be the same.
Not said as a run
    A node that gives away no slot, slow programs, what a case does to single messages by a rule of its
    own, cancels and refusals by the peer, requests out of their domain, faults of messages after a
    restart of their sender. A restart takes a node's application too. Where one of these was part of
    the bench, the report says so.
Units
    Picoseconds; seconds in the topology.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from qnet.ids import NodeId, RequestId
from qnet.layers import link as service
from qnet.results.trace import TRACE_FILE
from qnet.runtime.run import PLAN_FILE
from qnet.testing.conformance import audit, runs, tracing
from qnet.testing.conformance.asking import NAME, Accepted, Asked
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.diagram import draw
from qnet.testing.conformance.faults import STATION, MessageFault, NodeFault
from qnet.testing.conformance.stage import LINK, MEMORY, PLATFORM, SCHEME, other
from qnet.topology import compile_topology
from qnet.topology.check import NAME as BARE
from qnet.units import seconds

DECIDED: Final = frozenset(
    {*audit.SAFETY, *audit.LIVENESS, *tracing.CONTRACT, "QN-LINK-6.1-5"} - {"QN-LINK-2.1-5"}
)
"""Requirements that the trace of a run can decide."""
DRAWS: Final = 10
"""Seeds of the world's luck that are tried before a failure counts as not reproduced."""
BOUND_S: Final = 0.2
"""Simulated seconds of such a run at the most: ten thousand cycles."""
_C: Final = 299_792_458.0

Table = dict[str, Any]


@dataclass
class Confirmation:
    """What became of a failure as a real network.

    Attributes:
        verdict: "confirmed", "confirmed as" another requirement, "differs" (embedded and processes
            do), "not reproduced" or "cannot be said".
        words: what was seen, or why not.
        unsaid: what of the bench the run leaves out.
        seed: of the run.
        embedded, processes: fingerprints of the traces.
        topology: TOML.
        plan: as JSON.
        trace, diagram: of the run.
    """

    verdict: str
    words: str
    unsaid: tuple[str, ...]
    seed: int = 0
    embedded: str = ""
    processes: str = ""
    topology: str = ""
    plan: str = ""
    trace: bytes = b""
    diagram: str = ""

    @property
    def line(self) -> str:
        """One line."""
        if self.verdict.startswith("confirmed"):
            return (
                f"{self.verdict}, seed {self.seed}: {self.words}; embedded and as processes the same "
                f"trace, sha256 {self.embedded}"
            )
        return f"{self.verdict}: {self.words}"

    def files(self) -> dict[str, bytes]:
        """Name -> content, for a report."""
        found = {"topology.toml": self.topology.encode(), PLAN_FILE: self.plan.encode()}
        found |= {TRACE_FILE: self.trace, "diagram.svg": self.diagram.encode()}
        return {name: content for name, content in found.items() if content}


@dataclass
class _Said:
    """A bench in the terms of a topology, and what has no terms there."""

    table: Table
    unsaid: list[str] = field(default_factory=list)


def confirm(requirement: str, bench: Bench, protocol: str) -> Confirmation:
    """Run what happened on ``bench`` as a network, embedded and as processes.

    Args:
        requirement: that broke there.
        bench: as it was left.
        protocol: how a plan names the target.
    """
    said = topology(bench, protocol)
    unsaid = tuple(said.unsaid)
    if not said.table["app"]["asked"]:
        return Confirmation("cannot be said", "no request of the bench can be said", unsaid)
    with TemporaryDirectory(prefix="qnet-confirm-") as scratch:
        here = Path(scratch)
        decided = requirement in DECIDED
        judged, other_one = None, None
        for seed in range(1, DRAWS + 1 if decided else 2):
            said.table["run"]["seed"] = seed
            plan = compile_topology(said.table)
            judged = runs.run(plan, here / f"embedded-{seed}", embedded=True)
            if requirement in judged.broken() or judged.unexplained:
                break
            other_one = other_one or (judged if judged.broken() else None)
        assert judged is not None
        verdict = "confirmed"
        if requirement not in judged.broken() and not judged.unexplained and other_one is not None:
            judged, requirement = other_one, min(other_one.broken())
            verdict = f"confirmed as {requirement}"
            said.table["run"]["seed"] = judged.plan.seed
        seen = judged.broken().get(requirement, "")
        if not seen:
            why = judged.unexplained or (
                f"it holds in {DRAWS} runs" if decided else "the trace of a run does not decide it"
            )
            return Confirmation("not reproduced", why, unsaid, topology=toml(said.table))
        again = runs.run(judged.plan, here / "processes", embedded=False)
        found = Confirmation(
            verdict,
            seen,
            unsaid,
            judged.plan.seed,
            judged.sha256,
            again.sha256,
            toml(said.table),
            (here / "processes" / PLAN_FILE).read_text(),
            (here / "processes" / TRACE_FILE).read_bytes(),
            draw(*tracing.messages(here / "processes")),
        )
    if again.sha256 != judged.sha256 or requirement not in again.broken():
        found.verdict = "differs"
        found.words = (
            f"embedded {judged.sha256}: {seen}; as processes {again.sha256}: "
            f"{again.broken().get(requirement) or again.outcome.fault or 'it holds'}"
        )
    return found


# ---------------------------------------------------------------- the bench as a topology


def topology(bench: Bench, protocol: str) -> _Said:
    """The tables of a topology, as :func:`qnet.topology.compile_topology` takes them."""
    plan = bench.plan
    said = _Said({})
    nodes: Table = {str(STATION): {"kind": "station"}}
    for side, end in enumerate(plan.ends):
        slots = bench.nodes[end].slots
        nodes[str(end)] = {
            "platform": "ideal",
            "communication_slots": sum(slot < MEMORY for slot in slots),
            "memory_slots": sum(slot >= MEMORY for slot in slots),
            "gate_1q": {"duration_s": seconds(plan.correction[side])},
            "gate_2q": {"duration_s": PLATFORM.gate_2q.duration_s},
            "initialise": {"duration_s": PLATFORM.initialise.duration_s},
            "readout": {"duration_s": PLATFORM.readout.duration_s},
            "emission": {
                "interval_s": seconds(plan.cycle),
                "preparation_s": seconds(plan.preparation),
            },
        }
    link: Table = {
        "ends": [str(end) for end in plan.ends],
        "station": str(STATION),
        "length_m": [_C * seconds(flight) for flight in plan.flights],
        "group_index": 1.0,
        "loss_db_per_km": 0.0,
        "scheme": SCHEME,
        "protocol": protocol,
    }
    if plan.protocol_parameters:
        link["protocol_parameters"] = dict(plan.protocol_parameters)
    least = plan.preparation + 2 * max(plan.flights)
    if plan.cycle < least:
        said.unsaid.append(f"a cycle of {plan.cycle} ps: light needs {least} ps")
    if bench.post.ruled:
        said.unsaid.append("what the case does to single messages by a rule of its own")
    said.table = {
        "name": "conformance",
        "run": {"seed": 1, "until_s": BOUND_S},
        "nodes": nodes,
        "links": {str(LINK): link},
        "app": _requests(bench, said.unsaid),
        "faults": _faults(bench, said.unsaid),
    }
    return said


def _requests(bench: Bench, unsaid: list[str]) -> Table:
    asked: dict[RequestId, Asked] = {}
    accepted: dict[Accepted, None] = {}
    for at, node, request in bench.asked:
        match request:
            case service.Create():
                try:
                    asked[request.request] = _create(at, node, request)
                except ValueError as odd:
                    unsaid.append(f"{request.request}: {odd}")
            case service.Accept(remote, purpose) if at == 0 and remote == other(node):
                accepted[Accepted(node, remote, purpose)] = None
            case service.Cancel(name) if name in asked and asked[name].node == node:
                if not asked[name].cancel_ps and at > asked[name].at_ps:
                    asked[name] = msgspec.structs.replace(asked[name], cancel_ps=at)
            case _:
                unsaid.append(f"{node} asks at {at} ps: {request!r}")
    return {
        "name": NAME,
        "nodes": [str(end) for end in bench.plan.ends],
        "hold_ps": bench.longest_hold,
        "asked": [msgspec.to_builtins(one) for one in asked.values()],
        "accepted": [msgspec.to_builtins(one) for one in accepted],
    }


def _create(at: int, node: NodeId, one: service.Create) -> Asked:
    """The same request by an application.

    Raises:
        ValueError: no application can make it.
    """
    if one.remote != other(node) or not 0 <= one.purpose < 1 << 16 or one.max_time < 0:
        raise ValueError(f"an application cannot ask for {one!r}")
    values = {
        "node": node,
        "remote": one.remote,
        "at_ps": at,
        "number": one.number,
        "minimum_fidelity": one.minimum_fidelity,
        "max_time_ps": one.max_time,
        "purpose": one.purpose,
        "kind": one.kind,
        "priority": one.priority,
        "store": one.store,
        "atomic": one.atomic,
        "consecutive": one.consecutive,
        "final": one.final,
        "bases": one.local.bases,
        "weights": one.local.weights,
        "far_bases": one.distant.bases,
        "far_weights": one.distant.weights,
    }
    return msgspec.convert(values, Asked)


def _faults(bench: Bench, unsaid: list[str]) -> Table:
    found: Table = {}
    for number, one in enumerate(bench.faults, start=1):
        said = _message(one, bench) if isinstance(one, MessageFault) else _spell(one)
        if said is None:
            unsaid.append(one.words())
        else:
            found[f"f{number}"] = said
    return found


def _message(one: MessageFault, bench: Bench) -> Table | None:
    late = int(one.by)
    if one.what == "overtake":
        # On the bench it came right after the next one of its channel: so much later.
        channel = [f for f in bench.flights if (f.source, f.target) == (one.source, one.target)]
        flight = channel[one.nth - 1] if one.nth <= len(channel) else None
        if flight is None or not flight.heard_at:
            return None
        late = flight.heard_at[0] - flight.sent_at - bench.light_time(one.source, one.target)
        if late <= 0:
            return None
    what = {"lose": "lose", "double": "double"}.get(one.what, "delay")
    said: Table = {"kind": "single", "source": str(one.source), "target": str(one.target)}
    said |= {"number": one.nth, "what": what}
    return said | ({"late_s": seconds(late)} if late and what != "lose" else {})


def _spell(one: NodeFault) -> Table | None:
    span = {"start_s": seconds(one.start), "end_s": seconds(one.end)}
    match one.what:
        case "partition":
            return {"kind": "partition", "nodes": [str(one.node)], **span}
        case "stall":
            return {"kind": "stall", "node": str(one.node), **span}
        case "crash":
            times = {"at_s": span["start_s"], "restart_s": span["end_s"]}
            return {"kind": "crash", "node": str(one.node), **times}
        case _:
            return None


# ---------------------------------------------------------------- TOML


def toml(table: Mapping[str, Any]) -> str:
    """Tables as TOML; lists of tables are written one table a line."""
    return "\n".join(_lines(table, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if path and (plain or not table):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in plain.items():
        if value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _lines(value, (*path, key))


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    match value:
        case dict():
            fields = (f"{key} = {_value(one)}" for key, one in value.items() if one is not None)
            return f"{{ {', '.join(fields)} }}"
        case list() | tuple() if any(isinstance(one, dict) for one in value):
            return "[\n" + "".join(f"    {_value(one)},\n" for one in value) + "]"
        case list() | tuple():
            return f"[{', '.join(_value(one) for one in value)}]"
        case _:
            # JSON's numbers, texts, true and false are TOML's.
            return json.dumps(value, ensure_ascii=False)
