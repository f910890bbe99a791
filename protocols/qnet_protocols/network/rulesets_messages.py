"""Messages of the network protocol ``rulesets``.

Set-up goes hop by hop, from the initiator to the responder and back; everything else goes straight to
whom it concerns. While a RuleSet is at work, partners say TRANSFER, UPDATE and FREE about a pair, keyed by
(RuleSet, rule, sequence): the rule that fired and its how manieth firing.

A pair is named by the pairs of links that it is made of, in the order of the path.

Units
    Instants and durations in picoseconds, rates and decay in 1/s.
Sources
    Matsuo, Durand, Van Meter, Phys. Rev. A 100, 052320 (2019): TRANSFER, UPDATE, FREE.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from qnet.ids import LinkId, NodeId, PairId, RequestId
from qnet.machine import Message
from qnet.physics.bell import Correlators
from qnet.physics.claims import DecayRates
from qnet.units import Duration, Instant
from qnet_protocols.network.rulesets_rules import RuleSet, RuleSetId

Parents = tuple[PairId, ...]
"""Name of a pair: the pairs of links that it is made of."""


class Surveyed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a node says on the way out of itself and of its link towards the responder.

    Attributes:
        correlators, rate_hz: of the pairs of that link.
        swap: factors by which a swap at this node scales correlators, 1 at the initiator.
        dark: longest time for which a switch does not connect that link; left out if it is always connected.
        virtual_z: its Z gates make no error; left out if they do.
    """

    correlators: Correlators
    rate_hz: float
    swap: Correlators
    dark: Duration = Duration(0)
    virtual_z: bool = False


class SetUp(Message, frozen=True):
    """Initiator to responder, hop by hop: a request, and what the path is like.

    Attributes:
        ruleset: name of the RuleSets to come.
        nodes, links: the whole path.
        request, pairs, minimum_fidelity, purpose, store, final, requested_at: of the request.
        cutoff: how long a pair may wait for its swap, None where the route does not say.
        decay: of the initiator's halves, as ``decay_hz`` of ``network.qnp/track@1``.
        mixing: depolarising parameter of a gate of the initiator.
        label: purpose of requests to the link between sender and receiver.
        surveyed: of every node up to the sender.
    """

    kind: ClassVar[str] = "network.rulesets/setup@1"
    ruleset: RuleSetId
    nodes: tuple[NodeId, ...]
    links: tuple[LinkId, ...]
    request: RequestId
    pairs: int
    minimum_fidelity: float
    purpose: int
    store: bool
    final: tuple[int, int] | None
    requested_at: Instant
    cutoff: Duration | None
    decay: DecayRates
    mixing: float
    label: int
    surveyed: tuple[Surveyed, ...]


class Install(Message, frozen=True):
    """Responder to initiator, hop by hop: the RuleSets of the receiver (last) and of those before it."""

    kind: ClassVar[str] = "network.rulesets/install@1"
    ruleset: RuleSetId
    rulesets: tuple[RuleSet, ...]


class Refused(Message, frozen=True):
    """To the initiator: ``where`` cannot take part; ``code`` is a number of ErrorCode."""

    kind: ClassVar[str] = "network.rulesets/refused@1"
    ruleset: RuleSetId
    code: int
    where: NodeId
    detail: str


class Transfer(Message, frozen=True):
    """The sender has swapped its half of ``pair``: the receiver's half is entangled with ``partner`` now.

    Attributes:
        ruleset, rule, sequence: what was fired, for the how manieth time.
        pair: as sender and receiver have called it.
        into: what it is part of now.
        partner: who has the other half.
        label: to be added to the label of the pair.
        correlators, stray, error: to be multiplied and added to those of the pair: the pair on the other
            side of the sender, and its Bell measurement.
        far_at: the decay of the other half counts from here.
        created_at: earliest click of the other pair.
    """

    kind: ClassVar[str] = "network.rulesets/transfer@1"
    ruleset: RuleSetId
    rule: int
    sequence: int
    pair: Parents
    into: Parents
    partner: NodeId
    label: tuple[int, int]
    correlators: Correlators
    stray: float
    error: float
    far_at: Instant
    created_at: Instant


class Update(Message, frozen=True):
    """``pair`` is the ``sequence``-th of the request; it stays as it is."""

    kind: ClassVar[str] = "network.rulesets/update@1"
    ruleset: RuleSetId
    rule: int
    sequence: int
    pair: Parents


class Free(Message, frozen=True):
    """The sender has discarded its half of ``pair``."""

    kind: ClassVar[str] = "network.rulesets/free@1"
    ruleset: RuleSetId
    rule: int
    sequence: int
    pair: Parents


class Lost(Message, frozen=True):
    """A link took ``pair`` back: whatever it has become part of is void. To all nodes of the path."""

    kind: ClassVar[str] = "network.rulesets/lost@1"
    ruleset: RuleSetId
    pair: PairId


class Broken(Message, frozen=True):
    """The sender cannot go on: the RuleSet is void. To all nodes of the path."""

    kind: ClassVar[str] = "network.rulesets/broken@1"
    ruleset: RuleSetId
    code: int
    detail: str


class Ended(Message, frozen=True):
    """The initiator ends the request. To all nodes of the path.

    Attributes:
        code: number of ErrorCode, None if it has all its pairs or was cancelled.
        last: highest index that the initiator announced, 0 for none.
        without: indices up to it that it did not announce, or that are void.
        broken: messages about these pairs may have been lost.
    """

    kind: ClassVar[str] = "network.rulesets/ended@1"
    ruleset: RuleSetId
    code: int | None
    detail: str
    cancelled: bool
    last: int
    without: tuple[int, ...]
    broken: bool


class Unseen(Message, frozen=True):
    """Responder to initiator after a break: these indices were never announced here."""

    kind: ClassVar[str] = "network.rulesets/unseen@1"
    ruleset: RuleSetId
    indices: tuple[int, ...]


class Stop(Message, frozen=True):
    """Responder to initiator: its user gives up the rest."""

    kind: ClassVar[str] = "network.rulesets/stop@1"
    ruleset: RuleSetId


News = Transfer | Update | Free
"""What partners say of a pair."""

MESSAGES: Final = (
    SetUp,
    Install,
    Refused,
    Transfer,
    Update,
    Free,
    Lost,
    Broken,
    Ended,
    Unseen,
    Stop,
)
