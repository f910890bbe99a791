"""How long a secret key may be: entropic bounds of BBM92 and E91 from error rates and the Bell sum.

Theory
    *BBM92*, many pairs: from each sifted Z bit r = 1 - h(e_X) - leak, with the binary entropy h and the share
    of wrong X bits e_X [1]; leak = f h(e_Z) beforehand, the bits really said afterwards. Both rates equal,
    perfect reconciliation: zero at 11.00 %.

    *BBM92*, n Z bits and k X bits: a key that is e_sec-secret and e_cor-correct has at most

        l = n (1 - h(e_X + mu)) - leak - log2 (2 / (e_sec^2 e_cor)),
        mu = sqrt( (n + k)/(n k) (k + 1)/k ln (2/e_sec) )

    bits [2], eqs (1) and (2), with quality q = 1 of two exact conjugate bases.

    Correlators (a, b, c) in the frame of Phi+ mean e_X = (1 - a)/2, e_Y = (1 - b)/2, e_Z = (1 - c)/2 [4].

    *E91*: an eavesdropper on pairs that show the Bell sum S knows at most
    chi = h( (1 + sqrt((S/2)^2 - 1))/2 ) of a key bit, whatever the devices do [3], so r = 1 - chi - leak for
    S > 2, and nothing for S <= 2. Half of the key rounds are read in Z by both ends, half in (Z+X)/sqrt2, where
    (2 - a - c)/4 are wrong (the other terms of the product, <ZX> and <XZ>, are zero for Bell-diagonal pairs).
Assumptions and validity
    [1] and [3]: many pairs, collective attacks; [2]: any attack, fair sampling of both bases. Key bits are
    uniform. The tag of verification is part of e_cor in [2].
Not modelled
    Finite statistics of the Bell sum; basis-dependent detection.
Units
    Bits; rates per key bit.
Sources
    [1] Shor, Preskill, "Simple proof of security of the BB84 quantum key distribution protocol", Phys. Rev.
        Lett. 85, 441 (2000), doi 10.1103/PhysRevLett.85.441.
    [2] Tomamichel, Lim, Gisin, Renner, "Tight finite-key analysis for quantum cryptography", Nat. Commun. 3,
        634 (2012), doi 10.1038/ncomms1631.
    [3] Acin, Brunner, Gisin, Massar, Pironio, Scarani, "Device-independent security of quantum cryptography
        against collective attacks", Phys. Rev. Lett. 98, 230501 (2007), doi 10.1103/PhysRevLett.98.230501.
    [4] Physics reference A7.2.
"""

from __future__ import annotations

import math
from typing import Final

from qnet.physics.bell import Correlators

THRESHOLD: Final = 0.1100279
"""Share of wrong bits in both bases at which 1 - 2 h(e) = 0."""


def error_shares(pair: Correlators) -> tuple[float, float, float]:
    """Shares of wrong bits (e_X, e_Y, e_Z) when both ends read X, Y or Z; [4]."""
    a, b, c = pair
    return ((1.0 - a) / 2.0, (1.0 - b) / 2.0, (1.0 - c) / 2.0)


def entropy(share: float) -> float:
    """Binary entropy h in bits; 1 above one half, where more errors are no help."""
    if share <= 0.0:
        return 0.0
    if share >= 0.5:
        return 1.0
    return -share * math.log2(share) - (1.0 - share) * math.log2(1.0 - share)


def bbm92_rate(error_z: float, error_x: float, efficiency: float = 1.0) -> float:
    """Secret bits per sifted Z bit, 1 - h(e_X) - f h(e_Z); negative below the threshold; [1]."""
    return 1.0 - entropy(error_x) - efficiency * entropy(error_z)


def bbm92_rate_hz(
    pair_rate_hz: float, z_prob: float, pair: Correlators, efficiency: float = 1.0
) -> float:
    """Secret bits per second from pairs of which both ends read a share ``z_prob`` in Z, at least 0.

    Only rounds in which both chose Z make the key: pair rate x z_prob^2 x r; [4], no Z round shown.

    Args:
        pair_rate_hz: pairs delivered per second.
        z_prob: chance of Z at each end, 0..1.
        pair: correlators.
        efficiency: f, bits of reconciliation over h(e_Z), >= 1.
    """
    if not 0.0 <= z_prob <= 1.0:
        raise ValueError(f"chance of Z must obey 0 <= z_prob <= 1, got {z_prob}")
    error_x, _, error_z = error_shares(pair)
    return pair_rate_hz * z_prob**2 * max(0.0, bbm92_rate(error_z, error_x, efficiency))


def sampling_margin(key_bits: int, test_bits: int, secrecy: float) -> float:
    """How far the X errors of the key may exceed those of the test; [2] eq. (2)."""
    n, k = key_bits, test_bits
    return math.sqrt((n + k) / (n * k) * (k + 1) / k * math.log(2.0 / secrecy))


def bbm92_bits(
    key_bits: int, test_bits: int, error_x: float, leak: int, secrecy: float | None, correct: float
) -> int:
    """Length of the key, 0 if there is none; [2] eq. (1), or [1] without ``secrecy``.

    Args:
        key_bits: n, sifted bits of which the key is made.
        test_bits: k, bits of the other basis that were compared.
        error_x: share of the latter that were wrong.
        leak: parities and tag bits said in public.
        secrecy: e_sec; None for the limit of many pairs.
        correct: e_cor.
    """
    if key_bits < 1 or test_bits < 1:
        return 0
    if secrecy is None:
        return max(0, math.floor(key_bits * (1.0 - entropy(error_x)) - leak))
    bound = error_x + sampling_margin(key_bits, test_bits, secrecy)
    paid = leak + math.log2(2.0 / (secrecy * secrecy * correct))
    return max(0, math.floor(key_bits * (1.0 - entropy(bound)) - paid))


def chsh_entropy(s: float) -> float:
    """chi, what an eavesdropper may know of a key bit: 1 for S <= 2, 0 for S = 2 sqrt2; [3]."""
    if s <= 2.0:
        return 1.0
    return entropy((1.0 - math.sqrt(min(1.0, s * s / 4.0 - 1.0))) / 2.0)


def e91_error(pair: Correlators) -> float:
    """Share of wrong bits among the key rounds of E91, half in Z and half in the diagonal."""
    a, _, c = pair
    return ((1.0 - c) / 2.0 + (2.0 - a - c) / 4.0) / 2.0


def e91_rate(s: float, error: float) -> float:
    """Secret bits per key round, 1 - chi(S) - h(e); negative where there is no key; [3]."""
    return 1.0 - chsh_entropy(s) - entropy(error)


def e91_bits(key_bits: int, s: float, leak: int) -> int:
    """Length of the key, 0 if there is none; [3]."""
    return max(0, math.floor(key_bits * (1.0 - chsh_entropy(s)) - leak))
