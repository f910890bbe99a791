"""Cases of heralding schemes: probabilities and states of attempts, laws of physics, samples (section 1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import msgspec

from qnet.errors import PluginError
from qnet.physics.bell import LABELS, overlap
from qnet.physics.limits import capacity_bound
from qnet.plan import LinkOptics
from qnet.seams import ClickOutcome, HeraldingScheme, checked_outcomes
from qnet.testing.conformance.case import HORIZON, Trial, case
from qnet.testing.conformance.faults import ALICE, BOB, STATION, Scale
from qnet.testing.conformance.matter import Luck
from qnet.testing.conformance.optics import Optics
from qnet.testing.conformance.parts import NotApplicable
from qnet.testing.conformance.requirement import Layer
from qnet.testing.conformance.stage import CYCLE, FLIGHTS
from qnet.units import Duration

LAYER: Final[Layer] = "physical"
ROUNDING: Final = 1e-9
SETTINGS: Final = 6
"""Random optics that one seed tries."""
GOOD: Final = LinkOptics(0.8, 0.7, 0.95, 1e-4)

State = Sequence[Sequence[complex]]


class SchemeTrial(Trial):
    """A trial of a heralding scheme, with its default parameters."""

    layer: ClassVar[Layer] = LAYER
    subject: ClassVar[Any] = HeraldingScheme
    scale: ClassVar[Scale] = Scale(
        Duration(sum(FLIGHTS)), Duration(CYCLE), HORIZON, (ALICE, BOB), (STATION,)
    )

    def optics(self, **options: Any) -> Optics:
        """A link with the luck of the seed; its faults are those of the trial's plan."""
        random = self.random("luck")
        # Few attempts until a success, and now and then none for a while.
        luck = Luck(success=lambda _run: 1 + int(4 * random.uniform() ** 2))
        defaults: dict[str, Any] = {"luck": luck, "faults": self.faults, "explore": self.seed}
        bench = Optics(self.protocol, **{**defaults, **options})
        self.benches.append(bench)
        return bench

    def settings(self) -> Iterator[LinkOptics]:
        """Optics in which every term of a closed form matters; then good ones, and perfect ones."""
        random = self.random("optics")
        for number in range(SETTINGS):
            yield LinkOptics(
                eta_a=0.3 + 0.7 * random.uniform(),
                eta_b=0.3 + 0.7 * random.uniform(),
                visibility=0.5 + 0.5 * random.uniform(),
                dark_prob=0.05 * random.uniform() ** 2 * (number % 3 > 0),
                phase_rms_rad=0.8 * random.uniform(),
                number_resolving=number % 2 == 1,
                spin_photon_a=0.85 + 0.15 * random.uniform(),
                spin_photon_b=0.85 + 0.15 * random.uniform(),
            )
        yield GOOD
        yield LinkOptics(1.0, 1.0)

    def outcomes(self, optics: LinkOptics) -> Sequence[ClickOutcome] | None:
        """Those of an attempt; None if the scheme refuses these optics with a reason."""
        try:
            return tuple(self.protocol.outcomes(optics, self.protocol.parameters()))
        except ValueError as reason:
            words = f"{optics}: refused with {reason}"
            self.expect("1.1-6", len(str(reason)) > 3, words)
            return None


# ---------------------------------------------------------------- 1.1 outcomes


@case(*(f"QN-PHYSICAL-1.1-{k}" for k in range(1, 6)), layer=LAYER, trial=SchemeTrial)
def probabilities_and_states(trial: SchemeTrial) -> None:
    """Random optics, and good ones."""
    for optics in trial.settings():
        found = trial.outcomes(optics)
        if found is None:
            continue
        total = math.fsum(one.prob for one in found)
        fine = all(math.isfinite(one.prob) and one.prob >= 0.0 for one in found)
        words = f"{optics}: probabilities {[one.prob for one in found]}, sum {total}"
        trial.expect("1.1-1", fine and total <= 1.0 + ROUNDING, words)
        for one in found:
            wrong = no_state(one.state)
            trial.expect("1.1-2", not wrong, f"{optics}, pattern {one.pattern}: {wrong}")
            best = 0.0 if wrong else max(overlap(one.state, label) for label in LABELS)
            if one.prob <= 0.0 or best <= 0.5:
                continue
            said = overlap(one.state, one.label) if one.label in LABELS else -1.0
            words = (
                f"{optics}, pattern {one.pattern}: label {one.label} has {said}, another one {best}"
            )
            trial.expect("1.1-4", said >= best - ROUNDING, words)
        patterns = [one.pattern for one in found]
        once = len(set(patterns)) == len(patterns)
        bits = all(one.label in LABELS for one in found)
        words = f"{optics}: patterns {patterns}, labels {[one.label for one in found]}"
        trial.expect("1.1-3", once and bits, words)
        again = trial.outcomes(optics)
        trial.expect(
            "1.1-5", again is not None and tuple(found) == tuple(again), f"{optics}: {again}"
        )
        _as_the_core_reads_it(trial, optics)


def _as_the_core_reads_it(trial: SchemeTrial, optics: LinkOptics) -> None:
    several = msgspec.structs.replace(optics, modes=3)
    try:
        checked_outcomes("alice-bob", trial.protocol, several, {})
    except (PluginError, ValueError) as error:
        trial.expect("1.1-1", False, f"{several}: {error}")


def no_state(state: State) -> str:
    """Why this is no density matrix of two qubits, "" if it is one."""
    if [len(row) for row in state] != [4] * 4:
        return f"must have 4 rows of 4 numbers, got {state}"
    if not all(math.isfinite(abs(value)) for row in state for value in row):
        return f"must be finite, got {state}"
    trace = sum(complex(state[k][k]) for k in range(4))
    if abs(trace - 1.0) > ROUNDING:
        return f"must have trace 1, got {trace}"
    for row in range(4):
        for column in range(4):
            if abs(state[row][column] - complex(state[column][row]).conjugate()) > ROUNDING:
                return f"must be Hermitian, element ({row}, {column}) is {state[row][column]}"
    return "" if _positive(state) else f"must have no negative eigenvalue, got {state}"


def _positive(state: State) -> bool:
    """Cholesky decomposition of the state plus a little of the mixed one."""
    rows: list[list[complex]] = [[0j] * 4 for _ in range(4)]
    for row in range(4):
        for column in range(row + 1):
            rest = complex(state[row][column]) + (1e-8 if row == column else 0.0)
            rest -= sum(rows[row][k] * rows[column][k].conjugate() for k in range(column))
            if row == column:
                if rest.real <= 0.0:
                    return False
                rows[row][row] = complex(math.sqrt(rest.real))
            else:
                rows[row][column] = rest / rows[column][column]
    return True


# ---------------------------------------------------------------- 1.2 physics


def fidelity(found: Sequence[ClickOutcome]) -> float:
    """Mean fidelity of a herald to its label."""
    total = math.fsum(one.prob for one in found)
    return math.fsum(one.prob * overlap(one.state, one.label) for one in found) / total


@case("QN-PHYSICAL-1.2-1", "QN-PHYSICAL-1.1-6", layer=LAYER, trial=SchemeTrial, once=True)
def no_light(trial: SchemeTrial) -> None:
    """No photon arrives, with and without dark counts."""
    for dark in (0.0, 1e-3, 0.1):
        for resolving in (False, True):
            optics = LinkOptics(0.0, 0.0, dark_prob=dark, number_resolving=resolving)
            found = trial.outcomes(optics)
            for one in found or ():
                if one.prob <= 0.0:
                    continue
                best = max(overlap(one.state, label) for label in LABELS)
                words = f"{optics}, pattern {one.pattern}: entangled, fidelity {best}"
                trial.expect("1.2-1", best <= 0.5 + ROUNDING, words)
            trial.expect("1.2-1", True, "")


WORSE: Final[tuple[tuple[str, tuple[float, ...]], ...]] = (
    ("dark_prob", (0.0, 1e-4, 1e-3, 1e-2)),
    ("phase_rms_rad", (0.0, 0.2, 0.5, 1.0)),
    ("visibility", (1.0, 0.95, 0.8, 0.6)),
    ("spin_photon_a", (1.0, 0.97, 0.9)),
    ("spin_photon_b", (1.0, 0.97, 0.9)),
)
"""From good to bad."""


@case("QN-PHYSICAL-1.2-2", layer=LAYER, trial=SchemeTrial, once=True)
def parts_that_get_worse(trial: SchemeTrial) -> None:
    """One figure after the other is made worse: heralds do not get better."""
    for resolving in (False, True):
        base = msgspec.structs.replace(GOOD, number_resolving=resolving)
        for name, values in WORSE:
            before = 1.0
            for value in values:
                found = trial.outcomes(msgspec.structs.replace(base, **{name: value}))
                if not found:
                    continue
                mean = fidelity(found)
                words = f"{name} = {value}: mean fidelity {mean}, was {before} before"
                trial.expect("1.2-2", mean <= before + ROUNDING, words)
                before = mean


@case("QN-PHYSICAL-1.2-3", layer=LAYER, trial=SchemeTrial)
def bound_of_the_arms(trial: SchemeTrial) -> None:
    """What can be distilled from an attempt, against what the worse arm can carry."""
    random = trial.random("arms")
    for optics in (
        *trial.settings(),
        *(LinkOptics(10 ** -(3 * random.uniform()), 0.9) for _ in range(4)),
    ):
        found = trial.outcomes(optics)
        if found is None:
            continue
        made = math.fsum(one.prob * distillable(one.state) for one in found)
        arm = min(optics.eta_a, optics.eta_b)
        most = math.inf if arm >= 1.0 else capacity_bound(arm)
        words = f"{optics}: {made} ebits of an attempt, the worse arm carries {most}"
        trial.expect("1.2-3", made <= most + ROUNDING, words)


def distillable(state: State) -> float:
    """Ebits that hashing gets from the Bell-diagonal part of a state: what it has at least."""
    weights = [max(0.0, overlap(state, label)) for label in LABELS]
    entropy = -math.fsum(one * math.log2(one) for one in weights if one > 0.0)
    return max(0.0, 1.0 - entropy)


@case("QN-PHYSICAL-1.2-4", layer=LAYER, trial=SchemeTrial)
def ends_that_change_places(trial: SchemeTrial) -> None:
    """Ends with each other's arm and memory: the same chance and the same mean fidelity."""
    if trial.protocol.light_of({}) == "serial":
        raise NotApplicable("light goes from one end to the other: the ends are not alike")
    for optics in trial.settings():
        swapped = msgspec.structs.replace(
            optics,
            eta_a=optics.eta_b,
            eta_b=optics.eta_a,
            spin_photon_a=optics.spin_photon_b,
            spin_photon_b=optics.spin_photon_a,
        )
        here, there = trial.outcomes(optics), trial.outcomes(swapped)
        if not here or not there:
            continue
        chances = [math.fsum(one.prob for one in found) for found in (here, there)]
        means = [fidelity(found) for found in (here, there)]
        same = abs(chances[0] - chances[1]) <= ROUNDING and abs(means[0] - means[1]) <= ROUNDING
        words = (
            f"{optics}: chance {chances}, mean fidelity {means}, as it is and with ends exchanged"
        )
        trial.expect("1.2-4", same, words)


@case("QN-PHYSICAL-1.2-5", layer=LAYER, trial=SchemeTrial, once=True)
def perfect_parts(trial: SchemeTrial) -> None:
    """No loss, no noise: heralds are entangled, more than half of the way to a Bell state."""
    for resolving in (False, True):
        found = trial.outcomes(LinkOptics(1.0, 1.0, number_resolving=resolving))
        mean = fidelity(found) if found else 0.0
        trial.expect("1.2-5", mean > 0.5, f"mean fidelity {mean} with perfect parts")


# ---------------------------------------------------------------- 1.3 samples

SAMPLES: Final = 3_000
ENOUGH: Final = 60
"""Samples of a pattern from which its mean state is judged."""
LEVEL: Final = 1e-6
"""Chance that one right comparison is called wrong; a seed makes less than a thousand."""
SPREAD: Final = math.log(2.0 / LEVEL)


def _slack(variance: float, number: int) -> float:
    """How far a mean of numbers within [-1, 1] may be off, by Bernstein's inequality."""
    return math.sqrt(2.0 * variance * SPREAD / number) + 2.0 * SPREAD / (3.0 * number)


@case(*(f"QN-PHYSICAL-1.3-{k}" for k in range(1, 5)), layer=LAYER, trial=SchemeTrial)
def samples_against_the_closed_form(trial: SchemeTrial) -> None:
    """Attempts drawn photon by photon: how often which pattern, and the mean state."""
    scheme, parameters = trial.protocol, trial.protocol.parameters()
    possible = ((one, trial.outcomes(one)) for one in trial.settings())
    taken = [(optics, found) for optics, found in possible if found][:2]
    for number, (optics, found) in enumerate(taken):
        exact = {one.pattern: one for one in found}
        uniform = trial.random(f"samples:{number}").uniform
        drawn = [scheme.sample(optics, parameters, uniform) for _ in range(SAMPLES)]
        again = trial.random(f"samples:{number}").uniform
        repeated = [scheme.sample(optics, parameters, again) for _ in range(20)]
        trial.expect(
            "1.3-4", repeated == drawn[:20], f"{optics}: other samples from the same numbers"
        )
        kept = [one for one in drawn if one is not None]
        for one in kept:
            known = exact.get(one.pattern)
            right = known is not None and known.label == one.label
            wrong = no_state(one.state)
            words = f"{optics}: sampled {one.pattern}, {one.label}; {wrong}"
            trial.expect("1.3-3", right and not wrong, words)
        for pattern, known in exact.items():
            states = [one.state for one in kept if one.pattern == pattern]
            share = len(states) / SAMPLES
            slack = _slack(known.prob * (1.0 - known.prob), SAMPLES)
            words = f"{optics}, pattern {pattern}: {share} of {SAMPLES} samples, exact {known.prob}, +- {slack}"
            trial.expect("1.3-1", abs(share - known.prob) <= slack, words)
            if len(states) >= ENOUGH:
                _mean_state(trial, f"{optics}, pattern {pattern}", states, known.state)


def _mean_state(trial: SchemeTrial, where: str, states: Sequence[State], exact: State) -> None:
    number = len(states)
    for row in range(4):
        for column in range(row, 4):
            values = [complex(state[row][column]) for state in states]
            goal = complex(exact[row][column])
            for part in ("real", "imag"):
                parts = [getattr(value, part) for value in values]
                mean = math.fsum(parts) / number
                variance = math.fsum((one - mean) ** 2 for one in parts) / number
                off = mean - getattr(goal, part)
                slack = 1.3 * _slack(variance, number) + ROUNDING
                words = f"{where}, element ({row}, {column}): mean of {number} is off by {off} +- {slack}"
                trial.expect("1.3-2", abs(off) <= slack, words)
