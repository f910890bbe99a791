"""A node: machines, wired by its links, and the application's session on top.

Who uses whom, from below: ``physical:LINK``, ``link:LINK``, ``purify:LINK`` where the link has a
purification, ``network`` where the run has a network layer, ``purify:network`` where that has one, the
application.

A crash takes all of it, the application too; a restart builds the machines anew, which know only that they
were restarted (``incarnation``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import trio

from qnet.errors import ConfigError, PluginError
from qnet.fibres import Fibres
from qnet.hardware import Platform
from qnet.ids import NodeId
from qnet.machine import Machine, PeerLost, Received, Record
from qnet.plan import LinkPlan, NodePlan, PurificationPlan, Route, RunPlan
from qnet.runtime.courier import Courier
from qnet.runtime.driver import Driver
from qnet.runtime.notes import notes
from qnet.runtime.plugs import Seams
from qnet.runtime.session import Session
from qnet.runtime.wiring import APP
from qnet.seams import EndContext, NodeContext, PurifierContext, StationContext
from qnet.units import Duration, Instant, duration_from_s
from qnet.wire.control import AppEnded, Crashed, Item, Restarted

NETWORK = "network"


class AppReturned(Record, frozen=True):
    """For the trace: the application of this node has returned."""

    role: str
    result: Any


class PowerLost(Record, frozen=True):
    """For the trace: this node has crashed."""


class PowerBack(Record, frozen=True):
    """For the trace: this node has been restarted for the ``incarnation``-th time."""

    incarnation: int


class Node:
    """One node of a run.

    Args:
        plan: of the run.
        name: which node.
        seams: the run's plug-ins.
        fibres: of the run, for light times.
        woken: called when a task of the application became runnable.
        touch: called before the application does something that must be reported; gives the instant.
    """

    def __init__(
        self,
        plan: RunPlan,
        name: NodeId,
        seams: Seams,
        fibres: Fibres,
        *,
        woken: Callable[[], None],
        touch: Callable[[Node], Instant],
    ) -> None:
        self.name = name
        self._plan = plan
        self._seams = seams
        self._fibres = fibres
        self._woken = woken
        self._touch = touch
        self._me: NodePlan = plan.node(name)
        self._links = plan.links_of(name)
        self._stations = tuple(link for link in plan.links if link.station == name)
        self._scope: trio.CancelScope | None = None
        self.driver = self._new_driver(0)
        self._build(0)
        self.session: Session | None = None
        role = plan.app.roles.get(name)
        if role is not None and self._me.platform is not None:
            self.session = Session(
                driver=self.driver,
                platform=self._me.platform,
                role=role,
                roles=plan.app.roles,
                parameters=self._parameters(),
                seed=plan.seed,
                pairs_with={EndContext(name, link).remote: self._top(link) for link in self._links},
                network=self._network_top(),
                woken=woken,
                touch=lambda: touch(self),
            )

    # ------------------------------------------------------------ machines

    def _new_driver(self, incarnation: int) -> Driver:
        courier = None
        if self._plan.faults:
            courier = Courier(
                incarnation=incarnation,
                light_time=self._light_time,
                patience=self._plan.patience,
            )
        return Driver(
            self.name,
            platform=self._me.platform,
            catalogue=self._seams.catalogue,
            to_app=self._to_app,
            note=notes,
            courier=courier,
        )

    def _light_time(self, peer: NodeId) -> Duration:
        found = self._fibres.light_time(self.name, peer)
        return Duration(0) if found is None else found  # nothing arrives there: the world says so

    def _build(self, incarnation: int) -> None:
        add = self.driver.add
        for link in self._links:
            processors = self._platforms([*link.ends])
            end = EndContext(
                self.name,
                link,
                incarnation,
                (processors[link.ends[0]], processors[link.ends[1]]),
                (self._plan.attempt_noise(link.ends[0]), self._plan.attempt_noise(link.ends[1])),
            )
            physical, agreed = f"physical:{link.name}", f"link:{link.name}"
            scheme, protocol = (
                self._seams.schemes[link.scheme],
                self._seams.protocols[link.protocol],
            )
            with self._building("heralding scheme", link.scheme, link.name):
                add(physical, scheme.make_end(end))
            with self._building("link protocol", link.protocol, link.name):
                add(agreed, protocol.make_end(end), below=(physical,), remote=end.remote)
            if link.purification is not None:
                peers = self._platforms([end.remote])
                self._add_purifier(agreed, link.purification, peers, incarnation)
        for link in self._stations:
            with self._building("heralding scheme", link.scheme, link.name):
                station = self._seams.schemes[link.scheme].make_station(
                    StationContext(link, incarnation)
                )
                add(f"station:{link.name}", station)
        self.driver.slots.share_out(f"link:{link.name}" for link in self._links)
        layer = self._plan.network_layer
        if layer is None or self._me.platform is None or not self._links:
            return
        below = {link.name: self._top(link) for link in self._links}
        context = NodeContext(
            self.name,
            self._me.platform,
            self._links,
            below,
            self._routes(),
            layer.parameters,
            incarnation,
        )
        with self._building("network protocol", layer.protocol, ""):
            assert self._seams.network is not None
            add(NETWORK, self._seams.network.make_node(context), below=tuple(below.values()))
        if layer.purification is not None:
            pairs = [pair.split(">") for pair in layer.routes]
            others = [NodeId(name) for pair in pairs if self.name in pair for name in pair]
            peers = self._platforms([name for name in others if name != self.name])
            self._add_purifier(NETWORK, layer.purification, peers, incarnation)

    def _add_purifier(
        self,
        below: str,
        chosen: PurificationPlan,
        peers: dict[NodeId, Platform],
        incarnation: int,
    ) -> None:
        assert self._me.platform is not None
        context = PurifierContext(
            self.name,
            below,
            self._me.platform,
            peers,
            {name: self._slots(name, below) for name in (self.name, *peers)},
            {peer: duration_from_s(1.0 / self._rate_hz(peer, below)) for peer in peers},
            chosen.parameters,
            incarnation,
            {name: self._plan.attempt_noise(name) for name in (self.name, *peers)},
            {peer: self._dark(peer, below) for peer in peers},
        )
        with self._building("purification", chosen.protocol, below):
            machine: Machine = self._seams.purifications[chosen.protocol].make_end(context)
            self.driver.add(purifier_above(below), machine, below=(below,))

    def _slots(self, node: NodeId, below: str) -> int:
        """Communication slots that pairs of the machine ``below`` may use at a node."""
        links = sum(node in link.ends for link in self._plan.links)
        platform = self._platforms([node])[node]
        if below == NETWORK and platform.communication_slots < links:
            return 0  # circuits keep their pairs in memory there
        return platform.communication_share(links)

    def _rate_hz(self, peer: NodeId, below: str) -> float:
        """Predicted rate of the pairs with ``peer`` that the machine ``below`` makes."""
        if below != NETWORK:
            return next(
                link.estimate.rate_hz for link in self._links if below == f"link:{link.name}"
            )
        return min(route.rate_hz for route in self._routes_with(peer))

    def _dark(self, peer: NodeId, below: str) -> Duration:
        """How long switches may keep the machine ``below`` from making a pair with ``peer``."""
        if below != NETWORK:
            return next(link.dark for link in self._links if below == f"link:{link.name}")
        waits = [
            sum(self._plan.link(name).dark for name in route.links)
            for route in self._routes_with(peer)
        ]
        return Duration(max(waits))

    def _routes_with(self, peer: NodeId) -> list[Route]:
        """Routes to and from a peer of end-to-end pairs."""
        assert self._plan.network_layer is not None
        routes = self._plan.network_layer.routes
        ways = (f"{self.name}>{peer}", f"{peer}>{self.name}")
        return [route for way in ways for route in routes.get(way, ())]

    @staticmethod
    def _top(link: LinkPlan) -> str:
        """The machine that gives this link's pairs to whoever wants them."""
        agreed = f"link:{link.name}"
        return agreed if link.purification is None else purifier_above(agreed)

    def _network_top(self) -> str:
        layer = self._plan.network_layer
        if layer is None or NETWORK not in self.driver.machines:
            return ""
        return NETWORK if layer.purification is None else purifier_above(NETWORK)

    def _routes(self) -> dict[NodeId, tuple[Route, ...]]:
        assert self._plan.network_layer is not None
        start = f"{self.name}>"
        return {
            NodeId(pair.removeprefix(start)): routes
            for pair, routes in self._plan.network_layer.routes.items()
            if pair.startswith(start)
        }

    def _platforms(self, names: list[NodeId]) -> dict[NodeId, Platform]:
        wanted = set(names)
        return {
            node.name: node.platform
            for node in self._plan.nodes
            if node.name in wanted and node.platform is not None
        }

    @contextmanager
    def _building(self, what: str, plugin: str, where: str) -> Iterator[None]:
        """Within it, whatever a plug-in raises becomes a PluginError that names it, node and place."""
        try:
            yield
        except Exception as error:
            place = (
                f" for link {where}" if where in {link.name for link in self._plan.links} else ""
            )
            raise PluginError(
                f"{self.name}: {what} {plugin!r} must make a machine{place}, it raised "
                f"{type(error).__name__}: {error}"
            ) from error

    # ------------------------------------------------------------ events

    def items(self, items: list[Item]) -> None:
        """Handle what is due, in the order given."""
        for item in items:
            if type(item) is Crashed:
                self._crash()
            elif type(item) is Restarted:
                self._restart(item.incarnation)
            else:
                self.driver.items([item])

    def _crash(self) -> None:
        at, delta = self.driver.now, self.driver.round
        self.driver = self._new_driver(0)
        self.driver.begin(at, delta)
        self.driver.write_down("node", PowerLost())
        if self.session is not None:
            self.session.die()
        if self._scope is not None:
            self._scope.cancel()
            self._woken()

    def _restart(self, incarnation: int) -> None:
        at, delta = self.driver.now, self.driver.round
        self.driver = self._new_driver(incarnation)
        self.driver.begin(at, delta)
        self._build(incarnation)
        self.driver.write_down("node", PowerBack(incarnation))

    # ------------------------------------------------------------ application

    def _parameters(self) -> Any:
        app = self._plan.app
        try:
            return msgspec.convert(app.parameters, self._seams.app.parameters)
        except msgspec.ValidationError as error:
            raise ConfigError(str(error), path=f"app ({app.name})") from None

    def _to_app(self, event: Any) -> None:
        if self.session is not None and not self.session.dead:
            self.session.deliver(event)
            return
        if isinstance(event, PeerLost):
            return
        if self.session is not None and isinstance(event, Received):
            return  # for the application that went with the crash
        if isinstance(event, Received) or getattr(event.indication, "slot", None) is not None:
            raise PluginError(
                f"{self.name} must run an application to be given a pair or a message of one; it was "
                f"given {event!r}"
            )

    async def run_app(self) -> None:
        """Run this node's application to its end, or to the node's crash, and note its result."""
        assert self.session is not None
        role = self.session.role
        result: Any = None
        with trio.CancelScope() as self._scope:
            result = await self._seams.app.roles[role](self.session)
        if self.session.dead:
            return
        try:
            msgspec.json.encode(result)
            # In one order whatever the hash seed: a set in a result must not make two traces of one run.
            body = msgspec.Raw(msgspec.msgpack.encode(result, order="deterministic"))
        except (TypeError, ValueError, OverflowError) as error:
            raise PluginError(
                f"result of {role} must be plain data that msgpack and JSON can keep, got "
                f"{type(result).__name__}: {error}"
            ) from None
        self._touch(self)
        self.driver.write_down(APP, AppReturned(role, result))
        self.driver.outputs.append(AppEnded(role, body))


def purifier_above(below: str) -> str:
    """Name of the purification machine above ``below``: "purify:NAME" of a link, "purify:network"."""
    return f"purify:{below.rpartition(':')[2]}"
