"""``qnet new``: what it writes is a package that installs, passes its own checks and runs, as it stands."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qnet import plugins
from qnet.cli.creating import GROUPS, IN_BOTH_STYLES, LONGEST, new_package

KINDS = tuple(GROUPS)
LONG = "a" * LONGEST
STYLED = [*((kind, "machine") for kind in KINDS), *((kind, "async") for kind in IN_BOTH_STYLES)]
"""Everything that can be written: kind and style."""


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Within it the package in ``folder`` is installed: what pip would write, but for copying."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    source = folder / "src"
    info = source / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    module = project["name"].replace("-", "_")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(source)
        patch.setenv("PYTHONPATH", str(source))
        plugins.forget()
        try:
            yield
        finally:
            for name in [one for one in sys.modules if one.partition(".")[0] == module]:
                del sys.modules[name]
    plugins.forget()


def called(*command: object, folder: Path) -> None:
    """Run a command of this environment in ``folder``; its output is shown if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", ["mine", LONG])
@pytest.mark.parametrize(("kind", "style"), STYLED)
def test_what_is_written_passes_the_linter_and_the_formatter(kind, style, name, tmp_path):
    folder = new_package(kind, name, tmp_path, style).folder
    called("ruff", "check", "--no-cache", ".", folder=folder)
    called("ruff", "format", "--no-cache", "--check", ".", folder=folder)


@pytest.mark.parametrize(("kind", "style"), STYLED)
def test_what_is_written_is_listed_and_runs(kind, style, qnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, error = qnet("new", kind, f"spare-{kind}", "--style", style)
    assert (status, error) == (0, "")
    folder = tmp_path / f"qnet-spare-{kind}"
    assert f"written: {folder.name}\n" in out
    for path in ("pyproject.toml", "README.md", "topology.toml", "tests/test_plugin.py"):
        assert (folder / path).is_file()
        assert f"  {path}\n" in out
    assert "$" not in (folder / "README.md").read_text()
    with installed(folder):
        entries = {(entry.group, entry.name): entry for entry in plugins.catalogue()}
        entry = entries[GROUPS[kind], f"spare-{kind}"]
        assert (entry.status, entry.package, entry.version) == ("ok", folder.name, "0.1.0")
        assert qnet("plugins", "show", f"spare-{kind}")[0] == 0
        status, out, error = qnet(
            "run", folder / "topology.toml", "--embedded", "--no-plots", "--out", "run"
        )
        assert (status, error) == (0, "")
        assert "status    done" in out


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(("kind", "style"), STYLED)
def test_what_is_written_passes_its_own_types_and_tests(kind, style, tmp_path, tmp_path_factory):
    folder = new_package(kind, f"spare-{kind}", tmp_path, style).folder
    cache = tmp_path_factory.getbasetemp() / "mypy"
    called("mypy", "--cache-dir", cache, folder=folder)
    with installed(folder):
        called("pytest", "-q", "-p", "no:cacheprovider", folder=folder)


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("style", ["machine", "async"])
def test_what_is_written_gives_the_same_trace_in_processes(style, qnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = new_package("link", "spare-link", tmp_path, style).folder
    with installed(folder):
        assert qnet("run", folder / "topology.toml", "--no-plots", "--out", "run")[0] == 0
        status, out, _ = qnet("replay", "run")
    assert (status, out[:10]) == (0, "same trace")


@pytest.mark.slow
@pytest.mark.parametrize("style", ["machine", "async"])
def test_link_that_is_written_is_conformant_under_every_fault_profile(
    style, qnet, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = new_package("link", "spare-link", tmp_path, style).folder
    with installed(folder):
        status, out, error = qnet("conformance", "spare-link", "--seeds", 5, "--strict", "--json")
    assert (status, error) == (0, "")
    found = json.loads(out)["verdicts"]
    assert found["PASS"] > 50
    assert {name for name, count in found.items() if count} == {
        "PASS",
        "INFO",
        "NOT APPLICABLE",
        "UNTESTED",
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Courier", "must be lower-case letters, digits and single hyphens"),
        ("2fast", "beginning with a letter"),
        ("two--hyphens", "single hyphens"),
        ("trailing-", "single hyphens"),
        ("under_score", "got 'under_score'"),
        ("x" * (LONGEST + 1), f"at most {LONGEST} characters"),
        ("egp", "must not be the name of an installed link protocol, got 'egp'"),
        ("stack", "must not lead to a package that is installed, qnet-stack is, got 'stack'"),
        ("nodes", "qnet-nodes is, got 'nodes'"),
    ],
)
def test_names_that_cannot_be_used_are_refused(name, words, qnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, error = qnet("new", "link", name)
    assert (status, out) == (2, "")
    assert words in error
    assert error.startswith("qnet: NAME: ")
    assert not list(tmp_path.iterdir())


def test_name_of_another_seam_may_be_used(tmp_path):
    assert new_package("routing", "egp", tmp_path).folder.is_dir()


def test_style_that_a_kind_has_not_is_refused(qnet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, error = qnet("new", "routing", "mine", "--style", "async")
    assert (status, out) == (2, "")
    assert "--style: must be machine but for link, got 'async'" in error
    assert not list(tmp_path.iterdir())


def test_unknown_kind_is_refused(qnet):
    status, out, error = qnet("new", "teapot", "mine")
    assert (status, out) == (2, "")
    assert "teapot" in error
    assert "heralding" in error


def test_folder_that_is_there_is_left_alone(qnet, tmp_path):
    (tmp_path / "qnet-mine").mkdir()
    status, out, error = qnet("new", "app", "mine", "--out", tmp_path)
    assert (status, out) == (2, "")
    assert "--out: must not exist yet, got" in error
    assert not list((tmp_path / "qnet-mine").iterdir())


def test_place_that_cannot_be_written_is_named(qnet, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, error = qnet("new", "app", "mine", "--out", tmp_path / "file")
    assert status == 2
    assert "--out: must be a folder that can be written (" in error
