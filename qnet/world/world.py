"""The world: switch, time authority, quantum store and optics behind two calls.

``next()`` says who is granted what; ``complete()`` takes the reports of all who were granted. It neither
waits nor reads a clock, so the same object serves one process (called directly) and many (called by the
world process between reads and writes).

Rules of the quantum plane
    Commands of a round are executed in order of (node, position in its report). A command is about slots
    of the reporting node, whatever it contains, so that nobody can reach another's qubit. A refused
    command has no effect; its answer is due in the next round.

Crashes
    At a crash the node's slots are emptied, its attempts disarmed, its results forgotten; its application
    counts as ended, without a result. Whatever the node puts out until its restart is void.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import msgspec

from qnet import __version__
from qnet.errors import BackendError, ClockStalled, QnetInternalError, TimeReversed, WireError
from qnet.fibres import Fibres
from qnet.ids import LinkId, NodeId, SlotId
from qnet.plan import Crash, RunPlan
from qnet.randomness import keyed_uniform
from qnet.seams import HeraldingScheme
from qnet.units import Instant, seconds
from qnet.wire.codes import Refusal
from qnet.wire.control import (
    AbortAttempt,
    AppEnded,
    Crashed,
    Delivered,
    Discard,
    ExpiryNote,
    Grant,
    MeasuredNote,
    NodeGrant,
    NodeReport,
    Post,
    ProgramEnded,
    Refused,
    Report,
    RequestNote,
    Restarted,
    RunProgram,
    StartAttempt,
)
from qnet.world.authority import RANK_INTERNAL, RANK_RESULT, Authority, Due
from qnet.world.bounds import check_bounds
from qnet.world.faults import Faults
from qnet.world.ledger import Ledger, PairDelivered
from qnet.world.optics import Optics, PairCreated
from qnet.world.recorder import DeliveredPair, Recorder
from qnet.world.store import Store
from qnet.world.switch import Switch

OWN_TURNS: Final = 1000
"""Turns without anything for a host after which the world looks up from its work."""


@dataclass(frozen=True)
class Verdict:
    """What ended a run, and when.

    ``by`` is "applications" when they have returned, "until" when the bound of simulated time was reached:
    ``at`` is that bound then.
    """

    by: Literal["applications", "until"]
    at: Instant


class World:
    """One network.

    Args:
        plan: what runs.
        host_of: which host runs which node.
        schemes: heralding schemes by name.
        store: the quantum store.
        recorder: where trace and pairs go.
        initiator: role whose applications must return before the run can be over.
    """

    def __init__(
        self,
        plan: RunPlan,
        *,
        host_of: Mapping[NodeId, str],
        schemes: Mapping[str, HeraldingScheme],
        store: Store,
        recorder: Recorder,
        initiator: str,
    ) -> None:
        self.plan = plan
        self._initiators = {node for node, role in plan.app.roles.items() if role == initiator}
        self.store = store
        self.recorder = recorder
        self.authority = Authority(host_of)
        self.ledger = Ledger(
            fidelity=self._true_fidelity, link_of=self._link_between, delivered=self._delivered
        )
        faults = Faults(plan.seed, plan.faults)
        self.optics = Optics(
            seed=plan.seed,
            links=plan.links,
            schemes=schemes,
            store=store,
            authority=self.authority,
            exact=plan.exact_attempts,
            created=self._pair_created,
            dark=faults.dark,
        )
        self.switch = Switch(
            fibres=Fibres(plan.links),
            faults=faults,
            authority=self.authority,
            number=self._number,
            lost=self._truth_line,
        )
        if faults:
            self.authority.admit = self.switch.admit
        self.verdict: Verdict | None = None
        self.bounds: dict[str, Any] = {}
        """What links and flows made beside what physics allows, for the summary; {} before the end."""
        self.app_results: dict[NodeId, tuple[str, Any]] = {}
        self.crashed_apps: set[NodeId] = set()
        self._host_of = dict(host_of)
        self._links = {frozenset(link.ends): link.name for link in plan.links}
        self._down: set[NodeId] = set()
        self._commands: dict[NodeId, int] = dict.fromkeys(host_of, 0)
        self._granted: tuple[str, ...] = ()
        self._performers: dict[type, Callable[[NodeId, Any], None]] = {
            Post: self.switch.post,
            RunProgram: self._on_program,
            StartAttempt: self._on_attempt,
            AbortAttempt: self._on_abort,
            Discard: self._on_discard,
            Delivered: self._on_pair_note,
            MeasuredNote: self._on_pair_note,
            RequestNote: self._on_request,
            ExpiryNote: self._on_expiry,
            AppEnded: self._on_app_ended,
        }
        for crash in faults.crashes:
            self._plan_crash(crash)
        recorder.add(msgspec.json.encode(trace_header(plan)) + b"\n")

    # ------------------------------------------------------------ turns

    def open(self) -> dict[str, Grant]:
        """The first turn: every host is granted instant 0 and starts its applications."""
        turn = self.authority.first_turn()
        self._granted = turn.hosts
        return {host: Grant(turn.at, turn.round, []) for host in turn.hosts}

    def next(self, meanwhile: Callable[[], None] | None = None) -> dict[str, Grant] | None:
        """The next turn with something for a host in it; None when the run is over (see ``verdict``).

        Args:
            meanwhile: called now and then while only the world itself has work (exact attempts); may
                raise to end the run.

        A run is over when every application has returned, or when the initiators have and nothing is due
        any more: a server that waits for further requests is no deadlock.

        Raises:
            ClockStalled: applications wait and nothing will ever happen.
            BoundBroken: the run is over and has made more entanglement than physics allows.
        """
        authority = self.authority
        if len(self.app_results) >= len(self.plan.app.roles):
            self._over("applications", authority.now)
            return None
        until = self.plan.until
        own_turns = 0
        while True:
            own_turns += 1
            if meanwhile is not None and own_turns % OWN_TURNS == 0:
                meanwhile()
            if until is not None:
                instant = authority.next_instant()
                if instant is not None and instant > until:
                    self._over("until", Instant(until))
                    return None
            turn = authority.next_turn()
            if turn is None:
                if self._initiators <= self.app_results.keys():
                    self._over("applications", authority.now)
                    return None
                raise ClockStalled(self._stalled())
            for action in turn.actions:
                action(turn.at)
            if turn.hosts:
                break
        self._granted = turn.hosts
        grants = {host: Grant(turn.at, turn.round, []) for host in turn.hosts}
        for node in sorted(turn.items):
            grants[self._host_of[node]].nodes.append(NodeGrant(node, turn.items[node]))
        return grants

    def complete(self, reports: Mapping[str, Report]) -> None:
        """Take the reports of the turn.

        Raises:
            WireError: a report speaks of another instant, of another's node or out of sequence.
        """
        if tuple(sorted(reports)) != self._granted:
            raise QnetInternalError(f"granted {self._granted}, reported {sorted(reports)}")
        now = self.authority.now
        nodes: list[NodeReport] = []
        for host, report in reports.items():
            self._check_report(host, report)
            self.authority.report(host, report.deadline)
            nodes.extend(report.nodes)
        if len(nodes) > 1:
            nodes.sort(key=lambda one: one.node)
        for one in nodes:
            self.recorder.add(one.trace)
        if self._down:
            nodes = [one for one in nodes if one.node not in self._down]
        for one in nodes:
            for output in one.outputs:
                if type(output) is Delivered or type(output) is MeasuredNote:
                    self.ledger.announced(one.node, output, now)
        for one in nodes:
            for output in one.outputs:
                self._performers[type(output)](one.node, output)

    def _check_report(self, host: str, report: Report) -> None:
        now = self.authority.now
        if report.at != now:
            raise WireError(
                f"report must be about the granted instant {now} ps, got {report.at} ps",
                code=Refusal.TIME,
                peer=host,
            )
        if report.deadline is not None and report.deadline <= now:
            raise WireError(
                f"deadline must be after the granted instant {now} ps, got {report.deadline} ps",
                code=Refusal.TIME,
                peer=host,
            )
        for one in report.nodes:
            if self._host_of.get(one.node) != host:
                raise WireError(
                    f"report must be about a node of this host, got {one.node!r}",
                    code=Refusal.WRONG_SOURCE,
                    peer=host,
                )
            if one.trace and not one.trace.endswith(b"\n"):
                raise WireError(
                    f"trace must be whole lines, that of {one.node} ends in {one.trace[-20:]!r}",
                    code=Refusal.BAD_BODY,
                    peer=host,
                )

    # ------------------------------------------------------------ outputs

    def _on_attempt(self, node: NodeId, output: StartAttempt) -> None:
        self._command(
            node,
            output.op,
            lambda: self.optics.arm(node, output.op, output.link, output.slot, output.until),
        )

    def _on_abort(self, node: NodeId, output: AbortAttempt) -> None:
        self.optics.abort(node, output.op)

    def _on_discard(self, node: NodeId, output: Discard) -> None:
        def discard() -> None:
            self.optics.give_back(node, output.slot)
            self.store.discard(node, output.slot, self.authority.now)

        self._command(node, f"discard {output.slot}", discard)

    def _on_pair_note(self, node: NodeId, output: Delivered | MeasuredNote) -> None:
        """Nothing left to do: notes of a round came into the ledger before its commands."""

    def _on_request(self, node: NodeId, output: RequestNote) -> None:
        self.ledger.request(node, output, self.authority.now)

    def _on_expiry(self, node: NodeId, output: ExpiryNote) -> None:
        self.ledger.expired(output.pairs)
        self._truth_line(
            {"type": "PairsExpired", "by": node, "pairs": output.pairs, "request": output.request}
        )

    def _on_app_ended(self, node: NodeId, output: AppEnded) -> None:
        role = self.plan.app.roles.get(node)
        if output.role != role or node in self.app_results:
            raise WireError(
                f"an application must end once and in its role, {role!r}, got {output.role!r}"
                + (" again" if node in self.app_results else ""),
                code=Refusal.BAD_BODY,
                peer=node,
            )
        try:
            result = msgspec.msgpack.decode(output.result)
            msgspec.json.encode(result)  # the summary keeps it as JSON
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, TypeError) as error:
            raise WireError(
                f"result of an application must be plain data that JSON can keep: {error}",
                code=Refusal.BAD_BODY,
                peer=node,
            ) from None
        self.app_results[node] = (output.role, result)

    def _on_program(self, node: NodeId, command: RunProgram) -> None:
        op, now = command.op, self.authority.now
        incarnation = self.switch.incarnation(node)
        owner = f"{node}*{incarnation}" if incarnation else node
        draw = 0

        def uniform() -> float:
            nonlocal draw
            draw += 1
            return keyed_uniform(self.plan.seed, owner, op, draw)

        def run() -> None:
            result = self.store.run_program(node, op, command.program, now, uniform)
            self.authority.push(
                max(now, result.ends_at),
                Due(node, ProgramEnded(op, result.outcomes), incarnation=incarnation),
                rank=RANK_RESULT,
                source=node,
                sequence=self._number(node),
            )

        self._command(node, op, run)

    def _command(self, node: NodeId, op: str, run: Any) -> None:
        """Execute one quantum command; a refusal is an answer, due in the next round."""
        try:
            run()
        except BackendError as error:
            self.authority.push(
                self.authority.now,
                Due(
                    node,
                    Refused(op, int(error.code), str(error)),
                    incarnation=self.switch.incarnation(node),
                ),
                rank=RANK_RESULT,
                source=node,
                sequence=self._number(node),
            )

    def _number(self, node: NodeId) -> int:
        self._commands[node] += 1
        return self._commands[node]

    # ------------------------------------------------------------ crashes

    def _plan_crash(self, crash: Crash) -> None:
        self.authority.push(
            crash.at,
            Due(crash.node, Crashed(), partial(self._crash, crash)),
            rank=RANK_INTERNAL,
            source=crash.node,
            sequence=0,
        )

    def _crash(self, crash: Crash, now: Instant) -> None:
        node = crash.node
        self._down.add(node)
        self.switch.crash(node)
        self.optics.crash(node)
        self.store.crash(node, now)
        self.ledger.crashed(node)
        role = self.plan.app.roles.get(node)
        if role is not None and node not in self.app_results:
            self.app_results[node] = (role, None)
            self.crashed_apps.add(node)
        self._truth_line({"type": "NodeCrashed", "fault": crash.name, "by": node})
        if crash.restart is not None:
            incarnation = self.switch.incarnation(node)
            self.authority.push(
                crash.restart,
                Due(node, Restarted(incarnation), partial(self._restart, node, incarnation)),
                rank=RANK_INTERNAL,
                source=node,
                sequence=incarnation,
            )

    def _restart(self, node: NodeId, incarnation: int, _now: Instant) -> None:
        self._down.discard(node)
        self._truth_line({"type": "NodeRestarted", "by": node, "incarnation": incarnation})

    # ------------------------------------------------------------ truth

    def _true_fidelity(
        self, node: NodeId, slot: SlotId, remote: NodeId, label: tuple[int, int]
    ) -> float | None:
        place = self.store.partner(node, slot, remote)
        if place is None:
            return None
        try:
            return self.store.bell_fidelity((node, slot), place, label, self.authority.now)
        except TimeReversed:  # a gate on one half is under way
            return None

    def _link_between(self, one: NodeId, two: NodeId) -> LinkId:
        return self._links.get(frozenset((one, two)), LinkId(""))

    def _delivered(self, row: DeliveredPair, event: PairDelivered) -> None:
        self._truth_line(event)
        self.recorder.pair(row)

    def _truth_line(self, event: object) -> None:
        self.recorder.world_line(self.authority.now, self.authority.round, "truth", event)

    def _pair_created(self, event: PairCreated) -> None:
        self.recorder.world_line(
            self.authority.now, self.authority.round, f"optics:{event.link}", event
        )

    # ------------------------------------------------------------ the end

    def leftovers(self) -> dict[NodeId, dict[str, int]]:
        """Slots that hold a qubit or take part in attempts, counted by node; {} if none does."""
        found: dict[NodeId, dict[str, int]] = {}
        for word, places in (
            ("occupied", self.store.occupied()),
            ("reserved", self.store.reserved()),
        ):
            for node, _ in places:
                counts = found.setdefault(node, {"occupied": 0, "reserved": 0})
                counts[word] += 1
        return dict(sorted(found.items()))

    def _over(self, by: Literal["applications", "until"], at: Instant) -> None:
        """The run is over; it must have obeyed the bounds of physics."""
        self.bounds = check_bounds(
            self.plan.links,
            heralds=self.optics.heralds(),
            attempts=self.optics.attempts(at),
            duration=at,
            delivered=self.ledger.delivered,
        )
        self.verdict = Verdict(by, at)

    @property
    def reached(self) -> Instant:
        """How far simulated time has come: the last turn, or the bound that ended the run."""
        return self.authority.now if self.verdict is None else self.verdict.at

    def _stalled(self) -> str:
        waiting = sorted(set(self.plan.app.roles) - set(self.app_results))
        requests = ", ".join(self.ledger.open_requests) or "none"
        return (
            f"something must be due while applications run; nothing is, at "
            f"{seconds(self.authority.now):.9g} s simulated. Applications still waiting: "
            f"{', '.join(waiting)}; open requests: {requests}"
        )

    @property
    def granted(self) -> tuple[str, ...]:
        """Hosts whose report is awaited."""
        return self._granted


def plan_sha256(plan: RunPlan) -> str:
    """Fingerprint of a plan."""
    return hashlib.sha256(msgspec.msgpack.encode(plan, order="deterministic")).hexdigest()


def trace_header(plan: RunPlan) -> dict[str, Any]:
    """First line of a trace: what ran. Equal for equal plans, whatever the mode."""
    return {
        "qnet": __version__,
        "network": plan.network,
        "seed": plan.seed,
        "app": plan.app.name,
        "plan_sha256": plan_sha256(plan),
    }
