"""Slots of one end, and flow control: which end may hold one while the other has none.

Theory
    A turn needs a communication slot at both ends, and memory slots first if its pairs are stored
    (all of them before the first pair of an atomic request). Both ends ask their node at the same
    instant and normally get them at once; then nothing is said. An end that gets none says
    ``NoSlot`` and, later, ``HaveSlot``. On ``NoSlot``

    * the *peer* (end B, the higher name) gives its own slot back at once and asks again on
      ``HaveSlot``; should that be lost, by itself, after times that double up to ``ask_wait``;
    * the *master* (end A) keeps its slot, for ``ask_wait`` at the longest; then it gives up in its
      turn, says ``NoSlot``, and asks again after a time that differs from link to link.

    * An end that said ``NoSlot`` does not attempt before the other one has confirmed: it offers its
      slot with ``HaveSlot``. Otherwise its first photons could meet those of a peer that is just
      giving up for the ``NoSlot`` on its way, and a pair would be lost.

    So a slot is held while waiting for another node only towards higher names, beyond the time of a
    message: slots are taken in one order everywhere, as with Dijkstra's philosophers, and a circle
    of links, each with a slot at one node and waiting for one at the next, dissolves at the link that
    closes it. The limit for the master is not needed against circles: it keeps a node free whose
    neighbour's application never gives its slots back.

    Memory slots are taken before the communication slot at every node, for the same reason.
Late, early, impossible
    ``NoSlot`` and ``HaveSlot`` name the attempt run; about any other than the present one they are
    ignored. A lost ``NoSlot`` is repeated with doubled waits, a lost ``HaveSlot`` is made good by the
    time after which the other asks its node again. An overtaken ``NoSlot`` costs one such time.
Assumptions and validity
    Nodes give slots in the order in which they were asked; ends[0] < ends[1] in name order.
Not modelled
    Counts of free slots (REQ_E with numbers) and attempts in flight beyond the free slots [1].
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778: REQ_E and ACK_E. [2] Dijkstra, EWD 310 (1971): ordered resources.
"""

from __future__ import annotations

import zlib
from typing import Final

from qnet.hardware import Platform
from qnet.ids import LinkId, RequestId, SlotId, attempt_id
from qnet.machine import Acquire, Effect, Release, Withdraw
from qnet.units import Instant
from qnet_protocols.link.admission import Timing
from qnet_protocols.link.generation import AwaitingSlot, Heralded
from qnet_protocols.link.queue import Agreed

SPREAD: Final = 8
"""Links take one of so many different times before they ask again."""

MOST_DOUBLINGS: Final = 40
"""So often doubled, any wait exceeds the longest one."""

ASK_LIMIT: Final = 10
"""Repetitions of a question without any answer; then the machine waits in silence."""


class Slots:
    """Slots that one end has asked for, reserved or kept for a batch."""

    def __init__(self, link: LinkId, timing: Timing, platform: Platform | None = None) -> None:
        self._link = link
        self._timing = timing
        self._platform = platform
        self._reserved: dict[RequestId, list[SlotId]] = {}
        self._batches: dict[RequestId, list[Heralded]] = {}
        self._refused = 0
        self._spread = 1 + zlib.crc32(link.encode()) % SPREAD

    @property
    def memory(self) -> tuple[SlotId, ...]:
        """Memory slots held for requests that are open."""
        held = [slot for slots in self._reserved.values() for slot in slots]
        return (*held, *(pair.slot for batch in self._batches.values() for pair in batch))

    def token(self, request: RequestId, index: int) -> str:
        """Token of the communication slot for one turn."""
        return f"{self._link}:{attempt_id(request, index)}"

    def ask(self, entry: Agreed, now: Instant) -> tuple[AwaitingSlot, list[Effect]]:
        """Ask the node for what the next turn of ``entry`` needs."""
        request, index = entry.terms.request, entry.progress.served + 1
        token = self.token(request, index)
        wanted = entry.terms.memory
        if wanted:
            wanted -= len(self._batches.get(request, ())) if entry.terms.atomic else 0
            wanted -= len(self._reserved.get(request, ()))
        state = AwaitingSlot(request, index, token, wanted, 0, Instant(now + 1))
        if wanted:
            return state, [Acquire(_memory_token(token, k), "memory") for k in range(wanted)]
        return state, [self.acquire(request, token)]

    def acquire(self, request: RequestId, token: str) -> Acquire:
        """Ask for a communication slot; one from which a half can go to memory if it shall."""
        held = tuple(self._reserved.get(request, ()))
        if held and self._platform is not None and self._platform.couplings:
            return Acquire(token, near=held)
        return Acquire(token)

    def wants(self, state: AwaitingSlot, token: str) -> bool:
        """Whether a slot given for ``token`` is one that ``state`` waits for."""
        if state.memory:
            return token.startswith(f"{state.token}/m")
        return token == state.token

    def got_memory(self, state: AwaitingSlot, slot: SlotId) -> AwaitingSlot:
        """A memory slot came for ``state``; the communication slot is asked for after the last."""
        self._reserved.setdefault(state.request, []).append(slot)
        return _asked(state, state.memory - 1, state.asks, state.ask_at)

    def resumed(self, state: AwaitingSlot) -> AwaitingSlot:
        """The peer knows that there was none, and is told when there is one again."""
        return _asked(state, state.memory, max(1, state.asks), state.ask_at)

    def withdraw(self, state: AwaitingSlot) -> list[Effect]:
        """Take back what has not been given."""
        if not state.memory:
            return [Withdraw(state.token)]
        # Slots are given in the order of the tokens or not; a token that was answered is harmless.
        return [
            Withdraw(_memory_token(state.token, k))
            for k in range(state.memory + self._given(state))
        ]

    def _given(self, state: AwaitingSlot) -> int:
        return len(self._reserved.get(state.request, ()))

    def told(self, state: AwaitingSlot, now: Instant) -> AwaitingSlot:
        """The peer was told that there is none."""
        asks = state.asks + 1
        again = (
            Instant(now + (self._timing.answer_wait << state.asks)) if asks < ASK_LIMIT else None
        )
        return _asked(state, state.memory, asks, again)

    def again(self, asks: int, now: Instant) -> Instant | None:
        """When to say the same again that was said ``asks`` times, None if often enough."""
        wait = self._timing.answer_wait << (asks - 1)
        return Instant(now + wait) if asks < ASK_LIMIT else None

    def use(self, request: RequestId, left: SlotId) -> SlotId:
        """A reserved memory slot for a pair of ``request`` whose half is in slot ``left``."""
        slots, platform = self._reserved[request], self._platform
        slot = next(
            slot
            for slot in reversed(slots)
            if platform is None or platform.gate_between(left, slot) is not None
        )
        slots.remove(slot)
        if not slots:
            del self._reserved[request]
        return slot

    def unreserve(self, request: RequestId) -> list[Effect]:
        """Give back what is reserved and not used."""
        return [Release(slot) for slot in self._reserved.pop(request, ())]

    def put(self, pair: Heralded) -> int:
        """Keep a stored pair for the batch of its request; its size."""
        batch = self._batches.setdefault(pair.request, [])
        batch.append(pair)
        return len(batch)

    def take_batch(self, request: RequestId) -> list[Heralded]:
        """The pairs kept for ``request``, which are not kept any more."""
        return self._batches.pop(request, [])

    def lease(self, now: Instant) -> Instant:
        """Until when the master keeps a slot for which the peer has none."""
        return Instant(now + self._timing.ask_wait)

    def back_off(self, now: Instant, *, master: bool) -> Instant:
        """When an end that has given its slot back asks again by itself: the peer at first soon, then seldom."""
        longest = self._timing.ask_wait
        wait = longest if master else min(self._timing.answer_wait << self._refused, longest)
        self._refused = min(self._refused + 1, MOST_DOUBLINGS)
        return Instant(now + wait * (SPREAD + self._spread) // SPREAD)

    def agreed(self) -> None:
        """Both ends have what the turn needs, as far as this one knows."""
        self._refused = 0


def _asked(state: AwaitingSlot, memory: int, asks: int, ask_at: Instant | None) -> AwaitingSlot:
    return AwaitingSlot(state.request, state.index, state.token, memory, asks, ask_at)


def _memory_token(token: str, k: int) -> str:
    return f"{token}/m{k}"
