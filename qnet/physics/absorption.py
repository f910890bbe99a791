"""Entanglement by a photon that is absorbed and heralded: one emitter, one receiver.

Theory
    The sender makes (|0>|early> + |1>|late>)/sqrt2 between its memory and a photon (or two
    polarisations). The photon travels the whole span and is absorbed into the receiver's memory,
    |early> as |0>, |late> as |1>, and the absorption is heralded without a word about the mode
    (Raman photon, cavity reflection read in the complementary basis): the pair is Phi+. With the
    chance t = V etaA etaB that the photon is absorbed and its herald seen, and the chance d of a
    herald out of nothing, the state, unnormalised so that its trace is the probability, is

        rho = t q_n [(1+k)/2 Phi+ + (1-k)/2 Phi-]  +  (1 - t) d I/4

    k = exp(-sigma^2/2) from the phase between the modes; q_n = 1 - d if the detector tells one
    count from two (it refuses a herald with a dark count beside it), else 1. V is the share of the
    wave packet that fits what the receiver absorbs; the rest goes by. Imperfect emission and
    absorption are Pauli errors on the memories: they convolve the labels.
Assumptions and validity
    A lost photon leaves the sender mixed; a receiver that absorbed nothing is taken as mixed too
    (its level outside the qubit is not followed). A herald that was missed and replaced by a dark
    count would leave a good pair; as the efficiencies do not tell absorption from detection, it is
    counted as noise, which claims less, not more. 0 <= eta, V, d <= 1.
Not modelled
    Second photons; absorption that favours one mode; multi-level leakage.
Units
    Probabilities per attempt; the phase in radians.
Sources
    [1] Kurz et al., "Experimental protocol for high-fidelity heralded photon-to-atom quantum state
        transfer", Nat. Commun. 5, 5527 (2014), doi 10.1038/ncomms6527.
    [2] Ritter et al., "An elementary quantum network of single atoms in optical cavities", Nature
        484, 195 (2012), doi 10.1038/nature11023: sender, receiver, no station between.
    [3] The noise term is our own enumeration; the tests repeat it on density matrices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qnet.physics.bell import Matrix4, Weights, convolve, density_matrix, werner
from qnet.physics.heralding import Optics, check_optics


@dataclass(frozen=True)
class Absorption:
    """Outcome of one attempt whose herald announces Phi+.

    Attributes:
        success_prob: probability of the herald.
        weights: Bell weights of the memories, trace 1.
    """

    success_prob: float
    weights: Weights

    @property
    def fidelity(self) -> float:
        """Of the memories with Phi+."""
        return self.weights[0]

    def state(self) -> Matrix4:
        """Density matrix of the memories (A, B), trace 1."""
        return density_matrix(self.weights)


def dephased(phase_rms_rad: float) -> Weights:
    """Weights of a Phi+ whose |00> and |11> have a Gaussian relative phase."""
    kept = math.exp(-(phase_rms_rad**2) / 2.0)
    return ((1.0 + kept) / 2.0, (1.0 - kept) / 2.0, 0.0, 0.0)


def memory_errors(optics: Optics) -> Weights:
    """Distribution of the label errors of both ends' spin-photon interfaces together."""
    return convolve(werner(optics.spin_photon_a), werner(optics.spin_photon_b))


def absorption(optics: Optics) -> Absorption:
    """Probability and state of one heralded absorption, exact for the model of the module head.

    Raises:
        ValueError: a probability lies outside 0..1, or the herald can never occur.
    """
    check_optics(optics)
    arrived = optics.visibility * optics.eta_a * optics.eta_b
    dark = optics.dark_prob
    right = arrived * (1.0 - dark if optics.number_resolving else 1.0)
    return _mixed(optics, right, (1.0 - arrived) * dark)


def erasure(optics: Optics) -> Absorption:
    """The same where the loss of the photon is what is looked for; ``dark_prob``: it is overlooked.

    Raises:
        ValueError: as for :func:`absorption`.
    """
    check_optics(optics)
    arrived = optics.visibility * optics.eta_a * optics.eta_b
    return _mixed(optics, arrived, (1.0 - arrived) * optics.dark_prob)


def _mixed(optics: Optics, right: float, wrong: float) -> Absorption:
    total = right + wrong
    if total <= 0.0:
        raise ValueError(
            "a herald must have probability > 0, got 0 with "
            f"eta_a = {optics.eta_a}, eta_b = {optics.eta_b}, visibility = {optics.visibility}, "
            f"dark_prob = {optics.dark_prob}"
        )
    good = convolve(dephased(optics.phase_rms_rad), memory_errors(optics))
    one, two, three, four = ((right * weight + wrong / 4.0) / total for weight in good)
    return Absorption(total, (one, two, three, four))
