"""Which slots of a processor interact, and how a program runs where some do not: by moving qubits there and back.

Theory
    A gate on two slots that do not interact is done by SWAPs that bring the first qubit next to the second,
    the gate, and the same SWAPs backwards, so that afterwards every qubit is where the program has it. Among
    all ways through slots that may be used the one with the best gates is taken: with p the process fidelity
    of an entangler, that with the least sum of -ln p over all entanglers, six for each SWAP there and back,
    one for the gate. Of equals, the one over the fewest slots, then the one with the smallest numbers.

    A way leads through slots that hold a qubit (of the program, by then), and through spare ones, which are
    initialised before.
Assumptions and validity
    Pulses and transport, equal for all couplings, and decay are not in the choice.
Not modelled
    A new place for qubits that meet often; ways of which the second qubit goes a part.
Units
    None.
Sources
    Dijkstra, "A note on two problems in connexion with graphs", Numer. Math. 1, 269 (1959).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Container, Iterable, Mapping
from itertools import pairwise

from qnet.errors import LocalProtocolError
from qnet.hardware import Operation, Platform
from qnet.ids import SlotId
from qnet.physics.gates import process_from_average
from qnet.program import Gate, Initialise, Instruction, Program

Graph = Mapping[int, Mapping[int, Operation]]
"""Slot -> slot beside it -> their gate."""


def graph(platform: Platform) -> Graph:
    """The couplings of a processor, both ways; empty if all slots interact."""
    found: dict[int, dict[int, Operation]] = {}
    for one in platform.couplings:
        first, second = one.slots
        found.setdefault(first, {})[second] = one.gate
        found.setdefault(second, {})[first] = one.gate
    return found


def _cost(gate: Operation) -> float:
    """-ln of the process fidelity of an entangler."""
    return -math.log(max(process_from_average(gate.fidelity, 2), 1e-300))


def chain(
    couplings: Graph, first: int, second: int, through: Container[int] | None = None
) -> tuple[int, ...]:
    """The best way from slot to slot, both included; () if there is none.

    Args:
        couplings: from :func:`graph`.
        first: where the way begins.
        second: where it ends.
        through: slots between them that may be used; None for all.
    """
    swapped: dict[int, tuple[float, tuple[int, ...]]] = {}
    waiting: list[tuple[float, int, tuple[int, ...]]] = [(0.0, 1, (first,))]
    best: tuple[float, int, tuple[int, ...]] | None = None
    while waiting:
        cost, length, way = heapq.heappop(waiting)
        here = way[-1]
        if here in swapped:
            continue
        swapped[here] = (cost, way)
        for beside, gate in couplings.get(here, {}).items():
            if beside == second:
                done = (cost + _cost(gate), length + 1, (*way, beside))
                best = done if best is None else min(best, done)
            elif beside not in swapped and (through is None or beside in through):
                heapq.heappush(waiting, (cost + 6.0 * _cost(gate), length + 1, (*way, beside)))
    return () if best is None else best[2]


def uncoupled(platform: Platform, first: int, second: int) -> str:
    """What to say of a gate on two slots that do not interact."""
    couplings = graph(platform)
    beside = ", ".join(
        f"{slot} interacts with {sorted(couplings.get(slot, ())) or 'none'}"
        for slot in (first, second)
    )
    shortest = _shortest(couplings, first, second)
    way = "-".join(map(str, shortest)) if shortest else "none"
    return (
        f"needs two slots that interact, got {first} and {second}: {beside}; shortest chain {way}"
    )


def _shortest(couplings: Graph, first: int, second: int) -> tuple[int, ...]:
    """A way over as few slots as there is."""
    even = {slot: dict.fromkeys(beside, Operation(0.0, 0.9)) for slot, beside in couplings.items()}
    return chain(even, first, second)


def routed(platform: Platform, program: Program, spare: Iterable[SlotId] = ()) -> Program:
    """A program of the same effect in which every gate is on two slots that interact.

    Args:
        platform: the processor; without couplings the program stays as it is.
        program: as if all slots did.
        spare: slots that hold nothing that is needed; what they hold is lost.

    Raises:
        LocalProtocolError: there is no way for some gate.
    """
    couplings = graph(platform)
    if not couplings:
        return program
    fresh = set(spare)
    full = _full_at_first(program) - fresh
    out: list[Instruction] = []
    for step in program.instructions:
        if isinstance(step, Initialise):
            full.add(step.slot)
        if isinstance(step, Gate) and len(step.slots) == 2:
            first, second = step.slots
            way = chain(couplings, first, second, full | fresh)
            if not way:
                raise LocalProtocolError(
                    f"{step.name} {uncoupled(platform, first, second)}; the program may use the slots "
                    f"{sorted(full | fresh)}: hold those of the chain too and name them as spare"
                )
            between = [SlotId(slot) for slot in way[1:-1]]
            out += [Initialise(slot) for slot in between if slot not in full]
            full.update(between)
            places = [first, *between]
            there = [Gate("SWAP", pair, when=step.when) for pair in pairwise(places)]
            out += [*there, Gate(step.name, (places[-1], second), when=step.when), *there[::-1]]
        else:
            out.append(step)
    return Program(tuple(out))


def _full_at_first(program: Program) -> set[SlotId]:
    """Slots of a program that hold a qubit when it begins: used before they are initialised."""
    full: set[SlotId] = set()
    made: set[SlotId] = set()
    for step in program.instructions:
        if isinstance(step, Initialise):
            made.add(step.slot)
        elif isinstance(step, Gate):
            full.update(slot for slot in step.slots if slot not in made)
        elif hasattr(step, "slot") and step.slot not in made:
            full.add(step.slot)
    return full
