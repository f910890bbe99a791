"""Neutral atoms: a long fibre with frequency conversion, and channels in parallel (rows 11, 23).

Theory
    Double click over an arm of eta = collection x converter x fibre x detector, repeated after the light time
    and a preparation; a pair dephases from the emission of its photons until the herald is back, L/c at both
    ends. N channels at once succeed with 1 - (1 - p)^N, N p for small p.
Assumptions and validity
    Exponential dephasing with the published coherence time.
Not modelled
    Named check by check.
Units
    SI.
Sources
    In each case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from qnet.plan import LinkOptics
from qnet.plugins import find
from qnet.seams import checked_outcomes
from qnet.validate.case import Case, Check, Given, Published, Reading, Source, Summary
from qnet.validate.trial import estimate_of, fidelity, rate

# ---------------------------------------------------------------- row 11

_ARM_M, _COLLECTION, _CONVERTER, _DETECTOR = 16_500.0, 0.01, 0.57, 0.85
_PREPARATION_S, _T2_S, _SPIN_PHOTON = 30e-6, 330e-6, 0.95
_LONG_PAIRS = 500

_RB_NODE = f"""platform = "ideal"
t2_s = {_T2_S}
emission.wavelength_m = 780e-9
emission.efficiency_prob = {_COLLECTION}
emission.interval_s = {_PREPARATION_S}
emission.preparation_s = {_PREPARATION_S}
emission.spin_photon_fidelity = {_SPIN_PHOTON}"""

LONG: Final = f"""
[nodes.alice]
{_RB_NODE}
[nodes.bob]
{_RB_NODE}
[nodes.station]
kind = "station"
detector_efficiency_prob = {_DETECTOR}
[links.alice-bob]
ends = ["alice", "bob"]
station = "station"
length_m = {_ARM_M}
loss_db_per_km = 0.2
[links.alice-bob.converters.alice]
wavelength_m = 1517e-9
efficiency_prob = {_CONVERTER}
[links.alice-bob.converters.bob]
wavelength_m = 1517e-9
efficiency_prob = {_CONVERTER}
[app]
name = "deliver"
pairs = {_LONG_PAIRS}
[run]
seed = 11
"""


def _long_found(summaries: Sequence[Summary]) -> Mapping[str, Reading]:
    (summary,) = summaries
    return {"rate": rate(summary), "fidelity": fidelity(summary)}


VAN_LEENT: Final = Case(
    name="van-leent-2022",
    title="two rubidium atoms, 33 km of fibre at 1517 nm",
    row=11,
    source=Source(
        "van Leent et al., Nature 607, 69 (2022)", "10.1038/s41586-022-04764-4", "2111.15526"
    ),
    given=(
        Given("collection", _COLLECTION, "", "memory", "before conversion"),
        Given("converter", _CONVERTER, "", "found", "external, 780 to 1517 nm"),
        Given("fibre of each arm", _ARM_M, "m", "found", "0.2 dB/km"),
        Given("detector", _DETECTOR, "", "memory"),
        Given("preparation", _PREPARATION_S, "s", "memory", "beside the light time"),
        Given("T2", _T2_S, "s", "memory", "each atom"),
        Given("atom-photon fidelity", _SPIN_PHOTON, "", "memory", "each atom, taken as Werner"),
        Given("visibility", 1.0, "", "assumed", "not known to us"),
        Given("dark counts", 0.0, "1/s", "assumed", "noise of the converters neither"),
    ),
    checks=(
        Check(
            "rate", "R", Published(0.01), 0.006, "eta^2/2 / (L/c + preparation)",
            lambda: estimate_of(LONG).rate_hz,
            ("loading and cooling of the atoms (duty cycle)", "real loss of the fibre"), "1/s",
            must_hold=(0.004, 0.016),
        ),
        Check(
            "fidelity", "S", Published(0.622, 0.015), 0.015,
            "(1 + w + 2 w exp(-2 t/T2))/4, t = L/c, w from two atom-photon pairs",
            lambda: estimate_of(LONG).goodness,
            ("overlap of the photons", "noise of converters and detectors", "read-out",
             "published events are post-selected on a time window"),
        ),
    ),
    networks=lambda: (LONG,),
    read=_long_found,
)  # fmt: skip

# ---------------------------------------------------------------- row 23

CHANNELS: Final = 10
_ETA, _PARALLEL_PAIRS = 1e-3, 1000


def gain(channels: int) -> float:
    """Success of so many channels at once over that of one."""
    scheme = find("qnet.heralding", "double-click")

    def success(modes: int) -> float:
        optics = LinkOptics(_ETA, _ETA, modes=modes)
        return sum(one.prob for one in checked_outcomes("parallel", scheme, optics, {}))

    return success(channels) / success(1)


def _parallel(channels: int, seed: int) -> str:
    node = (
        f'platform = "ideal"\nemission.wavelength_m = 1389e-9\nemission.efficiency_prob = {_ETA}\n'
        f"emission.interval_s = 100e-6\nemission.modes = {channels}"
    )
    return f"""
[nodes.alice]
{node}
[nodes.bob]
{node}
[nodes.station]
kind = "station"
[links.alice-bob]
ends = ["alice", "bob"]
station = "station"
length_m = 1.0
[app]
name = "deliver"
pairs = {_PARALLEL_PAIRS}
[run]
seed = {seed}
"""


def _gain_found(summaries: Sequence[Summary]) -> Mapping[str, Reading]:
    one, many = (rate(summary) for summary in summaries)
    ratio = many.value / one.value
    relative = math.hypot(many.stderr / many.value, one.stderr / one.value)
    return {"rate over that of one channel": Reading(ratio, ratio * relative)}


LI: Final = Case(
    name="li-2025",
    title="ytterbium atoms at 1389 nm, channels in parallel",
    row=23,
    source=Source("Li et al., Nat. Phys. (2025)", "10.1038/s41567-025-03022-4", "2502.17406"),
    given=(
        Given("channels", float(CHANNELS), "", "assumed", "the published law is for any number"),
        Given("efficiency", _ETA, "", "assumed", "free space, order of magnitude"),
        Given("attempt interval", 100e-6, "s", "memory", "about 10 kHz"),
    ),
    checks=(
        Check(
            "rate over that of one channel", "R",
            Published(float(CHANNELS), words="in proportion to the channels"), 0.01 * CHANNELS,
            "(1 - (1 - p)^N)/p", lambda: gain(CHANNELS),
            ("unlike efficiencies of the channels", "cross-talk between fibres"),
            must_hold=(0.99 * CHANNELS, 1.01 * CHANNELS),
        ),
    ),
    networks=lambda: (_parallel(1, 23), _parallel(CHANNELS, 24)),
    read=_gain_found,
)  # fmt: skip

CASES: Final = (VAN_LEENT, LI)
"""In order of the rows."""
