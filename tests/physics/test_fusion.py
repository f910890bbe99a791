"""GHZ fidelities: closed forms, sums of Pauli errors and whole circuits agree."""

from __future__ import annotations

import numpy as np
import pytest

from qnet.physics import fusion
from qnet.physics.bell import fidelity_from_correlators, weights_from_correlators
from qnet_protocols.apps.stabilisers import expected_fidelity, ghz_generators

from .circuits import PAULIS, conjugate, controlled, depolarise, one, pair, read, reduced

PAIRS = [(0.91, 0.85, 0.9), (0.8, 0.72, 0.85), (0.95, 0.9, 0.91)]


def simulated(pairs, share=0.0, flips=(0.0, 0.0)) -> float:
    """Fidelity of the fused state, from the circuit; qubits B1 A1 B2 A2 ..."""
    count = 2 * len(pairs)
    rho = np.eye(1)
    for correlators in pairs:
        rho = np.kron(rho, pair(correlators))
    for k in range(1, len(pairs)):
        rho = conjugate(rho, controlled(count, 0, 2 * k, "X"))
        rho = depolarise(rho, count, 0, 2 * k, share)
        rho = sum(
            conjugate(after, one(count, 2 * k + 1, PAULIS["X"])) if bit else after
            for bit, after in read(rho, count, 2 * k, flips)
        )
    rho = reduced(rho, count, [0, *range(1, count, 2)])
    ghz = np.zeros(len(rho))
    ghz[[0, -1]] = np.sqrt(0.5)
    return float((ghz @ rho @ ghz).real)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_perfect_fusion(count):
    pairs = PAIRS[:count]
    got = fusion.ghz_fidelity(pairs)
    assert got == pytest.approx(simulated(pairs), abs=1e-12)
    assert got == pytest.approx(fusion.ghz_fidelity_noisy(pairs), abs=1e-12)
    errors = [(k + 1, weights_from_correlators(one)) for k, one in enumerate(pairs)]
    assert got == pytest.approx(expected_fidelity(ghz_generators(count + 1), errors), abs=1e-12)


def test_two_pairs_are_the_reference():
    """A5.3: p00 q00 + p01 q01."""
    p, q = (weights_from_correlators(one) for one in PAIRS[:2])
    assert fusion.ghz_fidelity(PAIRS[:2]) == pytest.approx(p[0] * q[0] + p[1] * q[1], abs=1e-15)
    assert fusion.ghz_fidelity(PAIRS[:1]) == pytest.approx(fidelity_from_correlators(PAIRS[0]))


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    ("share", "flips"),
    [(0.07, (0.0, 0.0)), (0.0, (0.01, 0.05)), (0.05, (0.03, 0.01)), (1.0, (0.0, 0.0))],
)
def test_noisy_fusion_is_the_circuit(count, share, flips):
    got = fusion.ghz_fidelity_noisy(PAIRS[:count], share, flips)
    assert got == pytest.approx(simulated(PAIRS[:count], share, flips), abs=1e-12)


def test_what_is_no_fusion_is_refused():
    with pytest.raises(ValueError, match=">= 1 pair"):
        fusion.ghz_fidelity([])
    with pytest.raises(ValueError, match=r"0 <= lambda <= 1, got 1\.1"):
        fusion.ghz_fidelity_noisy(PAIRS, 1.1)
