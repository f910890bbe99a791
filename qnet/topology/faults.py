"""Faults of a topology: what goes wrong during a run, and when.

Format
    ``[faults.NAME]`` with ``kind`` and the fields of one of the entries below; seconds of simulated time.

    ========= =============================================== ==============================
    kind      fields                                          what happens
    ========= =============================================== ==============================
    impair    source, target, kinds (shell patterns),         messages are lost, doubled,
              loss_prob, duplicate_prob, reorder_prob,        overtaken
              reorder_factor, start_s, end_s
    single    source, target, number, what, late_s            one message is lost ("lose"), comes
                                                              twice ("double") or late ("delay")
    partition nodes, start_s, end_s                           no message to or from others
    crash     node, at_s, restart_s                           power off, memory gone
    stall     node, start_s, end_s                            neither hears nor speaks
    cut       link, start_s, end_s                            no photon arrives
    ========= =============================================== ==============================
Not modelled
    What :mod:`qnet.world.faults` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import permutations
from typing import Annotated, Final, Literal

import msgspec

from qnet.ids import LinkId, NodeId
from qnet.plan import Crash, Cut, Fault, Impair, LinkPlan, NodePlan, Partition, Single, Stall
from qnet.topology.check import At, name, nearest, table, typed
from qnet.units import Instant, duration_from_s, seconds


class ImpairEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages that are lost, doubled or overtaken; fields as in :class:`qnet.plan.Impair`."""

    source: str = "*"
    target: str = "*"
    kinds: str = "*"
    loss_prob: float = 0.0
    duplicate_prob: float = 0.0
    reorder_prob: float = 0.0
    reorder_factor: float = 0.0
    start_s: float = 0.0
    end_s: float | None = None


class SingleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to one message; fields as in :class:`qnet.plan.Single`."""

    source: str
    target: str
    number: Annotated[int, msgspec.Meta(ge=1)]
    what: Literal["lose", "double", "delay"]
    late_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0


class PartitionEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``nodes`` on one side, all others on the other."""

    nodes: tuple[str, ...]
    start_s: float
    end_s: float


class CrashEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``node`` fails ``at_s`` and comes back at ``restart_s``, if that is given."""

    node: str
    at_s: float
    restart_s: float | None = None


class StallEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``node`` stands still in between."""

    node: str
    start_s: float
    end_s: float


class CutEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fibre of ``link`` is dark in between, to the end of the run if ``end_s`` is absent."""

    link: str
    start_s: float
    end_s: float | None = None


KINDS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "impair": ImpairEntry,
    "single": SingleEntry,
    "partition": PartitionEntry,
    "crash": CrashEntry,
    "stall": StallEntry,
    "cut": CutEntry,
}
"""The entry of each kind of fault."""


def compile_faults(
    value: object, nodes: Iterable[NodePlan], links: Iterable[LinkPlan], at: At
) -> tuple[Fault, ...]:
    """All faults of the table ``faults``, sorted by name."""
    tables = table(value, at)
    node_names = [node.name for node in nodes]
    link_names = [link.name for link in links]
    faults = tuple(_fault(key, tables[key], node_names, link_names, at) for key in sorted(tables))
    _check_crashes([fault for fault in faults if isinstance(fault, Crash)], at)
    return faults


def _fault(
    key: str, value: object, nodes: Sequence[NodeId], links: Sequence[LinkId], faults: At
) -> Fault:
    title = name(key, faults.key(key))
    at = faults.key(key)
    data = dict(table(value, at))
    if "kind" not in data:
        raise at.key("kind").error("is required", hint=nearest("", KINDS))
    kind = data.pop("kind")
    record = KINDS.get(kind) if isinstance(kind, str) else None
    if record is None:
        raise at.key("kind").error("must be a kind of fault", kind, nearest(str(kind), KINDS))
    match typed(data, record, at):
        case ImpairEntry() as entry:
            return _impair(title, entry, nodes, at)
        case SingleEntry() as entry:
            return _single(title, entry, nodes, at)
        case PartitionEntry() as entry:
            return _partition(title, entry, nodes, at)
        case CrashEntry() as entry:
            _check_known(entry.node, "a node", nodes, at.key("node"))
            restart = _end(entry.at_s, entry.restart_s, at, "at_s", "restart_s")
            return Crash(title, NodeId(entry.node), _instant(entry.at_s), restart)
        case StallEntry() as entry:
            _check_known(entry.node, "a node", nodes, at.key("node"))
            end = _end(entry.start_s, entry.end_s, at)
            assert end is not None, "a stall has an end"
            return Stall(title, NodeId(entry.node), _instant(entry.start_s), end)
        case CutEntry() as entry:
            _check_known(entry.link, "a link", links, at.key("link"))
            end = _end(entry.start_s, entry.end_s, at)
            return Cut(title, LinkId(entry.link), _instant(entry.start_s), end)
    raise AssertionError(f"no record is made for a fault of kind {kind}")


def _impair(title: str, entry: ImpairEntry, nodes: Sequence[NodeId], at: At) -> Impair:
    for key, pattern in (("source", entry.source), ("target", entry.target)):
        if not any(fnmatchcase(node, pattern) for node in nodes):
            raise at.key(key).error("must match a node", pattern, nearest(pattern, nodes))
    if not max(entry.loss_prob, entry.duplicate_prob, entry.reorder_prob) > 0.0:
        raise at.error("loss_prob, duplicate_prob or reorder_prob must be > 0")
    if (entry.reorder_prob > 0.0) != (entry.reorder_factor > 0.0):
        raise at.key("reorder_factor").error(
            f"must be > 0 where reorder_prob is, which is {entry.reorder_prob:g}",
            entry.reorder_factor,
        )
    return Impair(
        name=title,
        source=entry.source,
        target=entry.target,
        kinds=entry.kinds,
        loss_prob=entry.loss_prob,
        duplicate_prob=entry.duplicate_prob,
        reorder_prob=entry.reorder_prob,
        reorder_factor=entry.reorder_factor,
        start=_instant(entry.start_s),
        end=_end(entry.start_s, entry.end_s, at),
    )


def _single(title: str, entry: SingleEntry, nodes: Sequence[NodeId], at: At) -> Single:
    _check_known(entry.source, "a node", nodes, at.key("source"))
    _check_known(entry.target, "a node", nodes, at.key("target"))
    if entry.what == "lose" and entry.late_s > 0.0:
        raise at.key("late_s").error("must be 0 for a message that is lost", entry.late_s)
    if entry.what == "delay" and not entry.late_s > 0.0:
        raise at.key("late_s").error("must be > 0 for a message that is late", entry.late_s)
    source, target = NodeId(entry.source), NodeId(entry.target)
    return Single(title, source, target, entry.number, entry.what, duration_from_s(entry.late_s))


def _partition(title: str, entry: PartitionEntry, nodes: Sequence[NodeId], at: At) -> Partition:
    for index, node in enumerate(entry.nodes):
        _check_known(node, "a node", nodes, At(at.file, f"{at.path}.nodes[{index}]"))
    inside = set(entry.nodes)
    if not inside or inside == set(nodes):
        raise at.key("nodes").error("must name some nodes, but not all", list(entry.nodes))
    end = _end(entry.start_s, entry.end_s, at)
    assert end is not None, "a partition has an end"
    ordered = tuple(node for node in nodes if node in inside)
    return Partition(title, ordered, _instant(entry.start_s), end)


def _check_known(wanted: str, what: str, known: Iterable[str], at: At) -> None:
    if wanted not in known:
        raise at.error(f"must name {what}", wanted, nearest(wanted, known))


def _instant(time_s: float) -> Instant:
    return Instant(duration_from_s(time_s))


def _end(
    start_s: float, end_s: float | None, at: At, start: str = "start_s", end: str = "end_s"
) -> Instant | None:
    """Instant of the end, which must come after the start."""
    if end_s is None:
        return None
    if _instant(end_s) <= _instant(start_s):
        raise at.key(end).error(f"must be later than {start} = {start_s:g}", end_s)
    return _instant(end_s)


def _check_crashes(crashes: Sequence[Crash], at: At) -> None:
    """A node that is down cannot fail again."""
    for first, second in permutations(crashes, 2):
        down = first.at <= second.at and (first.restart is None or second.at <= first.restart)
        if first.node == second.node and down:
            place = at.key(second.name).key("at_s")
            raise place.error(
                f"{second.node} must be up to crash, it is down because of fault {first.name}",
                seconds(second.at),
            )
