"""Physical layer of a midpoint link: attempt runs at the ends, matching at the station.

Theory
    An end that starts attempts tells the station under which attempt id its photons travel
    (``PhotonsAnnounced``) and arms the optics. Attempts begin when both ends are armed. A success
    makes the station's detectors click; the click disarms both ends, and the attempt run is used
    up. The ends learn nothing from the click itself: they learn it from the station, one time of
    flight later.

    The station compares the ids that were in force when the attempt began, that is the latest
    announcement of each end sent at least a preparation and one (longer) time of flight before the
    click.
    Equal ids get the next sequence number of the link (from 1), and both ends are told
    ``HeraldReported`` with it. Different ids give ``HeraldRefused`` with the fault QUEUE_MISMATCH,
    a missing announcement one with NO_CLASSICAL_OTHER. Only reported heralds consume a sequence
    number [1].

    A click waits until the end of its instant before it is judged, because an announcement may
    arrive at the very same instant. A station that stood still hears of several clicks at once, each with
    its own instant, and judges them in turn by the announcements of that instant.
Late, early, impossible
    *Late but true:* a herald for a run that this end has stopped is told to the link layer as
    ``HeraldedLate``. A refusal or a herald under another id for a click that this end's present run
    cannot have taken part in (``clicked_at`` before start + preparation + longer flight) says nothing
    about that run. A repeated herald (sequence not above the last one seen, and not for the running attempt)
    and a repeated announcement (``run`` not above the last one seen) are ignored.
    *Early:* nothing; the station keeps the few announcements whose photons cannot have arrived yet.
    *Impossible:* a message about another link or from a node with no part in it raises
    :class:`~qnet.errors.RemoteProtocolError`; a click in an unknown pattern or starting a run while
    another is on raises :class:`~qnet.errors.LocalProtocolError`.
The late half of a stopped run
    A run ends at this end by ``StopAttempts`` or when its ``until`` has passed. ``Abort`` stops
    further photons, and the slot returns to the link layer at once, although a photon may be under
    way and may still herald. *The Abort gives up this end's qubit.* The world puts a heralded state
    only where the run is still armed, so a slot that was returned and perhaps given to something
    else is never touched by a late click; the other end then holds a qubit whose partner is gone.
    Both ends hear of that click: the other end as a herald, this one as ``HeraldedLate``. To tell
    the other end that its pair is worthless is the link layer's business.

    A run with ``until`` ends by itself at ``until`` + longer flight + own flight: every photon left
    before ``until``, so clicks lie before ``until`` + longer flight, and their report has arrived
    by then.
Restarts
    An end or a station that comes back without memory counts on from incarnation * 2**40 (runs and
    sequence numbers), so that no number repeats and nothing of the former life is taken for news. A
    station that has forgotten the announcements refuses the next click; the ends then start anew.
Assumptions and validity
    A message may be lost, doubled or overtaken. An announcement that arrives after the photons that
    it announces costs their click, which is refused or reported under the id before it.
Not modelled
    TIME_MISMATCH and OUT_OF_WINDOW of [1]: the optics of the simulation lets only synchronous
    photons meet. Wrap-around of sequence numbers: they are unbounded integers.
Units
    Instants in picoseconds of simulated time.
Sources
    [1] Dahlberg et al., "A link layer protocol for quantum networks", SIGCOMM 2019, arXiv
        1903.09778, section 5.1: the midpoint heralding protocol (MHP).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, TypeVar

from qnet.errors import LocalProtocolError, RemoteProtocolError
from qnet.ids import AttemptId, LinkId, OpId, SlotId
from qnet.layers import physical
from qnet.machine import (
    Abort,
    Attempt,
    DeadlineReached,
    Effect,
    Indicate,
    Input,
    Message,
    Observed,
    Received,
    Record,
    Requested,
    Send,
)
from qnet.plan import LinkPlan
from qnet.seams import EndContext, StationContext
from qnet.units import Instant

_T = TypeVar("_T")

# ---------------------------------------------------------------- messages


class PhotonsAnnounced(Message, frozen=True):
    """End to station: from now on this end's photons belong to ``attempt``.

    Attributes:
        link: which link.
        attempt: id of the attempt run.
        run: counts the attempt runs of this end on this link, from 1; after a restart from
            incarnation * 2**40 + 1.
    """

    kind: ClassVar[str] = "physical.midpoint/photons_announced@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    attempt: AttemptId
    run: int


class HeraldReported(Message, frozen=True):
    """Station to both ends: a success under ``attempt``.

    Attributes:
        link: which link.
        attempt: the id that both ends announced.
        sequence: number of the success on this link, from 1.
        label_x, label_z: Bell label of the heralded pair.
        clicked_at: instant of the click, in picoseconds.
    """

    kind: ClassVar[str] = "physical.midpoint/herald_reported@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    attempt: AttemptId
    sequence: int
    label_x: int
    label_z: int
    clicked_at: Instant


class HeraldRefused(Message, frozen=True):
    """Station to both ends: a click that could not be matched.

    Attributes:
        link: which link.
        fault: QUEUE_MISMATCH (the ids differ) or NO_CLASSICAL_OTHER (an announcement is missing).
        attempt_a, attempt_b: what each end had announced, None for nothing.
        last_sequence: the last sequence number that was given.
        clicked_at: instant of the click, in picoseconds.
    """

    kind: ClassVar[str] = "physical.midpoint/herald_refused@1"
    reliable: ClassVar[bool] = False
    link: LinkId
    fault: physical.HeraldFault
    attempt_a: AttemptId | None
    attempt_b: AttemptId | None
    last_sequence: int
    clicked_at: Instant


MESSAGES: Final[tuple[type[Message], ...]] = (PhotonsAnnounced, HeraldReported, HeraldRefused)

# ---------------------------------------------------------------- states of an end


class Idle(Record, frozen=True):
    """No attempt run. ``runs``: how many there were; ``last_sequence``: highest sequence seen."""

    runs: int = 0
    last_sequence: int = 0


class Running(Record, frozen=True):
    """Attempting under ``attempt``; ``runs`` counts this run too."""

    attempt: AttemptId
    slot: SlotId
    op: OpId
    until: Instant | None
    started_at: Instant
    runs: int
    last_sequence: int


EndState = Idle | Running


class MidpointEnd:
    """Physical machine of one end: offers :mod:`qnet.layers.physical`."""

    def __init__(self, context: EndContext) -> None:
        self._link = context.link
        self._flight_longer = max(context.link.flights)
        self._first_click = context.link.preparation + self._flight_longer
        self._flight_own = context.link.flights[context.side]
        self._state: EndState = Idle(runs=context.incarnation * physical.PER_INCARNATION)

    @property
    def state(self) -> EndState:
        """The present state."""
        return self._state

    def next_deadline(self) -> Instant | None:
        """When no herald of a photon emitted before ``until`` can arrive any more."""
        match self._state:
            case Running(until=int(until)):
                return Instant(until + self._flight_longer + self._flight_own)
            case _:
                return None

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        """React to one event."""
        match (self._state, event):
            case (Idle() as idle, Requested(physical.StartAttempts() as request)):
                return self._start(idle, request, now)
            case (Running(attempt=running), Requested(physical.StartAttempts(attempt=wanted))):
                raise LocalProtocolError(
                    f"{self._link.name}: attempts under {wanted} must not start before those "
                    f"under {running} have ended, at {now} ps"
                )
            case (Running() as run, Requested(physical.StopAttempts(attempt))):
                return self._stop(run) if attempt == run.attempt else []
            case (Idle(), Requested(physical.StopAttempts())):
                return []
            case (_, Received(message=HeraldReported() as report)):
                self._check_source(event, now)
                if report.label_x not in (0, 1) or report.label_z not in (0, 1):
                    raise RemoteProtocolError(_impossible(self._link.name, self._state, event, now))
                return self._on_report(report)
            case (_, Received(message=HeraldRefused() as refusal)):
                self._check_source(event, now)
                return self._on_refusal(refusal)
            case (state, DeadlineReached()):
                due = self.next_deadline()
                if isinstance(state, Running) and due is not None and due <= now:
                    return self._stop(state)
                return []
            case (_, Received()):
                raise RemoteProtocolError(_impossible(self._link.name, self._state, event, now))
            case _:
                raise LocalProtocolError(_impossible(self._link.name, self._state, event, now))

    def _start(self, idle: Idle, request: physical.StartAttempts, now: Instant) -> Sequence[Effect]:
        if request.until is not None and request.until <= now:
            raise LocalProtocolError(
                f"{self._link.name}: until of attempts under {request.attempt} must be after "
                f"{now} ps, got {request.until}"
            )
        runs = idle.runs + 1
        op = OpId(f"physical:{self._link.name}/{runs}")
        self._state = Running(
            request.attempt, request.slot, op, request.until, now, runs, idle.last_sequence
        )
        announcement = PhotonsAnnounced(self._link.name, request.attempt, runs)
        return [
            Send(self._link.station, announcement),
            Attempt(op, self._link.name, request.slot, request.until),
        ]

    def _stop(self, run: Running) -> Sequence[Effect]:
        self._state = Idle(run.runs, run.last_sequence)
        stopped = physical.AttemptsStopped(run.attempt, run.slot)
        return [Abort(run.op), Indicate(stopped, (run.slot,))]

    def _on_report(self, report: HeraldReported) -> Sequence[Effect]:
        state = self._state
        used_up = isinstance(state, Running) and self._used_up(state, report.clicked_at)
        if isinstance(state, Running) and used_up and report.attempt == state.attempt:
            self._state = Idle(state.runs, max(state.last_sequence, report.sequence))
            heralded = physical.Heralded(
                state.attempt,
                state.slot,
                report.sequence,
                (report.label_x, report.label_z),
                report.clicked_at,
            )
            return [Indicate(heralded, (state.slot,))]
        if report.sequence <= state.last_sequence:
            return []
        late = Indicate(physical.HeraldedLate(report.attempt, report.sequence, report.clicked_at))
        if isinstance(state, Running) and used_up:
            return [late, *self._refuse(state, "QUEUE_MISMATCH", report.sequence)]
        self._state = _with_sequence(state, report.sequence)
        return [late]

    def _on_refusal(self, refusal: HeraldRefused) -> Sequence[Effect]:
        state = self._state
        if isinstance(state, Running) and self._used_up(state, refusal.clicked_at):
            return self._refuse(state, refusal.fault, refusal.last_sequence)
        return []

    def _used_up(self, run: Running, clicked_at: Instant) -> bool:
        """Whether a click at ``clicked_at`` involved a photon of this run, and so disarmed it."""
        return clicked_at >= run.started_at + self._first_click

    def _refuse(
        self, run: Running, fault: physical.HeraldFault, last_sequence: int
    ) -> Sequence[Effect]:
        self._state = Idle(run.runs, max(run.last_sequence, last_sequence))
        refused = physical.HeraldRefused(run.attempt, run.slot, fault, last_sequence)
        return [Indicate(refused, (run.slot,))]

    def _check_source(self, event: Received, now: Instant) -> None:
        if event.source != self._link.station or event.message.link != self._link.name:
            raise RemoteProtocolError(
                f"{self._link.name}: {event.kind} must come from station {self._link.station} "
                f"and be about this link, got one from {event.source} about {event.message.link}, "
                f"at {now} ps"
            )


def _with_sequence(state: EndState, sequence: int) -> EndState:
    if isinstance(state, Idle):
        return Idle(state.runs, sequence)
    return Running(
        state.attempt, state.slot, state.op, state.until, state.started_at, state.runs, sequence
    )


def _impossible(link: LinkId, state: Record, event: Input, now: Instant) -> str:
    if isinstance(event, Received):
        what, source = event.kind, f" from {event.source}"
    else:
        what, source = repr(event), ""
    return f"{link}: {what}{source} must not arrive in state {state!r}, at {now} ps"


# ---------------------------------------------------------------- the station


class Announcement(Record, frozen=True):
    """What one end said: ``attempt`` is in force for attempts begun at or after ``sent_at``."""

    attempt: AttemptId
    run: int
    sent_at: Instant


KEPT: Final = 8
"""Announcements of an end that wait for a click; a click that needs an older one is refused."""


class Click(Record, frozen=True):
    """A click that is judged at the end of the instant ``due`` at which the station hears of it."""

    label: tuple[int, int]
    at: Instant
    due: Instant


class StationState(Record, frozen=True):
    """What the station knows of one link.

    Attributes:
        announced: announcements of end A and of end B, oldest first, as far as they may still be
            needed.
        last_runs: highest run number announced by A and by B.
        clicks: what waits for the end of this instant; several after a stand-still only.
        last_sequence: the last sequence number given.
    """

    announced: tuple[tuple[Announcement, ...], tuple[Announcement, ...]] = ((), ())
    last_runs: tuple[int, int] = (0, 0)
    clicks: tuple[Click, ...] = ()
    last_sequence: int = 0


class MidpointStation:
    """Station machine of one link.

    Args:
        link: the link.
        labels: Bell label of each successful click pattern of the scheme.
        incarnation: restarts of the station so far; each has sequence numbers of its own.
    """

    def __init__(
        self,
        link: LinkPlan,
        *,
        labels: Mapping[tuple[int, ...], tuple[int, int]],
        incarnation: int = 0,
    ) -> None:
        self._link = link
        self._labels = dict(labels)
        self._since_start = link.preparation + max(link.flights)
        self._state = StationState(last_sequence=incarnation * physical.PER_INCARNATION)

    @property
    def state(self) -> StationState:
        """The present state."""
        return self._state

    def next_deadline(self) -> Instant | None:
        """The instant at which the clicks that wait are judged."""
        clicks = self._state.clicks
        return clicks[0].due if clicks else None

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        """React to one event."""
        state = self._state
        match event:
            case Received(message=PhotonsAnnounced() as announcement):
                self._on_announcement(event, announcement, now)
                return []
            case Observed(pattern=pattern, clicked_at=clicked_at):
                label = self._labels.get(pattern)
                last = state.clicks[-1].at if state.clicks else None
                repeated = last is not None and clicked_at <= last
                if label is None or event.link != self._link.name or repeated:
                    raise LocalProtocolError(_impossible(self._link.name, state, event, now))
                clicks = (*state.clicks, Click(label, clicked_at, now))
                self._state = StationState(
                    state.announced, state.last_runs, clicks, state.last_sequence
                )
                return []
            case DeadlineReached():
                return [effect for click in state.clicks for effect in self._judge(click)]
            case Received():
                raise RemoteProtocolError(_impossible(self._link.name, state, event, now))
            case _:
                raise LocalProtocolError(_impossible(self._link.name, state, event, now))

    def _on_announcement(self, event: Received, message: PhotonsAnnounced, now: Instant) -> None:
        if event.source not in self._link.ends or message.link != self._link.name:
            raise RemoteProtocolError(_impossible(self._link.name, self._state, event, now))
        state = self._state
        side = self._link.ends.index(event.source)
        if message.run <= state.last_runs[side]:
            return
        new = Announcement(message.attempt, message.run, event.sent_at)
        # A click that is still to be heard of lies behind the last one that was judged; which of these
        # announcements it needs is not known before.
        kept = (*state.announced[side], new)[-KEPT:]
        self._state = StationState(
            _replace(state.announced, side, kept),
            _replace(state.last_runs, side, message.run),
            state.clicks,
            state.last_sequence,
        )

    def _split(
        self, announced: tuple[Announcement, ...], clicked_at: Instant
    ) -> tuple[tuple[Announcement, ...], tuple[Announcement, ...], tuple[Announcement, ...]]:
        """Announcements that are over, the one in force for such a click (if any), later ones."""
        latest = clicked_at - self._since_start
        past = tuple(one for one in announced if one.sent_at <= latest)
        return past[:-1], past[-1:], announced[len(past) :]

    def _judge(self, click: Click) -> Sequence[Effect]:
        state = self._state
        (_, in_force_a, later_a), (_, in_force_b, later_b) = (
            self._split(announced, click.at) for announced in state.announced
        )
        attempt_a = in_force_a[0].attempt if in_force_a else None
        attempt_b = in_force_b[0].attempt if in_force_b else None
        sequence = state.last_sequence
        message: Message
        if attempt_a is not None and attempt_a == attempt_b:
            sequence += 1
            x, z = click.label
            message = HeraldReported(self._link.name, attempt_a, sequence, x, z, click.at)
        else:
            missing = attempt_a is None or attempt_b is None
            fault: physical.HeraldFault = "NO_CLASSICAL_OTHER" if missing else "QUEUE_MISMATCH"
            message = HeraldRefused(
                self._link.name, fault, attempt_a, attempt_b, sequence, click.at
            )
        self._state = StationState((later_a, later_b), state.last_runs, state.clicks[1:], sequence)
        return [Send(end, message) for end in self._link.ends]


def station_of(
    labels: Mapping[tuple[int, ...], tuple[int, int]],
) -> Callable[[StationContext], MidpointStation]:
    """``make_station`` of a scheme with these labels, by click pattern."""

    def make_station(context: StationContext) -> MidpointStation:
        return MidpointStation(context.link, labels=labels, incarnation=context.incarnation)

    return make_station


def _replace(pair: tuple[_T, _T], index: int, value: _T) -> tuple[_T, _T]:
    return (value, pair[1]) if index == 0 else (pair[0], value)
