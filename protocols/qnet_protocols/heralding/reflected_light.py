"""One light pulse that reflects from two spins, photon by photon: the mechanism of ``reflection``.

Theory
    The number of photons in the pulse is drawn first. The photons of a pulse then go their ways one after
    the other, each through the whole link: for given values of the spins they know nothing of one
    another, and what one of them tells about the spins is in the amplitudes when the next one comes. A
    photon is a pair of amplitudes (early, late) for each of the four values of the spins. At a spin it
    is scattered in one of the bins, or its amplitudes are reduced where the spin is "off"; in a fibre it
    is lost in one of the bins, or not; at the interferometer it is found behind one of the two ports, in
    the common wave packet or in the part of the late one that the early one has not. Each of these
    alternatives has the chance that is the norm of its amplitudes. At the end a dark count or none in
    each of the two detectors, and the errors of the gates between spins and photons.
Assumptions and validity
    Those of :mod:`qnet.physics.reflection`, nothing of whose algebra is used here.
Not modelled
    See there.
Units
    Phases in radians.
Sources
    [1] Knaut et al., Nature 629, 573 (2024), doi 10.1038/s41586-024-07252-z
"""

from __future__ import annotations

import cmath
import math
from typing import Protocol

from qnet.plan import LinkOptics
from qnet_protocols.heralding.histories import pure, with_memory_errors
from qnet_protocols.heralding.photons import Matrix, Uniform, normal

DETECTORS = 2
"""Detector 0 sees early + late, detector 1 early - late."""

_Spins = list[complex]
"""Amplitudes of the spins in the basis 00, 01, 10, 11."""


class Pulse(Protocol):
    """What a pulse is; :class:`qnet.physics.reflection.Pulse` has these fields."""

    @property
    def mean_photons(self) -> float:
        """Mean number of photons, or the chance of the only one."""
        ...

    @property
    def single_photon(self) -> bool:
        """Never more than one photon."""
        ...

    @property
    def off_reflectivity_prob(self) -> float:
        """Chance that an "off" spin reflects a photon."""
        ...

    @property
    def off_phase_rad(self) -> float:
        """Phase that the photon gets then."""
        ...

    @property
    def first(self) -> str:
        """End that the light meets first."""
        ...


def draw_pulse(optics: LinkOptics, pulse: Pulse, uniform: Uniform) -> tuple[int, Matrix] | None:
    """One pulse: the detector that clicked and the state of the spins (A, B) for this history, or None."""
    spins: _Spins = [0.5 + 0j] * 4
    phase = optics.phase_rms_rad * normal(uniform)
    counts = [0] * DETECTORS
    for _ in range(_photons(pulse, uniform)):
        spins, seen = _photon(spins, optics, pulse, phase, uniform)
        if seen is not None:
            counts[seen] += 1
    for index in range(DETECTORS):
        counts[index] += uniform() < optics.dark_prob
    clicked = [index for index in range(DETECTORS) if counts[index]]
    if len(clicked) != 1 or (optics.number_resolving and counts[clicked[0]] > 1):
        return None
    return clicked[0], with_memory_errors(pure(spins), optics, uniform)


def _photons(pulse: Pulse, uniform: Uniform) -> int:
    """How many photons the pulse has: a Poisson number, or one or none."""
    if pulse.single_photon:
        return int(uniform() < pulse.mean_photons)
    number, product, least = 0, uniform(), math.exp(-pulse.mean_photons)
    while product > least:
        number += 1
        product *= uniform()
    return number


def _photon(
    spins: _Spins, optics: LinkOptics, pulse: Pulse, phase_rad: float, uniform: Uniform
) -> tuple[_Spins, int | None]:
    """The spins after one photon has gone its way, and the detector that it reached."""
    bins = [[amplitude * math.sqrt(0.5) for amplitude in spins] for _ in (0, 1)]
    kept = cmath.rect(math.sqrt(pulse.off_reflectivity_prob), pulse.off_phase_rad)
    scattered = math.sqrt(1.0 - pulse.off_reflectivity_prob)
    for end in ("A", "B") if pulse.first == "A" else ("B", "A"):
        bit, eta = (2, optics.eta_a) if end == "A" else (1, optics.eta_b)
        # In the early bin a spin is off if its final value is 1, in the late bin if it is 0.
        off = [[bool(index & bit) != bool(late) for index in range(4)] for late in (0, 1)]
        bins, gone = _branch(bins, off, kept, scattered, uniform)
        if gone is None:
            everywhere = [[True] * 4, [True] * 4]
            bins, gone = _branch(bins, everywhere, math.sqrt(eta), math.sqrt(1.0 - eta), uniform)
        if gone is not None:
            return gone, None
    early, late = bins[0], [amplitude * cmath.exp(1j * phase_rad) for amplitude in bins[1]]
    return _detected(early, late, optics.visibility, uniform)


def _detected(
    early: _Spins, late: _Spins, visibility: float, uniform: Uniform
) -> tuple[_Spins, int]:
    """Behind which port the photon is found, and what that leaves of the spins."""
    common, alone = math.sqrt(visibility), math.sqrt(1.0 - visibility)
    half = math.sqrt(0.5)
    found: list[tuple[int, _Spins]] = []
    for port, sign in ((0, 1.0), (1, -1.0)):
        both = zip(early, late, strict=True)
        found.append((port, [half * (one + sign * common * other) for one, other in both]))
        found.append((port, [half * sign * alone * amplitude for amplitude in late]))
    possible = [one for one in found if _norm(one[1]) > 0.0]
    chance = uniform()
    chosen = possible[-1]
    for one in possible:
        chance -= _norm(one[1])
        if chance < 0.0:
            chosen = one
            break
    return _normalised(chosen[1]), chosen[0]


def _branch(
    bins: list[_Spins],
    where: list[list[bool]],
    kept: complex,
    lost: float,
    uniform: Uniform,
) -> tuple[list[_Spins], _Spins | None]:
    """A loss in the marked places: the bins if the photon goes on, the spins if it is gone."""
    chance = uniform()
    for amplitudes, marks in zip(bins, where, strict=True):
        gone = [a * lost if marked else 0j for a, marked in zip(amplitudes, marks, strict=True)]
        chance -= _norm(gone)
        if chance < 0.0:
            return bins, _normalised(gone)
    left = [
        [a * kept if marked else a for a, marked in zip(amplitudes, marks, strict=True)]
        for amplitudes, marks in zip(bins, where, strict=True)
    ]
    whole = math.sqrt(_norm(left[0]) + _norm(left[1]))
    return [[amplitude / whole for amplitude in one] for one in left], None


def _norm(spins: _Spins) -> float:
    return sum(abs(amplitude) ** 2 for amplitude in spins)


def _normalised(spins: _Spins) -> _Spins:
    whole = math.sqrt(_norm(spins))
    return [amplitude / whole for amplitude in spins]
