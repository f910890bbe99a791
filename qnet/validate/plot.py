"""All figures of a validation in one picture: deviation from the published value in units of the tolerance.

Bounds (figures published as "at least") and checks without a tolerance have no place on this axis and are
left out; the picture says how many. Beyond two tolerances the axis is logarithmic.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qnet.validate.verdict import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN: Final = 10.0
ROW_IN: Final = 0.34
LINEAR: Final = 2.0
"""Tolerances up to which the axis is linear."""
TICKS: Final = (-100, -50, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 50, 100)
WITHIN, OUTSIDE = "tab:green", "tab:red"


def drawable(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Those that have a place in the picture."""
    return [
        one
        for one in comparisons
        if one.figure is not None and not one.check.published.at_least and one.check.tolerance > 0.0
    ]


def draw(comparisons: Sequence[Comparison], file: Path) -> None:
    """Draw the picture as PNG; without a figure that can be drawn it shows the axis only."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = drawable(comparisons)
    figure = Figure(figsize=(WIDTH_IN, 1.9 + ROW_IN * max(1, len(shown))), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=1.5)
    axes.axvspan(-1.0, 1.0, color="tab:green", alpha=0.12, label="within the tolerance")
    axes.axvline(0.0, color="0.4", linewidth=0.8)
    for place, one in enumerate(shown):
        _mark(axes, place, one, first=place == 0)
    runs = [place for place, one in enumerate(shown) if one.run is not None]
    if runs:
        _mark_runs(axes, shown, runs)
    axes.set_yticks(range(len(shown)), [f"{one.case.name}: {one.check.quantity}" for one in shown])
    axes.set_ylim(max(1, len(shown)) - 0.4, -0.6)
    low, high = _range(shown)
    ticks = [tick for tick in TICKS if low < tick < high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlim(low, high)
    axes.set_xlabel("(model - published) / tolerance")
    left_out = len(comparisons) - len(shown)
    note = f"; {left_out} bounds are not drawn" if left_out else ""
    axes.set_title(f"Published experiments beside the model{note}")
    axes.grid(visible=True, axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4)
    figure.savefig(file, dpi=120)


def _range(shown: Sequence[Comparison]) -> tuple[float, float]:
    """Room for all that is drawn, and at least for the tolerance."""
    ends = [-LINEAR, LINEAR]
    for one in shown:
        scale, published = one.check.tolerance, one.check.published
        ends += (-published.error / scale, published.error / scale)
        if one.model is not None:
            ends.append((one.model - published.value) / scale)
        if one.run is not None:
            middle = (one.run.value - published.value) / scale
            ends += (middle - one.run.stderr / scale, middle + one.run.stderr / scale)
    return 1.4 * min(ends), 1.4 * max(ends)


def _mark(axes: Axes, place: int, one: Comparison, *, first: bool) -> None:
    scale, published = one.check.tolerance, one.check.published
    axes.errorbar(
        [0.0],
        [place],
        xerr=[published.error / scale],
        color="0.35",
        capsize=4,
        label="published, with its error" if first else None,
        marker="|",
        markersize=10,
    )
    if one.model is not None:
        colour = WITHIN if one.within else OUTSIDE
        where = (one.model - published.value) / scale
        label = "closed form (red: outside)" if first else None
        axes.plot([where], [place], "o", color=colour, markersize=7, label=label, zorder=3)


def _mark_runs(axes: Axes, shown: Sequence[Comparison], places: Sequence[int]) -> None:
    where, errors = [], []
    for place in places:
        one = shown[place]
        assert one.run is not None
        where.append((one.run.value - one.check.published.value) / one.check.tolerance)
        errors.append(one.run.stderr / one.check.tolerance)
    axes.errorbar(
        where,
        [place + 0.22 for place in places],
        xerr=errors,
        fmt="D",
        color="tab:blue",
        markersize=4,
        capsize=3,
        label="run, with its standard error",
    )
