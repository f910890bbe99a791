"""Parameters of the link protocol one-by-one, which a topology sets, and its fixed numbers."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

MEAN_TIMES: Final = 20
"""An honest herald takes longer than this many mean times with probability e^-20."""

KNOCKS: Final = 10
"""How often an end knocks before it waits in silence; each time after twice the wait before."""

REMEMBERED: Final = 1024
"""Requests that are over whose ids must not be used again."""


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of ``one-by-one``.

    Attributes:
        queue: requests of both ends that the link keeps at a time; more are refused with NORES.
    """

    queue: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 16
