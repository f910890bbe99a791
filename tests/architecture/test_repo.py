"""The repository checks itself: layers, lengths, heads, units. Every rule prints its fix."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "qnet", ROOT / "nodes/qnet_nodes", ROOT / "protocols/qnet_protocols")

FUNCTION_LINES = 70
FILE_LINES = 500

NO_ASYNC = (
    "qnet/machine.py",
    "qnet/seams.py",
    "qnet/plan.py",
    "qnet/plugins.py",
    "qnet/wire",
    "qnet/world",
    "qnet/physics",
    "qnet/layers",
    "qnet/topology",
    "qnet/results",
    "nodes/qnet_nodes",
    "protocols/qnet_protocols/heralding",
    "protocols/qnet_protocols/link",
    "protocols/qnet_protocols/network",
    "protocols/qnet_protocols/purification",
    "protocols/qnet_protocols/routing",
)
"""Where nothing waits. Waiting lives in qnet/runtime, qnet/cli and applications."""

COROUTINES = (
    "protocols/qnet_protocols/link/one_by_one/coroutine.py",
    "protocols/qnet_protocols/purification/coroutine.py",
    "protocols/qnet_protocols/purification/serving.py",
)
"""Protocols in the other style (qnet.coroutine): they wait for inputs of their machine, and import no trio."""

SANS_IO = (
    "qnet/machine.py",
    "qnet/coroutine",
    "qnet/layers",
    "qnet/physics",
    "nodes/qnet_nodes",
    "protocols/qnet_protocols/heralding",
    "protocols/qnet_protocols/link",
    "protocols/qnet_protocols/network",
    "protocols/qnet_protocols/purification",
    "protocols/qnet_protocols/routing",
)
IO_MODULES = frozenset(
    [
        "asyncio",
        "datetime",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "selectors",
        "socket",
        "structlog",
        "subprocess",
        "sys",
        "threading",
        "time",
        "uuid",
    ]
)
"""Clocks, randomness, files, sockets and logs: a machine gets what it needs as arguments."""

QUTIP_MODULE = "qnet/world/engine_qutip.py"
QUTIP_ALLOWED = {QUTIP_MODULE, "qnet/bench/state.py"}
"""The bench measures the bare library beside the engine: that is its purpose."""

BARE_WORDS = frozenset(
    [
        "attenuation",
        "delay",
        "distance",
        "duration",
        "frequency",
        "interval",
        "latency",
        "length",
        "lifetime",
        "loss",
        "period",
        "rate",
        "temperature",
        "time",
        "timeout",
        "wavelength",
    ]
)
"""Quantities with a unit: as a parameter or field, their name ends with it (``length_m``)."""

UNIT_TYPES = ("Duration", "Instant")
"""Types that carry the unit: integer picoseconds."""

BARE_ALLOWED: dict[tuple[str, str], str] = {}
"""(file, name) -> why it may stay."""


def sources() -> list[Path]:
    """All modules of the three packages."""
    return sorted(path for package in PACKAGES for path in package.rglob("*.py"))


def under(*places: str) -> list[Path]:
    """Modules at or below the given places."""
    roots = [ROOT / place for place in places]
    return [path for path in sources() if any(path == r or r in path.parents for r in roots)]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    line = f":{node.lineno}" if node is not None and hasattr(node, "lineno") else ""
    return f"{path.relative_to(ROOT)}{line}"


def imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Top-level names of everything that is imported anywhere in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node, node.module.partition(".")[0]


Function = ast.FunctionDef | ast.AsyncFunctionDef


def public(tree: ast.Module) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Public classes, functions and methods with their dotted names; overload stubs left out."""

    def visit(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Function | ast.ClassDef]]:
        for node in body:
            if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
                continue
            if any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list):
                continue
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from visit(node.body, f"{prefix}{node.name}.")

    return visit(tree.body, "")


def report(rule: str, fix: str, found: list[str]) -> None:
    if found:
        pytest.fail(f"{rule}\nfix: {fix}\n  " + "\n  ".join(found), pytrace=False)


def test_repo_layers_hold() -> None:
    code = "import importlinter.cli as c; raise SystemExit(c.lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    report(
        "an import goes against the layers of pyproject.toml",
        "move what is needed to a lower layer, or hand it in as an argument; the chain is below",
        [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines(),
    )


def test_repo_modules_have_heads() -> None:
    report(
        "every module opens with a docstring: what it is, theory, validity, not modelled, sources",
        "write it before the first import; CONTRIBUTING.md shows the form",
        [place(path) for path in sources() if not ast.get_docstring(parse(path))],
    )


def test_repo_public_things_have_docstrings() -> None:
    report(
        "every public class, function and method has a docstring",
        "say meaning, units and errors in a line, or make the name private",
        [
            f"{place(path, node)} {name}"
            for path in sources()
            for name, node in public(parse(path))
            if not ast.get_docstring(node)
        ],
    )


def test_repo_functions_are_short() -> None:
    report(
        f"a function has at most {FUNCTION_LINES} lines",
        "name its parts: one helper per sentence of the docstring",
        [
            f"{place(path, node)} {node.name}: {node.end_lineno - node.lineno + 1} lines"
            for path in sources()
            for node in ast.walk(parse(path))
            if isinstance(node, Function)
            and node.end_lineno is not None
            and node.end_lineno - node.lineno >= FUNCTION_LINES
        ],
    )


def test_repo_files_are_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    report(
        f"a file has at most {FILE_LINES} lines",
        "split it by what it knows about, and let the head say which file knows the rest",
        [
            f"{place(path)}: {length} lines"
            for path, length in lengths.items()
            if length > FILE_LINES
        ],
    )


def test_repo_waiting_stays_in_its_place() -> None:
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    found = []
    for path in under(*NO_ASYNC):
        tree = parse(path)
        if str(path.relative_to(ROOT)) not in COROUTINES:
            found += [
                f"{place(path, node)} waits" for node in ast.walk(tree) if isinstance(node, waits)
            ]
        found += [
            f"{place(path, node)} imports {name}" for node, name in imports(tree) if name == "trio"
        ]
    report(
        "only the runtime, the command line, applications and protocols of qnet.coroutine wait",
        "return an effect and take the result as an input; a timer is next_deadline(); or list it as a coroutine",
        found,
    )


def test_repo_machines_do_no_io() -> None:
    report(
        "machines, sheets and formulas use no clock, randomness, file, socket or log",
        "take it as an argument: `now`, a uniform number, an input; the driver writes the trace",
        [
            f"{place(path, node)} imports {name}"
            for path in under(*SANS_IO)
            for node, name in imports(parse(path))
            if name in IO_MODULES
        ],
    )


def test_repo_one_module_imports_qutip() -> None:
    report(
        f"qutip is imported in {QUTIP_MODULE} only",
        "add the operation to qnet.world.engine.Engine and do it there",
        [
            place(path, node)
            for path in sources()
            if str(path.relative_to(ROOT)) not in QUTIP_ALLOWED
            for node, name in imports(parse(path))
            if name == "qutip"
        ],
    )


def test_repo_nothing_is_left_to_do() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "X" + "XX")
    report(
        "no open ends in committed code",
        "do it, or say under 'Not modelled' that it is not done",
        [
            f"{place(path)}:{number} {line.strip()}"
            for path in sources()
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if any(mark in line for mark in marks)
        ],
    )


def named_quantities(tree: ast.Module) -> Iterator[tuple[ast.AST, str, str]]:
    """Parameters and annotated fields of public things: node, name, annotation."""
    for _, node in public(tree):
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield field, field.target.id, ast.unparse(field.annotation)
        else:
            arguments = node.args
            for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                yield one, one.arg, ast.unparse(one.annotation) if one.annotation else ""


def test_repo_names_carry_units() -> None:
    found = []
    for path in sources():
        for node, name, annotation in named_quantities(parse(path)):
            if name.startswith("_") or name.rpartition("_")[2] not in BARE_WORDS:
                continue
            if any(unit in annotation for unit in UNIT_TYPES):
                continue
            if (str(path.relative_to(ROOT)), name) not in BARE_ALLOWED:
                found.append(f"{place(path, node)} {name}: {annotation}")
    report(
        "a quantity's name ends with its unit",
        "length -> length_m, time -> time_s or a Duration; docs/units.md lists the suffixes",
        found,
    )


HOST_IMPORTS = """
import sys
import qnet.runtime.host_process, qnet.runtime.zygote
from qnet.plugins import catalogue
broken = [entry for entry in catalogue() if entry.status != "ok" and entry.package == "qnet-stack"]
print(*(f"{entry.group} {entry.name}: {entry.error}" for entry in broken), sep="\\n")
print(*({"numpy", "qutip", "scipy", "matplotlib"} & set(sys.modules)), sep="\\n")
"""


def test_repo_node_processes_stay_small() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOST_IMPORTS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    report(
        "a node's process with every built-in plug-in loaded imports no array library",
        "use math and cmath, or move the computation to the world",
        done.stdout.split(),
    )


BAD = {
    test_repo_modules_have_heads: "x = 1\n",
    test_repo_public_things_have_docstrings: "def f() -> None:\n    pass\n",
    test_repo_functions_are_short: "def f() -> None:\n" + "    pass\n" * FUNCTION_LINES,
    test_repo_files_are_short: "x = 1\n" * (FILE_LINES + 1),
    test_repo_waiting_stays_in_its_place: "async def f() -> None:\n    pass\n",
    test_repo_machines_do_no_io: "def f() -> None:\n    import time\n",
    test_repo_one_module_imports_qutip: "from qutip import Qobj\n",
    test_repo_nothing_is_left_to_do: "x = 1  # TO" + "DO\n",
    test_repo_names_carry_units: "def reach(length: float) -> float:\n    return length\n",
}


@pytest.mark.parametrize("rule", BAD, ids=lambda rule: rule.__name__)
def test_repo_rules_can_fail(
    rule: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A rule that cannot fail is no rule: the bad file is found, and the fix is printed."""
    bad = tmp_path / "qnet/physics/bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text(BAD[rule])
    monkeypatch.setitem(rule.__globals__, "ROOT", tmp_path)
    monkeypatch.setitem(rule.__globals__, "sources", lambda: [bad])
    with pytest.raises(pytest.fail.Exception, match="fix: "):
        rule()
