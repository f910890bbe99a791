"""Links whose station is not in the middle, or is a source: timing, rate, fidelity, what is claimed of pairs.

Error bars are 3 standard errors of fixed seeds; a rate of n exponential waits has one of 1/sqrt(n).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from qnet.errors import ConfigError
from qnet.physics.absorption import absorption
from qnet.physics.microwave import half_sent
from qnet.physics.reflection import Pulse, reflection
from qnet.plan import RunPlan
from qnet.units import GROUP_INDEX_FIBRE, light_time, seconds

from .networks import pair_of_nodes
from .test_heralding_schemes import assert_as_predicted, flow_of

PAIRS = 400
SPAN_M = 2000.0
TO_BOB = [SPAN_M, 0.0]
MIDDLE = [SPAN_M / 2, SPAN_M / 2]
DIM = {"emission": {"efficiency_prob": 0.6}}
NOISY = {
    "emission": {"efficiency_prob": 0.6, "spin_photon_fidelity": 0.97},
    "communication": {"t1_s": 1e-3, "t2_s": 2e-4},
    "gate_1q": {"duration_s": 2e-6, "fidelity": 0.995},
}
NOT_IDEAL = {"visibility": 0.9, "phase_rms_rad": 0.2}
HISS = {"wavelength_m": 1.55e-6, "efficiency_prob": 0.9, "noise_rate_hz": 1e5}
"""A converter whose noise imitates dark counts, 1 % per detector and window of 0.1 us."""
WEAK = {"mean_photons": 0.4, "off_reflectivity_prob": 0.05, "off_phase_rad": 0.5}
SOURCE = {"source_prob": 0.7, "source_fidelity": 0.97, "latch_prob": 0.8}

LINKS: list[tuple[str, dict[str, Any], list[float]]] = [
    ("sender-receiver", {}, TO_BOB),
    ("sender-receiver", {"linear_optics": True}, TO_BOB),
    ("midpoint-source", SOURCE, MIDDLE),
    ("midpoint-source", {**SOURCE, "linear_optics": True}, MIDDLE),
    ("reflection", WEAK, TO_BOB),
    ("reflection", {**WEAK, "single_photon": True}, TO_BOB),
    ("microwave", {}, TO_BOB),
    ("microwave", {"heralded": True}, TO_BOB),
]
IDS = [f"{name}-{number}" for number, (name, _, _) in enumerate(LINKS)]


def delivering(
    scheme: str,
    parameters: dict[str, Any],
    length_m: list[float],
    node: dict[str, Any] | None = None,
    **link: Any,
) -> RunPlan:
    """Alice asks bob for pairs over one link of ``scheme``."""
    return pair_of_nodes(
        {"name": "deliver", "pairs": PAIRS},
        node or DIM,
        scheme=scheme,
        scheme_parameters=parameters,
        length_m=length_m,
        **link,
    )


@pytest.mark.parametrize(("scheme", "parameters", "length_m"), LINKS, ids=IDS)
def test_links_deliver_what_is_predicted(
    scheme: str, parameters: dict[str, Any], length_m: list[float]
) -> None:
    """Rate and true fidelity of 400 pairs are those of the estimate, no pair is outside the stated error."""
    plan = delivering(scheme, parameters, length_m, {**DIM, "t2_s": 1e-3}, **NOT_IDEAL)
    assert_as_predicted(plan, flow_of(plan))


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "parameters", "length_m"), LINKS, ids=IDS)
def test_links_drawn_photon_by_photon_deliver_the_same(
    scheme: str, parameters: dict[str, Any], length_m: list[float]
) -> None:
    plan = delivering(scheme, parameters, length_m, {**DIM, "t2_s": 1e-3}, **NOT_IDEAL)
    plan = msgspec.structs.replace(plan, exact_attempts=True)
    assert_as_predicted(plan, flow_of(plan))


@pytest.mark.parametrize(("scheme", "parameters", "length_m"), LINKS, ids=IDS)
def test_pairs_with_every_noise_lie_within_the_stated_error(
    scheme: str, parameters: dict[str, Any], length_m: list[float]
) -> None:
    """T1, T2, gates, spin-photon pairs and, where something is detected, dark counts."""
    silent = scheme == "microwave" and not parameters
    extra = {} if silent else {"converters": {"alice": HISS}}
    plan = delivering(scheme, parameters, length_m, NOISY, **NOT_IDEAL, **extra)
    (link,) = plan.links
    assert (link.optics.dark_prob > 5e-3) is not silent
    fidelity = flow_of(plan)["fidelity"]
    assert fidelity["outside_stated_error"] == 0
    assert link.estimate.goodness < link.estimate.heralded_fidelity - 0.02
    assert abs(fidelity["mean"] - link.estimate.goodness) < link.estimate.goodness_error


@pytest.mark.parametrize(
    ("scheme", "parameters", "length_m", "light_times"),
    [
        ("sender-receiver", {}, TO_BOB, 2),
        ("sender-receiver", {}, TO_BOB[::-1], 2),
        ("reflection", {}, TO_BOB, 2),
        ("microwave", {}, TO_BOB, 2),
        ("midpoint-source", {}, MIDDLE, 1),
        ("double-click", {}, MIDDLE, 1),
    ],
)
def test_intervals_are_those_of_the_table(
    scheme: str, parameters: dict[str, Any], length_m: list[float], light_times: int
) -> None:
    """Reference A4.4: tau_0 + T_L or tau_0 + 2 T_L over the same span; tau_0 = 1 us."""
    (link,) = delivering(scheme, parameters, length_m).links
    span = sum(light_time(arm, GROUP_INDEX_FIBRE) for arm in length_m)
    assert seconds(span) == pytest.approx(SPAN_M * GROUP_INDEX_FIBRE / 299_792_458.0, abs=1e-11)
    assert link.cycle == link.preparation + light_times * span
    assert link.preparation == 1_000_000


@pytest.mark.parametrize("length_m", [TO_BOB, TO_BOB[::-1]])
def test_senders_memory_decays_from_its_photon_and_the_receivers_from_the_click(
    length_m: list[float],
) -> None:
    """Only one end forgets, T2 = 1 ms: F = (1 + exp(-t/T2))/2, Phi+ needs no gate but its time passes.

    The sender holds its half for T_L, the way back T_L and 1 us; the receiver for T_L and 1 us.
    """
    flight_s = seconds(light_time(SPAN_M, GROUP_INDEX_FIBRE))
    for forgetful, waits in (("alice", length_m[0] > 0.0), ("bob", length_m[1] > 0.0)):
        plan = delivering("sender-receiver", {}, length_m)
        plan = msgspec.structs.replace(plan, nodes=_forgetful(plan, forgetful))
        flow = flow_of(plan)
        stored_s = (2 if waits else 1) * flight_s + 1e-6
        expected = (1.0 + math.exp(-stored_s / 1e-3)) / 2.0
        assert flow["fidelity"]["mean"] == pytest.approx(expected, abs=1e-9)


def _forgetful(plan: RunPlan, name: str) -> tuple[Any, ...]:
    nodes = []
    for node in plan.nodes:
        platform = node.platform
        if node.name == name:
            assert platform is not None
            coherence = msgspec.structs.replace(platform.communication, t2_s=1e-3)
            platform = msgspec.structs.replace(platform, communication=coherence)
        nodes.append(msgspec.structs.replace(node, platform=platform))
    return tuple(nodes)


def test_source_memories_decay_from_the_absorption() -> None:
    """Both hold for the latch message, the verdict and 1 us: T_L + 1 us each, T2 = 1 ms."""
    plan = delivering("midpoint-source", {}, MIDDLE, {**DIM, "t2_s": 1e-3})
    stored_s = seconds(2 * light_time(SPAN_M / 2, GROUP_INDEX_FIBRE)) + 1e-6
    expected = (1.0 + math.exp(-2.0 * stored_s / 1e-3)) / 2.0
    assert plan.links[0].estimate.goodness == pytest.approx(expected, abs=1e-9)
    assert flow_of(plan)["fidelity"]["mean"] == pytest.approx(expected, abs=1e-9)


def test_estimates_are_the_closed_forms() -> None:
    """The plan's optics: emission 0.6 at either end, 2 km of 0.2 dB/km on one arm."""
    eta = 0.6 * 10 ** (-0.2 * 2 / 10) * 0.6
    (link,) = delivering("sender-receiver", {}, TO_BOB).links
    assert link.optics.eta_a * link.optics.eta_b == pytest.approx(eta)
    assert link.estimate.success_prob == pytest.approx(eta)
    assert link.estimate.success_prob == pytest.approx(absorption(link.optics).success_prob)
    (link,) = delivering("reflection", {"mean_photons": 0.01}, TO_BOB).links
    heralds = reflection(link.optics, Pulse(0.01))
    assert link.estimate.success_prob == pytest.approx(sum(one.prob for one in heralds))
    assert link.estimate.success_prob == pytest.approx(0.01 * eta / 4, rel=0.01)
    (link,) = delivering("microwave", {}, TO_BOB).links
    assert link.estimate.success_prob == 1.0
    assert link.estimate.heralded_fidelity == pytest.approx((1 + math.sqrt(eta)) ** 2 / 4)
    assert half_sent(link.optics).p10 == pytest.approx(0.5)
    (link,) = delivering("microwave", {"heralded": True}, TO_BOB).links
    assert link.estimate.success_prob == pytest.approx(eta)
    assert link.estimate.heralded_fidelity == pytest.approx(1.0)


@pytest.mark.parametrize("scheme", ["sender-receiver", "reflection", "microwave"])
def test_station_in_the_middle_is_refused_with_the_reason(scheme: str) -> None:
    words = r"length_m: .* must have its station at the receiver"
    with pytest.raises(ConfigError, match=words):
        delivering(scheme, {}, MIDDLE)


@pytest.mark.parametrize("scheme", ["reflection", "microwave"])
def test_wrong_sender_is_refused_with_the_reason(scheme: str) -> None:
    words = r"length_m: .* must have the longer arm at the sender \(.*\), end B \(bob\)"
    with pytest.raises(ConfigError, match=words):
        delivering(scheme, {"sender": "B"}, TO_BOB)
    plan = delivering(scheme, {"sender": "B"}, TO_BOB[::-1], {**DIM, "t2_s": 1e-3})
    assert_as_predicted(plan, flow_of(plan))


@pytest.mark.parametrize(
    ("scheme", "parameters", "words"),
    [
        ("sender-receiver", {"receiver": "bob"}, "receiver"),
        ("midpoint-source", {"source_prob": 0.0}, "source_prob"),
        ("midpoint-source", {"latch_prob": 2.0}, "latch_prob"),
        ("reflection", {"mean_photons": 2.0}, "mean_photons"),
        ("reflection", {"off_reflectivity_prob": 1.0}, "off_reflectivity_prob"),
        ("microwave", {"sender": "alice"}, "sender"),
    ],
)
def test_topologies_with_impossible_parameters_are_refused(
    scheme: str, parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        delivering(scheme, parameters, TO_BOB)


def test_deterministic_link_with_false_counts_is_refused() -> None:
    with pytest.raises(ConfigError, match="dark_prob must be 0 where nothing is detected"):
        delivering("microwave", {}, TO_BOB, converters={"alice": HISS})
