"""The built-in quantum engines of the group ``qnet.engines``: records, and what each cannot run.

Theory
    The launcher looks at a record to check a plan, the world process makes the engine. So the engines
    themselves, and numpy and QuTiP with them, are imported when one is made and nowhere else.
Assumptions and validity
    ``bell`` runs a plan if no qubit of it decays towards |0> (T1 infinite) and each heralded state is
    Bell-diagonal, or diagonal in Z: the checks below. Whether an application keeps to Clifford gates shows
    only when it runs: the first program with another gate is refused as a whole (EngineUnsupported).
Not modelled
    An engine of stabiliser states without weights.
Units
    Seconds.
Sources
    As :mod:`qnet.world.engine_qutip` and :mod:`qnet.world.engine_bell`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from qnet.errors import EngineUnsupported
from qnet.plan import LinkPlan, RunPlan
from qnet.plugins import find
from qnet.seams import QuantumEngine, checked_outcomes

if TYPE_CHECKING:
    from qnet.world.engine import Engine  # imports numpy


def _make_qutip() -> Engine:
    from qnet.world.engine_qutip import QutipEngine

    return QutipEngine()


def _make_bell() -> Engine:
    from qnet.world.engine_bell import BellEngine

    return BellEngine()


def _check_bell(plan: RunPlan) -> None:
    """Refuse what is bound to leave the mixtures of Bell states.

    Raises:
        ValueError: a finite T1, or a heralded state of another form.
    """
    for node in plan.nodes:
        platform = node.platform
        for role in ("communication", "memory"):
            if platform is None or not getattr(platform, f"{role}_slots"):
                continue
            t1_s = getattr(platform, role).t1_s
            if not math.isinf(t1_s):
                raise ValueError(
                    f"bell knows no decay towards |0>, {role}.t1_s of {node.name} must be inf, it is "
                    f"{t1_s:g}; give it as inf or use qutip"
                )
    for link in plan.links:
        _check_heralded(link)


def _check_heralded(link: LinkPlan) -> None:
    from qnet.world.engine_bell import from_rows

    scheme = find("qnet.heralding", link.scheme)
    for outcome in checked_outcomes(link.name, scheme, link.optics, link.scheme_parameters):
        if outcome.prob > 0.0:
            try:
                from_rows(outcome.state)
            except EngineUnsupported as refusal:
                raise ValueError(
                    f"scheme {link.scheme} on link {link.name}: {refusal}"
                ) from refusal


QUTIP: Final = QuantumEngine(
    name="qutip",
    title="density matrices: any state, any channel; the reference",
    make=_make_qutip,
    sources=("Lambert et al., arXiv:2412.04705 (2024)",),
)
BELL: Final = QuantumEngine(
    name="bell",
    title="mixtures of Bell states as correlators: Clifford gates, dephasing, no T1; exact or refused",
    make=_make_bell,
    check=_check_bell,
    sources=(
        "Aaronson and Gottesman, Phys. Rev. A 70, 052328 (2004)",
        "Briegel, Dür, Cirac, Zoller, Phys. Rev. Lett. 81, 5932 (1998)",
    ),
)
