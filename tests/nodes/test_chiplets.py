"""Ten qubits of two chiplets in one GHZ state: the world's run against an independent density matrix.

One imperfect pair joins the chiplets; each then adds four qubits by a chain of noisy CNOTs, while all others
decay. The independent run holds one matrix of 2^10 rows and decays every qubit in every step.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from qnet import plugins
from qnet.hardware import Operation
from qnet.ids import NodeId, OpId, SlotId
from qnet.physics.bell import density_matrix, werner
from qnet.physics.gates import depolarising_from_fidelity
from qnet.program import Gate, Initialise, Program
from qnet.units import Instant, duration_from_s
from qnet.world.engine_qutip import QutipEngine
from qnet.world.store import Store

LEFT, RIGHT = NodeId("left"), NodeId("right")
PER_CHIPLET, QUBITS = 5, 10
PAIR = density_matrix(werner(0.97))
SHEET = plugins.find("qnet.platforms", "chiplet-9").platform
CHIPLET = msgspec.structs.replace(
    SHEET, initialise=Operation(SHEET.initialise.duration_s, fidelity=1.0)
)
"""The chiplet of the sheet, but that it begins in |0>."""


def on_the_world():
    """The state of both chiplets' first five slots."""
    store = Store(QutipEngine(), {LEFT: CHIPLET, RIGHT: CHIPLET})
    ready_s = CHIPLET.initialise.duration_s * (PER_CHIPLET - 1)
    start = Instant(duration_from_s(ready_s))
    for node in (LEFT, RIGHT):
        fresh = Program(tuple(Initialise(SlotId(slot)) for slot in range(1, PER_CHIPLET)))
        store.run_program(node, OpId("fresh"), fresh, Instant(0), lambda: 0.5)
    store.create_pair((LEFT, SlotId(0)), (RIGHT, SlotId(0)), PAIR, start, start)
    chain = [Gate("CNOT", (SlotId(k), SlotId(k + 1))) for k in range(PER_CHIPLET - 1)]
    for node in (LEFT, RIGHT):
        done = store.run_program(node, OpId("chain"), Program(tuple(chain)), start, lambda: 0.5)
    places = [(node, SlotId(k)) for node in (LEFT, RIGHT) for k in range(PER_CHIPLET)]
    return np.asarray(store.density_matrix(places, done.ends_at))


def decayed(rho, qubit, time_s):
    """Cold-bath T1/T2 decay of one qubit, written out for the four elements of its block."""
    times = CHIPLET.communication if qubit % PER_CHIPLET == 0 else CHIPLET.memory
    lost, coherence = -math.expm1(-time_s / times.t1_s), math.exp(-time_s / times.t2_s)
    rho = np.moveaxis(rho, (qubit, QUBITS + qubit), (0, 1)).copy()
    rho[0, 0] += lost * rho[1, 1]
    rho[1, 1] *= 1.0 - lost
    rho[0, 1] *= coherence
    rho[1, 0] *= coherence
    return np.moveaxis(rho, (0, 1), (qubit, QUBITS + qubit))


def cnot(rho, control, target, mixing):
    """A CZ between two turns of the target: CNOT, with depolarising noise after each of the three pulses."""
    single = depolarising_from_fidelity(CHIPLET.gate_1q.fidelity, 1)
    rho = mixed(rho, target, single)
    axes = (control, target, QUBITS + control, QUBITS + target)
    rho = np.moveaxis(rho, axes, (0, 1, 2, 3)).copy()
    rho[1] = rho[1, ::-1].copy()
    rho[:, :, 1] = rho[:, :, 1, ::-1].copy()
    mean = sum(rho[i, j, i, j] for i in (0, 1) for j in (0, 1)) / 4.0
    rho *= 1.0 - mixing
    for i in (0, 1):
        for j in (0, 1):
            rho[i, j, i, j] += mixing * mean
    return mixed(np.moveaxis(rho, (0, 1, 2, 3), axes), target, single)


def mixed(rho, qubit, mixing):
    """Depolarising noise on one qubit."""
    rho = np.moveaxis(rho, (qubit, QUBITS + qubit), (0, 1)).copy()
    mean = (rho[0, 0] + rho[1, 1]) / 2.0
    rho *= 1.0 - mixing
    rho[0, 0] += mixing * mean
    rho[1, 1] += mixing * mean
    return np.moveaxis(rho, (0, 1), (qubit, QUBITS + qubit))


def independently():
    """The same with one matrix of all qubits; fresh qubits in |0> do not change while they wait."""
    rho = np.zeros((2,) * (2 * QUBITS), dtype=complex)
    for row in range(4):
        for column in range(4):
            index = [0] * (2 * QUBITS)
            index[0], index[PER_CHIPLET] = divmod(row, 2)
            index[QUBITS], index[QUBITS + PER_CHIPLET] = divmod(column, 2)
            rho[tuple(index)] = PAIR[row][column]
    mixing = depolarising_from_fidelity(CHIPLET.gate_2q.fidelity, 2)
    for step in range(PER_CHIPLET - 1):
        for qubit in range(QUBITS):
            rho = decayed(rho, qubit, 2 * CHIPLET.gate_1q.duration_s + CHIPLET.gate_2q.duration_s)
        for first in (0, PER_CHIPLET):
            rho = cnot(rho, first + step, first + step + 1, mixing)
    return rho.reshape(2**QUBITS, 2**QUBITS)


def ghz_fidelity(rho):
    return (rho[0, 0] + rho[-1, -1] + rho[0, -1] + rho[-1, 0]).real / 2.0


def test_ghz_over_two_chiplets_is_that_of_an_independent_run():
    found, wanted = on_the_world(), independently()
    assert np.trace(wanted).real == pytest.approx(1.0)
    assert np.abs(found - wanted).max() < 1e-9
    assert 0.8 < ghz_fidelity(found) < 0.97
