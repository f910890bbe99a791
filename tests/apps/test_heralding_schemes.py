"""Links of every click scheme, compiled from a topology and run: rate, fidelity, what is claimed of pairs.

Error bars are 3 standard errors of fixed seeds; a rate of n exponential waits has one of 1/sqrt(n).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from qnet.errors import ConfigError
from qnet.physics.single_click import single_click
from qnet.plan import RunPlan
from qnet.units import GROUP_INDEX_FIBRE, light_time, seconds

from .networks import pair_of_nodes, path, run_embedded

PAIRS = 400
DIM = {"emission": {"efficiency_prob": 0.3}}
NOISY = {
    "emission": {"efficiency_prob": 0.3, "spin_photon_fidelity": 0.98},
    "communication": {"t1_s": 4e-3, "t2_s": 1e-3},
    "gate_1q": {"duration_s": 2e-6, "fidelity": 0.995},
}
UNEVEN = {"bright_a_prob": 0.2, "bright_b_prob": 0.12, "double_excitation_prob": 0.03}
BLURRED = {"visibility": 0.9, "phase_rms_rad": 0.2}
HISSING = {"wavelength_m": 1.55e-6, "efficiency_prob": 0.9, "noise_rate_hz": 1e5}
"""A converter whose noise imitates dark counts, 1 % per window."""
ARMS_M = [2000.0, 1000.0]


def delivering(
    scheme: str,
    parameters: dict[str, Any] | None = None,
    node: dict[str, Any] | None = None,
    **link: Any,
) -> RunPlan:
    """Alice asks bob for pairs over one link of ``scheme``."""
    app = {"name": "deliver", "pairs": PAIRS}
    return pair_of_nodes(
        app, node or DIM, scheme=scheme, scheme_parameters=parameters or {}, **link
    )


def flow_of(plan: RunPlan) -> dict[str, Any]:
    """What the ledger says of the only flow of a run that went well."""
    outcome = run_embedded(plan)
    assert outcome.status == "done", outcome.fault
    (flow,) = outcome.summary["requests"]
    assert flow["delivered"] == flow["requested"]
    return dict(flow)


def assert_as_predicted(plan: RunPlan, flow: dict[str, Any]) -> None:
    """Rate and mean true fidelity are those of the estimate, no pair is outside the stated error.

    Pairs of a link that all decay for equally long have one fidelity and no spread.
    """
    (link,) = plan.links
    estimate, fidelity = link.estimate, flow["fidelity"]
    assert abs(flow["rate_hz"] / estimate.rate_hz - 1) < 3 / math.sqrt(PAIRS)
    assert abs(fidelity["mean"] - estimate.goodness) < max(3 * fidelity["stderr"], 1e-9)
    assert fidelity["outside_stated_error"] == 0


@pytest.mark.parametrize("exact", [False, True])
def test_single_click_link_delivers_what_is_predicted(exact: bool) -> None:
    """Both laws of the world: attempts skipped ahead, and drawn one by one, photon by photon."""
    node = {**DIM, "t2_s": 1e-3}
    plan = delivering("single-click", UNEVEN, node, length_m=ARMS_M, **BLURRED)
    (link,) = plan.links
    expected = single_click(link.optics, *UNEVEN.values())
    assert link.estimate.success_prob == pytest.approx(expected.success_prob)
    assert link.estimate.heralded_fidelity == pytest.approx(expected.fidelity)
    longer, shorter = (seconds(one) for one in link.flights)
    stored_s = (longer + longer + 1e-6) + (shorter + longer + 1e-6)  # flight, way back, gate
    kept = math.exp(-stored_s / 1e-3)
    odd = (expected.p01 + expected.p10) / expected.click_prob
    coherence = expected.coherence / expected.click_prob
    assert link.estimate.goodness == pytest.approx(odd / 2 + coherence * kept, abs=1e-9)
    assert_as_predicted(plan, flow_of(msgspec.structs.replace(plan, exact_attempts=exact)))


@pytest.mark.parametrize(
    ("scheme", "parameters", "most"),
    [
        ("single-click", UNEVEN, 0.1),
        ("time-bin", {"dead_time_s": 2e-6}, 1e-3),
        ("barrett-kok", {}, 1e-4),
    ],
)
def test_pairs_with_every_noise_lie_within_the_stated_error(
    scheme: str, parameters: dict[str, float], most: float
) -> None:
    """T1, T2, gates, spin-photon pairs, dark counts: claims hold pair by pair.

    ``most``: bound of the stated error, which is that of T1 for pairs that are Bell-diagonal at the click.
    """
    plan = delivering(
        scheme, parameters, NOISY, length_m=ARMS_M, converters={"alice": HISSING}, **BLURRED
    )
    assert plan.links[0].optics.dark_prob > 5e-3
    fidelity = flow_of(plan)["fidelity"]
    assert fidelity["outside_stated_error"] == 0
    estimate = plan.links[0].estimate
    assert estimate.goodness_error < most
    assert estimate.goodness < estimate.heralded_fidelity - 0.01
    assert abs(fidelity["mean"] - estimate.goodness) < estimate.goodness_error


def test_dead_detectors_halve_the_rate_of_a_time_bin_link() -> None:
    awake, dead = (delivering("time-bin", {"dead_time_s": time}) for time in (0.0, 2e-6))
    assert dead.links[0].estimate.success_prob == pytest.approx(
        awake.links[0].estimate.success_prob / 2
    )
    for plan in (awake, dead):
        assert_as_predicted(plan, flow_of(plan))


def test_barrett_kok_waits_for_two_heralds() -> None:
    """The cycle is 2 (T_L + tau_0), and the rate follows; T_L = 2000 m of fibre, tau_0 = 1 us."""
    (link,) = delivering("barrett-kok", length_m=1000.0).links
    flight = light_time(1000.0, GROUP_INDEX_FIBRE)
    assert link.cycle == 2 * (2 * flight + 1_000_000)
    assert link.held == 2 * flight + 1_000_000
    (once,) = delivering("double-click", length_m=1000.0).links
    assert link.estimate.success_prob == pytest.approx(once.estimate.success_prob)
    assert once.cycle == 2 * flight + 1_000_000
    assert link.estimate.rate_hz == pytest.approx(once.estimate.rate_hz / 2, rel=0.05)


@pytest.mark.parametrize("t2_s", [1e-3, 2e-4])
def test_barrett_kok_memories_are_held_over_both_rounds(t2_s: float) -> None:
    """Each memory decays from its first photon on: one round, the second flight, the way back, the gate.

    Both photons meet at the station, so bob's, on half the way, leaves later. F = (1 + V exp(-t/T2))/2
    with t the sum of both storage times.
    """
    plan = delivering("barrett-kok", node={**DIM, "t2_s": t2_s}, length_m=ARMS_M, visibility=0.9)
    (link,) = plan.links
    longer, shorter = (seconds(one) for one in link.flights)
    round_s = 1e-6 + 2 * longer
    alice_s = round_s + longer + longer + 1e-6
    bob_s = alice_s - (longer - shorter)
    expected = (1 + 0.9 * math.exp(-(alice_s + bob_s) / t2_s)) / 2
    assert link.estimate.goodness == pytest.approx(expected, abs=1e-9)
    assert seconds(link.cycle) == pytest.approx(2 * round_s)
    flow = flow_of(plan)
    assert flow["fidelity"]["mean"] == pytest.approx(expected, abs=1e-9)
    assert_as_predicted(plan, flow)


def test_chain_of_single_click_links_keeps_its_claims() -> None:
    """Two links over ``qnp``. What is not Bell-diagonal makes swapped pairs unlike, within the stated error.

    Over all outcomes of the swap it cancels (a Bell-diagonal claim is what teleportation through the pair
    does on average), so the mean is the claim.
    """
    node = {**DIM, "communication_slots": 4, "t2_s": 1e-2}
    wanted = {"pairs": 250, "from_node": "ann", "to_node": "cleo"}
    roles = {"ann": "requester", "cleo": "provider"}
    parameters = {"bright_a_prob": 0.2, "bright_b_prob": 0.12}
    plan = path(
        ("ann", "bea", "cleo"), "deliver", wanted, roles, node,
        scheme="single-click", scheme_parameters=parameters, visibility=0.9,
    )  # fmt: skip
    assert all(link.estimate.goodness_error > 0.05 for link in plan.links)
    fidelity = flow_of(plan)["fidelity"]
    assert fidelity["outside_stated_error"] == 0
    assert fidelity["min"] < fidelity["mean"] - 0.01
    assert abs(fidelity["mean"] - fidelity["claimed"]) < 3 * fidelity["stderr"]


def test_alpha_belongs_to_the_ends_in_order_of_their_names() -> None:
    forward, back = (
        delivering("single-click", UNEVEN, ends=ends, length_m=lengths_m)
        for ends, lengths_m in ((["alice", "bob"], ARMS_M), (["bob", "alice"], ARMS_M[::-1]))
    )
    assert forward.links == back.links
    (link,) = forward.links
    assert link.optics.eta_a < link.optics.eta_b
    expected = single_click(link.optics, 0.2, 0.12, 0.03).success_prob
    assert link.estimate.success_prob == pytest.approx(expected)


@pytest.mark.parametrize(
    ("scheme", "parameters", "words"),
    [
        ("single-click", {"bright_a_prob": 1.0}, "bright_a_prob"),
        ("single-click", {"bright_b_prob": 0.0}, "bright_b_prob"),
        ("single-click", {"double_excitation_prob": -0.1}, "double_excitation_prob"),
        ("single-click", {"alpha": 0.1}, "alpha"),
        ("time-bin", {"bin_separation_s": 0.0}, "bin_separation_s"),
        ("time-bin", {"dead_time_s": -1.0}, "dead_time_s"),
        ("barrett-kok", {"rounds": 3}, "rounds"),
    ],
)
def test_topologies_with_impossible_parameters_are_refused(
    scheme: str, parameters: dict[str, float], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        delivering(scheme, parameters)
