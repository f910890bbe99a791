"""The summary of a run and the tables of a plan, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qnet.plan import RunPlan
from qnet.results.words import number_words, time_words

FEW: Final = 6
"""Flows that stand side by side; more are listed one below another."""


def summary_table(summary: Mapping[str, Any], plan: RunPlan | None = None) -> RenderableType:
    """The content of ``summary.json`` as tables: run, requests, application.

    Args:
        summary: of a run, complete or not; a key "folder" may say where it is.
        plan: of the run; adds the predicted rate and fidelity of the idle links and paths that requests used.
    """
    parts: list[RenderableType] = [_run(summary)]
    if summary.get("requests"):
        parts.append(_requests(summary["requests"], plan))
    results = summary.get("app", {}).get("results", {})
    if results:
        app = summary["app"]
        parts.append(_application(app["name"], results, app.get("waiting", ())))
    return Group(*parts)


def data_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> RenderableType:
    """Any table of texts and numbers; numbers to the right."""
    table = _table(title)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(number_words(value)) for value in row))
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)


def _run(summary: Mapping[str, Any]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for key, value in _run_rows(summary):
        grid.add_row(key, Text(value))
    return grid


def _run_rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "network", f"{summary['network']}, seed {summary['seed']}, {summary['mode']}"
    yield "status", str(summary["status"])
    simulated_s, wall_s = summary["simulated_s"], summary["wall_s"]
    if summary.get("ended_by") == "until":
        yield "ended", "at the bound of simulated time"
    yield "time", f"{time_words(simulated_s)} simulated in {wall_s:g} s"
    if "engine" in summary:
        yield "engine", str(summary["engine"])
    if "max_lag_s" in summary:
        yield "lag", f"at most {time_words(summary['max_lag_s'])} behind the wall clock"
    if "trace_sha256" in summary:
        yield "trace", str(summary["trace_sha256"])
    if "folder" in summary:
        yield "folder", str(summary["folder"])
    if summary.get("attempts"):
        yield "attempts", _attempts(summary["attempts"])
    if "held_at_end" in summary:
        yield "held at the end", number_words(summary["held_at_end"])


def _attempts(attempts: Mapping[str, int]) -> str:
    if len(attempts) <= FEW:
        return number_words(attempts)
    return f"{sum(attempts.values())} over {len(attempts)} links"


def _requests(requests: Sequence[Mapping[str, Any]], plan: RunPlan | None) -> RenderableType:
    """A column per flow and one per prediction, narrow enough for a terminal of 80; a row each if many."""
    if len(requests) > FEW:
        return _many(requests)
    table = _table("requests")
    table.add_column("")
    columns = [_flow(flow) for flow in requests]
    for flow in requests:
        table.add_column(f"{flow['from']} to {flow['to']}", justify="right")
    for name, rate_hz, goodness in _predictions(requests, plan) if plan is not None else ():
        table.add_column(f"{name}, predicted", justify="right")
        columns.append({"pairs/s": number_words(rate_hz), "claimed": _fidelity(goodness)})
    for figure in columns[0]:
        table.add_row(figure, *(column.get(figure, "") for column in columns))
    return table


def _many(requests: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = _table("requests")
    names = ("requested", "delivered", "failed", "expired", "pairs/s", "true fidelity", "claimed")
    for name in ("from", "to", *names):
        table.add_column(name, justify="left" if name in ("from", "to") else "right")
    for flow in requests:
        figures = _flow(flow)
        figures["true fidelity"] = _fidelity(flow["fidelity"]["mean"])
        table.add_row(flow["from"], flow["to"], *(figures[name] for name in names))
    return table


def _predictions(
    requests: Sequence[Mapping[str, Any]], plan: RunPlan
) -> Iterator[tuple[str, float, float]]:
    """Of the links and paths that the requests used: name, rate on an idle one, fidelity."""
    flows = [(str(flow["from"]), str(flow["to"])) for flow in requests]
    joined = {frozenset(flow) for flow in flows}
    for link in plan.links:
        if frozenset(map(str, link.ends)) in joined:
            yield link.name, link.estimate.rate_hz, link.estimate.goodness
            joined.discard(frozenset(map(str, link.ends)))
    routes = {} if plan.network_layer is None else plan.network_layer.routes
    for source, target in flows:
        if frozenset((source, target)) in joined and (found := routes.get(f"{source}>{target}")):
            words = "path" if len(found) == 1 else f"best of {len(found)} paths"
            raw = plan.network_layer is not None and plan.network_layer.purification is not None
            yield f"{words}, unpurified" if raw else words, found[0].rate_hz, found[0].goodness


def _flow(flow: Mapping[str, Any]) -> dict[str, str]:
    waited, fidelity = flow["latency_s"], flow["fidelity"]
    return {
        **{count: str(flow[count]) for count in ("requested", "delivered", "failed", "expired")},
        "pairs/s": number_words(flow["rate_hz"]),
        "waited, mean": _time(waited["mean"]),
        "waited, median": _time(waited["p50"]),
        "waited, 95 %": _time(waited["p95"]),
        "true fidelity": _with_error(fidelity["mean"], fidelity["stderr"]),
        "least": _fidelity(fidelity["min"]),
        "claimed": _fidelity(fidelity["claimed"]),
        "outside stated error": str(fidelity["outside_stated_error"]),
    }


def _application(
    name: str, results: Mapping[str, Mapping[str, Any]], waiting: Sequence[str]
) -> RenderableType:
    table = _table(f"application {name}")
    for column in ("node", "role", "what", "value"):
        table.add_column(column, overflow="fold")
    for node, entry in results.items():
        result = entry["result"]
        facts = result if isinstance(result, dict) else {"result": result}
        for index, (key, value) in enumerate(facts.items()):
            who = ("", "") if index else (node, str(entry["role"]))
            table.add_row(*who, key, Text(number_words(value)))
        if entry.get("crashed"):
            table.add_row("", "", "crashed", "its application was lost")
    for node in waiting:
        table.add_row(node, "", "still waiting when the run was over", "")
    return table


def _time(time_s: float | None) -> str:
    return "-" if time_s is None else time_words(time_s)


def _fidelity(value: float | None) -> str:
    return "-" if value is None else f"{value:.5f}"


def _with_error(value: float | None, stderr: float | None) -> str:
    if value is None or stderr is None:
        return _fidelity(value)
    return f"{value:.5f} ±{stderr:.1g}" if stderr > 1e-12 else f"{value:.5f} (every pair)"
