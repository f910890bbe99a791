"""BBM92 and E91 from end to end: error rates and key rates of physics reference A7, and no key where none is.

Error bars are 3 standard errors, of fixed seeds.
"""

from __future__ import annotations

import math

import msgspec
import pytest

from qnet.physics.keys import (
    THRESHOLD,
    bbm92_bits,
    bbm92_rate,
    bbm92_rate_hz,
    chsh_entropy,
    entropy,
    error_shares,
)
from qnet.runtime.run import RunOptions, run
from qnet.topology import compile_topology

WERNER = {"emission": {"spin_photon_fidelity": 0.97}}
F_PAIR = 0.9412
"""Of pairs from two such emitters: 1/4 + 3/4 w^2, w = (4 0.97 - 1)/3."""
E_PAIR = 2 * (1 - F_PAIR) / 3
TOO_NOISY = {"emission": {"spin_photon_fidelity": 0.905}}
E_TOO_NOISY = (1 - ((4 * 0.905 - 1) / 3) ** 2) / 2
"""11.9 %."""


def keys(app, node=None, seed=1, **more):
    """Results at both ends and the flow of the ledger."""
    described = {
        "name": "pair",
        "nodes": {
            "alice": {"platform": "ideal", **(node or {})},
            "bob": {"platform": "ideal", **(node or {})},
            "middle": {"kind": "station"},
        },
        "links": {
            "alice-bob": {
                "ends": ["alice", "bob"],
                "station": "middle",
                "length_m": 10.0,
                "loss_db_per_km": 0.2,
                "scheme": "double-click",
                "protocol": "egp",
            }
        },
        "app": {"name": app, "from_node": "alice", "to_node": "bob", **more},
    }
    plan = msgspec.structs.replace(compile_topology(described), seed=seed)
    outcome = run(plan, RunOptions(mode="embedded"))
    assert outcome.status == "done", outcome.fault
    results = outcome.summary["app"]["results"]
    (flow,) = outcome.summary["requests"]
    return results["alice"]["result"], results["bob"]["result"], flow


def close(found, expected):
    """Within three binomial standard errors of the expected share."""
    error = math.sqrt(expected * (1 - expected) / found["trials"])
    return abs(found["value"] - expected) < 3 * error


def slope(share):
    """Derivative of the binary entropy."""
    return math.log2((1 - share) / share)


@pytest.mark.slow
def test_bbm92_has_the_error_rates_and_the_key_rate_of_the_closed_form():
    pairs, shown = 12_000, 0.2
    alice, bob, flow = keys("bbm92", WERNER, pairs=pairs, sample_share=shown)
    assert (alice["reason"], alice["request_error"], alice["pairs"]) == ("", "", pairs)
    assert flow["fidelity"]["mean"] == pytest.approx(F_PAIR, abs=1e-4)

    assert error_shares((1 - 2 * E_PAIR,) * 3) == pytest.approx((E_PAIR,) * 3)
    assert close(alice["error_z"], E_PAIR)
    assert close(alice["error_x"], E_PAIR)
    expected = 0.25 * (1 - shown)  # both chose Z, and the round was not shown
    sigma_n = math.sqrt(pairs * expected * (1 - expected))
    assert abs(alice["sifted"] - pairs * expected) < 3 * sigma_n

    n, tag = alice["sifted"], math.ceil(-math.log2(1e-9))
    wrong = alice["corrected"] / n
    efficiency = (alice["leak"] - tag) / (n * entropy(wrong))
    assert 1.0 < efficiency < 1.25

    # Key rate of A7.2, pair rate x sift x r, with the efficiency of the reconciliation as it was.
    wanted_hz = bbm92_rate_hz(flow["rate_hz"], 0.5, (1 - 2 * E_PAIR,) * 3, efficiency)
    wanted_hz *= 1 - shown
    r = bbm92_rate(E_PAIR, E_PAIR, efficiency)
    sigma_x = slope(E_PAIR) * math.sqrt(E_PAIR * (1 - E_PAIR) / alice["error_x"]["trials"])
    sigma_z = efficiency * slope(E_PAIR) * math.sqrt(E_PAIR * (1 - E_PAIR) / n)
    share = math.hypot(sigma_n / (pairs * expected), sigma_x / r, sigma_z / r)
    tag_hz = tag / n * wanted_hz / r
    assert abs(alice["key_rate_hz"] + tag_hz - wanted_hz) < 3 * share * wanted_hz

    for told in ("key_sha256", "key_bits", "sifted", "corrected", "leak"):
        assert alice[told] == bob[told]
    assert len(alice["key_sha256"]) == 64


@pytest.mark.slow
def test_bbm92_with_finite_statistics_gives_a_shorter_key():
    """Mostly Z; X rounds are compared, all 10^4 x 0.15^2 of them, and bound the phase errors with a margin."""
    wanted = {"pairs": 10_000, "z_prob": 0.75, "sample_share": 0.05, "secrecy": 1e-6}
    many, _, _ = keys("bbm92", **wanted)
    few, bob, _ = keys("bbm92", finite=True, **wanted)
    assert few["sifted"] == many["sifted"]
    n, k = few["sifted"], few["error_x"]["trials"]
    assert 0 < few["key_bits"] < many["key_bits"] < n
    assert few["key_bits"] == bbm92_bits(n, k, 0.0, few["leak"], 1e-6, 1e-9)
    assert few["key_sha256"] == bob["key_sha256"] != many["key_sha256"]


@pytest.mark.slow
def test_e91_has_the_bell_sum_the_error_and_the_key_of_the_closed_form():
    alice, bob, _ = keys("e91", WERNER, pairs=12_000)
    w = 1 - 2 * E_PAIR
    assert abs(alice["s"]["value"] - 2 * math.sqrt(2) * w) < 3 * alice["s"]["stderr"]
    assert alice["s"]["value"] - 3 * alice["s"]["stderr"] > 2
    assert close(alice["error"], E_PAIR)
    assert alice["predicted"]["s"] == pytest.approx(2 * math.sqrt(2) * w, abs=1e-3)
    n = alice["sifted"]
    assert alice["key_bits"] == math.floor(
        n * (1 - chsh_entropy(alice["s"]["value"])) - alice["leak"]
    )
    assert alice["key_sha256"] == bob["key_sha256"] != ""


@pytest.mark.slow
@pytest.mark.parametrize("app", ["bbm92", "e91"])
def test_no_key_at_an_error_above_eleven_per_cent(app):
    alice, bob, _ = keys(app, TOO_NOISY, pairs=4000)
    assert E_TOO_NOISY > THRESHOLD
    found = alice["error_x"] if app == "bbm92" else alice["error"]
    assert close(found, E_TOO_NOISY)
    assert "leave no" in alice["reason"]
    assert (alice["key_bits"], alice["key_sha256"], alice["key_rate_hz"]) == (0, "", 0.0)
    assert (bob["key_bits"], bob["key_sha256"], bob["reason"]) == (0, "", alice["reason"])


def test_bbm92_of_perfect_pairs_is_quick_and_equal_at_both_ends():
    alice, bob, _ = keys("bbm92", pairs=400)
    assert alice["error_x"]["value"] == alice["error_z"]["value"] == 0.0
    assert alice["corrected"] == 0
    assert alice["key_bits"] == alice["sifted"] - alice["leak"] > 0
    assert alice["key_sha256"] == bob["key_sha256"] != ""


def test_no_bell_violation_no_key():
    """w = 0.64: S = 1.81."""
    alice, bob, _ = keys("e91", {"emission": {"spin_photon_fidelity": 0.85}}, pairs=400)
    assert "the Bell sum must be > 2" in alice["reason"]
    assert alice["reason"] == bob["reason"]
    assert alice["key_bits"] == bob["key_bits"] == 0


def test_request_that_is_refused_leaves_no_key_and_says_why():
    alice, bob, _ = keys("bbm92", WERNER, pairs=400, minimum_fidelity=0.99)
    assert "UNSUPP" in alice["request_error"]
    assert "no round is left for the key" in alice["reason"] == bob["reason"]
