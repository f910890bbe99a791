"""Which requests the link protocol one-by-one takes.

It follows from the request and the plan of the link alone. A request is refused when it is malformed
(CREATE), and when this protocol or an idle link could not serve it (UNSUPP). Each rule is a sentence
that ends with the value that breaks it.
"""

from __future__ import annotations

from typing import Final

from qnet.ids import NodeId
from qnet.layers.link import BasisChoice, Create, ErrorCode
from qnet.plan import LinkPlan

Refusal = tuple[ErrorCode, str]

BASES: Final = ("X", "Y", "Z", "Z+X", "Z-X")
"""What a half may be measured in."""


def malformed(create: Create, remote: NodeId) -> Refusal | None:
    """Why no link could understand ``create``, or None."""
    fidelity, kept = create.minimum_fidelity, create.kind == "K"
    rules = (
        (create.remote == remote, f"remote must be {remote}, got {create.remote}"),
        (create.number >= 1, f"number must be >= 1, got {create.number}"),
        (0.0 <= fidelity <= 1.0, f"minimum_fidelity must obey 0 <= F <= 1, got {fidelity}"),
        (create.max_time >= 0, f"max_time must be >= 0 ps, got {create.max_time}"),
        (create.kind in ("K", "M", "R"), f"kind must be K, M or R on a link, got {create.kind}"),
        (kept or not create.atomic, f"atomic must be False for kind {create.kind}"),
        (kept or create.final is None, f"final must be None for kind {create.kind}"),
        (create.priority >= 0, f"priority must be >= 0, got {create.priority}"),
        (0 <= create.purpose < 2**16, f"purpose must be a port, got {create.purpose}"),
        (set(create.final or ()) <= {0, 1}, f"final must be two bits, got {create.final}"),
        (not create.circuit, f"circuit must be empty on a link, got {create.circuit}"),
        (create.test_share == 0.0, f"test_share must be 0 on a link, got {create.test_share}"),
        (_measurable(create.local), f"local must name {_CHOICE}, got {create.local}"),
        (_measurable(create.distant), f"distant must name {_CHOICE}, got {create.distant}"),
    )
    return next(((ErrorCode.CREATE, text) for holds, text in rules if not holds), None)


_CHOICE: Final = f"bases of {', '.join(BASES)} with one weight each, not all 0"


def _measurable(choice: BasisChoice) -> bool:
    known = all(basis in BASES for basis in choice.bases)
    good = all(0.0 <= weight < float("inf") for weight in choice.weights)
    one_each = len(choice.bases) == len(choice.weights)
    turned = all(abs(angle) < float("inf") for angle in choice.rotation_rad)
    return known and good and one_each and sum(choice.weights) > 0.0 and turned


def unsupported(create: Create, plan: LinkPlan) -> Refusal | None:
    """Why this protocol cannot serve ``create`` even on an idle link, or None."""
    goodness, wanted = plan.estimate.goodness, create.minimum_fidelity
    rules = (
        (create.kind == "K", f"kind must be K with this protocol, got {create.kind}"),
        (not create.store, "store must be False with this protocol"),
        (not create.atomic, "atomic must be False with this protocol"),
        (create.max_time == 0, f"max_time must be 0 with this protocol, got {create.max_time}"),
        (wanted <= goodness, f"minimum_fidelity must be <= {goodness:.6f}, got {wanted}"),
        (plan.estimate.rate_hz > 0.0, f"link {plan.name} must have a rate > 0, got 0"),
    )
    return next(((ErrorCode.UNSUPP, text) for holds, text in rules if not holds), None)
