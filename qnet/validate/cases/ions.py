"""Two trapped ions joined by their photons: rates and states of links (rows 2, 3, 4, 5, 8, 22).

Theory
    Double click (:mod:`qnet.physics.heralding`): p = eta^2/2, F from visibility and spin-photon pairs, a rate
    of p per attempt interval. A stored half with pure dephasing keeps F = (1 + c + 2 a exp(-t/T2))/4.
Assumptions and validity
    Efficiencies of rows 2 and 4 are derived from published success probabilities and contain fibre and
    detector, so stations have efficiency 1 and fibres no loss.
Not modelled
    Named check by check.
Units
    SI.
Sources
    In each case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from qnet.physics.heralding import double_click
from qnet.plan import LinkOptics
from qnet.validate.case import Case, Check, Given, Published, Reading, Source, Summary
from qnet.validate.trial import estimate_of, fidelity, rate

PAIRS: Final = 2000


def _link(processor: str, visibility: float, dark_rate_hz: float, seed: int) -> str:
    node = f'platform = "ideal"\n{processor}'
    return f"""
[nodes.alice]
{node}
[nodes.bob]
{node}
[nodes.station]
kind = "station"
dark_rate_hz = {dark_rate_hz}
window_s = 50e-9
[links.alice-bob]
ends = ["alice", "bob"]
station = "station"
length_m = 1.0
loss_db_per_km = 0.0
visibility = {visibility}
[app]
name = "deliver"
pairs = {PAIRS}
[run]
seed = {seed}
"""


def _ion(
    wavelength_m: float,
    eta: float,
    interval_s: float,
    spin_photon: float,
    t2_s: float = math.inf,
    gate: float = 1.0,
) -> str:
    return (
        f"t2_s = {t2_s}\ngate_1q.fidelity = {gate}\ngate_1q.duration_s = 10e-6\n"
        f"emission.wavelength_m = {wavelength_m}\n"
        f"emission.efficiency_prob = {eta}\nemission.interval_s = {interval_s}\n"
        f"emission.preparation_s = 0.5e-6\nemission.spin_photon_fidelity = {spin_photon}"
    )


def _rate_and_fidelity(summaries: Sequence[Summary]) -> Mapping[str, Reading]:
    (summary,) = summaries
    return {"rate": rate(summary), "fidelity": fidelity(summary)}


def ceiling(spin_photon: float) -> float:
    """Fidelity of a heralded pair with perfect interference and no dark counts."""
    optics = LinkOptics(0.01, 0.01, spin_photon_a=spin_photon, spin_photon_b=spin_photon)
    return double_click(optics).fidelity


# ---------------------------------------------------------------- row 2

_SR_PROB, _SR_INTERVAL_S, _SR_SPIN_PHOTON, _SR_VISIBILITY = 2.18e-4, 1.2e-6, 0.98, 0.964
_SR_T2_S, _SR_GATE = 5e-3, 0.999
SR_ETA: Final = math.sqrt(2.0 * _SR_PROB)
SR_LINK: Final = _link(
    _ion(422e-9, SR_ETA, _SR_INTERVAL_S, _SR_SPIN_PHOTON, _SR_T2_S, _SR_GATE),
    _SR_VISIBILITY,
    20.0,
    1,
)

STEPHENSON: Final = Case(
    name="stephenson-2020",
    title="two strontium ions, polarisation photons, 2 m",
    row=2,
    source=Source(
        "Stephenson et al., Phys. Rev. Lett. 124, 110501 (2020)", "10.1103/PhysRevLett.124.110501"
    ),
    given=(
        Given("success probability", _SR_PROB, "", "memory", "of an attempt"),
        Given("efficiency", SR_ETA, "", "derived", "sqrt(2 p); fibre and detector included"),
        Given("attempt interval", _SR_INTERVAL_S, "s", "memory", "833 kHz"),
        Given("ion-photon fidelity", _SR_SPIN_PHOTON, "", "memory", "each node, taken as Werner"),
        Given("visibility", _SR_VISIBILITY, "", "derived", "chosen so that F = 0.940"),
        Given("T2", _SR_T2_S, "s", "assumed", "during the correction gate"),
        Given("dark rate", 20.0, "1/s", "assumed", "per detector, window 50 ns"),
        Given("correction gate", 10e-6, "s", "memory", "average fidelity 0.999, at the bound"),
    ),
    checks=(
        Check(
            "rate", "R", Published(182.0), 0.02 * 182.0,
            "p / interval, p = eta^2/2, and one correction gate per pair",
            lambda: estimate_of(SR_LINK).rate_hz,
            ("pauses for cooling and loading",), "1/s",
            must_hold=(0.98 * 182.0, 1.02 * 182.0),
        ),
        Check(
            "fidelity", "S", Published(0.940, 0.005), 0.005,
            "double click with V, convolved with both ion-photon pairs",
            lambda: estimate_of(SR_LINK).goodness,
            ("what the effective visibility stands for",),
            circular="visibility", must_hold=(0.935, 0.945),
        ),
        Check(
            "fidelity, perfect interference", "S", Published(0.940, 0.005), 0.005,
            "two ion-photon pairs convolved, V = 1",
            lambda: ceiling(_SR_SPIN_PHOTON),
            ("overlap of the photons", "polarisation mixing in lens and fibre",
             "excitation twice in a pulse", "read-out"),
        ),
    ),
    networks=lambda: (SR_LINK,),
    read=_rate_and_fidelity,
)  # fmt: skip

# ---------------------------------------------------------------- row 3

_CHSH, _QBER = 2.677, 0.0144


def fidelity_from_key(chsh: float, qber: float) -> float:
    """F = (1 + c + 2 a)/4 with c = 1 - 2 Q in the key basis, a = S/sqrt2 - c, and b taken equal to a."""
    along_key = 1.0 - 2.0 * qber
    return (1.0 + along_key + 2.0 * (chsh / math.sqrt(2.0) - along_key)) / 4.0


NADLINGER: Final = Case(
    name="nadlinger-2022",
    title="device-independent key between two strontium ions",
    row=3,
    source=Source(
        "Nadlinger et al., Nature 607, 682 (2022)", "10.1038/s41586-022-04941-5", "2109.14600"
    ),
    given=(
        Given("S", _CHSH, "", "memory", "Bell sum, error 0.006"),
        Given("Q", _QBER, "", "memory", "wrong bits in the key basis"),
    ),
    checks=(
        Check(
            "fidelity", "S", Published(0.960, 0.001), 0.01,
            "F = (1 + c + a + b)/4, c = 1 - 2Q, a = S/sqrt2 - c, b = a",
            lambda: fidelity_from_key(_CHSH, _QBER),
            ("<YY> is in neither S nor Q: b = a is the model, positivity allows 0.946 to 0.961",),
            must_hold=(0.95, 0.97),
        ),
    ),
)  # fmt: skip

# ---------------------------------------------------------------- row 4

_BA_RATE_HZ, _BA_INTERVAL_S, _BA_SPIN_PHOTON = 250.0, 1e-6, 0.975
BA_ETA: Final = 0.0224
BA_LINK: Final = _link(_ion(493e-9, BA_ETA, _BA_INTERVAL_S, _BA_SPIN_PHOTON), 1.0, 0.0, 2)

OREILLY: Final = Case(
    name="oreilly-2024",
    title="two barium ions cooled by ytterbium, no pauses",
    row=4,
    source=Source(
        "O'Reilly et al., Phys. Rev. Lett. 133, 090802 (2024)",
        "10.1103/PhysRevLett.133.090802",
        "2404.16167",
    ),
    given=(
        Given("efficiency", BA_ETA, "", "derived", "from 250/s at 1 MHz"),
        Given("attempt interval", _BA_INTERVAL_S, "s", "memory", "1 MHz"),
        Given("ion-photon fidelity", _BA_SPIN_PHOTON, "", "memory", "0.97 to 0.98"),
        Given("visibility", 1.0, "", "assumed", "not known to us"),
        Given("correction gate", 10e-6, "s", "assumed", "without error"),
    ),
    checks=(
        Check(
            "rate", "R", Published(_BA_RATE_HZ), 0.02 * _BA_RATE_HZ, "eta^2/2 / interval",
            lambda: estimate_of(BA_LINK).rate_hz, ("none is known to us",), "1/s",
            circular="efficiency", must_hold=(245.0, 255.0),
        ),
        Check(
            "fidelity", "S", Published(0.937, 0.013, "memory", at_least=True), 0.013,
            "two ion-photon pairs convolved, V = 1", lambda: estimate_of(BA_LINK).goodness,
            ("overlap of the photons", "read-out", "the published figure is a lower bound"),
        ),
    ),
    networks=lambda: (BA_LINK,),
    read=_rate_and_fidelity,
)  # fmt: skip

# ---------------------------------------------------------------- row 5

_RECOIL_INFIDELITY = 1e-3


def recoil_limited(infidelity: float) -> float:
    """Fidelity of a time-bin pair whose only error is a phase between the bins."""
    phase_rms_rad = math.sqrt(-2.0 * math.log(1.0 - 2.0 * infidelity))
    return double_click(LinkOptics(0.01, 0.01, phase_rms_rad=phase_rms_rad)).fidelity


SAHA: Final = Case(
    name="saha-2025",
    title="two barium ions, time-bin photons",
    row=5,
    source=Source("Saha et al., Nat. Commun. 16 (2025)", "10.1038/s41467-025-57557-4", "2406.01761"),
    given=(
        Given("recoil infidelity", _RECOIL_INFIDELITY, "", "found", "more than 0.999 said feasible"),
        Given("visibility", 1.0, "", "assumed", "not known to us"),
    ),
    checks=(
        Check(
            "fidelity", "S", Published(0.97), 0.01,
            "double click with exp(-sigma^2/2) of the recoil between the bins",
            lambda: recoil_limited(_RECOIL_INFIDELITY),
            ("overlap of the photons", "preparation and read-out", "imperfect pulses between the bins",
             "recoil as it was in the run, not at its best"),
        ),
    ),
)  # fmt: skip

# ---------------------------------------------------------------- row 8

_STORED_S, _MEMORY_T2_S, _BEFORE = 10.0, 30.0, 0.94
_NETWORK_MHZ_PER_MT, _MEMORY_MHZ_PER_MT = 11.2, 0.122


def stored(before: float, time_s: float, t2_s: float) -> float:
    """Fidelity of a Werner pair, one half of which has dephased."""
    shared = (4.0 * before - 1.0) / 3.0
    return (1.0 + shared + 2.0 * shared * math.exp(-time_s / t2_s)) / 4.0


DRMOTA: Final = Case(
    name="drmota-2023",
    title="ion-photon pair moved from strontium to calcium and stored",
    row=8,
    source=Source(
        "Drmota et al., Phys. Rev. Lett. 130, 090803 (2023)",
        "10.1103/PhysRevLett.130.090803",
        "2210.11447",
    ),
    given=(
        Given("fidelity before", _BEFORE, "", "assumed", "Werner; transfer 0.977(7) contained"),
        Given("T2", _MEMORY_T2_S, "s", "derived", "from this very point"),
        Given("sensitivity of Sr", _NETWORK_MHZ_PER_MT, "MHz/mT", "found", "at 0.5 mT"),
        Given("sensitivity of Ca", _MEMORY_MHZ_PER_MT, "MHz/mT", "found", "at 0.5 mT"),
    ),
    checks=(
        Check(
            "fidelity after 10 s", "S", Published(0.81, 0.04), 0.04,
            "(1 + c + 2 a exp(-t/T2))/4, a = c = (4F - 1)/3",
            lambda: stored(_BEFORE, _STORED_S, _MEMORY_T2_S),
            ("dephasing under decoupling is not exponential",),
            circular="T2", must_hold=(0.77, 0.85),
        ),
        Check(
            "decay slower by", "S", Published(70.0, words="about 70"), 14.0,
            "ratio of the field sensitivities: slow magnetic noise alone",
            lambda: _NETWORK_MHZ_PER_MT / _MEMORY_MHZ_PER_MT,
            ("noise of the memory that is not magnetic", "error of the two transfers"),
        ),
    ),
)  # fmt: skip

# ---------------------------------------------------------------- row 22

_ONE_ION_PROB = 0.111

CANTERI: Final = Case(
    name="canteri-2024",
    title="ten calcium ions, each with a photon of its own through one cavity",
    row=22,
    source=Source("Canteri et al. (2024)", arxiv="2406.09480"),
    given=(
        Given("one ion", _ONE_ION_PROB, "", "found",
              "detection of one ion in a published simulation set-up of this node (loss 0.889)"),
        Given("ions", 10.0, "", "found", "brought to the waist one after the other"),
    ),
    checks=(
        Check(
            "photons per train", "R", Published(0.91, 0.08), 0.08,
            "10 x detection of one ion at its best", lambda: 10.0 * _ONE_ION_PROB,
            ("ions off the waist of the cavity", "heating while ions are moved",
             "published figure is ten times 0.091(8)"),
        ),
    ),
)  # fmt: skip

CASES: Final = (STEPHENSON, NADLINGER, OREILLY, SAHA, DRMOTA, CANTERI)
"""In order of the rows."""
