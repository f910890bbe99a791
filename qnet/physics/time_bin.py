"""Two clicks in time bins with detectors that are still dead in the late bin.

Theory
    Each node makes (|0>|early> + |1>|late>)/sqrt2; the station has one detector per port, and it
    looks for one click in each bin. If the detectors recover between the bins this is
    :mod:`qnet.physics.heralding`, a detector in two bins standing for two detectors. If their dead
    time is longer than the distance of the bins, a detector that fired early sees nothing late: the
    same port never clicks twice, Psi+ is lost, and without dark counts p halves to eta_A eta_B / 4.

    Blindness also changes what passes for Psi-: port i early, port j late, and whatever photon or
    dark count meets port i late goes unnoticed. With p = dark_prob, q = 1 - p, v = V exp(-sigma^2/2),
    unnormalised per pattern:

        w   = hA hB q/8         one photon each bin, ports differ: (1+v)/2 Psi- + (1-v)/2 Psi+
        w'  = hA hB p q/8       one photon each bin, same port, a dark count late in the other one:
                                (1+v)/2 Psi+ + (1-v)/2 Psi-
        |00>: hA hB p q (1+V)/16                 both early in one port, a dark count late
        |11>: hA hB p q [(1+V)/4 (1+p) + (1-V)/2]/4     a dark count early, both photons late
        one photon, from A: hA (1-hB) p q/4 [|0><0| + (1+p) |1><1|] x I/2, and likewise from B
        none: (1-hA)(1-hB) p^2 q I/4

    The last ones are not Bell-diagonal: late photons have one more way to pass. A number-resolving
    detector refuses two counts in one bin: q^2 more in w, q in w' and where one photon is seen
    alone, nothing where two photons meet in a detector that is awake.
Assumptions and validity
    Those of :mod:`qnet.physics.heralding`. A detector that fires early is blind for the whole late
    window; one that fired in an earlier attempt has recovered.
Not modelled
    Dead time that ends within the late window; afterpulsing; dark counts between the windows that
    leave a detector dead.
Units
    Probabilities per attempt.
Sources
    [1] Barrett and Kok, Phys. Rev. A 71, 060310 (2005), doi 10.1103/PhysRevA.71.060310.
    [2] The weights are our own enumeration of photons; the tests repeat it independently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qnet.physics.bell import Matrix4
from qnet.physics.heralding import Optics, check_optics
from qnet.physics.odd_states import OddState


@dataclass(frozen=True)
class BlindTimeBin:
    """Outcome of one attempt with detectors that are dead in the bin after their click.

    Attributes:
        pattern_prob: probability of one of the two patterns (different ports, announced as Psi-).
        success_prob: probability of either.
        fidelity: of the memories with Psi-.
        state: density matrix of the memories (A, B), trace 1.
    """

    pattern_prob: float
    success_prob: float
    fidelity: float
    state: Matrix4


def blind_time_bin(optics: Optics) -> BlindTimeBin:
    """Probabilities and state, exact for the model of the module head.

    Raises:
        ValueError: a probability lies outside 0..1, or no pattern can ever occur.
    """
    check_optics(optics)
    eta_a, eta_b, dark, v = optics.eta_a, optics.eta_b, optics.dark_prob, optics.visibility
    quiet = 1.0 - dark
    # What a number-resolving detector asks of a photon: no dark count beside it; of two: never.
    alone, bunched = (quiet, 0.0) if optics.number_resolving else (1.0, 1.0)
    two = eta_a * eta_b
    apart = two * quiet * alone**2 / 8.0
    same = two * dark * quiet * alone / 8.0
    early = two * dark * quiet * bunched * (1.0 + v) / 16.0
    late = two * dark * quiet * ((1.0 + v) / 4.0 * (bunched + dark) + (1.0 - v) / 2.0 * alone) / 4.0
    seen_early = dark * quiet * alone / 8.0
    seen_late = dark * quiet * (alone + dark) / 8.0
    from_a, from_b = eta_a * (1.0 - eta_b), eta_b * (1.0 - eta_a)
    none = (1.0 - eta_a) * (1.0 - eta_b) * dark**2 * quiet / 4.0
    odd = (apart + same) / 2.0 + none
    ideal = OddState(
        p00=early + (from_a + from_b) * seen_early + none,
        p01=odd + from_a * seen_early + from_b * seen_late,
        p10=odd + from_a * seen_late + from_b * seen_early,
        p11=late + (from_a + from_b) * seen_late + none,
        coherence=v * math.exp(-(optics.phase_rms_rad**2) / 2.0) * (same - apart) / 2.0,
    )
    if ideal.trace <= 0.0:
        raise ValueError(
            "a double click must have probability > 0, got 0 with "
            f"eta_a = {eta_a}, eta_b = {eta_b}, dark_prob = {dark}"
        )
    made = ideal.with_memory_errors(optics.spin_photon_a, optics.spin_photon_b)
    fidelity = made.mirrored().psi_plus_fidelity
    return BlindTimeBin(made.trace, 2.0 * made.trace, fidelity, made.matrix())
