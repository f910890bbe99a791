"""The user of a network under test: an application that asks for what a list says, and keeps pairs for a while.

Theory
    The bench has users that ask, accept, cancel, and release what they get; this is the same user on real
    processors, through the session that every application has. It never returns, and no role of it counts
    as an initiator, so a run of it is over when nothing is due any more: at rest.
Not modelled
    Cancel by the peer; a peer that stops accepting: a session offers neither for one request alone.
Units
    Picoseconds.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import trio

from qnet.layers.link import BasisChoice, Kind
from qnet.runtime.session import RequestFailed, Session
from qnet.seams import App
from qnet.units import seconds


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One CREATE; fields as in :class:`qnet.layers.link.Create`.

    Attributes:
        at_ps: when ``node`` makes it.
        cancel_ps: when ``node`` cancels it, 0 for never.
        bases, weights: of the origin; ``far_bases``, ``far_weights`` of the peer.
    """

    node: str
    remote: str
    at_ps: int = 0
    number: int = 1
    minimum_fidelity: float = 0.0
    max_time_ps: int = 0
    purpose: int = 0
    kind: Kind = "K"
    priority: int = 1
    store: bool = False
    atomic: bool = False
    consecutive: bool = False
    final: tuple[int, int] | None = None
    bases: tuple[str, ...] = ("Z",)
    weights: tuple[float, ...] = (1.0,)
    far_bases: tuple[str, ...] = ("Z",)
    far_weights: tuple[float, ...] = (1.0,)
    cancel_ps: int = 0


class Accepted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """``node`` accepts requests of ``remote``."""

    node: str
    remote: str
    purpose: int = 0


class Wishes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of the application.

    Attributes:
        nodes: who takes part; none named: every processor.
        hold_ps: how long a pair is kept before it is released.
    """

    nodes: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    hold_ps: int = 0


async def user(session: Session) -> None:
    """Ask and accept; never returns."""
    wishes: Wishes = session.parameters
    async with trio.open_nursery() as nursery:
        for offer in wishes.accepted:
            if offer.node == session.node:
                nursery.start_soon(_accept, session, offer, wishes.hold_ps, nursery)
        for one in wishes.asked:
            if one.node == session.node:
                nursery.start_soon(_ask, session, one, wishes.hold_ps, nursery)
        await trio.sleep_forever()


async def _accept(session: Session, offer: Accepted, hold_ps: int, nursery: trio.Nursery) -> None:
    stream = session.accept(offer.remote, purpose=offer.purpose, requests=None, via="link")
    async with stream as pairs:
        async for pair in pairs:
            nursery.start_soon(_keep, pair, hold_ps)


async def _ask(session: Session, one: Asked, hold_ps: int, nursery: trio.Nursery) -> None:
    await trio.sleep(seconds(one.at_ps))
    stream = session.request(
        one.remote,
        pairs=one.number,
        minimum_fidelity=one.minimum_fidelity,
        within_s=seconds(one.max_time_ps),
        purpose=one.purpose,
        kind=one.kind,
        via="link",
        priority=one.priority,
        store=one.store,
        atomic=one.atomic,
        consecutive=one.consecutive,
        local=BasisChoice(one.bases, one.weights),
        distant=BasisChoice(one.far_bases, one.far_weights),
        final=one.final,
    )
    patience_s = seconds(one.cancel_ps - one.at_ps) if one.cancel_ps else float("inf")
    try:
        with trio.move_on_after(patience_s):
            async with stream as pairs:
                async for pair in pairs:
                    nursery.start_soon(_keep, pair, hold_ps)
    except RequestFailed:
        return


async def _keep(pair: Any, hold_ps: int) -> None:
    if hold_ps:
        await trio.sleep(seconds(hold_ps))
    pair.release()


async def nobody(_session: Session) -> None:
    """The initiator, whom no topology can place: a run need wait for nobody."""


APP: Final = App(
    name="conformance",
    title="requests of a list, for the conformance suite",
    roles={"nobody": nobody, "user": user},
    place={"user": "nodes"},
    parameters=Wishes,
    everywhere=frozenset({"user"}),
)
NAME: Final = f"{__name__}:APP"
"""How a plan names it."""
