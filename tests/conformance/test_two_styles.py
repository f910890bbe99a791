"""One protocol as a machine and as a coroutine: the same effects for the same inputs, the same verdicts."""

from __future__ import annotations

import ast
import inspect
import sys
import types
from dataclasses import replace
from importlib import resources
from string import Template

import pytest

from qnet.errors import ProtocolError
from qnet.ids import NodeId, RequestId, SlotId
from qnet.layers import link, physical
from qnet.machine import Acquired, Indicated, PeerLost, Received, Release, Requested
from qnet.plugins import find
from qnet.testing import script
from qnet.testing.conformance.stage import LINK, context
from qnet.testing.conformance.suite import Target, Wish, run
from qnet.units import Duration, Instant
from qnet_protocols.link.one_by_one import coroutine, protocol
from qnet_protocols.link.one_by_one.messages import Answered
from qnet_protocols.purification.bbpssw import PROTOCOL as BBPSSW
from qnet_protocols.purification.coroutine import BBPSSW as BBPSSW_ASYNC

MACHINE, COROUTINE = protocol.PROTOCOL, coroutine.PROTOCOL
SAID = {"PASS", "INFO", "NOT APPLICABLE", "UNTESTED"}


class Twins:
    """Both implementations of one end, given the same inputs; they must do the same at the same instants."""

    def __init__(self, context):
        self.both = (MACHINE.make_end(context), COROUTINE.make_end(context))

    @property
    def state(self):
        return tuple(one.state for one in self.both)

    def next_deadline(self):
        first, second = (one.next_deadline() for one in self.both)
        assert first == second, f"deadlines {first} and {second} in state {self.state}"
        return first

    def handle(self, event, now):
        first, second = (self.tried(one, event, now) for one in self.both)
        assert type(first) is type(second), f"{first!r} and {second!r}"
        if isinstance(first, ProtocolError):
            raise first
        assert first == second, f"effects {first} and {second} of {event!r}"
        return first

    @staticmethod
    def tried(one, event, now):
        try:
            return list(one.handle(event, now))
        except ProtocolError as error:
            return error


def sides(first, second):
    """End A runs ``first``, end B ``second``."""
    return replace(
        MACHINE, make_end=lambda context: (first, second)[context.side].make_end(context)
    )


TARGETS = {
    "machine": MACHINE,
    "coroutine": COROUTINE,
    "twins": replace(MACHINE, make_end=Twins),
    "machine-leads": sides(MACHINE, COROUTINE),
    "coroutine-leads": sides(COROUTINE, MACHINE),
}


def check(name, seeds):
    found = run(Target(name, TARGETS[name]), Wish(seeds=seeds, strict=True))
    wrong = [
        (one.requirement.id, one.verdict) for one in found.judgements if one.verdict not in SAID
    ]
    assert wrong == []
    assert sum(one.verdict == "PASS" for one in found.judgements) > 50
    assert found.exit_status == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_every_style_keeps_every_requirement_under_every_fault_profile(name):
    check(name, 5)


def test_styles_do_the_same_under_every_fault_profile():
    cases = ("random-requests-at-rest", "cancel-at-every-stage")
    found = run(Target("twins", TARGETS["twins"]), Wish(cases=cases, seeds=1, strict=True))
    assert [one for one in found.judgements if one.verdict == "FAIL"] == []
    assert sum(one.verdict == "PASS" for one in found.judgements) > 10


def alice_and_bob(first, second):
    """The node that comes first in the alphabet purifies with ``first``, the other one with ``second``."""
    return replace(
        BBPSSW,
        make_end=lambda context: (first if context.node < min(context.peers) else second).make_end(
            context
        ),
    )


PURIFIERS = {
    "machine": BBPSSW,
    "coroutine": BBPSSW_ASYNC,
    "machine-at-alice": alice_and_bob(BBPSSW, BBPSSW_ASYNC),
    "coroutine-at-alice": alice_and_bob(BBPSSW_ASYNC, BBPSSW),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PURIFIERS)
def test_every_style_of_purification_keeps_every_requirement(name):
    wish = Wish(layer="purify", seeds=2, strict=True, limit_s=300.0)
    found = run(Target(name, PURIFIERS[name]), wish)
    wrong = [
        (one.requirement.id, one.verdict) for one in found.judgements if one.verdict not in SAID
    ]
    assert wrong == []
    assert sum(one.verdict == "PASS" for one in found.judgements) > 50


def test_both_styles_are_installed_and_speak_the_same_language():
    assert find("qnet.links", "one-by-one") is MACHINE
    assert find("qnet.links", "one-by-one-async") is COROUTINE
    assert COROUTINE.messages == MACHINE.messages
    assert find("qnet.purification", "bbpssw-async") is BBPSSW_ASYNC
    assert BBPSSW_ASYNC.messages == BBPSSW.messages


# ---------------------------------------------------------------- what must be caught

BROKEN = {
    "attempts-go-on-after-an-interrupt": (
        "QN-LINK-8.1-3",
        """
        except (Cancelled, Interrupted):
            me.request(physical.StopAttempts(turn.attempt))
""",
        """
        except (Cancelled, Interrupted):
""",
    ),
    "deaf-while-it-attempts": ("QN-LINK-8.1-1", "with me.unless(Told):", "with me.unless():"),
    "handed-up-at-once": ("QN-LINK-2.2-3", "await me.sleep_until(deliver_at)", "pass"),
    "keeps-what-the-other-end-has-not": (
        "QN-LINK-2.1-1",
        "if pair is not None and not theirs:",
        "if pair is None and not theirs:",
    ),
    "waits-for-ever-for-a-herald": (
        "QN-LINK-8.1-3",
        "until=Instant(me.now + self._patience) if self._leads else None",
        "until=None",
    ),
    "does-not-knock": (
        "QN-LINK-1.1-2",
        "me.send(self._remote, Knock(self._plan.name))",
        "pass",
    ),
}
"""Name -> the requirement that breaks, a place in the coroutine, and what stands there instead."""


SLOW = ("attempts-go-on-after-an-interrupt", "waits-for-ever-for-a-herald", "does-not-knock")


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in BROKEN]
)
def test_broken_coroutine_is_caught(name, monkeypatch):
    requirement, old, new = BROKEN[name]
    source = inspect.getsource(coroutine)
    assert source.count(old) == 1
    module = types.ModuleType(f"broken_{name.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source.replace(old, new), coroutine.__file__, "exec"), module.__dict__)
    wish = Wish(only=(requirement,), seeds=2, strict=True, quick=True)
    found = run(Target(name, module.PROTOCOL), wish)
    assert [one.verdict for one in found.judgements if one.requirement.id == requirement] == [
        "FAIL"
    ]


@pytest.mark.parametrize("style", [MACHINE, COROUTINE], ids=["machine", "coroutine"])
def test_broken_contact_gives_back_the_half_in_hand(style):
    """The instant is too short for the suite's faults to meet it."""
    alice, bob, request = NodeId("alice"), NodeId("bob"), RequestId("alice/1")
    end = script(style.make_end(context(alice)))
    end.give(0, Requested(link.Create(request, bob, 1, 0.5, Duration(0), 7), "app"))
    answer = Answered(LINK, request, None)
    (asked,) = end.give(1, Received(bob, answer.kind, answer, Instant(0)))
    _, started = end.give(2, Acquired(asked.token, SlotId(0)))
    attempt = started.request.attempt
    clicked = physical.Heralded(attempt, SlotId(0), 1, (0, 0), Instant(1_000_000))
    end.at(4_000_000, Indicated(clicked))
    freed, said = end.give(4_000_001, PeerLost(bob))
    assert freed == Release(SlotId(0))
    assert said.indication.code == link.ErrorCode.OTHER


# ---------------------------------------------------------------- and the templates


def code_of(text):
    """What a module does: its tree without the order of its imports."""
    body = ast.parse(text).body
    imports = sorted(ast.dump(one) for one in body if isinstance(one, ast.Import | ast.ImportFrom))
    return imports, [
        ast.dump(one) for one in body if not isinstance(one, ast.Import | ast.ImportFrom)
    ]


@pytest.mark.parametrize(
    ("template", "built_in"),
    [
        *((f"link/src/MODULE/{one}", one) for one in (
            "admission", "answers", "messages", "parameters", "protocol", "states"
        )),
        ("link_async/src/MODULE/protocol", "coroutine"),
    ],
)  # fmt: skip
def test_what_qnet_new_writes_is_the_built_in_protocol(template, built_in):
    text = (resources.files("qnet.templates") / f"{template}.py.tmpl").read_text()
    words = {"name": "one-by-one", "module": "qnet_protocols.link.one_by_one"}
    written = Template(text).substitute(words)
    if built_in == "coroutine":
        written = written.replace('name="one-by-one"', 'name="one-by-one-async"')
    source = resources.files("qnet_protocols.link.one_by_one") / f"{built_in}.py"
    assert code_of(written) == code_of(source.read_text())
