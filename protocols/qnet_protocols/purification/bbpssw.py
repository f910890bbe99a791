"""BBPSSW: the first recurrence protocol, with a twirl to a Werner state before each step.

Theory
    Every pair is turned by one of twelve bilateral rotations, drawn by the origin and told to the peer, which
    makes any state Werner on average. Then CNOT(kept -> sacrificed) at both ends and read the sacrificed pair:
    keep if the bits are equal. For Werner pairs of fidelity F

        p  = F^2 + 2F(1-F)/3 + 5((1-F)/3)^2
        F' = (F^2 + ((1-F)/3)^2)/p                                  [1] equation (7)

    and F' > F for F > 1/2. The claim for a single pair knows the rotations that were drawn.
Assumptions and validity
    The rotations take gates, which have the noise of the platform; DEJMPS spends fewer and gains more.
Sources
    [1] Bennett, Brassard, Popescu, Schumacher, Smolin, Wootters, Phys. Rev. Lett. 76, 722 (1996), doi
        10.1103/PhysRevLett.76.722.
"""

from __future__ import annotations

from typing import Final

from qnet.seams import PurificationProtocol
from qnet_protocols.purification.circuit import Circuit, Operation
from qnet_protocols.purification.forecast import forecast
from qnet_protocols.purification.holdings import PurificationParameters
from qnet_protocols.purification.messages import MESSAGES
from qnet_protocols.purification.purifier import maker

CIRCUIT: Final = Circuit(2, (Operation("CNOT", (0, 1)), Operation("READ", (1,))), twirl=True)

PROTOCOL: Final = PurificationProtocol(
    name="bbpssw",
    make_end=maker(CIRCUIT),
    messages=MESSAGES,
    parameters=PurificationParameters,
    sources=("Bennett et al., PRL 76, 722 (1996), doi 10.1103/PhysRevLett.76.722",),
    predict=forecast(CIRCUIT),
)
