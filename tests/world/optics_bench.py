"""One heralded link on a bench: optics, store and authority, without hosts or protocols."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.ids import LinkId, NodeId, OpId, SlotId
from qnet.plan import Estimate, LinkOptics, LinkPlan, Window
from qnet.seams import ClickOutcome, HeraldingScheme
from qnet.units import Duration, Instant
from qnet.world.authority import RANK_INTERNAL, Authority, Due
from qnet.world.engine_qutip import QutipEngine
from qnet.world.optics import Optics, PairCreated
from qnet.world.store import Store

ALICE, BOB, MIDDLE = NodeId("alice"), NodeId("bob"), NodeId("middle")
LINK = LinkId("alice-bob")
CYCLE, PREPARATION, FLIGHT = 1_000_000, 100_000, 300_000
EMISSION = PREPARATION
"""Instant of the first emission of a run that is armed at instant 0."""
CLICK = EMISSION + FLIGHT
LEAVES = {ALICE: EMISSION, BOB: EMISSION + FLIGHT // 2}
"""When the photon of each end leaves in that attempt: bob's arm is half as long, both meet at the click."""
PSI_PLUS = ((0, 0, 0, 0), (0, 0.5, 0.5, 0), (0, 0.5, 0.5, 0), (0, 0, 0, 0))


def _unused(*_: object) -> None:
    raise AssertionError("the bench has no machines")


def sure(prob: float = 1.0) -> HeraldingScheme:
    """A scheme whose attempts succeed with ``prob``, always with the same click and state."""
    outcome = ClickOutcome((0, 2), prob, (1, 0), PSI_PLUS)

    def sample(_: LinkOptics, __: object, uniform: Callable[[], float]) -> ClickOutcome | None:
        return outcome if uniform() < prob else None

    return HeraldingScheme("sure", lambda *_: (outcome,), sample, _unused, _unused, ())


def _platform(t2_s: float) -> Platform:
    memory = Coherence(math.inf, t2_s)
    return Platform(
        "test", 2, 0, memory, memory, Operation(0.0), Operation(0.0), Operation(0.0),
        Readout(0.0), Emission(1e-6, 1.0, 1e-6),
    )  # fmt: skip


@dataclass
class Bench:
    """Two processors of two slots each, a station, one link."""

    scheme: HeraldingScheme = field(default_factory=sure)
    optics_plan: LinkOptics = field(default_factory=lambda: LinkOptics(1.0, 1.0))
    exact: bool = False
    seed: int = 1
    cycle: int = CYCLE
    t2_s: float = math.inf
    t2_bob_s: float | None = None
    flights: tuple[int, int] = (FLIGHT, FLIGHT // 2)
    window: Window | None = None

    def __post_init__(self) -> None:
        self.authority = Authority(dict.fromkeys((ALICE, BOB, MIDDLE), "host"))
        t2_bob_s = self.t2_s if self.t2_bob_s is None else self.t2_bob_s
        self.store = Store(QutipEngine(), {ALICE: _platform(self.t2_s), BOB: _platform(t2_bob_s)})
        self.created: list[PairCreated] = []
        self.clicks: list[tuple[int, tuple[int, ...]]] = []
        link = LinkPlan(
            LINK, (ALICE, BOB), MIDDLE, "sure", {}, "none", {}, self.optics_plan,
            (Duration(self.flights[0]), Duration(self.flights[1])), Duration(FLIGHT), Duration(self.cycle),
            Duration(PREPARATION), (Duration(0), Duration(0)),
            Estimate(1.0, Duration(self.cycle), 1.0, 1.0, 0.0, 1.0, (1.0, 1.0, 1.0)),
            window=self.window,
        )  # fmt: skip
        self.optics = Optics(
            seed=self.seed,
            links=(link,),
            schemes={"sure": self.scheme},
            store=self.store,
            authority=self.authority,
            exact=self.exact,
            created=self.created.append,
        )
        self.authority.first_turn()
        self._ops = 0

    @property
    def attempts(self) -> dict[LinkId, int]:
        """Attempts made so far."""
        return self.optics.attempts(self.authority.now)

    @property
    def now(self) -> int:
        return self.authority.now

    def arm(self, node: NodeId, slot: int = 0, until: int | None = None) -> OpId:
        """Arm one end now; the operation id."""
        self._ops += 1
        op = OpId(f"{node}/{self._ops}")
        bound = None if until is None else Instant(until)
        self.optics.arm(node, op, LINK, SlotId(slot), bound)
        return op

    def turn(self) -> bool:
        """One turn of the authority; False if nothing is due."""
        turn = self.authority.next_turn()
        if turn is None:
            return False
        for action in turn.actions:
            action(turn.at)
        for items in turn.items.values():
            self.clicks.extend((turn.at, item.pattern) for item in items)
        return True

    def at(self, instant: int) -> None:
        """Let time pass until ``instant``; what is due then has happened."""
        self.authority.push(
            Instant(instant), Due(None, None), rank=RANK_INTERNAL, source="test", sequence=0
        )
        while self.now < instant:
            self.turn()

    def to_the_end(self) -> None:
        while self.turn():
            pass

    def next_click(self) -> PairCreated:
        """Let time pass until the next click."""
        seen = len(self.created)
        while len(self.created) == seen:
            assert self.turn(), "no click is due"
        return self.created[-1]

    def discard(self, node: NodeId, slot: int = 0) -> None:
        self.optics.give_back(node, SlotId(slot))
        self.store.discard(node, SlotId(slot), Instant(self.now))
