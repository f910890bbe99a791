"""Raw limits of this machine: what the operating system allows with no qnet in between."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import Final

BARE_IMPORTS: Final = "trio, msgpack, msgspec, structlog"


def ping_pong_hz(out_bytes: int, back_bytes: int, *, cores: int, rounds: int = 4000) -> float:
    """Blocking round trips per second over a Unix socket pair between two processes.

    Args:
        out_bytes: size of the message one way.
        back_bytes: size of the answer.
        cores: 1 puts both processes on one core, 2 on two; left alone, the scheduler does now one, now the
            other, and the figure jumps by a factor of four.
        rounds: how many to time.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            _pin(cores - 1)
            answer = b"a" * back_bytes
            while _receive(theirs, out_bytes):
                theirs.sendall(answer)
        finally:
            os._exit(0)
    theirs.close()
    allowed = os.sched_getaffinity(0)
    try:
        _pin(0)
        message = b"m" * out_bytes
        for _ in range(rounds // 10):
            ours.sendall(message)
            _receive(ours, back_bytes)
        started = time.perf_counter()
        for _ in range(rounds):
            ours.sendall(message)
            _receive(ours, back_bytes)
        return rounds / (time.perf_counter() - started)
    finally:
        ours.close()
        os.waitpid(pid, 0)
        os.sched_setaffinity(0, allowed)


def _pin(index: int) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[index % len(allowed)]})


def _receive(sock: socket.socket, size: int) -> bool:
    """Read exactly ``size`` bytes; False at the end of the stream."""
    while size > 0:
        data = sock.recv(size)
        if not data:
            return False
        size -= len(data)
    return True


_CHILD = f"import os, {BARE_IMPORTS}; os.write(1, b'.'); os.read(0, 1)"


def bare_exec_s(count: int) -> float:
    """Start ``count`` interpreters that import what a node needs, until all have said so."""
    started = time.perf_counter()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(count)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.read(1)
    took = time.perf_counter() - started
    for child in children:
        child.communicate(b"x")
    return took


_FORKER = f"""
import os, sys, {BARE_IMPORTS}
count = int(sys.argv[1])
os.write(1, b"i")
ready, tell = os.pipe()
wait, go = os.pipe()
for _ in range(count):
    if os.fork() == 0:
        os.write(tell, b".")
        os.read(wait, 1)
        os._exit(0)
left = count
while left:
    left -= len(os.read(ready, left))
os.write(1, b"r")
os.read(0, 1)
os.write(go, b"x" * count)
for _ in range(count):
    os.wait()
"""


def bare_fork_s(count: int) -> tuple[float, float]:
    """Start one interpreter that imports what a node needs and forks ``count`` children.

    Returns:
        Seconds from its start until all children have said so, and the part of it that is the forks alone.
    """
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", _FORKER, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.read(1)
    imported = time.perf_counter()
    child.stdout.read(1)
    ready = time.perf_counter()
    child.communicate(b"x")
    return ready - started, ready - imported


def bare_resident_kib() -> int:
    """Resident memory of a bare process with what a node needs imported."""
    code = f"import {BARE_IMPORTS}\n" + "print(open('/proc/self/status').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return resident_kib(done.stdout)


def resident_kib(status: str) -> int:
    """VmRSS of the text of a ``/proc/PID/status``."""
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])
