"""What the suite does, as it does it: one JSON object per line.

Format
    ====== ==============================================================================================
    event  fields
    ====== ==============================================================================================
    begin  targets, layer, seed, seeds, suite, specification, qnet
    case   target, case, runs, wall_s, broken (requirements), error, inapplicable
    failed target, requirement, case, seed, words, smallest, command, confirmation
    judged target, requirement, level, verdict, checks, words
    end    exit_status, wall_s
    ====== ==============================================================================================

    A reader that knows more events than these must not be surprised by new ones.
Units
    Seconds of wall time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from qnet import __version__
from qnet.testing.conformance import faults as plans
from qnet.testing.conformance.requirement import register
from qnet.testing.conformance.suite import SUITE_VERSION, CaseResult, Outcome, Wish

Write = Callable[[str], object]


class Events:
    """Says what happens to every writer, in whole lines."""

    def __init__(self, writers: Iterable[Write]) -> None:
        self._writers = tuple(writers)

    def say(self, event: str, **fields: Any) -> None:
        """One event."""
        line = json.dumps({"event": event, **fields}) + "\n"
        for write in self._writers:
            write(line)

    def begin(self, targets: Sequence[str], wish: Wish) -> None:
        """The suite starts."""
        self.say(
            "begin",
            targets=list(targets),
            layer=wish.layer,
            seed=wish.seed,
            seeds=wish.seeds,
            suite=SUITE_VERSION,
            specification=register(wish.layer).version,
            qnet=__version__,
        )

    def case(self, target: str, result: CaseResult) -> None:
        """A case is over."""
        self.say(
            "case",
            target=target,
            case=result.case.name,
            runs=result.runs,
            wall_s=round(result.wall_s, 3),
            broken=sorted(result.failures),
            error=result.error,
            inapplicable=result.inapplicable,
        )

    def outcome(self, outcome: Outcome) -> None:
        """A target is judged."""
        name = outcome.target.name
        for one in outcome.failures:
            self.say(
                "failed",
                target=name,
                requirement=one.requirement,
                case=one.case,
                seed=one.seed,
                words=one.words,
                smallest=plans.words(one.smallest),
                command=one.command(name),
                confirmation="" if one.confirmation is None else one.confirmation.line,
            )
        for judged in outcome.judgements:
            self.say(
                "judged",
                target=name,
                requirement=judged.requirement.id,
                level=judged.requirement.level,
                verdict=judged.verdict,
                checks=judged.reached,
                words=judged.words,
            )

    def end(self, outcomes: Sequence[Outcome], exit_status: int) -> None:
        """The suite is over."""
        wall_s = round(sum(one.wall_s for one in outcomes), 3)
        self.say("end", exit_status=exit_status, wall_s=wall_s)
