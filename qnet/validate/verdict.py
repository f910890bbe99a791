"""Model and run beside the published figure: within the tolerance, above or below, and by how much.

Theory
    The figure that is judged is the closed form, or the run where there is none. It is *within* if it deviates
    from the published one by at most the tolerance of the check; a published lower bound is met by anything
    that is not below it. A check that must hold holds if the model and the run lie in its interval, the run
    within three standard errors, and if they agree with each other within four standard errors beside the
    margin that the check states.
Assumptions and validity
    Seeds are fixed, so a verdict does not change from one call to the next.
Not modelled
    A goodness of fit over all checks: tolerances are ours and are not standard errors.
Units
    Those of the figures.
Sources
    Physics reference, section C: where a model is above the data, the gap is the missing error budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from qnet.results.words import number_words
from qnet.validate.case import Case, Check, Reading

RUN_SIGMAS: Final = 3.0
"""Standard errors that a run may lie outside the interval of a check that must hold."""
AGREEMENT_SIGMAS: Final = 4.0
"""Standard errors by which run and closed form may differ. One check in 16 000 does so by chance."""
DIGITS: Final = 4


@dataclass(frozen=True)
class Comparison:
    """One check with its figures.

    Attributes:
        case, check: what was compared.
        model: closed form, None if there is none.
        run: what the run found, None if none was made.
    """

    case: Case
    check: Check
    model: float | None
    run: Reading | None

    @property
    def figure(self) -> float | None:
        """The figure that is judged; None if neither model nor run is there."""
        if self.model is not None:
            return self.model
        return None if self.run is None else self.run.value

    @property
    def gap(self) -> float | None:
        """By how much the figure is above (> 0) or below the published one; 0 above a lower bound."""
        figure, published = self.figure, self.check.published
        if figure is None:
            return None
        deviation = figure - published.value
        return min(0.0, deviation) if published.at_least else deviation

    @property
    def within(self) -> bool | None:
        """True if the gap is within the tolerance; None without a figure."""
        return None if self.gap is None else abs(self.gap) <= self.check.tolerance

    @property
    def agrees(self) -> bool | None:
        """True if run and closed form agree; None if there are not both."""
        if self.model is None or self.run is None:
            return None
        room = AGREEMENT_SIGMAS * self.run.stderr + self.check.run_margin
        return abs(self.run.value - self.model) <= room

    @property
    def held(self) -> bool | None:
        """Whether a check that must hold holds; None if it need not, or without a figure."""
        if self.check.must_hold is None or self.figure is None:
            return None
        low, high = self.check.must_hold
        model_in = self.model is None or low <= self.model <= high
        run_in = True
        if self.run is not None:
            room = RUN_SIGMAS * self.run.stderr + self.check.run_margin
            run_in = low - room <= self.run.value <= high + room
        return model_in and run_in and self.agrees is not False

    @property
    def verdict(self) -> str:
        """The words: "within", "met" (a lower bound), "above by x" or "below by x"."""
        if self.gap is None:
            return "needs a run"
        if not self.within:
            side = "above" if self.gap > 0.0 else "below"
            said = f"{side} by {number_words(abs(self.gap), 2)}{self._accepted}"
        elif self.check.published.at_least:
            said = "met"
        else:
            said = "within, by construction" if self.check.circular else "within"
        if self.agrees is False:
            said += "; RUN DIFFERS FROM CLOSED FORM"
        return said + ("; MUST HOLD AND DOES NOT" if self.held is False else "")

    @property
    def _accepted(self) -> str:
        """The interval that a check outside its tolerance must still keep to, in words."""
        if self.check.must_hold is None:
            return ""
        low, high = (number_words(edge, DIGITS) for edge in self.check.must_hold)
        return f" (accepted {low} to {high})"


def compare(case: Case, readings: Mapping[str, Reading] | None = None) -> list[Comparison]:
    """All checks of a case; ``readings`` of its runs by quantity, None if they were not made."""
    found = readings or {}
    return [
        Comparison(
            case, check, None if check.model is None else check.model(), found.get(check.quantity)
        )
        for check in case.checks
    ]
