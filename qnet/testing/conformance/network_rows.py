"""Cases of networks: nodes between the ends, cutoffs, restarts there, early halves, test rounds (7.1, 9)."""

from __future__ import annotations

from functools import partial
from typing import Final

from qnet.layers import link as service
from qnet.testing.conformance.case import ENDS, case, delivered, endings
from qnet.testing.conformance.chain import Chain
from qnet.testing.conformance.faults import ALICE, BOB, MIDDLE
from qnet.testing.conformance.service_requests import middles
from qnet.testing.conformance.services import DIRECT, NetworkTrial
from qnet.testing.conformance.stage import CYCLE, PLATFORM

LAYER: Final = "network"
CUTOFF: Final = 3 * CYCLE
_GATES_S: Final = 2 * PLATFORM.gate_2q.duration_s + 8 * PLATFORM.gate_1q.duration_s
PROGRAM: Final = round((_GATES_S + 4 * PLATFORM.readout.duration_s) * 1e12)
"""Longest program that may run on a half when its time is over."""


@case(
    "QN-NETWORK-9.4-1",
    "QN-NETWORK-9.4-4",
    "QN-NETWORK-2.1-5",
    "QN-NETWORK-2.3-1",
    "QN-NETWORK-5.1-2",
    layer=LAYER,
    trial=NetworkTrial,
    profiles=("clean", "delay", "backend-stall"),
)
def cutoffs_among_swaps(trial: NetworkTrial) -> None:
    """A cutoff of a few attempts: many pairs are discarded, some in the instant in which they could be swapped."""
    trial.needs("hops")
    row = middles(trial)
    for cutoff in (CUTOFF, CYCLE, 4 * CYCLE):
        bench = trial.chain(middles=row, cutoff=cutoff, hold=lambda _node, _ok: 2 * CYCLE)
        for k, node in enumerate(ENDS):
            bench.create(0, node, str(k), 4)
        bench.run()
        _waits(trial, bench, cutoff)
        made = [pair for pair, _ in bench.announced(ALICE).items()]
        trial.check("QN-NETWORK-9.4-4", True, f"{len(made)} pairs")
        trial.audit(bench)


def _waits(trial: NetworkTrial, bench: Chain, cutoff: int) -> None:
    levels = (len(bench.row) - 2).bit_length()  # of a tree of swaps
    told = bench.light_time(ALICE, BOB)
    slow = max((one.by for one in bench.spells.all if one.what == "slow"), default=0)
    for node, waited in bench.waits:
        if node in MIDDLE:
            words = f"{node} held a half for {waited} ps, the cutoff is {cutoff} ps"
            longest = levels * (cutoff + told + slow + PROGRAM)
            trial.check("QN-NETWORK-9.4-1", waited <= longest, words)


@case("QN-NETWORK-9.4-1", "QN-NETWORK-5.1-2", layer=LAYER, trial=NetworkTrial, once=True)
def link_that_makes_nothing(trial: NetworkTrial) -> None:
    """One link works, the next one never does: what waits for it is discarded in time."""
    trial.needs("hops")
    for number in (0, 1):
        bench = trial.chain(middles=1, cutoff=CUTOFF)
        source = bench.sources[f"link:{bench.plans[number].name}"]
        source.dead = True
        request = bench.create(0, ALICE, "1", 2)
        bench.ask(200 * CYCLE, ALICE, service.Cancel(request))
        bench.run()
        _waits(trial, bench, CUTOFF)
        trial.audit(bench)


@case("QN-NETWORK-9.4-2", "QN-NETWORK-9.4-3", layer=LAYER, trial=NetworkTrial)
def nodes_beside_the_path(trial: NetworkTrial) -> None:
    """A request over the first part of a row: the rest of it hears nothing, and no user between the ends does."""
    trial.needs("hops")
    last = trial.random("row").below(2)
    ends = (ALICE, MIDDLE[last])
    for origin in ends:
        bench = trial.chain(middles=3, ends=ends)
        target = ends[1] if origin == ALICE else ALICE
        bench.create(0, origin, "1", 3, remote=target)
        bench.run()
        beside = bench.row[bench.row.index(ends[1]) + 1 :]
        sent = [(source, to, message) for _, source, to, message in bench.sent if to in beside]
        trial.check("QN-NETWORK-9.4-2", not sent, f"{beside} are on no path, sent: {sent[:3]}")
        for source in bench.sources.values():
            outside = not set(source.plan.ends) <= set(bench.row) - set(beside)
            if outside:
                words = f"{source.name} was asked for {source.made} pairs"
                trial.check("QN-NETWORK-9.4-2", not source.made, words)
        trial.audit(bench)
    bench = trial.chain(middles=3)
    bench.create(0, ALICE, "1", 3)
    bench.run()
    for node in MIDDLE:
        heard = bench.heard(node)
        trial.check("QN-NETWORK-9.4-3", not heard, f"the user of {node} hears {heard[:3]}")


# ---------------------------------------------------------------- 9 early halves, test rounds


@case("QN-NETWORK-9.2-1", "QN-NETWORK-2.4-1", layer=LAYER, trial=NetworkTrial)
def halves_handed_up_early(trial: NetworkTrial) -> None:
    """Kind E, with links that lose pairs and pairs that are discarded."""
    trial.needs("E")
    for cutoff in (None, 2 * CYCLE):
        bench = trial.chain(middles=middles(trial), cutoff=cutoff)
        for k, node in enumerate(ENDS):
            bench.create(0, node, str(k), 5, kind="E")
        trial.audit(bench.run())


@case("QN-NETWORK-9.3-1", "QN-NETWORK-9.3-2", layer=LAYER, trial=NetworkTrial)
def test_rounds_among_pairs(trial: NetworkTrial) -> None:
    """Half of the pairs are measured; the others are handed up, as many as were asked for."""
    trial.needs("test_share")
    for origin in ENDS:
        bench = trial.chain(middles=middles(trial))
        request = bench.create(0, origin, "1", 8, test_share=0.5)
        bench.run()
        told = bench.heard(origin, service.FidelityEstimated)
        rounds = sum(one.rounds for one in told)
        ended = endings(bench, origin).get(request)
        words = f"{request} ended with {ended!r}, estimates {told}"
        trial.check("QN-NETWORK-9.3-1", delivered(ended) == 8 and len(told) <= 1, words)
        order = [what for what in bench.heard(origin) if what in (*told, ended)]
        trial.check("QN-NETWORK-9.3-1", bool(order) and order[-1] is ended, words)
        if rounds:
            fine = all(one.fidelity == 1.0 for one in told)
            trial.check("QN-NETWORK-9.3-2", fine, f"perfect parts, found {told}")


# ---------------------------------------------------------------- 7 restarts between the ends


@case(
    "QN-NETWORK-7.1-4",
    "QN-NETWORK-7.1-2",
    "QN-NETWORK-1.1-2",
    "QN-NETWORK-1.1-3",
    "QN-NETWORK-2.1-1",
    "QN-NETWORK-5.1-2",
    layer=LAYER,
    trial=NetworkTrial,
)
def node_between_the_ends_restarts(trial: NetworkTrial) -> None:
    """A node of the path loses its memory among open requests, once or twice; afterwards both ends ask again."""
    trial.needs("hops")
    random = trial.random("restart")
    bench = trial.chain(middles=middles(trial), expiry_prob=0.0)
    first = [bench.create(0, node, str(k), 20) for k, node in enumerate(ENDS)]
    at = 20 * DIRECT + random.below(20 * CYCLE)
    for _ in range(1 + random.below(2)):
        node = bench.row[1 + random.below(len(bench.row) - 2)]
        bench.later(at, partial(bench.crash, node))
        at += 1 + random.below(3 * CYCLE)
        bench.later(at, partial(bench.back, node))
        at += random.below(3 * CYCLE)
    later = [at + k * (60 * DIRECT + 40 * CYCLE) for k in (1, 2, 3)]
    asked = [[bench.create(then, node, str(then), 2) for then in later] for node in ENDS]
    again = [mine[-1] for mine in asked]  # the first ones may meet old news of the restart
    bench.run()
    for node in ENDS:
        ended = endings(bench, node)
        for request in first:
            got = ended.get(request)
            known = node == request.partition("/")[0] or got is not None
            trial.check("QN-NETWORK-7.1-4", known, f"{request} ended at {node} with {got!r}")
        for request in again:
            got = ended.get(request)
            words = f"{request} of later ended at {node} with {got!r}"
            trial.check("QN-NETWORK-7.1-2", delivered(got) == 2, words)
    trial.audit(bench)
