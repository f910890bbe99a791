"""Entanglement from a pair source in the middle and memories that latch what they absorb.

Theory
    A source between the ends emits with probability eta_s per pulse a pair of photons in a Werner
    state of Phi+, one photon to each end. A memory that has taken its photon says so: it *latches*.
    The pulse has succeeded if both sides latch. Each side turns its photon into its memory with an
    error in the label and some chance of a false latch; labels add up by XOR,

        rho = eta_s  D_A * D_B * W_source * E  +  (1 - eta_s) N_A N_B I/4

    with * the XOR convolution of Bell weights, D the unnormalised weights of one side when there is a
    photon on its way to it, N the chance of a false latch when there is none, E the errors of
    both memories. D contains I/4 for a false latch: then nothing is known about the pair.

    *Absorbing memories* with latch efficiency l, false latches d and eta the chance of absorption:

        D = eta (l q + (1 - l) d) Phi+  +  (1 - eta) d I/4,      N = d

    q = 1 - d if the latch detector tells one count from two, else 1. Label Phi+. The phase between the
    modes of the pair, sigma, mixes Phi- in: (1 - exp(-sigma^2/2))/2.

    *Linear optics*: the photon meets, at the end, one that the memory has just emitted, on a
    beam splitter with four detectors. That is a double click
    (:mod:`qnet.physics.heralding`) with efficiencies eta and l, dark counts, V and sigma included, at
    each end: success 1/2 each, so p = eta_s eta_A eta_B l^2 / 4. The sides announce Psi+ or
    Psi-; alike gives Phi+, unlike Phi-.
Assumptions and validity
    At most one pair per pulse. Memories absorb both modes alike. In linear optics V is that of the
    source's photon with the memory's own, equal at both ends. Absorbed photons meet no other photon:
    V does not enter, and how well a photon fits its memory is part of eta.
Not modelled
    Several pairs per pulse (a down-conversion source makes them with chance eta_s^2: keep it small);
    a memory that absorbed an earlier pulse and did not latch.
Units
    Probabilities per pulse; the phase in radians.
Sources
    [1] Jones, Kim, Rakher, Kwiat, Ladd, "Design and analysis of communication protocols for quantum
        repeater networks", New J. Phys. 18, 083015 (2016), doi 10.1088/1367-2630/18/8/083015:
        MidpointSource, memories that latch, p and timing.
    [2] Weights with false latches are our own enumeration; the tests repeat it on density matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

from qnet.physics.absorption import dephased, memory_errors
from qnet.physics.bell import (
    PHI_MINUS,
    PHI_PLUS,
    PSI_MINUS,
    PSI_PLUS,
    Label,
    Matrix4,
    Weights,
    convolve,
    density_matrix,
    label_xor,
    werner,
)
from qnet.physics.heralding import PATTERNS_PER_LABEL, Optics, check_optics, double_click

MIXED: Weights = (0.25, 0.25, 0.25, 0.25)
"""Weights of I/4: nothing is known."""


@dataclass(frozen=True)
class SourceHerald:
    """What both sides said, and what it means.

    Attributes:
        said: what side A and side B announce: Psi+ or Psi-, or Phi+ for a latch.
        label: of the pair.
        prob: per pulse.
        weights: Bell weights of the memories, trace 1.
    """

    said: tuple[Label, Label]
    label: Label
    prob: float
    weights: Weights

    def state(self) -> Matrix4:
        """Density matrix of the memories (A, B), trace 1."""
        return density_matrix(self.weights)


@dataclass(frozen=True)
class _Side:
    """One end: ``present`` and ``absent`` are D of the module head and N, per thing that it says."""

    said: tuple[Label, ...]
    present: tuple[Weights, ...]
    absent_prob: float


@dataclass(frozen=True)
class _Local:
    """Optics of the double click at one end: the source's photon (A) and the memory's own (B)."""

    eta_a: float
    eta_b: float
    visibility: float
    dark_prob: float
    phase_rms_rad: float
    number_resolving: bool
    spin_photon_a: float = 1.0
    spin_photon_b: float = 1.0


def midpoint_source(
    optics: Optics,
    source_prob: float,
    source_fidelity: float,
    latch_prob: float,
    *,
    linear_optics: bool,
) -> tuple[SourceHerald, ...]:
    """All heralds of one pulse, exact for the model of the module head.

    Args:
        optics: of the link; ``eta_a`` and ``eta_b`` are from the source into the memory (or, with
            linear optics, to the detectors of that end).
        source_prob: eta_s, 0 < eta_s <= 1.
        source_fidelity: of the emitted pair (Werner), 0..1.
        latch_prob: l, chance that a memory that absorbed says so (or that the photon of
            the memory is detected), 0 < l <= 1.
        linear_optics: a Bell measurement of photons at each end.

    Raises:
        ValueError: a probability is out of its domain, or no herald can ever occur.
    """
    check_optics(optics)
    for name, value in (("source_prob", source_prob), ("latch_prob", latch_prob)):
        if not 0.0 < value <= 1.0:
            raise ValueError(f"{name} must obey 0 < {name} <= 1, got {value}")
    if not 0.0 <= source_fidelity <= 1.0:
        raise ValueError(
            f"source_fidelity must obey 0 <= source_fidelity <= 1, got {source_fidelity}"
        )
    side = _measuring if linear_optics else _absorbing
    first, second = (side(optics, eta, latch_prob) for eta in (optics.eta_a, optics.eta_b))
    common = convolve(werner(source_fidelity), memory_errors(optics))
    if not linear_optics:
        common = convolve(common, dephased(optics.phase_rms_rad))
    empty = (1.0 - source_prob) * first.absent_prob * second.absent_prob
    heralds = []
    for said_a, weights_a in zip(first.said, first.present, strict=True):
        for said_b, weights_b in zip(second.said, second.present, strict=True):
            made = convolve(convolve(weights_a, weights_b), common)
            total = source_prob * sum(made) + empty
            if total <= 0.0:
                raise ValueError(
                    "latches at both ends must have probability > 0, got 0 with "
                    f"eta_a = {optics.eta_a}, eta_b = {optics.eta_b}, dark_prob = {optics.dark_prob}"
                )
            p00, p01, p10, p11 = ((source_prob * one + empty / 4.0) / total for one in made)
            label = label_xor(said_a, said_b)
            heralds.append(SourceHerald((said_a, said_b), label, total, (p00, p01, p10, p11)))
    assert all(herald.label in (PHI_PLUS, PHI_MINUS) for herald in heralds)
    return tuple(heralds)


def _absorbing(optics: Optics, eta: float, latch_prob: float) -> _Side:
    dark = optics.dark_prob
    quiet = 1.0 - dark if optics.number_resolving else 1.0
    right = eta * (latch_prob * quiet + (1.0 - latch_prob) * dark)
    false = (1.0 - eta) * dark / 4.0
    return _Side((PHI_PLUS,), ((right + false, false, false, false),), dark)


def _measuring(optics: Optics, eta: float, latch_prob: float) -> _Side:
    click = _Local(
        eta,
        latch_prob,
        optics.visibility,
        optics.dark_prob,
        optics.phase_rms_rad,
        optics.number_resolving,
    )
    said = (PSI_PLUS, PSI_MINUS)
    if eta <= 0.0 and optics.dark_prob <= 0.0:
        return _Side(said, ((0.0, 0.0, 0.0, 0.0),) * 2, 0.0)
    made = double_click(click)
    per_label = PATTERNS_PER_LABEL * made.pattern_prob
    present = tuple(_scaled(made.weights(label), per_label) for label in said)
    # Without the source's photon a click in each mode takes one dark count, or two.
    dark = optics.dark_prob
    quiet = 1.0 - dark
    one_photon = latch_prob / 2.0 * dark * (quiet if optics.number_resolving else 1.0)
    per_pattern = (one_photon + (1.0 - latch_prob) * dark**2) * quiet**2
    absent = PATTERNS_PER_LABEL * per_pattern
    return _Side(said, present, absent)


def _scaled(weights: Weights, factor: float) -> Weights:
    p00, p01, p10, p11 = weights
    return (p00 * factor, p01 * factor, p10 * factor, p11 * factor)
