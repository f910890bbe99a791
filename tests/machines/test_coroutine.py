"""The adapter for async def protocols: exact times, boxes, interrupts, cancels, and what is refused in words."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, ClassVar

import msgspec
import pytest
import trio

from qnet.coroutine import (
    Cancelled,
    CoroutineMachine,
    Finished,
    Interrupted,
    PeerGone,
    Task,
)
from qnet.coroutine.machine import STEPS
from qnet.coroutine.task import BOX
from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import NodeId, OpId, SlotId
from qnet.machine import (
    Acquire,
    Acquired,
    Applied,
    Apply,
    DeadlineReached,
    Indicate,
    Indicated,
    Message,
    PeerLost,
    Received,
    Release,
    Requested,
    Send,
    Withdraw,
)
from qnet.program import Gate, Measure, Program
from qnet.testing.script import Script, script
from qnet.units import Instant

BOB, SLOT = NodeId("bob"), SlotId(0)
READ = Program((Gate("H", (SLOT,)), Measure(SLOT)))
DEADLINE = DeadlineReached()


class Ping(Message, frozen=True):
    kind: ClassVar[str] = "link.test/ping@1"
    number: int = 1


class Pong(Message, frozen=True):
    kind: ClassVar[str] = "link.test/pong@1"
    number: int = 1


def heard(message: Any) -> Received:
    return Received(BOB, message.kind, message, Instant(0))


def said(number: int = 1) -> Send:
    return Send(BOB, Pong(number))


def made(main: Any, **options: Any) -> Script:
    return script(CoroutineMachine("link:a-b", main, **options))


async def for_ever(me: Task) -> None:
    while True:
        await me.receive()


# ---------------------------------------------------------------- waits


def test_receive_with_a_deadline_is_exact_to_the_picosecond() -> None:
    async def main(me: Task) -> None:
        while True:
            event = await me.receive(Ping)
            answer = await me.receive(Ping, until=Instant(me.now + 10))
            me.send(BOB, Pong(event.message.number if answer is None else -1))

    one = made(main)
    one.deadline(None).at(5, heard(Ping(7))).deadline(15)
    one.at(15, DEADLINE, said(7)).deadline(None)
    # An input at the instant of the deadline is in time.
    one.at(20, heard(Ping(8))).deadline(30).at(30, heard(Ping(9)), said(-1)).deadline(None)


def test_time_is_up_with_deadline_reached_only() -> None:
    async def main(me: Task) -> None:
        await me.receive(Ping)
        await me.sleep_until(Instant(me.now + 10))
        me.send(BOB, Pong())
        await for_ever(me)

    made(main).at(5, heard(Ping())).at(15, heard(Pong())).deadline(15).fire(said()).deadline(None)


def test_instant_that_has_passed_is_this_one() -> None:
    async def main(me: Task) -> None:
        await me.receive()
        await me.sleep_until(Instant(3))
        me.send(BOB, Pong())
        await me.sleep_until(Instant(4))
        me.send(BOB, Pong(2))
        await for_ever(me)

    made(main).at(9, heard(Ping())).deadline(9).fire(said(), said(2)).deadline(None)


def test_what_is_not_waited_for_stays_in_the_box_in_order() -> None:
    async def main(me: Task) -> None:
        while True:
            await me.receive(Ping)
            assert me.poll(Requested) is None
            while (event := me.poll(Pong)) is not None:
                me.send(BOB, event.message)

    one = made(main)
    one.at(1, heard(Pong(1))).at(2, heard(Pong(2)))
    assert one.machine.state.tasks[0].unread == 2
    one.at(3, heard(Ping()), said(1), said(2))
    assert one.machine.state.tasks[0].unread == 0


def test_kinds_are_classes_of_inputs_or_of_what_is_in_them() -> None:
    async def main(me: Task) -> None:
        while True:
            match await me.receive(Requested, Ping, int):
                case Requested(request=asked):
                    me.indicate(asked)
                case Indicated(indication=told):
                    me.indicate(told)
                case Received():
                    me.send(BOB, Pong())

    one = made(main)
    one.at(1, Requested("x"), Indicate("x")).at(2, Indicated("y"))
    one.at(3, Indicated(4), Indicate(4)).at(4, heard(Ping()), said())


def test_slot_and_program() -> None:
    async def main(me: Task) -> None:
        await me.receive()
        slot = await me.acquire("memory")
        (bit,) = await me.apply(READ)
        me.release(slot)
        me.send(BOB, Pong(bit))
        await for_ever(me)

    one = made(main, incarnation=2)
    token = op = "link:a-b/i2-1"
    one.at(1, heard(Ping()), Acquire(token, "memory"))
    one.at(2, Acquired(token, SLOT), Apply(OpId(op), READ))
    one.at(3, Applied(OpId(op), (1,)), Release(SLOT), said(1))


# ---------------------------------------------------------------- interrupts and cancels


async def interrupted(me: Task) -> None:
    """Whatever it awaits: a ping or instant 100 ends it."""
    while True:
        await me.receive(Requested)
        try:
            with me.unless(Ping, at=Instant(100)):
                slot = await me.acquire()
                try:
                    await me.apply(READ)
                except Interrupted:
                    me.release(slot)
                    raise
                await me.receive(Pong)
        except Interrupted as why:
            me.indicate("time" if why.event is None else why.event.message.number)


def test_interrupt_withdraws_an_acquire_and_releases_a_slot_that_comes_too_late() -> None:
    one = made(interrupted)
    one.at(1, Requested("go"), Acquire("link:a-b/i0-1")).deadline(100)
    one.at(2, heard(Ping(5)), Withdraw("link:a-b/i0-1"), Indicate(5)).deadline(None)
    one.at(3, Acquired("link:a-b/i0-1", SLOT), Release(SLOT))


def test_slot_in_a_program_that_was_interrupted_is_released_when_it_has_ended() -> None:
    one = made(interrupted)
    one.at(1, Requested("go"), Acquire("link:a-b/i0-1"))
    one.at(2, Acquired("link:a-b/i0-1", SLOT), Apply(OpId("link:a-b/i0-1"), READ))
    one.at(100, DEADLINE, Indicate("time")).deadline(None)
    one.at(101, Applied(OpId("link:a-b/i0-1"), (0,)), Release(SLOT))


def test_interrupt_holds_within_its_block_only() -> None:
    one = made(interrupted)
    one.at(1, heard(Ping(1)))
    # It was in the box before: the first wait within the block gets it.
    one.at(2, Requested("go"), Acquire("link:a-b/i0-1"), Withdraw("link:a-b/i0-1"), Indicate(1))


def test_lost_peer_raises_at_any_wait() -> None:
    async def main(me: Task) -> None:
        while True:
            try:
                await me.receive(Requested)
                await me.acquire()
            except PeerGone as gone:
                me.indicate(f"{gone.peer} {gone.restarted}")

    one = made(main)
    one.at(1, PeerLost(BOB), Indicate("bob False"))
    one.at(2, Requested("go"), Acquire("link:a-b/i0-1"))
    one.at(3, PeerLost(BOB, restarted=True), Withdraw("link:a-b/i0-1"), Indicate("bob True"))


async def child(me: Task, number: int) -> int:
    try:
        event = await me.receive(Ping, until=Instant(50))
    except Cancelled:
        me.send(BOB, Pong(-number))
        raise
    return number if event is None else event.message.number


def test_tasks_finish_and_are_cancelled_with_their_words() -> None:
    async def main(me: Task) -> None:
        tasks: list[Task] = []
        while True:
            match await me.receive():
                case Requested(request=int(number)):
                    tasks.append(me.start(f"child-{number}", child, number))
                case Requested():
                    tasks.pop(0).cancel()
                    me.indicate("cancelled")
                case Received() as event:
                    tasks[0].give(event)
                case Finished(task, result):
                    me.indicate((task, result))

    one = made(main)
    one.at(1, Requested(1)).at(2, Requested(2)).deadline(50)
    assert [task.point for task in one.machine.state.tasks] == ["main", "child", "child"]
    one.at(3, Requested("stop"), said(-1), Indicate("cancelled"))
    one.at(4, heard(Ping(9)), Indicate(("child-2", 9))).deadline(None)
    one.at(5, Requested(3)).at(50, DEADLINE, Indicate(("child-3", 3)))
    assert [task.task for task in one.machine.state.tasks] == ["main"]


def test_tasks_that_are_due_together_run_in_the_order_of_their_start() -> None:
    async def sleeper(me: Task, number: int) -> None:
        await me.sleep_until(Instant(100))
        me.send(BOB, Pong(number))

    async def main(me: Task) -> None:
        await me.receive(Ping)
        for number in (1, 2, 3):
            me.start(str(number), sleeper, number)
        await for_ever(me)

    made(main).at(1, heard(Ping())).fire(said(1), said(2), said(3))


def test_child_does_not_outlive_its_parent() -> None:
    async def parent(me: Task) -> None:
        me.start("child", child, 7)
        await me.receive(until=Instant(20))

    async def main(me: Task) -> None:
        await me.receive()
        me.start("parent", parent)
        await for_ever(me)

    made(main).at(1, heard(Ping())).deadline(20).fire(said(-7)).deadline(None)


def test_what_a_task_has_not_read_goes_back_to_the_root() -> None:
    async def main(me: Task) -> None:
        await me.receive()
        task = me.start("child", child, 7)
        task.give(heard(Pong(3)))
        while True:
            match await me.receive():
                case Received(message=Pong(number)):
                    me.indicate(number)

    made(main).at(1, heard(Ping())).at(50, DEADLINE, Indicate(3))


# ---------------------------------------------------------------- refusals


def failing(main: Any, *inputs: Any) -> str:
    """The words of the error that the last input brings."""
    machine = CoroutineMachine("link:a-b", main, facts=lambda: "seen")
    for event in inputs[:-1]:
        machine.handle(event, Instant(5))
    with pytest.raises(LocalProtocolError) as caught:
        machine.handle(inputs[-1], Instant(7))
    words = str(caught.value)
    for part in ("link:a-b: ", repr(inputs[-1]), "facts='seen'", "at 7 ps"):
        assert part in words
    with pytest.raises(LocalProtocolError, match="must not be used after it failed"):
        machine.handle(DEADLINE, Instant(8))
    return words


async def returns(me: Task) -> str:
    await me.receive()
    return "enough"


async def sleeps_elsewhere(me: Task) -> None:
    await me.receive()
    await asyncio.sleep(0)


async def sleeps_in_trio(me: Task) -> None:
    await me.receive()
    await trio.sleep(1)


async def never_rests(me: Task) -> None:
    while True:
        await me.sleep_until(Instant(0))


async def deaf(me: Task) -> None:
    await me.receive(Ping)


async def lets_through(me: Task) -> None:
    with me.unless(Ping):
        await me.receive(Requested)


async def stumbles(me: Task) -> None:
    await me.receive()
    raise KeyError("request")


async def cancels_itself(me: Task) -> None:
    await me.receive()
    me.cancel()


async def stubborn_child(me: Task) -> None:
    try:
        await me.receive()
    except Cancelled:
        await me.sleep_until(Instant(9))


async def cancels_the_stubborn(me: Task) -> None:
    await me.receive()
    task = me.start("stubborn", stubborn_child)
    await me.receive()
    task.cancel()


@pytest.mark.parametrize(
    ("main", "inputs", "words"),
    [
        (returns, [heard(Ping())], "task main must not return, it did with 'enough'"),
        (sleeps_elsewhere, [heard(Ping())], "must await only what its task offers (receive, "),
        (sleeps_in_trio, [heard(Ping())], "task main failed, RuntimeError: "),
        (never_rests, [DEADLINE], f"must come to rest within {STEPS} steps of one instant"),
        (deaf, [heard(Pong())] * (BOX + 1), f"task main has {BOX} that it has not taken, first"),
        (lets_through, [heard(Ping())], "task main failed, Interrupted: Received("),
        (stumbles, [heard(Ping())], "task main failed, KeyError: 'request'"),
        (cancels_itself, [heard(Ping())], "task main must not cancel itself"),
        (cancels_the_stubborn, [heard(Ping())] * 2, "must not wait after it was cancelled"),
        (for_ever, [Acquired("link:a-b/i0-1", SLOT)], "must not get this slot"),
        (for_ever, [Applied(OpId("x"), ())], "must not get the end of a program not under way"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_a_coroutine_must_not_do(main: Any, inputs: list[Any], words: str) -> None:
    assert words in failing(main, *inputs)


def test_nothing_is_done_before_the_first_input() -> None:
    async def hasty(me: Task) -> None:
        me.send(BOB, Pong())
        await for_ever(me)

    async def curious(me: Task) -> None:
        await me.sleep_until(Instant(me.now + 1))

    for main, words in ((hasty, "must not act before"), (curious, "must not ask for the time")):
        with pytest.raises(LocalProtocolError, match=words):
            CoroutineMachine("link:a-b", main)


def test_function_that_is_not_async_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="task main must be an async def, got <function"):
        CoroutineMachine("link:a-b", lambda _me: None)  # type: ignore[arg-type,return-value]


def test_refused_input_leaves_the_protocol_alone() -> None:
    async def main(me: Task) -> None:
        while True:
            match await me.receive():
                case Received(message=Ping()):
                    me.send(BOB, Pong())
                case event:
                    me.refuse(RemoteProtocolError(f"impossible {event!r}"))

    one = made(main)
    one.at(1, heard(Ping()), said())
    for _ in range(3):
        one.refuses(2, heard(Pong()), RemoteProtocolError, "impossible Received")
    one.at(3, heard(Ping()), said())


def test_refusal_after_an_act_is_an_error() -> None:
    async def main(me: Task) -> None:
        await me.receive()
        me.send(BOB, Pong())
        me.refuse(RemoteProtocolError("no"))
        await for_ever(me)

    assert "must not act on what it refuses" in failing(main, heard(Ping()))


# ---------------------------------------------------------------- traces


def test_state_says_where_every_task_waits_and_what_the_author_shows() -> None:
    async def inner(me: Task) -> None:
        with me.unless(Pong, at=Instant(30)):
            await me.receive(Ping, Requested, until=Instant(40))

    async def main(me: Task) -> None:
        await me.receive()
        await inner(me)

    one = made(main, facts=lambda: {"pairs": 3})
    one.at(1, heard(Ping())).deadline(30)
    assert msgspec.json.decode(msgspec.json.encode(one.machine.state)) == {
        "type": "CoroutineState",
        "tasks": [
            {
                "type": "TaskState",
                "task": "main",
                "point": "main.inner",
                "awaits": ["Pong", "Ping", "Requested"],
                "until": 30,
                "unread": 0,
            }
        ],
        "facts": {"pairs": 3},
    }


def test_machine_that_is_dropped_in_the_middle_leaves_no_warning() -> None:
    one = made(interrupted)
    one.at(1, Requested("go"), Acquire("link:a-b/i0-1"))
    del one
    gc.collect()
