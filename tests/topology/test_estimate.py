"""The 4 x 4 helper against QuTiP, and the prediction against a direct computation with it."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import qutip
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.hardware import Coherence
from qnet.ids import NodeId, OpId, SlotId
from qnet.physics.bell import LABELS, bell_vector, overlap
from qnet.physics.heralding import double_click
from qnet.plan import LinkOptics
from qnet.program import Gate, Program
from qnet.seams import ClickOutcome
from qnet.topology.estimate import (
    NUMERICAL_MARGIN,
    Timing,
    corrected,
    depolarised,
    estimate,
    stored,
)
from qnet.units import PS_PER_S, Duration, Instant
from qnet.world.engine_qutip import QutipEngine
from qnet.world.store import Store
from qnet_nodes.ideal import IDEAL

PAULIS = {"x": qutip.sigmax(), "y": qutip.sigmay(), "z": qutip.sigmaz()}


def random_state(seed: int):
    rho = qutip.rand_dm([2, 2], seed=seed)
    return rho, tuple(map(tuple, rho.full()))


def on(side: int, operator):
    one = qutip.qeye(2)
    return qutip.tensor(operator, one) if side == 0 else qutip.tensor(one, operator)


def evolved(rho, side: int, time_s: float, times: Coherence):
    lower = qutip.basis(2, 0) * qutip.basis(2, 1).dag()
    pure = 1 / times.t2_s - 1 / (2 * times.t1_s)
    jumps = [
        math.sqrt(1 / times.t1_s) * on(side, lower),
        math.sqrt(pure / 2) * on(side, PAULIS["z"]),
    ]
    generator = qutip.liouvillian(0 * on(side, PAULIS["z"]), jumps)
    return qutip.vector_to_operator((generator * time_s).expm() * qutip.operator_to_vector(rho))


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("times", [Coherence(2.0, 0.7), Coherence(1.0, 2.0), Coherence(50.0, 0.01)])
def test_storage_equals_the_master_equation(side, times):
    rho, state = random_state(3)
    expected = evolved(rho, side, 0.3, times).full()
    assert np.allclose(stored(state, side, PS_PER_S * 3 // 10, times), expected, atol=1e-9)


@pytest.mark.parametrize("side", [0, 1])
def test_storage_for_ever_without_decay_changes_nothing(side):
    _, state = random_state(4)
    assert np.allclose(stored(state, side, PS_PER_S, Coherence()), state, atol=0)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("label", "pauli"), [((1, 0), "x"), ((0, 1), "z"), ((1, 1), "y")])
def test_correction_equals_the_pauli_gate(side, label, pauli):
    rho, state = random_state(5)
    gate = on(side, PAULIS[pauli])
    assert np.allclose(corrected(state, side, label), (gate * rho * gate).full(), atol=1e-12)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("label", LABELS)
def test_correction_brings_every_bell_state_to_phi_plus(side, label):
    vector = bell_vector(label)
    state = tuple(tuple(complex(a * b) for b in vector) for a in vector)
    assert overlap(corrected(state, side, label)) == pytest.approx(1.0)


@pytest.mark.parametrize("side", [0, 1])
def test_depolarising_replaces_the_qubit_by_a_mixed_one(side):
    rho, state = random_state(6)
    rest = rho.ptrace(1 - side)
    mixed = (
        qutip.tensor(qutip.qeye(2) / 2, rest)
        if side == 0
        else qutip.tensor(rest, qutip.qeye(2) / 2)
    )
    expected = (0.7 * rho + 0.3 * mixed).full()
    assert np.allclose(depolarised(state, side, 0.3), expected, atol=1e-12)


# ---------------------------------------------------------------- prediction

OPTICS = LinkOptics(eta_a=0.3, eta_b=0.2, visibility=0.9, dark_prob=1e-3, spin_photon_b=0.98)


def outcomes(optics: LinkOptics = OPTICS) -> list[ClickOutcome]:
    click = double_click(optics)
    labels = ((1, 0), (1, 0), (1, 1), (1, 1))
    return [
        ClickOutcome((index,), click.pattern_prob, label, click.state(label))
        for index, label in enumerate(labels)
    ]


def platform(t1_s: float, t2_s: float, fidelity: float, duration_s: float = 2e-6):
    ideal = IDEAL.platform
    return msgspec.structs.replace(
        ideal,
        communication=Coherence(t1_s, t2_s),
        gate_1q=msgspec.structs.replace(ideal.gate_1q, fidelity=fidelity, duration_s=duration_s),
    )


def timing(flights=(5_000_000, 9_000_000), correction=(2_000_000, 3_000_000)) -> Timing:
    return Timing(
        (Duration(flights[0]), Duration(flights[1])),
        Duration(40_000_000),
        Duration(1_000_000),
        (Duration(correction[0]), Duration(correction[1])),
    )


def direct_fidelity(outcome, origin, acts_s, deliver_s, ends) -> float:
    """The delivered fidelity computed with QuTiP, the gate acting at ``acts_s`` after emission.

    The photons take 5 us from A and 9 us from B and click 9 us after emission.
    """
    rho = qutip.Qobj(np.array(outcome.state), dims=[[2, 2], [2, 2]])
    for side, flight_s in enumerate((5e-6, 9e-6)):
        rho = evolved(rho, side, flight_s + acts_s - 9e-6, ends[side].communication)
    gate = on(origin, {(1, 0): PAULIS["x"], (1, 1): PAULIS["y"]}[outcome.label])
    rho = gate * rho * gate
    mixing = 2 * (1 - ends[origin].gate_1q.fidelity)
    twirl = sum((on(origin, pauli) * rho * on(origin, pauli) for pauli in PAULIS.values()), rho) / 4
    rho = (1 - mixing) * rho + mixing * twirl
    for side in (0, 1):
        rho = evolved(rho, side, deliver_s - acts_s, ends[side].communication)
    phi = qutip.bell_state("00")
    return float((phi.dag() * rho * phi).real)


def test_goodness_covers_every_origin_pattern_and_gate_instant():
    ends = (platform(3e-4, 1e-4, 0.99), platform(2e-4, 4e-4, 0.97, 3e-6))
    told = estimate(outcomes(), timing(), ends)
    true = [
        direct_fidelity(outcome, origin, acts_s, 21e-6, ends)
        for outcome in outcomes()[1:3]
        for origin in (0, 1)
        for acts_s in (9e-6, 16e-6, 21e-6)
    ]
    assert all(abs(value - told.goodness) <= told.goodness_error for value in true)
    assert max(abs(value - told.goodness) for value in true) > told.goodness_error - 1e-3
    assert told.goodness == pytest.approx(np.mean(true), abs=2e-4)


@pytest.mark.parametrize("t1_s", [2e-4, math.inf])
@pytest.mark.parametrize("origin", [0, 1])
def test_pairs_of_the_store_lie_within_the_goodness_error(origin, t1_s):
    """The link protocol's moves in the world's store, at the instants of the link protocol."""
    ends = (platform(t1_s, 1e-4, 0.99, 2e-6), platform(t1_s, 3e-4, 0.97, 3e-6))
    places = ((NodeId("a"), SlotId(0)), (NodeId("b"), SlotId(0)))
    told = estimate(outcomes(), timing(), ends)
    flights = timing().flights
    for index, outcome in enumerate(outcomes()):
        store = Store(QutipEngine(), {NodeId("a"): ends[0], NodeId("b"): ends[1]})
        emitted = 7_000_000
        leaves = [Instant(emitted + max(flights) - flight) for flight in flights]
        store.create_pair(*places, outcome.state, *leaves)
        gate = Program((Gate("Y" if outcome.label[1] else "X", (SlotId(0),)),))
        heralded = Instant(emitted + max(flights) + flights[origin])
        store.run_program(places[origin][0], OpId(str(index)), gate, heralded, lambda: 0.5)
        delivered = Instant(emitted + timing().delivery)
        true = store.bell_fidelity(*places, (0, 0), delivered)
        assert abs(true - told.goodness) <= told.goodness_error


def test_equal_ends_without_relaxation_are_certain():
    ends = (platform(math.inf, 1e-4, 0.99),) * 2
    told = estimate(outcomes(), timing(correction=(2_000_000, 2_000_000)), ends)
    assert told.goodness_error == pytest.approx(NUMERICAL_MARGIN, rel=1e-3)
    factor = math.exp(-(16e-6 + 20e-6) / 1e-4)
    click = double_click(OPTICS)
    # (a, b) shrink by dephasing; (a, b, c) by depolarising with 2 * 0.01.
    p00, p01, p10, p11 = click.weights_plus
    a, b, c = p10 + p00 - p11 - p01, p10 + p01 - p11 - p00, p10 + p11 - p00 - p01
    expected = (1 + 0.98 * (factor * (a + b) + c)) / 4
    assert told.goodness == pytest.approx(expected, abs=1e-9)


def test_perfect_ends_deliver_what_was_heralded():
    ends = (IDEAL.platform, IDEAL.platform)
    told = estimate(outcomes(), timing(), ends)
    click = double_click(OPTICS)
    assert told.goodness == pytest.approx(told.heralded_fidelity, abs=1e-12)
    assert told.heralded_fidelity == pytest.approx(click.fidelity, abs=1e-12)
    assert told.success_prob == pytest.approx(click.success_prob, abs=1e-15)


def test_label_without_correction_costs_no_gate():
    vector = bell_vector((0, 0))
    state = tuple(tuple(complex(a * b) for b in vector) for a in vector)
    ends = (platform(math.inf, math.inf, 0.8),) * 2
    told = estimate([ClickOutcome((0,), 0.1, (0, 0), state)], timing(), ends)
    assert told.goodness == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("preparation_ps", "flight_ps", "cycles"),
    [(1, 0, 10.0), (0, 10, 10.0), (20, 10, 11.0), (21, 10, 12.0)],
)
def test_rate_counts_whole_cycles(preparation_ps, flight_ps, cycles):
    state = outcomes()[0].state
    zero = Duration(0)
    flights = (Duration(flight_ps), zero)
    plan = Timing(flights, Duration(20), Duration(preparation_ps), (zero, zero))
    told = estimate(
        [ClickOutcome((0,), 0.1, (1, 0), state)], plan, (IDEAL.platform, IDEAL.platform)
    )
    assert told.rate_hz == pytest.approx(1 / (cycles * 20e-12))


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.01, 1.0),
    st.floats(0.01, 1.0),
    st.floats(0.0, 1.0),
    st.floats(0.5, 1.0),
    st.floats(1e-6, 1.0),
    st.floats(0.01, 2.0),
)
def test_law_storage_and_gates_never_leave_the_bounds(
    eta_a, eta_b, visibility, fidelity, t1_s, ratio
):
    optics = LinkOptics(eta_a, eta_b, visibility, 1e-4)
    ends = (platform(t1_s, ratio * t1_s, fidelity), platform(math.inf, 1e-3, 1.0))
    told = estimate(outcomes(optics), timing(), ends)
    assert 0.0 <= told.goodness <= 1.0
    assert told.goodness_error > 0.0
    assert 0.0 < told.rate_hz <= 1 / 40e-6
