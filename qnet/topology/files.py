"""Reading a topology file, adding the faults of another and applying ``--set KEY=VALUE``."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qnet.errors import ConfigError
from qnet.plan import RunPlan
from qnet.topology.check import NAME, At, nearest, table
from qnet.topology.compile import compile_topology
from qnet.topology.roles import choose_app


def load(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    app: str | None = None,
    seed: int | None = None,
    faults: str | Path | None = None,
) -> RunPlan:
    """Read a topology file and compile it.

    Args:
        path: TOML file, see :mod:`qnet.topology`.
        overrides: texts KEY=VALUE. A key without a dot is a parameter of the application, one with
            dots is a key of the topology. The value is a TOML value; what is not one is a text.
        app: run this application instead of the described one.
        seed: use this seed instead of the described one.
        faults: TOML file with tables ``[faults.NAME]`` that are added to the described ones.

    Raises:
        ConfigError: the file or an override is wrong, with place, constraint and value.
        PluginError: a plug-in that the file names is installed but broken.
    """
    file = str(path)
    data = read(path)
    if app is not None:
        described = data.get("app")
        data["app"] = choose_app(described if isinstance(described, dict) else {}, app, At("--app"))
    blamed = {} if faults is None else _add_faults(data, faults, file)
    for override in overrides:
        blamed[_apply(data, override)] = f"--set {override}"
    if seed is not None:
        blamed[_apply(data, f"run.seed={seed}")] = f"--set run.seed={seed}"
    try:
        return compile_topology(data, file, default_name=_default_name(path))
    except ConfigError as error:
        raise _blame(error, blamed) from None


def _add_faults(data: dict[str, Any], faults: str | Path, file: str) -> dict[str, str]:
    """Put the faults of a file into the tables; returns whom to blame for each key: the file."""
    at = At(str(faults))
    added = read(faults)
    for key in added:
        if key != "faults":
            raise at.key(key).error("a file of faults must hold tables [faults.NAME] only")
    tables = table(added.get("faults", {}), at.key("faults"))
    described = table(data.setdefault("faults", {}), At(file, "faults"))
    for name, fault in tables.items():
        if name in described:
            raise at.key("faults").key(name).error("must have another name than a described fault")
        described[name] = fault
    return {At("", "faults").key(name).path: at.file for name in tables}


def _blame(error: ConfigError, blamed: dict[str, str]) -> ConfigError:
    """``error``, said of the option or file that brought the wrong value; the last one won."""
    for key, giver in reversed(blamed.items()):
        if error.path == key or error.path.startswith((f"{key}.", f"{key}[")):
            path = "" if giver.startswith("--set ") else error.path
            return ConfigError(
                error.constraint, file=giver, path=path, value=error.value, hint=error.hint
            )
    return error


def read(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file."""
    file = str(path)
    try:
        text = Path(path).read_bytes().decode()
        return tomllib.loads(text)
    except OSError as failure:
        raise ConfigError(f"cannot be read: {failure.strerror}", file=file) from failure
    except UnicodeDecodeError as failure:
        raise ConfigError(
            f"must be UTF-8 text, byte {failure.start} is not", file=file
        ) from failure
    except tomllib.TOMLDecodeError as failure:
        raise ConfigError(f"must be valid TOML: {failure}", file=file) from failure
    except RecursionError as failure:
        raise ConfigError("must not nest values this deeply", file=file) from failure
    except ValueError as failure:
        raise ConfigError(f"cannot be read: {failure}", file=file) from failure


def _apply(data: dict[str, Any], override: str) -> str:
    """Put one override into the tables; returns the path of its key."""
    at = At(f"--set {override}")
    key, equals, text = override.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(NAME.fullmatch(part) for part in path):
        raise at.error("must be KEY=VALUE, with a key like pairs or nodes.alice.t2_s")
    if len(path) == 1:
        path = ["app", *path]
    inner = data
    for depth, part in enumerate(path[:-1]):
        if depth == 1 and path[0] in ("nodes", "links") and part not in inner:
            raise at.error(f"must name one of the {path[0]}", part, nearest(part, inner))
        inner = table(inner.setdefault(part, {}), at)
    inner[path[-1]] = _value(text)
    return ".".join(path)


def _value(text: str) -> Any:
    """A TOML value, or the text itself if it is not one."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _default_name(path: str | Path) -> str:
    """The file's name without its ending, as far as a network can be named so."""
    return "".join(char if NAME.fullmatch(char) else "-" for char in Path(path).stem)[:64]
