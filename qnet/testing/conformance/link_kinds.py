"""Cases of the link layer: kinds of requests, memory, order of service (sections 3 and 4)."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any, Final

import msgspec

from qnet.layers import link as service
from qnet.testing.conformance import audit
from qnet.testing.conformance.case import ENDS, PAIRS, Trial, case
from qnet.testing.conformance.faults import ALICE
from qnet.testing.conformance.link_requests import quick
from qnet.testing.conformance.parts import NotApplicable
from qnet.testing.conformance.stage import CYCLE

SAMPLES: Final = 150
"""Measured pairs of a test of weights."""
FALSE_ALARM: Final = 1e-6
"""Chance that right weights fail one test, per basis and end (two-sided, Hoeffding)."""

THREE: Final = service.BasisChoice(("X", "Y", "Z"), (1.0, 1.0, 1.0))


@case("QN-LINK-3.1-1", "QN-LINK-3.1-2", "QN-LINK-3.1-3", "QN-LINK-5.1-2")
def measured_pairs(trial: Trial) -> None:
    """Bits in random bases at both ends, from either origin."""
    trial.needs("M")
    for origin in ENDS:
        bench = trial.bench(slots=(2, 2))
        bench.create(0, origin, "1", 12, kind="M", local=THREE, distant=THREE)
        one, another = service.BasisChoice(("Y",)), service.BasisChoice(("X",))
        bench.create(0, origin, "2", 2, kind="M", local=one, distant=another)
        bench.run()
        audit.safety(bench, trial.check)
        audit.liveness(bench, trial.check)


@case("QN-LINK-3.1-1", "QN-LINK-3.1-3", "QN-LINK-3.2-1", "QN-LINK-2.1-3", "QN-LINK-5.1-2")
def remotely_prepared_states(trial: Trial) -> None:
    """The origin measures, the peer keeps, in a communication slot or in memory."""
    trial.needs("R")
    for origin in ENDS:
        for store in (False, trial.offers({"store": True})):
            bench = trial.bench(memory=(1, 1))
            bench.create(0, origin, "1", 4, kind="R", local=THREE, store=store)
            bench.run()
            audit.safety(bench, trial.check)
            audit.liveness(bench, trial.check)


@case("QN-LINK-3.1-4", once=True)
def weights_of_bases(trial: Trial) -> None:
    """A fixed number of pairs, unlike weights at both ends; the bench draws as the program asks.

    Hoeffding: P(|share - p| >= d) <= 2 exp(-2 n d^2).
    """
    trial.needs("M", "R")
    kind = "M" if trial.offers({"kind": "M"}) else "R"
    choices = {True: (0.9, 0.1), False: (0.25, 0.75)}
    local, distant = (service.BasisChoice(("X", "Z"), choices[one]) for one in (True, False))
    bench = quick(trial)
    bench.create(0, ALICE, "1", SAMPLES, kind=kind, local=local, distant=distant)
    bench.run()
    for node in ENDS:
        oks = bench.heard(node, service.OkMeasured)
        if len(oks) < SAMPLES // 2:
            continue  # too few to decide
        counts = Counter(ok.basis for ok in oks)
        margin = math.sqrt(math.log(2.0 / FALSE_ALARM) / (2.0 * len(oks)))
        share = counts["X"] / len(oks)
        wanted = choices[node == ALICE][0]
        words = f"{node} reads in X {share:.3f} of {len(oks)}, wanted {wanted} +- {margin:.3f}"
        trial.check("QN-LINK-3.1-4", abs(share - wanted) <= margin, words)


@case("QN-LINK-3.2-1", "QN-LINK-3.2-2", "QN-LINK-1.1-6", "QN-LINK-5.1-2")
def batches_in_memory(trial: Trial) -> None:
    """Atomic requests: in full, cut off by a deadline, cancelled half-way."""
    trial.needs("atomic")
    random = trial.random("batches")
    for fields, cancel in (
        ({}, 0),
        ({"max_time": 40 * CYCLE}, 0),
        ({}, 1 + random.below(8 * CYCLE)),
    ):
        if not trial.offers(fields):
            continue
        bench = trial.bench(memory=(4, 4))
        if fields:
            bench.matter.luck.success = lambda run: 1 if run == 1 else 10_000
        request = bench.create(0, ENDS[random.below(2)], "1", 3, atomic=True, **fields)
        if cancel:
            bench.ask(cancel, ENDS[random.below(2)], service.Cancel(request))
        bench.run()
        for node in ENDS:
            count = len(bench.heard(node, service.Ok))
            whole = count == 3 if not fields and not cancel else count in (0, 3)
            trial.check("QN-LINK-3.2-2", whole, f"{count} of a batch of 3 at {node}, {fields}")
            if not fields and not cancel:
                trial.check("QN-LINK-1.1-6", count == 3, f"{count} of 3 pairs at {node}")
        audit.safety(bench, trial.check)
        audit.liveness(bench, trial.check)


@case("QN-LINK-3.2-3", "QN-LINK-4.1-2")
def consecutive_pairs(trial: Trial) -> None:
    """Competing requests on all schedulers that the protocol has."""
    trial.needs("consecutive")
    for parameters in _schedulers(trial):
        bench = trial.bench(protocol_parameters=parameters)
        whole = bench.create(0, ALICE, "1", 3, consecutive=True)
        bench.create(0, ALICE, "2", 3)
        bench.create(0, ENDS[1], "3", 3)
        bench.run()
        orders = [[ok.request for ok in bench.heard(node, PAIRS)] for node in ENDS]
        for node, order in zip(ENDS, orders, strict=True):
            places = [k for k, one in enumerate(order) if one == whole]
            together = places == list(range(places[0], places[0] + 3)) if places else False
            words = f"{parameters}: {node} hears {order}"
            trial.check("QN-LINK-3.2-3", together, words)
        trial.check("QN-LINK-4.1-2", orders[0] == orders[1], f"{parameters}: {orders}")


def _schedulers(trial: Trial) -> list[dict[str, Any]]:
    """Parameters for each scheduler that the protocol names, or none."""
    found: list[dict[str, Any]] = [{}]
    for name in ("priority", "wfq"):
        parameters = {"scheduler": name}
        try:
            msgspec.convert(parameters, trial.protocol.parameters)
        except (msgspec.ValidationError, ValueError):
            continue
        if "scheduler" in trial.protocol.parameters.__struct_fields__:
            found.append(parameters)
    return found


@case("QN-LINK-4.1-1", "QN-LINK-4.1-2")
def priorities(trial: Trial) -> None:
    """Requests that came together are served by priority, whoever made them."""
    chosen = [one for one in _schedulers(trial) if one.get("scheduler") == "priority"]
    if not chosen:
        raise NotApplicable("the protocol has no parameter scheduler = priority")
    random = trial.random("priorities")
    bench = trial.bench(protocol_parameters=chosen[0])
    wanted = {}
    for k in range(5):
        priority = random.below(4)
        origin = ENDS[random.below(2)]
        wanted[bench.create(0, origin, str(k), 2, priority=priority)] = priority
    bench.run()
    orders = [[ok.request for ok in bench.heard(node, PAIRS)] for node in ENDS]
    trial.check("QN-LINK-4.1-2", orders[0] == orders[1], f"{orders}")
    # The first request that is agreed may begin before the others are known.
    for order in orders:
        later = [wanted[one] for one in order[2:]]
        words = f"priorities in the order of service: {[wanted[one] for one in order]}"
        trial.check("QN-LINK-4.1-1", len(order) == 10 and _sorted_but_first(later), words)


def _sorted_but_first(values: list[int]) -> bool:
    return all(before <= after for before, after in pairwise(values))
