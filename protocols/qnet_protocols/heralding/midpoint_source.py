"""Midpoint source: a source of photon pairs in the middle, memories that latch at the ends.

Theory
    The source sends one photon of a pair to each end; a memory that has taken its photon says so. Both
    must. Detectors as the station numbers them:

    ============= ================================= ===========
    pattern       what the ends say                 label
    ============= ================================= ===========
    (0, 2)        both latched, or Psi+ and Psi+    (0, 0) Phi+
    (1, 3)        Psi- and Psi-                     (0, 0) Phi+
    (0, 3)        Psi+ and Psi-                     (0, 1) Phi-
    (1, 2)        Psi- and Psi+                     (0, 1) Phi-
    ============= ================================= ===========

    Absorbing memories know (0, 2) only: p = eta_s eta_A eta_B, each eta times the latch efficiency. With
    ``linear_optics`` each end measures the photon together with one of its memory: p is 1/4 of that.
    ``outcomes`` is the closed form of :mod:`qnet.physics.midpoint_source`; ``sample`` draws one pulse
    photon by photon (:mod:`qnet_protocols.heralding.source_photons`).
Placement and timing
    The source stands at the station, in the middle. It fires ahead of time (pipelined): its photons
    come to memories that have just been prepared. A memory holds its half from the absorption; its
    latch message takes a flight to the middle, the verdict a flight back. That is the timing of any
    midpoint link, with the absorption in the place of the emission and the arrival of both latch
    messages in the place of the click:

        cycle = preparation + 2 max(flights) = tau_0 + T_L,    T_L over the whole span

    as in reference A4.4, although the quantum and the classical way are run through in the other order.
Assumptions and validity
    As in the closed form. ``efficiency_prob`` of a platform is the chance that a photon that has come is
    absorbed (with linear optics: reaches the beam splitter), the station's detector efficiency that a
    latch (or the photon) is seen; ``latch_prob`` what else is lost of it (with linear optics the
    whole way of the memory's own photon). Arms of unlike length: the source holds back the photon of the
    shorter arm, so that both latch messages meet.
Not modelled
    Several pairs per pulse. Pulses that find their memory busy: pulses come once per cycle.
Units
    Probabilities are per pulse.
Sources
    [1] Jones, Kim, Rakher, Kwiat, Ladd, "Design and analysis of communication protocols for quantum
        repeater networks", New J. Phys. 18, 083015 (2016), doi 10.1088/1367-2630/18/8/083015
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from qnet.physics.bell import PHI_MINUS, PHI_PLUS, PSI_MINUS, Label
from qnet.physics.midpoint_source import midpoint_source
from qnet.plan import LinkOptics
from qnet.seams import ClickOutcome, HeraldingScheme
from qnet_protocols.heralding.midpoint import MESSAGES, MidpointEnd, station_of
from qnet_protocols.heralding.source_photons import draw_absorbed, draw_measured

LATCHED: Final = (0, 2)
"""The pattern of two latches."""

LABELS: Final[dict[tuple[int, ...], Label]] = {
    (0, 2): PHI_PLUS,
    (1, 3): PHI_PLUS,
    (0, 3): PHI_MINUS,
    (1, 2): PHI_MINUS,
}
"""Bell label that the station announces for each successful pattern."""


class MidpointSourceParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``midpoint-source``.

    Attributes:
        source_prob: chance that a pulse of the source is a pair.
        source_fidelity: of the emitted pair (Werner).
        latch_prob: chance that a memory that absorbed its photon says so; with ``linear_optics`` that the
            photon of the memory itself is detected.
        linear_optics: each end measures its photon together with one of its memory; else it absorbs it.
    """

    source_prob: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 1.0
    source_fidelity: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 1.0
    latch_prob: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 1.0
    linear_optics: bool = False


def outcomes(optics: LinkOptics, parameters: MidpointSourceParameters) -> tuple[ClickOutcome, ...]:
    """The successful patterns of a pulse, each with exact probability and state.

    Raises:
        ValueError: a probability is out of range, or no pattern can ever occur.
    """
    heralds = midpoint_source(
        optics,
        parameters.source_prob,
        parameters.source_fidelity,
        parameters.latch_prob,
        linear_optics=parameters.linear_optics,
    )
    return tuple(
        ClickOutcome(_pattern(*herald.said), herald.prob, herald.label, herald.state())
        for herald in heralds
    )


def _pattern(said_a: Label, said_b: Label) -> tuple[int, int]:
    """Detectors 0 and 1 are end A's, 2 and 3 end B's; the odd ones stand for Psi-."""
    return int(said_a == PSI_MINUS), 2 + int(said_b == PSI_MINUS)


def sample(
    optics: LinkOptics, parameters: MidpointSourceParameters, uniform: Callable[[], float]
) -> ClickOutcome | None:
    """One pulse drawn photon by photon; None for a failure. ``state`` belongs to the drawn history."""
    numbers = (parameters.source_prob, parameters.source_fidelity, parameters.latch_prob)
    if not parameters.linear_optics:
        state = draw_absorbed(optics, *numbers, uniform)
        return None if state is None else ClickOutcome(LATCHED, 1.0, PHI_PLUS, state)
    drawn = draw_measured(optics, *numbers, uniform)
    if drawn is None:
        return None
    (said_a, said_b), state = drawn
    pattern = (said_a, 2 + said_b)
    return ClickOutcome(pattern, 1.0, LABELS[pattern], state)


SCHEME: Final = HeraldingScheme(
    name="midpoint-source",
    outcomes=outcomes,
    sample=sample,
    make_end=MidpointEnd,
    make_station=station_of(LABELS),
    light="source",
    messages=MESSAGES,
    parameters=MidpointSourceParameters,
    sources=("Jones et al., New J. Phys. 18, 083015 (2016)",),
)
"""Catalogue entry ``midpoint-source`` of the group ``qnet.heralding``."""
