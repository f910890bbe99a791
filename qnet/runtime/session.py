"""The session: the one thing that an application holds.

An application is an ``async def main(session)`` on Trio whose clock shows simulated time: ``trio.sleep``,
``trio.move_on_after`` and ``trio.fail_after`` mean simulated seconds. It asks the link layer for pairs,
runs programs on the qubits that it holds, and talks to other applications::

    async with session.request(to="bob", pairs=10, minimum_fidelity=0.9) as pairs:
        async for pair in pairs:
            bit = await pair.measure("Z")

Worker threads and real-time I/O inside an application are outside simulated time: time may move on while
they run. Do not use them in a run that shall be repeatable.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import trio

from qnet.errors import LocalProtocolError, QnetError
from qnet.hardware import Platform
from qnet.ids import NodeId, OpId, PairId, RequestId, SlotId
from qnet.layers.link import (
    Accept,
    Cancel,
    Create,
    Err,
    Expired,
    Ok,
    RequestEnded,
    StopAccepting,
)
from qnet.machine import (
    Acquire,
    Acquired,
    Applied,
    Apply,
    Indicated,
    Message,
    Received,
    Release,
    Send,
    Withdraw,
)
from qnet.program import Measure, Program
from qnet.randomness import KeyedRandom
from qnet.runtime.driver import Driver
from qnet.runtime.mailbox import Mailbox
from qnet.units import Instant, duration_from_s, seconds
from qnet.wire.control import RequestNote

M = TypeVar("M", bound=Message)
LONGEST_S: Final = 3.6e6
"""Longest time limit of a request: simulated time ends after 2560 hours."""


class RequestFailed(QnetError):
    """The link layer answered ERR: the request ends here without all of its pairs.

    Not a fault of the run: catch it to try again, with other wishes or later.
    """

    def __init__(self, err: Err) -> None:
        self.code = err.code
        self.request = err.request
        detail = f": {err.detail}" if err.detail else ""
        super().__init__(
            f"request {err.request} to {err.remote} ended with {err.code.name}{detail}"
        )


class PairExpired(QnetError):
    """The pair was announced but is not valid: its other half was lost. Release it and go on."""


class Pair:
    """One half of a delivered pair, held by the application.

    Attributes:
        id: entanglement id, the same at both ends.
        slot: where the half is.
        label: Bell label (x, z).
        remote: who holds the other half.
        goodness, goodness_error: claimed fidelity and its stated error, at ``delivered_at``.
        expired: the other half was lost after the announcement.
    """

    def __init__(self, session: Session, ok: Ok) -> None:
        self._session = session
        self.id: PairId = ok.pair
        self.slot: SlotId = ok.slot
        self.label = ok.label
        self.remote: NodeId = ok.remote
        self.request: RequestId = ok.request
        self.index = ok.index
        self.goodness = ok.goodness
        self.goodness_error = ok.goodness_error
        self.delivered_at: Instant = ok.goodness_at
        self.expired = False
        self.held = True

    def check(self) -> None:
        """Raise if the pair cannot be used any more.

        Raises:
            PairExpired: its other half was lost.
            LocalProtocolError: it was released.
        """
        if self.expired:
            raise PairExpired(
                f"pair {self.id} was announced but is not valid: its other half was lost"
            )
        if not self.held:
            raise LocalProtocolError(f"pair {self.id} must be held to be used; it was released")

    async def measure(self, basis: str = "Z") -> int:
        """Measure this half in "X", "Y" or "Z" and release it; the reported bit."""
        self.check()
        (bit,) = await self._session.run(Program((Measure(self.slot, basis),)))
        self.release()
        return bit

    def release(self) -> None:
        """Give the slot back; what is left in it is discarded. Nothing happens the second time."""
        if self.held:
            self.held = False
            self._session.release(self.slot)


class PairStream:
    """Pairs of one request (at its origin) or of accepted requests (at the peer), in order.

    An async context manager and iterator. Leaving it early cancels what is still wanted.
    """

    def __init__(
        self, session: Session, open_: Callable[[PairStream], None], *, ends: int | None
    ) -> None:
        self._session = session
        self._open = open_
        self._ends_left = ends
        self._box = Mailbox(session.woken)
        self._pairs: dict[PairId, Pair] = {}
        self.close: Callable[[], None] = lambda: None
        self.request = RequestId("")
        self.errors: list[Err] = []

    async def __aenter__(self) -> Self:
        self._open(self)
        await trio.lowlevel.checkpoint_if_cancelled()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        for item in self._box.drain():
            if isinstance(item, Pair):
                item.release()
        await trio.lowlevel.checkpoint_if_cancelled()

    def __aiter__(self) -> PairStream:
        return self

    async def __anext__(self) -> Pair:
        while self._ends_left is None or self._ends_left > 0:
            item = await self._box.get()
            if isinstance(item, Pair):
                if item.expired:
                    item.release()
                    continue
                return item
            if self._ends_left is not None:
                self._ends_left -= 1
            if isinstance(item, Err):
                self.errors.append(item)
                if item.origin:
                    raise RequestFailed(item)
        raise StopAsyncIteration

    def put(self, indication: Ok | Err | RequestEnded | Expired) -> None:
        """An indication of the link layer about this stream."""
        match indication:
            case Ok():
                pair = Pair(self._session, indication)
                self._pairs[pair.id] = pair
                self._box.put(pair)
                self._forget_released()
            case Expired(_, _, _, low, high):
                for pair in self._pairs.values():
                    if low <= int(pair.id.rpartition("#")[2]) <= high:
                        pair.expired = True
            case _:
                self._box.put(indication)

    def _forget_released(self) -> None:
        if len(self._pairs) > 64:
            self._pairs = {key: pair for key, pair in self._pairs.items() if pair.held}


class Session:
    """What an application may do. One per node of a run.

    Attributes:
        node: name of this node.
        role: role of the application here.
        parameters: the application's typed parameters.
        platform: the processor of this node.
    """

    def __init__(
        self,
        *,
        driver: Driver,
        platform: Platform,
        role: str,
        parameters: Any,
        seed: int,
        links: dict[NodeId, str],
        woken: Callable[[], None],
        touch: Callable[[], Instant],
    ) -> None:
        self.node = driver.node
        self.role = role
        self.parameters = parameters
        self.platform = platform
        self.woken = woken
        self._driver = driver
        self._seed = seed
        self._links = links
        self._touch = touch
        self._requests = 0
        self._ops = 0
        self._streams: dict[RequestId, PairStream] = {}
        self._acceptors: dict[tuple[NodeId, int], PairStream] = {}
        self._results: dict[OpId, Mailbox] = {}
        self._acquired: dict[str, Mailbox] = {}
        self._inbox: dict[str, Mailbox] = {}
        self._luck: dict[str, KeyedRandom] = {}

    # ------------------------------------------------------------ time and luck

    @property
    def now(self) -> Instant:
        """Simulated time, in picoseconds."""
        return self._touch()

    @property
    def time_s(self) -> float:
        """Simulated time, in seconds."""
        return seconds(self._touch())

    def random(self, purpose: str) -> KeyedRandom:
        """Random numbers of this node for one purpose, fixed by the run's seed; asked again, they go on."""
        if purpose not in self._luck:
            self._luck[purpose] = KeyedRandom(self._seed, self.node, f"app {purpose}")
        return self._luck[purpose]

    # ------------------------------------------------------------ pairs

    def request(
        self,
        to: str,
        *,
        pairs: int = 1,
        minimum_fidelity: float = 0.0,
        within_s: float = 0.0,
        purpose: int = 0,
    ) -> PairStream:
        """Ask for entangled pairs with a neighbour (create and keep).

        Args:
            to: the neighbour.
            pairs: how many.
            minimum_fidelity: lowest acceptable claimed fidelity.
            within_s: simulated seconds for all of them; 0 = no limit.
            purpose: which application at the peer.

        Raises:
            RequestFailed: while iterating, if the link layer answers ERR.
            LocalProtocolError: on entering, if no link leads to ``to``.
        """
        remote = NodeId(to)
        for name, value, kind in (("pairs", pairs, int), ("purpose", purpose, int)):
            if type(value) is not kind:
                raise LocalProtocolError(f"{name} of a request must be an integer, got {value!r}")
        if not 0.0 <= within_s <= LONGEST_S:
            raise LocalProtocolError(
                f"within_s of a request must obey 0 <= within_s <= {LONGEST_S:g}, got {within_s!r}"
            )

        def open_(stream: PairStream) -> None:
            machine = self._machine(remote)
            self._requests += 1
            request = RequestId(f"{self.node}/{self._requests}")
            stream.request = request
            self._streams[request] = stream
            create = Create(
                request, remote, pairs, minimum_fidelity, duration_from_s(within_s), purpose
            )
            self._touch()
            self._driver.outputs.append(RequestNote(request, remote, max(0, pairs), "open"))

            def close() -> None:
                if request in self._streams:
                    self._ask(machine, Cancel(request))

            stream.close = close
            self._ask(machine, create)

        return PairStream(self, open_, ends=1)

    def accept(self, from_: str, *, purpose: int = 0, requests: int | None = 1) -> PairStream:
        """Take part in requests of a neighbour.

        Args:
            from_: the neighbour.
            purpose: as in its request.
            requests: after how many requests the stream ends; None for never.
        """
        remote = NodeId(from_)

        def open_(stream: PairStream) -> None:
            machine = self._machine(remote)
            key = (remote, purpose)
            if key in self._acceptors:
                raise LocalProtocolError(
                    f"purpose {purpose} of {remote} must be accepted once at a time at {self.node}"
                )
            self._acceptors[key] = stream

            def close() -> None:
                del self._acceptors[key]
                self._ask(machine, StopAccepting(remote, purpose))
                for request, theirs in list(self._streams.items()):
                    if theirs is stream:
                        self._ask(machine, Cancel(request))

            stream.close = close
            self._ask(machine, Accept(remote, purpose))

        return PairStream(self, open_, ends=requests)

    def _machine(self, remote: NodeId) -> str:
        try:
            return f"link:{self._links[remote]}"
        except KeyError:
            known = ", ".join(sorted(self._links)) or "none"
            raise LocalProtocolError(
                f"{self.node} must have a link to {remote} to share pairs with it; its neighbours: {known}"
            ) from None

    # ------------------------------------------------------------ qubits

    async def run(self, program: Program) -> tuple[int, ...]:
        """Run a program on slots that this application holds; the outcomes of its measurements."""
        self._ops += 1
        op = OpId(f"{self.node}.app/{self._ops}")
        box = self._results[op] = Mailbox(self.woken)
        self._do(Apply(op, program))
        try:
            outcomes: tuple[int, ...] = await box.get()
        finally:
            self._results.pop(op, None)
        return outcomes

    @asynccontextmanager
    async def memory(self, role: str = "memory") -> AsyncIterator[SlotId]:
        """A free slot of ``role`` ("memory" or "communication"); waits until there is one.

        Raises:
            LocalProtocolError: this processor has no slot of that role at all.
        """
        if all(self.platform.role_of(slot) != role for slot in range(self.platform.slots)):
            raise LocalProtocolError(
                f"{self.node} must have a {role} slot for this application; its processor "
                f"({self.platform.species}) has {self.platform.communication_slots} communication and "
                f"{self.platform.memory_slots} memory slots"
            )
        self._ops += 1
        token = f"app/{self._ops}"
        box = self._acquired[token] = Mailbox(self.woken)
        self._do(Acquire(token, role))
        slot: SlotId | None = None
        try:
            slot = await box.get()
            yield slot
        finally:
            del self._acquired[token]
            # Cancelled between the answer and its arrival here, the slot is still in the box.
            for held in box.drain() if slot is None else [slot]:
                self.release(held)
            if slot is None:
                self._do(Withdraw(token))

    def release(self, slot: SlotId) -> None:
        """Give back a slot that this application holds."""
        self._do(Release(slot))

    # ------------------------------------------------------------ messages

    async def send(self, to: str, message: Message) -> None:
        """Send a classical message to the application at another node; arrives one light time later."""
        if not isinstance(message, Message):
            raise LocalProtocolError(
                f"message must be a qnet.machine.Message that the application lists, got {message!r}"
            )
        self._do(Send(NodeId(to), message))
        await trio.lowlevel.checkpoint_if_cancelled()

    async def receive(self, kind: type[M], from_: str | None = None) -> M:
        """The next message of this type, from the node ``from_`` or from whatever node."""
        _, message = await self.receive_from(kind, from_)
        return message

    async def receive_from(self, kind: type[M], from_: str | None = None) -> tuple[NodeId, M]:
        """Like :meth:`receive`, with the name of the sender."""
        found: tuple[NodeId, M] = await self._box(kind.kind).get(
            None if from_ is None else lambda item: item[0] == from_
        )
        return found

    def _box(self, kind: str) -> Mailbox:
        box = self._inbox.get(kind)
        if box is None:
            box = self._inbox[kind] = Mailbox(self.woken)
        return box

    # ------------------------------------------------------------ plumbing

    def _do(self, effect: Any) -> None:
        self._touch()
        self._driver.app_effects(effect)

    def _ask(self, machine: str, request: Any) -> None:
        self._touch()
        self._driver.request(machine, request)

    def deliver(self, event: Indicated | Received | Applied | Acquired) -> None:
        """Called by the driver with everything that is for the application."""
        match event:
            case Applied(op, outcomes):
                if op in self._results:
                    self._results[op].put(outcomes)
            case Acquired(token, slot):
                if token in self._acquired:
                    self._acquired[token].put(slot)
                else:
                    self.release(slot)
            case Received(source, kind, message):
                self._box(kind).put((source, message))
            case Indicated(indication):
                self._indicated(indication)

    def _indicated(self, indication: Any) -> None:
        request = indication.request
        stream = self._streams.get(request)
        if stream is None and not getattr(indication, "origin", False):
            stream = self._acceptors.get((indication.remote, indication.purpose))
            if stream is not None:
                self._streams[request] = stream
        if isinstance(indication, Err | RequestEnded):
            self._streams.pop(request, None)
        if stream is not None:
            stream.put(indication)
        elif isinstance(indication, Ok):
            self.release(indication.slot)
