"""T1/T2 decay against the exponential of the Liouvillian."""

from __future__ import annotations

import math

import numpy as np
import pytest
import qutip
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.physics import bell, memory


def propagator(time_s, t1_s, t2_s):
    """exp(L t) of one qubit as a QuTiP superoperator."""
    lower = qutip.basis(2, 0) * qutip.basis(2, 1).dag()
    pure = 1 / t2_s - 1 / (2 * t1_s)
    collapse = [math.sqrt(1 / t1_s) * lower, math.sqrt(pure / 2) * qutip.sigmaz()]
    return (qutip.liouvillian(0 * qutip.sigmaz(), collapse) * time_s).expm()


def on_pair(label, time_s, first, second):
    """Fidelity of a perfect Bell pair after both halves decayed, by QuTiP."""
    vector = qutip.Qobj(np.array(bell.bell_vector(label)), dims=[[2, 2], [1, 1]])
    kraus_a = qutip.to_kraus(propagator(time_s, *first))
    kraus_b = qutip.to_kraus(propagator(time_s, *second))
    rho = vector * vector.dag()
    rho = sum(qutip.tensor(a, b) * rho * qutip.tensor(a, b).dag() for a in kraus_a for b in kraus_b)
    return (vector.dag() * rho * vector).real


@pytest.mark.parametrize(("time_s", "t1_s", "t2_s"), [(0.1, 1.0, 0.5), (2.0, 0.7, 1.4)])
def test_law_decay_equals_the_exponential_of_the_liouvillian(time_s, t1_s, t2_s):
    amount = memory.decay(time_s, t1_s, t2_s)
    rho = qutip.Qobj([[0.3, 0.2 - 0.1j], [0.2 + 0.1j, 0.7]])
    after = qutip.vector_to_operator(
        propagator(time_s, t1_s, t2_s) * qutip.operator_to_vector(rho)
    ).full()
    assert after[1, 1].real == pytest.approx(0.7 * (1 - amount.gamma), abs=1e-9)
    assert after[0, 0].real == pytest.approx(0.3 + 0.7 * amount.gamma, abs=1e-9)
    assert abs(after[0, 1] - (0.2 - 0.1j) * amount.coherence) < 1e-9


@pytest.mark.parametrize("second", [(1.0, 0.5), (3.0, 4.0)])
def test_law_pair_fidelities_equal_the_exponential(second):
    first, time_s = (1.0, 0.5), 0.3
    a, b = memory.decay(time_s, *first), memory.decay(time_s, *second)
    for label, formula in {
        bell.PHI_PLUS: memory.phi_fidelity,
        bell.PHI_MINUS: memory.phi_fidelity,
        bell.PSI_PLUS: memory.psi_fidelity,
        bell.PSI_MINUS: memory.psi_fidelity,
    }.items():
        assert formula(a, b) == pytest.approx(on_pair(label, time_s, first, second), abs=1e-9)


def test_law_equal_halves_give_the_published_forms():
    time_s, t1_s, t2_s = 0.4, 1.1, 0.9
    e1, e2 = math.exp(-time_s / t1_s), math.exp(-time_s / t2_s)
    amount = memory.decay(time_s, t1_s, t2_s)
    assert memory.psi_fidelity(amount, amount) == pytest.approx((e1 + e2**2) / 2)
    expected = (1 + (1 - e1) ** 2 + e1**2) / 4 + e2**2 / 2
    assert memory.phi_fidelity(amount, amount) == pytest.approx(expected)


def test_law_pure_dephasing_scales_a_and_b():
    time_s, t2_a_s, t2_b_s = 0.2, 0.5, 0.8
    factors = memory.dephasing_factors(time_s, t2_a_s, t2_b_s)
    a, b = memory.decay(time_s, math.inf, t2_a_s), memory.decay(time_s, math.inf, t2_b_s)
    assert memory.phi_fidelity(a, b) == pytest.approx(bell.fidelity_from_correlators(factors))
    assert factors[2] == 1.0


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 10), st.floats(0, 10), st.floats(0.1, 10), st.floats(0.05, 1))
def test_law_decay_composes(first_s, second_s, t1_s, part):
    t2_s = 2 * t1_s * part
    both = memory.then(memory.decay(first_s, t1_s, t2_s), memory.decay(second_s, t1_s, t2_s))
    whole = memory.decay(first_s + second_s, t1_s, t2_s)
    assert both == pytest.approx(whole, abs=1e-12)
    # The channel is physical: coherence <= sqrt(1 - gamma) exactly when T2 <= 2 T1.
    assert whole.coherence**2 <= 1 - whole.gamma + 1e-12


def test_law_limits():
    assert memory.decay(5.0, math.inf, math.inf) == (0.0, 1.0)
    assert memory.decay(0.0, 1.0, 1.0) == (0.0, 1.0)
    late = memory.decay(1e3, 1.0, 2.0)
    assert memory.phi_fidelity(late, late) == pytest.approx(0.5)
    assert memory.psi_fidelity(late, late) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("t1_s", "t2_s", "text"),
    [(0.0, 1.0, "t1_s > 0"), (1.0, 2.1, r"2\*t1_s, got 2.1"), (1.0, 0.0, "0 < t2_s"),
     (math.nan, 1.0, "t1_s"), (1.0, math.nan, "t2_s"), (1.0, math.inf, "t2_s")],
)  # fmt: skip
def test_refuses_impossible_times(t1_s, t2_s, text):
    with pytest.raises(ValueError, match=text):
        memory.check_coherence_times(t1_s, t2_s)


def test_accepts_the_borderline():
    memory.check_coherence_times(1.0, 2.0)
    memory.check_coherence_times(math.inf, math.inf)
    memory.check_coherence_times(math.inf, 3.0)
