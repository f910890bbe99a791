"""The record of a run: the canonical trace and the table of delivered pairs.

The trace is one JSON line per step, in the order (instant, round). Within a round come first the clicks
(the world's optics lines), then the lines of the nodes by (node, step of the node), then the world's truth
about what they did (pairs delivered or expired). Its SHA-256 is the run's fingerprint: equal for equal
plans in every mode.

Files are appended in whole lines, so that what was recorded survives a killed process: the table with
every pair, the trace whenever a pair is delivered or a block is full.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from pathlib import Path
from typing import Final

import msgspec

from qnet.ids import LinkId, NodeId, PairId, RequestId
from qnet.units import Instant

BLOCK_BYTES: Final = 1 << 16
PAIR_COLUMNS: Final = (
    "pair",
    "link",
    "request",
    "index",
    "origin",
    "peer",
    "label",
    "requested_at_ps",
    "created_at_ps",
    "delivered_at_ps",
    "goodness",
    "goodness_error",
    "true_fidelity",
)


class DeliveredPair(msgspec.Struct, frozen=True):
    """One row of ``pairs.csv``: a pair that both ends have announced, with the truth beside the claim.

    ``true_fidelity`` is the overlap with the announced Bell state at ``delivered_at_ps``, the instant of
    the later announcement; None if a half was used before that.
    """

    pair: PairId
    link: LinkId
    request: RequestId
    index: int
    origin: NodeId
    peer: NodeId
    label: str
    requested_at_ps: Instant
    created_at_ps: Instant
    delivered_at_ps: Instant
    goodness: float
    goodness_error: float
    true_fidelity: float | None


class Recorder:
    """Writes trace and pairs of one run.

    Args:
        folder: existing run folder, or None to hash without writing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._hash = hashlib.sha256()
        self._pending = bytearray()
        self._trace_fd = -1
        self._pairs_fd = -1
        self._encoder = msgspec.json.Encoder()
        if folder is not None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._trace_fd = os.open(folder / "trace.jsonl", flags, 0o644)
            self._pairs_fd = os.open(folder / "pairs.csv", flags, 0o644)
            self._write(self._pairs_fd, (",".join(PAIR_COLUMNS) + "\n").encode())

    @property
    def trace_sha256(self) -> str:
        """Fingerprint of all lines so far."""
        return self._hash.hexdigest()

    def add(self, lines: bytes) -> None:
        """Append whole trace lines."""
        if not lines:
            return
        self._hash.update(lines)
        if self._trace_fd >= 0:
            self._pending += lines
            if len(self._pending) >= BLOCK_BYTES:
                self.flush()

    def world_line(self, at: Instant, delta: int, machine: str, event: object) -> None:
        """Append one line of the world's own."""
        record = {"at": at, "round": delta, "node": "world", "machine": machine, "event": event}
        self.add(self._encoder.encode(record) + b"\n")

    def pair(self, row: DeliveredPair) -> None:
        """Append one delivered pair to the table."""
        if self._pairs_fd < 0:
            return
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(msgspec.structs.astuple(row))
        self._write(self._pairs_fd, line.getvalue().encode())
        self.flush()

    def flush(self) -> None:
        """Hand everything pending to the operating system."""
        if self._pending and self._trace_fd >= 0:
            self._write(self._trace_fd, bytes(self._pending))
            self._pending.clear()

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        for fd in (self._trace_fd, self._pairs_fd):
            if fd >= 0:
                os.close(fd)
        self._trace_fd = self._pairs_fd = -1

    @staticmethod
    def _write(fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
