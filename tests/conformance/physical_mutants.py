"""Mutants of a heralding scheme and of a platform sheet: each has one fault, and names what it breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import msgspec

from qnet.layers import physical
from qnet.machine import Effect, Indicate, Received, Requested, Send
from qnet.physics.bell import density_matrix, label_xor
from qnet.seams import ClickOutcome
from qnet.units import Instant
from qnet_nodes.ideal import IDEAL
from qnet_nodes.trapped_ion import SR88_2020
from qnet_protocols.heralding.double_click import SCHEME
from qnet_protocols.heralding.midpoint import HeraldRefused, HeraldReported

from .mutants import Mutant

alter = msgspec.structs.replace
MUTANTS: list[Mutant] = []


def scheme(breaks: str, seeds: int = 2, **changes: Any) -> None:
    """Register a scheme with changes."""
    name = f"scheme-{len(MUTANTS)}"
    MUTANTS.append(Mutant(name, breaks, replace(SCHEME, name=name, **changes), seeds))


def changed(change: Callable[[ClickOutcome, Any], ClickOutcome]) -> Any:
    """Outcomes, each changed."""
    return lambda optics, parameters: [
        change(one, optics) for one in SCHEME.outcomes(optics, parameters)
    ]


def scaled(state: Any, factor: float) -> Any:
    return tuple(tuple(factor * value for value in row) for row in state)


PURE = density_matrix((1.0, 0.0, 0.0, 0.0))


def bell(one: ClickOutcome) -> ClickOutcome:
    """A perfect pair with its label."""
    weights = [0.0] * 4
    weights[((0, 0), (0, 1), (1, 0), (1, 1)).index(one.label)] = 1.0
    return replace(one, state=density_matrix(tuple(weights)))  # type: ignore[arg-type]


def unphysical(one: ClickOutcome, _optics: Any) -> ClickOutcome:
    """Coherences larger than populations allow."""
    rows = [list(row) for row in one.state]
    rows[0][3], rows[3][0] = 0.7, 0.7
    return replace(one, state=tuple(map(tuple, rows)))


def lopsided(one: ClickOutcome, optics: Any) -> ClickOutcome:
    return replace(one, prob=one.prob * (0.5 + optics.eta_a / 2))


def from_nothing(optics: Any, parameters: Any) -> Any:
    if optics.eta_a > 0.0:
        return SCHEME.outcomes(optics, parameters)
    return [bell(one) for one in SCHEME.outcomes(alter(optics, eta_a=1e-3), parameters)]


def darker_is_better(one: ClickOutcome, optics: Any) -> ClickOutcome:
    return bell(one) if optics.dark_prob >= 1e-3 else one


def mislabelled(optics: Any, parameters: Any, uniform: Any) -> Any:
    drawn = SCHEME.sample(optics, parameters, uniform)
    return None if drawn is None else replace(drawn, label=label_xor(drawn.label, (0, 1)))


def mindful() -> Any:
    """A sampler that remembers how often it was asked."""
    asked = [0]

    def sample(optics: Any, parameters: Any, uniform: Any) -> Any:
        asked[0] += 1
        return None if asked[0] % 7 == 0 else SCHEME.sample(optics, parameters, uniform)

    return sample


scheme("QN-PHYSICAL-1.1-1", outcomes=changed(lambda one, _: replace(one, prob=9.0 * one.prob)))
scheme(
    "QN-PHYSICAL-1.1-2", outcomes=changed(lambda one, _: replace(one, state=scaled(one.state, 0.9)))
)
scheme("QN-PHYSICAL-1.1-2", outcomes=changed(unphysical))
scheme(
    "QN-PHYSICAL-1.1-3", outcomes=lambda o, p: [*SCHEME.outcomes(o, p), SCHEME.outcomes(o, p)[0]]
)
scheme(
    "QN-PHYSICAL-1.1-4",
    outcomes=changed(lambda one, _: replace(one, label=label_xor(one.label, (0, 1)))),
)
scheme("QN-PHYSICAL-1.2-1", outcomes=from_nothing)
scheme("QN-PHYSICAL-1.2-2", outcomes=changed(darker_is_better))
scheme("QN-PHYSICAL-1.2-3", outcomes=changed(lambda one, _: replace(bell(one), prob=0.24)))
scheme("QN-PHYSICAL-1.2-4", outcomes=changed(lopsided))
scheme("QN-PHYSICAL-1.3-1", outcomes=changed(lambda one, _: replace(one, prob=0.5 * one.prob)))
scheme("QN-PHYSICAL-1.3-2", outcomes=changed(lambda one, _: bell(one)))
scheme("QN-PHYSICAL-1.3-3", sample=mislabelled)
scheme("QN-PHYSICAL-1.3-4", sample=mindful())


# ---------------------------------------------------------------- machines


class Border:
    """A machine whose inputs and effects pass a filter."""

    def __init__(self, inner: Any, context: Any) -> None:
        self.inner, self.context = inner, context

    @property
    def state(self) -> Any:
        return self.inner.state

    def next_deadline(self) -> Instant | None:
        return self.inner.next_deadline()

    def handle(self, event: Any, now: Instant) -> list[Effect]:
        heard = self.hear(event)
        if heard is None:
            return []
        return [one for effect in self.inner.handle(heard, now) for one in self.say(effect)]

    def hear(self, event: Any) -> Any:
        return event

    def say(self, effect: Any) -> Iterable[Any]:
        return (effect,)


def end(breaks: str, seeds: int = 2) -> Callable[[type[Border]], type[Border]]:
    """Register a scheme with a faulty end."""

    def register(machine: type[Border]) -> type[Border]:
        scheme(breaks, seeds, make_end=lambda context: machine(SCHEME.make_end(context), context))
        return machine

    return register


def station(breaks: str, seeds: int = 2) -> Callable[[type[Border]], type[Border]]:
    """Register a scheme with a faulty station."""

    def register(machine: type[Border]) -> type[Border]:
        scheme(
            breaks,
            seeds,
            make_station=lambda context: machine(SCHEME.make_station(context), context),
        )
        return machine

    return register


@end("QN-PHYSICAL-2.2-5")
class KeepsLateHeralds(Border):
    def say(self, effect):
        late = isinstance(effect, Indicate) and isinstance(effect.indication, physical.HeraldedLate)
        return () if late else (effect,)


@end("QN-PHYSICAL-5.1-1", seeds=3)
class TakesLateHerald(Border):
    """A herald of a run that was stopped is a success, in the slot that it had."""

    def say(self, effect):
        late = getattr(effect, "indication", None)
        if isinstance(late, physical.HeraldedLate):
            facts = (late.attempt, 0, late.sequence, (0, 0), late.clicked_at)
            return (Indicate(physical.Heralded(*facts), (0,)),)
        return (effect,)


@end("QN-PHYSICAL-2.1-3")
class StopsLate(Border):
    def next_deadline(self):
        due = self.inner.next_deadline()
        return None if due is None else Instant(due + 1)


@end("QN-PHYSICAL-2.1-2")
class NeverStops(Border):
    def hear(self, event):
        stops = isinstance(event, Requested) and isinstance(event.request, physical.StopAttempts)
        return None if stops else event


@end("QN-PHYSICAL-8.1-2")
class DeadlineDoesNotMove(Border):
    def hear(self, event):
        return event if isinstance(event, Requested | Received) else None


@end("QN-PHYSICAL-2.1-1")
class AnswersForAnotherRun(Border):
    def say(self, effect):
        told = getattr(effect, "indication", None)
        if isinstance(told, physical.AttemptsStopped):
            return (alter(effect, indication=alter(told, attempt="alice/0.0")),)
        return (effect,)


@end("QN-PHYSICAL-7.2-2")
class HearsStrangers(Border):
    def hear(self, event):
        if isinstance(event, Received):
            return alter(event, source=self.context.link.station)
        return event


@station("QN-PHYSICAL-2.2-3")
class WrongLabel(Border):
    def say(self, effect):
        if isinstance(effect, Send) and isinstance(effect.message, HeraldReported):
            return (
                alter(effect, message=alter(effect.message, label_x=1 - effect.message.label_x)),
            )
        return (effect,)


@station("QN-PHYSICAL-2.2-1")
class TwoLabels(Border):
    def say(self, effect):
        told = isinstance(effect, Send) and isinstance(effect.message, HeraldReported)
        if told and effect.target == self.context.link.ends[1]:
            return (
                alter(effect, message=alter(effect.message, label_z=1 - effect.message.label_z)),
            )
        return (effect,)


@station("QN-PHYSICAL-2.2-6")
class TakesAnyIds(Border):
    def say(self, effect):
        message = getattr(effect, "message", None)
        if isinstance(message, HeraldRefused) and message.fault == "QUEUE_MISMATCH":
            own = (
                message.attempt_a
                if effect.target == self.context.link.ends[0]
                else message.attempt_b
            )
            sequence = message.last_sequence + 1
            told = HeraldReported(message.link, own, sequence, 1, 0, message.clicked_at)
            return (Send(effect.target, told),)
        return (effect,)


@station("QN-PHYSICAL-2.2-2", seeds=3)
class NumbersBackwards(Border):
    def say(self, effect):
        if isinstance(effect, Send) and isinstance(effect.message, HeraldReported):
            number = 2 - effect.message.sequence
            return (alter(effect, message=alter(effect.message, sequence=number)),)
        return (effect,)


@station("QN-PHYSICAL-2.3-1")
class ForgetsItsLives(Border):
    def __init__(self, inner: Any, context: Any) -> None:
        super().__init__(SCHEME.make_station(replace(context, incarnation=0)), context)
        self.deaf = context.incarnation > 0

    def hear(self, event):
        return None if self.deaf and isinstance(event, Received) else event


# ---------------------------------------------------------------- platforms


def sheet(breaks: str, figures: Any = IDEAL.figures, **changes: Any) -> None:
    """Register a sheet with changes."""
    platform = alter(IDEAL.platform, **changes)
    name = f"sheet-{len(MUTANTS)}"
    MUTANTS.append(
        Mutant(name, breaks, replace(IDEAL, name=name, platform=platform, figures=figures), 1)
    )


FIRST = IDEAL.figures[0]
sheet("QN-PLATFORM-1.1-1", (*IDEAL.figures, replace(FIRST, path="gate_3q.duration_s")))
sheet("QN-PLATFORM-1.1-1", (*IDEAL.figures, FIRST))
sheet("QN-PLATFORM-1.1-2", ())
sheet("QN-PLATFORM-1.1-3", (replace(FIRST, confidence="rumour"), *IDEAL.figures[1:]))
sheet("QN-PLATFORM-1.1-3", (replace(FIRST, source=""), *IDEAL.figures[1:]))
sheet("QN-PLATFORM-1.2-1", memory=alter(SR88_2020.platform.memory, t1_s=1.0, t2_s=3.0))
sheet("QN-PLATFORM-1.2-2", gate_2q=alter(IDEAL.platform.gate_2q, fidelity=1.1))
sheet("QN-PLATFORM-1.2-3", readout=alter(IDEAL.platform.readout, error_0_prob=0.6))
sheet("QN-PLATFORM-1.2-4", communication_slots=0)
sheet("QN-PLATFORM-1.2-5", emission=alter(IDEAL.platform.emission, preparation_s=1.0))
