"""Graph states of several nodes: a centre reads its halves of pairs in the basis of the graph.

Theory
    The graph state of a graph is the product of CZ over its edges on |+> at every vertex. A centre holds one
    half of a pair Phi+ with every member. CZ is diagonal and symmetric, so CZ on two of its halves acts like
    CZ on the two members' halves; reading its halves in X afterwards, outcome m_k, leaves the graph state at
    the members up to Z^m_k on member k. This is exact for every graph, and takes one pair per member whatever
    the number of edges. If the centre is a vertex itself, its qubit is a local |+> and takes part in the CZs.
    A label (x, z) of a pair is undone at its member by X^x Z^z. From Bell-diagonal pairs F is the weight of
    all errors without a syndrome (:func:`qnet_protocols.apps.stabilisers.expected_fidelity`) [1].
    Verification, conversation, what may be late: :mod:`qnet_protocols.apps.sharing`.
Assumptions and validity
    The joint state of all halves must fit into the cluster cap of the run: two qubits per member, and one.
Not modelled
    Graphs grown from pairs along their edges, by fusion at every vertex; keeping the state.
Sources
    [1] Hein, Duer, Eisert, Raussendorf, Van den Nest, Briegel, "Entanglement in graph states and its
        applications", arXiv quant-ph/0602096, sections 2 and 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from qnet.ids import SlotId
from qnet.program import Gate, Initialise, Instruction, Measure
from qnet.runtime.session import LONGEST_S, Session
from qnet.seams import App
from qnet_protocols.apps.rounds import Patience, Share
from qnet_protocols.apps.sharing import (
    MESSAGES,
    FollowResult,
    Recipe,
    SharedResult,
    Wishes,
    follow,
    lead,
)
from qnet_protocols.apps.stabilisers import graph_generators


class GraphStateParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``graph-state``.

    Attributes:
        centre: who joins the pairs; a vertex too if an edge names it.
        members: the other vertices, 1 to 6, each reached by a path of links.
        edges: "a:b" for an edge between the nodes a and b.
        rounds: how many states shall be made and verified, >= 1.
        generator_prob: share of the rounds that read a generator; the others read any element of the group.
        minimum_fidelity: lowest acceptable claimed fidelity of the pairs, 0..1.
        pair_within_s: simulated seconds for the pairs of one round; 0 = no limit.
        failures: after more failed rounds than this in a row the centre gives up.
        patience_s: how long to wait for a message of another party, and to hold a half that nobody asks for.
    """

    centre: str = "centre"
    members: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=6)] = ("alice", "bob")
    edges: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("centre:alice", "alice:bob")
    rounds: Annotated[int, msgspec.Meta(ge=1)] = 1000
    generator_prob: Share = 0.5
    minimum_fidelity: Share = 0.0
    pair_within_s: Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_S)] = 0.0
    failures: Annotated[int, msgspec.Meta(ge=0)] = 20
    patience_s: Patience = 60.0

    def __post_init__(self) -> None:
        """Refuse parties named twice and edges that are none."""
        known = {self.centre, *self.members}
        if len(known) != 1 + len(self.members):
            raise ValueError(
                f"centre and members must all be different, got {self.centre}, {self.members}"
            )
        seen = set()
        for edge in self.edges:
            ends = edge.split(":")
            if len(ends) != 2 or ends[0] == ends[1] or not set(ends) <= known:
                raise ValueError(
                    f"an edge must read a:b with two different nodes of {sorted(known)}, got {edge!r}"
                )
            if frozenset(ends) in seen:
                raise ValueError(f"an edge must be named once, got {edge!r} again")
            seen.add(frozenset(ends))


def recipe(centre: str, members: tuple[str, ...], edges: Sequence[str]) -> Recipe:
    """How the centre makes the state."""
    has_vertex = any(centre in edge.split(":") for edge in edges)
    parties = (*members, centre) if has_vertex else members
    numbered = []
    for edge in edges:
        first, second = sorted(parties.index(end) for end in edge.split(":"))
        numbered.append((first, second))

    def program(halves: Sequence[SlotId], extra: SlotId | None) -> list[Instruction]:
        slots = list(halves)
        out: list[Instruction] = []
        if extra is not None:
            slots.append(extra)
            out += [Initialise(extra), Gate("H", (extra,))]
        for vertex, half in enumerate(
            halves
        ):  # read as soon as its edges are done: smaller clusters
            out += [Gate("CZ", (half, slots[b])) for a, b in sorted(numbered) if a == vertex]
            out.append(Measure(half, "X"))
        return out

    def flips(outcomes: Sequence[int]) -> list[tuple[int, int]]:
        return [(0, bit) for bit in outcomes[: len(members)]]

    generators = graph_generators(len(parties), numbered)
    return Recipe(parties, generators, members, has_vertex, program, flips)


async def centre(session: Session) -> SharedResult:
    """Join and verify."""
    wanted: GraphStateParameters = session.parameters
    wishes = Wishes(
        wanted.rounds,
        wanted.generator_prob,
        wanted.minimum_fidelity,
        wanted.failures,
        wanted.pair_within_s,
        wanted.patience_s,
    )
    return await lead(session, recipe(wanted.centre, wanted.members, wanted.edges), wishes)


async def member(session: Session) -> FollowResult:
    """Hold, correct and read."""
    wanted: GraphStateParameters = session.parameters
    return await follow(session, wanted.centre, wanted.patience_s)


APP = App(
    name="graph-state",
    title="graph states of several nodes, joined at a centre",
    roles={"centre": centre, "member": member},
    place={"centre": "centre", "member": "members"},
    parameters=GraphStateParameters,
    messages=MESSAGES,
)
