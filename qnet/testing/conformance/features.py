"""Optional features of the link service, and which of them a target offers.

Theory
    A layer that cannot serve a field of CREATE answers UNSUPP with words (decision 0010), so an honest
    link may be small. What every link must do is kind K, any number of pairs, a minimum fidelity, a
    purpose and Cancel. The rest is optional: the kinds M and R, memory (``store``), batches
    (``atomic``), unbroken turns (``consecutive``), a wanted Bell state (``final``), a deadline
    (``max_time``).

    A target is asked once for each, on an idle link with memory and time in plenty. What it refuses at
    once with UNSUPP it does not offer: what is required of it is NOT APPLICABLE, and it must refuse it
    every time. Whatever is not refused so is offered, and must be right, also together with the others.
Not modelled
    A link that serves two features, but not both in one request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from qnet.layers import link as service
from qnet.layers.link import ErrorCode
from qnet.seams import LinkProtocol
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.faults import ALICE
from qnet.testing.conformance.parts import Violation
from qnet.testing.conformance.stage import CYCLE

FEATURES: Final[Mapping[str, dict[str, Any]]] = {
    "M": {"kind": "M"},
    "R": {"kind": "R"},
    "store": {"store": True},
    "atomic": {"atomic": True},
    "consecutive": {"consecutive": True},
    "final": {"final": (1, 1)},
    "max_time": {"max_time": 1_000 * CYCLE},
}
"""Feature -> the fields of a request that needs it and nothing else."""

_ANSWERS: Final[dict[int, tuple[LinkProtocol, frozenset[str]]]] = {}
"""By identity: a record with a list in it has no hash."""


def asked(fields: Mapping[str, Any]) -> frozenset[str]:
    """The features that a request with these fields of CREATE needs."""
    names = {"M", "R"} & {fields.get("kind")}
    return frozenset(names.union(name for name in FEATURES if fields.get(name)))


def offered(protocol: LinkProtocol) -> frozenset[str]:
    """The features that ``protocol`` does not refuse with UNSUPP on an idle link; it is asked once."""
    known, features = _ANSWERS.get(id(protocol), (None, frozenset[str]()))
    if known is not protocol:
        features = frozenset(name for name in FEATURES if not _refuses(protocol, name))
        _ANSWERS[id(protocol)] = (protocol, features)
    return features


def _refuses(protocol: LinkProtocol, name: str) -> bool:
    try:
        bench = Bench(protocol, slots=(2, 2), memory=(4, 4))
        bench.accept()
        request = bench.create(CYCLE, ALICE, "1", **FEATURES[name])
        bench.run(CYCLE)
    except Violation:
        return False  # the cases say what is wrong
    return any(
        isinstance(one, service.Err) and one.request == request and one.code == ErrorCode.UNSUPP
        for one in bench.heard(ALICE)
    )


def refused(features: Iterable[str]) -> str:
    """In words: none of these is offered."""
    return f"refuses {' and '.join(features)} with UNSUPP"
