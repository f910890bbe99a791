"""Process fidelities of remote gates: closed sums against the Choi state of the whole circuit."""

from __future__ import annotations

import numpy as np
import pytest

from qnet.physics import remote_gates as rg
from qnet.physics.bell import correlators, fidelity_from_correlators, werner

from .circuits import HADAMARD, PAULIS, conjugate, controlled, depolarise, one, pair, read, reduced

PAIR = (0.9, 0.83, 0.88)
R1, R2, C, A, B, T = range(6)
"""References of control and target, then the four qubits of the gate."""


def simulated(gate, control, target) -> float:
    """Process fidelity as overlap of the Choi states."""
    bell = np.zeros((2, 2))
    bell[0, 0] = bell[1, 1] = np.sqrt(0.5)
    choi = np.einsum("ac,bd->abcd", bell, bell).reshape(-1)  # R1 R2 C T
    full = np.einsum("rsct,RSCT->rsctRSCT", choi.reshape((2,) * 4), choi.reshape((2,) * 4))
    state = np.einsum("rsctRSCT,abAB->rscabtRSCABT", full, pair(PAIR).reshape((2,) * 4))
    rho = state.reshape(64, 64).astype(complex)
    rho = conjugate(rho, controlled(6, C, A, "X"))
    rho = depolarise(rho, 6, C, A, control.depolarising)
    rho = sum(
        conjugate(after, one(6, B, PAULIS["X"])) if bit else after
        for bit, after in read(rho, 6, A, control.flips)
    )
    rho = conjugate(rho, controlled(6, B, T, "X" if gate == "CNOT" else "Z"))
    rho = depolarise(rho, 6, B, T, target.depolarising)
    rho = conjugate(rho, one(6, B, HADAMARD))
    rho = sum(
        conjugate(after, one(6, C, PAULIS["Z"])) if bit else after
        for bit, after in read(rho, 6, B, target.flips)
    )
    wanted = controlled(4, 2, 3, "X" if gate == "CNOT" else "Z") @ choi
    return float((wanted.conj() @ reduced(rho, 6, [R1, R2, C, T]) @ wanted).real)


@pytest.mark.parametrize("gate", ["CNOT", "CZ"])
@pytest.mark.parametrize(
    ("control", "target"),
    [
        (rg.PERFECT, rg.PERFECT),
        (rg.LocalNoise(0.06), rg.PERFECT),
        (rg.PERFECT, rg.LocalNoise(0.08)),
        (rg.LocalNoise(0.0, (0.02, 0.05)), rg.LocalNoise(0.0, (0.01, 0.0))),
        (rg.LocalNoise(0.03, (0.01, 0.02)), rg.LocalNoise(0.05, (0.03, 0.04))),
    ],
)
def test_closed_sum_is_the_circuit(gate, control, target):
    got = rg.process_fidelity(PAIR, gate, control, target)
    assert got == pytest.approx(simulated(gate, control, target), abs=1e-12)


def test_perfect_nodes_give_the_fidelity_of_the_pair():
    """A5.4: F = 0.9689 -> average 0.9751."""
    assert rg.process_fidelity(PAIR) == pytest.approx(fidelity_from_correlators(PAIR), abs=1e-15)
    pairs = correlators(werner(0.9689))
    assert rg.average_fidelity(pairs) == pytest.approx(0.9751, abs=5e-5)


def test_noise_out_of_its_domain_is_refused():
    with pytest.raises(ValueError, match=r"0 <= lambda <= 1, got -0\.1"):
        rg.process_fidelity(PAIR, target=rg.LocalNoise(-0.1))
