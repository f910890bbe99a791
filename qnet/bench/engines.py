"""Cost of the quantum engines on what networks do: a swap, a GHZ state, and their start.

Each engine works in a process of its own with one thread for linear algebra, as the world of a run does. A
swap is two heralded pairs, four decays, a noisy Bell measurement and the true fidelity. A GHZ state is a
chain of noisy CNOTs, with decay of every qubit at each step, read qubit by qubit.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from qnet.physics import bell
from qnet.physics.memory import Decay
from qnet.plugins import find

TITLE: Final = "quantum engines side by side"
NOTE: Final = (
    "microseconds of processor time per piece of work, best of 5 repeats; start_cpu_s, memory_mb: of a "
    "process that has made the engine; ratio: qutip over bell"
)
ENGINES: Final = ("qutip", "bell")
SIZES: Final = (4, 6, 8, 10)
REPEATS: Final = 5
LONG_ENOUGH_S: Final = 0.02
"""Work is repeated until a measurement takes this long."""
ONE_THREAD: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

_PAIR: Final = bell.density_matrix(bell.werner(0.95))
_DECAY: Final = Decay(0.0, 0.999)


def run() -> list[dict[str, Any]]:
    """One row per piece of work, a column per engine."""
    measured = {engine: _in_own_process(engine) for engine in ENGINES}
    rows = []
    for work in measured["bell"]:
        row: dict[str, Any] = {"work": work}
        row |= {engine: measured[engine][work] for engine in ENGINES}
        row["ratio"] = measured["qutip"][work] / measured["bell"][work]
        rows.append(row)
    return rows


def _in_own_process(engine: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", __name__, engine],
        env={**os.environ, **ONE_THREAD},
        check=True,
        capture_output=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(name: str) -> dict[str, float]:
    """All pieces of work with one engine, in this process."""
    engine = find("qnet.engines", name).make()
    used = resource.getrusage(resource.RUSAGE_SELF)
    rows = {"swap_us": _microseconds(lambda: swap(engine))}
    for size in SIZES:
        rows[f"ghz_{size}_us"] = _microseconds(lambda size=size: ghz(engine, size))  # type: ignore[misc]
    rows["start_cpu_s"] = used.ru_utime + used.ru_stime
    rows["memory_mb"] = used.ru_maxrss / 1024
    return rows


def swap(engine: Any) -> float:
    """Fidelity of two pairs joined by a noisy Bell measurement."""
    pair = engine.from_matrix(_PAIR)
    state = engine.merge(pair, pair)
    for position in range(4):
        state = engine.decay(state, position, _DECAY)
    state = engine.gate(state, "CNOT", (1, 2), None, 0.01)
    state = engine.gate(state, "H", (1,), None, 0.001)
    state = engine.measure(engine.measure(state, 1, 0.3).rest, 1, 0.3).rest
    fidelity: float = engine.bell_overlap(state, 0, 1, bell.PHI_PLUS)
    return fidelity


def ghz(engine: Any, size: int) -> tuple[int, ...]:
    """Outcomes of a GHZ state that is built and read qubit by qubit."""
    state = engine.gate(engine.basis(0), "H", (0,), None, 0.001)
    for position in range(1, size):
        state = engine.merge(state, engine.basis(0))
        state = engine.gate(state, "CNOT", (position - 1, position), None, 0.01)
        for other in range(position + 1):
            state = engine.decay(state, other, _DECAY)
    outcomes = []
    for _ in range(size):
        read = engine.measure(state, 0, 0.3)
        outcomes.append(read.outcome)
        state = read.rest
    return tuple(outcomes)


def _microseconds(work: Callable[[], object]) -> float:
    """Processor time of one piece of work, the best of some repeats."""
    work()
    began = time.process_time()
    work()
    count = max(1, int(LONG_ENOUGH_S / max(time.process_time() - began, 1e-6)))
    best = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        for _ in range(count):
            work()
        best = min(best, (time.process_time() - began) / count)
    return best * 1e6


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1])))
