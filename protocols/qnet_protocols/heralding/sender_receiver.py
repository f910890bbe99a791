"""Sender and receiver: one end emits, the other absorbs or measures; no station between.

Theory
    The sender emits a photon entangled with its memory through the whole span to the receiver, which
    is its own station (the arm of the receiver has length 0). The receiver either

    * *absorbs* the photon into its memory with a herald (``linear_optics = false``): p = eta, Phi+,
      one detector, pattern (0,); closed form :mod:`qnet.physics.absorption`; or
    * lets it interfere with a photon that its own memory emits then and there
      (``linear_optics = true``): a double click next door, p = eta/2, patterns and labels of
      :mod:`qnet_protocols.heralding.double_click`, which it also takes its sampler from.

    Which end is the sender need not be said: the states do not depend on it, and the timing knows
    it by the arms.
Placement and timing
    ``length_m = [L, 0.0]`` (:mod:`qnet_protocols.heralding.placement`): cycle = preparation + 2 T_L,
    the "2 T_L + tau_0" of sender and receiver in reference A4.4. The sender's memory decays from
    the departure of its photon, the receiver's from the click.
Assumptions and validity
    As in the closed forms. With absorption one photon passes from end to end and is seen once: the station's
    detector, that of the herald, counts once, and how well the photon has the shape that is absorbed says the
    link's ``visibility``. With ``linear_optics`` two photons meet and are detected, as at any midpoint.
Not modelled
    The receiver's earlier knowledge (T_L instead of 2 T_L): both ends deliver together.
Units
    Probabilities are per attempt.
Sources
    [1] Ritter et al., Nature 484, 195 (2012), doi 10.1038/nature11023
    [2] Jones et al., New J. Phys. 18, 083015 (2016), doi 10.1088/1367-2630/18/8/083015:
        SenderReceiver
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from qnet.physics.absorption import absorption
from qnet.physics.bell import PHI_PLUS, Label
from qnet.physics.heralding import double_click
from qnet.plan import LinkOptics, LinkPlan
from qnet.seams import ClickOutcome, HeraldingScheme, Light
from qnet_protocols.heralding.double_click import LABELS as MEASURED
from qnet_protocols.heralding.histories import MIXED, phi, with_memory_errors
from qnet_protocols.heralding.midpoint import MESSAGES, MidpointEnd, station_of
from qnet_protocols.heralding.photons import draw_attempt, normal
from qnet_protocols.heralding.placement import check_serial

NAME: Final = "sender-receiver"
ABSORBED: Final = (0,)
"""The pattern of an absorption: its detector clicked."""

LABELS: Final[dict[tuple[int, ...], Label]] = {ABSORBED: PHI_PLUS, **MEASURED}
"""Bell label that the receiver announces for each successful pattern."""


class SenderReceiverParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``sender-receiver``.

    Attributes:
        linear_optics: the receiver measures the photon together with one of its own; else it absorbs it.
    """

    linear_optics: bool = False


def light(parameters: SenderReceiverParameters) -> Light:
    """One photon from end to end, or two that meet."""
    return "midpoint" if parameters.linear_optics else "serial"


def outcomes(optics: LinkOptics, parameters: SenderReceiverParameters) -> tuple[ClickOutcome, ...]:
    """The successful patterns of an attempt, each with exact probability and state.

    Raises:
        ValueError: a probability is out of range, or no pattern can ever occur.
    """
    if not parameters.linear_optics:
        found = absorption(optics)
        return (ClickOutcome(ABSORBED, found.success_prob, PHI_PLUS, found.state()),)
    measured = double_click(optics)
    return tuple(
        ClickOutcome(pattern, measured.pattern_prob, label, measured.state(label))
        for pattern, label in MEASURED.items()
    )


def sample(
    optics: LinkOptics, parameters: SenderReceiverParameters, uniform: Callable[[], float]
) -> ClickOutcome | None:
    """One attempt drawn photon by photon; None for a failure. ``state`` belongs to the drawn history."""
    if parameters.linear_optics:
        drawn = draw_attempt(optics, uniform)
        return None if drawn is None else ClickOutcome(drawn[0], 1.0, MEASURED[drawn[0]], drawn[1])
    fits = uniform() < optics.visibility
    arrives = uniform() < optics.eta_a
    absorbed = uniform() < optics.eta_b and arrives and fits
    counts = int(absorbed) + int(uniform() < optics.dark_prob)
    if counts == 0 or (counts > 1 and optics.number_resolving):
        return None
    state = phi(optics.phase_rms_rad * normal(uniform)) if absorbed else MIXED
    return ClickOutcome(ABSORBED, 1.0, PHI_PLUS, with_memory_errors(state, optics, uniform))


def check(link: LinkPlan) -> None:
    """Refuse a link whose station is not at one of its ends, by a ValueError."""
    check_serial(link, NAME)


SCHEME: Final = HeraldingScheme(
    name=NAME,
    outcomes=outcomes,
    sample=sample,
    make_end=MidpointEnd,
    make_station=station_of(LABELS),
    light=light,
    messages=MESSAGES,
    check=check,
    parameters=SenderReceiverParameters,
    sources=(
        "Ritter et al., Nature 484, 195 (2012)",
        "Jones et al., New J. Phys. 18, 083015 (2016)",
    ),
)
"""Catalogue entry ``sender-receiver`` of the group ``qnet.heralding``."""
