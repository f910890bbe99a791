"""The suite as tests of a plug-in package: one test item per requirement, in one line.

::

    from qnet.testing.conformance.items import conformance_tests

    test_link = conformance_tests("yours")

Theory
    The suite runs once per process, when the first item is asked for; each item then reads its
    verdict. FAIL, XPASS and ERROR fail. What was not decided is skipped and says so: it never passes.
Not modelled
    Only pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from qnet.testing.conformance.features import features_of
from qnet.testing.conformance.profile import load
from qnet.testing.conformance.requirement import Layer, register
from qnet.testing.conformance.suite import Outcome, Wish, run
from qnet.testing.conformance.target import resolve


def conformance_tests(
    target: str,
    *,
    layer: Layer = "link",
    seeds: int = 5,
    strict: bool = False,
    profile: str | Path | None = None,
) -> Callable[..., None]:
    """A test function with one parameter set per requirement of ``layer``; give it a name that pytest finds.

    Args:
        target: an installed plug-in by name, or ``package:Object``.
        layer: which specification.
        seeds: how many.
        strict: a broken SHOULD fails too.
        profile: file of what the target declares: its expected failures are expected here too.
    """
    import pytest

    @cache
    def outcome() -> Outcome:
        found = resolve(target, layer)
        features = features_of(found.protocol)
        declared = None if profile is None else load(Path(profile), layer, features)
        return run(found, Wish(layer=layer, seeds=seeds, strict=strict, profile=declared))

    def test(requirement: str) -> None:
        found = outcome()
        one = next(one for one in found.judgements if one.requirement.id == requirement)
        if one.verdict in ("FAIL", "ERROR", "XPASS"):
            failures = [f for f in found.failures if f.requirement == requirement]
            commands = "".join(f"\nreplay: {failure.command(target)}" for failure in failures)
            pytest.fail(f"{one.requirement.text}\n{one.words}{commands}", pytrace=False)
        if one.verdict == "XFAIL":
            pytest.xfail(one.words)
        if one.verdict not in ("PASS", "NON-STRICT", "INFO"):
            pytest.skip(f"{one.verdict}: {one.words}")

    marked: Any = pytest.mark.parametrize(
        "requirement", [one.id for one in register(layer).requirement]
    )(test)
    found: Callable[..., None] = marked
    return found
