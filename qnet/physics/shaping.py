"""Photons of unlike lifetimes made alike: a modulator cuts the longer one down.

Theory
    An emitter that decays at the rate g sends the wave packet sqrt(g) exp(-g t/2), t >= 0. A modulator whose
    amplitude transmission falls as exp(-(g' - g) t/2) from the moment of excitation, g' >= g, leaves
    sqrt(g) exp(-g' t/2): an exponential packet of lifetime 1/g', with the probability

        T = g / g' = lifetime behind / lifetime of the emitter.

    Shaped to the lifetime of a shorter photon it overlaps with that perfectly (on resonance): V = 1 where two
    photons as emitted have 4 g g' / (g + g')^2. Nothing that only attenuates does it with less loss: at no
    time may it let more through than comes, |f(t)|^2 <= |psi(t)|^2, and a packet c sqrt(g') exp(-g' t/2)
    touches that bound at t = 0, where c^2 g' = g.
Assumptions and validity
    The excitation is triggered, so that the modulator knows when it begins; its response is much faster than
    both lifetimes. A chirp that it adds counts as detuning.
Not modelled
    Storing and releasing a photon in another shape, which could do it without that loss; filters in the
    spectrum, which lengthen the shorter photon, but not to an exponential shape.
Units
    Seconds.
Sources
    [1] Kolchin, Belthangady, Du, Yin, Harris, "Electro-optic modulation of single photons", Phys. Rev. Lett.
        101, 103601 (2008), doi 10.1103/PhysRevLett.101.103601: photons shaped by amplitude modulation.
    [2] The loss is our own integral; the tests repeat it numerically.
"""

from __future__ import annotations


def shortened(emitted_s: float, shaped_s: float) -> float:
    """Chance that a photon of lifetime ``emitted_s`` passes a modulator that gives it ``shaped_s``.

    Raises:
        ValueError: 0 < shaped_s <= emitted_s is broken.
    """
    if not 0.0 < shaped_s <= emitted_s:
        raise ValueError(
            f"a modulator must shorten a photon, 0 < lifetime <= {emitted_s:g} s, got {shaped_s:g} s"
        )
    return shaped_s / emitted_s
