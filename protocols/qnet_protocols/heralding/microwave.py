"""Deterministic microwave transfer: a pair at every attempt, between qubits on one cold waveguide.

Theory
    The sender emits one half of a photon into the waveguide, the receiver absorbs it. Without a herald
    every attempt "succeeds", with pattern (0,) and label Psi+: loss is not seen, it damps the
    receiver's half. With ``heralded = true`` the photon is in one of two time bins, a receiver
    that got nothing notices, and what is left is Phi+ with pattern (1,) and p = eta; there
    the station's dark counts are the chance that a loss is overlooked. Closed forms:
    :mod:`qnet.physics.microwave`, :mod:`qnet.physics.absorption`.
Placement and timing
    ``length_m = [L, 0.0]``, the station at the receiver (:mod:`qnet_protocols.heralding.placement`):
    cycle = preparation + 2 T_L. Both ends could know the instant of the pair by the clock; the machines
    of any scheme tell it after T_L more, 0.03 us for 5 m, and so long both halves are stored. The
    damped half is that of the receiver, so the parameter ``sender`` must say which end emits.
Assumptions and validity
    As in the closed forms. Nothing is detected: the station's detector efficiency must be 1 and its
    dark rate 0, unless heralded. How well the photon has the shape that is absorbed says the link's
    ``visibility``. A waveguide is no fibre: state ``loss_db_per_km`` and ``group_index``.
Not modelled
    Cool-down, thermal photons; see the closed forms.
Units
    Probabilities are per attempt.
Sources
    [1] Magnard et al., PRL 125, 260502 (2020), doi 10.1103/PhysRevLett.125.260502
    [2] Kurpiers et al., Nature 558, 264 (2018), doi 10.1038/s41586-018-0195-y
    [3] Kurpiers et al., Phys. Rev. Applied 12, 044067 (2019), doi 10.1103/PhysRevApplied.12.044067
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from qnet.physics.absorption import erasure
from qnet.physics.bell import PHI_PLUS, PSI_PLUS, Label
from qnet.physics.microwave import half_sent
from qnet.plan import LinkOptics, LinkPlan
from qnet.seams import ClickOutcome, HeraldingScheme
from qnet_protocols.heralding.histories import MIXED, phi, pure, with_memory_errors
from qnet_protocols.heralding.midpoint import MESSAGES, MidpointEnd, station_of
from qnet_protocols.heralding.photons import normal
from qnet_protocols.heralding.placement import check_serial

NAME: Final = "microwave"
SENT: Final = (0,)
"""The pattern of a transfer that nobody checked."""
KEPT: Final = (1,)
"""The pattern of a transfer whose receiver did not miss its photon."""

LABELS: Final[dict[tuple[int, ...], Label]] = {SENT: PSI_PLUS, KEPT: PHI_PLUS}
"""Bell label of each pattern."""


class MicrowaveParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``microwave``.

    Attributes:
        heralded: the receiver notices that the photon was lost.
        sender: the end that emits: "A" or "B", the two processors in order of their names.
    """

    heralded: bool = False
    sender: Literal["A", "B"] = "A"


def outcomes(optics: LinkOptics, parameters: MicrowaveParameters) -> tuple[ClickOutcome, ...]:
    """The one pattern of an attempt, with exact probability and state.

    Raises:
        ValueError: a probability is out of range, false counts are given although nothing is detected,
            or no herald can ever occur.
    """
    if parameters.heralded:
        found = erasure(optics)
        return (ClickOutcome(KEPT, found.success_prob, PHI_PLUS, found.state()),)
    return (ClickOutcome(SENT, 1.0, PSI_PLUS, half_sent(optics, parameters.sender).matrix()),)


def sample(
    optics: LinkOptics, parameters: MicrowaveParameters, uniform: Callable[[], float]
) -> ClickOutcome | None:
    """One attempt, drawn as a jump or none; ``state`` belongs to the drawn history."""
    phase = optics.phase_rms_rad * normal(uniform)
    stages = (optics.eta_a, optics.eta_b, optics.visibility)
    if parameters.heralded:
        arrived = all(uniform() < passed for passed in stages)
        if not arrived and uniform() >= optics.dark_prob:
            return None
        state = with_memory_errors(phi(phase) if arrived else MIXED, optics, uniform)
        return ClickOutcome(KEPT, 1.0, PHI_PLUS, state)
    stays, goes = math.sqrt(0.5), math.sqrt(0.5)
    for passed in stages:
        norm = stays**2 + goes**2
        if uniform() < goes**2 * (1.0 - passed) / norm:
            stays, goes = 0.0, 0.0  # the photon was there and is gone
            break
        goes *= math.sqrt(passed)
    sent = goes * cmath.exp(1j * phase)
    amplitudes: tuple[complex, ...] = (0.0, sent, stays, 0.0)
    if stays == 0.0:
        amplitudes = (1.0, 0.0, 0.0, 0.0)
    elif parameters.sender == "B":
        amplitudes = (0.0, stays, sent, 0.0)
    state = with_memory_errors(pure(amplitudes), optics, uniform)
    return ClickOutcome(SENT, 1.0, PSI_PLUS, state)


def check(link: LinkPlan) -> None:
    """Refuse a link whose station is not at the receiver, by a ValueError."""
    typed = msgspec.convert(link.scheme_parameters, MicrowaveParameters)
    check_serial(link, NAME, sender=typed.sender)


SCHEME: Final = HeraldingScheme(
    name=NAME,
    outcomes=outcomes,
    sample=sample,
    make_end=MidpointEnd,
    make_station=station_of(LABELS),
    light="serial",
    messages=MESSAGES,
    check=check,
    parameters=MicrowaveParameters,
    sources=(
        "Magnard et al., PRL 125, 260502 (2020)",
        "Kurpiers et al., Nature 558, 264 (2018)",
        "Kurpiers et al., Phys. Rev. Applied 12, 044067 (2019)",
    ),
)
"""Catalogue entry ``microwave`` of the group ``qnet.heralding``."""
