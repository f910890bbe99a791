"""CHSH and teleportation over the ion pair, against closed forms with every local error in them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from qnet.hardware import Platform
from qnet.physics.bell import Correlators, correlators
from qnet.physics.gates import depolarising_from_fidelity
from qnet.physics.heralding import double_click
from qnet.physics.limits import chsh_fixed, chsh_werner
from qnet.physics.native import bell_factors, compiled, pulse_mixing
from qnet.physics.teleportation import LocalErrors, bloch_factors, verified_fraction
from qnet.plan import LinkPlan, RunPlan
from qnet.runtime.run import RunOptions, run
from qnet.topology import load
from qnet.units import seconds

TOPOLOGY = Path(__file__).parents[2] / "deploy" / "topologies" / "ion-pair.toml"


def delivered_correlators(link: LinkPlan, platform: Platform) -> Correlators:
    """The pair at delivery: A4.2 at the click, T2 of both ions since their own photons left, one gate."""
    heralded = double_click(link.optics)
    # The correction gate relabels Psi+ to Phi+ (for Psi- the weights are the same, relabelled).
    x, z = 1, 0
    weights = heralded.weights_plus
    moved = tuple(weights[2 * (i ^ x) + (j ^ z)] for i in (0, 1) for j in (0, 1))
    a, b, c = correlators(moved)  # type: ignore[arg-type]
    # Until the click each ion waits for its own photon's flight, from then on for the longer one's herald.
    to_delivery_s = seconds(max(link.flights)) + platform.gate_1q.duration_s
    waits_s = [seconds(flight) + to_delivery_s for flight in link.flights]
    dephased = math.exp(-sum(waits_s) / platform.communication.t2_s)
    gate = 1 - depolarising_from_fidelity(platform.gate_1q.fidelity, 1)
    return a * dephased * gate, b * dephased * gate, c * gate


def expected_fraction(plan: RunPlan) -> float:
    """Share of right verifications of ``teleport``, all local errors and waits included.

    The sender's half waits for preparation and CNOT, the receiver's for the whole Bell measurement, the
    message, the corrections and its change of basis. The memory's own decay in that time is 1e-5.
    """
    link = plan.links[0]
    platform = plan.node("alice").platform
    assert platform is not None
    gate_1q = depolarising_from_fidelity(platform.gate_1q.fidelity, 1)
    flips = (platform.readout.error_0_prob, platform.readout.error_1_prob)
    errors = LocalErrors(
        gates=bell_factors(platform),
        phase_flips=flips,
        parity_flips=flips,
        x_depolarising=gate_1q,
        z_depolarising=pulse_mixing(platform, "Z"),
    )
    start_s = platform.initialise.duration_s
    gate_s, cnot_s = platform.gate_1q.duration_s, seconds(compiled(platform, "CNOT").duration)
    read_s = platform.readout.duration_s
    t2_s = platform.communication.t2_s
    x, y, z = bloch_factors(delivered_correlators(link, platform), errors)
    # X and Y inputs: one preparation gate, one basis gate, a correction by X in half of the cases.
    sender_s = start_s + gate_s + cnot_s
    receiver_s = sender_s + gate_s + 2 * read_s + seconds(link.direct) + 1.5 * gate_s
    waited = math.exp(-(sender_s + receiver_s) / t2_s)
    polarised = 2 * platform.initialise.fidelity - 1
    prepared_xy = polarised * (1 - gate_1q)
    prepared_z = polarised * (1 - gate_1q / 2)  # |1> takes a gate, |0> none
    factors = (x * waited * prepared_xy, y * waited * prepared_xy, z * prepared_z)
    return verified_fraction(factors, gate_1q, flips)


@pytest.mark.slow
def test_teleport_on_the_ion_pair_with_local_errors() -> None:
    plan = load(TOPOLOGY, app="teleport", overrides=["pairs=6000"], seed=7)
    outcome = run(plan, RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    result = outcome.summary["app"]["results"]["alice"]["result"]
    assert abs(result["fraction_right"] - expected_fraction(plan)) < 3 * result["stderr"]


@pytest.mark.slow
def test_teleport_on_the_ion_pair_without_local_errors() -> None:
    """(2F + 1)/3: the same pairs, local operations made perfect and instant at delivery's end."""
    perfect = []
    for node in ("alice", "bob"):
        perfect += [
            f"nodes.{node}.{gate}.fidelity=1.0" for gate in ("gate_1q", "gate_2q", "initialise")
        ]
        perfect += [f"nodes.{node}.readout.error_{bit}_prob=0.0" for bit in (0, 1)]
        perfect += [f"nodes.{node}.t2_s=1e3"]
    plan = load(TOPOLOGY, app="teleport", overrides=["pairs=6000", *perfect], seed=8)
    outcome = run(plan, RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    result = outcome.summary["app"]["results"]["alice"]["result"]
    (flow,) = outcome.summary["requests"]
    expected = (2 * flow["fidelity"]["mean"] + 1) / 3
    assert abs(result["fraction_right"] - expected) < 3 * result["stderr"]


@pytest.mark.slow
def test_chsh_on_the_ion_pair() -> None:
    """S against the Werner formula, and against the pair's own correlators, both within 3 sigma.

    The pair is not exactly Werner: imperfect interference dephases and leaves <ZZ> alone, so that the
    true S lies 0.02 above 2 sqrt(2) (4F - 1)/3, less 0.01 for read-out and rotations.
    """
    plan = load(TOPOLOGY, app="chsh", overrides=["pairs=10000"], seed=7)
    outcome = run(plan, RunOptions("embedded"))
    assert outcome.status == "done", outcome.fault
    result = outcome.summary["app"]["results"]["alice"]["result"]
    (flow,) = outcome.summary["requests"]
    platform = plan.node("alice").platform
    assert platform is not None
    pair = delivered_correlators(plan.links[0], platform)
    s, error = result["s"], result["s_stderr"]
    assert abs(s - chsh_werner(flow["fidelity"]["mean"])) < 3 * error
    assert abs(s - chsh_fixed(pair)) < 3 * error
    assert s - 10 * error > 2
