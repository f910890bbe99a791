"""Gates between distant qubits over one pair, and states that they grow into (rows 6, 7, 21).

Theory
    Remote CZ as in :mod:`qnet.physics.remote_gates`: with perfect local operations its process fidelity is the
    fidelity of the pair; the local two-qubit gates add depolarising noise. iSWAP takes two remote gates, SWAP
    three; process fidelities multiply to first order. Grover's search with two remote gates succeeds with
    the average fidelity of their product, if the noise is depolarising. A pair and one local CNOT make a GHZ
    state of three, one per node of four; what one depolarised gate leaves overlaps with it by 1/8, two by 1/16.
    A pair moved to memory takes one local gate per node and loses coherence e^(-2t/T2) there.
Assumptions and validity
    Pairs are Werner states of the published fidelity; local gates depolarise with their published average
    fidelity. Published fidelities of CZ, iSWAP and SWAP are average gate fidelities.
Not modelled
    Decay but that of stored pairs, single-qubit gates, read-out: zero in closed form and run alike.
Units
    Dimensionless.
Sources
    In each case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from qnet.physics.bell import correlators, werner, werner_correlator
from qnet.physics.gates import (
    average_from_process,
    depolarising_from_fidelity,
    process_from_average,
)
from qnet.physics.remote_gates import PERFECT, LocalNoise, average_fidelity
from qnet.validate.case import Case, Check, Given, Published, Reading, Source, Summary
from qnet.validate.cases.ions import SR_ETA

ROUNDS: Final = 2000

_PAIR, _GATES, _PAIR_RATE_HZ = 0.9689, (0.976, 0.980), 9.7
_CZ, _ISWAP, _SWAP, _GROVER = 0.862, 0.70, 0.64, 0.71


def spin_photon_for(pair: float) -> float:
    """Fidelity of each spin-photon pair such that two of them make a Werner pair of this fidelity."""
    return (1.0 + 3.0 * math.sqrt((4.0 * pair - 1.0) / 3.0)) / 4.0


def remote_cz(pair: float, gates: tuple[float, float] | None = None) -> float:
    """Average fidelity of a CZ over a Werner pair; ``gates``: average fidelities of the local ones."""
    noise = (PERFECT, PERFECT)
    if gates is not None:
        first, second = (LocalNoise(depolarising_from_fidelity(one, 2)) for one in gates)
        noise = (first, second)
    return average_fidelity(correlators(werner(pair)), "CZ", *noise)


def several(one: float, count: int) -> float:
    """Average fidelity of ``count`` two-qubit gates of average fidelity ``one``, in a row."""
    return average_from_process(process_from_average(one, 2) ** count, 2)


def stored_pair(pair: float, gates: tuple[float, float], time_s: float, t2_s: float) -> float:
    """Fidelity of a Werner pair after a gate at each node that moves it to memory, and this time there."""
    moved = [1.0 - depolarising_from_fidelity(gate, 2) for gate in gates]
    left = werner_correlator(pair) * moved[0] * moved[1]
    return (1.0 + left + 2.0 * left * math.exp(-2.0 * time_s / t2_s)) / 4.0


def ghz_of_three(pair: float, gate: float) -> float:
    """Fidelity of a GHZ state of three: a Werner pair, then one CNOT of this average fidelity."""
    mixing = depolarising_from_fidelity(gate, 2)
    return (1.0 - mixing) * pair + mixing / 8.0


def ghz_of_four(pair: float, gates: tuple[float, float]) -> float:
    """Fidelity of a GHZ state of four: a Werner pair, then one CNOT of these average fidelities per node."""
    good = [1.0 - depolarising_from_fidelity(gate, 2) for gate in gates]
    both = good[0] * good[1]
    one = good[0] + good[1] - 2.0 * both
    return both * pair + one / 8.0 + (1.0 - both - one) / 16.0


def _node(gate: float) -> str:
    duty = _PAIR_RATE_HZ / (SR_ETA**2 / 2.0 / 1.2e-6)
    return (
        f'platform = "ideal"\ngate_2q.fidelity = {gate}\nemission.wavelength_m = 422e-9\n'
        f"emission.efficiency_prob = {SR_ETA}\nemission.interval_s = 1.2e-6\n"
        f"emission.preparation_s = 0.5e-6\nemission.duty_prob = {duty}\n"
        f"emission.spin_photon_fidelity = {spin_photon_for(_PAIR)}"
    )


def network(app: str, seed: int, memory: str = "") -> str:
    """The two nodes of the experiment, with an application and figures of their memories."""
    return f"""
[nodes.alice]
{_node(_GATES[0])}
{memory}
[nodes.bob]
{_node(_GATES[1])}
{memory}
[nodes.station]
kind = "station"
[links.alice-bob]
ends = ["alice", "bob"]
station = "station"
length_m = 1.0
loss_db_per_km = 0.0
[app]
{app}
[run]
seed = {seed}
"""


NETWORK: Final = network(f'name = "remote-gate"\ngate = "CZ"\nrounds = {ROUNDS}', 6)


def _gate_found(summaries: Sequence[Summary]) -> Mapping[str, Reading]:
    (summary,) = summaries
    result = summary["app"]["results"]["alice"]["result"]
    error = result["process_fidelity"]["stderr"]
    return {"CZ": Reading(result["average_fidelity"], 0.8 * error)}


MAIN: Final = Case(
    name="main-2025",
    title="gates teleported between two trapped-ion modules",
    row=6,
    source=Source("Main et al., Nature 638, 383 (2025)", "10.1038/s41586-024-08404-x", "2407.00835"),
    given=(
        Given("pair fidelity", _PAIR, "", "memory", "0.9689(8)"),
        Given("local CZ", f"{_GATES[0]}, {_GATES[1]}", "", "memory", "average fidelity by node"),
        Given("pair rate", _PAIR_RATE_HZ, "1/s", "memory", "made by the duty cycle; no effect here"),
        Given("ion-photon fidelity", spin_photon_for(_PAIR), "", "derived", "from the pair's"),
    ),
    checks=(
        Check(
            "CZ", "P", Published(_CZ, 0.009, words="error as remembered"), 0.009,
            "A5.4: Werner pair, two local gates that depolarise",
            lambda: remote_cz(_PAIR, _GATES),
            ("dephasing of the circuit qubits while pairs are made", "single-qubit gates",
             "read-out in the middle of the circuit", "coherent errors of the local gates"),
            must_hold=(0.85, 0.94),
        ),
        Check(
            "CZ, perfect local gates", "S", Published(_CZ, 0.009, words="error as remembered"), 0.009,
            "(4 F + 1)/5: the ceiling that the pair sets", lambda: remote_cz(_PAIR),
            ("everything local",),
        ),
        Check(
            "iSWAP", "P", Published(_ISWAP, 0.02, "memory"), 0.05,
            "measured CZ, process fidelity squared", lambda: several(_CZ, 2),
            ("single-qubit gates between the remote ones", "longer storage"),
            must_hold=(_ISWAP - 0.05, _ISWAP + 0.05),
        ),
        Check(
            "SWAP", "P", Published(_SWAP, 0.02, "memory"), 0.05,
            "measured CZ, process fidelity to the third", lambda: several(_CZ, 3),
            ("single-qubit gates between the remote ones", "longer storage"),
            must_hold=(_SWAP - 0.05, _SWAP + 0.05),
        ),
        Check(
            "Grover", "P", Published(_GROVER), 0.05,
            "two measured CZ, depolarising: success = average fidelity", lambda: several(_CZ, 2),
            ("single-qubit gates", "preparation and read-out"),
        ),
    ),
    networks=lambda: (NETWORK,),
    read=_gate_found,
)  # fmt: skip

_MESSENGERS, _WAN = 0.95, (0.845, 0.872)

WAN: Final = Case(
    name="wan-2019",
    title="CNOT teleported between two zones of one trap",
    row=21,
    source=Source(
        "Wan et al., Science 364, 875 (2019)", "10.1126/science.aaw9415", "1902.02891"
    ),
    given=(
        Given("pair fidelity", _MESSENGERS, "", "found", "press release: magnesium pairs, 95 %"),
    ),
    checks=(
        Check(
            "process fidelity", "S",
            Published(sum(_WAN) / 2.0, (_WAN[1] - _WAN[0]) / 2.0, words="0.845 to 0.872, 95 %"),
            (_WAN[1] - _WAN[0]) / 2.0,
            "that of the pair: perfect local operations", lambda: _MESSENGERS,
            ("two gates between unlike species", "read-out and conditional gates",
             "heating while ions are moved", "no figure of these is known to us"),
        ),
    ),
)  # fmt: skip

# ---------------------------------------------------------------- row 7

_STORED_S, _MEMORY_T2_S, _STATES = 10.0, 30.0, 1500


def ghz_network(more: str) -> str:
    """States of a pair and what is added at each node, read in uniformly drawn stabilisers."""
    app = f"""name = "ghz"
centre = "alice"
leaves = ["bob"]
rounds = {_STATES}
generator_prob = 0.0
{more}"""
    return network(app, 7, f"memory_t2_s = {_MEMORY_T2_S}")


def _states_found(summaries: Sequence[Summary]) -> Mapping[str, Reading]:
    """In the order of the networks: a stored pair, three, four."""
    names = ("pair of memories after 10 s", "GHZ of three", "GHZ of four")
    found = {}
    for name, summary in zip(names, summaries, strict=True):
        fidelity = summary["app"]["results"]["alice"]["result"]["fidelity"]
        found[name] = Reading(fidelity["value"], fidelity["stderr"])
    # From the request of a pair to the pair in memory: nearly exponential waits.
    (flow,) = summaries[0]["requests"]
    times = _STORED_S / flow["latency_s"]["mean"]
    found["storage over creation"] = Reading(times, times / math.sqrt(flow["delivered"]))
    return found


MAIN_GHZ: Final = Case(
    name="main-2025b",
    title="GHZ states of two to four ions of two species at two nodes, and their storage",
    row=7,
    source=Source("Main et al. (2025)", arxiv="2506.14334"),
    given=(
        Given("pair", _PAIR, "", "memory", "Werner; of row 6, the same two nodes"),
        Given("local gates", "0.976, 0.980", "", "memory", "Sr-Ca, average fidelities; of row 6"),
        Given("pairs", _PAIR_RATE_HZ, "1/s", "memory", "of row 6"),
        Given("storage", _STORED_S, "s", "found", "about"),
        Given("T2 of calcium", _MEMORY_T2_S, "s", "derived", "row 8: 0.81 after 10 s"),
    ),
    checks=(
        Check(
            "storage over creation", "S", Published(100.0, at_least=True, words="more than 100 times"), 10.0,
            "storage x pairs per second", lambda: _STORED_S * _PAIR_RATE_HZ,
            ("the rate of its own run, which we do not know",),
        ),
        Check(
            "pair of memories after 10 s", "P", Published(0.5, at_least=True, words="entangled"), 0.0,
            "a pair, one gate per node, e^(-2t/T2)",
            lambda: stored_pair(_PAIR, _GATES, _STORED_S, _MEMORY_T2_S),
            ("decoupling pulses", "single-qubit gates", "read-out"),
            must_hold=(0.5, 1.0),
        ),
        Check(
            "GHZ of three", "P", Published(0.5, at_least=True, words="entangled"), 0.0,
            "a pair and one CNOT", lambda: ghz_of_three(_PAIR, _GATES[0]),
            ("decay while the second gate waits", "single-qubit gates", "read-out"),
            must_hold=(0.5, 1.0),
        ),
        Check(
            "GHZ of four", "P", Published(0.5, at_least=True, words="entangled"), 0.0,
            "a pair and one CNOT per node", lambda: ghz_of_four(_PAIR, _GATES),
            ("decay while the second gate waits", "single-qubit gates", "read-out"),
            must_hold=(0.5, 1.0),
        ),
    ),
    networks=lambda: (
        ghz_network(f"store = true\nstorage_s = {_STORED_S}"),
        ghz_network("sizes = [2, 1]"),
        ghz_network("sizes = [2, 2]"),
    ),
    read=_states_found,
)  # fmt: skip

CASES: Final = (MAIN, MAIN_GHZ, WAN)
"""In order of the rows."""
