"""Mutants of the built-in link protocol: each has one fault, and names the requirement that it breaks.

Most are the right machine with something changed at its border: an input that it gets, an effect that it
returns. Some are changed inside. ``seeds`` is how many seeds the suite may need to catch one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import PairId, RequestId
from qnet.layers import link, physical
from qnet.machine import (
    Applied,
    Apply,
    DeadlineReached,
    Effect,
    Indicate,
    Indicated,
    Message,
    PeerLost,
    Received,
    Release,
    Requested,
    Send,
)
from qnet.program import Draw, Gate, Measure, Program
from qnet.units import Duration, Instant
from qnet_protocols.link import messages as wire
from qnet_protocols.link.egp import PROTOCOL, EgpEnd

alter = msgspec.structs.replace
PAIRS = (link.Ok, link.OkMeasured)


@dataclass(frozen=True)
class Mutant:
    """A protocol with one fault."""

    name: str
    breaks: str
    protocol: Any
    seeds: int = 2

    @property
    def layer(self) -> str:
        return self.breaks.split("-")[1].lower()


MUTANTS: list[Mutant] = []


def mutant(breaks: str, seeds: int = 2) -> Callable[[type[EgpEnd]], type[EgpEnd]]:
    """Register a faulty end; ``messages`` of the class replace those of the protocol."""

    def register(end: type[EgpEnd]) -> type[EgpEnd]:
        name = "".join(f"-{c.lower()}" if c.isupper() else c for c in end.__name__).strip("-")
        kinds = getattr(end, "MESSAGES", PROTOCOL.messages)
        protocol = replace(PROTOCOL, name=name, make_end=end, messages=kinds)
        MUTANTS.append(Mutant(name, breaks, protocol, seeds))
        return end

    return register


class Border(EgpEnd):
    """An end whose inputs and effects pass a filter."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.context = context

    def handle(self, event: Any, now: Instant) -> list[Effect]:
        heard = self.hear(event, now)
        if heard is None:
            return []
        effects = list(super().handle(heard, now))
        return [one for effect in effects for one in self.say(effect, heard, now)]

    def hear(self, event: Any, now: Instant) -> Any:
        return event

    def say(self, effect: Effect, event: Any, now: Instant) -> Iterable[Effect]:
        return (effect,)


class Saying(Border):
    """An end that says something else to its user."""

    def say(self, effect: Effect, event: Any, now: Instant) -> Iterable[Effect]:
        if isinstance(effect, Indicate):
            return tuple(
                alter(effect, indication=one) for one in self.tell(effect.indication, event, now)
            )
        return (effect,)

    def tell(self, said: Any, event: Any, now: Instant) -> Iterable[Any]:
        return (said,)


class Asking(Border):
    """An end that understands CREATE otherwise."""

    def hear(self, event: Any, now: Instant) -> Any:
        if isinstance(event, Requested) and isinstance(event.request, link.Create):
            return alter(event, request=self.read(event.request))
        return event

    def read(self, create: link.Create) -> link.Create:
        return create


class Dropping(Saying):
    """An end that never says some things to its user."""

    unsaid: ClassVar[tuple[type[Any], ...]] = ()

    def tell(self, said: Any, event: Any, now: Instant) -> Iterable[Any]:
        return () if isinstance(said, self.unsaid) else (said,)


# ---------------------------------------------------------------- ends of requests


@mutant("QN-LINK-1.1-1")
class EndsTwice(Saying):
    def tell(self, said, event, now):
        ended = isinstance(said, link.RequestEnded) and isinstance(event, Received)
        return (said, said) if ended else (said,)


@mutant("QN-LINK-1.1-2")
class RejectionIsNotTold(Border):
    def say(self, effect, event, now):
        err = isinstance(effect, Indicate) and isinstance(effect.indication, link.Err)
        rejected = err and effect.indication.code == link.ErrorCode.TIMEOUT
        return () if rejected else (effect,)


@mutant("QN-LINK-1.1-3")
class PeerHearsNoEnd(Saying):
    def tell(self, said, event, now):
        peer = isinstance(said, link.RequestEnded | link.Err) and not said.origin
        return () if peer else (said,)


@mutant("QN-LINK-1.1-4")
class EndsBeforeItsLastPair(Border):
    def handle(self, event, now):
        effects = super().handle(event, now)
        ends = [e for e in effects if self.is_end(e)]
        return ends + [e for e in effects if e not in ends]

    @staticmethod
    def is_end(effect):
        return isinstance(effect, Indicate) and isinstance(effect.indication, link.RequestEnded)


@mutant("QN-LINK-1.1-5")
class CountsVoidPairsToo(Saying):
    def tell(self, said, event, now):
        if isinstance(said, link.RequestEnded) and said.cancelled:
            return (alter(said, delivered=said.delivered + 1),)
        return (said,)


@mutant("QN-LINK-1.1-6")
class OnePairTooFew(Asking):
    def read(self, create):
        return alter(create, number=max(1, create.number - 1))


@mutant("QN-LINK-1.1-7")
class WrongPurpose(Saying):
    def tell(self, said, event, now):
        return (
            (alter(said, purpose=0),) if isinstance(said, link.Ok) and not said.origin else (said,)
        )


# ---------------------------------------------------------------- acceptance and refusals


@mutant("QN-LINK-1.2-1")
class AcceptsEveryPurpose(Border):
    def hear(self, event, now):
        if isinstance(event, Received) and isinstance(event.message, wire.Propose):
            super(Border, self).handle(
                Requested(link.Accept(self.context.remote, event.message.purpose)), now
            )
        return event


@mutant("QN-LINK-1.2-2")
class PeerHearsOfWhatItRejects(Border):
    def say(self, effect, event, now):
        if isinstance(effect, Send) and isinstance(effect.message, wire.Rejected):
            one = effect.message
            told = link.Err(one.request, link.ErrorCode(one.code), False, self.context.remote, 7)
            return (effect, Indicate(told))
        return (effect,)


@mutant("QN-LINK-1.2-3")
class NeverStopsAccepting(Border):
    def hear(self, event, now):
        stops = isinstance(event, Requested) and isinstance(event.request, link.StopAccepting)
        return None if stops else event


@mutant("QN-LINK-1.2-4")
class GuessesTheAnswer(Border):
    """Refuses at once what the peer has not accepted the other way."""

    def handle(self, event, now):
        create = getattr(event, "request", None)
        if isinstance(create, link.Create) and create.purpose not in self._agreement._accepting:
            err = link.Err(
                create.request,
                link.ErrorCode.REJECTED,
                True,
                create.remote,
                create.purpose,
                "guessed",
            )
            return [Indicate(err)]
        return super().handle(event, now)


@mutant("QN-LINK-1.3-1")
class TakesAnyNumber(Asking):
    def read(self, create):
        return alter(create, number=max(1, create.number))


@mutant("QN-LINK-1.3-2")
class IgnoresTheMinimumFidelity(Asking):
    def read(self, create):
        odd = not 0.0 <= create.minimum_fidelity <= 1.0
        return create if odd else alter(create, minimum_fidelity=0.0)


@mutant("QN-LINK-1.3-3")
class PromisesTheImpossible(Asking):
    def read(self, create):
        short = 0 < create.max_time < 3 * self.context.link.cycle
        return alter(create, max_time=Duration(10**9)) if short else create


@mutant("QN-LINK-1.3-5")
class MakesNoBatches(Asking):
    def read(self, create):
        return alter(create, atomic=False) if create.number > 4 else create


@mutant("QN-LINK-1.4-1")
class CancelsAlone(Border):
    def say(self, effect, event, now):
        closes = isinstance(effect, Send) and isinstance(effect.message, wire.Close)
        return () if closes and effect.message.reason == "cancelled" else (effect,)


@mutant("QN-LINK-1.4-2")
class AnswersEveryCancel(Border):
    def handle(self, event, now):
        effects = super().handle(event, now)
        request = getattr(event, "request", None)
        if isinstance(request, link.Cancel) and not effects:
            ended = link.RequestEnded(request.request, True, self.context.remote, 7, 0, True)
            effects.append(Indicate(ended))
        return effects


# ---------------------------------------------------------------- deadlines


@mutant("QN-LINK-1.5-1")
class ForgetsTheDeadline(Asking):
    def read(self, create):
        long = create.max_time >= create.number * self.context.link.cycle
        return alter(create, max_time=Duration(0)) if long else create


@mutant("QN-LINK-1.5-2")
class DeadlineTooEarly(Asking):
    """As if the time of flight were over before the request was made."""

    def read(self, create):
        long = create.max_time > 4 * self.context.link.cycle
        return alter(create, max_time=Duration(create.max_time // 2)) if long else create


@mutant("QN-LINK-1.5-2")
class DeadlineInverted(Border):
    """Says TIMEOUT as soon as it has time left."""

    def handle(self, event, now):
        effects = super().handle(event, now)
        for entry in list(self._queue):
            deadline = entry.terms.deadline
            if deadline is not None and deadline > now and isinstance(event, DeadlineReached):
                effects += self._turns.close(entry, "timeout", now)
                self._due = self._earliest()
        return effects


@mutant("QN-LINK-1.5-3")
class AnnouncesWhenItHears(EgpEnd):
    """Off by one window: each end reckons with its own time of flight, not with the longer one."""

    def __init__(self, context):
        super().__init__(context)
        timing, plan, side = self._timing, context.link, context.side

        class Own(type(timing)):
            def lag(self, terms):
                return Duration(plan.flights[side] + plan.correction[side])

            def until(self, terms):
                return None if terms.deadline is None else terms.deadline - max(plan.flights)

        own = Own(**{name: getattr(timing, name) for name in timing.__dataclass_fields__})
        self._timing = self._turns._timing = self._delivery._timing = own


# ---------------------------------------------------------------- pairs


@mutant("QN-LINK-2.1-1")
class KeptOnOneSideOnly(Border):
    def say(self, effect, event, now):
        told = effect.indication if isinstance(effect, Indicate) else None
        if isinstance(told, link.Ok) and not told.origin:
            return (Release(told.slot),)
        return (effect,)


@mutant("QN-LINK-2.1-2")
class PeerTellsTheHeraldedLabel(Border):
    heralded = (0, 0)

    def hear(self, event, now):
        if isinstance(event, Indicated) and isinstance(event.indication, physical.Heralded):
            self.heralded = event.indication.label
        return event

    def say(self, effect, event, now):
        told = effect.indication if isinstance(effect, Indicate) else None
        if isinstance(told, link.Ok) and not told.origin:
            return (alter(effect, indication=alter(told, label=self.heralded)),)
        return (effect,)


@mutant("QN-LINK-2.1-3")
class BothAreOrigins(Saying):
    def tell(self, said, event, now):
        return (alter(said, origin=True),) if isinstance(said, PAIRS) else (said,)


@mutant("QN-LINK-2.1-4")
class ReusedId(Saying):
    def tell(self, said, event, now):
        if not isinstance(said, PAIRS):
            return (said,)
        name, _, number = said.pair.partition("#")
        return (alter(said, pair=PairId(f"{name}#{int(number) % 2}")),)


@mutant("QN-LINK-2.1-5")
class OwnCounterAsId(Saying):
    """Counts its own pairs instead of using the station's number."""

    count = 0

    def tell(self, said, event, now):
        if not isinstance(said, PAIRS):
            return (said,)
        self.count += 1
        return (alter(said, pair=PairId(f"alice-bob#{self.count}")),)


@mutant("QN-LINK-2.1-6")
class ClickIsWhenItWasHeard(Border):
    def hear(self, event, now):
        return event

    def say(self, effect, event, now):
        told = effect.indication if isinstance(effect, Indicate) else None
        if isinstance(told, PAIRS):
            at = Instant(told.created_at + self.context.link.flights[self.context.side])
            return (alter(effect, indication=alter(told, created_at=at)),)
        return (effect,)


@mutant("QN-LINK-2.2-1")
class IndexFromZero(Saying):
    def tell(self, said, event, now):
        return (alter(said, index=said.index - 1),) if isinstance(said, PAIRS) else (said,)


@mutant("QN-LINK-2.2-1")
class OnePairTooMany(Asking):
    def read(self, create):
        return alter(create, number=create.number + 1) if create.number > 1 else create


@mutant("QN-LINK-2.2-3")
class GoodnessOfTheClick(Saying):
    def tell(self, said, event, now):
        is_ok = isinstance(said, link.Ok)
        return (alter(said, goodness_at=said.created_at),) if is_ok else (said,)


@mutant("QN-LINK-2.2-5")
class AnswersBeforeLightTime(Saying):
    """Says that the pair was made just now: no herald can have come from such a click."""

    def tell(self, said, event, now):
        return (alter(said, created_at=now),) if isinstance(said, PAIRS) else (said,)


@mutant("QN-LINK-2.2-6")
class KeepsTheSlot(Border):
    def say(self, effect, event, now):
        is_ok = isinstance(effect, Indicate) and isinstance(effect.indication, link.Ok)
        return (alter(effect, slots=()),) if is_ok else (effect,)


# ---------------------------------------------------------------- labels


@mutant("QN-LINK-2.3-1")
class WrongCorrection(Border):
    def say(self, effect, event, now):
        if not isinstance(effect, Apply):
            return (effect,)
        swap = {"X": "Z", "Z": "X"}
        steps = tuple(
            Gate(swap.get(step.name, step.name), step.slots) if isinstance(step, Gate) else step
            for step in effect.program.instructions
        )
        return (alter(effect, program=Program(steps)),)


@mutant("QN-LINK-2.3-1")
class NoCorrection(EgpEnd):
    def __init__(self, context):
        super().__init__(context)
        self._delivery._gate = lambda terms, label: "I"


@mutant("QN-LINK-2.3-2")
class IgnoresTheFinalState(Asking):
    def read(self, create):
        return alter(create, final=None) if create.kind == "K" else create


class _CorrectsAsPeer(EgpEnd):
    alone = False

    def __init__(self, context):
        super().__init__(context)
        true = self._delivery._gate

        def gate(terms, label):
            if terms.origin:
                return "I" if self.alone else true(terms, label)
            return true(alter(terms, origin=True), label)

        self._delivery._gate = gate


@mutant("QN-LINK-2.3-3")
class BothCorrect(_CorrectsAsPeer):
    pass


@mutant("QN-LINK-2.3-3")
class PeerCorrects(_CorrectsAsPeer):
    alone = True


# ---------------------------------------------------------------- void pairs


@mutant("QN-LINK-2.4-1")
class ExpiresTwice(Saying):
    def tell(self, said, event, now):
        return (said, said) if isinstance(said, link.Expired) else (said,)


@mutant("QN-LINK-2.4-2")
class NeverExpires(Dropping):
    unsaid = (link.Expired,)


@mutant("QN-LINK-2.4-3", seeds=6)
class AsksOnceOnly(EgpEnd):
    """Messages about void pairs and closed requests are not sent again."""

    def __init__(self, context):
        super().__init__(context)
        endings = self._endings

        def resend(now):
            for key, closing in list(endings._closings.items()):
                if closing.resend_at <= now:
                    del endings._closings[key]
            return []

        endings.resend = resend


@mutant("QN-LINK-2.4-4")
class AnnouncesLateHeralds(Border):
    def handle(self, event, now):
        effects = super().handle(event, now)
        late = getattr(event, "indication", None)
        if isinstance(late, physical.HeraldedLate):
            request, _, index = late.attempt.rpartition(".")
            ok = link.OkMeasured(
                RequestId(request),
                PairId(f"alice-bob#{late.sequence}"),
                int(index),
                request.startswith(self.context.node),
                self.context.remote,
                7,
                (0, 0),
                0.94,
                0.005,
                late.clicked_at,
                Instant(0),
                "Z",
                0,
            )
            effects.append(Indicate(ok))
        return effects


@mutant("QN-LINK-2.4-6")
class WaitsForTheMissingHerald(Border):
    """Takes only the very next sequence number for a success."""

    next = 1

    def hear(self, event, now):
        told = getattr(event, "indication", None)
        if isinstance(told, physical.Heralded):
            if told.sequence > self.next:
                stopped = physical.AttemptsStopped(told.attempt, told.slot)
                return alter(event, indication=stopped)
            self.next = told.sequence + 1
        return event


@mutant("QN-LINK-2.4-7")
class EndsWithoutAPair(Saying):
    def tell(self, said, event, now):
        if isinstance(said, link.Err) and said.code == link.ErrorCode.EXPIRE:
            return (link.RequestEnded(said.request, said.origin, said.remote, said.purpose, 0),)
        return (said,)


# ---------------------------------------------------------------- kinds


@mutant("QN-LINK-3.1-1")
class PeerMeasuresToo(Border):
    """Remote preparation: the peer reads its half as well."""

    def hear(self, event, now):
        message = getattr(event, "message", None)
        if isinstance(message, wire.Propose) and message.service == "R":
            changed = alter(message, service="M", store=False, basis=link.BasisChoice())
            return alter(event, message=changed)
        return event


@mutant("QN-LINK-3.1-2")
class InvertedOutcome(Saying):
    def tell(self, said, event, now):
        ours = isinstance(said, link.OkMeasured) and said.origin
        return (alter(said, outcome=1 - said.outcome),) if ours else (said,)


@mutant("QN-LINK-3.1-3")
class PeerUsesTheOriginsBases(Asking):
    def read(self, create):
        return alter(create, distant=create.local) if create.kind == "M" else create


@mutant("QN-LINK-3.1-4")
class DrawsWithoutWeights(Border):
    def say(self, effect, event, now):
        if not isinstance(effect, Apply):
            return (effect,)
        steps = tuple(
            Draw((1.0,) * len(step.weights)) if isinstance(step, Draw) else step
            for step in effect.program.instructions
        )
        return (alter(effect, program=Program(steps)),)


@mutant("QN-LINK-3.2-1")
class StoresNothing(Asking):
    def read(self, create):
        return alter(create, store=False)


@mutant("QN-LINK-3.2-2")
class BatchBecomesARow(Asking):
    def read(self, create):
        small = create.atomic and create.kind == "K" and create.number <= 4
        return alter(create, atomic=False, store=True) if small else create


@mutant("QN-LINK-3.2-3")
class DividesConsecutivePairs(Asking):
    def read(self, create):
        return alter(create, consecutive=False)


@mutant("QN-LINK-4.1-1", seeds=4)
class ServesTheLastPriorityFirst(Asking):
    def read(self, create):
        return alter(create, priority=15 - create.priority)


@mutant("QN-LINK-4.1-2", seeds=4)
class EachEndHasItsOwnOrder(Border):
    """End B hands up what comes at one instant in the other order."""

    def handle(self, event, now):
        effects = super().handle(event, now)
        if self.context.side == 0:
            return effects
        oks = [
            effect for effect in effects if isinstance(getattr(effect, "indication", None), link.Ok)
        ]
        rest = [effect for effect in effects if effect not in oks]
        return oks[::-1] + rest


# ---------------------------------------------------------------- slots


@mutant("QN-LINK-5.1-1")
class ReleasesTwice(Border):
    def say(self, effect, event, now):
        again = isinstance(effect, Release) and isinstance(event, Applied)
        return (effect, effect) if again else (effect,)


@mutant("QN-LINK-5.1-2", seeds=4)
class LeaksTheSlotOfAStoppedRun(Border):
    def say(self, effect, event, now):
        told = getattr(event, "indication", None)
        stopped = isinstance(told, physical.AttemptsStopped)
        return () if stopped and isinstance(effect, Release) else (effect,)


@mutant("QN-LINK-5.1-2", seeds=4)
class LeaksMemory(EgpEnd):
    def __init__(self, context):
        super().__init__(context)
        self._slots.unreserve = lambda request: []


@mutant("QN-LINK-5.1-3", seeds=4)
class ReleasesUnderAProgram(Border):
    def say(self, effect, event, now):
        if isinstance(effect, Apply) and isinstance(effect.program.instructions[-1], Measure):
            return (effect, Release(effect.program.instructions[-1].slot))
        return (effect,)


@mutant("QN-LINK-5.1-4", seeds=4)
class GivesUpWithoutASlot(EgpEnd):
    """A peer without a slot for long is taken for one that fails."""

    def handle(self, event, now):
        effects = list(super().handle(event, now))
        if isinstance(getattr(event, "message", None), wire.NoSlot):
            for entry in self._queue.agreed():
                effects += self._turns.close(entry, "no_answer", now)
            self._due = self._earliest()
        return effects


# ---------------------------------------------------------------- claims


class _Claiming(Saying):
    def claim(self, ok):
        return ok

    def tell(self, said, event, now):
        return (self.claim(said),) if isinstance(said, PAIRS) else (said,)


@mutant("QN-LINK-6.1-1")
class ClaimsTooMuch(_Claiming):
    def claim(self, ok):
        if isinstance(ok, link.Ok):
            return alter(ok, goodness=0.985, correlators=(0.98, 0.98, 0.98))
        return alter(ok, goodness=0.985)


@mutant("QN-LINK-6.1-2")
class DeliversLessThanWasAsked(_Claiming):
    def claim(self, ok):
        is_ok = isinstance(ok, link.Ok)
        return alter(ok, goodness=0.7, correlators=(0.6, 0.6, 0.6)) if is_ok else ok


@mutant("QN-LINK-6.1-3")
class CorrelatorsOfAnotherState(_Claiming):
    def claim(self, ok):
        is_ok = isinstance(ok, link.Ok)
        return alter(ok, correlators=(0.9, 0.9, 0.9)) if is_ok else ok


@mutant("QN-LINK-6.1-4")
class EndsClaimDifferently(_Claiming):
    def claim(self, ok):
        return alter(ok, goodness_error=0.001) if ok.origin else ok


# ---------------------------------------------------------------- peers, messages, machine


@mutant("QN-LINK-7.1-1")
class GoesOnAfterAPeersRestart(Border):
    def hear(self, event, now):
        return None if isinstance(event, PeerLost) else event


@mutant("QN-LINK-7.1-2", seeds=4)
class NeverTrustsAPeerAgain(Border):
    burnt = False

    def hear(self, event, now):
        self.burnt = self.burnt or isinstance(event, PeerLost)
        silent = self.burnt and isinstance(getattr(event, "message", None), wire.Propose)
        return None if silent else event


@mutant("QN-LINK-7.1-3")
class WaitsForEver(EgpEnd):
    """No limit on the silence of a peer."""

    def __init__(self, context):
        super().__init__(context)
        self._turns._dead_at = lambda: None


@mutant("QN-LINK-7.2-1")
class EveryCopyCounts(Border):
    """A second copy of an acceptance is taken for the end of the request."""

    seen: set[Any]

    def __init__(self, context):
        super().__init__(context)
        self.seen = set()

    def handle(self, event, now):
        message = getattr(event, "message", None)
        if isinstance(message, wire.Accepted):
            if message.request in self.seen:
                return super().handle(Requested(link.Cancel(message.request)), now)
            self.seen.add(message.request)
        return super().handle(event, now)


@mutant("QN-LINK-7.2-2")
class ListensToStrangers(Border):
    def hear(self, event, now):
        return alter(event, source=self.context.remote) if isinstance(event, Received) else event


class Chatter(Message, frozen=True):
    kind: ClassVar[str] = "link.egp/chatter@1"
    reliable: ClassVar[bool] = False
    link: str


@mutant("QN-LINK-7.2-3")
class SaysWhatIsNotListed(Border):
    def handle(self, event, now):
        effects = super().handle(event, now)
        told = any(isinstance(effect, Apply) for effect in effects)
        return [*effects, Send(self.context.remote, Chatter("alice-bob"))] if told else effects


@mutant("QN-LINK-8.1-1")
class TripsOverACrossedCancel(Border):
    def hear(self, event, now):
        request = getattr(event, "request", None)
        if isinstance(request, link.Cancel) and self._queue.get(request.request) is None:
            raise RemoteProtocolError(f"{request.request} is not open")
        return event


@mutant("QN-LINK-8.1-2")
class NeverLetsAnInstantEnd(EgpEnd):
    """The deadline stays where it was when it has been reached."""

    stuck: Instant | None = None

    def handle(self, event, now):
        effects = super().handle(event, now)
        self.stuck = now if isinstance(event, DeadlineReached) else None
        return effects

    def next_deadline(self):
        return super().next_deadline() if self.stuck is None else self.stuck


@mutant("QN-LINK-8.1-3")
class PollsForEver(EgpEnd):
    now = 0

    def handle(self, event, now):
        self.now = now
        return (
            []
            if isinstance(event, DeadlineReached) and self.idle(now)
            else super().handle(event, now)
        )

    def idle(self, now):
        due = super().next_deadline()
        return due is None or due > now

    def next_deadline(self):
        due = super().next_deadline()
        poll = Instant(self.now + 20_000_000)
        return poll if due is None else min(due, poll)


@mutant("QN-LINK-8.1-4")
class RemembersOutsideItself(Border):
    count: ClassVar[list[int]] = [0]

    def say(self, effect, event, now):
        if isinstance(effect, Send) and isinstance(effect.message, wire.Propose):
            self.count[0] += 1
            message = alter(effect.message, requested_at=max(0, now - self.count[0]))
            return (alter(effect, message=message),)
        return (effect,)


@mutant("QN-LINK-8.1-5")
class TakesAnIdAgain(Border):
    def handle(self, event, now):
        try:
            return super().handle(event, now)
        except LocalProtocolError:
            return []


_BY_NAME = {one.name: one.protocol for one in MUTANTS}
NEVER_EXPIRES = _BY_NAME["never-expires"]
INDEX_FROM_ZERO = _BY_NAME["index-from-zero"]
RELEASES_TWICE = _BY_NAME["releases-twice"]
"""Targets for the command line and for processes."""
