"""The RuleSet engine: events change what is known, then rules fire as long as one can.

Theory
    Facts are the pairs held, the messages about them, and the instant. After every event the rules are
    tried, stage by stage and in order, until none holds: event, condition, action [1].
Late, early, impossible
    *Early:* a message about a pair that the link or another message has not brought yet waits under the
    name of the pair (at most ``EARLY_LIMIT``). *Late:* a message about a pair that was lost. *Impossible:* a
    rule that nobody here listens to, or of another partner than the one of the RuleSet; a firing out of
    sequence; two messages about one pair. In all of them the two nodes do not act on the same RuleSets:
    where [1] would desynchronise in silence, the first message says so.
Invariants
    A pair is held, being swapped, or gone. Each rule fires its sequence without gaps, at every partner.
Units
    Instants in picoseconds.
Sources
    [1] Matsuo, Durand, Van Meter, Phys. Rev. A 100, 052320 (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from qnet.errors import RemoteProtocolError
from qnet.ids import NodeId, OpId, PairId, SlotId
from qnet.layers.link import Ok
from qnet.machine import Apply, Effect, Indicate, Message, Release, Request, Send
from qnet.physics.bell import Label, label_xor
from qnet.physics.claims import DecayRates, Hardware, Noise
from qnet.program import Program, bell_measurement
from qnet.units import Instant
from qnet_protocols.network.rulesets_messages import Free, News, Parents, Transfer, Update
from qnet_protocols.network.rulesets_rules import (
    Deliver,
    Fewer,
    HavePair,
    Promote,
    Rule,
    RuleSet,
    SetFrame,
    Swap,
    Tell,
    Told,
    Waited,
)
from qnet_protocols.network.rulesets_rules import Free as Discard

EARLY_LIMIT: Final = 1024
LOST_LIMIT: Final = 256
MADE_LIMIT: Final = 256

Then = Callable[[tuple[int, ...], Instant], None]
"""What happens when a program has ended: (outcomes, instant)."""


class Outbox:
    """Effects of the present step of one node, and names that never repeat."""

    def __init__(self, node: NodeId, hardware: Hardware, incarnation: int) -> None:
        self.node = node
        self.hardware = hardware
        self._stem = f"{node}!{incarnation}." if incarnation else f"{node}!"
        self._count = 0
        self._effects: list[Effect] = []
        self._programs: dict[OpId, Then] = {}

    @property
    def programs(self) -> int:
        """Programs under way."""
        return len(self._programs)

    def take(self) -> list[Effect]:
        """The effects of the step that ends now."""
        effects, self._effects = self._effects, []
        return effects

    def name(self) -> str:
        """A new name."""
        self._count += 1
        return f"{self._stem}{self._count}"

    def send(self, target: NodeId, message: Message) -> None:
        """Send a message."""
        self._effects.append(Send(target, message))

    def ask(self, below: str, request: Any) -> None:
        """Ask a machine below."""
        self._effects.append(Request(request, below))

    def tell(self, indication: Any, *slots: SlotId) -> None:
        """Tell the user above."""
        self._effects.append(Indicate(indication, slots))

    def release(self, slot: SlotId) -> None:
        """Give a slot back."""
        self._effects.append(Release(slot))

    def run(self, program: Program, then: Then) -> None:
        """Run a program; ``then`` is called with its outcomes."""
        op = OpId(f"rulesets:{self.name()}")
        self._programs[op] = then
        self._effects.append(Apply(op, program))

    def ended(self, op: OpId, outcomes: tuple[int, ...], now: Instant) -> None:
        """A program has ended."""
        self._programs.pop(op)(outcomes, now)


@dataclass(slots=True, eq=False)
class Held:
    """This node's half of a pair.

    Attributes:
        parents: name of the pair.
        partner, stage, since: who has the other half; where the pair is, and since when.
        label, noise, error: of the pair, but for the decay of its two halves.
        own_at, far_at: the decay of this and of the other half counts from here.
        index: of the last message about it.
        swapping: a Bell measurement is under way.
    """

    parents: Parents
    partner: NodeId
    stage: int
    since: Instant
    slot: SlotId
    label: Label
    noise: Noise
    error: float
    own_at: Instant
    far_at: Instant
    created_at: Instant
    index: int = 0
    swapping: bool = False

    @classmethod
    def of(cls, ok: Ok, now: Instant) -> Held:
        """A pair as its link announces it."""
        return cls(
            (ok.pair,),
            ok.remote,
            0,
            now,
            ok.slot,
            ok.label,
            Noise(ok.correlators),
            ok.goodness_error,
            ok.goodness_at,
            ok.goodness_at,
            ok.created_at,
        )


@dataclass(slots=True)
class _Count:
    """Firings of one rule: begun, told to partners, of lost pairs; and what the latest ones made."""

    begun: int = 0
    told: int = 0
    lost: int = 0
    made: dict[int, Parents] = field(default_factory=dict)


class Engine:
    """One RuleSet at its owner.

    Args:
        outbox: of this node.
        ruleset: what to do.
        deliver: takes a pair over that is to be handed up: (pair, decay of the other half, instant).
    """

    def __init__(
        self,
        outbox: Outbox,
        ruleset: RuleSet,
        deliver: Callable[[Held, DecayRates, Instant], None],
    ) -> None:
        self._outbox = outbox
        self._ruleset = ruleset
        self._deliver = deliver
        self._pairs: dict[Parents, Held] = {}
        self._news: dict[Parents, News] = {}
        self._partner_of = dict(_listening(ruleset))
        self._heard = dict.fromkeys(self._partner_of, 0)
        self._counts: dict[int, _Count] = {}
        self._lost: dict[PairId, None] = {}
        self._timed = [
            (stage, partner, clause.longest)
            for stage, rules in enumerate(ruleset.stages)
            for rule in rules
            for clause in rule.clauses
            if isinstance(clause, Waited)
            for partner in _partners(rule)
        ]
        self.closed = False

    @property
    def counts(self) -> tuple[int, int]:
        """Pairs and messages held."""
        return (len(self._pairs), len(self._news))

    @property
    def last_heard(self) -> int:
        """How many pairs of the request were named here so far."""
        last = self._ruleset.last
        return self._heard[last] if last in self._heard else self._counts.get(last, _Count()).told

    def waiting(self) -> tuple[int, ...]:
        """Indices of pairs of the request that were named here and are not delivered."""
        last = self._ruleset.last
        return tuple(news.sequence for news in self._news.values() if news.rule == last)

    def is_lost(self, parents: Parents) -> bool:
        """Whether a link took a part of that pair back."""
        return not self._lost.keys().isdisjoint(parents)

    def next_deadline(self) -> Instant | None:
        """When the next pair has waited long enough."""
        return min(
            (
                Instant(pair.since + longest)
                for stage, partner, longest in self._timed
                for pair in self._pairs.values()
                if pair.stage == stage and pair.partner == partner and not pair.swapping
            ),
            default=None,
        )

    # ------------------------------------------------------------ events

    def on_pair(self, pair: Held, now: Instant) -> None:
        """A link has announced a pair."""
        if self.is_lost(pair.parents):
            self._outbox.release(pair.slot)
            return
        self._pairs[pair.parents] = pair
        self.run(now)

    def on_news(self, source: NodeId, news: News, now: Instant) -> None:
        """A partner says what became of a pair.

        Raises:
            RemoteProtocolError: it does not act on the RuleSets that this node has.
        """
        partner = self._partner_of.get(news.rule)
        if partner != source:
            raise self._wrong(news, f"rule must be one of {source}'s that concerns this node")
        if news.sequence != self._heard[news.rule] + 1:
            raise self._wrong(news, f"sequence must be {self._heard[news.rule] + 1}")
        self._heard[news.rule] += 1
        if self.is_lost(news.pair):
            return
        if news.pair in self._news:
            raise self._wrong(news, "pair must be named once")
        held = self._pairs.get(news.pair)
        if held is not None and held.partner != source:
            raise self._wrong(news, f"pair must be one with {source}")
        if len(self._news) >= EARLY_LIMIT:
            raise self._wrong(
                news, f"at most {EARLY_LIMIT} pairs may be named before they are here"
            )
        self._news[news.pair] = news
        self.run(now)

    def on_lost(self, pair: PairId, now: Instant) -> None:
        """A link took a pair back: what it has become part of is void."""
        self._lost[pair] = None
        if len(self._lost) > LOST_LIMIT:
            del self._lost[next(iter(self._lost))]
        for parents, held in list(self._pairs.items()):
            if pair in parents and not held.swapping:
                self._drop(held)
        for parents in [parents for parents in self._news if pair in parents]:
            del self._news[parents]
        for count in self._counts.values():
            for index in [index for index, made in count.made.items() if pair in made]:
                del count.made[index]
                count.lost += 1
        self.run(now)

    def close(self) -> None:
        """The RuleSet is over: free what is held."""
        self.closed = True
        for pair in self._pairs.values():
            self._outbox.release(pair.slot)
        self._pairs.clear()
        self._news.clear()

    # ------------------------------------------------------------ conditions

    def run(self, now: Instant) -> None:
        """Fire rules as long as one can."""
        while not self.closed and self._step(now):
            pass

    def _step(self, now: Instant) -> bool:
        for stage, rules in enumerate(self._ruleset.stages):
            for rule in rules:
                bound = self._bound(rule, stage, now)
                if bound:
                    self._fire(rule, bound, now)
                    return True
        return False

    def _bound(self, rule: Rule, stage: int, now: Instant) -> list[Held]:
        """The pairs that let the rule fire; none if it cannot."""
        for clause in rule.clauses:
            if isinstance(clause, Fewer):
                count = self._counts.get(rule.number, _Count())
                if count.begun - count.lost >= clause.number:
                    return []
        bound: list[Held] = []
        for partner in _partners(rule):
            pair = next(self._fitting(rule, stage, partner, now), None)
            if pair is None:
                return []
            bound.append(pair)
        return bound

    def _fitting(self, rule: Rule, stage: int, partner: NodeId, now: Instant) -> Iterator[Held]:
        """Pairs with ``partner`` in ``stage``, oldest first, of which all other clauses hold."""
        for pair in self._pairs.values():
            if pair.stage != stage or pair.partner != partner or pair.swapping:
                continue
            for clause in rule.clauses:
                if isinstance(clause, Waited) and pair.since + clause.longest > now:
                    break
                if isinstance(clause, Told):
                    news = self._news.get(pair.parents)
                    if news is None or news.rule != clause.rule:
                        break
            else:
                yield pair

    # ------------------------------------------------------------ actions

    def _fire(self, rule: Rule, bound: list[Held], now: Instant) -> None:
        count = self._counts.setdefault(rule.number, _Count())
        count.begun += 1
        pair = bound[0]
        for action in rule.actions:
            match action:
                case Swap():
                    self._swap(rule, bound[0], bound[1], now)
                case SetFrame():
                    self._set_frame(pair, self._news.pop(pair.parents))
                    if self.is_lost(pair.parents):
                        self._drop(pair)
                        return
                case Promote(partner, stage):
                    pair.partner, pair.stage, pair.since = partner, stage, now
                case Discard(tell):
                    self._news.pop(pair.parents, None)
                    self._drop(pair)
                    if tell:
                        count.told += 1
                        free = Free(self._ruleset.ruleset, rule.number, count.told, pair.parents)
                        self._outbox.send(pair.partner, free)
                case Tell():
                    pair.index = self._made(count, pair.parents)
                    self._outbox.send(
                        pair.partner,
                        Update(self._ruleset.ruleset, rule.number, pair.index, pair.parents),
                    )
                case Deliver(decay):
                    del self._pairs[pair.parents]
                    self._deliver(pair, decay, now)

    def _made(self, count: _Count, parents: Parents) -> int:
        """A firing is told to the partners: its sequence number."""
        count.told += 1
        count.made[count.told] = parents
        if len(count.made) > MADE_LIMIT:
            del count.made[next(iter(count.made))]
        return count.told

    def _set_frame(self, pair: Held, news: News) -> None:
        pair.index = news.sequence
        if isinstance(news, Transfer):
            del self._pairs[pair.parents]
            pair.parents = news.into
            self._pairs[pair.parents] = pair
            pair.label = label_xor(pair.label, news.label)
            pair.noise = pair.noise.then(Noise(news.correlators, news.stray))
            pair.error += news.error
            pair.far_at = news.far_at
            pair.created_at = min(pair.created_at, news.created_at)

    def _swap(self, rule: Rule, left: Held, right: Held, now: Instant) -> None:
        left.swapping = right.swapping = True

        def joined(outcomes: tuple[int, ...], later: Instant) -> None:
            if self.closed:
                return
            phase, parity = outcomes
            noise = self._outbox.hardware.swap(
                (left.slot, left.own_at), (right.slot, right.own_at), now, (phase, parity)
            )
            count = self._counts[rule.number]
            into = left.parents + right.parents
            sequence = self._made(count, into)
            if self.is_lost(into):
                del count.made[sequence]
                count.lost += 1
            for pair, other in ((left, right), (right, left)):
                self._drop(pair)
                told = other.noise.then(noise)
                message = Transfer(
                    ruleset=self._ruleset.ruleset,
                    rule=rule.number,
                    sequence=sequence,
                    pair=pair.parents,
                    into=into,
                    partner=other.partner,
                    label=label_xor(other.label, (parity, phase)),
                    correlators=told.factors,
                    stray=told.stray,
                    error=other.error,
                    far_at=other.far_at,
                    created_at=other.created_at,
                )
                self._outbox.send(pair.partner, message)
            self.run(later)

        self._outbox.run(bell_measurement(left.slot, right.slot), joined)

    def _drop(self, pair: Held) -> None:
        del self._pairs[pair.parents]
        self._outbox.release(pair.slot)

    def _wrong(self, news: News, rule: str) -> RemoteProtocolError:
        return RemoteProtocolError(
            f"{self._outbox.node}: {rule}, got {news!r}; RuleSets {self._ruleset.ruleset} of both nodes differ"
        )


def _partners(rule: Rule) -> list[NodeId]:
    return [clause.partner for clause in rule.clauses if isinstance(clause, HavePair)]


def _listening(ruleset: RuleSet) -> Iterator[tuple[int, NodeId]]:
    """(rule elsewhere, whose it is) for every rule that this RuleSet listens to."""
    for rules in ruleset.stages:
        for rule in rules:
            for clause in rule.clauses:
                if isinstance(clause, Told):
                    yield clause.rule, _partners(rule)[0]
