"""Double-click heralding with time bins: early and late photons, and detectors that may be dead late.

Theory
    Each node makes (|0>|early> + |1>|late>)/sqrt2. The station has two detectors, one per port, and
    looks for one click in each bin. Patterns are numbered as those of
    :mod:`qnet_protocols.heralding.double_click`, 2 * bin + port: same port Psi+, different ports Psi-.

    A detector whose dead time is longer than the distance of the bins cannot click twice: patterns
    (0, 2) and (1, 3) never occur, Psi+ is lost and p halves. Psi- is then heralded whatever meets
    the dead detector in the late bin, which nobody sees, so that a few more false heralds pass where
    there are dark counts. Otherwise everything is as with four detectors.

    ``outcomes`` is the closed form (:mod:`qnet.physics.heralding`, :mod:`qnet.physics.time_bin`);
    ``sample`` draws one attempt photon by photon and blinds the detectors that fired early
    (:mod:`qnet_protocols.heralding.photons`). The physical layer is
    :mod:`qnet_protocols.heralding.midpoint`.
Assumptions and validity
    As in the two modules of formulas. The bins do not overlap, and the detection window fits into
    one: ``bin_separation_s`` is at least the station's ``window_s``. Detectors have recovered when
    the next attempt begins. ``phase_rms_rad`` of the link is the change of the optical phase between
    the bins.
Not modelled
    A dead time that ends within the late window. The distance of the bins does not lengthen the
    attempt: count it into the platform's ``preparation_s``.
Units
    Probabilities are per attempt; times in seconds.
Sources
    [1] Barrett, Kok, "Efficient high-fidelity quantum computation using matter qubits and linear
        optics", Phys. Rev. A 71, 060310 (2005), doi 10.1103/PhysRevA.71.060310
    [2] Bernien et al., "Heralded entanglement between solid-state qubits separated by three metres",
        Nature 497, 86 (2013), doi 10.1038/nature12016
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from qnet.physics.bell import PSI_MINUS
from qnet.physics.time_bin import blind_time_bin
from qnet.plan import LinkOptics
from qnet.seams import ClickOutcome, HeraldingScheme, NoParameters
from qnet_protocols.heralding import double_click
from qnet_protocols.heralding.double_click import LABELS
from qnet_protocols.heralding.midpoint import MESSAGES, MidpointEnd, station_of
from qnet_protocols.heralding.photons import draw_attempt


class TimeBinParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``time-bin``.

    Attributes:
        bin_separation_s: from the early to the late bin, > 0.
        dead_time_s: how long a detector that fired sees nothing, >= 0; 0 for detectors that are ready
            again in the late bin.
    """

    bin_separation_s: Annotated[float, msgspec.Meta(gt=0.0)] = 1e-6
    dead_time_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0

    @property
    def blind(self) -> bool:
        """Whether a detector that fired early is still dead in the late bin."""
        return self.dead_time_s > self.bin_separation_s


def outcomes(optics: LinkOptics, parameters: TimeBinParameters) -> tuple[ClickOutcome, ...]:
    """The successful patterns of an attempt, four or two, each with exact probability and state.

    Raises:
        ValueError: a probability is out of range, or no pattern can ever occur.
    """
    if not parameters.blind:
        return double_click.outcomes(optics, NoParameters())
    result = blind_time_bin(optics)
    return tuple(
        ClickOutcome(pattern, result.pattern_prob, label, result.state)
        for pattern, label in LABELS.items()
        if label == PSI_MINUS
    )


def sample(
    optics: LinkOptics, parameters: TimeBinParameters, uniform: Callable[[], float]
) -> ClickOutcome | None:
    """One attempt drawn photon by photon; None for a failure. ``prob`` is 1: it has happened."""
    drawn = draw_attempt(optics, uniform, blind_after_click=parameters.blind)
    if drawn is None:
        return None
    pattern, state = drawn
    return ClickOutcome(pattern, 1.0, LABELS[pattern], state)


SCHEME: Final = HeraldingScheme(
    name="time-bin",
    outcomes=outcomes,
    sample=sample,
    make_end=MidpointEnd,
    make_station=station_of(LABELS),
    messages=MESSAGES,
    parameters=TimeBinParameters,
    sources=(
        "Barrett, Kok, Phys. Rev. A 71, 060310 (2005)",
        "Bernien et al., Nature 497, 86 (2013)",
    ),
)
"""Catalogue entry ``time-bin`` of the group ``qnet.heralding``."""
