"""The truth ledger: when the truth is taken, what both ends must agree on, what is counted."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from qnet.ids import LinkId, NodeId, PairId, RequestId, SlotId
from qnet.physics import bell
from qnet.program import Measure
from qnet.units import Instant
from qnet.wire.control import Delivered, MeasuredNote, RequestNote
from qnet.world.ledger import AgreementBroken, Ledger, PairDelivered
from qnet.world.recorder import DeliveredPair

from .optics_bench import ALICE, BOB
from .stores import A, B, make, pair, run

REQUEST = RequestId("alice/1")


@dataclasses.dataclass
class Book:
    """A ledger whose truth says what it is told and remembers who asked."""

    truth: float | None = 0.9

    def __post_init__(self) -> None:
        self.asked: list[tuple[NodeId, SlotId, NodeId, tuple[int, int]]] = []
        self.rows: list[DeliveredPair] = []
        self.ledger = Ledger(
            fidelity=self._fidelity, link_of=lambda *_: LinkId("alice-bob"), delivered=self._row
        )

    def _fidelity(self, *asked: Any) -> float | None:
        self.asked.append(asked)
        return self.truth

    def _row(self, row: DeliveredPair, event: PairDelivered) -> None:
        assert (event.pair, event.true_fidelity) == (row.pair, row.true_fidelity)
        self.rows.append(row)

    def say(self, node: NodeId, note: Delivered | MeasuredNote, now: int = 5) -> None:
        self.ledger.announced(node, note, Instant(now))

    def open(self, number: int = 3) -> None:
        self.ledger.request(ALICE, RequestNote(REQUEST, BOB, number, "open"), Instant(0))

    def flow(self) -> dict[str, Any]:
        (flow,) = self.ledger.summary()
        return flow


def kept(node: NodeId, pair: str = "alice-bob#1", **other: Any) -> Delivered:
    origin = node == ALICE
    note = Delivered(
        PairId(pair), REQUEST, 1, origin, BOB if origin else ALICE, SlotId(0 if origin else 2),
        (1, 0), 0.9 if origin else 0.8, 0.05, Instant(0), Instant(1),
    )  # fmt: skip
    return msgspec.structs.replace(note, **other)


def read(node: NodeId, pair: str, basis: str, outcome: int, **other: Any) -> MeasuredNote:
    origin = node == ALICE
    note = MeasuredNote(
        PairId(pair), REQUEST, 1, origin, BOB if origin else ALICE, (1, 0), 0.9, 0.05,
        Instant(0), Instant(1), basis, outcome,
    )  # fmt: skip
    return msgspec.structs.replace(note, **other)


# ---------------------------------------------------------------- truth


@pytest.mark.parametrize("first", [ALICE, BOB])
def test_truth_is_taken_once_at_the_first_announcement_with_its_claim(first: NodeId) -> None:
    book = Book()
    second = BOB if first == ALICE else ALICE
    book.say(first, kept(first), now=5)
    book.truth = 0.3  # what becomes of the pair later does not matter
    book.say(second, kept(second), now=9)
    slot = SlotId(0 if first == ALICE else 2)
    assert book.asked == [(first, slot, second, (1, 0))]
    (row,) = book.rows
    assert (row.true_fidelity, row.delivered_at_ps) == (0.9, 9)
    assert row.goodness == (0.9 if first == ALICE else 0.8)
    assert (row.origin, row.peer) == (ALICE, BOB)
    assert book.flow()["fidelity"]["outside_stated_error"] == (first == BOB)


def test_announcement_whose_label_does_not_hold_yet_takes_no_truth() -> None:
    book = Book()
    book.say(BOB, kept(BOB, settled=False))
    assert book.asked == []
    book.say(ALICE, kept(ALICE))
    assert book.asked == [(ALICE, 0, BOB, (1, 0))]
    assert [(row.goodness, row.true_fidelity) for row in book.rows] == [(0.9, 0.9)]


def test_truth_that_was_gone_at_the_first_announcement_is_not_sought_again() -> None:
    book = Book(truth=None)
    book.say(ALICE, kept(ALICE))
    book.truth = 1.0
    book.say(BOB, kept(BOB))
    assert len(book.asked) == 1
    assert [row.true_fidelity for row in book.rows] == [None]


def test_origin_of_a_remote_preparation_measures_and_its_peer_keeps() -> None:
    book = Book(truth=None)
    book.say(ALICE, read(ALICE, "alice-bob#1", "X", 0))
    book.say(BOB, kept(BOB))
    assert book.flow()["delivered"] == 1
    assert book.flow()["measured"] == {}


# ---------------------------------------------------------------- agreement


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"label": (0, 0)}, "same label"),
        ({"index": 2}, "same index"),
        ({"request": RequestId("alice/2")}, "same request"),
        ({"created_at": Instant(2)}, "same created_at"),
        ({"origin": True}, "one origin"),
        ({"remote": NodeId("carol")}, "name each other"),
    ],
)
@pytest.mark.parametrize("measured", [False, True])
def test_ends_that_differ_stop_the_run(change: dict[str, Any], word: str, measured: bool) -> None:
    book = Book()
    mine, yours = (
        (read(end, "alice-bob#1", "X", 0) if measured else kept(end)) for end in (ALICE, BOB)
    )
    book.say(ALICE, mine)
    with pytest.raises(AgreementBroken, match=word):
        book.say(BOB, msgspec.structs.replace(yours, **change))


@pytest.mark.parametrize(
    "pair", ["alice-bob#0", "alice-bob#4096", "odd", "a#007", "a#", f"a#{2**40 + 1}"]
)
def test_pair_id_is_used_once(pair: str) -> None:
    book = Book()
    book.say(ALICE, kept(ALICE, pair))
    with pytest.raises(AgreementBroken, match=f"alice announces {pair} again"):
        book.say(ALICE, kept(ALICE, pair))
    book.say(BOB, kept(BOB, pair))
    for node in (BOB, ALICE):
        with pytest.raises(AgreementBroken, match="again"):
            book.say(node, kept(node, pair))


def test_many_pairs_in_any_order_are_told_apart_in_little_memory() -> None:
    book, number = Book(), 5000
    for sequence in range(number):
        pair = f"alice-bob#{sequence * 7919 % number}"
        book.say(ALICE, kept(ALICE, pair))
        book.say(BOB, kept(BOB, pair))
    assert book.ledger.pairs == number
    assert sum(map(len, book.ledger._seen._blocks.values())) == 2 * 512  # 8 192 bits
    assert book.ledger.half_announced == []
    assert f"alice-bob#{number}" not in book.ledger._seen


# ---------------------------------------------------------------- counts


def test_outcomes_are_held_against_the_label() -> None:
    # Label (1, 0), Psi+: outcomes agree in X and Y and differ in Z.
    book = Book()
    cases = [("X", 0, 0), ("X", 1, 0), ("Y", 1, 1), ("Z", 0, 1), ("Z", 1, 0), ("Z", 1, 1)]
    for number, (basis, one, two) in enumerate(cases):
        book.say(ALICE, read(ALICE, f"a#{number}", basis, one))
        book.say(BOB, read(BOB, f"a#{number}", basis, two))
    book.say(ALICE, read(ALICE, "a#90", "X", 0))
    book.say(BOB, read(BOB, "a#90", "Z", 0))  # different bases say nothing
    book.say(ALICE, read(ALICE, "a#91", "Z+X", 0))
    book.say(BOB, read(BOB, "a#91", "Z+X", 1))
    flow = book.flow()
    assert flow["delivered"] == len(cases) + 2
    assert flow["measured"] == {
        "X": {"pairs": 2, "wrong": 1, "error_rate": 0.5},
        "Y": {"pairs": 1, "wrong": 0, "error_rate": 0.0},
        "Z": {"pairs": 3, "wrong": 1, "error_rate": 1 / 3},
    }
    assert book.asked == []


@pytest.mark.parametrize("label", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("basis", ["X", "Y", "Z"])
def test_expected_outcomes_are_those_of_the_bell_state(label: tuple[int, int], basis: str) -> None:
    for uniform in (0.1, 0.9):
        store = make()
        pair(store, (A, 0), (B, 0), bell.relabel(bell.werner(1.0), label))
        one = run(store, A, Measure(SlotId(0), basis), uniform=lambda u=uniform: u).outcomes[0]
        two = run(store, B, Measure(SlotId(0), basis)).outcomes[0]
        book = Book()
        book.say(ALICE, read(ALICE, "a#1", basis, one, label=label))
        book.say(BOB, read(BOB, "a#1", basis, two, label=label))
        assert book.flow()["measured"][basis]["wrong"] == 0


def test_requests_that_never_ended_are_named() -> None:
    book = Book()
    book.open()
    assert book.flow()["open"] == [REQUEST]
    book.say(ALICE, kept(ALICE))
    book.say(BOB, kept(BOB))
    book.ledger.request(ALICE, RequestNote(REQUEST, BOB, 0, "TIMEOUT"), Instant(9))
    flow = book.flow()
    assert (flow["requested"], flow["delivered"], flow["failed"], flow["open"]) == (3, 1, 2, [])
    assert book.ledger.delivered == {(ALICE, BOB): 1}


def test_requests_of_a_crashed_node_have_failed() -> None:
    book = Book()
    book.open()
    book.ledger.crashed(BOB)
    assert book.flow()["open"] == [REQUEST]
    book.ledger.crashed(ALICE)
    assert (book.flow()["failed"], book.flow()["open"]) == (3, [])
