"""Plots of a run as PNG files: pairs over time, waiting times, claimed and true fidelity.

Each is drawn from ``pairs.csv``; with the plan of the run the predicted rate of the idle link or path
stands beside the measured one. Matplotlib is imported when the first plot is drawn, without a display.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qnet.plan import RunPlan
from qnet.results.pairs import read_pairs
from qnet.results.words import time_unit
from qnet.units import seconds
from qnet.world.recorder import DeliveredPair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_IN: Final = (7.0, 4.2)
BINS: Final = 40

Flow = tuple[str, list[DeliveredPair]]


def draw(folder: Path, plan: RunPlan | None = None) -> list[Path]:
    """Draw the plots of the run in ``folder`` into it; the files, none if no pair was delivered.

    Raises:
        ConfigError: the table of pairs cannot be read.
    """
    pairs = read_pairs(folder)
    if not pairs:
        return []
    flows = _flows(pairs)
    return [
        _save(pairs_over_time(flows, plan), folder / "pairs.png"),
        _save(waiting_times(flows), folder / "latency.png"),
        _save(fidelities(flows), folder / "fidelity.png"),
    ]


def _flows(pairs: Iterable[DeliveredPair]) -> list[Flow]:
    """Pairs by who asked whom, in order of the first delivery."""
    flows: dict[str, list[DeliveredPair]] = {}
    for pair in pairs:
        flows.setdefault(f"{pair.origin} to {pair.peer}", []).append(pair)
    return list(flows.items())


def _canvas(title: str) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_IN, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.grid(visible=True, alpha=0.3)
    return figure, axes


def _save(figure: Figure, file: Path) -> Path:
    figure.savefig(file, dpi=120)
    return file


def pairs_over_time(flows: Sequence[Flow], plan: RunPlan | None) -> Figure:
    """Delivered pairs over simulated time, with lines of the predicted rates."""
    last_s = max(seconds(pairs[-1].delivered_at_ps) for _, pairs in flows)
    unit_s, unit = time_unit(last_s)
    figure, axes = _canvas("Delivered pairs")
    drawn: set[str] = set()
    for name, pairs in flows:
        times = [0.0, *(seconds(pair.delivered_at_ps) / unit_s for pair in pairs)]
        axes.step(times, range(len(pairs) + 1), where="post", label=f"{name}, measured")
        told = None if plan is None else _predicted(plan, pairs[0])
        if told is not None and told[0] not in drawn:  # both directions of a link have the same one
            where, rate_hz = told
            drawn.add(where)
            start_s = min(seconds(pair.requested_at_ps) for pair in pairs)
            end_s = seconds(pairs[-1].delivered_at_ps)
            axes.plot(
                [start_s / unit_s, end_s / unit_s],
                [0.0, rate_hz * (end_s - start_s)],
                linestyle="--",
                label=f"{where}, predicted {rate_hz:.5g} pairs/s",
            )
    axes.set_xlabel(f"simulated time ({unit})")
    axes.set_ylabel("delivered pairs")
    axes.set_xlim(left=0.0)
    axes.set_ylim(bottom=0.0)
    axes.legend()
    return figure


def _predicted(plan: RunPlan, pair: DeliveredPair) -> tuple[str, float] | None:
    """Name of the idle link or path that made a pair, and its predicted rate."""
    if pair.link:
        return pair.link, plan.link(pair.link).estimate.rate_hz
    way = f"{pair.origin}>{pair.peer}"
    routes = () if plan.network_layer is None else plan.network_layer.routes.get(way, ())
    return (way.replace(">", " to "), routes[0].rate_hz) if routes else None


def waiting_times(flows: Sequence[Flow]) -> Figure:
    """Histogram of the time waited for each pair, from its request or the preceding delivery."""
    waits = {name: list(_waits_s(pairs)) for name, pairs in flows}
    longest_s = max(max(values) for values in waits.values())
    unit_s, unit = time_unit(longest_s)
    figure, axes = _canvas("Time waited for a pair")
    bins = min(BINS, max(len(values) for values in waits.values()))
    edges = [longest_s / unit_s * edge / bins for edge in range(bins + 1)]
    for name, values in waits.items():
        mean_s = sum(values) / len(values)
        label = f"{name}, mean {mean_s / unit_s:.4g} {unit}"
        axes.hist([value / unit_s for value in values], bins=edges, alpha=0.6, label=label)
    axes.set_xlabel(f"time from request or preceding delivery ({unit})")
    axes.set_ylabel("pairs per bin")
    axes.set_xlim(left=0.0)
    axes.legend()
    return figure


def _waits_s(pairs: Iterable[DeliveredPair]) -> Iterable[float]:
    """As the ledger counts: from the later of request and preceding delivery of the request."""
    last: dict[str, int] = {}
    for pair in pairs:
        since = max(pair.requested_at_ps, last.get(pair.request, 0))
        last[pair.request] = pair.delivered_at_ps
        yield seconds(pair.delivered_at_ps - since)


def fidelities(flows: Sequence[Flow]) -> Figure:
    """True fidelity of each pair at its delivery, and the claim with its stated error."""
    last_s = max(seconds(pairs[-1].delivered_at_ps) for _, pairs in flows)
    unit_s, unit = time_unit(last_s)
    figure, axes = _canvas("Fidelity at delivery")
    for index, (name, pairs) in enumerate(flows):
        colour = f"C{2 * index}"
        claim_colour = f"C{2 * index + 1}"
        known = [pair for pair in pairs if pair.true_fidelity is not None]
        axes.plot(
            [seconds(pair.delivered_at_ps) / unit_s for pair in known],
            [pair.true_fidelity or 0.0 for pair in known],
            ".",
            markersize=4,
            color=colour,
            zorder=3,  # above the line of the claim
            label=f"{name}, true",
        )
        times = [seconds(pair.delivered_at_ps) / unit_s for pair in pairs]
        claims = [pair.goodness for pair in pairs]
        axes.plot(times, claims, color=claim_colour, label=f"{name}, claimed")
        axes.fill_between(
            times,
            [pair.goodness - pair.goodness_error for pair in pairs],
            [pair.goodness + pair.goodness_error for pair in pairs],
            color=claim_colour,
            alpha=0.25,
        )
    low, high = _fidelity_range(pair for _, pairs in flows for pair in pairs)
    axes.set_ylim(low, high)
    axes.set_xlabel(f"simulated time ({unit})")
    axes.set_ylabel("fidelity <B|rho|B> to the announced Bell state")
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.legend()
    return figure


def _fidelity_range(pairs: Iterable[DeliveredPair]) -> tuple[float, float]:
    """Room around all values, at least 0.01 each way, so that rounding does not look big."""
    values: list[float] = []
    for pair in pairs:
        values += (pair.goodness - pair.goodness_error, pair.goodness + pair.goodness_error)
        if pair.true_fidelity is not None:
            values.append(pair.true_fidelity)
    low, high = min(values), max(values)
    margin = max(0.01, 0.1 * (high - low))
    return low - margin, high + margin
