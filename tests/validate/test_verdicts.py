"""Verdicts: within, above, below, met; what must hold; runs beside closed forms; the report."""

from __future__ import annotations

import math

import pytest

from qnet.validate import report
from qnet.validate.case import Case, Check, Given, Published, Reading, Source
from qnet.validate.plot import draw, drawable
from qnet.validate.verdict import Comparison, compare


def case_of(value: float | None, **changes) -> Case:
    """A case with one figure, published as 0.90(1) with a tolerance of 0.02."""
    wanted = {
        "quantity": "fidelity",
        "level": "S",
        "published": Published(0.90, 0.01),
        "tolerance": 0.02,
        "formula": "f | <g>",
        "model": None if value is None else lambda: value,
        "missing": ("heat", "noise"),
    }
    check = Check(**{**wanted, **changes})
    given = (Given("eta", 0.1, "", "assumed", "a guess"),)
    return Case(
        "one", "one case", 1, Source("A. Author (2020)", arxiv="0000.00000"), given, (check,)
    )


def only(value: float | None, run: Reading | None = None, **changes) -> Comparison:
    (found,) = compare(case_of(value, **changes), None if run is None else {"fidelity": run})
    return found


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.91, "within"),
        (0.8801, "within"),
        (0.95, "above by 0.05"),
        (0.8, "below by 0.1"),
        (None, "needs a run"),
    ],
)
def test_verdict_of_a_closed_form(value, verdict):
    assert only(value).verdict == verdict


def test_a_lower_bound_is_met_by_anything_above():
    bound = Published(0.90, at_least=True)
    assert only(0.99, published=bound).verdict == "met"
    assert only(0.99, published=bound).gap == 0.0
    assert only(0.85, published=bound).verdict == "below by 0.05"


def test_construction_is_said():
    assert only(0.9, circular="eta").verdict == "within, by construction"
    assert only(0.95, circular="eta").verdict == "above by 0.05"


def test_the_run_is_judged_where_there_is_no_closed_form():
    found = only(None, Reading(0.95, 0.01))
    assert (found.verdict, found.agrees) == ("above by 0.05", None)


def test_above_the_data_is_reported_and_no_failure():
    found = only(0.95)
    assert (found.within, found.held) == (False, None)
    assert report.failures([found]) == []
    assert report.gaps([found]) == [("one", "fidelity", "above by 0.05", "heat; noise")]


def test_what_must_hold_fails_outside_its_interval():
    held = only(0.95, must_hold=(0.8, 0.96))
    assert (held.held, held.verdict) == (True, "above by 0.05 (accepted 0.8 to 0.96)")
    failed = only(0.97, must_hold=(0.8, 0.96))
    assert failed.held is False
    assert failed.verdict.endswith("MUST HOLD AND DOES NOT")
    assert report.failures([held, failed]) == [failed]


@pytest.mark.parametrize(("run", "held"), [(0.935, True), (0.96, False)])
def test_a_run_may_lie_three_standard_errors_outside(run, held):
    found = only(None, Reading(run, 0.01), must_hold=(0.88, 0.92))
    assert found.held is held


@pytest.mark.parametrize(("run", "agrees"), [(0.938, True), (0.942, False)])
def test_run_and_closed_form_agree_within_four_standard_errors(run, agrees):
    found = only(0.90, Reading(run, 0.01), must_hold=(0.0, 1.0))
    assert found.agrees is agrees
    assert found.held is agrees
    assert ("RUN DIFFERS" in found.verdict) is not agrees


def test_what_a_run_adds_widens_the_agreement():
    assert only(0.90, Reading(0.942, 0.01), run_margin=0.01).agrees


def test_row_shows_errors_units_and_remarks():
    published = Published(182.0, 2.0, words="of ten")
    found = only(181.5, Reading(181.7, 4.2), published=published, unit="1/s", tolerance=3.6)
    assert report.row(found) == (
        "one", "fidelity", "S", "182 ± 2 1/s (of ten)", "3.6", "181.5", "181.7 ± 4.2", "within",
    )  # fmt: skip


def test_totals_count_every_figure_once():
    found = [only(0.9), only(0.95), only(0.85), only(None), only(0.9, must_hold=(0.8, 1.0))]
    assert report.totals(found) == (
        "5 figures: 2 within their tolerance, 1 above, 1 below, 1 need a run; 1 of 1 that must hold do"
    )


def test_data_is_complete_and_plain():
    found = report.data([only(0.95, Reading(0.94, 0.01))])
    (case,) = found["cases"]
    (figure,) = case["figures"]
    assert found["held"] is True
    assert case["inputs"][0]["confidence"] == "assumed"
    assert case["source"] == "A. Author (2020), arXiv 0000.00000"
    assert figure["run"] == {"value": 0.94, "stderr": 0.01}
    assert figure["missing"] == ["heat", "noise"]
    assert math.isclose(figure["gap"], 0.05)


def test_markdown_escapes_bars_and_brackets():
    page = report.markdown([only(0.95)])
    assert "| fidelity | found | f \\| &lt;g> | heat; noise |" in page
    assert "| eta | 0.1 | assumed | a guess |" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_picture_leaves_bounds_out(tmp_path):
    shown = [only(0.95, Reading(0.94, 0.01)), only(0.99, published=Published(0.9, at_least=True))]
    assert drawable(shown) == shown[:1]
    for number, some in enumerate((shown, shown[1:])):
        file = tmp_path / f"{number}.png"
        draw(some, file)
        assert file.read_bytes().startswith(b"\x89PNG")
