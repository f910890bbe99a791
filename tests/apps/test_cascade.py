"""Cascade without I/O: strings become equal, every parity counts, and the efficiency is the published one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.physics.keys import entropy
from qnet.randomness import KeyedRandom
from qnet_protocols.apps.cascade import Block, Corrector, Reference, block_bits, order

SEED = bytes(range(16))


def strings(size: int, share: float, name: str = "") -> tuple[list[int], list[int]]:
    luck = KeyedRandom(5, f"cascade {name}", f"{size} {share}")
    mine = [luck.below(2) for _ in range(size)]
    return mine, [bit ^ (luck.uniform() < share) for bit in mine]


def reconcile(mine: list[int], theirs: list[int], share: float) -> tuple[Corrector, Reference, int]:
    reference, corrector = Reference(mine, SEED), Corrector(theirs, SEED, share)
    rounds = 0
    while blocks := corrector.wanted():
        corrector.learn(reference.answer(blocks))
        rounds += 1
    return corrector, reference, rounds


@pytest.mark.parametrize("share", [0.0, 0.005, 0.02, 0.05, 0.1])
def test_strings_become_equal(share):
    mine, theirs = strings(2000, share)
    wrong = sum(a != b for a, b in zip(mine, theirs, strict=True))
    corrector, reference, rounds = reconcile(mine, theirs, max(share, 1e-3))
    assert corrector.bits == mine
    assert corrector.corrected == wrong  # no bit was changed twice
    assert reference.leaked < 2000
    assert rounds < 200


def test_efficiency_is_that_of_the_original_protocol():
    """Cascade leaks 1.1 to 1.3 h(e) per bit between 1 and 10 %; [2] figure 2 (original, four passes)."""
    for share in (0.02, 0.05):
        mine, theirs = strings(4000, share)
        wrong = sum(a != b for a, b in zip(mine, theirs, strict=True)) / 4000
        _, reference, _ = reconcile(mine, theirs, wrong)
        assert 1.0 < reference.leaked / (4000 * entropy(wrong)) < 1.35


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_law_the_corrector_only_ever_removes_errors(data):
    size = data.draw(st.integers(1, 80))
    mine = data.draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    theirs = data.draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    wrong = sum(a != b for a, b in zip(mine, theirs, strict=True))
    corrector, reference, _ = reconcile(mine, theirs, data.draw(st.floats(0.0, 0.5)))
    left = sum(a != b for a, b in zip(mine, corrector.bits, strict=True))
    assert left == wrong - corrector.corrected
    assert left % 2 == 0  # what is left has even parity in every block of every pass
    asked = [*corrector._parities]
    assert reference.leaked <= len(asked)  # nothing is asked twice


@pytest.mark.slow
def test_four_passes_seldom_leave_an_error():
    left = 0
    for number in range(100):
        mine, theirs = strings(2000, 0.03, str(number))
        left += reconcile(mine, theirs, 0.03)[0].bits != mine
    assert left <= 5  # about one in a hundred


def test_orders_are_permutations_and_differ():
    first, second = order(SEED, 0, 100), order(SEED, 1, 100)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second == order(SEED, 1, 100)


@pytest.mark.parametrize(
    ("size", "share", "stage", "bits"),
    [
        (1000, 0.01, 0, 73),
        (1000, 0.01, 1, 146),
        (1000, 0.01, 3, 500),
        (1000, 0.0, 0, 500),
        (1, 0.5, 0, 1),
    ],
)
def test_block_sizes(size, share, stage, bits):
    assert block_bits(size, share, stage) == bits


def test_nothing_is_wanted_for_an_empty_string():
    assert Corrector([], SEED, 0.1).wanted() == ()


@pytest.mark.parametrize("block", [(4, 0, 1), (0, 0, 9), (0, 3, 3), (-1, 0, 1), (0, -1, 2)])
def test_blocks_outside_the_string_are_refused(block):
    with pytest.raises(ValueError, match=r"a block must obey"):
        Reference([0] * 8, SEED).answer([Block(*block)])


def test_too_few_answers_are_refused():
    with pytest.raises(ValueError, match="as many as the 2 blocks"):
        Corrector([0] * 8, SEED, 0.01).learn([0])
