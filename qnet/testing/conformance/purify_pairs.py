"""Cases of purification: raw pairs that expire or do not come, minimum fidelity, circuits (2.5, 5.1, 6.1, 9.1)."""

from __future__ import annotations

from typing import Final

from qnet.ids import CircuitId, NodeId
from qnet.layers.link import ErrorCode
from qnet.layers.network import CircuitDown, CircuitUp, CloseCircuit, OpenCircuit
from qnet.machine import Indicate, Indicated, Request, Requested
from qnet.testing.conformance.case import ENDS, PAIRS, case
from qnet.testing.conformance.chain import NOISY, WORN
from qnet.testing.conformance.faults import ALICE, BOB
from qnet.testing.conformance.services import PurifyTrial, named
from qnet.testing.conformance.stage import CYCLE
from qnet.units import Instant

PATIENT: Final = 10**13
"""Ten simulated seconds: 250 000 mean times of a raw pair."""
EXPIRING: Final = ("2.5-1", "2.1-1", "2.4-1", "1.1-5", "2.2-1", "2.4-7")
"""What must hold for pairs that are taken back."""


@case(*named("purify", EXPIRING), layer="purify", trial=PurifyTrial)
def raw_pairs_that_expire(trial: PurifyTrial) -> None:
    """Raw pairs expire after both ends were told, before, during and after the step that takes them."""
    for late in (False, True):
        hold = 40 * CYCLE if late else 0
        bench = trial.chain(hold=lambda _node, _ok, hold=hold: hold, revoke_prob=0.3)
        for k, node in enumerate(ENDS):
            bench.create(0, node, str(k), 8)
        trial.audit(bench.run())


@case("QN-PURIFY-5.1-6", layer="purify", trial=PurifyTrial)
def raw_pair_whose_partner_does_not_come(trial: PurifyTrial) -> None:
    """The link falls silent among the pairs of a step, and its user never gives up."""
    random = trial.random("silence")
    for _ in range(4):
        _silence(trial, 20 * CYCLE + random.below(20 * CYCLE), ENDS[random.below(2)])


def _silence(trial: PurifyTrial, at: int, origin: NodeId) -> None:
    bench = trial.chain(expiry_prob=0.0)
    bench.create(0, origin, "1", 50)
    (source,) = bench.sources.values()

    bench.later(at, source.fall_silent)
    bench.run(PATIENT)
    for node in ENDS:
        held = {slot: who for slot, who in bench.nodes[node].slots.items() if who}
        words = f"ten seconds after the last raw pair {node} still holds {held}"
        trial.check("QN-PURIFY-5.1-6", not held, words)


@case("QN-PURIFY-6.1-2", layer="purify", trial=PurifyTrial)
def minimum_fidelity_within_reach(trial: PurifyTrial) -> None:
    """Worn pairs that wait in noisy memories, a minimum fidelity just below the best that was seen."""
    wanted = 0.5
    for _ in range(2):
        bench = trial.chain(correlators=WORN, platform=NOISY)
        bench.create(0, ALICE, "1", 8, minimum_fidelity=wanted)
        bench.run(600 * CYCLE)
        for ok in bench.heard(ALICE, PAIRS):
            words = f"{ok.pair} at alice claims {ok.goodness} for >= {wanted}"
            trial.check("QN-PURIFY-6.1-2", ok.goodness >= wanted - 1e-9, words)
        best = [ok.goodness for ok in bench.heard(ALICE, PAIRS)]
        wanted = max(best, default=0.5) - 2e-4


@case("QN-PURIFY-9.1-1", layer="purify", trial=PurifyTrial, once=True)
def circuits_pass_through(trial: PurifyTrial) -> None:
    """Orders go down, news come up, unchanged."""
    bench = trial.chain()
    bench.run(CYCLE)
    machine = bench.nodes[ALICE].machines["purify"]
    circuit, now = CircuitId("alice/c"), Instant(bench.now)
    below = f"link:{bench.plans[0].name}"
    for order in (OpenCircuit(circuit, BOB, 0.5), CloseCircuit(circuit)):
        effects = list(machine.handle(Requested(order, "app"), now))
        right = effects in ([Request(order, to=below)], [Request(order)])
        trial.check("QN-PURIFY-9.1-1", right, f"{order!r} leads to {effects}")
    for news in (
        CircuitUp(circuit, BOB, (ALICE, BOB), (bench.plans[0].name,), 0.9, 10.0),
        CircuitDown(circuit, BOB, ErrorCode.OTHER, ALICE, "closed"),
    ):
        effects = list(machine.handle(Indicated(news, below), now))
        trial.check("QN-PURIFY-9.1-1", effects == [Indicate(news)], f"{news!r} leads to {effects}")
