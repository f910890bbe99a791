"""The suite as tests of a plug-in package: one test item per requirement, in one line.

::

    from qnet.testing.conformance.items import conformance_tests

    test_link = conformance_tests("yours")

Theory
    The suite runs once per process, when the first item is asked for; each item then reads its
    verdict. FAIL and ERROR fail. What was not decided is skipped and says so: it never passes.
Not modelled
    Only pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from qnet.testing.conformance.requirement import Layer, register
from qnet.testing.conformance.suite import Outcome, Wish, run
from qnet.testing.conformance.target import resolve


def conformance_tests(
    target: str, *, layer: Layer = "link", seeds: int = 5, strict: bool = False
) -> Callable[..., None]:
    """A test function with one parameter set per requirement of ``layer``; give it a name that pytest finds.

    Args:
        target: an installed link protocol by name, or ``package:Object``.
        layer: which specification.
        seeds: how many.
        strict: a broken SHOULD fails too.
    """
    import pytest

    @cache
    def outcome() -> Outcome:
        return run(resolve(target), Wish(layer=layer, seeds=seeds, strict=strict))

    def test(requirement: str) -> None:
        found = outcome()
        one = next(one for one in found.judgements if one.requirement.id == requirement)
        if one.verdict in ("FAIL", "ERROR"):
            failures = [f for f in found.failures if f.requirement == requirement]
            commands = "".join(f"\nreplay: {failure.command(target)}" for failure in failures)
            pytest.fail(f"{one.requirement.text}\n{one.words}{commands}", pytrace=False)
        if one.verdict not in ("PASS", "NON-STRICT", "INFO"):
            pytest.skip(f"{one.verdict}: {one.words}")

    marked: Any = pytest.mark.parametrize(
        "requirement", [one.id for one in register(layer).requirement]
    )(test)
    found: Callable[..., None] = marked
    return found
