"""GHZ states of a centre and other nodes, by fusion of pairs at the centre, verified by stabilisers.

Theory
    The centre holds one half B_k of a pair with each leaf k. It keeps B_1; for every other half CNOT
    B_1 -> B_k and a read-out of B_k in Z, outcome m_k, joins leaf k to the state: after X^m_k on its half
    the centre and the leaves share (|0..0> + |1..1>)/sqrt2 (physics reference A5.3). A label (x, z) of a pair
    is undone at its leaf by X^x Z^z. From Bell-diagonal pairs, with s_k = (1 + c_k)/2, d_k = (a_k + b_k)/2,

        F = (prod s_k + prod d_k)/2,

    for two pairs p00 q00 + p01 q01. F > 1/2 shows entanglement of all parties [1]. Parties that have several
    qubits add them by CNOTs from their first one (``sizes``), of whatever species their slots are; perfect
    ones change nothing in F. Kept for a time t under pure dephasing, F falls to
    F_zz + (F - F_zz) e^(-t sum 1/T2), with F_zz the populations' half of F.
    Verification, conversation, what may be late: :mod:`qnet_protocols.apps.sharing`.
Assumptions and validity
    The joint state must fit into the cluster cap of the run: all halves, two qubits per leaf, and what
    parties with several qubits add.
Not modelled
    Fusion along a tree.
Sources
    [1] Guehne, Toth, "Entanglement detection", Phys. Rep. 474, 1 (2009), section 6,
        doi 10.1016/j.physrep.2009.02.004.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from qnet.ids import SlotId
from qnet.program import Gate, Instruction, Measure
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
from qnet_protocols.apps.stabilisers import ghz_generators


class GhzParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``ghz``.

    Attributes:
        centre: who fuses; it has the first qubit of the state.
        leaves: the other parties, 1 to 8, each reached by a path of links.
        rounds: how many states shall be made and verified, >= 1.
        generator_prob: share of the rounds that read a generator; the others read any element of the group.
        minimum_fidelity: lowest acceptable claimed fidelity of the pairs, 0..1.
        pair_within_s: simulated seconds for the pairs of one round; 0 = no limit.
        failures: after more failed rounds than this in a row the centre gives up.
        patience_s: how long to wait for a message of another party, and to hold a half that nobody asks for.
        sizes: how many qubits of the state centre and leaves have, in this order; empty: one each.
        store: ask for pairs in memory slots; else only if the centre has too few communication slots.
        storage_s: how long all qubits are kept before they are read.
    """

    centre: str = "centre"
    leaves: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=8)] = ("alice", "bob")
    rounds: Annotated[int, msgspec.Meta(ge=1)] = 1000
    generator_prob: Share = 0.25
    minimum_fidelity: Share = 0.0
    pair_within_s: Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_S)] = 0.0
    failures: Annotated[int, msgspec.Meta(ge=0)] = 20
    patience_s: Patience = 60.0
    sizes: tuple[Annotated[int, msgspec.Meta(ge=1, le=8)], ...] = ()
    store: bool = False
    storage_s: Annotated[float, msgspec.Meta(ge=0.0, le=LONGEST_S)] = 0.0

    def __post_init__(self) -> None:
        """Refuse parties that are named twice, and sizes of other parties."""
        if len({self.centre, *self.leaves}) != 1 + len(self.leaves):
            raise ValueError(
                f"centre and leaves must all be different, got {self.centre}, {self.leaves}"
            )
        if self.sizes and len(self.sizes) != 1 + len(self.leaves):
            raise ValueError(
                f"sizes must have one entry for the centre and one for each leaf, "
                f"{1 + len(self.leaves)} in all, got {self.sizes}"
            )


def recipe(centre: str, leaves: tuple[str, ...], sizes: tuple[int, ...] = ()) -> Recipe:
    """How the centre makes the state."""

    def program(halves: Sequence[SlotId], _: SlotId | None) -> list[Instruction]:
        kept, *joined = halves
        out: list[Instruction] = []
        for half in joined:
            out += [Gate("CNOT", (kept, half)), Measure(half)]
        return out

    def flips(outcomes: Sequence[int]) -> list[tuple[int, int]]:
        return [(0, 0), *((bit, 0) for bit in outcomes[: len(leaves) - 1])]

    parties = (centre, *leaves)
    qubits = sum(sizes) if sizes else len(parties)
    return Recipe(parties, ghz_generators(qubits), leaves, False, program, flips, sizes)


async def centre(session: Session) -> SharedResult:
    """Fuse and verify."""
    wanted: GhzParameters = session.parameters
    wishes = Wishes(
        wanted.rounds,
        wanted.generator_prob,
        wanted.minimum_fidelity,
        wanted.failures,
        wanted.pair_within_s,
        wanted.patience_s,
        wanted.store,
        wanted.storage_s,
    )
    return await lead(session, recipe(wanted.centre, wanted.leaves, wanted.sizes), wishes)


async def leaf(session: Session) -> FollowResult:
    """Hold, correct and read."""
    wanted: GhzParameters = session.parameters
    size = wanted.sizes[1 + wanted.leaves.index(session.node)] if wanted.sizes else 1
    return await follow(session, wanted.centre, wanted.patience_s, size, wanted.storage_s)


APP = App(
    name="ghz",
    title="GHZ states of several nodes by fusion at a centre",
    roles={"centre": centre, "leaf": leaf},
    place={"centre": "centre", "leaf": "leaves"},
    parameters=GhzParameters,
    messages=MESSAGES,
)
