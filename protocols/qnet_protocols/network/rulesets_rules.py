"""RuleSets: what one node does with the pairs of one request, as a document; and who computes it.

Theory
    A RuleSet has stages, a stage has rules, a rule has clauses (all must hold) and actions (done in order).
    A pair at a node is in one stage, and there is one partner who has its other half; a clause ``HavePair``
    binds the oldest such pair of the stage. Pairs of the links begin in stage 0 and move up.

    *A binary tree of swaps.* Pairs between places lo and hi of the path are made at the middle place, from
    those between lo and the middle and between the middle and hi; end-to-end pairs at the root. Hence each
    pair has *one* node that decides what becomes of it, the middle of the next swap; its partner is passive
    and does what it is told. A timer and a swap of the same pair cannot cross each other, and nothing is
    negotiated.

    *Identity.* Rules are numbered through over all nodes of a path, so that a message that names (RuleSet,
    rule, firing) can be obeyed by one rule of one other node only.
Assumptions and validity
    All nodes of a path have their RuleSets from the same call of :func:`compose`.
Not modelled
    Purification between the stages; a tree that takes the rates of the links into account.
Units
    Durations in picoseconds, decay in 1/s.
Sources
    [1] Matsuo, Durand, Van Meter, Phys. Rev. A 100, 052320 (2019): RuleSets, conditions and actions.
    [2] Briegel, Dür, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998): nested swapping.
"""

from __future__ import annotations

from typing import NewType

import msgspec

from qnet.ids import NodeId
from qnet.physics.claims import DecayRates
from qnet.units import Duration

RuleSetId = NewType("RuleSetId", str)
"""The RuleSets of one request, named by its initiator, never twice: ``alice!3``."""


class HavePair(msgspec.Struct, frozen=True, tag="have", forbid_unknown_fields=True):
    """There is a pair with ``partner`` in this stage: the rule binds it."""

    partner: NodeId


class Waited(msgspec.Struct, frozen=True, tag="waited", forbid_unknown_fields=True):
    """The bound pair has been in this stage for ``longest``."""

    longest: Duration


class Told(msgspec.Struct, frozen=True, tag="told", forbid_unknown_fields=True):
    """A message about the bound pair came, sent by rule ``rule`` of its partner."""

    rule: int


class Fewer(msgspec.Struct, frozen=True, tag="fewer", forbid_unknown_fields=True):
    """This rule has made fewer than ``number`` pairs that are still valid."""

    number: int


class Swap(msgspec.Struct, frozen=True, tag="swap", forbid_unknown_fields=True):
    """Bell measurement on both bound pairs; TRANSFER to both partners, who share a pair now."""


class SetFrame(msgspec.Struct, frozen=True, tag="frame", forbid_unknown_fields=True):
    """Take label, noise and parents of the bound pair over from the message."""


class Promote(msgspec.Struct, frozen=True, tag="promote", forbid_unknown_fields=True):
    """The bound pair is with ``partner`` and in ``stage`` from now on."""

    partner: NodeId
    stage: int


class Free(msgspec.Struct, frozen=True, tag="free", forbid_unknown_fields=True):
    """Discard the bound pair; with ``tell``, FREE to its partner."""

    tell: bool


class Tell(msgspec.Struct, frozen=True, tag="tell", forbid_unknown_fields=True):
    """UPDATE to the partner of the bound pair: it is the next one of the request."""


class Deliver(msgspec.Struct, frozen=True, tag="deliver", forbid_unknown_fields=True):
    """Hand the bound pair up; the other half decays with the rates ``decay``."""

    decay: DecayRates


Clause = HavePair | Waited | Told | Fewer
Action = Swap | SetFrame | Promote | Free | Tell | Deliver


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When all clauses hold, do the actions; ``number`` is unique on the path."""

    number: int
    clauses: tuple[Clause, ...]
    actions: tuple[Action, ...]


class RuleSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``owner`` does.

    Attributes:
        ruleset: name, the same at all nodes of the path.
        stages: the rules of each stage, tried in this order.
        last: number of the rule, somewhere on the path, whose firings are the pairs of the request: its
            n-th firing makes the pair with index n.
    """

    ruleset: RuleSetId
    owner: NodeId
    stages: tuple[tuple[Rule, ...], ...]
    last: int


class _Composer:
    """Rules of all places of a path, while they are made."""

    def __init__(self, nodes: tuple[NodeId, ...], pairs: int, longest: Duration) -> None:
        self.nodes = nodes
        self._pairs = pairs
        self._longest = longest
        self._count = 0
        self.rules: dict[tuple[int, int], list[Rule]] = {}

    def add(self, place: int, stage: int, clauses: list[Clause], actions: list[Action]) -> int:
        """One more rule; its number."""
        self._count += 1
        rule = Rule(self._count, tuple(clauses), tuple(actions))
        self.rules.setdefault((place, stage), []).append(rule)
        return rule.number

    def join(self, low: int, high: int) -> tuple[int, int]:
        """Rules that make pairs between two places: (stage in which they are, number of the last rule)."""
        if high - low == 1:
            return 0, 0
        middle = (low + high) // 2
        sides = {low: self.join(low, middle)[0], high: self.join(middle, high)[0]}
        stage = max(sides.values())
        clauses: list[Clause] = []
        for place, ready in sides.items():
            clauses.append(HavePair(self.nodes[place]))
            if ready < stage:
                have, rise = HavePair(self.nodes[place]), Promote(self.nodes[place], stage)
                self.add(middle, ready, [have], [rise])
        if (low, high) == (0, len(self.nodes) - 1):
            clauses.append(Fewer(self._pairs))
        swap = self.add(middle, stage, clauses, [Swap()])
        for place, ready in sides.items():
            waited: list[Clause] = [HavePair(self.nodes[place]), Waited(self._longest)]
            timer = self.add(middle, stage, waited, [Free(True)])
            partner = HavePair(self.nodes[middle])
            other = self.nodes[high if place == low else low]
            self.add(place, ready, [partner, Told(swap)], [SetFrame(), Promote(other, stage + 1)])
            self.add(place, ready, [partner, Told(timer)], [Free(False)])
        return stage + 1, swap


def compose(
    ruleset: RuleSetId,
    nodes: tuple[NodeId, ...],
    *,
    pairs: int,
    longest: Duration,
    decay: tuple[DecayRates, DecayRates],
) -> tuple[RuleSet, ...]:
    """The RuleSets of all nodes of a path, in its order.

    Args:
        ruleset: their name.
        nodes: both ends included.
        pairs: wanted end to end.
        longest: how long a pair may wait for its swap.
        decay: of the halves at the two ends.
    """
    composer = _Composer(nodes, pairs, longest)
    end = len(nodes) - 1
    top, last = composer.join(0, end)
    head: list[Clause] = [HavePair(nodes[end])]
    tail: list[Clause] = [HavePair(nodes[0])]
    first: list[Action] = [Deliver(decay[1])]
    second: list[Action] = [Deliver(decay[0])]
    if end == 1:  # no swap: the head end decides which pair of the link is which of the request
        last = composer.add(0, top, [*head, Fewer(pairs)], [Tell(), *first])
        composer.add(end, top, [*tail, Told(last)], [SetFrame(), *second])
    else:
        composer.add(0, top, head, first)
        composer.add(end, top, tail, second)
    return tuple(
        RuleSet(
            ruleset,
            node,
            tuple(tuple(composer.rules.get((place, stage), ())) for stage in range(top + 1)),
            last,
        )
        for place, node in enumerate(nodes)
    )
