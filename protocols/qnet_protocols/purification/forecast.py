"""What a purification protocol makes of the pairs of an idle link: fidelity and rate, before the run.

Theory
    A step takes pairs as they come, one per 1/rate on average, and succeeds with the probability p of all
    results that keep the pair; ``qnet_protocols.purification.prediction`` gives p and the kept pair exactly.
    With n pairs per step, the raw pairs N_k behind a pair of level k are

        nested    N_k = n N_(k-1) / p_k
        pumping   N_k = (N_(k-1) + n - 1) / p_k

    and pairs of level k come at rate / N_k. An input waits for the later ones of its step. Gaps are
    exponential, so that a dephasing of rate s over m gaps of mean g leaves (1 + s g)^-m of a coherence.
    Where pairs wait in memory, the attempts of the link may dephase them, at a mean rate like a shorter T2
    (:mod:`qnet.physics.attempts`). The kept pair waits one light time for what the other end has read.
Assumptions and validity
    All rounds are made (``until_fidelity`` stops earlier: then this is the best pair). Gaps between pairs of
    higher levels count as exponential too, which is a little pessimistic: they are more regular. The link
    goes on while a step runs. Raw pairs are those of the link's estimate, in the frame of label (0, 0).
    The rotations of a twirl count as gates.
Not modelled
    Pairs that are dropped after ``patience_s``; slots shared with other links, and their attempts; T1 beyond
    what T2 says.
Units
    Hertz, seconds; picoseconds where integer.
Sources
    [1] Dür, Briegel, "Entanglement purification and quantum error correction", Rep. Prog. Phys. 70, 1381
        (2007), doi 10.1088/0034-4885/70/8/R03, section 3: recurrence and pumping, their cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import msgspec

from qnet.hardware import Platform
from qnet.physics.attempts import rate_hz, while_attempting
from qnet.physics.bell import Correlators
from qnet.plan import LinkPlan
from qnet.seams import Purified
from qnet.units import Duration, Instant, duration_from_s
from qnet_protocols.purification.circuit import ROTATIONS, Circuit, operations
from qnet_protocols.purification.holdings import (
    Plan,
    PurificationParameters,
    Room,
    must_store,
    too_small,
)
from qnet_protocols.purification.prediction import Input, Side, predict, program_ends

Ends = tuple[Platform, Platform]


def forecast(circuit: Circuit) -> Callable[[LinkPlan, Ends], Purified]:
    """The function ``predict`` of the catalogue record of a protocol with this circuit."""

    def of_link(link: LinkPlan, ends: Ends) -> Purified:
        assert link.purification is not None, "a purified link was asked about"
        wanted = msgspec.convert(link.purification.parameters, PurificationParameters)
        raw, kept = link.estimate.correlators, link.estimate.correlators
        pairs = 1.0
        role = _role(circuit, wanted, link, ends)
        ends = (_attempting(ends[0], link), _attempting(ends[1], link))
        for _ in range(wanted.rounds):
            if wanted.pumping:
                inputs, gap_s = [kept, *[raw] * (circuit.pairs - 1)], 1.0 / link.estimate.rate_hz
                needed = pairs + circuit.pairs - 1
            else:
                inputs, gap_s = [kept] * circuit.pairs, pairs / link.estimate.rate_hz
                needed = pairs * circuit.pairs
            kept, prob = _step(circuit, inputs, gap_s, link.direct, ends, role)
            pairs = needed / prob
        return Purified(kept, link.estimate.rate_hz / pairs)

    return of_link


def _role(circuit: Circuit, parameters: PurificationParameters, link: LinkPlan, ends: Ends) -> str:
    """Kind of slot in which pairs wait.

    Raises:
        ValueError: a node cannot hold as many pairs as the protocol needs at a time.
    """
    needed = Plan(circuit, parameters).slots
    rooms = {
        node: Room(platform.communication_slots, platform.memory_slots)
        for node, platform in zip(link.ends, ends, strict=True)
    }
    stored = must_store(needed, rooms.values(), parameters.store)
    why = too_small(needed, rooms, f"link:{link.name}", stored=stored)
    if why:
        raise ValueError(why)
    return "memory" if stored else "communication"


def _attempting(platform: Platform, link: LinkPlan) -> Platform:
    """A processor whose memory dephases as it does while the link attempts."""
    more_hz = rate_hz(platform.attempt_dephasing_prob, link.cycle)
    return msgspec.structs.replace(platform, memory=while_attempting(platform.memory, more_hz))


def _step(
    circuit: Circuit,
    inputs: Sequence[Correlators],
    gap_s: float,
    direct: Duration,
    ends: Ends,
    role: str,
) -> tuple[Correlators, float]:
    """The kept pair of one step and the chance that it is kept."""
    waits = [
        duration_from_s(_effective_s(gap_s, len(inputs) - 1 - index, ends, role))
        for index in range(len(inputs))
    ]
    start = Instant(max(waits))
    claims = [
        Input(values, 0.0, Instant(start - wait))
        for values, wait in zip(inputs, waits, strict=True)
    ]
    total, sums = 0.0, [0.0, 0.0, 0.0]
    turned = [range(ROTATIONS)] * len(inputs) if circuit.twirl else []
    for turns in product(*turned):
        ops = operations(circuit, turns)
        until = Instant(max(program_ends(ops, end, start) for end in ends) + direct)
        for bits in product((1,) if circuit.ones else (0, 1), repeat=len(circuit.reads)):
            sides = tuple(Side(end, (role,) * len(inputs), start, bits) for end in ends)
            found = predict(ops, claims, (sides[0], sides[1]), [0] * len(bits), until)
            total += found.prob
            for axis, value in enumerate(found.correlators):
                sums[axis] += found.prob * value
    a, b, c = (value / total for value in sums)
    return (a, b, c), total / ROTATIONS ** len(turned)


def _effective_s(gap_s: float, gaps: int, ends: Ends, role: str) -> float:
    """The time that dephases as much as ``gaps`` exponential gaps do on average."""
    dephasing_hz = sum(
        1.0 / (end.memory if role == "memory" else end.communication).t2_s for end in ends
    )
    if dephasing_hz * gap_s < 1e-9:
        return gaps * gap_s
    return gaps * math.log1p(dephasing_hz * gap_s) / dephasing_hz
