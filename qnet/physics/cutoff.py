"""Two links, one waits for the other: what a cutoff costs in rate and saves in fidelity.

Theory
    Both links try once per slot, each with success p. The first pair waits for the other one, at most for
    tau slots; then it is discarded and both go on. Links are memoryless, so every discard and every
    success starts a round anew. With q = 1 - p the rounds are won with P = 1 - 2 q^(tau+1)/(2 - p), and a
    pair that has waited d slots keeps the factor exp(-d/T).
Assumptions and validity
    Exact for any 0 < p <= 1. Exact also where only the older pair is thrown away: the younger link has
    nothing yet.
Not modelled
    Light times, longer chains, several memories per link.
Units
    Times in slots.
Sources
    [1] Physics reference A6.4, derived there and verified against Monte Carlo.
    [2] Collins, Jenkins, Kuzmich, Kennedy, Phys. Rev. Lett. 98, 060502 (2007): memories that are reset
        after a time.
"""

from __future__ import annotations

import math


def _check(success_prob: float, cutoff_slots: float) -> None:
    if not 0.0 < success_prob <= 1.0:
        raise ValueError(f"success_prob must obey 0 < p <= 1, got {success_prob}")
    if not (cutoff_slots == math.inf or (cutoff_slots >= 0 and cutoff_slots % 1 == 0)):
        raise ValueError(f"cutoff_slots must be a whole number >= 0 or inf, got {cutoff_slots}")


def accepted_prob(success_prob: float, cutoff_slots: float = math.inf) -> float:
    """Chance that the other link succeeds within ``cutoff_slots`` of the first one, the same slot included."""
    _check(success_prob, cutoff_slots)
    fails = 1.0 - success_prob
    return 1.0 - 2.0 * math.pow(fails, cutoff_slots + 1) / (2.0 - success_prob)


def mean_slots(success_prob: float, cutoff_slots: float = math.inf) -> float:
    """Mean number of slots from one joined pair to the next."""
    accepted = accepted_prob(success_prob, cutoff_slots)
    fails = 1.0 - success_prob
    either = 1.0 / (success_prob * (2.0 - success_prob))
    return either * (1.0 + 2.0 * fails * (1.0 - math.pow(fails, cutoff_slots))) / accepted


def mean_factor(
    success_prob: float, coherence_slots: float, cutoff_slots: float = math.inf
) -> float:
    """Mean of exp(-d/T) over the joined pairs, T = ``coherence_slots``."""
    accepted = accepted_prob(success_prob, cutoff_slots)
    if not coherence_slots > 0.0:
        raise ValueError(f"coherence_slots must be > 0, got {coherence_slots}")
    kept = (1.0 - success_prob) * math.exp(-1.0 / coherence_slots)
    waited = kept * (1.0 - math.pow(kept, cutoff_slots)) / (1.0 - kept)
    return success_prob / (2.0 - success_prob) * (1.0 + 2.0 * waited) / accepted
