"""Mutants of the built-in purification and network protocols: each has one fault, and names what it breaks.

All are the right machine with something changed at its border: an input that it gets, an effect that it
returns. ``seeds`` is how many seeds the suite may need to catch one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar

import msgspec

from qnet.ids import PairId, RequestId
from qnet.layers import link
from qnet.layers.network import CircuitDown, CircuitUp, OpenCircuit
from qnet.machine import (
    Applied,
    Effect,
    Indicate,
    Indicated,
    PeerLost,
    Release,
    Request,
    Requested,
    Send,
)
from qnet.physics.bell import label_xor
from qnet.testing.conformance.faults import MIDDLE
from qnet.units import Duration, Instant
from qnet_protocols.network import messages as qnp
from qnet_protocols.network.qnp import PROTOCOL as QNP
from qnet_protocols.purification import messages as steps
from qnet_protocols.purification.dejmps import PROTOCOL as DEJMPS

from .mutants import Mutant

alter = msgspec.structs.replace
ENDS = (link.RequestEnded, link.Err)


MUTANTS: list[Mutant] = []


class Border:
    """A machine whose inputs and effects pass a filter."""

    parameters: ClassVar[dict[str, Any]] = {}

    def __init__(self, context: Any) -> None:
        self.context = replace(context, parameters={**context.parameters, **self.parameters})
        purify = hasattr(context, "below") and isinstance(context.below, str)
        self.inner = (DEJMPS.make_end if purify else QNP.make_node)(self.context)
        self.middle = context.node in MIDDLE

    @property
    def state(self) -> Any:
        return self.inner.state

    def next_deadline(self) -> Instant | None:
        return self.inner.next_deadline()

    def handle(self, event: Any, now: Instant) -> list[Effect]:
        heard = self.hear(event, now)
        if heard is None:
            return []
        effects = list(self.inner.handle(heard, now))
        return [one for effect in effects for one in self.say(effect, heard, now)]

    def hear(self, event: Any, now: Instant) -> Any:
        request = getattr(event, "request", None)
        if isinstance(event, Requested) and isinstance(request, link.Create):
            return alter(event, request=self.read(request))
        return event

    def read(self, create: link.Create) -> link.Create:
        return create

    def say(self, effect: Effect, event: Any, now: Instant) -> Iterable[Effect]:
        if isinstance(effect, Indicate):
            told = self.tell(effect.indication)
            return tuple(alter(effect, indication=one) for one in told) or self.unsaid(effect)
        return (effect,)

    def unsaid(self, effect: Indicate) -> Iterable[Effect]:
        return [Release(slot) for slot in effect.slots]

    def tell(self, said: Any) -> Iterable[Any]:
        return (said,)


def mutant(*breaks: str, seeds: int = 2) -> Callable[[type[Border]], type[Border]]:
    """Register a faulty machine, for each layer of which it breaks a requirement."""

    def register(machine: type[Border]) -> type[Border]:
        for broken in breaks:
            name = "".join(f"-{c.lower()}" if c.isupper() else c for c in machine.__name__)
            if "PURIFY" in broken:
                protocol: Any = replace(DEJMPS, name=name.strip("-"), make_end=machine)
            else:
                protocol = replace(QNP, name=name.strip("-"), make_node=machine)
            MUTANTS.append(Mutant(name.strip("-"), broken, protocol, seeds))
        return machine

    return register


def both(number: str, seeds: int = 2) -> Callable[[type[Border]], type[Border]]:
    """A fault that both layers can have."""
    return mutant(f"QN-PURIFY-{number}", f"QN-NETWORK-{number}", seeds=seeds)


# ---------------------------------------------------------------- the pair service


@both("1.1-1")
class EndsTwice(Border):
    def tell(self, said):
        return (said, said) if isinstance(said, link.RequestEnded) else (said,)


@both("1.1-3")
class PeerHearsNoEnd(Border):
    def tell(self, said):
        return () if isinstance(said, ENDS) and not said.origin else (said,)


@both("1.1-5")
class CountsOneMore(Border):
    def tell(self, said):
        more = isinstance(said, link.RequestEnded)
        return (alter(said, delivered=said.delivered + 1) if more else said,)


@both("1.1-6")
class OnePairTooFew(Border):
    def read(self, create):
        return alter(create, number=max(1, create.number - 1))


@both("1.1-7")
class WrongPurpose(Border):
    def tell(self, said):
        peer = isinstance(said, link.Ok) and not said.origin
        return (alter(said, purpose=0) if peer else said,)


@both("1.2-1")
class AcceptsEveryPurpose(Border):
    def handle(self, event, now):
        message, effects = getattr(event, "message", None), []
        if isinstance(message, steps.Begin | qnp.Install):
            origin = event.source if isinstance(message, steps.Begin) else message.nodes[0]
            accept = Requested(link.Accept(origin, message.purpose), "app")
            effects = list(self.inner.handle(accept, now))
        return [*effects, *super().handle(event, now)]


@both("1.3-2")
class IgnoresTheMinimumFidelity(Border):
    def read(self, create):
        return alter(create, minimum_fidelity=0.0)


@both("1.4-1")
class PeerCannotCancel(Border):
    def hear(self, event, now):
        request = getattr(event, "request", None)
        theirs = isinstance(request, link.Cancel)
        theirs = theirs and not request.request.startswith(f"{self.context.node}/")
        return None if theirs else super().hear(event, now)


@both("1.5-2")
class DoublesTheDeadline(Border):
    def read(self, create):
        return alter(create, max_time=Duration(2 * create.max_time))


@both("2.1-1", seeds=3)
class KeepsOnOneSideOnly(Border):
    def tell(self, said):
        second = isinstance(said, link.Ok) and said.index == 2 and said.origin
        return () if second else (said,)


@both("2.1-2")
class PeerHasAnotherLabel(Border):
    def tell(self, said):
        peer = isinstance(said, link.Ok | link.OkMeasured) and not said.origin
        return (alter(said, label=label_xor(said.label, (1, 0))) if peer else said,)


@both("2.1-4")
class OneIdForAll(Border):
    def tell(self, said):
        return (alter(said, pair=PairId("p")) if isinstance(said, link.Ok) else said,)


@both("2.3-1")
class WrongLabelAtBothEnds(Border):
    def tell(self, said):
        pair = isinstance(said, link.Ok | link.OkMeasured)
        return (alter(said, label=label_xor(said.label, (0, 1))) if pair else said,)


@both("2.3-2")
class ForgetsTheFinalState(Border):
    def read(self, create):
        return alter(create, final=None)


@both("3.1-3")
class ReadsInZ(Border):
    def tell(self, said):
        return (alter(said, basis="W") if isinstance(said, link.OkMeasured) else said,)


@both("5.1-2")
class LeaksSlots(Border):
    def say(self, effect, event, now):
        return () if isinstance(effect, Release) else super().say(effect, event, now)


@both("5.1-5")
class AsksUnderOneName(Border):
    def say(self, effect, event, now):
        create = getattr(effect, "request", None)
        if isinstance(effect, Request) and isinstance(create, link.Create):
            one = RequestId(f"{self.context.node}/1/raw1")
            return (alter(effect, request=alter(create, request=one)),)
        return super().say(effect, event, now)


@both("6.1-3")
class GoodnessOfAnotherPair(Border):
    def tell(self, said):
        return (alter(said, goodness=said.goodness / 2) if isinstance(said, link.Ok) else said,)


@both("6.1-5", seeds=1)
class ClaimsPerfection(Border):
    def tell(self, said):
        if isinstance(said, link.Ok):
            return (alter(said, goodness=1.0, goodness_error=0.0, correlators=(1.0, 1.0, 1.0)),)
        return (said,)


@mutant("QN-PURIFY-7.1-1")
class IgnoresLostPeers(Border):
    def hear(self, event, now):
        return None if isinstance(event, PeerLost) else super().hear(event, now)


@both("8.1-1")
class TakesNoCancel(Border):
    def hear(self, event, now):
        if isinstance(getattr(event, "request", None), link.Cancel):
            raise KeyError("cancel")
        return super().hear(event, now)


# ---------------------------------------------------------------- purification


@mutant("QN-PURIFY-2.5-1", seeds=3)
class IgnoresExpiries(Border):
    def hear(self, event, now):
        gone = isinstance(event, Indicated) and isinstance(event.indication, link.Expired)
        return None if gone else super().hear(event, now)


@mutant("QN-PURIFY-2.3-1")
class ForgetsTheLabelsOfRawPairs(Border):
    def hear(self, event, now):
        told = getattr(event, "indication", None)
        if isinstance(told, link.Ok):
            return alter(event, indication=alter(told, label=(0, 0)))
        return super().hear(event, now)


@mutant("QN-PURIFY-6.1-5", seeds=1)
class KeepsWhatFailed(Border):
    """Both ends take every step for a success: the peer reads what the origin has read."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.bits: dict[tuple[str, int], tuple[int, ...]] = {}

    def hear(self, event, now):
        if isinstance(event, Applied) and len(event.outcomes) == 1:
            return alter(event, outcomes=(0,))
        told = getattr(event, "indication", None)
        if isinstance(told, link.Ok):
            return alter(event, indication=alter(told, label=(0, 0)))
        return super().hear(event, now)


@mutant("QN-PURIFY-5.1-6")
class WaitsForEver(Border):
    parameters: ClassVar[dict[str, Any]] = {"patience_s": 1e9}


@mutant("QN-PURIFY-6.1-2")
class HandsUpTheRest(Border):
    def say(self, effect, event, now):
        if isinstance(effect, Send) and isinstance(effect.message, steps.Begin):
            return (alter(effect, message=alter(effect.message, minimum_fidelity=0.0)),)
        return super().say(effect, event, now)


@mutant("QN-PURIFY-9.1-1")
class KnowsNoCircuits(Border):
    def hear(self, event, now):
        order = isinstance(getattr(event, "request", None), OpenCircuit)
        return None if order else super().hear(event, now)


# ---------------------------------------------------------------- networks


class Middle(Border):
    """Only nodes between the ends are faulty."""

    def handle(self, event: Any, now: Instant) -> list[Effect]:
        return super().handle(event, now) if self.middle else list(self.inner.handle(event, now))


@mutant("QN-NETWORK-1.1-6", seeds=1)
class LosesASwapRecord(Middle):
    lost = False

    def say(self, effect, event, now):
        if isinstance(effect, Send) and isinstance(effect.message, qnp.Track) and not self.lost:
            self.lost = True
            return ()
        return (effect,)


@mutant("QN-NETWORK-2.3-1")
class ForgetsTheOutcomeOfASwap(Middle):
    def hear(self, event, now):
        return alter(event, outcomes=(0, 0)) if isinstance(event, Applied) else event


@mutant("QN-NETWORK-2.3-1")
class ForgetsTheLabelsOfLinks(Middle):
    def hear(self, event, now):
        told = getattr(event, "indication", None)
        if isinstance(told, link.Ok):
            return alter(event, indication=alter(told, label=(0, 0)))
        return event


@mutant("QN-NETWORK-2.3-1")
class MistakesOutcomes(Middle):
    """Phase and parity change places."""

    def hear(self, event, now):
        return alter(event, outcomes=event.outcomes[::-1]) if isinstance(event, Applied) else event


@mutant("QN-NETWORK-9.4-1")
class KnowsNoCutoff(Border):
    parameters: ClassVar[dict[str, Any]] = {"cutoff": "off"}


@mutant("QN-NETWORK-5.1-1", seeds=3)
class DiscardsWhileItSwaps(Middle):
    """The cutoff of a half comes although its swap has begun: it is given back twice."""

    def say(self, effect, event, now):
        twice = isinstance(effect, Release) and isinstance(event, Applied)
        return (effect, effect) if twice else (effect,)


@mutant("QN-NETWORK-1.1-2", seeds=3)
class KeepsDiscardsToItself(Middle):
    def say(self, effect, event, now):
        gone = isinstance(effect, Send) and isinstance(effect.message, qnp.Expire)
        return () if gone else (effect,)


@mutant("QN-NETWORK-2.1-5", seeds=3)
class TracksAnotherPair(Middle):
    """A record is mixed up: the track of the second pair goes on in the name of the first one."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.first: dict[Any, Any] = {}

    def say(self, effect, event, now):
        if isinstance(effect, Send) and isinstance(effect.message, qnp.Track):
            key = (effect.target, effect.message.circuit)
            held = self.first.pop(key, None)
            if held is None:
                self.first[key] = effect
                return ()
            one, two = held.message, effect.message
            swapped = (alter(one, link=two.link), alter(two, link=one.link))
            return tuple(Send(effect.target, message) for message in swapped)
        return (effect,)


@mutant("QN-NETWORK-9.4-2")
class TellsEverybody(Border):
    def say(self, effect, event, now):
        if isinstance(getattr(event, "request", None), link.Create) and not self.middle:
            word = qnp.Abandoned(event.request.request, None, False, "")
            return (effect, Send(MIDDLE[2], word))
        return super().say(effect, event, now)


@mutant("QN-NETWORK-9.4-3")
class TellsItsUser(Middle):
    def say(self, effect, event, now):
        if isinstance(effect, Send) and isinstance(effect.message, qnp.Install):
            told = link.RequestEnded(RequestId("alice/1"), False, effect.target, 7, 0)
            return (effect, Indicate(told))
        return (effect,)


@mutant("QN-NETWORK-7.1-4")
class EndsAreNotTold(Border):
    def hear(self, event, now):
        broken = isinstance(getattr(event, "indication", None), link.Err)
        lost = broken or isinstance(event, PeerLost)
        return None if lost else super().hear(event, now)

    def say(self, effect, event, now):
        words = isinstance(effect, Send) and isinstance(effect.message, qnp.Broken | qnp.Settle)
        return () if words else super().say(effect, event, now)


@mutant("QN-NETWORK-9.2-1")
class NeverSettlesEarlyHalves(Border):
    def tell(self, said):
        early = isinstance(said, link.Ok) and said.kind == "E" and said.index == 1
        return () if early and not said.origin else (said,)

    def unsaid(self, effect):
        return ()


@mutant("QN-NETWORK-9.3-2")
class EstimatesTooLow(Border):
    def tell(self, said):
        low = isinstance(said, link.FidelityEstimated)
        return (alter(said, fidelity=0.9) if low else said,)


@mutant("QN-NETWORK-9.1-1")
class CircuitGoesDownTwice(Border):
    def tell(self, said):
        return (said, said) if isinstance(said, CircuitDown) else (said,)


@mutant("QN-NETWORK-9.1-2")
class NamesHalfOfThePath(Border):
    def tell(self, said):
        return (alter(said, nodes=said.nodes[:-1]) if isinstance(said, CircuitUp) else said,)


@mutant("QN-NETWORK-9.1-8")
class PromisesTooMuch(Border):
    def tell(self, said):
        return (alter(said, goodness=1.0) if isinstance(said, CircuitUp) else said,)
