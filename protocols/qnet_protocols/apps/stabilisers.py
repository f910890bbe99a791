"""Stabiliser states of a few qubits: their groups, how errors show, and the fidelity that readings give.

Theory
    n independent commuting Pauli strings fix a state of n qubits; the 2^n products of them are its
    stabiliser group, and the projector on the state is the mean of the group. So the fidelity of any state
    rho is the mean of <s> over the group, the identity included [1], and elements drawn uniformly among the
    2^n - 1 others estimate it whatever n is:

        F = 1/2^n + (1 - 1/2^n) mean,    sigma = (1 - 1/2^n) sqrt((1 - mean^2)/N).

    One element takes one local Pauli reading at each qubit. The generators alone bound the fidelity from
    below: F >= 1 - sum (1 - <g>)/2, the union bound on "some generator reads wrong".

    A Pauli error turns the sign of the generators with which it anticommutes, its *syndrome*; the state is
    right if the syndromes of all errors XOR to zero. Independent Bell-diagonal errors therefore give

        F = sum over all errors with zero syndrome of the product of their weights.
Assumptions and validity
    Errors are Pauli errors where :func:`expected_fidelity` is used; the estimators hold for any state.
Not modelled
    Correction for read-out errors: they lower the estimate.
Units
    Dimensionless. Strings are tuples of the letters I, X, Y, Z, one per qubit.
Sources
    [1] Toth, Guehne, "Entanglement detection in the stabilizer formalism", Phys. Rev. A 72, 022340 (2005),
        doi 10.1103/PhysRevA.72.022340; Flammia, Liu, "Direct fidelity estimation from few Pauli
        measurements", Phys. Rev. Lett. 106, 230501 (2011), doi 10.1103/PhysRevLett.106.230501.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from qnet.physics.bell import Weights

Letters = tuple[str, ...]


class Element(NamedTuple):
    """A signed Pauli string."""

    sign: int
    letters: Letters


_PRODUCTS: Final = {("X", "Y"): "Z", ("Y", "Z"): "X", ("Z", "X"): "Y"}
"""PQ = iR for these; QP = -iR."""


def multiply(first: Letters, second: Letters) -> tuple[int, Letters]:
    """The product of two strings: power of i, letters."""
    power = 0
    out = []
    for p, q in zip(first, second, strict=True):
        if p == "I" or q == "I" or p == q:
            out.append("I" if p == q else p if q == "I" else q)
        elif (p, q) in _PRODUCTS:
            power += 1
            out.append(_PRODUCTS[p, q])
        else:
            power -= 1
            out.append(_PRODUCTS[q, p])
    return power % 4, tuple(out)


def element(generators: Sequence[Letters], chosen: int) -> Element:
    """The product of the generators whose bits are set in ``chosen``."""
    power, letters = 0, ("I",) * len(generators[0])
    for number, generator in enumerate(generators):
        if chosen >> number & 1:
            more, letters = multiply(letters, generator)
            power = (power + more) % 4
    assert power % 2 == 0, "generators must commute"
    return Element(1 - power, letters)


def ghz_generators(qubits: int) -> tuple[Letters, ...]:
    """Generators of (|0..0> + |1..1>)/sqrt2: X on all, and Z on the first and another."""
    pairs = (
        tuple("Z" if q in (0, other) else "I" for q in range(qubits)) for other in range(1, qubits)
    )
    return (("X",) * qubits, *pairs)


def graph_generators(qubits: int, edges: Sequence[tuple[int, int]]) -> tuple[Letters, ...]:
    """Generators of a graph state: X on a vertex and Z on its neighbours."""
    joined = {edge for a, b in edges for edge in ((a, b), (b, a))}
    return tuple(
        tuple("X" if q == v else "Z" if (v, q) in joined else "I" for q in range(qubits))
        for v in range(qubits)
    )


def syndrome(generators: Sequence[Letters], qubit: int, label: tuple[int, int]) -> int:
    """Which generators X^x Z^z on one qubit turns, as bits."""
    x, z = label
    turned = 0
    for number, generator in enumerate(generators):
        letter = generator[qubit]
        if (x and letter in "YZ") ^ (z and letter in "XY"):
            turned |= 1 << number
    return turned


def expected_fidelity(
    generators: Sequence[Letters], errors: Sequence[tuple[int | range, Weights]]
) -> float:
    """Fidelity after independent Pauli errors, (qubit, weights p[x,z] at index 2x + z) each.

    Instead of a qubit, those that were added to the state by CNOTs from the first of them after the error: a
    bit flip has spread to all of them, a phase flip stays on the first.
    """
    shares = {0: 1.0}
    for place, weights in errors:
        first, *added = [place] if isinstance(place, int) else place
        turned = [syndrome(generators, first, (k >> 1, k & 1)) for k in range(4)]
        for qubit in added:
            flipped = syndrome(generators, qubit, (1, 0))
            turned = [one ^ flipped * (k >> 1) for k, one in enumerate(turned)]
        after: dict[int, float] = {}
        for known, share in shares.items():
            for pattern, weight in zip(turned, weights, strict=True):
                after[known ^ pattern] = after.get(known ^ pattern, 0.0) + share * weight
        shares = after
    return shares[0]


def fidelity_estimate(total: int, trials: int, qubits: int) -> tuple[float, float]:
    """Fidelity and standard error from ``trials`` signs with sum ``total`` of random elements."""
    mean = total / trials
    rest = 1.0 - 0.5**qubits
    return 0.5**qubits + rest * mean, rest * math.sqrt(max(0.0, 1.0 - mean * mean) / trials)
