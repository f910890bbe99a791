"""Barrett-Kok heralding: one photon, its herald, a flip of the memory, one photon and its herald again.

Theory
    A memory in (|0> + |1>)/sqrt2 is excited so that |1> sends a photon. When the station has seen one
    click and has said so, both nodes flip their memories and try once more: who was bright is dark
    now. Two single clicks, one in each round, are a double click whose two modes are the two rounds,
    so patterns, labels, probabilities and states are those of
    :mod:`qnet_protocols.heralding.double_click`, mode 0 being the first round and mode 1 the second.

    What is different:

    * *Time.* The herald is awaited between the rounds: an attempt takes two rounds of preparation,
      flight and way back, 2 (T_L + tau0).
    * *Memory.* Each memory is entangled with its photon from the first round on, and decays until the
      delivery as one that was emitted a whole round before the click that makes the pair.
    * *Phase.* The common optical phase of the arms drops out only as far as it is the same in both
      rounds: ``phase_rms_rad`` of the link is its change from one round to the next, over
      T_L + tau0, not within one pulse.
    * *Detectors* have recovered in between; dead times do not matter.
Late, early, impossible
    The station machine is told of the complete pattern only, see
    :mod:`qnet_protocols.heralding.midpoint`: the click of the first round and its announcement are
    the optics' business and counted in the length of an attempt.
Assumptions and validity
    As in :mod:`qnet.physics.heralding`. Memory decay between the rounds is that of an untouched
    memory, which is exact for pure dephasing: Markovian dephasing commutes with the flip. With a
    finite T1 the flip would divide the damage between both values; it does not here.
Not modelled
    An attempt that ends after a first round without click: every attempt takes both rounds, so the
    rate is that of the reference interval 2 (T_L + tau0) and a node that restarts at once is up to
    twice as fast. Duration and error of the flip between the rounds: count them into the platform's
    ``preparation_s`` and ``spin_photon_fidelity``.
Units
    Probabilities are per attempt of two rounds.
Sources
    [1] Barrett, Kok, "Efficient high-fidelity quantum computation using matter qubits and linear
        optics", Phys. Rev. A 71, 060310 (2005), doi 10.1103/PhysRevA.71.060310
    [2] Bernien et al., "Heralded entanglement between solid-state qubits separated by three metres",
        Nature 497, 86 (2013), doi 10.1038/nature12016
"""

from __future__ import annotations

from typing import Final

from qnet.plan import LinkOptics
from qnet.seams import ClickOutcome, HeraldingScheme, NoParameters
from qnet_protocols.heralding import double_click
from qnet_protocols.heralding.double_click import LABELS, sample
from qnet_protocols.heralding.midpoint import MESSAGES, MidpointEnd, station_of

ROUNDS: Final = 2
"""Heralds awaited within one attempt."""


def outcomes(optics: LinkOptics, parameters: NoParameters) -> tuple[ClickOutcome, ...]:
    """Those of a double click: the rounds are its two modes.

    Raises:
        ValueError: a probability is out of range, or no pattern can ever occur.
    """
    return double_click.outcomes(optics, parameters)


SCHEME: Final = HeraldingScheme(
    name="barrett-kok",
    outcomes=outcomes,
    sample=sample,
    make_end=MidpointEnd,
    make_station=station_of(LABELS),
    messages=MESSAGES,
    rounds=ROUNDS,
    sources=(
        "Barrett, Kok, Phys. Rev. A 71, 060310 (2005)",
        "Bernien et al., Nature 497, 86 (2013)",
    ),
)
"""Catalogue entry ``barrett-kok`` of the group ``qnet.heralding``."""
