"""Catalogue records: what a plug-in exports for each seam of the stack.

A plug-in package names one of these objects in an entry point of the group of its seam. The core finds it
by the name that a topology mentions (:mod:`qnet.plugins`) and never imports it otherwise.

=================== ======================= ==================================
seam                entry-point group       record
=================== ======================= ==================================
processor platform  ``qnet.platforms``      :class:`PlatformSheet`
heralding station   ``qnet.stations``       :class:`StationSheet`
heralding scheme    ``qnet.heralding``      :class:`HeraldingScheme`
link protocol       ``qnet.links``          :class:`LinkProtocol`
link scheduler      ``qnet.schedulers``     :class:`Scheduler`
purification        ``qnet.purification``   :class:`PurificationProtocol`
network protocol    ``qnet.networks``       :class:`NetworkProtocol`
path selection      ``qnet.routing``        :class:`Routing`
application         ``qnet.apps``           :class:`App`
quantum engine      ``qnet.engines``        :class:`QuantumEngine`
transport           ``qnet.transports``     :class:`Transport`
=================== ======================= ==================================
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from socket import socket
from typing import Any, Final, Literal

import msgspec

from qnet.errors import PluginError
from qnet.hardware import Platform, Station
from qnet.ids import LinkId, NodeId
from qnet.layers.scheduling import SchedulerContext, Waiting
from qnet.machine import Machine, Message
from qnet.physics.attempts import NO_ATTEMPTS, AttemptNoise
from qnet.physics.bell import LABELS
from qnet.plan import LinkOptics, LinkPlan, Route, RunPlan
from qnet.units import Duration

API_VERSION: Final = "1"
"""Version of the plug-in interface; a plug-in made for another version is refused."""


class NoParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of a plug-in that has none."""


@dataclass(frozen=True)
class Figure:
    """Where a number of a platform sheet comes from.

    Attributes:
        path: key path in the platform record, e.g. ``gate_1q.duration_s``.
        source: paper, page or data sheet.
        confidence: "found" (read in the source), "memory" (literature as remembered), "derived" or "assumed".
    """

    path: str
    source: str
    confidence: str


@dataclass(frozen=True)
class PlatformSheet:
    """A processor platform: its numbers and where each of them comes from."""

    name: str
    title: str
    platform: Platform
    figures: tuple[Figure, ...]
    api: str = API_VERSION


@dataclass(frozen=True)
class StationSheet:
    """A heralding station: the numbers of its detectors and where each of them comes from."""

    name: str
    title: str
    station: Station
    figures: tuple[Figure, ...]
    api: str = API_VERSION


@dataclass(frozen=True)
class ClickOutcome:
    """One successful click pattern of an attempt.

    Attributes:
        pattern: detectors that clicked, numbered by the scheme.
        prob: probability of the pattern in one attempt.
        label: Bell label (x, z) that the station announces for it.
        state: 4 x 4 density matrix of the two memories (A, B), trace 1, rows of complex numbers in the
            basis 00, 01, 10, 11.
    """

    pattern: tuple[int, ...]
    prob: float
    label: tuple[int, int]
    state: tuple[tuple[complex, ...], ...]


@dataclass(frozen=True)
class EndContext:
    """What a machine at one end of a link may know at the start: its own name and the link's plan.

    ``incarnation`` counts the restarts of the node, which forget everything else. ``platforms`` are the
    processors of ends A and B (their gates and memories); None where nothing but the plan is known.
    ``attempts`` bounds what entangling attempts, on all links of each of them, do to their memories.
    """

    node: NodeId
    link: LinkPlan
    incarnation: int = 0
    platforms: tuple[Platform, Platform] | None = None
    attempts: tuple[AttemptNoise, AttemptNoise] = (NO_ATTEMPTS, NO_ATTEMPTS)

    @property
    def side(self) -> int:
        """0 for end A (the master), 1 for end B."""
        return self.link.ends.index(self.node)

    @property
    def remote(self) -> NodeId:
        """The other end."""
        return self.link.ends[1 - self.side]


@dataclass(frozen=True)
class StationContext:
    """What a station machine may know at the start; it never gives a number of an earlier incarnation again."""

    link: LinkPlan
    incarnation: int = 0


Light = Literal["midpoint", "source", "serial"]
"""How light travels on a link: each end sends a photon, and the two interfere at the station ("midpoint"); the
station sends a photon to each end ("source"); light passes both arms, from the sender to the receiver at the
station, and is detected once ("serial")."""


@dataclass(frozen=True)
class HeraldingScheme:
    """How two distant memories become entangled, and the physical layer that drives it.

    Attributes:
        outcomes: all successful click patterns of one attempt in one mode, with exact probabilities and
            states, from the optics of the link and the scheme's ``parameters``.
        sample: one such attempt drawn photon by photon from a source of uniform numbers; None for a
            failure. Independent of ``outcomes``: the two must agree statistically.
        make_end: physical machine of one end of a link.
        make_station: station machine of a link.
        messages: kinds that these machines exchange.
        light: how light travels, or a function of the parameters that says so: what is counted per arm, and
            whether the shapes of both ends' photons matter.
        rounds: heralds awaited within one attempt; a memory holds its half from the first round on.
        detectors: of a station, over all modes; the noise of a transducer spreads over them.
        check: raises ValueError, with constraint and value, for a link that the scheme is not made for.
    """

    name: str
    outcomes: Callable[[LinkOptics, Any], Sequence[ClickOutcome]]
    sample: Callable[[LinkOptics, Any, Callable[[], float]], ClickOutcome | None]
    make_end: Callable[[EndContext], Machine]
    make_station: Callable[[StationContext], Machine]
    messages: tuple[type[Message], ...]
    parameters: type[msgspec.Struct] = NoParameters
    light: Light | Callable[[Any], Light] = "midpoint"
    rounds: int = 1
    detectors: int = 4
    check: Callable[[LinkPlan], None] | None = None
    sources: tuple[str, ...] = ()
    api: str = API_VERSION

    def light_of(self, parameters: Mapping[str, Any]) -> Light:
        """How light travels on a link with these parameters."""
        if callable(self.light):
            return self.light(msgspec.convert(dict(parameters), self.parameters))
        return self.light

    def sampled(
        self, optics: LinkOptics, parameters: Mapping[str, Any], uniform: Callable[[], float]
    ) -> ClickOutcome | None:
        """One attempt in all modes of the link: the first mode that succeeds, None if none does."""
        typed = msgspec.convert(dict(parameters), self.parameters)
        for _ in range(optics.modes):
            drawn = self.sample(optics, typed, uniform)
            if drawn is not None:
                return drawn
        return None


TOLERANCE: Final = 1e-9
"""How far sums of a scheme's probabilities and traces of its states may be from 1 by rounding."""


def checked_outcomes(
    link: str, scheme: HeraldingScheme, optics: LinkOptics, parameters: Mapping[str, Any]
) -> tuple[ClickOutcome, ...]:
    """The outcomes of ``scheme`` for an attempt in all modes of one link; who uses them gets them from here.

    With n modes at least one succeeds with probability 1 - (1 - p)^n; the patterns keep their shares.

    Raises:
        PluginError: a probability is not finite or negative, or their sum is > 1; a pattern is listed
            twice; a label is not two bits; a state is not 4 x 4 with trace 1.
        ValueError: the scheme refuses the link.
    """
    outcomes = tuple(scheme.outcomes(optics, msgspec.convert(dict(parameters), scheme.parameters)))
    seen: list[tuple[int, ...]] = []
    for outcome in outcomes:
        broken = _broken_rule(outcome)
        if not broken and outcome.pattern in seen:
            broken = "pattern must be listed once, got it twice or more"
        if broken:
            raise PluginError(
                f"heralding scheme {scheme.name}: on link {link}, pattern {outcome.pattern}: {broken}"
            )
        seen.append(outcome.pattern)
    total = sum(outcome.prob for outcome in outcomes)
    if total > 1.0 + TOLERANCE:
        raise PluginError(
            f"heralding scheme {scheme.name}: on link {link}, patterns {seen}: the sum of all prob "
            f"must be <= 1, got {total}"
        )
    if optics.modes == 1 or total <= 0.0:
        return outcomes
    any_prob = -math.expm1(optics.modes * math.log1p(-total)) if total < 1.0 else 1.0
    return tuple(replace(one, prob=one.prob * any_prob / total) for one in outcomes)


def _broken_rule(outcome: ClickOutcome) -> str:
    """Constraint and value of the first rule that one outcome breaks, "" for none."""
    if not (math.isfinite(outcome.prob) and outcome.prob >= 0.0):
        return f"prob must be finite and >= 0, got {outcome.prob}"
    if outcome.label not in LABELS:
        return f"label must be two bits, got {outcome.label}"
    rows = [len(row) for row in outcome.state]
    if rows != [4] * 4:
        return f"state must have 4 rows of 4 numbers, got rows of {rows}"
    if not all(cmath.isfinite(value) for row in outcome.state for value in row):
        return f"state must be finite, got {outcome.state}"
    trace = sum(outcome.state[k][k] for k in range(4))
    if abs(trace - 1.0) > TOLERANCE:
        return f"state must have trace 1 within {TOLERANCE:g}, got {trace}"
    return ""


@dataclass(frozen=True)
class LinkProtocol:
    """An agreement protocol that offers the link service of :mod:`qnet.layers.link`.

    A parameter ``scheduler``, if it has one, names a :class:`Scheduler`: a text, or a table with ``name`` and
    the scheduler's own parameters.
    """

    name: str
    make_end: Callable[[EndContext], Machine]
    messages: tuple[type[Message], ...]
    parameters: type[msgspec.Struct] = NoParameters
    sources: tuple[str, ...] = ()
    api: str = API_VERSION


@dataclass(frozen=True)
class Scheduler:
    """Which request of a link gets the next pair: the one with the smallest key.

    Attributes:
        key: of a request. It must be a function of its arguments alone: both ends compute it, and must come to
            the same choice without asking each other. Equal keys go by order of arrival.
    """

    name: str
    key: Callable[[Waiting, SchedulerContext], tuple[float, ...]]
    parameters: type[msgspec.Struct] = NoParameters
    sources: tuple[str, ...] = ()
    api: str = API_VERSION


@dataclass(frozen=True)
class PurifierContext:
    """What a purification machine may know at the start.

    Attributes:
        node: its own name.
        below: name of the machine that gives it pairs, e.g. "link:alice-bob" or "network".
        platform: the processor of this node.
        peers: the processors with which pairs may be shared, by name (their gates and memories).
        slots: communication slots of each of these nodes and of this one that such pairs may use.
        mean: for each peer, mean time per pair of the machine below, on its own; the same at both ends.
        parameters: of the protocol, as plain data.
        incarnation: restarts of the node so far.
        attempts: bounds what entangling attempts of these nodes and of this one do to their memories;
            nothing where a node is not named.
        dark: for each peer, how long the machine below may make no pair because a switch does not connect
            its links; 0 where a peer is not named. The same at both ends.
    """

    node: NodeId
    below: str
    platform: Platform
    peers: Mapping[NodeId, Platform]
    slots: Mapping[NodeId, int]
    mean: Mapping[NodeId, Duration]
    parameters: Mapping[str, Any]
    incarnation: int = 0
    attempts: Mapping[NodeId, AttemptNoise] = field(default_factory=dict)
    dark: Mapping[NodeId, Duration] = field(default_factory=dict)


@dataclass(frozen=True)
class Purified:
    """Prediction for the pairs that a purification protocol hands up on an idle link, on average.

    Attributes:
        correlators: (a, b, c), as in :class:`qnet.plan.Estimate`.
        rate_hz: pairs per second, one request without end.
    """

    correlators: tuple[float, float, float]
    rate_hz: float


@dataclass(frozen=True)
class PurificationProtocol:
    """Better pairs from pairs: a machine that uses the pair service and offers it (:mod:`qnet.layers.link`).

    The same machine works on the pairs of a link and on end-to-end pairs. Its messages are of the layer
    "purify" (kind ``purify.PROTOCOL/message@1``) and carry a field ``below`` with the context's: the node
    finds the machine of the peer by it.

    Attributes:
        predict: (link with its estimate and this purification, processors of ends A and B) -> the pairs
            that users of the link get; None for no prediction.
    """

    name: str
    make_end: Callable[[PurifierContext], Machine]
    messages: tuple[type[Message], ...]
    parameters: type[msgspec.Struct] = NoParameters
    sources: tuple[str, ...] = ()
    predict: Callable[[LinkPlan, tuple[Platform, Platform]], Purified] | None = None
    api: str = API_VERSION


@dataclass(frozen=True)
class NodeContext:
    """What a network machine may know at the start.

    Attributes:
        node: its own name.
        platform: its processor.
        links: the links with this node at an end.
        below: for each of them, the machine that gives its pairs ("link:NAME", or "purify:NAME").
        routes: for each node that an application here may ask for, routes to it, best first.
        parameters: of the protocol, as plain data.
        incarnation: restarts of the node so far.
    """

    node: NodeId
    platform: Platform
    links: tuple[LinkPlan, ...]
    below: Mapping[LinkId, str]
    routes: Mapping[NodeId, tuple[Route, ...]]
    parameters: Mapping[str, Any]
    incarnation: int = 0

    @property
    def cycles(self) -> tuple[Duration, ...]:
        """Attempt intervals of its links."""
        return tuple(link.cycle for link in self.links)


@dataclass(frozen=True)
class NetworkProtocol:
    """Pairs between any two nodes from pairs between neighbours (:mod:`qnet.layers.network`)."""

    name: str
    make_node: Callable[[NodeContext], Machine]
    messages: tuple[type[Message], ...]
    parameters: type[msgspec.Struct] = NoParameters
    sources: tuple[str, ...] = ()
    api: str = API_VERSION


@dataclass(frozen=True)
class Routing:
    """Path selection, before the run.

    Attributes:
        routes: (plan without routes, source, target, how many) -> routes, best first. It runs in the
            launcher only and may use any library.
    """

    name: str
    routes: Callable[[RunPlan, NodeId, NodeId, int], Sequence[Route]]
    parameters: type[msgspec.Struct] = NoParameters
    sources: tuple[str, ...] = ()
    api: str = API_VERSION


@dataclass(frozen=True)
class App:
    """An application: one ``async def main(session)`` per role.

    Attributes:
        roles: role name -> function. The first role is the initiator: a run is over when every application
            has returned, or when those of the first role have and nothing is due any more.
        place: role name -> name of the parameter that holds the node's name (``{"sender": "from_node"}``), or
            a list of names: each of these nodes has the role. A node has one role: a node that an earlier role
            has taken is left out of a list.
        everywhere: roles whose empty list means every processor that no other role has taken.
        parameters: typed record with defaults; ``--set KEY=VALUE`` sets its fields.
        messages: kinds that the roles exchange.
    """

    name: str
    roles: Mapping[str, Callable[[Any], Awaitable[Any]]]
    place: Mapping[str, str]
    parameters: type[msgspec.Struct]
    messages: tuple[type[Message], ...] = ()
    title: str = ""
    everywhere: frozenset[str] = frozenset()
    api: str = API_VERSION


@dataclass(frozen=True)
class QuantumEngine:
    """What holds the joint quantum state in the world process.

    Attributes:
        make: an object with the operations of :class:`qnet.world.engine.Engine`. It is called in the world
            process only and imports there what the engine needs: the module of this record is loaded
            elsewhere too and must import no array library.
        check: raises ValueError, with constraint and value, for a plan that the engine cannot run.
    """

    name: str
    title: str
    make: Callable[[], Any]
    check: Callable[[RunPlan], None] | None = None
    sources: tuple[str, ...] = ()
    api: str = API_VERSION


@dataclass(frozen=True)
class Transport:
    """How the frames of a host reach the world and back.

    Attributes:
        pair: two connected, blocking stream sockets with a file descriptor each, (world's end, host's end). The
            launcher calls it once per host before any process starts, and the processes inherit the ends.
            None: world and host are one process and call each other, as ``--embedded`` does.
    """

    name: str
    title: str
    pair: Callable[[], tuple[socket, socket]] | None
    api: str = API_VERSION
