"""A protocol written as one ``async def``: tasks that wait for inputs, stepped as a machine.

Theory
    :class:`CoroutineMachine` is a :class:`qnet.machine.Machine`: events in, effects out, no I/O. Behind
    ``handle`` there are coroutines, its *tasks*, and no event loop: what a task awaits is a word to the machine
    ("a message of this kind, until that instant"), and the machine goes on with it when an input, or the
    instant, comes. The *root* task gets every input that no other task waits for by name (the slot it
    acquired, the end of its program), in its *box*; it may start tasks and give them inputs.

    ::

        async def main(me: Task) -> NoReturn:
            while True:
                match await me.receive(until=at):
                    case None: me.send(peer, Knock())
                    case Received(message=Begin() as begin): turn = me.start("turn", follow, begin)
                    case Received(message=Told()) as word: turn.give(word)

    *Acts* (send, indicate, request, release) are performed in the order in which they are written. *Waits*
    (receive, sleep_until, acquire, apply) are the only places where anything else can happen, so what lies
    between two waits needs no lock.

    *Interrupts.* Within ``with me.unless(Told, at=deadline)`` an input of one of these kinds, or the instant,
    raises :class:`Interrupted` at whatever the task awaits. :class:`PeerLost` raises :class:`PeerGone` at the
    next wait of the task that it was given to, always.

    *Cancel.* ``task.cancel()`` raises :class:`Cancelled` where the task waits and returns when it has cleaned
    up; an ``except Cancelled`` may act, and must not wait. Acquire that was interrupted is withdrawn, a slot
    that comes nevertheless is released. A slot that is released while a program runs on it is released when
    the program has ended.
Late, early, impossible
    *Early:* an input waits in the box, at most :data:`qnet.coroutine.task.BOX` do. *Late but true:* what a
    task that is over has not read goes back to the root, which decides by identity. *Impossible:* the
    coroutine calls ``refuse(RemoteProtocolError(...))`` and goes on; whoever gave the input gets the error.
    A box that is full, a root that returns, a foreign awaitable, an instant that never ends:
    :class:`~qnet.errors.LocalProtocolError`, and the machine is dead.
Invariants
    Tasks run one at a time, in the order in which their inputs came; of tasks that are due at an instant, in
    the order of their start. Time is up only with :class:`~qnet.machine.DeadlineReached`. Equal inputs give
    equal effects and states.
Not modelled
    Copies of a machine in mid-run: coroutines cannot be copied. Foreign awaitables (``trio.sleep``).
Units
    Picoseconds.
"""

from __future__ import annotations

from qnet.coroutine.machine import CoroutineMachine, CoroutineState
from qnet.coroutine.task import Cancelled, Finished, Interrupted, PeerGone, Task, TaskState

__all__ = [
    "Cancelled",
    "CoroutineMachine",
    "CoroutineState",
    "Finished",
    "Interrupted",
    "PeerGone",
    "Task",
    "TaskState",
]
