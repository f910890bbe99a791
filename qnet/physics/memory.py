"""T1/T2 decay of stored qubits and of pairs of them.

Theory
    Amplitude damping to |0> with time T1 and pure dephasing such that the coherence falls as
    exp(-t/T2). During t the population of |1> falls by gamma = 1 - exp(-t/T1) and the off-diagonal
    element by exp(-t/T2). Both are exponential laws, so decay over t1 + t2 equals decay over t1,
    then t2: a store may apply it lazily and still be exact.
Assumptions and validity
    Memoryless noise, cold bath (no excitation from |0>), T2 <= 2 T1. Infinite times mean no decay.
Not modelled
    Gaussian decay exp(-(t/T2)^2), spin echoes, thermal excitation, noise common to both halves of
    a pair.
Units
    Times in seconds.
Sources
    [1] Nielsen and Chuang, "Quantum Computation and Quantum Information" (2000),
        sections 8.3.5 and 8.3.6.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Decay(NamedTuple):
    """What one qubit suffers during some time.

    Attributes:
        gamma: chance that |1> has fallen to |0>, 1 - exp(-t/T1).
        coherence: factor of the off-diagonal element, exp(-t/T2).
    """

    gamma: float
    coherence: float


def check_coherence_times(t1_s: float, t2_s: float) -> None:
    """Refuse times that no qubit can have.

    Raises:
        ValueError: not (t1_s > 0 and 0 < t2_s <= 2 t1_s).
    """
    if not t1_s > 0.0:
        raise ValueError(f"t1_s must obey t1_s > 0, got {t1_s}")
    if not 0.0 < t2_s <= 2.0 * t1_s:
        raise ValueError(f"t2_s must obey 0 < t2_s <= 2*t1_s, got {t2_s} with t1_s = {t1_s}")


def decay(time_s: float, t1_s: float, t2_s: float) -> Decay:
    """Decay of one qubit during ``time_s`` >= 0; both times may be inf."""
    return Decay(-math.expm1(-time_s / t1_s), math.exp(-time_s / t2_s))


def then(first: Decay, second: Decay) -> Decay:
    """Decay ``first`` followed by decay ``second``."""
    gamma = first.gamma + second.gamma - first.gamma * second.gamma
    return Decay(gamma, first.coherence * second.coherence)


def phi_fidelity(a: Decay, b: Decay) -> float:
    """Fidelity that a perfect Phi+ (or Phi-) keeps when its halves suffer ``a`` and ``b``.

    Equal halves: F = (1 + (1-e1)^2 + e1^2)/4 + e2^2/2 with e1 = exp(-t/T1), e2 = exp(-t/T2).
    """
    both_up = (1.0 - a.gamma) * (1.0 - b.gamma)
    both_fell = a.gamma * b.gamma
    return (1.0 + both_up + both_fell) / 4.0 + a.coherence * b.coherence / 2.0


def psi_fidelity(a: Decay, b: Decay) -> float:
    """Fidelity that a perfect Psi+ (or Psi-) keeps. Equal halves: F = (e1 + e2^2)/2."""
    return (2.0 - a.gamma - b.gamma) / 4.0 + a.coherence * b.coherence / 2.0


def dephasing_factors(time_s: float, t2_a_s: float, t2_b_s: float) -> tuple[float, float, float]:
    """Factors of the correlators (a, b, c) of a stored pair when T1 is infinite at both ends."""
    factor = math.exp(-time_s / t2_a_s - time_s / t2_b_s)
    return (factor, factor, 1.0)
