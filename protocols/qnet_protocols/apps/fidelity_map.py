"""A fidelity map: every two nodes try their pairs in turn, and the first node draws up the table.

Theory
    The first member by name, the *conductor*, gives the turn to one asker and one peer after the other, so
    that no trial disturbs another. Both ends read every pair at once in the basis that a public hash of the
    pair's id picks among X, Y and Z: no message is needed to agree on it. Afterwards the asker lists the pairs
    and the peer tells its bits. With the shares e of wrong bits, in the frame of the label,

        F = 1 - (e_X + e_Y + e_Z)/2,    sigma^2 = sum e (1 - e)/(4 n),

    (:mod:`qnet.physics.estimation`); rate and latency are those that the asker sees.
Early, late, impossible
    A reading that the peer does not have when asked may still come: it waits for it, at most for the patience;
    then the pair does not count. Bits for more pairs than were asked about are impossible:
    :class:`~qnet.errors.RemoteProtocolError`.
Assumptions and validity
    Read-out errors and basis changes are part of the fidelity found. The hash is public: a test of honest
    devices.
Not modelled
    Trials at the same time; a map that goes on while the network is used.
Units
    Simulated seconds, hertz.
"""

from __future__ import annotations

import itertools
import math
from hashlib import blake2b
from typing import Annotated, ClassVar, Final

import msgspec
import trio

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import NodeId, PairId
from qnet.machine import Message
from qnet.physics.estimation import fidelity_from_bases
from qnet.runtime.session import LONGEST_S, Session
from qnet.seams import App
from qnet_protocols.apps.rounds import Bit, Patience, Share
from qnet_protocols.apps.waiting import FAILURES, PeerSilent, hear

BATCH: Final = 256
BASES: Final = ("X", "Y", "Z")


class FidelityMapParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``fidelity-map``.

    Attributes:
        nodes: who takes part; none named: every processor.
        pairs: pairs per trial, >= 1.
        ordered: try both directions of every two nodes.
        minimum_fidelity: lowest acceptable claimed fidelity, 0..1.
        within_s: simulated seconds for the pairs of one trial; 0 = no limit.
        patience_s: how long to wait for a message of another node, beyond the time of a trial.
    """

    nodes: tuple[str, ...] = ()
    pairs: Annotated[int, msgspec.Meta(ge=1)] = 100
    ordered: bool = False
    minimum_fidelity: Share = 0.0
    within_s: Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_S)] = 60.0
    patience_s: Patience = 10.0


class Turn(Message, frozen=True):
    """Conductor to asker: it is your turn, with ``peer``."""

    kind: ClassVar[str] = "app.fidelity-map/turn@1"
    peer: NodeId


class Tell(Message, frozen=True):
    """Asker to peer: which bits did these pairs give?"""

    kind: ClassVar[str] = "app.fidelity-map/tell@1"
    pairs: tuple[PairId, ...]


class Told(Message, frozen=True):
    """Peer to asker: positions in the list that it knows, and their bits."""

    kind: ClassVar[str] = "app.fidelity-map/told@1"
    known: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    bits: tuple[Bit, ...]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One trial.

    Attributes:
        asker, peer: the nodes.
        pairs: readings that both ends had.
        fidelity, stderr: estimate; None if a basis never came up.
        claimed: mean claimed fidelity; None without pairs.
        rate_hz: pairs per simulated second from the request to the last pair.
        first_pair_s: from the request to the first pair; None without pairs.
        error: why there were fewer pairs, "" if there were not.
    """

    asker: NodeId
    peer: NodeId
    pairs: int = 0
    fidelity: float | None = None
    stderr: float | None = None
    claimed: float | None = None
    rate_hz: float = 0.0
    first_pair_s: float | None = None
    error: str = ""


class Found(Message, frozen=True):
    """Asker to conductor: the trial."""

    kind: ClassVar[str] = "app.fidelity-map/found@1"
    entry: Entry


class Finished(Message, frozen=True):
    """Conductor to all: the map is drawn."""

    kind: ClassVar[str] = "app.fidelity-map/finished@1"


class MapResult(msgspec.Struct, frozen=True):
    """The map, at the conductor.

    Attributes:
        nodes: in order of name.
        fidelity, rate_hz: as matrices: row asks column; None where nothing was found.
        entries: every trial.
    """

    nodes: tuple[str, ...]
    fidelity: tuple[tuple[float | None, ...], ...]
    rate_hz: tuple[tuple[float | None, ...], ...]
    entries: tuple[Entry, ...]


def basis_of(pair: PairId) -> str:
    """The basis in which both ends read this pair."""
    return BASES[int.from_bytes(blake2b(pair.encode(), digest_size=8).digest(), "big") % 3]


class _Readings:
    """Bits of the pairs that others asked for."""

    def __init__(self) -> None:
        self.bits: dict[PairId, int] = {}
        self.count = 0
        self._more = trio.Condition()

    async def add(self, pair: PairId, bit: int) -> None:
        async with self._more:
            self.bits[pair] = bit
            self.count += 1
            self._more.notify_all()

    async def wait_all(self, pairs: tuple[PairId, ...], within_s: float) -> None:
        with trio.move_on_after(within_s):
            async with self._more:
                while not all(pair in self.bits for pair in pairs):
                    await self._more.wait()


async def member(session: Session) -> MapResult | int:
    """Take part; the map at the conductor, elsewhere the number of pairs read for others."""
    wanted: FidelityMapParameters = session.parameters
    others = sorted(name for name in session.roles if name != session.node)
    readings = _Readings()
    result: MapResult | int = 0
    async with trio.open_nursery() as nursery:
        for other in others:
            nursery.start_soon(_serve_pairs, session, other, readings)
        nursery.start_soon(_tell, session, readings, wanted.patience_s)
        if not others or session.node < others[0]:
            result = await _conduct(session, [session.node, *others])
            for other in others:
                await session.send(other, Finished())
        else:
            conductor = NodeId(others[0])
            nursery.start_soon(_take_turns, session, conductor)
            turns = len(others) * (len(others) + 1)
            with trio.move_on_after(min(LONGEST_S, turns * _turn_s(wanted))):
                await _until_finished(session, conductor)
            result = readings.count
        nursery.cancel_scope.cancel()
    return result


def _turn_s(wanted: FidelityMapParameters) -> float:
    """How long a turn of somebody else may take."""
    return (wanted.within_s or LONGEST_S) + 4.0 * wanted.patience_s


async def _until_finished(session: Session, conductor: NodeId) -> None:
    """Wait until the conductor is done, or lost."""
    async with trio.open_nursery() as nursery:

        async def until_lost() -> None:
            await session.wait_lost(conductor)
            nursery.cancel_scope.cancel()

        nursery.start_soon(until_lost)
        await session.receive(Finished, conductor)
        nursery.cancel_scope.cancel()


async def _serve_pairs(session: Session, other: str, readings: _Readings) -> None:
    """Read every pair that ``other`` asks for; nobody can ask over a path that does not exist."""
    try:
        async with session.accept(from_=other, requests=None) as stream:
            async for pair in stream:
                await readings.add(pair.id, await pair.measure(basis_of(pair.id)))
    except LocalProtocolError:
        return


async def _tell(session: Session, readings: _Readings, patience_s: float) -> None:
    while True:
        asker, tell = await session.receive_from(Tell)
        await readings.wait_all(tell.pairs, patience_s / 2.0)
        known = tuple(k for k, pair in enumerate(tell.pairs) if pair in readings.bits)
        bits = tuple(readings.bits.pop(tell.pairs[k]) for k in known)
        await session.send(asker, Told(known, bits))


async def _take_turns(session: Session, conductor: NodeId) -> None:
    while True:
        turn = await session.receive(Turn, conductor)
        await session.send(conductor, Found(await _trial(session, turn.peer)))


async def _conduct(session: Session, nodes: list[str]) -> MapResult:
    """Give the turns and collect what is found."""
    wanted: FidelityMapParameters = session.parameters
    entries = []
    turns = itertools.permutations(nodes, 2) if wanted.ordered else itertools.combinations(nodes, 2)
    limit_s = _turn_s(wanted)
    for asker, peer in sorted(turns):
        if asker == session.node:
            entries.append(await _trial(session, NodeId(peer)))
            continue
        await session.send(asker, Turn(NodeId(peer)))
        try:
            found = (await hear(session, Found, asker, limit_s)).entry
            while found.peer != peer:  # of a turn that was given up
                found = (await hear(session, Found, asker, limit_s)).entry
            entries.append(found)
        except PeerSilent as silent:
            entries.append(Entry(NodeId(asker), NodeId(peer), error=str(silent)))
    by_name = {(entry.asker, entry.peer): entry for entry in entries}
    return MapResult(
        tuple(nodes),
        tuple(
            tuple(e.fidelity if (e := by_name.get((NodeId(a), NodeId(b)))) else None for b in nodes)
            for a in nodes
        ),
        tuple(
            tuple(e.rate_hz if (e := by_name.get((NodeId(a), NodeId(b)))) else None for b in nodes)
            for a in nodes
        ),
        tuple(entries),
    )


async def _trial(session: Session, peer: NodeId) -> Entry:
    """Ask for pairs with ``peer``, read them, and put the readings of both ends together."""
    wanted: FidelityMapParameters = session.parameters
    begun_s = session.time_s
    times_s: list[float] = []
    claims: list[float] = []
    mine: dict[PairId, int] = {}
    error = ""
    try:
        async with session.request(
            to=peer,
            pairs=wanted.pairs,
            minimum_fidelity=wanted.minimum_fidelity,
            within_s=wanted.within_s,
        ) as stream:
            async for pair in stream:
                times_s.append(session.time_s - begun_s)
                claims.append(pair.goodness)
                basis = basis_of(pair.id)
                flip = {
                    "Z": pair.label[0],
                    "X": pair.label[1],
                    "Y": 1 ^ pair.label[0] ^ pair.label[1],
                }
                mine[pair.id] = await pair.measure(basis) ^ flip[basis]
    except (*FAILURES, LocalProtocolError) as failed:
        error = str(failed)
    wrong, trials = dict.fromkeys(BASES, 0), dict.fromkeys(BASES, 0)
    try:
        for pair_id, bit in await _ask_bits(session, peer, list(mine)):
            wrong[basis_of(pair_id)] += bit ^ mine[pair_id]
            trials[basis_of(pair_id)] += 1
    except PeerSilent as silent:
        error = error or str(silent)
    fidelity, stderr = estimate(wrong, trials)
    return Entry(
        asker=session.node,
        peer=peer,
        pairs=sum(trials.values()),
        fidelity=fidelity,
        stderr=stderr,
        claimed=math.fsum(claims) / len(claims) if claims else None,
        rate_hz=len(times_s) / times_s[-1] if times_s and times_s[-1] > 0.0 else 0.0,
        first_pair_s=times_s[0] if times_s else None,
        error=error,
    )


async def _ask_bits(
    session: Session, peer: NodeId, pairs: list[PairId]
) -> list[tuple[PairId, int]]:
    wanted: FidelityMapParameters = session.parameters
    found: list[tuple[PairId, int]] = []
    for start in range(0, len(pairs), BATCH):
        batch = tuple(pairs[start : start + BATCH])
        await session.send(peer, Tell(batch))
        told = await hear(session, Told, peer, wanted.patience_s)
        if len(told.known) != len(told.bits) or any(k >= len(batch) for k in told.known):
            raise RemoteProtocolError(
                f"{told.kind} from {peer} to {session.node} must bring one bit for each of some of "
                f"{len(batch)} pairs, got {told}, at {session.now} ps"
            )
        found += [(batch[k], bit) for k, bit in zip(told.known, told.bits, strict=True)]
    return found


def estimate(wrong: dict[str, int], trials: dict[str, int]) -> tuple[float | None, float | None]:
    """Fidelity and standard error from wrong bits and trials by basis; None if one has no trial."""
    if not all(trials.values()):
        return None, None
    return fidelity_from_bases([wrong[b] for b in BASES], [trials[b] for b in BASES])


APP = App(
    name="fidelity-map",
    title="estimated fidelity and rate between every two nodes",
    roles={"member": member},
    place={"member": "nodes"},
    parameters=FidelityMapParameters,
    messages=(Turn, Tell, Told, Found, Finished),
    everywhere=frozenset({"member"}),
)
