"""Which kinds of message a run knows, and how their bodies are decoded.

A catalogue is built from the message types that the plug-ins of a run list; nothing registers itself on
import. Kinds read ``layer.protocol/message@version``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from qnet.errors import PluginError, WireError
from qnet.machine import Message
from qnet.wire.codes import Refusal
from qnet.wire.frame import decode_body

_KIND = re.compile(r"[a-z0-9_]+\.[a-z0-9_-]+/[a-z0-9_]+@[0-9]+")


class Catalogue:
    """Kind -> record type, with one decoder each."""

    def __init__(self) -> None:
        self._types: dict[str, type[Message]] = {}
        self._layers: dict[str, str] = {}
        self._decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {}

    def add(self, layer: str, messages: Iterable[type[Message]]) -> None:
        """Make ``messages`` known; they are handed to machines of ``layer``.

        Raises:
            PluginError: a kind is malformed or means two different records.
        """
        for message in messages:
            kind = message.kind
            if not _KIND.fullmatch(kind):
                raise PluginError(
                    f"message kind must read layer.protocol/message@version, got {kind!r} "
                    f"({message.__module__}.{message.__qualname__})"
                )
            known = self._types.setdefault(kind, message)
            if known is not message:
                raise PluginError(
                    f"message kind {kind!r} must mean one record, got {known.__module__}.{known.__qualname__} "
                    f"and {message.__module__}.{message.__qualname__}"
                )
            self._layers[kind] = layer
            self._decoders[kind] = msgspec.msgpack.Decoder(message)

    def kinds(self) -> list[str]:
        """All kinds in order."""
        return sorted(self._types)

    def type_of(self, kind: str) -> type[Message]:
        """The record type of a known kind."""
        return self._types[kind]

    def layer_of(self, kind: str) -> str:
        """Which machines get messages of ``kind``: "physical", "link" or "app".

        Raises:
            WireError: nobody in this run knows the kind.
        """
        try:
            return self._layers[kind]
        except KeyError:
            raise WireError(
                f"message kind must be one of this run's {len(self._types)} kinds, got {kind!r}",
                code=Refusal.UNKNOWN_KIND,
            ) from None

    def decode(self, kind: str, body: bytes | msgspec.Raw, *, peer: str = "") -> Message:
        """The message of a body.

        Raises:
            WireError: unknown kind, or the body is not a record of it.
        """
        decoder = self._decoders.get(kind)
        if decoder is None:
            self.layer_of(kind)
            raise AssertionError(kind)
        return decode_body(body, decoder, kind=kind, peer=peer)  # type: ignore[no-any-return]

    def knows(self, message: Message) -> bool:
        """Whether this exact type was listed."""
        return self._types.get(message.kind) is type(message)
