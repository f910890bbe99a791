"""``qnet new``: writes an installable package with one working plug-in, its topology and its tests.

Theory
    The files below :mod:`qnet.templates` are texts in which ``$name`` and a few more words are replaced;
    the package is complete as it stands: it installs, passes ruff, mypy and its own tests, and its topology
    runs. A plug-in NAME lives in the distribution ``qnet-NAME`` and the import package ``qnet_NAME``, so
    that no plug-in takes a name in everybody's environment that is not its own.
Not modelled
    A quantum engine: the smallest one that can be tested is not small. Changing a package that exists: a
    folder that is there already is refused, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Final, Literal, NamedTuple

from qnet.cli.progress import console
from qnet.errors import ConfigError
from qnet.plugins import WORDS, Group, names

Kind = Literal[
    "platform",
    "station",
    "heralding",
    "link",
    "scheduler",
    "purification",
    "network",
    "routing",
    "app",
    "transport",
]
"""What ``qnet new`` can write."""

GROUPS: Final[Mapping[Kind, Group]] = {
    "platform": "qnet.platforms",
    "station": "qnet.stations",
    "heralding": "qnet.heralding",
    "link": "qnet.links",
    "scheduler": "qnet.schedulers",
    "purification": "qnet.purification",
    "network": "qnet.networks",
    "routing": "qnet.routing",
    "app": "qnet.apps",
    "transport": "qnet.transports",
}
"""Entry-point group of each kind."""

RECORDS: Final[Mapping[Kind, str]] = {
    "platform": "sheet:SHEET",
    "station": "sheet:SHEET",
    "heralding": "scheme:SCHEME",
    "link": "protocol:PROTOCOL",
    "scheduler": "order:SCHEDULER",
    "purification": "protocol:PROTOCOL",
    "network": "protocol:PROTOCOL",
    "routing": "paths:ROUTING",
    "app": "app:APP",
    "transport": "sockets:TRANSPORT",
}
"""Module in the package, and the catalogue record in it, of each kind."""

Style = Literal["machine", "async"]
"""How a protocol is written: as a machine, or as a coroutine (:mod:`qnet.coroutine`)."""

IN_BOTH_STYLES: Final[frozenset[Kind]] = frozenset(["link"])
"""Kinds that there is a coroutine of; its files, in the folder KIND_async, win over those of KIND."""

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST: Final = 32
SUFFIX: Final = ".tmpl"
MODULE: Final = "MODULE"
"""In paths of templates: the import package."""


class Package(NamedTuple):
    """What is written.

    Attributes:
        folder: where.
        files: paths in it, sorted.
    """

    folder: Path
    files: tuple[str, ...]


def new_package(kind: Kind, name: str, out: Path, style: Style = "machine") -> Package:
    """Write the package of a plug-in.

    Args:
        kind: of the plug-in.
        name: of the plug-in.
        out: folder in which the package's folder is made.
        style: of the protocol.

    Raises:
        ConfigError: the name or the style cannot be used, or the folder is there or cannot be written.
    """
    if style == "async" and kind not in IN_BOTH_STYLES:
        known = ", ".join(sorted(IN_BOTH_STYLES))
        raise ConfigError(f"must be machine but for {known}", path="--style", value=style)
    words = checked(kind, name)
    folder = out / words["package"]
    if folder.exists():
        raise ConfigError("must not exist yet", path="--out", value=str(folder))
    texts = dict(rendered(kind, words, style))
    try:
        for path, text in texts.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as failure:
        raise ConfigError(
            f"must be a folder that can be written ({failure.strerror})",
            path="--out",
            value=str(out),
        ) from failure
    return Package(folder, tuple(sorted(texts)))


def checked(kind: Kind, name: str) -> dict[str, str]:
    """What the words of the templates stand for.

    Raises:
        ConfigError: no distribution, import package or plug-in can have that name, or one has it already.
    """
    words = {
        "name": name,
        "kind": kind,
        "word": WORDS[GROUPS[kind]],
        "group": GROUPS[kind],
        "record": RECORDS[kind],
        "package": f"qnet-{name}",
        "module": f"qnet_{name.replace('-', '_')}",
    }
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise ConfigError(
            f"must be lower-case letters, digits and single hyphens, beginning with a letter, at most "
            f"{LONGEST} characters",
            path="NAME",
            value=name,
        )
    if name in names(GROUPS[kind]):
        raise ConfigError(
            f"must not be the name of an installed {words['word']}",
            path="NAME",
            value=name,
            hint=f"qnet plugins show {name} says which package gives it",
        )
    if _installed(words["package"]) or find_spec(words["module"]) is not None:
        raise ConfigError(
            f"must not lead to a package that is installed, {words['package']} is",
            path="NAME",
            value=name,
        )
    return words


def rendered(
    kind: Kind, words: Mapping[str, str], style: Style = "machine"
) -> Iterator[tuple[str, str]]:
    """Path and text of each file."""
    root = resources.files("qnet.templates")
    own = dict(_templates(root / kind))
    if style == "async":
        own |= dict(_templates(root / f"{kind}_async"))
    yield f"src/{words['module']}/py.typed", ""
    for path, template in {**dict(_templates(root / "common")), **own}.items():
        text = Template(template.read_text(encoding="utf-8")).substitute(words)
        yield path.replace(MODULE, words["module"]).removesuffix(SUFFIX), text


def _templates(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        path = prefix + entry.name
        if entry.is_dir():
            yield from _templates(entry, f"{path}/")
        elif path.endswith(SUFFIX):
            yield path, entry


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def show_package(package: Package) -> None:
    """Say what was written and what to do next."""
    out = console()
    out.print(f"written: {package.folder}", highlight=False, soft_wrap=True)
    for path in package.files:
        out.print(f"  {path}", highlight=False, soft_wrap=True)
    out.print(
        f"next: pip install --editable {package.folder}, then read {package.folder / 'README.md'}",
        highlight=False,
        soft_wrap=True,
    )
