"""Double selection: a third pair catches the phase errors that the second one would bring in.

Theory
    CNOT(0 -> 1) and CNOT(2 -> 1) at both ends; pair 1 is read in Z, pair 2 in X. Keep if the bits of both pairs
    are equal: x0 + x1 + x2 = 0 and z1 + z2 = 0 (modulo 2). The kept pair has the label (x0, z0 + z1). One more
    pair is spent per step; with noisy gates the fidelity at which rounds stop to help is higher [1].
Sources
    [1] Fujii, Yamamoto, "Entanglement purification with double selection", Phys. Rev. A 80, 042308 (2009),
        doi 10.1103/PhysRevA.80.042308.
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
    3,
    (
        Operation("CNOT", (0, 1)),
        Operation("CNOT", (2, 1)),
        Operation("READ", (1,)),
        Operation("H", (2,)),
        Operation("READ", (2,)),
    ),
)

PROTOCOL: Final = PurificationProtocol(
    name="double-selection",
    make_end=maker(CIRCUIT),
    messages=MESSAGES,
    parameters=PurificationParameters,
    sources=("Fujii, Yamamoto, PRA 80, 042308 (2009), doi 10.1103/PhysRevA.80.042308",),
    predict=forecast(CIRCUIT),
)
