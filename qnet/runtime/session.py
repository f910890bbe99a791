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

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Literal, TypeVar

import msgspec
import trio

from qnet.couplings import routed
from qnet.errors import LocalProtocolError
from qnet.hardware import Platform
from qnet.ids import CircuitId, NodeId, OpId, RequestId, SlotId
from qnet.layers.link import (
    Accept,
    BasisChoice,
    Cancel,
    Create,
    Early,
    Err,
    Kind,
    Ok,
    RequestEnded,
    StopAccepting,
)
from qnet.layers.network import CloseCircuit, OpenCircuit
from qnet.machine import (
    Acquire,
    Acquired,
    Applied,
    Apply,
    Indicated,
    Message,
    PeerLost,
    Received,
    Release,
    Send,
    Withdraw,
)
from qnet.program import Program
from qnet.randomness import KeyedRandom
from qnet.runtime.driver import Driver
from qnet.runtime.mailbox import Mailbox
from qnet.runtime.pairs import (
    Circuit,
    CircuitFailed,
    Pair,
    PairExpired,
    PairStream,
    RequestFailed,
)
from qnet.units import Instant, duration_from_s, seconds
from qnet.wire.control import RequestNote

__all__ = [
    "LONGEST_S",
    "Circuit",
    "CircuitFailed",
    "Pair",
    "PairExpired",
    "PairStream",
    "RequestFailed",
    "Session",
]

M = TypeVar("M", bound=Message)
Via = Literal["link", "network"]
LONGEST_S: Final = 3.6e6
"""Longest time limit of a request: simulated time ends after 2560 hours."""


class Session:
    """What an application may do. One per node of a run.

    Attributes:
        node: name of this node.
        role: role of the application here.
        roles: role of every node that runs the application.
        parameters: the application's typed parameters.
        platform: the processor of this node.
        dead: the node has crashed: nothing that the application still does has an effect.
        lost: peers whose messages were lost for good, with the instant, oldest first.
    """

    def __init__(
        self,
        *,
        driver: Driver,
        platform: Platform,
        role: str,
        roles: Mapping[NodeId, str],
        parameters: Any,
        seed: int,
        pairs_with: Mapping[NodeId, str],
        network: str,
        woken: Callable[[], None],
        touch: Callable[[], Instant],
    ) -> None:
        self.node = driver.node
        self.role = role
        self.roles = dict(roles)
        self.parameters = parameters
        self.platform = platform
        self.woken = woken
        self._driver = driver
        self._seed = seed
        self._pairs_with = pairs_with
        self._network = network
        self._touch = touch
        self.dead = False
        self.lost: list[tuple[NodeId, Instant]] = []
        self._losses: list[tuple[NodeId, Mailbox]] = []
        self._requests = 0
        self._circuits: dict[CircuitId, Circuit] = {}
        self._ops = 0
        self._streams: dict[RequestId, PairStream] = {}
        self._acceptors: dict[tuple[str, NodeId, int], PairStream] = {}
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
        kind: Kind = "K",
        via: Via | None = None,
        circuit: str = "",
        priority: int = 1,
        store: bool = False,
        atomic: bool = False,
        consecutive: bool = False,
        local: BasisChoice | None = None,
        distant: BasisChoice | None = None,
        final: tuple[int, int] | None = None,
        test_share: float = 0.0,
    ) -> PairStream:
        """Ask for entangled pairs.

        Args:
            to: the other node: a neighbour, or any node that the network layer reaches.
            pairs: how many.
            minimum_fidelity: lowest acceptable claimed fidelity.
            within_s: simulated seconds for all of them; 0 = no limit.
            purpose: which application at the peer.
            kind: "K" keep, "M" measure at once, "R" measure here and keep there, "E" early (network only).
            via: "link" or "network"; by default the link if ``to`` is a neighbour. The peer accepts
                through the same.
            circuit: the circuit to use (network only).
            priority: queue number, 0 is served first.
            store: move each half to a memory slot first.
            atomic: all pairs at the same time, or none.
            consecutive: no other request's pairs between the first and the last.
            local: bases of this end (M, R).
            distant: bases of the peer (M).
            final: Bell label in which pairs shall come; None for whichever.
            test_share: share of pairs measured to estimate the fidelity (network only).

        Raises:
            RequestFailed: while iterating, if the layer below answers ERR.
            LocalProtocolError: on entering, if nothing leads to ``to``; at once, if a value is malformed.
        """
        _check(pairs, purpose, within_s)
        create = Create(
            RequestId(""),
            NodeId(to),
            pairs,
            minimum_fidelity,
            duration_from_s(within_s),
            purpose,
            kind=kind,
            priority=priority,
            store=store,
            atomic=atomic,
            consecutive=consecutive,
            local=local or BasisChoice(),
            distant=distant or BasisChoice(),
            final=final,
            circuit=CircuitId(circuit),
            test_share=test_share,
        )
        return PairStream(self, partial(self._open, create, via), ends=1)

    def _open(self, create: Create, via: Via | None, stream: PairStream) -> None:
        """Give a request its id and send it, as its stream is entered."""
        machine = self._machine(create.remote, via)
        self._requests += 1
        request = RequestId(f"{self.node}/{self._requests}")
        stream.request = request
        self._streams[request] = stream
        self._note(RequestNote(request, create.remote, max(0, create.number), "open"))

        def close() -> None:
            if request in self._streams:
                self._ask(machine, Cancel(request))

        stream.close = close
        self._ask(machine, msgspec.structs.replace(create, request=request))

    def accept(
        self, from_: str, *, purpose: int = 0, requests: int | None = 1, via: Via | None = None
    ) -> PairStream:
        """Take part in requests of another node.

        Args:
            from_: the other node.
            purpose: as in its request.
            requests: after how many requests the stream ends; None for never.
            via: as in :meth:`request`.
        """
        remote = NodeId(from_)

        def open_(stream: PairStream) -> None:
            machine = self._machine(remote, via)
            key = (machine, remote, purpose)
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

    def circuit(
        self,
        to: str,
        *,
        minimum_fidelity: float = 0.0,
        rate_hz: float = 0.0,
        purpose: int = 0,
        route: int | None = None,
    ) -> Circuit:
        """A virtual circuit, open within its context.

        ::

            async with session.circuit("eve", minimum_fidelity=0.8) as circuit:
                async with circuit.request(pairs=10) as pairs:
                    async for pair in pairs: ...

        Args:
            to: the tail end, which accepts requests of this purpose through the network layer.
            minimum_fidelity: lowest acceptable predicted fidelity.
            rate_hz: pairs per second to reserve; 0 for what is left.
            purpose: which application there.
            route: number of the route, from 0, the best; None for the best that admits the circuit.

        Raises:
            CircuitFailed: on entering, if it is refused.
        """
        remote = NodeId(to)

        def open_(circuit: Circuit) -> None:
            machine = self._machine(remote, "network")
            self._requests += 1
            circuit.id = CircuitId(f"{self.node}>{remote}/{self._requests}")
            self._circuits[circuit.id] = circuit
            wanted = OpenCircuit(circuit.id, remote, minimum_fidelity, rate_hz, purpose, route)
            self._ask(machine, wanted)

        def close(circuit: Circuit) -> None:
            self._ask(self._network, CloseCircuit(circuit.id))

        return Circuit(self, remote, open_, close, purpose)

    def _machine(self, remote: NodeId, via: Via | None) -> str:
        """The machine that gives pairs with ``remote``."""
        neighbour = self._pairs_with.get(remote)
        if neighbour is not None and via != "network":
            return neighbour
        if self._network and via != "link" and remote != self.node:
            return self._network
        if via == "network" and not self._network:
            raise LocalProtocolError(
                f"{self.node} must have a network layer, [network] in the topology, to open circuits to {remote}"
                " or ask it for pairs"
            )
        known = ", ".join(sorted(self._pairs_with)) or "none"
        raise LocalProtocolError(
            f"{self.node} must have a link to {remote}, or a network layer above its links, to share pairs "
            f"with it; its neighbours: {known}; network layer: {'yes' if self._network else 'none'}"
        )

    # ------------------------------------------------------------ qubits

    async def run(self, program: Program, spare: Iterable[SlotId] = ()) -> tuple[int, ...]:
        """Run a program on slots that this application holds; the outcomes of its measurements.

        Where not all slots interact, qubits go there and back through slots of the program and ``spare`` ones.
        """
        program = routed(self.platform, program, spare)
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

    async def wait_lost(self, peer: str) -> None:
        """Wait until messages to or from the node ``peer`` are lost for good; earlier losses do not count."""
        watcher = (NodeId(peer), Mailbox(self.woken))
        self._losses.append(watcher)
        try:
            await watcher[1].get()
        finally:
            self._losses.remove(watcher)

    def _box(self, kind: str) -> Mailbox:
        box = self._inbox.get(kind)
        if box is None:
            box = self._inbox[kind] = Mailbox(self.woken)
        return box

    # ------------------------------------------------------------ plumbing

    def die(self) -> None:
        """The node has crashed."""
        self.dead = True

    def _do(self, effect: Any) -> None:
        if not self.dead:
            self._touch()
            self._driver.app_effects(effect)

    def _ask(self, machine: str, request: Any) -> None:
        if not self.dead:
            self._touch()
            self._driver.request(machine, request)

    def _note(self, note: RequestNote) -> None:
        if not self.dead:
            self._touch()
            self._driver.outputs.append(note)

    def deliver(self, event: Indicated | Received | PeerLost | Applied | Acquired) -> None:
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
            case PeerLost(peer):
                self.lost.append((peer, self._touch()))
                for watched, box in self._losses:
                    if watched == peer:
                        box.put(None)
            case Indicated(indication, source):
                self._indicated(indication, source)

    def _indicated(self, indication: Any, source: str) -> None:
        circuit = self._circuits.get(getattr(indication, "circuit", None))  # type: ignore[arg-type]
        if circuit is not None:
            circuit.put(indication)
            return
        request = getattr(indication, "request", None)
        if request is None:
            return  # about a circuit that its user has left
        stream = self._streams.get(request)
        if stream is None and not getattr(indication, "origin", False):
            stream = self._acceptors.get((source, indication.remote, indication.purpose))
            if stream is not None:
                self._streams[request] = stream
        if isinstance(indication, Err | RequestEnded):
            self._streams.pop(request, None)
        if stream is not None:
            stream.put(indication)
        elif isinstance(indication, Ok | Early) and not self._handed_early(indication):
            self.release(indication.slot)

    @staticmethod
    def _handed_early(indication: Ok | Early) -> bool:
        """Whether the slot of an announcement passed before, with an ``Early``."""
        return isinstance(indication, Ok) and indication.kind == "E"


def _check(pairs: Any, purpose: Any, within_s: float) -> None:
    """What the machines below cannot refuse, because no record could hold it."""
    for name, value in (("pairs", pairs), ("purpose", purpose)):
        if type(value) is not int:
            raise LocalProtocolError(f"{name} of a request must be an integer, got {value!r}")
    if not 0.0 <= within_s <= LONGEST_S:
        raise LocalProtocolError(
            f"within_s of a request must obey 0 <= within_s <= {LONGEST_S:g}, got {within_s!r}"
        )
