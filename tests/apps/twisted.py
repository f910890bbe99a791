"""A link protocol that is as awkward as a long path: egp, with other labels, at other instants, with losses.

Every pair gets a label of its own by a real gate at its origin; the far end hears of it later, by a time of
its own, so that pairs overtake one another; and, if wanted, of some pairs the far end never hears (its half
is given back, as when it expires there). All of it follows from the pair's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from qnet.ids import OpId
from qnet.layers.link import Err, Ok, RequestEnded
from qnet.machine import Applied, Apply, DeadlineReached, Effect, Indicate, Input, Release
from qnet.plugins import find
from qnet.program import Gate, Program
from qnet.runtime import plugs
from qnet.seams import LinkProtocol
from qnet.units import Instant
from qnet_protocols.link.egp import PROTOCOL as EGP

LATEST = 300_000_000
"""Picoseconds by which the far end may be late: ten times the interval of pairs."""


def twist(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


def label_of(name: str) -> tuple[int, int]:
    return twist(name) & 1, twist(name) >> 1 & 1


class TwistedEnd:
    """An end of egp whose indications are changed on their way up."""

    def __init__(self, context, lose_one_in: int) -> None:
        self._inner = EGP.make_end(context)
        self._lose = lose_one_in
        self._gates: dict[OpId, Ok] = {}
        self._late: list[tuple[Instant, Ok]] = []
        self._endings: list[Indicate] = []
        self._ops = 0
        self._name = f"{context.node}.twist.{context.link.name}"

    @property
    def state(self):
        return self._inner.state

    def next_deadline(self) -> Instant | None:
        due = [at for at, _ in self._late]
        inner = self._inner.next_deadline()
        return min([*due, inner] if inner is not None else due, default=None)

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        out: list[Effect] = []
        if isinstance(event, Applied) and event.op in self._gates:
            out.append(self._say(self._gates.pop(event.op), now))
        else:
            inner_due = self._inner.next_deadline()
            if not isinstance(event, DeadlineReached) or (
                inner_due is not None and inner_due <= now
            ):
                for effect in self._inner.handle(event, now):
                    out += self._changed(effect, now)
        for late in [late for late in self._late if late[0] <= now]:
            self._late.remove(late)
            out.append(self._say(late[1], now))
        return out + self._ended()

    def _changed(self, effect: Effect, now: Instant) -> list[Effect]:
        if not isinstance(effect, Indicate):
            return [effect]
        told = effect.indication
        if isinstance(told, RequestEnded | Err):
            self._endings.append(effect)
            return []
        if not isinstance(told, Ok):
            return [effect]
        label = label_of(told.pair)
        if not told.origin:
            if self._lose and twist(told.pair) // 8 % self._lose == 0:
                return [Release(told.slot)]
            wait = 10_000_000 + twist(told.pair) // 64 % LATEST
            self._late.append((Instant(now + wait), msgspec.structs.replace(told, label=label)))
            return []
        self._ops += 1
        op = OpId(f"{self._name}/{self._ops}")
        self._gates[op] = msgspec.structs.replace(told, label=label)
        gates = [Gate(name, (told.slot,)) for name, bit in zip("XZ", label, strict=True) if bit]
        return [Apply(op, Program(tuple(gates) or (Gate("I", (told.slot,)),)))]

    @staticmethod
    def _say(told: Ok, now: Instant) -> Indicate:
        return Indicate(msgspec.structs.replace(told, goodness_at=now), (told.slot,))

    def _ended(self) -> list[Effect]:
        """Endings of requests whose pairs have all been told."""
        waiting = {ok.request for ok in self._gates.values()} | {ok.request for _, ok in self._late}
        free = [end for end in self._endings if end.indication.request not in waiting]
        self._endings = [end for end in self._endings if end not in free]
        return list(free)


def twisted(monkeypatch, plan, lose_one_in: int = 0):
    """``plan`` with every link twisted."""
    protocol = LinkProtocol(
        "twisted", lambda context: TwistedEnd(context, lose_one_in), EGP.messages
    )

    def find_too(group, name):
        return protocol if (group, name) == ("qnet.links", "twisted") else find(group, name)

    monkeypatch.setattr(plugs, "find", find_too)
    links = tuple(msgspec.structs.replace(link, protocol="twisted") for link in plan.links)
    return msgspec.structs.replace(plan, links=links)
