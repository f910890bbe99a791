"""Serial reflection: one light pulse reads two cavity-coupled spins, one after the other.

Theory
    A pulse in two time bins reflects from the spin of the sender, travels, reflects from that of the
    receiver and is read there by an interferometer with two detectors.

    ========= ============ ===========
    pattern   light        label
    ========= ============ ===========
    (0,)      early + late (0, 0) Phi+
    (1,)      early - late (0, 1) Phi-
    ========= ============ ===========

    Of the photons eta/4 herald; a weak coherent pulse of mean number mu heralds with mu eta/4, and its
    second photons cost coherence of order mu. ``outcomes`` is the closed form of
    :mod:`qnet.physics.reflection`, exact for coherent pulses too; ``sample`` follows the photons one by
    one (:mod:`qnet_protocols.heralding.reflected_light`).
Placement and timing
    This is no midpoint scheme [1], although secondary sources draw it so. ``length_m = [L, 0.0]``, the
    station at the receiver (:mod:`qnet_protocols.heralding.placement`): cycle = preparation + 2 T_L,
    the "2 T_L + tau_0" of serial reflection in reference A4.4. The first spin decays from its
    reflection on, T_L before the click, the second from the click. Losses lie behind the
    spin of their arm, so the parameter ``sender`` must say which end the light meets first.
Assumptions and validity
    As in the closed form. ``efficiency_prob`` of an end is its coupling and reflection in the "on" state. The
    link's ``transmission_prob`` lies between the spins, the station's switch and detector behind the second.
    A photon has the shape that its source gave it: ``lifetime_s`` of the emitters plays no part.
Not modelled
    Reflection in both directions at once; phase stabilisation; see the closed form.
Units
    Probabilities are per attempt (one pulse).
Sources
    [1] Knaut et al., "Entanglement of nanophotonic quantum memory nodes in a telecom network",
        Nature 629, 573 (2024), doi 10.1038/s41586-024-07252-z
    [2] Bhaskar et al., Nature 580, 60 (2020), doi 10.1038/s41586-020-2103-5
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec

from qnet.physics.bell import PHI_MINUS, PHI_PLUS, Label
from qnet.physics.reflection import Pulse, reflection
from qnet.plan import LinkOptics, LinkPlan
from qnet.seams import ClickOutcome, HeraldingScheme
from qnet_protocols.heralding.midpoint import MESSAGES, MidpointEnd, station_of
from qnet_protocols.heralding.placement import check_serial
from qnet_protocols.heralding.reflected_light import draw_pulse

NAME: Final = "reflection"
LABELS: Final[dict[tuple[int, ...], Label]] = {(0,): PHI_PLUS, (1,): PHI_MINUS}
"""Bell label that the receiver announces for each successful pattern."""


class ReflectionParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``reflection``.

    Attributes:
        mean_photons: mu at the first spin, 0 < mu <= 1; with ``single_photon`` the chance of a photon.
        single_photon: the source never sends two photons.
        off_reflectivity_prob: share of the light that a spin reflects in its "off" state, relative to "on".
        off_phase_rad: phase of that light relative to the "on" state's.
        sender: the end that the light meets first: "A" or "B", the processors in order of their names.
    """

    mean_photons: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 0.05
    single_photon: bool = False
    off_reflectivity_prob: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.0
    off_phase_rad: float = 0.0
    sender: Literal["A", "B"] = "A"

    @property
    def pulse(self) -> Pulse:
        """The same in the words of the closed form."""
        return Pulse(
            self.mean_photons,
            self.single_photon,
            self.off_reflectivity_prob,
            self.off_phase_rad,
            self.sender,
        )


def outcomes(optics: LinkOptics, parameters: ReflectionParameters) -> tuple[ClickOutcome, ...]:
    """Both patterns of an attempt, each with exact probability and state.

    Raises:
        ValueError: a number is out of its domain, or no click can ever occur.
    """
    heralds = reflection(optics, parameters.pulse)
    return tuple(
        ClickOutcome(pattern, herald.prob, herald.label, herald.state)
        for pattern, herald in zip(LABELS, heralds, strict=True)
    )


def sample(
    optics: LinkOptics, parameters: ReflectionParameters, uniform: Callable[[], float]
) -> ClickOutcome | None:
    """One pulse drawn photon by photon; None for a failure. ``state`` belongs to the drawn history."""
    drawn = draw_pulse(optics, parameters.pulse, uniform)
    if drawn is None:
        return None
    detector, state = drawn
    return ClickOutcome((detector,), 1.0, LABELS[detector,], state)


def check(link: LinkPlan) -> None:
    """Refuse a link whose station is not at the receiver, by a ValueError."""
    typed = msgspec.convert(link.scheme_parameters, ReflectionParameters)
    check_serial(link, NAME, sender=typed.sender)


SCHEME: Final = HeraldingScheme(
    name=NAME,
    outcomes=outcomes,
    sample=sample,
    make_end=MidpointEnd,
    make_station=station_of(LABELS),
    light="serial",
    detectors=2,
    messages=MESSAGES,
    check=check,
    parameters=ReflectionParameters,
    sources=(
        "Knaut et al., Nature 629, 573 (2024)",
        "Bhaskar et al., Nature 580, 60 (2020)",
    ),
)
"""Catalogue entry ``reflection`` of the group ``qnet.heralding``."""
