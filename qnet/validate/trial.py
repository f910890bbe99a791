"""Networks of a case: compiled for the closed form of a link, run in this process for the rest.

The closed form of a link is its estimate, as ``qnet check`` shows it (:mod:`qnet.topology.estimate`). What
applications print is not wanted here and goes to standard error.
"""

from __future__ import annotations

import math
import sys
import tomllib
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import lru_cache

from qnet.errors import RuntimeFault
from qnet.plan import Estimate, RunPlan
from qnet.topology import compile_topology
from qnet.validate.case import Case, Reading, Summary


@lru_cache(maxsize=64)
def plan_of(topology: str) -> RunPlan:
    """The plan of a topology given as TOML text."""
    return compile_topology(tomllib.loads(topology))


def estimate_of(topology: str) -> Estimate:
    """The prediction for the only link of a topology."""
    (link,) = plan_of(topology).links
    return link.estimate


def read_case(case: Case) -> Mapping[str, Reading]:
    """Run the networks of a case, one after the other, and read off what they found.

    Raises:
        RuntimeFault: a run did not come to its end.
    """
    if case.read is None or case.networks is None:
        return {}
    return case.read([_summary(case, topology) for topology in case.networks()])


def _summary(case: Case, topology: str) -> Summary:
    from qnet.runtime.run import RunOptions, run  # imports numpy and qutip when it runs

    with redirect_stdout(sys.stderr):
        outcome = run(plan_of(topology), RunOptions("embedded"))
    if outcome.status != "done":
        raise RuntimeFault(f"case {case.name}: the run of its network failed: {outcome.fault}")
    return outcome.summary


def rate(summary: Summary) -> Reading:
    """Delivered pairs per second of the only flow; n exponential waits have a relative error 1/sqrt(n)."""
    (flow,) = summary["requests"]
    return Reading(flow["rate_hz"], flow["rate_hz"] / math.sqrt(flow["delivered"]))


def fidelity(summary: Summary) -> Reading:
    """Mean true fidelity at delivery of the only flow."""
    (flow,) = summary["requests"]
    return Reading(flow["fidelity"]["mean"], flow["fidelity"]["stderr"])
