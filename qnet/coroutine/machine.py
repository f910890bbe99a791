"""The machine around the tasks of an ``async def`` protocol; the rules are in :mod:`qnet.coroutine`.

Theory
    An input goes to the task that waits for it by name (a slot, the end of a program), else to the root. Then
    every task that can go on is stepped until it waits again; with DeadlineReached also those that are due,
    until none is. What they did meanwhile are the effects.
Units
    Picoseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from qnet.coroutine.task import Task, TaskState
from qnet.errors import LocalProtocolError, ProtocolError
from qnet.ids import OpId, SlotId
from qnet.machine import Acquired, Applied, Apply, DeadlineReached, Effect, Input, Record, Release
from qnet.program import Gate, Program
from qnet.units import Instant

STEPS: Final = 10_000
"""Steps of all tasks on one input after which they are declared to loop."""


class CoroutineState(Record, frozen=True):
    """Snapshot for traces: every task, in order of start, and what the author shows (``facts``)."""

    tasks: tuple[TaskState, ...]
    facts: Any


class CoroutineMachine:
    """A machine whose behaviour is ``main(root task)``; see the module head.

    Args:
        name: in errors, and before the numbers of operations and tokens, e.g. ``link:alice-bob``.
        main: the root task's function; it never returns.
        facts: what the author wants to see in ``state.facts``: plain data.
        incarnation: of the node, so that no operation id is used twice.
    """

    def __init__(
        self,
        name: str,
        main: Callable[[Task], Coroutine[Any, Any, Any]],
        *,
        facts: Callable[[], Any] = lambda: None,
        incarnation: int = 0,
    ) -> None:
        self._name = name
        self._facts = facts
        self._prefix = f"{name}/i{incarnation}-"
        self._keys = self._operations = 0
        self._now: Instant | None = None
        self._event: Input | None = None
        self._effects: list[Effect] = []
        self._dead = ""
        self._refusal: ProtocolError | None = None
        self._leaving: dict[OpId, list[SlotId]] = {}
        self._programs: dict[OpId, frozenset[SlotId]] = {}
        self.owners: dict[str, Task] = {}
        self.ready: deque[Task] = deque()
        self._tasks: list[Task] = []
        self._root = self.make(None, "main", main, ())
        self._run(time_up=False)
        if self._effects:
            raise LocalProtocolError(self.words("must not act before its first input"))

    # ------------------------------------------------------------ the contract of a machine

    @property
    def state(self) -> CoroutineState:
        """Where every task waits, and what the author shows."""
        return CoroutineState(tuple(task.snapshot() for task in self._tasks), self._facts())

    def next_deadline(self) -> Instant | None:
        """The earliest instant that a task waits for."""
        return min((task.due for task in self._tasks if task.due is not None), default=None)

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        """Go on with the tasks that wait for this, and return what they did.

        Raises:
            ProtocolError: a task raised it, or broke the rules of the module head.
        """
        self._now, self._event, self._effects = now, event, []
        if self._dead:
            raise LocalProtocolError(self.words(f"must not be used after it failed, {self._dead}"))
        try:
            self._deliver(event)
            self._run(time_up=isinstance(event, DeadlineReached))
            if self._refusal is not None and self._effects:
                what = (
                    f"must not act on what it refuses, it did {self._effects!r} ({self._refusal})"
                )
                raise LocalProtocolError(self.words(what))
        except BaseException as error:
            self._dead = f"{type(error).__name__}: {error}"
            raise
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise refusal
        return self._effects

    def _deliver(self, event: Input) -> None:
        match event:
            case DeadlineReached():
                pass
            case Acquired(token, slot):
                number = token.removeprefix(self._prefix)
                if not number.isdecimal() or int(number) > self._keys:
                    raise LocalProtocolError(self.words("must not get this slot, it did not ask"))
                owner = self.owners.pop(token, None)
                if owner is None or not owner.answer(token, slot):
                    self.act(Release(slot))
            case Applied(op, outcomes):
                if self._programs.pop(op, None) is None:
                    raise LocalProtocolError(
                        self.words("must not get the end of a program not under way")
                    )
                for slot in self._leaving.pop(op, ()):
                    self.act(Release(slot))
                self.owners.pop(op).answer(op, outcomes)
            case _:
                self._root.give(event)

    def _run(self, *, time_up: bool) -> None:
        """Step tasks until none can go on."""
        left = STEPS
        while True:
            while self.ready:
                task = self.ready.popleft()
                while task.step(time_up=False):
                    left = self._count(left, task)
            late = [task for task in self._tasks if self._is_due(task)] if time_up else ()
            for task in late:
                if task.step(time_up=True):
                    left = self._count(left, task)
                self.ready.append(task)
            if not late:
                return

    def _is_due(self, task: Task) -> bool:
        return task.due is not None and task.due <= self.now

    def _count(self, left: int, task: Task) -> int:
        if left == 0:
            what = (
                f"must come to rest within {STEPS} steps of one instant, task {task.name} does not"
            )
            raise LocalProtocolError(self.words(what))
        return left - 1

    # ------------------------------------------------------------ for its tasks

    @property
    def now(self) -> Instant:
        """The instant of the present input."""
        if self._now is None:
            raise LocalProtocolError(self.words("must not ask for the time before its first input"))
        return self._now

    @property
    def earliest(self) -> Instant:
        """The earliest instant that may still be waited for."""
        return Instant(0) if self._now is None else self._now

    def make(
        self, parent: Task | None, name: str, function: Callable[..., Any], arguments: Sequence[Any]
    ) -> Task:
        """A task that runs next."""
        task = Task(self, parent, name, function, arguments)
        self._tasks.append(task)
        self.ready.append(task)
        return task

    def forget(self, task: Task, unread: Sequence[Any]) -> None:
        """A task is over; the root gets what it has not read."""
        self._tasks.remove(task)
        if task is not self._root:
            for event in unread:
                self._root.give(event)

    def new_key(self) -> str:
        """A new token for a slot."""
        self._keys += 1
        return f"{self._prefix}{self._keys}"

    def begin(self, task: Task, program: Program) -> OpId:
        """Start a program that ``task`` waits for."""
        self._operations += 1
        op = OpId(f"{self._prefix}{self._operations}")
        slots: set[SlotId] = set()
        for one in program.instructions:
            if isinstance(one, Gate):
                slots.update(one.slots)
            elif (slot := getattr(one, "slot", None)) is not None:
                slots.add(slot)
        self._programs[op] = frozenset(slots)
        self.owners[op] = task
        self.act(Apply(op, program))
        return op

    def act(self, effect: Effect) -> None:
        """One more effect of the present input."""
        if isinstance(effect, Release):
            running = [op for op, slots in self._programs.items() if effect.slot in slots]
            if running:
                self._leaving.setdefault(running[-1], []).append(effect.slot)
                return
        self._effects.append(effect)

    def refuse(self, error: ProtocolError) -> None:
        """Raise ``error`` once all tasks wait again."""
        self._refusal = error

    def words(self, what: str) -> str:
        """An error: who, what, on which input, in which state, when."""
        return (
            f"{self._name}: {what}; on {self._event!r}, in state {self.state!r}, at {self._now} ps"
        )
