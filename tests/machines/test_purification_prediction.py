"""What the machines claim, bit by bit, against circuits on density matrices; labels against all inputs."""

from __future__ import annotations

from itertools import product

import msgspec
import numpy as np
import pytest

from qnet.hardware import Operation as Timed
from qnet.hardware import Readout
from qnet.physics.bell import LABELS, state_correlators
from qnet.physics.gates import depolarising_from_fidelity
from qnet.units import Instant
from qnet_nodes.ideal import IDEAL
from qnet_protocols.purification import bbpssw, dejmps, double_selection, epl
from qnet_protocols.purification.circuit import ROTATIONS, labels_after, operations, rotation
from qnet_protocols.purification.prediction import Input, Side, predict
from tests.physics.circuits import pair
from tests.physics.purifying import relabelled, step

CIRCUITS = {
    module.PROTOCOL.name: module.CIRCUIT for module in (bbpssw, dejmps, double_selection, epl)
}
CLAIMS = ((0.8, 0.7, 0.9), (0.6, 0.65, 0.75), (0.9, 0.85, 0.8))
FLIPS = ((0.02, 0.07), (0.05, 0.01))


def processor(flips):
    return msgspec.structs.replace(
        IDEAL.platform,
        gate_1q=Timed(1e-6, 0.995),
        gate_2q=Timed(1e-6, 0.98),
        readout=Readout(1e-6, *flips),
    )


@pytest.mark.parametrize("name", CIRCUITS)
def test_claims_are_exact_for_the_bits_that_were_read(name: str) -> None:
    circuit = CIRCUITS[name]
    turns = (5, 10, 7)[: circuit.pairs] if circuit.twirl else ()
    labels = [(1, 0), (1, 1), (0, 1)][: circuit.pairs]
    ops = operations(circuit, turns)
    kept_label, parities = labels_after(ops, labels)
    noise = (depolarising_from_fidelity(0.995, 1), depolarising_from_fidelity(0.98, 2))
    claims = CLAIMS[: circuit.pairs]
    inputs = [relabelled(pair(claim), label) for claim, label in zip(claims, labels, strict=True)]
    found = step(ops, inputs, noise, FLIPS)
    assert sum(np.trace(state).real for state in found.values()) == pytest.approx(1.0)
    zero, until = Instant(0), Instant(10**9)
    for (one, two), state in found.items():
        sides = tuple(
            Side(processor(flips), ("communication",) * circuit.pairs, zero, bits)
            for flips, bits in zip(FLIPS, (one, two), strict=True)
        )
        told = predict(ops, [Input(claim, 0.0, zero) for claim in claims], sides, parities, until)
        prob = np.trace(state).real
        assert told.prob == pytest.approx(prob, abs=1e-12)
        truth = state_correlators(relabelled(state / prob, kept_label))
        assert told.correlators == pytest.approx(truth, abs=1e-9)
        assert told.error == 0.0


@pytest.mark.parametrize("name", CIRCUITS)
def test_labels_of_perfect_pairs(name: str) -> None:
    """All label inputs: the parities that they show and the Bell state that they leave."""
    circuit = CIRCUITS[name]
    turns = (6, 9, 0)[: circuit.pairs] if circuit.twirl else ()
    ops = operations(circuit, turns)
    some = list(product(LABELS, repeat=circuit.pairs))
    for labels in some[:: 1 if circuit.pairs == 2 else 21]:
        after, parities = labels_after(ops, labels)
        found = step(ops, [relabelled(pair((1.0, 1.0, 1.0)), label) for label in labels])
        for (one, two), state in found.items():
            prob = np.trace(state).real
            if prob < 1e-12:
                continue
            assert tuple(a ^ b for a, b in zip(one, two, strict=True)) == parities
            assert state_correlators(relabelled(state / prob, after)) == pytest.approx((1, 1, 1))


def test_the_twirl_makes_werner_states() -> None:
    """The mean over the twelve rotations: BBPSSW's assumption, PRL 76, 722."""
    sums = np.zeros(3)
    for number in range(ROTATIONS):
        ops = rotation(number, 0)
        label, _ = labels_after(ops, [(0, 0)])
        assert label == (0, 0)
        ((_, state),) = step(ops, [pair((0.9, 0.4, 0.2))]).items()
        sums += state_correlators(state)
    assert sums / ROTATIONS == pytest.approx([0.5, 0.5, 0.5])
