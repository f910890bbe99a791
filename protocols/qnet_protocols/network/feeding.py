"""Pairs for circuits: what a node asks of its links, and to which circuit a pair belongs.

Theory
    While a circuit has requests, the node upstream of each of its links keeps asking that link for pairs: a
    few per request, the next request before the last is over, so that circuits and other users of the link
    take turns and the link never rests. The link label of the circuit is the purpose of these requests.

    *Circuits that share links, or memory slots of a node,* could wait for each other for ever: one holds
    the qubits of one link and waits for the other, and the other way round. Circuits that share links take
    turns pair by pair then, and a pair that waits four mean times of both links for each of those that
    share is discarded, even if the cutoff of the route is longer. So that nobody else is shut out for ever
    either, a circuit on its own gives a pair up after 256 such times.

    *Running ahead:* links in the middle of a long path swap on while the ends still wait for messages;
    nobody can use what they make, n links would make some n^2/4 pairs too many. A node that has swapped
    :data:`AHEAD` pairs of which it has not heard from both ends asks its link for no more until it has.
Late, early, impossible
    *Late:* a pair for a circuit that is gone goes back; the end of a request that was cancelled. *Impossible:*
    nothing, links are machines of this node.
Assumptions and validity
    The ends hold their qubits for a bounded time.
Units
    Instants in picoseconds.
Sources
    Kozlowski, Dahlberg, Wehner, CoNEXT 2020, arXiv 2010.02575: continuous link requests, link labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from qnet.ids import CircuitId, LinkId, PairId, RequestId
from qnet.layers.link import Cancel, Create, Err, ErrorCode, Expired, Ok, RequestEnded
from qnet.plan import LinkPlan
from qnet.units import Duration, Instant, duration_from_s
from qnet_protocols.network.circuits import Entry
from qnet_protocols.network.desk import Desk, Half
from qnet_protocols.network.head import Head
from qnet_protocols.network.relay import DOWN, UP, Relay

ALONE: Final = 16
"""Pairs per request to a link that no other circuit uses here."""

AHEAD: Final = 32
"""Swapped pairs of a circuit that may be under way at a node before it asks for more."""

FAILURES: Final = 3
"""So many requests to a link that fail without a pair between them break the circuit."""

CROWDED_TIMES: Final = 4
"""Mean times of both links, for each circuit that shares, after which a waiting pair makes way."""

ALONE_TIMES: Final = 256
"""The same on a circuit that shares with no other one: an application may hold what it waits for."""

MEMORY: Final = LinkId("")
"""Stands for the memory slots of the node among the links that circuits share."""


class Feeding:
    """Requests to the links of one node, for its circuits.

    Args:
        desk: of this node.
        links: of this node.
        failed: told when a link fails for good: (circuit, reason).
    """

    def __init__(
        self, desk: Desk, links: Iterable[LinkPlan], failed: Callable[[Entry, str], None]
    ) -> None:
        self._desk = desk
        self._failed = failed
        self._mean = {
            link.name: duration_from_s(1.0 / link.offered[1])
            for link in links
            if link.offered[1] > 0.0
        }
        self._sides: dict[tuple[str, bool, int], tuple[Entry, int]] = {}
        self._asked: dict[RequestId, Entry] = {}
        self._busy: dict[LinkId, dict[CircuitId, Entry]] = {}

    # ------------------------------------------------------------ circuits

    def add(self, entry: Entry) -> None:
        """A circuit with its link labels is here."""
        if entry.up is not None:
            self._sides[entry.up.below, False, entry.up.label] = (entry, UP)
        if entry.down is not None:
            self._sides[entry.down.below, True, entry.down.label] = (entry, DOWN)

    def remove(self, entry: Entry) -> None:
        """It is gone."""
        if entry.active:
            entry.active.clear()
            self._rest(entry)
        if entry.down is not None:
            del self._sides[entry.down.below, True, entry.down.label]
        if entry.up is not None:
            del self._sides[entry.up.below, False, entry.up.label]

    def labelled(self, below: str, *, origin: bool, label: int) -> bool:
        """Whether a circuit has this label on that link, chosen by this node (``origin``) or the other."""
        return (below, origin, label) in self._sides

    def begin(self, entry: Entry, request: RequestId, now: Instant) -> None:
        """The circuit has one more request: its downstream link is to bring pairs."""
        first = not entry.active
        entry.active.add(request)
        if not first:
            return
        for shared in _uses(entry):
            self._busy.setdefault(shared, {})[entry.name] = entry
        self._set_cutoffs(entry)
        if entry.down is not None:
            entry.heard = now
            self._ask(entry)

    def end(self, entry: Entry, request: RequestId) -> None:
        """It has one less."""
        if request not in entry.active:
            return
        entry.active.discard(request)
        if not entry.active:
            self._rest(entry)
            if isinstance(entry.part, Relay):
                entry.part.flush()

    def _rest(self, entry: Entry) -> None:
        """The circuit has no requests."""
        for shared in _uses(entry):
            self._busy[shared].pop(entry.name, None)
        self._set_cutoffs(entry)
        requests, entry.link_requests = entry.link_requests, []
        for request in requests:
            assert entry.down is not None
            del self._asked[request]
            self._desk.ask(entry.down.below, Cancel(request))

    def _sharing(self, uses: Iterable[LinkId]) -> int:
        """How many active circuits share the most wanted of these."""
        return max(len(self._busy.get(shared, ())) for shared in uses)

    def _set_cutoffs(self, entry: Entry) -> None:
        """Circuits that begin or cease to share get the longest wait that keeps all of them going."""
        for shared in _uses(entry):
            for other in self._busy[shared].values():
                if isinstance(other.part, Relay):
                    other.part.cutoff = self._cutoff(other)

    def _cutoff(self, entry: Entry) -> Duration | None:
        own, count = entry.install.cutoff, self._sharing(_uses(entry))
        times = ALONE_TIMES if count <= 1 else CROWDED_TIMES * count
        longest = Duration(times * sum(self._mean.get(link, 0) for link in entry.links))
        if own is None or not longest:
            return longest or own
        return min(own, longest)

    # ------------------------------------------------------------ requests to links

    def _ask(self, entry: Entry) -> None:
        hop = entry.down
        assert hop is not None
        request = RequestId(self._desk.name(""))
        entry.link_requests.append(request)
        self._asked[request] = entry
        self._desk.ask(
            hop.below,
            Create(
                request,
                hop.peer,
                1 if self._sharing(entry.links) > 1 else ALONE,
                0.0,
                Duration(0),
                hop.label,
                priority=0,
                store=entry.store,
            ),
        )

    def on_ok(self, source: str, ok: Ok, now: Instant) -> Entry | None:
        """A link has a pair: it goes to its circuit, or back if there is none any more."""
        entry, side = self._sides.get((source, ok.origin, ok.purpose), (None, UP))
        if entry is None:
            self._desk.release(ok.slot)
            return None
        if side == DOWN:
            entry.failures, entry.heard = 0, now
            if entry.link_requests[-1:] == [ok.request] and _room(entry):
                self._ask(entry)
        half = Half.of(ok)
        if isinstance(entry.part, Relay):
            entry.part.on_pair(side, half, now)
        else:
            entry.part.on_pair(half, now)
        return entry

    def on_expired(self, source: str, expired: Expired, now: Instant) -> None:
        """A link takes pairs back, perhaps after the end of their request."""
        for origin in (True, False):
            entry, _ = self._sides.get((source, origin, expired.purpose), (None, UP))
            if entry is not None:
                for pair in expired.pairs:
                    self._void(entry, pair, now)
                self.heard(entry, now)

    @staticmethod
    def _void(entry: Entry, pair: PairId, now: Instant) -> None:
        if isinstance(entry.part, Head):
            entry.part.on_void(pair, now)
        else:
            entry.part.on_void(pair)

    def on_ended(self, answer: Err | RequestEnded) -> None:
        """A request to a link is over: the next one, unless it fails for good."""
        entry = self._asked.pop(answer.request, None)
        if entry is None:
            return
        entry.link_requests.remove(answer.request)
        if isinstance(answer, Err):
            entry.failures += 1
            transient = answer.code in (ErrorCode.OTHER, ErrorCode.EXPIRE, ErrorCode.TIMEOUT)
            if not transient or entry.failures >= FAILURES:
                assert entry.down is not None
                link = entry.down.link
                self._failed(entry, f"link {link} answered {answer.code.name}: {answer.detail}")
                return
        if not entry.link_requests and _room(entry):
            self._ask(entry)

    def heard(self, entry: Entry, now: Instant) -> None:
        """Something was said of a pair of the circuit: there may be room again."""
        if entry.active and entry.down is not None and not entry.link_requests and _room(entry):
            entry.heard = now
            self._ask(entry)


def _uses(entry: Entry) -> tuple[LinkId, ...]:
    """What the circuit may share with others at this node."""
    return (*entry.links, MEMORY) if entry.store else entry.links


def _room(entry: Entry) -> bool:
    return not isinstance(entry.part, Relay) or entry.part.ahead < AHEAD
