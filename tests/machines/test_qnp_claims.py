"""Claims: the running product against an independent calculation with whole density matrices."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from qnet.hardware import Coherence, Operation, Readout
from qnet.ids import SlotId
from qnet.units import Instant
from qnet_nodes.ideal import IDEAL
from qnet_protocols.network.claims import Hardware, Noise, claim, storage, wrong_readout

Matrix = npt.NDArray[np.float64]
MS = 10**9
FIRST, SECOND = SlotId(0), SlotId(1)
PLATFORM = msgspec.structs.replace(
    IDEAL.platform,
    communication=Coherence(math.inf, 0.02),
    gate_1q=Operation(1e-3),
    gate_2q=Operation(2e-3),
    readout=Readout(3e-3, 0.05, 0.1),
)


def test_claims_of_storage_multiply() -> None:
    rates = (1 / 0.5, 1 / 0.25)
    once = storage(rates, Instant(0), Instant(7 * MS))
    twice = storage(rates, Instant(0), Instant(3 * MS)).then(
        storage(rates, Instant(3 * MS), Instant(7 * MS))
    )
    assert twice.factors == pytest.approx(once.factors)
    assert once.factors == pytest.approx((math.exp(-0.028), math.exp(-0.028), math.exp(-0.014)))
    assert storage(rates, Instant(5), Instant(4)) == Noise()


@pytest.mark.parametrize("bit", [0, 1])
def test_claims_wrong_readout_is_bayes(bit: int) -> None:
    """Chance that the reported bit is wrong, counted over both true values."""
    readout = Readout(0.0, 0.05, 0.1)
    reported = {0: (0.95, 0.1), 1: (0.05, 0.9)}[bit]  # P(reported | true 0), P(reported | true 1)
    assert wrong_readout(readout, bit) == pytest.approx(reported[1 - bit] / sum(reported))


@pytest.mark.parametrize("phase", [0, 1])
@pytest.mark.parametrize("parity", [0, 1])
def test_claims_of_a_swap(phase: int, parity: int) -> None:
    """T2 counts for both until the CNOT, for qubit 1 until the H; read-out by its outcome."""
    noise = Hardware(PLATFORM).swap(
        (FIRST, Instant(0)), (SECOND, Instant(4 * MS)), Instant(10 * MS), (phase, parity)
    )
    stored = math.exp(-(12 + 8 + 1) / 20)  # ms: qubit 1, qubit 2, qubit 1 until its H
    x, z = (1 - 2 * wrong_readout(PLATFORM.readout, bit) for bit in (phase, parity))
    assert noise.factors == pytest.approx((stored * x, stored * x * z, z))
    assert noise.stray == 1.0


def damped(rho: Matrix, gamma: float) -> Matrix:
    """Amplitude damping of the first qubit."""
    kraus = (np.diag([1, math.sqrt(1 - gamma)]), np.array([[0, math.sqrt(gamma)], [0, 0]]))
    wide = [np.kron(k, np.eye(2)) for k in kraus]
    total: Matrix = np.sum([k @ rho @ k.T for k in wide], axis=0)
    return total


@pytest.mark.parametrize("label", range(4))
@pytest.mark.parametrize("t_ms", [1, 20, 100])
def test_claims_of_finite_t1_are_within_the_stated_error(label: int, t_ms: int) -> None:
    """Every Bell state, one half damped (T2 = 2 T1): the product is off by less than the error."""
    x, z = divmod(label, 2)
    pauli = np.linalg.matrix_power(np.array([[0, 1], [1, 0]]), x) @ np.diag([1, (-1) ** z])
    bell = np.kron(np.eye(2), pauli) @ np.array([1, 0, 0, 1]) / math.sqrt(2)
    t1_s = 0.05
    gamma = 1 - math.exp(-t_ms * 1e-3 / t1_s)
    truth = bell @ damped(np.outer(bell, bell), gamma) @ bell
    said = claim(storage((1 / t1_s, 1 / (2 * t1_s)), Instant(0), Instant(t_ms * MS)), 0.0)
    assert abs(truth - said.goodness) <= said.error
    assert said.error == pytest.approx(gamma / 2)
