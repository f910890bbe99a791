"""What is claimed of moved, swapped and purified pairs is what the world has: for processors of every kind.

Each seed draws three unlike processors: entangler, virtual Z, fidelities, durations, memories with finite T2,
unlike couplings and transport. T1 is infinite, for which claims are exact.
"""

from __future__ import annotations

import math
from itertools import combinations

import msgspec
import numpy as np
import pytest

from qnet.hardware import Coherence, Coupling, Operation, Readout
from qnet.ids import OpId, SlotId
from qnet.physics.bell import density_matrix, label_xor, state_correlators, weights_from_correlators
from qnet.physics.claims import Hardware
from qnet.physics.moves import longest_move
from qnet.physics.native import pulse_factor, pulse_time
from qnet.physics.swapping import perfect_swap
from qnet.program import Gate, Initialise, Program, bell_measurement
from qnet.units import Instant
from qnet.world.engine_qutip import QutipEngine
from qnet.world.store import Store
from qnet_protocols.link.claims import Claim, transferred
from qnet_protocols.purification import bbpssw, dejmps, double_selection, epl
from qnet_protocols.purification.circuit import labels_after, operations, program
from qnet_protocols.purification.prediction import Input, Side, predict
from tests.physics.purifying import relabelled

from .stores import PERFECT, A, B, C

SEEDS = range(30)
ZERO = Instant(0)
CIRCUITS = (bbpssw.CIRCUIT, dejmps.CIRCUIT, double_selection.CIRCUIT, epl.CIRCUIT)


def gate(rng, lowest):
    return Operation(float(rng.integers(1, 50)) * 1e-6, float(rng.uniform(lowest, 1.0)))


def processor(rng, coupled="", slots=(2, 2)):
    """A random one; ``coupled``: "alike" or "unlike" gates between every two slots."""
    couplings = ()
    if coupled:
        same = gate(rng, 0.9)
        couplings = tuple(
            Coupling(both, gate(rng, 0.9) if coupled == "unlike" else same)
            for both in combinations(range(sum(slots)), 2)
        )
    return msgspec.structs.replace(
        PERFECT,
        communication_slots=slots[0],
        memory_slots=slots[1],
        communication=Coherence(math.inf, float(rng.uniform(1e-3, 1e-2))),
        memory=Coherence(math.inf, float(rng.uniform(1e-3, 1e-2))),
        gate_1q=gate(rng, 0.97),
        gate_2q=gate(rng, 0.9),
        initialise=gate(rng, 0.9),
        readout=Readout(20e-6, float(rng.uniform(0.0, 0.1)), float(rng.uniform(0.0, 0.1))),
        entangler=str(rng.choice(["any", "CNOT", "CZ", "ZZ", "XX"])),
        virtual_z=bool(rng.integers(2)),
        couplings=couplings,
        transport=gate(rng, 0.97) if rng.integers(2) else None,
    )


def some_pair(rng):
    """Correlators of a Bell-diagonal state."""
    weights = np.sort(rng.dirichlet([8.0, 1.0, 1.0, 1.0]))[::-1]
    p00, p01, p10, p11 = (float(one) for one in weights)
    return (p00 + p10 - p01 - p11, p00 + p11 - p01 - p10, p00 + p01 - p10 - p11)


def matrix(correlators):
    return density_matrix(weights_from_correlators(correlators))


def world(**platforms):
    return Store(
        QutipEngine(), {{"a": A, "b": B, "c": C}[name]: one for name, one in platforms.items()}
    )


def moved(store, node, first, second):
    steps = (Initialise(SlotId(second)), Gate("SWAP", (SlotId(first), SlotId(second))))
    return store.run_program(node, OpId(f"move {node}"), Program(steps), ZERO, lambda: 0.5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("coupled", ["", "alike"])
def test_claim_of_a_pair_moved_to_memory_is_the_truth(seed, coupled):
    rng = np.random.default_rng([1, seed])
    ends = (processor(rng, coupled), processor(rng, coupled))
    store = world(a=ends[0], b=ends[1])
    before = some_pair(rng)
    store.create_pair((A, SlotId(0)), (B, SlotId(1)), matrix(before), ZERO)
    moved(store, A, 0, 2)
    moved(store, B, 1, 3)
    done = Instant(max(map(longest_move, ends)))
    truth = store.density_matrix([(A, SlotId(2)), (B, SlotId(3))], done)
    said = transferred(Claim(before, (1 + sum(before)) / 4, 0.0), ends, 0)
    assert said.correlators == pytest.approx(state_correlators(truth), abs=1e-9)
    assert said.goodness == pytest.approx(
        store.bell_fidelity((A, SlotId(2)), (B, SlotId(3)), (0, 0), done), abs=1e-9
    )
    assert said.error == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_claim_of_a_move_over_unlike_couplings_is_the_truth_within_its_error(seed):
    rng = np.random.default_rng([2, seed])
    ends = (processor(rng, "unlike"), processor(rng))
    before = some_pair(rng)
    said = transferred(Claim(before, (1 + sum(before)) / 4, 0.0), ends, 0)
    assert 0.0 < said.error < 0.2
    done = Instant(max(map(longest_move, ends)))
    for first, second in ((0, 2), (0, 3), (1, 2), (1, 3)):
        store = world(a=ends[0], b=ends[1])
        store.create_pair((A, SlotId(first)), (B, SlotId(1)), matrix(before), ZERO)
        moved(store, A, first, second)
        moved(store, B, 1, 3)
        truth = store.bell_fidelity((A, SlotId(second)), (B, SlotId(3)), (0, 0), done)
        assert abs(truth - said.goodness) <= said.error


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("slots", [(0, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("coupled", ["", "unlike"])
def test_claim_of_a_swapped_pair_is_the_truth(seed, slots, coupled):
    rng = np.random.default_rng([3, seed])
    middle = processor(rng, coupled)
    store = world(a=PERFECT, b=middle, c=PERFECT)
    pairs = some_pair(rng), some_pair(rng)
    store.create_pair((A, SlotId(0)), (B, SlotId(slots[0])), matrix(pairs[0]), ZERO)
    store.create_pair((B, SlotId(slots[1])), (C, SlotId(0)), matrix(pairs[1]), ZERO)
    start = Instant(100_000_000)
    steps = bell_measurement(*map(SlotId, slots))
    done = store.run_program(B, OpId("swap"), steps, start, lambda: float(rng.random()))
    phase, parity = done.outcomes
    noise = Hardware(middle).swap(
        (SlotId(slots[0]), ZERO), (SlotId(slots[1]), ZERO), start, (phase, parity)
    )
    said = perfect_swap(perfect_swap(*pairs), noise.factors)
    truth = store.density_matrix([(A, SlotId(0)), (C, SlotId(0))], done.ends_at)
    truth = relabelled(np.asarray(truth), label_xor((0, 0), (parity, phase)))
    assert said == pytest.approx(state_correlators(truth), abs=1e-9)
    assert noise.stray == 1.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("circuit", CIRCUITS, ids=["bbpssw", "dejmps", "double-selection", "epl"])
def test_claim_of_a_purified_pair_is_the_truth(seed, circuit):
    rng = np.random.default_rng([4, seed])
    coupled = "alike" if seed % 2 else ""
    ends = (processor(rng, coupled, (1, 2)), processor(rng, coupled, (1, 2)))
    store = world(a=ends[0], b=ends[1])
    turns = tuple(int(one) for one in rng.integers(12, size=circuit.pairs)) if circuit.twirl else ()
    ops = operations(circuit, turns)
    kept_label, parities = labels_after(ops, [(0, 0)] * circuit.pairs)
    claims = [some_pair(rng) for _ in range(circuit.pairs)]
    for slot, claim in enumerate(claims):
        store.create_pair((A, SlotId(slot)), (B, SlotId(slot)), matrix(claim), ZERO)
    slots = [SlotId(slot) for slot in range(circuit.pairs)]
    sides = []
    for side, (node, platform) in enumerate(zip((A, B), ends, strict=True)):
        start = Instant(int(rng.integers(0, 100)) * 1_000_000)
        steps = program(ops, slots, side)
        done = store.run_program(node, OpId("purify"), steps, start, lambda: float(rng.random()))
        roles = tuple(platform.role_of(slot) for slot in slots)
        sides.append((Side(platform, roles, start, done.outcomes), done.ends_at))
    until = Instant(max(ends_at for _, ends_at in sides) + 5_000_000)
    inputs = [Input(claim, 0.0, ZERO) for claim in claims]
    told = predict(ops, inputs, (sides[0][0], sides[1][0]), parities, until)
    truth = np.asarray(store.density_matrix([(A, SlotId(0)), (B, SlotId(0))], until))
    assert told.correlators == pytest.approx(
        state_correlators(relabelled(truth, kept_label)), abs=1e-9
    )
    assert told.error == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_final_pauli_gate_costs_what_is_claimed(seed):
    rng = np.random.default_rng([5, seed])
    end = msgspec.structs.replace(processor(rng), communication=Coherence())
    for name, label in (("X", (1, 0)), ("Z", (0, 1)), ("Y", (1, 1))):
        store = world(a=end, b=PERFECT)
        before = some_pair(rng)
        store.create_pair((A, SlotId(0)), (B, SlotId(0)), matrix(before), ZERO)
        steps = Program((Gate(name, (SlotId(0),)),))
        done = store.run_program(A, OpId("turn"), steps, ZERO, lambda: 0.5)
        assert done.ends_at == pulse_time(end, name)
        truth = store.bell_fidelity((A, SlotId(0)), (B, SlotId(0)), label, done.ends_at)
        assert truth == pytest.approx((1 + pulse_factor(end, name) * sum(before)) / 4, abs=1e-9)
        (factor, *_) = Hardware(end).corrector.noise(name).factors
        assert factor == pytest.approx(pulse_factor(end, name), abs=1e-12)
