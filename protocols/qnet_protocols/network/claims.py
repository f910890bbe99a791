"""The claims of ``qnp`` are running products of :mod:`qnet.physics.claims`; these are the names that it uses."""

from qnet.physics.claims import (
    Claim,
    Corrector,
    DecayRates,
    Hardware,
    Noise,
    claim,
    decay_rates,
    storage,
    wrong_readout,
)

__all__ = [
    "Claim",
    "Corrector",
    "DecayRates",
    "Hardware",
    "Noise",
    "claim",
    "decay_rates",
    "storage",
    "wrong_readout",
]
