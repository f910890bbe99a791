"""Optics: attempts on heralded links, sampled from the heralding scheme, and the states that they make.

Theory
    Attempts of a link lie on a grid of its cycle. They begin when both ends are armed. Attempt k (from 1)
    of a run begins to emit at ``e = start + preparation + (k - 1) cycle`` and may click at the station one
    (longer) time of flight later. Both photons meet there: the one of end i leaves at
    ``e + max(flights) - flights[i]``, that of the longer arm at e.

    *Skip-ahead* draws the index of the first success from the geometric law in one go and puts one click on
    the agenda; *exact* attempts are drawn one by one, photon by photon, from the scheme's own sampler, which
    shares nothing with its closed form. Attempts are independent, so both give the same law. In both, a pair
    gets the state that belongs to its click pattern.

    On a click both ends are disarmed and the state is put into the two slots, each half as of the departure
    of its own photon: the decay on the way is charged lazily by the store.

    The store asks for the *departures* of a node, with which attempts dephase its memories
    (:mod:`qnet.world.pulses`): those of open runs when it touches one, and is told those of runs that end.

    Attempts in an interval in which the link is *dark* (fibre cut, station down) are made and never click:
    the draw begins anew after it. Behind a switch the index is geometric over the attempts in the windows of
    the link alone; which of the grid that is follows without a draw (:mod:`qnet.physics.windows`).

Abort
    ``Abort`` at instant t stops every departure from this end at or after t. A photon that left before t
    is on its way and may still click. The end that aborted has its slot back at once, so its half of such
    a late pair is lost: it is traced out, and the other end keeps what is left. An end's ``until`` acts
    like an abort at that instant. An attempt whose second photon never leaves is no attempt: it neither
    clicks nor counts.

Validity
    Attempt grids of the two ends are taken to be synchronous. A lone photon, its partner stopped, does not
    click together with a dark count.

Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019 (polled attempts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import msgspec

from qnet.errors import BackendError, PluginError
from qnet.ids import LinkId, NodeId, OpId, SlotId
from qnet.plan import LinkPlan
from qnet.randomness import geometric, keyed_uniform
from qnet.seams import ClickOutcome, HeraldingScheme, checked_outcomes
from qnet.units import LAST_INSTANT, Instant
from qnet.wire.codes import Refusal
from qnet.wire.control import Clicked
from qnet.world.authority import RANK_CLICK, RANK_INTERNAL, Authority, Due
from qnet.world.faults import Interval
from qnet.world.pulses import Train
from qnet.world.store import Store


class UnknownLink(BackendError):
    """The node is not at an end of the link that it names."""

    code = Refusal.UNKNOWN_LINK


class AttemptRunning(BackendError):
    """The node already attempts on that link."""

    code = Refusal.ATTEMPT_RUNNING


@dataclass(slots=True)
class Arm:
    """One armed end: which slot emits, and until when.

    ``lag`` is how much later than that of the longer arm its photon leaves, so that both meet.
    """

    node: NodeId
    op: OpId
    slot: SlotId
    until: Instant | None
    lag: int
    holds_slot: bool = True

    def open_at(self, instant: int) -> bool:
        """Whether a photon may leave this end at ``instant``."""
        return self.until is None or instant < self.until

    def stops_at(self, now: int) -> int:
        """First instant at which no photon leaves any more, if the end stops at ``now`` at the latest."""
        return now if self.until is None else min(now, self.until)

    def departure(self, emitted: int) -> Instant:
        """When its photon leaves in the attempt whose longer arm emits at ``emitted``."""
        return Instant(emitted + self.lag)


@dataclass(slots=True)
class Attempts:
    """Attempts under way between two armed ends.

    ``index`` and ``emitted_at`` (departure from the longer arm) are those of the attempt that is due.
    """

    number: int
    start: Instant
    arms: tuple[Arm, Arm]
    index: int = 0
    due: Due | None = None
    emitted_at: int = 0


class PairCreated(msgspec.Struct, frozen=True, tag=True, tag_field="type"):
    """For the truth trace: a click made a state.

    ``emitted_at`` is the earlier of the two departures, that of the longer arm. ``lost`` names the ends
    whose half was given up before the click.
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
    dark: tuple[Interval, ...]
    arms: dict[NodeId, Arm] = field(default_factory=dict)
    attempts: Attempts | None = None
    runs: int = 0
    heralds: int = 0

    def light_again(self, emitted: int) -> int:
        """``emitted``, or the end of the dark intervals in which it lies."""
        for start, end in self.dark:
            if start <= emitted < end:
                emitted = end
        return emitted

    def lit_from(self, emitted: int) -> int:
        """``emitted`` if an attempt can click then, else a later instant, not after the first such."""
        light = self.light_again(emitted)
        return light if self.plan.window is None else self.plan.window.lit_from(light)


class Optics:
    """All heralded links of a run.

    Args:
        seed: of the run; every draw is keyed by link, run and attempt.
        schemes: heralding scheme by name.
        created: told of every click, in order, for the trace.
        dark: intervals of emission of the longer arm in which no attempt of a link clicks, in order of
            their starts.

    Raises:
        PluginError: the outcomes of a scheme break a rule of :func:`qnet.seams.checked_outcomes`.
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
        dark: Callable[[LinkPlan], tuple[Interval, ...]] = lambda _: (),
    ) -> None:
        self._seed = seed
        self._store = store
        self._authority = authority
        self._exact = exact
        self._created = created
        self._links: dict[LinkId, _Link] = {}
        self._by_op: dict[tuple[NodeId, OpId], LinkId] = {}
        self._by_slot: dict[tuple[NodeId, SlotId], Arm] = {}
        self._made: dict[LinkId, int] = {}
        for plan in links:
            scheme = schemes[plan.scheme]
            outcomes = checked_outcomes(plan.name, scheme, plan.optics, plan.scheme_parameters)
            total = min(1.0, sum(outcome.prob for outcome in outcomes))
            self._links[plan.name] = _Link(plan, outcomes, total, scheme, dark(plan))
            self._made[plan.name] = 0
        if store.shaken:
            store.open_trains = self.departures

    def departures(self, node: NodeId) -> list[Train]:
        """Photons of the runs of ``node`` that are not over, those to come included, as things stand."""
        return [
            self._train(link, link.attempts, arm, LAST_INSTANT)
            for link in self._links.values()
            if link.attempts is not None
            for arm in link.attempts.arms
            if arm.node == node
        ]

    def attempts(self, until: Instant) -> dict[LinkId, int]:
        """Attempts of each link whose photons have both left before ``until``, open runs included.

        Args:
            until: the present or later, e.g. the end of the run.
        """
        made = dict(self._made)
        for name, link in self._links.items():
            if link.attempts is not None:
                made[name] += self._emitted(link, link.attempts, until)
        return made

    def heralds(self) -> dict[LinkId, int]:
        """Clicks of each link so far."""
        return {name: link.heralds for name, link in self._links.items()}

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
        flights = link.plan.flights
        lag = max(flights) - flights[link.plan.ends.index(node)]
        arm = Arm(node, op, slot, until, lag)
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

    def crash(self, node: NodeId) -> None:
        """Disarm all ends of ``node``."""
        now = self._authority.now
        for link in self._links.values():
            arm = link.arms.get(node)
            if arm is not None:
                self._disarm(link, arm, now)

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
        if attempts is None or all(one is not arm for one in attempts.arms):
            return  # nothing of this arm has left: it may wait for the click of an earlier run
        stopped_at = arm.stops_at(now)
        if attempts.due is not None and arm.departure(attempts.emitted_at) >= stopped_at:
            attempts.due.cancelled = True
            attempts.due = None
        if attempts.due is None:
            other = attempts.arms[1 - attempts.arms.index(arm)]
            made = self._departures(link, attempts, arm, stopped_at)
            if other.until is not None:
                made = min(made, self._departures(link, attempts, other, other.until))
            self._made[link.plan.name] += made
            self._end(link, attempts, stopped_at)

    def _end(self, link: _Link, attempts: Attempts, stopped_at: int) -> None:
        """A run is over: no photon of it leaves at ``stopped_at`` or later."""
        link.attempts = None
        if self._store.shaken:
            for arm in attempts.arms:
                train = self._train(link, attempts, arm, stopped_at)
                self._store.attempts_ended(arm.node, train)

    def _train(self, link: _Link, attempts: Attempts, arm: Arm, stopped_at: int) -> Train:
        """Departures from one end of a run that stops at an instant, at an end's ``until`` or with a click."""
        for one in attempts.arms:
            stopped_at = one.stops_at(Instant(stopped_at))
        count = self._departures(link, attempts, arm, stopped_at)
        if attempts.due is not None:
            count = min(count, attempts.index)
        first = arm.departure(self._emission(link, attempts, 1))
        return Train(first, link.plan.cycle, count)

    def _forget(self, link: _Link, arm: Arm) -> None:
        if link.arms.get(arm.node) is arm:
            del link.arms[arm.node]
        self._by_op.pop((arm.node, arm.op), None)
        if self._by_slot.get((arm.node, arm.slot)) is arm:
            del self._by_slot[arm.node, arm.slot]

    def _departures(self, link: _Link, attempts: Attempts, arm: Arm, before: int) -> int:
        """Photons of a run that leave ``arm`` before an instant."""
        first = arm.departure(self._emission(link, attempts, 1))
        return max(0, -(-(before - first) // link.plan.cycle))

    def _emitted(self, link: _Link, attempts: Attempts, before: int) -> int:
        """Attempts of an open run whose photons both leave before an instant."""
        made = min(
            self._departures(link, attempts, arm, arm.stops_at(before)) for arm in attempts.arms
        )
        # The due attempt of a run is the last one: it clicks, or the run is drawn attempt by attempt.
        return made if attempts.due is None else min(made, attempts.index)

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

    def _before(self, link: _Link, attempts: Attempts, instant: int) -> int:
        """Attempts of a run whose emission comes before ``instant``, an emission or later."""
        return -(-(instant - self._emission(link, attempts, 1)) // link.plan.cycle)

    def _open(self, attempts: Attempts, emitted: int) -> bool:
        return all(arm.open_at(arm.departure(emitted)) for arm in attempts.arms)

    def _skip_ahead(self, link: _Link, attempts: Attempts) -> None:
        name, purpose, failed = link.plan.name, "success", 0
        while True:
            uniform = keyed_uniform(self._seed, name, purpose, attempts.number)
            nth, window = geometric(uniform, link.total_prob), link.plan.window
            if window is not None:
                first = self._emission(link, attempts, failed + 1)
                nth = window.nth_lit(nth, first, link.plan.cycle)
            index = failed + nth
            emitted = self._emission(link, attempts, index)
            if not self._open(attempts, emitted):
                return
            light = link.light_again(emitted)
            if light == emitted:
                break
            if light > LAST_INSTANT:
                return
            # No attempt of the dark interval clicks: the next draw is for those that emit after it.
            failed = self._before(link, attempts, light)
            purpose = f"success after {failed}"
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
        at = Instant(emitted + max(link.plan.flights))
        attempts.due = self._authority.push(
            at,
            Due(
                link.plan.station,
                Clicked(link.plan.name, outcome.pattern, at),
                partial(self._click, link, attempts, outcome),
            ),
            rank=RANK_CLICK,
            source=link.plan.name,
            sequence=attempts.number,
        )

    def _next_exact(self, link: _Link, attempts: Attempts) -> None:
        attempts.index += 1
        emitted = self._emission(link, attempts, attempts.index)
        while (light := link.lit_from(emitted)) != emitted and emitted <= LAST_INSTANT:
            attempts.index = self._before(link, attempts, light) + 1
            emitted = self._emission(link, attempts, attempts.index)
        attempts.emitted_at = emitted
        if emitted > LAST_INSTANT or not self._open(attempts, emitted):
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

        drawn = link.scheme.sampled(link.plan.optics, link.plan.scheme_parameters, uniform)
        if drawn is None:
            self._next_exact(link, attempts)
            return
        # The sample knows which photons were lost; nobody in the network can. The pair gets the state that
        # belongs to its clicks, so that a claim can be held against it pair by pair.
        for outcome in link.outcomes:
            if outcome.pattern == drawn.pattern:
                break
        else:
            raise PluginError(
                f"heralding scheme {link.scheme.name}: on link {link.plan.name} sample must draw a "
                f"pattern that outcomes lists, got {drawn.pattern}"
            )
        self._schedule_click(link, attempts, attempts.index, attempts.emitted_at, outcome)

    def _click(self, link: _Link, attempts: Attempts, outcome: ClickOutcome, now: Instant) -> None:
        self._end(link, attempts, LAST_INSTANT)
        link.heralds += 1
        emitted = Instant(attempts.emitted_at)
        kept = [arm for arm in attempts.arms if arm.holds_slot]
        for arm in kept:
            arm.holds_slot = False
            self._forget(link, arm)
        first, second = attempts.arms
        self._made[link.plan.name] += attempts.index
        if len(kept) == 2:
            self._store.create_pair(
                (first.node, first.slot),
                (second.node, second.slot),
                outcome.state,
                Instant(first.departure(emitted) - link.plan.held),
                Instant(second.departure(emitted) - link.plan.held),
            )
        elif kept:
            arm = kept[0]
            self._store.create_single(
                (arm.node, arm.slot),
                _reduced(outcome.state, keep=attempts.arms.index(arm)),
                Instant(arm.departure(emitted) - link.plan.held),
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
