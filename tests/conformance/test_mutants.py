"""The suite finds what is wrong: every mutant is caught by a case that names the requirement it breaks."""

from __future__ import annotations

import pytest

from qnet.testing.conformance.requirement import register
from qnet.testing.conformance.suite import Target, Wish, run

from .mutants import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: f"{one.name}-{one.breaks}")
def test_mutant_is_caught(mutant):
    wish = Wish(only=(mutant.breaks,), seeds=mutant.seeds, strict=True, quick=True)
    outcome = run(Target(mutant.name, mutant.protocol), wish)
    (verdict,) = [one for one in outcome.judgements if one.requirement.id == mutant.breaks]
    assert verdict.verdict == "FAIL", [
        (one.requirement.id, one.verdict) for one in outcome.judgements
    ]
    assert outcome.exit_status == 1


def test_mutants_are_many_and_break_what_is_required():
    assert len(MUTANTS) >= 40
    assert all(register("link").get(one.breaks) for one in MUTANTS)
