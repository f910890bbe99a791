"""Numbers of refusals, so that an error crosses processes as a number and never as an object."""

from __future__ import annotations

import enum


class Refusal(enum.IntEnum):
    """Why bytes, an envelope or a command were refused. 1-999 core, 1000 and above plug-ins."""

    OVERSIZE = 101
    """The length prefix announces more than the limit of the connection."""
    EMPTY = 102
    """The length prefix announces no bytes at all."""
    NOT_A_FRAME = 103
    """The bytes are not one msgpack map with the fields of a frame."""
    VERSION = 104
    """Another version of the wire format."""
    UNKNOWN_KIND = 105
    """No message of that kind is known, or it is not legal on this connection or in this phase."""
    BAD_BODY = 106
    """The body is not a record of its kind."""
    WRONG_SOURCE = 107
    """The frame speaks in the name of somebody else."""
    WRONG_TARGET = 108
    """The frame is meant for somebody else."""
    SEQUENCE = 109
    """The per-channel sequence number repeats or leaves a gap."""
    TIME = 110
    """The instant lies before the present one, or an answer names an instant that was not granted."""
    TRUNCATED = 111
    """The connection ended inside a frame."""

    UNKNOWN_SLOT = 201
    SLOT_BUSY = 202
    TIME_REVERSED = 203
    STATE_TOO_LARGE = 204
    ENGINE_UNSUPPORTED = 205
    ILLEGAL_PROGRAM = 206
    UNKNOWN_LINK = 207
    """The node is not at an end of the link that it names."""
    ATTEMPT_RUNNING = 208
    """The node already attempts on that link."""
