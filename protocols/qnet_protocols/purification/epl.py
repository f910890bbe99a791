"""EPL ("extreme photon loss"): perfect pairs from two single-click pairs of unknown but equal phase.

Theory
    CNOT(kept -> sacrificed) at both ends, read the sacrificed pair: keep if both bits are 1. For two pairs
    p |Psi^theta><Psi^theta| + (1-p) |11><11| with the same theta the chance is p^2/2 and the kept pair exactly
    Psi+, whatever theta is [1]. Labels: two Psi pairs keep the label (1, z0 + z1).
Assumptions and validity
    Claims are those of Bell-diagonal states (:mod:`.prediction`): of the coherence between |01> and |10> only its
    mean is known, so that the pair may be better than its claim, up to perfect; ``goodness_error`` says so. A
    minimum fidelity is compared with the claim.
    For Werner pairs it keeps as good pairs as BBPSSW, half as often: of no use there.
Not modelled
    The estimate of the phase that single-click pairs share.
Sources
    [1] Campbell, Benjamin, "Measurement-based entanglement under conditions of extreme photon loss", Phys. Rev.
        Lett. 101, 130502 (2008), doi 10.1103/PhysRevLett.101.130502.
    [2] Kalb et al., "Entanglement distillation between solid-state quantum network nodes", Science 356, 928
        (2017), arXiv 1703.03244.
"""

from __future__ import annotations

from typing import Final

from qnet.seams import PurificationProtocol
from qnet_protocols.purification.circuit import Circuit, Operation
from qnet_protocols.purification.forecast import forecast
from qnet_protocols.purification.holdings import PurificationParameters
from qnet_protocols.purification.messages import MESSAGES
from qnet_protocols.purification.purifier import maker

CIRCUIT: Final = Circuit(2, (Operation("CNOT", (0, 1)), Operation("READ", (1,))), ones=True)

PROTOCOL: Final = PurificationProtocol(
    name="epl",
    make_end=maker(CIRCUIT),
    messages=MESSAGES,
    parameters=PurificationParameters,
    sources=("Campbell, Benjamin, PRL 101, 130502 (2008), doi 10.1103/PhysRevLett.101.130502",),
    predict=forecast(CIRCUIT),
)
