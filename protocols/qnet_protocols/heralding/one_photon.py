"""One single-click attempt, photon by photon: the mechanism itself, without its closed form.

Theory
    The two emitters send none, one or two photons in all; everything that can count them (detectors
    and loss) does, so the number is drawn first: bright or dark, each end by itself. Two photons
    leave |11>, none |00>. One photon is a superposition x |10> + y |01> of having been sent by A or
    by B, and every event on its way that could tell which is drawn with its chance and changes x and
    y accordingly: it is lost in an arm; the emitter left a second photon on the way (chance
    p_2e); it has the part of B's wave packet that A's photon cannot have (chance 1 - V of |y|^2). A
    photon that has met none of these interferes at the beam splitter: port 0 leaves y as it is,
    port 1 turns its sign, and the optical phase between the arms is drawn.

    Two photons that both arrive leave through one port if their wave packets coincide (chance V)
    and choose independently if not. Then a dark count or none falls into each of the two detectors,
    and they are read: a success is exactly one detector that fired, a number-resolving one once.
Assumptions and validity
    Those of :mod:`qnet.physics.single_click`, nothing of whose algebra is used here: the two must
    agree in probability and in averaged state, which the tests check.
Not modelled
    Second photons that click, afterpulsing, drift from one attempt to the next.
Units
    The phase is in radians. Histories are not observable: what is known about a delivered pair is
    the average over all histories of its click.
Sources
    [1] Cabrillo, Cirac, Garcia-Fernandez, Zoller, "Creation of entangled states of distant atoms by
        interference", Phys. Rev. A 59, 1025 (1999), doi 10.1103/PhysRevA.59.1025
"""

from __future__ import annotations

import cmath
import math

from qnet.plan import LinkOptics
from qnet_protocols.heralding.photons import (
    Counts,
    Matrix,
    Uniform,
    apply_pauli,
    kron,
    normal,
    pauli_error,
    project,
)

PORTS = 2
"""One detector behind each port of the beam splitter."""


def draw_attempt(
    optics: LinkOptics,
    bright: tuple[float, float],
    double_excitation_prob: float,
    uniform: Uniform,
) -> tuple[int, Matrix] | None:
    """One attempt.

    Args:
        optics: the link in the symbols of the physics reference.
        bright: alpha of ends A and B.
        double_excitation_prob: chance that a bright memory sends a second photon.
        uniform: source of independent numbers in [0, 1).

    Returns:
        None for a failure; else the detector that clicked and the 4 x 4 state of the memories (A, B)
        for this history, trace 1.
    """
    errors = tuple(pauli_error(f, uniform) for f in (optics.spin_photon_a, optics.spin_photon_b))
    counts: Counts = [0] * PORTS
    sends_a, sends_b = uniform() < bright[0], uniform() < bright[1]
    if sends_a and sends_b:
        _two_photons(optics, counts, uniform)
        state = kron(project(1), project(1))
    elif sends_a or sends_b:
        state = _one_photon(optics, bright, double_excitation_prob, counts, uniform)
    else:
        state = kron(project(0), project(0))
    for port in range(PORTS):
        counts[port] += uniform() < optics.dark_prob
    clicked = [port for port in range(PORTS) if counts[port]]
    if len(clicked) != 1 or (optics.number_resolving and counts[clicked[0]] > 1):
        return None
    for side, error in enumerate(errors):
        state = apply_pauli(state, side, error)
    return clicked[0], state


def _port(uniform: Uniform) -> int:
    return int(uniform() < 0.5)


def _two_photons(optics: LinkOptics, counts: Counts, uniform: Uniform) -> None:
    arrives_a, arrives_b = uniform() < optics.eta_a, uniform() < optics.eta_b
    port = _port(uniform)
    if arrives_a and arrives_b:
        alike = uniform() < optics.visibility
        counts[port] += 1
        counts[port if alike else _port(uniform)] += 1
    elif arrives_a or arrives_b:
        counts[port] += 1


def _one_photon(
    optics: LinkOptics,
    bright: tuple[float, float],
    double_excitation_prob: float,
    counts: Counts,
    uniform: Uniform,
) -> Matrix:
    """Follow the amplitudes of |10> (sent by A) and |01> (sent by B)."""
    from_a, from_b = kron(project(1), project(0)), kron(project(0), project(1))
    chance_a = bright[0] * (1.0 - bright[1])
    chance_b = bright[1] * (1.0 - bright[0])
    lost_a, lost_b = chance_a * (1.0 - optics.eta_a), chance_b * (1.0 - optics.eta_b)
    where = uniform() * (chance_a + chance_b)
    if where < lost_a + lost_b:
        return from_a if where < lost_a else from_b
    chance_a, chance_b = chance_a * optics.eta_a, chance_b * optics.eta_b
    port = _port(uniform)
    counts[port] += 1
    if uniform() < double_excitation_prob:
        return from_a if uniform() * (chance_a + chance_b) < chance_a else from_b
    if uniform() * (chance_a + chance_b) < chance_b * (1.0 - optics.visibility):
        return from_b
    chance_b *= optics.visibility
    whole = chance_a + chance_b
    x = math.sqrt(chance_a / whole)
    y = math.sqrt(chance_b / whole) * cmath.exp(1j * optics.phase_rms_rad * normal(uniform))
    if port == 1:
        y = -y
    amplitudes = (0j, y, complex(x), 0j)
    return tuple(tuple(a * b.conjugate() for b in amplitudes) for a in amplitudes)
