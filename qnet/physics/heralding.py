"""Entanglement heralded by two clicks at a midpoint station, dark counts included.

Theory
    Each node makes (|0>|H> + |1>|V>)/sqrt2 between its memory and a photon (or early/late time
    bins). Both photons meet at a beam splitter; every port has one detector per mode. An attempt
    succeeds when exactly two detectors click, one in each mode: both in the same port announce
    Psi+, in different ports Psi-. There are four such patterns, all equally likely. The state of
    the memories, unnormalised so that its trace is the probability of one pattern, is

        rho = w2 [(1+v)/2 Psi± + (1-v)/2 Psi∓] + wpar (|00><00| + |11><11|)/2 + wn I/4

    w2: two photons, one in each mode; wpar: two photons in one mode and port (a threshold detector
    takes them for one) and a dark count in the other mode; wn: at least one click is dark and
    nothing is known. v = V exp(-sigma^2/2) is the visibility after the differential phase noise.
    The state is Bell-diagonal, (|00><00| + |11><11|)/2 being Phi+ and Phi- in equal parts. A Pauli
    error on a photon equals one on its memory, so imperfect spin-photon pairs convolve the labels.
Assumptions and validity
    At most one photon per node and attempt; at most one dark count per detector and window;
    balanced beam splitter; equal detectors; 0 <= eta, V, p_d <= 1.
Not modelled
    Double excitation, afterpulsing, path-dependent polarisation rotation; dead time between time
    bins, which :mod:`qnet.physics.time_bin` adds.
Units
    Probabilities per attempt; the phase in radians.
Sources
    [1] Barrett and Kok, "Efficient high-fidelity quantum computation using matter qubits and
        linear optics", Phys. Rev. A 71, 060310 (2005), doi 10.1103/PhysRevA.71.060310.
    [2] Simon and Irvine, "Robust long-distance entanglement and a loophole-free Bell test with
        ions and photons", Phys. Rev. Lett. 91, 110405 (2003), doi 10.1103/PhysRevLett.91.110405.
    [3] Stephenson et al., "High-rate, high-fidelity entanglement of qubits across an elementary
        quantum network", Phys. Rev. Lett. 124, 110501 (2020), doi 10.1103/PhysRevLett.124.110501.
    [4] The weights with dark counts are our own enumeration of photons; the tests repeat it
        independently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from qnet.physics.bell import (
    PSI_MINUS,
    PSI_PLUS,
    Label,
    Matrix4,
    Weights,
    convolve,
    density_matrix,
    werner,
)

PATTERNS_PER_LABEL = 2
"""Click patterns that announce Psi+ (same port); as many announce Psi- (different ports)."""


class Optics(Protocol):
    """What :func:`double_click` needs to know; :class:`qnet.plan.LinkOptics` has these fields."""

    @property
    def eta_a(self) -> float:
        """Chance that an emitted photon of end A reaches and fires a detector."""
        ...

    @property
    def eta_b(self) -> float:
        """The same for end B."""
        ...

    @property
    def visibility(self) -> float:
        """V = |<psi_A|psi_B>|^2."""
        ...

    @property
    def dark_prob(self) -> float:
        """Chance of a dark count per detector and window."""
        ...

    @property
    def phase_rms_rad(self) -> float:
        """Rms differential phase of the two modes."""
        ...

    @property
    def number_resolving(self) -> bool:
        """True if a detector tells one photon from two."""
        ...

    @property
    def spin_photon_a(self) -> float:
        """Fidelity of the spin-photon pair of end A (Werner-like)."""
        ...

    @property
    def spin_photon_b(self) -> float:
        """The same for end B."""
        ...


@dataclass(frozen=True)
class DoubleClick:
    """Outcome of one double-click attempt.

    Attributes:
        w2, wpar, wn: probabilities per click pattern, as in the module head.
        pattern_prob: probability of one successful pattern, w2 + wpar + wn.
        success_prob: probability of any of the four patterns.
        fidelity: of the memories with the announced Psi state.
        weights_plus: Bell weights, trace 1, after a same-port pattern (announced as Psi+).
        weights_minus: Bell weights, trace 1, after a different-port pattern (announced as Psi-).
    """

    w2: float
    wpar: float
    wn: float
    pattern_prob: float
    success_prob: float
    fidelity: float
    weights_plus: Weights
    weights_minus: Weights

    def weights(self, label: Label) -> Weights:
        """Bell weights of the memories when ``label`` (Psi+ or Psi-) was announced."""
        return {PSI_PLUS: self.weights_plus, PSI_MINUS: self.weights_minus}[label]

    def state(self, label: Label) -> Matrix4:
        """Density matrix of the memories (A, B), trace 1, when ``label`` was announced."""
        return density_matrix(self.weights(label))


def double_click(optics: Optics) -> DoubleClick:
    """Probabilities and states of a double-click attempt, exact for the model of the module head.

    Raises:
        ValueError: a probability lies outside 0..1, or no pattern can ever occur.
    """
    check_optics(optics)
    eta_a, eta_b = optics.eta_a, optics.eta_b
    dark = optics.dark_prob
    quiet = 1.0 - dark
    two_quiet = quiet**2
    # A number-resolving detector also rejects a pattern in which a dark count adds to a photon.
    photon_quiet = quiet if optics.number_resolving else 1.0
    one_photon = (eta_a * (1.0 - eta_b) + eta_b * (1.0 - eta_a)) / 2.0
    no_photon = (1.0 - eta_a) * (1.0 - eta_b)
    w2 = eta_a * eta_b / 8.0 * two_quiet * photon_quiet**2
    wpar = 0.0
    if not optics.number_resolving:
        wpar = eta_a * eta_b * (1.0 + optics.visibility) / 8.0 * dark * two_quiet
    wn = one_photon * dark * two_quiet * photon_quiet + no_photon * dark**2 * two_quiet
    pattern = w2 + wpar + wn
    if pattern <= 0.0:
        raise ValueError(
            "a double click must have probability > 0, got 0 with "
            f"eta_a = {eta_a}, eta_b = {eta_b}, dark_prob = {dark}"
        )
    visibility = optics.visibility * math.exp(-(optics.phase_rms_rad**2) / 2.0)
    right = (w2 * (1.0 + visibility) / 2.0 + wn / 4.0) / pattern
    wrong = (w2 * (1.0 - visibility) / 2.0 + wn / 4.0) / pattern
    even = (wpar / 2.0 + wn / 4.0) / pattern
    errors = convolve(werner(optics.spin_photon_a), werner(optics.spin_photon_b))
    plus = convolve((even, even, right, wrong), errors)
    minus = convolve((even, even, wrong, right), errors)
    return DoubleClick(w2, wpar, wn, pattern, 4.0 * pattern, plus[2], plus, minus)


def check_optics(optics: Optics) -> None:
    """Refuse what is no probability.

    Raises:
        ValueError: naming the field, its domain and its value.
    """
    for name, value in (
        ("eta_a", optics.eta_a),
        ("eta_b", optics.eta_b),
        ("visibility", optics.visibility),
        ("dark_prob", optics.dark_prob),
        ("spin_photon_a", optics.spin_photon_a),
        ("spin_photon_b", optics.spin_photon_b),
    ):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} must obey 0 <= {name} <= 1, got {value}")
    if not 0.0 <= optics.phase_rms_rad < math.inf:
        raise ValueError(f"phase_rms_rad must be finite and >= 0, got {optics.phase_rms_rad}")


def mode_visibility(
    lifetime_a_s: float, lifetime_b_s: float, detuning_rad_per_s: float = 0.0, delay_s: float = 0.0
) -> float:
    """V of two exponentially decaying photons of unlike emitters.

    V = 4 g1 g2 / ((g1 + g2)^2 + 4 Delta^2) exp(-g1 delay), g = 1/lifetime: the squared overlap of
    the two wave packets (direct integration).

    Args:
        lifetime_a_s: 1/e lifetime of the photon that starts first, > 0.
        lifetime_b_s: 1/e lifetime of the later photon, > 0.
        detuning_rad_per_s: angular frequency difference.
        delay_s: by how much the second photon starts later, >= 0.
    """
    if not (lifetime_a_s > 0.0 and lifetime_b_s > 0.0 and delay_s >= 0.0):
        raise ValueError(
            "lifetimes must be > 0 and the delay >= 0, got "
            f"{lifetime_a_s}, {lifetime_b_s} and {delay_s}"
        )
    rate_a, rate_b = 1.0 / lifetime_a_s, 1.0 / lifetime_b_s
    resonance = 4.0 * rate_a * rate_b / ((rate_a + rate_b) ** 2 + 4.0 * detuning_rad_per_s**2)
    return resonance * math.exp(-rate_a * delay_s)
