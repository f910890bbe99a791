"""Cases of networks: virtual circuits (section 9.1)."""

from __future__ import annotations

from typing import Any, Final

from qnet.ids import CircuitId, NodeId
from qnet.layers import link as service
from qnet.layers.link import ErrorCode
from qnet.layers.network import CircuitDown, CircuitUp, CloseCircuit, OpenCircuit
from qnet.testing.conformance.case import ENDS, at_once, case, code, delivered, endings
from qnet.testing.conformance.chain import WORN, Chain
from qnet.testing.conformance.service_requests import LONG, middles
from qnet.testing.conformance.services import NetworkTrial
from qnet.testing.conformance.stage import CYCLE, PURPOSE, other

LAYER: Final = "network"
ANSWERS: Final = (CircuitUp, CircuitDown)


def opened(bench: Chain, node: NodeId, **wishes: Any) -> CircuitId:
    """``node`` opens a circuit to the other end at one cycle."""
    circuit = CircuitId(f"{node}/c")
    fields = {"minimum_fidelity": 0.5, "purpose": PURPOSE} | wishes
    bench.ask(CYCLE, node, OpenCircuit(circuit, other(node), **fields))
    return circuit


def _answers(trial: NetworkTrial, bench: Chain, node: NodeId) -> list[Any]:
    """What was said of circuits; down once, and nothing after it."""
    found = bench.heard(node, ANSWERS)
    downs = [one for one in found if isinstance(one, CircuitDown)]
    right = len(downs) <= 1 and (not downs or found[-1] is downs[0])
    trial.check("QN-NETWORK-9.1-1", bool(found) and right, f"{node} hears {found}")
    return found


@case(
    "QN-NETWORK-9.1-1",
    "QN-NETWORK-9.1-2",
    "QN-NETWORK-9.1-5",
    "QN-NETWORK-9.1-6",
    "QN-NETWORK-5.1-2",
    layer=LAYER,
    trial=NetworkTrial,
)
def circuit_from_open_to_close(trial: NetworkTrial) -> None:
    """Requests over a circuit, together and one after another; it is closed with one open."""
    trial.needs("circuit")
    row = middles(trial)
    for head in ENDS:
        bench = trial.chain(middles=row)
        circuit = opened(bench, head)
        bench.run(40 * CYCLE)
        ups = [one for one in bench.heard(head, CircuitUp) if one.circuit == circuit]
        path = bench.row if head == bench.row[0] else bench.row[::-1]
        links = {plan.name for plan in bench.plans}
        right = bool(ups) and ups[0].nodes == path and set(ups[0].links) == links
        trial.check("QN-NETWORK-9.1-2", right, f"path {path}, {head} hears {ups}")
        served = [
            bench.create(at * CYCLE, head, str(at), 2, circuit=circuit) for at in (41, 42, 300)
        ]
        bench.run(LONG // 2)
        last = bench.create(LONG // 2 + CYCLE, head, "9", 200, circuit=circuit)
        bench.ask(LONG // 2 + 40 * CYCLE, head, CloseCircuit(circuit))
        bench.run()
        for node in ENDS:
            ended = endings(bench, node)
            for request in served:
                words = f"{request} over {circuit} ended at {node} with {ended.get(request)!r}"
                trial.check("QN-NETWORK-9.1-6", delivered(ended.get(request)) == 2, words)
            words = (
                f"{last}, open when {circuit} was closed, ended at {node} with {ended.get(last)!r}"
            )
            trial.check("QN-NETWORK-9.1-5", code(ended.get(last)) is not None, words)
        found = _answers(trial, bench, head)
        words = f"{head} hears {found}"
        trial.check("QN-NETWORK-9.1-5", isinstance(found[-1], CircuitDown), words)
        trial.audit(bench)


@case(
    "QN-NETWORK-9.1-1",
    "QN-NETWORK-9.1-3",
    "QN-NETWORK-9.1-4",
    "QN-NETWORK-9.1-7",
    "QN-NETWORK-9.1-8",
    layer=LAYER,
    trial=NetworkTrial,
    once=True,
)
def circuits_that_cannot_be(trial: NetworkTrial) -> None:
    """Too good, too fast, not accepted, not open."""
    trial.needs("circuit")
    for number, wanted, wishes in (
        ("9.1-3", ErrorCode.UNSUPP, {"minimum_fidelity": 0.95}),
        ("9.1-4", ErrorCode.NOTIME, {"rate_hz": 1e9}),
    ):
        bench = trial.chain(correlators=WORN)
        opened(bench, ENDS[0], **wishes)
        bench.run(LONG)
        found = _answers(trial, bench, ENDS[0])
        downs = [one for one in found if isinstance(one, CircuitDown)]
        right = len(downs) == 1 and downs[0].code == wanted and len(downs[0].detail) > 3
        right = right and downs[0].where in bench.row
        trial.check(f"QN-NETWORK-{number}", right, f"{wishes}: {ENDS[0]} hears {found}")
        trial.audit(bench)
    bench = trial.chain(correlators=WORN)
    circuit = opened(bench, ENDS[0], minimum_fidelity=0.3)
    request = bench.create(0, ENDS[0], "1", circuit=CircuitId("alice/none"))
    bench.run(60 * CYCLE)
    said = at_once(bench, request, ENDS[0])
    words = f"over a circuit that nobody opened: ended at once with {said!r}"
    trial.check("QN-NETWORK-9.1-7", isinstance(said, service.Err), words)
    best = (1.0 + sum(one ** (len(bench.row) - 1) for one in WORN)) / 4.0
    for up in bench.heard(ENDS[0], CircuitUp):
        words = f"{circuit} promises {up.goodness}, its links reach {best}"
        trial.check("QN-NETWORK-9.1-8", up.goodness <= best + 1e-9, words)
