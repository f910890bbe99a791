"""Entanglement by one light pulse that reflects from two cavity-coupled spins, one after the other.

Theory
    A pulse in two time bins, (early + late)/sqrt2, reflects from the cavity of the first spin,
    travels, reflects from that of the second, and is read by an interferometer that brings both
    bins together: detector 0 sees early + late, detector 1 early - late. Each spin starts in
    (|0> + |1>)/sqrt2; it reflects the light with amplitude 1 in one of its states ("on") and
    r in the other ("off"; the rest of that light is scattered), and a pi pulse between the bins
    exchanges the two. In terms of the final value v of a spin the early bin gets e(v) = (1, r), the
    late one l(v) = (r, 1), and a photon leaves the spins with the amplitudes, at detector +-,

        (e(v1) e(v2) +- l(v1) l(v2)) sqrt(eta) / 2.

    With r = 0 that is Phi+ at detector 0 and Phi- at detector 1, eta/4 of all photons: half of the
    light is lost at each spin. With r > 0 detector 1 still means a pure Phi-, while detector 0 adds
    2r to (1 + r^2), in Psi+: F = |1 + r^2|^2 / (|1 + r^2|^2 + 4 |r|^2).

    *Weak coherent pulses* of mean photon number mu at the first spin. For every pair of values
    v = (v1, v2) light stays coherent, in all modes m: detectors and everywhere where it got lost, with
    amplitudes sqrt(mu) c_m(v), sum_m |c_m|^2 = 1. So the state is exact for any mu: with
    G(v, w) = mu sum_lost c_m(v) c_m(w)*, D(v, w) the same over the modes of the detector that clicks,
    q = 1 - p_d (the other detector is silent),

        rho(v, w) = 1/4 exp(-mu) exp(G) q [exp(D) - q]                   threshold detectors
        rho(v, w) = 1/4 exp(-mu) exp(G) q [q D + p_d]                    number-resolving

    To first order p = mu eta/4. Another photon of the same pulse, unnoticed, tells the environment
    the values: |00> and |11> share no mode (r = 0), so that their coherence falls by
    exp(-mu (1 - eta/2)) and F = 1 - mu/2: the rule "coherence of order mu is lost", exactly.

    *Single photons* (mu <= 1 the chance that the pulse has one): rho is linear in G and D.

    *Dark counts.* An empty pulse leaves the spins as they were prepared, in |++>, not mixed: a dark
    count then announces a state with coherence between Phi and Psi. Light that was lost behind
    the first spin has read it, light that was lost behind the second has read both.

    *Phase and visibility.* sigma is the rms phase between the bins in the interferometer: of a
    single photon the coherence falls by exp(-sigma^2/2); of coherent pulses exp(D) is averaged, term
    by term. V = |<early|late>|^2 of the two wave packets where they meet: the fringes have contrast
    sqrt(V), one photon interfering with itself. Imperfect gates between spin and photon are Pauli
    errors on the spins.
Assumptions and validity
    Losses of the first end (eta of the sender: coupling, fibre) lie behind its reflection, those
    of the second behind its own, detector included; an interferometer with passive beam splitters
    costs another 1/2, which belongs into the efficiency. Equal r at both ends. 0 < mu <= 1.
Not modelled
    Photons that arrive out of their bin; a pi pulse that fails (take it into the spin-photon
    fidelity); drift of the cavity. Lifetimes of emitters play no part.
Units
    Probabilities per pulse; phases in radians.
Sources
    [1] Knaut et al., "Entanglement of nanophotonic quantum memory nodes in a telecom network",
        Nature 629, 573 (2024), doi 10.1038/s41586-024-07252-z: serial gates between spin and photon.
    [2] Bhaskar et al., "Experimental demonstration of memory-enhanced quantum communication", Nature
        580, 60 (2020), doi 10.1038/s41586-020-2103-5: time bins on one silicon-vacancy spin.
    [3] Duan and Kimble, PRL 92, 127902 (2004): reflection from a cavity as a gate.
    [4] The state of coherent pulses is derived here; the tests repeat it number by number.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from typing import Final

from qnet.physics.bell import PHI_MINUS, PHI_PLUS, Label, Matrix4, overlap
from qnet.physics.heralding import Optics, check_optics

TERMS: Final = 14
"""Terms of the average of exp(D) over the phase: |D| <= 1/2, the next one is below 1e-19."""

Values = tuple[int, int]
"""Final values (A, B) of the spins."""

VALUES: Final[tuple[Values, ...]] = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Pulse:
    """The light and the spins' contrast.

    Attributes:
        mean_photons: mu, 0 < mu <= 1: mean number, or with ``single_photon`` the chance of one.
        single_photon: never more than one photon.
        off_reflectivity_prob: |r|^2 relative to the "on" state, 0 <= |r|^2 < 1.
        off_phase_rad: phase of r.
        first: the end that the light meets first, "A" or "B".
    """

    mean_photons: float
    single_photon: bool = False
    off_reflectivity_prob: float = 0.0
    off_phase_rad: float = 0.0
    first: str = "A"

    def check(self) -> None:
        """Refuse what is out of its domain.

        Raises:
            ValueError: naming the field, its domain and its value.
        """
        if not 0.0 < self.mean_photons <= 1.0:
            raise ValueError(f"mean_photons must obey 0 < mu <= 1, got {self.mean_photons}")
        if not 0.0 <= self.off_reflectivity_prob < 1.0:
            raise ValueError(
                "off_reflectivity_prob must obey 0 <= off_reflectivity_prob < 1, "
                f"got {self.off_reflectivity_prob}"
            )
        if not math.isfinite(self.off_phase_rad):
            raise ValueError(f"off_phase_rad must be finite, got {self.off_phase_rad}")
        if self.first not in ("A", "B"):
            raise ValueError(f"first must be 'A' or 'B', got {self.first!r}")

    @property
    def off(self) -> complex:
        """r, amplitude of reflection in the "off" state."""
        return cmath.rect(math.sqrt(self.off_reflectivity_prob), self.off_phase_rad)


@dataclass(frozen=True)
class ReflectionHerald:
    """A click of one detector.

    Attributes:
        label: Phi+ for detector 0, Phi- for detector 1.
        prob: per pulse.
        state: density matrix of the spins (A, B), trace 1.
    """

    label: Label
    prob: float
    state: Matrix4

    @property
    def fidelity(self) -> float:
        """Of the spins with the announced state."""
        return overlap(self.state, self.label)


@dataclass(frozen=True)
class _Light:
    """Amplitudes of one photon of the pulse for given values of the spins.

    Attributes:
        early, late: that reach the interferometer.
        lost: everywhere else, mode by mode.
    """

    early: complex
    late: complex
    lost: tuple[complex, ...]


def reflection(optics: Optics, pulse: Pulse) -> tuple[ReflectionHerald, ReflectionHerald]:
    """Both heralds of one pulse, exact for the model of the module head.

    Raises:
        ValueError: a number is out of its domain, or no detector can ever click.
    """
    check_optics(optics)
    pulse.check()
    light = {values: _light(optics, pulse, values) for values in VALUES}
    heralds = []
    for label, sign in ((PHI_PLUS, 1.0), (PHI_MINUS, -1.0)):
        rho = [
            [_element(optics, pulse, sign, light[v], light[w]) / 4.0 for w in VALUES]
            for v in VALUES
        ]
        prob = sum(rho[k][k].real for k in range(4))
        if prob <= 0.0:
            raise ValueError(
                "a click must have probability > 0, got 0 with "
                f"eta_a = {optics.eta_a}, eta_b = {optics.eta_b}, dark_prob = {optics.dark_prob}"
            )
        state: Matrix4 = tuple(tuple(value / prob for value in row) for row in rho)
        for side, fidelity in enumerate((optics.spin_photon_a, optics.spin_photon_b)):
            state = _depolarised(state, side, 4.0 * (1.0 - fidelity) / 3.0)
        heralds.append(ReflectionHerald(label, prob, state))
    return heralds[0], heralds[1]


def _light(optics: Optics, pulse: Pulse, values: Values) -> _Light:
    order = (0, 1) if pulse.first == "A" else (1, 0)
    etas = (optics.eta_a, optics.eta_b)
    scattering = math.sqrt(1.0 - pulse.off_reflectivity_prob)
    lost: list[complex] = []
    reached: list[complex] = []
    for time_bin in (0, 1):
        amplitude: complex = math.sqrt(0.5)
        for end in order:
            on = values[end] == time_bin
            lost.append(0.0 if on else amplitude * scattering)
            amplitude *= 1.0 if on else pulse.off
            lost.append(amplitude * math.sqrt(1.0 - etas[end]))
            amplitude *= math.sqrt(etas[end])
        reached.append(amplitude)
    return _Light(reached[0], reached[1], tuple(lost))


def _element(optics: Optics, pulse: Pulse, sign: float, row: _Light, column: _Light) -> complex:
    """<row| of the unnormalised state |column>, times 4."""
    mu, dark = pulse.mean_photons, optics.dark_prob
    quiet = 1.0 - dark
    lost = sum(x * complex(y).conjugate() for x, y in zip(row.lost, column.lost, strict=True))
    steady = (row.early * column.early.conjugate() + row.late * column.late.conjugate()) / 2.0
    contrast = sign * math.sqrt(optics.visibility) / 2.0
    forth = contrast * row.late * column.early.conjugate()
    back = contrast * row.early * column.late.conjugate()
    kept = math.exp(-(optics.phase_rms_rad**2) / 2.0)
    seen = steady + kept * (forth + back)
    one_photon = quiet * (quiet if optics.number_resolving else 1.0)
    if pulse.single_photon:
        return ((1.0 - mu) + mu * lost) * dark * quiet + mu * seen * one_photon
    outside = cmath.exp(mu * (lost - 1.0)) * quiet
    if optics.number_resolving:
        return outside * (quiet * mu * seen + dark)
    fired = cmath.exp(mu * steady) * _average_exp(mu * forth, mu * back, optics.phase_rms_rad)
    return outside * (fired - quiet)


def _average_exp(forth: complex, back: complex, phase_rms_rad: float) -> complex:
    """Mean of exp(forth e^{i phi} + back e^{-i phi}) over a Gaussian phase."""
    total, first = 0j, 1.0 + 0j
    for m in range(TERMS):
        term = first
        for n in range(TERMS):
            total += term * math.exp(-((phase_rms_rad * (m - n)) ** 2) / 2.0)
            term *= back / (n + 1)
        first *= forth / (m + 1)
    return total


def _depolarised(state: Matrix4, side: int, mixing: float) -> Matrix4:
    """``state`` with the spin of ``side`` replaced by a mixed one with probability ``mixing``."""
    bit = 2 >> side

    def element(row: int, column: int) -> complex:
        kept = (1.0 - mixing) * state[row][column]
        if bool(row & bit) != bool(column & bit):
            return kept
        return kept + mixing / 2.0 * (state[row][column] + state[row ^ bit][column ^ bit])

    return tuple(tuple(element(row, column) for column in range(4)) for row in range(4))
