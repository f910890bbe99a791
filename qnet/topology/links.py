"""Links of a topology: two processors, the station between them, fibre, scheme and protocol.

Theory
    What the photons meet is in :mod:`qnet.topology.photonics`. A round takes preparation + flight + way
    back of the longer arm; an attempt may repeat after the longest of both ends' intervals and of the
    rounds of its scheme, divided by the smaller share of the time in which an end can attempt at all.
    Placements other than a station in the middle (a receiver that is its own station, reflection from one
    memory after the other) are arms of unlike lengths. Links of a station with a switch take turns there
    (:mod:`qnet.topology.switching`).
Not modelled
    Pauses for cooling or loading as such: they stretch the cycle evenly. Drift of fibre lengths.
Sources
    [1] Simon and Irvine, PRL 91, 110405 (2003): two-photon heralding with lossy arms.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from qnet.hardware import Platform, Station
from qnet.ids import LinkId, NodeId
from qnet.plan import LinkOptics, LinkPlan, NodePlan
from qnet.seams import Light, checked_outcomes
from qnet.topology.check import At, name, nearest, table, typed
from qnet.topology.estimate import Timing, estimate
from qnet.topology.photonics import (
    Arm,
    Converter,
    Shaper,
    arms,
    check_wavelengths,
    converters,
    link_optics,
    overlap,
    shapers,
)
from qnet.topology.plugs import (
    parameters,
    plugin,
    protocol_parameters,
    purification,
    with_prediction,
)
from qnet.topology.switching import window
from qnet.units import GROUP_INDEX_FIBRE, Duration, duration_from_s, light_time

LOWEST_RATE_HZ: Final = 1e-5
"""Slowest link that a run can follow: the unluckiest draw takes 37 mean times per pair, and an
instant, 64 bits of picoseconds, ends after 106 days."""


AT_ONCE: Final = Duration(1)
"""From the start of an attempt to a click at the shortest: a click belongs to a run that began before it."""


class LinkEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table ``links.NAME``.

    Attributes:
        ends: the two processors.
        station: the node with the detectors.
        length_m: of the fibre from each end to the station, in the order of ``ends``; one number
            is the length of each arm.
        loss_db_per_km: of the fibre at the photons' wavelength; None for the usual figure there.
        transmission_prob: of switches, connectors and filters on each arm, together; if light passes both
            arms one after the other (serial schemes), of those between the ends.
        converters: by the name of an end, one stage of frequency conversion or a list of stages.
        shaping: by the name of an end, a modulator that shortens its photons.
        scheme, protocol: names of the heralding scheme and of the link protocol.
        group_index: of the fibre.
        visibility: V = |<psi_A|psi_B>|^2 of the two photons, lifetimes and detuning apart.
        detuning_hz: difference of their frequencies; counts if both ends state the lifetime of their photons.
        phase_rms_rad: rms phase between the modes (two clicks) or between the arms (one click).
        purification: ``protocol`` and its parameters: the link offers purified pairs only.
    """

    ends: tuple[str, str]
    station: str
    length_m: float | tuple[float, float]
    loss_db_per_km: float | None = None
    scheme: str = "double-click"
    protocol: str = "egp"
    group_index: float = GROUP_INDEX_FIBRE
    visibility: float = 1.0
    detuning_hz: float = 0.0
    phase_rms_rad: float = 0.0
    transmission_prob: float = 1.0
    converters: dict[str, Converter | tuple[Converter, ...]] = {}
    shaping: dict[str, Shaper] = {}
    scheme_parameters: dict[str, Any] = {}
    protocol_parameters: dict[str, Any] = {}
    purification: dict[str, Any] | None = None

    @property
    def arms_m(self) -> tuple[float, float]:
        """Length of each arm."""
        if isinstance(self.length_m, tuple):
            return self.length_m
        return (self.length_m, self.length_m)


def compile_links(value: object, nodes: Iterable[NodePlan], at: At) -> tuple[LinkPlan, ...]:
    """All links of the table ``links``, sorted by name."""
    tables = table(value, at)
    by_name: dict[str, NodePlan] = {node.name: node for node in nodes}
    links: list[LinkPlan] = []
    served = _served(tables)
    for key in sorted(tables):
        link = _link(key, tables[key], by_name, served, at)
        for other in links:
            if other.ends == link.ends:
                raise (
                    at.key(key)
                    .key("ends")
                    .error(
                        f"two nodes must share at most one link, {other.name} joins them too",
                        list(link.ends),
                    )
                )
        links.append(link)
    degrees = Counter(end for link in links for end in link.ends)
    return tuple(
        with_prediction(
            link, _shares(link, by_name, degrees), at.key(link.name).key("purification")
        )
        for link in links
    )


def _shares(
    link: LinkPlan, nodes: Mapping[str, NodePlan], degrees: Mapping[NodeId, int]
) -> tuple[Platform, Platform]:
    """The processors at the ends of a link, with the communication slots that it may use."""

    def share(end: NodeId) -> Platform:
        platform = nodes[end].platform
        assert platform is not None
        slots = platform.communication_share(degrees[end])
        return msgspec.structs.replace(platform, communication_slots=slots)

    return share(link.ends[0]), share(link.ends[1])


def _served(tables: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    """Links of each station, in order of name; a mistaken entry is nobody's."""
    served: dict[str, list[str]] = defaultdict(list)
    for key in sorted(tables):
        if isinstance(tables[key], dict):
            served[str(tables[key].get("station"))].append(key)
    return served


def _link(
    key: str,
    value: object,
    nodes: Mapping[str, NodePlan],
    served: Mapping[str, Sequence[str]],
    links: At,
) -> LinkPlan:
    at = links.key(key)
    link = LinkId(name(key, at, longest=65))
    entry = typed(table(value, at), LinkEntry, at)
    ends = _ends(entry, nodes, at)
    station = _station(entry, nodes, at)
    platforms = (_emitter(ends[0], nodes, at), _emitter(ends[1], nodes, at))
    arms_m = entry.arms_m if ends == entry.ends else entry.arms_m[::-1]
    scheme = plugin("qnet.heralding", entry.scheme, at.key("scheme"))
    protocol = plugin("qnet.links", entry.protocol, at.key("protocol"))
    scheme_parameters = parameters(
        entry.scheme_parameters, scheme.parameters, at.key("scheme_parameters")
    )
    light = scheme.light_of(scheme_parameters)
    both = _arms(entry, arms_m, ends, platforms, station, light, at)
    optics = _optics(entry, both, platforms, station, light, scheme.detectors)
    timing = _timing(entry, arms_m, platforms, scheme.rounds)
    try:
        outcomes = checked_outcomes(link, scheme, optics, scheme_parameters)
    except ValueError as refusal:
        raise at.error(f"scheme {scheme.name} refuses this link: {refusal}") from refusal
    success_prob = sum(outcome.prob for outcome in outcomes)
    if success_prob <= 0.0:
        raise at.error("the chance that an attempt is heralded must be > 0", success_prob)
    switch_at = At(at.file, "nodes").key(entry.station).key("switch")
    lit = window(station.switch, served[entry.station], key, timing, switch_at)
    prediction = estimate(outcomes, timing, platforms, lit)
    if prediction.rate_hz < LOWEST_RATE_HZ:
        raise at.error(
            f"the predicted rate must be >= {LOWEST_RATE_HZ:g} pairs/s", prediction.rate_hz
        )
    plan = LinkPlan(
        name=link,
        ends=ends,
        station=NodeId(entry.station),
        scheme=entry.scheme,
        scheme_parameters=scheme_parameters,
        protocol=entry.protocol,
        protocol_parameters=protocol_parameters(
            entry.protocol_parameters, protocol.parameters, at.key("protocol_parameters")
        ),
        optics=optics,
        flights=timing.flights,
        direct=Duration(sum(timing.flights)),
        cycle=timing.cycle,
        preparation=timing.preparation,
        correction=timing.correction,
        estimate=prediction,
        purification=purification(entry.purification, at.key("purification")),
        held=timing.held,
        window=lit,
        lifetimes_s=(both[0].lifetime_s, both[1].lifetime_s) if entry.shaping else msgspec.UNSET,
    )
    if scheme.check is not None:
        try:
            scheme.check(plan)
        except ValueError as refusal:
            raise at.key("length_m").error(str(refusal), entry.length_m) from refusal
    return plan


def _ends(entry: LinkEntry, nodes: Mapping[str, NodePlan], at: At) -> tuple[NodeId, NodeId]:
    """The two ends in order of name."""
    place = at.key("ends")
    for end in entry.ends:
        if end not in nodes:
            raise place.error("must name two nodes", end, nearest(end, nodes))
        if nodes[end].platform is None:
            raise place.error("must name two processors", end, f"{end} is a station")
    first, second = sorted(entry.ends)
    if first == second:
        raise place.error("must name two different nodes", list(entry.ends))
    return NodeId(first), NodeId(second)


def _station(entry: LinkEntry, nodes: Mapping[str, NodePlan], at: At) -> Station:
    place = at.key("station")
    stations = [known for known, node in nodes.items() if node.station is not None]
    node = nodes.get(entry.station)
    if node is None:
        raise place.error("must name a station", entry.station, nearest(entry.station, stations))
    if node.station is None:
        raise place.error("must name a station", entry.station, f"{entry.station} is a processor")
    return node.station


def _emitter(end: NodeId, nodes: Mapping[str, NodePlan], at: At) -> Platform:
    platform = nodes[end].platform
    assert platform is not None, "an end was checked to be a processor"
    if platform.communication_slots < 1:
        raise at.key("ends").error(
            f"an end of a link must have communication_slots >= 1, {end} has",
            platform.communication_slots,
        )
    return platform


def _arms(
    entry: LinkEntry,
    arms_m: tuple[float, float],
    ends: tuple[NodeId, NodeId],
    platforms: tuple[Platform, Platform],
    station: Station,
    light: Light,
    at: At,
) -> tuple[Arm, Arm]:
    stages = converters(entry.converters, ends, at.key("converters"))
    shaped = shapers(entry.shaping, ends, platforms, light, at.key("shaping"))
    loss, passed = entry.loss_db_per_km, entry.transmission_prob
    both = arms(platforms, stages, shaped, arms_m, loss, passed, station, light, at)
    check_wavelengths(ends, platforms, both, at)
    return both


def _optics(
    entry: LinkEntry,
    both: tuple[Arm, Arm],
    platforms: tuple[Platform, Platform],
    station: Station,
    light: Light,
    detectors: int,
) -> LinkOptics:
    visibility = entry.visibility
    if light == "midpoint":
        visibility *= overlap(both, entry.detuning_hz)
    return link_optics(both, platforms, station, visibility, entry.phase_rms_rad, detectors)


def _timing(
    entry: LinkEntry,
    arms_m: tuple[float, float],
    platforms: tuple[Platform, Platform],
    rounds: int,
) -> Timing:
    flights = (
        light_time(arms_m[0], entry.group_index),
        light_time(arms_m[1], entry.group_index),
    )
    emissions = [platform.emission for platform in platforms]
    preparation = duration_from_s(max(emission.preparation_s for emission in emissions))
    if not any(flights):
        preparation = max(preparation, AT_ONCE)
    round_trip = preparation + 2 * max(flights)
    held = Duration((rounds - 1) * round_trip)
    listed = duration_from_s(max(emission.interval_s for emission in emissions))
    busiest = min(emission.duty_prob for emission in emissions)
    return Timing(
        flights=flights,
        cycle=Duration(math.ceil(max(listed, rounds * round_trip) / busiest)),
        preparation=Duration(held + preparation),
        correction=(
            duration_from_s(platforms[0].gate_1q.duration_s),
            duration_from_s(platforms[1].gate_1q.duration_s),
        ),
        held=held,
    )
