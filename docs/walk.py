"""The state tables: what each machine does with each input, found by walking the machines.

A scene is a machine brought into a state by a short script. Every input is given to a copy of it,
and what comes out is written down: effects and the next state, *ignored*, or the exception.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qnet.errors import QnetError
from qnet.ids import AttemptId, LinkId, NodeId, OpId, RequestId, SlotId
from qnet.layers import link, physical
from qnet.machine import (
    Acquired,
    Applied,
    DeadlineReached,
    Effect,
    Indicate,
    Indicated,
    Input,
    Machine,
    Message,
    Observed,
    PeerLost,
    Received,
    Request,
    Requested,
    Send,
)
from qnet.seams import EndContext, StationContext
from qnet.topology import load
from qnet.units import Duration, Instant
from qnet_protocols.heralding.double_click import SCHEME
from qnet_protocols.heralding.midpoint import HeraldRefused, HeraldReported, PhotonsAnnounced
from qnet_protocols.link.egp import EgpEnd
from qnet_protocols.link.messages import (
    Accepted,
    Close,
    Closed,
    CompareProgress,
    HaveSlot,
    NoSlot,
    Propose,
    Rejected,
)

TOPOLOGY: Final = Path(__file__).parents[1] / "deploy/topologies/ion-pair.toml"
ALICE, BOB, STATION, CAROL = (NodeId(name) for name in ("alice", "bob", "station", "carol"))
SLOT: Final = SlotId(0)
MISMATCH: Final = "QUEUE_MISMATCH"
FIRST, SECOND, THEIRS = (RequestId(name) for name in ("alice/1", "alice/2", "bob/1"))
RUN, OTHER_RUN = AttemptId("alice/1.1"), AttemptId("alice/9.9")


@dataclass(frozen=True)
class Scene:
    """A machine in a state: its name, and the machine at an instant."""

    name: str
    machine: Machine
    now: Instant


Inputs = Mapping[str, Callable[[Instant], Input]]
"""Words for an input, and the input at an instant."""


def play(name: str, machine: Machine, *steps: tuple[int, Input]) -> Scene:
    """Bring a machine into a state."""
    now = Instant(0)
    for at, event in steps:
        now = Instant(at)
        machine.handle(event, now)
    return Scene(name, machine, now)


def received(source: NodeId, message: Message, sent_at: int = 0) -> Received:
    """A message as the driver hands it to a machine."""
    return Received(source, message.kind, message, Instant(sent_at))


def outcome(scene: Scene, make: Callable[[Instant], Input], label: Callable[[Any], str]) -> str:
    """What one input does in one scene."""
    machine = copy.deepcopy(scene.machine)
    event = make(Instant(scene.now + 1))
    now = Instant(scene.now + 1)
    if isinstance(event, DeadlineReached):
        now = max(now, machine.next_deadline() or now)
    before, name = machine.state, label(machine.state)
    try:
        effects = machine.handle(event, now)
    except QnetError as error:
        return f"raises {type(error).__name__}"
    words = ", ".join(effect_words(effect) for effect in effects)
    if label(machine.state) != name:
        return f"{words or 'nothing'} → {label(machine.state)}"
    return words or ("ignored" if machine.state == before else "remembered")


def effect_words(effect: Effect) -> str:
    """An effect in two words."""
    match effect:
        case Send(target, message):
            return f"Send {type(message).__name__} to {target}"
        case Request(request):
            return f"Request {type(request).__name__}"
        case Indicate(indication):
            code = getattr(indication, "code", None)
            return f"Indicate {type(indication).__name__}" + (
                f" {code.name}" if code is not None else ""
            )
        case _:
            return type(effect).__name__


def state_table(scenes: Sequence[Scene], inputs: Inputs, label: Callable[[Any], str]) -> str:
    """One table per scene: input and outcome."""
    parts = []
    for scene in scenes:
        rows = [f"| {words} | {outcome(scene, make, label)} |" for words, make in inputs.items()]
        title = f"### {scene.name} (`{label(scene.machine.state)}`)\n"
        parts.append("\n".join([title, "| input | outcome |", "| --- | --- |", *rows]) + "\n")
    return "\n".join(parts)


# ---------------------------------------------------------------- the machines


def physical_end() -> str:
    """The physical machine of an end of a midpoint link."""
    plan = load(TOPOLOGY).links[0]
    context = EndContext(ALICE, plan)
    start = Requested(physical.StartAttempts(RUN, SLOT))
    bounded = Requested(physical.StartAttempts(RUN, SLOT, Instant(10**9)))
    late = 10**8
    scenes = [
        play("Before the first run", SCHEME.make_end(context)),
        play(
            "Attempting without bound",
            SCHEME.make_end(context),
            (1, start),
            (late, _stop(OTHER_RUN)),
        ),
        play(
            "Attempting until an instant",
            SCHEME.make_end(context),
            (1, bounded),
            (late, _stop(OTHER_RUN)),
        ),
        play("After a run was stopped", SCHEME.make_end(context), (1, start), (late, _stop(RUN))),
    ]

    def herald(attempt: AttemptId, back: int) -> Callable[[Instant], Input]:
        return lambda now: received(
            STATION, HeraldReported(plan.name, attempt, 1, 1, 0, Instant(max(0, now - back)))
        )

    def refused(back: int) -> Callable[[Instant], Input]:
        return lambda now: received(
            STATION,
            HeraldRefused(
                plan.name, "QUEUE_MISMATCH", RUN, OTHER_RUN, 0, Instant(max(0, now - back))
            ),
        )

    flight = max(plan.flights)
    inputs: Inputs = {
        "StartAttempts": lambda _: Requested(physical.StartAttempts(OTHER_RUN, SLOT)),
        "StopAttempts for the run": lambda _: _stop(RUN),
        "StopAttempts for another run": lambda _: _stop(OTHER_RUN),
        "HeraldReported for the run": herald(RUN, flight),
        "HeraldReported for another run": herald(OTHER_RUN, flight),
        "HeraldReported for another run, clicked before this one began": herald(OTHER_RUN, late),
        "HeraldRefused": refused(flight),
        "HeraldRefused, clicked before this run began": refused(late),
        "HeraldReported from a stranger": lambda now: received(
            CAROL, HeraldReported(plan.name, RUN, 1, 1, 0, now)
        ),
        "DeadlineReached": lambda _: DeadlineReached(),
        "Observed (for stations only)": lambda now: Observed(plan.name, (0, 2), now),
    }
    return state_table(scenes, inputs, lambda state: type(state).__name__)


def _stop(attempt: AttemptId) -> Input:
    return Requested(physical.StopAttempts(attempt))


def station() -> str:
    """The station machine of a midpoint link."""
    plan = load(TOPOLOGY).links[0]

    def announced(source: NodeId, attempt: AttemptId) -> Received:
        return received(source, PhotonsAnnounced(plan.name, attempt, 1))

    a, b = announced(ALICE, RUN), announced(BOB, RUN)
    other = announced(BOB, OTHER_RUN)
    late = 10**8
    click = Observed(plan.name, (0, 2), Instant(late))
    scenes = [
        play("Nothing announced", SCHEME.make_station(StationContext(plan))),
        play("One end announced", SCHEME.make_station(StationContext(plan)), (late, a)),
        play(
            "Both announced one run", SCHEME.make_station(StationContext(plan)), (1, a), (late, b)
        ),
        play("A click, no end announced", SCHEME.make_station(StationContext(plan)), (late, click)),
        play(
            "A click, one end announced",
            SCHEME.make_station(StationContext(plan)),
            (1, a),
            (late, click),
        ),
        play(
            "A click, both announced one run",
            SCHEME.make_station(StationContext(plan)),
            (1, a),
            (2, b),
            (late, click),
        ),
        play(
            "A click, different runs",
            SCHEME.make_station(StationContext(plan)),
            (1, a),
            (2, other),
            (late, click),
        ),
    ]
    inputs: Inputs = {
        "PhotonsAnnounced from A": lambda _: a,
        "PhotonsAnnounced from B": lambda _: b,
        "PhotonsAnnounced from a stranger": lambda _: announced(CAROL, RUN),
        "Observed, a pattern of the scheme": lambda now: Observed(plan.name, (0, 2), now),
        "Observed, another pattern": lambda now: Observed(plan.name, (0, 1), now),
        "DeadlineReached": lambda _: DeadlineReached(),
        "Requested (for ends only)": lambda _: _stop(RUN),
    }

    def label(state: Any) -> str:
        return "click waits" if state.clicks else "no click"

    return state_table(scenes, inputs, label)


def link_end() -> str:
    """The link machine ``egp`` at end A, with one request of its own for two pairs."""
    plan = load(TOPOLOGY).links[0]
    name: LinkId = plan.name
    direct = plan.direct
    begin = 2 * direct
    flight = max(plan.flights)
    create = Requested(link.Create(FIRST, BOB, 2, 0.9, Duration(0), 0))
    accepted = received(BOB, Accepted(name, FIRST, 1, Instant(begin)), direct)
    acquired = Acquired(f"{name}:{RUN}", SLOT)
    clicked = 10**9
    heralded = Indicated(physical.Heralded(RUN, SLOT, 1, (1, 0), Instant(clicked)))
    applied = Applied(OpId(f"link:{name}/1"), ())
    cancel = Requested(link.Cancel(FIRST))
    script = (
        (0, create),
        (direct + 1, accepted),
        (begin, DeadlineReached()),
        (begin, acquired),
        (clicked + flight, heralded),
        (clicked + flight + 1, applied),
    )
    titles = (
        "No request",
        "Proposed to the peer",
        "Agreed, before its start",
        "A slot was asked for",
        "Attempting",
        "Correcting the heralded state",
        "Waiting for the instant of delivery",
    )

    def fresh() -> EgpEnd:
        return EgpEnd(EndContext(ALICE, plan))

    scenes = [play(title, fresh(), *script[:count]) for count, title in enumerate(titles)]
    scenes.append(play("Cancelled, Close unanswered", fresh(), *script[:4], (begin, cancel)))
    inputs: Inputs = {
        "Create": lambda _: Requested(link.Create(SECOND, BOB, 1, 0.9, Duration(0), 0)),
        "Create, fidelity out of reach": lambda _: Requested(
            link.Create(SECOND, BOB, 1, 0.999, Duration(0), 0)
        ),
        "Cancel": lambda _: cancel,
        "Accept": lambda _: Requested(link.Accept(BOB, 0)),
        "Propose (purpose not accepted)": lambda now: received(
            BOB, Propose(name, THEIRS, 1, 0, now, Duration(0), None, None)
        ),
        "Accepted": lambda _: accepted,
        "Rejected": lambda now: received(BOB, Rejected(name, FIRST, 4, ""), now),
        "Close": lambda now: received(BOB, Close(name, FIRST, "cancelled", 0, 0, Instant(0)), now),
        "Close, the peer announced a pair": lambda now: received(
            BOB, Close(name, FIRST, "cancelled", 1, 1, Instant(clicked)), now
        ),
        "Closed": lambda now: received(BOB, Closed(name, FIRST, 0, 0, Instant(0)), now),
        "CompareProgress, level": lambda now: received(
            BOB, CompareProgress(name, FIRST, 0, Instant(begin), Instant(0)), now
        ),
        "CompareProgress, the peer is ahead": lambda now: received(
            BOB, CompareProgress(name, FIRST, 1, Instant(begin), Instant(0)), now
        ),
        "a message from a stranger": lambda now: received(
            CAROL, Closed(name, FIRST, 0, 0, Instant(0)), now
        ),
        "NoSlot": lambda now: received(BOB, NoSlot(name, RUN), now),
        "HaveSlot": lambda now: received(BOB, HaveSlot(name, RUN, True), now),
        "PeerLost, restarted": lambda _: PeerLost(BOB, restarted=True),
        "Acquired": lambda _: acquired,
        "Heralded": lambda now: Indicated(physical.Heralded(RUN, SLOT, 1, (1, 0), now)),
        "Heralded, a sequence number ahead": lambda now: Indicated(
            physical.Heralded(RUN, SLOT, 3, (1, 0), now)
        ),
        "HeraldedLate": lambda now: Indicated(physical.HeraldedLate(RUN, 1, now)),
        "AttemptsStopped": lambda _: Indicated(physical.AttemptsStopped(RUN, SLOT)),
        "HeraldRefused": lambda _: Indicated(physical.HeraldRefused(RUN, SLOT, MISMATCH, 0)),
        "Applied": lambda _: applied,
        "DeadlineReached": lambda _: DeadlineReached(),
    }
    return state_table(scenes, inputs, egp_label)


def egp_label(state: Any) -> str:
    """The generation's state, and what else the end has on hand."""
    more = [f"{state.open} open"] if state.open else []
    more += [f"{state.closing} closing"] if state.closing else []
    words = type(state.generation).__name__
    return f"{words}, {', '.join(more)}" if more else words


INTRO: Final = """\
# States and inputs

Found by giving every input to a copy of the machine in every state (`docs/walk.py`). *ignored*:
nothing moves. *remembered*: only the data of the state change. An outcome without an arrow stays in
its state. The scripts use the link of `deploy/topologies/ion-pair.toml`.

Some rows cannot occur, because the layer below keeps its own rules; they are shown because the
machine must survive them. Parameters of an input (late, repeated, ahead) matter more than its name:
`tests/machines` has the rest.
"""


def page() -> str:
    """The page states.md."""
    sections = {
        "Physical layer, one end (`double-click`)": physical_end,
        "Physical layer, station (`double-click`)": station,
        "Link layer, end A (`egp`)": link_end,
    }
    return "\n".join([INTRO, *(f"## {title}\n\n{walk()}" for title, walk in sections.items())])
