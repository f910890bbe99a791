"""Pairs over several paths at once: a circuit on each of the best routes, and the request divided between them.

Theory
    Paths without a common link make pairs independently, so their rates add up; path selection puts such
    routes first. Each circuit is asked for a share in proportion to the rate that it promised. What a path
    fails to deliver is divided again between the paths that are left.
Early, late, impossible
    The provider cannot know how many requests there will be: it accepts until the requester says that it
    is over, or is lost.
Not modelled
    Shares that follow the measured rates; a path that is slow but does not fail keeps its share.
Units
    Hertz, simulated seconds.
"""

from __future__ import annotations

import math
from contextlib import AsyncExitStack
from typing import Annotated, Final

import msgspec
import trio

from qnet.runtime.session import LONGEST_S, Circuit, CircuitFailed, RequestFailed, Session
from qnet.seams import App
from qnet_protocols.apps.waiting import Over, say_over, serve


class MultipathParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``multipath``.

    Attributes:
        from_node: who asks.
        to_node: who is asked; a network protocol with circuits connects them.
        pairs: how many pairs in all, >= 1.
        paths: how many routes to use, the best first; there may be fewer.
        minimum_fidelity: lowest acceptable claimed fidelity, 0..1, on every path.
        within_s: simulated seconds for all pairs, at most a thousand hours; 0 = no limit.
        purpose: port number that both sides use, below 65536.
    """

    from_node: str = "alice"
    to_node: str = "bob"
    pairs: Annotated[int, msgspec.Meta(ge=1)] = 1000
    paths: Annotated[int, msgspec.Meta(ge=1, le=16)] = 2
    minimum_fidelity: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.0
    within_s: Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_S)] = 0.0
    purpose: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)] = 0


class PathResult(msgspec.Struct):
    """What came over one route.

    Attributes:
        nodes: the path; empty if its circuit was refused.
        predicted_rate_hz: what the circuit promised.
        delivered, mean_goodness: pairs, and their mean claimed fidelity.
        error: why the path was given up, "" if it was not.
    """

    nodes: tuple[str, ...] = ()
    predicted_rate_hz: float = 0.0
    delivered: int = 0
    mean_goodness: float | None = None
    error: str = ""


class MultipathResult(msgspec.Struct, frozen=True):
    """What the requester saw; ``error``: why it got less than it asked for, "" if it did not."""

    delivered: int
    rate_hz: float
    paths: tuple[PathResult, ...]
    error: str


class _Path:
    """One route, while it is used."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.result = PathResult()
        self._claims: list[float] = []

    async def open(self, stack: AsyncExitStack) -> None:
        """Install the circuit."""
        try:
            await stack.enter_async_context(self.circuit)
        except CircuitFailed as failed:
            self.result.error = str(failed)
            return
        up = self.circuit.up
        assert up is not None
        self.result.nodes, self.result.predicted_rate_hz = up.nodes, up.rate_hz

    async def deliver(self, pairs: int, minimum_fidelity: float, within_s: float) -> None:
        """Ask for a share and release each pair as it comes."""
        try:
            async with self.circuit.request(
                pairs, minimum_fidelity=minimum_fidelity, within_s=within_s
            ) as stream:
                async for pair in stream:
                    self._claims.append(pair.goodness)
                    pair.release()
        except (CircuitFailed, RequestFailed) as failed:
            self.result.error = str(failed)
        self.result.delivered = len(self._claims)
        if self._claims:
            self.result.mean_goodness = math.fsum(self._claims) / len(self._claims)


def shares(pairs: int, rates_hz: list[float]) -> list[int]:
    """``pairs`` divided in proportion to ``rates_hz``: whole numbers, largest remainders first."""
    total_hz = math.fsum(rates_hz)
    exact = [
        pairs * (rate_hz / total_hz if total_hz else 1.0 / len(rates_hz)) for rate_hz in rates_hz
    ]
    whole = [math.floor(one) for one in exact]
    by_rest = sorted(range(len(exact)), key=lambda at: (whole[at] - exact[at], at))
    for at in by_rest[: pairs - sum(whole)]:
        whole[at] += 1
    return whole


async def requester(session: Session) -> MultipathResult:
    """Open the circuits, divide the request, and divide again what a path failed to deliver."""
    wanted: MultipathParameters = session.parameters
    begun_s = session.time_s
    until_s = begun_s + wanted.within_s if wanted.within_s else math.inf
    paths = [
        _Path(
            session.circuit(
                wanted.to_node,
                minimum_fidelity=wanted.minimum_fidelity,
                purpose=wanted.purpose,
                route=route,
            )
        )
        for route in range(wanted.paths)
    ]
    left = wanted.pairs
    async with AsyncExitStack() as stack:
        for path in paths:  # one after the other: an earlier route is asked first
            await path.open(stack)
        while left:
            alive = [path for path in paths if not path.result.error]
            rest_s = until_s - session.time_s
            if not alive or rest_s <= 0.0:
                break
            within_s = rest_s if math.isfinite(rest_s) else 0.0
            divided = shares(left, [path.result.predicted_rate_hz for path in alive])
            async with trio.open_nursery() as nursery:
                for path, share in zip(alive, divided, strict=True):
                    if share:
                        nursery.start_soon(path.deliver, share, wanted.minimum_fidelity, within_s)
            left = wanted.pairs - sum(path.result.delivered for path in paths)
    spent_s = session.time_s - begun_s
    errors = [path.result.error for path in paths if path.result.error]
    error = "; ".join(errors) if left else ""
    await say_over(session, wanted.to_node, error)
    delivered = wanted.pairs - left
    return MultipathResult(
        delivered,
        delivered / spent_s if spent_s > 0.0 else 0.0,
        tuple(path.result for path in paths),
        error,
    )


class ProviderResult(msgspec.Struct, frozen=True):
    """Pairs seen by the other end, and why it ended early, "" if it did not."""

    delivered: int
    error: str


async def provider(session: Session) -> ProviderResult:
    """Accept requests and release each pair as it comes, until the requester is done."""
    wanted: MultipathParameters = session.parameters
    seen = 0

    async def take() -> None:
        nonlocal seen
        async with session.accept(
            from_=wanted.from_node, purpose=wanted.purpose, requests=None
        ) as pairs:
            async for pair in pairs:
                seen += 1
                pair.release()

    error = await serve(session, wanted.from_node, take, 0.0)
    return ProviderResult(seen, error)


MESSAGES: Final = (Over,)

APP = App(
    name="multipath",
    title="deliver pairs over several paths at once",
    roles={"requester": requester, "provider": provider},
    place={"requester": "from_node", "provider": "to_node"},
    parameters=MultipathParameters,
    messages=MESSAGES,
)
