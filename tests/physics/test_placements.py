"""Absorbed, sent and sourced photons: closed forms against density matrices with every loss explicit."""

from __future__ import annotations

import functools
import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.physics.absorption import absorption, erasure
from qnet.physics.bell import PHI_MINUS, PHI_PLUS, PSI_MINUS, PSI_PLUS, density_matrix, werner
from qnet.physics.microwave import half_sent
from qnet.physics.midpoint_source import midpoint_source
from qnet.plan import LinkOptics

from .photon_enumeration import PAULIS, clicks, errors, joined, phases, photon

UNIT = st.floats(0.01, 1.0)
OPTICS = st.builds(
    LinkOptics,
    eta_a=UNIT,
    eta_b=UNIT,
    visibility=UNIT,
    dark_prob=st.floats(0.0, 0.3),
    phase_rms_rad=st.floats(0.0, 1.5),
    number_resolving=st.booleans(),
    spin_photon_a=st.floats(0.25, 1.0),
    spin_photon_b=st.floats(0.25, 1.0),
)
MIXED = np.eye(4) / 4


def with_errors(state: np.ndarray, optics: LinkOptics) -> np.ndarray:
    """Pauli errors of both interfaces, one Kraus operator each."""
    kraus = ((weight, np.kron(one, two)) for weight, one, two in errors(optics))
    return sum(weight * pauli @ state @ pauli.conj().T for weight, pauli in kraus)


def lossy(state: np.ndarray, passed: float) -> np.ndarray:
    """A loss on (sender 2) x (photon 3: mode 0, mode 1, none), by Kraus operators: through, or lost."""
    through = np.kron(np.eye(2), np.diag([math.sqrt(passed)] * 2 + [1.0]))
    lost = []
    for mode in (0, 1):
        operator = np.zeros((3, 3))
        operator[2, mode] = math.sqrt(1 - passed)
        lost.append(np.kron(np.eye(2), operator))
    return sum(kraus @ state @ kraus.T for kraus in (through, *lost))


def travelled(optics: LinkOptics) -> tuple[np.ndarray, float]:
    """(memory, receiver) x state of what was absorbed, unnormalised, and the chance of nothing."""
    total = np.zeros((4, 4), dtype=complex)
    nothing = 0.0
    for angle in phases(optics):
        vector = np.zeros(6, dtype=complex)
        vector[0] = math.sqrt(0.5)
        vector[4] = math.sqrt(0.5) * np.exp(1j * angle)
        state = np.outer(vector, vector.conj())
        for passed in (optics.eta_a, optics.visibility, optics.eta_b):
            state = lossy(state, passed)
        kept = [0, 1, 3, 4]
        total += state[np.ix_(kept, kept)] / 2
        nothing += (state[2, 2] + state[5, 5]).real / 2
    return with_errors(total, optics), nothing


@settings(max_examples=40, deadline=None)
@given(OPTICS)
def test_law_absorption_equals_density_matrices(optics):
    absorbed, nothing = travelled(optics)
    dark = optics.dark_prob
    # Receiver's detector: the herald of the absorption and a dark count or none.
    clicked = sum(
        chance
        for darks, chance in ((0, 1 - dark), (1, dark))
        if not (optics.number_resolving and 1 + darks > 1)
    )
    exact = clicked * absorbed + nothing * dark * MIXED
    found = absorption(optics)
    assert np.abs(found.success_prob * np.array(found.state()) - exact).max() < 1e-12
    assert found.success_prob == pytest.approx(np.trace(exact).real, abs=1e-12)
    assert found.fidelity == pytest.approx((exact[0, 0] + exact[0, 3]).real / np.trace(exact).real)


@settings(max_examples=40, deadline=None)
@given(OPTICS)
def test_law_erasure_equals_density_matrices(optics):
    absorbed, nothing = travelled(optics)
    exact = absorbed + nothing * optics.dark_prob * MIXED
    found = erasure(optics)
    assert np.abs(found.success_prob * np.array(found.state()) - exact).max() < 1e-12


def sent_half(optics: LinkOptics, sender: str) -> np.ndarray:
    """Sender, field and one environment mode per loss as a state vector; the environment traced out."""
    total = np.zeros((4, 4), dtype=complex)
    losses = (optics.eta_a, optics.visibility, optics.eta_b)
    for angle in phases(optics):
        # sender in (|1>|vacuum> + |0>|photon>)/sqrt2; who has the photon: None, "field" or a loss.
        amplitudes = {(1, None): math.sqrt(0.5), (0, "field"): math.sqrt(0.5) * np.exp(1j * angle)}
        for number, passed in enumerate(losses):
            there = amplitudes.pop((0, "field"))
            amplitudes[0, "field"] = there * math.sqrt(passed)
            amplitudes[0, number] = there * math.sqrt(1 - passed)
        for environment in (None, *range(len(losses))):
            vector = np.zeros((2, 2), dtype=complex)
            for (value, where), amplitude in amplitudes.items():
                outside = where if isinstance(where, int) else None
                if outside == environment:
                    vector[value, int(where == "field")] += amplitude
            flat = (vector if sender == "A" else vector.T).reshape(4)
            total += np.outer(flat, flat.conj()) / 2
    return with_errors(total, optics)


@settings(max_examples=40, deadline=None)
@given(OPTICS, st.sampled_from("AB"))
def test_law_half_sent_equals_state_vectors(optics, sender):
    quiet = LinkOptics(
        optics.eta_a, optics.eta_b, optics.visibility, 0.0, optics.phase_rms_rad,
        spin_photon_a=optics.spin_photon_a, spin_photon_b=optics.spin_photon_b,
    )  # fmt: skip
    found = half_sent(quiet, sender)
    assert found.trace == pytest.approx(1.0, abs=1e-12)
    assert np.abs(np.array(found.matrix()) - sent_half(quiet, sender)).max() < 1e-12


@pytest.mark.parametrize("sender", ["A", "B"])
def test_law_half_sent_is_damping_of_the_receivers_half(sender):
    """Kraus operators diag(1, sqrt(eta)) and sqrt(1 - eta) |0><1| on one half of Psi+."""
    eta = 0.6 * 0.7
    psi = np.array(density_matrix((0.0, 0.0, 1.0, 0.0)))
    kept, fell = np.diag([1.0, math.sqrt(eta)]), np.array([[0.0, math.sqrt(1 - eta)], [0.0, 0.0]])
    sides = [
        np.kron(np.eye(2), one) if sender == "A" else np.kron(one, np.eye(2))
        for one in (kept, fell)
    ]
    exact = sum(one @ psi @ one.T for one in sides)
    found = half_sent(LinkOptics(0.6, 0.7), sender)
    assert np.abs(np.array(found.matrix()) - exact).max() < 1e-12
    assert found.psi_plus_fidelity == pytest.approx((1 + math.sqrt(eta)) ** 2 / 4)


def test_law_transfer_and_pair_have_one_fidelity_and_the_measured_ones_need_dephasing():
    """Magnard 2020 (from memory): process 0.858, pair 0.795. Loss alone gives one figure for both.

    Fidelity of a transfer by direct averaging over the six Pauli eigenstates: 2/3 F + 1/3.
    """
    eta = (2 * math.sqrt(0.858) - 1) ** 2
    assert eta == pytest.approx(0.727, abs=1e-3)
    assert half_sent(LinkOptics(eta, 1.0)).psi_plus_fidelity == pytest.approx(0.858)
    kept, fell = np.diag([1.0, math.sqrt(eta)]), np.array([[0.0, math.sqrt(1 - eta)], [0.0, 0.0]])
    states = [np.linalg.eigh(pauli)[1][:, k] for pauli in PAULIS[1:3] for k in (0, 1)]
    states += [np.array([1, 1j]) / math.sqrt(2), np.array([1, -1j]) / math.sqrt(2)]
    mean = np.mean([sum(abs(s.conj() @ k @ s) ** 2 for k in (kept, fell)) for s in states])
    assert mean == pytest.approx((2 * 0.858 + 1) / 3)
    left = (4 * 0.795 - 1 - eta) / (2 * math.sqrt(eta))
    assert left == pytest.approx(0.852, abs=1e-3)
    noisy = LinkOptics(eta, 1.0, phase_rms_rad=math.sqrt(-2 * math.log(left)))
    assert half_sent(noisy).psi_plus_fidelity == pytest.approx(0.795)


# ---------------------------------------------------------------- midpoint source


def absorbed_pairs(optics, source_prob, source_fidelity, latch_prob):
    """Both sides take, latch, click or not: sum over all that can happen."""
    pair = np.zeros((4, 4), dtype=complex)
    for angle in phases(optics):
        turn = np.diag([1.0, 1.0, 1.0, np.exp(1j * angle)])
        werner_state = np.array(density_matrix(werner(source_fidelity)))
        pair += turn @ werner_state @ turn.conj().T / 2
    pair = with_errors(pair, optics)
    total = np.zeros((4, 4), dtype=complex)
    for sent, took_a, took_b in itertools.product((0, 1), repeat=3):
        chance = source_prob if sent else 1 - source_prob
        for took, eta in ((took_a, optics.eta_a), (took_b, optics.eta_b)):
            if took and not sent:
                chance = 0.0
            elif sent:
                chance *= eta if took else 1 - eta
        for took in (took_a, took_b):
            clicked = 0.0
            for latched, dark in itertools.product((0, 1), repeat=2):
                if latched and not took:
                    continue
                part = optics.dark_prob if dark else 1 - optics.dark_prob
                if took:
                    part *= latch_prob if latched else 1 - latch_prob
                counts = latched + dark
                clicked += part * (counts == 1 if optics.number_resolving else counts >= 1)
            chance *= clicked
        total += chance * (pair if took_a and took_b else MIXED)
    return total


@functools.lru_cache(maxsize=8)
def bell_measurement(optics, eta, latch_prob, ports):
    """POVM of one click per mode in ``ports``: on (source, local) photons, and on the local one alone."""
    local = LinkOptics(
        eta, latch_prob, optics.visibility, optics.dark_prob, optics.phase_rms_rad,
        optics.number_resolving,
    )  # fmt: skip

    def passes(counts):
        return all(
            (
                counts[mode, port] == 1
                if local.number_resolving
                else counts[mode, port] >= 1
            )
            and counts[mode, 1 - port] == 0
            for mode, port in enumerate(ports)
        )  # fmt: skip

    both, alone = np.zeros((4, 4), dtype=complex), np.zeros((2, 2), dtype=complex)
    for angle in phases(local):
        vectors = defaultdict(lambda: np.zeros(4, dtype=complex))
        lone = defaultdict(lambda: np.zeros(2, dtype=complex))
        for s, m in itertools.product((0, 1), repeat=2):
            first = photon(0, s, local, np.exp(1j * angle) if s else 1.0)
            second = photon(1, m, local, 1.0)
            for (f, x), (g, y) in itertools.product(first, second):
                fields, norm = joined(f, g)
                vectors[fields][2 * s + m] += x * y * norm
            if s == 0:
                for g, y in second:
                    lone[g,][m] += y
        for matrix, found in ((both, vectors), (alone, lone)):
            for fields, vector in found.items():
                hits = tuple(field[:3] for field in fields if field[0] == "port")
                chance = clicks(hits, 2, local.dark_prob, passes)
                matrix += chance * np.outer(vector.conj(), vector) / 2
    return both.reshape(2, 2, 2, 2), alone


def measured_pairs(optics, source_prob, source_fidelity, latch_prob, ports_a, ports_b):
    both_a, alone_a = bell_measurement(optics, optics.eta_a, latch_prob, ports_a)
    both_b, alone_b = bell_measurement(optics, optics.eta_b, latch_prob, ports_b)
    source = np.array(density_matrix(werner(source_fidelity))).reshape(2, 2, 2, 2)
    first, second = (
        np.array(density_matrix(werner(f))).reshape(2, 2, 2, 2)
        for f in (optics.spin_photon_a, optics.spin_photon_b)
    )
    # Indices: memories m, n (ket) and o, p (bra); local photons a, b and c, d; source s, t and u, v.
    with_pair = np.einsum("ucsa,vdtb,stuv,maoc,nbpd->mnop", both_a, both_b, source, first, second)
    without = np.einsum("ca,db,maoc,nbpd->mnop", alone_a, alone_b, first, second)
    total = source_prob * with_pair + (1 - source_prob) * without
    return total.reshape(4, 4)


@settings(max_examples=40, deadline=None)
@given(OPTICS, UNIT, st.floats(0.25, 1.0), UNIT)
def test_law_absorbing_memories_equal_enumeration(optics, source_prob, fidelity, latch_prob):
    exact = absorbed_pairs(optics, source_prob, fidelity, latch_prob)
    (herald,) = midpoint_source(optics, source_prob, fidelity, latch_prob, linear_optics=False)
    assert (herald.said, herald.label) == ((PHI_PLUS, PHI_PLUS), PHI_PLUS)
    assert np.abs(herald.prob * np.array(herald.state()) - exact).max() < 1e-12


SIDES = {PSI_PLUS: ((0, 0), (1, 1)), PSI_MINUS: ((0, 1), (1, 0))}
"""Ports of mode 0 and mode 1 in the patterns that announce each label."""


@settings(max_examples=4, deadline=None)
@given(OPTICS, UNIT, st.floats(0.25, 1.0), UNIT)
def test_law_bell_measurements_at_the_ends_equal_enumeration(
    optics, source_prob, fidelity, latch_prob
):
    heralds = midpoint_source(optics, source_prob, fidelity, latch_prob, linear_optics=True)
    labels = {herald.said: herald.label for herald in heralds}
    assert labels == {
        (PSI_PLUS, PSI_PLUS): PHI_PLUS,
        (PSI_PLUS, PSI_MINUS): PHI_MINUS,
        (PSI_MINUS, PSI_PLUS): PHI_MINUS,
        (PSI_MINUS, PSI_MINUS): PHI_PLUS,
    }
    for herald in heralds:
        exact = sum(
            measured_pairs(optics, source_prob, fidelity, latch_prob, ports_a, ports_b)
            for ports_a, ports_b in itertools.product(*(SIDES[said] for said in herald.said))
        )
        assert np.abs(herald.prob * np.array(herald.state()) - exact).max() < 1e-12


def test_law_without_noise_the_table_holds():
    """Reference A4.4: eta_s eta_A eta_B, with linear optics a quarter; sender-receiver eta."""
    optics = LinkOptics(0.3, 0.2)
    (herald,) = midpoint_source(optics, 0.5, 1.0, 1.0, linear_optics=False)
    assert herald.prob == pytest.approx(0.5 * 0.3 * 0.2)
    assert herald.weights == pytest.approx((1.0, 0.0, 0.0, 0.0))
    four = midpoint_source(optics, 0.5, 1.0, 1.0, linear_optics=True)
    assert sum(one.prob for one in four) == pytest.approx(0.5 * 0.3 * 0.2 / 4)
    for one in four:
        assert one.weights[one.label[1]] == pytest.approx(1.0)
    assert absorption(optics).success_prob == pytest.approx(0.3 * 0.2)


@pytest.mark.parametrize("linear_optics", [False, True])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"source_prob": 0.0}, "source_prob must obey 0 < source_prob <= 1, got 0.0"),
        ({"latch_prob": 1.5}, "latch_prob must obey 0 < latch_prob <= 1, got 1.5"),
        ({"source_fidelity": -0.1}, "source_fidelity must obey .* got -0.1"),
        ({"optics": LinkOptics(1.2, 0.5)}, "eta_a must obey 0 <= eta_a <= 1, got 1.2"),
        ({"optics": LinkOptics(0.0, 0.5)}, "must have probability > 0, got 0 with eta_a = 0.0"),
    ],
)
def test_sources_outside_their_domain_are_refused(linear_optics, changed, words):
    numbers = {"optics": LinkOptics(0.5, 0.5), "source_prob": 1.0, "latch_prob": 1.0}
    numbers |= {"source_fidelity": 1.0, **changed}
    with pytest.raises(ValueError, match=words):
        midpoint_source(**numbers, linear_optics=linear_optics)


@pytest.mark.parametrize("form", [absorption, erasure])
def test_absorptions_outside_their_domain_are_refused(form):
    with pytest.raises(ValueError, match=r"dark_prob must obey 0 <= dark_prob <= 1, got 2"):
        form(LinkOptics(0.5, 0.5, dark_prob=2.0))
    with pytest.raises(ValueError, match=r"herald must have probability > 0, got 0 .* eta_b = 0"):
        form(LinkOptics(0.5, 0.0))


def test_transfers_outside_their_domain_are_refused():
    with pytest.raises(ValueError, match=r"dark_prob must be 0 .* got 0.1"):
        half_sent(LinkOptics(0.5, 0.5, dark_prob=0.1))
    with pytest.raises(ValueError, match="sender must be 'A' or 'B', got 'C'"):
        half_sent(LinkOptics(0.5, 0.5), "C")
