"""A node: machines, wired by its links, and the application's session on top."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from qnet.errors import ConfigError, PluginError
from qnet.ids import LinkId, NodeId
from qnet.machine import Received, Record
from qnet.plan import RunPlan
from qnet.plugins import find
from qnet.runtime.driver import APP, Driver
from qnet.runtime.notes import Notes
from qnet.runtime.session import Session
from qnet.seams import App, EndContext, HeraldingScheme, LinkProtocol
from qnet.units import Instant
from qnet.wire.catalogue import Catalogue
from qnet.wire.control import AppEnded


class AppReturned(Record, frozen=True):
    """For the trace: the application of this node has returned."""

    role: str
    result: Any


class Seams:
    """The plug-ins of a run, loaded by the names that its plan mentions."""

    def __init__(self, plan: RunPlan) -> None:
        self.schemes: dict[str, HeraldingScheme] = {}
        self.protocols: dict[str, LinkProtocol] = {}
        self.catalogue = Catalogue()
        for link in plan.links:
            if link.scheme not in self.schemes:
                scheme = find("qnet.heralding", link.scheme)
                self.schemes[link.scheme] = scheme
                self.catalogue.add("physical", scheme.messages)
            if link.protocol not in self.protocols:
                protocol = find("qnet.links", link.protocol)
                self.protocols[link.protocol] = protocol
                self.catalogue.add("link", protocol.messages)
        self.app: App = find("qnet.apps", plan.app.name)
        self.catalogue.add(APP, self.app.messages)


class Node:
    """One node of a run.

    Args:
        plan: of the run.
        name: which node.
        seams: the run's plug-ins.
        woken: called when a task of the application became runnable.
        touch: called before the application does something that must be reported; gives the instant.
    """

    def __init__(
        self,
        plan: RunPlan,
        name: NodeId,
        seams: Seams,
        *,
        woken: Callable[[], None],
        touch: Callable[[Node], Instant],
    ) -> None:
        self.name = name
        self._plan = plan
        self._seams = seams
        self._touch = touch
        platform = plan.node(name).platform
        links: dict[NodeId, LinkId] = {}
        for link in plan.links_of(name):
            links[EndContext(name, link).remote] = link.name
        self.driver = Driver(
            name,
            platform=platform,
            catalogue=seams.catalogue,
            to_app=self._to_app,
            note=Notes(links),
        )
        for link in plan.links_of(name):
            context = EndContext(name, link)
            physical = f"physical:{link.name}"
            with self._building("heralding scheme", link.scheme, link.name):
                self.driver.add(physical, seams.schemes[link.scheme].make_end(context))
            with self._building("link protocol", link.protocol, link.name):
                self.driver.add(
                    f"link:{link.name}",
                    seams.protocols[link.protocol].make_end(context),
                    below=physical,
                    remote=context.remote,
                )
        for link in plan.links:
            if link.station == name:
                with self._building("heralding scheme", link.scheme, link.name):
                    self.driver.add(
                        f"station:{link.name}", seams.schemes[link.scheme].make_station(link)
                    )
        self.session: Session | None = None
        role = plan.app.roles.get(name)
        if role is not None and platform is not None:
            self.session = Session(
                driver=self.driver,
                platform=platform,
                role=role,
                parameters=self._parameters(),
                seed=plan.seed,
                links={remote: str(link) for remote, link in links.items()},
                woken=woken,
                touch=lambda: touch(self),
            )

    @contextmanager
    def _building(self, what: str, plugin: str, link: LinkId) -> Iterator[None]:
        """Within it, whatever a plug-in raises becomes a PluginError that names it, node and link."""
        try:
            yield
        except Exception as error:
            raise PluginError(
                f"{self.name}: {what} {plugin!r} must make a machine for link {link}, it raised "
                f"{type(error).__name__}: {error}"
            ) from error

    def _parameters(self) -> Any:
        app = self._plan.app
        try:
            return msgspec.convert(app.parameters, self._seams.app.parameters)
        except msgspec.ValidationError as error:
            raise ConfigError(str(error), path=f"app ({app.name})") from None

    def _to_app(self, event: Any) -> None:
        if self.session is not None:
            self.session.deliver(event)
            return
        if isinstance(event, Received) or getattr(event.indication, "slot", None) is not None:
            raise PluginError(
                f"{self.name} must run an application to be given a pair or a message of one; it was "
                f"given {event!r}"
            )

    async def run_app(self) -> None:
        """Run this node's application to its end and note its result."""
        assert self.session is not None
        role = self.session.role
        result = await self._seams.app.roles[role](self.session)
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
        self.driver.app_returned(AppReturned(role, result))
        self.driver.outputs.append(AppEnded(role, body))
