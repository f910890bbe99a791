"""What needs the whole stack: a repeater node, requested fidelities, orders of service (rows 10, 16, 24).

Theory
    Two links that wait for each other need 2 (3 - 2p)/(2 p (2 - p)) slots per joined pair, two that must
    succeed in the same slot need 1/p^2 (:mod:`qnet.physics.cutoff`). A link layer that lets the bright share
    alpha of single click be the largest for which its estimate reaches the requested fidelity delivers no pair
    below it. Strict priority (weight 0) for requests that the network layer makes shortens their wait and
    lengthens that of the others.
Assumptions and validity
    The experiments published an order or a bound, not a figure of ours: a ratio >= 1 or a margin >= 0 is
    what is tested.
Not modelled
    Named check by check.
Units
    SI; ratios.
Sources
    In each case.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from qnet.physics.cutoff import mean_slots
from qnet.units import seconds
from qnet.validate.case import Case, Check, Given, Published, Reading, Source, Summary
from qnet.validate.trial import estimate_of, fidelity, plan_of, rate

# ---------------------------------------------------------------- row 10

_SUCCESS, _FIBRE_M, _LOSS_DB_PER_KM, _JOINED = 0.01, 25_000.0, 0.2, 600
_EMITTED = math.sqrt(2.0 * _SUCCESS) * 10.0 ** (_LOSS_DB_PER_KM * _FIBRE_M / 2e4)


def memory_gain(success_prob: float) -> float:
    """Rate of two links that wait for each other, over that of two that must succeed at once."""
    return 1.0 / (success_prob**2 * mean_slots(success_prob))


def _repeater() -> str:
    nodes = "".join(
        f'[nodes.{name}]\nplatform = "ideal"\nemission.efficiency_prob = {_EMITTED}\n'
        for name in ("alice", "bob", "middle")
    )
    links = "".join(
        f'[nodes.s-{name}]\nkind = "station"\n[links.{name}-middle]\nends = ["{name}", "middle"]\n'
        f'station = "s-{name}"\nlength_m = {_FIBRE_M / 2}\nloss_db_per_km = {_LOSS_DB_PER_KM}\n'
        for name in ("alice", "bob")
    )
    tail = f'[network.parameters]\ncutoff = "off"\n[app]\nname = "deliver"\npairs = {_JOINED}\n'
    return nodes + links + tail + "[run]\nseed = 10\n"


REPEATER: Final = _repeater()


def _repeater_found(summaries: Sequence[Summary]) -> Mapping[str, Reading]:
    (summary,) = summaries
    link = plan_of(REPEATER).links[0].estimate
    at_once_hz = link.success_prob**2 / seconds(link.cycle)
    found = rate(summary)
    return {"gain of memory": Reading(found.value / at_once_hz, found.stderr / at_once_hz)}


KRUTYANSKIY: Final = Case(
    name="krutyanskiy-2023",
    title="repeater node of two calcium ions, 2 x 25 km",
    row=10,
    source=Source(
        "Krutyanskiy et al., Phys. Rev. Lett. 130, 213601 (2023)",
        "10.1103/PhysRevLett.130.213601",
        "2210.05418",
    ),
    given=(
        Given("success probability", _SUCCESS, "", "assumed", "per attempt; the order holds for any"),
        Given("fibre", _FIBRE_M, "m", "found", "of each link, station in its middle (ours)"),
        Given("memory", "no decay", "", "assumed", "62 ms published: rates do not depend on it"),
    ),
    checks=(
        Check(
            "gain of memory", "P",
            Published(1.0, confidence="memory", at_least=True, words="beats simultaneous success"),
            0.0, "1/(p^2 mean slots), A6.4", lambda: memory_gain(_SUCCESS),
            ("ions emit in turn through one cavity: half the attempts each",
             "limit on attempts before the memory has dephased"),
            must_hold=(1.0, math.inf),
            run_adds="light time of the swap's outcome, set-up of the circuit",
            run_margin=0.05 * memory_gain(_SUCCESS),
        ),
    ),
    networks=lambda: (REPEATER,),
    read=_repeater_found,
)  # fmt: skip

# ---------------------------------------------------------------- row 16

CLASSES: Final = (0.5, 0.6, 0.7, 0.8)
_NV_ETA, _NV_VISIBILITY, _NV_DARK_PROB, _CLASS_PAIRS = 5.1e-4, 0.9, 1.5e-7, 150
_ALPHA_STEP = 0.02
MARGIN: Final = "least fidelity beyond the request"


def single_click(bright_prob: float, requested: float) -> str:
    """Two NV centres whose link runs with this bright share, and a request for this fidelity."""
    node = (
        f'platform = "ideal"\nt2_s = 0.5\nemission.wavelength_m = 637e-9\n'
        f"emission.efficiency_prob = {_NV_ETA}\nemission.interval_s = 5.5e-6\n"
    )
    return f"""
[nodes.alice]
{node}
[nodes.bob]
{node}
[nodes.station]
kind = "station"
dark_rate_hz = {_NV_DARK_PROB / 15e-9}
window_s = 15e-9
[links.alice-bob]
ends = ["alice", "bob"]
station = "station"
length_m = 1.0
loss_db_per_km = 0.0
scheme = "single-click"
visibility = {_NV_VISIBILITY}
scheme_parameters = {{ bright_a_prob = {bright_prob}, bright_b_prob = {bright_prob} }}
[app]
name = "deliver"
pairs = {_CLASS_PAIRS}
minimum_fidelity = {requested}
[run]
seed = 16
"""


@lru_cache(maxsize=16)
def network_for(requested: float) -> str:
    """The network with the largest bright share whose estimate reaches the request, on a grid of 0.02."""
    for step in range(round(0.5 / _ALPHA_STEP), 0, -1):
        topology = single_click(round(step * _ALPHA_STEP, 6), requested)
        if estimate_of(topology).goodness >= requested:
            return topology
    raise ValueError(f"no bright share reaches a fidelity of {requested}")


def _margin_predicted() -> float:
    return min(estimate_of(network_for(wanted)).goodness - wanted for wanted in CLASSES)


def _margin_found(summaries: Sequence[Summary]) -> Mapping[str, Reading]:
    margins = []
    for summary, wanted in zip(summaries, CLASSES, strict=True):
        (flow,) = summary["requests"]
        margins.append((flow["fidelity"]["min"] - wanted, fidelity(summary).stderr))
    return {MARGIN: Reading(*min(margins))}


POMPILI: Final = Case(
    name="pompili-2022",
    title="link layer on two diamond nodes: requested fidelities are met",
    row=16,
    source=Source(
        "Pompili et al., npj Quantum Inf. 8, 121 (2022)", "10.1038/s41534-022-00631-2", "2111.11332"
    ),
    given=(
        Given("requested", "0.5, 0.6, 0.7, 0.8", "", "memory", "classes"),
        Given("efficiency", _NV_ETA, "", "found", "zero-phonon line, published simulation set-up"),
        Given("visibility", _NV_VISIBILITY, "", "found", "published simulation set-up"),
        Given("dark counts", _NV_DARK_PROB, "", "found", "per window, published simulation set-up"),
        Given("attempt interval", 5.5e-6, "s", "memory"),
        Given("T2", 0.5, "s", "found", "electron, published simulation set-up"),
    ),
    checks=(
        Check(
            MARGIN, "P",
            Published(0.0, confidence="memory", at_least=True, words="met in every class"), 0.0,
            "A4.1, alpha the largest on a grid of 0.02 with F(alpha) >= request",
            _margin_predicted,
            ("drift of the optical phase", "charge-resonance checks between batches of attempts"),
            must_hold=(0.0, 1.0),
        ),
    ),
    networks=lambda: tuple(network_for(wanted) for wanted in CLASSES),
    read=_margin_found,
)  # fmt: skip

# ---------------------------------------------------------------- row 24

SCHEDULERS: Final = ("fifo", "wfq")
SEEDS: Final = (241, 242, 243, 244)
_WEIGHTS = "[0.0, 10.0, 1.0]"
_PAIR_RATE_HZ, _PAIR_SUCCESS = 10.0, 0.01


def _loaded(scheduler: str, seed: int) -> str:
    weights = f", weights = {_WEIGHTS}" if scheduler == "wfq" else ""
    node = (
        f'platform = "ideal"\nemission.efficiency_prob = {math.sqrt(2.0 * _PAIR_SUCCESS)}\n'
        f"emission.interval_s = {_PAIR_SUCCESS / _PAIR_RATE_HZ}"
    )
    return f"""
[nodes.alice]
{node}
[nodes.bob]
{node}
[nodes.station]
kind = "station"
[links.alice-bob]
ends = ["alice", "bob"]
station = "station"
length_m = 1.0
loss_db_per_km = 0.0
protocol_parameters = {{ scheduler = "{scheduler}"{weights} }}
[app]
name = "load"
flows = ["alice>bob", "alice>bob", "alice>bob"]
priorities = [0, 1, 2]
pairs = [1, 3, 10]
rates_hz = [1.0, 1.0, 0.4]
duration_s = 100.0
[run]
seed = {seed}
"""


def _ratio(over: Sequence[float], under: Sequence[float]) -> Reading:
    """Mean over seeds of the ratio, and its error; arrivals of a seed are the same under each scheduler."""
    ratios = [one / other for one, other in zip(over, under, strict=True)]
    return Reading(statistics.fmean(ratios), statistics.stdev(ratios) / math.sqrt(len(ratios)))


def _orders_found(summaries: Sequence[Summary]) -> Mapping[str, Reading]:
    def waits(scheduler: int, flow: int) -> list[float]:
        own = summaries[scheduler * len(SEEDS) : (scheduler + 1) * len(SEEDS)]
        return [_flows(summary)[flow]["mean_latency_s"] for summary in own]

    return {
        "wait of the first class, fifo/wfq": _ratio(waits(0, 0), waits(1, 0)),
        "wait of the last class, wfq/fifo": _ratio(waits(1, 2), waits(0, 2)),
    }


def _flows(summary: Summary) -> Sequence[Mapping[str, Any]]:
    flows: Sequence[Mapping[str, Any]] = summary["app"]["results"]["alice"]["result"]["flows"]
    return flows


DAHLBERG: Final = Case(
    name="dahlberg-2019",
    title="orders of service of a link layer, simulated",
    row=24,
    source=Source(
        "Dahlberg et al., SIGCOMM 2019, 159", "10.1145/3341302.3342070", "1903.09778"
    ),
    given=(
        Given("weights", _WEIGHTS, "", "found", "0: always first; set-up of the authors' simulation"),
        Given("pairs per request", "1, 3, 10", "", "assumed", "by class"),
        Given("load", 0.8, "", "assumed", "of what the link makes"),
    ),
    checks=tuple(
        Check(
            quantity, "P", Published(1.0, confidence="memory", at_least=True, words=words), 0.0,
            "", None, ("sizes and mix of the authors' requests",), must_hold=(1.0, math.inf),
        )
        for quantity, words in (
            ("wait of the first class, fifo/wfq", "shorter with weight 0"),
            ("wait of the last class, wfq/fifo", "longer, the others go first"),
        )
    ),
    networks=lambda: tuple(_loaded(scheduler, seed) for scheduler in SCHEDULERS for seed in SEEDS),
    read=_orders_found,
)  # fmt: skip

CASES: Final = (KRUTYANSKIY, POMPILI, DAHLBERG)
"""In order of the rows."""
