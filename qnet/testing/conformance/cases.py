"""The modules that register cases; importing this one registers them all."""

from __future__ import annotations

from typing import Final

from qnet.testing.conformance import (
    link_kinds,
    link_pairs,
    link_peers,
    link_random,
    link_requests,
    network_circuits,
    network_rows,
    physical_machines,
    physical_outcomes,
    platform_sheets,
    purify_pairs,
    service_peers,
    service_requests,
)
from qnet.testing.conformance.wire import host_cases, link_cases, world_cases

MODULES: Final = (
    link_random,
    link_requests,
    link_pairs,
    link_kinds,
    link_peers,
    service_requests,
    service_peers,
    purify_pairs,
    network_rows,
    network_circuits,
    physical_outcomes,
    physical_machines,
    platform_sheets,
    host_cases,
    link_cases,
    world_cases,
)
