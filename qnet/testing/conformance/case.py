"""Cases: small drivers that put a bench through its paces and name the requirements that they check.

Theory
    A case is a function of a :class:`Trial`: it makes benches, runs them and checks. It states the
    identifiers that it checks beforehand, in which mode it looks (safety or liveness), and under
    which fault profiles it is run. A case is a function of (target, seed, fault plan): the same
    three give the same result, which is what replay and shrinking rest on.

    A check that was never reached does not pass: its verdict is INCONCLUSIVE.
Sources
    Cases as data: h2spec, Autobahn; "sometimes" assertions: Antithesis; safety and liveness apart:
    TigerBeetle's simulator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal

from qnet.ids import NodeId, RequestId
from qnet.layers import link as service
from qnet.randomness import KeyedRandom
from qnet.seams import LinkProtocol
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.faults import ALICE, BOB, PROFILES, Plan, Scale
from qnet.testing.conformance.features import asked, limits_of, offered, refused
from qnet.testing.conformance.floor import Floor
from qnet.testing.conformance.matter import Luck
from qnet.testing.conformance.parts import Hung, Line, NotApplicable, Violation, drawn
from qnet.testing.conformance.requirement import Layer
from qnet.testing.conformance.stage import CYCLE, FLIGHTS, PURPOSE, other
from qnet.units import Duration, Instant

Mode = Literal["safety", "liveness"]

CLEAN: Final = ("clean",)
ALL: Final = tuple(PROFILES)
HORIZON: Final = Instant(40 * CYCLE)
SCALE: Final = Scale(Duration(sum(FLIGHTS)), Duration(CYCLE), HORIZON)
"""Times that fault plans are made for."""


@dataclass
class Findings:
    """What the checks of a run found.

    Attributes:
        reached: how often each requirement was checked.
        broken: requirement -> words of each check that failed.
        where: requirement -> number of the trial's bench on which it broke first.
    """

    reached: Counter[str] = field(default_factory=Counter)
    broken: dict[str, list[str]] = field(default_factory=dict)
    where: dict[str, int] = field(default_factory=dict)

    def add(self, identifier: str, words: str, bench: int) -> None:
        """Requirement ``identifier`` is broken on that bench."""
        self.broken.setdefault(identifier, []).append(words)
        self.where.setdefault(identifier, bench)


class Trial:
    """One run of one case.

    Args:
        protocol: under test.
        seed: of all luck and of the order of what happens at one instant.
        faults: the fault plan.
        ids: requirements that the case checks.
        explore: whether the seed also chooses the order of what happens at one instant.

    Attributes:
        layer: whose requirements its cases check.
        subject: what targets its cases are about.
        scale: times and names that its fault plans are made for.
        watched: a run of its cases is bounded in wall time as a whole; others watch each answer.
    """

    layer: ClassVar[Layer] = "link"
    subject: ClassVar[Any] = LinkProtocol
    scale: ClassVar[Scale] = SCALE
    watched: ClassVar[bool] = True

    def __init__(self, protocol: Any, seed: int, faults: Plan, ids: Iterable[str]) -> None:
        self.protocol = protocol
        self.seed = seed
        self.faults = faults
        self.ids = frozenset(ids)
        self.findings = Findings()
        self.benches: list[Any] = []
        self.hung = False

    def random(self, purpose: str) -> KeyedRandom:
        """Numbers for ``purpose``."""
        return KeyedRandom(self.seed, "conformance", purpose)

    def bench(self, **options: Any) -> Bench:
        """A bench with the luck of the seed and users that accept.

        Its faults are those of the trial's plan, unless the case makes faults of its own.
        """
        uniform = self.random("luck").uniform
        luck = Luck(
            success=lambda _run: 1 + int(3 * uniform()),
            bit=lambda pair, basis: int(2 * self._keyed(f"bit:{pair}:{basis}")),
            draw=lambda weights: drawn(weights, uniform()),
        )
        defaults: dict[str, Any] = {"luck": luck, "faults": self.faults, "explore": self.seed}
        accept = options.pop("accept", True)
        limits = limits_of(self.protocol)
        beyond = limits.too_much(options.get("slots", (1, 1)), options.get("memory", (0, 0)))
        if beyond:
            raise NotApplicable(beyond)
        bench = Bench(self.protocol, **{**defaults, **options})
        bench.most_pairs = limits.pairs
        self.benches.append(bench)
        if accept:
            bench.accept()
        return bench

    def offers(self, fields: Mapping[str, Any]) -> bool:
        """Whether the target serves requests with these fields of CREATE."""
        return asked(fields) <= offered(self.protocol)

    def wish(self, **fields: Any) -> dict[str, Any]:
        """These fields of CREATE where the target serves them, else those of a plain request."""
        return fields if self.offers(fields) else {}

    def limit(self, limit_ps: int) -> int:
        """``limit_ps`` as ``max_time``; none where the target serves none."""
        return limit_ps if self.offers({"max_time": limit_ps}) else 0

    def needs(self, *features: str) -> None:
        """The rest of the case is about optional features.

        Raises:
            NotApplicable: the target offers none of them.
        """
        if not offered(self.protocol).intersection(features):
            raise NotApplicable(refused(features, self.protocol))

    def _keyed(self, purpose: str) -> float:
        return self.random(purpose).uniform()

    def check(self, identifier: str, holds: bool, words: str) -> None:
        """Requirement ``identifier`` was reached; does it hold here? Others than the case's are left out."""
        if identifier not in self.ids:
            return
        self.findings.reached[identifier] += 1
        if not holds:
            self.findings.add(identifier, words, len(self.benches) - 1)

    def expect(self, number: str, holds: bool, words: str) -> None:
        """:meth:`check` of the requirement of the layer with that number, like "2.1-1"."""
        self.check(f"QN-{self.layer.upper()}-{number}", holds, words)

    def lines(self) -> list[Line]:
        """What happened on all benches, in order."""
        return [line for bench in self.benches for line in bench.lines]


@dataclass(frozen=True)
class Case:
    """A registered case.

    Attributes:
        name: unique; what is done, in words.
        layer: whose requirements it checks.
        ids: the requirements.
        mode: looks anywhere (safety) or at rest (liveness).
        profiles: fault profiles under which it is run.
        once: it needs one seed only: nothing in it depends on luck.
        drive: the driver.
        trial: what its driver works with; says what targets it is about.
    """

    name: str
    layer: str
    ids: tuple[str, ...]
    mode: Mode
    profiles: tuple[str, ...]
    once: bool
    drive: Callable[[Any], None]
    trial: type[Trial] = Trial

    def run(self, protocol: Any, seed: int, faults: Plan) -> Trial:
        """Run it once.

        Raises:
            NotApplicable: the target does not offer what it is about.
        """
        trial = self.trial(protocol, seed, faults, self.ids)
        try:
            self.drive(trial)
        except Violation as violation:
            # The contract holds in every case, whether the case names it or not.
            trial.hung = isinstance(violation, Hung)
            identifier = violation.identifier
            trial.findings.reached[identifier] += 1
            trial.findings.add(identifier, violation.words, len(trial.benches) - 1)
        return trial


CASES: Final[dict[str, Case]] = {}


def case(
    *ids: str,
    mode: Mode = "liveness",
    profiles: tuple[str, ...] = CLEAN,
    once: bool = False,
    layer: str = "link",
    trial: type[Trial] = Trial,
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a driver that checks ``ids``."""

    def register(drive: Callable[[Any], None]) -> Callable[[Any], None]:
        name = drive.__name__.replace("_", "-")
        if name in CASES:
            raise ValueError(f"a case's name must be new, got {name} again")
        CASES[name] = Case(name, layer, tuple(ids), mode, profiles, once, drive, trial)
        return drive

    return register


# ---------------------------------------------------------------- shared by cases

ENDS: Final = (ALICE, BOB)
BOTH: Final = service.BasisChoice(("X", "Z"), (1.0, 1.0))
PAIRS: Final = (service.Ok, service.OkMeasured)


def at_once(bench: Floor, request: RequestId, node: NodeId) -> Any:
    """How ``request`` ended at ``node`` at the instant of its CREATE, 0; None if it did not."""
    for at, who, what in bench.said:
        ends = isinstance(what, (service.Err, service.RequestEnded))
        if at == 0 and who == node and ends and what.request == request:
            return what
    return None


def ask_at_random(
    trial: Trial, bench: Floor, random: KeyedRandom, wishes: Sequence[dict[str, Any]], spread: int
) -> None:
    """Two requests or more, by up to ``spread``, of all kinds, some cancelled, some with deadlines."""
    half = HORIZON // 2
    for number in range(2 + random.below(spread)):
        node = ENDS[random.below(2)]
        limit = CYCLE + random.below(half) if random.uniform() < 0.25 else 0
        wish = trial.wish(**wishes[random.below(len(wishes))])
        at = random.below(half)
        request = bench.create(
            at, node, str(number), 1 + random.below(3), trial.limit(limit), **wish
        )
        if random.uniform() < 0.2:
            canceller = ENDS[random.below(2)]
            bench.ask(at + random.below(half), canceller, service.Cancel(request))
    if random.uniform() < 0.2:
        node, at = ENDS[random.below(2)], random.below(half)
        bench.ask(at, node, service.StopAccepting(other(node), PURPOSE))
        bench.ask(at + 3 * CYCLE, node, service.Accept(other(node), PURPOSE))


def ask_unaccepted(
    trial: Trial, bench: Floor, origin: NodeId, accepted: int | None, direct: int
) -> None:
    """A request of ``origin`` whose peer accepts another purpose, or none, ``direct`` of light time away."""
    if accepted is not None:
        bench.ask(0, other(origin), service.Accept(origin, accepted))
    request = bench.create(CYCLE, origin, "1")
    bench.run()
    ended = endings(bench, origin).get(request)
    rejected = code(ended) == service.ErrorCode.REJECTED
    trial.expect("1.2-1", rejected, f"by {origin}: ended with {ended!r}")
    heard = bench.heard(other(origin))
    trial.expect("1.2-2", not heard, f"{other(origin)} hears {heard}")
    at = next((at for at, _, what in bench.said if what is ended), 0)
    early = f"rejected at {at} ps, asked at {CYCLE} ps over {direct} ps"
    if rejected:
        trial.expect("1.2-4", at >= CYCLE + 2 * direct, early)


def endings(bench: Floor, node: NodeId) -> dict[RequestId, Any]:
    """How each request ended at ``node``."""
    return {one.request: one for one in bench.heard(node, (service.RequestEnded, service.Err))}


def code(ending: Any) -> service.ErrorCode | None:
    """The code of an Err, None for anything else."""
    return ending.code if isinstance(ending, service.Err) else None


def delivered(ending: Any) -> int:
    """Pairs that a RequestEnded counts, -1 for anything else."""
    return ending.delivered if isinstance(ending, service.RequestEnded) else -1
