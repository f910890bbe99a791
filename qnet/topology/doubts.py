"""What a person should know about a plan that is legal: warnings, for ``qnet check``.

Theory
    A warning is not an error: the run would work. Among them are pairs that are not entangled at
    delivery, a wish for fidelity that no link or route can fulfil, and a predicted rate above the
    physical limits of a heralded link [1].
Not modelled
    What an application really asks of whom: every two nodes with a role count as partners.
Sources
    [1] Pirandola, Laurenza, Ottaviani, Banchi, "Fundamental limits of repeaterless quantum
        communications", Nature Communications 8, 15043 (2017); with a station in the middle
        Pirandola, "End-to-end capacities of a quantum communication network", Communications
        Physics 2, 51 (2019).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import combinations

import msgspec

from qnet import plugins
from qnet.ids import NodeId
from qnet.physics.heralding import mode_visibility
from qnet.physics.limits import plob_bound
from qnet.physics.shaping import shortened
from qnet.plan import Crash, Impair, LinkPlan, RunPlan, Single
from qnet.seams import checked_outcomes
from qnet.topology.estimate import Timing, estimate
from qnet.units import seconds

Doubt = tuple[str, str]
"""Where, and what."""


def warnings(plan: RunPlan) -> Iterator[Doubt]:
    """All warnings of a plan: nodes, links, routes, the application's wish, faults."""
    linked = {node for link in plan.links for node in (*link.ends, link.station)}
    for node in plan.nodes:
        if node.name not in linked:
            yield node.name, "no fibre leads here"
    for link in plan.links:
        yield from ((link.name, text) for text in _of_link(link))
    yield from _of_routes(plan)
    yield from _of_wish(plan)
    yield from _of_faults(plan)


def _of_link(link: LinkPlan) -> Iterator[str]:
    told = link.estimate
    goodness = _offered(link)
    if goodness < 0.5:
        yield f"goodness {goodness:.4f} < 0.5: delivered pairs are not entangled"
    elif told.heralded_fidelity - told.goodness > 0.1:
        lost = told.heralded_fidelity - told.goodness
        yield f"{lost:.3f} of the fidelity is lost between click and delivery: see t2_s, gate_1q"
    if link.purification is not None and goodness < told.goodness:
        yield (
            f"purification makes pairs worse, from {told.goodness:.4f} to {goodness:.4f}: "
            "see gate_2q, readout"
        )
    if told.goodness_error > 0.05:
        yield f"goodness is uncertain by {told.goodness_error:.3f}: patterns or origins differ"
    ceiling = ceiling_hz(link)
    if told.rate_hz > ceiling:
        yield f"rate {told.rate_hz:g}/s is above the one-station limit of {ceiling:g} ebits/s"


def _offered(link: LinkPlan) -> float:
    """Fidelity of the pairs that users of the link get."""
    return (1.0 + sum(link.offered[0])) / 4.0 if link.purification else link.estimate.goodness


def ceiling_hz(link: LinkPlan) -> float:
    """Most ebits per second that any protocol could make over this link with its one station; [1].

    A chain carries what its weaker arm carries, -log2(1 - eta) per mode and use; an attempt uses
    two modes (polarisations or time bins).
    """
    weaker = min(link.optics.eta_a, link.optics.eta_b)
    if weaker >= 1.0:
        return math.inf
    return 2.0 * plob_bound(weaker) / seconds(link.cycle)


def _of_routes(plan: RunPlan) -> Iterator[Doubt]:
    """Partners that no route joins, or none along which pairs stay entangled."""
    layer = plan.network_layer
    if layer is None:
        return
    missing, bad = [], []
    for one, two in combinations(sorted(plan.app.roles), 2):
        routes = layer.routes.get(f"{one}>{two}", ())
        if not routes:
            missing.append((one, two))
        elif routes[0].goodness < 0.5 and layer.purification is None:
            bad.append((one, two))
    if missing:
        yield "routes", f"no path joins {_pairs(missing)}"
    if bad:
        best = max(layer.routes[f"{one}>{two}"][0].goodness for one, two in bad)
        yield (
            "routes",
            f"pairs are not entangled between {_pairs(bad)}: predicted goodness is at most {best:.4f}",
        )


def _of_wish(plan: RunPlan) -> Iterator[Doubt]:
    """A minimum fidelity that a link or the best route cannot offer."""
    wanted = plan.app.parameters.get("minimum_fidelity", 0.0)
    told = f"minimum_fidelity {wanted} of {plan.app.name} is above the goodness"
    for link in plan.links:
        goodness = _offered(link)
        if set(link.ends) <= set(plan.app.roles) and wanted > goodness:
            remedy = _shaping(plan, link, wanted)
            yield link.name, f"{told} of {goodness:.5f}: the link will answer UNSUPP{remedy}"
    layer = plan.network_layer
    if layer is None or layer.purification is not None:
        return
    neighbours = {frozenset(link.ends) for link in plan.links}
    short = [
        (one, two)
        for one, two in combinations(sorted(plan.app.roles), 2)
        if frozenset((one, two)) not in neighbours
        and (routes := layer.routes.get(f"{one}>{two}"))
        and wanted > max(route.goodness for route in routes)
    ]
    if short:
        best = max(route.goodness for one, two in short for route in layer.routes[f"{one}>{two}"])
        yield "routes", f"{told} of {best:.5f} of the best route between {_pairs(short)}"


def _shaping(plan: RunPlan, link: LinkPlan, wanted: float) -> str:
    """What photons of one shape would change, "" if it is not enough; a detuning is not known here.

    A modulator at the end of the longer photon makes V / V(as emitted) of V, or more if there is a detuning.
    """
    scheme = plugins.find("qnet.heralding", link.scheme)
    one, two = (plan.node(end).platform for end in link.ends)
    assert one is not None, "ends of links are processors"
    assert two is not None, "ends of links are processors"
    first_s, second_s = one.emission.lifetime_s, two.emission.lifetime_s
    like = not (first_s > 0.0 and second_s > 0.0) or first_s == second_s
    shaped = link.lifetimes_s is not msgspec.UNSET
    if like or shaped or link.purification or scheme.light_of(link.scheme_parameters) != "midpoint":
        return ""
    optics = link.optics
    shorter_s, longer_s = sorted((first_s, second_s))
    passed = shortened(longer_s, shorter_s)
    optics = msgspec.structs.replace(
        optics,
        visibility=min(1.0, optics.visibility / mode_visibility(first_s, second_s)),
        eta_a=optics.eta_a * (passed if first_s == longer_s else 1.0),
        eta_b=optics.eta_b * (passed if second_s == longer_s else 1.0),
    )
    timing = Timing(link.flights, link.cycle, link.preparation, link.correction, link.held)
    try:
        outcomes = checked_outcomes(link.name, scheme, optics, link.scheme_parameters)
        found = estimate(outcomes, timing, (one, two), link.window)
    except ValueError:
        return ""
    if found.goodness < wanted:
        return ""
    end = link.ends[0] if first_s == longer_s else link.ends[1]
    return (
        f"; shaping.{end} = {{ lifetime_s = {shorter_s:g} }} would give at least {found.goodness:.5f} and "
        f"{found.rate_hz:g} pairs/s instead of {link.estimate.rate_hz:g}"
    )


def _pairs(pairs: Sequence[tuple[NodeId, NodeId]]) -> str:
    """The first pair of nodes, and how many more there are."""
    one, two = pairs[0]
    more = len(pairs) - 1
    return f"{one} and {two}" + (f" (and {more} more pairs)" if more else "")


def _of_faults(plan: RunPlan) -> Iterator[Doubt]:
    """Faults that can do nothing in this run."""
    for fault in plan.faults:
        if isinstance(fault, Single):
            continue  # whether there will be such a message, nobody knows
        start = fault.at if isinstance(fault, Crash) else fault.start
        if plan.until is not None and start >= plan.until:
            yield (
                fault.name,
                f"begins at {seconds(start):g} s, when the run is over (until_s {seconds(plan.until):g})",
            )
        if isinstance(fault, Impair) and not any(
            fnmatchcase(kind, fault.kinds) for kind in _kinds(plan)
        ):
            yield (
                fault.name,
                f"kinds {fault.kinds!r} matches no message of this run's protocols and application",
            )


def _kinds(plan: RunPlan) -> set[str]:
    """Kinds of all messages that the plug-ins of a plan exchange."""
    messages = [*plugins.find("qnet.apps", plan.app.name).messages]
    purifiers = [link.purification for link in plan.links]
    for link in plan.links:
        messages += plugins.find("qnet.heralding", link.scheme).messages
        messages += plugins.find("qnet.links", link.protocol).messages
    if plan.network_layer is not None:
        messages += plugins.find("qnet.networks", plan.network_layer.protocol).messages
        purifiers.append(plan.network_layer.purification)
    for purifier in purifiers:
        if purifier is not None:
            messages += plugins.find("qnet.purification", purifier.protocol).messages
    return {message.kind for message in messages}
