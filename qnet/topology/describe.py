"""What a plan would do, as tables of plain data: for ``qnet check`` and for reports.

Predictions are those of the plan (:mod:`qnet.topology.estimate`, the path selection and the purification
protocols); what a person should know about them says :mod:`qnet.topology.doubts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from qnet.plan import (
    Crash,
    Cut,
    Fault,
    Impair,
    NodePlan,
    Partition,
    PurificationPlan,
    RunPlan,
    Single,
    Stall,
)
from qnet.topology.doubts import warnings
from qnet.units import Instant, seconds

Row = tuple[str | int | float | None, ...]


class Table(msgspec.Struct, frozen=True):
    """A table: title, names of the columns with their units, rows of texts and numbers (None: none)."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def describe(plan: RunPlan) -> list[Table]:
    """All tables of a plan, in an order to read them in; a table may be empty. Warnings come last."""
    return [
        _processes(plan),
        _links(plan),
        _predictions(plan),
        _purification(plan),
        _network(plan),
        _routes(plan),
        _application(plan),
        _faults(plan),
        Table("warnings", ("where", "warning"), tuple(warnings(plan))),
    ]


def _processes(plan: RunPlan) -> Table:
    named = "" if plan.engine is msgspec.UNSET else f" (engine {plan.engine})"
    rows: list[Row] = [("world", f"quantum states{named}, optics, time")]
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
    switched = any(link.window is not None for link in plan.links)
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
            *((link.window.share if link.window else 1.0,) if switched else ()),
        )
        for link in plan.links
    )
    return Table("links", (*columns, "time_share") if switched else columns, rows)


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


def _purification(plan: RunPlan) -> Table:
    """Raw pairs beside purified ones; what is not predicted is None."""
    columns = ("where", "protocol", "parameters", "raw_goodness", "goodness", "raw_hz", "rate_hz")
    rows: list[Row] = []
    for link in plan.links:
        better = link.purification
        if better is not None:
            raw = link.estimate
            fidelity = None
            if better.correlators is not None:
                fidelity = (1.0 + sum(better.correlators)) / 4.0
            figures = (raw.goodness, fidelity, raw.rate_hz, better.rate_hz)
            rows.append((link.name, *_named(better), *figures))
    layer = plan.network_layer
    if layer is not None and layer.purification is not None:
        rows.append(("end to end", *_named(layer.purification), None, None, None, None))
    return Table("purification", columns, tuple(rows))


def _named(purification: PurificationPlan) -> tuple[str, str]:
    return purification.protocol, _words(purification.parameters)


def _words(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in parameters.items() if value is not None)


def _network(plan: RunPlan) -> Table:
    layer = plan.network_layer
    rows: list[Row] = []
    if layer is not None:
        rows = [
            ("protocol", layer.protocol),
            *((key, str(value)) for key, value in layer.parameters.items()),
            ("path selection", layer.routing),
            *((key, str(value)) for key, value in layer.routing_parameters.items()),
        ]
    return Table("network layer", ("what", "value"), tuple(rows))


def _routes(plan: RunPlan) -> Table:
    columns = ("from", "to", "choice", "path", "goodness", "rate_hz", "cutoff_s")
    layer = plan.network_layer
    rows: tuple[Row, ...] = ()
    if layer is not None:
        rows = tuple(
            (
                route.nodes[0],
                route.nodes[-1],
                number,
                " - ".join(route.nodes),
                route.goodness,
                route.rate_hz,
                None if route.cutoff is None else seconds(route.cutoff),
            )
            for routes in layer.routes.values()
            for number, route in enumerate(routes, 1)
        )
    return Table("routes", columns, rows)


def _application(plan: RunPlan) -> Table:
    rows: list[Row] = [("application", plan.app.name)]
    rows += [(f"role {role}", node) for node, role in plan.app.roles.items()]
    rows += [(key, str(value)) for key, value in plan.app.parameters.items()]
    return Table("application", ("what", "value"), tuple(rows))


def _faults(plan: RunPlan) -> Table:
    columns = ("fault", "kind", "where", "from_s", "until_s", "what")
    return Table("faults", columns, tuple(_fault(fault) for fault in plan.faults))


def _fault(fault: Fault) -> Row:
    kind = str(fault.__struct_config__.tag)
    if isinstance(fault, Crash):
        back = "stays down" if fault.restart is None else "comes back without its memory"
        times = (seconds(fault.at), _seconds(fault.restart))
        return (fault.name, kind, fault.node, *times, f"loses power, {back}")
    if isinstance(fault, Single):
        where = f"{fault.source} > {fault.target}"
        return (fault.name, kind, where, None, None, _mishap(fault))
    where, what = _effect(fault)
    return (fault.name, kind, where, seconds(fault.start), _seconds(fault.end), what)


def _effect(fault: Impair | Partition | Stall | Cut) -> tuple[str, str]:
    match fault:
        case Impair():
            return f"{fault.source} > {fault.target}", "; ".join(_impairments(fault))
        case Partition():
            return ", ".join(fault.nodes), "no message to or from the others"
        case Stall():
            return fault.node, "neither hears nor speaks"
        case Cut():
            return fault.link, "no photon arrives"


def _mishap(fault: Single) -> str:
    late = f" {seconds(fault.late):g} s later" if fault.late else ""
    what = {
        "lose": "is lost",
        "double": f"comes twice{late and f', again{late}'}",
        "delay": f"comes{late}",
    }
    return f"message {fault.number} {what[fault.what]}"


def _impairments(fault: Impair) -> Iterator[str]:
    if fault.kinds != "*":
        yield f"only {fault.kinds}"
    if fault.loss_prob:
        yield f"{100 * fault.loss_prob:g} % lost"
    if fault.duplicate_prob:
        yield f"{100 * fault.duplicate_prob:g} % doubled"
    if fault.reorder_prob:
        yield (
            f"{100 * fault.reorder_prob:g} % late by up to {fault.reorder_factor:g} times the light time"
        )


def _seconds(at: Instant | None) -> float | None:
    return None if at is None else seconds(at)
