"""Cases of the link layer: random requests under every fault profile, looked at anywhere or at rest."""

from __future__ import annotations

from typing import Any

from qnet.testing.conformance import audit
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.case import ALL, BOTH, HORIZON, Trial, ask_at_random, case
from qnet.testing.conformance.stage import CYCLE, SHAPES

WISHES: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"kind": "M", "local": BOTH, "distant": BOTH},
    {"kind": "R"},
    {"kind": "R", "store": True},
    {"store": True},
    {"atomic": True},
    {"consecutive": True, "priority": 0},
    {"final": (1, 0), "priority": 2},
    {"final": (0, 1)},
    {"minimum_fidelity": 0.9},
)
"""What requests ask for, besides pairs."""


def random_bench(trial: Trial) -> Bench:
    """Two to five requests of all kinds, some cancelled, some with deadlines, on some geometry."""
    random = trial.random("wishes")
    hold = (0, CYCLE, 6 * CYCLE)[random.below(3)]
    bench = trial.bench(
        slots=(1 + random.below(2), 1 + random.below(2)),
        memory=(4, 4),
        hold=lambda _node, _ok: hold,
        **SHAPES[random.below(2 * len(SHAPES)) % (1 + random.below(len(SHAPES)))],
    )
    ask_at_random(trial, bench, random, WISHES, 4)
    return bench


@case(*audit.SAFETY, mode="safety", profiles=ALL)
def random_requests_stopped_anywhere(trial: Trial) -> None:
    """What must never happen has not happened, whenever one looks."""
    bench = random_bench(trial)
    for look in range(1, 4):
        bench.run(HORIZON * look // 3)
        audit.safety(bench, trial.check)


@case(*audit.LIVENESS, *audit.SAFETY, mode="liveness", profiles=ALL)
def random_requests_at_rest(trial: Trial) -> None:
    """When all that went wrong is over, everything has ended and nothing is left."""
    bench = random_bench(trial).run()
    audit.safety(bench, trial.check)
    audit.liveness(bench, trial.check)
