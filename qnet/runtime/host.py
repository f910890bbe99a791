"""A host: one Trio run that shows simulated time to the nodes it holds.

The host never decides about time. When none of its tasks is runnable it hands its report to a
:class:`Port` and gets its next grant; between the two it may wait as long as the rest of the network
needs. The machines of its nodes are stepped right there, outside any task; Trio runs only when an
application has something to do.

The port is the transport seam: embedded, it is the world itself; otherwise a connection to the world's
process. Nothing here knows which.
"""

from __future__ import annotations

import heapq
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import trio

from qnet.errors import ClockStalled, QnetError, RuntimeFault, WireError
from qnet.fibres import Fibres
from qnet.ids import NodeId
from qnet.plan import RunPlan
from qnet.runtime.clock import SimulatedClock
from qnet.runtime.determinism import CURRENT_NODE, deterministic
from qnet.runtime.driver import MachineFault
from qnet.runtime.node import Node
from qnet.runtime.plugs import Seams
from qnet.units import LAST_INSTANT, Instant, seconds
from qnet.wire.codes import Refusal
from qnet.wire.control import WORLD, Grant, NodeReport, Report


class Port(Protocol):
    """How a host reaches the world."""

    def first(self) -> Grant | None:
        """Wait for the first grant; None if the run is over before it began."""
        ...

    def exchange(self, report: Report) -> Grant | None:
        """Hand in a report and wait for the next grant; None when the run is over."""
        ...


class AppFailed(QnetError):
    """An application raised; names node, role and instant."""


class Host:
    """Runs some nodes of a plan.

    Args:
        plan: of the run.
        names: the nodes of this host.
        port: the way to the world.
    """

    def __init__(self, plan: RunPlan, names: Sequence[NodeId], port: Port) -> None:
        self._plan = plan
        self._port = port
        self._now = Instant(0)
        self._round = 0
        self._woken = False
        self._started = False
        self._over = False
        self._afterwards = 0
        self._fault: BaseException | None = None
        self._start: trio.Event | None = None
        self._scope: trio.CancelScope | None = None
        self._touched: dict[Node, None] = {}
        self._agenda: list[tuple[Instant, NodeId]] = []
        self._deadlines: dict[NodeId, Instant | None] = {}
        seams, fibres = Seams(plan), Fibres(plan.links)
        self.nodes = {
            name: Node(plan, name, seams, fibres, woken=self._wake, touch=self._touch)
            for name in sorted(names)
        }
        self._clock = SimulatedClock(self._idle, self._spinning)

    def run(self) -> None:
        """Run the nodes until the world says that the run is over.

        Raises:
            QnetError: a machine, an application or the connection failed.
        """
        with deterministic(self._plan.explore_schedule) as instruments:
            try:
                trio.run(self._main, clock=self._clock, instruments=instruments)
            except BaseException as error:
                if self._fault is None:
                    raise self._app_failed(error) from error
        if self._fault is not None:
            raise self._fault

    async def _main(self) -> None:
        self._start = trio.Event()
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            for node in self.nodes.values():
                if node.session is not None:
                    token = CURRENT_NODE.set(node.name)
                    nursery.start_soon(self._app, node)
                    CURRENT_NODE.reset(token)
            await trio.sleep_forever()

    async def _app(self, node: Node) -> None:
        assert self._start is not None
        await self._start.wait()
        try:
            await node.run_app()
        except (Exception, SystemExit) as error:
            if self._over:
                return
            assert node.session is not None
            fault = _machine_fault(error)
            if fault is not None:
                self._end(fault)
                return
            failed = AppFailed(
                f"{node.name}: application {self._plan.app.name} ({node.session.role}) failed at "
                f"{seconds(self._now):.9g} s simulated: {_words(error)}{_place(error)}"
            )
            failed.__cause__ = error
            # Not raised: Trio would come to rest once more on its way out, and the world would be asked for
            # a turn that must not be.
            self._end(failed)

    # ------------------------------------------------------------ the idle hook

    def _idle(self, deadline: Instant | None) -> None:
        """Nothing is runnable: settle, report, wait, perform what is due; return when Trio has work."""
        if self._over:
            self._let_go(deadline)
            return
        try:
            self._turns(deadline)
        except BaseException as error:
            self._end(error)

    def _turns(self, deadline: Instant | None) -> None:
        if not self._started:
            self._started = True
            grant = self._port.first()
            assert self._start is not None
            self._start.set()
            if grant is None:
                self._end(None)
                return
            self._begin(grant)
            for node in self.nodes.values():
                self._touch(node)  # machines may have deadlines from the start
            return
        while True:
            self._settle()
            if self._woken:
                self._woken = False
                return
            if deadline is not None and deadline <= self._now:
                return
            grant = self._port.exchange(self._report(deadline))
            if grant is None:
                self._end(None)
                return
            self._begin(grant)

    def _begin(self, grant: Grant) -> None:
        if grant.at < self._now:
            raise WireError(
                f"grant must not be before the present instant {self._now} ps, got {grant.at} ps",
                code=Refusal.TIME,
                peer=WORLD,
            )
        self._now = grant.at
        self._round = grant.round
        self._clock.set(grant.at)
        agenda = self._agenda
        while agenda and agenda[0][0] <= grant.at:
            at, name = heapq.heappop(agenda)
            if self._deadlines.get(name) == at:
                self._touch(self.nodes[name])
        for one in grant.nodes:
            node = self.nodes.get(one.node)
            if node is None:
                raise WireError(
                    f"grant must be about nodes of this host, {', '.join(self.nodes)}, got {one.node!r}",
                    code=Refusal.WRONG_TARGET,
                    peer=WORLD,
                )
            self._touch(node)
            node.items(one.items)

    def _touch(self, node: Node) -> Instant:
        """The node takes part in this grant: its driver learns the instant, its report is due."""
        if node not in self._touched:
            self._touched[node] = None
            node.driver.begin(self._now, self._round)
        return self._now

    def _settle(self) -> None:
        for node in list(self._touched):
            node.driver.fire_deadlines()

    def _report(self, deadline: Instant | None) -> Report:
        nodes: list[NodeReport] = []
        for node in self._touched:
            nodes.append(node.driver.collect())
            due = node.driver.next_deadline()
            if due is not None and due != self._deadlines.get(node.name):
                heapq.heappush(self._agenda, (due, node.name))
            self._deadlines[node.name] = due
        self._touched.clear()
        agenda = self._agenda
        while agenda and self._deadlines.get(agenda[0][1]) != agenda[0][0]:
            heapq.heappop(agenda)
        if agenda and (deadline is None or agenda[0][0] < deadline):
            deadline = agenda[0][0]
        if deadline is not None:
            deadline = min(deadline, Instant(LAST_INSTANT + 1))
        return Report(self._now, deadline, nodes)

    def _wake(self) -> None:
        self._woken = True

    def last_lines(self) -> bytes:
        """Trace lines of a grant that failed, which no report has brought to the world.

        Of a node whose machine is to blame its own: the same ones, however many nodes this host has.
        """
        lines = b""
        blamed = self._fault.node if isinstance(self._fault, MachineFault) else None
        for node in sorted(self._touched, key=lambda node: node.name):
            if blamed not in (None, node.name):
                continue
            try:
                lines += node.driver.collect().trace
            except QnetError:
                continue  # the fault itself says that these cannot be written
        return lines

    # ------------------------------------------------------------ the end

    def _end(self, fault: BaseException | None) -> None:
        self._over = True
        self._fault = fault
        if self._scope is not None:
            self._scope.cancel()

    def _let_go(self, deadline: Instant | None) -> None:
        """The run is over and cancelled tasks still wait: let their time run out on its own."""
        self._afterwards += 1
        if self._afterwards > 10_000:
            self._fault = self._fault or RuntimeFault(
                f"applications of {', '.join(self.nodes)} must end when cancelled; some shield themselves for ever"
            )
            raise self._fault
        if deadline is not None and deadline > self._now:
            self._now = deadline
            self._clock.set(deadline)

    def _spinning(self) -> None:
        self._end(
            ClockStalled(
                f"applications must let simulated time pass; those of {', '.join(self.nodes)} never became "
                f"idle at {seconds(self._now):.9g} s simulated"
            )
        )

    @staticmethod
    def _app_failed(error: BaseException) -> QnetError:
        """Words for what Trio raised although no application failed."""
        return RuntimeFault(f"host failed: {_words(error)}")


def _place(error: BaseException) -> str:
    """File and line where an application failed: the innermost frame of neither qnet, Trio nor Python."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    python = Path(traceback.__file__).parent
    own = [
        one
        for one in frames
        if not {"qnet", "trio"} & set(Path(one.filename).parts[-4:-1])
        and Path(one.filename).parent != python
    ]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def _machine_fault(error: BaseException) -> MachineFault | None:
    """A machine that failed on what the application asked of it is no failure of the application."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error if isinstance(error, MachineFault) else None


def _words(error: BaseException) -> str:
    """Type and message of the innermost single exception."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return "".join(traceback.format_exception_only(error)).strip()
