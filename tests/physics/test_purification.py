"""Closed forms of purification against published figures and against circuits on density matrices."""

from __future__ import annotations

import numpy as np
import pytest

from qnet.physics.bell import correlators, density_matrix, fidelity, werner
from qnet.physics.gates import depolarising_from_fidelity
from qnet.physics.purification import (
    Noise,
    bbpssw,
    dejmps,
    double_selection,
    epl,
    epl_single_click,
    nested,
    parity_check,
    pumped,
    twirled,
)
from qnet_protocols.purification import dejmps as dejmps_protocol
from qnet_protocols.purification import double_selection as selection_protocol
from qnet_protocols.purification import epl as epl_protocol
from qnet_protocols.purification.circuit import kept, labels_after
from tests.physics.circuits import pair
from tests.physics.purifying import step

FIRST, SECOND, THIRD = (0.7, 0.05, 0.15, 0.1), (0.8, 0.11, 0.02, 0.07), (0.6, 0.2, 0.15, 0.05)


def brute(circuit, states, **noise):
    """(chance, weights of the kept pair) of a circuit, over all results that keep it."""
    _, parities = labels_after(circuit.operations, [(0, 0)] * circuit.pairs)
    found = step(circuit.operations, states, **noise)
    total = sum(state for (one, two), state in found.items() if kept(circuit, parities, one, two))
    prob = np.trace(total).real
    bells = [density_matrix(tuple(float(k == index) for k in range(4))) for index in range(4)]
    return prob, [np.trace(total @ np.array(bell)).real / prob for bell in bells]


def same(found, step_):
    prob, weights = found
    assert prob == pytest.approx(step_.prob, abs=1e-12)
    assert weights == pytest.approx(step_.weights, abs=1e-12)


def test_bennetts_example() -> None:
    """Two Werner pairs of 0.8: 0.83815 with p = 0.76889, PRL 76, 722 equation (7)."""
    found = bbpssw(werner(0.8), werner(0.8))
    assert fidelity(found.weights) == pytest.approx(0.83815, abs=5e-6)
    assert found.prob == pytest.approx(0.76889, abs=5e-6)


def test_deutschs_example() -> None:
    found = dejmps(werner(0.94), werner(0.94))
    assert fidelity(found.weights) == pytest.approx(0.9575, abs=5e-5)
    assert found.prob == pytest.approx(0.9232, abs=5e-5)


def test_deutschs_equation() -> None:
    """A' = (A1 A2 + B1 B2)/N and the other three, PRL 77, 2818 equation (6)."""
    (a1, d1, c1, b1), (a2, d2, c2, b2) = FIRST, SECOND
    prob = (a1 + b1) * (a2 + b2) + (c1 + d1) * (c2 + d2)
    expected = (a1 * a2 + b1 * b2, a1 * b2 + b1 * a2, c1 * c2 + d1 * d2, c1 * d2 + d1 * c2)
    found = dejmps(FIRST, SECOND)
    assert found.prob == pytest.approx(prob)
    assert found.weights == pytest.approx([value / prob for value in expected])


def states(*weights):
    return [pair(correlators(one)) for one in weights]


def test_steps_are_what_the_circuits_do() -> None:
    same(brute(dejmps_protocol.CIRCUIT, states(FIRST, SECOND)), dejmps(FIRST, SECOND))
    same(brute(epl_protocol.CIRCUIT, states(FIRST, SECOND)), epl(FIRST, SECOND))
    three = states(FIRST, SECOND, THIRD)
    same(brute(selection_protocol.CIRCUIT, three), double_selection(FIRST, SECOND, THIRD))


def test_noise_is_what_it_does_to_the_circuit() -> None:
    gate = depolarising_from_fidelity(0.97, 2)
    flips = ((0.01, 0.06), (0.04, 0.02))
    found = brute(dejmps_protocol.CIRCUIT, states(FIRST, SECOND), noise=(0.0, gate), flips=flips)
    same(found, dejmps(FIRST, SECOND, Noise((gate, gate), flips)))


@pytest.mark.parametrize("theta_rad", [0.0, 0.7, 2.5])
def test_epl_makes_psi_plus_of_any_common_phase(theta_rad: float) -> None:
    """Campbell, Benjamin, PRL 101, 130502: chance p^2/2, fidelity 1; with dark counts and decoherence too."""
    bright, dark, kept_coherence = 0.6, 0.03, 0.9
    state = np.diag([dark, bright / 2, bright / 2, 1 - bright - dark]).astype(complex)
    for factors, darkness in (((1.0, 1.0), 0.0), ((1.0, kept_coherence), dark)):
        pairs = []
        for factor in factors:
            one = state.copy()
            one[0, 0], one[3, 3] = darkness, 1 - bright - darkness
            one[1, 2] = factor * bright / 2 * np.exp(-1j * theta_rad)
            one[2, 1] = one[1, 2].conj()
            pairs.append(one)
        prob, weights = brute(epl_protocol.CIRCUIT, pairs)
        expected_prob, expected = epl_single_click(bright, factors, darkness)
        assert prob == pytest.approx(expected_prob, abs=1e-12)
        assert weights[2] == pytest.approx(expected, abs=1e-12)


def test_rounds_multiply_costs() -> None:
    raw = werner(0.9)
    once = dejmps(raw, raw)
    twice = dejmps(once.weights, once.weights)
    found = nested(dejmps, raw, 2)
    assert found.weights == twice.weights
    assert found.cost == pytest.approx(4 / (once.prob * twice.prob))
    pumped_twice = dejmps(once.weights, raw)
    found = pumped(dejmps, raw, 2)
    assert found.weights == pumped_twice.weights
    assert found.cost == pytest.approx((2 / once.prob + 1) / pumped_twice.prob)


def test_double_selection_is_better_than_a_parity_check() -> None:
    raw = werner(0.85)
    double = double_selection(raw, raw, raw)
    assert fidelity(double.weights) > fidelity(parity_check(raw, raw).weights)
    assert double.prob < parity_check(raw, raw).prob


@pytest.mark.parametrize("value", [0.4, 0.5])
def test_no_gain_below_one_half(value: float) -> None:
    assert fidelity(bbpssw(werner(value), werner(value)).weights) <= value + 1e-12


def test_steps_without_a_chance_are_refused() -> None:
    with pytest.raises(ValueError, match="chance > 0"):
        parity_check((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
    with pytest.raises(ValueError, match="bright_prob = 0"):
        epl_single_click(0.0)


def test_twirl_keeps_the_fidelity() -> None:
    assert twirled(FIRST) == werner(0.7)
