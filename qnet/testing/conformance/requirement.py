"""Numbered requirements: the register that prose, cases and reports are made from.

Theory
    Every normative sentence has an identifier ``QN-LAYER-SECTION-NUMBER`` before any case is
    written, so that coverage is a query. The register of a layer is a TOML file in the package.
Sources
    Practice of numbered sentences in the Reactive Streams TCK and the MQTT conformance statements.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal

import msgspec

Layer = Literal["link", "wire", "purify", "network", "physical", "platform"]
LAYERS: Final[tuple[Layer, ...]] = ("link", "wire", "purify", "network", "physical", "platform")

Level = Literal["MUST", "SHOULD", "MAY"]
Role = Literal["origin", "peer", "host", "world", "end", "station", "both"]
Testability = Literal["tested", "statistical", "not testable"]
Identifier = Annotated[str, msgspec.Meta(pattern=r"^QN-[A-Z]+-\d+\.\d+-\d+$")]


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One normative sentence.

    Attributes:
        id: ``QN-LINK-4.1-3``.
        level: how binding it is.
        role: of which of the two sides of its register.
        testability: whether a case can decide it.
        text: the sentence.
        why: why no case can decide it; empty otherwise.
        needs: optional features it is about; it applies where the target offers one of them.
    """

    id: Identifier
    level: Level
    role: Role
    testability: Testability
    text: str
    why: str = ""
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.testability == "not testable") != bool(self.why):
            raise ValueError(f"{self.id} must say why exactly if it is not testable")

    @property
    def section(self) -> str:
        """Number of its section, like "4.1"."""
        return self.id.split("-")[2]


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The requirements of one layer.

    Attributes:
        layer: its name.
        version: of the specification.
        title, head: of the prose page.
        sections: number -> title.
        requirement: in order.
        roles: the two sides that a requirement can be about.
    """

    layer: str
    version: str
    title: str
    head: str
    sections: dict[str, str]
    requirement: tuple[Requirement, ...]
    roles: tuple[Role, Role] = ("origin", "peer")

    def __post_init__(self) -> None:
        ids = [one.id for one in self.requirement]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise ValueError(f"identifiers must be unique, got {', '.join(twice)} twice")
        lost = sorted({one.section for one in self.requirement} - set(self.sections))
        if lost:
            raise ValueError(f"sections must have titles, {', '.join(lost)} have none")

    def get(self, identifier: str) -> Requirement | None:
        """The requirement of that id."""
        return next((one for one in self.requirement if one.id == identifier), None)


@cache
def register(layer: Layer) -> Register:
    """The register of ``layer``, read from the package."""
    text = files(__package__).joinpath("requirements", f"{layer}.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Register)


def prose(layer: Layer) -> str:
    """The register as a page of Markdown."""
    book = register(layer)
    parts = [f"# {book.title}, version {book.version}\n", book.head.strip() + "\n"]
    parts.append(
        "*Tested* requirements have cases in `qnet conformance`; *statistical* ones are decided by "
        "a test with a stated error; what is not testable says why.\n"
    )
    for number, title in book.sections.items():
        parts.append(f"## {number} {title}\n")
        parts += [_paragraph(one) for one in book.requirement if one.section == number]
    return "\n".join(parts)


def _paragraph(one: Requirement) -> str:
    why = f" ({one.why})" if one.why else ""
    layer = one.id.split("-")[1].lower()
    who = {"purify": "purification"}.get(layer, layer)
    where = f", where the {who} offers {' or '.join(one.needs)}" if one.needs else ""
    return f"**{one.id}** ({one.level}, {one.role}{where}). {one.text} *{one.testability}*{why}.\n"
