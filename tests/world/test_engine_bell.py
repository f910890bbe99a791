"""The engine ``bell`` against the reference engine: equal states on whatever it accepts, words for the rest."""

from __future__ import annotations

import math
import random
import tomllib

import msgspec
import numpy as np
import pytest

from qnet.bench import engines
from qnet.errors import ConfigError, EngineUnsupported
from qnet.hardware import Coherence
from qnet.physics import bell
from qnet.physics.memory import Decay, decay
from qnet.program import Draw, Initialise, Measure
from qnet.runtime.run import RunOptions, run
from qnet.topology import compile_topology, load
from qnet.units import Instant
from qnet.world.engine_bell import CLIFFORDS, BellEngine
from qnet.world.engine_qutip import QutipEngine
from qnet.world.store import Store

from .stores import NOISY, US, A, B, gate
from .stores import run as run_program

BELL, QUTIP = BellEngine(), QutipEngine()
ONE = [name for name in CLIFFORDS if name not in ("CNOT", "CZ", "SWAP")]
TWO = ["CNOT", "CZ", "SWAP"]
DEPHASING = msgspec.structs.replace(
    NOISY, communication=Coherence(math.inf, 0.5), memory=Coherence(math.inf, 3.0)
)


def mixture(luck: random.Random) -> bell.Matrix4:
    """Any Bell-diagonal state."""
    weights = [luck.random() for _ in range(4)]
    return bell.density_matrix(tuple(one / sum(weights) for one in weights))


def both(ours, reference, *, names=bell.LABELS):
    """Hold a state of ours against the reference's."""
    assert np.abs(BELL.matrix(ours) - QUTIP.matrix(reference)).max() < 1e-12
    qubits = BELL.qubits(ours)
    assert qubits == QUTIP.qubits(reference)
    if qubits > 1:
        for label in names:
            expected = QUTIP.bell_overlap(reference, qubits - 1, 0, label)
            assert BELL.bell_overlap(ours, qubits - 1, 0, label) == pytest.approx(
                expected, abs=1e-12
            )


@pytest.mark.parametrize("seed", range(40))
def test_random_operations_give_equal_states(seed):
    luck = random.Random(seed)

    def fresh():
        if luck.random() < 0.5:
            matrix = mixture(luck)
            return BELL.from_matrix(matrix), QUTIP.from_matrix(matrix)
        bit = luck.randrange(2)
        return BELL.basis(bit), QUTIP.basis(bit)

    ours, reference = fresh()
    for _ in range(40):
        qubits = BELL.qubits(ours)
        position, uniform, noise = luck.randrange(qubits), luck.random(), luck.choice([0.0, 0.1])
        match luck.randrange(8):
            case 0 if qubits <= 3:
                mine, other = fresh()
                ours, reference = BELL.merge(ours, mine), QUTIP.merge(reference, other)
            case 1:
                step = (luck.choice(ONE), (position,), None, noise)
                ours, reference = BELL.gate(ours, *step), QUTIP.gate(reference, *step)
            case 2:
                turn = luck.randrange(-5, 6) * math.pi / 2
                step = (luck.choice(["RX", "RY", "RZ"]), (position,), turn, noise)
                ours, reference = BELL.gate(ours, *step), QUTIP.gate(reference, *step)
            case 3 if qubits > 1:
                step = (luck.choice(TWO), tuple(luck.sample(range(qubits), 2)), None, noise)
                ours, reference = BELL.gate(ours, *step), QUTIP.gate(reference, *step)
            case 4:
                amount = Decay(0.0, luck.random())
                ours = BELL.decay(ours, position, amount)
                reference = QUTIP.decay(reference, position, amount)
            case 5 if qubits > 1:
                mine = BELL.measure(ours, position, uniform)
                other = QUTIP.measure(reference, position, uniform)
                assert mine.outcome == other.outcome
                assert mine.prob == pytest.approx(other.prob, abs=1e-12)
                ours, reference = mine.rest, other.rest
            case 6:
                mine = BELL.report(ours, position, (0.1, 0.2), uniform)
                other = QUTIP.report(reference, position, (0.1, 0.2), uniform)
                assert mine.outcome == other.outcome
                ours, reference = mine.state, other.state
            case 7 if qubits > 1:
                order = tuple(luck.sample(range(qubits), qubits))
                ours, reference = BELL.reorder(ours, order), QUTIP.reorder(reference, order)
                ours, reference = BELL.trace_out(ours, 0), QUTIP.trace_out(reference, 0)
        both(ours, reference)


@pytest.mark.parametrize("seed", range(10))
def test_random_programs_give_equal_stores(seed):
    """Whole programs, with the times, decay, gate and read-out errors of a processor."""
    luck = random.Random(seed)
    stores = [Store(engine, dict.fromkeys((A, B), DEPHASING), 8) for engine in (BELL, QUTIP)]
    states = [mixture(luck) for _ in range(2)]
    for store in stores:
        for slot, state in enumerate(states):
            store.create_pair((A, slot), (B, slot), state, Instant(0))
    at = US
    for number in range(8):
        node, slots = luck.choice((A, B)), luck.sample((0, 1), 2)
        steps = [
            gate(luck.choice(ONE), slots[0]),
            gate(luck.choice(TWO), *slots),
            gate("RY", slots[1], angle=math.pi / 2),
        ]
        if luck.random() < 0.5:
            steps += [Measure(slots[0], luck.choice("XYZ")), gate("X", slots[1], when=(0,))]
        uniform = luck.random()
        results = [
            run_program(store, node, *steps, op=f"op/{number}", at=at, uniform=lambda u=uniform: u)
            for store in stores
        ]
        assert results[0] == results[1]
        at = results[0].ends_at + luck.randrange(1, 10**11)
        places = stores[0].cluster_of(A, 0)
        assert places == stores[1].cluster_of(A, 0)
        matrices = [store.density_matrix(places, Instant(at)) for store in stores]
        assert np.abs(matrices[0] - matrices[1]).max() < 1e-12


def test_swap_multiplies_correlators():
    first, second = bell.werner(0.9), bell.werner(0.8)
    state = BELL.merge(*(BELL.from_matrix(bell.density_matrix(one)) for one in (first, second)))
    state = BELL.gate(BELL.gate(state, "CNOT", (1, 2)), "H", (1,))
    phase = BELL.measure(state, 1, 0.7)
    parity = BELL.measure(phase.rest, 1, 0.2)
    assert (phase.outcome, parity.outcome, phase.prob, parity.prob) == (1, 0, 0.5, 0.5)
    joined = bell.convolve(first, second)
    for label in bell.LABELS:
        expected = bell.fidelity(joined, bell.label_xor(label, (0, 1)))
        assert BELL.bell_overlap(parity.rest, 0, 1, label) == pytest.approx(expected, abs=1e-15)


def test_what_the_bench_times_is_the_same_work():
    assert engines.swap(BELL) == pytest.approx(engines.swap(QUTIP), abs=1e-12)
    assert engines.ghz(BELL, 4) == engines.ghz(QUTIP, 4)


def test_certain_outcomes_are_certain_and_arguments_stay():
    for bit in (0, 1):
        for uniform in (0.0, 0.5, 1 - 2**-53):
            measured = BELL.measure(BELL.basis(bit), 0, uniform)
            assert (measured.outcome, measured.prob, measured.rest) == (bit, 1.0, None)
    pair = BELL.from_matrix(bell.density_matrix(bell.werner(1.0)))
    before = pair.values
    read = BELL.measure(pair, 0, 0.3)
    assert BELL.measure(read.rest, 0, 0.999).outcome == read.outcome
    assert pair.values == before


@pytest.mark.parametrize(
    ("name", "angle", "text"),
    [
        ("T", None, r"Clifford gates only, I, X, .* got T; run it with engine = \"qutip\""),
        ("RX", 0.3, r"multiples of pi/2 only, RX must .* got 0\.3; run it with engine = \"qutip\""),
    ],
)
def test_gate_that_is_no_clifford_is_refused(name, angle, text):
    for refuse in (
        lambda: BELL.check_gate(name, angle),
        lambda: BELL.gate(BELL.basis(0), name, (0,), angle),
    ):
        with pytest.raises(EngineUnsupported, match=text):
            refuse()


def test_decay_towards_the_ground_state_is_refused():
    with pytest.raises(EngineUnsupported, match=r"t1_s must be inf, got a decay of 0\.632"):
        BELL.decay(BELL.basis(1), 0, decay(1.0, 1.0, 1.0))
    BELL.decay(BELL.basis(1), 0, decay(1.0, math.inf, 1.0))


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([[1.0]], r"2\^n x 2\^n"),
        ([[0.5, 0.5], [0.5, 0.5]], r"Bell-diagonal or diagonal in Z, .* 0\.5 away"),
        ([[0.6, 0, 0, 0.1], [0, 0, 0, 0], [0, 0, 0, 0], [0.1, 0, 0, 0.4]], r"0\.1 away"),
        ([[0.5, 0.0], [0.0, 0.6]], "trace 1"),
        ([[1.5, 0.0], [0.0, -0.5]], "positive"),
        ([[float("nan"), 0.0], [0.0, 1.0]], "nan away"),
    ],
)
def test_state_of_another_form_is_refused(rows, text):
    with pytest.raises(EngineUnsupported, match=text):
        BELL.from_matrix(rows)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([Initialise(0), gate("T", 0)], r"instruction 1: .*got T; .*\(operation op/1\)"),
        ([Initialise(0), Measure(0, "Z+X")], r"instruction 1: .*multiples of pi/2 only, RY"),
        (
            [Initialise(0), Draw((1.0, 1.0)), Measure(0, bases=("X", "Z-X"), choice=0)],
            r"instruction 2: .*multiples of pi/2 only, RY",
        ),
    ],
)
def test_refused_program_leaves_no_mark(steps, text):
    store = Store(BELL, {A: DEPHASING, B: DEPHASING})
    store.create_pair((A, 0), (B, 0), bell.density_matrix(bell.werner(0.9)), Instant(0))
    with pytest.raises(EngineUnsupported, match=text):
        run_program(store, A, *steps, at=US)
    assert store.cluster_of(A, 0) == ((A, 0), (B, 0))
    assert store.bell_fidelity((A, 0), (B, 0), (0, 0), Instant(0)) == pytest.approx(0.9)


# ---------------------------------------------------------------- whole runs

NODE = """
[nodes.{}]
platform = "ideal"
communication = {{ t2_s = 1.0 }}
memory = {{ t2_s = 2.0 }}
gate_1q = {{ duration_s = 1e-6, fidelity = 0.999 }}
gate_2q = {{ duration_s = 1e-5, fidelity = 0.99 }}
readout = {{ duration_s = 1e-5, error_0_prob = 0.01, error_1_prob = 0.02 }}
"""
LINK = """
[nodes.s_{0}]
kind = "station"
dark_rate_hz = 20.0
[links.{0}]
ends = ["{0}", "r"]
station = "s_{0}"
length_m = 2000.0
visibility = 0.95
"""
REPEATER = (
    "".join(NODE.format(name) for name in ("alice", "r", "bob"))
    + LINK.format("alice")
    + LINK.format("bob")
    + '[app]\nname = "deliver"\nfrom_node = "alice"\nto_node = "bob"\npairs = 25\n'
)


@pytest.fixture
def repeater(tmp_path):
    file = tmp_path / "repeater.toml"
    file.write_text(REPEATER)
    return file


def recorded(file, folder, *settings, options=None):
    """Lines of the trace, and the summary."""
    folder.mkdir()
    done = run(load(file, settings), options or RunOptions("embedded", folder=folder))
    assert done.status == "done", done.fault
    return (folder / "trace.jsonl").read_bytes().splitlines(), done.summary


def test_repeater_gives_the_same_trace_with_either_engine(repeater, tmp_path):
    reference, summary = recorded(repeater, tmp_path / "qutip")
    ours, own = recorded(repeater, tmp_path / "bell", "run.engine=bell")
    assert b"plan_sha256" in ours[0]
    assert ours[0] != reference[0]  # the plan says which engine
    assert ours[1:] == reference[1:]
    assert len(ours) > 500
    assert own["requests"] == summary["requests"]
    assert own["engine"] == "bell"
    assert "engine" not in summary


@pytest.mark.slow
@pytest.mark.processes
def test_engine_gives_the_same_trace_in_processes(repeater, tmp_path):
    _, embedded = recorded(repeater, tmp_path / "one", "run.engine=bell")
    folder = tmp_path / "many"
    options = RunOptions(folder=folder)
    _, joined = recorded(repeater, folder, "run.engine=bell", options=options)
    assert joined["trace_sha256"] == embedded["trace_sha256"]


def test_application_with_other_gates_ends_with_words(repeater):
    plan = load(repeater, ["run.engine=bell"], app="chsh")
    done = run(plan, RunOptions("embedded"))
    assert done.status == "failed"
    assert "engine bell turns by multiples of pi/2 only" in done.fault
    assert 'run it with engine = "qutip"' in done.fault


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"nodes": {"bob": {"memory": {"t1_s": 3.0, "t2_s": 2.0}}}},
            r"memory\.t1_s of bob must be inf, it is 3",
        ),
        (
            {"links": {"bob": {"scheme": "single-click"}}},
            r"scheme single-click on link bob: .*Bell-diagonal",
        ),
        ({"run": {"engine": "Bell"}}, r"no quantum engine is named 'Bell'; did you mean 'bell'\?"),
    ],
)
def test_network_that_the_engine_cannot_run_is_refused_at_check(repeater, change, text):
    data = tomllib.loads(REPEATER)
    data["run"] = {"engine": "bell"}
    for table, entries in change.items():
        for name, entry in entries.items():
            if isinstance(entry, dict):
                data[table][name] |= entry
            else:
                data[table][name] = entry
    with pytest.raises(ConfigError, match=rf"^net\.toml: run\.engine: .*{text}"):
        compile_topology(data, "net.toml")


def test_default_engine_is_not_written_into_a_plan(repeater):
    named, silent = load(repeater, ["run.engine=qutip"]), load(repeater)
    assert named == silent
    assert named.engine_name == "qutip"
    assert "engine" not in msgspec.to_builtins(silent)
    assert msgspec.to_builtins(load(repeater, ["run.engine=bell"]))["engine"] == "bell"
