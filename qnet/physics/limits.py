"""Bounds that no simulated link may beat, and the CHSH figures of two-qubit states.

Theory
    A lossy channel of transmission eta carries at most -log2(1 - eta) ebits per mode and use
    without a station, and -log2(1 - eta^(1/(n+1))) with n stations. A heralded midpoint link with
    one memory per side tries at most once per light time of the whole span. For settings {Z, X} x
    {(Z ± X)/sqrt2} the CHSH sum of a state in the frame of Phi+ is S = sqrt2 (a + c).
Assumptions and validity
    Pure loss; a midpoint-heralded link is compared with the one-station bound. CHSH: qubit
    marginals are maximally mixed where read-out errors are included.
Not modelled
    Multimode memories (count modes outside), bounds with two-way assistance by other parties.
Units
    eta and probabilities dimensionless, lengths in metres, times in seconds, rates in hertz.
Sources
    [1] Pirandola, Laurenza, Ottaviani, Banchi, "Fundamental limits of repeaterless quantum
        communications", Nat. Commun. 8, 15043 (2017), eq. (1), doi 10.1038/ncomms15043.
    [2] Pirandola, "End-to-end capacities of a quantum communication network", Commun. Phys. 2, 51
        (2019), doi 10.1038/s42005-019-0147-3: chains of stations.
    [3] Clauser, Horne, Shimony, Holt, "Proposed experiment to test local hidden-variable
        theories", Phys. Rev. Lett. 23, 880 (1969), doi 10.1103/PhysRevLett.23.880.
    [4] Horodecki, Horodecki, Horodecki, "Violating Bell inequality by mixed spin-1/2 states",
        Phys. Lett. A 200, 340 (1995), doi 10.1016/0375-9601(95)00214-N.
    [5] Bennett, DiVincenzo, Smolin, Wootters, "Mixed-state entanglement and quantum error correction",
        Phys. Rev. A 54, 3824 (1996), doi 10.1103/PhysRevA.54.3824.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from qnet.physics.bell import Correlators, weights_from_correlators, werner_correlator
from qnet.physics.swapping import FlipProbs, readout_contrast
from qnet.units import GROUP_INDEX_FIBRE, SPEED_OF_LIGHT_M_PER_S

DOUBLE_CLICK_SUCCESS_MAX: Final = 0.5
"""Success of a linear-optics Bell measurement on two photons that both arrive."""

CHSH_CLASSICAL: Final = 2.0
CHSH_QUANTUM: Final = 2.0 * math.sqrt(2.0)


def capacity_bound(transmission_prob: float, stations: int = 0) -> float:
    """Most ebits per mode and use over a channel cut into equal parts by stations; [1], [2].

    Args:
        transmission_prob: eta of the whole channel, 0 <= eta < 1.
        stations: number of stations on the way, 0 for the repeaterless (PLOB) bound.
    """
    if not 0.0 <= transmission_prob < 1.0:
        raise ValueError(f"transmission must obey 0 <= eta < 1, got {transmission_prob}")
    if stations < 0:
        raise ValueError(f"number of stations must be >= 0, got {stations}")
    part = transmission_prob ** (1.0 / (stations + 1))
    return -math.log1p(-part) / math.log(2.0)


def plob_bound(transmission_prob: float) -> float:
    """Repeaterless bound -log2(1 - eta); [1] eq. (1)."""
    return capacity_bound(transmission_prob)


def one_station_bound(transmission_prob: float) -> float:
    """Bound -log2(1 - sqrt(eta)) for a channel with one station in the middle; [2]."""
    return capacity_bound(transmission_prob, 1)


def heralded_rate_bound_hz(
    transmission_prob: float,
    length_m: float,
    preparation_s: float = 0.0,
    *,
    success_max: float = DOUBLE_CLICK_SUCCESS_MAX,
    group_index: float = GROUP_INDEX_FIBRE,
) -> float:
    """Most pairs per second over a midpoint-heralded link with one memory per side.

    Args:
        transmission_prob: eta of the whole span, both arms: eta_A eta_B.
        length_m: fibre length from end to end.
        preparation_s: local time per attempt.
        success_max: chance of a herald when both photons arrive.
        group_index: of the fibre.

    Raises:
        ValueError: length and preparation are both zero: nothing bounds the rate.
    """
    interval_s = length_m * group_index / SPEED_OF_LIGHT_M_PER_S + preparation_s
    if not interval_s > 0.0:
        raise ValueError(f"light time plus preparation must be > 0 s, got {interval_s}")
    return success_max * transmission_prob / interval_s


def hashing_yield(pair: Correlators) -> float:
    """Ebits per pair of one-way hashing, max(0, 1 - H(p)) of the Bell weights p; [5]. 1 for perfect pairs."""
    weights = (max(0.0, weight) for weight in weights_from_correlators(pair))
    entropy = -sum(weight * math.log2(weight) for weight in weights if weight > 0.0)
    return max(0.0, 1.0 - entropy)


def chsh_fixed(pair: Correlators) -> float:
    """S = sqrt2 (a + c) for the settings {Z, X} x {(Z ± X)/sqrt2}."""
    return math.sqrt(2.0) * (pair[0] + pair[2])


def chsh_max(pair: Correlators) -> float:
    """Largest S over all settings, 2 sqrt(t1^2 + t2^2) with the two largest |correlators|; [4]."""
    largest, second, _ = sorted((abs(value) for value in pair), reverse=True)
    return 2.0 * math.hypot(largest, second)


def chsh_werner(fidelity: float) -> float:
    """S = 2 sqrt2 (4F - 1)/3 of a Werner state."""
    return CHSH_QUANTUM * werner_correlator(fidelity)


def chsh_read(
    s_true: float, flips_a: FlipProbs, flips_b: FlipProbs, basis_factor: float = 1.0
) -> float:
    """The S that noisy read-outs show for a state with maximally mixed halves.

    Every correlation E becomes k_A k_B E + d_A d_B with contrast k = 1 - e0 - e1 and bias d = e1 -
    e0; the bias stays in the sum 2 d_A d_B of three plus and one minus sign.

    Args:
        s_true: S of the state.
        flips_a: read-out errors of one end.
        flips_b: read-out errors of the other.
        basis_factor: factor of the correlations from noisy basis-change gates.
    """
    contrast = readout_contrast(flips_a) * readout_contrast(flips_b) * basis_factor
    bias = (flips_a[1] - flips_a[0]) * (flips_b[1] - flips_b[0])
    return contrast * s_true + 2.0 * bias


def chsh_standard_error(correlations: Sequence[float], trials: Sequence[int]) -> float:
    """Standard error of S from the correlation and the number of trials of each setting.

    sqrt(sum (1 - E^2)/n), the binomial error of each correlation.
    """
    if len(correlations) != len(trials) or any(count < 1 for count in trials):
        raise ValueError(
            "every setting needs a correlation and >= 1 trial, got "
            f"{len(correlations)} correlations and trials {list(trials)}"
        )
    variance = sum((1.0 - e * e) / n for e, n in zip(correlations, trials, strict=True))
    return math.sqrt(variance)
