"""Cost of one operation on a density matrix: our engine beside four ways of doing it by hand.

Theory
    Every row compares the engine with the best of four techniques, measured in the same run, in
    turns, so that a busy machine slows all of them alike: idiomatic ``Qobj`` (operators built
    anew), ``Qobj`` with cached operators, functions of ``qutip.core.data`` with cached operators,
    and numpy on a reshaped array with cached operators. Figures are medians over rounds.
Assumptions and validity
    One process, warm caches. Clusters are random full-rank states, so nothing is special.
    "merge" joins n//2 and n - n//2 qubits; it has no cached form and, like CNOT, needs two qubits.
Not modelled
    The store's share: admission, decay, book-keeping.
Units
    Microseconds per operation.
Sources
    [1] Lambert et al., "QuTiP 5: the quantum toolbox in Python", arXiv:2412.04705 (2024).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import qutip
from qutip.core import data as qutip_data

from qnet.world.engine import ComplexMatrix
from qnet.world.engine_qutip import QutipEngine

TITLE: Final = "one operation on a density matrix"
NOTE: Final = "microseconds; best raw: the fastest of four ways of doing it by hand, measured in turns with ours"
OPERATIONS: Final = ("cnot", "depolarise", "measure", "merge")
TECHNIQUES: Final = ("qobj", "qobj_cached", "data_cached", "numpy")
DEPOLARISING: Final = 0.01
UNIFORM: Final = 0.25

Action = Callable[[], object]


def run(
    sizes: Sequence[int] = (1, 2, 3, 4, 5, 6), *, rounds: int = 15, batch_us: float = 300.0
) -> list[dict[str, Any]]:
    """Measure every operation on clusters of the given sizes.

    Args:
        sizes: numbers of qubits.
        rounds: how often each technique takes its turn; the median counts.
        batch_us: length of one turn.

    Returns:
        One row per operation and size: operation, qubits, engine_us, best_raw_us,
        best_raw_technique, ratio, and one ``<technique>_us`` each (None where there is none).
    """
    rows = []
    for operation in OPERATIONS:
        for qubits in sizes:
            if qubits < 2 and operation in ("cnot", "merge"):
                continue
            actions = _actions(operation, qubits)
            figures = _interleaved(actions, rounds, batch_us)
            raw = {name: figures[name] for name in TECHNIQUES if name in figures}
            best = min(raw, key=raw.__getitem__)
            rows.append(
                {
                    "operation": operation,
                    "qubits": qubits,
                    "engine_us": figures["engine"],
                    "best_raw_us": raw[best],
                    "best_raw_technique": best,
                    "ratio": figures["engine"] / raw[best],
                    **{f"{name}_us": raw.get(name) for name in TECHNIQUES},
                }
            )
    return rows


def _interleaved(actions: dict[str, Action], rounds: int, batch_us: float) -> dict[str, float]:
    """Median cost in microseconds of each action, the actions taking turns."""
    counts = {}
    for name, action in actions.items():
        action()
        cost_us = min(_cost_us(action, 1) for _ in range(3))
        counts[name] = max(1, int(batch_us / max(cost_us, 0.1)))
    samples: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            samples[name].append(_cost_us(action, counts[name]))
    return {name: statistics.median(values) for name, values in samples.items()}


def _cost_us(action: Action, count: int) -> float:
    repeats = range(count)
    start = time.perf_counter()
    for _ in repeats:
        action()
    return (time.perf_counter() - start) / count * 1e6


def _random_matrix(qubits: int, seed: int) -> ComplexMatrix:
    generator = np.random.default_rng(seed)
    size = 2**qubits
    root = generator.normal(size=(size, size)) + 1j * generator.normal(size=(size, size))
    matrix = root @ root.conj().T
    return np.ascontiguousarray(matrix / matrix.trace())


def _actions(operation: str, qubits: int) -> dict[str, Action]:
    build = {"cnot": _cnot, "depolarise": _depolarise, "measure": _measure, "merge": _merge}
    return build[operation](qubits)


def _start(qubits: int, seed: int = 1) -> tuple[ComplexMatrix, Any, Any, QutipEngine, Any]:
    """The same random state as array, Qobj, QuTiP data and engine state."""
    array = _random_matrix(qubits, seed)
    dims = [[2] * qubits, [2] * qubits]
    engine = QutipEngine()
    own = engine.from_matrix(array.tolist())
    return array, qutip.Qobj(array, dims=dims), qutip_data.Dense(array), engine, own


def _cnot(qubits: int) -> dict[str, Action]:
    array, qobj, dense, engine, own = _start(qubits)
    last = qubits - 1
    dims = [2] * qubits
    full = qutip.expand_operator(qutip.core.gates.cnot(), dims, [0, last])
    full_dag = full.dag()
    left, right = qutip_data.Dense(full.full()), qutip_data.Dense(full_dag.full())
    tensor = qutip.core.gates.cnot().full().reshape(2, 2, 2, 2)
    tensor_conj = tensor.conj()
    shape = (2,) * (2 * qubits)
    matmul = qutip_data.matmul_dense

    def idiomatic() -> Any:
        gate = qutip.expand_operator(qutip.core.gates.cnot(), dims, [0, last])
        return gate * qobj * gate.dag()

    def by_numpy() -> Any:
        state = np.tensordot(tensor, array.reshape(shape), axes=([2, 3], [0, last]))
        state = np.moveaxis(state, (0, 1), (0, last))
        state = np.tensordot(tensor_conj, state, axes=([2, 3], [qubits, qubits + last]))
        state = np.moveaxis(state, (0, 1), (qubits, qubits + last))
        return state.reshape(array.shape)

    return {
        "engine": lambda: engine.gate(own, "CNOT", (0, last)),
        "qobj": idiomatic,
        "qobj_cached": lambda: full * qobj * full_dag,
        "data_cached": lambda: matmul(matmul(left, dense), right),
        "numpy": by_numpy,
    }


def _paulis(qubits: int) -> list[Any]:
    """Kraus operators of depolarise(lambda) on qubit 0."""
    weights = [1 - 3 * DEPOLARISING / 4] + [DEPOLARISING / 4] * 3
    singles = [qutip.qeye(2), qutip.sigmax(), qutip.sigmay(), qutip.sigmaz()]
    return [
        weight**0.5 * qutip.expand_operator(pauli, [2] * qubits, [0])
        for weight, pauli in zip(weights, singles, strict=True)
    ]


def _depolarise(qubits: int) -> dict[str, Action]:
    array, qobj, dense, engine, own = _start(qubits)
    kraus = [(operator, operator.dag()) for operator in _paulis(qubits)]
    layer = [
        (qutip_data.Dense(operator.full()), qutip_data.Dense(adjoint.full()))
        for operator, adjoint in kraus
    ]
    identity = np.eye(2, dtype=np.complex128)
    keep = np.einsum("ik,jl->ijkl", identity, identity) * (1 - DEPOLARISING)
    mix = np.einsum("ij,kl->ijkl", identity, identity) * (DEPOLARISING / 2)
    tensor = keep + mix
    shape = (2,) * (2 * qubits)
    matmul, add = qutip_data.matmul_dense, qutip_data.add_dense

    def by_data() -> Any:
        total = None
        for operator, adjoint in layer:
            term = matmul(matmul(operator, dense), adjoint)
            total = term if total is None else add(total, term)
        return total

    def by_numpy() -> Any:
        state = np.tensordot(tensor, array.reshape(shape), axes=([2, 3], [0, qubits]))
        return np.moveaxis(state, (0, 1), (0, qubits)).reshape(array.shape)

    return {
        "engine": lambda: engine.depolarise(own, (0,), DEPOLARISING),
        "qobj": lambda: sum(k * qobj * k.dag() for k in _paulis(qubits)),
        "qobj_cached": lambda: sum(k * qobj * dag for k, dag in kraus),
        "data_cached": by_data,
        "numpy": by_numpy,
    }


def _measure(qubits: int) -> dict[str, Action]:
    array, qobj, dense, engine, own = _start(qubits)
    dims = [2] * qubits
    rest = list(range(1, qubits))
    cached = [qutip.expand_operator(qutip.fock_dm(2, bit), dims, [0]) for bit in (0, 1)]
    layer = [qutip_data.Dense(projector.full()) for projector in cached]
    half = 2 ** (qubits - 1)
    matmul = qutip_data.matmul_dense

    def with_projectors(projectors: Sequence[Any]) -> Any:
        prob = (projectors[0] * qobj).tr().real
        chosen = projectors[0] if prob > UNIFORM else projectors[1]
        after = chosen * qobj * chosen
        return after.ptrace(rest) / after.tr() if rest else prob

    def idiomatic() -> Any:
        return with_projectors(
            [qutip.expand_operator(qutip.fock_dm(2, bit), dims, [0]) for bit in (0, 1)]
        )

    def by_data() -> Any:
        prob = qutip_data.trace_dense(matmul(layer[0], dense)).real
        chosen = layer[0] if prob > UNIFORM else layer[1]
        if not rest:
            return prob
        after = matmul(matmul(chosen, dense), chosen)
        traced = qutip_data.ptrace_dense(after, dims, rest)
        return qutip_data.mul_dense(traced, 1 / prob)

    def by_numpy() -> Any:
        blocks = array.reshape(2, half, 2, half)
        zero = blocks[0, :, 0, :]
        prob = zero.trace().real
        if prob > UNIFORM:
            return zero / prob
        return blocks[1, :, 1, :] / (1 - prob)

    return {
        "engine": lambda: engine.measure(own, 0, UNIFORM),
        "qobj": idiomatic,
        "qobj_cached": lambda: with_projectors(cached),
        "data_cached": by_data,
        "numpy": by_numpy,
    }


def _merge(qubits: int) -> dict[str, Action]:
    first, second = qubits // 2, qubits - qubits // 2
    left, left_qobj, left_dense, engine, left_own = _start(first)
    right, right_qobj, right_dense, _, right_own = _start(second, seed=2)
    size = 2**qubits
    kron = qutip_data.kron_dense

    def by_numpy() -> Any:
        return (left[:, None, :, None] * right[None, :, None, :]).reshape(size, size)

    return {
        "engine": lambda: engine.merge(left_own, right_own),
        "qobj": lambda: qutip.tensor(left_qobj, right_qobj),
        "data_cached": lambda: kron(left_dense, right_dense),
        "numpy": by_numpy,
    }
