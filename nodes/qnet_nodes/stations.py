"""Heralding stations: detector sheets with the source of every number.

Theory
    A midpoint station is a beam splitter and four detectors. Its efficiency multiplies that of the
    processor, and its dark counts imitate photons: the chance of a dark count in an attempt is
    1 - exp(-rate * window) per detector.
Validity
    A topology names a sheet (``sheet = "apd-422"`` in a station's table) or spells figures out, or both:
    what it spells wins.
Not modelled
    Dead time, after-pulsing, jitter, saturation.
Sources
    [1] Stephenson et al., PRL 124, 110501 (2020)
    [2] Hadfield, "Single-photon detectors for optical quantum information applications", Nature
        Photonics 3, 696 (2009), table 1
"""

from __future__ import annotations

from qnet.hardware import Station
from qnet.seams import Figure, StationSheet

APD_422 = StationSheet(
    name="apd-422",
    title="four blue-sensitive avalanche photodiodes, efficiency counted in the processor's figure",
    station=Station(
        detector_efficiency_prob=1.0,
        dark_rate_hz=20.0,
        window_s=50e-9,
        number_resolving=False,
    ),
    figures=(
        Figure(
            "detector_efficiency_prob",
            "counted in sr88-*: emission.efficiency_prob, which is derived from p [1]",
            "derived",
        ),
        Figure(
            "dark_rate_hz",
            "selected, cooled silicon diodes; order of magnitude from [2]",
            "assumed",
        ),
        Figure("window_s", "a few lifetimes (7.4 ns) of the P1/2 level of 88Sr+", "assumed"),
        Figure("switch", "each link has detectors of its own [1]", "memory"),
        Figure("number_resolving", "avalanche diodes click or do not [2]", "memory"),
    ),
)
"""The default station of 422 nm links."""
