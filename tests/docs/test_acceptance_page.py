"""docs/acceptance.md names tests and experiments that exist, and every file of a row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from qnet.validate.catalogue import CASES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "acceptance.md").read_text()
NAMED = sorted(set(re.findall(r"`([a-z_/0-9]+\.py)::(\w+)`", PAGE)))


def functions_in(file: Path) -> set[str]:
    """Names of the test functions of a module."""
    tree = ast.parse(file.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_named_test_exists(file: str, test: str) -> None:
    assert test in functions_in(ROOT / "tests" / file)


def test_every_row_is_there_and_every_file_of_a_row_is_named() -> None:
    assert len(NAMED) > 20
    for row in range(1, 9):
        assert re.search(rf"^(\| |\* \*\*)D{row}\b", PAGE, re.MULTILINE)
    files = {path.name for path in (ROOT / "tests" / "acceptance").glob("test_d[0-9]_*.py")}
    assert files == {
        file.split("/")[1] for file, _ in NAMED if re.match(r"acceptance/test_d\d_", file)
    }


def test_commands_name_what_exists() -> None:
    for path in re.findall(r"`pytest (tests/[^`]+)`", PAGE):
        assert (ROOT / path).is_file(), path
    cases = {case.name for case in CASES}
    assert set(re.findall(r"`qnet validate ([\w-]+)`", PAGE)) <= cases
