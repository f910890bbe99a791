"""The modules that register cases; importing this one registers them all."""

from __future__ import annotations

from typing import Final

from qnet.testing.conformance import (
    link_kinds,
    link_pairs,
    link_peers,
    link_random,
    link_requests,
)

MODULES: Final = (link_random, link_requests, link_pairs, link_kinds, link_peers)
