"""Serial reflection: the closed form against photon numbers, and the rules of thumb of the literature."""

from __future__ import annotations

import cmath
import itertools
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.physics.bell import PHI_MINUS, PHI_PLUS
from qnet.physics.reflection import Pulse, reflection
from qnet.plan import LinkOptics

from .photon_enumeration import errors

MOST_PHOTONS = 12
"""Of a pulse of mean 0.4 the chance of more is below 1e-15."""

UNIT = st.floats(0.01, 1.0)
OPTICS = st.builds(
    LinkOptics,
    eta_a=UNIT,
    eta_b=UNIT,
    visibility=UNIT,
    dark_prob=st.floats(0.0, 0.3),
    phase_rms_rad=st.floats(0.0, 1.0),
    number_resolving=st.booleans(),
    spin_photon_a=st.floats(0.25, 1.0),
    spin_photon_b=st.floats(0.25, 1.0),
)
PULSES = st.builds(
    Pulse,
    mean_photons=st.floats(0.01, 0.4),
    single_photon=st.booleans(),
    off_reflectivity_prob=st.floats(0.0, 0.9),
    off_phase_rad=st.floats(-3.0, 3.0),
    first=st.sampled_from("AB"),
)


def one_photon(optics, pulse, initial, phase):
    """Amplitude of one photon in every mode where it may end, for initial values (A, B) of the spins.

    A pi pulse between the bins exchanges the values; the photon reflects from a spin in 1.
    """
    r = math.sqrt(pulse.off_reflectivity_prob) * cmath.exp(1j * pulse.off_phase_rad)
    order = ((0, optics.eta_a), (1, optics.eta_b))
    arrived, modes = [], {}
    for time_bin in (0, 1):
        amplitude = 1 / math.sqrt(2)
        for end, eta in order if pulse.first == "A" else order[::-1]:
            bright = initial[end] ^ time_bin == 1
            modes["scattered", time_bin, end] = (
                0 if bright else amplitude * math.sqrt(1 - abs(r) ** 2)
            )
            amplitude = amplitude if bright else amplitude * r
            modes["lost", time_bin, end] = amplitude * math.sqrt(1 - eta)
            amplitude = amplitude * math.sqrt(eta)
        arrived.append(amplitude)
    early, late = arrived[0], arrived[1] * cmath.exp(1j * phase)
    for port, sign in ((0, 1), (1, -1)):
        modes["port", port, "common"] = (
            early + sign * math.sqrt(optics.visibility) * late
        ) / math.sqrt(2)
        modes["port", port, "rest"] = sign * math.sqrt(1 - optics.visibility) * late / math.sqrt(2)
    return modes


def chance_of(optics, detector, seen, other):
    """Chance of a click of ``detector`` alone, given the photons that it and the other one see."""
    total = 0.0
    for darks in itertools.product((0, 1), repeat=2):
        counts = (seen + darks[0], other + darks[1])
        alone = counts[0] == 1 if optics.number_resolving else counts[0] >= 1
        if alone and counts[1] == 0:
            total += math.prod(optics.dark_prob if d else 1 - optics.dark_prob for d in darks)
    return total


def enumerate_click(optics, pulse, detector):
    """Unnormalised state of the spins, summed over the numbers of photons everywhere.

    n photons of one pulse are in (sum_m c_m m^dagger)^n / sqrt(n!): the element between two values of the
    spins is the multinomial sum of (c c'*)^k over the numbers k seen by the detectors and lost.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    if optics.phase_rms_rad == 0.0:
        nodes, weights = np.zeros(1), np.ones(1)
    numbers = range(2) if pulse.single_photon else range(MOST_PHOTONS + 1)
    mu = pulse.mean_photons
    total = np.zeros((4, 4), dtype=complex)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        # Final values: both initial ones flipped.
        photons = [
            one_photon(optics, pulse, (1 - a, 1 - b), node * optics.phase_rms_rad)
            for a, b in itertools.product((0, 1), repeat=2)
        ]
        modes = photons[0].keys()
        vectors = {mode: np.array([one[mode] for one in photons]) for mode in modes}

        def gram(test, vectors=vectors):
            return sum(np.outer(c, c.conj()) for mode, c in vectors.items() if test(mode))

        seen = gram(lambda mode: mode[:2] == ("port", detector))
        other = gram(lambda mode: mode[:2] == ("port", 1 - detector))
        gone = gram(lambda mode: mode[0] != "port")
        for n in numbers:
            there = math.exp(-mu) * mu**n / math.factorial(n)
            if pulse.single_photon:
                there = mu if n == 1 else 1 - mu
            for i in range(n + 1):
                for j in range(n + 1 - i):
                    k = n - i - j
                    ways = math.factorial(n) / (
                        math.factorial(i) * math.factorial(j) * math.factorial(k)
                    )
                    click = chance_of(optics, detector, i, j)
                    total += weight * there * ways * click * seen**i * other**j * gone**k / 4
    kraus = ((chance, np.kron(one, two)) for chance, one, two in errors(optics))
    return sum(chance * pauli @ total @ pauli.conj().T for chance, pauli in kraus)


@settings(max_examples=6, deadline=None)
@given(OPTICS, PULSES)
def test_law_reflection_equals_enumeration_of_photon_numbers(optics, pulse):
    for detector, herald in enumerate(reflection(optics, pulse)):
        exact = enumerate_click(optics, pulse, detector)
        assert np.abs(herald.prob * np.array(herald.state) - exact).max() < 1e-12


@pytest.mark.parametrize("number_resolving", [False, True])
@pytest.mark.parametrize("single_photon", [False, True])
@pytest.mark.parametrize("first", ["A", "B"])
def test_law_every_kind_of_pulse_and_detector_equals_enumeration(
    number_resolving, single_photon, first
):
    optics = LinkOptics(0.6, 0.9, 0.8, 0.05, 0.4, number_resolving, 0.95, 0.9)
    pulse = Pulse(0.4, single_photon, 0.2, 0.7, first)
    for detector, herald in enumerate(reflection(optics, pulse)):
        exact = enumerate_click(optics, pulse, detector)
        assert np.abs(herald.prob * np.array(herald.state) - exact).max() < 1e-12


def test_law_one_photon_heralds_with_a_quarter_of_eta():
    plus, minus = reflection(LinkOptics(0.3, 0.2), Pulse(1.0, single_photon=True))
    assert plus.prob + minus.prob == pytest.approx(0.3 * 0.2 / 4)
    assert (plus.label, minus.label) == (PHI_PLUS, PHI_MINUS)
    assert plus.fidelity == pytest.approx(1.0)
    assert minus.fidelity == pytest.approx(1.0)


@pytest.mark.parametrize("mu", [1e-3, 1e-2, 0.1])
def test_law_a_second_photon_costs_coherence_of_order_mu(mu):
    """p -> mu eta/4, F -> (1 + exp(-mu))/2 for small eta; here eta = 1e-4."""
    plus, minus = reflection(LinkOptics(0.01, 0.01), Pulse(mu))
    assert plus.prob + minus.prob == pytest.approx(mu * 1e-4 / 4, rel=1e-4)
    for herald in (plus, minus):
        assert herald.fidelity == pytest.approx((1 + math.exp(-mu)) / 2, rel=1e-4)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_law_poor_contrast_spoils_only_the_even_detector(share):
    plus, minus = reflection(LinkOptics(1.0, 1.0), Pulse(1.0, True, share))
    assert plus.fidelity == pytest.approx((1 + share) ** 2 / ((1 + share) ** 2 + 4 * share))
    assert minus.fidelity == pytest.approx(1.0)
    assert plus.prob == pytest.approx(((1 + share) ** 2 + 4 * share) / 8)
    assert minus.prob == pytest.approx((1 - share) ** 2 / 8)


def test_law_a_dark_count_of_an_empty_pulse_heralds_unread_spins():
    """|++> has fidelity 1/2 with Phi+ and none with Phi-."""
    plus, minus = reflection(LinkOptics(1e-6, 1e-6, dark_prob=0.01), Pulse(1e-6))
    assert np.abs(np.array(plus.state) - 0.25).max() < 1e-5
    assert plus.fidelity == pytest.approx(0.5, abs=1e-5)
    assert minus.fidelity == pytest.approx(0.0, abs=1e-5)
    assert plus.prob == pytest.approx(0.01 * 0.99, rel=1e-4)


def test_law_contrast_of_the_interferometer_is_root_v():
    plus, _ = reflection(LinkOptics(0.1, 0.1, visibility=0.81), Pulse(1.0, True))
    assert plus.fidelity == pytest.approx((1 + 0.9) / 2)
    blurred, _ = reflection(LinkOptics(0.1, 0.1, phase_rms_rad=0.3), Pulse(1.0, True))
    assert blurred.fidelity == pytest.approx((1 + math.exp(-0.045)) / 2)


@settings(max_examples=50, deadline=None)
@given(OPTICS, PULSES)
def test_law_heralds_are_states_and_their_chances_are_bounded(optics, pulse):
    heralds = reflection(optics, pulse)
    eta = optics.eta_a * optics.eta_b
    most = pulse.mean_photons * eta + 2 * optics.dark_prob
    assert sum(herald.prob for herald in heralds) <= most + 1e-12
    for herald in heralds:
        state = np.array(herald.state)
        assert np.abs(state - state.conj().T).max() < 1e-12
        assert np.linalg.eigvalsh(state).min() > -1e-9
        assert np.trace(state).real == pytest.approx(1.0)
    swapped = msgspec.structs.replace(
        optics, eta_a=optics.eta_b, eta_b=optics.eta_a,
        spin_photon_a=optics.spin_photon_b, spin_photon_b=optics.spin_photon_a,
    )  # fmt: skip
    other = Pulse(
        pulse.mean_photons, pulse.single_photon, pulse.off_reflectivity_prob, pulse.off_phase_rad,
        "B" if pulse.first == "A" else "A",
    )  # fmt: skip
    exchange = np.eye(4)[[0, 2, 1, 3]]
    for one, two in zip(heralds, reflection(swapped, other), strict=True):
        assert one.prob == pytest.approx(two.prob)
        mirrored = exchange @ np.array(two.state) @ exchange
        assert np.abs(np.array(one.state) - mirrored).max() < 1e-9


@pytest.mark.parametrize(
    ("pulse", "words"),
    [
        (Pulse(0.0), "mean_photons must obey 0 < mu <= 1, got 0.0"),
        (Pulse(1.1), "mean_photons must obey 0 < mu <= 1, got 1.1"),
        (Pulse(0.1, off_reflectivity_prob=1.0), "off_reflectivity_prob must obey .* got 1.0"),
        (Pulse(0.1, off_phase_rad=math.inf), "off_phase_rad must be finite, got inf"),
        (Pulse(0.1, first="C"), "first must be 'A' or 'B', got 'C'"),
    ],
)
def test_pulses_outside_their_domain_are_refused(pulse, words):
    with pytest.raises(ValueError, match=words):
        reflection(LinkOptics(0.5, 0.5), pulse)


def test_links_without_any_click_are_refused():
    with pytest.raises(ValueError, match=r"click must have probability > 0, got 0 .* eta_a = 0"):
        reflection(LinkOptics(0.0, 0.5), Pulse(0.1))
