"""Waiting for a peer without waiting for ever, and pairs that wait for the message about them.

Theory
    Over a path, a pair and the classical message about it arrive at different instants and pairs may
    overtake one another, so nothing is matched by order: :class:`Holding` keeps pairs by their id until
    somebody asks for one. A peer may be cut off, crash, or be refused by its own link layer before this
    end ever hears of it, so every wait here ends: with what was waited for, with the loss of the peer
    (:class:`qnet.machine.PeerLost`), or after a limit in simulated time.
Early, late, impossible
    *Early* pairs are held, bounded by the slots of the processor. *Late* ones, of a pair that nobody will
    ask for any more, are given back by :meth:`Holding.drop`, or after a limit. A pair that expires while it
    is held is given back at once.
Not modelled
    Reconnecting to an application that was lost with its node: the run has no application there any more.
Units
    Limits in simulated seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

import msgspec
import trio

from qnet.errors import QnetError
from qnet.ids import NodeId, PairId
from qnet.machine import Message
from qnet.runtime.session import (
    CircuitFailed,
    Pair,
    PairExpired,
    PairStream,
    RequestFailed,
    Session,
)

M = TypeVar("M", bound=Message)


class PeerSilent(QnetError):
    """The application of a peer said nothing in time, or messages from it were lost for good.

    Nobody's mistake: report what there is, or try again.
    """


FAILURES = (PeerSilent, RequestFailed, PairExpired, CircuitFailed)
"""What an application of this package turns into the reason in its result."""


class Over(Message, frozen=True):
    """The asker will ask for no more pairs.

    Attributes:
        failed: its last request failed, perhaps before the peer heard of it: nothing is to be waited for.
        reason: why, in words; "" if all went well.
    """

    kind: ClassVar[str] = "app.pairs/over@1"
    failed: bool
    reason: str


async def hear(session: Session, kind: type[M], from_: str, within_s: float) -> M:
    """The next message of this type from ``from_``.

    Raises:
        PeerSilent: none within ``within_s``, or the messages of ``from_`` were lost for good meanwhile.
    """
    found: list[M] = []
    lost = False
    with trio.move_on_after(within_s):
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                nonlocal lost
                await session.wait_lost(from_)
                lost = True
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            found.append(await session.receive(kind, from_))
            nursery.cancel_scope.cancel()
    if found:
        return found[0]
    why = "its messages were lost for good" if lost else f"it was silent for {within_s:g} s"
    raise PeerSilent(f"{session.node} waited for {kind.kind} from {from_}: {why}")


async def serve(
    session: Session, from_: str, work: Callable[[], Awaitable[None]], within_s: float
) -> str:
    """Run ``work`` until it ends or nothing more will come from ``from_``; what went wrong, or "".

    It is given up when ``from_`` says :class:`Over` after a failure, ``within_s`` after it said so without
    one (pairs may still be under way), and when its messages are lost for good.
    """
    reason = ""
    async with trio.open_nursery() as nursery:

        async def until_over() -> None:
            nonlocal reason
            over = await session.receive(Over, from_)
            if not over.failed:
                await trio.sleep(within_s)
            reason = over.reason
            nursery.cancel_scope.cancel()

        async def until_lost() -> None:
            nonlocal reason
            await session.wait_lost(from_)
            reason = f"messages from {from_} were lost for good"
            nursery.cancel_scope.cancel()

        nursery.start_soon(until_over)
        nursery.start_soon(until_lost)
        await work()
        reason = ""
        nursery.cancel_scope.cancel()
    return reason


class Held(msgspec.Struct):
    """A pair that waits, and the scope of the task that watches over it."""

    pair: Pair
    scope: trio.CancelScope


class Holding:
    """Pairs that have arrived and that nobody has asked for yet, by id.

    Args:
        nursery: for the tasks that watch over them.
        longest_s: a pair that nobody asked for in that time is given back.

    Attributes:
        arrived: pairs seen so far.
        expired: those of them that were lost, or given back, while they waited.
    """

    def __init__(self, nursery: trio.Nursery, longest_s: float) -> None:
        self._nursery = nursery
        self._longest_s = longest_s
        self._held: dict[PairId, Held] = {}
        self._change = trio.Condition()
        self.arrived = 0
        self.expired = 0

    async def collect(self, stream: PairStream) -> None:
        """Take every pair of ``stream`` in, until it ends."""
        async for pair in stream:
            self.arrived += 1
            self._held[pair.id] = Held(pair, trio.CancelScope())
            self._nursery.start_soon(self._watch, self._held[pair.id])
            async with self._change:
                self._change.notify_all()

    async def _watch(self, held: Held) -> None:
        """Give the pair back when its other half is lost, or when nobody asks for it."""
        with held.scope:
            with trio.move_on_after(self._longest_s):
                await held.pair.wait_expired()
            self.expired += 1
            del self._held[held.pair.id]
            held.pair.release()

    async def holds(self, name: PairId, within_s: float) -> bool:
        """Whether the pair of that id is here, or comes within ``within_s``."""
        with trio.move_on_after(within_s):
            async with self._change:
                while name not in self._held:
                    await self._change.wait()
        return name in self._held

    async def take(self, name: PairId, within_s: float) -> Pair | None:
        """The pair of that id, waiting for it; None if it is not there within ``within_s``."""
        if not await self.holds(name, within_s):
            return None
        found = self._held.pop(name)
        found.scope.cancel()
        return found.pair

    def drop(self, name: PairId) -> None:
        """Give the pair of that id back, if it is here."""
        found = self._held.pop(name, None)
        if found is not None:
            found.scope.cancel()
            found.pair.release()

    def drop_all(self) -> None:
        """Give everything back."""
        for name in list(self._held):
            self.drop(name)


async def say_over(session: Session, to: str, reason: str) -> None:
    """Tell the application at ``to`` that no more pairs are asked for, and why."""
    await session.send(NodeId(to), Over(bool(reason), reason[:REASON_CHARS]))


REASON_CHARS = 400
"""Longest reason in a message."""
