"""The smallest fault plan that still fails: delta debugging.

Theory
    Parts of the plan are left out, then single faults, then times are halved, as long as it fails [1].
Sources
    [1] Zeller, Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE Trans. Software
        Eng. 28, 183 (2002).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from qnet.testing.conformance.faults import NodeFault, Plan
from qnet.units import Duration, Instant


def smallest(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """A plan that still fails and of which no single fault can be left out, by delta debugging."""
    if not plan or fails(()):
        return ()
    pieces = 2
    while len(plan) >= 2:
        size = -(-len(plan) // pieces)
        cuts = [plan[:at] + plan[at + size :] for at in range(0, len(plan), size)]
        shorter = next((one for one in cuts if fails(one)), None)
        if shorter is not None:
            plan, pieces = shorter, max(2, pieces - 1)
        elif size == 1:
            break
        else:
            pieces = min(len(plan), 2 * pieces)
    return _halved(plan, fails)


def _halved(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """The same with shorter times."""
    for place, _ in enumerate(plan):
        while True:
            one = plan[place]
            changes: list[dict[str, int]] = []
            if one.by > 1:
                changes.append({"by": Duration(one.by // 2)})
            if isinstance(one, NodeFault) and one.end - one.start > 1:
                changes.append({"end": Instant(one.start + (one.end - one.start) // 2)})
            candidates = [
                (*plan[:place], msgspec.structs.replace(one, **change), *plan[place + 1 :])
                for change in changes
            ]
            shorter = next((one for one in candidates if fails(one)), None)
            if shorter is None:
                break
            plan = shorter
    return plan
