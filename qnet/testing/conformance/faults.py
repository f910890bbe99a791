"""Fault plans as data: what goes wrong with which message, and with which node from when to when.

Theory
    A plan is a list of records. A fault of a message names the channel and the number of the message
    on it (from 1), so it means the same for every protocol and in every replay, and a plan shrinks
    by leaving records out. A fault of a node holds from ``start`` until ``end``.

    =========== ================================================================================
    what        effect
    =========== ================================================================================
    lose        the message does not arrive
    double      it arrives twice, the second time ``by`` later
    delay       it arrives ``by`` later
    overtake    it arrives right after the next one of its channel
    partition   messages sent to or by the node are lost
    crash       power off at ``start``; at ``end`` the node is back without its memory
    stall       the node neither hears nor speaks; what came or was said meanwhile comes at ``end``
    full        the node gives away no slot
    slow        quantum programs that begin meanwhile take ``by`` longer (a stalled backend)
    =========== ================================================================================

    A *profile* makes such a plan from a seed. The plans of a profile are versioned with the suite:
    the same seed gives the same plan.
Not modelled
    Corrupted messages (a checksum makes them lost ones); photons that are lost (the luck of the
    optics does that).
Units
    Picoseconds.
Sources
    Names of the faults follow :mod:`qnet.topology.faults` where both have them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from qnet.errors import ConfigError
from qnet.ids import NodeId
from qnet.randomness import KeyedRandom
from qnet.units import Duration, Instant

MessageWhat = Literal["lose", "double", "delay", "overtake"]
NodeWhat = Literal["partition", "crash", "stall", "full", "slow"]

ALICE, BOB, STATION = NodeId("alice"), NodeId("bob"), NodeId("station")
MIDDLE: Final = (NodeId("m1"), NodeId("m2"), NodeId("m3"))
"""Nodes between alice and bob, where there are any. A fault of a node that a bench does not have does nothing."""
CHANNELS: Final = (
    (ALICE, BOB),
    (BOB, ALICE),
    (ALICE, STATION),
    (BOB, STATION),
    (STATION, ALICE),
    (STATION, BOB),
)


class MessageFault(msgspec.Struct, frozen=True, tag="message", tag_field="of"):
    """What happens to message number ``nth`` from ``source`` to ``target``."""

    what: MessageWhat
    source: NodeId
    target: NodeId
    nth: int
    by: Duration = Duration(0)

    def words(self) -> str:
        """In the notation of :func:`parse`."""
        later = f" +{self.by}" if self.by else ""
        return f"{self.what} {self.source}>{self.target} {self.nth}{later}"


class NodeFault(msgspec.Struct, frozen=True, tag="node", tag_field="of"):
    """What happens to ``node`` from ``start`` until ``end``."""

    what: NodeWhat
    node: NodeId
    start: Instant
    end: Instant
    by: Duration = Duration(0)

    def words(self) -> str:
        """In the notation of :func:`parse`."""
        longer = f" +{self.by}" if self.by else ""
        return f"{self.what} {self.node} {self.start}..{self.end}{longer}"


Fault = MessageFault | NodeFault
Plan = tuple[Fault, ...]

NONE_WORDS: Final = "none"
_MESSAGE: Final = re.compile(r"(lose|double|delay|overtake) (\w+)>(\w+) (\d+)(?: \+(\d+))?")
_NODE: Final = re.compile(r"(partition|crash|stall|full|slow) (\w+) (\d+)\.\.(\d+)(?: \+(\d+))?")


def words(plan: Iterable[Fault]) -> str:
    """The plan on one line, as :func:`parse` reads it."""
    return "; ".join(one.words() for one in plan) or NONE_WORDS


def parse(text: str) -> Plan:
    """Read ``lose alice>bob 3; stall bob 100..900``; times in picoseconds.

    Raises:
        ConfigError: a part is not a fault.
    """
    if text.strip() == NONE_WORDS:
        return ()
    return tuple(_fault(part.strip()) for part in text.split(";"))


def _fault(text: str) -> Fault:
    known = {ALICE, BOB, STATION, *MIDDLE}
    if (found := _MESSAGE.fullmatch(text)) and {found[2], found[3]} <= known:
        what, source, target, nth, by = found.groups()
        fields = {"what": what, "source": source, "target": target, "nth": int(nth)}
        return msgspec.convert({"of": "message", **fields, "by": int(by or 0)}, MessageFault)
    if (found := _NODE.fullmatch(text)) and found[2] in known:
        what, node, start, end, by = found.groups()
        fields = {"what": what, "node": node, "start": int(start), "end": int(end)}
        return msgspec.convert({"of": "node", **fields, "by": int(by or 0)}, NodeFault)
    raise ConfigError(
        "must be faults like 'lose alice>bob 3' or 'stall bob 100..900', separated by ;",
        path="--faults",
        value=text,
    )


# ---------------------------------------------------------------- profiles

FIRST_MESSAGES: Final = 40
"""Messages of each channel that a profile may touch."""


class Scale(msgspec.Struct, frozen=True):
    """Size of a bench that plans are made for.

    Attributes:
        direct: one way between the ends.
        cycle: of the attempts.
        horizon: end of the faults.
        ends: nodes that may crash, be full or slow.
        others: nodes that may only be cut off or stand still.
        channels: on which messages may be lost, doubled, delayed or overtaken.
    """

    direct: Duration
    cycle: Duration
    horizon: Instant
    ends: tuple[NodeId, ...] = (ALICE, BOB)
    others: tuple[NodeId, ...] = (STATION,)
    channels: tuple[tuple[NodeId, NodeId], ...] = CHANNELS


Draw = Callable[[KeyedRandom, Scale], Plan]


def _messages(what: MessageWhat, share: float, by: Callable[[KeyedRandom, Scale], int]) -> Draw:
    def plan(random: KeyedRandom, scale: Scale) -> Plan:
        prob = share * (0.25 + random.uniform())
        return tuple(
            MessageFault(what, source, target, nth, Duration(by(random, scale)))
            for source, target in scale.channels
            for nth in range(1, FIRST_MESSAGES + 1)
            if random.uniform() < prob
        )

    return plan


def _spells(
    what: NodeWhat,
    nodes: Callable[[Scale], Sequence[NodeId]],
    longest: Callable[[Scale], int],
    by: Callable[[KeyedRandom, Scale], int] = lambda _random, _scale: 0,
) -> Draw:
    def plan(random: KeyedRandom, scale: Scale) -> Plan:
        found = []
        for _ in range(1 + random.below(2)):
            names = nodes(scale)
            node = names[random.below(len(names))]
            start = random.below(scale.horizon)
            end = min(scale.horizon, start + 1 + random.below(longest(scale)))
            late = Duration(by(random, scale))
            found.append(NodeFault(what, node, Instant(start), Instant(end), late))
        return tuple(sorted(found, key=lambda one: one.start))

    return plan


def _nothing(_random: KeyedRandom, _scale: Scale) -> int:
    return 0


def _at_once(random: KeyedRandom, scale: Scale) -> int:
    return 0 if random.uniform() < 0.5 else random.below(2 * scale.cycle)


def _short(random: KeyedRandom, scale: Scale) -> int:
    return 1 + random.below(10 * max(scale.direct, scale.cycle // 10))


def _ends(scale: Scale) -> Sequence[NodeId]:
    return scale.ends


def _all(scale: Scale) -> Sequence[NodeId]:
    return (*scale.ends, *scale.others)


_lose: Final = _messages("lose", 0.2, _nothing)
_double: Final = _messages("double", 0.2, _at_once)
_overtake: Final = _messages("overtake", 0.2, _nothing)
_delay: Final = _messages("delay", 0.2, _short)
_partition: Final = _spells("partition", _all, lambda scale: 20 * scale.cycle)
_crash: Final = _spells("crash", _ends, lambda scale: 5 * scale.cycle)
_stall: Final = _spells("stall", _all, lambda scale: 10 * scale.cycle)
_full: Final = _spells("full", _ends, lambda scale: 20 * scale.cycle)
_slow: Final = _spells(
    "slow", _ends, lambda scale: 10 * scale.cycle, lambda random, scale: random.below(scale.cycle)
)


def _mixed(random: KeyedRandom, scale: Scale) -> Plan:
    parts = (_lose, _double, _overtake, _delay, _partition, _stall, _full, _slow)
    chosen = [part for part in parts if random.uniform() < 0.4]
    return once(fault for part in chosen for fault in part(random, scale))


def once(faults: Iterable[Fault]) -> Plan:
    """At most one fault per message: the first that is named."""
    kept: dict[object, Fault] = {}
    for number, one in enumerate(faults):
        if isinstance(one, MessageFault):
            kept.setdefault((one.source, one.target, one.nth), one)
        else:
            kept[number] = one
    return tuple(kept.values())


PROFILES: Final[Mapping[str, Draw]] = {
    "clean": lambda _random, _scale: (),
    "loss": _lose,
    "duplicate": _double,
    "reorder": _overtake,
    "delay": _delay,
    "partition": _partition,
    "crash": _crash,
    "stall": _stall,
    "memory-full": _full,
    "backend-stall": _slow,
    "mixed": _mixed,
}
"""Profile -> plans. All faults end at the horizon of the bench."""


def draw(profile: str, seed: int, scale: Scale) -> Plan:
    """The plan of ``profile`` for ``seed``."""
    return PROFILES[profile](KeyedRandom(seed, "conformance", f"faults:{profile}"), scale)
