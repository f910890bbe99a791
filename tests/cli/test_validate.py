"""``qnet validate``: table, list, JSON, files, names, exit status."""

from __future__ import annotations

import dataclasses
import json

import pytest

from qnet.validate import catalogue


def test_closed_forms_of_all_cases_as_a_table(qnet):
    status, out, error = qnet("validate", "--no-runs")
    assert (status, error) == (0, "")
    for case in catalogue.CASES:
        assert case.name in out
    assert "above by 0.074" in out
    assert "missing from the error budget" in out
    assert "0 below, 2 need a run; 17 of 17 that must hold do." in out


def test_json_is_one_object_and_nothing_else(qnet):
    status, out, _ = qnet("validate", "wan-2019", "magnard-2020", "--json")
    found = json.loads(out)
    assert status == 0
    assert [case["name"] for case in found["cases"]] == ["wan-2019", "magnard-2020"]
    figure = found["cases"][0]["figures"][0]
    assert figure["verdict"] == "above by 0.091"
    assert figure["run"] is None
    assert found["held"] is True


def test_json_of_a_run_holds_its_standard_error(qnet):
    status, out, _ = qnet("validate", "van-leent-2022", "--json")
    rate, fidelity = json.loads(out)["cases"][0]["figures"]
    assert status == 0
    assert rate["run"]["stderr"] > 0.0
    assert rate["run_agrees"]
    assert fidelity["run_agrees"]


def test_list_shows_rows_and_runs_without_running(qnet, monkeypatch):
    monkeypatch.setattr("qnet.cli.validating.read_case", lambda _: pytest.fail("it ran"))
    status, out, _ = qnet("validate", "--list", "--json")
    cases = json.loads(out)["cases"]
    assert status == 0
    assert cases[0] | {"source": ""} == {
        "case": "stephenson-2020",
        "row": 2,
        "level": "RS",
        "runs": "yes",
        "title": "two strontium ions, polarisation photons, 2 m",
        "source": "",
    }
    status, out, _ = qnet("validate", "--list")
    assert (status, "dahlberg-2019" in out) == (0, True)


def test_unknown_name_is_refused_with_the_nearest(qnet, tmp_path):
    status, out, error = qnet("validate", "stephenson", "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert "must name a case, got 'stephenson'" in error
    assert "Did you mean 'stephenson-2020'?" in error
    assert not (tmp_path / "out").exists()


def test_table_and_picture_are_written(qnet, tmp_path):
    folder = tmp_path / "new" / "out"
    status, out, _ = qnet("validate", "--no-runs", "--out", folder)
    assert status == 0
    assert "written: " in out
    assert (folder / "validation.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "validation.md").read_text()
    assert page.startswith("# Published experiments beside the model\n")
    assert all(f"## `{case.name}`" in page for case in catalogue.CASES)


def test_a_folder_that_cannot_be_made_is_refused(qnet, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, error = qnet("validate", "wan-2019", "--out", tmp_path / "file" / "out")
    assert status == 2
    assert "--out" in error


def test_a_figure_that_must_hold_and_does_not_is_exit_status_1(qnet, monkeypatch):
    (case,) = catalogue.chosen(["wan-2019"])
    check = dataclasses.replace(case.checks[0], must_hold=(0.0, 0.9))
    broken = dataclasses.replace(case, checks=(check,))
    monkeypatch.setattr(catalogue, "CASES", (broken,))
    status, out, _ = qnet("validate")
    assert status == 1
    assert "MUST HOLD" in out
    status, out, _ = qnet("validate", "--json")
    assert (status, json.loads(out)["held"]) == (1, False)
