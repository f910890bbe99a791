"""Two purification machines over a fake pair service, in memory, on one heap of timed events.

The service hands raw pairs up at different instants at the two ends, and can take them back at either end,
fail, or fall silent. Bits are drawn at random, half of the steps with equal parity or so: what is tested is the
agreement of the two ends, not physics. Both programs of a step must read the same pairs.
"""

from __future__ import annotations

import heapq
import random
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from qnet.ids import NodeId, PairId, RequestId, SlotId
from qnet.layers import link
from qnet.layers.link import BasisChoice, ErrorCode
from qnet.machine import (
    Applied,
    Apply,
    DeadlineReached,
    Indicate,
    Indicated,
    PeerLost,
    Received,
    Release,
    Request,
    Requested,
    Send,
)
from qnet.program import Draw, Measure
from qnet.seams import PurificationProtocol, PurifierContext
from qnet.units import Duration, Instant
from qnet_nodes.ideal import IDEAL
from qnet_protocols.purification import bbpssw, coroutine, dejmps, double_selection, epl
from qnet_protocols.purification.dejmps import PROTOCOL

ALICE, BOB = NodeId("alice"), NodeId("bob")
BELOW = "link:alice-bob"
MICROSECOND = 1_000_000
LIGHT = 5 * MICROSECOND
MEAN = Duration(1000 * MICROSECOND)
PLATFORM = msgspec.structs.replace(IDEAL.platform, communication_slots=64)
ENDS = (link.RequestEnded, link.Err)
CIRCUITS = {
    module.PROTOCOL.name: module.CIRCUIT for module in (bbpssw, dejmps, double_selection, epl)
}
STYLES = {
    "machines": (False, False),
    "coroutines": (True, True),
    "machine-asks": (False, True),
    "coroutine-asks": (True, False),
}
"""Which of alice and bob run the protocol as a coroutine."""
STYLE_PARAMS = [
    pytest.param(name, marks=[pytest.mark.slow] if "asks" in name else []) for name in STYLES
]
"""For every test; with one end of each style only where there is time."""


class Style:
    """How the ends of new benches are written."""

    chosen = "machines"


def make_end(protocol: PurificationProtocol, context: PurifierContext) -> Any:
    """The machine of one end, in the style that is chosen."""
    if STYLES[Style.chosen][context.node == BOB]:
        return coroutine.maker(CIRCUITS[protocol.name])(context)
    return protocol.make_end(context)


@dataclass
class Raw:
    """What the service has promised for a request."""

    origin: NodeId
    remote: NodeId
    purpose: int
    left: int
    made: int = 0
    over: bool = False


@dataclass
class End:
    """One node: its machine, who holds its slots, and what its user was told."""

    machine: Any
    told: list[Any] = field(default_factory=list)
    holder: dict[SlotId, str] = field(default_factory=dict)
    content: dict[SlotId, PairId] = field(default_factory=dict)
    queue: deque[Any] = field(default_factory=deque)
    accepts: set[tuple[NodeId, int]] = field(default_factory=set)
    read: list[tuple[PairId, ...]] = field(default_factory=list)

    @property
    def state(self) -> Any:
        """What the protocol shows, in either style."""
        return getattr(self.machine.state, "facts", self.machine.state)


class Bench:
    """Both ends.

    Args:
        seed: of bits, labels and waits.
        protocol: which circuit.
        platform: of both ends.
        parameters: of the machines.
    """

    def __init__(
        self,
        seed: int = 0,
        protocol: PurificationProtocol = PROTOCOL,
        platform: Any = PLATFORM,
        **parameters: Any,
    ) -> None:
        self.luck = random.Random(seed)
        self.now = 0
        self.heap: list[tuple[int, int, Callable[[], None]]] = []
        self.order = 0
        self.epoch = 0
        self.requests: dict[RequestId, Raw] = {}
        self.pairs = 0
        self.made_for: dict[int, RequestId] = {}
        self.void: set[int] = set()
        self.rate = 2 * MICROSECOND
        self.ends = {
            node: End(
                make_end(
                    protocol,
                    PurifierContext(
                        node,
                        BELOW,
                        platform,
                        {other: platform},
                        dict.fromkeys((node, other), platform.communication_slots),
                        {other: MEAN},
                        parameters,
                    ),
                )
            )
            for node, other in ((ALICE, BOB), (BOB, ALICE))
        }

    # ------------------------------------------------------------ time

    def at(self, when: int, run: Callable[[], None]) -> None:
        """Do something at an instant."""
        self.order += 1
        heapq.heappush(self.heap, (when, self.order, run))

    def run(self, until: int = 10**13) -> None:
        """Go on until nothing is to come, or until an instant."""
        while True:
            due = [end.machine.next_deadline() for end in self.ends.values()]
            next_due = min((one for one in due if one is not None), default=None)
            next_event = self.heap[0][0] if self.heap else None
            times = [one for one in (next_due, next_event) if one is not None]
            if not times or min(times) > until:
                return
            if next_event is not None and next_event == min(times):
                self.now, _, run = heapq.heappop(self.heap)
                run()
            else:
                assert next_due is not None
                assert next_due >= self.now, "a deadline lies in the past"
                self.now = next_due
                for node, end in self.ends.items():
                    if end.machine.next_deadline() == self.now:
                        self.give(node, DeadlineReached())

    def give(self, node: NodeId, event: Any) -> None:
        """Hand an event to a machine and perform what it wants."""
        end = self.ends[node]
        end.queue.append(event)
        if len(end.queue) > 1:
            return
        while end.queue:
            for effect in end.machine.handle(end.queue[0], Instant(self.now)):
                self.perform(node, effect)
            end.queue.popleft()

    def ask(self, node: NodeId, request: Any) -> None:
        """The user of ``node`` asks."""
        self.give(node, Requested(request, "app"))

    # ------------------------------------------------------------ effects

    def perform(self, node: NodeId, effect: Any) -> None:
        end = self.ends[node]
        match effect:
            case Send(target=target, message=message):
                event = Received(node, message.kind, message, Instant(self.now))
                epoch = self.epoch
                self.at(
                    self.now + LIGHT,
                    lambda: self.give(target, event) if epoch == self.epoch else None,
                )
            case Apply(op=op, program=program):
                self.apply(node, op, program)
            case Release(slot=slot):
                assert end.holder.pop(slot) == "purify", f"{slot} of {node} is not the machine's"
            case Indicate(indication=indication, slots=slots):
                for slot in slots:
                    assert end.holder.pop(slot) == "purify"
                end.told.append(indication)
            case Request(request=request, to=to):
                assert to == BELOW
                self.serve(node, request)
            case _:
                raise AssertionError(f"unexpected effect {effect!r}")

    def apply(self, node: NodeId, op: Any, program: Any) -> None:
        end = self.ends[node]
        outcomes = []
        touched = {}
        for one in program.instructions:
            if isinstance(one, Draw):
                outcomes.append(self.luck.choices(range(len(one.weights)), one.weights)[0])
                continue
            for slot in getattr(one, "slots", None) or (one.slot,):
                assert end.holder[slot] == "purify"
                touched[slot] = end.content[slot]
            if isinstance(one, Measure):
                outcomes.append(self.luck.randrange(2))
        if len(touched) > 1:
            end.read.append(tuple(touched.values()))
        span = self.luck.randrange(1, 4) * MICROSECOND if touched else 0
        self.at(self.now + span, lambda: self.give(node, Applied(op, tuple(outcomes))))

    # ------------------------------------------------------------ the pair service

    def serve(self, node: NodeId, request: Any) -> None:
        match request:
            case link.Create(request=name, remote=remote, number=number, purpose=purpose):
                assert name not in self.requests
                self.requests[name] = Raw(node, remote, purpose, number)
                if (node, purpose) not in self.ends[remote].accepts:
                    self.fail(name, ErrorCode.REJECTED)
                else:
                    self.at(self.now + self.rate, lambda: self.make(name))
            case link.Cancel(request=name):
                self.finish(name, cancelled=True)
            case link.Accept(remote, purpose):
                self.ends[node].accepts.add((remote, purpose))
            case link.StopAccepting(remote, purpose):
                self.ends[node].accepts.remove((remote, purpose))
            case _:
                raise AssertionError(f"unexpected request {request!r}")

    def make(self, name: RequestId) -> None:
        """One raw pair; the two ends get it at different instants."""
        raw = self.requests[name]
        if raw.over:
            return
        self.pairs += 1
        self.made_for[self.pairs] = name
        raw.left -= 1
        raw.made += 1
        pair, index = PairId(f"alice-bob#{self.pairs}"), raw.made
        label = (self.luck.randrange(2), self.luck.randrange(2))
        at = Instant(self.now)
        for node in (raw.origin, raw.remote):
            wait = self.luck.randrange(0, 12) * MICROSECOND
            self.at(
                self.now + wait,
                lambda node=node: self.hand_up(name, node, pair, index, label, at),
            )
        if raw.left:
            self.at(self.now + self.rate, lambda: self.make(name))
        else:
            self.at(self.now + 13 * MICROSECOND, lambda: self.finish(name))

    def hand_up(
        self,
        name: RequestId,
        node: NodeId,
        pair: PairId,
        index: int,
        label: tuple[int, int],
        at: Instant,
    ) -> None:
        raw, end = self.requests[name], self.ends[node]
        slot = SlotId(next(k for k in range(10**6) if SlotId(k) not in end.holder))
        end.holder[slot], end.content[slot] = "purify", pair
        ok = link.Ok(
            name,
            pair,
            index,
            node == raw.origin,
            raw.remote if node == raw.origin else raw.origin,
            raw.purpose,
            slot,
            label,
            0.925,
            0.0,
            at,
            at,
            at,
            (0.9, 0.9, 0.9),
        )
        self.give(node, Indicated(ok, BELOW))

    def expire(self, name: RequestId, number: int, nodes: tuple[NodeId, ...]) -> None:
        """Take a raw pair back at one end or at both."""
        raw = self.requests[name]
        self.void.add(number)
        for node in nodes:
            remote = raw.remote if node == raw.origin else raw.origin
            pair = PairId(f"alice-bob#{number}")
            self.give(node, Indicated(link.Expired(name, remote, raw.purpose, (pair,)), BELOW))

    def finish(self, name: RequestId, *, cancelled: bool = False) -> None:
        raw = self.requests[name]
        if raw.over:
            return
        raw.over = True
        for node, remote in ((raw.origin, raw.remote), (raw.remote, raw.origin)):
            ended = link.RequestEnded(
                name, node == raw.origin, remote, raw.purpose, raw.made, cancelled
            )
            self.at(
                self.now, lambda node=node, ended=ended: self.give(node, Indicated(ended, BELOW))
            )

    def fail(self, name: RequestId, code: ErrorCode) -> None:
        """The service ends a request with ERR at both ends."""
        raw = self.requests[name]
        if raw.over:
            return
        raw.over = True
        for node, remote in ((raw.origin, raw.remote), (raw.remote, raw.origin)):
            err = link.Err(name, code, node == raw.origin, remote, raw.purpose, "broken")
            self.at(self.now, lambda node=node, err=err: self.give(node, Indicated(err, BELOW)))

    def lose(self, *, restarted: bool = False) -> None:
        """All messages under way are lost for good; both ends are told."""
        self.epoch += 1
        for name in self.requests:
            self.fail(name, ErrorCode.OTHER)
        self.give(ALICE, PeerLost(BOB, restarted))
        self.give(BOB, PeerLost(ALICE, restarted))

    # ------------------------------------------------------------ checks

    def check_rest(self) -> None:
        """Nothing is open and no slot is left with the machines."""
        for node, end in self.ends.items():
            assert end.state.requests == (), (node, end.machine.state)
            assert end.holder == {}, (node, end.holder)
            assert end.machine.next_deadline() is None

    def of(self, node: NodeId, request: str, kind: Any) -> list[Any]:
        """What the user of ``node`` was told about a request, of one kind."""
        told = self.ends[node].told
        return [one for one in told if isinstance(one, kind) and one.request == request]

    def valid(self, node: NodeId, request: str) -> dict[PairId, Any]:
        """Pairs handed up and not taken back."""
        found = {one.pair: one for one in self.of(node, request, link.Ok | link.OkMeasured)}
        assert len(found) == len(self.of(node, request, link.Ok | link.OkMeasured)), "id twice"
        for expired in self.of(node, request, link.Expired):
            for pair in expired.pairs:
                del found[pair]
        return found

    def check_told(self, node: NodeId, request: str) -> None:
        """Indices grow; the end counts what is valid then, and one without a pair is an error."""
        valid: set[PairId] = set()
        last = 0
        for one in self.of(node, request, object):
            match one:
                case link.Ok() | link.OkMeasured():
                    assert one.index > last
                    last = one.index
                    valid.add(one.pair)
                case link.Expired():
                    valid -= set(one.pairs)
                case link.RequestEnded():
                    assert one.delivered == len(valid)
                    assert one.delivered or one.cancelled
        for pair in self.valid(node, request):
            raws = {int(number) for number in re.findall(r"\d+", pair)}
            assert not raws & self.void, f"{pair} is valid at {node}, {self.void} are not"

    def check_request(self, request: str, origin: NodeId = ALICE, peer: NodeId = BOB) -> None:
        """One end at each side, the same pairs with the same label, index and claim at both."""
        assert len(self.of(origin, request, ENDS)) == 1
        assert len(self.of(peer, request, ENDS)) <= 1
        self.check_told(origin, request)
        self.check_told(peer, request)
        ours, theirs = self.valid(origin, request), self.valid(peer, request)
        assert ours.keys() == theirs.keys()
        for pair, one in ours.items():
            other = theirs[pair]
            assert (one.index, one.label) == (other.index, other.label)
            assert one.goodness == other.goodness
        indices = [one.index for one in ours.values()]
        assert len(set(indices)) == len(indices)
        assert set(self.ends[ALICE].read) >= set(self.ends[BOB].read)


def create(request: str = "alice/1", number: int = 2, **wanted: Any) -> link.Create:
    """A request of alice."""
    fields: dict[str, Any] = {
        "remote": BOB,
        "minimum_fidelity": 0.0,
        "max_time": Duration(0),
        "purpose": 7,
        **wanted,
    }
    return link.Create(request=RequestId(request), number=number, **fields)


RANDOM_BASES = BasisChoice(("X", "Z"), (0.5, 0.5))
