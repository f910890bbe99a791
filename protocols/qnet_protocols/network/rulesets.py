"""RuleSets: pairs between any two nodes, by nodes that act alone on documents that the responder wrote.

Theory
    A request is set up once along a route (:mod:`.rulesets_setup`). Each node gets a RuleSet
    (:mod:`.rulesets_rules`) and follows it (:mod:`.rulesets_engine`): it swaps in the order of a binary tree
    and tells the two partners, who share the longer pair then. Both ends announce what the root of the tree
    has made (:mod:`.rulesets_ends`).

    *A stale RuleSet* would desynchronise in silence. Here a RuleSet has a name that never comes again, rules
    are numbered over all nodes of the path, firings are numbered, and pairs are named by what they are made
    of: a message that does not fit is an error that names all of it.
Late, early, impossible
    See the modules.
Invariants
    Every request ends exactly once at each end. Both ends announce the same id, request, index and label for
    a pair, or one of them says EXPIRE. Memory is bounded by what is under way.
Assumptions and validity
    Neighbours' messages are reliable and in order, or PeerLost comes. Claims are exact for infinite T1 and
    exact claims of the links; otherwise within the stated error.
Not modelled
    Kinds M, R and E, atomic requests, test rounds, virtual circuits; purification by rules (links may purify);
    repeaters with fewer communication slots than links, unless the request says ``store``.
Sources
    Matsuo, Durand, Van Meter, "Quantum link bootstrapping using a RuleSet-based communication protocol",
    Phys. Rev. A 100, 052320 (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import NodeId, RequestId
from qnet.layers.link import (
    Accept,
    Cancel,
    Create,
    Err,
    ErrorCode,
    Expired,
    FidelityEstimated,
    Ok,
    RequestEnded,
    StopAccepting,
)
from qnet.layers.network import CircuitDown, CloseCircuit, OpenCircuit
from qnet.machine import (
    Applied,
    DeadlineReached,
    Effect,
    Indicated,
    Input,
    PeerLost,
    Received,
    Record,
    Requested,
)
from qnet.physics.claims import Corrector, Hardware
from qnet.plan import Route
from qnet.seams import NetworkProtocol, NodeContext
from qnet.units import Instant
from qnet_protocols.network.rulesets_ends import Initiator, Responder
from qnet_protocols.network.rulesets_engine import Outbox
from qnet_protocols.network.rulesets_messages import (
    MESSAGES,
    Broken,
    Ended,
    Free,
    Install,
    Lost,
    Refused,
    SetUp,
    Stop,
    Transfer,
    Unseen,
    Update,
)
from qnet_protocols.network.rulesets_rules import RuleSetId
from qnet_protocols.network.rulesets_setup import RESERVED, Course, Courses
from qnet_protocols.network.rulesets_survey import end_decay


class RuleSetParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``rulesets``.

    Attributes:
        wait_times: where the route has no cutoff, a pair waits for its swap so many mean times of the slowest
            link of the path, > 0; then both halves are freed.
    """

    wait_times: Annotated[float, msgspec.Meta(gt=0.0)] = 32.0


class RuleSetState(Record, frozen=True):
    """What is under way at a node: counts, and the RuleSet of the last step.

    Attributes:
        rulesets, asked, programs: how many RuleSets, requests of this node, programs.
        ruleset: of the last step, "" for none.
        pairs: of that RuleSet: pairs held, messages that wait for their pair.
    """

    rulesets: int
    asked: int
    programs: int
    ruleset: RuleSetId
    pairs: tuple[int, ...]


@dataclass(slots=True, eq=False)
class _Asked:
    """A request of this node: ``routes`` are those that were not tried yet."""

    create: Create
    requested_at: Instant
    deadline: Instant | None
    routes: list[Route]
    course: Course | None = None


class RuleSetNode:
    """The network machine of one node: offers the pair service of :mod:`qnet.layers.link`, kind K."""

    def __init__(self, context: NodeContext) -> None:
        parameters = msgspec.convert(dict(context.parameters), RuleSetParameters)
        self._context = context
        self._node = context.node
        hardware = Hardware(context.platform, context.cycles)
        self._outbox = Outbox(context.node, hardware, context.incarnation)
        self._accepted: set[tuple[NodeId, int]] = set()
        self._asked: dict[RequestId, _Asked] = {}
        self._courses = Courses(
            context,
            self._outbox,
            patience=parameters.wait_times,
            responder=self._responder,
            broken=self._broken,
        )
        self._touched: Course | None = None
        self._due: Instant | None = None

    @property
    def state(self) -> RuleSetState:
        """Snapshot of the present state."""
        course = self._touched
        engine = None if course is None else course.engine
        return RuleSetState(
            len(self._courses),
            len(self._asked),
            self._outbox.programs,
            RuleSetId("") if course is None else course.name,
            () if engine is None else engine.counts,
        )

    def next_deadline(self) -> Instant | None:
        """The earliest deadline; changes in :meth:`handle` only."""
        return self._due

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        """React to one event."""
        match event:
            case Received(source, _, message):
                self._on_message(source, message, now)
            case Indicated(indication, source):
                self._on_indication(source, indication, now)
            case Applied(op, outcomes):
                self._outbox.ended(op, outcomes, now)
            case Requested(request):
                self._on_request(request, now)
            case DeadlineReached():
                self._on_deadline(now)
            case PeerLost(peer, restarted):
                words = f"{peer} was restarted" if restarted else f"messages of {peer} were lost"
                self._courses.peer_lost(peer, words, restarted)
            case _:
                raise LocalProtocolError(
                    f"{self._node}: rulesets asked for no {event!r}, at {now} ps"
                )
        dues = [asked.deadline for asked in self._asked.values()]
        dues += [
            course.engine.next_deadline() for course in self._courses if course.engine is not None
        ]
        self._due = min((due for due in dues if due is not None), default=None)
        return self._outbox.take()

    # ------------------------------------------------------------ from above

    def _on_request(self, request: object, now: Instant) -> None:
        match request:
            case Create():
                self._create(request, now)
            case Cancel(request=wanted):
                self._cancel(wanted)
            case Accept(remote, purpose):
                self._accepted.add((remote, purpose))
            case StopAccepting(remote, purpose):
                self._accepted.discard((remote, purpose))
            case OpenCircuit(circuit, remote):
                detail = "the network protocol must be one with virtual circuits, it is rulesets"
                self._outbox.tell(
                    CircuitDown(circuit, remote, ErrorCode.UNSUPP, self._node, detail)
                )
            case CloseCircuit():
                pass  # it was refused
            case _:
                raise LocalProtocolError(
                    f"{self._node}: a request of the network service must be one of qnet.layers.link or "
                    f"qnet.layers.network, got {request!r}"
                )

    def _create(self, create: Create, now: Instant) -> None:
        refusal = _unfit(create, self._node)
        routes = [
            route
            for route in self._context.routes.get(create.remote, ())
            if route.goodness >= create.minimum_fidelity
        ]
        if refusal is None and not routes:
            best = max(
                (route.goodness for route in self._context.routes.get(create.remote, ())),
                default=0.0,
            )
            refusal = (
                ErrorCode.UNSUPP,
                f"a route to {create.remote} must offer {create.minimum_fidelity}, the best offers {best:.6f}",
            )
        if refusal is not None:
            code, detail = refusal
            err = Err(create.request, code, True, create.remote, create.purpose, detail)
            self._outbox.tell(err)
            return
        deadline = Instant(now + create.max_time) if create.max_time else None
        asked = self._asked[create.request] = _Asked(create, now, deadline, routes)
        self._set_up(asked, "")

    def _set_up(self, asked: _Asked, refused: str, code: ErrorCode = ErrorCode.OTHER) -> None:
        """Try the next route; without one the request ends with the last refusal."""
        create = asked.create
        while asked.routes:
            route = asked.routes.pop(0)
            setup = SetUp(
                ruleset=RuleSetId(self._outbox.name()),
                nodes=route.nodes,
                links=route.links,
                request=create.request,
                pairs=create.number,
                minimum_fidelity=create.minimum_fidelity,
                purpose=create.purpose,
                store=create.store,
                final=create.final,
                requested_at=asked.requested_at,
                cutoff=route.cutoff,
                decay=end_decay(self._context, store=create.store),
                mixing=Corrector.of(self._context.platform).mixing,
                label=0,
                surveyed=(),
            )
            end = Initiator(self._outbox, setup, lambda: self._end(asked, None, ""))
            answer = self._courses.begin(setup, end)
            if answer is None:
                asked.course = self._courses.get(setup.ruleset)
                return
            refused, code = answer.detail, ErrorCode(answer.code)
        del self._asked[create.request]
        self._outbox.tell(Err(create.request, code, True, create.remote, create.purpose, refused))

    def _end(
        self,
        asked: _Asked,
        code: ErrorCode | None,
        detail: str,
        *,
        cancelled: bool = False,
        broken: bool = False,
    ) -> None:
        """The request is over."""
        course = asked.course
        assert course is not None
        assert isinstance(course.end, Initiator)
        del self._asked[asked.create.request]
        ended = course.end.end(code, detail, cancelled=cancelled, broken=broken)
        self._courses.tell_all(course, ended)
        self._courses.close(course)

    def _cancel(self, request: RequestId) -> None:
        asked = self._asked.get(request)
        if asked is not None:
            self._end(asked, None, "", cancelled=True)
            return
        for course in self._courses:
            if isinstance(course.end, Responder) and course.setup.request == request:
                self._outbox.send(course.setup.nodes[0], Stop(course.name))

    def _responder(self, setup: SetUp) -> Responder | None:
        head = setup.nodes[0]
        if (head, setup.purpose) not in self._accepted:
            return None

        def unseen(indices: tuple[int, ...]) -> None:
            self._outbox.send(head, Unseen(setup.ruleset, indices))

        def finished() -> None:
            course = self._courses.get(setup.ruleset)
            if course is not None:
                self._courses.close(course)

        return Responder(self._outbox, setup, unseen=unseen, finished=finished)

    # ------------------------------------------------------------ from below

    def _on_indication(self, source: str, indication: object, now: Instant) -> None:
        match indication:
            case Ok():
                self._touched = self._courses.on_ok(source, indication, now)
            case Expired():
                self._courses.on_expired(source, indication, now)
            case Err() | RequestEnded():
                self._courses.on_link_ended(indication)
            case FidelityEstimated():
                pass  # of pairs of a link, which the routes have their own figures for
            case _:
                raise LocalProtocolError(
                    f"{self._node}: {source} must say Ok, Expired, Err or RequestEnded of requests of kind K, "
                    f"got {indication!r}"
                )

    # ------------------------------------------------------------ from other nodes

    def _on_message(self, source: NodeId, message: object, now: Instant) -> None:
        courses = self._courses
        known = courses.get(getattr(message, "ruleset", RuleSetId("")))
        if known is not None and source not in known.setup.nodes:
            raise RemoteProtocolError(
                f"{self._node}: {message!r} must come from a node of {'-'.join(known.setup.nodes)}, "
                f"got it from {source}, at {now} ps"
            )
        match message:
            case Transfer() | Update() | Free():
                self._touched = courses.on_news(source, message, now)
            case SetUp():
                courses.on_setup(source, message)
            case Install():
                courses.on_install(source, message)
            case Refused():
                self._on_refused(message)
            case Lost(ruleset, pair):
                course = courses.get(ruleset) or courses.past(ruleset)
                if course is not None:
                    courses.lose(course, pair, now)
            case Broken():
                courses.on_broken(source, message)
            case Ended():
                courses.on_ended(message)
            case Unseen():
                courses.on_unseen(message)
            case Stop(ruleset):
                asked = self._asker(courses.get(ruleset))
                if asked is not None:
                    self._end(asked, None, "", cancelled=True)
            case _:
                raise RemoteProtocolError(
                    f"{self._node}: {message!r} of {source} must be of rulesets, at {now} ps"
                )

    def _asker(self, course: Course | None) -> _Asked | None:
        return next(
            (one for one in self._asked.values() if course is not None and one.course is course),
            None,
        )

    def _on_refused(self, message: Refused) -> None:
        course = self._courses.get(message.ruleset)
        asked = self._asker(course)
        if course is None or asked is None:
            return
        detail = f"{message.where}: {message.detail}"
        self._courses.tell_all(
            course, Ended(course.name, message.code, detail, False, 0, (), False)
        )
        self._courses.close(course)
        asked.course = None
        self._set_up(asked, detail, ErrorCode(message.code))

    def _broken(self, course: Course, code: ErrorCode, detail: str) -> None:
        asked = self._asker(course)
        if asked is not None:
            self._end(asked, code, detail, broken=True)

    def _on_deadline(self, now: Instant) -> None:
        for course in self._courses:
            if course.engine is not None:
                course.engine.run(now)
        for asked in list(self._asked.values()):
            if asked.deadline is not None and asked.deadline <= now:
                create = asked.create
                self._end(asked, ErrorCode.TIMEOUT, f"max_time of {create.max_time} ps is over")


def _unfit(create: Create, node: NodeId) -> tuple[ErrorCode, str] | None:
    """Why a request cannot be taken whatever the network, or None."""
    malformed = (
        (create.remote != node, f"remote must be another node, got {create.remote}"),
        (create.number >= 1, f"number must be >= 1, got {create.number}"),
        (
            0.0 <= create.minimum_fidelity <= 1.0,
            f"minimum_fidelity must obey 0 <= F <= 1, got {create.minimum_fidelity}",
        ),
        (create.max_time >= 0, f"max_time must be >= 0 ps, got {create.max_time}"),
        (
            0 <= create.purpose < RESERVED,
            f"purpose must be >= 0 and < {RESERVED}, got {create.purpose}",
        ),
    )
    unsupported = (
        (create.kind == "K", f"kind must be K with rulesets, got {create.kind}"),
        (not create.circuit, f"circuit must be empty with rulesets, got {create.circuit}"),
        (not create.test_share, f"test_share must be 0 with rulesets, got {create.test_share}"),
        (
            not (create.atomic or create.consecutive) or create.number == 1,
            f"atomic and consecutive must be False for more than one pair, got {create.number} pairs",
        ),
    )
    for code, rules in ((ErrorCode.CREATE, malformed), (ErrorCode.UNSUPP, unsupported)):
        for holds, words in rules:
            if not holds:
                return code, words
    return None


PROTOCOL = NetworkProtocol(
    name="rulesets",
    make_node=RuleSetNode,
    messages=MESSAGES,
    parameters=RuleSetParameters,
    sources=("Matsuo, Durand, Van Meter, Phys. Rev. A 100, 052320 (2019)",),
)
