"""Single-click heralding at a midpoint station: one photon, from nobody knows which end.

Theory
    Each node brings its memory into sqrt(1 - alpha) |0> + sqrt(alpha) |1> and excites it so that
    |1>, the bright state, sends a photon. Behind a balanced beam splitter every port has one
    detector. An attempt succeeds when exactly one of the two clicks: the photon may have come from
    either end, which leaves |01> +- |10>.

    ========= ====== ===========
    pattern   port   label
    ========= ====== ===========
    (0,)      0      (1, 0) Psi+
    (1,)      1      (1, 1) Psi-
    ========= ====== ===========

    One photon is enough, so the rate falls with the square root of the transmission between the
    nodes where two clicks fall with the transmission itself. The price is the |11> in which both
    were bright and one photon was lost: F is about 1 - alpha.

    ``outcomes`` is the closed form of :mod:`qnet.physics.single_click`; ``sample`` draws one attempt
    photon by photon (:mod:`qnet_protocols.heralding.one_photon`). They are written independently and
    are compared in the tests. The physical layer (announcement, matching, sequence numbers) is the
    one of any midpoint scheme: :mod:`qnet_protocols.heralding.midpoint`.
Assumptions and validity
    As in :mod:`qnet.physics.single_click`. ``phase_rms_rad`` of the link is the optical phase
    between the two arms, which must be held for whole fibres. The efficiency of the ends must be
    that of a bright memory: alpha is counted here.
Not modelled
    Phase stabilisation and the time that it takes (the platform's ``duty_prob`` can stand for it);
    a common phase of successive pairs.
Units
    Probabilities are per attempt.
Sources
    [1] Cabrillo, Cirac, Garcia-Fernandez, Zoller, "Creation of entangled states of distant atoms by
        interference", Phys. Rev. A 59, 1025 (1999), doi 10.1103/PhysRevA.59.1025
    [2] Humphreys et al., "Deterministic delivery of remote entanglement on a quantum network",
        Nature 558, 268 (2018), doi 10.1038/s41586-018-0200-5
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from qnet.physics.bell import PSI_MINUS, PSI_PLUS, Label
from qnet.physics.single_click import brightest, single_click
from qnet.plan import LinkOptics
from qnet.seams import ClickOutcome, HeraldingScheme
from qnet_protocols.heralding.midpoint import MESSAGES, MidpointEnd, station_of
from qnet_protocols.heralding.one_photon import draw_attempt

LABELS: Final[dict[tuple[int, ...], Label]] = {(0,): PSI_PLUS, (1,): PSI_MINUS}
"""Bell label that the station announces for each successful pattern."""


class SingleClickParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``single-click``. Ends A and B are the two processors in order of their names.

    Attributes:
        bright_a_prob: alpha of end A, the chance that its memory is bright, 0 < alpha < 1.
        bright_b_prob: alpha of end B. The coherence is largest, for a given rate, where alpha * eta of
            both ends is alike.
        double_excitation_prob: chance that a bright memory sends a second photon, at either end.
        fidelity: choose both bright states: the largest with which a click heralds that fidelity; 0: as
            given above.
    """

    bright_a_prob: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] = 0.1
    bright_b_prob: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] = 0.1
    double_excitation_prob: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.0
    fidelity: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.0


@lru_cache(maxsize=256)
def bright_states(optics: LinkOptics, parameters: SingleClickParameters) -> tuple[float, float]:
    """Alpha of each end.

    Raises:
        ValueError: the fidelity that is wanted is out of reach.
    """
    if parameters.fidelity <= 0.0:
        return parameters.bright_a_prob, parameters.bright_b_prob
    return brightest(optics, parameters.fidelity, parameters.double_excitation_prob)


def outcomes(optics: LinkOptics, parameters: SingleClickParameters) -> tuple[ClickOutcome, ...]:
    """The two successful patterns of an attempt, each with exact probability and state.

    Raises:
        ValueError: a probability is out of range, no click can ever occur, or the fidelity that is
            wanted is out of reach.
    """
    bright = bright_states(optics, parameters)
    result = single_click(optics, *bright, parameters.double_excitation_prob)
    return tuple(
        ClickOutcome(pattern, result.click_prob, label, result.state(label))
        for pattern, label in LABELS.items()
    )


def sample(
    optics: LinkOptics, parameters: SingleClickParameters, uniform: Callable[[], float]
) -> ClickOutcome | None:
    """One attempt drawn photon by photon; None for a failure.

    ``prob`` is 1: the outcome has happened. ``state`` belongs to the drawn history and is therefore
    purer than what anyone can know; its average over histories is the state of :func:`outcomes`.
    """
    bright = bright_states(optics, parameters)
    drawn = draw_attempt(optics, bright, parameters.double_excitation_prob, uniform)
    if drawn is None:
        return None
    port, state = drawn
    return ClickOutcome((port,), 1.0, LABELS[port,], state)


SCHEME: Final = HeraldingScheme(
    name="single-click",
    outcomes=outcomes,
    sample=sample,
    make_end=MidpointEnd,
    make_station=station_of(LABELS),
    detectors=2,
    messages=MESSAGES,
    parameters=SingleClickParameters,
    sources=(
        "Cabrillo, Cirac, Garcia-Fernandez, Zoller, Phys. Rev. A 59, 1025 (1999)",
        "Humphreys et al., Nature 558, 268 (2018)",
    ),
)
"""Catalogue entry ``single-click`` of the group ``qnet.heralding``."""
