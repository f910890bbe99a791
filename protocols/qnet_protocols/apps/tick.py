"""Sleep and wake, many times: nothing but simulated time. The workload of ``qnet bench time``."""

from __future__ import annotations

import msgspec
import trio

from qnet.runtime.session import Session
from qnet.seams import App


class TickParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``tick``.

    Attributes:
        steps: how often each node sleeps.
        interval_s: simulated seconds of one sleep.
    """

    steps: int = 1000
    interval_s: float = 1e-6


async def ticker(session: Session) -> int:
    """Sleep ``steps`` times, out of step with the other nodes; the instant at the end, in picoseconds."""
    wanted: TickParameters = session.parameters
    await trio.sleep(wanted.interval_s * session.random("phase").uniform())
    for _ in range(wanted.steps):
        await trio.sleep(wanted.interval_s)
    return session.now


APP = App(
    name="tick",
    title="sleep and wake: the workload of the time benchmark",
    roles={"ticker": ticker},
    place={},
    parameters=TickParameters,
)
