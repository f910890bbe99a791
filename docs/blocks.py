"""Blocks of Markdown files that can be executed, and how their output is compared.

``bash`` blocks hold ``qnet`` commands, one per line, and a few of Python tools: ``pytest`` and ``ruff`` are
run, ``pip install --editable FOLDER`` does what pip would do, without a network: the folder's ``src`` is on
the path and its entry points are known. A ``text`` block right below is the output.
``python`` blocks are executed; one that begins with ``# file: NAME`` is a module of an imaginary
package, and a ``toml`` block with entry points registers it, as installing that package would.
Everything runs in one temporary folder per document, in which ``deploy`` is the repository's.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
QNET: Final = (sys.executable, "-c", "from qnet.cli.main import main; raise SystemExit(main())")
PACKAGE: Final = "package"
TOOLS: Final = ("pytest", "ruff")
INSTALL: Final = ["pip", "install", "--editable"]
MODULE: Final = re.compile(r"# file: (\w+\.py)\n")
WALL: Final = re.compile(r"simulated in [0-9.e-]+ s|, [0-9.]+ s$|^slowest cases:.*")
NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")
HASH: Final = re.compile(r"[0-9a-f]{64}")
TOLERANCE: Final = 1e-6
"""Relative; another CPU or mathematics library may round differently."""


@dataclass(frozen=True)
class Block:
    """One fenced block: language, content, line number of its fence, output shown below it."""

    language: str
    text: str
    line: int
    output: str | None = None


def blocks(document: Path) -> list[Block]:
    """All fenced blocks of a file, in order."""
    found: list[Block] = []
    lines = document.read_text().splitlines(keepends=True)
    index = above = 0
    while index < len(lines):
        if not lines[index].startswith("```"):
            index += 1
            continue
        start, language = index, lines[index].strip("`\n ")
        index += 1
        while not lines[index].startswith("```"):
            index += 1
        text = "".join(lines[start + 1 : index])
        near = found and not "".join(lines[above:start]).strip()
        if language == "text" and near and found[-1].language == "bash":
            one = found[-1]
            found[-1] = Block(one.language, one.text, one.line, text)
        else:
            found.append(Block(language, text, start + 1))
        index += 1
        above = index
    return found


class Bench:
    """A folder in which the blocks of one document run, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / PACKAGE
        self.package.mkdir()
        (folder / "deploy").symlink_to(ROOT / "deploy", target_is_directory=True)
        paths = [str(self.package), str(ROOT), str(ROOT / "nodes"), str(ROOT / "protocols")]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def execute(self, block: Block) -> str:
        """Execute a block; what its commands printed.

        Raises:
            ValueError: a ``bash`` block holds a command that cannot be executed here.
            RuntimeError: a command or the Python code failed.
        """
        match block.language:
            case "bash":
                return "".join(self._command(line) for line in block.text.splitlines())
            case "python" if module := MODULE.match(block.text):
                (self.package / module[1]).write_text(block.text)
            case "python":
                return self._run([sys.executable, "-c", block.text])
            case "toml":
                self._register(tomllib.loads(block.text))
        return ""

    def _command(self, line: str) -> str:
        name, *arguments = line.split()
        if name == "qnet":
            return self._run([*QNET, *arguments])
        if name in TOOLS:
            return self._run([sys.executable, "-m", name, *arguments])
        if line.split()[:-1] == INSTALL:
            return self._install(self.folder / arguments[-1])
        raise ValueError(
            f"a bash block must hold commands of qnet, {', '.join(TOOLS)} or {' '.join(INSTALL)!r} "
            f"only, got {line!r}; use text"
        )

    def _install(self, folder: Path) -> str:
        self._register(tomllib.loads((folder / "pyproject.toml").read_text()))
        known = self._environment["PYTHONPATH"]
        self._environment["PYTHONPATH"] = os.pathsep.join((str(folder / "src"), known))
        return ""

    def _register(self, document: dict[str, Any]) -> None:
        """Write what installing the package would write: its entry points."""
        project = document["project"]
        name, version = project["name"], project["version"]
        info = self.package / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = []
        for group, points in project["entry-points"].items():
            lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"status {done.returncode}: {done.stdout[-500:]}{done.stderr[-1500:]}"
            )
        return done.stdout


def tidy(output: str) -> str:
    """Output without blanks at the ends of lines and empty lines at both ends."""
    return "\n".join(line.rstrip() for line in output.splitlines()).strip("\n") + "\n"


def difference(shown: str, got: str) -> str:
    """The first line that differs in more than rounding and wall time, "" if none does."""
    ours, theirs = tidy(shown).splitlines(), tidy(got).splitlines()
    for one, two in zip(ours, theirs, strict=False):
        if not _alike(WALL.sub("", one).split(), WALL.sub("", two).split()):
            return f"shown {one!r}, got {two!r}"
    return "" if len(ours) == len(theirs) else f"{len(ours)} lines shown, got {len(theirs)}"


def _alike(shown: list[str], got: list[str]) -> bool:
    return len(shown) == len(got) and all(map(_same_word, shown, got))


def _same_word(one: str, two: str) -> bool:
    if one == two or HASH.fullmatch(one):
        return one == two
    numbers = zip(NUMBER.findall(one), NUMBER.findall(two), strict=False)
    return NUMBER.sub("#", one) == NUMBER.sub("#", two) and all(
        math.isclose(float(a), float(b), rel_tol=TOLERANCE) for a, b in numbers
    )


def refreshed(document: Path, folder: Path) -> str:
    """The text of a document with every output that is not true any more replaced."""
    text = document.read_text()
    bench = Bench(folder)
    for block in blocks(document):
        got = bench.execute(block)
        if block.output is not None and difference(block.output, got):
            text = text.replace(f"```text\n{block.output}```", f"```text\n{tidy(got)}```", 1)
    return text
