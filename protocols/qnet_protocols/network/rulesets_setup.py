"""RuleSets at one node: how they come and go, and the pairs of links that they work on.

Theory
    SETUP collects on its way out what each link and node is like; the responder refuses, or computes all
    RuleSets and sends them back; each node takes its own from INSTALL and begins to ask its link towards the
    responder for pairs. Behind it everybody is ready by then, so that no pair and no message about one comes
    to a node without its RuleSet.

    A node that was told of the end of a RuleSet remembers its name: what comes later is late.
Late, early, impossible
    *Late:* anything about a RuleSet that is over here. *Impossible:* SETUP that does not come along its own
    path; INSTALL that was not asked for.
Assumptions and validity
    Neighbours' messages are reliable and in order, or PeerLost comes.
Not modelled
    Fair shares for RuleSets that meet on a link: they take turns pair by pair, and a pair that waits too
    long for its swap makes way.
Units
    Instants in picoseconds.
Sources
    Matsuo, Durand, Van Meter, Phys. Rev. A 100, 052320 (2019): two-pass set-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import LinkId, NodeId, PairId, RequestId
from qnet.layers.link import (
    Accept,
    Cancel,
    Create,
    Err,
    ErrorCode,
    Expired,
    Ok,
    RequestEnded,
    StopAccepting,
)
from qnet.machine import Message
from qnet.physics.claims import DecayRates
from qnet.seams import NodeContext
from qnet.units import Duration, Instant
from qnet_protocols.network.rulesets_ends import Initiator, Responder
from qnet_protocols.network.rulesets_engine import Engine, Held, Outbox
from qnet_protocols.network.rulesets_messages import (
    Broken,
    Ended,
    Install,
    Lost,
    News,
    Refused,
    SetUp,
    Unseen,
)
from qnet_protocols.network.rulesets_rules import RuleSet, RuleSetId
from qnet_protocols.network.rulesets_survey import decide, survey, unfit

RESERVED: Final = 0x8000
"""Purposes of requests to links start here; those of applications end before."""

PURPOSES: Final = 0x10000
ALONE: Final = 16
"""Pairs per request to a link that no other RuleSet uses here."""

FAILURES: Final = 3
"""So many requests to a link that fail without a pair between them break the RuleSet."""

EXPIRIES: Final = 16
"""The same for requests, mostly for one pair, whose pairs came to one end only: messages were lost."""

PAST_LIMIT: Final = 256
"""RuleSets that are over and remembered."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One side of a path at a node: the neighbour, the machine that gives pairs, their purpose."""

    peer: NodeId
    link: LinkId
    below: str
    label: int


@dataclass(slots=True, eq=False)
class Course:
    """One RuleSet at this node.

    Attributes:
        setup: as it came, or was sent.
        up, down: towards the initiator and the responder; None beyond an end.
        end: what this node does as an end of the path.
        engine: None until the RuleSet is here.
        asked: requests to the downstream link that are open.
        failures: of such requests since the last pair.
    """

    setup: SetUp
    up: Hop | None
    down: Hop | None
    end: Initiator | Responder | None = None
    engine: Engine | None = None
    asked: list[RequestId] = field(default_factory=list)
    failures: int = 0

    @property
    def name(self) -> RuleSetId:
        """Name of the RuleSet."""
        return self.setup.ruleset

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Both sides."""
        return tuple(hop for hop in (self.up, self.down) if hop is not None)


class Courses:
    """All RuleSets of one node.

    Args:
        context: of the node.
        outbox: of the node.
        patience: a pair waits for its swap so many mean times of the slowest link, if the route has no cutoff.
        responder: makes the end of a request to this node, None if its purpose is not accepted.
        broken: told when the RuleSet of an initiator cannot go on: (course, code, why).
    """

    def __init__(
        self,
        context: NodeContext,
        outbox: Outbox,
        *,
        patience: float,
        responder: Callable[[SetUp], Responder | None],
        broken: Callable[[Course, ErrorCode, str], None],
    ) -> None:
        self._context = context
        self._node = context.node
        self._outbox = outbox
        self._patience = patience
        self._responder = responder
        self._on_broken = broken
        self._links = {link.name: link for link in context.links}
        self._courses: dict[RuleSetId, Course] = {}
        self._past: dict[RuleSetId, Course | None] = {}
        self._sides: dict[tuple[str, bool, int], Course] = {}
        self._asked: dict[RequestId, Course] = {}
        self._next_label = RESERVED

    def __len__(self) -> int:
        return len(self._courses)

    def __iter__(self) -> Iterator[Course]:
        return iter(list(self._courses.values()))

    def get(self, name: RuleSetId) -> Course | None:
        """The RuleSet, unless it is over."""
        return self._courses.get(name)

    def past(self, name: RuleSetId) -> Course | None:
        """The RuleSet, if it is over and remembered."""
        return self._past.get(name)

    # ------------------------------------------------------------ set-up

    def begin(self, setup: SetUp, end: Initiator) -> Refused | None:
        """The initiator sends SETUP out; or why it cannot."""
        return self._enter(setup, 0, end)

    def on_setup(self, source: NodeId, setup: SetUp) -> None:
        """Take part, and pass it on or answer it; or refuse.

        Raises:
            RemoteProtocolError: it does not come along its own path, or twice.
        """
        if setup.ruleset in self._past:
            return
        place = setup.nodes.index(self._node) if self._node in setup.nodes else 0
        if setup.ruleset in self._courses or place == 0 or setup.nodes[place - 1] != source:
            raise RemoteProtocolError(
                f"{self._node}: SETUP must come once, from the node before this one on its path, got {setup!r} "
                f"from {source}"
            )
        end = None
        if place == len(setup.nodes) - 1:
            end = self._responder(setup)
            if end is None:
                detail = f"purpose {setup.purpose} of {setup.nodes[0]} must be accepted, it is not"
                self._refuse(setup, ErrorCode.REJECTED, detail)
                return
        refused = self._enter(setup, place, end)
        if refused is not None:
            self._outbox.send(setup.nodes[0], refused)

    def _refuse(self, setup: SetUp, code: ErrorCode, detail: str) -> None:
        self._remember(setup.ruleset, None)
        refused = Refused(setup.ruleset, int(code), self._node, detail)
        self._outbox.send(setup.nodes[0], refused)

    def _enter(self, setup: SetUp, place: int, end: Initiator | Responder | None) -> Refused | None:
        reason = unfit(self._context, setup, place)
        if reason:
            self._remember(setup.ruleset, None)
            return Refused(setup.ruleset, int(ErrorCode.NORES), self._node, reason)
        up = None if place == 0 else self._hop(setup, place - 1, place - 1, setup.label)
        course = Course(setup, up, None, end)
        if place < len(setup.nodes) - 1:
            course.down = self._hop(setup, place + 1, place, self._new_label())
            link = self._links[course.down.link]
            known = survey(self._context.platform, link, inner=up is not None)
            onward = msgspec.structs.replace(
                setup, label=course.down.label, surveyed=(*setup.surveyed, known)
            )
            self._outbox.send(course.down.peer, onward)
        else:
            decided = decide(setup, self._context, patience=self._patience)
            if isinstance(decided, str):
                self._remember(setup.ruleset, None)
                return Refused(setup.ruleset, int(ErrorCode.UNSUPP), self._node, decided)
            self._install(course, decided)
        self._courses[course.name] = course
        if up is not None:
            self._sides[up.below, False, up.label] = course
            self._outbox.ask(up.below, Accept(up.peer, up.label))
        if course.down is not None:
            self._sides[course.down.below, True, course.down.label] = course
        return None

    def _hop(self, setup: SetUp, peer: int, link: int, label: int) -> Hop:
        name = setup.links[link]
        return Hop(setup.nodes[peer], name, self._context.below[name], label)

    def _new_label(self) -> int:
        taken = {label for _, origin, label in self._sides if origin}
        while self._next_label in taken:
            self._next_label = max(RESERVED, (self._next_label + 1) % PURPOSES)
        label = self._next_label
        self._next_label = max(RESERVED, (label + 1) % PURPOSES)
        return label

    def _install(self, course: Course, rulesets: tuple[RuleSet, ...]) -> None:
        """Take one's own, pass the rest on."""
        end = course.end
        course.engine = Engine(self._outbox, rulesets[-1], _nobody if end is None else end.take)
        if end is not None:
            end.engine = course.engine
        if course.up is not None:
            self._outbox.send(course.up.peer, Install(course.name, rulesets[:-1]))

    def on_install(self, source: NodeId, message: Install) -> None:
        """The RuleSets have come.

        Raises:
            RemoteProtocolError: they were not asked for, or are those of another node.
        """
        course = self._courses.get(message.ruleset)
        if course is None:
            return
        hop, rulesets = course.down, message.rulesets
        if hop is None or hop.peer != source or course.engine is not None:
            raise RemoteProtocolError(f"{self._node}: {message!r} of {source} was not asked for")
        if not rulesets or rulesets[-1].owner != self._node:
            raise RemoteProtocolError(
                f"{self._node}: the last RuleSet must be that of this node, got {message!r} from {source}"
            )
        self._install(course, rulesets)
        self._ask(course)

    # ------------------------------------------------------------ links

    def _ask(self, course: Course) -> None:
        hop = course.down
        assert hop is not None
        users = [one for one in self if hop.link in (side.link for side in one.hops)]
        request = RequestId(self._outbox.name())
        course.asked.append(request)
        self._asked[request] = course
        self._outbox.ask(
            hop.below,
            Create(
                request,
                hop.peer,
                ALONE if len(users) == 1 else 1,
                0.0,
                Duration(0),
                hop.label,
                priority=0,
                store=course.setup.store,
            ),
        )

    def on_ok(self, source: str, ok: Ok, now: Instant) -> Course | None:
        """A link has a pair: it goes to its RuleSet, or back if that is over."""
        course = self._sides.get((source, ok.origin, ok.purpose))
        if course is None or course.engine is None:
            self._outbox.release(ok.slot)
            return None
        if ok.origin:
            course.failures = 0
            if course.asked[-1:] == [ok.request]:
                self._ask(course)
        stated = "memory" if course.setup.store else "communication"
        if course.end is not None and self._context.platform.role_of(ok.slot) != stated:
            self._outbox.release(ok.slot)
            detail = f"{source} must hand up {stated} slots at {self._node}, as stated, got slot {ok.slot}"
            self.break_(course, ErrorCode.NORES, detail)
            return None
        course.engine.on_pair(Held.of(ok, now), now)
        if isinstance(course.end, Responder):
            course.end.settle()
        return course

    def on_expired(self, source: str, expired: Expired, now: Instant) -> None:
        """A link takes pairs back, perhaps after the end of their RuleSet."""
        for origin in (True, False):
            course = self._sides.get((source, origin, expired.purpose)) or self._former(
                source, origin, expired.purpose
            )
            if course is None:
                continue
            for pair in expired.pairs:
                for node in course.setup.nodes:
                    if node != self._node:
                        self._outbox.send(node, Lost(course.name, pair))
                self.lose(course, pair, now)

    def _former(self, source: str, origin: bool, label: int) -> Course | None:
        for course in reversed(self._past.values()):
            hop = None if course is None else course.down if origin else course.up
            if hop is not None and (hop.below, hop.label) == (source, label):
                return course
        return None

    def lose(self, course: Course, pair: PairId, now: Instant) -> None:
        """A pair of a link of the path is void."""
        if course.end is not None:
            course.end.on_lost(pair)
        if course.engine is not None and not course.engine.closed:
            course.engine.on_lost(pair, now)
        if isinstance(course.end, Responder):
            course.end.settle()

    def on_link_ended(self, answer: Err | RequestEnded) -> None:
        """A request to a link is over: the next one, unless it fails for good."""
        course = self._asked.pop(answer.request, None)
        if course is None:
            return
        course.asked.remove(answer.request)
        if isinstance(answer, Err):
            course.failures += 1
            transient = answer.code in (ErrorCode.OTHER, ErrorCode.EXPIRE, ErrorCode.TIMEOUT)
            limit = EXPIRIES if answer.code is ErrorCode.EXPIRE else FAILURES
            if not transient or course.failures >= limit:
                assert course.down is not None
                detail = f"link {course.down.link} answered {answer.code.name}: {answer.detail}"
                self.break_(course, answer.code, detail)
                return
        if not course.asked:
            self._ask(course)

    # ------------------------------------------------------------ partners

    def on_news(self, source: NodeId, news: News, now: Instant) -> Course | None:
        """A partner says what became of a pair."""
        course = self._courses.get(news.ruleset)
        if course is None or course.engine is None or course.engine.closed:
            return None
        course.engine.on_news(source, news, now)
        if isinstance(course.end, Responder):
            course.end.settle()
        return course

    # ------------------------------------------------------------ how it ends

    def close(self, course: Course) -> None:
        """The RuleSet is over here: nothing of it is held any more."""
        if self._courses.pop(course.name, None) is None:
            return
        self._remember(course.name, course)
        if course.engine is not None:
            course.engine.close()
        self._rest(course)
        down = course.down
        if down is not None:
            del self._sides[down.below, True, down.label]
            for request in course.asked:
                del self._asked[request]
                self._outbox.ask(down.below, Cancel(request))
            course.asked.clear()

    def _remember(self, name: RuleSetId, course: Course | None) -> None:
        self._past[name] = course
        if len(self._past) > PAST_LIMIT:
            del self._past[next(iter(self._past))]

    def tell_all(self, course: Course, message: Message) -> None:
        """To all other nodes of the path."""
        for node in course.setup.nodes:
            if node != self._node:
                self._outbox.send(node, message)

    def break_(
        self, course: Course, code: ErrorCode, detail: str, *, told_by: NodeId | None = None
    ) -> None:
        """The RuleSet cannot go on."""
        if told_by is None and not isinstance(course.end, Initiator):
            self.tell_all(course, Broken(course.name, int(code), detail))
        if isinstance(course.end, Initiator):
            self._on_broken(course, code, detail)
        elif isinstance(course.end, Responder) and course.engine is not None:
            if told_by is not None and not course.engine.closed:
                # The initiator may have lost its memory, and with it the request: a message finds that out.
                self._outbox.send(course.setup.nodes[0], Broken(course.name, int(code), detail))
            course.engine.close()
            self._rest(course)
            course.end.settle()
        else:
            self.close(course)

    def _rest(self, course: Course) -> None:
        """No more pairs from the upstream link."""
        up = course.up
        if up is not None and self._sides.pop((up.below, False, up.label), None) is not None:
            self._outbox.ask(up.below, StopAccepting(up.peer, up.label))

    def on_broken(self, source: NodeId, message: Broken) -> None:
        """Another node cannot go on."""
        course = self._courses.get(message.ruleset)
        if course is not None:
            detail = f"{source}: {message.detail}"
            self.break_(course, ErrorCode(message.code), detail, told_by=source)
        elif message.ruleset not in self._past:
            self._remember(message.ruleset, None)

    def on_ended(self, message: Ended) -> None:
        """The initiator ends the request."""
        course = self._courses.get(message.ruleset)
        if course is None:
            if message.ruleset not in self._past:
                self._remember(message.ruleset, None)
        elif isinstance(course.end, Responder):
            course.end.on_ended(message)
        else:
            self.close(course)

    def on_unseen(self, message: Unseen) -> None:
        """The responder will never announce these."""
        course = self._past.get(message.ruleset)
        if course is not None and course.end is not None:
            course.end.expire(message.indices)

    def peer_lost(self, peer: NodeId, detail: str, restarted: bool) -> None:
        """Whatever is shared with that node is void."""
        former = self._past.values() if restarted else ()
        for past in former:
            if past is not None and past.end is not None and peer in _ends(past):
                past.end.expire_all()
        for course in self:
            if peer not in course.setup.nodes:
                continue
            end = course.end
            if end is not None and peer in _ends(course):
                end.expire_all()
            self.break_(course, ErrorCode.OTHER, detail)
            if isinstance(end, Responder) and peer == course.setup.nodes[0]:
                end.fail(detail)
                self.close(course)


def _ends(course: Course) -> tuple[NodeId, NodeId]:
    return course.setup.nodes[0], course.setup.nodes[-1]


def _nobody(pair: Held, decay: DecayRates, now: Instant) -> None:
    raise LocalProtocolError(
        f"an end of the path must be here to take {pair!r} at {now} ps (decay {decay})"
    )
