"""The honest, scripted pair service below a protocol under test: one link, as both of its ends see it.

Theory
    It keeps the specification of the link service (kind K, any number, ``store``, ``max_time``, Cancel),
    and uses the freedom that this leaves: requests wait one handshake; pairs come one after another,
    with gaps and Bell labels by luck; an end hears of a pair one light time after the click or a little
    later, so not at the same instant; now and then an end misses a pair, which then expires at the
    other one. Nothing is made while an end is down, cut off, stands still or has no free slot. A restart
    of an end voids the requests of both, which the survivor hears as Err OTHER; so does a partition that
    outlasts the patience of a run.

    It is one thing, not two machines and their messages: what it says to either end is right by
    construction.
Assumptions and validity
    The pair is in the announced Bell state, or was drawn from the claimed Bell-diagonal state.
Not modelled
    Kinds M and R, batches, turns, final states, refusals for the fidelity: refused with UNSUPP.
Units
    Picoseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from qnet.ids import NodeId, PairId, RequestId, SlotId, pair_id
from qnet.layers import link as service
from qnet.layers.link import ErrorCode
from qnet.machine import Indicated
from qnet.physics.bell import Correlators
from qnet.plan import LinkPlan
from qnet.testing.conformance.faults import NodeFault
from qnet.testing.conformance.parts import Violation
from qnet.testing.conformance.post import PATIENCE
from qnet.units import Instant

if TYPE_CHECKING:
    from qnet.testing.conformance.chain import Chain

EXPIRY_PROB: Final = 0.1
"""How many pairs an end misses, where the bench lets it."""

LABELS: Final = ((0, 0), (1, 0), (0, 1), (1, 1))


@dataclass
class Raw:
    """A request, as the link sees it.

    Attributes:
        lives: incarnations of both ends when it was made.
        begun: the peer has accepted it.
        made, valid: pairs so far, and those that no end has missed.
        open: ends at which it has not ended.
        coming: announcements that are under way.
        closing: its user has cancelled it.
    """

    create: service.Create
    origin: NodeId
    asked_at: int
    lives: dict[NodeId, int]
    begun: bool = False
    made: int = 0
    valid: int = 0
    open: set[NodeId] = field(default_factory=set)
    coming: int = 0
    closing: bool = False

    def remote(self, node: NodeId) -> NodeId:
        """The other end."""
        return self.create.remote if node == self.origin else self.origin


@dataclass
class Coming:
    """A pair that was made, and who has heard of it.

    Attributes:
        lost: an end has missed it: it expires where it was told.
    """

    pair: PairId
    index: int
    label: tuple[int, int]
    clicked: int
    slots: dict[NodeId, SlotId]
    deaf: NodeId | None
    told: set[NodeId] = field(default_factory=set)
    lost: bool = False


class Source:
    """One link.

    Args:
        chain: the bench.
        plan: of the link.
        correlators: claimed for every pair.
        uniform: numbers by purpose.
        expiry_prob: share of the pairs that an end misses.

    Attributes:
        revoke_prob: share of the pairs that expire although both ends were told.
        void: pairs that have expired.
        dead: no pair is made any more.
    """

    def __init__(
        self,
        chain: Chain,
        plan: LinkPlan,
        correlators: Correlators,
        uniform: Callable[[str], float],
        expiry_prob: float,
    ) -> None:
        self.chain, self.plan, self.name = chain, plan, f"link:{plan.name}"
        self.correlators = correlators
        self._uniform, self._expiry_prob = uniform, expiry_prob
        self.requests: dict[RequestId, Raw] = {}
        self._accepting: set[tuple[NodeId, NodeId, int]] = set()
        self._used: set[RequestId] = set()
        self._busy = False
        self._made = 0
        self.revoke_prob = 0.0
        self.void: set[PairId] = set()
        self.dead = False

    # ------------------------------------------------------------ asked

    def serve(self, node: NodeId, request: Any) -> None:
        """The machine above asks, at ``node``."""
        match request:
            case service.Create():
                self._create(node, request)
            case service.Cancel(request=wanted):
                raw = self.requests.get(wanted)
                if raw is not None and node in raw.open:
                    self._close(raw, cancelled=True)
            case service.Accept(remote, purpose):
                self._accepting.add((node, remote, purpose))
            case service.StopAccepting(remote, purpose):
                self._accepting.discard((node, remote, purpose))
            case _:
                raise self._violation(f"{node}: a link serves no {request!r}")

    def _violation(self, words: str) -> Violation:
        return self.chain.violation("5.1-5", words)

    def _create(self, node: NodeId, create: service.Create) -> None:
        if create.request in self._used:
            raise self._violation(
                f"{node}: request {create.request} of {self.name} was used before"
            )
        self._used.add(create.request)
        code, words = self._refusal(node, create)
        lives = {end: self.chain.nodes[end].incarnation for end in self.plan.ends}
        raw = Raw(create, node, self.chain.now, lives, open={node})
        if code is not None:
            self._say(node, self._err(raw, node, code, words), raw)
            return
        self.requests[create.request] = raw
        self._later(self.plan.direct, lambda: self._offered(raw))
        if create.max_time:
            self._later(create.max_time, lambda: self._time_out(raw))

    def _refusal(self, node: NodeId, create: service.Create) -> tuple[ErrorCode | None, str]:
        if create.remote not in self.plan.ends or create.remote == node or create.number < 1:
            return ErrorCode.CREATE, f"remote must be the other end, number >= 1, got {create!r}"
        if not 0.0 <= create.minimum_fidelity <= 1.0 or create.max_time < 0:
            return ErrorCode.CREATE, f"0 <= minimum_fidelity <= 1, max_time >= 0, got {create!r}"
        extra = create.kind != "K" or create.atomic or create.consecutive
        if extra or create.final is not None or create.test_share:
            return ErrorCode.UNSUPP, f"this link makes plain pairs of kind K, got {create!r}"
        goodness = (1.0 + sum(self.correlators)) / 4.0
        if create.minimum_fidelity > goodness + 1e-9:
            return ErrorCode.UNSUPP, f"minimum_fidelity must be <= {goodness}, got {create!r}"
        return None, ""

    def _offered(self, raw: Raw) -> None:
        """CREATE has come to the peer, unless somebody cannot be reached."""
        if raw.create.request not in self.requests:
            return
        cut = self._out_of_reach()
        if cut is not None:
            wait = max(1, cut.end - self.chain.now)
            if wait > PATIENCE:
                words = f"{cut.node} cannot be reached"
                self._later(PATIENCE, lambda: self.fail(raw, ErrorCode.OTHER, words))
            self._later(wait, lambda: self._offered(raw))
            return
        peer = raw.create.remote
        if not self.chain.nodes[peer].up:
            self._later(self.plan.cycle, lambda: self._offered(raw))
        elif (peer, raw.origin, raw.create.purpose) not in self._accepting:
            words = f"{peer} does not accept purpose {raw.create.purpose} of {raw.origin}"
            del self.requests[raw.create.request]
            self._later(
                self.plan.direct,
                lambda: self._say(
                    raw.origin, self._err(raw, raw.origin, ErrorCode.REJECTED, words), raw
                ),
            )
        else:
            raw.open.add(peer)
            self._later(self.plan.direct, lambda: self._begin(raw))

    def _begin(self, raw: Raw) -> None:
        raw.begun = True
        self.go_on()

    # ------------------------------------------------------------ pairs

    def go_on(self) -> None:
        """Begin the next pair, if somebody wants one."""
        if self._busy or self.dead or not self._wanted():
            return
        self._busy = True
        gap = self.plan.cycle * (1 + int(3 * self._uniform(f"gap:{self.plan.name}:{self._made}")))
        self._later(gap, self._attempted)

    @property
    def made(self) -> int:
        """Pairs so far."""
        return self._made

    def _wanted(self) -> list[Raw]:
        return [raw for raw in self.requests.values() if self._wants(raw)]

    def _wants(self, raw: Raw) -> bool:
        if not raw.begun or raw.closing or raw.made >= raw.create.number:
            return False
        limit = raw.create.max_time
        last = self.chain.now + max(self.plan.flights) + self.plan.direct
        in_time = not limit or last < raw.asked_at + limit
        return in_time and all(self._alive(raw, node) for node in self.plan.ends)

    def _attempted(self) -> None:
        self._busy = False
        wanted = self._wanted()
        if not wanted or self.dead:
            return
        cut = self._out_of_reach()
        if cut is not None:
            self._busy = True
            self._later(max(1, cut.end - self.chain.now), self._again)
            return
        # By lot: turns of fixed order on all links of a row could keep pace with each other for ever.
        chosen = self._uniform(f"turn:{self.plan.name}:{self.chain.now}")
        raw = wanted[int(chosen * len(wanted))]
        slots = self._slots(raw.create.store)
        if slots is None:
            return  # until one is released
        self._make(raw, slots)
        self.go_on()

    def _again(self) -> None:
        self._busy = False
        self.go_on()

    def _out_of_reach(self) -> NodeFault | None:
        """Why no pair can be made now."""
        for what in ("partition", "stall", "full"):
            for node in self.plan.ends:
                found = self.chain.spells.get(what, node, self.chain.now)
                if found is not None:
                    return found
        return None

    def _slots(self, store: bool) -> dict[NodeId, SlotId] | None:
        found = {}
        for node in self.plan.ends:
            one = self.chain.nodes[node]
            own = self.chain.share(node, self.plan.name)
            free = [
                slot
                for slot, holder in one.slots.items()
                if not holder
                and (self.chain.role_of(node, slot) == "memory" if store else slot in own)
            ]
            if not one.up or not free:
                return None
            found[node] = free[0]
        return found

    def _make(self, raw: Raw, slots: dict[NodeId, SlotId]) -> None:
        self._made += 1
        raw.made += 1
        number, ends = self._made, self.plan.ends
        label = LABELS[int(4 * self._uniform(f"label:{self.plan.name}:{number}"))]
        self.chain.entangle(self.plan, slots, label, self.correlators, number)
        for node in ends:
            self.chain.nodes[node].slots[slots[node]] = self.name
        missed = self._uniform(f"missed:{self.plan.name}:{number}") < self._expiry_prob
        raw.valid += 1
        one = Coming(
            pair_id(self.plan.name, number), raw.made, label, self.chain.now, slots,
            ends[number % 2] if missed else None,
        )  # fmt: skip
        for side, node in enumerate(ends):
            extra = self._uniform(f"late:{self.plan.name}:{number}:{node}")
            wait = self.plan.flights[side] + (int(extra * self.plan.direct) if extra < 0.5 else 0)
            raw.coming += 1
            self._later(wait, partial(self._come, raw, node, one))

    def _come(self, raw: Raw, node: NodeId, one: Coming) -> None:
        """One end hears of a pair, or misses it."""
        stall = self.chain.spells.get("stall", node, self.chain.now)
        if stall is not None:
            self._later(stall.end - self.chain.now, partial(self._come, raw, node, one))
            return
        raw.coming -= 1
        here, slot = self.chain.nodes[node], one.slots[node]
        holds = self._alive(raw, node) and here.slots[slot] == self.name
        if not holds or one.lost or node == one.deaf or node not in raw.open:
            if holds:
                self.chain.free(node, slot)
            self._lose(raw, one)
        else:
            here.slots[slot] = self.chain.layer
            one.told.add(node)
            self.chain.named(node, slot, one.pair)
            goodness = (1.0 + sum(self.correlators)) / 4.0
            self._say(node, service.Ok(
                raw.create.request, one.pair, one.index, node == raw.origin, raw.remote(node),
                raw.create.purpose, slot, one.label, goodness, 0.0, Instant(self.chain.now),
                Instant(one.clicked), Instant(raw.asked_at), self.correlators,
            ), raw)  # fmt: skip
            revoked = self._uniform(f"revoked:{one.pair}") < self.revoke_prob
            if len(one.told) == 2 and revoked:
                self._lose(raw, one)
        self._finish(raw)

    def _lose(self, raw: Raw, one: Coming) -> None:
        """An end has missed a pair: the other one hears of that."""
        raw.valid -= not one.lost
        one.lost = True
        self.void |= {one.pair} if one.told else set()
        for node in sorted(one.told):
            raw.coming += 1
            wait = self.plan.direct * (2 + int(4 * self._uniform(f"word:{one.pair}:{node}")))
            self._later(wait, partial(self._expire, raw, node, one.pair))
        one.told = set()

    def _expire(self, raw: Raw, node: NodeId, pair: PairId) -> None:
        raw.coming -= 1
        remote = raw.remote(node)
        gone = service.Expired(raw.create.request, remote, raw.create.purpose, (pair,))
        self._say(node, gone, raw)
        self._finish(raw)

    def _alive(self, raw: Raw, node: NodeId) -> bool:
        one = self.chain.nodes[node]
        return one.up and one.incarnation == raw.lives[node]

    # ------------------------------------------------------------ ends

    def _finish(self, raw: Raw) -> None:
        """End a request of which nothing more comes."""
        done = raw.made >= raw.create.number or raw.closing
        if raw.coming or not done or raw.create.request not in self.requests:
            return
        del self.requests[raw.create.request]
        for node in sorted(raw.open):
            if not raw.valid and not raw.closing:
                ended: Any = self._err(raw, node, ErrorCode.EXPIRE, "all pairs were lost")
            else:
                ended = service.RequestEnded(
                    raw.create.request, node == raw.origin, raw.remote(node), raw.create.purpose,
                    raw.valid, raw.closing,
                )  # fmt: skip
            self._say(node, ended, raw)
        raw.open.clear()
        self.go_on()

    def _close(self, raw: Raw, *, cancelled: bool) -> None:
        raw.closing = cancelled
        self._later(0, lambda: self._finish(raw))

    def _time_out(self, raw: Raw) -> None:
        if raw.create.request in self.requests:
            self.fail(raw, ErrorCode.TIMEOUT, f"{raw.valid} of {raw.create.number} in time")

    def fail(self, raw: Raw, code: ErrorCode, words: str) -> None:
        """A request ends with Err at all ends that know of it."""
        if self.requests.pop(raw.create.request, None) is None:
            return
        for node in sorted(raw.open):
            self._say(node, self._err(raw, node, code, words), raw)
        raw.open.clear()

    def fall_silent(self) -> None:
        """No pair is made any more."""
        self.dead = True

    def break_down(self, words: str) -> None:
        """All requests end with Err OTHER."""
        for raw in list(self.requests.values()):
            self.fail(raw, ErrorCode.OTHER, words)

    def restarted(self, node: NodeId) -> None:
        """``node`` has lost its memory: what it accepts, what it asked for."""
        self._accepting = {one for one in self._accepting if one[0] != node}

    def heard_of(self, survivor: NodeId, incarnation: int) -> list[Any]:
        """``survivor`` hears that the other end was restarted: what it is told of open requests."""
        other = next(end for end in self.plan.ends if end != survivor)
        said = []
        for raw in list(self.requests.values()):
            if raw.lives[other] < incarnation:
                del self.requests[raw.create.request]
                if survivor in raw.open and self._alive(raw, survivor):
                    words = f"{other} was restarted"
                    said.append(self._err(raw, survivor, ErrorCode.OTHER, words))
                raw.open.clear()
        self.go_on()
        return said

    def long_cut(self, fault: NodeFault) -> None:
        """A partition outlasts the patience of a run."""
        if fault.end - fault.start > PATIENCE:
            words = f"{fault.node} cannot be reached"
            self.chain.later(fault.start + PATIENCE, lambda: self.break_down(words))

    def _err(self, raw: Raw, node: NodeId, code: ErrorCode, words: str) -> service.Err:
        return service.Err(
            raw.create.request,
            code,
            node == raw.origin,
            raw.remote(node),
            raw.create.purpose,
            words,
        )

    def _say(self, node: NodeId, indication: Any, raw: Raw) -> None:
        if self._alive(raw, node):
            self.tell(node, indication)

    def tell(self, node: NodeId, indication: Any) -> None:
        """Indicate it to the machine above."""
        self.chain.note(node, f"{self.name} says {indication!r}")
        self.chain.give(node, self.chain.layer, Indicated(indication, self.name))

    def _later(self, wait: int, run: Callable[[], None]) -> None:
        self.chain.later(self.chain.now + wait, run, ranked=True)
