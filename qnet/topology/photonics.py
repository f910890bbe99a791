"""What the photons of a link meet on their way: converters, fibre, switches, detectors, each other.

Theory
    An emitted photon passes the converters of its arm, then the fibre, then everything that the link lists
    as ``transmission_prob`` (connectors, filters, switches on the way), then the switch of the station if it
    has one, then the detector (physics reference A4.6):

        eta = emission x converters x 10^(-loss L / 10) x transmission x switch x detector

    A converter adds noise photons behind itself; a transducer adds N per pulse, referred to its input, that
    are lost as the signal is. With dark counts they make the chance of a false count per detector and
    window, 1 - exp(-mean counts). Photons of exponential shape with unlike lifetimes or frequencies overlap
    by V = 4 g1 g2 / ((g1 + g2)^2 + 4 Delta^2), which multiplies the visibility that the link states
    (reference A4.5). An end that waits for cooling or loading for part of the time attempts that much less.
Assumptions and validity
    Noise photons are as good as dark counts: they come at random and interfere with nothing. A transducer's
    noise is spread evenly over the detectors that a station of the link's scheme has.
Not modelled
    Noise of one window that reaches into the next; saturation; drift of frequencies.
Units
    Metres, seconds, hertz.
Sources
    [1] Simon and Irvine, PRL 91, 110405 (2003): two-photon heralding with lossy arms.
    [2] Maring et al., Nature 551, 485 (2017): conversion between unlike memories, its noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from qnet.hardware import Platform, Station
from qnet.ids import NodeId
from qnet.physics.fibre import usual_loss_db_per_km
from qnet.physics.heralding import mode_visibility
from qnet.plan import LinkOptics
from qnet.topology.check import At, nearest

SAME_WAVELENGTH_M: Final = 1e-12

MOST_ADDED_NOISE_PHOTONS: Final = 0.5
"""A transducer that adds so much heralds no entanglement (reference A4.6): first order is no answer then."""


class Converter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stage of frequency conversion.

    Attributes:
        wavelength_m: of its output.
        efficiency_prob: chance that a photon comes out, filters included.
        noise_rate_hz: noise photons per second at its output that would reach any one detector if
            nothing were lost behind it.
    """

    wavelength_m: float
    efficiency_prob: float
    noise_rate_hz: float = 0.0


class Arm(msgspec.Struct, frozen=True):
    """One arm of a link.

    Attributes:
        eta: chance that an emitted photon fires a detector.
        wavelength_m: at the station.
        noise_rate_hz: noise of converters per detector.
        noise_prob: chance of a noise photon of the transducer per detector and attempt.
    """

    eta: float
    wavelength_m: float
    noise_rate_hz: float
    noise_prob: float


def converters(
    tables: Mapping[str, Converter | tuple[Converter, ...]], ends: tuple[NodeId, NodeId], at: At
) -> tuple[tuple[Converter, ...], tuple[Converter, ...]]:
    """The converters of each arm, in the order in which the photon meets them."""
    for end in tables:
        if end not in ends:
            raise at.key(end).error("must be an end of the link", end, nearest(end, ends))

    def of(end: NodeId) -> tuple[Converter, ...]:
        found = tables.get(end, ())
        return (found,) if isinstance(found, Converter) else found

    return of(ends[0]), of(ends[1])


def arm(
    platform: Platform,
    stages: tuple[Converter, ...],
    length_m: float,
    loss_db_per_km: float | None,
    transmission_prob: float,
    station: Station,
    detectors: int,
    at: At,
) -> Arm:
    """What becomes of the photons of one end; a loss of None is the usual one at the wavelength."""
    emission = platform.emission
    wavelength_m, noise_hz = emission.wavelength_m, 0.0
    passed = 1.0
    for stage in stages:
        passed *= stage.efficiency_prob
        noise_hz = noise_hz * stage.efficiency_prob + stage.noise_rate_hz
        wavelength_m = stage.wavelength_m
    if loss_db_per_km is None:
        try:
            loss_db_per_km = usual_loss_db_per_km(wavelength_m) if length_m > 0.0 else 0.0
        except ValueError as unknown:
            raise at.key("loss_db_per_km").error(
                str(unknown), hint="State loss_db_per_km, or convert the photons (converters)"
            ) from None
    behind = (
        10.0 ** (-loss_db_per_km * length_m / 1e4)
        * transmission_prob
        * station.detector_efficiency_prob
    )
    if station.switch is not None:
        behind *= station.switch.efficiency_prob
    noise = emission.noise_photons
    if noise >= MOST_ADDED_NOISE_PHOTONS:
        raise at.key("ends").error(
            f"UNSUPP: emission.noise_photons must be < {MOST_ADDED_NOISE_PHOTONS:g}, no entanglement "
            "is heralded with so noisy a transducer",
            noise,
        )
    added = noise * emission.efficiency_prob * passed * behind
    return Arm(
        emission.efficiency_prob * passed * behind,
        wavelength_m,
        noise_hz * behind,
        added / detectors,
    )


def overlap(platforms: tuple[Platform, Platform], detuning_hz: float) -> float:
    """V of the two photons as emitted; 1 where a lifetime is not stated."""
    first, second = (platform.emission.lifetime_s for platform in platforms)
    if not (first > 0.0 and second > 0.0):
        return 1.0
    return mode_visibility(first, second, 2.0 * math.pi * detuning_hz)


def check_wavelengths(
    ends: tuple[NodeId, NodeId],
    platforms: tuple[Platform, Platform],
    arms: tuple[Arm, Arm],
    at: At,
) -> None:
    """Photons of different colour do not interfere: no herald says anything about the memories."""
    first, second = (one.wavelength_m for one in arms)
    if abs(first - second) <= SAME_WAVELENGTH_M:
        return
    shown = [f"{end} {one.wavelength_m * 1e9:g} nm" for end, one in zip(ends, arms, strict=True)]
    colours = " and ".join(
        f"{platform.emission.wavelength_m * 1e9:g} nm to 1550 nm" for platform in platforms
    )
    raise at.key("ends").error(
        f"photons of both ends must have one wavelength at the station, those of {shown[0]} and those of "
        f"{shown[1]}",
        hint=f"Give converters, e.g. from {colours} "
        f"({at.path}.converters.{ends[0]} = {{ wavelength_m = 1.55e-06, efficiency_prob = 0.3 }}), or "
        "join each end to a hub of its own colour and swap there",
    )


def link_optics(
    arms: tuple[Arm, Arm],
    platforms: tuple[Platform, Platform],
    station: Station,
    visibility: float,
    phase_rms_rad: float,
) -> LinkOptics:
    """All of it, in the symbols of the reference."""
    rate_hz = station.dark_rate_hz + sum(one.noise_rate_hz for one in arms)
    counts = rate_hz * station.window_s + sum(one.noise_prob for one in arms)
    return LinkOptics(
        eta_a=arms[0].eta,
        eta_b=arms[1].eta,
        visibility=visibility,
        dark_prob=-math.expm1(-counts),
        phase_rms_rad=phase_rms_rad,
        number_resolving=station.number_resolving,
        spin_photon_a=platforms[0].emission.spin_photon_fidelity,
        spin_photon_b=platforms[1].emission.spin_photon_fidelity,
        modes=min(platform.emission.modes for platform in platforms),
    )
