"""Where the time of one time step goes: its pieces, timed alone. Figures of decision 0009.

The step is the one of ``qnet bench time``, workload "machines": one deadline of one machine, one
trace line, one grant and one report. Best of repeats, in microseconds; ratios are what to compare.
Then the same step between processes on one core: wall time, and what the processes used of the
processor, from the difference of a long and a short run.
"""

from __future__ import annotations

import hashlib
import resource
import statistics
import sys
import timeit
from collections.abc import Callable
from typing import Final

import msgspec

from qnet.bench.raw import ping_pong_hz
from qnet.bench.time import beating_plan, frame_bytes
from qnet.fibres import Fibres
from qnet.ids import NodeId
from qnet.machine import DeadlineReached
from qnet.runtime.node import Node
from qnet.runtime.plugs import Seams
from qnet.runtime.run import RunOptions, run
from qnet.units import Instant
from qnet.wire.control import KIND_OF, Grant, Report
from qnet.wire.frame import HEADER_BYTES, decode_body, decode_frame, encode_frame
from qnet.world.authority import Authority

NODE: Final = NodeId("node000")
ROUNDS: Final = 3000
REPEATS: Final = 9
SHORT, LONG = 20, 5000


def pieces() -> dict[str, Callable[[], object]]:
    """Each piece of a step as a function to call again and again."""
    plan = beating_plan(10)
    node = Node(
        plan, NODE, Seams(plan), Fibres(plan.links), woken=lambda: None, touch=lambda _: Instant(0)
    )
    driver = node.driver
    (machine,) = (one for name, one in driver.machines.items() if name.startswith("link:"))

    def step() -> object:
        driver.begin(driver.next_deadline() or Instant(0), 0)
        driver.fire_deadlines()
        return driver.collect()

    def beat() -> object:
        return machine.handle(DeadlineReached(), machine.next_deadline() or Instant(0))

    step()
    now = driver.next_deadline() or Instant(0)
    driver.begin(now, 0)
    driver.fire_deadlines()
    report = Report(now, driver.next_deadline(), [driver.collect()])
    grant = Grant(now, 0, [])
    sent = encode_frame(KIND_OF[Report], NODE, "world", 1000, now, report)[HEADER_BYTES:]
    given = encode_frame(KIND_OF[Grant], "world", NODE, 1000, now, grant)[HEADER_BYTES:]
    reports, grants = msgspec.msgpack.Decoder(Report), msgspec.msgpack.Decoder(Grant)
    digest = hashlib.sha256()
    authority = Authority({NODE: "one", NodeId("node001"): "two"})
    authority.first_turn()

    def turn() -> object:
        authority.report("one", Instant(authority.now + 1000))
        return authority.next_turn()

    return {
        "machine alone": beat,
        "driver: deadline, machine, trace line, report": step,
        "report: encode": lambda: encode_frame(KIND_OF[Report], NODE, "world", 1000, now, report),
        "report: decode and check": lambda: decode_body(
            decode_frame(sent).body, reports, kind=KIND_OF[Report]
        ),
        "grant: encode": lambda: encode_frame(KIND_OF[Grant], "world", NODE, 1000, now, grant),
        "grant: decode and check": lambda: decode_body(
            decode_frame(given).body, grants, kind=KIND_OF[Grant]
        ),
        "authority: next turn": turn,
        "SHA-256 of one trace line": lambda: digest.update(report.nodes[0].trace),
    }


def between_processes() -> dict[str, float]:
    """Microseconds per step: wall time, user and system time of all processes of the run."""

    def spent(steps: int) -> tuple[float, float, float]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        outcome = run(beating_plan(steps), RunOptions("processes"))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (
            outcome.summary["wall_s"],
            after.ru_utime - before.ru_utime,
            after.ru_stime - before.ru_stime,
        )

    names = ("wall time", "user time of all processes", "system time of all processes")
    short, long = spent(SHORT), spent(LONG)
    steps = 2 * (LONG - SHORT)
    costs = ((more - less) / steps * 1e6 for less, more in zip(short, long, strict=True))
    return dict(zip(names, costs, strict=True))


def main() -> None:
    """Print the table in Markdown."""
    lines = ["| piece | µs |", "| --- | --- |"]
    for name, piece in pieces().items():
        best_s = min(timeit.repeat(piece, number=ROUNDS, repeat=REPEATS)) / ROUNDS
        lines.append(f"| {name} | {best_s * 1e6:.2f} |")
    for cores in (1, 2):
        trips_hz = statistics.median(ping_pong_hz(*frame_bytes(), cores=cores) for _ in range(5))
        name = f"bare blocking round trip of the same bytes, on {cores} core(s)"
        lines.append(f"| {name} | {1e6 / trips_hz:.1f} |")
    for name, cost_us in between_processes().items():
        lines.append(f"| whole step between processes, one core: {name} | {cost_us:.0f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
