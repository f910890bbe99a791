"""GHZ and graph states against the closed forms; error bars are 3 standard errors of fixed seeds."""

from __future__ import annotations

import functools
import itertools

import msgspec
import numpy as np
import pytest

from qnet.ids import SlotId
from qnet.physics.bell import LABELS, bell_vector, werner
from qnet.program import Gate, Initialise, Measure
from qnet_protocols.apps import ghz, graph_state
from qnet_protocols.apps.stabilisers import expected_fidelity

from .networks import result_of, run_embedded, star

WERNER = {"emission": {"spin_photon_fidelity": 0.97}}
F_PAIR = 0.9412
H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
ONE = {"X": np.array([[0, 1], [1, 0]]), "Z": np.diag([1, -1]), "H": H, "I": np.eye(2)}


def on(matrix: np.ndarray, qubit: int, qubits: int) -> np.ndarray:
    parts = [np.eye(2)] * qubits
    parts[qubit] = matrix
    return functools.reduce(np.kron, parts)


def controlled(name: str, control: int, target: int, qubits: int) -> np.ndarray:
    low = on(np.diag([1, 0]), control, qubits)
    return low + on(np.diag([0, 1]), control, qubits) @ on(
        ONE["Z" if name == "CZ" else "X"], target, qubits
    )


def branches(recipe, labels):
    """(outcomes, state of the parties) of every branch of the centre's program, own letter I.

    Qubits: halves of the centre, halves of the others, the extra one.
    """
    m = len(recipe.others)
    qubits = 2 * m + recipe.extra
    order = [*range(0, 2 * m, 2), *range(1, 2 * m, 2), *range(2 * m, qubits)]
    state = functools.reduce(np.kron, [bell_vector(label) for label in labels])
    if recipe.extra:
        state = np.kron(state, [1, 0])
    state = state.reshape((2,) * qubits).transpose(order).reshape(-1)
    found = [((), state)]
    program = recipe.program([SlotId(k) for k in range(m)], SlotId(2 * m) if recipe.extra else None)
    for instruction in program:
        match instruction:
            case Initialise():
                pass
            case Gate(name=name, slots=(one,)):
                gate = on(ONE[name], one, qubits)
                found = [(o, gate @ v) for o, v in found]
            case Gate(name=name, slots=(first, second)):
                gate = controlled(name, first, second, qubits)
                found = [(o, gate @ v) for o, v in found]
            case Measure(slot=slot, basis=basis):
                turn = on(H if basis == "X" else np.eye(2), slot, qubits)
                reads = [turn @ on(np.diag([1 - bit, bit]), slot, qubits) @ turn for bit in (0, 1)]
                found = [((*o, bit), reads[bit] @ v) for o, v in found for bit in (0, 1)]
    return found, qubits


def check_exact(recipe):
    """Every branch, for every choice of labels, is stabilised after the flips."""
    m = len(recipe.others)
    for labels in itertools.islice(itertools.product(LABELS, repeat=m), 0, None, 13):
        found, qubits = branches(recipe, labels)
        where = {party: m + k for k, party in enumerate(recipe.others)}
        where["centre"] = 2 * m if recipe.extra else 0
        for outcomes, vector in found:
            for party, flips, label in zip(
                recipe.others, recipe.flips(outcomes), labels, strict=True
            ):
                for name, wrong in zip(
                    "XZ", (flips[0] ^ label[0], flips[1] ^ label[1]), strict=True
                ):
                    if wrong:
                        vector = on(ONE[name], where[party], qubits) @ vector
            assert np.linalg.norm(vector) > 1e-6
            for generator in recipe.generators:
                turned = vector
                for party, letter in zip(recipe.parties, generator, strict=True):
                    turned = on(ONE[letter], where[party], qubits) @ turned
                assert turned == pytest.approx(vector)


def test_law_ghz_program_is_exact_for_every_label_and_outcome():
    check_exact(ghz.recipe("centre", ("alice", "bob", "carol")))


@pytest.mark.parametrize(
    "edges",
    [
        ("alice:bob", "bob:carol"),
        ("alice:bob", "carol:bob", "alice:carol"),
        ("centre:bob", "bob:alice", "alice:carol"),
    ],
)
def test_law_graph_program_is_exact_for_every_label_and_outcome(edges):
    check_exact(graph_state.recipe("centre", ("alice", "bob", "carol"), edges))


def ghz_plan(leaves, rounds, node=None, **more):
    roles = {"centre": "centre"} | dict.fromkeys(leaves, "leaf")
    return star(leaves, "ghz", {"leaves": leaves, "rounds": rounds, **more}, roles, node)


def test_app_ghz_of_perfect_pairs_is_perfect():
    outcome = run_embedded(ghz_plan(("alice", "bob", "carol"), 25))
    found = result_of(outcome, "centre")
    assert found["reason"] == ""
    assert (found["rounds"], found["failed"]) == (25, 0)
    assert found["fidelity"]["value"] == pytest.approx(1.0)
    assert all(mean["value"] == 1.0 for mean in found["generators"].values())
    for leaf in ("alice", "bob", "carol"):
        assert result_of(outcome, leaf) == {"finished": 25, "missing": 0, "reason": ""}


@pytest.mark.slow
def test_app_ghz_of_werner_pairs_has_the_fidelity_of_the_closed_form():
    found = result_of(run_embedded(ghz_plan(("alice", "bob"), 1200, WERNER)), "centre")
    p = werner(F_PAIR)
    expected = p[0] ** 2 + p[1] ** 2
    assert found["fidelity_if_local_perfect"] == pytest.approx(expected, abs=1e-3)
    fidelity = found["fidelity"]
    assert abs(fidelity["value"] - expected) < 3 * fidelity["stderr"]
    assert fidelity["value"] - 3 * fidelity["stderr"] > 0.5
    assert found["fidelity_at_least"] <= fidelity["value"] + 3 * fidelity["stderr"]


def test_app_ghz_grows_by_fresh_qubits_at_every_party():
    """Seven qubits at three parties; perfect pairs and gates, so every reading is right."""
    plan = ghz_plan(("alice", "bob"), 40, {"memory_slots": 3}, sizes=(2, 1, 4), generator_prob=0.5)
    found = result_of(run_embedded(plan), "centre")
    assert (found["reason"], found["rounds"], found["failed"]) == ("", 40, 0)
    assert found["fidelity"]["value"] == pytest.approx(1.0)
    assert set(map(len, found["generators"])) == {7}
    assert all(mean["value"] == 1.0 for mean in found["generators"].values())


@pytest.mark.slow
def test_app_ghz_of_several_qubits_per_party_has_the_fidelity_of_its_pairs():
    """Perfect gates add qubits without loss: the closed form is that of one qubit each."""
    node = {**WERNER, "memory_slots": 2}
    plan = ghz_plan(("alice", "bob"), 1200, node, sizes=(2, 3, 1), generator_prob=0.0)
    found = result_of(run_embedded(plan), "centre")
    p = werner(F_PAIR)
    assert found["fidelity_if_local_perfect"] == pytest.approx(p[0] ** 2 + p[1] ** 2, abs=1e-3)
    fidelity = found["fidelity"]
    assert abs(fidelity["value"] - p[0] ** 2 - p[1] ** 2) < 3 * fidelity["stderr"]


@pytest.mark.slow
def test_app_ghz_that_is_kept_loses_the_coherence_of_every_qubit():
    """Four qubits with T2 = 10 s, kept for 4 s: F = (1 + e^-1.6)/2, from perfect pairs."""
    node = {"memory_slots": 1, "communication": {"t2_s": 10.0}, "memory": {"t2_s": 10.0}}
    plan = ghz_plan(("alice",), 1500, node, sizes=(2, 2), generator_prob=0.0, storage_s=4.0)
    found = result_of(run_embedded(plan), "centre")
    fidelity = found["fidelity"]
    assert fidelity["stderr"] < 0.02
    assert abs(fidelity["value"] - (1 + np.exp(-1.6)) / 2) < 3 * fidelity["stderr"]


def graph_plan(edges, rounds, node=None):
    members = ("alice", "bob", "carol")
    roles = {"centre": "centre"} | dict.fromkeys(members, "member")
    wanted = {"members": members, "edges": edges, "rounds": rounds}
    return star(members, "graph-state", wanted, roles, node)


@pytest.mark.parametrize(
    "edges", [("alice:bob", "bob:carol"), ("centre:bob", "bob:alice", "alice:carol")]
)
def test_app_graph_state_of_perfect_pairs_is_perfect(edges):
    node = {"memory_slots": 1}
    found = result_of(run_embedded(graph_plan(edges, 20, node)), "centre")
    assert (found["reason"], found["rounds"], found["failed"]) == ("", 20, 0)
    assert found["fidelity"]["value"] == pytest.approx(1.0)
    assert all(mean["value"] == 1.0 for mean in found["generators"].values())


@pytest.mark.slow
def test_app_graph_state_of_werner_pairs_follows_the_closed_form():
    edges = ("alice:bob", "bob:carol")
    found = result_of(run_embedded(graph_plan(edges, 1000, WERNER)), "centre")
    recipe = graph_state.recipe("centre", ("alice", "bob", "carol"), edges)
    expected = expected_fidelity(recipe.generators, [(k, werner(F_PAIR)) for k in range(3)])
    fidelity = found["fidelity"]
    assert found["fidelity_if_local_perfect"] == pytest.approx(expected, abs=1e-3)
    assert abs(fidelity["value"] - expected) < 3 * fidelity["stderr"]


def test_app_ghz_gives_up_with_the_reason_if_the_fidelity_cannot_be_had():
    plan = ghz_plan(("alice", "bob"), 5, WERNER, minimum_fidelity=0.99, failures=2)
    outcome = run_embedded(plan)
    found = result_of(outcome, "centre")
    assert (found["rounds"], found["failed"]) == (0, 3)
    assert "3 rounds failed in a row" in found["reason"]
    assert "UNSUPP" in found["reason"]
    assert found["fidelity"] is None
    assert "UNSUPP" in result_of(outcome, "alice")["reason"]


@pytest.mark.parametrize(
    ("record", "wrong", "words"),
    [
        (ghz.GhzParameters, {"leaves": ("alice", "alice")}, "all be different"),
        (ghz.GhzParameters, {"leaves": ("alice",), "sizes": (2,)}, "2 in all"),
        (graph_state.GraphStateParameters, {"members": ("centre",)}, "all be different"),
        (graph_state.GraphStateParameters, {"edges": ("alice-bob",)}, "an edge must read a:b"),
        (graph_state.GraphStateParameters, {"edges": ("alice:dave",)}, "an edge must read a:b"),
        (graph_state.GraphStateParameters, {"edges": ("bob:alice", "alice:bob")}, "named once"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(record, wrong, words):
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(wrong, record)
