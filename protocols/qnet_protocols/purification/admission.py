"""Which requests a purification protocol takes: rules that end with the value that breaks them.

Theory
    It follows from the request, the processors and the protocol alone. A malformed request is refused with CREATE,
    one that is not served at all with UNSUPP, one for which an end has too few slots with NORES. Whether the
    minimum fidelity can be reached shows with the first raw pair.
"""

from __future__ import annotations

from qnet.layers import link
from qnet.layers.link import ErrorCode
from qnet_protocols.purification.workbench import Workbench


def refusal_of(create: link.Create, bench: Workbench) -> tuple[ErrorCode, str] | None:
    """Why a request cannot be served, None if it can."""
    if create.number < 1:
        return ErrorCode.CREATE, f"number must be >= 1, got {create.number}"
    if not 0.0 <= create.minimum_fidelity <= 1.0:
        return (
            ErrorCode.CREATE,
            f"minimum_fidelity must obey 0 <= F <= 1, got {create.minimum_fidelity}",
        )
    if create.max_time < 0:
        return ErrorCode.CREATE, f"max_time must be >= 0 ps, got {create.max_time}"
    if create.request in bench.works:
        return ErrorCode.CREATE, f"request must be new, got {create.request}"
    if create.remote not in bench.peers:
        known = ", ".join(sorted(bench.peers)) or "none"
        return (
            ErrorCode.CREATE,
            f"remote must be a node that {bench.below} reaches ({known}), got {create.remote}",
        )
    for what, wanted in (
        ("kind must be K, M or R", create.kind == "E"),
        ("atomic must be false", create.atomic),
        ("consecutive must be false", create.consecutive),
        ("test_share must be 0", create.test_share > 0.0),
        ("final must be left out for pairs that are measured",
         create.final is not None and create.kind != "K"),
    ):  # fmt: skip
        if wanted:
            return ErrorCode.UNSUPP, f"{what} where pairs are purified, got {create!r}"
    small = bench.too_small(create.remote, stored=create.store)
    return (ErrorCode.NORES, small) if small else None
