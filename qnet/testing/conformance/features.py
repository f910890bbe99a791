"""Optional features of the pair service, and which of them a target offers.

Theory
    A layer that cannot serve a field of CREATE answers UNSUPP with words (decision 0010), so an honest
    link may be small. What every link must do is kind K, any number of pairs, a minimum fidelity, a
    purpose and Cancel. The rest is optional: the kinds M and R, memory (``store``), batches
    (``atomic``), unbroken turns (``consecutive``), a wanted Bell state (``final``), a deadline
    (``max_time``).

    A target is asked once for each, on an idle link with memory and time in plenty. What it refuses at
    once with UNSUPP it does not offer: what is required of it is NOT APPLICABLE, and it must refuse it
    every time. Whatever is not refused so is offered, and must be right, also together with the others.

    A profile (:mod:`.profile`) may declare which features and how large requests a target is for: what it
    does not declare is not asked for.
Not modelled
    A link that serves two features, but not both in one request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from qnet.ids import CircuitId
from qnet.layers import link as service
from qnet.layers.link import ErrorCode
from qnet.layers.network import CircuitDown, OpenCircuit
from qnet.seams import LinkProtocol, NetworkProtocol, PurificationProtocol
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.chain import Chain
from qnet.testing.conformance.faults import ALICE, BOB
from qnet.testing.conformance.floor import Floor
from qnet.testing.conformance.parts import Hung, NotApplicable, Violation
from qnet.testing.conformance.profile import NO_LIMITS, Limits
from qnet.testing.conformance.stage import CYCLE, PURPOSE

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

PURIFY: Final[Mapping[str, dict[str, Any]]] = dict(FEATURES)
"""Those of purification."""

NETWORK: Final[Mapping[str, dict[str, Any]]] = {
    **FEATURES,
    "atomic": {"atomic": True, "number": 2},
    "consecutive": {"consecutive": True, "number": 2},
    "E": {"kind": "E"},
    "test_share": {"test_share": 0.5},
}
"""Those of a network, where :class:`~qnet.layers.network.OpenCircuit` is one more."""

CIRCUIT: Final = "circuit"
HOPS: Final = "hops"
"""Pairs over more than one link; a network without them is asked for pairs between neighbours."""

_DECLARED: Final[dict[int, tuple[Any, frozenset[str] | None, Limits]]] = {}
_ANSWERS: Final[dict[int, tuple[Any, frozenset[str]]]] = {}
"""By identity: a record with a list in it has no hash."""


def features_of(protocol: Any) -> Mapping[str, dict[str, Any]]:
    """The optional features that such a target may offer; none where it serves no requests for pairs."""
    if isinstance(protocol, LinkProtocol):
        return FEATURES
    if isinstance(protocol, PurificationProtocol):
        return PURIFY
    return NETWORK if isinstance(protocol, NetworkProtocol) else {}


def asked(fields: Mapping[str, Any]) -> frozenset[str]:
    """The features that a request with these fields of CREATE needs."""
    names = {"M", "R", "E"} & {fields.get("kind")}
    return frozenset(names.union(name for name in NETWORK if fields.get(name)))


def declare(protocol: Any, features: Iterable[str] | None, limits: Limits) -> None:
    """From now on ``protocol`` is tested with these features (None: all that it serves) and limits."""
    chosen = None if features is None else frozenset(features)
    _DECLARED[id(protocol)] = (protocol, chosen, limits)


def limits_of(protocol: Any) -> Limits:
    """The limits that were declared of ``protocol``."""
    known, _, limits = _DECLARED.get(id(protocol), (None, None, NO_LIMITS))
    return limits if known is protocol else NO_LIMITS


def offered(protocol: Any) -> frozenset[str]:
    """The features that ``protocol`` is to be tested with: those that it serves, unless less was declared."""
    known, declared, _ = _DECLARED.get(id(protocol), (None, None, NO_LIMITS))
    if known is not protocol or declared is None:
        return served(protocol)
    return served(protocol) & declared


def served(protocol: Any) -> frozenset[str]:
    """The features that ``protocol`` does not refuse with UNSUPP on an idle network; it is asked once."""
    known, features = _ANSWERS.get(id(protocol), (None, frozenset[str]()))
    if known is not protocol:
        possible = features_of(protocol)
        far = isinstance(protocol, NetworkProtocol) and not _refuses(protocol, {}, 1)
        features = frozenset(
            name for name, fields in possible.items() if not _refuses(protocol, fields, int(far))
        )
        if far:
            features |= {HOPS}
        if isinstance(protocol, NetworkProtocol) and _opens(protocol, int(far)):
            features |= {CIRCUIT}
        _ANSWERS[id(protocol)] = (protocol, features)
    return features


def _bench(protocol: Any, middles: int) -> Floor:
    if isinstance(protocol, LinkProtocol):
        limits = limits_of(protocol)
        slots = 2 if limits.communication_slots is None else min(2, limits.communication_slots)
        memory = 4 if limits.memory_slots is None else min(4, limits.memory_slots)
        return Bench(protocol, slots=(slots, slots), memory=(memory, memory))
    return Chain(protocol, uniform=lambda _purpose: 0.25, middles=middles, expiry_prob=0.0)


def _refuses(protocol: Any, fields: Mapping[str, Any], middles: int) -> bool:
    try:
        bench = _bench(protocol, middles)
        bench.accept()
        request = bench.create(CYCLE, ALICE, "1", **fields)
        bench.run(CYCLE)
    except Hung:
        raise  # asking on would hang again
    except (Violation, NotApplicable):
        return False  # the cases say what is wrong
    return any(
        isinstance(one, service.Err) and one.request == request and one.code == ErrorCode.UNSUPP
        for one in bench.heard(ALICE)
    )


def _opens(protocol: NetworkProtocol, middles: int) -> bool:
    """Whether it opens a circuit, or says why not otherwise than with UNSUPP."""
    try:
        bench = _bench(protocol, middles)
        bench.accept()
        bench.ask(CYCLE, ALICE, OpenCircuit(CircuitId("alice/c"), BOB, 0.5, purpose=PURPOSE))
        bench.run(100 * CYCLE)
    except Violation as violation:
        # A machine that knows no circuits may say so as it says of any wrong request.
        return "LocalProtocolError" not in violation.words
    except NotApplicable:
        return False
    downs = bench.heard(ALICE, CircuitDown)
    return not any(one.code == ErrorCode.UNSUPP for one in downs)


def refused(features: Iterable[str], protocol: Any = None) -> str:
    """In words: none of these is offered."""
    names = " and ".join(features)
    if protocol is not None and served(protocol).intersection(features):
        return f"{names}: not declared by its profile"
    return f"refuses {names} with UNSUPP"
