"""Every attempt of a node dephases its memories: exactly as many as it made, whoever ends a run, and when."""

from __future__ import annotations

import math

import msgspec
import pytest

from qnet.errors import TimeReversed
from qnet.ids import LinkId, NodeId, OpId, SlotId
from qnet.physics import bell
from qnet.plan import Estimate, LinkOptics, LinkPlan
from qnet.program import Initialise
from qnet.seams import HeraldingScheme
from qnet.units import Duration, Instant
from qnet.world.authority import RANK_INTERNAL, Authority, Due
from qnet.world.engine_qutip import QutipEngine
from qnet.world.optics import Optics, PairCreated
from qnet.world.pulses import Train
from qnet.world.store import Store
from tests.world.optics_bench import sure
from tests.world.stores import PERFECT, gate, run

A, B, C = NodeId("alice"), NodeId("bob"), NodeId("carol")
AB, AC = LinkId("alice-bob"), LinkId("alice-carol")
P1 = 0.004
CYCLE, PREPARATION, FLIGHT = 1_000_000, 100_000, 300_000
CYCLE_AC = 700_000
FIRST = PREPARATION
"""First departure from alice's arms, the longer ones, of a run that is armed at 0."""
STORED = SlotId(2)
NEVER = 0.0
BELL_PAIR = bell.density_matrix(bell.werner(1.0))


class Bench:
    """Alice with a link to bob and one to carol; one half of a Bell pair in her memory, one in carol's."""

    def __init__(
        self,
        prob: float = NEVER,
        *,
        p1: float = P1,
        exact: bool = False,
        seed: int = 1,
        dark: tuple[tuple[int, int], ...] = (),
        modes: int = 1,
    ) -> None:
        self.authority = Authority(dict.fromkeys((A, B, C, "m"), "host"))
        platform = msgspec.structs.replace(PERFECT, attempt_dephasing_prob=p1)
        self.store = Store(QutipEngine(), {A: platform, B: PERFECT, C: PERFECT})
        self.created: list[PairCreated] = []
        scheme: HeraldingScheme = sure(prob)
        self.optics = Optics(
            seed=seed,
            links=(link_plan(AB, CYCLE, modes), link_plan(AC, CYCLE_AC, modes)),
            schemes={"sure": scheme},
            store=self.store,
            authority=self.authority,
            exact=exact,
            created=self.created.append,
            dark=lambda _: dark,
        )
        self.authority.first_turn()
        self._ops = 0
        self.store.create_pair((A, STORED), (C, STORED), BELL_PAIR, Instant(0))

    def arm(self, node: NodeId, link: LinkId = AB, *, slot: int = 0, until: int | None = None):
        self._ops += 1
        op = OpId(f"{node}/{self._ops}")
        bound = None if until is None else Instant(until)
        self.optics.arm(node, op, link, SlotId(slot), bound)
        return op

    def both(self, link: LinkId = AB, *, slot: int = 0, until: int | None = None) -> OpId:
        """Arm both ends; alice's operation."""
        other = B if link == AB else C
        op = self.arm(A, link, slot=slot, until=until)
        self.arm(other, link, slot=slot)
        return op

    def at(self, instant: int) -> None:
        """Let time pass until ``instant``."""
        self.authority.push(
            Instant(instant), Due(None, None), rank=RANK_INTERNAL, source="test", sequence=0
        )
        while self.authority.now < instant:
            turn = self.authority.next_turn()
            assert turn is not None
            for action in turn.actions:
                action(turn.at)

    def click(self) -> PairCreated:
        """Let time pass until the next click."""
        seen = len(self.created)
        while len(self.created) == seen:
            turn = self.authority.next_turn()
            assert turn is not None, "no click is due"
            for action in turn.actions:
                action(turn.at)
        return self.created[-1]

    def coherence(self, at: int | None = None) -> float:
        """2 |rho_03| of the stored pair."""
        when = Instant(self.authority.now if at is None else at)
        rho = self.store.density_matrix([(A, STORED), (C, STORED)], when)
        return 2.0 * abs(rho[0, 3])


def link_plan(name: LinkId, cycle: int, modes: int = 1) -> LinkPlan:
    first, second = name.split("-")
    return LinkPlan(
        name, (NodeId(first), NodeId(second)), NodeId("m"), "sure", {}, "none", {},
        LinkOptics(1.0, 1.0, modes=modes), (Duration(FLIGHT), Duration(FLIGHT // 2)), Duration(FLIGHT),
        Duration(cycle), Duration(PREPARATION), (Duration(0), Duration(0)),
        Estimate(1.0, Duration(cycle), 1.0, 1.0, 0.0, 1.0, (1.0, 1.0, 1.0)),
    )  # fmt: skip


def after(attempts: int, p1: float = P1) -> float:
    """What is left of a coherence."""
    return pytest.approx((1.0 - 2.0 * p1) ** attempts, abs=1e-12)  # type: ignore[no-any-return]


def test_an_open_run_counts_the_departures_so_far() -> None:
    bench = Bench()
    bench.both()
    for made, instant in (
        (0, FIRST),
        (1, FIRST + 1),
        (1, FIRST + CYCLE),
        (40, FIRST + 39 * CYCLE + 1),
    ):
        bench.at(instant)
        assert bench.coherence() == after(made)


@pytest.mark.parametrize("n_1e", [1_000.0, 137.5])
def test_coherence_falls_to_1_over_e_after_the_configured_number(n_1e: float) -> None:
    p1 = -math.expm1(-1.0 / n_1e) / 2.0
    bench = Bench(p1=p1)
    bench.both()
    bench.at(FIRST + int(n_1e) * CYCLE - 1)
    found = -math.log(bench.coherence()) / int(n_1e)
    assert 1.0 / found == pytest.approx(n_1e, rel=1e-9)


@pytest.mark.parametrize("exact", [False, True])
def test_a_run_that_clicks_counts_its_attempts_to_the_click(*, exact: bool) -> None:
    bench = Bench(0.02, exact=exact, seed=5)
    bench.both()
    found = bench.click()
    assert found.attempt > 1
    assert bench.coherence() == after(found.attempt)
    bench.at(bench.authority.now + 50 * CYCLE)
    assert bench.coherence() == after(found.attempt)


def test_runs_add_up_whether_skipped_or_drawn_one_by_one() -> None:
    for exact in (False, True):
        bench = Bench(0.1, exact=exact, seed=9)
        total = 0
        for _ in range(6):
            bench.both()
            total += bench.click().attempt
            for node in (A, B):
                bench.store.discard(node, SlotId(0), Instant(bench.authority.now))
        assert bench.coherence() == after(total)
        assert bench.optics.attempts(bench.authority.now)[AB] == total


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("instant", "made"), [(FIRST, 0), (FIRST + 1, 1), (FIRST + 7 * CYCLE, 7), (12_345_678, 13)]
)
def test_an_aborted_run_counts_what_left_before(instant: int, made: int, *, exact: bool) -> None:
    bench = Bench(1e-9, exact=exact)
    op = bench.both()
    bench.at(instant)
    bench.optics.abort(A, op)
    assert bench.coherence() == after(made)
    bench.at(instant + 20 * CYCLE)
    assert bench.coherence() == after(made)


def test_a_run_that_the_other_end_aborts_is_over_here_too() -> None:
    bench = Bench()
    bench.arm(A)
    theirs = bench.arm(B)
    bench.at(FIRST + 5 * CYCLE + 1)
    bench.optics.abort(B, theirs)
    bench.at(FIRST + 30 * CYCLE)
    assert bench.coherence() == after(6)


def test_a_photon_that_is_under_way_at_the_abort_was_an_attempt() -> None:
    bench = Bench(1.0)
    op = bench.both()
    bench.at(FIRST + 1)
    bench.optics.abort(A, op)
    bench.click()
    assert bench.created[-1].lost == (A,)
    bench.at(40 * CYCLE)
    assert bench.coherence() == after(1)


@pytest.mark.parametrize("prob", [NEVER, 1e-9])
def test_nothing_leaves_after_until_even_if_nobody_says_so(prob: float) -> None:
    bench = Bench(prob)
    bench.both(until=FIRST + 10 * CYCLE)
    bench.at(FIRST + 60 * CYCLE)
    assert bench.coherence() == after(10)
    bench.arm(A, slot=1)  # ends the run that nobody had ended
    assert bench.coherence() == after(10)


def test_a_crash_of_the_neighbour_ends_the_run() -> None:
    bench = Bench()
    bench.both()
    bench.at(FIRST + 3 * CYCLE + 1)
    bench.optics.crash(B)
    bench.store.crash(B, Instant(bench.authority.now))
    bench.at(FIRST + 30 * CYCLE)
    assert bench.coherence() == after(4)


def test_attempts_of_two_links_add_up() -> None:
    bench = Bench()
    bench.both(AB, slot=0)
    bench.both(AC, slot=1)
    end = FIRST + 100 * CYCLE
    bench.at(end)
    on_ac = len(range(FIRST, end, CYCLE_AC))
    assert bench.coherence() == after(100 + on_ac)


def test_attempts_in_the_dark_count_like_others() -> None:
    counts = []
    for exact in (False, True):
        bench = Bench(1.0, exact=exact, dark=((0, 25 * CYCLE),))
        bench.both()
        found = bench.click()
        assert bench.coherence() == after(found.attempt)
        counts.append(found.attempt)
    assert counts == [26, 26]


def test_modes_of_an_attempt_are_one_pulse() -> None:
    bench = Bench(modes=50)
    bench.both()
    bench.at(FIRST + 20 * CYCLE)
    assert bench.coherence() == after(20)


def touch(bench: Bench) -> None:
    """A program on alice's memory that does nothing to the pair."""
    bench._ops += 1
    run(bench.store, A, gate("Z", 2), gate("Z", 2), op=f"t/{bench._ops}", at=bench.authority.now)


def test_touching_in_the_middle_changes_nothing() -> None:
    bench = Bench(0.03, seed=3)
    op = bench.both()
    for instant in (FIRST, 3 * CYCLE, FIRST + 6 * CYCLE, 9 * CYCLE + 77):
        bench.at(instant)
        touch(bench)
    if not bench.created:
        bench.optics.abort(A, op)
    made = bench.optics.attempts(bench.authority.now)[AB]
    assert made > 0
    bench.at(200 * CYCLE)
    touch(bench)
    bench.at(203 * CYCLE)
    assert bench.coherence() == after(made)


def test_attempts_during_a_program_act_when_it_is_over() -> None:
    """Two gates of 10 us: ten attempts leave meanwhile, and ten before the next touch."""
    bench = Bench()
    bench.both()
    bench.at(FIRST + 10 * CYCLE)
    run(bench.store, A, gate("X", 2), *[gate("Z", 2)] * 9, at=bench.authority.now)
    with pytest.raises(TimeReversed):
        bench.coherence()
    bench.at(FIRST + 20 * CYCLE)
    rho = bench.store.density_matrix([(A, STORED), (C, STORED)], Instant(bench.authority.now))
    assert 2.0 * abs(rho[1, 2]) == after(20)


def test_a_qubit_counts_from_its_arrival_in_memory() -> None:
    """Initialise (5 us) and SWAP (30 us) begin at 10 cycles: the half is in memory at 45 of them."""
    bench = Bench()
    bench.store.discard(A, STORED, Instant(0))
    bench.store.discard(C, STORED, Instant(0))
    bench.store.create_pair((A, SlotId(1)), (C, STORED), BELL_PAIR, Instant(0))
    bench.both()
    bench.at(10 * CYCLE)
    run(bench.store, A, Initialise(STORED), gate("SWAP", 1, 2), at=10 * CYCLE)
    bench.at(45 * CYCLE)
    assert bench.coherence() == after(0)
    bench.at(FIRST + 75 * CYCLE)
    assert bench.coherence() == after(30)


def test_a_communication_qubit_is_not_disturbed() -> None:
    bench = Bench()
    bench.store.create_pair((A, SlotId(1)), (C, SlotId(1)), BELL_PAIR, Instant(0))
    bench.both()
    bench.at(500 * CYCLE)
    rho = bench.store.density_matrix([(A, SlotId(1)), (C, SlotId(1))], Instant(bench.authority.now))
    assert 2.0 * abs(rho[0, 3]) == pytest.approx(1.0, abs=1e-12)


def test_a_swap_of_two_memories_keeps_both_accounts() -> None:
    bench = Bench()
    bench.both()
    bench.at(20 * CYCLE)
    run(bench.store, A, Initialise(SlotId(3)), gate("SWAP", 2, 3), at=20 * CYCLE)
    bench.at(FIRST + 100 * CYCLE)
    rho = bench.store.density_matrix([(A, SlotId(3)), (C, STORED)], Instant(bench.authority.now))
    assert 2.0 * abs(rho[0, 3]) == after(100)


def test_the_past_of_ended_runs_is_refused_rather_than_wrong() -> None:
    bench = Bench()
    op = bench.both()
    bench.at(10 * CYCLE)
    bench.optics.abort(A, op)
    with pytest.raises(TimeReversed):
        bench.coherence(5 * CYCLE)


def test_without_dephasing_nothing_is_counted() -> None:
    bench = Bench(p1=0.0)
    assert not bench.store.shaken
    bench.both()
    bench.at(100 * CYCLE)
    assert bench.coherence() == 1.0
    assert list(bench.store.open_trains(A)) == []


@pytest.mark.parametrize(
    "train", [Train(0, 7, 0), Train(3, 7, 1), Train(3, 7, 5), Train(100, 1, 9)], ids=str
)
def test_trains_count_like_a_list(train: Train) -> None:
    every = [train.first + k * train.cycle for k in range(train.number)]
    for start in range(-5, 120, 3):
        assert train.before(start) == sum(one < start for one in every)
        assert train.since(start) == sum(one >= start for one in every)
        for end in range(-5, 120, 7):
            assert train.between(start, end) == sum(start <= one < end for one in every)
