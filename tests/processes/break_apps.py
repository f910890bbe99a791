"""Applications that misbehave on purpose, and one whose tasks race."""

from __future__ import annotations

import os
import sys
from typing import Any, ClassVar

import msgspec
import trio

from qnet.machine import Message
from qnet.program import Gate, Program
from qnet.runtime import clock
from qnet.runtime.session import Session
from qnet.seams import App


class BreakParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    from_node: str = "alice"
    to_node: str = "bob"
    pairs: int = 3
    how: str = "raise"


async def asks(session: Session) -> Any:
    """Get some pairs, then break."""
    wanted = session.parameters
    async with session.request(to=wanted.to_node, pairs=wanted.pairs) as pairs:
        async for pair in pairs:
            if wanted.how == "gate":
                await session.run(Program((Gate("H", (pair.slot,)),)))
            pair.release()
    return await _break(wanted.how)


async def serves(session: Session) -> int:
    """Take part, then wait: for ever, if the other end does not come to an end."""
    wanted = session.parameters
    seen = 0
    async with session.accept(from_=wanted.from_node) as pairs:
        async for pair in pairs:
            seen += 1
            pair.release()
    if wanted.how not in ("gate", "unwritable"):
        await trio.sleep_forever()
    return seen


async def _break(how: str) -> Any:
    match how:
        case "raise":
            raise ValueError("broken on purpose")
        case "group":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_fail)
                nursery.start_soon(trio.sleep_forever)
        case "system-exit":
            sys.exit(7)
        case "os-exit":
            os._exit(7)
        case "loop":
            while True:
                pass
        case "spin":
            clock.SPIN_LIMIT = 20_000
            while True:
                await trio.lowlevel.checkpoint()
        case "shielded-spin":
            clock.SPIN_LIMIT = 20_000
            with trio.CancelScope(shield=True):
                while True:
                    await trio.lowlevel.checkpoint()
        case "shorter-than-time":
            clock.SPIN_LIMIT = 20_000
            while True:
                await trio.sleep(1e-13)
        case "deadlock":
            await trio.sleep_forever()
        case "too-long":
            await trio.sleep(1e9)  # noqa: ASYNC116 - simulated time ends before
        case "unwritable":
            return {1: msgspec.msgpack.Ext(5, b"x")}
        case "gate":
            return "done"
        case _:
            raise AssertionError(how)
    return None


async def _fail() -> None:
    raise KeyError("one of several tasks")


class Ball(Message, frozen=True):
    """Thrown between the racers."""

    kind: ClassVar[str] = "app.racing/ball@1"
    lane: int
    bounce: int


class RacingParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    from_node: str = "alice"
    to_node: str = "bob"
    lanes: int = 6
    bounces: int = 8


async def racer(session: Session) -> list[list[int]]:
    """Tasks that wake at equal instants, throw balls and take whatever ball is there."""
    wanted = session.parameters
    peer = wanted.to_node if session.role == "first" else wanted.from_node
    order: list[list[int]] = []

    async def lane(number: int) -> None:
        for bounce in range(wanted.bounces):
            await trio.sleep(1e-6)
            order.append([number, bounce])
            await session.send(peer, Ball(number, bounce))
            for _ in range(number % 3):
                await trio.lowlevel.checkpoint()
            ball = await session.receive(Ball)
            order.append([number, 100 + ball.lane])

    async with trio.open_nursery() as nursery:
        for number in range(wanted.lanes):
            nursery.start_soon(lane, number)
    return order


PLACE = {"first": "from_node", "second": "to_node"}
BREAK = App("break", {"first": asks, "second": serves}, PLACE, BreakParameters)
RACING = App("racing", {"first": racer, "second": racer}, PLACE, RacingParameters, (Ball,))
