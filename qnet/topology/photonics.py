"""What the photons of a link meet on their way: converters, fibre, switches, detectors, each other.

Theory
    An emitted photon passes the modulator that shapes it, if there is one, the converters of its arm, then
    the fibre, then everything that the link lists as ``transmission_prob`` (connectors, filters, switches on
    the way), then the switch of the station if it has one, then the detector (physics reference A4.6):

        eta = emission x shaping x converters x 10^(-loss L / 10) x transmission x switch x detector

    *Serial* links (:data:`qnet.seams.Light`) send light through both arms, from the sender to the receiver. What
    lies on the way counts once, in the sender's arm, and what lies behind the receiver in its arm:

        sender: emission x converters x 10^(-loss L / 10) x transmission,  receiver: emission x switch x detector

    A converter adds noise photons behind itself; a transducer adds N per pulse, referred to its input, that
    are lost as the signal is. With dark counts they make the chance of a false count per detector and
    window, 1 - exp(-mean counts). Photons of exponential shape with unlike lifetimes or frequencies overlap
    by V = 4 g1 g2 / ((g1 + g2)^2 + 4 Delta^2), which multiplies the visibility that the link states, if
    photons of both ends meet (reference A4.5). A modulator makes the longer photon as short as the other,
    for a loss (:mod:`qnet.physics.shaping`). An end that waits for cooling or loading for part of the time
    attempts that much less.
Assumptions and validity
    Noise photons are as good as dark counts: they come at random and interfere with nothing. A transducer's
    noise is spread evenly over the detectors that a station of the link's scheme has. The receiver of a serial
    link is the end with the shorter arm, end B if they are alike.
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
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from qnet.hardware import Platform, Station
from qnet.ids import NodeId
from qnet.physics.fibre import usual_loss_db_per_km
from qnet.physics.heralding import mode_visibility
from qnet.physics.shaping import shortened
from qnet.plan import LinkOptics
from qnet.seams import Light
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


class Shaper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A modulator behind the emitter, which makes the photon decay faster.

    Attributes:
        lifetime_s: of the photon behind it, 1/e of the intensity; not above that of the emitter.
        efficiency_prob: chance that a photon passes the open modulator.
    """

    lifetime_s: float
    efficiency_prob: float = 1.0


class Arm(msgspec.Struct, frozen=True):
    """One arm of a link.

    Attributes:
        eta: chance that an emitted photon fires a detector; for the sender of a serial link, that it reaches
            the receiver.
        lifetime_s: of the photon at the station, 0 where it is not known.
        wavelength_m: at the station.
        noise_rate_hz: noise of converters per detector.
        noise_photons: of the transducer at the detectors, per attempt.
    """

    eta: float
    lifetime_s: float
    wavelength_m: float
    noise_rate_hz: float
    noise_photons: float


def converters(
    tables: Mapping[str, Converter | tuple[Converter, ...]], ends: tuple[NodeId, NodeId], at: At
) -> tuple[tuple[Converter, ...], tuple[Converter, ...]]:
    """The converters of each arm, in the order in which the photon meets them."""
    _of_ends(tables, ends, at)

    def of(end: NodeId) -> tuple[Converter, ...]:
        found = tables.get(end, ())
        return (found,) if isinstance(found, Converter) else found

    return of(ends[0]), of(ends[1])


def _of_ends(tables: Iterable[str], ends: tuple[NodeId, NodeId], at: At) -> None:
    """Refuse a table of somebody else."""
    for end in tables:
        if end not in ends:
            raise at.key(end).error("must be an end of the link", end, nearest(end, ends))


def shapers(
    tables: Mapping[str, Shaper],
    ends: tuple[NodeId, NodeId],
    platforms: tuple[Platform, Platform],
    light: Light,
    at: At,
) -> tuple[Shaper | None, Shaper | None]:
    """The modulator of each end."""
    _of_ends(tables, ends, at)
    for end, platform in zip(ends, platforms, strict=True):
        if end not in tables:
            continue
        if light != "midpoint":
            raise at.key(end).error(
                "is of use only if photons of both ends interfere, those of this scheme do not"
            )
        emitted_s = platform.emission.lifetime_s
        if not 0.0 < tables[end].lifetime_s <= emitted_s:
            raise (
                at.key(end)
                .key("lifetime_s")
                .error(
                    f"must obey 0 < lifetime_s <= {emitted_s:g}, the emission.lifetime_s of {end} (0: not "
                    "stated): a modulator makes a photon shorter, never longer",
                    tables[end].lifetime_s,
                )
            )
    return tables.get(ends[0]), tables.get(ends[1])


def arms(
    platforms: tuple[Platform, Platform],
    stages: tuple[tuple[Converter, ...], tuple[Converter, ...]],
    shaped: tuple[Shaper | None, Shaper | None],
    lengths_m: tuple[float, float],
    loss_db_per_km: float | None,
    transmission_prob: float,
    station: Station,
    light: Light,
    at: At,
) -> tuple[Arm, Arm]:
    """What becomes of the photons of both ends; a loss of None is the usual one at the wavelength."""
    seen = [station.detector_efficiency_prob]
    if station.switch is not None:
        seen.append(station.switch.efficiency_prob)
    receiver = 0 if lengths_m[0] < lengths_m[1] else 1
    if light != "serial":
        rests = [[transmission_prob, *seen]] * 2
    else:
        rests = [[transmission_prob], seen] if receiver else [seen, [transmission_prob]]
    both = [
        _arm(platforms[side], stages[side], shaped[side], lengths_m[side], loss_db_per_km, rest, at)
        for side, rest in enumerate(rests)
    ]
    if light == "serial":
        sender, behind = both[1 - receiver], both[receiver].eta
        both[1 - receiver] = msgspec.structs.replace(
            sender,
            noise_rate_hz=sender.noise_rate_hz * behind,
            noise_photons=sender.noise_photons * behind,
        )
    return both[0], both[1]


def _arm(
    platform: Platform,
    stages: tuple[Converter, ...],
    shaper: Shaper | None,
    length_m: float,
    loss_db_per_km: float | None,
    rest: Iterable[float],
    at: At,
) -> Arm:
    """One of them; ``rest``: chances to pass what lies behind the fibre."""
    emission = platform.emission
    wavelength_m, noise_hz = emission.wavelength_m, 0.0
    passed, lifetime_s = 1.0, emission.lifetime_s
    if shaper is not None:
        passed = shaper.efficiency_prob * shortened(lifetime_s, shaper.lifetime_s)
        lifetime_s = shaper.lifetime_s
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
    behind = 10.0 ** (-loss_db_per_km * length_m / 1e4)
    for chance in rest:
        behind *= chance
    noise = emission.noise_photons
    if noise >= MOST_ADDED_NOISE_PHOTONS:
        raise at.key("ends").error(
            f"UNSUPP: emission.noise_photons must be < {MOST_ADDED_NOISE_PHOTONS:g}, no entanglement "
            "is heralded with so noisy a transducer",
            noise,
        )
    return Arm(
        emission.efficiency_prob * passed * behind,
        lifetime_s,
        wavelength_m,
        noise_hz * behind,
        noise * emission.efficiency_prob * passed * behind,
    )


def overlap(arms: tuple[Arm, Arm], detuning_hz: float) -> float:
    """V of the two photons by their shapes and frequencies; 1 where a lifetime is not stated."""
    first, second = (one.lifetime_s for one in arms)
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
    detectors: int,
) -> LinkOptics:
    """All of it, in the symbols of the reference."""
    rate_hz = station.dark_rate_hz + sum(one.noise_rate_hz for one in arms)
    counts = rate_hz * station.window_s + sum(one.noise_photons / detectors for one in arms)
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
