"""Link protocols that break the contract of a machine outright, each as soon as it is asked for a pair."""

from __future__ import annotations

from dataclasses import replace

from qnet.ids import OpId, SlotId
from qnet.layers import link
from qnet.machine import Apply, Record, Release, Requested
from qnet.program import Gate, Program
from qnet_protocols.link.egp import PROTOCOL, EgpEnd


class Rogue(EgpEnd):
    """Behaves until its user makes a request."""

    asked = False

    def handle(self, event, now):
        if isinstance(event, Requested) and isinstance(event.request, link.Create):
            self.asked = True
            return self.misbehave()
        return super().handle(event, now)

    def misbehave(self):
        return []


class Raises(Rogue):
    def misbehave(self):
        raise KeyError("a bug of the plug-in")


class Loops(Rogue):
    """Its deadline is always now: the instant never ends."""

    now = 0

    def handle(self, event, now):
        self.now = now
        return [] if self.asked else super().handle(event, now)

    def next_deadline(self):
        return self.now if self.asked else super().next_deadline()


class Grabs(Rogue):
    """Gives back a slot that it never got."""

    def misbehave(self):
        return [Release(SlotId(0))]


class Operates(Rogue):
    """Runs a program on a qubit that it does not hold."""

    def misbehave(self):
        return [Apply(OpId("rogue/1"), Program((Gate("X", (SlotId(0),)),)))]


class Wish(Record, frozen=True):
    """No effect of any machine."""


class Invents(Rogue):
    def misbehave(self):
        return [Wish()]


class Hangs(Rogue):
    def misbehave(self):
        while True:
            pass


class HangsInItsDeadline(Rogue):
    def next_deadline(self):
        while self.asked:
            pass
        return super().next_deadline()


def rogue(end):
    return replace(PROTOCOL, name=end.__name__.lower(), make_end=end)


RAISES, LOOPS, GRABS, OPERATES = rogue(Raises), rogue(Loops), rogue(Grabs), rogue(Operates)
INVENTS, HANGS, HANGS_LATE = rogue(Invents), rogue(Hangs), rogue(HangsInItsDeadline)
