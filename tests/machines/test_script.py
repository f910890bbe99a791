"""The helper for scripted tests says what differs, and keeps the contract of machines."""

import pytest

from qnet.errors import LocalProtocolError
from qnet.ids import SlotId
from qnet.machine import Acquire, DeadlineReached, Release, Requested
from qnet.testing import Script, script
from qnet.units import Instant


class Echo:
    """Asks for a slot on each request; its deadline is what it is told to be."""

    def __init__(self, deadline=None):
        self.count = 0
        self.due = deadline

    @property
    def state(self):
        return self.count

    def next_deadline(self):
        return self.due

    def handle(self, event, now):
        if isinstance(event, DeadlineReached):
            self.due = None
            return []
        self.count += 1
        if event.request == "raise":
            raise LocalProtocolError("must not raise")
        return [Acquire(event.request)]


def test_script_accepts_the_expected():
    dialogue = script(Echo(Instant(7))).at(1, Requested("a"), Acquire("a")).state(1)
    assert isinstance(dialogue.deadline(7).fire().deadline(None), Script)


@pytest.mark.parametrize("expected", [[], [Acquire("b")], [Acquire("a"), Release(SlotId(0))]])
def test_script_shows_each_difference(expected):
    with pytest.raises(AssertionError, match=r"! \d expected"):
        script(Echo()).at(1, Requested("a"), *expected)


def test_script_refuses_to_go_back_in_time():
    with pytest.raises(AssertionError, match="must not go back"):
        script(Echo()).at(5, Requested("a"), Acquire("a")).give(4, Requested("a"))


@pytest.mark.parametrize(("deadline", "event"), [(3, Requested("a")), (1, Requested("a"))])
def test_script_refuses_deadlines_in_the_past(deadline, event):
    with pytest.raises(AssertionError, match="deadline must be later, got"):
        script(Echo(Instant(deadline))).give(5, event)


def test_script_checks_deadline_and_state():
    with pytest.raises(AssertionError, match="next deadline must be 4 ps, got None"):
        script(Echo()).deadline(4)
    with pytest.raises(AssertionError, match="state must be"):
        script(Echo()).state(4)
    with pytest.raises(AssertionError, match="must have a deadline"):
        script(Echo()).fire()


def test_script_checks_refusals():
    dialogue = script(Echo())
    with pytest.raises(AssertionError, match="must raise LocalProtocolError, got effects"):
        dialogue.refuses(1, Requested("a"), LocalProtocolError)
    with pytest.raises(AssertionError, match="error must say 'colour'"):
        dialogue.refuses(1, Requested("raise"), LocalProtocolError, "colour")
    with pytest.raises(AssertionError, match="must leave the state alone"):
        dialogue.refuses(1, Requested("raise"), LocalProtocolError, "must not")
