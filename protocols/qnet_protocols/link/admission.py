"""What one link can promise: its times, and which requests it takes.

Theory
    All times follow from the link's plan and the two processors alone, so that both ends compute the
    same ones. A photon that leaves the longer arm at e clicks at e + longer flight (the other one
    leaves later and meets it). The click is *heard* at both ends one longer flight later. A pair is
    delivered at both ends at the same instant, ``lag`` after the click:

        K        longer flight + longer correction gate (+ longest transfer to memory if stored)
        M        longer flight + longest measurement (five single-qubit gates and a read-out)
        R        the longer of a measurement at the origin and a transfer at the peer

    A request with a deadline therefore attempts only until deadline - (longer flight + lag): a
    herald is in time at both ends or happens at neither. The end with the shorter arm uses the same
    bound, though its photons, on their way for a shorter time, could leave a little later.

    Behind a switch at the station (``LinkPlan.window``) a link is dark for a part of each period, which is
    no silence of the peer: a wait for a herald is longer by one darkness, and then, wherever it begins, as
    much light passes in it as in so many mean times. Pairs ahead are forecast from the windows that come,
    and no request can be served faster than its attempts fit into windows.

    A request is refused when it is malformed (CREATE), when even an idle link could not serve it or
    test rounds show by three standard errors that its pairs are not good enough (UNSUPP), when the
    pairs ahead of it already take longer than it may (NOTIME), or when the queue is full or a
    memory can never hold what it wants (NORES).
Assumptions and validity
    The mean time per pair is the estimate for an idle link; NOTIME is a forecast, not a bound.
Not modelled
    Slots held by applications. Choice of a bright-state population by the minimum fidelity: no
    built-in scheme has one; a scheme that has one would get the fidelity with its attempts, here.
Units
    Picoseconds of simulated time.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778: error codes of the link layer service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qnet.hardware import Platform
from qnet.layers.link import BasisChoice, Create, ErrorCode
from qnet.physics.moves import longest_move, moves
from qnet.plan import LinkPlan, Window
from qnet.seams import EndContext
from qnet.units import Duration, Instant, duration_from_s
from qnet_protocols.link.queue import Terms

QUEUE_LIMIT: Final = 64
"""Requests of both ends that a link keeps at a time."""

PRIORITY_LIMIT: Final = 15
"""The largest queue number."""

BASES: Final = ("X", "Y", "Z", "Z+X", "Z-X")

_ROUND_TRIPS_PER_ANSWER: Final = 3
_PAIR_TIMES_PER_ASK: Final = 20
"""An honest herald takes longer than this many mean times with probability e^-20."""
_GATES_PER_MEASUREMENT: Final = 5
"""RX, RY, RX, and at most two to turn the basis."""

Refusal = tuple[ErrorCode, str]


@dataclass(frozen=True)
class Timing:
    """Times of a link.

    Attributes:
        direct: light time between the ends.
        handshake: shortest time of an agreement, one round trip.
        answer_wait: how long to wait for an answer before asking again.
        ask_wait: how long to attempt without a herald before comparing progress with the peer.
        flight: the longer time of flight, from a click to the instant at which both ends know.
        correction: the longer correction gate.
        transfer: the longest transfer to memory (initialise and SWAP).
        quickest: the shortest one.
        measurement: the longest measurement.
        mean_pair: mean time per pair on an idle link, None if it never succeeds.
        window: when the switch of the station connects the link, None for always.
    """

    direct: Duration
    handshake: Duration
    answer_wait: Duration
    ask_wait: Duration
    flight: Duration
    correction: Duration
    transfer: Duration
    quickest: Duration
    measurement: Duration
    mean_pair: Duration | None
    window: Window | None = None

    @classmethod
    def of(cls, context: EndContext) -> Timing:
        """The times of the link of ``context``."""
        link = context.link
        handshake = 2 * link.direct
        answer_wait = _ROUND_TRIPS_PER_ANSWER * handshake + link.cycle
        rate_hz = link.estimate.rate_hz
        mean_pair = duration_from_s(1.0 / rate_hz) if rate_hz > 0.0 else None
        dark = 0 if link.window is None else link.window.dark
        ask_wait = answer_wait + dark + _PAIR_TIMES_PER_ASK * (mean_pair or link.cycle)
        ends = context.platforms or ()
        return cls(
            direct=link.direct,
            handshake=Duration(handshake),
            answer_wait=Duration(answer_wait),
            ask_wait=Duration(ask_wait),
            flight=max(link.flights),
            correction=max(link.correction),
            transfer=Duration(max(map(longest_move, ends), default=0)),
            quickest=Duration(min((moves(end)[0].duration for end in ends), default=0)),
            measurement=Duration(max((_measurement(end) for end in ends), default=0)),
            mean_pair=mean_pair,
            window=link.window,
        )

    def forecast(self, pairs: int, now: Instant) -> Duration:
        """How long so many pairs take from now on, on average; at least until the link is lit."""
        needed = pairs * (self.mean_pair or 0)
        if self.window is None:
            return Duration(needed)
        light = needed * self.window.length // self.window.period
        return Duration(self.window.lasted(now, light) - now)

    def lag(self, terms: Terms) -> Duration:
        """From a click to the delivery of its pair at both ends."""
        kept = self.correction + (self.transfer if terms.store else 0)
        match terms.kind:
            case "M":
                return Duration(self.flight + self.measurement)
            case "R":
                return Duration(self.flight + max(kept, self.measurement))
            case _:
                return Duration(self.flight + kept)

    def until(self, terms: Terms) -> Instant | None:
        """No photon may leave at or after this instant, so that its pair is in time."""
        if terms.deadline is None:
            return None
        return Instant(terms.deadline - self.flight - self.lag(terms))


def _measurement(end: Platform) -> Duration:
    gates = duration_from_s(end.gate_1q.duration_s) * _GATES_PER_MEASUREMENT
    return Duration(gates + duration_from_s(end.readout.duration_s))


def refusal(
    create: Create,
    *,
    context: EndContext,
    timing: Timing,
    queued: int,
    pairs_ahead: int,
    now: Instant,
    measured: tuple[float, float] | None = None,
) -> Refusal | None:
    """Why ``create`` is not taken, or None.

    Args:
        create: the request.
        context: this end.
        timing: times of the link.
        queued: requests in the queue, of both ends.
        pairs_ahead: pairs that those requests still want.
        now: this instant.
        measured: fidelity and standard error by test rounds, None while there are too few.
    """
    return (
        _malformed(create, context)
        or _unsupported(create, context.link, timing, measured)
        or _no_resources(create, context, queued)
        or _no_time(create, timing, pairs_ahead, now)
    )


def _malformed(create: Create, context: EndContext) -> Refusal | None:
    rules = (
        (create.remote == context.remote, f"remote must be {context.remote}, got {create.remote}"),
        (create.number >= 1, f"number must be >= 1, got {create.number}"),
        (
            0.0 <= create.minimum_fidelity <= 1.0,
            f"minimum_fidelity must obey 0 <= F <= 1, got {create.minimum_fidelity}",
        ),
        (create.max_time >= 0, f"max_time must be >= 0 ps, got {create.max_time}"),
        (create.kind in ("K", "M", "R"), f"kind must be K, M or R on a link, got {create.kind}"),
        (0 <= create.purpose < 2**16, f"purpose must obey 0 <= p < 65536, got {create.purpose}"),
        (
            0 <= create.priority <= PRIORITY_LIMIT,
            f"priority must obey 0 <= p <= {PRIORITY_LIMIT}, got {create.priority}",
        ),
        (
            create.kind == "K" or not create.atomic,
            f"atomic must be False for kind {create.kind}, which keeps no pairs at both ends",
        ),
        (
            create.kind == "K" or create.final is None,
            f"final must be None for kind {create.kind}, whose pairs are measured as they come",
        ),
        (create.kind != "M" or not create.store, "store must be False for kind M"),
        (
            create.final is None or set(create.final) <= {0, 1},
            f"final must be two bits, got {create.final}",
        ),
        (not create.circuit, f"circuit must be empty on a link, got {create.circuit}"),
        (create.test_share == 0.0, f"test_share must be 0 on a link, got {create.test_share}"),
    )
    for kept, words in rules:
        if not kept:
            return ErrorCode.CREATE, words
    return _bad_basis("local", create.local) or _bad_basis("distant", create.distant)


def _bad_basis(name: str, choice: BasisChoice) -> Refusal | None:
    weights = choice.weights
    sound = (
        len(choice.bases) == len(weights) > 0
        and set(choice.bases) <= set(BASES)
        and all(0.0 <= weight < float("inf") for weight in weights)
        and sum(weights) > 0.0
        and all(abs(angle) < float("inf") for angle in choice.rotation_rad)
    )
    if sound:
        return None
    return ErrorCode.CREATE, (
        f"{name} must name bases of {', '.join(BASES)} with one weight each, not all 0, got {choice}"
    )


def _unsupported(
    create: Create, link: LinkPlan, timing: Timing, measured: tuple[float, float] | None
) -> Refusal | None:
    goodness, wanted = link.estimate.goodness, create.minimum_fidelity
    if wanted > goodness:
        return ErrorCode.UNSUPP, (
            f"minimum_fidelity must be <= {goodness:.6f}, the goodness of {link.name}, got {wanted}"
        )
    if measured is not None and wanted > measured[0] + 3.0 * measured[1]:
        return ErrorCode.UNSUPP, (
            f"minimum_fidelity must be <= {measured[0]:.4f} + 3 * {measured[1]:.4f}, what test "
            f"rounds say of {link.name}, got {wanted}"
        )
    if timing.mean_pair is None:
        return ErrorCode.UNSUPP, f"link {link.name} never succeeds (rate 0)"
    if create.max_time:
        fastest = max(timing.handshake, fastest_run(link, create.number))
        if create.max_time < fastest:
            return ErrorCode.UNSUPP, (
                f"max_time must be >= {fastest} ps (agreement, {create.number} cycles), "
                f"got {create.max_time}"
            )
    return None


def fastest_run(link: LinkPlan, attempts: int) -> Duration:
    """Shortest time in which so many attempts of a link can succeed one after the other."""
    time = attempts * link.cycle
    if link.window is not None:
        most = -(-link.window.length // link.cycle)  # in one window
        time += (attempts - 1) // most * max(0, link.window.dark - link.cycle)
    return Duration(time)


def _no_resources(create: Create, context: EndContext, queued: int) -> Refusal | None:
    name = context.link.name
    if queued >= QUEUE_LIMIT:
        return ErrorCode.NORES, f"queue of {name} must hold <= {QUEUE_LIMIT} requests"
    if create.kind != "K" and (create.kind == "M" or context.platforms is None):
        if context.platforms is None:
            return ErrorCode.NORES, f"processors of {name} must be known to measure, they are not"
        return None
    if not (create.store or create.atomic):
        return None
    wanted = create.number if create.atomic else 1
    for side, end in enumerate(context.link.ends):
        keeps = create.kind == "K" or end != context.node
        slots = context.platforms[side].memory_slots if context.platforms else 0
        if keeps and slots < wanted:
            return ErrorCode.NORES, (
                f"memory of {end} must have >= {wanted} slots for this request, has {slots}"
            )
    return None


def _no_time(create: Create, timing: Timing, pairs_ahead: int, now: Instant) -> Refusal | None:
    ahead = timing.forecast(pairs_ahead, now)
    if create.max_time and create.max_time < ahead:
        reason = f"the {pairs_ahead} pairs ahead"
        if timing.window is not None:
            reason += " and the darkness of the switch"
        return ErrorCode.NOTIME, (
            f"max_time must be >= {ahead} ps for {reason}, got {create.max_time}"
        )
    return None
