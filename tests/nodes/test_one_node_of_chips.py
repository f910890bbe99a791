"""Twelve chips as one processor: its couplings, their gates, and GHZ states of ten qubits over two chips.

The independent run holds one matrix of 2^10 rows, in which all qubits that are entangled decay in every step,
and gates are pulses and a CZ.
"""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median

import msgspec
import networkx as nx
import numpy as np
import pytest

from qnet import plugins
from qnet.hardware import Coherence, Operation
from qnet.ids import NodeId, OpId, SlotId
from qnet.physics.gates import depolarising_from_fidelity, fidelity_from_depolarising
from qnet.program import Gate, Initialise, Program
from qnet.runtime.run import RunOptions, run
from qnet.topology import load
from qnet.units import Instant
from qnet.world.engine_qutip import QutipEngine
from qnet.world.store import Store
from qnet_nodes.superconducting import chips
from qnet_protocols.apps.local_ghz import joining, preparation

FILE = Path(__file__).parents[2] / "deploy/topologies/chiplet-108-one-node.toml"
SHEET = plugins.find("qnet.platforms", "chiplets-108").platform
NODE = NodeId("qpu")
SLOTS = (5, 12, 4, 1, 7, 3, 13, 10, 16, 14)
"""Five on the first chip, five on the second; 5 and 12 face each other."""


def test_the_carrier_is_twelve_squares_of_nine_joined_in_three_rows_of_four():
    graph = nx.Graph([one.slots for one in SHEET.couplings])
    assert sorted(graph) == list(range(SHEET.slots)) == list(range(108))
    inner = [one for one in SHEET.couplings if one.slots[0] // 9 == one.slots[1] // 9]
    between = [one for one in SHEET.couplings if one not in inner]
    assert (len(inner), len(between)) == (144, 17)
    for chip in range(12):
        own = graph.subgraph(range(9 * chip, 9 * chip + 9))
        assert nx.is_isomorphic(own, nx.grid_2d_graph(3, 3))
    carrier = nx.Graph([(a // 9, b // 9) for a, b in (one.slots for one in between)])
    assert nx.is_isomorphic(carrier, nx.grid_2d_graph(3, 4))
    assert {one.gate.fidelity for one in between} == {0.983}


def test_a_carrier_of_another_shape():
    assert len(chips(1, 1, SHEET.gate_2q, SHEET.gate_2q)) == 12
    assert [one.slots for one in chips(1, 2, SHEET.gate_2q, SHEET.gate_2q)][12:13] == [(5, 12)]
    assert [one.slots for one in chips(2, 1, SHEET.gate_2q, SHEET.gate_2q)][12:13] == [(7, 10)]


def test_the_median_of_benchmarked_gates_is_that_of_the_vendor():
    """Each coupling is benchmarked by a train of CZ, which shrinks |00><00| - I/4 by 1 - lambda each."""
    quiet = msgspec.structs.replace(
        SHEET,
        communication=Coherence(),
        memory=Coherence(),
        initialise=Operation(1e-6),
        gate_1q=Operation(40e-9),
    )
    store = Store(QutipEngine(), {NODE: quiet})
    found = []
    for number, one in enumerate(quiet.couplings):
        slots = tuple(map(SlotId, one.slots))
        steps = [*map(Initialise, slots), *(Gate("CZ", slots) for _ in range(20))]
        at = Instant(number * 10_000_000)
        done = store.run_program(NODE, OpId(f"rb {number}"), Program(tuple(steps)), at, float)
        places = [(NODE, slot) for slot in slots]
        survived = store.density_matrix(places, done.ends_at)[0, 0].real
        mixing = 1.0 - ((survived - 0.25) / 0.75) ** (1 / 20)
        found.append(fidelity_from_depolarising(mixing, 2))
        for slot in slots:
            store.discard(NODE, slot, done.ends_at)
    assert found == pytest.approx([one.gate.fidelity for one in quiet.couplings], abs=1e-9)
    assert median(found) == pytest.approx(0.995, abs=0.0005)


def mixed(rho, qubits, share):
    """Depolarising noise: axis q of ``rho`` is the row bit of qubit q, axis 10 + q its column bit."""
    count, axes = rho.ndim // 2, list(qubits)
    axes += [count + one for one in qubits]
    front = np.moveaxis(rho, axes, range(len(axes)))
    size = 2 ** len(qubits)
    block = front.reshape(size, size, -1)
    block = (1 - share) * block + share / size * np.einsum("iik,jl->jlk", block, np.eye(size))
    return np.moveaxis(block.reshape(front.shape), range(len(axes)), axes)


def turned(rho, qubits, matrix):
    """A unitary on some qubits."""
    count = rho.ndim // 2
    size = len(qubits)
    wide = matrix.reshape((2,) * (2 * size))
    rho = np.tensordot(wide, rho, (range(size, 2 * size), qubits))
    rho = np.moveaxis(rho, range(size), qubits)
    columns = [count + one for one in qubits]
    rho = np.tensordot(wide.conj(), rho, (range(size, 2 * size), columns))
    return np.moveaxis(rho, range(size), columns)


def decayed(rho, qubit, time_s):
    """Decay towards |0>."""
    count = rho.ndim // 2
    lost = -math.expm1(-time_s / SHEET.memory.t1_s)
    coherence = math.exp(-time_s / SHEET.memory.t2_s)
    rho = np.moveaxis(rho, (qubit, count + qubit), (0, 1)).copy()
    rho[0, 0] += lost * rho[1, 1]
    rho[1, 1] *= 1 - lost
    rho[0, 1] *= coherence
    rho[1, 0] *= coherence
    return np.moveaxis(rho, (0, 1), (qubit, count + qubit))


def independently(slots):
    """GHZ fidelity of fresh imperfect qubits after H and CNOTs along the joins of the state."""
    hadamard = np.array([[1, 1], [1, -1]]) / math.sqrt(2)
    single = depolarising_from_fidelity(0.999, 1)
    start = 1 - depolarising_from_fidelity(0.99, 1) / 2
    count = len(slots)
    rho = np.zeros((2,) * (2 * count), dtype=complex)
    for bits in np.ndindex((2,) * count):
        rho[bits + bits] = math.prod(1 - start if bit else start for bit in bits)

    def wait(rho, time_s):
        for qubit in range(count):
            rho = decayed(rho, qubit, time_s)
        return rho

    rho = mixed(turned(wait(rho, 40e-9), [0], hadamard), [0], single)
    place = {slot: index for index, slot in enumerate(slots)}
    for control, target in joining(SHEET, slots):
        pair, fidelity = [place[control], place[target]], 0.995
        if control // 9 != target // 9:
            fidelity = 0.983
        rho = wait(rho, 40e-9 + 70e-9 + 40e-9)
        rho = mixed(turned(rho, pair[1:], hadamard), pair[1:], single)
        rho = mixed(
            turned(rho, pair, np.diag([1, 1, 1, -1])), pair, depolarising_from_fidelity(fidelity, 2)
        )
        rho = mixed(turned(rho, pair[1:], hadamard), pair[1:], single)
    rho = rho.reshape(2**count, 2**count)
    return (rho[0, 0] + rho[-1, -1] + rho[0, -1] + rho[-1, 0]).real / 2


def on_the_world(slots):
    """The same from the store: slots are initialised one after another, and so wait for each other in |0>."""
    store = Store(QutipEngine(), {NODE: SHEET})
    start = Instant(100_000_000)
    for slot in slots:
        began = Instant(start - 1_000_000)
        fresh = Program((Initialise(SlotId(slot)),))
        store.run_program(NODE, OpId(f"fresh {slot}"), fresh, began, float)
    done = store.run_program(NODE, OpId("ghz"), preparation(SHEET, slots), start, float)
    places = [(NODE, SlotId(slot)) for slot in slots]
    rho = np.asarray(store.density_matrix(places, done.ends_at))
    return (rho[0, 0] + rho[-1, -1] + rho[0, -1] + rho[-1, 0]).real / 2, done.ends_at - start


@pytest.mark.slow
def test_ghz_over_two_chips_is_that_of_an_independent_run():
    found, took = on_the_world(SLOTS)
    assert took == 40_000 + 9 * 150_000
    assert found == pytest.approx(independently(SLOTS), abs=1e-9)
    assert 0.6 < found < 0.9


@pytest.mark.slow
def test_the_application_finds_the_fidelity_of_the_state():
    slots = (5, 12, 4, 13)
    plan = load(FILE, [f"app.slots={list(slots)}", "app.rounds=400"])
    outcome = run(plan, RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    found = outcome.summary["app"]["results"]["qpu"]["result"]["fidelity"]
    wanted, _ = on_the_world(slots)
    assert independently(slots) == pytest.approx(wanted, abs=1e-9)
    assert abs(found["value"] - wanted) < 3 * found["stderr"] < 0.15
