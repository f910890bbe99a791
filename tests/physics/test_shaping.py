"""Photons cut short by a modulator: chance to pass and overlap, integrated numerically."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from qnet.physics.heralding import mode_visibility
from qnet.physics.shaping import shortened

BARIUM_S, RUBIDIUM_S, TRANSDUCER_S = 7.9e-9, 26.2e-9, 1e-6


def packet(lifetime_s: float, detuning: float = 0.0):
    """sqrt(g) exp(-(g/2 + i detuning) t) for t >= 0."""
    return lambda t: np.exp(-t / (2 * lifetime_s) - 1j * detuning * t) / math.sqrt(lifetime_s)


def modulator(emitted_s: float, shaped_s: float):
    """Its amplitude transmission, never above 1."""
    return lambda t: np.exp(-(1 / shaped_s - 1 / emitted_s) * t / 2)


def integral(function, scale_s: float) -> complex:
    parts = [
        quad(lambda t, part=part: part(function(t)), 0.0, 60 * scale_s, epsrel=1e-11, limit=500)[0]
        for part in (np.real, np.imag)
    ]
    return complex(*parts)


@pytest.mark.parametrize(
    ("emitted_s", "shaped_s"),
    [
        (RUBIDIUM_S, BARIUM_S),
        (RUBIDIUM_S, RUBIDIUM_S),
        (RUBIDIUM_S, 12e-9),
        (3 * BARIUM_S, BARIUM_S),
    ],
)
@pytest.mark.parametrize("detuning", [0.0, 4e7])
def test_law_chance_and_overlap_are_those_of_the_wave_packets(
    emitted_s: float, shaped_s: float, detuning: float
) -> None:
    """The other photon has 7.9 ns, and the detuning."""
    psi, gate, other = packet(emitted_s), modulator(emitted_s, shaped_s), packet(BARIUM_S, detuning)
    assert all(gate(t) <= 1.0 for t in np.linspace(0.0, 1e-7, 200))
    passed = integral(lambda t: abs(psi(t) * gate(t)) ** 2, emitted_s).real
    assert shortened(emitted_s, shaped_s) == pytest.approx(passed, rel=1e-8)
    inner = integral(lambda t: np.conj(other(t)) * psi(t) * gate(t), emitted_s)
    assert mode_visibility(shaped_s, BARIUM_S, detuning) == pytest.approx(
        abs(inner) ** 2 / passed, rel=1e-8
    )


def test_law_barium_against_rubidium() -> None:
    """V = 0.712 as emitted [A4.5]; alike for 30 % of rubidium's photons."""
    assert mode_visibility(BARIUM_S, RUBIDIUM_S) == pytest.approx(0.712, abs=5e-4)
    assert mode_visibility(BARIUM_S, BARIUM_S) == 1.0
    assert shortened(RUBIDIUM_S, BARIUM_S) == pytest.approx(0.3015, abs=1e-4)
    assert shortened(TRANSDUCER_S, BARIUM_S) == pytest.approx(7.9e-3)


def test_no_modulator_lets_more_of_that_shape_through() -> None:
    """It would have to let more through at t = 0 than comes."""
    more = 1.001 * shortened(RUBIDIUM_S, BARIUM_S)
    assert more * abs(packet(BARIUM_S)(0.0)) ** 2 > abs(packet(RUBIDIUM_S)(0.0)) ** 2


@pytest.mark.parametrize("shaped_s", [0.0, -1e-9, 1.01 * RUBIDIUM_S, math.nan])
def test_photons_do_not_get_longer(shaped_s: float) -> None:
    with pytest.raises(ValueError, match="must shorten a photon"):
        shortened(RUBIDIUM_S, shaped_s)
