"""Pairs as an application sees them: the half that it holds, and the stream in which they come."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import trio

from qnet.errors import LocalProtocolError, QnetError
from qnet.ids import CircuitId, NodeId, PairId, RequestId, SlotId
from qnet.layers.link import (
    Early,
    Err,
    Expired,
    FidelityEstimated,
    Ok,
    OkMeasured,
    PairAnswer,
    RequestEnded,
)
from qnet.layers.network import CircuitDown, CircuitUp, NetworkAnswer
from qnet.program import Measure, Program
from qnet.runtime.mailbox import Mailbox
from qnet.units import Instant

if TYPE_CHECKING:
    from qnet.runtime.session import Session

_FORGET_AT: Final = 64
"""Pairs of a stream after which those that were released are forgotten."""


class RequestFailed(QnetError):
    """The layer below answered ERR: the request ends here without all of its pairs.

    Not a fault of the run: catch it to try again, with other wishes or later.
    """

    def __init__(self, err: Err) -> None:
        self.code = err.code
        self.request = err.request
        detail = f": {err.detail}" if err.detail else ""
        super().__init__(
            f"request {err.request} to {err.remote} ended with {err.code.name}{detail}"
        )


class CircuitFailed(QnetError):
    """The virtual circuit was refused or broke. Not a fault of the run: try again, or otherwise."""

    def __init__(self, down: CircuitDown) -> None:
        self.code = down.code
        self.circuit = down.circuit
        self.where = down.where
        super().__init__(
            f"circuit {down.circuit} to {down.remote} ended with {down.code.name} at {down.where}: {down.detail}"
        )


class PairExpired(QnetError):
    """The pair was announced but is not valid: its other half was lost. Release it and go on."""


class Pair:
    """One half of a delivered pair, held by the application.

    Attributes:
        id: entanglement id, the same at both ends. Of a pair handed up early: what the layer below calls
            it until the other end is known.
        slot: where the half is.
        label: Bell label (x, z); (0, 0) until it is known.
        known: the label (and id, and goodness) are known: always, but for pairs handed up early.
        remote: who holds the other half.
        goodness, goodness_error: claimed fidelity to that Bell state and its stated error, at
            ``delivered_at``.
        correlators: claimed (<XX>, -<YY>, <ZZ>) in the frame of the label.
        expired: the other half was lost after the announcement.
    """

    def __init__(self, session: Session, told: Ok | Early) -> None:
        self._session = session
        self._news = Mailbox(session.woken)
        self.slot: SlotId = told.slot
        self.remote: NodeId = told.remote
        self.request: RequestId = told.request
        self.index = told.index
        self.expired = False
        self.held = True
        self.known = False
        self.id: PairId = told.token if isinstance(told, Early) else told.pair
        self.label = (0, 0)
        self.goodness = self.goodness_error = 0.0
        self.correlators = (0.0, 0.0, 0.0)
        self.delivered_at = Instant(0)
        if isinstance(told, Ok):
            self.learn(told)

    def learn(self, ok: Ok) -> None:
        """What the layer below knows of the pair."""
        self.id = ok.pair
        self.label = ok.label
        self.goodness, self.goodness_error = ok.goodness, ok.goodness_error
        self.correlators = ok.correlators
        self.delivered_at = ok.goodness_at
        self.known = True
        self._news.put(None)

    def expire(self) -> None:
        """Its other half is lost."""
        self.expired = True
        self._news.put(None)

    async def wait_known(self) -> None:
        """Wait until the label of a pair handed up early is known.

        Raises:
            PairExpired: there will be none.
        """
        while not self.known and not self.expired:
            await self._news.get()
        if self.expired:
            raise PairExpired(f"pair {self.id} was handed up early and came to nothing")

    async def wait_expired(self) -> None:
        """Wait until the other half is lost; for ever, if it is not. For one task at a time."""
        while not self.expired:
            await self._news.get()

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
        """Measure this half in "X", "Y", "Z", "Z+X" or "Z-X" and release it; the reported bit."""
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

    An async context manager and iterator. Leaving it early cancels what is still wanted. Items are
    :class:`Pair`; :meth:`measured` goes through the outcomes of M requests instead.

    Attributes:
        request: id of the request (at its origin).
        errors: how accepted requests failed (at the peer).
        estimates: what test rounds have said so far.
    """

    def __init__(
        self, session: Session, open_: Callable[[PairStream], None], *, ends: int | None
    ) -> None:
        self._session = session
        self._open = open_
        self._ends_left = ends
        self._box = Mailbox(session.woken)
        self._pairs: dict[PairId, Pair] = {}
        self._early: dict[tuple[RequestId, int], Pair] = {}
        self.close: Callable[[], None] = lambda: None
        self.request = RequestId("")
        self.errors: list[Err] = []
        self.estimates: list[FidelityEstimated] = []

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
        while True:
            item = await self._next()
            if isinstance(item, Pair):
                if item.expired:
                    item.release()
                    continue
                return item

    def measured(self) -> MeasuredStream:
        """The outcomes of M requests (and of R requests at their origin), in order."""
        return MeasuredStream(self._next)

    async def _next(self) -> Pair | OkMeasured:
        """The next item.

        Raises:
            RequestFailed: the request ended with ERR.
            StopAsyncIteration: it ended, or the last of the accepted ones did.
        """
        while self._ends_left is None or self._ends_left > 0:
            item = await self._box.get()
            if isinstance(item, Pair | OkMeasured):
                return item
            if self._ends_left is not None:
                self._ends_left -= 1
            if isinstance(item, Err):
                self.errors.append(item)
                if item.origin:
                    raise RequestFailed(item)
        raise StopAsyncIteration

    def put(self, answer: PairAnswer) -> None:
        """An answer of the layer below about this stream."""
        match answer:
            case Ok():
                early = self._early.pop((answer.request, answer.index), None)
                if early is not None:
                    early.learn(answer)
                    self._pairs[answer.pair] = early
                    return
                pair = self._pairs[answer.pair] = Pair(self._session, answer)
                self._box.put(pair)
                self._forget_released()
            case Early():
                pair = self._pairs[answer.token] = Pair(self._session, answer)
                self._early[answer.request, answer.index] = pair
                self._box.put(pair)
                self._forget_released()
            case Expired():
                for name in answer.pairs:
                    if name in self._pairs:
                        self._pairs[name].expire()
            case FidelityEstimated():
                self.estimates.append(answer)
            case OkMeasured() | Err() | RequestEnded():
                self._box.put(answer)

    def _forget_released(self) -> None:
        if len(self._pairs) > _FORGET_AT:
            self._pairs = {key: pair for key, pair in self._pairs.items() if pair.held}


class MeasuredStream:
    """Goes through the outcomes of a stream."""

    def __init__(self, next_: Callable[[], object]) -> None:
        self._next = next_

    def __aiter__(self) -> MeasuredStream:
        return self

    async def __anext__(self) -> OkMeasured:
        while True:
            item = await self._next()  # type: ignore[misc]
            if isinstance(item, OkMeasured):
                return item
            if isinstance(item, Pair):
                item.release()


class Circuit:
    """A virtual circuit, an async context manager: installed on entering, closed on leaving.

    Attributes:
        id: its name.
        up: what the network layer promised when it was installed; None before.
        down: how it ended; None while it is there.
    """

    def __init__(
        self,
        session: Session,
        remote: NodeId,
        open_: Callable[[Circuit], None],
        close: Callable[[Circuit], None],
        purpose: int,
    ) -> None:
        self._session = session
        self._remote = remote
        self._open = open_
        self._close = close
        self._purpose = purpose
        self._box = Mailbox(session.woken)
        self.id = CircuitId("")
        self.up: CircuitUp | None = None
        self.down: CircuitDown | None = None

    async def __aenter__(self) -> Self:
        """Install it.

        Raises:
            CircuitFailed: it was refused.
        """
        self._open(self)
        try:
            await self._box.get()
        except BaseException:
            self._close(self)
            raise
        if self.down is not None:
            raise CircuitFailed(self.down)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.down is None:
            self._close(self)
        await trio.lowlevel.checkpoint_if_cancelled()

    def request(self, pairs: int = 1, **wishes: object) -> PairStream:
        """Ask for pairs over this circuit; ``wishes`` as in :meth:`Session.request`.

        Raises:
            CircuitFailed: it is down.
        """
        if self.down is not None:
            raise CircuitFailed(self.down)
        return self._session.request(
            self._remote,
            pairs=pairs,
            purpose=self._purpose,
            via="network",
            circuit=self.id,
            **wishes,  # type: ignore[arg-type]
        )

    def put(self, answer: NetworkAnswer) -> None:
        """An answer of the network layer about this circuit."""
        if isinstance(answer, CircuitUp):
            self.up = answer
        else:
            self.down = answer
        self._box.put(None)
