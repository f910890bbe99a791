"""The suite finds what is wrong in every layer: each mutant is caught by a case that names what it breaks."""

from __future__ import annotations

from collections import Counter

import pytest

from qnet.testing.conformance.requirement import register
from qnet.testing.conformance.suite import Target, Wish, run

from .physical_mutants import MUTANTS as PHYSICAL
from .service_mutants import MUTANTS as SERVICES

MUTANTS = [*SERVICES, *PHYSICAL]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: f"{one.name}-{one.breaks}")
def test_mutant_is_caught(mutant):
    wish = Wish(
        layer=mutant.layer, only=(mutant.breaks,), seeds=mutant.seeds, strict=True, quick=True
    )
    outcome = run(Target(mutant.name, mutant.protocol), wish)
    (verdict,) = [one for one in outcome.judgements if one.requirement.id == mutant.breaks]
    assert verdict.verdict == "FAIL", [
        (one.requirement.id, one.verdict, one.words) for one in outcome.judgements
    ]
    assert outcome.exit_status == 1


def test_mutants_are_many_and_break_what_is_required():
    count = Counter(one.layer for one in MUTANTS)
    assert count["purify"] >= 20
    assert count["network"] >= 30
    assert count["physical"] >= 20
    assert count["platform"] >= 8
    assert all(register(one.layer).get(one.breaks) for one in MUTANTS)
