"""Colour centres and superconducting circuits, in closed form (rows 17, 18, 19).

Theory
    Spin-photon pairs of both nodes convolve: w = w_A w_B. Moving a half from electron to nucleus takes two
    CNOT gates, each of which depolarises. A deterministic transfer of qubit states with average fidelity F
    has process fidelity (3F - 1)/2, and this is the fidelity of a pair, one half of which was transferred.
Assumptions and validity
    Werner-like spin-photon pairs; depolarising gates.
Not modelled
    Named check by check; these cases have no run.
Units
    Dimensionless.
Sources
    In each case.
"""

from __future__ import annotations

from typing import Final

from qnet.physics.bell import convolve, fidelity, werner
from qnet.physics.gates import depolarising_from_fidelity, process_from_average
from qnet.validate.case import Case, Check, Given, Published, Source

_ELECTRON, _NUCLEUS, _TWO_QUBIT_GATE = 0.91, 0.85, 0.98
_TRANSFER, _MICROWAVE_PAIR = 0.858, 0.795

_STAS_GIVEN = Given("electron-photon fidelity", _ELECTRON, "", "found", "Stas 2022, 0.91(2)")


def joined(spin_photon: float) -> float:
    """Fidelity of the spins after the same photon met both of them."""
    return fidelity(convolve(werner(spin_photon), werner(spin_photon)))


def moved(before: float, gate: float, count: int = 2) -> float:
    """Fidelity of a Werner pair after ``count`` gates of this average fidelity moved one half."""
    kept = (1.0 - depolarising_from_fidelity(gate, 2)) ** count
    return 0.25 + (before - 0.25) * kept


KNAUT: Final = Case(
    name="knaut-2024",
    title="two silicon vacancies, one photon reflected by both",
    row=17,
    source=Source("Knaut et al., Nature 629, 573 (2024)", "10.1038/s41586-024-07252-z", "2310.01316"),
    given=(_STAS_GIVEN,),
    checks=(
        Check(
            "electron pair fidelity", "S", Published(0.86, 0.03), 0.05,
            "w = w_A w_B, electron-photon pairs of another device at each node",
            lambda: joined(_ELECTRON),
            ("contrast of the cavities of these very nodes", "more than one photon in a weak pulse",
             "noise of the converters"),
            must_hold=(0.81, 0.91),
        ),
    ),
)  # fmt: skip

STAS: Final = Case(
    name="stas-2022",
    title="silicon vacancy with a nuclear memory",
    row=18,
    source=Source("Stas et al., Science 378, 557 (2022)", "10.1126/science.add9771", "2207.13128"),
    given=(
        _STAS_GIVEN,
        Given("electron-nucleus gate", _TWO_QUBIT_GATE, "", "memory", "average fidelity"),
    ),
    checks=(
        Check(
            "nucleus-photon fidelity", "S", Published(_NUCLEUS, 0.02), 0.01,
            "electron-photon pair, moved by two gates that depolarise",
            lambda: moved(_ELECTRON, _TWO_QUBIT_GATE),
            ("start of the nucleus in a wrong state", "read-out of the nucleus through the electron",
             "leakage during long gates"),
        ),
    ),
)  # fmt: skip

MAGNARD: Final = Case(
    name="magnard-2020",
    title="transmons in two refrigerators, microwave photons, 5 m",
    row=19,
    source=Source(
        "Magnard et al., Phys. Rev. Lett. 125, 260502 (2020)",
        "10.1103/PhysRevLett.125.260502",
        "2008.01642",
    ),
    given=(Given("transfer fidelity", _TRANSFER, "", "memory", "average over states"),),
    checks=(
        Check(
            "pair fidelity", "S", Published(_MICROWAVE_PAIR, 0.0, "memory"), 0.01,
            "(3 F - 1)/2: process fidelity of the transfer",
            lambda: process_from_average(_TRANSFER, 1),
            ("the pair is made with other pulses than the transfer",),
            must_hold=(_MICROWAVE_PAIR - 0.01, _MICROWAVE_PAIR + 0.01),
        ),
    ),
)  # fmt: skip

CASES: Final = (KNAUT, STAS, MAGNARD)
"""In order of the rows."""
