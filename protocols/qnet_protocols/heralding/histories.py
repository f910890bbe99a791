"""States that single histories leave in two memories, for the samplers of schemes.

Theory
    A sampler draws everything that happens in one attempt, including what nobody sees. What is left is
    often a pure state of the memories (its amplitudes in the basis 00, 01, 10, 11) or one of which nothing
    is known. The average over histories with the same clicks is the state that the scheme announces.
Not modelled
    Anything of a scheme: which history happens is the sampler's business.
Units
    Phases in radians.
Sources
    [1] Plenio and Knight, Rev. Mod. Phys. 70, 101 (1998): quantum jumps, averages over histories.
"""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from typing import Final

from qnet.plan import LinkOptics
from qnet_protocols.heralding.photons import Matrix, Uniform, apply_pauli, pauli_error

MIXED: Final[Matrix] = tuple(
    tuple(0.25 + 0j if row == column else 0j for column in range(4)) for row in range(4)
)
"""Nothing is known of either memory."""


def pure(amplitudes: Sequence[complex]) -> Matrix:
    """Projector on the state with these amplitudes, not necessarily normalised."""
    norm = sum(abs(one) ** 2 for one in amplitudes)
    return tuple(
        tuple(complex(row * complex(column).conjugate() / norm) for column in amplitudes)
        for row in amplitudes
    )


def phi(phase_rad: float) -> Matrix:
    """(|00> + exp(i phase) |11>)/sqrt2."""
    return pure((1.0, 0.0, 0.0, cmath.exp(1j * phase_rad)))


def with_memory_errors(state: Matrix, optics: LinkOptics, uniform: Uniform) -> Matrix:
    """``state`` after the Pauli errors of both spin-photon interfaces, drawn."""
    for side, fidelity in enumerate((optics.spin_photon_a, optics.spin_photon_b)):
        state = apply_pauli(state, side, pauli_error(fidelity, uniform))
    return state
