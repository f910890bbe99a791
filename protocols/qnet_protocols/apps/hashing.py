"""Universal hashing with Toeplitz matrices: tags that show equal strings, and keys shorter than the string.

Theory
    A binary Toeplitz matrix of m rows and n columns has equal entries along each diagonal, so m + n - 1
    random bits fix it. The family is two-universal (linear, and each non-zero string is mapped to 0 by a
    share 2^-m of the matrices): strings that differ get the same m-bit *tag* with chance 2^-m [1], and the
    leftover hash lemma makes the m-bit *key* of privacy amplification secret [2].

    Row i of the product is the XOR over j of t[i - j + n - 1] x[j]: coefficient i + n - 1 of the product of
    the polynomials t and x over GF(2), which long integers multiply without carries.
Assumptions and validity
    The seed is uniform, independent of the string, and public; a seed serves one string.
Not modelled
    Seeds shortened by a pseudorandom generator; reuse of a seed.
Units
    Bits. Bit j of a string is bit j (from 0, lowest) of the integer that stands for it.
Sources
    [1] Krawczyk, "LFSR-based hashing and authentication", CRYPTO '94, LNCS 839, 129 (1994), section 3.
    [2] Bennett, Brassard, Crepeau, Maurer, "Generalized privacy amplification", IEEE Trans. Inf. Theory 41,
        1915 (1995), doi 10.1109/18.476316.
"""

from __future__ import annotations

from collections.abc import Iterable


def pack(bits: Iterable[int]) -> int:
    """A string of bits as an integer, the first bit lowest."""
    text = "".join("1" if bit else "0" for bit in bits)
    return int(text[::-1] or "0", 2)


def seed_bytes(size: int, rows: int) -> int:
    """Bytes of the seed for strings of ``size`` bits and hashes of ``rows`` bits."""
    return (size + rows + 6) // 8 if size and rows else 0


def toeplitz(string: int, size: int, rows: int, seed: bytes) -> int:
    """The product of the matrix of ``seed`` and a string: ``rows`` bits.

    Args:
        string: the bits, as :func:`pack` makes them.
        size: how many.
        rows: bits of the result.
        seed: :func:`seed_bytes` of them.

    Raises:
        ValueError: the seed has another size, or the string is longer than ``size``.
    """
    if len(seed) != seed_bytes(size, rows):
        raise ValueError(
            f"the seed of {rows} x {size} bits must have {seed_bytes(size, rows)} bytes, got {len(seed)}"
        )
    if string >> size:
        raise ValueError(
            f"a string must have at most {size} bits, got one of {string.bit_length()}"
        )
    diagonals = int.from_bytes(seed, "little")
    product = 0
    for j, bit in enumerate(reversed(f"{string:b}")):
        if bit == "1":
            product ^= diagonals << j
    return (product >> (size - 1)) & ((1 << rows) - 1) if size else 0
