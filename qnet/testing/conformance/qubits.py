"""The truth of benches with several pairs: stabilizer states, exact for Clifford gates and Pauli noise.

Theory
    Qubits that have met share a *cluster* of n qubits and n commuting generators, Pauli operators
    (-1)^s i^|x z| X^x Z^z with x, z bit masks over qubits [1]. Gates conjugate the generators; a
    measurement finds the outcome in them, or draws it and replaces one. So whatever a protocol does at
    either end, and in whichever order, its outcomes have the right correlations, and the Bell state of any
    two qubits can be looked up. Noise is drawn: dephasing and depolarising as random Pauli gates, exact on
    average.
Assumptions and validity
    Gates are Clifford: rotations by multiples of a right angle.
Not modelled
    Other gates and bases (:class:`NotClifford`), decay of energy.
Sources
    [1] Aaronson, Gottesman, "Improved simulation of stabilizer circuits", Phys. Rev. A 70, 052328 (2004),
        arXiv quant-ph/0406196.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from qnet.testing.conformance.parts import NotApplicable

Generator = list[int]
"""[x, z, s]."""

TURN: Final = math.pi / 2


class NotClifford(NotApplicable):
    """The bench cannot follow this gate or measurement."""


def quarters(name: str, angle_rad: float) -> int:
    """An angle in right angles, modulo 4.

    Raises:
        NotClifford: it is no multiple of a right angle.
    """
    turns = round(angle_rad / TURN)
    if abs(angle_rad - turns * TURN) > 1e-9:
        raise NotClifford(f"{name} must turn by a multiple of pi/2, got {angle_rad} rad")
    return turns % 4


_ROTATIONS: Final = {"RX": ("H", "S", "H"), "RY": ("Z", "H"), "RZ": ("S",)}
"""A right angle about each axis, as gates in order of time."""


def _multiplied(one: Generator, two: Generator) -> Generator:
    """Product of two commuting operators."""
    x, z = one[0] ^ two[0], one[1] ^ two[1]
    power = (one[0] & one[1]).bit_count() + (two[0] & two[1]).bit_count()
    power += 2 * (one[1] & two[0]).bit_count() - (x & z).bit_count()
    return [x, z, one[2] ^ two[2] ^ (power % 4 // 2)]


class Cluster:
    """Qubits that have met, and the generators of their state."""

    def __init__(self, members: set[int], generators: list[Generator]) -> None:
        self.members = members
        self.generators = generators

    def gate(self, name: str, qubit: int) -> None:
        """H, S or a Pauli gate."""
        bit = 1 << qubit
        for one in self.generators:
            x, z = bool(one[0] & bit), bool(one[1] & bit)
            if name == "H":
                one[2] ^= x and z
                if x != z:
                    one[0] ^= bit
                    one[1] ^= bit
            elif name == "S":
                one[2] ^= x and z
                if x:
                    one[1] ^= bit
            else:
                one[2] ^= {"X": z, "Z": x, "Y": x != z, "I": False}[name]

    def cnot(self, control: int, target: int) -> None:
        """Both in this cluster."""
        one, two = 1 << control, 1 << target
        for row in self.generators:
            xc, zc = bool(row[0] & one), bool(row[1] & one)
            xt, zt = bool(row[0] & two), bool(row[1] & two)
            row[2] ^= xc and zt and xt == zc
            if xc:
                row[0] ^= two
            if zt:
                row[1] ^= one

    def value(self, x: int, z: int) -> int | None:
        """0 or 1 for eigenvalue +1 or -1 of an operator, None if it is not certain."""
        if any(
            ((row[0] & z).bit_count() + (row[1] & x).bit_count()) & 1 for row in self.generators
        ):
            return None
        rest = [x, z, 0]
        rows = [list(row) for row in self.generators]
        for part in (0, 1):
            while True:
                have = [row for row in rows if row[part] and (part == 0 or not row[0])]
                if not have:
                    break
                pivot = have[0]
                rows = [row for row in rows if row is not pivot]
                bit = pivot[part] & -pivot[part]
                rows = [_multiplied(row, pivot) if row[part] & bit else row for row in rows]
                if rest[part] & bit:
                    rest = _multiplied(rest, pivot)
        return rest[2] if not rest[0] and not rest[1] else None

    def measure(self, qubit: int, draw: Callable[[], int]) -> int:
        """Read in Z; ``draw`` is asked where the outcome is not certain."""
        bit = 1 << qubit
        odd = [row for row in self.generators if row[0] & bit]
        if not odd:
            found = self.value(0, bit)
            assert found is not None, "what commutes with a full set of generators is one of them"
            return found
        outcome = draw()
        first = odd[0]
        for row in odd[1:]:
            row[:] = _multiplied(row, first)
        first[:] = [0, bit, outcome]
        return outcome

    def drop(self, qubit: int) -> None:
        """Take out a qubit that was just measured: a product with the rest."""
        bit = 1 << qubit
        alone = next(row for row in self.generators if row[:2] == [0, bit])
        self.generators.remove(alone)
        for row in self.generators:
            if row[1] & bit:
                row[:] = _multiplied(row, alone)
        self.members.discard(qubit)


class Qubits:
    """All qubits of a bench."""

    def __init__(self) -> None:
        self._of: dict[int, Cluster] = {}
        self._free: list[int] = []
        self._made = 0

    def __len__(self) -> int:
        return len(self._of)

    def new(self) -> int:
        """A qubit in |0>."""
        if self._free:
            qubit = self._free.pop()
        else:
            qubit, self._made = self._made, self._made + 1
        self._of[qubit] = Cluster({qubit}, [[0, 1 << qubit, 0]])
        return qubit

    def pair(self, label: tuple[int, int]) -> tuple[int, int]:
        """Two qubits in the Bell state ``label``: ZZ says x, XX says z."""
        one, two = self.new(), self.new()
        both = 1 << one | 1 << two
        rows = [[0, both, label[0]], [both, 0, label[1]]]
        self._of[one] = self._of[two] = Cluster({one, two}, rows)
        return one, two

    def _joined(self, one: int, two: int) -> Cluster:
        first, second = self._of[one], self._of[two]
        if first is not second:
            first.members |= second.members
            first.generators += second.generators
            for qubit in second.members:
                self._of[qubit] = first
        return first

    def gate(self, name: str, qubits: tuple[int, ...], angle_rad: float | None = None) -> None:
        """One gate of :data:`qnet.program.GATE_SLOTS`.

        Raises:
            NotClifford: it is none.
        """
        match name:
            case "I" | "X" | "Y" | "Z" | "H" | "S":
                self._of[qubits[0]].gate(name, qubits[0])
            case "SDG":
                for _ in range(3):
                    self._of[qubits[0]].gate("S", qubits[0])
            case "RX" | "RY" | "RZ":
                for _ in range(quarters(name, angle_rad or 0.0)):
                    for part in _ROTATIONS[name]:
                        self._of[qubits[0]].gate(part, qubits[0])
            case "CNOT":
                self._joined(*qubits).cnot(*qubits)
            case "CZ":
                cluster = self._joined(*qubits)
                cluster.gate("H", qubits[1])
                cluster.cnot(*qubits)
                cluster.gate("H", qubits[1])
            case "SWAP":
                cluster = self._joined(*qubits)
                for control, target in (qubits, qubits[::-1], qubits):
                    cluster.cnot(control, target)
            case _:
                raise NotClifford(f"the virtual bench has no gate {name}")

    def measure(self, qubit: int, basis: str, draw: Callable[[], int]) -> int:
        """Read a qubit in X, Y or Z and leave it in the state |outcome>.

        Raises:
            NotClifford: another basis.
        """
        turns = {"Z": (), "X": ("H",), "Y": ("S", "S", "S", "H")}.get(basis)
        if turns is None:
            raise NotClifford(f"the virtual bench reads in X, Y and Z, got {basis}")
        for name in turns:
            self._of[qubit].gate(name, qubit)
        outcome = self._of[qubit].measure(qubit, draw)
        self._split(qubit)
        return outcome

    def _split(self, qubit: int) -> None:
        """A qubit that was just measured is a cluster of its own again."""
        cluster = self._of[qubit]
        bit = 1 << qubit
        if len(cluster.members) == 1:
            return
        sign = cluster.value(0, bit)
        assert sign is not None
        if not any(row[:2] == [0, bit] for row in cluster.generators):
            self._isolate(cluster, bit, sign)
        cluster.drop(qubit)
        self._of[qubit] = Cluster({qubit}, [[0, bit, sign]])

    @staticmethod
    def _isolate(cluster: Cluster, bit: int, sign: int) -> None:
        """Make Z of the qubit a generator of its own, in place of one that it depends on."""
        for place, row in enumerate(cluster.generators):
            rest = [list(one) for k, one in enumerate(cluster.generators) if k != place]
            without = Cluster(set(), rest)
            if without.value(0, bit) is None:
                row[:] = [0, bit, sign]
                return
        raise AssertionError("a certain outcome must depend on a generator")

    def discard(self, qubit: int, draw: Callable[[], int]) -> None:
        """The qubit is gone; what it was entangled with is as if it had been read and nobody told."""
        self.measure(qubit, "Z", draw)
        del self._of[qubit]
        self._free.append(qubit)

    def bell(self, one: int, two: int) -> tuple[int, int] | None:
        """The Bell label of two qubits, None if they are not in a Bell state."""
        cluster = self._of[one]
        if cluster is not self._of[two] or one == two:
            return None
        both = 1 << one | 1 << two
        x, z = cluster.value(0, both), cluster.value(both, 0)
        return None if x is None or z is None else (x, z)
