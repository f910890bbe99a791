"""Trials of purification and networks: chains with the luck of the seed, and what both are checked for.

Theory
    A sentence about the pair service has the same number in the specifications of links, purification
    and networks (decision 0010), so the checks are those of the link's audit, under another name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

from qnet.ids import NodeId, PairId, RequestId
from qnet.layers import link as service
from qnet.seams import NetworkProtocol, PurificationProtocol
from qnet.testing.conformance import audit
from qnet.testing.conformance.audit import Check
from qnet.testing.conformance.case import CASES, CLEAN, HORIZON, PAIRS, Case, Mode, Trial
from qnet.testing.conformance.chain import Chain, Claim
from qnet.testing.conformance.faults import ALICE, BOB, MIDDLE, Scale
from qnet.testing.conformance.features import HOPS, offered
from qnet.testing.conformance.requirement import Layer, register
from qnet.testing.conformance.stage import CYCLE, FLIGHTS
from qnet.units import Duration

_ROW: Final = (ALICE, *MIDDLE, BOB)
DIRECT: Final = sum(FLIGHTS)


def _channels(*hops: tuple[NodeId, NodeId]) -> tuple[tuple[NodeId, NodeId], ...]:
    return tuple(way for one, two in hops for way in ((one, two), (two, one)))


class ServiceTrial(Trial):
    """A trial on a chain."""

    def audit(self, bench: Chain, *, rest: bool = True) -> None:
        """What must hold, now and (``rest``) at rest."""
        safety(bench, self.check)
        if rest:
            liveness(bench, self.check)

    def chain(self, **options: Any) -> Chain:
        """A chain with the luck of the seed, whose users accept.

        Its faults are those of the trial's plan, unless the case makes faults of its own.
        """
        defaults: dict[str, Any] = {
            "uniform": self._keyed,
            "faults": self.faults,
            "explore": self.seed,
        }
        accept = options.pop("accept", True)
        bench = Chain(self.protocol, **{**defaults, **options})
        self.benches.append(bench)
        if accept:
            bench.accept()
        return bench


class PurifyTrial(ServiceTrial):
    """Two ends with a purification machine each."""

    layer: ClassVar[Layer] = "purify"
    subject: ClassVar[Any] = PurificationProtocol
    scale: ClassVar[Scale] = Scale(
        Duration(DIRECT), Duration(CYCLE), HORIZON, (ALICE, BOB), (), _channels((ALICE, BOB))
    )


class NetworkTrial(ServiceTrial):
    """Three to five nodes with a network machine each."""

    layer: ClassVar[Layer] = "network"
    subject: ClassVar[Any] = NetworkProtocol
    scale: ClassVar[Scale] = Scale(
        Duration(DIRECT),
        Duration(CYCLE),
        HORIZON,
        _ROW,
        (),
        _channels(
            (ALICE, MIDDLE[0]),
            (MIDDLE[0], MIDDLE[1]),
            (MIDDLE[1], MIDDLE[2]),
            (MIDDLE[0], BOB),
            (MIDDLE[1], BOB),
            (MIDDLE[2], BOB),
            (ALICE, BOB),
        ),
    )

    def chain(self, **options: Any) -> Chain:
        """Three nodes, unless ``middles`` says otherwise; two, where it makes no pairs over several links."""
        return super().chain(**{"middles": int(self.far), **options})

    @property
    def far(self) -> bool:
        """Whether the target makes pairs over several links."""
        return HOPS in offered(self.protocol)


TRIALS: Final[tuple[type[ServiceTrial], ...]] = (PurifyTrial, NetworkTrial)


def shared(
    *numbers: str,
    mode: Mode = "liveness",
    profiles: tuple[str, ...] = CLEAN,
    once: bool = False,
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a driver for purification and for networks; it checks those numbers that the layer has."""

    def register_both(drive: Callable[[Any], None]) -> Callable[[Any], None]:
        for kind in TRIALS:
            known = {one.id for one in register(kind.layer).requirement}
            ids = tuple(one for one in named(kind.layer, numbers) if one in known)
            name = f"{kind.layer}-{drive.__name__.replace('_', '-')}"
            CASES[name] = Case(name, kind.layer, ids, mode, profiles, once, drive, kind)
        return drive

    return register_both


# ---------------------------------------------------------------- checks

CONTRACT: Final = ("2.2-6", "5.1-1", "5.1-5", "7.2-3", "8.1-1", "8.1-2")
"""What the bench itself checks at every step: reached as soon as a pair was announced."""

SAFETY: Final = (
    *CONTRACT,
    "1.1-1",
    "1.1-4",
    "1.1-5",
    "1.1-7",
    "2.1-2",
    "2.1-3",
    "2.1-4",
    "2.1-5",
    "2.1-6",
    "2.2-1",
    "2.2-7",
    "2.3-1",
    "2.3-2",
    "2.4-1",
    "2.4-7",
    "3.1-1",
    "3.1-2",
    "3.1-3",
    "6.1-3",
    "6.1-4",
)
LIVENESS: Final = ("1.1-2", "1.1-3", "2.1-1", "5.1-2", "8.1-3")


def named(layer: str, numbers: Iterable[str]) -> tuple[str, ...]:
    """The identifiers of these numbers."""
    return tuple(f"QN-{layer.upper()}-{number}" for number in numbers)


OWN: Final = ("QN-LINK-1.5-1",)
"""Checked otherwise here: only the origin knows the deadline."""


def _translated(bench: Chain, check: Check) -> Check:
    prefix = bench.rule("")

    def renamed(identifier: str, holds: bool, words: str) -> None:
        if identifier not in OWN:
            check(identifier.replace("QN-LINK-", prefix), holds, words)

    return renamed


def safety(bench: Chain, check: Check) -> None:
    """What must hold whenever a run is looked at."""
    audit.pair_service(bench.record(), _translated(bench, check))
    if any(bench.heard(node, PAIRS) for node in bench.ends):
        for number in CONTRACT:
            check(bench.rule(number), True, "")
    _deadlines(bench, check)
    _indices(bench, check)
    _early(bench, check)
    if bench.layer == "purify":
        _ancestors(bench, check)


def _deadlines(bench: Chain, check: Check) -> None:
    """No pair is announced at the origin after the deadline."""
    for at, node, what in bench.said:
        if not isinstance(what, PAIRS) or not what.origin:
            continue
        create = bench.wanted.get(what.request)
        if create is not None and create.max_time:
            deadline = what.requested_at + create.max_time
            words = f"{what.pair} at {node} at {at}, after {deadline}"
            check(bench.rule("1.5-1"), at <= deadline, words)


def _indices(bench: Chain, check: Check) -> None:
    """No two valid pairs of a request have one index; a pair in the place of a lost one may have a new one."""
    for node in bench.ends:
        found: dict[tuple[RequestId, int], list[PairId]] = {}
        for ok in bench.announced(node).values():
            found.setdefault((ok.request, ok.index), []).append(ok.pair)
        for (request, index), pairs in found.items():
            right = len(pairs) == 1 and index >= 1
            check(bench.rule("2.2-7"), right, f"{request} at {node}: index {index} of {pairs}")


def _early(bench: Chain, check: Check) -> None:
    """What was handed up early is settled at most once, and once at rest."""
    for node in bench.ends:
        open_ones: dict[tuple[RequestId, int], PairId] = {}
        settled: set[tuple[RequestId, int]] = set()
        for _, who, what in bench.said:
            if who != node:
                continue
            if isinstance(what, service.Early):
                open_ones[what.request, what.index] = what.token
            elif isinstance(what, service.Ok) and what.kind == "E":
                key = (what.request, what.index)
                known = open_ones.pop(key, None) is not None
                words = f"{what.pair} at {node}, index {what.index}, was not handed up early"
                check(bench.rule("9.2-1"), known, words)
                settled.add(key)
            elif isinstance(what, service.Expired):
                for key, token in list(open_ones.items()):
                    if token in what.pairs:
                        del open_ones[key]
        if bench.at_rest and node not in bench.restarted and settled:
            words = f"{sorted(open_ones.values())} at {node} were never settled"
            check(bench.rule("9.2-1"), not open_ones, words)


def _ancestors(bench: Chain, check: Check) -> None:
    """Nothing that was made of a void pair is valid, once everything has been said."""
    if not bench.at_rest:
        return
    for node in bench.ends:
        valid = bench.announced(node)
        for pair, raws in bench.ancestors(node).items():
            void = sorted(raws & bench.void)
            if void:
                words = f"{pair} at {node} is valid though {void} expired"
                check(bench.rule("2.5-1"), pair not in valid, words)


def liveness(bench: Chain, check: Check) -> None:
    """What must hold at rest after everything that went wrong is over."""
    audit.liveness(bench.record(), _translated(bench, check))
    for name in bench.row:
        words = bench.left(name)
        check(bench.rule("5.1-2"), not words, words)


# ---------------------------------------------------------------- claims

LEVEL: Final = 1e-4
"""Chance that honest claims are called wrong, per direction and look."""


def judge_claims(
    claims: Iterable[Claim], check: Callable[[bool, str], None], *, resolution: float, looks: int
) -> bool:
    """Whether labels are right as often as was claimed, on average; False while that is not decided.

    A pair of which F +- e was claimed has the announced label with a probability in that interval. The
    sums of claims and of right labels differ by a martingale with steps <= 1, so by more than
    sqrt(2 v ln(1/level)) + ln(1/level) * 2/3 with a chance of at most ``level`` (Freedman), where v is
    the sum of the largest variances F (1 - F).

    Args:
        claims: so far.
        check: told once it is decided.
        resolution: mean difference that must have been excluded before the claims count as right.
        looks: how often this is called at most; the level is shared among them.
    """
    number, variance, most, least, right = 0, 0.0, 0.0, 0.0, 0
    for one in claims:
        number += 1
        high = min(1.0, one.goodness + one.goodness_error)
        low = max(0.0, one.goodness - one.goodness_error)
        near = min(max(0.5, low), high)
        variance += near * (1.0 - near)
        most, least, right = most + high, least + low, right + one.right
    if not number:
        return False
    spread = math.log(looks / LEVEL)
    slack = math.sqrt(2.0 * variance * spread) + 2.0 * spread / 3.0
    words = (
        f"of {number} pairs {right} have the announced label; claimed were {least:.1f} to {most:.1f}, "
        f"+- {slack:.1f} with chance 1 - {LEVEL:g}"
    )
    fine = least - slack <= right <= most + slack
    if fine and slack > resolution * number:
        return False
    check(fine, words)
    return True
