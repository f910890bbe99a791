"""What a plan would do, as tables of plain data: for ``qnet check`` and for reports.

Theory
    A warning is not an error: the run would work, but a person should know. Among them are pairs
    that are not entangled at delivery and a predicted rate above the physical limits of a heralded
    link [1].
Sources
    [1] Pirandola, Laurenza, Ottaviani, Banchi, "Fundamental limits of repeaterless quantum
        communications", Nature Communications 8, 15043 (2017); with a station in the middle
        Pirandola, "End-to-end capacities of a quantum communication network", Communications
        Physics 2, 51 (2019).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from qnet.physics.limits import plob_bound
from qnet.plan import LinkPlan, NodePlan, RunPlan
from qnet.units import seconds

Row = tuple[str | int | float, ...]


class Table(msgspec.Struct, frozen=True):
    """A table: title, names of the columns with their units, rows of texts and numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def describe(plan: RunPlan) -> list[Table]:
    """Processes, links, predictions, application and warnings of a plan, in this order."""
    return [
        _processes(plan),
        _links(plan),
        _predictions(plan),
        _application(plan),
        Table("warnings", ("where", "warning"), tuple(_warnings(plan))),
    ]


def _processes(plan: RunPlan) -> Table:
    rows: list[Row] = [("world", "quantum states, optics, time")]
    rows += [(f"host {node.name}", _what(node)) for node in plan.nodes]
    return Table("processes", ("process", "runs"), tuple(rows))


def _what(node: NodePlan) -> str:
    if node.platform is None:
        return "station"
    platform = node.platform
    return (
        f"processor {node.platform_name}: {platform.communication_slots} communication, "
        f"{platform.memory_slots} memory slots"
    )


def _links(plan: RunPlan) -> Table:
    columns = (
        "link", "A", "B", "station", "scheme", "protocol",
        "eta_a", "eta_b", "visibility", "dark_prob", "flight_a_s", "flight_b_s",
    )  # fmt: skip
    rows = tuple(
        (
            link.name,
            link.ends[0],
            link.ends[1],
            link.station,
            link.scheme,
            link.protocol,
            link.optics.eta_a,
            link.optics.eta_b,
            link.optics.visibility,
            link.optics.dark_prob,
            seconds(link.flights[0]),
            seconds(link.flights[1]),
        )
        for link in plan.links
    )
    return Table("links", columns, rows)


def _predictions(plan: RunPlan) -> Table:
    columns = (
        "link", "success_prob", "cycle_s", "rate_hz",
        "heralded_fidelity", "goodness", "goodness_error",
    )  # fmt: skip
    rows = tuple(
        (
            link.name,
            link.estimate.success_prob,
            seconds(link.estimate.cycle),
            link.estimate.rate_hz,
            link.estimate.heralded_fidelity,
            link.estimate.goodness,
            link.estimate.goodness_error,
        )
        for link in plan.links
    )
    return Table("predictions", columns, rows)


def _application(plan: RunPlan) -> Table:
    rows: list[Row] = [("application", plan.app.name)]
    rows += [(f"role {role}", node) for node, role in plan.app.roles.items()]
    rows += [(key, str(value)) for key, value in plan.app.parameters.items()]
    return Table("application", ("what", "value"), tuple(rows))


def _warnings(plan: RunPlan) -> Iterator[tuple[str, str]]:
    linked = {node for link in plan.links for node in (*link.ends, link.station)}
    for node in plan.nodes:
        if node.name not in linked:
            yield node.name, "no fibre leads here"
    for link in plan.links:
        yield from ((link.name, text) for text in _doubts(link))
    wanted = plan.app.parameters.get("minimum_fidelity", 0.0)
    for link in plan.links:
        if set(link.ends) <= set(plan.app.roles) and wanted > link.estimate.goodness:
            yield (
                link.name,
                (
                    f"minimum_fidelity {wanted} of {plan.app.name} is above the goodness of "
                    f"{link.estimate.goodness:.5f}: the link will answer UNSUPP"
                ),
            )


def _doubts(link: LinkPlan) -> Iterator[str]:
    told = link.estimate
    if told.goodness < 0.5:
        yield f"goodness {told.goodness:.4f} < 0.5: delivered pairs are not entangled"
    elif told.heralded_fidelity - told.goodness > 0.1:
        lost = told.heralded_fidelity - told.goodness
        yield f"{lost:.3f} of the fidelity is lost between click and delivery: see t2_s, gate_1q"
    if told.goodness_error > 0.05:
        yield f"goodness is uncertain by {told.goodness_error:.3f}: patterns or origins differ"
    ceiling = ceiling_hz(link)
    if told.rate_hz > ceiling:
        yield f"rate {told.rate_hz:g}/s is above the one-station limit of {ceiling:g} ebits/s"


def ceiling_hz(link: LinkPlan) -> float:
    """Most ebits per second that any protocol could make over this link with its one station; [1].

    A chain carries what its weaker arm carries, -log2(1 - eta) per mode and use; an attempt uses
    two modes (polarisations or time bins).
    """
    weaker = min(link.optics.eta_a, link.optics.eta_b)
    if weaker >= 1.0:
        return math.inf
    return 2.0 * plob_bound(weaker) / seconds(link.cycle)
