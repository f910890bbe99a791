"""Toeplitz hashing against the matrix written out, and the two-universal property."""

from __future__ import annotations

import itertools

import pytest

from qnet.randomness import KeyedRandom
from qnet_protocols.apps.hashing import pack, seed_bytes, toeplitz


def by_matrix(bits: list[int], rows: int, seed: bytes) -> list[int]:
    n = len(bits)
    t = [seed[k // 8] >> (k % 8) & 1 for k in range(8 * len(seed))]
    return [sum(t[i - j + n - 1] & bits[j] for j in range(n)) % 2 for i in range(rows)]


@pytest.mark.parametrize(("size", "rows"), [(1, 1), (7, 3), (64, 20), (100, 100), (33, 50)])
def test_product_is_that_of_the_matrix(size, rows):
    luck = KeyedRandom(3, "toeplitz", f"{size} {rows}")
    bits = [luck.below(2) for _ in range(size)]
    seed = bytes(luck.below(256) for _ in range(seed_bytes(size, rows)))
    assert toeplitz(pack(bits), size, rows, seed) == pack(by_matrix(bits, rows, seed))


def test_law_two_universal():
    """Every non-zero string of 4 bits is mapped to 0 by exactly one in 2^3 of all matrices of 3 rows."""
    for string in range(1, 16):
        zero = sum(toeplitz(string, 4, 3, bytes([diagonals])) == 0 for diagonals in range(1 << 6))
        assert zero * 8 == 1 << 6


def test_pack_puts_the_first_bit_lowest():
    assert [pack(bits) for bits in itertools.product((0, 1), repeat=2)] == [0, 2, 1, 3]
    assert pack([]) == 0


def test_nothing_hashes_to_nothing():
    assert toeplitz(0, 0, 5, b"") == 0 == toeplitz(5, 3, 0, b"")


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="must have 1 bytes, got 2"):
        toeplitz(1, 4, 3, b"ab")
    with pytest.raises(ValueError, match="at most 4 bits"):
        toeplitz(16, 4, 3, b"a")
