"""Heralded states whose only coherence lies between |01> and |10>, and what imperfect memories do to them.

Theory
    A herald that cannot tell which of two memories sent the photon leaves

        rho = diag(p00, p01, p10, p11) + c (|01><10| + |10><01|),   c real,

    unnormalised: its trace is the probability of the herald. It is Bell-diagonal only if p00 = p11
    and p01 = p10. An imperfect spin-photon pair (Werner-like, fidelity f) leaves a Pauli X, Z or XZ
    on its memory, each with probability (1 - f)/3. Of these X and XZ flip the memory, so that the
    populations of both values mix with e = 2 (1 - f)/3. Z turns the sign of c, and the coherence
    that X and XZ bring between |00> and |11> cancels: c shrinks by w = (4 f - 1)/3.
Assumptions and validity
    c^2 <= p01 p10. X and XZ equally likely: with unequal chances |00><11| would not cancel.
Not modelled
    Complex c: the phase of the light averages to a real factor if it is as often early as late.
Units
    Probabilities; matrices as rows in the basis 00, 01, 10, 11, end A first.
Sources
    [1] Nielsen and Chuang, "Quantum Computation and Quantum Information" (2000), section 8.3: Pauli
        channels.
"""

from __future__ import annotations

from typing import NamedTuple

from qnet.physics.bell import Matrix4, werner_correlator


class OddState(NamedTuple):
    """The unnormalised state of the module head.

    Attributes:
        p00, p01, p10, p11: populations.
        coherence: c, positive towards Psi+.
    """

    p00: float
    p01: float
    p10: float
    p11: float
    coherence: float

    @property
    def trace(self) -> float:
        """Probability of the herald."""
        return self.p00 + self.p01 + self.p10 + self.p11

    @property
    def psi_plus_fidelity(self) -> float:
        """Overlap with Psi+ of the normalised state; that with Psi- has the other sign of c."""
        return (self.p01 + self.p10 + 2.0 * self.coherence) / (2.0 * self.trace)

    def mirrored(self) -> OddState:
        """The same with the other sign of the coherence: Psi+ and Psi- exchanged."""
        return self._replace(coherence=-self.coherence)

    def with_memory_errors(self, fidelity_a: float, fidelity_b: float) -> OddState:
        """After the Pauli errors of Werner-like spin-photon pairs of these fidelities."""
        flip_a, flip_b = 2.0 * (1.0 - fidelity_a) / 3.0, 2.0 * (1.0 - fidelity_b) / 3.0
        p00, p01, p10, p11 = self[:4]
        p00, p10 = _mixed(p00, p10, flip_a)
        p01, p11 = _mixed(p01, p11, flip_a)
        p00, p01 = _mixed(p00, p01, flip_b)
        p10, p11 = _mixed(p10, p11, flip_b)
        shrink = werner_correlator(fidelity_a) * werner_correlator(fidelity_b)
        return OddState(p00, p01, p10, p11, self.coherence * shrink)

    def matrix(self) -> Matrix4:
        """Density matrix of the memories (A, B), trace 1."""
        whole = self.trace
        p00, p01, p10, p11, c = (complex(value / whole) for value in self)
        zero = 0j
        return (
            (p00, zero, zero, zero),
            (zero, p01, c, zero),
            (zero, c, p10, zero),
            (zero, zero, zero, p11),
        )


def _mixed(first: float, second: float, flip: float) -> tuple[float, float]:
    return (1.0 - flip) * first + flip * second, (1.0 - flip) * second + flip * first
