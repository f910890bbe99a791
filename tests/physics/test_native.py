"""Gates compiled to native ones against channels built in QuTiP from pulses and entanglers, angle by angle.

The pulses are written here as unitaries. Which of them a processor has to make is read off from their matrices:
those that are not the identity, or, where rotations about Z are virtual, not diagonal.
"""

from __future__ import annotations

import cmath
import math
from itertools import product

import msgspec
import numpy as np
import pytest
import qutip
from qutip.core import gates

from qnet.hardware import Operation
from qnet.ids import NodeId, OpId, SlotId
from qnet.physics.bell import density_matrix, werner
from qnet.physics.gates import average_from_process, depolarising_from_fidelity
from qnet.physics.native import bell_factors, compiled, pulse_factor, pulse_time
from qnet.physics.remote_gates import LocalNoise, average_fidelity
from qnet.program import Gate, Program
from qnet.units import Instant
from qnet.world.engine_qutip import QutipEngine
from qnet.world.store import Store
from tests.world.stores import PERFECT

ENTANGLERS = ("any", "CNOT", "CZ", "ZZ", "XX")
ONE, TWO, MOVE = Operation(3e-6, 0.991), Operation(20e-6, 0.97), Operation(50e-6, 0.998)
I2, X, Y, Z = (
    gate.full() for gate in (qutip.qeye(2), qutip.sigmax(), qutip.sigmay(), qutip.sigmaz())
)
PAULIS = {(0, 0): I2, (1, 0): X, (1, 1): Y, (0, 1): Z}
H = (X + Z) / math.sqrt(2)
IDEAL = {
    name: gate.full()
    for name, gate in (("CNOT", gates.cnot()), ("CZ", gates.cz_gate()), ("SWAP", gates.swap()))
}


def turn(letter, angle_rad):
    return math.cos(angle_rad / 2) * I2 - 1j * math.sin(angle_rad / 2) * letter


def pulses(entangler, gate):
    """Unitaries of (control, target) before and after the entangler, and the entangler, for CNOT and CZ."""
    back = turn(Z, -math.pi / 2)
    if entangler == "any":
        return (I2, I2), IDEAL[gate], (I2, I2)
    if entangler == "CNOT":
        before, native, after = (I2, I2), IDEAL["CNOT"], (I2, I2)
    elif entangler == "CZ":
        before, native, after = (I2, H), IDEAL["CZ"], (I2, H)
    elif entangler == "ZZ":
        native = _exponential(Z)
        before, after = (I2, H), (back, H @ back)
    else:
        native = _exponential(X)
        before, after = (H, I2), (back @ H, turn(X, -math.pi / 2))
    if gate == "CZ":
        before, after = (before[0], before[1] @ H), (after[0], H @ after[1])
    return before, native, after


def _exponential(letter):
    both = np.kron(letter, letter)
    return math.cos(math.pi / 4) * np.eye(4) - 1j * math.sin(math.pi / 4) * both


def sequence(entangler, gate):
    """Layers of pulses (a unitary for each qubit) with entanglers between them."""
    if gate != "SWAP":
        before, native, after = pulses(entangler, gate)
        return [before, native, after]
    before, native, after = pulses(entangler, "CNOT")
    turned = qutip.Qobj(native, dims=[[2, 2], [2, 2]]).permute([1, 0]).full()
    joined = (before[::-1][0] @ after[0], before[::-1][1] @ after[1])
    again = (before[0] @ after[::-1][0], before[1] @ after[::-1][1])
    return [before, native, joined, turned, again, native, after]


def is_pulse(unitary, virtual_z):
    if virtual_z:
        return abs(unitary[0, 1]) > 1e-12
    return abs(abs(np.trace(unitary)) - 2.0) > 1e-12


def superoperator(unitary):
    return qutip.to_super(qutip.Qobj(unitary, dims=[[2, 2], [2, 2]]))


def depolariser(places, share):
    """(1 - share) identity + share times the mean over all Paulis of those qubits."""
    letters = [PAULIS.values() if place in places else (I2,) for place in (0, 1)]
    words = [np.kron(a, b) for a, b in product(*letters)]
    mixed = sum(superoperator(word) for word in words) / len(words)
    return (1.0 - share) * superoperator(np.eye(4)) + share * mixed


def channel(platform, gate):
    """The noisy channel, the number of layers with a pulse, and the unitary, from the sequence above."""
    single = depolarising_from_fidelity(ONE.fidelity, 1)
    out, unitary, layers = superoperator(np.eye(4)), np.eye(4), 0
    if platform.transport is not None:
        moved = depolarising_from_fidelity(platform.transport.fidelity, 1)
        out = depolariser((0,), moved) * depolariser((1,), moved)
    for step in sequence(platform.entangler, gate):
        if not isinstance(step, tuple):
            unitary = step @ unitary
            share = depolarising_from_fidelity(TWO.fidelity, 2)
            out = depolariser((0, 1), share) * superoperator(step) * out
            continue
        unitary = np.kron(*step) @ unitary
        out = superoperator(np.kron(*step)) * out
        turned = [place for place in (0, 1) if is_pulse(step[place], platform.virtual_z)]
        layers += bool(turned)
        for place in turned:
            out = depolariser((place,), single) * out
    return out, layers, unitary


CASES = [
    (entangler, virtual_z, transport, gate)
    for entangler in ENTANGLERS
    for virtual_z in (False, True)
    for transport in (None, MOVE)
    for gate in ("CNOT", "CZ", "SWAP")
]


def processor(entangler, virtual_z, transport=None):
    return msgspec.structs.replace(
        PERFECT,
        communication_slots=4,
        gate_1q=ONE,
        gate_2q=TWO,
        entangler=entangler,
        virtual_z=virtual_z,
        transport=transport,
    )


@pytest.mark.parametrize(("entangler", "virtual_z", "transport", "gate"), CASES)
def test_a_compiled_gate_is_the_channel_of_its_pulses(entangler, virtual_z, transport, gate):
    platform = processor(entangler, virtual_z, transport)
    if entangler == "any" and gate == "SWAP":
        entangler_count, ideal = 3, superoperator(IDEAL["SWAP"])
        wanted, layers = depolariser((0, 1), 1.0 - (1.0 - 0.04) ** 3) * ideal, 0
        if transport:
            moved = depolarising_from_fidelity(transport.fidelity, 1)
            wanted = wanted * depolariser((0,), moved) * depolariser((1,), moved)
    else:
        entangler_count = 3 if gate == "SWAP" else 1
        wanted, layers, unitary = channel(platform, gate)
        phase = np.trace(unitary.conj().T @ IDEAL[gate]) / 4.0
        assert abs(phase) == pytest.approx(1.0)
        assert unitary * cmath.exp(1j * cmath.phase(phase)) == pytest.approx(IDEAL[gate])
    found = compiled(platform, gate)
    assert found.duration == entangler_count * 20_000_000 + layers * 3_000_000 + (
        50_000_000 if transport else 0
    )
    for paulis in list(product(PAULIS, repeat=2))[1:]:
        after = np.kron(PAULIS[paulis[0]], PAULIS[paulis[1]])
        before = IDEAL[gate].conj().T @ after @ IDEAL[gate]
        state = qutip.vector_to_operator(wanted * qutip.operator_to_vector(_operator(before)))
        left = np.trace(after @ state.full()).real / 4.0
        assert found.factor(paulis) == pytest.approx(left, abs=1e-9), paulis
    process = (superoperator(IDEAL[gate]).dag() * wanted).tr().real / 16.0
    assert _average_on_the_world(platform, gate) == pytest.approx(
        average_from_process(process, 2), abs=1e-9
    )
    words = list(product(PAULIS, repeat=2))
    mean = sum(found.factor(paulis) for paulis in words) / 16.0
    assert average_from_process(mean, 2) == pytest.approx(
        average_from_process(process, 2), abs=1e-9
    )


def _operator(matrix):
    return qutip.Qobj(matrix, dims=[[2, 2], [2, 2]])


def _average_on_the_world(platform, gate):
    """Average fidelity from the world's own state: the gate on halves of two perfect pairs."""
    node = NodeId("node")
    store = Store(QutipEngine(), {node: platform})
    perfect = density_matrix(werner(1.0))
    for here, there in ((0, 2), (1, 3)):
        store.create_pair((node, SlotId(here)), (node, SlotId(there)), perfect, Instant(0))
    steps = Program((Gate(gate, (SlotId(0), SlotId(1))),))
    done = store.run_program(node, OpId("gate"), steps, Instant(0), lambda: 0.5)
    assert done.ends_at == compiled(platform, gate).duration
    found = np.asarray(
        store.density_matrix([(node, SlotId(slot)) for slot in range(4)], done.ends_at)
    )
    ideal = np.kron(IDEAL[gate], np.eye(4)) @ np.eye(4).reshape(16) / 2.0
    return average_from_process((ideal.conj() @ found @ ideal).real, 2)


@pytest.mark.parametrize("virtual_z", [False, True])
def test_turns_about_z_are_free_only_where_they_are_virtual(virtual_z):
    platform = processor("CZ", virtual_z)
    for name in ("Z", "S", "SDG", "T", "TDG", "RZ"):
        assert pulse_time(platform, name) == (0 if virtual_z else 3_000_000)
        assert pulse_factor(platform, name) == pytest.approx(1.0 if virtual_z else 0.982)
    for name in ("I", "X", "Y", "H", "RX", "RY"):
        assert pulse_time(platform, name) == 3_000_000
        assert pulse_factor(platform, name) == pytest.approx(0.982)


def test_the_default_is_one_entangler_for_every_gate():
    platform = processor("any", virtual_z=False)
    assert compiled(platform, "CNOT").steps == (("CNOT", (0, 1), 0.96),)
    assert compiled(platform, "SWAP").steps == (("SWAP", (0, 1), 0.96**3),)
    assert bell_factors(platform) == pytest.approx((0.96 * 0.982, 0.96 * 0.982, 0.96))
    better = Operation(1e-6, 0.997)
    assert compiled(platform, "CNOT", better).steps == (("CNOT", (0, 1), pytest.approx(0.996)),)


@pytest.mark.parametrize("entangler", ENTANGLERS)
@pytest.mark.parametrize("gate", ["CNOT", "CZ", "SWAP"])
def test_the_noise_is_a_pauli_channel_with_these_chances(entangler, gate):
    found = compiled(processor(entangler, virtual_z=True, transport=MOVE), gate)
    chances = found.errors()
    assert sum(chances.values()) == pytest.approx(1.0)
    assert min(chances.values()) > -1e-12
    for word in chances:
        left = sum(
            chance
            * (-1) ** sum(e[0] * p[1] + e[1] * p[0] for e, p in zip(error, word, strict=True))
            for error, chance in chances.items()
        )
        assert left == pytest.approx(found.factor(word))


@pytest.mark.parametrize("gate", ["CNOT", "CZ"])
def test_remote_gates_take_compiled_gates(gate):
    """With one entangler for all, a compiled gate is the depolarising one; with others it is worse."""
    pair = (0.9, 0.85, 0.95)
    plain = processor("any", virtual_z=True)
    noise = LocalNoise(depolarising_from_fidelity(TWO.fidelity, 2), (0.02, 0.05))
    ends = (
        noise._replace(gate=compiled(plain, "CNOT")),
        noise._replace(gate=compiled(plain, gate)),
    )
    wanted = average_fidelity(pair, gate, noise, noise)
    assert average_fidelity(pair, gate, *ends) == pytest.approx(wanted, abs=1e-12)
    pulsed = noise._replace(gate=compiled(processor("XX", virtual_z=True), "CNOT"))
    assert average_fidelity(pair, gate, pulsed, ends[1]) < wanted - 0.01
