"""Double-click heralding at a midpoint station: polarisation photons, time bins, Barrett-Kok.

Theory
    Each node entangles its memory with one photon in one of two modes, (|0>|H> + |1>|V>)/sqrt2.
    Behind a balanced beam splitter every port has one detector per mode. An attempt succeeds when
    exactly one detector of each mode clicks. Two clicks in the same port announce Psi+, in
    different ports Psi-.

    Detectors are numbered 2 * mode + port (mode 0 is H, 1 is V):

    ========= =========== =====
    pattern   ports       label
    ========= =========== =====
    (0, 2)    same, 0     (1, 0) Psi+
    (1, 3)    same, 1     (1, 0) Psi+
    (0, 3)    different   (1, 1) Psi-
    (1, 2)    different   (1, 1) Psi-
    ========= =========== =====

    ``outcomes`` is the closed form of :mod:`qnet.physics.heralding`; ``sample`` draws one attempt
    photon by photon (:mod:`qnet_protocols.heralding.photons`). They are written independently and
    are compared in the tests. The physical layer (announcement, matching, sequence numbers) is the
    one of any midpoint scheme: :mod:`qnet_protocols.heralding.midpoint`.
Assumptions and validity
    As in :mod:`qnet.physics.heralding`: one photon per node and attempt, balanced beam splitter,
    equal detectors that can fire in both modes of one attempt.
Not modelled
    A detector whose dead time is longer than the distance of the time bins (it would lose Psi+);
    the second optical excitation of Barrett-Kok as a separate round (the formulas are the same, the
    cycle is twice as long).
Units
    Probabilities are per attempt.
Sources
    [1] Barrett, Kok, "Efficient high-fidelity quantum computation using matter qubits and linear
        optics", Phys. Rev. A 71, 060310 (2005), doi 10.1103/PhysRevA.71.060310
    [2] Stephenson et al., "High-rate, high-fidelity entanglement of qubits across an elementary
        quantum network", Phys. Rev. Lett. 124, 110501 (2020), doi 10.1103/PhysRevLett.124.110501
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from qnet.physics.bell import PSI_MINUS, PSI_PLUS, Label
from qnet.physics.heralding import double_click
from qnet.plan import LinkOptics
from qnet.seams import (
    ClickOutcome,
    HeraldingScheme,
    NoParameters,
)
from qnet_protocols.heralding.midpoint import MESSAGES, MidpointEnd, station_of
from qnet_protocols.heralding.photons import draw_attempt

LABELS: Final[dict[tuple[int, ...], Label]] = {
    (0, 2): PSI_PLUS,
    (1, 3): PSI_PLUS,
    (0, 3): PSI_MINUS,
    (1, 2): PSI_MINUS,
}
"""Bell label that the station announces for each successful pattern."""


def outcomes(optics: LinkOptics, _parameters: NoParameters) -> tuple[ClickOutcome, ...]:
    """The four successful patterns of an attempt, each with exact probability and state.

    Raises:
        ValueError: a probability is out of range, or no pattern can ever occur.
    """
    result = double_click(optics)
    return tuple(
        ClickOutcome(pattern, result.pattern_prob, label, result.state(label))
        for pattern, label in LABELS.items()
    )


def sample(
    optics: LinkOptics, _parameters: NoParameters, uniform: Callable[[], float]
) -> ClickOutcome | None:
    """One attempt drawn photon by photon; None for a failure.

    ``prob`` is 1: the outcome has happened. ``state`` belongs to the drawn history and is therefore
    purer than what anyone can know; its average over histories is the state of :func:`outcomes`.
    """
    drawn = draw_attempt(optics, uniform)
    if drawn is None:
        return None
    pattern, state = drawn
    return ClickOutcome(pattern, 1.0, LABELS[pattern], state)


SCHEME: Final = HeraldingScheme(
    name="double-click",
    outcomes=outcomes,
    sample=sample,
    make_end=MidpointEnd,
    make_station=station_of(LABELS),
    messages=MESSAGES,
    sources=(
        "Barrett, Kok, Phys. Rev. A 71, 060310 (2005)",
        "Stephenson et al., Phys. Rev. Lett. 124, 110501 (2020)",
    ),
)
"""Catalogue entry ``double-click`` of the group ``qnet.heralding``."""
