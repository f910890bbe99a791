"""Platforms, stores and one-line commands for the tests of the quantum store."""

from __future__ import annotations

import math

import msgspec

from qnet.hardware import Coherence, Emission, Operation, Platform, Readout
from qnet.ids import NodeId, OpId, SlotId
from qnet.physics import bell
from qnet.program import Gate, Program
from qnet.units import Instant
from qnet.world.engine_qutip import QutipEngine
from qnet.world.store import Store

PERFECT = Platform(
    species="test",
    communication_slots=2,
    memory_slots=2,
    communication=Coherence(),
    memory=Coherence(),
    gate_1q=Operation(1e-6),
    gate_2q=Operation(10e-6),
    initialise=Operation(5e-6),
    readout=Readout(100e-6),
    emission=Emission(1e-6, 0.1, 1e-6),
)
NOISY = msgspec.structs.replace(
    PERFECT,
    communication=Coherence(2.0, 0.5),
    memory=Coherence(math.inf, 3.0),
    gate_1q=Operation(1e-6, 0.995),
    gate_2q=Operation(10e-6, 0.97),
    initialise=Operation(5e-6, 0.99),
    readout=Readout(100e-6, 0.02, 0.05),
)
A, B, C = NodeId("alice"), NodeId("bob"), NodeId("carol")
PHI = bell.density_matrix(bell.werner(1.0))
US = 1_000_000


def make(platform=PERFECT, cap=10, nodes=(A, B, C)):
    return Store(QutipEngine(), dict.fromkeys(nodes, platform), cap)


def pair(store, first, second, weights=None, at=0):
    state = bell.density_matrix(weights or bell.werner(1.0))
    store.create_pair(first, second, state, Instant(at))


def run(store, node, *steps, op="op/1", at=0, uniform=lambda: 0.5):
    return store.run_program(node, OpId(op), Program(steps), Instant(at), uniform)


def gate(name, *slots, angle=None, when=()):
    return Gate(name, tuple(SlotId(s) for s in slots), angle, when)


def snapshot(store, at=10**9):
    """Everything a command could change, for "nothing moved" checks."""
    clusters = {place: store.cluster_of(*place) for place in store.occupied()}
    states = {
        members: store.density_matrix(members, Instant(at)).tobytes()
        for members in clusters.values()
    }
    return store.occupied(), store.reserved(), clusters, states
