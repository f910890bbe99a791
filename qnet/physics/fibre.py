"""Loss of single-mode fibre by wavelength.

Theory
    Between the points of a table the logarithm of the loss is linear in the wavelength. Up to the telecom
    bands Rayleigh scattering dominates, which falls as the fourth power of the wavelength; in the telecom
    windows the table gives what is installed today.
Assumptions and validity
    360 nm to 1625 nm, fibre that is single-mode at the wavelength. Fibres differ by 20 % at the telecom
    bands and by a factor of two below 450 nm: state ``loss_db_per_km`` where the figure matters.
Not modelled
    Bends, splices, the water peak of old fibre near 1383 nm, ageing of fibres under blue light.
Units
    Metres, dB/km.
Sources
    [1] ITU-T G.652 and G.657: 1310 nm to 1625 nm.
    [2] Data sheets of single-mode fibre for 400 nm to 980 nm, rounded.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Final

LOSS_DB_PER_KM: Final[tuple[tuple[float, float], ...]] = (
    (360e-9, 60.0),
    (422e-9, 40.0),
    (493e-9, 25.0),
    (637e-9, 8.0),
    (737e-9, 4.5),
    (780e-9, 3.5),
    (854e-9, 2.4),
    (980e-9, 1.5),
    (1310e-9, 0.35),
    (1389e-9, 0.30),
    (1550e-9, 0.20),
    (1625e-9, 0.22),
)
"""(wavelength, loss), in order of wavelength."""


def usual_loss_db_per_km(wavelength_m: float) -> float:
    """Loss of fibre at a wavelength.

    Raises:
        ValueError: outside the table.
    """
    shortest, longest = LOSS_DB_PER_KM[0][0], LOSS_DB_PER_KM[-1][0]
    if not shortest <= wavelength_m <= longest:
        raise ValueError(
            f"the loss of fibre is known for {shortest * 1e9:g} nm to {longest * 1e9:g} nm only, "
            f"got {wavelength_m * 1e9:g} nm"
        )
    upper = min(
        bisect_right([at for at, _ in LOSS_DB_PER_KM], wavelength_m), len(LOSS_DB_PER_KM) - 1
    )
    (low_m, low_db), (high_m, high_db) = LOSS_DB_PER_KM[upper - 1 : upper + 1]
    share = (wavelength_m - low_m) / (high_m - low_m)
    return math.exp(math.log(low_db) * (1.0 - share) + math.log(high_db) * share)
