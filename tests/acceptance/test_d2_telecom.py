"""D2, photons converted to telecom: a link of barium ions with two stages of conversion in each arm.

Physics reference A4.2 and A4.6. Converted atoms over 33 km, row 11 of the experiments, are ``qnet validate
van-leent-2022``. Error bars are 3 standard errors of fixed seeds.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from qnet.topology import load

from .rows import TOPOLOGIES, both_ways, within

ETA, CONVERTED, SPIN_PHOTON, WINDOW_S = 0.0224, 0.6 * 0.583333, 0.975, 50e-9


def telecom(length_m: float, *sets: str) -> Any:
    changes = [f"links.alice-bob.length_m={length_m / 2}", *sets]
    return load(TOPOLOGIES / "ion-pair-telecom.toml", changes, seed=4)


def formula(length_m: float, noise_hz: float) -> tuple[float, float]:
    """p and F of A4.2 for the figures of the file, written out once more."""
    behind = 10 ** (-0.2 * length_m / 2 / 1e4)
    eta = ETA * CONVERTED * behind
    dark = -math.expm1(-(1.0 + 2 * noise_hz * behind) * WINDOW_S)
    quiet = (1 - dark) ** 2
    w2 = eta**2 / 8 * quiet
    wpar = eta**2 * 2 / 8 * dark * quiet
    wn = (eta * (1 - eta) * dark + (1 - eta) ** 2 * dark**2) * quiet
    total = w2 + wpar + wn
    weights = [(wpar / 2 + wn / 4) / total] * 2 + [(w2 + wn / 4) / total, wn / 4 / total]
    good = [SPIN_PHOTON] + [(1 - SPIN_PHOTON) / 3] * 3
    both = [sum(good[i] * good[i ^ k] for i in range(4)) for k in range(4)]
    return 4 * total, sum(weights[k] * both[k ^ 2] for k in range(4))


@pytest.mark.parametrize(("length_m", "rate_hz"), [(0, 31.0), (10_000, 0.38), (50_000, 0.012)])
def test_telecom_link_has_p_and_f_of_the_closed_form(length_m: float, rate_hz: float) -> None:
    (link,) = telecom(length_m).links
    prob, fidelity = formula(length_m, 100.0)
    assert link.estimate.success_prob == pytest.approx(prob, rel=1e-6)
    assert link.estimate.heralded_fidelity == pytest.approx(fidelity, abs=1e-6)
    assert link.estimate.rate_hz == pytest.approx(rate_hz, rel=0.08)


@pytest.mark.parametrize("length_m", [0, 10_000])
def test_noise_of_the_converter_crosses_one_half_where_the_closed_form_does(
    length_m: float,
) -> None:
    low, high = 1.0, 1e7
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if formula(length_m, middle)[1] > 0.5 else (low, middle)
    for factor, entangled in ((0.99, True), (1.01, False)):
        stages = "[{wavelength_m=1.55e-6, efficiency_prob=0.3499998, noise_rate_hz=%r}]"
        noisy = [
            f"links.alice-bob.converters.{end}={stages % (low * factor)}"
            for end in ("alice", "bob")
        ]
        (link,) = telecom(length_m, *noisy).links
        assert (link.estimate.heralded_fidelity > 0.5) is entangled


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(("length_m", "pairs"), [(0, 1500), (10_000, 600), (50_000, 300)])
def test_telecom_link_runs_with_p_and_f_of_the_closed_form(
    tmp_path: Path, length_m: float, pairs: int
) -> None:
    """p of A4.2 within three standard errors, and F to its last digit before the ions wait and are corrected.

    Every delivered pair has the fidelity that the link's own estimate gives to that wait.
    """
    plan = telecom(length_m, f"pairs={pairs}")
    found = both_ways(plan, tmp_path / "run")
    prob, fidelity = formula(length_m, 100.0)
    (link,) = plan.links
    assert link.estimate.heralded_fidelity == pytest.approx(fidelity, abs=1e-6)
    (flow,) = found.summary["requests"]
    assert flow["delivered"] == pairs
    assert within(pairs / found.summary["attempts"]["alice-bob"], prob, prob / math.sqrt(pairs))
    rate_hz = link.estimate.rate_hz
    assert within(flow["rate_hz"], rate_hz, rate_hz / math.sqrt(pairs))
    assert flow["fidelity"]["mean"] == pytest.approx(
        link.estimate.goodness, abs=link.estimate.goodness_error
    )
    assert flow["fidelity"]["outside_stated_error"] == 0
