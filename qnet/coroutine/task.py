"""One task of a coroutine machine: what its functions may do and wait for, and how it is stepped.

Theory
    A wait yields a small record to the machine and gets back what came. A step looks, in this order, at the
    answer to an acquire or apply, a lost peer, what ``unless`` names (the outermost first), the kinds that are
    waited for, and, if the machine says that time is up, the instants. See :mod:`qnet.coroutine`.
Units
    Picoseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Final

from qnet.errors import LocalProtocolError, ProtocolError, QnetError
from qnet.ids import NodeId, SlotId
from qnet.machine import (
    Acquire,
    Effect,
    Indicate,
    Indicated,
    PeerLost,
    Received,
    Record,
    Release,
    Request,
    Requested,
    Send,
    Withdraw,
)
from qnet.program import Program
from qnet.units import Instant

if TYPE_CHECKING:
    from qnet.coroutine.machine import CoroutineMachine

BOX: Final = 1024
"""Inputs that may wait in the box of a task."""


class Interrupted(Exception):
    """What :meth:`Task.unless` names has come; ``event`` is None if it was the instant."""

    def __init__(self, event: Any) -> None:
        super().__init__(repr(event))
        self.event = event


class PeerGone(Exception):
    """:class:`qnet.machine.PeerLost`, in a task."""

    def __init__(self, lost: PeerLost) -> None:
        super().__init__(repr(lost))
        self.peer, self.restarted = lost.peer, lost.restarted


class Cancelled(BaseException):
    """The task was cancelled: clean up without waiting, and let it pass."""


class Finished(Record, frozen=True):
    """A task that this one has started has returned ``result``."""

    task: str
    result: Any = None


class TaskState(Record, frozen=True):
    """Where a task waits.

    Attributes:
        task: its name.
        point: the functions it is in, from the outermost.
        awaits: kinds of input; "input" for any.
        until: when it stops waiting, None for never.
        unread: inputs in its box.
    """

    task: str
    point: str
    awaits: tuple[str, ...]
    until: Instant | None
    unread: int


@dataclass(frozen=True, slots=True)
class _Wait:
    """What a task awaits: kinds of input, or the answer to ``key``; for ``until`` at most."""

    kinds: tuple[type, ...] = ()
    until: Instant | None = None
    key: str = ""

    def __await__(self) -> Generator[_Wait, Any, Any]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class _Unless:
    """One ``unless`` in force."""

    kinds: tuple[type, ...]
    at: Instant | None


_NOTHING: Final = object()
_ANY: Final = (object,)


def payload(event: Any) -> Any:
    """The request, indication or message within an input; the input itself if it holds none."""
    match event:
        case Requested(request=inner) | Indicated(indication=inner) | Received(message=inner):
            return inner
        case _:
            return event


class Task:
    """One coroutine: the only thing that its functions hold of the machine."""

    def __init__(
        self,
        machine: CoroutineMachine,
        parent: Task | None,
        name: str,
        function: Callable[..., Any],
        arguments: Sequence[Any] = (),
    ) -> None:
        self.name = name
        self.over = False
        self._machine = machine
        self._parent = parent
        self._coroutine = function(self, *arguments)
        if not iscoroutine(self._coroutine):
            raise LocalProtocolError(
                machine.words(f"task {name} must be an async def, got {function!r}")
            )
        self._children: list[Task] = []
        self._box: deque[Any] = deque()
        self._unless: list[_Unless] = []
        self._wait: _Wait | None = None
        self._answer: Any = _NOTHING
        self._started = self._running = False
        self.due: Instant | None = None
        self._state: TaskState | None = None
        self._lost = 0

    # ------------------------------------------------------------ acts

    @property
    def now(self) -> Instant:
        """This instant."""
        return self._machine.now

    def send(self, target: NodeId, message: Any) -> None:
        """Send a message."""
        self.perform(Send(target, message))

    def indicate(self, indication: Any, *slots: SlotId) -> None:
        """Tell the machine above; ``slots`` pass to it."""
        self.perform(Indicate(indication, slots))

    def request(self, request: Any, to: str = "") -> None:
        """Ask the machine below; the slot that the request names passes to it."""
        self.perform(Request(request, to))

    def release(self, slot: SlotId) -> None:
        """Give a slot back, after the program that runs on it, if one does."""
        self.perform(Release(slot))

    def perform(self, *effects: Effect) -> None:
        """Effects as a machine returns them, but for those that are waited for."""
        for effect in effects:
            self._machine.act(effect)

    def refuse(self, error: ProtocolError) -> None:
        """Raise ``error`` to who gave this input; the tasks live on. Nothing may be done on that input."""
        self._machine.refuse(error)

    # ------------------------------------------------------------ waits

    def receive(self, *kinds: type, until: Instant | None = None) -> Awaitable[Any]:
        """The earliest input of one of ``kinds``, of any kind if none is named; None at ``until``.

        A kind is the class of an input, or of the request, indication or message in it. What is of no such
        kind stays in the box.
        """
        return _Wait(kinds or _ANY, until)

    def poll(self, *kinds: type) -> Any:
        """As :meth:`receive` but without waiting: None if nothing of the kinds is in the box."""
        return self._take(kinds or _ANY)

    def sleep_until(self, at: Instant) -> Awaitable[None]:
        """Wait until an instant; one that has passed is this one."""
        return _Wait(until=at)

    async def acquire(self, role: str = "communication") -> SlotId:
        """Wait for a free slot."""
        token = self._machine.new_key()
        self._machine.owners[token] = self
        self._machine.act(Acquire(token, role))
        try:
            slot: SlotId = await _Wait(key=token)
        except BaseException:
            if self._machine.owners.pop(token, None) is not None:
                self._machine.act(Withdraw(token))
            raise
        return slot

    async def apply(self, program: Program) -> tuple[int, ...]:
        """Run a program on slots that this machine holds; its outcomes."""
        op = self._machine.begin(self, program)
        outcomes: tuple[int, ...] = await _Wait(key=op)
        return outcomes

    @contextmanager
    def unless(self, *kinds: type, at: Instant | None = None) -> Iterator[None]:
        """Within it an input of one of ``kinds``, or the instant ``at``, raises :class:`Interrupted`."""
        one = _Unless(kinds, at)
        self._unless.append(one)
        try:
            yield
        finally:
            self._unless.remove(one)

    # ------------------------------------------------------------ tasks

    def start(self, name: str, function: Callable[..., Any], *arguments: Any) -> Task:
        """Start ``function(task, *arguments)`` as a task; :class:`Finished` comes when it has returned.

        It runs once this one waits. It does not outlive this one.
        """
        task = self._machine.make(self, name, function, arguments)
        self._children.append(task)
        return task

    def give(self, event: Any) -> None:
        """Put an input into the box of this task.

        Raises:
            LocalProtocolError: it is over, or does not take its inputs.
        """
        if self.over or len(self._box) >= BOX:
            rule = (
                "is over"
                if self.over
                else f"has {BOX} that it has not taken, first {self._box[0]!r}"
            )
            raise LocalProtocolError(self._machine.words(f"task {self.name} {rule}; got {event!r}"))
        self._box.append(event)
        self._lost += isinstance(event, PeerLost)
        self._machine.ready.append(self)

    def cancel(self) -> None:
        """End this task now, and those that it has started; nothing happens if it is over.

        Raises:
            LocalProtocolError: it is the one that runs, or it waits while it cleans up.
        """
        if self.over:
            return
        if self._running:
            raise LocalProtocolError(
                self._machine.words(f"task {self.name} must not cancel itself")
            )
        for child in tuple(self._children):
            child.cancel()
        if not self._started:
            self._coroutine.close()
        else:
            try:
                self._coroutine.throw(Cancelled())
            except (Cancelled, StopIteration):
                pass
            else:
                raise LocalProtocolError(
                    self._machine.words(f"task {self.name} must not wait after it was cancelled")
                )
        self._end()

    # ------------------------------------------------------------ stepped by the machine

    def answer(self, key: str, value: Any) -> bool:
        """The slot or the outcomes that it waits for; False if it does not any more."""
        if self._wait is None or self._wait.key != key:
            return False
        self._answer = value
        self._machine.ready.append(self)
        return True

    def step(self, *, time_up: bool) -> bool:
        """Go on to the next wait, if what it waits for has come; False if it has not."""
        wait = self._wait
        if self.over:
            return False
        if wait is None:
            return self._go(self._coroutine.send, None)
        if self._answer is not _NOTHING:
            return self._go(self._coroutine.send, self._answer)
        if self._box:
            lost = self._take((PeerLost,)) if self._lost else None
            if lost is not None:
                self._lost -= 1
                return self._go(self._coroutine.throw, PeerGone(lost))
            for one in self._unless:
                event = self._take(one.kinds) if one.kinds else None
                if event is not None:
                    return self._go(self._coroutine.throw, Interrupted(event))
            event = self._take(wait.kinds) if wait.kinds else None
            if event is not None:
                return self._go(self._coroutine.send, event)
        if time_up and self.due is not None and self.due <= self.now:
            late = any(one.at is not None and one.at <= self.now for one in self._unless)
            if late:
                return self._go(self._coroutine.throw, Interrupted(None))
            return self._go(self._coroutine.send, None)
        return False

    def _take(self, kinds: tuple[type, ...]) -> Any:
        if kinds == _ANY and self._box:
            return self._box.popleft()
        for index, event in enumerate(self._box):
            if isinstance(event, kinds) or isinstance(payload(event), kinds):
                del self._box[index]
                return event
        return None

    def _go(self, resume: Callable[[Any], Any], value: Any) -> bool:
        self._started = self._running = True
        self._answer = _NOTHING
        try:
            wait = resume(value)
        except StopIteration as stop:
            self._returned(stop.value)
            return True
        except (QnetError, Cancelled):
            raise
        except Exception as error:
            what = f"task {self.name} failed, {type(error).__name__}: {error}"
            raise LocalProtocolError(self._machine.words(what)) from error
        finally:
            self._running = False
        if not isinstance(wait, _Wait):
            rule = "must await only what its task offers (receive, sleep_until, acquire, apply)"
            raise LocalProtocolError(self._machine.words(f"task {self.name} {rule}, got {wait!r}"))
        self._wait = wait
        due = wait.until
        for one in self._unless:
            if one.at is not None and (due is None or one.at < due):
                due = one.at
        self.due = None if due is None else max(due, self._machine.earliest)
        self._state = None
        return True

    def snapshot(self) -> TaskState:
        """For traces."""
        state, unread = self._state, len(self._box)
        if state is None or state.unread != unread:
            wait = self._wait or _Wait()
            kinds = (*(kind for one in self._unless for kind in one.kinds), *wait.kinds)
            awaits = tuple("input" if kind is object else kind.__name__ for kind in kinds)
            awaits += (wait.key,) if wait.key else ()
            point = _point(self._coroutine)
            state = self._state = TaskState(self.name, point, awaits, self.due, unread)
        return state

    def _returned(self, result: Any) -> None:
        if self._parent is None:
            raise LocalProtocolError(
                self._machine.words(f"task {self.name} must not return, it did with {result!r}")
            )
        for child in tuple(self._children):
            child.cancel()
        self._end()
        self._parent.give(Finished(self.name, result))

    def _end(self) -> None:
        self.over, self.due = True, None
        if self._parent is not None:
            self._parent._children.remove(self)
        self._machine.forget(self, [one for one in self._box if not isinstance(one, Finished)])
        self._box.clear()


def _point(coroutine: Any) -> str:
    """Names of the author's functions that a coroutine is in."""
    names = []
    while coroutine is not None and hasattr(coroutine, "cr_code"):
        if coroutine.cr_code.co_filename != __file__:
            names.append(coroutine.cr_code.co_name)
        coroutine = coroutine.cr_await
    return ".".join(names)
