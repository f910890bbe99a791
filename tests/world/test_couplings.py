"""Slots that do not interact: the world refuses their gates, programs go detours, and routes are the best ones."""

from __future__ import annotations

import itertools

import msgspec
import networkx as nx
import numpy as np
import pytest

from qnet.couplings import chain, graph, routed
from qnet.errors import IllegalProgram, LocalProtocolError
from qnet.hardware import Coupling, Operation
from qnet.ids import SlotId
from qnet.physics.gates import process_from_average
from qnet.physics.native import compiled
from qnet.program import Gate, Initialise, Measure, Program

from .stores import PERFECT, A, gate, make, run, snapshot

FAST, GOOD = Operation(1e-6, 0.99), Operation(2e-6, 0.999)


def coupled(*edges, slots=6, **changes):
    """A processor with these couplings, each (slot, slot, gate)."""
    couplings = tuple(Coupling((a, b), one) for a, b, one in edges)
    return msgspec.structs.replace(
        PERFECT, communication_slots=1, memory_slots=slots - 1, couplings=couplings, **changes
    )


LINE = coupled((0, 1, FAST), (1, 2, FAST), (2, 3, FAST), (3, 4, FAST))


def test_a_gate_on_slots_that_do_not_interact_is_refused_with_the_way_that_there_is():
    store = make(LINE)
    run(store, A, *(Initialise(SlotId(slot)) for slot in range(6)))
    before = snapshot(store)
    text = (
        r"instruction 1: CNOT on alice needs two slots that interact, got 0 and 3: 0 interacts with \[1\], "
        r"3 interacts with \[2, 4\]; shortest chain 0-1-2-3"
    )
    with pytest.raises(IllegalProgram, match=text):
        run(store, A, gate("H", 0), gate("CNOT", 0, 3), op="op/2", at=10**9)
    assert snapshot(store) == before
    with pytest.raises(IllegalProgram, match=r"5 interacts with none; shortest chain none"):
        run(store, A, gate("CZ", 0, 5), op="op/3", at=10**9)
    assert snapshot(store) == before
    run(store, A, gate("CNOT", 1, 0), op="op/4", at=10**9)


def test_every_coupling_has_a_gate_of_its_own():
    machine = coupled((0, 1, FAST), (2, 1, GOOD), entangler="CZ")
    store = make(machine)
    run(store, A, *(Initialise(SlotId(slot)) for slot in range(3)))
    at = 10**9
    for number, (slots, own) in enumerate((((0, 1), FAST), ((1, 0), FAST), ((1, 2), GOOD))):
        done = run(store, A, gate("CNOT", *slots), op=f"gate {number}", at=at)
        assert done.ends_at - at == compiled(machine, "CNOT", own).duration
        at = done.ends_at
    assert machine.gate_between(2, 1) == GOOD
    assert machine.gate_between(0, 2) is None


def flat(program):
    return [
        (step.name, *step.slots) if isinstance(step, Gate) else (type(step).__name__, step.slot)
        for step in program.instructions
    ]


def test_a_routed_program_brings_qubits_together_and_back():
    wanted = Program(
        (gate("H", 0), gate("CNOT", 0, 3), gate("H", 1), gate("CNOT", 1, 2), Measure(SlotId(3)))
    )
    assert flat(routed(LINE, wanted)) == [
        ("H", 0),
        ("SWAP", 0, 1),
        ("SWAP", 1, 2),
        ("CNOT", 2, 3),
        ("SWAP", 1, 2),
        ("SWAP", 0, 1),
        ("H", 1),
        ("CNOT", 1, 2),
        ("Measure", 3),
    ]
    assert routed(PERFECT, wanted) is wanted


def test_a_way_through_empty_slots_needs_spare_ones_which_are_initialised_once():
    wanted = Program((gate("CNOT", 0, 2), gate("CZ", 0, 2)))
    with pytest.raises(
        LocalProtocolError, match=r"shortest chain 0-1-2; the program may use the slots \[0, 2\]"
    ):
        routed(LINE, wanted)
    assert flat(routed(LINE, wanted, [SlotId(1)])) == [
        ("Initialise", 1),
        ("SWAP", 0, 1),
        ("CNOT", 1, 2),
        ("SWAP", 0, 1),
        ("SWAP", 0, 1),
        ("CZ", 1, 2),
        ("SWAP", 0, 1),
    ]


def test_a_slot_that_the_program_initialises_later_is_no_way_yet():
    late = Program((gate("CNOT", 0, 2), Initialise(SlotId(1)), gate("CNOT", 0, 2)))
    with pytest.raises(LocalProtocolError):
        routed(LINE, late)
    soon = Program((Initialise(SlotId(1)), gate("CNOT", 0, 2)))
    assert flat(routed(LINE, soon))[:2] == [("Initialise", 1), ("SWAP", 0, 1)]


def test_the_swaps_of_a_conditional_gate_are_conditional():
    wanted = Program((Measure(SlotId(1)), gate("CNOT", 0, 2, when=(0,))))
    assert [step.when for step in routed(LINE, wanted).instructions[1:]] == [(0,)] * 3


@pytest.mark.parametrize("seed", range(20))
def test_the_way_is_the_cheapest_of_all(seed):
    rng = np.random.default_rng(seed)
    edges = [
        (a, b, Operation(1e-6, float(rng.uniform(0.9, 1.0))))
        for a, b in itertools.combinations(range(7), 2)
        if rng.random() < 0.45
    ]
    machine = coupled(*edges, slots=7)
    every = nx.Graph([(a, b) for a, b, _ in edges])
    found = chain(graph(machine), 0, 6)
    if 0 not in every or 6 not in every or not nx.has_path(every, 0, 6):
        assert found == ()
        return

    def kept(way):
        chances = [
            process_from_average(machine.gate_between(a, b).fidelity, 2)
            for a, b in itertools.pairwise(way)
        ]
        return np.prod(chances[:-1]) ** 6 * chances[-1]

    best = max(kept(way) for way in nx.all_simple_paths(every, 0, 6))
    assert kept(found) == pytest.approx(best)


def test_of_equally_good_ways_the_shortest_and_then_the_first_is_taken():
    perfect = Operation(1e-6)
    machine = coupled(
        *((a, b, perfect) for a, b in ((0, 1), (1, 2), (2, 5), (0, 4), (4, 5), (0, 3), (3, 5)))
    )
    assert chain(graph(machine), 0, 5) == (0, 3, 5)


@pytest.mark.parametrize("seed", range(10))
def test_a_routed_program_does_what_the_program_does(seed):
    """Random programs on a line of perfect gates against the same on a processor where all slots interact."""
    rng = np.random.default_rng([7, seed])
    perfect = Operation(1e-6)
    line = coupled(*((slot, slot + 1, perfect) for slot in range(4)), slots=5)
    free = msgspec.structs.replace(line, couplings=())
    steps = [Initialise(SlotId(slot)) for slot in (0, 1, 3, 4)]
    for _ in range(8):
        steps.append(gate("RX", int(rng.choice([0, 1, 3, 4])), angle=float(rng.uniform(0.1, 3.0))))
        name = str(rng.choice(["CNOT", "CZ", "SWAP"]))
        steps.append(gate(name, *map(int, rng.choice([0, 1, 3, 4], 2, replace=False))))
    program = Program(tuple(steps))
    states = []
    for machine in (line, free):
        store = make(machine)
        done = run(store, A, *routed(machine, program, [SlotId(2)]).instructions)
        states.append(store.density_matrix([(A, slot) for slot in (0, 1, 3, 4)], done.ends_at))
    assert np.allclose(*states, atol=1e-9)
