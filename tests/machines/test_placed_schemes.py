"""Schemes of other placements: closed form against attempts drawn photon by photon; where a station may sit."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import msgspec
import pytest

from qnet.physics.bell import overlap
from qnet.plan import LinkOptics, LinkPlan
from qnet.randomness import KeyedRandom
from qnet.seams import HeraldingScheme, checked_outcomes
from qnet.units import Duration
from qnet_protocols.heralding import (
    double_click,
    microwave,
    midpoint_source,
    reflection,
    sender_receiver,
)
from qnet_protocols.heralding.microwave import MicrowaveParameters
from qnet_protocols.heralding.midpoint import MESSAGES
from qnet_protocols.heralding.midpoint_source import MidpointSourceParameters
from qnet_protocols.heralding.reflection import ReflectionParameters
from qnet_protocols.heralding.sender_receiver import SenderReceiverParameters

from .harness import link_plan
from .test_click_schemes import compare_states, draw_many, random_optics

ATTEMPTS = 8_000
MOST_CHI_SQUARED = {0: 1e-9, 1: 16.8, 2: 20.2, 4: 25.4}
"""By degrees of freedom: exceeded with probability 1e-3/24, by any of the 24 sets with 1e-3."""

NAMES = (
    "absorbing",
    "measuring",
    "source",
    "source-optics",
    "coherent",
    "photon",
    "transfer",
    "erasure",
)
SCHEMES = (
    sender_receiver.SCHEME,
    midpoint_source.SCHEME,
    reflection.SCHEME,
    microwave.SCHEME,
)


def settings(name: str, number: int) -> tuple[HeraldingScheme, LinkOptics, Any]:
    """A scheme with random optics and parameters; odd numbers have number-resolving detectors."""
    draw = KeyedRandom(2026, name, str(number)).uniform
    optics = random_optics(draw, number % 2 == 1)
    sender = "AB"[number // 2 % 2]
    match name:
        case "absorbing" | "measuring":
            parameters: Any = SenderReceiverParameters(name == "measuring")
            return sender_receiver.SCHEME, optics, parameters
        case "source" | "source-optics":
            numbers = (0.5 + 0.5 * draw(), 0.6 + 0.4 * draw(), 0.5 + 0.5 * draw())
            parameters = MidpointSourceParameters(*numbers, name == "source-optics")
            return midpoint_source.SCHEME, optics, parameters
        case "coherent" | "photon":
            parameters = ReflectionParameters(
                0.5 + 0.5 * draw(), name == "photon", 0.6 * draw(), 3.0 * draw(), sender
            )
            return reflection.SCHEME, optics, parameters
        case "transfer":
            optics = msgspec.structs.replace(optics, dark_prob=0.0)
            return microwave.SCHEME, optics, MicrowaveParameters(False, sender)
        case _:
            return microwave.SCHEME, optics, MicrowaveParameters(True, sender)


@pytest.mark.parametrize(("name", "number"), [*product(NAMES, range(3))])
def test_law_samples_agree_with_closed_form(name: str, number: int) -> None:
    """Chi^2 over all outcomes; each element of the mean states within 4.5 standard errors."""
    scheme, optics, parameters = settings(name, number)
    exact = {one.pattern: one for one in scheme.outcomes(optics, parameters)}
    drawn = draw_many(scheme, optics, parameters, number, ATTEMPTS)
    assert {one.pattern for one in drawn} == set(exact)
    fail_prob = 1.0 - sum(one.prob for one in exact.values())
    failures = ATTEMPTS - len(drawn)
    chi_squared = 0.0
    freedom = len(exact)
    if fail_prob > 0.0:
        chi_squared = (failures - ATTEMPTS * fail_prob) ** 2 / (ATTEMPTS * fail_prob)
    else:
        freedom -= 1
    for pattern, outcome in exact.items():
        histories = [one.state for one in drawn if one.pattern == pattern]
        mean = ATTEMPTS * outcome.prob
        chi_squared += (len(histories) - mean) ** 2 / mean
        assert {one.label for one in drawn if one.pattern == pattern} == {outcome.label}
        compare_states(outcome, histories)
    assert chi_squared < MOST_CHI_SQUARED[freedom]


@pytest.mark.parametrize("name", NAMES)
def test_law_histories_are_states(name: str) -> None:
    for number in range(4):
        for one in draw_many(*settings(name, number), number, 500):
            assert one.prob == 1.0
            assert sum(one.state[k][k] for k in range(4)) == pytest.approx(1.0, abs=1e-12)
            for row, column in product(range(4), repeat=2):
                conjugate = one.state[column][row].conjugate()
                assert one.state[row][column] == pytest.approx(conjugate, abs=1e-12)


@pytest.mark.parametrize(
    ("scheme", "parameters", "chance"),
    [
        (sender_receiver.SCHEME, SenderReceiverParameters(), 1.0),
        (sender_receiver.SCHEME, SenderReceiverParameters(True), 0.5),
        (midpoint_source.SCHEME, MidpointSourceParameters(), 1.0),
        (midpoint_source.SCHEME, MidpointSourceParameters(linear_optics=True), 0.25),
        (reflection.SCHEME, ReflectionParameters(1.0, True), 0.25),
        (microwave.SCHEME, MicrowaveParameters(), 1.0),
        (microwave.SCHEME, MicrowaveParameters(True), 1.0),
    ],
)
def test_law_perfect_links_make_the_announced_state(
    scheme: HeraldingScheme, parameters: Any, chance: float
) -> None:
    """Success probabilities of reference A4.4 for eta = 1; every single history is the Bell state."""
    optics = LinkOptics(1.0, 1.0)
    total = sum(one.prob for one in scheme.outcomes(optics, parameters))
    assert total == pytest.approx(chance)
    drawn = draw_many(scheme, optics, parameters, 1, 2_000)
    sigma = math.sqrt(2_000 * chance * (1.0 - chance))
    assert abs(len(drawn) - 2_000 * chance) <= 3.0 * sigma
    for one in drawn:
        assert overlap(one.state, one.label) == pytest.approx(1.0)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "transfer"])
def test_law_no_light_and_no_dark_counts_never_click(name: str) -> None:
    scheme, _, parameters = settings(name, 0)
    unlit = LinkOptics(0.0, 0.0)
    assert draw_many(scheme, unlit, parameters, 1, 200) == []
    with pytest.raises(ValueError, match="probability > 0"):
        scheme.outcomes(unlit, parameters)


def test_law_measuring_receiver_is_a_double_click() -> None:
    _, optics, parameters = settings("measuring", 1)
    found = sender_receiver.outcomes(optics, parameters)
    assert found == double_click.SCHEME.outcomes(optics, None)


def test_transfer_without_light_leaves_both_in_zero() -> None:
    """Whoever is asked for pairs over a broken waveguide gets them: F = 1/4, not one history is a pair."""
    (outcome,) = microwave.outcomes(LinkOptics(0.0, 1.0), MicrowaveParameters())
    assert outcome.prob == 1.0
    assert overlap(outcome.state, outcome.label) == pytest.approx(0.25)
    assert outcome.state[0][0] == pytest.approx(0.5)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_catalogue_entries_keep_the_rules_with_their_defaults(scheme: HeraldingScheme) -> None:
    found = checked_outcomes("a-b", scheme, LinkOptics(0.4, 0.3), {})
    assert 0.0 < sum(one.prob for one in found) <= 1.0
    assert scheme.messages == MESSAGES
    assert scheme.sources


def placed(scheme: HeraldingScheme, flights: tuple[int, int], **parameters: Any) -> LinkPlan:
    """The link of the harness with these flights."""
    return link_plan(
        scheme=scheme.name,
        scheme_parameters=parameters,
        flights=(Duration(flights[0]), Duration(flights[1])),
    )


@pytest.mark.parametrize(
    "scheme",
    [sender_receiver.SCHEME, reflection.SCHEME, microwave.SCHEME],
    ids=lambda scheme: scheme.name,
)
def test_station_must_be_at_the_receiver(scheme: HeraldingScheme) -> None:
    middle = placed(scheme, (100, 200))
    words = (
        rf"scheme {scheme.name} must have its station at the receiver, .* flights of 100 ps and 200"
    )
    with pytest.raises(ValueError, match=words):
        scheme.check(middle)
    scheme.check(placed(scheme, (100, 0)))


@pytest.mark.parametrize("scheme", [reflection.SCHEME, microwave.SCHEME], ids=lambda one: one.name)
def test_sender_must_have_the_longer_arm(scheme: HeraldingScheme) -> None:
    for flights, right, wrong in (((100, 0), "A", "B"), ((0, 100), "B", "A")):
        scheme.check(placed(scheme, flights, sender=right))
        with pytest.raises(ValueError, match=rf"longer arm at the sender .*, end {wrong}"):
            scheme.check(placed(scheme, flights, sender=wrong))
    scheme.check(placed(scheme, (0, 0), sender="A"))
    with pytest.raises(ValueError, match=r"end A if both have length 0\), end B"):
        scheme.check(placed(scheme, (0, 0), sender="B"))


@pytest.mark.parametrize(
    ("record", "data"),
    [
        (SenderReceiverParameters, {"linear_optics": 1}),
        (MidpointSourceParameters, {"source_prob": 0.0}),
        (MidpointSourceParameters, {"source_fidelity": 1.1}),
        (MidpointSourceParameters, {"latch_prob": 0.0}),
        (ReflectionParameters, {"mean_photons": 0.0}),
        (ReflectionParameters, {"mean_photons": 1.5}),
        (ReflectionParameters, {"off_reflectivity_prob": 1.0}),
        (ReflectionParameters, {"sender": "alice"}),
        (MicrowaveParameters, {"sender": "C"}),
        (MicrowaveParameters, {"transfer_prob": 0.9}),
    ],
)
def test_parameters_outside_their_domain_are_refused(
    record: type[msgspec.Struct], data: dict[str, Any]
) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(data, record)
