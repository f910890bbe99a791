"""Couplings between the slots of a processor: that they exist, and that the layers above can live with them.

Theory
    A gate runs between two slots that interact. What an application cannot do directly it may do by a
    detour (:mod:`qnet.couplings`); machines do nothing of the kind, and what they do must be possible in
    whichever slots their pairs come to lie:

    * a link moves a half from any of its communication slots to memory: each must have a memory slot beside it;
    * a node between two links joins any pair of the one with any of the other, in the communication slots
      of both, or in memory where that is where they wait;
    * a node that purifies joins pairs of one link, and what it claims of them needs equal gates.
Assumptions and validity
    Halves that are stored though nobody must store them (``store`` of a request) are not foreseen; there the
    world refuses the gate.
Not modelled
    Swaps and purification by detours.
Units
    None.
Sources
    None: bookkeeping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product

from qnet.couplings import graph
from qnet.hardware import Platform
from qnet.ids import NodeId
from qnet.plan import LinkPlan, NodePlan, RunPlan
from qnet.topology.check import At

REMEDY = "Couple them, or leave couplings out: then all slots interact by gate_2q"


def check_slots(platform: Platform, at: At) -> None:
    """Refuse a coupling of slots that are none, of a slot with itself, or given twice."""
    known: set[frozenset[int]] = set()
    for index, one in enumerate(platform.couplings):
        place = At(at.file, f"{at.path}[{index}].slots")
        for slot in one.slots:
            if not 0 <= slot < platform.slots:
                raise place.error(
                    f"must name slots of this node, 0 <= slot < {platform.slots}", list(one.slots)
                )
        both = frozenset(one.slots)
        if len(both) < 2:
            raise place.error("must name two different slots", list(one.slots))
        if both in known:
            raise place.error("must be given once for each two slots", list(one.slots))
        known.add(both)


def check_use(plan: RunPlan, nodes_at: At) -> None:
    """Refuse a processor whose couplings stand against what links, swaps and purification do there."""
    degrees: dict[NodeId, list[LinkPlan]] = {node.name: [] for node in plan.nodes}
    for link in plan.links:
        for end in link.ends:
            degrees[end].append(link)
    for node in plan.nodes:
        if node.platform is None or not node.platform.couplings or not degrees[node.name]:
            continue
        at = nodes_at.key(node.name).key("couplings")
        _check_moves(node, node.platform, len(degrees[node.name]), at)
        for first, second, why in _meetings(plan, node.name, node.platform, degrees):
            if second not in graph(node.platform).get(first, {}):
                raise at.error(
                    f"must couple slots {first} and {second} of {node.name}, where {why}",
                    hint=REMEDY,
                )
        if _purifies(plan, degrees[node.name]):
            gates = {one.gate for one in node.platform.couplings}
            if len(gates) > 1:
                raise at.error(
                    f"must all have the same gate at {node.name}, which purifies",
                    sorted(f"{gate.duration_s:g} s {gate.fidelity:g}" for gate in gates),
                    "Give them one duration and fidelity, or purify at another node",
                )


def _check_moves(node: NodePlan, platform: Platform, links: int, at: At) -> None:
    if not platform.memory_slots:
        return
    beside = graph(platform)
    for index in range(links):
        for slot in platform.communication_of(index, links):
            if all(platform.role_of(other) != "memory" for other in beside.get(slot, ())):
                raise at.error(
                    f"must couple communication slot {slot} of {node.name} with a memory slot, as its "
                    "links store halves there",
                    sorted(beside.get(slot, ())),
                    REMEDY,
                )


def _purifies(plan: RunPlan, links: Sequence[LinkPlan]) -> bool:
    end_to_end = plan.network_layer is not None and plan.network_layer.purification is not None
    return end_to_end or any(link.purification is not None for link in links)


def _meetings(
    plan: RunPlan, name: NodeId, platform: Platform, degrees: dict[NodeId, list[LinkPlan]]
) -> Iterator[tuple[int, int, str]]:
    """Pairs of slots between which machines of a node run gates, and what for."""
    links = sorted(degrees[name], key=lambda link: link.name)
    slots = [
        _waiting(plan, platform, index, link, degrees, name) for index, link in enumerate(links)
    ]
    if plan.network_layer is not None:
        for (one, first), (other, second) in combinations(zip(links, slots, strict=True), 2):
            why = f"pairs of {one.name} and {other.name} are swapped"
            yield from ((a, b, why) for a, b in product(first, second) if a != b)
    if _purifies(plan, links):
        for link, found in zip(links, slots, strict=True):
            yield from (
                (a, b, f"pairs of {link.name} are purified") for a, b in combinations(found, 2)
            )


def _waiting(
    plan: RunPlan,
    platform: Platform,
    index: int,
    link: LinkPlan,
    degrees: dict[NodeId, list[LinkPlan]],
    name: NodeId,
) -> Iterable[int]:
    """Slots in which halves of a link wait: in memory if one of its ends has a common pool."""
    platforms = {node.name: node.platform for node in plan.nodes}
    pooled = False
    for end in link.ends:
        processor = platforms[end]
        assert processor is not None, "an end of a link is a processor"
        pooled |= processor.communication_slots < len(degrees[end])
    if pooled:
        return range(platform.communication_slots, platform.slots)
    return platform.communication_of(index, len(degrees[name]))
