"""The quantum store: the joint state of all memories, one density matrix per entangled cluster.

Theory
    A slot is empty, taken by an attempt run, or holds a qubit. Qubits that may be correlated form
    a cluster with one joint state. A joint gate merges two clusters; measuring, initialising or
    discarding a qubit takes it out of its cluster. Decay is lazy: every qubit knows the instant up
    to which it has evolved, and T1/T2 decay is applied when it is next touched. For memoryless
    local noise that is exact.
Time within a program
    Instructions run one after another. A gate, compiled to those of the processor
    (:mod:`qnet.physics.native`), or an initialisation acts at the end of its duration, after the
    decay of that time and with its depolarising noise. A read-out acts at its start and takes its
    duration (a published read-out error includes what happens meanwhile); in all bases but Z it is
    preceded by one pulse. A draw and a gate whose condition is not met take no time. All slots of a
    program are busy until it ends. Other qubits of a cluster are not touched: local noise commutes
    with what others do.
Attempts of the node
    Where a platform says so, each photon that leaves the node on any link dephases every qubit in a memory
    slot, charged lazily like T1/T2 by the number of departures. What a program will find when it ends is not
    known when it begins: the attempts until its start act before it, those meanwhile when it is over, on
    what the memory slots hold then. A qubit that moves into a memory slot counts from its arrival.
Read-out errors
    The state after a read-out is the one conditional on the reported outcome r, sum_t P(r|t) |t><t|
    rho |t><t| (normalised): all that anybody in the network can know. A qubit read by a perfect
    read-out leaves its cluster; otherwise it stays in it, a classical record, until it is discarded
    or initialised.
Refusals
    A program is checked as a whole before anything happens; a refused one leaves no mark. The check
    assumes that every conditional gate runs. A repeat of an operation id returns the stored result.
Not modelled
    Crosstalk, correlated noise, loss of the qubit itself, gates between slots of different nodes. Attempts
    during a program on memories that it reads or moves out.
Units
    Instants in integer picoseconds; platform figures in seconds and average gate fidelities.
Sources
    [1] Nielsen and Chuang, "Quantum Computation and Quantum Information" (2000), chapter 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from qnet.errors import EngineUnsupported, IllegalProgram, SlotBusy, TimeReversed, UnknownSlot
from qnet.hardware import Platform
from qnet.ids import NodeId, OpId, SlotId
from qnet.physics.attempts import kept_coherence
from qnet.physics.bell import Label
from qnet.physics.memory import Decay, decay
from qnet.program import Draw, Gate, Initialise, Measure, Program
from qnet.units import Instant, seconds
from qnet.world.admission import (
    Admission,
    Cluster,
    Holder,
    Place,
    ProgramResult,
    Slot,
    names,
    refuse_past,
    refuse_unless_free,
)
from qnet.world.engine import TO_Z, ComplexMatrix, Engine, State, check_program
from qnet.world.pulses import Train

__all__ = ["Place", "ProgramResult", "Store"]

RESULTS_KEPT: Final = 4096
"""Results of programs remembered per node for repeats of their operation id."""


class Store:
    """The joint state of all nodes.

    Args:
        engine: does the quantum mechanics.
        platforms: the processors by name; stations have none and hold nothing.
        cluster_cap: largest number of qubits in one cluster, >= 2.
    """

    def __init__(
        self, engine: Engine, platforms: Mapping[NodeId, Platform], cluster_cap: int = 10
    ) -> None:
        if cluster_cap < 2:
            raise ValueError(f"cluster_cap must be >= 2, got {cluster_cap}")
        self._engine = engine
        self._cap = cluster_cap
        self._nodes = {name: Holder(name, platform) for name, platform in platforms.items()}
        self.shaken = any(holder.shaken for holder in self._nodes.values())
        """Whether attempts dephase a memory of any node."""
        self.open_trains: Callable[[NodeId], Iterable[Train]] = lambda _: ()
        """Departures of the runs of a node that are not over, as things stand; set by the optics."""

    # -------------------------------------------------------------- commands

    def run_program(
        self,
        node: NodeId,
        op: OpId,
        program: Program,
        at: Instant,
        uniform: Callable[[], float],
    ) -> ProgramResult:
        """Run a program on slots of ``node``, starting at ``at``.

        Args:
            node: the authenticated owner of the slots.
            op: operation id; a repeat returns the stored result and touches nothing.
            program: instructions, run one after another.
            at: start.
            uniform: source of numbers in [0, 1); every measurement and every draw takes one.

        Raises:
            UnknownSlot: no such slot, or an empty one is used before it is initialised.
            SlotBusy: a slot is in an attempt run or in a program that has not ended.
            TimeReversed: a slot has evolved past ``at``.
            IllegalProgram: an instruction breaks a rule of :mod:`qnet.program`, or the operation id has run
                another program.
            StateTooLarge: a joint gate could make a cluster larger than the cap.
            EngineUnsupported: the engine has no such gate, or cannot read in such a basis.
        """
        holder = self._holder(node, op)
        known = holder.results.get(op)
        if known is not None:
            if known[0] != program:
                raise IllegalProgram(
                    f"operation id of {node} must be new for a new program, it has run {known[0]}",
                    op=op,
                )
            return known[1]
        used = Admission(holder, op, program, at, self._cap).slots
        check_program(self._engine, program, op)
        if holder.shaken:
            self._charge_attempts(holder, used, at)
        outcomes: list[int] = []
        now: int = at
        for step in program.instructions:
            if type(step) is Gate:
                if step.when and not sum(outcomes[index] for index in step.when) & 1:
                    continue
                now = self._run_gate(holder, step, now)
            elif type(step) is Measure:
                basis = step.basis if step.choice is None else step.bases[outcomes[step.choice]]
                outcome, now = self._run_measure(holder, step.slot, basis, now, uniform())
                outcomes.append(outcome)
            elif type(step) is Draw:
                outcomes.append(_drawn(step.weights, uniform()))
            elif type(step) is Initialise:
                now = self._run_initialise(holder, step, now)
        result = ProgramResult(tuple(outcomes), Instant(now))
        for slot in used:
            slot.began = at
            slot.busy_until = now
        holder.results[op] = program, result
        if len(holder.results) > RESULTS_KEPT:
            holder.results.popitem(last=False)
        return result

    def reserve(self, node: NodeId, slot: SlotId, at: Instant) -> None:
        """Take a slot for an attempt run; what it held is discarded.

        Raises:
            UnknownSlot, SlotBusy, TimeReversed: as for :meth:`run_program`.
        """
        record = self._free_slot(node, slot, at)
        self._remove(record)
        record.reserved = True
        record.began = at

    def unreserve(self, node: NodeId, slot: SlotId) -> None:
        """End an attempt run without a pair; the slot is empty. No error if it was not taken."""
        self._holder(node, "").slot(slot, "").reserved = False

    def create_pair(
        self,
        first: Place,
        second: Place,
        state: Sequence[Sequence[complex]],
        at: Instant,
        second_at: Instant | None = None,
    ) -> None:
        """Put a heralded state into two reserved (or empty) slots and end their reservation.

        Args:
            first: slot of the first qubit of ``state``.
            second: slot of the second qubit.
            state: 4 x 4 density matrix in the basis 00, 01, 10, 11.
            at: instant from which the qubits decay: the emission of the photons.
            second_at: the same for ``second`` if its photon left at another instant.

        Raises:
            UnknownSlot, SlotBusy, TimeReversed: as for :meth:`run_program`; a slot that holds a
                qubit is busy.
            EngineUnsupported: ``state`` is no density matrix of two qubits.
        """
        self._create([(first, at), (second, at if second_at is None else second_at)], state)

    def create_single(self, place: Place, state: Sequence[Sequence[complex]], at: Instant) -> None:
        """Put a heralded 2 x 2 state into one slot: the other half of the pair was given up.

        Raises:
            UnknownSlot, SlotBusy, TimeReversed, EngineUnsupported: as for :meth:`create_pair`.
        """
        self._create([(place, at)], state)

    def _create(
        self, wanted: list[tuple[Place, Instant]], state: Sequence[Sequence[complex]]
    ) -> None:
        slots = [self._holder(place[0], "").slot(place[1], "") for place, _ in wanted]
        if len(set(slots)) != len(slots):
            raise SlotBusy(f"a pair needs two different slots, got {names(slots)}")
        for slot, (_, instant) in zip(slots, wanted, strict=True):
            refuse_past(slot, instant, "")
            if slot.busy_until > instant or slot.cluster is not None:
                raise SlotBusy(f"slot {slot} must be empty and idle to take a heralded qubit")
        joint = self._engine.from_matrix(state)
        if self._engine.qubits(joint) != len(slots):
            raise EngineUnsupported(
                f"a heralded state of {len(slots)} qubits is wanted, "
                f"got {self._engine.qubits(joint)}"
            )
        cluster = Cluster(slots, joint)
        for slot, (_, instant) in zip(slots, wanted, strict=True):
            slot.cluster = cluster
            slot.touched = slot.began = slot.busy_until = instant
            slot.arrive(instant)
            slot.reserved = False

    def discard(self, node: NodeId, slot: SlotId, at: Instant) -> None:
        """Empty a slot; its qubit is traced out. An empty slot stays empty.

        Raises:
            UnknownSlot, SlotBusy, TimeReversed: as for :meth:`run_program`.
        """
        record = self._free_slot(node, slot, at)
        self._remove(record)
        record.began = at

    def crash(self, node: NodeId, at: Instant) -> None:
        """Empty all slots of ``node``, whatever they do, and forget what its programs returned.

        A station has none: nothing happens.
        """
        holder = self._nodes.get(node)
        if holder is None:
            return
        for slot in holder.slots:
            self._remove(slot)
            slot.reserved = False
            slot.began = slot.busy_until = slot.touched = at
        holder.results.clear()

    def attempts_ended(self, node: NodeId, train: Train) -> None:
        """A run of attempts of ``node`` is over; its memories pay for these departures when next touched."""
        holder = self._nodes[node]
        if not holder.shaken:
            return
        for slot in holder.slots:
            if slot.shaken and slot.cluster is not None:
                pulses = train.since(slot.pulsed)
                if pulses:
                    slot.pulses += pulses
                    slot.counted = max(slot.counted, train.last)

    # -------------------------------------------------------------- truth, for reports and tests

    def bell_fidelity(self, first: Place, second: Place, label: Label, at: Instant) -> float:
        """True <B(label)|rho|B(label)> of two qubits at ``at``; changes nothing.

        Raises:
            UnknownSlot: a slot is empty or does not exist.
            TimeReversed: a qubit has evolved past ``at``.
        """
        state = self._evolved([first, second], at)
        return self._engine.bell_overlap(state, 0, 1, label)

    def density_matrix(self, places: Sequence[Place], at: Instant) -> ComplexMatrix:
        """Joint density matrix of some qubits at ``at``, in the order asked for; changes nothing.

        Raises:
            UnknownSlot, TimeReversed: as for :meth:`bell_fidelity`.
        """
        return self._engine.matrix(self._evolved(places, at))

    def partner(self, node: NodeId, slot: SlotId, remote: NodeId) -> Place | None:
        """The one qubit of ``remote`` in the cluster of this slot, records of read-outs aside.

        None if there is none or more than one.
        """
        cluster = self._holder(node, "").slot(slot, "").cluster
        if cluster is None:
            return None
        found = [
            member.place
            for member in cluster.slots
            if member.place[0] == remote and not member.record
        ]
        return found[0] if len(found) == 1 else None

    def occupied(self) -> list[Place]:
        """Slots that hold a qubit, sorted."""
        return sorted(
            slot.place
            for node in self._nodes.values()
            for slot in node.slots
            if slot.cluster is not None
        )

    def reserved(self) -> list[Place]:
        """Slots taken by attempt runs, sorted."""
        return sorted(
            slot.place for node in self._nodes.values() for slot in node.slots if slot.reserved
        )

    def cluster_of(self, node: NodeId, slot: SlotId) -> tuple[Place, ...]:
        """Qubits of the cluster of this slot, in the order of the state; () if empty."""
        cluster = self._holder(node, "").slot(slot, "").cluster
        return () if cluster is None else tuple(member.place for member in cluster.slots)

    # -------------------------------------------------------------- instructions

    def _run_gate(self, holder: Holder, step: Gate, now: int) -> int:
        gate = holder.compiled(step)
        ends = now + gate.duration
        slots = [holder.slots[index] for index in step.slots]
        cluster = self._touch(slots[0], ends)
        for slot in slots[1:]:
            cluster = self._merge(cluster, self._touch(slot, ends))
        places = [cluster.slots.index(slot) for slot in slots]
        for name, on, kept in gate.steps:
            where, noise = tuple(places[position] for position in on), 1.0 - kept
            if name:
                cluster.state = self._engine.gate(cluster.state, name, where, step.angle_rad, noise)
            elif noise:
                cluster.state = self._engine.depolarise(cluster.state, where, noise)
        if step.name == "SWAP" and holder.shaken:
            first, second = slots
            if first.shaken and second.shaken:
                first.pulsed, second.pulsed = second.pulsed, first.pulsed
            else:
                first.arrive(ends)
                second.arrive(ends)
        return ends

    def _run_measure(
        self, holder: Holder, index: int, basis: str, now: int, uniform: float
    ) -> tuple[int, int]:
        """Outcome and end."""
        slot = holder.slots[index]
        if basis != "Z":
            now += holder.one_ps
        cluster = self._touch(slot, now)
        position = cluster.slots.index(slot)
        if basis != "Z":
            name, angle_rad = TO_Z[basis]
            cluster.state = self._engine.gate(
                cluster.state, name, (position,), angle_rad, holder.one_noise
            )
        if any(holder.flip_probs):
            reported = self._engine.report(cluster.state, position, holder.flip_probs, uniform)
            cluster.state = reported.state
            slot.record = True
            return reported.outcome, now + holder.readout_ps
        measured = self._engine.measure(cluster.state, position, uniform)
        del cluster.slots[position]
        cluster.state = measured.rest
        slot.cluster = Cluster([slot], self._engine.basis(measured.outcome))
        return measured.outcome, now + holder.readout_ps

    def _run_initialise(self, holder: Holder, step: Initialise, now: int) -> int:
        slot = holder.slots[step.slot]
        self._remove(slot)
        state = self._engine.basis(0)
        if holder.init_noise:
            state = self._engine.depolarise(state, (0,), holder.init_noise)
        slot.cluster = Cluster([slot], state)
        slot.touched = now + holder.init_ps
        slot.arrive(slot.touched)
        return slot.touched

    # -------------------------------------------------------------- clusters

    def _touch(self, slot: Slot, now: int) -> Cluster:
        """Bring a qubit's decay up to ``now`` and return its cluster."""
        cluster = slot.cluster
        assert cluster is not None, f"{slot} is empty, admission should have refused"
        slot.record = False
        if not slot.perfect and now > slot.touched:
            amount = decay(seconds(now - slot.touched), slot.t1_s, slot.t2_s)
            cluster.state = self._engine.decay(cluster.state, cluster.slots.index(slot), amount)
        slot.touched = now
        return cluster

    def _charge_attempts(self, holder: Holder, slots: Iterable[Slot], now: int) -> None:
        """Bring what attempts do to qubits in memory up to ``now``."""
        for slot in slots:
            cluster = slot.cluster
            if not slot.shaken or cluster is None:
                continue
            pulses = self._pulses(slot, now)
            slot.arrive(now)
            if pulses:
                amount = Decay(0.0, kept_coherence(holder.dephasing_prob, pulses))
                cluster.state = self._engine.decay(cluster.state, cluster.slots.index(slot), amount)

    def _pulses(self, slot: Slot, until: int) -> int:
        """Attempts before ``until`` that were not charged to the qubit in a memory slot yet."""
        trains = self.open_trains(slot.place[0])
        return slot.pulses + sum(train.between(slot.pulsed, until) for train in trains)

    def _merge(self, first: Cluster, second: Cluster) -> Cluster:
        if first is second:
            return first
        first.state = self._engine.merge(first.state, second.state)
        first.slots.extend(second.slots)
        for slot in second.slots:
            slot.cluster = first
        return first

    def _remove(self, slot: Slot) -> None:
        """Trace a qubit out, if there is one. Its decay does not matter to the others."""
        cluster = slot.cluster
        if cluster is None:
            return
        position = cluster.slots.index(slot)
        cluster.state = self._engine.trace_out(cluster.state, position)
        del cluster.slots[position]
        slot.cluster = None
        slot.record = False

    def _evolved(self, places: Sequence[Place], at: Instant) -> State:
        """Joint state of some qubits at an instant, in the order asked for, from copies."""
        wanted = [self._holder(node, "").slot(slot, "") for node, slot in places]
        if len({slot.place for slot in wanted}) != len(wanted):
            raise UnknownSlot(f"each qubit may be named once, got {names(wanted)}")
        joint: State = None
        order: list[Slot] = []
        for slot in wanted:
            if slot.cluster is None:
                raise UnknownSlot(f"slot {slot} must hold a qubit, it is empty")
            evolved = max(slot.touched, slot.counted) if slot.pulses else slot.touched
            if evolved > at:
                raise TimeReversed(f"slot {slot} has evolved to {evolved} ps, got {at} ps")
            if slot in order:
                continue
            members = [member for member in slot.cluster.slots if member in wanted]
            part = self._reduced(slot.cluster, members, at)
            joint = part if joint is None else self._engine.merge(joint, part)
            order.extend(members)
        return self._engine.reorder(joint, tuple(order.index(slot) for slot in wanted))

    def _reduced(self, cluster: Cluster, members: list[Slot], at: Instant) -> State:
        state = cluster.state
        for position in reversed(range(len(cluster.slots))):
            if cluster.slots[position] not in members:
                state = self._engine.trace_out(state, position)
        for position, slot in enumerate(members):
            if not slot.perfect and at > slot.touched:
                amount = decay(seconds(at - slot.touched), slot.t1_s, slot.t2_s)
                state = self._engine.decay(state, position, amount)
            pulses = self._pulses(slot, at) if slot.shaken else 0
            if pulses:
                prob = self._nodes[slot.place[0]].dephasing_prob
                state = self._engine.decay(
                    state, position, Decay(0.0, kept_coherence(prob, pulses))
                )
        return state

    # -------------------------------------------------------------- look-ups

    def _holder(self, name: NodeId, op: str) -> Holder:
        node = self._nodes.get(name)
        if node is None:
            raise UnknownSlot(f"node {name!r} holds no slots", op=op)
        return node

    def _free_slot(self, node: NodeId, slot: SlotId, at: Instant) -> Slot:
        record = self._holder(node, "").slot(slot, "")
        refuse_unless_free(record, at, "")
        return record


def _drawn(weights: tuple[float, ...], uniform: float) -> int:
    """Outcome k with chance weights[k] / sum; one of weight 0 never comes."""
    left = uniform * sum(weights)
    for k, weight in enumerate(weights):
        left -= weight
        if left < 0.0:
            return k
    return max(k for k, weight in enumerate(weights) if weight > 0.0)
