"""Records of a case: one published experiment, what it takes as given, and the figures to compare.

Theory
    A *check* compares one published figure with the closed form of the model, and with a run where there is
    one. The tolerance is ours, stated before the comparison (physics reference, section C). Levels: "R" rate,
    "S" state, "P" protocol, which needs the whole stack.
Assumptions and validity
    A check whose figure went into the choice of an input is circular; it says so, and then only tests that the
    model can be brought to the data, not that it predicts them.
Not modelled
    Correlations between the errors of published figures.
Units
    SI, or dimensionless where ``unit`` is empty.
Sources
    Each case names its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Confidence = Literal["found", "memory", "derived", "assumed"]
"""Read in the source; the source as remembered; computed from a published figure; a choice of ours."""

Level = Literal["R", "S", "P"]


@dataclass(frozen=True)
class Source:
    """Where the figures were published."""

    text: str
    doi: str = ""
    arxiv: str = ""

    @property
    def words(self) -> str:
        """The citation on one line."""
        doi = f"doi {self.doi}" if self.doi else ""
        arxiv = f"arXiv {self.arxiv}" if self.arxiv else ""
        return ", ".join(part for part in (self.text, doi, arxiv) if part)


@dataclass(frozen=True)
class Given:
    """One input of a case: name, value, unit, how it was obtained and from what."""

    name: str
    value: float | str
    unit: str
    confidence: Confidence
    note: str = ""


@dataclass(frozen=True)
class Published:
    """A published figure.

    Attributes:
        value: the figure, or the bound that must be reached.
        error: its error bar (half-width), 0 if none was stated.
        confidence: how we know it.
        at_least: ``value`` is a lower bound: more is better, and is no deviation.
        words: what cannot be said in numbers.
    """

    value: float
    error: float = 0.0
    confidence: Confidence = "found"
    at_least: bool = False
    words: str = ""


@dataclass(frozen=True)
class Reading:
    """What a run found: the figure and its standard error."""

    value: float
    stderr: float = 0.0


@dataclass(frozen=True)
class Check:
    """One figure to compare.

    Attributes:
        quantity: its name, unique within the case.
        level: "R", "S" or "P".
        published: the figure of the experiment.
        tolerance: largest deviation that still counts as agreement, in the figure's unit.
        formula: closed form in words and symbols, "" if there is only a run.
        model: computes it, None if there is only a run.
        missing: what the error budget of the model leaves out.
        circular: which input was chosen to meet this very figure, "" for none.
        must_hold: interval in which model and run must lie; None: the comparison is only reported.
        run_adds: what the run contains and the closed form does not, at most ``run_margin``.
        run_margin: bound on that, in the figure's unit.
    """

    quantity: str
    level: Level
    published: Published
    tolerance: float
    formula: str
    model: Callable[[], float] | None
    missing: tuple[str, ...]
    unit: str = ""
    circular: str = ""
    must_hold: tuple[float, float] | None = None
    run_adds: str = ""
    run_margin: float = 1e-6


Summary = Mapping[str, Any]
"""Content of ``summary.json`` of a run."""


@dataclass(frozen=True)
class Case:
    """A published experiment.

    Attributes:
        name: on the command line.
        title: in a few words.
        row: of the physics reference, section C.
        source: where it was published.
        given: inputs.
        checks: figures to compare.
        networks: makes the topologies (TOML) that are run in this process, in this order; None: no run.
        read: summaries of these runs -> readings by the quantity of the check that they belong to.
    """

    name: str
    title: str
    row: int
    source: Source
    given: tuple[Given, ...]
    checks: tuple[Check, ...]
    networks: Callable[[], Sequence[str]] | None = None
    read: Callable[[Sequence[Summary]], Mapping[str, Reading]] | None = None

    @property
    def levels(self) -> str:
        """Levels of its checks, each once."""
        return "".join(level for level in "RSP" if any(one.level == level for one in self.checks))
