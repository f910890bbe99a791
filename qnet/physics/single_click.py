"""Entanglement heralded by one click at a midpoint station, dark counts included.

Theory
    Each node makes sqrt(1 - alpha) |0>|no photon> + sqrt(alpha) |1>|one photon>: alpha is the chance
    that its memory is bright (|1>) and sends a photon. Both arms meet at a balanced beam splitter
    with one detector per port. An attempt succeeds when exactly one of the two detectors clicks:
    port 0 announces Psi+, port 1 Psi-. The state of the memories, unnormalised so that its trace is
    the probability of one of the two clicks, is with q = 1 - p_d

        p00 = (1 - aA)(1 - aB) p_d q
        p01 = (1 - aA) aB [hB/2 q + (1 - hB) p_d q]                  p10: A <-> B
        p11 = aA aB [hA hB (1 + V)/4 q + (hA (1 - hB) + hB (1 - hA))/2 q + (1 - hA)(1 - hB) p_d q]
        c   = +- q/2 sqrt(V aA (1 - aA) hA aB (1 - aB) hB) exp(-sigma^2/2) (1 - p_2e)

        rho = diag(p00, p01, p10, p11) + c (|01><10| + |10><01|)

    a: alpha, h: efficiency eta. A number-resolving detector refuses two photons: the term with
    (1 + V)/4 goes, and where one photon clicks a dark count beside it must be absent too: q becomes
    q^2 there and in c. The coherence falls with sqrt(V), not V: only one of the two amplitudes is
    spread over a wave packet that the other cannot make. For small eta without dark counts
    p = 2 alpha eta and F = (1 - alpha)(1 + sqrt(V) exp(-sigma^2/2))/2: rate is bought with fidelity.

    *Double excitation.* A bright memory sends a second photon with probability p_2e. It is lost, but
    where it went betrays the emitter: the amplitude without it is sqrt(1 - p_2e) for |01> as for
    |10>, hence 1 - p_2e in c.

    *Imperfect spin-photon pairs* leave a Pauli error on the memory. Here the photon is not in one of
    two modes but there or not, so only the errors of the memory are meant; they do not change what
    the detectors see (:mod:`qnet.physics.odd_states`).
Assumptions and validity
    At most one photon per node that can reach a detector; at most one dark count per detector and
    window; balanced beam splitter; equal detectors; Gaussian phase between the arms of rms sigma.
    The state is far from Bell-diagonal (p11 >> p00): whoever uses only its Bell-diagonal part must
    say what is left out. It is an average over the optical phase: pairs that are made close together
    share their phase in a laboratory, here they do not.
Not modelled
    Second photons that click; afterpulsing; slow drift of the phase and its stabilisation.
Units
    Probabilities per attempt; the phase in radians.
Sources
    [1] Cabrillo, Cirac, Garcia-Fernandez, Zoller, "Creation of entangled states of distant atoms by
        interference", Phys. Rev. A 59, 1025 (1999), doi 10.1103/PhysRevA.59.1025.
    [2] Humphreys et al., "Deterministic delivery of remote entanglement on a quantum network",
        Nature 558, 268 (2018), doi 10.1038/s41586-018-0200-5: bright-state protocol, F and p.
    [3] The weights with dark counts are our own enumeration of photons; the tests repeat it
        independently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qnet.physics.bell import PSI_MINUS, PSI_PLUS, Label, Matrix4
from qnet.physics.heralding import Optics, check_optics
from qnet.physics.odd_states import OddState

_DIMMEST, _BRIGHTEST = 1e-9, 0.5
_STEPS = 100
"""Thirds of an interval that is searched; a hundred leave nothing of it."""


@dataclass(frozen=True)
class SingleClick:
    """Outcome of one single-click attempt.

    Attributes:
        p00, p01, p10, p11: populations per detector, unnormalised; memory errors included.
        coherence: c, positive, after a click that announces Psi+; -c after one that announces Psi-.
            Negative only if spin-photon pairs are worse than random (fidelity < 1/4).
        click_prob: probability of a success in one of the two detectors.
        success_prob: probability of a success in either.
        fidelity: of the memories with the announced Psi state.
    """

    p00: float
    p01: float
    p10: float
    p11: float
    coherence: float
    click_prob: float
    success_prob: float
    fidelity: float

    def state(self, label: Label) -> Matrix4:
        """Density matrix of the memories (A, B), trace 1, when ``label`` (Psi+ or Psi-) was announced."""
        coherence = {PSI_PLUS: self.coherence, PSI_MINUS: -self.coherence}[label]
        return OddState(self.p00, self.p01, self.p10, self.p11, coherence).matrix()


def single_click(
    optics: Optics,
    bright_a_prob: float,
    bright_b_prob: float,
    double_excitation_prob: float = 0.0,
) -> SingleClick:
    """Probabilities and states of a single-click attempt, exact for the model of the module head.

    Args:
        optics: of the link; its phase is that between the arms.
        bright_a_prob: alpha of end A, 0 < alpha < 1.
        bright_b_prob: the same for end B.
        double_excitation_prob: p_2e of either end, 0..1.

    Raises:
        ValueError: a probability is out of its domain, or no click can ever occur.
    """
    check_optics(optics)
    _check(bright_a_prob, bright_b_prob, double_excitation_prob)
    eta_a, eta_b, dark = optics.eta_a, optics.eta_b, optics.dark_prob
    quiet = 1.0 - dark
    # A number-resolving detector also rejects a photon with a dark count beside it.
    lit = quiet * (quiet if optics.number_resolving else 1.0)
    unlit = dark * quiet
    one_photon = (eta_a * (1.0 - eta_b) + eta_b * (1.0 - eta_a)) / 2.0
    no_photon = (1.0 - eta_a) * (1.0 - eta_b)
    both = one_photon * lit + no_photon * unlit
    if not optics.number_resolving:
        both += eta_a * eta_b * (1.0 + optics.visibility) / 4.0 * quiet
    only_a = bright_a_prob * (1.0 - bright_b_prob)
    only_b = bright_b_prob * (1.0 - bright_a_prob)
    kept = math.exp(-(optics.phase_rms_rad**2) / 2.0) * (1.0 - double_excitation_prob)
    ideal = OddState(
        p00=(1.0 - bright_a_prob) * (1.0 - bright_b_prob) * unlit,
        p01=only_b * (eta_b / 2.0 * lit + (1.0 - eta_b) * unlit),
        p10=only_a * (eta_a / 2.0 * lit + (1.0 - eta_a) * unlit),
        p11=bright_a_prob * bright_b_prob * both,
        coherence=lit / 2.0 * kept * math.sqrt(optics.visibility * only_a * eta_a * only_b * eta_b),
    )
    if ideal.trace <= 0.0:
        raise ValueError(
            "a single click must have probability > 0, got 0 with "
            f"eta_a = {eta_a}, eta_b = {eta_b}, dark_prob = {dark}"
        )
    made = ideal.with_memory_errors(optics.spin_photon_a, optics.spin_photon_b)
    return SingleClick(*made, made.trace, 2.0 * made.trace, made.psi_plus_fidelity)


def brightest(
    optics: Optics, fidelity: float, double_excitation_prob: float = 0.0
) -> tuple[float, float]:
    """The largest bright-state probabilities with which a click heralds that fidelity.

    Both ends send as much: alpha_A eta_A = alpha_B eta_B, the larger alpha at most 1/2. The fidelity first
    rises with alpha, as photons outnumber dark counts, then falls, as both ends are bright.

    Args:
        optics: of the link.
        fidelity: wanted for the heralded state, 0..1.
        double_excitation_prob: p_2e of either end.

    Raises:
        ValueError: no bright state reaches the fidelity; the best one is named.
    """

    def ends(larger: float) -> tuple[float, float]:
        weaker = min(optics.eta_a, optics.eta_b)
        return larger * weaker / optics.eta_a, larger * weaker / optics.eta_b

    def reached(larger: float) -> float:
        return single_click(optics, *ends(larger), double_excitation_prob).fidelity

    if min(optics.eta_a, optics.eta_b) <= 0.0:
        raise ValueError("both ends must send light to choose a bright state, one has eta = 0")
    low, high = math.log(_DIMMEST), math.log(_BRIGHTEST)
    for _ in range(_STEPS):  # the one maximum of the fidelity
        third = (high - low) / 3.0
        if reached(math.exp(low + third)) < reached(math.exp(high - third)):
            low += third
        else:
            high -= third
    best = math.exp((low + high) / 2.0)
    if reached(best) < fidelity:
        raise ValueError(
            f"fidelity must be <= {reached(best):.6f}, the best of all bright states on this link, "
            f"got {fidelity}"
        )
    dim, bright = best, _BRIGHTEST
    if reached(bright) >= fidelity:
        return ends(bright)
    for _ in range(_STEPS):
        middle = math.sqrt(dim * bright)
        dim, bright = (middle, bright) if reached(middle) >= fidelity else (dim, middle)
    return ends(dim)


def _check(bright_a_prob: float, bright_b_prob: float, double_excitation_prob: float) -> None:
    for name, value in (("bright_a_prob", bright_a_prob), ("bright_b_prob", bright_b_prob)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{name} must obey 0 < {name} < 1, got {value}")
    if not 0.0 <= double_excitation_prob <= 1.0:
        raise ValueError(
            "double_excitation_prob must obey 0 <= double_excitation_prob <= 1, "
            f"got {double_excitation_prob}"
        )
