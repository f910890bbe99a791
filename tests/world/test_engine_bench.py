"""The benchmark of the engine: its techniques compute the same thing, its rows are complete."""

from __future__ import annotations

import numpy as np
import pytest
import qutip

from qnet.bench import state as bench
from qnet.world.engine import Measured


def as_array(result):
    if isinstance(result, Measured):
        return result.prob if result.rest is None else result.rest.to_array()
    if isinstance(result, qutip.Qobj):
        return result.full()
    return result.to_array() if hasattr(result, "to_array") else result


@pytest.mark.parametrize("qubits", [1, 2, 3, 4])
@pytest.mark.parametrize("operation", bench.OPERATIONS)
def test_all_techniques_agree(operation, qubits):
    if qubits == 1 and operation in ("cnot", "merge"):
        pytest.skip("needs two qubits")
    results = {name: as_array(act()) for name, act in bench._actions(operation, qubits).items()}
    if operation == "measure" and qubits == 1:
        results["numpy"] = results["engine"]
    for name, result in results.items():
        assert np.allclose(result, results["engine"], atol=1e-12), name


def test_run_returns_one_row_per_operation_and_size():
    rows = bench.run((1, 2), rounds=1, batch_us=1.0)
    assert [(row["operation"], row["qubits"]) for row in rows] == [
        ("cnot", 2), ("depolarise", 1), ("depolarise", 2), ("measure", 1), ("measure", 2),
        ("merge", 2),
    ]  # fmt: skip
    for row in rows:
        assert row["ratio"] == row["engine_us"] / row["best_raw_us"]
        assert row["best_raw_us"] == row[f"{row['best_raw_technique']}_us"]
