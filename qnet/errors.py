"""Exceptions of qnet, arranged by whose doing they are.

Nature's failures are not here: no herald, a refused request or a full memory are *events*. An exception
says that a description, a peer, a program or a process did something that it must not do. Every message
reads: what must obey which constraint, got what, and where.
"""

from __future__ import annotations


class QnetError(Exception):
    """Base of every error that a user of qnet may want to catch. Never raised itself."""


class ConfigError(QnetError):
    """The description of a network or a command line is wrong; nothing was started.

    The author of the file can mend it: the message names file, key path, constraint and value.
    """

    def __init__(
        self,
        constraint: str,
        *,
        file: str = "",
        path: str = "",
        value: object = None,
        hint: str = "",
    ) -> None:
        self.constraint = constraint
        self.file = file
        self.path = path
        self.value = value
        self.hint = hint
        where = ": ".join(part for part in (file, path) if part)
        got = "" if value is None else f", got {value!r}"
        text = f"{where}: {constraint}{got}" if where else f"{constraint}{got}"
        super().__init__(f"{text}. {hint}" if hint else text)


class WireError(QnetError):
    """Bytes or an envelope were not understood; the connection that brought them is closed.

    Args:
        reason: which rule was broken.
        code: number of the rule, one of :class:`qnet.wire.codes.Refusal`.
        peer: who sent the bytes, where known.
        where: offset, kind or field path.
    """

    def __init__(self, reason: str, *, code: int, peer: str = "", where: str = "") -> None:
        self.reason = reason
        self.code = code
        self.peer = peer
        self.where = where
        text = reason if not where else f"{reason} (at {where})"
        super().__init__(f"{peer}: {text}" if peer else text)


class ProtocolError(QnetError):
    """A rule of a protocol was broken. Raised as one of its two children."""


class LocalProtocolError(ProtocolError):
    """Our own caller asked for something that is illegal in this state."""


class RemoteProtocolError(ProtocolError):
    """A peer sent something impossible; names peer, message, state and instant."""


class BackendError(QnetError):
    """The world refused a quantum command.

    Args:
        text: constraint and value.
        code: number from :class:`qnet.wire.codes.Refusal`.
        op: operation id of the refused command.
        definite: True when the command certainly had no effect.
    """

    code = 0
    definite = True

    def __init__(self, text: str, *, op: str = "") -> None:
        self.op = op
        super().__init__(f"{text} (operation {op})" if op else text)


class UnknownSlot(BackendError):
    """The node does not hold the slot that the command names."""

    code = 201


class SlotBusy(BackendError):
    """The slot takes part in an attempt or in a program that has not ended."""

    code = 202


class TimeReversed(BackendError):
    """The command would act on a qubit before the instant up to which it has evolved."""

    code = 203


class StateTooLarge(BackendError):
    """A joint gate would make an entangled cluster larger than the cap."""

    code = 204


class EngineUnsupported(BackendError):
    """The engine in use cannot represent the state or the operation."""

    code = 205


class IllegalProgram(BackendError):
    """The program names an unknown gate, a wrong number of slots or a later outcome."""

    code = 206


class RuntimeFault(QnetError):
    """A process, a connection or the clock of the run failed."""


class NodeLost(RuntimeFault):
    """A host ended, was killed, stopped or closed its connection before the run was over."""


class ClockStalled(RuntimeFault):
    """Nothing is due, yet work is outstanding (a virtual deadlock), or an instant never ends."""


class RunInterrupted(RuntimeFault):
    """The person at the terminal or the launcher's end stopped the run; partial results are kept."""


class PluginError(QnetError):
    """A plug-in is unknown, cannot be loaded or does not keep to its interface."""


class QnetInternalError(Exception):
    """A bug in qnet itself. Deliberately outside :class:`QnetError`: nobody should catch it by habit."""
