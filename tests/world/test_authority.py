"""The time authority: what is granted when, to whom and in which order."""

from __future__ import annotations

import itertools
import random

import pytest

from qnet.errors import ClockStalled, QnetInternalError
from qnet.ids import LinkId, NodeId
from qnet.units import LAST_INSTANT, Instant
from qnet.wire.control import Clicked
from qnet.world import authority as authority_module
from qnet.world.authority import (
    RANK_CLICK,
    RANK_INTERNAL,
    RANK_MESSAGE,
    RANK_RESULT,
    Authority,
    Due,
    Turn,
)

A, B, C = NodeId("a"), NodeId("b"), NodeId("c")
HOSTS = {A: "h1", B: "h2", C: "h2"}


def item(number: int) -> Clicked:
    return Clicked(LinkId(str(number)), (), Instant(0))


def started() -> Authority:
    authority = Authority(HOSTS)
    assert authority.first_turn() == Turn(Instant(0), 0, ("h1", "h2"), {})
    return authority


def push(
    authority: Authority,
    at: int,
    number: int,
    *,
    node: NodeId = A,
    rank: int = RANK_MESSAGE,
    source: str = "s",
    sequence: int = 0,
) -> Due:
    due = Due(node, item(number))
    return authority.push(Instant(at), due, rank=rank, source=source, sequence=sequence)


def numbers(turn: Turn | None, node: NodeId = A) -> list[int]:
    assert turn is not None
    return [int(one.link) for one in turn.items[node]]  # type: ignore[union-attr]


def test_order_within_a_round_is_rank_source_sequence_whatever_came_first() -> None:
    keys = list(
        itertools.product(
            (RANK_INTERNAL, RANK_MESSAGE, RANK_RESULT, RANK_CLICK), ("p", "q"), (1, 2, 10)
        )
    )
    for seed in range(20):
        order = list(range(len(keys)))
        random.Random(seed).shuffle(order)
        authority = started()
        for number in order:
            rank, source, sequence = keys[number]
            push(authority, 7, number, rank=rank, source=source, sequence=sequence)
        assert numbers(authority.next_turn()) == list(range(len(keys)))


def test_equal_keys_keep_the_order_of_their_making() -> None:
    authority = started()
    for number in range(5):
        push(authority, 3, number)
    assert numbers(authority.next_turn()) == list(range(5))


def test_earlier_instants_come_first_and_hosts_without_work_are_not_granted() -> None:
    authority = started()
    push(authority, 9, 1, node=B)
    push(authority, 5, 2, node=A)
    first, second = authority.next_turn(), authority.next_turn()
    assert first == Turn(Instant(5), 0, ("h1",), {A: [item(2)]})
    assert second == Turn(Instant(9), 0, ("h2",), {B: [item(1)]})
    assert authority.next_turn() is None


def test_deadline_and_item_at_one_instant_are_one_turn() -> None:
    authority = started()
    authority.report("h1", Instant(5))
    push(authority, 5, 1, node=C)
    assert authority.next_turn() == Turn(Instant(5), 0, ("h1", "h2"), {C: [item(1)]})


def test_what_a_round_makes_for_its_own_instant_is_the_next_round() -> None:
    authority = started()
    for delta in range(1, 4):
        push(authority, 0, delta)
        turn = authority.next_turn()
        assert turn is not None
        assert (turn.at, turn.round, numbers(turn)) == (0, delta, [delta])
    push(authority, 4, 9)
    turn = authority.next_turn()
    assert turn is not None
    assert (turn.at, turn.round) == (4, 0)


def test_two_hosts_making_zero_delay_things_share_the_next_round() -> None:
    authority = started()
    push(authority, 0, 2, node=A, source="z")
    push(authority, 0, 1, node=A, source="b")
    assert numbers(authority.next_turn()) == [1, 2]


def test_action_of_a_turn_may_make_things_for_the_same_instant() -> None:
    authority = started()

    def make(at: Instant) -> None:
        push(authority, at, 3)

    due = Due(None, None, make)
    authority.push(Instant(2), due, rank=RANK_INTERNAL, source="s", sequence=0)
    turn = authority.next_turn()
    assert turn is not None
    assert turn.hosts == ()
    for action in turn.actions:
        action(turn.at)
    turn = authority.next_turn()
    assert (turn.at, turn.round, numbers(turn)) == (2, 1, [3])  # type: ignore[union-attr]


def test_cancelled_things_neither_happen_nor_move_time() -> None:
    authority = started()
    kept = push(authority, 8, 1)
    push(authority, 4, 2).cancelled = True
    assert authority.next_instant() == 8
    kept.cancelled = True
    assert authority.next_instant() is None
    assert authority.next_turn() is None
    assert authority.now == 0


def test_cancelled_in_the_middle_of_an_instant() -> None:
    authority = started()
    push(authority, 4, 1)
    push(authority, 4, 2, sequence=1).cancelled = True
    push(authority, 4, 3, sequence=2)
    assert numbers(authority.next_turn()) == [1, 3]
    assert authority.next_turn() is None


def test_things_due_in_the_past_are_our_own_bug() -> None:
    authority = started()
    push(authority, 4, 1)
    authority.next_turn()
    with pytest.raises(QnetInternalError, match="before now, 4 ps"):
        push(authority, 3, 2)


def test_instant_that_never_ends_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority_module, "MAX_ROUNDS", 50)
    authority = started()
    for number in range(50):
        push(authority, 0, number)
        authority.next_turn()
    push(authority, 0, 50)
    with pytest.raises(ClockStalled, match=r"within 50 delta rounds; 0 ps has not\. Still busy: a"):
        authority.next_turn()


def test_rounds_may_be_many_without_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority_module, "MAX_ROUNDS", 50)
    authority = started()
    for number in range(50):
        push(authority, 0, number)
        authority.next_turn()
    push(authority, 1, 0)
    turn = authority.next_turn()
    assert turn is not None
    assert turn.round == 0


def test_last_instant_can_be_reached_and_nothing_after_it() -> None:
    authority = started()
    push(authority, LAST_INSTANT, 1)
    assert numbers(authority.next_turn()) == [1]
    push(authority, LAST_INSTANT + 1, 2)
    with pytest.raises(ClockStalled, match=r"must stay below 9223372 s .* for a"):
        authority.next_turn()


def test_host_that_waits_for_the_end_of_time_is_named() -> None:
    authority = started()
    authority.report("h1", Instant(LAST_INSTANT + 1))
    authority.report("h2", None)
    with pytest.raises(ClockStalled, match="for h1"):
        authority.next_turn()
