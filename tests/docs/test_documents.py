"""Documents that run: every block is executed, every link leads somewhere, every table is fresh."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
SKIPPED = {".venv", "runs", "node_modules", "dist", "build"}


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


blocks = _load("blocks")


def documents() -> list[Path]:
    """Markdown files of the repository."""
    return sorted(
        path
        for path in ROOT.rglob("*.md")
        if not any(
            part in SKIPPED or part.startswith(".") for part in path.relative_to(ROOT).parts[:-1]
        )
    )


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


EXECUTED = [
    path
    for path in documents()
    if any(block.language in ("bash", "python") for block in blocks.blocks(path))
]


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("document", EXECUTED, ids=name_of)
def test_blocks_run_and_show_their_output(document: Path, tmp_path: Path) -> None:
    bench = blocks.Bench(tmp_path)
    for block in blocks.blocks(document):
        where = f"{name_of(document)}:{block.line}"
        try:
            got = bench.execute(block)
        except (ValueError, RuntimeError) as error:
            pytest.fail(f"{where} must run: {error}", pytrace=False)
        if block.output is not None:
            wrong = blocks.difference(block.output, got)
            assert not wrong, f"{where}: {wrong}; fix: look why, then `make docs`"


def anchors(document: Path) -> set[str]:
    """Anchors that GitHub gives to the headings of a file."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for link in LINK.findall(FENCED.sub("", document.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken, f"{name_of(document)}: {broken} must exist"


def test_generated_tables_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs/generate.py"), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nfix: make docs, and read the diff"


@pytest.mark.slow
@pytest.mark.processes
def test_the_figures_of_a_step_can_be_measured() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs/step_cost.py")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "| machine alone |" in done.stdout


@pytest.mark.parametrize(
    ("shown", "got", "alike"),
    [
        ("rate 181.750001 Hz\n", "rate  181.75 Hz  \n\n", True),
        ("rate 181.8 Hz\n", "rate 181.75 Hz\n", False),
        ("time 5 s simulated in 0.1 s\n", "time 5 s simulated in 22.5 s\n", True),
        ("a" * 64 + "\n", "a" * 63 + "b\n", False),
        ("1" * 63 + "2\n", "1" * 63 + "3\n", False),
        ("one\n", "one\ntwo\n", False),
    ],
)
def test_comparison_allows_rounding_and_nothing_else(shown: str, got: str, alike: bool) -> None:
    assert (blocks.difference(shown, got) == "") is alike
