"""What an implementation declares of itself: features, limits, and failures that it knows of.

Format
    A TOML file::

        name = "acme-link"
        features = ["M", "store"]

        [limits]
        communication_slots = 1
        memory_slots = 2
        pairs = 8

        [expected_failures]
        "QN-LINK-2.4-5" = "a lost herald ends the whole request, ticket 17"

Theory
    A *feature* that is declared is tested, and it fails if the target refuses it; one that is not declared
    is not tested, whether it is there or not. Without a list of features the target is asked what
    it offers. A case that needs more than the *limits* is NOT APPLICABLE. An *expected failure* must fail:

    ===== ===========================================================================================
    XFAIL it failed as expected; the reason stands beside it
    XPASS it passed: the list is out of date, and that is a failure
    ===== ===========================================================================================

Sources
    Known-failing lists that go stale loudly: connect-conformance, pytest's strict xfail.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from qnet.errors import ConfigError
from qnet.testing.conformance.requirement import Layer, register
from qnet.topology.check import At, typed
from qnet.topology.files import read

Count = Annotated[int, msgspec.Meta(ge=0)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that the target can take; None for as much as any case asks for.

    Attributes:
        communication_slots, memory_slots: of each end.
        pairs: of one request.
    """

    communication_slots: Annotated[int, msgspec.Meta(ge=1)] | None = None
    memory_slots: Count | None = None
    pairs: Annotated[int, msgspec.Meta(ge=1)] | None = None

    def too_much(self, slots: Iterable[int], memory: Iterable[int]) -> str:
        """Why a bench with such ends is beyond the limits; "" if it is not."""
        for what, wanted, most in (
            ("communication slots", max(slots), self.communication_slots),
            ("memory slots", max(memory), self.memory_slots),
        ):
            if most is not None and wanted > most:
                return f"needs {wanted} {what}, the profile has {most}"
        return ""


NO_LIMITS = Limits()


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A profile file; see the module head.

    Attributes:
        name: of the implementation.
        features: None to ask the target.
    """

    name: str
    features: tuple[str, ...] | None = None
    limits: Limits = NO_LIMITS
    expected_failures: dict[str, str] = {}


def load(path: Path, layer: Layer, features: Iterable[str]) -> Profile:
    """The profile in ``path``, for a target of ``layer`` that may have these ``features``.

    Raises:
        ConfigError: it cannot be read, or holds a key, feature or requirement that does not exist.
    """
    at = At(str(path))
    found = typed(read(path), Profile, at, domains=False)
    ids = [one.id for one in register(layer).requirement]
    _known(found.features or (), list(features), at.key("features"), "a feature")
    _known(found.expected_failures, ids, at.key("expected_failures"), f"of layer {layer}")
    for identifier, reason in found.expected_failures.items():
        if not reason.strip():
            raise at.key("expected_failures").key(identifier).error("must give a reason", reason)
    return found


def _known(given: Iterable[str] | Mapping[str, str], known: list[str], at: At, what: str) -> None:
    for one in given:
        if one not in known:
            near = difflib.get_close_matches(one, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}"
            raise ConfigError(f"must be {what}", file=at.file, path=at.path, value=one, hint=hint)
