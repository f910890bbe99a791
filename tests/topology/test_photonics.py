"""Converters, fibre by wavelength, mode matching, transducers: what they make of a link's optics."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest

from qnet.errors import ConfigError
from qnet.physics.fibre import LOSS_DB_PER_KM, usual_loss_db_per_km
from qnet.topology import compile_topology
from qnet_protocols.heralding import (
    double_click,
    microwave,
    midpoint_source,
    reflection,
    sender_receiver,
    single_click,
)

from . import conftest
from .networks import pair

TELECOM = {"wavelength_m": 1.55e-6, "efficiency_prob": 0.35}
EMISSION = {"wavelength_m": 493e-9, "efficiency_prob": 0.1, "interval_s": 1e-6}
STATION = {"kind": "station", "detector_efficiency_prob": 0.8, "dark_rate_hz": 10.0}
WINDOW_S = 50e-9
SCHEMES = (double_click, microwave, midpoint_source, reflection, sender_receiver, single_click)
HERALDING = {one.SCHEME.name: one.SCHEME for one in SCHEMES}


def network(alice=None, bob=None, **link):
    """Two emitters of 493 nm unless they say otherwise."""
    data = pair(**link)
    for node, changes in (("alice", alice), ("bob", bob)):
        data["nodes"][node]["emission"] = {**EMISSION, **(changes or {})}
    data["nodes"]["middle"] = {**STATION, "window_s": WINDOW_S}
    return data


def compiled(*args, **link):
    (plan,) = compile_topology(network(*args, **link)).links
    return plan


def refusal(*args, **link) -> str:
    with pytest.raises(ConfigError) as caught:
        compiled(*args, **link)
    return str(caught.value)


def test_loss_of_fibre_by_wavelength():
    for at, loss in LOSS_DB_PER_KM:
        assert usual_loss_db_per_km(at) == pytest.approx(loss)
    assert 25.0 < usual_loss_db_per_km(460e-9) < 40.0
    assert usual_loss_db_per_km(1450e-9) == pytest.approx(
        0.30 ** (100 / 161) * 0.20 ** (61 / 161), rel=1e-9
    )
    for outside in (350e-9, 1.7e-6, 0.05):
        with pytest.raises(ValueError, match="known for 360 nm to 1625 nm only"):
            usual_loss_db_per_km(outside)


@pytest.mark.parametrize("length_m", [0.0, 5_000.0, 25_000.0])
def test_conversion_in_the_budget(length_m):
    stage = {**TELECOM, "noise_rate_hz": 200.0}
    plan = compiled(
        length_m=length_m, loss_db_per_km=None, converters={"alice": stage, "bob": stage}
    )
    behind = 10 ** (-0.2 * length_m / 1e4) * 0.8
    assert plan.optics.eta_a == plan.optics.eta_b == pytest.approx(0.1 * 0.35 * behind)
    noise_hz = 10.0 + 2 * 200.0 * behind
    assert plan.optics.dark_prob == pytest.approx(-math.expm1(-noise_hz * WINDOW_S))


def test_two_stages_lose_their_noise_as_they_lose_the_signal():
    stages = [
        {"wavelength_m": 900e-9, "efficiency_prob": 0.5, "noise_rate_hz": 1000.0},
        {"wavelength_m": 1.55e-6, "efficiency_prob": 0.4, "noise_rate_hz": 100.0},
    ]
    plan = compiled(
        {"wavelength_m": 493e-9},
        {"wavelength_m": 1.55e-6},
        length_m=0.0,
        converters={"alice": stages},
    )
    assert plan.optics.eta_a == pytest.approx(0.1 * 0.2 * 0.8)
    assert plan.optics.eta_b == pytest.approx(0.1 * 0.8)
    noise_hz = 10.0 + (1000.0 * 0.4 + 100.0) * 0.8
    assert plan.optics.dark_prob == pytest.approx(-math.expm1(-noise_hz * WINDOW_S))


def test_switches_and_filters_lose_signal_and_noise():
    plain = compiled(length_m=0.0, converters={"alice": TELECOM, "bob": TELECOM})
    behind = compiled(
        length_m=0.0, transmission_prob=0.5, converters={"alice": TELECOM, "bob": TELECOM}
    )
    assert behind.optics.eta_a == pytest.approx(plain.optics.eta_a / 2)


def test_different_colours_are_refused_with_the_remedy():
    words = refusal(None, {"wavelength_m": 780e-9})
    assert "photons of both ends must have one wavelength at the station" in words
    assert "alice 493 nm and those of bob 780 nm" in words
    assert "from 493 nm to 1550 nm and 780 nm to 1550 nm" in words
    assert "links.alice-bob.converters.alice = { wavelength_m = 1.55e-06" in words
    assert "hub of its own colour" in words
    words = refusal(converters={"alice": TELECOM})
    assert "alice 1550 nm and those of bob 493 nm" in words


def test_converters_belong_to_the_ends():
    words = refusal(converters={"alcie": TELECOM})
    assert "links.alice-bob.converters.alcie: must be an end of the link" in words
    assert "alice" in words
    words = refusal(converters={"alice": {**TELECOM, "efficiency_prob": 1.5}})
    assert "must obey 0 <= efficiency_prob <= 1, got 1.5" in words


def test_unlike_emitters_overlap_as_their_wave_packets_do():
    """Barium at 493 nm (7.9 ns) against rubidium at 780 nm (26.2 ns): V = 0.712 on resonance [A4.5]."""
    barium, rubidium = {"lifetime_s": 7.9e-9}, {"wavelength_m": 780e-9, "lifetime_s": 26.2e-9}
    wanted = {"converters": {"alice": TELECOM, "bob": TELECOM}, "length_m": 0.0}
    plan = compiled(barium, rubidium, **wanted)
    assert plan.optics.visibility == pytest.approx(0.712, abs=5e-4)
    assert plan.estimate.heralded_fidelity == pytest.approx(0.856, abs=1e-3)
    assert compiled(barium, rubidium, visibility=0.9, **wanted).optics.visibility == pytest.approx(
        0.9 * plan.optics.visibility
    )
    detuned = compiled(barium, rubidium, detuning_hz=5e6, **wanted).optics.visibility
    rates = [1 / 7.9e-9, 1 / 26.2e-9]
    wide = (rates[0] + rates[1]) ** 2
    assert detuned / plan.optics.visibility == pytest.approx(
        wide / (wide + 4 * (2 * math.pi * 5e6) ** 2)
    )
    assert compiled(barium, {"wavelength_m": 780e-9}, **wanted).optics.visibility == 1.0


ION, ATOM = {"lifetime_s": 7.9e-9}, {"lifetime_s": 26.2e-9}
SHAPED = {"bob": {"lifetime_s": 7.9e-9, "efficiency_prob": 0.8}}


@pytest.mark.parametrize("detuning_hz", [0.0, 5e6])
def test_a_modulator_makes_photons_alike_for_a_loss(detuning_hz):
    plain = compiled(ION, ATOM, detuning_hz=detuning_hz)
    shaped = compiled(ION, ATOM, detuning_hz=detuning_hz, shaping=SHAPED)
    assert shaped.optics.eta_b == pytest.approx(0.8 * 7.9 / 26.2 * plain.optics.eta_b)
    assert shaped.optics.eta_a == plain.optics.eta_a
    alike = 1.0 / (1.0 + (2 * math.pi * detuning_hz * 7.9e-9) ** 2)
    assert shaped.optics.visibility == pytest.approx(alike)
    assert shaped.optics.visibility > plain.optics.visibility + 0.2
    assert shaped.lifetimes_s == (7.9e-9, 7.9e-9)


def test_links_without_a_modulator_are_described_as_before():
    assert b"lifetimes_s" not in msgspec.json.encode(compiled(ION, ATOM))
    assert b"lifetimes_s" in msgspec.json.encode(compiled(ION, ATOM, shaping=SHAPED))


@pytest.mark.parametrize(
    ("bob", "shaping", "text"),
    [
        (ATOM, {"bob": {"lifetime_s": 27e-9}}, "shaping.bob.lifetime_s: must obey 0 < lifetime_s <= 2.62e-08"),
        (ATOM, {"bob": {"lifetime_s": 0.0}}, "shaping.bob.lifetime_s: must obey 0 < lifetime_s"),
        ({}, {"bob": {"lifetime_s": 1e-9}}, "<= 0, the emission.lifetime_s of bob (0: not stated)"),
        (ATOM, {"bbo": {"lifetime_s": 1e-9}}, "shaping.bbo: must be an end of the link"),
        (ATOM, {"bob": {}}, "shaping[...].lifetime_s: is required"),
        (ATOM, {"bob": {"lifetime_s": 1e-9, "efficiency_prob": 2.0}}, "must obey 0 <= efficiency_prob <= 1"),
    ],
)  # fmt: skip
def test_modulators_that_cannot_be_are_refused(bob, shaping, text):
    assert text in refusal(ION, bob, shaping=shaping)


# ---------------------------------------------------------------- how light travels (seams.Light)

NOISY = {"wavelength_m": 493e-9, "efficiency_prob": 0.7, "noise_rate_hz": 400.0}


def by(monkeypatch, light, *args, **link):
    """A link of a scheme whose light travels so, over an arm of 1 km and none."""
    monkeypatch.setattr(conftest.MODULE, "SCHEME", replace(conftest.MODULE.SCHEME, light=light))
    span = {"length_m": [1000.0, 0.0], "transmission_prob": 0.5, "loss_db_per_km": 10.0}
    return compiled(*args, **{**span, **link})


@pytest.mark.parametrize("length_m", [[1000.0, 0.0], [0.0, 1000.0], [0.0, 0.0]])
def test_a_serial_link_counts_detector_switch_and_way_once(monkeypatch, length_m):
    switch = {"dwell_s": 1.0, "efficiency_prob": 0.9}
    monkeypatch.setitem(STATION, "switch", switch)
    optics = by(monkeypatch, "serial", length_m=length_m).optics
    fibre = 0.1 if any(length_m) else 1.0
    sender, receiver = 0.1 * fibre * 0.5, 0.1 * 0.9 * 0.8
    expected = (sender, receiver) if length_m[1] == 0.0 else (receiver, sender)
    assert (optics.eta_a, optics.eta_b) == pytest.approx(expected)
    for light in ("midpoint", "source"):
        both = by(monkeypatch, light, length_m=length_m).optics
        twice = 0.5 * 0.9 * 0.8
        assert both.eta_a * both.eta_b == pytest.approx(0.1 * 0.1 * fibre * twice**2)
        assert both.eta_a * both.eta_b == pytest.approx(optics.eta_a * optics.eta_b * twice)


def test_noise_of_a_serial_sender_passes_the_receiver_as_its_light_does(monkeypatch):
    optics = by(monkeypatch, "serial", converters={"alice": NOISY, "bob": NOISY}).optics
    way, seen = 0.1 * 0.5, 0.8
    noise_hz = 10.0 + 400.0 * way * (0.1 * 0.7 * seen) + 400.0 * seen
    assert optics.dark_prob == pytest.approx(-math.expm1(-noise_hz * WINDOW_S))


@pytest.mark.parametrize(
    ("light", "counts"), [("midpoint", True), ("serial", False), ("source", False)]
)
def test_shapes_of_photons_count_only_where_those_of_both_ends_meet(monkeypatch, light, counts):
    found = by(monkeypatch, light, ION, ATOM, visibility=0.9, detuning_hz=1e6).optics.visibility
    assert (found < 0.9 * 0.72) is counts
    assert counts or found == 0.9
    if not counts:
        with pytest.raises(ConfigError, match="only if photons of both ends interfere"):
            by(monkeypatch, light, ION, ATOM, shaping=SHAPED)


def test_a_scheme_may_say_by_its_parameters_how_light_travels():
    names = {"microwave": "serial", "reflection": "serial", "midpoint-source": "source"}
    for name, light in {**names, "double-click": "midpoint", "single-click": "midpoint"}.items():
        assert HERALDING[name].light_of({}) == light
    two = HERALDING["sender-receiver"]
    assert (two.light_of({}), two.light_of({"linear_optics": True})) == ("serial", "midpoint")


@pytest.mark.parametrize("photons", [0.5, 1.24, 3.0])
def test_a_noisy_transducer_is_refused_not_computed(photons):
    words = refusal({"noise_photons": photons})
    assert "UNSUPP: emission.noise_photons must be < 0.5" in words
    assert f"got {photons}" in words


def test_noise_of_a_transducer_counts_as_dark_counts_and_spoils_the_pairs():
    clean = compiled({"efficiency_prob": 0.01}, length_m=0.0)
    noisy = compiled({"efficiency_prob": 0.01, "noise_photons": 0.2}, length_m=0.0)
    added = 0.2 * 0.01 * 0.8 / 4
    assert noisy.optics.dark_prob == pytest.approx(-math.expm1(-10.0 * WINDOW_S - added), rel=1e-9)
    ratio = 4 * noisy.optics.dark_prob * (1 / noisy.optics.eta_a + 1 / noisy.optics.eta_b)
    first_order = 1 - ratio * 0.75
    assert noisy.estimate.heralded_fidelity == pytest.approx(first_order, abs=ratio**2)
    assert noisy.estimate.heralded_fidelity < clean.estimate.heralded_fidelity - 0.05


@pytest.mark.parametrize("modes", [1, 2, 10, 1000])
def test_parallel_modes_attempt_together(modes):
    one = compiled().estimate.success_prob
    many = compiled({"modes": modes}, {"modes": modes + 5})
    assert many.optics.modes == modes
    assert many.estimate.success_prob == pytest.approx(1 - (1 - one) ** modes)
    assert many.estimate.goodness == pytest.approx(compiled().estimate.goodness)


def test_duty_stretches_the_cycle():
    full, part = compiled(length_m=0.0), compiled({"duty_prob": 0.25}, length_m=0.0)
    assert part.cycle == 4 * full.cycle
    with pytest.raises(ConfigError, match="must obey 0 < duty_prob <= 1, got 0"):
        compiled({"duty_prob": 0.0})


def test_fibre_of_unknown_loss_must_be_stated():
    colour = {"wavelength_m": 0.05}
    words = refusal(colour, colour, loss_db_per_km=None)
    assert "loss_db_per_km: the loss of fibre is known for 360 nm to 1625 nm only" in words
    assert compiled(colour, colour, loss_db_per_km=1.0).optics.eta_a < 0.1
    assert compiled(colour, colour, loss_db_per_km=None, length_m=0.0)
