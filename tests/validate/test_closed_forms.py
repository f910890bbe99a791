"""Closed forms of the cases against hand calculation and independent formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qnet.validate.cases import atoms, gates, ions, protocols, solid
from qnet.validate.catalogue import CASES, chosen
from qnet.validate.verdict import compare

FIGURES = {
    (one.case.name, one.check.quantity): one for case in CASES for one in compare(case)
}  # fmt: skip


def model(case: str, quantity: str) -> float:
    found = FIGURES[case, quantity].model
    assert found is not None
    return found


def test_every_case_has_a_source_inputs_and_a_missing_error_budget():
    for case in CASES:
        assert case.source.doi or case.source.arxiv
        assert case.given
        assert all(check.missing for check in case.checks)
        quantities = [check.quantity for check in case.checks]
        assert len(quantities) == len(set(quantities))
        assert (case.read is None) == (case.networks is None)


def test_all_rows_are_there_once_in_order():
    assert [case.row for case in CASES] == [
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        10,
        11,
        16,
        17,
        18,
        19,
        21,
        22,
        23,
        24,
    ]


def test_everything_that_must_hold_holds_in_closed_form():
    judged = [one for one in FIGURES.values() if one.held is not None]
    assert len(judged) >= 14
    assert [one for one in judged if not one.held] == []


def test_stephenson_rate_is_success_per_interval():
    # 181.7/s, less one correction gate of 10 us per 5.5 ms and one in 4e5 for dark counts
    assert model("stephenson-2020", "rate") == pytest.approx(2.18e-4 / 1.2e-6, rel=3e-3)


def test_stephenson_fidelities():
    shared = ((4 * 0.98 - 1) / 3) ** 2
    ceiling = (1 + 3 * shared) / 4
    assert model("stephenson-2020", "fidelity, perfect interference") == pytest.approx(ceiling)
    # c = w, a = b = V w, without the small losses of gate, memory and dark counts
    seen = (1 + shared + 2 * 0.964 * shared) / 4
    assert model("stephenson-2020", "fidelity") == pytest.approx(seen, abs=4e-3)


def test_nadlinger_fidelity_lies_between_the_bounds_of_positivity():
    c = 1 - 2 * 0.0144
    a = 2.677 / math.sqrt(2) - c
    lowest, highest = (1 + a + c + a + c - 1) / 4, (1 + a + c + 1 - abs(a - c)) / 4
    assert (round(lowest, 3), round(highest, 3)) == (0.946, 0.961)
    assert lowest < model("nadlinger-2022", "fidelity") < highest
    assert model("nadlinger-2022", "fidelity") == pytest.approx(0.954, abs=5e-4)


def test_oreilly_rate_and_ceiling():
    assert model("oreilly-2024", "rate") == pytest.approx(0.0224**2 / 2 * 1e6, rel=3e-3)
    shared = ((4 * 0.975 - 1) / 3) ** 2
    assert model("oreilly-2024", "fidelity") == pytest.approx((1 + 3 * shared) / 4, abs=1e-6)


@pytest.mark.parametrize("infidelity", [1e-4, 1e-3, 0.03])
def test_recoil_alone_gives_back_its_infidelity(infidelity):
    assert ions.recoil_limited(infidelity) == pytest.approx(1 - infidelity)


def test_stored_pair_decays_to_the_classical_part():
    assert ions.stored(0.94, 0.0, 30.0) == pytest.approx(0.94)
    assert ions.stored(0.94, 1e9, 30.0) == pytest.approx((1 + 0.92) / 4)
    assert model("drmota-2023", "fidelity after 10 s") == pytest.approx(0.81, abs=5e-4)


def choi_of_remote_cz(pair: float, lambdas: tuple[float, float]) -> float:
    """Process fidelity of the teleported CZ by density matrices: qubits reference c', c, a, b, t, t'."""
    size, identity = 6, np.eye(2)
    x, z = np.array([[0, 1], [1, 0]]), np.diag([1, -1])

    def on(places: dict[int, np.ndarray]) -> np.ndarray:
        out = np.eye(1)
        for qubit in range(size):
            out = np.kron(out, places.get(qubit, identity))
        return out

    def controlled(control: int, target: int, gate: np.ndarray) -> np.ndarray:
        zero, one = np.diag([1, 0]), np.diag([0, 1])
        return on({control: zero}) + on({control: one, target: gate})

    def depolarise(state: np.ndarray, first: int, second: int, strength: float) -> np.ndarray:
        paulis = (identity, x, x @ z, z)
        mixed = sum(
            (operator := on({first: p, second: q})) @ state @ operator.T
            for p in paulis
            for q in paulis
        )
        return (1 - strength) * state + strength / 16 * mixed

    bell = np.array([1, 0, 0, 1]) / math.sqrt(2)
    shared = (4 * pair - 1) / 3
    middle = shared * np.outer(bell, bell) + (1 - shared) / 4 * np.eye(4)
    state = np.kron(np.kron(np.outer(bell, bell), middle), np.outer(bell, bell))
    gate = controlled(1, 2, x)
    state = depolarise(gate @ state @ gate.T, 1, 2, lambdas[0])
    gate = controlled(3, 4, z)
    plus = np.array([[1, 1], [1, -1]]) / math.sqrt(2)
    found = 0.0
    ideal = np.kron(np.kron(bell, bell), [1.0])  # qubits c', c, t, t'
    cz = np.kron(np.kron(identity, np.diag([1, 1, 1, -1])), identity)
    ideal = cz @ ideal
    for m1 in (0, 1):
        keep = np.diag([1 - m1, m1])
        branch = on({2: keep}) @ state @ on({2: keep})
        if m1:
            branch = on({3: x}) @ branch @ on({3: x})
        branch = depolarise(gate @ branch @ gate.T, 3, 4, lambdas[1])
        for m2 in (0, 1):
            turn = on({3: plus})
            done = turn @ branch @ turn.T
            keep = np.diag([1 - m2, m2])
            done = on({3: keep}) @ done @ on({3: keep})
            if m2:
                done = on({1: z}) @ done @ on({1: z})
            tensor = done.reshape([2] * 12)
            traced = np.einsum("abcdefghcdkl->abefghkl", tensor).reshape(16, 16)
            found += float(ideal @ traced @ ideal)
    return found


def test_remote_cz_against_density_matrices():
    lambdas = (4 * 0.024 / 3, 4 * 0.020 / 3)
    process = choi_of_remote_cz(0.9689, lambdas)
    assert model("main-2025", "CZ") == pytest.approx((4 * process + 1) / 5, abs=1e-12)
    assert model("main-2025", "CZ, perfect local gates") == pytest.approx(0.97512)


def test_products_of_measured_gates():
    process = (5 * 0.862 - 1) / 4
    assert model("main-2025", "iSWAP") == pytest.approx((4 * process**2 + 1) / 5)
    assert model("main-2025", "SWAP") == pytest.approx((4 * process**3 + 1) / 5)
    assert model("main-2025", "Grover") == pytest.approx(0.749, abs=2e-3)


def test_ion_photon_fidelity_gives_the_pair_back():
    spin = gates.spin_photon_for(0.9689)
    assert ions.ceiling(spin) == pytest.approx(0.9689)


@pytest.mark.parametrize("p", [1e-3, 0.01, 0.3, 1.0])
def test_memory_gain_against_the_distribution(p):
    """Mean of the larger of two geometric numbers, summed; at p = 1 there is nothing to gain."""
    slots = sum(1 - (1 - (1 - p) ** k) ** 2 for k in range(20_000))
    assert protocols.memory_gain(p) == pytest.approx(1 / (p * p * slots), rel=1e-6)


def test_van_leent_against_the_formula_of_the_reference():
    eta = 0.01 * 0.57 * 10 ** (-0.02 * 16.5) * 0.85
    flight_s = 33e3 * 1.468 / 299_792_458
    assert model("van-leent-2022", "rate") == pytest.approx(
        eta**2 / 2 / (flight_s + 30e-6), rel=2e-3
    )
    shared = ((4 * 0.95 - 1) / 3) ** 2
    decayed = shared * math.exp(-2 * flight_s / 330e-6)
    assert model("van-leent-2022", "fidelity") == pytest.approx(
        (1 + shared + 2 * decayed) / 4, abs=2e-3
    )


def test_link_of_each_class_is_just_good_enough():
    from qnet.validate.trial import estimate_of

    for wanted in protocols.CLASSES:
        excess = estimate_of(protocols.network_for(wanted)).goodness - wanted
        assert 0.0 <= excess < 0.03  # a step of alpha is 0.02


def test_a_class_out_of_reach_has_no_network():
    with pytest.raises(ValueError, match="no bright share"):
        protocols.network_for(0.99)


def test_colour_centres_and_transmons():
    shared = ((4 * 0.91 - 1) / 3) ** 2
    assert model("knaut-2024", "electron pair fidelity") == pytest.approx((1 + 3 * shared) / 4)
    assert solid.moved(0.91, 1.0) == 0.91
    assert solid.moved(0.91, 0.98, 1000) == pytest.approx(0.25, abs=1e-9)
    assert model("magnard-2020", "pair fidelity") == pytest.approx((3 * 0.858 - 1) / 2)


@pytest.mark.parametrize("channels", [1, 2, 10, 100])
def test_channels_add_up(channels):
    p = 0.5e-6
    assert atoms.gain(channels) == pytest.approx((1 - (1 - p) ** channels) / p, rel=1e-9)
    assert atoms.gain(channels) == pytest.approx(channels, rel=1e-4)


def test_cases_by_name_come_in_the_order_given_each_once():
    names = ["wan-2019", "stas-2022", "wan-2019"]
    assert [case.name for case in chosen(names)] == ["wan-2019", "stas-2022"]


def test_ghz_of_four_equals_its_density_matrix():
    """Qubits A1 A2 | B1 B2: a Werner pair on A1 B1, then CNOT A1 -> A2 and B1 -> B2 with depolarising noise."""
    pair, fidelities = 0.9689, (0.976, 0.980)
    bell = np.array([1, 0, 0, 1]) / math.sqrt(2)
    werner_pair = (4 * pair - 1) / 3 * np.outer(bell, bell) + (1 - pair) / 3 * np.eye(4)
    zero = np.diag([1.0, 0.0])
    rho = np.kron(werner_pair, np.kron(zero, zero)).reshape((2,) * 8)  # A1 B1 A2 B2
    rho = rho.transpose(0, 2, 1, 3, 4, 6, 5, 7).reshape(16, 16)  # A1 A2 B1 B2
    cnot = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    for side, fidelity in enumerate(fidelities):
        gate = np.kron(cnot, np.eye(4)) if side == 0 else np.kron(np.eye(4), cnot)
        rho = gate @ rho @ gate.T
        blocks = rho.reshape(4, 4, 4, 4)
        mixing = 4 * (1 - fidelity) / 3
        if side == 0:
            mixed = np.kron(np.eye(4) / 4, np.trace(blocks, axis1=0, axis2=2))
        else:
            mixed = np.kron(np.trace(blocks, axis1=1, axis2=3), np.eye(4) / 4)
        rho = (1 - mixing) * rho + mixing * mixed
    ghz = np.zeros(16)
    ghz[[0, 15]] = math.sqrt(0.5)
    assert gates.ghz_of_four(pair, fidelities) == pytest.approx(ghz @ rho @ ghz, abs=1e-12)
