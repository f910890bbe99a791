"""Slots, clusters and the check that a quantum program must pass before anything happens.

Theory
    A program is checked as a whole against the present state: its grammar, whether its slots exist,
    are free and hold a qubit when one is needed, and how large the clusters become. The clusters
    that the program would make are followed as plain sets of slots; no quantum state is involved.
Assumptions and validity
    Every conditional gate is assumed to run, so a program is never refused half way.
Not modelled
    A way round for a gate on slots that do not interact: :mod:`qnet.couplings` finds one.
Units
    Instants in integer picoseconds.
Sources
    None: bookkeeping.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple, NoReturn

from qnet.couplings import uncoupled
from qnet.errors import IllegalProgram, SlotBusy, StateTooLarge, TimeReversed, UnknownSlot
from qnet.hardware import Operation, Platform
from qnet.ids import NodeId, OpId, SlotId
from qnet.physics.gates import depolarising_from_fidelity
from qnet.physics.memory import check_coherence_times
from qnet.physics.native import Compiled, compiled, single
from qnet.program import BASES, GATE_SLOTS, ROTATIONS, Draw, Gate, Initialise, Measure, Program
from qnet.units import Instant, duration_from_s
from qnet.world.engine import State

Place = tuple[NodeId, SlotId]
"""A slot of a node."""


class ProgramResult(NamedTuple):
    """What a program returned: reported outcomes in order, and the instant at which it ends."""

    outcomes: tuple[int, ...]
    ends_at: Instant


class Cluster:
    """Qubits with one joint state; ``slots[i]`` is at position i of the state."""

    __slots__ = ("slots", "state")

    def __init__(self, slots: list[Slot], state: State) -> None:
        self.slots = slots
        self.state = state


class Slot:
    """One memory slot.

    Attributes:
        t1_s, t2_s: of its qubit.
        perfect: both are infinite.
        cluster: where its qubit lives, None if empty.
        touched: instant up to which the qubit has evolved.
        began: start of the latest command; an earlier one is refused.
        busy_until: end of the latest program.
        reserved: taken by an attempt run.
        record: its qubit has been read with an imperfect read-out and not been touched since: what is
            left is a classical record of the outcome.
        shaken: attempts of its node dephase it.
        pulsed: instant up to which attempts were charged to its qubit.
        pulses: attempts of ended runs since then.
        counted: instant of the last of them.
    """

    __slots__ = (
        "began",
        "busy_until",
        "cluster",
        "counted",
        "perfect",
        "place",
        "pulsed",
        "pulses",
        "record",
        "reserved",
        "shaken",
        "t1_s",
        "t2_s",
        "touched",
    )

    def __init__(self, place: Place, t1_s: float, t2_s: float) -> None:
        self.place = place
        self.t1_s = t1_s
        self.t2_s = t2_s
        self.perfect = math.isinf(t1_s) and math.isinf(t2_s)
        self.cluster: Cluster | None = None
        self.touched = 0
        self.began = 0
        self.busy_until = 0
        self.reserved = False
        self.record = False
        self.shaken = False
        self.pulsed = self.pulses = self.counted = 0

    def arrive(self, instant: int) -> None:
        """A qubit is in this slot from ``instant`` on; attempts before do not concern it."""
        self.pulsed = instant
        self.pulses = 0

    def __str__(self) -> str:
        return f"{self.place[0]}/{self.place[1]}"


class Holder:
    """One processor: slots, durations in picoseconds, noise as depolarising parameters.

    ``couplings`` has the gate of every two slots that interact, either one first; empty if all do.
    """

    def __init__(self, name: NodeId, platform: Platform) -> None:
        self.name = name
        self.slots: list[Slot] = []
        for index in range(platform.slots):
            coherence = platform.coherence_of(index)
            check_coherence_times(coherence.t1_s, coherence.t2_s)
            self.slots.append(Slot((name, SlotId(index)), coherence.t1_s, coherence.t2_s))
        self.shaken = platform.memory_slots > 0 and platform.attempt_dephasing_prob > 0.0
        self.dephasing_prob = platform.attempt_dephasing_prob
        if self.shaken:
            for slot in self.slots[platform.communication_slots :]:
                slot.shaken = True
        self.platform = platform
        self.couplings: dict[tuple[int, ...], Operation] = {}
        for one in platform.couplings:
            self.couplings[one.slots] = self.couplings[one.slots[::-1]] = one.gate
        self.one_ps = duration_from_s(platform.gate_1q.duration_s)
        self.one_noise = depolarising_from_fidelity(platform.gate_1q.fidelity, 1)
        self.init_ps = duration_from_s(platform.initialise.duration_s)
        # Fidelity of an initialisation: the population of |0>, 1 - lambda/2, as for one qubit.
        self.init_noise = depolarising_from_fidelity(platform.initialise.fidelity, 1)
        self.readout_ps = duration_from_s(platform.readout.duration_s)
        self.flip_probs = (platform.readout.error_0_prob, platform.readout.error_1_prob)
        self.results: OrderedDict[OpId, tuple[Program, ProgramResult]] = OrderedDict()

    def compiled(self, step: Gate) -> Compiled:
        """A gate, its two slots interacting if it has two, as this processor does it."""
        if len(step.slots) == 1:
            return single(self.platform, step.name)
        return compiled(self.platform, step.name, self.couplings.get(step.slots))

    def slot(self, index: int, op: str) -> Slot:
        """The slot of that index; ``op`` is for the message of UnknownSlot."""
        if not 0 <= index < len(self.slots):
            raise UnknownSlot(
                f"slot of {self.name} must obey 0 <= slot < {len(self.slots)}, got {index}", op=op
            )
        return self.slots[index]


class Admission:
    """Checks a whole program against the present state without changing anything.

    ``slots`` are the slots that the program names, in order of first use. The clusters that the
    program would make are followed as sets of slots.
    """

    def __init__(self, holder: Holder, op: OpId, program: Program, at: Instant, cap: int) -> None:
        self._holder = holder
        self._op = op
        self._at = at
        self._cap = cap
        self._groups: dict[Slot, set[Slot] | None] = {}
        self._known: dict[Cluster, set[Slot]] = {}
        self._choices: list[int] = []
        """Of every outcome so far: how many values it may have if it was drawn, 0 if measured."""
        for index, step in enumerate(program.instructions):
            if type(step) is Gate:
                self._gate(index, step)
            elif type(step) is Measure:
                self._measure(index, step)
                self._choices.append(0)
            elif type(step) is Initialise:
                self._alone(self._use(step.slot))
            elif type(step) is Draw:
                self._draw(index, step)
                self._choices.append(len(step.weights))

    @property
    def slots(self) -> Iterable[Slot]:
        """Slots that the program names."""
        return self._groups

    def _use(self, index: int) -> Slot:
        slot = self._holder.slot(index, self._op)
        if slot not in self._groups:
            refuse_unless_free(slot, self._at, self._op)
            group = None
            if slot.cluster is not None:
                group = self._known.get(slot.cluster)
                if group is None:
                    group = self._known[slot.cluster] = set(slot.cluster.slots)
            self._groups[slot] = group
        return slot

    def _filled(self, index: int) -> tuple[Slot, set[Slot]]:
        slot = self._use(index)
        group = self._groups[slot]
        if group is None:
            raise UnknownSlot(
                f"slot {slot} must hold a qubit or be initialised first, it is empty", op=self._op
            )
        return slot, group

    def _alone(self, slot: Slot) -> None:
        group = self._groups[slot]
        if group is not None:
            group.discard(slot)
        self._groups[slot] = {slot}

    def _measure(self, index: int, step: Measure) -> None:
        for basis in (step.basis, *step.bases):
            if basis not in BASES:
                self._illegal(index, f"basis must be one of {', '.join(BASES)}, got {basis!r}")
        if step.choice is None:
            if step.bases:
                self._illegal(index, f"bases need a choice among them, got {list(step.bases)}")
        elif not 0 <= step.choice < len(self._choices) or not self._choices[step.choice]:
            self._illegal(index, f"choice must name an earlier draw, got {step.choice}")
        elif self._choices[step.choice] != len(step.bases):
            self._illegal(
                index,
                f"a draw among {self._choices[step.choice]} must choose from as many bases, "
                f"got {list(step.bases)}",
            )
        slot, _ = self._filled(step.slot)
        if not any(self._holder.flip_probs):
            self._alone(slot)

    def _draw(self, index: int, step: Draw) -> None:
        total = sum(step.weights)
        if not (0.0 < total < math.inf) or min(step.weights) < 0.0:
            self._illegal(
                index,
                f"weights must be finite, >= 0 and not all 0, got {list(step.weights)}",
            )

    def _gate(self, index: int, step: Gate) -> None:
        wanted = GATE_SLOTS.get(step.name)
        if wanted is None:
            self._illegal(index, f"gate must be one of {', '.join(GATE_SLOTS)}, got {step.name!r}")
        if len(step.slots) != wanted or len(set(step.slots)) != wanted:
            self._illegal(
                index, f"{step.name} needs {wanted} different slots, got {list(step.slots)}"
            )
        if (step.name in ROTATIONS) != (step.angle_rad is not None):
            rule = "needs" if step.name in ROTATIONS else "takes no"
            self._illegal(index, f"{step.name} {rule} angle_rad, got {step.angle_rad}")
        if step.angle_rad is not None and not math.isfinite(step.angle_rad):
            self._illegal(index, f"angle_rad must be finite, got {step.angle_rad}")
        for outcome in step.when:
            if not 0 <= outcome < len(self._choices):
                self._illegal(
                    index,
                    f"when must name earlier outcomes 0..{len(self._choices) - 1}, got {outcome}",
                )
            if self._choices[outcome]:
                self._illegal(
                    index, f"when must name outcomes of measurements, {outcome} was drawn"
                )
        _, group = self._filled(step.slots[0])
        if wanted == 2:
            self._coupled(index, step)
            _, other = self._filled(step.slots[1])
            if other is not group:
                self._join(group, other)

    def _coupled(self, index: int, step: Gate) -> None:
        couplings = self._holder.couplings
        if couplings and step.slots not in couplings:
            for slot in step.slots:
                self._holder.slot(slot, self._op)
            words = uncoupled(self._holder.platform, *step.slots)
            self._illegal(index, f"{step.name} on {self._holder.name} {words}")

    def _join(self, group: set[Slot], other: set[Slot]) -> None:
        if len(group) + len(other) > self._cap:
            raise StateTooLarge(
                f"an entangled cluster must have <= {self._cap} qubits, got "
                f"{len(group) + len(other)}: {names(group | other)}",
                op=self._op,
            )
        group |= other
        for slot, at_present in self._groups.items():
            if at_present is other:
                self._groups[slot] = group
        for cluster, at_present in self._known.items():
            if at_present is other:
                self._known[cluster] = group

    def _illegal(self, index: int, text: str) -> NoReturn:
        raise IllegalProgram(f"instruction {index}: {text}", op=self._op)


def refuse_past(slot: Slot, at: int, op: str) -> None:
    """Raise TimeReversed if the latest command on ``slot`` starts after ``at``."""
    if at < slot.began:
        raise TimeReversed(
            f"a command on slot {slot} must start at or after {slot.began} ps, got {at} ps", op=op
        )


def refuse_unless_free(slot: Slot, at: int, op: str) -> None:
    """Raise SlotBusy or TimeReversed unless a command on ``slot`` may start at ``at``."""
    if slot.reserved:
        raise SlotBusy(f"slot {slot} takes part in an attempt run at {at} ps", op=op)
    refuse_past(slot, at, op)
    if at < slot.busy_until:
        raise SlotBusy(
            f"slot {slot} is in a program until {slot.busy_until} ps, got {at} ps", op=op
        )


def names(slots: Iterable[Slot]) -> str:
    """Slots as "alice/0, bob/1", sorted."""
    return ", ".join(f"{node}/{index}" for node, index in sorted(slot.place for slot in slots))
