"""Optics: attempts on heralded links, sampled from the heralding scheme, and the states that they make.

Theory
    Attempts of a link lie on a grid of its cycle. They begin when both ends are armed. Attempt k (from 1)
    of a run emits at ``start + preparation + (k - 1) cycle`` and may click at the station one (longer) time
    of flight later. *Skip-ahead* draws the index of the first success from the geometric law in one go and
    puts one click on the agenda; *exact* attempts are drawn one by one, photon by photon, from the
    scheme's own sampler, which shares nothing with its closed form. Attempts are independent, so both give
    the same law. In both, a pair gets the state that belongs to its click pattern.

    On a click both ends are disarmed and the state is put into the two slots as of its emission: the
    decay on the way is charged lazily by the store.

Abort
    ``Abort`` at instant t stops every emission at or after t. A photon emitted before t is on its way and
    may still click. The end that aborted has its slot back at once, so its half of such a late pair is
    lost: it is traced out, and the other end keeps what is left. An end's ``until`` acts like an abort at
    that instant.

Validity
    Both photons of an attempt meet at the station: the arm with the shorter flight emits later. Attempt
    grids of the two ends are taken to be synchronous.

Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019 (polled attempts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import msgspec

from qnet.errors import BackendError
from qnet.ids import LinkId, NodeId, OpId, SlotId
from qnet.plan import LinkPlan
from qnet.randomness import geometric, keyed_uniform
from qnet.seams import ClickOutcome, HeraldingScheme
from qnet.units import Instant
from qnet.wire.codes import Refusal
from qnet.wire.control import Clicked
from qnet.world.authority import RANK_CLICK, RANK_INTERNAL, Authority, Due
from qnet.world.store import Store


class UnknownLink(BackendError):
    """The node is not at an end of the link that it names."""

    code = Refusal.UNKNOWN_LINK


class AttemptRunning(BackendError):
    """The node already attempts on that link."""

    code = Refusal.ATTEMPT_RUNNING


@dataclass(slots=True)
class Arm:
    """One armed end: which slot emits, and until when."""

    node: NodeId
    op: OpId
    slot: SlotId
    until: Instant | None
    holds_slot: bool = True

    def open_at(self, instant: int) -> bool:
        """Whether a photon may leave at ``instant``."""
        return self.until is None or instant < self.until


@dataclass(slots=True)
class Attempts:
    """Attempts under way between two armed ends."""

    number: int
    start: Instant
    arms: tuple[Arm, Arm]
    index: int = 0
    due: Due | None = None
    emitted_at: int = 0


class PairCreated(msgspec.Struct, frozen=True, tag=True, tag_field="type"):
    """For the truth trace: a click made a state.

    ``lost`` names the ends whose half was given up before the click.
    """

    link: LinkId
    run: int
    attempt: int
    pattern: tuple[int, ...]
    emitted_at: Instant
    lost: tuple[NodeId, ...]


@dataclass(slots=True)
class _Link:
    plan: LinkPlan
    outcomes: tuple[ClickOutcome, ...]
    total_prob: float
    scheme: HeraldingScheme
    arms: dict[NodeId, Arm] = field(default_factory=dict)
    attempts: Attempts | None = None
    runs: int = 0


class Optics:
    """All heralded links of a run.

    Args:
        seed: of the run; every draw is keyed by link, run and attempt.
        schemes: heralding scheme by name.
        created: told of every click, in order, for the trace.
    """

    def __init__(
        self,
        *,
        seed: int,
        links: tuple[LinkPlan, ...],
        schemes: Mapping[str, HeraldingScheme],
        store: Store,
        authority: Authority,
        exact: bool,
        created: Callable[[PairCreated], None],
    ) -> None:
        self._seed = seed
        self._store = store
        self._authority = authority
        self._exact = exact
        self._created = created
        self._links: dict[LinkId, _Link] = {}
        self._by_op: dict[tuple[NodeId, OpId], LinkId] = {}
        self._by_slot: dict[tuple[NodeId, SlotId], Arm] = {}
        self.attempts_made: dict[LinkId, int] = {}
        for plan in links:
            scheme = schemes[plan.scheme]
            outcomes = tuple(scheme.outcomes(plan.optics))
            total = sum(outcome.prob for outcome in outcomes)
            self._links[plan.name] = _Link(plan, outcomes, total, scheme)
            self.attempts_made[plan.name] = 0

    def arm(
        self, node: NodeId, op: OpId, name: LinkId, slot: SlotId, until: Instant | None
    ) -> None:
        """Arm one end; attempts begin when the other is armed too.

        Raises:
            UnknownLink: the node is not at an end of the link.
            AttemptRunning: this end is armed already.
            SlotBusy, UnknownSlot: the slot cannot emit.
        """
        now = self._authority.now
        link = self._links.get(name)
        if link is None or node not in link.plan.ends:
            raise UnknownLink(f"link must be one with {node} at an end, got {name!r}", op=op)
        self._expire(link, now)
        if node in link.arms:
            raise AttemptRunning(
                f"{node} must end attempt run {link.arms[node].op} on {name} before the next", op=op
            )
        self._store.reserve(node, slot, now)
        arm = Arm(node, op, slot, until)
        link.arms[node] = arm
        self._by_op[node, op] = name
        self._by_slot[node, slot] = arm
        self._begin_if_ready(link, now)

    def abort(self, node: NodeId, op: OpId) -> None:
        """Disarm run ``op`` of ``node``; nothing happens if it is over."""
        name = self._by_op.get((node, op))
        if name is None:
            return
        link = self._links[name]
        arm = link.arms.get(node)
        if arm is not None and arm.op == op:
            self._disarm(link, arm, self._authority.now)

    def give_back(self, node: NodeId, slot: SlotId) -> None:
        """The node empties ``slot``: an arm of it whose ``until`` has passed is disarmed first."""
        arm = self._by_slot.get((node, slot))
        now = self._authority.now
        if arm is not None and not arm.open_at(now):
            self._disarm(self._links[self._by_op[node, arm.op]], arm, now)

    def _expire(self, link: _Link, now: Instant) -> None:
        for arm in [arm for arm in link.arms.values() if not arm.open_at(now)]:
            self._disarm(link, arm, now)

    def _disarm(self, link: _Link, arm: Arm, now: Instant) -> None:
        """Take one end out. A photon already emitted stays on its way and loses this half."""
        self._forget(link, arm)
        if arm.holds_slot:
            arm.holds_slot = False
            self._store.unreserve(arm.node, arm.slot)
        attempts = link.attempts
        if attempts is None:
            return
        stopped_at = now if arm.until is None else min(now, arm.until)
        if attempts.due is not None and attempts.emitted_at >= stopped_at:
            attempts.due.cancelled = True
            attempts.due = None
        if attempts.due is None:
            self._count(link, attempts, stopped_at)
            link.attempts = None

    def _forget(self, link: _Link, arm: Arm) -> None:
        if link.arms.get(arm.node) is arm:
            del link.arms[arm.node]
        self._by_op.pop((arm.node, arm.op), None)
        if self._by_slot.get((arm.node, arm.slot)) is arm:
            del self._by_slot[arm.node, arm.slot]

    def _count(self, link: _Link, attempts: Attempts, stopped_at: int) -> None:
        first = attempts.start + link.plan.preparation
        if stopped_at > first:
            made = -(-(stopped_at - first) // link.plan.cycle)
            self.attempts_made[link.plan.name] += made

    def _begin_if_ready(self, link: _Link, now: Instant) -> None:
        """Begin when both ends are armed and no photon of an earlier run is still on its way."""
        if len(link.arms) < 2 or link.attempts is not None:
            return
        plan = link.plan
        link.runs += 1
        start = Instant(-(-now // plan.cycle) * plan.cycle)
        first, second = (link.arms[end] for end in plan.ends)
        link.attempts = attempts = Attempts(link.runs, start, (first, second))
        if link.total_prob <= 0.0:
            return  # no attempt can ever click; drawing each of them would keep the world busy for ever
        if self._exact:
            self._next_exact(link, attempts)
        else:
            self._skip_ahead(link, attempts)

    def _emission(self, link: _Link, attempts: Attempts, index: int) -> int:
        return attempts.start + link.plan.preparation + (index - 1) * link.plan.cycle

    def _open(self, attempts: Attempts, instant: int) -> bool:
        return all(arm.open_at(instant) for arm in attempts.arms)

    def _skip_ahead(self, link: _Link, attempts: Attempts) -> None:
        name = link.plan.name
        index = geometric(
            keyed_uniform(self._seed, name, "success", attempts.number), link.total_prob
        )
        emitted = self._emission(link, attempts, index)
        if not self._open(attempts, emitted):
            return
        pick = keyed_uniform(self._seed, name, "pattern", attempts.number) * link.total_prob
        for outcome in link.outcomes:
            pick -= outcome.prob
            if pick < 0.0:
                break
        self._schedule_click(link, attempts, index, emitted, outcome)

    def _schedule_click(
        self, link: _Link, attempts: Attempts, index: int, emitted: int, outcome: ClickOutcome
    ) -> None:
        attempts.index = index
        attempts.emitted_at = emitted
        attempts.due = self._authority.push(
            Instant(emitted + max(link.plan.flights)),
            Due(
                link.plan.station,
                Clicked(link.plan.name, outcome.pattern),
                partial(self._click, link, attempts, outcome),
            ),
            rank=RANK_CLICK,
            source=link.plan.name,
            sequence=attempts.number,
        )

    def _next_exact(self, link: _Link, attempts: Attempts) -> None:
        attempts.index += 1
        emitted = self._emission(link, attempts, attempts.index)
        attempts.emitted_at = emitted
        if not self._open(attempts, emitted):
            attempts.due = None
            return
        attempts.due = self._authority.push(
            Instant(emitted),
            Due(None, None, partial(self._try_exact, link, attempts)),
            rank=RANK_INTERNAL,
            source=link.plan.name,
            sequence=attempts.number,
        )

    def _try_exact(self, link: _Link, attempts: Attempts, _now: Instant) -> None:
        draws = iter(range(1 << 30))
        purpose = f"attempt {attempts.number}.{attempts.index}"

        def uniform() -> float:
            return keyed_uniform(self._seed, link.plan.name, purpose, next(draws))

        drawn = link.scheme.sample(link.plan.optics, uniform)
        if drawn is None:
            self._next_exact(link, attempts)
            return
        # The sample knows which photons were lost; nobody in the network can. The pair gets the state that
        # belongs to its clicks, so that a claim can be held against it pair by pair.
        outcome = next(one for one in link.outcomes if one.pattern == drawn.pattern)
        self._schedule_click(link, attempts, attempts.index, attempts.emitted_at, outcome)

    def _click(self, link: _Link, attempts: Attempts, outcome: ClickOutcome, now: Instant) -> None:
        link.attempts = None
        emitted = Instant(attempts.emitted_at)
        kept = [arm for arm in attempts.arms if arm.holds_slot]
        for arm in kept:
            arm.holds_slot = False
            self._forget(link, arm)
        first, second = attempts.arms
        self.attempts_made[link.plan.name] += attempts.index
        if len(kept) == 2:
            self._store.create_pair(
                (first.node, first.slot), (second.node, second.slot), outcome.state, emitted
            )
        elif kept:
            arm = kept[0]
            self._store.create_single(
                (arm.node, arm.slot),
                _reduced(outcome.state, keep=attempts.arms.index(arm)),
                emitted,
            )
        lost = tuple(arm.node for arm in attempts.arms if arm not in kept)
        self._created(
            PairCreated(
                link.plan.name, attempts.number, attempts.index, outcome.pattern, emitted, lost
            )
        )
        self._begin_if_ready(link, now)


def _reduced(
    state: tuple[tuple[complex, ...], ...], *, keep: int
) -> tuple[tuple[complex, ...], ...]:
    """What is left of one qubit of a 4 x 4 state when the other is traced out."""

    def entry(row: int, column: int) -> complex:
        if keep == 0:
            return sum(state[2 * row + k][2 * column + k] for k in (0, 1))
        return sum(state[2 * k + row][2 * k + column] for k in (0, 1))

    return tuple(tuple(entry(row, column) for column in (0, 1)) for row in (0, 1))
