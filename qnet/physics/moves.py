"""The move of a qubit from its communication slot to memory: a fresh memory qubit and a SWAP, with its cost.

Theory
    The memory slot is initialised, then a SWAP brings the qubit there, compiled to the gates of its processor
    (:mod:`qnet.physics.native`). What noise leaves of a pair's correlators (a, b, c) is what it leaves of X, Y
    and Z of the half that moves; the qubit that comes back is discarded. Until the SWAP has ended the half
    decays as in its communication slot.

    Where slots are coupled by gates of unlike quality, a node knows which one it uses, its peer does not:
    :func:`moves` lists what is possible, and both ends claim the middle.
Assumptions and validity
    Exact for Bell-diagonal pairs, decay apart.
Not modelled
    Moves over more than one coupling.
Units
    Durations in picoseconds; factors without dimension.
Sources
    None beyond those of :mod:`qnet.physics.native`.
"""

from __future__ import annotations

from typing import NamedTuple

from qnet.hardware import Platform
from qnet.physics.bell import Correlators
from qnet.physics.native import compiled
from qnet.units import Duration, duration_from_s


class Move(NamedTuple):
    """One way: how long it takes, initialisation included, and what its gates leave of (a, b, c)."""

    duration: Duration
    factors: Correlators


def moves(platform: Platform) -> tuple[Move, ...]:
    """The ways from communication slots to memory slots, alike ones once, the quickest first."""
    first = platform.communication_slots
    gates = {
        one.gate for one in platform.couplings if min(one.slots) < first <= max(one.slots)
    } or {platform.gate_2q}
    ready = duration_from_s(platform.initialise.duration_s)
    found = set()
    for gate in gates:
        swap = compiled(platform, "SWAP", gate)
        x, y, z = (swap.factor(((0, 0), pauli)) for pauli in ((1, 0), (1, 1), (0, 1)))
        found.add(Move(Duration(ready + swap.duration), (x, y, z)))
    return tuple(sorted(found))


def longest_move(platform: Platform) -> Duration:
    """How long the slowest way takes."""
    return moves(platform)[-1].duration
