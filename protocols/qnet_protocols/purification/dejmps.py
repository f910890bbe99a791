"""DEJMPS: recurrence without a twirl; the exchange of error types between rounds does its work.

Theory
    RX(+pi/2) at one end and RX(-pi/2) at the other on both pairs, then CNOT(kept -> sacrificed) at both ends and
    read the sacrificed pair: keep if the bits are equal. With the weights A (Phi+), B (Psi-), C (Psi+), D (Phi-)

        N  = (A1 + B1)(A2 + B2) + (C1 + D1)(C2 + D2)
        A' = (A1 A2 + B1 B2)/N    B' = (C1 D2 + D1 C2)/N
        C' = (C1 C2 + D1 D2)/N    D' = (A1 B2 + B1 A2)/N            [1] equation (6)

    Two Werner pairs of 0.94 give 0.9575 with p = 0.9232. Psi- errors are the ones that a step does not see and
    the next one does.
Sources
    [1] Deutsch, Ekert, Jozsa, Macchiavello, Popescu, Sanpera, Phys. Rev. Lett. 77, 2818 (1996), doi
        10.1103/PhysRevLett.77.2818.
"""

from __future__ import annotations

from typing import Final

from qnet.seams import PurificationProtocol
from qnet_protocols.purification.circuit import Circuit, Operation
from qnet_protocols.purification.forecast import forecast
from qnet_protocols.purification.holdings import PurificationParameters
from qnet_protocols.purification.messages import MESSAGES
from qnet_protocols.purification.purifier import maker

CIRCUIT: Final = Circuit(
    2,
    (
        Operation("RX", (0,)),
        Operation("RX", (1,)),
        Operation("CNOT", (0, 1)),
        Operation("READ", (1,)),
    ),
)

PROTOCOL: Final = PurificationProtocol(
    name="dejmps",
    make_end=maker(CIRCUIT),
    messages=MESSAGES,
    parameters=PurificationParameters,
    sources=("Deutsch et al., PRL 77, 2818 (1996), doi 10.1103/PhysRevLett.77.2818",),
    predict=forecast(CIRCUIT),
)
