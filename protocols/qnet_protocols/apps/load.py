"""Several flows of requests at once, at given offered rates: what a network delivers under load, and how fairly.

Theory
    Each flow has a source, a sink and a purpose of its own. Its requests come at equal intervals or, with
    ``poisson``, after exponential ones; every request is its own task, so a slow one does not hold back the
    next. What each flow gets is compared by Jain's index [1] of x = pairs delivered / share,

        J = (sum x)^2 / (n sum x^2),

    1 if all get their share, 1/n if one gets all.
Early, late, impossible
    When the time is over, open requests get ``drain_s`` more; what is open then is cancelled and counted as
    unfinished. Sources report to the source of the first flow; a report that does not come within the patience
    is missing from its table. A report of an unknown flow is impossible: :class:`~qnet.errors.RemoteProtocolError`.
Assumptions and validity
    Bounded memory: at most ``most_open`` requests of a flow are open; more are withheld, and counted.
Not modelled
    Adaptive sources; sizes of requests drawn at random.
Units
    Hertz of requests; simulated seconds.
Sources
    [1] Jain, Chiu, Hawe, "A quantitative measure of fairness and discrimination for resource allocation in
        shared computer systems", DEC-TR-301 (1984), arXiv cs/9809099.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, TypeVar

import msgspec
import trio

from qnet.errors import RemoteProtocolError
from qnet.machine import Message
from qnet.physics.estimation import jain_index
from qnet.runtime.session import LONGEST_S, RequestFailed, Session
from qnet.seams import App
from qnet_protocols.apps.rounds import Patience, Share
from qnet_protocols.apps.waiting import PeerSilent, hear

T = TypeVar("T")
Rate = Annotated[float, msgspec.Meta(gt=0.0)]
Weight = Annotated[float, msgspec.Meta(gt=0.0)]
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_S)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class LoadParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``load``. Lists hold one value for all flows, or one per flow.

    Attributes:
        flows: "a>b": node a asks for pairs with node b.
        nodes: who takes part, the ends of all flows; none named: every processor.
        duration_s: how long requests are made, > 0.
        rates_hz: offered requests per simulated second, > 0.
        poisson: exponential intervals, not equal ones.
        pairs: pairs per request, >= 1.
        minimum_fidelities: lowest acceptable claimed fidelity, 0..1.
        within_s: deadline of a request; 0 = none.
        priorities: queue numbers, 0 is served first.
        shares: what each flow is due, for the index of fairness, > 0.
        first_purpose: purpose of the first flow; the next has the next.
        most_open: open requests per flow; more are withheld.
        drain_s: how long open requests may go on after the end.
        patience_s: how long to wait for the reports beyond that.
    """

    flows: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("alice>bob",)
    nodes: tuple[str, ...] = ()
    duration_s: Annotated[float, msgspec.Meta(gt=0.0, le=LONGEST_S)] = 10.0
    rates_hz: tuple[Rate, ...] = (10.0,)
    poisson: bool = True
    pairs: tuple[Annotated[int, msgspec.Meta(ge=1)], ...] = (1,)
    minimum_fidelities: tuple[Share, ...] = (0.0,)
    within_s: tuple[Seconds, ...] = (0.0,)
    priorities: tuple[Count, ...] = (1,)
    shares: tuple[Weight, ...] = (1.0,)
    first_purpose: Annotated[int, msgspec.Meta(ge=0, lt=1 << 15)] = 1
    most_open: Annotated[int, msgspec.Meta(ge=1)] = 256
    drain_s: Seconds = 10.0
    patience_s: Patience = 60.0

    def __post_init__(self) -> None:
        """Refuse flows that are none and lists of the wrong length."""
        for flow in self.flows:
            ends = flow.split(">")
            if len(ends) != 2 or not all(ends) or ends[0] == ends[1]:
                raise ValueError(
                    f"a flow must read source>sink with two different nodes, got {flow!r}"
                )
            if self.nodes and not set(ends) <= set(self.nodes):
                raise ValueError(f"nodes must hold both ends of flow {flow!r}, got {self.nodes}")
        lists = ("rates_hz", "pairs", "minimum_fidelities", "within_s", "priorities", "shares")
        for name in lists:
            if len(getattr(self, name)) not in (1, len(self.flows)):
                raise ValueError(
                    f"{name} must hold 1 value or one for each of {len(self.flows)} flows, "
                    f"got {len(getattr(self, name))}"
                )


class FlowResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the source of a flow saw.

    Attributes:
        flow: its name.
        offered: requests that were due.
        withheld: of these, not made because too many were open.
        completed: requests that got all their pairs.
        failed: requests that ended with an error, by its code.
        unfinished: requests still open in the end.
        delivered: pairs.
        delivered_hz: pairs per simulated second of ``duration_s``.
        mean_latency_s, longest_latency_s: from request to pair; None without pairs.
    """

    flow: str
    offered: int
    withheld: int
    completed: int
    failed: dict[str, int]
    unfinished: int
    delivered: int
    delivered_hz: float
    mean_latency_s: float | None
    longest_latency_s: float | None


class Report(Message, frozen=True):
    """Source to the source of the first flow: how flow ``number`` went."""

    kind: ClassVar[str] = "app.load/report@1"
    number: Count
    result: FlowResult


class FlowOver(Message, frozen=True):
    """Source to sink: flow ``number`` asks for nothing more."""

    kind: ClassVar[str] = "app.load/flow_over@1"
    number: Count


class LoadResult(msgspec.Struct, frozen=True):
    """What a node saw.

    Attributes:
        flows: at the source of the first flow all that reported, elsewhere the node's own.
        missing: flows that did not report.
        fairness: Jain's index of pairs delivered per share, at the source of the first flow if all reported.
        received: pairs that flows ending here brought.
    """

    flows: tuple[FlowResult, ...]
    missing: tuple[str, ...]
    fairness: float | None
    received: int


class _Tally:
    """Counts of one flow."""

    def __init__(self) -> None:
        self.offered = self.withheld = self.begun = self.completed = self.delivered = 0
        self.failed: dict[str, int] = {}
        self.latency_s = self.longest_s = 0.0

    @property
    def open(self) -> int:
        return self.begun - self.completed - sum(self.failed.values())

    def result(self, flow: str, duration_s: float) -> FlowResult:
        some = self.delivered > 0
        return FlowResult(
            flow=flow,
            offered=self.offered,
            withheld=self.withheld,
            completed=self.completed,
            failed=dict(sorted(self.failed.items())),
            unfinished=self.open,
            delivered=self.delivered,
            delivered_hz=self.delivered / duration_s,
            mean_latency_s=self.latency_s / self.delivered if some else None,
            longest_latency_s=self.longest_s if some else None,
        )


def of_flow(values: Sequence[T], number: int) -> T:
    """The value of one flow."""
    return values[number if len(values) > 1 else 0]


async def user(session: Session) -> LoadResult:
    """Source, sink, both or neither, as the flows say."""
    wanted: LoadParameters = session.parameters
    ends = [flow.split(">") for flow in wanted.flows]
    results: dict[int, FlowResult] = {}
    received = [0]
    overs = {(s, k): trio.Event() for k, (s, sink) in enumerate(ends) if sink == session.node}
    async with trio.open_nursery() as listening:
        listening.start_soon(_hear_over, session, overs)
        async with trio.open_nursery() as nursery:
            for (source, number), over in overs.items():
                nursery.start_soon(_sink, session, number, source, over, received)
            for number, (source, sink) in enumerate(ends):
                if source == session.node:
                    nursery.start_soon(_source, session, number, sink, results)
        listening.cancel_scope.cancel()
    first = ends[0][0]
    mine = [number for number, (source, _) in enumerate(ends) if source == session.node]
    if session.node != first:
        for number in mine:
            await session.send(first, Report(number, results[number]))
        return LoadResult(tuple(results[number] for number in mine), (), None, received[0])
    await _collect(session, ends, results)
    missing = tuple(flow for number, flow in enumerate(wanted.flows) if number not in results)
    got = [results[k].delivered / of_flow(wanted.shares, k) for k in sorted(results)]
    fairness = None if missing else jain_index(got)
    return LoadResult(tuple(results[k] for k in sorted(results)), missing, fairness, received[0])


async def _source(session: Session, number: int, sink: str, results: dict[int, FlowResult]) -> None:
    """Make the requests of one flow."""
    wanted: LoadParameters = session.parameters
    tally = _Tally()
    luck = session.random(f"flow {number}")
    rate_hz = of_flow(wanted.rates_hz, number)
    end_s = session.time_s + wanted.duration_s
    async with trio.open_nursery() as nursery:
        while True:
            gap_s = 1.0 / rate_hz
            if wanted.poisson:
                gap_s *= -math.log1p(-luck.uniform())
            if session.time_s + gap_s > end_s:
                break
            await trio.sleep(gap_s)
            tally.offered += 1
            if tally.open >= wanted.most_open:
                tally.withheld += 1
            else:
                tally.begun += 1
                nursery.start_soon(_request, session, number, sink, tally)
        await trio.sleep(max(0.0, end_s - session.time_s))
        nursery.cancel_scope.deadline = trio.current_time() + wanted.drain_s
    results[number] = tally.result(wanted.flows[number], wanted.duration_s)
    await session.send(sink, FlowOver(number))


async def _request(session: Session, number: int, sink: str, tally: _Tally) -> None:
    wanted: LoadParameters = session.parameters
    begun_s = session.time_s
    try:
        async with session.request(
            to=sink,
            pairs=of_flow(wanted.pairs, number),
            minimum_fidelity=of_flow(wanted.minimum_fidelities, number),
            within_s=of_flow(wanted.within_s, number),
            priority=of_flow(wanted.priorities, number),
            purpose=wanted.first_purpose + number,
        ) as stream:
            async for pair in stream:
                pair.release()
                waited_s = session.time_s - begun_s
                tally.delivered += 1
                tally.latency_s += waited_s
                tally.longest_s = max(tally.longest_s, waited_s)
        tally.completed += 1
    except RequestFailed as failed:
        tally.failed[failed.code.name] = tally.failed.get(failed.code.name, 0) + 1


async def _sink(
    session: Session, number: int, source: str, over: trio.Event, received: list[int]
) -> None:
    """Give back every pair of one flow until its source is done, or lost for the rest of the run."""
    wanted: LoadParameters = session.parameters
    longest_s = wanted.duration_s + wanted.drain_s + wanted.patience_s
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + longest_s

        async def receive() -> None:
            purpose = wanted.first_purpose + number
            async with session.accept(from_=source, purpose=purpose, requests=None) as stream:
                async for pair in stream:
                    received[0] += 1
                    pair.release()

        nursery.start_soon(receive)
        await over.wait()
        nursery.cancel_scope.cancel()


async def _hear_over(session: Session, overs: dict[tuple[str, int], trio.Event]) -> None:
    """Tell the sinks which flows are over."""
    while True:
        source, told = await session.receive_from(FlowOver)
        if (source, told.number) not in overs:
            raise RemoteProtocolError(
                f"{told.kind} from {source} to {session.node} must be about a flow between them, "
                f"got flow {told.number}, at {session.now} ps"
            )
        overs[source, told.number].set()


async def _collect(
    session: Session, ends: Sequence[Sequence[str]], results: dict[int, FlowResult]
) -> None:
    """Wait for the reports of all flows that start elsewhere."""
    wanted: LoadParameters = session.parameters
    lost = set()
    for source in [source for source, _ in ends if source != session.node]:
        if source in lost:
            continue
        try:
            report = await hear(session, Report, source, wanted.patience_s)
        except PeerSilent:
            lost.add(source)
            continue
        if report.number >= len(ends) or ends[report.number][0] != source:
            raise RemoteProtocolError(
                f"{report.kind} from {source} to {session.node} must be about a flow of {source}, "
                f"got flow {report.number}, at {session.now} ps"
            )
        results[report.number] = report.result


APP = App(
    name="load",
    title="several flows of requests at once, at given rates",
    roles={"user": user},
    place={"user": "nodes"},
    parameters=LoadParameters,
    messages=(Report, FlowOver),
    everywhere=frozenset({"user"}),
)
