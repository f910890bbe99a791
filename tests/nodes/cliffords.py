"""The Clifford groups of one and two qubits as words of native gates, for randomised benchmarking.

Theory
    Breadth first from the identity: every element gets a shortest word over its generators. Two
    unitaries are the same element if they differ by a phase only. There are 24 elements on one
    qubit and 11 520 on two.
Assumptions and validity
    Matrices are rounded after the first non-zero entry was turned real and positive: entries of
    Cliffords are multiples of 1/2 or 1/sqrt(2) apart, far more than rounding.
Not modelled
    Parallel gates: a word is a sequence.
Sources
    [1] Magesan, Gambetta, Emerson, PRL 106, 180504 (2011): randomised benchmarking.
    [2] Magesan et al., PRL 109, 080505 (2012): interleaved randomised benchmarking.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

S = np.diag([1, 1j])
H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
CZ = np.diag([1, 1, 1, -1]).astype(complex)
ONE = np.eye(2)

Letter = tuple[str, tuple[int, ...]]
GENERATORS: dict[int, dict[Letter, np.ndarray]] = {
    1: {("H", (0,)): H, ("S", (0,)): S, ("SDG", (0,)): S.conj()},
    2: {
        ("H", (0,)): np.kron(H, ONE),
        ("H", (1,)): np.kron(ONE, H),
        ("S", (0,)): np.kron(S, ONE),
        ("S", (1,)): np.kron(ONE, S),
        ("CZ", (0, 1)): CZ,
    },
}


def keys(matrices: np.ndarray) -> list[bytes]:
    """One key per unitary, the same for all that differ by a phase."""
    flat = matrices.reshape(len(matrices), -1)
    first = (np.abs(flat) > 1e-6).argmax(axis=1)
    phases = flat[np.arange(len(flat)), first]
    turned = flat * (phases.conj() / np.abs(phases))[:, None]
    rounded = np.round(turned.view(float) * 1000.0).astype(np.int16)
    return [row.tobytes() for row in rounded]


@dataclass(frozen=True)
class Group:
    """All elements: their unitaries, words and where to find them."""

    unitaries: np.ndarray
    words: tuple[tuple[Letter, ...], ...]
    index: dict[bytes, int]

    def inverse_of(self, unitary: np.ndarray) -> int:
        """Element that undoes ``unitary``."""
        return self.index[keys(unitary.conj().T[None])[0]]

    def counts(self, gates: tuple[str, ...]) -> np.ndarray:
        """How many of ``gates`` each word has."""
        return np.array([sum(name in gates for name, _ in word) for word in self.words])


@lru_cache(maxsize=2)
def group(qubits: int) -> Group:
    """The Clifford group on one or two qubits."""
    letters = GENERATORS[qubits]
    start = np.eye(2**qubits, dtype=complex)[None]
    index = {keys(start)[0]: 0}
    unitaries, words = [start[0]], [()]
    frontier = [0]
    while frontier:
        before = np.array([unitaries[number] for number in frontier])
        reached = []
        for letter, gate in letters.items():
            after = gate @ before
            for number, unitary, key in zip(frontier, after, keys(after), strict=True):
                if key not in index:
                    index[key] = len(unitaries)
                    reached.append(index[key])
                    unitaries.append(unitary)
                    words.append((*words[number], letter))
        frontier = reached
    return Group(np.array(unitaries), tuple(words), index)


def sequence(
    qubits: int, length: int, rng: np.random.Generator, between: Letter | None = None
) -> tuple[Letter, ...]:
    """Word of ``length`` random Cliffords and the one that undoes them all.

    ``between`` comes after each random one (interleaved benchmarking).
    """
    table = group(qubits)
    total = np.eye(2**qubits, dtype=complex)
    word: list[Letter] = []
    for number in rng.integers(len(table.words), size=length):
        total = table.unitaries[number] @ total
        word += table.words[number]
        if between is not None:
            total = GENERATORS[qubits][between] @ total
            word.append(between)
    return (*word, *table.words[table.inverse_of(total)])
